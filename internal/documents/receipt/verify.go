package receipt

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"truc/internal/errs"
	"truc/internal/sign"
)

// Key is a signing key of a node, as the directory names it.
type Key struct {
	// Node is the server identifier, "VN/GOV/G22/node1".
	Node                string
	Public              crypto.PublicKey
	NotBefore, NotAfter time.Time // zero: unbounded
	Revoked             bool
}

// Trust says whom the reader of a receipt believes.
type Trust struct {
	// Keys opens the signed directory that the file carries, checks it against what the reader knows of the network, and
	// returns the function that finds a key by id. An error means that the directory is not to be believed.
	Keys func(directory json.RawMessage) (func(kid string) (Key, error), error)
	// TSARoots are authorities of time-stamps that the reader trusts; nil: those in the file, and Report says so.
	TSARoots *x509.CertPool
	// Now bounds time-stamps from above.
	Now time.Time
}

// Report says what a receipt proves.
type Report struct {
	Fact
	// Issuer is the node that signed, KeyID its key; Revoked that the key was revoked, before or after.
	Issuer, KeyID string
	Revoked       bool
	// Pending: there is no time-stamp yet. Otherwise StampedAt is when the receipt existed at the latest, and Authority
	// the name in the certificate of who says so; OwnRoots that the reader gave no authorities.
	Pending   bool
	StampedAt time.Time
	Authority string
	OwnRoots  bool
}

// Verify checks a receipt file without a network. Its errors are errs.Invalid, with a key that says which part failed.
func Verify(b []byte, trust Trust) (rep Report, err error) {
	f, err := Parse(b)
	if err != nil {
		return rep, err
	}
	j, err := parseJWS(f.JWS)
	if err != nil {
		return rep, unreadable(err)
	}
	if rep.Fact, err = j.claims.fact(); err != nil {
		return rep, unreadable(err)
	}
	find, err := trust.Keys(f.Directory)
	if err != nil {
		return rep, errs.E(errs.Invalid, "receipt.directory_not_trusted", err)
	}
	key, err := find(j.header.Kid)
	if err != nil {
		return rep, errs.E(errs.Invalid, "receipt.key_unknown", err)
	}
	rep.Issuer, rep.KeyID, rep.Revoked = j.claims.Issuer, j.header.Kid, key.Revoked
	switch {
	case key.Node != rep.Issuer:
		return rep, errs.E(errs.Invalid, "receipt.key_unknown", fmt.Errorf("the key is of %s", key.Node))
	case !j.signedBy(key.Public):
		return rep, errs.E(errs.Invalid, "receipt.signature_wrong", nil)
	case !key.NotBefore.IsZero() && rep.At.Before(key.NotBefore) || !key.NotAfter.IsZero() && rep.At.After(key.NotAfter):
		return rep, errs.E(errs.Invalid, "receipt.key_not_valid", nil)
	}
	if f.Stamp == nil {
		rep.Pending = true
		return rep, nil
	}
	return rep, verifyStamp(&rep, f, trust)
}

func verifyStamp(rep *Report, f File, trust Trust) error {
	root, err := rootFrom(f.JWS, f.Stamp)
	if err != nil {
		return errs.E(errs.Invalid, "receipt.stamp_wrong", err)
	}
	given, err := rootsOf(f.Stamp.Roots)
	if err != nil {
		return errs.E(errs.Invalid, "receipt.stamp_wrong", err)
	}
	roots := trust.TSARoots
	if roots == nil {
		roots, rep.OwnRoots = given, true
	}
	text := StampedText(f.Stamp.Size, root)
	info, err := sign.VerifyTimestamp(f.Stamp.Token, func(h crypto.Hash) []byte {
		d := h.New()
		d.Write(text)
		return d.Sum(nil)
	}, roots, trust.Now)
	if err != nil {
		return errs.E(errs.Invalid, "receipt.stamp_wrong", err)
	}
	if info.Time.Before(rep.At.Add(-5 * time.Minute)) { // clocks may differ; a stamp cannot be older than what it is on
		return errs.E(errs.Invalid, "receipt.stamp_wrong", errors.New("the time-stamp is older than the receipt"))
	}
	rep.StampedAt, rep.Authority = info.Time, info.Cert.Subject.CommonName
	return nil
}

// rootsOf reads PEM certificates. Each must be whole: a root's own signature is not looked at when a chain is built.
func rootsOf(text string) (*x509.CertPool, error) {
	pool, rest := x509.NewCertPool(), []byte(text)
	n := 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if err := cert.CheckSignatureFrom(cert); err != nil {
			return nil, fmt.Errorf("a root certificate: %w", err)
		}
		pool.AddCert(cert)
		n++
	}
	if n == 0 || n > 10 {
		return nil, errors.New("the file has no root certificates of the authority")
	}
	return pool, nil
}
