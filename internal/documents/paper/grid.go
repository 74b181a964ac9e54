package paper

import (
	"strings"

	"truc/internal/pdfdoc"
)

// maxColumns bounds the tables of a body.
const maxColumns = 12

const cellPad = 1.3 // mm between the frame of a cell and its text

// grid is a table with frames.
type grid struct {
	w      *press
	widths []float64
	aligns []pdfdoc.Align // by column; the default is left
	size   float64        // points
	plain  bool           // cells have no marks of bold and italic
}

// row sets the cells of a row. A row higher than a page is parted into several.
func (g *grid) row(cells []string, head bool) []block {
	f := pdfdoc.Font{Size: g.size, Bold: head}
	texts := make([]*pdfdoc.Text, len(g.widths))
	for i := range texts {
		s := ""
		if i < len(cells) {
			s = cells[i]
		}
		runs := []pdfdoc.Run{{Text: s, Font: f}}
		if !g.plain {
			runs = marked(s, f)
		}
		texts[i] = g.w.s.Break(g.widths[i]-2*cellPad, 0, runs...)
	}
	most := (g.w.high-g.w.l.Top-g.w.l.Bottom)*0.8 - 2*cellPad
	from := make([]int, len(texts))
	var out []block
	for {
		to, h, rest := make([]int, len(texts)), 0.0, false
		for i, t := range texts {
			sum := 0.0
			n := from[i]
			for n < t.Len() && (n == from[i] || sum+t.LineHeight(n) <= most) {
				sum += t.LineHeight(n)
				n++
			}
			to[i], h, rest = n, max(h, sum), rest || n < t.Len()
		}
		out = append(out, g.part(texts, from, to, max(h, f.LineHeight()), head))
		if !rest {
			return out
		}
		from = to
	}
}

// part is the piece of a row with the given lines of its cells.
func (g *grid) part(texts []*pdfdoc.Text, from, to []int, h float64, head bool) block {
	h += 2 * cellPad
	return block{h: h, draw: func(x, y float64) {
		for i, t := range texts {
			if head {
				g.w.s.Fill(x, y, g.widths[i], h, pdfdoc.Ink{R: 0.94, G: 0.94, B: 0.94})
			}
			g.w.s.Frame(x, y, g.widths[i], h, 0.2, pdfdoc.Ink{})
			al, at := pdfdoc.AlignLeft, y+cellPad
			if i < len(g.aligns) {
				al = g.aligns[i]
			}
			if head {
				al = pdfdoc.AlignCenter
				at = y + (h-t.Height())/2
			}
			for n := from[i]; n < to[i]; n++ {
				g.w.s.DrawLine(t, n, x+cellPad, at, al)
				at += t.LineHeight(n)
			}
			x += g.widths[i]
		}
	}}
}

// table sets rows of a body's table. Columns share the width by what they hold.
func (w *setter) table(lines []string) []block {
	var rows [][]string
	head := false
	for _, l := range lines {
		r := cells(l)
		if len(rows) == 1 && isDashes(r) {
			head = true
			continue
		}
		rows = append(rows, r)
	}
	columns := 0
	for _, r := range rows {
		columns = max(columns, len(r))
	}
	if columns == 0 {
		return nil
	}
	g := &grid{w: &w.press, widths: w.share(rows, columns), size: 12}
	var out, heads []block
	for i, r := range rows {
		parts := g.row(r, head && i == 0)
		if head && i == 0 && len(parts) == 1 {
			heads = parts
			parts = keepAll(append([]block(nil), parts...))
		}
		for _, p := range parts {
			if i > 0 {
				p.head = heads
			}
			out = append(out, p)
		}
	}
	return out
}

// cells parts a line at its bars.
func cells(line string) []string {
	s := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|")
	out := strings.SplitN(s, "|", maxColumns)
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

func isDashes(cells []string) bool {
	for _, c := range cells {
		if strings.Trim(c, ":-– ") != "" || !strings.Contains(c, "-") {
			return false
		}
	}
	return true
}

// share gives each column room by the longest of its texts, within bounds, so that a number does not get as much as a name.
func (w *setter) share(rows [][]string, columns int) []float64 {
	want := make([]float64, columns)
	sum := 0.0
	for i := range want {
		for _, r := range rows {
			if i < len(r) {
				want[i] = max(want[i], w.s.Break(1e6, 0, marked(r[i], pdfdoc.Font{Size: 12, Bold: true})...).Wide())
			}
		}
		want[i] = min(max(want[i]+2*cellPad+0.5, 8), 80)
		sum += want[i]
	}
	for i := range want {
		want[i] *= w.width() / sum
	}
	return want
}
