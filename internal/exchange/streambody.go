package exchange

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"
)

// errMismatch is what a reader gets instead of the end of a body that is not the signed one, or not signed at all.
var errMismatch = errors.New("the body is not the one that was signed")

// errLength is a body that is shorter or longer than announced.
var errLength = errors.New("the body has not the length that was announced")

func digestField(h hash.Hash) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(h.Sum(nil)) + ":"
}

// outBody is a body on its way out. It hashes what passes; at the end it has the digest signed and logged before the
// end is passed on, so that the log comes first here too.
type outBody struct {
	src    io.Reader
	length int64
	// seal signs and logs.
	seal func(digest string, size int64) (http.Header, int64, error)
	keep *keptStream

	mu      sync.Mutex // guards all below; the network reads in its own goroutine
	hash    hash.Hash
	sum512  hash.Hash // for X-Road's request hash; nil when nobody asks for it
	started bool
	closed  bool
	n       int64
	err     error // sticky
	digest  string
	index   int64 // of the log entry
	trailer http.Header
}

func newOutBody(src io.Reader, length int64, both bool, seal func(string, int64) (http.Header, int64, error)) *outBody {
	b := &outBody{src: src, length: length, seal: seal, hash: sha256.New(), index: -1}
	if both {
		b.sum512 = sha512.New()
	}
	return b
}

// Read implements [io.Reader].
func (b *outBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return 0, b.err
	case b.closed:
		return 0, errors.New("the body was closed")
	}
	b.started = true
	n, err := b.src.Read(p)
	b.hash.Write(p[:n])
	if b.sum512 != nil {
		b.sum512.Write(p[:n])
	}
	b.n += int64(n)
	if kerr := b.keep.write(p[:n]); kerr != nil {
		b.err = fmt.Errorf("%w: %w", errKeep, kerr)
		return 0, b.err
	}
	switch {
	case b.length >= 0 && b.n > b.length, errors.Is(err, io.EOF) && b.length >= 0 && b.n != b.length:
		b.err = errLength
		return 0, b.err
	case errors.Is(err, io.EOF):
		digest := digestField(b.hash)
		if b.trailer, b.index, b.err = b.seal(digest, b.n); b.err != nil {
			return 0, b.err
		}
		b.digest, b.err = digest, io.EOF
		return n, io.EOF
	case err != nil:
		b.err = err
	}
	return n, err
}

// Close implements [io.Closer]. The source belongs to the caller, who may try another node.
func (b *outBody) Close() error {
	go func() { // a reader that waits for its source must not keep the closer waiting
		b.mu.Lock()
		defer b.mu.Unlock()
		b.closed = true
	}()
	return nil
}

// Trailer returns the fields that follow.
func (b *outBody) Trailer() http.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trailer
}

// sent tells how far the body came: the digest is empty unless it was sent whole.
func (b *outBody) sent() (digest string, size, index int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.digest, b.n, b.index
}

// forget gives up keeping a body that was not sent whole. A reader that still waits for its source keeps nothing more.
func (b *outBody) forget() {
	go func() { // it may take until the source gives up
		b.mu.Lock()
		defer b.mu.Unlock()
		b.closed = true
		_ = b.keep.discard() // what is left without an end cannot be read
	}()
}

// touched reports whether anything was read of the source.
func (b *outBody) touched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.started
}

// forHash is what X-Road's request hash needs, once the body was sent whole.
func (b *outBody) forHash() (sum []byte, empty, whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sum512.Sum(nil), b.n == 0, b.digest != ""
}

// sourceFault is the error of the source, if that is what ended the body.
func (b *outBody) sourceFault() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && !errors.Is(b.err, io.EOF) {
		return b.err
	}
	return nil
}

// inBody is a body that arrives. Its reader always lags one block behind, so that the last block, and with it the end,
// is given out only when digest and signature after the body have been checked and logged (spec D21, D24).
type inBody struct {
	src *Stream
	// check verifies and logs the end; cause is nil when the body ended in good order. Called once.
	check func(digest string, size int64, cause error) error
	// pace is told how much arrived, and may pause.
	pace func(n int) error
	keep *keptStream

	mu     sync.Mutex // guards all below
	sum256 hash.Hash
	sum512 hash.Hash // nil when nobody asks for it
	n      int64
	cur    []byte // to be given out
	held   []byte
	blocks [2][]byte // cur and held lie in them; blocks[free] is read into when cur is used up
	free   int
	ended  bool
	err    error // what follows cur once ended
	closed bool
}

func newInBody(src *Stream, both bool, pace func(int) error, check func(string, int64, error) error) *inBody {
	b := &inBody{src: src, check: check, pace: pace, sum256: sha256.New(), blocks: [2][]byte{make([]byte, streamBlock), make([]byte, streamBlock)}}
	if both {
		b.sum512 = sha512.New()
	}
	return b
}

// Read implements [io.Reader].
func (b *inBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	for len(b.cur) == 0 {
		if b.ended {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.cur)
	b.cur = b.cur[n:]
	return n, nil
}

// fill reads the next block; cur is empty. The caller holds mu.
func (b *inBody) fill() {
	n, err := b.src.Body.Read(b.blocks[b.free])
	if n > 0 {
		block := b.blocks[b.free][:n]
		b.sum256.Write(block)
		if b.sum512 != nil {
			b.sum512.Write(block)
		}
		b.n += int64(n)
		b.cur, b.held = b.held, block
		b.free = 1 - b.free
		if kerr := b.keep.write(block); kerr != nil {
			err = fmt.Errorf("%w: %w", errKeep, kerr)
		}
		if b.pace != nil && err == nil {
			err = b.pace(n)
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.end(nil)
	default:
		b.end(err)
	}
}

func (b *inBody) end(cause error) {
	if cause == nil && b.src.Length >= 0 && b.n != b.src.Length {
		cause = errLength
	}
	b.ended = true
	b.err = b.check(digestField(b.sum256), b.n, cause)
	_ = b.keep.discard() // unless it was found good; what is left without an end cannot be read
	if b.err != nil {
		b.cur, b.held = nil, nil
		return
	}
	// Given out only now. cur and held may both wait, so they are joined; held's array is not written again.
	b.cur, b.held, b.err = append(bytes.Clone(b.cur), b.held...), nil, io.EOF
}

// drain reads the rest, which nobody wants, to know that the body is good. Later reads fail.
func (b *inBody) drain() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for !b.ended {
		b.cur = nil
		b.fill()
	}
	if errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

// abandon ends a body that nobody will read on.
func (b *inBody) abandon(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if !b.ended {
		b.end(cause)
	}
}

// forHash is what X-Road's request hash needs, once the body was found good.
func (b *inBody) forHash() (sum []byte, empty, whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sum512.Sum(nil), b.n == 0, b.ended && errors.Is(b.err, io.EOF)
}

// whole reports whether the body arrived and was found good.
func (b *inBody) whole() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended && errors.Is(b.err, io.EOF)
}

// Close implements [io.Closer] for the service that reads; the exchange itself drains or abandons.
func (b *inBody) Close() error { return nil }
