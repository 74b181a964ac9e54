// Package exchangeapi is the exchange on the network: the link between nodes (/x1/, mutual TLS, HTTP/2) in both
// directions, and the X-Road REST edge (/r1/) for programs of the own agency.
//
// Both handlers read the request target as it was received. They must therefore stand in front of every router:
// http.ServeMux cleans paths and redirects, and what was signed would no longer be what is called.
package exchangeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"truc/internal/exchange"
	"truc/internal/pki"
)

const maxHeader = 64 << 10

// Receiver is the provider role; [exchange.Service] answers.
type Receiver interface {
	ReceiveStream(ctx context.Context, req *exchange.WireRequest, sink exchange.Sink) *exchange.WireResponse
}

// Link is the accepting side: the handler of a listener whose TLS settings are those of [pki.Settings.Server].
type Link struct {
	Service Receiver
	// Logs, when set, answers what is not an exchange: [Logs] with the witness and the public parts of the logs.
	Logs http.Handler
	// Budget bounds the bodies held in memory; nil bounds nothing.
	Budget *exchange.Budget
	// Idle is how long a body that streams may stand still before it is cut; 0 is a minute.
	Idle time.Duration

	framed framedServers
	held   heldAnswers
}

// ServeHTTP implements [http.Handler].
func (l *Link) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		http.Error(w, "mutual TLS is required", http.StatusForbidden)
		return
	}
	if l.held.serve(w, r, l.Idle) {
		return
	}
	if l.Logs != nil && (strings.HasPrefix(r.RequestURI, "/witness/") || strings.HasPrefix(r.RequestURI, "/log/")) {
		l.Logs.ServeHTTP(w, r)
		return
	}
	if !strings.HasPrefix(r.RequestURI, "/x1/") {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	peer := peerOf(r)
	req := &exchange.WireRequest{Method: r.Method, TargetURI: "https://" + r.Host + r.RequestURI, Header: r.Header, PeerKeyID: peer.keyID, PeerUntil: peer.until}
	sink := &linkSink{w: w, idle: l.Idle}
	if len(r.Header[exchange.HeaderBody]) > 0 {
		sink.slow()
		defer sink.done()
		req.Stream = &exchange.Stream{Body: sink.watch(r.Body), Length: r.ContentLength, Trailer: func() http.Header { return r.Trailer }}
	} else {
		body, taken, ok := l.readBody(w, r)
		defer l.Budget.Release(taken)
		if !ok {
			return
		}
		req.Body = body
	}
	resp := l.Service.ReceiveStream(r.Context(), req, sink)
	if resp == nil {
		sink.done()
		return // it streamed
	}
	defer resp.Release()
	if resp.Abort {
		panic(http.ErrAbortHandler)
	}
	writeWire(w, resp)
}

// writeWire writes an answer that is in memory.
func writeWire(w http.ResponseWriter, resp *exchange.WireResponse) {
	h := w.Header()
	maps.Copy(h, resp.Header)
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = nil // net/http would guess one, which nobody signed
	}
	w.WriteHeader(resp.Status)
	_, _ = w.Write(resp.Body)
}

// connKey is the context key under which a connection keeps its peer.
type connKey struct{}

// channelPeer is what the certificate at the other end of a connection says.
type channelPeer struct {
	keyID string
	until time.Time
}

// peerOf returns the peer of a connection. Its certificate never changes (TLS 1.3 does not renegotiate), so it is read once
// for each connection; who may use it, and whether it has ended, is asked with every request.
func peerOf(r *http.Request) channelPeer {
	kept, ok := r.Context().Value(connKey{}).(*atomic.Pointer[channelPeer])
	if !ok {
		return channelPeerOf(*r.TLS)
	}
	if p := kept.Load(); p != nil {
		return *p
	}
	p := channelPeerOf(*r.TLS)
	kept.Store(&p)
	return p
}

func channelPeerOf(cs tls.ConnectionState) channelPeer {
	leaf := cs.PeerCertificates[0]
	return channelPeer{keyID: pki.KeyID(leaf.PublicKey), until: leaf.NotAfter}
}

// Server returns the server of the link with limits on slow and silent peers (spec D33). It speaks HTTP/2 and, to nodes
// that offer it, frames.
func (l *Link) Server(settings pki.Settings, log *slog.Logger) *http.Server {
	settings.Protocols = linkProtocols
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	srv := &http.Server{
		Protocols: protocols,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){
			framedProtocol: func(_ *http.Server, conn *tls.Conn, h http.Handler) {
				if based, ok := h.(interface{ BaseContext() context.Context }); ok { // what net/http gives says so
					l.serveFramed(based.BaseContext(), conn)
				}
			},
		},
		Handler: l, TLSConfig: settings.Server(), MaxHeaderBytes: maxHeader, HTTP2: http2Limits(),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, new(atomic.Pointer[channelPeer]))
		},
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, WriteTimeout: 5 * time.Minute, IdleTimeout: 10 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // failed handshakes of strangers are no fault of ours
	}
	srv.RegisterOnShutdown(l.framed.goAway)
	return srv
}

// linkProtocols are spoken by nodes of today; one that knows HTTP/2 alone is spoken to in that.
var linkProtocols = []string{framedProtocol, "h2"}

// Carrier is the calling side: for each peer one framed connection for small exchanges and one HTTP/2 transport for large
// ones, kept for as long as the peer's key and address stay, so that a call costs no handshake (spec D17).
type Carrier struct {
	// Identity and Roots are those of [pki.Settings].
	Identity func() *tls.Certificate
	Roots    func() *x509.CertPool
	Now      func() time.Time
	// HTTP2Only leaves out frames.
	HTTP2Only bool
	// Budget bounds the answers held in memory; nil bounds nothing.
	Budget *exchange.Budget
	// Idle is how long a body that streams may stand still before it is cut; 0 is a minute.
	Idle time.Duration

	mu    sync.Mutex // guards peers
	peers map[string]*peerLink
}

// peerLink is the way to one peer.
type peerLink struct {
	key, url string
	settings pki.Settings
	tr       *http.Transport
	// ends is the Unix time at which the first of the certificates ends that its connections were opened with, the peer's
	// and this node's own; 0 before the first connection.
	ends atomic.Int64

	dialing chan struct{} // holds one token; who has it may dial
	mu      sync.Mutex    // guards both
	framed  *framedClient
	// plain says that the peer spoke HTTP/2 alone when it was asked last.
	plain bool
}

// framedRetry is how long a peer that does not speak frames is believed not to.
const framedRetry = 10 * time.Minute

// Prepare implements [exchange.SharingCarrier]: a peer that speaks frames understands shared signatures.
func (c *Carrier) Prepare(ctx context.Context, p exchange.Peer) (shares bool, err error) {
	f, err := c.framedTo(ctx, c.peer(p), p)
	return f != nil, err
}

// Carry implements [exchange.Carrier].
func (c *Carrier) Carry(ctx context.Context, p exchange.Peer, req *exchange.WireRequest) (*exchange.WireResponse, error) {
	link := c.peer(p)
	if len(req.Body) > maxFramedBody || req.Stream != nil {
		return c.roundTrip(ctx, link.tr, p, req)
	}
	var reply framedReply
	for range 2 {
		f, err := c.framedTo(ctx, link, p)
		switch {
		case err != nil:
			return nil, err
		case f == nil:
			return c.roundTrip(ctx, link.tr, p, req)
		}
		if reply, err = f.do(ctx, req); err == nil {
			break
		}
		if !errors.Is(err, exchange.ErrNotSent) { // the connection ended before the request got into it
			return nil, carryError(err, p)
		}
	}
	if reply == (framedReply{}) {
		return nil, carryError(exchange.ErrNotSent, p)
	}
	if reply.resp != nil {
		return reply.resp, nil
	}
	rest, ok := strings.CutPrefix(req.TargetURI, "https://")
	host, _, found := strings.Cut(rest, "/")
	if !ok || !found {
		return nil, fmt.Errorf("target %q is not https", req.TargetURI)
	}
	return c.roundTrip(ctx, link.tr, p, &exchange.WireRequest{Method: http.MethodGet, TargetURI: "https://" + host + heldPrefix + reply.held, Header: http.Header{}})
}

// framedTo returns the framed connection to a peer, or nil when the peer does not speak frames.
func (c *Carrier) framedTo(ctx context.Context, l *peerLink, p exchange.Peer) (*framedClient, error) {
	if c.HTTP2Only {
		return nil, nil
	}
	if f, done := l.current(); done {
		return f, nil
	}
	select {
	case l.dialing <- struct{}{}:
		defer func() { <-l.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f, done := l.current(); done { // another call was faster
		return f, nil
	}
	host := strings.TrimPrefix(l.url, "https://")
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}, Config: l.settings.Client()}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, carryError(fmt.Errorf("%w: %w", exchange.ErrNotSent, err), p)
	}
	tc, ok := conn.(*tls.Conn)
	if !ok || tc.ConnectionState().NegotiatedProtocol != framedProtocol {
		_ = conn.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.plain = true
		time.AfterFunc(framedRetry, l.askAgain)
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.framed = newFramedClient(tc)
	return l.framed, nil
}

// current returns the connection in use; done is false when one must be dialled.
func (l *peerLink) current() (f *framedClient, done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.framed != nil && l.framed.usable() {
		return l.framed, true
	}
	return nil, l.plain
}

func (l *peerLink) askAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plain = false
}

// redialGrace is how long calls may go on over connections that were replaced.
const redialGrace = 5 * time.Minute

// Redial opens new connections for the next calls, because this node's own certificate has another key now. Calls that
// are under way end on the old connections.
func (c *Carrier) Redial() {
	c.mu.Lock()
	old := c.peers
	c.peers = nil
	c.mu.Unlock()
	for _, l := range old {
		time.AfterFunc(redialGrace, l.close)
	}
}

func (l *peerLink) close() {
	l.tr.CloseIdleConnections()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.framed != nil {
		l.framed.close()
	}
}

// roundTrip sends over HTTP/2.
func (c *Carrier) roundTrip(ctx context.Context, tr *http.Transport, p exchange.Peer, req *exchange.WireRequest) (*exchange.WireResponse, error) {
	rest, ok := strings.CutPrefix(req.TargetURI, "https://")
	i := strings.IndexByte(rest, '/')
	if !ok || i <= 0 {
		return nil, fmt.Errorf("target %q is not https", req.TargetURI)
	}
	hr, err := http.NewRequestWithContext(ctx, req.Method, "https://"+rest[:i]+"/", bytes.NewReader(req.Body))
	if err != nil {
		return nil, err
	}
	// Opaque is sent as it is: no decoding and encoding may change what was signed.
	hr.URL = &url.URL{Scheme: "https", Host: rest[:i], Opaque: rest[i:]}
	hr.Header = maps.Clone(req.Header) // RoundTrip does not change it
	hr.Header["User-Agent"] = nil
	sendStream(hr, req.Stream)
	resp, err := tr.RoundTrip(hr)
	if err != nil {
		return nil, carryError(err, p)
	}
	return c.readAnswer(resp, p)
}

// note remembers the end of a certificate that a connection was opened with.
func (l *peerLink) note(end time.Time) {
	for {
		old := l.ends.Load()
		if old != 0 && old <= end.Unix() || l.ends.CompareAndSwap(old, end.Unix()) {
			return
		}
	}
}

// over reports whether a certificate has ended that open connections rest on; a new connection shows today's.
func (l *peerLink) over(now time.Time) bool {
	end := l.ends.Load()
	return end != 0 && now.Unix() > end
}

func (c *Carrier) clock() time.Time {
	if c.Now == nil {
		return time.Now() //nolint:forbidigo // a carrier without a clock runs on the wall clock
	}
	return c.Now()
}

// identityFor is [Carrier.Identity] for the connections of a link, which end with the certificate.
func (c *Carrier) identityFor(l *peerLink) func() *tls.Certificate {
	return func() *tls.Certificate {
		cert := c.Identity()
		// One that has ended already opens no connection, so it must not end those that are open.
		if cert != nil && cert.Leaf != nil && c.clock().Before(cert.Leaf.NotAfter) {
			l.note(cert.Leaf.NotAfter)
		}
		return cert
	}
}

// peer returns the way to a peer. When its key or address changed, connections to the old ones are closed; when a
// certificate ended, new ones are opened.
func (c *Carrier) peer(p exchange.Peer) *peerLink {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peers == nil {
		c.peers = map[string]*peerLink{}
	}
	l, ok := c.peers[p.ServerID]
	same := ok && l.key == p.TLSKeyID && l.url == p.URL
	switch {
	case same && !l.over(c.clock()):
		return l
	case same:
		time.AfterFunc(redialGrace, l.close) // calls that are under way may end
	case ok:
		l.close()
	}
	l = &peerLink{key: p.TLSKeyID, url: p.URL, dialing: make(chan struct{}, 1)}
	link := l
	l.settings = pki.Settings{Identity: c.identityFor(l), Roots: c.Roots, Now: c.Now, Protocols: linkProtocols, Accept: func(leaf *x509.Certificate) error {
		if !p.AcceptsTLS(pki.KeyID(leaf.PublicKey)) {
			return fmt.Errorf("the peer's key is not the one the directory lists for %s", p.ServerID)
		}
		link.note(leaf.NotAfter)
		return nil
	}}
	plain := l.settings
	plain.Protocols = nil
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	l.tr = &http.Transport{
		TLSClientConfig: plain.Client(), ForceAttemptHTTP2: true, DialContext: dialFunc(dialer),
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 5 * time.Minute, MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost:    4,    // HTTP/2 shares them; without a bound the first burst of calls dials once each
		DisableCompression: true, // the digest is over the bytes on the wire
		HTTP2:              http2Limits(),
	}
	c.peers[p.ServerID] = l
	return l
}

// Close closes the connections to all peers.
func (c *Carrier) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.peers {
		l.close()
	}
}
