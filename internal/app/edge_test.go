package app

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEdgeConfig: programs that prove nothing are let in on a loopback address only, and every fault is named.
func TestEdgeConfig(t *testing.T) {
	c := &Config{Env: "development", Instance: "VN", Class: "GOV", Member: "H36"}
	open := []string{"VN/GOV/H36/onestop"}
	for _, tt := range []struct {
		name string
		edge EdgeConfig
		prod bool
		want string
	}{
		{"nothing", EdgeConfig{}, true, ""},
		{"open on a loopback address", EdgeConfig{Listen: "127.0.0.1:8080", OpenClients: open}, true, ""},
		{"open on another of them", EdgeConfig{Listen: "[::1]:8080", OpenClients: open}, false, ""},
		{"open for all", EdgeConfig{Listen: ":8080", OpenClients: open}, false, "edge.open_clients"},
		{"open on every address", EdgeConfig{Listen: "0.0.0.0:8080", OpenClients: open}, false, "edge.open_clients"},
		{"open on an address of the agency", EdgeConfig{Listen: "10.0.0.7:8080", OpenClients: open}, false, "edge.open_clients"},
		{"open under a name", EdgeConfig{Listen: "127.0.0.1.evil.example:8080", OpenClients: open}, false, "edge.open_clients"},
		{"open without a listener", EdgeConfig{OpenClients: open}, false, "edge.open_clients"},
		{"open for a stranger", EdgeConfig{Listen: "127.0.0.1:8080", OpenClients: []string{"VN/GOV/G01/x"}}, false, "edge.open_clients"},
		{"in the clear in development", EdgeConfig{Listen: "10.0.0.7:8080"}, false, ""},
		{"in the clear in production", EdgeConfig{Listen: "10.0.0.7:8080"}, true, "edge.listen"},
		{"TLS without a certificate", EdgeConfig{TLSListen: ":8443"}, false, "edge.tls_listen"},
		{"a certificate without a key", EdgeConfig{TLSListen: ":8443", TLSCert: "c"}, false, "edge.tls_listen"},
		{"codes of another time", EdgeConfig{ErrorCodes: "soap"}, false, "edge.error_codes"},
		{"no port", EdgeConfig{Listen: "localhost"}, false, "edge.listen"},
	} {
		c.Env = map[bool]string{true: "production", false: "development"}[tt.prod]
		faults := tt.edge.check(c)
		if tt.want == "" && len(faults) > 0 || tt.want != "" && (len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), tt.want)) {
			t.Errorf("%s: %v; want %q", tt.name, faults, tt.want)
		}
	}
}

// TestEdgeListeners starts a node with listeners of the edge: one in the clear where a program of this machine proves nothing, and
// one with TLS where it must.
func TestEdgeListeners(t *testing.T) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	sub := cfg.subsystems()[0]
	cert, key := selfSigned(t)
	cfg.Edge = EdgeConfig{Listen: freeAddr(t), TLSListen: freeAddr(t), TLSCert: cert, TLSKey: key, OpenClients: []string{sub}, ErrorCodes: "legacy"}
	if faults := cfg.Edge.check(cfg); len(faults) > 0 {
		t.Fatal(faults)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	node, err := Start(ctx, Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	<-node.Ready()
	dial := func(addr string, settings *tls.Config) net.Conn {
		for range 200 { // listeners of jobs open a moment after the node is ready
			conn, err := net.Dial("tcp", addr)
			if err == nil && settings != nil {
				return tls.Client(conn, settings)
			} else if err == nil {
				return conn
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatalf("nobody listens at %s", addr)
		return nil
	}
	ask := func(conn net.Conn, host string) (status int, fault string) {
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /r1/"+sub+"/nothing/x HTTP/1.1\r\nHost: "+host+"\r\nX-Road-Client: "+sub+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("X-Road-Error")
	}
	if status, fault := ask(dial(cfg.Edge.Listen, nil), cfg.Edge.Listen); status != http.StatusInternalServerError || !strings.HasSuffix(fault, ".UnknownService") {
		t.Errorf("on this machine: %d %s", status, fault)
	}
	if status, fault := ask(dial(cfg.Edge.Listen, nil), "evil.example"); status != http.StatusInternalServerError || !strings.HasSuffix(fault, ".SslAuthenticationFailed") {
		t.Errorf("led here by a page: %d %s", status, fault)
	}
	if status, fault := ask(dial(cfg.Edge.TLSListen, &tls.Config{InsecureSkipVerify: true}), cfg.Edge.TLSListen); status != http.StatusInternalServerError || !strings.HasSuffix(fault, ".SslAuthenticationFailed") {
		t.Errorf("by TLS: %d %s", status, fault)
	}
	if status, fault := ask(dial(cfg.Web.Listen, nil), cfg.Web.Listen); status != http.StatusInternalServerError || !strings.HasSuffix(fault, ".SslAuthenticationFailed") {
		t.Errorf("at the listener for people: %d %s", status, fault)
	}
	if conn := dial(cfg.Edge.TLSListen, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); conn.(*tls.Conn).HandshakeContext(ctx) == nil {
		t.Error("TLS 1.1 is spoken")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the node ended with %v", err)
	}
}

// freeAddr returns an address of this machine where nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// selfSigned writes a certificate and its key.
func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, b := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
