package sign

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf16"
)

// PDF objects (ISO 32000-1 §7.3). Numbers, booleans and null keep the bytes they were written with, so that an
// object we write again is the one we read.
type (
	pdfRaw   string // number, boolean, null or keyword
	pdfName  string // decoded, without the slash
	pdfStr   []byte // decoded
	pdfArray []any
	pdfRef   struct{ num, gen int }
	pdfEntry struct {
		key pdfName
		val any
	}
	pdfDict   []pdfEntry // in file order, keys unique
	pdfStream struct {
		dict pdfDict
		raw  []byte
	}
)

func (d pdfDict) get(key pdfName) any {
	for _, e := range d {
		if e.key == key {
			return e.val
		}
	}
	return nil
}

// with returns a copy of d in which key has the value val.
func (d pdfDict) with(key pdfName, val any) pdfDict {
	out := slices.Clone(d)
	for i, e := range out {
		if e.key == key {
			out[i].val = val
			return out
		}
	}
	return append(out, pdfEntry{key, val})
}

func pdfInt(v any) (int, bool) {
	r, ok := v.(pdfRaw)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(string(r))
	return n, err == nil
}

// maxPDFDepth bounds nesting, which a hostile file could otherwise drive into stack exhaustion.
const maxPDFDepth = 64

var errPDFSyntax = errors.New("malformed PDF")

type pdfLexer struct {
	b     []byte
	pos   int
	depth int
}

func isPDFSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == 0 || c == '\f'
}

func isPDFDelim(c byte) bool { return bytes.IndexByte([]byte("()<>[]{}/%"), c) >= 0 }

func (l *pdfLexer) syntax(what string) error {
	return fmt.Errorf("%w: %s at byte %d", errPDFSyntax, what, l.pos)
}

func (l *pdfLexer) space() {
	for l.pos < len(l.b) {
		switch c := l.b[l.pos]; {
		case isPDFSpace(c):
			l.pos++
		case c == '%':
			for l.pos < len(l.b) && l.b[l.pos] != '\n' && l.b[l.pos] != '\r' {
				l.pos++
			}
		default:
			return
		}
	}
}

// word reads the longest run of regular characters.
func (l *pdfLexer) word() string {
	start := l.pos
	for l.pos < len(l.b) && !isPDFSpace(l.b[l.pos]) && !isPDFDelim(l.b[l.pos]) {
		l.pos++
	}
	return string(l.b[start:l.pos])
}

// keyword consumes w if it comes next as a whole word.
func (l *pdfLexer) keyword(w string) bool {
	l.space()
	save := l.pos
	if l.word() == w {
		return true
	}
	l.pos = save
	return false
}

func (l *pdfLexer) int() (int, bool) {
	l.space()
	save := l.pos
	n, err := strconv.Atoi(l.word())
	if err != nil || n < 0 {
		l.pos = save
		return 0, false
	}
	return n, true
}

// object reads one object; a number followed by another and R is a reference.
func (l *pdfLexer) object() (any, error) {
	l.space()
	if l.pos >= len(l.b) {
		return nil, l.syntax("end of data")
	}
	if l.depth++; l.depth > maxPDFDepth {
		return nil, l.syntax("nesting too deep")
	}
	defer func() { l.depth-- }()
	switch c := l.b[l.pos]; c {
	case '/':
		return l.name(), nil
	case '(':
		return l.literal()
	case '[':
		l.pos++
		return l.array()
	case '<':
		if l.pos+1 < len(l.b) && l.b[l.pos+1] == '<' {
			l.pos += 2
			return l.dict()
		}
		return l.hex()
	case '+', '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return l.number()
	}
	w := l.word()
	if w != "true" && w != "false" && w != "null" {
		return nil, l.syntax("unexpected token")
	}
	return pdfRaw(w), nil
}

func (l *pdfLexer) number() (any, error) {
	w := l.word()
	if _, err := strconv.ParseFloat(w, 64); err != nil {
		return nil, l.syntax("bad number")
	}
	num, err := strconv.Atoi(w)
	if err != nil || num < 0 {
		return pdfRaw(w), nil //nolint:nilerr // a number, but none that begins a reference
	}
	save := l.pos
	if gen, ok := l.int(); ok && l.keyword("R") {
		return pdfRef{num, gen}, nil
	}
	l.pos = save
	return pdfRaw(w), nil
}

func (l *pdfLexer) name() pdfName {
	l.pos++
	w := l.word()
	if bytes.IndexByte([]byte(w), '#') < 0 {
		return pdfName(w)
	}
	out := make([]byte, 0, len(w))
	for i := 0; i < len(w); i++ {
		if w[i] == '#' && i+2 < len(w) {
			if v, err := strconv.ParseUint(w[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(v))
				i += 2
				continue
			}
		}
		out = append(out, w[i])
	}
	return pdfName(out)
}

func (l *pdfLexer) array() (pdfArray, error) {
	out := pdfArray{}
	for {
		l.space()
		if l.pos < len(l.b) && l.b[l.pos] == ']' {
			l.pos++
			return out, nil
		}
		v, err := l.object()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
}

func (l *pdfLexer) dict() (pdfDict, error) {
	var out pdfDict
	seen := map[pdfName]bool{}
	for {
		l.space()
		if bytes.HasPrefix(l.b[l.pos:], []byte(">>")) {
			l.pos += 2
			return out, nil
		}
		if l.pos >= len(l.b) || l.b[l.pos] != '/' {
			return nil, l.syntax("dictionary key expected")
		}
		key := l.name()
		val, err := l.object()
		if err != nil {
			return nil, err
		}
		// Readers disagree on which of two equal keys counts, and a forger could use that. Some writers repeat
		// the whole entry, which is harmless.
		if seen[key] {
			if !reflect.DeepEqual(out.get(key), val) {
				return nil, l.syntax("duplicate key")
			}
			continue
		}
		seen[key] = true
		out = append(out, pdfEntry{key, val})
	}
}

func (l *pdfLexer) hex() (pdfStr, error) {
	l.pos++
	end := bytes.IndexByte(l.b[l.pos:], '>')
	if end < 0 {
		return nil, l.syntax("unfinished string")
	}
	digits := make([]byte, 0, end+1)
	for _, c := range l.b[l.pos : l.pos+end] {
		if !isPDFSpace(c) {
			digits = append(digits, c)
		}
	}
	if len(digits)%2 == 1 {
		digits = append(digits, '0')
	}
	out := make([]byte, len(digits)/2)
	if _, err := hex.Decode(out, digits); err != nil {
		return nil, l.syntax("bad hexadecimal string")
	}
	l.pos += end + 1
	return out, nil
}

func (l *pdfLexer) literal() (pdfStr, error) {
	l.pos++
	out := []byte{}
	for level := 1; l.pos < len(l.b); l.pos++ {
		c := l.b[l.pos]
		switch c {
		case '\\':
			out = l.escape(out)
			continue
		case '(':
			level++
		case ')':
			if level--; level == 0 {
				l.pos++
				return out, nil
			}
		}
		out = append(out, c)
	}
	return nil, l.syntax("unfinished string")
}

// escape reads the sequence that starts with the backslash at pos and leaves pos on its last byte.
func (l *pdfLexer) escape(out []byte) []byte {
	if l.pos++; l.pos >= len(l.b) {
		return out
	}
	c := l.b[l.pos]
	if i := bytes.IndexByte([]byte("nrtbf"), c); i >= 0 {
		return append(out, "\n\r\t\b\f"[i])
	}
	switch {
	case c == '\r':
		if l.pos+1 < len(l.b) && l.b[l.pos+1] == '\n' {
			l.pos++
		}
		return out
	case c == '\n':
		return out
	case c >= '0' && c <= '7':
		v := int(c - '0')
		for i := 0; i < 2 && l.pos+1 < len(l.b) && l.b[l.pos+1] >= '0' && l.b[l.pos+1] <= '7'; i++ {
			l.pos++
			v = v*8 + int(l.b[l.pos]-'0')
		}
		return append(out, byte(v)) //nolint:gosec // a high overflow is cut off (ISO 32000-1 §7.3.4.2)
	}
	return append(out, c)
}

// appendPDF writes an object. Strings are written in hexadecimal, which needs no escapes.
func appendPDF(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case pdfRaw:
		return append(b, v...)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case pdfRef:
		return fmt.Appendf(b, "%d %d R", v.num, v.gen)
	case pdfName:
		b = append(b, '/')
		for i := range len(v) {
			if c := v[i]; c <= ' ' || c > '~' || c == '#' || isPDFDelim(c) {
				b = fmt.Appendf(b, "#%02X", c)
			} else {
				b = append(b, c)
			}
		}
		return b
	case pdfStr:
		b = append(b, '<')
		b = hex.AppendEncode(b, v)
		return append(b, '>')
	case pdfArray:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ' ')
			}
			b = appendPDF(b, e)
		}
		return append(b, ']')
	case pdfDict:
		b = append(b, "<<"...)
		for _, e := range v {
			b = appendPDF(append(b, ' '), e.key)
			b = appendPDF(append(b, ' '), e.val)
		}
		return append(b, " >>"...)
	case pdfStream:
		b = appendPDF(b, v.dict.with("Length", len(v.raw)))
		b = append(b, "\nstream\n"...)
		b = append(b, v.raw...)
		return append(b, "\nendstream"...)
	}
	panic(fmt.Sprintf("sign: cannot write %T to a PDF", v)) // every parsed type is listed above
}

// pdfText encodes a text string as UTF-16BE with its mark (ISO 32000-1 §7.9.2.2).
func pdfText(s string) pdfStr {
	out := pdfStr{0xfe, 0xff}
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.BigEndian.AppendUint16(out, u)
	}
	return out
}

// textOf decodes a text string; PDFDocEncoding is read as Latin-1, which is right for the letters we meet.
func textOf(v any) string {
	s, ok := v.(pdfStr)
	if !ok {
		return ""
	}
	switch {
	case bytes.HasPrefix(s, []byte{0xfe, 0xff}):
		u := make([]uint16, 0, len(s)/2)
		for i := 2; i+1 < len(s); i += 2 {
			u = append(u, uint16(s[i])<<8|uint16(s[i+1]))
		}
		return string(utf16.Decode(u))
	case bytes.HasPrefix(s, []byte{0xef, 0xbb, 0xbf}):
		return string(s[3:])
	}
	r := make([]rune, len(s))
	for i, c := range s {
		r[i] = rune(c)
	}
	return string(r)
}
