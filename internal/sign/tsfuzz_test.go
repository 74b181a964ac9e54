package sign

import (
	"bytes"
	"crypto"
	"io"
	"math/big"
	"net/http"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/pki"
)

// FuzzTSResponse answers a client with foreign bytes: whatever it accepts is a token over our digest with our nonce, by
// the authority we trust.
func FuzzTSResponse(f *testing.F) {
	b := newBench(f, pki.P256)
	roots := b.ca.Pool()
	digest := hashBytes([]byte("x"))(crypto.SHA256)
	nonce := big.NewInt(5)
	query, err := marshalTSRequest(digest, nonce)
	if err != nil {
		f.Fatal(err)
	}
	other, err := marshalTSRequest(hashBytes([]byte("y"))(crypto.SHA256), nonce)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.tsa.Respond(query))
	f.Add(b.tsa.Respond(other))
	f.Add(b.tsa.Respond(nil))
	f.Add(rejection(failSystem))
	f.Add([]byte("\x30\x80\x30\x03\x02\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, reply []byte) {
		token, err := parseTSResponse(reply)
		if err != nil {
			return
		}
		_, _ = TimestampTime(token) // without a signature checked: anything but a panic
		_, _ = TimestampCertificates(token)
		info, err := VerifyTimestamp(token, onlySHA256(digest), roots, b.now)
		if err != nil {
			return
		}
		if !info.Cert.Equal(b.tsa.Identity.Cert) || info.Time.After(b.now.Add(5*time.Minute)) {
			t.Errorf("accepted a token by %s at %s", info.Cert.Subject, info.Time)
		}
		if _, err := VerifyTimestamp(token, onlySHA256(make([]byte, 32)), roots, b.now); err == nil {
			t.Error("the same token is accepted over another digest")
		}
	})
}

// FuzzTSReply sends foreign bytes as the answer to a request of the client. No answer that was written before the request
// can hold its nonce, so none may be taken; and every refusal is that of a service that is away or answers badly.
func FuzzTSReply(f *testing.F) {
	b := newBench(f, pki.P256)
	roots := b.ca.Pool()
	digest := hashBytes([]byte("x"))(crypto.SHA256)
	query, err := marshalTSRequest(digest, big.NewInt(5))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.tsa.Respond(query), 200, replyType)
	f.Add(rejection(failSystem), 200, replyType)
	f.Add([]byte("busy"), 503, "text/plain")
	f.Fuzz(func(t *testing.T, reply []byte, status int, kind string) {
		c := &TSAClient{URL: "http://tsa.vn/", Roots: roots, Now: func() time.Time { return b.now }, Client: &http.Client{
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(reply))}, nil
			}),
		}}
		if _, err := c.Timestamp(t.Context(), digest); !errs.Is(err, errs.Unavailable) {
			t.Errorf("Timestamp = %v; want it refused as unavailable", err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
