package axisapi

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"truc/internal/i18n"
)

// headerPrefix begins the name of every header that carries a parameter.
const headerPrefix = "XroadVnpt-"

// The headers that prove a request.
const (
	headSystem  = headerPrefix + "systemid"
	headKeys    = headerPrefix + "sign-header-key"
	headSigned  = headerPrefix + "sign-header"
	headHash    = headerPrefix + "hash-header"
	headVersion = headerPrefix + "version"
)

// maxSigned bounds the signed text and the number of its parameters.
const (
	maxSigned     = 64 << 10
	maxParameters = 64
)

// The causes of a refused signature. They go to the log; outside there is one neutral text.
var (
	errNoSystem     = errors.New("no or more than one system id")
	errUnknown      = errors.New("the system is unknown or closed")
	errMAC          = errors.New("the HMAC does not fit the signed text")
	errSignedText   = errors.New("the signed text is no flat JSON object of strings")
	errHeaderValue  = errors.New("a header differs from the signed text")
	errKeySet       = errors.New("the list of signed headers differs from the signed text")
	errMissingKey   = errors.New("system id or timestamp is not signed")
	errTimestamp    = errors.New("the timestamp cannot be read")
	errOutsideHours = errors.New("the timestamp is outside the system's window")
)

// parameters are the signed parameters of a request by their names without prefix, in lower case: callers write docId and docid.
// A client object never clears its headers, so a call reads only the parameters that are its own.
type parameters map[string]string

// get returns a parameter without white space around it.
func (p parameters) get(name string) string { return strings.TrimSpace(p[strings.ToLower(name)]) }

// mac returns the lower case hex HMAC-SHA256 of text under secret.
func mac(secret, text []byte) string {
	m := hmac.New(sha256.New, secret)
	m.Write(text)
	return hex.EncodeToString(m.Sum(nil))
}

// only returns the one value of a header.
func only(h http.Header, name string) (string, bool) {
	v := h[textproto.CanonicalMIMEHeaderKey(name)]
	if len(v) != 1 {
		return "", false
	}
	return v[0], true
}

// checkSignature checks the signature of a request over its headers and returns the signed parameters. The text is checked as it was
// received and never written anew: another writer would order or escape differently.
func checkSignature(h http.Header, secret []byte) (parameters, error) {
	text, ok := only(h, headSigned)
	got, has := only(h, headHash)
	if !ok || !has || len(text) > maxSigned {
		return nil, errMAC
	}
	if !hmac.Equal([]byte(mac(secret, []byte(text))), []byte(strings.TrimSpace(got))) {
		return nil, errMAC
	}
	pairs, err := flatObject([]byte(text))
	if err != nil {
		return nil, err
	}
	out := make(parameters, len(pairs))
	for _, p := range pairs {
		name, ok := cutPrefixFold(p.name, headerPrefix)
		if !ok || name == "" {
			return nil, errSignedText
		}
		key := strings.ToLower(name)
		if _, twice := out[key]; twice {
			return nil, errSignedText
		}
		// What stands between a header's value and its line's ends is no part of it (RFC 9110 §5.5).
		if v, ok := only(h, p.name); !ok || v != strings.Trim(p.value, " \t") {
			return nil, errHeaderValue
		}
		out[key] = p.value
	}
	if err := sameKeys(h, out); err != nil {
		return nil, err
	}
	if out.get("systemid") == "" || out.get("timestamp") == "" {
		return nil, errMissingKey
	}
	return out, nil
}

// sameKeys compares the announced list of signed headers with those of the signed text.
func sameKeys(h http.Header, signed parameters) error {
	list, ok := only(h, headKeys)
	if !ok {
		return errKeySet
	}
	names := strings.Split(strings.ToLower(list), ";")
	if last := len(names) - 1; names[last] == "" { // a list that ends with its separator
		names = names[:last]
	}
	for i, n := range names {
		names[i] = strings.TrimSpace(n)
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) || len(names) != len(signed) {
		return errKeySet
	}
	for _, n := range names {
		if _, ok := signed[n]; !ok {
			return errKeySet
		}
	}
	return nil
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

type pair struct{ name, value string }

// flatObject reads a JSON object whose values are strings, keeping every member so that one that stands twice is seen.
func flatObject(text []byte) ([]pair, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errSignedText
	}
	var out []pair
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errSignedText
		}
		value, err := dec.Token()
		if err != nil {
			return nil, errSignedText
		}
		n, _ := name.(string)
		v, isText := value.(string)
		if !isText || len(out) >= maxParameters {
			return nil, errSignedText
		}
		out = append(out, pair{n, v})
	}
	if tok, err := dec.Token(); err != nil || tok != json.Delim('}') {
		return nil, errSignedText
	}
	if dec.More() {
		return nil, errSignedText
	}
	return out, nil
}

// stampLayout is the date and time of a timestamp; milliseconds follow after "+".
const stampLayout = "02012006T150405"

// parseStamp reads "05032026T091500+0042": local time of Viet Nam, and behind "+" milliseconds padded to four digits, which look like
// a zone and are none.
func parseStamp(s string) (time.Time, error) {
	at, milli, ok := strings.Cut(s, "+")
	if !ok || len(at) != len(stampLayout) || len(milli) != 4 {
		return time.Time{}, errTimestamp
	}
	t, err := time.ParseInLocation(stampLayout, at, i18n.Zone)
	if err != nil {
		return time.Time{}, errTimestamp
	}
	n := 0
	for _, c := range []byte(milli) {
		if c < '0' || c > '9' {
			return time.Time{}, errTimestamp
		}
		n = n*10 + int(c-'0')
	}
	return t.Add(time.Duration(n) * time.Millisecond).UTC(), nil
}

// formatStamp is the inverse of [parseStamp].
func formatStamp(t time.Time) string {
	const digits = "0000"
	ms := digits + itoa(t.Nanosecond()/int(time.Millisecond))
	return t.In(i18n.Zone).Format(stampLayout) + "+" + ms[len(ms)-len(digits):]
}
