package oversight

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"truc/internal/calendar"
)

// at is an instant in November 2026, in Viet Nam's time.
func at(day, hour int) time.Time { return time.Date(2026, 11, day, hour-7, 0, 0, 0, time.UTC) }

type step struct {
	kind     string
	national int
	at       time.Time
	due      time.Time
	change   func(*Fact)
}

func facts(steps ...step) []Fact {
	var out []Fact
	for i, s := range steps {
		f := Fact{
			Seq: int64(10 + i), At: s.at, Kind: s.kind, Dossier: "H36.14-261102-0001", Agency: "H36", Unit: "H36.14", Procedure: "1.001193",
			Mode: "full", State: s.kind, National: s.national, Channel: "online", Due: s.due, Paused: s.national == 5 || s.national == 6,
		}
		if s.change != nil {
			s.change(&f)
		}
		out = append(out, f)
	}
	return out
}

func base() Dossier {
	return Dossier{Agency: "H36", Number: "H36.14-261102-0001", Unit: "H36.14", Procedure: "1.001193", Mode: "full", Channel: "online", Submitted: at(2, 8)}
}

func TestFold(t *testing.T) {
	stars := func(n int) func(*Fact) { return func(f *Fact) { f.Stars = n } }
	tests := []struct {
		name  string
		facts []Fact
		want  func(d *Dossier)
	}{
		{"submitted", facts(step{kind: "submitted", national: 1, at: at(2, 8)}), func(d *Dossier) {
			d.State, d.National, d.LastSeq = "submitted", 1, 10
		}},
		{"received", facts(step{kind: "submitted", national: 1, at: at(2, 8)}, step{kind: "received", national: 2, at: at(2, 9), due: at(5, 17)}), func(d *Dossier) {
			d.State, d.National, d.LastSeq, d.Received, d.Due = "received", 2, 11, at(2, 9), at(5, 17)
		}},
		{"done on the due date, in the evening", facts(
			step{kind: "submitted", national: 1, at: at(2, 8)}, step{kind: "received", national: 4, at: at(2, 9), due: at(5, 17)},
			step{kind: "signed", national: 9, at: at(5, 23), due: at(5, 17)}, step{kind: "delivered", national: 10, at: at(9, 8), due: at(5, 17)},
			step{kind: "rated", national: 10, at: at(10, 8), due: at(5, 17), change: stars(4)},
		), func(d *Dossier) {
			d.State, d.National, d.LastSeq, d.Received, d.Due = "rated", 10, 14, at(2, 9), at(5, 17)
			d.Finished, d.Outcome, d.Punctual, d.Stars = at(5, 23), Done, calendar.OnTime, 4
		}},
		{"done the day after", facts(step{kind: "received", national: 2, at: at(2, 8), due: at(5, 17)}, step{kind: "signed", national: 9, at: at(6, 1), due: at(5, 17)}), func(d *Dossier) {
			d.State, d.National, d.LastSeq, d.Received, d.Due = "signed", 9, 11, at(2, 8), at(5, 17)
			d.Finished, d.Outcome, d.Punctual = at(6, 1), Done, calendar.Late
		}},
		{"a later word about the due date changes nothing", facts(
			step{kind: "received", national: 2, at: at(2, 8), due: at(5, 17)}, step{kind: "signed", national: 9, at: at(6, 9), due: at(5, 17)},
			step{kind: "moved", national: 10, at: at(7, 9), due: at(20, 17)},
		), func(d *Dossier) {
			d.State, d.National, d.LastSeq, d.Received, d.Due = "moved", 10, 12, at(2, 8), at(5, 17)
			d.Finished, d.Outcome, d.Punctual = at(6, 9), Done, calendar.Late
		}},
		{"a result taken back is not finished", facts(
			step{kind: "received", national: 2, at: at(2, 8), due: at(5, 17)}, step{kind: "signed", national: 9, at: at(4, 9), due: at(5, 17)},
			step{kind: "sentBack", national: 4, at: at(4, 10), due: at(5, 17)},
		), func(d *Dossier) {
			d.State, d.National, d.LastSeq, d.Received, d.Due = "sentBack", 4, 12, at(2, 8), at(5, 17)
		}},
		{"paused twice for papers, extended", facts(
			step{kind: "received", national: 2, at: at(2, 8), due: at(5, 17)}, step{kind: "supplementRequested", national: 5, at: at(3, 8), due: at(5, 17)},
			step{kind: "supplementReceived", national: 4, at: at(4, 8), due: at(6, 17)}, step{kind: "extended", national: 4, at: at(5, 8), due: at(10, 17)},
			step{kind: "supplementRequested", national: 5, at: at(6, 8), due: at(10, 17)}, step{kind: "opened", national: 5, at: at(6, 9), due: at(10, 17)},
		), func(d *Dossier) {
			d.State, d.National, d.LastSeq, d.Received, d.Due = "opened", 5, 15, at(2, 8), at(10, 17)
			d.Supplements, d.Extensions, d.SupplementedAgain, d.PausedSince = 2, 1, at(6, 8), at(6, 8)
		}},
		{"withdrawn while waiting", facts(
			step{kind: "received", national: 2, at: at(2, 8), due: at(5, 17)}, step{kind: "supplementRequested", national: 5, at: at(3, 8), due: at(5, 17)},
			step{kind: "withdrawn", national: 7, at: at(4, 8), due: at(5, 17)},
		), func(d *Dossier) {
			d.State, d.National, d.LastSeq, d.Received, d.Due = "withdrawn", 7, 12, at(2, 8), at(5, 17)
			d.Supplements, d.Outcome, d.Finished = 1, Withdrawn, at(4, 8)
		}},
		{"refused at intake, without a national code", facts(step{kind: "submitted", at: at(2, 8)}, step{kind: "refused", at: at(2, 9)}), func(d *Dossier) {
			d.State, d.LastSeq, d.Outcome, d.Finished = "refused", 11, Refused, at(2, 9)
		}},
		{"no time limit", facts(step{kind: "received", national: 2, at: at(2, 8)}, step{kind: "signed", national: 9, at: at(28, 8)}), func(d *Dossier) {
			d.State, d.National, d.LastSeq, d.Received, d.Finished, d.Outcome = "signed", 9, 11, at(2, 8), at(28, 8), Done
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := base()
			tt.want(&want)
			if diff := cmp.Diff(want, Fold(tt.facts)); diff != "" {
				t.Errorf("Fold (-want +got):\n%s", diff)
			}
			again := append(append([]Fact(nil), tt.facts...), tt.facts...)
			rand.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			if diff := cmp.Diff(want, Fold(again)); diff != "" {
				t.Errorf("Fold of repeated facts in another order (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPeriodAt(t *testing.T) {
	zone := time.FixedZone("+7", 7*3600)
	now := time.Date(2026, 11, 30, 18, 30, 0, 0, time.UTC) // 01:30 on 1 December in Viet Nam
	for name, want := range map[string][2]string{
		"month": {"2026-12-01", "2027-01-01"}, "quarter": {"2026-10-01", "2027-01-01"}, "year": {"2026-01-01", "2027-01-01"},
		"all": {"2000-01-01", "9000-01-01"}, "nonsense": {"2026-12-01", "2027-01-01"},
	} {
		p := PeriodAt(name, now, zone)
		if got := [2]string{p.From.Format(time.DateOnly), p.To.Format(time.DateOnly)}; got != want {
			t.Errorf("PeriodAt(%q) = %v; want %v", name, got, want)
		}
	}
}

func TestScoreNeedsRatings(t *testing.T) {
	c := Counts{N: map[string]int64{NRated: 29, NDone: 100, NInTime: 3, NLate: 1}, Stars: 116}
	if _, ok := c.Score(30); ok {
		t.Error("a score is shown for 29 ratings")
	}
	c.N[NRated], c.Stars = 30, 120
	if v, ok := c.Score(30); !ok || v != 4 {
		t.Errorf("Score = %v, %v; want 4", v, ok)
	}
	if r := c.OnTime(); r.Percent() != 75 {
		t.Errorf("OnTime = %v; want 75 %%", r.Percent())
	}
	if (Counts{}).OnTime().Known() {
		t.Error("the share of nothing is known")
	}
}

func TestParseFacts(t *testing.T) {
	now := at(21, 10)
	ok := `{"seq":2,"at":"2026-11-20T01:00:00Z","kind":"received","agency":"H36","dossier":"a","due":"0001-01-01T00:00:00Z"}`
	first := `{"seq":1,"at":"2026-11-20T01:00:00Z","kind":"submitted","agency":"H36","dossier":"a"}`
	got, err := ParseFacts("H36", []byte("["+ok+","+first+","+ok+"]"), now)
	if err != nil || len(got) != 2 || got[0].Seq != 1 || got[1].Seq != 2 {
		t.Errorf("ParseFacts = %v, %v; want facts 1 and 2", got, err)
	}
	for name, body := range map[string]string{
		"no JSON":           `{`,
		"an object":         `{}`,
		"another agency":    `[{"seq":1,"at":"2026-11-20T01:00:00Z","kind":"received","agency":"H57"}]`,
		"no number":         `[{"seq":0,"at":"2026-11-20T01:00:00Z","kind":"received","agency":"H36"}]`,
		"no kind":           `[{"seq":1,"at":"2026-11-20T01:00:00Z","agency":"H36"}]`,
		"the future":        `[{"seq":1,"at":"2026-11-23T01:00:00Z","kind":"received","agency":"H36"}]`,
		"no time":           `[{"seq":1,"kind":"received","agency":"H36"}]`,
		"six stars":         `[{"seq":1,"at":"2026-11-20T01:00:00Z","kind":"rated","agency":"H36","stars":6}]`,
		"control character": `[{"seq":1,"at":"2026-11-20T01:00:00Z","kind":"rated","agency":"H36","dossier":"a\u0000"}]`,
	} {
		if got, err := ParseFacts("H36", []byte(body), now); err == nil {
			t.Errorf("%s: ParseFacts = %v; want an error", name, got)
		}
	}
}

func FuzzParseFacts(f *testing.F) {
	f.Add([]byte(`[{"seq":1,"at":"2026-11-20T01:00:00Z","kind":"received","agency":"H36","dossier":"a"}]`))
	f.Add([]byte(`[{"seq":9223372036854775807,"at":"2000-01-01T00:00:00Z","kind":"x","agency":"H36"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		facts, err := ParseFacts("H36", body, at(21, 10))
		if err != nil {
			return
		}
		last := int64(0)
		for _, x := range facts {
			if x.Seq <= last || x.Agency != "H36" || x.Stars > 5 || len(x.Dossier) > maxText {
				t.Fatalf("accepted %+v behind %d", x, last)
			}
			last = x.Seq
		}
		Fold(facts)
	})
}

func FuzzParseCatalogue(f *testing.F) {
	f.Add([]byte(`[{"procedure":"1.001193","versionHash":"x","version":"1","mode":"full","units":[{"code":"H36.14"}]}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		offers, err := ParseCatalogue(body)
		if err != nil {
			return
		}
		for i, o := range offers {
			if o.Procedure == "" || i > 0 && offers[i-1].Procedure >= o.Procedure {
				t.Fatalf("accepted %+v", offers)
			}
		}
	})
}

// TestFoldIsStable states that a fold never depends on the order in which facts arrive.
func TestFoldIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		var steps []step
		for i := range n {
			steps = append(steps, step{
				kind:     rapid.SampledFrom([]string{"received", "supplementRequested", "extended", "signed", "rated", "withdrawn", "opened"}).Draw(t, "kind"),
				national: rapid.IntRange(0, 10).Draw(t, "national"), at: at(1+i, 8), due: at(rapid.IntRange(1, 28).Draw(t, "due"), 17),
			})
		}
		in := facts(steps...)
		want := Fold(in)
		if diff := cmp.Diff(want, Fold(rapid.Permutation(in).Draw(t, "order"))); diff != "" {
			t.Fatalf("another order gives another dossier:\n%s", diff)
		}
		if want.Outcome == Open != want.Finished.IsZero() || want.Punctual != "" && want.Outcome != Done {
			t.Fatalf("contradiction: %+v", want)
		}
	})
}
