package exchangeapi

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/pki"
)

// disk is a file system with a free space that the test sets.
type disk struct{ free atomic.Uint64 }

func (d *disk) look() (free, total uint64, ok bool) { return d.free.Load(), 1000 << 20, true }

// Below the reserve neither side begins an exchange, and nothing reaches the service; above it everything goes on.
func TestNoRoomForEvidence(t *testing.T) {
	disks, spaces, logs := map[string]*disk{}, map[string]*exchange.Space{}, map[string]*bytes.Buffer{}
	p := newPairTuned(t, pki.Ed25519, func(id string, o *exchange.Options) {
		disks[id], logs[id] = new(disk), new(bytes.Buffer)
		disks[id].free.Store(900 << 20)
		spaces[id] = &exchange.Space{Look: disks[id].look, Reserve: 40 << 20, Logger: slog.New(slog.NewTextHandler(logs[id], nil))}
		o.Space = spaces[id]
	})
	measure := func(id string, mib uint64) exchange.Finding {
		t.Helper()
		disks[id].free.Store(mib << 20)
		if err := spaces[id].Measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		return spaces[id].Check(t.Context())[0]
	}
	call := func() error { _, err := p.consumer.Call(t.Context(), query(t)); return err }
	for _, tt := range []struct {
		mib   uint64
		light string
		key   string
		fault map[string]string // by the node that is full
	}{
		{900, exchange.LightGood, "exchange.diag.space_good", nil},
		{190, exchange.LightWarn, "exchange.diag.space_low", nil},
		{90, exchange.LightWarn, "exchange.diag.space_low", nil},
		{45, exchange.LightBad, "exchange.diag.space_low", nil},
		{39, exchange.LightBad, "exchange.diag.space_none", map[string]string{p.consumer.id: "server.clientproxy.logging_failed", p.provider.id: "server.serverproxy.logging_failed"}},
		{500, exchange.LightGood, "exchange.diag.space_good", nil},
	} {
		for _, id := range []string{p.consumer.id, p.provider.id} {
			if f := measure(id, tt.mib); f.Light != tt.light || f.Key != tt.key || f.Stops() != (tt.fault != nil) {
				t.Errorf("%d MiB free: %+v; want %s %s", tt.mib, f, tt.light, tt.key)
			}
			got, sizes := len(p.got), [2]int64{p.consumer.log.Size(), p.provider.log.Size()}
			err := call()
			if tt.fault == nil {
				if err != nil || len(p.got) != got+1 {
					t.Errorf("%d MiB free at %s: %v", tt.mib, id, err)
				}
				continue
			}
			wantFault(t, err, tt.fault[id], errs.Unavailable)
			if len(p.got) != got || p.provider.log.Size() != sizes[1] || id == p.consumer.id && p.consumer.log.Size() != sizes[0] {
				t.Errorf("%d MiB free at %s: the exchange went on", tt.mib, id)
			}
			measure(id, 900)
		}
	}
	for id, b := range logs {
		if n := strings.Count(b.String(), "level=WARN"); n != 3 {
			t.Errorf("%s warned %d times; want once at each of 20, 10 and 5 %%\n%s", id, n, b)
		}
		if n := strings.Count(b.String(), "level=ERROR"); n != 1 {
			t.Errorf("%s said %d times that it is full\n%s", id, n, b)
		}
	}
	unknown := &exchange.Space{Look: func() (uint64, uint64, bool) { return 0, 0, false }, Reserve: 1, Logger: slog.New(slog.DiscardHandler)}
	if err := unknown.Measure(context.Background()); err != nil || unknown.State().Full || unknown.Check(t.Context())[0].Key != "exchange.diag.space_unknown" {
		t.Errorf("a system that does not tell: %+v, %v", unknown.State(), err)
	}
}

// With the hash turned off at one of the nodes, callers get none, and a wrong one of a peer is not passed on either.
func TestRequestHashOff(t *testing.T) {
	for _, off := range []string{"", "VN/GOV/G01/node1", "VN/GOV/H36/node1"} {
		p := newPairTuned(t, pki.Ed25519, func(id string, o *exchange.Options) { o.NoRequestHash = id == off })
		for _, c := range []exchange.Call{query(t), largeQuery(t)} {
			a, err := p.consumer.Call(t.Context(), c)
			if err != nil {
				t.Fatalf("off at %q: %v", off, err)
			}
			if (a.Hash == "") != (off != "") {
				t.Errorf("off at %q: hash %q", off, a.Hash)
			}
			if a.Header.Get("X-Road-Request-Hash") != "" {
				t.Error("the header is among those of the service")
			}
		}
	}
}

// largeQuery is a query whose body streams.
func largeQuery(t *testing.T) exchange.Call {
	t.Helper()
	c := query(t)
	c.Body = bytes.Repeat([]byte(" "), exchange.StreamThreshold+1)
	c.Header = http.Header{"Content-Type": {"application/json"}}
	return c
}
