package exchangeapi

import (
	"bytes"
	"context"
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
	"truc/internal/exchange/exchangestore"
	"truc/internal/sign"
)

// B7: nodes ten minutes apart do not exchange anything, and everybody is told that it is a clock.
func TestClocksTenMinutesApart(t *testing.T) {
	for _, ahead := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		t.Run(ahead.String(), func(t *testing.T) {
			p := newPair(t)
			p.consumer.ahead.Store(int64(ahead))
			_, err := p.consumer.Call(t.Context(), query(t))
			if err == nil {
				t.Fatal("a message of another time was taken")
			}
			f := faultOf(t, err)
			if f.Code() != "signature_verification.clock_differs" || faultKey(err) != "exchange.clock_differs" || !strings.Contains(err.Error(), "clock") {
				t.Errorf("refused with %s, %q: %v", f.Type, faultKey(err), err)
			}
			if typ, exact := f.EdgeType(false); !strings.HasSuffix(typ, ".signature_verification.invalid_signature_value") || exact != "signature_verification.clock_differs" {
				t.Errorf("a program is told %s, %s", typ, exact)
			}
			if len(p.got) != 0 {
				t.Error("the service was called")
			}
			off, peers := p.consumer.ClockOffset()
			if peers != 1 || (off+ahead).Abs() > 30*time.Second {
				t.Errorf("the peer's clock is noted as %v ahead of %d peers; want %v", off, peers, -ahead)
			}
			found := false
			for _, d := range p.consumer.CheckSelf(t.Context()) {
				found = found || d.Name == "clock" && d.Light == exchange.LightBad && d.Todo == "exchange.diag.clock_todo"
			}
			if !found {
				t.Error("diagnostics do not name the clock")
			}
			// The clock set right, everything works again.
			p.consumer.ahead.Store(0)
			if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
				t.Errorf("with the clock set right: %v", err)
			}
		})
	}
}

func faultKey(err error) string { key, _ := errs.KeyOf(err); return key }

// L6: an exchange that goes well writes no line to the log at the level that operators run with.
func TestExchangesWriteNoLines(t *testing.T) {
	p := newPair(t)
	var mu sync.Mutex
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(lockedWriter{&mu, &out}, &slog.HandlerOptions{Level: slog.LevelInfo}))
	for _, n := range []*testNode{p.consumer, p.provider} {
		n.options.Logger = logger
		again, err := exchange.New(n.options)
		if err != nil {
			t.Fatal(err)
		}
		n.Service = again
		n.link.Service = again
	}
	p.offer(t)
	secret := "the key of a program"
	if err := p.consumer.store.AddKey(t.Context(), exchange.APIKey{ID: "k", Hash: HashKey(secret), Subsystem: "VN/GOV/H36/onestop", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(&Edge{Service: p.consumer.Service, Keys: p.consumer.store, Instance: "VN", Log: logger, Now: time.Now})
	defer srv.Close()
	ask := func(path string) int {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/r1/VN/GOV/G01/population/open/"+path, nil)
		r.Header.Set("X-Road-Client", "VN/GOV/H36/onestop")
		r.Header.Set("X-Api-Key", secret)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	for range 20 {
		if got := ask("a/1"); got != http.StatusOK {
			t.Fatalf("answered %d", got)
		}
	}
	for _, n := range []*testNode{p.consumer, p.provider} {
		if err := n.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	if out.Len() > 0 {
		t.Errorf("20 exchanges wrote\n%s", out.String())
	}
	mu.Unlock()
	// The logger is in use: a log that cannot be written is told.
	p.consumer.failing.set(true)
	if got := ask("a/1"); got != http.StatusInternalServerError {
		t.Errorf("without a log: %d", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if out.Len() == 0 {
		t.Error("a failed exchange wrote no line")
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// hanging is an authority that takes a request and does not answer until it is let go.
type hanging struct {
	next     sign.Timestamper
	asked    chan struct{}
	released chan struct{}
}

func (h hanging) Timestamp(ctx context.Context, digest []byte) ([]byte, error) {
	close(h.asked)
	<-h.released
	return h.next.Timestamp(ctx, digest)
}

// L7: exchanges go on while a time-stamp authority keeps the log's checkpoint waiting, and while checkpoints are made.
func TestTrafficGoesOnWhileATimestampHangs(t *testing.T) {
	c := newConfirmedPair(t)
	if _, err := c.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	h := hanging{next: c.notary.Authorities[0].Client, asked: make(chan struct{}), released: make(chan struct{})}
	c.notary.Authorities[0].Client = h
	stamped := make(chan error, 1)
	go func() { stamped <- c.notary.Stamp(t.Context()) }()
	<-h.asked
	before := c.consumer.log.Size()
	rounds := make(chan error, 1)
	go func() { // witnesses and checkpoints meanwhile
		var err error
		for range 20 {
			_, cerr := c.consumer.log.Checkpoint()
			err = errors.Join(err, cerr)
		}
		rounds <- err
	}()
	if failed := crowd(t, c.pair, 16, 5); failed > 0 {
		t.Errorf("%d calls failed while the authority hung", failed)
	}
	select {
	case err := <-stamped:
		t.Errorf("the time-stamp came from an authority that hangs: %v", err)
	default:
	}
	if err := <-rounds; err != nil {
		t.Error(err)
	}
	if got := c.consumer.log.Size(); got != before+160 {
		t.Errorf("the log grew from %d to %d; want 160 more", before, got)
	}
	close(h.released)
	if err := <-stamped; err != nil {
		t.Errorf("after the authority answered: %v", err)
	}
	row, err := (&exchangestore.Notary{DB: c.consumer.store.DB, Now: time.Now}).LatestStamped(t.Context(), c.consumer.log.Origin())
	if err != nil || row.Size != before {
		t.Errorf("stamped %d, %v; want %d, as it was when the authority was asked", row.Size, err, before)
	}
}

// D33: with the memory for bodies used up everybody is refused at once with 429; nothing waits, and nothing stays taken.
func TestMemoryIsRefusedNotQueued(t *testing.T) {
	p := newPair(t)
	p.streams(t, exchange.Offering{})
	const limit = 1 << 20
	budget := exchange.NewBudget(limit)
	secret := "the key of a program"
	if err := p.consumer.store.AddKey(t.Context(), exchange.APIKey{ID: "k", Hash: HashKey(secret), Subsystem: "VN/GOV/H36/onestop", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(&Edge{Service: p.consumer.Service, Keys: p.consumer.store, Instance: "VN", Log: slog.New(slog.DiscardHandler), Budget: budget, Native: true})
	defer srv.Close()
	post := func(body io.Reader) (int, string) {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/r1/VN/GOV/G01/population/files/", body)
		r.Header.Set("X-Road-Client", "VN/GOV/H36/onestop")
		r.Header.Set("X-Api-Key", secret)
		r.ContentLength = 200 << 10
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, resp.Header.Get("Retry-After")
	}
	// Programs that send most of a body and then wait hold the memory; they are let go at the end of the test.
	var wg sync.WaitGroup
	release := make(chan struct{})
	statuses := make(chan int, 64)
	for range 16 {
		wg.Go(func() {
			code, _ := post(io.MultiReader(&pattern{n: 190 << 10}, gate{release}, &pattern{n: 10 << 10}))
			statuses <- code
		})
	}
	refused := 0
	var first []int
	for refused == 0 || len(first) < 4 { // some of the sixteen find no memory, while the others still wait
		code := <-statuses
		first = append(first, code)
		if code == http.StatusTooManyRequests {
			refused++
		} else {
			t.Fatalf("a body that has not arrived was answered %d", code)
		}
	}
	if used := budget.Used(); used > limit || used == 0 {
		t.Errorf("%d bytes are taken of %d", used, limit)
	}
	close(release)
	wg.Wait()
	close(statuses)
	good := 0
	for code := range statuses {
		switch code {
		case http.StatusOK:
			good++
		case http.StatusTooManyRequests:
		default:
			t.Errorf("answered %d", code)
		}
	}
	if good == 0 {
		t.Error("nobody was served")
	}
	if used := budget.Used(); used != 0 {
		t.Errorf("%d bytes are still taken", used)
	}
	if code, _ := post(&pattern{n: 200 << 10}); code != http.StatusOK {
		t.Errorf("afterwards: %d", code)
	}
}

// gate is a reader that ends when it is opened.
type gate struct{ open chan struct{} }

func (g gate) Read([]byte) (int, error) { <-g.open; return 0, io.EOF }

// B19: who sends or reads too slowly is cut off, at the edge and on the link, and the other end is told.
func TestBodiesThatStandStillAreCut(t *testing.T) {
	p := newPair(t)
	f := p.streams(t, exchange.Offering{})
	_, key := p.edgeOf(t)
	const short = 100 * time.Millisecond
	for name, idle := range map[string][2]time.Duration{"upload at the edge": {short, 0}, "upload on the link": {0, short}} {
		t.Run(name, func(t *testing.T) {
			p.provider.link.Idle = idle[1]
			e := &Edge{Service: p.consumer.Service, Keys: p.consumer.store, Instance: "VN", Log: slog.New(slog.DiscardHandler), Idle: idle[0]}
			srv := httptest.NewServer(e)
			defer srv.Close()
			f.mu.Lock()
			f.err = nil
			f.mu.Unlock()
			opened := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			r, _ := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/r1/VN/GOV/G01/population/files/", io.MultiReader(&pattern{n: 1 << 20}, gate{opened}))
			r.Header.Set("X-Road-Client", "VN/GOV/H36/onestop")
			r.Header.Set("X-Api-Key", key)
			answered := make(chan int, 1)
			go func() {
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					answered <- 0
					return
				}
				resp.Body.Close()
				answered <- resp.StatusCode
			}()
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				if _, err := f.last(); err != nil { // the service was told that the body is cut
					break
				}
				if time.Now().After(end) {
					t.Error("the service still waits for the body")
					break
				}
			}
			cancel()
			close(opened)
			if code := <-answered; code != 0 && code < 400 {
				t.Errorf("an upload that stands still was answered with %d", code)
			}
		})
	}
	t.Run("a download that nobody reads", func(t *testing.T) {
		p.provider.link.Idle = short
		f.ended = make(chan error, 1)
		c := p.fileCall(t, "GET", "/"+strconv.Itoa(1<<40))
		c.Stream = true
		ans, err := p.consumer.Call(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer ans.BodyReader.Close()
		select {
		case err := <-f.ended:
			if err == nil {
				t.Error("the service wrote a body that nobody read")
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the service still writes to a caller that does not read")
		}
		if _, err := io.Copy(io.Discard, ans.BodyReader); err == nil {
			t.Error("a download that was cut ended well")
		}
	})
}

// descriptors counts the open files of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	l, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(l)
}

// L1 and all bad days: after every kind of fault descriptors and goroutines are as many as before.
func TestBadDaysLeaveNothing(t *testing.T) {
	p := newPair(t)
	p.streams(t, exchange.Offering{})
	ok := func() {
		t.Helper()
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
	}
	faults := map[string]func(){
		"forged answer": func() {
			p.consumer.carrier.resp = func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
				r.Body = append(r.Body, 'x')
				return r
			}
			_, _ = p.consumer.Call(t.Context(), query(t))
			p.consumer.carrier.resp = nil
		},
		"clock": func() {
			was := p.consumer.ahead.Swap(int64(24 * time.Hour))
			_, _ = p.consumer.Call(t.Context(), query(t))
			p.consumer.ahead.Store(was)
		},
		"log": func() {
			p.provider.failing.set(true)
			_, _ = p.consumer.Call(t.Context(), query(t))
			p.provider.failing.set(false)
		},
		"cancelled": func() {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, _ = p.consumer.Call(ctx, query(t))
		},
		"hostile frame": func() {
			conn := p.open(t, framedProtocol)
			_, _ = conn.Write(bytes.Repeat([]byte{0xff}, 4096))
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		},
		"broken upload": func() {
			c := p.fileCall(t, "POST", "/")
			c.BodyReader, c.Length = io.MultiReader(&pattern{n: 1 << 20}, brokenReader{}), -1
			_, _ = p.consumer.Call(t.Context(), c)
		},
		"abandoned download": func() {
			c := p.fileCall(t, "GET", "/"+strconv.Itoa(1<<40))
			c.Stream = true
			if ans, err := p.consumer.Call(t.Context(), c); err == nil {
				_, _ = io.CopyN(io.Discard, ans.BodyReader, 300_000)
				ans.BodyReader.Close()
			}
		},
		"peer down": func() {
			peer := p.net.peers["VN/GOV/G01/node1"]
			gone := peer
			gone.URL = "https://127.0.0.1:1"
			set := func(x exchange.Peer) { p.net.mu.Lock(); p.net.peers["VN/GOV/G01/node1"] = x; p.net.mu.Unlock() }
			set(gone)
			_, _ = p.consumer.Call(t.Context(), query(t))
			set(peer)
		},
	}
	all := func() {
		for _, f := range faults {
			f()
			// Time passes for both, so that no circuit stays open.
			p.consumer.ahead.Add(int64(2 * time.Minute))
			p.provider.ahead.Add(int64(2 * time.Minute))
			ok()
		}
	}
	all() // opens what stays open
	settled := func(ok func(goroutines, files int) bool) (goroutines, files int) {
		for range 2000 {
			goroutines, files = runtime.NumGoroutine(), descriptors(t)
			if ok(goroutines, files) {
				return goroutines, files
			}
			time.Sleep(10 * time.Millisecond)
		}
		return goroutines, files
	}
	last := -1
	goroutines, files := settled(func(g, f int) bool { same := g+f == last; last = g + f; return same })
	for range 10 {
		all()
	}
	g, f := settled(func(g, f int) bool { return g <= goroutines+4 && f <= files+4 })
	if g > goroutines+4 || f > files+4 {
		t.Errorf("%d goroutines and %d descriptors after the bad days, %d and %d before", g, f, goroutines, files)
	}
}

// B16, B18 on the link, in frames and in HTTP/2: a peer with a good channel and a good signature adds heads that could mean
// two things. The request is refused, or the service sees nothing of them; other exchanges are not disturbed.
func TestSmugglingOverTheLink(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		p := newPair(t)
		carrierOf(t, p.consumer).HTTP2Only = http2
		for name, tt := range map[string]struct {
			change  func(h http.Header)
			refused bool
		}{
			"two clients":             {func(h http.Header) { h[exchange.HeaderClient] = append(h[exchange.HeaderClient], "VN/GOV/H57/onestop") }, true},
			"two purposes":            {func(h http.Header) { h[exchange.HeaderPurpose] = append(h[exchange.HeaderPurpose], "statistics") }, true},
			"two digests":             {func(h http.Header) { h["Content-Digest"] = append(h["Content-Digest"], h["Content-Digest"][0]) }, true},
			"another user":            {func(h http.Header) { h.Set(exchange.HeaderUserID, "VN001099000009") }, true},
			"a line break in a value": {func(h http.Header) { h["X-Note"] = []string{"a\r\nX-Evil: 1"} }, true},
			"a NUL in a value":        {func(h http.Header) { h["X-Note"] = []string{"a\x00"} }, true},
			"a blank in a name":       {func(h http.Header) { h["X-Evil "] = []string{"1"} }, true},
			"a colon in a name":       {func(h http.Header) { h["X-Evil: 1"] = []string{"1"} }, true},
			"a head without measure":  {func(h http.Header) { h["X-Note"] = []string{strings.Repeat("a", 4<<20)} }, true},
			"heads without number": {func(h http.Header) {
				for i := range 50_000 {
					h["X-Note-"+strconv.Itoa(i)] = []string{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
				}
			}, true},
			"a transfer coding":   {func(h http.Header) { h["Transfer-Encoding"] = []string{"chunked"} }, false},
			"a connection's head": {func(h http.Header) { h["Connection"] = []string{"X-Road-Client"} }, false},
			"another length":      {func(h http.Header) { h["Content-Length"] = []string{"1"} }, false},
			"an upgrade":          {func(h http.Header) { h["Upgrade"] = []string{"h2c"} }, false},
		} {
			p.got = nil
			p.consumer.carrier.req = func(r *exchange.WireRequest) { tt.change(r.Header) }
			_, err := p.consumer.Call(t.Context(), query(t))
			p.consumer.carrier.req = nil
			if tt.refused && (err == nil || len(p.got) > 0) {
				t.Errorf("%s (HTTP/2 %v): %v, the service was called %d times", name, http2, err, len(p.got))
			}
			for _, r := range p.got {
				for _, h := range []string{"Transfer-Encoding", "Connection", "Content-Length", "Upgrade", "X-Evil", "X-Evil "} {
					if _, there := r.Header[h]; there {
						t.Errorf("%s (HTTP/2 %v): the service was given %s", name, http2, h)
					}
				}
				if len(r.TransferEncoding) > 0 || r.ContentLength != int64(len(query(t).Body)) {
					t.Errorf("%s (HTTP/2 %v): the service was given length %d, %v", name, http2, r.ContentLength, r.TransferEncoding)
				}
			}
			p.consumer.ahead.Add(int64(2 * time.Minute)) // so that no circuit stays open
			p.provider.ahead.Add(int64(2 * time.Minute))
			if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
				t.Errorf("a good call after %s (HTTP/2 %v): %v", name, http2, err)
			}
		}
	}
}
