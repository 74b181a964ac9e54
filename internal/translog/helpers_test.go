package translog

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const origin = "truc/VN/H36/test"

func testKey(b byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = b
	return ed25519.NewKeyFromSeed(seed)
}

func testOptions(dir string) Options {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	return Options{Dir: dir, Origin: origin, Key: testKey(1), Now: func() time.Time { return now }, NoSync: true}
}

func mustOpen(t testing.TB, opt Options) *Log {
	t.Helper()
	l, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func entry(i int) []byte { return fmt.Appendf(nil, "entry %d %s", i, "0123456789abcdef"[:i%16]) }

func fill(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		if _, err := l.Append(t.Context(), entry(int(l.Size()))); err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
	}
}

// crash leaves the folder as a killed process would: nothing is synced or tidied, and the lock is free.
func crash(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = l.lock.Close()
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 0x10
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

var errDisk = errors.New("the disk refuses")

// disk gives files that fail on demand.
type disk struct {
	mu       sync.Mutex
	room     int64 // bytes that data may still take; -1 without limit
	failSync bool
	failFile string // writes to this file fail
	failCut  bool
	hold     chan struct{} // when set, Sync waits until it is closed
}

func (d *disk) open(path string) (file, error) {
	f, err := openFile(path, true)
	return &diskFile{file: f, d: d, name: filepath.Base(path)}, err
}

func (d *disk) set(f func(d *disk)) { d.mu.Lock(); defer d.mu.Unlock(); f(d) }

type diskFile struct {
	file
	d    *disk
	name string
}

func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.failFile == f.name {
		return 0, errDisk
	}
	if strings.HasPrefix(f.name, segmentPrefix) && f.d.room >= 0 {
		if int64(len(b)) > f.d.room { // a full disk takes a part of the bytes
			n, _ := f.file.WriteAt(b[:f.d.room], at)
			return n, errDisk
		}
		f.d.room -= int64(len(b))
	}
	return f.file.WriteAt(b, at)
}

func (f *diskFile) Truncate(n int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.failCut {
		return errDisk
	}
	return f.file.Truncate(n)
}

func (f *diskFile) Sync() error {
	f.d.mu.Lock()
	fail, hold := f.d.failSync, f.d.hold
	f.d.mu.Unlock()
	if hold != nil && strings.HasPrefix(f.name, segmentPrefix) {
		<-hold
	}
	if fail {
		return io.ErrShortWrite
	}
	return nil
}
