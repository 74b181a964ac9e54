package calendar

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// hoursPerDay is the length of a working day when days are counted by the clock: eight working hours are one
// day wherever the dossier lies, also at a reception point with shorter hours.
const hoursPerDay = 8 * time.Hour

// searchLimit bounds every walk over the calendar, so that a calendar without working days is an error rather
// than an endless loop.
const searchLimit = 400

// Interval is a stretch of office hours, in minutes since midnight; To is excluded.
type Interval struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// OfficeHours are the usual hours of a reception office: 07:30–11:30 and 13:30–17:30.
func OfficeHours() []Interval {
	return []Interval{{From: 7*60 + 30, To: 11*60 + 30}, {From: 13*60 + 30, To: 17*60 + 30}}
}

// Kind says why a date does not follow its weekday.
type Kind string

// The kinds of exceptions.
const (
	Holiday Kind = "holiday" // public holiday, Labour Code 2019 article 112
	InLieu  Kind = "inLieu"  // the working day after a holiday that fell on a weekly day off
	SwapOff Kind = "swapOff" // a working day given off against a make-up day
	MakeUp  Kind = "makeUp"  // a weekly day off that is worked
	Closed  Kind = "closed"  // this office is closed, for instance after a flood
	Special Kind = "special" // worked, with hours of its own
)

func (k Kind) works() bool { return k == MakeUp || k == Special }

// Exception is one date that does not follow its weekday, with its reason and where we know it from.
type Exception struct {
	Date   string    `json:"date"` // 2006-01-02
	Kind   Kind      `json:"kind"`
	Reason i18n.Text `json:"reason"`
	Source string    `json:"source"`
	// Compensates is the other half of a swap: the day off that a make-up day pays for, or the reverse.
	Compensates string `json:"compensates,omitempty"`
	// Hours are the hours of a Special day; a MakeUp day without hours keeps those of the day it compensates.
	Hours []Interval `json:"hours,omitempty"`
}

// Calendar is the working time of one reception point. It never changes; the With methods return a copy.
type Calendar struct {
	hours      map[time.Weekday][]Interval
	exceptions map[day]Exception
	from, to   day // first and last day for which holidays are known; zero means unknown
	unverified []Unverified
}

// New returns a calendar with office hours per weekday, and exceptions.
func New(hours map[time.Weekday][]Interval, exceptions ...Exception) (*Calendar, error) {
	c := &Calendar{hours: map[time.Weekday][]Interval{}, exceptions: map[day]Exception{}}
	for w, spans := range hours {
		if err := checkHours(spans); err != nil {
			return nil, err
		}
		c.hours[w] = slices.Clone(spans)
	}
	return c.With(exceptions...)
}

func checkHours(spans []Interval) error {
	end := 0
	for _, s := range spans {
		if s.From < end || s.To <= s.From || s.To > 24*60 {
			return errs.E(errs.Invalid, "calendar.bad_hours", nil)
		}
		end = s.To
	}
	return nil
}

// With returns a calendar with more exceptions. A later exception replaces an earlier one of the same date, so
// an administrator can overrule the seed.
func (c *Calendar) With(exceptions ...Exception) (*Calendar, error) {
	n := c.clone()
	for _, e := range exceptions {
		d, err := parseDay(e.Date)
		if err != nil {
			return nil, err
		}
		if err := checkHours(e.Hours); err != nil {
			return nil, err
		}
		switch e.Kind {
		case Holiday, InLieu, SwapOff, MakeUp, Closed:
		case Special:
			if len(e.Hours) == 0 {
				return nil, errs.E(errs.Invalid, "calendar.bad_hours", nil)
			}
		default:
			return nil, errs.E(errs.Invalid, "calendar.bad_kind", nil, "kind", string(e.Kind))
		}
		n.exceptions[d] = e
	}
	return n, nil
}

// WithHoliday returns a calendar with one more public holiday.
func (c *Calendar) WithHoliday(date string, reason i18n.Text, source string) (*Calendar, error) {
	return c.With(Exception{Date: date, Kind: Holiday, Reason: reason, Source: source})
}

// WithSwap returns a calendar where the working day off is free and the weekly day off makeUp is worked in its
// place, as the Prime Minister decides each year around the holidays.
func (c *Calendar) WithSwap(off, makeUp, source string) (*Calendar, error) {
	o, err := parseDay(off)
	if err != nil {
		return nil, err
	}
	m, err := parseDay(makeUp)
	if err != nil {
		return nil, err
	}
	return c.With(
		Exception{Date: off, Kind: SwapOff, Compensates: makeUp, Source: source, Reason: i18n.Text{
			"vi": "Ngày nghỉ (thay cho ngày " + i18n.Date(m.time()) + ")",
			"en": "Day off (swapped with " + i18n.Date(m.time()) + ")",
		}},
		makeUpFor(makeUp, o, source))
}

func makeUpFor(date string, off day, source string) Exception {
	return Exception{Date: date, Kind: MakeUp, Compensates: off.String(), Source: source, Reason: i18n.Text{
		"vi": "Ngày làm bù cho ngày " + i18n.Date(off.time()),
		"en": "Make-up workday for " + i18n.Date(off.time()),
	}}
}

// Without returns a calendar where date follows its weekday again.
func (c *Calendar) Without(date string) (*Calendar, error) {
	d, err := parseDay(date)
	if err != nil {
		return nil, err
	}
	n := c.clone()
	delete(n.exceptions, d)
	return n, nil
}

// WithHours returns a calendar with other weekly office hours and the same exceptions: a reception point that
// opens on Saturday mornings, for example.
func (c *Calendar) WithHours(hours map[time.Weekday][]Interval) (*Calendar, error) {
	n, err := New(hours)
	if err != nil {
		return nil, err
	}
	n.exceptions, n.from, n.to, n.unverified = maps.Clone(c.exceptions), c.from, c.to, c.unverified
	return n, nil
}

// Exceptions returns all exceptions in order of their dates.
func (c *Calendar) Exceptions() []Exception {
	out := make([]Exception, 0, len(c.exceptions))
	for _, d := range slices.Sorted(maps.Keys(c.exceptions)) {
		out = append(out, c.exceptions[d])
	}
	return out
}

func (c *Calendar) clone() *Calendar {
	n := *c
	n.exceptions = maps.Clone(c.exceptions)
	return &n
}

// day counts days since 1970-01-01 in i18n.Zone. The zone has no daylight saving, so every day has 24 hours.
type day int

const zoneSeconds, daySeconds = 7 * 3600, 86400

func dayOf(t time.Time) day {
	s := t.Unix() + zoneSeconds
	d := s / daySeconds
	if s%daySeconds < 0 {
		d--
	}
	return day(d)
}

func parseDay(s string) (day, error) {
	t, err := time.ParseInLocation(time.DateOnly, s, i18n.Zone)
	if err != nil {
		return 0, errs.E(errs.Invalid, "calendar.bad_date", err, "date", s)
	}
	return dayOf(t), nil
}

func (d day) time() time.Time {
	return time.Unix(int64(d)*daySeconds-zoneSeconds, 0).In(i18n.Zone)
}

func (d day) at(minute int) time.Time { return d.time().Add(time.Duration(minute) * time.Minute) }

func (d day) weekday() time.Weekday { return time.Weekday(((int(d)+4)%7 + 7) % 7) }

func (d day) String() string { return d.time().Format(time.DateOnly) }

// spans returns the office hours of d.
func (c *Calendar) spans(d day) []Interval {
	e, ok := c.exceptions[d]
	switch {
	case !ok:
		return c.hours[d.weekday()]
	case !e.Kind.works():
		return nil
	case len(e.Hours) > 0:
		return e.Hours
	}
	if off, err := parseDay(e.Compensates); err == nil && len(c.hours[off.weekday()]) > 0 {
		return c.hours[off.weekday()]
	}
	return c.hours[time.Monday]
}

func (c *Calendar) works(d day) bool { return len(c.spans(d)) > 0 }

// closing is the end of the last interval of d, or midnight when d is not worked.
func (c *Calendar) closing(d day) time.Time {
	s := c.spans(d)
	if len(s) == 0 {
		return d.time()
	}
	return d.at(s[len(s)-1].To)
}

// forward returns d or the first working day after it.
func (c *Calendar) forward(d day) (day, error) {
	for i := range day(searchLimit) {
		if c.works(d + i) {
			return d + i, nil
		}
	}
	return 0, errs.E(errs.Invalid, "calendar.no_working_time", fmt.Errorf("no working day within %d days of %s", searchLimit, d))
}

// IsWorking reports whether the office is open at t.
func (c *Calendar) IsWorking(t time.Time) bool {
	d := dayOf(t)
	for _, s := range c.spans(d) {
		if !t.Before(d.at(s.From)) && t.Before(d.at(s.To)) {
			return true
		}
	}
	return false
}

// NextWorking returns t when the office is open, else the next opening.
func (c *Calendar) NextWorking(t time.Time) (time.Time, error) {
	if c.IsWorking(t) {
		return t, nil
	}
	for d, last := dayOf(t), dayOf(t)+searchLimit; d <= last; d++ {
		for _, s := range c.spans(d) {
			if open := d.at(s.From); open.After(t) {
				return open, nil
			}
		}
	}
	return time.Time{}, errs.E(errs.Invalid, "calendar.no_working_time", nil)
}

// AddWorkingDays returns the close of the nth working day after the day of t, which is itself excluded.
func (c *Calendar) AddWorkingDays(t time.Time, n int) (time.Time, error) {
	d, err := c.nth(dayOf(t), n)
	if err != nil {
		return time.Time{}, err
	}
	return c.closing(d), nil
}

func (c *Calendar) nth(d day, n int) (day, error) {
	for range n {
		next, err := c.forward(d + 1)
		if err != nil {
			return 0, err
		}
		d = next
	}
	return d, nil
}

// AddWorking returns the instant that lies w of working time after t. On a boundary it is the end of the
// interval that closes, never the start of the next; with w zero it is the next working instant.
func (c *Calendar) AddWorking(t time.Time, w time.Duration) (time.Time, error) {
	if w <= 0 {
		return c.NextWorking(t)
	}
	idle := 0
	for d := dayOf(t); idle < searchLimit; d++ {
		idle++
		for _, s := range c.spans(d) {
			idle = 0
			open, shut := d.at(s.From), d.at(s.To)
			if open.Before(t) {
				open = t
			}
			have := shut.Sub(open)
			if have <= 0 {
				continue
			}
			if w <= have {
				return open.Add(w), nil
			}
			w -= have
		}
	}
	return time.Time{}, errs.E(errs.Invalid, "calendar.no_working_time", nil)
}

// SubWorking returns the latest instant from which w of working time pass until t.
func (c *Calendar) SubWorking(t time.Time, w time.Duration) (time.Time, error) {
	idle := 0
	for d := dayOf(t); idle < searchLimit; d-- {
		idle++
		spans := c.spans(d)
		for _, span := range slices.Backward(spans) {
			idle = 0
			open, shut := d.at(span.From), d.at(span.To)
			if shut.After(t) {
				shut = t
			}
			have := shut.Sub(open)
			if have <= 0 {
				continue
			}
			if w <= have {
				return shut.Add(-w), nil
			}
			w -= have
		}
	}
	return time.Time{}, errs.E(errs.Invalid, "calendar.no_working_time", nil)
}

// WorkingBetween returns the working time between a and b, zero when b is not after a.
func (c *Calendar) WorkingBetween(a, b time.Time) time.Duration {
	var sum time.Duration
	for d, last := dayOf(a), dayOf(b); d <= last; d++ {
		for _, s := range c.spans(d) {
			open, shut := d.at(s.From), d.at(s.To)
			if open.Before(a) {
				open = a
			}
			if shut.After(b) {
				shut = b
			}
			if shut.After(open) {
				sum += shut.Sub(open)
			}
		}
	}
	return sum
}

// workingDays counts the working days in (a, b].
func (c *Calendar) workingDays(a, b day) int {
	n := 0
	for d := a + 1; d <= b; d++ {
		if c.works(d) {
			n++
		}
	}
	return n
}
