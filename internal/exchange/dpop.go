package exchange

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Limits of a proof: its text, and how far its clock may be from ours.
const (
	maxProof       = 4 << 10
	proofFreshness = 5 * time.Minute
)

// maxProofs bounds the memory of proofs: ten minutes at 800 requests a second.
const maxProofs = 500_000

// Proof is a DPoP proof that was checked (RFC 9449 §4.2).
type Proof struct {
	// Thumbprint names the key that signed it (RFC 7638).
	Thumbprint string
	// ID is its jti.
	ID string
}

// Proofs checks DPoP proofs, each at most once. The zero value is not ready; see [NewProofs].
type Proofs struct {
	now  func() time.Time
	seen *replaySet
}

// NewProofs returns a checker that remembers proofs for as long as they are fresh.
func NewProofs(now func() time.Time) *Proofs {
	return &Proofs{now: now, seen: newReplaySet(2*proofFreshness, maxProofs)}
}

// Check judges a proof for a request: signed by the key of thumbprint, for this method and address, over this token, fresh,
// and never seen before. htu is the address without query: scheme, authority and raw path.
func (p *Proofs) Check(proof, token, thumbprint, method, htu string) error {
	got, err := parseProof(proof, token, method, htu, p.now())
	if err != nil {
		return err
	}
	if got.Thumbprint != thumbprint {
		return errors.New("the proof is signed by another key than the token is bound to")
	}
	// Noted last, so that a proof which is refused for another reason does not use its id up.
	switch p.seen.add(got.Thumbprint+" "+got.ID, p.now().Add(2*proofFreshness), p.now()) {
	case replayNew:
		return nil
	case replayFull:
		return errors.New("the memory of proofs is full")
	default:
		return errors.New("the proof was used before")
	}
}

type proofClaims struct {
	JTI string      `json:"jti"`
	HTM string      `json:"htm"`
	HTU string      `json:"htu"`
	IAT json.Number `json:"iat"`
	ATH string      `json:"ath"`
}

// parseProof checks everything about a proof but who may sign it and whether it was seen (RFC 9449 §4.3).
func parseProof(proof, token, method, htu string, now time.Time) (Proof, error) {
	if len(proof) > maxProof {
		return Proof{}, errors.New("the proof is too long")
	}
	// Algorithms are fixed here, before anything in the proof is believed.
	jws, err := jose.ParseSignedCompact(proof, []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256})
	if err != nil {
		return Proof{}, fmt.Errorf("the proof cannot be read: %w", err)
	}
	h := jws.Signatures[0].Protected
	if typ, _ := h.ExtraHeaders[jose.HeaderType].(string); typ != "dpop+jwt" {
		return Proof{}, errors.New("the type of the proof is not dpop+jwt")
	}
	if h.JSONWebKey == nil {
		return Proof{}, errors.New("the proof names no key")
	}
	thumb, err := Thumbprint(*h.JSONWebKey)
	if err != nil {
		return Proof{}, errors.New("the key of the proof is no public key of Ed25519 or P-256")
	}
	payload, err := jws.Verify(h.JSONWebKey)
	if err != nil {
		return Proof{}, fmt.Errorf("the signature of the proof: %w", err)
	}
	var c proofClaims
	if err := json.Unmarshal(payload, &c); err != nil {
		return Proof{}, fmt.Errorf("the claims of the proof: %w", err)
	}
	iat, err := c.IAT.Int64()
	sum := sha256.Sum256([]byte(token))
	switch {
	case err != nil:
		return Proof{}, errors.New("the proof has no whole number as its time")
	case now.Sub(time.Unix(iat, 0)).Abs() > proofFreshness:
		return Proof{}, errors.New("the proof is not fresh")
	case c.JTI == "" || len(c.JTI) > 256:
		return Proof{}, errors.New("the proof has no id, or one that is too long")
	case c.HTM != method:
		return Proof{}, errors.New("the proof is for another method")
	case !sameAddress(c.HTU, htu):
		return Proof{}, errors.New("the proof is for another address")
	case c.ATH != base64.RawURLEncoding.EncodeToString(sum[:]):
		return Proof{}, errors.New("the proof is for another token")
	}
	return Proof{Thumbprint: thumb, ID: c.JTI}, nil
}

// sameAddress compares a htu claim with the address that was called: scheme and host without regard to case, the default
// port left out, the path byte for byte; query and fragment do not count (RFC 9449 §4.3).
func sameAddress(claimed, called string) bool {
	a, okA := addressOf(claimed)
	b, okB := addressOf(called)
	return okA && okB && a == b
}

func addressOf(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", false
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	// The path as it was written: decoding it could make two of one.
	rest := s[len(u.Scheme)+len("://"):]
	i := strings.IndexAny(rest, "/?#")
	path := ""
	if i >= 0 {
		path, _, _ = strings.Cut(rest[i:], "?")
		path, _, _ = strings.Cut(path, "#")
	}
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + host + path, true
}

// proofKey reports whether proofs may be signed with a key.
func proofKey(key any) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return true
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256()
	}
	return false
}
