// Package auditstore keeps the records of package audit in a node's database, on SQLite and PostgreSQL alike. It
// knows rows, not rules: leaves and chains are computed by package audit.
package auditstore

import (
	"context"
	"embed"
	"errors"
	"math"
	"time"

	"truc/internal/audit"
	"truc/internal/errs"
	"truc/internal/storage"
)

// Migrations holds the tables of this module, in folder migrations.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store is an audit.Store in a database.
type Store struct {
	DB *storage.DB
}

var _ audit.Store = (*Store)(nil)

// never is the hidden_until of a line without a release date.
const never = math.MaxInt64

// Write implements audit.Store.
func (s *Store) Write(ctx context.Context, f func(w audit.Writer) error) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error { return f(&writer{tx: tx}) })
}

// Pending implements audit.Store.
func (s *Store) Pending(ctx context.Context) (leaves []audit.PendingLeaf, last int64, err error) {
	defer errs.Wrap(&err, "pending leaves")
	if err := s.DB.QueryRowContext(ctx, `SELECT COALESCE(MAX(log_index), -1) FROM audit_leaf`).Scan(&last); err != nil {
		return nil, 0, err
	}
	rows, err := s.DB.QueryContext(ctx, `SELECT seq, leaf FROM audit_leaf WHERE log_index = -1 ORDER BY seq`)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var p audit.PendingLeaf
		if err := rows.Scan(&p.Seq, &p.Leaf); err != nil {
			return nil, 0, err
		}
		leaves = append(leaves, p)
	}
	return leaves, last, rows.Err()
}

// Lines implements audit.Store.
func (s *Store) Lines(ctx context.Context, q audit.LineQuery) (lines []audit.StoredLine, total int, err error) {
	defer errs.Wrap(&err, "lines")
	to := int64(never)
	if !q.To.IsZero() {
		to = storage.Micros(q.To)
	}
	from, now := storage.Micros(q.From), storage.Micros(q.Now)
	err = s.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM audit_line WHERE subject_id = $1 AND at >= $2 AND at < $3 AND hidden_until <= $4`,
		q.SubjectID, from, to, now).Scan(&total)
	if err != nil {
		return nil, 0, err
	}
	rows, err := s.DB.QueryContext(ctx, `SELECT l.seq, l.subject_id, l.at, l.epoch, l.hidden_until, f.record, f.salt, f.leaf, f.log_index
		FROM audit_line l JOIN audit_leaf f ON f.seq = l.seq
		WHERE l.subject_id = $1 AND l.at >= $2 AND l.at < $3 AND l.hidden_until <= $4
		ORDER BY l.at DESC, l.seq DESC LIMIT $5 OFFSET $6`, q.SubjectID, from, to, now, q.Limit, q.Offset)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		l, err := scanLine(rows.Scan)
		if err != nil {
			return nil, 0, err
		}
		lines = append(lines, l)
	}
	return lines, total, rows.Err()
}

// Line implements audit.Store.
func (s *Store) Line(ctx context.Context, subjectID string, seq int64) (l audit.StoredLine, err error) {
	defer errs.Wrap(&err, "line")
	row := s.DB.QueryRowContext(ctx, `SELECT l.seq, l.subject_id, l.at, l.epoch, l.hidden_until, f.record, f.salt, f.leaf, f.log_index
		FROM audit_line l JOIN audit_leaf f ON f.seq = l.seq WHERE l.subject_id = $1 AND l.seq = $2`, subjectID, seq)
	l, err = scanLine(row.Scan)
	if storage.IsNoRows(err) {
		return l, errs.E(errs.NotFound, "audit.line_unknown", err)
	}
	return l, err
}

func scanLine(scan func(...any) error) (l audit.StoredLine, err error) {
	var at, hidden int64
	var salt []byte
	if err := scan(&l.Seq, &l.SubjectID, &at, &l.Epoch, &hidden, &l.Record, &salt, &l.Leaf, &l.LogIndex); err != nil {
		return l, err
	}
	if len(salt) != len(l.Salt) {
		return l, errors.New("the salt of a line has the wrong length")
	}
	l.Salt, l.At, l.Hidden = [16]byte(salt), storage.Time(at), hidden != 0
	if hidden != never {
		l.HiddenUntil = storage.Time(hidden)
	}
	return l, nil
}

// Withheld implements audit.Store.
func (s *Store) Withheld(ctx context.Context, subjectID string, now time.Time) (n int, until time.Time, err error) {
	defer errs.Wrap(&err, "withheld")
	var first int64
	err = s.DB.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(hidden_until), 0) FROM audit_line WHERE subject_id = $1 AND hidden_until > $2`,
		subjectID, storage.Micros(now)).Scan(&n, &first)
	if err != nil || first == never {
		return n, time.Time{}, err
	}
	return n, storage.Time(first), nil
}

// EpochUsed implements audit.Store.
func (s *Store) EpochUsed(ctx context.Context, epoch int) (used bool, err error) {
	defer errs.Wrap(&err, "epoch %d", epoch)
	err = s.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM audit_head WHERE epoch = $1)`, epoch).Scan(&used)
	return used, err
}

type writer struct{ tx *storage.Tx }

// NextSeq implements audit.Writer.
func (w *writer) NextSeq(ctx context.Context, n int) (int64, error) {
	var last int64
	err := w.tx.QueryRowContext(ctx, `UPDATE audit_counter SET value = value + $1 WHERE name = 'seq' RETURNING value`, n).Scan(&last)
	return last - int64(n) + 1, err
}

// Head implements audit.Writer.
func (w *writer) Head(ctx context.Context, epoch int, tag [16]byte) (head [32]byte, err error) {
	var b []byte
	err = w.tx.QueryRowContext(ctx, `SELECT head FROM audit_head WHERE epoch = $1 AND tag = $2`, epoch, tag[:]).Scan(&b)
	if storage.IsNoRows(err) {
		return head, nil
	}
	if err == nil && len(b) != len(head) {
		err = errors.New("the head of a chain has the wrong length")
	}
	if err != nil {
		return head, err
	}
	return [32]byte(b), nil
}

// SetHead implements audit.Writer.
func (w *writer) SetHead(ctx context.Context, epoch int, tag [16]byte, head [32]byte, lines int) error {
	_, err := w.tx.ExecContext(ctx, `INSERT INTO audit_head (epoch, tag, head, lines) VALUES ($1, $2, $3, $4)
		ON CONFLICT (epoch, tag) DO UPDATE SET head = excluded.head, lines = audit_head.lines + excluded.lines`, epoch, tag[:], head[:], lines)
	return err
}

// InsertLine implements audit.Writer.
func (w *writer) InsertLine(ctx context.Context, l audit.StoredLine) error {
	hidden := int64(0)
	if l.Hidden {
		hidden = never
		if !l.HiddenUntil.IsZero() {
			hidden = storage.Micros(l.HiddenUntil)
		}
	}
	if err := w.insertLeaf(ctx, l.Seq, l.Leaf, l.Salt, l.Record); err != nil {
		return err
	}
	_, err := w.tx.ExecContext(ctx, `INSERT INTO audit_line (seq, subject_id, at, epoch, hidden_until) VALUES ($1, $2, $3, $4, $5)`,
		l.Seq, l.SubjectID, storage.Micros(l.At), l.Epoch, hidden)
	return err
}

// InsertAct implements audit.Writer.
func (w *writer) InsertAct(ctx context.Context, a audit.StoredAct) (bool, error) {
	r, err := w.tx.ExecContext(ctx, `INSERT INTO audit_act (id, seq, at, actor, action, object) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
		a.ID, a.Seq, storage.Micros(a.At), a.Actor, a.Action, a.Object)
	if err != nil {
		return false, err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	return true, w.insertLeaf(ctx, a.Seq, a.Leaf, a.Salt, a.Record)
}

func (w *writer) insertLeaf(ctx context.Context, seq int64, leaf []byte, salt [16]byte, record []byte) error {
	_, err := w.tx.ExecContext(ctx, `INSERT INTO audit_leaf (seq, leaf, salt, record, log_index) VALUES ($1, $2, $3, $4, -1)`, seq, leaf, salt[:], record)
	return err
}

// MarkLogged implements audit.Writer.
func (w *writer) MarkLogged(ctx context.Context, seq, index int64) error {
	_, err := w.tx.ExecContext(ctx, `UPDATE audit_leaf SET log_index = $1 WHERE seq = $2`, index, seq)
	return err
}
