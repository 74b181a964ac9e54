package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"truc/internal/sealed"
)

// ErrFormat means that a file is not a whole backup.
var ErrFormat = errors.New("backup: not a backup, or cut off")

// File is a backup that is open for reading.
type File struct {
	Header Header

	r         io.ReaderAt
	headBytes []byte // the header as it is written
	begin     int64  // of what is sealed
	end       int64  // of what is sealed: where the trailer begins
	signature []byte
}

// Open reads the header and the trailer of a backup of size bytes. Nothing of them can be believed before [File.Verify].
func Open(r io.ReaderAt, size int64) (*File, error) {
	head := make([]byte, len(magic)+4)
	if size < int64(len(head)+trailerSize) {
		return nil, ErrFormat
	}
	if _, err := r.ReadAt(head, 0); err != nil || !bytes.HasPrefix(head, []byte(magic)) {
		return nil, errors.Join(ErrFormat, err)
	}
	n := int64(binary.BigEndian.Uint32(head[len(magic):]))
	f := &File{r: r, begin: int64(len(head)) + n, end: size - trailerSize}
	if n > maxHeader || f.begin > f.end {
		return nil, ErrFormat
	}
	f.headBytes = make([]byte, n)
	if _, err := r.ReadAt(f.headBytes, int64(len(head))); err != nil {
		return nil, errors.Join(ErrFormat, err)
	}
	if err := json.Unmarshal(f.headBytes, &f.Header); err != nil || len(f.Header.Recipients) > MaxRecipients {
		return nil, errors.Join(ErrFormat, err)
	}
	trailer := make([]byte, trailerSize)
	if _, err := r.ReadAt(trailer, f.end); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(ErrFormat, err)
	}
	rest, ok := bytes.CutPrefix(trailer, []byte(endMagic))
	if !ok {
		return nil, ErrFormat
	}
	length := int(binary.BigEndian.Uint16(rest))
	if length > len(rest)-2 || len(bytes.Trim(rest[2+length:], "\x00")) > 0 {
		return nil, ErrFormat
	}
	f.signature = rest[2 : 2+length]
	return f, nil
}

// Verify reads the whole file and checks the signature of the key that the header names.
func (f *File) Verify(ctx context.Context) error {
	h, at, buf := sha256.New(), int64(0), make([]byte, min(1<<20, f.end))
	for at < f.end {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.r.ReadAt(buf[:min(int64(len(buf)), f.end-at)], at)
		if n == 0 && err != nil {
			return errors.Join(ErrFormat, err)
		}
		_, _ = h.Write(buf[:n])
		at += int64(n)
	}
	return verify(f.Header.Signer, h.Sum(nil), f.signature)
}

// Contents are the parts of a backup, in the order in which they were added.
type Contents struct {
	sealed *sealed.Reader
	tar    *tar.Reader
	next   *tar.Header
}

// Contents opens the parts with a key. What is read is good as far as it came; only [io.EOF] of [Contents.Next] says that
// nothing is missing.
func (f *File) Contents(id *Identity) (*Contents, error) {
	key, err := id.unwrap(f.Header.Recipients)
	if err != nil {
		return nil, err
	}
	aead, err := sealed.AEAD(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(f.headBytes)
	r := sealed.NewReader(io.NewSectionReader(f.r, f.begin, f.end-f.begin), aead, sum[:])
	return &Contents{sealed: r, tar: tar.NewReader(r)}, nil
}

// Next returns the next part; a streamed part comes as one. It must be read to its end before the next call or not at
// all. io.EOF means that the backup ends here, whole.
func (c *Contents) Next() (name string, r io.Reader, err error) {
	for {
		h, err := c.header()
		if errors.Is(err, io.EOF) { // the archive says so; that nothing was cut off behind it, the seal says
			if _, err := io.Copy(io.Discard, c.sealed); err != nil {
				return "", nil, err
			}
			return "", nil, io.EOF
		}
		if err != nil {
			return "", nil, err
		}
		switch piece := pieceOf(h); {
		case piece < 0:
			return h.Name, c.tar, nil
		case piece == 0:
			return h.Name, &pieces{c: c, name: h.Name, r: c.tar}, nil
		}
		// a piece of a part that nobody read
	}
}

func (c *Contents) header() (*tar.Header, error) {
	if h := c.next; h != nil {
		c.next = nil
		return h, nil
	}
	h, err := c.tar.Next()
	if err != nil {
		return nil, err
	}
	if h.Typeflag != tar.TypeReg || !goodName(h.Name) {
		return nil, fmt.Errorf("%w: a part named %.80q", ErrFormat, h.Name)
	}
	return h, nil
}

// pieceOf returns the number of a piece of a streamed part; -1 for what is none.
func pieceOf(h *tar.Header) int {
	text, ok := h.PAXRecords[pieceRecord]
	if !ok {
		return -1
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

// pieces reads a streamed part.
type pieces struct {
	c    *Contents
	name string
	r    io.Reader
	n    int
}

// Read implements [io.Reader].
func (p *pieces) Read(b []byte) (int, error) {
	for {
		if p.r == nil {
			return 0, io.EOF
		}
		n, err := p.r.Read(b)
		if n > 0 || err == nil {
			return n, nil
		}
		if !errors.Is(err, io.EOF) {
			return 0, err
		}
		p.r = nil
		h, err := p.c.header()
		if errors.Is(err, io.EOF) {
			return 0, io.EOF // Next finds the end again
		}
		if err != nil {
			return 0, err
		}
		if h.Name == p.name && pieceOf(h) == p.n+1 {
			p.n, p.r = p.n+1, p.c.tar
			continue
		}
		p.c.next = h
		return 0, io.EOF
	}
}
