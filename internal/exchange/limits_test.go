package exchange

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"truc/internal/orgcode"
)

// TestLimiterNeverExceeds plays random traffic on an injected clock against the definition of each limit.
func TestLimiterNeverExceeds(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		lim := Limits{Rate: float64(1 + r.IntN(50)), Burst: 1 + r.IntN(20), Concurrent: 1 + r.IntN(8), Daily: int64(50 + r.IntN(500))}
		l := newLimiter(time.FixedZone("+7", 7*3600), 100)
		start := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC) // an hour before midnight of the zone
		now := start
		p := pair{"c", "s"}
		var running []*admission
		var admitted []time.Time
		perDay := map[int]int64{}
		for range 3000 {
			now = now.Add(time.Duration(r.IntN(2000)) * time.Millisecond * time.Duration(r.IntN(3)))
			if len(running) > 0 && r.IntN(2) == 0 {
				running[0].end()
				running = running[1:]
			}
			a, retry, ok := l.admit(p, lim, now)
			if !ok {
				if retry <= 0 {
					t.Fatalf("seed %d: refused without a time to ask again", seed)
				}
				continue
			}
			running = append(running, a)
			admitted = append(admitted, now)
			perDay[l.dayOf(now)]++
			if len(running) > lim.Concurrent {
				t.Fatalf("seed %d: %d calls under way, limit %d", seed, len(running), lim.Concurrent)
			}
		}
		for i, from := range admitted { // in any window no more than the burst and what flowed in
			for j := i; j < min(i+100, len(admitted)); j++ {
				if most := float64(lim.Burst) + lim.Rate*admitted[j].Sub(from).Seconds() + 1e-6; float64(j-i+1) > most {
					t.Fatalf("seed %d: %d calls in %v, limit %.1f", seed, j-i+1, admitted[j].Sub(from), most)
				}
			}
		}
		for day, n := range perDay {
			if n > lim.Daily {
				t.Fatalf("seed %d: %d calls on day %d, limit %d", seed, n, day, lim.Daily)
			}
		}
		if len(admitted) == 0 {
			t.Fatalf("seed %d: nothing was let in", seed)
		}
	}
}

// TestLimiterKeepsItsWord checks that whoever waits as long as told is let in.
func TestLimiterKeepsItsWord(t *testing.T) {
	start := time.Date(2026, 11, 21, 16, 59, 0, 0, time.UTC)
	for name, lim := range map[string]Limits{
		"rate": {Rate: 0.7}, "bytes": {BytesPerSecond: 1000}, "daily": {Daily: 3},
	} {
		l := newLimiter(time.FixedZone("+7", 7*3600), 100)
		now, refusals := start, 0
		for range 20 {
			a, retry, ok := l.admit(pair{"c", "s"}, lim, now)
			if !ok {
				refusals++
				now = now.Add(retry)
				if a, _, ok = l.admit(pair{"c", "s"}, lim, now); !ok {
					t.Fatalf("%s: refused again after waiting %v", name, retry)
				}
			}
			a.took(700, now)
			a.end()
		}
		if refusals == 0 {
			t.Errorf("%s: never refused", name)
		}
	}
}

// TestLimiterClock checks that a clock that steps back neither refills nor locks out, and that a step forward gives no more
// than one burst.
func TestLimiterClock(t *testing.T) {
	l := newLimiter(nil, 100)
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	lim := Limits{Rate: 1, Burst: 2}
	count := func(at time.Time) (n int) {
		for range 10 {
			if a, _, ok := l.admit(pair{"c", "s"}, lim, at); ok {
				a.end()
				n++
			}
		}
		return n
	}
	if n := count(now); n != 2 {
		t.Errorf("%d calls at once, want 2", n)
	}
	if n := count(now.Add(-10 * time.Minute)); n != 0 {
		t.Errorf("%d calls after the clock stepped back, want 0", n)
	}
	if n := count(now.Add(-10*time.Minute + time.Second)); n != 1 {
		t.Errorf("%d calls a second later, want 1", n)
	}
	if n := count(now.Add(10 * time.Minute)); n != 2 {
		t.Errorf("%d calls after the clock stepped forward, want 2", n)
	}
}

// TestLimiterMemory checks that the number of pairs is bounded, and that idle ones make room.
func TestLimiterMemory(t *testing.T) {
	l := newLimiter(nil, 10)
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for i := range 10 {
		if a, _, ok := l.admit(pair{fmt.Sprint(i), "s"}, Limits{Rate: 1}, now); !ok {
			t.Fatal("refused")
		} else if i > 0 {
			a.end()
		}
	}
	if _, retry, ok := l.admit(pair{"new", "s"}, Limits{Rate: 1}, now); ok || retry <= 0 || len(l.used) != 10 {
		t.Errorf("a pair beyond the bound: %v, retry %v, %d kept", ok, retry, len(l.used))
	}
	if _, _, ok := l.admit(pair{"new", "s"}, Limits{Rate: 1}, now.Add(2*time.Second)); !ok {
		t.Error("idle pairs made no room")
	}
	if l.used[pair{"0", "s"}] == nil {
		t.Error("a pair with a call under way was forgotten")
	}
}

func TestLimitRules(t *testing.T) {
	for name, bad := range map[string]LimitRule{
		"rate": {Rate: "fast"}, "unit": {Rate: "5/day"}, "zero": {Rate: "0/s"}, "negative": {Daily: -1}, "service": {Service: "a/b/c"}, "consumer": {Consumer: "x"},
	} {
		if CheckLimits([]LimitRule{bad}) == nil {
			t.Errorf("%s: %+v passes", name, bad)
		}
	}
	s := &Service{usage: newLimiter(nil, 10)}
	s.opt.GrantLimits = func(orgcode.Subsystem, orgcode.Service, string) Limits { return Limits{Rate: 5, Daily: 1000} }
	if err := s.SetLimits([]LimitRule{
		{Service: "population/person", Rate: "600/m", Concurrent: 4},
		{Consumer: "VN/GOV/*/onestop", Rate: "120/m"},
		{Consumer: "VN/GOV/H36/other", Rate: "1/h"},
	}); err != nil {
		t.Fatal(err)
	}
	consumer, _ := orgcode.ParseSubsystem("VN/GOV/H36/onestop")
	service, _ := orgcode.ParseService("VN/GOV/G01/population/person")
	if got, want := s.limitsFor(consumer, service, ""), (Limits{Rate: 2, Concurrent: 4, Daily: 1000}); got != want {
		t.Errorf("limits = %+v, want %+v", got, want)
	}
}
