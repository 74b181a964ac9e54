package delivery

import (
	"context"
	"time"

	"truc/internal/exchange"
)

// Caller carries one exchange; [exchange.Service] answers.
type Caller interface {
	Call(ctx context.Context, c exchange.Call) (*exchange.Answer, error)
}

// Store keeps messages, events and subscriptions. Functions with a Tx work in that transaction; a missing row is
// errs.NotFound.
type Store interface {
	// InTx runs f in one transaction, again after a serialization failure.
	InTx(ctx context.Context, f func(tx Tx) error) error

	// AddOut keeps a new message. When sender and id are known it adds nothing and returns what is there.
	AddOut(ctx context.Context, tx Tx, m Outgoing) (stored Outgoing, added bool, err error)
	// Out returns a message with its body, by number; ByID by sender and id. In a transaction the row is locked.
	Out(ctx context.Context, tx Tx, seq int64) (Outgoing, error)
	ByID(ctx context.Context, sender, id string) (Outgoing, error)
	// PutOut writes state, attempts, times, answer and error; when the state is final and not dead, body and person are
	// forgotten.
	PutOut(ctx context.Context, tx Tx, m Outgoing) error

	// AddIn keeps a received message; errs.Conflict when sender and id are there already.
	AddIn(ctx context.Context, tx Tx, m Incoming) (seq int64, err error)
	// In returns a received message by sender and id, with its answer; InBySeq by number, locked in a transaction.
	In(ctx context.Context, sender, id string) (Incoming, error)
	InBySeq(ctx context.Context, tx Tx, seq int64) (Incoming, error)
	// PutIn writes state, lease, attempts, answer and error; a final state forgets body and person, but for dead ones.
	PutIn(ctx context.Context, tx Tx, m Incoming) error
	// NextIn returns the oldest message of a service that may be leased now, in order; errs.NotFound when there is none.
	NextIn(ctx context.Context, tx Tx, service string, now time.Time) (Incoming, error)
	// ByLease returns the message of a lease.
	ByLease(ctx context.Context, tx Tx, lease string) (Incoming, error)

	// AddEvent numbers and keeps an event of a service.
	AddEvent(ctx context.Context, tx Tx, service string, e Event) (seq int64, err error)
	// Events returns events of a type behind a number, in order: at most limit, and at most about maxBytes.
	Events(ctx context.Context, tx Tx, service, typ string, after int64, limit, maxBytes int) ([]Event, error)
	// LastEvent is the number of the newest event of a service, 0 when there is none.
	LastEvent(ctx context.Context, tx Tx, service string) (int64, error)

	// PutSubscription adds or replaces the subscription of a subscriber to a type of a service.
	PutSubscription(ctx context.Context, tx Tx, s Subscription) error
	Subscription(ctx context.Context, tx Tx, id string) (Subscription, error)
	// Subscriptions lists those of a service and type; of all when both are empty.
	Subscriptions(ctx context.Context, tx Tx, service, typ string) ([]Subscription, error)
	DeleteSubscription(ctx context.Context, tx Tx, id string) error

	PutFollowing(ctx context.Context, tx Tx, f Following) error
	FollowingOf(ctx context.Context, tx Tx, subscriber, service, typ string) (Following, error)
	Followings(ctx context.Context) ([]Following, error)

	// Queue summarises what is on its way by peer and state, DeadOut and DeadIn list what waits for an operator, the
	// oldest first.
	Queue(ctx context.Context) ([]QueueRow, error)
	DeadOut(ctx context.Context, limit int) ([]Outgoing, error)
	DeadIn(ctx context.Context, limit int) ([]Incoming, error)
	// Prune forgets messages that ended, and events, before given times.
	Prune(ctx context.Context, messages, events time.Time) error
}

// QueueRow counts messages on their way to one peer.
type QueueRow struct {
	Peer   string
	State  State
	N      int64
	Oldest time.Time
}

// Event is one fact that a service tells.
type Event struct {
	// Seq is its number in the service.
	Seq int64 `json:"seq"`
	// Type such as "fact", Key what it is about.
	Type string    `json:"type"`
	Key  string    `json:"key,omitempty"`
	At   time.Time `json:"at"`
	// Data is JSON.
	Data []byte `json:"-"`
}

// Subscription is a subscriber of a service of this node.
type Subscription struct {
	ID, Service, Type string
	// Subscriber is a subsystem, Callback the service of it that takes the events.
	Subscriber, Callback string
	// State: "pending" until the callback confirmed, "active", "refused", "stalled" when a batch was refused.
	State     string
	Challenge string
	// Position is the number of the last event acknowledged, InFlight of the last one in the batch under way.
	Position, InFlight int64
	Created, Moved     time.Time
	Error              string
}

// Following is a subscription that a subsystem of this node holds elsewhere.
type Following struct {
	Subscriber, Service, Type string
	// Subscription is the provider's id; empty until confirmed. State: "asked", "active", "ended".
	Subscription, State string
	Position            int64
	Asked, Moved        time.Time
}
