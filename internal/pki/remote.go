package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"truc/internal/errs"
)

// The protocol of the signer program: on a local stream socket, requests and answers in turn, each a length in four bytes
// (big endian) and that many bytes of JSON. signer/ has the other end.
type (
	signerRequest struct {
		Op      string `json:"op"`  // "key", "make" or "sign"
		Key     string `json:"key"` // label of the key
		Alg     string `json:"alg,omitempty"`
		Hash    string `json:"hash,omitempty"`    // absent for Ed25519, which signs the message itself
		Padding string `json:"padding,omitempty"` // RSA: "pkcs1" or "pss", whose salt is as long as the digest
		Digest  []byte `json:"digest,omitempty"`
	}
	signerAnswer struct {
		Public    []byte `json:"public,omitempty"` // SubjectPublicKeyInfo, DER
		Signature []byte `json:"signature,omitempty"`
		Error     string `json:"error,omitempty"`
	}
)

// What the signer program may answer instead.
const (
	signerUnknownKey = "unknown_key"
	signerBusy       = "busy"
	signerRefused    = "refused"
)

const (
	maxSignerFrame = 128 << 10
	// maxSignerMessage bounds what a key signs without a digest; the signer program has the same number.
	maxSignerMessage = 80 << 10
	// signerTimeout bounds one signature of a document. A card in a reader takes a second or two.
	signerTimeout = 15 * time.Second
	// signerHands is how many requests are under way at once; the others wait their turn, inside the same limit of time.
	signerHands = 4
)

// SignerProgram is the way to the signer program on a socket: a few connections that are kept. It is safe for concurrent
// use. While the program is away every request is an [errs.Unavailable] error at once; when it is back, requests work again.
type SignerProgram struct {
	socket  string
	timeout time.Duration
	hands   chan struct{}

	mu   sync.Mutex // guards idle
	idle []net.Conn
}

// NewSignerProgram returns the way to the program on a socket; nothing is opened yet. A request, with the time it waits for
// others, ends after timeout; 0 is what a card in a reader needs, 15 seconds.
func NewSignerProgram(socket string, timeout time.Duration) *SignerProgram {
	if timeout <= 0 {
		timeout = signerTimeout
	}
	return &SignerProgram{socket: socket, timeout: timeout, hands: make(chan struct{}, signerHands)}
}

// Key asks for the key with a label.
func (p *SignerProgram) Key(ctx context.Context, label string) (*RemoteSigner, error) {
	return p.public(ctx, signerRequest{Op: "key", Key: label})
}

// Make has a key of kind alg made in the device under a label, which never leaves it. A key that has the label already is
// returned instead. The program makes keys only where its operator allowed that.
func (p *SignerProgram) Make(ctx context.Context, label string, alg Alg) (*RemoteSigner, error) {
	s, err := p.public(ctx, signerRequest{Op: "make", Key: label, Alg: string(alg)})
	if err != nil {
		return nil, err
	}
	if got := AlgOf(s.public); got != alg {
		return nil, errs.E(errs.Conflict, "pki.key_alg_other", nil, "want", string(alg), "got", string(got))
	}
	return s, nil
}

func (p *SignerProgram) public(ctx context.Context, req signerRequest) (*RemoteSigner, error) {
	a, err := p.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	s := &RemoteSigner{program: p, key: req.Key}
	if s.public, err = x509.ParsePKIXPublicKey(a.Public); err != nil {
		return nil, errs.E(errs.Unavailable, "pki.signer_unavailable", fmt.Errorf("public key: %w", err))
	}
	return s, nil
}

// Close ends the connections that are kept.
func (p *SignerProgram) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
}

// RemoteSigner is a key in another process, the signer program, which alone knows devices and their PIN. It is a
// [crypto.Signer] for RSA, ECDSA and Ed25519 and safe for concurrent use. While the program is away every call is an
// [errs.Unavailable] error; when it is back, calls work again.
type RemoteSigner struct {
	program *SignerProgram
	key     string
	public  crypto.PublicKey
}

// NewRemoteSigner asks the signer program on a socket for the key of documents with the given label.
func NewRemoteSigner(ctx context.Context, socket, key string) (*RemoteSigner, error) {
	s, err := NewSignerProgram(socket, signerTimeout).Key(ctx, key)
	if err != nil {
		return nil, err
	}
	if !documentKey(s.public) {
		return nil, errs.E(errs.Invalid, "pki.key_alg_unknown", nil, "alg", fmt.Sprintf("%T", s.public))
	}
	return s, nil
}

// Public implements [crypto.Signer].
func (s *RemoteSigner) Public() crypto.PublicKey { return s.public }

// Label is the name of the key at the device.
func (s *RemoteSigner) Label() string { return s.key }

// Sign implements [crypto.Signer]. A signature that does not fit the key is refused: a fault of the device must not end up
// in a document or a message.
func (s *RemoteSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	req := signerRequest{Op: "sign", Key: s.key, Digest: digest}
	if _, isEdwards := s.public.(ed25519.PublicKey); !isEdwards {
		req.Hash = opts.HashFunc().String()
	} else if opts.HashFunc() != 0 || len(digest) > maxSignerMessage {
		return nil, fmt.Errorf("pki: Ed25519 over %d bytes with hash %d", len(digest), opts.HashFunc())
	}
	pss, isPSS := opts.(*rsa.PSSOptions)
	if _, isRSA := s.public.(*rsa.PublicKey); isRSA {
		req.Padding = "pkcs1"
		if isPSS {
			req.Padding = "pss"
		}
	}
	if isPSS && pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != opts.HashFunc().Size() {
		return nil, fmt.Errorf("pki: salt of %d bytes", pss.SaltLength)
	}
	a, err := s.program.ask(context.Background(), req)
	if err != nil {
		return nil, err
	}
	ok := false
	switch k := s.public.(type) {
	case *rsa.PublicKey:
		if isPSS {
			ok = rsa.VerifyPSS(k, opts.HashFunc(), digest, a.Signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		} else {
			ok = rsa.VerifyPKCS1v15(k, opts.HashFunc(), digest, a.Signature) == nil
		}
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(k, digest, a.Signature)
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, digest, a.Signature)
	}
	if !ok {
		return nil, errs.E(errs.Unavailable, "pki.signer_unavailable", errors.New("the signature does not fit the key"))
	}
	return a.Signature, nil
}

// ask waits for a free hand, then for the answer; both together no longer than the program's limit.
func (p *SignerProgram) ask(ctx context.Context, req signerRequest) (a signerAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	select {
	case p.hands <- struct{}{}:
		defer func() { <-p.hands }()
	case <-ctx.Done():
		return a, errs.E(errs.Unavailable, "pki.signer_unavailable", ctx.Err())
	}
	if a, err = p.exchange(ctx, req); err != nil {
		return a, errs.E(errs.Unavailable, "pki.signer_unavailable", err)
	}
	switch a.Error {
	case "":
		return a, nil
	case signerUnknownKey:
		return a, errs.E(errs.Unavailable, "pki.signer_no_key", nil, "key", req.Key)
	case signerBusy:
		return a, errs.E(errs.Unavailable, "pki.signer_busy", nil)
	case signerRefused:
		return a, errs.E(errs.Unavailable, "pki.signer_refused", nil, "key", req.Key)
	}
	return a, errs.E(errs.Unavailable, "pki.signer_unavailable", fmt.Errorf("the signer says %q", a.Error))
}

// exchange asks on a connection that was kept, or on a new one. A kept connection may be dead, because the program ended
// meanwhile or wants no second request: then a new one is tried. Asking twice does no harm, whatever is asked.
func (p *SignerProgram) exchange(ctx context.Context, req signerRequest) (a signerAnswer, err error) {
	if conn := p.kept(); conn != nil {
		if a, err = p.roundTrip(ctx, conn, req); err == nil || ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return a, err
		}
		p.Close() // the others are as old
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", p.socket)
	if err != nil {
		return a, err
	}
	return p.roundTrip(ctx, conn, req)
}

func (p *SignerProgram) kept() net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return c
}

// roundTrip keeps the connection when all went well and closes it otherwise: half an answer must not become the next one's.
func (p *SignerProgram) roundTrip(ctx context.Context, conn net.Conn, req signerRequest) (a signerAnswer, err error) {
	deadline, _ := ctx.Deadline()
	if err = conn.SetDeadline(deadline); err == nil {
		if err = writeFrame(conn, req); err == nil {
			err = readFrame(conn, &a)
		}
	}
	if err != nil {
		return a, errors.Join(err, conn.Close())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, conn) // never more than there are hands
	return a, nil
}

func writeFrame(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)) //nolint:gosec // far below the limit
	return err
}

func readFrame(r io.Reader, v any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxSignerFrame {
		return fmt.Errorf("an answer of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	return json.NewDecoder(bytes.NewReader(b)).Decode(v)
}
