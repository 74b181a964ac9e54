package exchange

import (
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The vectors of spec §3.2.
func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		yes, no string // lists divided by spaces; "-" is the empty path
	}{
		{"/a/*", "/a/ /a/b", "/a /a/b/c"},
		{"/a/**", "/a/ /a/b/c", "/a"},
		{"/*/", "/a/", "/a/b/"},
		{"**", "- / /a/b", ""},
		{`/x\*`, "/x*", "/x /xy"},
		{"**/*/**", "/a/b //", "/a -"},
		{`/a\\b`, `/a\b`, `/a\\b`},
		{`/a\b`, `/a\b`, `/ab`},
		{`/a\`, `/a\`, `/a`},
		{"/A", "/A", "/a /A/"},
		{"/v1/*/photo", "/v1/12/photo /v1//photo", "/v1/1/2/photo"},
	} {
		p, err := compilePattern(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for want, list := range map[bool]string{true: tt.yes, false: tt.no} {
			for s := range strings.FieldsSeq(list) {
				s = strings.TrimPrefix(s, "-")
				if got := p.Match(s); got != want {
					t.Errorf("%q.match(%q) = %v", tt.pattern, s, got)
				}
			}
		}
	}
}

func TestParsePath(t *testing.T) {
	for raw, want := range map[string]string{
		"": "", "/": "/", "/a": "/a", "/a/": "/a/", "/%7eb": "/~b", "/%c4%91": "/%C4%91", "/a%2cb": "/a%2Cb", "/a,b": "/a,b", "/x;y=1": "/x;y=1", "/a%25b": "/a%25b",
		"/...": "/...", "/%2e%2ea": "/..a",
	} {
		p, err := ParsePath(raw)
		if err != nil || p.String() != want {
			t.Errorf("ParsePath(%q) = %q, %v; want %q", raw, p, err, want)
		}
	}
	for _, raw := range []string{
		"a", "/..", "/a/../b", "/%2e%2e/b", "/.%2E", "/./a", "/a/.", "//", "/a//b", "/a%2fb", "/a%2Fb", `/a\b`, "/a%5cb", "/%00", "/a%0a", "/%7f",
		"/%", "/%4", "/%zz", "/%ff", "/%c0%ae", "/%252e", "/%252E%252e", "/a b", "/a#b", "/đ", "/a?b", "/a\x00", "/[", "/\"", "/<",
	} {
		if p, err := ParsePath(raw); err == nil {
			t.Errorf("ParsePath(%q) = %q; want a refusal", raw, p)
		}
	}
}

// R1-URL-01..05.
func TestParseTarget(t *testing.T) {
	for _, tt := range []struct{ target, service, path, query string }{
		{"/r1/VN/GOV/G01/population/person", "VN/GOV/G01/population/person", "", ""},
		{"/r1/VN/GOV/G01/population/person/", "VN/GOV/G01/population/person", "/", ""},
		{"/r1/VN/GOV/G01/population/person/v1/a?x=%2F..", "VN/GOV/G01/population/person", "/v1/a", "x=%2F.."},
		{"/r1/VN/GOV/G01/population/person?x", "VN/GOV/G01/population/person", "", "x"},
	} {
		got, err := ParseTarget("r1", tt.target)
		if err != nil || got.Service.String() != tt.service || got.Path.String() != tt.path || got.Query != tt.query {
			t.Errorf("ParseTarget(%q) = %+v, %v", tt.target, got, err)
		}
	}
	for _, target := range []string{
		"", "/", "/r1/VN/GOV/G01/population", "/r2/VN/GOV/G01/population/person", "/r1/VN/GOV/G01/../person", "/r1/VN/GOV/./population/person",
		"/r1/VN/GOV/G01/pop%2Fulation/person", "/r1/VN/GOV//population/person", "/r1/VN/GOV/G01/population/person/a//b", "/r1/VN/GOV/G01/population/person?a b", "/r1/" + strings.Repeat("a", 9000),
	} {
		if got, err := ParseTarget("r1", target); err == nil {
			t.Errorf("ParseTarget(%q) = %+v; want a refusal", target, got)
		}
	}
}

// The vectors of spec §2.4 (R1-HASH-01, 02).
func TestRequestHash(t *testing.T) {
	head := "POST\r\n/r1/DEV/COM/222/TESTSERVICE/petstore/v2/pets?x=1\r\nX-Road-Client:DEV/COM/222/TESTCLIENT\r\nx-road-id:DEV-1\r\nx-road-request-id:u\r\n"
	for body, want := range map[string]string{
		`{"id":0}`: "BRsXvDmie/nNbsPFUkJNdg5GH31vGbuw8ATbHPGNXVTanJt89mxFn/oY5QanKZg1QegYTd/qoxfEQLRU+1OQuw==",
		"":         "MAquhnGbbj7gYoX9pKsGOo8IMAqsy9Na7wnOtBagYjnp1BJewS9csOyvVB4N5IOGO3q4zr4yS6Uydkeh685Iew==",
	} {
		if got := requestHash([]byte(head), []byte(body)); got != want {
			t.Errorf("requestHash(%q) = %s; want %s", body, got, want)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"", "/", "/a/%2e%2e/b", "/%c4%91", "/%25%32%65", "/a;b/..;/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := ParsePath(raw)
		if err != nil {
			return
		}
		again, err := ParsePath(p.String())
		if err != nil || again != p {
			t.Fatalf("%q → %q is not canonical: %v", raw, p, err)
		}
		if p.String() == "" {
			return
		}
		// The backend's view of the forwarded string is the string that rules were matched on.
		u, err := url.ParseRequestURI(p.String())
		if err != nil {
			t.Fatalf("%q does not parse: %v", p, err)
		}
		if u.Path != p.Decoded() || u.RawQuery != "" {
			t.Fatalf("backend sees %q, rules saw %q", u.Path, p.Decoded())
		}
		for s := range strings.SplitSeq(u.Path, "/") {
			if s == "." || s == ".." {
				t.Fatalf("dot segment in %q", u.Path)
			}
		}
	})
}

func FuzzSignatureInput(f *testing.F) {
	f.Add(`x1=("@method" "signature";req;key="x1");created=1790000000;keyid="c1";alg="ed25519";tag="truc-x1"`)
	f.Add(`a=(), b=("x";sf)`)
	f.Fuzz(func(t *testing.T, s string) {
		ins, err := parseSignatureInput(s)
		if err != nil {
			return
		}
		for _, in := range ins {
			again, err := parseSignatureInput(in.label + "=" + in.value())
			if err != nil || len(again) != 1 || again[0].value() != in.value() {
				t.Fatalf("%q → %q does not read back: %v", s, in.value(), err)
			}
		}
	})
}

func FuzzSignature(f *testing.F) {
	f.Add("x1=:AAAA:, b=::")
	f.Fuzz(func(_ *testing.T, s string) { _, _ = parseSignature(s) })
}

func FuzzOpenEvidence(f *testing.F) {
	f.Add([]byte("PK"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = OpenEvidence(b) })
}

func TestReplaySet(t *testing.T) {
	r := newReplaySet(2*freshness, 3)
	start := vectorTime
	for i, step := range []struct {
		id    string
		after int // seconds since start
		want  replayVerdict
	}{{"a", 0, replayNew}, {"a", 1, replaySeen}, {"b", 500, replayNew}, {"b", 1100, replaySeen}, {"c", 1100, replayNew}, {"b", 1100, replaySeen}, {"d", 5000, replayNew}, {"e", 5000, replayNew}, {"f", 5000, replayNew}, {"g", 5000, replayFull}} {
		if got := r.add(step.id, start.Add(secs(step.after)+2*freshness), start.Add(secs(step.after))); got != step.want {
			t.Errorf("step %d: add(%q) at %d s = %v; want %v", i, step.id, step.after, got, step.want)
		}
	}
}

// Whatever the clock of the sender: while a request would be taken its id is known, and soon after that it is forgotten.
func TestReplaySetForgetsWhenARequestIsTooOld(t *testing.T) {
	r := newReplaySet(2*freshness, 1_000_000)
	type sent struct {
		id    string
		until time.Time
	}
	var all []sent
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		now := vectorTime.Add(time.Duration(i) * 200 * time.Millisecond)
		created := now.Add(time.Duration(rnd.Int64N(int64(2*freshness))) - freshness)
		m := sent{strconv.Itoa(i), created.Add(freshness)}
		if got := r.add(m.id, m.until, now); got != replayNew {
			t.Fatalf("id %s = %v", m.id, got)
		}
		all = append(all, m)
		for range 3 {
			old := all[rnd.IntN(len(all))]
			if got := r.add(old.id, now, now); now.Before(old.until) && got != replaySeen {
				t.Fatalf("a repeat %v before its end passes", old.until.Sub(now))
			} else if got == replayNew {
				all = append(all, sent{old.id, now})
			}
		}
	}
	if limit := int((2*freshness + r.span) / (200 * time.Millisecond) * 4); r.n > limit {
		t.Errorf("%d ids are remembered, want at most %d", r.n, limit)
	}
	// At a steady pace and with right clocks, what is kept is what came in the last seven and a half minutes.
	r = newReplaySet(2*freshness, 1_000_000)
	for i := range 10_000 {
		now := vectorTime.Add(time.Duration(i) * 200 * time.Millisecond)
		r.add(strconv.Itoa(i), now.Add(freshness), now)
	}
	if limit := int((freshness + r.span) / (200 * time.Millisecond)); r.n > limit {
		t.Errorf("%d ids are remembered at a steady pace, want at most %d", r.n, limit)
	}
}

// TestReplaySetMany checks that nothing is lost where the tables grow and where the generations turn.
func TestReplaySetMany(t *testing.T) {
	const n = 20_000
	r := newReplaySet(2*freshness, n)
	at := func(i int) time.Time { return vectorTime.Add(2 * freshness * time.Duration(i) / n) }
	for i := range n {
		if got := r.add(strconv.Itoa(i), at(i).Add(2*freshness), at(i)); got != replayNew {
			t.Fatalf("id %d = %v", i, got)
		}
	}
	for i := range n {
		if got := r.add(strconv.Itoa(i), at(n), at(n)); got != replaySeen {
			t.Fatalf("id %d again = %v", i, got)
		}
	}
	if got := r.add("one more", at(n), at(n)); got != replayFull {
		t.Errorf("beyond the limit = %v", got)
	}
	if got := r.add("0", at(3*n), at(3*n)); got != replayNew || r.n != 1 {
		t.Errorf("long after: %v with %d ids", got, r.n)
	}
	var zero hashSet
	zero.add(0)
	if !zero.has(0) {
		t.Error("the hash 0 is lost")
	}
}

func TestMaskDigits(t *testing.T) {
	for in, want := range map[string]string{"/person/099204000123/x": "/person/…/x", "/v1/2026": "/v1/2026", "": ""} {
		if got := maskDigits(in); got != want {
			t.Errorf("maskDigits(%q) = %q; want %q", in, got, want)
		}
	}
}

// value is the text of @signature-params.
func (in sigInput) value() string {
	var b strings.Builder
	b.Write(in.append(nil, in.ids()))
	return b.String()
}
