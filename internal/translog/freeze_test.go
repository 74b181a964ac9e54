package translog

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpack writes what a frozen log hands out into a folder and its archive.
func unpack(t *testing.T, f *Frozen, dir, archive string) {
	t.Helper()
	err := f.Files(t.Context(), archive != "", func(name string, size int64, r io.Reader) error {
		to := filepath.Join(dir, name)
		if rest, ok := strings.CutPrefix(name, "archive/"); ok {
			to = filepath.Join(archive, rest)
		}
		b, err := io.ReadAll(r)
		if err == nil && int64(len(b)) != size {
			t.Errorf("%s has %d bytes, not %d", name, len(b), size)
		}
		return errors.Join(err, os.WriteFile(to, b, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCopyContinuesUnderANewName copies a log that is written to, archived and pruned, lets the original go on, and opens
// the copy under another name: it must hold what was there, continue, and sign nothing under the old name.
func TestCopyContinuesUnderANewName(t *testing.T) {
	opt := smallSegments(t)
	opt.ArchiveKey, opt.Compress = archiveKey, true
	l := mustOpen(t, opt)
	fill(t, l, 100)
	if _, err := l.Archive(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	first, err := l.Prune(20, "a rule")
	if err != nil || first == 0 {
		t.Fatalf("pruned to %d, %v", first, err)
	}
	old, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 7) // beyond the checkpoint
	f := l.Freeze()
	size := f.Mark()
	fill(t, l, 60) // what comes after the mark, in new segments too
	to := opt
	to.Dir, to.ArchiveDir = t.TempDir(), t.TempDir()
	unpack(t, f, to.Dir, to.ArchiveDir)
	f.Close()
	if _, err := l.Archive(t.Context(), 1); err != nil { // it can be tidied again
		t.Fatal(err)
	}
	lost, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}

	to.Origin = origin + ".r1"
	if c, err := Open(to); !errors.Is(err, ErrDamaged) {
		_ = c.Close()
		t.Fatalf("a log of another name was taken over unasked: %v", err)
	}
	to.Continues = []string{l.VerifierKey()}
	c := mustOpen(t, to)
	if c.Size() != size || c.Minimum() != first {
		t.Fatalf("size %d from %d, want %d from %d", c.Size(), c.Minimum(), size, first)
	}
	for i := first; i < size; i++ {
		if b, err := c.Entry(i); err != nil || !bytes.Equal(b, entry(int(i))) {
			t.Fatalf("entry %d = %q, %v", i, b, err)
		}
	}
	if err := c.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := VerifyCheckpoint(old, l.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	fill(t, c, 90) // another history than the original's
	note, err := c.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	now, err := VerifyCheckpoint(note, c.VerifierKey())
	if err != nil || now.Origin != to.Origin || now.Size != size+90 {
		t.Fatalf("checkpoint %+v, %v", now, err)
	}
	if _, err := VerifyCheckpoint(note, l.VerifierKey()); err == nil {
		t.Error("the new checkpoint verifies under the old name")
	}
	proof, err := c.Consistency(before.Size, now.Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkGrowth(Witnessed{before.Size, before.Root}, Witnessed{now.Size, now.Root}, proof); err != nil {
		t.Errorf("the copy does not continue the tree of the backup: %v", err)
	}
	gone, err := VerifyCheckpoint(lost, l.VerifierKey())
	if err != nil || gone.Origin == now.Origin {
		t.Errorf("two histories under one name: %+v %+v, %v", gone, now, err)
	}
	receipt, err := c.Receipt(size - 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyReceipt(entry(int(size-1)), receipt, c.VerifierKey()); err != nil {
		t.Errorf("a new receipt of an old entry: %v", err)
	}
	c = reopen(t, c, to)
	if _, err := c.Archive(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	c = reopen(t, c, to)
	if err := c.Verify(t.Context()); err != nil {
		t.Errorf("reopened, with an archive of both names: %v", err)
	}
}
