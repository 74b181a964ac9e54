// Package receiptstore keeps receipts for hand-overs of documents in SQL: one text for SQLite and PostgreSQL. It decides
// nothing; the rules are in package receipt.
package receiptstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"strings"
	"time"

	"truc/internal/documents/receipt"
	"truc/internal/errs"
	"truc/internal/storage"
)

// Migrations holds the tables of this package, in the folder migrations.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store implements [receipt.Store].
type Store struct{ DB *storage.DB }

const columns = `id, doc_id, copy, event, document_id, kind, sha256, sender, receiver, at, journal, reason, jws, directory, batch, place`

func scan(row func(...any) error) (r receipt.Issued, err error) {
	var at int64
	var jws, to string
	err = row(&r.ID, &r.DocID, &r.Copy, &r.Event, &r.DocumentID, &r.Kind, &r.SHA256, &r.From, &to, &at, &r.Journal, &r.Reason, &jws, &r.Directory, &r.Batch, &r.Index)
	r.To = strings.Fields(to)
	r.At, r.JWS = time.UnixMicro(at).UTC(), []byte(jws)
	return r, err
}

func list[T any](rows *sql.Rows, err error, read func(row func(...any) error) (T, error)) (out []T, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Add implements [receipt.Store].
func (s *Store) Add(ctx context.Context, tx receipt.Tx, r receipt.Issued) (id int64, added bool, err error) {
	defer errs.Wrap(&err, "add receipt")
	if tx == nil {
		return 0, false, errors.New("a receipt is written in the transaction of what it states")
	}
	rows, err := tx.QueryContext(ctx, `INSERT INTO receipt_issued (doc_id, copy, event, document_id, kind, sha256, sender, receiver, at, journal, reason, jws, directory)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (doc_id, copy, event) DO NOTHING RETURNING id`,
		r.DocID, r.Copy, string(r.Event), r.DocumentID, r.Kind, r.SHA256, r.From, strings.Join(r.To, " "), storage.Micros(r.At), r.Journal, r.Reason, string(r.JWS), r.Directory)
	ids, err := list(rows, err, func(row func(...any) error) (id int64, err error) { err = row(&id); return id, err })
	if err != nil || len(ids) == 0 {
		return 0, false, err
	}
	return ids[0], true, nil
}

// Of implements [receipt.Store].
func (s *Store) Of(ctx context.Context, docID, copyID string) (_ []receipt.Issued, err error) {
	defer errs.Wrap(&err, "receipts")
	rows, err := s.DB.QueryContext(ctx, `SELECT `+columns+` FROM receipt_issued WHERE doc_id = $1 AND ($2 = '' OR copy = $3) ORDER BY id`, docID, copyID, copyID)
	return list(rows, err, scan)
}

// Get implements [receipt.Store].
func (s *Store) Get(ctx context.Context, id int64) (r receipt.Issued, err error) {
	defer errs.Wrap(&err, "receipt %d", id)
	r, err = scan(s.DB.QueryRowContext(ctx, `SELECT `+columns+` FROM receipt_issued WHERE id = $1`, id).Scan)
	if storage.IsNoRows(err) {
		err = errs.E(errs.NotFound, "receipt.unknown", nil)
	}
	return r, err
}

// Unstamped implements [receipt.Store].
func (s *Store) Unstamped(ctx context.Context, limit int) (_ []receipt.Issued, err error) {
	defer errs.Wrap(&err, "receipts without a time-stamp")
	rows, err := s.DB.QueryContext(ctx, `SELECT `+columns+` FROM receipt_issued WHERE batch = 0 ORDER BY id LIMIT $1`, limit)
	return list(rows, err, scan)
}

// Waiting implements [receipt.Store].
func (s *Store) Waiting(ctx context.Context) (n int64, oldest time.Time, err error) {
	defer errs.Wrap(&err, "receipts without a time-stamp")
	var at int64
	err = s.DB.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(at), 0) FROM receipt_issued WHERE batch = 0`).Scan(&n, &at)
	if at > 0 {
		oldest = time.UnixMicro(at).UTC()
	}
	return n, oldest, err
}

// PutBatch implements [receipt.Store].
func (s *Store) PutBatch(ctx context.Context, b receipt.Batch, ids []int64) (err error) {
	defer errs.Wrap(&err, "keep time-stamp")
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		var batch int64
		err := tx.QueryRowContext(ctx, `INSERT INTO receipt_batch (size, token, roots, at) VALUES ($1, $2, $3, $4) RETURNING id`,
			b.Size, b.Token, b.Roots, storage.Micros(b.At)).Scan(&batch)
		if err != nil {
			return err
		}
		for i, id := range ids {
			res, err := tx.ExecContext(ctx, `UPDATE receipt_issued SET batch = $1, place = $2 WHERE id = $3 AND batch = 0`, batch, i, id)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n != 1 { // another process stamped it: its tree would have a gap
				return errors.Join(err, errs.E(errs.Conflict, "receipt.stamped_already", nil))
			}
		}
		return nil
	})
}

// Batch implements [receipt.Store].
func (s *Store) Batch(ctx context.Context, id int64) (b receipt.Batch, err error) {
	defer errs.Wrap(&err, "time-stamp %d", id)
	var at int64
	err = s.DB.QueryRowContext(ctx, `SELECT id, size, token, roots, at FROM receipt_batch WHERE id = $1`, id).Scan(&b.ID, &b.Size, &b.Token, &b.Roots, &at)
	if storage.IsNoRows(err) {
		err = errs.E(errs.NotFound, "receipt.unknown", nil)
	}
	b.At = time.UnixMicro(at).UTC()
	return b, err
}

// Leaves implements [receipt.Store].
func (s *Store) Leaves(ctx context.Context, batch int64) (_ [][]byte, err error) {
	defer errs.Wrap(&err, "receipts under time-stamp %d", batch)
	rows, err := s.DB.QueryContext(ctx, `SELECT jws FROM receipt_issued WHERE batch = $1 ORDER BY place`, batch)
	return list(rows, err, func(row func(...any) error) ([]byte, error) {
		var jws string
		err := row(&jws)
		return []byte(jws), err
	})
}
