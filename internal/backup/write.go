package backup

import (
	"archive/tar"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"truc/internal/sealed"
)

const (
	magic       = "truc-backup/1\n"
	endMagic    = "truc-backup-end/1\n"
	trailerSize = 256
	maxHeader   = 64 << 10
	// partSize is how much of a part of unknown size is in memory at once.
	partSize = 1 << 20
	// pieceRecord numbers the pieces of a part that was streamed, in the extended header of tar.
	pieceRecord = "TRUC.piece"
)

// Header is what everybody may read of a backup.
type Header struct {
	// Node is the server id of the node, MadeAt the Unix time of the backup, Release the program's.
	Node    string `json:"node"`
	MadeAt  int64  `json:"made_at"`
	Release string `json:"release"`
	// Signer is the SubjectPublicKeyInfo of the key that signed it.
	Signer     []byte    `json:"signer"`
	Recipients []Wrapped `json:"recipients"`
}

// Time is when the backup was made.
func (h Header) Time() time.Time { return time.Unix(h.MadeAt, 0).UTC() }

// Writer writes one backup; its memory does not depend on what it writes.
type Writer struct {
	w      io.Writer // to the file and the hash
	raw    io.Writer
	sum    hash.Hash
	seal   *sealed.Writer
	tar    *tar.Writer
	signer crypto.Signer
}

// NewWriter begins a backup. Of header, Signer and Recipients are filled in. The writer must be closed; that does not close w.
func NewWriter(w io.Writer, header Header, recipients []Recipient, signer crypto.Signer) (*Writer, error) {
	if len(recipients) == 0 || len(recipients) > MaxRecipients {
		return nil, fmt.Errorf("backup: %d recipients; want 1 to %d", len(recipients), MaxRecipients)
	}
	fileKey := make([]byte, fileKeySize)
	if _, err := rand.Read(fileKey); err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	header.Signer, header.Recipients = spki, nil
	for _, r := range recipients {
		one, err := wrap(fileKey, r)
		if err != nil {
			return nil, err
		}
		header.Recipients = append(header.Recipients, one)
	}
	b, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	out := &Writer{raw: w, sum: sha256.New(), signer: signer}
	out.w = io.MultiWriter(w, out.sum)
	head := append([]byte(magic), binary.BigEndian.AppendUint32(nil, uint32(len(b)))...) //nolint:gosec // a few kilobytes
	if _, err := out.w.Write(append(head, b...)); err != nil {
		return nil, err
	}
	aead, err := sealed.AEAD(fileKey)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	out.seal = sealed.NewWriter(out.w, aead, sum[:])
	out.tar = tar.NewWriter(out.seal)
	return out, nil
}

// goodName reports whether a part's name stays below the folder it is put into.
func goodName(name string) bool {
	return name != "" && len(name) <= 512 && name == path.Clean(name) && !path.IsAbs(name) && name != "." && name != ".." && !strings.HasPrefix(name, "../") &&
		!strings.ContainsAny(name, "\\\x00\n\r")
}

// Add adds a part of which exactly size bytes are read.
func (w *Writer) Add(name string, size int64, r io.Reader) error {
	return w.add(name, size, r, nil)
}

func (w *Writer) add(name string, size int64, r io.Reader, records map[string]string) error {
	if !goodName(name) {
		return fmt.Errorf("backup: bad name %q", name)
	}
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, Format: tar.FormatPAX, PAXRecords: records}); err != nil {
		return err
	}
	n, err := io.CopyN(w.tar, r, size)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("backup: %s became shorter: %d of %d bytes", name, n, size)
	}
	return err
}

// Stream adds a part whose size is not known beforehand: it is stored in numbered pieces.
func (w *Writer) Stream(name string) (io.WriteCloser, error) {
	if !goodName(name) {
		return nil, fmt.Errorf("backup: bad name %q", name)
	}
	return &stream{w: w, name: name, buf: make([]byte, 0, partSize)}, nil
}

type stream struct {
	w    *Writer
	name string
	buf  []byte
	n    int
}

func (s *stream) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if len(s.buf) == partSize {
			if err := s.flush(); err != nil {
				return n, err
			}
		}
		k := copy(s.buf[len(s.buf):partSize], p)
		s.buf, p, n = s.buf[:len(s.buf)+k], p[k:], n+k
	}
	return n, nil
}

func (s *stream) flush() error {
	err := s.w.add(s.name, int64(len(s.buf)), bytes.NewReader(s.buf), map[string]string{pieceRecord: strconv.Itoa(s.n)})
	s.buf, s.n = s.buf[:0], s.n+1
	return err
}

// Close stores the last piece, which may be empty: a part that was streamed is never absent.
func (s *stream) Close() error { return s.flush() }

// Close ends the backup and signs it.
func (w *Writer) Close() error {
	if err := w.tar.Close(); err != nil {
		return err
	}
	if err := w.seal.Close(); err != nil {
		return err
	}
	sig, err := sign(w.signer, w.sum.Sum(nil))
	if err != nil {
		return err
	}
	trailer := binary.BigEndian.AppendUint16([]byte(endMagic), uint16(len(sig))) //nolint:gosec // at most 72
	trailer = append(trailer, sig...)
	if len(trailer) > trailerSize {
		return errors.New("backup: the signature is too long")
	}
	_, err = w.raw.Write(append(trailer, make([]byte, trailerSize-len(trailer))...))
	return err
}
