package notary

import (
	"context"
	"slices"
	"sync"
	"time"
)

// allowanceSpan is the time for which an [Allowance] counts.
const allowanceSpan = 24 * time.Hour

// Allowance bounds how many tokens the logs of a process take of an authority whose tokens cost money. It is safe for
// concurrent use; several notaries share one.
type Allowance struct {
	// PerDay is the number in any 24 hours.
	PerDay int

	mu    sync.Mutex
	taken []time.Time
}

// add counts tokens that an earlier process took.
func (a *Allowance) add(times []time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken = append(a.taken, times...)
}

// take counts a token and reports whether there was one left. A nil Allowance has no end.
func (a *Allowance) take(now time.Time) bool {
	if a == nil {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken = slices.DeleteFunc(a.taken, func(t time.Time) bool { return now.Sub(t) >= allowanceSpan })
	if len(a.taken) >= a.PerDay {
		return false
	}
	a.taken = append(a.taken, now)
	return true
}

// giveBack takes back what [Allowance.take] counted: there was no token.
func (a *Allowance) giveBack(at time.Time) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.IndexFunc(a.taken, at.Equal); i >= 0 {
		a.taken = slices.Delete(a.taken, i, i+1)
	}
}

// countTaken reads how much of the allowances this log used before the process began.
func (n *Notary) countTaken(ctx context.Context) error {
	for _, a := range n.Authorities {
		if a.Allowance == nil {
			continue
		}
		times, err := n.Store.StampedSince(ctx, n.Log.Origin(), a.Name, n.Now().Add(-allowanceSpan))
		if err != nil {
			return err
		}
		a.Allowance.add(times)
	}
	return nil
}
