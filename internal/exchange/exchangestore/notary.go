package exchangestore

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange/notary"
	"truc/internal/storage"
	"truc/internal/translog"
)

// Notary implements [notary.Store] and [translog.WitnessStore].
type Notary struct {
	DB  *storage.DB
	Now func() time.Time
}

// Witnessed implements [translog.WitnessStore].
func (s *Notary) Witnessed(ctx context.Context, origin string) (w translog.Witnessed, err error) {
	defer errs.Wrap(&err, "witnessed %s", origin)
	var root string
	err = s.DB.QueryRowContext(ctx, `SELECT size, root FROM exchange_witnessed WHERE origin = $1`, origin).Scan(&w.Size, &root)
	if storage.IsNoRows(err) {
		return translog.Witnessed{}, nil
	}
	if err != nil {
		return w, err
	}
	b, err := base64.StdEncoding.DecodeString(root)
	if err != nil || copy(w.Root[:], b) != len(w.Root) {
		return w, fmt.Errorf("root %q", root)
	}
	return w, nil
}

// Advance implements [translog.WitnessStore].
func (s *Notary) Advance(ctx context.Context, origin string, prev, next translog.Witnessed) (moved bool, err error) {
	defer errs.Wrap(&err, "witness %s", origin)
	at := storage.Micros(s.Now())
	err = s.DB.InTx(ctx, func(tx *storage.Tx) error {
		text, args := `UPDATE exchange_witnessed SET size = $1, root = $2, at = $3 WHERE origin = $4 AND size = $5 AND root = $6`,
			[]any{next.Size, next.Root.String(), at, origin, prev.Size, prev.Root.String()}
		if prev == (translog.Witnessed{}) {
			text, args = `INSERT INTO exchange_witnessed (origin, size, root, at) VALUES ($1, $2, $3, $4) ON CONFLICT (origin) DO NOTHING`,
				[]any{origin, next.Size, next.Root.String(), at}
		}
		r, err := tx.ExecContext(ctx, text, args...)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		moved = n == 1
		return err
	})
	return moved, err
}

// SaveCheckpoint implements [notary.Store]. What a row has is never lost: the witnesses and the token come from two tasks.
func (s *Notary) SaveCheckpoint(ctx context.Context, r notary.Row) (err error) {
	defer errs.Wrap(&err, "save checkpoint %s %d", r.Origin, r.Size)
	token := r.Token
	if token == nil {
		token = []byte{}
	}
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO exchange_checkpoint (origin, size, note, witnesses, at, token, authority, stamped_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (origin, size) DO UPDATE SET
				note = CASE WHEN excluded.witnesses > exchange_checkpoint.witnesses THEN excluded.note ELSE exchange_checkpoint.note END,
				witnesses = CASE WHEN excluded.witnesses > exchange_checkpoint.witnesses THEN excluded.witnesses ELSE exchange_checkpoint.witnesses END,
				token = CASE WHEN exchange_checkpoint.stamped_at = 0 THEN excluded.token ELSE exchange_checkpoint.token END,
				authority = CASE WHEN exchange_checkpoint.stamped_at = 0 THEN excluded.authority ELSE exchange_checkpoint.authority END,
				stamped_at = CASE WHEN exchange_checkpoint.stamped_at = 0 THEN excluded.stamped_at ELSE exchange_checkpoint.stamped_at END`,
			r.Origin, r.Size, string(r.Note), int64(r.Witnesses), storage.Micros(r.At), token, r.Authority, storage.Micros(r.StampedAt))
		return err
	})
}

const checkpointColumns = `size, note, witnesses, at, token, authority, stamped_at`

// Latest implements [notary.Store].
func (s *Notary) Latest(ctx context.Context, origin string) (notary.Row, error) {
	return s.checkpoint(ctx, origin, `SELECT `+checkpointColumns+` FROM exchange_checkpoint WHERE origin = $1 ORDER BY size DESC LIMIT 1`, origin)
}

// LatestStamped implements [notary.Store].
func (s *Notary) LatestStamped(ctx context.Context, origin string) (notary.Row, error) {
	return s.checkpoint(ctx, origin, `SELECT `+checkpointColumns+` FROM exchange_checkpoint WHERE origin = $1 AND stamped_at > 0 ORDER BY size DESC LIMIT 1`, origin)
}

// StampedSince implements [notary.Store].
func (s *Notary) StampedSince(ctx context.Context, origin, authority string, since time.Time) ([]time.Time, error) {
	return storage.All(ctx, s.DB, func(scan func(...any) error) (time.Time, error) {
		var at int64
		err := scan(&at)
		return storage.Time(at), err
	}, `SELECT stamped_at FROM exchange_checkpoint WHERE origin = $1 AND authority = $2 AND stamped_at >= $3 ORDER BY stamped_at`, origin, authority, storage.Micros(since))
}

// Covering implements [notary.Store].
func (s *Notary) Covering(ctx context.Context, origin string, index int64) (notary.Row, error) {
	return s.checkpoint(ctx, origin, `SELECT `+checkpointColumns+` FROM exchange_checkpoint WHERE origin = $1 AND stamped_at > 0 AND size > $2 ORDER BY size LIMIT 1`, origin, index)
}

func (s *Notary) checkpoint(ctx context.Context, origin, text string, args ...any) (r notary.Row, err error) {
	var note string
	var witnesses, at, stamped int64
	err = s.DB.QueryRowContext(ctx, text, args...).Scan(&r.Size, &note, &witnesses, &at, &r.Token, &r.Authority, &stamped)
	if storage.IsNoRows(err) {
		return notary.Row{}, errs.E(errs.NotFound, "exchange.checkpoint_none", err)
	}
	r.Origin, r.Note, r.Witnesses, r.At = origin, []byte(note), int(witnesses), storage.Time(at)
	if stamped > 0 {
		r.StampedAt = storage.Time(stamped)
	} else {
		r.Token = nil
	}
	return r, err
}

// Thin implements [notary.Store].
func (s *Notary) Thin(ctx context.Context, origin string, before time.Time) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM exchange_checkpoint WHERE origin = $1 AND stamped_at = 0 AND at < $2
			AND size < (SELECT MAX(size) FROM exchange_checkpoint WHERE origin = $3)`, origin, storage.Micros(before), origin)
		return err
	})
}

// Report implements [notary.Store].
func (s *Notary) Report(ctx context.Context, i notary.Incident) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO exchange_incident (kind, origin, peer, detail, first_at, last_at, times) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (kind, origin, peer) DO UPDATE SET detail = excluded.detail, last_at = excluded.last_at, times = exchange_incident.times + excluded.times`,
			i.Kind, i.Origin, i.Peer, i.Detail, storage.Micros(i.First), storage.Micros(i.Last), i.Count)
		return err
	})
}

// Incidents implements [notary.Store].
func (s *Notary) Incidents(ctx context.Context) (out []notary.Incident, err error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT kind, origin, peer, detail, first_at, last_at, times FROM exchange_incident ORDER BY last_at DESC, kind, origin, peer LIMIT 200`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var i notary.Incident
		var first, last int64
		if err := rows.Scan(&i.Kind, &i.Origin, &i.Peer, &i.Detail, &first, &last, &i.Count); err != nil {
			return nil, err
		}
		i.First, i.Last = storage.Time(first), storage.Time(last)
		out = append(out, i)
	}
	return out, rows.Err()
}
