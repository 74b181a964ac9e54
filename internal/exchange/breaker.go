package exchange

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// The breaker's numbers (spec D32).
const (
	breakerRow    = 5                // failures in a row that open it
	breakerLeast  = 20               // calls in the window from which the share of failures counts
	breakerWindow = 10 * time.Second // half of which failed open it
	breakerPause  = 5 * time.Second  // until one call may try
)

// States of a [Circuit].
const (
	CircuitClosed   = "closed"
	CircuitOpen     = "open"
	CircuitHalfOpen = "half_open"
)

// Circuit is what a node thinks of a peer or of a service behind it.
type Circuit struct {
	// Kind is "peer" or "service", Name the server id or the service id.
	Kind, Name string
	// State is closed (calls pass), open (they are refused at once) or half_open (one may try).
	State string
	// Since is when it came into this state; zero when it never left closed.
	Since time.Time
	// Failures in a row.
	Failures int
}

// Circuits tells the breakers that have seen calls, sorted by kind and name.
func (s *Service) Circuits() []Circuit {
	now := s.now()
	out := append(s.peers.breakers.list("peer", now), s.backends.list("service", now)...)
	slices.SortFunc(out, func(a, b Circuit) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return out
}

// breakers keeps a circuit breaker for each name. The names come from the directory or the offers, so they are bounded.
type breakers struct {
	mu sync.Mutex // guards m and what it holds
	m  map[string]*breaker
}

type breaker struct {
	row    int
	since  time.Time
	open   bool
	probe  bool // the one call of the half-open state is under way
	second int64
	slots  [int(breakerWindow / time.Second)]struct{ good, bad int }
}

// verdict is what became of a call.
type verdict int

const (
	undecided verdict = iota // it says nothing about the other side: the caller gave up, or was refused
	healthy
	failing
)

func (b *breakers) get(name string) *breaker {
	if b.m == nil {
		b.m = map[string]*breaker{}
	}
	br := b.m[name]
	if br == nil {
		br = &breaker{}
		b.m[name] = br
	}
	return br
}

// allow lets a call pass, or says after how long to ask again. A call that passed must be reported by done.
func (b *breakers) allow(name string, now time.Time) (retry time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.get(name)
	switch wait := br.since.Add(breakerPause).Sub(now); {
	case !br.open:
		return 0, true
	case wait > breakerPause: // the clock stepped back: what was to wait has no end any more
		br.since = now
		return breakerPause, false
	case wait > 0:
		return wait, false
	case br.probe:
		return time.Second, false
	}
	br.probe = true
	return 0, true
}

// done reports a call that was allowed.
func (b *breakers) done(name string, v verdict, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.get(name)
	if br.open {
		if !br.probe {
			return // a call from before it opened
		}
		br.probe = false
		switch v {
		case undecided:
		case healthy:
			*br = breaker{since: now}
		case failing:
			br.since = now
			br.row++
		}
		return
	}
	slot := br.turn(now)
	switch v {
	case undecided:
		return
	case healthy:
		br.row = 0
		br.slots[slot].good++
		return
	case failing:
		br.row++
		br.slots[slot].bad++
	}
	good, bad := 0, 0
	for _, s := range br.slots {
		good, bad = good+s.good, bad+s.bad
	}
	if br.row >= breakerRow || good+bad >= breakerLeast && 2*bad >= good+bad {
		row := br.row
		*br = breaker{open: true, since: now, row: row}
	}
}

// turn empties the slots of seconds that are over and returns the one of now.
func (br *breaker) turn(now time.Time) int {
	n := int64(len(br.slots))
	sec := now.Unix()
	switch passed := sec - br.second; {
	case passed < 0 || passed >= n:
		clear(br.slots[:])
	default:
		for i := range passed {
			br.slots[(br.second+1+i)%n] = struct{ good, bad int }{}
		}
	}
	br.second = sec
	return int(sec % n)
}

func (b *breakers) list(kind string, now time.Time) []Circuit {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Circuit, 0, len(b.m))
	for name, br := range b.m {
		c := Circuit{Kind: kind, Name: name, State: CircuitClosed, Since: br.since, Failures: br.row}
		if br.open {
			c.State = CircuitOpen
			if now.Sub(br.since) >= breakerPause {
				c.State = CircuitHalfOpen
			}
		}
		out = append(out, c)
	}
	return out
}
