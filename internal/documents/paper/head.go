package paper

import (
	"fmt"
	"strings"

	"truc/internal/errs"
	"truc/internal/pdfdoc"
)

const (
	state = "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"
	motto = "Độc lập - Tự do - Hạnh phúc"
	// blank is where a number or a day is written later.
	blank = "\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0"
	// gutter parts the two columns of the head, in mm.
	gutter = 3.0
)

var red = pdfdoc.Ink{R: 0.8}

// text1 breaks a text in one font.
func (w *press) text1(width float64, f pdfdoc.Font, s string) *pdfdoc.Text {
	return w.s.Break(width, 0, pdfdoc.Run{Text: s, Font: f})
}

// balanced breaks a heading into lines of about the same length: as few as fit, and no word alone on the last.
func (w *press) balanced(width float64, f pdfdoc.Font, s string) *pdfdoc.Text {
	t := w.text1(width, f, s)
	if t.Len() < 2 {
		return t
	}
	least, most := width/float64(t.Len()+1), width
	for most-least > 0.5 {
		if middle := (least + most) / 2; w.text1(middle, f, s).Len() > t.Len() {
			least = middle
		} else {
			most = middle
		}
	}
	return w.text1(most, f, s)
}

// centred draws a text in the middle of a column that may be wider than it was broken for.
func (w *press) centred(t *pdfdoc.Text, x, width, y float64) float64 {
	return w.s.Draw(t, x+(width-t.Width())/2, y, pdfdoc.AlignCenter)
}

// upper is s in capitals, without white space around it.
func upper(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

// main sets the document itself.
func (w *setter) main() error {
	if err := w.begin(); err != nil {
		return err
	}
	w.contact()
	w.head()
	if w.y > w.bottom()-30 { // nothing of the text would stand below it
		return errs.E(errs.Invalid, "paper.head_long", nil)
	}
	var blocks []block
	if w.p.IsLetter() {
		blocks = w.receivers()
	} else {
		blocks = w.title()
	}
	blocks = append(blocks, w.body(w.p.Body, !w.p.IsLetter())...)
	return w.end(blocks)
}

// columns are the left margin and width of the two columns of the head. The right one is as wide as the name of the state.
func (w *setter) columns() (lx, lw, rx, rw float64) {
	rw = w.text1(pageWidth, pdfdoc.Font{Size: 12, Bold: true}, state).Wide() + 0.5
	lw = w.width() - rw - gutter
	return w.l.Left, lw, w.l.Left + lw + gutter, rw
}

// names draws the agency (2) and the state (1) beside each other and returns the y after them.
func (w *setter) names() float64 {
	lx, lw, rx, rw := w.columns()
	left, right := w.l.Top, w.l.Top
	if w.p.Superior != "" {
		left = w.centred(w.balanced(lw, pdfdoc.Font{Size: 12}, upper(w.p.Superior)), lx, lw, left)
	}
	agency := w.balanced(lw, pdfdoc.Font{Size: 12, Bold: true}, upper(w.p.Agency))
	left = w.centred(agency, lx, lw, left)
	left = w.rule(lx, lw, left, agency.Wide()*0.42)
	right = w.s.Draw(w.text1(rw, pdfdoc.Font{Size: 12, Bold: true}, state), rx, right, pdfdoc.AlignCenter)
	words := w.text1(rw, pdfdoc.Font{Size: 13, Bold: true}, motto)
	right = w.s.Draw(words, rx, right, pdfdoc.AlignCenter)
	right = w.rule(rx, rw, right, words.Wide())
	return max(left, right)
}

// head draws positions 1 to 4, 5b, 10b and 11.
func (w *setter) head() {
	lx, lw, rx, rw := w.columns()
	y := w.names() + 1.5 // number (3) and date (4) stand on one line
	number := "Số: " + number(w.p)
	day := w.text1(rw, pdfdoc.Font{Size: 13, Italic: true}, dateline(w.p.Place, w.p.Date))
	left := w.s.Draw(w.text1(lw, pdfdoc.Font{Size: 13}, number), lx, y, pdfdoc.AlignCenter)
	right := w.s.Draw(day, rx, y, pdfdoc.AlignCenter)
	if w.p.IsLetter() && strings.TrimSpace(w.p.Subject) != "" {
		left = w.centred(w.balanced(lw, pdfdoc.Font{Size: 12}, about(w.p.Subject)), lx, lw, left+2.1)
	}
	if text, bw, bh := w.p.Urgency.mark(); text != "" {
		left = w.stamp(lx+(lw-bw)/2, left+2.5, bw, bh, text, 13.5, red)
	}
	if c := upper(w.p.Circulation); c != "" {
		t := w.text1(lw-4, pdfdoc.Font{Size: 13, Bold: true}, c)
		left += 2.5
		bw := t.Wide() + 4
		w.s.Frame(lx+(lw-bw)/2, left, bw, t.Height()+1.6, thin, pdfdoc.Ink{})
		left = w.s.Draw(t, lx+2, left+0.8, pdfdoc.AlignCenter) + 0.8
	}
	w.y, w.top = max(left, right), false
}

// rule draws a line in the middle of a column below y and returns the y after it.
func (w *press) rule(x, width, y, length float64) float64 {
	y += 0.4
	w.s.Line(x+(width-length)/2, y, x+(width+length)/2, y, thin, pdfdoc.Ink{})
	return y + 0.4
}

// stamp draws framed words and returns the y after them.
func (w *press) stamp(x, y, width, height float64, text string, size float64, ink pdfdoc.Ink) float64 {
	w.s.Frame(x, y, width, height, 0.4, ink)
	t := w.text1(width, pdfdoc.Font{Size: size, Bold: true, Ink: ink}, text)
	w.s.Draw(t, x, y+(height-t.Height())/2, pdfdoc.AlignCenter)
	return y + height
}

// number is position 3: below ten with a leading zero, which is the numbering's duty; a blank when it is not taken yet.
func number(p *Paper) string {
	n := strings.TrimSpace(p.Number)
	if n == "" {
		n = blank
	}
	if p.Notation == "" {
		return n
	}
	return n + "/" + strings.TrimSpace(p.Notation)
}

// dateline is position 4: days below ten and the first two months have a leading zero (Appendix I, part II.4).
func dateline(place string, d Date) string {
	day, month, year := blank, blank, blank
	if !d.IsZero() {
		day, month, year = fmt.Sprintf("%02d", d.Day), fmt.Sprint(d.Month), fmt.Sprint(d.Year)
		if d.Month < 3 {
			month = "0" + month
		}
	}
	if place = strings.TrimSpace(place); place != "" {
		place += ", "
	}
	return place + "ngày " + day + " tháng " + month + " năm " + year
}

// about is the subject of a letter with the "V/v" before it.
func about(subject string) string {
	s := strings.TrimSpace(subject)
	if strings.HasPrefix(strings.ToLower(s), "v/v") {
		return s
	}
	return "V/v " + s
}

// title is position 5a: type, subject and a rule of a third to half its length.
func (w *setter) title() []block {
	kind := w.text1(w.width(), pdfdoc.Font{Size: 14, Bold: true}, upper(w.p.TypeName))
	out := w.text(kind, 8, pdfdoc.AlignCenter)
	wide := kind.Wide()
	if s := strings.TrimSpace(w.p.Subject); s != "" {
		t := w.balanced(w.width()-20, pdfdoc.Font{Size: 14, Bold: true}, s)
		inset := (w.width() - t.Width()) / 2
		for i := range t.Len() {
			out = append(out, block{h: t.LineHeight(i), draw: func(x, y float64) { w.s.DrawLine(t, i, x+inset, y, pdfdoc.AlignCenter) }})
		}
		wide = t.Wide()
	}
	out = append(out, block{h: 1, gap: 0.8, draw: func(x, y float64) { w.rule(x, w.width(), y, max(15, wide*0.4)) }})
	out = keepAll(out)
	if len(w.p.Receivers) > 0 { // reports and proposals name whom they are for below the title
		out = append(out, w.receivers()...)
	}
	return out
}

// receivers is position 9a: one receiver stands on the line of "Kính gửi", several below it.
func (w *setter) receivers() []block {
	list := cleaned(w.p.Receivers)
	if len(list) == 0 {
		return nil
	}
	f := pdfdoc.Font{Size: w.l.Body}
	const inset = 25.0
	if len(list) == 1 {
		t := w.text1(w.width()-inset, f, "Kính gửi: "+strings.TrimRight(list[0], ".;, "))
		if t.Len() == 1 {
			t = w.text1(w.width(), f, "Kính gửi: "+strings.TrimRight(list[0], ".;, "))
			return keepAll(w.text(t, 6, pdfdoc.AlignCenter))
		}
		return keepAll(w.shifted(t, inset, 6))
	}
	out := keepAll(w.shifted(w.text1(w.width()-inset, f, "Kính gửi:"), inset, 6))
	label := inset + 22
	for i, r := range list {
		t := w.s.Break(w.width()-label-3, 0, pdfdoc.Run{Text: ended(r, i == len(list)-1), Font: f})
		dash := w.text1(5, f, "-")
		lines := w.shifted(t, label+3, 0)
		first := lines[0].draw
		lines[0].draw = func(x, y float64) {
			w.s.Draw(dash, x+label, y, pdfdoc.AlignLeft)
			first(x, y)
		}
		out = append(out, lines...)
	}
	return out
}

// shifted makes lines into blocks that begin further right.
func (w *press) shifted(t *pdfdoc.Text, by, gap float64) []block {
	out := w.text(t, gap, pdfdoc.AlignLeft)
	for i := range out {
		draw := out[i].draw
		out[i].draw = func(x, y float64) { draw(x+by, y) }
	}
	return out
}

// cleaned drops empty lines and dashes that people type before an item.
func cleaned(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(s), "-–+•")); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// ended ends an item of a list as the decree wants: a semicolon, and a full stop after the last.
func ended(s string, last bool) string {
	s = strings.TrimRight(strings.TrimSpace(s), ".;, ")
	if last {
		return s + "."
	}
	return s + ";"
}

// contact is position 13: at the foot of the first page, below a rule over its width. It takes the room from the margin.
func (w *setter) contact() {
	if strings.TrimSpace(w.p.Address) == "" {
		return
	}
	t := w.text1(w.width(), pdfdoc.Font{Size: 11}, w.p.Address)
	y := pageHeight - w.l.Bottom + 1.5
	if most := pageHeight - 6; y+t.Height() > most {
		y = most - t.Height()
	}
	w.s.Line(w.l.Left, y, pageWidth-w.l.Right, y, thin, pdfdoc.Ink{})
	w.s.Draw(t, w.l.Left, y+0.5, pdfdoc.AlignCenter)
	w.reserve = max(0, pageHeight-w.l.Bottom-y+1)
}
