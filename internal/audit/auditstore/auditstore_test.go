package auditstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/audit"
	"truc/internal/errs"
	"truc/internal/outbox"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

func wantRefused(t *testing.T, err error) {
	t.Helper()
	if key, _ := errs.KeyOf(err); !errs.Is(err, errs.Unavailable) || key != "audit.cannot_record" {
		t.Errorf("err = %v (%s); want Unavailable audit.cannot_record", err, key)
	}
}

func TestRecordAndUsage(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		n.record(access(anna, "d1"), access(binh, "d2"), access(anna, "d3"))
		n.record(access(anna, "d4"))
		if got, want := n.dossiers(anna), "d4 d3 d1"; got != want {
			t.Errorf("lines = %s, want %s", got, want)
		}
		lines, total, err := n.Usage(t.Context(), anna, time.Time{}, time.Time{}, 1, 1)
		if err != nil || total != 3 || len(lines) != 1 || lines[0].Dossier != "d3" {
			t.Fatalf("second page = %+v of %d, %v", lines, total, err)
		}
		if l := lines[0]; l.AgencyName != "UBND tỉnh Lâm Đồng" || l.Fields[0] != "name" || l.Kind != audit.Query || l.LogIndex != 2 || l.At.IsZero() {
			t.Errorf("line = %+v", l)
		}
		if _, total, _ = n.Usage(t.Context(), anna, lines[0].At, lines[0].At.Add(time.Microsecond), 0, 10); total != 1 {
			t.Errorf("lines at one moment = %d, want 1", total)
		}
		n.check(anna, binh)
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, n.RecordAccess(t.Context(), access(anna, "d5")))
		n.restart()
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.record(access(anna, "d6"))
		n.check(anna, binh)
	})
}

func TestReceiptIsForTheOwnLineOnly(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		hidden := access(anna, "secret")
		hidden.HiddenReason = "law"
		n.record(access(anna, "d1"), hidden)
		if _, err := n.Receipt(t.Context(), anna, "1"); err != nil {
			t.Error(err)
		}
		for _, tt := range [][2]string{{binh, "1"}, {anna, "2"}, {anna, "3"}, {anna, "x"}, {anna, "01"}, {anna, "-1"}, {"", "1"}} {
			if _, err := n.Receipt(t.Context(), tt[0], tt[1]); !errs.Is(err, errs.NotFound) {
				t.Errorf("receipt of line %s = %v, want NotFound", tt[1], err)
			}
		}
	})
}

func TestWithheldLinesAreCountedAndReleased(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		soon, later, never := access(anna, "soon"), access(anna, "later"), access(anna, "never")
		release := n.now.AddDate(0, 0, 30)
		soon.HiddenReason, soon.HiddenUntil = "law", release
		later.HiddenReason, later.HiddenUntil = "law", release.AddDate(0, 0, 30)
		never.HiddenReason = "law"
		n.record(soon, later, never, access(anna, "open"))
		for _, step := range []struct {
			at    time.Time
			count int
			until time.Time
			shown string
		}{
			{n.now, 3, release, "open"},
			{release, 2, release.AddDate(0, 0, 30), "open soon"},
			{release.AddDate(1, 0, 0), 1, time.Time{}, "open later soon"},
		} {
			n.now = step.at
			count, until, err := n.Withheld(t.Context(), anna)
			if err != nil || count != step.count || !until.Equal(step.until) {
				t.Errorf("withheld = %d until %v, %v; want %d until %v", count, until, err, step.count, step.until)
			}
			if got := n.dossiers(anna); got != step.shown {
				t.Errorf("shown = %q, want %q", got, step.shown)
			}
		}
		if count, _, err := n.Withheld(t.Context(), binh); err != nil || count != 0 {
			t.Errorf("withheld of another = %d, %v", count, err)
		}
		n.check(anna)
	})
}

func TestConcurrentCallersKeepTheChains(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		var wg sync.WaitGroup
		for c := range 12 {
			wg.Go(func() {
				for k := range 6 {
					if err := n.RecordAccess(t.Context(), access([]string{anna, binh, chi}[k%3], fmt.Sprintf("%d-%d", c, k)), access(anna, "both")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if size := n.tlog.Size(); size != 144 {
			t.Errorf("log has %d entries, want 144", size)
		}
		n.check(anna, binh, chi)
	})
}

func TestFailsClosed(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		n.record(access(anna, "d1"))
		for name, broken := range map[string]func(on bool){
			"log full":        func(on bool) { n.log.set(func(l *logFake) { l.failAppend = on }) },
			"log sync fails":  func(on bool) { n.log.set(func(l *logFake) { l.failWait = on }) },
			"store refuses":   func(on bool) { n.st.set(func(s *storeFake) { s.failBefore = on }) },
			"answer was lost": func(on bool) { n.st.set(func(s *storeFake) { s.failAfter = on }) },
		} {
			before := strings.Count(n.dossiers(anna), "refused")
			broken(true)
			for range 4 {
				if err := n.RecordAccess(t.Context(), access(anna, "refused")); err == nil {
					t.Errorf("%s: recorded", name)
				} else {
					wantRefused(t, err)
				}
			}
			if strings.HasPrefix(name, "log") {
				wantRefused(t, n.Start(t.Context()))
			}
			broken(false)
			n.record(access(anna, "d2"))
			n.check(anna)
			// A refused access may leave a line, but a fault that lasts does not leave one for each call.
			if got := strings.Count(n.dossiers(anna), "refused") - before; got > 2 {
				t.Errorf("%s: %d lines of refused accesses", name, got)
			}
		}
		for name, bad := range map[string]audit.Access{"no subject": {Agency: "H36", Kind: audit.Query}, "no kind": {SubjectID: anna, Agency: "H36"}, "no agency": {SubjectID: anna, Kind: audit.Query}} {
			if err := n.RecordAccess(t.Context(), bad); err == nil {
				t.Errorf("%s: recorded", name)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantRefused(t, n.RecordAccess(ctx, access(anna, "late")))
		_ = n.tlog.Close()
		wantRefused(t, n.RecordAccess(t.Context(), access(anna, "log closed")))
		wantRefused(t, n.RecordAccess(t.Context(), access(anna, "log closed")))
	})
}

func TestSlowDiskIsRefused(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		n.record(access(anna, "d1"))
		n.log.set(func(l *logFake) { l.hang = true })
		n.Timeout = time.Millisecond
		wantRefused(t, n.RecordAccess(t.Context(), access(anna, "slow")))
		n.log.set(func(l *logFake) { l.hang = false })
		n.Timeout = 0
		n.record(access(anna, "d2"))
		n.check(anna)
	})
}

func TestCrashBetweenStoreAndLog(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		n.record(access(anna, "d1"))
		n.log.set(func(l *logFake) { l.failAppend = true })
		wantRefused(t, n.RecordAccess(t.Context(), access(anna, "crashed"), access(binh, "crashed")))
		n.restart()
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.check(anna, binh)
		n.log.set(func(l *logFake) { l.failWait = true }) // in the log, but nobody learned it
		wantRefused(t, n.RecordAccess(t.Context(), access(anna, "crashed again")))
		n.restart()
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.record(access(anna, "d2"))
		n.check(anna, binh)
		n.restart() // the places of the last batch were never noted
		n.record(access(anna, "d3"))
		n.check(anna, binh)
		if got, want := n.dossiers(anna), "d3 d2 crashed again crashed d1"; got != want {
			t.Errorf("lines = %s, want %s", got, want)
		}
	})
}

func TestBackupsPutBackAreRefused(t *testing.T) {
	t.Run("database", func(t *testing.T) {
		n := newNode(t, storagetest.OpenSQLite(t))
		n.record(access(anna, "d1"))
		n.record(access(anna, "d2"))
		other := newNode(t, storagetest.OpenSQLite(t))
		n.db = other.db
		n.restart()
		wantRefused(t, n.Start(t.Context()))
		wantRefused(t, n.RecordAccess(t.Context(), access(anna, "d3")))
	})
	t.Run("log", func(t *testing.T) {
		n := newNode(t, storagetest.OpenSQLite(t))
		n.record(access(anna, "d1"))
		n.record(access(anna, "d2"))
		_ = n.tlog.Close()
		if err := os.RemoveAll(n.dir + "/log"); err != nil {
			t.Fatal(err)
		}
		n.restart()
		wantRefused(t, n.Start(t.Context()))
		wantRefused(t, n.RecordAccess(t.Context(), access(anna, "d3")))
	})
	t.Run("key of the year", func(t *testing.T) {
		n := newNode(t, storagetest.OpenSQLite(t))
		n.record(access(anna, "d1"))
		if err := os.RemoveAll(n.dir + "/keys"); err != nil {
			t.Fatal(err)
		}
		n.restart()
		wantRefused(t, n.RecordAccess(t.Context(), access(anna, "d2")))
		n.now = n.now.AddDate(1, 0, 0)
		n.record(access(anna, "a new year has a new key"))
	})
}

// TestRandomFaults breaks things in a random order and then looks whether every access that was answered has a
// line and a receipt.
func TestRandomFaults(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		r := rand.New(rand.NewPCG(1, 2))
		answered := map[string]bool{}
		for i := range 120 {
			n.log.set(func(l *logFake) { l.failAppend, l.failWait = r.IntN(5) == 0, r.IntN(5) == 0 })
			n.st.set(func(s *storeFake) { s.failBefore, s.failAfter = r.IntN(6) == 0, r.IntN(6) == 0 })
			if r.IntN(15) == 0 {
				n.restart()
			}
			var wg sync.WaitGroup
			var mu sync.Mutex
			for k := range 1 + r.IntN(3) {
				d := fmt.Sprintf("d%d.%d", i, k)
				wg.Go(func() {
					if n.RecordAccess(t.Context(), access(anna, d), access(binh, d)) == nil {
						mu.Lock()
						answered[d] = true
						mu.Unlock()
					}
				})
			}
			wg.Wait()
		}
		n.restart()
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.check(anna, binh)
		for _, subject := range []string{anna, binh} {
			have := map[string]int{}
			for d := range strings.FieldsSeq(n.dossiers(subject)) {
				have[d]++
			}
			for d := range answered {
				if have[d] != 1 {
					t.Errorf("%s was answered and has %d lines", d, have[d])
				}
			}
		}
		if len(answered) < 20 {
			t.Errorf("only %d were answered: the test tests nothing", len(answered))
		}
	})
}

func TestActs(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		refuse := errors.New("changed my mind")
		do := func(e audit.Entry, outcome error) {
			err := n.db.InTx(t.Context(), func(tx *storage.Tx) error { return errors.Join(n.Act(t.Context(), tx, e), outcome) })
			if !errors.Is(err, outcome) {
				t.Fatal(err)
			}
		}
		do(audit.Entry{ID: "a", Actor: "admin", Action: "directory.member.suspend", Object: "H57", Data: map[string]string{"why": "thử"}}, nil)
		do(audit.Entry{Actor: "admin", Action: "directory.member.resume", Object: "H57"}, nil)
		do(audit.Entry{Actor: "admin", Action: "directory.member.remove", Object: "H57"}, refuse)
		var seen []outbox.Message
		relay := &outbox.Relay{DB: n.db, Now: n.time, Log: slog.New(slog.DiscardHandler), Handlers: map[string]outbox.Handler{
			audit.Topic: func(ctx context.Context, m outbox.Message) error { seen = append(seen, m); return n.Handler(ctx, m) },
		}}
		for {
			if done, err := relay.Once(t.Context()); err != nil {
				t.Fatal(err)
			} else if done == 0 {
				break
			}
		}
		if len(seen) != 2 || n.tlog.Size() != 2 {
			t.Fatalf("%d acts performed, %d leaves", len(seen), n.tlog.Size())
		}
		if err := n.Handler(t.Context(), seen[0]); err != nil || n.tlog.Size() != 2 {
			t.Errorf("performed again: %v, %d leaves; want 2", err, n.tlog.Size())
		}
		n.record(access(anna, "d1"))
		n.check(anna)
		if err := n.Handler(t.Context(), outbox.Message{Payload: []byte("{")}); err == nil {
			t.Error("rubbish was accepted")
		}
		if err := n.Act(t.Context(), nil, audit.Entry{Actor: "x"}); err == nil {
			t.Error("an act without an action was accepted")
		}
		// A refused log brings the act back later, once.
		do(audit.Entry{ID: "b", Actor: "admin", Action: "x", Object: "y"}, nil)
		n.log.set(func(l *logFake) { l.failAppend = true })
		_, _ = relay.Once(t.Context())
		n.log.set(func(l *logFake) { l.failAppend = false })
		n.now = n.now.Add(time.Hour)
		if _, err := relay.Once(t.Context()); err != nil || n.tlog.Size() != 4 {
			t.Errorf("after a refusal: %v, %d leaves; want 4", err, n.tlog.Size())
		}
		n.check(anna)
	})
}

func BenchmarkRecordAccess(b *testing.B) {
	n := newNode(b, storagetest.OpenSQLite(b))
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := n.RecordAccess(context.Background(), access(anna, "d")); err != nil {
				b.Error(err)
			}
		}
	})
}
