package pdfdoc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"golang.org/x/image/font/sfnt"
)

// typeface is one parsed face. It is never changed after it was made, so all documents share it.
type typeface struct {
	name   string
	glyphs map[rune]glyph
	// Numbers of the font descriptor (ISO 32000-1 table 122), in thousandths of the size.
	ascent, descent, capHeight int
	box                        [4]int
	italic                     float64

	tables    map[string][]byte
	loca      []int
	shortLoca bool
}

// glyph is the shape of a character: its number in the face and its width in thousandths of the size.
type glyph struct {
	id    uint16
	width int
}

// parsedFaces are the four embedded faces by style. Parsing them takes longer than setting a page, and their bytes never
// change, so it is done once, when the first document is made.
var parsedFaces = sync.OnceValues(func() (map[string]*typeface, error) {
	out := map[string]*typeface{}
	for style, name := range map[string]string{"": "Tinos", "B": "Tinos-Bold", "I": "Tinos-Italic", "BI": "Tinos-BoldItalic"} {
		f, err := parseFace(name, face(style))
		if err != nil {
			return nil, fmt.Errorf("font %s: %w", name, err)
		}
		out[style] = f
	}
	return out, nil
})

var errFont = errors.New("the font file is damaged")

// parseFace reads a TrueType file (ISO/IEC 14496-22). The files are embedded and tested, so it checks no more than what
// keeps it from reading beyond their end.
func parseFace(name string, ttf []byte) (*typeface, error) {
	f := &typeface{name: name, glyphs: map[rune]glyph{}, tables: map[string][]byte{}}
	if len(ttf) < 12 {
		return nil, errFont
	}
	for i := range int(binary.BigEndian.Uint16(ttf[4:])) {
		rec := 12 + 16*i
		if len(ttf) < rec+16 {
			return nil, errFont
		}
		from, size := int(binary.BigEndian.Uint32(ttf[rec+8:])), int(binary.BigEndian.Uint32(ttf[rec+12:]))
		if from+size > len(ttf) {
			return nil, errFont
		}
		f.tables[string(ttf[rec:rec+4])] = ttf[from : from+size]
	}
	for table, least := range map[string]int{"head": 54, "hhea": 36, "maxp": 6, "post": 8, "OS/2": 90} {
		if len(f.tables[table]) < least {
			return nil, errFont
		}
	}
	font, err := sfnt.Parse(ttf)
	if err != nil {
		return nil, err
	}
	head, os2 := f.tables["head"], f.tables["OS/2"]
	scale := 1000 / float64(font.UnitsPerEm())
	units := func(b []byte) int { return int(math.Round(float64(int16(binary.BigEndian.Uint16(b))) * scale)) } //nolint:gosec // signed numbers of the format
	for i := range f.box {
		f.box[i] = units(head[36+2*i:])
	}
	f.ascent, f.descent = units(f.tables["hhea"][4:]), units(f.tables["hhea"][6:])
	f.capHeight = units(os2[88:])
	f.italic = float64(int32(binary.BigEndian.Uint32(f.tables["post"][4:]))) / 65536 //nolint:gosec // a signed number of the format
	f.shortLoca = binary.BigEndian.Uint16(head[50:]) == 0
	if err := f.readLoca(font.NumGlyphs()); err != nil {
		return nil, err
	}
	return f, f.readGlyphs(font, units)
}

func (f *typeface) readLoca(glyphs int) error {
	raw := f.tables["loca"]
	for i := range glyphs + 1 {
		switch {
		case f.shortLoca && len(raw) >= 2*i+2:
			f.loca = append(f.loca, 2*int(binary.BigEndian.Uint16(raw[2*i:])))
		case !f.shortLoca && len(raw) >= 4*i+4:
			f.loca = append(f.loca, int(binary.BigEndian.Uint32(raw[4*i:])))
		default:
			return errFont
		}
		if at := f.loca[i]; at > len(f.tables["glyf"]) || i > 0 && at < f.loca[i-1] {
			return errFont
		}
	}
	return nil
}

// readGlyphs finds the characters of the basic plane and their widths.
func (f *typeface) readGlyphs(font *sfnt.Font, units func([]byte) int) error {
	metrics := int(binary.BigEndian.Uint16(f.tables["hhea"][34:]))
	hmtx := f.tables["hmtx"]
	if metrics < 1 || len(hmtx) < 4*metrics {
		return errFont
	}
	var buf sfnt.Buffer
	for r := rune(0); r <= math.MaxUint16; r++ {
		id, err := font.GlyphIndex(&buf, r)
		if err != nil {
			return err
		}
		if id != 0 { // glyphs beyond the last entry have the width of the last
			f.glyphs[r] = glyph{id: uint16(id), width: units(hmtx[4*min(int(id), metrics-1):])}
		}
	}
	return nil
}

// subset returns a TrueType file with the shapes of the given glyphs and of those they are composed of. Glyphs keep their
// numbers, which lets a PDF file name them without a table; all others are empty.
func (f *typeface) subset(ids []uint16) []byte {
	keep := map[int]bool{0: true}
	for _, id := range ids {
		f.compose(int(id), keep)
	}
	var glyf []byte
	loca := make([]byte, 0, len(f.tables["loca"]))
	place := func() {
		if f.shortLoca {
			loca = binary.BigEndian.AppendUint16(loca, uint16(len(glyf)/2)) //nolint:gosec // smaller than in the whole file
		} else {
			loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf))) //nolint:gosec // smaller than in the whole file
		}
	}
	hmtx := bytes.Clone(f.tables["hmtx"])
	for id := range len(f.loca) - 1 {
		place()
		if keep[id] {
			glyf = append(glyf, f.tables["glyf"][f.loca[id]:f.loca[id+1]]...)
			if len(glyf)%2 == 1 {
				glyf = append(glyf, 0)
			}
		} else if 4*id+4 <= len(hmtx) { // nobody asks for its width, and zeros pack better
			clear(hmtx[4*id : 4*id+4])
		}
	}
	place()
	return assemble(map[string][]byte{
		"head": f.tables["head"], "hhea": f.tables["hhea"], "maxp": f.tables["maxp"], "hmtx": hmtx, "loca": loca, "glyf": glyf,
	})
}

// compose adds a glyph and its components (glyf table, composite description).
func (f *typeface) compose(id int, keep map[int]bool) {
	if id >= len(f.loca)-1 || keep[id] && id != 0 {
		return
	}
	keep[id] = true
	shape := f.tables["glyf"][f.loca[id]:f.loca[id+1]]
	if len(shape) < 10 || shape[0]&0x80 == 0 { // not negative: a simple outline
		return
	}
	const words, scale, more, xyScale, twoByTwo = 1, 8, 32, 64, 128
	for at := 10; at+4 <= len(shape); {
		flags := binary.BigEndian.Uint16(shape[at:])
		f.compose(int(binary.BigEndian.Uint16(shape[at+2:])), keep)
		at += 6
		if flags&words != 0 {
			at += 2
		}
		switch {
		case flags&scale != 0:
			at += 2
		case flags&xyScale != 0:
			at += 4
		case flags&twoByTwo != 0:
			at += 8
		}
		if flags&more == 0 {
			return
		}
	}
}

// assemble writes a TrueType file of tables, each at a multiple of four, with its checksums.
func assemble(tables map[string][]byte) []byte {
	tags := make([]string, 0, len(tables))
	for tag := range tables {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	n := len(tags)
	log := 0
	for 2<<log <= n {
		log++
	}
	out := []byte{0, 1, 0, 0}
	for _, v := range []int{n, 16 << log, log, 16*n - 16<<log} {
		out = binary.BigEndian.AppendUint16(out, uint16(v)) //nolint:gosec // a handful of tables
	}
	at := 12 + 16*n
	var body []byte
	for _, tag := range tags {
		b := tables[tag]
		if tag == "head" {
			b = bytes.Clone(b)
			clear(b[8:12]) // the checksum of the whole file, see below
		}
		out = append(out, tag...)
		out = binary.BigEndian.AppendUint32(out, checksum(b))
		out = binary.BigEndian.AppendUint32(out, uint32(at+len(body))) //nolint:gosec // some kilobytes
		out = binary.BigEndian.AppendUint32(out, uint32(len(b)))       //nolint:gosec // some kilobytes
		body = append(body, b...)
		body = append(body, make([]byte, -len(b)&3)...)
	}
	out = append(out, body...)
	for i, tag := range tags {
		if tag == "head" {
			head := binary.BigEndian.Uint32(out[12+16*i+8:])
			binary.BigEndian.PutUint32(out[head+8:], 0xB1B0AFBA-checksum(out))
		}
	}
	return out
}

func checksum(b []byte) (sum uint32) {
	for len(b) >= 4 {
		sum += binary.BigEndian.Uint32(b)
		b = b[4:]
	}
	var last [4]byte
	copy(last[:], b)
	return sum + binary.BigEndian.Uint32(last[:])
}
