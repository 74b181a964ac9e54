package axisstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/edxml"
	"truc/internal/documents/axis"
	"truc/internal/i18n"
)

func TestADocumentFromEndToEnd(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		m := letter("08", "G98", "H36")
		accepted := c.mustSubmit(t, province, m)
		if accepted.DocID == "" || accepted.Repeated || len(accepted.Warnings) != 0 || !bytes.HasPrefix(accepted.Receipt, []byte("accepted "+accepted.DocID)) {
			t.Errorf("Submit() = %+v", accepted)
		}
		waiting := c.list(t, ministry)
		if len(waiting) != 1 || waiting[0].From != "H99.07" || waiting[0].To != "G98" || waiting[0].State != axis.Initial || waiting[0].Number != "08/SM-VP" || waiting[0].Subject != m.Subject {
			t.Fatalf("received = %+v", waiting)
		}
		if len(c.list(t, province)) != 0 {
			t.Error("the sender received its own document")
		}
		if len(c.pushed) != 1 || c.pushed[0].Copy.To != "H36" || c.pushed[0].Copy.Party != lamDong {
			t.Errorf("pushed to nodes: %+v", c.pushed)
		}
		id := waiting[0].ID
		if got := c.fetch(t, ministry, id); !bytes.Equal(got, write(t, m)) {
			t.Error("the bytes handed out are not those that came")
		}
		if _, _, err := c.Open(t.Context(), province, id); err == nil {
			t.Error("another party was given the copy")
		}
		c.sleep(time.Minute)
		if err := c.Report(t.Context(), ministry, id, axis.Done, ""); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Count(t.Context(), ministry, axis.Document); err != nil || n != 0 || len(c.list(t, ministry)) != 0 {
			t.Errorf("a done copy is listed: %d, %v", n, err)
		}
		rows := c.sent(t, province, accepted.DocID)
		if len(rows) != 2 || rows[0].State != axis.Done || !rows[0].Received.Equal(c.now()) || rows[1].State != axis.Initial || rows[0].ID == rows[1].ID {
			t.Errorf("sent = %+v", rows)
		}
		end, err := c.VerifyJournal(t.Context(), axis.Mark{})
		if err != nil || end.Seq < 5 {
			t.Errorf("VerifyJournal() = %v, %v", end, err)
		}
	})
}

// TestRefusals: each thing that is wrong has its own code and text, and leaves nothing behind.
func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		ctx := t.Context()
		if err := c.LockAgency(ctx, "quantri", "H99.08", true); err != nil {
			t.Fatal(err)
		}
		c.closeAgency(t, "H98.01")
		c.closeAgency(t, "H98.02", "H99.07", "G98")
		c.mustSubmit(t, province, letter("01", "G98"))
		before := c.counts(t)
		edit := func(f func(m *edxml.Message)) []byte { m := letter("08", "G98"); f(m); return write(t, m) }
		texts := map[string]string{}
		for name, tt := range map[string]struct {
			party   axis.Party
			kind    string
			payload []byte
			code    int
			key     string
			says    string
		}{
			"unknown receiver":       {province, axis.Document, edit(func(m *edxml.Message) { m.To[0].ID = "G77" }), 18, "axis.receiver_unknown", "G77"},
			"odd receiver":           {province, axis.Document, edit(func(m *edxml.Message) { m.To[0].ID = "../x'--" }), 18, "axis.receiver_unknown", "../x'--"},
			"closed receiver":        {province, axis.Document, edit(func(m *edxml.Message) { m.To[0].ID = "H98.01" }), 18, "axis.receiver_closed", "H98.01"},
			"split receiver":         {province, axis.Document, edit(func(m *edxml.Message) { m.To[0].ID = "H98.02" }), 18, "axis.receiver_split", "H99.07, G98"},
			"locked receiver":        {province, axis.Document, edit(func(m *edxml.Message) { m.To[0].ID = "H99.08" }), 23, "axis.receiver_locked", "H99.08"},
			"foreign sender":         {ministry, axis.Document, edit(func(*edxml.Message) {}), 19, "axis.sender_foreign", "H99.07"},
			"unknown sender":         {province, axis.Document, edit(func(m *edxml.Message) { m.From.ID = "H97" }), 19, "axis.sender_foreign", "H97"},
			"sender that was closed": {province, axis.Document, edit(func(m *edxml.Message) { m.From.ID = "H98.01" }), 19, "axis.sender_foreign", "H98.01"},
			"no edXML":               {province, axis.Document, []byte("hello"), 22, "axis.document_refused", ""},
			"DOCTYPE":                {province, axis.Document, append([]byte(`<!DOCTYPE x [<!ENTITY a "b">]>`), write(t, letter("08", "G98"))...), 22, "axis.document_refused", ""},
			"no subject":             {province, axis.Document, bytes.Replace(write(t, letter("08", "G98")), []byte("V/v thử nghiệm liên thông số 08"), nil, 1), 22, "axis.document_refused", "N.MessageHeader.Subject"},
			"type not allowed":       {province, axis.Document, withFile(t, letter("08", "G98"), "setup.exe", "MZ"), 21, "axis.document_refused", ""},
			"type that lies":         {province, axis.Document, withFile(t, letter("08", "G98"), "08.pdf", "MZ\x90\x00 a program"), 21, "axis.document_refused", "08.pdf"},
			"long subject":           {province, axis.Document, bytes.Replace(write(t, letter("08", "G98")), []byte("V/v thử"), []byte(strings.Repeat("ờ", 1001)), 1), 22, "axis.document_refused", "R.MessageHeader.Subject"},
			"long code":              {province, axis.Document, bytes.Replace(write(t, letter("08", "G98")), []byte("<edXML:OrganId>G98"), []byte("<edXML:OrganId>G98."+strings.Repeat("1", 32)), 1), 22, "axis.document_refused", "OrganId"},
			"status as document":     {province, axis.Document, write(t, status("H99.07", "01", "x", c.now())), 22, "axis.kind_other", ""},
			"document as status":     {province, axis.StatusOf, write(t, letter("08", "G98")), 22, "axis.kind_other", ""},
			"unknown kind":           {province, "mail", write(t, letter("08", "G98")), 10, "axis.kind_unknown", ""},
			"no party":               {"someone", axis.Document, write(t, letter("08", "G98")), 10, "axis.kind_unknown", ""},
			"other bytes, same id":   {province, axis.Document, bytes.Replace(write(t, letter("01", "G98")), []byte("thử nghiệm"), []byte("kiểm tra"), 1), 22, "axis.duplicate_id", "H99.07,2026/03/05,01/SM-VP"},
			"secret":                 {province, axis.Document, edit(func(m *edxml.Message) { m.Other.Sphere = "Độ mật: TỐI MẬT" }), 22, "axis.secret", "tối mật"},
			"status to unknown": {province, axis.StatusOf, write(t, func() *edxml.Message {
				m := status("H99.07", "01", "x", c.now())
				m.ResponseFor[0].OrganID = "G77"
				return m
			}()), 18, "axis.receiver_unknown", "G77"},
		} {
			got, err := c.Submit(ctx, axis.Submission{Party: tt.party, Kind: tt.kind, Payload: c.put(t, tt.payload)})
			n, key := code(err)
			if n != tt.code || key != tt.key || got.DocID != "" {
				t.Errorf("%s: %d %s (%v), %+v; want %d %s", name, n, key, err, got, tt.code, tt.key)
				continue
			}
			if after := c.counts(t); after != before {
				t.Errorf("%s: rows were %s, now %s", name, before, after)
			}
			r, _ := errors.AsType[*axis.Refusal](err)
			for _, lang := range i18n.Langs {
				text := r.Text(catalogue(t), lang)
				if text == "" || strings.ContainsAny(text, "[{") || !strings.Contains(text, tt.says) {
					t.Errorf("%s: in %s %q; want it to say %q", name, lang, text, tt.says)
				}
			}
			texts[r.Text(catalogue(t), "vi")] = name
		}
		if len(texts) < 19 {
			t.Errorf("%d texts tell the refusals apart", len(texts))
		}
		c.refuse = errors.New("the queue is away")
		if _, err := c.submit(t, province, letter("09", "G98", "H36")); !errors.Is(err, c.refuse) || c.counts(t) != before {
			t.Errorf("a message that a node cannot be told of was kept: %v", err)
		}
	})
}

func withFile(t *testing.T, m *edxml.Message, name, content string) []byte {
	t.Helper()
	m.Attachments = []edxml.Attachment{{Name: "a.pdf", Description: "Văn bản chính", Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}}
	return bytes.ReplaceAll(write(t, m), []byte("a.pdf"), []byte(name))
}

// TestSameBytesAgain: one DocID and one copy a receiver, also when the clients send at the same time.
func TestSameBytesAgain(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		payload := c.put(t, write(t, letter("08", "G98", "H36")))
		ids := make([]string, 16)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				a, err := c.Submit(t.Context(), axis.Submission{Party: province, Kind: axis.Document, Payload: payload})
				if err != nil {
					t.Error(err)
				}
				ids[i] = a.DocID
				if !bytes.HasPrefix(a.Receipt, []byte("accepted "+a.DocID)) {
					t.Errorf("receipt %q of %s", a.Receipt, a.DocID)
				}
			})
		}
		wg.Wait()
		a, err := c.Submit(t.Context(), axis.Submission{Party: province, Kind: axis.Document, Payload: payload})
		if err != nil || !a.Repeated {
			t.Errorf("once more = %+v, %v", a, err)
		}
		for _, id := range append(ids, a.DocID) {
			if id != ids[0] || id == "" {
				t.Fatalf("DocIDs differ: %q", ids)
			}
		}
		if got := c.counts(t); got != "1 2 24" { // in the journal 5 agencies, one accepted, two copies, and 16 repetitions
			t.Errorf("messages, copies, entries: %s", got)
		}
		if len(c.list(t, ministry)) != 1 || len(c.sent(t, province, "")) != 2 {
			t.Error("a receiver has more than one copy")
		}
		// The same bytes of another party are no repetition, but no message of its own either.
		if _, err := c.Submit(t.Context(), axis.Submission{Party: ministry, Kind: axis.Document, Payload: payload}); err == nil {
			t.Error("another party submitted the bytes")
		}
	})
}

// TestOtherBytesAtOnce: of two documents under one identifier one is taken, whatever comes first.
func TestOtherBytesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		const n = 8
		errList := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			m := letter("08", "G98")
			m.Subject = fmt.Sprintf("bản %d", i)
			payload := c.put(t, write(t, m))
			wg.Go(func() {
				_, errList[i] = c.Submit(t.Context(), axis.Submission{Party: province, Kind: axis.Document, Payload: payload})
			})
		}
		wg.Wait()
		taken := 0
		for _, err := range errList {
			if err == nil {
				taken++
			} else if n, key := code(err); n != 22 || key != "axis.duplicate_id" {
				t.Error(err)
			}
		}
		if taken != 1 || len(c.list(t, ministry)) != 1 {
			t.Errorf("%d were taken, %d copies", taken, len(c.list(t, ministry)))
		}
		alerts, err := c.Alerts(t.Context(), 0)
		if err != nil || len(alerts) != 1 || alerts[0].Kind != "duplicate_id" || alerts[0].Count != n-1 || alerts[0].Agency != "H99.07" {
			t.Errorf("alerts = %+v, %v", alerts, err)
		}
	})
}

func TestNumberUsedTwice(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		c.mustSubmit(t, province, letter("08", "G98"))
		m := letter("08", "G98")
		m.DocumentID = "khác"
		a := c.mustSubmit(t, province, m)
		if len(a.Warnings) != 1 || a.Warnings[0].Key != "axis.duplicate_number" {
			t.Fatalf("warnings = %+v", a.Warnings)
		}
		if text := catalogue(t).T("vi", a.Warnings[0].Key, a.Warnings[0].Args...); !strings.Contains(text, "08/SM-VP") || !strings.Contains(text, "H99.07,2026/03/05,08/SM-VP") {
			t.Errorf("the warning says %q", text)
		}
		alerts, err := c.Alerts(t.Context(), 0)
		if err != nil || len(alerts) != 1 || alerts[0].Subject != "08/SM-VP (2026)" || alerts[0].DocID != a.DocID {
			t.Errorf("alerts = %+v, %v", alerts, err)
		}
		for name, edit := range map[string]func(m *edxml.Message){
			"next year": func(m *edxml.Message) { m.Date.Year = 2025 },
			"update":    func(m *edxml.Message) { m.Business = edxml.Business{Kind: edxml.Update, DocumentID: "khác"} },
			"other":     func(m *edxml.Message) { m.Code.Notation = "SM-TC" },
		} {
			m := letter("08", "G98")
			m.DocumentID = name
			edit(m)
			if a := c.mustSubmit(t, province, m); len(a.Warnings) != 0 {
				t.Errorf("%s: %+v", name, a.Warnings)
			}
		}
	})
}

// TestKindsUnderOneIdentifier: a revocation may carry the identifier of what it revokes.
func TestKindsUnderOneIdentifier(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		c.mustSubmit(t, province, letter("08", "G98"))
		for i, kind := range []edxml.Kind{edxml.Revocation, edxml.Update, edxml.Replacement} {
			m := letter("08", "G98")
			m.Business = edxml.Business{Kind: kind, DocumentID: m.DocumentID, Reason: "lý do", Replaces: []edxml.Replaced{{DocumentID: m.DocumentID}}}
			m.Subject = fmt.Sprint("lần ", i)
			c.mustSubmit(t, province, m)
		}
		if n := len(c.list(t, ministry)); n != 4 {
			t.Errorf("%d copies; want 4", n)
		}
	})
}

func TestSystemThatRefusesRepeats(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		if _, err := c.AddSystem(t.Context(), "quantri", axis.SystemForm{ID: "tinh.01", Name: "Hệ thống tỉnh", RefuseRepeats: true}); err != nil {
			t.Fatal(err)
		}
		a := c.mustSubmit(t, province, letter("08", "G98"))
		_, err := c.submit(t, province, letter("08", "G98"))
		r, ok := errors.AsType[*axis.Refusal](err)
		if !ok || r.Key != "axis.repeated" || !strings.Contains(r.Text(catalogue(t), "vi"), a.DocID) {
			t.Errorf("repetition = %v", err)
		}
		if len(c.list(t, ministry)) != 1 {
			t.Error("the repetition was delivered")
		}
	})
}

// scanner refuses attachments with a word.
type scanner struct{ word string }

type scan struct {
	bytes.Buffer
	word string
}

func (s scanner) Attachment(context.Context, string) (io.WriteCloser, error) {
	return &scan{word: s.word}, nil
}

func (s *scan) Close() error {
	if bytes.Contains(s.Bytes(), []byte(s.word)) {
		return errors.New("found")
	}
	return nil
}

func TestScanner(t *testing.T) {
	each(t, func(t *testing.T, c *center) {
		c.Scanner = scanner{"EICAR"}
		before := c.counts(t)
		_, err := c.Submit(t.Context(), axis.Submission{Party: province, Kind: axis.Document, Payload: c.put(t, withFile(t, letter("08", "G98"), "a.pdf", "%PDF-1.4 EICAR"))})
		if n, key := code(err); n != 21 || key != "axis.attachment_infected" || c.counts(t) != before {
			t.Errorf("an infected attachment = %v", err)
		}
		if _, err := c.Submit(t.Context(), axis.Submission{Party: province, Kind: axis.Document, Payload: c.put(t, withFile(t, letter("09", "G98"), "a.pdf", "%PDF-1.4"))}); err != nil {
			t.Error(err)
		}
	})
}
