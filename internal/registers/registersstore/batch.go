package registersstore

import (
	"context"
	"strconv"
	"strings"

	"truc/internal/storage"
)

// batch collects rows for one table and writes them with few statements: full ones of batchRows rows, then one by one,
// so that a table has two SQL texts and no more.
type batch struct {
	tx         *storage.Tx
	head, tail string
	columns    int
	args       []any
}

const batchRows = 100

func (b *batch) add(values ...any) { b.args = append(b.args, values...) }

func (b *batch) flush(ctx context.Context) error {
	many, one := "", ""
	for len(b.args) > 0 {
		rows, text := batchRows, &many
		if len(b.args) < batchRows*b.columns {
			rows, text = 1, &one
		}
		if *text == "" {
			*text = b.text(rows)
		}
		n := rows * b.columns
		if _, err := b.tx.ExecContext(ctx, *text, b.args[:n]...); err != nil {
			return err
		}
		b.args = b.args[n:]
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
