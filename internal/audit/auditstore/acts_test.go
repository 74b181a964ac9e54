package auditstore

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/audit"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

func TestActsAreRead(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		n := newNode(t, db)
		at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
		all := []audit.StoredAct{
			{ID: "a", Seq: 1, At: at, Actor: "lan", Action: "exchange.key.create", Object: "VN/GOV/H36/onestop"},
			{ID: "b", Seq: 2, At: at.Add(time.Second), Actor: "hoa", Action: "services.dossier.sign", Object: "000.00.01"},
			{ID: "c", Seq: 3, At: at.Add(2 * time.Second), Actor: "hoa", Action: "directory.key.revoked", Object: "VN/GOV/H36/node1"},
			{ID: "d", Seq: 4, At: at.Add(3 * time.Second), Actor: "lan", Action: "exchange.key.revoke", Object: "VN/GOV/H36/onestop"},
		}
		s := &Store{DB: n.db}
		for _, a := range all {
			a.Leaf, a.Record = []byte{1}, []byte{1}
			if err := s.Write(t.Context(), func(w audit.Writer) error { _, err := w.InsertAct(t.Context(), a); return err }); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			name string
			q    audit.ActQuery
			want []int64
		}{
			{"newest first, without dossiers", audit.ActQuery{Limit: 10}, []int64{4, 3, 1}},
			{"a page", audit.ActQuery{Limit: 2}, []int64{4, 3}},
			{"the next", audit.ActQuery{Limit: 2, Before: 3}, []int64{1}},
			{"of one person", audit.ActQuery{Limit: 10, Actor: "hoa"}, []int64{3}},
			{"on one thing", audit.ActQuery{Limit: 10, Object: "VN/GOV/H36/onestop"}, []int64{4, 1}},
			{"a hostile filter", audit.ActQuery{Limit: 10, Actor: "' OR 1=1 --"}, nil},
		} {
			t.Run(tt.name, func(t *testing.T) {
				got, err := s.Acts(t.Context(), tt.q)
				if err != nil {
					t.Fatal(err)
				}
				var seqs []int64
				for _, a := range got {
					seqs = append(seqs, a.Seq)
					x := all[a.Seq-1]
					if d := cmp.Diff(audit.RecordedAct{Seq: x.Seq, At: x.At, Actor: x.Actor, Action: x.Action, Object: x.Object}, a); d != "" {
						t.Error(d)
					}
				}
				if d := cmp.Diff(tt.want, seqs); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			})
		}
	})
}
