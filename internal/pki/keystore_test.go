package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/errs"
)

func withPassphrase(text string) *KeyStore {
	return &KeyStore{Passphrase: func() ([]byte, error) { return []byte(text), nil }, Rounds: kdfLeast}
}

func keyOfError(err error) string {
	key, _ := errs.KeyOf(err)
	return key
}

const good = "một mật khẩu đủ dài"

func TestKeyStoreSeals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "signing.key")
	made, err := withPassphrase(good).LoadOrCreate(path, Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || bytes.Contains(text, []byte("BEGIN PRIVATE KEY")) || !bytes.Contains(text, []byte("BEGIN ENCRYPTED PRIVATE KEY")) {
		t.Fatalf("%s, %v", text, err)
	}
	again, err := withPassphrase(good+"\n").LoadOrCreate(path, Ed25519)
	if err != nil || KeyID(again.Public()) != KeyID(made.Public()) {
		t.Fatalf("%v, %v", again, err)
	}
	if pub, err := PublicKeyOf(path); err != nil || KeyID(pub) != KeyID(made.Public()) {
		t.Errorf("the public key beside it: %v", err)
	}
	other := filepath.Join(dir, "other.key")
	if _, err := withPassphrase(good).LoadOrCreate(other, P256); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	mixed := filepath.Join(dir, "mixed.key")
	if err := os.WriteFile(mixed, append(text[:bytes.Index(text, []byte("-----BEGIN PUBLIC"))], foreign[bytes.Index(foreign, []byte("-----BEGIN PUBLIC")):]...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path, want string
		store            *KeyStore
	}{
		{"wrong passphrase", path, "pki.key_passphrase", withPassphrase("một mật khẩu khác hẳn")},
		{"empty passphrase", path, "pki.passphrase_short", withPassphrase("\n")},
		{"no passphrase", path, "pki.key_sealed", &KeyStore{}},
		{"no store", path, "pki.key_sealed", nil},
		{"short passphrase for a new file", filepath.Join(dir, "new.key"), "pki.passphrase_short", withPassphrase("ngắn")},
		{"public key of another", mixed, "pki.key_unreadable", withPassphrase(good)},
	} {
		if _, err := c.store.LoadOrCreate(c.path, Ed25519); keyOfError(err) != c.want {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	if _, err := withPassphrase(good).LoadOrCreate(path, P256); keyOfError(err) != "pki.key_alg_other" {
		t.Errorf("another kind: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "new.key")); !os.IsNotExist(err) {
		t.Error("a key that could not be sealed was written")
	}
}

// A node asks for its passphrase once and opens a file once: opening is slow on purpose.
func TestKeyStoreAsksOnce(t *testing.T) {
	path, asked := filepath.Join(t.TempDir(), "k.key"), 0
	s := &KeyStore{Passphrase: func() ([]byte, error) { asked++; return []byte(good), nil }}
	first, err := s.LoadOrCreate(path, P256)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		k, err := s.Load(path)
		if err != nil || k != first {
			t.Fatalf("%v, %v", k, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestSealAndUnseal(t *testing.T) {
	dir := t.TempDir()
	plain := &KeyStore{}
	before := map[string]string{}
	for name, alg := range map[string]Alg{"ed.key": Ed25519, "p256.key": P256} {
		k, err := plain.LoadOrCreate(filepath.Join(dir, name), alg)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = KeyID(k.Public())
	}
	secret, err := plain.LoadOrCreateSecret(filepath.Join(dir, "seal.key"))
	if err != nil || len(secret) != 64 {
		t.Fatalf("%s, %v", secret, err)
	}
	stranger := filepath.Join(dir, "stranger.key")
	if err := os.WriteFile(stranger, []byte("an API key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{"ed.key", "p256.key", "seal.key", "stranger.key"}
	turn := func(how func(string) (bool, error), want int) {
		t.Helper()
		n := 0
		for _, name := range names {
			changed, err := how(filepath.Join(dir, name))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if changed {
				n++
			}
		}
		if n != want {
			t.Errorf("%d files changed; want %d", n, want)
		}
	}
	check := func(state KeyFileState) {
		t.Helper()
		s := withPassphrase(good)
		for name, id := range before {
			k, err := s.Load(filepath.Join(dir, name))
			if err != nil || KeyID(k.Public()) != id {
				t.Errorf("%s: %v", name, err)
			}
			if st, err := StateOfKeyFile(filepath.Join(dir, name)); err != nil || st != state {
				t.Errorf("%s is %q, %v; want %q", name, st, err, state)
			}
		}
		if got, err := s.LoadOrCreateSecret(filepath.Join(dir, "seal.key")); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("the secret: %v", err)
		}
		if b, err := os.ReadFile(stranger); err != nil || string(b) != "an API key\n" {
			t.Errorf("a file of others became %q, %v", b, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		for _, name := range names {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
			}
		}
	}
	check(FilePlain)
	turn(withPassphrase(good).Seal, 3)
	check(FileSealed)
	turn(withPassphrase(good).Seal, 0) // again, as after an interruption
	check(FileSealed)
	wrong := withPassphrase("một mật khẩu khác hẳn")
	for _, name := range names[:3] {
		if _, err := wrong.Unseal(filepath.Join(dir, name)); keyOfError(err) != "pki.key_passphrase" {
			t.Errorf("%s with a wrong passphrase: %v", name, err)
		}
	}
	if _, err := wrong.LoadOrCreateSecret(filepath.Join(dir, "seal.key")); keyOfError(err) != "pki.key_passphrase" {
		t.Errorf("the secret with a wrong passphrase: %v", err)
	}
	check(FileSealed)
	if _, err := plain.Seal(filepath.Join(dir, "ed.key")); keyOfError(err) != "pki.no_passphrase" {
		t.Errorf("sealed without a passphrase: %v", err)
	}
	turn(withPassphrase(good).Unseal, 3)
	check(FilePlain)
}

func TestKeyInDevice(t *testing.T) {
	dir := t.TempDir()
	socket, path := filepath.Join(dir, "s"), filepath.Join(dir, "signing.key")
	keys := map[string]crypto.Signer{}
	for label, alg := range map[string]Alg{"truc-signing": Ed25519, "by-hand": P256} {
		k, err := GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		keys[label] = k
	}
	store := &KeyStore{Device: NewSignerProgram(socket, time.Second)}
	ctx := context.Background()
	if _, err := store.LoadOrUse(ctx, path, "truc-signing", Ed25519, true); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("nobody listens: %v", err)
	}
	stop := fakeSigner(t, socket, keys, nil)
	for _, c := range []struct {
		label  string
		alg    Alg
		create bool
		want   string
	}{
		{"nobody", Ed25519, false, "pki.signer_no_key"},
		{"foreign", Ed25519, true, "pki.signer_refused"},
		{"by-hand", Ed25519, false, "pki.key_alg_other"},
	} {
		if _, err := store.LoadOrUse(ctx, path, c.label, c.alg, c.create); keyOfError(err) != c.want {
			t.Errorf("%s: %v; want %s", c.label, err, c.want)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Fatalf("%s: a file was written for a key that is of no use", c.label)
		}
	}
	k, err := store.LoadOrUse(ctx, path, "truc-signing", Ed25519, true)
	if err != nil || KeyID(k.Public()) != KeyID(keys["truc-signing"].Public()) {
		t.Fatalf("%v, %v", k, err)
	}
	sign := func(k crypto.Signer) error {
		_, err := k.Sign(rand.Reader, []byte("message"), crypto.Hash(0)) // it verifies what it returns
		return err
	}
	if err := sign(k); err != nil {
		t.Error(err)
	}
	stop()
	// The program is away: the node still knows which key it has.
	if k, err = store.Load(path); err != nil || KeyID(k.Public()) != KeyID(keys["truc-signing"].Public()) {
		t.Fatalf("%v, %v", k, err)
	}
	if err := sign(k); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("signed without the program: %v", err)
	}
	if _, err := (&KeyStore{}).Load(path); keyOfError(err) != "pki.key_no_device" {
		t.Errorf("no program is configured: %v", err)
	}
	if st, err := StateOfKeyFile(path); err != nil || st != FileDevice {
		t.Errorf("%q, %v", st, err)
	}
	if changed, err := withPassphrase(good).Seal(path); err != nil || changed {
		t.Errorf("sealing a key in a device: %v, %v", changed, err)
	}
	stop = fakeSigner(t, socket, keys, nil)
	defer stop()
	if err := sign(k); err != nil {
		t.Errorf("the program is back: %v", err)
	}
	if _, err := k.Sign(rand.Reader, make([]byte, maxSignerMessage+1), crypto.Hash(0)); err == nil {
		t.Error("an endless message was signed")
	}
}

// Connections are kept, and one that died with the program is replaced within the same call.
func TestSignerConnections(t *testing.T) {
	key, err := GenerateKey(Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	for _, oneShot := range []bool{false, true} {
		socket := filepath.Join(t.TempDir(), "s")
		f := &fakeProgram{keys: map[string]crypto.Signer{"k": key}, oneShot: oneShot}
		stop := f.serve(t, socket)
		p := NewSignerProgram(socket, 10*time.Second)
		s, err := p.Key(context.Background(), "k")
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 20 {
					if _, err := s.Sign(rand.Reader, []byte("x"), crypto.Hash(0)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		if n := f.opened.Load(); !oneShot && n > signerHands {
			t.Errorf("%d connections for 161 requests", n)
		}
		stop()
		stop = f.serve(t, socket)
		if _, err := s.Sign(rand.Reader, []byte("x"), crypto.Hash(0)); err != nil {
			t.Errorf("after a restart of the program: %v", err)
		}
		p.Close()
		stop()
	}
}

// A program that takes requests and never answers holds nobody longer than the limit, however many wait.
func TestSignerHangs(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pub, err := GenerateKey(P256)
	if err != nil {
		t.Fatal(err)
	}
	s := &RemoteSigner{program: NewSignerProgram(socket, 200*time.Millisecond), key: "k", public: pub.Public()}
	digest := sha256.Sum256([]byte("x"))
	var all sync.WaitGroup
	failed := make(chan error, 40)
	for range 40 {
		all.Go(func() {
			_, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
			failed <- err
		})
	}
	all.Wait() // one after the other they would take eight seconds, and with no limit for ever
	for range 40 {
		if err := <-failed; errs.KindOf(err) != errs.Unavailable {
			t.Errorf("%v; want unavailable", err)
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	dir := f.TempDir()
	for name, s := range map[string]*KeyStore{"plain": nil, "sealed": withPassphrase(good)} {
		path := filepath.Join(dir, name)
		if _, err := s.LoadOrCreate(path, Ed25519); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("-----BEGIN TRUC KEY IN DEVICE-----\nLabel: 616e\n\nAAAA\n-----END TRUC KEY IN DEVICE-----\n"))
	f.Add([]byte(strings.Repeat("a", 64) + "\n"))
	path := filepath.Join(dir, "fuzz")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := (&KeyStore{Device: NewSignerProgram("/nowhere", time.Millisecond)}).Load(path)
		if err == nil && k.Public() == nil {
			t.Error("a key without a public half")
		}
		_, _ = PublicKeyOf(path)
		_, _ = StateOfKeyFile(path)
		_, _ = (*KeyStore)(nil).loadSecret(path)
	})
}

// FuzzSignerAnswer lets a signer program answer anything: no signature is taken that does not fit the key.
func FuzzSignerAnswer(f *testing.F) {
	for _, s := range []string{`{"signature":"AAAA"}`, `{"public":"AAAA"}`, `{"error":"busy"}`, `{"error":7}`, `[]`, ``} {
		f.Add([]byte(s))
	}
	key, err := GenerateKey(Ed25519)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		here, there := net.Pipe()
		p := NewSignerProgram("/nowhere", 5*time.Second)
		p.idle = []net.Conn{here}
		go func() {
			defer there.Close()
			var req signerRequest
			if readFrame(there, &req) == nil {
				_, _ = there.Write(append([]byte{byte(len(b) >> 24), byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...))
			}
		}()
		s := &RemoteSigner{program: p, key: "k", public: key.Public()}
		if sig, err := s.Sign(rand.Reader, []byte("message"), crypto.Hash(0)); err == nil {
			t.Errorf("%x was taken for a signature", sig)
		}
		p.Close()
	})
}
