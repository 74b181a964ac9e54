// Package benchstore holds the SQL of the benchmarks: what a run stored, table by table, and the bare transactions
// against which a run is read. It knows the tables of the modules it weighs and changes none of them.
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

// tables lists what a dossier leaves behind, with its columns of variable length. A number counts eight bytes.
var tables = []struct {
	name    string
	columns []string
	numbers int
}{
	{"services_dossier", []string{
		"id", "number", "filing_id", "procedure", "version_hash", "case_id", "received_agency", "competent_agency", "current_agency", "channel",
		"applicant_id", "applicant_name", "search_fold", "submission", "state", "finance", "digitisation", "delivery", "assignee",
	}, 8},
	{"services_dossier_event", []string{"dossier_id", "type", "body", "prev_hash", "hash"}, 2},
	{"services_fact", []string{"body"}, 2},
	{"services_blob", []string{"sha256", "media", "content"}, 2},
	{"services_inbox", []string{"message_id"}, 1},
	{"outbox_message", []string{"id", "topic", "order_key", "payload", "state", "last_error"}, 4},
	{"audit_leaf", []string{"leaf", "salt", "record"}, 2},
	{"audit_act", []string{"id", "actor", "action", "object"}, 2},
}

// Weigh counts the rows and bytes of the tables a dossier leaves something in.
func Weigh(ctx context.Context, db *storage.DB) ([]Table, error) {
	out := make([]Table, 0, len(tables))
	for _, t := range tables {
		length := "LENGTH"
		if db.Engine() == storage.Postgres {
			length = "OCTET_LENGTH"
		}
		parts := []string{fmt.Sprint(8 * t.numbers)}
		for _, c := range t.columns {
			if db.Engine() == storage.SQLite { // LENGTH of text counts characters
				c = "CAST(" + c + " AS BLOB)"
			}
			parts = append(parts, length+"("+c+")")
		}
		row := Table{Name: t.name}
		q := `SELECT COUNT(*), COALESCE(SUM(` + strings.Join(parts, " + ") + `), 0) FROM ` + t.name
		if err := db.QueryRowContext(ctx, q).Scan(&row.Rows, &row.Bytes); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
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

// Folded counts the dossiers that have ended, and the messages of the outbox by their state.
func Folded(ctx context.Context, db *storage.DB) (final, waiting, dead int64, err error) {
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM services_dossier WHERE final = $1`, true).Scan(&final); err != nil {
		return 0, 0, 0, err
	}
	err = db.QueryRowContext(ctx, `SELECT COUNT(*) FILTER (WHERE state = 'waiting'), COUNT(*) FILTER (WHERE state = 'dead') FROM outbox_message`).Scan(&waiting, &dead)
	return final, waiting, dead, err
}

// Waits reports whether a message waits in the outbox. It is cheap, for it is asked while the run is measured.
func Waits(ctx context.Context, db *storage.DB) (waits bool, err error) {
	err = db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM outbox_message WHERE state = 'waiting')`).Scan(&waits)
	return waits, err
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
