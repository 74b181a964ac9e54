package exchange

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// Levels of [Space], in percent of the file system that are free; below each a warning is louder (spec D26).
var spaceLevels = [...]int64{20, 10, 5}

// SpaceState is how much room a node's logs have.
type SpaceState struct {
	// Known is unset where the system does not tell; then nothing is refused.
	Known bool
	// Free and Total are bytes of the file system.
	Free, Total uint64
	// Percent is how much of it is free.
	Percent int64
	// Full says that less than the reserve is free, so that no exchange begins.
	Full bool
	// Level counts the limits of 20, 10 and 5 percent that were passed.
	Level int
}

// Space watches the free space of the file system that holds the log. Below the reserve no exchange may begin: those under
// way still have to be logged to their end, and a log that fails on a full disk has to be opened again.
type Space struct {
	// Look tells the free and the whole space in bytes.
	Look func() (free, total uint64, ok bool)
	// Reserve is in bytes.
	Reserve uint64
	Logger  *slog.Logger

	state atomic.Pointer[SpaceState]
}

// Measure looks at the file system and notes how it is. It is called every few seconds, not for each exchange; what changes
// for the worse or becomes better is logged once.
func (s *Space) Measure(ctx context.Context) error {
	free, total, ok := s.Look()
	st := SpaceState{Known: ok && total > 0, Free: free, Total: total}
	if st.Known {
		st.Percent = int64(min(free/max(total/100, 1), 100))
		st.Full = free < s.Reserve
		for _, limit := range spaceLevels {
			if st.Percent < limit {
				st.Level++
			}
		}
	}
	old := s.State()
	s.state.Store(&st)
	facts := []any{slog.Int64("percent", st.Percent), slog.Uint64("free_bytes", st.Free), slog.Uint64("reserve_bytes", s.Reserve)}
	switch {
	case st.Full && !old.Full:
		s.Logger.ErrorContext(ctx, "the log has no room; exchanges are refused", facts...)
	case old.Full && !st.Full:
		s.Logger.InfoContext(ctx, "the log has room again; exchanges go on", facts...)
	case st.Level > old.Level:
		s.Logger.WarnContext(ctx, "little room is left for the log", facts...)
	}
	return nil
}

// State is what was found last.
func (s *Space) State() SpaceState {
	if s == nil {
		return SpaceState{}
	}
	if st := s.state.Load(); st != nil {
		return *st
	}
	return SpaceState{}
}

// room refuses an exchange that could not be logged to its end: no evidence, no exchange (spec D26).
func (x *exchangeState) room() *Fault {
	s := x.s.opt.Space
	if st := s.State(); st.Full {
		f := x.loggingFailed(fmt.Errorf("%d bytes are free, the reserve is %d", st.Free, s.Reserve))
		f.RetryAfter = 30 * time.Second
		return f
	}
	return nil
}

// Check is the finding about the space.
func (s *Space) Check(context.Context) []Finding {
	f := Finding{Name: "log_space", Light: LightGood, Key: "exchange.diag.space_unknown"}
	st := s.State()
	if !st.Known {
		return []Finding{f}
	}
	f.Key, f.Args = "exchange.diag.space_good", []any{"percent", st.Percent}
	if st.Level > 0 {
		f.Light, f.Key, f.Todo = LightWarn, "exchange.diag.space_low", "exchange.diag.space_todo"
	}
	if st.Level == len(spaceLevels) {
		f.Light = LightBad
	}
	if st.Full {
		f.Light, f.Key, f.Todo, f.Stop = LightBad, "exchange.diag.space_none", "exchange.diag.space_todo", true
		f.Args = []any{"free", int64(st.Free >> 20), "reserve", int64(s.Reserve >> 20)}
	}
	return []Finding{f}
}
