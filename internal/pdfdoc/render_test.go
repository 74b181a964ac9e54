package pdfdoc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/lang"
)

var now = time.Date(2026, 11, 21, 7, 30, 0, 0, time.UTC)

func render(t testing.TB, html string, opt Options) Document {
	t.Helper()
	opt.Now = now
	doc, err := Render([]byte(html), opt)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// tool runs an external program on the file. Without the program the test is skipped at a desk and fails in CI.
func tool(t *testing.T, pdf []byte, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed", name)
	}
	file := filepath.Join(t.TempDir(), "doc.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		if a == "FILE" {
			args[i] = file
		}
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func text(t *testing.T, pdf []byte) string {
	t.Helper()
	return strings.Join(strings.Fields(tool(t, pdf, "pdftotext", "-enc", "UTF-8", "FILE", "-")), " ")
}

func slip(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/slip.html")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSlip(t *testing.T) {
	doc := render(t, slip(t), Options{Title: "Giấy tiếp nhận hồ sơ", Footer: "Bản điện tử được ký số"})
	if doc.Pages != 1 {
		t.Errorf("Pages = %d; want 1", doc.Pages)
	}
	if len(doc.Missing) != 0 {
		t.Errorf("Missing = %q", doc.Missing)
	}
	got := text(t, doc.PDF)
	for _, want := range []string{
		"CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc", "GIẤY TIẾP NHẬN HỒ SƠ VÀ HẸN TRẢ KẾT QUẢ",
		"tiếp nhận hồ sơ của ông/bà Nguyễn Thị Ễnh Ương Ự Ậ Ằ Ỗ Ộ, số định danh 099123456789,", "8.000 ₫ (tám nghìn đồng)",
		"Thời gian trả kết quả: 17 giờ 30 phút, ngày 24 tháng 11 năm 2026", "Bản điện tử được ký số",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("text lacks %q:\n%s", want, got)
		}
	}
	b, ok := doc.Boxes["officer"]
	if !ok || b.Page != 1 || b.X < 595/2 || b.X+b.W > 595-50 || b.Y < 56 || b.H < 70 || b.H > 71 {
		t.Errorf("Boxes[officer] = %+v", b)
	}
}

// The file can be signed by an incremental update: a classic cross-reference table, no encryption.
func TestFileStructure(t *testing.T) {
	doc := render(t, slip(t), Options{Title: "Đơn", Draft: true})
	if out := tool(t, doc.PDF, "qpdf", "--check", "FILE"); strings.Contains(out, "WARNING") || !strings.Contains(out, "No syntax or stream encoding errors") {
		t.Errorf("qpdf --check: %s", out)
	}
	for _, want := range []string{"\nxref\n", "\ntrailer\n", "startxref"} {
		if !bytes.Contains(doc.PDF, []byte(want)) {
			t.Errorf("the file lacks %q", want)
		}
	}
	for _, not := range []string{"/ObjStm", "/Encrypt", "/XRef"} {
		if bytes.Contains(doc.PDF, []byte(not)) {
			t.Errorf("the file has %q", not)
		}
	}
}

func TestDeterministic(t *testing.T) {
	opt := Options{Title: "Đơn", Draft: true, Footer: "chân trang"}
	a := render(t, slip(t), opt)
	for range 5 {
		if !bytes.Equal(a.PDF, render(t, slip(t), opt).PDF) {
			t.Fatal("the same input gives different bytes")
		}
	}
	if d := render(t, norm.NFD.String(slip(t)), opt); !bytes.Equal(a.PDF, d.PDF) {
		t.Error("decomposed letters give a different file")
	}
}

func TestLongTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("<h1>DANH SÁCH</h1><table><thead><tr><th width='10%'>STT</th><th>Họ và tên công dân</th></tr></thead><tbody>")
	for i := range 200 {
		fmt.Fprintf(&b, "<tr><td align='center'>%d</td><td>Người thứ %d đã nộp hồ sơ</td></tr>", i+1, i+1)
	}
	b.WriteString("</tbody></table><signature-box name='head'>")
	doc := render(t, b.String(), Options{})
	if doc.Pages < 5 || doc.Pages > 8 {
		t.Errorf("Pages = %d", doc.Pages)
	}
	got := text(t, doc.PDF)
	if n := strings.Count(got, "Họ và tên công dân"); n != doc.Pages && n != doc.Pages-1 {
		t.Errorf("the table head stands on %d of %d pages", n, doc.Pages)
	}
	for i := range 200 {
		if want := fmt.Sprintf("Người thứ %d đã nộp hồ sơ", i+1); strings.Count(got, want) != 1 {
			t.Errorf("row %d stands %d times", i+1, strings.Count(got, want))
		}
	}
	if doc.Boxes["head"].Page != doc.Pages {
		t.Errorf("box on page %d of %d", doc.Boxes["head"].Page, doc.Pages)
	}
}

func TestLongWordsAndRows(t *testing.T) {
	name := strings.Repeat("Nguyễn", 60)
	doc := render(t, "<p>Ông "+name+" có mặt.</p><table><tr><td width='20%'>"+name+"</td><td>"+
		strings.Repeat("Nội dung rất dài của một ô trong bảng. ", 400)+"</td></tr></table>", Options{})
	if doc.Pages < 3 {
		t.Errorf("Pages = %d: a row higher than a page must be parted", doc.Pages)
	}
	got := text(t, doc.PDF)
	if n := strings.Count(got, "một ô trong bảng.") + strings.Count(got, "một ô trong"); n < 380 {
		t.Errorf("the long cell lost text: %d of 400", n)
	}
	if joined := strings.ReplaceAll(got, " ", ""); !strings.Contains(joined, name+"cómặt.") {
		t.Error("the long name lost letters")
	}
}

func TestMissingGlyph(t *testing.T) {
	doc := render(t, "<p>Tên 漢 😀 \u00ad\u200bsạch</p>", Options{})
	if !slices.Equal(doc.Missing, []rune{'漢', '😀'}) {
		t.Errorf("Missing = %q", doc.Missing)
	}
	if got := text(t, doc.PDF); !strings.Contains(got, "Tên □ □ sạch") {
		t.Errorf("text = %q", got)
	}
}

func TestRefused(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct{ html, key, arg string }{
		{"<p>a<script>x</script></p>", "pdfdoc.unknown_element", "script"},
		{"<img src=x>", "pdfdoc.unknown_element", "img"},
		{"<svg><path/></svg>", "pdfdoc.unknown_element", "svg"},
		{"<p style='color:red'>a</p>", "pdfdoc.unknown_attribute", "style"},
		{"<p class='centre'>a</p>", "pdfdoc.unknown_class", "centre"},
		{"<qr>", "pdfdoc.bad_value", "data"},
		{"<qr data='x' size='9000'>", "pdfdoc.bad_value", "size"},
		{"<space mm='NaN'>", "pdfdoc.bad_value", "mm"},
		{"<table><tr><td colspan='1000'>a</td></tr></table>", "pdfdoc.bad_value", "colspan"},
		{"<signature-box>", "pdfdoc.bad_value", "name"},
		{"<signature-box name=a></signature-box><signature-box name=a>", "pdfdoc.box_twice", "a"},
		{"<ul>text</ul>", "pdfdoc.misplaced", "ul"},
		{"\xff", "pdfdoc.bad_text", ""},
		{strings.Repeat("a", MaxInput+1), "pdfdoc.too_large", ""},
		{strings.Repeat("<p>a</p>", 20000), "pdfdoc.too_many_pages", ""},
	} {
		_, err := Render([]byte(v.html), Options{Now: now})
		key, args := errs.KeyOf(err)
		if e := (*errs.Error)(nil); !errors.As(err, &e) || key != v.key || v.arg != "" && !slices.Contains(args, any(v.arg)) {
			t.Errorf("Render(%.40q) = %v %v; want %s %s", v.html, err, args, v.key, v.arg)
		}
		for _, l := range i18n.Langs {
			if s := cat.T(l, key, args...); strings.ContainsAny(s, "[{") {
				t.Errorf("%s: %s has a gap: %s", l, key, s)
			}
		}
	}
	if _, err := Render([]byte("<p>a</p>"), Options{}); err == nil {
		t.Error("Render without Now: want an error")
	}
}

// Vietnamese letters beyond ASCII: 67 in lower case, 134 with capitals.
const letters = "àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ"

// A page with a poor font shows boxes while its text extracts perfectly, so the fonts themselves are checked.
func TestGlyphs(t *testing.T) {
	all := letters + strings.Map(unicode.ToUpper, letters)
	if n := len([]rune(all)); n != 134 {
		t.Fatalf("%d letters; want 134", n)
	}
	for r := rune(' '); r <= '~'; r++ {
		all += string(r)
	}
	all += "₫€–—‘’“”•…§°№□←→≤≥"
	for _, f := range []string{"", "B", "I", "BI"} {
		font, err := sfnt.Parse(face(f))
		if err != nil {
			t.Fatal(err)
		}
		var buf sfnt.Buffer
		for _, r := range all {
			i, err := font.GlyphIndex(&buf, r)
			if err != nil || i == 0 {
				t.Errorf("face %q lacks %q", f, r)
				continue
			}
			if segs, err := font.LoadGlyph(&buf, i, 1000<<6, nil); r != ' ' && (err != nil || len(segs) == 0) {
				t.Errorf("face %q draws nothing for %q: %v", f, r, err)
			}
		}
		regular, err := sfnt.Parse(tinosRegular)
		if err != nil {
			t.Fatal(err)
		}
		for r := rune(0); r <= 0xFFFF; r++ { // Render asks the regular face for all
			a, _ := regular.GlyphIndex(&buf, r)
			b, _ := font.GlyphIndex(&buf, r)
			if a != 0 && b == 0 {
				t.Errorf("face %q lacks %U, which the regular face has", f, r)
			}
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add([]byte(slip(f)))
	f.Add([]byte("<table><thead><tr><th>a<tbody><tr><td colspan=3><table><tr><td>x</table><ul><li><ol><li>y"))
	f.Add([]byte("<div class=columns><div width=5%>a</div><div><qr data=x></div></div><space mm=200><hr width=10%>"))
	f.Add([]byte("<p class='indent right'>" + strings.Repeat("ữ", 400) + "<signature-box name=a h=200><signature-box name=b h=200>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			return // enough is tested with less
		}
		doc, err := Render(b, Options{Now: now})
		if err != nil {
			if e := (*errs.Error)(nil); !errors.As(err, &e) {
				t.Fatalf("an input must not cause an internal error: %v", err)
			}
			return
		}
		if doc.Pages < 1 || !bytes.HasPrefix(doc.PDF, []byte("%PDF-")) {
			t.Fatal("no document")
		}
		for name, box := range doc.Boxes {
			if box.Page < 1 || box.Page > doc.Pages || !(box.W > 0 && box.H > 0) {
				t.Fatalf("box %q = %+v", name, box)
			}
		}
	})
}
