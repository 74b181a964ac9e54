package directory

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"truc/internal/errs"
	"truc/internal/pki"
)

// path is the way to a center whose requests are cut when they are silent for longer than most; 0 cuts none. It notes
// what was asked.
type path struct {
	*Center
	mu     sync.Mutex
	most   time.Duration
	away   bool
	plain  int
	waited []time.Duration
}

func (p *path) state() (away bool, most time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away, p.most
}

var errCut = errs.E(errs.Unavailable, "directory.center_unreachable", errors.New("cut"))

func (p *path) Document(ctx context.Context, hash, poll string) ([]byte, Current, error) {
	p.mu.Lock()
	p.plain++
	p.mu.Unlock()
	if away, _ := p.state(); away {
		return nil, Current{}, errCut
	}
	return p.Center.Document(ctx, hash, poll)
}

func (p *path) Await(ctx context.Context, hash, poll string, wait time.Duration) ([]byte, Current, bool, error) {
	p.mu.Lock()
	p.waited = append(p.waited, wait)
	p.mu.Unlock()
	away, most := p.state()
	if away {
		return nil, Current{}, false, errCut
	}
	if most == 0 {
		return p.Center.Await(ctx, hash, poll, wait)
	}
	short, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	env, cur, waited, err := p.Center.Await(short, hash, poll, wait)
	if short.Err() != nil {
		return nil, Current{}, false, errCut
	}
	return env, cur, waited, err
}

// waitWorld is a center with nodes that follow it by waiting.
type waitWorld struct {
	c     *Center
	nodes []*testNode
	paths []*path
	stop  func()
}

func newWaitWorld(t *testing.T, n int) *waitWorld {
	t.Helper()
	w := &waitWorld{c: testCenter(t, func() time.Time { return time.Now().UTC() })}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.c.Watch(ctx) })
	for i := range n {
		p := &path{Center: w.c}
		node := joinNode(t, w.c, p, fmt.Sprintf("node%d", i))
		node.f.opt.Wait = LongestWait
		w.nodes, w.paths = append(w.nodes, node), append(w.paths, p)
		time.Sleep(time.Second) // documents of later joins are fetched by those who are there
		wg.Go(func() { _ = node.f.Run(ctx) })
	}
	w.stop = func() { cancel(); wg.Wait() }
	return w
}

func (w *waitWorld) knowsRevoked(i int, node *testNode) bool {
	return w.nodes[i].f.Document().IsRevoked(pki.KeyID(node.keys.TLS.Public()))
}

// What the center decides is with every node within a second, whenever it is decided, and nobody asks in vain.
func TestNewsReachAllWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaitWorld(t, 6)
		defer w.stop()
		time.Sleep(40 * time.Minute)
		synctest.Wait()
		if got := w.c.Waiting(); got != 6 {
			t.Fatalf("%d nodes wait", got)
		}
		for i, p := range w.paths {
			// Forty minutes of silence are about a hundred questions that are held in full, and no pull besides.
			if len(p.waited) < 90 || len(p.waited) > 110 || p.plain != 0 {
				t.Errorf("node %d waited %d times and pulled %d times", i, len(p.waited), p.plain)
			}
			if st := w.nodes[i].f.Status(); st.Level != Fresh || st.Fault != nil {
				t.Errorf("node %d: %+v", i, st)
			}
		}
		for _, lost := range []int{0, 1, 2} { // one after the other, also while the last news are on their way
			if err := w.c.RevokeNode(t.Context(), "a", w.nodes[lost].id, "lost"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			for i := range w.nodes {
				if !w.knowsRevoked(i, w.nodes[lost]) && i > lost { // who is revoked is not held any more
					t.Errorf("node %d does not know of the revocation of %d", i, lost)
				}
			}
		}
		if got := w.c.Waiting(); got > 3 {
			t.Errorf("%d wait; those who were revoked have no place", got)
		}
	})
}

// A version that another process signed on the same database wakes the waiting too.
func TestNewsOfAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaitWorld(t, 2)
		defer w.stop()
		time.Sleep(5 * time.Second)
		other := &Center{Instance: w.c.Instance, URL: w.c.URL, Key: w.c.Key, CA: w.c.CA, Store: w.c.Store, Now: w.c.Now}
		if err := other.RevokeNode(t.Context(), "a", w.nodes[0].id, "lost"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(watchInterval + spread)
		if !w.knowsRevoked(1, w.nodes[0]) {
			t.Error("the news did not arrive")
		}
	})
}

// A path that cuts silent requests after 10 seconds is asked for less; one that cuts at once is asked at the interval.
// Neither is a fault that people are shown, and the news arrive.
func TestPathsThatCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaitWorld(t, 3)
		defer w.stop()
		w.paths[1].mu.Lock()
		w.paths[1].most = 10 * time.Second
		w.paths[1].mu.Unlock()
		w.paths[2].mu.Lock()
		w.paths[2].most = time.Second
		w.paths[2].mu.Unlock()
		for range 60 {
			time.Sleep(time.Minute)
			for i, n := range w.nodes {
				if st := n.f.Status(); st.Level != Fresh || st.Fault != nil {
					t.Fatalf("node %d: %+v", i, st)
				}
			}
		}
		if n := len(w.paths[2].waited); n > 60 {
			t.Errorf("a path that cuts at once was tried %d times in an hour", n)
		}
		if n := w.paths[1].plain; n > 60 {
			t.Errorf("a path that lets 10 seconds pass was pulled plainly %d times in an hour", n)
		}
		if err := w.c.RevokeNode(t.Context(), "a", w.nodes[0].id, "lost"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // a question that was just cut is followed by a pull
		if !w.knowsRevoked(1, w.nodes[0]) {
			t.Error("the news did not arrive in time where requests may wait for a while")
		}
		time.Sleep(30 * time.Second)
		if !w.knowsRevoked(2, w.nodes[0]) {
			t.Error("the news did not arrive within the interval")
		}
	})
}

// A center that ends lets those who wait go, at once; when it is back they wait again.
func TestCenterRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaitWorld(t, 3)
		time.Sleep(time.Minute)
		w.c.waiters.close() // what Watch does at the end
		for _, p := range w.paths {
			p.mu.Lock()
			p.away = true
			p.mu.Unlock()
		}
		synctest.Wait()
		if got := w.c.Waiting(); got != 0 {
			t.Fatalf("%d still wait", got)
		}
		time.Sleep(5 * time.Minute)
		for i, n := range w.nodes {
			if n.f.Status().Fault == nil {
				t.Errorf("node %d does not say that the center is away", i)
			}
		}
		w.c.waiters.mu.Lock()
		w.c.waiters.closed = false // the new process
		w.c.waiters.mu.Unlock()
		for _, p := range w.paths {
			p.mu.Lock()
			p.away = false
			p.mu.Unlock()
		}
		time.Sleep(time.Minute)
		if got := w.c.Waiting(); got != 3 {
			t.Errorf("%d wait after the restart", got)
		}
		w.stop()
		if got := w.c.Waiting(); got != 0 {
			t.Errorf("%d wait after the end", got)
		}
	})
}

// Only nodes of the network are held, each a few times; places come back.
func TestPlacesToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testCenter(t, func() time.Time { return time.Now().UTC() })
		n := joinNode(t, c, c, "node1")
		hash, poll := n.f.question(t.Context())
		_, strange := (&Follower{opt: FollowerOptions{NodeID: n.id, Signing: testKey(t, pki.Ed25519), Now: c.Now}}).question(t.Context())
		for name, poll := range map[string]string{"nobody": "", "another key": strange, "damaged": poll + "x", "nonsense": ";;;"} {
			if _, _, waited, err := c.Await(t.Context(), hash, poll, LongestWait); waited || err != nil {
				t.Errorf("%s: held %v, %v", name, waited, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		before := runtime.NumGoroutine()
		var wg sync.WaitGroup
		for range maxWaitersOfNode {
			wg.Go(func() { _, _, _, _ = c.Await(ctx, hash, poll, LongestWait) })
		}
		synctest.Wait()
		if c.Waiting() != maxWaitersOfNode {
			t.Fatalf("%d wait", c.Waiting())
		}
		if env, cur, waited, err := c.Await(ctx, hash, poll, LongestWait); waited || err != nil || env != nil || cur.Hash != hash {
			t.Errorf("one more was held: %v, %v", waited, err)
		}
		if env, _, _, err := c.Await(ctx, "other", poll, LongestWait); err != nil || env == nil {
			t.Errorf("who has an old copy waits: %v", err)
		}
		cancel() // their connections end
		wg.Wait()
		if c.Waiting() != 0 || len(c.waiters.ofNode) != 0 || runtime.NumGoroutine() > before {
			t.Errorf("%d wait, %d goroutines instead of %d", c.Waiting(), runtime.NumGoroutine(), before)
		}
		// An old sign of life opens nothing.
		time.Sleep(requestSkew + time.Second)
		if _, _, waited, _ := c.Await(t.Context(), hash, poll, LongestWait); waited {
			t.Error("an old sign of life was taken")
		}
	})
}
