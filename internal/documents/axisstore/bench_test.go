package axisstore_test

import (
	"fmt"
	"testing"

	"truc/internal/documents/axis"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// BenchmarkSubmit measures a document from the blob store to the answer, and what its receiver does with it.
func BenchmarkSubmit(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": storagetest.OpenSQLite, "postgres": storagetest.OpenPostgres} {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			migrate(b, db)
			c := newCenter(b, db)
			n := 0
			for b.Loop() {
				n++
				c.mustSubmit(b, province, letter(fmt.Sprint(n), "G98"))
				list, err := c.Received(b.Context(), ministry, axis.ReceivedQuery{Kind: axis.Document})
				if err != nil || len(list) != 1 {
					b.Fatalf("%d copies, %v", len(list), err)
				}
				c.fetch(b, ministry, list[0].ID)
				if err := c.Report(b.Context(), ministry, list[0].ID, axis.Done, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
