package documentspage

import (
	"net/http"

	"truc/internal/documents"
	"truc/internal/web/ui"
)

type homePage struct {
	ui.Page
	Office, OfficeCode string
	Alerts             []alertView
	MoreAlerts         int
	Sections           []homeSection
	Empty              ui.Empty
	Buttons            []ui.Button
}

type alertView struct {
	Text, Code, Subject, URL string
	Clock                    ui.Clock
	Urgency                  *ui.Tag
	Tone                     ui.Tone
}

// homeSection is work of one kind that waits for the officer.
type homeSection struct {
	ID, Title, Caption, AllURL string
	Rows                       []rowView
}

// homeRows is how many rows of each kind of work the first page shows.
const homeRows = 8

// work is one kind of work: who has it and where the rest is listed.
type work struct {
	id, titleKey, all string
	role              string
	query             documents.Query
}

func workOf(by documents.Actor) []work {
	mine := func(q documents.Query) documents.Query {
		q.Holder = by.Account
		return q
	}
	all := []work{
		{"arrived", "docs.home.arrived", "/documents/in?state=arrived", documents.RoleClerk, documents.Query{Direction: documents.In, States: []documents.State{documents.Arrived}}},
		{"seal", "docs.home.seal", "/documents/out?state=signed", documents.RoleClerk, documents.Query{Direction: documents.Out, States: []documents.State{documents.Signed}}},
		{"send", "docs.home.send", "/documents/out?state=issued", documents.RoleClerk, documents.Query{Direction: documents.Out, States: []documents.State{documents.Issued}}},
		{"sign", "docs.home.sign", "/documents/out?state=approved", documents.RoleHead, mine(documents.Query{Direction: documents.Out, States: []documents.State{documents.Approved, documents.Numbered}})},
		{"assign", "docs.home.assign", "/documents/in?state=accepted", documents.RoleHead, documents.Query{Direction: documents.In, States: []documents.State{documents.Accepted}}},
		{"review", "docs.home.review", "/documents/out?state=reviewing", "", mine(documents.Query{Direction: documents.Out, States: []documents.State{documents.Reviewing}})},
		{"handle", "docs.home.handle", "/documents/in?state=assigned", documents.RoleOfficer, documents.Query{Direction: documents.In, Viewer: by.Account, States: []documents.State{documents.Assigned, documents.Working}}},
		{"drafts", "docs.home.drafts", "/documents/out?state=drafting", "", mine(documents.Query{Direction: documents.Out, States: []documents.State{documents.Drafting}})},
	}
	var out []work
	for _, k := range all {
		if k.role == "" || by.Has(k.role) {
			out = append(out, k)
		}
	}
	return out
}

// home shows what waits for who looks, urgent documents and the nearest limits first.
func (p *Pages) home(w http.ResponseWriter, r *http.Request) error {
	by := p.who(r)
	page := homePage{Page: p.newPage(r, "docs.home.title")}
	o, err := p.Desk.OfficeOf(by)
	if err != nil {
		return err
	}
	page.Office, page.OfficeCode = o.Name, o.Code
	if err := p.fillAlerts(r, by, &page); err != nil {
		return err
	}
	for _, k := range workOf(by) {
		q := k.query
		q.Sort, q.Limit = "urgent", homeRows+1
		rows, err := p.Desk.Search(r.Context(), by, q)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		s := homeSection{ID: k.id, Title: page.T(k.titleKey), Caption: page.T(k.titleKey)}
		if len(rows) > homeRows {
			s.AllURL, rows = k.all, rows[:homeRows]
		}
		for _, row := range rows {
			s.Rows = append(s.Rows, p.rowView(page.Page, row))
		}
		page.Sections = append(page.Sections, s)
	}
	page.Empty = ui.Empty{Title: page.T("docs.home.empty"), Text: page.T("docs.home.empty_text")}
	page.Buttons = append(page.Buttons, ui.Button{Text: page.T("docs.out.new"), URL: "/documents/out/new"})
	if by.Has(documents.RoleClerk) {
		page.Buttons = append(page.Buttons, ui.Button{Text: page.T("docs.in.enter"), URL: "/documents/in/enter", Kind: "secondary"})
	}
	return p.templates.Render(w, r, http.StatusOK, "home", page)
}

func (p *Pages) fillAlerts(r *http.Request, by documents.Actor, page *homePage) error {
	alerts, err := p.Desk.Alerts(r.Context(), by)
	if err != nil {
		return err
	}
	const most = 6
	for i, a := range alerts {
		if i == most {
			page.MoreAlerts = len(alerts) - most
			break
		}
		v := alertView{Text: page.T(a.Key()), Tone: ui.Soon}
		if a.Late {
			v.Tone = ui.Late
		}
		if a.Kind == "certificate" {
			v.Subject = page.T("docs.home.certificate", "subject", a.Certificate.Subject, "days", a.Days)
		} else {
			v.Subject, v.URL, v.Urgency = a.Row.Subject, documentURL(a.Row.Direction, a.Row.ID), urgencyTag(page.Page, a.Row.Urgency)
			v.Code = page.T("docs.list.no_number")
			if a.Row.Number != "" {
				v.Code = documents.Code{Number: a.Row.Number, Notation: a.Row.Notation}.String()
			}
			if !a.Due.IsZero() {
				v.Clock = p.clock(page.Page, a.Due, a.Row.Clock)
			}
		}
		page.Alerts = append(page.Alerts, v)
	}
	return nil
}
