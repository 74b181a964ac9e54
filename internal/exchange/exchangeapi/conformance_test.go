package exchangeapi

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"truc/internal/exchange"
)

// TestConformance plays the files of testdata/conformance, each a section of the specification, against a consumer's and a
// provider's node. README.txt there says how they are read. Requests go out as raw text over a connection of their own,
// because an HTTP client would tidy up the very things that are tested.
func TestConformance(t *testing.T) {
	files, err := filepath.Glob("testdata/conformance/2.*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no conformance files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			cases, err := parseConformance(string(text))
			if err != nil {
				t.Fatal(err)
			}
			n := newConformanceNet(t)
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) { n.play(t, c) })
			}
		})
	}
}

// conformanceCase is one exchange with its expectations.
type conformanceCase struct {
	name       string
	directives []string
	request    []string // the head and, after an empty line, the body
	service    []string // what the service answers; none for "ok"
	seen       []string // what the service must have seen
	response   []string
}

func parseConformance(text string) ([]conformanceCase, error) {
	var cases []conformanceCase
	for i, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "== "); ok {
			cases = append(cases, conformanceCase{name: name})
			continue
		}
		if strings.HasPrefix(line, "#") || len(cases) == 0 && line == "" {
			continue
		}
		if len(cases) == 0 {
			return nil, fmt.Errorf("line %d stands before the first case", i+1)
		}
		c := &cases[len(cases)-1]
		mark, rest := "", line
		if len(line) >= 2 && slices.Contains([]string{"->", "<-", "=>", "@ "}, line[:2]) {
			mark, rest = line[:2], strings.TrimPrefix(line[2:], " ")
		}
		switch mark {
		case "->":
			c.seen = append(c.seen, rest)
		case "<-":
			c.response = append(c.response, rest)
		case "=>":
			c.service = append(c.service, rest)
		case "@ ":
			c.directives = append(c.directives, rest)
		default:
			c.request = append(c.request, rest)
		}
	}
	for i := range cases {
		c := &cases[i]
		for len(c.request) > 0 && c.request[0] == "" {
			c.request = c.request[1:]
		}
		for len(c.request) > 0 && c.request[len(c.request)-1] == "" {
			c.request = c.request[:len(c.request)-1]
		}
		if len(c.request) == 0 || len(c.response) == 0 {
			return nil, fmt.Errorf("case %q has no request or no response", c.name)
		}
	}
	return cases, nil
}

// conformanceNet is the network of the worked exchange (spec §2.5) with some more services.
type conformanceNet struct {
	net                *testNet
	consumer, provider *testNode
	log                syncBuffer
	tokenKey           ed25519.PrivateKey
	certs              map[string]tls.Certificate

	mu      sync.Mutex // guards answer and seen
	answer  []string
	seen    *http.Request
	body    string
	proofNo int
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

const (
	onestop = "DEV/GOV/H07/ONESTOP"
	archive = "DEV/GOV/H07/ARCHIVE"
	csdl    = "DEV/GOV/B02/CSDL"
)

func newConformanceNet(t *testing.T) *conformanceNet {
	t.Helper()
	n := &conformanceNet{net: newTestNet(t), certs: map[string]tls.Certificate{}}
	n.net.members = []exchange.Member{
		{ID: "DEV/GOV/B02", Name: map[string]string{"vi": "Bộ B02"}, Subsystems: []string{csdl}},
		{ID: "DEV/GOV/H07", Name: map[string]string{"vi": "Tỉnh H07"}, Subsystems: []string{onestop, archive}},
	}
	n.provider = n.net.start(t, "DEV/GOV/B02/node1", []string{csdl}, openDB(t))
	n.consumer = n.net.start(t, "DEV/GOV/H07/node1", []string{onestop, archive}, openDB(t))
	service := http.HandlerFunc(n.serve)
	for code, o := range map[string]exchange.Offering{
		"residents": {Endpoints: []exchange.Endpoint{{Method: "GET", Path: "/v1/person/*"}}},
		"hidden":    {},
		"disabled":  {Disabled: true, Notice: "back on Monday"},
		"personal":  {Personal: true},
		"described": {OpenAPI: []byte(`{"openapi":"3.1.0","servers":[{"url":"https://csdl.inner.example/v1"}],"paths":{}}`)},
		"yaml":      {Public: true, OpenAPI: []byte("openapi: 3.1.0\nservers:\n- url: https://csdl.inner.example/v1\n")},
	} {
		if err := n.provider.Offer("CSDL/"+code, o, service); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.provider.SetRules([]exchange.Rule{
		{Consumer: onestop, Service: "CSDL/residents"},
		{Consumer: onestop, Service: "CSDL/disabled", Methods: []string{"GET"}},
		{Consumer: onestop, Service: "CSDL/personal", Methods: []string{"POST"}, Path: "/query"},
		{Consumer: onestop, Service: "CSDL/described", Methods: []string{"GET"}, Path: "/v1/*"},
	}); err != nil {
		t.Fatal(err)
	}
	var err error
	if _, n.tokenKey, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	n.addClients(t)
	return n
}

func (n *conformanceNet) addClients(t *testing.T) {
	t.Helper()
	thumb, err := exchange.Thumbprint(jose.JSONWebKey{Key: n.tokenKey.Public()})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []exchange.APIKey{
		{ID: "1", Hash: HashKey("secret"), Subsystem: onestop},
		{ID: "2", Hash: HashKey("old secret"), Subsystem: onestop, ErrorCodes: exchange.CodesLegacy},
		{ID: "3", Hash: HashKey("archive secret"), Subsystem: archive},
		{ID: "4", Hash: HashKey("token"), Subsystem: onestop, Kind: exchange.ClientBound, Thumbprint: thumb},
		{ID: "5", Hash: exchange.PinHash(n.certificate(t, "pinned", time.Now().Add(time.Hour)), onestop), Subsystem: onestop, Kind: exchange.ClientMTLS},
		{ID: "6", Hash: exchange.PinHash(n.certificate(t, "expired", time.Now().Add(-time.Minute)), onestop), Subsystem: onestop, Kind: exchange.ClientMTLS},
	} {
		if err := n.consumer.store.AddKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	n.certificate(t, "unknown", time.Now().Add(time.Hour))
}

// serve is the service behind the provider: it notes what it sees and answers what the case says.
func (n *conformanceNet) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen, n.body = r, string(body)
	if len(n.answer) == 0 {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "ok")
		return
	}
	_, status, _ := strings.Cut(n.answer[0], " ")
	code, _ := strconv.Atoi(strings.Fields(status)[0])
	i := 1
	for ; i < len(n.answer) && n.answer[i] != ""; i++ {
		name, value, _ := strings.Cut(n.answer[i], ": ")
		w.Header().Add(name, value)
	}
	w.WriteHeader(code)
	_, _ = io.WriteString(w, strings.Join(n.answer[min(i+1, len(n.answer)):], "\n"))
}

func (n *conformanceNet) play(t *testing.T, c conformanceCase) {
	n.mu.Lock()
	n.answer, n.seen, n.body = c.service, nil, ""
	n.mu.Unlock()
	e := &Edge{
		Service: n.consumer.Service, Keys: n.consumer.store, Instance: "DEV", Proofs: exchange.NewProofs(time.Now), Now: time.Now,
		Evidence: testEvidence{n.consumer}, Log: slog.New(slog.NewTextHandler(&n.log, nil)),
	}
	var client *tls.Config
	for _, d := range c.directives {
		switch d {
		case "listener native":
			e.Native = true
		case "listener legacy":
			e.ErrorCodes = exchange.CodesLegacy
		case "listener public":
			e.MetadataPublic = true
		case "listener open":
			e.OpenClients = []string{onestop}
		case "the directory has expired":
			n.net.setLevel("expired")
			defer n.net.setLevel("fresh")
		case "the request is changed on the way":
			n.consumer.carrier.req = func(r *exchange.WireRequest) { r.Body = []byte("changed") }
			defer func() { n.consumer.carrier.req = nil }()
		case "a header is added on the way":
			n.consumer.carrier.req = func(r *exchange.WireRequest) { r.Header.Set("X-Added", "1") }
			defer func() { n.consumer.carrier.req = nil }()
		case "the answer is changed on the way":
			n.consumer.carrier.resp = func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
				r.Body = []byte("changed")
				return r
			}
			defer func() { n.consumer.carrier.resp = nil }()
		case "TLS without a certificate":
			client = &tls.Config{InsecureSkipVerify: true}
		case "TLS with the pinned key", "TLS with an expired certificate over a pinned key", "TLS with another key":
			name := map[string]string{"TLS with the pinned key": "pinned", "TLS with another key": "unknown"}[d]
			if name == "" {
				name = "expired"
			}
			client = &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{n.certs[name]}}
		default:
			t.Fatalf("directive %q", d)
		}
	}
	resp, body := n.exchange(t, e, client, c.request) //nolint:bodyclose // read and closed there
	n.checkResponse(t, c, resp, body)
	n.checkSeen(t, c.seen)
	if typ := resp.Header.Get("X-Road-Error"); typ != "" { // R1-ERR-07
		if id := regexp.MustCompile(uuidPattern).FindString(body); resp.Request.Method != http.MethodHead && (id == "" || !strings.Contains(n.log.String(), id)) {
			t.Errorf("the log does not hold the detail of %s", body)
		}
	}
}

func (n *testNet) setLevel(l string) { n.mu.Lock(); n.level = l; n.mu.Unlock() }

// exchange sends the raw request over a connection of its own.
func (n *conformanceNet) exchange(t *testing.T, e *Edge, client *tls.Config, request []string) (*http.Response, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if client != nil {
		l = tls.NewListener(l, EdgeTLS(n.certs["unknown"]))
	}
	srv := e.Server(slog.New(slog.DiscardHandler))
	go func() { _ = srv.Serve(StrictListener(l)) }()
	defer srv.Close()
	var conn net.Conn
	if client != nil {
		conn, err = tls.Dial("tcp", addr, client)
	} else {
		conn, err = net.Dial("tcp", addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, n.raw(t, request)); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request[0], " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), httptest.NewRequest(map[bool]string{true: method, false: "GET"}[method == http.MethodHead], "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// raw writes a request with its line ends, chunks and placeholders.
func (n *conformanceNet) raw(t *testing.T, lines []string) string {
	t.Helper()
	end := slices.Index(lines, "")
	body := []string{}
	if end >= 0 {
		lines, body = lines[:end], lines[end+1:]
	}
	head := strings.Join(lines, "\r\n") + "\r\n"
	head = regexp.MustCompile(`<x\*(\d+)>`).ReplaceAllStringFunc(head, func(s string) string {
		k, _ := strconv.Atoi(s[3 : len(s)-1])
		return strings.Repeat("x", k)
	})
	head = strings.NewReplacer("<key>", "secret", "<old key>", "old secret", "<archive key>", "archive secret", "<token>", "token").Replace(head)
	if strings.Contains(head, "<proof>") {
		method, rest, _ := strings.Cut(head, " ")
		path, _, _ := strings.Cut(rest, " ")
		path, _, _ = strings.Cut(path, "?")
		n.proofNo++
		p := signProof(t, n.tokenKey, jose.EdDSA, proofOf(method, "http://edge.example"+path, "token", time.Now(), strconv.Itoa(n.proofNo)))
		head = strings.ReplaceAll(head, "<proof>", p)
	}
	switch {
	case strings.Contains(strings.ToLower(head), "transfer-encoding: chunked"):
		text := ""
		for _, chunk := range body {
			text += fmt.Sprintf("%x\r\n%s\r\n", len(chunk), chunk)
		}
		return head + "\r\n" + text + "0\r\n\r\n"
	case len(body) > 0:
		text := strings.Join(body, "\n")
		return head + "Content-Length: " + strconv.Itoa(len(text)) + "\r\n\r\n" + text
	}
	return head + "\r\n"
}

const uuidPattern = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`

// pattern makes a line of expectation a regular expression.
func linePattern(line string) *regexp.Regexp {
	p := regexp.QuoteMeta(line)
	for name, with := range map[string]string{"<uuid>": uuidPattern, "<hash>": `[A-Za-z0-9+/]{86}==`, "<text>": `.+`} {
		p = strings.ReplaceAll(p, regexp.QuoteMeta(name), with)
	}
	return regexp.MustCompile("^" + p + "$")
}

// checkResponse compares status line, every header and the body. Date and Content-Length come from HTTP itself.
func (n *conformanceNet) checkResponse(t *testing.T, c conformanceCase, resp *http.Response, body string) {
	t.Helper()
	got := []string{"HTTP/1.1 " + resp.Status}
	for name, values := range resp.Header {
		if !slices.Contains([]string{"Date", "Content-Length", "Connection"}, name) {
			for _, v := range values {
				got = append(got, strings.ToLower(name)+": "+v)
			}
		}
	}
	slices.Sort(got[1:])
	want := []string{c.response[0]}
	i := 1
	for ; i < len(c.response) && c.response[i] != ""; i++ {
		name, value, _ := strings.Cut(c.response[i], ": ")
		want = append(want, strings.ToLower(name)+": "+value)
	}
	slices.Sort(want[1:])
	wantBody := strings.Join(c.response[min(i+1, len(c.response)):], "\n")
	if len(got) != len(want) || !slices.EqualFunc(got, want, func(g, w string) bool { return linePattern(w).MatchString(g) }) {
		t.Errorf("the response is\n%s\n\n%s\nwant\n%s", strings.Join(got, "\n"), body, strings.Join(want, "\n"))
	}
	if wantBody != "<any body>" && !linePattern(wantBody).MatchString(body) {
		t.Errorf("the body is\n%s\nwant\n%s", body, wantBody)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if hash := resp.Header.Get("X-Road-Request-Hash"); hash != "" && n.seen != nil {
		target, _ := exchange.TargetOf(n.seen.Context()) // in the canonical form, which is what was signed (D4)
		if want := exchange.RequestHash(n.seen.Method, target.String("r1"), n.seen.Header, []byte(n.body)); hash != want {
			t.Errorf("the request hash is %s; the request that the service saw has %s", hash, want)
		}
	}
}

// checkSeen compares what the service saw: its request line first, then headers that must, or must not, be there.
func (n *conformanceNet) checkSeen(t *testing.T, want []string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(want) == 0 {
		return
	}
	if want[0] == "nothing" {
		if n.seen != nil {
			t.Errorf("the service saw %s %s; it was not to be asked", n.seen.Method, n.seen.URL)
		}
		return
	}
	if n.seen == nil {
		t.Fatal("the service was not asked")
	}
	target, ok := exchange.TargetOf(n.seen.Context())
	line := n.seen.Method + " " + target.Path.String()
	if target.Query != "" {
		line += "?" + target.Query
	}
	if !ok || strings.TrimSpace(line) != want[0] {
		t.Errorf("the service saw %q; want %q", line, want[0])
	}
	for i, w := range want[1:] {
		if w == "" {
			if b := strings.Join(want[i+2:], "\n"); n.body != b {
				t.Errorf("the service saw the body %q; want %q", n.body, b)
			}
			return
		}
		if name, ok := strings.CutPrefix(w, "no "); ok {
			if v := n.seen.Header.Values(name); len(v) > 0 {
				t.Errorf("the service saw %s: %q", name, v)
			}
			continue
		}
		name, value, _ := strings.Cut(w, ": ")
		if got := strings.Join(n.seen.Header.Values(name), " | "); !linePattern(value).MatchString(got) {
			t.Errorf("the service saw %s: %s; want %s", name, got, value)
		}
	}
}
