package exchangestore

import (
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// TestKeyMemory checks that a key that was read before it was revoked is not remembered after.
func TestKeyMemory(t *testing.T) {
	var m keyMemory
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	_, era, _ := m.find("h", now)
	m.forget()
	m.keep(exchange.APIKey{Hash: "h"}, era, now)
	if _, _, ok := m.find("h", now); ok {
		t.Error("a key of before the change is remembered")
	}
	_, era, _ = m.find("h", now)
	m.keep(exchange.APIKey{Hash: "h"}, era, now)
	if _, _, ok := m.find("h", now.Add(keyMemorySpan)); !ok {
		t.Error("a key is forgotten at once")
	}
	if _, _, ok := m.find("h", now.Add(time.Second)); ok {
		t.Error("a key that another process may have revoked is remembered for a second")
	}
}

func TestStore(t *testing.T) {
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Module(t, "exchange", sub, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		now := time.Date(2026, 11, 21, 9, 0, 0, 123000, time.UTC)
		s := &Store{DB: db, Now: func() time.Time { return now }}
		a := exchange.Message{
			Role: exchange.RoleProvider, RequestID: "r1", ExchangeID: "x", Client: "VN/GOV/H36/onestop", Service: "VN/GOV/G01/population/person", Method: "POST",
			Path: "/query", Outcome: "ok", At: now, RequestIndex: 4, ResponseIndex: -1, RequestSize: 9, Activity: "prefill", Dossier: "d",
		}
		b := a
		b.RequestID, b.RequestIndex, b.Outcome = "r2", 6, "server.serverproxy.access_denied"
		if err := s.Record(ctx, []exchange.Message{a, b}); err != nil {
			t.Fatal(err)
		}
		// The same exchange again, complete now; and once more from an old half, which must not empty it.
		done := a
		done.ResponseIndex, done.Status, done.Duration, done.ResponseSize = 7, 200, 5*time.Millisecond, 3
		if err := s.Restore(ctx, []exchange.Message{done, a}); err != nil {
			t.Fatal(err)
		}
		got, err := s.ByExchange(ctx, "x")
		if err != nil || len(got) != 2 {
			t.Fatalf("ByExchange = %+v, %v", got, err)
		}
		done.Seq = got[0].Seq
		if d := cmp.Diff(done, got[0]); d != "" {
			t.Errorf("row (-want +got):\n%s", d)
		}
		calls, err := s.CallsSince(ctx, now)
		if err != nil || len(calls) != 1 || calls[0] != (exchange.Calls{Client: a.Client, Service: a.Service, N: 1}) {
			t.Errorf("CallsSince = %+v, %v; the refused one does not count", calls, err)
		}
		if calls, err := s.CallsSince(ctx, now.Add(time.Second)); err != nil || len(calls) != 0 {
			t.Errorf("CallsSince later = %+v, %v", calls, err)
		}
		if n, err := s.Indexed(ctx); err != nil || n != 8 {
			t.Errorf("Indexed = %d, %v", n, err)
		}
		faults, err := s.Recent(ctx, exchange.Filter{Faults: true, Role: exchange.RoleProvider, Service: a.Service, Client: a.Client})
		if err != nil || len(faults) != 1 || faults[0].RequestID != "r2" {
			t.Errorf("Recent = %+v, %v", faults, err)
		}
		if page, err := s.Recent(ctx, exchange.Filter{Before: faults[0].Seq}); err != nil || len(page) != 1 {
			t.Errorf("second page = %+v, %v", page, err)
		}
		counts, err := s.Stats(ctx, now)
		want := []exchange.Count{{Role: "provider", Service: a.Service, Outcome: "ok", N: 1}, {Role: "provider", Service: a.Service, Outcome: b.Outcome, N: 1}}
		if d := cmp.Diff(want, counts); d != "" || err != nil {
			t.Errorf("Stats (-want +got):\n%s %v", d, err)
		}
		if ids, err := s.RequestIDs(ctx, now); err != nil || len(ids) != 2 {
			t.Errorf("RequestIDs = %v, %v", ids, err)
		}
		// More rows than are looked up one by one, with the same row twice among the first.
		many := []exchange.Message{a, done}
		for i := range 150 {
			m := a
			m.RequestID, m.ExchangeID = fmt.Sprintf("many-%d", i), "many"
			many = append(many, m)
		}
		if err := s.Restore(ctx, many); err != nil {
			t.Fatal(err)
		}
		if rows, err := s.RequestIDs(ctx, now); err != nil || len(rows) != 152 {
			t.Errorf("%d rows after a long batch, %v; want 152", len(rows), err)
		}
		k := exchange.APIKey{ID: "k", Kind: exchange.ClientBound, Hash: "h", Thumbprint: "t", ErrorCodes: exchange.CodesLegacy, Subsystem: a.Client, Label: "l", CreatedAt: now, CreatedBy: "admin"}
		if err := s.AddKey(ctx, k); err != nil {
			t.Fatal(err)
		}
		if err := s.AddKey(ctx, exchange.APIKey{ID: "k2", Hash: "h"}); !errs.Is(err, errs.Conflict) {
			t.Errorf("second key of one hash: %v", err)
		}
		for range 2 { // the second time from memory
			if got, err := s.KeyByHash(ctx, "h"); err != nil || got != k {
				t.Errorf("KeyByHash = %+v, %v", got, err)
			}
		}
		// Another process of the node remembers a key for less than a second.
		later := now
		other := &Store{DB: db, Now: func() time.Time { return later }}
		if _, err := other.KeyByHash(ctx, "h"); err != nil {
			t.Fatal(err)
		}
		if err := s.RevokeKey(ctx, "k", now); err != nil {
			t.Fatal(err)
		}
		if _, err := s.KeyByHash(ctx, "h"); !errs.Is(err, errs.NotFound) {
			t.Errorf("revoked key: %v", err)
		}
		later = now.Add(time.Second)
		if _, err := other.KeyByHash(ctx, "h"); !errs.Is(err, errs.NotFound) {
			t.Errorf("key revoked by another process: %v", err)
		}
		if err := s.AddKey(ctx, exchange.APIKey{ID: "k3", Hash: "h", Subsystem: a.Client}); err != nil {
			t.Errorf("a revoked key cannot be pinned again: %v", err)
		}
		if got, err := s.KeyByHash(ctx, "h"); err != nil || got.ID != "k3" || got.Kind != exchange.ClientKey {
			t.Errorf("pinned again: %+v, %v", got, err)
		}
		if ks, err := s.Keys(ctx); err != nil || len(ks) != 2 || !slices.ContainsFunc(ks, func(k exchange.APIKey) bool { return k.ID == "k" && k.RevokedAt.Equal(now) }) {
			t.Errorf("Keys = %+v, %v", ks, err)
		}
	})
}
