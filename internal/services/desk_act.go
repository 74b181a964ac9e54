package services

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"truc/internal/calendar"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/services/bundle"
)

// ActionInput is what an officer sends with an action.
type ActionInput struct {
	Action string
	// Version is the version of the dossier the officer was looking at; another one is a conflict.
	Version    int64
	Reason     string
	LegalBasis string
	// Papers judged, for an action that receives.
	Papers []PaperJudgement
	// Deadline in working days for an answer to a supplement request; 0 takes the procedure's.
	DeadlineDays int
	// Extension of the time limit, for an action that extends.
	Extension SLAAmount
	Assignee  string
	Channel   string
	// Form holds the posted controls of the action's own form.
	Form url.Values
}

// FormError is an action's form that was filled in wrongly; pages show the problems at the fields.
type FormError struct{ Problems []bundle.FieldProblem }

func (e *FormError) Error() string { return fmt.Sprintf("%d problems in the form", len(e.Problems)) }

// Act performs an officer's action. Role and state are checked here whatever the page showed; a guard that fails
// or cannot be evaluated answers Conflict with the reason. The event, the projection, the notices and the audit entry
// are one transaction.
func (d *Desk) Act(ctx context.Context, who reqctx.Principal, number string, in ActionInput) (err error) {
	defer errs.Wrap(&err, "action %s", in.Action)
	stored, err := d.Store.Find(ctx, number)
	if err != nil {
		return err
	}
	if !maySee(who, stored.Row.CurrentAgency) {
		return errs.E(errs.Denied, "services.dossier.other_unit", nil)
	}
	dossier, proc, err := d.fold(stored)
	if err != nil {
		return err
	}
	if in.Version != 0 && ChangedSince(stored.Events, in.Version) {
		return errs.E(errs.Conflict, "services.dossier.changed", nil)
	}
	action := proc.Flow.Action(in.Action)
	if action == nil {
		return errs.E(errs.NotFound, "services.action.unknown", nil)
	}
	in.Papers = cleanJudgements(proc, dossier, in.Papers)
	facts := d.facts(dossier, proc)
	facts.Papers = judged(dossier, in.Papers)
	state := proc.May(facts, in.Action, officerRoles(proc, who)...)
	if !state.ForRole {
		return errs.E(errs.Denied, "services.action.other_role", nil)
	}
	if recordMissing(proc, dossier, action) && state.Allowed {
		state.Allowed, state.Reason = false, noRecord(proc)
	}
	if !state.Allowed {
		return blocked(state.Reason)
	}
	e := Event{
		Type: eventType(proc, action, state.To), At: d.Now(), Action: action.Name, From: dossier.State, To: state.To,
		Actor: who.ID, ActorName: who.Name, ActorRole: roleName(proc, action, who), Agency: dossier.CurrentAgency,
		Data: EventData{Reason: clean(in.Reason, 2000), LegalBasis: clean(in.LegalBasis, 500), Papers: in.Papers, Assignee: clean(in.Assignee, 100), Channel: in.Channel},
	}
	if e.Data.Assignee == "" {
		e.Data.Assignee = takes(dossier, e.ActorRole, who)
	}
	if action.KeepState {
		e.To = e.From
	}
	if err := d.fill(dossier, proc, action, &e, in); err != nil {
		return err
	}
	if err := d.issue(ctx, dossier, proc, action, &e, stored.Events, who); err != nil {
		return err
	}
	return d.Store.InTx(ctx, func(tx DeskTx) error {
		if err := d.Audit.Act(ctx, tx, who.ID, "services.dossier."+action.Name, dossier.Number); err != nil {
			return err
		}
		now, err := tx.Find(ctx, stored.ID)
		if err != nil {
			return err
		}
		if ChangedSince(now.Events, dossier.Version) {
			return errs.E(errs.Conflict, "services.dossier.changed", nil)
		}
		fresh, proc, err := d.fold(now)
		if err != nil {
			return err
		}
		return d.appendInTx(ctx, tx, now, fresh, proc, e)
	})
}

// ChangedSince reports whether something happened after an event that an officer who decided without it should know.
// That a colleague opened the dossier, that a slip came out of the printer, that the applicant rated or that a fee
// arrived while nobody waited for it does not count: nobody gets into anybody's way by reading, and paying is no
// reason to make an officer press again.
func ChangedSince(events []Event, version int64) bool {
	for _, e := range events {
		if e.Seq <= version {
			continue
		}
		switch e.Type {
		case EvOpened, EvDocumentIssued, EvRated:
		case EvPaymentConfirmed:
			if e.From != e.To {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// takes returns who has the dossier from now on: the first officer who works on it, unless somebody has it already.
func takes(dossier *Dossier, role string, who reqctx.Principal) string {
	if dossier.Assignee == "" && role == "officer" {
		return who.ID
	}
	return ""
}

// recordMissing reports whether the result is written from a register record that nobody has fetched yet. Without it
// there is nothing to propose and nothing to sign.
func recordMissing(proc *bundle.Procedure, dossier *Dossier, a *bundle.Action) bool {
	if proc.Result.Record == "" || a.Produces == "" && a.Sign == "" {
		return false
	}
	for _, c := range dossier.Checks {
		if c.Register == proc.Result.Record && c.Found == 1 {
			return false
		}
	}
	return true
}

func noRecord(proc *bundle.Procedure) bundle.Reason {
	return bundle.Reason{Key: "services.sign.no_record", Args: []any{"register", proc.Result.Record}}
}

// cleanJudgements keeps one judgement for each paper of the dossier or its case, and nothing else.
func cleanJudgements(proc *bundle.Procedure, dossier *Dossier, in []PaperJudgement) []PaperJudgement {
	names := map[string]string{}
	if c := proc.CaseByID(dossier.Submission.Case); c != nil {
		for _, p := range c.Papers {
			names[p.ID] = p.Name.In("vi")
		}
	}
	for _, p := range dossier.Papers {
		if names[p.ID] == "" {
			names[p.ID] = p.Name
		}
	}
	var out []PaperJudgement
	for _, j := range in {
		name, ok := names[j.Paper]
		if !ok {
			continue
		}
		delete(names, j.Paper)
		out = append(out, PaperJudgement{Paper: j.Paper, Name: name, OK: j.OK, Note: clean(j.Note, 500)})
	}
	return out
}

func blocked(r bundle.Reason) error {
	if len(r.Text) > 0 {
		return errs.E(errs.Conflict, "services.action.blocked", nil, "reason", r.Text.In("vi"))
	}
	if r.Key != "" {
		return errs.E(errs.Conflict, r.Key, nil, r.Args...)
	}
	return errs.E(errs.Conflict, "services.action.not_now", nil)
}

func judged(dossier *Dossier, papers []PaperJudgement) bundle.PaperFacts {
	f := bundle.PaperFacts{AllJudged: true}
	seen := map[string]bool{}
	for _, j := range papers {
		seen[j.Paper] = true
		if !j.OK {
			f.Rejected++
		}
	}
	for _, p := range dossier.Papers {
		if !seen[p.ID] {
			f.AllJudged = false
		}
	}
	return f
}

// facts is what the rules of the procedure may know about a dossier at the desk.
func (d *Desk) facts(dossier *Dossier, _ *bundle.Procedure) bundle.Facts {
	f := submissionFacts(&dossier.Submission, dossier.SubmittedAt)
	f.Fee = bundle.FeeFacts{Total: dossier.FeeTotal, Paid: dossier.Paid(), Due: dossier.Submission.Fee.Due}
	f.Papers = bundle.PaperFacts{AllJudged: true}
	f.Dossier = bundle.DossierFacts{
		State: dossier.State, Previous: dossier.Previous, Channel: dossier.Submission.Channel, Date: dossier.SubmittedAt.In(i18n.Zone).Format(time.DateOnly),
		Supplements: dossier.Supplements, Extensions: dossier.Extensions, HasResult: dossier.Delivery != "none",
	}
	return f
}

// eventType says what an action of the flow means, from what it does rather than from its name: bundles may name
// actions as they like.
func eventType(p *bundle.Procedure, a *bundle.Action, to string) EventType {
	switch {
	case a.On != "": // the flow names the fact itself, such as externalAnswered, which lets the clock run again
		return EventType(a.On)
	case a.SLA == "extend":
		return EvExtended
	}
	national := 0
	if target := p.Flow.State(to); target != nil && !a.KeepState { // who stays in a state does not enter it again
		if len(target.Emits) > 0 {
			return EventType(target.Emits[0])
		}
		national = target.National
	}
	switch {
	case a.Sign != "":
		return EvSigned
	case a.Slip == "02":
		return EvSupplementRequested
	case a.Slip == "03" || national == 3:
		return EvRefused
	case a.Slip == "05" || national == 8:
		return EvStopped
	case a.Produces != "":
		return EvProposed
	case national == 10:
		return EvDelivered
	case national == 7:
		return EvWithdrawn
	case national == 6:
		return EvPaymentRequested
	case national == 5:
		return EvSupplementRequested
	case needs(a, "reason") && !a.KeepState && a.Slip == "" && a.Form == "":
		return EvSentBack
	}
	return EvMoved
}

func needs(a *bundle.Action, word string) bool {
	for _, n := range a.Needs {
		if n.Word == word {
			return true
		}
	}
	return false
}

func roleName(p *bundle.Procedure, a *bundle.Action, who reqctx.Principal) string {
	for _, by := range a.By {
		if who.Has(by) || who.Has(p.Flow.Roles[by]) {
			return by
		}
	}
	return ""
}

// clean makes text fit to be kept: valid, composed, without control characters, and bounded.
func clean(s string, limit int) string {
	s = strings.TrimSpace(i18n.NFC(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))))
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit])
	}
	return s
}

// fill reads the action's own form and checks what the kind of event needs.
func (d *Desk) fill(dossier *Dossier, proc *bundle.Procedure, action *bundle.Action, e *Event, in ActionInput) error {
	if e.Data.Channel != "" && e.Data.Channel != "online" && e.Data.Channel != "counter" && e.Data.Channel != "post" {
		return errs.E(errs.Invalid, "services.action.channel", nil)
	}
	if e.Type == EvDelivered && e.Data.Channel == "" {
		e.Data.Channel = deliveryMethod(dossier.Submission.Answers)
	}
	if form := ActionForm(proc, action, e.Data.Channel); form != nil {
		if err := fillForm(form, e, in.Form); err != nil {
			return err
		}
	}
	if e.Type == EvReceived {
		// A dossier whose papers were found wanting is not received: more is asked for, or it is refused.
		if f := judged(dossier, e.Data.Papers); f.Rejected > 0 {
			return errs.E(errs.Invalid, "bundle.action.papersMissing", nil, "missing", f.Missing, "rejected", f.Rejected)
		}
	}
	reasonNeeded := needs(action, "reason")
	switch e.Type {
	case EvSupplementRequested:
		reasonNeeded = true
		if err := d.fillDeadline(dossier, proc, e, in.DeadlineDays); err != nil {
			return err
		}
	case EvRefused, EvStopped, EvSentBack:
		reasonNeeded = true
	case EvExtended:
		reasonNeeded = true
		if err := d.fillExtension(dossier, proc, e, in.Extension); err != nil {
			return err
		}
	default: // the procedure says whether a reason is needed
	}
	if reasonNeeded && e.Data.Reason == "" {
		return errs.E(errs.Invalid, "services.action.needs_reason", nil)
	}
	if needs(action, "legalBasis") && e.Data.LegalBasis == "" {
		return errs.E(errs.Invalid, "services.action.needs_basis", nil)
	}
	return nil
}

// ActionForm returns the form that an action asks its actor to fill in when the result goes out by channel, or nil.
func ActionForm(proc *bundle.Procedure, action *bundle.Action, channel string) *bundle.Form {
	if action.Form != "" {
		return proc.FormAt(action.Form)
	}
	return proc.FormAt(action.ChannelForms[channel])
}

// fillForm keeps the answers of an action's form; the well-known ones /reason, /legalBasis and /assignee also fill
// the event, so that slips and lists find them whatever the form looks like.
func fillForm(form *bundle.Form, e *Event, values url.Values) error {
	answers := bundle.Answers{}
	var problems []bundle.FieldProblem
	for _, page := range form.Pages {
		patch, bad := form.ReadPage(page, bundle.Facts{Answers: answers}, values)
		problems = append(problems, bad...)
		answers = answers.Merge(patch)
	}
	facts := bundle.Facts{Answers: answers}
	for _, page := range form.Pages {
		problems = append(problems, form.ValidatePage(page, facts)...)
	}
	if len(problems) > 0 {
		return &FormError{Problems: problems}
	}
	e.Data.Form = map[string]string{}
	for _, page := range form.Pages {
		for _, f := range page.Fields {
			if v, ok := answers.Get(f.Ptr); ok {
				e.Data.Form[string(f.Ptr)] = clean(fmt.Sprint(v), 2000)
			}
		}
	}
	if v := e.Data.Form["/reason"]; v != "" && e.Data.Reason == "" {
		e.Data.Reason = v
	}
	if v := e.Data.Form["/legalBasis"]; v != "" && e.Data.LegalBasis == "" {
		e.Data.LegalBasis = v
	}
	return nil
}

func (d *Desk) fillDeadline(dossier *Dossier, proc *bundle.Procedure, e *Event, days int) error {
	c := proc.CaseByID(dossier.Submission.Case)
	rule := calendar.Rule{Amount: 5, Unit: calendar.WorkingDays, Count: calendar.DayExclusive}
	if c != nil && c.SLAFor(dossier.Submission.Channel).Supplement.Deadline.Amount > 0 {
		dl := c.SLAFor(dossier.Submission.Channel).Supplement.Deadline
		rule = calendar.Rule{Amount: dl.Amount, Unit: calendar.Unit(dl.Unit)}
	}
	if days > 0 && days <= 365 {
		rule = calendar.Rule{Amount: days, Unit: calendar.WorkingDays, Count: calendar.DayExclusive}
	}
	res, err := d.Calendar().Due(e.At, rule, nil, nil)
	if err != nil {
		return err
	}
	due := res.Due.UTC()
	e.Data.Deadline = &due
	return nil
}

// fillExtension checks an extension against the limits of the procedure: how often, how far, and never an edited
// date: the new due date follows from the new duration.
func (d *Desk) fillExtension(dossier *Dossier, proc *bundle.Procedure, e *Event, x SLAAmount) error {
	c := proc.CaseByID(dossier.Submission.Case)
	if c == nil || c.SLAFor(dossier.Submission.Channel).Extend == nil {
		return errs.E(errs.Conflict, "services.extend.not_allowed", nil)
	}
	limit := c.SLAFor(dossier.Submission.Channel).Extend
	if dossier.Extensions >= limit.Max {
		return errs.E(errs.Conflict, "services.extend.used_up", nil, "max", limit.Max)
	}
	if x.Amount == 0 {
		x = SLAAmount{Amount: limit.UpTo.Amount, Unit: limit.UpTo.Unit}
	}
	if x.Unit == "" {
		x.Unit = limit.UpTo.Unit
	}
	if x.Unit != limit.UpTo.Unit || x.Amount < 1 || x.Amount > limit.UpTo.Amount {
		return errs.E(errs.Invalid, "services.extend.too_far", nil, "max", limit.UpTo.Amount)
	}
	if dossier.Due.IsZero() {
		return errs.E(errs.Conflict, "services.extend.not_allowed", errors.New("no due date"))
	}
	e.Data.Extension = &x
	old := dossier.Due
	e.Data.OldDue = &old
	return nil
}

// newDue computes the due date that would hold once e has happened.
func (d *Desk) newDue(dossier *Dossier, proc *bundle.Procedure, events []Event, e Event) (ClockResult, error) {
	c := proc.CaseByID(dossier.Submission.Case)
	if c == nil {
		return ClockResult{}, errs.E(errs.Internal, "services.procedure.case_lost", nil)
	}
	return Clock(d.Calendar(), c.SLAFor(dossier.Submission.Channel), append(append([]Event(nil), events...), e))
}

// CheckRegister asks a register about the dossier on an officer's behalf and keeps the answer with the dossier. The
// register logs the reading; the applicant sees it.
func (d *Desk) CheckRegister(ctx context.Context, who reqctx.Principal, number string, query RegisterQuery) (check RegisterCheck, err error) {
	defer errs.Wrap(&err, "check register")
	stored, err := d.Store.Find(ctx, number)
	if err != nil {
		return check, err
	}
	if !maySee(who, stored.Row.CurrentAgency) {
		return check, errs.E(errs.Denied, "services.dossier.other_unit", nil)
	}
	dossier, proc, err := d.fold(stored)
	if err != nil {
		return check, err
	}
	// No open dossier, no read (trust specification §3.5): a case that has ended is no reason to look anybody up.
	if dossier.Final || !dossier.FinishedAt.IsZero() || dossier.ReceivedAt.IsZero() {
		return check, errs.E(errs.Conflict, "services.check.not_open", nil)
	}
	if !who.Has("officer") && !who.Has("reception") && !who.Has("head") {
		return check, errs.E(errs.Denied, "services.action.other_role", nil)
	}
	query.Purpose = Purpose{Activity: ActivityVerify, Basis: "", Dossier: dossier.Number}
	check, err = d.registers().Ask(ctx, query)
	if err != nil {
		return check, err
	}
	e := Event{
		Type: EvRegisterChecked, At: d.Now(), From: dossier.State, To: dossier.State, Actor: who.ID, ActorName: who.Name, ActorRole: "officer",
		Agency: dossier.CurrentAgency, Data: EventData{Check: &check},
	}
	if who.Has("officer") {
		e.Data.Assignee = takes(dossier, "officer", who)
	}
	err = d.Store.InTx(ctx, func(tx DeskTx) error {
		if err := d.Audit.Act(ctx, tx, who.ID, "services.dossier.check", dossier.Number); err != nil {
			return err
		}
		stored, err := tx.Find(ctx, number)
		if err != nil {
			return err
		}
		fresh, _, err := d.fold(stored)
		if err != nil {
			return err
		}
		return d.appendInTx(ctx, tx, stored, fresh, proc, e)
	})
	return check, err
}

func (d *Desk) registers() *Registers {
	return &Registers{Exchange: d.Exchange, From: "onestop", Services: d.Registers, Now: d.Now}
}
