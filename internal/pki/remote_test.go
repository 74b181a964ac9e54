package pki

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"truc/internal/errs"
)

// fakeSigner speaks the signer program's side of the protocol for keys in memory.
func fakeSigner(t testing.TB, socket string, keys map[string]crypto.Signer, spoil *bool) (stop func()) {
	t.Helper()
	f := &fakeProgram{keys: keys, spoil: spoil}
	return f.serve(t, socket)
}

// fakeProgram may end a connection after each answer, as earlier signer programs did, and counts connections.
type fakeProgram struct {
	keys    map[string]crypto.Signer
	spoil   *bool
	oneShot bool
	opened  atomic.Int64
}

func (f *fakeProgram) serve(t testing.TB, socket string) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.opened.Add(1)
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			running.Go(func() {
				defer conn.Close()
				for {
					var req signerRequest
					if readFrame(conn, &req) != nil || writeFrame(conn, f.answer(req)) != nil || f.oneShot {
						return
					}
				}
			})
		}
	})
	return func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	}
}

func (f *fakeProgram) answer(req signerRequest) (a signerAnswer) {
	key := f.keys[req.Key]
	switch {
	case req.Key == "busy":
		a.Error = signerBusy
	case req.Op == "make" && !strings.HasPrefix(req.Key, "truc-"):
		a.Error = signerRefused
	case key == nil:
		a.Error = signerUnknownKey
	case req.Op == "key", req.Op == "make":
		a.Public, _ = x509.MarshalPKIXPublicKey(key.Public())
	case req.Padding == "pss":
		a.Signature, _ = key.Sign(rand.Reader, req.Digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	case req.Hash == "":
		a.Signature, _ = key.Sign(rand.Reader, req.Digest, crypto.Hash(0))
	default:
		a.Signature, _ = key.Sign(rand.Reader, req.Digest, crypto.SHA256)
	}
	if f.spoil != nil && *f.spoil && a.Signature != nil {
		a.Signature[len(a.Signature)-1] ^= 1
	}
	return a
}

func TestRemoteSigner(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	spoil := false
	keys := map[string]crypto.Signer{}
	for _, alg := range []Alg{P256, RSA2048, Ed25519} {
		key, err := GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		keys[string(alg)] = key
	}
	if _, err := NewRemoteSigner(context.Background(), socket, "p256"); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("nobody listens: %v; want unavailable", err)
	}
	stop := fakeSigner(t, socket, keys, &spoil)
	digest := sha256.Sum256([]byte("x"))
	signers := map[string]*RemoteSigner{}
	for _, label := range []string{"p256", "rsa2048"} {
		s, err := NewRemoteSigner(context.Background(), socket, label)
		if err != nil {
			t.Fatal(err)
		}
		signers[label] = s
		ways := []crypto.SignerOpts{crypto.SHA256}
		if label == "rsa2048" {
			ways = append(ways, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
		}
		for _, how := range ways {
			if _, err := s.Sign(rand.Reader, digest[:], how); err != nil { // it verifies what it returns
				t.Errorf("%s %T: %v", label, how, err)
			}
		}
	}
	for label, want := range map[string]string{"nobody": "pki.signer_no_key", "busy": "pki.signer_busy", "ed25519": "pki.key_alg_unknown"} {
		_, err := NewRemoteSigner(context.Background(), socket, label)
		if key, _ := errs.KeyOf(err); key != want {
			t.Errorf("%s: %v; want %s", label, err, want)
		}
	}
	spoil = true
	for label, s := range signers {
		if _, err := s.Sign(rand.Reader, digest[:], crypto.SHA256); errs.KindOf(err) != errs.Unavailable {
			t.Errorf("%s: a wrong signature was handed on: %v", label, err)
		}
	}
	spoil = false
	stop()
	if _, err := signers["p256"].Sign(rand.Reader, digest[:], crypto.SHA256); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("the program is away: %v; want unavailable", err)
	}
	stop = fakeSigner(t, socket, keys, &spoil)
	defer stop()
	if _, err := signers["p256"].Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		t.Errorf("the program is back: %v", err)
	}
}

func TestSealedKey(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := GenerateKey(P256)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := SealKey(key, []byte("mật khẩu"))
	if err != nil {
		t.Fatal(err)
	}
	path, pass := file("key.pem", string(sealed), 0o600), file("pass", "mật khẩu\n", 0o600)
	got, err := LoadSealedKey(path, pass)
	if err != nil || KeyID(got.Public()) != KeyID(key.Public()) {
		t.Fatalf("%v, %v", got, err)
	}
	plain, err := LoadOrCreateKey(filepath.Join(dir, "plain.pem"), P256)
	if err != nil || plain == nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, key, pass, want string }{
		{"wrong passphrase", path, file("wrong", "mat khau", 0o600), "pki.key_passphrase"},
		{"not encrypted", filepath.Join(dir, "plain.pem"), pass, "pki.key_not_sealed"},
		{"open to all", file("open.pem", string(sealed), 0o644), pass, "pki.key_exposed"},
		{"passphrase open to all", path, file("openpass", "mật khẩu", 0o644), "pki.key_exposed"},
		{"broken", file("broken.pem", strings.Replace(string(sealed), "M", "A", 2), 0o600), pass, "pki.key_unreadable"},
	} {
		_, err := LoadSealedKey(c.key, c.pass)
		if key, _ := errs.KeyOf(err); key != c.want {
			t.Errorf("%s: %v; want %s", c.name, err, c.want)
		}
	}
}

// TestSealedKeyWithOpenSSL reads what operators make, and lets openssl read what we make.
func TestSealedKeyWithOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	pass := filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem")
	for _, c := range []struct {
		cipher, prf string
		ok          bool
	}{
		{"aes-256-cbc", "hmacWithSHA256", true},
		{"aes-128-cbc", "hmacWithSHA512", true},
		{"aes-256-cbc", "hmacWithSHA1", false},
		{"des3", "hmacWithSHA256", false},
	} {
		run("pkcs8", "-topk8", "-in", "rsa.pem", "-out", "sealed.pem", "-v2", c.cipher, "-v2prf", c.prf, "-iter", "2048", "-passout", "file:pass")
		if err := os.Chmod(filepath.Join(dir, "sealed.pem"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadSealedKey(filepath.Join(dir, "sealed.pem"), pass); (err == nil) != c.ok {
			t.Errorf("%s with %s: %v; want read %v", c.cipher, c.prf, err, c.ok)
		}
	}
	key, err := GenerateKey(P384)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := SealKey(key, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ours.pem"), sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	run("pkey", "-in", "ours.pem", "-passin", "file:pass", "-noout", "-check")
}

func FuzzSealedKey(f *testing.F) {
	key, err := GenerateKey(P256)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(_ *testing.T, b []byte) {
		if len(b) < 4096 { // rounds are bounded, but not to what a fuzzer has time for
			_, _ = openPBES2(b, []byte("x"))
		}
	})
}
