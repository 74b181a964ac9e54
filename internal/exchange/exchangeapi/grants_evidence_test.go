package exchangeapi

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/agreement"
	"truc/internal/exchange/bodylog"
)

// A grant that bounds the time without a time-stamp binds both logs: the consumer sends nothing, the provider does not call
// its service; and both go on as soon as the token is there. A grant without the bound is not touched.
func TestGrantDemandsTimestamps(t *testing.T) {
	late := map[string]*atomic.Int64{}
	p := newPartiesTuned(t, func(id string, o *exchange.Options) {
		n := new(atomic.Int64)
		late[id] = n
		o.Untimestamped = func() time.Duration { return time.Duration(n.Load()) }
	})
	p.agree(t, func(d *agreement.Document) { d.Grants[0].Evidence.TimestampWithin = "2h" })
	for _, tt := range []struct {
		name               string
		consumer, provider time.Duration
		fault              string
	}{
		{"both stamped", 0, 0, ""},
		{"within the span", 2 * time.Hour, 2 * time.Hour, ""},
		{"the consumer's log is late", 2*time.Hour + time.Second, 0, "server.clientproxy.timestamping_failed"},
		{"the provider's log is late", 0, 3 * time.Hour, "server.serverproxy.timestamping_failed"},
		{"stamped again", 0, 0, ""},
	} {
		late[p.consumer.id].Store(int64(tt.consumer))
		late[p.provider.id].Store(int64(tt.provider))
		got, a, b := len(p.got), p.consumer.log.Size(), p.provider.log.Size()
		_, err := p.consumer.Call(t.Context(), query(t))
		switch tt.fault {
		case "":
			if err != nil || len(p.got) != got+1 {
				t.Errorf("%s: %v", tt.name, err)
			}
		default:
			wantFault(t, err, tt.fault, errs.Unavailable)
			if len(p.got) != got {
				t.Errorf("%s: the service was called", tt.name)
			}
			if tt.consumer > 0 && (p.consumer.log.Size() != a || p.provider.log.Size() != b) {
				t.Errorf("%s: the request left the node", tt.name)
			}
			if tt.provider > 0 && (p.consumer.log.Size() != a+2 || p.provider.log.Size() != b+2) {
				t.Errorf("%s: the refusal is not in both logs", tt.name)
			}
		}
	}
	free := newPartiesTuned(t, func(_ string, o *exchange.Options) {
		o.Untimestamped = func() time.Duration { return 1000 * time.Hour }
	})
	free.agree(t, nil)
	if _, err := free.consumer.Call(t.Context(), query(t)); err != nil {
		t.Errorf("a grant without a bound: %v", err)
	}
}

// A grant that demands bodies has both sides keep them whatever their policy says, and a side that keeps none refuses.
func TestGrantDemandsBodies(t *testing.T) {
	p := newParties(t)
	p.agree(t, func(d *agreement.Document) { d.Grants[0].Evidence.Body = "full" })
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.logging_failed", errs.Unavailable) // no place for bodies at all
	logs := map[string]*bodylog.Log{}
	set := func(n *testNode, mode exchange.BodyMode) {
		t.Helper()
		if logs[n.id] == nil {
			l := &bodylog.Log{Dir: t.TempDir(), Seal: bytes.Repeat([]byte{9}, 32), Now: time.Now}
			logs[n.id] = l
			t.Cleanup(func() { _ = l.Close() })
		}
		if err := n.SetBodies(&exchange.BodyPolicy{Log: logs[n.id], Default: mode}); err != nil {
			t.Fatal(err)
		}
	}
	set(p.consumer, exchange.BodyDigest)
	set(p.provider, exchange.BodyOff)
	got := len(p.got)
	_, err = p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.logging_failed", errs.Unavailable)
	if len(p.got) != got {
		t.Error("the service was called although its node keeps no bodies")
	}
	set(p.provider, exchange.BodyDigest)
	ans, err := p.consumer.Call(t.Context(), query(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*testNode{p.consumer, p.provider} {
		b, err := n.Evidence(t.Context(), ans.ExchangeID, exchange.EvidenceOptions{Persons: true, Bodies: true})
		if err != nil {
			t.Fatal(err)
		}
		r, err := exchange.VerifyEvidence(b, exchange.Trust{Key: p.net.Key, LogKey: func(string) (string, error) { return n.log.VerifierKey(), nil }})
		if err != nil || !r.OK || len(r.Entries) != 2 || r.Entries[0].Body != exchange.Good || r.Entries[1].Body != exchange.Good {
			t.Errorf("%s: %+v, %v; want both bodies", n.id, r, err)
		}
	}
}
