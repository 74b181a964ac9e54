package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"truc/internal/pki"
)

// Sealing is killed again and again between and inside files: each key is there at every moment, plain or sealed, and the
// last run ends it.
func TestKilledWhileSealing(t *testing.T) {
	dir := t.TempDir()
	pass, config := filepath.Join(dir, "pass"), filepath.Join(dir, "truc.toml")
	text := fmt.Sprintf("instance = \"VN\"\nmember = \"H36\"\ndata_dir = %q\nweb.listen = \"127.0.0.1:1\"\nlink.listen = \"127.0.0.1:2\"\ndirectory.center = true\nkeys.passphrase_file = %q\n", filepath.Join(dir, "data"), pass)
	for path, content := range map[string]string{pass: "một mật khẩu đủ dài\n", config: text} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys := map[string]string{}
	for i := range 6 {
		path := filepath.Join(dir, "data", "keys", fmt.Sprintf("k%d.key", i))
		k, err := pki.LoadOrCreateKey(path, pki.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		keys[path] = pki.KeyID(k.Public())
	}
	store := &pki.KeyStore{Passphrase: func() ([]byte, error) { return pki.ReadPassphrase(pass) }}
	sealed := func() (n int) {
		t.Helper()
		for path, id := range keys {
			k, err := store.Load(path)
			if err != nil || pki.KeyID(k.Public()) != id {
				t.Fatalf("%s is lost: %v", path, err)
			}
			if st, err := pki.StateOfKeyFile(path); err == nil && st == pki.FileSealed {
				n++
			}
		}
		return n
	}
	for before, run := 0, 0; before < len(keys); run++ {
		if run > 2*len(keys) {
			t.Fatalf("%d of %d are sealed after %d runs", before, len(keys), run)
		}
		cmd := exec.Command(os.Args[0], "keys", "seal", "-config", config)
		cmd.Env = append(os.Environ(), actAsTruc+"=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		now := before
		for over := false; !over && now == before; { // until one more is sealed
			select {
			case <-ended:
				over = true
			case <-time.After(time.Millisecond):
			}
			now = sealed()
		}
		_ = cmd.Process.Kill()
		<-ended
		before = sealed()
	}
}
