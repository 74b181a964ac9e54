package backup

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"truc/internal/sealed"
)

const (
	identityPrefix  = "TRUC-BACKUP-KEY-1:"
	recipientPrefix = "truc-backup-1:"
	fileKeySize     = 32
	// MaxRecipients bounds how many keys open one file.
	MaxRecipients = 16
)

// ErrNoKey means that a file is not encrypted for the key at hand.
var ErrNoKey = errors.New("backup: the file is not encrypted for this key")

// Identity opens backups. It belongs on paper or on another machine, not on the node.
type Identity struct{ key *ecdh.PrivateKey }

// NewIdentity makes a key.
func NewIdentity() (*Identity, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	return &Identity{key}, err
}

// String is the secret text form of the key; [ParseIdentity] reads it.
func (i *Identity) String() string {
	return identityPrefix + base64.RawURLEncoding.EncodeToString(i.key.Bytes())
}

// ParseIdentity reads the text of a key; lines that begin with # are comments.
func ParseIdentity(text string) (*Identity, error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		raw, ok := decode(line, identityPrefix)
		if !ok {
			break
		}
		key, err := ecdh.X25519().NewPrivateKey(raw)
		if err != nil {
			break // the error must not show the key
		}
		return &Identity{key}, nil
	}
	return nil, errors.New("backup: no key in this text")
}

// Recipient is the public side of the key.
func (i *Identity) Recipient() Recipient { return Recipient{i.key.PublicKey()} }

// Recipient is whom backups are encrypted for.
type Recipient struct{ key *ecdh.PublicKey }

// String is the text form, which stands in the configuration.
func (r Recipient) String() string {
	return recipientPrefix + base64.RawURLEncoding.EncodeToString(r.key.Bytes())
}

// ParseRecipient reads the text form.
func ParseRecipient(s string) (Recipient, error) {
	raw, ok := decode(s, recipientPrefix)
	if !ok {
		return Recipient{}, fmt.Errorf("backup: %.40q is no recipient such as %s…", s, recipientPrefix)
	}
	key, err := ecdh.X25519().NewPublicKey(raw)
	return Recipient{key}, err
}

func decode(s, prefix string) ([]byte, bool) {
	rest, ok := strings.CutPrefix(s, prefix)
	raw, err := base64.RawURLEncoding.DecodeString(rest)
	return raw, ok && err == nil && len(raw) == 32
}

// Wrapped is the key of a file for one recipient.
type Wrapped struct {
	// Share is a public key that was used this once; Key the sealed key.
	Share []byte `json:"share"`
	Key   []byte `json:"key"`
}

// wrappingKey derives what seals the file's key. It is used once, so its nonce may be fixed.
func wrappingKey(secret, share, recipient []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, slices.Concat(share, recipient), "truc-backup/1 file key", 32)
}

func wrap(fileKey []byte, r Recipient) (Wrapped, error) {
	once, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return Wrapped{}, err
	}
	secret, err := once.ECDH(r.key)
	if err != nil {
		return Wrapped{}, err
	}
	share := once.PublicKey().Bytes()
	key, err := wrappingKey(secret, share, r.key.Bytes())
	if err != nil {
		return Wrapped{}, err
	}
	aead, err := sealed.AEAD(key)
	if err != nil {
		return Wrapped{}, err
	}
	return Wrapped{Share: share, Key: aead.Seal(nil, make([]byte, aead.NonceSize()), fileKey, nil)}, nil //nolint:gosec // a key that is used once needs no nonce
}

// unwrap returns the file's key, or ErrNoKey.
func (i *Identity) unwrap(list []Wrapped) ([]byte, error) {
	for _, w := range list {
		share, err := ecdh.X25519().NewPublicKey(w.Share)
		if err != nil {
			continue
		}
		secret, err := i.key.ECDH(share)
		if err != nil {
			continue
		}
		key, err := wrappingKey(secret, w.Share, i.key.PublicKey().Bytes())
		if err != nil {
			return nil, err
		}
		aead, err := sealed.AEAD(key)
		if err != nil {
			return nil, err
		}
		if fileKey, err := aead.Open(nil, make([]byte, aead.NonceSize()), w.Key, nil); err == nil && len(fileKey) == fileKeySize {
			return fileKey, nil
		}
	}
	return nil, ErrNoKey
}
