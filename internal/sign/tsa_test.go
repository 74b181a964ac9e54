package sign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"truc/internal/pki"
)

func TestTSAClient(t *testing.T) {
	b, stranger := newBench(t, pki.P256), newBench(t, pki.P256)
	digest := sha256.Sum256([]byte("x"))
	other := sha256.Sum256([]byte("y"))
	replay, err := marshalTSRequest(digest[:], big.NewInt(7))
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := marshalTSRequest(other[:], big.NewInt(7))
	if err != nil {
		t.Fatal(err)
	}
	slow := &TSA{Identity: b.tsa.Identity, Now: func() time.Time { return b.now.Add(-time.Hour) }}
	twoUses := &TSA{Identity: b.person, Now: b.tsa.Now} // not a certificate for time-stamps
	fixed := func(reply []byte) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", replyType)
			w.Write(reply)
		})
	}
	for _, c := range []struct {
		name string
		h    http.Handler
		want string
	}{
		{"good", b.tsa, ""},
		{"other authority", stranger.tsa, "sign.tsa_bad_answer"},
		{"replayed answer", fixed(b.tsa.Respond(replay)), "sign.tsa_bad_answer"},
		{"answer to another question", fixed(b.tsa.Respond(wrong)), "sign.tsa_bad_answer"},
		{"clock an hour slow", slow, "sign.tsa_bad_answer"},
		{"wrong purpose", twoUses, "sign.tsa_unavailable"},
		{"rejection", fixed(rejection(failBadAlg)), "sign.tsa_unavailable"},
		{"garbage", fixed([]byte("hello")), "sign.tsa_unavailable"},
		{"not found", http.NotFoundHandler(), "sign.tsa_unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(c.h)
			defer srv.Close()
			client := &TSAClient{URL: srv.URL, Client: srv.Client(), Roots: b.ca.Pool(), Now: b.tsa.Now}
			token, err := client.Timestamp(context.Background(), digest[:])
			if keyOf(err) != c.want {
				t.Fatalf("err = %v; want %q", err, c.want)
			}
			if err != nil {
				return
			}
			info, err := VerifyTimestamp(token, hashBytes([]byte("x")), b.ca.Pool(), b.now)
			if err != nil || !info.Time.Equal(b.now) || info.Accuracy != time.Second || !info.Policy.Equal(oidDevPolicy) {
				t.Errorf("VerifyTimestamp = %+v, %v", info, err)
			}
		})
	}
}

// TestVerifyTimestampPurpose makes tokens with certificates that are good otherwise but not for time-stamps alone.
func TestVerifyTimestampPurpose(t *testing.T) {
	b := newBench(t, pki.P256)
	digest := sha256.Sum256([]byte("x"))
	token, err := b.tsa.Timestamp(context.Background(), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseCMS(token)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := buildCMS(b.person, cmsContent{typ: oidTSTInfo, inner: m.inner, digest: hashBytes(m.inner)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyTimestamp(forged, hashBytes([]byte("x")), b.ca.Pool(), b.now); err == nil {
		t.Errorf("a person's certificate was accepted for a time-stamp")
	}
	if _, err := VerifyTimestamp(token, hashBytes([]byte("x")), b.ca.Pool(), b.now.Add(-time.Hour)); err == nil {
		t.Errorf("a time-stamp from the future was accepted")
	}
}

func TestTSARespond(t *testing.T) {
	b := newBench(t, pki.P256)
	srv := httptest.NewServer(b.tsa)
	defer srv.Close()
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d", res.StatusCode)
	}
	if res, err = http.Post(srv.URL, "text/plain", bytes.NewReader(nil)); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("text/plain: status %d", res.StatusCode)
	}
	if got := failure(t, b.tsa.Respond([]byte("x"))); got != failBadDataFormat {
		t.Errorf("garbage: failure %d", got)
	}
	short, _ := marshalTSRequest([]byte{1, 2, 3}, big.NewInt(1))
	if got := failure(t, b.tsa.Respond(short)); got != failBadDataFormat {
		t.Errorf("short digest: failure %d", got)
	}
}

// failure decodes the failure bit of a rejection with the standard library's reader.
func failure(t *testing.T, reply []byte) int {
	t.Helper()
	var resp struct {
		Info struct {
			Status int
			Fail   asn1.BitString `asn1:"optional"`
		}
	}
	if _, err := asn1.Unmarshal(reply, &resp); err != nil || resp.Info.Status != 2 {
		t.Fatalf("reply: %v, status %d", err, resp.Info.Status)
	}
	for i := range 32 {
		if resp.Info.Fail.At(i) == 1 {
			return i
		}
	}
	return -1
}
