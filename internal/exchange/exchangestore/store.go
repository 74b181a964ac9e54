// Package exchangestore keeps what the exchange has in SQL: the index of its log, the API keys of the edge, access rules,
// agreements, publications and what witnesses said.
//
// The index can be made anew from the log. Its rows lie in blocks ([Store.Record] in index.go, the format in block.go), are
// found by their ids through sorted runs (run.go) and summed up by the hour (docs/adr/0027-index-in-blocks.md).
package exchangestore

import (
	"cmp"
	"context"
	"embed"
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

	writing sync.Mutex // held while the index is written; guards all below
	enc     encoder
	pairs   []pair
	known   map[party]bool // those that are in the database
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
