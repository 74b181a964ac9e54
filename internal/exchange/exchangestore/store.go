// Package exchangestore keeps the rebuildable index of the exchange log, and the API keys of the edge, in SQL.
package exchangestore

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/storage"
)

// Migrations holds the tables of this module, in the folder migrations.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store implements [exchange.Store] and [exchange.KeyStore]. A node has one: it remembers API keys that it has found, and
// forgets them when one is added or revoked through it.
type Store struct {
	DB *storage.DB
	// Now is the clock by which found keys are forgotten after a second, because another process of the node may have
	// revoked them. Without a clock none are remembered.
	Now  func() time.Time
	keys keyMemory
}

const columns = `seq, role, request_id, exchange_id, client, service, method, path, status, outcome, at, duration,
	request_index, response_index, request_body_index, response_body_index, request_size, response_size, activity, dossier,
	grant_hash, delegator, service_delegator, recorded, request_out, response_in, peer, trace_id, fault_id`

// Record implements [exchange.Store]. A row that was rebuilt from half an exchange is completed, never emptied.
func (s *Store) Record(ctx context.Context, ms []exchange.Message) (err error) {
	defer errs.Wrap(&err, "index %d messages", len(ms))
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		if tx.Engine() == storage.SQLite { // there is no way to the server to save, and long statements are slow
			return tx.ExecEach(ctx, insertText(1), func(yield func([]any) bool) {
				args := make([]any, 0, insertBinds)
				for i := range ms {
					if !yield(appendRow(args[:0], &ms[i])) {
						return
					}
				}
			})
		}
		texts := map[int]string{}
		for rest := ms; len(rest) > 0; {
			n := chunk(rest)
			if texts[n] == "" {
				texts[n] = insertText(n)
			}
			args := make([]any, 0, n*insertBinds)
			for i := range rest[:n] {
				args = appendRow(args, &rest[i])
			}
			if _, err := tx.ExecContext(ctx, texts[n], args...); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	})
}

func appendRow(args []any, m *exchange.Message) []any {
	return append(args, m.Role, m.RequestID, m.ExchangeID, m.Client, m.Service, m.Method, m.Path, int64(m.Status), m.Outcome, storage.Micros(m.At),
		m.Duration.Microseconds(), m.RequestIndex, m.ResponseIndex, m.RequestBodyIndex, m.ResponseBodyIndex, m.RequestSize, m.ResponseSize,
		m.Activity, m.Dossier, m.Grant, m.Delegator, m.ServiceDelegator,
		storage.Micros(m.Recorded), storage.Micros(m.RequestOut), storage.Micros(m.ResponseIn), m.Peer, m.TraceID, m.FaultID)
}

const insertBinds = 28

// chunk is how many rows go into the next statement: a few fixed numbers, so that there are few texts, and one alone when
// two of them are the same row, which PostgreSQL refuses to write twice in one statement.
func chunk(ms []exchange.Message) int {
	for _, n := range []int{12, 4} {
		if len(ms) < n {
			continue
		}
		seen := make(map[[2]string]bool, n)
		for _, m := range ms[:n] {
			seen[[2]string{m.Role, m.RequestID}] = true
		}
		if len(seen) == n {
			return n
		}
	}
	return 1
}

// insertText is the statement for n rows.
func insertText(n int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO exchange_message (role, request_id, exchange_id, client, service, method, path, status, outcome, at,
		duration, request_index, response_index, request_body_index, response_body_index, request_size, response_size, activity, dossier,
		grant_hash, delegator, service_delegator, recorded, request_out, response_in, peer, trace_id, fault_id) VALUES `)
	for i := range n * insertBinds {
		switch {
		case i == 0:
			b.WriteByte('(')
		case i%insertBinds == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(i + 1))
	}
	b.WriteString(`) ON CONFLICT (role, request_id) DO UPDATE SET status = excluded.status, outcome = excluded.outcome, duration = excluded.duration,
		response_index = excluded.response_index, response_size = excluded.response_size, request_size = excluded.request_size,
		request_body_index = excluded.request_body_index, response_body_index = excluded.response_body_index, recorded = excluded.recorded
		WHERE exchange_message.response_index < excluded.response_index
		OR exchange_message.response_body_index < excluded.response_body_index AND exchange_message.response_index = excluded.response_index`)
	return b.String()
}

// Recent implements [exchange.Store].
func (s *Store) Recent(ctx context.Context, f exchange.Filter) ([]exchange.Message, error) {
	var where []string
	var args []any
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(cond, len(args)))
	}
	if f.Role != "" {
		add("role = $%d", f.Role)
	}
	if f.Client != "" {
		add("client = $%d", f.Client)
	}
	if f.Service != "" {
		add("service = $%d", f.Service)
	}
	if f.Faults {
		add("outcome <> $%d", "ok")
	}
	if f.Outcome != "" {
		add("outcome = $%d", f.Outcome)
	}
	if f.Peer != "" {
		add("peer = $%d", f.Peer)
	}
	if f.FaultID != "" {
		add("fault_id = $%d", f.FaultID)
	}
	if !f.Since.IsZero() {
		add("at >= $%d", storage.Micros(f.Since))
	}
	if f.Before > 0 {
		add("seq < $%d", f.Before)
	}
	cond := ""
	if len(where) > 0 {
		cond = " WHERE " + strings.Join(where, " AND ")
	}
	if f.Limit <= 0 || f.Limit > 500 {
		f.Limit = 100
	}
	args = append(args, int64(f.Limit))
	return s.list(ctx, fmt.Sprintf(`SELECT %s FROM exchange_message%s ORDER BY seq DESC LIMIT $%d`, columns, cond, len(args)), args...)
}

// ByExchange implements [exchange.Store].
func (s *Store) ByExchange(ctx context.Context, exchangeID string) ([]exchange.Message, error) {
	return s.list(ctx, `SELECT `+columns+` FROM exchange_message WHERE exchange_id = $1 ORDER BY seq LIMIT 200`, exchangeID)
}

func (s *Store) list(ctx context.Context, query string, args ...any) ([]exchange.Message, error) {
	rows, err := s.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []exchange.Message
	for rows.Next() {
		m, err := scanMessage(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

// scanMessage reads the columns of a row.
func scanMessage(scan func(...any) error) (m exchange.Message, err error) {
	var status, at, duration, recorded, requestOut, responseIn int64
	err = scan(&m.Seq, &m.Role, &m.RequestID, &m.ExchangeID, &m.Client, &m.Service, &m.Method, &m.Path, &status, &m.Outcome, &at, &duration,
		&m.RequestIndex, &m.ResponseIndex, &m.RequestBodyIndex, &m.ResponseBodyIndex, &m.RequestSize, &m.ResponseSize, &m.Activity, &m.Dossier,
		&m.Grant, &m.Delegator, &m.ServiceDelegator, &recorded, &requestOut, &responseIn, &m.Peer, &m.TraceID, &m.FaultID)
	m.Status, m.At, m.Duration = int(status), storage.Time(at), time.Duration(duration)*time.Microsecond
	m.Recorded, m.RequestOut, m.ResponseIn = storage.Time(recorded), storage.Time(requestOut), storage.Time(responseIn)
	return m, err
}

// Stats implements [exchange.Store].
func (s *Store) Stats(ctx context.Context, since time.Time) ([]exchange.Count, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT role, service, outcome, COUNT(*) FROM exchange_message WHERE at >= $1
		GROUP BY role, service, outcome ORDER BY role, service, outcome`, storage.Micros(since))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []exchange.Count
	for rows.Next() {
		var c exchange.Count
		if err := rows.Scan(&c.Role, &c.Service, &c.Outcome, &c.N); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Indexed implements [exchange.Store].
func (s *Store) Indexed(ctx context.Context) (int64, error) {
	var a, b, c, d int64
	err := s.DB.QueryRowContext(ctx, `SELECT COALESCE(MAX(request_index), -1), COALESCE(MAX(response_index), -1),
		COALESCE(MAX(request_body_index), -1), COALESCE(MAX(response_body_index), -1) FROM exchange_message`).Scan(&a, &b, &c, &d)
	return max(a, b, c, d) + 1, err
}

// RequestIDs implements [exchange.Store].
func (s *Store) RequestIDs(ctx context.Context, since time.Time) ([]string, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT request_id FROM exchange_message WHERE role = $1 AND at >= $2`, exchange.RoleProvider, storage.Micros(since))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// AddKey implements [exchange.KeyStore].
func (s *Store) AddKey(ctx context.Context, k exchange.APIKey) error {
	defer s.keys.forget()
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO exchange_apikey (id, kind, hash, thumbprint, subsystem, label, error_codes, created_at, created_by, revoked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)`, k.ID, cmp.Or(k.Kind, exchange.ClientKey), k.Hash, k.Thumbprint, k.Subsystem, k.Label, k.ErrorCodes,
			storage.Micros(k.CreatedAt), k.CreatedBy)
		if storage.IsDuplicate(err) {
			return errs.E(errs.Conflict, "exchange.key_exists", err)
		}
		return err
	})
}

// KeyByHash implements [exchange.KeyStore].
func (s *Store) KeyByHash(ctx context.Context, hash string) (exchange.APIKey, error) {
	var now time.Time
	if s.Now != nil {
		now = s.Now()
	}
	k, era, ok := s.keys.find(hash, now)
	if ok {
		return k, nil
	}
	k.Hash = hash
	var created int64
	err := s.DB.QueryRowContext(ctx, `SELECT id, kind, thumbprint, subsystem, label, error_codes, created_at, created_by FROM exchange_apikey
		WHERE hash = $1 AND revoked_at = 0`, hash).Scan(&k.ID, &k.Kind, &k.Thumbprint, &k.Subsystem, &k.Label, &k.ErrorCodes, &created, &k.CreatedBy)
	if storage.IsNoRows(err) {
		return k, errs.E(errs.NotFound, "exchange.key_unknown", err)
	}
	k.CreatedAt = storage.Time(created)
	if err == nil && s.Now != nil {
		s.keys.keep(k, era, now)
	}
	return k, err
}

// keyMemory holds keys that were found, because every request of a program asks for one.
type keyMemory struct {
	mu  sync.Mutex // guards all below
	era int64      // counts what may have changed a key
	m   map[string]knownKey
}

type knownKey struct {
	exchange.APIKey
	at time.Time
}

const (
	maxKeyMemory = 4096
	// keyMemorySpan is how long a revocation by another process may go unnoticed (spec D11: within a second).
	keyMemorySpan = 900 * time.Millisecond
)

func (k *keyMemory) find(hash string, now time.Time) (key exchange.APIKey, era int64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok := k.m[hash]
	if !ok || now.Sub(known.at).Abs() > keyMemorySpan {
		return key, k.era, false
	}
	return known.APIKey, k.era, true
}

// keep remembers a key, unless something changed since era: it was read before, and may have been revoked meanwhile.
func (k *keyMemory) keep(key exchange.APIKey, era int64, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.era != era {
		return
	}
	if k.m == nil || len(k.m) >= maxKeyMemory {
		k.m = map[string]knownKey{}
	}
	k.m[key.Hash] = knownKey{key, now}
}

// forget is called when a change of keys has been committed or may have been.
func (k *keyMemory) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.era++
	clear(k.m)
}

// Keys implements [exchange.KeyStore].
func (s *Store) Keys(ctx context.Context) ([]exchange.APIKey, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT id, kind, hash, thumbprint, subsystem, label, error_codes, created_at, created_by, revoked_at
		FROM exchange_apikey ORDER BY created_at, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []exchange.APIKey
	for rows.Next() {
		var k exchange.APIKey
		var created, revoked int64
		if err := rows.Scan(&k.ID, &k.Kind, &k.Hash, &k.Thumbprint, &k.Subsystem, &k.Label, &k.ErrorCodes, &created, &k.CreatedBy, &revoked); err != nil {
			return nil, err
		}
		k.CreatedAt, k.RevokedAt = storage.Time(created), storage.Time(revoked)
		out = append(out, k)
	}
	return out, rows.Err()
}

// RevokeKey implements [exchange.KeyStore].
func (s *Store) RevokeKey(ctx context.Context, id string, at time.Time) error {
	defer s.keys.forget()
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE exchange_apikey SET revoked_at = $1, hash = hash || $3 WHERE id = $2 AND revoked_at = 0`, storage.Micros(at), id,
			" revoked "+id) // a program's TLS key may be pinned again
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errs.E(errs.NotFound, "exchange.key_unknown", err)
		}
		return nil
	})
}
