package blobs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"truc/internal/errs"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func put(t *testing.T, s *Store, text string) Blob {
	t.Helper()
	b, err := s.Put(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func content(t *testing.T, s *Store, sha string) string {
	t.Helper()
	f, size, err := s.Open(sha)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil || int64(len(b)) != size {
		t.Fatalf("read %d of %d bytes, %v", len(b), size, err)
	}
	return string(b)
}

// stored counts files by where they lie: those with a name, and those on their way.
func stored(t *testing.T, s *Store) (named, under int) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
		case ValidName(d.Name()) && filepath.Base(filepath.Dir(path)) == d.Name()[:2]:
			named++
		default:
			under++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return named, under
}

func TestStoreAndOpen(t *testing.T) {
	s := open(t)
	for _, text := range []string{"", "một", strings.Repeat("x", 200_000)} {
		b := put(t, s, text)
		if b.SHA256 != sum(text) || b.Size != int64(len(text)) {
			t.Errorf("Put() = %+v; want %s", b, sum(text))
		}
		if got := content(t, s, b.SHA256); got != text {
			t.Errorf("read %d bytes; want %d", len(got), len(text))
		}
		if n, ok := s.Has(b.SHA256); !ok || n != b.Size {
			t.Errorf("Has() = %d, %v", n, ok)
		}
	}
	put(t, s, "một")
	if named, under := stored(t, s); named != 3 || under != 0 {
		t.Errorf("%d files and %d leftovers; want 3 and 0", named, under)
	}
	again, err := Open(s.dir)
	if err != nil || content(t, again, sum("một")) != "một" {
		t.Errorf("after opening again: %v", err)
	}
}

func TestDiscard(t *testing.T) {
	s := open(t)
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "half")
	if w.Sum() != sum("half") || w.Size() != 4 {
		t.Errorf("Sum() = %s, Size() = %d", w.Sum(), w.Size())
	}
	if err := errors.Join(w.Discard(), w.Discard()); err != nil {
		t.Error(err)
	}
	if _, err := w.Commit(); err == nil {
		t.Error("Commit after Discard stored something")
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write after Discard was taken")
	}
	if named, under := stored(t, s); named+under != 0 {
		t.Errorf("%d files and %d leftovers; want none", named, under)
	}
}

func TestHostileNames(t *testing.T) {
	s := open(t)
	put(t, s, "one")
	for _, name := range []string{
		"", "../" + sum("one"), strings.Repeat("../", 21) + "x", strings.ToUpper(sum("one")), sum("one") + "\x00", sum("one")[:63], sum("one") + "0",
		strings.Repeat("g", 64), "/etc/passwd", strings.Repeat(".", 64), strings.Repeat("/", 64), sum("other"),
	} {
		if f, _, err := s.Open(name); !errs.Is(err, errs.NotFound) {
			t.Errorf("Open(%q) = %v, %v; want not found", name, f, err)
		}
		if _, ok := s.Has(name); ok {
			t.Errorf("Has(%q) = true", name)
		}
		if name == sum("other") {
			continue
		}
		if _, _, err := s.Resume(name, 3); !errs.Is(err, errs.Invalid) {
			t.Errorf("Resume(%q) = %v; want invalid", name, err)
		}
	}
	if _, _, err := s.Resume(sum("one"), -1); !errs.Is(err, errs.Invalid) {
		t.Errorf("Resume with a negative size = %v", err)
	}
}

// failing is a disk that takes so many bytes, or fails when it is to be waited for.
type failing struct {
	file
	room    int
	syncErr error
}

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.room {
		n, _ := f.file.Write(p[:f.room])
		f.room = 0
		return n, &fs.PathError{Op: "write", Err: syscall.ENOSPC}
	}
	f.room -= len(p)
	return f.file.Write(p)
}

func (f *failing) Sync() error { return errors.Join(f.syncErr, f.file.Sync()) }

func TestFullDisk(t *testing.T) {
	s := open(t)
	var syncErr error
	s.open = func(path string, flag int) (file, error) {
		f, err := openFile(path, flag)
		return &failing{file: f, room: 100, syncErr: syncErr}, err
	}
	_, err := s.Put(strings.NewReader(strings.Repeat("x", 101)))
	if key, _ := errs.KeyOf(err); !errs.Is(err, errs.Unavailable) || key != "blobs.disk_full" {
		t.Errorf("Put on a full disk = %v", err)
	}
	syncErr = errors.New("input/output error")
	_, err = s.Put(strings.NewReader("x"))
	if key, _ := errs.KeyOf(err); !errs.Is(err, errs.Unavailable) || key != "blobs.write_failed" {
		t.Errorf("Put on a failing disk = %v", err)
	}
	p, _, err := s.Resume(sum("x"), 1)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(p, "x")
	if _, err := p.Commit(); !errs.Is(err, errs.Unavailable) {
		t.Errorf("Commit of a fetch on a failing disk = %v", err)
	}
	if named, under := stored(t, s); named+under != 0 {
		t.Errorf("%d files and %d leftovers after failures; want none", named, under)
	}
	s.open = openFile
	put(t, s, "x")
}

func TestSameContentAtOnce(t *testing.T) {
	s := open(t)
	text := strings.Repeat("cùng một nội dung ", 10_000)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if b, err := s.Put(strings.NewReader(text)); err != nil || b.SHA256 != sum(text) {
				t.Errorf("Put() = %+v, %v", b, err)
			}
			if f, _, err := s.Open(sum(text)); err != nil {
				t.Error(err)
			} else {
				f.Close()
			}
		})
	}
	wg.Wait()
	if named, under := stored(t, s); named != 1 || under != 0 {
		t.Errorf("%d files and %d leftovers; want 1 and 0", named, under)
	}
	if content(t, s, sum(text)) != text {
		t.Error("the content is not what was stored")
	}
}

func TestFetchInPieces(t *testing.T) {
	s := open(t)
	text := strings.Repeat("0123456789", 1000)
	var at int64
	for at < int64(len(text)) {
		p, offset, err := s.Resume(sum(text), int64(len(text)))
		if err != nil || offset != at {
			t.Fatalf("Resume() at %d, %v; want %d", offset, err, at)
		}
		if _, _, err := s.Resume(sum(text), int64(len(text))); !errs.Is(err, errs.Unavailable) {
			t.Errorf("a second fetch at once = %v; want unavailable", err)
		}
		n, err := p.Write([]byte(text[at:min(at+3333, int64(len(text)))]))
		if err != nil {
			t.Fatal(err)
		}
		if at += int64(n); at < int64(len(text)) && n%2 == 0 {
			t.Fatal("the pieces were meant to be odd")
		}
		b, err := p.Commit()
		if at < int64(len(text)) && !errs.Is(err, errs.Unavailable) || at == int64(len(text)) && (err != nil || b.Size != at) {
			t.Errorf("Commit() at %d = %+v, %v", at, b, err)
		}
	}
	if content(t, s, sum(text)) != text {
		t.Error("the content is not what was fetched")
	}
	if _, under := stored(t, s); under != 0 {
		t.Errorf("%d leftovers", under)
	}
}

func TestFetchOfWrongBytes(t *testing.T) {
	for name, say := range map[string]string{"other bytes": "two", "more bytes": "one and more"} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			p, _, err := s.Resume(sum("one"), 3)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(p, strings.NewReader(say))
			if b, err := p.Commit(); !errs.Is(err, errs.Invalid) {
				t.Errorf("Commit() = %+v, %v; want invalid", b, err)
			}
			if named, under := stored(t, s); named+under != 0 {
				t.Errorf("%d files and %d leftovers; want none", named, under)
			}
			// A next attempt begins anew, and can succeed.
			p, offset, err := s.Resume(sum("one"), 3)
			if err != nil || offset != 0 {
				t.Fatalf("Resume() = %d, %v", offset, err)
			}
			_, _ = io.Copy(p, strings.NewReader("one"))
			if _, err := p.Commit(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFetchAfterPowerCut: what the disk kept of an interrupted fetch need not be what was written.
func TestFetchAfterPowerCut(t *testing.T) {
	s := open(t)
	for name, left := range map[string][]byte{"zeros": make([]byte, 2), "longer": bytes.Repeat([]byte("x"), 10)} {
		path := filepath.Join(s.dir, partialDir, sum("one"))
		if err := os.WriteFile(path, left, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			p, offset, err := s.Resume(sum("one"), 3)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(p, "one"[offset:])
			if _, err := p.Commit(); err == nil {
				break
			}
		}
		if content(t, s, sum("one")) != "one" {
			t.Errorf("%s: the second attempt did not mend it", name)
		}
	}
}

func TestSweep(t *testing.T) {
	s := open(t)
	kept, loose, young := put(t, s, "kept"), put(t, s, "loose"), put(t, s, "young")
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := s.Resume(sum("later"), 5)
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := s.Resume(sum("open"), 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for _, path := range []string{s.path(kept.SHA256), s.path(loose.SHA256), w.path, p.path, q.path} {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	foreign := filepath.Join(s.dir, "README")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the database is away")
	if n, err := s.Sweep(t.Context(), time.Now().Add(-time.Minute), func(string) (bool, error) { return false, broken }); !errors.Is(err, broken) || n != 0 {
		t.Errorf("Sweep with a failing question = %d, %v", n, err)
	}
	n, err := s.Sweep(t.Context(), time.Now().Add(-time.Minute), func(sha string) (bool, error) {
		if sha == young.SHA256 {
			t.Error("asked about a young file")
		}
		return sha == kept.SHA256, nil
	})
	if err != nil || n != 1 {
		t.Errorf("Sweep() = %d, %v; want 1", n, err)
	}
	if _, ok := s.Has(loose.SHA256); ok {
		t.Error("the file nobody wants is still there")
	}
	if content(t, s, kept.SHA256)+content(t, s, young.SHA256) != "keptyoung" {
		t.Error("a file that was wanted is gone")
	}
	for path, want := range map[string]bool{w.path: false, p.path: false, q.path: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v; want %v", path, err == nil, want)
		}
	}
}

// TestStoredAgainDuringSweep: the same content is stored again while the sweep asks whether it is wanted.
func TestStoredAgainDuringSweep(t *testing.T) {
	s := open(t)
	b := put(t, s, "one")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(s.path(b.SHA256), old, old); err != nil {
		t.Fatal(err)
	}
	n, err := s.Sweep(t.Context(), time.Now().Add(-time.Minute), func(string) (bool, error) {
		put(t, s, "one")
		return false, nil
	})
	if err != nil || n != 0 || content(t, s, b.SHA256) != "one" {
		t.Errorf("Sweep() = %d, %v; want the file kept", n, err)
	}
}
