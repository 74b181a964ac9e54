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
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/pki"
)

const maxHeader = 64 << 10

// Receiver is the provider role; [exchange.Service] answers.
type Receiver interface {
	Receive(ctx context.Context, req *exchange.WireRequest) *exchange.WireResponse
}

// Link is the accepting side: the handler of a listener whose TLS settings are those of [pki.Settings.Server].
type Link struct {
	Service Receiver
}

// ServeHTTP implements [http.Handler].
func (l *Link) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		http.Error(w, "mutual TLS is required", http.StatusForbidden)
		return
	}
	if !strings.HasPrefix(r.RequestURI, "/x1/") {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, exchange.MaxBody), r.ContentLength)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		}
		return
	}
	resp := l.Service.Receive(r.Context(), &exchange.WireRequest{
		Method: r.Method, TargetURI: "https://" + r.Host + r.RequestURI, Header: r.Header, Body: body,
		PeerKeyID: peerKeyID(r),
	})
	h := w.Header()
	maps.Copy(h, resp.Header)
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = nil // net/http would guess one, which nobody signed
	}
	w.WriteHeader(resp.Status)
	_, _ = w.Write(resp.Body)
}

// maxTrusted is how much memory is taken on a sender's word, before the bytes are there.
const maxTrusted = 64 << 10

// readAll is io.ReadAll into a buffer of the announced length, as far as it is trusted, instead of one that grows.
func readAll(r io.Reader, length int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(max(length, 0), maxTrusted)) + bytes.MinRead) // with room for the read that finds the end
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// connKey is the context key under which a connection keeps its peer's key id.
type connKey struct{}

// peerKeyID returns the id of the key in the peer's certificate. The certificate of a connection never changes (TLS 1.3
// does not renegotiate), so its id is made once for each connection; who may use it is asked with every request.
func peerKeyID(r *http.Request) string {
	fresh := func() string { return pki.KeyID(r.TLS.PeerCertificates[0].PublicKey) }
	kept, ok := r.Context().Value(connKey{}).(*atomic.Pointer[string])
	if !ok {
		return fresh()
	}
	if id := kept.Load(); id != nil {
		return *id
	}
	id := fresh()
	kept.Store(&id)
	return id
}

// Server returns the server of the link with limits on slow and silent peers (spec D33).
func (l *Link) Server(settings pki.Settings, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: l, TLSConfig: settings.Server(), MaxHeaderBytes: maxHeader,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, new(atomic.Pointer[string]))
		},
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, WriteTimeout: 5 * time.Minute, IdleTimeout: 10 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // failed handshakes of strangers are no fault of ours
	}
}

// Carrier is the calling side: one transport a peer, kept for as long as the peer's key and address stay, so that a
// call costs no handshake (spec D17).
type Carrier struct {
	// Identity and Roots are those of [pki.Settings].
	Identity func() *tls.Certificate
	Roots    func() *x509.CertPool
	Now      func() time.Time

	mu    sync.Mutex // guards peers
	peers map[string]peerTransport
}

type peerTransport struct {
	key, url string
	tr       *http.Transport
}

// Carry implements [exchange.Carrier].
func (c *Carrier) Carry(ctx context.Context, p exchange.Peer, req *exchange.WireRequest) (*exchange.WireResponse, error) {
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
	resp, err := c.transport(p).RoundTrip(hr)
	if err != nil {
		return nil, carryError(err, p)
	}
	defer resp.Body.Close()
	body, err := readAll(io.LimitReader(resp.Body, exchange.MaxBody+1), resp.ContentLength)
	if err != nil {
		return nil, errs.E(errs.Unavailable, "exchange.peer_unreachable", err, "peer", p.Member)
	}
	if len(body) > exchange.MaxBody {
		return nil, errs.E(errs.TooLarge, "exchange.body_too_large", nil, "megabytes", exchange.MaxBody>>20)
	}
	return &exchange.WireResponse{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// transport returns the peer's transport; when its key or address changed, connections to the old ones are closed.
func (c *Carrier) transport(p exchange.Peer) *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peers == nil {
		c.peers = map[string]peerTransport{}
	}
	t, ok := c.peers[p.ServerID]
	if ok && t.key == p.TLSKeyID && t.url == p.URL {
		return t.tr
	}
	if ok {
		t.tr.CloseIdleConnections()
	}
	settings := pki.Settings{Identity: c.Identity, Roots: c.Roots, Now: c.Now, Accept: func(leaf *x509.Certificate) error {
		if pki.KeyID(leaf.PublicKey) != p.TLSKeyID {
			return fmt.Errorf("the peer's key is not the one the directory lists for %s", p.ServerID)
		}
		return nil
	}}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	tr := &http.Transport{
		TLSClientConfig: settings.Client(), ForceAttemptHTTP2: true, DialContext: dialFunc(dialer),
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 5 * time.Minute, MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost:    4,    // HTTP/2 shares them; without a bound the first burst of calls dials once each
		DisableCompression: true, // the digest is over the bytes on the wire
		HTTP2:              &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second},
	}
	c.peers[p.ServerID] = peerTransport{key: p.TLSKeyID, url: p.URL, tr: tr}
	return tr
}

// Close closes idle connections.
func (c *Carrier) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.peers {
		t.tr.CloseIdleConnections()
	}
}
