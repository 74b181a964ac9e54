package paper

import (
	"os"
	"strings"
	"testing"
	"time"

	"truc/internal/documents"
)

func wordPaper() documents.Paper {
	kind, _ := documents.TypeOf("QĐ")
	return documents.Paper{
		Superior: "Ủy ban nhân dân tỉnh Ví Dụ", Agency: "Sở Mẫu", Code: documents.Code{Number: "08", Notation: "QĐ-SM"}, Place: "Ví Dụ",
		Date: time.Date(2026, 2, 5, 3, 0, 0, 0, time.UTC), Type: kind, Subject: "Ban hành Quy chế <mẫu> & thử", Authority: "KT. GIÁM ĐỐC", Title: "Phó Giám đốc",
		Signer: "Nguyễn Văn An", ToPlaces: []string{"Như Điều 3", "Lưu: VT"},
		Body: "Căn cứ Luật Ví dụ;\nQUYẾT ĐỊNH:\nĐiều 1. Ban hành kèm theo Quyết định này **Quy chế** mẫu.\n| TT | Tên |\n|---|---|\n| 1 | Một |\n| 2 |",
	}
}

// A document as DOCX has the nine parts, is well-formed XML in all its parts, and tells bold and italic as the print does.
func TestWord(t *testing.T) {
	f, err := Word(wordPaper(), nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "08-qd-sm.docx" || f.Media != docxMedia {
		t.Errorf("file %q of %q", f.Name, f.Media)
	}
	if at := os.Getenv("TRUC_KEEP_PICTURES"); at != "" {
		_ = os.WriteFile(at+"/"+f.Name, f.Content, 0o600)
	}
	parts := unzip(t, f.Content)
	for name, text := range parts {
		if err := wellFormed(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	doc := parts["word/document.xml"]
	for _, want := range []string{
		">CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM<", ">Độc lập - Tự do - Hạnh phúc<", ">ỦY BAN NHÂN DÂN TỈNH VÍ DỤ<", ">SỞ MẪU<", ">Số: 08/QĐ-SM<",
		">Ví Dụ, ngày 05 tháng 02 năm 2026<", ">QUYẾT ĐỊNH<", ">Ban hành Quy chế &lt;mẫu&gt; &amp; thử<", ">KT. GIÁM ĐỐC<", ">PHÓ GIÁM ĐỐC<", ">Nguyễn Văn An<",
		">- Lưu: VT.<", `<w:i/><w:iCs/><w:sz w:val="28"/><w:szCs w:val="28"/></w:rPr><w:t xml:space="preserve">Căn cứ Luật Ví dụ;<`,
		`<w:b/><w:bCs/><w:sz w:val="28"/><w:szCs w:val="28"/></w:rPr><w:t xml:space="preserve">Điều 1.<`, `<w:t xml:space="preserve">Quy chế</w:t>`,
	} {
		if !strings.Contains(doc, want) {
			t.Errorf("the document lacks %s", want)
		}
	}
	rows := docxRows(t, doc)
	if len(rows) != 5 || strings.Join(rows[1], "|") != "TT|Tên" || strings.Join(rows[3], "|") != "2|" {
		t.Errorf("rows: %q", rows)
	}
	p := wordPaper()
	p.Type, _ = documents.TypeOf(documents.OfficialLetter)
	p.Code.Number = ""
	if f, err = Word(p, nil, now); err != nil || f.Name != "du-thao-cong-van.docx" || !strings.Contains(unzip(t, f.Content)["word/document.xml"], ">V/v Ban hành Quy chế") {
		t.Errorf("a letter: %q, %v", f.Name, err)
	}
}

// With a template of the agency's own, that is what is filled.
func TestWordTemplate(t *testing.T) {
	f, err := Word(wordPaper(), docx(t, `<w:p><w:r><w:t>MẪU RIÊNG </w:t></w:r>`+control("subject", `<w:r><w:t>x</w:t></w:r>`)+`</w:p>`), now)
	if err != nil {
		t.Fatal(err)
	}
	if doc := unzip(t, f.Content)["word/document.xml"]; !strings.Contains(doc, "MẪU RIÊNG") || !strings.Contains(doc, "Ban hành Quy chế") || strings.Contains(doc, "CỘNG HÒA") {
		t.Errorf("the template was not used: %s", doc)
	}
	if _, err := Word(wordPaper(), []byte("x"), now); keyOf(err) != "paper.template_broken" {
		t.Errorf("a broken template: %v", err)
	}
}
