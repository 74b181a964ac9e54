package exchange

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// trailerLabel names the signature after a streamed body.
const trailerLabel = "x1t"

// trailerComponents are what it covers: the signature of the head, which binds all else, and the digest.
var trailerComponents = []component{
	{name: "signature", params: []sigParam{{"key", sigLabel}}},
	{name: "content-digest", params: []sigParam{{"tr", true}}},
}

// trailerFields are sent after a body, in this order.
var trailerFields = []string{"Content-Digest", "Signature-Input", "Signature"}

// trailerBase is the base of the second signature (RFC 9421 §2.5) over the head's signature value and the digest.
func trailerBase(head []byte, digest string, in sigInput) string {
	var b strings.Builder
	ids := in.ids()
	b.WriteString(ids[0] + ": :" + base64.StdEncoding.EncodeToString(head) + ":\n")
	b.WriteString(ids[1] + ": " + digest + "\n")
	b.WriteString(`"@signature-params": `)
	return string(in.append([]byte(b.String()), ids))
}

// signTrailer makes the fields that follow a body whose head was signed by head.
func (s *Service) signTrailer(head signed, digest string, now time.Time) (http.Header, signed, error) {
	by := s.signer.Load()
	keyID, alg := by.keyID, by.algorithm(false)
	in := sigInput{label: trailerLabel, components: trailerComponents, params: []sigParam{
		{"created", now.Unix()}, {"keyid", keyID}, {"alg", alg}, {"tag", sigTag},
	}}
	base := trailerBase(head.sig, digest, in)
	sig, err := by.value(base, false) // alone: a body ends when no other does
	if err != nil {
		return nil, signed{}, err
	}
	_, params, _ := strings.Cut(base[strings.LastIndexByte(base, '\n')+1:], ": ")
	h := http.Header{
		"Content-Digest": {digest}, "Signature-Input": {trailerLabel + "=" + params},
		"Signature": {trailerLabel + "=:" + base64.StdEncoding.EncodeToString(sig) + ":"},
	}
	return h, signed{base: base, sig: sig, text: base64.StdEncoding.EncodeToString(sig), keyID: keyID, alg: alg, created: now.Truncate(time.Second)}, nil
}

// trailerSigned is what a trailer says, before it is believed.
type trailerSigned struct {
	signed
	digest, alg string
}

// parseTrailer reads the fields after a body and builds the base of their signature. Foreign bytes.
func parseTrailer(head []byte, trailer http.Header) (trailerSigned, error) {
	var t trailerSigned
	for _, name := range trailerFields {
		if len(trailer[name]) != 1 {
			return t, errors.New("the field " + name + " after the body is missing or occurs twice")
		}
	}
	ins, err := parseSignatureInput(trailer["Signature-Input"][0])
	if err != nil {
		return t, err
	}
	sigs, err := parseSignature(trailer["Signature"][0])
	if err != nil {
		return t, err
	}
	if len(ins) != 1 || ins[0].label != trailerLabel || len(sigs) != 1 || len(sigs[trailerLabel]) == 0 {
		return t, errors.New("the body is not signed")
	}
	in := ins[0]
	if !slices.Equal(in.ids(), sigInput{components: trailerComponents}.ids()) {
		return t, errors.New("the signature after the body covers something else")
	}
	for _, p := range in.params {
		if !slices.Contains([]string{"created", "keyid", "alg", "tag"}, p.key) {
			return t, errors.New("a parameter of the signature after the body is not known")
		}
	}
	sec, ok := in.int("created")
	t.keyID, t.alg, t.digest, t.sig = in.str("keyid"), in.str("alg"), trailer["Content-Digest"][0], sigs[trailerLabel]
	if !ok || t.keyID == "" || in.str("tag") != sigTag || strings.ContainsAny(t.digest, "\r\n") {
		return t, errors.New("the parameters of the signature after the body are not those of the link")
	}
	t.created = time.Unix(sec, 0).UTC()
	t.base = trailerBase(head, t.digest, in)
	return t, nil
}

// verifyTrailer checks the fields after a body: signed by the key of the head, now, over this very digest.
func (s *Service) verifyTrailer(head signed, server string, trailer http.Header, digest string, now time.Time) (signed, error) {
	t, err := parseTrailer(head.sig, trailer)
	if err != nil {
		return signed{}, err
	}
	if t.keyID != head.keyID {
		return signed{}, errors.New("head and body are signed with different keys")
	}
	if d := now.Sub(t.created); d > freshness || d < -freshness {
		return signed{}, &clockError{created: t.created, off: d}
	}
	pub, err := s.keyOf(t.keyID, server)
	if err != nil {
		return signed{}, err
	}
	if !verifyBytes(pub, t.alg, []byte(t.base), t.sig, nil) {
		return signed{}, errors.New("the signature after the body does not match")
	}
	if t.digest != digest {
		return signed{}, errDigest
	}
	return t.signed, nil
}
