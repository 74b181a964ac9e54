// Package benchstore holds the SQL of the benchmarks: what a run stored, table by table, and the bare transactions
// against which a run is read. It weighs the tables of modules without knowing them.
package benchstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	"truc/internal/storage"
)

// Table is what one table holds.
type Table struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	// Bytes is the content of the rows: without indexes, row headers and free space.
	Bytes int64 `json:"bytes"`
}

// Weigh counts the rows and bytes of every table, as the catalogue of the database names them: a module's tables are its
// own affair. A number counts eight bytes.
func Weigh(ctx context.Context, db *storage.DB) ([]Table, error) {
	names, err := texts(ctx, db, map[storage.Engine]string{
		storage.SQLite:   `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
		storage.Postgres: `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY table_name`,
	}[db.Engine()])
	if err != nil {
		return nil, err
	}
	out := make([]Table, 0, len(names))
	for _, name := range names {
		columns, err := texts(ctx, db, map[storage.Engine]string{
			storage.SQLite: `SELECT CASE WHEN type IN ('TEXT', 'BLOB') THEN 'LENGTH(CAST("' || name || '" AS BLOB))' ELSE '8' END FROM pragma_table_info($1)`,
			storage.Postgres: `SELECT CASE WHEN data_type IN ('text', 'bytea') THEN 'OCTET_LENGTH("' || column_name || '")' ELSE '8' END
				FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1`,
		}[db.Engine()], name)
		if err != nil {
			return nil, err
		}
		t := Table{Name: name}
		q := `SELECT COUNT(*), COALESCE(SUM(` + strings.Join(columns, " + ") + `), 0) FROM "` + name + `"`
		if err := db.QueryRowContext(ctx, q).Scan(&t.Rows, &t.Bytes); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func texts(ctx context.Context, db *storage.DB, query string, args ...any) (out []string, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// Size returns the bytes the database takes on the disk, indexes and free space included. SQLite's log is folded into
// the file before; on PostgreSQL it is the tables and indexes of the schema, without the server's own log.
func Size(ctx context.Context, db *storage.DB) (n int64, err error) {
	if db.Engine() == storage.Postgres {
		err = db.QueryRowContext(ctx, `SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0)::bigint
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind = 'r'`).Scan(&n)
		return n, err
	}
	if _, err := db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return 0, err
	}
	var pages, size int64
	if err := db.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&pages); err != nil {
		return 0, err
	}
	err = db.QueryRowContext(ctx, `PRAGMA page_size`).Scan(&size)
	return pages * size, err
}

// Durability says what a commit waits for, so that a figure is not taken for more than it is.
func Durability(ctx context.Context, db *storage.DB) (string, error) {
	if db.Engine() == storage.SQLite {
		var version, journal string
		var sync int
		for q, dest := range map[string]any{`SELECT sqlite_version()`: &version, `PRAGMA journal_mode`: &journal, `PRAGMA synchronous`: &sync} {
			if err := db.QueryRowContext(ctx, q).Scan(dest); err != nil {
				return "", err
			}
		}
		return fmt.Sprintf("SQLite %s journal_mode=%s synchronous=%s", version, journal, []string{"OFF", "NORMAL", "FULL", "EXTRA"}[sync&3]), nil
	}
	var version, fsync, commit string
	for name, dest := range map[string]*string{"server_version": &version, "fsync": &fsync, "synchronous_commit": &commit} {
		if err := db.QueryRowContext(ctx, `SELECT current_setting($1)`, name).Scan(dest); err != nil {
			return "", err
		}
	}
	s := fmt.Sprintf("PostgreSQL %s fsync=%s synchronous_commit=%s", version, fsync, commit)
	if fsync != "on" {
		s += " (this server does not wait for the disk: no figure for production)"
	}
	return s, nil
}

// Prepare makes the table of the bare transactions.
func Prepare(ctx context.Context, db *storage.DB) error {
	blob := "BYTEA"
	if db.Engine() == storage.SQLite {
		blob = "BLOB"
	}
	return db.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `CREATE TABLE bench_row (id TEXT PRIMARY KEY, content `+blob+` NOT NULL)`)
		return err
	})
}

// Insert commits one bare transaction: a row of each size; with no sizes it changes the row called last.
func Insert(ctx context.Context, db *storage.DB, prefix, last string, sizes []int, content []byte) error {
	return db.InTx(ctx, func(tx *storage.Tx) error {
		if len(sizes) == 0 {
			_, err := tx.ExecContext(ctx, `UPDATE bench_row SET content = $1 WHERE id = $2`, content[:16], last)
			return err
		}
		for i, n := range sizes {
			if _, err := tx.ExecContext(ctx, `INSERT INTO bench_row (id, content) VALUES ($1, $2)`, fmt.Sprintf("%s-%03d", prefix, i), content[:n]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Counted is a database that counts the statements that write; outside a transaction each of them is one.
type Counted struct {
	*storage.DB
	Writes *atomic.Int64
}

// ExecContext implements the port of the outbox's relay.
func (c Counted) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	c.Writes.Add(1)
	return c.DB.ExecContext(ctx, query, args...)
}

// Schema makes an empty schema on a PostgreSQL server and returns an address whose search path is that schema; drop
// removes it with everything in it.
func Schema(ctx context.Context, dsn string) (address string, drop func(context.Context) error, err error) {
	admin, err := storage.Open(ctx, dsn, storage.Options{Readers: 1})
	if err != nil {
		return "", nil, err
	}
	var id [6]byte
	_, _ = rand.Read(id[:]) // it never fails
	name := "truc_bench_" + hex.EncodeToString(id[:])
	if _, err := admin.ExecContext(ctx, `CREATE SCHEMA `+name); err != nil {
		_ = admin.Close()
		return "", nil, err
	}
	sep := "?"
	if strings.Contains(dsn, "?") {
		sep = "&"
	}
	return dsn + sep + "search_path=" + url.QueryEscape(name), func(ctx context.Context) error {
		defer func() { _ = admin.Close() }()
		_, err := admin.ExecContext(ctx, `DROP SCHEMA `+name+` CASCADE`)
		return err
	}, nil
}
