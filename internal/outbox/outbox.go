// Package outbox gives every effect outside the database the same life: it is written in the transaction of the
// change that causes it, and a relay performs it afterwards, at least once, in order per key, with growing
// pauses, until it succeeds or is put aside as dead where staff can see it.
//
// A handler must therefore be idempotent by [Message.ID]. outbox does not know what the messages mean.
package outbox

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Migrations holds the tables of this package.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Querier is the part of a transaction or database that this package needs.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Message is one effect to perform.
type Message struct {
	// ID makes the effect idempotent; adding the same ID twice keeps the first.
	ID string
	// Topic chooses the handler, such as "services.courier".
	Topic string
	// Key orders: messages of one topic and key are performed one after the other, in the order added.
	// Empty means no order.
	Key string
	// Holds keeps the messages behind this one in its order waiting when it was put aside as dead, until somebody revives
	// or drops it. Without it they go on.
	Holds bool
	// Lane names what this message needs and may be away as a whole, such as a peer node. One lane never takes all
	// workers, and while it is away only one message at a time tries it. Empty is no lane.
	Lane    string
	Payload []byte
	// NotBefore delays the first attempt; zero means at once.
	NotBefore time.Time
	// Seq and Attempts are filled for handlers.
	Seq      int64
	Attempts int
	AddedAt  time.Time
}

// Add puts m into the outbox in the caller's transaction.
func Add(ctx context.Context, tx Querier, now time.Time, m Message) error {
	if m.ID == "" || m.Topic == "" {
		return errors.New("outbox: a message needs an id and a topic")
	}
	due := now
	if m.NotBefore.After(now) {
		due = m.NotBefore
	}
	if m.Payload == nil {
		m.Payload = []byte{}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox_message (id, topic, order_key, payload, state, attempts, added_at, due_at, last_error, owner, lane, holds)
		VALUES ($1, $2, $3, $4, 'waiting', 0, $5, $6, '', '', $7, $8) ON CONFLICT (id) DO NOTHING`,
		m.ID, m.Topic, m.Key, m.Payload, now.UnixMicro(), due.UnixMicro(), m.Lane, m.Holds)
	if err != nil {
		return fmt.Errorf("outbox: add: %w", err)
	}
	return nil
}

// AddJSON is [Add] with the payload marshalled from v.
func AddJSON(ctx context.Context, tx Querier, now time.Time, id, topic, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return Add(ctx, tx, now, Message{ID: id, Topic: topic, Key: key, Payload: b})
}

// Permanent marks an error that no retry will heal; the message is put aside at once.
func Permanent(err error) error { return &permanent{err} }

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

// Away marks an error that is not the message's: what its [Message.Lane] stands for cannot be reached. The lane rests, and
// then one message at a time tries it until one comes through; the attempt does not count against the message.
func Away(err error) error { return &away{err} }

type away struct{ err error }

func (a *away) Error() string { return a.err.Error() }
func (a *away) Unwrap() error { return a.err }
