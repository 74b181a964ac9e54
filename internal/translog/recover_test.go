package translog

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// damaged makes a log of 20 entries with a checkpoint at 12, killed, and hands its folder to f.
func damaged(t *testing.T, f func(dir string)) (*Log, error) {
	t.Helper()
	l := mustOpen(t, testOptions(t.TempDir()))
	fill(t, l, 12)
	if _, err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 8)
	if _, err := l.offsets.Size(); err != nil { // as if more had been written: what waits in memory is written first
		t.Fatal(err)
	}
	crash(t, l)
	dir := copyDir(t, l.opt.Dir)
	f(dir)
	l, err := Open(testOptions(dir))
	if err == nil {
		t.Cleanup(func() { _ = l.Close() })
	}
	return l, err
}

func checkWhole(t *testing.T, l *Log, size int) {
	t.Helper()
	if l.Size() != int64(size) || l.Durable() != int64(size) {
		t.Errorf("size %d, durable %d; want %d", l.Size(), l.Durable(), size)
	}
	fill(t, l, 3)
	for i := range size + 3 {
		r, err := l.Receipt(int64(i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := VerifyReceipt(entry(i), r, l.VerifierKey()); err != nil {
			t.Errorf("receipt of %d: %v", i, err)
		}
	}
}

func TestFlippedBitsAreRefused(t *testing.T) {
	dataAt := func(dir string, share float64) int64 {
		st, err := os.Stat(filepath.Join(dir, segmentName(0)))
		if err != nil {
			t.Fatal(err)
		}
		return int64(share * float64(st.Size()-1))
	}
	for _, tt := range []struct {
		name string
		do   func(dir string)
	}{
		{"data, first byte", func(dir string) { flip(t, filepath.Join(dir, segmentName(0)), 0) }},
		{"data, below the checkpoint", func(dir string) { flip(t, filepath.Join(dir, segmentName(0)), dataAt(dir, 0.3)) }},
		{"data, above the checkpoint", func(dir string) { flip(t, filepath.Join(dir, segmentName(0)), dataAt(dir, 0.9)) }},
		{"data, last byte", func(dir string) { flip(t, filepath.Join(dir, segmentName(0)), dataAt(dir, 1)) }},
		{"leaf hash", func(dir string) { flip(t, filepath.Join(dir, "hashes"), 3) }},
		{"inner hash", func(dir string) { flip(t, filepath.Join(dir, "hashes"), 2*32+3) }},
		{"checkpoint size", func(dir string) { flip(t, filepath.Join(dir, "checkpoint"), int64(len(origin)+1)) }},
		{"checkpoint root", func(dir string) { flip(t, filepath.Join(dir, "checkpoint"), int64(len(origin)+10)) }},
		{"checkpoint signature", func(dir string) { flip(t, filepath.Join(dir, "checkpoint"), int64(2*len(origin)+80)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := damaged(t, tt.do); !errors.Is(err, ErrDamaged) {
				t.Errorf("Open = %v, want ErrDamaged", err)
			}
		})
	}
}

func TestEntryChecksWhatItReads(t *testing.T) {
	opt := testOptions(t.TempDir())
	l := mustOpen(t, opt)
	fill(t, l, 5)
	if err := writeAll(l.data, []byte{'X'}, headSize); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Entry(0); !errors.Is(err, ErrDamaged) {
		t.Errorf("Entry = %v, want ErrDamaged", err)
	}
}

func TestDataRewrittenWithGoodCRCIsRefused(t *testing.T) {
	_, err := damaged(t, func(dir string) {
		b, err := os.ReadFile(filepath.Join(dir, segmentName(0)))
		if err != nil {
			t.Fatal(err)
		}
		copy(b, appendRecord(nil, []byte("ENTRY 0 ")))
		if err := os.WriteFile(filepath.Join(dir, segmentName(0)), b, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(filepath.Join(dir, "hashes")) // and nothing left to compare with but the signed root
	})
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("Open = %v, want ErrDamaged", err)
	}
}

func TestRollbackIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string
		keep  int
	}{
		{"to before the checkpoint", []string{segmentName(0), "durable"}, 7},
		{"to before the last acknowledged entry", []string{segmentName(0)}, 15},
		{"to nothing", []string{segmentName(0), "hashes", "offsets", "durable"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			older := mustOpen(t, testOptions(t.TempDir()))
			fill(t, older, tt.keep)
			crash(t, older)
			_, err := damaged(t, func(dir string) {
				for _, f := range tt.files {
					b, err := os.ReadFile(filepath.Join(older.opt.Dir, f))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(dir, f), b, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			})
			if !errors.Is(err, ErrRollback) {
				t.Errorf("Open = %v, want ErrRollback", err)
			}
		})
	}
}

func TestTornTailIsCutOff(t *testing.T) {
	whole := appendRecord(nil, []byte("never acknowledged"))
	for _, tail := range [][]byte{whole[:1], whole[:headSize], whole[:len(whole)-1], make([]byte, 4096), append(append([]byte{}, whole[:len(whole)-1]...), '!')} {
		l, err := damaged(t, func(dir string) {
			f, err := os.OpenFile(filepath.Join(dir, segmentName(0)), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = f.Write(tail)
			_ = f.Close()
		})
		if err != nil {
			t.Fatal(err)
		}
		checkWhole(t, l, 20)
	}
}

func TestKilledWithDerivedInMemory(t *testing.T) {
	l := mustOpen(t, testOptions(t.TempDir()))
	for size := range 40 {
		if size == 12 {
			if _, err := l.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
		dir := copyDir(t, l.opt.Dir)
		for _, name := range []string{"offsets", "hashes"} {
			st, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if (st.Size() > 0) != (size >= 12) {
				t.Errorf("%s has %d bytes at %d entries", name, st.Size(), size)
			}
		}
		killed := mustOpen(t, testOptions(dir))
		checkWhole(t, killed, size)
		fill(t, l, 1)
	}
}

func TestKillBetweenDataAndHashes(t *testing.T) {
	for _, tt := range []struct {
		name           string
		hashes, offset int64 // bytes that are left
	}{
		{"hashes of the last entry missing", 38*32 - 40, 19 * 8},
		{"half of the hashes missing", 20 * 32, 80},
		{"all derived files missing", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := damaged(t, func(dir string) {
				_ = os.Truncate(filepath.Join(dir, "hashes"), tt.hashes)
				_ = os.Truncate(filepath.Join(dir, "offsets"), tt.offset)
			})
			if err != nil {
				t.Fatal(err)
			}
			checkWhole(t, l, 20)
		})
	}
	t.Run("a power cut left rubbish above the checkpoint", func(t *testing.T) {
		l, err := damaged(t, func(dir string) {
			flip(t, filepath.Join(dir, "hashes"), 30*32)
			flip(t, filepath.Join(dir, "offsets"), 15*8+7)
			_ = os.Truncate(filepath.Join(dir, "durable"), 5)
		})
		if err != nil {
			t.Fatal(err)
		}
		checkWhole(t, l, 20)
	})
	t.Run("a whole record that nobody waited for is kept", func(t *testing.T) {
		l, err := damaged(t, func(dir string) {
			f, err := os.OpenFile(filepath.Join(dir, segmentName(0)), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = f.Write(appendRecord(nil, entry(20)))
			_ = f.Close()
		})
		if err != nil {
			t.Fatal(err)
		}
		checkWhole(t, l, 21)
	})
}

func TestDevFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no /dev/full here")
	}
	opt := testOptions(t.TempDir())
	if err := os.Symlink("/dev/full", filepath.Join(opt.Dir, segmentName(0))); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, opt)
	if _, err := l.Append(t.Context(), entry(0)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Append = %v, want ENOSPC", err)
	}
	if l.Size() != 0 {
		t.Errorf("size = %d, want 0", l.Size())
	}
}
