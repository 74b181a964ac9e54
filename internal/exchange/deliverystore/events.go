package deliverystore

import (
	"context"

	"truc/internal/errs"
	"truc/internal/exchange/delivery"
	"truc/internal/storage"
)

func scanNumber(scan func(...any) error) (n int64, err error) { return n, scan(&n) }

// AddEvent implements [delivery.Store]. The row of the stream is held until the transaction ends, so that numbers follow
// the order of commits and a reader that has seen one has seen all before it.
func (s *Store) AddEvent(ctx context.Context, tx delivery.Tx, service string, e delivery.Event) (int64, error) {
	seq, err := storage.One(ctx, tx, scanNumber, "delivery.message_unknown", `INSERT INTO delivery_stream (service, last) VALUES ($1, 1)
		ON CONFLICT (service) DO UPDATE SET last = delivery_stream.last + 1 RETURNING last`, service)
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO delivery_event (service, seq, type, key, payload, at) VALUES ($1, $2, $3, $4, $5, $6)`,
		service, seq, e.Type, e.Key, e.Data, storage.Micros(e.At))
	return seq, err
}

// Events implements [delivery.Store].
func (s *Store) Events(ctx context.Context, tx delivery.Tx, service, typ string, after int64, limit, maxBytes int) ([]delivery.Event, error) {
	rows, err := tx.QueryContext(ctx, `SELECT seq, type, key, payload, at FROM delivery_event WHERE service = $1 AND type = $2 AND seq > $3 ORDER BY seq LIMIT $4`,
		service, typ, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []delivery.Event
	size := 0
	for rows.Next() {
		var e delivery.Event
		var at int64
		if err := rows.Scan(&e.Seq, &e.Type, &e.Key, &e.Data, &at); err != nil {
			return nil, err
		}
		if size += len(e.Data); size > maxBytes && len(out) > 0 {
			break
		}
		e.At = storage.Time(at)
		out = append(out, e)
	}
	return out, rows.Err()
}

// LastEvent implements [delivery.Store].
func (s *Store) LastEvent(ctx context.Context, tx delivery.Tx, service string) (int64, error) {
	n, err := storage.One(ctx, tx, scanNumber, "delivery.message_unknown", `SELECT last FROM delivery_stream WHERE service = $1`, service)
	if errs.Is(err, errs.NotFound) {
		return 0, nil
	}
	return n, err
}

const subColumns = `id, service, type, subscriber, callback, state, challenge, position, in_flight, created_at, moved_at, error`

func scanSub(scan func(...any) error) (b delivery.Subscription, err error) {
	var created, moved int64
	err = scan(&b.ID, &b.Service, &b.Type, &b.Subscriber, &b.Callback, &b.State, &b.Challenge, &b.Position, &b.InFlight, &created, &moved, &b.Error)
	b.Created, b.Moved = storage.Time(created), storage.Time(moved)
	return b, err
}

// PutSubscription implements [delivery.Store].
func (s *Store) PutSubscription(ctx context.Context, tx delivery.Tx, b delivery.Subscription) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO delivery_subscription (`+subColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (service, type, subscriber) DO UPDATE SET id = excluded.id, callback = excluded.callback, state = excluded.state, challenge = excluded.challenge,
		position = excluded.position, in_flight = excluded.in_flight, created_at = excluded.created_at, moved_at = excluded.moved_at, error = excluded.error`,
		b.ID, b.Service, b.Type, b.Subscriber, b.Callback, b.State, b.Challenge, b.Position, b.InFlight, storage.Micros(b.Created), storage.Micros(b.Moved), b.Error)
	return err
}

// Subscription implements [delivery.Store].
func (s *Store) Subscription(ctx context.Context, tx delivery.Tx, id string) (delivery.Subscription, error) {
	return storage.One(ctx, s.read(tx), scanSub, "delivery.subscription_unknown", `SELECT `+subColumns+` FROM delivery_subscription WHERE id = $1`+lock(tx), id)
}

// Subscriptions implements [delivery.Store]. In a transaction the rows are locked, so that one batch starts once.
func (s *Store) Subscriptions(ctx context.Context, tx delivery.Tx, service, typ string) ([]delivery.Subscription, error) {
	if service == "" && typ == "" {
		return storage.All(ctx, s.read(tx), scanSub, `SELECT `+subColumns+` FROM delivery_subscription ORDER BY service, type, subscriber`)
	}
	return storage.All(ctx, tx, scanSub, `SELECT `+subColumns+` FROM delivery_subscription WHERE service = $1 AND type = $2 ORDER BY subscriber`+lock(tx), service, typ)
}

// DeleteSubscription implements [delivery.Store].
func (s *Store) DeleteSubscription(ctx context.Context, tx delivery.Tx, id string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM delivery_subscription WHERE id = $1`, id)
	return err
}

const followColumns = `subscriber, service, type, subscription, state, position, asked_at, moved_at`

func scanFollowing(scan func(...any) error) (f delivery.Following, err error) {
	var asked, moved int64
	err = scan(&f.Subscriber, &f.Service, &f.Type, &f.Subscription, &f.State, &f.Position, &asked, &moved)
	f.Asked, f.Moved = storage.Time(asked), storage.Time(moved)
	return f, err
}

// PutFollowing implements [delivery.Store].
func (s *Store) PutFollowing(ctx context.Context, tx delivery.Tx, f delivery.Following) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO delivery_following (`+followColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (subscriber, service, type) DO UPDATE SET subscription = excluded.subscription, state = excluded.state, position = excluded.position,
		asked_at = excluded.asked_at, moved_at = excluded.moved_at`,
		f.Subscriber, f.Service, f.Type, f.Subscription, f.State, f.Position, storage.Micros(f.Asked), storage.Micros(f.Moved))
	return err
}

// FollowingOf implements [delivery.Store].
func (s *Store) FollowingOf(ctx context.Context, tx delivery.Tx, subscriber, service, typ string) (delivery.Following, error) {
	return storage.One(ctx, s.read(tx), scanFollowing, "delivery.subscription_unknown", `SELECT `+followColumns+` FROM delivery_following
		WHERE subscriber = $1 AND service = $2 AND type = $3`+lock(tx), subscriber, service, typ)
}

// Followings implements [delivery.Store].
func (s *Store) Followings(ctx context.Context) ([]delivery.Following, error) {
	return storage.All(ctx, s.DB, scanFollowing, `SELECT `+followColumns+` FROM delivery_following ORDER BY subscriber, service, type`)
}
