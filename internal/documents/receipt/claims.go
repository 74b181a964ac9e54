package receipt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"truc/internal/jcs"
)

// Event is what a receipt is for.
type Event string

// The events.
const (
	// Accepted: the axis stored the message and its copies.
	Accepted Event = "accepted"
	// Delivered: the receiver's system has the copy.
	Delivered Event = "delivered"
	// Opened: the receiver's system fetched or opened the copy for the first time.
	Opened Event = "opened"
	// Refused: the receiver's system says that it cannot take the copy, or its clerk returned the document.
	Refused Event = "refused"
)

var events = []Event{Accepted, Delivered, Opened, Refused}

// Fact is what a receipt states.
type Fact struct {
	Event Event
	// DocID is the axis' id of the message, Copy that of the receiver's copy; empty for Accepted.
	DocID, Copy string
	// DocumentID is the document's own id (edXML), opaque. Kind is "edoc" or "status".
	DocumentID, Kind string
	// SHA256 is the hex digest of the edXML bytes.
	SHA256 string
	// From and To are agency codes.
	From string
	To   []string
	// At is when it happened, UTC, microseconds.
	At time.Time
	// Journal is the hex hash of the axis' journal entry that records the event.
	Journal string
	// Reason is the receiver's, for Refused.
	Reason string
}

// claims is the payload of the JWS: all fields always, in canonical JSON (RFC 8785).
type claims struct {
	V          int      `json:"v"`
	Issuer     string   `json:"iss"`
	Event      Event    `json:"event"`
	DocID      string   `json:"docId"`
	CopyID     string   `json:"copyId"`
	DocumentID string   `json:"documentId"`
	Kind       string   `json:"kind"`
	SHA256     string   `json:"sha256"`
	From       string   `json:"from"`
	To         []string `json:"to"`
	At         string   `json:"at"`
	Journal    string   `json:"journal"`
	Reason     string   `json:"reason"`
}

// header of the JWS. The type keeps a signature over a receipt from passing for one over something else.
type header struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Typ string `json:"typ"`
}

const (
	typ        = "truc-document-receipt+jws"
	timeLayout = "2006-01-02T15:04:05.000000Z"
	maxJWS     = 128 << 10 // a thousand receivers
)

var (
	errClaims = errors.New("a field of the receipt is not as it should be")
	hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func claimsOf(issuer string, f Fact) claims {
	return claims{
		V: 1, Issuer: issuer, Event: f.Event, DocID: f.DocID, CopyID: f.Copy, DocumentID: f.DocumentID, Kind: f.Kind, SHA256: f.SHA256, From: f.From, To: append([]string{}, f.To...),
		At: f.At.UTC().Format(timeLayout), Journal: f.Journal, Reason: f.Reason,
	}
}

func (c claims) fact() (f Fact, err error) {
	at, err := time.Parse(timeLayout, c.At)
	if err != nil {
		return f, errClaims
	}
	return Fact{Event: c.Event, DocID: c.DocID, Copy: c.CopyID, DocumentID: c.DocumentID, Kind: c.Kind, SHA256: c.SHA256, From: c.From, To: c.To, At: at, Journal: c.Journal, Reason: c.Reason}, nil
}

func (c claims) check() error {
	for _, s := range []struct {
		text string
		max  int
	}{{c.Issuer, 128}, {c.DocID, 128}, {c.CopyID, 128}, {c.DocumentID, 512}, {c.From, 64}, {strings.Join(c.To, ""), 64 * 1024}, {c.Reason, 4000}} {
		if len(s.text) > s.max || !utf8.ValidString(s.text) || strings.ContainsFunc(s.text, func(r rune) bool { return r < 0x20 && r != '\n' || r == 0x7f }) {
			return errClaims
		}
	}
	switch {
	case c.V != 1, c.Issuer == "", c.DocID == "", c.From == "", c.To == nil, !slices.Contains(events, c.Event):
		return errClaims
	case c.Kind != "edoc" && c.Kind != "status", !hexDigest.MatchString(c.SHA256), c.Journal != "" && !hexDigest.MatchString(c.Journal):
		return errClaims
	}
	return nil
}

// Sign makes the JWS of a fact, compact serialisation, by a key of the node issuer. kid is the key's id in the directory.
// Ed25519 (EdDSA, RFC 8037) and P-256 (ES256) keys are those a node can have.
func Sign(key crypto.Signer, kid, issuer string, f Fact) ([]byte, error) {
	c := claimsOf(issuer, f)
	if err := c.check(); err != nil {
		return nil, err
	}
	h := header{Alg: "EdDSA", Kid: kid, Typ: typ}
	if _, ok := key.Public().(*ecdsa.PublicKey); ok {
		h.Alg = "ES256"
	}
	head, err := jcs.Marshal(h)
	if err != nil {
		return nil, err
	}
	payload, err := jcs.Marshal(c)
	if err != nil {
		return nil, err
	}
	input := []byte(base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload))
	sig, err := signInput(key, input)
	if err != nil {
		return nil, err
	}
	return append(append(input, '.'), base64.RawURLEncoding.EncodeToString(sig)...), nil
}

func signInput(key crypto.Signer, input []byte) ([]byte, error) {
	switch pub := key.Public().(type) {
	case ed25519.PublicKey:
		return key.Sign(rand.Reader, input, crypto.Hash(0))
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			break
		}
		sum := sha256.Sum256(input)
		der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &rs); err != nil {
			return nil, err
		}
		out := make([]byte, 64) // RFC 7518 §3.4: R and S, 32 bytes each
		rs.R.FillBytes(out[:32])
		rs.S.FillBytes(out[32:])
		return out, nil
	}
	return nil, errors.New("the signing key is neither Ed25519 nor P-256")
}

// jws is a parsed, not yet verified JWS.
type jws struct {
	header header
	claims claims
	input  []byte
	sig    []byte
}

// parseJWS reads the one spelling that [Sign] writes: canonical header and payload, canonical base64url.
func parseJWS(b []byte) (j jws, err error) {
	if len(b) > maxJWS {
		return j, errors.New("the signed part is too long")
	}
	parts := bytes.Split(b, []byte("."))
	if len(parts) != 3 {
		return j, errors.New("the signed part has not three parts")
	}
	var raw [3][]byte
	for i, p := range parts {
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(string(p)); err != nil || base64.RawURLEncoding.EncodeToString(raw[i]) != string(p) {
			return j, errors.New("the signed part is not base64url")
		}
	}
	if err := errors.Join(exact(raw[0], &j.header), exact(raw[1], &j.claims)); err != nil {
		return j, err
	}
	if j.header.Typ != typ || j.header.Alg != "EdDSA" && j.header.Alg != "ES256" {
		return j, fmt.Errorf("a signature of kind %.40q %.40q", j.header.Typ, j.header.Alg)
	}
	if err := j.claims.check(); err != nil {
		return j, err
	}
	j.input, j.sig = b[:len(parts[0])+1+len(parts[1])], raw[2]
	return j, nil
}

// exact decodes JSON and refuses bytes that are not the canonical form of what was read.
func exact[T any](b []byte, v *T) error {
	if err := json.Unmarshal(b, v); err != nil {
		return err
	}
	again, err := jcs.Marshal(*v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return errors.New("not in canonical form")
	}
	return nil
}

// signedBy checks the signature.
func (j jws) signedBy(key crypto.PublicKey) bool {
	switch pub := key.(type) {
	case ed25519.PublicKey:
		return j.header.Alg == "EdDSA" && len(j.sig) == ed25519.SignatureSize && ed25519.Verify(pub, j.input, j.sig)
	case *ecdsa.PublicKey:
		if j.header.Alg != "ES256" || pub.Curve != elliptic.P256() || len(j.sig) != 64 {
			return false
		}
		sum := sha256.Sum256(j.input)
		return ecdsa.Verify(pub, sum[:], new(big.Int).SetBytes(j.sig[:32]), new(big.Int).SetBytes(j.sig[32:]))
	}
	return false
}
