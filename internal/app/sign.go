package app

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/pdfdoc"
	"truc/internal/pki"
	"truc/internal/services"
	"truc/internal/sign"
)

// signatures meets services.Signatures: keys of officers and of the agency, and the time-stamp service. In
// development they come from the built-in authority, whose certificates say that they are for tests.
type signatures struct {
	n    *Node
	ca   *pki.DocumentCA
	tsa  sign.Timestamper
	font []byte
}

func (n *Node) startSignatures() (services.Signatures, error) {
	if !n.cfg.Sign.Development {
		return noSignatures{}, nil
	}
	ca, tsa, err := n.developmentAuthority()
	if err != nil {
		return nil, err
	}
	n.mux.Mount("POST /tsa", tsa)
	n.bypass = append(n.bypass, "POST /tsa")
	n.mux.HandleAPI("GET /sign/ca.pem", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, err := w.Write(pki.EncodePEM(ca.Cert()))
		return err
	})
	return &signatures{n: n, ca: ca, tsa: tsa, font: pdfdoc.RegularFont()}, nil
}

// developmentAuthority is the built-in authority with its time-stamp service; production refuses it.
func (n *Node) developmentAuthority() (*pki.DocumentCA, *sign.TSA, error) {
	ca, err := pki.LoadOrCreateDocumentCA(n.path("sign"), n.cfg.Env, pki.DocumentSubject{Name: "Truc " + n.cfg.Name.In("vi"), Agency: n.cfg.Name.In("vi")}, n.now())
	if err != nil {
		return nil, nil, err
	}
	key, cert, err := ca.LoadOrIssue(n.path("sign"), "tsa", pki.TSAUse, pki.DocumentSubject{Name: "Truc TSA " + n.cfg.Member, Agency: n.cfg.Name.In("vi")}, n.now(), 365*24*time.Hour)
	if err != nil {
		return nil, nil, err
	}
	return ca, &sign.TSA{Identity: sign.Identity{Signer: key, Cert: cert}, Now: n.now}, nil
}

// SignResult implements [services.Signatures]: first the person, then the agency (Decree 30/2020/NĐ-CP).
func (s *signatures) SignResult(ctx context.Context, req services.SignRequest) (pdf []byte, err error) {
	defer errs.Wrap(&err, "sign result")
	now := s.n.now()
	person, err := s.identity("person-"+safeName(req.Officer), pki.PersonUse, pki.DocumentSubject{Name: req.Name, Title: req.Title, Agency: req.AgencyName, Code: s.n.cfg.Member}, now)
	if err != nil {
		return nil, err
	}
	seal, err := s.identity("seal", pki.SealUse, pki.DocumentSubject{Name: req.AgencyName, Agency: req.AgencyName, Code: s.n.cfg.Member}, now)
	if err != nil {
		return nil, err
	}
	stamp := now.In(time.FixedZone("ICT", 7*3600)).Format("15:04 02/01/2006")
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
	for _, r := range reports { // a result that does not verify must never leave the house
		if r.State != sign.Valid {
			return nil, errs.E(errs.Internal, "services.sign.not_valid", fmt.Errorf("signature %d: %w", r.Order, errors.Join(r.Problem, errors.New(r.Verdict.Key))))
		}
	}
	s.n.log.InfoContext(ctx, "result signed", slog.Int("bytes", len(pdf)), slog.Int("signatures", len(reports)))
	return pdf, nil
}

func (s *signatures) identity(name string, use pki.DocumentUse, subject pki.DocumentSubject, now time.Time) (sign.Identity, error) {
	key, cert, err := s.ca.LoadOrIssue(s.n.path("sign"), name, use, subject, now, 365*24*time.Hour)
	if err != nil {
		return sign.Identity{}, errs.E(errs.Unavailable, "services.sign.no_key", err)
	}
	return sign.Identity{Signer: key, Cert: cert}, nil
}

// Verify implements [services.Signatures].
func (s *signatures) Verify(_ context.Context, pdf []byte) ([]sign.Report, error) {
	pool := x509.NewCertPool()
	pool.AddCert(s.ca.Cert())
	return sign.VerifyPDF(pdf, sign.VerifyOptions{Roots: pool, TSARoots: pool, Now: s.n.now})
}

func safeName(account string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(account) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	return b.String()
}

// noSignatures is a node without keys for documents: it says so instead of signing.
type noSignatures struct{}

// SignResult implements [services.Signatures].
func (noSignatures) SignResult(context.Context, services.SignRequest) ([]byte, error) {
	return nil, errs.E(errs.Unavailable, "services.sign.not_configured", nil)
}

// Verify implements [services.Signatures].
func (noSignatures) Verify(_ context.Context, pdf []byte) ([]sign.Report, error) {
	return sign.VerifyPDF(bytes.Clone(pdf), sign.VerifyOptions{})
}
