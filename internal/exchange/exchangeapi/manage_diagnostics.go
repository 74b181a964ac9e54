package exchangeapi

import (
	"context"
	"errors"
	"runtime"
	"time"

	"truc/internal/exchange"
	"truc/internal/reqctx"
	"truc/internal/telemetry"
	"truc/internal/web/manage"
)

// Tests are the connection tests of a node.
type Tests struct {
	// Member tests the way to a member or to a service.
	Member func(ctx context.Context, target string) []exchange.Step
	// Center tests the way to the center, Authorities those to the time-stamp authorities.
	Center, Authorities func(ctx context.Context) []exchange.Step
}

// ManageDiagnostics declares diagnostics, tests, partners and traffic.
type ManageDiagnostics struct {
	Service     *exchange.Service
	Store       exchange.Store
	Diagnostics *exchange.Diagnostics
	Tests       Tests
	Node        string
	// Text writes a message in a language.
	Text func(lang, key string, args ...any) string
	Now  func() time.Time
}

// DiagnosticsReport is what support is sent: no secrets, no addresses, no personal data.
type DiagnosticsReport struct {
	Node     string                   `json:"node"`
	At       time.Time                `json:"at"`
	Light    string                   `json:"light" enum:"good,warn,bad"`
	Findings []ReportFinding          `json:"findings"`
	Circuits []ReportCircuit          `json:"circuits"`
	Services []exchange.ServiceHealth `json:"services"`
	Process  ReportProcess            `json:"process"`
}

// ReportFinding is one finding in words.
type ReportFinding struct {
	Name  string `json:"name"`
	Light string `json:"light" enum:"good,warn,bad"`
	Code  string `json:"code" doc:"message key"`
	Text  string `json:"text"`
	Todo  string `json:"todo,omitempty" doc:"what to do next"`
}

// ReportCircuit is a circuit breaker that has seen calls.
type ReportCircuit struct {
	Kind     string    `json:"kind" enum:"peer,service"`
	Name     string    `json:"name"`
	State    string    `json:"state" enum:"closed,open,half_open"`
	Since    time.Time `json:"since,omitzero"`
	Failures int       `json:"failures"`
}

// ReportProcess is about the process.
type ReportProcess struct {
	Go         string `json:"go"`
	System     string `json:"system"`
	Processors int    `json:"processors"`
	Goroutines int    `json:"goroutines"`
	HeapBytes  uint64 `json:"heap_bytes"`
	OpenFiles  int64  `json:"open_files"`
}

// Report looks at the node and writes what was found in the language of the request.
func (m *ManageDiagnostics) Report(ctx context.Context) DiagnosticsReport {
	lang := reqctx.Lang(ctx)
	found := m.Diagnostics.Look(ctx)
	out := DiagnosticsReport{Node: m.Node, At: found.At, Light: found.Worst(), Services: m.Service.Health()}
	for _, f := range found.Findings {
		r := ReportFinding{Name: f.Name, Light: f.Light, Code: f.Key, Text: m.Text(lang, f.Key, f.Args...)}
		if f.Todo != "" {
			r.Todo = m.Text(lang, f.Todo)
		}
		out.Findings = append(out.Findings, r)
	}
	for _, c := range m.Service.Circuits() {
		out.Circuits = append(out.Circuits, ReportCircuit{c.Kind, c.Name, c.State, c.Since, c.Failures})
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	open, _, _ := telemetry.Descriptors()
	out.Process = ReportProcess{runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, runtime.NumCPU(), runtime.NumGoroutine(), mem.HeapAlloc, open}
	return out
}

type partner struct {
	Peer      string    `json:"peer"`
	Total     int64     `json:"total" doc:"exchanges of the last 24 hours"`
	Faults    int64     `json:"faults"`
	LastOK    time.Time `json:"last_ok,omitzero"`
	LastFault time.Time `json:"last_fault,omitzero"`
	MeanMS    float64   `json:"mean_ms"`
}

type trafficHour struct {
	Hour   time.Time `json:"hour"`
	Role   string    `json:"role" enum:"consumer,provider"`
	Total  int64     `json:"total"`
	Faults int64     `json:"faults"`
}

// Declare adds the operations.
func (m *ManageDiagnostics) Declare(api *manage.API) error {
	system := []manage.Role{manage.System}
	steps := func(list []exchange.Step) manage.List[probeStep] { return manage.List[probeStep]{Items: m.steps(list)} }
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/diagnostics", ID: "getDiagnostics", Tag: "diagnostics", Summary: "How the node is, in words", Roles: system,
		}, func(ctx context.Context, _ manage.None) (DiagnosticsReport, error) { return m.Report(ctx), nil }),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/partners", ID: "listPartners", Tag: "monitoring", Summary: "Exchanges with each node during the last 24 hours", Roles: system,
		}, m.partners),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/traffic", ID: "listTraffic", Tag: "monitoring", Summary: "Exchanges by hour during the last 7 days", Roles: system,
		}, m.traffic),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/test/target", ID: "testTarget", Tag: "diagnostics",
			Summary: "Test the way to a member or service, step by step", Roles: system, Quiet: true,
		}, func(ctx context.Context, in struct {
			Target string `json:"target" doc:"VN/GOV/G01 or VN/GOV/G01/population/person"`
		},
		) (manage.List[probeStep], error) {
			return steps(m.Tests.Member(ctx, in.Target)), nil
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/test/center", ID: "testCenter", Tag: "diagnostics", Summary: "Test the way to the center", Roles: system, Quiet: true,
		}, func(ctx context.Context, _ manage.None) (manage.List[probeStep], error) {
			return steps(m.Tests.Center(ctx)), nil
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/test/authorities", ID: "testAuthorities", Tag: "diagnostics", Summary: "Test each time-stamp authority", Roles: system, Quiet: true,
		}, func(ctx context.Context, _ manage.None) (manage.List[probeStep], error) {
			return steps(m.Tests.Authorities(ctx)), nil
		}),
	)
}

func (m *ManageDiagnostics) steps(list []exchange.Step) []probeStep {
	var out []probeStep
	for _, s := range list {
		out = append(out, probeStep{s.Name, s.Peer, s.OK, s.Key, s.Fault, milliseconds(s.Took)})
	}
	return out
}

func (m *ManageDiagnostics) partners(ctx context.Context, _ manage.None) (out manage.List[partner], err error) {
	if err := m.Service.Flush(ctx); err != nil {
		return out, err
	}
	rows, err := m.Store.Partners(ctx, m.Now().Add(-24*time.Hour))
	for _, r := range rows {
		out.Items = append(out.Items, partner{r.Peer, r.Total, r.Faults, r.LastOK, r.LastFault, milliseconds(r.Mean)})
	}
	return out, err
}

func (m *ManageDiagnostics) traffic(ctx context.Context, _ manage.None) (out manage.List[trafficHour], err error) {
	if err := m.Service.Flush(ctx); err != nil {
		return out, err
	}
	rows, err := m.Store.Hourly(ctx, m.Now().Add(-7*24*time.Hour))
	for _, r := range rows {
		out.Items = append(out.Items, trafficHour{r.Hour, r.Role, r.Total, r.Faults})
	}
	return out, err
}
