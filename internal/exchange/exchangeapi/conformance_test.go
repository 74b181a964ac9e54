package exchangeapi

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi/r1test"
)

// TestConformance plays the cases of r1test, each file a section of the specification, against a consumer's and a
// provider's node. Requests go out as raw text over a connection of their own, because an HTTP client would tidy up the very
// things that are tested.
func TestConformance(t *testing.T) {
	cases, err := r1test.Cases()
	if err != nil || len(cases) == 0 {
		t.Fatal("there are no cases", err)
	}
	for len(cases) > 0 {
		section := cases[0].Section
		end := slices.IndexFunc(cases, func(c r1test.Case) bool { return c.Section != section })
		if end < 0 {
			end = len(cases)
		}
		t.Run(section, func(t *testing.T) {
			n := newConformanceNet(t)
			for _, c := range cases[:end] {
				t.Run(c.Name, func(t *testing.T) { n.play(t, c) })
			}
		})
		cases = cases[end:]
	}
}

// conformanceNet is the network of the worked exchange (spec §2.5) with some more services.
type conformanceNet struct {
	net                *testNet
	consumer, provider *testNode
	log                syncBuffer
	tokenKey           ed25519.PrivateKey
	certs              map[string]tls.Certificate

	mu      sync.Mutex // guards current and seen
	current r1test.Case
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
	n.current.Answer(w)
}

func (n *conformanceNet) play(t *testing.T, c r1test.Case) {
	n.mu.Lock()
	n.current, n.seen, n.body = c, nil, ""
	n.mu.Unlock()
	e := &Edge{
		Service: n.consumer.Service, Keys: n.consumer.store, Instance: "DEV", Proofs: exchange.NewProofs(time.Now), Now: time.Now,
		Evidence: testEvidence{n.consumer}, Log: slog.New(slog.NewTextHandler(&n.log, nil)),
	}
	var client *tls.Config
	for _, d := range c.Directives {
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
	resp, body := n.exchange(t, e, client, c.Request) //nolint:bodyclose // read and closed there
	n.checkResponse(t, c, resp, body)
	n.checkSeen(t, c)
	if typ := resp.Header.Get("X-Road-Error"); typ != "" { // R1-ERR-07
		if id := regexp.MustCompile(r1test.UUID).FindString(body); resp.Request.Method != http.MethodHead && (id == "" || !strings.Contains(n.log.String(), id)) {
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
	return r1test.Raw(lines, func(head string) string {
		head = strings.NewReplacer("<key>", "secret", "<old key>", "old secret", "<archive key>", "archive secret", "<token>", "token").Replace(head)
		if strings.Contains(head, "<proof>") {
			method, rest, _ := strings.Cut(head, " ")
			path, _, _ := strings.Cut(rest, " ")
			path, _, _ = strings.Cut(path, "?")
			n.proofNo++
			p := signProof(t, n.tokenKey, jose.EdDSA, proofOf(method, "http://edge.example"+path, "token", time.Now(), strconv.Itoa(n.proofNo)))
			head = strings.ReplaceAll(head, "<proof>", p)
		}
		return head
	})
}

// checkResponse compares status line, every header and the body. Date and Content-Length come from HTTP itself.
func (n *conformanceNet) checkResponse(t *testing.T, c r1test.Case, resp *http.Response, body string) {
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
	want, wantBody := c.Expected()
	if len(got) != len(want) || !slices.EqualFunc(want, got, r1test.Matches) {
		t.Errorf("the response is\n%s\n\n%s\nwant\n%s", strings.Join(got, "\n"), body, strings.Join(want, "\n"))
	}
	if wantBody != "<any body>" && !r1test.Matches(wantBody, body) {
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

// checkSeen compares what the service saw.
func (n *conformanceNet) checkSeen(t *testing.T, c r1test.Case) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	var seen *r1test.Seen
	if n.seen != nil {
		target, ok := exchange.TargetOf(n.seen.Context())
		if !ok {
			t.Error("the service was not told what was asked")
		}
		line := n.seen.Method + " " + target.Path.String()
		if target.Query != "" {
			line += "?" + target.Query
		}
		seen = &r1test.Seen{Line: strings.TrimSpace(line), Header: n.seen.Header, Body: n.body}
	}
	for _, fault := range c.Judge(seen, func(string) bool { return false }) {
		t.Error(fault)
	}
}
