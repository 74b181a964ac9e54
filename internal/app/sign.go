package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/pdfdoc"
	"truc/internal/services"
	"truc/internal/sign"
)

// signatures meets services.Signatures with the node's keys. In development they come from the built-in authority, whose
// certificates say that they are for tests.
type signatures struct {
	keys   *documentKeys
	member string
	font   []byte
}

func (n *Node) startSignatures() (services.Signatures, error) {
	keys, err := n.keysOfDocuments()
	return &signatures{keys: keys, member: n.cfg.Member, font: pdfdoc.RegularFont()}, err
}

// SignResult implements [services.Signatures]: first the person, then the agency (Decree 30/2020/NĐ-CP).
func (s *signatures) SignResult(ctx context.Context, req services.SignRequest) (pdf []byte, err error) {
	defer errs.Wrap(&err, "sign result")
	if s.keys.dev == nil && len(s.keys.cfg.Keys) == 0 {
		return nil, errs.E(errs.Unavailable, "services.sign.not_configured", nil)
	}
	now := s.keys.now()
	officer, err := s.keys.ofPerson(ctx, person{account: req.Officer, name: req.Name, title: req.Title, agency: req.AgencyName, code: s.member})
	if err != nil {
		return nil, err
	}
	seal, err := s.keys.ofAgency(ctx, s.member, req.AgencyName, true)
	if err != nil {
		return nil, err
	}
	stamp := now.In(time.FixedZone("ICT", 7*3600)).Format("15:04 02/01/2006")
	opt := sign.PDFOptions{Identity: officer, Name: req.Name, Reason: req.Reason}
	if req.PersonPage > 0 {
		opt.Appearance = &sign.Appearance{Page: req.PersonPage, Rect: req.PersonBox, Lines: []string{"Người ký: " + req.Name, stamp}, FontTTF: s.font}
	}
	if pdf, err = s.keys.signPDF(ctx, req.PDF, opt); err != nil {
		return nil, err
	}
	opt = sign.PDFOptions{Identity: seal, Name: req.AgencyName, Reason: req.Reason}
	if req.SealPage > 0 {
		opt.Appearance = &sign.Appearance{Page: req.SealPage, Rect: req.SealBox, Lines: []string{"Cơ quan: " + req.AgencyName, "Thời gian ký: " + stamp}, FontTTF: s.font}
	}
	if pdf, err = s.keys.signPDF(ctx, pdf, opt); err != nil {
		return nil, err
	}
	if pdf, err = s.keys.finish(ctx, pdf); err != nil {
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
	s.keys.log.InfoContext(ctx, "result signed", slog.Int("bytes", len(pdf)), slog.Int("signatures", len(reports)))
	return pdf, nil
}

// Verify implements [services.Signatures].
func (s *signatures) Verify(ctx context.Context, pdf []byte) ([]sign.Report, error) {
	return s.keys.verify(ctx, pdf)
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
