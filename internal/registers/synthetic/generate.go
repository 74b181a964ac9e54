package synthetic

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"truc/internal/adminunits"
	"truc/internal/i18n"
)

// Generate invents about n people (whole families, so a few more) as they stand on a day. The families of the
// demonstration persons come first, whatever the seed.
func Generate(seed uint64, n int, asOf time.Time) (*Population, error) {
	units, err := adminunits.Load()
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(seed, 0x7472c5)) //nolint:gosec // the same seed makes the same people
	g := &generator{
		r: r, names: newNamer(r), units: units, used: map[string]bool{}, serials: map[string]int{},
		pop: &Population{AsOf: asOf.UTC().Truncate(24 * time.Hour), Units: units},
	}
	for _, u := range units.Provinces() {
		g.everywhere = append(g.everywhere, units.Communes(u.Code)...)
	}
	g.lamDong, g.hue = units.Communes("68"), units.Communes("46")
	if err := g.stories(); err != nil {
		return nil, err
	}
	for len(g.pop.Persons) < n {
		g.family()
	}
	g.events()
	return g.pop, nil
}

type generator struct {
	r                        *rand.Rand
	names                    *namer
	units                    *adminunits.Units
	pop                      *Population
	used                     map[string]bool // personal numbers
	serials                  map[string]int  // commune, kind, year → last registration number
	households               int
	everywhere, lamDong, hue []adminunits.Unit
}

// ages of heads of household, in years: a rough pyramid.
var headAges = []struct{ from, to, share int }{{23, 29, 16}, {30, 39, 27}, {40, 49, 23}, {50, 59, 16}, {60, 69, 11}, {70, 79, 5}, {80, 95, 2}}

func (g *generator) headAge() int {
	n := g.r.IntN(100)
	for _, a := range headAges {
		if n -= a.share; n < 0 {
			return a.from + g.r.IntN(a.to-a.from+1)
		}
	}
	return 40
}

// commune draws a place: three in ten in Lâm Đồng, three in ten in Huế, the rest anywhere.
func (g *generator) commune() adminunits.Unit {
	switch n := g.r.IntN(10); {
	case n < 3:
		return g.lamDong[g.r.IntN(len(g.lamDong))]
	case n < 6:
		return g.hue[g.r.IntN(len(g.hue))]
	}
	return g.everywhere[g.r.IntN(len(g.everywhere))]
}

var (
	streets = []string{
		"Trần Phú", "Lê Lợi", "Nguyễn Huệ", "Hùng Vương", "Phan Đình Phùng", "Hai Bà Trưng", "Lý Thường Kiệt", "Nguyễn Trãi", "Quang Trung",
		"Lê Hồng Phong", "Nguyễn Thị Minh Khai", "Phan Chu Trinh", "Bà Triệu", "Điện Biên Phủ", "Yersin", "Chi Lăng", "Đinh Tiên Hoàng",
	}
	hamlets = []string{"Thôn 1", "Thôn 2", "Thôn 3", "Thôn 4", "Thôn Đông", "Thôn Đoài", "Thôn Thượng", "Thôn Hạ", "Thôn Tân Lập", "Thôn An Hoà"}
)

func (g *generator) detail(c adminunits.Unit) string {
	if strings.HasPrefix(c.FullName, "Phường") {
		house := fmt.Sprint(1 + g.r.IntN(240))
		if g.r.IntN(6) == 0 {
			house += "/" + fmt.Sprint(1+g.r.IntN(30))
		}
		return house + " đường " + streets[g.r.IntN(len(streets))]
	}
	return hamlets[g.r.IntN(len(hamlets))]
}

// family invents one household: a couple with children, a single adult, or a widowed elder.
func (g *generator) family() {
	place := g.commune()
	home := &household{place: place, detail: g.detail(place)}
	home.highland = place.Province == "68" && strings.HasPrefix(place.FullName, "Xã") && g.r.IntN(100) < 18
	age := g.headAge()
	switch kind := g.r.IntN(100); {
	case kind < 16 && age < 45:
		p := g.adult(home, g.sex(), age)
		g.join(home, p, "Chủ hộ")
	case age >= 68 && kind < 45:
		g.widowed(home, age)
	default:
		g.couple(home, age)
	}
	g.settle(home)
}

type household struct {
	place    adminunits.Unit
	detail   string
	highland bool
	members  []*Person
}

func (g *generator) sex() string { return [2]string{"male", "female"}[g.r.IntN(2)] }

func (g *generator) couple(home *household, age int) {
	man := g.adult(home, "male", age)
	woman := g.adult(home, "female", max(20, age-2+g.r.IntN(6)-3))
	marry(man, woman)
	g.join(home, man, "Chủ hộ")
	g.join(home, woman, "Vợ")
	if g.r.IntN(100) < 4 { // divorced later; the children stay with the mother
		man.Marital, woman.Marital, man.Spouse, woman.Spouse = "divorced", "divorced", Relative{}, Relative{}
	}
	mother := woman.born()
	at := mother.AddDate(21+g.r.IntN(9), g.r.IntN(12), g.r.IntN(28))
	for range g.childCount() {
		if at.After(g.pop.AsOf.AddDate(0, -2, 0)) || ageOn(mother, at) > 43 {
			break
		}
		if ageOn(at, g.pop.AsOf) < 26 { // older children have moved out and are not followed
			g.child(home, man, woman, at)
		}
		at = at.AddDate(1+g.r.IntN(5), g.r.IntN(12), g.r.IntN(28))
	}
}

func (g *generator) childCount() int { return [...]int{0, 1, 1, 2, 2, 2, 2, 3, 3, 4}[g.r.IntN(10)] }

func (g *generator) child(home *household, father, mother *Person, born time.Time) *Person {
	c := &Person{Sex: g.sex(), BirthDate: iso(born), Ethnicity: father.Ethnicity, Marital: "single", highland: home.highland}
	c.FamilyName = father.FamilyName
	switch {
	case home.highland:
		c.FullName = g.names.highland(c.Sex)
	default:
		c.FullName = c.FamilyName + " " + g.names.given(c.Sex, born.Year())
	}
	c.Father, c.Mother = father.relative(), mother.relative()
	c.BirthCommune, c.HomeCommune = home.place.Code, father.HomeCommune
	relation := "Con"
	g.number(c)
	g.join(home, c, relation)
	return c
}

func (g *generator) widowed(home *household, age int) {
	man := g.adult(home, "male", age)
	woman := g.adult(home, "female", max(60, age-3))
	marry(man, woman)
	man.DeathDate = iso(g.pop.AsOf.AddDate(-g.r.IntN(12), -g.r.IntN(12)-1, -g.r.IntN(28)))
	man.Marital, woman.Marital = "married", "widowed"
	woman.Spouse = Relative{}
	g.join(home, man, "Chủ hộ (đã chết)")
	g.join(home, woman, "Chủ hộ")
}

func marry(man, woman *Person) {
	man.Marital, woman.Marital = "married", "married"
	man.Spouse, woman.Spouse = woman.relative(), man.relative()
}

// adult invents somebody whose parents are known by name only.
func (g *generator) adult(home *household, sex string, age int) *Person {
	born := g.pop.AsOf.AddDate(-age, -g.r.IntN(12), -g.r.IntN(28))
	p := &Person{Sex: sex, BirthDate: iso(born), FamilyName: pick(g.r, familyNames), Marital: "single", Ethnicity: "Kinh", highland: home.highland}
	p.FullName = p.FamilyName + " " + g.names.given(sex, born.Year())
	p.Father.Name = p.FamilyName + " " + g.names.given("male", born.Year()-28)
	p.Mother.Name = pick(g.r, familyNames) + " " + g.names.given("female", born.Year()-25)
	p.BirthCommune = home.place.Code
	if g.r.IntN(100) < 35 {
		p.BirthCommune = g.commune().Code
	}
	p.HomeCommune = p.BirthCommune
	if home.highland {
		p.Ethnicity = [...]string{"Cơ Ho", "Cơ Ho", "Mạ", "Chu Ru"}[g.r.IntN(4)]
		p.FullName, p.Father.Name, p.Mother.Name = g.names.highland(sex), g.names.highland("male"), g.names.highland("female")
		p.FamilyName = ""
	}
	switch year := born.Year(); {
	case year < 1960 && g.r.IntN(100) < 30, home.highland && year < 1975 && g.r.IntN(100) < 50:
		p.BirthDate = fmt.Sprint(year) // the day was never written down
	}
	if born.Year() < 2000 {
		p.OldID = fmt.Sprintf("%09d", 990_000_000+g.r.IntN(9_999_999))
	}
	if born.Year() < 1956 && g.r.IntN(100) < 15 {
		p.PolicyGroups = append(p.PolicyGroups, "NCC")
	}
	if home.highland && g.r.IntN(100) < 12 {
		p.PolicyGroups = append(p.PolicyGroups, "HN") // poor household, "hộ nghèo"
	}
	g.number(p)
	return p
}

func (g *generator) number(p *Person) {
	year := p.born().Year()
	for {
		// Serials below 1000 are kept for the demonstration persons.
		p.PersonalID = number(year, p.Sex, 1000+g.r.IntN(999_000))
		if !g.used[p.PersonalID] {
			g.used[p.PersonalID] = true
			return
		}
	}
}

func (g *generator) join(home *household, p *Person, relation string) {
	p.HouseholdRelation = relation
	home.members = append(home.members, p)
}

// settle gives a household its address and number and its members their contact details, and files them.
func (g *generator) settle(home *household) {
	g.households++
	for _, p := range home.members {
		p.Commune, p.Detail = home.place.Code, home.detail
		p.Household = fmt.Sprintf("HS%s%06d", home.place.Code, g.households)
		if age := ageOn(p.born(), g.pop.AsOf); age >= 15 && age < 85 && p.DeathDate == "" {
			serial := len(g.pop.Persons)
			if p.Phone == "" && g.r.IntN(100) < 92 {
				p.Phone = fmt.Sprintf("0950%06d", serial%1_000_000)
			}
			if p.Email == "" && g.r.IntN(100) < 45 {
				p.Email = mail(p.FullName, serial)
			}
			if age < 30 && p.CurrentCommune == "" && g.r.IntN(100) < 15 { // studies or works elsewhere
				c := g.commune()
				p.CurrentCommune, p.CurrentDetail = c.Code, g.detail(c)
			}
		}
		g.pop.Persons = append(g.pop.Persons, p)
	}
}

func mail(name string, serial int) string {
	words := strings.Fields(strings.ReplaceAll(i18n.Fold(name), "'", ""))
	return fmt.Sprintf("%s.%d@example.vn", words[len(words)-1], serial)
}
