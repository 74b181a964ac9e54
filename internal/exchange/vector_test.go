package exchange

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"testing"
	"time"
)

var vectorTime = time.Unix(1790000000, 0).UTC()

func secs(n int) time.Duration { return time.Duration(n) * time.Second }

func seedKey(first byte) ed25519.PrivateKey {
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = first + byte(i)
	}
	return ed25519.NewKeyFromSeed(seed)
}

// The worked example of the specification (§4.3), checked there in two languages.
func TestSignatureVectors(t *testing.T) {
	req := &WireRequest{
		Method: "POST", TargetURI: "https://p.example/x1/DEV/COM/222/TESTSERVICE/petstore/v2/pets?x=1", Body: []byte(`{"id":0}`),
		Header: http.Header{"X-Road-Client": {"DEV/COM/222/TESTCLIENT"}, "X-Road-Id": {"DEV-1"}, "X-Road-Request-Id": {"11111111-1111-4111-8111-111111111111"}},
	}
	rm := sigMessage{req: req, header: req.Header}
	got, err := rm.sign(req.Body, &signatory{key: seedKey(0), keyID: "c1", alg: algEd25519}, false, time.Unix(1790000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.base) != 456 {
		t.Errorf("request base has %d bytes, want 456:\n%s", len(got.base), got.base)
	}
	if sig, want := base64.StdEncoding.EncodeToString(got.sig), "K/4HOhqwDvgvD1SfRl00e05Q6Msb+X/QNFgn2nES42LZoXXguJlK2b8gfXT7nofMdXICuDlvHUp5ZMlZUhOPAQ=="; sig != want {
		t.Errorf("request signature = %s, want %s", sig, want)
	}
	resp := &WireResponse{Status: 200, Body: []byte(`{"ok":true}`), Header: http.Header{
		"X-Road-Id": {"DEV-1"}, "X-Road-Service": {"DEV/COM/222/TESTSERVICE/petstore"},
	}}
	pm := sigMessage{req: req, resp: resp, header: resp.Header}
	got, err = pm.sign(resp.Body, &signatory{key: seedKey(32), keyID: "p1", alg: algEd25519}, false, time.Unix(1790000001, 0))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.base) != 671 {
		t.Errorf("response base has %d bytes, want 671:\n%s", len(got.base), got.base)
	}
	if sig, want := base64.StdEncoding.EncodeToString(got.sig), "lb49sUE4IR0CyfBf+sFcgoih8rY3JE7YpS3b+EKwOXU0Y1lmTwa3orRTmSW7gaL+qC4sHO69w7pILK3RhljFCw=="; sig != want {
		t.Errorf("response signature = %s, want %s", sig, want)
	}
}
