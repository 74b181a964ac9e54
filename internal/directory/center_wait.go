package directory

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
)

const (
	// LongestWait is how long a node asks the center to hold a request that has no news: many proxies cut what is silent
	// for 30 seconds.
	LongestWait = 25 * time.Second
	// maxWaiters bounds the requests that wait at once, maxWaitersOfNode those of one node: each is a connection and a few
	// kilobytes. Who finds no place is answered at once and asks again after its interval.
	maxWaiters, maxWaitersOfNode = 1000, 4
	// spread is over how long those who waited are answered after a change, so that not all of them fetch the new document
	// in the same instant.
	spread = 250 * time.Millisecond
	// watchInterval is how often a center with waiters looks whether another process on its database signed a version.
	watchInterval = time.Second
)

// waiters are requests that are held until the document changes. The zero value has none.
type waiters struct {
	mu sync.Mutex
	// changed is closed at a change and replaced by the next who waits.
	changed chan struct{}
	count   int
	ofNode  map[string]int
	closed  bool
	// touched is when a node was last written down as seen.
	touched map[string]time.Time
	head    heldDocument
}

// heldDocument is the newest document as it was read last, so that not every question reads it from the database.
type heldDocument struct {
	hash     string
	envelope []byte
	doc      *Document
}

// enter takes a place for a node; changed is nil when there is none.
func (w *waiters) enter(node string) (changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.count >= maxWaiters || w.ofNode[node] >= maxWaitersOfNode {
		return nil
	}
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	if w.ofNode == nil {
		w.ofNode = map[string]int{}
	}
	w.count++
	w.ofNode[node]++
	return w.changed
}

func (w *waiters) leave(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count--
	if w.ofNode[node]--; w.ofNode[node] == 0 {
		delete(w.ofNode, node)
	}
}

func (w *waiters) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

func (w *waiters) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wake()
}

// Waiting returns how many requests are held until the document changes.
func (c *Center) Waiting() int {
	c.waiters.mu.Lock()
	defer c.waiters.mu.Unlock()
	return c.waiters.count
}

// Await implements [Awaiter]. Only nodes of the network are held, by their signed sign of life: nobody else can take
// their places.
func (c *Center) Await(ctx context.Context, hash, poll string, wait time.Duration) (env []byte, cur Current, waited bool, err error) {
	if hash != "" && wait > 0 {
		if waited, err = c.await(ctx, hash, poll, min(wait, LongestWait)); err != nil {
			return nil, Current{}, false, err
		}
	}
	env, cur, err = c.Document(ctx, hash, poll)
	return env, cur, waited, err
}

func (c *Center) await(ctx context.Context, hash, poll string, wait time.Duration) (waited bool, err error) {
	held, err := c.newest(ctx)
	if err != nil {
		return false, err
	}
	node, ok := c.pollOf(held.doc, poll)
	if !ok {
		return false, nil
	}
	changed := c.waiters.enter(node)
	if changed == nil {
		return false, nil
	}
	defer c.waiters.leave(node)
	// Asked again now that a change would be noticed.
	if newest, err := c.Store.Newest(ctx); err != nil || newest != hash {
		return true, err
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-changed:
	}
	c.waiters.mu.Lock()
	closed := c.waiters.closed
	c.waiters.mu.Unlock()
	if closed {
		return false, errs.E(errs.Unavailable, "directory.center_unreachable", errors.New("the center is going down"))
	}
	t.Reset(rand.N(spread)) //nolint:gosec // spreads load, keeps no secret
	select {
	case <-t.C:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return true, nil
}

// Watch lets those who wait know of versions that another process on the same database signed, until ctx ends; then it
// lets them go, so that an orderly end does not wait for them.
func (c *Center) Watch(ctx context.Context) error {
	defer c.waiters.close()
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if c.Waiting() == 0 {
			continue
		}
		newest, err := c.Store.Newest(ctx)
		if err != nil {
			continue // who waits asks again by itself
		}
		if last != "" && newest != last {
			c.waiters.wake()
		}
		last = newest
	}
}

// newest returns the newest document, read and parsed once for each version.
func (c *Center) newest(ctx context.Context) (heldDocument, error) {
	hash, err := c.Store.Newest(ctx)
	if err != nil {
		return heldDocument{}, err
	}
	c.waiters.mu.Lock()
	held := c.waiters.head
	c.waiters.mu.Unlock()
	if held.hash == hash {
		return held, nil
	}
	env, hash, err := c.Store.Envelope(ctx)
	if err != nil {
		return heldDocument{}, err
	}
	doc, err := Peek(env)
	if err != nil {
		return heldDocument{}, err
	}
	held = heldDocument{hash: hash, envelope: env, doc: doc}
	c.waiters.mu.Lock()
	c.waiters.head = held
	c.waiters.mu.Unlock()
	return held, nil
}

// pollOf returns the node whose sign of life poll is, when it is genuine and of now.
func (c *Center) pollOf(doc *Document, poll string) (node string, ok bool) {
	p := strings.Split(poll, ";")
	if len(p) != 4 {
		return "", false
	}
	at, err := strconv.ParseInt(p[1], 10, 64)
	if err != nil || !c.recent(at) {
		return "", false
	}
	n, ok := doc.Node(p[0])
	if !ok || doc.IsRevoked(p[2]) {
		return "", false
	}
	k, ok := n.key(p[2])
	if !ok || !k.ValidAt(c.now()) {
		return "", false
	}
	pub, err := k.Public()
	if err != nil || verify(pub, domainPoll, []byte(p[0]+"\n"+p[1]), Signature{KeyID: p[2], Sig: p[3]}) != nil {
		return "", false
	}
	return p[0], true
}

// notePoll writes down a node's sign of life when it is genuine, once a minute; a wrong one is of no consequence.
func (c *Center) notePoll(ctx context.Context, doc *Document, poll string) {
	node, ok := c.pollOf(doc, poll)
	if !ok {
		return
	}
	now, w := c.now(), &c.waiters
	w.mu.Lock()
	due := now.Sub(w.touched[node]) >= time.Minute
	if due {
		if w.touched == nil {
			w.touched = map[string]time.Time{}
		}
		w.touched[node] = now
	}
	w.mu.Unlock()
	if due {
		_ = c.Store.Touch(ctx, node, now) // last seen is for people; a fault here must not fail the pull
	}
}
