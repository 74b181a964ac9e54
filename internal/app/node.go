// Package app assembles modules into a node: it is the only package that knows everybody. modules.go is the list of
// modules, config.go the configuration, and one file a module holds its wiring; adapters between a module's ports and
// its neighbours stand beside it. Nothing but cmd imports app.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"truc/internal/adminunits"
	"truc/internal/alarm"
	"truc/internal/audit"
	"truc/internal/calendar"
	"truc/internal/directory"
	"truc/internal/documents/axisapi"
	"truc/internal/documents/documentsapi"
	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/access"
	"truc/internal/exchange/delivery"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/notary"
	"truc/internal/exchange/publication"
	"truc/internal/i18n"
	"truc/internal/identity"
	"truc/internal/identity/identitypage"
	"truc/internal/outbox"
	"truc/internal/pki"
	"truc/internal/services"
	"truc/internal/storage"
	"truc/internal/telemetry"
	"truc/internal/translog"
	"truc/internal/web"
	"truc/internal/web/manage"
	"truc/internal/web/ui"
	"truc/lang"
)

// CollectorPercent is how much a node lets its heap grow before it collects (GOGC). What a node holds for long is small
// beside what passes through it: fewer collections cost it a few megabytes.
const CollectorPercent = 150

// Node is one running node. Its fields are set in the order of the module table and not changed afterwards.
type Node struct {
	cfg      *Config
	log      *slog.Logger
	now      func() time.Time
	db       *storage.DB
	messages *i18n.Catalogue
	places   *adminunits.Units
	calendar *calendar.Calendar
	renderer *ui.Renderer
	mux      *web.Mux
	relay    *outbox.Relay

	identity *identity.Service
	sessions *identitypage.Sessions
	signIns  signIns
	audit    *audit.Service
	center   *directory.Center
	follower *directory.Follower
	keys     directory.Keys
	keystore *pki.KeyStore
	redial   func() // opens new connections to peers; nil without the exchange
	exchange *exchange.Service
	// publications are services of the agency's own systems.
	publications *publication.Service
	access       *access.Service
	evidence     *translog.Log
	logs         map[string]*translog.Log
	cosigner     *translog.Cosigner
	notaries     []*notary.Notary
	edge         *exchangeapi.Edge
	delivery     *delivery.Service
	// manage is the management interface: modules declare their operations in it while they start.
	manage    *manage.API
	operators *exchange.Operators
	programs  exchange.KeyStore
	metrics   *telemetry.Registry
	spans     *telemetry.Exporter
	// diagnostics looks at the node; nil without the exchange.
	diagnostics *exchange.Diagnostics
	// space watches the disk of the logs; nil without the exchange.
	space   *exchange.Space
	backups backups
	alarms  *alarm.Service
	// restored is what a restore left; its Epoch is empty for a node that was never put back.
	restored  restoredNode
	release   string
	libraries *services.Library

	// development and documentKeys are made when the first module asks for them, while the node starts.
	development  *developmentAuthority
	documentKeys *documentKeys
	// documents joins this node's document desk to the axis; nil where none runs.
	documents *documentsapi.Desk
	// vxp answers clients of the VXP protocol; nil where no axis runs.
	vxp *axisapi.API

	// agreements are those of this node's member.
	agreements *exchange.Agreements

	// formAction are origins our forms may lead to by redirect; bypass are server-to-server endpoints.
	formAction []string
	bypass     []string

	jobs    []job
	closers []func(context.Context) error
	ready   sync.Once
	started chan struct{}
	web     net.Listener
	linkSrv *http.Server

	// directoryNews is signalled when the directory has a new version.
	directoryNews chan struct{}
	// directoryChanged is signalled when this center changed it.
	directoryChanged chan struct{}

	certMu sync.Mutex // guards keys, cert and certAt
	cert   *tls.Certificate
	certAt time.Time
}

// job is background work that the node owns: it runs until the context ends.
type job struct {
	name string
	run  func(context.Context) error
}

// Options are what a process gives a node.
type Options struct {
	Config *Config
	Log    *slog.Logger
	// Now is the clock; nil is the real one, cut to microseconds.
	Now func() time.Time
	// Procedures are the bundles in the binary.
	Procedures fs.FS
	// Release is the version of the program, as backups name it.
	Release string
}

// Start builds a node from its configuration. What it returns is not yet serving: call Run.
func Start(ctx context.Context, opt Options) (_ *Node, err error) {
	defer errs.Wrap(&err, "start %s", opt.Config.Member)
	n := &Node{cfg: opt.Config, log: opt.Log, now: opt.Now, started: make(chan struct{}), directoryNews: make(chan struct{}, 1), directoryChanged: make(chan struct{}, 1), release: opt.Release}
	if n.now == nil {
		n.now = func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close(context.WithoutCancel(ctx)))
		}
	}()
	if err := n.loadRestored(); err != nil {
		return nil, err
	}
	if err := n.startPlatform(ctx, opt); err != nil {
		return nil, err
	}
	for i, m := range modules {
		if !slices.Contains(n.cfg.Modules, m.name) {
			continue
		}
		for _, need := range m.needs {
			if !slices.Contains(n.cfg.Modules[:], need) {
				return nil, fmt.Errorf("module %s needs %s in the same process", m.name, need)
			}
			if !slices.ContainsFunc(modules[:i], func(r module) bool { return r.name == need }) {
				return nil, fmt.Errorf("module table: %s needs a later row %s", m.name, need)
			}
		}
		if err := m.start(n, ctx); err != nil {
			return nil, fmt.Errorf("module %s: %w", m.name, err)
		}
	}
	if err := errors.Join(n.startBackups(), n.startAlarms(ctx), n.declarePackages(dpkgStatus), n.tellRestored(ctx)); err != nil {
		return nil, err
	}
	if err := n.mountManage(); err != nil {
		return nil, err
	}
	return n, n.publish(ctx)
}

// startPlatform opens what every module stands on.
func (n *Node) startPlatform(ctx context.Context, _ Options) (err error) {
	if n.messages, err = i18n.Load(lang.FS); err != nil {
		return err
	}
	if n.places, err = adminunits.Load(); err != nil {
		return err
	}
	n.calendar = calendar.Vietnam()
	if err := n.openKeys(ctx); err != nil {
		return err
	}
	if n.db, err = storage.Open(ctx, n.cfg.DB, storage.Options{}); err != nil {
		return err
	}
	n.closers = append(n.closers, func(context.Context) error { return n.db.Close() })
	if err := n.migrate(ctx, "outbox", outbox.Migrations, "migrations"); err != nil {
		return err
	}
	n.relay = &outbox.Relay{DB: n.db, Now: n.now, Log: n.log, Handlers: map[string]outbox.Handler{}, Policies: delivery.Policies(), MaxPause: n.longestPause(), Owner: n.cfg.ServerID()}
	assets, err := ui.NewAssets(nil)
	if err != nil {
		return err
	}
	n.renderer, err = ui.NewRenderer(n.uiOptions(assets))
	if err != nil {
		return err
	}
	n.every("outbox.prune", 24*time.Hour, func(ctx context.Context) error {
		return outbox.Prune(ctx, n.db, n.now().Add(-30*24*time.Hour)) // no caller repeats a message after so long
	})
	n.mux = web.NewMux(web.Options{Log: n.log, Renderer: n.renderer, Lang: n.messages, Around: n.around})
	n.manage = n.newManage()
	n.startTelemetry()
	n.mux.Mount("GET /assets/", assets)
	n.mux.Mount("GET /favicon.ico", http.HandlerFunc(assets.Favicon))
	n.mux.HandleAPI("GET /healthz", func(w http.ResponseWriter, _ *http.Request) error {
		return web.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok", "member": n.cfg.Member})
	})
	n.mux.HandleAPI("GET /readyz", n.readyz)
	return nil
}

// longestPause of the outbox: short in development, where a node that was killed comes back within seconds.
func (n *Node) longestPause() time.Duration {
	if n.cfg.Env == "development" {
		return 5 * time.Second
	}
	return time.Hour
}

func (n *Node) readyz(w http.ResponseWriter, r *http.Request) error {
	state := map[string]any{"member": n.cfg.Member}
	status := http.StatusOK
	if err := n.db.QueryRowContext(r.Context(), `SELECT 1`).Scan(new(int)); err != nil {
		state["database"], status = "away", http.StatusServiceUnavailable
	}
	if n.follower != nil {
		st := n.follower.Status()
		state["directory"] = string(st.Level)
		state["directoryVersion"] = st.Version
		if st.Level == directory.Expired {
			status = http.StatusServiceUnavailable
		}
	}
	if n.follower != nil && !n.ownCertificate(state) {
		status = http.StatusServiceUnavailable
	}
	if n.agreements != nil {
		state["agreementsWaiting"] = n.agreements.Waiting()
	}
	if n.diagnostics != nil { // what they mean is at /status
		causes := []string{}
		for _, f := range n.diagnostics.Look(r.Context()).Findings {
			if f.Stops() {
				causes, status = append(causes, f.Key), http.StatusServiceUnavailable
			}
		}
		state["causes"] = causes
	}
	if b, err := outbox.Look(r.Context(), n.db); err == nil {
		state["outboxWaiting"], state["outboxDead"] = b.Waiting, b.Dead
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	state["heapBytes"] = mem.HeapAlloc
	return web.WriteJSON(w, status, state)
}

func (n *Node) migrate(ctx context.Context, module string, fsys fs.FS, dir string) error {
	if dir != "" {
		sub, err := fs.Sub(fsys, dir)
		if err != nil {
			return err
		}
		fsys = sub
	}
	return storage.Migrate(ctx, n.db, module, fsys, n.now())
}

func (n *Node) path(parts ...string) string {
	return filepath.Join(append([]string{n.cfg.DataDir}, parts...)...)
}

// background adds work that runs as long as the node.
func (n *Node) background(name string, run func(context.Context) error) {
	n.jobs = append(n.jobs, job{name, run})
}

// every adds work that is repeated; a failure is logged and the next turn comes.
func (n *Node) every(name string, pause time.Duration, f func(context.Context) error) {
	n.everyOr(name, pause, nil, f)
}

// everyOr is every with a channel that brings the next turn forward.
func (n *Node) everyOr(name string, pause time.Duration, wake <-chan struct{}, f func(context.Context) error) {
	n.background(name, func(ctx context.Context) error {
		for {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				n.log.WarnContext(ctx, "background work failed and will be repeated", slog.String("job", name), slog.Any("error", err))
			}
			select {
			case <-ctx.Done():
				return nil
			case <-wake:
			case <-time.After(pause):
			}
		}
	})
}

// publish tells the directory what this node offers now that every module has said it.
func (n *Node) publish(ctx context.Context) error {
	if n.exchange == nil {
		return nil
	}
	err := n.follower.Publish(ctx, n.cfg.ServerID(), n.currentKeys(), n.profile())
	if err != nil && n.follower.Document() != nil {
		// The center is away: the node works with its copy of the directory and tells later.
		n.log.WarnContext(ctx, "the center did not take the list of services; it will be told again", slog.Any("error", err))
		n.background("directory.publish", func(ctx context.Context) error { return n.publishLater(ctx) })
		return nil
	}
	return err
}

func (n *Node) publishLater(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Second):
		}
		if err := n.follower.Publish(ctx, n.cfg.ServerID(), n.currentKeys(), n.profile()); err == nil {
			return nil
		}
	}
}

// Run serves until ctx ends, then finishes what is under way and closes everything.
func (n *Node) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, n.close(context.WithoutCancel(ctx))) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if n.web, err = new(net.ListenConfig).Listen(ctx, "tcp", n.cfg.Web.Listen); err != nil {
		return err
	}
	n.web = web.Guard(n.web, 0)
	proxies, err := n.cfg.proxies()
	if err != nil {
		return err
	}
	handler := web.Public(n.mux, web.PublicOptions{
		TrustedProxies: proxies, Limiter: n.limiter(),
		Log: n.log, Now: n.now, Session: n.sessionFunc(), FormAction: n.formAction, CrossOriginBypass: n.bypass,
		HTTPS: len(n.cfg.Web.URL) > 6 && n.cfg.Web.URL[:6] == "https:",
	})
	if n.vxp != nil { // its clients cannot read a page, nor an answer that a page's rules gave
		handler = n.vxp.Wrap(handler)
		if n.cfg.Web.TLSCert == "" {
			n.web = axisapi.Tolerant(n.web)
		}
	}
	if n.edge != nil { // outside of every router: what was signed must be what is called
		handler = exchange.Arrivals(n.now, (&exchangeapi.Async{Edge: n.edge, Messages: n.delivery}).Wrap(n.edge.Wrap(handler)))
	}
	var wg sync.WaitGroup
	run := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	if n.cfg.Web.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(n.cfg.Web.TLSCert, n.cfg.Web.TLSKey)
		if err != nil {
			return err
		}
		n.web = tls.NewListener(n.web, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}})
	}
	run("web", func(ctx context.Context) error { return web.Serve(ctx, web.Server("", handler), n.web, 5*time.Second) })
	if n.linkSrv != nil {
		run("link", func(ctx context.Context) error { return n.serveLink(ctx) })
	}
	run("outbox", n.relay.Run)
	for _, j := range n.jobs {
		run(j.name, j.run)
	}
	n.ready.Do(func() { close(n.started) })
	run("settle", settle)
	<-ctx.Done()
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// settle does [Settle] when a node has been up for a second.
func settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
		Settle()
	}
	return nil
}

// Settle gives back to the system what starting needed and serving does not: migrations, compiled bundles, a register
// that was filled. On a machine that holds many nodes this is half of their memory.
func Settle() {
	debug.FreeOSMemory()
	releaseProgram()
}

// limiter bounds what one client may ask of a node in production: 50 requests a second, 500 at once. A person never
// meets it. In development everybody has the same address.
func (n *Node) limiter() *web.Limiter {
	if n.cfg.Env != "production" {
		return nil
	}
	return web.NewLimiter(n.now, 20*time.Millisecond, 500, 50_000)
}

// Ready is closed once the node serves.
func (n *Node) Ready() <-chan struct{} { return n.started }

func (n *Node) sessionFunc() web.SessionFunc {
	if n.sessions == nil {
		return nil
	}
	return n.sessions.Principal
}

func (n *Node) close(ctx context.Context) error {
	var err error
	for _, c := range slices.Backward(n.closers) {
		err = errors.Join(err, c(ctx))
	}
	n.closers = nil
	return err
}
