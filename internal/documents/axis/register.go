package axis

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/orgcode"
)

// AdmitAgency enters an agency, for an administrator of the center.
func (h *Hub) AdmitAgency(ctx context.Context, actor string, f AgencyForm) (id int64, err error) {
	if err := f.normal(); err != nil {
		return 0, err
	}
	err = h.Store.InTx(ctx, func(tx Tx) error {
		id, err = h.addAgency(ctx, tx, actor, f)
		return err
	})
	return id, err
}

func (h *Hub) addAgency(ctx context.Context, tx Tx, actor string, f AgencyForm) (int64, error) {
	now := h.now()
	if err := free(ctx, tx, f, 0, now); err != nil {
		return 0, err
	}
	a := Agency{From: now, Version: 1, Changed: now}
	a.fill(f)
	id, err := tx.AddAgency(ctx, a, revision(a, actor, "registered", now))
	if err != nil {
		return 0, err
	}
	return id, h.acted(ctx, tx, actor, "axis.agency.register", a)
}

// free checks that no other agency answers to one of the codes of a form today.
func free(ctx context.Context, tx Tx, f AgencyForm, own int64, now time.Time) error {
	a := Agency{}
	a.fill(f)
	list, err := tx.Lookup(ctx, a.Codes())
	if err != nil {
		return err
	}
	for _, b := range list {
		if b.Agency.ID != own && b.To.IsZero() && b.Agency.Open(now) {
			return refuse(CodeRequest, "axis.code_taken", "code", b.Code, "name", b.Agency.Name)
		}
	}
	return nil
}

func revision(a Agency, actor, what string, at time.Time) Revision {
	b, _ := json.Marshal(a) // a struct of texts and times: it cannot fail
	return Revision{Version: a.Version, At: at, Actor: actor, What: what, Act: a.Act, Snapshot: b}
}

// acted writes journal and audit entry of a change in the register.
func (h *Hub) acted(ctx context.Context, tx Tx, actor, action string, a Agency) error {
	if err := h.Audit.Act(ctx, tx, actor, action, a.Code); err != nil {
		return err
	}
	return h.record(ctx, tx, Entry{At: a.Changed.UnixMicro(), Event: EvAgency, Party: a.Owner, To: a.Code, Note: action})
}

// change loads the open agency of a code, lets f change it and writes it. It returns the entry before the change.
func (h *Hub) change(ctx context.Context, tx Tx, actor, code, what, action string, f func(a *Agency) error) error {
	now := h.now()
	list, err := tx.Lookup(ctx, []string{code})
	if err != nil {
		return err
	}
	found, ok := choose(code, list, now)
	if !ok || !found.Open(now) {
		return refuse(CodeRequest, "axis.agency_unknown", "code", code)
	}
	a, err := tx.Agency(ctx, found.ID)
	if err != nil {
		return err
	}
	before := a
	if err := f(&a); err != nil {
		return err
	}
	a.Version, a.Changed = before.Version+1, now
	if err := tx.PutAgency(ctx, a, before.Version, revision(a, actor, what, now)); err != nil {
		return err
	}
	// The copies first and the journal last, in the order in which everybody locks them.
	if err := h.follow(ctx, tx, before, a, now); err != nil {
		return err
	}
	return h.acted(ctx, tx, actor, action, a)
}

// follow moves copies after a change to whoever acts for their agency now: its new owner, or, when it ended, its single
// successor's. The same goes for agencies that it took over before.
func (h *Hub) follow(ctx context.Context, tx Tx, before, after Agency, now time.Time) error {
	if after.Owner == before.Owner && after.Open(now) {
		return nil
	}
	holder := after
	if !after.Open(now) {
		heir, warn, err := heirOf(ctx, tx, after, now)
		if err != nil || warn == nil {
			return err
		}
		holder = heir
	}
	moved := []int64{after.ID}
	ended, err := tx.Merged(ctx)
	if err != nil {
		return err
	}
	for _, a := range ended {
		heir, warn, err := heirOf(ctx, tx, a, now)
		if err != nil {
			return err
		}
		if warn != nil && heir.ID == holder.ID && a.ID != after.ID {
			moved = append(moved, a.ID)
		}
	}
	var entries []Entry
	for _, id := range moved {
		list, err := tx.CopiesElsewhere(ctx, id, holder.Owner)
		if err != nil {
			return err
		}
		for _, c := range list {
			e, err := h.move(ctx, tx, c, holder.Owner, now)
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return h.record(ctx, tx, entries...)
}

// move gives a copy to another party. What is not done yet begins again there.
func (h *Hub) move(ctx context.Context, tx Tx, c Copy, to Party, now time.Time) (Entry, error) {
	was := c.Party
	c.Party, c.Updated = to, now
	if c.State != Done {
		c.State, c.Description, c.Lease = Initial, "", time.Time{}
		if err := h.push(ctx, tx, &c); err != nil {
			return Entry{}, err
		}
	}
	return copyEntry(EvMoved, now, c, string(was)), tx.PutCopy(ctx, c)
}

// heirOf is [receiver] for an agency that ended; a refusal of the successor, such as a lock, leaves the copies where they
// are, which a nil note says.
func heirOf(ctx context.Context, tx Tx, a Agency, now time.Time) (Agency, *Note, error) {
	heir, warn, err := receiver(ctx, tx, a.Code, []Binding{{Code: a.Code, From: a.From, Agency: a}}, now)
	if _, is := errors.AsType[*Refusal](err); is {
		return a, nil, nil
	}
	return heir, warn, err
}

// ChangeAgency replaces what is entered of an agency, found by its current code, if its version is still the given one. A
// new current code leaves the one before as an alias.
func (h *Hub) ChangeAgency(ctx context.Context, actor, code string, version int, f AgencyForm) error {
	if err := f.normal(); err != nil {
		return err
	}
	return h.Store.InTx(ctx, func(tx Tx) error {
		return h.change(ctx, tx, actor, code, "changed", "axis.agency.change", func(a *Agency) error {
			if a.Version != version {
				return errs.E(errs.Conflict, "axis.agency_changed", nil)
			}
			return h.refill(ctx, tx, a, f)
		})
	})
}

// refill puts a form into an agency.
func (h *Hub) refill(ctx context.Context, tx Tx, a *Agency, f AgencyForm) error {
	if err := free(ctx, tx, f, a.ID, h.now()); err != nil {
		return err
	}
	was := a.Code
	a.fill(f)
	if was != a.Code && was != a.Old && !slices.Contains(a.Aliases, was) {
		a.Aliases = append(slices.Clone(a.Aliases), was)
	}
	return nil
}

// LockAgency stops an agency from receiving, or lets it receive again.
func (h *Hub) LockAgency(ctx context.Context, actor, code string, locked bool) error {
	what, action := "unlocked", "axis.agency.unlock"
	if locked {
		what, action = "locked", "axis.agency.lock"
	}
	return h.Store.InTx(ctx, func(tx Tx) error {
		return h.change(ctx, tx, actor, code, what, action, func(a *Agency) error { a.Locked = locked; return nil })
	})
}

// EndAgency closes an agency by a legal act. With one successor, what is sent to its codes goes there from now on, and
// so do the copies that wait; with several, senders are told to choose; with none it is unknown from now on.
func (h *Hub) EndAgency(ctx context.Context, actor, code, act string, successors []string) error {
	if act == "" || !plain(act, 500) {
		return refuse(CodeRequest, "axis.act_missing")
	}
	return h.Store.InTx(ctx, func(tx Tx) error {
		now := h.now()
		list, err := tx.Lookup(ctx, successors)
		if err != nil {
			return err
		}
		heirs := make([]string, 0, len(successors))
		for _, s := range successors {
			heir, ok := choose(s, list, now)
			if !ok || !heir.Open(now) {
				return refuse(CodeRequest, "axis.agency_unknown", "code", s)
			}
			if !slices.Contains(heirs, heir.Code) {
				heirs = append(heirs, heir.Code)
			}
		}
		return h.change(ctx, tx, actor, code, "merged", "axis.agency.end", func(a *Agency) error {
			if slices.Contains(heirs, a.Code) {
				return refuse(CodeRequest, "axis.successor_itself")
			}
			a.To, a.Successors, a.Act = now, heirs, act
			return nil
		})
	})
}

// RegisterAgency enters or changes an agency on behalf of a party: its code must lie below one that the party owns.
func (h *Hub) RegisterAgency(ctx context.Context, p Party, f AgencyForm) error {
	f.Owner = p
	if err := f.normal(); err != nil {
		return err
	}
	return h.Store.InTx(ctx, func(tx Tx) error {
		if err := h.ownBelow(ctx, tx, p, f.Code, f.Parent); err != nil {
			return err
		}
		list, err := tx.Lookup(ctx, []string{f.Code})
		if err != nil {
			return err
		}
		a, known := choose(f.Code, list, h.now())
		if !known || !a.Open(h.now()) {
			_, err := h.addAgency(ctx, tx, string(p), f)
			return err
		}
		if a.Owner != p {
			return refuse(CodeRequest, "axis.code_taken", "code", f.Code, "name", a.Name)
		}
		return h.change(ctx, tx, string(p), f.Code, "changed", "axis.agency.change", func(a *Agency) error {
			// A party says what it knows of; second names are the center's to give.
			if f.Old == "" {
				f.Old = a.Old
			}
			f.Aliases, f.Unit = a.Aliases, !a.IsAgency
			return h.refill(ctx, tx, a, f)
		})
	})
}

// ownBelow checks that a party owns an agency above a code. An old code tells nothing of what is above it, so the parent
// that is named must be the party's own and of the same first level.
func (h *Hub) ownBelow(ctx context.Context, tx Tx, p Party, code, parent string) error {
	above := []string{}
	for c, ok := orgcode.Parent(code); ok; c, ok = orgcode.Parent(c) {
		above = append(above, c)
	}
	if orgcode.StyleOf(code) == orgcode.OldStyle && orgcode.Level1(code) == orgcode.Level1(parent) && parent != "" && parent != code {
		above = append(above, parent)
	}
	list, err := tx.Lookup(ctx, above)
	if err != nil {
		return err
	}
	now := h.now()
	for _, c := range above {
		if a, ok := choose(c, list, now); ok && a.Open(now) && a.Owner == p {
			return nil
		}
	}
	return refuse(CodeRequest, "axis.code_foreign", "code", code)
}

// DeleteAgency closes an agency on behalf of a party; its history stays.
func (h *Hub) DeleteAgency(ctx context.Context, p Party, code string) error {
	return h.Store.InTx(ctx, func(tx Tx) error {
		return h.change(ctx, tx, string(p), code, "closed", "axis.agency.close", func(a *Agency) error {
			if a.Owner != p {
				return refuse(CodeRequest, "axis.agency_unknown", "code", code)
			}
			if err := h.ownBelow(ctx, tx, p, a.Code, a.Parent); err != nil {
				return err
			}
			a.To = h.now()
			return nil
		})
	})
}

// NodeAgency is a member of the exchange whose node takes documents.
type NodeAgency struct {
	Party      Party
	Code, Name string
}

// SyncNodes enters members that began to take documents, and gives their code to their node. Nothing is closed: a node that
// is gone for a while is not the end of its agency. A member whose code or name cannot stand in the register is passed over
// and logged; it holds nobody else. It returns how many entries changed.
func (h *Hub) SyncNodes(ctx context.Context, list []NodeAgency) (n int, err error) {
	for _, m := range list {
		changed, err := h.syncNode(ctx, m)
		if _, is := errors.AsType[*Refusal](err); is {
			h.Log.WarnContext(ctx, "a member's node cannot take documents", slog.String("member", m.Code), slog.Any("error", err))
			continue
		}
		if err != nil {
			return n, err
		}
		if changed {
			n++
		}
	}
	return n, nil
}

func (h *Hub) syncNode(ctx context.Context, m NodeAgency) (changed bool, err error) {
	f := AgencyForm{Code: m.Code, Name: m.Name, Owner: m.Party}
	if err := f.normal(); err != nil {
		return false, err
	}
	err = h.Store.InTx(ctx, func(tx Tx) error {
		changed = false
		list, err := tx.Lookup(ctx, []string{f.Code})
		if err != nil {
			return err
		}
		a, known := choose(f.Code, list, h.now())
		switch {
		case !known:
			changed = true
			_, err := h.addAgency(ctx, tx, "system", f)
			return err
		case !a.Open(h.now()) || a.Owner == m.Party:
			return nil // an agency that ended by a legal act does not come back by itself
		}
		changed = true
		return h.change(ctx, tx, "system", a.Code, "changed", "axis.agency.change", func(a *Agency) error { a.Owner = m.Party; return nil })
	})
	return changed, err
}
