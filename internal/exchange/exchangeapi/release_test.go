package exchangeapi

import (
	"errors"
	"testing"

	"truc/internal/errs"
	"truc/internal/exchange"
)

// X39: a node whose release lacks what the network demands is refused with words that say so, wherever it is noticed.
func TestReleaseBelowThePolicy(t *testing.T) {
	p := newPair(t)
	lack := func(server string, lacks ...string) {
		p.net.mu.Lock()
		defer p.net.mu.Unlock()
		peer := p.net.peers[server]
		peer.Lacks = lacks
		p.net.peers[server] = peer
	}
	check := func(what, want string, kind errs.Kind, key string) {
		t.Helper()
		_, err := p.consumer.Call(t.Context(), query(t))
		wantFault(t, err, want, kind)
		f, ok := errors.AsType[*exchange.Fault](err)
		if !ok || f.Notice != "frames, streams" {
			t.Errorf("%s: the fault says %+v", what, f)
		}
		if got, args := errs.KeyOf(err); got != key || len(args) != 2 || args[1] != "frames, streams" {
			t.Errorf("%s: %s %v", what, got, args)
		}
	}
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	got := len(p.got)
	lack("VN/GOV/G01/node1", "frames", "streams")
	check("the provider's node", "server.clientproxy.server_proxy_version_not_supported", errs.Unavailable, "exchange.release.provider")
	lack("VN/GOV/G01/node1")
	lack("VN/GOV/H36/node1", "frames", "streams")
	check("the consumer's node, at the provider", "server.serverproxy.client_proxy_version_not_supported", errs.Denied, "exchange.release.consumer")
	lack("VN/GOV/H36/node1")
	p.net.mu.Lock()
	p.net.lacks = []string{"frames", "streams"}
	p.net.mu.Unlock()
	check("the consumer's node, by itself", "server.clientproxy.client_proxy_version_not_supported", errs.Denied, "exchange.release.consumer")
	p.net.mu.Lock()
	p.net.lacks = nil
	p.net.mu.Unlock()
	if len(p.got) != got {
		t.Error("the service was called")
	}
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Errorf("after the update: %v", err)
	}
	// Another node of the member that is up to date is asked instead.
	second := p.net.start(t, "VN/GOV/G01/node2", []string{"VN/GOV/G01/population"}, openDB(t))
	p.provider = second
	p.offer(t)
	lack("VN/GOV/G01/node1", "streams")
	for range 4 {
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Errorf("with a second node: %v", err)
		}
	}
	for _, c := range exchange.Capabilities() {
		if len(exchange.Lacking([]string{c}, exchange.Capabilities())) > 0 || len(exchange.Lacking([]string{c}, nil)) != 1 {
			t.Errorf("capability %s", c)
		}
	}
}
