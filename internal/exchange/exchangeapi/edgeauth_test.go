package exchangeapi

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"truc/internal/exchange"
	"truc/internal/orgcode"
)

// testEvidence gives the evidence of a node.
type testEvidence struct{ node *testNode }

func (s testEvidence) Evidence(ctx context.Context, id string, party orgcode.Subsystem, part exchange.EvidencePart) ([]byte, error) {
	return s.node.Evidence(ctx, id, exchange.EvidenceOptions{Persons: true, Party: party.String(), Part: part})
}

func (s testEvidence) Configuration() []byte { return []byte("{}") }

// certificate makes a certificate that its own key signed, keeps it under a name and returns its public key's DER.
func (n *conformanceNet) certificate(t *testing.T, name string, notAfter time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	n.certs[name] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return spki
}

func proofOf(method, htu, token string, at time.Time, jti string) map[string]any {
	sum := sha256.Sum256([]byte(token))
	return map[string]any{"jti": jti, "htm": method, "htu": htu, "iat": at.Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:])}
}

// signProof makes a proof as a program would (RFC 9449 §4.2).
func signProof(t *testing.T, key crypto.Signer, alg jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
