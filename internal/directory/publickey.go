package directory

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"time"
)

// PublicKey is an Ed25519 or P-256 key with its id, base64url SHA-256 of the SubjectPublicKeyInfo.
type PublicKey struct {
	KeyID string `json:"key_id"`
	// SPKI is the base64 DER SubjectPublicKeyInfo; it says which algorithm the key is for.
	SPKI string `json:"spki"`
	// NotBefore and NotAfter bound what the key may sign; 0 means unbounded.
	NotBefore int64 `json:"not_before"`
	NotAfter  int64 `json:"not_after"`
}

// KeyID returns the id of a public key: base64url SHA-256 of its SubjectPublicKeyInfo; empty for what is no key.
func KeyID(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	return SPKIKeyID(der)
}

// SPKIKeyID returns the id of a key given as DER SubjectPublicKeyInfo.
func SPKIKeyID(spki []byte) string {
	sum := sha256.Sum256(spki)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// NewPublicKey describes a key.
func NewPublicKey(pub crypto.PublicKey, notBefore, notAfter int64) PublicKey {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return PublicKey{}
	}
	return PublicKey{KeyID: SPKIKeyID(der), SPKI: base64.StdEncoding.EncodeToString(der), NotBefore: notBefore, NotAfter: notAfter}
}

// Public returns the key, an ed25519.PublicKey or an *ecdsa.PublicKey on P-256, after checking that the id belongs to
// it. Other kinds are refused.
func (k PublicKey) Public() (crypto.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(k.SPKI)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", k.KeyID, err)
	}
	if SPKIKeyID(der) != k.KeyID {
		return nil, fmt.Errorf("key %s: the id does not belong to the key", k.KeyID)
	}
	p, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", k.KeyID, err)
	}
	switch pub := p.(type) {
	case ed25519.PublicKey:
		return pub, nil
	case *ecdsa.PublicKey:
		if pub.Curve == elliptic.P256() {
			return pub, nil
		}
	}
	return nil, fmt.Errorf("key %s: neither Ed25519 nor P-256", k.KeyID)
}

// Ed25519 returns the key where only Ed25519 will do, after checking that the id belongs to it.
func (k PublicKey) Ed25519() (ed25519.PublicKey, error) {
	p, err := k.Public()
	if err != nil {
		return nil, err
	}
	pub, ok := p.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key %s: not an Ed25519 key", k.KeyID)
	}
	return pub, nil
}

// ValidAt reports whether the key may sign at t.
func (k PublicKey) ValidAt(t time.Time) bool {
	u := t.Unix()
	return (k.NotBefore == 0 || u >= k.NotBefore) && (k.NotAfter == 0 || u <= k.NotAfter)
}
