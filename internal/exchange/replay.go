package exchange

import (
	"sync"
	"time"
)

// maxReplay bounds the replay set: ten minutes at 3000 requests a second would be 1.8 million ids of 36 bytes.
const maxReplay = 2_000_000

// replaySet remembers request ids for a while. It keeps two generations and drops the older whole, so that
// forgetting costs nothing per id.
type replaySet struct {
	mu        sync.Mutex // guards all below
	keep      time.Duration
	max       int
	turned    time.Time
	cur, prev map[string]struct{}
}

func newReplaySet(keep time.Duration, limit int) *replaySet {
	return &replaySet{keep: keep, max: limit, cur: map[string]struct{}{}, prev: map[string]struct{}{}}
}

type replayVerdict int

const (
	replayNew replayVerdict = iota
	replaySeen
	replayFull
)

// add notes an id. When the set is full it says so and notes nothing: the caller refuses, for without memory it
// could not tell a repeat.
func (r *replaySet) add(id string, now time.Time) replayVerdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.turned) >= r.keep {
		if now.Sub(r.turned) >= 2*r.keep {
			r.cur = map[string]struct{}{}
		}
		r.prev, r.cur, r.turned = r.cur, map[string]struct{}{}, now
	}
	if _, ok := r.cur[id]; ok {
		return replaySeen
	}
	if _, ok := r.prev[id]; ok {
		return replaySeen
	}
	if len(r.cur)+len(r.prev) >= r.max {
		return replayFull
	}
	r.cur[id] = struct{}{}
	return replayNew
}
