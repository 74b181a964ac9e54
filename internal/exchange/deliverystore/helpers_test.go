package deliverystore_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/delivery"
	"truc/internal/exchange/deliverystore"
	"truc/internal/orgcode"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

var (
	portal    = orgcode.Subsystem{Instance: "VN", Class: "GOV", Member: "G22", Code: "portal"}
	onestop   = orgcode.Subsystem{Instance: "VN", Class: "GOV", Member: "H36", Code: "onestop"}
	oversight = orgcode.Subsystem{Instance: "VN", Class: "GOV", Member: "G22", Code: "oversight"}
	dossiers  = orgcode.Service{Instance: "VN", Class: "GOV", Member: "H36", Subsystem: "onestop", Code: "dossiers"}
	facts     = orgcode.Service{Instance: "VN", Class: "GOV", Member: "H36", Subsystem: "onestop", Code: "facts"}
	inbox     = orgcode.Service{Instance: "VN", Class: "GOV", Member: "H36", Subsystem: "onestop", Code: "inbox"}
)

// network joins nodes without TLS and signatures, and can break in every way that matters here.
type network struct {
	mu    sync.Mutex
	now   time.Time
	nodes map[string]*node
	// before and after may fail a call to a member before it arrives, or lose its answer.
	before, after func(member string, c exchange.Call) error
	calls         int
}

func (n *network) time() time.Time { n.mu.Lock(); defer n.mu.Unlock(); return n.now }
func (n *network) sleep(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = n.now.Add(d)
}

var errAway = exchange.NewFault("server.clientproxy.", "network_error", errors.New("no route"))

// Call implements [delivery.Caller].
func (n *network) Call(ctx context.Context, c exchange.Call) (*exchange.Answer, error) {
	n.mu.Lock()
	to := n.nodes[c.To.Member]
	before, after := n.before, n.after
	n.calls++
	n.mu.Unlock()
	if before != nil {
		if err := before(c.To.Member, c); err != nil {
			return nil, err
		}
	}
	if to == nil {
		return nil, errAway
	}
	if c.ID == "" {
		c.ID = exchange.NewUUID()
	}
	target := c.Path
	if target == "" {
		target = "/"
	}
	if c.Query != "" {
		target += "?" + c.Query
	}
	r := httptest.NewRequestWithContext(reqctx.WithCaller(ctx, reqctx.Caller{
		Subsystem: c.From.String(), Member: c.From.MemberID(), Agency: c.From.Member, Service: c.To.String(), ExchangeID: c.ID, UserID: c.UserID, Dossier: c.Dossier,
	}), c.Method, target, bytes.NewReader(c.Body))
	maps.Copy(r.Header, c.Header)
	w := httptest.NewRecorder()
	h := to.Service.Wrap(c.To, to.handler)
	if c.To.Code == exchange.EventsCode {
		h = to.Service.Inbox()
	}
	h.ServeHTTP(w, r)
	if after != nil {
		if err := after(c.To.Member, c); err != nil {
			return nil, err
		}
	}
	return &exchange.Answer{Status: w.Code, Header: w.Header(), Body: w.Body.Bytes(), ExchangeID: c.ID}, nil
}

// node is one node's delivery with its own database and relay.
type node struct {
	*delivery.Service
	db      *storage.DB
	relay   *outbox.Relay
	handler http.Handler
	mu      sync.Mutex
	got     []string // bodies that the service of this node received
}

func newNetwork() *network {
	return &network{now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), nodes: map[string]*node{}}
}

// each runs a test on two nodes, G22 and H36, on both engines.
func each(t *testing.T, f func(t *testing.T, n *network, a, b *node)) {
	t.Helper()
	for engine, open := range map[string]func(testing.TB) *storage.DB{"sqlite": storagetest.OpenSQLite, "postgres": storagetest.OpenPostgres} {
		t.Run(engine, func(t *testing.T) {
			n := newNetwork()
			f(t, n, n.node(t, "G22", open(t)), n.node(t, "H36", open(t)))
		})
	}
}

func (n *network) node(t *testing.T, member string, db *storage.DB) *node {
	t.Helper()
	for module, files := range map[string]fs.FS{"outbox": outbox.Migrations, "delivery": deliverystore.Migrations} {
		sub, err := fs.Sub(files, "migrations")
		if err != nil {
			t.Fatal(err)
		}
		if err := storage.Migrate(t.Context(), db, module, sub, n.time()); err != nil {
			t.Fatal(err)
		}
	}
	x := &node{db: db}
	x.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		x.mu.Lock()
		x.got = append(x.got, b.String())
		x.mu.Unlock()
		_, _ = w.Write([]byte("took " + b.String()))
	})
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	x.Service = &delivery.Service{
		Store: &deliverystore.Store{DB: db}, Caller: n, Now: n.time, Log: slog.New(slog.DiscardHandler), Signing: key,
		Hosts:  func(s orgcode.Subsystem) bool { return s.Member == member },
		Events: map[string][]string{"onestop/facts": {"fact"}},
		HTTP:   &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	x.Service.Start()
	x.restart(n)
	n.nodes[member] = x
	return x
}

// restart gives the node a relay that knows nothing, as after a kill.
func (x *node) restart(n *network) {
	x.relay = &outbox.Relay{
		DB: x.db, Now: n.time, Log: slog.New(slog.DiscardHandler), Handlers: x.Handlers(), Policies: delivery.Policies(), Workers: 2, Owner: "test",
	}
}

// run lets a node's relay work off what is due.
func (x *node) run(t *testing.T) {
	t.Helper()
	for range 50 {
		n, err := x.relay.Once(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

func (x *node) send(t *testing.T, m delivery.Message) string {
	t.Helper()
	var id string
	err := x.db.InTx(t.Context(), func(tx *storage.Tx) (err error) {
		id, err = x.Send(t.Context(), tx, m)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (x *node) state(t *testing.T, sender orgcode.Subsystem, id string) delivery.Outgoing {
	t.Helper()
	m, err := x.Status(t.Context(), sender.String(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (x *node) received() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.Join(x.got, " ")
}

func say(id, body, key string) delivery.Message {
	return delivery.Message{ID: id, From: portal, To: dossiers, Path: "/messages", ContentType: "text/plain", Body: []byte(body), OrderKey: key}
}

func oversightEvents() orgcode.Service {
	return orgcode.Service{Instance: "VN", Class: "GOV", Member: "G22", Subsystem: "oversight", Code: exchange.EventsCode}
}
