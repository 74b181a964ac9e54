package calendar

import (
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// EventKind names what happened to the term of a dossier. There is no reset: a term only pauses and is extended.
type EventKind string

// The vocabulary of term events.
const (
	Started  EventKind = "start"  // received: the term runs
	SetDue   EventKind = "setDue" // the rule, known at or after the start
	Paused   EventKind = "pause"
	Resumed  EventKind = "resume"
	Extended EventKind = "extend" // a new duration with reason and approver, never an edited date
	Finished EventKind = "finish"
	Returned EventKind = "return"
	Withdrew EventKind = "withdraw"
)

// Event is one thing that happened to the term.
type Event struct {
	Kind     EventKind `json:"kind"`
	At       time.Time `json:"at"`
	Rule     *Rule     `json:"rule,omitempty"`     // of Started or SetDue
	Duration *Duration `json:"duration,omitempty"` // of Extended
	Reason   i18n.Text `json:"reason,omitempty"`
}

// Term is what the events of a dossier amount to; its fields are the arguments of [Calendar.Due].
type Term struct {
	Start      time.Time
	Rule       Rule
	Pauses     []Pause
	Extensions []Duration
	Finished   time.Time
	Returned   time.Time
	Withdrawn  time.Time
}

// Fold reads the events of one dossier in order and refuses an order that makes no sense: a second start, a
// resume without a pause, anything but the return after the end.
func Fold(events []Event) (Term, error) {
	var t Term
	for _, e := range events {
		if err := t.apply(e); err != nil {
			return Term{}, err
		}
	}
	return t, nil
}

// Due returns the due instant of the term on calendar c.
func (t Term) Due(c *Calendar) (Result, error) { return c.Due(t.Start, t.Rule, t.Pauses, t.Extensions) }

func (t *Term) waiting() bool { return len(t.Pauses) > 0 && t.Pauses[len(t.Pauses)-1].To.IsZero() }

func (t *Term) apply(e Event) error {
	bad := errs.E(errs.Conflict, "calendar.bad_event", nil, "event", string(e.Kind))
	running := !t.Start.IsZero() && t.Finished.IsZero() && t.Withdrawn.IsZero()
	if e.At.IsZero() || e.Kind != Started && e.Kind != Returned && !running {
		return bad
	}
	switch e.Kind {
	case Started:
		if !t.Start.IsZero() {
			return bad
		}
		t.Start = e.At
		if e.Rule != nil {
			t.Rule = *e.Rule
		}
	case SetDue:
		if e.Rule == nil || t.Rule.Unit != "" {
			return bad
		}
		t.Rule = *e.Rule
	case Paused:
		if t.waiting() {
			return bad
		}
		t.Pauses = append(t.Pauses, Pause{From: e.At, Reason: e.Reason})
	case Resumed:
		if !t.waiting() || e.At.Before(t.Pauses[len(t.Pauses)-1].From) {
			return bad
		}
		t.Pauses[len(t.Pauses)-1].To = e.At
	case Extended:
		if e.Duration == nil {
			return bad
		}
		t.Extensions = append(t.Extensions, *e.Duration)
	case Finished:
		t.Finished = e.At
	case Returned:
		if t.Finished.IsZero() || !t.Returned.IsZero() {
			return bad
		}
		t.Returned = e.At
	case Withdrew:
		t.Withdrawn = e.At
	default:
		return bad
	}
	return nil
}
