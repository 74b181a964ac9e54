package oversight

import (
	"time"
)

// Source is what a number counts.
type Source string

// The sources.
const (
	Offers   Source = "offers"   // procedures offered
	Dossiers Source = "dossiers" // dossiers, each once
	Events   Source = "events"   // things that happened to dossiers
)

// Number is a published number. Its name is part of addresses and open data: names are append-only. Its words and its
// definition are the messages oversight.n.<name> and oversight.def.<name>; its condition is in oversightstore.
type Number struct {
	Name   string
	Source Source
	// Now numbers tell how things stand; the others count what happened in the period.
	Now bool
}

// DefinitionVersion names the set of definitions in open data. A changed definition is a new version, and old numbers
// are recomputed under their own (specification §7.5).
const DefinitionVersion = "1"

// Names of the numbers.
const (
	NOffered          = "offered"
	NOfferedFull      = "offered-full"
	NOfferedPartial   = "offered-partial"
	NReceived         = "received"
	NOnline           = "online"
	NWaiting          = "waiting"
	NOpen             = "open"
	NOverdue          = "overdue"
	NPaused           = "paused"
	NPausedLong       = "paused-long"
	NDone             = "done"
	NInTime           = "in-time"
	NLate             = "late"
	NNoDue            = "no-due"
	NOtherwise        = "otherwise"
	NRefused          = "refused"
	NWithdrawn        = "withdrawn"
	NStopped          = "stopped"
	NSupplements      = "supplements"
	NSupplementsAgain = "supplements-again"
	NExtensions       = "extensions"
	NRated            = "rated"
)

// Numbers lists every number in the order of the page.
func Numbers() []Number {
	return []Number{
		{Name: NOffered, Source: Offers, Now: true},
		{Name: NOfferedFull, Source: Offers, Now: true},
		{Name: NOfferedPartial, Source: Offers, Now: true},
		{Name: NReceived, Source: Dossiers},
		{Name: NOnline, Source: Dossiers},
		{Name: NWaiting, Source: Dossiers, Now: true},
		{Name: NOpen, Source: Dossiers, Now: true},
		{Name: NOverdue, Source: Dossiers, Now: true},
		{Name: NPaused, Source: Dossiers, Now: true},
		{Name: NPausedLong, Source: Dossiers, Now: true},
		{Name: NDone, Source: Dossiers},
		{Name: NInTime, Source: Dossiers},
		{Name: NLate, Source: Dossiers},
		{Name: NNoDue, Source: Dossiers},
		{Name: NOtherwise, Source: Dossiers},
		{Name: NRefused, Source: Dossiers},
		{Name: NWithdrawn, Source: Dossiers},
		{Name: NStopped, Source: Dossiers},
		{Name: NSupplements, Source: Events},
		{Name: NSupplementsAgain, Source: Dossiers},
		{Name: NExtensions, Source: Events},
		{Name: NRated, Source: Dossiers},
	}
}

// NumberByName returns the number with the name.
func NumberByName(name string) (Number, bool) {
	for _, n := range Numbers() {
		if n.Name == name {
			return n, true
		}
	}
	return Number{}, false
}

// Counts are the numbers of an agency, of a procedure, or of a sum of them.
type Counts struct {
	N map[string]int64 `json:"numbers"`
	// Stars is the sum of the ratings counted by "rated".
	Stars int64 `json:"-"`
}

// Add adds other to c. Sums come before ratios: a rate of many agencies is never an average of their rates.
func (c *Counts) Add(other Counts) {
	if c.N == nil {
		c.N = map[string]int64{}
		for _, n := range Numbers() { // a sum holds every number, those that are 0 too
			c.N[n.Name] = 0
		}
	}
	for k, v := range other.N {
		c.N[k] += v
	}
	c.Stars += other.Stars
}

// Ratio is a share with its parts; a share of nothing is not known, which is not zero.
type Ratio struct{ Part, Whole int64 }

// Known reports whether there is anything to take a share of.
func (r Ratio) Known() bool { return r.Whole > 0 }

// Percent is the share in hundredths.
func (r Ratio) Percent() float64 {
	if !r.Known() {
		return 0
	}
	return 100 * float64(r.Part) / float64(r.Whole)
}

// OnTime is the share of dossiers done in time among those done that have a due date.
func (c Counts) OnTime() Ratio {
	return Ratio{Part: c.N[NInTime], Whole: c.N[NInTime] + c.N[NLate]}
}

// Response is the share of rated dossiers among those done.
func (c Counts) Response() Ratio { return Ratio{Part: c.N[NRated], Whole: c.N[NDone]} }

// OnlineShare is the share of dossiers filed online among those received.
func (c Counts) OnlineShare() Ratio { return Ratio{Part: c.N[NOnline], Whole: c.N[NReceived]} }

// Score is the mean rating, known only from atLeast ratings on: below it the number would be about persons rather than
// about the service (specification §7.1).
func (c Counts) Score(atLeast int) (float64, bool) {
	n := c.N[NRated]
	if n == 0 || n < int64(atLeast) {
		return 0, false
	}
	return float64(c.Stars) / float64(n), true
}

// Period is a stretch of time in days of Viet Nam; To is excluded.
type Period struct {
	Name     string
	From, To time.Time
}

// Names of the periods.
const (
	PeriodMonth   = "month"
	PeriodQuarter = "quarter"
	PeriodYear    = "year"
	PeriodAll     = "all"
)

// Periods lists the names of the periods, the default first.
func Periods() []string { return []string{PeriodMonth, PeriodQuarter, PeriodYear, PeriodAll} }

// PeriodAt returns the period with the name that now lies in; an unknown name gives the default.
func PeriodAt(name string, now time.Time, zone *time.Location) Period {
	y, m, _ := now.In(zone).Date()
	first := func(y int, m time.Month) time.Time { return time.Date(y, m, 1, 0, 0, 0, 0, zone) }
	switch name {
	case PeriodAll:
		return Period{Name: name, From: time.Date(2000, 1, 1, 0, 0, 0, 0, zone), To: time.Date(9000, 1, 1, 0, 0, 0, 0, zone)}
	case PeriodYear:
		return Period{Name: name, From: first(y, 1), To: first(y+1, 1)}
	case PeriodQuarter:
		q := (m-1)/3*3 + 1
		return Period{Name: name, From: first(y, q), To: first(y, q+3)}
	}
	return Period{Name: PeriodMonth, From: first(y, m), To: first(y, m+1)}
}
