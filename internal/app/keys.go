package app

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/pki"
)

// Files of the folder keys. The *-next files lie there while a change of key spreads through the network; a node that
// was restarted in between goes on where it was.
const (
	tlsKeyFile      = "tls.key"
	signingKeyFile  = "signing.key"
	certFile        = "node.pem"
	nextTLSKeyFile  = "tls-next.key"
	nextSigningFile = "signing-next.key"
	nextCertFile    = "node-next.pem"
	nextTLSAtFile   = "tls-next.at"
)

// loadKeys reads the node's two keys, or makes them where the configuration says. An interrupted change of the channel key
// is finished first.
func loadKeys(ctx context.Context, c *Config, store *pki.KeyStore) (k directory.Keys, err error) {
	dir := filepath.Join(c.DataDir, "keys")
	if err := finishTLS(dir, store); err != nil {
		return k, err
	}
	if k.TLS, err = c.channelKey(ctx, store, filepath.Join(dir, tlsKeyFile), nil); err != nil {
		return k, err
	}
	k.Signing, err = c.signingKey(ctx, store, filepath.Join(dir, signingKeyFile), c.Keys.kind(), nil)
	return k, err
}

// signingKey reads a signing key of either kind, or makes one of kind alg, other than the one in force.
func (c *Config) signingKey(ctx context.Context, store *pki.KeyStore, path string, alg pki.Alg, current crypto.Signer) (crypto.Signer, error) {
	k, err := store.Load(path)
	switch {
	case err == nil && pki.AlgOf(k.Public()) != pki.Ed25519 && pki.AlgOf(k.Public()) != pki.P256:
		return nil, errs.E(errs.Conflict, "pki.key_alg_other", nil, "want", string(alg), "got", string(pki.AlgOf(k.Public())))
	case err == nil || !errors.Is(err, os.ErrNotExist):
		return k, err
	case c.Keys.Signing == inDevice:
		label, create := c.Keys.labelFor("signing", c.Keys.SigningLabel, current)
		return store.LoadOrUse(ctx, path, label, alg, create)
	}
	return store.LoadOrCreate(path, alg)
}

// channelKey reads a channel key, or makes one other than the one in force.
func (c *Config) channelKey(ctx context.Context, store *pki.KeyStore, path string, current crypto.Signer) (crypto.Signer, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && c.Keys.Channel == inDevice {
		label, create := c.Keys.labelFor("channel", c.Keys.ChannelLabel, current)
		return store.LoadOrUse(ctx, path, label, pki.P256, create)
	}
	return store.LoadOrCreate(path, pki.P256)
}

// labelFor names the key in the device that comes next: the configured one, unless that is in force already, else a new one.
func (k *KeysConfig) labelFor(use, configured string, current crypto.Signer) (label string, create bool) {
	if configured != "" && configured != deviceLabel(current) {
		return configured, false
	}
	return k.newLabel(use), true
}

// deviceLabel is the name of a key at the device, empty for one in a file.
func deviceLabel(k crypto.Signer) string {
	if r, ok := k.(*pki.RemoteSigner); ok {
		return r.Label()
	}
	return ""
}

// finishTLS puts the new certificate in its place when the process ended between the two renames of a change.
func finishTLS(dir string, store *pki.KeyStore) error {
	next, err := os.ReadFile(filepath.Join(dir, nextCertFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, nextTLSKeyFile)); err == nil {
		return nil // the key has not moved yet
	}
	key, err := store.Load(filepath.Join(dir, tlsKeyFile))
	if err != nil {
		return err
	}
	certs, err := pki.DecodePEM(next)
	if err != nil || pki.KeyID(certs[0].PublicKey) != pki.KeyID(key.Public()) {
		return err
	}
	return os.Rename(filepath.Join(dir, nextCertFile), filepath.Join(dir, certFile))
}

// currentKeys returns the keys in force.
func (n *Node) currentKeys() directory.Keys {
	n.certMu.Lock()
	defer n.certMu.Unlock()
	return n.keys
}

// KeyStatus tells how the node's keys stand.
func (n *Node) KeyStatus() (directory.KeyStatus, error) {
	k := n.currentKeys()
	st := directory.KeyStatus{Maintenance: n.maintenance(), TLS: directory.FingerprintText(pki.KeyID(k.TLS.Public())), Signing: directory.FingerprintText(pki.KeyID(k.Signing.Public())), Alg: string(pki.AlgOf(k.Signing.Public()))}
	st.TLSLabel, st.SigningLabel = deviceLabel(k.TLS), deviceLabel(k.Signing)
	if doc := n.follower.Document(); doc != nil {
		own, _ := doc.Node(n.cfg.ServerID())
		st.State, st.Leaving = doc.StandingOf(n.cfg.ServerID()), own.Leaving
	}
	cert, err := os.ReadFile(n.certPath())
	if err != nil {
		return st, err
	}
	if st.Certificate, err = directory.StateOfCertificate(cert, n.now()); err != nil {
		return st, err
	}
	st.NextTLS = n.nextTLSAt()
	if id := n.nextSigningID(); id != "" {
		if doc := n.follower.Document(); doc != nil {
			if node, ok := doc.Node(n.cfg.ServerID()); ok {
				for _, key := range node.Keys {
					if key.KeyID == id {
						st.NextSigning = time.Unix(key.NotBefore, 0).UTC()
					}
				}
			}
		}
	}
	return st, nil
}

// RotateSigning makes a new signing key and announces it; it takes over when every fresh copy of the directory knows it.
// alg is "ed25519" or "p256"; empty keeps the kind. Asked again while a change is under way it announces the same key.
func (n *Node) RotateSigning(ctx context.Context, actor, alg string) (from time.Time, err error) {
	k := n.currentKeys()
	kind := pki.Alg(alg)
	if kind == "" {
		kind = pki.AlgOf(k.Signing.Public())
	}
	if kind != pki.Ed25519 && kind != pki.P256 {
		return from, errs.E(errs.Invalid, "directory.key_alg_unknown", nil)
	}
	if err := n.act(ctx, actor, "directory.key.rotate_signing", n.cfg.ServerID()); err != nil {
		return from, err
	}
	next, err := n.cfg.signingKey(ctx, n.keystore, n.path("keys", nextSigningFile), kind, k.Signing)
	if err != nil {
		return from, err
	}
	return n.follower.AnnounceKey(ctx, n.cfg.ServerID(), k.Signing, next)
}

// RotateTLS makes a new channel key with a certificate. The node shows the old one until every fresh copy of the directory
// knows the new one.
func (n *Node) RotateTLS(ctx context.Context, actor string) (from time.Time, err error) {
	if at := n.nextTLSAt(); !at.IsZero() {
		return at, nil
	}
	if err := n.act(ctx, actor, "directory.key.rotate_tls", n.cfg.ServerID()); err != nil {
		return from, err
	}
	next, err := n.cfg.channelKey(ctx, n.keystore, n.path("keys", nextTLSKeyFile), n.currentKeys().TLS)
	if err != nil {
		return from, err
	}
	cert, err := n.follower.RenewWith(ctx, n.cfg.ServerID(), n.currentKeys().Signing, next)
	if err != nil {
		return from, err
	}
	if err := replaceFile(n.path("keys", nextCertFile), cert); err != nil {
		return from, err
	}
	from = n.now().Add(directory.Spread).Truncate(time.Second)
	return from, replaceFile(n.path("keys", nextTLSAtFile), []byte(strconv.FormatInt(from.Unix(), 10)))
}

// nextTLSAt is when the next channel key takes over; zero when none is on its way.
func (n *Node) nextTLSAt() time.Time {
	b, err := os.ReadFile(n.path("keys", nextTLSAtFile))
	if err != nil {
		return time.Time{}
	}
	at, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(at, 0).UTC()
}

func (n *Node) nextSigningID() string {
	k, err := n.keystore.Load(n.path("keys", nextSigningFile))
	if err != nil {
		return ""
	}
	return pki.KeyID(k.Public())
}

// activateKeys lets announced keys take over when their time has come.
func (n *Node) activateKeys(ctx context.Context) error {
	return errors.Join(n.activateSigning(ctx), n.activateTLS(ctx))
}

func (n *Node) activateSigning(ctx context.Context) error {
	id := n.nextSigningID()
	if id == "" || !n.follower.TakesOver(n.cfg.ServerID(), id) {
		return nil
	}
	next, err := n.keystore.Load(n.path("keys", nextSigningFile))
	if err != nil {
		return err
	}
	// The rename destroys an old private key in a file; its public half stays in the directory. One in a device stays there
	// until its operator removes it, since nothing is destroyed over the signer's socket.
	old := n.currentKeys().Signing
	if err := os.Rename(n.path("keys", nextSigningFile), n.path("keys", signingKeyFile)); err != nil {
		return err
	}
	n.certMu.Lock()
	n.keys.Signing = next
	n.certMu.Unlock()
	n.follower.UseKey(next)
	if n.exchange != nil {
		if err := n.exchange.UseKey(next); err != nil {
			return err
		}
	}
	n.log.InfoContext(ctx, "a new signing key took over", slog.String("key_id", id), slog.String("unused_in_device", deviceLabel(old)))
	return nil
}

func (n *Node) activateTLS(ctx context.Context) error {
	at := n.nextTLSAt()
	if at.IsZero() || n.now().Before(at) {
		return nil
	}
	next, err := n.keystore.Load(n.path("keys", nextTLSKeyFile))
	if err != nil {
		return err
	}
	n.certMu.Lock()
	defer n.certMu.Unlock()
	err = errors.Join(
		os.Rename(n.path("keys", nextTLSKeyFile), n.path("keys", tlsKeyFile)),
		os.Rename(n.path("keys", nextCertFile), n.path("keys", certFile)),
	)
	if err != nil {
		return err
	}
	old := n.keys.TLS
	n.keys.TLS, n.cert = next, nil
	if n.redial != nil {
		n.redial() // open connections still show the old key
	}
	n.log.InfoContext(ctx, "a new channel key took over", slog.String("key_id", pki.KeyID(next.Public())), slog.String("unused_in_device", deviceLabel(old)))
	return os.Remove(n.path("keys", nextTLSAtFile))
}

// renew asks for a new certificate when two thirds of its life are over, and says so louder the longer it fails.
func (n *Node) renew(ctx context.Context) error {
	current, err := os.ReadFile(n.certPath())
	if err != nil {
		return err
	}
	var renewed []byte
	if n.nextTLSAt().IsZero() { // a change of key brings a certificate of its own
		renewed, err = n.follower.RenewIfDue(ctx, current, n.cfg.ServerID(), n.currentKeys())
	}
	if renewed != nil {
		err := replaceFile(n.certPath(), renewed)
		if err == nil && n.redial != nil {
			n.redial() // open connections still show the old certificate, and peers refuse them when it ends
		}
		return err
	}
	st, serr := directory.StateOfCertificate(current, n.now())
	if serr == nil && st.Alarm != directory.NoAlarm {
		n.log.ErrorContext(ctx, "the node's certificate ends soon and could not be renewed", slog.String("alarm", string(st.Alarm)), slog.Int("days_left", st.Days))
	}
	return err
}

// ownCertificate reports the certificate for /readyz.
func (n *Node) ownCertificate(state map[string]any) (usable bool) {
	b, err := os.ReadFile(n.certPath())
	if err != nil {
		return false
	}
	st, err := directory.StateOfCertificate(b, n.now())
	if err != nil {
		return false
	}
	state["certificateDaysLeft"] = st.Days
	if st.Alarm != directory.NoAlarm {
		state["certificateAlarm"] = string(st.Alarm)
	}
	return st.Alarm != directory.AlarmEnded
}

// linkIdentity is the certificate shown to other nodes; it is read again when it was renewed.
func (n *Node) linkIdentity() *tls.Certificate {
	n.certMu.Lock()
	defer n.certMu.Unlock()
	info, err := os.Stat(n.certPath())
	if err != nil {
		return n.cert
	}
	if n.cert != nil && n.certAt.Equal(info.ModTime()) {
		return n.cert
	}
	b, err := os.ReadFile(n.certPath())
	if err != nil {
		return n.cert
	}
	certs, err := pki.DecodePEM(b)
	if err != nil || len(certs) == 0 {
		return n.cert
	}
	n.cert, n.certAt = pki.TLSCertificate(n.keys.TLS, certs[0], certs[1:]...), info.ModTime()
	return n.cert
}

// signer signs with whatever signing key is in force.
type signer struct{ n *Node }

// Public implements [crypto.Signer].
func (s signer) Public() crypto.PublicKey { return s.n.currentKeys().Signing.Public() }

// Sign implements [crypto.Signer].
func (s signer) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.n.currentKeys().Signing.Sign(rand, digest, opts)
}
