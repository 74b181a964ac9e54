package documentsstore

import (
	"testing"
	"time"

	"truc/internal/documents"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// each runs a test on a desk on each engine.
func each(t *testing.T, f func(t *testing.T, b *bench)) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) { f(t, newBench(t, db)) })
}

// TestFromDraftToDone plays the life of a document at both sides: drafted, reviewed, signed, sealed, sent, received,
// accepted, assigned, answered, done; and wants the sender to see each step with its time.
func TestFromDraftToDone(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		id := must[string](t)(b.desk.Draft(ctx, drafter, form()))
		ok(t, b.desk.Submit(ctx, drafter, id, 0, review.Account, "Xin ý kiến"))
		ok(t, b.desk.Review(ctx, review, id, 0, documents.Approve, "", "Đồng ý"))
		ok(t, b.desk.SignAsPerson(ctx, head, id))
		ok(t, b.desk.Issue(ctx, clerk, id, documents.SendWhen{Now: true}))
		out := b.out(t, id)
		if out.State != documents.Sent || out.Code.String() != "01/UBND-VX" || out.Date != "2026-03-05" || out.DocumentID != "H36,2026/03/05,01/UBND-VX" {
			t.Fatalf("sent: %v %s %s %s", out.State, out.Code, out.Date, out.DocumentID)
		}
		got := b.deliver(t)
		if len(got) != 2 || got[0].Status || !got[1].Status || got[1].Document != id {
			t.Fatalf("deliveries: %+v", got)
		}
		in := got[0].Document
		step := func(f func() error) {
			t.Helper()
			b.clock.add(time.Hour)
			ok(t, f())
			b.deliver(t)
		}
		step(func() error {
			if _, err := b.desk.Precheck(ctx, clerk2, in); err != nil {
				return err
			}
			return b.desk.Accept(ctx, clerk2, in, "")
		})
		step(func() error {
			return b.desk.Assign(ctx, head2, in, documents.AssignForm{Lead: documents.Share{Account: worker2.Account}, Instruction: "Nghiên cứu, trả lời"})
		})
		step(func() error { return b.desk.Start(ctx, worker2, in) })
		step(func() error { return b.desk.Finish(ctx, worker2, in, "Đã trả lời") })
		tracks := must[[]documents.Track](t)(b.desk.Track(ctx, drafter, id))
		if len(tracks) != 1 || tracks[0].Status != documents.StatusDone || len(tracks[0].Impossible) > 0 {
			t.Fatalf("tracks: %+v", tracks)
		}
		for i, s := range tracks[0].Steps {
			if s.At.IsZero() {
				t.Errorf("%s has no time", s.Stage)
			}
			if i >= 2 && (s.Took < 59*time.Minute || s.Took > 61*time.Minute) {
				t.Errorf("%s took %v; want an hour", s.Stage, s.Took)
			}
		}
		for _, id := range []string{id, in} {
			s := must[documents.Stored](t)(b.store.Find(ctx, id))
			ok(t, documents.VerifyChain(s.Events))
		}
	})
}
