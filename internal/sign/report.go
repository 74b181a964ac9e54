package sign

import (
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"truc/internal/i18n"
	"truc/internal/pki"
)

// State is the outcome of checking one signature.
type State int

// The states. Only Valid may be shown as good.
const (
	Valid      State = iota + 1 // unchanged, trusted, and only signatures were added since
	Untrusted                   // unchanged, but the certificate does not lead to a trusted root, or is not for signatures
	Expired                     // unchanged, but outside the life of the certificate, with no time-stamp to prove it was within
	Changed                     // the signed version is intact, but the document was changed after it
	Broken                      // the signed bytes or the signature were changed
	NotChecked                  // a form of signature we do not know, or an algorithm that no longer protects anything
	Revoked                     // unchanged, but the certificate was revoked before the signature provably existed
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
	TimeStamped            // a verified time-stamp, in the signature or over the whole document
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
	Level     string // "B-B", "B-T", "B-LT", or "" for other forms
	// DocumentTimestamp marks a time-stamp over the whole file (ETSI EN 319 142-1 §5.4.3), which speaks for no person;
	// its service stands in Signer.
	DocumentTimestamp bool
	State             State
	Coverage          Coverage
	Integrity         bool // signed bytes and signature value are intact

	Signer, Title, Agency, AgencyCode string // from the certificate
	Test                              bool   // the certificate says it has no legal value
	Cert                              *x509.Certificate
	// Chain leads from Cert to a trusted root; nil when it does not.
	Chain            []*x509.Certificate
	Revocation       Revocation
	Reason, Location string // as stated by the signer

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
	// Revocation is asked about certificates for which the file carries no evidence; nil asks nobody.
	Revocation pki.StatusSource
	Now        func() time.Time
}

// checkCMS fills in the report from a CMS signature over content with the given digest. proven is the time by which a
// later time-stamp over the file saw the signature, nil for none.
func (c *checker) checkCMS(r *Report, der []byte, digest func(crypto.Hash) []byte, strict bool, proven *TimestampInfo) {
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
	own := c.store.with(m, s)
	tsLongTerm := c.checkTimestamp(r, s, own, proven)
	longTerm := c.checkTrust(r, cert, slices.Concat(m.certs, own.certs), own)
	if r.Level == "B-T" && longTerm && tsLongTerm {
		r.Level = "B-LT"
	}
}

func (r *Report) fail(err error) {
	r.State, r.Problem = Broken, err
	r.Verdict = Message{Key: "sign.verdict.broken"}
	if errors.Is(err, errWeak) {
		r.State, r.Verdict = NotChecked, Message{Key: "sign.verdict.weak"}
	}
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
	r.Test = pki.IsTest(cert)
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

// checkTimestamp looks for a proof of time: the signature's own time-stamp, else a later one over the file. It reports
// whether the file carries evidence about the service's certificate.
func (c *checker) checkTimestamp(r *Report, s *cmsSigner, own evidence, proven *TimestampInfo) (longTerm bool) {
	token, ok := s.unsigned[oidTimeStampToken.String()]
	var info *TimestampInfo
	switch {
	case !ok:
	case c.opt.TSARoots == nil:
		r.note("sign.note.timestamp_unchecked")
	default:
		var err error
		if info, longTerm, err = c.token(token, hashBytes(s.signature), own); err != nil {
			info, r.Problem = nil, err
			r.note("sign.note.timestamp_bad")
		}
	}
	if info == nil && proven != nil {
		info, longTerm = proven, c.hasEvidence(proven.Chain, proven.Time, own)
	}
	if info == nil {
		if !ok {
			r.note("sign.note.no_timestamp")
		}
		return false
	}
	r.Timestamp, r.Time, r.TimeSource = info, info.Time, TimeStamped
	r.note("sign.note.timestamp", "time", i18n.DateTime(info.Time), "tsa", info.Cert.Subject.CommonName)
	if r.Level != "" {
		r.Level = "B-T"
	}
	return longTerm
}

// token checks a time-stamp and that its service had not lost its certificate.
func (c *checker) token(token []byte, digest func(crypto.Hash) []byte, own evidence) (info *TimestampInfo, longTerm bool, err error) {
	info, err = verifyTimestamp(token, digest, c.opt.TSARoots, c.opt.Now(), slices.Concat(c.opt.Intermediates, own.certs))
	if err != nil {
		return nil, false, err
	}
	rev, longTerm := c.revocation(info.Chain, info.Time, true, own)
	// RFC 3161 §4: after some reasons earlier tokens stay good, after all others none does.
	harmless := slices.Contains([]int{pki.ReasonUnspecified, pki.ReasonAffiliationChanged, pki.ReasonSuperseded, pki.ReasonCessationOfOperation}, rev.Reason)
	if rev.State == RevokedBefore || rev.State == RevokedAfter && !harmless {
		return nil, false, errTokenRevoked
	}
	return info, longTerm, nil
}

// checkTrust decides whether the certificate can be believed at the time of signing, and whether the file itself carries
// what is needed to decide that in years to come.
func (c *checker) checkTrust(r *Report, cert *x509.Certificate, certs []*x509.Certificate, own evidence) (longTerm bool) {
	at, proven := c.opt.Now(), r.TimeSource == TimeStamped
	if proven {
		at = r.Time
	}
	args := []any{"signer", r.Signer, "agency", r.Agency}
	if r.Test {
		r.note("sign.note.test_certificate")
	}
	chain, err := trustedChain(cert, c.opt.Roots, slices.Concat(certs, c.opt.Intermediates), at)
	if err == nil {
		r.Chain = chain
		r.Revocation, longTerm = c.revocation(chain, at, proven, own)
	}
	inv, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case err == nil && !signingPurpose(cert):
		r.State, r.Verdict, r.Problem = Untrusted, Message{Key: "sign.verdict.purpose", Args: args}, errPurpose
	case err == nil && r.Revocation.State == RevokedBefore:
		r.State, r.Problem = Revoked, errRevoked
		r.Verdict = Message{Key: "sign.verdict.revoked", Args: append(args, "time", i18n.DateTime(r.Revocation.At))}
	case err == nil:
		r.State, r.Verdict = Valid, Message{Key: "sign.verdict.valid", Args: args}
	case isInvalid && inv.Reason == x509.Expired:
		r.State, r.Verdict, r.Problem = Expired, Message{Key: "sign.verdict.expired", Args: args}, err
	default:
		r.State, r.Verdict, r.Problem = Untrusted, Message{Key: "sign.verdict.untrusted", Args: args}, err
	}
	switch {
	case err != nil || r.Revocation.State == RevocationUnchecked:
		r.note("sign.note.revocation_unchecked")
	case r.Revocation.State == NotRevoked:
		r.note("sign.note.not_revoked", "time", i18n.DateTime(r.Revocation.AsOf))
	case r.Revocation.State == RevokedAfter:
		r.note("sign.note.revoked_after", "time", i18n.DateTime(r.Revocation.At))
	}
	return longTerm
}

func (r *Report) note(key string, args ...any) {
	r.Notes = append(r.Notes, Message{Key: key, Args: args})
}
