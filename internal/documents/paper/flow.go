package paper

import (
	"strconv"

	"truc/internal/pdfdoc"
)

// block is what pagination moves: a line, a heading, a row of a table.
type block struct {
	h, gap float64 // gap stands before it, except at the top of a page
	keep   bool    // not parted from the next
	draw   func(x, y float64)
	head   []block // repeated when the block begins a page
}

// press prints blocks on the pages of one file.
type press struct {
	s       *pdfdoc.Sheet
	wide    float64 // of the page
	high    float64
	l       Layout // margins and body size
	mark    string // watermark of every page
	y       float64
	top     bool    // nothing stands on the page yet
	first   int     // page of the file on which the current part began; appendices count their own pages
	reserve float64 // kept free above the bottom margin of the current page
}

const thin = 0.25 // mm, the width of rules

func (w *press) width() float64  { return w.wide - w.l.Left - w.l.Right }
func (w *press) bottom() float64 { return w.high - w.l.Bottom - w.reserve }

// begin starts a part of the file: the document itself, or an appendix.
func (w *press) begin() error {
	w.first = w.s.Page() + 1
	return w.newPage()
}

// newPage begins a page. Its number stands centred in the top margin, from the second page of a part on (Appendix I, part I,
// section I.7).
func (w *press) newPage() error {
	if err := w.s.NewPage(); err != nil {
		return err
	}
	if w.mark != "" {
		w.s.Watermark(w.mark)
	}
	if n := w.s.Page() - w.first + 1; n > 1 {
		t := w.s.Break(w.wide, 0, pdfdoc.Run{Text: strconv.Itoa(n), Font: pdfdoc.Font{Size: 13}})
		w.s.Draw(t, 0, w.l.Top-t.Height()-3, pdfdoc.AlignCenter)
	}
	w.y, w.top, w.reserve = w.l.Top, true, 0
	return nil
}

// print puts blocks below each other, on as many pages as it takes.
func (w *press) print(blocks []block) error {
	for i := 0; i < len(blocks); {
		b := blocks[i]
		gap := b.gap
		if w.top {
			gap = 0
		}
		need, room := together(blocks[i:]), w.bottom()-w.y-gap+0.01
		// What is kept together but higher than a page is parted after all.
		if !w.top && (need > room && need <= w.high-w.l.Bottom-w.l.Top || b.h > room) {
			if err := w.newPage(); err != nil {
				return err
			}
			for _, h := range b.head {
				w.place(h, 0)
			}
			w.top = true // the head alone does not fill a page
			continue
		}
		w.place(b, gap)
		i++
	}
	return nil
}

func (w *press) place(b block, gap float64) {
	w.y += gap
	if b.draw != nil {
		b.draw(w.l.Left, w.y)
	}
	w.y += b.h
	w.top = false
}

// together is the height of the first block and those it is kept with.
func together(blocks []block) float64 {
	sum := blocks[0].h
	for i := 0; blocks[i].keep && i+1 < len(blocks); i++ {
		sum += blocks[i+1].gap + blocks[i+1].h
	}
	return sum
}

// text makes the lines of a paragraph into blocks. Its first two and its last two lines stay together.
func (w *press) text(t *pdfdoc.Text, gap float64, al pdfdoc.Align) []block {
	out := make([]block, t.Len())
	for i := range out {
		out[i] = block{h: t.LineHeight(i), keep: i == 0 && t.Len() > 1 || i == t.Len()-2, draw: func(x, y float64) { w.s.DrawLine(t, i, x, y, al) }}
	}
	if len(out) > 0 {
		out[0].gap = gap
	}
	return out
}

func keepAll(blocks []block) []block {
	for i := range blocks {
		blocks[i].keep = true
	}
	return blocks
}
