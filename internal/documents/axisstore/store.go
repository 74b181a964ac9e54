// Package axisstore keeps the hub's agencies, systems, messages, copies and journal in SQL: one text for SQLite and
// PostgreSQL. It decides nothing; the rules are in package axis.
package axisstore

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/outbox"
	"truc/internal/storage"
)

// Migrations holds the tables of this package, in the folder migrations.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store implements [axis.Store].
type Store struct{ DB *storage.DB }

// tx implements [axis.Tx].
type tx struct {
	outbox.Querier
	lock string // the end of a query that reads a row to change it
}

// InTx implements [axis.Store].
func (s *Store) InTx(ctx context.Context, f func(tx axis.Tx) error) error {
	return s.DB.InTx(ctx, func(raw *storage.Tx) error { return f(s.Within(raw)) })
}

// Within implements [axis.Store].
func (s *Store) Within(q outbox.Querier) axis.Tx {
	t := &tx{Querier: q}
	if s.DB.Engine() == storage.Postgres {
		t.lock = " FOR UPDATE OF t"
	}
	return t
}

// AfterCommit calls f once the transaction has committed, where the transaction below can tell.
func (t *tx) AfterCommit(f func()) {
	if a, ok := t.Querier.(interface{ AfterCommit(f func()) }); ok {
		a.AfterCommit(f)
	}
}

// execEach runs one statement for each row.
func (t *tx) execEach(ctx context.Context, query string, rows iter.Seq[[]any]) error {
	if e, ok := t.Querier.(interface {
		ExecEach(ctx context.Context, query string, rows iter.Seq[[]any]) error
	}); ok {
		return e.ExecEach(ctx, query, rows)
	}
	for args := range rows {
		if _, err := t.ExecContext(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

func number(scan func(...any) error) (n int64, err error) { return n, scan(&n) }
func text(scan func(...any) error) (s string, err error)  { return s, scan(&s) }

// conditions builds the end of a query from those that apply.
type conditions struct {
	b    strings.Builder
	args []any
}

// add adds a condition whose binds are written "?"; each takes the next argument.
func (c *conditions) add(cond string, args ...any) {
	if c.b.Len() == 0 {
		c.b.WriteString(" WHERE ")
	} else {
		c.b.WriteString(" AND ")
	}
	c.text(cond, args...)
}

func (c *conditions) text(text string, args ...any) {
	for _, a := range args {
		before, after, _ := strings.Cut(text, "?")
		c.args = append(c.args, a)
		fmt.Fprintf(&c.b, "%s$%d", before, len(c.args))
		text = after
	}
	c.b.WriteString(text)
}

// period adds bounds of a time.
func (c *conditions) period(column string, since, until time.Time) {
	if !since.IsZero() {
		c.add(column+" >= ?", storage.Micros(since))
	}
	if !until.IsZero() {
		c.add(column+" < ?", storage.Micros(until))
	}
}

// maxIn is how many values one query compares with; shorter lists repeat their first, so that the text is one.
const maxIn = 50

// inChunks calls f with the values in portions of maxIn.
func inChunks(values []string, f func(in string, args []any) error) error {
	for len(values) > 0 {
		n := min(maxIn, len(values))
		args := make([]any, maxIn)
		marks := make([]string, maxIn)
		for i := range maxIn {
			args[i], marks[i] = values[0], fmt.Sprintf("$%d", i+1)
			if i < n {
				args[i] = values[i]
			}
		}
		if err := f(strings.Join(marks, ", "), args); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// list writes texts as JSON; they are short lists that are only read whole.
func list(v []string) string {
	if len(v) == 0 {
		return ""
	}
	b, _ := json.Marshal(v) // texts: it cannot fail
	return string(b)
}

func unlist(s string) (v []string, err error) {
	if s == "" {
		return nil, nil
	}
	return v, json.Unmarshal([]byte(s), &v)
}
