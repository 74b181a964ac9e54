// Package exchangepage shows administrators the traffic of their node, its services and rules, hands out evidence and
// API keys, and tests connections. It shows no personal data: the index it reads holds none.
package exchangepage

import (
	"context"
	"embed"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var files embed.FS

// Pages are the administration pages of the exchange.
type Pages struct {
	Service   *exchange.Service
	Store     exchange.Store
	Keys      exchange.KeyStore
	Directory exchange.Directory
	// Subsystems are those this node hosts; programs get keys for them.
	Subsystems []string
	// Audit records an act before it happens; when it fails, so does the act.
	Audit    func(ctx context.Context, actor, action, object string) error
	Renderer *ui.Renderer
	Now      func() time.Time
	// Tests of the way to the center and to time-stamp authorities; without them only members are offered.
	Tests exchangeapi.Tests

	templates *ui.Templates
}

// Mount adds the routes, all for administrators.
func (p *Pages) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	m.HandleFor("GET /exchange/admin", p.traffic, "listMessages")
	m.HandleFor("POST /exchange/admin/evidence", p.evidence, "exportEvidence")
	m.HandleFor("GET /exchange/admin/services", p.services, "listServices")
	m.HandleFor("GET /exchange/admin/keys", p.keys, "listKeys")
	m.HandleFor("POST /exchange/admin/keys", p.keyCreate, "createKey")
	m.HandleFor("POST /exchange/admin/keys/revoke", p.keyRevoke, "revokeKey")
	m.HandleFor("GET /exchange/admin/test", p.test, "testMember")
	m.HandleFor("POST /exchange/admin/test", p.testRun, "testMember", "testCenter", "testAuthorities")
	return nil
}

// sections are the pages of the exchange in the order of their navigation, each with the operation that opens it.
func sections() []ui.NavItem {
	return []ui.NavItem{
		{Key: "exchange.traffic.title", URL: "/exchange/admin", Operation: "listMessages"},
		{Key: "exchange.faults.title", URL: "/exchange/admin/faults", Operation: "listMessages"},
		{Key: "exchange.partners.title", URL: "/exchange/admin/partners", Operation: "listPartners"},
		{Key: "exchange.diag.title", URL: "/exchange/admin/diagnostics", Operation: "getDiagnostics"},
		{Key: "exchange.test.title", URL: "/exchange/admin/test", Operation: "testMember"},
		{Key: "delivery.queue.title", URL: "/exchange/admin/queue", Operation: "listLetters"},
		{Key: "exchange.log.title", URL: "/exchange/admin/log", Operation: "listLogs"},
		{Key: "exchange.agreements.title", URL: "/exchange/admin/agreements", Operation: "listAgreements"},
		{Key: "exchange.services.title", URL: "/exchange/admin/services", Operation: "listServices"},
		{Key: "exchange.access.title", URL: rulesPath, Operation: "listRules"},
		{Key: "exchange.access.groups", URL: groupsPath, Operation: "listGroups"},
		{Key: "exchange.publish.title", URL: publishedPath, Operation: "listPublications"},
		{Key: "exchange.keys.title", URL: "/exchange/admin/keys", Operation: "listKeys"},
		{Key: "exchange.operators.title", URL: "/exchange/admin/operators", Operation: "listOperators"},
		{Key: "exchange.acts.title", URL: "/exchange/admin/acts", Operation: "listActs"},
	}
}

// First returns the first page of the exchange that a person may open, who may use the operations that may allows;
// empty when there is none.
func First(may func(operation string) bool) string {
	for _, s := range sections() {
		if may(s.Operation) {
			return s.URL
		}
	}
	return ""
}

func page(r *http.Request, key string) ui.Page {
	pg := ui.NewPage(r, key)
	pg.Layout = ui.Officer
	pg.Section = ui.Section{Title: pg.T("exchange.pages"), Items: pg.Permitted(sections())}
	return pg
}

type trafficPage struct {
	ui.Page
	Figures          ui.Figures
	Chart            ui.TrendChart
	Faults, Messages ui.Table
	Links            []ui.Action
	ID               ui.Input
	Persons          ui.Checkboxes
	Download         ui.Button
	Pagination       ui.Pagination
}

const pageSize = 50

func (p *Pages) traffic(w http.ResponseWriter, r *http.Request) error {
	pg := trafficPage{Page: page(r, "exchange.traffic.title")}
	if err := p.Service.Flush(r.Context()); err != nil {
		return err
	}
	counts, err := p.Store.Stats(r.Context(), p.Now().Add(-24*time.Hour))
	if err != nil {
		return err
	}
	pg.Figures, pg.Faults = figures(pg.Page, counts)
	if pg.Chart, err = p.week(r.Context(), pg.Page); err != nil {
		return err
	}
	q := web.Query(r)
	before, _ := strconv.ParseInt(q.Get("before"), 10, 64) // a malformed number shows the first page
	faults := q.Get("faults") != ""
	rows, err := p.Store.Recent(r.Context(), exchange.Filter{Faults: faults, Before: before, Limit: pageSize})
	if err != nil {
		return err
	}
	pg.Messages = messageTable(pg.Page, rows)
	if len(rows) == pageSize {
		next := "/exchange/admin?before=" + strconv.FormatInt(rows[len(rows)-1].Seq, 10)
		if faults {
			next += "&faults=1"
		}
		pg.Pagination.Next = next
	}
	if faults {
		pg.Links = []ui.Action{{Text: pg.T("exchange.traffic.all"), URL: "/exchange/admin"}}
	} else {
		pg.Links = []ui.Action{{Text: pg.T("exchange.traffic.only_faults"), URL: "/exchange/admin?faults=1"}}
	}
	pg.ID = ui.Input{Name: "id", Label: pg.T("exchange.id"), Hint: pg.T("exchange.evidence.hint"), Width: "30"}
	pg.Persons = ui.Checkboxes{
		Name: "persons", Legend: pg.T("exchange.evidence.persons"), NoLegend: true,
		Options: []ui.Option{{Value: "1", Label: pg.T("exchange.evidence.persons"), Hint: pg.T("exchange.evidence.persons_hint")}},
	}
	pg.Download = ui.Button{Text: pg.T("exchange.evidence.download"), Kind: "secondary"}
	return p.templates.Render(w, r, http.StatusOK, "traffic", pg)
}

// figures sums the last day, and groups the faults by hop and code.
func figures(pg ui.Page, counts []exchange.Count) (ui.Figures, ui.Table) {
	var in, out, bad int64
	byType := map[string]int64{}
	for _, c := range counts {
		if c.Role == exchange.RoleConsumer {
			out += c.N
		} else {
			in += c.N
		}
		if c.Outcome != "ok" {
			bad += c.N
			byType[c.Outcome] += c.N
		}
	}
	tone := ui.Neutral
	if bad > 0 {
		tone = ui.Soon
	}
	fig := ui.Figures{Items: []ui.Figure{
		{Label: pg.T("exchange.traffic.asked"), Value: i18n.Number(pg.Lang, out), Note: pg.T("exchange.traffic.day")},
		{Label: pg.T("exchange.traffic.answered"), Value: i18n.Number(pg.Lang, in), Note: pg.T("exchange.traffic.day")},
		{Label: pg.T("exchange.traffic.faults"), Value: i18n.Number(pg.Lang, bad), Note: pg.T("exchange.traffic.day"), Tone: tone},
	}}
	t := ui.Table{
		Caption: pg.T("exchange.traffic.by_fault"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("exchange.hop")}, {Text: pg.T("exchange.code")}, {Text: pg.T("exchange.count"), Numeric: true}},
		Empty:   &ui.Empty{Title: pg.T("exchange.traffic.no_faults")},
	}
	types := make([]string, 0, len(byType))
	for k := range byType {
		types = append(types, k)
	}
	sort.Slice(types, func(i, j int) bool {
		return byType[types[i]] > byType[types[j]] || byType[types[i]] == byType[types[j]] && types[i] < types[j]
	})
	for _, k := range types {
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: hop(pg, k)}, {Text: k, Head: true}, {Text: i18n.Number(pg.Lang, byType[k])}}})
	}
	return fig, t
}

func hop(pg ui.Page, typ string) string {
	switch {
	case strings.HasPrefix(typ, "client."):
		return pg.T("exchange.hop.client")
	case strings.HasPrefix(typ, "server.clientproxy."):
		return pg.T("exchange.hop.consumer")
	case strings.HasPrefix(typ, "server.serverproxy."):
		return pg.T("exchange.hop.provider")
	}
	return "–"
}

func messageTable(pg ui.Page, rows []exchange.Message) ui.Table {
	t := ui.Table{
		Caption: pg.T("exchange.traffic.last"), Dense: true,
		Columns: []ui.Column{
			{Text: pg.T("exchange.at")},
			{Text: pg.T("exchange.direction")},
			{Text: pg.T("exchange.client")},
			{Text: pg.T("exchange.service")},
			{Text: pg.T("exchange.purpose")},
			{Text: pg.T("exchange.outcome")},
			{Text: pg.T("exchange.duration"), Numeric: true},
		},
		Empty: &ui.Empty{Title: pg.T("exchange.traffic.none"), Text: pg.T("exchange.traffic.none_text")},
	}
	for _, m := range rows {
		tag := &ui.Tag{Text: strconv.Itoa(m.Status), Tone: ui.Done}
		tone := ui.Neutral
		if m.Outcome != "ok" {
			tag, tone = &ui.Tag{Text: m.Outcome, Tone: ui.Late}, ui.Late
		} else if m.Status >= 400 {
			tag.Tone = ui.Soon
		}
		t.Rows = append(t.Rows, ui.Row{Tone: tone, Cells: []ui.Cell{
			{Text: i18n.DateTime(m.At), Sub: m.ExchangeID},
			{Text: pg.T("exchange.role." + m.Role)},
			{Text: m.Client},
			{Text: m.Service, Sub: m.Method + " " + m.Path, Head: true},
			{Text: m.Activity, Sub: m.Dossier},
			{Tag: tag},
			{Text: i18n.Number(pg.Lang, m.Duration.Milliseconds()) + " ms"},
		}})
	}
	return t
}

// evidence hands out a package. It is a POST because giving evidence away is an act that is recorded.
func (p *Pages) evidence(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	id, persons := strings.TrimSpace(form.Get("id")), form.Get("persons") != ""
	action := "exchange.evidence.export"
	if persons {
		action = "exchange.evidence.export_persons"
	}
	if err := p.audit(r, action, id); err != nil {
		return err
	}
	b, err := p.Service.Evidence(r.Context(), id, exchange.EvidenceOptions{Persons: persons})
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: "evidence-" + id + ".zip", Type: "application/zip", Data: b})
}

func (p *Pages) audit(r *http.Request, action, object string) error {
	if p.Audit == nil {
		return nil
	}
	return p.Audit(r.Context(), reqctx.PrincipalOf(r.Context()).ID, action, object)
}

type servicesPage struct {
	ui.Page
	Offers, Rules ui.Table
}

func (p *Pages) services(w http.ResponseWriter, r *http.Request) error {
	pg := servicesPage{Page: page(r, "exchange.services.title")}
	pg.Back = pg.BackTo("/exchange/admin")
	pg.Offers = ui.Table{
		Caption: pg.T("exchange.services.offered"),
		Columns: []ui.Column{{Text: pg.T("exchange.service")}, {Text: pg.T("exchange.services.kind")}, {Text: pg.T("exchange.services.personal")}},
		Empty:   &ui.Empty{Title: pg.T("exchange.services.none")},
	}
	for _, o := range p.Service.Offers() {
		kind, personal := "REST", pg.T("exchange.no")
		if len(o.OpenAPI) > 0 {
			kind = "OpenAPI"
		}
		if o.Personal {
			personal = pg.T("exchange.services.purpose_needed")
		}
		pg.Offers.Rows = append(pg.Offers.Rows, ui.Row{Cells: []ui.Cell{{Text: i18n.Text(o.Name).In(pg.Lang), Sub: o.ID.String(), Head: true}, {Text: kind}, {Text: personal}}})
	}
	pg.Rules = ui.Table{
		Caption: pg.T("exchange.services.rules"),
		Columns: []ui.Column{
			{Text: pg.T("exchange.service")},
			{Text: pg.T("exchange.client")},
			{Text: pg.T("exchange.services.allowed")},
			{Text: pg.T("exchange.purpose")},
			{Text: pg.T("exchange.services.basis")},
		},
		Empty: &ui.Empty{Title: pg.T("exchange.services.no_rules"), Text: pg.T("exchange.services.no_rules_text")},
	}
	for _, rule := range p.Service.Rules() {
		methods, path := strings.Join(rule.Methods, " "), rule.Path
		if methods == "" {
			methods = "*"
		}
		if path == "" {
			path = "**"
		}
		pg.Rules.Rows = append(pg.Rules.Rows, ui.Row{Cells: []ui.Cell{
			{Text: rule.Service, Head: true},
			{Text: rule.Consumer},
			{Text: methods + " " + path},
			{Text: strings.Join(rule.Activities, " ")},
			{Text: rule.Basis},
		}})
	}
	return p.templates.Render(w, r, http.StatusOK, "services", pg)
}

type testPage struct {
	ui.Page
	Member ui.Select
	Exact  ui.Input
	Run    ui.Button
	Steps  *ui.Table
}

func (p *Pages) test(w http.ResponseWriter, r *http.Request) error { return p.renderTest(w, r, "", "") }

func (p *Pages) testRun(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	member, exact := form.Get("member"), strings.TrimSpace(form.Get("service"))
	if member == "" && exact == "" {
		return errs.E(errs.Invalid, "exchange.test.member_missing", nil)
	}
	return p.renderTest(w, r, member, exact)
}

// What can be tested beside members.
const (
	testCenter      = "center"
	testAuthorities = "authorities"
)

// runTest tests what was chosen; a service that was named is tested instead of a member.
func (p *Pages) runTest(ctx context.Context, member, exact string) []exchange.Step {
	switch {
	case exact != "":
		return p.Service.Probe(ctx, exact)
	case member == testCenter && p.Tests.Center != nil:
		return p.Tests.Center(ctx)
	case member == testAuthorities && p.Tests.Authorities != nil:
		return p.Tests.Authorities(ctx)
	}
	return p.Service.Probe(ctx, member)
}

// renderTest shows the test, with its steps when something was named.
func (p *Pages) renderTest(w http.ResponseWriter, r *http.Request, member, exact string) error {
	pg := testPage{Page: page(r, "exchange.test.title")}
	pg.Back = pg.BackTo("/exchange/admin")
	pg.Member = ui.Select{Name: "member", Label: pg.T("exchange.test.member"), Value: member, Empty: pg.T("exchange.choose")}
	if p.Tests.Center != nil {
		pg.Member.Options = append(pg.Member.Options, ui.Option{Value: testCenter, Label: pg.T("exchange.test.center")},
			ui.Option{Value: testAuthorities, Label: pg.T("exchange.test.authorities")})
	}
	pg.Exact = ui.Input{Name: "service", Label: pg.T("exchange.test.service"), Hint: pg.T("exchange.test.service_hint"), Value: exact, Width: "30"}
	for _, m := range p.Directory.Members() {
		pg.Member.Options = append(pg.Member.Options, ui.Option{Value: m.ID, Label: i18n.Text(m.Name).In(pg.Lang) + " (" + m.ID + ")"})
	}
	pg.Run = ui.Button{Text: pg.T("exchange.test.run")}
	if member != "" || exact != "" {
		t := &ui.Table{
			Caption: pg.T("exchange.test.result"),
			Columns: []ui.Column{{Text: pg.T("exchange.test.step")}, {Text: pg.T("exchange.outcome")}, {Text: pg.T("exchange.test.found")}},
		}
		for _, s := range p.runTest(r.Context(), member, exact) {
			tag, found := &ui.Tag{Text: pg.T("exchange.test.ok"), Tone: ui.Done}, pg.T(s.Key, s.Args...)
			if !s.OK {
				tag = &ui.Tag{Text: pg.T("exchange.test.failed"), Tone: ui.Late}
			}
			if s.Took > 0 {
				found += " (" + strconv.FormatInt(s.Took.Milliseconds(), 10) + " ms)"
			}
			t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: pg.T("exchange.test.step." + s.Name), Sub: s.Peer, Head: true}, {Tag: tag}, {Text: found, Sub: s.Fault}}})
		}
		pg.Steps = t
	}
	return p.templates.Render(w, r, http.StatusOK, "test", pg)
}
