package app

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"truc/internal/documents"
	"truc/internal/documents/paper"
	"truc/internal/errs"
	"truc/internal/sign"
)

func deskOf(t *testing.T, c Config) *deskSignatures {
	t.Helper()
	n, _ := signingNode(t, c)
	s, err := n.startDeskSignatures()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func printed(t *testing.T) documents.Printed {
	t.Helper()
	kind, _ := documents.TypeOf("QĐ")
	out, err := paper.Typesetter{Now: func() time.Time { return time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC) }}.Typeset(t.Context(), documents.Paper{
		Agency: "UBND tỉnh Lâm Đồng", Code: documents.Code{Number: "08", Notation: "QĐ-UBND"}, Type: kind, Subject: "việc thử", Body: "Điều 1. Thử.",
		Authority: "CHỦ TỊCH", Signer: "Nguyễn Văn An",
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A desk's document is signed by the person and then by the agency; both are valid, and the agency's changes no earlier byte.
func TestDeskSigns(t *testing.T) {
	s := deskOf(t, Config{Env: "development", Sign: SignConfig{Development: true}})
	doc := printed(t)
	pdf, err := s.Person(t.Context(), documents.PersonSignature{PDF: doc.PDF, Office: "H36", Account: "h36.chutich", Name: "Nguyễn Văn An", Title: "Chủ tịch", Box: doc.Person})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Agency(t.Context(), documents.AgencySignature{PDF: pdf, Office: "H36", OfficeName: "UBND tỉnh Lâm Đồng", Clerk: "h36.vanthu", Box: doc.Seal})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(sealed, pdf) {
		t.Error("the agency's signature changed earlier bytes")
	}
	reports, err := s.Verify(t.Context(), sealed)
	if err != nil || len(reports) != 2 {
		t.Fatalf("%d signatures, %v; want 2", len(reports), err)
	}
	for i, want := range []string{"Nguyễn Văn An", "UBND tỉnh Lâm Đồng"} {
		if r := reports[i]; r.State != sign.Valid || r.Signer != want {
			t.Errorf("signature %d is %v by %q; want valid by %q", i+1, r.State, r.Signer, want)
		}
	}
}

// Attachments: a PDF carries the signature in it, other files and PDFs that cannot be signed get one beside them.
func TestDeskSignsAttachments(t *testing.T) {
	s := deskOf(t, Config{Env: "development", Sign: SignConfig{Development: true}})
	req := documents.AttachmentSignature{Office: "H36", OfficeName: "UBND tỉnh Lâm Đồng", Code: documents.Code{Number: "08", Notation: "QĐ-UBND"}}
	req.Content = printed(t).PDF
	out, err := s.NoImage(t.Context(), req)
	if err != nil || len(out.Detached) != 0 || !bytes.HasPrefix(out.Content, req.Content) {
		t.Fatalf("PDF: %d bytes detached, %v", len(out.Detached), err)
	}
	if reports, err := s.Verify(t.Context(), out.Content); err != nil || len(reports) != 1 || reports[0].State != sign.Valid {
		t.Errorf("PDF: %+v, %v", reports, err)
	}
	for name, content := range map[string][]byte{"text": []byte("số liệu"), "broken PDF": []byte("%PDF-1.7\nbroken"), "empty": {}} {
		req.Content = content
		out, err := s.NoImage(t.Context(), req)
		if err != nil || len(out.Detached) == 0 || !bytes.Equal(out.Content, content) {
			t.Errorf("%s: %d bytes detached, %v", name, len(out.Detached), err)
		}
	}
}

// TestDeskSignsCopies: a copy of a signed document leaves its signatures whole and adds the agency's, without an image.
func TestDeskSignsCopies(t *testing.T) {
	s := deskOf(t, Config{Env: "development", Sign: SignConfig{Development: true}})
	pdf := printed(t).PDF
	for range 2 {
		var err error
		if pdf, err = s.Copy(t.Context(), documents.CopySignature{PDF: pdf, Kind: documents.CopyWhole, Office: "H36", OfficeName: "UBND tỉnh Lâm Đồng"}); err != nil {
			t.Fatal(err)
		}
	}
	reports, err := s.Verify(t.Context(), pdf)
	if err != nil || len(reports) != 2 || reports[0].State != sign.Valid || reports[1].State != sign.Valid || reports[1].Signer != "UBND tỉnh Lâm Đồng" {
		t.Errorf("%+v, %v", reports, err)
	}
	if _, err := s.Copy(t.Context(), documents.CopySignature{PDF: []byte("no PDF"), Kind: documents.CopyOfCopy, Office: "H36"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("what is no PDF: %v", err)
	}
}

// Outside of development nothing is drawn: without a picture a document is not signed, and a picture in the wrong ink is refused.
func TestDeskPictures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seal.png")
	draw := func(c color.NRGBA) {
		img := image.NewNRGBA(image.Rect(0, 0, 100, 100))
		for i := range 100 {
			for j := range 10 {
				img.Set(i, 40+j, c)
			}
		}
		var buf bytes.Buffer
		if err := png.Encode(&buf, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := deskOf(t, Config{Env: "development", Sign: SignConfig{Development: true}})
	is := func(k SignKeyConfig) bool { return k.Seal == "H36" }
	never := func() ([]byte, error) { t.Error("a picture was drawn"); return nil, nil }
	if err := os.MkdirAll(s.pictures, 0o700); err != nil {
		t.Fatal(err)
	}
	s.keys.dev = nil
	if _, err := s.picture(is, "seal-H36", paper.Red, never); !errs.Is(err, errs.Denied) {
		t.Errorf("no picture: %v; want Denied", err)
	}
	s.keys.cfg.Keys = []SignKeyConfig{{Seal: "H36", Picture: file}}
	if _, err := s.picture(is, "seal-H36", paper.Red, never); !errs.Is(err, errs.Unavailable) {
		t.Errorf("file away: %v; want Unavailable", err)
	}
	draw(color.NRGBA{B: 200, A: 255})
	if _, err := s.picture(is, "seal-H36", paper.Red, never); !errs.Is(err, errs.Invalid) {
		t.Errorf("blue seal: %v; want Invalid", err)
	}
	draw(color.NRGBA{R: 200, A: 255})
	if _, err := s.picture(is, "seal-H36", paper.Red, never); err != nil {
		t.Errorf("red seal: %v", err)
	}
	// Without a key that names it, a picture lies in the folder.
	s.keys.cfg.Keys = nil
	if err := os.Rename(file, filepath.Join(s.pictures, "seal-h36.png")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.picture(is, "seal-H36", paper.Red, never); err != nil {
		t.Errorf("red seal in the folder: %v", err)
	}
}
