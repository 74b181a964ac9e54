package pdfdoc

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"truc/internal/i18n"
)

// file writes the objects of a PDF file (ISO 32000-1 §7.5): a classic cross-reference table, no object streams.
type file struct {
	buf     bytes.Buffer
	offsets []int // by object number, from 1
	packer  *packer
}

// packer packs streams. One serves all of a file: making it costs more than a page.
type packer struct{ w *zlib.Writer }

func (p *packer) pack(content []byte) []byte {
	var out bytes.Buffer
	if p.w == nil {
		p.w = zlib.NewWriter(&out)
	} else {
		p.w.Reset(&out)
	}
	_, _ = p.w.Write(content) // a Buffer does not fail
	_ = p.w.Close()
	return out.Bytes()
}

// reserve returns a number for an object that is written later.
func (f *file) reserve() int {
	f.offsets = append(f.offsets, 0)
	return len(f.offsets)
}

func (f *file) object(id int, format string, args ...any) {
	f.offsets[id-1] = f.buf.Len()
	fmt.Fprintf(&f.buf, "%d 0 obj\n", id)
	fmt.Fprintf(&f.buf, format, args...)
	f.buf.WriteString("\nendobj\n")
}

func (f *file) stream(id int, dict string, content []byte) {
	f.packed(id, dict, f.packer.pack(content))
}

// packed writes a stream that was packed before.
func (f *file) packed(id int, dict string, content []byte) {
	f.offsets[id-1] = f.buf.Len()
	fmt.Fprintf(&f.buf, "%d 0 obj\n<<%s /Filter /FlateDecode /Length %d>>\nstream\n", id, dict, len(content))
	f.buf.Write(content)
	f.buf.WriteString("\nendstream\nendobj\n")
}

// output writes the file. The same drawing and options give the same bytes.
func (c *canvas) output(opt Options) []byte {
	c.finishPage()
	f := &file{packer: &c.packer}
	f.buf.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	catalog, pages, info := f.reserve(), f.reserve(), f.reserve()
	var fonts strings.Builder
	for _, style := range slices.Sorted(maps.Keys(c.by)) {
		fmt.Fprintf(&fonts, " /F%s %d 0 R", style, c.by[style].write(f))
	}
	var kids strings.Builder
	for _, p := range c.pages {
		page, stream := f.reserve(), f.reserve()
		fmt.Fprintf(&kids, " %d 0 R", page)
		f.object(page, "<</Type /Page /Parent %d 0 R /Contents %d 0 R>>", pages, stream)
		f.packed(stream, "", p.packed)
	}
	f.object(pages, "<</Type /Pages /Kids [%s] /Count %d /MediaBox [0 0 %s %s] /Resources <</Font <<%s>>>>>>",
		strings.TrimSpace(kids.String()), len(c.pages), pt(c.w), pt(c.h), fonts.String())
	lang := opt.Lang
	if lang == "" {
		lang = "vi"
	}
	f.object(catalog, "<</Type /Catalog /Pages %d 0 R /Lang %s /ViewerPreferences <</DisplayDocTitle true>>>>", pages, textString(lang))
	f.object(info, "<</Title %s /Author %s /Subject %s /Creator %s /Producer %s /CreationDate %s /ModDate %s>>", textString(opt.Title),
		textString(opt.Author), textString(opt.Subject), textString(opt.Creator), textString("Truc"), dateString(opt.Now), dateString(opt.Now))
	id := sha256.Sum256(f.buf.Bytes())
	start := f.buf.Len()
	fmt.Fprintf(&f.buf, "xref\n0 %d\n0000000000 65535 f \n", len(f.offsets)+1)
	for _, at := range f.offsets {
		fmt.Fprintf(&f.buf, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&f.buf, "trailer\n<</Size %d /Root %d 0 R /Info %d 0 R /ID [<%x> <%x>]>>\nstartxref\n%d\n%%%%EOF\n",
		len(f.offsets)+1, catalog, info, id[:16], id[:16], start)
	return f.buf.Bytes()
}

// write embeds the drawn part of a face as a composite font (ISO 32000-1 §9.7) and returns its object.
func (u *usedFont) write(f *file) int {
	ids := slices.Sorted(maps.Keys(u.drawn))
	cut := u.subset(ids)
	// Six letters before the name say that the font is a part, and which (ISO 32000-1 §9.6.4).
	sum := sha256.Sum256(cut)
	tag := make([]byte, 6)
	for i := range tag {
		tag[i] = 'A' + sum[i]%26
	}
	name := string(tag) + "+" + u.name
	font, descendant, descriptor, program, unicode := f.reserve(), f.reserve(), f.reserve(), f.reserve(), f.reserve()
	f.object(font, "<</Type /Font /Subtype /Type0 /BaseFont /%s /Encoding /Identity-H /DescendantFonts [%d 0 R] /ToUnicode %d 0 R>>", name, descendant, unicode)
	var widths strings.Builder
	byID := make(map[uint16]int, len(ids))
	for _, r := range u.drawn {
		g := u.glyphs[r]
		byID[g.id] = g.width
	}
	for i, id := range ids {
		if i == 0 || ids[i-1]+1 != id {
			if i > 0 {
				widths.WriteString("] ")
			}
			fmt.Fprintf(&widths, "%d [", id)
		} else {
			widths.WriteByte(' ')
		}
		fmt.Fprint(&widths, byID[id])
	}
	if len(ids) > 0 {
		widths.WriteByte(']')
	}
	f.object(descendant, "<</Type /Font /Subtype /CIDFontType2 /BaseFont /%s /CIDSystemInfo <</Registry (Adobe) /Ordering (Identity) /Supplement 0>> /CIDToGIDMap /Identity /DW 0 /W [%s] /FontDescriptor %d 0 R>>",
		name, widths.String(), descriptor)
	flags := 4 | 2 // symbolic, since it is addressed by glyph, and with serifs
	if u.italic != 0 {
		flags |= 64
	}
	f.object(descriptor, "<</Type /FontDescriptor /FontName /%s /Flags %d /FontBBox [%d %d %d %d] /ItalicAngle %s /Ascent %d /Descent %d /CapHeight %d /StemV 80 /FontFile2 %d 0 R>>",
		name, flags, u.box[0], u.box[1], u.box[2], u.box[3], num(u.italic), u.ascent, u.descent, u.capHeight, program)
	f.stream(program, fmt.Sprintf("/Length1 %d", len(cut)), cut)
	f.stream(unicode, "", toUnicode(ids, u.drawn))
	return font
}

// toUnicode maps glyphs to characters, for search and for readers of the screen.
func toUnicode(ids []uint16, drawn map[uint16]rune) []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n" +
		"/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n1 begincodespacerange <0000> <FFFF> endcodespacerange\n")
	for part := range slices.Chunk(ids, 100) { // the limit of an operator
		fmt.Fprintf(&b, "%d beginbfchar\n", len(part))
		for _, id := range part {
			fmt.Fprintf(&b, "<%04X> <%04X>\n", id, drawn[id])
		}
		b.WriteString("endbfchar\n")
	}
	b.WriteString("endcmap CMapName currentdict /CMap defineresource pop end end")
	return b.Bytes()
}

// textString writes text as UTF-16 in hexadecimal, which needs no escapes (ISO 32000-1 §7.9.2.2).
func textString(s string) string {
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, u := range utf16.Encode([]rune(i18n.NFC(s))) {
		fmt.Fprintf(&b, "%04X", u)
	}
	b.WriteByte('>')
	return b.String()
}

func dateString(t time.Time) string { return "(D:" + t.UTC().Format("20060102150405") + "Z)" }
