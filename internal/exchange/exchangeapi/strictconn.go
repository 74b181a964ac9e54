package exchangeapi

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"strings"
)

// StrictListener wraps a listener of HTTP/1.1 so that only requests pass whose length every reader finds alike. net/http is
// lenient where RFC 9112 lets it be: it takes a bare LF for the end of a line, joins folded lines, and prefers Transfer-Encoding
// to a Content-Length beside it. A proxy in front that decides otherwise would let one program's request hide inside another's
// (request smuggling). What is not strict ends the connection, after a 400 when it was seen in the head of a request.
func StrictListener(l net.Listener) net.Listener { return strictListener{l} }

type strictListener struct{ net.Listener }

func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &strictConn{Conn: c}, nil
}

// strictConn looks at the bytes of a connection as they are read, and at nothing else of it.
type strictConn struct {
	net.Conn
	framing framing
	err     error
}

// Read implements [net.Conn]. The bytes before a fault are handed out, so that net/http knows that a request had begun.
func (c *strictConn) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.Conn.Read(p)
	if good, fault := c.framing.scan(p[:n]); fault != nil {
		c.err = fault
		if good == 0 {
			return 0, fault
		}
		return good, nil
	}
	return n, err
}

// maxLine bounds a line that is kept while it is read. net/http counts the whole head ([maxHeader]).
const maxLine = maxHeader

// framing follows the framing of requests on one connection (RFC 9112).
type framing struct {
	state framingState
	line  []byte // of the head, of a chunk's size or of a trailer, without its end
	cr    bool   // the last byte was a CR
	// Of the request whose head is read:
	first   bool // the request line was read
	old     bool // it says HTTP/1.0
	length  int64
	hasLen  bool
	chunked bool
	left    int64 // bytes of a body or a chunk still to come
}

type framingState int

const (
	inHead framingState = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd // the CRLF after a chunk
	inTrailer
)

var (
	errBareLF     = errors.New("a line does not end with CR LF")
	errFolded     = errors.New("a folded header line")
	errHeaderLine = errors.New("a malformed header line")
	errLength     = errors.New("the length of the request is not clear")
	errChunk      = errors.New("a malformed chunk")
)

// scan judges the next bytes and returns how many may be handed on.
func (f *framing) scan(p []byte) (int, error) {
	for i := 0; i < len(p); {
		if f.state == inBody || f.state == inChunk {
			n := min(int64(len(p)-i), f.left)
			f.left -= n
			i += int(n)
			if f.left == 0 {
				f.bodyEnds()
			}
			continue
		}
		if err := f.lineByte(p[i]); err != nil {
			return i, err
		}
		i++
	}
	return len(p), nil
}

func (f *framing) bodyEnds() {
	if f.state == inChunk {
		f.state = inChunkEnd
		return
	}
	f.reset()
}

func (f *framing) reset() { *f = framing{line: f.line[:0]} }

// lineByte adds a byte to the line that is read.
func (f *framing) lineByte(c byte) error {
	switch {
	case f.cr && c != '\n', c == '\n' && !f.cr, c == 0:
		return errBareLF
	case c == '\r':
		f.cr = true
	case c == '\n':
		f.cr = false
		line := f.line
		f.line = f.line[:0]
		return f.lineEnds(line)
	case len(f.line) >= maxLine:
		if f.state != inHead {
			return errChunk
		}
		// net/http refuses the head for its size; the rest of it need not be kept.
	default:
		f.line = append(f.line, c)
	}
	return nil
}

func (f *framing) lineEnds(line []byte) error {
	switch f.state {
	case inChunkEnd:
		if len(line) > 0 {
			return errChunk
		}
		f.state = inChunkSize
		return nil
	case inChunkSize:
		return f.chunkSize(line)
	case inTrailer:
		if len(line) == 0 {
			f.reset()
			return nil
		}
		_, _, err := headerLine(line)
		return err
	default:
		return f.headLine(line)
	}
}

// headLine judges a line of the head. Nothing of the blank line at its end is handed on before the whole was found clear.
func (f *framing) headLine(line []byte) error {
	if !f.first {
		if len(line) == 0 {
			return errHeaderLine // RFC 9112 §2.2 lets a server skip blank lines; none of ours sends any
		}
		i := bytes.LastIndexByte(line, ' ')
		if v := string(line[i+1:]); v == "HTTP/1.0" {
			f.old = true
		} else if i < 0 || v != "HTTP/1.1" {
			return errHeaderLine
		}
		f.first = true
		return nil
	}
	if len(line) == 0 {
		return f.headEnds()
	}
	name, value, err := headerLine(line)
	if err != nil {
		return err
	}
	switch {
	case strings.EqualFold(name, "Content-Length"):
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil || f.hasLen { // ParseUint takes no sign
			return errLength
		}
		f.length, f.hasLen = int64(n), true
	case strings.EqualFold(name, "Transfer-Encoding"):
		if f.chunked || !strings.EqualFold(value, "chunked") {
			return errLength
		}
		f.chunked = true
	}
	return nil
}

func (f *framing) headEnds() error {
	switch {
	case f.chunked && (f.hasLen || f.old): // HTTP/1.0 knows no chunks
		return errLength
	case f.chunked:
		f.state = inChunkSize
	case f.length > 0:
		f.state, f.left = inBody, f.length
	default:
		f.reset()
	}
	return nil
}

func (f *framing) chunkSize(line []byte) error {
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseUint(string(size), 16, 63)
	if err != nil || len(size) > 16 || len(line) > 256 {
		return errChunk
	}
	f.state, f.left = inChunk, int64(n)
	if n == 0 {
		f.state = inTrailer
	}
	return nil
}

// headerLine reads "Name: value" (RFC 9112 §5): no blank before the colon, no line folded under another.
func headerLine(line []byte) (name, value string, err error) {
	if line[0] == ' ' || line[0] == '\t' {
		return "", "", errFolded
	}
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return "", "", errHeaderLine
	}
	for _, c := range line[:i] {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return "", "", errHeaderLine
		}
	}
	return string(line[:i]), strings.Trim(string(line[i+1:]), " \t"), nil
}
