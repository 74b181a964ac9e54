package pdfdoc

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// canvas collects the drawing of pages in the operators of ISO 32000-1. Lengths are in mm from the top left corner; gray
// is 0 for black and 1 for white.
type canvas struct {
	pages []*bytes.Buffer
	fonts []*usedFont
	by    map[string]*usedFont

	// What the page has set already, so that it is not said again with each word. Empty is unknown.
	fill, stroke, pen, font string
}

// usedFont is a face in one document and the glyphs of it that were drawn.
type usedFont struct {
	*typeface
	drawn map[uint16]rune
}

func (c *canvas) newPage() {
	c.pages = append(c.pages, &bytes.Buffer{})
	c.forget()
}

func (c *canvas) forget() { c.fill, c.stroke, c.pen, c.font = "", "", "", "" }

func (c *canvas) page() *bytes.Buffer { return c.pages[len(c.pages)-1] }

func (c *canvas) say(format string, args ...any) { fmt.Fprintf(c.page(), format, args...) }

// set says an operator unless the page knows it.
func (c *canvas) set(known *string, op string) {
	if *known != op {
		*known = op
		c.say("%s\n", op)
	}
}

func (c *canvas) line(x1, y1, x2, y2, width, gray float64) {
	c.set(&c.stroke, num(gray)+" G")
	c.set(&c.pen, pt(width)+" w")
	c.say("%s %s m %s %s l S\n", pt(x1), up(y1), pt(x2), up(y2))
}

func (c *canvas) fillRect(x, y, w, h, gray float64) {
	c.set(&c.fill, num(gray)+" g")
	c.say("%s %s %s %s re f\n", pt(x), up(y), pt(w), pt(-h))
}

func (c *canvas) frame(x, y, w, h, width, gray float64) {
	c.set(&c.stroke, num(gray)+" G")
	c.set(&c.pen, pt(width)+" w")
	c.say("%s %s %s %s re S\n", pt(x), up(y), pt(w), pt(-h))
}

// text writes clean text with its baseline at y; size is in points.
func (c *canvas) text(style string, f *typeface, size, x, y float64, s string, gray float64) {
	c.set(&c.fill, num(gray)+" g")
	name := c.use(style, f)
	c.say("BT\n")
	c.set(&c.font, "/"+name+" "+num(size)+" Tf")
	c.say("%s %s Td <%s> Tj ET\n", pt(x), up(y), c.hex(style, s))
}

// turned writes text that is turned by an angle in degrees about a point, to the left as y grows upwards.
func (c *canvas) turned(style string, f *typeface, size, degrees, cx, cy, x, y float64, s string, gray float64) {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	px, py := cx/mmPerPoint, (pageHeight-cy)/mmPerPoint
	name := c.use(style, f)
	c.say("q %.5f %.5f %.5f %.5f %.5f %.5f cm\n", cos, sin, -sin, cos, px-cos*px+sin*py, py-sin*px-cos*py)
	c.say("%s g BT /%s %s Tf %s %s Td <%s> Tj ET Q\n", num(gray), name, num(size), pt(x), up(y), c.hex(style, s))
	c.forget()
}

// use returns the name of a face in this document.
func (c *canvas) use(style string, f *typeface) string {
	if c.by == nil {
		c.by = map[string]*usedFont{}
	}
	if c.by[style] == nil {
		c.by[style] = &usedFont{typeface: f, drawn: map[uint16]rune{}}
		c.fonts = append(c.fonts, c.by[style])
	}
	return "F" + style
}

// hex writes the numbers of the glyphs, which is how a font with the encoding Identity-H is addressed.
func (c *canvas) hex(style, s string) []byte {
	f := c.by[style]
	out := make([]byte, 0, 4*len(s))
	const digits = "0123456789ABCDEF"
	for _, r := range s {
		g := f.glyphs[r]
		if old, ok := f.drawn[g.id]; !ok || r < old { // of two characters with one shape, the plainer is found by search
			f.drawn[g.id] = r
		}
		out = append(out, digits[g.id>>12], digits[g.id>>8&15], digits[g.id>>4&15], digits[g.id&15])
	}
	return out
}

// pt writes a length in points, up a height above the foot of the page.
func pt(mm float64) string { return num(mm / mmPerPoint) }
func up(y float64) string  { return pt(pageHeight - y) }

// num writes a number with at most two decimals, and no zeros that say nothing.
func num(v float64) string {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	if s == "-0" {
		return "0"
	}
	return s
}
