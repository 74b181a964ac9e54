package exchangeapi

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/exchange"
)

// opening is the carrier of a test node that opens channels like the real one.
type opening struct{ *tamper }

func (o opening) TestChannel(ctx context.Context, p exchange.Peer) []exchange.Step {
	c, _ := o.next.(*Carrier)
	return c.TestChannel(ctx, p)
}

func names(steps []exchange.Step) (out []string) {
	for _, s := range steps {
		name := s.Name
		if !s.OK {
			name += "!" + s.Key
		}
		out = append(out, name)
	}
	return out
}

// TestProbeNamesTheHop breaks the way to a service at each hop, and reads in the test which it was.
func TestProbeNamesTheHop(t *testing.T) {
	p := newPair(t)
	opt := p.consumer.options
	opt.Carrier = opening{p.consumer.carrier}
	opt.Metrics = nil
	var err error
	if p.consumer.Service, err = exchange.New(opt); err != nil {
		t.Fatal(err)
	}
	id := p.provider.id
	good := p.net.peers[id]
	set := func(change func(*exchange.Peer)) {
		p.net.mu.Lock()
		defer p.net.mu.Unlock()
		peer := good
		change(&peer)
		p.net.peers[id] = peer
	}
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := closed.Addr().String()
	_ = closed.Close()
	const person, open, other = "VN/GOV/G01/population/person", "VN/GOV/G01/population/open", "VN/GOV/G01/population/other"
	channel := []string{"directory", "address", "connect", "tls", "key"}
	for _, c := range []struct {
		name   string
		target string
		peer   func(*exchange.Peer)
		want   []string
	}{
		{"member", "VN/GOV/G01", func(*exchange.Peer) {}, append(slices.Clone(channel), "service", "log")},
		{"service with a rule", open, func(*exchange.Peer) {}, append(slices.Clone(channel), "service", "log", "grant")},
		{"service without a rule", other, func(*exchange.Peer) {}, append(slices.Clone(channel), "service", "log", "grant!exchange.probe.grant_none")},
		{"port of nobody", person, func(q *exchange.Peer) { q.URL = "https://" + gone }, []string{"directory", "address", "connect!exchange.probe.connect_refused"}},
		{"another program's port", person, func(q *exchange.Peer) { q.URL = strings.Replace(web.URL, "http:", "https:", 1) }, []string{"directory", "address", "connect", "tls!exchange.probe.tls_failed"}},
		{"another key", person, func(q *exchange.Peer) { q.TLSKeyID = "other" }, []string{"directory", "address", "connect", "tls", "key!exchange.probe.key_other"}},
		{"name of nobody", person, func(q *exchange.Peer) { q.URL = "https://no-such-host.invalid:1" }, []string{"directory", "address!exchange.probe.address_unknown"}},
		{"no address", person, func(q *exchange.Peer) { q.URL = "https://" }, []string{"directory", "address!exchange.probe.address_wrong"}},
		{"nobody", "VN/GOV/G99", func(*exchange.Peer) {}, []string{"directory!exchange.probe.no_node"}},
	} {
		set(c.peer)
		if got := names(p.consumer.Probe(t.Context(), c.target)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v; want %v", c.name, got, c.want)
		}
	}
}

// TestDiagnostics checks what a node says of itself: key, clock and circuits.
func TestDiagnostics(t *testing.T) {
	p := newPair(t)
	look := func() map[string]exchange.Finding {
		d := &exchange.Diagnostics{Now: time.Now, Checks: []func(context.Context) []exchange.Finding{p.consumer.CheckSelf}}
		out := map[string]exchange.Finding{}
		for _, f := range d.Look(t.Context()).Findings {
			out[f.Name] = f
		}
		return out
	}
	if f := look(); f["signing_key"].Light != exchange.LightGood || f["clock"].Key != "exchange.diag.clock_unknown" || f["circuits"].Light != exchange.LightGood {
		t.Errorf("a fresh node = %+v", f)
	}
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	if f := look()["clock"]; f.Light != exchange.LightGood || f.Key != "exchange.diag.clock_good" {
		t.Errorf("clocks that agree = %+v", f)
	}
	p.provider.ahead.Store(int64(2 * time.Minute))
	_, _ = p.consumer.Call(t.Context(), query(t)) // it is refused, for it seems late there; the refusal is signed too
	if f := look()["clock"]; f.Light != exchange.LightWarn || f.Todo == "" {
		t.Errorf("clocks two minutes apart = %+v", f)
	}
	p.provider.ahead.Store(int64(290 * time.Second))
	_, _ = p.consumer.Call(t.Context(), query(t)) // it is refused, for it seems late there; the refusal is signed too
	if f := look()["clock"]; f.Light != exchange.LightBad {
		t.Errorf("clocks nearly five minutes apart = %+v", f)
	}
	p.net.revoke(p.consumer.keyID)
	if f := look()["signing_key"]; f.Key != "exchange.diag.key_unlisted" || !f.Stops() {
		t.Errorf("a revoked key = %+v", f)
	}
	p.provider.ahead.Store(0)
	p.provider.stop()
	for range 5 {
		_, _ = p.consumer.Call(t.Context(), query(t))
	}
	if f := look()["circuits"]; f.Light != exchange.LightWarn {
		t.Errorf("with the only peer away = %+v", f)
	}
}
