package translog

import (
	"bytes"
	"errors"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const fileSizeChild = "TRUC_TEST_TRANSLOG_FILESIZE"

// room sets how large files of this process may become: the kernel itself refuses what goes beyond, as a full disk does.
func room(t *testing.T, bytes uint64) {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		t.Fatal(err)
	}
	l.Cur = min(bytes, l.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		t.Fatal(err)
	}
}

// TestKernelRefusesWrites runs a log and its archive in a process of its own in which the kernel refuses to write beyond a
// length, in the middle of a record too, and then writes again.
func TestKernelRefusesWrites(t *testing.T) {
	if os.Getenv(fileSizeChild) == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKernelRefusesWrites$", "-test.v")
		cmd.Env = append(os.Environ(), fileSizeChild+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // otherwise the process ends instead of the write
	t.Run("entries", func(t *testing.T) {
		for _, limit := range []uint64{0, 1, 100, 333} {
			opt := testOptions(t.TempDir())
			opt.NoSync = false
			l := mustOpen(t, opt)
			fill(t, l, 3)
			room(t, limit)
			refused := 0
			for i := range 200 {
				if _, err := l.Append(t.Context(), entry(int(l.Size()))); err != nil {
					if !errors.Is(err, syscall.EFBIG) {
						t.Fatalf("room %d: append %d: %v; want the kernel's refusal", limit, i, err)
					}
					refused++
				}
			}
			n := int(l.Size())
			room(t, math.MaxUint64)
			if refused < 150 {
				t.Fatalf("room %d: %d of 200 were refused", limit, refused)
			}
			checkEntries(t, l, n)
			fill(t, l, 5)
			checkEntries(t, l, n+5)
			checkEntries(t, reopen(t, l, opt), n+5)
		}
	})
	t.Run("marker", func(t *testing.T) {
		opt := testOptions(t.TempDir())
		l := mustOpen(t, opt)
		fill(t, l, 300) // all files of the log have a length
		for _, limit := range []uint64{0, 5} {
			room(t, limit)
			l.mu.Lock()
			data := l.take()
			l.mu.Unlock()
			if err := errors.Join(l.commit(data, 300), l.give(data)); !errors.Is(err, syscall.EFBIG) {
				t.Errorf("room %d: commit = %v; want that the marker cannot be written", limit, err)
			}
		}
		room(t, math.MaxUint64)
		fill(t, l, 1)
		checkEntries(t, reopen(t, l, opt), 301)
	})
	t.Run("checkpoint", func(t *testing.T) {
		opt := testOptions(t.TempDir())
		l := mustOpen(t, opt)
		fill(t, l, 3)
		room(t, 10)
		if _, err := l.Checkpoint(); !errors.Is(err, syscall.EFBIG) {
			t.Errorf("Checkpoint = %v; want the kernel's refusal", err)
		}
		room(t, math.MaxUint64)
		if _, err := l.Checkpoint(); err != nil {
			t.Error(err)
		}
		checkEntries(t, reopen(t, l, opt), 3)
	})
	for _, compress := range []bool{false, true} {
		t.Run("archive", func(t *testing.T) {
			opt := smallSegments(t)
			opt.SegmentSize, opt.Compress = 4<<10, compress
			l := mustOpen(t, opt)
			fill(t, l, 600)
			before := l.Segments()
			room(t, 600)
			if moved, err := l.Archive(t.Context(), 0); moved != 0 || !errors.Is(err, syscall.EFBIG) {
				t.Fatalf("Archive = %d, %v; want nothing moved for the kernel's refusal", moved, err)
			}
			if names, err := os.ReadDir(opt.ArchiveDir); err != nil || len(names) > 0 {
				t.Errorf("the archive holds %v, %v; want no half file", names, err)
			}
			room(t, math.MaxUint64)
			checkEntries(t, l, 600)
			if moved, err := l.Archive(t.Context(), 0); err != nil || moved != len(before) {
				t.Errorf("with room: moved %d of %d, %v", moved, len(before), err)
			}
			l = reopen(t, l, opt)
			checkEntries(t, l, 600)
			room(t, 10) // the statement of what was pruned does not fit
			if minimum, err := l.Prune(600, "ten years"); minimum != 0 || !errors.Is(err, syscall.EFBIG) {
				t.Errorf("Prune = %d, %v; want nothing removed without a statement on the disk", minimum, err)
			}
			room(t, math.MaxUint64)
			checkEntries(t, reopen(t, l, opt), 600)
			if left, err := filepath.Glob(filepath.Join(opt.Dir, "*.tmp")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	if b := bytes.Repeat([]byte("x"), 100); os.WriteFile(filepath.Join(t.TempDir(), "x"), b, 0o600) != nil {
		t.Error("the limit was not lifted")
	}
}
