package bodylog

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/sealed"
)

const (
	chunkSize   = sealed.Chunk
	sealedChunk = chunkSize + 16
)

func streamed(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = "secret of citizen "[i%18]
	}
	return b
}

func keep(t *testing.T, l *Log, n Name, b []byte) {
	t.Helper()
	s, err := l.Create(n)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Write(b); err != nil || n != len(b) {
		t.Fatal(n, err)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
}

func read(l *Log, t *testing.T, n Name, at time.Time) ([]byte, error) {
	r, err := l.Open(t.Context(), n, at)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func TestStreams(t *testing.T) {
	l, clock := newLog(t)
	sizes := []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 3 * chunkSize, 1 << 20}
	for i, n := range sizes {
		keep(t, l, name(i), streamed(n)) // all in one microsecond
	}
	if err := l.Put(name(100), body(3)); err != nil {
		t.Fatal(err)
	}
	s, err := l.Create(name(200))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range streamed(2*chunkSize + 5) {
		if _, err := s.Write([]byte{c}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := read(l, t, name(200), *clock); !errs.Is(err, errs.NotFound) {
		t.Errorf("a body that has not ended = %v; want NotFound", err)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	gone, err := l.Create(name(300))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = gone.Write(streamed(2 * chunkSize))
	if err := gone.Discard(); err != nil {
		t.Fatal(err)
	}
	*clock = clock.Add(time.Hour) // the entry about a body is made when it has ended
	for i, n := range sizes {
		if b, err := read(l, t, name(i), *clock); err != nil || !bytes.Equal(b, streamed(n)) {
			t.Errorf("stream of %d = %d bytes, %v", n, len(b), err)
		}
	}
	if b, err := read(l, t, name(200), *clock); err != nil || !bytes.Equal(b, streamed(2*chunkSize+5)) {
		t.Errorf("byte by byte: %d bytes, %v", len(b), err)
	}
	if b, err := read(l, t, name(100), *clock); err != nil || !bytes.Equal(b, body(3)) {
		t.Errorf("a body that did not stream = %q, %v", b, err)
	}
	if _, err := read(l, t, name(300), *clock); !errs.Is(err, errs.NotFound) {
		t.Errorf("a body that was given up = %v; want NotFound", err)
	}
	files, err := filepath.Glob(filepath.Join(l.Dir, "*"))
	if err != nil || len(files) != 2*(len(sizes)+2) {
		t.Errorf("%d files, %v; want two for each segment", len(files), err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || bytes.Contains(b, []byte("citizen")) {
			t.Errorf("%s holds a body in clear (%v)", f, err)
		}
	}
	*clock = clock.Add(25 * time.Hour) // the segment that is written to ends too
	if n, err := l.Erase(clock.Add(25 * time.Hour)); err != nil || n != len(sizes)+2 {
		t.Errorf("Erase = %d, %v", n, err)
	}
	if files, _ := filepath.Glob(filepath.Join(l.Dir, "*")); len(files) > 0 {
		t.Errorf("after erasing there are %v", files)
	}
}

// Every byte of a kept stream counts, and chunks cannot be dropped, doubled or moved.
func TestStreamsAreWhole(t *testing.T) {
	l, clock := newLog(t)
	l2 := &Log{Dir: l.Dir, Seal: l.Seal, Now: l.Now}
	keep(t, l, name(1), streamed(3*chunkSize))
	keep(t, l, name(2), streamed(3*chunkSize))
	files, err := filepath.Glob(filepath.Join(l.Dir, "*"+streamSuffix))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	chunk := func(b []byte, i int) []byte {
		return b[nameSize+i*sealedChunk : min(nameSize+(i+1)*sealedChunk, len(b))]
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	head := good[:nameSize]
	for what, bad := range map[string][]byte{
		"nothing":              {},
		"a name alone":         head,
		"the last chunk gone":  join(head, chunk(good, 0), chunk(good, 1)),
		"cut in a chunk":       good[:len(good)-1],
		"more behind it":       append(bytes.Clone(good), 0),
		"the first gone":       join(head, chunk(good, 1), chunk(good, 2)),
		"two in another order": join(head, chunk(good, 1), chunk(good, 0), chunk(good, 2)),
		"one twice":            join(head, chunk(good, 0), chunk(good, 0), chunk(good, 2)),
		"one of another body":  join(head, chunk(good, 0), chunk(other, 1), chunk(good, 2)),
		"the name of another":  join(other[:nameSize], good[nameSize:]),
	} {
		if err := os.WriteFile(files[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := read(l2, t, name(1), *clock); err == nil {
			t.Errorf("%s: read %d bytes", what, len(b))
		}
	}
	for _, at := range []int{nameSize, nameSize + 5000, nameSize + sealedChunk, len(good) - 1} {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if err := os.WriteFile(files[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(l2, t, name(1), *clock); err == nil {
			t.Errorf("a changed byte at %d was not noticed", at)
		}
	}
	if err := os.WriteFile(files[0], good, 0o600); err != nil {
		t.Fatal(err)
	}
	l2.Seal = bytes.Repeat([]byte{8}, 32)
	if _, err := read(l2, t, name(1), *clock); err == nil {
		t.Error("opened with another seal key")
	}
	if err := os.Remove(files[0][:len(files[0])-len(streamSuffix)] + keySuffix); err != nil {
		t.Fatal(err)
	}
	if _, err := read(l, t, name(1), *clock); !errs.Is(err, errs.NotFound) {
		t.Errorf("without its key: %v; want NotFound", err)
	}
}
