package exchangeapi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"truc/internal/exchange"
)

// The framed link (ADR 0014) carries small exchanges between two nodes over one TLS 1.3 connection, ALPN [framedProtocol].
// Each side writes frames, one behind the other:
//
//	length of the rest (4 bytes, big-endian) ‖ kind (1 byte) ‖ number of the exchange (8 bytes) ‖ payload
//
// A request's payload is method, target URI, header, body; an answer's is status, header, body. A text is its length as a
// varint and its bytes, a header is the number of its lines and, for each, name and value, and the body is the rest. An
// answer may come in any order. The end of interest in an answer is a frame of its own; so are the two that keep an idle
// connection alive. What is signed and logged are the same messages as over HTTP/2.
const framedProtocol = "truc-x2"

type frameKind byte

const (
	frameRequest frameKind = 1 + iota
	frameAnswer
	frameCancel
	framePing
	framePong
	// frameGoAway says that the sender takes no new requests.
	frameGoAway
)

const (
	frameHead = 4 + 1 + 8
	// maxFramedBody is the largest body that goes in a frame; larger ones go over HTTP/2.
	maxFramedBody = 256 << 10
	maxFrame      = maxFramedBody + maxHeader + 2*exchange.MaxTarget
	maxLines      = 500
)

type frame struct {
	kind    frameKind
	id      uint64
	payload []byte
}

var errFrame = errors.New("the frame cannot be read")

// readFrame reads one frame into memory of its own.
func readFrame(r io.Reader) (f frame, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return f, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < frameHead-4 || n > maxFrame {
		return f, errFrame
	}
	f.kind, f.id = frameKind(head[4]), binary.BigEndian.Uint64(head[5:])
	if n -= frameHead - 4; n > 0 {
		f.payload = make([]byte, n)
		_, err = io.ReadFull(r, f.payload)
	}
	return f, err
}

// beginFrame appends a head whose length [endFrame] fills in.
func beginFrame(b []byte, kind frameKind, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 0, byte(kind)), id)
}

func endFrame(b []byte, from int) { binary.BigEndian.PutUint32(b[from:], uint32(len(b)-from-4)) } //nolint:gosec // at most maxFrame

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendHeader(b []byte, h http.Header) []byte {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	b = binary.AppendUvarint(b, uint64(n))
	for name, values := range h {
		for _, v := range values {
			b = appendText(appendText(b, name), v)
		}
	}
	return b
}

func appendRequest(b []byte, id uint64, req *exchange.WireRequest) []byte {
	from := len(b)
	b = beginFrame(b, frameRequest, id)
	b = appendText(appendText(b, req.Method), req.TargetURI)
	b = append(appendHeader(b, req.Header), req.Body...)
	endFrame(b, from)
	return b
}

func appendAnswer(b []byte, id uint64, resp *exchange.WireResponse) []byte {
	from := len(b)
	b = beginFrame(b, frameAnswer, id)
	b = binary.AppendUvarint(b, uint64(resp.Status)) //nolint:gosec // a status
	b = append(appendHeader(b, resp.Header), resp.Body...)
	endFrame(b, from)
	return b
}

func appendBare(b []byte, kind frameKind, id uint64) []byte {
	from := len(b)
	b = beginFrame(b, kind, id)
	endFrame(b, from)
	return b
}

// payloadReader reads texts and numbers off a payload.
type payloadReader struct {
	b   []byte
	bad bool
}

func (p *payloadReader) number(most uint64) uint64 {
	n, k := binary.Uvarint(p.b)
	if k <= 0 || n > most {
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[k:]
	return n
}

func (p *payloadReader) bytes(most uint64) []byte {
	n := p.number(min(most, uint64(len(p.b))))
	if n > uint64(len(p.b)) {
		p.bad = true
		return nil
	}
	out := p.b[:n:n]
	p.b = p.b[n:]
	return out
}

// knownNames are the names that nearly every message has; to find one here costs no memory.
var knownNames = func() map[string]string {
	m := map[string]string{}
	for _, n := range []string{
		exchange.HeaderClient, exchange.HeaderID, exchange.HeaderUserID, exchange.HeaderIssue, exchange.HeaderRequestID, exchange.HeaderService,
		exchange.HeaderHash, exchange.HeaderError, exchange.HeaderPurpose, exchange.HeaderDeadline, exchange.HeaderGrant, exchange.HeaderLevel,
		"Content-Digest", "Signature", "Signature-Input", "Content-Type", "Accept", "Accept-Encoding", "Date", "Traceparent",
	} {
		n = http.CanonicalHeaderKey(n)
		m[n] = n
	}
	return m
}()

// header reads a header. Names come into the one spelling that the rest of the program knows, so that none can be smuggled
// past a check in another.
func (p *payloadReader) header() http.Header {
	n := int(p.number(maxLines)) //nolint:gosec // bounded
	h := make(http.Header, n)
	values := make([]string, 0, n)
	for range n {
		raw, value := p.bytes(256), p.bytes(maxHeader)
		name, ok := knownNames[string(raw)]
		if !ok {
			if !isToken(raw) {
				p.bad = true
			}
			name = http.CanonicalHeaderKey(string(raw))
		}
		if p.bad || !isFieldValue(value) {
			p.bad = true
			return nil
		}
		if old := h[name]; old != nil {
			h[name] = append(slices.Clip(old), string(value))
			continue
		}
		values = append(values, string(value))
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return h
}

const tokenChars = "!#$%&'*+-.^_`|~" //nolint:gosec // punctuation, no secret

// isToken follows RFC 9110 §5.6.2.
func isToken(b []byte) bool {
	return len(b) > 0 && !slices.ContainsFunc(b, func(c byte) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		return !letter && strings.IndexByte(tokenChars, c) < 0
	})
}

// isFieldValue follows RFC 9110 §5.5: no control character but the tab.
func isFieldValue(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c < 0x20 && c != '\t' || c == 0x7f })
}

func parseRequest(payload []byte) (*exchange.WireRequest, error) {
	p := &payloadReader{b: payload}
	req := &exchange.WireRequest{Method: string(p.bytes(16)), TargetURI: string(p.bytes(2 * exchange.MaxTarget))}
	req.Header = p.header()
	if req.Body = p.b; p.bad || len(req.Body) > maxFramedBody || !isToken([]byte(req.Method)) {
		return nil, errFrame
	}
	return req, nil
}

func parseAnswer(payload []byte) (*exchange.WireResponse, error) {
	p := &payloadReader{b: payload}
	resp := &exchange.WireResponse{Status: int(p.number(999))} //nolint:gosec // bounded
	resp.Header = p.header()
	if resp.Body = p.b; p.bad || len(resp.Body) > maxFramedBody || resp.Status < 200 {
		return nil, fmt.Errorf("answer: %w", errFrame)
	}
	return resp, nil
}
