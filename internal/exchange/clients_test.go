package exchange

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
)

// keyShelf is a KeyStore in memory.
type keyShelf struct{ keys []APIKey }

func (s *keyShelf) AddKey(_ context.Context, k APIKey) error { s.keys = append(s.keys, k); return nil }

func (s *keyShelf) KeyByHash(_ context.Context, hash string) (APIKey, error) {
	for _, k := range s.keys {
		if k.Hash == hash && k.RevokedAt.IsZero() {
			return k, nil
		}
	}
	return APIKey{}, errs.E(errs.NotFound, "exchange.key_unknown", nil)
}

func (s *keyShelf) Keys(context.Context) ([]APIKey, error) { return s.keys, nil }

func (s *keyShelf) RevokeKey(_ context.Context, id string, at time.Time) error {
	for i := range s.keys {
		if s.keys[i].ID == id {
			s.keys[i].RevokedAt = at
			return nil
		}
	}
	return errs.E(errs.NotFound, "exchange.key_unknown", nil)
}

func TestClients(t *testing.T) {
	const sub = "VN/GOV/H36/onestop"
	shelf := &keyShelf{}
	var acts []string
	c := &Clients{Store: shelf, Subsystems: []string{sub}, Now: func() time.Time { return proofTime }, Audit: func(_ context.Context, actor, action, object string) error {
		acts = append(acts, actor+" "+action+" "+object)
		return nil
	}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: proofTime}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	k, secret, err := c.Create(t.Context(), "an", NewClient{Subsystem: sub, Label: " desk "})
	if err != nil || k.Kind != ClientKey || k.Hash != HashKey(secret) || len(secret) < 52 || k.Label != "desk" || k.CreatedBy != "an" || k.CreatedAt != proofTime {
		t.Errorf("key: %+v %q %v", k, secret, err)
	}
	k, secret, err = c.Create(t.Context(), "an", NewClient{Subsystem: sub, Label: "l", Kind: ClientMTLS, Key: cert, ErrorCodes: CodesLegacy})
	if err != nil || secret != "" || k.Hash != PinHash(spki, sub) || k.ErrorCodes != CodesLegacy {
		t.Errorf("certificate: %+v %q %v", k, secret, err)
	}
	if same, _, err := c.Create(t.Context(), "an", NewClient{Subsystem: sub, Label: "l", Kind: ClientMTLS, Key: public}); err != nil || same.Hash != k.Hash {
		t.Errorf("the pin of a certificate is not that of its key: %+v %v", same, err)
	}
	k, secret, err = c.Create(t.Context(), "an", NewClient{Subsystem: sub, Label: "l", Kind: ClientBound, Key: public})
	if err != nil || k.Hash != HashKey(secret) || k.Thumbprint != thumbOf(t, key.Public()) {
		t.Errorf("bound token: %+v %q %v", k, secret, err)
	}
	for key, n := range map[string]NewClient{
		"exchange.keys.label_missing":     {Subsystem: sub, Label: " "},
		"exchange.keys.subsystem_missing": {Subsystem: "VN/GOV/G01/population", Label: "l"},
		"exchange.keys.kind_missing":      {Subsystem: sub, Label: "l", Kind: "password"},
		"exchange.keys.codes_wrong":       {Subsystem: sub, Label: "l", ErrorCodes: "soap"},
		"exchange.keys.key_wrong":         {Subsystem: sub, Label: "l", Kind: ClientMTLS, Key: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"},
	} {
		if _, _, err := c.Create(t.Context(), "an", n); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", key, err)
		} else if got, _ := errs.KeyOf(err); got != key {
			t.Errorf("%+v: %s; want %s", n, got, key)
		}
	}
	if err := c.Revoke(t.Context(), "an", k.ID); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("an exchange.key.create "+sub+"\n", 4) + "an exchange.key.revoke " + k.ID; strings.Join(acts, "\n") != want {
		t.Errorf("acts:\n%s\nwant\n%s", strings.Join(acts, "\n"), want)
	}
	// What cannot be recorded does not happen.
	c.Audit = func(context.Context, string, string, string) error { return errors.New("full") }
	before := len(shelf.keys)
	if _, _, err := c.Create(t.Context(), "an", NewClient{Subsystem: sub, Label: "l"}); err == nil || len(shelf.keys) != before {
		t.Error("a key was made without a record")
	}
	if err := c.Revoke(t.Context(), "an", shelf.keys[0].ID); err == nil || !shelf.keys[0].RevokedAt.IsZero() {
		t.Error("a key was revoked without a record")
	}
}
