package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// Kinds of key that may be made.
const (
	algEd25519 = "ed25519"
	algP256    = "p256"
)

// What PKCS #11 v3.0 added for Edwards curves (§2.3.5, §2.3.10, §2.3.14); the library's own list is older.
const (
	ckkEdwards    = 0x00000040
	ckmEdwardsGen = 0x00001055
	ckmEdDSA      = 0x00001057
)

// CKA_EC_PARAMS of Curve25519 for signatures: the curve's name in a PrintableString, or id-Ed25519 (RFC 8410 §3). Devices
// know one or the other.
var (
	edwards25519Name = []byte("\x13\x0cedwards25519")
	edwards25519OID  = []byte{0x06, 0x03, 0x2b, 0x65, 0x70}
)

// readEdwards reads an Ed25519 public key: 32 bytes, in an OCTET STRING or bare.
func (d *device) readEdwards(o pkcs11.ObjectHandle) (ed25519.PublicKey, error) {
	point, err := d.attribute(o, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	var inner []byte
	if rest, err := asn1.Unmarshal(point, &inner); len(point) != ed25519.PublicKeySize && err == nil && len(rest) == 0 {
		point = inner
	}
	if len(point) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: a point of %d bytes", errUnknownKey, len(point))
	}
	return ed25519.PublicKey(point), nil
}

// make makes a key that never leaves the token, unless the label has one.
func (d *device) make(label, alg string) (spki []byte, err error) {
	err = d.do(func() error {
		k, err := d.lookup(label)
		if errors.Is(err, errUnknownKey) {
			// Only a label that nobody has may be given: a twin would make both unusable.
			found, ferr := d.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label)})
			if ferr != nil {
				return ferr
			}
			if len(found) > 0 {
				return err
			}
			if err := d.generate(label, alg); err != nil {
				return err
			}
			k, err = d.lookup(label)
		}
		if err == nil {
			spki = k.spki
		}
		return err
	})
	return spki, err
}

func (d *device) generate(label, alg string) error {
	if alg == algP256 {
		params, err := asn1.Marshal(oidP256)
		if err != nil {
			return err
		}
		return d.generatePair(label, pkcs11.CKK_EC, pkcs11.CKM_EC_KEY_PAIR_GEN, params)
	}
	err := d.generatePair(label, ckkEdwards, ckmEdwardsGen, edwards25519OID)
	if err != nil {
		err = d.generatePair(label, ckkEdwards, ckmEdwardsGen, edwards25519Name)
	}
	return err
}

func (d *device) generatePair(label string, kind, mechanism uint, params []byte) error {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	attr := pkcs11.NewAttribute
	public := []*pkcs11.Attribute{
		attr(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY), attr(pkcs11.CKA_KEY_TYPE, kind), attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_VERIFY, true),
		attr(pkcs11.CKA_EC_PARAMS, params), attr(pkcs11.CKA_LABEL, label), attr(pkcs11.CKA_ID, id),
	}
	private := []*pkcs11.Attribute{
		attr(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), attr(pkcs11.CKA_KEY_TYPE, kind), attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_PRIVATE, true),
		attr(pkcs11.CKA_SENSITIVE, true), attr(pkcs11.CKA_EXTRACTABLE, false), attr(pkcs11.CKA_SIGN, true), attr(pkcs11.CKA_LABEL, label), attr(pkcs11.CKA_ID, id),
	}
	_, _, err := d.ctx.GenerateKeyPair(d.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
	return err
}
