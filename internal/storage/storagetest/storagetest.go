// Package storagetest runs a store's tests on every engine the product ships.
package storagetest

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"truc/internal/storage"
)

var schemas atomic.Int64

// Each calls f once with an empty SQLite database and once with an empty PostgreSQL schema. The PostgreSQL half
// needs TRUC_TEST_POSTGRES (an address of a server where schemas may be made); without it that half is
// skipped at a desk and fails when CI is set, for both are production engines.
func Each(t *testing.T, f func(t *testing.T, db *storage.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, OpenSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, OpenPostgres(t)) })
}

// Module is [Each] with one module's migrations applied.
func Module(t *testing.T, module string, migrations fs.FS, f func(t *testing.T, db *storage.DB)) {
	t.Helper()
	Each(t, func(t *testing.T, db *storage.DB) {
		if err := storage.Migrate(t.Context(), db, module, migrations, time.Now()); err != nil {
			t.Fatal(err)
		}
		f(t, db)
	})
}

// OpenSQLite opens an empty SQLite database that goes away with the test.
func OpenSQLite(t testing.TB) *storage.DB {
	t.Helper()
	db, err := storage.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"), storage.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// OpenPostgres opens an empty schema of the test server that goes away with the test.
func OpenPostgres(t testing.TB) *storage.DB {
	t.Helper()
	dsn := PostgresURL(t)
	db, err := storage.Open(context.Background(), dsn, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// PostgresURL makes an empty schema on the test server and returns an address whose search path is that schema.
func PostgresURL(t testing.TB) string {
	t.Helper()
	base := os.Getenv("TRUC_TEST_POSTGRES")
	if base == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("TRUC_TEST_POSTGRES is not set; in CI nothing may be skipped")
		}
		t.Skip("TRUC_TEST_POSTGRES is not set; run make test, which starts a server")
	}
	ctx := context.Background()
	admin, err := storage.Open(ctx, base, storage.Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("t%d_%d_%d", os.Getpid(), time.Now().UnixNano(), schemas.Add(1))
	if _, err := admin.ExecContext(ctx, `CREATE SCHEMA `+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = admin.ExecContext(context.Background(), `DROP SCHEMA `+schema+` CASCADE`)
		_ = admin.Close()
	})
	sep := "?"
	if strings.Contains(base, "?") {
		sep = "&"
	}
	return base + sep + "search_path=" + url.QueryEscape(schema)
}
