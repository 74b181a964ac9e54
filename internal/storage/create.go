package storage

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"truc/internal/errs"
)

var databaseName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// EnsureDatabase makes the PostgreSQL database that dsn names unless it is there, connecting as the same user to the
// server's database admin. It is for demonstrations and tests; operators make their databases themselves.
func EnsureDatabase(ctx context.Context, dsn, admin string) (err error) {
	defer errs.Wrap(&err, "make database")
	u, err := url.Parse(dsn)
	if err != nil {
		return fmt.Errorf("the PostgreSQL address cannot be read")
	}
	name := strings.TrimPrefix(u.Path, "/")
	if !databaseName.MatchString(name) {
		return fmt.Errorf("%q is no plain database name", name)
	}
	db, err := Open(ctx, admin, Options{Readers: 1})
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // one statement, whose error counts
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)`, name).Scan(&there); err != nil || there {
		return err
	}
	_, err = db.ExecContext(ctx, `CREATE DATABASE `+name)
	return err
}
