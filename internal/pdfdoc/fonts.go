package pdfdoc

import (
	_ "embed"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/sfnt"
)

// The faces of Tinos; origin and licence are in fonts/README.md.
var (
	//go:embed fonts/Tinos-Regular.ttf
	tinosRegular []byte
	//go:embed fonts/Tinos-Bold.ttf
	tinosBold []byte
	//go:embed fonts/Tinos-Italic.ttf
	tinosItalic []byte
	//go:embed fonts/Tinos-BoldItalic.ttf
	tinosBoldItalic []byte
)

const (
	family = "tinos"
	// ascent and descent of Tinos, in parts of the size.
	ascent, descent = 0.891, 0.216
	// leading leaves room for stacked marks: Ễ reaches above the ascent and Ự below the baseline.
	leading = 1.28
	// substitute is drawn for a character that the font lacks.
	substitute = '□'
)

func face(style string) []byte {
	switch style {
	case "B":
		return tinosBold
	case "I":
		return tinosItalic
	case "BI":
		return tinosBoldItalic
	}
	return tinosRegular
}

// style is how a piece of text looks. It is comparable: pieces of one style are drawn as one string.
type style struct {
	bold, italic, underline, muted bool
	size                           float64 // points
}

func (s style) face() string {
	switch {
	case s.bold && s.italic:
		return "BI"
	case s.bold:
		return "B"
	case s.italic:
		return "I"
	}
	return ""
}

func (s style) mm() float64         { return s.size * mmPerPoint }
func (s style) lineHeight() float64 { return s.mm() * leading }

// typesetter measures and draws text. Faces are loaded when first used, so that a file embeds no idle font.
type typesetter struct {
	pdf     *fpdf.Fpdf
	font    *sfnt.Font
	buf     sfnt.Buffer
	known   map[rune]bool
	missing map[rune]bool
	loaded  map[string]bool
	widths  map[measured]float64
}

type measured struct {
	face string
	text string
}

func newTypesetter(pdf *fpdf.Fpdf) (*typesetter, error) {
	font, err := sfnt.Parse(tinosRegular)
	if err != nil {
		return nil, err
	}
	return &typesetter{
		pdf: pdf, font: font, known: map[rune]bool{}, missing: map[rune]bool{},
		loaded: map[string]bool{}, widths: map[measured]float64{},
	}, nil
}

func (t *typesetter) use(s style) {
	f := s.face()
	if !t.loaded[f] {
		t.loaded[f] = true
		t.pdf.AddUTF8FontFromBytes(family, f, append([]byte(nil), face(f)...))
	}
	t.pdf.SetFont(family, f, s.size)
}

// clean drops what has no shape and replaces what the font lacks. It also guards the library, whose width table
// ends with the font's last character.
func (t *typesetter) clean(r rune) (rune, bool) {
	if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) || unicode.Is(unicode.Variation_Selector, r) {
		return 0, false
	}
	ok, seen := t.known[r]
	if !seen {
		i, err := t.font.GlyphIndex(&t.buf, r)
		ok = err == nil && i != 0 && r <= 0xFFFF
		t.known[r] = ok
	}
	if !ok {
		t.missing[r] = true
		return substitute, true
	}
	return r, true
}

// width returns the width of clean text in mm.
func (t *typesetter) width(s style, text string) float64 {
	key := measured{face: s.face(), text: text}
	w, ok := t.widths[key]
	if !ok {
		t.use(style{bold: s.bold, italic: s.italic, size: 1000})
		w = t.pdf.GetStringWidth(text) / 1000
		t.widths[key] = w
	}
	return w * s.size
}

// draw writes clean text with its baseline at y.
func (t *typesetter) draw(s style, x, y float64, text string) {
	t.use(s)
	if s.muted {
		t.pdf.SetTextColor(90, 90, 90)
	} else {
		t.pdf.SetTextColor(0, 0, 0)
	}
	t.pdf.Text(x, y, text)
	if s.underline {
		t.pdf.SetDrawColor(0, 0, 0)
		t.pdf.SetLineWidth(0.25)
		under := y + s.mm()*0.27 // below the dots of ộ, ự and ạ
		t.pdf.Line(x, under, x+t.width(s, text), under)
	}
}

// RegularFont returns the TrueType file of the upright regular face, for whoever draws text on a page besides this
// package, such as visible signatures. The bytes are shared: do not change them.
func RegularFont() []byte { return face("") }
