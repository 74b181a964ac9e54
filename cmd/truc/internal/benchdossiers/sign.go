package benchdossiers

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"truc/internal/i18n"
	"truc/internal/pdfdoc"
	"truc/internal/pki"
	"truc/internal/services"
	"truc/internal/sign"
)

// signatures meets [services.Signatures] with the development document authority and an in-process time-stamp service,
// step by step as a development node does: identities are read from their files at each signature, and what was
// signed is verified before it is handed out.
type signatures struct {
	dir  string
	ca   *pki.DocumentCA
	tsa  sign.Timestamper
	now  func() time.Time
	font []byte
}

const identityLife = 365 * 24 * time.Hour

func newSignatures(dir string, now func() time.Time) (*signatures, error) {
	ca, err := pki.LoadOrCreateDocumentCA(dir, "development", pki.DocumentSubject{Name: "Truc bench", Agency: "Truc"}, now())
	if err != nil {
		return nil, err
	}
	key, cert, err := ca.LoadOrIssue(dir, "tsa", pki.TSAUse, pki.DocumentSubject{Name: "Truc TSA", Agency: "Truc"}, now(), identityLife)
	if err != nil {
		return nil, err
	}
	tsa := &sign.TSA{Identity: sign.Identity{Signer: key, Cert: cert}, Now: now}
	s := &signatures{dir: filepath.Clean(dir), ca: ca, tsa: tsa, now: now, font: pdfdoc.RegularFont()}
	// The first signature makes the keys; a node that runs has them.
	for name, use := range map[string]pki.DocumentUse{"person": pki.PersonUse, "seal": pki.SealUse} {
		if _, err := s.identity(name, use, pki.DocumentSubject{Name: name + ".bench"}, now()); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// SignResult implements [services.Signatures]: first the person, then the agency.
func (s *signatures) SignResult(ctx context.Context, req services.SignRequest) (pdf []byte, err error) {
	now := s.now()
	person, err := s.identity("person", pki.PersonUse, pki.DocumentSubject{Name: req.Name, Title: req.Title, Agency: req.AgencyName}, now)
	if err != nil {
		return nil, err
	}
	seal, err := s.identity("seal", pki.SealUse, pki.DocumentSubject{Name: req.AgencyName, Agency: req.AgencyName}, now)
	if err != nil {
		return nil, err
	}
	stamp := now.In(i18n.Zone).Format("15:04 02/01/2006")
	opt := sign.PDFOptions{Identity: person, Name: req.Name, Reason: req.Reason, Time: now, Timestamper: s.tsa}
	if req.PersonPage > 0 {
		opt.Appearance = &sign.Appearance{Page: req.PersonPage, Rect: req.PersonBox, Lines: []string{"Người ký: " + req.Name, stamp}, FontTTF: s.font}
	}
	if pdf, err = sign.SignPDF(ctx, req.PDF, opt); err != nil {
		return nil, err
	}
	opt = sign.PDFOptions{Identity: seal, Name: req.AgencyName, Reason: req.Reason, Time: now, Timestamper: s.tsa}
	if req.SealPage > 0 {
		opt.Appearance = &sign.Appearance{Page: req.SealPage, Rect: req.SealBox, Lines: []string{"Cơ quan: " + req.AgencyName, "Thời gian ký: " + stamp}, FontTTF: s.font}
	}
	if pdf, err = sign.SignPDF(ctx, pdf, opt); err != nil {
		return nil, err
	}
	reports, err := s.Verify(ctx, pdf)
	if err != nil {
		return nil, err
	}
	for _, r := range reports {
		if r.State != sign.Valid {
			return nil, fmt.Errorf("signature %d of the result: %s: %w", r.Order, r.Verdict.Key, r.Problem)
		}
	}
	return pdf, nil
}

func (s *signatures) identity(name string, use pki.DocumentUse, subject pki.DocumentSubject, now time.Time) (sign.Identity, error) {
	key, cert, err := s.ca.LoadOrIssue(s.dir, name, use, subject, now, identityLife)
	return sign.Identity{Signer: key, Cert: cert}, err
}

// Verify implements [services.Signatures].
func (s *signatures) Verify(_ context.Context, pdf []byte) ([]sign.Report, error) {
	pool := s.ca.Pool()
	return sign.VerifyPDF(pdf, sign.VerifyOptions{Roots: pool, TSARoots: pool, Now: s.now})
}
