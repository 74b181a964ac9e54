package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"os"
	"time"

	"truc/internal/directory"
	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangepage"
	"truc/internal/exchange/exchangestore"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/telemetry"
	"truc/internal/web"
)

// startDiagnostics makes the checks of the node, its pages and its operations, and /status.
func (n *Node) startDiagnostics(store *exchangestore.Store) error {
	n.diagnostics = &exchange.Diagnostics{Now: n.now, Checks: []func(context.Context) []exchange.Finding{
		n.checkDirectory, n.checkRelease, n.checkCertificate, n.checkChannelKey, n.exchange.CheckSelf, n.checkLog, n.space.Check, n.checkConfirmed, n.checkDatabase, n.checkDescriptors, n.checkBackups, n.checkIncidents,
	}}
	operations := &exchangeapi.ManageDiagnostics{
		Service: n.exchange, Store: store, Diagnostics: n.diagnostics, Tests: n.tests(), Node: n.cfg.ServerID(), Text: n.messages.T, Now: n.now,
	}
	queue := &exchangeapi.ManageOperations{Delivery: n.delivery, Notaries: n.notaries}
	kept, err := n.keptLimits()
	if err != nil {
		return err
	}
	limits := &exchangeapi.ManageLimits{Service: n.exchange, Configured: n.cfg.Exchange.Limits, Kept: kept, Keep: n.keepLimits}
	if err := errors.Join(operations.Declare(n.manage), queue.Declare(n.manage), limits.Declare(n.manage), n.manageLogs().Declare(n.manage)); err != nil {
		return err
	}
	pages := &exchangepage.MonitorPages{
		Service: n.exchange, Store: store, Directory: directoryView{n.follower}, Diagnostics: n.diagnostics, Report: operations.Report, Renderer: n.renderer, Now: n.now, Audit: n.act,
		CertificateEnds: n.certificateEnds,
	}
	n.mux.HandleAPI("GET /status", n.status)
	return pages.Mount(n.mux)
}

// certificateEnds is when the certificate of a node ends, by the directory document at hand.
func (n *Node) certificateEnds(server string) time.Time {
	if doc := n.follower.Document(); doc != nil {
		if node, ok := doc.Node(server); ok && node.CertificateEnds > 0 {
			return time.Unix(node.CertificateEnds, 0).UTC()
		}
	}
	return time.Time{}
}

// tests are the connection tests of this node.
func (n *Node) tests() exchangeapi.Tests {
	return exchangeapi.Tests{Member: n.exchange.Probe, Center: n.testCenter, Authorities: n.testAuthorities}
}

// status tells in words how the node is: causes, and no secrets, addresses or names.
func (n *Node) status(w http.ResponseWriter, r *http.Request) error {
	type finding struct {
		Name  string `json:"name"`
		Light string `json:"light"`
		Text  string `json:"text"`
	}
	report := n.diagnostics.Look(r.Context())
	out := struct {
		Status   string    `json:"status"`
		At       time.Time `json:"at"`
		Findings []finding `json:"findings"`
	}{Status: report.Worst(), At: report.At}
	lang := reqctx.Lang(r.Context())
	status := http.StatusOK
	for _, f := range report.Findings {
		out.Findings = append(out.Findings, finding{f.Name, f.Light, n.messages.T(lang, f.Key, f.Args...)})
		if f.Stops() {
			status = http.StatusServiceUnavailable
		}
	}
	return web.WriteJSON(w, status, out)
}

func (n *Node) checkDirectory(context.Context) []exchange.Finding {
	st := n.follower.Status()
	f := exchange.Finding{Name: "directory", Light: exchange.LightGood, Key: "exchange.diag.directory_good", Args: []any{"version", st.Version, "minutes", int64(n.now().Sub(st.Confirmed).Minutes())}}
	switch st.Level {
	case directory.Stale:
		f.Light, f.Key, f.Todo = exchange.LightWarn, "exchange.diag.directory_stale", "exchange.diag.directory_todo"
	case directory.Degraded:
		f.Light, f.Key, f.Todo = exchange.LightWarn, "exchange.diag.directory_degraded", "exchange.diag.directory_todo"
	case directory.Expired:
		f.Light, f.Key, f.Args, f.Todo = exchange.LightBad, "exchange.diag.directory_expired", nil, "exchange.diag.directory_todo"
	default:
	}
	return []exchange.Finding{f}
}

func (n *Node) checkCertificate(context.Context) []exchange.Finding {
	f := exchange.Finding{Name: "certificate", Light: exchange.LightBad, Key: "exchange.diag.certificate_none", Todo: "exchange.diag.certificate_todo"}
	b, err := os.ReadFile(n.certPath())
	if err != nil {
		return []exchange.Finding{f}
	}
	st, err := directory.StateOfCertificate(b, n.now())
	if err != nil {
		return []exchange.Finding{f}
	}
	f.Args = []any{"days", st.Days}
	switch st.Alarm {
	case directory.NoAlarm:
		f.Light, f.Key, f.Todo = exchange.LightGood, "exchange.diag.certificate_good", ""
	case directory.AlarmEnded:
		f.Key, f.Args = "exchange.diag.certificate_ended", nil
	default:
		f.Light, f.Key = exchange.LightWarn, "exchange.diag.certificate_soon"
	}
	return []exchange.Finding{f}
}

func (n *Node) checkLog(context.Context) []exchange.Finding {
	log := exchange.Finding{Name: "log", Light: exchange.LightGood, Key: "exchange.diag.log_good", Args: []any{"n", n.evidence.Size()}}
	for _, l := range n.logs { // that of the audit too: what cannot be recorded is not given
		if _, err := l.Checkpoint(); err != nil { // a log that failed once refuses everything
			log.Light, log.Key, log.Args, log.Todo = exchange.LightBad, "exchange.diag.log_failed", nil, "exchange.diag.log_todo"
		}
	}
	return []exchange.Finding{log}
}

// How long a log may go without a time-stamp or witnesses (spec D29).
const (
	confirmWarn = 15 * time.Minute
	confirmBad  = 4 * time.Hour
)

func (n *Node) checkConfirmed(context.Context) []exchange.Finding {
	stamps := exchange.Finding{Name: "time_stamps", Light: exchange.LightGood, Key: "exchange.diag.stamps_good"}
	witnesses := exchange.Finding{Name: "witnesses", Light: exchange.LightGood, Key: "exchange.diag.witnesses_good"}
	var unstamped, unwitnessed time.Duration
	for _, no := range n.notaries {
		st := no.State()
		unstamped, unwitnessed = max(unstamped, st.Untimestamped), max(unwitnessed, st.Unwitnessed)
	}
	judge := func(f *exchange.Finding, late time.Duration, key, todo string) {
		if late < confirmWarn {
			return
		}
		f.Light, f.Key, f.Args, f.Todo = exchange.LightWarn, key, []any{"minutes", int64(late.Minutes())}, todo
		if late >= confirmBad {
			f.Light = exchange.LightBad
		}
	}
	judge(&stamps, unstamped, "exchange.diag.stamps_late", "exchange.diag.stamps_todo")
	judge(&witnesses, unwitnessed, "exchange.diag.witnesses_late", "exchange.diag.witnesses_todo")
	return []exchange.Finding{stamps, witnesses}
}

func (n *Node) checkDatabase(ctx context.Context) []exchange.Finding {
	db := exchange.Finding{Name: "database", Light: exchange.LightGood, Key: "exchange.diag.database_good"}
	if err := n.db.QueryRowContext(ctx, `SELECT 1`).Scan(new(int)); err != nil {
		db.Light, db.Key, db.Todo = exchange.LightBad, "exchange.diag.database_away", "exchange.diag.database_todo"
		return []exchange.Finding{db}
	}
	queue := exchange.Finding{Name: "queue", Light: exchange.LightGood, Key: "exchange.diag.queue_good"}
	b, err := outbox.Look(ctx, n.db)
	switch late := n.now().Sub(b.Oldest); {
	case err != nil:
		queue.Light, queue.Key, queue.Todo = exchange.LightWarn, "exchange.diag.queue_unknown", "exchange.diag.database_todo"
	case b.Dead > 0:
		queue.Light, queue.Key, queue.Args, queue.Todo = exchange.LightWarn, "exchange.diag.queue_dead", []any{"n", b.Dead}, "exchange.diag.queue_todo"
	case !b.Oldest.IsZero() && late > confirmWarn:
		queue.Light, queue.Key, queue.Args, queue.Todo = exchange.LightWarn, "exchange.diag.queue_late", []any{"n", b.Waiting, "minutes", int64(late.Minutes())}, "exchange.diag.queue_todo"
	default:
		queue.Args = []any{"n", b.Waiting}
	}
	return []exchange.Finding{db, queue}
}

func (n *Node) checkDescriptors(context.Context) []exchange.Finding {
	f := exchange.Finding{Name: "descriptors", Light: exchange.LightGood, Key: "exchange.diag.files_good"}
	open, limit, ok := telemetry.Descriptors()
	if !ok {
		return nil
	}
	f.Args = []any{"n", open}
	if limit > 0 && open*10 > limit*8 {
		f.Light, f.Key, f.Todo = exchange.LightWarn, "exchange.diag.files_many", "exchange.diag.files_todo"
	}
	return []exchange.Finding{f}
}

// testCenter asks the center for its newest document, and says what came.
func (n *Node) testCenter(ctx context.Context) []exchange.Step {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	start := n.now()
	if err := n.follower.Refresh(ctx); err != nil {
		return []exchange.Step{{Name: "center", Key: "exchange.probe.center_failed", Took: n.now().Sub(start)}}
	}
	st := n.follower.Status()
	return []exchange.Step{{Name: "center", OK: true, Key: "exchange.probe.center_ok", Args: []any{"version", st.Version}, Took: n.now().Sub(start)}}
}

// testAuthorities has each time-stamp authority stamp a digest that means nothing.
func (n *Node) testAuthorities(ctx context.Context) []exchange.Step {
	list, err := n.authorities()
	if err != nil || len(list) == 0 {
		return []exchange.Step{{Name: "authority", Key: "exchange.probe.authority_none"}}
	}
	var out []exchange.Step
	for _, a := range list {
		one, cancel := context.WithTimeout(ctx, 10*time.Second)
		start := n.now()
		digest := sha256.Sum256([]byte("connection test " + start.Format(time.RFC3339Nano)))
		step := exchange.Step{Name: "authority", Peer: a.Name, OK: true, Key: "exchange.probe.authority_ok"}
		if _, err := a.Client.Timestamp(one, digest[:]); err != nil {
			step.OK, step.Key = false, "exchange.probe.authority_failed"
		}
		step.Took = n.now().Sub(start)
		out = append(out, step)
		cancel()
	}
	return out
}
