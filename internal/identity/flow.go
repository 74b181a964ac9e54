package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"io"
	"time"

	"truc/internal/errs"
	"truc/internal/reqctx"
)

// FlowTime is how long a person may take at the provider before the attempt is void.
const FlowTime = 15 * time.Minute

// Flow is one attempt to sign in. It holds the secrets that tie the provider's answer to the browser that asked:
// State against forged answers (RFC 6749 §10.12), Nonce against tokens of other attempts (OpenID Connect Core
// §3.1.2.1), Verifier against stolen codes (RFC 7636).
type Flow struct {
	Kind     reqctx.PrincipalKind `json:"k"`
	State    string               `json:"s"`
	Nonce    string               `json:"n"`
	Verifier string               `json:"v"`
	// Next is the local path to go to afterwards; the page that starts the flow has made it safe.
	Next    string `json:"x"`
	Expires int64  `json:"e"` // Unix seconds
}

// NewFlow starts an attempt for a citizen or an officer.
func (s *Service) NewFlow(kind reqctx.PrincipalKind, next string) (Flow, error) {
	if kind != reqctx.Citizen && kind != reqctx.Officer {
		return Flow{}, errs.E(errs.Invalid, "identity.kind_unknown", nil)
	}
	f := Flow{Kind: kind, Next: next, Expires: s.now().Add(FlowTime).Unix()}
	for _, p := range []*string{&f.State, &f.Nonce, &f.Verifier} {
		t, err := randomToken(s.rand(), 32)
		if err != nil {
			return Flow{}, err
		}
		*p = t
	}
	return f, nil
}

// Sealer keeps a flow in a cookie that its holder can neither read nor change (AES-256-GCM), so that nobody can
// fill the database by pressing the sign-in button.
type Sealer struct {
	aead cipher.AEAD
	rand io.Reader
}

// sealedLimit is above the longest sealed flow; browsers keep cookies of 4096 bytes.
const sealedLimit = 3800

// NewSealer returns a sealer for a key of 32 bytes. Processes that share a site share the key; a single process
// may draw it at random at each start, at the price that attempts under way begin again.
func NewSealer(key []byte, rand io.Reader) (*Sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: aead, rand: rand}, nil
}

// Seal returns the flow as a cookie value.
func (s *Sealer) Seal(f Flow) (string, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		return "", err
	}
	v := base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, plain, []byte("identity flow v1")))
	if len(v) > sealedLimit {
		return "", errs.E(errs.Invalid, "identity.next_too_long", nil)
	}
	return v, nil
}

// Open returns the flow of a cookie value. Invalid "identity.flow_lost" for anything that this sealer did not seal
// or that is too old.
func (s *Sealer) Open(value string, now time.Time) (Flow, error) {
	lost := errs.E(errs.Invalid, "identity.flow_lost", nil)
	if len(value) > sealedLimit {
		return Flow{}, lost
	}
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) < s.aead.NonceSize() {
		return Flow{}, lost
	}
	nonce, box := raw[:s.aead.NonceSize()], raw[s.aead.NonceSize():]
	plain, err := s.aead.Open(nil, nonce, box, []byte("identity flow v1"))
	if err != nil {
		return Flow{}, lost
	}
	var f Flow
	if err := json.Unmarshal(plain, &f); err != nil || now.Unix() >= f.Expires {
		return Flow{}, lost
	}
	return f, nil
}
