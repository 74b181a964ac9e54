package paper

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"truc/internal/errs"
)

var now = time.Date(2026, 11, 22, 3, 5, 7, 0, time.UTC) // 10:05:07 in Viet Nam

// tool runs an external program in a folder with the file. Without the program the test is skipped at a desk and fails in CI.
func tool(t testing.TB, pdf []byte, name string, args ...string) (out, dir string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed", name)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "doc.pdf"), pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	b, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, b)
	}
	return string(b), dir
}

// pageText is what a page says, its white space collapsed; page 0 is the whole file.
func pageText(t testing.TB, pdf []byte, page int) string {
	t.Helper()
	args := []string{"-enc", "UTF-8", "-layout", "doc.pdf", "-"}
	if page > 0 {
		args = append([]string{"-f", fmt.Sprint(page), "-l", fmt.Sprint(page)}, args...)
	}
	out, _ := tool(t, pdf, "pdftotext", args...)
	return strings.Join(strings.Fields(out), " ")
}

// picture renders a page.
func picture(t testing.TB, pdf []byte, page, dpi int) image.Image {
	t.Helper()
	_, dir := tool(t, pdf, "pdftoppm", "-png", "-r", fmt.Sprint(dpi), "-f", fmt.Sprint(page), "-l", fmt.Sprint(page), "-singlefile", "doc.pdf", "page")
	b, err := os.ReadFile(filepath.Join(dir, "page.png"))
	if err != nil {
		t.Fatal(err)
	}
	if at := os.Getenv("TRUC_KEEP_PICTURES"); at != "" {
		_ = os.WriteFile(filepath.Join(at, fmt.Sprintf("%s-%d.png", strings.ReplaceAll(t.Name(), "/", "_"), page)), b, 0o600)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func set(t testing.TB, p Paper) Typeset {
	t.Helper()
	p.Now = now
	out, err := Set(p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// letter is an official letter with every position filled.
func letter() Paper {
	return Paper{
		Superior: "Ủy ban nhân dân tỉnh Ví Dụ", Agency: "Sở Khoa học và Công nghệ", Number: "08", Notation: "SKHCN-VP", Place: "Ví Dụ",
		Date: Date{2026, 1, 5}, TypeName: "Công văn", Subject: "triển khai gửi, nhận văn bản điện tử có ký số giữa các cơ quan",
		Receivers: []string{"Bộ Ví Dụ", "Các sở, ban, ngành thuộc tỉnh", "Ủy ban nhân dân các xã, phường"},
		Body: "Thực hiện Quyết định số 28/2018/QĐ-TTg ngày 12 tháng 7 năm 2018 của Thủ tướng Chính phủ về việc gửi, nhận văn bản điện tử giữa các cơ quan trong hệ thống hành chính nhà nước, Sở Khoa học và Công nghệ đề nghị các cơ quan, đơn vị thực hiện một số nội dung sau:\n" +
			"1. **Phát hành văn bản điện tử** ngay trong ngày văn bản đó được ký, chậm nhất trong buổi sáng của ngày làm việc tiếp theo.\n" +
			"2. Rà soát danh mục mã định danh, gồm:\n| TT | Cơ quan | Mã |\n|---|---|---|\n| 1 | Sở Mẫu | H99.07 |\n| 2 | Bộ Ví Dụ | G98 |\n" +
			"Đề nghị các cơ quan, đơn vị quan tâm, phối hợp thực hiện./.",
		Competence: "KT. GIÁM ĐỐC", Position: "PHÓ GIÁM ĐỐC", Signer: "Nguyễn Thị Ễnh Ương",
		ToPlaces: []string{"Như trên", "UBND tỉnh (b/c)", "Giám đốc, các Phó Giám đốc", "Lưu: VT, VP"}, Urgency: Flash,
		Circulation: "Lưu hành nội bộ", DrafterMark: "nta", Copies: 12,
		Address: "Số 1 đường Mẫu, phường Ví Dụ, tỉnh Ví Dụ; điện thoại: 0200 000 0000; thư điện tử: skhcn@vidu.example",
	}
}

// decision is a document with a type, several pages and two appendices.
func decision() Paper {
	p := letter()
	p.TypeName, p.Subject, p.Notation, p.Receivers, p.Urgency, p.Circulation, p.Address = "Quyết định", "Ban hành Quy chế gửi, nhận văn bản điện tử", "QĐ-SKHCN", nil, Ordinary, "", ""
	var b strings.Builder
	b.WriteString("Căn cứ Luật Tổ chức chính quyền địa phương;\nCăn cứ Nghị định số 30/2020/NĐ-CP ngày 05 tháng 3 năm 2020 của Chính phủ về công tác văn thư;\nTheo đề nghị của Chánh Văn phòng.\nQUYẾT ĐỊNH:\n")
	for i := range 24 {
		fmt.Fprintf(&b, "Điều %d. Trách nhiệm của các đơn vị trong việc gửi, nhận và xử lý văn bản điện tử được quy định cụ thể tại từng khoản của Quy chế ban hành kèm theo Quyết định này, bảo đảm thống nhất.\n", i+1)
	}
	p.Body = b.String()
	p.Appendixes = []Appendix{
		{"Danh mục mã định danh", "| TT | Mã |\n|--|--|\n| 1 | H99.07 |"},
		{"Quy trình", "Chương I\nQUY ĐỊNH CHUNG\nĐiều 1. Phạm vi điều chỉnh\n" + strings.Repeat("Văn bản này quy định việc gửi, nhận văn bản điện tử.\n", 60)},
	}
	return p
}

func TestLetter(t *testing.T) {
	doc := set(t, letter())
	if doc.Pages != 1 || len(doc.Missing) != 0 {
		t.Errorf("Pages = %d, Missing = %q; want 1 page, nothing missing", doc.Pages, doc.Missing)
	}
	got := pageText(t, doc.PDF, 0)
	for _, want := range []string{
		"CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc", "Số: 08/SKHCN-VP", "Ví Dụ, ngày 05 tháng 01 năm 2026",
		"Kính gửi:", "- Bộ Ví Dụ;", "- Ủy ban nhân dân các xã, phường.", "HỎA TỐC", "LƯU HÀNH NỘI BỘ", "KT. GIÁM ĐỐC", "PHÓ GIÁM ĐỐC",
		"Nguyễn Thị Ễnh Ương", "Nơi nhận:", "- Như trên;", "- Lưu: VT, VP, NTA (12).", "Số 1 đường Mẫu", "V/v triển khai", "Mã", "H99.07",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the letter lacks %q:\n%s", want, got)
		}
	}
	picture(t, doc.PDF, 1, 100)
}

func TestDecision(t *testing.T) {
	doc := set(t, decision())
	for n := range doc.Pages {
		picture(t, doc.PDF, n+1, 60)
	}
	first := pageText(t, doc.PDF, 1)
	for _, want := range []string{"QUYẾT ĐỊNH Ban hành Quy chế", "Căn cứ Luật", "QUYẾT ĐỊNH:", "Điều 1."} {
		if !strings.Contains(first, want) {
			t.Errorf("page 1 lacks %q:\n%s", want, first)
		}
	}
}

// The parts may come in any Unicode form: macOS and iOS send letters and marks apart.
func TestDecomposed(t *testing.T) {
	p := letter()
	a := set(t, p)
	for _, s := range []*string{&p.Superior, &p.Agency, &p.Place, &p.Subject, &p.Body, &p.Signer, &p.Competence, &p.Position, &p.Address} {
		*s = norm.NFD.String(*s)
	}
	if b := set(t, p); !bytes.Equal(a.PDF, b.PDF) || len(b.Missing) != 0 {
		t.Errorf("decomposed text is set otherwise; missing %q", b.Missing)
	}
}

func TestTooMuch(t *testing.T) {
	p := letter()
	p.Body = strings.Repeat("x", MaxText+1)
	p.Now = now
	if _, err := Set(p); !errs.Is(err, errs.TooLarge) {
		t.Errorf("Set of too long a text: %v; want TooLarge", err)
	}
	p.Body = strings.Repeat("x\n", 100_000)
	if _, err := Set(p); !errs.Is(err, errs.TooLarge) {
		t.Errorf("Set of too many pages: %v; want TooLarge", err)
	}
}

// Names that fill a page by themselves are refused, with what to shorten.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("Ban Quản lý ", 300)
	for key, change := range map[string]func(*Paper){
		"paper.head_long":      func(p *Paper) { p.Agency = long },
		"paper.signature_long": func(p *Paper) { p.Position = long },
	} {
		p := letter()
		p.Now = now
		change(&p)
		if _, err := Set(p); keyOf(err) != key {
			t.Errorf("Set: %v; want %s", err, key)
		}
	}
}
