package edxml

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// watched notes the most memory in use while bytes go through it.
type watched struct {
	io.Reader
	n, next   int64
	heap, rss int64
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if w.n += int64(n); w.n >= w.next {
		w.next = w.n + 16<<20
		heap, rss := memoryInUse()
		w.heap, w.rss = max(w.heap, heap), max(w.rss, rss)
	}
	return n, err
}

func memoryInUse() (heap, rss int64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			rss = pages * int64(os.Getpagesize())
		}
	}
	return int64(m.HeapSys - m.HeapReleased), rss
}

// counter is a sink that keeps nothing.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }
func (c *counter) Close() error                { return nil }

// TestLargeMessage writes a message with an attachment of 375 MB, 500 MB on the wire, into a pipe and reads it at the other end: memory
// grows by less than 64 MB. A packed attachment of 100 MB goes the same way.
func TestLargeMessage(t *testing.T) {
	for _, test := range []struct {
		name string
		size int64
		wire int64
	}{{"x.pdf", 375 << 20, 500 << 20}, {"x.xlsx", 100 << 20, 133 << 20}} {
		m, _ := mustRead(t, testdata(t, "document.xml"))
		m.Attachments[0] = Attachment{Name: test.name, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.LimitReader(rand.NewChaCha8([32]byte{}), test.size)), nil
		}}
		pr, pw := io.Pipe()
		done := make(chan error, 1)
		runtime.GC()
		heap, rss := memoryInUse()
		go func() {
			err := Write(pw, m)
			_ = pw.CloseWithError(errors.Join(err, io.EOF))
			done <- err
		}()
		w := &watched{Reader: pr}
		sink := &counter{}
		got, err := Read(w, ReadOptions{Limits: Limits{Message: 600 << 20}, Now: now, Sink: func(int, Attachment) (io.WriteCloser, error) { return sink, nil }})
		_ = pr.Close()
		if err := errors.Join(err, <-done); err != nil {
			t.Fatal(err)
		}
		if got.Attachments[0].Size != test.size || sink.n != test.size || w.n < test.wire {
			t.Errorf("%s: %d bytes of %d, %d of the wire's", test.name, sink.n, test.size, w.n)
		}
		t.Logf("%s: heap %d → %d MB, resident %d → %d MB", test.name, heap>>20, w.heap>>20, rss>>20, w.rss>>20)
		if w.heap-heap > 64<<20 || w.rss-rss > 64<<20 {
			t.Errorf("%s: heap grew from %d to %d MB, resident memory from %d to %d MB", test.name, heap>>20, w.heap>>20, rss>>20, w.rss>>20)
		}
	}
}
