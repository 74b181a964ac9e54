package exchangeapi

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"truc/internal/exchange"
)

// TestEdgeScripts runs the readable scripts of testdata against an edge with a provider behind a real link. Requests
// go out as raw text, because an HTTP client would tidy up the very things that are tested.
func TestEdgeScripts(t *testing.T) {
	p := newPair(t)
	backend := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte("no such thing"))
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/headers":
			w.Header().Set("X-Road-Id", "forged")
			w.Header().Set("X-Road-Error", "forged")
			w.Header().Set("Server", "secret")
			for _, n := range []string{"x-custom", "authorization", "x-api-key", "te"} {
				_, _ = fmt.Fprintf(w, "%s=%v ", n, r.Header.Values(n))
			}
		default:
			_, _ = fmt.Fprintf(w, "%q", r.URL.EscapedPath())
		}
	})
	// The provider of newPair answers everything alike; this one has more to say.
	p.provider = p.net.start(t, "VN/GOV/G01/node1", []string{"VN/GOV/G01/population"}, openDB(t))
	for code, o := range map[string]exchange.Offering{"population/open": {}, "population/person": {Personal: true, OpenAPI: []byte(`{"openapi":"3.1.0"}`)}} {
		if err := p.provider.Offer(code, o, backend); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.provider.SetRules([]exchange.Rule{
		{Consumer: "VN/GOV/H36/onestop", Service: "population/open"},
		{Consumer: "VN/GOV/H36/onestop", Service: "population/person", Methods: []string{"POST"}, Path: "/query"},
	}); err != nil {
		t.Fatal(err)
	}
	if err := p.consumer.store.AddKey(t.Context(), exchange.APIKey{ID: "1", Hash: HashKey("s3cret"), Subsystem: "VN/GOV/H36/onestop", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	edge := &Edge{Service: p.consumer.Service, Keys: p.consumer.store, Instance: "VN", ListClients: true, Log: slog.New(slog.DiscardHandler)}
	srv := httptest.NewServer(edge.Wrap(http.NotFoundHandler()))
	t.Cleanup(srv.Close)
	script, err := os.ReadFile("testdata/r1.txt")
	if err != nil {
		t.Fatal(err)
	}
	line := 0
	for block := range strings.SplitSeq(string(script), "\n\n") {
		var lines []string
		first := line + 1
		for l := range strings.SplitSeq(block, "\n") {
			line++
			if l != "" && !strings.HasPrefix(l, "#") {
				lines = append(lines, l)
			}
		}
		line++
		if len(lines) == 0 {
			continue
		}
		t.Run(fmt.Sprintf("line%d", first), func(t *testing.T) { runScript(t, srv.Listener.Addr().String(), lines) })
	}
}

func runScript(t *testing.T, addr string, lines []string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	method, _, _ := strings.Cut(lines[0], " ")
	req := lines[0] + " HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\n"
	for _, l := range lines[1:] {
		if h, ok := strings.CutPrefix(l, "> "); ok {
			req += strings.ReplaceAll(h, "KEY", "s3cret") + "\r\n"
		}
	}
	if _, err := io.WriteString(conn, req+"\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines[1:] {
		word, rest, _ := strings.Cut(l, " ")
		switch word {
		case ">":
		case "status":
			if got := strconv.Itoa(resp.StatusCode); got != rest {
				t.Errorf("%s: status %s, want %s (%s)", lines[0], got, rest, body)
			}
		case "header":
			name, want, _ := strings.Cut(rest, " ")
			if got := resp.Header.Get(name); !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%s: header %s is %q, want %s", lines[0], name, got, want)
			}
		case "body":
			if !strings.Contains(string(body), rest) {
				t.Errorf("%s: body is %s, want %s", lines[0], body, rest)
			}
		default:
			t.Fatalf("script line %q", l)
		}
	}
}
