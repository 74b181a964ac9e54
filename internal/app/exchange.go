package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangepage"
	"truc/internal/exchange/exchangestore"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/pki"
	"truc/internal/web"
)

func (n *Node) startExchange(ctx context.Context) error {
	if err := n.migrate(ctx, "exchange", exchangestore.Migrations, "migrations"); err != nil {
		return err
	}
	log, err := n.openLog("exchange")
	if err != nil {
		return err
	}
	n.evidence = log
	seal, err := n.secretKey("exchange-seal.key")
	if err != nil {
		return err
	}
	budget := exchange.NewBudget(0)
	carrier := &exchangeapi.Carrier{Identity: n.linkIdentity, Roots: n.linkRoots, Now: n.now, Budget: budget}
	n.closers = append(n.closers, func(context.Context) error { carrier.Close(); return nil })
	n.redial = carrier.Redial
	store := &exchangestore.Store{DB: n.db, Now: n.now}
	n.watchSpace(ctx)
	n.exchange, err = exchange.New(exchange.Options{
		ServerID: n.cfg.ServerID(), Subsystems: n.cfg.subsystems(), Signing: n.currentKeys().Signing, Directory: directoryView{n.follower},
		Carrier: carrier, Log: log, Store: store, Seal: seal, ListAll: n.cfg.Exchange.CompatListAll, Zone: i18n.Zone, Now: n.now, Logger: n.log,
		Metrics: exchange.NewMetrics(n.metrics), Spans: n.spans, Budget: budget, SpoolDir: n.cfg.DataDir,
		OneSignatureEach: n.cfg.Exchange.Signatures == "message", NoRequestHash: n.cfg.Exchange.RequestHash != nil && !*n.cfg.Exchange.RequestHash, Space: n.space,
		RequireGrant: n.grantRequired, Untimestamped: n.untimestamped, Decider: n.decider(),
	})
	if err != nil {
		return err
	}
	n.exchange.SetMaintenance(n.maintenance())
	if err := n.startAccess(ctx, store); err != nil {
		return err
	}
	limits, err := n.keptLimits()
	if err != nil {
		return err
	}
	if limits == nil {
		limits = n.cfg.Exchange.Limits
	}
	if err := n.exchange.SetLimits(limits); err != nil {
		return err
	}
	if err := store.Convert(ctx); err != nil {
		return err
	}
	if err := n.exchange.Reindex(ctx); err != nil {
		return err
	}
	n.background("exchange.index", n.exchange.Run)
	logs, err := n.startEvidence(ctx, carrier)
	if err != nil {
		return err
	}
	link := &exchangeapi.Link{Service: n.exchange, Logs: logs, Budget: budget}
	n.linkSrv = link.Server(pki.Settings{Identity: n.linkIdentity, Roots: n.linkRoots, Accept: n.acceptPeer, Now: n.now}, n.log) //nolint:contextcheck // a connection outlives the start
	n.linkSrv.Handler = exchange.Arrivals(n.now, n.linkSrv.Handler)
	if err := n.edgeKeys(ctx, store); err != nil {
		return err
	}
	if err := n.startDelivery(ctx); err != nil {
		return err
	}
	if err := n.startEdge(store, budget); err != nil {
		return err
	}
	if err := n.startManage(ctx, store); err != nil {
		return err
	}
	if err := errors.Join(n.manageAccess(), n.startPartner(store), n.startPublications(ctx, store)); err != nil {
		return err
	}
	if err := n.startAgreements(ctx); err != nil {
		return err
	}
	pages := &exchangepage.Pages{
		Service: n.exchange, Store: store, Keys: store, Directory: directoryView{n.follower}, Subsystems: n.cfg.subsystems(), Audit: n.act, Renderer: n.renderer, Now: n.now, Tests: n.tests(),
	}
	return errors.Join(pages.Mount(n.mux), n.mountActs())
}

// decider is the decision point of the configuration, if any.
func (n *Node) decider() exchange.Decider {
	if n.cfg.Exchange.DecisionURL == "" {
		return nil
	}
	return &exchangeapi.HTTPDecider{
		URL: n.cfg.Exchange.DecisionURL, Timeout: time.Duration(n.cfg.Exchange.DecisionMillis) * time.Millisecond, Client: exchangeapi.NewDecisionClient(),
	}
}

// edgeKeys makes the API keys of the configuration, each once; the secret is written to its file and nowhere else.
func (n *Node) edgeKeys(ctx context.Context, store exchange.KeyStore) error {
	for _, k := range n.cfg.Exchange.Keys {
		err := writeOnce(k.File, func() (string, error) {
			b := make([]byte, 32)
			_, _ = rand.Read(b) // never fails (crypto/rand)
			secret := hex.EncodeToString(b)
			return secret, store.AddKey(ctx, exchange.APIKey{
				ID: secret[:12], Hash: exchangeapi.HashKey(secret), Subsystem: k.Subsystem, Label: k.Label, CreatedAt: n.now(), CreatedBy: "system",
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) serveLink(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", n.cfg.Link.Listen)
	if err != nil {
		return err
	}
	l = web.Guard(l, 0)
	done := make(chan error, 1)
	go func() { done <- n.linkSrv.ServeTLS(l, "", "") }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = n.linkSrv.Shutdown(end)
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// directoryView meets exchange.Directory with the node's verified copy of the directory.
type directoryView struct{ follower *directory.Follower }

func (d directoryView) doc() (*directory.Document, error) {
	doc := d.follower.Document()
	if doc == nil || d.follower.Status().Level == directory.Expired {
		return nil, errs.E(errs.Unavailable, "exchange.directory_expired", nil)
	}
	return doc, nil
}

// Providers implements [exchange.Directory].
func (d directoryView) Providers(service orgcode.Service) ([]exchange.Peer, error) {
	doc, err := d.doc()
	if err != nil {
		return nil, err
	}
	s, ok := doc.Service(service.String())
	if !ok { // it may have joined since our copy was made
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := d.follower.RefreshSoon(ctx); err == nil {
			doc = d.follower.Document()
			s, ok = doc.Service(service.String())
		}
	}
	if !ok || s.Ended(d.follower.Now()) {
		if _, known := doc.Member(service.Owner().MemberID()); !known {
			return nil, errs.E(errs.NotFound, "exchange.member_unknown", nil)
		}
		return nil, errs.E(errs.NotFound, "exchange.service_unknown", nil)
	}
	var out []exchange.Peer
	for _, node := range doc.NodesOf(service.Owner().String()) {
		if slices.Contains(s.Providers(), node.ID) { // others of the member host the subsystem without this service
			out = append(out, peerOf(doc, node))
		}
	}
	if len(out) == 0 {
		return nil, errs.E(errs.NotFound, "exchange.service_unknown", nil)
	}
	return out, nil
}

func peerOf(doc *directory.Document, n directory.Node) exchange.Peer {
	old := slices.DeleteFunc(slices.Clone(n.OldTLSKeyIDs), doc.IsRevoked)
	return exchange.Peer{ServerID: n.ID, Member: n.Member, URL: n.LinkURL, TLSKeyID: n.TLSKeyID, OldTLSKeyIDs: old, Certificate: n.Certificate, Maintenance: n.Maintenance, Lacks: doc.Lacks(&n)}
}

// Hosts implements [exchange.Directory].
func (d directoryView) Hosts(sub orgcode.Subsystem) []exchange.Peer {
	doc, err := d.doc()
	if err != nil {
		return nil
	}
	var out []exchange.Peer
	for _, node := range doc.NodesOf(sub.String()) {
		out = append(out, peerOf(doc, node))
	}
	return out
}

// Key implements [exchange.Directory].
func (d directoryView) Key(id string) (exchange.Key, error) {
	doc := d.follower.Document()
	if doc == nil {
		return exchange.Key{}, errs.E(errs.Unavailable, "exchange.directory_expired", nil)
	}
	node, key, ok := doc.SigningKey(id)
	if !ok {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := d.follower.RefreshSoon(ctx); err == nil {
			doc = d.follower.Document()
			node, key, ok = doc.SigningKey(id)
		}
	}
	if !ok {
		return exchange.Key{}, errs.E(errs.NotFound, "exchange.key_unknown", nil)
	}
	pub, err := key.Public()
	if err != nil {
		return exchange.Key{}, err
	}
	k := exchange.Key{ID: id, Public: pub, ServerID: node.ID, Revoked: doc.IsRevoked(id)}
	if key.NotBefore > 0 {
		k.NotBefore = time.Unix(key.NotBefore, 0)
	}
	if key.NotAfter > 0 {
		k.NotAfter = time.Unix(key.NotAfter, 0)
	}
	return k, nil
}

// Members implements [exchange.Directory].
func (d directoryView) Members() []exchange.Member {
	doc, err := d.doc()
	if err != nil {
		return nil
	}
	var out []exchange.Member
	for _, m := range doc.Members {
		if m.State == directory.Left {
			continue
		}
		id := m.ID(doc.Instance)
		em := exchange.Member{ID: id, Name: m.Name}
		for _, node := range doc.Nodes {
			if node.Member == id && !doc.IsRevoked(node.TLSKeyID) {
				em.Subsystems = append(em.Subsystems, node.Subsystems...)
			}
		}
		out = append(out, em)
	}
	return out
}

// State implements [exchange.Directory].
func (d directoryView) State() exchange.DirectoryState {
	st := d.follower.Status()
	return exchange.DirectoryState{Lacks: d.follower.Lacks(), Level: string(st.Level), Version: st.Version, Envelope: d.follower.Envelope()}
}
