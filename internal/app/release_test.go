package app

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/exchange"
	"truc/internal/orgcode"
)

// TestReleaseInDiagnostics takes a node back to a release that tells nothing of itself, while the policy demands something:
// it says so itself, its partner names it, and nothing passes until it is updated.
func TestReleaseInDiagnostics(t *testing.T) {
	p := newPair(t)
	ctx := t.Context()
	o := exchange.Offering{Name: map[string]string{"vi": "Tiếng vọng"}, EndsAt: p.center.now().Add(time.Hour)}
	if err := p.center.exchange.Offer("portal/echo", o, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })); err != nil {
		t.Fatal(err)
	}
	if err := p.center.access.SetPublished([]exchange.Rule{{Consumer: "VN/GOV/H36/office", Service: "portal/echo"}}); err != nil {
		t.Fatal(err)
	}
	publish := func(n *Node, capabilities []string) {
		t.Helper()
		p.offset.Add(int64(time.Second)) // the time of a publication grows
		profile := n.profile()
		profile.Capabilities = capabilities
		if err := n.follower.Publish(t.Context(), n.cfg.ServerID(), n.currentKeys(), profile); err != nil {
			t.Fatal(err)
		}
		p.refresh()
	}
	call := func() string {
		t.Helper()
		_, err := p.agency.exchange.Call(ctx, exchange.Call{
			From: p.agency.cfg.Subsystem("office"), To: orgcode.Service{Instance: "VN", Class: "GOV", Member: "G22", Subsystem: "portal", Code: "echo"},
		})
		if f, ok := errors.AsType[*exchange.Fault](err); ok {
			return f.Type
		}
		if err != nil {
			t.Fatal(err)
		}
		return ""
	}
	finds := func(n *Node, light, key string) {
		t.Helper()
		if f := n.checkRelease(ctx); len(f) != 1 || f[0].Light != light || f[0].Key != key {
			t.Errorf("%s finds %+v; want %s", n.cfg.ServerID(), f, key)
		}
	}
	publish(p.center, exchange.Capabilities())
	publish(p.agency, exchange.Capabilities())
	if err := p.center.center.SetPolicy(ctx, "lan", directory.Policy{Requires: []string{"streams"}}); err != nil {
		t.Fatal(err)
	}
	p.refresh()
	finds(p.agency, exchange.LightGood, "exchange.diag.release_good")
	finds(p.center, exchange.LightGood, "exchange.diag.release_good")
	if got := call(); got != "" {
		t.Errorf("nodes of this release: %s", got)
	}
	publish(p.agency, []string{"frames"})
	finds(p.agency, exchange.LightBad, "exchange.diag.release_old")
	finds(p.center, exchange.LightWarn, "exchange.diag.peers_old")
	if got := call(); got != "server.clientproxy.client_proxy_version_not_supported" {
		t.Errorf("a node that lacks what is demanded: %q", got)
	}
	publish(p.agency, exchange.Capabilities())
	finds(p.agency, exchange.LightGood, "exchange.diag.release_good")
	if got := call(); got != "" {
		t.Errorf("after its update: %s", got)
	}
	// DISC-04: the directory at hand says when a service has ended, whoever is away.
	p.offset.Add(int64(time.Hour))
	if got := call(); got != "server.clientproxy.unknown_service" {
		t.Errorf("a service that has ended: %q", got)
	}
}
