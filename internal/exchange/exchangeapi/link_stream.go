package exchangeapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
)

const (
	// streamIdle is how long a stream may stand still, streamStep how much must pass for it to count as moving: whoever
	// is slower than half a kibibyte a second holds memory for nothing and is cut.
	streamIdle = time.Minute
	streamStep = 32 << 10
	// streamWindow is how much a peer may send ahead on one stream. Of [exchange.MaxStreams] streams it makes 24 MiB.
	streamWindow = 512 << 10
)

// http2Limits bound what HTTP/2 keeps in memory. The window of a connection must hold those of all streams: a stream that
// nobody reads would otherwise stop the others on its connection.
func http2Limits() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: 250, SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second,
		MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: (exchange.MaxStreams + 16) * streamWindow,
	}
}

// watchdog calls cut when too little moved for too long.
type watchdog struct {
	mu    sync.Mutex // guards moved and over
	moved int
	over  bool
	idle  time.Duration
	timer *time.Timer
}

// newWatchdog waits for idle, or [streamIdle] where that is 0.
func newWatchdog(idle time.Duration, cut func()) *watchdog {
	idle = cmp.Or(idle, streamIdle)
	return &watchdog{idle: idle, timer: time.AfterFunc(idle, cut)}
}

func (d *watchdog) move(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.moved += n; d.moved >= streamStep && !d.over {
		d.moved = 0
		d.timer.Reset(d.idle)
	}
}

func (d *watchdog) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	d.timer.Stop()
}

// watched is a body whose reads are watched.
type watched struct {
	io.ReadCloser
	dog *watchdog
}

// Read implements [io.Reader].
func (w watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.dog.move(n)
	if err != nil {
		w.dog.stop()
	}
	return n, err
}

// Close implements [io.Closer].
func (w watched) Close() error {
	w.dog.stop()
	return w.ReadCloser.Close()
}

// past is a deadline that has passed on every clock.
var past = time.Unix(1, 0)

// linkSink writes a streamed answer to a peer.
type linkSink struct {
	w     http.ResponseWriter
	in    *watchdog
	out   *watchdog
	slowd bool
	idle  time.Duration // see [Link]
}

// slow replaces the server's limits on time, which are for small exchanges, by those on standing still.
func (s *linkSink) slow() {
	if s.slowd {
		return
	}
	s.slowd = true
	rc := http.NewResponseController(s.w)
	_ = rc.SetReadDeadline(time.Time{}) // servers of ours can
	_ = rc.SetWriteDeadline(time.Time{})
}

// watch cuts a request's body that stands still.
func (s *linkSink) watch(body io.ReadCloser) io.ReadCloser {
	rc := http.NewResponseController(s.w)
	s.in = newWatchdog(s.idle, func() { _ = rc.SetReadDeadline(past) })
	return watched{ReadCloser: body, dog: s.in}
}

func (s *linkSink) done() {
	for _, d := range []*watchdog{s.in, s.out} {
		if d != nil {
			d.stop()
		}
	}
}

// Begin implements [exchange.Sink].
func (s *linkSink) Begin(status int, header http.Header, length int64) error {
	s.slow()
	rc := http.NewResponseController(s.w)
	s.out = newWatchdog(s.idle, func() { _ = rc.SetWriteDeadline(past) })
	h := s.w.Header()
	maps.Copy(h, header)
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = nil
	}
	if length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	s.w.WriteHeader(status)
	return rc.Flush()
}

// Write implements [io.Writer].
func (s *linkSink) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	s.out.move(n)
	return n, err
}

// Flush implements [exchange.Sink].
func (s *linkSink) Flush() { _ = http.NewResponseController(s.w).Flush() }

// End implements [exchange.Sink].
func (s *linkSink) End(trailer http.Header) error {
	for name, values := range trailer {
		s.w.Header()[http.TrailerPrefix+name] = values
	}
	return nil
}

// copyStream writes an answer whose other end is a pipe.
func copyStream(ctx context.Context, sink *linkSink, resp *exchange.WireResponse) {
	stop := context.AfterFunc(ctx, func() { _ = resp.Stream.Body.Close() }) // the service may be waiting, not writing
	defer stop()
	defer sink.done()
	err := sink.Begin(resp.Status, resp.Header, resp.Stream.Length)
	if err == nil {
		_, err = io.CopyBuffer(sink, resp.Stream.Body, make([]byte, streamStep))
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = sink.End(resp.Stream.Trailer())
}

// receive answers a request that came in a frame. An answer that streams is fetched over HTTP/2 like one that is too
// large for a frame; then the result is nil.
func (s *framedServer) receive(ctx context.Context, id uint64, req *exchange.WireRequest) *exchange.WireResponse {
	taken := int64(len(req.Body))
	if !s.link.Budget.Take(taken) {
		return &exchange.WireResponse{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"1"}}}
	}
	defer s.link.Budget.Release(taken)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pipe := exchange.NewPipe(func(resp *exchange.WireResponse) {
		resp.Stream.Body = cancelling{resp.Stream.Body, cancel}
		s.hold(id, resp)
	})
	resp := s.link.Service.ReceiveStream(ctx, req, pipe)
	switch {
	case resp == nil:
	case !resp.Abort:
		return resp
	case pipe.Abort(): // the head was sent; the pipe tells the rest
	default: // nothing was sent, and a frame cannot be reset
		s.w.fail(errLinkClosed)
	}
	return nil
}

// cancelling is a body whose end of interest is that of the whole request.
type cancelling struct {
	io.ReadCloser
	cancel func()
}

// Close implements [io.Closer].
func (c cancelling) Close() error {
	c.cancel()
	return c.ReadCloser.Close()
}

// hold keeps an answer until it is fetched and tells the peer under which word.
func (s *framedServer) hold(id uint64, resp *exchange.WireResponse) {
	token := s.link.held.keep(s.peer.keyID, resp)
	_ = s.w.add(func(b []byte) []byte { return appendHeld(b, id, token) }) // a connection that ended has nobody to tell
}

// readBody reads a request that is small enough to be signed whole. A peer of another release may send what we would
// stream.
func (l *Link) readBody(w http.ResponseWriter, r *http.Request) (body []byte, taken int64, ok bool) {
	body, taken, more, err := l.Budget.Read(r.Body, r.ContentLength, exchange.MaxBody)
	switch {
	case errors.Is(err, exchange.ErrBudget):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "busy", http.StatusServiceUnavailable)
	case more:
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
	case err == nil:
		return body, taken, true
	}
	return nil, taken, false
}

// sendStream makes a request stream.
func sendStream(hr *http.Request, st *exchange.Stream) {
	if st == nil {
		return
	}
	hr.Trailer = http.Header{"Content-Digest": nil, "Signature-Input": nil, "Signature": nil}
	hr.Body, hr.GetBody, hr.ContentLength = &trailed{Stream: st, into: hr.Trailer}, nil, st.Length
	if st.Length == 0 {
		hr.ContentLength = -1 // 0 would mean that there is no body at all, and so no trailer
	}
}

// trailed fills the request's trailer when its body ends, which is when net/http sends it.
type trailed struct {
	*exchange.Stream
	into http.Header
}

// Read implements [io.Reader].
func (t *trailed) Read(p []byte) (int, error) {
	n, err := t.Body.Read(p)
	if errors.Is(err, io.EOF) {
		maps.Copy(t.into, t.Trailer())
	}
	return n, err
}

// Close implements [io.Closer].
func (t *trailed) Close() error { return t.Body.Close() }

// readAnswer takes an answer into memory, unless it streams.
func (c *Carrier) readAnswer(resp *http.Response, p exchange.Peer) (*exchange.WireResponse, error) {
	if len(resp.Header[exchange.HeaderBody]) > 0 {
		dog := newWatchdog(c.Idle, func() { _ = resp.Body.Close() })
		return &exchange.WireResponse{Status: resp.StatusCode, Header: resp.Header, Stream: &exchange.Stream{
			Body: watched{ReadCloser: resp.Body, dog: dog}, Length: resp.ContentLength, Trailer: func() http.Header { return resp.Trailer },
		}}, nil
	}
	defer resp.Body.Close()
	body, taken, more, err := c.Budget.Read(resp.Body, resp.ContentLength, exchange.MaxBody)
	defer c.Budget.Release(taken)
	switch {
	case errors.Is(err, exchange.ErrBudget):
		return nil, errs.E(errs.Limited, "exchange.busy", err)
	case err != nil:
		return nil, errs.E(errs.Unavailable, "exchange.peer_unreachable", err, "peer", p.Member)
	case more:
		return nil, errs.E(errs.TooLarge, "exchange.body_too_large", nil, "megabytes", exchange.MaxBody>>20)
	}
	return &exchange.WireResponse{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

var _ exchange.Carrier = (*Carrier)(nil)

// maxTrusted is how much memory is taken on a sender's word, before the bytes are there.
const maxTrusted = 64 << 10

// readAll is io.ReadAll into a buffer of the announced length, as far as it is trusted, instead of one that grows.
func readAll(r io.Reader, length int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(max(length, 0), maxTrusted)) + bytes.MinRead) // with room for the read that finds the end
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}
