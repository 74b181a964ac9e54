package backup

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

const domain = "truc-backup/1 signature\n"

// sign signs the SHA-256 of a file with an Ed25519 or P-256 key.
func sign(key crypto.Signer, sum []byte) ([]byte, error) {
	msg := append([]byte(domain), sum...)
	switch key.Public().(type) {
	case ed25519.PublicKey:
		return key.Sign(rand.Reader, msg, crypto.Hash(0))
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(msg)
		return key.Sign(rand.Reader, digest[:], crypto.SHA256)
	default:
		return nil, fmt.Errorf("backup: a key of kind %T does not sign backups", key.Public())
	}
}

func verify(spki, sum, sig []byte) error {
	pub, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	msg := append([]byte(domain), sum...)
	ok := false
	switch pub := pub.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(pub, msg, sig)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(msg)
		ok = ecdsa.VerifyASN1(pub, digest[:], sig)
	default:
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

// ErrSignature means that a file is not what its node signed: it was changed, cut off, or signed by another key.
var ErrSignature = errors.New("backup: the file is damaged: it is not what the node signed")

// SignerID names the key that signed: base64url of the SHA-256 of its SubjectPublicKeyInfo, as the directory names keys.
func (h Header) SignerID() string {
	sum := sha256.Sum256(h.Signer)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
