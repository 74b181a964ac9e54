package exchange

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	sigLabel  = "x1"
	sigTag    = "truc-x1"
	freshness = 300 * time.Second
)

// What a signature must cover (spec §4.3). The lists named "present" are added when the message has the field; a
// verifier refuses a signature that leaves one out, however valid it is otherwise.
var (
	requestAlways  = []string{"@method", "@target-uri", "x-road-client", "x-road-id", "x-road-request-id", "content-digest"}
	requestPresent = []string{
		"content-type", "x-road-userid", "x-road-issue", "x-road-represented-party", "x-road-security-server",
		"truc-grant", "truc-purpose", "truc-deadline", "truc-message", "truc-body",
	}
	responseAlways  = []string{"@status", "content-digest", "x-road-id", "x-road-service"}
	responsePresent = []string{
		"content-type", "x-road-error", "x-road-request-id", "x-road-request-hash", "truc-message", "truc-duplicate", "truc-body", "truc-request-digest",
	}
	responseRequest = []component{
		{name: "signature", params: []sigParam{{"req", true}, {"key", sigLabel}}},
		{name: "content-digest", params: []sigParam{{"req", true}}},
		{name: "@method", params: []sigParam{{"req", true}}},
		{name: "@target-uri", params: []sigParam{{"req", true}}},
	}
	// single fields may occur once only, because two readers could pick different ones.
	single = []string{
		"x-road-client", "x-road-id", "x-road-request-id", "x-road-service", "x-road-userid", "x-road-issue", "x-road-error",
		"x-road-represented-party", "x-road-security-server", "truc-grant", "truc-purpose", "truc-deadline", "truc-message", "truc-duplicate", "content-digest", "content-type",
		"signature", "signature-input", "truc-body", "truc-request-digest",
	}
)

// ContentDigest returns the RFC 9530 field for a body, present also when it is empty.
func ContentDigest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// sigMessage is what a signature base is built from: a request, or a response with the request it answers.
type sigMessage struct {
	req    *WireRequest
	resp   *WireResponse
	header http.Header
	// reqSig is the value of the request's signature as an answer covers it, where it is known already.
	reqSig string
}

// signed is a verified or freshly made signature with all that evidence needs.
type signed struct {
	base    string
	sig     []byte
	text    string // sig in base64
	keyID   string
	alg     string
	created time.Time
}

// shared reports whether the signer understands shared signatures: he made one.
func (s signed) shared() bool { return strings.HasSuffix(s.alg, sharedSuffix) }

// canonicalNames holds the fields of the link in the spelling that net/http keeps them under, because to find it costs
// an allocation each time, and a signature asks for some forty.
var canonicalNames = func() map[string]string {
	out := map[string]string{}
	for _, names := range [][]string{requestAlways, requestPresent, responseAlways, responsePresent, single} {
		for _, n := range names {
			out[n] = http.CanonicalHeaderKey(n)
		}
	}
	return out
}()

// field returns the values of a header whose name is given in lower case.
func field(h http.Header, name string) []string {
	if c, ok := canonicalNames[name]; ok {
		return h[c]
	}
	return h.Values(name)
}

// value returns a component's value (RFC 9421 §2).
func (m sigMessage) value(c component) (string, error) {
	fromReq, key := false, ""
	for _, p := range c.params {
		switch {
		case p.key == "req" && p.val == true && m.resp != nil:
			fromReq = true
		case p.key == "key" && c.name == "signature":
			key, _ = p.val.(string)
		default:
			return "", fmt.Errorf("component parameter %q is not known", p.key)
		}
	}
	header := m.header
	if fromReq {
		header = m.req.Header
	}
	switch c.name {
	case "@method", "@target-uri":
		if m.resp != nil && !fromReq {
			return "", errors.New("a response has no method or target")
		}
		if c.name == "@method" {
			return m.req.Method, nil
		}
		return m.req.TargetURI, nil
	case "@status":
		if m.resp == nil || fromReq {
			return "", errors.New("a request has no status")
		}
		return strconv.Itoa(m.resp.Status), nil
	}
	if strings.HasPrefix(c.name, "@") || c.name != strings.ToLower(c.name) {
		return "", fmt.Errorf("component %q is not known", c.name)
	}
	values := field(header, c.name)
	if len(values) == 0 {
		return "", fmt.Errorf("component %q is not in the message", c.name)
	}
	if key == sigLabel && m.reqSig != "" {
		return m.reqSig, nil
	}
	if key != "" {
		sigs, err := parseSignature(strings.Join(values, ", "))
		if err != nil || sigs[key] == nil {
			return "", fmt.Errorf("signature %q is not in the message", key)
		}
		return ":" + base64.StdEncoding.EncodeToString(sigs[key]) + ":", nil
	}
	if len(values) == 1 {
		return strings.Trim(values[0], " \t"), nil
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.Trim(v, " \t")
	}
	return strings.Join(out, ", "), nil
}

// base builds the signature base (RFC 9421 §2.5): one line a component, no final newline. ids are the identifiers of the
// components.
func (m sigMessage) base(in sigInput, ids []string) (string, error) {
	buf := takeBuffer()
	defer buf.free()
	b := buf.b
	for i, c := range in.components {
		id := ids[i]
		if slices.Contains(ids[:i], id) {
			return "", fmt.Errorf("component %s twice", id)
		}
		v, err := m.value(c)
		if err != nil {
			return "", err
		}
		if strings.ContainsAny(v, "\r\n") {
			return "", fmt.Errorf("component %s spans lines", id)
		}
		b = append(append(append(append(b, id...), ": "...), v...), '\n')
	}
	b = append(b, `"@signature-params": `...)
	b = in.append(b, ids)
	buf.b = b
	return string(b), nil
}

// coverage is what a signature over a kind of message must cover, with its texts.
type coverage struct {
	components []component
	ids        []string
}

// coverKey is a kind of message: request or answer, and which of the optional fields it has.
type coverKey struct {
	answer  bool
	present uint32
	// of an answer: the request streamed
	streamed bool
}

// coverages holds a coverage for each kind of message that was met; there are as many as there are sets of optional fields.
var coverages sync.Map

// coverage returns what a signature over the message must cover.
func (m sigMessage) coverage() *coverage {
	k := coverKey{answer: m.resp != nil, streamed: m.resp != nil && isStream(m.req.Header)}
	always, present := requestAlways, requestPresent
	if k.answer {
		always, present = responseAlways, responsePresent
	}
	for i, n := range present {
		if len(field(m.header, n)) > 0 {
			k.present |= 1 << i
		}
	}
	if c, ok := coverages.Load(k); ok {
		return c.(*coverage) //nolint:forcetypeassert // the map holds nothing else
	}
	c := &coverage{}
	for _, n := range always {
		if n == "content-digest" && isStream(m.header) {
			continue // "truc-body" is covered in its place
		}
		c.components = append(c.components, component{name: n})
	}
	for i, n := range present {
		if k.present&(1<<i) != 0 {
			c.components = append(c.components, component{name: n})
		}
	}
	if k.answer {
		for _, r := range responseRequest {
			if k.streamed && r.name == "content-digest" {
				r.name = "truc-body"
			}
			c.components = append(c.components, r)
		}
	}
	c.ids = sigInput{components: c.components}.ids()
	coverages.Store(k, c)
	return c
}

// sign puts Content-Digest, Signature-Input and Signature on the message. A shared signature is for a peer that is known
// to understand one.
func (m sigMessage) sign(body []byte, by *signatory, shared bool, now time.Time) (signed, error) {
	if !isStream(m.header) {
		m.header.Set("Content-Digest", ContentDigest(body))
	}
	alg := by.algorithm(shared)
	cover := m.coverage()
	in := sigInput{label: sigLabel, components: cover.components, params: []sigParam{
		{"created", now.Unix()}, {"keyid", by.keyID}, {"alg", alg}, {"tag", sigTag},
	}}
	base, err := m.base(in, cover.ids)
	if err != nil {
		return signed{}, err
	}
	sig, err := by.value(base, shared)
	if err != nil {
		return signed{}, err
	}
	_, params, _ := strings.Cut(base[strings.LastIndexByte(base, '\n')+1:], ": ") // the last line of the base
	text := base64.StdEncoding.EncodeToString(sig)
	m.header.Set("Signature-Input", sigLabel+"="+params)
	m.header.Set("Signature", sigLabel+"=:"+text+":")
	return signed{base: base, sig: sig, text: text, keyID: by.keyID, alg: alg, created: now.Truncate(time.Second)}, nil
}

// errDigest tells a body that is not the signed one from other faults.
var errDigest = errors.New("the body does not have the digest that was signed")

// verify checks digest, coverage, freshness and signature. lookup finds the key and says whether it may sign now; memory
// spares the second verification of a root, and may be nil.
func (m sigMessage) verify(body []byte, lookup func(keyID string) (crypto.PublicKey, error), memory *signatureMemory, now time.Time) (signed, error) {
	for _, n := range single {
		if len(field(m.header, n)) > 1 {
			return signed{}, fmt.Errorf("field %s occurs twice", n)
		}
	}
	in, ids, value, err := m.signature()
	if err != nil {
		return signed{}, err
	}
	keyID, created, err := checkParams(in, now)
	if err != nil {
		return signed{}, err
	}
	pub, err := lookup(keyID)
	if err != nil {
		return signed{}, err
	}
	base, err := m.base(in, ids)
	if err != nil {
		return signed{}, err
	}
	alg := in.str("alg")
	if !verifyValue(pub, keyID, alg, base, value, memory) {
		return signed{}, errors.New("the signature does not match")
	}
	if isStream(m.header) {
		if m.header.Get(HeaderBody) != bodyStream || len(field(m.header, "content-digest")) > 0 {
			return signed{}, errDigest
		}
	} else if m.header.Get("Content-Digest") != ContentDigest(body) {
		return signed{}, errDigest
	}
	return signed{base: base, sig: value, text: base64.StdEncoding.EncodeToString(value), keyID: keyID, alg: alg, created: created}, nil
}

// signature reads the two fields of the message's signature and checks what it covers. Our own nodes write exactly what is
// required, in one order, and one signature; that is recognised by its text. Everything else is parsed.
func (m sigMessage) signature() (in sigInput, ids []string, value []byte, err error) {
	input, sig := m.header.Get("Signature-Input"), m.header.Get("Signature")
	cover := m.coverage()
	if rest, ok := cutList(input, cover.ids); ok {
		p := &fieldParser{s: rest}
		params, err := p.params()
		encoded, own := strings.CutPrefix(sig, sigLabel+"=:")
		encoded, closed := strings.CutSuffix(encoded, ":")
		if err == nil && p.end() && own && closed {
			if value, err = base64.StdEncoding.DecodeString(encoded); err == nil && len(value) > 0 {
				return sigInput{label: sigLabel, components: cover.components, params: params}, cover.ids, value, nil
			}
		}
	}
	ins, err := parseSignatureInput(input)
	if err != nil {
		return in, nil, nil, err
	}
	sigs, err := parseSignature(sig)
	if err != nil {
		return in, nil, nil, err
	}
	i := slices.IndexFunc(ins, func(in sigInput) bool { return in.label == sigLabel })
	if i < 0 || len(sigs[sigLabel]) == 0 {
		return in, nil, nil, errors.New("the message is not signed")
	}
	ids = ins[i].ids()
	for _, id := range cover.ids {
		if !slices.Contains(ids, id) {
			return in, nil, nil, fmt.Errorf("the signature does not cover %s", id)
		}
	}
	return ins[i], ids, sigs[sigLabel], nil
}

// cutList takes label and component list off a Signature-Input field if they are these, to the byte.
func cutList(field string, ids []string) (rest string, ok bool) {
	if len(field) > maxSignatureField {
		return "", false
	}
	rest, ok = strings.CutPrefix(field, sigLabel+"=(")
	for i, id := range ids {
		if i > 0 && ok {
			rest, ok = strings.CutPrefix(rest, " ")
		}
		if !ok {
			return "", false
		}
		rest, ok = strings.CutPrefix(rest, id)
	}
	if !ok {
		return "", false
	}
	return strings.CutPrefix(rest, ")")
}

// checkParams enforces the parameters and the freshness.
func checkParams(in sigInput, now time.Time) (keyID string, created time.Time, err error) {
	for _, p := range in.params {
		switch p.key {
		case "created", "keyid", "alg", "tag":
		default:
			return "", created, fmt.Errorf("signature parameter %q is not known", p.key)
		}
	}
	keyID = in.str("keyid")
	alg := in.str("alg")
	tag := in.str("tag")
	sec, ok := in.int("created")
	if plain := strings.TrimSuffix(alg, sharedSuffix); plain != algEd25519 && plain != algP256 || tag != sigTag || keyID == "" || !ok {
		return "", created, errors.New("the signature's parameters are not those of the link")
	}
	created = time.Unix(sec, 0).UTC()
	if d := now.Sub(created); d > freshness || d < -freshness {
		return "", created, &clockError{created: created, off: d}
	}
	return keyID, created, nil
}
