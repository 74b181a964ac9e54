package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/cmd/truc/internal/demo"
	"truc/internal/exchange"
	"truc/internal/storage"
)

// TestKillUnderLoad kills the consumer's and the provider's node while programs call through the edge, and then holds
// the two logs against each other and against what the programs were told (spec §7.5).
func TestKillUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network")
	}
	var out safeBuffer
	n, err := startNetwork(demo.Options{Dir: t.TempDir(), BasePort: portsLoad}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	defer n.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	l, err := newLoad(n)
	if err != nil {
		t.Fatal(err)
	}
	stop := l.start(ctx, 8)
	for _, victim := range []string{"H36", "G01", "H36", "G01"} {
		if err := l.await(ctx, 40); err != nil {
			t.Fatalf("before %s dies: %v", victim, err)
		}
		if err := n.Kill(victim); err != nil {
			t.Fatal(err)
		}
		if err := n.Await(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.await(ctx, 40); err != nil { // it goes on as if nothing had happened
		t.Fatalf("after the last death: %v", err)
	}
	stop()
	if l.failed == 0 {
		t.Error("no call met a dead node: the load was not there when they died")
	}
	if err := n.Settled(ctx); err != nil {
		t.Fatal(err)
	}
	n.Stop()
	checkLogs(t, n)
	t.Logf("%d exchanges acknowledged, %d calls failed", len(l.ids), l.failed)
	for node, role := range map[string]string{"H36": exchange.RoleConsumer, "G01": exchange.RoleProvider} {
		db, err := storage.Open(t.Context(), n.DB(node), storage.Options{Readers: 1})
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		for _, m := range exchangeIndex(t, db) {
			if m.Role == role && m.Outcome == "ok" && m.RequestIndex >= 0 && m.ResponseIndex >= 0 {
				known[m.ExchangeID] = true
			}
		}
		_ = db.Close()
		for id := range l.ids {
			if !known[id] {
				t.Errorf("%s was acknowledged to a program and is not in the log of %s", id, node)
			}
		}
	}
}

// load is programs of a province that ask the population register.
type load struct {
	url, key, body string

	mu     sync.Mutex // guards the rest
	ids    map[string]bool
	failed int
	last   string // the last failure
}

func newLoad(n *demo.Network) (*load, error) {
	d, err := n.Describe()
	if err != nil {
		return nil, err
	}
	l := &load{ids: map[string]bool{}}
	for _, k := range d.APIKeys {
		if k.Client == "VN/GOV/H36/onestop" {
			l.url, l.key = k.Node+"/r1/VN/GOV/G01/population/person/query", k.Key
		}
	}
	c := d.Accounts.Citizens[0]
	l.body = fmt.Sprintf(`{"type":"ByPersonalId","personalId":%q,"fullName":%q,"fields":["fullName"]}`, c.PersonalID, c.Name)
	return l, nil
}

// start makes clients call one after another until the returned function is called.
func (l *load) start(ctx context.Context, clients int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				id := fmt.Sprintf("load-%d-%d", i, k)
				err := l.call(id) //nolint:contextcheck // a call that was begun is ended, so that its outcome is known
				l.mu.Lock()
				if err == nil {
					l.ids[id] = true
				} else {
					l.failed++
					l.last = err.Error()
				}
				l.mu.Unlock()
				if err != nil {
					time.Sleep(20 * time.Millisecond) // nobody serves now
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// call returns nil when the program has the whole answer.
func (l *load) call(id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, strings.NewReader(l.body))
	if err != nil {
		return err
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "X-Road-Client": "VN/GOV/H36/onestop", "X-Api-Key": l.key, "X-Road-Id": id,
		"Truc-Purpose": "verify-dossier", "X-Road-Issue": "H36.14-261122-0001", "X-Road-UserId": "VN001099000001",
	} {
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Road-Id") != id {
		return fmt.Errorf("%d %s: %s", resp.StatusCode, resp.Header.Get("X-Road-Error"), b)
	}
	return nil
}

// await waits for so many more acknowledged exchanges.
func (l *load) await(ctx context.Context, more int) error {
	count := func() (int, string) { l.mu.Lock(); defer l.mu.Unlock(); return len(l.ids), l.last }
	first, _ := count()
	for {
		now, last := count()
		if now >= first+more {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d: %s", now-first, more, last)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
