package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
)

// TestMark stands in the subject of every certificate of the development authority, so that a signature made
// with it says itself, in any reader, that it has no legal value.
const TestMark = "TEST – không có giá trị pháp lý"

// IsTest reports whether a certificate says that it is for tests, as every one of the development authority does.
func IsTest(cert *x509.Certificate) bool {
	return slices.ContainsFunc(cert.Subject.OrganizationalUnit, func(unit string) bool { return strings.HasPrefix(unit, "TEST ") })
}

// Production is the value of env at which the development authority refuses to work. Real document signatures
// need certificates of a licensed provider (Law on e-transactions 20/2023/QH15).
const Production = "production"

var (
	oidTitle     = asn1.ObjectIdentifier{2, 5, 4, 12}
	oidUserID    = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1} // where Vietnamese certificates carry the organisation's code
	oidExtEKU    = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimeStamp = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	oidNoCheck   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5} // id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1)
)

// DocumentSubject is whom a document certificate names.
type DocumentSubject struct {
	Name   string // a person, an agency or a time-stamp service
	Title  string // chức vụ of a person
	Agency string
	Code   string // identifier of the agency
}

func (s DocumentSubject) pkixName() pkix.Name {
	n := pkix.Name{CommonName: s.Name, Country: []string{"VN"}, OrganizationalUnit: []string{TestMark}}
	if s.Agency != "" {
		n.Organization = []string{s.Agency}
	}
	if s.Title != "" {
		n.ExtraNames = append(n.ExtraNames, pkix.AttributeTypeAndValue{Type: oidTitle, Value: s.Title})
	}
	if s.Code != "" {
		n.ExtraNames = append(n.ExtraNames, pkix.AttributeTypeAndValue{Type: oidUserID, Value: s.Code})
	}
	return n
}

// DocumentUse is what a document certificate is for.
type DocumentUse int

// The uses of document certificates.
const (
	PersonUse DocumentUse = iota // chữ ký của người có thẩm quyền
	SealUse                      // chữ ký số của cơ quan
	TSAUse                       // dịch vụ cấp dấu thời gian
	OCSPUse                      // answers about revocation on behalf of the authority (RFC 6960 §4.2.2.2)
)

// DocumentCA issues certificates for document signatures in development and demonstrations.
type DocumentCA struct {
	ca *CA
	// OCSPURL, CRLURL and IssuerURL stand in the certificates issued from now on, so that anybody can ask whether they
	// were revoked and find the authority (RFC 5280 §4.2.1.13, §4.2.2.1). Empty ones are left out.
	OCSPURL, CRLURL, IssuerURL string

	book ledger
}

// LoadOrCreateDocumentCA is [LoadOrCreateCA] for document signatures. It refuses in [Production].
func LoadOrCreateDocumentCA(dir, env string, subject DocumentSubject, now time.Time) (*DocumentCA, error) {
	if env == Production {
		return nil, errs.E(errs.Denied, "pki.test_ca_in_production", nil)
	}
	ca, err := loadOrCreateRoot(nil, dir, subject.pkixName(), now)
	if err != nil {
		return nil, err
	}
	d := &DocumentCA{ca: ca, book: ledger{dir: dir}}
	return d, d.book.load()
}

// Cert returns the authority's certificate.
func (d *DocumentCA) Cert() *x509.Certificate { return d.ca.Cert }

// Pool returns a pool that trusts this authority alone.
func (d *DocumentCA) Pool() *x509.CertPool { return d.ca.Pool() }

// Issue makes a certificate for signing documents, or for time-stamps with the critical and only purpose that
// RFC 3161 §2.3 demands. Persons and seals get no extended purpose, since readers disagree on which they want.
func (d *DocumentCA) Issue(pub crypto.PublicKey, use DocumentUse, s DocumentSubject, now time.Time, lifetime time.Duration) (cert *x509.Certificate, err error) {
	defer errs.Wrap(&err, "issue document certificate")
	if !documentKey(pub) {
		return nil, errs.E(errs.Invalid, "pki.key_alg_unknown", nil, "alg", string(AlgOf(pub)))
	}
	if s.Name == "" || lifetime <= 0 {
		return nil, errs.E(errs.Invalid, "pki.document_subject", fmt.Errorf("name %q, lifetime %v", s.Name, lifetime))
	}
	serial, err := randomSerial()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: s.pkixName(),
		NotBefore: now.Add(-backdate), NotAfter: d.ca.notAfter(now, lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, BasicConstraintsValid: true,
	}
	bits, err := publicKeyBits(&x509.Certificate{RawSubjectPublicKeyInfo: spki})
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(bits) // RFC 7093 §2, method 1
	tmpl.SubjectKeyId = id[:20]
	for _, u := range []struct {
		list *[]string
		url  string
	}{{&tmpl.OCSPServer, d.OCSPURL}, {&tmpl.CRLDistributionPoints, d.CRLURL}, {&tmpl.IssuingCertificateURL, d.IssuerURL}} {
		if u.url != "" {
			*u.list = []string{u.url}
		}
	}
	switch use {
	case TSAUse:
		value, err := asn1.Marshal([]asn1.ObjectIdentifier{oidTimeStamp})
		if err != nil {
			return nil, err
		}
		// By hand, because the standard library writes the extension without the critical flag.
		tmpl.ExtraExtensions = []pkix.Extension{{Id: oidExtEKU, Critical: true, Value: value}}
	case OCSPUse:
		tmpl.KeyUsage = x509.KeyUsageDigitalSignature
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		// Nobody is asked about the certificate of the one who answers; it is short-lived instead.
		tmpl.ExtraExtensions = []pkix.Extension{{Id: oidNoCheck, Value: []byte{5, 0}}}
	case PersonUse, SealUse:
	}
	if cert, err = create(tmpl, d.ca.Cert, pub, d.ca.key); err != nil {
		return nil, err
	}
	return cert, d.book.noteIssued(cert.SerialNumber)
}

// documentKey reports whether a key may sign documents: RSA from 2048 bits, ECDSA on P-256 or P-384.
func documentKey(pub crypto.PublicKey) bool {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() || k.Curve == elliptic.P384()
	}
	return false
}

// LoadOrIssue keeps a P-256 key and its certificate in dir under name, so that a restart signs with the same
// identity. A certificate that was revoked, has less than a tenth of its life left, or says another place to ask about
// revocation, is replaced, keeping the key.
func (d *DocumentCA) LoadOrIssue(dir, name string, use DocumentUse, s DocumentSubject, now time.Time, lifetime time.Duration) (key crypto.Signer, cert *x509.Certificate, err error) {
	defer errs.Wrap(&err, "document identity %s", name)
	key, err = LoadOrCreateKey(filepath.Join(dir, name+".key"), P256)
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, name+".pem")
	cert, err = loadCert(path)
	switch {
	case err == nil && d.usable(cert, key, now):
		return key, cert, d.book.noteIssued(cert.SerialNumber)
	case err == nil:
		if err := os.Remove(path); err != nil {
			return nil, nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	if cert, err = d.Issue(key.Public(), use, s, now, lifetime); err != nil {
		return nil, nil, err
	}
	err = createFile(path, EncodePEM(cert), 0o644)
	if errors.Is(err, fs.ErrExist) { // somebody who needed it at the same moment was quicker; theirs is as good
		cert, err = loadCert(path)
	}
	return key, cert, err
}

func (d *DocumentCA) usable(cert *x509.Certificate, key crypto.Signer, now time.Time) bool {
	life := cert.NotAfter.Sub(cert.NotBefore)
	if d.OCSPURL != "" && !slices.Contains(cert.OCSPServer, d.OCSPURL) {
		return false
	}
	if _, gone := d.book.revocation(cert.SerialNumber); gone {
		return false
	}
	return KeyID(cert.PublicKey) == KeyID(key.Public()) && cert.CheckSignatureFrom(d.ca.Cert) == nil && cert.NotAfter.Sub(now) > life/10
}
