package exchangeapi

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/exchangestore"
	"truc/internal/orgcode"
	"truc/internal/pki"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/telemetry"
	"truc/internal/translog"
)

// testNet is a directory in memory with an authority made for the test.
type testNet struct {
	mu       sync.Mutex
	ca       *pki.CA
	peers    map[string]exchange.Peer // server id →
	keys     map[string]exchange.Key
	subs     map[string][]string // server id → subsystems
	services map[string]string   // service id → server id
	level    string
	lacks    []string // what the network demands and the node that asks has not
	signAlg  pki.Alg
	sync     bool              // logs wait for the disk
	members  []exchange.Member // nil for the two of newPair
	tune     func(id string, o *exchange.Options)
}

func newTestNet(t *testing.T) *testNet {
	t.Helper()
	ca, err := pki.LoadOrCreateCA(t.TempDir(), "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &testNet{ca: ca, peers: map[string]exchange.Peer{}, keys: map[string]exchange.Key{}, subs: map[string][]string{}, services: map[string]string{}, level: "fresh", signAlg: pki.Ed25519}
}

func (n *testNet) Providers(s orgcode.Service) ([]exchange.Peer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if strings.HasPrefix(s.Code, "list") || strings.HasPrefix(s.Code, "get") {
		return nil, errs.E(errs.NotFound, "exchange.service_unknown", nil)
	}
	var out []exchange.Peer
	for _, server := range slices.Sorted(maps.Keys(n.subs)) {
		if slices.Contains(n.subs[server], s.Owner().String()) {
			out = append(out, n.peers[server])
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, errs.E(errs.NotFound, "exchange.member_unknown", nil)
}

func (n *testNet) Hosts(sub orgcode.Subsystem) []exchange.Peer {
	p, err := n.Providers(orgcode.Service{Instance: sub.Instance, Class: sub.Class, Member: sub.Member, Subsystem: sub.Code, Code: "x"})
	if err != nil {
		return nil
	}
	return p
}

func (n *testNet) Key(id string) (exchange.Key, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k, ok := n.keys[id]
	if !ok {
		return k, errs.E(errs.NotFound, "exchange.key_unknown", nil)
	}
	return k, nil
}

func (n *testNet) Members() []exchange.Member {
	if n.members != nil {
		return n.members
	}
	out := []exchange.Member{
		{ID: "VN/GOV/G01", Name: map[string]string{"vi": "Bộ Công an", "en": "Ministry of Public Security"}, Subsystems: []string{"VN/GOV/G01/population"}},
		{ID: "VN/GOV/H36", Name: map[string]string{"vi": "Lâm Đồng", "en": "Lâm Đồng"}, Subsystems: []string{"VN/GOV/H36/onestop"}},
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for server, subs := range n.subs {
		if id := n.peers[server].Member; id != "VN/GOV/G01" && id != "VN/GOV/H36" {
			out = append(out, exchange.Member{ID: id, Subsystems: subs})
		}
	}
	return out
}

func (n *testNet) State() exchange.DirectoryState {
	n.mu.Lock()
	defer n.mu.Unlock()
	return exchange.DirectoryState{Lacks: n.lacks, Level: n.level, Version: 7, Envelope: []byte("{}")}
}

func (n *testNet) revoke(keyID string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := n.keys[keyID]
	k.Revoked = true
	n.keys[keyID] = k
}

// testNode is a node with its own database, log and link.
type testNode struct {
	*exchange.Service
	id      string
	options exchange.Options
	log     *translog.Log
	failing *failingLog
	store   *exchangestore.Store
	carrier *tamper
	keyID   string
	link    *Link
	stop    func()
	// registry holds the figures; ahead is how far this node's clock runs ahead, in nanoseconds.
	registry *telemetry.Registry
	ahead    atomic.Int64
	srv      *http.Server
	// conns counts connections that were opened to this node.
	conns atomic.Int64
}

// failingLog refuses when told so.
type failingLog struct {
	*translog.Log
	mu   sync.Mutex
	fail bool
}

func (l *failingLog) set(fail bool) { l.mu.Lock(); l.fail = fail; l.mu.Unlock() }

func (l *failingLog) broken() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail {
		return errors.New("no space left on device")
	}
	return nil
}

func (l *failingLog) Append(ctx context.Context, e ...[]byte) (int64, error) {
	if err := l.broken(); err != nil {
		return 0, err
	}
	return l.Log.Append(ctx, e...)
}

func (l *failingLog) AppendNoWait(e ...[]byte) (int64, func(context.Context) error, error) {
	if err := l.broken(); err != nil {
		return 0, nil, err
	}
	return l.Log.AppendNoWait(e...)
}

// tamper stands between two nodes and may change what passes.
type tamper struct {
	next exchange.Carrier
	req  func(*exchange.WireRequest)
	resp func(*exchange.WireRequest, *exchange.WireResponse) *exchange.WireResponse
	mu   sync.Mutex // guards last
	last *exchange.WireRequest
}

func (c *tamper) Carry(ctx context.Context, p exchange.Peer, req *exchange.WireRequest) (*exchange.WireResponse, error) {
	sent := &exchange.WireRequest{Method: req.Method, TargetURI: req.TargetURI, Header: req.Header.Clone(), Body: bytes.Clone(req.Body), Stream: req.Stream}
	if c.req != nil {
		c.req(sent)
	}
	c.mu.Lock()
	c.last = sent
	c.mu.Unlock()
	resp, err := c.next.Carry(ctx, p, sent)
	if err == nil && c.resp != nil {
		resp = c.resp(req, resp)
	}
	return resp, err
}

// Prepare makes the tests run over frames with shared signatures, as nodes do.
func (c *tamper) Prepare(ctx context.Context, p exchange.Peer) (bool, error) {
	next, ok := c.next.(exchange.SharingCarrier)
	if !ok {
		return false, nil
	}
	return next.Prepare(ctx, p)
}

func (n *testNet) start(t *testing.T, id string, subs []string, db *storage.DB) *testNode {
	t.Helper()
	node, _ := n.startWith(t, id, subs, db, nil)
	return node
}

// startWith is start for a node that asks for grants; it returns the node's signing key too.
func (n *testNet) startWith(t *testing.T, id string, subs []string, db *storage.DB, required exchange.Required) (*testNode, crypto.Signer) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tlsKey, err := pki.GenerateKey(pki.P256)
	must(err)
	signKey, err := pki.GenerateKey(n.signAlg)
	must(err)
	csr, err := pki.NewCSR(tlsKey, id)
	must(err)
	p := strings.Split(id, "/")
	cert, err := n.ca.IssueNode(csr, pki.NodeSubject{Instance: p[0], Class: p[1], Member: p[2], Server: p[3], Hosts: []string{"127.0.0.1"}}, time.Now(), 30*24*time.Hour) // tests move the clock by hours
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	pub := signKey.Public()
	n.mu.Lock()
	n.peers[id] = exchange.Peer{ServerID: id, Member: strings.Join(p[:3], "/"), URL: "https://" + l.Addr().String(), TLSKeyID: pki.KeyID(tlsKey.Public())}
	n.keys[pki.KeyID(pub)] = exchange.Key{ID: pki.KeyID(pub), Public: pub, ServerID: id}
	n.subs[id] = subs
	n.mu.Unlock()

	_, logKey, err := ed25519.GenerateKey(nil)
	must(err)
	lg, err := translog.Open(translog.Options{Dir: t.TempDir(), Origin: "truc/" + id, Key: logKey, Now: time.Now, NoSync: !n.sync})
	must(err)
	identity := func() *tls.Certificate { return pki.TLSCertificate(tlsKey, cert) }
	roots := func() *x509.CertPool { return n.ca.Pool() }
	carrier := &Carrier{Identity: identity, Roots: roots}
	node := &testNode{registry: new(telemetry.Registry), id: id, log: lg, failing: &failingLog{Log: lg}, store: &exchangestore.Store{DB: db}, carrier: &tamper{next: carrier}, keyID: pki.KeyID(pub)}
	node.options = exchange.Options{
		ServerID: id, Subsystems: subs, Signing: signKey, Directory: n, Carrier: node.carrier, Log: node.failing, Store: node.store,
		Seal: bytes.Repeat([]byte{7}, 32), Now: func() time.Time { return time.Now().Add(time.Duration(node.ahead.Load())) }, Logger: slog.New(slog.DiscardHandler),
		Metrics: exchange.NewMetrics(node.registry), RequireGrant: required,
	}
	if n.tune != nil {
		n.tune(id, &node.options)
	}
	node.Service, err = exchange.New(node.options)
	must(err)
	link := &Link{Service: node.Service}
	node.link = link
	srv := link.Server(pki.Settings{Identity: identity, Roots: roots, Accept: func(*x509.Certificate) error { return nil }}, slog.New(slog.DiscardHandler))
	srv.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			node.conns.Add(1)
		}
	}
	node.srv = srv
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.ServeTLS(l, "", "")
	}()
	node.stop = sync.OnceFunc(func() {
		_ = srv.Close()
		<-done
		carrier.Close()
		_ = lg.Close()
	})
	t.Cleanup(node.stop)
	return node, signKey
}

func openDB(t *testing.T) *storage.DB {
	t.Helper()
	db := storagetest.OpenSQLite(t)
	sub, err := fs.Sub(exchangestore.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Migrate(t.Context(), db, "exchange", sub, time.Now()); err != nil {
		t.Fatal(err)
	}
	return db
}

// pair is a province that asks and a ministry that answers.
type pair struct {
	net                *testNet
	consumer, provider *testNode
	// got is what the service behind the provider saw.
	mu  sync.Mutex
	got []*http.Request
}

func newPair(t *testing.T) *pair {
	t.Helper()
	return newPairOf(t, pki.Ed25519)
}

// newPairOf makes a pair whose nodes sign with a kind of key.
func newPairOf(t *testing.T, alg pki.Alg) *pair {
	t.Helper()
	return newPairTuned(t, alg, nil)
}

// newPairTuned is newPairOf with a say in the options of its nodes.
func newPairTuned(t *testing.T, alg pki.Alg, tune func(id string, o *exchange.Options)) *pair {
	t.Helper()
	p := &pair{net: newTestNet(t)}
	p.net.signAlg, p.net.tune = alg, tune
	p.provider = p.net.start(t, "VN/GOV/G01/node1", []string{"VN/GOV/G01/population"}, openDB(t))
	p.consumer = p.net.start(t, "VN/GOV/H36/node1", []string{"VN/GOV/H36/onestop"}, openDB(t))
	p.offer(t)
	return p
}

// offer puts two services behind the provider, with rules for the consumer.
func (p *pair) offer(t *testing.T) {
	t.Helper()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.got = append(p.got, r)
		p.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(`{"path":"` + r.URL.EscapedPath() + `"}`))
	})
	if err := p.provider.Offer("population/person", exchange.Offering{Name: map[string]string{"vi": "Tra cứu"}, Personal: true, OpenAPI: []byte(`{"openapi":"3.1.0"}`), Fields: exchange.FieldNaming{Query: "fields", Member: "fields"}}, echo); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.Offer("population/open", exchange.Offering{Endpoints: []exchange.Endpoint{{Method: "GET", Path: "/a/*"}}}, echo); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.SetRules([]exchange.Rule{
		{Consumer: "VN/GOV/H36/onestop", Service: "population/person", Methods: []string{"POST"}, Path: "/query", Activities: []string{"prefill"}, Basis: "Nghị định 224/2026/NĐ-CP"},
		{Consumer: "VN/GOV/H36/onestop", Service: "population/open"},
	}); err != nil {
		t.Fatal(err)
	}
}

func service(t *testing.T, s string) orgcode.Service {
	t.Helper()
	id, err := orgcode.ParseService(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// query is a correct call for personal data.
func query(t *testing.T) exchange.Call {
	return exchange.Call{
		From: orgcode.Subsystem{Instance: "VN", Class: "GOV", Member: "H36", Code: "onestop"}, To: service(t, "VN/GOV/G01/population/person"),
		Method: "POST", Path: "/query", Body: []byte(`{"id":"099204000123"}`), Header: http.Header{"Content-Type": {"application/json"}},
		UserID: "VN099204000123", Activity: "prefill", Basis: "Điều 15 Nghị định 224/2026/NĐ-CP", Dossier: "H36.14-261121-0001",
	}
}
