package exchange

import (
	"net/http"
	"testing"
	"time"
)

// FuzzTrailer reads the fields after a body, which come from outside: whatever they hold, what is accepted covers the head's
// signature and the digest, and nothing else.
func FuzzTrailer(f *testing.F) {
	by, err := newSignatory(seedKey(0))
	if err != nil {
		f.Fatal(err)
	}
	s := &Service{}
	s.signer.Store(by)
	head := signed{sig: []byte("the signature of the head")}
	good, _, err := s.signTrailer(head, ContentDigest(nil), time.Unix(1790000000, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good.Get("Content-Digest"), good.Get("Signature-Input"), good.Get("Signature"))
	f.Add("sha-256=::", `x1t=("signature";key="x1" "content-digest";tr);created=1`, "x1t=:AA==:")
	f.Add("a\r\nb", `x1=("@method")`, "x1=::")
	f.Fuzz(func(t *testing.T, digest, input, sig string) {
		got, err := parseTrailer(head.sig, http.Header{"Content-Digest": {digest}, "Signature-Input": {input}, "Signature": {sig}})
		if err != nil {
			return
		}
		if got.digest != digest || got.keyID == "" || len(got.sig) == 0 {
			t.Errorf("accepted %+v", got)
		}
		want := "\"signature\";key=\"x1\": :dGhlIHNpZ25hdHVyZSBvZiB0aGUgaGVhZA==:\n\"content-digest\";tr: " + digest + "\n\"@signature-params\": "
		if len(got.base) < len(want) || got.base[:len(want)] != want {
			t.Errorf("base = %q", got.base)
		}
	})
}
