package services

import (
	"slices"
	"time"

	"truc/internal/calendar"
	"truc/internal/i18n"
	"truc/internal/services/bundle"
)

// ClockResult is when a dossier is due and why, as its events and the calendar say.
type ClockResult struct {
	Due         time.Time
	Explanation []calendar.Step
}

// Clock computes the due date of a dossier from its events (services specification §4). It is the only place a due
// date comes from: nothing in this module stores one by hand, moves one or resets one. Due is zero before the
// clock has started and for procedures without a limit.
func Clock(cal *calendar.Calendar, sla *bundle.SLA, events []Event) (ClockResult, error) {
	var start time.Time
	var pauses []calendar.Pause
	var extensions []calendar.Duration
	for _, e := range events {
		name := string(e.Type)
		if name == sla.StartsOn && start.IsZero() {
			start = e.At
			continue
		}
		if start.IsZero() {
			continue
		}
		switch {
		case slices.Contains(sla.PauseOn, name) && !open(pauses):
			pauses = append(pauses, calendar.Pause{From: e.At, Reason: i18n.Text{"vi": e.Data.Reason}})
		case slices.Contains(sla.ResumeOn, name) && open(pauses) && e.From != e.To:
			pauses[len(pauses)-1].To = e.At
		case e.Type == EvExtended && e.Data.Extension != nil:
			extensions = append(extensions, calendar.Duration{Amount: e.Data.Extension.Amount, Unit: calendar.Unit(e.Data.Extension.Unit)})
		}
	}
	if start.IsZero() {
		return ClockResult{}, nil
	}
	res, err := cal.Due(start, RuleOf(sla.Legal), pauses, extensions)
	if err != nil {
		return ClockResult{}, err
	}
	return ClockResult{Due: res.Due.UTC(), Explanation: res.Explanation}, nil
}

func open(pauses []calendar.Pause) bool {
	return len(pauses) > 0 && pauses[len(pauses)-1].To.IsZero()
}

// RuleOf converts a time limit of a bundle to a rule of the calendar.
func RuleOf(t bundle.Term) calendar.Rule {
	return calendar.Rule{Amount: t.Amount, Unit: calendar.Unit(t.Unit), Count: calendar.Count(t.Mode()), Cutoff: t.Cutoff}
}
