package pdfdoc

import (
	"strconv"

	"truc/internal/errs"
)

// unit is what pagination moves: a line, a table row, a box.
type unit struct {
	x, h float64
	gap  float64 // space before it, dropped at the top of a page or cell
	keep bool    // not parted from the next unit
	draw func(p *press, x, y float64)
	// split parts a unit that is too high for any page at height avail; nil when it cannot be parted.
	split func(avail float64) (head, tail unit, ok bool)
	// head is the table head that is repeated when this unit begins a page.
	head []unit
}

func height(units []unit) float64 {
	sum := 0.0
	for i, u := range units {
		if i > 0 {
			sum += u.gap
		}
		sum += u.h
	}
	return sum
}

// drawAll draws units below each other and returns the y after them.
func drawAll(p *press, units []unit, x, y float64) float64 {
	for i, u := range units {
		if i > 0 {
			y += u.gap
		}
		if u.draw != nil {
			u.draw(p, x+u.x, y)
		}
		y += u.h
	}
	return y
}

// press prints units on pages.
type press struct {
	ts    *typesetter
	opt   Options
	boxes map[string]Box
	y     float64
	top   bool // nothing stands on the page yet
}

func (p *press) print(units []unit) error {
	if err := p.newPage(); err != nil {
		return err
	}
	for len(units) > 0 {
		u := units[0]
		gap := u.gap
		if p.top {
			gap = 0
		}
		avail := pageHeight - marginBottom - p.y - gap
		switch {
		case group(units) <= avail+0.01, p.top && u.h <= avail+0.01:
			p.place(u, gap)
			units = units[1:]
			continue
		case u.split != nil && (p.top || u.h > bodyHeight*0.6):
			if head, tail, ok := u.split(avail); ok {
				p.place(head, gap)
				units[0] = tail
			} else if p.top {
				p.place(u, gap)
				units = units[1:]
				continue
			}
		case p.top || u.h <= avail+0.01 && group(units) > bodyHeight:
			p.place(u, gap) // higher than a page, or kept together with too much: it cannot be helped
			units = units[1:]
			continue
		}
		if err := p.newPage(); err != nil {
			return err
		}
		if h := units[0].head; h != nil {
			// The head leaves p.top set: a row too high for what is left must still be placed, not moved on again.
			p.y = drawAll(p, h, marginLeft, p.y)
		}
	}
	return nil
}

func (p *press) place(u unit, gap float64) {
	p.y += gap
	if u.draw != nil {
		u.draw(p, marginLeft+u.x, p.y)
	}
	p.y += u.h
	p.top = false
}

// group is the height of the first unit and those it must not be parted from.
func group(units []unit) float64 {
	sum := units[0].h
	for i := 0; units[i].keep && i+1 < len(units); i++ {
		sum += units[i+1].gap + units[i+1].h
	}
	return sum
}

func (p *press) newPage() error {
	if len(p.ts.canvas.pages) >= MaxPages {
		return errs.E(errs.TooLarge, "pdfdoc.too_many_pages", nil, "pages", MaxPages)
	}
	p.ts.canvas.newPage()
	p.y, p.top = marginTop, true
	if p.opt.Draft {
		p.watermark("BẢN THỬ NGHIỆM")
	}
	if n := len(p.ts.canvas.pages); n > 1 {
		s := style{size: 13}
		text := strconv.Itoa(n)
		p.ts.draw(s, (pageWidth-p.ts.width(s, text))/2, marginTop-7, text)
	}
	if p.opt.Footer != "" {
		s := style{size: 9, muted: true}
		in := &inline{ts: p.ts}
		in.add(p.opt.Footer, s)
		for i, l := range in.wrap(bodyWidth, 0) {
			if i < 2 {
				l.draw(p.ts, marginLeft, pageHeight-marginBottom+4+float64(i)*l.height, bodyWidth, center, 0)
			}
		}
	}
	return nil
}

// watermark is drawn before the text of the page, so that the text stays readable.
func (p *press) watermark(text string) {
	s := style{size: 60, bold: true}
	x := (pageWidth - p.ts.width(s, text)) / 2
	p.ts.canvas.turned(s.face(), p.ts.faces[s.face()], s.size, 52, pageWidth/2, pageHeight/2, x, pageHeight/2+s.mm()*0.35, text, gray(0.933))
}

// box records a place.
func (p *press) box(name string, x, y, w, h float64) {
	p.boxes[name] = Box{
		Page: len(p.ts.canvas.pages), X: x / mmPerPoint, Y: (pageHeight - y - h) / mmPerPoint,
		W: w / mmPerPoint, H: h / mmPerPoint,
	}
}
