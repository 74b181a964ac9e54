package exchangeapi

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
)

// cluster is a consumer with three nodes that host one subsystem.
type cluster struct {
	net       *testNet
	consumer  *testNode
	providers []*testNode
	calls     [3]atomic.Int64
	handle    [3]atomic.Pointer[http.HandlerFunc]
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{net: newTestNet(t)}
	for i, id := range []string{"VN/GOV/G01/node1", "VN/GOV/G01/node2", "VN/GOV/G01/node3"} {
		n := c.net.start(t, id, []string{"VN/GOV/G01/population"}, openDB(t))
		c.providers = append(c.providers, n)
		err := n.Offer("population/open", exchange.Offering{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.calls[i].Add(1)
			if h := c.handle[i].Load(); h != nil {
				(*h)(w, r)
				return
			}
			_, _ = w.Write([]byte("ok"))
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := n.SetRules([]exchange.Rule{{Consumer: "VN/GOV/H36/onestop", Service: "population/open"}}); err != nil {
			t.Fatal(err)
		}
	}
	c.consumer = c.net.start(t, "VN/GOV/H36/node1", []string{"VN/GOV/H36/onestop"}, openDB(t))
	return c
}

func (c *cluster) call(t *testing.T, edit func(*exchange.Call)) (*exchange.Answer, error) {
	q := query(t)
	q.To, q.Method, q.Path, q.Body = service(t, "VN/GOV/G01/population/open"), "GET", "/a", nil
	if edit != nil {
		edit(&q)
	}
	return c.consumer.Call(t.Context(), q)
}

// end stops a node and waits until the consumer has noticed that its connection is gone: before that, nobody can tell
// whether a request was read.
func (c *cluster) end(t *testing.T, i int) {
	t.Helper()
	n := c.providers[i]
	n.stop()
	carrier, ok := c.consumer.carrier.next.(*Carrier)
	if !ok {
		t.Fatalf("the consumer carries with a %T", c.consumer.carrier.next)
	}
	l := carrier.peer(c.net.peers[n.id])
	for {
		if f, _ := l.current(); f == nil {
			return
		}
		runtime.Gosched()
	}
}

// X29: work is shared, and a node that dies is noticed by nobody who reads.
func TestSeveralNodes(t *testing.T) {
	c := newCluster(t)
	for range 30 {
		if _, err := c.call(t, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range c.calls {
		if c.calls[i].Load() == 0 {
			t.Errorf("node %d got no call of 30", i+1)
		}
	}
	c.end(t, 1)
	for range 30 {
		if _, err := c.call(t, nil); err != nil {
			t.Fatalf("with one node dead: %v", err)
		}
	}
	states := map[string]string{}
	for _, k := range c.consumer.Circuits() {
		states[k.Name] = k.State
	}
	if states["VN/GOV/G01/node1"] != exchange.CircuitClosed || states["VN/GOV/G01/node3"] != exchange.CircuitClosed {
		t.Errorf("circuits = %v", states)
	}
	// A failed attempt is an exchange of its own in log and index: it must be told apart from the one that succeeded.
	failed, ids := 0, map[string]bool{}
	for _, e := range c.consumer.entries(t) {
		if e.Direction == "request" {
			if ids[e.RequestID] {
				t.Errorf("request id %s was used twice", e.RequestID)
			}
			ids[e.RequestID] = true
		}
		if e.Outcome == "server.clientproxy.network_error" {
			failed++
		}
	}
	if failed > 6 { // none at all is right too: the node may have been slower than the others before it died
		t.Errorf("%d attempts reached the dead node; the breaker opens after 5", failed)
	}
}

// What may have been executed is never repeated; what certainly was not, is.
func TestRetryOnlyWhatIsSafe(t *testing.T) {
	c := newCluster(t)
	lost := errors.New("the connection broke after the request was sent")
	next := c.consumer.carrier.next
	var asked []string
	c.consumer.carrier.next = carrierFunc(func(ctx context.Context, p exchange.Peer, req *exchange.WireRequest) (*exchange.WireResponse, error) {
		asked = append(asked, p.ServerID)
		if len(asked) == 1 {
			return nil, lost
		}
		return next.Carry(ctx, p, req)
	})
	for _, tt := range []struct {
		method string
		asked  int
	}{{"POST", 1}, {"PATCH", 1}, {"GET", 2}, {"PUT", 2}, {"DELETE", 2}} {
		asked = nil
		_, err := c.call(t, func(q *exchange.Call) { q.Method = tt.method })
		if len(asked) != tt.asked || (err == nil) != (tt.asked == 2) {
			t.Errorf("%s: asked %v, %v", tt.method, asked, err)
		}
	}
	// The same POST, to a node whose port is closed: it was not sent, so another node gets it.
	c.consumer.carrier.next = next
	c.end(t, 0)
	c.end(t, 1)
	for range 3 {
		if _, err := c.call(t, func(q *exchange.Call) { q.Method = "POST"; q.Body = []byte("x") }); err != nil {
			t.Errorf("POST with two of three nodes dead: %v", err)
		}
	}
}

type carrierFunc func(context.Context, exchange.Peer, *exchange.WireRequest) (*exchange.WireResponse, error)

func (f carrierFunc) Carry(ctx context.Context, p exchange.Peer, req *exchange.WireRequest) (*exchange.WireResponse, error) {
	return f(ctx, p, req)
}

// R1-HDR: X-Road-Security-Server pins the node, dead or not.
func TestPinnedNode(t *testing.T) {
	c := newCluster(t)
	for range 5 {
		if _, err := c.call(t, func(q *exchange.Call) { q.Server = "VN/GOV/G01/node3" }); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.calls[2].Load(); n != 5 {
		t.Errorf("the pinned node got %d of 5", n)
	}
	c.providers[2].stop()
	_, err := c.call(t, func(q *exchange.Call) { q.Server = "VN/GOV/G01/node3" })
	wantFault(t, err, "server.clientproxy.network_error", errs.Unavailable)
	_, err = c.call(t, func(q *exchange.Call) { q.Server = "VN/GOV/G01/node9" })
	wantFault(t, err, "client.invalid_security_server", errs.Invalid)
}

// A node in maintenance is asked only when there is no other.
func TestMaintenanceIsSkipped(t *testing.T) {
	c := newCluster(t)
	c.net.mu.Lock()
	p := c.net.peers["VN/GOV/G01/node1"]
	p.Maintenance = "Bảo trì"
	c.net.peers["VN/GOV/G01/node1"] = p
	c.net.mu.Unlock()
	for range 12 {
		if _, err := c.call(t, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.calls[0].Load(); n != 0 {
		t.Errorf("the node in maintenance got %d calls", n)
	}
	c.providers[1].stop()
	c.providers[2].stop()
	if _, err := c.call(t, nil); err != nil {
		t.Errorf("only the node in maintenance is left: %v", err)
	}
}

// A slow node gets less work than its fellows.
func TestSlowNodeGetsLess(t *testing.T) {
	c := newCluster(t)
	release := make(chan struct{})
	slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
	c.handle[0].Store(&slow)
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			if _, err := c.call(t, nil); err != nil {
				t.Error(err)
			}
		})
	}
	deadline := time.After(20 * time.Second)
	for c.calls[1].Load()+c.calls[2].Load() < 12 {
		select {
		case <-deadline:
			t.Fatal("the fast nodes do not get the work")
		case <-time.After(5 * time.Millisecond):
		}
	}
	close(release)
	wg.Wait()
	if n := c.calls[0].Load(); n > 12 {
		t.Errorf("the slow node got %d of 24", n)
	}
}

// D32: five failures shut a peer; nothing is sent to it, and the caller learns when to come back.
func TestCircuitOfPeer(t *testing.T) {
	p := newPair(t)
	p.provider.stop()
	for range 5 {
		_, err := p.consumer.Call(t.Context(), query(t))
		wantFault(t, err, "server.clientproxy.network_error", errs.Unavailable)
	}
	size := p.consumer.log.Size()
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.circuit_open", errs.Unavailable)
	if f := faultOf(t, err); f.RetryAfter <= 0 || f.RetryAfter > 5*time.Second {
		t.Errorf("retry after %v", f.RetryAfter)
	}
	if p.consumer.log.Size() != size {
		t.Error("a call that was not sent is in the log")
	}
	k := p.consumer.Circuits()
	if len(k) != 1 || k[0].Kind != "peer" || k[0].Name != p.provider.id || k[0].State != exchange.CircuitOpen {
		t.Errorf("circuits = %+v", k)
	}
}

// A service that fails is shut by its own node; the refusal is signed, and other services go on.
func TestCircuitOfService(t *testing.T) {
	p := newPair(t)
	broken := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("out of order") })
	if err := p.provider.Offer("population/broken", exchange.Offering{}, broken); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.SetRules(append(p.provider.Rules(), exchange.Rule{Consumer: "VN/GOV/H36/onestop", Service: "population/broken"})); err != nil {
		t.Fatal(err)
	}
	c := query(t)
	c.To = service(t, "VN/GOV/G01/population/broken")
	for range 5 {
		_, err := p.consumer.Call(t.Context(), c)
		wantFault(t, err, "server.serverproxy.service_failed.internal_error", errs.Unavailable)
	}
	_, err := p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.serverproxy.circuit_open", errs.Unavailable)
	if f := faultOf(t, err); f.RetryAfter <= 0 || f.RetryAfter > 5*time.Second {
		t.Errorf("retry after %v", f.RetryAfter)
	}
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Errorf("another service: %v", err)
	}
	if !slices.ContainsFunc(p.provider.Circuits(), func(k exchange.Circuit) bool {
		return k.Kind == "service" && k.Name == "VN/GOV/G01/population/broken" && k.State == exchange.CircuitOpen
	}) {
		t.Errorf("circuits = %+v", p.provider.Circuits())
	}
}

// D31: over the limit the answer is a signed quota_exceeded that says when to come back, and both sides log it.
func TestQuotaIsRefused(t *testing.T) {
	p := newPair(t)
	if err := p.provider.SetLimits([]exchange.LimitRule{{Consumer: "VN/GOV/H36/onestop", Service: "population/person", Rate: "2/h", Burst: 2}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.quota_exceeded", errs.Limited)
	if f := faultOf(t, err); f.RetryAfter < time.Minute || f.RetryAfter > 31*time.Minute {
		t.Errorf("retry after %v", f.RetryAfter)
	}
	e := p.consumer.entries(t)
	if last := e[len(e)-1]; last.Outcome != "server.serverproxy.quota_exceeded" || last.Signature == "" {
		t.Errorf("last entry = %+v", last)
	}
	if len(p.got) != 2 {
		t.Errorf("the service was called %d times", len(p.got))
	}
	u := p.provider.LimitUsages()
	if len(u) != 1 || u[0].Today != 2 || u[0].Refused != 1 || u[0].Running != 0 {
		t.Errorf("usage = %+v", u)
	}
}

// The daily count is taken from the index at the next start.
func TestDailyCountSurvivesRestart(t *testing.T) {
	p := newPair(t)
	if err := p.provider.SetLimits([]exchange.LimitRule{{Daily: 3}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.quota_exceeded", errs.Limited)
	again := p.provider.reopen(t, p.net)
	if err := again.Reindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	if u := again.LimitUsages(); len(u) != 1 || u[0].Today != 3 {
		t.Errorf("usage after the restart = %+v, want 3", u)
	}
}

// reopen is the node's service after its process ended without writing its index.
func (n *testNode) reopen(t *testing.T, net *testNet) *exchange.Service {
	t.Helper()
	opt := n.options
	opt.Directory = net
	s, err := exchange.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
