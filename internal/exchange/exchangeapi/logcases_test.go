package exchangeapi

import (
	"net/http"
	"testing"

	"truc/internal/errs"
	"truc/internal/exchange"
)

// last returns the newest entries of a node's log, those of one role.
func (n *testNode) last(t *testing.T, role string) (out []exchange.Entry) {
	t.Helper()
	for _, e := range n.entries(t) {
		if e.Role == role {
			out = append(out, e)
		}
	}
	return out
}

// TestLogIn holds the provider's log to LOG-IN-01..06.
func TestLogIn(t *testing.T) {
	p, _ := newDelegated(t)
	var before []exchange.Entry // of the provider's log, when the service is called
	called := 0
	if err := p.provider.Put("population/person", exchange.Offering{Personal: true}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		called++
		before = p.provider.last(t, exchange.RoleProvider)
		_, _ = w.Write([]byte("{}"))
	})); err != nil {
		t.Fatal(err)
	}
	c := query(t)
	c.Party, c.ID = "X14", "VN-in"
	if _, err := p.consumer.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if called != 1 || len(before) == 0 {
		t.Fatalf("the service was called %d times with %d entries in the log", called, len(before))
	}
	entry := before[len(before)-1]
	t.Run("LOG-IN-01 entry before forwarding", func(t *testing.T) {
		if entry.Direction != "request" || entry.ExchangeID != "VN-in" || entry.Signature == "" || entry.Base == "" {
			t.Errorf("when the service was called the log ended with %+v", entry)
		}
	})
	t.Run("LOG-IN-02 same exchange id", func(t *testing.T) {
		sent := p.consumer.last(t, exchange.RoleConsumer)
		if s := sent[len(sent)-1]; s.ExchangeID != entry.ExchangeID || s.RequestID != entry.RequestID {
			t.Errorf("the consumer logged %s %s, the provider %s %s", s.ExchangeID, s.RequestID, entry.ExchangeID, entry.RequestID)
		}
	})
	t.Run("LOG-IN-03 missing id refused", func(t *testing.T) {
		for _, missing := range []string{exchange.HeaderID, exchange.HeaderRequestID} {
			size := p.provider.log.Size()
			resp := p.provider.Receive(t.Context(), p.wire(t, entry.Grant, func(r *exchange.WireRequest) { r.Header.Del(missing) }, p.ask.key))
			if got := resp.Header.Get(exchange.HeaderError); got != "server.serverproxy.missing_header" || called != 1 || p.provider.log.Size() != size {
				t.Errorf("without %s: %q, %d calls", missing, got, called)
			}
		}
	})
	t.Run("LOG-IN-04 delegator in source", func(t *testing.T) {
		if entry.Delegator != "VN/GOV/X14" || entry.Client != "VN/GOV/H36/onestop" {
			t.Errorf("the source is %s on behalf of %q", entry.Client, entry.Delegator)
		}
	})
	t.Run("LOG-IN-05 delegator in destination", func(t *testing.T) {
		if entry.ServiceDelegator != "VN/GOV/G05" || entry.Service != person {
			t.Errorf("the destination is %s for %q", entry.Service, entry.ServiceDelegator)
		}
	})
	t.Run("LOG-IN-06 log not writable", func(t *testing.T) {
		p.provider.failing.set(true)
		defer p.provider.failing.set(false)
		_, err := p.consumer.Call(t.Context(), c)
		wantFault(t, err, "server.serverproxy.logging_failed", errs.Unavailable)
		if called != 1 {
			t.Error("the service was called although the request could not be logged")
		}
	})
}

// TestLogOut holds the consumer's log to LOG-OUT-01..06.
func TestLogOut(t *testing.T) {
	p, _ := newDelegated(t)
	var before []exchange.Entry // of the consumer's log, when the request leaves the node
	sent := 0
	p.consumer.carrier.req = func(*exchange.WireRequest) {
		sent++
		before = p.consumer.last(t, exchange.RoleConsumer)
	}
	c := query(t)
	c.Party, c.ID = "X14", "VN-out"
	ans, err := p.consumer.Call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if sent != 1 || len(before) == 0 {
		t.Fatalf("%d requests left the node with %d entries in the log", sent, len(before))
	}
	entry := before[len(before)-1]
	t.Run("LOG-OUT-01 entry before forwarding", func(t *testing.T) {
		if entry.Direction != "request" || entry.ExchangeID != "VN-out" || entry.Signature == "" || entry.Base == "" {
			t.Errorf("when the request left, the log ended with %+v", entry)
		}
	})
	t.Run("LOG-OUT-02 same exchange id", func(t *testing.T) {
		got := p.provider.last(t, exchange.RoleProvider)
		if g := got[len(got)-1]; g.ExchangeID != entry.ExchangeID || g.RequestID != entry.RequestID || ans.ExchangeID != entry.ExchangeID || ans.RequestID != entry.RequestID {
			t.Errorf("logged %s %s; the provider logged %s %s", entry.ExchangeID, entry.RequestID, g.ExchangeID, g.RequestID)
		}
	})
	t.Run("LOG-OUT-03 missing id refused", func(t *testing.T) {
		defer func() { p.consumer.carrier.resp = nil }()
		for _, missing := range []string{exchange.HeaderID, exchange.HeaderRequestID} {
			p.consumer.carrier.resp = func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
				r.Header.Del(missing)
				return r
			}
			if ans, err := p.consumer.Call(t.Context(), c); err == nil {
				t.Errorf("an answer without %s was given out: %+v", missing, ans)
			}
			list := p.consumer.last(t, exchange.RoleConsumer)
			if e := list[len(list)-1]; e.Direction != "response" || e.Outcome == "ok" {
				t.Errorf("without %s the log ends with %+v", missing, e)
			}
		}
	})
	t.Run("LOG-OUT-04 delegator in source", func(t *testing.T) {
		if entry.Delegator != "VN/GOV/X14" || entry.Client != "VN/GOV/H36/onestop" {
			t.Errorf("the source is %s on behalf of %q", entry.Client, entry.Delegator)
		}
	})
	t.Run("LOG-OUT-05 delegator in destination", func(t *testing.T) {
		if entry.ServiceDelegator != "VN/GOV/G05" || entry.Service != person {
			t.Errorf("the destination is %s for %q", entry.Service, entry.ServiceDelegator)
		}
	})
	t.Run("LOG-OUT-06 log not writable", func(t *testing.T) {
		now := sent
		p.consumer.failing.set(true)
		defer p.consumer.failing.set(false)
		_, err := p.consumer.Call(t.Context(), c)
		wantFault(t, err, "server.clientproxy.logging_failed", errs.Unavailable)
		if sent != now {
			t.Error("the request left the node although it could not be logged")
		}
		// Nor is an answer given out that cannot be logged.
		p.consumer.failing.set(false)
		p.consumer.carrier.resp = func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
			p.consumer.failing.set(true)
			return r
		}
		defer func() { p.consumer.carrier.resp = nil }()
		ans, err := p.consumer.Call(t.Context(), c)
		if ans != nil {
			t.Errorf("an answer that could not be logged was given out: %+v", ans)
		}
		wantFault(t, err, "server.clientproxy.logging_failed", errs.Unavailable)
	})
}
