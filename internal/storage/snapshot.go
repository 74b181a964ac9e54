package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"truc/internal/errs"
)

// Snapshot is the database as it was at one moment, while others go on writing; a backup is made of it.
type Snapshot struct {
	db      *DB
	pool    *sql.DB // of a SQLite file
	conn    *sql.Conn
	scratch string
}

// Sink takes the parts of a snapshot.
type Sink interface {
	// Add takes a part of known size.
	Add(name string, size int64, r io.Reader) error
	// Stream takes a part whose size is not known beforehand.
	Stream(name string) (io.WriteCloser, error)
}

// The names of a snapshot's parts: the file of SQLite; for PostgreSQL the list of tables, then each table as COPY writes
// it in text.
const (
	SnapshotFile   = "db/sqlite"
	SnapshotTables = "db/postgres.json"
	SnapshotTable  = "db/postgres/"
)

// Snapshot prepares a snapshot; [Snapshot.Begin] says of when. On SQLite a copy is made in the file scratch, which
// [Snapshot.Close] removes: it needs as much room as the database.
func (db *DB) Snapshot(ctx context.Context, scratch string) (_ *Snapshot, err error) {
	defer errs.Wrap(&err, "snapshot")
	s := &Snapshot{db: db}
	if db.engine == Postgres {
		s.conn, err = db.write.Conn(ctx)
		return s, err
	}
	s.scratch = scratch
	f, err := os.OpenFile(scratch, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) // SQLite would let others read it
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": {"busy_timeout(10000)", "temp_store(2)", "cache_size(-2000)"}}
	if s.pool, err = sql.Open("sqlite", "file:"+db.path+"?"+q.Encode()); err != nil {
		return nil, errors.Join(err, os.Remove(scratch))
	}
	if s.conn, err = s.pool.Conn(ctx); err == nil {
		err = s.exec(ctx, `ATTACH DATABASE ? AS copy`, scratch)
	}
	for _, pragma := range []string{"journal_mode=OFF", "synchronous=OFF", "cache_size=-2000"} { // a copy that was begun is worth nothing
		if err == nil {
			err = s.exec(ctx, `PRAGMA copy.`+pragma)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

func (s *Snapshot) exec(ctx context.Context, query string, args ...any) error {
	_, err := s.conn.ExecContext(ctx, query, args...)
	return err
}

// Begin fixes the moment: what is committed when it returns is in the snapshot, and nothing later. It takes no time.
func (s *Snapshot) Begin(ctx context.Context) (err error) {
	defer errs.Wrap(&err, "begin snapshot")
	begin, look := `BEGIN`, `SELECT COUNT(*) FROM main.sqlite_master`
	if s.db.engine == Postgres {
		begin, look = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`, `SELECT COUNT(*) FROM pg_namespace`
	}
	if err := s.exec(ctx, begin); err != nil {
		return err
	}
	return s.conn.QueryRowContext(ctx, look).Scan(new(int64)) // the engines take the snapshot with the first query
}

// Close ends the snapshot and removes what it left.
func (s *Snapshot) Close(ctx context.Context) (err error) {
	if s.conn != nil {
		if s.db.engine == Postgres {
			_ = s.exec(context.WithoutCancel(ctx), `ROLLBACK`) // the connection goes back to the pool
		}
		err = s.conn.Close()
	}
	if s.pool != nil {
		err = errors.Join(err, s.pool.Close())
	}
	if s.scratch != "" {
		err = errors.Join(err, os.Remove(s.scratch))
	}
	return err
}

// WriteTo hands out the parts.
func (s *Snapshot) WriteTo(ctx context.Context, sink Sink) (err error) {
	defer errs.Wrap(&err, "write snapshot")
	if s.db.engine == Postgres {
		return s.writePostgres(ctx, sink)
	}
	if err := s.copySQLite(ctx); err != nil {
		return err
	}
	f, err := os.Open(s.scratch)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return sink.Add(SnapshotFile, st.Size(), f)
}

// copySQLite copies every table within the one transaction. VACUUM INTO would choose its own moment.
func (s *Snapshot) copySQLite(ctx context.Context) error {
	type object struct{ kind, name, text string }
	var objects []object
	rows, err := s.conn.QueryContext(ctx, `SELECT type, name, sql FROM main.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
		ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, rowid`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var o object
		if err := rows.Scan(&o.kind, &o.name, &o.text); err != nil {
			return err
		}
		objects = append(objects, o)
	}
	if err := rows.Err(); err != nil { // which ends them: the connection is free
		return err
	}
	counted := false
	for _, kind := range []string{"table", "index", "trigger", "view"} {
		for _, o := range objects {
			if o.kind != kind {
				continue
			}
			text, err := inCopy(o.text)
			if err != nil {
				return fmt.Errorf("%s: %w", o.name, err)
			}
			if err := s.exec(ctx, text); err != nil {
				return fmt.Errorf("%s: %w", o.name, err)
			}
			if kind != "table" {
				continue
			}
			name := `"` + strings.ReplaceAll(o.name, `"`, `""`) + `"`
			if err := s.exec(ctx, `INSERT INTO copy.`+name+` SELECT * FROM main.`+name); err != nil {
				return fmt.Errorf("%s: %w", o.name, err)
			}
			counted = counted || strings.Contains(strings.ToUpper(o.text), "AUTOINCREMENT")
		}
	}
	if counted { // a value once given is never given again
		for _, q := range []string{`DELETE FROM copy.sqlite_sequence`, `INSERT INTO copy.sqlite_sequence SELECT * FROM main.sqlite_sequence`} {
			if err := s.exec(ctx, q); err != nil {
				return err
			}
		}
	}
	if err := s.exec(ctx, `COMMIT`); err != nil {
		return err
	}
	var verdict string
	if err := s.conn.QueryRowContext(ctx, `PRAGMA copy.quick_check`).Scan(&verdict); err != nil || verdict != "ok" {
		return fmt.Errorf("the copy is not whole: %s: %w", verdict, err)
	}
	return s.exec(ctx, `DETACH DATABASE copy`)
}

// inCopy writes the text of a CREATE statement, as SQLite keeps it, for the schema "copy".
func inCopy(text string) (string, error) {
	for _, verb := range []string{"CREATE TABLE ", "CREATE UNIQUE INDEX ", "CREATE INDEX ", "CREATE TRIGGER ", "CREATE VIEW "} {
		if len(text) > len(verb) && strings.EqualFold(text[:len(verb)], verb) {
			return verb + "copy." + strings.TrimLeft(text[len(verb):], " \t\r\n"), nil
		}
	}
	return "", fmt.Errorf("unknown statement %.40q", text)
}

// TableCopy tells of a table of PostgreSQL in a snapshot.
type TableCopy struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	// Counter is the column that counts by itself, with the value that comes next.
	Counter string `json:"counter,omitempty"`
	Next    int64  `json:"next,omitempty"`
}

// TablesCopy is [SnapshotTables]: which migrations had run, and the tables in order.
type TablesCopy struct {
	Migrations []MigrationCopy `json:"migrations"`
	Tables     []TableCopy     `json:"tables"`
}

// MigrationCopy is a migration that had run.
type MigrationCopy struct {
	Module   string `json:"module"`
	Name     string `json:"name"`
	Checksum string `json:"checksum"`
}

const maxTables = 1 << 20 // of the list of tables, in bytes

func (s *Snapshot) writePostgres(ctx context.Context, sink Sink) error {
	list, err := s.tables(ctx)
	if err != nil {
		return err
	}
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := sink.Add(SnapshotTables, int64(len(b)), strings.NewReader(string(b))); err != nil {
		return err
	}
	for _, t := range list.Tables {
		w, err := sink.Stream(SnapshotTable + t.Name)
		if err != nil {
			return err
		}
		err = s.conn.Raw(func(c any) error {
			pg, err := rawPostgres(c)
			if err != nil {
				return err
			}
			_, err = pg.CopyTo(ctx, w, `COPY `+quote(t.Name)+` (`+quoteAll(t.Columns)+`) TO STDOUT`)
			return err
		})
		if err = errors.Join(err, w.Close()); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return nil
}

func (s *Snapshot) tables(ctx context.Context) (list TablesCopy, err error) {
	each := func(query string, dest func() []any, done func()) error {
		rows, err := s.conn.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := rows.Scan(dest()...); err != nil {
				return err
			}
			done()
		}
		return rows.Err()
	}
	var m MigrationCopy
	err = each(`SELECT module, name, checksum FROM storage_migration ORDER BY module, name`, func() []any { return []any{&m.Module, &m.Name, &m.Checksum} },
		func() { list.Migrations = append(list.Migrations, m) })
	if err != nil {
		return list, err
	}
	var table, column, identity string
	err = each(`SELECT c.relname, a.attname, a.attidentity::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> 'storage_migration' ORDER BY c.relname, a.attnum`,
		func() []any { return []any{&table, &column, &identity} }, func() {
			if n := len(list.Tables); n == 0 || list.Tables[n-1].Name != table {
				list.Tables = append(list.Tables, TableCopy{Name: table})
			}
			t := &list.Tables[len(list.Tables)-1]
			t.Columns = append(t.Columns, column)
			if strings.TrimSpace(identity) != "" {
				t.Counter = column
			}
		})
	if err != nil {
		return list, err
	}
	for i := range list.Tables {
		t := &list.Tables[i]
		if t.Counter == "" {
			continue
		}
		var sequence string
		if err := s.conn.QueryRowContext(ctx, `SELECT pg_get_serial_sequence($1, $2)`, quote(t.Name), t.Counter).Scan(&sequence); err != nil {
			return list, err
		}
		if err := s.conn.QueryRowContext(ctx, `SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM `+sequence).Scan(&t.Next); err != nil { // the name comes quoted
			return list, err
		}
	}
	return list, nil
}

func rawPostgres(c any) (*pgconn.PgConn, error) {
	conn, ok := c.(*stdlib.Conn)
	if !ok {
		return nil, fmt.Errorf("%T is no connection to PostgreSQL", c)
	}
	return conn.Conn().PgConn(), nil
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quote(n)
	}
	return strings.Join(out, ", ")
}

// ErrNotEmpty means that a snapshot cannot be put into a database that holds tables already.
var ErrNotEmpty = errors.New("the database is not empty")

// Restore puts the parts of a PostgreSQL snapshot into an empty database. It is one transaction: an interrupted one
// leaves the database empty but for tables without rows. The migrations that had run when the snapshot was made are found
// in migrations, by module.
type Restore struct {
	// Migrations are the files of every module this program knows.
	Migrations map[string]fs.FS

	db   *DB
	conn *sql.Conn
	list TablesCopy
	done map[string]bool
}

// Begin makes the tables as list says they were; list is the part [SnapshotTables].
func (r *Restore) Begin(ctx context.Context, db *DB, list io.Reader) (err error) {
	defer errs.Wrap(&err, "restore database")
	if db.engine != Postgres {
		return errors.New("the backup holds tables of PostgreSQL; give the address of an empty PostgreSQL database")
	}
	b, err := io.ReadAll(io.LimitReader(list, maxTables+1))
	if err != nil {
		return err
	}
	if len(b) > maxTables {
		return errors.New("the list of tables is too long")
	}
	if err := json.Unmarshal(b, &r.list); err != nil {
		return fmt.Errorf("the list of tables: %w", err)
	}
	var n int
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')`).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return ErrNotEmpty
	}
	r.db, r.done = db, map[string]bool{}
	if err := r.migrate(ctx); err != nil {
		return err
	}
	if r.conn, err = db.write.Conn(ctx); err != nil {
		return err
	}
	_, err = r.conn.ExecContext(ctx, `BEGIN`)
	return err
}

// migrate runs exactly the migrations that had run: a later one would have changed rows that are not there yet.
func (r *Restore) migrate(ctx context.Context) error {
	byModule := map[string][]string{}
	for _, m := range r.list.Migrations {
		byModule[m.Module] = append(byModule[m.Module], m.Name)
	}
	for module, names := range byModule {
		fsys, ok := r.Migrations[module]
		if !ok {
			return fmt.Errorf("this program knows no module %q: the backup is of a newer release", module)
		}
		for _, name := range names {
			if _, err := fs.Stat(fsys, name); err != nil {
				return fmt.Errorf("this program knows no migration %s of %s: the backup is of a newer release", name, module)
			}
		}
		if err := Migrate(ctx, r.db, module, onlyFiles{fsys, names}, Time(1)); err != nil {
			return err
		}
	}
	for _, m := range r.list.Migrations {
		var sum string
		if err := r.db.QueryRowContext(ctx, `SELECT checksum FROM storage_migration WHERE module = $1 AND name = $2`, m.Module, m.Name).Scan(&sum); err != nil || sum != m.Checksum {
			return fmt.Errorf("migration %s of %s is not the one of the backup: %w", m.Name, m.Module, errors.Join(err))
		}
	}
	return nil
}

// onlyFiles is a file system that shows some files.
type onlyFiles struct {
	fs.FS
	names []string
}

// Glob implements [fs.GlobFS].
func (o onlyFiles) Glob(pattern string) ([]string, error) {
	all, err := fs.Glob(o.FS, pattern)
	return slices.DeleteFunc(all, func(name string) bool { return !slices.Contains(o.names, name) }), err
}

// Table puts the rows of one table into it; rows is the part [SnapshotTable] of that name.
func (r *Restore) Table(ctx context.Context, name string, rows io.Reader) (err error) {
	defer errs.Wrap(&err, "restore table %q", name)
	i := slices.IndexFunc(r.list.Tables, func(t TableCopy) bool { return t.Name == name })
	if i < 0 || r.done[name] {
		return errors.New("the list of tables does not name it, or it came before")
	}
	t := r.list.Tables[i]
	r.done[name] = true
	if err := r.clear(ctx, name); err != nil {
		return err
	}
	err = r.conn.Raw(func(c any) error {
		pg, err := rawPostgres(c)
		if err != nil {
			return err
		}
		_, err = pg.CopyFrom(ctx, rows, `COPY `+quote(t.Name)+` (`+quoteAll(t.Columns)+`) FROM STDIN`)
		return err
	})
	if err != nil || t.Counter == "" {
		return err
	}
	_, err = r.conn.ExecContext(ctx, `SELECT setval(pg_get_serial_sequence($1, $2), $3, false)`, quote(t.Name), t.Counter, max(1, t.Next))
	return err
}

// clear removes rows that a migration put into a new table; append-only tables have none.
func (r *Restore) clear(ctx context.Context, name string) error {
	var some bool
	if err := r.conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+quote(name)+`)`).Scan(&some); err != nil || !some {
		return err
	}
	_, err := r.conn.ExecContext(ctx, `DELETE FROM `+quote(name)) //nolint:gosec // the name is one of the database's, in quotes
	return err
}

// End commits when every table came.
func (r *Restore) End(ctx context.Context) error {
	for _, t := range r.list.Tables {
		if !r.done[t.Name] {
			return fmt.Errorf("the backup lacks table %s", t.Name)
		}
	}
	if _, err := r.conn.ExecContext(ctx, `COMMIT`); err != nil {
		return err
	}
	err := r.conn.Close()
	r.conn = nil
	return err
}

// Close gives up what was not ended.
func (r *Restore) Close(ctx context.Context) error {
	if r.conn == nil {
		return nil
	}
	_, err := r.conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
	return errors.Join(err, r.conn.Close())
}
