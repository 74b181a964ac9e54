package exchangeapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
)

// pattern is a body of n bytes that needs no memory.
type pattern struct{ n, at int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.n {
		return 0, io.EOF
	}
	n := min(int64(len(b)), p.n-p.at)
	for i := range b[:n] {
		b[i] = byte((p.at + int64(i)) >> 3)
	}
	p.at += n
	return int(n), nil
}

func digestOf(t *testing.T, r io.Reader) (digest string, n int64) {
	t.Helper()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		t.Fatal(err)
	}
	return "sha-256=:" + base64.StdEncoding.EncodeToString(h.Sum(nil)) + ":", n
}

// streams offers population/files: POST counts and hashes what comes, GET /N sends N bytes.
func (p *pair) streams(t *testing.T, o exchange.Offering) *fileService {
	t.Helper()
	f := &fileService{}
	if err := p.provider.Offer("population/files", o, f); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.SetRules(append(p.provider.Rules(), exchange.Rule{Consumer: "VN/GOV/H36/onestop", Service: "population/files"})); err != nil {
		t.Fatal(err)
	}
	return f
}

type fileService struct {
	mu     sync.Mutex
	length int64
	err    error
	ended  chan error // told how a GET ended, when set
	before func()
}

func (f *fileService) last() (int64, error) { f.mu.Lock(); defer f.mu.Unlock(); return f.length, f.err }

func (f *fileService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.before != nil {
		f.before()
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		f.mu.Lock()
		f.length, f.err = n, err
		f.mu.Unlock()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write([]byte("sha-256=:" + base64.StdEncoding.EncodeToString(h.Sum(nil)) + ":"))
		return
	}
	size, _ := strconv.ParseInt(strings.Trim(r.URL.Path, "/"), 10, 64)
	if r.URL.RawQuery == "length" {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	if r.URL.RawQuery == "range" {
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, size)))
		return
	}
	_, err := io.Copy(w, &pattern{n: size})
	if f.ended != nil {
		f.ended <- errors.Join(err, context.Cause(r.Context()))
	}
}

func (p *pair) fileCall(t *testing.T, method, path string) exchange.Call {
	c := query(t)
	c.To, c.Method, c.Body = service(t, "VN/GOV/G01/population/files"), method, nil
	c.Path, c.Query, _ = strings.Cut(path, "?")
	return c
}

// settled waits until both sides have told their index about an exchange, and returns the entries of each log.
func (p *pair) settled(t *testing.T, id string, rows int) (consumer, provider []exchange.Entry) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		ok := true
		for _, n := range []*testNode{p.consumer, p.provider} {
			if err := n.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, err := n.store.ByExchange(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			ok = ok && len(got) == rows
		}
		if ok || time.Now().After(end) {
			break
		}
	}
	return p.consumer.entries(t), p.provider.entries(t)
}

func directions(es []exchange.Entry) string {
	var out []string
	for _, e := range es {
		out = append(out, e.Direction+" "+e.Outcome)
	}
	return strings.Join(out, ", ")
}

// R1-BIG: a body of any size passes in both directions; each log has the head and then the body, and the package of both
// verifies.
func TestStreamBothWays(t *testing.T) {
	const size = 5<<20 + 17
	for _, local := range []bool{false, true} {
		p := newPair(t)
		p.streams(t, exchange.Offering{})
		caller := p.consumer
		edit := func(c *exchange.Call) {}
		if local {
			caller = p.provider
			edit = func(c *exchange.Call) { c.From.Member, c.From.Code = "G01", "population" }
			if err := p.provider.SetRules([]exchange.Rule{{Consumer: "VN/GOV/G01/population", Service: "population/files"}}); err != nil {
				t.Fatal(err)
			}
		}
		want, _ := digestOf(t, &pattern{n: size})
		up := p.fileCall(t, "POST", "/")
		edit(&up)
		up.BodyReader, up.Length = &pattern{n: size}, -1
		ans, err := caller.Call(t.Context(), up)
		if err != nil {
			t.Fatal(err)
		}
		if string(ans.Body) != want {
			t.Errorf("the service received %s, want %s", ans.Body, want)
		}
		down := p.fileCall(t, "GET", "/"+strconv.Itoa(size)+"?length")
		edit(&down)
		down.Stream = true
		got, err := caller.Call(t.Context(), down)
		if err != nil {
			t.Fatal(err)
		}
		if got.BodyReader == nil || got.Length != size {
			t.Fatalf("the answer does not stream: %+v", got)
		}
		if d, n := digestOf(t, got.BodyReader); d != want || n != size {
			t.Errorf("received %d bytes, %s", n, d)
		}
		if err := got.BodyReader.Close(); err != nil {
			t.Error(err)
		}
		if local {
			continue
		}
		p.settled(t, ans.ExchangeID, 1)
		a, b := p.settled(t, got.ExchangeID, 1)
		const all = "request ok, request-body ok, response ok, request ok, response ok, response-body ok"
		if directions(a) != all || directions(b) != all {
			t.Errorf("logs:\n%s\n%s", directions(a), directions(b))
		}
		for i := range a {
			if a[i].Signature != b[i].Signature || a[i].Base != b[i].Base || a[i].RequestDigest != b[i].RequestDigest || a[i].ResponseDigest != b[i].ResponseDigest || a[i].Size != b[i].Size {
				t.Errorf("entry %d differs:\n%+v\n%+v", i, a[i], b[i])
			}
		}
		if a[1].RequestDigest != want || a[2].RequestDigest != want || a[0].RequestDigest != "pending" || a[5].ResponseDigest != want || a[1].Size != size {
			t.Errorf("digests: %+v", a)
		}
		c, err := exchange.CompareLogs(t.Context(), p.consumer.log, p.provider.log)
		if err != nil || c.Acknowledged < 2 || len(c.Differences) > 0 {
			t.Errorf("the logs do not agree on streams: %+v, %v", c, err)
		}
		p.evidenceOfStream(t, ans.ExchangeID, 3)
		p.evidenceOfStream(t, got.ExchangeID, 3)
	}
}

// evidenceOfStream checks that the package verifies, and that nothing of it can be changed or left out.
func (p *pair) evidenceOfStream(t *testing.T, id string, entries int) {
	t.Helper()
	for _, n := range []*testNode{p.consumer, p.provider} {
		pkg, err := n.Evidence(t.Context(), id, exchange.EvidenceOptions{Persons: true})
		if err != nil {
			t.Fatal(err)
		}
		r, err := exchange.VerifyEvidence(pkg, p.trust())
		if err != nil || !r.OK || len(r.Entries) != entries {
			t.Fatalf("report of %s: %+v, %v", n.id, r, err)
		}
		for _, old := range []string{"sha-256", "pending", "truc-body", "content-digest", "prefill", "-body", `"status":200`} {
			bad := rewrite(t, pkg, func(name string, data []byte) []byte {
				if !strings.HasPrefix(name, "entries/") {
					return data
				}
				return bytes.Replace(data, []byte(old), []byte(strings.Repeat("9", len(old))), 1)
			})
			if r, err := exchange.VerifyEvidence(bad, p.trust()); err == nil && r.OK {
				t.Errorf("a package with %q changed passes", old)
			}
		}
		// Without the entry about the body the head proves nothing about it.
		cut := rewrite(t, pkg, func(name string, data []byte) []byte {
			if name != "manifest.json" {
				return data
			}
			return dropBodies(t, data, pkg)
		})
		if r, err := exchange.VerifyEvidence(cut, p.trust()); err == nil && r.OK {
			t.Errorf("a package without its body entries passes: %+v", r)
		}
	}
}

// A large body of a caller that holds it in memory, and a large answer for one that wants it there.
func TestStreamForCallersInMemory(t *testing.T) {
	p := newPair(t)
	p.streams(t, exchange.Offering{})
	body, _ := io.ReadAll(&pattern{n: 3 << 20})
	c := p.fileCall(t, "POST", "/")
	c.Body = body
	ans, err := p.consumer.Call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := exchange.ContentDigest(body); string(ans.Body) != want {
		t.Errorf("service received %s, want %s", ans.Body, want)
	}
	if ans, err = p.consumer.Call(t.Context(), p.fileCall(t, "GET", "/"+strconv.Itoa(3<<20))); err != nil || !bytes.Equal(ans.Body, body) {
		t.Errorf("answer in memory: %v, %v", ans != nil, err)
	}
	_, err = p.consumer.Call(t.Context(), p.fileCall(t, "GET", "/"+strconv.Itoa(exchange.MaxBody+1)))
	wantFault(t, err, "server.clientproxy.invalid_body", errs.TooLarge)
}

// D21: at the threshold a body is one signed message, and no file or stream is needed; a byte more streams.
func TestStreamThreshold(t *testing.T) {
	p := newPair(t)
	p.streams(t, exchange.Offering{Verify: exchange.VerifyBefore})
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for _, tt := range []struct {
		size    int64
		entries int
	}{{0, 2}, {exchange.StreamThreshold, 2}, {exchange.StreamThreshold + 1, 3}} {
		before := len(p.consumer.entries(t))
		c := p.fileCall(t, "POST", "/")
		c.Body, _ = io.ReadAll(&pattern{n: tt.size})
		if _, err := p.consumer.Call(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if n := len(p.consumer.entries(t)) - before; n != tt.entries {
			t.Errorf("a request of %d bytes has %d entries, want %d", tt.size, n, tt.entries)
		}
		before = len(p.consumer.entries(t))
		down := p.fileCall(t, "GET", "/"+strconv.FormatInt(tt.size, 10))
		down.Stream = true
		ans, err := p.consumer.Call(t.Context(), down)
		if err != nil {
			t.Fatal(err)
		}
		if ans.BodyReader != nil {
			if _, n := digestOf(t, ans.BodyReader); n != tt.size {
				t.Errorf("answer of %d bytes, want %d", n, tt.size)
			}
			ans.BodyReader.Close()
		} else if int64(len(ans.Body)) != tt.size {
			t.Errorf("answer of %d bytes, want %d", len(ans.Body), tt.size)
		}
		if n := len(p.consumer.entries(t)) - before; n != tt.entries {
			t.Errorf("an answer of %d bytes has %d entries, want %d", tt.size, n, tt.entries)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

// A body that is not the signed one never ends well for whoever reads it, and both the stream and the log say so.
func TestStreamTampering(t *testing.T) {
	flip := func(st *exchange.Stream) *exchange.Stream {
		out := *st
		out.Body = struct {
			io.Reader
			io.Closer
		}{&flipper{r: st.Body}, st.Body}
		return &out
	}
	trailer := func(edit func(http.Header)) func(*exchange.Stream) *exchange.Stream {
		return func(st *exchange.Stream) *exchange.Stream {
			out := *st
			out.Trailer = func() http.Header {
				h := st.Trailer().Clone()
				edit(h)
				return h
			}
			return &out
		}
	}
	for name, edit := range map[string]func(*exchange.Stream) *exchange.Stream{
		"a byte changed":       flip,
		"no trailer":           trailer(func(h http.Header) { clear(h) }),
		"no signature":         trailer(func(h http.Header) { h.Del("Signature") }),
		"digest twice":         trailer(func(h http.Header) { h.Add("Content-Digest", h.Get("Content-Digest")) }),
		"digest of another":    trailer(func(h http.Header) { h.Set("Content-Digest", exchange.ContentDigest(nil)) }),
		"signature of another": trailer(func(h http.Header) { h.Set("Signature", "x1t=:"+strings.Repeat("A", 86)+"==:") }),
		"covers less": trailer(func(h http.Header) {
			h.Set("Signature-Input", strings.Replace(h.Get("Signature-Input"), `"signature";key="x1" `, "", 1))
		}),
		"old": trailer(func(h http.Header) {
			in := h.Get("Signature-Input")
			i := strings.Index(in, "created=") + len("created=")
			h.Set("Signature-Input", in[:i]+"1"+in[i+10:])
		}),
	} {
		for _, verify := range []string{exchange.VerifyStream, exchange.VerifyBefore} {
			t.Run("request/"+name+"/"+verify, func(t *testing.T) {
				p := newPair(t)
				f := p.streams(t, exchange.Offering{Verify: verify})
				called := false
				f.before = func() { called = true }
				p.consumer.carrier.req = func(r *exchange.WireRequest) {
					if r.Stream != nil {
						r.Stream = edit(r.Stream)
					}
				}
				c := p.fileCall(t, "POST", "/")
				c.BodyReader, c.Length, c.ID = &pattern{n: 1 << 20}, 1<<20, "VN-tampered"
				_, err := p.consumer.Call(t.Context(), c)
				wantFault(t, err, "server.clientproxy.network_error", errs.Unavailable) // the stream was reset
				if _, readErr := f.last(); verify == exchange.VerifyStream && readErr == nil {
					t.Error("the service saw a body that ended well")
				}
				if verify == exchange.VerifyBefore && called {
					t.Error("the service was called before the body was verified")
				}
				_, b := p.settled(t, "VN-tampered", 1)
				if got := directions(b); got != "request ok, request-body server.serverproxy.signature_verification.digest_mismatch" {
					t.Errorf("the provider's log: %s", got)
				}
			})
		}
		t.Run("answer/"+name, func(t *testing.T) {
			p := newPair(t)
			p.streams(t, exchange.Offering{})
			p.consumer.carrier.resp = func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
				if r.Stream != nil {
					r.Stream = edit(r.Stream)
				}
				return r
			}
			c := p.fileCall(t, "GET", "/1000000")
			_, err := p.consumer.Call(t.Context(), c)
			wantFault(t, err, "server.clientproxy.signature_verification.digest_mismatch", errs.Unavailable)
			c.Stream, c.ID = true, "VN-tampered"
			ans, err := p.consumer.Call(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, ans.BodyReader)
			wantFault(t, err, "server.clientproxy.signature_verification.digest_mismatch", errs.Unavailable)
			if n >= 1000000 {
				t.Errorf("the reader got all %d bytes", n)
			}
			ans.BodyReader.Close()
			a, _ := p.settled(t, "VN-tampered", 1)
			if last := a[len(a)-1]; last.Outcome != "server.clientproxy.signature_verification.digest_mismatch" || last.Direction != "response-body" {
				t.Errorf("the consumer's log: %s", directions(a))
			}
		})
	}
}

type flipper struct {
	r io.Reader
	n int
}

func (f *flipper) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if f.n < 500_000 && f.n+n >= 500_000 {
		p[500_000-f.n-1] ^= 1
	}
	f.n += n
	return n, err
}

// A head that was changed on its way is refused before anybody sees a byte of the body.
func TestStreamHeadIsSigned(t *testing.T) {
	for name, edit := range map[string]func(*exchange.WireRequest){
		"mark removed":  func(r *exchange.WireRequest) { r.Header.Del("Truc-Body"); r.Stream = nil },
		"mark changed":  func(r *exchange.WireRequest) { r.Header.Set("Truc-Body", "other") },
		"digest added":  func(r *exchange.WireRequest) { r.Header.Set("Content-Digest", exchange.ContentDigest(nil)) },
		"purpose added": func(r *exchange.WireRequest) { r.Header.Set("Truc-Purpose", "other") },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			f := p.streams(t, exchange.Offering{})
			called := false
			f.before = func() { called = true }
			p.consumer.carrier.req = edit
			c := p.fileCall(t, "POST", "/")
			c.BodyReader, c.Length = &pattern{n: 1 << 20}, -1
			if _, err := p.consumer.Call(t.Context(), c); err == nil || called {
				t.Errorf("error %v, service called %v", err, called)
			}
		})
	}
}

// A refusal does not wait for a body that nobody wants, and it is evidence without one.
func TestStreamRefusedEarly(t *testing.T) {
	p := newPair(t)
	p.streams(t, exchange.Offering{})
	body := &pattern{n: 1 << 40}
	c := p.fileCall(t, "POST", "/")
	c.To.Code, c.BodyReader, c.Length, c.ID = "person", body, -1, "VN-refused"
	_, err := p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.serverproxy.access_denied", errs.Denied)
	if body.at > 64<<20 {
		t.Errorf("%d bytes were read for a refusal", body.at)
	}
	p.settled(t, "VN-refused", 1)
	pkg, err := p.provider.Evidence(t.Context(), "VN-refused", exchange.EvidenceOptions{Persons: true})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := exchange.VerifyEvidence(pkg, p.trust()); err != nil || !r.OK {
		t.Errorf("evidence of the refusal: %+v, %v", r, err)
	}
}

// B2, cancellation: whoever asked goes away, and the service learns it.
func TestStreamCancelled(t *testing.T) {
	p := newPair(t)
	f := p.streams(t, exchange.Offering{})
	f.ended = make(chan error, 1)
	c := p.fileCall(t, "GET", "/"+strconv.Itoa(1<<40))
	c.Stream, c.ID = true, "VN-gone"
	ans, err := p.consumer.Call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(ans.BodyReader, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	ans.BodyReader.Close()
	select {
	case err := <-f.ended:
		if err == nil {
			t.Error("the service wrote a tebibyte to nobody")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the service goes on")
	}
	a, b := p.settled(t, "VN-gone", 1)
	if !strings.HasSuffix(directions(a), "response-body server.clientproxy.io_error") || !strings.HasSuffix(directions(b), "response-body server.serverproxy.service_failed.io_error") {
		t.Errorf("logs:\n%s\n%s", directions(a), directions(b))
	}

	// An upload whose source breaks off.
	c = p.fileCall(t, "POST", "/")
	c.ID = "VN-broken"
	c.BodyReader, c.Length = io.MultiReader(&pattern{n: 1 << 20}, brokenReader{}), -1
	_, err = p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.clientproxy.io_error", errs.Unavailable)
	p.settled(t, "VN-broken", 1)
	if n, err := f.last(); err == nil || n > 1<<20 {
		t.Errorf("the service read %d bytes to a good end", n)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the program is gone") }

// A service that dies in the middle of its answer leaves nobody with what looks whole.
func TestStreamServiceFails(t *testing.T) {
	p := newPair(t)
	for code, h := range map[string]http.HandlerFunc{
		"panics": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, &pattern{n: 1 << 20}); panic("gone") },
		"tooshort": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2000000")
			_, _ = io.Copy(w, &pattern{n: 1 << 20})
		},
		"toolong": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500000")
			_, _ = io.Copy(w, &pattern{n: 1 << 20})
		},
	} {
		if err := p.provider.Offer("population/"+code, exchange.Offering{}, h); err != nil {
			t.Fatal(err)
		}
		if err := p.provider.SetRules([]exchange.Rule{{Consumer: "VN/GOV/H36/onestop", Service: "population/" + code}}); err != nil {
			t.Fatal(err)
		}
		c := p.fileCall(t, "GET", "/")
		c.To.Code, c.Stream = code, true
		ans, err := p.consumer.Call(t.Context(), c)
		if err == nil {
			_, err = io.Copy(io.Discard, ans.BodyReader)
			ans.BodyReader.Close()
		}
		if err == nil {
			t.Errorf("%s: the answer ended well", code)
		}
	}
}

// Deadlines: the service's own time, the caller's, and a stream that outlives the time for its beginning.
func TestStreamDeadlines(t *testing.T) {
	p := newPair(t)
	wait := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
			t.Error("the service was not cancelled")
		}
	}
	if err := p.provider.Offer("population/slow", exchange.Offering{Timeout: 50 * time.Millisecond}, http.HandlerFunc(wait)); err != nil {
		t.Fatal(err)
	}
	step := make(chan struct{})
	if err := p.provider.Offer("population/long", exchange.Offering{Timeout: 2 * time.Second}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, &pattern{n: 1 << 20})
		<-step // longer than the time for the beginning
		_, _ = io.Copy(w, &pattern{n: 1 << 20})
	})); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.SetRules([]exchange.Rule{{Consumer: "VN/GOV/H36/onestop", Service: "population/slow"}, {Consumer: "VN/GOV/H36/onestop", Service: "population/long"}}); err != nil {
		t.Fatal(err)
	}
	c := p.fileCall(t, "GET", "/")
	c.To.Code = "slow"
	_, err := p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.serverproxy.deadline_exceeded", errs.Unavailable)
	c.Deadline = time.Now().Add(-time.Second)
	_, err = p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.clientproxy.deadline_exceeded", errs.Unavailable)

	c = p.fileCall(t, "GET", "/")
	c.To.Code, c.Stream, c.Timeout = "long", true, 2*time.Second
	ans, err := p.consumer.Call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2500*time.Millisecond, func() { close(step) })
	if _, n := digestOf(t, ans.BodyReader); n != 2<<20 {
		t.Errorf("%d bytes came", n)
	}
	ans.BodyReader.Close()
}

// D31: a stream is slowed down to the bytes a second of its consumer, not refused.
func TestStreamIsPaced(t *testing.T) {
	p := newPair(t)
	p.streams(t, exchange.Offering{})
	if err := p.provider.SetLimits([]exchange.LimitRule{{BytesPerSecond: 2 << 20}}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c := p.fileCall(t, "GET", "/"+strconv.Itoa(4<<20))
	c.Stream = true
	ans, err := p.consumer.Call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer ans.BodyReader.Close()
	_, _ = digestOf(t, ans.BodyReader)
	// One second's worth flows at once, the rest at the rate: four mebibytes take a second at the least.
	if took := time.Since(start); took < 900*time.Millisecond {
		t.Errorf("4 MiB at 2 MiB/s took %v", took)
	}
}

// edgeOf is the edge of the consumer on a real listener.
func (p *pair) edgeOf(t *testing.T) (url, key string) {
	t.Helper()
	const secret = "the key of a program"
	if err := p.consumer.store.AddKey(t.Context(), exchange.APIKey{ID: "k", Hash: HashKey(secret), Subsystem: "VN/GOV/H36/onestop", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	e := &Edge{Service: p.consumer.Service, Keys: p.consumer.store, Instance: "VN", Log: slog.New(slog.DiscardHandler), Budget: exchange.NewBudget(0)}
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	return srv.URL + "/r1/VN/GOV/G01/population/files", secret
}

// R1-BIG at the edge: sizes, HEAD, ranges, and a lie at the far end that must not look whole to a program.
func TestStreamAtTheEdge(t *testing.T) {
	p := newPair(t)
	f := p.streams(t, exchange.Offering{})
	url, key := p.edgeOf(t)
	do := func(method, path string, body io.Reader, length int64, edit func(*http.Request)) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		r.Header.Set("X-Road-Client", "VN/GOV/H36/onestop")
		r.Header.Set("X-Api-Key", key)
		if edit != nil {
			edit(r)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	for _, size := range []int64{0, 1, exchange.StreamThreshold, exchange.StreamThreshold + 1, 3 << 20} {
		want, _ := digestOf(t, &pattern{n: size})
		for _, length := range []int64{size, -1} {
			if length == 0 {
				continue // net/http takes 0 with a body for unknown
			}
			resp := do("POST", "/", &pattern{n: size}, length, nil) //nolint:bodyclose // closed when the test ends
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != want || resp.StatusCode != http.StatusOK {
				t.Errorf("upload of %d (announced %d): %d %s %v", size, length, resp.StatusCode, b, err)
			}
			if resp.Header.Get("X-Road-Request-Hash") == "" {
				t.Error("no request hash")
			}
		}
		resp := do("GET", "/"+strconv.FormatInt(size, 10)+"?length", nil, 0, nil) //nolint:bodyclose // closed when the test ends
		if d, n := digestOf(t, resp.Body); d != want || n != size || size > exchange.StreamThreshold && resp.ContentLength != size {
			t.Errorf("download of %d: %d bytes, announced %d", size, n, resp.ContentLength)
		}
	}
	resp := do("HEAD", "/1000000", nil, 0, nil) //nolint:bodyclose // closed when the test ends
	if b, err := io.ReadAll(resp.Body); err != nil || len(b) != 0 || resp.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %d, %d bytes, %v", resp.StatusCode, len(b), err)
	}
	resp = do("GET", "/2000000?range", nil, 0, func(r *http.Request) { r.Header.Set("Range", "bytes=100-1500099") }) //nolint:bodyclose // closed when the test ends
	if b, err := io.ReadAll(resp.Body); err != nil || len(b) != 1500000 || resp.StatusCode != http.StatusPartialContent || resp.Header.Get("Content-Range") != "bytes 100-1500099/2000000" {
		t.Errorf("range: %d, %d bytes, %s, %v", resp.StatusCode, len(b), resp.Header.Get("Content-Range"), err)
	}
	p.consumer.carrier.resp = func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
		if r.Stream != nil {
			st := *r.Stream
			r.Stream.Body = struct {
				io.Reader
				io.Closer
			}{&flipper{r: st.Body}, st.Body}
		}
		return r
	}
	for _, q := range []string{"", "?length"} {
		resp = do("GET", "/1000000"+q, nil, 0, nil) //nolint:bodyclose // closed when the test ends
		if n, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Errorf("a forged answer%s ended well after %d bytes", q, n)
		}
	}
	p.consumer.carrier.resp = nil
	// A program that goes away in the middle of its upload cancels the call at the far end.
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, url+"/", io.MultiReader(&pattern{n: 2 << 20}, &cancelReader{cancel}))
	r.Header.Set("X-Road-Client", "VN/GOV/H36/onestop")
	r.Header.Set("X-Api-Key", key)
	if resp, err := http.DefaultClient.Do(r); err == nil {
		resp.Body.Close()
		t.Error("the cancelled upload was answered")
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := f.last(); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the service still waits for the upload")
		}
	}
}

type cancelReader struct{ cancel func() }

func (c *cancelReader) Read([]byte) (int, error) {
	c.cancel()
	time.Sleep(time.Second)
	return 0, io.EOF
}

// dropBodies takes the entries about bodies out of a manifest.
func dropBodies(t *testing.T, manifest, pkg []byte) []byte {
	t.Helper()
	bodies := map[string]bool{}
	rewrite(t, pkg, func(name string, data []byte) []byte {
		if bytes.Contains(data, []byte(`-body"`)) {
			bodies[name] = true
		}
		return data
	})
	var m map[string]any
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	var kept []any
	list, _ := m["entries"].([]any)
	for _, e := range list {
		item, _ := e.(map[string]any)
		if name, _ := item["entry"].(string); !bodies[name] {
			kept = append(kept, e)
		}
	}
	if len(kept) == len(list) {
		t.Fatal("there is no entry about a body")
	}
	m["entries"] = kept
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// B3: after streams that were cut in every way, goroutines are as many as before, and nothing is counted as under way.
func TestBadStreamsLeaveNothing(t *testing.T) {
	p := newPair(t)
	p.streams(t, exchange.Offering{})
	get := func(read int64) {
		c := p.fileCall(t, "GET", "/"+strconv.Itoa(1<<40))
		c.Stream = true
		ans, err := p.consumer.Call(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.CopyN(io.Discard, ans.BodyReader, read)
		ans.BodyReader.Close()
	}
	post := func() {
		c := p.fileCall(t, "POST", "/")
		c.BodyReader, c.Length = io.MultiReader(&pattern{n: 1 << 20}, brokenReader{}), -1
		if _, err := p.consumer.Call(t.Context(), c); err == nil {
			t.Error("a broken upload was answered")
		}
	}
	get(1) // opens the connections
	post()
	settle := func() int {
		n := runtime.NumGoroutine()
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			next := runtime.NumGoroutine()
			if next >= n {
				return n
			}
			n = next
		}
		return n
	}
	before := settle()
	for range 2 * exchange.MaxStreams { // more than there are places, so one that is not given back shows
		get(300_000)
		post()
	}
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+4; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}
