package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/exchange"
	"truc/internal/orgcode"
	"truc/internal/pki"
)

// pair is a center and an agency's node that run in this process on one clock, which the test moves.
type pair struct {
	t              *testing.T
	offset         atomic.Int64
	center, agency *Node
	stops          map[*Node]func()
	// way is what the agency knows as the center's address.
	way *httptest.Server
}

func (p *pair) now() time.Time {
	return time.Now().UTC().Add(time.Duration(p.offset.Load())).Truncate(time.Microsecond)
}

// newPair starts both; tune may change their configurations first.
func newPair(t *testing.T, tune ...func(center, agency *Config)) *pair {
	t.Helper()
	p := &pair{t: t}
	exchangeOnly := with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })])
	cfg := alone(t, exchangeOnly)
	token := filepath.Join(t.TempDir(), "token")
	cfg.Directory.Invite = []InviteConfig{{Member: "H36", Name: map[string]string{"vi": "Lâm Đồng"}, TokenFile: token}}
	agency := &Config{
		Instance: "VN", Member: "H36", DataDir: t.TempDir(), Modules: exchangeOnly, Web: WebConfig{Listen: freeAddress(t)}, Link: LinkConfig{Listen: freeAddress(t)},
		Directory: DirectoryConfig{TokenFile: token},
	}
	agency.fillDefaults()
	for _, f := range tune {
		f(cfg, agency)
	}
	p.center = p.start(cfg)
	to, err := url.Parse(cfg.Web.URL)
	if err != nil {
		t.Fatal(err)
	}
	p.way = httptest.NewServer(httputil.NewSingleHostReverseProxy(to))
	t.Cleanup(p.way.Close)
	agency.Directory.URL = p.way.URL
	p.agency = p.start(agency)
	p.refresh()
	return p
}

func (p *pair) start(cfg *Config) *Node {
	p.t.Helper()
	n, stop, err := p.try(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(stop)
	return n
}

// try starts a node that may not start, and that may be stopped before the test ends.
func (p *pair) try(cfg *Config) (_ *Node, stop func(), err error) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	n, err := Start(ctx, Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Now: p.now})
	if err != nil {
		cancel()
		return nil, nil, err
	}
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	<-n.Ready()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Errorf("the node ended with %v", err)
		}
	})
	if p.stops == nil {
		p.stops = map[*Node]func(){}
	}
	p.stops[n] = stop
	return n, stop, nil
}

// restart puts another configuration in the place of the agency's node, which was stopped.
func (p *pair) restart(cfg *Config) (stop func()) {
	p.t.Helper()
	n, stop, err := p.try(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.agency = n
	p.t.Cleanup(stop)
	p.refresh()
	return stop
}

// refresh lets the center sign what is due and both nodes pull.
func (p *pair) refresh() {
	p.t.Helper()
	if err := p.center.center.Refresh(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	for _, n := range []*Node{p.center, p.agency} {
		if err := n.follower.Refresh(p.t.Context()); err != nil {
			p.t.Fatal(err)
		}
	}
}

// probe calls from one node to the other, signed and logged on both sides, and returns the fault.
func (p *pair) probe(from, to *Node) string {
	p.t.Helper()
	steps := from.exchange.Probe(p.t.Context(), to.cfg.MemberID())
	last := steps[len(steps)-1]
	if !last.OK && last.Fault == "" {
		return last.Key
	}
	return last.Fault
}

func (p *pair) works(when string) {
	p.t.Helper()
	if f := p.probe(p.agency, p.center); f != "" {
		p.t.Errorf("%s: the agency's call failed: %s", when, f)
	}
	if f := p.probe(p.center, p.agency); f != "" {
		p.t.Errorf("%s: the center's call failed: %s", when, f)
	}
}

func fingerprint(k directory.Keys) string {
	return pki.KeyID(k.Signing.Public()) + pki.KeyID(k.TLS.Public())
}

// Both keys of a node change while it is called and calls, and nothing fails at any moment of it.
func TestKeysChangeUnderTraffic(t *testing.T) {
	p := newPair(t)
	ctx := t.Context()
	p.works("at first")
	before := p.agency.currentKeys()
	signFrom, err := p.agency.RotateSigning(ctx, "lan", "p256")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.agency.RotateTLS(ctx, "lan"); err != nil {
		t.Fatal(err)
	}
	st, err := p.agency.KeyStatus()
	if err != nil || !st.NextSigning.Equal(signFrom) || st.NextTLS.IsZero() {
		t.Errorf("status %+v, %v", st, err)
	}
	p.works("announced, and the center's copy is still the old one")
	p.refresh()
	p.works("announced and known")
	activate := func() {
		t.Helper()
		if err := p.agency.activateKeys(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if activate(); fingerprint(p.agency.currentKeys()) != fingerprint(before) {
		t.Error("a key took over before its time")
	}
	p.offset.Add(int64(directory.Spread + 2*time.Minute))
	p.refresh()
	activate()
	after := p.agency.currentKeys()
	if pki.KeyID(after.Signing.Public()) == pki.KeyID(before.Signing.Public()) || pki.KeyID(after.TLS.Public()) == pki.KeyID(before.TLS.Public()) || p.agency.exchange.KeyID() != pki.KeyID(after.Signing.Public()) {
		t.Error("the new keys did not take over")
	}
	p.works("after the change")
	if _, err := os.Stat(p.agency.path("keys", nextSigningFile)); !os.IsNotExist(err) {
		t.Error("the announced key still lies beside the key in force")
	}
	// After a restart the keys on disk are those in force.
	if k, err := loadKeys(t.Context(), p.agency.cfg, p.agency.keystore); err != nil || pki.KeyID(k.TLS.Public()) != pki.KeyID(after.TLS.Public()) || pki.KeyID(k.Signing.Public()) != pki.KeyID(after.Signing.Public()) {
		t.Errorf("the disk holds other keys (%v)", err)
	}
	p.offset.Add(int64(25 * time.Hour))
	p.refresh()
	p.works("a day later, without the old keys")
}

// The process ended between the two renames of a change: the next start finishes it.
func TestInterruptedChangeOfChannelKey(t *testing.T) {
	p := newPair(t)
	if _, err := p.agency.RotateTLS(t.Context(), "lan"); err != nil {
		t.Fatal(err)
	}
	dir := p.agency.path("keys")
	if err := os.Rename(filepath.Join(dir, nextTLSKeyFile), filepath.Join(dir, tlsKeyFile)); err != nil {
		t.Fatal(err)
	}
	k, err := loadKeys(t.Context(), p.agency.cfg, p.agency.keystore)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(p.agency.certPath())
	if err != nil {
		t.Fatal(err)
	}
	certs, err := pki.DecodePEM(b)
	if err != nil || pki.KeyID(certs[0].PublicKey) != pki.KeyID(k.TLS.Public()) {
		t.Errorf("key and certificate do not belong together (%v)", err)
	}
}

// The certificate renews itself at two thirds of its life; calls go on.
func TestCertificateRenewsItself(t *testing.T) {
	p := newPair(t)
	p.works("at first")
	first, err := p.agency.KeyStatus()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the document lives for a week
		p.offset.Add(int64(7 * 24 * time.Hour))
		if err := p.center.center.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.refresh()
	}
	for _, n := range []*Node{p.center, p.agency} {
		if err := n.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	st, err := p.agency.KeyStatus()
	if err != nil || !st.Certificate.NotAfter.After(first.Certificate.NotAfter) || st.TLS != first.TLS {
		t.Errorf("certificate %+v after %+v, %v", st.Certificate, first.Certificate, err)
	}
	p.refresh()
	p.works("after the renewal")
}

// A revoked node is refused on connections that are open, by its next message; a disabled one comes back.
func TestRevokedOnOpenConnections(t *testing.T) {
	p := newPair(t)
	ctx := t.Context()
	p.works("at first")
	id := p.agency.cfg.ServerID()
	if err := p.center.center.DisableNode(ctx, "admin", id, true); err != nil {
		t.Fatal(err)
	}
	p.refresh()
	if f := p.probe(p.agency, p.center); f == "" {
		t.Error("a disabled node still calls")
	}
	if f := p.probe(p.center, p.agency); f == "" {
		t.Error("a disabled node is still called")
	}
	if err := p.center.center.DisableNode(ctx, "admin", id, false); err != nil {
		t.Fatal(err)
	}
	p.refresh()
	p.works("enabled again")
	if err := p.center.center.RevokeNode(ctx, "admin", id, "máy bị mất"); err != nil {
		t.Fatal(err)
	}
	// Only the provider has heard of it: the consumer's own copy would let it call.
	if err := p.center.follower.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if f := p.probe(p.agency, p.center); f == "" {
		t.Error("a revoked node still calls on its open connection")
	}
}

// A document that expired stops the node: it neither calls nor answers, and says so on /readyz.
func TestExpiredDocumentStops(t *testing.T) {
	p := newPair(t)
	p.works("at first")
	p.offset.Add(int64(directory.Lifetime + time.Hour))
	// The agency asks nobody: its center is away. The center's own copy is fresh.
	p.way.Close()
	if err := p.center.center.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.center.follower.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f := p.probe(p.agency, p.center); f == "" {
		t.Error("a node with an expired document calls")
	}
	if f := p.probe(p.center, p.agency); f == "" {
		t.Error("a node with an expired document answers")
	}
	if status, body := fetch(t, p.agency.cfg.Web.URL+"/readyz"); status != 503 {
		t.Errorf("/readyz answered %d %s", status, body)
	}
}

// A node in maintenance refuses those who may call with its notice, and the directory tells the notice to all.
func TestMaintenance(t *testing.T) {
	p := newPair(t)
	ctx := t.Context()
	err := p.center.exchange.Offer("portal/echo", exchange.Offering{Name: map[string]string{"vi": "Tiếng vọng"}}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.center.access.SetPublished([]exchange.Rule{{Consumer: "VN/GOV/H36/office", Service: "portal/echo"}}); err != nil {
		t.Fatal(err)
	}
	maintain := func(notice string) {
		t.Helper()
		p.offset.Add(int64(time.Second)) // the time of a publication grows
		if err := p.center.SetMaintenance(t.Context(), "lan", notice); err != nil {
			t.Fatal(err)
		}
		p.refresh()
	}
	call := func() error {
		_, err := p.agency.exchange.Call(ctx, exchange.Call{
			From: p.agency.cfg.Subsystem("office"), To: orgcode.Service{Instance: "VN", Class: "GOV", Member: "G22", Subsystem: "portal", Code: "echo"},
		})
		return err
	}
	maintain("")
	if err := call(); err != nil {
		t.Fatal(err)
	}
	maintain("đến 22 giờ")
	f, ok := errors.AsType[*exchange.Fault](call())
	if !ok || f.Code() != "maintenance_mode" || f.Notice != "đến 22 giờ" {
		t.Errorf("fault %+v", f)
	}
	if n, ok := p.agency.follower.Document().Node(p.center.cfg.ServerID()); !ok || n.Maintenance != "đến 22 giờ" {
		t.Errorf("the agency does not know: %+v", n)
	}
	if err := p.center.SetMaintenance(ctx, "lan", strings.Repeat("x", directory.MaxMaintenance+1)); err == nil {
		t.Error("a notice without end was taken")
	}
	maintain("")
	if err := call(); err != nil {
		t.Errorf("after the maintenance: %v", err)
	}
}
