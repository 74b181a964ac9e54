package synthetic

import (
	"fmt"
	"time"

	"truc/internal/adminunits"
)

// Person is an invented person. Dates are ISO 8601; BirthDate may be a year alone.
type Person struct {
	PersonalID, OldID string
	FamilyName        string
	FullName          string
	Sex               string // male or female
	BirthDate         string
	Ethnicity         string
	BirthCommune      string // code
	HomeCommune       string // "quê quán"
	Commune           string // permanent residence
	Detail            string // house and street
	CurrentCommune    string // empty: lives at the permanent residence
	CurrentDetail     string
	Marital           string
	Father, Mother    Relative
	Spouse            Relative
	Household         string
	HouseholdRelation string
	Phone, Email      string
	DeathDate         string
	PolicyGroups      []string
	BirthEvent        string // number of the birth registration
	highland          bool
}

// Relative names a parent or spouse; ID is empty when the register knows only the name.
type Relative struct{ ID, Name, BirthDate string }

// CivilEvent is an invented registration of a birth, a marriage or a death.
type CivilEvent struct {
	Number             string
	Kind               string // birth, marriage or death
	RegistrationNumber string // within commune, kind and year
	Book               string
	RegisteredOn       string
	ReRegistered       bool
	EventDate          string
	Commune            string
	Subject            *Person
	Spouse             *Person // marriage only
}

// Population is the whole invention.
type Population struct {
	Persons []*Person
	Events  []CivilEvent
	AsOf    time.Time
	Units   *adminunits.Units
}

func (p *Person) born() time.Time {
	t, err := time.Parse("2006-01-02", p.BirthDate)
	if err != nil {
		t, _ = time.Parse("2006", p.BirthDate[:4])
		t = t.AddDate(0, 6, 0)
	}
	return t
}

func (p *Person) relative() Relative {
	return Relative{ID: p.PersonalID, Name: p.FullName, BirthDate: p.BirthDate}
}

func iso(t time.Time) string { return t.Format("2006-01-02") }

func ageOn(born, day time.Time) int {
	n := day.Year() - born.Year()
	if day.YearDay() < born.YearDay() {
		n--
	}
	return n
}

// centuryDigit is the fourth digit of a personal number: 0 and 1 for men and women of the 20th century, 2 and 3 for the
// 21st (Decree 137/2015 Article 13).
func centuryDigit(year int, sex string) int {
	d := 0
	if year >= 2000 {
		d = 2
	}
	if sex == "female" {
		d++
	}
	return d
}

// number makes a personal number of the prefix that nobody has.
func number(year int, sex string, serial int) string {
	return fmt.Sprintf("099%d%02d%06d", centuryDigit(year, sex), year%100, serial)
}
