package sign

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"truc/internal/pki"
)

// RevocationState is what is known about the revocation of a signer's certificate and those above it.
type RevocationState int

// The states of revocation.
const (
	RevocationUnchecked RevocationState = iota // nobody said anything that holds for the time of signing
	NotRevoked
	RevokedAfter  // after the signature provably existed, so it stays good
	RevokedBefore // before the signature provably existed
)

// Revocation is the outcome of asking whether a chain was revoked.
type Revocation struct {
	State RevocationState
	// At and Reason belong to a revocation; Reason is a CRLReason of RFC 5280 §5.3.1.
	At     time.Time
	Reason int
	// AsOf is the time for which the oldest of the statements was made.
	AsOf time.Time
	// Embedded: every statement is in the file.
	Embedded bool
}

var (
	errRevoked = errors.New("the certificate was revoked before the signature provably existed")
	errPurpose = errors.New("the certificate is not for signatures on documents")
	errNoRoots = errors.New("no roots")
)

// evidence is what a file or a signature carries about certificates.
type evidence struct {
	certs       []*x509.Certificate
	ocsps, crls [][]byte
}

// maxEvidence bounds the statements of one kind that are looked at.
const maxEvidence = 256

// with adds what a signature itself carries: the certificates and lists of its SignedData (RFC 5652 §5.1, RFC 5940) and
// the signed attribute in which readers of Adobe's older form keep answers (ISO 32000-1 §12.8.3.3.2).
func (e evidence) with(m *cmsMessage, s *cmsSigner) evidence {
	out := evidence{certs: slices.Clip(e.certs), ocsps: slices.Clip(e.ocsps), crls: slices.Clip(e.crls)}
	out.ocsps = append(out.ocsps, m.ocsps...)
	out.crls = append(out.crls, m.crls...)
	crls, ocsps := readArchival(s.attrs[oidRevocationArchival.String()])
	out.ocsps, out.crls = append(out.ocsps, ocsps...), append(out.crls, crls...)
	return out
}

// readArchival reads adbe-revocationInfoArchival; what cannot be read is absent.
func readArchival(value []byte) (crls, ocsps [][]byte) {
	v := cryptobyte.String(value)
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, nil
	}
	list := func(tag cbasn1.Tag) (out [][]byte) {
		var wrapped, inner cryptobyte.String
		var has bool
		if !seq.ReadOptionalASN1(&wrapped, &has, tag) || !has || !wrapped.ReadASN1(&inner, cbasn1.SEQUENCE) {
			return nil
		}
		for !inner.Empty() && len(out) < maxEvidence {
			var el cryptobyte.String
			if !inner.ReadASN1Element(&el, cbasn1.SEQUENCE) {
				return out
			}
			out = append(out, el)
		}
		return out
	}
	return list(tagCtx0), list(tagCtx1)
}

// readRevocationInfo reads the RevocationInfoChoices of a SignedData (RFC 5652 §10.2.1) into the message.
func (m *cmsMessage) readRevocationInfo(in cryptobyte.String) error {
	for n := 0; !in.Empty(); n++ {
		var el cryptobyte.String
		var tag cbasn1.Tag
		if n >= maxEvidence || !in.ReadAnyASN1Element(&el, &tag) {
			return errCMS
		}
		if tag == cbasn1.SEQUENCE {
			m.crls = append(m.crls, el)
			continue
		}
		var other, answer cryptobyte.String
		var oid asn1.ObjectIdentifier
		if el.ReadASN1(&other, tagCtx1) && other.ReadASN1ObjectIdentifier(&oid) && oid.Equal(oidOCSPResponse) && other.ReadASN1Element(&answer, cbasn1.SEQUENCE) {
			m.ocsps = append(m.ocsps, answer)
		}
	}
	return nil
}

// trustedChain finds a way from a certificate to a root, at a time. Chains with keys that no longer protect anything are
// refused; the standard library refuses broken digests.
func trustedChain(cert *x509.Certificate, roots *x509.CertPool, certs []*x509.Certificate, at time.Time, use ...x509.ExtKeyUsage) ([]*x509.Certificate, error) {
	if roots == nil {
		return nil, errNoRoots
	}
	if len(use) == 0 {
		use = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	chains, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: poolOf(certs), CurrentTime: at, KeyUsages: use})
	if err != nil {
		return nil, err
	}
	for _, chain := range chains {
		if !slices.ContainsFunc(chain, func(c *x509.Certificate) bool {
			k, isRSA := c.PublicKey.(*rsa.PublicKey)
			return isRSA && k.N.BitLen() < 2048
		}) {
			return chain, nil
		}
	}
	return nil, errWeak
}

// signingPurpose reports whether a certificate may sign documents: by its key usage (RFC 5280 §4.2.1.3), and unless its
// extended purposes are all of machines. Authorities disagree about which extended purpose persons get, so any other does.
func signingPurpose(cert *x509.Certificate) bool {
	if cert.KeyUsage != 0 && cert.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return false
	}
	if len(cert.ExtKeyUsage) == 0 || len(cert.UnknownExtKeyUsage) > 0 {
		return true
	}
	return slices.ContainsFunc(cert.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
		return !slices.Contains([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageCodeSigning, x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageOCSPSigning}, u)
	})
}

// checker checks the signatures of one file. It is not safe for concurrent use.
type checker struct {
	opt   VerifyOptions
	store evidence // of the file
	memo  map[statusKey]statusAnswer
}

type statusKey struct {
	statement    *byte // the first byte of a statement in memory
	cert, issuer *x509.Certificate
}

type statusAnswer struct {
	pki.CertStatus
	err error
}

// revocation asks about every certificate of a chain except the root, for the time at. proven says that the signature is
// known to have existed then. longTerm: the file carries all the answers.
func (c *checker) revocation(chain []*x509.Certificate, at time.Time, proven bool, own evidence) (rev Revocation, longTerm bool) {
	rev.State, rev.Embedded = NotRevoked, true
	for i := range len(chain) - 1 {
		st, found := c.inFile(chain[i], chain[i+1], at, own)
		if !found {
			rev.Embedded = false
			if st, found = c.ask(chain[i], chain[i+1], at); !found {
				return Revocation{}, false
			}
		}
		if rev.AsOf.IsZero() || st.ThisUpdate.Before(rev.AsOf) {
			rev.AsOf = st.ThisUpdate
		}
		if !st.Revoked {
			continue
		}
		rev.At, rev.Reason = st.RevokedAt, st.Reason
		if !proven || !st.RevokedAt.After(at) {
			rev.State = RevokedBefore
			return rev, false
		}
		rev.State = RevokedAfter
	}
	if rev.AsOf.IsZero() { // a root signed by itself: there is nobody to ask
		return Revocation{}, false
	}
	return rev, rev.Embedded
}

func (c *checker) hasEvidence(chain []*x509.Certificate, at time.Time, own evidence) bool {
	for i := range len(chain) - 1 {
		if _, found := c.inFile(chain[i], chain[i+1], at, own); !found {
			return false
		}
	}
	return len(chain) > 1
}

// inFile looks for a statement in the file that holds for the time at. One that says "revoked" wins over others.
func (c *checker) inFile(cert, issuer *x509.Certificate, at time.Time, own evidence) (best pki.CertStatus, found bool) {
	look := func(list [][]byte, read func([]byte) (pki.CertStatus, error)) {
		for _, der := range list {
			st, err := c.remember(der, cert, issuer, read)
			if err != nil || !c.holds(st, cert, at) {
				continue
			}
			if !found || st.Revoked && !best.Revoked {
				best, found = st, true
			}
		}
	}
	look(own.ocsps, func(der []byte) (pki.CertStatus, error) { return pki.ReadOCSP(der, cert, issuer) })
	look(own.crls, func(der []byte) (pki.CertStatus, error) { return pki.ReadCRL(der, cert, issuer) })
	return best, found
}

// remember keeps what a statement says: a file may have many signatures by the same people.
func (c *checker) remember(der []byte, cert, issuer *x509.Certificate, read func([]byte) (pki.CertStatus, error)) (pki.CertStatus, error) {
	if len(der) == 0 {
		return pki.CertStatus{}, errCMS
	}
	key := statusKey{&der[0], cert, issuer}
	if a, ok := c.memo[key]; ok {
		return a.CertStatus, a.err
	}
	st, err := read(der)
	if c.memo == nil {
		c.memo = map[statusKey]statusAnswer{}
	}
	c.memo[key] = statusAnswer{st, err}
	return st, err
}

func (c *checker) ask(cert, issuer *x509.Certificate, at time.Time) (pki.CertStatus, bool) {
	if c.opt.Revocation == nil {
		return pki.CertStatus{}, false
	}
	e, err := c.opt.Revocation.Evidence(cert, issuer)
	if err != nil {
		return pki.CertStatus{}, false
	}
	st, err := pki.ReadEvidence(e, cert, issuer)
	return st, err == nil && c.holds(st, cert, at)
}

// holds reports whether a statement tells something about the time at. A later one does, since a revocation is not taken
// back, unless it was made after the certificate ended, when authorities may forget. An earlier one does while it was the
// newest to be had.
func (c *checker) holds(st pki.CertStatus, cert *x509.Certificate, at time.Time) bool {
	if st.ThisUpdate.After(c.opt.Now().Add(clockTolerance)) {
		return false
	}
	return st.Current(at) || !st.ThisUpdate.Before(at) && (st.Revoked || !st.ThisUpdate.After(cert.NotAfter))
}
