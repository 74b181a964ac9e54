package axisapi

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what one system may ask for. They are far above what a client does: the vendor's opens up to ten connections for each object
// and closes none, and some systems stand for a hundred agencies.
type Limits struct {
	// PerSecond is how many requests are answered on average; default 200.
	PerSecond int
	// AtOnce is how many are under way together, and also how many may come in a burst; default 400.
	AtOnce int
}

func (l Limits) orDefault() Limits {
	if l.PerSecond <= 0 {
		l.PerSecond = 200
	}
	if l.AtOnce <= 0 {
		l.AtOnce = 400
	}
	return l
}

// gate counts the requests of authenticated systems. Only names that exist come here, so it does not grow beyond them.
type gate struct {
	mu      sync.Mutex // guards systems and their counts
	systems map[string]*entrance
}

type entrance struct {
	lim    *rate.Limiter
	inside int
}

// enter counts a request in; leave counts it out.
func (g *gate) enter(system string, now time.Time, l Limits) (leave func(), ok bool) {
	l = l.orDefault()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.systems == nil {
		g.systems = map[string]*entrance{}
	}
	e := g.systems[system]
	if e == nil {
		e = &entrance{lim: rate.NewLimiter(rate.Limit(l.PerSecond), 2*l.AtOnce)}
		g.systems[system] = e
	}
	if e.inside >= l.AtOnce || !e.lim.AllowN(now, 1) {
		return nil, false
	}
	e.inside++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		e.inside--
	}, true
}
