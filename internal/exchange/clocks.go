package exchange

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// codeClock is the fault of a message whose signature bears a time too far from this node's: one of two clocks is wrong.
const codeClock = "signature_verification.clock_differs"

// clockError is a signature with a time too far from now. Nothing about it was verified yet.
type clockError struct {
	created time.Time
	off     time.Duration // how far this node's clock is ahead of it
}

// Error implements [error].
func (e *clockError) Error() string {
	return fmt.Sprintf("the time in the signature is %v away from this node's clock, which is more than %v", e.off.Abs(), freshness)
}

// signatureCode is the fault code for a signature that was not accepted.
func signatureCode(err error) string {
	if _, ok := errors.AsType[*clockError](err); ok {
		return codeClock
	}
	return "signature_verification"
}

// clockTable compares this node's clock with those of its peers, by the times that they signed.
type clockTable struct {
	mu      sync.Mutex // guards offsets
	offsets map[string]time.Duration
}

// note keeps how far a peer's clock is ahead of ours: what it signed, against the middle of the time in which it must have
// signed. Signatures tell whole seconds, so half a second is added to theirs.
func (c *clockTable) note(peer string, signed, out, in time.Time) {
	if out.IsZero() || in.IsZero() {
		return
	}
	off := signed.Add(500 * time.Millisecond).Sub(out.Add(in.Sub(out) / 2))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offsets == nil {
		c.offsets = map[string]time.Duration{}
	}
	c.offsets[peer] = off // peers are those of the directory, so there are not many
}

// ClockOffset returns by how much the clocks of other nodes are ahead of this one's (the median), and how many nodes
// were compared; it is exact to about a second.
func (s *Service) ClockOffset() (ahead time.Duration, peers int) {
	s.clocks.mu.Lock()
	defer s.clocks.mu.Unlock()
	var all []time.Duration
	for id, off := range s.clocks.offsets {
		if id != s.opt.ServerID {
			all = append(all, off)
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], len(all)
}
