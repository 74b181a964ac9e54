package exchange

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"truc/internal/telemetry"
)

// phase is a part of an exchange whose time is measured (spec D39).
type phase uint8

const (
	phaseEdge    phase = iota // from the arrival to the first signature: reading, choosing a node
	phaseSign                 // making a signature
	phaseLog                  // writing the log, with the wait for the disk
	phaseLink                 // network and peer
	phaseVerify               // checking signatures, and at the provider the sender
	phaseBackend              // the service behind the provider
	phases
)

var phaseNames = [phases]string{"edge", "sign", "log_wait", "link", "verify", "backend"}

// roleNames are the labels of the two roles; index 0 is the consumer.
var roleNames = [2]string{RoleConsumer, RoleProvider}

// Metrics are the figures of a node's exchange.
type Metrics struct {
	requests *telemetry.CounterVec
	total    [2]telemetry.Histogram
	phase    [2][phases]telemetry.Histogram
	bytes    [2][2]telemetry.Counter // role; request, response
	inFlight [2]atomic.Int64
}

// NewMetrics registers the figures. Labels are closed sets: a service is named only when it is one that the directory
// or this node knows.
func NewMetrics(r *telemetry.Registry) *Metrics {
	bounds := []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30}
	m := &Metrics{requests: r.Counter("truc_exchange_requests_total", "Exchanges that ended, by role, service and outcome (ok or the code of a fault).", "role", "service", "outcome")}
	total := r.Histogram("truc_exchange_duration_seconds", "Duration of exchanges, from the first byte in to the last byte out.", bounds, "role")
	byPhase := r.Histogram("truc_exchange_phase_seconds", "Duration of the phases of exchanges.", bounds, "role", "phase")
	bytes := r.Counter("truc_exchange_body_bytes_total", "Bytes of bodies.", "role", "direction")
	for i, role := range roleNames {
		m.total[i] = total.With(role)
		for p, name := range phaseNames {
			m.phase[i][p] = byPhase.With(role, name)
		}
		m.bytes[i] = [2]telemetry.Counter{bytes.With(role, directionRequest), bytes.With(role, directionResponse)}
	}
	r.Collect("truc_exchange_in_flight", "Exchanges under way.", "gauge", []string{"role"}, func(emit func(float64, ...string)) {
		for i, role := range roleNames {
			emit(float64(m.inFlight[i].Load()), role)
		}
	})
	return m
}

// lap is one measured phase of one exchange.
type lap struct {
	phase      phase
	start, end int64 // Unix microseconds
}

// observation follows the times and the trace of an exchange.
type observation struct {
	role   int
	trace  telemetry.Trace // our own span
	parent [8]byte         // the span above
	next   telemetry.Trace // the span of the hop behind, which it names as its parent
	last   int64
	laps   [16]lap
	n      int
}

// Arrivals notes when requests arrive, before anything of them is decoded, and which trace they belong to. It stands
// around the handlers of edge and link.
func Arrivals(now func() time.Time, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := telemetry.FromHeader(r.Header)
		t.Arrived = now().UnixMicro()
		next.ServeHTTP(w, r.WithContext(telemetry.WithTrace(r.Context(), t)))
	})
}

// begin starts to observe. The arrival is that of edge or link; a module that calls has none.
func (x *exchangeState) begin(ctx context.Context, header http.Header) {
	o := &x.obs
	if x.role == RoleProvider {
		o.role = 1
	}
	x.s.metrics.inFlight[o.role].Add(1)
	o.last = x.started.UnixMicro()
	t := telemetry.TraceOf(ctx)
	if t.Arrived > 0 && t.Arrived <= o.last {
		o.last = t.Arrived
		x.msg.At = time.UnixMicro(t.Arrived).UTC()
	}
	if !t.Valid() {
		t = telemetry.FromHeader(header)
	}
	if t.Valid() {
		o.parent = t.Span
		o.trace = t.Child()
	} else {
		o.trace = telemetry.NewTrace(x.s.opt.Spans != nil)
	}
	x.msg.TraceID = o.trace.TraceID()
}

// lap ends a phase and begins the next.
func (x *exchangeState) lap(p phase) {
	o := &x.obs
	now := x.s.now().UnixMicro()
	x.s.metrics.phase[o.role][p].Observe(float64(now-o.last) / 1e6)
	if o.n < len(o.laps) {
		o.laps[o.n] = lap{p, o.last, now}
		o.n++
	}
	o.last = now
}

// sending ends what came before the request is sent on, and writes the span of the next hop into its headers.
func (x *exchangeState) sending(h http.Header) telemetry.Trace {
	next := x.obs.trace.Child()
	next.SetHeader(h)
	x.obs.next = next
	x.obs.last = x.s.now().UnixMicro()
	x.msg.RequestOut = time.UnixMicro(x.obs.last).UTC()
	return next
}

// arrived ends the phase of the next hop.
func (x *exchangeState) arrived(p phase) {
	x.lap(p)
	x.msg.ResponseIn = time.UnixMicro(x.obs.last).UTC()
}

// end counts an exchange that is over and hands its spans on.
func (x *exchangeState) end(f *Fault) {
	o, m := &x.obs, x.s.metrics
	m.inFlight[o.role].Add(-1)
	end := x.s.now()
	x.msg.Duration, x.msg.Recorded = end.Sub(x.msg.At), end
	if f != nil {
		x.msg.FaultID = f.ID
	}
	outcome, service := x.msg.Outcome, x.msg.Service
	if outcome != "ok" {
		outcome, _, _ = strings.Cut(codeOf(outcome), ".")
		if _, known := faultCodes[outcome]; !known {
			outcome = "other"
		}
		if !x.logged || outcome == "unknown_service" || outcome == "unknown_member" {
			service = "" // what nobody knows must not grow the figures
		}
	}
	m.requests.With(roleNames[o.role], service, outcome).Inc()
	m.total[o.role].Observe(x.msg.Duration.Seconds())
	m.bytes[o.role][0].Add(uint64(max(0, x.msg.RequestSize)))
	m.bytes[o.role][1].Add(uint64(max(0, x.msg.ResponseSize)))
	if service != "" {
		x.s.health.note(o.role, service, &x.msg, end)
	}
	if x.s.opt.Spans != nil && o.trace.Sampled {
		x.s.opt.Spans.Put(x.spans(end)...)
	}
}

// spans are one of the whole exchange at this node, and one of each phase below it.
func (x *exchangeState) spans(end time.Time) []telemetry.Span {
	o := &x.obs
	name, kind := "exchange call", telemetry.SpanClient
	if x.role == RoleProvider {
		name, kind = "exchange receive", telemetry.SpanServer
	}
	top := telemetry.Span{
		Trace: o.trace, Parent: o.parent, Name: name, Kind: kind, Start: x.msg.At, End: end,
		Attributes: [][2]string{{"truc.service", x.msg.Service}, {"truc.client", x.msg.Client}, {"truc.request_id", x.msg.RequestID}, {"truc.peer", x.peer.ServerID}, {"truc.outcome", x.msg.Outcome}},
	}
	if x.msg.Outcome != "ok" {
		top.Fault = x.msg.Outcome
	}
	out := append(make([]telemetry.Span, 0, o.n+1), top)
	for _, l := range o.laps[:o.n] {
		below := o.trace.Child()
		if (l.phase == phaseLink || l.phase == phaseBackend) && o.next.Valid() {
			below = o.next
		}
		out = append(out, telemetry.Span{
			Trace: below, Parent: o.trace.Span, Name: phaseNames[l.phase], Kind: telemetry.SpanInternal,
			Start: time.UnixMicro(l.start), End: time.UnixMicro(l.end),
		})
	}
	return out
}
