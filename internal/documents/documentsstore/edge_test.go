package documentsstore

import (
	"slices"
	"strings"
	"testing"
	"time"

	"truc/edxml"
	"truc/internal/blobs"
	"truc/internal/documents"
	"truc/internal/errs"
)

// TestSendAgain sends anew what the axis refused as a whole, with other receivers; not what somebody has.
func TestSendAgain(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		f := form()
		f.Receivers = []string{"H57", "G98"}
		id := b.sent(t, f)
		refused(t, b.desk.SendAgain(ctx, clerk, id, nil), errs.Conflict, "documents.not_rejected")
		b.axis.take()
		first := b.out(t, id).Dispatches[0].Carriage
		ok(t, b.desk.HearAxis(ctx, documents.AxisNews{ID: "1", Carriage: first, Event: documents.AxisRefused, Code: 18, Text: "G98 không tồn tại", At: b.clock.now()}))
		refused(t, b.desk.SendAgain(ctx, drafter, id, nil), errs.Denied, "documents.role_missing")
		refused(t, b.desk.SendAgain(ctx, clerk, id, []string{"G77"}), errs.Invalid, "documents.receiver_unknown")
		ok(t, b.desk.SendAgain(ctx, clerk, id, []string{"H57"}))
		tracks := b.out(t, id).Tracks()
		if len(tracks) != 1 || tracks[0].Receiver.Code != "H57" || tracks[0].AxisRefused {
			t.Errorf("after it was sent again: %+v", tracks)
		}
		b.deliver(t)
		if tr := b.out(t, id).Tracks()[0]; tr.Status != documents.StatusArrived {
			t.Errorf("it did not arrive: %+v", tr)
		}
		refused(t, b.desk.SendAgain(ctx, clerk, id, nil), errs.Conflict, "documents.not_rejected")
	})
}

// TestRevocationOutOfOrder: a revocation that overtakes its document, and one under the very identifier of the document it
// revokes, as a vendor's sample has it.
func TestRevocationOutOfOrder(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		doc := func(id, number string, kind edxml.Kind, about string) *edxml.Message {
			return &edxml.Message{
				From: edxml.Organization{ID: "G98", Name: "Bộ Ví Dụ"}, To: []edxml.Organization{{ID: "H57", Name: "Huế"}},
				DocumentID: id, Code: edxml.Code{Number: number, Notation: "BVD-VP"}, Date: edxml.Date{Year: 2026, Month: 3, Day: 5},
				Type: edxml.DocumentType{Name: "Công văn"}, Subject: "Văn bản " + number, Signer: edxml.Signer{FullName: "A"},
				Business: edxml.Business{Kind: kind, DocumentID: about, Reason: "Sai"},
			}
		}
		b.arrive(t, doc("id-2", "02", edxml.Revocation, "id-1"))
		late := b.arrive(t, doc("id-1", "01", edxml.New, ""))
		if open := b.in(t, late).OpenRecall(); open == nil || open.Kind != documents.KindRevocation || open.Reason != "Sai" {
			t.Errorf("overtaken: %+v", open)
		}
		plain := b.arrive(t, doc("id-3", "03", edxml.New, ""))
		same := b.arrive(t, doc("id-3", "03", edxml.Revocation, ""))
		if open := b.in(t, plain).OpenRecall(); open == nil || open.Other != same {
			t.Errorf("under the same identifier: %+v", open)
		}
		for _, r := range must[[]documents.Row](t)(b.desk.ListIncoming(ctx, clerk2, documents.Query{})) {
			if slices.Contains(r.Flags, documents.FlagDuplicateID) || slices.Contains(r.Flags, documents.FlagDuplicateCode) {
				t.Errorf("%s %s is taken for a duplicate", r.DocumentID, r.Kind.Key())
			}
		}
		returned := b.arrive(t, doc("id-4", "04", edxml.New, ""))
		must[documents.CheckRecord](t)(b.desk.Precheck(ctx, clerk2, returned))
		ok(t, b.desk.Refuse(ctx, clerk2, returned, "Không thuộc thẩm quyền"))
		b.arrive(t, doc("id-5", "05", edxml.Revocation, "id-4"))
		if open := b.in(t, returned).OpenRecall(); open != nil {
			t.Errorf("a refused document waits for an answer: %+v", open)
		}
	})
}

// TestForeignStatuses: of an agency that took the receiver's place; of one that never got the document; with a clock that
// runs ahead; for a document nobody knows.
func TestForeignStatuses(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		f := form()
		f.Receivers = []string{"G98"}
		id := b.sent(t, f)
		out := b.out(t, id)
		b.axis.agencies = append(b.axis.agencies, documents.Agency{Code: "G97", Name: "Bộ Hợp Nhất"})
		b.axis.agencies[2].Closed, b.axis.agencies[2].Successors = true, []string{"G97"}
		n := 0
		tell := func(from, code, about string, at time.Time) error {
			n++
			w, err := b.desk.Blobs.Create()
			ok(t, err)
			ok(t, edxml.Write(w, &edxml.Message{
				From:        edxml.Organization{ID: from, Name: from},
				ResponseFor: []edxml.Reference{{OrganID: "H36", Code: out.Code.String(), DocumentID: about, Date: edxml.Date{Year: 2026, Month: 3, Day: 5}}},
				Status:      &edxml.Status{Code: code, Description: "x", At: at},
			}))
			p := must[blobs.Blob](t)(w.Commit())
			_, err = b.desk.Receive(ctx, documents.Arrival{Message: "s" + string(rune('0'+n)), Receiver: "H36", Payload: p, At: b.clock.now()})
			return err
		}
		now := b.clock.now()
		ok(t, tell("G97", "01", out.DocumentID, now))
		ok(t, tell("G97", "06", out.DocumentID, now.Add(-time.Hour))) // done before it arrived
		ok(t, tell("G97", "03", out.DocumentID, now.AddDate(50, 0, 0)))
		b.clock.add(time.Minute)
		ok(t, tell("G97", "04", "mã khác", now.Add(30*time.Second))) // found by its code and date
		ok(t, tell("G66", "02", out.DocumentID, now))
		tr := b.out(t, id).Tracks()[0]
		if tr.Status != documents.StatusAssigned || len(tr.Heard) != 4 || len(tr.Impossible) != 1 || tr.Impossible[0].Code != documents.StatusDone {
			t.Errorf("%+v", tr)
		}
		if s := b.out(t, id).Strangers(); len(s) != 1 || s[0].From != "G66" {
			t.Errorf("strangers: %+v", s)
		}
		rows := must[[]documents.Row](t)(b.desk.ListOutgoing(ctx, clerk, documents.Query{Flagged: true}))
		if len(rows) != 1 || !slices.Equal(rows[0].Flags, []string{documents.FlagImpossible}) {
			t.Errorf("flags: %+v", rows)
		}
		out.Code.Number = "99"
		refused(t, tell("G97", "01", "không có", now), errs.NotFound, "documents.status_unknown_document")
	})
}

// TestTakeBack returns a draft from an absent reviewer to its drafter.
func TestTakeBack(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		id := must[string](t)(b.desk.Draft(ctx, drafter, form()))
		refused(t, b.desk.TakeBack(ctx, drafter, id, ""), errs.Conflict, "documents.wrong_state")
		ok(t, b.desk.Submit(ctx, drafter, id, 0, review.Account, ""))
		refused(t, b.desk.TakeBack(ctx, review, id, ""), errs.Denied, "documents.not_your_turn")
		ok(t, b.desk.TakeBack(ctx, drafter, id, "Người duyệt đi vắng"))
		refused(t, b.desk.Discard(ctx, review, id, 0, ""), errs.Denied, "documents.not_your_turn")
		ok(t, b.desk.Discard(ctx, drafter, id, 0, "Không cần nữa"))
		if out := b.out(t, id); out.State != documents.Discarded {
			t.Errorf("it is %v", out.State)
		}
	})
}

// TestKeepsItsFiles knows every blob that the life of a document made, so that a sweep of the rest harms nothing.
func TestKeepsItsFiles(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		out, in := b.received(t, form())
		b.accept(t, in)
		ok(t, b.desk.Recall(ctx, clerk, out, nil, "Gửi nhầm"))
		stray := must[blobs.Blob](t)(b.desk.Blobs.Put(strings.NewReader("rác")))
		swept, err := b.desk.Blobs.Sweep(ctx, time.Now().Add(time.Hour), func(sha string) (bool, error) { return b.desk.Keeps(ctx, sha) })
		ok(t, err)
		if _, there := b.desk.Blobs.Has(stray.SHA256); there || swept == 0 {
			t.Errorf("the stray file is still there; %d swept", swept)
		}
		b.deliver(t) // everything on its way is still there
		for _, id := range []string{out, in} {
			for _, e := range must[documents.Stored](t)(b.store.Find(ctx, id)).Events {
				for _, sha := range e.Contents() {
					if _, there := b.desk.Blobs.Has(sha); !there {
						t.Errorf("%s of %s is gone", sha[:8], e.Type)
					}
				}
			}
		}
	})
}
