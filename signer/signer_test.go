package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/pkcs11"
)

// fake is a device with one software key called "an".
type fake struct{ key *ecdsa.PrivateKey }

func (f fake) public(label string) ([]byte, error) {
	if label != "an" {
		return nil, errUnknownKey
	}
	return x509.MarshalPKIXPublicKey(&f.key.PublicKey)
}

func (f fake) make(label, _ string) ([]byte, error) {
	if label == "truc-an" {
		return x509.MarshalPKIXPublicKey(&f.key.PublicKey)
	}
	return nil, errDevice
}

func (f fake) sign(_, hash, _ string, digest []byte) ([]byte, error) {
	if hash == "" {
		return nil, errRefused // it is no Ed25519 key
	}
	return f.key.Sign(rand.Reader, digest, crypto.SHA256)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start serves a device and returns a function that asks it.
func start(t *testing.T, d keys, uids []int, perSecond int) (ask func(request) (answer, error), socket string, log *syncBuffer) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := listen(socket, false)
	if err != nil {
		t.Fatal(err)
	}
	log = &syncBuffer{}
	s := &server{device: d, uids: uids, rate: newRate(perSecond, time.Now), log: slog.New(slog.NewJSONHandler(log, nil)), now: time.Now}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return func(r request) (a answer, err error) {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return a, err
		}
		defer conn.Close()
		if err := writeFrame(conn, r); err != nil {
			return a, err
		}
		return a, readFrame(conn, &a)
	}, socket, log
}

func newFake(t testing.TB) fake {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return fake{k}
}

func TestServer(t *testing.T) {
	f := newFake(t)
	ask, socket, log := start(t, f, []int{os.Getuid()}, 2)
	digest := sha256.Sum256([]byte("văn bản"))
	good := request{Op: "sign", Key: "an", Hash: "SHA-256", Digest: digest[:]}
	a, err := ask(good)
	if err != nil || !ecdsa.VerifyASN1(&f.key.PublicKey, digest[:], a.Signature) {
		t.Fatalf("%+v, %v", a, err)
	}
	for name, c := range map[string]struct {
		req  request
		want string
	}{
		"unknown key":       {request{Op: "key", Key: "nobody"}, "unknown_key"},
		"sign unknown key":  {request{Op: "sign", Key: "nobody", Hash: "SHA-256", Digest: digest[:]}, "unknown_key"},
		"no key":            {request{Op: "key"}, "refused"},
		"long name":         {request{Op: "key", Key: strings.Repeat("a", 300)}, "refused"},
		"other operation":   {request{Op: "export", Key: "an"}, "refused"},
		"broken digest":     {request{Op: "sign", Key: "an", Hash: "SHA-1", Digest: digest[:20]}, "refused"},
		"digest of no size": {request{Op: "sign", Key: "an", Hash: "SHA-384", Digest: digest[:]}, "refused"},
		"other padding":     {request{Op: "sign", Key: "an", Hash: "SHA-256", Padding: "raw", Digest: digest[:]}, "refused"},
	} {
		if a, err := ask(c.req); err != nil || a.Error != c.want || a.Signature != nil {
			t.Errorf("%s: %+v, %v; want %s", name, a, err, c.want)
		}
	}
	busy := false
	for range 20 {
		a, err := ask(good)
		if err != nil {
			t.Fatal(err)
		}
		busy = busy || a.Error == "busy"
	}
	if !busy {
		t.Error("21 signatures at once at 2 a second: none was put off")
	}
	for _, secret := range []string{"văn bản", "6Zc", string(digest[:])} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the socket: %v, %v", info.Mode(), err)
	}
	if _, err := listen(socket, false); err == nil {
		t.Error("a socket in use was taken away")
	}
}

func TestServerTurnsOthersAway(t *testing.T) {
	ask, _, log := start(t, newFake(t), []int{os.Getuid() + 1}, 2)
	if a, err := ask(request{Op: "key", Key: "an"}); err == nil {
		t.Errorf("a process of another user was answered: %+v", a)
	}
	if !strings.Contains(log.String(), "another user") {
		t.Error("nothing in the log")
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if l, err = listen(stale, true); err != nil {
		t.Fatalf("a socket left by a dead process: %v", err)
	}
	if info, err := os.Stat(stale); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("mode for other users: %v, %v", info.Mode(), err)
	}
	l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(file, false); err == nil {
		t.Error("a file was replaced")
	}
}

func TestRateRefills(t *testing.T) {
	at := time.Unix(0, 0)
	r := newRate(2, func() time.Time { return at })
	count := func() (n int) {
		for r.allow("k") {
			n++
		}
		return n
	}
	if n := count(); n != 4 {
		t.Errorf("%d at once; want 4", n)
	}
	at = at.Add(time.Second)
	if n := count(); n != 2 {
		t.Errorf("%d after a second; want 2", n)
	}
	if !r.allow("other") {
		t.Error("another key waits for this one")
	}
}

func TestOptions(t *testing.T) {
	full := []string{"-module", "m", "-token", "t", "-pin-file", "p", "-socket", "s"}
	if o, err := parse(append(full, "-allow-uid", "7,8"), io.Discard); err != nil || len(o.uids) != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{nil, append(full, "-allow-uid", "x"), append(full, "-rate", "0")} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v: accepted", args)
		}
	}
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"open": 0o640, "empty": 0o600} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("\n"), mode); err != nil {
			t.Fatal(err)
		}
		if _, err := readPIN(path); err == nil {
			t.Errorf("%s PIN file: accepted", name)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"op":"sign","key":"an","hash":"SHA-256","digest":"AAAA"}`))
	s := &server{device: newFake(f), rate: newRate(1, time.Now)}
	f.Fuzz(func(t *testing.T, b []byte) {
		var req request
		if readFrame(bytes.NewReader(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)), &req) != nil {
			return
		}
		if a, err := s.do(req); err == nil && a.Signature != nil && len(req.Digest) != 32 && len(req.Digest) != 48 && len(req.Digest) != 64 {
			t.Errorf("signed %d bytes", len(req.Digest))
		}
	})
}

// --- with SoftHSM

func softhsm(t *testing.T) (module string) {
	t.Helper()
	_, err := exec.LookPath("softhsm2-util")
	if err == nil {
		for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"} {
			if found, _ := filepath.Glob(pattern); len(found) > 0 {
				return found[0]
			}
		}
		err = errors.New("libsofthsm2.so was not found")
	}
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
	return ""
}

// token makes a token with keys of every kind we sign with, and one name twice.
func token(t *testing.T) (module string, keys map[string]crypto.Signer) {
	t.Helper()
	module = softhsm(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	util := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("softhsm2-util", args...).CombinedOutput(); err != nil {
			t.Fatalf("softhsm2-util %v: %v\n%s", args, err, out)
		}
	}
	util("--init-token", "--free", "--label", "agency", "--so-pin", "87654321", "--pin", "1234")
	keys = map[string]crypto.Signer{}
	add := func(label, id string, k crypto.Signer, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "key.pem")
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		util("--import", path, "--token", "agency", "--label", label, "--id", id, "--pin", "1234")
		keys[label] = k
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	add("rsa", "a1", rsaKey, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	add("p256", "a2", p256, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	add("p384", "a3", p384, err)
	twin, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	add("twin", "a4", twin, err)
	twin, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	add("twin", "a5", twin, err)
	return module, keys
}

func TestDevice(t *testing.T) {
	module, software := token(t)
	if _, err := openDevice(module, "agency", "0000", false); err == nil || !strings.Contains(err.Error(), "does not let us in") {
		t.Errorf("wrong PIN: %v", err)
	}
	if _, err := openDevice(module, "ministry", "1234", false); err == nil {
		t.Error("a token that is not there was opened")
	}
	if _, err := openDevice("/nowhere.so", "agency", "1234", false); err == nil {
		t.Error("a library that is not there was opened")
	}
	d, err := openDevice(module, "agency", "1234", false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if n := d.count(); n != 5 {
		t.Errorf("%d keys; want 5", n)
	}
	digest := bytes.Repeat([]byte{7}, 32)
	check := func() {
		t.Helper()
		for label, padding := range map[string]string{"rsa": "pkcs1", "p256": "", "p384": "", "id:a2": ""} {
			sig, err := d.sign(label, "SHA-256", padding, digest)
			if err != nil {
				t.Errorf("%s: %v", label, err)
				continue
			}
			ok := false
			switch k := software[strings.Replace(label, "id:a2", "p256", 1)].Public().(type) {
			case *rsa.PublicKey:
				ok = rsa.VerifyPKCS1v15(k, crypto.SHA256, digest, sig) == nil
			case *ecdsa.PublicKey:
				ok = ecdsa.VerifyASN1(k, digest, sig)
			}
			if !ok {
				t.Errorf("%s: the signature is wrong", label)
			}
		}
		sig, err := d.sign("rsa", "SHA-256", "pss", digest)
		if err != nil || rsa.VerifyPSS(software["rsa"].Public().(*rsa.PublicKey), crypto.SHA256, digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) != nil {
			t.Errorf("pss: %v", err)
		}
	}
	check()
	for label, want := range map[string]error{"nobody": errUnknownKey, "twin": errUnknownKey, "id:": errUnknownKey, "id:zz": errUnknownKey} {
		if _, err := d.public(label); !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", label, err, want)
		}
	}
	if _, err := d.sign("rsa", "SHA-256", "", digest); !errors.Is(err, errRefused) {
		t.Errorf("RSA without padding: %v", err)
	}
	// The session breaks, as when a card is pulled out and put back: signing goes on.
	d.mu.Lock()
	if err := d.ctx.CloseSession(d.session); err != nil {
		t.Fatal(err)
	}
	d.mu.Unlock()
	check()
	// The PIN was changed meanwhile: it is refused once and not sent again.
	d.mu.Lock()
	d.logout()
	d.pin = "0000"
	d.mu.Unlock()
	if _, err := d.sign("p256", "SHA-256", "", digest); !errors.Is(err, errDevice) || !d.pinBad {
		t.Errorf("changed PIN: %v, refused %v", err, d.pinBad)
	}
	d.pin = "1234"
	if _, err := d.sign("p256", "SHA-256", "", digest); !errors.Is(err, errDevice) {
		t.Errorf("after a refused PIN: %v", err)
	}
	if !is(pkcs11.Error(pkcs11.CKR_PIN_INCORRECT), pkcs11.CKR_PIN_INCORRECT) {
		t.Error("errors of the device are not recognised")
	}
}

// TestRun starts the whole program and stops it as a service manager does.
func TestRun(t *testing.T) {
	module, _ := token(t)
	dir := t.TempDir()
	pin, socket := filepath.Join(dir, "pin"), filepath.Join(dir, "s")
	args := []string{"-module", module, "-token", "agency", "-pin-file", pin, "-socket", socket}
	if err := os.WriteFile(pin, []byte("0000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &syncBuffer{}
	if err := run(context.Background(), args, log, time.Now); err == nil || strings.Contains(err.Error()+log.String(), "0000") {
		t.Errorf("wrong PIN: %v\n%s", err, log)
	}
	if err := os.WriteFile(pin, []byte("1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, args, log, time.Now) }()
	var conn net.Conn
	var err error
	for range 200 {
		if conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := errors.Join(writeFrame(conn, request{Op: "key", Key: "p384"}), readFrame(conn, &a)); err != nil || len(a.Public) == 0 {
		t.Errorf("%+v, %v", a, err)
	}
	conn.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket was left behind: %v", err)
	}
}
