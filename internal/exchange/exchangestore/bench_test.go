package exchangestore

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/storage"
)

// BenchmarkRecord is what a row of the index costs a node that writes 500 of them at a time and waits for the disk:
// processor time of the process, and bytes in the database.
func BenchmarkRecord(b *testing.B) {
	path := filepath.Join(b.TempDir(), "node.db")
	db, err := storage.Open(b.Context(), "sqlite:"+path, storage.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		b.Fatal(err)
	}
	if err := storage.Migrate(b.Context(), db, "exchange", sub, time.Now()); err != nil {
		b.Fatal(err)
	}
	s := &Store{DB: db}
	r := rand.New(rand.NewPCG(1, 2))
	ms := make([]exchange.Message, 500)
	rows := 0
	var spent time.Duration
	for b.Loop() {
		b.StopTimer()
		for i := range ms {
			ms[i] = ordinary(r, int64(rows), day.Add(time.Duration(rows)*time.Millisecond))
			rows++
		}
		b.StartTimer()
		before := processorTime(b)
		if err := s.Record(context.Background(), ms); err != nil {
			b.Fatal(err)
		}
		spent += processorTime(b) - before
	}
	if _, err := db.ExecContext(b.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		b.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(rows), "cpu-µs/row")
	b.ReportMetric(float64(st.Size())/float64(rows), "B/row")
	b.ReportMetric(float64(rows), "rows")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBlock is what a full block costs to write and to read: all of it, and what a filter asks about.
func BenchmarkBlock(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	ms := make([]exchange.Message, maxBlock)
	for i := range ms {
		ms[i] = ordinary(r, int64(i), day.Add(time.Duration(i)*time.Millisecond))
	}
	var e encoder
	data := append([]byte{}, e.block(ms)...)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			e.block(ms)
		}
	})
	for name, want := range map[string]columnSet{"read": allColumns, "filter": filterColumns, "sums": sumColumns} {
		b.Run(name, func(b *testing.B) {
			var d decoder
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				var err error
				if ms, err = d.block(ms[:0], 1, data, want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
