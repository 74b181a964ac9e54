package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"truc/internal/errs"
)

// The protocol of the signer program: on a local stream socket, one request and one answer a connection, each a length in
// four bytes (big endian) and that many bytes of JSON. signer/ has the other end.
type (
	signerRequest struct {
		Op      string `json:"op"`  // "key" or "sign"
		Key     string `json:"key"` // label of the key
		Hash    string `json:"hash,omitempty"`
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
)

const (
	maxSignerFrame = 64 << 10
	// signerTimeout bounds one signature. A card in a reader takes a second or two.
	signerTimeout = 15 * time.Second
)

// RemoteSigner is a key in another process, the signer program, which alone knows devices and their PIN. It is a
// [crypto.Signer] for RSA and ECDSA and safe for concurrent use. While the program is away every call is an
// [errs.Unavailable] error; when it is back, calls work again.
type RemoteSigner struct {
	socket, key string
	public      crypto.PublicKey

	mu sync.Mutex // one signature at a time: a device has no more hands
}

// NewRemoteSigner asks the signer program on a socket for the public key of the given label.
func NewRemoteSigner(ctx context.Context, socket, key string) (*RemoteSigner, error) {
	s := &RemoteSigner{socket: socket, key: key}
	a, err := s.ask(ctx, signerRequest{Op: "key", Key: key})
	if err != nil {
		return nil, err
	}
	if s.public, err = x509.ParsePKIXPublicKey(a.Public); err != nil {
		return nil, errs.E(errs.Unavailable, "pki.signer_unavailable", fmt.Errorf("public key: %w", err))
	}
	if !documentKey(s.public) {
		return nil, errs.E(errs.Invalid, "pki.key_alg_unknown", nil, "alg", fmt.Sprintf("%T", s.public))
	}
	return s, nil
}

// Public implements [crypto.Signer].
func (s *RemoteSigner) Public() crypto.PublicKey { return s.public }

// Sign implements [crypto.Signer]. A signature that does not fit the key is refused: a fault of the device must not end up
// in a document.
func (s *RemoteSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	req := signerRequest{Op: "sign", Key: s.key, Hash: opts.HashFunc().String(), Digest: digest}
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
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.ask(context.Background(), req)
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
	}
	if !ok {
		return nil, errs.E(errs.Unavailable, "pki.signer_unavailable", errors.New("the signature does not fit the key"))
	}
	return a.Signature, nil
}

func (s *RemoteSigner) ask(ctx context.Context, req signerRequest) (a signerAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, signerTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", s.socket)
	if err != nil {
		return a, errs.E(errs.Unavailable, "pki.signer_unavailable", err)
	}
	defer conn.Close() //nolint:errcheck // the answer has been read or has failed by then
	deadline, _ := ctx.Deadline()
	if err = conn.SetDeadline(deadline); err == nil {
		if err = writeFrame(conn, req); err == nil {
			err = readFrame(conn, &a)
		}
	}
	if err != nil {
		return a, errs.E(errs.Unavailable, "pki.signer_unavailable", err)
	}
	switch a.Error {
	case "":
		return a, nil
	case signerUnknownKey:
		return a, errs.E(errs.Unavailable, "pki.signer_no_key", nil, "key", s.key)
	case signerBusy:
		return a, errs.E(errs.Unavailable, "pki.signer_busy", nil)
	}
	return a, errs.E(errs.Unavailable, "pki.signer_unavailable", fmt.Errorf("the signer says %q", a.Error))
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
