// Package axispage shows the administrators of the center the document axis: traffic and lateness by agency with what is urgent first, the
// journal with signed receipts, the systems that connect to it and the register of agencies. It decides nothing: each button is a method of
// [axis.Hub], which records who pressed it. It never shows a document, only what it is called.
package axispage

import (
	"embed"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var files embed.FS

// Pages are the administration pages of the axis.
type Pages struct {
	Hub      *axis.Hub
	Renderer *ui.Renderer
	Now      func() time.Time

	templates *ui.Templates
}

const (
	overviewPath = "/axis"
	latePath     = "/axis/late"
	journalPath  = "/axis/journal"
	messagesPath = "/axis/messages/"
	systemsPath  = "/axis/systems"
	agenciesPath = "/axis/agencies"
)

// Mount adds the routes, all for administrators.
func (p *Pages) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	for route, h := range map[string]web.HandlerFunc{
		"GET " + overviewPath:                             p.overview,
		"GET " + latePath:                                 p.late,
		"GET " + journalPath:                              p.journal,
		"GET " + messagesPath + "{id}":                    p.message,
		"GET " + messagesPath + "{id}/receipts/{receipt}": p.receipt,
		"POST " + messagesPath + "{id}/copies/{copy}":     p.copyPush,
		"GET " + systemsPath:                              p.systems,
		"POST " + systemsPath:                             p.systemCreate,
		"GET " + systemsPath + "/{id}":                    p.system,
		"POST " + systemsPath + "/{id}":                   p.systemChange,
		"POST " + systemsPath + "/{id}/secret":            p.systemSecret,
		"POST " + systemsPath + "/{id}/suspend":           p.systemSuspend,
		"GET " + agenciesPath:                             p.agencies,
		"POST " + agenciesPath:                            p.agencyCreate,
		"GET " + agenciesPath + "/{code}":                 p.agency,
		"POST " + agenciesPath + "/{code}":                p.agencyChange,
		"POST " + agenciesPath + "/{code}/lock":           p.agencyLock,
		"POST " + agenciesPath + "/{code}/end":            p.agencyEnd,
	} {
		m.Handle(route, web.RequireOfficer(h, "admin"))
	}
	return nil
}

func page(r *http.Request, key string) ui.Page {
	pg := ui.NewPage(r, key)
	pg.Layout = ui.Officer
	pg.Section = ui.Section{Title: pg.T("axispage.section"), Items: []ui.NavItem{
		{Key: "axispage.overview.title", URL: overviewPath},
		{Key: "axispage.late.title", URL: latePath},
		{Key: "axispage.journal.title", URL: journalPath},
		{Key: "axispage.agencies.title", URL: agenciesPath},
		{Key: "axispage.systems.title", URL: systemsPath},
	}}
	return pg
}

func actor(r *http.Request) string { return reqctx.PrincipalOf(r.Context()).ID }

const rowsOnPage = 100

type overviewPage struct {
	ui.Page
	Figures                  ui.Figures
	Prefix, Since, Until     ui.Input
	Find                     ui.Button
	Waiting, Traffic, Alerts ui.Table
}

// period is what the overview counts; the default is this month in Viet Nam.
func period(q url.Values, now time.Time) (since, until time.Time) {
	y, m, d := now.In(i18n.Zone).Date()
	since = time.Date(y, m, 1, 0, 0, 0, 0, i18n.Zone)
	until = time.Date(y, m, d, 0, 0, 0, 0, i18n.Zone)
	if t, err := time.ParseInLocation(time.DateOnly, q.Get("since"), i18n.Zone); err == nil {
		since = t
	}
	if t, err := time.ParseInLocation(time.DateOnly, q.Get("until"), i18n.Zone); err == nil {
		until = t
	}
	if until.Before(since) {
		until = since
	}
	return since, until
}

func (p *Pages) overview(w http.ResponseWriter, r *http.Request) error {
	pg := overviewPage{Page: page(r, "axispage.overview.title")}
	q := web.Query(r)
	prefix := strings.TrimSpace(q.Get("prefix"))
	since, until := period(q, p.Now())
	list, total, err := p.Hub.Traffic(r.Context(), prefix, since.UTC(), until.AddDate(0, 0, 1).UTC())
	if err != nil {
		return err
	}
	waiting, err := p.Hub.Lateness(r.Context(), prefix)
	if err != nil {
		return err
	}
	alerts, err := p.Hub.Alerts(r.Context(), 20)
	if err != nil {
		return err
	}
	pg.Prefix = ui.Input{Name: "prefix", Label: pg.T("axispage.prefix"), Value: prefix, Width: "10"}
	pg.Since = ui.Input{Name: "since", Label: pg.T("axispage.since"), Type: "date", Value: since.Format(time.DateOnly), Width: "10"}
	pg.Until = ui.Input{Name: "until", Label: pg.T("axispage.until"), Type: "date", Value: until.Format(time.DateOnly), Width: "10"}
	pg.Find = ui.Button{Text: pg.T("axispage.show")}
	pg.Figures = totals(pg.Page, total, waiting)
	pg.Waiting = waitingTable(pg.Page, waiting)
	pg.Traffic = trafficTable(pg.Page, list)
	pg.Alerts = alertTable(pg.Page, alerts)
	return p.templates.Render(w, r, http.StatusOK, "overview", pg)
}

func totals(pg ui.Page, total axis.AgencyTraffic, waiting []axis.AgencyWaiting) ui.Figures {
	var all axis.AgencyWaiting
	for _, w := range waiting {
		all.Waiting += w.Waiting
		all.Urgent += w.Urgent
		all.Late += w.Late
		all.Silent += w.Silent
	}
	tone := func(n int64, t ui.Tone) ui.Tone {
		if n > 0 {
			return t
		}
		return ui.Neutral
	}
	n := func(v int64) string { return i18n.Number(pg.Lang, v) }
	return ui.Figures{Items: []ui.Figure{
		{Label: pg.T("axispage.sent"), Value: n(total.SentDocuments), Note: pg.T("axispage.copies", "n", n(total.SentCopies))},
		{Label: pg.T("axispage.delivered"), Value: n(total.Delivered), Note: pg.T("axispage.refused_n", "n", n(total.Refused))},
		{Label: pg.T("axispage.waiting"), Value: n(all.Waiting), Note: pg.T("axispage.urgent_n", "n", n(all.Urgent)), Tone: tone(all.Urgent, ui.Soon)},
		{Label: pg.T("axispage.late"), Value: n(all.Late + all.Silent), Note: pg.T("axispage.silent_n", "n", n(all.Silent)), Tone: tone(all.Late+all.Silent, ui.Late), URL: latePath},
	}}
}

func agencyURL(code string) string { return agenciesPath + "/" + url.PathEscape(code) }

func waitingTable(pg ui.Page, list []axis.AgencyWaiting) ui.Table {
	t := ui.Table{
		Caption: pg.T("axispage.waiting_by_agency"), Dense: true,
		Columns: []ui.Column{
			{Text: pg.T("axispage.agency")},
			{Text: pg.T("axispage.urgent"), Numeric: true},
			{Text: pg.T("axispage.late"), Numeric: true},
			{Text: pg.T("axispage.silent"), Numeric: true},
			{Text: pg.T("axispage.waiting"), Numeric: true},
			{Text: pg.T("axispage.failed"), Numeric: true},
			{Text: pg.T("axispage.oldest")},
		},
		Empty: &ui.Empty{Title: pg.T("axispage.none_waiting"), Text: pg.T("axispage.none_waiting_text")},
	}
	for _, w := range list {
		tone := ui.Neutral
		switch {
		case w.Late+w.Silent > 0:
			tone = ui.Late
		case w.Urgent > 0:
			tone = ui.Soon
		}
		n := func(v int64) ui.Cell { return ui.Cell{Text: i18n.Number(pg.Lang, v)} }
		late := n(w.Late)
		if w.Late+w.Silent > 0 {
			late.URL = latePath + "?to=" + url.QueryEscape(w.Code)
		}
		t.Rows = append(t.Rows, ui.Row{Tone: tone, Cells: []ui.Cell{
			{Text: w.Code, Sub: w.Name, URL: agencyURL(w.Code), Head: true}, n(w.Urgent), late, n(w.Silent), n(w.Waiting), n(w.Failed), {Text: i18n.DateTime(w.Oldest)},
		}})
	}
	return t
}

func trafficTable(pg ui.Page, list []axis.AgencyTraffic) ui.Table {
	t := ui.Table{
		Caption: pg.T("axispage.traffic_by_agency"), Dense: true,
		Columns: []ui.Column{
			{Text: pg.T("axispage.agency")},
			{Text: pg.T("axispage.sent"), Numeric: true},
			{Text: pg.T("axispage.to_receivers"), Numeric: true},
			{Text: pg.T("axispage.received"), Numeric: true},
			{Text: pg.T("axispage.delivered"), Numeric: true},
			{Text: pg.T("axispage.refused"), Numeric: true},
			{Text: pg.T("axispage.statuses"), Numeric: true},
			{Text: pg.T("axispage.megabytes"), Numeric: true},
		},
		Empty: &ui.Empty{Title: pg.T("axispage.no_traffic"), Text: pg.T("axispage.no_traffic_text")},
	}
	for _, a := range list {
		n := func(v int64) ui.Cell { return ui.Cell{Text: i18n.Number(pg.Lang, v)} }
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{
			{Text: a.Code, Sub: a.Name, URL: agencyURL(a.Code), Head: true},
			n(a.SentDocuments), n(a.SentCopies), n(a.ReceivedDocuments), n(a.Delivered), n(a.Refused),
			n(a.SentStatuses + a.ReceivedStatuses), n((a.SentBytes + 1<<19) >> 20),
		}})
	}
	return t
}

func alertTable(pg ui.Page, list []axis.Alert) ui.Table {
	t := ui.Table{
		Caption: pg.T("axispage.alerts"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("axispage.when")}, {Text: pg.T("axispage.what")}, {Text: pg.T("axispage.agency")}, {Text: pg.T("axispage.about")}, {Text: pg.T("axispage.count"), Numeric: true}},
		Empty:   &ui.Empty{Title: pg.T("axispage.no_alerts"), Text: pg.T("axispage.no_alerts_text")},
	}
	for _, a := range list {
		about := ui.Cell{Text: a.Subject}
		if a.DocID != "" {
			about.URL = messagesPath + url.PathEscape(a.DocID)
		}
		t.Rows = append(t.Rows, ui.Row{Tone: ui.Soon, Cells: []ui.Cell{
			{Text: i18n.DateTime(a.Last)}, {Text: pg.T("axispage.alert." + a.Kind), Head: true}, {Text: a.Agency}, about, {Text: strconv.FormatInt(a.Count, 10)},
		}})
	}
	return t
}
