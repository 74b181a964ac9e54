package paper

import (
	"archive/zip"
	"bytes"
	"slices"
	"strings"
	"testing"

	"truc/internal/errs"
)

const contentTypes = `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>`

// docx packs a template whose document has the given body. More parts follow as name and text.
func docx(t testing.TB, body string, more ...string) []byte {
	t.Helper()
	parts := []part{
		{name: "[Content_Types].xml", text: contentTypes},
		{name: "word/document.xml", text: xmlHead + `<w:document xmlns:w="` + wordML + `" xmlns:w15="http://schemas.microsoft.com/office/word/2012/wordml"><w:body>` + body + `</w:body></w:document>`},
	}
	for i := 0; i < len(more); i += 2 {
		parts = append(parts, part{name: more[i], text: more[i+1]})
	}
	b, err := pack(parts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// control is a content control as Word writes it.
func control(tag, content string) string {
	return `<w:sdt><w:sdtPr><w:alias w:val="x"/><w:tag w:val="` + tag + `"/><w:id w:val="7"/><w:showingPlcHdr/><w:dataBinding w:xpath="/x"/><w:text/></w:sdtPr><w:sdtContent>` + content + `</w:sdtContent></w:sdt>`
}

// form has a control of each kind: within a line, around paragraphs, around a cell and around rows; the placeholder is split into
// pieces as Word does.
func form() string {
	return `<w:p><w:pPr><w:jc w:val="center"/></w:pPr><w:r><w:t>Số: </w:t></w:r>` +
		control("code", `<w:r><w:rPr><w:rStyle w:val="PlaceholderText"/><w:b/></w:rPr><w:t>Nhấp</w:t></w:r><w:r><w:t> vào đây</w:t></w:r>`) + `</w:p>` +
		control("body", `<w:p><w:pPr><w:ind w:firstLine="720"/></w:pPr><w:r><w:rPr><w:sz w:val="28"/></w:rPr><w:t>nội dung</w:t></w:r></w:p><w:p><w:r><w:t>thừa</w:t></w:r></w:p>`) +
		`<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Nơi nhận</w:t></w:r></w:p></w:tc></w:tr>` +
		control("to_place_rows", `<w:tr><w:tc><w:tcPr><w:tcW w:w="100"/></w:tcPr><w:p><w:r><w:t>- </w:t></w:r>`+control("to_place", `<w:r><w:t>nơi</w:t></w:r>`)+`</w:p></w:tc>`+
			control("signer", `<w:tc><w:tcPr><w:tcW w:w="200"/></w:tcPr><w:p><w:r><w:t>ai</w:t></w:r></w:p></w:tc>`)+`</w:tr>`) + `</w:tbl>`
}

func keyOf(err error) string {
	if err == nil {
		return ""
	}
	key, _ := errs.KeyOf(err)
	return key
}

func TestTemplate(t *testing.T) {
	file := docx(t, form(), "word/header1.xml", xmlHead+`<w:hdr xmlns:w="`+wordML+`"><w:p>`+control("agency", `<w:r><w:t>cơ quan</w:t></w:r>`)+`</w:p></w:hdr>`,
		"word/media/image1.png", "\x89PNG bytes", "word/settings.xml", `<w:settings xmlns:w="`+wordML+`"/>`)
	tpl, err := OpenTemplate(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"agency", "body", "code", "signer", "to_place", "to_place_rows"}; !slices.Equal(tpl.Tags(), want) {
		t.Errorf("Tags = %q; want %q", tpl.Tags(), want)
	}
	p := letter()
	p.Body = "Đoạn <một> & \"hai\".\nĐoạn hai."
	out, err := tpl.Fill(p.Values())
	if err != nil {
		t.Fatal(err)
	}
	parts := unzip(t, out)
	for name, text := range parts {
		if strings.HasSuffix(name, ".xml") {
			if err := wellFormed(text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if parts["word/media/image1.png"] != "\x89PNG bytes" {
		t.Error("a picture was changed")
	}
	if !strings.Contains(parts["word/header1.xml"], "SỞ KHOA HỌC VÀ CÔNG NGHỆ") {
		t.Error("the head of the page is not filled")
	}
	doc := parts["word/document.xml"]
	for _, want := range []string{
		`<w:rPr><w:b/></w:rPr><w:t xml:space="preserve">08/SKHCN-VP</w:t>`,
		`<w:p><w:pPr><w:ind w:firstLine="720"/></w:pPr><w:r><w:rPr><w:sz w:val="28"/></w:rPr><w:t xml:space="preserve">Đoạn &lt;một&gt; &amp; &#34;hai&#34;.</w:t></w:r></w:p><w:p><w:pPr><w:ind w:firstLine="720"/></w:pPr>`,
		`<w:jc w:val="center"/>`, `<w:tcW w:w="200"/>`,
	} {
		if !strings.Contains(doc, want) {
			t.Errorf("the document lacks %s:\n%s", want, doc)
		}
	}
	for _, not := range []string{"Nhấp", "vào đây", "thừa", "PlaceholderText", "showingPlcHdr", "dataBinding"} {
		if strings.Contains(doc, not) {
			t.Errorf("%s is still there", not)
		}
	}
	var got []string
	for _, r := range docxRows(t, doc) {
		got = append(got, strings.Join(r, "|"))
	}
	want := []string{"Nơi nhận"}
	for _, s := range p.ToPlaces {
		want = append(want, "- "+s+"|"+p.Signer)
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows %q; want %q", got, want)
	}
	// What was filled is a template again: the controls stay, but those of rows, whose numbers must not occur twice.
	again, err := OpenTemplate(out)
	if err != nil || !slices.Contains(again.Tags(), "body") || strings.Count(doc, `<w:id w:val="7"/>`) != 2 {
		t.Errorf("the filled file has the fields %v, %v", again, err)
	}
	// No rows: nothing is left of them, and their fields are not missing.
	p.ToPlaces = nil
	if out, err = tpl.Fill(p.Values()); err != nil || len(docxRows(t, unzip(t, out)["word/document.xml"])) != 1 {
		t.Errorf("without rows: %v", err)
	}
}

func TestTemplateRefused(t *testing.T) {
	ok := control("body", `<w:p/>`)
	rels := func(typ, mode string) string {
		return `<Relationships xmlns="r"><Relationship Id="a" Type="http://x/` + typ + `" Target="http://evil.example/t.dotm" TargetMode="` + mode + `"/></Relationships>`
	}
	bomb := func() []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, _ := z.Create("word/document.xml")
		zero := make([]byte, 1<<20)
		for range 80 {
			_, _ = w.Write(zero)
		}
		_ = z.Close()
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		file []byte
		key  string
	}{
		"fine":             {docx(t, ok), ""},
		"link":             {docx(t, ok, "word/_rels/document.xml.rels", rels("hyperlink", "External")), ""},
		"not a zip":        {[]byte("PK"), "paper.template_broken"},
		"empty zip":        {func() []byte { b, _ := pack(nil); return b }(), "paper.template_broken"},
		"no fields":        {docx(t, "<w:p/>"), "paper.template_no_fields"},
		"macros":           {docx(t, ok, "word/vbaProject.bin", "x"), "paper.template_macros"},
		"from the network": {docx(t, ok, "word/_rels/settings.xml.rels", rels("attachedTemplate", "External")), "paper.template_external"},
		"way out":          {docx(t, ok, "../../etc/passwd", "x"), "paper.template_broken"},
		"twice":            {docx(t, ok, "word/Document.xml", "x"), "paper.template_broken"},
		"document type":    {docx(t, ok, "word/header1.xml", `<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`), "paper.template_broken"},
		"entity":           {docx(t, ok, "word/header1.xml", `<x>&a;</x>`), "paper.template_broken"},
		"unclosed":         {docx(t, ok, "word/header1.xml", `<x><y></x></y>`), "paper.template_broken"},
		"deep":             {docx(t, ok, "word/header1.xml", strings.Repeat("<x>", 300)+strings.Repeat("</x>", 300)), "paper.template_large"},
		"bomb":             {bomb(), "paper.template_large"},
		"large":            {make([]byte, MaxTemplate+1), "paper.template_large"},
	} {
		if _, err := OpenTemplate(c.file); keyOf(err) != c.key {
			t.Errorf("%s: %v; want %q", name, err, c.key)
		}
	}
	tpl, err := OpenTemplate(docx(t, control("khong_co", `<w:p/>`)))
	if err != nil {
		t.Fatal(err)
	}
	p := letter()
	if _, err := tpl.Fill(p.Values()); keyOf(err) != "paper.template_tag" {
		t.Errorf("a field without a value: %v", err)
	}
}

// Any file is refused or filled, and what was filled can be read again.
func FuzzTemplate(f *testing.F) {
	f.Add(form())
	f.Add(control("body", `<w:tc><w:p/></w:tc>`))
	f.Add(control("to_place_rows", control("body", `<w:r/>`)) + `<!-- c --><?p i?><w:p xmlns:w="x"/>`)
	p := letter()
	values := p.Values()
	f.Fuzz(func(t *testing.T, body string) {
		tpl, err := OpenTemplate(docx(t, body))
		if err != nil {
			return
		}
		out, err := tpl.Fill(values)
		if err != nil {
			return
		}
		if err := wellFormed(unzip(t, out)["word/document.xml"]); err != nil {
			t.Errorf("what was filled is broken: %v", err)
		}
	})
}

// FuzzTemplateFile reads any bytes as a file.
func FuzzTemplateFile(f *testing.F) {
	f.Add(docx(f, form()))
	f.Add([]byte("PK\x03\x04"))
	p := letter()
	values := p.Values()
	f.Fuzz(func(t *testing.T, b []byte) {
		if tpl, err := OpenTemplate(b); err == nil {
			if _, err := tpl.Fill(values); err != nil && keyOf(err) != "paper.template_tag" {
				t.Errorf("Fill: %v", err)
			}
		}
	})
}
