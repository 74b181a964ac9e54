package oversight

import (
	"slices"
	"time"

	"truc/internal/calendar"
)

// Outcome says how work on a dossier ended.
type Outcome string

// The outcomes; Open is a dossier that nobody has ended yet.
const (
	Open      Outcome = ""
	Done      Outcome = "done"
	Refused   Outcome = "refused"
	Withdrawn Outcome = "withdrawn"
	Stopped   Outcome = "stopped"
)

// Dossier is what the facts of one dossier amount to.
type Dossier struct {
	Agency, Number          string
	Unit, Procedure, Mode   string
	Channel, State          string
	National                int
	Submitted, Received     time.Time
	Due, Finished           time.Time
	PausedSince             time.Time
	Outcome                 Outcome
	Punctual                calendar.Punctuality
	Supplements, Extensions int
	SupplementedAgain       time.Time // when the second or a later request for papers was made
	Stars                   int
	FeeTotal, FeePaid       int64
	LastSeq                 int64
}

// Fold computes a dossier from its facts. The result depends on nothing else, neither on the order in which facts came
// nor on repetitions, so it can be rebuilt at any time and stays the same.
//
// The due date that counts is the one in force when the dossier was finished; what an agency says about it later
// changes nothing. A result that was taken back (the dossier is in process again) does not count as finished.
func Fold(facts []Fact) Dossier {
	facts = slices.Clone(facts)
	slices.SortStableFunc(facts, func(a, b Fact) int { return int(min(max(a.Seq-b.Seq, -1), 1)) })
	facts = slices.CompactFunc(facts, func(a, b Fact) bool { return a.Seq == b.Seq })
	var d Dossier
	for _, f := range facts {
		d.apply(f)
	}
	if d.Outcome == Done {
		d.Punctual = calendar.ByDate(d.Finished, d.Due)
	}
	return d
}

func (d *Dossier) apply(f Fact) {
	if d.LastSeq == 0 {
		d.Agency, d.Number = f.Agency, f.Dossier
	}
	d.LastSeq = f.Seq
	for _, p := range []struct {
		to   *string
		from string
	}{{&d.Unit, f.Unit}, {&d.Procedure, f.Procedure}, {&d.Mode, f.Mode}, {&d.Channel, f.Channel}, {&d.State, f.State}} {
		if p.from != "" {
			*p.to = p.from
		}
	}
	if f.National != 0 {
		d.National = f.National
	}
	d.FeeTotal, d.FeePaid = f.FeeTotal, f.FeePaid
	if d.Submitted.IsZero() {
		d.Submitted = f.At
	}
	if d.Received.IsZero() && (f.Kind == KindReceived || f.National == 2 || f.National == 4 || f.National >= 9) {
		d.Received = f.At
	}
	switch f.Kind {
	case KindSupplement:
		if d.Supplements++; d.Supplements > 1 {
			d.SupplementedAgain = f.At
		}
	case KindExtended:
		d.Extensions++
	case KindRated:
		if f.Stars > 0 {
			d.Stars = f.Stars
		}
	}
	d.end(f)
}

// end follows whether the dossier is finished, and which due date counts.
func (d *Dossier) end(f Fact) {
	outcome := outcomeOf(f)
	if outcome == Open && d.Outcome != Open && f.National == 0 {
		outcome = d.Outcome // the fact says nothing about the state
	}
	switch {
	case outcome == Open:
		d.Outcome, d.Finished = Open, time.Time{}
	case d.Outcome != outcome:
		d.Outcome, d.Finished = outcome, f.At
		if !f.Due.IsZero() {
			d.Due = f.Due
		}
		d.PausedSince = time.Time{}
	}
	if d.Outcome != Open {
		return
	}
	if !f.Due.IsZero() {
		d.Due = f.Due
	}
	switch {
	case !f.Paused:
		d.PausedSince = time.Time{}
	case d.PausedSince.IsZero():
		d.PausedSince = f.At
	}
}

// outcomeOf reads the national status: 3 refused, 7 withdrawn, 8 stopped, 9 done, 10 result given. A fact without one is
// read by its kind.
func outcomeOf(f Fact) Outcome {
	switch f.National {
	case 3:
		return Refused
	case 7:
		return Withdrawn
	case 8:
		return Stopped
	case 9, 10:
		return Done
	case 0:
		switch f.Kind {
		case KindRefused:
			return Refused
		case KindWithdrawn:
			return Withdrawn
		case KindStopped:
			return Stopped
		}
	}
	return Open
}
