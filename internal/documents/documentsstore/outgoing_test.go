package documentsstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/blobs"
	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/i18n"
)

// TestReviewChain takes a draft through several reviewers, a return with a reason and new versions; whoever saved on top
// of an older version is told so, and who does not hold the draft cannot touch it.
func TestReviewChain(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		f := form()
		id := must[string](t)(b.desk.Draft(ctx, drafter, f))
		f.Subject = "V/v thử nghiệm lần hai"
		ok(t, b.desk.Save(ctx, drafter, id, 1, f))
		refused(t, b.desk.Save(ctx, drafter, id, 1, f), errs.Conflict, "documents.changed")
		refused(t, b.desk.Save(ctx, second, id, 2, f), errs.NotFound, "documents.not_found")
		refused(t, b.desk.Save(ctx, review, id, 2, f), errs.Denied, "documents.not_your_turn")
		ok(t, b.desk.Submit(ctx, drafter, id, 2, second.Account, "Góp ý giúp"))
		refused(t, b.desk.Submit(ctx, drafter, id, 0, review.Account, ""), errs.Conflict, "documents.wrong_state")
		ok(t, b.desk.Review(ctx, second, id, 0, documents.Approve, review.Account, "Được"))
		refused(t, b.desk.Review(ctx, review, id, 0, documents.Return, "", " "), errs.Invalid, "documents.reason_missing")
		ok(t, b.desk.Review(ctx, review, id, 0, documents.Return, "", "Sửa lại căn cứ"))
		refused(t, b.desk.SignAsPerson(ctx, head, id), errs.Conflict, "documents.wrong_state")
		f.Body = "Bản thứ ba."
		ok(t, b.desk.Save(ctx, drafter, id, 5, f))
		ok(t, b.desk.Submit(ctx, drafter, id, 0, review.Account, ""))
		ok(t, b.desk.Review(ctx, review, id, 0, documents.Approve, "", "Đồng ý"))
		out := b.out(t, id)
		if out.State != documents.Approved || out.Holder != head.Account || len(out.Versions) != 3 || len(out.Reviews) != 5 {
			t.Fatalf("%v held by %s, %d versions, %d reviews", out.State, out.Holder, len(out.Versions), len(out.Reviews))
		}
		if out.Versions[0].Form.Subject != form().Subject || out.Versions[2].Form.Body != "Bản thứ ba." {
			t.Errorf("versions: %+v", out.Versions)
		}
		refused(t, b.desk.SignAsPerson(ctx, review, id), errs.Denied, "documents.not_your_turn")
		for _, bad := range []struct {
			change func(f *documents.DraftForm)
			field  string
		}{
			{func(f *documents.DraftForm) { f.Type = "XX" }, "type"},
			{func(f *documents.DraftForm) { f.Subject = strings.Repeat("ă", 501) }, "subject"},
			{func(f *documents.DraftForm) { f.Receivers = []string{"không phải mã"} }, "receivers"},
			{func(f *documents.DraftForm) { f.DueDate = "05/03/2026" }, "dueDate"},
			{func(f *documents.DraftForm) { f.Notation = "a b" }, "notation"},
		} {
			f := form()
			bad.change(&f)
			_, err := b.desk.Draft(ctx, drafter, f)
			p, found := errors.AsType[documents.Problems](err)
			if !found || p[bad.field] == nil {
				t.Errorf("%s: %v", bad.field, err)
			}
		}
		f = form()
		f.Receivers = []string{"G77"}
		id = must[string](t)(b.desk.Draft(ctx, drafter, f))
		refused(t, b.desk.Submit(ctx, drafter, id, 0, "", ""), errs.Invalid, "documents.receiver_unknown")
	})
}

// TestNumbersInParallel issues 1 000 documents at once: 01 … 1000 without gap or duplicate (acceptance 21).
func TestNumbersInParallel(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		const n, workers = 1000, 8
		f := form()
		f.Receivers = nil
		work := make(chan int)
		var wg sync.WaitGroup
		var mu sync.Mutex
		codes := map[string]bool{}
		for range workers {
			wg.Go(func() {
				for range work {
					id, err := b.desk.Draft(ctx, drafter, f)
					if err == nil {
						err = b.desk.Submit(ctx, drafter, id, 0, head.Account, "")
					}
					if err == nil {
						err = b.desk.SignAsPerson(ctx, head, id)
					}
					if err == nil {
						err = b.desk.Issue(ctx, clerk, id, documents.SendWhen{})
					}
					if err != nil {
						t.Error(err)
						continue
					}
					s, err := b.store.Find(ctx, id)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					codes[s.Row.Number] = true
					mu.Unlock()
				}
			})
		}
		for i := range n {
			work <- i
		}
		close(work)
		wg.Wait()
		for i := range int64(n) {
			if !codes[documents.FormatNumber(i+1)] {
				t.Errorf("number %d is missing", i+1)
			}
		}
		if len(codes) != n {
			t.Errorf("%d different numbers", len(codes))
		}
		day := b.clock.now()
		table := must[documents.Table](t)(b.desk.RegisterOutgoing(ctx, clerk, "", day.Add(-time.Hour), day.Add(time.Hour)))
		if len(table.Rows) != n || table.Rows[0][0] != "01/UBND-VX" || table.Rows[n-1][0] != "1000/UBND-VX" {
			t.Errorf("register: %d rows", len(table.Rows))
		}
	})
}

// TestSeries begins anew on 1 January in Viet Nam, which is 17:00 UTC the day before; an office that numbers by type has a
// series for each; a voided number stays in the register and is not given again (acceptance 21).
func TestSeries(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.clock.set("2026-12-31 23:59")
		first := b.out(t, b.signed(t, form()))
		b.clock.set("2027-01-01 00:00")
		next := b.out(t, b.signed(t, form()))
		if first.Code.Number != "01" || first.Date != "2026-12-31" || next.Code.Number != "01" || next.Date != "2027-01-01" {
			t.Errorf("%s of %s, then %s of %s", first.Code, first.Date, next.Code, next.Date)
		}
		refused(t, b.desk.VoidNumber(ctx, clerk, next.ID, ""), errs.Invalid, "documents.reason_missing")
		refused(t, b.desk.VoidNumber(ctx, drafter, next.ID, "sai"), errs.Denied, "documents.role_missing")
		ok(t, b.desk.VoidNumber(ctx, clerk, next.ID, "Sai thể thức"))
		third := b.out(t, b.signed(t, form()))
		if third.Code.Number != "02" {
			t.Errorf("after a voided 01 comes %s", third.Code)
		}
		again := b.out(t, next.ID)
		if again.State != documents.Drafting || again.Holder != drafter.Account || len(again.Voided) != 1 {
			t.Errorf("voided: %v held by %s, %v", again.State, again.Holder, again.Voided)
		}
		day := b.clock.now()
		table := must[documents.Table](t)(b.desk.RegisterOutgoing(ctx, clerk, "", day, day.Add(time.Hour)))
		if len(table.Rows) != 2 || table.Rows[0][0] != "01/UBND-VX" || table.Rows[0][9] != "Hủy số: Sai thể thức" {
			t.Errorf("register: %q", table.Rows)
		}
		b.desk.Offices[0].SeriesByType = true
		decision := form()
		decision.Type, decision.Unit = "QĐ", ""
		var got []string
		for _, f := range []documents.DraftForm{decision, form(), decision, form()} {
			got = append(got, b.out(t, b.signed(t, f)).Code.String())
		}
		if want := []string{"01/QĐ-UBND", "01/UBND-VX", "02/QĐ-UBND", "02/UBND-VX"}; !slices.Equal(got, want) {
			t.Errorf("series by type: %v; want %v", got, want)
		}
	})
}

// TestNumberSurvivesFailedSignature keeps the number while the key is away; on another day it is voided and a new one
// taken.
func TestNumberSurvivesFailedSignature(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		id := must[string](t)(b.desk.Draft(ctx, drafter, form()))
		ok(t, b.desk.Submit(ctx, drafter, id, 0, head.Account, ""))
		b.sigs.setFail(errs.E(errs.Unavailable, "sign.key_away", nil))
		for range 2 {
			if err := b.desk.SignAsPerson(ctx, head, id); !errs.Is(err, errs.Unavailable) {
				t.Fatal(err)
			}
			if out := b.out(t, id); out.State != documents.Numbered || out.Code.Number != "01" {
				t.Fatalf("%v with %s", out.State, out.Code)
			}
		}
		b.clock.set("2026-03-06 08:00")
		b.sigs.setFail(nil)
		ok(t, b.desk.SignAsPerson(ctx, head, id))
		out := b.out(t, id)
		if out.State != documents.Signed || out.Code.Number != "02" || out.Date != "2026-03-06" || len(out.Voided) != 1 {
			t.Errorf("%v with %s of %s, voided %v", out.State, out.Code, out.Date, out.Voided)
		}
	})
}

// TestOrderOfSignatures holds that the agency's signature cannot come before the person's, by another role, by the person
// who signed, nor on a changed file (acceptance 22).
func TestOrderOfSignatures(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		now := documents.SendWhen{Now: true}
		id := must[string](t)(b.desk.Draft(ctx, drafter, form()))
		refused(t, b.desk.Issue(ctx, clerk, id, now), errs.Conflict, "documents.person_first")
		ok(t, b.desk.Submit(ctx, drafter, id, 0, head.Account, ""))
		refused(t, b.desk.Issue(ctx, clerk, id, now), errs.Conflict, "documents.person_first")
		refused(t, b.desk.SignAsPerson(ctx, clerk, id), errs.Denied, "documents.role_missing")
		ok(t, b.desk.SignAsPerson(ctx, head, id))
		refused(t, b.desk.Issue(ctx, head, id, now), errs.Denied, "documents.role_missing")
		refused(t, b.desk.Issue(ctx, drafter, id, now), errs.Denied, "documents.role_missing")
		both := head
		both.Roles = []string{documents.RoleHead, documents.RoleClerk}
		refused(t, b.desk.Issue(ctx, both, id, now), errs.Denied, "documents.two_persons")
		other := clerk2
		refused(t, b.desk.Issue(ctx, other, id, now), errs.NotFound, "documents.not_found")
		b.corrupt(t, b.out(t, id).Signed.SHA256)
		refused(t, b.desk.Issue(ctx, clerk, id, now), errs.Conflict, "documents.file_changed")
		if out := b.out(t, id); out.State != documents.Signed || out.Main != nil || len(b.axis.take()) != 0 {
			t.Errorf("after a refused seal: %v", out.State)
		}
		b.sigs.mute = true
		unsigned := b.signed(t, form())
		refused(t, b.desk.Issue(ctx, clerk, unsigned, now), errs.Conflict, "documents.person_first")
		b.sigs.mute = false
		good := b.sent(t, form())
		main, r := b.open(t, clerk, good, b.out(t, good).Main.ID)
		if !strings.Contains(r, "SIG person Nguyễn Giám Đốc") || strings.Index(r, "SIG agency") < strings.Index(r, "SIG person") || main.Name != "03-UBND-VX.pdf" {
			t.Errorf("%s: %q", main.Name, r)
		}
	})
}

func (b *bench) open(tb testing.TB, by documents.Actor, id, file string) (documents.File, string) {
	tb.Helper()
	f, r, err := b.desk.FileOf(tb.Context(), by, id, file)
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	ok(tb, err)
	return f, string(content)
}

// TestAttachments signs each separate file for the agency: PDF in place, others with a detached signature beside them; and
// refuses programs, names with paths, and content that is not what its name says.
func TestAttachments(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		id := must[string](t)(b.desk.Draft(ctx, drafter, form()))
		add := func(name, content string) error {
			_, err := b.desk.Attach(ctx, drafter, id, 0, name, "", strings.NewReader(content))
			return err
		}
		ok(t, add("phụ lục.pdf", "%PDF-1.4\nphụ lục"))
		ok(t, add("so-lieu.txt", "1;2;3"))
		refused(t, add("so-lieu.txt", "khác"), errs.Conflict, "documents.attachment_name_taken")
		refused(t, add("a.pdf", "PK\x03\x04 không phải pdf"), errs.Invalid, "documents.attachment_lies")
		refused(t, add("a.txt", "MZ\x90\x00"), errs.Invalid, "documents.attachment_program")
		refused(t, add("a.txt", "#!/bin/sh"), errs.Invalid, "documents.attachment_program")
		refused(t, add("a.exe", "abc"), errs.Invalid, "documents.attachment_type")
		refused(t, add("a", "abc"), errs.Invalid, "documents.attachment_name")
		refused(t, add("rong.txt", ""), errs.Invalid, "documents.attachment_empty")
		b.desk.Limits.Attachment = 4
		refused(t, add("to.txt", "12345"), errs.TooLarge, "documents.attachment_too_large")
		b.desk.Limits.Attachment = 0
		ok(t, b.desk.Submit(ctx, drafter, id, 0, head.Account, ""))
		ok(t, b.desk.SignAsPerson(ctx, head, id))
		refused(t, add("muon.txt", "abc"), errs.Conflict, "documents.wrong_state")
		ok(t, b.desk.Issue(ctx, clerk, id, documents.SendWhen{Now: true}))
		var names []string
		for _, f := range b.out(t, id).Attachments {
			names = append(names, f.Name)
		}
		if want := []string{"phụ lục.pdf", "so-lieu.txt", "so-lieu.txt.p7s"}; !slices.Equal(names, want) {
			t.Errorf("attachments %v; want %v", names, want)
		}
		in := b.in(t, b.deliver(t)[0].Document)
		names = nil
		for _, f := range in.Files {
			names = append(names, f.Name)
		}
		if want := []string{"01-UBND-VX.pdf", "phụ lục.pdf", "so-lieu.txt", "so-lieu.txt.p7s"}; !slices.Equal(names, want) {
			t.Errorf("arrived %v; want %v", names, want)
		}
		if _, text := b.open(t, clerk2, in.ID, in.Files[2].ID); text != "1;2;3" {
			t.Errorf("the text file arrived as %q", text)
		}
	})
}

// TestSendingTimes sends at once, at a chosen time within the legal limit, or when told; an urgent document leaves at
// once; what is not sent in time is an alert (acceptance 20).
func TestSendingTimes(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.clock.set("2026-03-06 16:00") // a Friday
		limit := time.Date(2026, 3, 9, 11, 30, 0, 0, i18n.Zone)
		id := b.signed(t, form())
		refused(t, b.desk.Issue(ctx, clerk, id, documents.SendWhen{At: limit.Add(time.Minute)}), errs.Invalid, "documents.send_at_invalid")
		refused(t, b.desk.Issue(ctx, clerk, id, documents.SendWhen{At: b.clock.now().Add(-time.Minute)}), errs.Invalid, "documents.send_at_invalid")
		ok(t, b.desk.Issue(ctx, clerk, id, documents.SendWhen{At: limit.Add(-time.Hour)}))
		forgotten := b.signed(t, form())
		ok(t, b.desk.Issue(ctx, clerk, forgotten, documents.SendWhen{}))
		if out := b.out(t, id); out.State != documents.Issued || !out.SendBy.Equal(limit) {
			t.Errorf("%v, to be sent by %v; want %v", out.State, out.SendBy.In(i18n.Zone), limit)
		}
		if n, err := b.desk.SendDue(ctx); n != 0 || err != nil {
			t.Errorf("sent %d before the time, %v", n, err)
		}
		urgent := form()
		urgent.Urgency = documents.Express
		quick := b.signed(t, urgent)
		ok(t, b.desk.Issue(ctx, clerk, quick, documents.SendWhen{}))
		if out := b.out(t, quick); out.State != documents.Sent {
			t.Errorf("an express document is %v", out.State)
		}
		b.clock.set("2026-03-09 10:31")
		if n, err := b.desk.SendDue(ctx); n != 1 || err != nil {
			t.Errorf("sent %d at the time, %v", n, err)
		}
		if out := b.out(t, id); out.State != documents.Sent {
			t.Errorf("at its time it is %v", out.State)
		}
		late := func() (found, passed bool) {
			for _, a := range must[[]documents.Alert](t)(b.desk.Alerts(ctx, clerk)) {
				if a.Row.ID == forgotten && a.Kind == "clock.send" {
					return true, a.Late
				}
			}
			return false, false
		}
		if found, passed := late(); !found || passed {
			t.Errorf("before the limit: alert %v, late %v", found, passed)
		}
		b.clock.set("2026-03-09 11:31")
		if found, passed := late(); !found || !passed {
			t.Errorf("after the limit: alert %v, late %v", found, passed)
		}
		ok(t, b.desk.SendNow(ctx, clerk, forgotten))
		refused(t, b.desk.SendNow(ctx, clerk, forgotten), errs.Conflict, "documents.wrong_state")
		if found, _ := late(); found {
			t.Error("a sent document is still to be sent")
		}
	})
}

// TestNothingHalfDone lets the axis' queue and the audit fail: the act leaves nothing behind.
func TestNothingHalfDone(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		id := b.signed(t, form())
		b.axis.fail = errors.New("queue is full")
		if err := b.desk.Issue(ctx, clerk, id, documents.SendWhen{Now: true}); err == nil {
			t.Error("issued without being queued")
		}
		b.axis.fail = nil
		b.acts.fail = errors.New("no audit")
		if err := b.desk.Issue(ctx, clerk, id, documents.SendWhen{Now: true}); err == nil {
			t.Error("issued without being audited")
		}
		b.acts.fail = nil
		b.axis.take()
		if out := b.out(t, id); out.State != documents.Signed {
			t.Errorf("it is %v", out.State)
		}
		ok(t, b.desk.Issue(ctx, clerk, id, documents.SendWhen{Now: true}))
		if n := len(b.axis.take()); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

// TestSecretsAreRefused tries every path with a document marked as a state secret (acceptance 26).
func TestSecretsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		const key = "documents.secret_refused"
		for _, change := range []func(f *documents.DraftForm){
			func(f *documents.DraftForm) { f.Secrecy = documents.SecrecyMat },
			func(f *documents.DraftForm) { f.Secrecy = documents.SecrecyTuy },
			func(f *documents.DraftForm) { f.Secrecy = "khác" },
			func(f *documents.DraftForm) { f.Circulation = "MẬT" },
			func(f *documents.DraftForm) { f.DrafterMark = "Tối mật" },
		} {
			f := form()
			change(&f)
			_, err := b.desk.Draft(ctx, drafter, f)
			refused(t, err, errs.Invalid, key)
			id := must[string](t)(b.desk.Draft(ctx, drafter, form()))
			refused(t, b.desk.Save(ctx, drafter, id, 1, f), errs.Invalid, key)
			sent := b.sent(t, form())
			_, err = b.desk.Replace(ctx, drafter, sent, documents.AmendForm{Reason: "x", Form: f})
			refused(t, err, errs.Invalid, key)
			b.axis.take()
		}
		id := must[string](t)(b.desk.Draft(ctx, drafter, form()))
		_, err := b.desk.Attach(ctx, drafter, id, 0, "Mật.pdf", "", strings.NewReader("%PDF-1.4"))
		refused(t, err, errs.Invalid, key)
		paper := documents.PaperForm{SenderName: "Bộ Ví Dụ", Number: "1", Notation: "BVD", Date: "2026-03-01", Type: "CV", Subject: "x", Secrecy: documents.SecrecyToi}
		_, err = b.desk.EnterPaper(ctx, clerk, paper)
		refused(t, err, errs.Invalid, key)
		paper.Secrecy, paper.Circulation = "", "Độ mật: Tuyệt mật"
		_, err = b.desk.EnterPaper(ctx, clerk, paper)
		refused(t, err, errs.Invalid, key)

		// A document that became secret by a changed list of marks after it was drafted stops at the next step.
		f := form()
		f.Circulation = "Nội bộ đặc biệt"
		ready, issued := b.signed(t, f), b.signed(t, f)
		ok(t, b.desk.Issue(ctx, clerk, issued, documents.SendWhen{}))
		b.axis.take()
		b.desk.SecretMarks = []string{"Nội bộ đặc biệt"}
		refused(t, b.desk.Issue(ctx, clerk, ready, documents.SendWhen{Now: true}), errs.Invalid, key)
		refused(t, b.desk.SendNow(ctx, clerk, issued), errs.Invalid, key)
		b.desk.SecretMarks = nil
		// From the axis: another desk's marks were more lenient.
		ok(t, b.desk.SendNow(ctx, clerk, issued))
		b.desk.SecretMarks = []string{"Nội bộ đặc biệt"}
		c := b.axis.take()[0]
		_, err = b.desk.Receive(ctx, documents.Arrival{Message: "m1", Receiver: "H57", Payload: c.Payload, At: b.clock.now()})
		refused(t, err, errs.Invalid, key)
		rows := must[[]documents.Row](t)(b.desk.ListIncoming(ctx, clerk2, documents.Query{}))
		if len(rows) != 0 || len(b.axis.take()) != 0 {
			t.Errorf("a secret document left %d rows", len(rows))
		}
	})
}

// TestWhoMaySee shows officers only what they drafted, reviewed, signed or were given; clerks and heads see their office;
// nobody sees another office's. Each opening is kept.
func TestWhoMaySee(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		id := must[string](t)(b.desk.Draft(ctx, drafter, form()))
		for _, tt := range []struct {
			who  documents.Actor
			sees bool
		}{{drafter, true}, {second, false}, {clerk, true}, {head, true}, {review, true}, {clerk2, false}, {head2, false}, {person("la", "Người Lạ", "G01", documents.RoleHead), false}} {
			_, err := b.desk.Outgoing(ctx, tt.who, id)
			if (err == nil) != tt.sees {
				t.Errorf("%s: %v", tt.who.Account, err)
			}
			rows, err := b.desk.ListOutgoing(ctx, tt.who, documents.Query{})
			if tt.sees != (len(rows) == 1) && !errs.Is(err, errs.Denied) {
				t.Errorf("%s lists %d, %v", tt.who.Account, len(rows), err)
			}
		}
		ok(t, b.desk.Submit(ctx, drafter, id, 0, second.Account, ""))
		if _, err := b.desk.Outgoing(ctx, second, id); err != nil {
			t.Errorf("the reviewer: %v", err)
		}
		opened := must[[]documents.Opening](t)(b.desk.Openings(ctx, clerk, id))
		var who []string
		for _, o := range opened {
			who = append(who, o.Account)
		}
		slices.Sort(who)
		if want := []string{"chuyenvien", "giamdoc", "soan", "truongphong", "vanthu"}; !slices.Equal(who, want) {
			t.Errorf("opened by %v; want %v", who, want)
		}
		if _, err := b.store.DB.ExecContext(ctx, `DELETE FROM documents_opening`); err == nil {
			t.Error("the access history can be deleted")
		}
		if _, err := b.store.DB.ExecContext(ctx, `UPDATE documents_event SET hash = 'x'`); err == nil {
			t.Error("events can be changed")
		}
	})
}

// TestSearch finds by number with or without its zero, by date, agency and words without accents.
func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.received(t, form())
		f := form()
		f.Subject, f.Receivers, f.Urgency = "Báo cáo 100% tình hình_chuyển đổi số", []string{"G98", "H57"}, documents.Urgent
		b.clock.set("2026-03-08 09:00")
		b.received(t, f)
		for _, tt := range []struct {
			q         documents.Query
			out, in   int
			firstLike string
		}{
			{documents.Query{}, 2, 2, "Báo cáo"},
			{documents.Query{Number: "2"}, 1, 1, "Báo cáo"},
			{documents.Query{Number: "02"}, 1, 1, "Báo cáo"},
			{documents.Query{Number: "3"}, 0, 0, ""},
			{documents.Query{Words: "chuyen doi"}, 1, 1, "Báo cáo"},
			{documents.Query{Words: "CHUYỂN thu"}, 0, 0, ""},
			{documents.Query{Words: "100%"}, 1, 1, "Báo cáo"},
			{documents.Query{Words: "hinh_ch"}, 1, 1, "Báo cáo"},
			{documents.Query{Words: "hinhxch"}, 0, 0, ""},
			{documents.Query{Words: "'; DROP TABLE documents_document; --"}, 0, 0, ""},
			{documents.Query{From: "2026-03-06"}, 1, 1, "Báo cáo"},
			{documents.Query{To: "2026-03-05"}, 1, 1, "V/v"},
			{documents.Query{Urgent: true}, 1, 1, "Báo cáo"},
			{documents.Query{Party: "G98"}, 1, 0, "Báo cáo"},
			{documents.Query{Party: "H36"}, 0, 2, ""},
			{documents.Query{Party: "H5"}, 0, 0, ""},
			{documents.Query{Words: "hue"}, 2, 0, "Báo cáo"},
			{documents.Query{Sort: "urgent", Limit: 1}, 1, 1, "Báo cáo"},
			{documents.Query{Offset: 1}, 1, 1, "V/v"},
		} {
			out, err := b.desk.ListOutgoing(ctx, clerk, tt.q)
			ok(t, err)
			in, err := b.desk.ListIncoming(ctx, clerk2, tt.q)
			ok(t, err)
			if len(out) != tt.out || len(in) != tt.in || len(out) > 0 && !strings.HasPrefix(out[0].Subject, tt.firstLike) {
				t.Errorf("%+v: %d out, %d in", tt.q, len(out), len(in))
			}
		}
	})
}

// TestHostilePayload gives the desk messages that cannot be: each is refused for good and leaves nothing.
func TestHostilePayload(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		for i, text := range []string{"", "không phải XML", "<edXML/>", "<!DOCTYPE x [<!ENTITY a \"b\">]><edXML>&a;</edXML>", strings.Repeat("<a>", 1000)} {
			p := must[blobs.Blob](t)(b.desk.Blobs.Put(strings.NewReader(text)))
			_, err := b.desk.Receive(ctx, documents.Arrival{Message: fmt.Sprint(i), Receiver: "H57", Payload: p, At: b.clock.now()})
			refused(t, err, errs.Invalid, "documents.message_invalid")
		}
		_, err := b.desk.Receive(ctx, documents.Arrival{Message: "x", Receiver: "H99"})
		refused(t, err, errs.NotFound, "documents.office_unknown")
		if rows := must[[]documents.Row](t)(b.desk.ListIncoming(ctx, clerk2, documents.Query{})); len(rows) != 0 {
			t.Errorf("%d documents", len(rows))
		}
	})
}

// TestArrivesOnce gives the same copy several times at once: one document, one status 01.
func TestArrivesOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := context.WithoutCancel(t.Context())
		b.sent(t, form())
		c := b.axis.take()[0]
		var wg sync.WaitGroup
		var mu sync.Mutex
		fresh := 0
		for range 6 {
			wg.Go(func() {
				r, err := b.desk.Receive(ctx, documents.Arrival{Message: "copy", Receiver: "H57", Payload: c.Payload, At: b.clock.now()})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if !r.Repeated {
					fresh++
				}
			})
		}
		wg.Wait()
		rows := must[[]documents.Row](t)(b.desk.ListIncoming(ctx, clerk2, documents.Query{}))
		if fresh != 1 || len(rows) != 1 || len(rows[0].Flags) != 0 {
			t.Errorf("%d taken, %d documents", fresh, len(rows))
		}
	})
}
