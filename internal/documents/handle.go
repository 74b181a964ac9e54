package documents

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
)

// act is change for an incoming document with a status to its sender: who may do it, what happens, and what is told.
type act struct {
	roles  []string
	action string
	states []State
	// tell is the status, "" for none; text goes with it.
	tell StatusCode
	// event makes the event in the transaction; it may refuse.
	event func(tx Tx, in *Incoming, o Office) (Event, error)
	// text of the status once the event is known, such as the number of arrival.
	text func(e Event) string
}

// perform runs an act. The status message holds a number that is taken in the transaction, so it is written there: it is
// some hundred bytes.
func (d *Desk) perform(ctx context.Context, by Actor, id string, a act) error {
	o, err := d.need(by, a.roles...)
	if err != nil {
		return err
	}
	return d.change(ctx, id, 0, a.action, func(tx Tx, s Stored) ([]Event, error) {
		if !maySee(by, o, s.Row) || s.Row.Direction != In {
			return nil, errNotFound()
		}
		in := foldIncoming(id, s.Events)
		if !slices.Contains(a.states, in.State) {
			return nil, errState(in.State)
		}
		e, err := a.event(tx, in, o)
		if err != nil {
			return nil, err
		}
		if a.tell == "" || in.Arrival.Channel != "axis" {
			return []Event{e}, nil
		}
		e.Data.Told = a.tell
		text := e.Data.Reason
		if a.text != nil {
			text = a.text(e)
		}
		c, err := d.status(o, by, reference(in.Arrival), a.tell, text, fmt.Sprintf("%s.%d", id, len(s.Events)+1), in.Arrival.Urgency)
		if err != nil {
			return nil, err
		}
		payload := payloadFile(c)
		e.Data.Payload = &payload
		return []Event{e}, d.Carrier.Carry(ctx, tx, c)
	})
}

// Accept enters an incoming document in the register of arrivals, with the next number, and tells the sender (03). A clerk
// must have looked at the pre-check before.
func (d *Desk) Accept(ctx context.Context, by Actor, id, note string) error {
	return d.perform(ctx, by, id, act{
		roles: []string{RoleClerk}, action: "documents.accept", states: []State{Arrived}, tell: StatusAccepted,
		event: func(tx Tx, in *Incoming, o Office) (Event, error) {
			if len(in.Checks) == 0 {
				return Event{}, errs.E(errs.Conflict, "documents.check_first", nil)
			}
			if !in.Checks[len(in.Checks)-1].Record.Intact {
				return Event{}, errs.E(errs.Conflict, "documents.not_intact", nil)
			}
			now := d.now()
			due, err := d.nextDay(now, in.Arrival.Urgency)
			if err != nil {
				return Event{}, err
			}
			n, err := tx.TakeNumber(ctx, Number{Office: o.Code, Direction: In, Year: yearOf(now), Document: id, At: now})
			return d.event(by, EvAccepted, EventData{N: n, Note: clean(note), Due: &due}), err
		},
		text: func(e Event) string { return "Đã tiếp nhận, số đến " + FormatNumber(e.Data.N) },
	})
}

// Refuse gives an incoming document back with a reason (02). It is final.
func (d *Desk) Refuse(ctx context.Context, by Actor, id, reason string) error {
	reason = clean(reason)
	if reason == "" {
		return errs.E(errs.Invalid, "documents.reason_missing", nil)
	}
	return d.perform(ctx, by, id, act{
		roles: []string{RoleClerk}, action: "documents.refuse", states: []State{Arrived}, tell: StatusRefused,
		event: func(Tx, *Incoming, Office) (Event, error) {
			return d.event(by, EvRefused, EventData{Reason: reason}), nil
		},
	})
}

// AssignForm is a leader's decision who handles a document.
type AssignForm struct {
	// Lead answers for the whole, Helpers take part.
	Lead    Share
	Helpers []Share
	// Due is the limit of the whole, zero for the sender's own.
	Due         time.Time
	Instruction string
}

// Share is one person's part. A zero Due is that of the whole.
type Share struct {
	Account string
	Due     time.Time
}

// Assign gives an accepted document to people with limits and an instruction, and tells the sender (04). Doing it again
// changes who handles it.
func (d *Desk) Assign(ctx context.Context, by Actor, id string, f AssignForm) error {
	o, err := d.need(by, RoleHead)
	if err != nil {
		return err
	}
	now := d.now()
	var people []Assignment
	for i, s := range append([]Share{f.Lead}, f.Helpers...) {
		p, err := d.person(ctx, o, s.Account)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(people, func(a Assignment) bool { return a.Account == p.Account }) {
			return errs.E(errs.Invalid, "documents.person_twice", nil, "name", p.Name)
		}
		due := s.Due
		if due.IsZero() {
			due = f.Due
		}
		if !due.IsZero() && due.Before(now) || !f.Due.IsZero() && due.After(f.Due) {
			return errs.E(errs.Invalid, "documents.due_invalid", nil, "name", p.Name)
		}
		people = append(people, Assignment{Account: p.Account, Name: p.Name, Unit: p.Unit, Lead: i == 0, Due: due.UTC().Truncate(time.Microsecond)})
	}
	return d.perform(ctx, by, id, act{
		roles: []string{RoleHead}, action: "documents.assign", states: []State{Accepted, Assigned, Working}, tell: StatusAssigned,
		event: func(_ Tx, in *Incoming, _ Office) (Event, error) {
			data := EventData{People: people, Note: clean(f.Instruction)}
			if !f.Due.IsZero() {
				due := f.Due.UTC().Truncate(time.Microsecond)
				data.Due = &due
			}
			return d.event(by, EvAssigned, data), nil
		},
		text: func(Event) string { return "Đã phân công xử lý" },
	})
}

// Opine adds an opinion to the handling slip ("phiếu giải quyết văn bản đến").
func (d *Desk) Opine(ctx context.Context, by Actor, id, text string) error {
	text = clean(text)
	if text == "" || len(text) > 4000 {
		return errs.E(errs.Invalid, "documents.text_invalid", nil)
	}
	kind := "officer"
	if by.Has(RoleHead) {
		kind = "unit"
	}
	return d.perform(ctx, by, id, act{
		roles: []string{RoleOfficer, RoleHead, RoleClerk}, action: "documents.opine", states: []State{Accepted, Assigned, Working},
		event: func(Tx, *Incoming, Office) (Event, error) {
			return d.event(by, EvOpinion, EventData{Note: text, Progress: kind}), nil
		},
	})
}

// handles refuses who has no part in a document.
func handles(by Actor, in *Incoming) error {
	if by.Has(RoleHead) || slices.ContainsFunc(in.People, func(p Assignment) bool { return p.Account == by.Account }) {
		return nil
	}
	return errs.E(errs.Denied, "documents.not_your_turn", nil)
}

// Start says that the work has begun (05).
func (d *Desk) Start(ctx context.Context, by Actor, id string) error {
	return d.perform(ctx, by, id, act{
		roles: []string{RoleOfficer, RoleHead, RoleClerk}, action: "documents.start", states: []State{Assigned}, tell: StatusWorking,
		event: func(_ Tx, in *Incoming, _ Office) (Event, error) {
			return d.event(by, EvStarted, EventData{}), handles(by, in)
		},
		text: func(Event) string { return "Đang xử lý" },
	})
}

// Progress notes how far the work is, for the follow-up register.
func (d *Desk) Progress(ctx context.Context, by Actor, id, text string) error {
	text = clean(text)
	if text == "" || len(text) > 4000 {
		return errs.E(errs.Invalid, "documents.text_invalid", nil)
	}
	return d.perform(ctx, by, id, act{
		roles: []string{RoleOfficer, RoleHead, RoleClerk}, action: "documents.progress", states: []State{Assigned, Working},
		event: func(_ Tx, in *Incoming, _ Office) (Event, error) {
			return d.event(by, EvOpinion, EventData{Note: text, Progress: "progress"}), handles(by, in)
		},
	})
}

// Reply begins an outgoing document that answers an incoming one; both know each other from then on.
func (d *Desk) Reply(ctx context.Context, by Actor, id string) (draft string, err error) {
	o, err := d.need(by, RoleOfficer, RoleHead, RoleClerk)
	if err != nil {
		return "", err
	}
	draft = newID()
	err = d.change(ctx, id, 0, "documents.reply", func(tx Tx, s Stored) ([]Event, error) {
		if !maySee(by, o, s.Row) || s.Row.Direction != In {
			return nil, errNotFound()
		}
		in := foldIncoming(id, s.Events)
		if !slices.Contains([]State{Accepted, Assigned, Working, Done}, in.State) {
			return nil, errState(in.State)
		}
		a := in.Arrival
		form := DraftForm{
			Type: OfficialLetter, Subject: cut("V/v trả lời văn bản số "+a.Code.String()+" về "+a.Subject, maxSubject),
			Addressees: without([]string{a.Sender.Name}, ""), ToPlaces: []string{"Như trên", "Lưu: VT"}, Urgency: a.Urgency,
		}
		if a.Channel == "axis" && a.Sender.Code != o.Code {
			form.Receivers = []string{a.Sender.Code}
		}
		form, err := d.Check(o, form, false)
		if err != nil {
			return nil, err
		}
		link := Link{ID: id, Code: a.Code.String(), DocumentID: a.DocumentID, Date: a.Date, Party: a.Sender.Code}
		err = d.insert(ctx, tx, draft, "", d.event(by, EvDrafted, EventData{Office: o.Code, Form: &form, Links: []Link{link}}))
		return []Event{d.event(by, EvReplied, EventData{Links: []Link{{ID: draft}}})}, err
	})
	return draft, err
}

func cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

// Finish ends one's part; when the lead or a head does it, the whole is done and the sender hears it (06).
func (d *Desk) Finish(ctx context.Context, by Actor, id, result string) error {
	o, err := d.OfficeOf(by)
	if err != nil {
		return err
	}
	s, err := d.Store.Find(ctx, id)
	if err != nil {
		return err
	}
	if !maySee(by, o, s.Row) || s.Row.Direction != In {
		return errNotFound()
	}
	in := foldIncoming(id, s.Events)
	lead := in.Lead()
	whole := by.Has(RoleHead) || lead != nil && lead.Account == by.Account
	a := act{
		roles: []string{RoleOfficer, RoleHead, RoleClerk}, action: "documents.finish", states: []State{Assigned, Working},
		event: func(_ Tx, in *Incoming, _ Office) (Event, error) {
			return d.event(by, EvFinished, EventData{To: by.Account, Note: clean(result), Agree: whole}), handles(by, in)
		},
	}
	if whole {
		a.tell = StatusDone
		a.states = append(a.states, Accepted)
		a.text = func(e Event) string { return strings.TrimSpace("Đã hoàn thành. " + cut(e.Data.Note, 200)) }
	}
	return d.perform(ctx, by, id, a)
}

// Cancel cancels a document in this system because its sender revoked it or asks it back. It stays, frozen, with all that
// is known of it; the sender hears of it by [Desk.AnswerRecall].
func (d *Desk) Cancel(ctx context.Context, by Actor, id, reason string) error {
	return d.perform(ctx, by, id, act{
		roles: []string{RoleClerk}, action: "documents.cancel", states: []State{Arrived, Accepted, Assigned, Working, Done, Replaced},
		event: func(_ Tx, in *Incoming, _ Office) (Event, error) {
			r := in.OpenRecall()
			if r == nil || r.Kind == KindUpdate || r.Kind == KindReplacement {
				return Event{}, errs.E(errs.Conflict, "documents.no_recall", nil)
			}
			text := clean(reason)
			if text == "" {
				text = r.Reason
			}
			return d.event(by, EvCancelled, EventData{Reason: text, Other: r.Other}), nil
		},
	})
}

// AnswerRecall answers the open request: 15 to a recall or revocation only after [Desk.Cancel]; to an update or
// replacement at once; 16 with a reason.
func (d *Desk) AnswerRecall(ctx context.Context, by Actor, id string, agree bool, reason string) error {
	reason = clean(reason)
	tell := StatusAgreed
	if !agree {
		tell = StatusDeclined
		if reason == "" {
			return errs.E(errs.Invalid, "documents.reason_missing", nil)
		}
	}
	return d.perform(ctx, by, id, act{
		roles: []string{RoleClerk}, action: "documents.answer_recall",
		states: []State{Arrived, Accepted, Assigned, Working, Done, Cancelled, Replaced}, tell: tell,
		event: func(_ Tx, in *Incoming, _ Office) (Event, error) {
			r := in.OpenRecall()
			switch {
			case r == nil:
				return Event{}, errs.E(errs.Conflict, "documents.no_recall", nil)
			case agree && !in.MayAgree():
				return Event{}, errs.E(errs.Conflict, "documents.cancel_first", nil)
			case !agree && in.State == Cancelled:
				return Event{}, errs.E(errs.Conflict, "documents.cancelled_already", nil)
			}
			return d.event(by, EvRecallAnswered, EventData{Agree: agree, Reason: reason, Other: r.Other}), nil
		},
		text: func(e Event) string {
			if e.Data.Reason != "" {
				return e.Data.Reason
			}
			return "Đồng ý"
		},
	})
}
