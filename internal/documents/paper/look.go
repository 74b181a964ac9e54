package paper

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pdfdoc"
	"truc/internal/sign"
)

// Limits on a picture of a signature or a seal.
const (
	MaxPicture = 2 << 20 // bytes of the file
	maxSide    = 4000    // pixels
	minSide    = 40
)

// Ink is the colour a picture must have: a person signs in blue, an agency seals in red (Appendix I, part II.7d and 8).
type Ink int

// The two inks.
const (
	Blue Ink = iota
	Red
)

// Picture reads a picture of a signature or a seal that somebody uploaded, and returns it as PNG cut to what is drawn on it.
// It must be a PNG whose background is transparent and whose ink is blue or red.
//
// Errors, all errs.Invalid with a text for the person who uploads: paper.picture_format, paper.picture_size,
// paper.picture_opaque, paper.picture_empty, paper.picture_not_blue, paper.picture_not_red.
func Picture(file []byte, ink Ink) ([]byte, error) {
	if len(file) > MaxPicture {
		return nil, errs.E(errs.Invalid, "paper.picture_size", nil, "most", maxSide)
	}
	cfg, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, errs.E(errs.Invalid, "paper.picture_format", err)
	}
	if cfg.Width > maxSide || cfg.Height > maxSide || cfg.Width < minSide || cfg.Height < minSide {
		return nil, errs.E(errs.Invalid, "paper.picture_size", nil, "most", maxSide)
	}
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, errs.E(errs.Invalid, "paper.picture_format", err)
	}
	b := img.Bounds()
	drawn := image.Rectangle{}
	var sum [3]float64
	solid := 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			if c.A < 24 {
				continue
			}
			drawn = drawn.Union(image.Rect(x, y, x+1, y+1))
			solid++
			a := float64(c.A) / 255
			sum[0], sum[1], sum[2] = sum[0]+a*float64(c.R), sum[1]+a*float64(c.G), sum[2]+a*float64(c.B)
		}
	}
	r, g, bl := sum[0], sum[1], sum[2]
	switch {
	case solid == 0:
		return nil, errs.E(errs.Invalid, "paper.picture_empty", nil)
	case float64(solid) > 0.85*float64(b.Dx()*b.Dy()):
		return nil, errs.E(errs.Invalid, "paper.picture_opaque", nil)
	case ink == Blue && !(bl > 1.2*r && bl > 1.1*g):
		return nil, errs.E(errs.Invalid, "paper.picture_not_blue", nil)
	case ink == Red && !(r > 1.4*g && r > 1.4*bl):
		return nil, errs.E(errs.Invalid, "paper.picture_not_red", nil)
	}
	out := image.NewNRGBA(image.Rect(0, 0, drawn.Dx(), drawn.Dy()))
	for y := range drawn.Dy() {
		for x := range drawn.Dx() {
			out.Set(x, y, img.At(drawn.Min.X+x, drawn.Min.Y+y))
		}
	}
	return encode(out)
}

func encode(img image.Image) ([]byte, error) {
	var buf bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.DefaultCompression}
	if err := enc.Encode(&buf, img); err != nil {
		return nil, errs.E(errs.Internal, "paper.picture_format", err)
	}
	return buf.Bytes(), nil
}

// PersonLook shows the picture of a person's signature in position 7c. The picture is one that [Picture] returned.
func PersonLook(b Box, picture []byte) (*sign.Appearance, error) {
	cfg, err := png.DecodeConfig(bytes.NewReader(picture))
	if err != nil || cfg.Width == 0 || cfg.Height == 0 {
		return nil, errs.E(errs.Invalid, "paper.picture_format", err)
	}
	scale := min(b.W/float64(cfg.Width), b.H/float64(cfg.Height))
	w, h := scale*float64(cfg.Width), scale*float64(cfg.Height)
	left := b.X + (b.W-w)/3 // a third of the picture stays a third of the box
	low := b.Y + (b.H-h)/2
	return &sign.Appearance{Page: b.Page, Rect: [4]float64{left, low, left + w, low + h}, Image: picture}, nil
}

// SealLook shows the picture of an agency's seal in position 8, in its real width in mm (0 means [SealSize]).
func SealLook(b Box, picture []byte, width float64) (*sign.Appearance, error) {
	cfg, err := png.DecodeConfig(bytes.NewReader(picture))
	if err != nil || cfg.Width == 0 || cfg.Height == 0 {
		return nil, errs.E(errs.Invalid, "paper.picture_format", err)
	}
	if width == 0 {
		width = SealSize
	}
	if !(width >= 10 && width <= 80) {
		return nil, errs.E(errs.Invalid, "paper.seal_width", nil)
	}
	w := width * pointsPerMM
	h := w * float64(cfg.Height) / float64(cfg.Width)
	right, middle := b.X+b.W, b.Y+b.H/2
	return &sign.Appearance{Page: b.Page, Rect: [4]float64{right - w, middle - h/2, right, middle + h/2}, Image: picture}, nil
}

// markSize and markEdge are the type of marks without a picture and their distance from the corner of the page, in points.
const (
	markSize = 10.0
	markEdge = 12.0
)

// AttachmentMark is what the agency's signature shows on a separate file that belongs to a document: number and time in the
// top right corner of its first page, upright black type of 10 points, and no picture (Appendix I, part I, section III.1d).
// The number is number and notation, "08/SM-VP". Errors are paper.page_small and those of [sign.ViewPage].
func AttachmentMark(pdf []byte, number string, at time.Time) (*sign.Appearance, error) {
	return mark(pdf, "Số: "+number, signedAt(at))
}

// CopyKind is a kind of copy (Article 25).
type CopyKind int

// The kinds of copies.
const (
	CopyWhole    CopyKind = iota // "sao y"
	CopyOfCopy                   // "sao lục"
	CopyExtract                  // "trích sao"
	copyKindsEnd                 // not a kind
)

// Words is what the law calls the copy, in capitals.
func (k CopyKind) Words() string {
	if k < 0 || k >= copyKindsEnd {
		return ""
	}
	return [...]string{"SAO Y", "SAO LỤC", "TRÍCH SAO"}[k]
}

// CopyMark is what the agency's signature shows on an electronic copy (position 14; Appendix I, part II, section I): the kind
// of copy, the agency that copies and the time, in the same place and type as [AttachmentMark].
func CopyMark(pdf []byte, kind CopyKind, agency string, at time.Time) (*sign.Appearance, error) {
	if kind.Words() == "" {
		return nil, errs.E(errs.Invalid, "paper.copy_kind", nil)
	}
	return mark(pdf, kind.Words(), agency, signedAt(at))
}

// signedAt is the time of signing in Viet Nam as ISO 8601 writes it.
func signedAt(at time.Time) string {
	return "Thời gian ký: " + at.In(i18n.Zone).Format("2006-01-02T15:04:05-07:00")
}

// mark places lines of text into the top right corner, in a rectangle as large as they need: a larger one would hide what the
// page says, a smaller one would shrink the type below what is prescribed. Lines wider than half the page are broken.
func mark(pdf []byte, lines ...string) (*sign.Appearance, error) {
	page, err := sign.ViewPage(pdf, 1)
	if err != nil {
		return nil, err
	}
	width, height := page.Size()
	f, err := opentype.Parse(pdfdoc.RegularFont())
	if err != nil {
		return nil, errs.E(errs.Internal, "sign.appearance_font", err)
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: markSize * 8, DPI: 72})
	if err != nil {
		return nil, errs.E(errs.Internal, "sign.appearance_font", err)
	}
	defer face.Close() //nolint:errcheck // nothing is written
	measure := func(s string) float64 { return float64(font.MeasureString(face, s)) / 64 / 8 }
	room := max(width/2, 120)
	var set []string
	wide := 0.0
	for _, l := range lines {
		for _, s := range wrapped(i18n.NFC(l), room, measure) {
			set, wide = append(set, s), max(wide, measure(s))
		}
	}
	const pad, leading = 3.0, 1.2
	w, h := math.Ceil(wide)+2*pad+2, math.Ceil(float64(len(set))*markSize*leading)+2*pad+1
	if w+2*markEdge > width || h+2*markEdge > height {
		return nil, errs.E(errs.Invalid, "paper.page_small", fmt.Errorf("%.0f × %.0f points", width, height))
	}
	right, top := width-markEdge, height-markEdge
	return &sign.Appearance{
		Page: 1, Rect: page.Place([4]float64{right - w, top - h, right, top}), Rotate: page.Rotate, Lines: set, FontTTF: pdfdoc.RegularFont(), FontSize: markSize,
	}, nil
}

// wrapped breaks a line between words.
func wrapped(s string, room float64, measure func(string) float64) []string {
	var out []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		next := word
		if line != "" {
			next = line + " " + word
		}
		if line != "" && measure(next) > room {
			out, line = append(out, line), word
			continue
		}
		line = next
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}
