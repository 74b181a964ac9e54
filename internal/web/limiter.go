package web

import (
	"container/list"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"truc/internal/errs"
)

// Limiter slows down whoever asks too often, by a key such as the client's address. It keeps the keys seen last and
// lives in this process: limits that must hold across nodes or restarts belong into a store.
type Limiter struct {
	every time.Duration
	burst int
	size  int
	now   func() time.Time

	mu    sync.Mutex // guards order and byKey
	order *list.List // of *bucket, most recent first
	byKey map[string]*list.Element
}

type bucket struct {
	key string
	lim *rate.Limiter
}

// NewLimiter allows burst requests at once and one more each interval, for each of the size keys seen last.
func NewLimiter(now func() time.Time, every time.Duration, burst, size int) *Limiter {
	return &Limiter{every: every, burst: burst, size: max(size, 1), now: now, order: list.New(), byKey: map[string]*list.Element{}}
}

// Allow reports whether key may go on, and if not, when to try again.
func (l *Limiter) Allow(key string) (ok bool, retry time.Duration) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.byKey[key]
	if e == nil {
		e = l.order.PushFront(&bucket{key: key, lim: rate.NewLimiter(rate.Every(l.every), l.burst)})
		l.byKey[key] = e
		if l.order.Len() > l.size {
			old := l.order.Back()
			l.order.Remove(old)
			delete(l.byKey, old.Value.(*bucket).key)
		}
	}
	l.order.MoveToFront(e)
	res := e.Value.(*bucket).lim.ReserveN(now, 1)
	if !res.OK() {
		return false, l.every
	}
	if wait := res.DelayFrom(now); wait > 0 {
		res.CancelAt(now)
		return false, wait
	}
	return true, 0
}

// Check returns a Limited error for a key that asks too often, and sets Retry-After.
func (l *Limiter) Check(w http.ResponseWriter, key string) error {
	ok, retry := l.Allow(key)
	if ok {
		return nil
	}
	seconds := int(retry/time.Second) + 1
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return errs.E(errs.Limited, "error.limited", nil, "seconds", seconds)
}

// Limit applies the limiter to one handler, by client address: tracking by number, sign-in.
func (l *Limiter) Limit(h HandlerFunc) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := l.Check(w, AddressKey(r)); err != nil {
			return err
		}
		return h(w, r)
	}
}

// Middleware applies the limiter to everything, by client address.
func (l *Limiter) Middleware(fail func(http.ResponseWriter, *http.Request, error)) Middleware {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := l.Check(w, AddressKey(r)); err != nil {
				fail(w, r, err)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
}

// AddressKey is the key of a client: its IPv4 address, or the /64 of its IPv6 address, since a home has that many.
func AddressKey(r *http.Request) string {
	a := ClientIP(r)
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	if a == (netip.Addr{}) {
		return "unknown"
	}
	return a.String()
}
