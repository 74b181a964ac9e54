// Package oversightpage shows the numbers of oversight to everybody: every agency beside the others, one agency by
// procedure and week, and behind each number the list it counts. The same numbers are open data, as CSV and JSON.
//
// The pages hold no personal data, and none can reach them: lists show numbers of dossiers and no ratings of single
// ones. A rate never stands alone; what makes it suspicious stands beside it (specification §7.2).
package oversightpage

import (
	"embed"
	"net/http"
	"net/url"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/oversight"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var files embed.FS

// Pages are the public pages of oversight.
type Pages struct {
	Service  *oversight.Service
	Renderer *ui.Renderer
	Messages *i18n.Catalogue
	Now      func() time.Time

	tmpl *ui.Templates
}

// Mount parses the templates and registers the pages. All of them are public.
func (p *Pages) Mount(mux *web.Mux) (err error) {
	if p.tmpl, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	mux.Handle("GET /oversight", p.overview)
	mux.Handle("GET /oversight.csv", p.overview)
	mux.Handle("GET /oversight.json", p.overview)
	mux.Handle("GET /oversight/definitions", p.definitions)
	mux.Handle("GET /oversight/{agency}", p.agency)
	mux.Handle("GET /oversight/{agency}/{number}", p.list)
	return nil
}

// Formats of an answer.
const (
	asPage = ""
	asCSV  = "csv"
	asJSON = "json"
)

// format splits ".csv" and ".json" off the last part of an address.
func format(name string) (rest, as string) {
	for _, f := range []string{asCSV, asJSON} {
		if r, ok := strings.CutSuffix(name, "."+f); ok {
			return r, f
		}
	}
	return name, asPage
}

// view is what every page of a request needs: its language, its period and the addresses that keep it.
type view struct {
	lang   string
	period oversight.Period
	now    time.Time
	t      func(key string, args ...any) string
}

func (p *Pages) view(r *http.Request) view {
	lang := reqctx.Lang(r.Context())
	return view{
		lang: lang, period: p.Service.Period(r.URL.Query().Get("period")), now: p.Now(),
		t: func(key string, args ...any) string { return p.Messages.T(lang, key, args...) },
	}
}

// url returns an address of these pages in the period of the view.
func (v view) url(path, procedure string) string {
	q := url.Values{}
	if v.period.Name != oversight.Periods()[0] {
		q.Set("period", v.period.Name)
	}
	if procedure != "" {
		q.Set("procedure", procedure)
	}
	if len(q) > 0 {
		return path + "?" + q.Encode()
	}
	return path
}

// agencyURL is the address of an agency's page.
func (v view) agencyURL(code string) string { return v.url("/oversight/"+url.PathEscape(code), "") }

// listURL is the address of the list behind a number.
func (v view) listURL(code, number, procedure string) string {
	return v.url("/oversight/"+url.PathEscape(code)+"/"+number, procedure)
}

// periodText says the period: "Tháng 11/2026".
func (v view) periodText() string { return v.periodName(v.period) }

func (v view) periodName(p oversight.Period) string {
	return v.t("oversight.period."+p.Name, "month", int(p.From.Month()), "quarter", (int(p.From.Month())+2)/3, "year", p.From.Year())
}

// periods are the choices of the period, for the page with the given path.
func (p *Pages) periods(v view, path, procedure string) []choice {
	names := oversight.Periods()
	out := make([]choice, 0, len(names))
	for _, n := range names {
		other := v
		other.period = p.Service.Period(n)
		out = append(out, choice{Text: v.periodName(other.period), URL: other.url(path, procedure), Current: n == v.period.Name})
	}
	return out
}

type choice struct {
	Text, URL string
	Current   bool
}

// name is how an agency is called on a page.
func (v view) name(a oversight.Agency) string {
	if a.Code == oversight.All {
		return v.t("oversight.all_agencies")
	}
	if n := a.Name.In(v.lang); n != "" {
		return n
	}
	return a.Code
}

// silence says in words that an agency does not answer, since when, and how old its numbers are.
func (v view) silence(h oversight.Health) string {
	if !h.Silent() {
		return ""
	}
	if h.LastOK.IsZero() {
		return v.t("oversight.silent_never", "since", i18n.DateTime(h.FailedSince))
	}
	return v.t("oversight.silent", "since", i18n.DateTime(h.FailedSince), "last", i18n.DateTime(h.LastOK))
}

func (p *Pages) overview(w http.ResponseWriter, r *http.Request) error {
	v := p.view(r)
	o, err := p.Service.Indicators(r.Context(), v.period)
	if err != nil {
		return err
	}
	switch _, as := format(r.URL.Path); as {
	case asCSV:
		return p.overviewCSV(w, v, o)
	case asJSON:
		return p.overviewJSON(w, v, o)
	}
	d := overviewData{Page: ui.NewPage(r, "oversight.title")}
	d.Layout = ui.Leader
	d.Periods = p.periods(v, "/oversight", "")
	d.Age, d.Silent = p.age(v, o)
	d.Files = p.files(v, "/oversight", "")
	if len(o.Agencies) == 0 {
		d.None = &ui.Empty{Title: v.t("oversight.none"), Text: v.t("oversight.none_text")}
		return p.tmpl.Render(w, r, http.StatusOK, "overview", d)
	}
	d.Figures = p.figures(v, oversight.All, o.Total)
	d.Table = p.table(v, v.t("oversight.table", "period", v.periodText()), v.t("oversight.agency"))
	for _, a := range o.Agencies {
		row := p.row(v, a.Agency.Code, "", a.Counts)
		row.Name, row.URL, row.Note = v.name(a.Agency), v.agencyURL(a.Agency.Code), v.silence(a.Health)
		if a.Health.Silent() {
			row.Tone = ui.Soon
		}
		d.Table.Rows = append(d.Table.Rows, row)
	}
	if len(o.Agencies) > 1 {
		row := p.row(v, oversight.All, "", o.Total)
		row.Name, row.URL = v.name(oversight.Agency{Code: oversight.All}), v.agencyURL(oversight.All)
		d.Table.Rows = append(d.Table.Rows, row)
	}
	d.Bars = p.bars(v, o)
	return p.tmpl.Render(w, r, http.StatusOK, "overview", d)
}

type overviewData struct {
	ui.Page
	Periods []choice
	Age     string
	Silent  *ui.Notice
	Figures ui.Figures
	Table   table
	Bars    ui.BarChart
	Files   []choice
	None    *ui.Empty
}

// age says how old the numbers are, and who is silent.
func (p *Pages) age(v view, o oversight.Overview) (string, *ui.Notice) {
	var oldest time.Time
	var silent []string
	for _, a := range o.Agencies {
		switch {
		case a.Health.Silent():
			silent = append(silent, v.t("oversight.silent_line", "agency", v.name(a.Agency), "words", v.silence(a.Health), "reason", v.t(a.Health.ErrorKey)))
		case a.Health.LastOK.IsZero():
		case oldest.IsZero() || a.Health.LastOK.Before(oldest):
			oldest = a.Health.LastOK
		}
	}
	age := v.t("oversight.age_none")
	if !oldest.IsZero() {
		age = v.t("oversight.age", "time", i18n.DateTime(oldest))
	}
	if len(silent) == 0 {
		if !oldest.IsZero() {
			age += " " + v.t("oversight.answering_all")
		}
		return age, nil
	}
	return age, &ui.Notice{Tone: ui.Soon, Title: v.t("oversight.silent_title", "count", len(silent), "all", len(o.Agencies)), Lines: silent}
}

// files are the links to open data and to the definitions.
func (p *Pages) files(v view, path, procedure string) []choice {
	return []choice{
		{Text: v.t("oversight.csv"), URL: v.url(path+".csv", procedure)},
		{Text: v.t("oversight.json"), URL: v.url(path+".json", procedure)},
		{Text: v.t("oversight.definitions"), URL: "/oversight/definitions"},
	}
}

func (p *Pages) agency(w http.ResponseWriter, r *http.Request) error {
	v := p.view(r)
	code, as := format(r.PathValue("agency"))
	rep, err := p.Service.Agency(r.Context(), code, v.period)
	if err != nil {
		return err
	}
	switch as {
	case asCSV:
		return p.agencyCSV(w, v, rep)
	case asJSON:
		return p.agencyJSON(w, v, rep)
	}
	d := agencyData{Page: ui.NewPage(r, "")}
	d.Layout, d.Title, d.Back = ui.Leader, v.name(rep.Agency), v.url("/oversight", "")
	path := "/oversight/" + url.PathEscape(code)
	d.Periods, d.Files = p.periods(v, path, ""), p.files(v, path, "")
	switch {
	case rep.Health.Silent():
		d.Silent = &ui.Notice{Tone: ui.Soon, Title: v.t("oversight.silent_here", "words", v.silence(rep.Health)), Text: v.t(rep.Health.ErrorKey)}
	case !rep.Health.LastOK.IsZero():
		d.Age = v.t("oversight.age", "time", i18n.DateTime(rep.Health.LastOK))
	}
	d.Figures = p.figures(v, code, rep.Counts)
	d.Table = p.table(v, v.t("oversight.table_procedures", "period", v.periodText()), v.t("oversight.procedure"))
	d.Table.Columns[0] = v.t("oversight.list.level")
	for _, pr := range rep.Procedures {
		row := p.row(v, code, pr.Code, pr.Counts)
		row.Name = p.Service.TitleOf(v.lang, pr.Code)
		if row.Name != pr.Code {
			row.Code = pr.Code
		}
		d.Table.Rows = append(d.Table.Rows, row)
	}
	if len(rep.Procedures) == 0 {
		d.Table.Empty = &ui.Empty{Title: v.t("oversight.no_procedures"), Text: v.t("oversight.no_procedures_text")}
	}
	d.Trend = trend(v, rep.Weeks)
	return p.tmpl.Render(w, r, http.StatusOK, "agency", d)
}

type agencyData struct {
	ui.Page
	Periods []choice
	Age     string
	Silent  *ui.Notice
	Figures ui.Figures
	Table   table
	Trend   ui.TrendChart
	Files   []choice
}

func (p *Pages) definitions(w http.ResponseWriter, r *http.Request) error {
	v := p.view(r)
	d := definitionsData{Page: ui.NewPage(r, "oversight.definitions"), Version: oversight.DefinitionVersion}
	d.Back, d.Wide = "/oversight", true
	for _, n := range oversight.Numbers() {
		d.Items = append(d.Items, p.define(v, n.Name))
	}
	for _, name := range []string{"on-time", "response", "score"} {
		d.Items = append(d.Items, p.define(v, name))
	}
	return p.tmpl.Render(w, r, http.StatusOK, "definitions", d)
}

type definitionsData struct {
	ui.Page
	Version string
	Items   []definition
}

type definition struct {
	Name string `json:"-"`
	// Title and Text say what the number is called and what it counts.
	Title string `json:"title"`
	Text  string `json:"text"`
}

func (p *Pages) define(v view, name string) definition {
	return definition{
		Name: name, Title: v.t("oversight.n." + word(name)),
		Text: v.t("oversight.def."+word(name), "days", p.Service.LongPauseDays(), "least", p.Service.Threshold()),
	}
}

// word makes the name of a number part of a message key.
func word(name string) string { return strings.ReplaceAll(name, "-", "_") }

// notFound is the error of an address without a page.
func notFound() error { return errs.E(errs.NotFound, "oversight.number_unknown", nil) }
