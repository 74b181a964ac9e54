package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"truc/internal/errs"
)

// Alg names a kind of private key.
type Alg string

// The kinds of key we make. Ed25519 is the default for nodes and message signatures; documents need P-256 or
// RSA, because the readers of signed PDF files know nothing else.
const (
	Ed25519 Alg = "ed25519"
	P256    Alg = "p256"
	P384    Alg = "p384" // documents only
	RSA2048 Alg = "rsa2048"
)

// GenerateKey makes a private key of the given kind.
func GenerateKey(alg Alg) (crypto.Signer, error) {
	switch alg {
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, errs.E(errs.Invalid, "pki.key_alg_unknown", nil, "alg", string(alg))
}

// AlgOf returns the kind of a public key, or "" for a kind we do not use.
func AlgOf(pub crypto.PublicKey) Alg {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return Ed25519
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return P256
		}
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 {
			return RSA2048
		}
	}
	return ""
}

// LoadOrCreateKey reads the private key in path (PKCS#8 in PEM), or makes one of kind alg and stores it with
// mode 0600. The file appears whole or not at all, and of two processes that start together both end with
// the same key. A key that everybody on the machine may read, or one of another kind, is refused.
func LoadOrCreateKey(path string, alg Alg) (key crypto.Signer, err error) {
	return (*KeyStore)(nil).LoadOrCreate(path, alg)
}

func parseKey(path string, der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errs.E(errs.Invalid, "pki.key_unreadable", err, "file", filepath.Base(path))
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errs.E(errs.Invalid, "pki.key_unreadable", fmt.Errorf("a %T cannot sign", parsed), "file", filepath.Base(path))
	}
	return key, nil
}

// readSecret reads a short file that not everybody on the machine may read.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()       //nolint:errcheck // only read
	info, err := f.Stat() // of the open file, so that it cannot be swapped in between
	if err != nil {
		return nil, err
	}
	// Group access stays possible, since service managers hand out credentials that way.
	if info.Mode().Perm()&0o007 != 0 {
		return nil, errs.E(errs.Denied, "pki.key_exposed", fmt.Errorf("mode %v", info.Mode().Perm()), "file", filepath.Base(path))
	}
	if info.Size() > 64<<10 {
		return nil, errs.E(errs.Invalid, "pki.key_unreadable", errors.New("file too long"), "file", filepath.Base(path))
	}
	buf := make([]byte, info.Size())
	if _, err := f.ReadAt(buf, 0); err != nil {
		return nil, err
	}
	return buf, nil
}

// createFile writes a file that did not exist, atomically and durably. It returns [fs.ErrExist] and leaves the
// old content when the path is taken.
func createFile(path string, content []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // a name left over does no harm
	if err := errors.Join(tmp.Chmod(mode), write(tmp, content), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil { // a link, unlike a rename, never replaces
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func write(f *os.File, content []byte) error {
	_, err := f.Write(content)
	return err
}

// KeyID names a public key: base64url without padding of the SHA-256 of its SubjectPublicKeyInfo. It is the
// keyid of message signatures (RFC 9421 §2.3) and what the directory lists. It is "" for a key that cannot
// be encoded.
func KeyID(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
