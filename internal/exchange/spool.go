package exchange

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// spool keeps a body in a file that nobody else can read: it has no name any more before the first byte is in it, and
// each block is encrypted with a key that exists in this process only (AES-256-GCM, the block's number is the nonce).
type spool struct {
	file *os.File
	aead cipher.AEAD
	size int64

	block  uint64 // the next to be read
	blocks uint64
	plain  []byte // what is left of the block that was read
	buf    []byte
}

func newSpool(dir string) (*spool, error) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand since Go 1.24)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "truc-body-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &spool{file: f, aead: aead, buf: make([]byte, streamBlock+aead.Overhead())}, nil
}

func (s *spool) nonce(n uint64) []byte {
	b := make([]byte, s.aead.NonceSize())
	binary.BigEndian.PutUint64(b[len(b)-8:], n)
	return b
}

// fill writes all of r.
func (s *spool) fill(r io.Reader) (int64, error) {
	plain := make([]byte, streamBlock)
	for {
		n, err := io.ReadFull(r, plain)
		if n > 0 {
			sealed := s.aead.Seal(s.buf[:0], s.nonce(s.blocks), plain[:n], nil)
			if _, err := s.file.WriteAt(sealed, s.offset(s.blocks)); err != nil {
				return s.size, err
			}
			s.blocks++
			s.size += int64(n)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && n < streamBlock:
			// ReadFull tells a short last block by ErrUnexpectedEOF; a reader that fails with it would end here too,
			// so the end is asked for again.
			if _, err := r.Read(plain[:1]); !errors.Is(err, io.EOF) {
				return s.size, errors.Join(io.ErrUnexpectedEOF, err)
			}
			return s.size, nil
		case err != nil:
			return s.size, err
		}
	}
}

func (s *spool) offset(block uint64) int64 {
	return int64(block) * int64(streamBlock+s.aead.Overhead()) //nolint:gosec // blocks of a file that was written
}

// Read implements [io.Reader].
func (s *spool) Read(p []byte) (int, error) {
	for len(s.plain) == 0 {
		if s.block == s.blocks {
			return 0, io.EOF
		}
		n := min(int64(len(s.buf)), s.size+int64(s.blocks)*int64(s.aead.Overhead())-s.offset(s.block)) //nolint:gosec // as above
		sealed := s.buf[:n]
		if _, err := s.file.ReadAt(sealed, s.offset(s.block)); err != nil {
			if errors.Is(err, io.EOF) { // the file lost its end; nobody may take that for the end of the body
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		plain, err := s.aead.Open(sealed[:0], s.nonce(s.block), sealed, nil)
		if err != nil {
			return 0, err
		}
		s.plain = plain
		s.block++
	}
	n := copy(p, s.plain)
	s.plain = s.plain[n:]
	return n, nil
}

// Close implements [io.Closer]; the file's space is free then.
func (s *spool) Close() error { return s.file.Close() }
