// Package registersstore keeps registers in the node's database. It implements registers.Store and knows no rule of
// reading: who may see what is decided above it.
package registersstore

import (
	"context"
	"embed"
	"slices"
	"strconv"
	"strings"

	"truc/internal/errs"
	"truc/internal/registers"
	"truc/internal/storage"
)

// Migrations holds the tables of this module, in the folder migrations.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store implements registers.Store.
type Store struct{ DB *storage.DB }

var _ registers.Store = (*Store)(nil)

// Append writes entries in one transaction and returns the number of the first.
func (s *Store) Append(ctx context.Context, register string, entries []registers.StoredEntry) (first int64, err error) {
	defer errs.Wrap(&err, "append %d entries", len(entries))
	if len(entries) == 0 {
		return 0, nil
	}
	err = s.DB.InTx(ctx, func(tx *storage.Tx) error {
		var last int64
		row := tx.QueryRowContext(ctx, `INSERT INTO registers_head (register, last_n) VALUES ($1, $2)
			ON CONFLICT (register) DO UPDATE SET last_n = registers_head.last_n + EXCLUDED.last_n RETURNING last_n`, register, int64(len(entries)))
		if err := row.Scan(&last); err != nil {
			return err
		}
		first = last - int64(len(entries)) + 1
		return write(ctx, tx, register, entries, first)
	})
	return first, err
}

func write(ctx context.Context, tx *storage.Tx, register string, entries []registers.StoredEntry, first int64) error {
	entry := batch{tx: tx, head: `INSERT INTO registers_entry (register, n, at, record_key, hash, valid_from, basis)`, columns: 7}
	blob := batch{tx: tx, head: `INSERT INTO registers_blob (register, hash, seed, body)`, columns: 4}
	record := batch{
		tx: tx, head: `INSERT INTO registers_record (register, record_key, n, hash)`, columns: 4,
		tail: `ON CONFLICT (register, record_key) DO UPDATE SET n = EXCLUDED.n, hash = EXCLUDED.hash`,
	}
	alias := batch{tx: tx, head: `INSERT INTO registers_alias (register, name, value, record_key)`, columns: 4, tail: `ON CONFLICT DO NOTHING`}
	search := batch{
		tx: tx, head: `INSERT INTO registers_search (register, born, province, record_key, name_fold, year)`, columns: 6, tail: `ON CONFLICT DO NOTHING`,
	}
	// The last entry of a key in this batch is the one that becomes its record; PostgreSQL refuses two updates of one
	// row by one statement.
	latest := map[string]int{}
	for i, e := range entries {
		latest[e.Key] = i
	}
	if err := clear(ctx, tx, register, latest); err != nil {
		return err
	}
	for i, e := range entries {
		n := first + int64(i)
		entry.add(register, n, storage.Micros(e.Time), e.Key, e.Hash, string(e.ValidFrom), e.Basis)
		blob.add(register, e.Hash, e.Seed, e.Body)
		if latest[e.Key] != i {
			continue
		}
		record.add(register, e.Key, n, e.Hash)
		for _, a := range e.Aliases {
			alias.add(register, a.Name, a.Value, e.Key)
		}
		for _, r := range e.Search {
			search.add(register, r.Born, r.Province, e.Key, r.NameFold, int64(r.Year))
		}
	}
	for _, b := range []*batch{&entry, &blob, &record, &alias, &search} {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// clear drops the index rows of records that exist already, so that a corrected name is no longer found.
func clear(ctx context.Context, tx *storage.Tx, register string, latest map[string]int) error {
	keys := make([]string, 0, len(latest))
	for k := range latest {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for chunk := range slices.Chunk(keys, chunkSize) {
		for _, table := range []string{"registers_alias", "registers_search"} {
			query, args := in(`DELETE FROM `+table+` WHERE register = $1 AND record_key IN `, register, chunk)
			if _, err := tx.ExecContext(ctx, query, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// chunkSize is the length of a list of binds. Lists are filled up to it by repeating their last value, so that the
// program has few different SQL texts. Longer lists make PostgreSQL read the whole of a table it has no statistics of,
// as during a first load.
const chunkSize = 40

// in appends "($2, $3 …)" to query. Short lists (up to 10) have their own text, for they are what a search sends.
func in(query, register string, keys []string) (string, []any) {
	size := chunkSize
	if len(keys) <= 10 {
		size = len(keys)
	}
	var b strings.Builder
	b.WriteString(query)
	args := make([]any, 0, size+1)
	args = append(args, register)
	for i := range size {
		b.WriteString(map[bool]string{true: "(", false: ", "}[i == 0])
		b.WriteString("$" + strconv.Itoa(i+2))
		args = append(args, keys[min(i, len(keys)-1)])
	}
	b.WriteByte(')')
	return b.String(), args
}

// Get returns the current records of the given keys; unknown keys are left out.
func (s *Store) Get(ctx context.Context, register string, keys []string) (out []registers.Record, err error) {
	defer errs.Wrap(&err, "get %d records", len(keys))
	for chunk := range slices.Chunk(keys, chunkSize) {
		query, args := in(`SELECT r.record_key, r.n, r.hash, b.body FROM registers_record r
			JOIN registers_blob b ON b.register = r.register AND b.hash = r.hash WHERE r.register = $1 AND r.record_key IN `, register, chunk)
		rows, err := s.DB.QueryContext(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var r registers.Record
			var body []byte
			if err := rows.Scan(&r.Key, &r.N, &r.Hash, &body); err != nil {
				_ = rows.Close()
				return nil, err
			}
			if r.Values, err = registers.ParseValues(body); err != nil {
				_ = rows.Close()
				return nil, err
			}
			out = append(out, r)
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Find returns the keys that a block holds, at most limit.
func (s *Store) Find(ctx context.Context, register string, by registers.Block, limit int) (out []registers.Candidate, err error) {
	defer errs.Wrap(&err, "find")
	var query string
	var args []any
	switch {
	case by.AliasName != "":
		query = `SELECT record_key, '' FROM registers_alias WHERE register = $1 AND name = $2 AND value = $3 LIMIT $4`
		args = []any{register, by.AliasName, by.AliasValue, limit}
	case len(by.Born) > 0:
		query, args = in(`SELECT record_key, name_fold FROM registers_search WHERE register = $1 AND born IN `, register, by.Born)
		query += ` LIMIT $` + strconv.Itoa(len(args)+1)
		args = append(args, limit)
	case by.Province != "":
		query = `SELECT record_key, name_fold FROM registers_search WHERE register = $1 AND year = $2 AND province = $3 LIMIT $4`
		args = []any{register, by.Year, by.Province, limit}
	default:
		query = `SELECT record_key, name_fold FROM registers_search WHERE register = $1 AND year = $2 LIMIT $3`
		args = []any{register, by.Year, limit}
	}
	rows, err := s.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c registers.Candidate
		if err := rows.Scan(&c.Key, &c.NameFold); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Entries returns entries after a number, of one key or of all, the oldest first.
func (s *Store) Entries(ctx context.Context, register, key string, after int64, limit int) (out []registers.Entry, err error) {
	defer errs.Wrap(&err, "entries")
	const columns = `SELECT e.n, e.at, e.record_key, e.hash, e.valid_from, e.basis, b.body FROM registers_entry e
		JOIN registers_blob b ON b.register = e.register AND b.hash = e.hash WHERE e.register = $1 AND e.n > $2`
	query, args := columns+` ORDER BY e.n LIMIT $3`, []any{register, after, limit}
	if key != "" {
		query, args = columns+` AND e.record_key = $3 ORDER BY e.n LIMIT $4`, []any{register, after, key, limit}
	}
	rows, err := s.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e registers.Entry
		var at int64
		var from string
		var body []byte
		if err := rows.Scan(&e.N, &at, &e.Key, &e.Hash, &from, &e.Basis, &body); err != nil {
			return nil, err
		}
		e.Time, e.ValidFrom = storage.Time(at), registers.Date(from)
		if e.Values, err = registers.ParseValues(body); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// CountRead adds to the count of a day.
func (s *Store) CountRead(ctx context.Context, c registers.ReadCount) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO registers_read (register, day, subsystem, activity, kind, delivered, missed)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (register, day, subsystem, activity, kind) DO UPDATE
			SET delivered = registers_read.delivered + EXCLUDED.delivered, missed = registers_read.missed + EXCLUDED.missed`,
			c.Register, c.Day, c.Subsystem, c.Activity, c.Kind, c.Delivered, c.Missed)
		return err
	})
}

// Counts returns the size of a register and its reads since a day.
func (s *Store) Counts(ctx context.Context, register, since string) (c registers.Counts, err error) {
	defer errs.Wrap(&err, "counts")
	err = s.DB.QueryRowContext(ctx, `SELECT COALESCE(MAX(last_n), 0) FROM registers_head WHERE register = $1`, register).Scan(&c.Entries)
	if err != nil {
		return c, err
	}
	err = s.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM registers_record WHERE register = $1`, register).Scan(&c.Records)
	if err != nil {
		return c, err
	}
	err = s.DB.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(delivered), 0) AS BIGINT), CAST(COALESCE(SUM(missed), 0) AS BIGINT)
		FROM registers_read WHERE register = $1 AND day >= $2`, register, since).Scan(&c.Delivered, &c.Missed)
	return c, err
}
