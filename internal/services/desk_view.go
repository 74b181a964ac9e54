package services

import (
	"context"
	"slices"
	"time"

	"truc/internal/calendar"
	"truc/internal/errs"
	"truc/internal/reqctx"
	"truc/internal/services/bundle"
)

// DossierView is everything the desk shows of one dossier.
type DossierView struct {
	*Dossier
	Procedure *bundle.Procedure
	Case      *bundle.Case
	Events    []Event
	Sections  []AnswerSection
	Needs     []bundle.PaperNeed
	// Actions of the officer's roles first; those that are not allowed carry the reason.
	Actions []bundle.ActionState
	// Next is the one action that moves the dossier on for this officer, or nil.
	Next           *bundle.ActionState
	Left           calendar.Left
	DueExplanation []calendar.Step
	Similar        []Row
	Opinion        string
	UnitName       string
	// MayCheck says whether this officer may ask registers about the dossier now.
	MayCheck bool
	// HasRecord says whether the register record that the result is written from was fetched; CanPreview whether the
	// result can be drawn.
	HasRecord, CanPreview bool
	// Delivery channel the applicant asked for: online, counter or post.
	Channel string
}

// AnswerSection is a page of the form as it was answered.
type AnswerSection struct {
	Title string
	Lines []AnswerLine
}

// AnswerLine is one answer in words, with where its value came from.
type AnswerLine struct {
	Pointer      bundle.Pointer
	Widget       bundle.Widget
	Label, Value string
	// Status is that of the register that was asked for the value; empty when none was. Source is
	// "population/person#fullName".
	Status PrefillStatus
	Source string
	At     time.Time
}

func answerSections(form *bundle.Form, facts bundle.Facts, prefilled []Prefilled, w Words) []AnswerSection {
	asked := map[string]Prefilled{}
	for _, p := range prefilled {
		asked[p.Pointer] = p
	}
	var out []AnswerSection
	for _, page := range form.Visible(facts) {
		section := AnswerSection{Title: page.Title.In(w.Lang)}
		for _, f := range form.VisibleFields(page, facts) {
			v, ok := facts.Answers.Get(f.Ptr)
			if !ok {
				continue
			}
			p := asked[string(f.Ptr)]
			section.Lines = append(section.Lines, AnswerLine{
				Pointer: f.Ptr, Widget: f.Widget, Label: f.Label.In(w.Lang), Value: w.Answer(f, v), Status: p.Status, Source: p.Source, At: p.At,
			})
		}
		if len(section.Lines) > 0 {
			out = append(out, section)
		}
	}
	return out
}

// View returns a dossier for an officer of its unit, and records that the officer opened it: once a day, so that the
// history of the case is not drowned.
func (d *Desk) View(ctx context.Context, who reqctx.Principal, number, lang string) (v *DossierView, err error) {
	defer errs.Wrap(&err, "view dossier")
	stored, err := d.Store.Find(ctx, number)
	if err != nil {
		return nil, err
	}
	if !maySee(who, stored.Row.CurrentAgency) {
		return nil, errs.E(errs.Denied, "services.dossier.other_unit", nil)
	}
	stored, err = d.recordOpened(ctx, who, stored)
	if err != nil {
		return nil, err
	}
	dossier, proc, err := d.fold(stored)
	if err != nil {
		return nil, err
	}
	c := proc.CaseByID(dossier.Submission.Case)
	facts := submissionFacts(&dossier.Submission, dossier.SubmittedAt)
	v = &DossierView{Dossier: dossier, Procedure: proc, Case: c, Events: stored.Events, UnitName: d.agencyName(dossier.CurrentAgency), Channel: deliveryMethod(dossier.Submission.Answers)}
	if c != nil {
		if form := proc.Form(c); form != nil {
			v.Sections = answerSections(form, facts, dossier.Submission.Prefilled, d.words(lang))
		}
		v.Needs, _ = proc.Papers(c, facts) // a rule that cannot be judged leaves the list empty; the papers themselves are shown
		if res, err := Clock(d.Calendar(), c.SLAFor(dossier.Submission.Channel), stored.Events); err == nil {
			v.DueExplanation = res.Explanation
		}
	}
	v.Actions = proc.Allowed(d.facts(dossier, proc), officerRoles(proc, who)...)
	for i := range v.Actions {
		if a := &v.Actions[i]; a.Allowed && recordMissing(proc, dossier, a.Action) {
			a.Allowed, a.Reason = false, noRecord(proc)
		}
	}
	for i := range v.Actions {
		if a := &v.Actions[i]; a.ForRole && a.Allowed && !a.Action.Auto && a.Action.Slip != "02" && a.Action.Slip != "03" && a.Action.Slip != "05" && a.Action.SLA == "" && !needs(a.Action, "reason") {
			v.Next = a
			break
		}
	}
	if !dossier.Due.IsZero() {
		v.Left = d.Calendar().Remaining(d.Now(), dossier.Due)
	}
	v.MayCheck = !dossier.ReceivedAt.IsZero() && dossier.FinishedAt.IsZero()
	for _, chk := range dossier.Checks {
		if proc.Result.Record != "" && chk.Register == proc.Result.Record && chk.Found == 1 {
			v.HasRecord = true
		}
	}
	v.CanPreview = proc.Result.Record == "" || v.HasRecord
	if v.Similar, err = d.Store.Similar(ctx, dossier.Submission.Applicant.PersonalID, proc.Code, dossier.ID, d.Now().AddDate(0, 0, -30)); err != nil {
		return nil, err
	}
	v.Opinion, err = d.Store.Opinion(ctx, dossier.ID, who.ID)
	return v, err
}

// recordOpened writes that an officer opened the dossier. If it cannot be written, the dossier is not shown.
func (d *Desk) recordOpened(ctx context.Context, who reqctx.Principal, stored StoredDossier) (StoredDossier, error) {
	now := d.Now()
	for _, e := range slices.Backward(stored.Events) {
		if e.Type == EvOpened && e.Actor == who.ID && now.Sub(e.At) < 12*time.Hour {
			return stored, nil
		}
	}
	err := d.Store.InTx(ctx, func(tx DeskTx) error {
		fresh, err := tx.Find(ctx, stored.ID)
		if err != nil {
			return err
		}
		dossier, proc, err := d.fold(fresh)
		if err != nil {
			return err
		}
		e := Event{Type: EvOpened, At: now, From: dossier.State, To: dossier.State, Actor: who.ID, ActorName: who.Name, Agency: who.Agency}
		return d.appendInTx(ctx, tx, fresh, dossier, proc, e)
	})
	if err != nil {
		return stored, errs.E(errs.Unavailable, "services.dossier.cannot_log", err)
	}
	return d.Store.Find(ctx, stored.ID)
}

// Worklist is one page of an officer's work.
type Worklist struct {
	Rows     []WorkRow
	Counters Counters
	// More says that another page follows behind the last row.
	More bool
}

// WorkRow is a line of the worklist.
type WorkRow struct {
	Row
	ProcedureName string
	StateName     string
	Left          calendar.Left
	HasDue        bool
}

// Worklist lists the dossiers of the officer's units.
func (d *Desk) Worklist(ctx context.Context, who reqctx.Principal, f Filter, lang string) (w Worklist, err error) {
	defer errs.Wrap(&err, "worklist")
	f.Units = d.unitsOf(who)
	if len(f.Units) == 0 {
		return w, errs.E(errs.Denied, "services.dossier.other_unit", nil)
	}
	limit := f.Limit
	if limit <= 0 || limit > 200 {
		limit = 50
	}
	f.Limit = limit + 1
	rows, err := d.Store.List(ctx, f)
	if err != nil {
		return w, err
	}
	if len(rows) > limit {
		rows, w.More = rows[:limit], true
	}
	now := d.Now()
	for _, r := range rows {
		wr := WorkRow{Row: r, StateName: r.State, ProcedureName: r.Procedure, HasDue: !r.Due.IsZero() && r.FinishedAt.IsZero()}
		if p := d.Library.At(r.VersionHash); p != nil {
			wr.ProcedureName = p.Name.In(lang)
			if s := p.Flow.State(r.State); s != nil {
				wr.StateName = s.Phase.In(lang)
			}
		}
		if wr.HasDue {
			wr.Left = d.Calendar().Remaining(now, r.Due)
		}
		w.Rows = append(w.Rows, wr)
	}
	w.Counters, err = d.Store.Counters(ctx, Filter{Units: f.Units, DueBefore: d.SoonBefore(now)}, now)
	return w, err
}

// SoonBefore is the instant before which a dossier counts as due soon: eight working hours from now, so that on a
// Friday what is due on Monday is seen.
func (d *Desk) SoonBefore(now time.Time) time.Time {
	soon, err := d.Calendar().AddWorking(now, 8*time.Hour)
	if err != nil { // a calendar without working time
		return now.Add(24 * time.Hour)
	}
	return soon.Add(time.Minute)
}

// UnitName is the name of a unit of this agency, or of the agency itself.
func (d *Desk) UnitName(code string) string { return d.agencyName(code) }

func (d *Desk) unitsOf(who reqctx.Principal) []string {
	var out []string
	for _, u := range d.Units {
		if maySee(who, u.Code) {
			out = append(out, u.Code)
		}
	}
	return out
}

// Document returns a document of a dossier for an officer of its unit.
func (d *Desk) Document(ctx context.Context, who reqctx.Principal, number, id string) (DocumentRef, []byte, error) {
	stored, err := d.Store.Find(ctx, number)
	if err != nil {
		return DocumentRef{}, nil, err
	}
	if !maySee(who, stored.Row.CurrentAgency) {
		return DocumentRef{}, nil, errs.E(errs.Denied, "services.dossier.other_unit", nil)
	}
	dossier, _, err := d.fold(stored)
	if err != nil {
		return DocumentRef{}, nil, err
	}
	ref, ok := dossier.Doc(id)
	if !ok {
		return ref, nil, errs.E(errs.NotFound, "services.document.not_found", nil)
	}
	content, _, err := d.Store.Blob(ctx, ref.SHA256)
	return ref, content, err
}

// Paper returns the bytes of an uploaded paper for an officer of the dossier's unit.
func (d *Desk) Paper(ctx context.Context, who reqctx.Principal, number, sha256 string) (PaperRef, []byte, error) {
	stored, err := d.Store.Find(ctx, number)
	if err != nil {
		return PaperRef{}, nil, err
	}
	if !maySee(who, stored.Row.CurrentAgency) {
		return PaperRef{}, nil, errs.E(errs.Denied, "services.dossier.other_unit", nil)
	}
	dossier, _, err := d.fold(stored)
	if err != nil {
		return PaperRef{}, nil, err
	}
	for _, p := range dossier.Papers {
		if p.SHA256 == sha256 && sha256 != "" {
			content, _, err := d.Store.Blob(ctx, sha256)
			return p, content, err
		}
	}
	return PaperRef{}, nil, errs.E(errs.NotFound, "services.paper.not_found", nil)
}

// SaveOpinion keeps the draft of an officer's opinion, so that nothing is lost on a slow network.
func (d *Desk) SaveOpinion(ctx context.Context, who reqctx.Principal, number, text string) error {
	stored, err := d.Store.Find(ctx, number)
	if err != nil {
		return err
	}
	if !maySee(who, stored.Row.CurrentAgency) {
		return errs.E(errs.Denied, "services.dossier.other_unit", nil)
	}
	return d.Store.PutOpinion(ctx, stored.ID, who.ID, clean(text, 4000), d.Now())
}

// Applicant returns the personal number of whoever filed; NotFound for anything but a filing's own id.
func (d *Desk) Applicant(ctx context.Context, filing string) (string, error) {
	stored, err := d.Store.Find(ctx, filing)
	if err != nil {
		return "", err
	}
	if stored.Submission.FilingID != filing {
		return "", errs.E(errs.NotFound, "services.dossier.not_found", nil)
	}
	return stored.Submission.Applicant.PersonalID, nil
}

// DocumentFor returns a document for the applicant's portal: only public ones, only of the filing named.
func (d *Desk) DocumentFor(ctx context.Context, filing, id string) (DocumentRef, []byte, error) {
	stored, err := d.Store.Find(ctx, filing)
	if err != nil {
		return DocumentRef{}, nil, err
	}
	if stored.Submission.FilingID != filing { // a dossier number is no key to its documents
		return DocumentRef{}, nil, errs.E(errs.NotFound, "services.document.not_found", nil)
	}
	dossier, _, err := d.fold(stored)
	if err != nil {
		return DocumentRef{}, nil, err
	}
	ref, ok := dossier.Doc(id)
	if !ok || !ref.Public {
		return DocumentRef{}, nil, errs.E(errs.NotFound, "services.document.not_found", nil)
	}
	content, _, err := d.Store.Blob(ctx, ref.SHA256)
	return ref, content, err
}
