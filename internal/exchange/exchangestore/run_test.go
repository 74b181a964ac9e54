package exchangestore

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/storage"
)

// TestRuns merges runs a few pairs at a time, and finds every row at every moment, once.
func TestRuns(t *testing.T) {
	each(t, func(t *testing.T, db *storage.DB) {
		r := rand.New(rand.NewPCG(1, 1))
		s := &Store{DB: db}
		ctx := t.Context()
		where := map[string][]int64{}
		var all []string
		seq := int64(1)
		for turn := range 150 {
			ms := make([]exchange.Message, 1+r.IntN(30))
			if turn%40 == 39 {
				ms = make([]exchange.Message, 2000)
			}
			for i := range ms {
				id := fmt.Sprint(r.IntN(5000)) // many come again
				if r.IntN(10) == 0 {
					id = "often"
				}
				ms[i] = exchange.Message{RequestID: id, ExchangeID: fmt.Sprintf("x%d", seq+int64(i))}
				if turn%50 == 0 {
					ms[i].ExchangeID = id // both ids of a row are one
				}
				for _, id := range slices.Compact([]string{ms[i].RequestID, ms[i].ExchangeID}) {
					if where[id] == nil {
						all = append(all, id)
					}
					where[id] = append(where[id], seq+int64(i))
				}
			}
			err := db.InTx(ctx, func(tx *storage.Tx) error {
				w := writer{ctx: ctx, tx: tx, s: s}
				if err := w.begin(); err != nil {
					return err
				}
				if _, err := w.run(seq, ms); err != nil {
					return err
				}
				if err := w.merge(1 + r.IntN(3000)); err != nil {
					return err
				}
				return w.end()
			})
			if err != nil {
				t.Fatal(err)
			}
			seq += int64(len(ms))
			for range 10 {
				id := all[r.IntN(len(all))]
				if got, err := lookUp(ctx, db, id); err != nil || !slices.Equal(got, where[id]) {
					t.Fatalf("turn %d: %s is in %v, %v; want %v", turn, id, got, err, where[id])
				}
			}
		}
		// Without more rows, merging comes to an end, and little is left to be read.
		for turn := 0; ; turn++ {
			if err := db.InTx(ctx, func(tx *storage.Tx) error {
				w := writer{ctx: ctx, tx: tx, s: s}
				if err := w.begin(); err != nil {
					return err
				}
				if err := w.merge(2000); err != nil {
					return err
				}
				return w.end()
			}); err != nil {
				t.Fatal(err)
			}
			list, err := storage.All(ctx, db, scanRun, `SELECT id, level, state, first_seq, merged_into FROM exchange_run ORDER BY level, first_seq`)
			if err != nil {
				t.Fatal(err)
			}
			perLevel := map[int64]int{}
			left := 0
			for _, r := range list {
				if perLevel[r.level]++; r.state != runLive || perLevel[r.level] >= runFan {
					left++
				}
			}
			if left == 0 {
				break
			}
			if turn == 300 {
				t.Fatalf("merging does not end: %+v", list)
			}
		}
		chunks, err := storage.All(ctx, db, scanInt, `SELECT COUNT(*) FROM exchange_chunk c WHERE NOT EXISTS (SELECT 1 FROM exchange_run r WHERE r.id = c.run)`)
		if err != nil || chunks[0] != 0 {
			t.Errorf("%v chunks of no run, %v", chunks, err)
		}
		for _, id := range all {
			if got, err := lookUp(ctx, db, id); err != nil || !slices.Equal(got, where[id]) {
				t.Fatalf("%s is in %v, %v; want %v", id, got, err, where[id])
			}
		}
	})
}

// TestConvert carries the rows of the table of before over, once and in their order, also when it was interrupted.
func TestConvert(t *testing.T) {
	each(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		tr := &traffic{r: rand.New(rand.NewPCG(5, 5)), now: day}
		m := &model{}
		ms := tr.batch(convertBatch + 900)
		m.record(ms)
		binds := make([]string, 29)
		for i := range binds {
			binds[i] = "$" + strconv.Itoa(i+1)
		}
		if err := db.InTx(ctx, func(tx *storage.Tx) error {
			return tx.ExecEach(ctx, `INSERT INTO exchange_message (`+oldColumns+`) VALUES (`+strings.Join(binds, ", ")+`)`, func(yield func([]any) bool) {
				for i, m := range ms {
					if !yield([]any{
						int64(3*i + 10), m.Role, m.RequestID, m.ExchangeID, m.Client, m.Service, m.Method, m.Path, int64(m.Status), m.Outcome, storage.Micros(m.At),
						m.Duration.Microseconds(), m.RequestIndex, m.ResponseIndex, m.RequestBodyIndex, m.ResponseBodyIndex, m.RequestSize, m.ResponseSize,
						m.Activity, m.Dossier, m.Grant, m.Delegator, m.ServiceDelegator, storage.Micros(m.Recorded), storage.Micros(m.RequestOut),
						storage.Micros(m.ResponseIn), m.Peer, m.TraceID, m.FaultID,
					}) {
						return
					}
				}
			})
		}); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time there is nothing to do
			s := &Store{DB: db}
			if err := s.Convert(ctx); err != nil {
				t.Fatal(err)
			}
			compareWithModel(t, s, m, tr)
			checkInside(t, db, m)
		}
		if left, err := storage.All(ctx, db, scanInt, `SELECT COUNT(*) FROM exchange_message`); err != nil || left[0] != 0 {
			t.Errorf("%v rows are left, %v", left, err)
		}
	})
}

// TestWriters has several stores of one database write at once, as processes do that share it.
func TestWriters(t *testing.T) {
	each(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		const writers, turns = 3, 30
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				s := &Store{DB: db}
				tr := &traffic{r: rand.New(rand.NewPCG(9, uint64(i))), now: day}
				var before []exchange.Message
				for turn := range turns {
					ms := tr.batch(1 + tr.r.IntN(20))
					write := s.Record
					if turn%5 == 4 {
						write, ms = s.Restore, append(ms, before...)
					}
					if err := write(ctx, ms); err != nil {
						t.Error(err)
						return
					}
					before = ms
				}
			})
			wg.Go(func() { // and somebody reads
				s := &Store{DB: db}
				for range turns {
					if _, err := s.Recent(ctx, exchange.Filter{Client: "VN/GOV/RARE/x"}); err != nil {
						t.Error(err)
					}
					if _, err := s.ByExchange(ctx, "again"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		want := map[string]int{}
		n := 0
		for i := range writers {
			tr := &traffic{r: rand.New(rand.NewPCG(9, uint64(i))), now: day}
			for range turns {
				for _, m := range tr.batch(1 + tr.r.IntN(20)) {
					want[m.RequestID]++
					n++
				}
			}
		}
		s := &Store{DB: db}
		m := &model{}
		rows, err := s.rows(ctx, db, nil, `1 = 1 ORDER BY b.seq`)
		if err != nil || len(rows) != n {
			t.Fatalf("%d rows, %v; want %d", len(rows), err, n)
		}
		for i, r := range rows {
			if want[r.RequestID]--; want[r.RequestID] != 0 || r.Seq != int64(i+1) {
				t.Fatalf("row %d, the %d.: %d of request %s", r.Seq, i+1, 1-want[r.RequestID], r.RequestID)
			}
		}
		m.record(rows)
		checkInside(t, db, m)
		compareWithModel(t, s, m, &traffic{r: rand.New(rand.NewPCG(1, 9)), now: day})
	})
}

// TestDamage damages a block and a chunk in the database: who needs them is told, nobody is told something wrong.
func TestDamage(t *testing.T) {
	each(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		s := &Store{DB: db}
		tr := &traffic{r: rand.New(rand.NewPCG(2, 2)), now: day}
		ms := tr.batch(5)
		if err := s.Record(ctx, ms); err != nil {
			t.Fatal(err)
		}
		data, err := storage.All(ctx, db, func(scan func(...any) error) (b []byte, err error) { err = scan(&b); return b, err }, `SELECT data FROM exchange_block_data`)
		if err != nil || len(data) == 0 {
			t.Fatal(data, err)
		}
		data[0][len(data[0])/2] ^= 4
		if _, err := db.ExecContext(ctx, `UPDATE exchange_block_data SET data = $1`, data[0]); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recent(ctx, exchange.Filter{}); !errors.Is(err, errDamaged) {
			t.Errorf("Recent: %v", err)
		}
		if _, err := s.ByExchange(ctx, ms[0].ExchangeID); !errors.Is(err, errDamaged) {
			t.Errorf("ByExchange: %v", err)
		}
		if err := s.Records(ctx, exchange.RecordSpan{From: day.Add(-100 * time.Hour), To: day.Add(100 * time.Hour)}, func(exchange.Message) error { return nil }); !errors.Is(err, errDamaged) {
			t.Errorf("Records: %v", err)
		}
		if _, err := db.ExecContext(ctx, `UPDATE exchange_chunk SET data = $1`, []byte("short")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ByExchange(ctx, ms[0].ExchangeID); !errors.Is(err, errDamaged) {
			t.Errorf("ByExchange of a damaged chunk: %v", err)
		}
	})
}

// TestKilledWriter kills a process that records, at any moment, and looks whether the tables agree: what is there is a
// number of whole batches, and the next writer goes on.
func TestKilledWriter(t *testing.T) {
	if path := os.Getenv("TRUC_TEST_KILLED_WRITER"); path != "" {
		recordUntilKilled(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "node.db")
	db, err := storage.Open(t.Context(), "sqlite:"+path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Migrate(t.Context(), db, "exchange", sub, day); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(8, 8))
	s := &Store{DB: db}
	m := &model{}
	for range 6 {
		had := len(m.rows)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestKilledWriter$")
		cmd.Env = append(os.Environ(), "TRUC_TEST_KILLED_WRITER="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for { // until some batches are in
			rows, err := storage.All(t.Context(), db, scanInt, `SELECT next_seq FROM exchange_counter`)
			if err != nil {
				t.Fatal(err)
			}
			if rows[0] > int64(had+200) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		rows, err := s.rows(t.Context(), db, nil, `1 = 1 ORDER BY b.seq`)
		if err != nil {
			t.Fatal(err)
		}
		m.rows = rows
		// What it did not get to is restored; what it did is not there twice.
		back := append([]exchange.Message{}, rows[max(had, len(rows)-50):]...)
		tr := &traffic{r: r, now: day}
		back = append(back, tr.batch(5)...)
		for i := range back {
			back[i].Seq = 0
		}
		if err := s.Restore(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		m.restore(back)
		checkInside(t, db, m)
		compareWithModel(t, s, m, tr)
	}
}

func recordUntilKilled(t *testing.T, path string) {
	db, err := storage.Open(t.Context(), "sqlite:"+path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{DB: db}
	tr := &traffic{r: rand.New(rand.NewPCG(uint64(os.Getpid()), 1)), now: day}
	for range 100_000 {
		if err := s.Record(t.Context(), tr.batch(1+tr.r.IntN(30))); err != nil {
			t.Fatal(err)
		}
	}
}
