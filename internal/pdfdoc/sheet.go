package pdfdoc

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Sheet is a document whose author places everything himself, for forms whose every part has its place by law and for
// wide tables. It is written as [Render] writes: embedded type, classic cross-reference table, the same calls give the
// same bytes. Lengths are in mm from the top left corner of the page. A Sheet is used by one goroutine.
type Sheet struct {
	c    *canvas
	ts   *typesetter
	most int
}

// Font is how text of a Sheet looks. It is Tinos, whose widths are those of Times New Roman.
type Font struct {
	Size                    float64 // points
	Bold, Italic, Underline bool
	Ink                     Ink
}

func (f Font) style() style {
	return style{bold: f.Bold, italic: f.Italic, underline: f.Underline, size: f.Size, ink: f.Ink}
}

// LineHeight is the distance between two lines in mm, with room for stacked marks.
func (f Font) LineHeight() float64 { return f.style().lineHeight() }

// Align says where the lines of a text stand between their margins.
type Align int

// Alignments. The last line of a justified text, and one that a break ends, is not stretched.
const (
	AlignLeft Align = iota
	AlignCenter
	AlignRight
	AlignJustify
)

// Run is a piece of text in one font. Line feeds in Text break the line; other white space collapses.
type Run struct {
	Text string
	Font Font
}

// Text is a text that was broken into lines.
type Text struct {
	lines  []line
	ends   []bool // the line ends a paragraph or stands before a break
	width  float64
	indent float64
}

// NewSheet begins a document of pages of one size, at most so many.
func NewSheet(width, height float64, pages int) (*Sheet, error) {
	if !(width >= 10 && width <= 2000 && height >= 10 && height <= 2000) {
		return nil, errors.New("pdfdoc: the page has no size that a printer knows")
	}
	c := &canvas{w: width, h: height}
	ts, err := newTypesetter(c)
	if err != nil {
		return nil, err
	}
	return &Sheet{c: c, ts: ts, most: pages}, nil
}

// NewPage begins a page.
func (s *Sheet) NewPage() error {
	if len(s.c.pages) >= s.most {
		return errs.E(errs.TooLarge, "pdfdoc.too_many_pages", nil, "pages", s.most)
	}
	s.c.newPage()
	return nil
}

// Page is the number of the page that is drawn on, from 1; 0 before the first.
func (s *Sheet) Page() int { return len(s.c.pages) }

// Break sets runs as lines of a width; the first is shorter by indent.
func (s *Sheet) Break(width, indent float64, runs ...Run) *Text {
	t := &Text{width: width, indent: indent}
	in := &inline{ts: s.ts}
	end := func() {
		lines := in.wrap(width, indent)
		if len(lines) == 0 { // an empty line keeps its height
			lines = []line{{}}
			lines[0].grow(runs[0].Font.style())
		}
		t.lines = append(t.lines, lines...)
		for len(t.ends) < len(t.lines) {
			t.ends = append(t.ends, len(t.ends) == len(t.lines)-1)
		}
		in.atoms, in.space, indent = nil, false, 0
	}
	for _, r := range runs {
		parts := strings.Split(i18n.NFC(strings.ToValidUTF8(r.Text, string(utf8.RuneError))), "\n")
		for i, p := range parts {
			if i > 0 {
				end()
			}
			in.add(p, r.Font.style())
		}
	}
	if len(runs) > 0 {
		end()
	}
	return t
}

// Len is the number of lines.
func (t *Text) Len() int { return len(t.lines) }

// LineHeight is the height of line i in mm.
func (t *Text) LineHeight(i int) float64 { return t.lines[i].height }

// Height is the height of all lines in mm.
func (t *Text) Height() float64 {
	sum := 0.0
	for _, l := range t.lines {
		sum += l.height
	}
	return sum
}

// Width is the width in mm that the text was broken for.
func (t *Text) Width() float64 { return t.width }

// Wide is the width of the widest line in mm.
func (t *Text) Wide() float64 {
	most := 0.0
	for _, l := range t.lines {
		most = max(most, l.width)
	}
	return most
}

// DrawLine writes line i with its top at y and its left margin at x.
func (s *Sheet) DrawLine(t *Text, i int, x, y float64, al Align) {
	l, indent := t.lines[i], 0.0
	if i == 0 {
		indent = t.indent
	}
	switch al {
	case AlignCenter:
		l.draw(s.ts, x, y, t.width, center, indent)
	case AlignRight:
		l.draw(s.ts, x, y, t.width, right, indent)
	case AlignJustify:
		if room := t.width - indent - l.width; !t.ends[i] && room > 0 {
			l.justify(s.ts, x+indent, y, room)
			return
		}
		l.draw(s.ts, x, y, t.width, left, indent)
	case AlignLeft:
		l.draw(s.ts, x, y, t.width, left, indent)
	}
}

// Draw writes all lines below each other and returns the y after them.
func (s *Sheet) Draw(t *Text, x, y float64, al Align) float64 {
	for i := range t.lines {
		s.DrawLine(t, i, x, y, al)
		y += t.lines[i].height
	}
	return y
}

// Line draws a straight line of a width in mm.
func (s *Sheet) Line(x1, y1, x2, y2, width float64, ink Ink) {
	s.c.line(x1, y1, x2, y2, width, ink)
}

// Frame draws the four sides of a rectangle.
func (s *Sheet) Frame(x, y, w, h, width float64, ink Ink) { s.c.frame(x, y, w, h, width, ink) }

// Fill paints a rectangle.
func (s *Sheet) Fill(x, y, w, h float64, ink Ink) { s.c.fillRect(x, y, w, h, ink) }

// Watermark writes large pale text across the page. Draw it before the text that shall stay readable.
func (s *Sheet) Watermark(text string) {
	st := style{size: 96, bold: true}
	t := s.Break(1e6, 0, Run{Text: text, Font: Font{Size: st.size, Bold: true}})
	clean := t.lines[0].text()
	if diagonal := (s.c.w + s.c.h) / 2; t.Wide() > diagonal {
		st.size *= diagonal / t.Wide()
	}
	x := (s.c.w - s.ts.width(st, clean)) / 2
	s.c.turned(st.face(), s.ts.faces[st.face()], st.size, 52, s.c.w/2, s.c.h/2, x, s.c.h/2+st.mm()*0.35, clean, gray(0.933))
}

// Box turns a rectangle on the current page into PDF points from the lower left corner.
func (s *Sheet) Box(x, y, w, h float64) Box {
	return Box{Page: s.Page(), X: x / mmPerPoint, Y: (s.c.h - y - h) / mmPerPoint, W: w / mmPerPoint, H: h / mmPerPoint}
}

// Finish writes the file. Options.Footer and Options.Draft are [Render]'s and not looked at.
func (s *Sheet) Finish(opt Options) (Document, error) {
	if opt.Now.IsZero() {
		return Document{}, errors.New("pdfdoc: Options.Now is not set")
	}
	if len(s.c.pages) == 0 {
		return Document{}, errors.New("pdfdoc: no page")
	}
	return Document{PDF: s.c.output(opt), Pages: len(s.c.pages), Boxes: map[string]Box{}, Missing: slices.Sorted(maps.Keys(s.ts.missing))}, nil
}
