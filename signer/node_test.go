package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKeysOfTheNode makes both kinds in a token, signs with them, and finds them again in another session.
func TestKeysOfTheNode(t *testing.T) {
	module, _ := token(t)
	d, err := openDevice(module, "agency", "1234", true)
	if err != nil {
		t.Fatal(err)
	}
	message := bytes.Repeat([]byte("thông điệp "), 100)
	digest := sha256.Sum256(message)
	made := map[string][]byte{}
	check := func(label string) {
		t.Helper()
		pub, err := x509.ParsePKIXPublicKey(made[label])
		if err != nil {
			t.Fatal(err)
		}
		switch k := pub.(type) {
		case ed25519.PublicKey:
			if sig, err := d.sign(label, "", "", message); err != nil || !ed25519.Verify(k, message, sig) {
				t.Errorf("%s: %v", label, err)
			}
			if _, err := d.sign(label, "SHA-256", "", digest[:]); !errors.Is(err, errRefused) {
				t.Errorf("%s signed a digest: %v", label, err)
			}
		case *ecdsa.PublicKey:
			if sig, err := d.sign(label, "SHA-256", "", digest[:]); err != nil || !ecdsa.VerifyASN1(k, digest[:], sig) {
				t.Errorf("%s: %v", label, err)
			}
			if _, err := d.sign(label, "", "", message); !errors.Is(err, errRefused) {
				t.Errorf("%s signed a message without a digest: %v", label, err)
			}
		default:
			t.Errorf("%s is a %T", label, pub)
		}
	}
	for label, alg := range map[string]string{"truc-signing": algEd25519, "truc-tls": algP256} {
		if made[label], err = d.make(label, alg); err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		check(label)
		if again, err := d.make(label, alg); err != nil || !bytes.Equal(again, made[label]) {
			t.Errorf("%s was made twice: %v", label, err)
		}
	}
	if _, err := d.make("twin", algP256); !errors.Is(err, errUnknownKey) {
		t.Errorf("a third key of one name was made: %v", err)
	}
	d.close()
	if d, err = openDevice(module, "agency", "1234", false); err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for label := range made {
		if spki, err := d.public(label); err != nil || !bytes.Equal(spki, made[label]) {
			t.Errorf("%s is another key after a restart: %v", label, err)
		}
		check(label)
	}
	if _, err := d.make("truc-late", algP256); err == nil {
		t.Error("a session that only reads made a key")
	}
}

// One connection carries many requests; only labels of the node may be made and have its rate; the log counts.
func TestConnectionOfTheNode(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := listen(socket, false)
	if err != nil {
		t.Fatal(err)
	}
	log, at := &syncBuffer{}, time.Now()
	s := &server{device: newFake(t), uids: []int{os.Getuid()}, rate: newRate(1, time.Now), node: "truc-", nodeRate: newRate(1000, time.Now), log: slog.New(slog.NewJSONHandler(log, nil)), now: func() time.Time { return at }}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, l) }()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func(r request) (a answer) {
		t.Helper()
		if err := errors.Join(writeFrame(conn, r), readFrame(conn, &a)); err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []struct{ key, alg, want string }{{"an", "p256", "refused"}, {"truc-an", "rsa2048", "refused"}, {"truc-an", "p256", ""}, {"truc-other", "p256", "device"}} {
		if a := ask(request{Op: "make", Key: c.key, Alg: c.alg}); a.Error != c.want || (a.Public != nil) != (c.want == "") {
			t.Errorf("make %s %s: %+v; want %q", c.key, c.alg, a, c.want)
		}
	}
	if a := ask(request{Op: "sign", Key: "an", Digest: make([]byte, maxMessage+1)}); a.Error != "refused" {
		t.Errorf("an endless message: %+v", a)
	}
	for range 50 {
		if a := ask(request{Op: "key", Key: "an"}); len(a.Public) == 0 {
			t.Fatalf("%+v", a)
		}
	}
	good := request{Op: "sign", Key: "truc-an", Hash: "SHA-256", Digest: make([]byte, 32)}
	s.device = twoNames{s.device.(fake)}
	for range 50 { // -rate would have stopped it at the third
		if a := ask(good); a.Error != "" {
			t.Fatalf("%+v", a)
		}
	}
	if n := strings.Count(log.String(), `"op":"sign"`); n != 1 { // the endless one
		t.Errorf("%d lines about signatures\n%s", n, log)
	}
	if !strings.Contains(log.String(), `"msg":"signatures of a node's key"`) {
		t.Error("the log does not count them")
	}
	// The end of the program does not wait for a connection on which nobody asks.
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// twoNames is a fake whose key has a second label.
type twoNames struct{ fake }

func (f twoNames) public(string) ([]byte, error) { return f.fake.public("an") }
