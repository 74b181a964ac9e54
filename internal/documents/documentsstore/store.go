// Package documentsstore keeps the documents of the desk in SQL: one text for SQLite and PostgreSQL. It decides nothing;
// the rules are in the root package.
package documentsstore

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/outbox"
	"truc/internal/storage"
)

// Migrations holds the tables of this package.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store implements [documents.Store] on one database.
type Store struct {
	DB *storage.DB
	// Now is the node's clock, for outbox rows.
	Now func() time.Time
	// Wake is called after a commit that added to the outbox; it may be nil.
	Wake func()
}

var _ documents.Store = (*Store)(nil)

type tx struct {
	*storage.Tx
	s      *Store
	queued bool
}

// Querier returns the transaction behind a queue of this store, for ports that write rows of their own in it.
func Querier(q documents.Queue) (outbox.Querier, bool) {
	t, ok := q.(*tx)
	if !ok {
		return nil, false
	}
	t.queued = true // whoever asks for it adds to the outbox
	return t.Tx, true
}

// InTx implements [documents.Store].
func (s *Store) InTx(ctx context.Context, f func(documents.Tx) error) error {
	return s.DB.InTx(ctx, func(raw *storage.Tx) error {
		t := &tx{Tx: raw, s: s}
		if err := f(t); err != nil {
			return err
		}
		if t.queued && s.Wake != nil {
			raw.AfterCommit(s.Wake)
		}
		return nil
	})
}

// Enqueue implements [documents.Queue].
func (t *tx) Enqueue(ctx context.Context, id, topic, key string, payload any) error {
	t.queued = true
	return outbox.AddJSON(ctx, t.Tx, t.s.Now(), id, topic, key, payload)
}

const columns = `id, direction, office, state, kind, type, number, notation, n, doc_date, subject, party, party_name, document_id, search,
	drafter, holder, signer, urgency, due_at, clock, send_at, flags, registered_at, sent_at, done_at, created_at, updated_at, row_version`

func scanRow(scan func(...any) error) (r documents.Row, err error) {
	var due, sendAt, registered, sent, done, created, updated int64
	var flags string
	err = scan(&r.ID, &r.Direction, &r.Office, &r.State, &r.Kind, &r.Type, &r.Number, &r.Notation, &r.N, &r.Date, &r.Subject, &r.Party,
		&r.PartyName, &r.DocumentID, &r.Search, &r.Drafter, &r.Holder, &r.Signer, &r.Urgency, &due, &r.Clock, &sendAt, &flags,
		&registered, &sent, &done, &created, &updated, &r.Version)
	r.Due, r.SendAt, r.RegisterAt, r.SentAt = storage.Time(due), storage.Time(sendAt), storage.Time(registered), storage.Time(sent)
	r.DoneAt, r.CreatedAt, r.UpdatedAt = storage.Time(done), storage.Time(created), storage.Time(updated)
	r.Flags = strings.Fields(flags)
	return r, err
}

func values(r documents.Row) []any {
	return []any{
		r.ID, r.Direction, r.Office, r.State, int64(r.Kind), r.Type, r.Number, r.Notation, r.N, r.Date, r.Subject, r.Party, r.PartyName,
		r.DocumentID, r.Search, r.Drafter, r.Holder, r.Signer, int64(r.Urgency), storage.Micros(r.Due), r.Clock, storage.Micros(r.SendAt),
		strings.Join(r.Flags, " "), storage.Micros(r.RegisterAt), storage.Micros(r.SentAt), storage.Micros(r.DoneAt),
		storage.Micros(r.CreatedAt), storage.Micros(r.UpdatedAt), r.Version, numberKey(r.Number),
	}
}

// numberKey is a number without leading zeros, in lower case: "08" is found as "8".
func numberKey(s string) string { return strings.ToLower(strings.TrimLeft(strings.TrimSpace(s), "0")) }

// Find implements [documents.Store].
func (s *Store) Find(ctx context.Context, id string) (documents.Stored, error) {
	return find(ctx, s.DB, id, "")
}

// Find implements [documents.Tx]; the row is locked until the transaction ends.
func (t *tx) Find(ctx context.Context, id string) (documents.Stored, error) {
	lock := ""
	if t.Engine() == storage.Postgres {
		lock = " FOR UPDATE"
	}
	return find(ctx, t.Tx, id, lock)
}

func find(ctx context.Context, q storage.Querier, id, lock string) (out documents.Stored, err error) {
	out.Row, err = scanRow(q.QueryRowContext(ctx, `SELECT `+columns+` FROM documents_document WHERE id = $1`+lock, id).Scan)
	if err != nil {
		if storage.IsNoRows(err) {
			return out, errs.E(errs.NotFound, "documents.not_found", err)
		}
		return out, err
	}
	if out.Events, err = events(ctx, q, id); err != nil {
		return out, err
	}
	out.Row.Viewers, err = viewers(ctx, q, id)
	return out, err
}

func events(ctx context.Context, q storage.Querier, id string) ([]documents.Event, error) {
	rows, err := q.QueryContext(ctx, `SELECT body, prev_hash, hash FROM documents_event WHERE document = $1 ORDER BY seq`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []documents.Event
	for rows.Next() {
		var e documents.Event
		var body []byte
		var prev, hash string
		if err := rows.Scan(&body, &prev, &hash); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, fmt.Errorf("event of document %s: %w", id, err)
		}
		e.Raw, e.PrevHash, e.Hash = body, prev, hash
		out = append(out, e)
	}
	return out, rows.Err()
}

func viewers(ctx context.Context, q storage.Querier, id string) ([]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT account FROM documents_viewer WHERE document = $1 ORDER BY account`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var a string
		if err := rows.Scan(&a); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// Insert implements [documents.Tx].
func (t *tx) Insert(ctx context.Context, r documents.Row, added []documents.Event) error {
	_, err := t.ExecContext(ctx, `INSERT INTO documents_document (`+columns+`, number_key) VALUES
		($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)`,
		values(r)...)
	if err != nil {
		return conflict(err)
	}
	return t.addEvents(ctx, r, added)
}

// Append implements [documents.Tx].
func (t *tx) Append(ctx context.Context, r documents.Row, oldVersion int64, added []documents.Event) error {
	res, err := t.ExecContext(ctx, `UPDATE documents_document SET id = $1, direction = $2, office = $3, state = $4, kind = $5, type = $6, number = $7,
		notation = $8, n = $9, doc_date = $10, subject = $11, party = $12, party_name = $13, document_id = $14, search = $15, drafter = $16,
		holder = $17, signer = $18, urgency = $19, due_at = $20, clock = $21, send_at = $22, flags = $23, registered_at = $24, sent_at = $25,
		done_at = $26, created_at = $27, updated_at = $28, row_version = $29, number_key = $30 WHERE id = $31 AND row_version = $32`,
		append(values(r), r.ID, oldVersion)...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errs.E(errs.Conflict, "documents.changed", errors.Join(err, errors.New("row version differs")))
	}
	return t.addEvents(ctx, r, added)
}

func (t *tx) addEvents(ctx context.Context, r documents.Row, added []documents.Event) error {
	for _, e := range added {
		_, err := t.ExecContext(ctx, `INSERT INTO documents_event (document, seq, type, at, body, prev_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			r.ID, e.Seq, e.Type, storage.Micros(e.At), e.Raw, e.PrevHash, e.Hash)
		if err != nil {
			return conflict(err)
		}
	}
	for _, e := range added {
		for _, sha := range e.Contents() {
			_, err := t.ExecContext(ctx, `INSERT INTO documents_content (sha256, document) VALUES ($1, $2) ON CONFLICT (sha256, document) DO NOTHING`, sha, r.ID)
			if err != nil {
				return err
			}
		}
	}
	for _, v := range r.Viewers {
		_, err := t.ExecContext(ctx, `INSERT INTO documents_viewer (account, document) VALUES ($1, $2) ON CONFLICT (account, document) DO NOTHING`, v, r.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

func conflict(err error) error {
	if storage.IsDuplicate(err) {
		return errs.E(errs.Conflict, "documents.changed", err)
	}
	return err
}

// TakeNumber implements [documents.Tx]: an atomic upsert in the transaction of the event that needs the number, so that a
// number is neither given twice nor lost.
func (t *tx) TakeNumber(ctx context.Context, n documents.Number) (int64, error) {
	err := t.QueryRowContext(ctx, `INSERT INTO documents_series (office, direction, year, series, n) VALUES ($1, $2, $3, $4, 1)
		ON CONFLICT (office, direction, year, series) DO UPDATE SET n = documents_series.n + 1 RETURNING n`,
		n.Office, n.Direction, n.Year, n.Series).Scan(&n.N)
	if err != nil {
		return 0, err
	}
	_, err = t.ExecContext(ctx, `INSERT INTO documents_number (office, direction, year, series, n, notation, document, taken_at, voided_at, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, '')`, n.Office, n.Direction, n.Year, n.Series, n.N, n.Notation, n.Document, storage.Micros(n.At))
	return n.N, conflict(err)
}

// VoidNumber implements [documents.Tx].
func (t *tx) VoidNumber(ctx context.Context, document string, at time.Time, reason string) error {
	res, err := t.ExecContext(ctx, `UPDATE documents_number SET voided_at = $1, reason = $2 WHERE document = $3 AND direction = $4 AND voided_at = 0`,
		storage.Micros(at), reason, document, documents.Out)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errs.E(errs.Conflict, "documents.changed", errors.Join(err, errors.New("no number to void")))
	}
	return nil
}

// Seen implements [documents.Tx].
func (t *tx) Seen(ctx context.Context, message string, now time.Time) (bool, error) {
	res, err := t.ExecContext(ctx, `INSERT INTO documents_seen (message, seen_at) VALUES ($1, $2) ON CONFLICT (message) DO NOTHING`, message, storage.Micros(now))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 0, err
}

// Numbers implements [documents.Store].
func (s *Store) Numbers(ctx context.Context, office string, dir documents.Direction, from, to time.Time) ([]documents.Number, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT office, direction, year, series, n, notation, document, taken_at, voided_at, reason FROM documents_number
		WHERE office = $1 AND direction = $2 AND taken_at >= $3 AND taken_at < $4 ORDER BY year, series, n LIMIT 100001`,
		office, dir, storage.Micros(from), storage.Micros(to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []documents.Number
	for rows.Next() {
		var n documents.Number
		var taken, voided int64
		if err := rows.Scan(&n.Office, &n.Direction, &n.Year, &n.Series, &n.N, &n.Notation, &n.Document, &taken, &voided, &n.Reason); err != nil {
			return nil, err
		}
		n.At, n.VoidedAt = storage.Time(taken), storage.Time(voided)
		out = append(out, n)
	}
	return out, rows.Err()
}

// Refers implements [documents.Store].
func (s *Store) Refers(ctx context.Context, sha256 string) (bool, error) {
	var n int
	err := s.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM documents_content WHERE sha256 = $1 LIMIT 1) AS found`, sha256).Scan(&n)
	return n > 0, err
}

// Opened implements [documents.Store].
func (s *Store) Opened(ctx context.Context, o documents.Opening) error {
	_, err := s.DB.ExecContext(ctx, `INSERT INTO documents_opening (document, at, account, name, what) VALUES ($1, $2, $3, $4, $5)`,
		o.Document, storage.Micros(o.At), o.Account, o.Name, o.What)
	return err
}

// Openings implements [documents.Store].
func (s *Store) Openings(ctx context.Context, id string, limit int) ([]documents.Opening, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT document, at, account, name, what FROM documents_opening WHERE document = $1 ORDER BY at DESC LIMIT $2`, id, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []documents.Opening
	for rows.Next() {
		var o documents.Opening
		var at int64
		if err := rows.Scan(&o.Document, &at, &o.Account, &o.Name, &o.What); err != nil {
			return nil, err
		}
		o.At = storage.Time(at)
		out = append(out, o)
	}
	return out, rows.Err()
}

// Tally implements [documents.Store].
func (s *Store) Tally(ctx context.Context, q documents.TallyQuery) ([]documents.TallyRow, error) {
	rows, err := s.DB.QueryContext(ctx, `WITH chosen AS (
			SELECT direction, type, state, CASE WHEN sent_at <> 0 THEN 1 ELSE 0 END AS sent,
				CASE WHEN due_at <> 0 AND done_at = 0 AND due_at < $1 THEN 1 ELSE 0 END AS late
			FROM documents_document WHERE office = $2
				AND (direction = $3 AND registered_at >= $4 AND registered_at < $5 OR direction = $6 AND created_at >= $7 AND created_at < $8))
		SELECT direction, type, state, sent, late, COUNT(*) FROM chosen GROUP BY direction, type, state, sent, late`,
		storage.Micros(q.Now), q.Office, documents.Out, storage.Micros(q.From), storage.Micros(q.To), documents.In, storage.Micros(q.From), storage.Micros(q.To))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []documents.TallyRow
	for rows.Next() {
		var r documents.TallyRow
		var sent, late int
		if err := rows.Scan(&r.Direction, &r.Type, &r.State, &sent, &late, &r.Count); err != nil {
			return nil, err
		}
		r.Sent, r.Late = sent == 1, late == 1
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b documents.TallyRow) int {
		return strings.Compare(string(a.Direction)+a.Type+string(a.State), string(b.Direction)+b.Type+string(b.State))
	})
	return out, rows.Err()
}
