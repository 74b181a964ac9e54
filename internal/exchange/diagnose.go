package exchange

import (
	"context"
	"slices"
	"time"

	"truc/internal/errs"
)

// Lights of a [Finding].
const (
	LightGood = "good"
	LightWarn = "warn"
	LightBad  = "bad"
)

// Finding is one thing that was looked at: how it is, in words, and what to do.
type Finding struct {
	// Name is what was looked at: directory, certificate, channel_key, signing_key, log, log_space, time_stamps, witnesses, database,
	// queue, clock, circuits, descriptors, backup or incidents.
	Name  string
	Light string
	// Key and Args say how it is; Todo is the key of what to do, empty when there is nothing.
	Key  string
	Args []any
	Todo string
	// Stop says that the node cannot do its work.
	Stop bool
}

// Stops reports whether a node with this finding cannot do its work.
func (f Finding) Stops() bool {
	return f.Stop || f.Light == LightBad && slices.Contains([]string{"directory", "certificate", "signing_key", "log", "database"}, f.Name)
}

// Diagnostics looks at a node. The checks come from whoever knows the things; none of them changes anything.
type Diagnostics struct {
	Checks []func(ctx context.Context) []Finding
	Now    func() time.Time
}

// Report is what was found at a time.
type Report struct {
	At       time.Time
	Findings []Finding
}

// Look makes all checks, each in at most five seconds.
func (d *Diagnostics) Look(ctx context.Context) Report {
	r := Report{At: d.Now().UTC()}
	for _, check := range d.Checks {
		one, cancel := context.WithTimeout(ctx, 5*time.Second)
		r.Findings = append(r.Findings, check(one)...)
		cancel()
	}
	return r
}

// Worst is the light of the whole.
func (r Report) Worst() string {
	worst := LightGood
	for _, f := range r.Findings {
		if f.Light == LightBad {
			return LightBad
		}
		if f.Light == LightWarn {
			worst = LightWarn
		}
	}
	return worst
}

// CheckSelf looks at what the exchange itself knows: its key, its log, clocks and circuits.
func (s *Service) CheckSelf(context.Context) []Finding {
	out := []Finding{s.checkSigning()}
	ahead, peers := s.ClockOffset()
	clock := Finding{Name: "clock", Light: LightGood, Key: "exchange.diag.clock_good", Args: []any{"seconds", int64(ahead.Abs().Seconds()), "peers", peers}}
	switch off := ahead.Abs(); {
	case peers == 0:
		clock.Key, clock.Args = "exchange.diag.clock_unknown", nil
	case off > freshness*4/5:
		clock.Light, clock.Key, clock.Todo = LightBad, "exchange.diag.clock_off", "exchange.diag.clock_todo"
	case off > 30*time.Second:
		clock.Light, clock.Key, clock.Todo = LightWarn, "exchange.diag.clock_off", "exchange.diag.clock_todo"
	}
	open := 0
	for _, c := range s.Circuits() {
		if c.State != CircuitClosed {
			open++
		}
	}
	circuits := Finding{Name: "circuits", Light: LightGood, Key: "exchange.diag.circuits_good"}
	if open > 0 {
		circuits.Light, circuits.Key, circuits.Args, circuits.Todo = LightWarn, "exchange.diag.circuits_open", []any{"n", open}, "exchange.diag.circuits_todo"
	}
	return append(out, clock, circuits)
}

// checkSigning signs a word with the key in force.
func (s *Service) checkSigning() Finding {
	f := Finding{Name: "signing_key", Light: LightGood, Key: "exchange.diag.key_good"}
	bad := func(key string) Finding {
		f.Light, f.Key, f.Todo = LightBad, key, "exchange.diag.key_todo"
		return f
	}
	sg := s.signer.Load()
	if _, err := sg.value("self test of the signing key", false); errs.KindOf(err) == errs.Unavailable {
		f = bad("exchange.diag.key_away")
		f.Todo = "exchange.diag.key_away_todo"
		return f
	} else if err != nil {
		return bad("exchange.diag.key_unusable")
	}
	if _, err := s.keyOf(sg.keyID, s.opt.ServerID); err != nil {
		return bad("exchange.diag.key_unlisted")
	}
	return f
}
