package alarm

import (
	"bytes"
	"context"
	"encoding/json"
	"time"
)

// Store keeps conditions.
type Store interface {
	// Change gives f what is kept and stores what it returns, with its messages in the outbox, in one transaction. f may be
	// run more than once, and may change the map.
	Change(ctx context.Context, f func(c map[string]Condition, toldAt time.Time) (Change, error)) error
	// Conditions returns what is kept, by name.
	Conditions(ctx context.Context) (map[string]Condition, error)
}

// Change is what a look comes to.
type Change struct {
	// Conditions replace those that were kept.
	Conditions map[string]Condition
	// ToldAt is when the last message was made.
	ToldAt   time.Time
	Messages []Message
}

// Channel brings messages to people. An error means that it has to be tried again; it holds no secret.
type Channel interface {
	Send(ctx context.Context, m Message) error
}

// Encode is a message as the outbox holds it.
func (m Message) Encode() ([]byte, error) { return json.Marshal(m) }

func decode(b []byte) (m Message, err error) {
	if err := exactly(b, &m); err != nil || m.ID == "" || m.Channel == "" {
		return m, errMessage
	}
	return m, nil
}

// DecodeFinding reads a stored finding.
func DecodeFinding(b []byte) (f Finding, err error) {
	err = exactly(b, &f)
	return f, err
}

// exactly keeps numbers as they were written: a count must not come back as a fraction.
func exactly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(v)
}
