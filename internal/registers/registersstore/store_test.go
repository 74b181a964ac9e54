package registersstore

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"truc/internal/registers"
	"truc/internal/registers/synthetic"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

var day = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

type nolog struct{ lines int }

func (l *nolog) RecordAccess(_ context.Context, lines ...registers.Access) error {
	l.lines += len(lines)
	return nil
}

func migrations(t testing.TB) fs.FS {
	t.Helper()
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func service(t testing.TB, db *storage.DB) *registers.Service {
	t.Helper()
	all, err := registers.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return &registers.Service{Schemas: all, Store: &Store{DB: db}, Log: &nolog{}, Now: func() time.Time { return day }}
}

func draft(id, name, born string) registers.Draft {
	return registers.Draft{ValidFrom: "2020-01-01", Basis: "test", Values: registers.Values{
		"personalId": id, "fullName": name, "birthDate": born, "permanentResidence.provinceCode": "68", "contact.phone": "0950" + id[6:],
	}}
}

func TestAppendAndRead(t *testing.T) {
	storagetest.Module(t, "registers", migrations(t), func(t *testing.T, db *storage.DB) {
		ctx, svc := t.Context(), service(t, db)
		st := &Store{DB: db}
		a, b := "099190000001", "099048000002"
		first, err := svc.Append(ctx, "population", []registers.Draft{draft(a, "Lê Văn An", "1990-02-03"), draft(b, "K'Brết", "1948")})
		if err != nil || first != 1 {
			t.Fatalf("Append = %d, %v; want 1", first, err)
		}
		// A correction: one more entry, and the old name is no longer found.
		if first, err = svc.Append(ctx, "population", []registers.Draft{draft(a, "Lê Văn Ân", "1990-02-03")}); err != nil || first != 3 {
			t.Fatalf("Append = %d, %v; want 3", first, err)
		}
		if first, err = svc.Append(ctx, "civilstatus", nil); err != nil || first != 0 {
			t.Fatalf("Append of nothing = %d, %v; want 0", first, err)
		}
		recs, err := st.Get(ctx, "population", []string{a, "nobody"})
		if err != nil || len(recs) != 1 || recs[0].N != 3 || recs[0].Values["fullName"] != "Lê Văn Ân" {
			t.Errorf("Get = %+v, %v; want entry 3", recs, err)
		}
		found, err := st.Find(ctx, "population", registers.Block{Born: []string{"1948-05-19", "1948-05", "1948"}}, 10)
		if diff := cmp.Diff([]registers.Candidate{{Key: b, NameFold: "k'bret"}}, found); diff != "" || err != nil {
			t.Errorf("Find by date (-want +got), %v:\n%s", err, diff)
		}
		for _, block := range []registers.Block{{Year: 1990, Province: "68"}, {Year: 1990}, {AliasName: "phone", AliasValue: "0950000001"}} {
			if found, err = st.Find(ctx, "population", block, 10); err != nil || len(found) != 1 || found[0].Key != a {
				t.Errorf("Find(%+v) = %v, %v; want %s", block, found, err, a)
			}
		}
		trail, err := svc.Trail(ctx, "population", a)
		if err != nil || len(trail) != 2 || trail[0].N != 1 || trail[1].N != 3 || !trail[0].Time.Equal(day) || trail[0].Values["fullName"] != "Lê Văn An" {
			t.Errorf("Trail = %+v, %v", trail, err)
		}
		for range 3 {
			if err := st.CountRead(ctx, registers.ReadCount{Register: "population", Day: "2026-11-21", Subsystem: "s", Activity: "a", Kind: "query", Delivered: 2, Missed: 1}); err != nil {
				t.Fatal(err)
			}
		}
		c, err := st.Counts(ctx, "population", "2026-11-01")
		if diff := cmp.Diff(registers.Counts{Entries: 3, Records: 2, Delivered: 6, Missed: 3}, c); diff != "" || err != nil {
			t.Errorf("Counts (-want +got), %v:\n%s", err, diff)
		}
	})
}

// The state of a register is the fold of its entries, and numbers have no gap, whatever is appended in whatever batches.
func TestStateIsFoldOfEntries(t *testing.T) {
	storagetest.Module(t, "registers", migrations(t), func(t *testing.T, db *storage.DB) {
		ctx, svc := t.Context(), service(t, db)
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			register := fmt.Sprintf("population%d", run)
			svc.Schemas[register] = svc.Schemas["population"]
			for range rapid.IntRange(1, 3).Draw(rt, "batches") {
				var batch []registers.Draft
				for range rapid.IntRange(1, 6).Draw(rt, "size") {
					id := fmt.Sprintf("09919000000%d", rapid.IntRange(0, 3).Draw(rt, "key"))
					name := rapid.SampledFrom([]string{"Lê An", "Lê Ân", "Trần Bình"}).Draw(rt, "name")
					batch = append(batch, draft(id, name, rapid.SampledFrom([]string{"1990-01-01", "1990"}).Draw(rt, "born")))
				}
				if _, err := svc.Append(ctx, register, batch); err != nil {
					rt.Fatal(err)
				}
			}
			entries, err := svc.Store.Entries(ctx, register, "", 0, 1000)
			if err != nil {
				rt.Fatal(err)
			}
			fold := map[string]registers.Record{}
			var keys []string
			for i, e := range entries {
				if e.N != int64(i+1) {
					rt.Fatalf("entry %d has number %d", i, e.N)
				}
				fold[e.Key] = registers.Record{Key: e.Key, N: e.N, Hash: e.Hash, Values: e.Values}
				keys = append(keys, e.Key)
			}
			recs, err := svc.Store.Get(ctx, register, keys)
			if err != nil {
				rt.Fatal(err)
			}
			state := map[string]registers.Record{}
			for _, r := range recs {
				state[r.Key] = r
			}
			if diff := cmp.Diff(fold, state); diff != "" {
				rt.Fatalf("state is not the fold of the entries (-fold +state):\n%s", diff)
			}
		})
	})
}

func TestConcurrentAppendsLeaveNoGap(t *testing.T) {
	storagetest.Module(t, "registers", migrations(t), func(t *testing.T, db *storage.DB) {
		ctx, svc := t.Context(), service(t, db)
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 5 {
					d := draft(fmt.Sprintf("0991900%02d%03d", w, i), "Lê An", "1990")
					if _, err := svc.Append(ctx, "population", []registers.Draft{d}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		entries, err := svc.Store.Entries(ctx, "population", "", 0, 100)
		if err != nil || len(entries) != 20 || entries[19].N != 20 {
			t.Errorf("entries = %d, %v; want 20 without a gap", len(entries), err)
		}
	})
}

func TestSeed(t *testing.T) {
	pop, err := synthetic.Generate(1, 1500, day)
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Module(t, "registers", migrations(t), func(t *testing.T, db *storage.DB) {
		ctx, svc := t.Context(), service(t, db)
		for register, drafts := range map[string][]registers.Draft{"population": pop.PersonDrafts(), "civilstatus": pop.EventDrafts()} {
			if _, err := svc.Append(ctx, register, drafts[:100]); err != nil { // a load that was interrupted
				t.Fatal(err)
			}
			for _, want := range []int{len(drafts) - 100, 0} {
				if got, err := svc.Seed(ctx, register, drafts); err != nil || got != want {
					t.Errorf("Seed(%s) = %d, %v; want %d", register, got, err, want)
				}
			}
		}
		who := registers.Reader{Subsystem: "VN/GOV/H36/onestop", Activity: "verify-dossier", Dossier: "1"}
		for _, s := range synthetic.Stories(pop) {
			sel := registers.Selection{Type: "ByPersonalId", Criteria: map[string]string{"personalId": s.PersonalID, "fullName": s.Name}, IncludeDeceased: true}
			ans, err := svc.Query(ctx, "population", who, registers.Query{Selection: sel, Fields: []string{"fullName", "birthDate"}})
			if diff := cmp.Diff([]registers.Values{{"fullName": s.Name, "birthDate": s.BirthDate}}, ans.Records); diff != "" || err != nil {
				t.Errorf("%s (-want +got), %v:\n%s", s.ID, err, diff)
			}
			sel = registers.Selection{Type: "ByPersonAndKind", Criteria: map[string]string{"personalId": s.PersonalID, "kind": "birth", "fullName": s.Name}}
			ans, err = svc.Query(ctx, "civilstatus", who, registers.Query{Selection: sel, Fields: []string{"eventNumber"}})
			if err != nil || len(ans.Records) != 1 {
				t.Errorf("%s: birth = %v, %v; want one", s.ID, ans.Records, err)
			}
		}
	})
}

// Both engines give the same hashes from the same input and the same seeds.
func TestEnginesAgree(t *testing.T) {
	var hashes []string
	storagetest.Module(t, "registers", migrations(t), func(t *testing.T, db *storage.DB) {
		svc := service(t, db)
		svc.Rand = bytes.NewReader(bytes.Repeat([]byte("seed of the salt"), 2))
		if _, err := svc.Append(t.Context(), "population", []registers.Draft{draft("099190000001", "Lê An", "1990"), draft("099190000002", "Lê Bình", "1991")}); err != nil {
			t.Fatal(err)
		}
		entries, err := svc.Store.Entries(t.Context(), "population", "", 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Hash)
		}
		if hashes == nil {
			hashes = got
		}
		if diff := cmp.Diff(hashes, got); diff != "" {
			t.Errorf("hashes differ:\n%s", diff)
		}
	})
}

func BenchmarkSeed10k(b *testing.B) {
	pop, err := synthetic.Generate(1, 10_000, day)
	if err != nil {
		b.Fatal(err)
	}
	people, events := pop.PersonDrafts(), pop.EventDrafts()
	engines(b, func(b *testing.B, db *storage.DB) {
		svc := service(b, db)
		n := 0
		for b.Loop() {
			n++
			for id, drafts := range map[string][]registers.Draft{"population": people, "civilstatus": events} {
				register := fmt.Sprintf("%s%d", id, n)
				svc.Schemas[register] = svc.Schemas[id]
				if _, err := svc.Seed(b.Context(), register, drafts); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkQuery(b *testing.B) {
	pop, err := synthetic.Generate(1, 10_000, day)
	if err != nil {
		b.Fatal(err)
	}
	engines(b, func(b *testing.B, db *storage.DB) {
		svc := service(b, db)
		if _, err := svc.Seed(b.Context(), "population", pop.PersonDrafts()); err != nil {
			b.Fatal(err)
		}
		who := registers.Reader{Subsystem: "VN/GOV/H36/onestop", Activity: "verify-dossier", Dossier: "1"}
		i := 0
		for b.Loop() {
			p := pop.Persons[i%len(pop.Persons)]
			i++
			criteria := map[string]string{"personalId": p.PersonalID, "fullName": p.FullName}
			sel := registers.Selection{Type: "ByPersonalId", Criteria: criteria, IncludeDeceased: true}
			ans, err := svc.Query(b.Context(), "population", who, registers.Query{Selection: sel, Fields: []string{"fullName", "birthDate"}})
			if err != nil || len(ans.Records) != 1 {
				b.Fatal(len(ans.Records), err)
			}
		}
	})
}

func engines(b *testing.B, f func(b *testing.B, db *storage.DB)) {
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": storagetest.OpenSQLite, "postgres": storagetest.OpenPostgres} {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			if err := storage.Migrate(b.Context(), db, "registers", migrations(b), day); err != nil {
				b.Fatal(err)
			}
			f(b, db)
		})
	}
}
