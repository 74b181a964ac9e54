package servicespage

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// filingPage is filing.html, and with less in it track_found.html.
type filingPage struct {
	ui.Page
	ID, Number, State string
	Due               time.Time
	Notices           []ui.Notice
	Facts             ui.SummaryList
	Timeline          ui.Timeline
	DueHistory        []string
	Documents         []ui.FileItem
	Payments          ui.SummaryList
	Pay               *ui.Button
	PayNote           string
	Answers           ui.SummaryList
	Links             []ui.Action
}

// filing shows what is asked of the person, then what happened, happens and will happen.
func (p *Pages) filing(w http.ResponseWriter, r *http.Request) error {
	lang := ui.NewPage(r, "").Lang
	v, err := p.Portal.View(r.Context(), who(r), r.PathValue("id"), lang)
	if err != nil {
		return err
	}
	page := p.filingData(r, &v)
	page.Back = "/filings"
	paid := web.Query(r).Get("payment")
	page.Notices = append(p.askOf(page.Page, &v), p.paymentNotices(page.Page, &v, paid)...)
	if v.PaymentOpen && paid != "" && p.Now().Sub(lastPayment(&v).CreatedAt) < 15*time.Minute {
		w.Header().Set("Refresh", "4")
	}
	p.filingPayments(&page, &v)
	page.Documents = p.documents(page.Page, &v)
	for _, a := range v.Answers {
		page.Answers.Rows = append(page.Answers.Rows, ui.SummaryRow{Key: a.Label, Value: a.Value})
	}
	if v.MayRate {
		page.Links = append(page.Links, ui.Action{Text: page.T("services.rate.link"), URL: filingURL(v.ID) + "/rate"})
	}
	page.Links = append(page.Links, ui.Action{Text: page.T("services.filing.who_read"), URL: "/my-data"})
	if v.MayWithdraw {
		page.Links = append(page.Links, ui.Action{Text: page.T("services.withdraw.link"), URL: filingURL(v.ID) + "/withdraw"})
	}
	return p.render(w, r, "filing", page)
}

// filingData is what anybody who may see the filing sees.
func (p *Pages) filingData(r *http.Request, v *services.FilingView) filingPage {
	page := filingPage{Page: ui.NewPage(r, ""), ID: v.ID, Number: v.Number, State: v.State, Due: v.Due}
	page.Title = v.Procedure.Name.In(page.Lang)
	number := v.Number
	if number == "" {
		number = page.T("services.done.temporary", "id", v.ID)
	}
	rows := []ui.SummaryRow{
		{Key: page.T("services.filing.number"), Value: number},
		{Key: page.T("services.filing.state"), Tag: &ui.Tag{Text: p.stateWords(v.Procedure, v.State, page.Lang), Tone: stateTone(v.Procedure, v.State)}},
		{Key: page.T("services.filing.office"), Value: v.UnitName},
		{Key: page.T("services.filing.submitted"), Value: i18n.DateTime(v.SubmittedAt)},
	}
	switch {
	case endedWithout(v): // nothing is to be expected any more
	case !v.Due.IsZero():
		rows = append(rows, ui.SummaryRow{Key: page.T("services.filing.due"), Value: instant(page.Lang, v.Due)})
	case !v.Summary.Expected.IsZero():
		rows = append(rows, ui.SummaryRow{Key: page.T("services.filing.expected"), Value: instant(page.Lang, v.Summary.Expected)})
	}
	page.Facts = ui.SummaryList{Rows: rows}
	page.Timeline = p.timeline(page.Page, v)
	page.DueHistory = dueHistory(page.Page, v.Events)
	return page
}

// endedWithout reports whether the filing ended without a result: refused, withdrawn or stopped (national states 3,
// 7 and 8).
func endedWithout(v *services.FilingView) bool {
	s := v.Procedure.Flow.State(v.State)
	return s != nil && s.Final && s.National != 10
}

// refusal says that and why the agency refused or stopped the filing, with the slip that says it formally.
func (p *Pages) refusal(page ui.Page, v *services.FilingView) []ui.Notice {
	s := v.Procedure.Flow.State(v.State)
	if s == nil || s.National != 3 && s.National != 8 {
		return nil
	}
	n := ui.Notice{Tone: ui.Late, Title: p.stateWords(v.Procedure, v.State, page.Lang)}
	for _, e := range v.Events {
		if e.Type == services.EvRefused || e.Type == services.EvStopped {
			n.Text = e.Data.Reason
		}
	}
	for _, d := range v.Summary.Docs {
		if d.Public && (d.Kind == services.DocRefusal || d.Kind == services.DocStop) {
			n.Action = &ui.Action{Text: page.T("services.document." + d.Kind), URL: documentURL(v.ID, d.ID)}
		}
	}
	return []ui.Notice{n}
}

// askOf lists what the person must do or know before all else.
func (p *Pages) askOf(page ui.Page, v *services.FilingView) []ui.Notice {
	var out []ui.Notice
	switch v.Sync {
	case services.SyncQueued:
		out = append(out, ui.Notice{Title: page.T("services.sync.queued"), Text: page.T("services.sync.queued_text", "office", v.UnitName)})
	case services.SyncHeld:
		out = append(out, ui.Notice{Tone: ui.Soon, Title: page.T("services.sync.held"), Text: page.T("services.sync.held_text")})
	case services.SyncRefused:
		out = append(out, ui.Notice{Tone: ui.Late, Title: page.T("services.sync.refused"), Text: page.T("services.sync.refused_text")})
	case services.SyncDelivered:
	}
	if s := v.Summary.Supplement; v.MustSupply {
		n := ui.Notice{
			Tone: ui.Soon, Title: page.T("services.supplement.asked"), Text: s.Data.Reason, Lines: askedPapers(s),
			Action: &ui.Action{Text: page.T("services.supplement.do"), URL: filingURL(v.ID) + "/supplement"},
		}
		if s.Data.Deadline != nil {
			n.Title = page.T("services.supplement.asked_before", "due", instant(page.Lang, *s.Data.Deadline))
		}
		out = append(out, n)
	} else if s != nil && v.Summary.Answered {
		out = append(out, ui.Notice{Tone: ui.Done, Title: page.T("services.supplement.sent"), Text: page.T("services.supplement.sent_text")})
	}
	if _, ok := v.Result(); ok {
		out = append(out, ui.Notice{Tone: ui.Done, Title: page.T("services.filing.result_ready"), Text: page.T("services.filing.result_text"), Action: resultLink(page, v)})
	}
	out = append(out, p.refusal(page, v)...)
	if v.Summary.Withdrawn && !v.Summary.Final {
		out = append(out, ui.Notice{Title: page.T("services.withdraw.sent"), Text: page.T("services.withdraw.sent_text")})
	}
	return out
}

func resultLink(page ui.Page, v *services.FilingView) *ui.Action {
	doc, ok := v.Result()
	if !ok {
		return nil
	}
	return &ui.Action{Text: page.T("services.filing.result_download"), URL: documentURL(v.ID, doc.ID)}
}

func documentURL(filing, doc string) string {
	return filingURL(filing) + "/documents/" + url.PathEscape(doc)
}

func askedPapers(n *services.Notice) []string {
	var out []string
	for _, j := range n.Data.Papers {
		if j.OK {
			continue
		}
		line := j.Name
		if line == "" {
			line = j.Paper
		}
		if j.Note != "" {
			line += ": " + j.Note
		}
		out = append(out, line)
	}
	return out
}

// documents lists what the agency has issued to the applicant.
func (p *Pages) documents(page ui.Page, v *services.FilingView) []ui.FileItem {
	var out []ui.FileItem
	for _, d := range v.Summary.Docs {
		if !d.Public {
			continue
		}
		title := d.Title
		if key := "services.document." + d.Kind; d.Kind != services.DocResult && p.Messages.Has("vi", key) {
			title = page.T(key)
		}
		if d.Kind == services.DocResult {
			title = page.T("services.document.result_named", "name", v.Procedure.Result.Name.In(page.Lang))
		}
		out = append(out, ui.FileItem{Name: title, Size: "PDF, " + size(page.Lang, d.Size), URL: documentURL(v.ID, d.ID)})
	}
	return out
}

// filingDocument hands out a document of the filing.
func (p *Pages) filingDocument(w http.ResponseWriter, r *http.Request) error {
	doc, content, err := p.Portal.Download(r.Context(), who(r), r.PathValue("id"), r.PathValue("doc"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: doc.Title + ".pdf", Type: doc.Media, Inline: true, Data: content})
}

// timeline tells past, present and future of a filing.
func (p *Pages) timeline(page ui.Page, v *services.FilingView) ui.Timeline {
	var out []ui.TimelineEvent
	if !slices.ContainsFunc(v.Events, func(n services.Notice) bool { return n.Type == services.EvSubmitted }) {
		out = append(out, ui.TimelineEvent{Title: page.T("services.event.submitted"), When: v.SubmittedAt, Who: page.T("services.event.by_you")})
	}
	for _, n := range v.Events {
		if n.Type == services.EvDocumentIssued || n.Type == services.EvRated {
			continue // what was issued is in the list of documents
		}
		out = append(out, p.event(page, v, n))
	}
	s := v.Procedure.Flow.State(v.State)
	if s == nil || v.Summary.Final || s.Final {
		return ui.Timeline{Events: out}
	}
	now := ui.TimelineEvent{Title: p.stateWords(v.Procedure, v.State, page.Lang), Who: v.UnitName, State: "now", Clock: p.clock(page, v.Procedure, v.Filing)}
	if v.Sync != services.SyncDelivered {
		now.Title, now.Clock = page.T("services.sync."+string(v.Sync)), nil
	}
	out = append(out, now)
	for _, title := range p.ahead(v, page.Lang) {
		out = append(out, ui.TimelineEvent{Title: title, State: "next"})
	}
	return ui.Timeline{Events: out}
}

// event is one notice of the agency: what, when, who, and why.
func (p *Pages) event(page ui.Page, v *services.FilingView, n services.Notice) ui.TimelineEvent {
	e := ui.TimelineEvent{Title: page.T("services.event." + string(n.Type)), When: n.At, Text: n.Data.Reason}
	if n.Type == services.EvMoved {
		e.Title = p.stateWords(v.Procedure, n.State, page.Lang)
	}
	switch {
	case n.Actor != "" && n.AgencyName != "":
		e.Who = n.Actor + ", " + n.AgencyName
	case n.Actor != "":
		e.Who = n.Actor
	default:
		e.Who = n.AgencyName
	}
	switch n.Type {
	case services.EvSubmitted, services.EvSupplementReceived, services.EvWithdrawn:
		e.Who = page.T("services.event.by_you")
	case services.EvReceived:
		if !n.Due.IsZero() {
			e.Lines = append(e.Lines, page.T("services.event.due", "due", instant(page.Lang, n.Due)))
		}
	case services.EvExtended:
		if n.Data.NewDue != nil {
			e.Lines = append(e.Lines, page.T("services.event.new_due", "due", instant(page.Lang, *n.Data.NewDue)))
		}
	case services.EvSupplementRequested:
		e.Lines = askedPapers(&n)
		if s := v.Summary.Supplement; v.MustSupply && s != nil && s.Seq == n.Seq {
			e.State = "ask"
			e.Links = []ui.Action{{Text: page.T("services.supplement.do"), URL: filingURL(v.ID) + "/supplement"}}
		}
	case services.EvPaymentConfirmed:
		if n.Data.Payment != nil {
			e.Lines = append(e.Lines, i18n.Money(page.Lang, n.Data.Payment.Amount))
		}
	default: // the title says it all
	}
	if n.Data.LegalBasis != "" {
		e.Lines = append(e.Lines, page.T("services.event.basis", "basis", n.Data.LegalBasis))
	}
	return e
}

// ahead names the states still to come: those that follow in the procedure and are neither a pause nor an end that
// nobody wishes for.
func (p *Pages) ahead(v *services.FilingView, lang string) []string {
	states := v.Procedure.Flow.States
	at := -1
	reached := []string{v.State}
	for _, n := range v.Events {
		reached = append(reached, n.State)
	}
	for i, s := range states {
		if slices.Contains(reached, s.Name) && !s.Paused && !s.Final {
			at = i
		}
	}
	var out []string
	for _, s := range states[at+1:] {
		if !s.Paused && (!s.Final || s.National == 10) {
			out = append(out, p.stateWords(v.Procedure, s.Name, lang))
		}
	}
	return out
}

// clock says how much working time is left. It stands still while the agency waits for somebody, and is gone when
// the work is done.
func (p *Pages) clock(page ui.Page, proc *bundle.Procedure, f services.Filing) *ui.Clock {
	s := proc.Flow.State(f.State)
	if s == nil || s.Final || s.National == 9 || f.Due.IsZero() {
		return nil
	}
	if f.Summary.Paused {
		return &ui.Clock{Words: page.T("services.clock.paused")}
	}
	left := p.Portal.Calendar().Remaining(p.Now(), f.Due)
	c := &ui.Clock{Words: left.Text(p.Messages, page.Lang), Tone: ui.Done, Due: f.Due}
	switch {
	case left.Overdue:
		c.Tone = ui.Late
	case left.Days == 0:
		c.Tone = ui.Soon
	}
	return c
}

// dueHistory lists every due date there was, with what changed it.
func dueHistory(page ui.Page, events []services.Notice) []string {
	var out []string
	var last time.Time
	for _, n := range events {
		due := n.Due
		if n.Data.NewDue != nil {
			due = *n.Data.NewDue
		}
		if due.IsZero() || due.Equal(last) {
			continue
		}
		key := "services.due.first"
		switch {
		case n.Type == services.EvExtended:
			key = "services.due.extended"
		case !last.IsZero():
			key = "services.due.moved"
		}
		out = append(out, page.T(key, "due", instant(page.Lang, due), "at", i18n.DateTime(n.At), "reason", n.Data.Reason))
		last = due
	}
	return out
}
