// Package directorystore keeps the center's registry in SQL.
//
// The registry is small (hundreds of nodes, thousands of services), so a change loads it whole, lets the rules of
// directory alter it in memory, and writes back the rows that differ. The rules therefore stay free of SQL.
package directorystore

import (
	"context"
	"embed"
	"encoding/json"
	"maps"
	"reflect"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/storage"
)

// Migrations holds the tables of this module, in the folder migrations.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store implements [directory.Store].
type Store struct {
	DB *storage.DB
	// Tell is called in the transaction of a change for each of its events, so that the event is recorded if and only
	// if the change is. Nil tells nobody.
	Tell func(ctx context.Context, tx *storage.Tx, e directory.Event) error
}

// View implements [directory.Store].
func (s *Store) View(ctx context.Context) (*directory.State, error) { return load(ctx, s.DB) }

// Change implements [directory.Store].
func (s *Store) Change(ctx context.Context, f func(*directory.State) error) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE directory_lock SET changes = changes + 1 WHERE id = 1`); err != nil {
			return err
		}
		before, err := load(ctx, tx)
		if err != nil {
			return err
		}
		after := clone(before)
		if err := f(after); err != nil {
			return err
		}
		if err := save(ctx, tx, before, after); err != nil {
			return err
		}
		if s.Tell == nil {
			return nil
		}
		for _, e := range after.Events {
			if err := s.Tell(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// Envelope implements [directory.Store].
func (s *Store) Envelope(ctx context.Context) (envelope []byte, hash string, err error) {
	err = s.DB.QueryRowContext(ctx, `SELECT envelope, hash FROM directory_document ORDER BY version DESC LIMIT 1`).Scan(&envelope, &hash)
	if storage.IsNoRows(err) {
		return nil, "", directory.NoDocument()
	}
	return envelope, hash, err
}

// Newest implements [directory.Store].
func (s *Store) Newest(ctx context.Context) (hash string, err error) {
	err = s.DB.QueryRowContext(ctx, `SELECT hash FROM directory_document ORDER BY version DESC LIMIT 1`).Scan(&hash)
	if storage.IsNoRows(err) {
		return "", directory.NoDocument()
	}
	return hash, err
}

// Version returns the envelope of one version.
func (s *Store) Version(ctx context.Context, version int64) (envelope []byte, err error) {
	err = s.DB.QueryRowContext(ctx, `SELECT envelope FROM directory_document WHERE version = $1`, version).Scan(&envelope)
	if storage.IsNoRows(err) {
		return nil, directory.NoDocument()
	}
	return envelope, err
}

// Touch implements [directory.Store].
func (s *Store) Touch(ctx context.Context, node string, at time.Time) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE directory_node SET last_seen = $1 WHERE id = $2`, storage.Micros(at), node)
		return err
	})
}

func clone(s *directory.State) *directory.State {
	c := &directory.State{
		Members: map[string]directory.Member{}, Nodes: map[string]directory.NodeRecord{}, Services: map[string]directory.Service{},
		Tokens: map[string]directory.TokenRecord{}, Revoked: map[string]directory.Revocation{}, Head: s.Head,
		Subsystems: map[string]directory.Subsystem{}, Groups: map[string]directory.Group{}, Requests: map[string]directory.PendingJoin{}, Policy: s.Policy,
		Leaves: map[string]directory.Leave{},
	}
	maps.Copy(c.Leaves, s.Leaves)
	maps.Copy(c.Subsystems, s.Subsystems)
	maps.Copy(c.Groups, s.Groups)
	maps.Copy(c.Requests, s.Requests)
	maps.Copy(c.Members, s.Members)
	maps.Copy(c.Nodes, s.Nodes)
	maps.Copy(c.Services, s.Services)
	maps.Copy(c.Tokens, s.Tokens)
	maps.Copy(c.Revoked, s.Revoked)
	return c
}

// each runs a query and calls row for each of its rows.
func each(ctx context.Context, q storage.Querier, query string, row func(scan func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func load(ctx context.Context, q storage.Querier) (s *directory.State, err error) {
	defer errs.Wrap(&err, "load registry")
	s = clone(&directory.State{})
	err = each(ctx, q, `SELECT id, body FROM directory_member`, func(scan func(...any) error) error {
		var id, body string
		var m directory.Member
		if err := scan(&id, &body); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(body), &m)
		s.Members[id] = m
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, q, `SELECT id, body, certificate, not_after, joined_at, last_seen, published_at, tls_changed_at FROM directory_node`, func(scan func(...any) error) error {
		var n directory.NodeRecord
		var body string
		var notAfter, joined, seen, tlsChanged int64
		if err := scan(&n.ID, &body, &n.CertificatePEM, &notAfter, &joined, &seen, &n.PublishedAt, &tlsChanged); err != nil {
			return err
		}
		n.NotAfter, n.JoinedAt, n.LastSeen, n.TLSChangedAt = storage.Time(notAfter), storage.Time(joined), storage.Time(seen), storage.Time(tlsChanged)
		err := json.Unmarshal([]byte(body), &n.Node)
		s.Nodes[n.ID] = n
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, q, `SELECT id, body FROM directory_service`, func(scan func(...any) error) error {
		var id, body string
		var x directory.Service
		if err := scan(&id, &body); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(body), &x)
		s.Services[id] = x
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, loadRest(ctx, q, s)
}

func loadRest(ctx context.Context, q storage.Querier, s *directory.State) error {
	err := each(ctx, q, `SELECT id, member, node, public_key, created_at, expires_at, created_by, used_at, tls_key_id, signing_key_id, approval
		FROM directory_token`, func(scan func(...any) error) error {
		var t directory.TokenRecord
		var created, expires, used, approval int64
		err := scan(&t.ID, &t.Member, &t.Node, &t.PublicKey, &created, &expires, &t.CreatedBy, &used, &t.TLSKeyID, &t.SigningKeyID, &approval)
		t.Approval = approval != 0
		t.CreatedAt, t.ExpiresAt, t.UsedAt = storage.Time(created), storage.Time(expires), storage.Time(used)
		s.Tokens[t.ID] = t
		return err
	})
	if err != nil {
		return err
	}
	err = each(ctx, q, `SELECT key_id, node, reason, revoked_at FROM directory_revocation`, func(scan func(...any) error) error {
		var r directory.Revocation
		var at int64
		err := scan(&r.KeyID, &r.Node, &r.Reason, &at)
		r.At = storage.Time(at)
		s.Revoked[r.KeyID] = r
		return err
	})
	if err != nil {
		return err
	}
	if err := loadEntries(ctx, q, s); err != nil {
		return err
	}
	h := &s.Head
	err = q.QueryRowContext(ctx, `SELECT version, hash, envelope, issued_at, expires_at FROM directory_document ORDER BY version DESC LIMIT 1`).
		Scan(&h.Version, &h.Hash, &h.Envelope, &h.IssuedAt, &h.ExpiresAt)
	if storage.IsNoRows(err) {
		return nil
	}
	return err
}

// save writes what differs. Tokens, members and services may go; nodes, revocations and documents never do.
func save(ctx context.Context, tx *storage.Tx, before, after *directory.State) (err error) {
	defer errs.Wrap(&err, "save registry")
	for id, m := range after.Members {
		if old, ok := before.Members[id]; !ok || !reflect.DeepEqual(old, m) {
			if err := putBody(ctx, tx, `INSERT INTO directory_member (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body`, id, m); err != nil {
				return err
			}
		}
	}
	for id, x := range after.Services {
		if old, ok := before.Services[id]; !ok || !reflect.DeepEqual(old, x) {
			if err := putBody(ctx, tx, `INSERT INTO directory_service (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body`, id, x); err != nil {
				return err
			}
		}
	}
	for id := range before.Services {
		if _, ok := after.Services[id]; !ok {
			if _, err := tx.ExecContext(ctx, `DELETE FROM directory_service WHERE id = $1`, id); err != nil {
				return err
			}
		}
	}
	for id, n := range after.Nodes {
		if old, ok := before.Nodes[id]; !ok || !reflect.DeepEqual(old, n) {
			if err := putNode(ctx, tx, n); err != nil {
				return err
			}
		}
	}
	for id, r := range after.Revoked {
		if _, ok := before.Revoked[id]; ok {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO directory_revocation (key_id, node, reason, revoked_at) VALUES ($1, $2, $3, $4)`,
			r.KeyID, r.Node, r.Reason, storage.Micros(r.At)); err != nil {
			return err
		}
	}
	if err := saveTokens(ctx, tx, before, after); err != nil {
		return err
	}
	if err := saveEntries(ctx, tx, before, after); err != nil {
		return err
	}
	if h := after.Head; h.Version != before.Head.Version {
		_, err = tx.ExecContext(ctx, `INSERT INTO directory_document (version, hash, envelope, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			h.Version, h.Hash, h.Envelope, h.IssuedAt, h.ExpiresAt)
	}
	return err
}

func saveTokens(ctx context.Context, tx *storage.Tx, before, after *directory.State) error {
	for id, t := range after.Tokens {
		if old, ok := before.Tokens[id]; ok && reflect.DeepEqual(old, t) {
			continue
		}
		approval := 0
		if t.Approval {
			approval = 1
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO directory_token (id, member, node, public_key, created_at, expires_at, created_by, used_at, tls_key_id, signing_key_id, approval)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at, tls_key_id = excluded.tls_key_id, signing_key_id = excluded.signing_key_id`,
			t.ID, t.Member, t.Node, t.PublicKey, storage.Micros(t.CreatedAt), storage.Micros(t.ExpiresAt), t.CreatedBy, storage.Micros(t.UsedAt), t.TLSKeyID, t.SigningKeyID, approval)
		if err != nil {
			return err
		}
	}
	for id := range before.Tokens {
		if _, ok := after.Tokens[id]; !ok {
			if _, err := tx.ExecContext(ctx, `DELETE FROM directory_token WHERE id = $1`, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func putBody(ctx context.Context, tx *storage.Tx, query, id string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, query, id, string(b))
	return err
}

func putNode(ctx context.Context, tx *storage.Tx, n directory.NodeRecord) error {
	b, err := json.Marshal(n.Node)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO directory_node (id, body, certificate, not_after, joined_at, last_seen, published_at, tls_changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET body = excluded.body, certificate = excluded.certificate, not_after = excluded.not_after,
			last_seen = excluded.last_seen, published_at = excluded.published_at, tls_changed_at = excluded.tls_changed_at`,
		n.ID, string(b), n.CertificatePEM, storage.Micros(n.NotAfter), storage.Micros(n.JoinedAt), storage.Micros(n.LastSeen), n.PublishedAt, storage.Micros(n.TLSChangedAt))
	return err
}
