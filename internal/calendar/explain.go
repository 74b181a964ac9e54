package calendar

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/i18n"
)

// Step is one sentence of an explanation: what moved the due date, or which day was skipped and why. It holds
// data rather than text, so that it can be stored once and read in every language.
type Step struct {
	Key    string    `json:"key"`
	At     time.Time `json:"at,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Amount int       `json:"amount,omitempty"`
	Text   string    `json:"text,omitempty"`
	Name   i18n.Text `json:"name,omitempty"`
}

// Args returns the arguments of the step's message in a language: date, time, until, amount, duration, text, name.
func (s Step) Args(cat *i18n.Catalogue, lang string) []any {
	name := s.Name.In(lang)
	if name == "" {
		name = cat.T(lang, "calendar.noReason")
	}
	return []any{
		"date", i18n.LongDate(lang, s.At), "time", i18n.DateTime(s.At), "until", i18n.DateTime(s.Until),
		"amount", s.Amount, "duration", amountText(cat, lang, time.Duration(s.Amount)*time.Minute), "text", s.Text, "name", name,
	}
}

// In returns the step as a sentence.
func (s Step) In(cat *i18n.Catalogue, lang string) string {
	return cat.T(lang, s.Key, s.Args(cat, lang)...)
}

var kindKeys = map[Kind]string{
	Holiday: "calendar.skip.holiday", InLieu: "calendar.skip.inLieu", SwapOff: "calendar.skip.swapOff", Closed: "calendar.skip.closed",
	MakeUp: "calendar.skip.makeUp", Special: "calendar.skip.special",
}

// explain puts the notes in order and adds every day between start and due that does not follow its weekday, or
// that is a weekly day off.
func (b *build) explain(due time.Time) []Step {
	c := b.c
	steps := []Step{b.notes[0]}
	for _, e := range b.extensions {
		b.note(Step{Key: "calendar.step.extend." + string(e.Unit), Amount: e.Amount})
	}
	var days []Step
	for d, last := dayOf(b.notes[0].At), dayOf(due); d <= last; d++ {
		if e, ok := c.exceptions[d]; ok {
			days = append(days, Step{Key: kindKeys[e.Kind], At: d.time(), Name: e.Reason})
		} else if !c.works(d) {
			days = append(days, Step{Key: "calendar.skip.weekend", At: d.time()})
		}
	}
	rest := slices.Concat(b.notes[1:], days)
	slices.SortStableFunc(rest, func(x, y Step) int {
		switch {
		case x.At.IsZero() && y.At.IsZero():
			return 0
		case x.At.IsZero(): // extensions have no date of their own: they stand last
			return 1
		case y.At.IsZero():
			return -1
		}
		return x.At.Compare(y.At)
	})
	steps = append(steps, rest...)
	if c.to != 0 && (dayOf(due) > c.to || dayOf(b.notes[0].At) < c.from) {
		steps = append(steps, Step{Key: "calendar.step.beyond", At: c.to.time()})
	}
	return append(steps, Step{Key: "calendar.step.due", At: due})
}

// Left is working time until a due instant, or since it.
type Left struct {
	Overdue              bool
	Days, Hours, Minutes int // a day is eight working hours
	Total                time.Duration
}

// Remaining returns the working time between now and due.
func (c *Calendar) Remaining(now, due time.Time) Left {
	l := Left{Overdue: now.After(due)}
	if l.Overdue {
		l.Total = c.WorkingBetween(due, now)
	} else {
		l.Total = c.WorkingBetween(now, due)
	}
	l.Days, l.Hours, l.Minutes = parts(l.Total)
	return l
}

func parts(d time.Duration) (days, hours, minutes int) {
	return int(d / hoursPerDay), int(d % hoursPerDay / time.Hour), int(d % time.Hour / time.Minute)
}

// Text says "còn 2 ngày làm việc", "còn 3 giờ làm việc" or "quá hạn 3 giờ làm việc".
func (l Left) Text(cat *i18n.Catalogue, lang string) string {
	switch {
	case l.Overdue && l.Total < time.Minute:
		return cat.T(lang, "calendar.left.justOverdue")
	case l.Overdue:
		return cat.T(lang, "calendar.left.overdue", "amount", amountText(cat, lang, l.Total))
	case l.Total < time.Minute:
		return cat.T(lang, "calendar.left.now")
	}
	return cat.T(lang, "calendar.left.remaining", "amount", amountText(cat, lang, l.Total))
}

// amountText writes working time with its two largest parts: "2 ngày 3 giờ".
func amountText(cat *i18n.Catalogue, lang string, d time.Duration) string {
	days, hours, minutes := parts(d)
	var words []string
	add := func(n int, one, many string) {
		if n == 0 || len(words) == 2 {
			return
		}
		key := many
		if n == 1 {
			key = one
		}
		words = append(words, cat.T(lang, key, "n", strconv.Itoa(n)))
	}
	add(days, "calendar.amount.day", "calendar.amount.days")
	add(hours, "calendar.amount.hour", "calendar.amount.hours")
	if days == 0 {
		add(minutes, "calendar.amount.minute", "calendar.amount.minutes")
	}
	if len(words) == 0 {
		return cat.T(lang, "calendar.amount.minutes", "n", "0")
	}
	return strings.Join(words, " ")
}

// Punctuality compares an end with a due date.
type Punctuality string

// The outcomes. Unknown means a date is missing; such dossiers are left out of the counts.
const (
	Unknown Punctuality = ""
	Early   Punctuality = "early"
	OnTime  Punctuality = "onTime"
	Late    Punctuality = "late"
)

// ByInstant is the comparison used inside: late means later than the due instant.
func ByInstant(finished, due time.Time) Punctuality {
	if finished.IsZero() || due.IsZero() {
		return Unknown
	}
	return outcome(finished.Compare(due))
}

// ByDate is the comparison of the national report: only the dates of NgayKetThucXuLy and NgayHenTra count.
func ByDate(finished, due time.Time) Punctuality {
	if finished.IsZero() || due.IsZero() {
		return Unknown
	}
	return outcome(int(dayOf(finished) - dayOf(due)))
}

func outcome(cmp int) Punctuality {
	switch {
	case cmp < 0:
		return Early
	case cmp > 0:
		return Late
	}
	return OnTime
}
