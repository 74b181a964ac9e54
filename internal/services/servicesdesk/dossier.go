package servicesdesk

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type dossierPage struct {
	ui.Page
	Number, State, Filing, Applicant, Procedure, Case string
	Due                                               time.Time
	Version                                           int64
	Tag                                               ui.Tag
	Clock                                             ui.Clock
	Why                                               ui.Details
	Facts                                             []labelled
	Notices                                           []ui.Notice

	SimilarTitle string
	Similar      []documentLink
	Person, Fee  ui.SummaryList
	Sections     []ui.SummaryList
	IDsURL       string
	IDsShown     bool
	Papers       []paperView
	KnownPapers  []string
	Checks       []checkView
	CivilForm    *civilForm
	PersonForm   *personForm
	Main         *ui.Button
	MainHint     string
	Others       []actionLink
	Elsewhere    []string
	PreviewURL   string
	Documents    []documentLink
	Opinion      ui.Textarea
	OpinionURL   string
	Timeline     ui.Timeline
	Openings     []string
	ChainOK      bool
	ChainText    string
	ChainProblem string
}

type labelled struct{ Label, Value, Sub string }

type actionLink struct {
	Name, Text, URL string
	// Reason is set when the action cannot be done now.
	Reason string
}

type documentLink struct {
	ID, Kind, Title, URL string
	At                   time.Time
}

type paperView struct {
	Name, File, Size, Origin, URL string
	Round                         int
	Picture, PDF                  bool
	Missing                       bool
}

// dossier shows one dossier, with the next step as its one big button.
func (p *Pages) dossier(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Desk.View(r.Context(), who(r), r.PathValue("number"), pageLang(r))
	if err != nil {
		return err
	}
	page := p.dossierPage(r, v)
	p.checkForms(&page, v, nil)
	return p.templates.Render(w, r, http.StatusOK, "dossier", page)
}

func pageLang(r *http.Request) string { return ui.NewPage(r, "").Lang }

func (p *Pages) dossierPage(r *http.Request, v *services.DossierView) dossierPage {
	page := dossierPage{
		Page: newPage(r, "desk.dossier.title", "number", v.Number), Number: v.Number, State: v.State, Filing: v.Submission.FilingID,
		Applicant: v.Submission.Applicant.FullName, Due: v.Due, Version: v.Version,
	}
	page.Back = "/desk"
	page.Procedure = v.Procedure.Name.In(page.Lang)
	if v.Case != nil && len(v.Procedure.Cases) > 1 {
		page.Case = v.Case.Name.In(page.Lang)
	}
	page.Tag = stateTag(v.Procedure.Flow.State(v.State), page.Lang)
	page.Clock = p.clock(page.Page, clockOf{Due: v.Due, Received: v.ReceivedAt, Finished: v.FinishedAt, Paused: v.PausedSince, Left: v.Left})
	page.Clock.Due = v.Due
	if len(v.DueExplanation) > 0 {
		page.Why.Summary = page.T("desk.clock.why")
		for _, step := range v.DueExplanation {
			page.Why.Lines = append(page.Why.Lines, step.In(p.Messages, page.Lang))
		}
	}
	page.IDsShown = web.Query(r).Get("ids") == "1"
	page.IDsURL = dossierURL(v.Number)
	if !page.IDsShown {
		page.IDsURL += "?ids=1"
	}
	p.fillHead(&page, v)
	p.fillNotices(&page, v)
	p.fillAnswers(&page, v)
	p.fillPapers(&page, v)
	for _, chk := range slices.Backward(v.Dossier.Checks) {
		page.Checks = append(page.Checks, p.checkView(page, v, chk))
	}
	p.fillActions(&page, v)
	p.fillEvents(&page, v)
	page.Opinion = ui.Textarea{Name: "opinion", Label: page.T("desk.opinion.label"), Hint: page.T("desk.opinion.hint"), Value: v.Opinion, Rows: 4}
	page.OpinionURL = dossierURL(v.Number, "opinion")
	return page
}

// fillHead states the three agencies, the money and who works on the dossier.
func (p *Pages) fillHead(page *dossierPage, v *services.DossierView) {
	sub := v.Submission
	assignee := page.T("desk.unassigned")
	if v.Assignee != "" {
		assignee = officerName(v.Events, v.Assignee)
	}
	for _, x := range []struct{ key, agency string }{
		{"desk.fact_received_at", v.ReceivedAgency}, {"desk.fact_competent", v.CompetentAgency}, {"desk.fact_current", v.CurrentAgency},
	} {
		label := page.T(x.key)
		if n := len(page.Facts); n > 0 && page.Facts[n-1].Sub == x.agency { // usually the three are one
			page.Facts[n-1].Label += " · " + label
			continue
		}
		page.Facts = append(page.Facts, labelled{label, p.Desk.UnitName(x.agency), x.agency})
	}
	page.Facts = append(page.Facts, []labelled{
		{page.T("desk.col.assignee"), assignee, ""},
		{page.T("desk.fact_submitted"), i18n.DateTime(v.SubmittedAt), page.T("desk.channel." + sub.Channel)},
		{page.T("desk.col.finance"), page.T("desk.finance." + v.Finance), feeSub(page.Page, v)},
	}...)
	a := sub.Applicant
	page.Person = ui.SummaryList{Title: page.T("desk.person.title"), Rows: []ui.SummaryRow{
		{Key: page.T("desk.person.name"), Value: a.FullName},
		{Key: page.T("desk.person.id"), Value: masked(a.PersonalID, page.IDsShown)},
		{Key: page.T("desk.person.birth"), Value: plainDate(a.BirthDate)},
		{Key: page.T("desk.person.phone"), Value: unlessAnswered(v, a.Phone)},
		{Key: page.T("desk.person.email"), Value: unlessAnswered(v, a.Email)},
		{Key: page.T("desk.person.address"), Value: a.Address},
		{Key: page.T("desk.person.delivery"), Value: page.T("desk.delivery." + v.Channel)},
	}}
	page.Person.Rows = slicesKeep(page.Person.Rows)
}

// unlessAnswered drops a value that stands among the answers anyway.
func unlessAnswered(v *services.DossierView, value string) string {
	for _, s := range v.Sections {
		for _, l := range s.Lines {
			if l.Value == value {
				return ""
			}
		}
	}
	return value
}

// slicesKeep leaves out lines without a value: an officer's page is dense.
func slicesKeep(rows []ui.SummaryRow) []ui.SummaryRow {
	out := rows[:0]
	for _, r := range rows {
		if r.Value != "" {
			out = append(out, r)
		}
	}
	return out
}

func feeSub(page ui.Page, v *services.DossierView) string {
	fee := v.Submission.Fee
	switch {
	case fee.Exempt != "":
		return page.T("desk.fee.exempt", "who", fee.Exempt)
	case v.FeeTotal == 0:
		return ""
	}
	return page.T("desk.fee.of", "paid", i18n.Money(page.Lang, v.FeePaid), "total", i18n.Money(page.Lang, v.FeeTotal))
}

// officerName finds the name of an account among those who acted.
func officerName(events []services.Event, account string) string {
	for _, e := range slices.Backward(events) {
		if e.Actor == account && e.ActorName != "" {
			return e.ActorName
		}
	}
	return account
}

func (p *Pages) fillNotices(page *dossierPage, v *services.DossierView) {
	if err := services.VerifyChain(v.Events); err != nil {
		page.Notices = append(page.Notices, ui.Notice{Tone: ui.Late, Alert: true, Title: page.T("desk.chain.broken"), Text: page.T("desk.chain.broken_text")})
	}
	if v.Supplement != nil && !v.PausedSince.IsZero() {
		n := ui.Notice{Title: page.T("desk.waiting.supplement"), Text: v.Supplement.Data.Reason}
		if d := v.Supplement.Data.Deadline; d != nil {
			n.Lines = append(n.Lines, page.T("desk.waiting.until", "time", i18n.DateTime(*d)))
		}
		page.Notices = append(page.Notices, n)
	}
	if len(v.Similar) > 0 {
		page.SimilarTitle = page.T("desk.similar.title", "n", len(v.Similar))
		for _, s := range v.Similar {
			state := s.State
			if proc := p.Desk.Library.At(s.VersionHash); proc != nil && proc.Flow.State(s.State) != nil {
				state = proc.Flow.State(s.State).Phase.In(page.Lang)
			}
			page.Similar = append(page.Similar, documentLink{Title: s.Number, URL: dossierURL(s.Number), Kind: state, At: s.SubmittedAt})
		}
	}
}

func (p *Pages) fillAnswers(page *dossierPage, v *services.DossierView) {
	rest := ui.SummaryList{Title: page.T("desk.answers.rest")}
	for _, s := range v.Sections {
		list := ui.SummaryList{Title: s.Title}
		for _, l := range s.Lines {
			row := ui.SummaryRow{Key: l.Label, Value: l.Value}
			if l.Widget == bundle.Declaration {
				row.Key = page.T("desk.answers.declaration")
			}
			if l.Widget == bundle.Identity {
				row.Value = masked(l.Value, page.IDsShown)
			}
			switch l.Status {
			case services.PrefillOK:
				row.Source = &ui.Source{Register: p.registerName(page.Lang, l.Source), At: l.At}
			case services.PrefillDown:
				row.Tag = &ui.Tag{Text: page.T("desk.prefill.down"), Tone: ui.Soon}
			case services.PrefillDiff:
				row.Tag = &ui.Tag{Text: page.T("desk.prefill.mismatch"), Tone: ui.Late}
			case services.PrefillEmpty:
				row.Tag = &ui.Tag{Text: page.T("desk.prefill.empty")}
			}
			list.Rows = append(list.Rows, row)
		}
		if len(list.Rows) == 1 && len(v.Sections) > 1 { // a card for one line is no dense page
			rest.Rows = append(rest.Rows, list.Rows...)
			continue
		}
		page.Sections = append(page.Sections, list)
	}
	if len(rest.Rows) > 0 {
		page.Sections = append(page.Sections, rest)
	}
	fee := v.Submission.Fee
	if len(fee.Lines) > 0 {
		page.Fee = ui.SummaryList{Title: page.T("desk.fee.title")}
		for _, l := range fee.Lines {
			page.Fee.Rows = append(page.Fee.Rows, ui.SummaryRow{Key: l.Name, Value: i18n.Money(page.Lang, l.Amount)})
		}
		for _, pay := range v.Payments {
			page.Fee.Rows = append(page.Fee.Rows, ui.SummaryRow{Key: page.T("desk.fee.paid_by", "provider", pay.Provider), Value: i18n.Money(page.Lang, pay.Amount) + ", " + i18n.DateTime(pay.PaidAt)})
		}
	}
}

func (p *Pages) fillPapers(page *dossierPage, v *services.DossierView) {
	for _, ref := range v.Papers {
		page.Papers = append(page.Papers, viewOf(page.Page, v.Number, ref))
	}
	for _, n := range v.Needs {
		switch {
		case n.KnownByState && !hasPaper(v.Papers, n.ID):
			page.KnownPapers = append(page.KnownPapers, n.Name.In(page.Lang))
		case n.Required && n.Form == "" && !hasPaper(v.Papers, n.ID):
			page.Papers = append(page.Papers, paperView{Name: n.Name.In(page.Lang), Missing: true})
		}
	}
}

func viewOf(page ui.Page, number string, ref services.PaperRef) paperView {
	pv := paperView{Name: ref.Name, File: ref.File, Round: ref.Round, Origin: page.T("desk.origin." + origin(ref.Provenance))}
	if ref.SHA256 != "" {
		pv.URL, pv.Size = dossierURL(number, "papers", ref.SHA256), size(page.Lang, ref.Size)
		pv.PDF, pv.Picture = ref.Media == "application/pdf", picture(ref.Media)
	}
	return pv
}

func hasPaper(papers []services.PaperRef, id string) bool {
	for _, p := range papers {
		if p.ID == id {
			return true
		}
	}
	return false
}

func origin(provenance string) string {
	switch provenance {
	case "form", "register", "scanned":
		return provenance
	}
	return "uploaded"
}

func size(lang string, bytes int64) string {
	if bytes < 1<<20 {
		return i18n.Number(lang, max(1, bytes>>10)) + " kB"
	}
	s := i18n.Number(lang, bytes*10>>20)
	point := ","
	if lang == "en" {
		point = "."
	}
	if len(s) == 1 {
		return "0" + point + s + " MB"
	}
	return s[:len(s)-1] + point + s[len(s)-1:] + " MB"
}

// fillActions puts the one next step first. What others do and what cannot be done yet stays visible with its reason:
// people learn the procedure from the page.
func (p *Pages) fillActions(page *dossierPage, v *services.DossierView) {
	next := ""
	if v.Next != nil {
		next = v.Next.Action.Name
		page.Main = &ui.Button{Text: v.Next.Action.Label.In(page.Lang), URL: dossierURL(v.Number, "act", next), Kind: "accent"}
		if s := v.Procedure.Flow.State(v.Next.To); s != nil && v.Next.To != v.State {
			page.MainHint = page.T("desk.next.to", "state", s.Phase.In(page.Lang))
		}
	}
	for i := range v.Actions {
		a := &v.Actions[i]
		if a.Action.Auto || a.Action.Name == next {
			continue
		}
		label := a.Action.Label.In(page.Lang)
		if !a.ForRole {
			var roles []string
			for _, by := range a.Action.By {
				roles = append(roles, p.roleName(page.Lang, by))
			}
			page.Elsewhere = append(page.Elsewhere, label+": "+strings.Join(roles, ", "))
			continue
		}
		link := actionLink{Name: a.Action.Name, Text: label, URL: dossierURL(v.Number, "act", a.Action.Name)}
		if !a.Allowed {
			link.Reason = p.reason(page.Lang, a.Reason)
			if page.Main == nil && (a.Action.Produces != "" || a.Action.Sign != "") {
				page.Main = &ui.Button{Text: label, Reason: link.Reason}
				continue
			}
		}
		page.Others = append(page.Others, link)
	}
	if page.Main == nil && len(page.Others) == 0 {
		page.MainHint = page.T("desk.next.nothing")
	} else if page.Main == nil {
		page.MainHint = page.T("desk.next.waiting")
	}
	if v.CanPreview && v.FinishedAt.IsZero() && !v.ReceivedAt.IsZero() {
		page.PreviewURL = dossierURL(v.Number, "preview")
	}
	for _, e := range slices.Backward(v.Events) {
		if ref := e.Data.Document; ref != nil {
			page.Documents = append(page.Documents, documentLink{ID: ref.ID, Kind: ref.Kind, Title: p.docTitle(page.Lang, *ref), URL: dossierURL(v.Number, "documents", ref.ID), At: e.At})
		}
	}
}

// docTitle names a document; results carry the name of the procedure's result.
func (p *Pages) docTitle(lang string, ref services.DocumentRef) string {
	if key := "desk.doc." + ref.Kind; p.Messages.Has("vi", key) {
		return p.Messages.T(lang, key)
	}
	return ref.Title
}

// opinion keeps the draft of an opinion, from the dossier page or from the page of an action.
func (p *Pages) opinion(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	if err := p.Desk.SaveOpinion(r.Context(), who(r), r.PathValue("number"), form.Get("opinion")); err != nil {
		return err
	}
	ui.Flash(w, "desk.flash.opinion")
	return web.SeeOther(w, r, dossierURL(r.PathValue("number")))
}
