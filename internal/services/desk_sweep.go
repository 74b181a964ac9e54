package services

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"truc/internal/errs"
	"truc/internal/reqctx"
	"truc/internal/services/bundle"
)

// SweepSupplements ends dossiers whose request for more papers was not answered in time, where the procedure says so
// ("onExpiry: stop"): the applicant gets slip 05 with the reason. It runs regularly; one dossier that cannot be ended
// does not keep the others.
func (d *Desk) SweepSupplements(ctx context.Context) (ended int, err error) {
	f := Filter{Waiting: true, Open: true, Limit: 200}
	for {
		rows, err := d.Store.List(ctx, f)
		if err != nil {
			return ended, err
		}
		for _, r := range rows {
			ok, err := d.expire(ctx, r.ID)
			if err != nil {
				d.Log.WarnContext(ctx, "an unanswered dossier could not be ended", slog.String("number", r.Number), slog.Any("error", err))
			}
			if ok {
				ended++
			}
		}
		if len(rows) < f.Limit {
			return ended, nil
		}
		last := rows[len(rows)-1]
		f.AfterDue, f.AfterID = last.Due, last.ID
	}
}

// expire ends one dossier if its time to answer is over.
func (d *Desk) expire(ctx context.Context, id string) (ended bool, err error) {
	defer errs.Wrap(&err, "expire supplement")
	stored, err := d.Store.Find(ctx, id)
	if err != nil {
		return false, err
	}
	dossier, proc, err := d.fold(stored)
	if err != nil {
		return false, err
	}
	c := proc.CaseByID(dossier.Submission.Case)
	ask := dossier.Supplement
	if c == nil || c.SLAFor(dossier.Submission.Channel).Supplement.OnExpiry != "stop" || ask == nil || ask.Data.Deadline == nil || !d.Now().After(*ask.Data.Deadline) {
		return false, nil
	}
	action := stopAction(proc, dossier.State)
	if action == nil {
		return false, errs.E(errs.Conflict, "services.action.not_now", errors.New("the flow has no way to stop from here"))
	}
	e := Event{
		Type: EvStopped, At: d.Now(), Action: action.Name, From: dossier.State, To: action.To, Actor: "system", ActorRole: bundle.BySystem, Agency: dossier.CurrentAgency,
		Data: EventData{Reason: d.Messages.T("vi", "services.supplement.expired")},
	}
	if err := d.issue(ctx, dossier, proc, action, &e, stored.Events, reqctx.Principal{}); err != nil {
		return false, err
	}
	err = d.Store.InTx(ctx, func(tx DeskTx) error {
		fresh, err := tx.Find(ctx, id)
		if err != nil {
			return err
		}
		now, proc, err := d.fold(fresh)
		if err != nil {
			return err
		}
		if now.Supplement == nil || now.State != dossier.State { // the answer came in the last moment: it counts
			return errs.E(errs.Conflict, "services.dossier.changed", nil)
		}
		return d.appendInTx(ctx, tx, fresh, now, proc, e)
	})
	return err == nil, err
}

// stopAction is the action of the flow that stops a dossier in a state (national code 8).
func stopAction(p *bundle.Procedure, state string) *bundle.Action {
	for i := range p.Flow.Actions {
		a := &p.Flow.Actions[i]
		to := p.Flow.State(a.To)
		if to != nil && to.National == 8 && slices.Contains(a.From, state) {
			return a
		}
	}
	return nil
}
