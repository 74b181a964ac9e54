package paper

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// The columns of Appendix IV in their order.
var legal = map[string][]string{
	"Sổ đăng ký văn bản đi": {
		"Số, ký hiệu văn bản", "Ngày tháng văn bản", "Tên loại và trích yếu nội dung văn bản", "Người ký", "Nơi nhận văn bản",
		"Đơn vị, người nhận bản lưu", "Số lượng bản", "Ngày chuyển", "Ký nhận", "Ghi chú",
	},
	"Sổ đăng ký văn bản đến": {
		"Ngày đến", "Số đến", "Tác giả", "Số, ký hiệu văn bản", "Ngày tháng văn bản", "Tên loại và trích yếu nội dung",
		"Đơn vị hoặc người nhận", "Ngày chuyển", "Ký nhận", "Ghi chú",
	},
	"Sổ theo dõi giải quyết văn bản đến": {
		"Số đến", "Tên loại, số và ký hiệu, ngày tháng và cơ quan ban hành văn bản", "Đơn vị hoặc người nhận", "Thời hạn giải quyết",
		"Tiến độ giải quyết", "Số, ký hiệu văn bản trả lời", "Ghi chú",
	},
}

func register(title string, rows int) Table {
	t := Table{
		Title: title, Superior: "Ủy ban nhân dân tỉnh Ví Dụ", Agency: "Sở Mẫu", Year: 2026, Columns: legal[title],
		From: time.Date(2026, 1, 1, 0, 0, 0, 0, i18n.Zone), To: time.Date(2027, 1, 1, 0, 0, 0, 0, i18n.Zone),
	}
	for i := range rows {
		row := make([]string, len(t.Columns))
		for j := range row {
			row[j] = fmt.Sprintf("ô %d.%d", i+1, j+1)
		}
		row[2] = fmt.Sprintf("Công văn số thứ tự %d về việc triển khai gửi, nhận văn bản điện tử giữa các cơ quan", i+1)
		t.Rows = append(t.Rows, row)
	}
	return t
}

func print1(t testing.TB, tab Table, f Format) File {
	t.Helper()
	out, err := Register(tab, f, now)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// words reads a page by the places of its words, column by column, because lines of neighbouring cells run into each other.
func words(t *testing.T, pdf []byte, page int) string {
	t.Helper()
	out, _ := tool(t, pdf, "pdftotext", "-f", fmt.Sprint(page), "-l", fmt.Sprint(page), "doc.pdf", "-")
	return strings.Join(strings.Fields(out), " ")
}

// Registers print with the columns of the law in their order, their legal title, and the head on every page.
func TestRegisterPDF(t *testing.T) {
	for title, columns := range legal {
		t.Run(title, func(t *testing.T) {
			file := print1(t, register(title, 60), PDF)
			if file.Media != "application/pdf" || !strings.HasSuffix(file.Name, "-20260101-20261231.pdf") {
				t.Errorf("file %q of %q", file.Name, file.Media)
			}
			info, _ := tool(t, file.Content, "pdfinfo", "doc.pdf")
			if !strings.Contains(info, "841.89 x 595.28") && !strings.Contains(info, "841.89 x 595.27") {
				t.Errorf("not A4 landscape:\n%s", info)
			}
			fonts, _ := tool(t, file.Content, "pdffonts", "doc.pdf")
			for line := range strings.Lines(fonts) {
				if strings.Contains(line, "Tinos") && !strings.Contains(line, "yes yes yes") {
					t.Errorf("font not embedded, subset and with text: %s", line)
				}
			}
			first := pageText(t, file.Content, 1)
			for _, want := range []string{"ỦY BAN NHÂN DÂN TỈNH VÍ DỤ", "SỞ MẪU", strings.ToUpper(title), "Năm: 2026", "Từ ngày 01/01/2026 đến ngày 31/12/2026"} {
				if !strings.Contains(first, want) {
					t.Errorf("page 1 lacks %q:\n%s", want, first)
				}
			}
			for _, page := range []int{1, 2} {
				got := headOf(t, file.Content, page, columns)
				if !slices.Equal(got, columns) {
					t.Errorf("columns on page %d:\n%q; want\n%q", page, got, columns)
				}
			}
			all := pageText(t, file.Content, 0)
			for i := range 60 {
				if want := fmt.Sprintf("ô %d.1 ", i+1); !strings.Contains(all, want) {
					t.Errorf("row %d is not printed", i+1)
				}
			}
			if out, _ := tool(t, file.Content, "qpdf", "--check", "doc.pdf"); strings.Contains(out, "WARNING") || !strings.Contains(out, "No syntax or stream encoding errors") {
				t.Errorf("qpdf --check: %s", out)
			}
			picture(t, file.Content, 1, 70)
		})
	}
}

// headOf reads the words between the frames of each column, above its number "(3)" and below the period or the top margin.
func headOf(t *testing.T, pdf []byte, page int, columns []string) []string {
	t.Helper()
	out, _ := tool(t, pdf, "pdftotext", "-bbox", "-f", fmt.Sprint(page), "-l", fmt.Sprint(page), "doc.pdf", "-")
	const points = 72 / 25.4
	edges := []float64{registerLayout.Left * points}
	for _, w := range shares(columns, pageHeight-registerLayout.Left-registerLayout.Right) {
		edges = append(edges, edges[len(edges)-1]+w*points)
	}
	type word struct {
		text                   string
		xMin, yMin, xMax, yMax float64
	}
	var all []word
	top, bottom := registerLayout.Top*points, 0.0
	for line := range strings.Lines(out) {
		var w word
		if n, _ := fmt.Sscanf(strings.TrimSpace(line), `<word xMin="%g" yMin="%g" xMax="%g" yMax="%g">`, &w.xMin, &w.yMin, &w.xMax, &w.yMax); n != 4 {
			continue
		}
		_, rest, _ := strings.Cut(line, ">")
		w.text, _, _ = strings.Cut(rest, "<")
		all = append(all, w)
		switch w.text {
		case "31/12/2026":
			top = w.yMax
		case "(1)":
			bottom = w.yMin
		}
	}
	heads := make([]string, len(columns))
	for _, w := range all {
		if w.yMin < top || w.yMax > bottom+3 {
			continue
		}
		for i := range columns {
			if w.xMin >= edges[i] && w.xMax <= edges[i+1] {
				heads[i] = strings.TrimSpace(heads[i] + " " + w.text)
			}
		}
	}
	return heads
}

func TestRegisterDOCX(t *testing.T) {
	for title, columns := range legal {
		tab := register(title, 3)
		tab.Rows[1][2] = "Dấu < > & \" ' và ký tự \x01 lạ\nhai dòng"
		file := print1(t, tab, DOCX)
		parts := unzip(t, file.Content)
		for _, name := range []string{"[Content_Types].xml", "_rels/.rels", "word/document.xml", "word/styles.xml", "word/_rels/document.xml.rels", "docProps/core.xml"} {
			if parts[name] == "" {
				t.Errorf("the file lacks %s", name)
			}
		}
		for name, text := range parts {
			if err := wellFormed(text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		rows := docxRows(t, parts["word/document.xml"])
		if len(rows) != 5 || !slices.Equal(rows[0], columns) || rows[1][0] != "(1)" || rows[2][0] != "ô 1.1" || rows[3][2] != "Dấu < > & \" ' và ký tự \ufffd lạ\nhai dòng" {
			t.Errorf("rows: %q", rows)
		}
		if n := strings.Count(parts["word/document.xml"], "<w:tblHeader/>"); n != 2 {
			t.Errorf("%d rows are repeated; want the two of the head", n)
		}
		if !strings.Contains(parts["word/document.xml"], `w:orient="landscape"`) {
			t.Error("not landscape")
		}
		if again := print1(t, tab, DOCX); !bytes.Equal(again.Content, file.Content) {
			t.Error("the same table gives other bytes")
		}
		if at := os.Getenv("TRUC_KEEP_PICTURES"); at != "" {
			_ = os.WriteFile(at+"/"+file.Name, file.Content, 0o600)
		}
	}
}

func unzip(t testing.TB, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name] = string(text)
	}
	return out
}

func wellFormed(s string) error {
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// docxRows reads the cells of the tables, as any reader of the format would.
func docxRows(t testing.TB, document string) (rows [][]string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(document))
	var cell *strings.Builder
	inText := false
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "tr":
				rows = append(rows, nil)
			case "tc":
				cell = &strings.Builder{}
			case "t":
				inText = true
			case "br":
				if cell != nil {
					cell.WriteByte('\n')
				}
			}
		case xml.EndElement:
			switch e.Name.Local {
			case "tc":
				rows[len(rows)-1] = append(rows[len(rows)-1], cell.String())
				cell = nil
			case "t":
				inText = false
			}
		case xml.CharData:
			if inText && cell != nil {
				cell.Write(e)
			}
		}
	}
}

func TestRegisterCSV(t *testing.T) {
	tab := register("Sổ đăng ký văn bản đi", 8)
	for i, s := range []string{"=HYPERLINK(\"http://x\")", "+1+2", "-1", "@SUM(A1)", "\t=1", "＝1", "\u200b=1", "08/SM-VP, \"Sở\"\nMẫu"} {
		tab.Rows[i][0] = s
	}
	file := print1(t, tab, CSV)
	rest, ok := bytes.CutPrefix(file.Content, []byte("\xef\xbb\xbf"))
	if !ok {
		t.Error("no byte order mark")
	}
	rows, err := csv.NewReader(bytes.NewReader(rest)).ReadAll()
	if err != nil || len(rows) != 9 || !slices.Equal(rows[0], tab.Columns) {
		t.Fatalf("%d rows, head %q, %v", len(rows), rows[0], err)
	}
	for i, r := range rows[1:] {
		want := tab.Rows[i][0]
		if i < 7 {
			want = "'" + want
		}
		if r[0] != want {
			t.Errorf("cell %q is written %q; want %q", tab.Rows[i][0], r[0], want)
		}
	}
}

// A row longer than a page goes on over the next pages and loses nothing.
func TestRegisterLongRow(t *testing.T) {
	tab := register("Sổ đăng ký văn bản đến", 3)
	var b strings.Builder
	for i := range 900 {
		fmt.Fprintf(&b, "chữ%d ", i)
	}
	tab.Rows[1][5] = b.String()
	file := print1(t, tab, PDF)
	all := words(t, file.Content, 1) + " "
	info, _ := tool(t, file.Content, "pdfinfo", "doc.pdf")
	var pages int
	for line := range strings.Lines(info) {
		if _, err := fmt.Sscanf(line, "Pages: %d", &pages); err == nil {
			break
		}
	}
	for p := 2; p <= pages; p++ {
		all += words(t, file.Content, p) + " "
	}
	for i := range 900 {
		if !strings.Contains(all, fmt.Sprintf("chữ%d ", i)) {
			t.Errorf("word %d of %d pages is lost", i, pages)
		}
	}
	if pages < 3 {
		t.Errorf("%d pages", pages)
	}
}

func TestRegisterRefuses(t *testing.T) {
	tab := register("Sổ đăng ký văn bản đi", 1)
	for name, c := range map[string]struct {
		table  Table
		format Format
		key    string
	}{
		"format":     {tab, "exe", "paper.format_unknown"},
		"no columns": {Table{Title: "Sổ"}, PDF, "paper.table_broken"},
		"short row":  {func() Table { s := tab; s.Rows = [][]string{{"x"}}; return s }(), CSV, "paper.table_broken"},
	} {
		_, err := Register(c.table, c.format, now)
		if key, _ := errs.KeyOf(err); err == nil || key != c.key {
			t.Errorf("%s: %v; want %s", name, err, c.key)
		}
	}
	empty := tab
	empty.Rows = nil
	for _, f := range []Format{PDF, DOCX, CSV} {
		print1(t, empty, f)
	}
}
