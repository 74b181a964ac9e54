package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"
)

// device is one token. Its session is used by one request at a time: few devices can do more.
type device struct {
	ctx   *pkcs11.Ctx
	token string
	pin   string
	// write opens sessions that may make keys.
	write bool

	mu      sync.Mutex // guards what follows, and the token
	session pkcs11.SessionHandle
	open    bool
	pinBad  bool
	known   map[string]*key
}

type key struct {
	private pkcs11.ObjectHandle
	public  any // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	spki    []byte
	always  bool // wants the PIN for each signature
}

func openDevice(module, token, pin string, write bool) (*device, error) {
	ctx := pkcs11.New(module)
	if ctx == nil {
		return nil, fmt.Errorf("%s is no PKCS #11 library", module)
	}
	if err := ctx.Initialize(); err != nil {
		ctx.Destroy()
		return nil, fmt.Errorf("%s: %w", module, err)
	}
	d := &device{ctx: ctx, token: token, pin: pin, write: write}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.login(); err != nil {
		d.end()
		return nil, err
	}
	return d, nil
}

func (d *device) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end()
}

func (d *device) end() {
	d.logout()
	_ = d.ctx.Finalize()
	d.ctx.Destroy()
}

func (d *device) logout() {
	if d.open {
		_ = d.ctx.CloseSession(d.session) // ends the login too, when it is the last one
	}
	d.open, d.known = false, nil
}

// login opens a session. A PIN that was refused once is never sent again: the device would lock itself.
func (d *device) login() error {
	if d.open {
		return nil
	}
	if d.pinBad {
		return fmt.Errorf("%w: the PIN was refused before", errDevice)
	}
	slots, err := d.ctx.GetSlotList(true)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		info, err := d.ctx.GetTokenInfo(slot)
		if err != nil || strings.TrimRight(info.Label, " \x00") != d.token {
			continue
		}
		flags := uint(pkcs11.CKF_SERIAL_SESSION)
		if d.write {
			flags |= pkcs11.CKF_RW_SESSION
		}
		s, err := d.ctx.OpenSession(slot, flags)
		if err != nil {
			return err
		}
		err = d.ctx.Login(s, pkcs11.CKU_USER, d.pin)
		if err != nil && !is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
			d.pinBad = is(err, pkcs11.CKR_PIN_INCORRECT) || is(err, pkcs11.CKR_PIN_LOCKED)
			_ = d.ctx.CloseSession(s)
			return fmt.Errorf("the token %q does not let us in: %w", d.token, err)
		}
		d.session, d.open, d.known = s, true, map[string]*key{}
		return nil
	}
	return fmt.Errorf("no token is labelled %q", d.token)
}

func is(err error, code uint) bool {
	e, ok := errors.AsType[pkcs11.Error](err)
	return ok && uint(e) == code
}

// do runs f with a session. A session that broke, as when a card was pulled out, is opened again once.
func (d *device) do(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for attempt := 0; ; attempt++ {
		err := d.login()
		if err == nil {
			err = f()
		}
		if _, device := errors.AsType[pkcs11.Error](err); !device {
			return err
		}
		d.logout()
		if attempt > 0 {
			return fmt.Errorf("%w: %w", errDevice, err)
		}
	}
}

// count returns how many private keys the token has.
func (d *device) count() (n int) {
	_ = d.do(func() error {
		found, err := d.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY)})
		n = len(found)
		return err
	})
	return n
}

func (d *device) find(template []*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := d.ctx.FindObjectsInit(d.session, template); err != nil {
		return nil, err
	}
	found, _, err := d.ctx.FindObjects(d.session, 64)
	return found, errors.Join(err, d.ctx.FindObjectsFinal(d.session))
}

func (d *device) attribute(o pkcs11.ObjectHandle, typ uint) ([]byte, error) {
	list, err := d.ctx.GetAttributeValue(d.session, o, []*pkcs11.Attribute{pkcs11.NewAttribute(typ, nil)})
	if err != nil {
		return nil, err
	}
	return list[0].Value, nil
}

// lookup finds a key by label or identifier. Two keys under one name are refused: nobody could say which one signs.
func (d *device) lookup(name string) (*key, error) {
	if k, ok := d.known[name]; ok {
		return k, nil
	}
	by := pkcs11.NewAttribute(pkcs11.CKA_LABEL, name)
	if text, ok := strings.CutPrefix(name, "id:"); ok {
		id, err := hex.DecodeString(text)
		if err != nil || len(id) == 0 {
			return nil, errUnknownKey
		}
		by = pkcs11.NewAttribute(pkcs11.CKA_ID, id)
	}
	found, err := d.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), by})
	if err != nil {
		return nil, err
	}
	switch {
	case len(found) == 0:
		return nil, errUnknownKey
	case len(found) > 1:
		return nil, fmt.Errorf("%w: %d keys with one name", errUnknownKey, len(found))
	}
	k := &key{private: found[0]}
	if v, err := d.attribute(k.private, pkcs11.CKA_ALWAYS_AUTHENTICATE); err == nil {
		k.always = len(v) == 1 && v[0] != 0
	}
	if k.public, err = d.publicOf(k.private, by); err != nil {
		return nil, err
	}
	if k.spki, err = x509.MarshalPKIXPublicKey(k.public); err != nil {
		return nil, err
	}
	d.known[name] = k
	return k, nil
}

// publicOf finds the public half: an object of its own with the same identifier or label, or a certificate with it.
func (d *device) publicOf(private pkcs11.ObjectHandle, by *pkcs11.Attribute) (any, error) {
	same := []*pkcs11.Attribute{by}
	if id, err := d.attribute(private, pkcs11.CKA_ID); err == nil && len(id) > 0 {
		same = []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_ID, id), by}
	}
	for _, attr := range same {
		found, err := d.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY), attr})
		if err != nil {
			return nil, err
		}
		if len(found) == 1 {
			return d.readPublic(found[0])
		}
		if found, err = d.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE), attr}); err != nil {
			return nil, err
		}
		if len(found) == 1 {
			der, err := d.attribute(found[0], pkcs11.CKA_VALUE)
			if err != nil {
				return nil, err
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errUnknownKey, err)
			}
			return cert.PublicKey, nil
		}
	}
	return nil, fmt.Errorf("%w: the public half is missing", errUnknownKey)
}

var (
	oidP256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidP384 = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
)

func (d *device) readPublic(o pkcs11.ObjectHandle) (any, error) {
	if n, err := d.attribute(o, pkcs11.CKA_MODULUS); err == nil && len(n) > 0 {
		e, err := d.attribute(o, pkcs11.CKA_PUBLIC_EXPONENT)
		if err != nil {
			return nil, err
		}
		exp := new(big.Int).SetBytes(e)
		if !exp.IsInt64() || exp.Int64() > 1<<31-1 {
			return nil, fmt.Errorf("%w: exponent", errUnknownKey)
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exp.Int64())}, nil
	}
	params, err := d.attribute(o, pkcs11.CKA_EC_PARAMS)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(params, edwards25519Name) || bytes.Equal(params, edwards25519OID) {
		return d.readEdwards(o)
	}
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(params, &oid); err != nil {
		return nil, fmt.Errorf("%w: curve", errUnknownKey)
	}
	curve := elliptic.P256()
	switch {
	case oid.Equal(oidP256):
	case oid.Equal(oidP384):
		curve = elliptic.P384()
	default:
		return nil, fmt.Errorf("%w: curve %v", errUnknownKey, oid)
	}
	point, err := d.attribute(o, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	var inner []byte // PKCS #11 wants the point in an OCTET STRING; some devices give it bare
	if rest, err := asn1.Unmarshal(point, &inner); err == nil && len(rest) == 0 {
		point = inner
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnknownKey, err)
	}
	return pub, nil
}

func (d *device) public(label string) (spki []byte, err error) {
	err = d.do(func() error {
		k, err := d.lookup(label)
		if err == nil {
			spki = k.spki
		}
		return err
	})
	return spki, err
}

// digestInfo are the first bytes of a DigestInfo by digest (RFC 8017 §9.2, note 1).
var digestInfo = map[string][]byte{
	"SHA-256": {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
	"SHA-384": {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30},
	"SHA-512": {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
}

var pssParams = map[string][2]uint{
	"SHA-256": {pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256},
	"SHA-384": {pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384},
	"SHA-512": {pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512},
}

func (d *device) sign(label, hash, padding string, digest []byte) (sig []byte, err error) {
	err = d.do(func() error {
		k, err := d.lookup(label)
		if err != nil {
			return err
		}
		var mechanism *pkcs11.Mechanism
		input := digest
		_, isRSA := k.public.(*rsa.PublicKey)
		_, isEdwards := k.public.(ed25519.PublicKey)
		switch {
		case isEdwards != (hash == ""): // Ed25519 signs the message itself, the others a digest
			return errRefused
		case isEdwards && padding == "":
			mechanism = pkcs11.NewMechanism(ckmEdDSA, nil)
		case isRSA && padding == "pss":
			p := pssParams[hash]
			mechanism = pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, pkcs11.NewPSSParams(p[0], p[1], uint(len(digest))))
		case isRSA && padding == "pkcs1":
			mechanism = pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil)
			input = append(bytes.Clone(digestInfo[hash]), digest...)
		case !isRSA && padding == "":
			mechanism = pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)
		default:
			return errRefused
		}
		if err := d.ctx.SignInit(d.session, []*pkcs11.Mechanism{mechanism}, k.private); err != nil {
			return err
		}
		if k.always {
			if err := d.ctx.Login(d.session, pkcs11.CKU_CONTEXT_SPECIFIC, d.pin); err != nil {
				d.pinBad = is(err, pkcs11.CKR_PIN_INCORRECT) || is(err, pkcs11.CKR_PIN_LOCKED)
				return err
			}
		}
		raw, err := d.ctx.Sign(d.session, input)
		if err != nil {
			return err
		}
		sig = raw
		if isEdwards && len(raw) != ed25519.SignatureSize {
			return fmt.Errorf("%w: a signature of %d bytes", errDevice, len(raw))
		}
		if !isRSA && !isEdwards { // r and s, each half
			n := len(raw) / 2
			sig, err = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:n]), new(big.Int).SetBytes(raw[n:])})
		}
		return err
	})
	return sig, err
}
