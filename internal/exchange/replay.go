package exchange

import (
	"hash/maphash"
	"sync"
	"time"
)

// maxReplay bounds the replay set: seven and a half minutes at 3,000 requests a second are 1.4 million ids.
const maxReplay = 2_500_000

// replayGenerations is how many parts the memory has. Ids of requests whose clock is right go into one in the middle.
const replayGenerations = 5

// replaySet remembers request ids for as long as their requests would be taken. It keeps generations by the time at which
// that ends and drops each whole, so that forgetting costs nothing per id.
//
// Of an id only a hash of 64 bits is kept, under a seed nobody outside knows: 11 to 21 bytes instead of a hundred, and
// nothing the garbage collector must follow. Two ids with one hash make it refuse the second wrongly, which happens once in
// 10^13 requests when it is full; it never lets a repeat pass.
type replaySet struct {
	mu     sync.Mutex // guards all below
	seed   maphash.Seed
	span   time.Duration // of one generation
	max, n int
	turned time.Time
	gens   [replayGenerations]hashSet // the first is dropped next
}

// newReplaySet remembers ids of requests that are taken for up to keep from now: for as long at least, and for a quarter
// of keep more at most.
func newReplaySet(keep time.Duration, limit int) *replaySet { //nolint:unparam // tests remember for less
	return &replaySet{seed: maphash.MakeSeed(), span: keep / (replayGenerations - 1), max: limit}
}

// takenUntil is when a request of a time is too old to be taken.
func takenUntil(created time.Time) time.Time { return created.Add(freshness + time.Second) }

type replayVerdict int

const (
	replayNew replayVerdict = iota
	replaySeen
	replayFull
)

// add notes the id of a request that would be taken until the given time. When the set is full it says so and notes nothing:
// the caller refuses, for without memory it could not tell a repeat.
func (r *replaySet) add(id string, until, now time.Time) replayVerdict {
	h := maphash.String(r.seed, id)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	for i := range r.gens {
		if r.gens[i].has(h) {
			return replaySeen
		}
	}
	if r.n >= r.max {
		return replayFull
	}
	ahead := int(until.Sub(r.turned) / r.span)
	r.gens[min(max(ahead, 0), replayGenerations-1)].add(h)
	r.n++
	return replayNew
}

// turn drops the generations whose time is over: the first holds what ends before one span after turned. The caller holds
// mu.
func (r *replaySet) turn(now time.Time) {
	passed := now.Sub(r.turned)
	if passed < r.span {
		return
	}
	if passed >= replayGenerations*r.span {
		clear(r.gens[:])
		r.n, r.turned = 0, now
		return
	}
	for ; passed >= r.span; passed -= r.span {
		r.n -= r.gens[0].n
		copy(r.gens[:], r.gens[1:])
		r.gens[replayGenerations-1] = hashSet{}
		r.turned = r.turned.Add(r.span)
	}
}

// hashSet is a set of hashes: a table that is at most three quarters full, looked through from the place a hash names to
// the first free one. A map would take a hash of eight bytes into a slot of sixteen.
type hashSet struct {
	slots []uint64 // a power of two of them; 0 is free
	n     int
}

// place returns where h is, or the free slot where it belongs.
func (s *hashSet) place(h uint64) int {
	mask := len(s.slots) - 1
	i := int(h>>1) & mask
	for s.slots[i] != 0 && s.slots[i] != h {
		i = (i + 1) & mask
	}
	return i
}

func (s *hashSet) has(h uint64) bool {
	return s.n > 0 && s.slots[s.place(max(h, 1))] != 0
}

// add adds a hash that is not there.
func (s *hashSet) add(h uint64) {
	if s.n >= len(s.slots)/4*3 {
		old := s.slots
		s.slots = make([]uint64, max(2*len(old), 1024))
		for _, o := range old {
			if o != 0 {
				s.slots[s.place(o)] = o
			}
		}
	}
	h = max(h, 1)
	s.slots[s.place(h)] = h
	s.n++
}
