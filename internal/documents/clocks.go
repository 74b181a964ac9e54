package documents

import (
	"time"

	"truc/internal/i18n"
)

// Clock names a limit of the law.
type Clock string

// The clocks.
const (
	ClockNone    Clock = ""
	ClockSeal    Clock = "seal"    // signed: issue the same day, at the latest the next working day (30/2020, article 18.1)
	ClockSend    Clock = "send"    // issued: send the day it is signed, at the latest the next working morning (28/2018, article 6.2)
	ClockConfirm Clock = "confirm" // arrived: the receiver confirms within the day (30/2020, article 21.2c)
	ClockPresent Clock = "present" // accepted: to the leader the same day, at the latest the next working day (30/2020, article 23.1)
	ClockWork    Clock = "work"    // assigned: what the leader set
)

// Key returns the message key of the clock.
func (c Clock) Key() string { return "documents.clock." + string(c) }

// sendBy is the last moment to send what was signed at t: at once when urgent, else the end of the next working morning.
func (d *Desk) sendBy(t time.Time, u Urgency) (time.Time, error) {
	if u > Normal {
		return t, nil
	}
	return d.Calendar().EndOfNextMorning(t)
}

// nextDay is the close of the next working day, the latest for what should happen the same day; urgent: at once.
func (d *Desk) nextDay(t time.Time, u Urgency) (time.Time, error) {
	if u > Normal {
		return t, nil
	}
	return d.Calendar().AddWorkingDays(t, 1)
}

// withinDay is the end of the day for what happened in office hours or before them, else the end of the next working day:
// nobody can confirm at night.
func (d *Desk) withinDay(t time.Time) (time.Time, error) {
	open, err := d.Calendar().NextWorking(t)
	if err != nil {
		return time.Time{}, err
	}
	y, m, day := open.In(i18n.Zone).Date()
	return time.Date(y, m, day+1, 0, 0, 0, 0, i18n.Zone).UTC(), nil
}
