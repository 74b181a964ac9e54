package paper

import (
	"image/color"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pdfdoc"
)

// Arrival is what the stamp "ĐẾN" says (Appendix IV): who received a document, under which number and when, to whom it went.
type Arrival struct {
	Agency  string
	Number  string // "Số đến"
	Date    Date
	Forward string // "Chuyển"
	File    string // number and notation of the file, "Số và ký hiệu HS"
}

// The size of the stamp in mm.
const (
	stampWide = 50.0
	stampHigh = 35.0
)

func (a Arrival) lines() []string {
	dots := func(s string, n int) string {
		if s = strings.TrimSpace(s); s != "" {
			return s
		}
		return strings.Repeat(".", n)
	}
	return []string{
		"Số: " + dots(a.Number, 30), "Ngày: " + dots(dayOf(a.Date), 28), "Chuyển: " + dots(a.Forward, 26), "Số và ký hiệu HS: " + dots(a.File, 12),
	}
}

func dayOf(d Date) string {
	if d.IsZero() {
		return ""
	}
	return i18n.Date(time.Date(d.Year, time.Month(d.Month), d.Day, 12, 0, 0, 0, i18n.Zone))
}

// ArrivalOverlay is a page of A4 with nothing but the stamp, in the place where it is put on paper: below number and subject,
// at the left. It is laid over the first page when an incoming document is printed; the signed file itself stays as it is.
func ArrivalOverlay(a Arrival, now time.Time) ([]byte, error) {
	s, err := pdfdoc.NewSheet(pageWidth, pageHeight, 1)
	if err != nil {
		return nil, err
	}
	w := &press{s: s, wide: pageWidth, high: pageHeight, l: Layout{}.settled()}
	if err := w.begin(); err != nil {
		return nil, err
	}
	w.arrival(a, w.l.Left+4, 62)
	doc, err := s.Finish(pdfdoc.Options{Title: "Đến", Author: a.Agency, Creator: "Truc", Now: now})
	return doc.PDF, err
}

// arrival draws the stamp with its upper left corner at x, y.
func (w *press) arrival(a Arrival, x, y float64) {
	w.s.Frame(x, y, stampWide, stampHigh, 0.5, red)
	inner := stampWide - 3
	name := w.fitted(inner, 8.5, 7.5, pdfdoc.Font{Size: 9, Bold: true, Ink: red}, upper(a.Agency))
	at := w.centred(name, x+1.5, inner, y+1)
	at = w.rule1(x, stampWide, at+0.2)
	word := w.text1(14, pdfdoc.Font{Size: 13, Bold: true, Ink: red}, "ĐẾN")
	rest := y + stampHigh - at
	w.s.Draw(word, x, at+(rest-word.Height())/2, pdfdoc.AlignCenter)
	w.s.Line(x+14, at, x+14, y+stampHigh, 0.3, red)
	lines := a.lines()
	step := (rest - 1) / float64(len(lines))
	for i, l := range lines {
		t := w.fitted(stampWide-14-2, step, 6, pdfdoc.Font{Size: 9, Ink: red}, l)
		w.s.Draw(t, x+15, at+0.5+float64(i)*step+(step-t.Height())/2, pdfdoc.AlignLeft)
	}
}

func (w *press) rule1(x, width, y float64) float64 {
	w.s.Line(x, y, x+width, y, 0.3, red)
	return y
}

// fitted sets a text as large as a height allows, down to a least size; what is still too long ends with dots.
func (w *press) fitted(width, height, least float64, f pdfdoc.Font, s string) *pdfdoc.Text {
	for ; ; f.Size -= 0.5 {
		t := w.text1(width, f, s)
		if t.Height() <= height+0.05 {
			return t
		}
		if f.Size-0.5 < least {
			break
		}
	}
	r := []rune(s)
	for len(r) > 1 {
		r = r[:len(r)*9/10]
		if t := w.text1(width, f, strings.TrimSpace(string(r))+"…"); t.Height() <= height+0.05 {
			return t
		}
	}
	return w.text1(width, f, "…")
}

// ArrivalPicture is the stamp as a transparent PNG of 50 × 35 mm, 508 dpi, for pages that show a document with it.
func ArrivalPicture(a Arrival) ([]byte, error) {
	agency := []rune(upper(i18n.NFC(a.Agency)))
	if len(agency) == 0 || len(agency) > 200 {
		return nil, errs.E(errs.Invalid, "paper.name_length", nil)
	}
	const wide, high, head, split = stampWide * perMM, stampHigh * perMM, 150.0, 340.0
	p, err := newPen(wide, high, pdfdoc.BoldFont())
	if err != nil {
		return nil, err
	}
	bar := func(x, y, w, h float32) {
		p.r.MoveTo(x, y)
		p.r.LineTo(x+w, y)
		p.r.LineTo(x+w, y+h)
		p.r.LineTo(x, y+h)
		p.r.ClosePath()
	}
	bar(0, 0, wide, 10)
	bar(0, high-10, wide, 10)
	bar(0, 10, 10, high-20)
	bar(wide-10, 10, 10, high-20)
	bar(10, head, wide-20, 6)
	bar(split, head+6, 6, high-head-16)
	if err := p.straight(string(agency), wide/2, 100, wide-60, 64); err != nil {
		return nil, err
	}
	if err := p.straight("ĐẾN", split/2, head+(high-head)/2+34, split-60, 100); err != nil {
		return nil, err
	}
	lines := a.lines()
	step := (high - head - 20) / float64(len(lines))
	for i, l := range lines {
		if err := p.straight(l, split+(wide-split)/2, head+float64(i)*step+step*0.66, wide-split-40, 62); err != nil {
			return nil, err
		}
	}
	return p.png(color.NRGBA{R: 204, A: 255})
}

// Opinion is a line of the slip of handling.
type Opinion struct {
	At          time.Time
	Name, Title string
	Text        string
}

// Slip is the "phiếu giải quyết văn bản đến" (Appendix IV): what arrived, and the opinions of the agency's leader, of the head
// of the unit and of the officer who handles it.
type Slip struct {
	Superior string
	Arrival  Arrival
	// The document: its type, subject, number with notation, day and who issued it.
	TypeName, Subject, Code string
	Date                    Date
	Author                  string
	Deadline                Date
	Leader, Unit, Officer   []Opinion
	Now                     time.Time
}

// HandlingSlip prints a slip of handling as A4.
func HandlingSlip(sl Slip) ([]byte, error) {
	s, err := pdfdoc.NewSheet(pageWidth, pageHeight, MaxPages)
	if err != nil {
		return nil, err
	}
	p := &Paper{Superior: sl.Superior, Agency: sl.Arrival.Agency}
	w := &setter{press: press{s: s, wide: pageWidth, high: pageHeight, l: Layout{}.settled()}, p: p}
	if err := w.begin(); err != nil {
		return nil, err
	}
	w.y = w.names()
	w.arrival(sl.Arrival, w.l.Left, w.y+4)
	title := w.text1(w.width()-stampWide-6, pdfdoc.Font{Size: 15, Bold: true}, "PHIẾU GIẢI QUYẾT\nVĂN BẢN ĐẾN")
	w.s.Draw(title, w.l.Left+stampWide+6, w.y+4+(stampHigh-title.Height())/2, pdfdoc.AlignCenter)
	w.y += 4 + stampHigh + 5
	w.top = false
	g := &grid{w: &w.press, widths: []float64{45, w.width() - 45}, size: 13, plain: true}
	var out []block
	for _, r := range [][2]string{
		{"Tên loại và trích yếu", strings.TrimSpace(sl.TypeName + " " + sl.Subject)},
		{"Số, ký hiệu", sl.Code},
		{"Ngày văn bản", dayOf(sl.Date)},
		{"Cơ quan ban hành", sl.Author},
		{"Thời hạn giải quyết", dayOf(sl.Deadline)},
	} {
		if r[1] != "" {
			out = append(out, g.row(r[:], false)...)
		}
	}
	for _, sec := range []struct {
		title string
		list  []Opinion
	}{
		{"Ý kiến của lãnh đạo cơ quan, tổ chức:", sl.Leader}, {"Ý kiến của lãnh đạo đơn vị:", sl.Unit}, {"Ý kiến đề xuất của người giải quyết:", sl.Officer},
	} {
		out = append(out, keepAll(w.text(w.text1(w.width(), pdfdoc.Font{Size: 13, Bold: true}, sec.title), 5, pdfdoc.AlignLeft))...)
		if len(sec.list) == 0 { // room to write by hand
			out = append(out, block{h: 16})
			continue
		}
		for _, o := range sec.list {
			who := strings.TrimSpace(strings.Trim(o.Title+" "+o.Name, " "))
			if !o.At.IsZero() {
				who += ", " + i18n.DateTime(o.At)
			}
			out = append(out, keepAll(w.text(w.text1(w.width(), pdfdoc.Font{Size: 12, Italic: true}, who), 2, pdfdoc.AlignLeft))...)
			body := w.text1(w.width()-6, pdfdoc.Font{Size: 13}, strings.TrimSpace(o.Text))
			lines := w.text(body, 0.5, pdfdoc.AlignJustify)
			for i := range lines {
				draw := lines[i].draw
				lines[i].draw = func(x, y float64) { draw(x+6, y) }
			}
			out = append(out, lines...)
		}
	}
	if err := w.print(out); err != nil {
		return nil, err
	}
	doc, err := s.Finish(pdfdoc.Options{Title: "Phiếu giải quyết văn bản đến " + sl.Code, Author: sl.Arrival.Agency, Creator: "Truc", Now: sl.Now})
	return doc.PDF, err
}
