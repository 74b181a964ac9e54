package synthetic

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
)

var asOf = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

func generate(t testing.TB, seed uint64, n int) *Population {
	t.Helper()
	p, err := Generate(seed, n, asOf)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGenerateIsDeterministic(t *testing.T) {
	a, b, c := generate(t, 7, 500), generate(t, 7, 500), generate(t, 8, 500)
	if diff := cmp.Diff(a.PersonDrafts(), b.PersonDrafts()); diff != "" {
		t.Errorf("same seed, other people:\n%s", diff)
	}
	if diff := cmp.Diff(a.EventDrafts(), b.EventDrafts()); diff != "" {
		t.Errorf("same seed, other events:\n%s", diff)
	}
	if cmp.Equal(a.PersonDrafts(), c.PersonDrafts()) {
		t.Error("another seed gives the same people")
	}
}

func TestPeopleAreBelievable(t *testing.T) {
	p := generate(t, 1, 6000)
	seen := map[string]bool{}
	byID := map[string]*Person{}
	provinces := map[string]int{}
	var nguyen, kids, yearOnly, dead, ncc, highland int
	for _, x := range p.Persons {
		if seen[x.PersonalID] || len(x.PersonalID) != 12 || !strings.HasPrefix(x.PersonalID, "099") {
			t.Fatalf("personal number %s is doubled or malformed", x.PersonalID)
		}
		seen[x.PersonalID] = true
		byID[x.PersonalID] = x
		if x.FullName != norm.NFC.String(x.FullName) || strings.Contains(x.FullName, "  ") || strings.TrimSpace(x.FullName) != x.FullName {
			t.Errorf("name %q is not clean", x.FullName)
		}
		if x.Email != "" && !strings.HasSuffix(x.Email, "@example.vn") || x.Phone != "" && !strings.HasPrefix(x.Phone, "0950") {
			t.Errorf("contact %q %q could reach somebody", x.Email, x.Phone)
		}
		if x.born().After(asOf) {
			t.Errorf("born in the future: %s", x.BirthDate)
		}
		c, ok := p.Units.Find(x.Commune)
		if !ok {
			t.Fatalf("commune %s does not exist", x.Commune)
		}
		provinces[c.Province]++
		if strings.HasPrefix(x.FullName, "Nguyễn ") {
			nguyen++
		}
		if ageOn(x.born(), asOf) < 18 {
			kids++
		}
		if len(x.BirthDate) == 4 {
			yearOnly++
		}
		if x.DeathDate != "" {
			dead++
		}
		if len(x.PolicyGroups) > 0 {
			ncc++
		}
		if x.Ethnicity != "Kinh" {
			highland++
		}
	}
	n := len(p.Persons)
	t.Logf("%d people, %d events: Nguyễn %d, under 18 %d, year only %d, dead %d, policy %d, minorities %d, Lâm Đồng %d, Huế %d, provinces %d",
		n, len(p.Events), nguyen, kids, yearOnly, dead, ncc, highland, provinces["68"], provinces["46"], len(provinces))
	within := func(what string, got, low, high int) {
		t.Helper()
		if got*100 < low*n || got*100 > high*n {
			t.Errorf("%s: %d of %d; want %d to %d percent", what, got, n, low, high)
		}
	}
	within("Nguyễn", nguyen, 28, 45)
	within("children", kids, 15, 45)
	within("Lâm Đồng", provinces["68"], 25, 38)
	within("Huế", provinces["46"], 25, 38)
	if yearOnly == 0 || dead == 0 || ncc == 0 || highland == 0 || len(provinces) != 34 {
		t.Error("a kind of person is missing")
	}
	for _, x := range p.Persons {
		for _, parent := range []Relative{x.Father, x.Mother} {
			if parent.ID == "" {
				continue
			}
			q := byID[parent.ID]
			if q == nil {
				t.Fatalf("parent %s does not exist", parent.ID)
			}
			if age := ageOn(q.born(), x.born()); age < 16 || age > 70 {
				t.Errorf("parent is %d years older than the child", age)
			}
			if q.Sex == "male" && x.Ethnicity == "Kinh" && q.FamilyName != x.FamilyName {
				t.Errorf("child %q does not bear the family name %q", x.FullName, q.FamilyName)
			}
		}
		if s := byID[x.Spouse.ID]; x.Spouse.ID != "" && (s == nil || s.Sex == x.Sex) {
			t.Errorf("spouse of %s is %+v", x.PersonalID, s)
		}
	}
}

func TestEvents(t *testing.T) {
	p := generate(t, 3, 2000)
	numbers := map[string]bool{}
	births := map[string]bool{}
	kinds := map[string]int{}
	for _, e := range p.Events {
		if numbers[e.Number] {
			t.Errorf("event number %s is doubled", e.Number)
		}
		numbers[e.Number] = true
		kinds[e.Kind]++
		if e.Kind == "birth" {
			births[e.Subject.PersonalID] = true
		}
		if e.RegisteredOn < e.EventDate || e.RegisteredOn > iso(asOf) {
			t.Errorf("event %s of %s registered on %s", e.Number, e.EventDate, e.RegisteredOn)
		}
	}
	if len(births) != len(p.Persons) || kinds["marriage"] == 0 || kinds["death"] == 0 {
		t.Errorf("births %d of %d people, kinds %v", len(births), len(p.Persons), kinds)
	}
}

func TestStories(t *testing.T) {
	a, b := generate(t, 1, 100), generate(t, 99, 300)
	if diff := cmp.Diff(Stories(a), Stories(b)); diff != "" {
		t.Errorf("stories depend on the seed:\n%s", diff)
	}
	stories := Stories(a)
	if len(stories) < 12 {
		t.Errorf("%d stories; want a dozen", len(stories))
	}
	have := map[string]*Person{}
	for _, x := range a.Persons {
		have[x.PersonalID] = x
	}
	for _, s := range stories {
		if x := have[s.PersonalID]; x == nil || x.FullName != s.Name || x.BirthDate != s.BirthDate || s.ProvinceName == "" || s.About["en"] == "" {
			t.Errorf("story %+v is not in the population", s)
		}
	}
}

func BenchmarkGenerate10k(b *testing.B) {
	for b.Loop() {
		generate(b, 1, 10_000)
	}
}
