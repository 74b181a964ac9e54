package publication

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"truc/internal/exchange"
	"truc/internal/pki"
)

// maxHeader bounds the header of a back end's answer.
const maxHeader = 64 << 10

// removed headers never go to a back end nor come from it (spec §2.2).
var removed = []string{
	"Transfer-Encoding", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Upgrade",
	"Connection", "User-Agent", "Host", "Content-Length", "Server", "Expect",
}

// proxy is the handler of a published service: it carries requests to the back end and its answers back, unchanged.
// It keeps one transport, with its connections, as long as the back end's parameters stay the same.
type proxy struct {
	conf Backend
	base *url.URL
	// path is the base path as configured, in canonical form.
	path      string
	transport *http.Transport
}

// connector says how connections are made; zero fields are the real ones.
type connector struct {
	// identity is the node's certificate for back ends that ask for one.
	identity func() (*tls.Certificate, error)
	now      func() time.Time
	// roots replaces the operating system's authorities in tests.
	roots *x509.CertPool
}

func newProxy(b Backend, c connector) (*proxy, error) {
	u, err := b.parse()
	if err != nil {
		return nil, err
	}
	p := &proxy{conf: b, base: u, path: u.EscapedPath()}
	cfg, err := c.tls(b, u)
	if err != nil {
		return nil, err
	}
	p.transport = &http.Transport{
		DialContext: dialer(b, u.Scheme == "http").DialContext, TLSClientConfig: cfg, TLSHandshakeTimeout: b.Connect,
		MaxIdleConns: 64, MaxIdleConnsPerHost: 64, MaxConnsPerHost: 256, IdleConnTimeout: 90 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // what was signed is what the back end gets, its Accept-Encoding too
	}
	return p, nil
}

// errForbiddenAddress is a back end where none may stand.
var errForbiddenAddress = errors.New("no back end may stand at this address")

// dialer checks addresses after the name was resolved, so that no name can lead elsewhere.
func dialer(b Backend, plain bool) *net.Dialer {
	return &net.Dialer{Timeout: b.Connect, KeepAlive: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if nowhere(ap.Addr()) || plain && !near(ap.Addr()) {
			return fmt.Errorf("%s: %w", ap.Addr(), errForbiddenAddress)
		}
		return nil
	}}
}

// tls checks the back end's certificate: chain, name and dates; or, when the back end's very certificate is pinned, that
// it is this one and its dates.
func (c connector) tls(b Backend, u *url.URL) (*tls.Config, error) {
	pins, err := b.pins()
	if err != nil {
		return nil, err
	}
	name := b.ServerName
	if name == "" {
		name = u.Hostname()
	}
	roots := c.roots
	if len(pins) > 0 {
		roots = pki.Pool(pins...)
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: name,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection checks more than the default does: pins, and the injected clock
		VerifyConnection:   func(cs tls.ConnectionState) error { return verify(cs, name, pins, roots, c.now()) },
	}
	if b.ClientCert && c.identity != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.identity() }
	}
	return cfg, nil
}

func verify(cs tls.ConnectionState, name string, pins []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("the back end showed no certificate")
	}
	leaf := cs.PeerCertificates[0]
	if slices.ContainsFunc(pins, leaf.Equal) && !leaf.IsCA {
		if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
			return x509.CertificateInvalidError{Cert: leaf, Reason: x509.Expired}
		}
		return nil
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		DNSName: name, Roots: roots, Intermediates: pki.Pool(cs.PeerCertificates[1:]...), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

// target joins base address and service path: exactly the path that was signed and matched, with one slash at the seam
// (spec §2.1, D12).
func (p *proxy) target(t exchange.Target) (*url.URL, error) {
	path := p.path
	if s := t.Path.String(); s != "" {
		path = strings.TrimSuffix(p.path, "/") + s
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return nil, err
	}
	u := &url.URL{Scheme: p.base.Scheme, Host: p.base.Host, Path: decoded, RawPath: path, RawQuery: t.Query}
	if u.EscapedPath() != path {
		return nil, fmt.Errorf("path %q would be forwarded as %q", path, u.EscapedPath())
	}
	return u, nil
}

// ServeHTTP implements [http.Handler]. Redirects are passed, never followed.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), p.conf.Timeout)
	defer cancel()
	resp, err := p.send(ctx, r)
	if err != nil {
		fail(w, faultOf(ctx, err), err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 {
		fail(w, "service_failed.http_error", fmt.Errorf("status %d", resp.StatusCode))
		return
	}
	clean(resp.Header)
	h := w.Header()
	maps.Copy(h, resp.Header)
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = nil // net/http would guess one
	}
	w.WriteHeader(resp.StatusCode)
	buf := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return // the exchange refuses more, or the caller has gone; it knows
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil { // a shortened answer must not look whole
			fail(w, faultOf(ctx, err), err)
			return
		}
	}
}

func (p *proxy) send(ctx context.Context, r *http.Request) (*http.Response, error) {
	t, ok := exchange.TargetOf(ctx)
	if !ok {
		return nil, errors.New("the request has no target of the exchange")
	}
	u, err := p.target(t)
	if err != nil {
		return nil, err
	}
	out := &http.Request{Method: r.Method, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: r.Header.Clone(), Body: r.Body, ContentLength: r.ContentLength}
	if out.ContentLength == 0 {
		out.Body = http.NoBody
	}
	clean(out.Header)
	out.Header["User-Agent"] = nil // net/http would send its own
	return p.transport.RoundTrip(out.WithContext(ctx))
}

// clean removes headers of one hop: the list, and what Connection names (RFC 9110 §7.6.1).
func clean(h http.Header) {
	for _, field := range h.Values("Connection") {
		for name := range strings.SplitSeq(field, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range removed {
		h.Del(name)
	}
}

// fail refuses the request; without the exchange around, as a bad gateway.
func fail(w http.ResponseWriter, code string, err error) {
	if f, ok := w.(exchange.Failer); ok {
		f.Fail(code, err)
		return
	}
	panic(http.ErrAbortHandler)
}

// faultOf names the fault in the vocabulary of the exchange (spec §2.6).
func faultOf(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "deadline_exceeded"
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return "deadline_exceeded"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "service_failed.unknown_host"
	}
	if key, _ := explainTLS(err); key != "" {
		return "service_failed.ssl_authentication_failed"
	}
	return "service_failed.network_error"
}

// explainTLS says in the words of a message key why TLS failed; empty when it was not TLS.
func explainTLS(err error) (key string, args []any) {
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return "wrong_host", []any{"host", e.Host, "names", strings.Join(namesOf(e.Certificate), ", ")}
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return "expired", []any{"from", e.Cert.NotBefore.UTC().Format(time.DateOnly), "to", e.Cert.NotAfter.UTC().Format(time.DateOnly)}
		}
		return "certificate", []any{"reason", e.Error()}
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if e.Cert != nil && e.Cert.Subject.String() == e.Cert.Issuer.String() {
			return "self_signed", []any{"subject", e.Cert.Subject.String()}
		}
		issuer := ""
		if e.Cert != nil {
			issuer = e.Cert.Issuer.String()
		}
		return "unknown_authority", []any{"issuer", issuer}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "no_tls", nil
	}
	if e, ok := errors.AsType[tls.AlertError](err); ok {
		return "refused", []any{"reason", e.Error()}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return "refused", []any{"reason", op.Err.Error()}
	}
	return "", nil
}

func namesOf(c *x509.Certificate) []string {
	if c == nil {
		return nil
	}
	out := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

// Step is one step of a connection test.
type Step struct {
	// Name is address, dns, tcp, tls or http.
	Name string
	OK   bool
	// Key and Args say what was found, in plain words.
	Key  string
	Args []any
	Took time.Duration
}

// test tries to reach the back end step by step and stops at the first that fails.
func (p *proxy) test(ctx context.Context, now func() time.Time) []Step {
	ctx, cancel := context.WithTimeout(ctx, p.conf.Connect+p.conf.Timeout)
	defer cancel()
	var out []Step
	begin := now()
	step := func(name string, ok bool, key string, args ...any) {
		out = append(out, Step{Name: name, OK: ok, Key: "exchange.publish.test." + key, Args: args, Took: now().Sub(begin)})
		begin = now()
	}
	host, port := p.base.Hostname(), p.base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[p.base.Scheme]
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		step("dns", false, "dns_failed", "host", host)
		return out
	}
	addresses := make([]string, len(ips))
	for i, ip := range ips {
		addresses[i] = ip.Unmap().String()
	}
	step("dns", true, "dns_ok", "host", host, "addresses", strings.Join(addresses, ", "))
	conn, err := dialer(p.conf, p.base.Scheme == "http").DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	switch {
	case errors.Is(err, errForbiddenAddress):
		step("tcp", false, "tcp_forbidden", "port", port)
		return out
	case err != nil:
		step("tcp", false, "tcp_failed", "port", port)
		return out
	}
	defer conn.Close() //nolint:errcheck // nothing to do about it
	step("tcp", true, "tcp_ok", "address", conn.RemoteAddr().String())
	if p.base.Scheme == "https" {
		tc := tls.Client(conn, p.transport.TLSClientConfig)
		if err := tc.HandshakeContext(ctx); err != nil {
			key, args := explainTLS(err)
			if key == "" {
				key, args = "tls_broken", nil
			}
			step("tls", false, key, args...)
			return out
		}
		cs := tc.ConnectionState()
		step("tls", true, "tls_ok", "version", tls.VersionName(cs.Version), "subject", cs.PeerCertificates[0].Subject.String(), "to", cs.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly))
	} else {
		step("tls", true, "tls_none")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, p.base.String(), nil)
	if err == nil {
		var resp *http.Response
		if resp, err = p.transport.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
			step("http", true, "http_ok", "status", resp.StatusCode)
			return out
		}
	}
	if key, args := explainTLS(err); key != "" { // TLS 1.3 tells a client that its certificate is refused only now
		step("http", false, key, args...)
		return out
	}
	step("http", false, "http_failed")
	return out
}
