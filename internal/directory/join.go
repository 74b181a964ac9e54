package directory

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/jcs"
	"truc/internal/pki"
)

// TokenLifetime is the longest a join token lives (spec D36).
const TokenLifetime = 72 * time.Hour

// MaxRequest bounds the bytes of a join, renewal or publication request.
const MaxRequest = 1 << 20

const tokenPrefix = "truc1."

// Token is what an operator of the center hands to a new node. Whoever holds it can join once as this node.
type Token struct {
	ID       string `json:"id"`
	Instance string `json:"instance"`
	Center   string `json:"center"`
	// Anchor is the key id of the directory key: the node's root of trust.
	Anchor string `json:"anchor"`
	Member string `json:"member"`
	Node   string `json:"node"`
	// Seed is the one-time secret: the base64url seed of the key that signs the join request.
	Seed    string `json:"seed"`
	Expires int64  `json:"expires"`
}

// String returns the text to hand over.
func (t Token) String() string {
	b, err := jcs.Marshal(t)
	if err != nil {
		return ""
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// ParseToken reads the text of a token.
func ParseToken(s string) (Token, error) {
	s, ok := strings.CutPrefix(strings.TrimSpace(s), tokenPrefix)
	if !ok || len(s) > 4096 {
		return Token{}, errs.E(errs.Invalid, "directory.token_malformed", nil)
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return Token{}, errs.E(errs.Invalid, "directory.token_malformed", err)
	}
	var t Token
	if err := decodeStrict(b, &t); err != nil {
		return Token{}, errs.E(errs.Invalid, "directory.token_malformed", err)
	}
	u, err := url.Parse(t.Center)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Token{}, errs.E(errs.Invalid, "directory.token_malformed", err)
	}
	if _, err := t.key(); err != nil || !keyIDRE.MatchString(t.Anchor) || validID(t.Node, t.Instance, 4) != nil {
		return Token{}, errs.E(errs.Invalid, "directory.token_malformed", err)
	}
	return t, nil
}

// Trust returns the anchor a token pins.
func (t Token) Trust() Anchor { return Anchor{Instance: t.Instance, KeyIDs: []string{t.Anchor}} }

func (t Token) key() (ed25519.PrivateKey, error) {
	seed, err := base64.RawURLEncoding.DecodeString(t.Seed)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("the token's secret is damaged")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// JoinRequest asks for membership of the network.
type JoinRequest struct {
	TokenID  string `json:"token_id"`
	Instance string `json:"instance"`
	Node     string `json:"node"`
	// CSR is a base64 DER certificate request signed by the TLS key.
	CSR string `json:"csr"`
	// SigningKey signs messages of the exchange.
	SigningKey PublicKey `json:"signing_key"`
	LinkURL    string    `json:"link_url"`
	Subsystems []string  `json:"subsystems"`
	Services   []Service `json:"services"`
	LogKey     string    `json:"log_key"`
	WitnessKey string    `json:"witness_key"`
	AuditKey   string    `json:"audit_key"`
	WitnessURL string    `json:"witness_url,omitempty"`
	// Capabilities are what the node's release can do on the link.
	Capabilities []string `json:"capabilities,omitempty"`
	CreatedAt    int64    `json:"created_at"`
}

// RenewRequest asks for a new certificate, signed by the node's current signing key.
type RenewRequest struct {
	Instance  string `json:"instance"`
	Node      string `json:"node"`
	CSR       string `json:"csr"`
	CreatedAt int64  `json:"created_at"`
}

// ServicesUpdate replaces what a node offers and where it is reached, signed by its signing key.
type ServicesUpdate struct {
	Instance   string    `json:"instance"`
	Node       string    `json:"node"`
	LinkURL    string    `json:"link_url"`
	Subsystems []string  `json:"subsystems"`
	Services   []Service `json:"services"`
	LogKey     string    `json:"log_key"`
	WitnessKey string    `json:"witness_key"`
	AuditKey   string    `json:"audit_key"`
	WitnessURL string    `json:"witness_url,omitempty"`
	// Capabilities are what the node's release can do on the link.
	Capabilities []string `json:"capabilities,omitempty"`
	// Maintenance is a notice to peers; empty in normal operation.
	Maintenance string `json:"maintenance,omitempty"`
	// CreatedAt, Unix microseconds, must grow from update to update of one node: a replay is refused.
	CreatedAt int64 `json:"created_at"`
}

// Signed carries canonical request bytes with signatures over them: for a join by the token key and the signing
// key, otherwise by the signing key.
type Signed struct {
	Request    json.RawMessage `json:"request"`
	Signatures []Signature     `json:"signatures"`
}

// Marshal writes the request; its signed bytes stay as they are.
func (s Signed) Marshal() []byte {
	b := Envelope{Document: s.Request, Signatures: s.Signatures}.Marshal()
	return append([]byte(`{"request":`), b[len(`{"document":`):]...)
}

// ParseSigned reads a signed request from the wire.
func ParseSigned(b []byte) (Signed, error) {
	var s Signed
	if len(b) > MaxRequest {
		return s, errs.E(errs.TooLarge, "directory.request_too_large", nil)
	}
	if err := decodeStrict(b, &s); err != nil {
		return s, errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	return s, nil
}

func decodeStrict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("bytes after the JSON value")
	}
	return nil
}

func signRequest(v any, domain string, keys ...crypto.Signer) (Signed, error) {
	b, err := jcs.Marshal(v)
	if err != nil {
		return Signed{}, err
	}
	s := Signed{Request: b}
	for _, k := range keys {
		sig, err := sign(k, domain, b)
		if err != nil {
			return Signed{}, err
		}
		s.Signatures = append(s.Signatures, sig)
	}
	return s, nil
}

// open decodes the request into v after checking its form and the signature by pub.
func (s Signed) open(v any, domain string, pubs ...crypto.PublicKey) error {
	if err := jcs.Check(s.Request); err != nil {
		return errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	for _, pub := range pubs {
		if err := s.signedBy(pub, domain); err != nil {
			return errs.E(errs.Denied, "directory.signature_wrong", err)
		}
	}
	if err := decodeStrict(s.Request, v); err != nil {
		return errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	return nil
}

func (s Signed) signedBy(pub crypto.PublicKey, domain string) error {
	id := KeyID(pub)
	for _, sig := range s.Signatures {
		if sig.KeyID == id {
			return verify(pub, domain, s.Request, sig)
		}
	}
	return fmt.Errorf("no signature by key %s", id)
}

// Reply answers a join or a renewal. It is believed only as far as the signed document confirms it.
type Reply struct {
	// Certificate is PEM: the node's, then any between it and the CA.
	Certificate string `json:"certificate"`
	// Envelope is the current document.
	Envelope json.RawMessage `json:"envelope,omitempty"`
	// Pending says that an operator of the center has yet to decide; the rest is then empty.
	Pending bool `json:"pending,omitempty"`
}

// Marshal writes the reply; the signed bytes of the envelope stay as they are, which encoding/json would not promise for
// a name with "&" in it.
func (r *Reply) Marshal() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(r)
	return b.Bytes(), err
}

// Profile is what a node tells about itself.
type Profile struct {
	LinkURL    string
	Subsystems []string
	Services   []Service
	LogKey     string
	WitnessKey string
	AuditKey   string
	// WitnessURL is where the node cosigns checkpoints of others with WitnessKey; empty when it does not.
	WitnessURL string
	// Maintenance is a notice to peers; empty in normal operation.
	Maintenance string
	// Capabilities are what the node's release can do on the link.
	Capabilities []string
}

// Keys are a node's two keys (spec D19): one for the channel, one for messages.
type Keys struct {
	TLS     crypto.Signer
	Signing crypto.Signer
}

// NewJoin makes the signed join request of a node.
func NewJoin(t Token, k Keys, p Profile, now time.Time) (Signed, error) {
	tokenKey, err := t.key()
	if err != nil {
		return Signed{}, err
	}
	csr, err := newCSR(t.Node, k.TLS)
	if err != nil {
		return Signed{}, err
	}
	return signRequest(JoinRequest{
		TokenID: t.ID, Instance: t.Instance, Node: t.Node, CSR: csr, SigningKey: NewPublicKey(k.Signing.Public(), 0, 0), LinkURL: p.LinkURL,
		Subsystems: orEmpty(p.Subsystems), Services: orEmpty(p.Services), LogKey: p.LogKey, WitnessKey: p.WitnessKey, AuditKey: p.AuditKey, WitnessURL: p.WitnessURL, Capabilities: p.Capabilities, CreatedAt: now.Unix(),
	}, domainJoin, tokenKey, k.Signing)
}

// NewRenewal makes the signed request for a new certificate.
func NewRenewal(instance, node string, k Keys, now time.Time) (Signed, error) {
	csr, err := newCSR(node, k.TLS)
	if err != nil {
		return Signed{}, err
	}
	return signRequest(RenewRequest{Instance: instance, Node: node, CSR: csr, CreatedAt: now.Unix()}, domainRenew, k.Signing)
}

// NewServicesUpdate makes the signed publication of what a node offers.
func NewServicesUpdate(instance, node string, k Keys, p Profile, now time.Time) (Signed, error) {
	return signRequest(ServicesUpdate{
		Instance: instance, Node: node, LinkURL: p.LinkURL, Subsystems: orEmpty(p.Subsystems), Services: orEmpty(p.Services),
		LogKey: p.LogKey, WitnessKey: p.WitnessKey, AuditKey: p.AuditKey, WitnessURL: p.WitnessURL, Maintenance: p.Maintenance, Capabilities: p.Capabilities, CreatedAt: now.UnixMicro(),
	}, domainServices, k.Signing)
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{} // canonical JSON tells null from an empty list
	}
	return s
}

func newCSR(node string, key crypto.Signer) (string, error) {
	der, err := pki.NewCSR(key, node)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(der), nil
}

func parseCSR(s string) (*x509.CertificateRequest, error) {
	der, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	return csr, csr.CheckSignature()
}
