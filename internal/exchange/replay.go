package exchange

import (
	"hash/maphash"
	"sync"
	"time"
)

// maxReplay bounds the replay set: twelve and a half minutes at 3,000 requests a second are 2.3 million ids.
const maxReplay = 2_500_000

// replayGenerations is how many parts the memory has; one of them is being filled.
const replayGenerations = 5

// replaySet remembers request ids for a while. It keeps generations and drops the oldest whole, so that forgetting costs
// nothing per id.
//
// Of an id only a hash of 64 bits is kept, under a seed nobody outside knows: some 12 bytes instead of 80, and nothing
// the garbage collector must follow. Two ids with one hash make it refuse the second wrongly, which happens once in
// 10^13 requests when it is full; it never lets a repeat pass.
type replaySet struct {
	mu     sync.Mutex // guards all below
	seed   maphash.Seed
	span   time.Duration // of one generation
	max, n int
	turned time.Time
	gens   [replayGenerations]map[uint64]struct{} // the first is being filled
}

// newReplaySet remembers an id for keep at least, and for a quarter more at most.
func newReplaySet(keep time.Duration, limit int) *replaySet {
	r := &replaySet{seed: maphash.MakeSeed(), span: keep / (replayGenerations - 1), max: limit}
	r.gens[0] = map[uint64]struct{}{}
	return r
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
	h := maphash.String(r.seed, id)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	for _, g := range r.gens {
		if _, ok := g[h]; ok {
			return replaySeen
		}
	}
	if r.n >= r.max {
		return replayFull
	}
	r.gens[0][h] = struct{}{}
	r.n++
	return replayNew
}

// turn begins as many generations as have passed since the last. The caller holds mu.
func (r *replaySet) turn(now time.Time) {
	passed := now.Sub(r.turned)
	if passed < r.span {
		return
	}
	if passed >= replayGenerations*r.span {
		clear(r.gens[:])
		r.gens[0], r.n, r.turned = map[uint64]struct{}{}, 0, now
		return
	}
	for ; passed >= r.span; passed -= r.span {
		r.n -= len(r.gens[replayGenerations-1])
		copy(r.gens[1:], r.gens[:replayGenerations-1])
		r.gens[0] = map[uint64]struct{}{}
		r.turned = r.turned.Add(r.span)
	}
}
