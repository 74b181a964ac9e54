package exchange

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"truc/internal/errs"
)

// Kinds of client record: how a program proves that it may call as a subsystem (spec D8).
const (
	// ClientKey is a secret that the program sends with each request.
	ClientKey = "api_key"
	// ClientMTLS is a pinned public key of the program's TLS certificate. A new certificate over the same key keeps working.
	ClientMTLS = "mtls"
	// ClientBound is a token that is worth nothing without proofs signed by the program's key (RFC 9449).
	ClientBound = "bound_token"
)

// Forms of error codes a client is answered with (spec D5).
const (
	CodesSnake  = "snake"
	CodesLegacy = "legacy"
)

// HashKey returns the form in which a secret of a client is kept.
func HashKey(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// PinHash returns the form in which a pinned TLS key is kept: SHA-256 of the SubjectPublicKeyInfo in hex, and the subsystem,
// because one program may speak for several.
func PinHash(spki []byte, subsystem string) string {
	sum := sha256.Sum256(spki)
	return "spki:" + hex.EncodeToString(sum[:]) + "@" + subsystem
}

// NewClient is what an administrator asks for.
type NewClient struct {
	Subsystem, Label string
	// Kind is one of the kinds above; empty is [ClientKey].
	Kind string
	// Key is the program's public key: for ClientMTLS a certificate or a public key in PEM, for ClientBound a public JWK
	// (Ed25519 or P-256) in JSON or a public key in PEM. Ignored for ClientKey.
	Key string
	// ErrorCodes is [CodesSnake], [CodesLegacy], or empty for what the listener does.
	ErrorCodes string
}

// Clients manages the programs that may use the edge. Pages and the management API call it.
type Clients struct {
	Store KeyStore
	// Subsystems are those this node hosts.
	Subsystems []string
	// Audit records an act before it happens; when it fails, so does the act.
	Audit func(ctx context.Context, actor, action, object string) error
	Now   func() time.Time
}

// ClientFault is what is wrong with a field of [NewClient]: "label", "subsystem", "kind", "key" or "error_codes".
type ClientFault struct{ Field, Key string }

// Check returns everything that is wrong with a new client, in the order of its fields.
func (c *Clients) Check(n NewClient) []ClientFault {
	_, _, faults := c.record(n)
	return faults
}

// record makes the record of a new client as far as its own words go, and its secret.
func (c *Clients) record(n NewClient) (k APIKey, secret string, faults []ClientFault) {
	bad := func(field, key string) { faults = append(faults, ClientFault{field, key}) }
	k = APIKey{Kind: cmp.Or(n.Kind, ClientKey), Subsystem: n.Subsystem, Label: strings.TrimSpace(n.Label), ErrorCodes: n.ErrorCodes}
	if k.Label == "" || len(k.Label) > 200 {
		bad("label", "exchange.keys.label_missing")
	}
	if !slices.Contains(c.Subsystems, n.Subsystem) {
		bad("subsystem", "exchange.keys.subsystem_missing")
	}
	switch k.Kind {
	case ClientKey:
		secret = "truc_key_" + rand.Text() + rand.Text()
		k.Hash = HashKey(secret)
	case ClientMTLS:
		spki, err := parseSPKI(n.Key)
		if err != nil {
			bad("key", "exchange.keys.key_wrong")
		}
		k.Hash = PinHash(spki, n.Subsystem)
	case ClientBound:
		var err error
		if k.Thumbprint, err = parseThumbprint(n.Key); err != nil {
			bad("key", "exchange.keys.key_wrong")
		}
		secret = "truc_dpop_" + rand.Text() + rand.Text()
		k.Hash = HashKey(secret)
	default:
		bad("kind", "exchange.keys.kind_missing")
	}
	if !slices.Contains([]string{"", CodesSnake, CodesLegacy}, n.ErrorCodes) {
		bad("error_codes", "exchange.keys.codes_wrong")
	}
	return k, secret, faults
}

// Create adds a client. The secret of a key or a bound token is returned once and not kept; a pinned client has none. Invalid
// with the first of [Clients.Check]; Conflict when the key is there already.
func (c *Clients) Create(ctx context.Context, actor string, n NewClient) (k APIKey, secret string, err error) {
	k, secret, faults := c.record(n)
	if len(faults) > 0 {
		return APIKey{}, "", errs.E(errs.Invalid, faults[0].Key, nil)
	}
	k.ID, k.CreatedAt, k.CreatedBy = rand.Text(), c.Now().UTC(), actor
	if err := c.audit(ctx, actor, "exchange.key.create", n.Subsystem); err != nil {
		return k, "", err
	}
	return k, secret, c.Store.AddKey(ctx, k)
}

// Revoke ends a client; requests are refused within a second, in every process of the node.
func (c *Clients) Revoke(ctx context.Context, actor, id string) error {
	if err := c.audit(ctx, actor, "exchange.key.revoke", id); err != nil {
		return err
	}
	return c.Store.RevokeKey(ctx, id, c.Now().UTC())
}

// List returns every client, revoked ones too, the oldest first.
func (c *Clients) List(ctx context.Context) ([]APIKey, error) { return c.Store.Keys(ctx) }

func (c *Clients) audit(ctx context.Context, actor, action, object string) error {
	if c.Audit == nil {
		return nil
	}
	return c.Audit(ctx, actor, action, object)
}

const maxKeyText = 16 << 10

// parseSPKI reads a certificate or a public key in PEM and returns its SubjectPublicKeyInfo in DER.
func parseSPKI(text string) ([]byte, error) {
	b, _ := pem.Decode([]byte(text))
	if b == nil || len(text) > maxKeyText {
		return nil, errs.E(errs.Invalid, "exchange.keys.key_wrong", nil)
	}
	if b.Type == "CERTIFICATE" {
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.RawSubjectPublicKeyInfo, nil
	}
	if _, err := x509.ParsePKIXPublicKey(b.Bytes); err != nil {
		return nil, err
	}
	return b.Bytes, nil
}

// parseThumbprint reads a public JWK or a public key in PEM and returns its thumbprint (RFC 7638, SHA-256, base64url).
func parseThumbprint(text string) (string, error) {
	var k jose.JSONWebKey
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		if len(text) > maxKeyText {
			return "", errs.E(errs.Invalid, "exchange.keys.key_wrong", nil)
		}
		if err := json.Unmarshal([]byte(text), &k); err != nil {
			return "", err
		}
	} else {
		spki, err := parseSPKI(text)
		if err != nil {
			return "", err
		}
		if k.Key, err = x509.ParsePKIXPublicKey(spki); err != nil {
			return "", err
		}
	}
	return Thumbprint(k)
}

// Thumbprint returns the SHA-256 thumbprint of a public JWK (RFC 7638) in base64url. Invalid for any key but Ed25519 and
// P-256, and for one that holds its private part, which is no secret any more.
func Thumbprint(k jose.JSONWebKey) (string, error) {
	if !k.Valid() || !k.IsPublic() || !proofKey(k.Key) {
		return "", errs.E(errs.Invalid, "exchange.keys.key_wrong", nil)
	}
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
