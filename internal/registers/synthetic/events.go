package synthetic

import (
	"fmt"
	"time"
)

// events registers what happened to everybody: a birth each, the marriages of the couples, the deaths.
func (g *generator) events() {
	byID := make(map[string]*Person, len(g.pop.Persons))
	for _, p := range g.pop.Persons {
		byID[p.PersonalID] = p
	}
	first := map[string]time.Time{} // mother → birth of her first child
	for _, p := range g.pop.Persons {
		if born := p.born(); p.Mother.ID != "" && (first[p.Mother.ID].IsZero() || born.Before(first[p.Mother.ID])) {
			first[p.Mother.ID] = born
		}
	}
	for _, p := range g.pop.Persons {
		g.birth(p)
		if p.Sex == "male" && p.Spouse.ID != "" {
			g.marriage(p, byID[p.Spouse.ID], first[p.Spouse.ID])
		}
		if p.DeathDate != "" {
			day, err := time.Parse("2006-01-02", p.DeathDate)
			if err == nil {
				g.add(CivilEvent{Kind: "death", EventDate: p.DeathDate, Commune: p.Commune, Subject: p}, g.notAfter(day.AddDate(0, 0, 1+g.r.IntN(10))))
			}
		}
	}
}

func (g *generator) birth(p *Person) {
	day := p.born()
	e := CivilEvent{Kind: "birth", EventDate: p.BirthDate, Commune: p.BirthCommune, Subject: p}
	registered := day.AddDate(0, 0, 3+g.r.IntN(50))
	if len(p.BirthDate) == 4 || day.Year() < 1976 && g.r.IntN(100) < 40 { // the books of the time are lost
		e.ReRegistered = true
		registered = time.Date(1998+g.r.IntN(20), time.Month(1+g.r.IntN(12)), 1+g.r.IntN(28), 0, 0, 0, 0, time.UTC)
	}
	p.BirthEvent = g.add(e, g.notAfter(registered))
}

func (g *generator) marriage(man, woman *Person, firstChild time.Time) {
	if woman == nil {
		return
	}
	earliest := later(man.born().AddDate(20, 0, 30), woman.born().AddDate(18, 0, 30)) // Law on Marriage and Family 2014, Article 8
	day := firstChild.AddDate(-1, -g.r.IntN(8), -g.r.IntN(28))
	if firstChild.IsZero() || day.Before(earliest) {
		day = earliest.AddDate(g.r.IntN(3), g.r.IntN(12), g.r.IntN(28))
	}
	g.add(CivilEvent{Kind: "marriage", EventDate: iso(g.notAfter(day)), Commune: man.Commune, Subject: man, Spouse: woman}, g.notAfter(day))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (g *generator) notAfter(t time.Time) time.Time {
	if t.After(g.pop.AsOf) {
		return g.pop.AsOf
	}
	return t
}

var eventPrefix = map[string]string{"birth": "KS", "marriage": "KH", "death": "KT"}

// add numbers an event within its commune, kind and year, as the books do, and returns its number.
func (g *generator) add(e CivilEvent, registered time.Time) string {
	prefix := eventPrefix[e.Kind]
	year := registered.Year()
	counter := fmt.Sprintf("%s-%s-%d", prefix, e.Commune, year)
	g.serials[counter]++
	n := g.serials[counter]
	e.Number = fmt.Sprintf("%s-%05d", counter, n)
	e.RegistrationNumber = fmt.Sprintf("%d/%d", n, year)
	e.Book = fmt.Sprintf("%02d/%d-%s", 1+n/200, year, prefix)
	e.RegisteredOn = iso(registered)
	g.pop.Events = append(g.pop.Events, e)
	return e.Number
}
