package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"truc/internal/documents"
	"truc/internal/documents/paper"
	"truc/internal/errs"
	"truc/internal/sign"
)

// deskSignatures meets [documents.Signatures] with the node's keys, and shows signatures as Decree 30/2020/NĐ-CP wants:
// a person's handwriting in blue, the agency's seal in red over its left third, attachments without a picture.
type deskSignatures struct {
	keys     *documentKeys
	pictures string // folder of pictures that no key of the configuration names
}

// startDeskSignatures makes the signatures of a desk.
func (n *Node) startDeskSignatures() (*deskSignatures, error) {
	keys, err := n.keysOfDocuments()
	return &deskSignatures{keys: keys, pictures: n.path("sign", "pictures")}, err
}

// Person implements [documents.Signatures].
func (s *deskSignatures) Person(ctx context.Context, req documents.PersonSignature) (pdf []byte, err error) {
	defer errs.Wrap(&err, "sign as a person")
	id, err := s.keys.ofPerson(ctx, person{account: req.Account, name: req.Name, title: req.Title, agency: req.Office, code: req.Office})
	if err != nil {
		return nil, err
	}
	opt := sign.PDFOptions{Identity: id, Name: req.Name}
	if req.Box.Page > 0 {
		hand, err := s.picture(func(k SignKeyConfig) bool { return k.Account == req.Account }, req.Account, paper.Blue, func() ([]byte, error) { return paper.Handwriting(req.Name) })
		if err != nil {
			return nil, err
		}
		if opt.Appearance, err = paper.PersonLook(paper.Box(req.Box), hand); err != nil {
			return nil, err
		}
	}
	return s.keys.signPDF(ctx, req.PDF, opt)
}

// Agency implements [documents.Signatures]. What it returns was verified: a document that any reader would doubt must not
// leave the house.
func (s *deskSignatures) Agency(ctx context.Context, req documents.AgencySignature) (pdf []byte, err error) {
	defer errs.Wrap(&err, "seal")
	id, err := s.keys.ofAgency(ctx, req.Office, req.OfficeName, false)
	if err != nil {
		return nil, err
	}
	opt := sign.PDFOptions{Identity: id, Name: req.OfficeName}
	if req.Box.Page > 0 {
		is := func(k SignKeyConfig) bool { return k.Seal == req.Office }
		seal, err := s.picture(is, "seal-"+req.Office, paper.Red, func() ([]byte, error) { return paper.TestSeal(req.OfficeName) })
		if err != nil {
			return nil, err
		}
		width := 0.0
		if at := slices.IndexFunc(s.keys.cfg.Keys, is); at >= 0 {
			width = s.keys.cfg.Keys[at].PictureWidth
		}
		if opt.Appearance, err = paper.SealLook(paper.Box(req.Box), seal, width); err != nil {
			return nil, err
		}
	}
	if pdf, err = s.keys.signPDF(ctx, req.PDF, opt); err != nil {
		return nil, err
	}
	return s.finished(ctx, pdf)
}

// NoImage implements [documents.Signatures]. A PDF that its author locked, or that is broken, gets a detached signature as
// files of other kinds do.
func (s *deskSignatures) NoImage(ctx context.Context, req documents.AttachmentSignature) (out documents.SignedAttachment, err error) {
	defer errs.Wrap(&err, "sign an attachment")
	id, err := s.keys.ofAgency(ctx, req.Office, req.OfficeName, false)
	if err != nil {
		return out, err
	}
	if bytes.Contains(req.Content[:min(len(req.Content), 1024)], []byte("%PDF-")) {
		pdf, err := s.signPage(ctx, req, id)
		if err == nil {
			return documents.SignedAttachment{Content: pdf}, nil
		}
		if !errs.Is(err, errs.Invalid) {
			return out, err
		}
		s.keys.log.WarnContext(ctx, "an attachment could not be signed inside and got a detached signature", slog.Any("error", err))
	}
	detached, err := s.keys.signFile(ctx, req.Content, id)
	return documents.SignedAttachment{Content: req.Content, Detached: detached}, err
}

// signPage signs a PDF with the text that attachments carry on their first page.
func (s *deskSignatures) signPage(ctx context.Context, req documents.AttachmentSignature, id sign.Identity) ([]byte, error) {
	look, err := paper.AttachmentMark(req.Content, req.Code.String(), s.keys.now())
	if err != nil {
		return nil, err
	}
	pdf, err := s.keys.signPDF(ctx, req.Content, sign.PDFOptions{Identity: id, Name: req.OfficeName, Appearance: look})
	if err != nil {
		return nil, err
	}
	return s.keys.finish(ctx, pdf)
}

// Copy implements [documents.Signatures].
func (s *deskSignatures) Copy(ctx context.Context, req documents.CopySignature) (pdf []byte, err error) {
	defer errs.Wrap(&err, "sign a copy")
	id, err := s.keys.ofAgency(ctx, req.Office, req.OfficeName, false)
	if err != nil {
		return nil, err
	}
	kind := paper.CopyWhole
	if req.Kind == documents.CopyOfCopy {
		kind = paper.CopyOfCopy
	}
	look, err := paper.CopyMark(req.PDF, kind, req.OfficeName, s.keys.now())
	if err != nil {
		return nil, err
	}
	if pdf, err = s.keys.signPDF(ctx, req.PDF, sign.PDFOptions{Identity: id, Name: req.OfficeName, Appearance: look}); err != nil {
		return nil, err
	}
	return s.keys.finish(ctx, pdf)
}

// Verify implements [documents.Signatures].
func (s *deskSignatures) Verify(ctx context.Context, pdf []byte) ([]sign.Report, error) {
	return s.keys.verify(ctx, pdf)
}

// finished adds the evidence for years to come and verifies every signature.
func (s *deskSignatures) finished(ctx context.Context, pdf []byte) ([]byte, error) {
	pdf, err := s.keys.finish(ctx, pdf)
	if err != nil {
		return nil, err
	}
	reports, err := s.keys.verify(ctx, pdf)
	if err != nil {
		return nil, err
	}
	for _, r := range reports {
		if r.State != sign.Valid {
			return nil, errs.E(errs.Internal, "sign.not_valid", fmt.Errorf("signature %d: %w", r.Order, errors.Join(r.Problem, errors.New(r.Verdict.Key))))
		}
	}
	return pdf, nil
}

// picture reads the picture that belongs to a key: the file that the configuration names, else name.png in the folder. In
// development it is drawn when there is none.
func (s *deskSignatures) picture(is func(SignKeyConfig) bool, name string, ink paper.Ink, drawn func() ([]byte, error)) ([]byte, error) {
	path := filepath.Join(s.pictures, safeName(name)+".png")
	at := slices.IndexFunc(s.keys.cfg.Keys, is)
	named := at >= 0 && s.keys.cfg.Keys[at].Picture != ""
	if named {
		path = s.keys.cfg.Keys[at].Picture
	}
	file, err := os.ReadFile(path)
	switch {
	case err == nil:
		return paper.Picture(file, ink)
	case named || !errors.Is(err, fs.ErrNotExist):
		return nil, errs.E(errs.Unavailable, "sign.no_picture", err)
	case s.keys.dev == nil:
		return nil, errs.E(errs.Denied, "sign.no_picture", err)
	}
	return drawn()
}
