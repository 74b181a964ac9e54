// Package oversightstore keeps facts, the dossiers they fold to and the condition behind every number in the node's
// database. It implements oversight.Store.
package oversightstore

import (
	"context"
	"embed"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/oversight"
	"truc/internal/storage"
)

// Migrations holds the tables of this module, in the folder migrations.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store implements oversight.Store.
type Store struct{ DB *storage.DB }

var _ oversight.Store = (*Store)(nil)

// Health implements [oversight.Store].
func (s *Store) Health(ctx context.Context) (_ map[string]oversight.Health, err error) {
	defer errs.Wrap(&err, "read cursors")
	rows, err := s.DB.QueryContext(ctx, `SELECT agency, last_seq, last_ok, failed_since, error_key FROM oversight_cursor`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]oversight.Health{}
	for rows.Next() {
		var h oversight.Health
		var ok, failed int64
		if err := rows.Scan(&h.Agency, &h.LastSeq, &ok, &failed, &h.ErrorKey); err != nil {
			return nil, err
		}
		h.LastOK, h.FailedSince = storage.Time(ok), storage.Time(failed)
		out[h.Agency] = h
	}
	return out, rows.Err()
}

// Answered implements [oversight.Store].
func (s *Store) Answered(ctx context.Context, agency string, at time.Time) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO oversight_cursor (agency, last_seq, last_ok, failed_since, error_key) VALUES ($1, 0, $2, 0, '')
			ON CONFLICT (agency) DO UPDATE SET last_ok = EXCLUDED.last_ok, failed_since = 0, error_key = ''`, agency, storage.Micros(at))
		return err
	})
}

// Failed implements [oversight.Store]. The beginning of a silence stays until the agency answers.
func (s *Store) Failed(ctx context.Context, agency, key string, at time.Time) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO oversight_cursor (agency, last_seq, last_ok, failed_since, error_key) VALUES ($1, 0, 0, $2, $3)
			ON CONFLICT (agency) DO UPDATE SET error_key = EXCLUDED.error_key,
			failed_since = CASE WHEN oversight_cursor.failed_since = 0 THEN EXCLUDED.failed_since ELSE oversight_cursor.failed_since END`,
			agency, storage.Micros(at), key)
		return err
	})
}

// PutOffers implements [oversight.Store]; nothing is written when nothing changed, which is nearly always.
func (s *Store) PutOffers(ctx context.Context, agency string, offers []oversight.Offer) (err error) {
	defer errs.Wrap(&err, "put offers")
	current, err := s.offers(ctx, agency)
	if err != nil || slices.Equal(current, offers) {
		return err
	}
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM oversight_offer WHERE agency = $1`, agency); err != nil {
			return err
		}
		b := batch{tx: tx, head: `INSERT INTO oversight_offer (agency, procedure_code, version, mode, offices)`, columns: 5}
		for _, o := range offers {
			b.add(agency, o.Procedure, o.Version, o.Mode, int64(o.Offices))
		}
		return b.flush(ctx)
	})
}

func (s *Store) offers(ctx context.Context, agency string) ([]oversight.Offer, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT procedure_code, version, mode, offices FROM oversight_offer WHERE agency = $1`, agency)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []oversight.Offer
	for rows.Next() {
		var o oversight.Offer
		if err := rows.Scan(&o.Procedure, &o.Version, &o.Mode, &o.Offices); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b oversight.Offer) int { // the collation of the database is not ours
		if a.Procedure < b.Procedure {
			return -1
		}
		return 1
	})
	return out, rows.Err()
}

const factColumns = `seq, at, kind, dossier, agency, unit, procedure_code, mode, state, national, channel, due, stars, final, paused, fee_total, fee_paid`

// Append implements [oversight.Store]. A fact that is there already is left as it is: facts do not change.
func (s *Store) Append(ctx context.Context, agency string, facts []oversight.Fact) (err error) {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error { return Within{tx}.Append(ctx, agency, facts) })
}

// Within is the store in a transaction that somebody else began.
type Within struct{ Tx *storage.Tx }

// Append implements [oversight.Appender].
func (w Within) Append(ctx context.Context, agency string, facts []oversight.Fact) (err error) {
	defer errs.Wrap(&err, "append %d facts", len(facts))
	if len(facts) == 0 {
		return nil
	}
	tx := w.Tx
	var last int64
	var dossiers []string
	b := batch{tx: tx, head: `INSERT INTO oversight_fact (` + factColumns + `)`, columns: 17, tail: `ON CONFLICT (agency, seq) DO NOTHING`}
	for _, f := range facts {
		b.add(f.Seq, storage.Micros(f.At), f.Kind, f.Dossier, agency, f.Unit, f.Procedure, f.Mode, f.State, int64(f.National), f.Channel,
			storage.Micros(f.Due), int64(f.Stars), number(f.Final), number(f.Paused), f.FeeTotal, f.FeePaid)
		last = max(last, f.Seq)
		if f.Dossier != "" {
			dossiers = append(dossiers, f.Dossier)
		}
	}
	if err := b.flush(ctx); err != nil {
		return err
	}
	if err := fold(ctx, tx, agency, dossiers); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO oversight_cursor (agency, last_seq, last_ok, failed_since, error_key) VALUES ($1, $2, 0, 0, '')
			ON CONFLICT (agency) DO UPDATE SET last_seq = CASE WHEN EXCLUDED.last_seq > oversight_cursor.last_seq THEN EXCLUDED.last_seq ELSE oversight_cursor.last_seq END`,
		agency, last)
	return err
}

// Rebuild folds every dossier of an agency anew.
func (s *Store) Rebuild(ctx context.Context, agency string) (err error) {
	defer errs.Wrap(&err, "rebuild")
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT DISTINCT dossier FROM oversight_fact WHERE agency = $1 AND dossier <> ''`, agency)
		if err != nil {
			return err
		}
		defer rows.Close()
		var dossiers []string
		for rows.Next() {
			var d string
			if err := rows.Scan(&d); err != nil {
				return err
			}
			dossiers = append(dossiers, d)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM oversight_dossier WHERE agency = $1`, agency); err != nil {
			return err
		}
		return fold(ctx, tx, agency, dossiers)
	})
}

// chunkSize is how many dossiers are folded at once. Shorter lists of binds are filled up by repeating the last, so
// that the program has few different SQL texts.
const chunkSize = 100

// fold computes dossiers from all their facts and replaces their rows.
func fold(ctx context.Context, tx *storage.Tx, agency string, dossiers []string) error {
	slices.Sort(dossiers)
	for chunk := range slices.Chunk(slices.Compact(dossiers), chunkSize) {
		facts, err := factsOf(ctx, tx, agency, chunk)
		if err != nil {
			return err
		}
		if err := putDossiers(ctx, tx, facts); err != nil {
			return err
		}
	}
	return nil
}

func factsOf(ctx context.Context, tx *storage.Tx, agency string, dossiers []string) (map[string][]oversight.Fact, error) {
	args := []any{agency}
	for i := range chunkSize {
		args = append(args, dossiers[min(i, len(dossiers)-1)])
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+factColumns+` FROM oversight_fact WHERE agency = $1 AND dossier IN (`+marks(2, chunkSize)+`)`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string][]oversight.Fact{}
	for rows.Next() {
		var f oversight.Fact
		var at, due, final, paused int64
		err := rows.Scan(&f.Seq, &at, &f.Kind, &f.Dossier, &f.Agency, &f.Unit, &f.Procedure, &f.Mode, &f.State, &f.National, &f.Channel,
			&due, &f.Stars, &final, &paused, &f.FeeTotal, &f.FeePaid)
		if err != nil {
			return nil, err
		}
		f.At, f.Due, f.Final, f.Paused = storage.Time(at), storage.Time(due), final != 0, paused != 0
		out[f.Dossier] = append(out[f.Dossier], f)
	}
	return out, rows.Err()
}

func putDossiers(ctx context.Context, tx *storage.Tx, facts map[string][]oversight.Fact) error {
	columns := []string{
		"unit", "procedure_code", "mode", "channel", "state", "national", "submitted_at", "received_at", "due_at", "due_end", "finished_at",
		"finished_week", "paused_since", "outcome", "punctual", "supplements", "again_at", "extensions", "stars", "fee_total", "fee_paid", "last_seq",
	}
	set := make([]string, len(columns))
	for i, c := range columns {
		set[i] = c + " = EXCLUDED." + c
	}
	b := batch{
		tx: tx, columns: 2 + len(columns), head: `INSERT INTO oversight_dossier (agency, dossier, ` + strings.Join(columns, ", ") + `)`,
		tail: `ON CONFLICT (agency, dossier) DO UPDATE SET ` + strings.Join(set, ", "),
	}
	for _, list := range facts {
		d := oversight.Fold(list)
		b.add(d.Agency, d.Number, d.Unit, d.Procedure, d.Mode, d.Channel, d.State, int64(d.National),
			storage.Micros(d.Submitted), storage.Micros(d.Received), storage.Micros(d.Due), dueEnd(d.Due), storage.Micros(d.Finished), weekOf(d.Finished),
			storage.Micros(d.PausedSince), string(d.Outcome), string(d.Punctual), int64(d.Supplements), storage.Micros(d.SupplementedAgain), int64(d.Extensions),
			int64(d.Stars), d.FeeTotal, d.FeePaid, d.LastSeq)
	}
	return b.flush(ctx)
}

// dueEnd is the midnight after the due date: from then on the comparison of dates says late.
func dueEnd(due time.Time) int64 {
	if due.IsZero() {
		return 0
	}
	y, m, d := due.In(i18n.Zone).Date()
	return storage.Micros(time.Date(y, m, d+1, 0, 0, 0, 0, i18n.Zone))
}

// epochMonday is where weeks are counted from.
var epochMonday = time.Date(1999, 12, 27, 0, 0, 0, 0, i18n.Zone)

const weekLength = 7 * 24 * time.Hour

// weekOf is the number of the week of t, 0 for none.
func weekOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return int64(t.Sub(epochMonday) / weekLength)
}

func weekStart(n int64) time.Time { return epochMonday.Add(time.Duration(n) * weekLength) }

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
