package alarm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/outbox"
)

// Topic is the outbox topic of messages; [Service.Handler] sends them.
const Topic = "alarm.send"

// Finding is one thing that was looked at and is not well.
type Finding struct {
	// Name is what was looked at, such as "certificate". It names the condition.
	Name string `json:"name"`
	// Bad says that it hinders the node; otherwise it is a warning.
	Bad bool `json:"bad"`
	// Key and Args say in words how it is, Todo what to do. They hold counts and times, nothing of persons.
	Key  string `json:"key"`
	Args []any  `json:"args,omitempty"`
	Todo string `json:"todo,omitempty"`
}

// Phase is where a condition is in its life.
type Phase string

// The phases that are told.
const (
	Began  Phase = "began"
	Worse  Phase = "worse"
	GoesOn Phase = "goes_on"
	Ended  Phase = "ended"
)

// Condition is what is known of one thing that is, or was, not well.
type Condition struct {
	Finding Finding
	// Since is when it was first seen, Gone since when it has not been; zero while it is there.
	Since, Gone time.Time
	// ToldAt is when people were told last; zero when they were not. ToldBad is what they were told.
	ToldAt  time.Time
	ToldBad bool
}

// Event is one line of a message.
type Event struct {
	Phase   Phase     `json:"phase"`
	Finding Finding   `json:"finding"`
	Since   time.Time `json:"since"`
}

// Message is what one channel is to be told.
type Message struct {
	ID      string    `json:"id"`
	Channel string    `json:"channel"`
	Node    string    `json:"node"`
	At      time.Time `json:"at"`
	Events  []Event   `json:"events"`
	// Test says that somebody asked for it.
	Test bool `json:"test,omitempty"`
}

// Timing bounds what is told when.
type Timing struct {
	// Steady is how long a finding must be there, or away, before it counts.
	Steady time.Duration
	// Pause is the least time between two messages.
	Pause time.Duration
	// Repeat is how often a condition that goes on is told again; zero is never.
	Repeat time.Duration
}

// maxAge is how long a message is tried. A condition that goes on is told again by itself.
const maxAge = 24 * time.Hour

// Service decides what is told, and sends it.
type Service struct {
	Store Store
	// Channels by name, such as "mail".
	Channels map[string]Channel
	Timing   Timing
	// Node is the server id.
	Node string
	Now  func() time.Time
	Log  *slog.Logger

	direct time.Time // when a message went past the store last
}

// Look takes the findings of now that are not well. It returns the error of the store; then a message goes past it, at most
// once an hour, because the database is what people should hear about.
func (s *Service) Look(ctx context.Context, found []Finding) error {
	now := s.Now().UTC().Truncate(time.Microsecond)
	err := s.Store.Change(ctx, func(c map[string]Condition, told time.Time) (Change, error) {
		merge(c, found, now)
		events := due(c, s.Timing, now)
		change := Change{Conditions: c, ToldAt: told}
		if len(events) > 0 && (told.IsZero() || now.Sub(told) >= s.Timing.Pause || now.Before(told)) {
			for _, e := range events {
				mark(c, e, now)
			}
			change.ToldAt = now
			for _, name := range slices.Sorted(maps.Keys(s.Channels)) {
				change.Messages = append(change.Messages, Message{ID: newID(), Channel: name, Node: s.Node, At: now, Events: events})
			}
		}
		return change, nil
	})
	if err != nil {
		s.tellDirectly(ctx, found, now)
	}
	return err
}

// tellDirectly sends what was found without the store, which is away.
func (s *Service) tellDirectly(ctx context.Context, found []Finding, now time.Time) {
	if len(found) == 0 || !s.direct.IsZero() && now.Sub(s.direct) < time.Hour {
		return
	}
	s.direct = now
	m := Message{ID: newID(), Node: s.Node, At: now}
	for _, f := range found {
		m.Events = append(m.Events, Event{Phase: Began, Finding: f, Since: now})
	}
	for name, c := range s.Channels {
		m.Channel = name
		if err := c.Send(ctx, m); err != nil {
			s.Log.ErrorContext(ctx, "an alarm cannot be sent", slog.String("channel", name), slog.Any("error", err))
		}
	}
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// merge brings the conditions up to date with what was found.
func merge(c map[string]Condition, found []Finding, now time.Time) {
	here := map[string]Finding{}
	for _, f := range found {
		if have, ok := here[f.Name]; !ok || f.Bad && !have.Bad { // two of one name: the worse
			here[f.Name] = f
		}
	}
	for name, f := range here {
		x, ok := c[name]
		if !ok {
			x.Since = now
		}
		x.Finding, x.Gone = f, time.Time{}
		c[name] = x
	}
	for name, x := range c {
		if _, ok := here[name]; !ok && x.Gone.IsZero() {
			x.Gone = now
			c[name] = x
		}
	}
}

// due lists what there is to tell, and forgets what came and went without a word.
func due(c map[string]Condition, t Timing, now time.Time) (events []Event) {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		x := c[name]
		e := Event{Finding: x.Finding, Since: x.Since}
		gone := !x.Gone.IsZero() && now.Sub(x.Gone) >= t.Steady
		switch {
		case gone && x.ToldAt.IsZero():
			delete(c, name)
			continue
		case gone:
			e.Phase = Ended
		case !x.Gone.IsZero() || now.Sub(x.Since) < t.Steady:
			continue
		case x.ToldAt.IsZero():
			e.Phase = Began
		case x.Finding.Bad && !x.ToldBad:
			e.Phase = Worse
		case t.Repeat > 0 && now.Sub(x.ToldAt) >= t.Repeat:
			e.Phase = GoesOn
		default:
			continue
		}
		events = append(events, e)
	}
	return events
}

// mark notes that an event was told.
func mark(c map[string]Condition, e Event, now time.Time) {
	if e.Phase == Ended {
		delete(c, e.Finding.Name)
		return
	}
	x := c[e.Finding.Name]
	x.ToldAt, x.ToldBad = now, e.Finding.Bad
	c[e.Finding.Name] = x
}

// Handler is the outbox handler of [Topic]. A message that is a day old is given up: what goes on is told again, and a dead
// message of an alarm would be an alarm of its own.
func (s *Service) Handler(ctx context.Context, m outbox.Message) error {
	msg, err := decode(m.Payload)
	if err != nil {
		return outbox.Permanent(err)
	}
	c, ok := s.Channels[msg.Channel]
	if !ok || s.Now().Sub(msg.At) > maxAge {
		s.Log.WarnContext(ctx, "an alarm was given up", slog.String("channel", msg.Channel), slog.Time("from", msg.At), slog.Bool("configured", ok))
		return nil
	}
	return c.Send(ctx, msg)
}

// Test sends a message through every channel at once and returns what each said.
func (s *Service) Test(ctx context.Context) map[string]error {
	out := map[string]error{}
	for name, c := range s.Channels {
		out[name] = c.Send(ctx, Message{ID: newID(), Channel: name, Node: s.Node, At: s.Now().UTC(), Test: true})
	}
	return out
}

// Conditions lists what is not well, by name.
func (s *Service) Conditions(ctx context.Context) ([]Condition, error) {
	c, err := s.Store.Conditions(ctx)
	if err != nil {
		return nil, errs.E(errs.Unavailable, "error.unavailable", err)
	}
	out := make([]Condition, 0, len(c))
	for _, name := range slices.Sorted(maps.Keys(c)) {
		out = append(out, c[name])
	}
	return out, nil
}

var errMessage = errors.New("not a message of an alarm")
