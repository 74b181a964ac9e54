package pdfdoc

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"

	"truc/internal/errs"
)

// maxColumns bounds a table; no paper of an office is wider.
const maxColumns = 24

// cell is a column of a row, or one of the two columns at the head of a letter.
type cell struct {
	x, w   float64
	units  []unit
	middle bool // centred between the top and bottom of the row
}

// row stands its cells side by side.
type row struct {
	cells      []cell
	padX, padY float64
	grid       bool
	shade      bool
	x          float64
	keep       bool
	head       []unit
}

func (r row) unit() unit {
	inner := 0.0
	for _, c := range r.cells {
		inner = max(inner, height(c.units))
	}
	h := inner + 2*r.padY
	u := unit{x: r.x, h: h, keep: r.keep, head: r.head}
	u.draw = func(p *press, x, y float64) {
		for _, c := range r.cells {
			r.frame(p, x+c.x, y, c.w, h)
			top := y + r.padY
			if c.middle {
				top += (inner - height(c.units)) / 2
			}
			drawAll(p, c.units, x+c.x+r.padX, top)
		}
	}
	u.split = r.split
	return u
}

func (r row) frame(p *press, x, y, w, h float64) {
	if !r.grid {
		return
	}
	if r.shade {
		p.ts.canvas.fillRect(x, y, w, h, gray(0.94))
	}
	p.ts.canvas.frame(x, y, w, h, 0.2, gray(0.24))
}

// split parts the row where the lines of its cells pass avail.
func (r row) split(avail float64) (head, tail unit, ok bool) {
	a, b := r, r
	a.cells, b.cells = nil, nil
	moved := false
	for _, c := range r.cells {
		room, n := avail-2*r.padY, 0
		for n < len(c.units) {
			need := c.units[n].h
			if n > 0 {
				need += c.units[n].gap
			}
			if need > room {
				break
			}
			room -= need
			n++
		}
		ok = ok || n > 0
		moved = moved || n < len(c.units)
		first, rest := c, c
		first.units, rest.units = c.units[:n:n], c.units[n:]
		a.cells, b.cells = append(a.cells, first), append(b.cells, rest)
	}
	if !ok || !moved {
		return unit{}, unit{}, false
	}
	a.keep = false
	return a.unit(), b.unit(), true
}

// columns stands the child divs side by side, as at the head of an official paper.
func (l *layout) columns(n *html.Node, ctx context) ([]unit, error) {
	var kids []*html.Node
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch {
		case c.Type == html.ElementNode && c.Data == "div":
			kids = append(kids, c)
		case c.Type == html.ElementNode || c.Type == html.TextNode && strings.TrimSpace(c.Data) != "":
			return nil, errs.E(errs.Invalid, "pdfdoc.misplaced", nil, "element", short(c.Data), "parent", "columns")
		}
	}
	if len(kids) == 0 || len(kids) > 4 {
		return nil, errs.E(errs.Invalid, "pdfdoc.bad_value", nil, "element", "div", "attribute", "columns")
	}
	widths := make([]float64, len(kids))
	for i, k := range kids {
		w, err := number(k, "width", 0, 100)
		if err != nil {
			return nil, err
		}
		widths[i] = w
	}
	if len(kids) == 2 && widths[0] == 0 && widths[1] == 0 {
		widths[0] = 41 // the motto of the state needs more room than the name of an office
	}
	widths = share(widths, ctx.width)
	r := row{}
	x := 0.0
	for i, k := range kids {
		inner := classes(k, ctx)
		inner.gap, inner.tight, inner.width = 0, true, widths[i]
		inner.style.size = min(inner.style.size, sizeColumns)
		if !hasClass(k, "right") {
			inner.align = center
		}
		units, err := l.container(k, inner)
		if err != nil {
			return nil, err
		}
		r.cells = append(r.cells, cell{x: x, w: widths[i], units: units})
		x += widths[i]
	}
	u := r.unit()
	u.gap = ctx.gap
	return []unit{u}, nil
}

// share turns percentages into widths that add up to total. Columns without one share what is left.
func share(percent []float64, total float64) []float64 {
	sum, open := 0.0, 0
	for _, p := range percent {
		sum += p
		if p == 0 {
			open++
		}
	}
	rest := 0.0
	if open > 0 {
		rest = max(100-sum, 5*float64(open)) / float64(open)
		sum += rest * float64(open)
	}
	out := make([]float64, len(percent))
	for i, p := range percent {
		if p == 0 {
			p = rest
		}
		out[i] = p / sum * total
	}
	return out
}

// tableRow is a row before its cells are laid out.
type tableRow struct {
	cells []*html.Node
	spans []int
	head  bool
}

func (l *layout) table(n *html.Node, ctx context) ([]unit, error) {
	percent, err := number(n, "width", 100, 100)
	if err != nil {
		return nil, err
	}
	rows, columns, err := tableRows(n)
	if err != nil || columns == 0 {
		return nil, err
	}
	widths, err := tableWidths(rows, columns, ctx.width*percent/100)
	if err != nil {
		return nil, err
	}
	plain := hasClass(n, "plain")
	if !hasClass(n, "small") {
		ctx.style.size = min(ctx.style.size, sizeTable)
	}
	var out, head []unit
	for _, tr := range rows {
		r := row{grid: !plain, padX: 1.8, padY: 1.2, keep: tr.head, shade: tr.head && !plain}
		if plain {
			r.padX, r.padY = 1, 0.7
		}
		x, col := 0.0, 0
		for i, td := range tr.cells {
			w := 0.0
			for range tr.spans[i] {
				w += widths[col]
				col++
			}
			c, err := l.cell(td, ctx, w, r.padX)
			if err != nil {
				return nil, err
			}
			c.x = x
			x += w
			r.cells = append(r.cells, c)
		}
		for ; col < columns; col++ { // a short row still has all its boxes
			r.cells = append(r.cells, cell{x: x, w: widths[col]})
			x += widths[col]
		}
		if tr.head {
			head = append(head, r.unit())
		} else {
			r.head = head
		}
		out = append(out, r.unit())
	}
	if height(head) > bodyHeight/2 { // a head that fills the page would leave no room for rows
		for i := range out {
			out[i].head = nil
		}
	}
	out[0].gap = ctx.gap
	return out, nil
}

func (l *layout) cell(td *html.Node, ctx context, w, pad float64) (cell, error) {
	inner := classes(td, ctx)
	inner.width, inner.gap = w-2*pad, ctx.gap/2
	if inner.width < 2 {
		return cell{}, errs.E(errs.Invalid, "pdfdoc.bad_value", nil, "element", td.Data, "attribute", "width")
	}
	if td.Data == "th" {
		inner.style.bold, inner.align = true, center
	}
	switch attr(td, "align") {
	case "":
	case "left":
		inner.align = left
	case "center":
		inner.align = center
	case "right":
		inner.align = right
	default:
		return cell{}, errs.E(errs.Invalid, "pdfdoc.bad_value", nil, "element", td.Data, "attribute", "align")
	}
	units, err := l.container(td, inner)
	return cell{w: w, units: units, middle: td.Data == "th"}, err
}

func tableRows(n *html.Node) (rows []tableRow, columns int, err error) {
	for part := n.FirstChild; part != nil; part = part.NextSibling {
		if part.Type != html.ElementNode {
			continue
		}
		for tr := part.FirstChild; tr != nil; tr = tr.NextSibling {
			if tr.Type != html.ElementNode || tr.Data != "tr" {
				continue
			}
			r := tableRow{head: part.Data == "thead"}
			width := 0
			for td := tr.FirstChild; td != nil; td = td.NextSibling {
				if td.Type != html.ElementNode {
					continue
				}
				span := 1
				if s := attr(td, "colspan"); s != "" {
					if span, err = strconv.Atoi(s); err != nil || span < 1 || span > maxColumns {
						return nil, 0, errs.E(errs.Invalid, "pdfdoc.bad_value", err, "element", td.Data, "attribute", "colspan")
					}
				}
				r.cells, r.spans = append(r.cells, td), append(r.spans, span)
				width += span
			}
			if width > maxColumns {
				return nil, 0, errs.E(errs.Invalid, "pdfdoc.bad_value", nil, "element", "tr", "attribute", "colspan")
			}
			columns = max(columns, width)
			if width > 0 {
				rows = append(rows, r)
			}
		}
	}
	return rows, columns, nil
}

// tableWidths takes the width of each column from the first cell that states it and spans no other.
func tableWidths(rows []tableRow, columns int, total float64) ([]float64, error) {
	percent := make([]float64, columns)
	for _, r := range rows {
		col := 0
		for i, td := range r.cells {
			w, err := number(td, "width", 0, 100)
			if err != nil {
				return nil, err
			}
			if r.spans[i] == 1 && percent[col] == 0 {
				percent[col] = w
			}
			col += r.spans[i]
		}
	}
	return share(percent, total), nil
}
