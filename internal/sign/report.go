package sign

import (
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// State is the outcome of checking one signature.
type State int

// The states, best first. Only Valid may be shown as good.
const (
	Valid      State = iota + 1 // unchanged, trusted, and only signatures were added since
	Untrusted                   // unchanged, but the certificate does not lead to a trusted root
	Expired                     // unchanged, but outside the life of the certificate, with no time-stamp to prove it was within
	Changed                     // the signed version is intact, but the document was changed after it
	Broken                      // the signed bytes or the signature were changed
	NotChecked                  // a form of signature we do not know
)

// Coverage says how much of the file a signature speaks for.
type Coverage int

// The coverages.
const (
	CoverNothing  Coverage = iota // not a usable range
	CoverWhole                    // the whole file
	CoverExtended                 // an earlier version; since then only signatures and their evidence were added
	CoverChanged                  // an earlier version; the document was changed since then
)

// TimeSource says where the time of a signature comes from.
type TimeSource int

// The sources of time.
const (
	TimeNone    TimeSource = iota
	TimeClaimed            // the signer's own statement
	TimeStamped            // a verified time-stamp
)

// Message is a sentence of the catalogue with its arguments.
type Message struct {
	Key  string
	Args []any
}

// Report is what is known about one signature.
type Report struct {
	Order     int    // from 1, by the range signed
	Field     string // of the form
	SubFilter string
	Level     string // "B-B", "B-T", or "" for other forms
	State     State
	Coverage  Coverage
	Integrity bool // signed bytes and signature value are intact

	Signer, Title, Agency, AgencyCode string // from the certificate
	Test                              bool   // the certificate says it has no legal value
	Cert                              *x509.Certificate
	Reason, Location                  string // as stated by the signer

	Time       time.Time
	TimeSource TimeSource
	Timestamp  *TimestampInfo

	Verdict Message   // the sentence for people
	Notes   []Message // further sentences
	Problem error     // the technical cause, for the log
}

// VerifyOptions says whom to trust.
type VerifyOptions struct {
	Roots    *x509.CertPool // of signers; nil trusts nobody
	TSARoots *x509.CertPool // of time-stamp services; nil leaves time-stamps unchecked
	// Intermediates help where a signature does not carry its chain.
	Intermediates []*x509.Certificate
	Now           func() time.Time
}

// checkCMS fills in the report from a CMS signature over content with the given digest.
func (r *Report) checkCMS(der []byte, digest func(crypto.Hash) []byte, strict bool, opt VerifyOptions) {
	m, err := parseCMS(der)
	if err != nil {
		r.fail(err)
		return
	}
	if len(m.signers) != 1 || m.inner != nil || !m.typ.Equal(oidData) {
		r.fail(errors.New("not a detached signature with one signer"))
		return
	}
	s := &m.signers[0]
	cert, err := m.verify(s, digest, strict)
	r.identify(cert)
	if err != nil {
		r.fail(err)
		return
	}
	r.Integrity = true
	if strict {
		r.Level = "B-B"
	}
	if t, ok := s.signingTime(); ok && r.TimeSource == TimeNone {
		r.Time, r.TimeSource = t, TimeClaimed
	}
	r.checkTimestamp(s, opt)
	r.checkChain(m, cert, opt)
}

func (r *Report) fail(err error) {
	r.State, r.Problem = Broken, err
	r.Verdict = Message{Key: "sign.verdict.broken"}
}

func (r *Report) identify(cert *x509.Certificate) {
	if cert == nil {
		return
	}
	r.Cert = cert
	r.Signer = cert.Subject.CommonName
	if len(cert.Subject.Organization) > 0 {
		r.Agency = cert.Subject.Organization[0]
	}
	r.Test = slices.ContainsFunc(cert.Subject.OrganizationalUnit, isTestMark)
	for _, n := range cert.Subject.Names {
		text, _ := n.Value.(string)
		switch {
		case n.Type.Equal(oidTitle):
			r.Title = text
		case n.Type.Equal(oidUserID):
			r.AgencyCode = text
		}
	}
}

func (r *Report) checkTimestamp(s *cmsSigner, opt VerifyOptions) {
	token, ok := s.unsigned[oidTimeStampToken.String()]
	if !ok {
		r.note("sign.note.no_timestamp")
		return
	}
	if opt.TSARoots == nil {
		r.note("sign.note.timestamp_unchecked")
		return
	}
	info, err := VerifyTimestamp(token, hashBytes(s.signature), opt.TSARoots, opt.Now())
	if err != nil {
		r.Problem = err
		r.note("sign.note.timestamp_bad")
		return
	}
	r.Timestamp, r.Time, r.TimeSource = info, info.Time, TimeStamped
	if r.Level != "" {
		r.Level = "B-T"
	}
}

func (r *Report) checkChain(m *cmsMessage, cert *x509.Certificate, opt VerifyOptions) {
	at := opt.Now()
	if r.TimeSource == TimeStamped {
		at = r.Time
	}
	args := []any{"signer", r.Signer, "agency", r.Agency}
	err := errors.New("no roots")
	if opt.Roots != nil {
		_, err = cert.Verify(x509.VerifyOptions{
			Roots: opt.Roots, Intermediates: poolOf(slices.Concat(m.certs, opt.Intermediates)), CurrentTime: at,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
	}
	if err == nil && cert.KeyUsage != 0 && cert.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		err = errors.New("the certificate is not for signatures")
	}
	r.note("sign.note.revocation_unchecked")
	if r.Test {
		r.note("sign.note.test_certificate")
	}
	inv, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case err == nil:
		r.State, r.Verdict = Valid, Message{Key: "sign.verdict.valid", Args: args}
	case isInvalid && inv.Reason == x509.Expired:
		r.State, r.Verdict, r.Problem = Expired, Message{Key: "sign.verdict.expired", Args: args}, err
	default:
		r.State, r.Verdict, r.Problem = Untrusted, Message{Key: "sign.verdict.untrusted", Args: args}, err
	}
}

func (r *Report) note(key string) {
	r.Notes = append(r.Notes, Message{Key: key})
}
