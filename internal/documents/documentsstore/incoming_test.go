package documentsstore

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/edxml"
	"truc/internal/blobs"
	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/i18n"
)

// accept looks at a document and accepts it.
func (b *bench) accept(tb testing.TB, id string) {
	tb.Helper()
	must[documents.CheckRecord](tb)(b.desk.Precheck(tb.Context(), clerk2, id))
	ok(tb, b.desk.Accept(tb.Context(), clerk2, id, ""))
}

// TestArrivalAndAcceptance: 01 goes without a person; acceptance needs a recorded look at the pre-check; the number of
// arrival is gapless; a refusal needs a reason and is final (acceptance 19).
func TestArrivalAndAcceptance(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		out, in := b.received(t, form())
		if tr := b.out(t, out).Tracks()[0]; tr.Status != documents.StatusArrived || tr.Heard[0].Staff != "Hệ thống quản lý văn bản" {
			t.Errorf("after arrival: %+v", tr)
		}
		refused(t, b.desk.Accept(ctx, clerk2, in, ""), errs.Conflict, "documents.check_first")
		refused(t, b.desk.Accept(ctx, worker2, in, ""), errs.Denied, "documents.role_missing")
		must[documents.CheckRecord](t)(b.desk.Precheck(ctx, head2, in)) // a look of somebody else does not count
		refused(t, b.desk.Accept(ctx, clerk2, in, ""), errs.Conflict, "documents.check_first")
		refused(t, b.desk.Assign(ctx, head2, in, documents.AssignForm{Lead: documents.Share{Account: worker2.Account}}), errs.Conflict, "documents.wrong_state")
		check := must[documents.CheckRecord](t)(b.desk.Precheck(ctx, clerk2, in))
		if !check.Intact || check.Legal != documents.LegalOriginal || !check.SenderKnown || len(check.Files) != 1 || len(check.Files[0].Signatures) != 2 {
			t.Errorf("pre-check: %+v", check)
		}
		ok(t, b.desk.Accept(ctx, clerk2, in, ""))
		refused(t, b.desk.Refuse(ctx, clerk2, in, "muộn"), errs.Conflict, "documents.wrong_state")
		_, second := b.received(t, form())
		refused(t, b.desk.Refuse(ctx, clerk2, second, "  "), errs.Invalid, "documents.reason_missing")
		ok(t, b.desk.Refuse(ctx, clerk2, second, "Gửi nhầm cơ quan"))
		refused(t, b.desk.Accept(ctx, clerk2, second, ""), errs.Conflict, "documents.wrong_state")
		third, in3 := b.received(t, form())
		b.accept(t, in3)
		if a, c := b.in(t, in), b.in(t, in3); a.Number != "01" || c.Number != "02" {
			t.Errorf("numbers of arrival %s, %s", a.Number, c.Number)
		}
		b.deliver(t)
		_ = third
		rows := must[[]documents.Row](t)(b.desk.ListOutgoing(ctx, clerk, documents.Query{Flagged: true}))
		if len(rows) != 1 || !slices.Equal(rows[0].Flags, []string{documents.FlagRefused}) {
			t.Errorf("flagged: %+v", rows)
		}
		tr := b.out(t, rows[0].ID).Tracks()[0]
		if tr.Status != documents.StatusRefused || tr.Reason != "Gửi nhầm cơ quan" {
			t.Errorf("refused: %v %q", tr.Status, tr.Reason)
		}
	})
}

// TestPrecheck shows what is wrong with what arrives: changed files, missing signatures, an unknown sender, content that is
// not what the name says.
func TestPrecheck(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		_, in := b.received(t, form())
		b.corrupt(t, b.in(t, in).Files[0].SHA256)
		check := must[documents.CheckRecord](t)(b.desk.Precheck(ctx, clerk2, in))
		if check.Intact || check.Files[0].Intact || check.Legal != documents.LegalInformation {
			t.Errorf("a changed file: %+v", check)
		}
		refused(t, b.desk.Accept(ctx, clerk2, in, ""), errs.Conflict, "documents.not_intact")
		ok(t, b.desk.Refuse(ctx, clerk2, in, "Tệp bị thay đổi"))
		for _, tt := range []struct {
			name, main  string
			legal       documents.LegalValue
			known, lies bool
			from        string
		}{
			{"both", "%PDF-1.7\nSIG person A|G98\nSIG agency Bộ|G98\n", documents.LegalOriginal, true, false, "G98"},
			{"a unit under the agency's seal", "%PDF-1.7\nSIG person A|G98\nSIG agency Bộ|G98\n", documents.LegalOriginal, false, false, "G98.05"},
			{"person only", "%PDF-1.7\nSIG person A|G98\n", documents.LegalInformation, true, false, "G98"},
			{"agency only", "%PDF-1.7\nSIG agency Bộ|G98\n", documents.LegalInformation, true, false, "G98"},
			{"agency before person", "%PDF-1.7\nSIG agency Bộ|G98\nSIG person A|G98\n", documents.LegalInformation, true, false, "G98"},
			{"another agency's seal", "%PDF-1.7\nSIG person A|G98\nSIG agency Khác|G77\n", documents.LegalInformation, true, false, "G98"},
			{"unsigned", "%PDF-1.7\n", documents.LegalInformation, true, false, "G98"},
			{"not a PDF", "không phải PDF", documents.LegalInformation, true, true, "G98"},
			{"unknown sender", "%PDF-1.7\nSIG person A|H88\nSIG agency Bộ|H88\n", documents.LegalOriginal, false, false, "H88"},
		} {
			id := b.foreign(t, tt.from, tt.name, tt.main)
			check := must[documents.CheckRecord](t)(b.desk.Precheck(ctx, clerk2, id))
			if !check.Intact || check.Legal != tt.legal || check.SenderKnown != tt.known || check.Files[0].Lies != tt.lies {
				t.Errorf("%s: %+v", tt.name, check)
			}
		}
	})
}

// foreign lets a document of an agency outside this node arrive.
func (b *bench) foreign(tb testing.TB, from, name, main string) string {
	tb.Helper()
	return b.arrive(tb, &edxml.Message{
		From: edxml.Organization{ID: from, Name: "Cơ quan " + from}, To: []edxml.Organization{{ID: "H57", Name: "Huế"}},
		DocumentID: from + ",2026/03/05," + name, Code: edxml.Code{Number: fmt.Sprint(100 + b.copies), Notation: "BVD-VP"},
		Date: edxml.Date{Year: 2026, Month: 3, Day: 5}, Type: edxml.DocumentType{Name: "Công văn"}, Subject: "Văn bản " + name,
		Signer:      edxml.Signer{FullName: "Người Ký"},
		Attachments: []edxml.Attachment{b.file(tb, "van-ban.pdf", main)},
	})
}

func (b *bench) file(tb testing.TB, name, content string) edxml.Attachment {
	tb.Helper()
	blob := must[blobs.Blob](tb)(b.desk.Blobs.Put(strings.NewReader(content)))
	return edxml.Attachment{ContentID: "f1", Name: name, ContentType: "application/pdf", Size: blob.Size, SHA256: blob.SHA256, Open: func() (io.ReadCloser, error) {
		r, _, err := b.desk.Blobs.Open(blob.SHA256)
		return r, err
	}}
}

func (b *bench) arrive(tb testing.TB, m *edxml.Message) string {
	tb.Helper()
	w, err := b.desk.Blobs.Create()
	ok(tb, err)
	ok(tb, edxml.Write(w, m))
	blob := must[blobs.Blob](tb)(w.Commit())
	b.copies++
	r := must[documents.Received](tb)(b.desk.Receive(tb.Context(), documents.Arrival{Message: fmt.Sprintf("copy-%d", b.copies), Receiver: "H57", Payload: blob, At: b.clock.now()}))
	return r.Document
}

// TestDuplicates raises an alert for a second document with the same identifier, or the same number, notation and agency
// in one year (acceptance 24).
func TestDuplicates(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		m := &edxml.Message{
			From: edxml.Organization{ID: "G98", Name: "Bộ Ví Dụ"}, To: []edxml.Organization{{ID: "H57", Name: "Huế"}},
			DocumentID: "G98,2026/03/05,08/BVD-VP", Code: edxml.Code{Number: "08", Notation: "BVD-VP"}, Date: edxml.Date{Year: 2026, Month: 3, Day: 5},
			Type: edxml.DocumentType{Name: "Công văn"}, Subject: "Một", Signer: edxml.Signer{FullName: "A"},
		}
		first := b.arrive(t, m)
		same := *m
		same.Subject = "Hai"
		second := b.arrive(t, &same)
		code := *m
		code.DocumentID, code.Code.Number = "khac", "8"
		third := b.arrive(t, &code)
		nextYear := code
		nextYear.DocumentID, nextYear.Date.Year = "nam-truoc", 2025
		fourth := b.arrive(t, &nextYear)
		other := *m
		other.From.ID = "G99"
		fifth := b.arrive(t, &other)
		want := map[string][]string{
			first: nil, second: {documents.FlagDuplicateID, documents.FlagDuplicateCode}, third: {documents.FlagDuplicateCode}, fourth: nil, fifth: nil,
		}
		for _, r := range must[[]documents.Row](t)(b.desk.ListIncoming(ctx, clerk2, documents.Query{})) {
			if !slices.Equal(r.Flags, want[r.ID]) {
				t.Errorf("%s %s: flags %v; want %v", r.DocumentID, r.Subject, r.Flags, want[r.ID])
			}
		}
		check := must[documents.CheckRecord](t)(b.desk.Precheck(ctx, clerk2, second))
		if !slices.Equal(check.SameID, []string{first}) || !slices.Equal(check.SameCode, []string{first}) {
			t.Errorf("pre-check of the second: %+v", check)
		}
		alerts := 0
		for _, a := range must[[]documents.Alert](t)(b.desk.Alerts(ctx, clerk2)) {
			if strings.HasPrefix(a.Kind, "flag.duplicate") {
				alerts++
			}
		}
		if alerts != 3 {
			t.Errorf("%d alerts of duplicates; want 3", alerts)
		}
	})
}

// TestHandling assigns several people with limits, takes opinions, links the answer, and finishes; only who has a part may
// act.
func TestHandling(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		out, in := b.received(t, form())
		b.accept(t, in)
		due := b.clock.now().Add(48 * time.Hour)
		share := func(account string, d time.Time) documents.Share { return documents.Share{Account: account, Due: d} }
		assign := func(f documents.AssignForm) error { return b.desk.Assign(ctx, head2, in, f) }
		refused(t, b.desk.Assign(ctx, worker2, in, documents.AssignForm{}), errs.Denied, "documents.role_missing")
		refused(t, assign(documents.AssignForm{Lead: share("khong-co", due)}), errs.Invalid, "documents.person_unknown")
		refused(t, assign(documents.AssignForm{Lead: share(worker2.Account, due), Helpers: []documents.Share{share(worker2.Account, due)}}), errs.Invalid, "documents.person_twice")
		refused(t, assign(documents.AssignForm{Lead: share(worker2.Account, due.Add(time.Hour)), Due: due}), errs.Invalid, "documents.due_invalid")
		refused(t, assign(documents.AssignForm{Lead: share(worker2.Account, b.clock.now().Add(-time.Hour))}), errs.Invalid, "documents.due_invalid")
		if _, err := b.desk.Incoming(ctx, worker2, in); !errs.Is(err, errs.NotFound) {
			t.Errorf("before it was assigned the officer sees it: %v", err)
		}
		helper := second
		helper.Agency = "H57"
		ok(t, assign(documents.AssignForm{Lead: share(worker2.Account, time.Time{}), Helpers: []documents.Share{share(helper.Account, due.Add(-24*time.Hour))}, Due: due, Instruction: "Tham mưu trả lời"}))
		stranger := drafter
		stranger.Agency = "H57"
		refused(t, b.desk.Start(ctx, stranger, in), errs.NotFound, "documents.not_found")
		refused(t, b.desk.Start(ctx, clerk2, in), errs.Denied, "documents.not_your_turn")
		ok(t, b.desk.Start(ctx, worker2, in))
		ok(t, b.desk.Opine(ctx, head2, in, "Chú ý thời hạn"))
		ok(t, b.desk.Progress(ctx, worker2, in, "Đang lấy ý kiến"))
		if doc := b.in(t, in); doc.State != documents.Working || len(doc.Opinions) != 3 || !doc.DueDate.Equal(due) || doc.Instruction != "Tham mưu trả lời" {
			t.Errorf("%v, %d opinions, due %v", doc.State, len(doc.Opinions), doc.DueDate)
		}
		row := must[[]documents.Row](t)(b.desk.FollowUp(ctx, worker2, documents.Query{}))[0]
		if !row.Due.Equal(due.Add(-24*time.Hour)) || row.Clock != documents.ClockWork {
			t.Errorf("nearest limit %v %s", row.Due, row.Clock)
		}
		ok(t, b.desk.Finish(ctx, helper, in, "Xong phần phối hợp"))
		if doc := b.in(t, in); doc.State != documents.Working || doc.People[1].Finished.IsZero() {
			t.Errorf("after a helper's part: %v", doc.State)
		}
		reply := must[string](t)(b.desk.Reply(ctx, worker2, in))
		f := must[*documents.Outgoing](t)(b.desk.Outgoing(ctx, worker2, reply)).Form
		if !slices.Equal(f.Receivers, []string{"H36"}) || !strings.Contains(f.Subject, "01/UBND-VX") {
			t.Errorf("the answer: %+v", f)
		}
		f.Body, f.Unit, f.Signer = "Trả lời như sau.", "VP", head2.Account
		ok(t, b.desk.Save(ctx, worker2, reply, 1, f))
		ok(t, b.desk.Submit(ctx, worker2, reply, 0, "", ""))
		ok(t, b.desk.SignAsPerson(ctx, head2, reply))
		ok(t, b.desk.Issue(ctx, clerk2, reply, documents.SendWhen{Now: true}))
		ok(t, b.desk.Finish(ctx, worker2, in, "Đã trả lời"))
		b.clock.add(time.Minute)
		got := b.deliver(t)
		answer := must[*documents.Incoming](t)(b.desk.Incoming(ctx, clerk, got[slices.IndexFunc(got, func(r documents.Received) bool { return !r.Status })].Document))
		if !slices.Equal(answer.Arrival.Answers, []string{b.out(t, out).DocumentID}) {
			t.Errorf("the answer names %v", answer.Arrival.Answers)
		}
		asked := b.out(t, out)
		if len(answer.Answered) != 1 || answer.Answered[0].ID != out || len(asked.Answers) != 1 || asked.Answers[0].ID != answer.ID || asked.Answers[0].Code != "01/UBND-VP" {
			t.Errorf("links: %+v and %+v", answer.Answered, asked.Answers)
		}
		if tr := asked.Tracks()[0]; tr.Status != documents.StatusDone || len(tr.Impossible) != 0 {
			t.Errorf("%v, impossible %v", tr.Status, tr.Impossible)
		}
		day := b.clock.now()
		table := must[documents.Table](t)(b.desk.RegisterFollowUp(ctx, clerk2, "", day.Add(-24*time.Hour), day.Add(time.Hour)))
		if len(table.Columns) != 7 || len(table.Rows) != 1 || table.Rows[0][0] != "01" || table.Rows[0][5] != "01/UBND-VP" || !strings.HasPrefix(table.Rows[0][4], "Đã hoàn thành") {
			t.Errorf("follow-up register: %q", table.Rows)
		}
	})
}

// TestUnconfirmedIsAnAlert wants both sides to see that a receipt was not confirmed within the day (acceptance 20).
func TestUnconfirmedIsAnAlert(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		out, in := b.received(t, form())
		late := func(by documents.Actor, id string) bool {
			return slices.ContainsFunc(must[[]documents.Alert](t)(b.desk.Alerts(ctx, by)), func(a documents.Alert) bool {
				return a.Row.ID == id && a.Kind == "clock.confirm" && a.Late
			})
		}
		b.clock.set("2026-03-05 23:59")
		if late(clerk, out) || late(clerk2, in) {
			t.Error("late on the same day")
		}
		b.clock.set("2026-03-06 00:01")
		if !late(clerk, out) || !late(clerk2, in) {
			t.Errorf("not late the day after: sender %v, receiver %v", late(clerk, out), late(clerk2, in))
		}
		b.accept(t, in)
		b.deliver(t)
		if late(clerk, out) || late(clerk2, in) {
			t.Error("late after it was accepted")
		}
	})
}

// TestRevocation freezes the outgoing document, has the incoming one cancelled before 15 can be sent, keeps both with
// their history, and each side sees the other (acceptance 19, 25).
func TestRevocation(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		out, in := b.received(t, form())
		b.accept(t, in)
		b.deliver(t)
		_, err := b.desk.Revoke(ctx, drafter, out, documents.AmendForm{})
		refused(t, err, errs.Invalid, "documents.reason_missing")
		revoking := must[string](t)(b.desk.Revoke(ctx, drafter, out, documents.AmendForm{Reason: "Ban hành sai thẩm quyền"}))
		if o := b.out(t, out); o.State != documents.Sent {
			t.Errorf("a drafted revocation froze it: %v", o.State)
		}
		refused(t, b.desk.AnswerRecall(ctx, clerk2, in, true, ""), errs.Conflict, "documents.no_recall")
		refused(t, b.desk.Cancel(ctx, clerk2, in, ""), errs.Conflict, "documents.no_recall")
		b.clock.add(time.Hour)
		b.finishDraft(t, revoking)
		old := b.out(t, out)
		if old.State != documents.Revoked || len(old.Amended) != 1 || old.Amended[0].ID != revoking || old.Main == nil {
			t.Fatalf("after the revocation: %v %+v", old.State, old.Amended)
		}
		refused(t, b.desk.Recall(ctx, clerk, out, nil, "x"), errs.Conflict, "documents.wrong_state")
		_, err = b.desk.Update(ctx, drafter, out, documents.AmendForm{Reason: "x"})
		refused(t, err, errs.Conflict, "documents.wrong_state")
		b.deliver(t)
		doc := b.in(t, in)
		open := doc.OpenRecall()
		if open == nil || open.Kind != documents.KindRevocation || open.Reason != "Ban hành sai thẩm quyền" || doc.MayAgree() {
			t.Fatalf("at the receiver: %+v, may agree %v", open, doc.MayAgree())
		}
		refused(t, b.desk.AnswerRecall(ctx, clerk2, in, true, ""), errs.Conflict, "documents.cancel_first")
		refused(t, b.desk.AnswerRecall(ctx, clerk2, in, false, ""), errs.Invalid, "documents.reason_missing")
		refused(t, b.desk.Cancel(ctx, worker2, in, ""), errs.Denied, "documents.role_missing")
		ok(t, b.desk.Cancel(ctx, clerk2, in, "Theo thông báo thu hồi"))
		if !b.in(t, in).MayAgree() {
			t.Error("after the cancellation agreement is not offered")
		}
		refused(t, b.desk.AnswerRecall(ctx, clerk2, in, false, "không"), errs.Conflict, "documents.cancelled_already")
		b.clock.add(time.Minute)
		ok(t, b.desk.AnswerRecall(ctx, clerk2, in, true, ""))
		b.deliver(t)
		if tr := b.out(t, out).Tracks()[0]; !tr.Revoked || tr.RecallOpen || len(tr.Impossible) != 0 {
			t.Errorf("the sender sees %+v", tr)
		}
		doc = b.in(t, in)
		if doc.State != documents.Cancelled || doc.Cancelled == nil || doc.Number != "01" || doc.Arrival.Subject == "" || len(doc.Files) == 0 {
			t.Errorf("the cancelled document: %v", doc.State)
		}
		refused(t, b.desk.Start(ctx, head2, in), errs.Conflict, "documents.wrong_state")
		day := b.clock.now()
		table := must[documents.Table](t)(b.desk.RegisterOutgoing(ctx, clerk, "", day.Add(-24*time.Hour), day.Add(time.Hour)))
		if table.Rows[0][9] != "Thu hồi bởi 02/UBND-VX" || table.Rows[1][9] != "Thu hồi 01/UBND-VX" {
			t.Errorf("register: %q", table.Rows)
		}
	})
}

// finishDraft takes a draft to its receivers.
func (b *bench) finishDraft(tb testing.TB, id string) {
	tb.Helper()
	ctx := tb.Context()
	ok(tb, b.desk.Submit(ctx, drafter, id, 0, "", ""))
	ok(tb, b.desk.SignAsPerson(ctx, head, id))
	ok(tb, b.desk.Issue(ctx, clerk, id, documents.SendWhen{Now: true}))
}

// TestRecall asks a document back (13): it is found with sender and receiver changed; a refusal keeps it as it was.
func TestRecall(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		out, in := b.received(t, form())
		b.accept(t, in)
		b.deliver(t)
		refused(t, b.desk.Recall(ctx, clerk, out, nil, ""), errs.Invalid, "documents.reason_missing")
		refused(t, b.desk.Recall(ctx, drafter, out, nil, "x"), errs.Denied, "documents.role_missing")
		refused(t, b.desk.Recall(ctx, clerk, out, []string{"G98"}, "x"), errs.Invalid, "documents.receivers_missing")
		b.clock.add(time.Hour)
		ok(t, b.desk.Recall(ctx, clerk, out, nil, "Gửi nhầm"))
		b.deliver(t)
		if open := b.in(t, in).OpenRecall(); open == nil || open.Kind != documents.KindNew || open.Reason != "Gửi nhầm" {
			t.Fatalf("at the receiver: %+v", open)
		}
		if tr := b.out(t, out).Tracks()[0]; !tr.RecallOpen {
			t.Error("the sender does not see the open recall")
		}
		b.clock.add(time.Minute)
		ok(t, b.desk.AnswerRecall(ctx, clerk2, in, false, "Đang xử lý"))
		b.deliver(t)
		tr := b.out(t, out).Tracks()[0]
		if tr.RecallOpen || tr.RecallRefused != "Đang xử lý" || tr.Status != documents.StatusAccepted || tr.Revoked {
			t.Errorf("after 16: %+v", tr)
		}
		b.clock.add(time.Hour)
		ok(t, b.desk.Recall(ctx, clerk, out, []string{"H57"}, "Lần hai"))
		b.deliver(t)
		refused(t, b.desk.AnswerRecall(ctx, clerk2, in, true, ""), errs.Conflict, "documents.cancel_first")
		ok(t, b.desk.Cancel(ctx, clerk2, in, ""))
		b.clock.add(time.Minute)
		ok(t, b.desk.AnswerRecall(ctx, clerk2, in, true, ""))
		b.deliver(t)
		if tr := b.out(t, out).Tracks()[0]; !tr.Revoked || tr.RecallOpen {
			t.Errorf("after 15: %+v", tr)
		}
		if doc := b.in(t, in); doc.State != documents.Cancelled || doc.Cancelled.Reason != "Lần hai" {
			t.Errorf("at the receiver: %v %+v", doc.State, doc.Cancelled)
		}
	})
}

// TestUpdateAndReplace changes content and receivers (2) and puts a document in another's place (3): both sides keep both
// and know of each other (acceptance 25).
func TestUpdateAndReplace(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		f := form()
		f.Receivers = []string{"H57", "G98"}
		out := must[string](t)(b.desk.Draft(ctx, drafter, f))
		must[documents.File](t)(b.desk.Attach(ctx, drafter, out, 0, "phu-luc.pdf", "", strings.NewReader("%PDF-1.4 phụ lục")))
		b.finishDraft(t, out)
		in := b.deliver(t)[0].Document
		b.accept(t, in)
		b.deliver(t)
		b.clock.add(time.Hour)
		update := must[string](t)(b.desk.Update(ctx, drafter, out, documents.AmendForm{
			Reason: "Sửa phụ lục", Removed: []string{"G98"}, Form: documents.DraftForm{Body: "Nội dung mới."},
		}))
		b.finishDraft(t, update)
		if _, text := b.open(t, clerk, update, b.out(t, update).Attachments[0].ID); strings.Count(text, "SIG agency") != 1 || !strings.Contains(text, "phụ lục") {
			t.Errorf("the attachment went along as %q", text)
		}
		m := b.payload(t, update)
		if m.Business.Kind != edxml.Update || m.Business.DocumentID != b.out(t, out).DocumentID || len(m.Business.Changes) != 1 ||
			len(m.Business.Changes[0].List) != 1 || m.Business.Changes[0].List[0] != (edxml.ReceiverChange{OrganID: "G98"}) {
			t.Errorf("edXML of the update: %+v", m.Business)
		}
		b.deliver(t)
		if open := b.in(t, in).OpenRecall(); open == nil || open.Kind != documents.KindUpdate {
			t.Fatalf("at the receiver: %+v", open)
		}
		b.clock.add(time.Minute)
		ok(t, b.desk.AnswerRecall(ctx, clerk2, in, true, "Đã cập nhật"))
		b.deliver(t)
		tracks := b.out(t, out).Tracks()
		if !tracks[0].Updated || tracks[0].Revoked || tracks[0].Status != documents.StatusAccepted || b.out(t, out).State != documents.Sent {
			t.Errorf("after the update: %+v", tracks[0])
		}
		b.clock.add(time.Hour)
		replace := must[string](t)(b.desk.Replace(ctx, drafter, out, documents.AmendForm{Reason: "Thay toàn bộ", Also: []string{update}, Removed: []string{"G98"}}))
		b.finishDraft(t, replace)
		m = b.payload(t, replace)
		if m.Business.Kind != edxml.Replacement || len(edxml.Originals(m)) != 2 || len(m.To) != 1 || m.To[0].ID != "H57" {
			t.Errorf("edXML of the replacement: %+v to %+v", m.Business, m.To)
		}
		if a, c := b.out(t, out), b.out(t, update); a.State != documents.Replaced || c.State != documents.Replaced {
			t.Errorf("replaced: %v, %v", a.State, c.State)
		}
		b.deliver(t)
		b.clock.add(time.Minute)
		ok(t, b.desk.AnswerRecall(ctx, clerk2, in, true, ""))
		if doc := b.in(t, in); doc.State != documents.Replaced || len(doc.Recalls) != 2 || !doc.Recalls[1].Agreed {
			t.Errorf("at the receiver: %v %+v", doc.State, doc.Recalls)
		}
	})
}

func (b *bench) payload(tb testing.TB, id string) *edxml.Message {
	tb.Helper()
	out := b.out(tb, id)
	r, _, err := b.desk.Blobs.Open(out.Dispatches[0].Payload.SHA256)
	ok(tb, err)
	defer r.Close()
	return must[*edxml.Message](tb)(edxml.Read(r, edxml.ReadOptions{Now: b.clock.now()}))
}

// TestAxisNews folds what the axis tells: delivered, refused; once for each id; other news is dropped.
func TestAxisNews(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		f := form()
		f.Receivers = []string{"H57", "G98"}
		id := b.sent(t, f)
		carriage := b.out(t, id).Dispatches[0].Carriage
		at := b.clock.now().Add(time.Minute)
		news := func(n string, e documents.AxisEvent, to, text string) {
			t.Helper()
			ok(t, b.desk.HearAxis(ctx, documents.AxisNews{ID: n, Carriage: carriage, Event: e, Receiver: to, At: at, Text: text}))
		}
		news("1", documents.AxisDelivered, "G98", "")
		news("1", documents.AxisFailed, "G98", "không tính")
		ok(t, b.desk.HearAxis(ctx, documents.AxisNews{ID: "9", Carriage: id + ".99", Event: documents.AxisFailed}))
		ok(t, b.desk.HearAxis(ctx, documents.AxisNews{ID: "10", Carriage: "khongco.1", Event: documents.AxisFailed}))
		tracks := b.out(t, id).Tracks()
		if !tracks[1].Steps[1].At.Equal(at) || tracks[1].AxisRefused || !tracks[0].Steps[1].At.IsZero() {
			t.Errorf("delivered to one: %+v", tracks)
		}
		news("3", documents.AxisOpened, "G98", "")
		if tr := b.out(t, id).Tracks(); !tr[1].Opened.Equal(at) || !tr[0].Opened.IsZero() {
			t.Errorf("opened: %+v", tr)
		}
		// The axis speaks of a copy by its own identifier, which it gave when it accepted the sending.
		about := func(n string, e documents.AxisEvent, carriage, docID, to string) {
			t.Helper()
			ok(t, b.desk.HearAxis(ctx, documents.AxisNews{ID: n, Carriage: carriage, Event: e, DocID: docID, Receiver: to, At: at}))
		}
		about("20", documents.AxisDelivered, id+".axis-1", "axis-1", "H57")
		about("21", documents.AxisDelivered, id+".axis-2", "axis-2", "H57")
		if tr := b.out(t, id).Tracks(); !tr[0].Steps[1].At.IsZero() {
			t.Errorf("delivered before it is known what: %+v", tr[0])
		}
		about("22", documents.AxisAccepted, carriage, "axis-1", "")
		if tr := b.out(t, id).Tracks(); !tr[0].Steps[1].At.Equal(at) {
			t.Errorf("delivered: %+v", tr[0])
		}
		news("2", documents.AxisRefused, "", "Mã cơ quan nhận không tồn tại")
		tracks = b.out(t, id).Tracks()
		if !tracks[0].AxisRefused || tracks[0].Reason != "Mã cơ quan nhận không tồn tại" {
			t.Errorf("refused: %+v", tracks[0])
		}
		rows := must[[]documents.Row](t)(b.desk.ListOutgoing(ctx, clerk, documents.Query{Flagged: true}))
		if len(rows) != 1 || rows[0].Flags[0] != documents.FlagAxisRefused {
			t.Errorf("flagged: %+v", rows)
		}
	})
}

// TestPaper enters a document that came on paper: registered like the others, and nothing is told to anybody.
func TestPaper(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		f := documents.PaperForm{
			SenderName: "Sở Mẫu", Number: "15", Notation: "QĐ-SM", Date: "2026-03-04", Type: "QĐ", Subject: "Về việc thử", Signer: "Ai Đó",
			Files: []documents.NewFile{{Name: "ban-quet.pdf", Content: strings.NewReader("%PDF-1.4 quét")}},
		}
		_, err := b.desk.EnterPaper(ctx, worker2, f)
		refused(t, err, errs.Denied, "documents.role_missing")
		id := must[string](t)(b.desk.EnterPaper(ctx, clerk2, f))
		b.accept(t, id)
		ok(t, b.desk.Assign(ctx, head2, id, documents.AssignForm{Lead: documents.Share{Account: worker2.Account}}))
		ok(t, b.desk.Finish(ctx, worker2, id, "Lưu"))
		doc := b.in(t, id)
		if doc.State != documents.Done || doc.Checks[0].Record.Legal != documents.LegalPaper || len(b.axis.take()) != 0 {
			t.Errorf("%v %v", doc.State, doc.Checks[0].Record.Legal)
		}
		day := b.clock.now()
		table := must[documents.Table](t)(b.desk.RegisterIncoming(ctx, clerk2, "", day.Add(-24*time.Hour), day.Add(time.Hour)))
		want := []string{"05/03/2026", "01", "Sở Mẫu", "15/QĐ-SM", "04/03/2026", "Quyết định: Về việc thử", "Hồ Cán Bộ", "05/03/2026", "", "Văn bản giấy"}
		if len(table.Columns) != 10 || len(table.Rows) != 1 || !slices.Equal(table.Rows[0], want) {
			t.Errorf("register: %q; want %q", table.Rows, want)
		}
		for _, change := range []func(f *documents.PaperForm){
			func(f *documents.PaperForm) { f.Subject = "" },
			func(f *documents.PaperForm) { f.Date = "2027-03-04" },
			func(f *documents.PaperForm) { f.Number = strings.Repeat("1", 12) },
			func(f *documents.PaperForm) { f.SenderName = strings.Repeat("ă", 201) },
		} {
			g := f
			g.Files = nil
			change(&g)
			_, err := b.desk.EnterPaper(ctx, clerk2, g)
			refused(t, err, errs.Invalid, "documents.form_invalid")
		}
	})
}

// TestStatisticsEqualRecount counts by the store and again from the events (acceptance 27).
func TestStatisticsEqualRecount(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		rnd := rand.New(rand.NewPCG(1, 2))
		var ids []string
		from := b.clock.now()
		for i := range 24 {
			f := form()
			f.Type = documents.Types()[i%5].Code
			out, in := b.received(t, f)
			ids = append(ids, out, in)
			if rnd.IntN(4) > 0 {
				must[documents.CheckRecord](t)(b.desk.Precheck(ctx, clerk2, in))
				switch rnd.IntN(4) {
				case 0:
					ok(t, b.desk.Refuse(ctx, clerk2, in, "trả lại"))
				case 1:
					ok(t, b.desk.Accept(ctx, clerk2, in, ""))
				default:
					ok(t, b.desk.Accept(ctx, clerk2, in, ""))
					ok(t, b.desk.Finish(ctx, head2, in, "xong"))
				}
			}
			b.deliver(t)
			b.clock.add(5 * time.Hour)
		}
		to := b.clock.now()
		b.received(t, form()) // after the period
		got := must[documents.Statistics](t)(b.desk.Statistics(ctx, clerk2, from, to))
		sender := must[documents.Statistics](t)(b.desk.Statistics(ctx, clerk, from, to))
		var want, wantSender documents.Statistics
		for _, id := range ids {
			s := must[documents.Stored](t)(b.store.Find(ctx, id))
			recount(s.Events, b.clock.now(), &want, &wantSender)
		}
		for name, pair := range map[string][2]int{
			"arrived": {got.Arrived, want.Arrived}, "accepted": {got.Accepted, want.Accepted}, "refused": {got.Refused, want.Refused},
			"done": {got.Done, want.Done}, "open": {got.Open, want.Open}, "late": {got.Late, want.Late},
			"issued": {sender.Issued, wantSender.Issued}, "sent": {sender.Sent, wantSender.Sent},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %d; a recount gives %d", name, pair[0], pair[1])
			}
		}
		byType := 0
		for _, c := range got.ByType {
			byType += c.In
		}
		if byType != want.Accepted || want.Refused == 0 || want.Done == 0 || want.Late == 0 {
			t.Errorf("by type %d; %+v", byType, want)
		}
	})
}

// recount counts one document by its events alone.
func recount(events []documents.Event, now time.Time, in, out *documents.Statistics) {
	var accepted, refusedIt, done bool
	var due time.Time
	for _, e := range events {
		switch e.Type {
		case documents.EvIssued:
			out.Issued++
		case documents.EvSent:
			out.Sent++
		case documents.EvArrived:
			in.Arrived++
			due = *e.Data.Due
		case documents.EvAccepted:
			accepted, due = true, *e.Data.Due
		case documents.EvRefused:
			refusedIt = true
		case documents.EvFinished:
			done = true
		default:
		}
	}
	if events[0].Type != documents.EvArrived {
		return
	}
	switch {
	case refusedIt:
		in.Refused++
		return
	case accepted:
		in.Accepted++
	}
	if done {
		in.Done++
		return
	}
	in.Open++
	if due.Before(now) {
		in.Late++
	}
}

// TestRegistersHaveTheColumnsOfTheLaw compares the columns with Decree 30/2020/NĐ-CP, appendix IV (acceptance 23, desk).
func TestRegistersHaveTheColumnsOfTheLaw(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.received(t, form())
		from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, i18n.Zone), time.Date(2027, 1, 1, 0, 0, 0, 0, i18n.Zone)
		table := must[documents.Table](t)(b.desk.RegisterOutgoing(ctx, clerk, "H36", from, to))
		want := []string{"01/UBND-VX", "05/03/2026", "Công văn: V/v thử nghiệm liên thông văn bản", "Nguyễn Giám Đốc", "UBND thành phố Huế", "VT", "1", "05/03/2026", "0/1 nơi đã tiếp nhận", ""}
		if !slices.Equal(table.Rows[0], want) || len(table.Columns) != 10 || !strings.HasPrefix(table.Columns[0], "Số, ký hiệu") || table.Columns[9] != "Ghi chú" {
			t.Errorf("%q\nwant %q", table.Rows[0], want)
		}
		_, err := b.desk.RegisterOutgoing(ctx, clerk, "H57", from, to)
		refused(t, err, errs.Denied, "documents.no_office")
		_, err = b.desk.RegisterIncoming(ctx, drafter, "", from, to)
		refused(t, err, errs.Denied, "documents.role_missing")
		_, err = b.desk.RegisterIncoming(ctx, clerk, "", to, from)
		refused(t, err, errs.Invalid, "documents.period_invalid")
	})
}
