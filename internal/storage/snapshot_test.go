package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// parts is a sink in memory.
type parts struct {
	names []string
	data  map[string]*bytes.Buffer
}

func (p *parts) Add(name string, size int64, r io.Reader) error {
	w, err := p.Stream(name)
	if err != nil {
		return err
	}
	if n, err := io.Copy(w, r); err != nil || n != size {
		return fmt.Errorf("%s has %d bytes, not %d: %w", name, n, size, err)
	}
	return w.Close()
}

func (p *parts) Stream(name string) (io.WriteCloser, error) {
	if p.data == nil {
		p.data = map[string]*bytes.Buffer{}
	}
	p.names = append(p.names, name)
	p.data[name] = &bytes.Buffer{}
	return nopCloser{p.data[name]}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

var animals = fstest.MapFS{
	"0001_animal.sql": {Data: []byte(`CREATE TABLE animal (id SERIALKEY, name TEXT NOT NULL UNIQUE, raw BYTEA, tame BOOLEAN NOT NULL);
CREATE INDEX animal_tame ON animal (tame, name);
CREATE TABLE kind (code TEXT NOT NULL PRIMARY KEY);
INSERT INTO kind (code) VALUES ('seed');`)},
}

const odd = "tab\tline\nback\\slash 'quote' \\N Trâu ▲"

func all(t *testing.T, db *storage.DB) (out []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT id, name, raw, tame FROM animal ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			id   int64
			name string
			raw  []byte
			tame bool
		)
		if err := rows.Scan(&id, &name, &raw, &tame); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%d %q %x nil=%v %v", id, name, raw, raw == nil, tame))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func add(ctx context.Context, db *storage.DB, name string, raw any) error {
	return db.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO animal (name, raw, tame) VALUES ($1, $2, $3)`, name, raw, true)
		return err
	})
}

func mustAdd(t *testing.T, db *storage.DB, name string, raw any) {
	t.Helper()
	if err := add(t.Context(), db, name, raw); err != nil {
		t.Fatal(err)
	}
}

// TestSnapshot takes a snapshot while others write, puts it elsewhere, and finds what was there at its moment, with the
// rules of the tables and the counters.
func TestSnapshot(t *testing.T) {
	storagetest.Module(t, "zoo", animals, func(t *testing.T, db *storage.DB) {
		mustAdd(t, db, odd, []byte{0, 1, 255})
		mustAdd(t, db, "nothing", nil)
		for i := range 500 {
			mustAdd(t, db, fmt.Sprintf("animal %d", i), bytes.Repeat([]byte{byte(i)}, 300))
		}
		if _, err := db.ExecContext(t.Context(), `DELETE FROM animal WHERE name = 'animal 499'`); err != nil { // its number is never given again
			t.Fatal(err)
		}
		want := all(t, db)
		scratch := filepath.Join(t.TempDir(), "scratch.db")
		s, err := db.Snapshot(t.Context(), scratch)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustAdd(t, db, "too late", nil)
		var p parts
		if err := s.WriteTo(t.Context(), &p); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(scratch); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the scratch file is still there: %v", err)
		}
		mustAdd(t, db, "after the snapshot", nil)

		to := restored(t, db.Engine(), &p)
		if diff := cmp.Diff(want, all(t, to)); diff != "" {
			t.Errorf("rows:\n%s", diff)
		}
		later := fstest.MapFS{"0001_animal.sql": animals["0001_animal.sql"], "0002_more.sql": {Data: []byte(`ALTER TABLE animal ADD COLUMN legs BIGINT NOT NULL DEFAULT 4;`)}}
		if err := storage.Migrate(t.Context(), to, "zoo", later, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := add(t.Context(), to, "nothing", nil); !storage.IsDuplicate(err) {
			t.Errorf("the unique key is gone: %v", err)
		}
		mustAdd(t, to, "new", nil)
		list := all(t, to)
		// PostgreSQL counts outside of transactions, so it may leave numbers out; neither gives one twice.
		var id int
		if _, err := fmt.Sscan(list[len(list)-1], &id); err != nil || id < 503 || id > 503 && db.Engine() == storage.SQLite {
			t.Errorf("the counter goes on with %d, want 503 (%v)", id, err)
		}
		var codes int
		if err := to.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM kind`).Scan(&codes); err != nil || codes != 1 {
			t.Errorf("%d rows of a table that its migration fills, %v", codes, err)
		}
	})
}

func restored(t *testing.T, engine storage.Engine, p *parts) *storage.DB {
	t.Helper()
	if engine == storage.SQLite {
		path := filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(path, p.data[storage.SnapshotFile].Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		to, err := storage.Open(t.Context(), path, storage.Options{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = to.Close() })
		return to
	}
	to := storagetest.OpenPostgres(t)
	load := func(from map[string]*bytes.Buffer, known fs.FS) error {
		r := &storage.Restore{Migrations: map[string]fs.FS{"zoo": known}}
		defer func() { _ = r.Close(context.Background()) }()
		if err := r.Begin(t.Context(), to, bytes.NewReader(from[storage.SnapshotTables].Bytes())); err != nil {
			return err
		}
		for _, name := range p.names {
			table, ok := strings.CutPrefix(name, storage.SnapshotTable)
			if !ok || from[name] == nil {
				continue
			}
			if err := r.Table(t.Context(), table, bytes.NewReader(from[name].Bytes())); err != nil {
				return err
			}
		}
		return r.End(t.Context())
	}
	changed := fstest.MapFS{"0001_animal.sql": {Data: []byte(`CREATE TABLE animal (id SERIALKEY);`)}}
	if err := load(p.data, fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "newer release") {
		t.Errorf("a program that is too old: %v", err)
	}
	if err := load(p.data, changed); err == nil {
		t.Error("other migrations of the same name were taken")
	}
	to = storagetest.OpenPostgres(t)
	short := map[string]*bytes.Buffer{storage.SnapshotTables: p.data[storage.SnapshotTables], storage.SnapshotTable + "kind": p.data[storage.SnapshotTable+"kind"]}
	if err := load(short, animals); err == nil || !strings.Contains(err.Error(), "lacks table animal") {
		t.Errorf("a backup that lacks a table: %v", err)
	}
	if err := load(p.data, animals); !errors.Is(err, storage.ErrNotEmpty) {
		t.Errorf("into a database with tables: %v", err)
	}
	to = storagetest.OpenPostgres(t)
	if err := load(p.data, animals); err != nil {
		t.Fatal(err)
	}
	return to
}
