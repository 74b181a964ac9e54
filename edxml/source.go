package edxml

import (
	"bytes"
	"errors"
	"io"
)

const blockSize = 64 << 10

// source is the message as it comes in. The XML parser takes it byte by byte and stops exactly behind a start tag, so
// that what follows can be taken in blocks, past the parser.
type source struct {
	r        io.Reader
	buf      []byte
	pos, end int
	err      error // of r; no more can be had
	failed   error // what ended reading and is not the sender's fault

	total, totalLimit   int64 // bytes of the message
	header, headerLimit int64 // bytes that the parser took
	last, prev          byte  // the last two of those
}

func newSource(r io.Reader, l Limits) *source {
	return &source{r: r, buf: make([]byte, blockSize), totalLimit: l.Message, headerLimit: l.Header}
}

// fill replaces the block, which must be used up.
func (s *source) fill() error {
	s.pos, s.end = 0, 0
	return s.more()
}

// more reads behind what is in the block. It returns an error only when it got nothing.
func (s *source) more() error {
	if s.err != nil {
		return s.err
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		s.total += int64(n)
		if err != nil {
			s.err = err
			if !errors.Is(err, io.EOF) {
				s.failed = err
			}
		}
		if s.total > s.totalLimit {
			s.err = documentError("R", "edXML", "message_too_large", s.totalLimit)
			s.end = s.pos
			return s.err
		}
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	s.err, s.failed = io.ErrNoProgress, io.ErrNoProgress
	return s.err
}

// ReadByte implements io.ByteReader for the XML parser.
func (s *source) ReadByte() (byte, error) {
	if s.pos == s.end {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	if s.header++; s.header > s.headerLimit {
		return 0, documentError("R", "edXML", "header_too_large", s.headerLimit)
	}
	b := s.buf[s.pos]
	s.pos++
	s.prev, s.last = s.last, b
	return b, nil
}

// Read implements io.Reader, which the XML parser wants to see and does not use.
func (s *source) Read(p []byte) (int, error) {
	for i := range p {
		b, err := s.ReadByte()
		if err != nil {
			return i, err
		}
		p[i] = b
	}
	return len(p), nil
}

// selfClosed reports whether the tag that the parser has just read ended with "/>".
func (s *source) selfClosed() bool { return s.prev == '/' && s.last == '>' }

// peek returns the next n bytes, fewer at the end; n is small.
func (s *source) peek(n int) []byte {
	for s.end-s.pos < n {
		rest := copy(s.buf, s.buf[s.pos:s.end])
		s.pos, s.end = 0, rest
		if s.more() != nil {
			break
		}
	}
	return s.buf[s.pos:min(s.end, s.pos+n)]
}

// start skips a byte-order mark and refuses what is not the beginning of an XML text in UTF-8.
func (s *source) start() error {
	if bytes.HasPrefix(s.peek(3), []byte("\xef\xbb\xbf")) {
		s.pos += 3
	}
	head := s.peek(4)
	switch {
	case s.failed != nil:
		return s.failed
	case len(head) == 0:
		if e, ok := errors.AsType[*Error](s.err); ok {
			return e
		}
		return documentError("M", "edXML", "empty")
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}), bytes.IndexByte(head, 0) >= 0:
		return documentError("M", "edXML", "encoding", "UTF-16")
	case head[0] != '<':
		return documentError("M", "edXML", "bytes_before")
	}
	return nil
}
