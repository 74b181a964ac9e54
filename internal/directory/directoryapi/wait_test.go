package directoryapi

import (
	"context"
	"net/http"
	"runtime"
	"testing"
	"time"

	"truc/internal/directory"
)

func TestPreferredWait(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"": 0, "wait": 0, "wait=": 0, "wait=x": 0, "wait=-1": 0, "wait=70000": 0, "respond-async": 0,
		"wait=7": 7 * time.Second, `WAIT = "7"`: 7 * time.Second, "respond-async, wait=7; x=1": 7 * time.Second, "wait=600": directory.LongestWait,
	} {
		if got := preferredWait(http.Header{"Prefer": {line}}); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}

// untilWaiting returns when n requests are held.
func (w *world) untilWaiting(t *testing.T, n int) {
	t.Helper()
	for range 100_000 {
		if w.center.Waiting() == n {
			return
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d requests wait, want %d", w.center.Waiting(), n)
}

// A request is held until the center signs another version and then answered with it; one whose caller went away
// leaves nothing behind.
func TestDocumentWaits(t *testing.T) {
	w := newWorld(t)
	n := w.join(t, "H36", "onestop")
	hash := directory.Hash(mustOpen(t, n).canonical(t))
	poll, err := directory.NewPoll(n.id, n.keys.Signing, w.now())
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		env    []byte
		cur    directory.Current
		waited bool
		err    error
	}
	ask := func(ctx context.Context) <-chan answer {
		c := make(chan answer, 1)
		go func() {
			var a answer
			a.env, a.cur, a.waited, a.err = w.client.Await(ctx, hash, poll, directory.LongestWait)
			c <- a
		}()
		return c
	}
	gone, leave := context.WithCancel(t.Context())
	left, stays := ask(gone), ask(t.Context())
	w.untilWaiting(t, 2)
	leave()
	if a := <-left; a.err == nil {
		t.Error("who left was answered")
	}
	w.untilWaiting(t, 1)
	select {
	case a := <-stays:
		t.Fatalf("answered before there was news: %+v", a)
	default:
	}
	if err := w.center.DisableNode(t.Context(), "admin", n.id, true); err != nil {
		t.Fatal(err)
	}
	a := <-stays
	if a.err != nil || !a.waited || a.env == nil || a.cur.Hash == hash {
		t.Fatalf("answer %v %v %v", a.waited, a.cur.Hash, a.err)
	}
	doc, err := directory.Peek(a.env)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := doc.Node(n.id); got.State != directory.Disabled {
		t.Errorf("the node is %s in what was waited for", got.State)
	}
	w.untilWaiting(t, 0)
	// Whoever has an old copy, or says nothing of waiting, is answered at once.
	if env, _, _, err := w.client.Await(t.Context(), hash, poll, directory.LongestWait); err != nil || env == nil {
		t.Errorf("old copy: %v", err)
	}
	if env, cur, err := w.client.Document(t.Context(), a.cur.Hash, poll); err != nil || env != nil || cur.Hash != a.cur.Hash {
		t.Errorf("no waiting: %v", err)
	}
}

type opened struct{ doc *directory.Document }

func mustOpen(t *testing.T, n *node) opened {
	t.Helper()
	return opened{n.f.Document()}
}

func (o opened) canonical(t *testing.T) []byte {
	t.Helper()
	b, err := o.doc.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
