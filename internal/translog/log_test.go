package translog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// naiveRoot is RFC 6962 §2.1 read aloud.
func naiveRoot(entries [][]byte) [32]byte {
	switch len(entries) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, entries[0]...))
	}
	k := 1
	for k*2 < len(entries) {
		k *= 2
	}
	left, right := naiveRoot(entries[:k]), naiveRoot(entries[k:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

func TestTreeMatchesNaiveTree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := mustOpen(t, testOptions(t.TempDir()))
		defer l.Close()
		var all [][]byte
		for range rapid.IntRange(1, 12).Draw(rt, "batches") {
			batch := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 40), 0, 9).Draw(rt, "batch")
			first, err := l.Append(t.Context(), batch...)
			if err != nil || first != int64(len(all)) {
				rt.Fatalf("Append = %d, %v; want %d", first, err, len(all))
			}
			all = append(all, batch...)
		}
		msg, err := l.Checkpoint()
		if err != nil {
			rt.Fatal(err)
		}
		c, err := VerifyCheckpoint(msg, l.VerifierKey())
		if err != nil || c.Size != int64(len(all)) || c.Root != naiveRoot(all) {
			rt.Fatalf("checkpoint = %+v, %v; want size %d root %x", c, err, len(all), naiveRoot(all))
		}
		if len(all) == 0 {
			return
		}
		i := rapid.IntRange(0, len(all)-1).Draw(rt, "i")
		size := rapid.IntRange(i+1, len(all)).Draw(rt, "size")
		p, err := l.Proof(int64(i), int64(size))
		if err != nil {
			rt.Fatal(err)
		}
		if err := tlog.CheckRecord(p, int64(size), naiveRoot(all[:size]), int64(i), tlog.RecordHash(all[i])); err != nil {
			rt.Errorf("proof of %d in %d: %v", i, size, err)
		}
		older := rapid.IntRange(1, size).Draw(rt, "older")
		cp, err := l.Consistency(int64(older), int64(size))
		if err != nil {
			rt.Fatal(err)
		}
		if err := tlog.CheckTree(cp, int64(size), naiveRoot(all[:size]), int64(older), naiveRoot(all[:older])); err != nil {
			rt.Errorf("consistency of %d and %d: %v", older, size, err)
		}
		if b, err := l.Entry(int64(i)); err != nil || string(b) != string(all[i]) {
			rt.Errorf("Entry(%d) = %q, %v; want %q", i, b, err, all[i])
		}
	})
}

func TestConcurrentAppendsAreDistinctAndProvable(t *testing.T) {
	l := mustOpen(t, testOptions(t.TempDir()))
	const callers, each = 16, 25
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		seen = map[int64]string{}
	)
	for c := range callers {
		wg.Go(func() {
			for k := range each {
				text := fmt.Sprintf("caller %d entry %d", c, k)
				i, err := l.Append(t.Context(), []byte(text))
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				mu.Lock()
				if other, dup := seen[i]; dup {
					t.Errorf("index %d given to %q and %q", i, other, text)
				}
				seen[i] = text
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != callers*each || l.Size() != callers*each || l.Durable() != callers*each {
		t.Fatalf("%d indexes, size %d, durable %d; want %d", len(seen), l.Size(), l.Durable(), callers*each)
	}
	for i, text := range seen {
		r, err := l.Receipt(i)
		if err != nil {
			t.Fatal(err)
		}
		v, err := VerifyReceipt([]byte(text), r, l.VerifierKey())
		if err != nil || v.Index != i || v.Origin != origin || v.Size != callers*each {
			t.Errorf("receipt of %d = %+v, %v", i, v, err)
		}
	}
}

func TestAppendRefusesBadEntriesAndGoesOn(t *testing.T) {
	l := mustOpen(t, testOptions(t.TempDir()))
	for _, bad := range [][]byte{nil, {}, make([]byte, MaxEntry+1)} {
		if _, err := l.Append(t.Context(), []byte("good"), bad); !errors.Is(err, ErrEntrySize) {
			t.Errorf("Append of %d bytes = %v, want ErrEntrySize", len(bad), err)
		}
	}
	if _, err := l.Append(t.Context(), make([]byte, MaxEntry)); err != nil || l.Size() != 1 {
		t.Errorf("longest entry: %v, size %d", err, l.Size())
	}
	for _, i := range []int64{-1, 1, 1 << 60} {
		if _, err := l.Entry(i); !errors.Is(err, ErrRange) {
			t.Errorf("Entry(%d) = %v, want ErrRange", i, err)
		}
		if _, err := l.Receipt(i); !errors.Is(err, ErrRange) {
			t.Errorf("Receipt(%d) = %v, want ErrRange", i, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(ctx, []byte("x")); err == nil || l.Size() != 1 {
		t.Errorf("append with an ended context = %v, size %d", err, l.Size())
	}
}

func TestOnlyOneWriter(t *testing.T) {
	opt := testOptions(t.TempDir())
	l := mustOpen(t, opt)
	if _, err := Open(opt); !errors.Is(err, ErrLocked) {
		t.Fatalf("second Open = %v, want ErrLocked", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), []byte("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close = %v, want ErrClosed", err)
	}
	mustOpen(t, opt)
}

func TestCheckpointIsSignedOnceASize(t *testing.T) {
	l := mustOpen(t, testOptions(t.TempDir()))
	a, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 3)
	b, _ := l.Checkpoint()
	again, _ := l.Checkpoint()
	if string(a) == string(b) || string(b) != string(again) {
		t.Errorf("checkpoints: %q, %q, %q", a, b, again)
	}
}

func TestKeyChange(t *testing.T) {
	opt := testOptions(t.TempDir())
	l := mustOpen(t, opt)
	fill(t, l, 3)
	if _, err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	old := l.VerifierKey()
	_ = l.Close()
	opt.Key = testKey(2)
	if _, err := Open(opt); !errors.Is(err, ErrDamaged) {
		t.Fatalf("Open with another key = %v, want ErrDamaged", err)
	}
	opt.PreviousKeys = []string{old}
	l = mustOpen(t, opt)
	r, err := l.Receipt(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyReceipt(entry(0), r, l.VerifierKey()); err != nil {
		t.Error(err)
	}
}

func TestFullDisk(t *testing.T) {
	d := &disk{room: -1}
	opt := testOptions(t.TempDir())
	opt.open = d.open
	l := mustOpen(t, opt)
	fill(t, l, 5)
	d.set(func(d *disk) { d.room = 10 })
	for range 3 {
		if _, err := l.Append(t.Context(), entry(5)); !errors.Is(err, errDisk) {
			t.Fatalf("Append on a full disk = %v, want the disk's error", err)
		}
	}
	if l.Size() != 5 {
		t.Errorf("size after refused appends = %d, want 5", l.Size())
	}
	d.set(func(d *disk) { d.room = -1 })
	fill(t, l, 5) // room again: the log goes on
	_ = l.Close()
	l = mustOpen(t, testOptions(opt.Dir))
	if b, err := l.Entry(5); l.Size() != 10 || err != nil || string(b) != string(entry(5)) {
		t.Errorf("after reopening: size %d, entry %q, %v", l.Size(), b, err)
	}
}

func TestFullDiskForDerivedFiles(t *testing.T) {
	for _, name := range []string{"hashes", "offsets"} {
		d := &disk{room: -1}
		opt := testOptions(t.TempDir())
		opt.open = d.open
		l := mustOpen(t, opt)
		d.set(func(d *disk) { d.failFile = name })
		refused := int64(0)
		for i := range 10_000 { // what fits into memory is accepted, and never more
			_, _, err := l.AppendNoWait(entry(i))
			if errors.Is(err, errDisk) {
				refused = l.Size()
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if refused == 0 {
			t.Fatalf("%s: 10,000 entries were taken though it cannot be written", name)
		}
		for range 3 {
			if _, _, err := l.AppendNoWait(entry(0)); !errors.Is(err, errDisk) || l.Size() != refused {
				t.Fatalf("%s: %v, size %d; want a refusal at %d", name, err, l.Size(), refused)
			}
		}
		crashed := mustOpen(t, testOptions(copyDir(t, l.opt.Dir)))
		if err := crashed.Verify(t.Context()); err != nil || crashed.Size() != refused {
			t.Errorf("%s: after a crash: %v, %d entries, want %d", name, err, crashed.Size(), refused)
		}
		d.set(func(d *disk) { d.failFile = "" })
		fill(t, l, 5) // room again: the log goes on
		_ = l.Close()
		l = mustOpen(t, testOptions(opt.Dir))
		if err := l.Verify(t.Context()); err != nil || l.Size() != refused+5 {
			t.Errorf("%s: after reopening: %v, size %d, want %d", name, err, l.Size(), refused+5)
		}
	}
}

func TestUnawaitedEntriesComeToTheDisk(t *testing.T) {
	d := &disk{room: -1}
	opt := testOptions(t.TempDir())
	opt.open = d.open
	l := mustOpen(t, opt)
	for i := range 3 {
		if _, _, err := l.AppendNoWait(entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	for l.Durable() < 3 { // by itself; a fault here is a test that does not end
		time.Sleep(time.Millisecond)
	}
}

func TestFailedSyncIsFinal(t *testing.T) {
	d := &disk{room: -1}
	opt := testOptions(t.TempDir())
	opt.open = d.open
	l := mustOpen(t, opt)
	fill(t, l, 2)
	d.set(func(d *disk) { d.failSync = true })
	if _, err := l.Append(t.Context(), entry(2)); !errors.Is(err, ErrFailed) {
		t.Fatalf("Append = %v, want ErrFailed", err)
	}
	d.set(func(d *disk) { d.failSync = false })
	if _, err := l.Append(t.Context(), entry(3)); !errors.Is(err, ErrFailed) {
		t.Errorf("Append after a failed sync = %v, want ErrFailed still", err)
	}
	if err := l.Sync(t.Context()); !errors.Is(err, ErrFailed) {
		t.Errorf("Sync after a failed sync = %v, want ErrFailed", err)
	}
	if _, err := l.Receipt(2); err == nil {
		t.Error("a receipt was given for an entry that is not on the disk")
	}
	if _, err := l.Receipt(1); err == nil { // the checkpoint would need a sync too, which works here
		t.Log("receipts of what is durable go on")
	}
	if err := l.Close(); !errors.Is(err, ErrFailed) {
		t.Errorf("Close = %v, want ErrFailed", err)
	}
}

func TestFailedUndoIsFinal(t *testing.T) {
	d := &disk{room: 4, failCut: true}
	opt := testOptions(t.TempDir())
	opt.open = d.open
	l := mustOpen(t, opt)
	if _, err := l.Append(t.Context(), entry(0)); !errors.Is(err, ErrFailed) {
		t.Fatalf("Append = %v, want ErrFailed", err)
	}
	d.set(func(d *disk) { d.room, d.failCut = -1, false })
	if _, err := l.Append(t.Context(), entry(0)); !errors.Is(err, ErrFailed) {
		t.Errorf("Append = %v, want ErrFailed", err)
	}
}

func TestSlowDiskReleasesTheCallerWithAnError(t *testing.T) {
	d := &disk{room: -1, hold: make(chan struct{})}
	opt := testOptions(t.TempDir())
	opt.open = d.open
	l := mustOpen(t, opt)
	_, wait, err := l.AppendNoWait(entry(0))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wait(ctx); !errors.Is(err, context.Canceled) || l.Durable() != 0 {
		t.Errorf("wait = %v, durable %d; want canceled, 0", err, l.Durable())
	}
	var waits []func(context.Context) error
	for i := 1; i < 50; i++ { // all written while one sync runs: one more sync must release them all
		_, w, err := l.AppendNoWait(entry(i))
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, w)
	}
	close(d.hold)
	for _, w := range waits {
		if err := w(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if l.Durable() != 50 {
		t.Errorf("durable = %d, want 50", l.Durable())
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			opt := testOptions(b.TempDir())
			opt.NoSync = false
			l := mustOpen(b, opt)
			e := make([]byte, 130)
			e[0] = 1
			work := make(chan struct{}, b.N)
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			b.ResetTimer()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for range work {
						if _, err := l.Append(context.Background(), e); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
