package documentsstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/documents"
	"truc/internal/storage/storagetest"
)

// TestRandomActs lets everybody try anything in any order. Whatever is refused, the chain stays whole, the number series
// has no gap, what is issued bears both signatures, and each status that was told fits what was told before.
func TestRandomActs(t *testing.T) {
	all := []documents.Actor{drafter, second, review, head, clerk, clerk2, head2, worker2}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		b := newBench(t, storagetest.OpenSQLite(t))
		ctx := t.Context()
		var ids []string
		add := func(id string, err error) {
			if err == nil {
				ids = append(ids, id)
			}
		}
		add(b.desk.Draft(ctx, drafter, form()))
		ids = append(ids, b.sent(t, form()))
		for range 40 {
			id := ids[rnd.IntN(len(ids))]
			by, to := all[rnd.IntN(len(all))], all[rnd.IntN(len(all))].Account
			d := b.desk
			if rnd.IntN(2) == 0 {
				b.advance(t, id)
			}
			// What is refused is refused: only what is left behind matters.
			switch rnd.IntN(24) {
			case 0:
				add(d.Draft(ctx, by, form()))
			case 1:
				_ = d.Save(ctx, by, id, 0, form())
			case 2:
				_ = d.Submit(ctx, by, id, 0, to, "")
			case 3:
				_ = d.Review(ctx, by, id, 0, documents.Approve, to, "")
			case 4:
				_ = d.Review(ctx, by, id, 0, documents.Return, "", "sửa")
			case 5:
				_ = d.SignAsPerson(ctx, by, id)
			case 6:
				_ = d.Issue(ctx, by, id, documents.SendWhen{Now: true})
			case 7:
				_ = d.Issue(ctx, by, id, documents.SendWhen{})
			case 8:
				_ = d.SendNow(ctx, by, id)
			case 9:
				_ = d.VoidNumber(ctx, by, id, "bỏ số")
			case 10:
				_ = d.Recall(ctx, by, id, nil, "lấy lại")
			case 11:
				add(d.Revoke(ctx, by, id, documents.AmendForm{Reason: "thu hồi"}))
			case 12:
				add(d.Replace(ctx, by, id, documents.AmendForm{Reason: "thay"}))
			case 13:
				_, _ = d.Precheck(ctx, by, id)
				_ = d.Accept(ctx, by, id, "")
			case 14:
				_ = d.Refuse(ctx, by, id, "trả lại")
			case 15:
				_ = d.Assign(ctx, by, id, documents.AssignForm{Lead: documents.Share{Account: to}})
			case 16:
				_ = d.Start(ctx, by, id)
			case 17:
				_ = d.Finish(ctx, by, id, "xong")
			case 18:
				add(d.Reply(ctx, by, id))
			case 19:
				_ = d.Cancel(ctx, by, id, "hủy")
			case 20:
				_ = d.AnswerRecall(ctx, by, id, rnd.IntN(2) == 0, "trả lời")
			case 21:
				_ = d.TakeBack(ctx, by, id, "")
			case 22:
				_ = d.Discard(ctx, by, id, 0, "")
			case 23:
				b.clock.add(time.Duration(1+rnd.IntN(30)) * time.Hour)
			}
			b.clock.add(time.Second)
			for _, r := range b.deliver(t) {
				if !slices.Contains(ids, r.Document) {
					ids = append(ids, r.Document)
				}
			}
		}
		b.invariants(t, ids)
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// advance does what comes next to a document in the ordinary course.
func (b *bench) advance(t *testing.T, id string) {
	ctx := t.Context()
	s, err := b.store.Find(ctx, id)
	ok(t, err)
	boss, seal, worker := head, clerk, drafter
	if s.Row.Office == "H57" {
		boss, seal, worker = head2, clerk2, worker2
	}
	switch s.Row.State {
	case documents.Drafting:
		_ = b.desk.Submit(ctx, worker, id, 0, boss.Account, "")
	case documents.Approved, documents.Numbered:
		_ = b.desk.SignAsPerson(ctx, boss, id)
	case documents.Signed:
		_ = b.desk.Issue(ctx, seal, id, documents.SendWhen{Now: true})
	case documents.Arrived:
		_, _ = b.desk.Precheck(ctx, seal, id)
		_ = b.desk.Accept(ctx, seal, id, "")
	case documents.Accepted:
		_ = b.desk.Assign(ctx, boss, id, documents.AssignForm{Lead: documents.Share{Account: worker.Account}})
	case documents.Assigned:
		_ = b.desk.Start(ctx, worker, id)
	case documents.Working:
		_ = b.desk.Finish(ctx, worker, id, "")
	default:
		if slices.Contains(s.Row.Flags, documents.FlagRecall) || slices.Contains(s.Row.Flags, documents.FlagAmended) {
			_ = b.desk.Cancel(ctx, seal, id, "")
			_ = b.desk.AnswerRecall(ctx, seal, id, true, "")
		}
	}
}

func (b *bench) invariants(t *testing.T, ids []string) {
	ctx := t.Context()
	for _, id := range ids {
		s, err := b.store.Find(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := documents.VerifyChain(s.Events); err != nil {
			t.Fatal(err)
		}
		again, err := documents.Project(id, s.Events)
		if err != nil {
			t.Fatal(err)
		}
		again.Version, again.Viewers = s.Row.Version, s.Row.Viewers
		if len(again.Flags) == 0 {
			again.Flags = s.Row.Flags
		}
		if diff := cmp.Diff(again, s.Row); diff != "" {
			t.Errorf("row of %s (-events +stored):\n%s", id, diff)
		}
		if s.Row.Direction == documents.Out {
			b.checkOutgoing(t, id)
		}
	}
	for _, office := range []string{"H36", "H57"} {
		for _, dir := range []documents.Direction{documents.Out, documents.In} {
			numbers, err := b.store.Numbers(ctx, office, dir, time.Time{}, b.clock.now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			for i, n := range numbers {
				if n.N != int64(i)+1 {
					t.Errorf("series %s %s: %d is number %d", office, dir, n.N, i+1)
				}
			}
		}
	}
}

func (b *bench) checkOutgoing(t *testing.T, id string) {
	by := clerk
	out, err := b.desk.Outgoing(t.Context(), by, id)
	if err != nil {
		if out, err = b.desk.Outgoing(t.Context(), clerk2, id); err != nil {
			t.Fatal(err)
		}
		by = clerk2
	}
	if out.Main != nil {
		_, text := b.open(t, by, id, out.Main.ID)
		if bytes.Count([]byte(text), []byte("SIG ")) != 2 || out.Code.Number == "" || out.DocumentID == "" {
			t.Errorf("issued with %q", text)
		}
	}
	for _, tr := range out.Tracks() {
		if len(tr.Impossible) > 0 {
			t.Errorf("our own statuses contradict each other: %s", fmt.Sprint(tr.Heard))
		}
	}
}
