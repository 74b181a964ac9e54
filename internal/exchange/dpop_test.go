package exchange

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var proofTime = time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)

const proofURL = "https://edge.example:8443/r1/DEV/GOV/B02/CSDL/residents/v1/%7e?x=1"

func proofClaimsOf(jti string) map[string]any {
	sum := sha256.Sum256([]byte("token"))
	return map[string]any{
		"jti": jti, "htm": "GET", "htu": "https://EDGE.example:8443/r1/DEV/GOV/B02/CSDL/residents/v1/%7e", "iat": proofTime.Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
}

func proofBy(tb testing.TB, key crypto.Signer, alg jose.SignatureAlgorithm, typ string, embed bool, claims map[string]any) string {
	tb.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{EmbedJWK: embed}).WithType(jose.ContentType(typ)))
	if err != nil {
		tb.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	jws, err := signer.Sign(b)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := jws.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func thumbOf(tb testing.TB, pub any) string {
	tb.Helper()
	s, err := Thumbprint(jose.JSONWebKey{Key: pub})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestProofs(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change map[string]any) map[string]any {
		c := proofClaimsOf(rand.Text())
		maps.Copy(c, change)
		return c
	}
	good := func(change map[string]any) string { return proofBy(t, ed, jose.EdDSA, "dpop+jwt", true, with(change)) }
	for _, tt := range []struct {
		name, proof string
		ok          bool
	}{
		{"Ed25519", good(nil), true},
		{"five minutes old", good(map[string]any{"iat": proofTime.Add(-5 * time.Minute).Unix()}), true},
		{"older", good(map[string]any{"iat": proofTime.Add(-5*time.Minute - time.Second).Unix()}), false},
		{"from the future", good(map[string]any{"iat": proofTime.Add(6 * time.Minute).Unix()}), false},
		{"without a time", good(map[string]any{"iat": nil}), false},
		{"with half a second", good(map[string]any{"iat": 1.5}), false},
		{"another method", good(map[string]any{"htm": "POST"}), false},
		{"method in small letters", good(map[string]any{"htm": "get"}), false},
		{"another path", good(map[string]any{"htu": "https://edge.example:8443/r1/DEV/GOV/B02/CSDL/residents/v1/~"}), false},
		{"another host", good(map[string]any{"htu": "https://edge.example/r1/DEV/GOV/B02/CSDL/residents/v1/%7e"}), false},
		{"another scheme", good(map[string]any{"htu": "http://edge.example:8443/r1/DEV/GOV/B02/CSDL/residents/v1/%7e"}), false},
		{"the query does not count", good(map[string]any{"htu": "https://edge.example:8443/r1/DEV/GOV/B02/CSDL/residents/v1/%7e?y=2#f"}), true},
		{"no address", good(map[string]any{"htu": ""}), false},
		{"another token", good(map[string]any{"ath": "x"}), false},
		{"no token", good(map[string]any{"ath": ""}), false},
		{"no id", good(map[string]any{"jti": ""}), false},
		{"a long id", good(map[string]any{"jti": strings.Repeat("x", 257)}), false},
		{"another type", proofBy(t, ed, jose.EdDSA, "jwt", true, with(nil)), false},
		{"no key in it", proofBy(t, ed, jose.EdDSA, "dpop+jwt", false, with(nil)), false},
		{"by another key", proofBy(t, ec, jose.ES256, "dpop+jwt", true, with(nil)), false},
		{"changed", good(nil) + "A", false},
		{"nothing", "", false},
		{"too long", good(map[string]any{"x": strings.Repeat("x", maxProof)}), false},
		{"unsigned", "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6Im5vbmUifQ.e30.", false},
	} {
		p := NewProofs(func() time.Time { return proofTime })
		if err := p.Check(tt.proof, "token", thumbOf(t, ed.Public()), "GET", proofURL); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	p := NewProofs(func() time.Time { return proofTime })
	proof := proofBy(t, ec, jose.ES256, "dpop+jwt", true, with(nil))
	if err := p.Check(proof, "token", thumbOf(t, ec.Public()), "GET", proofURL); err != nil {
		t.Errorf("ES256: %v", err)
	}
	if err := p.Check(proof, "token", thumbOf(t, ec.Public()), "GET", proofURL); err == nil {
		t.Error("a proof passes twice")
	}
}

// Only the kinds of key that proofs are signed with get a thumbprint, and no private key does.
func TestThumbprint(t *testing.T) {
	// The key of RFC 8037 appendix A.2 and its thumbprint of A.3.
	const key, want = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	if got, err := parseThumbprint(key); got != want || err != nil {
		t.Errorf("thumbprint = %q, %v; want %q", got, err, want)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]any{"RSA": rsaKey.Public(), "P-384": p384.Public(), "private": ed, "secret": []byte("secret"), "nothing": nil} {
		if got, err := Thumbprint(jose.JSONWebKey{Key: k}); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, text := range []string{"", "{", `{"kty":"oct","k":"c2VjcmV0"}`, "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"} {
		if got, err := parseThumbprint(text); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// FuzzProof: no text but a proof signed by the one key passes, and none makes the parser panic.
func FuzzProof(f *testing.F) {
	seed := sha256.Sum256([]byte("a key for the fuzzer"))
	key := ed25519.NewKeyFromSeed(seed[:])
	valid := proofBy(f, key, jose.EdDSA, "dpop+jwt", true, proofClaimsOf("1"))
	for _, s := range []string{valid, "", "..", "e30.e30.e30", "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6Im5vbmUifQ.e30."} {
		f.Add(s)
	}
	thumb := thumbOf(f, key.Public())
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseProof(s, "token", "GET", proofURL, proofTime)
		if err == nil && got.Thumbprint == thumb && !sameProof(s, valid) {
			t.Errorf("%q passes", s)
		}
	})
}

// sameProof compares head and claims; base64url of a signature may be written in more than one way.
func sameProof(a, b string) bool {
	i, j := strings.LastIndexByte(a, '.'), strings.LastIndexByte(b, '.')
	return i > 0 && a[:i] == b[:j]
}
