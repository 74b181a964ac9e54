package registers

import (
	"regexp"
	"strings"
	"time"
)

var datePattern = regexp.MustCompile(`^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$`)

// Date is a calendar date of any precision in ISO 8601: "1948", "1948-05" or "1948-05-19". Many elders have only a
// birth year, so code that assumes a full date is wrong.
type Date string

// ParseDate reads a date and checks that the day exists.
func ParseDate(s string) (Date, bool) {
	if !datePattern.MatchString(s) {
		return "", false
	}
	if _, err := time.Parse("2006-01-02"[:len(s)], s); err != nil || s < "1800" || s >= "2200" {
		return "", false
	}
	return Date(s), true
}

// Covers reports whether the less precise d holds the day, month or year of other: "1948" covers "1948-05-19", and
// every date covers itself.
func (d Date) Covers(other Date) bool { return strings.HasPrefix(string(other), string(d)) && d != "" }

// Year returns the four digits of the year.
func (d Date) Year() string {
	if len(d) < 4 {
		return ""
	}
	return string(d[:4])
}

// bounds returns the first and the last day that d may mean.
func (d Date) bounds() (from, to string) {
	switch len(d) {
	case 4:
		return string(d) + "-01-01", string(d) + "-12-31"
	case 7:
		return string(d) + "-01", string(d) + "-31"
	}
	return string(d), string(d)
}

// precisions returns the stored forms that a record of that day may have, the most precise first.
func (d Date) precisions() []string {
	switch len(d) {
	case 10:
		return []string{string(d), string(d[:7]), string(d[:4])}
	case 7:
		return []string{string(d), string(d[:4])}
	}
	return []string{string(d)}
}
