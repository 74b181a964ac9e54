package exchange

import (
	"runtime"
	"sync"
)

// gather lets things that come up in the same moment be done together: to sign, or to write to the log. There is no
// timer: whoever comes first starts a run, the run lets everybody who is ready to go on add his own, and takes what has
// come by then. Alone, one thing waits for nobody; under load the runs grow by themselves.
type gather[T any] struct {
	// run does the work for all and tells each.
	run func([]T)
	// most bounds what is done at once.
	most int

	mu      sync.Mutex // guards both
	pending []T
	running bool
}

// add hands over one thing; run will be called with it, from another goroutine.
func (g *gather[T]) add(t T) {
	g.mu.Lock()
	g.pending = append(g.pending, t)
	start := !g.running
	g.running = true
	g.mu.Unlock()
	if start {
		go g.loop()
	}
}

func (g *gather[T]) loop() {
	var spare []T
	for {
		runtime.Gosched() // who can run now, runs first, and may add something
		g.mu.Lock()
		batch := g.pending
		g.pending = spare[:0]
		if len(batch) == 0 {
			g.running = false
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		for rest := batch; len(rest) > 0; {
			n := min(len(rest), g.most)
			g.run(rest[:n])
			rest = rest[n:]
		}
		clear(batch)
		spare = batch
	}
}
