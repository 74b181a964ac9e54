package documentspage

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type registersPage struct {
	ui.Page
	Books []bookView
	Year  int
}

type bookView struct{ Name, Text, URL string }

// books are the registers of Decree 30/2020/NĐ-CP, appendix IV.
func books() []string { return []string{"out", "in", "follow"} }

func (p *Pages) registers(w http.ResponseWriter, r *http.Request) error {
	page := registersPage{Page: p.newPage(r, "docs.registers.title"), Year: p.Now().In(i18n.Zone).Year()}
	for _, b := range books() {
		page.Books = append(page.Books, bookView{Name: page.T("docs.register." + b), Text: page.T("docs.register." + b + "_text"), URL: "/documents/registers/" + b})
	}
	return p.templates.Render(w, r, http.StatusOK, "registers", page)
}

type registerPage struct {
	ui.Page
	Name     string
	From, To ui.Input
	Action   string
	Head     documents.Table
	Rows     [][]string
	Hidden   int
	Empty    ui.Empty
	Files    []linkView
}

// shownRows bounds what the page shows; the exports hold all.
const shownRows = 500

// register shows a register of a period, or writes it as a file.
func (p *Pages) register(w http.ResponseWriter, r *http.Request) error {
	book, v := r.PathValue("book"), web.Query(r)
	from, to := p.period(v)
	t, err := p.table(r, book, from, to.AddDate(0, 0, 1))
	if err != nil {
		return err
	}
	if format := v.Get("format"); format != "" {
		if format != "pdf" && format != "docx" && format != "csv" {
			return errs.E(errs.Invalid, "docs.problem.format", nil)
		}
		file, media, err := p.Print(t, format)
		if err != nil {
			return err
		}
		name := "so-van-ban-" + map[string]string{"out": "di", "in": "den", "follow": "theo-doi"}[book] + "-" + from.Format(time.DateOnly) + "." + format
		return web.WriteFile(w, web.File{Name: name, Type: media, Inline: format == "pdf", Data: file})
	}
	page := registerPage{Page: p.newPage(r, "docs.register."+book), Action: "/documents/registers/" + book, Head: t, Rows: t.Rows}
	page.Name = book
	page.Back = "/documents/registers"
	if len(page.Rows) > shownRows {
		page.Hidden = len(page.Rows) - shownRows
		page.Rows = page.Rows[:shownRows]
	}
	page.From = ui.Input{Name: "from", Label: page.T("docs.filter.from"), Type: "date", Value: from.Format(time.DateOnly)}
	page.To = ui.Input{Name: "to", Label: page.T("docs.filter.to"), Type: "date", Value: to.Format(time.DateOnly)}
	page.Empty = ui.Empty{Title: page.T("docs.register.empty"), Text: page.T("docs.register.empty_text")}
	for _, format := range []string{"pdf", "docx", "csv"} {
		q := url.Values{"from": {from.Format(time.DateOnly)}, "to": {to.Format(time.DateOnly)}, "format": {format}}
		page.Files = append(page.Files, linkView{Text: page.T("docs.register.save", "format", strings.ToUpper(format)), URL: page.Action + "?" + q.Encode()})
	}
	return p.templates.Render(w, r, http.StatusOK, "register", page)
}

// period is what the address asks for; without it the year until today.
func (p *Pages) period(v url.Values) (from, to time.Time) {
	today := p.Now().In(i18n.Zone)
	from = time.Date(today.Year(), 1, 1, 0, 0, 0, 0, i18n.Zone)
	to = time.Date(today.Year(), today.Month(), today.Day(), 0, 0, 0, 0, i18n.Zone)
	if t, err := time.ParseInLocation(time.DateOnly, v.Get("from"), i18n.Zone); err == nil {
		from = t
	}
	if t, err := time.ParseInLocation(time.DateOnly, v.Get("to"), i18n.Zone); err == nil {
		to = t
	}
	return from, to
}

func (p *Pages) table(r *http.Request, book string, from, to time.Time) (documents.Table, error) {
	by := p.who(r)
	o, err := p.Desk.OfficeOf(by)
	if err != nil {
		return documents.Table{}, err
	}
	switch book {
	case "out":
		return p.Desk.RegisterOutgoing(r.Context(), by, o.Code, from, to)
	case "in":
		return p.Desk.RegisterIncoming(r.Context(), by, o.Code, from, to)
	case "follow":
		return p.Desk.RegisterFollowUp(r.Context(), by, o.Code, from, to)
	}
	return documents.Table{}, errs.E(errs.NotFound, "docs.problem.register_unknown", nil)
}

type statisticsPage struct {
	ui.Page
	From, To ui.Input
	Out, In  ui.Figures
	Types    ui.Table
}

// statistics counts a period.
func (p *Pages) statistics(w http.ResponseWriter, r *http.Request) error {
	from, to := p.period(web.Query(r))
	s, err := p.Desk.Statistics(r.Context(), p.who(r), from, to.AddDate(0, 0, 1))
	if err != nil {
		return err
	}
	page := statisticsPage{Page: p.newPage(r, "docs.statistics.title")}
	page.From = ui.Input{Name: "from", Label: page.T("docs.filter.from"), Type: "date", Value: from.Format(time.DateOnly)}
	page.To = ui.Input{Name: "to", Label: page.T("docs.filter.to"), Type: "date", Value: to.Format(time.DateOnly)}
	number := func(n int) string { return i18n.Number(page.Lang, int64(n)) }
	figure := func(f *ui.Figures, label string, n int, u string, tone ui.Tone) {
		if n == 0 {
			tone = ui.Neutral
		}
		f.Items = append(f.Items, ui.Figure{Label: label, Value: number(n), URL: u, Tone: tone})
	}
	figure(&page.Out, page.T("docs.statistics.issued"), s.Issued, "", ui.Neutral)
	figure(&page.Out, page.T("docs.statistics.sent"), s.Sent, "/documents/out?state=sent", ui.Neutral)
	figure(&page.Out, page.T("docs.statistics.revoked"), s.Revoked, "/documents/out?state=revoked", ui.Neutral)
	figure(&page.In, page.T("docs.statistics.arrived"), s.Arrived, "/documents/in", ui.Neutral)
	figure(&page.In, page.T("docs.statistics.accepted"), s.Accepted, "", ui.Neutral)
	figure(&page.In, page.T("docs.statistics.refused"), s.Refused, "/documents/in?state=refused", ui.Neutral)
	figure(&page.In, page.T("docs.statistics.done"), s.Done, "/documents/in?state=done", ui.Done)
	figure(&page.In, page.T("docs.statistics.open"), s.Open, "", ui.Neutral)
	figure(&page.In, page.T("docs.statistics.late"), s.Late, "", ui.Late)
	page.Types = ui.Table{Caption: page.T("docs.statistics.by_type"), Columns: []ui.Column{
		{Text: page.T("docs.field.type")}, {Text: page.T("docs.nav.out"), Numeric: true}, {Text: page.T("docs.nav.in"), Numeric: true},
	}, Empty: &ui.Empty{Title: page.T("docs.register.empty"), Text: page.T("docs.register.empty_text")}}
	for _, t := range s.ByType {
		page.Types.Rows = append(page.Types.Rows, ui.Row{Cells: []ui.Cell{{Text: t.Name, Head: true}, {Text: number(t.Out)}, {Text: number(t.In)}}})
	}
	return p.templates.Render(w, r, http.StatusOK, "statistics", page)
}
