package exchange

import (
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	var b breakers
	call := func(v verdict) bool {
		_, ok := b.allow("p", now)
		if ok {
			b.done("p", v, now)
		}
		return ok
	}
	state := func() string { return b.list("peer", now)[0].State }
	for range 4 {
		call(failing)
	}
	call(undecided) // neither breaks the row nor lengthens it
	if state() != CircuitClosed {
		t.Fatal("open after four failures")
	}
	call(failing)
	if state() != CircuitOpen {
		t.Fatal("closed after five failures in a row")
	}
	if retry, ok := b.allow("p", now.Add(time.Second)); ok || retry != 4*time.Second {
		t.Errorf("open breaker: %v, %v", ok, retry)
	}
	// One may try, and only one.
	now = now.Add(breakerPause)
	if state() != CircuitHalfOpen {
		t.Errorf("state = %s", state())
	}
	if _, ok := b.allow("p", now); !ok {
		t.Fatal("no probe after the pause")
	}
	if _, ok := b.allow("p", now); ok {
		t.Error("two probes")
	}
	b.done("p", failing, now)
	if call(healthy) {
		t.Error("closed after a failed probe")
	}
	now = now.Add(breakerPause)
	if !call(undecided) || !call(healthy) || state() != CircuitClosed {
		t.Errorf("a probe that tells nothing must leave room for the next; state %s", state())
	}
	for range 4 {
		call(failing)
	}
	if state() != CircuitClosed {
		t.Error("the row did not begin anew")
	}
}

// TestBreakerShare opens at half of twenty calls within ten seconds, never for calls spread over more.
func TestBreakerShare(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		pause time.Duration
		want  string
	}{{0, CircuitOpen}, {400 * time.Millisecond, CircuitOpen}, {600 * time.Millisecond, CircuitClosed}} {
		var b breakers
		at, got := now, CircuitClosed
		for i := range 40 {
			v := healthy
			if i%2 == 1 {
				v = failing
			}
			if _, ok := b.allow("p", at); ok {
				b.done("p", v, at)
			} else {
				got = CircuitOpen
			}
			at = at.Add(tt.pause)
		}
		if got != tt.want {
			t.Errorf("calls every %v: %s, want %s", tt.pause, got, tt.want)
		}
	}
}

// TestBreakerClock checks that a clock that steps back does not keep a breaker open for as long.
func TestBreakerClock(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	var b breakers
	for range breakerRow {
		b.allow("p", now)
		b.done("p", failing, now)
	}
	back := now.Add(-10 * time.Minute)
	if retry, ok := b.allow("p", back); ok || retry > breakerPause {
		t.Errorf("after the step back: %v, retry %v", ok, retry)
	}
	if _, ok := b.allow("p", back.Add(breakerPause)); !ok {
		t.Error("still shut a pause later")
	}
}
