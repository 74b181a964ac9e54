// Package deliverystore keeps messages on their way, received ones, events and subscriptions in SQL: one text for SQLite
// and PostgreSQL. It decides nothing; the rules are in package delivery.
package deliverystore

import (
	"context"
	"embed"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange/delivery"
	"truc/internal/orgcode"
	"truc/internal/storage"
)

// Migrations holds the tables of this package, in the folder migrations.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store implements [delivery.Store].
type Store struct{ DB *storage.DB }

// InTx implements [delivery.Store].
func (s *Store) InTx(ctx context.Context, f func(tx delivery.Tx) error) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error { return f(tx) })
}

// read is where a query runs: in the transaction given, or on the database.
func (s *Store) read(tx delivery.Tx) delivery.Tx {
	if tx == nil {
		return s.DB
	}
	return tx
}

// lock is the end of a query that reads a row to change it.
func lock(tx delivery.Tx) string {
	if e, ok := tx.(interface{ Engine() storage.Engine }); ok && tx != nil && e.Engine() == storage.Postgres {
		return " FOR UPDATE"
	}
	return ""
}

const outColumns = `seq, sender, id, service, method, path, query, content_type, body, size, digest, order_key, skip, kind, ref, user_id, activity, basis,
	dossier, state, attempts, created_at, expires_at, sent_at, accepted_at, done_at, status, answer_type, answer, error`

func scanOut(scan func(...any) error) (m delivery.Outgoing, err error) {
	var sender, service, state string
	var attempts, created, expires, sent, accepted, done, status int64
	err = scan(&m.Seq, &sender, &m.ID, &service, &m.Method, &m.Path, &m.Query, &m.ContentType, &m.Body, &m.Size, &m.Digest, &m.OrderKey, &m.Skip, &m.Kind, &m.Ref,
		&m.UserID, &m.Activity, &m.Basis, &m.Dossier, &state, &attempts, &created, &expires, &sent, &accepted, &done, &status, &m.AnswerType, &m.Answer, &m.Error)
	if err != nil {
		return m, err
	}
	m.State, m.Attempts, m.Status = delivery.State(state), int(attempts), int(status)
	m.Created, m.Expires, m.SentAt, m.Taken, m.Done = storage.Time(created), storage.Time(expires), storage.Time(sent), storage.Time(accepted), storage.Time(done)
	if m.From, err = orgcode.ParseSubsystem(sender); err != nil {
		return m, err
	}
	m.To, err = orgcode.ParseService(service)
	return m, err
}

// bytesOf is never nil: the columns hold no NULL.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// AddOut implements [delivery.Store].
func (s *Store) AddOut(ctx context.Context, tx delivery.Tx, m delivery.Outgoing) (stored delivery.Outgoing, added bool, err error) {
	res, err := tx.ExecContext(ctx, `INSERT INTO delivery_out (sender, id, service, peer, method, path, query, content_type, body, size, digest, order_key, skip, kind, ref,
		user_id, activity, basis, dossier, state, attempts, created_at, expires_at, sent_at, accepted_at, done_at, status, answer_type, answer, error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, 0, $21, $22, 0, 0, 0, 0, '', $23, '')
		ON CONFLICT (sender, id) DO NOTHING`,
		m.From.String(), m.ID, m.To.String(), m.To.Owner().MemberID(), m.Method, m.Path, m.Query, m.ContentType, bytesOf(m.Body), m.Size, m.Digest, m.OrderKey, m.Skip,
		m.Kind, m.Ref, m.UserID, m.Activity, m.Basis, m.Dossier, string(m.State), storage.Micros(m.Created), storage.Micros(m.Expires), []byte{})
	if err != nil {
		return m, false, err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return m, false, err
	}
	stored, err = storage.One(ctx, tx, scanOut, "delivery.message_unknown", `SELECT `+outColumns+` FROM delivery_out WHERE sender = $1 AND id = $2`, m.From.String(), m.ID)
	return stored, n == 1, err
}

// Out implements [delivery.Store].
func (s *Store) Out(ctx context.Context, tx delivery.Tx, seq int64) (delivery.Outgoing, error) {
	return storage.One(ctx, s.read(tx), scanOut, "delivery.message_unknown", `SELECT `+outColumns+` FROM delivery_out WHERE seq = $1`+lock(tx), seq)
}

// ByID implements [delivery.Store].
func (s *Store) ByID(ctx context.Context, sender, id string) (delivery.Outgoing, error) {
	return storage.One(ctx, s.DB, scanOut, "delivery.message_unknown", `SELECT `+outColumns+` FROM delivery_out WHERE sender = $1 AND id = $2`, sender, id)
}

// PutOut implements [delivery.Store].
func (s *Store) PutOut(ctx context.Context, tx delivery.Tx, m delivery.Outgoing) error {
	_, err := tx.ExecContext(ctx, `UPDATE delivery_out SET state = $1, attempts = $2, expires_at = $3, sent_at = $4, accepted_at = $5, done_at = $6, status = $7,
		answer_type = $8, answer = $9, error = $10 WHERE seq = $11`, string(m.State), int64(m.Attempts), storage.Micros(m.Expires), storage.Micros(m.SentAt),
		storage.Micros(m.Taken), storage.Micros(m.Done), int64(m.Status), m.AnswerType, bytesOf(m.Answer), m.Error, m.Seq)
	if err != nil || !m.State.Final() || m.State == delivery.Dead {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE delivery_out SET body = $1, user_id = '' WHERE seq = $2`, []byte{}, m.Seq)
	return err
}

const inColumns = `seq, sender, id, service, method, path, query, content_type, purpose, dossier, user_id, body, digest, order_key, mode, state, received_at,
	expires_at, done_at, lease, leased_until, attempts, status, answer_type, answer, error`

func scanIn(scan func(...any) error) (m delivery.Incoming, err error) {
	var state string
	var received, expires, done, leased, attempts, status int64
	err = scan(&m.Seq, &m.Sender, &m.ID, &m.Service, &m.Method, &m.Path, &m.Query, &m.ContentType, &m.Purpose, &m.Dossier, &m.UserID, &m.Body, &m.Digest, &m.OrderKey,
		&m.Mode, &state, &received, &expires, &done, &m.Lease, &leased, &attempts, &status, &m.Answer.ContentType, &m.Answer.Body, &m.Error)
	m.State, m.Attempts, m.Answer.Status = delivery.State(state), int(attempts), int(status)
	m.Received, m.Expires, m.Done, m.LeasedUntil = storage.Time(received), storage.Time(expires), storage.Time(done), storage.Time(leased)
	return m, err
}

// AddIn implements [delivery.Store].
func (s *Store) AddIn(ctx context.Context, tx delivery.Tx, m delivery.Incoming) (seq int64, err error) {
	list, err := storage.All(ctx, tx, func(scan func(...any) error) (n int64, err error) { return n, scan(&n) },
		`INSERT INTO delivery_in (sender, id, service, method, path, query, content_type, purpose, dossier, user_id, body, digest, order_key, mode, state, received_at,
		expires_at, done_at, lease, leased_until, attempts, status, answer_type, answer, error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, '', 0, 0, $19, $20, $21, $22)
		ON CONFLICT (sender, id) DO NOTHING RETURNING seq`,
		m.Sender, m.ID, m.Service, m.Method, m.Path, m.Query, m.ContentType, m.Purpose, m.Dossier, m.UserID, bytesOf(m.Body), m.Digest, m.OrderKey, m.Mode, string(m.State),
		storage.Micros(m.Received), storage.Micros(m.Expires), storage.Micros(m.Done), int64(m.Answer.Status), m.Answer.ContentType, bytesOf(m.Answer.Body), m.Error)
	if err == nil && len(list) == 0 {
		err = errs.E(errs.Conflict, "delivery.id_reused", nil)
	}
	if err != nil {
		return 0, err
	}
	return list[0], nil
}

// In implements [delivery.Store].
func (s *Store) In(ctx context.Context, sender, id string) (delivery.Incoming, error) {
	return storage.One(ctx, s.DB, scanIn, "delivery.message_unknown", `SELECT `+inColumns+` FROM delivery_in WHERE sender = $1 AND id = $2`, sender, id)
}

// InBySeq implements [delivery.Store].
func (s *Store) InBySeq(ctx context.Context, tx delivery.Tx, seq int64) (delivery.Incoming, error) {
	return storage.One(ctx, s.read(tx), scanIn, "delivery.message_unknown", `SELECT `+inColumns+` FROM delivery_in WHERE seq = $1`+lock(tx), seq)
}

// PutIn implements [delivery.Store].
func (s *Store) PutIn(ctx context.Context, tx delivery.Tx, m delivery.Incoming) error {
	_, err := tx.ExecContext(ctx, `UPDATE delivery_in SET state = $1, expires_at = $2, done_at = $3, lease = $4, leased_until = $5, attempts = $6, status = $7,
		answer_type = $8, answer = $9, error = $10 WHERE seq = $11`, string(m.State), storage.Micros(m.Expires), storage.Micros(m.Done), m.Lease,
		storage.Micros(m.LeasedUntil), int64(m.Attempts), int64(m.Answer.Status), m.Answer.ContentType, bytesOf(m.Answer.Body), m.Error, m.Seq)
	if err != nil || !m.State.Final() || m.State == delivery.Dead {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE delivery_in SET body = $1, user_id = '' WHERE seq = $2`, []byte{}, m.Seq)
	return err
}

// NextIn implements [delivery.Store]. A leased or dead message holds those behind it in its order.
func (s *Store) NextIn(ctx context.Context, tx delivery.Tx, service string, now time.Time) (delivery.Incoming, error) {
	end := ""
	if lock(tx) != "" {
		end = " FOR UPDATE SKIP LOCKED"
	}
	return storage.One(ctx, tx, scanIn, "delivery.inbox_empty", `SELECT `+inColumns+` FROM delivery_in m WHERE service = $1 AND state = 'accepted' AND mode = 'pull' AND leased_until <= $2
		AND (order_key = '' OR NOT EXISTS (SELECT 1 FROM delivery_in b WHERE b.service = m.service AND b.sender = m.sender AND b.order_key = m.order_key
			AND b.seq < m.seq AND b.state IN ('accepted', 'dead') AND b.mode = 'pull'))
		ORDER BY seq LIMIT 1`+end, service, storage.Micros(now))
}

// ByLease implements [delivery.Store].
func (s *Store) ByLease(ctx context.Context, tx delivery.Tx, lease string) (delivery.Incoming, error) {
	if lease == "" {
		return delivery.Incoming{}, errs.E(errs.NotFound, "delivery.lease_unknown", nil)
	}
	return storage.One(ctx, s.read(tx), scanIn, "delivery.lease_unknown", `SELECT `+inColumns+` FROM delivery_in WHERE lease = $1`+lock(tx), lease)
}

// Queue implements [delivery.Store].
func (s *Store) Queue(ctx context.Context) ([]delivery.QueueRow, error) {
	return storage.All(ctx, s.DB, func(scan func(...any) error) (r delivery.QueueRow, err error) {
		var state string
		var oldest int64
		err = scan(&r.Peer, &state, &r.N, &oldest)
		r.State, r.Oldest = delivery.State(state), storage.Time(oldest)
		return r, err
	}, `SELECT peer, state, COUNT(*), MIN(created_at) FROM delivery_out WHERE state IN ('queued', 'sent', 'accepted', 'dead') GROUP BY peer, state ORDER BY peer, state`)
}

// DeadOut implements [delivery.Store].
func (s *Store) DeadOut(ctx context.Context, limit int) ([]delivery.Outgoing, error) {
	return storage.All(ctx, s.DB, scanOut, `SELECT `+outColumns+` FROM delivery_out WHERE state = 'dead' ORDER BY created_at, seq LIMIT $1`, limit)
}

// DeadIn implements [delivery.Store].
func (s *Store) DeadIn(ctx context.Context, limit int) ([]delivery.Incoming, error) {
	return storage.All(ctx, s.DB, scanIn, `SELECT `+inColumns+` FROM delivery_in WHERE state = 'dead' ORDER BY seq LIMIT $1`, limit)
}

// Prune implements [delivery.Store].
func (s *Store) Prune(ctx context.Context, messages, events time.Time) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		for _, q := range []string{
			`DELETE FROM delivery_out WHERE state IN ('delivered', 'answered', 'expired', 'dropped') AND done_at < $1`,
			`DELETE FROM delivery_in WHERE state IN ('delivered', 'answered', 'expired', 'dropped') AND done_at < $1`,
		} {
			if _, err := tx.ExecContext(ctx, q, storage.Micros(messages)); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM delivery_event WHERE at < $1`, storage.Micros(events))
		return err
	})
}
