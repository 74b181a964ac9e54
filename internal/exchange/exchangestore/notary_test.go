package exchangestore

import (
	"bytes"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/exchange/notary"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/translog"
)

func TestNotaryStore(t *testing.T) {
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Module(t, "exchange", sub, func(t *testing.T, db *storage.DB) {
		now := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
		s := &Notary{DB: db, Now: func() time.Time { return now }}
		witness(t, s)
		checkpoints(t, s, now)
		incidents(t, s, now)
	})
}

func witness(t *testing.T, s *Notary) {
	ctx := t.Context()
	if w, err := s.Witnessed(ctx, "a"); err != nil || w != (translog.Witnessed{}) {
		t.Fatalf("Witnessed = %+v, %v", w, err)
	}
	one := translog.Witnessed{Size: 1, Root: [32]byte{1}}
	for _, tt := range []struct {
		prev, next translog.Witnessed
		want       bool
	}{
		{one, translog.Witnessed{Size: 2}, false}, // nothing is there yet
		{translog.Witnessed{}, one, true},
		{translog.Witnessed{}, translog.Witnessed{Size: 9}, false}, // a second first
		{translog.Witnessed{Size: 1, Root: [32]byte{2}}, translog.Witnessed{Size: 9}, false},
		{one, translog.Witnessed{Size: 2, Root: [32]byte{2}}, true},
		{one, translog.Witnessed{Size: 3, Root: [32]byte{3}}, false},
	} {
		if ok, err := s.Advance(ctx, "a", tt.prev, tt.next); err != nil || ok != tt.want {
			t.Errorf("Advance(%+v, %+v) = %v, %v; want %v", tt.prev, tt.next, ok, err, tt.want)
		}
	}
	w, err := s.Witnessed(ctx, "a")
	if err != nil || w != (translog.Witnessed{Size: 2, Root: [32]byte{2}}) {
		t.Errorf("Witnessed = %+v, %v", w, err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 { // of many at once, one
		wg.Go(func() {
			ok, err := s.Advance(ctx, "a", w, translog.Witnessed{Size: 10, Root: [32]byte{byte(i)}})
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 8 moved the witness", won.Load())
	}
}

func checkpoints(t *testing.T, s *Notary, now time.Time) {
	ctx := t.Context()
	for name, f := range map[string]func() (notary.Row, error){
		"Latest":        func() (notary.Row, error) { return s.Latest(ctx, "log") },
		"LatestStamped": func() (notary.Row, error) { return s.LatestStamped(ctx, "log") },
		"Covering":      func() (notary.Row, error) { return s.Covering(ctx, "log", 0) },
	} {
		if _, err := f(); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s of nothing = %v, want NotFound", name, err)
		}
	}
	save := func(r notary.Row) {
		t.Helper()
		if err := s.SaveCheckpoint(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	five := notary.Row{Origin: "log", Size: 5, Note: []byte("five"), At: now}
	save(five)
	stamped := five
	stamped.Token, stamped.Authority, stamped.StampedAt = []byte{0, 1, 2}, "tsa", now.Add(time.Second)
	save(stamped)
	cosigned := five
	cosigned.Note, cosigned.Witnesses = []byte("five cosigned"), 2
	save(cosigned) // from a task that read the row before it was stamped
	save(five)     // and from a slower one
	save(notary.Row{Origin: "log", Size: 9, Note: []byte("nine"), At: now})
	save(notary.Row{Origin: "log", Size: 7, Note: []byte("seven"), At: now.Add(-2 * time.Hour)})
	save(notary.Row{Origin: "other", Size: 99, Note: []byte("x"), At: now})
	want := stamped
	want.Note, want.Witnesses = cosigned.Note, 2
	for i, tt := range map[int64]bool{0: true, 4: true, 5: false} {
		got, err := s.Covering(ctx, "log", i)
		if tt {
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("Covering(%d) = %v:\n%s", i, err, d)
			}
		} else if !errs.Is(err, errs.NotFound) {
			t.Errorf("Covering(%d) = %+v, %v; want NotFound", i, got, err)
		}
	}
	if got, err := s.Latest(ctx, "log"); err != nil || got.Size != 9 || got.Token != nil || !got.StampedAt.IsZero() {
		t.Errorf("Latest = %+v, %v", got, err)
	}
	if got, err := s.LatestStamped(ctx, "log"); err != nil || got.Size != 5 || !bytes.Equal(got.Token, stamped.Token) {
		t.Errorf("LatestStamped = %+v, %v", got, err)
	}
	for since, want := range map[time.Time]int{stamped.StampedAt: 1, stamped.StampedAt.Add(time.Microsecond): 0} {
		if got, err := s.StampedSince(ctx, "log", stamped.Authority, since); err != nil || len(got) != want || want == 1 && !got[0].Equal(stamped.StampedAt) {
			t.Errorf("StampedSince = %v, %v; want %d", got, err, want)
		}
	}
	for origin, authority := range map[string]string{"log": "another", "another": stamped.Authority} {
		if got, err := s.StampedSince(ctx, origin, authority, stamped.StampedAt); err != nil || len(got) != 0 {
			t.Errorf("StampedSince of %s by %s = %v, %v", origin, authority, got, err)
		}
	}
	if err := s.Thin(ctx, "log", now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := s.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM exchange_checkpoint WHERE origin = 'log'`).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows left, %v; want the stamped and the newest", n, err)
	}
}

func incidents(t *testing.T, s *Notary, now time.Time) {
	ctx := t.Context()
	i := notary.Incident{Kind: notary.Fork, Origin: "log", Peer: "w", Detail: "first", First: now, Last: now, Count: 1}
	if err := s.Report(ctx, i); err != nil {
		t.Fatal(err)
	}
	i.Detail, i.First, i.Last = "second", now.Add(time.Minute), now.Add(time.Minute)
	if err := s.Report(ctx, i); err != nil {
		t.Fatal(err)
	}
	i.First, i.Count = now, 2
	got, err := s.Incidents(ctx)
	if d := cmp.Diff([]notary.Incident{i}, got); d != "" || err != nil {
		t.Errorf("Incidents = %v:\n%s", err, d)
	}
}
