package app

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/pki"
)

// openKeyFiles are the files below a folder in which a private key lies open. The development authority, whose keys are worth
// nothing, is passed by.
func openKeyFiles(t *testing.T, dir string) (open []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "sign" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("BEGIN PRIVATE KEY")) {
			open = append(open, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return open
}

// A node's keys are sealed while it does not run, and it starts without a person from a file, a credential of the service
// manager or a program. A passphrase that is wrong or missing is said in words, and nothing is made anew in its place.
func TestSealedKeys(t *testing.T) {
	p := newPair(t)
	p.works("with plain keys")
	before := fingerprint(p.agency.currentKeys())
	outside := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(outside, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	right := file("truc-keys", "mật khẩu của nút này\n")
	with := func(k KeysConfig) *Config {
		c := *p.agency.cfg
		c.Keys = k
		c.Keys.rounds = 1000 // the race detector makes the real number a minute's work
		return &c
	}
	sealed := with(KeysConfig{PassphraseFile: right})
	if _, err := SealKeys(sealed, false); errKey(err) != "pki.keys_in_use" {
		t.Errorf("sealed under a node that runs: %v", err)
	}
	p.stopAgency()
	if _, err := SealKeys(with(KeysConfig{}), false); errKey(err) != "pki.no_passphrase" {
		t.Errorf("sealed without a passphrase: %v", err)
	}
	changed, err := SealKeys(sealed, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"keys/signing.key", "keys/tls.key", "keys/exchange-log.key", "keys/audit-log.key", "keys/witness.key", "keys/exchange-seal.key"} {
		if !slices.Contains(changed, want) {
			t.Errorf("%s was not sealed: %v", want, changed)
		}
	}
	if open := openKeyFiles(t, p.agency.cfg.DataDir); len(open) > 0 {
		t.Errorf("keys lie open: %v", open)
	}
	failing := file("failing", "#!/bin/sh\necho a secret >&2\nexit 3\n")
	if err := os.Chmod(failing, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		keys       KeysConfig
	}{
		{"no passphrase", "pki.key_sealed", KeysConfig{}},
		{"wrong passphrase", "pki.key_passphrase", KeysConfig{PassphraseFile: file("wrong", "mật khẩu của nút khác\n")}},
		{"no file", "pki.passphrase_missing", KeysConfig{PassphraseFile: filepath.Join(outside, "nowhere")}},
		{"no credentials", "pki.credential_missing", KeysConfig{PassphraseCredential: "truc-keys"}},
		{"another credential", "pki.credential_missing", KeysConfig{PassphraseCredential: "other", credentials: outside}},
		{"failing program", "pki.passphrase_command", KeysConfig{PassphraseCommand: []string{failing}}},
		{"silent program", "pki.passphrase_command", KeysConfig{PassphraseCommand: []string{"/bin/true"}}},
		{"endless program", "pki.passphrase_command", KeysConfig{PassphraseCommand: []string{"/bin/cat", "/dev/zero"}}},
	} {
		_, stop, err := p.try(with(c.keys))
		if errKey(err) != c.want || strings.Contains(err.Error(), "mật khẩu") || strings.Contains(err.Error(), "a secret") {
			t.Errorf("%s: %v; want %s", c.name, err, c.want)
		}
		if err == nil {
			stop()
		}
	}
	for name, keys := range map[string]KeysConfig{
		"a file": {PassphraseFile: right}, "a credential": {PassphraseCredential: "truc-keys", credentials: outside},
		"a program": {PassphraseCommand: []string{"/bin/cat", right}}, "a person": {given: []byte("mật khẩu của nút này\n")},
	} {
		stop := p.restart(with(keys))
		p.works("the passphrase from " + name)
		if fingerprint(p.agency.currentKeys()) != before {
			t.Errorf("%s: the node has other keys", name)
		}
		stop()
	}
	// A change of keys makes sealed files too.
	stop := p.restart(sealed)
	if _, err := p.agency.RotateSigning(t.Context(), "lan", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := p.agency.RotateTLS(t.Context(), "lan"); err != nil {
		t.Fatal(err)
	}
	p.offset.Add(int64(directory.Spread + 2*time.Minute))
	p.refresh()
	if err := p.agency.activateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.refresh()
	p.works("after a change of keys")
	after := fingerprint(p.agency.currentKeys())
	if after == before || len(openKeyFiles(t, p.agency.cfg.DataDir)) > 0 {
		t.Errorf("keys changed: %v; open: %v", after != before, openKeyFiles(t, p.agency.cfg.DataDir))
	}
	stop()
	opened, err := SealKeys(sealed, true)
	if err != nil || len(opened) != len(changed) {
		t.Errorf("opened %v, %v; want as many as were sealed, %v", opened, err, changed)
	}
	p.restart(with(KeysConfig{}))
	p.works("with plain keys again")
	if fingerprint(p.agency.currentKeys()) != after {
		t.Error("the node has other keys")
	}
}

func (p *pair) stopAgency() { p.stops[p.agency]() }

func errKey(err error) string {
	if err == nil {
		return ""
	}
	key, _ := errs.KeyOf(err)
	return key
}

func TestKeysConfig(t *testing.T) {
	c := &Config{DataDir: "/var/lib/truc"}
	for name, k := range map[string]KeysConfig{
		"two sources":                {PassphraseFile: "/etc/a", PassphraseCredential: "b"},
		"beside the keys":            {PassphraseFile: "/var/lib/truc/keys/../pass"},
		"a path as credential":       {PassphraseCredential: "../x"},
		"a program by its name":      {PassphraseCommand: []string{"cat"}},
		"nowhere":                    {Signing: "cloud"},
		"a device without a program": {Signing: "device"},
		"a label of a file":          {SigningLabel: "x", Signer: "/run/s"},
		"another kind":               {SigningKind: "rsa2048"},
	} {
		c.Keys = k
		if faults := c.checkKeys(); len(faults) != 1 {
			t.Errorf("%s: %v", name, faults)
		}
	}
	secret, cert := filepath.Join(t.TempDir(), "pass"), filepath.Join(t.TempDir(), "cert")
	for _, path := range []string{secret, cert} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.Keys, c.Web.TLSCert = KeysConfig{PassphraseFile: secret}, cert
	if got := c.filesOutside(); !slices.Equal(got, []string{cert}) {
		t.Errorf("a backup takes %v along; want the certificate, and not the passphrase", got)
	}
	for _, k := range []KeysConfig{
		{},
		{PassphraseFile: "/etc/truc/pass"},
		{PassphraseFile: "/var/lib/truc-pass"},
		{Signing: "device", Channel: "file", Signer: "/run/s", SigningLabel: "nút 1", SigningKind: "p256"},
	} {
		c.Keys = k
		if faults := c.checkKeys(); len(faults) > 0 {
			t.Errorf("%+v: %v", k, faults)
		}
	}
}

// Two processes may not rewrite the keys at once, and a node that runs is one of them.
func TestKeysAreLocked(t *testing.T) {
	c := &Config{DataDir: t.TempDir()}
	node, err := lockKeys(c, syscall.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockKeys(c, syscall.LOCK_EX); errKey(err) != "pki.keys_in_use" {
		t.Errorf("the keys of a node that runs were given away: %v", err)
	}
	node()
	sealer, err := lockKeys(c, syscall.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockKeys(c, syscall.LOCK_SH); errKey(err) != "pki.keys_in_use" {
		t.Errorf("a node started on keys that are being rewritten: %v", err)
	}
	sealer()
	if st, err := pki.StateOfKeyFile(filepath.Join(c.DataDir, "keys", "lock")); err == nil && st != pki.FileOther {
		t.Errorf("the lock is a key: %v", st)
	}
}
