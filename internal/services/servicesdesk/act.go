package servicesdesk

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type actPage struct {
	ui.Page
	Number, Applicant, Procedure, Action, URL, OpinionURL string
	Version                                               int64
	Tag                                                   ui.Tag
	Clock                                                 ui.Clock
	Will                                                  []string
	Notices                                               []ui.Notice
	Judge                                                 []judgeView
	Views                                                 []paperView
	Wanted                                                *ui.Checkboxes
	Fields                                                []fieldView
	Days, Amount                                          *ui.Input
	AmountUnit                                            string
	Channel                                               *ui.Radios
	Confirm                                               *ui.Checkboxes
	PreviewURL                                            string
	SaveDraft                                             bool
	Button                                                ui.Button
	// Open is false when the action cannot be done now; the notice says why.
	Open bool
}

// judgeView asks for an officer's word on one paper.
type judgeView struct {
	Verdict ui.Radios
	Note    ui.Input
}

// act is the page of an action: what will happen, and what it needs to know.
func (p *Pages) act(w http.ResponseWriter, r *http.Request) error {
	v, st, err := p.actionOf(r)
	if err != nil {
		return err
	}
	form := url.Values{}
	if c := web.Query(r).Get("channel"); c != "" {
		form.Set("channel", c)
	}
	page := p.actPage(r, v, st, form, nil)
	status := http.StatusOK
	if !st.Allowed {
		status = http.StatusConflict
	}
	return p.templates.Render(w, r, status, "act", page)
}

// actionOf finds the dossier and how the action stands for this officer. What another role does is Denied; an action
// that cannot be done now is shown with its reason.
func (p *Pages) actionOf(r *http.Request) (*services.DossierView, bundle.ActionState, error) {
	v, err := p.Desk.View(r.Context(), who(r), r.PathValue("number"), pageLang(r))
	if err != nil {
		return nil, bundle.ActionState{}, err
	}
	name := r.PathValue("action")
	for _, st := range v.Actions {
		if st.Action.Name != name {
			continue
		}
		if !st.ForRole {
			return nil, st, errs.E(errs.Denied, "services.action.other_role", nil)
		}
		return v, st, nil
	}
	a := v.Procedure.Flow.Action(name)
	if a == nil {
		return nil, bundle.ActionState{}, errs.E(errs.NotFound, "services.action.unknown", nil)
	}
	st := bundle.ActionState{Action: a, ForRole: p.holds(r, v.Procedure, a)}
	if !st.ForRole {
		return nil, st, errs.E(errs.Denied, "services.action.other_role", nil)
	}
	state := v.State
	if s := v.Procedure.Flow.State(v.State); s != nil {
		state = s.Phase.In(pageLang(r))
	}
	st.Reason = bundle.Reason{Key: "bundle.action.notFrom", Args: []any{"state", state}}
	return v, st, nil
}

func (p *Pages) holds(r *http.Request, proc *bundle.Procedure, a *bundle.Action) bool {
	me := who(r)
	for _, by := range a.By {
		if me.Has(by) || proc.Flow.Roles[by] != "" && me.Has(proc.Flow.Roles[by]) {
			return true
		}
	}
	return false
}

// actDo performs the action. Whatever goes wrong, the page comes back with what was typed.
func (p *Pages) actDo(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	v, st, err := p.actionOf(r)
	if err != nil {
		return err
	}
	if !st.Allowed {
		page := p.actPage(r, v, st, form, nil)
		return p.templates.Render(w, r, http.StatusConflict, "act", page)
	}
	in, problems := p.readAct(form, v, st.Action)
	if in.Version <= 0 {
		return errs.E(errs.Invalid, "desk.problem.version", nil)
	}
	if len(problems) > 0 {
		return p.templates.Render(w, r, http.StatusUnprocessableEntity, "act", p.actPage(r, v, st, form, problems))
	}
	err = p.Desk.Act(r.Context(), who(r), v.Number, in)
	if err != nil {
		return p.actFailed(w, r, form, in, err)
	}
	if st.Action.Produces != "" {
		// The opinion is part of the dossier now; a draft that cannot be cleared does no harm.
		if err := p.Desk.SaveOpinion(r.Context(), who(r), v.Number, ""); err != nil {
			p.Log.WarnContext(r.Context(), "draft of an opinion was not cleared")
		}
	}
	ui.Flash(w, p.flashKey(st))
	return web.SeeOther(w, r, dossierURL(v.Number))
}

func (p *Pages) flashKey(st bundle.ActionState) string {
	if key := "desk.flash." + st.Action.Name; p.Messages.Has("vi", key) {
		return key
	}
	return "desk.flash.done"
}

// actFailed shows the page again: problems at their fields, a colleague's change by name, a service that is away.
func (p *Pages) actFailed(w http.ResponseWriter, r *http.Request, form url.Values, in services.ActionInput, failed error) error {
	v, st, err := p.actionOf(r)
	if err != nil {
		return err
	}
	lang := pageLang(r)
	if bad, ok := errors.AsType[*services.FormError](failed); ok {
		return p.templates.Render(w, r, http.StatusUnprocessableEntity, "act", p.actPage(r, v, st, form, p.formProblems(lang, v, st.Action, form, bad)))
	}
	key, args := errs.KeyOf(failed)
	switch errs.KindOf(failed) {
	case errs.Invalid, errs.TooLarge:
		field := map[string]string{"services.action.needs_reason": "reason", "services.action.needs_basis": "legalBasis", "services.extend.too_far": "amount"}[key]
		page := p.actPage(r, v, st, form, ui.Problems{{Field: field, Key: key, Args: args}})
		return p.templates.Render(w, r, http.StatusUnprocessableEntity, "act", page)
	case errs.Conflict, errs.Unavailable:
		page := p.actPage(r, v, st, form, nil)
		notice := ui.Notice{Tone: ui.Late, Alert: true, Title: page.T("desk.act.not_done"), Text: p.text(lang, failed)}
		if changed := p.changes(page.Page, v, in.Version); len(changed) > 0 {
			notice = ui.Notice{Tone: ui.Soon, Alert: true, Title: page.T("desk.act.changed"), Text: page.T("desk.act.changed_text"), Lines: changed}
		}
		if st.Allowed || len(page.Notices) == 0 {
			page.Notices = append([]ui.Notice{notice}, page.Notices...)
		} else {
			page.Notices = append(page.Notices, notice)
		}
		return p.templates.Render(w, r, web.StatusOf(failed), "act", page)
	default:
		return failed
	}
}

// changes says who did what since the officer looked.
func (p *Pages) changes(page ui.Page, v *services.DossierView, since int64) []string {
	var out []string
	if !services.ChangedSince(v.Events, since) {
		return nil
	}
	for _, e := range v.Events {
		if e.Seq > since && services.ChangedSince([]services.Event{e}, since) {
			out = append(out, i18n.DateTime(e.At)+" · "+p.actor(page, e)+": "+p.eventTitle(page.Lang, v.Procedure, e))
		}
	}
	return out
}

// readAct reads what was posted for an action and says everything that is missing at once.
func (p *Pages) readAct(form url.Values, v *services.DossierView, a *bundle.Action) (services.ActionInput, ui.Problems) {
	in := services.ActionInput{
		Action: a.Name, Reason: form.Get("reason"), LegalBasis: form.Get("legalBasis"), Channel: form.Get("channel"), Form: bundleForm(form),
	}
	in.Version, _ = strconv.ParseInt(form.Get("version"), 10, 64)
	var ps ui.Problems
	k := kindOf(v, a)
	if k.judge {
		for _, ref := range uniquePapers(v.Papers) {
			verdict := form.Get("verdict-" + ref.ID)
			switch verdict {
			case "ok", "bad":
				j := services.PaperJudgement{Paper: ref.ID, OK: verdict == "ok", Note: form.Get("note-" + ref.ID)}
				if !j.OK && oneLine(j.Note) == "" {
					ps.Add("note-"+ref.ID, "desk.problem.note", "paper", ref.Name)
				}
				in.Papers = append(in.Papers, j)
			default:
				ps.Add("verdict-"+ref.ID, "desk.problem.verdict", "paper", ref.Name)
			}
		}
		if len(ps) == 0 {
			for _, j := range in.Papers {
				if !j.OK {
					ps.Add("verdict-"+j.Paper, "desk.problem.rejected")
				}
			}
		}
	}
	if k.wanted {
		for _, id := range form["wanted"] {
			in.Papers = append(in.Papers, services.PaperJudgement{Paper: id})
		}
		if days := oneLine(form.Get("days")); days != "" {
			n, err := strconv.Atoi(days)
			if err != nil || n < 1 || n > 365 {
				ps.Add("days", "desk.problem.days")
			}
			in.DeadlineDays = n
		}
	}
	if k.extend != nil {
		n, err := strconv.Atoi(oneLine(form.Get("amount")))
		if err != nil || n < 1 || n > k.extend.UpTo.Amount {
			ps.Add("amount", "desk.problem.amount", "max", k.extend.UpTo.Amount, "unit", p.unit("vi", k.extend.UpTo.Unit))
		}
		in.Extension = services.SLAAmount{Amount: n, Unit: k.extend.UpTo.Unit}
	}
	if k.reason && oneLine(in.Reason) == "" {
		ps.Add("reason", "desk.problem.reason")
	}
	if k.basis && oneLine(in.LegalBasis) == "" {
		ps.Add("legalBasis", "desk.problem.basis")
	}
	if k.confirm && form.Get("confirm") != "yes" {
		ps.Add("confirm", "desk.problem.confirm")
	}
	if k.deliver && in.Channel != "online" && in.Channel != "counter" && in.Channel != "post" {
		ps.Add("channel", "desk.problem.channel")
	}
	return in, ps
}

// uniquePapers lists each paper once, however many files it has.
func uniquePapers(papers []services.PaperRef) []services.PaperRef {
	var out []services.PaperRef
	for _, ref := range papers {
		if !hasPaper(out, ref.ID) {
			out = append(out, ref)
		}
	}
	return out
}

// actKind is what an action asks beyond the form of the bundle.
type actKind struct {
	judge, wanted, reason, basis, confirm, deliver bool
	extend                                         *bundle.Extend
}

func kindOf(v *services.DossierView, a *bundle.Action) actKind {
	var k actKind
	to := v.Procedure.Flow.State(a.To)
	for _, c := range a.Checks {
		k.judge = k.judge || c == "papers.allJudged"
	}
	k.wanted = a.Slip == "02"
	k.confirm = a.Sign != ""
	k.deliver = to != nil && to.National == 10
	if a.SLA == "extend" && v.Case != nil {
		k.extend = v.Case.SLAFor(v.Submission.Channel).Extend
	}
	for _, n := range a.Needs {
		k.reason = k.reason || n.Word == "reason"
		k.basis = k.basis || n.Word == "legalBasis"
	}
	formless := services.ActionForm(v.Procedure, a, "") == nil
	if formless && (a.Slip == "02" || a.Slip == "03" || a.Slip == "05" || a.SLA == "extend") {
		k.reason = true
	}
	if !formless { // the bundle's own form asks; asking twice would be one too many
		for _, page := range services.ActionForm(v.Procedure, a, "").Pages {
			for _, f := range page.Fields {
				k.reason = k.reason && f.Ptr != "/reason"
				k.basis = k.basis && f.Ptr != "/legalBasis"
			}
		}
	}
	return k
}
