package delivery

import (
	"context"
	"time"

	"truc/internal/errs"
	"truc/internal/outbox"
)

// Depth is the state of the queue, for metrics.
type Depth struct {
	// Waiting counts messages that have not come to their end, Dead those that wait for an operator.
	Waiting, Dead int64
	// OldestAge is how long the oldest waiting message has been on its way.
	OldestAge time.Duration
}

// Depth sums up what this node has to send.
func (s *Service) Depth(ctx context.Context) (d Depth, err error) {
	rows, err := s.Store.Queue(ctx)
	if err != nil {
		return d, err
	}
	for _, r := range rows {
		if r.State == Dead {
			d.Dead += r.N
			continue
		}
		d.Waiting += r.N
		d.OldestAge = max(d.OldestAge, s.Now().Sub(r.Oldest))
	}
	return d, nil
}

// View is what operators see of asynchronous delivery.
type View struct {
	Queue         []QueueRow
	DeadOut       []Outgoing
	DeadIn        []Incoming
	Subscriptions []Subscription
	Followings    []Following
}

// View reads everything operators look at; of dead letters the oldest 100.
func (s *Service) View(ctx context.Context) (v View, err error) {
	if v.Queue, err = s.Store.Queue(ctx); err != nil {
		return v, err
	}
	if v.DeadOut, err = s.Store.DeadOut(ctx, 100); err != nil {
		return v, err
	}
	if v.DeadIn, err = s.Store.DeadIn(ctx, 100); err != nil {
		return v, err
	}
	if v.Followings, err = s.Store.Followings(ctx); err != nil {
		return v, err
	}
	err = s.Store.InTx(ctx, func(tx Tx) error {
		v.Subscriptions, err = s.Store.Subscriptions(ctx, tx, "", "")
		return err
	})
	return v, err
}

// Status returns a message of a subsystem with what became of it.
func (s *Service) Status(ctx context.Context, sender, id string) (Outgoing, error) {
	m, err := s.Store.ByID(ctx, sender, id)
	if err == nil && (m.State == Queued || m.State == Sent) && !s.Now().Before(m.Expires) {
		m.State = Expired // as the next attempt will record
	}
	return m, err
}

// ReplayOut sends a dead message again; its life begins anew. DropOut gives it up, and those behind it go on.
func (s *Service) ReplayOut(ctx context.Context, seq int64) error {
	return s.deadOut(ctx, seq, func(tx Tx, m Outgoing) error {
		m.State, m.Attempts, m.Done, m.Error = Queued, 0, time.Time{}, ""
		if !m.Expires.After(s.Now().Add(time.Hour)) {
			m.Expires = s.Now().Add(DefaultLife)
		}
		if err := s.Store.PutOut(ctx, tx, m); err != nil {
			return err
		}
		s.wakeAfter(tx)
		return outbox.Revive(ctx, tx, s.Now(), rowID(TopicSend, seq))
	})
}

// DropOut gives a dead message up; its sender hears that it was dropped.
func (s *Service) DropOut(ctx context.Context, seq int64) error {
	return s.deadOut(ctx, seq, func(tx Tx, m Outgoing) error {
		if err := outbox.Drop(ctx, tx, rowID(TopicSend, seq)); err != nil {
			return err
		}
		s.wakeAfter(tx)
		return s.endIn(ctx, tx, m, func(m *Outgoing) { m.State = Dropped })
	})
}

func (s *Service) deadOut(ctx context.Context, seq int64, f func(tx Tx, m Outgoing) error) error {
	return s.Store.InTx(ctx, func(tx Tx) error {
		m, err := s.Store.Out(ctx, tx, seq)
		if err != nil {
			return err
		}
		if m.State != Dead {
			return errs.E(errs.Conflict, "delivery.not_dead", nil)
		}
		return f(tx, m)
	})
}

// ReplayIn gives a dead received message to its system again; DropIn gives it up.
func (s *Service) ReplayIn(ctx context.Context, seq int64) error {
	return s.deadIn(ctx, seq, func(tx Tx, in Incoming) error {
		in.State, in.Attempts, in.Done, in.Error, in.Lease, in.LeasedUntil = Accepted, 0, time.Time{}, "", "", time.Time{}
		if !in.Expires.After(s.Now().Add(time.Hour)) {
			in.Expires = s.Now().Add(DefaultLife)
		}
		if err := s.Store.PutIn(ctx, tx, in); err != nil {
			return err
		}
		s.wakeAfter(tx)
		return outbox.Revive(ctx, tx, s.Now(), rowID(TopicPush, seq))
	})
}

// DropIn gives a dead received message up.
func (s *Service) DropIn(ctx context.Context, seq int64) error {
	return s.deadIn(ctx, seq, func(tx Tx, in Incoming) error {
		in.State, in.Done = Dropped, s.Now()
		if err := s.Store.PutIn(ctx, tx, in); err != nil {
			return err
		}
		s.wakeAfter(tx)
		return outbox.Drop(ctx, tx, rowID(TopicPush, seq))
	})
}

func (s *Service) deadIn(ctx context.Context, seq int64, f func(tx Tx, in Incoming) error) error {
	return s.Store.InTx(ctx, func(tx Tx) error {
		in, err := s.Store.InBySeq(ctx, tx, seq)
		if err != nil {
			return err
		}
		if in.State != Dead {
			return errs.E(errs.Conflict, "delivery.not_dead", nil)
		}
		return f(tx, in)
	})
}

// Prune forgets results older than [Keep] and events older than the policy says.
func (s *Service) Prune(ctx context.Context, events time.Duration) error {
	return s.Store.Prune(ctx, s.Now().Add(-Keep), s.Now().Add(-events))
}

// Submit is [Service.Send] in a transaction of its own: when it returns, the message is on the disk.
func (s *Service) Submit(ctx context.Context, m Message) (id string, err error) {
	err = s.Store.InTx(ctx, func(tx Tx) error {
		id, err = s.Send(ctx, tx, m)
		return err
	})
	return id, err
}
