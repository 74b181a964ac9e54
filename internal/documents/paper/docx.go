package paper

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"truc/internal/i18n"
)

// docxMedia is the media type of Office Open XML text (ECMA-376).
const docxMedia = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

// wordML is the namespace of the text of a DOCX file.
const wordML = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

// part is a file in a DOCX package.
type part struct{ name, text string }

// pack writes a DOCX package. The same parts give the same bytes.
func pack(parts []part) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, p := range parts {
		w, err := z.CreateHeader(&zip.FileHeader{Name: p.name, Method: zip.Deflate})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(p.text)); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// esc writes text for XML; characters that XML does not know become the replacement character.
func esc(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(i18n.NFC(s))) // a Builder does not fail
	return b.String()
}

// style of a paragraph of a DOCX: alignment, size in points, bold, italic.
type docxStyle struct {
	align        string
	size         float64
	bold, italic bool
}

// docxParagraph writes a paragraph; line feeds break its lines.
func docxParagraph(b *strings.Builder, s string, st docxStyle) {
	b.WriteString("<w:p><w:pPr>")
	if st.align != "" {
		fmt.Fprintf(b, `<w:jc w:val="%s"/>`, st.align)
	}
	b.WriteString("</w:pPr><w:r><w:rPr>")
	if st.bold {
		b.WriteString("<w:b/><w:bCs/>")
	}
	if st.italic {
		b.WriteString("<w:i/><w:iCs/>")
	}
	if st.size > 0 {
		fmt.Fprintf(b, `<w:sz w:val="%.0f"/><w:szCs w:val="%.0f"/>`, 2*st.size, 2*st.size)
	}
	b.WriteString("</w:rPr>")
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			b.WriteString("<w:br/>")
		}
		b.WriteString(`<w:t xml:space="preserve">` + esc(line) + "</w:t>")
	}
	b.WriteString("</w:r></w:p>")
}

// twips is a length in mm in twentieths of a point.
func twips(mm float64) int { return int(mm/25.4*1440 + 0.5) }

// docxTable writes a table with frames, whose first rows are repeated on every page.
func docxTable(b *strings.Builder, widths []float64, head, rows [][]string, size float64) {
	b.WriteString(`<w:tbl><w:tblPr><w:tblW w:w="0" w:type="auto"/><w:tblBorders>`)
	for _, side := range []string{"top", "left", "bottom", "right", "insideH", "insideV"} {
		fmt.Fprintf(b, `<w:%s w:val="single" w:sz="4" w:space="0" w:color="000000"/>`, side)
	}
	b.WriteString(`</w:tblBorders><w:tblLayout w:type="fixed"/></w:tblPr><w:tblGrid>`)
	for _, w := range widths {
		fmt.Fprintf(b, `<w:gridCol w:w="%d"/>`, twips(w))
	}
	b.WriteString("</w:tblGrid>")
	row := func(cells []string, isHead bool) {
		b.WriteString("<w:tr><w:trPr><w:cantSplit/>")
		st := docxStyle{size: size}
		if isHead {
			b.WriteString("<w:tblHeader/>")
			st.bold, st.align = true, "center"
		}
		b.WriteString("</w:trPr>")
		for i, c := range cells {
			fmt.Fprintf(b, `<w:tc><w:tcPr><w:tcW w:w="%d" w:type="dxa"/>`, twips(widths[i]))
			if isHead {
				b.WriteString(`<w:vAlign w:val="center"/>`)
			}
			b.WriteString("</w:tcPr>")
			docxParagraph(b, c, st)
			b.WriteString("</w:tc>")
		}
		b.WriteString("</w:tr>")
	}
	for _, r := range head {
		row(r, true)
	}
	for _, r := range rows {
		row(r, false)
	}
	b.WriteString("</w:tbl>")
}

// docxFile puts a body into a package. Pages are portrait or landscape A4; their number stands in the middle of the head from
// the second page on.
func docxFile(title, author, body string, l Layout, landscape bool, now time.Time) ([]byte, error) {
	w, h, orient := pageWidth, pageHeight, ""
	if landscape {
		w, h, orient = pageHeight, pageWidth, ` w:orient="landscape"`
	}
	section := fmt.Sprintf(`<w:sectPr><w:headerReference w:type="default" r:id="rId2"/><w:headerReference w:type="first" r:id="rId3"/>`+
		`<w:pgSz w:w="%d" w:h="%d"%s/><w:pgMar w:top="%d" w:right="%d" w:bottom="%d" w:left="%d" w:header="%d" w:footer="%d" w:gutter="0"/><w:titlePg/></w:sectPr>`,
		twips(w), twips(h), orient, twips(l.Top), twips(l.Right), twips(l.Bottom), twips(l.Left), twips(8), twips(8))
	at := now.UTC().Format("2006-01-02T15:04:05Z")
	const rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	const typed = "application/vnd.openxmlformats-officedocument.wordprocessingml."
	return pack([]part{
		{"[Content_Types].xml", xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>` +
			`<Override PartName="/word/document.xml" ContentType="` + typed + `document.main+xml"/><Override PartName="/word/styles.xml" ContentType="` + typed + `styles+xml"/>` +
			`<Override PartName="/word/header1.xml" ContentType="` + typed + `header+xml"/><Override PartName="/word/header2.xml" ContentType="` + typed + `header+xml"/>` +
			`<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>`},
		{"_rels/.rels", xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="rId1" Type="` + rel + `/officeDocument" Target="word/document.xml"/>` +
			`<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/></Relationships>`},
		{"docProps/core.xml", xmlHead + `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/" ` +
			`xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>` + esc(title) + `</dc:title><dc:creator>` + esc(author) +
			`</dc:creator><dcterms:created xsi:type="dcterms:W3CDTF">` + at + `</dcterms:created><dcterms:modified xsi:type="dcterms:W3CDTF">` + at + `</dcterms:modified></cp:coreProperties>`},
		{"word/document.xml", xmlHead + `<w:document xmlns:w="` + wordML + `" xmlns:r="` + rel + `"><w:body>` + body + section + `</w:body></w:document>`},
		{"word/_rels/document.xml.rels", xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="rId1" Type="` + rel + `/styles" Target="styles.xml"/><Relationship Id="rId2" Type="` + rel + `/header" Target="header1.xml"/>` +
			`<Relationship Id="rId3" Type="` + rel + `/header" Target="header2.xml"/></Relationships>`},
		{"word/styles.xml", xmlHead + `<w:styles xmlns:w="` + wordML + `"><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Times New Roman" w:hAnsi="Times New Roman" ` +
			`w:cs="Times New Roman" w:eastAsia="Times New Roman"/><w:sz w:val="26"/><w:szCs w:val="26"/><w:lang w:val="vi-VN"/></w:rPr></w:rPrDefault><w:pPrDefault/></w:docDefaults>` +
			`<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style></w:styles>`},
		{"word/header1.xml", xmlHead + `<w:hdr xmlns:w="` + wordML + `"><w:p><w:pPr><w:jc w:val="center"/></w:pPr><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText xml:space="preserve"> PAGE </w:instrText></w:r>` +
			`<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>2</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p></w:hdr>`},
		{"word/header2.xml", xmlHead + `<w:hdr xmlns:w="` + wordML + `"><w:p/></w:hdr>`},
	})
}

// registerDOCX writes a register as an office program opens it.
func registerDOCX(t Table, now time.Time) ([]byte, error) {
	var b strings.Builder
	if t.Superior != "" {
		docxParagraph(&b, upper(t.Superior), docxStyle{size: 12})
	}
	docxParagraph(&b, upper(t.Agency), docxStyle{size: 12, bold: true})
	docxParagraph(&b, upper(t.Title), docxStyle{align: "center", size: 15, bold: true})
	for _, line := range period(t) {
		docxParagraph(&b, line, docxStyle{align: "center", size: 12, italic: true})
	}
	docxParagraph(&b, "", docxStyle{size: 6})
	width := pageHeight - registerLayout.Left - registerLayout.Right
	docxTable(&b, shares(t.Columns, width), [][]string{t.Columns, numbers(len(t.Columns))}, t.Rows, registerLayout.Body)
	if len(t.Rows) == 0 {
		docxParagraph(&b, "Không có văn bản nào trong kỳ.", docxStyle{align: "center", size: 12, italic: true})
	} else {
		docxParagraph(&b, "", docxStyle{size: 6}) // a table must not be the last of a text
	}
	return docxFile(t.Title, t.Agency, b.String(), registerLayout, true, now)
}
