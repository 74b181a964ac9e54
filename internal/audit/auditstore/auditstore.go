// Package auditstore keeps the records of package audit in a node's database, on SQLite and PostgreSQL alike. It
// knows rows, not rules: leaves and chains are computed by package audit.
package auditstore

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"math"
	"slices"
	"sync/atomic"
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
	// Process names the process whose log holds the leaves that are written: several processes of an agency may share a
	// database. Empty is the only one.
	Process string

	// unnamed says that the leaves without a name are in this process's log, as far as is known.
	unnamed atomic.Bool
}

var _ audit.Store = (*Store)(nil)

// never is the hidden_until of a line without a release date.
const never = math.MaxInt64

// Write implements audit.Store.
func (s *Store) Write(ctx context.Context, f func(w audit.Writer) error) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error { return f(&writer{tx: tx, process: s.Process}) })
}

// unnamed is how a process says in audit_counter that the leaves without a name are its own.
const unnamed = "unnamed:"

// names returns under which names leaves of this process's log are kept; nil means all. Whose the leaves without a name
// are is found out once: a log that holds as many entries as they speak of has them, while a process that came later has
// a log of its own that began empty.
func (s *Store) names(ctx context.Context, size int64) (names []string, err error) {
	if s.Process == "" {
		return nil, nil
	}
	names = []string{s.Process}
	err = s.DB.InTx(ctx, func(tx *storage.Tx) error {
		names = names[:1]
		owner, err := storage.All(ctx, tx, func(scan func(...any) error) (name string, err error) {
			err = scan(&name)
			return name, err
		}, `SELECT name FROM audit_counter WHERE name LIKE 'unnamed:%'`)
		if err != nil {
			return err
		}
		if len(owner) == 0 {
			var some bool
			if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM audit_leaf WHERE process = '')`).Scan(&some); err != nil {
				return err
			}
			last, err := greatest(ctx, tx, "")
			if err != nil || !some || last >= size {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO audit_counter (name, value) VALUES ($1, 1)`, unnamed+s.Process); err != nil {
				return err
			}
			owner = []string{unnamed + s.Process}
		}
		if owner[0] == unnamed+s.Process {
			names = append(names, "")
		}
		return nil
	})
	if err == nil {
		s.unnamed.Store(len(names) > 1)
	}
	return names, err
}

// greatest is the greatest noted place of a process's leaves, -1 when there is none.
func greatest(ctx context.Context, tx *storage.Tx, process string) (last int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(log_index), -1) FROM audit_leaf WHERE process = $1`, process).Scan(&last)
	return last, err
}

// Pending implements audit.Store.
func (s *Store) Pending(ctx context.Context, size int64) (leaves []audit.PendingLeaf, last int64, err error) {
	defer errs.Wrap(&err, "pending leaves")
	names, err := s.names(ctx, size)
	if err != nil {
		return nil, 0, err
	}
	scan := func(scan func(...any) error) (p audit.PendingLeaf, err error) {
		err = scan(&p.Seq, &p.Leaf)
		return p, err
	}
	if names == nil {
		if err := s.DB.QueryRowContext(ctx, `SELECT COALESCE(MAX(log_index), -1) FROM audit_leaf`).Scan(&last); err != nil {
			return nil, 0, err
		}
		leaves, err = storage.All(ctx, s.DB, scan, `SELECT seq, leaf FROM audit_leaf WHERE log_index = -1 ORDER BY seq`)
		return leaves, last, err
	}
	last = -1
	for _, name := range names {
		err := s.DB.InTx(ctx, func(tx *storage.Tx) error {
			greatest, err := greatest(ctx, tx, name)
			last = max(last, greatest)
			return err
		})
		if err != nil {
			return nil, 0, err
		}
		more, err := storage.All(ctx, s.DB, scan, `SELECT seq, leaf FROM audit_leaf WHERE process = $1 AND log_index = -1 ORDER BY seq`, name)
		if err != nil {
			return nil, 0, err
		}
		leaves = append(leaves, more...)
	}
	slices.SortFunc(leaves, func(a, b audit.PendingLeaf) int { return cmp.Compare(a.Seq, b.Seq) })
	return leaves, last, nil
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
	rows, err := s.DB.QueryContext(ctx, `SELECT l.seq, l.subject_id, l.at, l.epoch, l.hidden_until, f.record, f.salt, f.leaf, f.log_index, f.process
		FROM audit_line l JOIN audit_leaf f ON f.seq = l.seq
		WHERE l.subject_id = $1 AND l.at >= $2 AND l.at < $3 AND l.hidden_until <= $4
		ORDER BY l.at DESC, l.seq DESC LIMIT $5 OFFSET $6`, q.SubjectID, from, to, now, q.Limit, q.Offset)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		l, err := s.scanLine(rows.Scan)
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
	row := s.DB.QueryRowContext(ctx, `SELECT l.seq, l.subject_id, l.at, l.epoch, l.hidden_until, f.record, f.salt, f.leaf, f.log_index, f.process
		FROM audit_line l JOIN audit_leaf f ON f.seq = l.seq WHERE l.subject_id = $1 AND l.seq = $2`, subjectID, seq)
	l, err = s.scanLine(row.Scan)
	if storage.IsNoRows(err) {
		return l, errs.E(errs.NotFound, "audit.line_unknown", err)
	}
	return l, err
}

func (s *Store) scanLine(scan func(...any) error) (l audit.StoredLine, err error) {
	var at, hidden int64
	var salt []byte
	var process string
	if err := scan(&l.Seq, &l.SubjectID, &at, &l.Epoch, &hidden, &l.Record, &salt, &l.Leaf, &l.LogIndex, &process); err != nil {
		return l, err
	}
	l.Elsewhere = s.Process != "" && process != s.Process && (process != "" || !s.unnamed.Load())
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

type writer struct {
	tx      *storage.Tx
	process string
}

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
	_, err := w.tx.ExecContext(ctx, `INSERT INTO audit_leaf (seq, leaf, salt, record, log_index, process) VALUES ($1, $2, $3, $4, -1, $5)`,
		seq, leaf, salt[:], record, w.process)
	return err
}

// MarkLogged implements audit.Writer.
func (w *writer) MarkLogged(ctx context.Context, seq, index int64) error {
	_, err := w.tx.ExecContext(ctx, `UPDATE audit_leaf SET log_index = $1 WHERE seq = $2`, index, seq)
	return err
}
