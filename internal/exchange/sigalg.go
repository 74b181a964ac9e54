package exchange

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"truc/internal/eddsa"
)

// Algorithms of message signatures: the names of RFC 9421 §3.3 and, with a suffix, the same key over the root of a tree
// of messages (ADR 0014).
const (
	algEd25519   = "ed25519"
	algP256      = "ecdsa-p256-sha256"
	sharedSuffix = "-mt"
)

// KeyID returns the id of a signing key: base64url SHA-256 of its SubjectPublicKeyInfo (spec D20); "" for a key of a
// kind that cannot be encoded.
func KeyID(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// algOf returns the algorithm of a key.
func algOf(pub crypto.PublicKey) (string, error) {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return algEd25519, nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return algP256, nil
		}
	}
	return "", fmt.Errorf("a %T does not sign messages; use Ed25519 or P-256", pub)
}

// signBytes signs with either kind of key. An ECDSA value is r and s in 32 bytes each, not ASN.1 (RFC 9421 §3.3.4).
func signBytes(key crypto.Signer, msg []byte) ([]byte, error) {
	if _, ok := key.Public().(ed25519.PublicKey); ok {
		return key.Sign(rand.Reader, msg, crypto.Hash(0))
	}
	sum := sha256.Sum256(msg)
	der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var v struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &v); err != nil || len(rest) > 0 || v.R.Sign() < 0 || v.S.Sign() < 0 || v.R.BitLen() > 256 || v.S.BitLen() > 256 {
		return nil, errors.New("the key made no P-256 signature")
	}
	out := make([]byte, 64)
	v.R.FillBytes(out[:32])
	v.S.FillBytes(out[32:])
	return out, nil
}

// verifyBytes checks a signature by a key of the named algorithm. keys may be nil.
func verifyBytes(pub crypto.PublicKey, alg string, msg, sig []byte, keys *eddsa.Keys) bool {
	if own, err := algOf(pub); err != nil || own != alg || len(sig) != 64 {
		return false
	}
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return keys.Verify(k, msg, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(msg)
		return ecdsa.Verify(k, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	}
	return false
}

// verifyValue checks the value of a message signature over its base, of either form. memory may be nil.
func verifyValue(pub crypto.PublicKey, keyID, alg, base string, value []byte, memory *signatureMemory) bool {
	plain, shared := strings.CutSuffix(alg, sharedSuffix)
	if !shared {
		return verifyBytes(pub, alg, []byte(base), value, memory.signers())
	}
	root, count, sig, err := openShared(base, value)
	if err != nil {
		return false
	}
	return memory.verify(rootKey{keyID, alg, root, count, [64]byte(sig)}, func() bool {
		return verifyBytes(pub, plain, sharedText(root, count), sig, memory.signers())
	})
}
