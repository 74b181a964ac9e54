// Package storage opens a node's database, SQLite by default and PostgreSQL in production, and lets one
// hand-written SQL text run on both. It knows connections, transactions, migrations and driver errors; it
// knows no table but its own migration record.
//
// Rules that keep one text portable (docs/adr/0003-one-sql-text.md): binds are $1, $2 … each used once, in order
// of appearance; times are BIGINT UTC microseconds ([Micros]); money is whole đồng; text is NFC; a write
// happens inside [DB.InTx].
package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver "pgx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"truc/internal/errs"
)

// Engine names a database engine.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Querier runs SQL; both [DB] (reads, outside a transaction) and [Tx] satisfy it.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	// Engine tells which engine answers, for the rare text that must differ.
	Engine() Engine
}

// DB is a node's database. On SQLite there are two pools: one connection that writes and a few that only read,
// because competing writers of one file starve each other for seconds.
type DB struct {
	engine Engine
	write  *sql.DB
	read   *sql.DB
	path   string // of a SQLite file
}

// Options bound a database's resources.
type Options struct {
	// Readers is the number of read connections; default 3.
	Readers int
	// Durable makes SQLite wait for the disk at each commit (synchronous=FULL). Default true: what was
	// acknowledged survives a power cut.
	NoSync bool
}

// Open opens "sqlite:/path/file.db", a plain path, or "postgres://…". The SQLite file and its folder are made
// when missing.
func Open(ctx context.Context, dsn string, opt Options) (db *DB, err error) {
	defer errs.Wrap(&err, "open database")
	if opt.Readers == 0 {
		opt.Readers = 3
	}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		pool, err := sql.Open("pgx", dsn)
		if err != nil {
			return nil, errors.New("the PostgreSQL address cannot be read") // the driver's text may hold the password
		}
		pool.SetMaxOpenConns(opt.Readers + 5)
		pool.SetMaxIdleConns(opt.Readers)
		pool.SetConnMaxIdleTime(5 * time.Minute)
		if err := pool.PingContext(ctx); err != nil {
			_ = pool.Close()
			return nil, err
		}
		return &DB{engine: Postgres, write: pool, read: pool}, nil
	}
	path := strings.TrimPrefix(dsn, "sqlite:")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	write, err := openSQLite(ctx, path, opt, false)
	if err != nil {
		return nil, err
	}
	read, err := openSQLite(ctx, path, opt, true)
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	return &DB{engine: SQLite, write: write, read: read, path: path}, nil
}

func openSQLite(ctx context.Context, path string, opt Options, readOnly bool) (*sql.DB, error) {
	sync := "FULL"
	if opt.NoSync {
		sync = "OFF"
	}
	q := url.Values{}
	for _, p := range []string{"journal_mode(WAL)", "synchronous(" + sync + ")", "busy_timeout(10000)", "foreign_keys(1)", "cache_size(-2000)", "temp_store(2)"} {
		q.Add("_pragma", p)
	}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	} else {
		q.Set("_txlock", "immediate")
	}
	pool, err := sql.Open("sqlite", "file:"+path+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	n := 1
	if readOnly {
		n = opt.Readers
	}
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(n)
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close()
		return nil, err
	}
	return pool, nil
}

// Close closes the database.
func (db *DB) Close() error {
	err := db.write.Close()
	if db.read != db.write {
		err = errors.Join(err, db.read.Close())
	}
	return err
}

// Engine tells which engine this is.
func (db *DB) Engine() Engine { return db.engine }

// ExecContext runs a single statement that writes.
func (db *DB) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	q, err := prepare(db.engine, query, args)
	if err != nil {
		return nil, err
	}
	r, err := db.write.ExecContext(ctx, q, args...)
	return r, translate(err)
}

// QueryContext runs a query that reads. For INSERT … RETURNING and the like use a transaction.
func (db *DB) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	q, err := prepare(db.engine, query, args)
	if err != nil {
		return nil, err
	}
	rows, err := db.read.QueryContext(ctx, q, args...)
	return rows, translate(err)
}

// QueryRowContext runs a query that reads at most one row.
func (db *DB) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	q, err := prepare(db.engine, query, args)
	if err != nil {
		panic(err) // a programmer's mistake: the text and the arguments disagree
	}
	return db.read.QueryRowContext(ctx, q, args...)
}

// Tx is a transaction that writes.
type Tx struct {
	tx     *sql.Tx
	engine Engine
	after  []func()
}

// Engine tells which engine this is.
func (t *Tx) Engine() Engine { return t.engine }

// AfterCommit calls f once the transaction has committed, for wake-ups that may be lost.
func (t *Tx) AfterCommit(f func()) { t.after = append(t.after, f) }

// ExecContext runs one statement.
func (t *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	q, err := prepare(t.engine, query, args)
	if err != nil {
		return nil, err
	}
	r, err := t.tx.ExecContext(ctx, q, args...)
	return r, translate(err)
}

// ExecEach runs one statement for each row of arguments. The engine reads the statement once, which for a row of many
// columns costs SQLite more than to store it.
func (t *Tx) ExecEach(ctx context.Context, query string, rows iter.Seq[[]any]) (err error) {
	var stmt *sql.Stmt
	defer func() {
		if stmt != nil {
			err = errors.Join(err, stmt.Close())
		}
	}()
	for args := range rows {
		q, err := prepare(t.engine, query, args)
		if err != nil {
			return err
		}
		if stmt == nil {
			if stmt, err = t.tx.PrepareContext(ctx, q); err != nil { //nolint:sqlclosecheck // closed above
				return translate(err)
			}
		}
		if _, err := stmt.ExecContext(ctx, args...); err != nil {
			return translate(err)
		}
	}
	return nil
}

// QueryContext runs one query; close the rows before the next statement.
func (t *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	q, err := prepare(t.engine, query, args)
	if err != nil {
		return nil, err
	}
	rows, err := t.tx.QueryContext(ctx, q, args...)
	return rows, translate(err)
}

// QueryRowContext runs one query of at most one row.
func (t *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	q, err := prepare(t.engine, query, args)
	if err != nil {
		panic(err) // a programmer's mistake: the text and the arguments disagree
	}
	return t.tx.QueryRowContext(ctx, q, args...)
}

// InTx runs f in one transaction that writes, and commits when f returns nil. On PostgreSQL the level is
// REPEATABLE READ's stricter sibling SERIALIZABLE only where a store asks for it; here it is READ COMMITTED,
// and stores guard what they read with row versions or unique keys. Serialization failures and deadlocks are
// retried up to five times, so f must have no effect outside the transaction.
func (db *DB) InTx(ctx context.Context, f func(tx *Tx) error) error {
	var err error
	for attempt := range 5 {
		if err = db.inTxOnce(ctx, f); err == nil || !retryable(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(attempt+1) * 10 * time.Millisecond):
		}
	}
	return err
}

func (db *DB) inTxOnce(ctx context.Context, f func(tx *Tx) error) error {
	raw, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return translate(err)
	}
	tx := &Tx{tx: raw, engine: db.engine}
	defer func() { _ = raw.Rollback() }() // after a commit this does nothing
	if err := f(tx); err != nil {
		return err
	}
	if err := raw.Commit(); err != nil {
		return translate(err)
	}
	for _, after := range tx.after {
		after()
	}
	return nil
}

// Reader runs queries: a [Querier], or a transaction as another package names it.
type Reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// All reads every row of a query with scan.
func All[T any](ctx context.Context, q Reader, scan func(scan func(...any) error) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// One reads the first row of a query with scan; errs.NotFound, said with key, when there is none.
func One[T any](ctx context.Context, q Reader, scan func(scan func(...any) error) (T, error), key, query string, args ...any) (v T, err error) {
	list, err := All(ctx, q, scan, query, args...)
	if err == nil && len(list) == 0 {
		err = errs.E(errs.NotFound, key, ErrNoRows)
	}
	if err != nil {
		return v, err
	}
	return list[0], nil
}

// ErrDuplicate is in the chain of an error caused by a unique key, alike on both engines.
var ErrDuplicate = errors.New("duplicate key")

// ErrNoRows is sql.ErrNoRows, named here so that stores need not import database/sql for it.
var ErrNoRows = sql.ErrNoRows

// IsDuplicate reports whether a unique key refused a row.
func IsDuplicate(err error) bool { return errors.Is(err, ErrDuplicate) }

// IsNoRows reports whether a single-row query found nothing.
func IsNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

func translate(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
			return fmt.Errorf("%w: %w", ErrDuplicate, err)
		}
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "23505" {
		return fmt.Errorf("%w: %w", ErrDuplicate, err)
	}
	return err
}

func retryable(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "40001" || e.Code == "40P01"
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_BUSY
	}
	return false
}

var (
	bind      = regexp.MustCompile(`\$([0-9]+)`)
	rewritten sync.Map // query text → rewrittenQuery; bounded by the number of SQL texts in the program
)

type rewrittenQuery struct {
	text  string
	binds int
}

// prepare checks the number of arguments, which no SQLite driver does in both directions, and writes $N as ?N
// for SQLite, so that a later change of driver cannot silently swap arguments.
func prepare(engine Engine, query string, args []any) (string, error) {
	v, ok := rewritten.Load(query)
	if !ok {
		r := rewrittenQuery{text: bind.ReplaceAllString(query, "?$1")}
		for _, m := range bind.FindAllStringSubmatch(query, -1) {
			if n, _ := strconv.Atoi(m[1]); n > r.binds {
				r.binds = n
			}
		}
		v = r
		rewritten.Store(query, r)
	}
	r, _ := v.(rewrittenQuery)
	if r.binds != len(args) {
		return "", fmt.Errorf("storage: query has %d binds, got %d arguments: %.80s", r.binds, len(args), query)
	}
	if engine == SQLite {
		return r.text, nil
	}
	return query, nil
}

// Micros returns t as stored: UTC microseconds since 1970, 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the inverse of [Micros].
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
