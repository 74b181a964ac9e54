package exchangeapi

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/exchange"
	"truc/internal/exchange/exchangestore"
	"truc/internal/exchange/notary"
	"truc/internal/translog"
)

// TestWitnessOverTheLink has two nodes cosign each other's logs over mutual TLS, with the real store behind them.
func TestWitnessOverTheLink(t *testing.T) {
	p := newPair(t)
	_, key, _ := ed25519.GenerateKey(nil)
	cosigner, err := translog.NewCosigner("truc/VN/GOV/G01/node1/witness", key)
	if err != nil {
		t.Fatal(err)
	}
	logs := &Logs{
		Log: slog.New(slog.DiscardHandler), Logs: map[string]PublicLog{"exchange": p.provider.log},
		Witness: &translog.Witness{
			Signer: cosigner, Store: &exchangestore.Notary{DB: p.provider.store.DB, Now: time.Now}, Now: time.Now,
			LogKey: func(o string) (string, bool) {
				return p.consumer.log.VerifierKey(), o == p.consumer.log.Origin()
			},
		},
	}
	p.provider.link.Logs = logs
	peer := p.net.peers[p.provider.id]
	courier := &WitnessCourier{Carrier: p.consumer.carrier.next.(*Carrier), Peer: func(id string) (exchange.Peer, bool) { return peer, id == peer.ServerID }}
	store := &exchangestore.Notary{DB: p.consumer.store.DB, Now: time.Now}
	w := notary.WitnessPeer{Node: peer.ServerID, Key: cosigner.VerifierKey(), URL: peer.URL + "/witness"}
	n := &notary.Notary{
		Log: p.consumer.log, Store: store, Want: 1, Courier: courier, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Witnesses: func() []notary.WitnessPeer { return []notary.WitnessPeer{w} },
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
		if err := n.Cosign(t.Context()); err != nil {
			t.Fatal(err)
		}
		row, err := store.Latest(t.Context(), p.consumer.log.Origin())
		if err != nil || row.Size != p.consumer.log.Size() || row.Witnesses != 1 {
			t.Fatalf("row = %+v, %v; failures %v", row, err, n.State().Failures)
		}
		if _, err := translog.VerifyCosignature(row.Note, w.Key); err != nil {
			t.Error(err)
		}
	}
	courier.Outside = nil
	if _, err := courier.AddCheckpoint(t.Context(), notary.WitnessPeer{Node: "outside", URL: "https://127.0.0.1:1"}, nil); err == nil {
		t.Error("a witness outside the network was asked without a client for it")
	}
}

func TestLogsShowCheckpointAndTiles(t *testing.T) {
	p := newPair(t)
	for range 3 {
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
	}
	srv := httptest.NewServer(&Logs{Logs: map[string]PublicLog{"exchange": p.consumer.log}, Log: slog.New(slog.DiscardHandler), Witness: &translog.Witness{}})
	defer srv.Close()
	get := func(path string, status int) []byte {
		t.Helper()
		req, _ := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, srv.URL+path, http.NoBody)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var b bytes.Buffer
		_, _ = b.ReadFrom(res.Body)
		if res.StatusCode != status {
			t.Errorf("%s = %d %q, want %d", path, res.StatusCode, b.String(), status)
		}
		return b.Bytes()
	}
	c, err := translog.VerifyCheckpoint(get("/log/exchange/checkpoint", 200), p.consumer.log.VerifierKey())
	if err != nil || c.Size != 6 {
		t.Fatalf("checkpoint = %+v, %v", c, err)
	}
	tile := get("/log/exchange/tile/0/000.p/6", 200)
	if len(tile) != 6*tlog.HashSize {
		t.Errorf("tile has %d bytes", len(tile))
	}
	e, _ := p.consumer.log.Entry(4)
	if h := translog.LeafHash(e); !bytes.Equal(tile[4*32:5*32], h[:]) {
		t.Error("the tile does not hold the entry's hash")
	}
	for _, path := range []string{"/log/exchange/tile/0/000", "/log/exchange/tile/0/000.p/7", "/log/exchange/tile/entries/000", "/log/other/checkpoint", "/log/exchange/pruned", "/log/exchange/", "/log/exchange/../x", "/witness/other"} {
		get(path, 404)
	}
	get("/witness/add-checkpoint", 405)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/witness/add-checkpoint", strings.NewReader(strings.Repeat("x", translog.MaxAddCheckpoint+1)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("too long: %v, %v", res, err)
	}
}
