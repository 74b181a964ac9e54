package exchangeapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"truc/internal/exchange"
)

const (
	// framedIdle is how long a connection may be silent; the caller asks for a sign of life before.
	framedIdle = 3 * time.Minute
	framedPing = time.Minute
	// framedWrite bounds one write: a peer that does not read for so long is cut off.
	framedWrite = 30 * time.Second
	// framedEnd is how long a peer may take to fetch its last answers from a node that ends.
	framedEnd = 4 * time.Second
	// framedInFlight bounds the requests of one connection that are being answered; more wait unread.
	framedInFlight = 512
	// framedIdlers bounds the goroutines of one connection that wait for its next requests.
	framedIdlers = 64
	// framedBacklog bounds the bytes that wait for a peer that reads slowly.
	framedBacklog = 4 << 20
)

var errLinkClosed = errors.New("the connection to the peer was closed")

// framedWriter writes frames of many goroutines to one connection. Whoever finds nobody writing starts a run, which takes
// what has come by then in one write: one system call and one TLS record for many frames under load.
type framedWriter struct {
	conn *tls.Conn

	mu      sync.Mutex // guards all below
	buf     []byte
	spare   []byte
	running bool
	err     error
	room    *sync.Cond
}

func newFramedWriter(conn *tls.Conn) *framedWriter {
	w := &framedWriter{conn: conn}
	w.room = sync.NewCond(&w.mu)
	return w
}

// add appends frames made by f. It waits while too much is waiting already.
func (w *framedWriter) add(f func([]byte) []byte) error {
	w.mu.Lock()
	for len(w.buf) > framedBacklog && w.err == nil {
		w.room.Wait()
	}
	if w.err != nil {
		defer w.mu.Unlock()
		return w.err
	}
	w.buf = f(w.buf)
	start := !w.running
	w.running = true
	w.mu.Unlock()
	if start {
		go w.loop()
	}
	return nil
}

func (w *framedWriter) loop() {
	for {
		runtime.Gosched() // who can run now may add something
		w.mu.Lock()
		b := w.buf
		if len(b) == 0 || w.err != nil {
			w.running = false
			w.mu.Unlock()
			return
		}
		w.buf, w.spare = w.spare[:0], nil
		w.mu.Unlock()
		_ = w.conn.SetWriteDeadline(time.Now().Add(framedWrite)) //nolint:forbidigo // the deadline of a socket is wall-clock time
		_, err := w.conn.Write(b)
		w.mu.Lock()
		if cap(b) <= maxFrame {
			w.spare = b
		}
		w.room.Broadcast()
		w.mu.Unlock()
		if err != nil {
			w.fail(err)
		}
	}
}

// fail ends the connection; everything added later is refused.
func (w *framedWriter) fail(err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	w.buf = nil
	w.room.Broadcast()
	w.mu.Unlock()
	_ = w.conn.Close()
}

// framedServer is the accepting side of one connection.
type framedServer struct {
	link *Link
	peer channelPeer
	w    *framedWriter

	mu     sync.Mutex // guards both
	live   map[uint64]context.CancelFunc
	ending bool
	work   sync.WaitGroup
	// next takes a request to a goroutine that has answered one: its stack has grown already, which for a new one costs
	// as much as finding out what is asked. idlers counts them; over ends them.
	next   chan func()
	idlers atomic.Int32
	over   chan struct{}
}

// serveFramed answers the requests of a connection until it ends. ctx ends when the server is shut down.
func (l *Link) serveFramed(ctx context.Context, conn *tls.Conn) {
	s := &framedServer{link: l, peer: channelPeerOf(conn.ConnectionState()), w: newFramedWriter(conn), live: map[uint64]context.CancelFunc{}, next: make(chan func()), over: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := l.framed.add(s)
	defer stop()
	err := s.read(ctx, bufio.NewReaderSize(conn, 64<<10))
	if !s.isEnding() {
		cancel() // the peer is gone: nobody waits for what is in work
	}
	close(s.over)
	s.work.Wait()
	s.w.fail(err)
}

func (s *framedServer) isEnding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending
}

func (s *framedServer) read(ctx context.Context, r *bufio.Reader) error {
	slots := make(chan struct{}, framedInFlight)
	for {
		s.await(framedIdle)
		f, err := readFrame(r)
		if err != nil {
			return err
		}
		switch f.kind {
		case frameRequest:
			req, err := parseRequest(f.payload)
			if err != nil {
				return err
			}
			req.PeerKeyID, req.PeerUntil = s.peer.keyID, s.peer.until
			slots <- struct{}{}
			if !s.start(ctx, f.id, req, slots) {
				return errFrame
			}
		case frameCancel:
			s.mu.Lock()
			if cancel := s.live[f.id]; cancel != nil {
				cancel()
			}
			s.mu.Unlock()
		case framePing:
			if err := s.w.add(func(b []byte) []byte { return appendBare(b, framePong, f.id) }); err != nil {
				return err
			}
		default:
			return errFrame
		}
	}
}

// do runs f in a goroutine that waits for work, or in a new one.
func (s *framedServer) do(f func()) {
	select {
	case s.next <- f:
		return
	default:
	}
	s.work.Go(func() {
		for {
			f()
			if s.idlers.Add(1) > framedIdlers {
				s.idlers.Add(-1)
				return
			}
			select {
			case f = <-s.next:
				s.idlers.Add(-1)
			case <-s.over:
				return
			}
		}
	})
}

// start answers a request beside the others; false when its number is in use.
func (s *framedServer) start(ctx context.Context, id uint64, req *exchange.WireRequest, slots <-chan struct{}) bool {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, dup := s.live[id]; dup {
		cancel()
		return false
	}
	s.live[id] = cancel
	s.do(func() {
		resp := s.receive(ctx, id, req)
		s.mu.Lock()
		delete(s.live, id)
		s.mu.Unlock()
		cancel()
		<-slots
		if resp == nil {
			return // it streamed
		}
		if len(resp.Body) > maxFramedBody {
			s.hold(id, resp)
			return
		}
		answer := func(b []byte) []byte { return appendAnswer(b, id, resp) }
		defer resp.Release()
		_ = s.w.add(answer) // a connection that ended has nobody to tell
	})
	return true
}

// await bounds the silence of the peer, unless the end has been bounded already.
func (s *framedServer) await(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ending {
		_ = s.w.conn.SetReadDeadline(time.Now().Add(d)) //nolint:forbidigo // the deadline of a socket is wall-clock time
	}
}

// goAway asks the peer for no more requests. The peer closes the connection when it has its answers.
func (s *framedServer) goAway() {
	_ = s.w.add(func(b []byte) []byte { return appendBare(b, frameGoAway, 0) })
	s.await(framedEnd)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
}

// framedServers are the open connections of a link.
type framedServers struct {
	mu sync.Mutex // guards m
	m  map[*framedServer]struct{}
}

func (f *framedServers) add(s *framedServer) (remove func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = map[*framedServer]struct{}{}
	}
	f.m[s] = struct{}{}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.m, s)
	}
}

func (f *framedServers) goAway() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.m {
		s.goAway()
	}
}

// framedClient is the calling side of one connection.
type framedClient struct {
	w *framedWriter

	mu    sync.Mutex // guards all below
	next  uint64
	wait  map[uint64]chan framedReply
	ended error // set when the connection takes no new requests
	done  chan struct{}
	once  sync.Once
}

// framedReply is an answer, or where to fetch it, or why there is none.
type framedReply struct {
	resp *exchange.WireResponse
	held string
	err  error
}

func newFramedClient(conn *tls.Conn) *framedClient {
	c := &framedClient{w: newFramedWriter(conn), wait: map[uint64]chan framedReply{}, done: make(chan struct{})}
	go c.read(bufio.NewReaderSize(conn, 64<<10))
	go c.keepAlive()
	return c
}

// usable reports whether new requests may be sent.
func (c *framedClient) usable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended == nil
}

func (c *framedClient) do(ctx context.Context, req *exchange.WireRequest) (framedReply, error) {
	ch := make(chan framedReply, 1)
	c.mu.Lock()
	if c.ended != nil {
		defer c.mu.Unlock()
		return framedReply{}, fmt.Errorf("%w: %w", exchange.ErrNotSent, c.ended)
	}
	c.next++
	id := c.next
	c.wait[id] = ch
	c.mu.Unlock()
	if err := c.w.add(func(b []byte) []byte { return appendRequest(b, id, req) }); err != nil {
		c.forget(id)
		return framedReply{}, err
	}
	select {
	case r := <-ch:
		return r, r.err
	case <-ctx.Done():
		if c.forget(id) {
			_ = c.w.add(func(b []byte) []byte { return appendBare(b, frameCancel, id) })
		}
		return framedReply{}, ctx.Err()
	}
}

func (c *framedClient) forget(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, there := c.wait[id]
	delete(c.wait, id)
	return there
}

func (c *framedClient) read(r *bufio.Reader) {
	for {
		_ = c.w.conn.SetReadDeadline(time.Now().Add(framedIdle)) //nolint:forbidigo // the deadline of a socket is wall-clock time
		f, err := readFrame(r)
		if err == nil {
			err = c.take(f)
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

func (c *framedClient) take(f frame) error {
	var reply framedReply
	var err error
	switch f.kind {
	case frameAnswer:
		reply.resp, err = parseAnswer(f.payload)
	case frameHeld:
		reply.held, err = parseHeld(f.payload)
	case framePong:
		return nil
	case frameGoAway:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended == nil {
			c.ended = errLinkClosed
		}
		return c.drained()
	default:
		return errFrame
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	ch := c.wait[f.id]
	delete(c.wait, f.id)
	err = c.drained()
	c.mu.Unlock()
	if ch != nil { // otherwise nobody waits for it any more
		ch <- reply
	}
	return err
}

// drained is an error when the connection takes no new requests and nobody waits for an answer; the caller holds mu.
func (c *framedClient) drained() error {
	if c.ended != nil && len(c.wait) == 0 {
		return c.ended
	}
	return nil
}

// end fails whoever waits.
func (c *framedClient) end(err error) {
	if errors.Is(err, io.EOF) {
		err = errLinkClosed
	}
	c.once.Do(func() { close(c.done) })
	c.w.fail(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = err
	for id, ch := range c.wait {
		delete(c.wait, id)
		ch <- framedReply{err: err}
	}
}

// keepAlive asks a silent peer for a sign of life, so that a dead one is noticed and a living one is not cut off.
func (c *framedClient) keepAlive() {
	t := time.NewTicker(framedPing)
	defer t.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-t.C:
		}
		if c.w.add(func(b []byte) []byte { return appendBare(b, framePing, 0) }) != nil {
			return
		}
	}
}

func (c *framedClient) close() { c.end(errLinkClosed) }
