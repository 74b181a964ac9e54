package servicesdesk

import (
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"truc/internal/calendar"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type worklistPage struct {
	ui.Page
	Clock, States, Ended ui.Counters
	Filter               filterForm
	Rows                 []workRow
	Caption              string
	Empty                ui.Empty
	Pages                ui.Pagination
	Unit                 string
	// Opens is false for an administrator, who sees that there is work but not whose.
	Opens bool
}

type filterForm struct {
	Search    ui.Input
	Procedure ui.Select
	Mine      ui.Checkboxes
	Keep      url.Values
	ClearURL  string
}

type workRow struct {
	Number, URL, Applicant   string
	Submitted                time.Time
	Procedure, Code, Channel string
	State                    string
	Tag                      ui.Tag
	Clock                    ui.Clock
	Due                      time.Time
	Tone                     ui.Tone
	Finance, Assignee        string
}

// worklist shows the dossiers of the officer's units. The whole view is in the address, so that it can be sent to a
// colleague.
func (p *Pages) worklist(w http.ResponseWriter, r *http.Request) error {
	page := worklistPage{Page: newPage(r, "desk.worklist.title")}
	q := readWorkQuery(web.Query(r))
	filter := q.filter(p.Now(), p.Desk.SoonBefore(p.Now()), who(r).ID)
	list, err := p.Desk.Worklist(r.Context(), who(r), filter, page.Lang)
	if err != nil {
		return err
	}
	me := who(r)
	page.Opens = me.Has("reception") || me.Has("officer") || me.Has("head")
	page.Unit = p.Desk.UnitName(me.Agency)
	for _, row := range list.Rows {
		page.Rows = append(page.Rows, p.workRow(page, row))
	}
	p.fillCounters(&page, list.Counters, q)
	page.Filter = p.filterForm(page.Page, q)
	page.Caption = page.T("desk.worklist.caption")
	page.Empty = ui.Empty{Title: page.T("desk.worklist.empty"), Text: page.T("desk.worklist.empty_text")}
	if q.narrow() {
		page.Empty = ui.Empty{Title: page.T("desk.worklist.none"), Text: page.T("desk.worklist.none_text"), Action: &ui.Button{Text: page.T("desk.worklist.clear"), URL: "/desk", Kind: "secondary"}}
	}
	if q.after != "" {
		page.Pages.Prev = q.url("after", "")
	}
	if list.More {
		last := list.Rows[len(list.Rows)-1]
		page.Pages.Next = q.url("after", strconv.FormatInt(micros(last.Due), 36)+"."+last.ID)
	}
	return p.templates.Render(w, r, http.StatusOK, "worklist", page)
}

func (p *Pages) workRow(page worklistPage, r services.WorkRow) workRow {
	out := workRow{
		Number: r.Number, Applicant: r.ApplicantName, Submitted: r.SubmittedAt, Procedure: r.ProcedureName, Code: r.Procedure,
		Channel: page.T("desk.channel." + r.Channel), State: r.State, Tag: ui.Tag{Text: r.StateName}, Due: r.Due,
	}
	if r.Finance != "none" {
		out.Finance = page.T("desk.finance_line." + r.Finance)
	}
	if r.Assignee != "" {
		out.Assignee = p.assignee(page.Page, r.Assignee)
	}
	if page.Opens {
		out.URL = dossierURL(r.Number)
	}
	if proc := p.Desk.Library.At(r.VersionHash); proc != nil {
		out.Tag = stateTag(proc.Flow.State(r.State), page.Lang)
	}
	out.Clock = p.clock(page.Page, clockOf{
		Due: r.Due, Received: r.ReceivedAt, Finished: r.FinishedAt, Paused: r.PausedSince, Left: r.Left,
	})
	out.Clock.Words = strings.Replace(out.Clock.Words, " "+page.T("desk.clock.of_working_time"), "", 1) // every time of the list is
	if out.Clock.Tone == ui.Late || out.Clock.Tone == ui.Soon {
		out.Tone = out.Clock.Tone
	}
	return out
}

// assignee says who has a dossier: myself, or a colleague by name where the node can tell it.
func (p *Pages) assignee(page ui.Page, account string) string {
	if account == page.Principal.ID {
		return page.T("desk.me")
	}
	if p.OfficerName != nil {
		if name := p.OfficerName(account); name != "" {
			return name
		}
	}
	return account
}

type clockOf struct {
	Due, Received, Finished, Paused time.Time
	Left                            calendar.Left
}

// clock says how a dossier stands to its due date, in words first.
func (p *Pages) clock(page ui.Page, c clockOf) ui.Clock {
	switch {
	case !c.Finished.IsZero():
		if c.Due.IsZero() {
			return ui.Clock{Words: page.T("desk.clock.finished")}
		}
		if calendar.ByDate(c.Finished, c.Due) == calendar.Late {
			return ui.Clock{Words: page.T("desk.clock.finished_late")}
		}
		return ui.Clock{Words: page.T("desk.clock.finished_in_time"), Tone: ui.Done}
	case c.Received.IsZero():
		return ui.Clock{Words: page.T("desk.clock.not_received")}
	case c.Due.IsZero():
		return ui.Clock{Words: page.T("desk.clock.no_limit")}
	case !c.Paused.IsZero():
		return ui.Clock{Words: page.T("desk.clock.paused"), Tone: ui.Info}
	case c.Left.Overdue:
		return ui.Clock{Words: c.Left.Text(p.Messages, page.Lang), Tone: ui.Late}
	case c.Due.Before(p.Desk.SoonBefore(p.Now())):
		return ui.Clock{Words: c.Left.Text(p.Messages, page.Lang), Tone: ui.Soon}
	}
	return ui.Clock{Words: c.Left.Text(p.Messages, page.Lang), Tone: ui.Done}
}

// fillCounters puts the numbers beside the list: by clock, then by state in the order of the procedures' flows.
func (p *Pages) fillCounters(page *worklistPage, c services.Counters, q workQuery) {
	open := 0
	var states []*bundle.State
	seen := map[string]bool{}
	words := map[string]string{} // by state: what every procedure calls it, else its national name
	for _, proc := range p.Desk.Library.All() {
		for i := range proc.Flow.States {
			s := &proc.Flow.States[i]
			if name := s.Phase.In(page.Lang); !seen[s.Name] {
				seen[s.Name], words[s.Name] = true, name
				states = append(states, s)
			} else if words[s.Name] != name {
				words[s.Name] = page.T("services.national." + strconv.Itoa(s.National))
			}
		}
	}
	sort.SliceStable(states, func(i, j int) bool { return states[i].National < states[j].National })
	for name := range c.ByState { // states that only older versions of a procedure know
		if !seen[name] {
			states, words[name] = append(states, &bundle.State{Name: name}), name
		}
	}
	page.States.Title, page.Ended.Title = page.T("desk.counters.states"), page.T("desk.counters.ended")
	for _, s := range states {
		n := c.ByState[s.Name]
		item := ui.Counter{Text: words[s.Name], Count: n, URL: q.only("state", s.Name), Current: q.state == s.Name}
		if s.Final {
			page.Ended.Items = append(page.Ended.Items, item)
			continue
		}
		open += n
		page.States.Items = append(page.States.Items, item)
	}
	page.Clock = ui.Counters{Title: page.T("desk.counters.clock"), Items: []ui.Counter{
		{Text: page.T("desk.counters.open"), Count: open, URL: q.only("", ""), Current: q.state == "" && q.due == ""},
		{Text: page.T("desk.counters.overdue"), Count: c.Overdue, URL: q.only("due", "overdue"), Current: q.due == "overdue", Tone: toneIf(c.Overdue, ui.Late)},
		{Text: page.T("desk.counters.soon"), Count: c.Soon, URL: q.only("due", "soon"), Current: q.due == "soon", Tone: toneIf(c.Soon, ui.Soon)},
		{Text: page.T("desk.counters.waiting"), Count: c.Paused, URL: q.only("due", "waiting"), Current: q.due == "waiting"},
	}}
}

func toneIf(n int, tone ui.Tone) ui.Tone {
	if n == 0 {
		return ui.Neutral
	}
	return tone
}

func (p *Pages) filterForm(page ui.Page, q workQuery) filterForm {
	f := filterForm{
		Search:    ui.Input{Name: "q", Label: page.T("desk.filter.search"), Value: q.q, Type: "search", Autocomplete: "off"},
		Procedure: ui.Select{Name: "procedure", Label: page.T("desk.filter.procedure"), Value: q.procedure, Empty: page.T("desk.filter.all")},
		Mine:      ui.Checkboxes{Name: "mine", Legend: page.T("desk.filter.mine"), NoLegend: true, Options: []ui.Option{{Value: "1", Label: page.T("desk.filter.mine")}}},
		Keep:      url.Values{},
	}
	if q.mine {
		f.Mine.Values = []string{"1"}
	}
	for _, proc := range p.Desk.Library.All() {
		f.Procedure.Options = append(f.Procedure.Options, ui.Option{Value: proc.Code, Label: proc.Name.In(page.Lang)})
	}
	if q.state != "" {
		f.Keep.Set("state", q.state)
	}
	if q.due != "" {
		f.Keep.Set("due", q.due)
	}
	if q.narrow() {
		f.ClearURL = "/desk"
	}
	return f
}

// workQuery is the address of a view.
type workQuery struct {
	state, due, procedure, q, after string
	mine                            bool
}

func readWorkQuery(v url.Values) workQuery {
	q := workQuery{
		state: short(v.Get("state")), due: v.Get("due"), procedure: short(v.Get("procedure")), q: short(strings.TrimSpace(v.Get("q"))),
		after: short(v.Get("after")), mine: v.Get("mine") == "1",
	}
	if v.Get("overdue") == "1" {
		q.due = "overdue"
	}
	if q.due != "overdue" && q.due != "soon" && q.due != "waiting" {
		q.due = ""
	}
	return q
}

// short bounds what is carried from an address into the next one.
func short(s string) string {
	if r := []rune(s); len(r) > 120 {
		return string(r[:120])
	}
	return s
}

func (q workQuery) narrow() bool {
	return q.state != "" || q.due != "" || q.procedure != "" || q.q != "" || q.mine
}

func (q workQuery) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"state": q.state, "due": q.due, "procedure": q.procedure, "q": q.q, "after": q.after} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.mine {
		v.Set("mine", "1")
	}
	return v
}

// url is the address of this view with one parameter changed.
func (q workQuery) url(name, value string) string {
	v := q.values()
	v.Del(name)
	if value != "" {
		v.Set(name, value)
	}
	return deskURL(v)
}

// only is the address of the view behind a counter: whose work and which procedure stay, the rest is what was chosen.
func (q workQuery) only(name, value string) string {
	v := workQuery{procedure: q.procedure, mine: q.mine}.values()
	if name != "" {
		v.Set(name, value)
	}
	return deskURL(v)
}

func deskURL(v url.Values) string {
	if e := v.Encode(); e != "" {
		return "/desk?" + e
	}
	return "/desk"
}

func (q workQuery) filter(now, soon time.Time, me string) services.Filter {
	f := services.Filter{Query: q.q, Procedure: q.procedure}
	if q.state != "" {
		f.States = []string{q.state}
	}
	switch q.due {
	case "overdue":
		f.Overdue = now
	case "soon":
		f.DueFrom, f.DueBefore = now, soon
	case "waiting":
		f.Waiting = true
	}
	if q.mine {
		f.Assignee = me
	}
	f.Open = q.state == "" && q.q == "" // who looks for a number wants to find it whatever became of it
	if due, id, ok := strings.Cut(q.after, "."); ok {
		if us, err := strconv.ParseInt(due, 36, 64); err == nil && us >= 0 {
			f.AfterID = id
			if us > 0 {
				f.AfterDue = time.UnixMicro(us).UTC()
			}
		}
	}
	return f
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
