package axisapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"truc/internal/blobs"
)

const vectorSecret = "truc-vector-secret-01"

// vectors are requests whose HMAC two independent programs computed.
var vectors = []struct {
	text, keys, mac string
	size            int
}{
	{
		`{"XroadVnpt-systemid":"vidu.01","XroadVnpt-timestamp":"05032026T091500+0042","XroadVnpt-Content-Type":"application/json"}`,
		"systemid;timestamp;Content-Type", "19bfcce44928c33b1eb80cda7a18160a1c9bf8b223622a3c69498b9d368bad68", 121,
	},
	{
		`{"XroadVnpt-systemid":"vidu.01","XroadVnpt-servicetype":"eDoc","XroadVnpt-messagetype":"edoc","XroadVnpt-hash-file":"8d55f6c7bf7cd534cf27a10e1bb5731c68279c3cb991cf4844774c685b3758","XroadVnpt-from":"H99.07","XroadVnpt-to":"[\"G98\"]","XroadVnpt-timestamp":"05032026T091500+0042","XroadVnpt-Content-Type":"application/octet-stream"}`,
		"hash-file;systemid;servicetype;messagetype;from;to;timestamp;Content-Type", "b6412141a4d278b2086a56b71fcf009ee22d24a3dfe7de3adacb2abd153503e9", 331,
	},
}

func vectorHeader(t testing.TB, text, keys, mac string) http.Header {
	t.Helper()
	h := http.Header{}
	var params map[string]string
	if err := json.Unmarshal([]byte(text), &params); err != nil {
		t.Fatal(err)
	}
	for k, v := range params {
		h.Set(k, v)
	}
	h.Set(headSigned, text)
	h.Set(headKeys, keys)
	h.Set(headHash, mac)
	return h
}

func TestSignatureVectors(t *testing.T) {
	for _, v := range vectors {
		if len(v.text) != v.size {
			t.Errorf("the text has %d bytes, want %d", len(v.text), v.size)
		}
		if got := mac([]byte(vectorSecret), []byte(v.text)); got != v.mac {
			t.Errorf("mac() = %s, want %s", got, v.mac)
		}
		p, err := checkSignature(vectorHeader(t, v.text, v.keys, v.mac), []byte(vectorSecret))
		if err != nil || p.get("systemid") != "vidu.01" {
			t.Errorf("checkSignature() = %v, %v", p, err)
		}
		for i := range len(v.text) { // one changed byte of the text
			changed := []byte(v.text)
			changed[i] ^= 1
			h := vectorHeader(t, v.text, v.keys, v.mac)
			h.Set(headSigned, string(changed))
			if _, err := checkSignature(h, []byte(vectorSecret)); !errors.Is(err, errMAC) {
				t.Fatalf("byte %d changed: %v", i, err)
			}
		}
		for i := range len(v.mac) { // and of the HMAC
			changed := []byte(v.mac)
			changed[i] ^= 1
			h := vectorHeader(t, v.text, v.keys, v.mac)
			h.Set(headHash, string(changed))
			if _, err := checkSignature(h, []byte(vectorSecret)); !errors.Is(err, errMAC) {
				t.Fatalf("digit %d changed: %v", i, err)
			}
		}
	}
}

func TestSignatureRefusals(t *testing.T) {
	secret := []byte(vectorSecret)
	signed := func(text, keys string) http.Header {
		h := http.Header{}
		h.Set("XroadVnpt-systemid", "vidu.01")
		h.Set("XroadVnpt-timestamp", "05032026T091500+0042")
		h.Set(headSigned, text)
		h.Set(headKeys, keys)
		h.Set(headHash, mac(secret, []byte(text)))
		return h
	}
	const good = `{"XroadVnpt-systemid":"vidu.01","XroadVnpt-timestamp":"05032026T091500+0042"}`
	for _, c := range []struct {
		name, text, keys string
		change           func(http.Header)
		want             error
	}{
		{name: "good", text: good, keys: "timestamp;systemid"},
		{name: "separator at the end", text: good, keys: "timestamp;systemid;"},
		{name: "white space around a value", text: `{"XroadVnpt-systemid":"vidu.01 ","XroadVnpt-timestamp":"05032026T091500+0042"}`, keys: "timestamp;systemid"},
		{name: "header changed", text: good, keys: "timestamp;systemid", change: func(h http.Header) { h.Set("XroadVnpt-systemid", "vidu.02") }, want: errHeaderValue},
		{name: "header missing", text: good, keys: "timestamp;systemid", change: func(h http.Header) { h.Del("XroadVnpt-timestamp") }, want: errHeaderValue},
		{name: "header twice", text: good, keys: "timestamp;systemid", change: func(h http.Header) { h.Add("XroadVnpt-systemid", "vidu.01") }, want: errHeaderValue},
		{name: "two signatures", text: good, keys: "timestamp;systemid", change: func(h http.Header) { h.Add(headHash, "x") }, want: errMAC},
		{name: "no signature", text: good, keys: "timestamp;systemid", change: func(h http.Header) { h.Del(headHash) }, want: errMAC},
		{name: "fewer keys", text: good, keys: "systemid", want: errKeySet},
		{name: "more keys", text: good, keys: "systemid;timestamp;docId", want: errKeySet},
		{name: "key twice", text: good, keys: "systemid;systemid", want: errKeySet},
		{name: "no keys", text: good, keys: "x", change: func(h http.Header) { h.Del(headKeys) }, want: errKeySet},
		{name: "no timestamp", text: `{"XroadVnpt-systemid":"vidu.01"}`, keys: "systemid", want: errMissingKey},
		{name: "member twice", text: `{"XroadVnpt-systemid":"vidu.01","XroadVnpt-systemID":"vidu.01","XroadVnpt-timestamp":"05032026T091500+0042"}`, keys: "systemid;systemid;timestamp", want: errSignedText},
		{name: "other prefix", text: `{"systemid":"vidu.01"}`, keys: "systemid", want: errSignedText},
		{name: "a list", text: `["XroadVnpt-systemid"]`, keys: "systemid", want: errSignedText},
		{name: "null", text: `{"XroadVnpt-systemid":null}`, keys: "systemid", want: errSignedText},
		{name: "a number", text: `{"XroadVnpt-systemid":1}`, keys: "systemid", want: errSignedText},
		{name: "nested", text: `{"XroadVnpt-systemid":{"a":"b"}}`, keys: "systemid", want: errSignedText},
		{name: "two objects", text: good + good, keys: "timestamp;systemid", want: errSignedText},
		{name: "nothing", text: " ", keys: "systemid", want: errSignedText},
	} {
		h := signed(c.text, c.keys)
		if c.change != nil {
			c.change(h)
		}
		if _, err := checkSignature(h, secret); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestStamp(t *testing.T) {
	for in, want := range map[string]time.Time{
		"05032026T091500+0042": time.Date(2026, 3, 5, 2, 15, 0, 42e6, time.UTC),
		"05032026T091500+0987": time.Date(2026, 3, 5, 2, 15, 0, 987e6, time.UTC), // no zone of nine hours and a half
		"05032026T091500+0000": time.Date(2026, 3, 5, 2, 15, 0, 0, time.UTC),
	} {
		got, err := parseStamp(in)
		if err != nil || !got.Equal(want) {
			t.Errorf("parseStamp(%q) = %v, %v, want %v", in, got, err, want)
		}
		if back := formatStamp(got); back != in {
			t.Errorf("formatStamp(%v) = %q, want %q", got, back, in)
		}
	}
	for _, in := range []string{"", "05032026T091500", "05032026T091500+42", "05032026T091500-0042", "2026-03-05T09:15:00", "31022026T091500+0000", "05032026T091500+00a2", "05032026T251500+0042"} {
		if got, err := parseStamp(in); err == nil {
			t.Errorf("parseStamp(%q) = %v", in, got)
		}
	}
}

func TestHashFileVectors(t *testing.T) {
	for _, c := range []struct{ payload, padded, sent string }{
		{"<edXML/>", "8d55f6c7bf7cd534cf027a10e1bb5731c68279c3cb991c0f4844774c685b3758", "8d55f6c7bf7cd534cf27a10e1bb5731c68279c3cb991cf4844774c685b3758"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "ba7816bf8f1cfea414140de5dae2223b0361a396177a9cb410ff61f2015ad"},
	} {
		sum := sha256.Sum256([]byte(c.payload))
		if got := hex.EncodeToString(sum[:]); got != c.padded {
			t.Fatalf("%q: %s", c.payload, got)
		}
		if got := looseHex(sum[:]); got != c.sent {
			t.Errorf("looseHex(%q) = %s, want %s", c.payload, got, c.sent)
		}
		for _, form := range []string{c.padded, c.sent, strings.ToUpper(c.padded)} {
			if !hashFits(form, c.padded) {
				t.Errorf("%s is refused", form)
			}
			changed := []byte(form)
			changed[7] ^= 1
			if hashFits(string(changed), c.padded) {
				t.Errorf("%s is taken for %q", changed, c.payload)
			}
		}
	}
	if hashFits("", "") || hashFits("", hex.EncodeToString(make([]byte, 32))) {
		t.Error("no hash fits something")
	}
}

func TestPayloadRule(t *testing.T) {
	store, err := blobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	hash := func(s string) string { sum := sha256.Sum256([]byte(s)); return looseHex(sum[:]) }
	large := strings.Repeat("0123456789", 20_000)
	for _, c := range []struct {
		name, body, hash, want string
		omit                   bool
		err                    error
	}{
		{name: "the client's CR LF", body: "<edXML/>\r\n", hash: hash("<edXML/>"), want: "<edXML/>"},
		{name: "a file that ends in CR LF", body: "<edXML/>\r\n\r\n", hash: hash("<edXML/>\r\n"), want: "<edXML/>\r\n"},
		{name: "nothing appended", body: "<edXML/>", hash: hash("<edXML/>"), want: "<edXML/>"},
		{name: "nothing appended to a file that ends in CR LF", body: "<edXML/>\r\n", hash: hash("<edXML/>\r\n"), want: "<edXML/>\r\n"},
		{name: "only LF", body: "<edXML/>\n", hash: hash("<edXML/>\n"), want: "<edXML/>\n"},
		{name: "large", body: large + "\r\n", hash: hash(large), want: large},
		{name: "one byte", body: "a\r\n", hash: hash("a"), want: "a"},
		{name: "two CR LF too many", body: "a\r\n\r\n", hash: hash("a"), err: errHash},
		{name: "another hash", body: "a\r\n", hash: hash("b"), err: errHash},
		{name: "no hash", body: "a\r\n", err: errNoHash},
		{name: "no hash, allowed", body: "a\r\n", omit: true, want: "a"},
		{name: "no hash, allowed, no CR LF", body: "ab", omit: true, want: "ab"},
		{name: "nothing", body: "", hash: hash(""), err: errEmpty},
		{name: "CR LF alone", body: "\r\n", hash: hash(""), err: errEmpty},
		{name: "too large", body: large + large, hash: hash(large + large), err: errTooLarge},
	} {
		for how, r := range map[string]io.Reader{"whole": strings.NewReader(c.body), "byte by byte": iotest.OneByteReader(strings.NewReader(c.body))} {
			b, err := takePayload(store, r, c.hash, c.omit, int64(len(large)))
			if !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Errorf("%s, %s: %v, want %v", c.name, how, err, c.err)
				continue
			}
			if c.err != nil {
				continue
			}
			f, _, err := store.Open(b.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(f)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want || b.Size != int64(len(c.want)) {
				t.Errorf("%s, %s: stored %d bytes %.20q, want %d", c.name, how, b.Size, got, len(c.want))
			}
		}
	}
	broken := io.MultiReader(strings.NewReader(large), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := takePayload(store, broken, hash(large), false, 1<<20); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that breaks off: %v", err)
	}
}

func TestASCIIJSON(t *testing.T) {
	b, err := asciiJSON(map[string]string{"a": "Sở Mẫu 𝟘 <&>\u2028"})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsFunc(b, func(r rune) bool { return r > 126 }) {
		t.Errorf("%s is not ASCII", b)
	}
	var back map[string]string
	if err := json.Unmarshal(b, &back); err != nil || back["a"] != "Sở Mẫu 𝟘 <&>\u2028" {
		t.Errorf("%s reads as %q, %v", b, back["a"], err)
	}
}

func TestHeadsAreMended(t *testing.T) {
	const in = "POST /a HTTP/1.1\r\nHost: x\r\nX-Name: \x11\x03ng \xa1\t.\r\nContent-Length: 3\r\n\r\n\x01\x02\x03" +
		"GET /b HTTP/1.1\r\nX: \x7f\r\n\r\n\r\nGET /c\x01 HTTP/1.1\r\nX: \x1f\r\n\r\n" +
		"POST /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\x01\r\n0\r\n\r\nGET /e HTTP/1.1\r\nX: \x11\r\n\r\n"
	const want = "POST /a HTTP/1.1\r\nHost: x\r\nX-Name: ??ng \xa1\t.\r\nContent-Length: 3\r\n\r\n\x01\x02\x03" +
		"GET /b HTTP/1.1\r\nX: ?\r\n\r\n\r\nGET /c\x01 HTTP/1.1\r\nX: ?\r\n\r\n" +
		"POST /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\x01\r\n0\r\n\r\nGET /e HTTP/1.1\r\nX: \x11\r\n\r\n"
	for size := 1; size < 60; size++ {
		var h heads
		got := []byte(in)
		for rest := got; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			h.mend(rest[:min(size, len(rest))])
		}
		if string(got) != want {
			t.Fatalf("in pieces of %d:\n got %q\nwant %q", size, got, want)
		}
	}
}

// FuzzSignature gives the check foreign headers: it must not panic, and takes nothing without the HMAC.
func FuzzSignature(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.text, v.keys, v.mac, "vidu.01")
	}
	f.Fuzz(func(t *testing.T, text, keys, sum, system string) {
		h := http.Header{}
		h.Set("XroadVnpt-systemid", system)
		h.Set(headSigned, text)
		h.Set(headKeys, keys)
		h.Set(headHash, sum)
		if _, err := checkSignature(h, []byte("another secret")); err == nil {
			t.Errorf("taken: %q", text)
		}
		h.Set(headHash, mac([]byte("s"), []byte(text)))
		p, err := checkSignature(h, []byte("s"))
		if err == nil && (p.get("systemid") == "" || p.get("timestamp") == "") {
			t.Errorf("taken without its keys: %q", text)
		}
		_, _ = parseStamp(text)
		_, _ = parseStamp(system)
	})
}
