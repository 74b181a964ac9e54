package oversightstore

import (
	"context"
	"strconv"
	"strings"

	"truc/internal/storage"
)

// batch writes rows with few statements.
type batch struct {
	tx      *storage.Tx
	head    string
	columns int
	tail    string
	args    []any
}

// maxBinds keeps below the limits of both engines.
const maxBinds = 1000

func (b *batch) add(values ...any) { b.args = append(b.args, values...) }

func (b *batch) flush(ctx context.Context) error {
	for len(b.args) > 0 {
		rows := min(len(b.args)/b.columns, maxBinds/b.columns)
		var q strings.Builder
		q.WriteString(b.head + ` VALUES `)
		for i := range rows {
			if i > 0 {
				q.WriteString(", ")
			}
			q.WriteString("(" + marks(1+i*b.columns, b.columns) + ")")
		}
		q.WriteString(" " + b.tail)
		if _, err := b.tx.ExecContext(ctx, q.String(), b.args[:rows*b.columns]...); err != nil {
			return err
		}
		b.args = b.args[rows*b.columns:]
	}
	return nil
}

// marks returns "$first, $first+1 …".
func marks(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(first+i))
	}
	return b.String()
}
