package exchange

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"truc/internal/jcs"
)

// maxEntry is the longest log entry (tile bundles use 16-bit lengths, spec D22).
const maxEntry = 1<<16 - 1

// Entry is what a node logs about one direction of one exchange (spec §4.5), as canonical JSON. It holds digests and
// signatures, never a body. Four entries make an exchange: each side logs the request and the response.
type Entry struct {
	V int `json:"v"`
	// Salt keeps a leaf hash from being guessed from known content.
	Salt string `json:"salt"`
	// Role is the logging node's, Direction "request" or "response".
	Role      string `json:"role"`
	Direction string `json:"direction"`
	// Node logs, Peer is the other one.
	Node       string `json:"node"`
	Peer       string `json:"peer"`
	ExchangeID string `json:"exchange_id"`
	RequestID  string `json:"request_id"`
	Client     string `json:"client"`
	Service    string `json:"service"`
	Method     string `json:"method"`
	Path       string `json:"path"`
	Activity   string `json:"activity"`
	Basis      string `json:"basis"`
	// Kept says of a streamed body whether this node kept it: [KeptWhole] or [KeptTooLarge]; it is left out when empty.
	Kept    string `json:"body_kept,omitempty"`
	Dossier string `json:"dossier"`
	// User is the sealed X-Road-UserId; the signature base holds a mark in its place.
	User   string `json:"user"`
	Status int    `json:"status"`
	// TraceID is the W3C trace's id in hex; the field that carries it is not signed, because it changes on the way.
	TraceID string `json:"trace_id"`
	// Outcome is "ok" or the type of a fault.
	Outcome string `json:"outcome"`
	// At is Unix microseconds by the logging node's clock, Created Unix seconds by the signer's.
	At      int64 `json:"at"`
	Created int64 `json:"created"`
	Size    int64 `json:"size"`
	// RequestDigest and ResponseDigest are Content-Digest fields.
	RequestDigest  string `json:"request_digest"`
	ResponseDigest string `json:"response_digest"`
	// Base is the exact signature base, Signature base64, KeyID the signer's key: of the request for a request
	// entry, of the response for a response entry. A refusal made before any signature could be checked has none.
	Base      string `json:"base"`
	Signature string `json:"signature"`
	KeyID     string `json:"key_id"`
	// Directory is the version of the document in force.
	Directory int64 `json:"directory"`
	// Grant is the hash of the grant under which the request was made, Delegator the member on whose behalf, and
	// ServiceDelegator the one for whom the provider runs the service.
	Grant            string `json:"grant"`
	Delegator        string `json:"delegator"`
	ServiceDelegator string `json:"service_delegator"`
}

const (
	directionRequest  = "request"
	directionResponse = "response"
	// sealedMark stands in a stored signature base where the person's id was.
	sealedMark = "[sealed]"
	userLine   = `"x-road-userid": `
)

// encode returns the canonical bytes of the entry. It writes the fields in their canonical order itself, because to sort
// what is always in the same order cost more than the signature; a test holds it to [jcs.Marshal].
func (e *Entry) encode() ([]byte, error) { return e.append(nil) }

// append appends them.
func (e *Entry) append(b []byte) ([]byte, error) {
	from := len(b)
	for i, f := range [...]struct {
		name, text string
		number     int64
		isNumber   bool
		omit       bool
	}{
		{name: "activity", text: e.Activity},
		{name: "at", number: e.At, isNumber: true},
		{name: "base", text: e.Base},
		{name: "basis", text: e.Basis},
		{name: "body_kept", text: e.Kept, omit: e.Kept == ""},
		{name: "client", text: e.Client},
		{name: "created", number: e.Created, isNumber: true},
		{name: "delegator", text: e.Delegator},
		{name: "direction", text: e.Direction},
		{name: "directory", number: e.Directory, isNumber: true},
		{name: "dossier", text: e.Dossier},
		{name: "exchange_id", text: e.ExchangeID},
		{name: "grant", text: e.Grant},
		{name: "key_id", text: e.KeyID},
		{name: "method", text: e.Method},
		{name: "node", text: e.Node},
		{name: "outcome", text: e.Outcome},
		{name: "path", text: e.Path},
		{name: "peer", text: e.Peer},
		{name: "request_digest", text: e.RequestDigest},
		{name: "request_id", text: e.RequestID},
		{name: "response_digest", text: e.ResponseDigest},
		{name: "role", text: e.Role},
		{name: "salt", text: e.Salt},
		{name: "service", text: e.Service},
		{name: "service_delegator", text: e.ServiceDelegator},
		{name: "signature", text: e.Signature},
		{name: "size", number: e.Size, isNumber: true},
		{name: "status", number: int64(e.Status), isNumber: true},
		{name: "trace_id", text: e.TraceID},
		{name: "user", text: e.User},
		{name: "v", number: int64(e.V), isNumber: true},
	} {
		if f.omit {
			continue
		}
		if i == 0 {
			b = append(b, '{')
		} else {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), f.name...), `":`...)
		switch {
		case !f.isNumber:
			b = jcs.AppendString(b, f.text)
		case f.number > jcs.MaxNumber || f.number < -jcs.MaxNumber:
			return nil, fmt.Errorf("number %d is not an integer that every reader can hold", f.number)
		default:
			b = strconv.AppendInt(b, f.number, 10)
		}
	}
	b = append(b, '}')
	if len(b)-from > maxEntry {
		return nil, fmt.Errorf("the entry has %d bytes", len(b)-from)
	}
	return b, nil
}

func decodeEntry(b []byte) (*Entry, error) {
	e := new(Entry)
	if err := json.Unmarshal(b, e); err != nil {
		return nil, err
	}
	if e.V != 1 {
		return nil, fmt.Errorf("entry of format %d", e.V)
	}
	return e, nil
}

// put notes a signature. The person's id leaves the base and goes, sealed, into User: the log can never be rewritten,
// so what may have to be forgotten must not be in it in clear.
func (e *Entry) put(sig signed, seal sealer, salt []byte) error {
	e.Signature, e.KeyID, e.Created = sig.text, sig.keyID, sig.created.Unix()
	base, user := elideUser(sig.base)
	e.Base = base
	if user == "" {
		return nil
	}
	var err error
	e.User, err = seal.seal(user, salt)
	return err
}

func elideUser(base string) (rest, user string) {
	head, tail, ok := cutUserLine(base)
	if !ok {
		return base, ""
	}
	user, after, _ := strings.Cut(tail, "\n")
	return head + sealedMark + "\n" + after, user
}

// restoreUser is the inverse of elideUser.
func restoreUser(base, user string) string {
	head, tail, ok := cutUserLine(base)
	if !ok {
		return base
	}
	_, after, _ := strings.Cut(tail, "\n")
	return head + user + "\n" + after
}

// cutUserLine finds the line of the person's id; only at a line's beginning, for other values may hold its text.
func cutUserLine(base string) (head, tail string, ok bool) {
	at := 0
	if !strings.HasPrefix(base, userLine) {
		i := strings.Index(base, "\n"+userLine)
		if i < 0 {
			return "", "", false
		}
		at = i + 1
	}
	at += len(userLine)
	return base[:at], base[at:], true
}

// sealer hides person ids in the log with AES-256-GCM. Without a key it refuses to store any.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (sealer, error) {
	if len(key) != 32 {
		return sealer{}, errors.New("exchange: the seal key has not 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCM(block)
	return sealer{aead: aead}, err
}

func (s sealer) seal(user string, salt []byte) (string, error) {
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(s.aead.Seal(nonce, nonce, []byte(user), salt)), nil
}

func (s sealer) open(sealed string, salt []byte) (string, error) {
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(b) < s.aead.NonceSize() {
		return "", errors.New("the sealed person id is damaged")
	}
	n := s.aead.NonceSize()
	user, err := s.aead.Open(nil, b[:n], b[n:], salt)
	return string(user), err
}

func micros(t time.Time) int64 { return t.UnixMicro() }

// maskDigits hides runs of nine digits and more, which may be personal or phone numbers, for the index and pages.
func maskDigits(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && s[j] >= '0' && s[j] <= '9' {
			j++
		}
		switch {
		case j-i >= 9:
			b.WriteString("…")
		case j > i:
			b.WriteString(s[i:j])
		default:
			j = i + 1
			b.WriteByte(s[i])
		}
		i = j
	}
	return b.String()
}
