package exchangeapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// strictServer serves a handler that names what it got, as the edge's listener does.
func strictServer(t *testing.T, change func(*http.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := (&Edge{}).Server(slog.New(slog.DiscardHandler))
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		_, _ = io.WriteString(w, r.Method+r.RequestURI+string(b)+";")
	})
	if change != nil {
		change(srv)
	}
	go func() { _ = srv.Serve(StrictListener(l)) }()
	t.Cleanup(func() { _ = srv.Close() })
	return l.Addr().String()
}

// sendRaw writes text and returns everything that comes back until the server closes, or until what is wanted has come.
func sendRaw(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { _, _ = io.WriteString(conn, text) }() // the server may stop reading
	b, err := io.ReadAll(conn)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Fatalf("the server neither answers nor closes: %q", b)
	}
	return string(b)
}

// B16, B18: what could be read in two ways is refused and the connection ends.
func TestSmugglingIsRefused(t *testing.T) {
	addr := strictServer(t, nil)
	const next = "GET /admin HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n"
	for name, head := range map[string]string{
		"Content-Length and Transfer-Encoding":   "POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding and Content-Length":   "POST /a HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
		"two different Content-Length":           "POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n",
		"two equal Content-Length":               "POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\ncontent-length: 0\r\n\r\n",
		"a list in Content-Length":               "POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: 0, 0\r\n\r\n",
		"a signed Content-Length":                "POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: +0\r\n\r\n",
		"an empty Content-Length":                "POST /a HTTP/1.1\r\nHost: e\r\nContent-Length:\r\n\r\n",
		"an unknown transfer coding":             "POST /a HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"a hidden transfer coding":               "POST /a HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: \vchunked\r\nContent-Length: 0\r\n\r\n",
		"two transfer codings":                   "POST /a HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a blank before the colon":               "POST /a HTTP/1.1\r\nHost: e\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"a folded line":                          "POST /a HTTP/1.1\r\nHost: e\r\nX-A: b\r\n Content-Length: 44\r\n\r\n",
		"a folded line with a tab":               "POST /a HTTP/1.1\r\nHost: e\r\nX-A: b\r\n\tTransfer-Encoding: chunked\r\n\r\n",
		"a bare LF in the head":                  "POST /a HTTP/1.1\r\nHost: e\nContent-Length: 44\r\n\r\n",
		"a bare LF after the request line":       "GET /a HTTP/1.1\nHost: e\r\n\r\n",
		"a bare LF at the end of the head":       "GET /a HTTP/1.1\r\nHost: e\r\n\n",
		"a bare CR":                              "GET /a HTTP/1.1\r\nHost: e\r\nX-A: a\rContent-Length: 44\r\n\r\n",
		"a NUL":                                  "GET /a HTTP/1.1\r\nHost: e\r\nX-A: a\x00\r\n\r\n",
		"a header without a name":                "GET /a HTTP/1.1\r\nHost: e\r\n: x\r\n\r\n",
		"a header without a colon":               "GET /a HTTP/1.1\r\nHost: e\r\nX\r\n\r\n",
		"a blank line before the request line":   "\r\nGET /a HTTP/1.1\r\nHost: e\r\n\r\n",
		"two Host":                               "GET /a HTTP/1.1\r\nHost: e\r\nHost: f\r\n\r\n",
		"a head of more than 64 KiB":             "GET /a HTTP/1.1\r\nHost: e\r\nX-A: " + strings.Repeat("a", 80<<10) + "\r\n\r\n",
		"a head of many lines beyond 64 KiB":     "GET /a HTTP/1.1\r\nHost: e\r\n" + strings.Repeat("X-A: aaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 3000) + "\r\n",
		"a request line of more than 64 KiB":     "GET /" + strings.Repeat("a", 80<<10) + " HTTP/1.1\r\nHost: e\r\n\r\n",
		"an older protocol that knows no length": "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := sendRaw(t, addr, head+next)
			if !strings.HasPrefix(got, "HTTP/1.1 4") || strings.Contains(got, "/admin") || strings.Count(got, "HTTP/1.1 ") != 1 {
				t.Errorf("answered\n%s", got)
			}
		})
	}
	for name, body := range map[string]string{
		"a bare LF after a chunk's size": "1\na\r\n0\r\n\r\n", "a chunk that is too long": "1\r\nab\r\n0\r\n\r\n", "a size that is none": "x\r\n",
		"a size with a sign": "+1\r\na\r\n0\r\n\r\n", "a size of 17 digits": "00000000000000001\r\na\r\n0\r\n\r\n", "a folded trailer": "0\r\nX: a\r\n b\r\n\r\n",
		"a blank in the size": "1 \r\na\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := sendRaw(t, addr, "POST /a HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n"+body+next)
			if !strings.HasPrefix(got, "HTTP/1.1 418") || strings.Contains(got, "/admin") || strings.Count(got, "HTTP/1.1 ") != 1 {
				t.Errorf("answered\n%s", got)
			}
		})
	}
}

// What is clear passes, one request after another on one connection.
func TestPipelinedRequestsPass(t *testing.T) {
	addr := strictServer(t, nil)
	got := sendRaw(t, addr, "GET /a HTTP/1.1\r\nHost: e\r\n\r\n"+
		"POST /b HTTP/1.1\r\nHost: e\r\ncontent-length: 10\r\n\r\n\nGET \x00\r\n\n\r"+
		"POST /c HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: CHUNKED\r\n\r\n3;x=y\r\n\r\n\n\r\n1\r\nz\r\n0\r\nX-Trailer: t\r\n\r\n"+
		"POST /d HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n"+
		"GET /e HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n")
	r := bufio.NewReader(strings.NewReader(got))
	for _, want := range []string{"GET/a;", "POST/b\nGET \x00\r\n\n\r;", "POST/c\r\n\nz;", "POST/d;", "GET/e;"} {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, got)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(b) != want {
			t.Errorf("answered %q; want %q", b, want)
		}
	}
}

// B19: a program that never ends its head is cut off, and so is one that is silent.
func TestSlowClientIsCutOff(t *testing.T) {
	addr := strictServer(t, func(s *http.Server) {
		s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	})
	for name, text := range map[string]string{
		"half a head": "GET /a HTTP/1.1\r\nHost:", "nothing": "", "half a body": "POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: 10\r\n\r\nabc",
		"silent after a request": "GET /a HTTP/1.1\r\nHost: e\r\n\r\n",
	} {
		if got := sendRaw(t, addr, text); strings.Contains(got, "/aabc") {
			t.Errorf("%s: answered\n%s", name, got)
		}
	}
}

// FuzzStrictConn: what passes in pieces is what passes in one, and every request that net/http then finds is one that a plain
// reader of the same bytes finds too, with the same body.
func FuzzStrictConn(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: e\r\n\r\n", "POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: e\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "GET / HTTP/1.1\nHost: e\n\n",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		var whole, pieces framing
		n, err := whole.scan(b)
		m, err2 := 0, error(nil)
		for rest := b; len(rest) > 0 && err2 == nil; {
			k := min(len(rest), int(size)+1)
			var got int
			got, err2 = pieces.scan(rest[:k])
			m, rest = m+got, rest[k:]
		}
		if n != m || !errors.Is(err, err2) {
			t.Fatalf("%q: %d %v in one, %d %v in pieces of %d", b, n, err, m, err2, size+1)
		}
		// Where the framing is between two requests, net/http must be between the same two.
		var follow framing
		if n > 4096 {
			return // net/http would not hold it all at once, and the place could not be told
		}
		r := bufio.NewReaderSize(bytes.NewReader(b[:n]), 4096)
		read := 0
		for range 100 {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			end := n - r.Buffered()
			if got, err := follow.scan(b[read:end]); err != nil || got != end-read || follow.state != inHead || follow.first || len(follow.line) > 0 {
				t.Fatalf("%q: net/http ends a request at %d, where the framing is in the middle of one (%v)", b, end, err)
			}
			read = end
		}
	})
}
