package servicespage

import (
	"net/http"
	"net/url"
	"sort"
	"strings"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// procedurePage is procedure.html.
type procedurePage struct {
	ui.Page
	Code, Summary string
	Facts         ui.SummaryList
	Cases         []procedureCase
	Conditions    []string
	Steps         []string
	Legal         []legalItem
	Mode          ui.Tag
	Reason        string
	Ways          []string
	Level         string
	LevelMissing  string
	Office        *officeChoice
	NoOffice      *ui.Empty
	Start         ui.Button
	Version       string
}

type procedureCase struct {
	Name   string
	Papers []procedurePaper
	Time   []string
	Fees   []procedureFee
	Exempt []legalItem
	FeeDue string
}

type procedurePaper struct {
	Name, Hint, Copies string
	Tag                ui.Tag
	Known              bool
}

type procedureFee struct {
	Name, Amount string
	Legal        legalItem
}

// legalItem is a line with the legal text it stands on; Unverified marks what nobody has checked in the gazette.
type legalItem struct {
	Text, Ref  string
	Unverified bool
}

// officeChoice is where to file: one office, a few as radios, or many as a select grouped by province.
type officeChoice struct {
	Only   *services.Offer
	Radios *ui.Radios
	Groups []officeGroup
	Chosen string
	Error  *ui.Problem
}

// ID is the id of the select.
func (c officeChoice) ID() string { return ui.FieldID("unit") }

type officeGroup struct {
	Province string
	Offices  []ui.Option
}

// procedure tells everything about a procedure before the first question.
func (p *Pages) procedure(w http.ResponseWriter, r *http.Request) error {
	page, _, err := p.procedureData(r, web.Query(r).Get("unit"))
	if err != nil {
		return err
	}
	return p.render(w, r, "procedure", page)
}

// procedureStart begins a draft at the chosen office. Who is not signed in signs in and comes back to the choice.
func (p *Pages) procedureStart(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	code, unit := r.PathValue("code"), form.Get("unit")
	page, offers, err := p.procedureData(r, unit)
	if err != nil {
		return err
	}
	if unit == "" && len(offers) == 1 {
		unit = offers[0].Unit
	}
	if unit == "" {
		page.Problems.Add("unit", "services.procedure.choose_office")
		if page.Office != nil {
			page.Office.Error = page.Problems.For("unit")
			if page.Office.Radios != nil {
				page.Office.Radios.Error = page.Office.Error
			}
		}
		return p.invalid(w, r, "procedure", page)
	}
	me := who(r)
	if me.Anonymous() {
		back := procedureURL(code) + "?unit=" + url.QueryEscape(unit) + "#start"
		return web.SeeOther(w, r, "/login?next="+url.QueryEscape(back))
	}
	if me.Kind != reqctx.Citizen {
		return errs.E(errs.Denied, "web.citizens_only", nil)
	}
	v, err := p.Portal.StartDraft(r.Context(), me, code, unit)
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, p.resumeURL(&v))
}

func (p *Pages) procedureData(r *http.Request, unit string) (page procedurePage, offers []services.Offer, err error) {
	code := r.PathValue("code")
	proc := p.Portal.Library.Current(code)
	if proc == nil {
		return page, nil, errs.E(errs.NotFound, "services.procedure.not_found", nil)
	}
	if offers, err = p.Portal.Offers(r.Context(), code); err != nil {
		return page, nil, err
	}
	page = procedurePage{Page: ui.NewPage(r, ""), Code: code, Summary: proc.Summary.In(reqctx.Lang(r.Context()))}
	lang := page.Lang
	page.Title, page.Back = proc.Name.In(lang), "/procedures"
	page.Facts = p.procedureFacts(page.Page, proc)
	page.Conditions, page.Steps = texts(proc.Conditions, lang), texts(proc.Steps, lang)
	for _, c := range proc.Cases {
		page.Cases = append(page.Cases, p.procedureCase(page.Page, proc, c, len(proc.Cases) > 1))
	}
	for _, l := range proc.LegalBasis {
		page.Legal = append(page.Legal, legalItem{Text: l.Title, Ref: legalText(l), Unverified: !l.Verified})
	}
	page.Mode, page.Reason = modeTag(page.Page, proc), proc.Service.Reason.In(lang)
	page.Ways = ways(page.Page, proc)
	page.Version = page.T("services.procedure.version", "id", proc.Version.ID, "from", i18n.Date(proc.Version.From), "hash", proc.Hash[:12])
	if level := proc.Requires.Level(); level > 0 {
		page.Level = page.T("services.procedure.level", "level", level)
		if me := who(r); me.Kind == reqctx.Citizen && me.Level < level {
			page.LevelMissing = page.T("services.level_needed", "level", level)
		}
	}
	page.Start = ui.Button{Text: page.T("services.procedure.start"), Start: true}
	if len(offers) == 0 {
		page.NoOffice = &ui.Empty{Title: page.T("services.procedure.no_office"), Text: page.T("services.procedure.no_office_text")}
	} else {
		page.Office = p.offices(page.Page, offers, unit)
	}
	return page, offers, nil
}

func texts(in []i18n.Text, lang string) []string {
	out := make([]string, len(in))
	for i, t := range in {
		out[i] = t.In(lang)
	}
	return out
}

func (p *Pages) procedureFacts(page ui.Page, proc *bundle.Procedure) ui.SummaryList {
	var applicants []string
	for _, a := range proc.Applicants {
		applicants = append(applicants, page.T("services.applicant."+a))
	}
	authority := page.T("services.authority." + proc.CompetentAuthority.Level)
	if proc.CompetentAuthority.AnyBoundary {
		authority += ". " + page.T("services.procedure.any_boundary")
	}
	rows := []ui.SummaryRow{
		{Key: page.T("services.procedure.result"), Value: proc.Result.Name.In(page.Lang)},
		{Key: page.T("services.procedure.applicants"), Value: strings.Join(applicants, ", ")},
		{Key: page.T("services.procedure.authority"), Value: authority},
		{Key: page.T("services.procedure.field"), Value: proc.Field.Name.In(page.Lang)},
		{Key: page.T("services.procedure.code"), Value: proc.Code},
	}
	return ui.SummaryList{Rows: rows}
}

func ways(page ui.Page, proc *bundle.Procedure) []string {
	out := []string{page.T("services.procedure.way_online." + proc.Service.Mode)}
	if proc.CompetentAuthority.AnyBoundary {
		return append(out, page.T("services.procedure.way_counter_any"))
	}
	return append(out, page.T("services.procedure.way_counter"))
}

func legalText(l bundle.LegalRef) string {
	if l.Article != "" {
		return l.Number + ", " + l.Article
	}
	return l.Number
}

func (p *Pages) procedureCase(page ui.Page, proc *bundle.Procedure, c *bundle.Case, named bool) procedureCase {
	out := procedureCase{}
	if named {
		out.Name = c.Name.In(page.Lang)
	}
	// What the page promises holds when the registers answer; when they do not, the person uploads instead.
	facts := bundle.Facts{Answers: bundle.Answers{}, Prefill: map[string]bundle.PrefillState{}, Dossier: bundle.DossierFacts{Channel: bundle.ChannelOnline}}
	for _, b := range c.Prefill {
		facts.Prefill[b.Group()] = bundle.PrefillState{Status: string(services.PrefillOK)}
	}
	needs, err := proc.Papers(c, facts)
	if err != nil {
		needs = nil // the draft says what is needed once the answers are known
	}
	for _, n := range needs {
		out.Papers = append(out.Papers, procedurePaperOf(page, n))
	}
	sla := c.SLAFor(bundle.ChannelOnline)
	out.Time = append(out.Time, timeText(page, sla.Legal))
	if sla.Norm != nil {
		out.Time = append(out.Time, page.T("services.procedure.norm", "term", term(page, sla.Norm.Amount, sla.Norm.Unit)))
	}
	if sla.Legal.Cutoff != "" {
		out.Time = append(out.Time, page.T("services.procedure.cutoff", "time", sla.Legal.Cutoff))
	}
	for _, l := range c.Fee.Lines {
		out.Fees = append(out.Fees, procedureFee{
			Name: l.Name.In(page.Lang), Amount: l.Display.In(page.Lang), Legal: legalItem{Ref: legalText(l.Legal), Unverified: !l.Legal.Verified},
		})
	}
	for _, e := range c.Fee.Exempt {
		text := page.T("services.fee.exempt", "who", e.Text.In(page.Lang))
		if e.Percent > 0 && e.Percent < 100 {
			text = page.T("services.fee.reduced", "who", e.Text.In(page.Lang), "percent", e.Percent)
		}
		out.Exempt = append(out.Exempt, legalItem{Text: text, Ref: legalText(e.Legal), Unverified: !e.Legal.Verified})
	}
	if len(out.Fees) > 0 && c.Fee.Due != "" {
		out.FeeDue = page.T("services.fee.due." + c.Fee.Due)
	}
	return out
}

func procedurePaperOf(page ui.Page, n bundle.PaperNeed) procedurePaper {
	x := procedurePaper{Name: n.Name.In(page.Lang), Hint: n.Hint.In(page.Lang)}
	switch {
	case n.KnownByState:
		x.Known, x.Hint = true, ""
		x.Tag = ui.Tag{Text: page.T("services.paper.known"), Tone: ui.Done}
	case n.Form != "":
		x.Tag = ui.Tag{Text: page.T("services.paper.form"), Tone: ui.Info}
	case n.Conditional:
		x.Tag = ui.Tag{Text: page.T("services.paper.conditional")}
	case !n.Required:
		x.Tag = ui.Tag{Text: page.T("services.paper.optional")}
	default:
		x.Tag = ui.Tag{Text: page.T("services.paper.upload"), Tone: ui.Soon}
	}
	return x
}

func timeText(page ui.Page, t bundle.Term) string {
	if t.Unit == "none" {
		return page.T("services.unit.none")
	}
	return page.T("services.procedure.legal_term", "term", term(page, t.Amount, t.Unit))
}

// fewOffices is how many offices are shown as radios.
const fewOffices = 7

func (p *Pages) offices(page ui.Page, offers []services.Offer, chosen string) *officeChoice {
	c := &officeChoice{Chosen: chosen}
	if len(offers) == 1 {
		c.Only = &offers[0]
		return c
	}
	province := func(code string) string {
		if u, ok := p.Places.Find(code); ok {
			if page.Lang == "en" {
				return u.FullNameEn
			}
			return u.FullName
		}
		return ""
	}
	if len(offers) <= fewOffices {
		rd := &ui.Radios{Name: "unit", Legend: page.T("services.procedure.office"), Hint: page.T("services.procedure.office_hint"), Value: chosen}
		for _, o := range offers {
			rd.Options = append(rd.Options, ui.Option{Value: o.Unit, Label: o.UnitName, Hint: province(o.Province)})
		}
		c.Radios = rd
		return c
	}
	groups := map[string]*officeGroup{}
	for _, o := range offers {
		g := groups[o.Province]
		if g == nil {
			g = &officeGroup{Province: province(o.Province)}
			groups[o.Province] = g
		}
		g.Offices = append(g.Offices, ui.Option{Value: o.Unit, Label: o.UnitName})
	}
	for _, g := range groups {
		c.Groups = append(c.Groups, *g)
	}
	sort.Slice(c.Groups, func(i, j int) bool { return i18n.Fold(c.Groups[i].Province) < i18n.Fold(c.Groups[j].Province) })
	return c
}
