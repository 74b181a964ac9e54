package paper

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pdfdoc"
)

// The inks of drawn pictures.
var (
	blueInk = color.NRGBA{R: 24, G: 64, B: 176, A: 255}
	redInk  = color.NRGBA{R: 214, G: 18, B: 30, A: 235}
)

// perMM is the resolution of drawn pictures: 508 dpi.
const perMM = 20

// pen draws outlines.
type pen struct {
	r    *vector.Rasterizer
	w, h int
	font *sfnt.Font
	buf  sfnt.Buffer
	em   int
}

func newPen(w, h int, ttf []byte) (*pen, error) {
	f, err := sfnt.Parse(ttf)
	if err != nil {
		return nil, errs.E(errs.Internal, "sign.appearance_font", err)
	}
	return &pen{r: vector.NewRasterizer(w, h), w: w, h: h, font: f, em: 1000}, nil
}

// glyph draws the outline of a letter; at maps its points, x to the right and y down from the baseline, both in ems.
func (p *pen) glyph(r rune, at func(x, y float64) (float64, float64)) (width float64, err error) {
	id, err := p.font.GlyphIndex(&p.buf, r)
	if err != nil || id == 0 {
		return 0, errs.E(errs.Invalid, "paper.letter_missing", err, "letter", string(r))
	}
	size := fixed.I(p.em)
	adv, err := p.font.GlyphAdvance(&p.buf, id, size, 0)
	if err != nil {
		return 0, errs.E(errs.Internal, "sign.appearance_font", err)
	}
	segments, err := p.font.LoadGlyph(&p.buf, id, size, nil)
	if err != nil {
		return 0, errs.E(errs.Internal, "sign.appearance_font", err)
	}
	pt := func(q fixed.Point26_6) (float32, float32) {
		x, y := at(float64(q.X)/64/float64(p.em), float64(q.Y)/64/float64(p.em))
		return float32(x), float32(y)
	}
	for _, s := range segments {
		x, y := pt(s.Args[0])
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			p.r.ClosePath()
			p.r.MoveTo(x, y)
		case sfnt.SegmentOpLineTo:
			p.r.LineTo(x, y)
		case sfnt.SegmentOpQuadTo:
			x2, y2 := pt(s.Args[1])
			p.r.QuadTo(x, y, x2, y2)
		case sfnt.SegmentOpCubeTo:
			x2, y2 := pt(s.Args[1])
			x3, y3 := pt(s.Args[2])
			p.r.CubeTo(x, y, x2, y2, x3, y3)
		}
	}
	p.r.ClosePath()
	return float64(adv) / 64 / float64(p.em), nil
}

// stroke draws a curve as a ribbon whose half width along the way is half(t), t from 0 to 1.
func (p *pen) stroke(curve func(t float64) (x, y float64), half func(t float64) float64) {
	const steps = 96
	type point struct{ x, y float64 }
	var up, down []point
	for i := range steps + 1 {
		t := float64(i) / steps
		x, y := curve(t)
		x2, y2 := curve(t + 0.001)
		dx, dy := x2-x, y2-y
		if n := math.Hypot(dx, dy); n > 0 {
			dx, dy = dx/n, dy/n
		}
		hw := half(t)
		up, down = append(up, point{x - dy*hw, y + dx*hw}), append(down, point{x + dy*hw, y - dx*hw})
	}
	p.r.MoveTo(float32(up[0].x), float32(up[0].y))
	for _, q := range up[1:] {
		p.r.LineTo(float32(q.x), float32(q.y))
	}
	for _, q := range slices.Backward(down) {
		p.r.LineTo(float32(q.x), float32(q.y))
	}
	p.r.ClosePath()
}

// ring draws a circle of a line width.
func (p *pen) ring(cx, cy, radius, width float64) {
	p.circle(cx, cy, radius+width/2, 1)
	p.circle(cx, cy, radius-width/2, -1)
}

func (p *pen) circle(cx, cy, radius, turn float64) {
	const steps = 240
	for i := range steps {
		a := turn * 2 * math.Pi * float64(i) / steps
		x, y := float32(cx+radius*math.Cos(a)), float32(cy+radius*math.Sin(a))
		if i == 0 {
			p.r.MoveTo(x, y)
		} else {
			p.r.LineTo(x, y)
		}
	}
	p.r.ClosePath()
}

// png fills what was drawn.
func (p *pen) png(ink color.NRGBA) ([]byte, error) {
	mask := image.NewAlpha(image.Rect(0, 0, p.w, p.h))
	p.r.Draw(mask, mask.Bounds(), image.Opaque, image.Point{})
	img := image.NewNRGBA(mask.Bounds())
	for i, a := range mask.Pix {
		img.Pix[4*i], img.Pix[4*i+1], img.Pix[4*i+2] = ink.R, ink.G, ink.B
		img.Pix[4*i+3] = uint8(int(a) * int(ink.A) / 255) //nolint:gosec // at most 255
	}
	return encode(img)
}

// Handwriting draws a name as if it were signed, for demonstrations and officers who have not uploaded their own yet: slanted
// letters on a swaying line with a flourish below, blue on a transparent ground. It resembles nobody's hand.
func Handwriting(name string) ([]byte, error) {
	words := strings.Fields(i18n.NFC(name))
	if len(words) == 0 || utf8.RuneCountInString(name) > 60 {
		return nil, errs.E(errs.Invalid, "paper.name_length", nil)
	}
	// The last word is the given name, and most people sign with little more than that.
	text := words[len(words)-1]
	if len(words) > 1 {
		first, _ := utf8.DecodeRuneInString(words[0])
		text = string(first) + " " + text
	}
	const size = 200.0 // pixels an em
	measure, err := newPen(1, 1, pdfdoc.ItalicFont())
	if err != nil {
		return nil, err
	}
	wide := 0.0
	nowhere := func(_, _ float64) (float64, float64) { return 0, 0 }
	for _, r := range text {
		adv, err := measure.glyph(r, nowhere)
		if err != nil {
			return nil, err
		}
		wide += adv * 0.9
	}
	w, h := int(wide*size)+220, 360
	p, err := newPen(w, h, pdfdoc.ItalicFont())
	if err != nil {
		return nil, err
	}
	seed := 0.0
	for i, r := range text {
		seed += float64(r) * float64(i+1)
	}
	x := 90.0
	for _, r := range text {
		adv, err := p.glyph(r, func(gx, gy float64) (float64, float64) {
			px := x + gx*size*0.95
			sway := 14*math.Sin(px/95+seed) + 6*math.Sin(px/33+seed*1.7)
			return px - gy*size*0.28, 225 + gy*size*1.05 + sway - px*0.06
		})
		if err != nil {
			return nil, err
		}
		x += adv * size * 0.9
	}
	reach := x + 60
	p.stroke(func(t float64) (float64, float64) {
		return 40 + t*(reach-60) + 22*math.Sin(2*math.Pi*t), 285 + 26*math.Sin(3*math.Pi*t+seed) - 46*t
	}, func(t float64) float64 { return 1.5 + 4.5*math.Sin(math.Pi*t) })
	raw, err := p.png(blueInk)
	if err != nil {
		return nil, err
	}
	return Picture(raw, Blue)
}

// TestSeal draws a seal for development: round, red, [SealSize] wide, with the agency's name around and words in the middle
// that say it is for tests. Real seals are pictures that the agency uploads.
func TestSeal(agency string) ([]byte, error) {
	const side = SealSize * perMM
	p, err := newPen(side, side, pdfdoc.BoldFont())
	if err != nil {
		return nil, err
	}
	const c = side / 2.0
	p.ring(c, c, c-10, 16)
	p.ring(c, c, c-26, 4)
	p.ring(c, c, c*0.60, 5)
	name := []rune(strings.ToUpper(i18n.NFC(strings.Join(strings.Fields(agency), " "))))
	if len(name) == 0 || len(name) > 80 {
		return nil, errs.E(errs.Invalid, "paper.name_length", nil)
	}
	if err := p.around(append(name, ' ', '*', ' '), c, c*0.66, c*0.20); err != nil {
		return nil, err
	}
	for i, line := range []string{"THỬ NGHIỆM", "TEST"} {
		if err := p.straight(line, c, c+(float64(i)-0.1)*c*0.30, c*0.92, c*0.22); err != nil {
			return nil, err
		}
	}
	return p.png(redInk)
}

// around writes letters along a circle, evenly, from the lower left over the top.
func (p *pen) around(text []rune, c, radius, size float64) error {
	advances := make([]float64, len(text))
	sum := 0.0
	for i, r := range text {
		adv, err := p.glyph(r, func(_, _ float64) (float64, float64) { return 0, 0 })
		if err != nil {
			return err
		}
		advances[i] = adv
		sum += adv
	}
	// Long names get smaller letters; all names fill the circle.
	size = min(size, 2*math.Pi*radius/sum)
	gap := (2*math.Pi*radius - sum*size) / float64(len(text))
	way := 0.0
	for i, r := range text {
		wide := advances[i]*size + gap
		a := -math.Pi/2 - math.Pi + (way+wide/2)/radius
		sin, cos := math.Sincos(a)
		if _, err := p.glyph(r, func(gx, gy float64) (float64, float64) {
			along, out := (gx-advances[i]/2)*size, radius-gy*size
			return c + out*cos - along*sin, c + out*sin + along*cos
		}); err != nil {
			return err
		}
		way += wide
	}
	return nil
}

// straight writes a line in the middle, no wider than most.
func (p *pen) straight(text string, c, y, most, size float64) error {
	sum := 0.0
	for _, r := range text {
		adv, err := p.glyph(r, func(_, _ float64) (float64, float64) { return 0, 0 })
		if err != nil {
			return fmt.Errorf("measure: %w", err)
		}
		sum += adv
	}
	size = min(size, most/sum)
	x := c - sum*size/2
	for _, r := range text {
		adv, err := p.glyph(r, func(gx, gy float64) (float64, float64) { return x + gx*size, y + gy*size })
		if err != nil {
			return err
		}
		x += adv * size
	}
	return nil
}
