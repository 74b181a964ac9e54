package directory

import (
	"context"
	"log/slog"
	"time"
)

const (
	// firstRetry is the pause after the first pull that failed; it doubles up to the interval.
	firstRetry = time.Second
	// newsPause is the least time between two documents that a node fetches by waiting: a center where much changes is not
	// asked for each version by each node.
	newsPause = 500 * time.Millisecond
	// shortestWait is the shortest that is worth holding a request; a path that cuts it sooner is asked plainly for
	// plainPulls intervals before it is tried anew.
	shortestWait = 2 * time.Second
	plainPulls   = 20
)

// patience is how long the center is asked to hold a request, learnt from what the path between allows.
type patience struct {
	most, now time.Duration
	// good counts waits in a row that were not cut, plain the plain pulls left before waiting is tried again.
	good, plain int
}

// next is the time to ask for now; 0 is a plain pull.
func (p *patience) next() time.Duration {
	if p.plain > 0 {
		p.plain--
		return 0
	}
	return p.now
}

// cut notes that a held request was not answered: half of it may pass. One plain pull follows at once and says whether
// the center is there at all.
func (p *patience) cut() {
	p.good, p.plain = 0, 1
	if p.now /= 2; p.now < shortestWait {
		p.now, p.plain = p.most, plainPulls
	}
}

// held notes that a held request was answered.
func (p *patience) held() {
	if p.good++; p.good >= plainPulls {
		p.good, p.now = 0, min(2*p.now, p.most)
	}
}

// Run follows the center until ctx ends: by requests that the center holds until there is news where it can, else by
// pulls at the interval. Faults are logged and left to the level: a node outlives its center.
func (f *Follower) Run(ctx context.Context) error {
	r := running{f: f, retry: firstRetry}
	if _, ok := f.opt.Center.(Awaiter); ok {
		r.patience.most = min(f.opt.Wait, LongestWait)
		r.patience.now = r.patience.most
	}
	for {
		t := time.NewTimer(r.turn(ctx))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// running is the state of [Follower.Run].
type running struct {
	f        *Follower
	patience patience
	failing  bool
	retry    time.Duration
}

// turn asks once and returns the pause before the next question.
func (r *running) turn(ctx context.Context) time.Duration {
	f := r.f
	wait := r.patience.next()
	if wait > 0 && !r.failing && f.Document() != nil {
		pause, err := r.await(ctx, wait)
		if err == nil {
			return pause
		}
		r.patience.cut()
		return r.soon(firstRetry / 4)
	}
	err := f.Refresh(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		if !r.failing {
			f.opt.Log.WarnContext(ctx, "directory cannot be refreshed", slog.String("error", err.Error()), slog.String("level", string(f.Status().Level)))
		}
		pause := r.soon(min(r.retry, f.opt.Interval))
		r.failing, r.retry = true, min(2*r.retry, f.opt.Interval)
		return pause
	case r.failing && err == nil:
		f.opt.Log.InfoContext(ctx, "directory is in reach again")
		r.failing, r.retry = false, firstRetry
	}
	if r.patience.now > 0 && r.patience.plain == 0 {
		return 0 // from here on the center tells
	}
	return f.opt.Interval
}

func (r *running) soon(d time.Duration) time.Duration {
	if r.f.opt.Jitter != nil {
		return min(d, r.f.opt.Jitter(d))
	}
	return d
}

// await asks the center to hold the question. A center that does not, or whose word comes at once again and again, is
// asked at the interval.
func (r *running) await(ctx context.Context, wait time.Duration) (pause time.Duration, err error) {
	f := r.f
	hash, poll := f.question(ctx)
	asked := f.opt.Now()
	env, cur, waited, err := f.opt.Center.(Awaiter).Await(ctx, hash, poll, wait)
	if err != nil {
		return 0, err
	}
	f.pull.Lock()
	err = f.settle(hash, env, cur)
	f.note(err)
	f.pull.Unlock()
	switch {
	case err != nil:
		return 0, err
	case waited && env != nil:
		r.patience.held()
		return newsPause, nil
	case waited && f.opt.Now().Sub(asked) >= wait/2:
		r.patience.held()
		return 0, nil
	}
	return f.opt.Interval, nil
}
