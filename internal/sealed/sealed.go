// Package sealed encrypts files of any size with bounded memory: the archive of a log, a streamed body, a backup. It does not
// know what it encrypts nor where keys come from.
//
// Content is sealed in chunks of 64 KiB under AES-256-GCM. The nonce of a chunk is its number and whether it is the last
// (STREAM of Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
// Misuse-Resistance", 2015), so that chunks cannot be dropped, doubled, moved or cut off unseen. A key seals one content.
//
// A sealed file ([Encrypt], [Decrypt]) begins with the line "truc-sealed/1", followed by the content's own random key, sealed
// under the owner's key with a label that says what the file is.
package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	magic     = "truc-sealed/1\n"
	keySize   = 32
	nonceSize = 12
	overhead  = 16
	// Chunk is how much content is sealed at once, and so how much of it is in memory.
	Chunk       = 64 << 10
	sealedChunk = Chunk + overhead
	headSize    = len(magic) + nonceSize + keySize + overhead
)

// ErrDamaged means that content was changed or cut off, or that the key is another.
var ErrDamaged = errors.New("sealed: the content was changed or cut off, or the key is another")

// AEAD returns AES-256-GCM under a key of 32 bytes.
func AEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("sealed: the key has %d bytes, want %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Encrypt begins a sealed file. The writer must be closed; that does not close w.
func Encrypt(w io.Writer, key []byte, label string) (*Writer, error) {
	owner, err := AEAD(key)
	if err != nil {
		return nil, err
	}
	fresh := make([]byte, keySize+nonceSize)
	if _, err := rand.Read(fresh); err != nil {
		return nil, err
	}
	data, err := AEAD(fresh[:keySize])
	if err != nil {
		return nil, err
	}
	nonce := fresh[keySize:]
	head := append([]byte(magic), nonce...)
	head = owner.Seal(head, nonce, fresh[:keySize], []byte(magic+label))
	if _, err := w.Write(head); err != nil {
		return nil, err
	}
	return NewWriter(w, data, []byte(label)), nil
}

// Decrypt opens a sealed file with the key and the label it was made with. What is read is good as far as it came; only
// io.EOF says that nothing is missing.
func Decrypt(r io.Reader, key []byte, label string) (*Reader, error) {
	owner, err := AEAD(key)
	if err != nil {
		return nil, err
	}
	head := make([]byte, headSize)
	if _, err := io.ReadFull(r, head); err != nil || !bytes.HasPrefix(head, []byte(magic)) {
		return nil, errors.Join(errors.New("sealed: not a sealed file"), err)
	}
	nonce, rest := head[len(magic):len(magic)+nonceSize], head[len(magic)+nonceSize:]
	fresh, err := owner.Open(nil, nonce, rest, []byte(magic+label))
	if err != nil {
		return nil, ErrDamaged
	}
	data, err := AEAD(fresh)
	if err != nil {
		return nil, err
	}
	return NewReader(r, data, []byte(label)), nil
}

// Writer seals content. It holds one chunk back, because the last is sealed as such.
type Writer struct {
	w      io.Writer
	data   cipher.AEAD
	ad     []byte
	chunk  []byte
	out    []byte
	number uint64
	err    error // sticky
}

// NewWriter seals under a key that seals nothing else; ad is bound to every chunk.
func NewWriter(w io.Writer, data cipher.AEAD, ad []byte) *Writer {
	return &Writer{w: w, data: data, ad: ad, chunk: make([]byte, 0, Chunk), out: make([]byte, 0, sealedChunk)}
}

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		if len(w.chunk) == Chunk {
			w.flush(false)
		}
		k := copy(w.chunk[len(w.chunk):Chunk], p)
		w.chunk = w.chunk[:len(w.chunk)+k]
		p, n = p[k:], n+k
	}
	return n, w.err
}

func (w *Writer) flush(last bool) {
	if w.err != nil {
		return
	}
	nonce := chunkNonce(w.number, last)
	w.out = w.data.Seal(w.out[:0], nonce[:], w.chunk, w.ad)
	_, w.err = w.w.Write(w.out)
	w.chunk, w.number = w.chunk[:0], w.number+1
}

// Close seals the last chunk; nothing can be written afterwards.
func (w *Writer) Close() error {
	w.flush(true)
	err := w.err
	if w.err == nil {
		w.err = errors.New("sealed: the writer was closed")
	}
	return err
}

func chunkNonce(number uint64, last bool) (nonce [nonceSize]byte) {
	binary.BigEndian.PutUint64(nonce[4:], number)
	if last {
		nonce[0] = 1
	}
	return nonce
}

// Reader opens what a [Writer] sealed, a chunk at a time.
type Reader struct {
	r      io.Reader
	data   cipher.AEAD
	ad     []byte
	number uint64
	buf    []byte // a chunk, and one byte of the next
	have   int    // bytes in buf that were read ahead
	plain  []byte
	rest   []byte
	err    error
}

// NewReader is the other side of [NewWriter].
func NewReader(r io.Reader, data cipher.AEAD, ad []byte) *Reader {
	return &Reader{r: r, data: data, ad: ad, buf: make([]byte, sealedChunk+1), plain: make([]byte, 0, sealedChunk)}
}

// Read implements [io.Reader].
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.next()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *Reader) next() {
	n, err := io.ReadFull(r.r, r.buf[r.have:])
	n += r.have
	last := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
	if err != nil && !last {
		r.err = err
		return
	}
	nonce := chunkNonce(r.number, last)
	if r.rest, err = r.data.Open(r.plain[:0], nonce[:], r.buf[:min(n, sealedChunk)], r.ad); err != nil {
		r.rest, r.err = nil, ErrDamaged
		return
	}
	r.number++
	if last {
		r.err = io.EOF
		return
	}
	r.buf[0], r.have = r.buf[sealedChunk], 1
}

// CheckEnd reports whether content of a length has its last chunk: what a killed process wrote has none.
func CheckEnd(r io.ReaderAt, length int64, data cipher.AEAD, ad []byte) error {
	if length <= 0 {
		return ErrDamaged
	}
	number := (length - 1) / sealedChunk
	buf := make([]byte, sealedChunk)
	n, err := r.ReadAt(buf, number*sealedChunk)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	nonce := chunkNonce(uint64(number), true)
	if _, err := data.Open(buf[:0], nonce[:], buf[:n], ad); err != nil {
		return ErrDamaged
	}
	return nil
}
