package axisapi

import (
	"bytes"
	"net"
	"strconv"
	"strings"
)

// Tolerant wraps a listener of HTTP/1.1 for the VXP clients. Most of their calls send the low byte of each character of a header, so
// "đ" (U+0111) becomes the control byte 0x11 and "ă" 0x03, and net/http answers every control byte but TAB with "400 Bad Request" in
// plain text before a handler sees the request (measured with Go 1.26 for all 256 bytes). The client takes that text for an
// empty list of documents. Here such bytes of a header's value become "?", so that the request reaches the handler; its HMAC cannot fit, and
// the caller reads a refusal with a reason.
//
// Nothing else is changed, and where one request ends and the next begins is decided by net/http alone, on what it is handed: this
// reader follows the framing only to know what is a header. Where it cannot, it leaves the rest of the connection as it is.
func Tolerant(l net.Listener) net.Listener { return tolerantListener{l} }

type tolerantListener struct{ net.Listener }

// Accept implements [net.Listener].
func (l tolerantListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tolerantConn{Conn: c}, nil
}

type tolerantConn struct {
	net.Conn
	heads heads
}

// Read implements [net.Conn].
func (c *tolerantConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.heads.mend(p[:n])
	return n, err
}

// heads follows the heads of the requests of one connection. Its zero value is before the first.
type heads struct {
	started bool   // the request line is behind us
	name    []byte // of the header line, until its colon
	value   []byte // of a Content-Length
	inValue bool
	filled  bool // the line has bytes besides a CR
	left    int64
	length  int64
	asIs    bool // the framing is not known from here on
}

// maxName bounds what is kept of a header's name or of a length.
const maxName = 64

// mend replaces, in place, the control bytes of header values.
func (h *heads) mend(p []byte) {
	for i := 0; i < len(p) && !h.asIs; i++ {
		if h.left > 0 {
			n := min(h.left, int64(len(p)-i))
			h.left -= n
			i += int(n) - 1
			continue
		}
		switch c := p[i]; {
		case c == '\n':
			h.lineEnds()
		case c == '\r':
		case !h.started:
			h.filled = true
		case h.inValue:
			if c < ' ' && c != '\t' || c == 0x7f {
				p[i] = '?'
			}
			if len(h.value) < maxName {
				h.value = append(h.value, p[i])
			}
			h.filled = true
		default:
			h.filled = true
			if h.inValue = c == ':'; !h.inValue && len(h.name) < maxName {
				h.name = append(h.name, c)
			}
		}
	}
}

// lineEnds handles the end of a line of a head.
func (h *heads) lineEnds() {
	switch {
	case !h.started: // blank lines before a request are passed over, as net/http does
		h.started = h.filled
	case !h.filled:
		h.left, h.length, h.started = h.length, 0, false
	case strings.EqualFold(string(h.name), "Content-Length"):
		n, err := strconv.ParseInt(string(bytes.TrimSpace(h.value)), 10, 64)
		if err != nil || n < 0 || h.length > 0 {
			h.asIs = true
		}
		h.length = n
	case strings.EqualFold(string(h.name), "Transfer-Encoding"), strings.EqualFold(string(h.name), "Upgrade"):
		h.asIs = true
	}
	h.name, h.value, h.inValue, h.filled = h.name[:0], h.value[:0], false, false
}
