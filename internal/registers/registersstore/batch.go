package registersstore

import (
	"context"
	"strconv"
	"strings"

	"truc/internal/storage"
)

// batch collects rows for one table and writes them with few statements of few sizes, so that a table has three SQL
// texts and no more.
type batch struct {
	tx         *storage.Tx
	head, tail string
	columns    int
	args       []any
}

func (b *batch) add(values ...any) { b.args = append(b.args, values...) }

func (b *batch) flush(ctx context.Context) error {
	for _, rows := range []int{100, 10, 1} {
		n := rows * b.columns
		if len(b.args) < n {
			continue
		}
		text := b.text(rows)
		for ; len(b.args) >= n; b.args = b.args[n:] {
			if _, err := b.tx.ExecContext(ctx, text, b.args[:n]...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batch) text(rows int) string {
	var t strings.Builder
	t.WriteString(b.head + " VALUES ")
	bind := 1
	for r := range rows {
		if r > 0 {
			t.WriteString(", ")
		}
		for c := range b.columns {
			t.WriteString(map[bool]string{true: "(", false: ", "}[c == 0])
			t.WriteString("$" + strconv.Itoa(bind))
			bind++
		}
		t.WriteByte(')')
	}
	return t.String() + " " + b.tail
}
