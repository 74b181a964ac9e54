package pdfdoc

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// The page, in mm: A4 and the margins of Decree 30/2020/NĐ-CP, appendix I.
const (
	pageWidth, pageHeight   = 210.0, 297.0
	marginTop, marginBottom = 20.0, 20.0
	marginLeft, marginRight = 30.0, 20.0
	bodyWidth               = pageWidth - marginLeft - marginRight
	bodyHeight              = pageHeight - marginTop - marginBottom
	mmPerPoint              = 25.4 / 72
)

// Limits on what Render takes and makes.
const (
	MaxInput = 1 << 20
	MaxPages = 200
)

// Options describe the document around its text.
type Options struct {
	Title, Author, Subject string
	Lang                   string // language of the text, "vi" by default
	Creator                string // the program that asked
	Now                    time.Time
	Footer                 string // small, at the foot of every page
	Draft                  bool   // watermark "BẢN THỬ NGHIỆM" on every page
}

// Box is a place on a page in PDF points, origin at the bottom left. Page counts from 1.
type Box struct {
	Page       int
	X, Y, W, H float64
}

// Document is a rendered file.
type Document struct {
	PDF   []byte
	Pages int
	// Boxes are the places that signature-box elements reserved, by name.
	Boxes map[string]Box
	// Missing are characters that the font lacks; each was drawn as □.
	Missing []rune
}

// Render makes a PDF of an HTML text; see the package comment for the subset.
func Render(text []byte, opt Options) (doc Document, err error) {
	if len(text) > MaxInput {
		return Document{}, errs.E(errs.TooLarge, "pdfdoc.too_large", nil)
	}
	if opt.Now.IsZero() {
		return Document{}, errors.New("pdfdoc: Options.Now is not set")
	}
	if !utf8.Valid(text) {
		return Document{}, errs.E(errs.Invalid, "pdfdoc.bad_text", nil)
	}
	root, err := html.Parse(bytes.NewReader([]byte(i18n.NFC(string(text)))))
	if err != nil {
		return Document{}, errs.E(errs.Invalid, "pdfdoc.bad_text", err)
	}
	c := &canvas{w: pageWidth, h: pageHeight}
	ts, err := newTypesetter(c)
	if err != nil {
		return Document{}, err
	}
	l := &layout{ts: ts, names: map[string]bool{}}
	units, err := l.document(root)
	if err != nil {
		return Document{}, err
	}
	p := &press{ts: ts, opt: opt, boxes: map[string]Box{}}
	if err := p.print(units); err != nil {
		return Document{}, err
	}
	return Document{PDF: c.output(opt), Pages: len(c.pages), Boxes: p.boxes, Missing: slices.Sorted(maps.Keys(ts.missing))}, nil
}
