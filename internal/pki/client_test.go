package pki

import (
	"os"
	"testing"
	"time"
)

// The certificate for back ends stays as it is until shortly before its end, and its key always.
func TestLoadOrCreateClient(t *testing.T) {
	dir := t.TempDir()
	load := func(at time.Time) (string, string) {
		t.Helper()
		c, err := LoadOrCreateClient(dir, "backend", "VN/GOV/G05/node1", at)
		if err != nil {
			t.Fatal(err)
		}
		if at.Before(c.Leaf.NotBefore) || !at.Before(c.Leaf.NotAfter) || c.Leaf.IsCA {
			t.Errorf("certificate valid %s to %s at %s", c.Leaf.NotBefore, c.Leaf.NotAfter, at)
		}
		return Fingerprint(c.Leaf), KeyID(c.Leaf.PublicKey)
	}
	cert, key := load(now)
	if again, _ := load(now.Add(24 * time.Hour)); again != cert {
		t.Error("the certificate changed from one day to the next")
	}
	renewed, same := load(now.Add(clientLifetime - time.Hour))
	if renewed == cert || same != key {
		t.Errorf("near its end: renewed %v, key kept %v", renewed != cert, same == key)
	}
	info, err := os.Stat(dir + "/backend.key")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file %v, %v", info.Mode(), err)
	}
}
