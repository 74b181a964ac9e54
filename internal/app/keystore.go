package app

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/pki"
)

const (
	// deviceTimeout is how long one signature of the node may take: a call waits for it.
	deviceTimeout = 3 * time.Second
	// commandTimeout bounds the program that tells the passphrase, maxPassphrase what it may say.
	commandTimeout = 30 * time.Second
	maxPassphrase  = 4096
)

// keyStore is how the configuration keeps the node's keys. Nothing is opened yet.
func (c *Config) keyStore() *pki.KeyStore {
	s := &pki.KeyStore{Passphrase: c.Keys.passphrase(), Rounds: c.Keys.rounds}
	if c.Keys.Signer != "" {
		s.Device = pki.NewSignerProgram(c.Keys.Signer, deviceTimeout)
	}
	return s
}

// passphrase is where the passphrase comes from; nil where keys are plain files.
func (k *KeysConfig) passphrase() func() ([]byte, error) {
	switch {
	case k.given != nil:
		return func() ([]byte, error) { return k.given, nil }
	case k.PassphraseFile != "":
		return func() ([]byte, error) { return readPassphrase(k.PassphraseFile) }
	case k.PassphraseCredential != "":
		return func() ([]byte, error) {
			if k.credentials == "" {
				return nil, errs.E(errs.Unavailable, "pki.credential_missing", errors.New("CREDENTIALS_DIRECTORY is not set"), "name", k.PassphraseCredential)
			}
			b, err := readPassphrase(filepath.Join(k.credentials, k.PassphraseCredential))
			if errors.Is(err, fs.ErrNotExist) {
				return nil, errs.E(errs.Unavailable, "pki.credential_missing", err, "name", k.PassphraseCredential)
			}
			return b, err
		}
	case len(k.PassphraseCommand) > 0:
		return func() ([]byte, error) { return commandOutput(k.PassphraseCommand) }
	}
	return nil
}

func readPassphrase(path string) ([]byte, error) {
	b, err := pki.ReadPassphrase(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.E(errs.Unavailable, "pki.passphrase_missing", err, "file", filepath.Base(path))
	}
	return b, err
}

// commandOutput runs a program and returns what it writes. Neither that nor what it complains about goes into an error.
func commandOutput(argv []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	name := filepath.Base(argv[0])
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the operator's own program
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout = &limitedBuffer{&out}
	if err := cmd.Run(); err != nil {
		return nil, errs.E(errs.Unavailable, "pki.passphrase_command", err, "program", name)
	}
	if out.Len() == 0 {
		return nil, errs.E(errs.Unavailable, "pki.passphrase_command", errors.New("it wrote nothing"), "program", name)
	}
	return out.Bytes(), nil
}

// limitedBuffer refuses more than a passphrase may be.
type limitedBuffer struct{ b *bytes.Buffer }

// Write implements [io.Writer].
func (l *limitedBuffer) Write(p []byte) (int, error) {
	if l.b.Len()+len(p) > maxPassphrase {
		return 0, io.ErrShortBuffer
	}
	return l.b.Write(p)
}

// newLabel names a key that the device is to make; no two nodes and no two changes of key choose the same.
func (k *KeysConfig) newLabel(use string) string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return k.labelPrefix() + use + "-" + hex.EncodeToString(b)
}

// keyFiles are the files of a data folder that hold keys and secrets of the node, as far as they are there. The development
// authority's are not among them, nor the keys of operators and programs, which others read too.
func keyFiles(c *Config) ([]string, error) {
	out, err := filepath.Glob(filepath.Join(c.DataDir, "keys", "*.key"))
	if err != nil {
		return nil, err
	}
	for _, p := range []string{filepath.Join(c.DataDir, "ca", "root.key"), filepath.Join(c.DataDir, "backend.key")} {
		if _, err := os.Stat(p); err == nil {
			out = append(out, p)
		}
	}
	foreign := map[string]bool{filepath.Join(c.DataDir, "keys", OperatorKeyFile): true}
	for _, o := range c.Exchange.Operators {
		foreign[filepath.Clean(o.File)] = true
	}
	for _, k := range c.Exchange.Keys {
		foreign[filepath.Clean(k.File)] = true
	}
	var kept []string
	for _, p := range out {
		if !foreign[filepath.Clean(p)] {
			kept = append(kept, p)
		}
	}
	return kept, nil
}

// SealKeys seals the key files of a node that does not run, or with unseal puts them back into plain files, and returns the
// names of those that it changed. It may be interrupted and repeated.
func SealKeys(c *Config, unseal bool) (changed []string, err error) {
	keys := c.keyStore()
	if keys.Passphrase == nil {
		return nil, errs.E(errs.Invalid, "pki.no_passphrase", nil)
	}
	release, err := lockKeys(c, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer release()
	files, err := keyFiles(c)
	if err != nil {
		return nil, err
	}
	turn := keys.Seal
	if unseal {
		turn = keys.Unseal
	}
	for _, path := range files {
		did, err := turn(path)
		if err != nil {
			return changed, err
		}
		if did {
			rel, err := filepath.Rel(c.DataDir, path)
			if err != nil {
				return changed, err
			}
			changed = append(changed, rel)
		}
	}
	return changed, nil
}

// lockKeys keeps the folder of keys from others: a node shares it, whoever rewrites the files has it alone. The kernel gives it
// back when the process dies, however it dies.
func lockKeys(c *Config, how int) (release func(), err error) {
	dir := filepath.Join(c.DataDir, "keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errs.E(errs.Conflict, "pki.keys_in_use", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// openKeys takes the folder of keys, and says which keys lie open although they could be sealed.
func (n *Node) openKeys(ctx context.Context) error {
	release, err := lockKeys(n.cfg, syscall.LOCK_SH)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, func(context.Context) error { release(); return nil })
	n.keystore = n.cfg.keyStore() //nolint:contextcheck // the program that tells a passphrase has its own limit of time
	if d := n.keystore.Device; d != nil {
		n.closers = append(n.closers, func(context.Context) error { d.Close(); return nil })
	}
	if n.keystore.Passphrase == nil {
		return nil
	}
	open, err := unsealed(n.cfg)
	if err == nil && len(open) > 0 {
		n.log.WarnContext(ctx, "keys lie in plain files although the configuration names a passphrase: stop the node and run truc keys seal", slog.Any("files", open))
	}
	return err
}

// unsealed are the names of key files that lie open although there is a passphrase.
func unsealed(c *Config) ([]string, error) {
	files, err := keyFiles(c)
	if err != nil {
		return nil, err
	}
	var open []string
	for _, p := range files {
		st, err := pki.StateOfKeyFile(p)
		if err != nil {
			return nil, err
		}
		if st == pki.FilePlain {
			open = append(open, strings.TrimPrefix(p, c.DataDir+string(filepath.Separator)))
		}
	}
	return open, nil
}

// checkChannelKey has the channel key sign a word, where it lies in a device.
func (n *Node) checkChannelKey(context.Context) []exchange.Finding {
	k := n.currentKeys().TLS
	if deviceLabel(k) == "" {
		return nil
	}
	f := exchange.Finding{Name: "channel_key", Light: exchange.LightGood, Key: "exchange.diag.channel_key_good"}
	sum := sha256.Sum256([]byte("self test of the channel key"))
	if _, err := k.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
		f.Light, f.Key, f.Todo, f.Stop = exchange.LightBad, "exchange.diag.channel_key_away", "exchange.diag.key_away_todo", true
	}
	return []exchange.Finding{f}
}
