package paper

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pdfdoc"
)

// Table is a register ready to print (Appendix IV). Its words are Vietnamese, as the law wants them.
type Table struct {
	Title, Superior, Agency string
	Year                    int
	From, To                time.Time // To is the first moment after the period
	Columns                 []string
	Rows                    [][]string
}

// Format is a kind of file that a register is printed to.
type Format string

// The formats of [Register].
const (
	PDF  Format = "pdf"
	DOCX Format = "docx"
	CSV  Format = "csv"
)

// File is a file ready to be handed out.
type File struct {
	Name, Media string
	Content     []byte
}

// maxRegisterPages bounds a printed register; a page holds about 15 rows.
const maxRegisterPages = 20_000

// Register prints a register: PDF and DOCX as landscape A4 with the legal title and the head on every page, CSV for
// spreadsheets.
//
// Errors: paper.table_broken (errs.Invalid) for a table without columns or with a row of another length, paper.format_unknown,
// errs.TooLarge for more pages than can be printed.
func Register(t Table, f Format, now time.Time) (File, error) {
	if len(t.Columns) == 0 || len(t.Columns) > 2*maxColumns {
		return File{}, errs.E(errs.Invalid, "paper.table_broken", fmt.Errorf("%d columns", len(t.Columns)))
	}
	for i, r := range t.Rows {
		if len(r) != len(t.Columns) {
			return File{}, errs.E(errs.Invalid, "paper.table_broken", fmt.Errorf("row %d has %d cells", i, len(r)))
		}
	}
	out := File{Name: fileName(t, f)}
	var err error
	switch f {
	case PDF:
		out.Media = "application/pdf"
		out.Content, err = registerPDF(t, now)
	case DOCX:
		out.Media = docxMedia
		out.Content, err = registerDOCX(t, now)
	case CSV:
		out.Media = "text/csv; charset=utf-8"
		out.Content, err = registerCSV(t)
	default:
		return File{}, errs.E(errs.Invalid, "paper.format_unknown", nil)
	}
	return out, err
}

// fileName is the title without accents, and the period: "so-dang-ky-van-ban-di-20260101-20261231.pdf".
func fileName(t Table, f Format) string {
	name := FileStem(t.Title)
	if !t.From.IsZero() {
		name += "-" + t.From.In(i18n.Zone).Format("20060102")
	}
	if !t.To.IsZero() {
		name += "-" + lastDay(t).Format("20060102")
	}
	return name + "." + string(f)
}

// FileStem makes words into the name of a file without its ending: small letters without accents, "so" when none is left.
func FileStem(words string) string {
	var b strings.Builder
	for _, r := range i18n.Fold(words) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name := b.String()
	if len(name) > 80 {
		name = name[:80]
	}
	if name = strings.Trim(name, "-"); name == "" {
		return "so"
	}
	return name
}

// lastDay is the last day of the period in Viet Nam.
func lastDay(t Table) time.Time { return t.To.Add(-time.Microsecond).In(i18n.Zone) }

// period is the lines below the title.
func period(t Table) []string {
	var out []string
	if t.Year > 0 {
		out = append(out, "Năm: "+strconv.Itoa(t.Year))
	}
	if !t.From.IsZero() && !t.To.IsZero() {
		out = append(out, "Từ ngày "+i18n.Date(t.From)+" đến ngày "+i18n.Date(lastDay(t)))
	}
	return out
}

// numbers is the second line of the head, which the forms of the law have: (1), (2), …
func numbers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "(" + strconv.Itoa(i+1) + ")"
	}
	return out
}

// weights are the shares of the width by what a column holds. What is not listed has the weight of a short text.
var weights = []struct {
	starts string
	weight float64
}{
	{"Tên loại, số", 60},
	{"Tên loại", 64},
	{"Số, ký hiệu", 30},
	{"Số lượng", 14},
	{"Số đến", 14},
	{"Ngày", 23},
	{"Nơi nhận", 40},
	{"Tác giả", 36},
	{"Người ký", 30},
	{"Đơn vị, người", 26},
	{"Đơn vị hoặc", 34},
	{"Tiến độ", 30},
	{"Thời hạn", 24},
	{"Ký nhận", 18},
	{"Ghi chú", 24},
}

// shares divides a width among columns.
func shares(columns []string, width float64) []float64 {
	out := make([]float64, len(columns))
	sum := 0.0
	for i, c := range columns {
		out[i] = 25
		for _, w := range weights {
			if strings.HasPrefix(i18n.NFC(c), w.starts) {
				out[i] = w.weight
				break
			}
		}
		sum += out[i]
	}
	for i := range out {
		out[i] *= width / sum
	}
	return out
}

// Margins of a register in mm; the left one is for binding.
var registerLayout = Layout{Top: 18, Bottom: 15, Left: 20, Right: 12, Body: 11}

func registerPDF(t Table, now time.Time) ([]byte, error) {
	s, err := pdfdoc.NewSheet(pageHeight, pageWidth, maxRegisterPages)
	if err != nil {
		return nil, err
	}
	w := &press{s: s, wide: pageHeight, high: pageWidth, l: registerLayout}
	if err := w.begin(); err != nil {
		return nil, err
	}
	small, bold := pdfdoc.Font{Size: 12}, pdfdoc.Font{Size: 12, Bold: true}
	left := w.width() * 0.45
	y := w.y
	if t.Superior != "" {
		y = w.s.Draw(w.text1(left, small, upper(t.Superior)), w.l.Left, y, pdfdoc.AlignCenter)
	}
	agency := w.text1(left, bold, upper(t.Agency))
	y = w.s.Draw(agency, w.l.Left, y, pdfdoc.AlignCenter)
	w.y = w.rule(w.l.Left, left, y, agency.Wide()*0.4) + 3
	w.y = w.s.Draw(w.text1(w.width(), pdfdoc.Font{Size: 15, Bold: true}, upper(t.Title)), w.l.Left, w.y, pdfdoc.AlignCenter)
	for _, line := range period(t) {
		w.y = w.s.Draw(w.text1(w.width(), pdfdoc.Font{Size: 12, Italic: true}, line), w.l.Left, w.y, pdfdoc.AlignCenter)
	}
	w.y += 3
	w.top = false
	g := &grid{w: w, widths: shares(t.Columns, w.width()), size: registerLayout.Body, plain: true}
	head := g.row(t.Columns, true)
	head = append(head, g.row(numbers(len(t.Columns)), true)...)
	head = keepAll(head)
	if len(t.Rows) == 0 {
		none := w.text1(w.width(), pdfdoc.Font{Size: 12, Italic: true}, "Không có văn bản nào trong kỳ.")
		if err := w.print(append(head, w.text(none, 3, pdfdoc.AlignCenter)...)); err != nil {
			return nil, err
		}
	}
	for i, r := range t.Rows { // row by row: what is printed is forgotten
		parts := g.row(r, false)
		for i := range parts {
			parts[i].head = head
		}
		if i == 0 {
			parts = append(slices.Clone(head), parts...)
		}
		if err := w.print(parts); err != nil {
			return nil, err
		}
	}
	doc, err := w.s.Finish(pdfdoc.Options{Title: t.Title, Author: t.Agency, Creator: "Truc", Now: now})
	return doc.PDF, err
}

// registerCSV writes what spreadsheets read: UTF-8 with its mark, because they guess the encoding otherwise.
func registerCSV(t Table) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	for i := range len(t.Rows) + 1 {
		row := t.Columns
		if i > 0 {
			row = t.Rows[i-1]
		}
		out := make([]string, len(row))
		for j, c := range row {
			out[j] = harmless(c)
		}
		if err := w.Write(out); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// harmless puts an apostrophe before what a spreadsheet would run as a formula: senders of other agencies write the subjects.
func harmless(s string) string {
	s = i18n.NFC(strings.ToValidUTF8(s, "\ufffd"))
	first := strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
	if first != "" && strings.ContainsAny(first[:1], "=+-@") || strings.HasPrefix(first, "＝") || strings.HasPrefix(first, "＋") || strings.HasPrefix(first, "－") || strings.HasPrefix(first, "＠") {
		return "'" + s
	}
	return s
}
