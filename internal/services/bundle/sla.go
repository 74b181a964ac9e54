package bundle

import (
	"regexp"

	"truc/internal/calendar"
)

// Duration is an amount of a unit: workingHours, workingDays, calendarDays, months, none.
type Duration struct {
	Amount int    `yaml:"amount"`
	Unit   string `yaml:"unit,required"`
}

// Term is a time limit as the calendar computes it.
type Term struct {
	Amount int    `yaml:"amount"`
	Unit   string `yaml:"unit,required"`
	// Count is "clock" or "dayExclusive"; empty means dayExclusive for day units and clock for workingHours.
	Count string `yaml:"count"`
	// Cutoff "15:00": received strictly later counts as received on the next working day. Not with clock.
	Cutoff string `yaml:"cutoff"`
}

// Mode returns Count, or its default for the unit.
func (t Term) Mode() string {
	switch {
	case t.Count != "":
		return t.Count
	case t.Unit == "workingHours":
		return "clock"
	}
	return "dayExclusive"
}

// SLA holds the time limits of a case: the legal maximum and the norm the agency promises.
type SLA struct {
	Legal      Term       `yaml:"legal,required"`
	Norm       *Term      `yaml:"norm"`
	StartsOn   string     `yaml:"startsOn,required"`
	PauseOn    []string   `yaml:"pauseOn"`
	ResumeOn   []string   `yaml:"resumeOn"`
	Extend     *Extend    `yaml:"extend"`
	WarnAt     []string   `yaml:"warnAt"` // "50%", "-4h"
	Supplement Supplement `yaml:"supplement"`
}

// Extend says how often and how far a time limit may be extended.
type Extend struct {
	Max   int      `yaml:"max,required"`
	UpTo  Duration `yaml:"upTo,required"`
	Needs []Need   `yaml:"needs"`
}

// Need is something an action must come with: a word such as "reason", or a letter.
type Need struct {
	Word   string // reason, approver, legalBasis
	Letter string // template path
}

// Supplement holds the rules of supplement rounds.
type Supplement struct {
	Stages   map[string]SupplementStage `yaml:"stages"`
	Deadline Duration                   `yaml:"deadline"`
	OnExpiry string                     `yaml:"onExpiry"` // stop | remind
}

// SupplementStage limits the rounds of a stage ("intake", "processing"); Advisory = warn, do not block.
type SupplementStage struct {
	Max      int  `yaml:"max"`
	Advisory bool `yaml:"advisory"`
}

// Rule returns the term as the calendar reads it.
func (t Term) Rule() calendar.Rule {
	return calendar.Rule{Amount: t.Amount, Unit: calendar.Unit(t.Unit), Count: calendar.Count(t.Count), Cutoff: t.Cutoff}
}

// Rule returns the duration as the calendar reads it.
func (d Duration) Rule() calendar.Rule {
	return calendar.Rule{Amount: d.Amount, Unit: calendar.Unit(d.Unit)}
}

var warnShape = regexp.MustCompile(`^([1-9][0-9]?%|-[1-9][0-9]{0,2}[hd])$`)
