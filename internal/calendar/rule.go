package calendar

import (
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
)

// Unit is what a term is counted in.
type Unit string

// The units of terms found in published procedures.
const (
	WorkingHours Unit = "workingHours"
	WorkingDays  Unit = "workingDays"
	CalendarDays Unit = "calendarDays"
	Months       Unit = "months"
	None         Unit = "none" // no due date: khongCoNgayHenTra
)

// Count is how working days are counted.
type Count string

// The counts.
const (
	// Clock counts eight working hours as a day and keeps the hour.
	Clock Count = "clock"
	// DayExclusive leaves out the first day and ends at the close of the last (Civil Code 2015, articles 147–148).
	DayExclusive Count = "dayExclusive"
)

// limits keep every walk over the calendar short: a term of ten years is a mistake.
var limits = map[Unit]int{WorkingHours: 8 * 3650, WorkingDays: 3650, CalendarDays: 3650, Months: 120}

// Duration is an amount of a unit.
type Duration struct {
	Amount int  `json:"amount" yaml:"amount"`
	Unit   Unit `json:"unit" yaml:"unit"`
}

// Validate reports an unknown unit or an amount that is not positive.
func (d Duration) Validate() error {
	if d.Unit == None {
		return nil
	}
	limit, ok := limits[d.Unit]
	if !ok {
		return errs.E(errs.Invalid, "calendar.bad_unit", nil, "unit", string(d.Unit))
	}
	if d.Amount <= 0 || d.Amount > limit {
		return errs.E(errs.Invalid, "calendar.bad_amount", nil, "amount", d.Amount)
	}
	return nil
}

// Rule is the term of a procedure: a duration, how it is counted, and the hour after which a dossier counts as
// received on the next working day.
type Rule struct {
	Amount int    `json:"amount" yaml:"amount"`
	Unit   Unit   `json:"unit" yaml:"unit"`
	Count  Count  `json:"count,omitempty" yaml:"count"`   // default: dayExclusive, and clock for working hours
	Cutoff string `json:"cutoff,omitempty" yaml:"cutoff"` // HH:MM, day modes only
}

// Duration returns the rule's amount and unit.
func (r Rule) Duration() Duration { return Duration{Amount: r.Amount, Unit: r.Unit} }

// Clock reports whether the rule counts working time rather than days.
func (r Rule) Clock() bool {
	return r.Unit == WorkingHours || r.Unit == WorkingDays && r.Count == Clock
}

// Validate reports a rule that must not be published.
func (r Rule) Validate() error {
	if err := r.Duration().Validate(); err != nil {
		return err
	}
	switch {
	case r.Count != "" && r.Count != Clock && r.Count != DayExclusive,
		r.Count == DayExclusive && r.Unit == WorkingHours,
		r.Count == Clock && r.Unit != WorkingHours && r.Unit != WorkingDays:
		return errs.E(errs.Invalid, "calendar.bad_count", nil, "count", string(r.Count), "unit", string(r.Unit))
	}
	if r.Cutoff == "" {
		return nil
	}
	if r.Clock() || r.Unit == None {
		return errs.E(errs.Invalid, "calendar.cutoff_with_clock", nil)
	}
	_, err := parseMinute(r.Cutoff)
	return err
}

func parseMinute(s string) (int, error) {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return 0, errs.E(errs.Invalid, "calendar.bad_cutoff", err, "cutoff", s)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// Warnings returns the instants at which to warn before due. Each spec is a share of the working time between
// start and due ("50%") or working time before due ("-4h", "-2d"; a day is eight working hours).
func (c *Calendar) Warnings(start, due time.Time, specs []string) ([]time.Time, error) {
	out := make([]time.Time, 0, len(specs))
	for _, s := range specs {
		t, err := c.warning(start, due, s)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (c *Calendar) warning(start, due time.Time, spec string) (time.Time, error) {
	bad := errs.E(errs.Invalid, "calendar.bad_warning", nil, "spec", spec)
	if p, ok := strings.CutSuffix(spec, "%"); ok {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 100 {
			return time.Time{}, bad
		}
		return c.Share(start, due, n)
	}
	rest, ok := strings.CutPrefix(spec, "-")
	if !ok || len(rest) < 2 {
		return time.Time{}, bad
	}
	unit := map[byte]time.Duration{'h': time.Hour, 'd': hoursPerDay}[rest[len(rest)-1]]
	n, err := strconv.Atoi(rest[:len(rest)-1])
	if err != nil || unit == 0 || n < 1 || n > limits[WorkingHours] {
		return time.Time{}, bad
	}
	return c.SubWorking(due, time.Duration(n)*unit)
}

// Share returns the instant at which percent of the working time between start and due has passed; a step that
// may use 60 % of the term is due then.
func (c *Calendar) Share(start, due time.Time, percent int) (time.Time, error) {
	return c.AddWorking(start, c.WorkingBetween(start, due)*time.Duration(percent)/100)
}
