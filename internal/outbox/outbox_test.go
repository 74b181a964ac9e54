package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/outbox"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func add(t *testing.T, db *storage.DB, c *clock, id, key string) {
	t.Helper()
	err := db.InTx(t.Context(), func(tx *storage.Tx) error {
		return outbox.Add(t.Context(), tx, c.now(), outbox.Message{ID: id, Topic: "test.topic", Key: key, Payload: []byte(id)})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRelayKeepsOrderPerKeyAndRetries(t *testing.T) {
	storagetest.Module(t, "outbox", mustSub(t), func(t *testing.T, db *storage.DB) {
		c := &clock{t: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}
		var mu sync.Mutex
		var got []string
		failing := true
		r := &outbox.Relay{DB: db, Now: c.now, Log: slog.New(slog.DiscardHandler), Handlers: map[string]outbox.Handler{
			"test.topic": func(_ context.Context, m outbox.Message) error {
				mu.Lock()
				defer mu.Unlock()
				if m.ID == "a1" && failing {
					return errors.New("peer away")
				}
				got = append(got, string(m.Payload))
				return nil
			},
		}}
		add(t, db, c, "a1", "a")
		add(t, db, c, "a2", "a")
		add(t, db, c, "b1", "b")
		add(t, db, c, "b1", "b") // the same id again is kept once
		for range 3 {
			if _, err := r.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{"b1"}, got); diff != "" {
			t.Errorf("while a1 fails (-want +got):\n%s", diff)
		}
		failing = false
		c.add(time.Hour)
		for range 3 {
			if _, err := r.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{"b1", "a1", "a2"}, got); diff != "" {
			t.Errorf("after a1 heals (-want +got):\n%s", diff)
		}
	})
}

func TestRelayPutsAsideWhatCannotHeal(t *testing.T) {
	storagetest.Module(t, "outbox", mustSub(t), func(t *testing.T, db *storage.DB) {
		c := &clock{t: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}
		var done []string
		broken := true
		r := &outbox.Relay{DB: db, Now: c.now, Log: slog.New(slog.DiscardHandler), Workers: 1, Handlers: map[string]outbox.Handler{
			"test.topic": func(_ context.Context, m outbox.Message) error {
				if m.ID == "x1" && broken {
					return outbox.Permanent(errors.New("refused for good"))
				}
				done = append(done, m.ID)
				return nil
			},
		}}
		add(t, db, c, "x1", "x")
		add(t, db, c, "x2", "x")
		for range 3 {
			_, _ = r.Once(t.Context())
		}
		b, err := outbox.Look(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if b.Dead != 1 || b.Waiting != 0 {
			t.Errorf("Look() = %+v; want one dead, none waiting", b)
		}
		broken = false
		if err := outbox.Revive(t.Context(), db, c.now(), "x1"); err != nil {
			t.Fatal(err)
		}
		_, _ = r.Once(t.Context())
		if diff := cmp.Diff([]string{"x2", "x1"}, done); diff != "" {
			t.Errorf("performed (-want +got):\n%s", diff)
		}
	})
}

func TestLeaseReturnsAfterADeath(t *testing.T) {
	storagetest.Module(t, "outbox", mustSub(t), func(t *testing.T, db *storage.DB) {
		c := &clock{t: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}
		add(t, db, c, "m", "")
		// A process that claimed the message and was killed leaves attempts = 1 and a lease in the future.
		if _, err := db.ExecContext(t.Context(), `UPDATE outbox_message SET attempts = 1, due_at = $1`, c.now().Add(2*time.Minute).UnixMicro()); err != nil {
			t.Fatal(err)
		}
		n := 0
		r := &outbox.Relay{DB: db, Now: c.now, Log: slog.New(slog.DiscardHandler), Handlers: map[string]outbox.Handler{
			"test.topic": func(context.Context, outbox.Message) error { n++; return nil },
		}}
		_, _ = r.Once(t.Context())
		if n != 0 {
			t.Fatalf("performed %d times inside the lease; want 0", n)
		}
		c.add(3 * time.Minute)
		_, _ = r.Once(t.Context())
		_, _ = r.Once(t.Context())
		if n != 1 {
			t.Fatalf("performed %d times; want 1", n)
		}
	})
}

func TestARestartTakesUpItsOwnClaims(t *testing.T) {
	storagetest.Module(t, "outbox", mustSub(t), func(t *testing.T, db *storage.DB) {
		c := &clock{t: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}
		add(t, db, c, "mine", "")
		add(t, db, c, "other", "")
		for id, owner := range map[string]string{"mine": "VN/GOV/G22/node1", "other": "VN/GOV/G22/node2"} {
			if _, err := db.ExecContext(t.Context(), `UPDATE outbox_message SET attempts = 1, due_at = $1, owner = $2 WHERE id = $3`, c.now().Add(2*time.Minute).UnixMicro(), owner, id); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan string, 2)
		r := &outbox.Relay{DB: db, Now: c.now, Log: slog.New(slog.DiscardHandler), Owner: "VN/GOV/G22/node1", Handlers: map[string]outbox.Handler{
			"test.topic": func(_ context.Context, m outbox.Message) error { done <- m.ID; return nil },
		}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		if id := <-done; id != "mine" {
			t.Errorf("performed %q; want mine, whose claim died with this process", id)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(done) > 0 {
			t.Errorf("performed %q inside the lease of another process", <-done)
		}
	})
}

func TestASlowEffectDoesNotHoldUpOthers(t *testing.T) {
	storagetest.Module(t, "outbox", mustSub(t), func(t *testing.T, db *storage.DB) {
		c := &clock{t: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}
		add(t, db, c, "slow", "dead-peer")
		for _, id := range []string{"b1", "b2", "b3", "b4", "b5"} {
			add(t, db, c, id, "b")
		}
		release := make(chan struct{})
		done := make(chan string, 10)
		r := &outbox.Relay{DB: db, Now: c.now, Log: slog.New(slog.DiscardHandler), Workers: 2, Handlers: map[string]outbox.Handler{
			"test.topic": func(_ context.Context, m outbox.Message) error {
				if m.ID == "slow" {
					<-release
				}
				done <- m.ID
				return nil
			},
		}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		var got []string
		for range 5 {
			got = append(got, <-done)
		}
		if diff := cmp.Diff([]string{"b1", "b2", "b3", "b4", "b5"}, got); diff != "" {
			t.Errorf("while a peer hangs (-want +got):\n%s", diff)
		}
		close(release)
		if id := <-done; id != "slow" {
			t.Errorf("performed %q; want slow", id)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if b, err := outbox.Look(t.Context(), db); err != nil || b.Waiting != 0 {
			t.Errorf("Look() = %+v, %v; want nothing waiting once Run has ended", b, err)
		}
	})
}

// TestALaneThatIsAway: a peer that hangs or is away takes one worker at most, whatever waits for it, and loses nothing.
func TestALaneThatIsAway(t *testing.T) {
	storagetest.Module(t, "outbox", mustSub(t), func(t *testing.T, db *storage.DB) {
		c := &clock{t: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}
		put := func(id, lane string) {
			err := db.InTx(t.Context(), func(tx *storage.Tx) error {
				return outbox.Add(t.Context(), tx, c.now(), outbox.Message{ID: id, Topic: "test.topic", Lane: lane})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range 40 {
			put("far-"+string(rune('A'+i)), "far")
		}
		put("near-1", "near")
		put("near-2", "near")
		var mu sync.Mutex
		gone, tried := true, 0
		done := map[string]bool{}
		r := &outbox.Relay{DB: db, Now: c.now, Log: slog.New(slog.DiscardHandler), Workers: 2, PerLane: 2, MaxAttempts: 3, Handlers: map[string]outbox.Handler{
			"test.topic": func(_ context.Context, m outbox.Message) error {
				mu.Lock()
				defer mu.Unlock()
				if m.Lane == "far" && gone {
					tried++
					return outbox.Away(errors.New("no route"))
				}
				done[m.ID] = true
				return nil
			},
		}}
		once := func() {
			if _, err := r.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		once()
		if tried != 2 || !done["near-1"] || !done["near-2"] {
			t.Fatalf("tried the lane that is away %d times, done %v; want 2 and both near ones in the same turn", tried, done)
		}
		once()
		if tried != 2 {
			t.Fatalf("tried %d times while the lane rests; want 2", tried)
		}
		for range 20 { // more failures than MaxAttempts, none of them the messages' own
			c.add(2 * time.Minute)
			before := tried
			once()
			if tried != before+1 {
				t.Fatalf("%d attempts after a rest; want one", tried-before)
			}
		}
		gone = false
		c.add(2 * time.Minute)
		for range 60 {
			once()
		}
		if len(done) != 42 {
			t.Errorf("%d messages performed once the lane is back; want 42", len(done))
		}
		if b, err := outbox.Look(t.Context(), db); err != nil || b.Dead != 0 || b.Waiting != 0 {
			t.Errorf("Look() = %+v, %v; want nothing dead or waiting", b, err)
		}
	})
}

// TestADeadMessageHolds: with Holds, what is behind a message that was put aside waits until it is revived or dropped.
func TestADeadMessageHolds(t *testing.T) {
	storagetest.Module(t, "outbox", mustSub(t), func(t *testing.T, db *storage.DB) {
		c := &clock{t: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}
		for _, id := range []string{"1", "2", "3"} {
			err := db.InTx(t.Context(), func(tx *storage.Tx) error {
				return outbox.Add(t.Context(), tx, c.now(), outbox.Message{ID: id, Topic: "test.topic", Key: "k", Holds: true})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		bad := map[string]bool{"1": true, "2": true}
		var done []string
		r := &outbox.Relay{DB: db, Now: c.now, Log: slog.New(slog.DiscardHandler), Handlers: map[string]outbox.Handler{
			"test.topic": func(_ context.Context, m outbox.Message) error {
				if bad[m.ID] {
					return outbox.Permanent(errors.New("poison"))
				}
				done = append(done, m.ID)
				return nil
			},
		}}
		run := func() {
			for range 4 {
				if _, err := r.Once(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		run()
		if len(done) != 0 {
			t.Fatalf("performed %v behind a message that holds", done)
		}
		delete(bad, "1")
		if err := outbox.Revive(t.Context(), db, c.now(), "1"); err != nil {
			t.Fatal(err)
		}
		run()
		if diff := cmp.Diff([]string{"1"}, done); diff != "" {
			t.Fatalf("after the first was revived (-want +got):\n%s", diff)
		}
		if err := outbox.Drop(t.Context(), db, "2"); err != nil {
			t.Fatal(err)
		}
		run()
		if diff := cmp.Diff([]string{"1", "3"}, done); diff != "" {
			t.Errorf("after the second was dropped (-want +got):\n%s", diff)
		}
	})
}
