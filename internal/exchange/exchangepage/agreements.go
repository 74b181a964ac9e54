package exchangepage

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/agreement"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// AgreementPages are the pages on which administrators see, propose, accept, reject and revoke agreements. The methods of
// [exchange.Agreements] record the acts.
type AgreementPages struct {
	Agreements *exchange.Agreements
	Renderer   *ui.Renderer
	// MemberName is a member's name in a language; it returns the id of a member it does not know.
	MemberName func(id, lang string) string
	Now        func() time.Time

	templates *ui.Templates
}

// Mount adds the routes, all for administrators.
func (p *AgreementPages) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	m.HandleFor("GET /exchange/admin/agreements", p.agreements, "listAgreements")
	m.HandleFor("GET /exchange/admin/agreements/propose", p.propose, "proposeAgreement")
	m.HandleFor("POST /exchange/admin/agreements/propose", p.proposeSend, "proposeAgreement")
	m.HandleFor("GET /exchange/admin/agreements/{content}", p.agreement, "getAgreement")
	m.HandleFor("POST /exchange/admin/agreements/{content}", p.agreementAct, "acceptAgreement", "rejectAgreement", "revokeAgreement")
	return nil
}

func (p *AgreementPages) name(pg ui.Page, member string) string {
	if member == "" {
		return ""
	}
	if n := p.MemberName(member, pg.Lang); n != member {
		return n + " (" + member + ")"
	}
	return member
}

func agreementTag(pg ui.Page, s agreement.State) *ui.Tag {
	tone := map[agreement.State]ui.Tone{agreement.Proposed: ui.Soon, agreement.Accepted: ui.Info, agreement.Valid: ui.Done, agreement.Rejected: ui.Late, agreement.Revoked: ui.Late}[s]
	return &ui.Tag{Text: pg.T("exchange.agreements.state." + string(s)), Tone: tone}
}

type agreementsPage struct {
	ui.Page
	Intro   string
	List    ui.Table
	Propose ui.Action
}

func (p *AgreementPages) agreements(w http.ResponseWriter, r *http.Request) error {
	pg := agreementsPage{Page: page(r, "exchange.agreements.title")}
	pg.Back = pg.BackTo("/exchange/admin")
	views, err := p.Agreements.List(r.Context())
	if err != nil {
		return err
	}
	pg.Propose = ui.Action{Text: pg.T("exchange.agreements.propose"), URL: "/exchange/admin/agreements/propose"}
	pg.List = ui.Table{
		Caption: pg.T("exchange.agreements.title"), HideCaption: true, Dense: true,
		Columns: []ui.Column{
			{Text: pg.T("exchange.agreements.what")},
			{Text: pg.T("exchange.agreements.parties")},
			{Text: pg.T("exchange.agreements.state")},
			{Text: pg.T("exchange.agreements.until")},
		},
		Empty: &ui.Empty{Title: pg.T("exchange.agreements.none"), Text: pg.T("exchange.agreements.none_text")},
	}
	for _, v := range views {
		g := v.Document.Grants[0]
		what, sub := g.Service.ID, ""
		if g.Consumer != nil {
			what = g.Consumer.Subsystem + " → " + g.Service.ID
		}
		if n := len(v.Document.Grants); n > 1 {
			sub = pg.T("exchange.agreements.more", "count", n-1)
		}
		row := ui.Row{Cells: []ui.Cell{
			{Text: what, Sub: sub, URL: "/exchange/admin/agreements/" + v.Content, Head: true},
			{Text: p.partners(pg.Page, v)},
			{Tag: agreementTag(pg.Page, v.State)},
			{Text: i18n.Date(time.Unix(v.Document.Validity.NotAfter, 0))},
		}}
		if v.State == agreement.Proposed && slices.Contains(v.Waiting, p.Agreements.Member) {
			row.Tone, row.Cells[2].Sub = ui.Soon, pg.T("exchange.agreements.waits_for_you")
		}
		pg.List.Rows = append(pg.List.Rows, row)
	}
	return p.templates.Render(w, r, http.StatusOK, "agreements", pg)
}

// partners names the other parties.
func (p *AgreementPages) partners(pg ui.Page, v exchange.AgreementView) string {
	var out []string
	for _, m := range v.Parties() {
		if m != p.Agreements.Member {
			out = append(out, p.name(pg, m))
		}
	}
	return strings.Join(out, ", ")
}

type agreementPage struct {
	ui.Page
	Action  string
	State   *ui.Tag
	Facts   ui.SummaryList
	Grants  []ui.SummaryList
	History ui.Timeline
	// Reason, and the buttons that fit the state.
	Reason                 ui.Textarea
	Accept, Reject, Revoke *ui.Button
	Raw                    ui.Details
}

func (p *AgreementPages) agreement(w http.ResponseWriter, r *http.Request) error {
	return p.renderAgreement(w, r, http.StatusOK, "", nil)
}

func (p *AgreementPages) renderAgreement(w http.ResponseWriter, r *http.Request, status int, reason string, problems ui.Problems) error {
	v, err := p.Agreements.Get(r.Context(), r.PathValue("content"))
	if err != nil {
		return err
	}
	pg := agreementPage{Page: page(r, "exchange.agreements.one"), Action: "/exchange/admin/agreements/" + v.Content}
	pg.Back, pg.Problems, pg.State = "/exchange/admin/agreements", problems, agreementTag(pg.Page, v.State)
	d := v.Document
	parties := make([]string, 0, 4)
	for _, m := range v.Parties() {
		word := "exchange.agreements.signed"
		if slices.Contains(v.Waiting, m) {
			word = "exchange.agreements.not_signed"
		}
		parties = append(parties, p.name(pg.Page, m)+": "+pg.T(word))
	}
	pg.Facts = ui.SummaryList{Rows: []ui.SummaryRow{
		{Key: pg.T("exchange.agreements.parties"), Lines: parties},
		{Key: pg.T("exchange.agreements.validity"), Value: i18n.DateTime(time.Unix(d.Validity.NotBefore, 0)) + " – " + i18n.DateTime(time.Unix(d.Validity.NotAfter, 0))},
		{Key: pg.T("exchange.agreements.hash"), Value: v.Content},
	}}
	pg.Facts.Rows = append(pg.Facts.Rows, besideGrants(pg.Page, d)...)
	for i := range d.Grants {
		hash, err := d.GrantHash(v.Content, i)
		if err != nil {
			return err
		}
		pg.Grants = append(pg.Grants, p.grant(pg.Page, &d.Grants[i], hash))
	}
	for _, s := range v.Statements {
		e := ui.TimelineEvent{Title: pg.T("exchange.agreements.said." + s.Type), When: time.Unix(s.SignedAt, 0).UTC(), Who: p.name(pg.Page, s.Member), Text: s.Reason}
		e.Lines = []string{pg.T("exchange.agreements.key", "key", s.KeyID)}
		pg.History.Events = append(pg.History.Events, e)
	}
	p.buttons(&pg, v, reason, problems)
	pg.Raw = ui.Details{Summary: pg.T("exchange.agreements.raw"), Text: string(v.Raw)}
	return p.templates.Render(w, r, status, "agreement", pg)
}

// besideGrants shows what the parties signed besides permissions.
func besideGrants(pg ui.Page, d *agreement.Document) (rows []ui.SummaryRow) {
	if c := d.ExternalContract; c != nil {
		day := c.Date
		if t, err := time.Parse(time.DateOnly, c.Date); err == nil {
			day = i18n.Date(t)
		}
		rows = append(rows, ui.SummaryRow{Key: pg.T("exchange.agreements.contract"), Lines: []string{pg.T("exchange.agreements.contract_text", "number", c.Number, "date", day), c.Digest}})
	}
	if len(d.Properties) > 0 {
		row := ui.SummaryRow{Key: pg.T("exchange.agreements.properties")}
		for _, name := range slices.Sorted(maps.Keys(d.Properties)) {
			row.Lines = append(row.Lines, name+": "+d.Properties[name])
		}
		rows = append(rows, row)
	}
	return rows
}

// buttons offers what this member may still say.
func (p *AgreementPages) buttons(pg *agreementPage, v exchange.AgreementView, reason string, problems ui.Problems) {
	signed := slices.Contains(v.Signed, p.Agreements.Member)
	switch {
	case v.State == agreement.Proposed && !signed:
		pg.Accept = &ui.Button{Text: pg.T("exchange.agreements.accept"), Name: "act", Value: agreement.Accept}
		pg.Reject = &ui.Button{Text: pg.T("exchange.agreements.reject"), Kind: "secondary", Name: "act", Value: agreement.Reject}
	case signed && (v.State == agreement.Proposed || v.State == agreement.Accepted || v.State == agreement.Valid):
		pg.Revoke = &ui.Button{Text: pg.T("exchange.agreements.revoke"), Kind: "danger", Name: "act", Value: agreement.Revoke}
	}
	pg.Reason = ui.Textarea{
		Name: "reason", Label: pg.T("exchange.agreements.reason"), Hint: pg.T("exchange.agreements.reason_hint"), Value: reason, Rows: 2, MaxLength: 500,
		Error: problems.For("reason"),
	}
}

// grant says in words who may ask whom what.
func (p *AgreementPages) grant(pg ui.Page, g *agreement.Grant, hash string) ui.SummaryList {
	row := func(key, value string) ui.SummaryRow { return ui.SummaryRow{Key: pg.T(key), Value: value} }
	s := ui.SummaryList{Title: pg.T("exchange.agreements.type." + g.Type)}
	if g.Consumer != nil {
		s.Rows = append(s.Rows, ui.SummaryRow{Key: pg.T("exchange.agreements.who"), Lines: []string{g.Consumer.Subsystem, p.name(pg, g.Caller())}})
	}
	if g.Delegator != "" {
		s.Rows = append(s.Rows, row("exchange.agreements.on_behalf", p.name(pg, string(g.Delegator))))
	}
	s.Rows = append(s.Rows, ui.SummaryRow{Key: pg.T("exchange.service"), Lines: []string{g.Service.ID, p.name(pg, g.Provider())}})
	if g.Service.Delegator != "" {
		s.Rows = append(s.Rows, row("exchange.agreements.run_for", p.name(pg, string(g.Service.Delegator))))
	}
	s.Rows = append(s.Rows, row("exchange.services.allowed", strings.Join(g.Service.Methods, " ")+"  "+strings.Join(g.Service.Paths, "  ")))
	if g.Purpose.Code != "" {
		s.Rows = append(s.Rows, row("exchange.purpose", g.Purpose.Code))
	}
	s.Rows = append(s.Rows, row("exchange.services.basis", g.Purpose.LegalBasis))
	if len(g.Purpose.DataCategories) > 0 {
		s.Rows = append(s.Rows, row("exchange.agreements.data", strings.Join(g.Purpose.DataCategories, ", ")))
	}
	if len(g.Purpose.Fields) > 0 {
		s.Rows = append(s.Rows, row("exchange.agreements.fields", strings.Join(g.Purpose.Fields, ", ")))
	}
	if l := limitsText(pg, g.Limits); l != "" {
		s.Rows = append(s.Rows, row("exchange.agreements.limits", l))
	}
	if g.Consumer != nil {
		s.Rows = append(s.Rows, ui.SummaryRow{Key: pg.T("exchange.agreements.keys"), Lines: g.Consumer.KeyThumbprints})
	}
	s.Rows = append(s.Rows, row("exchange.agreements.grant_hash", hash))
	return s
}

func limitsText(pg ui.Page, l agreement.Limits) string {
	var out []string
	if l.Rate != "" {
		out = append(out, pg.T("exchange.agreements.limit_rate", "rate", l.Rate))
	}
	if l.Concurrent > 0 {
		out = append(out, pg.T("exchange.agreements.limit_concurrent", "count", strconv.FormatInt(l.Concurrent, 10)))
	}
	if l.Daily > 0 {
		out = append(out, pg.T("exchange.agreements.limit_daily", "count", i18n.Number(pg.Lang, l.Daily)))
	}
	return strings.Join(out, "; ")
}

func (p *AgreementPages) agreementAct(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 8<<10)
	if err != nil {
		return err
	}
	ctx, content, by := r.Context(), r.PathValue("content"), reqctx.PrincipalOf(r.Context()).ID
	reason := strings.Join(strings.Fields(form.Get("reason")), " ") // a text of one line
	act := form.Get("act")
	if (act == agreement.Reject || act == agreement.Revoke) && (reason == "" || len(reason) > 500) {
		var problems ui.Problems
		problems.Add("reason", "exchange.agreements.reason_missing")
		return p.renderAgreement(w, r, http.StatusUnprocessableEntity, form.Get("reason"), problems)
	}
	switch act {
	case agreement.Accept:
		err = p.Agreements.Accept(ctx, by, content)
	case agreement.Reject:
		err = p.Agreements.Reject(ctx, by, content, reason)
	case agreement.Revoke:
		err = p.Agreements.Revoke(ctx, by, content, reason)
	default:
		err = errs.E(errs.Invalid, "exchange.agreement.fault.type", nil)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "exchange.agreements.done")
	return web.SeeOther(w, r, "/exchange/admin/agreements/"+content)
}

type proposePage struct {
	ui.Page
	Consumer, Service, Methods, Paths, Purpose, Basis, Data, Fields, Rate, Daily, Days ui.Input
	JSON                                                                               ui.Textarea
	Send                                                                               ui.Button
}

type proposeForm struct {
	consumer, service, methods, paths, purpose, basis, data, fields, rate, daily, days, json string
}

func readProposeForm(get func(string) string) proposeForm {
	t := func(name string) string { return strings.TrimSpace(get(name)) }
	return proposeForm{
		consumer: t("consumer"), service: t("service"), methods: t("methods"), paths: t("paths"), purpose: t("purpose"), basis: t("basis"),
		data: t("data"), fields: t("fields"), rate: t("rate"), daily: t("daily"), days: t("days"), json: t("json"),
	}
}

// validate says what a person has to correct; what is left is the rules' business.
func (f proposeForm) validate() ui.Problems {
	var problems ui.Problems
	if f.json != "" {
		return problems
	}
	if _, err := orgcode.ParseSubsystem(f.consumer); err != nil {
		problems.Add("consumer", "exchange.agreements.consumer_missing")
	}
	if _, err := orgcode.ParseService(f.service); err != nil {
		problems.Add("service", "exchange.agreements.service_missing")
	}
	if f.purpose == "" || strings.ContainsAny(f.purpose, "; ") {
		problems.Add("purpose", "exchange.agreements.purpose_missing")
	}
	if f.basis == "" {
		problems.Add("basis", "exchange.agreements.basis_missing")
	}
	if n, err := strconv.Atoi(f.days); err != nil || n < 1 || n > 3660 {
		problems.Add("days", "exchange.agreements.days_missing")
	}
	if _, err := strconv.ParseUint(f.daily, 10, 30); f.daily != "" && err != nil {
		problems.Add("daily", "exchange.agreements.number_wrong")
	}
	if _, _, err := (agreement.Limits{Rate: f.rate}).PerSecond(); err != nil {
		problems.Add("rate", "exchange.agreements.rate_wrong")
	}
	return problems
}

func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == ';' })
}

func phrases(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// document makes the draft that the form stands for.
func (f proposeForm) document(now time.Time) ([]byte, error) {
	if f.json != "" {
		return []byte(f.json), nil
	}
	days, err := strconv.Atoi(f.days)
	if err != nil {
		return nil, err
	}
	daily, _ := strconv.ParseInt(f.daily, 10, 64) // empty is unbounded
	d := agreement.Document{
		Validity: agreement.Validity{NotAfter: now.AddDate(0, 0, days).Unix()},
		Grants: []agreement.Grant{{
			Type: agreement.Connect, Service: agreement.Service{ID: f.service, Methods: words(f.methods), Paths: words(f.paths)},
			Consumer: &agreement.Consumer{Subsystem: f.consumer},
			Purpose:  agreement.Purpose{Code: f.purpose, LegalBasis: f.basis, DataCategories: phrases(f.data), Fields: words(f.fields)},
			Limits:   agreement.Limits{Rate: f.rate, Daily: daily},
		}},
	}
	return d.Encode()
}

func (p *AgreementPages) propose(w http.ResponseWriter, r *http.Request) error {
	return p.renderPropose(w, r, http.StatusOK, proposeForm{methods: "GET", paths: "/**", days: "365"}, nil)
}

func (p *AgreementPages) renderPropose(w http.ResponseWriter, r *http.Request, status int, f proposeForm, problems ui.Problems) error {
	pg := proposePage{Page: page(r, "exchange.agreements.propose")}
	pg.Back, pg.Problems = "/exchange/admin/agreements", problems
	in := func(name, value, key, hint string) ui.Input {
		i := ui.Input{Name: name, Label: pg.T(key), Value: value, Error: problems.For(name)}
		if hint != "" {
			i.Hint = pg.T(hint)
		}
		return i
	}
	pg.Consumer = in("consumer", f.consumer, "exchange.client", "exchange.agreements.consumer_hint")
	pg.Service = in("service", f.service, "exchange.service", "exchange.agreements.service_hint")
	pg.Methods = in("methods", f.methods, "exchange.agreements.methods", "exchange.agreements.methods_hint")
	pg.Paths = in("paths", f.paths, "exchange.agreements.paths", "exchange.agreements.paths_hint")
	pg.Purpose = in("purpose", f.purpose, "exchange.purpose", "exchange.agreements.purpose_hint")
	pg.Basis = in("basis", f.basis, "exchange.services.basis", "exchange.agreements.basis_hint")
	pg.Data = in("data", f.data, "exchange.agreements.data", "exchange.agreements.list_hint")
	pg.Fields = in("fields", f.fields, "exchange.agreements.fields", "exchange.agreements.fields_hint")
	pg.Rate = in("rate", f.rate, "exchange.agreements.rate", "exchange.agreements.rate_hint")
	pg.Daily = in("daily", f.daily, "exchange.agreements.daily", "")
	pg.Days = in("days", f.days, "exchange.agreements.days", "")
	pg.Rate.Optional, pg.Daily.Optional, pg.Data.Optional, pg.Fields.Optional = true, true, true, true
	pg.Rate.Width, pg.Daily.Width, pg.Days.Width, pg.Daily.InputMode, pg.Days.InputMode = "10", "10", "5", "numeric", "numeric"
	pg.JSON = ui.Textarea{Name: "json", Label: pg.T("exchange.agreements.json"), Hint: pg.T("exchange.agreements.json_hint"), Value: f.json, Rows: 8, Optional: true, Error: problems.For("json")}
	pg.Send = ui.Button{Text: pg.T("exchange.agreements.send")}
	return p.templates.Render(w, r, status, "agreement_propose", pg)
}

func (p *AgreementPages) proposeSend(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 3*agreement.MaxDocument) // a document grows when it is written as a form
	if err != nil {
		return err
	}
	f := readProposeForm(form.Get)
	if problems := f.validate(); len(problems) > 0 {
		return p.renderPropose(w, r, http.StatusUnprocessableEntity, f, problems)
	}
	draft, err := f.document(p.Now())
	if err != nil {
		return err
	}
	content, err := p.Agreements.Propose(r.Context(), reqctx.PrincipalOf(r.Context()).ID, draft)
	if errs.Is(err, errs.Invalid) {
		key, args := errs.KeyOf(err)
		field := "consumer"
		if f.json != "" {
			field = "json"
		}
		var problems ui.Problems
		problems.Add(field, key, args...)
		return p.renderPropose(w, r, http.StatusUnprocessableEntity, f, problems)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "exchange.agreements.sent")
	return web.SeeOther(w, r, "/exchange/admin/agreements/"+content)
}
