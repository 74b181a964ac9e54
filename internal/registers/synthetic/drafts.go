package synthetic

import (
	"truc/internal/registers"
)

// basis of every invented entry; it says what it is, so that it can never pass for a legal act.
const basis = "Dữ liệu tổng hợp để trình diễn; không phải người thật"

// PersonDrafts returns the population as entries of the register "population".
func (p *Population) PersonDrafts() []registers.Draft {
	out := make([]registers.Draft, 0, len(p.Persons))
	for _, x := range p.Persons {
		out = append(out, registers.Draft{Values: p.person(x), ValidFrom: registers.Date(x.BirthDate), Basis: basis})
	}
	return out
}

// EventDrafts returns the events as entries of the register "civilstatus".
func (p *Population) EventDrafts() []registers.Draft {
	out := make([]registers.Draft, 0, len(p.Events))
	for _, e := range p.Events {
		out = append(out, registers.Draft{Values: p.event(e), ValidFrom: registers.Date(e.RegisteredOn), Basis: basis})
	}
	return out
}

// filler leaves out what is empty: an absent value is absent.
type filler registers.Values

func (f filler) text(name, value string) {
	if value != "" {
		f[name] = value
	}
}

func (f filler) place(p *Population, name, commune string) {
	c, ok := p.Units.Find(commune)
	if !ok {
		return
	}
	province, _ := p.Units.Find(c.Province)
	f.text(name+".provinceCode", province.Code)
	f.text(name+".provinceName", province.FullName)
	f.text(name+".communeCode", c.Code)
	f.text(name+".communeName", c.FullName)
}

func (f filler) relative(name string, r Relative) {
	f.text(name+".personalId", r.ID)
	f.text(name+".fullName", r.Name)
}

func (p *Population) person(x *Person) registers.Values {
	f := filler{}
	f.text("personalId", x.PersonalID)
	f.text("oldIdNumber", x.OldID)
	f.text("fullName", x.FullName)
	f.text("birthDate", x.BirthDate)
	f.text("sex", x.Sex)
	f.text("ethnicity", x.Ethnicity)
	f.text("nationality", "Việt Nam")
	f.text("maritalStatus", x.Marital)
	f.place(p, "birthPlace", x.BirthCommune)
	f.place(p, "birthRegistration", x.BirthCommune)
	f.text("birthRegistration.eventNumber", x.BirthEvent)
	f.place(p, "homeTown", x.HomeCommune)
	f.place(p, "permanentResidence", x.Commune)
	f.text("permanentResidence.detail", x.Detail)
	f.text("permanentResidence.full", p.Units.Address(x.Detail, x.Commune))
	current, detail := x.CurrentCommune, x.CurrentDetail
	if current == "" {
		current, detail = x.Commune, x.Detail
	}
	f.place(p, "currentResidence", current)
	f.text("currentResidence.detail", detail)
	f.text("currentResidence.full", p.Units.Address(detail, current))
	f.relative("father", x.Father)
	f.relative("mother", x.Mother)
	f.relative("spouse", x.Spouse)
	f.text("household.number", x.Household)
	f.text("household.relation", x.HouseholdRelation)
	f.text("contact.phone", x.Phone)
	f.text("contact.email", x.Email)
	f.text("deathDate", x.DeathDate)
	if len(x.PolicyGroups) > 0 {
		f["policyGroups"] = append([]string(nil), x.PolicyGroups...)
	}
	return registers.Values(f)
}

func (p *Population) event(e CivilEvent) registers.Values {
	f := filler{}
	f.text("eventNumber", e.Number)
	f.text("kind", e.Kind)
	f.text("registrationNumber", e.RegistrationNumber)
	f.text("book", e.Book)
	f.text("registeredOn", e.RegisteredOn)
	f.text("eventDate", e.EventDate)
	if e.ReRegistered {
		f["reRegistered"] = true
	}
	f.place(p, "place", e.Commune)
	if c, ok := p.Units.Find(e.Commune); ok {
		f.text("place.office", "Ủy ban nhân dân "+p.Units.Address("", c.Code))
	}
	s := e.Subject
	f.text("subject.personalId", s.PersonalID)
	f.text("subject.fullName", s.FullName)
	f.text("subject.birthDate", s.BirthDate)
	f.text("subject.sex", s.Sex)
	f.text("subject.ethnicity", s.Ethnicity)
	f.text("subject.nationality", "Việt Nam")
	f.text("subject.birthPlace", p.Units.Address("", s.BirthCommune))
	f.text("subject.homeTown", p.Units.Address("", s.HomeCommune))
	if e.Spouse != nil {
		f.relative("spouse", Relative{ID: e.Spouse.PersonalID, Name: e.Spouse.FullName})
		f.text("spouse.birthDate", e.Spouse.BirthDate)
		f.text("spouse.nationality", "Việt Nam")
	}
	if e.Kind == "birth" {
		f.relative("father", s.Father)
		f.text("father.birthDate", s.Father.BirthDate)
		f.relative("mother", s.Mother)
		f.text("mother.birthDate", s.Mother.BirthDate)
	}
	return registers.Values(f)
}
