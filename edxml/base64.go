package edxml

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"
)

// contentReader decodes the base64 text that follows a start tag, up to the end tag, which it leaves to the XML parser.
// White space, references to it (a Java writer puts "&#13;" for a carriage return) and CDATA sections are understood.
type contentReader struct {
	src   *source
	table *decodeTable
	quad  [4]byte // characters of a group that is not whole yet
	n     int     // how many
	pads  int     // how many "=" have been seen; after the group that has them nothing follows
	cdata bool    // inside a CDATA section
	err   error
	group [3]byte
	out   []byte // decoded on the slow path and not handed out yet
}

// decodeTable holds for each position in a group of four what a character contributes to the 24 bits.
type decodeTable [4][256]uint32

const badDigit = 1 << 31

func newDecodeTable() *decodeTable {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var t decodeTable
	for i := range t {
		for c := range t[i] {
			t[i][c] = badDigit
		}
		for v := range len(alphabet) {
			t[i][alphabet[v]] = uint32(v) << (18 - 6*i)
		}
	}
	return &t
}

// decode decodes whole groups until the text or the room ends or a character is none of the alphabet.
func (t *decodeTable) decode(dst, src []byte) (read, written int) {
	t0, t1, t2, t3 := &t[0], &t[1], &t[2], &t[3]
	for len(src)-read >= 8 && len(dst)-written >= 8 {
		s := src[read : read+8 : read+8]
		a := t0[s[0]] | t1[s[1]] | t2[s[2]] | t3[s[3]]
		b := t0[s[4]] | t1[s[5]] | t2[s[6]] | t3[s[7]]
		if (a|b)&badDigit != 0 {
			break
		}
		binary.BigEndian.PutUint64(dst[written:], uint64(a)<<40|uint64(b)<<16)
		read += 8
		written += 6
	}
	for len(src)-read >= 4 && len(dst)-written >= 3 {
		s := src[read : read+4 : read+4]
		a := t0[s[0]] | t1[s[1]] | t2[s[2]] | t3[s[3]]
		if a&badDigit != 0 {
			break
		}
		dst[written], dst[written+1], dst[written+2] = byte(a>>16&0xff), byte(a>>8&0xff), byte(a&0xff)
		read += 4
		written += 3
	}
	return read, written
}

func badContent(key string, args ...any) *Error { return fileError("M", pathContent, key, args...) }

// Read implements io.Reader.
func (c *contentReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(c.out) > 0 {
			m := copy(p[n:], c.out)
			c.out = c.out[m:]
			n += m
			continue
		}
		if c.err != nil {
			break
		}
		if c.src.pos == c.src.end {
			if err := c.src.fill(); err != nil {
				c.err = c.cut(err)
				break
			}
		}
		if c.n == 0 && c.pads == 0 {
			read, written := c.table.decode(p[n:], c.src.buf[c.src.pos:c.src.end])
			c.src.pos += read
			n += written
			if read > 0 {
				continue
			}
		}
		c.step()
	}
	if n > 0 {
		return n, nil
	}
	return 0, c.err
}

// cut says what it means that the message ends inside the content.
func (c *contentReader) cut(err error) error {
	if errors.Is(err, io.EOF) {
		return documentError("M", pathContent, "cut")
	}
	return err
}

// step takes one character on the slow path: line ends, padding, the end.
func (c *contentReader) step() {
	b := c.src.buf[c.src.pos]
	switch {
	case b == '<' && !c.cdata:
		c.markup()
		return
	case b == ']' && c.cdata:
		if !c.take("]]>") {
			c.err = badContent("base64")
		}
		c.cdata = false
		return
	case b == '&' && !c.cdata:
		c.reference()
		return
	}
	c.src.pos++
	c.character(b)
}

func (c *contentReader) character(b byte) {
	switch b {
	case ' ', '\t', '\r', '\n':
	case '=':
		if c.n < 2 {
			c.err = badContent("base64")
			return
		}
		c.pads++
		c.digit('A')
	default:
		if c.pads > 0 || c.table[0][b] == badDigit {
			c.err = badContent("base64")
			return
		}
		c.digit(b)
	}
}

func (c *contentReader) digit(b byte) {
	c.quad[c.n] = b
	if c.n++; c.n < 4 {
		return
	}
	c.n = 0
	c.table.decode(c.group[:], c.quad[:])
	c.out = c.group[:3-c.pads]
}

// take consumes the text if it comes next.
func (c *contentReader) take(text string) bool {
	if !bytes.Equal(c.src.peek(len(text)), []byte(text)) {
		return false
	}
	c.src.pos += len(text)
	return true
}

// markup looks at a "<": the end tag, or a CDATA section.
func (c *contentReader) markup() {
	switch {
	case c.take("<![CDATA["):
		c.cdata = true
	case !bytes.Equal(c.src.peek(2), []byte("</")):
		c.err = badContent("markup_in_content")
	case c.n != 0:
		c.err = badContent("base64")
	default:
		c.err = io.EOF
	}
}

// reference takes a character reference.
func (c *contentReader) reference() {
	text, _, ok := strings.Cut(string(c.src.peek(12)), ";")
	code, found := strings.CutPrefix(text, "&#")
	if !ok || !found {
		c.err = badContent("base64")
		return
	}
	base := 10
	if hex, isHex := strings.CutPrefix(code, "x"); isHex {
		code, base = hex, 16
	}
	v, err := strconv.ParseUint(code, base, 8)
	if err != nil || v > 0x7f {
		c.err = badContent("base64")
		return
	}
	c.src.pos += len(text) + 1
	c.character(byte(v))
}
