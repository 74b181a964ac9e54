package benchdocuments

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"truc/edxml"
	"truc/internal/documents/axisapi/vxptest"
)

// mark stands where each document has its own number.
const mark = "0000000000"

// worker sends documents with one system and receives them with another.
type worker struct {
	n                int
	now              func() time.Time
	sender, receiver *vxptest.Client
	codes            []string // of the receivers
	to               string   // the same as a JSON list
	document         []byte
	took             map[string][]time.Duration
	done             int // documents so far, which makes their numbers
}

// message writes the document that every worker sends, with a mark in place of its number.
func message(from string, to []string, size int, now time.Time) ([]byte, error) {
	m := &edxml.Message{
		From: edxml.Organization{ID: from, Name: "Cơ quan " + from}, Code: edxml.Code{Number: mark, Notation: "SM-VP"}, Date: edxml.DateOf(now),
		Place: "Ví Dụ", Type: edxml.DocumentType{Type: 2, Name: "Công văn"}, Subject: "V/v đo thời gian", Signer: edxml.Signer{FullName: "Họ Tên Mẫu"},
		Trace: []edxml.Hop{{OrganID: from, At: now}},
		Attachments: []edxml.Attachment{{Name: "van-ban.pdf", Open: func() (io.ReadCloser, error) {
			pdf := []byte("%PDF-1.7\n")
			return io.NopCloser(io.MultiReader(bytes.NewReader(pdf), io.LimitReader(rand.NewChaCha8([32]byte{1}), int64(size-len(pdf))))), nil
		}}},
	}
	for _, code := range to {
		m.To = append(m.To, edxml.Organization{ID: code, Name: "Cơ quan " + code})
	}
	m.DocumentID = edxml.MakeDocumentID(from, m.Date, m.Code)
	var b bytes.Buffer
	err := edxml.Write(&b, m)
	return b.Bytes(), err
}

func newWorker(n int, hub reply, receivers, size int, now func() time.Time) (*worker, error) {
	w := &worker{n: n, now: now, codes: receiverCodes(n, receivers), took: map[string][]time.Duration{}}
	w.sender = vxptest.New(hub.Addr, senderID(n), hub.Secrets[senderID(n)], now())
	w.receiver = vxptest.New(hub.Addr, receiverID(n), hub.Secrets[receiverID(n)], now())
	to, err := json.Marshal(w.codes)
	if err != nil {
		return nil, err
	}
	w.to = string(to)
	w.document, err = message(senderCode(n), w.codes, size, now())
	return w, err
}

func (w *worker) close() {
	w.sender.Close()
	w.receiver.Close()
}

// step makes a call, notes how long it took, and fails unless it succeeded.
func (w *worker) step(name string, call func() (*vxptest.Result, error)) (*vxptest.Result, error) {
	start := w.now()
	r, err := call()
	w.took[name] = append(w.took[name], w.now().Sub(start))
	if err == nil && r.Status != "OK" && r.Status != "SUCCESS" {
		err = fmt.Errorf("%s %s", r.ErrorCode, r.ErrorDesc)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// one sends a document and sees it through to its end at every receiver, and the statuses to theirs at the sender.
func (w *worker) one(serial int, statuses bool) error {
	number := fmt.Sprintf("%0*d", len(mark), serial)
	doc := bytes.ReplaceAll(w.document, []byte(mark), []byte(number))
	if _, err := w.step("send", func() (*vxptest.Result, error) { return w.sender.Send(senderCode(w.n), "edoc", w.to, doc) }); err != nil {
		return err
	}
	if err := w.take(w.receiver, "edoc", len(w.codes), doc); err != nil || !statuses {
		return err
	}
	date := edxml.DateOf(w.now())
	code := edxml.Code{Number: number, Notation: "SM-VP"}
	for _, from := range w.codes {
		var b bytes.Buffer
		if err := edxml.Write(&b, &edxml.Message{
			From:        edxml.Organization{ID: from, Name: "Cơ quan " + from},
			ResponseFor: []edxml.Reference{{OrganID: senderCode(w.n), Code: code.String(), DocumentID: edxml.MakeDocumentID(senderCode(w.n), date, code), Date: date}},
			Status:      &edxml.Status{Code: "03", Description: "Đã tiếp nhận", At: w.now(), Staff: edxml.Staff{Department: "Văn thư"}},
		}); err != nil {
			return err
		}
		if _, err := w.step("status", func() (*vxptest.Result, error) { return w.receiver.Send(from, "status", senderCode(w.n), b.Bytes()) }); err != nil {
			return err
		}
	}
	return w.take(w.sender, "status", len(w.codes), nil)
}

// take lists what waits for a system, which must be so many, fetches each and marks it done.
func (w *worker) take(c *vxptest.Client, kind string, count int, want []byte) error {
	list, err := w.step("list "+kind, func() (*vxptest.Result, error) { return c.Received(kind) })
	if err != nil {
		return err
	}
	if len(list.Data) != count {
		return fmt.Errorf("%d wait in the list, not %d", len(list.Data), count)
	}
	for _, row := range list.Data {
		id, _ := row["docId"].(string)
		got, err := w.step("fetch "+kind, func() (*vxptest.Result, error) { return c.Download(id) })
		if err != nil {
			return err
		}
		if want != nil && !bytes.Equal(got.File, want) {
			return errors.New("other bytes came out than went in")
		}
		if _, err := w.step("done "+kind, func() (*vxptest.Result, error) { return c.Update(id, "done", "") }); err != nil {
			return err
		}
	}
	return nil
}

// together lets the workers do so many documents between them.
func together(workers []*worker, documents int) error {
	failed := make([]error, len(workers))
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() {
			for n := i; n < documents && failed[i] == nil; n += len(workers) {
				w.done++
				failed[i] = w.one(w.done, true)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// steps sums up what the calls took.
func steps(workers []*worker) []Step {
	var out []Step
	for _, name := range []string{"send", "list edoc", "fetch edoc", "done edoc", "status", "list status", "fetch status", "done status"} {
		var all []time.Duration
		for _, w := range workers {
			all = append(all, w.took[name]...)
		}
		if len(all) == 0 {
			continue
		}
		slices.Sort(all)
		ms := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))]) / 1e6 }
		out = append(out, Step{Name: name, Count: len(all), P50: ms(0.5), P99: ms(0.99)})
	}
	return out
}
