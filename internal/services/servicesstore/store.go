// Package servicesstore keeps procedures, dossiers, drafts, filings and payments in SQL: one text for SQLite and
// PostgreSQL. It decides nothing; the rules are in the root package.
package servicesstore

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"truc/internal/errs"
	"truc/internal/outbox"
	"truc/internal/services"
	"truc/internal/storage"
)

// Migrations holds the tables of this package.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store implements the store ports of package services on one database.
type Store struct {
	DB *storage.DB
	// Now is the node's clock, for outbox rows.
	Now func() time.Time
	// Wake is called after a commit that added to the outbox; it may be nil.
	Wake func()
}

// Library, Desk and Portal are the same store seen through the three ports.
type (
	// Desk is the store of an agency's dossiers.
	Desk struct{ *Store }
	// Portal is the store of the portal.
	Portal struct{ *Store }
)

type tx struct {
	*storage.Tx
	s      *Store
	queued bool
}

func (s *Store) inTx(ctx context.Context, f func(t *tx) error) error {
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

// Enqueue implements [services.Queue].
func (t *tx) Enqueue(ctx context.Context, id, topic, key string, payload any) error {
	t.queued = true
	return outbox.AddJSON(ctx, t.Tx, t.s.Now(), id, topic, key, payload)
}

// PutBlob implements [services.DeskTx] and friends.
func (t *tx) PutBlob(ctx context.Context, sha, media string, content []byte, now time.Time) error {
	return putBlob(ctx, t.Tx, sha, media, content, now)
}

// PutBlob stores bytes outside another transaction.
func (s *Store) PutBlob(ctx context.Context, sha, media string, content []byte, now time.Time) error {
	return putBlob(ctx, s.DB, sha, media, content, now)
}

func putBlob(ctx context.Context, q storage.Querier, sha, media string, content []byte, now time.Time) error {
	sum := sha256.Sum256(content)
	if hex.EncodeToString(sum[:]) != sha {
		return errs.E(errs.Invalid, "services.paper.digest", errors.New("content does not have the stated SHA-256"))
	}
	_, err := q.ExecContext(ctx, `INSERT INTO services_blob (sha256, media, size, content, stored_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (sha256) DO NOTHING`, sha, media, len(content), content, storage.Micros(now))
	return err
}

// Blob returns stored bytes.
func (s *Store) Blob(ctx context.Context, sha string) (content []byte, media string, err error) {
	err = s.DB.QueryRowContext(ctx, `SELECT content, media FROM services_blob WHERE sha256 = $1`, sha).Scan(&content, &media)
	return content, media, notFound(err, "services.paper.not_found")
}

// PutProcedure implements [services.LibraryStore].
func (s *Store) PutProcedure(ctx context.Context, v services.ProcedureVersion) error {
	return s.inTx(ctx, func(t *tx) error {
		if _, err := t.ExecContext(ctx, `UPDATE services_procedure SET current = $1 WHERE code = $2`, false, v.Code); err != nil {
			return err
		}
		_, err := t.ExecContext(ctx, `INSERT INTO services_procedure (code, hash, version, bundle, published_at, published_by, current)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (code, hash) DO UPDATE SET current = excluded.current`,
			v.Code, v.Hash, v.Version, v.Archive, storage.Micros(v.PublishedAt), v.PublishedBy, true)
		return err
	})
}

// ProcedureVersions implements [services.LibraryStore].
func (s *Store) ProcedureVersions(ctx context.Context) ([]services.ProcedureVersion, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT code, hash, version, bundle, published_at, published_by, current FROM services_procedure ORDER BY code, published_at`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []services.ProcedureVersion
	for rows.Next() {
		var v services.ProcedureVersion
		var at int64
		if err := rows.Scan(&v.Code, &v.Hash, &v.Version, &v.Archive, &at, &v.PublishedBy, &v.Current); err != nil {
			return nil, err
		}
		v.PublishedAt = storage.Time(at)
		out = append(out, v)
	}
	return out, rows.Err()
}

func notFound(err error, key string) error {
	if storage.IsNoRows(err) {
		return errs.E(errs.NotFound, key, err)
	}
	return err
}

func conflict(err error, key string) error {
	if storage.IsDuplicate(err) {
		return errs.E(errs.Conflict, key, err)
	}
	return err
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs of plain fields always marshal
	}
	return b
}
