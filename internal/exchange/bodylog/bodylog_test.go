package bodylog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
)

func newLog(t *testing.T) (*Log, *time.Time) {
	clock := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	l := &Log{Dir: filepath.Join(t.TempDir(), "bodies"), Seal: bytes.Repeat([]byte{7}, 32), SegmentSize: 2000, Now: func() time.Time { return clock }}
	t.Cleanup(func() { _ = l.Close() })
	return l, &clock
}

func name(i int) Name { return Name{"provider", "request", fmt.Sprint("r", i)} }

func body(i int) []byte {
	return fmt.Appendf(nil, "secret of citizen %d %s", i, strings.Repeat("x", i))
}

func TestKeepAndErase(t *testing.T) {
	l, clock := newLog(t)
	times := map[int]time.Time{}
	for i := range 100 {
		times[i] = *clock
		if err := l.Put(name(i), body(i)); err != nil {
			t.Fatal(err)
		}
		*clock = clock.Add(time.Hour)
	}
	if err := l.Put(Name{"provider", "response", "r1"}, nil); err != nil { // an empty body is a body
		t.Fatal(err)
	}
	get := func(i int) ([]byte, error) { return l.Get(t.Context(), name(i), times[i].Add(time.Minute)) }
	for i := range 100 {
		if b, err := get(i); err != nil || !bytes.Equal(b, body(i)) {
			t.Errorf("body %d = %q, %v", i, b, err)
		}
	}
	if b, err := l.Get(t.Context(), Name{"provider", "response", "r1"}, *clock); err != nil || len(b) != 0 {
		t.Errorf("empty body = %q, %v", b, err)
	}
	for _, n := range []Name{{"consumer", "request", "r1"}, {"provider", "response", "r2"}, {"provider", "request", "r"}} {
		if _, err := l.Get(t.Context(), n, times[1]); !errs.Is(err, errs.NotFound) {
			t.Errorf("Get(%v) = %v, want NotFound", n, err)
		}
	}
	err := filepath.WalkDir(l.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("citizen")) || bytes.Contains(b, []byte("xxxx")) {
			t.Errorf("%s holds a body in clear", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := l.Erase(clock.Add(-48 * time.Hour))
	if err != nil || n == 0 {
		t.Fatalf("Erase = %d, %v", n, err)
	}
	gone := 0
	for i := range 100 {
		b, err := get(i)
		switch {
		case errs.Is(err, errs.NotFound):
			gone++
			if clock.Sub(times[i]) < 48*time.Hour {
				t.Errorf("body %d was erased after %v", i, clock.Sub(times[i]))
			}
		case err != nil || !bytes.Equal(b, body(i)):
			t.Errorf("body %d = %q, %v", i, b, err)
		case clock.Sub(times[i]) > 98*time.Hour:
			t.Errorf("body %d is still there after %v", i, clock.Sub(times[i]))
		}
	}
	if gone == 0 {
		t.Error("nothing was erased")
	}
	left, err := filepath.Glob(filepath.Join(l.Dir, "*.body"))
	keys, _ := filepath.Glob(filepath.Join(l.Dir, "*.key"))
	if err != nil || len(left) != len(keys) {
		t.Errorf("%d bodies and %d keys left, %v", len(left), len(keys), err)
	}
}

func TestWithoutItsKeyABodyIsGone(t *testing.T) {
	l, clock := newLog(t)
	if err := l.Put(name(1), body(1)); err != nil {
		t.Fatal(err)
	}
	keys, _ := filepath.Glob(filepath.Join(l.Dir, "*.key"))
	other := &Log{Dir: l.Dir, Seal: bytes.Repeat([]byte{8}, 32), Now: l.Now}
	if b, err := other.Get(t.Context(), name(1), *clock); err == nil {
		t.Errorf("another node's seal opens it: %q", b)
	}
	if err := os.Remove(keys[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Get(t.Context(), name(1), *clock); !errs.Is(err, errs.NotFound) {
		t.Errorf("Get = %v, want NotFound", err)
	}
	_ = l.Close()
	if _, err := l.Erase(time.Time{}); err != nil { // and its rest goes at the next turn
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(l.Dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestTornAndChangedSegments(t *testing.T) {
	l, clock := newLog(t)
	for i := range 5 {
		if err := l.Put(name(i), body(i)); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	paths, _ := filepath.Glob(filepath.Join(l.Dir, "*.body"))
	whole, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) { // killed at any byte: what was whole stays readable, the rest is not there
		if err := os.WriteFile(paths[0], whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := l.Get(t.Context(), name(4), *clock); !errs.Is(err, errs.NotFound) {
			t.Fatalf("cut at %d: %q, %v", cut, b, err)
		}
	}
	for i := range whole { // a changed byte is never given out as a body
		bad := bytes.Clone(whole)
		bad[i] ^= 1
		if err := os.WriteFile(paths[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		for k := range 5 {
			if b, err := l.Get(t.Context(), name(k), *clock); err == nil && !bytes.Equal(b, body(k)) {
				t.Fatalf("byte %d changed: body %d = %q", i, k, b)
			}
		}
	}
}

func FuzzSegment(f *testing.F) {
	f.Add([]byte{0, 0, 0, 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, clock := newLog(t)
		if err := l.Put(name(1), body(1)); err != nil {
			t.Fatal(err)
		}
		paths, _ := filepath.Glob(filepath.Join(l.Dir, "*.body"))
		if err := os.WriteFile(paths[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Get(t.Context(), name(1), *clock); err == nil && !bytes.Equal(got, body(1)) {
			t.Errorf("%q", got)
		}
	})
}
