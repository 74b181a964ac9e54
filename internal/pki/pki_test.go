package pki

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
)

var now = time.Date(2026, 9, 30, 3, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

func TestLoadOrCreateKey(t *testing.T) {
	for _, alg := range []Alg{Ed25519, P256, RSA2048} {
		t.Run(string(alg), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sub", "k.pem")
			ids := make([]string, 4)
			var wg sync.WaitGroup
			for i := range ids {
				wg.Go(func() {
					key, err := LoadOrCreateKey(path, alg)
					if err != nil {
						t.Errorf("LoadOrCreateKey: %v", err)
						return
					}
					ids[i] = KeyID(key.Public())
				})
			}
			wg.Wait()
			for _, id := range ids {
				if id != ids[0] || len(id) != 43 {
					t.Errorf("key ids differ: %q", ids)
				}
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode = %v, %v; want 0600", info.Mode(), err)
			}
			left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-*"))
			if len(left) != 0 {
				t.Errorf("temporary files left: %v", left)
			}
		})
	}
}

func TestLoadOrCreateKeyRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.pem")
	if _, err := LoadOrCreateKey(path, Ed25519); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(path, P256); !errs.Is(err, errs.Conflict) {
		t.Errorf("other kind: err = %v; want conflict", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(path, Ed25519); !errs.Is(err, errs.Denied) {
		t.Errorf("world-readable: err = %v; want denied", err)
	}
	bad := filepath.Join(t.TempDir(), "bad.pem")
	if err := os.WriteFile(bad, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(bad, Ed25519); !errs.Is(err, errs.Invalid) {
		t.Errorf("garbage: err = %v; want invalid", err)
	}
}

type node struct {
	key  crypto.Signer
	leaf *x509.Certificate
}

func newNode(t *testing.T, ca *CA, alg Alg, server string) node {
	t.Helper()
	key, err := GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := NewCSR(key, server)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.IssueNode(csr, NodeSubject{Instance: "VN", Class: "GOV", Member: "H36", Server: server, Hosts: []string{"127.0.0.1", "node.example"}}, now, MaxNodeLifetime)
	if err != nil {
		t.Fatal(err)
	}
	return node{key: key, leaf: leaf}
}

func newCA(t *testing.T) *CA {
	t.Helper()
	ca, err := LoadOrCreateCA(t.TempDir(), "Truc VN", now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestIssueNode(t *testing.T) {
	dir := t.TempDir()
	ca, err := LoadOrCreateCA(dir, "Truc VN", now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreateCA(dir, "Truc VN", now)
	if err != nil || Fingerprint(again.Cert) != Fingerprint(ca.Cert) {
		t.Errorf("second load: %v, other certificate", err)
	}
	n := newNode(t, ca, Ed25519, "n1")
	if got := n.leaf.URIs[0].String(); got != "spiffe://vn/node/GOV/H36/n1" {
		t.Errorf("URI = %q", got)
	}
	subject, ok := NodeOf(n.leaf)
	if diff := cmp.Diff(NodeSubject{Instance: "vn", Class: "GOV", Member: "H36", Server: "n1"}, subject); !ok || diff != "" {
		t.Errorf("NodeOf: %v %s", ok, diff)
	}
	if !ca.Cert.MaxPathLenZero || ca.Cert.NotAfter.Before(now.AddDate(9, 11, 0)) {
		t.Errorf("root: path length %d, until %v", ca.Cert.MaxPathLen, ca.Cert.NotAfter)
	}
	if _, err := n.leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), CurrentTime: now, DNSName: "node.example"}); err != nil {
		t.Errorf("Verify: %v", err)
	}

	key, _ := GenerateKey(Ed25519)
	csr, _ := NewCSR(key, "x")
	forged := append([]byte(nil), csr...)
	forged[len(forged)-1] ^= 1
	good := NodeSubject{Instance: "VN", Class: "GOV", Member: "H36", Server: "n1"}
	slash, host := good, good
	slash.Member = "../G01"
	host.Hosts = []string{"a b"}
	for _, c := range []struct {
		name string
		csr  []byte
		s    NodeSubject
		life time.Duration
		want string
	}{
		{"garbage", []byte("x"), good, time.Hour, "pki.csr_unreadable"},
		{"no proof", forged, good, time.Hour, "pki.csr_proof"},
		{"long", csr, good, MaxNodeLifetime + 1, "pki.lifetime"},
		{"slash", csr, slash, time.Hour, "pki.node_name"},
		{"host", csr, host, time.Hour, "pki.node_host"},
	} {
		if _, err := ca.IssueNode(c.csr, c.s, now, c.life); !keyIs(err, c.want) {
			t.Errorf("%s: err = %v; want %s", c.name, err, c.want)
		}
	}
}

func keyIs(err error, key string) bool {
	got, _ := errs.KeyOf(err)
	return err != nil && got == key
}

// serve runs a real HTTP server: httptest puts a certificate of its own beside GetCertificate.
func serve(t *testing.T, cfg *tls.Config) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		TLSConfig: cfg,
		ErrorLog:  log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.Proto+" "+KeyID(r.TLS.PeerCertificates[0].PublicKey))
		}),
	}
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(ln, "", "") }()
	t.Cleanup(func() { srv.Close(); <-done })
	return ln.Addr().String()
}

// link starts a server with the given settings and returns a function that calls it once.
func link(t *testing.T, server, client Settings) func() error {
	t.Helper()
	addr := serve(t, server.Server())
	return func() error {
		tr := &http.Transport{TLSClientConfig: client.Client(), ForceAttemptHTTP2: true}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).Get("https://" + addr)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err == nil && !strings.HasPrefix(string(body), "HTTP/2.0 ") {
			err = errors.New("answer " + string(body))
		}
		return err
	}
}

func TestMutualTLS(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	a, b, stranger := newNode(t, ca, Ed25519, "a"), newNode(t, ca, P256, "b"), newNode(t, other, P256, "b")
	id := func(n node) func() *tls.Certificate {
		c := TLSCertificate(n.key, n.leaf)
		return func() *tls.Certificate { return c }
	}
	listed := func(nodes ...node) func(*x509.Certificate) error {
		return func(leaf *x509.Certificate) error {
			for _, n := range nodes {
				if KeyID(n.leaf.PublicKey) == KeyID(leaf.PublicKey) {
					return nil
				}
			}
			return errors.New("not listed")
		}
	}
	server := Settings{Identity: id(a), Roots: ca.Pool, Accept: listed(b), Now: clock}
	client := Settings{Identity: id(b), Roots: ca.Pool, Accept: listed(a), Now: clock}

	if err := link(t, server, client)(); err != nil {
		t.Errorf("good pair: %v", err)
	}
	foreign := client
	foreign.Identity = id(stranger)
	if err := link(t, server, foreign)(); err == nil {
		t.Errorf("client of another authority was let in")
	}
	wrong := client
	wrong.Accept = listed(b)
	if err := link(t, server, wrong)(); !keyIs(err, "pki.peer_unlisted") {
		t.Errorf("unlisted server: %v", err)
	}
	late := client
	late.Now = func() time.Time { return now.Add(MaxNodeLifetime + time.Hour) }
	if err := link(t, server, late)(); !keyIs(err, "pki.peer_untrusted") {
		t.Errorf("expired server: %v", err)
	}

	// The functions are asked on each handshake: a key taken from the directory is refused without restart.
	var revoked atomic.Bool
	hot := server
	hot.Accept = func(leaf *x509.Certificate) error {
		if revoked.Load() {
			return errors.New("revoked")
		}
		return nil
	}
	call := link(t, hot, client)
	if err := call(); err != nil {
		t.Errorf("before revocation: %v", err)
	}
	revoked.Store(true)
	if err := call(); err == nil {
		t.Errorf("after revocation the client was let in")
	}
}

func TestTLSRefusesOldVersionsAndHTTP1(t *testing.T) {
	ca := newCA(t)
	a, b := newNode(t, ca, Ed25519, "a"), newNode(t, ca, P256, "b")
	accept := func(*x509.Certificate) error { return nil }
	addr := serve(t, Settings{Identity: func() *tls.Certificate { return TLSCertificate(a.key, a.leaf) }, Roots: ca.Pool, Accept: accept, Now: clock}.Server())
	for _, c := range []struct {
		name   string
		change func(*tls.Config)
	}{
		{"TLS 1.2", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }},
		{"HTTP/1.1", func(c *tls.Config) { c.NextProtos = []string{"http/1.1"}; c.VerifyConnection = nil }},
		{"no certificate", func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
		}},
	} {
		cfg := Settings{Identity: func() *tls.Certificate { return TLSCertificate(b.key, b.leaf) }, Roots: ca.Pool, Accept: accept, Now: clock}.Client()
		c.change(cfg)
		conn, err := tls.Dial("tcp", addr, cfg)
		if err == nil { // with TLS 1.3 the refusal shows on the first read only
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil {
			t.Errorf("%s was accepted", c.name)
		}
	}
}

func TestPinned(t *testing.T) {
	ca := newCA(t)
	n := newNode(t, ca, P256, "center")
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{*TLSCertificate(n.key, n.leaf, ca.Cert)}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	for _, c := range []struct {
		name, pin string
		ok        bool
	}{
		{"leaf", Fingerprint(n.leaf), true},
		{"authority", strings.ToUpper(Fingerprint(ca.Cert)), true},
		{"other", Fingerprint(newCA(t).Cert), false},
		{"empty", "", false},
	} {
		conn, err := tls.Dial("tcp", srv.Listener.Addr().String(), PinnedTLS(c.pin, clock))
		if (err == nil) != c.ok {
			t.Errorf("%s: err = %v; want ok %v", c.name, err, c.ok)
		}
		if conn != nil {
			conn.Close()
		}
	}
}

func TestDocumentCA(t *testing.T) {
	dir := t.TempDir()
	subject := DocumentSubject{Name: "Truc Document CA"}
	if _, err := LoadOrCreateDocumentCA(dir, Production, subject, now); !keyIs(err, "pki.test_ca_in_production") {
		t.Errorf("production: err = %v", err)
	}
	ca, err := LoadOrCreateDocumentCA(dir, "demo", subject, now)
	if err != nil {
		t.Fatal(err)
	}
	s := DocumentSubject{Name: "Nguyễn Văn An", Title: "Chủ tịch", Agency: "UBND tỉnh Lâm Đồng", Code: "H36"}
	key, cert, err := ca.LoadOrIssue(dir, "head", PersonUse, s, now, 365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got := cert.Subject.OrganizationalUnit; len(got) != 1 || got[0] != TestMark {
		t.Errorf("OU = %q; want the test mark", got)
	}
	_, same, err := ca.LoadOrIssue(dir, "head", PersonUse, s, now, 365*24*time.Hour)
	if err != nil || Fingerprint(same) != Fingerprint(cert) {
		t.Errorf("second load: %v, certificate changed", err)
	}
	key2, renewed, err := ca.LoadOrIssue(dir, "head", PersonUse, s, now.AddDate(0, 11, 15), 365*24*time.Hour)
	if err != nil || Fingerprint(renewed) == Fingerprint(cert) || KeyID(key2.Public()) != KeyID(key.Public()) {
		t.Errorf("renewal: %v; want a new certificate for the old key", err)
	}
	tkey, _ := GenerateKey(P256)
	tsa, err := ca.Issue(tkey.Public(), TSAUse, DocumentSubject{Name: "TSA"}, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if len(tsa.ExtKeyUsage) != 1 || tsa.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping {
		t.Errorf("EKU = %v", tsa.ExtKeyUsage)
	}
	for _, e := range tsa.Extensions {
		if e.Id.Equal(oidExtEKU) && !e.Critical {
			t.Errorf("the purpose of the time-stamp certificate is not critical")
		}
	}
	ed, _ := GenerateKey(Ed25519)
	if _, err := ca.Issue(ed.Public(), PersonUse, s, now, time.Hour); !errs.Is(err, errs.Invalid) {
		t.Errorf("Ed25519 for documents: err = %v; want invalid", err)
	}
}

// TestOpenSSLReads checks with an independent program that our certificates and requests are well formed.
func TestOpenSSLReads(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ca := newCA(t)
	n := newNode(t, ca, Ed25519, "n1")
	csr, _ := NewCSR(n.key, "n1")
	dir := t.TempDir()
	files := map[string][]byte{"ca.pem": EncodePEM(ca.Cert), "leaf.pem": EncodePEM(n.leaf), "csr.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(want string, args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("openssl %v: %v\n%s\nwant %q", args, err, out, want)
		}
	}
	run("leaf.pem: OK", "verify", "-attime", "1790737200", "-purpose", "sslserver", "-CAfile", "ca.pem", "leaf.pem")
	run("URI:spiffe://vn/node/GOV/H36/n1", "x509", "-in", "leaf.pem", "-noout", "-text")
	run("verify OK", "req", "-in", "csr.pem", "-noout", "-verify")
}
