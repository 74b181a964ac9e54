package documentspage

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"truc/internal/documents"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type listPage struct {
	ui.Page
	Dir     documents.Direction
	States  ui.Counters
	Filter  filterForm
	Rows    []rowView
	Caption string
	Empty   ui.Empty
	Pages   ui.Pagination
	Buttons []ui.Button
}

type filterForm struct {
	Action                         string
	Words, Number, Party, From, To ui.Input
	Type                           ui.Select
	Keep                           url.Values
	ClearURL                       string
}

// rowView is a line of a list.
type rowView struct {
	ID, URL, Code, Sub, Subject, Party, Date string
	Dir                                      documents.Direction
	Tag                                      ui.Tag
	Urgency                                  *ui.Tag
	Clock                                    ui.Clock
	Flags                                    []string
	Tone                                     ui.Tone
	State                                    documents.State
}

// rowView draws a row of the store.
func (p *Pages) rowView(page ui.Page, r documents.Row) rowView {
	v := rowView{
		ID: r.ID, URL: documentURL(r.Direction, r.ID), Dir: r.Direction, Subject: r.Subject, Party: r.PartyName, Date: day(r.Date), State: r.State,
		Tag: stateTag(page, r.State), Urgency: urgencyTag(page, r.Urgency), Clock: p.clock(page, r.Due, r.Clock),
	}
	if v.Party == "" {
		v.Party = strings.Join(strings.Fields(r.Party), ", ")
	}
	switch {
	case r.Number != "":
		v.Code = documents.Code{Number: r.Number, Notation: r.Notation}.String()
	default:
		v.Code = page.T("docs.list.no_number")
	}
	v.Sub = typeName(r.Type)
	if r.Direction == documents.In && r.N > 0 {
		v.Sub = page.T("docs.list.arrival_number", "n", documents.FormatNumber(r.N)) + " · " + v.Sub
	}
	for _, f := range r.Flags {
		v.Flags = append(v.Flags, page.T("documents.alert.flag_"+f))
	}
	if v.Clock.Tone == ui.Late || v.Clock.Tone == ui.Soon {
		v.Tone = v.Clock.Tone
	}
	if len(v.Flags) > 0 {
		v.Tone = ui.Late
	}
	return v
}

func (p *Pages) incomingList(w http.ResponseWriter, r *http.Request) error {
	return p.list(w, r, documents.In, "docs.in.title")
}

func (p *Pages) outgoingList(w http.ResponseWriter, r *http.Request) error {
	return p.list(w, r, documents.Out, "docs.out.title")
}

func (p *Pages) search(w http.ResponseWriter, r *http.Request) error {
	return p.list(w, r, "", "docs.search.title")
}

// list shows documents. The whole view is in the address, so that it can be sent to a colleague.
func (p *Pages) list(w http.ResponseWriter, r *http.Request, dir documents.Direction, titleKey string) error {
	by, v := p.who(r), web.Query(r)
	page := listPage{Page: p.newPage(r, titleKey), Dir: dir}
	q, number := readQuery(v, dir)
	q.Limit, q.Offset = perPage+1, (number-1)*perPage
	var rows []documents.Row
	var err error
	if dir != "" || narrow(v) {
		if rows, err = p.Desk.Search(r.Context(), by, q); err != nil {
			return err
		}
	}
	page.Pages = steps(r.URL, number, len(rows) > perPage)
	for _, row := range rows[:min(len(rows), perPage)] {
		page.Rows = append(page.Rows, p.rowView(page.Page, row))
	}
	page.Caption = page.Title
	page.States = stateLinks(page.Page, dir, v)
	page.Filter = filterOf(page.Page, r.URL.Path, v)
	page.Empty = emptyOf(page.Page, dir, v)
	switch {
	case dir == documents.Out:
		page.Buttons = []ui.Button{{Text: page.T("docs.out.new"), URL: "/documents/out/new"}}
	case dir == documents.In && by.Has(documents.RoleClerk):
		page.Buttons = []ui.Button{{Text: page.T("docs.in.enter"), URL: "/documents/in/enter", Kind: "secondary"}}
	}
	return p.templates.Render(w, r, http.StatusOK, "list", page)
}

func emptyOf(page ui.Page, dir documents.Direction, v url.Values) ui.Empty {
	switch {
	case dir == "" && !narrow(v):
		return ui.Empty{Title: page.T("docs.search.start"), Text: page.T("docs.search.start_text")}
	case narrow(v):
		return ui.Empty{Title: page.T("docs.list.none"), Text: page.T("docs.list.none_text"), Action: &ui.Button{Text: page.T("docs.list.clear"), URL: page.Path, Kind: "secondary"}}
	case dir == documents.In:
		return ui.Empty{Title: page.T("docs.in.empty"), Text: page.T("docs.in.empty_text")}
	}
	return ui.Empty{Title: page.T("docs.out.empty"), Text: page.T("docs.out.empty_text"), Action: &ui.Button{Text: page.T("docs.out.new"), URL: "/documents/out/new"}}
}

// steps are the links to the pages before and after; a list knows no end, so that nobody counts ten thousand rows.
func steps(u *url.URL, number int, more bool) ui.Pagination {
	at := func(n int) string {
		q := u.Query()
		q.Set("page", strconv.Itoa(n))
		if n <= 1 {
			q.Del("page")
		}
		if e := q.Encode(); e != "" {
			return u.Path + "?" + e
		}
		return u.Path
	}
	var out ui.Pagination
	if number > 1 {
		out.Prev = at(number - 1)
	}
	if more {
		out.Next = at(number + 1)
	}
	return out
}

func listStates(dir documents.Direction) []documents.State {
	switch dir {
	case documents.In:
		return []documents.State{documents.Arrived, documents.Accepted, documents.Assigned, documents.Working, documents.Done, documents.Refused, documents.Cancelled, documents.Replaced}
	case documents.Out:
		return []documents.State{
			documents.Drafting, documents.Reviewing, documents.Approved, documents.Numbered, documents.Signed, documents.Issued, documents.Sent,
			documents.Revoked, documents.Replaced, documents.Discarded,
		}
	}
	return nil
}

// stateLinks are the filters beside a list.
func stateLinks(page ui.Page, dir documents.Direction, v url.Values) ui.Counters {
	out := ui.Counters{Title: page.T("docs.list.states"), Bare: true}
	if dir == "" {
		return out
	}
	base := "/documents/" + string(dir)
	add := func(text, state string) {
		q := url.Values{}
		if state != "" {
			q.Set("state", state)
		}
		u := base
		if e := q.Encode(); e != "" {
			u += "?" + e
		}
		out.Items = append(out.Items, ui.Counter{Text: text, URL: u, Current: v.Get("state") == state})
	}
	add(page.T("docs.list.all"), "")
	for _, s := range listStates(dir) {
		add(page.T(s.Key()), string(s))
	}
	return out
}

func narrow(v url.Values) bool {
	for _, name := range []string{"q", "number", "party", "type", "state", "from", "to", "urgent", "flagged"} {
		if strings.TrimSpace(v.Get(name)) != "" {
			return true
		}
	}
	return false
}

// short bounds what is carried from an address into the next one.
func short(s string) string {
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > 200 {
		return string(r[:200])
	}
	return s
}

// readQuery reads the view; what makes no sense is left out.
func readQuery(v url.Values, dir documents.Direction) (q documents.Query, page int) {
	q = documents.Query{
		Direction: dir, Words: short(v.Get("q")), Number: short(v.Get("number")), Party: short(v.Get("party")), Type: short(v.Get("type")),
		From: dateOnly(v.Get("from")), To: dateOnly(v.Get("to")), Urgent: v.Get("urgent") == "1", Flagged: v.Get("flagged") == "1",
	}
	if s := documents.State(v.Get("state")); s != "" {
		for _, known := range listStates(dir) {
			if s == known {
				q.States = []documents.State{s}
			}
		}
	}
	page, err := strconv.Atoi(v.Get("page"))
	if err != nil || page < 1 || page > 10_000 {
		page = 1
	}
	return q, page
}

func dateOnly(s string) string {
	if _, err := time.ParseInLocation(time.DateOnly, s, i18n.Zone); err != nil {
		return ""
	}
	return s
}

func filterOf(page ui.Page, action string, v url.Values) filterForm {
	f := filterForm{
		Action: action,
		Words:  ui.Input{Name: "q", Label: page.T("docs.filter.words"), Value: short(v.Get("q")), Type: "search", Autocomplete: "off"},
		Number: ui.Input{Name: "number", Label: page.T("docs.filter.number"), Value: short(v.Get("number")), Width: "10", Autocomplete: "off"},
		Party:  ui.Input{Name: "party", Label: page.T("docs.filter.party"), Value: short(v.Get("party")), Width: "12", Autocomplete: "off"},
		From:   ui.Input{Name: "from", Label: page.T("docs.filter.from"), Value: dateOnly(v.Get("from")), Type: "date"},
		To:     ui.Input{Name: "to", Label: page.T("docs.filter.to"), Value: dateOnly(v.Get("to")), Type: "date"},
		Type:   ui.Select{Name: "type", Label: page.T("docs.filter.type"), Value: short(v.Get("type")), Empty: page.T("docs.filter.all")},
		Keep:   url.Values{},
	}
	for _, t := range documents.Types() {
		f.Type.Options = append(f.Type.Options, ui.Option{Value: t.Code, Label: t.Name})
	}
	if s := v.Get("state"); s != "" {
		f.Keep.Set("state", short(s))
	}
	if narrow(v) {
		f.ClearURL = action
	}
	return f
}
