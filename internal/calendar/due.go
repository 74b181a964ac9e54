package calendar

import (
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Pause is a stretch of waiting that does not count: for papers, for a payment, for another agency. A pause
// without an end is still running.
type Pause struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to,omitzero"`
	Reason i18n.Text `json:"reason,omitempty"`
}

// Result is when a dossier is due and why.
type Result struct {
	Due time.Time `json:"due"` // zero when the rule has no due date
	// Waiting says that a pause is still running: Due will move once it ends.
	Waiting     bool   `json:"waiting"`
	Explanation []Step `json:"explanation"`
}

// Due computes when a dossier received at start is due.
//
// A pause counts only when it begins before the due instant reached so far: what is overdue stays overdue.
// With a clock rule it adds the paused working time; otherwise it adds the working or calendar days in
// (day it began, day it ended], so a pause that ended the same day adds nothing. Extensions follow the rule's
// own term, each from where the last one ended.
func (c *Calendar) Due(start time.Time, r Rule, pauses []Pause, extensions []Duration) (res Result, err error) {
	if err := r.Validate(); err != nil {
		return Result{}, err
	}
	if !plausible(start) {
		return Result{}, errs.E(errs.Invalid, "calendar.bad_start", nil)
	}
	for _, e := range extensions {
		if err := e.Validate(); err != nil {
			return Result{}, err
		}
		if e.Unit == None {
			return Result{}, errs.E(errs.Invalid, "calendar.bad_unit", nil, "unit", string(None))
		}
	}
	merged, err := mergePauses(pauses)
	if err != nil {
		return Result{}, err
	}
	if r.Unit == None {
		return Result{Explanation: []Step{{Key: "calendar.step.none"}}}, nil
	}
	b := &build{c: c, rule: r, extensions: extensions}
	if err := b.receive(start.In(i18n.Zone)); err != nil {
		return Result{}, err
	}
	var added extra
	due, err := b.due(added)
	if err != nil {
		return Result{}, err
	}
	waiting := false
	for _, p := range merged {
		if !p.From.Before(due) {
			b.note(Step{Key: "calendar.step.pauseLate", At: p.From, Name: p.Reason})
			continue
		}
		if p.To.IsZero() {
			waiting = true
			b.note(Step{Key: "calendar.step.waiting", At: p.From, Name: p.Reason})
			continue
		}
		added = b.pause(added, p)
		if due, err = b.due(added); err != nil {
			return Result{}, err
		}
	}
	return Result{Due: due, Waiting: waiting, Explanation: b.explain(due)}, nil
}

func plausible(t time.Time) bool { return t.Year() >= 1990 && t.Year() <= 2200 }

// mergePauses sorts pauses and joins those that overlap, so that no instant is counted twice.
func mergePauses(pauses []Pause) ([]Pause, error) {
	list := slices.Clone(pauses)
	for _, p := range list {
		if !plausible(p.From) || !p.To.IsZero() && (p.To.Before(p.From) || !plausible(p.To)) {
			return nil, errs.E(errs.Invalid, "calendar.bad_pause", nil)
		}
	}
	slices.SortStableFunc(list, func(a, b Pause) int { return a.From.Compare(b.From) })
	var out []Pause
	for _, p := range list {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if last.To.IsZero() {
				break // it still runs and swallows all that began later
			}
			if !p.From.After(last.To) {
				if p.To.IsZero() || p.To.After(last.To) {
					last.To = p.To
				}
				continue
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// extra is what pauses have added so far: working time for a clock rule, else days.
type extra struct {
	work time.Duration
	days int
}

// build is one computation of a due instant together with its notes.
type build struct {
	c          *Calendar
	rule       Rule
	extensions []Duration
	start      time.Time // effective: the next working instant, or the day that counts as the day of receipt
	first      day
	notes      []Step
}

func (b *build) note(s Step) { b.notes = append(b.notes, s) }

// receive finds the instant or day from which the term runs.
func (b *build) receive(start time.Time) (err error) {
	b.start, b.first = start, dayOf(start)
	b.note(Step{Key: "calendar.step.received", At: start})
	if b.rule.Clock() {
		if b.start, err = b.c.NextWorking(start); err != nil {
			return err
		}
		b.first = dayOf(b.start)
		if !b.start.Equal(start) {
			b.note(Step{Key: "calendar.step.startMoved", At: b.start})
		}
		return nil
	}
	if b.rule.Cutoff == "" {
		return nil
	}
	cutoff, err := parseMinute(b.rule.Cutoff)
	if err != nil {
		return err
	}
	// With a cutoff a day off receives nothing either; else a dossier of Saturday would be due before one of
	// Friday evening.
	if start.After(b.first.at(cutoff)) || !b.c.works(b.first) {
		if b.first, err = b.c.forward(b.first + 1); err != nil {
			return err
		}
		b.start = b.first.time()
		b.note(Step{Key: "calendar.step.cutoff", At: b.start, Text: b.rule.Cutoff})
	}
	return nil
}

// pause adds p to what earlier pauses added.
func (b *build) pause(sum extra, p Pause) extra {
	step := Step{At: p.From, Until: p.To, Name: p.Reason}
	if b.rule.Clock() {
		from := p.From
		if from.Before(b.start) {
			from = b.start
		}
		w := b.c.WorkingBetween(from, p.To)
		sum.work += w
		step.Key, step.Amount = "calendar.step.pauseWork", int(w/time.Minute)
	} else {
		from, to := max(dayOf(p.From), b.first), dayOf(p.To)
		n := max(int(to-from), 0)
		step.Key = "calendar.step.pauseDays"
		if b.rule.Unit == WorkingDays {
			n = b.c.workingDays(from, to)
			step.Key = "calendar.step.pauseWorkingDays"
		}
		sum.days += n
		step.Amount = n
	}
	b.note(step)
	return sum
}

// due returns the due instant with what the pauses added and all extensions.
func (b *build) due(add extra) (time.Time, error) {
	c, r := b.c, b.rule
	var due time.Time
	var err error
	switch {
	case r.Unit == WorkingHours:
		due, err = c.AddWorking(b.start, time.Duration(r.Amount)*time.Hour+add.work)
	case r.Clock():
		due, err = c.AddWorking(b.start, time.Duration(r.Amount)*hoursPerDay+add.work)
	case r.Unit == WorkingDays:
		due, err = c.AddWorkingDays(b.first.time(), r.Amount+add.days)
	case r.Unit == CalendarDays:
		due, err = c.closeOnOrAfter(b.first + day(r.Amount+add.days))
	default:
		due, err = c.closeOnOrAfter(b.first.addMonths(r.Amount) + day(add.days))
	}
	for _, e := range b.extensions {
		if err != nil {
			break
		}
		due, err = c.extend(due, e, r.Clock())
	}
	return due, err
}

// extend counts e from where the term ended.
func (c *Calendar) extend(due time.Time, e Duration, clock bool) (time.Time, error) {
	switch {
	case e.Unit == WorkingHours:
		return c.AddWorking(due, time.Duration(e.Amount)*time.Hour)
	case e.Unit == WorkingDays && clock:
		return c.AddWorking(due, time.Duration(e.Amount)*hoursPerDay)
	case e.Unit == WorkingDays:
		return c.AddWorkingDays(due, e.Amount)
	case e.Unit == CalendarDays:
		return c.closeOnOrAfter(dayOf(due) + day(e.Amount))
	}
	return c.closeOnOrAfter(dayOf(due).addMonths(e.Amount))
}

func (c *Calendar) closeOnOrAfter(d day) (time.Time, error) {
	w, err := c.forward(d)
	if err != nil {
		return time.Time{}, err
	}
	return c.closing(w), nil
}

// addMonths keeps the number of the day and clamps it to the last day of the month (Civil Code 2015, article 147).
func (d day) addMonths(n int) day {
	t := d.time()
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, 0, 0, 0, 0, i18n.Zone)
	last := first.AddDate(0, 1, -1).Day()
	return dayOf(first) + day(min(t.Day(), last)-1)
}
