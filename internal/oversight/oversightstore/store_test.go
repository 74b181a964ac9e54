package oversightstore

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"truc/internal/oversight"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

func migrations(t testing.TB) fs.FS {
	t.Helper()
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func at(day, hour int) time.Time { return time.Date(2026, 11, day, hour-7, 0, 0, 0, time.UTC) }

func service(s oversight.Store, now time.Time) *oversight.Service {
	return &oversight.Service{
		Store: s, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Agencies: func() []oversight.Agency { return []oversight.Agency{{Code: "H36"}, {Code: "H57"}} },
	}
}

// life is the facts of one dossier.
func life(agency, dossier, procedure string, first int64, steps ...oversight.Fact) []oversight.Fact {
	for i := range steps {
		f := &steps[i]
		f.Seq, f.Agency, f.Dossier, f.Procedure, f.Mode, f.State = first+int64(i), agency, dossier, procedure, "full", f.Kind
		f.Channel = "online"
	}
	return steps
}

func fact(kind string, national int, when, due time.Time) oversight.Fact {
	return oversight.Fact{Kind: kind, National: national, At: when, Due: due, Paused: national == 5}
}

func sample() []oversight.Fact {
	var out []oversight.Fact
	none := time.Time{}
	rated := fact("rated", 10, at(12, 9), at(9, 17))
	rated.Stars = 4
	out = append(out, life("H36", "a", "1.001193", 1, fact("submitted", 1, at(2, 8), none), fact("received", 2, at(2, 9), at(9, 17)), fact("signed", 9, at(9, 16), at(9, 17)), rated)...)
	out = append(out, life("H36", "b", "1.001193", 10, fact("submitted", 1, at(2, 8), none), fact("received", 2, at(2, 9), at(9, 17)), fact("extended", 4, at(8, 9), at(12, 17)), fact("signed", 9, at(13, 1), at(12, 17)))...)
	out = append(out, life("H36", "c", "2.000635", 20, fact("received", 2, at(3, 9), at(10, 17)))...)                                                       // overdue
	out = append(out, life("H36", "d", "2.000635", 30, fact("received", 2, at(3, 9), at(10, 17)), fact("supplementRequested", 5, at(4, 9), at(10, 17)))...) // paused, long
	out = append(out, life("H36", "e", "2.000635", 40, fact("submitted", 1, at(20, 9), none))...)                                                           // waiting
	out = append(out, life("H36", "f", "2.000635", 50, fact("submitted", 1, at(20, 9), none), fact("refused", 3, at(20, 10), none))...)
	return out
}

func TestNumbers(t *testing.T) {
	storagetest.Module(t, "oversight", migrations(t), func(t *testing.T, db *storage.DB) {
		ctx, st := t.Context(), &Store{DB: db}
		svc := service(st, at(21, 14))
		if err := st.Append(ctx, "H36", sample()); err != nil {
			t.Fatal(err)
		}
		if err := st.PutOffers(ctx, "H36", []oversight.Offer{{Procedure: "1.001193", Mode: "full", Offices: 2}, {Procedure: "2.000635", Mode: "partial"}}); err != nil {
			t.Fatal(err)
		}
		got, err := svc.Indicators(ctx, svc.Period("month"))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int64{
			"offered": 2, "offered-full": 1, "offered-partial": 1, "received": 4, "online": 4, "waiting": 1, "open": 2, "overdue": 1, "paused": 1, "paused-long": 1,
			"done": 2, "in-time": 1, "late": 1, "no-due": 0, "otherwise": 1, "refused": 1, "withdrawn": 0, "stopped": 0,
			"supplements": 1, "supplements-again": 0, "extensions": 1, "rated": 1,
		}
		if diff := cmp.Diff(want, got.Total.N); diff != "" || got.Total.Stars != 4 {
			t.Errorf("numbers (-want +got), %d stars:\n%s", got.Total.Stars, diff)
		}
		if len(got.Agencies) != 2 || got.Agencies[1].Counts.N["received"] != 0 {
			t.Errorf("agencies = %+v; want H57 with zeros", got.Agencies)
		}
		// The day after: nothing else is overdue; the next month: nothing was done in it, and what is open stays open.
		next := service(st, at(31, 14))
		later, err := next.Indicators(ctx, next.Period("month"))
		if err != nil || later.Total.N["done"] != 0 || later.Total.N["open"] != 2 || later.Total.N["otherwise"] != 0 {
			t.Errorf("in December: %v, %v", later.Total.N, err)
		}
		report, err := svc.Agency(ctx, "H36", svc.Period("year"))
		if err != nil || len(report.Procedures) != 2 || report.Procedures[0].Counts.N["done"] != 2 {
			t.Fatalf("Agency = %+v, %v", report, err)
		}
		weeks := report.Weeks
		if len(weeks) != 12 || !weeks[11].Start.Equal(at(16, 0)) || weeks[10].Done != 2 || weeks[10].Late != 1 || weeks[11].Done != 0 {
			t.Errorf("weeks = %+v", weeks)
		}
		if _, err := svc.Agency(ctx, "H99", svc.Period("year")); err == nil {
			t.Error("an unknown agency has numbers")
		}
		if _, err := svc.List(ctx, "H36", "nonsense", "", svc.Period("year"), 1, 10); err == nil {
			t.Error("an unknown number has a list")
		}
	})
}

// TestRepeatedAndOutOfOrder tells the same facts in another order, some of them twice, and rebuilds.
func TestRepeatedAndOutOfOrder(t *testing.T) {
	storagetest.Module(t, "oversight", migrations(t), func(t *testing.T, db *storage.DB) {
		ctx, st := t.Context(), &Store{DB: db}
		all := sample()
		for _, part := range [][]oversight.Fact{all[6:], all[2:9], all[:4], all} {
			if err := st.Append(ctx, "H36", part); err != nil {
				t.Fatal(err)
			}
		}
		w := oversight.Window{From: at(1, 0), To: at(30, 0), Now: at(21, 14), PausedBefore: at(11, 0)}
		before, err := st.Count(ctx, w, oversight.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if before[0].Counts.N["done"] != 2 || before[1].Counts.N["supplements"] != 1 {
			t.Errorf("counts = %+v", before)
		}
		if err := st.Rebuild(ctx, "H36"); err != nil {
			t.Fatal(err)
		}
		after, err := st.Count(ctx, w, oversight.Filter{})
		if diff := cmp.Diff(before, after); diff != "" || err != nil {
			t.Errorf("a rebuild changes numbers, %v:\n%s", err, diff)
		}
		h, err := st.Health(ctx)
		if err != nil || h["H36"].LastSeq != 51 {
			t.Errorf("cursor = %+v, %v; want 51", h, err)
		}
	})
}

func TestHealth(t *testing.T) {
	storagetest.Module(t, "oversight", migrations(t), func(t *testing.T, db *storage.DB) {
		ctx, st := t.Context(), &Store{DB: db}
		for _, err := range []error{
			st.Answered(ctx, "H36", at(2, 8)), st.Failed(ctx, "H36", "exchange.too_slow", at(2, 9)), st.Failed(ctx, "H36", "exchange.busy", at(2, 10)),
			st.Failed(ctx, "H57", "exchange.busy", at(2, 9)), st.Answered(ctx, "H57", at(2, 11)),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := st.Health(ctx)
		want := map[string]oversight.Health{
			"H36": {Agency: "H36", LastOK: at(2, 8), FailedSince: at(2, 9), ErrorKey: "exchange.busy"},
			"H57": {Agency: "H57", LastOK: at(2, 11)},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Health (-want +got), %v:\n%s", err, diff)
		}
	})
}

// TestEveryNumberHasACondition keeps the two tables together.
func TestEveryNumberHasACondition(t *testing.T) {
	conds := conditions()
	for _, n := range oversight.Numbers() {
		if conds[n.Name].base == "" {
			t.Errorf("%s has no condition", n.Name)
		}
		delete(conds, n.Name)
	}
	for name := range conds {
		t.Errorf("the condition %s belongs to no number", name)
	}
}

// TestListsEqualNumbers states the promise of the page: whatever the facts, every number opens a list of just its
// length, the numbers of procedures add up to those of the agency, and parts do not exceed their whole.
func TestListsEqualNumbers(t *testing.T) {
	storagetest.Module(t, "oversight", migrations(t), func(t *testing.T, db *storage.DB) {
		ctx, st := t.Context(), &Store{DB: db}
		rapid.Check(t, func(rt *rapid.T) {
			if err := db.InTx(ctx, func(tx *storage.Tx) error {
				for _, table := range []string{"fact", "dossier", "cursor", "offer"} {
					if _, err := tx.ExecContext(ctx, "DELETE FROM oversight_"+table); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				rt.Fatal(err)
			}
			for _, agency := range []string{"H36", "H57"} {
				if err := st.Append(ctx, agency, drawFacts(rt, agency)); err != nil {
					rt.Fatal(err)
				}
			}
			if err := st.PutOffers(ctx, "H36", []oversight.Offer{{Procedure: "p1", Mode: rapid.SampledFrom([]string{"full", "partial", ""}).Draw(rt, "mode")}}); err != nil {
				rt.Fatal(err)
			}
			now := at(rapid.IntRange(1, 30).Draw(rt, "now"), 12)
			p := service(st, now).Period(rapid.SampledFrom(oversight.Periods()).Draw(rt, "period"))
			checkLists(ctx, rt, st, oversight.Window{From: p.From, To: p.To, Now: now, PausedBefore: now.AddDate(0, 0, -10)})
		})
	})
}

func drawFacts(rt *rapid.T, agency string) []oversight.Fact {
	kinds := []string{"submitted", "received", "supplementRequested", "supplementReceived", "extended", "signed", "delivered", "rated", "withdrawn", "stopped", "refused", "opened"}
	var out []oversight.Fact
	for i := range rapid.IntRange(0, 25).Draw(rt, "facts") {
		f := oversight.Fact{
			Seq: int64(i + 1), Agency: agency, Kind: rapid.SampledFrom(kinds).Draw(rt, "kind"), National: rapid.IntRange(0, 10).Draw(rt, "national"),
			At:      at(rapid.IntRange(-40, 29).Draw(rt, "day"), rapid.IntRange(0, 23).Draw(rt, "hour")),
			Dossier: fmt.Sprintf("%s-%d", agency, rapid.IntRange(1, 6).Draw(rt, "dossier")), Procedure: rapid.SampledFrom([]string{"p1", "p2"}).Draw(rt, "procedure"),
			Channel: rapid.SampledFrom([]string{"online", "counter"}).Draw(rt, "channel"), Paused: rapid.Bool().Draw(rt, "paused"), Stars: rapid.IntRange(0, 5).Draw(rt, "stars"),
		}
		if rapid.Bool().Draw(rt, "hasDue") {
			f.Due = at(rapid.IntRange(-30, 40).Draw(rt, "due"), 17)
		}
		out = append(out, f)
	}
	return out
}

func checkLists(ctx context.Context, rt *rapid.T, st *Store, w oversight.Window) {
	groups, err := st.Count(ctx, w, oversight.Filter{})
	if err != nil {
		rt.Fatal(err)
	}
	total := oversight.Counts{N: map[string]int64{}}
	for _, g := range groups {
		total.Add(g.Counts)
	}
	for _, number := range oversight.Numbers() {
		all, err := st.List(ctx, number.Name, w, oversight.Filter{}, math.MaxInt32, 0)
		if err != nil {
			rt.Fatal(err)
		}
		rows := map[oversight.Filter]int64{}
		for _, it := range all {
			rows[oversight.Filter{Agency: it.Agency, Procedure: it.Procedure}]++
		}
		for _, g := range groups {
			f := oversight.Filter{Agency: g.Agency, Procedure: g.Procedure}
			if rows[f] != g.Counts.N[number.Name] {
				rt.Fatalf("%s of %+v: number %d, list %d", number.Name, f, g.Counts.N[number.Name], rows[f])
			}
		}
		if int64(len(all)) != total.N[number.Name] {
			rt.Fatalf("%s: number %d, list %d", number.Name, total.N[number.Name], len(all))
		}
	}
	if len(groups) > 0 { // what a filter leaves is what the whole says of it
		g := rapid.SampledFrom(groups).Draw(rt, "group")
		f := oversight.Filter{Agency: g.Agency, Procedure: g.Procedure}
		one, err := st.Count(ctx, w, f)
		if diff := cmp.Diff([]oversight.Group{g}, one); diff != "" || err != nil {
			rt.Fatalf("Count(%+v), %v:\n%s", f, err, diff)
		}
		name := rapid.SampledFrom(oversight.Numbers()).Draw(rt, "number").Name
		items, err := st.List(ctx, name, w, f, math.MaxInt32, 0)
		if err != nil || int64(len(items)) != g.Counts.N[name] {
			rt.Fatalf("List(%s, %+v) = %d rows, %v; want %d", name, f, len(items), err, g.Counts.N[name])
		}
		if n, err := st.Total(ctx, name, w, f); err != nil || n != g.Counts.N[name] {
			rt.Fatalf("Total(%s, %+v) = %d, %v; want %d", name, f, n, err, g.Counts.N[name])
		}
	}
	n := total.N
	switch {
	case n["in-time"]+n["late"]+n["no-due"] != n["done"], n["refused"]+n["withdrawn"]+n["stopped"] != n["otherwise"],
		n["overdue"] > n["open"], n["paused"] > n["open"], n["paused-long"] > n["paused"], n["rated"] > n["done"], n["online"] > n["received"]:
		rt.Fatalf("parts do not add up: %v", n)
	}
}
