package app

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/exchange"
	"truc/internal/exchange/bodylog"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangepage"
	"truc/internal/exchange/exchangestore"
	"truc/internal/exchange/notary"
	"truc/internal/pki"
	"truc/internal/sign"
	"truc/internal/translog"
)

// startEvidence has the node's logs confirmed by witnesses and time-stamp authorities, makes the node a witness of
// others, and keeps the logs in order. It returns what the link shows to other nodes.
func (n *Node) startEvidence(ctx context.Context, carrier *exchangeapi.Carrier) (http.Handler, error) {
	key, err := n.keystore.LoadOrCreate(n.path("keys", "witness.key"), pki.Ed25519)
	if err != nil {
		return nil, err
	}
	priv, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("the key of the witness is not an Ed25519 key")
	}
	if n.cosigner, err = translog.NewCosigner("truc/"+n.cfg.ServerID()+"/witness", priv); err != nil {
		return nil, err
	}
	if err := n.startBodies(); err != nil {
		return nil, err
	}
	store := &exchangestore.Notary{DB: n.db, Now: n.now}
	n.keepDirectory()
	authorities, err := n.authorities()
	if err != nil {
		return nil, err
	}
	courier := &exchangeapi.WitnessCourier{Carrier: carrier, Peer: n.peer, Outside: exchangeapi.NewWitnessClient()}
	handler := &exchangeapi.Logs{Logs: map[string]exchangeapi.PublicLog{}, Log: n.log, Witness: &translog.Witness{
		Signer: n.cosigner, Store: store, LogKey: n.logKey, Inconsistent: n.sawFork(store), Now: n.now,
	}}
	for _, name := range []string{"audit", "exchange"} {
		log, ok := n.logs[name]
		if !ok {
			continue
		}
		handler.Logs[name] = log
		no := &notary.Notary{
			Log: log, Store: store, Witnesses: n.witnesses, Want: orInt(n.cfg.Evidence.Witnesses, 2), Courier: courier, Authorities: authorities,
			Every: n.cfg.Timestamp.every(), Round: n.cfg.Evidence.round(), Now: n.now, Logger: n.log,
		}
		if err := no.Start(ctx); err != nil {
			return nil, err
		}
		n.notaries = append(n.notaries, no)
		if name == "exchange" {
			n.exchange.SetSources(exchange.EvidenceSources{Notary: no, Directory: n.directoryAt, Witnesses: n.witnessKeys})
		}
		n.background("evidence."+name, no.Run)
		n.every("evidence.tidy."+name, time.Hour, func(ctx context.Context) error { return n.tidyLog(ctx, name, log) })
		n.every("evidence.verify."+name, 24*time.Hour, func(ctx context.Context) error { return n.verifyLog(ctx, log, store) })
	}
	pages := &exchangepage.EvidencePages{Notaries: n.notaries, Logs: n.logs, Incidents: store.Incidents, Audit: n.act, Renderer: n.renderer, Now: n.now}
	return handler, pages.Mount(n.mux)
}

// startBodies keeps the bodies of messages as far as the configuration or a service asks for it.
func (n *Node) startBodies() error {
	seal, err := n.secretKey("exchange-seal.key")
	if err != nil {
		return err
	}
	log := &bodylog.Log{Dir: n.path("logs", "bodies"), Seal: seal, Now: n.now}
	n.closers = append(n.closers, func(context.Context) error { return log.Close() })
	n.every("evidence.erase", time.Hour, func(ctx context.Context) error {
		erased, err := log.Erase(n.now().AddDate(0, 0, -orInt(n.cfg.Evidence.BodyRetentionDays, 90)))
		if erased > 0 {
			n.log.InfoContext(ctx, "bodies were erased", slog.Int("segments", erased))
		}
		return err
	})
	mode := cmp.Or(exchange.BodyMode(n.cfg.Evidence.Bodies), exchange.BodyDigest)
	return n.exchange.SetBodies(&exchange.BodyPolicy{Log: log, Default: mode, Services: n.cfg.Evidence.BodyServices, Subsystems: n.cfg.Evidence.BodySubsystems, MaxStream: int64(n.cfg.Evidence.BodyMaxMiB) << 20})
}

// peer returns a node of the network that is in force.
func (n *Node) peer(id string) (exchange.Peer, bool) {
	doc := n.follower.Document()
	if doc == nil {
		return exchange.Peer{}, false
	}
	node, ok := doc.Node(id)
	if !ok || doc.IsRevoked(node.TLSKeyID) {
		return exchange.Peer{}, false
	}
	return peerOf(doc, node), true
}

// witnesses lists those of other members first, beginning behind this node's own name, so that the work spreads over the
// network. A node of the same member is asked last: the same people may run it.
func (n *Node) witnesses() []notary.WitnessPeer {
	doc := n.follower.Document()
	if doc == nil {
		return nil
	}
	self, member := n.cfg.ServerID(), n.cfg.MemberID()+"/"
	var own, others []notary.WitnessPeer
	for _, w := range doc.Witnesses {
		p := notary.WitnessPeer{Node: w.Node, Key: w.Key, URL: w.URL}
		switch {
		case w.Node == self:
		case strings.HasPrefix(w.Node, member):
			own = append(own, p)
		default:
			others = append(others, p)
		}
	}
	i, _ := slices.BinarySearchFunc(others, self, func(w notary.WitnessPeer, id string) int { return cmp.Compare(w.Node, id) })
	return slices.Concat(others[i:], others[:i], own)
}

// logKey finds the key of a log that the directory names; a log's name begins with that of its node, so that no node can
// speak for another's log.
func (n *Node) logKey(origin string) (string, bool) {
	if doc := n.follower.Document(); doc != nil {
		if k, ok := logKeyIn(doc, origin); ok {
			return k, true
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := n.follower.RefreshSoon(ctx); err != nil {
		return "", false
	}
	return logKeyIn(n.follower.Document(), origin)
}

func logKeyIn(doc *directory.Document, origin string) (string, bool) {
	for _, node := range doc.Nodes {
		if !strings.HasPrefix(origin, "truc/"+node.ID+"/") {
			continue
		}
		for _, vkey := range []string{node.LogKey, node.AuditKey} {
			if strings.HasPrefix(vkey, origin+"+") {
				return vkey, true
			}
		}
	}
	return "", false
}

// sawFork notes that another node's log showed this witness two histories.
func (n *Node) sawFork(store notary.Store) func(context.Context, string, translog.Witnessed, []byte) {
	return func(ctx context.Context, origin string, have translog.Witnessed, msg []byte) {
		now := n.now()
		n.log.ErrorContext(ctx, "a log shows two histories", slog.String("log", origin), slog.Int64("cosigned_size", have.Size))
		detail := fmt.Sprintf("cosigned: %d %s; shown: %s", have.Size, have.Root, strings.ReplaceAll(strings.TrimSpace(string(msg)), "\n", " | "))
		if err := store.Report(ctx, notary.Incident{Kind: notary.Fork, Origin: origin, Peer: n.cfg.ServerID(), Detail: detail, First: now, Last: now, Count: 1}); err != nil {
			n.log.ErrorContext(ctx, "an incident cannot be stored", slog.Any("error", err))
		}
	}
}

// authorities are the time-stamp authorities of the configuration; in development there is a built-in one.
func (n *Node) authorities() ([]notary.Authority, error) {
	if len(n.cfg.Timestamp.Authorities) == 0 {
		if n.cfg.Env == pki.Production {
			return nil, nil
		}
		dev, err := n.developmentAuthority()
		if err != nil {
			return nil, err
		}
		return []notary.Authority{{Name: "development", Client: dev.tsa, Roots: pki.EncodePEM(dev.ca.Cert())}}, nil
	}
	client := &http.Client{Timeout: 10 * time.Second}
	var out []notary.Authority
	for _, a := range n.cfg.Timestamp.ordered() {
		b, err := os.ReadFile(a.Roots)
		if err != nil {
			return nil, fmt.Errorf("timestamp.authorities: %w", err)
		}
		certs, err := pki.DecodePEM(b)
		if err != nil {
			return nil, fmt.Errorf("timestamp.authorities: %s: %w", a.Roots, err)
		}
		roots := x509.NewCertPool()
		for _, c := range certs {
			roots.AddCert(c)
		}
		u, err := url.Parse(a.URL)
		if err != nil {
			return nil, err
		}
		authority := notary.Authority{Name: cmp.Or(a.Name, u.Host), Client: &sign.TSAClient{URL: a.URL, Client: client, Roots: roots, Now: n.now}, Roots: b}
		if a.PerDay > 0 {
			authority.Allowance = &notary.Allowance{PerDay: a.PerDay}
		}
		out = append(out, authority)
	}
	return out, nil
}

// tidyLog moves closed files to the archive and removes what the retention policy lets go.
func (n *Node) tidyLog(ctx context.Context, name string, log *translog.Log) error {
	if n.cfg.Evidence.ArchiveDir != "" {
		if _, err := log.Archive(ctx, orInt(n.cfg.Evidence.ArchiveKeep, 4)); err != nil {
			return err
		}
	}
	days := n.cfg.Evidence.RetentionDays
	if name != "exchange" || days == 0 { // the audit log holds no contents, and people look into it for longer
		return nil
	}
	before := n.now().AddDate(0, 0, -days)
	limit := outdated(log, before)
	if limit <= log.Minimum() {
		return nil
	}
	if err := n.act(ctx, "system", "exchange.log.prune", fmt.Sprint(limit)); err != nil {
		return err
	}
	_, err := n.pruneLog(ctx, name, before, n.cfg.Evidence.Policy)
	return err
}

// pruneLog removes the files of a log whose entries are all older than before.
func (n *Node) pruneLog(ctx context.Context, name string, before time.Time, policy string) (minimum int64, err error) {
	log := n.logs[name]
	minimum, err = log.Prune(outdated(log, before), policy)
	if err == nil {
		n.log.InfoContext(ctx, "log was pruned", slog.String("log", name), slog.Int64("minimum", minimum))
	}
	return minimum, err
}

// manageLogs offers operators what the node does by itself.
func (n *Node) manageLogs() *exchangeapi.ManageLogs {
	store := &exchangestore.Notary{DB: n.db, Now: n.now}
	return &exchangeapi.ManageLogs{
		Logs: n.logs, ArchiveKeep: orInt(n.cfg.Evidence.ArchiveKeep, 4), Prune: n.pruneLog, Now: n.now,
		Verify: func(ctx context.Context, name string) error { return n.verifyLog(ctx, n.logs[name], store) },
	}
}

// outdated returns the end of the last closed segment whose newest entry is older than before.
func outdated(log *translog.Log, before time.Time) (limit int64) {
	for _, s := range log.Segments() {
		b, err := log.Entry(s.End - 1)
		if err != nil {
			return limit
		}
		var e exchange.Entry
		if err := json.Unmarshal(b, &e); err != nil || e.At == 0 || !time.UnixMicro(e.At).Before(before) {
			return limit
		}
		limit = s.End
	}
	return limit
}

// verifyLog reads the whole log beside the work; damage is an incident.
func (n *Node) verifyLog(ctx context.Context, log *translog.Log, store notary.Store) error {
	err := log.Verify(ctx)
	if !errors.Is(err, translog.ErrDamaged) {
		return err
	}
	now := n.now()
	return errors.Join(err, store.Report(ctx, notary.Incident{Kind: notary.Damage, Origin: log.Origin(), Peer: n.cfg.ServerID(), Detail: err.Error(), First: now, Last: now, Count: 1}))
}

// keepDirectory keeps the directory document in force for evidence packages: what was valid when a message was signed
// must be shown years later. Documents are some kilobytes and change a few times a day.
func (n *Node) keepDirectory() {
	if n.follower == nil {
		return
	}
	b, st := n.follower.Envelope(), n.follower.Status()
	if len(b) == 0 {
		return
	}
	path := n.directoryPath(st.Version)
	if _, err := os.Stat(path); err == nil {
		return
	}
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = replaceFile(path, b)
	}
	if err != nil {
		n.log.Error("the directory document cannot be kept for evidence", slog.Any("error", err))
	}
}

func (n *Node) directoryPath(version int64) string {
	return n.path("directory", "history", strconv.FormatInt(version, 10)+".json")
}

// directoryAt returns the directory document of a version; nil when it was not kept.
func (n *Node) directoryAt(version int64) []byte {
	b, err := os.ReadFile(n.directoryPath(version))
	if err != nil {
		return nil
	}
	return b
}

// witnessKeys are the witnesses that the directory names.
func (n *Node) witnessKeys() []exchange.WitnessKey {
	doc := n.follower.Document()
	if doc == nil {
		return nil
	}
	var out []exchange.WitnessKey
	for _, w := range doc.Witnesses {
		out = append(out, exchange.WitnessKey{Node: w.Node, Key: w.Key})
	}
	return out
}
