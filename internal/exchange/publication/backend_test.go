package publication

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/exchange"
	"truc/internal/orgcode"
	"truc/internal/pki"
)

// writer is the exchange's side of a handler.
type writer struct {
	*httptest.ResponseRecorder
	code  string
	err   error
	limit int
}

func (w *writer) Fail(code string, err error) { w.code, w.err = code, err }

func (w *writer) Write(b []byte) (int, error) {
	if w.limit > 0 && w.Body.Len()+len(b) > w.limit {
		return 0, errors.New("too large")
	}
	return w.ResponseRecorder.Write(b)
}

// authority signs certificates of back ends.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return &authority{cert: sign(t, tmpl, tmpl, &key.PublicKey, key), key: key}
}

func sign(t *testing.T, tmpl, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *authority) pem() string { return string(pki.EncodePEM(a.cert)) }

// leaf makes a certificate of a server or client; a nil authority signs with the leaf's own key.
func leaf(t *testing.T, a *authority, edit func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "backend"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if edit != nil {
		edit(tmpl)
	}
	parent, signer := tmpl, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	c := sign(t, tmpl, parent, &key.PublicKey, signer)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

func serveTLS(t *testing.T, cfg *tls.Config, h http.Handler) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = cfg
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

func targetFor(t testing.TB, path, query string) exchange.Target {
	t.Helper()
	p, err := exchange.ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	return exchange.Target{Service: orgcode.Service{Instance: "VN", Class: "GOV", Member: "G05", Subsystem: "weather", Code: "stations"}, Path: p, Query: query}
}

// call sends a request through a proxy as the exchange does.
func call(t testing.TB, p *proxy, method, path, query string, header http.Header, body []byte) *writer {
	t.Helper()
	w := &writer{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest(method, "http://service.internal/", bytes.NewReader(body))
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	p.ServeHTTP(w, r.WithContext(exchange.WithTarget(r.Context(), targetFor(t, path, query))))
	return w
}

func mustProxy(t testing.TB, b Backend, c connector) *proxy {
	t.Helper()
	var f Faults
	if b.check(&f); len(f) > 0 {
		t.Fatal(f)
	}
	if c.now == nil {
		c.now = time.Now
	}
	p, err := newProxy(b, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.transport.CloseIdleConnections)
	return p
}

func plainBackend(url string) Backend { return Backend{URL: url, PlainHTTP: true} }

// recording is a back end that keeps the raw request line and headers of each request.
func recording(t testing.TB, answer string) (url string, last func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var mu sync.Mutex
	var got string
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				br := bufio.NewReader(c)
				for {
					var head strings.Builder
					for {
						line, err := br.ReadString('\n')
						if err != nil {
							return
						}
						if line == "\r\n" {
							break
						}
						head.WriteString(line)
					}
					mu.Lock()
					got = head.String()
					mu.Unlock()
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String(), func() string { mu.Lock(); defer mu.Unlock(); return got }
}

// F12, D12: what was matched is, byte for byte, what the back end is asked for.
func TestPathIsForwardedExactly(t *testing.T) {
	url, last := recording(t, "HTTP/1.1 204 No Content\r\n\r\n")
	for _, tt := range []struct{ base, path, query, want string }{
		{"", "", "", "/"},
		{"", "/", "", "/"},
		{"/api", "", "", "/api"},
		{"/api/", "", "", "/api/"},
		{"/api", "/", "", "/api/"},
		{"/api/", "/v1/x/", "", "/api/v1/x/"},
		{"/api", "/v1/a%20b;c=1/(d)!$&'*+,@:=~", "q=%2F&&a=+b?;c", "/api/v1/a%20b;c=1/(d)!$&'*+,@:=~?q=%2F&&a=+b?;c"},
		{"/g%C3%B3c", "/%C4%90%C3%A0%20L%E1%BA%A1t/%25x", "", "/g%C3%B3c/%C4%90%C3%A0%20L%E1%BA%A1t/%25x"},
		{"", "/%5Ba%5D%7C%22%3C%3E%5E%60%7B%7D", "", "/%5Ba%5D%7C%22%3C%3E%5E%60%7B%7D"},
	} {
		p := mustProxy(t, plainBackend(url+tt.base), connector{})
		if w := call(t, p, "GET", tt.path, tt.query, nil, nil); w.code != "" || w.Code != 204 {
			t.Fatalf("%q: %s %v", tt.path, w.code, w.err)
		}
		if line, _, _ := strings.Cut(last(), "\r\n"); line != "GET "+tt.want+" HTTP/1.1" {
			t.Errorf("base %q path %q: back end got %q; want %q", tt.base, tt.path, line, tt.want)
		}
	}
}

// FuzzForwardedPath: for every path and query that the exchange takes, a recording back end receives that very string.
func FuzzForwardedPath(f *testing.F) {
	url, last := recording(f, "HTTP/1.1 204 No Content\r\n\r\n")
	p := mustProxy(f, plainBackend(url+"/b"), connector{})
	for _, s := range [][2]string{{"/a", ""}, {"/%41%2f", "x=1"}, {"/a%zz", ""}, {"/..", ""}, {"/a;b=%3b", "?"}, {"/%e1%ba%a1", "%"}, {"/a[b]", ""}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		target := "/x1/VN/GOV/G05/weather/stations" + path
		if query != "" {
			target += "?" + query
		}
		tg, err := exchange.ParseTarget("x1", target)
		if err != nil || !strings.HasPrefix(tg.Path.String(), "/") {
			return
		}
		w := call(t, p, "GET", tg.Path.String(), tg.Query, nil, nil)
		if w.code != "" {
			t.Fatalf("%q: %s %v", target, w.code, w.err)
		}
		want := "GET /b" + tg.Path.String()
		if tg.Query != "" {
			want += "?" + tg.Query
		}
		if line, _, _ := strings.Cut(last(), "\r\n"); line != want+" HTTP/1.1" {
			t.Errorf("matched %q; back end got %q", want, line)
		}
	})
}

// R1-HDR-06, R1-HDR-07: headers of one hop are removed both ways, everything else passes as it is.
func TestHeaders(t *testing.T) {
	url, last := recording(t, "HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: nginx\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"+
		"Keep-Alive: timeout=5\r\nX-Own: p\r\nContent-Length: 2\r\n\r\nhi")
	p := mustProxy(t, plainBackend(url), connector{})
	w := call(t, p, "POST", "/a", "", http.Header{
		"Authorization": {"Bearer abc"}, "Cookie": {"s=1"}, "X-Multi": {"1", "2"}, "Accept-Encoding": {"br"}, "Connection": {"X-Drop"}, "X-Drop": {"1"}, "Te": {"trailers"},
		"User-Agent": {"curl"}, "X-Road-Client": {"VN/GOV/H36/onestop"}, "Content-Type": {"text/csv"}, "Proxy-Authorization": {"x"}, "Upgrade": {"h2c"}, "Expect": {"100-continue"},
	}, []byte("body"))
	if w.code != "" {
		t.Fatal(w.code, w.err)
	}
	head := last()
	for _, want := range []string{"Authorization: Bearer abc\r\n", "Cookie: s=1\r\n", "X-Multi: 1\r\nX-Multi: 2\r\n", "Accept-Encoding: br\r\n", "X-Road-Client: VN/GOV/H36/onestop\r\n", "Content-Type: text/csv\r\n", "Content-Length: 4\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("the back end did not get %q:\n%s", want, head)
		}
	}
	for _, not := range []string{"X-Drop", "Te:", "User-Agent", "Proxy-", "Upgrade", "Expect", "Connection"} {
		if strings.Contains(head, not) {
			t.Errorf("the back end got %q:\n%s", not, head)
		}
	}
	want := http.Header{"Location": {"https://elsewhere.example/x"}, "Set-Cookie": {"a=1", "b=2"}, "X-Own": {"p"}, "Content-Type": nil}
	if d := cmp.Diff(want, w.Header()); d != "" || w.Code != http.StatusFound || w.Body.String() != "hi" {
		t.Errorf("answer %d %q, headers (-want +got):\n%s", w.Code, w.Body, d)
	}
}

// B1–B3 at the back end: every fault has its code and nothing of half an answer is taken for one.
func TestBackendFaults(t *testing.T) {
	raw := func(answer string, after func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					_, _ = c.Read(make([]byte, 4096))
					_, _ = io.WriteString(c, answer)
					if after != nil {
						after(c)
					}
					_ = c.Close()
				}()
			}
		}()
		return "http://" + l.Addr().String()
	}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	wait := func(net.Conn) { <-stop }
	closed := raw("", nil)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := "http://" + dead.Addr().String()
	_ = dead.Close()
	network := "service_failed.network_error"
	for name, tt := range map[string]struct{ url, want string }{
		"down":                               {down, network},
		"closes at once":                     {closed, network},
		"resets midway":                      {raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", nil), network},
		"cut in chunks":                      {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", nil), network},
		"not HTTP":                           {raw("SSH-2.0-OpenSSH\r\n\r\n", nil), network},
		"endless header":                     {raw("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("a", 200<<10)+"\r\n\r\n", nil), network},
		"says nothing":                       {raw("", wait), "deadline_exceeded"},
		"stops midway":                       {raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", wait), "deadline_exceeded"},
		"switches":                           {raw("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", nil), "service_failed.http_error"},
		"unknown host":                       {"https://no-such-host.invalid", "service_failed.unknown_host"},
		"http to a name of a public address": {"http://192.0.2.1", "backend_plain_far"},
	} {
		t.Run(name, func(t *testing.T) {
			b := plainBackend(tt.url)
			b.Timeout = time.Second
			var f Faults
			if b.check(&f); len(f) > 0 {
				if !strings.HasSuffix(f[0].Key, tt.want) {
					t.Errorf("faults %v; want %s", f, tt.want)
				}
				return
			}
			if w := call(t, mustProxy(t, b, connector{}), "GET", "/a", "", nil, nil); w.code != tt.want {
				t.Errorf("code %q (%v), status %d; want %s", w.code, w.err, w.Code, tt.want)
			}
		})
	}
}

func TestOversizedAnswerIsCutOff(t *testing.T) {
	sent := make(chan int64, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var n int64
		defer func() { sent <- n }()
		for range 10_000 {
			m, err := w.Write(make([]byte, 64<<10))
			if n += int64(m); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	p := mustProxy(t, plainBackend(srv.URL), connector{})
	w := &writer{ResponseRecorder: httptest.NewRecorder(), limit: 1 << 20}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	p.ServeHTTP(w, r.WithContext(exchange.WithTarget(r.Context(), targetFor(t, "/a", ""))))
	if n := <-sent; n > 64<<20 || w.Body.Len() > 1<<20 {
		t.Errorf("the back end sent %d bytes, %d were kept", n, w.Body.Len())
	}
}

// A caller that goes away ends the call of the back end.
func TestCancel(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(ended)
	}))
	t.Cleanup(srv.Close)
	p := mustProxy(t, plainBackend(srv.URL), connector{})
	ctx, cancel := context.WithCancel(exchange.WithTarget(t.Context(), targetFor(t, "/a", "")))
	go func() { <-begun; cancel() }()
	w := &writer{ResponseRecorder: httptest.NewRecorder()}
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
	<-ended
	if w.code != "deadline_exceeded" {
		t.Errorf("code %q", w.code)
	}
}

// X8: the back end's certificate is verified, and the test of the connection says why it is not good.
func TestBackendTLS(t *testing.T) {
	ca, other := newAuthority(t, "Agency CA"), newAuthority(t, "Other CA")
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	good := leaf(t, ca, nil)
	self := leaf(t, nil, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"old.internal"} })
	selfExpired := leaf(t, nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	pinned := func(c tls.Certificate) string { return string(pki.EncodePEM(c.Leaf)) }
	client := leaf(t, ca, nil)
	for name, tt := range map[string]struct {
		server tls.Certificate
		ask    *x509.CertPool // of client certificates
		edit   func(*Backend)
		step   string // the message of the failing step; empty when all hold
	}{
		"good":                       {server: good, edit: func(b *Backend) { b.CA = ca.pem() }},
		"no CA given":                {server: good, edit: func(*Backend) {}, step: "unknown_authority"},
		"another CA":                 {server: good, edit: func(b *Backend) { b.CA = other.pem() }, step: "unknown_authority"},
		"expired":                    {server: leaf(t, ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), edit: func(b *Backend) { b.CA = ca.pem() }, step: "expired"},
		"not yet":                    {server: leaf(t, ca, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), edit: func(b *Backend) { b.CA = ca.pem() }, step: "expired"},
		"wrong host":                 {server: leaf(t, ca, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"a.internal"} }), edit: func(b *Backend) { b.CA = ca.pem() }, step: "wrong_host"},
		"a name of its own":          {server: leaf(t, ca, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"a.internal"} }), edit: func(b *Backend) { b.CA, b.ServerName = ca.pem(), "a.internal" }},
		"self-signed":                {server: self, edit: func(b *Backend) { b.ServerName = "old.internal" }, step: "self_signed"},
		"self-signed, pinned":        {server: self, edit: func(b *Backend) { b.CA = pinned(self) }},
		"another self-signed":        {server: leaf(t, nil, nil), edit: func(b *Backend) { b.CA = pinned(self) }, step: "self_signed"},
		"pinned and expired":         {server: selfExpired, edit: func(b *Backend) { b.CA = pinned(selfExpired) }, step: "expired"},
		"only for clients":           {server: leaf(t, ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), edit: func(b *Backend) { b.CA = ca.pem() }, step: "certificate"},
		"asks for a certificate":     {server: good, ask: pki.Pool(ca.cert), edit: func(b *Backend) { b.CA, b.ClientCert = ca.pem(), true }},
		"asks, but none is shown":    {server: good, ask: pki.Pool(ca.cert), edit: func(b *Backend) { b.CA = ca.pem() }, step: "refused"},
		"asks for that of another":   {server: good, ask: pki.Pool(other.cert), edit: func(b *Backend) { b.CA, b.ClientCert = ca.pem(), true }, step: "refused"},
		"the operating system's CAs": {server: good, edit: func(b *Backend) { b.ServerName = "127.0.0.1" }, step: "unknown_authority"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &tls.Config{Certificates: []tls.Certificate{tt.server}, MinVersion: tls.VersionTLS12}
			if tt.ask != nil {
				cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, tt.ask
			}
			b := Backend{URL: serveTLS(t, cfg, ok)}
			tt.edit(&b)
			p := mustProxy(t, b, connector{identity: func() (*tls.Certificate, error) { return &client, nil }})
			w := call(t, p, "GET", "/a", "", nil, nil)
			steps := p.test(t.Context(), time.Now)
			last := steps[len(steps)-1]
			if tt.step == "" {
				if w.code != "" || w.Body.String() != "ok" || !last.OK || len(steps) != 4 {
					t.Errorf("call %q (%v), steps %+v", w.code, w.err, steps)
				}
				return
			}
			if w.code != "service_failed.ssl_authentication_failed" || w.Body.Len() != 0 {
				t.Errorf("call %q (%v), status %d", w.code, w.err, w.Code)
			}
			if last.OK || last.Key != "exchange.publish.test."+tt.step {
				t.Errorf("steps %+v; want %s to fail", steps, tt.step)
			}
		})
	}
	plain := httptest.NewServer(ok)
	t.Cleanup(plain.Close)
	p := mustProxy(t, Backend{URL: "https" + strings.TrimPrefix(plain.URL, "http")}, connector{})
	if steps := p.test(t.Context(), time.Now); steps[len(steps)-1].Key != "exchange.publish.test.no_tls" {
		t.Errorf("a plain server behind https: %+v", steps)
	}
}

func TestConnectionTestNamesTheStep(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	up, _ := recording(t, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	broken, _ := recording(t, "220 smtp\r\n")
	for url, want := range map[string]string{
		"https://no-such-host.invalid":   "dns dns_failed",
		"http://" + dead.Addr().String(): "tcp tcp_failed",
		"https://169.254.169.254":        "tcp tcp_forbidden",
		up:                               "http http_ok",
		broken:                           "http http_failed",
	} {
		b := plainBackend(url)
		b.Timeout = 2 * time.Second
		steps := mustProxy(t, b, connector{}).test(t.Context(), time.Now)
		last := steps[len(steps)-1]
		if got := last.Name + " " + strings.TrimPrefix(last.Key, "exchange.publish.test."); got != want {
			t.Errorf("%s: %s; want %s", url, got, want)
		}
	}
}

// L1: one transport a back end, however many calls.
func TestConnectionsAreKept(t *testing.T) {
	var mu sync.Mutex
	opened := 0
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	srv.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			mu.Lock()
			opened++
			mu.Unlock()
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	p := mustProxy(t, plainBackend(srv.URL), connector{})
	for range 200 {
		if w := call(t, p, "GET", "/a", "", nil, nil); w.code != "" {
			t.Fatal(w.code, w.err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if opened > 2 {
		t.Errorf("200 calls in turn opened %d connections", opened)
	}
}

func TestBackendCheck(t *testing.T) {
	ca := newAuthority(t, "x")
	for _, tt := range []struct {
		b    Backend
		want string
	}{
		{Backend{URL: "https://a.internal:8443/api/v1"}, ""},
		{Backend{URL: "https://a.internal", CA: ca.pem(), ServerName: "b.internal"}, ""},
		{Backend{URL: "http://10.1.2.3", PlainHTTP: true}, ""},
		{Backend{URL: "http://10.1.2.3"}, "backend_plain"},
		{Backend{URL: "http://8.8.8.8", PlainHTTP: true}, "backend_plain_far"},
		{Backend{URL: ""}, "backend"},
		{Backend{URL: "ftp://a"}, "backend"},
		{Backend{URL: "https://"}, "backend"},
		{Backend{URL: "https://u:p@a"}, "backend"},
		{Backend{URL: "https://a?x=1"}, "backend"},
		{Backend{URL: "https://a?"}, "backend"},
		{Backend{URL: "https://a#x"}, "backend"},
		{Backend{URL: "https://a/b/../c"}, "backend"},
		{Backend{URL: "https://a//b"}, "backend"},
		{Backend{URL: "https://a/%2fb"}, "backend"},
		{Backend{URL: "https://a:99999"}, "backend"},
		{Backend{URL: "https://a", Timeout: time.Hour}, "timeout"},
		{Backend{URL: "https://a", Connect: time.Millisecond}, "timeout"},
		{Backend{URL: "https://a", ServerName: "a b"}, "server_name"},
		{Backend{URL: "https://a", CA: "-----BEGIN PRIVATE KEY-----"}, "ca"},
	} {
		var f Faults
		tt.b.check(&f)
		got := ""
		if len(f) > 0 {
			got = strings.TrimPrefix(f[0].Key, "exchange.publish.fault.")
		}
		if got != tt.want {
			t.Errorf("%+v: fault %q; want %q", tt.b, got, tt.want)
		}
	}
}
