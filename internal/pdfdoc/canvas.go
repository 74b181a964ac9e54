package pdfdoc

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// canvas collects the drawing of pages in the operators of ISO 32000-1. Lengths are in mm from the top left corner.
type canvas struct {
	w, h  float64 // of every page
	pages []*page
	fonts []*usedFont
	by    map[string]*usedFont

	packer packer

	// What the page has set already, so that it is not said again with each word. Empty is unknown.
	fill, stroke, pen, font string
}

// Ink is a colour, its parts from 0 to 1. The zero Ink is black.
type Ink struct{ R, G, B float64 }

func gray(v float64) Ink { return Ink{v, v, v} }

// op is the operator that sets the colour: gray or rgb, for strokes in capitals.
func (k Ink) op(gray, rgb string) string {
	if k.R == k.G && k.G == k.B {
		return num(k.R) + " " + gray
	}
	return num(k.R) + " " + num(k.G) + " " + num(k.B) + " " + rgb
}

// usedFont is a face in one document and the glyphs of it that were drawn.
type usedFont struct {
	*typeface
	drawn map[uint16]rune
}

// page is the drawing of one page. Only the last is drawn on; those before are packed, or a register of a year would need
// hundreds of megabytes.
type page struct {
	drawing bytes.Buffer
	packed  []byte
}

func (c *canvas) newPage() {
	c.finishPage()
	c.pages = append(c.pages, &page{})
	c.forget()
}

// finishPage packs the page that was drawn on.
func (c *canvas) finishPage() {
	if len(c.pages) == 0 {
		return
	}
	if p := c.pages[len(c.pages)-1]; p.packed == nil {
		p.packed = c.packer.pack(p.drawing.Bytes())
		p.drawing = bytes.Buffer{}
	}
}

func (c *canvas) forget() { c.fill, c.stroke, c.pen, c.font = "", "", "", "" }

func (c *canvas) page() *bytes.Buffer { return &c.pages[len(c.pages)-1].drawing }

func (c *canvas) say(format string, args ...any) { fmt.Fprintf(c.page(), format, args...) }

// set says an operator unless the page knows it.
func (c *canvas) set(known *string, op string) {
	if *known != op {
		*known = op
		c.say("%s\n", op)
	}
}

func (c *canvas) line(x1, y1, x2, y2, width float64, ink Ink) {
	c.set(&c.stroke, ink.op("G", "RG"))
	c.set(&c.pen, pt(width)+" w")
	c.say("%s %s m %s %s l S\n", pt(x1), c.up(y1), pt(x2), c.up(y2))
}

func (c *canvas) fillRect(x, y, w, h float64, ink Ink) {
	c.set(&c.fill, ink.op("g", "rg"))
	c.say("%s %s %s %s re f\n", pt(x), c.up(y), pt(w), pt(-h))
}

func (c *canvas) frame(x, y, w, h, width float64, ink Ink) {
	c.set(&c.stroke, ink.op("G", "RG"))
	c.set(&c.pen, pt(width)+" w")
	c.say("%s %s %s %s re S\n", pt(x), c.up(y), pt(w), pt(-h))
}

// text writes clean text with its baseline at y; size is in points.
func (c *canvas) text(style string, f *typeface, size, x, y float64, s string, ink Ink) {
	c.set(&c.fill, ink.op("g", "rg"))
	name := c.use(style, f)
	c.say("BT\n")
	c.set(&c.font, "/"+name+" "+num(size)+" Tf")
	c.say("%s %s Td <%s> Tj ET\n", pt(x), c.up(y), c.hex(style, s))
}

// spread writes words that each end with a space, and moves on by extra thousandths of the size after each but the last.
// One string, and spaces in it, keep the text searchable.
func (c *canvas) spread(style string, f *typeface, size, x, y float64, words []string, extra float64, ink Ink) {
	c.set(&c.fill, ink.op("g", "rg"))
	name := c.use(style, f)
	c.say("BT\n")
	c.set(&c.font, "/"+name+" "+num(size)+" Tf")
	c.say("%s %s Td [", pt(x), c.up(y))
	for i, w := range words {
		if i > 0 {
			c.say(" %s ", num(-extra))
		}
		c.say("<%s>", c.hex(style, w))
	}
	c.say("] TJ ET\n")
}

// turned writes text that is turned by an angle in degrees about a point, to the left as y grows upwards.
func (c *canvas) turned(style string, f *typeface, size, degrees, cx, cy, x, y float64, s string, ink Ink) {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	px, py := cx/mmPerPoint, (c.h-cy)/mmPerPoint
	name := c.use(style, f)
	c.say("q %.5f %.5f %.5f %.5f %.5f %.5f cm\n", cos, sin, -sin, cos, px-cos*px+sin*py, py-sin*px-cos*py)
	c.say("%s BT /%s %s Tf %s %s Td <%s> Tj ET Q\n", ink.op("g", "rg"), name, num(size), pt(x), c.up(y), c.hex(style, s))
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

// pt writes a length in points.
func pt(mm float64) string { return num(mm / mmPerPoint) }

// up writes the height above the foot of the page.
func (c *canvas) up(y float64) string { return pt(c.h - y) }

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
