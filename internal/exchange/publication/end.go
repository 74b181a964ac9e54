package publication

import (
	"context"
	"maps"
	"slices"
	"time"

	"truc/internal/exchange"
)

// Ended reports whether the publication is over.
func (p *Published) Ended(now time.Time) bool { return !p.EndsAt.IsZero() && !now.Before(p.EndsAt) }

// SetEnd says when a publication ends, or with the zero time that it does not. From then on the service is not there for
// callers, in listings or in the directory; what was published stays and may be given a later end. Operators may end what
// the configuration declares, as they may switch it off.
func (s *Service) SetEnd(ctx context.Context, code string, at time.Time) error {
	if !at.IsZero() && !at.After(s.Now()) {
		return Faults{{Field: "last_day", Key: "exchange.publish.fault.end_past"}}
	}
	return s.change(ctx, "end", code, func(p *Published) error { p.EndsAt = at.UTC().Truncate(time.Second); return nil })
}

// end withdraws what has ended since the last time. It asks the clock alone, so that a database that is away keeps nothing
// alive. The caller holds the lock.
func (s *Service) end() error {
	now := s.Now()
	ended := false
	for code, r := range s.running {
		if r.Ended(now) {
			s.Host.Withdraw(code)
			r.proxy.transport.CloseIdleConnections()
			delete(s.running, code)
			ended = true
		}
	}
	if !ended {
		return nil
	}
	s.Announce()
	var rules []exchange.Rule
	for _, code := range slices.Sorted(maps.Keys(s.running)) {
		rules = append(rules, s.running[code].rules()...)
	}
	return s.SetRules(rules)
}
