package paper

import (
	"fmt"
	"strings"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pdfdoc"
)

// end prints what stands before the signature and then the signature with the list of receivers (positions 7, 8, 9b, 12).
// They stand side by side; the last two lines of the text come along when they need a new page, since a signature alone on a
// page signs nothing.
func (w *setter) end(blocks []block) error {
	lx, lw, rx, rw := w.columns()
	left := w.toPlaces(lw)
	right, sign := w.signature(rw)
	h := 0.0
	for _, b := range right {
		h += b.gap + b.h
	}
	if h > (w.high-w.l.Top-w.l.Bottom)*0.7 {
		return errs.E(errs.Invalid, "paper.signature_long", nil)
	}
	page, top := 0, 0.0
	foot := block{h: h, gap: 5, draw: func(_, y float64) {
		page, top = w.s.Page(), y
		at := y
		for i, b := range right {
			at += b.gap
			if i == sign {
				w.boxes = w.places(rx, at, rw)
			}
			if b.draw != nil {
				b.draw(rx, at)
			}
			at += b.h
		}
	}}
	if n := len(blocks); n > 0 {
		blocks[n-1].keep = true
	}
	if err := w.print(append(blocks, foot)); err != nil {
		return err
	}
	// The list may be longer than the signature is high, and than the page.
	w.y = top
	for _, b := range left {
		if w.y+b.gap+b.h > w.bottom()+0.01 {
			if err := w.newPage(); err != nil {
				return err
			}
		}
		w.y += b.gap
		b.draw(lx, w.y)
		w.y += b.h
	}
	if w.s.Page() == page {
		w.y = max(w.y, top+h)
	}
	return nil
}

// signature is the right column at the end: right and title (7a), room for the picture (7c), name (7b). It returns which
// block is the room.
func (w *setter) signature(width float64) (out []block, sign int) {
	f := pdfdoc.Font{Size: 14, Bold: true}
	for _, s := range []string{w.p.Competence, w.p.Position} {
		for line := range strings.SplitSeq(s, "\n") {
			if line = upper(line); line != "" {
				out = append(out, w.text(w.text1(width, f, line), 0, pdfdoc.AlignCenter)...)
			}
		}
	}
	sign = len(out)
	out = append(out, block{h: signHeight})
	if name := strings.TrimSpace(w.p.Signer); name != "" {
		out = append(out, w.text(w.text1(width, f, name), 0, pdfdoc.AlignCenter)...)
	}
	return out, sign
}

// toPlaces is the left column at the end: "Nơi nhận" with its list (9b) and the mark of the drafter after its last line (12).
func (w *setter) toPlaces(width float64) []block {
	list := cleaned(w.p.ToPlaces)
	if len(list) == 0 {
		return nil
	}
	out := w.text(w.text1(width, pdfdoc.Font{Size: 12, Bold: true, Italic: true}, "Nơi nhận:"), 0, pdfdoc.AlignLeft)
	f := pdfdoc.Font{Size: 11}
	dash := w.text1(5, f, "-")
	for i, s := range list {
		last := i == len(list)-1
		s = ended(s, last)
		if m := w.drafter(); last && m != "" {
			s = strings.TrimSuffix(s, ".") + ", " + m + "."
		}
		lines := w.shifted(w.text1(width-2.5, f, s), 2.5, 0)
		first := lines[0].draw
		lines[0].draw = func(x, y float64) {
			w.s.Draw(dash, x, y, pdfdoc.AlignLeft)
			first(x, y)
		}
		out = append(out, lines...)
	}
	return out
}

// drafter is position 12: initials and the number of copies.
func (w *setter) drafter() string {
	m := upper(w.p.DrafterMark)
	if w.p.Copies > 0 {
		m = strings.TrimPrefix(fmt.Sprintf("%s (%d)", m, w.p.Copies), " ")
	}
	return i18n.NFC(m)
}

// appendix sets an appendix on a new page, with its own page numbers (Appendix I, part I, section III.1). The line that names
// the document is left blank in an electronic document.
func (w *setter) appendix(i int) error {
	if err := w.begin(); err != nil {
		return err
	}
	a := w.p.Appendixes[i]
	name := "Phụ lục"
	if len(w.p.Appendixes) > 1 {
		name += " " + roman(i+1)
	}
	out := w.text(w.text1(w.width(), pdfdoc.Font{Size: 14, Bold: true}, name), 0, pdfdoc.AlignCenter)
	if t := upper(a.Title); t != "" {
		out = append(out, w.text(w.text1(w.width(), pdfdoc.Font{Size: 14, Bold: true}, t), 0, pdfdoc.AlignCenter)...)
	}
	kind := "văn bản"
	if !w.p.IsLetter() {
		kind = strings.TrimSpace(w.p.TypeName)
	}
	with := fmt.Sprintf("(Kèm theo %s số %s ngày %s tháng %s năm %s của %s)", kind, blank+"/"+strings.TrimSpace(w.p.Notation), blank, blank, blank, strings.TrimSpace(w.p.Agency))
	out = append(out, w.text(w.text1(w.width(), pdfdoc.Font{Size: 13, Italic: true}, with), 0.5, pdfdoc.AlignCenter)...)
	out = keepAll(append(out, block{h: 1.5, gap: 0.5, draw: func(x, y float64) { w.rule(x, w.width(), y, 40) }}))
	rest := w.body(a.Body, false)
	if len(rest) == 0 {
		out[len(out)-1].keep = false
	}
	return w.print(append(out, rest...))
}

// roman writes a number as the decree numbers appendices.
func roman(n int) string {
	var b strings.Builder
	for _, d := range []struct {
		value int
		sign  string
	}{{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}} {
		for n >= d.value {
			b.WriteString(d.sign)
			n -= d.value
		}
	}
	return b.String()
}
