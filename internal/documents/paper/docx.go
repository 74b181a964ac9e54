package paper

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"truc/internal/i18n"
	"truc/internal/pdfdoc"
)

// docxMedia is the media type of Office Open XML text (ECMA-376).
const docxMedia = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

// wordML is the namespace of the text of a DOCX file.
const wordML = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

// part is a file in a DOCX package: its text, or what writes it, since a register of a year is long.
type part struct {
	name, text string
	write      func(w *bufio.Writer)
}

// pack writes a DOCX package. The same parts give the same bytes.
func pack(parts []part) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, p := range parts {
		w, err := z.CreateHeader(&zip.FileHeader{Name: p.name, Method: zip.Deflate})
		if err != nil {
			return nil, err
		}
		to := bufio.NewWriterSize(w, 64<<10)
		if p.write != nil {
			p.write(to)
		} else {
			_, _ = to.WriteString(p.text) // Flush tells
		}
		if err := to.Flush(); err != nil {
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

// put writes text; what fails shows when the part is flushed.
func put(b *bufio.Writer, s string) { _, _ = b.WriteString(s) }

// docxStyle is how a paragraph looks: alignment, size in points, room before it in points, indents in mm.
type docxStyle struct {
	align               string
	size                float64
	bold, italic, under bool
	before, left, first float64
}

// docxParagraph writes a paragraph; line feeds break its lines.
func docxParagraph(b *bufio.Writer, s string, st docxStyle) {
	docxRuns(b, []pdfdoc.Run{{Text: s, Font: pdfdoc.Font{Size: st.size, Bold: st.bold, Italic: st.italic, Underline: st.under}}}, st)
}

// docxRuns writes a paragraph of runs, which have sizes and faces of their own. The order of elements is that of the schema.
func docxRuns(b *bufio.Writer, runs []pdfdoc.Run, st docxStyle) {
	put(b, "<w:p><w:pPr>")
	if st.before > 0 {
		put(b, fmt.Sprintf(`<w:spacing w:before="%.0f"/>`, 20*st.before))
	}
	if st.left > 0 || st.first > 0 {
		put(b, fmt.Sprintf(`<w:ind w:left="%d" w:firstLine="%d"/>`, twips(st.left), twips(st.first)))
	}
	if st.align != "" {
		put(b, fmt.Sprintf(`<w:jc w:val="%s"/>`, st.align))
	}
	put(b, "</w:pPr>")
	for _, r := range runs {
		put(b, "<w:r><w:rPr>")
		if r.Font.Bold {
			put(b, "<w:b/><w:bCs/>")
		}
		if r.Font.Italic {
			put(b, "<w:i/><w:iCs/>")
		}
		if r.Font.Size > 0 {
			put(b, fmt.Sprintf(`<w:sz w:val="%.0f"/><w:szCs w:val="%.0f"/>`, 2*r.Font.Size, 2*r.Font.Size))
		}
		if r.Font.Underline {
			put(b, `<w:u w:val="single"/>`)
		}
		put(b, "</w:rPr>")
		for i, line := range strings.Split(r.Text, "\n") {
			if i > 0 {
				put(b, "<w:br/>")
			}
			put(b, `<w:t xml:space="preserve">`+esc(line)+"</w:t>")
		}
		put(b, "</w:r>")
	}
	put(b, "</w:p>")
}

// twips is a length in mm in twentieths of a point.
func twips(mm float64) int { return int(mm/25.4*1440 + 0.5) }

// docxTable writes a table with frames, whose first rows are repeated on every page.
func docxTable(b *bufio.Writer, widths []float64, head, rows [][]string, size float64) {
	put(b, `<w:tbl><w:tblPr><w:tblW w:w="0" w:type="auto"/><w:tblBorders>`)
	for _, side := range []string{"top", "left", "bottom", "right", "insideH", "insideV"} {
		put(b, fmt.Sprintf(`<w:%s w:val="single" w:sz="4" w:space="0" w:color="000000"/>`, side))
	}
	put(b, `</w:tblBorders><w:tblLayout w:type="fixed"/></w:tblPr><w:tblGrid>`)
	for _, w := range widths {
		put(b, fmt.Sprintf(`<w:gridCol w:w="%d"/>`, twips(w)))
	}
	put(b, "</w:tblGrid>")
	row := func(cells []string, isHead bool) {
		put(b, "<w:tr><w:trPr><w:cantSplit/>")
		st := docxStyle{size: size}
		if isHead {
			put(b, "<w:tblHeader/>")
			st.bold, st.align = true, "center"
		}
		put(b, "</w:trPr>")
		for i, c := range cells {
			put(b, fmt.Sprintf(`<w:tc><w:tcPr><w:tcW w:w="%d" w:type="dxa"/>`, twips(widths[i])))
			if isHead {
				put(b, `<w:vAlign w:val="center"/>`)
			}
			put(b, "</w:tcPr>")
			docxParagraph(b, c, st)
			put(b, "</w:tc>")
		}
		put(b, "</w:tr>")
	}
	for _, r := range head {
		row(r, true)
	}
	for _, r := range rows {
		row(r, false)
	}
	put(b, "</w:tbl>")
}

// docxFile puts a body into a package. Pages are portrait or landscape A4; their number stands in the middle of the head from
// the second page on.
func docxFile(title, author string, body func(*bufio.Writer), l Layout, landscape bool, now time.Time) ([]byte, error) {
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
		{name: "[Content_Types].xml", text: xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>` +
			`<Override PartName="/word/document.xml" ContentType="` + typed + `document.main+xml"/><Override PartName="/word/styles.xml" ContentType="` + typed + `styles+xml"/>` +
			`<Override PartName="/word/header1.xml" ContentType="` + typed + `header+xml"/><Override PartName="/word/header2.xml" ContentType="` + typed + `header+xml"/>` +
			`<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>`},
		{name: "_rels/.rels", text: xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="rId1" Type="` + rel + `/officeDocument" Target="word/document.xml"/>` +
			`<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/></Relationships>`},
		{name: "docProps/core.xml", text: xmlHead + `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/" ` +
			`xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>` + esc(title) + `</dc:title><dc:creator>` + esc(author) +
			`</dc:creator><dcterms:created xsi:type="dcterms:W3CDTF">` + at + `</dcterms:created><dcterms:modified xsi:type="dcterms:W3CDTF">` + at + `</dcterms:modified></cp:coreProperties>`},
		{name: "word/document.xml", write: func(b *bufio.Writer) {
			put(b, xmlHead+`<w:document xmlns:w="`+wordML+`" xmlns:r="`+rel+`"><w:body>`)
			body(b)
			put(b, section+`</w:body></w:document>`)
		}},
		{name: "word/_rels/document.xml.rels", text: xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="rId1" Type="` + rel + `/styles" Target="styles.xml"/><Relationship Id="rId2" Type="` + rel + `/header" Target="header1.xml"/>` +
			`<Relationship Id="rId3" Type="` + rel + `/header" Target="header2.xml"/></Relationships>`},
		{name: "word/styles.xml", text: xmlHead + `<w:styles xmlns:w="` + wordML + `"><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Times New Roman" w:hAnsi="Times New Roman" ` +
			`w:cs="Times New Roman" w:eastAsia="Times New Roman"/><w:sz w:val="26"/><w:szCs w:val="26"/><w:lang w:val="vi-VN"/></w:rPr></w:rPrDefault><w:pPrDefault/></w:docDefaults>` +
			`<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style></w:styles>`},
		{name: "word/header1.xml", text: xmlHead + `<w:hdr xmlns:w="` + wordML + `"><w:p><w:pPr><w:jc w:val="center"/></w:pPr><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText xml:space="preserve"> PAGE </w:instrText></w:r>` +
			`<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>2</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p></w:hdr>`},
		{name: "word/header2.xml", text: xmlHead + `<w:hdr xmlns:w="` + wordML + `"><w:p/></w:hdr>`},
	})
}

// registerDOCX writes a register as an office program opens it.
func registerDOCX(t Table, now time.Time) ([]byte, error) {
	return docxFile(t.Title, t.Agency, func(b *bufio.Writer) { registerBody(b, t) }, registerLayout, true, now)
}

func registerBody(b *bufio.Writer, t Table) {
	if t.Superior != "" {
		docxParagraph(b, upper(t.Superior), docxStyle{size: 12})
	}
	docxParagraph(b, upper(t.Agency), docxStyle{size: 12, bold: true})
	docxParagraph(b, upper(t.Title), docxStyle{align: "center", size: 15, bold: true})
	for _, line := range period(t) {
		docxParagraph(b, line, docxStyle{align: "center", size: 12, italic: true})
	}
	docxParagraph(b, "", docxStyle{size: 6})
	width := pageHeight - registerLayout.Left - registerLayout.Right
	docxTable(b, shares(t.Columns, width), [][]string{t.Columns, numbers(len(t.Columns))}, t.Rows, registerLayout.Body)
	if len(t.Rows) == 0 {
		docxParagraph(b, "Không có văn bản nào trong kỳ.", docxStyle{align: "center", size: 12, italic: true})
	} else {
		docxParagraph(b, "", docxStyle{size: 6}) // a table must not be the last of a text
	}
}
