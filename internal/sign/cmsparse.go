package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits against hostile CMS structures.
const (
	maxCMSCerts   = 32
	maxCMSSigners = 8
	maxCMSAttrs   = 64
)

var errCMS = errors.New("malformed CMS")

type cmsMessage struct {
	typ     asn1.ObjectIdentifier
	inner   []byte // nil when detached
	certs   []*x509.Certificate
	signers []cmsSigner
	// what the signature carries about revocation
	ocsps, crls [][]byte
}

type cmsSigner struct {
	issuer    []byte // raw Name; nil when identified by key
	serial    *big.Int
	keyID     []byte
	digest    asn1.ObjectIdentifier
	rawAttrs  []byte // signed attributes as SET OF; nil when there are none
	attrs     map[string][]byte
	sigAlg    asn1.ObjectIdentifier
	sigParams []byte
	signature []byte
	unsigned  map[string][]byte
}

var (
	tagCtx0 = cbasn1.Tag(0).ContextSpecific().Constructed()
	tagCtx1 = cbasn1.Tag(1).ContextSpecific().Constructed()
)

// parseCMS reads a ContentInfo with SignedData in DER. Bytes after it are refused.
func parseCMS(der []byte) (*cmsMessage, error) {
	in := cryptobyte.String(der)
	var info, explicit, sd, content cryptobyte.String
	var outer asn1.ObjectIdentifier
	var version int64
	m := &cmsMessage{}
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !in.Empty() || !info.ReadASN1ObjectIdentifier(&outer) || !outer.Equal(oidSignedData) ||
		!info.ReadASN1(&explicit, tagCtx0) || !info.Empty() || !explicit.ReadASN1(&sd, cbasn1.SEQUENCE) || !explicit.Empty() ||
		!sd.ReadASN1Integer(&version) || version < 1 || version > 5 || !sd.SkipASN1(cbasn1.SET) ||
		!sd.ReadASN1(&content, cbasn1.SEQUENCE) || !content.ReadASN1ObjectIdentifier(&m.typ) {
		return nil, errCMS
	}
	var inner, certs, lists, signers cryptobyte.String
	var has bool
	if !content.ReadOptionalASN1(&inner, &has, tagCtx0) || !content.Empty() {
		return nil, errCMS
	}
	if has {
		var octets cryptobyte.String
		if !inner.ReadASN1(&octets, cbasn1.OCTET_STRING) || !inner.Empty() {
			return nil, errCMS
		}
		m.inner = append([]byte{}, octets...) // never nil
	}
	if !sd.ReadOptionalASN1(&certs, nil, tagCtx0) || !sd.ReadOptionalASN1(&lists, nil, tagCtx1) || !sd.ReadASN1(&signers, cbasn1.SET) || !sd.Empty() {
		return nil, errCMS
	}
	if err := m.readCerts(certs); err != nil {
		return nil, err
	}
	if err := m.readRevocationInfo(lists); err != nil {
		return nil, err
	}
	for !signers.Empty() {
		s, err := readSigner(&signers)
		if err != nil {
			return nil, err
		}
		if m.signers = append(m.signers, s); len(m.signers) > maxCMSSigners {
			return nil, errCMS
		}
	}
	return m, nil
}

func (m *cmsMessage) readCerts(s cryptobyte.String) error {
	for n := 0; !s.Empty(); n++ {
		var el cryptobyte.String
		var tag cbasn1.Tag
		if n >= maxCMSCerts || !s.ReadAnyASN1Element(&el, &tag) {
			return errCMS
		}
		if tag != cbasn1.SEQUENCE {
			continue // attribute certificates and the like
		}
		// A certificate we cannot read is as good as absent: if it is the signer's, that will be said.
		if c, err := x509.ParseCertificate(el); err == nil {
			m.certs = append(m.certs, c)
		}
	}
	return nil
}

func readSigner(in *cryptobyte.String) (s cmsSigner, err error) {
	var si, sid cryptobyte.String
	var version int64
	if !in.ReadASN1(&si, cbasn1.SEQUENCE) || !si.ReadASN1Integer(&version) {
		return s, errCMS
	}
	if si.PeekASN1Tag(cbasn1.SEQUENCE) {
		var name cryptobyte.String
		s.serial = new(big.Int)
		if !si.ReadASN1(&sid, cbasn1.SEQUENCE) || !sid.ReadASN1Element(&name, cbasn1.SEQUENCE) || !sid.ReadASN1Integer(s.serial) || !sid.Empty() {
			return s, errCMS
		}
		s.issuer = name
	} else if !si.ReadASN1((*cryptobyte.String)(&s.keyID), cbasn1.Tag(0).ContextSpecific()) {
		return s, errCMS
	}
	if s.digest, _, err = readAlgorithm(&si); err != nil {
		return s, err
	}
	if si.PeekASN1Tag(tagCtx0) {
		var el cryptobyte.String
		if !si.ReadASN1Element(&el, tagCtx0) {
			return s, errCMS
		}
		s.rawAttrs = append([]byte{}, el...)
		s.rawAttrs[0] = 0x31 // signed as SET OF (RFC 5652 §5.4)
		if s.attrs, err = readAttributes(el, tagCtx0); err != nil {
			return s, err
		}
	}
	if s.sigAlg, s.sigParams, err = readAlgorithm(&si); err != nil {
		return s, err
	}
	if !si.ReadASN1((*cryptobyte.String)(&s.signature), cbasn1.OCTET_STRING) {
		return s, errCMS
	}
	if si.PeekASN1Tag(tagCtx1) {
		var el cryptobyte.String
		if !si.ReadASN1Element(&el, tagCtx1) {
			return s, errCMS
		}
		if s.unsigned, err = readAttributes(el, tagCtx1); err != nil {
			return s, err
		}
	}
	if !si.Empty() {
		return s, errCMS
	}
	return s, nil
}

func readAlgorithm(in *cryptobyte.String) (oid asn1.ObjectIdentifier, params []byte, err error) {
	var alg cryptobyte.String
	if !in.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) {
		return nil, nil, errCMS
	}
	return oid, alg, nil
}

// readAttributes returns the only value of each attribute. A repeated attribute is refused, since readers would
// pick different ones; one with several values is kept as absent.
func readAttributes(el cryptobyte.String, tag cbasn1.Tag) (map[string][]byte, error) {
	var set cryptobyte.String
	if !el.ReadASN1(&set, tag) {
		return nil, errCMS
	}
	attrs := map[string][]byte{}
	for n := 0; !set.Empty(); n++ {
		var attr, values, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		var t cbasn1.Tag
		if n >= maxCMSAttrs || !set.ReadASN1(&attr, cbasn1.SEQUENCE) || !attr.ReadASN1ObjectIdentifier(&oid) || !attr.ReadASN1(&values, cbasn1.SET) || !attr.Empty() {
			return nil, errCMS
		}
		key := oid.String()
		if _, dup := attrs[key]; dup {
			return nil, errCMS
		}
		attrs[key] = nil
		if values.ReadAnyASN1Element(&value, &t) && values.Empty() {
			attrs[key] = value
		}
	}
	return attrs, nil
}

// cert finds the signer's certificate.
func (m *cmsMessage) cert(s *cmsSigner) *x509.Certificate {
	for _, c := range m.certs {
		if s.issuer != nil && bytes.Equal(c.RawIssuer, s.issuer) && c.SerialNumber.Cmp(s.serial) == 0 {
			return c
		}
		if s.issuer == nil && len(s.keyID) > 0 && bytes.Equal(c.SubjectKeyId, s.keyID) {
			return c
		}
	}
	return nil
}

// The ways in which a signature can fail before trust is even asked about.
var (
	errNoCert       = errors.New("the signer's certificate is missing")
	errDigest       = errors.New("the signed content was changed")
	errSignature    = errors.New("the signature value is wrong")
	errWeak         = errors.New("unknown or broken algorithm")
	errSigningCert  = errors.New("signing-certificate attribute is missing or names another certificate")
	errContentType  = errors.New("content-type attribute does not match")
	errNoAttributes = errors.New("no signed attributes")
)

// verify checks the signer s over content whose digest it can ask for. It returns the signer's certificate,
// also when the signature is wrong, so that the report can say whose it claims to be. strict demands the
// signing-certificate attribute of the baselines (RFC 5035).
func (m *cmsMessage) verify(s *cmsSigner, digest func(crypto.Hash) []byte, strict bool) (*x509.Certificate, error) {
	cert := m.cert(s)
	if cert == nil {
		return nil, errNoCert
	}
	hash := hashOf(s.digest)
	if hash == 0 {
		return cert, errWeak
	}
	got := digest(hash)
	signed := got
	if s.rawAttrs != nil {
		var ct asn1.ObjectIdentifier
		v := cryptobyte.String(s.attrs[oidContentType.String()])
		if !v.ReadASN1ObjectIdentifier(&ct) || !ct.Equal(m.typ) {
			return cert, errContentType
		}
		var md cryptobyte.String
		v = cryptobyte.String(s.attrs[oidMessageDigest.String()])
		if !v.ReadASN1(&md, cbasn1.OCTET_STRING) || !bytes.Equal(md, got) {
			return cert, errDigest
		}
		h := hash.New()
		h.Write(s.rawAttrs)
		signed = h.Sum(nil)
	} else if strict || !m.typ.Equal(oidData) {
		return cert, errNoAttributes
	}
	if err := checkSignature(cert.PublicKey, hash, s, signed); err != nil {
		return cert, err
	}
	if v, ok := s.attrs[oidSigningCertV2.String()]; ok {
		if !namesCert(v, cert) {
			return cert, errSigningCert
		}
	} else if strict {
		return cert, errSigningCert
	}
	return cert, nil
}

func checkSignature(pub crypto.PublicKey, hash crypto.Hash, s *cmsSigner, digest []byte) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return errWeak
		}
		if s.sigAlg.Equal(oidRSAPSS) {
			if !pssWith(s.sigParams, hash) {
				return errWeak
			}
			if rsa.VerifyPSS(k, hash, digest, s.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: hash}) != nil {
				return errSignature
			}
			return nil
		}
		want, ok := map[string]crypto.Hash{oidRSA.String(): hash, oidRSASHA256.String(): crypto.SHA256, oidRSASHA384.String(): crypto.SHA384, oidRSASHA512.String(): crypto.SHA512}[s.sigAlg.String()]
		if !ok || want != hash {
			return errWeak
		}
		if rsa.VerifyPKCS1v15(k, hash, digest, s.signature) != nil {
			return errSignature
		}
		return nil
	case *ecdsa.PublicKey:
		want, ok := map[string]crypto.Hash{oidECPublicKey.String(): hash, oidECSHA256.String(): crypto.SHA256, oidECSHA384.String(): crypto.SHA384, oidECSHA512.String(): crypto.SHA512}[s.sigAlg.String()]
		if !ok || want != hash {
			return errWeak
		}
		if !ecdsa.VerifyASN1(k, digest, s.signature) {
			return errSignature
		}
		return nil
	}
	return fmt.Errorf("%w: key %T", errWeak, pub)
}

// pssWith reports whether the parameters of an RSASSA-PSS signature (RFC 4055 §3.1) name the given digest for message and
// mask. Absent ones mean SHA-1. The length of the salt is recovered from the signature.
func pssWith(params []byte, hash crypto.Hash) bool {
	in := cryptobyte.String(params)
	var seq, field, mgf cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1(&field, tagCtx0) {
		return false
	}
	if oid, _, err := readAlgorithm(&field); err != nil || hashOf(oid) != hash {
		return false
	}
	if !seq.ReadASN1(&field, tagCtx1) {
		return false
	}
	oid, rest, err := readAlgorithm(&field)
	if err != nil || !oid.Equal(oidMGF1) {
		return false
	}
	mgf = rest
	oid, _, err = readAlgorithm(&mgf)
	return err == nil && hashOf(oid) == hash
}

// namesCert reports whether the first ESSCertIDv2 of a SigningCertificateV2 is that of cert.
func namesCert(value []byte, cert *x509.Certificate) bool {
	v := cryptobyte.String(value)
	var seq, list, id, digest, issuerSerial cryptobyte.String
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1(&list, cbasn1.SEQUENCE) || !list.ReadASN1(&id, cbasn1.SEQUENCE) {
		return false
	}
	hash := crypto.SHA256
	if id.PeekASN1Tag(cbasn1.SEQUENCE) {
		oid, _, err := readAlgorithm(&id)
		if err != nil {
			return false
		}
		if hash = hashOf(oid); hash == 0 {
			return false
		}
	}
	h := hash.New()
	h.Write(cert.Raw)
	if !id.ReadASN1(&digest, cbasn1.OCTET_STRING) || !bytes.Equal(digest, h.Sum(nil)) {
		return false
	}
	if id.Empty() {
		return true
	}
	serial := new(big.Int)
	return id.ReadASN1(&issuerSerial, cbasn1.SEQUENCE) && issuerSerial.SkipASN1(cbasn1.SEQUENCE) && issuerSerial.ReadASN1Integer(serial) && serial.Cmp(cert.SerialNumber) == 0
}

// signingTime returns the claimed time of the signing-time attribute, which older forms carry.
func (s *cmsSigner) signingTime() (time.Time, bool) {
	v := s.attrs[oidSigningTime.String()]
	var t time.Time
	if len(v) == 0 {
		return t, false
	}
	rest, err := asn1.Unmarshal(v, &t)
	return t, err == nil && len(rest) == 0
}

func hashBytes(parts ...[]byte) func(crypto.Hash) []byte {
	return func(hash crypto.Hash) []byte {
		h := hash.New()
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
}
