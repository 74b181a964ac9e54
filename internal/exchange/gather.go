package exchange

import (
	"runtime"
	"sync"
)

// gather lets things that come up in the same moment be done together: to sign, or to write to the log. There is no
// timer: whoever comes first lets everybody who is ready to go on add his own, and does what has come by then; what comes
// meanwhile is done by a goroutine of its own until nothing is left. Alone, one thing waits for nobody and costs no change
// of goroutines; under load the runs grow by themselves.
type gather[T any] struct {
	// run does the work for all and tells each.
	run func([]T)
	// most bounds what is done at once.
	most int

	mu             sync.Mutex // guards all below
	pending, spare []T
	running        bool
}

// add hands over one thing; run will have been called with it, or will be from another goroutine.
func (g *gather[T]) add(t T) {
	g.mu.Lock()
	g.pending = append(g.pending, t)
	first := !g.running
	g.running = true
	g.mu.Unlock()
	if first && g.turn() {
		go g.loop()
	}
}

func (g *gather[T]) loop() {
	for g.turn() {
	}
}

// turn does what is there, and reports whether more has come.
func (g *gather[T]) turn() bool {
	runtime.Gosched() // who can run now, runs first, and may add something
	g.mu.Lock()
	batch := g.pending
	g.pending = g.spare[:0]
	g.mu.Unlock()
	for rest := batch; len(rest) > 0; {
		n := min(len(rest), g.most)
		g.run(rest[:n])
		rest = rest[n:]
	}
	clear(batch)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spare = batch
	g.running = len(g.pending) > 0
	return g.running
}
