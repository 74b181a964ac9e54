package edxml

import (
	"errors"
	"fmt"
	"time"
)

// zone is Viet Nam time, which edXML writes without saying so. It has had no summer time since 1975.
func zone() *time.Location { return time.FixedZone("+07", 7*60*60) }

const timestamp = "2006/01/02 15:04:05"

// Date is a day in Viet Nam; the zero value is no date.
type Date struct{ Year, Month, Day int }

var errDate = errors.New("edxml: not a date of the form yyyy/MM/dd")

// ParseDate reads "2026/03/05" and nothing else; the empty text is the zero date.
func ParseDate(s string) (Date, error) {
	if s == "" {
		return Date{}, nil
	}
	return parseDate(s, "2006/01/02")
}

func parseDate(s, layout string) (Date, error) {
	t, err := time.Parse(layout, s)
	if err != nil || t.Year() < 1 {
		return Date{}, errDate
	}
	y, m, d := t.Date()
	return Date{y, int(m), d}, nil
}

// DateOf returns the day it is in Viet Nam at t.
func DateOf(t time.Time) Date {
	y, m, d := t.In(zone()).Date()
	return Date{y, int(m), d}
}

// IsZero reports whether d is no date.
func (d Date) IsZero() bool { return d == Date{} }

// String returns "2026/03/05", or nothing for no date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d/%02d/%02d", d.Year, d.Month, d.Day)
}

// Time returns the first instant of the day in Viet Nam, in UTC; the zero time for no date.
func (d Date) Time() time.Time {
	if d.IsZero() {
		return time.Time{}
	}
	return time.Date(d.Year, time.Month(d.Month), d.Day, 0, 0, 0, 0, zone()).UTC()
}

// AddDays returns the day n days later.
func (d Date) AddDays(n int) Date {
	if d.IsZero() {
		return d
	}
	y, m, day := time.Date(d.Year, time.Month(d.Month), d.Day+n, 0, 0, 0, 0, time.UTC).Date()
	return Date{y, int(m), day}
}

// After reports whether d is a later day than other.
func (d Date) After(other Date) bool {
	if d.Year != other.Year {
		return d.Year > other.Year
	}
	if d.Month != other.Month {
		return d.Month > other.Month
	}
	return d.Day > other.Day
}

// valid reports whether the day exists and can be written.
func (d Date) valid() bool {
	got, err := parseDate(d.String(), "2006/01/02")
	return err == nil && got == d
}

// MarshalText writes String.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDate reads.
func (d *Date) UnmarshalText(b []byte) error {
	got, err := ParseDate(string(b))
	if err != nil {
		return err
	}
	*d = got
	return nil
}

// tolerateDate reads a date as senders write it. odd says that it was not yyyy/MM/dd.
func tolerateDate(s string) (d Date, odd, ok bool) {
	if d, err := parseDate(s, "2006/01/02"); err == nil {
		return d, false, true
	}
	for _, layout := range []string{"02/01/2006", "2006-01-02", "2/1/2006", "2006/1/2"} {
		if d, err := parseDate(s, layout); err == nil {
			return d, true, true
		}
	}
	return Date{}, true, false
}

// tolerateTime reads a moment as senders write it: Viet Nam time unless it names a zone.
func tolerateTime(s string) (t time.Time, odd, ok bool) {
	if t, err := time.ParseInLocation(timestamp, s, zone()); err == nil && t.Year() > 0 {
		return t.UTC(), false, true
	}
	for _, layout := range []string{
		"02/01/2006 15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04:05", time.RFC3339, "2006/01/02T15:04:05",
		"2006/01/02 15:04", "02/01/2006 15:04", "2006/01/02", "02/01/2006", "2006-01-02",
	} {
		if t, err := time.ParseInLocation(layout, s, zone()); err == nil && t.Year() > 0 {
			return t.UTC(), true, true
		}
	}
	return time.Time{}, true, false
}

func formatTime(t time.Time) string { return t.In(zone()).Format(timestamp) }

// stamp writes a moment; nothing for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return formatTime(t)
}
