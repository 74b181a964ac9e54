package exchangepage

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// MonitorPages show how the node does: diagnostics, partners and faults.
type MonitorPages struct {
	Service   *exchange.Service
	Store     exchange.Store
	Directory exchange.Directory
	// CertificateEnds is when the certificate of a node ends, by the directory; zero when it does not say. It may be nil.
	CertificateEnds func(server string) time.Time
	Diagnostics     *exchange.Diagnostics
	// Report is the diagnostics as a file.
	Report   func(ctx context.Context) exchangeapi.DiagnosticsReport
	Audit    func(ctx context.Context, actor, action, object string) error
	Renderer *ui.Renderer
	Now      func() time.Time

	templates *ui.Templates
}

// Mount adds the routes, all for administrators.
func (p *MonitorPages) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	m.HandleFor("GET /exchange/admin/diagnostics", p.diagnostics, "getDiagnostics")
	m.HandleFor("POST /exchange/admin/diagnostics/report", p.report, "getDiagnostics")
	m.HandleFor("GET /exchange/admin/partners", p.partners, "listPartners")
	m.HandleFor("GET /exchange/admin/faults", p.faults, "listMessages")
	return nil
}

type diagnosticsPage struct {
	ui.Page
	Panel    ui.Notice
	Findings ui.Table
	Services ui.Table
	Download ui.Button
}

var lightTones = map[string]ui.Tone{exchange.LightGood: ui.Done, exchange.LightWarn: ui.Soon, exchange.LightBad: ui.Late}

func (p *MonitorPages) diagnostics(w http.ResponseWriter, r *http.Request) error {
	pg := diagnosticsPage{Page: page(r, "exchange.diag.title")}
	pg.Back = pg.BackTo("/exchange/admin")
	report := p.Diagnostics.Look(r.Context())
	worst := report.Worst()
	pg.Panel = ui.Notice{Title: pg.T("exchange.diag.whole." + worst), Text: pg.T("exchange.diag.at", "at", i18n.DateTime(report.At)), Tone: lightTones[worst]}
	pg.Findings = ui.Table{
		Caption: pg.T("exchange.diag.findings"),
		Columns: []ui.Column{{Text: pg.T("exchange.diag.what")}, {Text: pg.T("exchange.diag.light")}, {Text: pg.T("exchange.diag.how")}},
	}
	for _, f := range report.Findings {
		how := ui.Cell{Text: pg.T(f.Key, f.Args...)}
		if f.Todo != "" {
			how.Sub = pg.T(f.Todo)
		}
		tone := lightTones[f.Light]
		row := ui.Row{Cells: []ui.Cell{{Text: pg.T("exchange.diag.name." + f.Name), Head: true}, {Tag: &ui.Tag{Text: pg.T("exchange.diag.light." + f.Light), Tone: tone}}, how}}
		if f.Light != exchange.LightGood {
			row.Tone = tone
		}
		pg.Findings.Rows = append(pg.Findings.Rows, row)
	}
	pg.Services = healthTable(pg.Page, p.Service.Health())
	pg.Download = ui.Button{Text: pg.T("exchange.diag.download"), Kind: "secondary"}
	return p.templates.Render(w, r, http.StatusOK, "diagnostics", pg)
}

func healthTable(pg ui.Page, list []exchange.ServiceHealth) ui.Table {
	t := ui.Table{
		Caption: pg.T("exchange.health.title"), Dense: true,
		Columns: []ui.Column{
			{Text: pg.T("exchange.service")},
			{Text: pg.T("exchange.direction")},
			{Text: pg.T("exchange.health.good"), Numeric: true},
			{Text: pg.T("exchange.traffic.faults"), Numeric: true},
			{Text: pg.T("exchange.health.mean"), Numeric: true},
			{Text: pg.T("exchange.health.last_good")},
			{Text: pg.T("exchange.health.last_fault")},
		},
		Empty: &ui.Empty{Title: pg.T("exchange.health.none"), Text: pg.T("exchange.traffic.none_text")},
	}
	for _, h := range list {
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{
			{Text: h.Service, Head: true},
			{Text: pg.T("exchange.role." + h.Role)},
			{Text: i18n.Number(pg.Lang, h.Successes)},
			{Text: i18n.Number(pg.Lang, h.Failures)},
			{Text: i18n.Number(pg.Lang, int64(h.Duration.Mean*1000)) + " ms", Sub: i18n.Number(pg.Lang, int64(h.Duration.Min*1000)) + "–" + i18n.Number(pg.Lang, int64(h.Duration.Max*1000)) + " ms"},
			{Text: when(h.LastSuccess)},
			{Text: when(h.LastFailure)},
		}})
	}
	return t
}

func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return i18n.DateTime(t)
}

// report hands out the diagnostics. It is a POST because what leaves the node is recorded.
func (p *MonitorPages) report(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ReadForm(w, r, 1<<10); err != nil {
		return err
	}
	if err := p.Audit(r.Context(), reqctx.PrincipalOf(r.Context()).ID, "exchange.diagnostics.export", ""); err != nil {
		return err
	}
	b, err := json.MarshalIndent(p.Report(r.Context()), "", "  ")
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: "truc-diagnostics.json", Type: "application/json", Data: b})
}

type partnersPage struct {
	ui.Page
	Partners ui.Table
}

func (p *MonitorPages) partners(w http.ResponseWriter, r *http.Request) error {
	pg := partnersPage{Page: page(r, "exchange.partners.title")}
	pg.Back = pg.BackTo("/exchange/admin")
	if err := p.Service.Flush(r.Context()); err != nil {
		return err
	}
	rows, err := p.Store.Partners(r.Context(), p.Now().Add(-24*time.Hour))
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, m := range p.Directory.Members() {
		names[m.ID] = i18n.Text(m.Name).In(pg.Lang)
	}
	circuits := map[string]string{}
	for _, c := range p.Service.Circuits() {
		if c.Kind == "peer" {
			circuits[c.Name] = c.State
		}
	}
	pg.Partners = ui.Table{
		Caption: pg.T("exchange.partners.caption"),
		Columns: []ui.Column{
			{Text: pg.T("exchange.partners.node")},
			{Text: pg.T("exchange.partners.state")},
			{Text: pg.T("exchange.count"), Numeric: true},
			{Text: pg.T("exchange.traffic.faults"), Numeric: true},
			{Text: pg.T("exchange.health.mean"), Numeric: true},
			{Text: pg.T("exchange.health.last_good")},
			{Text: pg.T("exchange.partners.certificate"), Numeric: true},
		},
		Empty: &ui.Empty{Title: pg.T("exchange.partners.none"), Text: pg.T("exchange.partners.none_text")},
	}
	for _, c := range rows {
		member := c.Peer[:max(0, strings.LastIndexByte(c.Peer, '/'))]
		tag := &ui.Tag{Text: pg.T("exchange.partners.working"), Tone: ui.Done}
		switch state := circuits[c.Peer]; {
		case state == exchange.CircuitOpen || state == exchange.CircuitHalfOpen:
			tag = &ui.Tag{Text: pg.T("exchange.partners.cut"), Tone: ui.Late}
		case c.LastFault.After(c.LastOK):
			tag = &ui.Tag{Text: pg.T("exchange.partners.failing"), Tone: ui.Soon}
		}
		name := names[member]
		if name == "" {
			name = member
		}
		pg.Partners.Rows = append(pg.Partners.Rows, ui.Row{Cells: []ui.Cell{
			{Text: name, Sub: c.Peer, Head: true},
			{Tag: tag},
			{Text: i18n.Number(pg.Lang, c.Total)},
			{Text: i18n.Number(pg.Lang, c.Faults), URL: "/exchange/admin/faults?peer=" + url.QueryEscape(c.Peer)},
			{Text: i18n.Number(pg.Lang, c.Mean.Milliseconds()) + " ms"},
			{Text: when(c.LastOK)},
			p.certificateDays(pg.Page, c.Peer),
		}})
	}
	return p.templates.Render(w, r, http.StatusOK, "partners", pg)
}

// soonEnds is how many days before its end a certificate of a partner is pointed out: it renews itself at ten of thirty.
const soonEnds = 9

// certificateDays tells for how many days the certificate of a node goes on.
func (p *MonitorPages) certificateDays(pg ui.Page, server string) ui.Cell {
	if p.CertificateEnds == nil {
		return ui.Cell{Text: "–"}
	}
	end := p.CertificateEnds(server)
	if end.IsZero() {
		return ui.Cell{Text: "–"}
	}
	days := int64(end.Sub(p.Now()).Hours() / 24)
	cell := ui.Cell{Text: i18n.Number(pg.Lang, days)}
	switch {
	case !p.Now().Before(end):
		cell.Tag = &ui.Tag{Text: pg.T("exchange.partners.certificate_ended"), Tone: ui.Late}
	case days < soonEnds:
		cell.Tag = &ui.Tag{Text: pg.T("exchange.partners.certificate_soon"), Tone: ui.Soon}
	}
	return cell
}

type faultsPage struct {
	ui.Page
	ID, Service, Code ui.Input
	Role              ui.Select
	Find              ui.Button
	Peer              string
	Detail            *ui.SummaryList
	Rows              ui.Table
	Pagination        ui.Pagination
}

// faults lists what failed, by filters that stand in the address; one fault is shown in full.
func (p *MonitorPages) faults(w http.ResponseWriter, r *http.Request) error {
	pg := faultsPage{Page: page(r, "exchange.faults.title")}
	pg.Back = pg.BackTo("/exchange/admin")
	q := web.Query(r)
	get := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	f := exchange.Filter{Faults: true, Role: get("role"), Service: get("service"), Outcome: get("code"), Peer: get("peer"), FaultID: get("id"), Limit: pageSize}
	f.Before, _ = strconv.ParseInt(get("before"), 10, 64) // a malformed number shows the first page
	if err := p.Service.Flush(r.Context()); err != nil {
		return err
	}
	rows, err := p.Store.Recent(r.Context(), f)
	if err != nil {
		return err
	}
	pg.Peer = f.Peer
	pg.ID = ui.Input{Name: "id", Label: pg.T("exchange.faults.id"), Hint: pg.T("exchange.faults.id_hint"), Value: f.FaultID, Width: "30"}
	pg.Service = ui.Input{Name: "service", Label: pg.T("exchange.service"), Value: f.Service, Width: "30"}
	pg.Code = ui.Input{Name: "code", Label: pg.T("exchange.code"), Value: f.Outcome, Width: "30"}
	pg.Role = ui.Select{Name: "role", Label: pg.T("exchange.direction"), Value: f.Role, Empty: pg.T("exchange.faults.both"), Options: []ui.Option{
		{Value: exchange.RoleConsumer, Label: pg.T("exchange.role.consumer")},
		{Value: exchange.RoleProvider, Label: pg.T("exchange.role.provider")},
	}}
	pg.Find = ui.Button{Text: pg.T("exchange.faults.find")}
	if f.FaultID != "" && len(rows) > 0 {
		pg.Detail = faultDetail(pg.Page, rows[0])
	}
	pg.Rows = messageTable(pg.Page, rows)
	pg.Rows.Caption = pg.T("exchange.faults.found")
	pg.Rows.Empty = &ui.Empty{Title: pg.T("exchange.faults.none"), Text: pg.T("exchange.faults.none_text")}
	for i, m := range rows {
		if m.FaultID != "" {
			pg.Rows.Rows[i].Cells[0].URL = "/exchange/admin/faults?id=" + url.QueryEscape(m.FaultID)
		}
	}
	if len(rows) == pageSize {
		q.Set("before", strconv.FormatInt(rows[len(rows)-1].Seq, 10))
		pg.Pagination.Next = "/exchange/admin/faults?" + q.Encode()
	}
	return p.templates.Render(w, r, http.StatusOK, "faults", pg)
}

func faultDetail(pg ui.Page, m exchange.Message) *ui.SummaryList {
	var out ui.SummaryList
	add := func(key, value string) {
		if value != "" {
			out.Rows = append(out.Rows, ui.SummaryRow{Key: pg.T(key), Value: value})
		}
	}
	add("exchange.faults.id", m.FaultID)
	add("exchange.code", m.Outcome)
	add("exchange.hop", hop(pg, m.Outcome))
	add("exchange.faults.meaning", pg.T(exchange.FaultKey(m.Outcome)))
	add("exchange.at", i18n.DateTime(m.At))
	add("exchange.id", m.ExchangeID)
	add("exchange.client", m.Client)
	add("exchange.service", m.Service)
	add("exchange.partners.node", m.Peer)
	add("exchange.duration", i18n.Number(pg.Lang, m.Duration.Milliseconds())+" ms")
	add("exchange.faults.trace", m.TraceID)
	return &out
}
