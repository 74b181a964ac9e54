package calendar

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"truc/internal/i18n"
)

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, i18n.Zone)

func drawTime(t *rapid.T, label string) time.Time {
	return epoch.Add(time.Duration(rapid.IntRange(0, 3*365*24*60).Draw(t, label)) * time.Minute)
}

func drawRule(t *rapid.T) Rule {
	r := Rule{Amount: rapid.IntRange(1, 40).Draw(t, "amount")}
	switch rapid.IntRange(0, 4).Draw(t, "unit") {
	case 0:
		r.Unit = WorkingHours
	case 1:
		r.Unit, r.Count = WorkingDays, Clock
	case 2:
		r.Unit = WorkingDays
	case 3:
		r.Unit = CalendarDays
	default:
		r.Unit, r.Amount = Months, 1+r.Amount%12
	}
	if !r.Clock() && rapid.Bool().Draw(t, "withCutoff") {
		r.Cutoff = "15:00"
	}
	return r
}

func drawPauses(t *rapid.T, near time.Time) []Pause {
	var out []Pause
	for range rapid.IntRange(0, 3).Draw(t, "pauses") {
		from := near.Add(time.Duration(rapid.IntRange(-5*24*60, 30*24*60).Draw(t, "pauseFrom")) * time.Minute)
		out = append(out, Pause{From: from, To: from.Add(time.Duration(rapid.IntRange(0, 10*24*60).Draw(t, "pauseFor")) * time.Minute)})
	}
	return out
}

func drawExtensions(t *rapid.T) []Duration {
	var out []Duration
	for range rapid.IntRange(0, 2).Draw(t, "extensions") {
		u := rapid.SampledFrom([]Unit{WorkingHours, WorkingDays, CalendarDays}).Draw(t, "extensionUnit")
		out = append(out, Duration{Amount: rapid.IntRange(1, 15).Draw(t, "extensionAmount"), Unit: u})
	}
	return out
}

func mustDue(t *rapid.T, c *Calendar, start time.Time, r Rule, p []Pause, e []Duration) time.Time {
	res, err := c.Due(start, r, p, e)
	if err != nil {
		t.Fatalf("Due(%s, %+v): %v", stamp(start), r, err)
	}
	return res.Due
}

func TestPropertyMonotone(t *testing.T) {
	c := Vietnam()
	rapid.Check(t, func(t *rapid.T) {
		start, r, ext := drawTime(t, "start"), drawRule(t), drawExtensions(t)
		pauses := drawPauses(t, start)
		due := mustDue(t, c, start, r, pauses, ext)
		more := r
		more.Amount++
		if got := mustDue(t, c, start, more, pauses, ext); got.Before(due) {
			t.Errorf("amount %d is due %s, %d already %s", r.Amount, stamp(due), more.Amount, stamp(got))
		}
		if r.Unit == Months {
			pauses = nil // clamping to the end of the month and days of pause do not commute
			due = mustDue(t, c, start, r, nil, ext)
		}
		later := start.Add(time.Duration(rapid.IntRange(1, 6*24*60).Draw(t, "later")) * time.Minute)
		if got := mustDue(t, c, later, r, pauses, ext); got.Before(due) {
			t.Errorf("start %s is due %s, %s already %s", stamp(start), stamp(due), stamp(later), stamp(got))
		}
	})
}

func TestPropertyClockPause(t *testing.T) {
	c := Vietnam()
	rapid.Check(t, func(t *rapid.T) {
		start := drawTime(t, "start")
		r := Rule{Amount: rapid.IntRange(1, 200).Draw(t, "hours"), Unit: WorkingHours}
		due := mustDue(t, c, start, r, nil, nil)
		from := start.Add(time.Duration(rapid.Int64Range(0, int64(due.Sub(start)/time.Minute)-1).Draw(t, "from")) * time.Minute)
		to := from.Add(time.Duration(rapid.IntRange(0, 20*24*60).Draw(t, "for")) * time.Minute)
		paused := mustDue(t, c, start, r, []Pause{{From: from, To: to}}, nil)
		if got, want := c.WorkingBetween(due, paused), c.WorkingBetween(from, to); got != want {
			t.Errorf("a pause of %s moved due by %s", want, got)
		}
	})
}

func TestPropertyHoliday(t *testing.T) {
	c := Vietnam()
	var holidays []string
	for _, e := range c.Exceptions() {
		if !e.Kind.works() {
			holidays = append(holidays, e.Date)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		date := rapid.SampledFrom(holidays).Draw(t, "holiday")
		d, err := parseDay(date)
		if err != nil {
			t.Fatal(err)
		}
		start := d.time().Add(time.Duration(rapid.IntRange(-20*24*60, 24*60).Draw(t, "offset")) * time.Minute)
		r, pauses, ext := drawRule(t), drawPauses(t, start), drawExtensions(t)
		fewer, err := c.Without(date)
		if err != nil {
			t.Fatal(err)
		}
		with, without := mustDue(t, c, start, r, pauses, ext), mustDue(t, fewer, start, r, pauses, ext)
		if without.After(with) {
			t.Errorf("without %s due moved from %s to %s", date, stamp(with), stamp(without))
		}
	})
}

func TestPropertyInsideWorkingTime(t *testing.T) {
	c := Vietnam()
	rapid.Check(t, func(t *rapid.T) {
		start := drawTime(t, "start")
		due := mustDue(t, c, start, drawRule(t), drawPauses(t, start), drawExtensions(t))
		if !c.IsWorking(due) && !c.IsWorking(due.Add(-time.Nanosecond)) {
			t.Errorf("due %s is outside working time", stamp(due))
		}
		if due.Before(start) {
			t.Errorf("due %s before start %s", stamp(due), stamp(start))
		}
	})
}

func TestPropertyFold(t *testing.T) {
	c := Vietnam()
	rapid.Check(t, func(t *rapid.T) {
		start, r, ext := drawTime(t, "start"), drawRule(t), drawExtensions(t)
		events := []Event{{Kind: Started, At: start}, {Kind: SetDue, At: start, Rule: &r}}
		var pauses []Pause
		now := start
		for range rapid.IntRange(0, 3).Draw(t, "pauses") {
			from := now.Add(time.Duration(rapid.IntRange(0, 3*24*60).Draw(t, "wait")) * time.Minute)
			now = from.Add(time.Duration(rapid.IntRange(1, 5*24*60).Draw(t, "for")) * time.Minute)
			pauses = append(pauses, Pause{From: from, To: now})
			events = append(events, Event{Kind: Paused, At: from}, Event{Kind: Resumed, At: now})
		}
		for _, e := range ext {
			events = append(events, Event{Kind: Extended, At: now, Duration: &e})
		}
		term, err := Fold(events)
		if err != nil {
			t.Fatal(err)
		}
		folded, err := term.Due(c)
		if err != nil {
			t.Fatal(err)
		}
		if want := mustDue(t, c, start, r, pauses, ext); !folded.Due.Equal(want) {
			t.Errorf("fold is due %s; want %s", stamp(folded.Due), stamp(want))
		}
	})
}

func TestFoldRefuses(t *testing.T) {
	now := epoch
	for name, events := range map[string][]Event{
		"no start":        {{Kind: Paused, At: now}},
		"second start":    {{Kind: Started, At: now}, {Kind: Started, At: now}},
		"resume":          {{Kind: Started, At: now}, {Kind: Resumed, At: now}},
		"pause twice":     {{Kind: Started, At: now}, {Kind: Paused, At: now}, {Kind: Paused, At: now}},
		"after the end":   {{Kind: Started, At: now}, {Kind: Finished, At: now}, {Kind: Extended, At: now, Duration: &Duration{Amount: 1, Unit: WorkingDays}}},
		"reset":           {{Kind: Started, At: now}, {Kind: "reset", At: now}},
		"return too soon": {{Kind: Started, At: now}, {Kind: Returned, At: now}},
	} {
		if _, err := Fold(events); err == nil {
			t.Errorf("Fold(%s): want an error", name)
		}
	}
}
