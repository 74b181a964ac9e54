package pdfdoc

import (
	_ "embed"
	"strings"
	"unicode"
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
	ink                            Ink
}

func (s style) color() Ink {
	if s.muted {
		return gray(0.35)
	}
	return s.ink
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

// typesetter measures and draws text.
type typesetter struct {
	canvas  *canvas
	faces   map[string]*typeface
	missing map[rune]bool
}

func newTypesetter(c *canvas) (*typesetter, error) {
	faces, err := parsedFaces()
	if err != nil {
		return nil, err
	}
	return &typesetter{canvas: c, faces: faces, missing: map[rune]bool{}}, nil
}

// clean drops what has no shape and replaces what the font lacks. The other faces have what the regular one has.
func (t *typesetter) clean(r rune) (rune, bool) {
	if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) || unicode.Is(unicode.Variation_Selector, r) {
		return 0, false
	}
	if _, ok := t.faces[""].glyphs[r]; !ok {
		t.missing[r] = true
		return substitute, true
	}
	return r, true
}

// width returns the width of clean text in mm.
func (t *typesetter) width(s style, text string) float64 {
	f, sum := t.faces[s.face()], 0
	for _, r := range text {
		sum += f.glyphs[r].width
	}
	return float64(sum) / 1000 * s.mm()
}

// draw writes clean text with its baseline at y.
func (t *typesetter) draw(s style, x, y float64, text string) {
	t.canvas.text(s.face(), t.faces[s.face()], s.size, x, y, text, s.color())
	if s.underline {
		under := y + s.mm()*0.27 // below the dots of ộ, ự and ạ
		t.canvas.line(x, under, x+t.width(s, text), under, 0.25, s.color())
	}
}

// drawSpread writes clean text whose spaces are wider by share in mm.
func (t *typesetter) drawSpread(s style, x, y float64, text string, share float64) {
	t.canvas.spread(s.face(), t.faces[s.face()], s.size, x, y, strings.SplitAfter(text, " "), share/s.mm()*1000, s.color())
	if s.underline {
		under := y + s.mm()*0.27
		t.canvas.line(x, under, x+t.width(s, text)+share*float64(strings.Count(text, " ")), under, 0.25, s.color())
	}
}

// RegularFont returns the TrueType file of the upright regular face, for whoever draws text on a page besides this
// package, such as visible signatures. The bytes are shared: do not change them.
func RegularFont() []byte { return face("") }

// ItalicFont returns the TrueType file of the italic face, on the same terms as [RegularFont].
func ItalicFont() []byte { return face("I") }

// BoldFont returns the TrueType file of the bold face, on the same terms as [RegularFont].
func BoldFont() []byte { return face("B") }
