package app

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"truc/internal/pki"
)

// KeysConfig is how the node's own keys are kept: the key that signs its messages, that of its channel, those of its logs and,
// at the center, those of the directory and the authority. By default they are files that only the node may read.
type KeysConfig struct {
	// PassphraseFile, PassphraseCredential and PassphraseCommand say where the passphrase comes from that seals the files in
	// keys and ca at rest; give one of them, or none for plain files. The file holds it in its first line, not readable for
	// everybody and outside of data_dir.
	PassphraseFile string `toml:"passphrase_file"`
	// PassphraseCredential is the name of a credential that systemd hands to the service (LoadCredentialEncrypted=), which a TPM
	// can protect.
	PassphraseCredential string `toml:"passphrase_credential"`
	// PassphraseCommand is a program with its arguments that writes the passphrase to its standard output within 30 seconds, such
	// as the client of a key management service.
	PassphraseCommand []string `toml:"passphrase_command"`
	// Signer is the socket of a signer program that holds keys of the node in a device (PKCS #11).
	Signer string `toml:"signer"`
	// Signing and Channel say where a new key is made: "file" (default) or "device". A key that is there stays where it is until it
	// is changed with truc keys rotate.
	Signing string `toml:"signing"`
	Channel string `toml:"channel"`
	// SigningKind is the kind of the first signing key: "ed25519" (default) or "p256", where a device knows no other.
	SigningKind string `toml:"signing_kind"`
	// SigningLabel and ChannelLabel name keys that are in the device already; without them the device makes one.
	SigningLabel string `toml:"signing_label"`
	ChannelLabel string `toml:"channel_label"`
	// LabelPrefix begins the labels of keys that the device makes; the signer program must allow it with -node-keys. Default "truc-".
	LabelPrefix string `toml:"label_prefix"`

	credentials string // the folder of the service's credentials
	given       []byte // a passphrase that a person gave at the start
	rounds      int    // of PBKDF2; 0 is what protects, tests take fewer
}

// UseCredentials says in which folder the service manager left credentials ($CREDENTIALS_DIRECTORY).
func (c *Config) UseCredentials(dir string) { c.Keys.credentials = dir }

// UsePassphrase seals keys with what a person gave at the start, whatever the file says.
func (c *Config) UsePassphrase(pass []byte) { c.Keys.given = pass }

const (
	inFile   = "file"
	inDevice = "device"
)

func (k *KeysConfig) labelPrefix() string {
	if k.LabelPrefix == "" {
		return "truc-"
	}
	return k.LabelPrefix
}

func (k *KeysConfig) kind() pki.Alg {
	if k.SigningKind == "" {
		return pki.Ed25519
	}
	return pki.Alg(k.SigningKind)
}

func (c *Config) checkKeys() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	k := &c.Keys
	given := 0
	for _, there := range []bool{k.PassphraseFile != "", k.PassphraseCredential != "", len(k.PassphraseCommand) > 0} {
		if there {
			given++
		}
	}
	if given > 1 {
		bad("keys: give one of passphrase_file, passphrase_credential and passphrase_command")
	}
	if k.PassphraseFile != "" && inside(c.DataDir, k.PassphraseFile) {
		bad("keys.passphrase_file: a passphrase in data_dir protects nothing there: keep it elsewhere")
	}
	if n := k.PassphraseCredential; n != "" && (n == "." || n == ".." || strings.ContainsAny(n, "/\\")) {
		bad("keys.passphrase_credential: %q is no name of a credential", n)
	}
	if len(k.PassphraseCommand) > 0 && !filepath.IsAbs(k.PassphraseCommand[0]) {
		bad("keys.passphrase_command: write the program with its whole path")
	}
	for name, where := range map[string]string{"signing": k.Signing, "channel": k.Channel} {
		if where != "" && where != inFile && where != inDevice {
			bad("keys.%s: %q is neither file nor device", name, where)
		}
		if where == inDevice && k.Signer == "" {
			bad("keys.%s: a key in a device needs keys.signer, the socket of the signer program", name)
		}
	}
	for name, l := range map[string][2]string{"signing_label": {k.SigningLabel, k.Signing}, "channel_label": {k.ChannelLabel, k.Channel}} {
		if l[0] != "" && l[1] != inDevice {
			bad("keys.%s: the label is of a key in a device; write device beside it", name)
		}
	}
	if kind := k.kind(); kind != pki.Ed25519 && kind != pki.P256 {
		bad("keys.signing_kind: %q is neither ed25519 nor p256", k.SigningKind)
	}
	return faults
}

// inside reports whether a path leads into a folder, links aside.
func inside(dir, path string) bool {
	d, err := filepath.Abs(dir)
	p, err2 := filepath.Abs(path)
	if errors.Join(err, err2) != nil {
		return false
	}
	rel, err := filepath.Rel(d, p)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
