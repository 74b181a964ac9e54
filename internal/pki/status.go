package pki

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"truc/internal/errs"
)

// Limits on what strangers answer.
const (
	maxOCSPResponse = 64 << 10
	maxCRL          = 16 << 20
	maxCachedStatus = 4096
	maxCachedLists  = 16
)

// Evidence is a statement of an authority about revocation, as it came: an OCSP response (RFC 6960 OCSPResponse) or a
// list (RFC 5280 CertificateList), both DER. Exactly one is set.
type Evidence struct {
	OCSP, CRL []byte
}

// StatusSource finds evidence about a certificate. It has been checked against the issuer when the call returns. An
// authority that cannot be asked is an [errs.Unavailable] error.
type StatusSource interface {
	Evidence(cert, issuer *x509.Certificate) (Evidence, error)
}

// CertStatus is what evidence says about one certificate.
type CertStatus struct {
	Revoked   bool
	RevokedAt time.Time
	Reason    int // CRLReason of RFC 5280 §5.3.1
	// ThisUpdate is as of when it is said, NextUpdate when better will be known; zero when the authority does not say.
	ThisUpdate, NextUpdate time.Time
}

// Current reports whether the statement can still be relied on at t.
func (s CertStatus) Current(t time.Time) bool {
	end := s.NextUpdate
	if end.IsZero() { // newer information is available at any time (RFC 6960 §2.4)
		end = s.ThisUpdate.Add(time.Hour)
	}
	return !t.Before(s.ThisUpdate.Add(-backdate)) && t.Before(end)
}

// ReadEvidence reads whichever statement is set.
func ReadEvidence(e Evidence, cert, issuer *x509.Certificate) (CertStatus, error) {
	if e.OCSP != nil {
		return ReadOCSP(e.OCSP, cert, issuer)
	}
	return ReadCRL(e.CRL, cert, issuer)
}

var errStatusSigner = errors.New("the statement about revocation is not by the authority or one that it appointed")

// goodSignature refuses the broken digests that the libraries still know.
func goodSignature(alg x509.SignatureAlgorithm) bool {
	return slices.Contains([]x509.SignatureAlgorithm{
		x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
	}, alg)
}

// ReadOCSP reads a response about cert and checks that issuer said it, or a certificate that issuer made for this purpose
// (RFC 6960 §4.2.2.2). It is an error when the responder does not know the certificate. Times are not compared with any
// clock.
func ReadOCSP(der []byte, cert, issuer *x509.Certificate) (st CertStatus, err error) {
	defer errs.Wrap(&err, "OCSP response")
	if len(der) > maxOCSPResponse {
		return st, errors.New("too long")
	}
	res, err := ocsp.ParseResponseForCert(der, cert, nil)
	if err != nil {
		return st, err
	}
	if !goodSignature(res.SignatureAlgorithm) {
		return st, fmt.Errorf("%w: algorithm %v", errStatusSigner, res.SignatureAlgorithm)
	}
	signer := issuer
	if res.Certificate != nil && !bytes.Equal(res.Certificate.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) {
		signer = res.Certificate
		// The library checks no purpose: without this any certificate of the authority could speak for it.
		if !slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) || !goodSignature(signer.SignatureAlgorithm) || signer.CheckSignatureFrom(issuer) != nil {
			return st, errStatusSigner
		}
		if res.ProducedAt.Before(signer.NotBefore.Add(-backdate)) || res.ProducedAt.After(signer.NotAfter) {
			return st, fmt.Errorf("%w: outside the life of its certificate", errStatusSigner)
		}
	}
	if res.CheckSignatureFrom(signer) != nil {
		return st, errStatusSigner
	}
	st = CertStatus{ThisUpdate: res.ThisUpdate, NextUpdate: res.NextUpdate}
	switch res.Status {
	case ocsp.Good:
		return st, nil
	case ocsp.Revoked:
		st.Revoked, st.RevokedAt, st.Reason = true, res.RevokedAt, res.RevocationReason
		return st, nil
	}
	return st, errors.New("the authority does not know the certificate")
}

var (
	oidIDP      = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidDeltaCRL = asn1.ObjectIdentifier{2, 5, 29, 27}
)

// ReadCRL looks a certificate up in a list and checks that issuer signed it. Lists of changes only, of some reasons only,
// and by others than the issuer are refused. Times are not compared with any clock.
func ReadCRL(der []byte, cert, issuer *x509.Certificate) (st CertStatus, err error) {
	defer errs.Wrap(&err, "list of revoked certificates")
	if len(der) > maxCRL {
		return st, errors.New("too long")
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return st, err
	}
	if !bytes.Equal(list.RawIssuer, issuer.RawSubject) || !goodSignature(list.SignatureAlgorithm) || list.CheckSignatureFrom(issuer) != nil {
		return st, errStatusSigner
	}
	for _, e := range list.Extensions {
		switch {
		case e.Id.Equal(oidDeltaCRL):
			return st, errors.New("a list of changes only")
		case e.Id.Equal(oidIDP):
			if !coversCert(e.Value, cert) {
				return st, errors.New("the list does not cover this certificate")
			}
		case e.Critical:
			return st, fmt.Errorf("unknown critical extension %v", e.Id)
		}
	}
	st = CertStatus{ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate}
	for _, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			st.Revoked, st.RevokedAt, st.Reason = true, e.RevocationTime, e.ReasonCode
		}
	}
	return st, nil
}

// coversCert reads an issuing distribution point (RFC 5280 §5.2.5).
func coversCert(der []byte, cert *x509.Certificate) bool {
	in := cryptobyte.String(der)
	var idp cryptobyte.String
	if !in.ReadASN1(&idp, cbasn1.SEQUENCE) || !in.Empty() || !idp.SkipOptionalASN1(cbasn1.Tag(0).ContextSpecific().Constructed()) {
		return false
	}
	flag := func(tag uint8) (set, ok bool) {
		var v cryptobyte.String
		var has bool
		if !idp.ReadOptionalASN1(&v, &has, cbasn1.Tag(tag).ContextSpecific()) {
			return false, false
		}
		return has && len(v) == 1 && v[0] != 0, true
	}
	onlyUser, ok1 := flag(1)
	onlyCA, ok2 := flag(2)
	if !ok1 || !ok2 || onlyUser && cert.IsCA || onlyCA && !cert.IsCA {
		return false
	}
	return idp.Empty() // some reasons, another issuer, attribute certificates: not for us
}

// StatusClient asks the authority that a certificate names about its revocation: its OCSP service first, then its list.
// Answers are kept until they say that better is known. Give it only certificates that lead to a root one trusts, for it
// goes to the addresses written in them. It is safe for concurrent use.
type StatusClient struct {
	// Client carries the requests; it must have a timeout. Redirects are the client's business.
	Client *http.Client
	Now    func() time.Time

	mu    sync.Mutex // guards what follows
	known map[[32]byte]keptEvidence
	lists map[string]keptEvidence
}

type keptEvidence struct {
	Evidence
	until time.Time
}

// With returns the client as a [StatusSource] whose questions end with ctx.
func (c *StatusClient) With(ctx context.Context) StatusSource { return statusRequest{ctx, c} }

type statusRequest struct {
	ctx context.Context //nolint:containedctx // lives as long as one check of a file
	c   *StatusClient
}

// Evidence implements [StatusSource].
func (r statusRequest) Evidence(cert, issuer *x509.Certificate) (Evidence, error) {
	return r.c.evidence(r.ctx, cert, issuer)
}

func (c *StatusClient) evidence(ctx context.Context, cert, issuer *x509.Certificate) (Evidence, error) {
	id := sha256.Sum256(slices.Concat(issuer.RawSubjectPublicKeyInfo, cert.Raw))
	now := c.Now()
	c.mu.Lock()
	kept, ok := c.known[id]
	c.mu.Unlock()
	if ok && now.Before(kept.until) {
		return kept.Evidence, nil
	}
	var all []error
	for _, at := range cert.OCSPServer {
		e, st, err := c.askOCSP(ctx, at, cert, issuer)
		if err == nil && !st.Current(now) {
			err = fmt.Errorf("the answer is of %v to %v", st.ThisUpdate, st.NextUpdate)
		}
		if err != nil {
			all = append(all, err)
			continue
		}
		c.keep(&c.known, id, keptEvidence{e, st.NextUpdate}, now)
		return e, nil
	}
	for _, at := range cert.CRLDistributionPoints {
		e, err := c.list(ctx, at, cert, issuer, now)
		if err == nil {
			return e, nil
		}
		all = append(all, err)
	}
	if len(all) == 0 {
		all = append(all, errors.New("the certificate names no place to ask"))
	}
	return Evidence{}, errs.E(errs.Unavailable, "pki.status_unavailable", errors.Join(all...))
}

// keep stores an answer and throws old ones away before there are too many.
func (c *StatusClient) keep(m *map[[32]byte]keptEvidence, id [32]byte, k keptEvidence, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *m == nil {
		*m = map[[32]byte]keptEvidence{}
	}
	if len(*m) >= maxCachedStatus {
		for old, v := range *m {
			if len(*m) >= maxCachedStatus || !now.Before(v.until) {
				delete(*m, old)
			}
		}
	}
	(*m)[id] = k
}

func (c *StatusClient) askOCSP(ctx context.Context, at string, cert, issuer *x509.Certificate) (Evidence, CertStatus, error) {
	query, err := ocsp.CreateRequest(cert, issuer, nil)
	if err != nil {
		return Evidence{}, CertStatus{}, err
	}
	body, err := c.fetch(ctx, http.MethodPost, at, query, ocspRequestType, ocspResponseType, maxOCSPResponse)
	if err != nil {
		return Evidence{}, CertStatus{}, err
	}
	st, err := ReadOCSP(body, cert, issuer)
	return Evidence{OCSP: body}, st, err
}

// list finds a list in the cache or fetches it.
func (c *StatusClient) list(ctx context.Context, at string, cert, issuer *x509.Certificate, now time.Time) (Evidence, error) {
	c.mu.Lock()
	kept, ok := c.lists[at]
	c.mu.Unlock()
	if ok && now.Before(kept.until) {
		if _, err := ReadCRL(kept.CRL, cert, issuer); err == nil {
			return kept.Evidence, nil
		}
	}
	body, err := c.fetch(ctx, http.MethodGet, at, nil, "", crlType, maxCRL)
	if err != nil {
		return Evidence{}, err
	}
	st, err := ReadCRL(body, cert, issuer)
	if err == nil && !st.Current(now) {
		err = fmt.Errorf("the list is of %v to %v", st.ThisUpdate, st.NextUpdate)
	}
	if err != nil {
		return Evidence{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists == nil || len(c.lists) >= maxCachedLists {
		c.lists = map[string]keptEvidence{}
	}
	c.lists[at] = keptEvidence{Evidence{CRL: body}, st.NextUpdate}
	return Evidence{CRL: body}, nil
}

func (c *StatusClient) fetch(ctx context.Context, method, at string, body []byte, send, want string, limit int64) ([]byte, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the certificate names the address %q", at)
	}
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if send != "" {
		req.Header.Set("Content-Type", send)
	}
	req.Header.Set("Accept", want)
	res, err := c.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	// Lists come under several types, so only an answer that is a page of a proxy is told apart here.
	if mt, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); res.StatusCode != http.StatusOK || mt == "text/html" {
		return nil, fmt.Errorf("%s answers %s with type %q", u.Host, res.Status, mt)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = errors.New("the answer is too long")
	}
	return b, err
}
