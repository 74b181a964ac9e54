package services

import (
	"context"
	"errors"
	"fmt"

	"truc/internal/errs"
	"truc/internal/services/bundle"
)

// Receive handles a message of the applicant that came over the exchange; a repeated message changes nothing.
func (d *Desk) Receive(ctx context.Context, m Message) (err error) {
	defer errs.Wrap(&err, "message %s", m.Kind)
	if m.ID == "" {
		return errs.E(errs.Invalid, "services.submission.incomplete", nil)
	}
	for _, p := range m.Papers {
		if _, _, err := d.Store.Blob(ctx, p.SHA256); err != nil {
			return errs.E(errs.Invalid, "services.submission.paper_bytes", err, "paper", p.Name)
		}
	}
	return d.Store.InTx(ctx, func(tx DeskTx) error {
		stored, err := tx.Find(ctx, m.FilingID)
		if err != nil {
			return err
		}
		if stored.Submission.FilingID != m.FilingID { // a dossier number is no key to a dossier
			return errs.E(errs.NotFound, "services.dossier.not_found", nil)
		}
		seen, err := tx.Seen(ctx, m.ID, d.Now())
		if err != nil || seen {
			return err
		}
		dossier, proc, err := d.fold(stored)
		if err != nil {
			return err
		}
		e, err := d.applicantEvent(dossier, proc, m)
		if err != nil {
			return err
		}
		return d.appendInTx(ctx, tx, stored, dossier, proc, *e)
	})
}

// applicantEvent turns a message into the event it causes, moving the dossier where the flow says so.
func (d *Desk) applicantEvent(dossier *Dossier, proc *bundle.Procedure, m Message) (*Event, error) {
	e := &Event{At: d.Now(), From: dossier.State, To: dossier.State, Actor: "applicant", ActorRole: bundle.ByApplicant, Agency: dossier.CurrentAgency}
	e.Data.Comment = m.Note
	move := func(match func(a bundle.ActionState) bool, role string) bool {
		for _, a := range proc.Allowed(d.facts(dossier, proc), role) {
			if a.ForRole && a.Allowed && match(a) {
				e.Action, e.To = a.Action.Name, a.To
				return true
			}
		}
		return false
	}
	switch m.Kind {
	case "payment":
		if m.Payment == nil || m.Payment.Amount <= 0 {
			return nil, errs.E(errs.Invalid, "services.submission.incomplete", errors.New("payment without an amount"))
		}
		for _, p := range dossier.Payments {
			if p.Reference == m.Payment.Reference {
				return nil, errs.E(errs.Conflict, "services.payment.duplicate", nil)
			}
		}
		e.Type, e.Actor, e.ActorRole = EvPaymentConfirmed, "system", bundle.BySystem
		e.Data.Payment = m.Payment
		if dossier.FeePaid+m.Payment.Amount >= dossier.FeeTotal {
			move(func(a bundle.ActionState) bool { return a.Action.On == string(EvPaymentConfirmed) }, bundle.BySystem)
		}
	case "supplement":
		e.Type = EvSupplementReceived
		for i := range m.Papers {
			m.Papers[i].Round = dossier.Supplements
		}
		e.Data.Added = m.Papers
		if dossier.Supplement == nil || !move(func(a bundle.ActionState) bool { return a.Action.To == "@previous" }, bundle.ByApplicant) {
			return nil, errs.E(errs.Conflict, "services.supplement.not_asked", nil)
		}
	case "withdraw":
		e.Type = EvWithdrawn
		e.Data.Reason = m.Note
		if !move(func(a bundle.ActionState) bool { s := proc.Flow.State(a.To); return s != nil && s.National == 7 }, bundle.ByApplicant) {
			return nil, errs.E(errs.Conflict, "services.withdraw.too_late", nil)
		}
	case "rating":
		if m.Stars < 1 || m.Stars > 5 {
			return nil, errs.E(errs.Invalid, "services.rating.stars", nil)
		}
		if dossier.Stars > 0 {
			return nil, errs.E(errs.Conflict, "services.rating.once", nil)
		}
		if dossier.FinishedAt.IsZero() {
			return nil, errs.E(errs.Conflict, "services.rating.too_early", nil)
		}
		e.Type, e.Data.Stars = EvRated, m.Stars
	default:
		return nil, errs.E(errs.Invalid, "services.message.unknown", fmt.Errorf("kind %q", m.Kind))
	}
	return e, nil
}

// appendInTx seals an event behind the stored ones, folds it in, lets automatic actions follow, and records all.
func (d *Desk) appendInTx(ctx context.Context, tx DeskTx, stored StoredDossier, dossier *Dossier, proc *bundle.Procedure, events ...Event) error {
	all := stored.Events
	prev := ""
	if n := len(all); n > 0 {
		prev = all[n-1].Hash
	}
	var added []Event
	push := func(e Event) error {
		e.Seq = int64(len(all)) + 1
		if err := e.Seal(prev); err != nil {
			return err
		}
		prev = e.Hash
		all = append(all, e)
		added = append(added, e)
		dossier.Apply(e, flowOf{proc})
		return nil
	}
	for _, e := range events {
		if err := push(e); err != nil {
			return err
		}
	}
	for range 5 { // automatic actions, such as start after receive; a flow that loops is stopped
		next := d.automatic(dossier, proc, added)
		if next == nil {
			break
		}
		if err := push(*next); err != nil {
			return err
		}
	}
	if err := d.setDue(dossier, proc, all); err != nil {
		return err
	}
	return d.record(ctx, tx, dossier, proc, stored.Row.Version, added)
}

// automatic returns the action that follows by itself: one the flow marks auto, or the return of a result that the
// applicant chose to receive online.
func (d *Desk) automatic(dossier *Dossier, proc *bundle.Procedure, added []Event) *Event {
	last := added[len(added)-1]
	if last.From == last.To {
		return nil
	}
	facts := d.facts(dossier, proc)
	for i := range proc.Flow.Actions {
		a := &proc.Flow.Actions[i]
		online := a.Sign == "" && dossier.Delivery == "ready" && deliveryMethod(dossier.Submission.Answers) == "online"
		if !a.Auto && !online {
			continue
		}
		st := proc.May(facts, a.Name, rolesOf(proc, a.By)...)
		if !st.Allowed || st.To == dossier.State {
			continue
		}
		to := proc.Flow.State(st.To)
		if !a.Auto && (to == nil || to.National != 10) {
			continue
		}
		e := &Event{Type: eventType(proc, a, st.To), At: last.At, Action: a.Name, From: dossier.State, To: st.To, Actor: "system", ActorRole: bundle.BySystem, Agency: dossier.CurrentAgency}
		if to != nil && to.National == 10 {
			e.Data.Channel = "online"
		}
		return e
	}
	return nil
}
