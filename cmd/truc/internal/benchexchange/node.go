package benchexchange

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"truc/internal/app"
	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangestore"
	"truc/internal/orgcode"
	"truc/internal/pki"
	"truc/internal/storage"
	"truc/internal/translog"
)

const (
	consumerID   = "VN/GOV/H36/node1"
	consumerSub  = "VN/GOV/H36/onestop"
	providerID   = "VN/GOV/G01/node1"
	providerSub  = "VN/GOV/G01/population"
	serviceCode  = "population/person"
	serviceID    = "VN/GOV/G01/" + serviceCode
	activity     = "prefill"
	directoryAge = 1 // the version of the directory; it does not change in a run
)

// peerConfig is a node of the network.
type peerConfig struct {
	ID, Member, URL, TLSKeyID string
	SignKey                   []byte
	Subsystem                 string
}

// network is the directory of the two nodes, as a list in memory.
type network struct {
	peers []exchange.Peer
	subs  []string // by position in peers
	keys  map[string]exchange.Key
}

func newNetwork(peers []peerConfig) *network {
	n := &network{keys: map[string]exchange.Key{}}
	for _, p := range peers {
		n.peers = append(n.peers, exchange.Peer{ServerID: p.ID, Member: p.Member, URL: p.URL, TLSKeyID: p.TLSKeyID})
		n.subs = append(n.subs, p.Subsystem)
		id := exchange.KeyID(ed25519.PublicKey(p.SignKey))
		n.keys[id] = exchange.Key{ID: id, Public: ed25519.PublicKey(p.SignKey), ServerID: p.ID}
	}
	return n
}

// Providers implements [exchange.Directory].
func (n *network) Providers(s orgcode.Service) ([]exchange.Peer, error) {
	if peers := n.Hosts(s.Owner()); len(peers) > 0 {
		return peers, nil
	}
	return nil, errs.E(errs.NotFound, "exchange.member_unknown", nil)
}

// Hosts implements [exchange.Directory].
func (n *network) Hosts(sub orgcode.Subsystem) []exchange.Peer {
	i := slices.Index(n.subs, sub.String())
	if i < 0 {
		return nil
	}
	return n.peers[i : i+1]
}

// Key implements [exchange.Directory].
func (n *network) Key(id string) (exchange.Key, error) {
	k, ok := n.keys[id]
	if !ok {
		return k, errs.E(errs.NotFound, "exchange.key_unknown", nil)
	}
	return k, nil
}

// Members implements [exchange.Directory].
func (n *network) Members() []exchange.Member {
	var out []exchange.Member
	for i, p := range n.peers {
		out = append(out, exchange.Member{ID: p.Member, Name: map[string]string{"vi": p.Member}, Subsystems: n.subs[i : i+1]})
	}
	return out
}

// State implements [exchange.Directory].
func (n *network) State() exchange.DirectoryState {
	return exchange.DirectoryState{Level: "fresh", Version: directoryAge, Envelope: []byte("{}")}
}

// startNode runs what a node runs of the exchange: the consumer with its edge, the provider with its link.
func startNode(ctx context.Context, c *partConfig, settings pki.Settings, log *slog.Logger, now func() time.Time) (*running, error) {
	debug.SetGCPercent(app.CollectorPercent)
	sign, err := signerOf(c.SignKey)
	if err != nil {
		return nil, err
	}
	evidence, store, closeNode, err := openNode(ctx, c, now)
	if err != nil {
		return nil, err
	}
	id, sub := consumerID, consumerSub
	if c.Role == roleProvider {
		id, sub = providerID, providerSub
	}
	carrier := &exchangeapi.Carrier{Identity: settings.Identity, Roots: settings.Roots, Now: now}
	svc, err := exchange.New(exchange.Options{
		ServerID: id, Subsystems: []string{sub}, Signing: sign, Directory: newNetwork(c.Peers), Carrier: carrier, Log: evidence, Store: store,
		Seal: bytes.Repeat([]byte{7}, 32), Now: now, Logger: log, OneSignatureEach: c.Each,
	})
	if err != nil {
		return nil, errors.Join(err, closeNode())
	}
	srv, err := front(ctx, c, svc, store, settings, log, now)
	if err != nil {
		return nil, errors.Join(err, closeNode())
	}
	p, err := listen(ctx, srv)
	if err != nil {
		return nil, errors.Join(err, closeNode())
	}
	runCtx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = svc.Run(runCtx) })
	p.settle = svc.Flush
	p.count = func(ctx context.Context, r *reply) error {
		r.Entries = evidence.Size()
		counts, err := store.Stats(ctx, time.UnixMicro(0))
		for _, n := range counts {
			r.Rows += n.N
		}
		return err
	}
	app.Settle() // as a node does when it is up
	closeServer := p.close
	p.close = func() error {
		err := closeServer()
		carrier.Close()
		stop()
		wg.Wait()
		return errors.Join(err, closeNode())
	}
	return p, nil
}

// openNode opens log and index as a node does: both wait for the disk.
func openNode(ctx context.Context, c *partConfig, now func() time.Time) (*translog.Log, *exchangestore.Store, func() error, error) {
	_, logKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, nil, err
	}
	log, err := translog.Open(translog.Options{Dir: filepath.Join(c.Dir, "log"), Origin: "truc/bench/" + c.Role, Key: logKey, Now: now})
	if err != nil {
		return nil, nil, nil, err
	}
	db, err := storage.Open(ctx, "sqlite:"+filepath.Join(c.Dir, "node.db"), storage.Options{})
	if err != nil {
		return nil, nil, nil, errors.Join(err, log.Close())
	}
	closeAll := func() error { return errors.Join(log.Close(), db.Close()) }
	migrations, err := fs.Sub(exchangestore.Migrations, "migrations")
	if err == nil {
		err = storage.Migrate(ctx, db, "exchange", migrations, now())
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, closeAll())
	}
	return log, &exchangestore.Store{DB: db, Now: now}, closeAll, nil
}

// front is what is called from outside: for the consumer the edge, for the provider the link, with the back end behind
// the service that it offers.
func front(ctx context.Context, c *partConfig, svc *exchange.Service, store *exchangestore.Store, settings pki.Settings, log *slog.Logger, now func() time.Time) (*http.Server, error) {
	if c.Role == roleConsumer {
		err := store.AddKey(ctx, exchange.APIKey{ID: "bench", Hash: c.KeyHash, Subsystem: consumerSub, Label: "bench", CreatedAt: now(), CreatedBy: "system"})
		edge := &exchangeapi.Edge{Service: svc, Keys: store, Instance: "VN", Log: log}
		return &http.Server{Handler: edge, ReadHeaderTimeout: 10 * time.Second}, err
	}
	proxy, err := forward(c.Next, backEndTransport())
	if err != nil {
		return nil, err
	}
	if err := svc.Offer(serviceCode, exchange.Offering{Personal: true}, proxy); err != nil {
		return nil, err
	}
	err = svc.SetRules([]exchange.Rule{{Consumer: consumerSub, Service: serviceCode, Methods: []string{"POST"}, Path: "/query", Activities: []string{activity}}})
	return (&exchangeapi.Link{Service: svc}).Server(settings, log), err //nolint:contextcheck // a connection outlives this call
}
