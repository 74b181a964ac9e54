package app

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/notary"
	"truc/internal/outbox"
	"truc/internal/pki"
	"truc/internal/telemetry"
	"truc/internal/translog"
	"truc/internal/web"
	"truc/internal/web/manage"
)

// TelemetryConfig is what the node tells machines about itself.
type TelemetryConfig struct {
	// MetricsListen is a loopback address, such as "127.0.0.1:9464", at which /metrics is given to anybody on this
	// machine; default none. From elsewhere /metrics of the ordinary listener is read with an operator's key that has
	// the role observer or system.
	MetricsListen string `toml:"metrics_listen"`
	// OTLPEndpoint is the address of a collector for traces, such as "http://127.0.0.1:4318/v1/traces" (OTLP over HTTP);
	// default none, and no spans are made. Trace ids are passed on and logged all the same.
	OTLPEndpoint string `toml:"otlp_endpoint"`
	// Packages lets operators with the role system list what is installed on the machine (/api/exchange/packages), as far as
	// dpkg keeps it; default false, for the list helps who looks for a hole too. What the program was built from is always
	// listed there.
	Packages bool `toml:"packages"`
}

func (c *TelemetryConfig) check() []error {
	var faults []error
	if c.MetricsListen != "" {
		host, _, err := net.SplitHostPort(c.MetricsListen)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			faults = append(faults, fmt.Errorf("telemetry.metrics_listen: %q is no loopback address with a port", c.MetricsListen))
		}
	}
	if c.OTLPEndpoint != "" && !strings.HasPrefix(c.OTLPEndpoint, "http://") && !strings.HasPrefix(c.OTLPEndpoint, "https://") {
		faults = append(faults, fmt.Errorf("telemetry.otlp_endpoint: %q is no address", c.OTLPEndpoint))
	}
	return faults
}

// startTelemetry makes the registry and, when a collector is named, the exporter of spans.
func (n *Node) startTelemetry() {
	n.metrics = new(telemetry.Registry)
	n.metrics.Process(n.now())
	if n.cfg.Telemetry.OTLPEndpoint != "" {
		n.spans = &telemetry.Exporter{
			Endpoint: n.cfg.Telemetry.OTLPEndpoint, Service: "truc", Instance: n.cfg.ServerID(),
			Client: &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		}
		n.background("telemetry.spans", n.spans.Run)
		n.metrics.Collect("truc_trace_spans_total", "Spans, by what became of them.", "counter", []string{"state"}, func(emit func(float64, ...string)) {
			sent, dropped, failed := n.spans.Counts()
			emit(float64(sent), "sent")
			emit(float64(dropped), "dropped")
			emit(float64(failed), "failed")
		})
	}
	n.mux.Mount("GET /metrics", http.HandlerFunc(n.serveMetrics))
	if n.cfg.Telemetry.MetricsListen != "" {
		n.background("telemetry.metrics", n.listenMetrics)
	}
}

// serveMetrics gives the figures to an operator. A key and not an address decides, because behind a proxy everybody
// comes from this machine.
func (n *Node) serveMetrics(w http.ResponseWriter, r *http.Request) {
	secret, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	by, err := n.manage.Authenticate(r.Context(), secret)
	switch {
	case err != nil && !errs.Is(err, errs.Unauthenticated):
		n.mux.FailAPI(w, r, err)
		return
	case err != nil:
		w.Header().Set("WWW-Authenticate", `Bearer realm="truc"`)
		n.mux.FailAPI(w, r, errs.E(errs.Unauthenticated, "web.manage.no_key", err))
		return
	case !slices.Contains(by.Roles, manage.Observer) && !slices.Contains(by.Roles, manage.System):
		n.mux.FailAPI(w, r, errs.E(errs.Denied, "web.manage.role", nil, "roles", "observer, system"))
		return
	}
	n.writeMetrics(w, r)
}

func (n *Node) writeMetrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", telemetry.ContentType)
	w.Header().Set("Cache-Control", "no-store")
	if err := n.metrics.Write(w); err != nil {
		n.log.DebugContext(r.Context(), "metrics were not read to the end")
	}
}

func (n *Node) listenMetrics(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", n.cfg.Telemetry.MetricsListen)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", n.writeMetrics)
	return web.Serve(ctx, web.Server("", mux), l, time.Second)
}

// measureExchange registers what the exchange's surroundings tell: directory, certificate, log, outbox, breakers.
func (n *Node) measureExchange() {
	gauge := func(name, help string, f func() (float64, bool)) {
		n.metrics.Collect(name, help, "gauge", nil, func(emit func(float64, ...string)) {
			if v, ok := f(); ok {
				emit(v)
			}
		})
	}
	gauge("truc_directory_age_seconds", "Time since the center last confirmed the directory document.", func() (float64, bool) {
		st := n.follower.Status()
		return n.now().Sub(st.Confirmed).Seconds(), !st.Confirmed.IsZero()
	})
	gauge("truc_directory_version", "Version of the directory document in force.", func() (float64, bool) { return float64(n.follower.Status().Version), true })
	gauge("truc_directory_waiting", "Requests of nodes that the center holds until there is news; none at other nodes.", func() (float64, bool) {
		if n.center == nil {
			return 0, false
		}
		return float64(n.center.Waiting()), true
	})
	n.metrics.Collect("truc_directory_level", "1 for the level of the directory document in force.", "gauge", []string{"level"}, func(emit func(float64, ...string)) {
		for _, level := range []directory.Level{directory.Fresh, directory.Stale, directory.Degraded, directory.Expired} {
			v := 0.0
			if n.follower.Status().Level == level {
				v = 1
			}
			emit(v, string(level))
		}
	})
	gauge("truc_certificate_days_left", "Days until the certificate of the link ends.", func() (float64, bool) {
		leaf := n.linkLeaf()
		if leaf == nil {
			return 0, false
		}
		return leaf.NotAfter.Sub(n.now()).Hours() / 24, true
	})
	gauge("truc_exchange_log_entries", "Entries in the log of the exchange.", func() (float64, bool) { return float64(n.evidence.Size()), true })
	gauge("truc_exchange_log_waiting_entries", "Entries that are not on the disk yet.", func() (float64, bool) { return float64(n.evidence.Size() - n.evidence.Durable()), true })
	commits := func(name, help string, figure func(translog.CommitStats) float64) {
		n.metrics.Collect(name, help, "counter", []string{"log"}, func(emit func(float64, ...string)) {
			for _, log := range slices.Sorted(maps.Keys(n.logs)) {
				emit(figure(n.logs[log].Commits()), log)
			}
		})
	}
	commits("truc_log_commits_total", "Times that a log waited for the disk.", func(c translog.CommitStats) float64 { return float64(c.Runs) })
	commits("truc_log_committed_entries_total", "Entries that these commits put on the disk; by commits it is the size of a batch.", func(c translog.CommitStats) float64 { return float64(c.Entries) })
	commits("truc_log_commit_wait_seconds_total", "Time that these commits took.", func(c translog.CommitStats) float64 { return c.Waited.Seconds() })
	gauge("truc_log_free_bytes", "Free space where the logs lie.", func() (float64, bool) {
		st := n.space.State()
		return float64(st.Free), st.Known
	})
	gauge("truc_log_space_full", "1 while less than the reserve is free and exchanges are refused.", func() (float64, bool) {
		st := n.space.State()
		if st.Full {
			return 1, st.Known
		}
		return 0, st.Known
	})
	late := func(name, help string, of func(notary.State) time.Duration) {
		n.metrics.Collect(name, help, "gauge", []string{"log"}, func(emit func(float64, ...string)) {
			for _, no := range n.notaries {
				st := no.State()
				emit(of(st).Seconds(), st.Origin)
			}
		})
	}
	late("truc_untimestamped_seconds", "For how long there have been entries that no time-stamp covers.", func(s notary.State) time.Duration { return s.Untimestamped })
	late("truc_unwitnessed_seconds", "For how long there have been entries that too few witnesses have cosigned.", func(s notary.State) time.Duration { return s.Unwitnessed })
	n.metrics.Collect("truc_outbox_messages", "Messages that have not been performed.", "gauge", []string{"state"}, func(emit func(float64, ...string)) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if b, err := outbox.Look(ctx, n.db); err == nil {
			emit(float64(b.Waiting), "waiting")
			emit(float64(b.Dead), "dead")
		}
	})
	gauge("truc_outbox_oldest_seconds", "Age of the oldest message that waits.", func() (float64, bool) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		b, err := outbox.Look(ctx, n.db)
		if err != nil || b.Oldest.IsZero() {
			return 0, err == nil
		}
		return n.now().Sub(b.Oldest).Seconds(), true
	})
	n.metrics.Collect("truc_exchange_breaker_state", "State of circuit breakers: 0 closed, 1 half open, 2 open.", "gauge", []string{"kind", "name"}, func(emit func(float64, ...string)) {
		for _, c := range n.exchange.Circuits() {
			emit(map[string]float64{exchange.CircuitClosed: 0, exchange.CircuitHalfOpen: 1, exchange.CircuitOpen: 2}[c.State], c.Kind, c.Name)
		}
	})
}

// linkLeaf is the certificate of the link; nil before the node has one.
func (n *Node) linkLeaf() *x509.Certificate {
	b, err := os.ReadFile(n.certPath())
	if err != nil {
		return nil
	}
	certs, err := pki.DecodePEM(b)
	if err != nil || len(certs) == 0 {
		return nil
	}
	return certs[0]
}
