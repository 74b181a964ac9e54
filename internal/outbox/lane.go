package outbox

import (
	"sync"
	"time"
)

// longestRest bounds how long a lane that was away is left alone: a peer that comes back is found within that time.
const longestRest = time.Minute

// lanes remembers what this process knows of each lane: how many of its messages are in work and whether it is away.
type lanes struct {
	mu sync.Mutex // guards m
	m  map[string]*lane
}

type lane struct {
	busy, fails int
	until       time.Time // it rests until then
}

// room reports whether another message may go: none while the lane rests, one while it may still be away.
func (l *lane) room(now time.Time, limit int) bool {
	if l.fails > 0 {
		limit = 1
	}
	return l.busy < limit && !now.Before(l.until)
}

// take counts a message in if its lane has room.
func (ls *lanes) take(name string, now time.Time, limit int) bool {
	if name == "" {
		return true
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.m[name]
	if l == nil {
		if ls.m == nil {
			ls.m = map[string]*lane{}
		}
		l = &lane{}
		ls.m[name] = l
	}
	if !l.room(now, limit) {
		return false
	}
	l.busy++
	return true
}

// giveBack counts out the messages that were taken and did not become this process's.
func (ls *lanes) giveBack(taken, kept []Message) {
	mine := make(map[int64]bool, len(kept))
	for _, m := range kept {
		mine[m.Seq] = true
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, m := range taken {
		if l := ls.m[m.Lane]; l != nil && !mine[m.Seq] {
			l.busy--
			ls.forget(m.Lane, l)
		}
	}
}

// leave counts a message out and says how long the lane rests when it was away.
func (ls *lanes) leave(name string, gone bool, now time.Time, pause func(fails int) time.Duration) time.Duration {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.m[name]
	if l == nil {
		return 0
	}
	l.busy--
	if !gone {
		l.fails, l.until = 0, time.Time{}
		ls.forget(name, l)
		return 0
	}
	l.fails++
	rest := pause(l.fails)
	l.until = now.Add(rest)
	return rest
}

// forget keeps the map as small as what is going on.
func (ls *lanes) forget(name string, l *lane) {
	if l.busy == 0 && l.fails == 0 {
		delete(ls.m, name)
	}
}

// full lists the lanes without room.
func (ls *lanes) full(now time.Time, limit int) []string {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var out []string
	for name, l := range ls.m {
		if !l.room(now, limit) {
			out = append(out, name)
		}
	}
	return out
}
