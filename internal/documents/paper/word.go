package paper

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"truc/internal/documents"
	"truc/internal/i18n"
	"truc/internal/pdfdoc"
)

// Word writes a document as DOCX: into the agency's own template when there is one, else in the form of Decree
// 30/2020/NĐ-CP. Nobody signs that file; it is for writing on in an office program.
//
// Errors are those of [OpenTemplate] and [Template.Fill].
func Word(doc documents.Paper, template []byte, now time.Time) (File, error) {
	p := paperOf(doc)
	out := File{Name: wordName(&p), Media: docxMedia}
	var err error
	if len(template) > 0 {
		var t *Template
		if t, err = OpenTemplate(template); err == nil {
			out.Content, err = t.Fill(p.Values())
		}
		return out, err
	}
	out.Content, err = docxFile(p.Subject, p.Agency, func(b *bufio.Writer) { wordBody(b, &p) }, p.Layout.settled(), false, now)
	return out, err
}

// wordName is the file's name, of its code or its type: "08-skhcn-vp.docx".
func wordName(p *Paper) string {
	t := Table{Title: code(p)}
	if p.Number == "" {
		t.Title = "du thao " + p.TypeName
	}
	return fileName(t, DOCX)
}

// wordBody writes the nine parts.
func wordBody(b *bufio.Writer, p *Paper) {
	letter := p.IsLetter()
	var left, right []docxLine
	if p.Superior != "" {
		left = append(left, docxLine{upper(p.Superior), docxStyle{align: "center", size: 12}})
	}
	left = append(left, docxLine{upper(p.Agency), docxStyle{align: "center", size: 12, bold: true}}, docxLine{"Số: " + number(p), docxStyle{align: "center", size: 13}})
	if letter && strings.TrimSpace(p.Subject) != "" {
		left = append(left, docxLine{about(p.Subject), docxStyle{align: "center", size: 12}})
	}
	if mark, _, _ := p.Urgency.mark(); mark != "" {
		left = append(left, docxLine{mark, docxStyle{align: "center", size: 13, bold: true}})
	}
	right = append(right, docxLine{state, docxStyle{align: "center", size: 12, bold: true}}, docxLine{motto, docxStyle{align: "center", size: 13, bold: true, under: true}},
		docxLine{dateline(p.Place, p.Date), docxStyle{align: "center", size: 13, italic: true}})
	docxColumns(b, left, right)
	if !letter {
		docxParagraph(b, "", docxStyle{size: 6})
		docxParagraph(b, upper(p.TypeName), docxStyle{align: "center", size: 14, bold: true})
		docxParagraph(b, strings.TrimSpace(p.Subject), docxStyle{align: "center", size: 14, bold: true})
	}
	if list := cleaned(p.Receivers); len(list) == 1 {
		docxParagraph(b, "Kính gửi: "+list[0], docxStyle{align: "center", size: 14})
	} else if len(list) > 1 {
		docxParagraph(b, "Kính gửi:", docxStyle{size: 14, left: 25})
		for i, r := range list {
			docxParagraph(b, "- "+ended(r, i == len(list)-1), docxStyle{size: 14, left: 45})
		}
	}
	wordText(b, p)
	docxParagraph(b, "", docxStyle{size: 6})
	left, right = nil, nil
	if list := cleaned(p.ToPlaces); len(list) > 0 {
		left = append(left, docxLine{"Nơi nhận:", docxStyle{size: 12, bold: true, italic: true}})
		for i, s := range list {
			left = append(left, docxLine{"- " + ended(s, i == len(list)-1), docxStyle{size: 11}})
		}
	}
	for line := range strings.SplitSeq(p.Competence+"\n"+p.Position, "\n") {
		if line = upper(line); line != "" {
			right = append(right, docxLine{line, docxStyle{align: "center", size: 14, bold: true}})
		}
	}
	for range 4 {
		right = append(right, docxLine{"", docxStyle{size: 14}})
	}
	right = append(right, docxLine{strings.TrimSpace(p.Signer), docxStyle{align: "center", size: 14, bold: true}})
	docxColumns(b, left, right)
	docxParagraph(b, "", docxStyle{size: 2}) // a table must not be the last of a text
}

// wordText writes the body, paragraph by paragraph, with the marks that [Set] reads.
func wordText(b *bufio.Writer, p *Paper) {
	grounds, wasDivision := !p.IsLetter(), false
	lines := strings.Split(i18n.NFC(strings.ReplaceAll(p.Body, "\r\n", "\n")), "\n")
	for i := 0; i < len(lines); i++ {
		s := strings.TrimSpace(lines[i])
		if s == "" {
			continue
		}
		if strings.HasPrefix(s, "|") {
			from := i
			for i+1 < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i+1]), "|") {
				i++
			}
			wordTable(b, lines[from:i+1])
			grounds, wasDivision = false, false
			continue
		}
		heading, isDivision := headline(s, wasDivision)
		wasDivision = isDivision
		f := pdfdoc.Font{Size: 14}
		switch {
		case heading != "":
			f.Bold = true
			docxRuns(b, marked(heading, f), docxStyle{align: "center", before: 6})
		case grounds && isGround(s):
			f.Italic = true
			docxRuns(b, marked(s, f), docxStyle{align: "both", before: 6, first: 12.7})
			continue
		default:
			docxRuns(b, articleRuns(s, f), docxStyle{align: "both", before: 6, first: 12.7})
		}
		grounds = false
	}
}

func wordTable(b *bufio.Writer, lines []string) {
	var head, rows [][]string
	columns := 0
	for _, l := range lines {
		r := cells(l)
		if len(rows) == 1 && len(head) == 0 && isDashes(r) {
			head, rows = rows, nil
			continue
		}
		columns = max(columns, len(r))
		rows = append(rows, r)
	}
	for _, part := range [][][]string{head, rows} {
		for i := range part {
			for len(part[i]) < columns {
				part[i] = append(part[i], "")
			}
		}
	}
	if columns == 0 {
		return
	}
	widths := make([]float64, columns)
	for i := range widths {
		widths[i] = 160 / float64(columns)
	}
	docxTable(b, widths, head, rows, 12)
}

// docxLine is a paragraph of a column.
type docxLine struct {
	text  string
	style docxStyle
}

// docxColumns stands two columns side by side, without frames.
func docxColumns(b *bufio.Writer, left, right []docxLine) {
	put(b, `<w:tbl><w:tblPr><w:tblW w:w="0" w:type="auto"/><w:tblLayout w:type="fixed"/></w:tblPr><w:tblGrid>`)
	widths := []float64{66, 94}
	for _, w := range widths {
		put(b, fmt.Sprintf(`<w:gridCol w:w="%d"/>`, twips(w)))
	}
	put(b, "</w:tblGrid><w:tr>")
	for i, column := range [][]docxLine{left, right} {
		put(b, fmt.Sprintf(`<w:tc><w:tcPr><w:tcW w:w="%d" w:type="dxa"/></w:tcPr>`, twips(widths[i])))
		for _, l := range column {
			docxParagraph(b, l.text, l.style)
		}
		if len(column) == 0 {
			docxParagraph(b, "", docxStyle{})
		}
		put(b, "</w:tc>")
	}
	put(b, "</w:tr></w:tbl>")
}
