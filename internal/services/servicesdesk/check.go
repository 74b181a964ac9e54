package servicesdesk

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// The registers the desk can ask.
const (
	civilStatus = "civilstatus/event"
	population  = "population/person"
)

// The values asked for. Nobody asks for more than the result or the comparison needs: what belongs to spouses is asked
// for a marriage only, what belongs to parents for a birth only.
var (
	eventFields = []string{
		"eventNumber", "kind", "registrationNumber", "book", "registeredOn", "reRegistered", "eventDate", "place.provinceName", "place.communeName",
		"place.office", "subject.personalId", "subject.fullName", "subject.birthDate", "subject.sex", "subject.ethnicity", "subject.nationality",
		"subject.birthPlace", "subject.homeTown",
	}
	parentFields = []string{"father.personalId", "father.fullName", "father.birthDate", "mother.personalId", "mother.fullName", "mother.birthDate"}
	spouseFields = []string{"spouse.personalId", "spouse.fullName", "spouse.birthDate", "spouse.nationality"}
	personFields = []string{"personalId", "fullName", "birthDate", "sex", "nationality", "permanentResidence.full", "maritalStatus"}
)

// civilForm asks the civil-status register, by person number or by name.
type civilForm struct {
	By       ui.Radios
	Kind     ui.Select
	Number   ui.Input
	Name     ui.Input
	Birth    ui.Date3
	Register string
}

// personForm compares a person with the population register.
type personForm struct {
	Number, Name ui.Input
	Register     string
}

type checkView struct {
	Title, Meta string
	Tag         ui.Tag
	Facts       ui.SummaryList
	Found       int
	Register    string
	// Exchange names the exchange whose evidence proves the answer.
	Exchange string
}

// checkForms offers the registers that help with this dossier. posted, when not nil, is what the officer just sent.
func (p *Pages) checkForms(page *dossierPage, v *services.DossierView, posted url.Values) {
	if !v.MayCheck {
		return
	}
	answers := v.Submission.Answers
	if v.Procedure.Result.Record == civilStatus {
		in := civilInput{by: "person", kind: answers.String("/event/kind")}
		self := answers.String("/submitter/relation") == "self" || answers.String("/submitter/relation") == ""
		if self && in.kind != "death" {
			in.number, in.name, in.birth = v.Submission.Applicant.PersonalID, v.Submission.Applicant.FullName, v.Submission.Applicant.BirthDate
		} else {
			in.by, in.name, in.birth = "name", answers.String("/event/subjectName"), answers.String("/event/subjectBirthDate")
		}
		if posted != nil && posted.Get("register") == civilStatus {
			in = readCivil(posted)
		}
		page.CivilForm = in.form(page.Page, page.Problems)
	}
	person := personInput{number: v.Submission.Applicant.PersonalID, name: v.Submission.Applicant.FullName}
	if posted != nil && posted.Get("register") == population {
		person = readPerson(posted)
	}
	page.PersonForm = person.form(page.Page, page.Problems)
}

type civilInput struct{ by, kind, number, name, birth, day, month, year string }

func readCivil(form url.Values) civilInput {
	in := civilInput{by: form.Get("by"), kind: form.Get("kind"), number: digits(form.Get("personalId")), name: oneLine(form.Get("fullName"))}
	in.day, in.month, in.year = ui.ReadDate3(form, "birthDate")
	return in
}

func (in civilInput) form(page ui.Page, ps ui.Problems) *civilForm {
	d := ui.Date3{Name: "birthDate", Legend: page.T("desk.check.birth"), Day: in.day, Month: in.month, Year: in.year, Error: ps.For("birthDate")}
	if in.birth != "" && in.day == "" {
		if t, err := time.Parse(time.DateOnly, in.birth); err == nil {
			d.Day, d.Month, d.Year = t.Format("2"), t.Format("1"), t.Format("2006")
		}
	}
	kinds := ui.Select{Name: "kind", Label: page.T("desk.check.kind"), Value: in.kind, Error: ps.For("kind"), Empty: page.T("desk.check.choose")}
	for _, k := range []string{"birth", "marriage", "death"} {
		kinds.Options = append(kinds.Options, ui.Option{Value: k, Label: page.T("desk.value." + k)})
	}
	return &civilForm{
		Register: civilStatus, Kind: kinds, Birth: d,
		By: ui.Radios{Name: "by", Legend: page.T("desk.check.by"), Value: in.by, Error: ps.For("by"), Options: []ui.Option{
			{Value: "person", Label: page.T("desk.check.by_person")}, {Value: "name", Label: page.T("desk.check.by_name")},
		}},
		Number: ui.Input{Name: "personalId", Label: page.T("desk.person.id"), Value: in.number, InputMode: "numeric", Width: "12", Autocomplete: "off", Error: ps.For("personalId")},
		Name:   ui.Input{Name: "fullName", Label: page.T("desk.check.name"), Value: in.name, Autocomplete: "off", Error: ps.For("fullName")},
	}
}

// query turns what was typed into a question, or says what is missing.
func (in civilInput) query(ps *ui.Problems) services.RegisterQuery {
	q := services.RegisterQuery{Register: civilStatus, Criteria: map[string]string{}, Fields: slices.Clone(eventFields)}
	if !slices.Contains([]string{"birth", "marriage", "death"}, in.kind) {
		ps.Add("kind", "desk.problem.kind")
	}
	q.Criteria["kind"] = in.kind
	switch in.kind {
	case "birth":
		q.Fields = append(q.Fields, parentFields...)
	case "marriage":
		q.Fields = append(q.Fields, spouseFields...)
	}
	if in.name == "" {
		ps.Add("fullName", "desk.problem.name")
	}
	q.Criteria["fullName"] = in.name
	switch in.by {
	case "person":
		q.Type = "ByPersonAndKind"
		if !identityShape.MatchString(in.number) {
			ps.Add("personalId", "desk.problem.identity", "n", len(in.number))
		}
		q.Criteria["personalId"] = in.number
	case "name":
		q.Type = "ByNameAndBirthDate"
		d := ui.Date3{Day: in.day, Month: in.month, Year: in.year}
		t, ok := d.Time()
		if !ok {
			ps.Add("birthDate", "desk.problem.birth")
		}
		q.Criteria["birthDate"] = t.Format(time.DateOnly)
	default:
		ps.Add("by", "desk.problem.by")
	}
	return q
}

type personInput struct{ number, name string }

func readPerson(form url.Values) personInput {
	return personInput{number: digits(form.Get("pPersonalId")), name: oneLine(form.Get("pFullName"))}
}

func (in personInput) form(page ui.Page, ps ui.Problems) *personForm {
	return &personForm{
		Register: population,
		Number:   ui.Input{Name: "pPersonalId", Label: page.T("desk.person.id"), Value: in.number, InputMode: "numeric", Width: "12", Autocomplete: "off", Error: ps.For("pPersonalId")},
		Name:     ui.Input{Name: "pFullName", Label: page.T("desk.check.name"), Value: in.name, Autocomplete: "off", Error: ps.For("pFullName")},
	}
}

func (in personInput) query(ps *ui.Problems) services.RegisterQuery {
	if !identityShape.MatchString(in.number) {
		ps.Add("pPersonalId", "desk.problem.identity", "n", len(in.number))
	}
	if in.name == "" {
		ps.Add("pFullName", "desk.problem.name")
	}
	return services.RegisterQuery{
		Register: population, Type: "ByPersonalId", Fields: slices.Clone(personFields),
		Criteria: map[string]string{"personalId": in.number, "fullName": in.name},
	}
}

// digits drops what people put between the groups of a number.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" .-\u00a0", r) {
			return -1
		}
		return r
	}, short(strings.TrimSpace(s)))
}

func oneLine(s string) string { return short(strings.Join(strings.Fields(s), " ")) }

// check asks a register. What it answers becomes an event of the dossier; when it does not answer, the page says so and
// keeps what was typed.
func (p *Pages) check(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	var problems ui.Problems
	var query services.RegisterQuery
	switch form.Get("register") {
	case civilStatus:
		query = readCivil(form).query(&problems)
	case population:
		query = readPerson(form).query(&problems)
	default:
		return errs.E(errs.Invalid, "desk.check.unknown", nil)
	}
	if len(problems) > 0 {
		return p.checkAgain(w, r, form, problems, http.StatusUnprocessableEntity, nil)
	}
	check, err := p.Desk.CheckRegister(r.Context(), who(r), r.PathValue("number"), query)
	if err != nil {
		switch errs.KindOf(err) {
		case errs.Denied, errs.NotFound:
			if key, _ := errs.KeyOf(err); strings.HasPrefix(key, "services.") {
				return err
			}
		case errs.Internal:
			return err
		default: // said on the page, beside the question
		}
		lang := pageLang(r)
		return p.checkAgain(w, r, form, nil, web.StatusOf(err), &ui.Notice{
			Tone: ui.Late, Alert: true, Title: p.Messages.T(lang, "desk.check.failed", "register", p.registerName(lang, query.Register)), Text: p.text(lang, err),
			Lines: []string{p.Messages.T(lang, "desk.check.failed_hint")},
		})
	}
	switch check.Found {
	case 0:
		ui.Flash(w, "desk.flash.check_none")
	case 1:
		ui.Flash(w, "desk.flash.check_one")
	default:
		ui.Flash(w, "desk.flash.check_several")
	}
	return web.SeeOther(w, r, dossierURL(r.PathValue("number"))+"#checks")
}

func (p *Pages) checkAgain(w http.ResponseWriter, r *http.Request, form url.Values, problems ui.Problems, status int, notice *ui.Notice) error {
	v, err := p.Desk.View(r.Context(), who(r), r.PathValue("number"), pageLang(r))
	if err != nil {
		return err
	}
	page := p.dossierPage(r, v)
	page.Problems = problems
	if notice != nil {
		page.Notices = append([]ui.Notice{*notice}, page.Notices...)
	}
	p.checkForms(&page, v, form)
	return p.templates.Render(w, r, status, "dossier", page)
}

// checkView shows what a register said, beside what was filed.
func (p *Pages) checkView(page dossierPage, v *services.DossierView, c services.RegisterCheck) checkView {
	out := checkView{Title: p.registerName(page.Lang, c.Register), Meta: i18n.DateTime(c.At), Found: c.Found, Register: c.Register, Exchange: c.Exchange}
	out.Tag = ui.Tag{Text: p.foundWords(page.Page, c.Found), Tone: ui.Soon}
	if c.Found == 1 {
		out.Tag.Tone = ui.Done
	}
	order := append(append(slices.Clone(eventFields), parentFields...), spouseFields...)
	if c.Register == population {
		order = personFields
	}
	var rest []string
	for name := range c.Facts {
		if !slices.Contains(order, name) {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	filed := filedValues(v, c.Register)
	for _, name := range append(slices.Clone(order), rest...) {
		value, ok := c.Facts[name]
		if !ok || value == "" {
			continue
		}
		row := ui.SummaryRow{Key: p.factName(page.Lang, name), Value: p.factValue(page.Page, name, value, page.IDsShown)}
		if want := filed[name]; want != "" {
			row.Tag = &ui.Tag{Text: page.T("desk.match.same"), Tone: ui.Done}
			if !strings.EqualFold(i18n.NFC(want), i18n.NFC(value)) {
				row.Tag = &ui.Tag{Text: page.T("desk.match.other", "value", plainDate(want)), Tone: ui.Late}
			}
		}
		out.Facts.Rows = append(out.Facts.Rows, row)
	}
	return out
}

// filedValues are the values of the filing that a register's answer can be held against.
func filedValues(v *services.DossierView, register string) map[string]string {
	a, answers := v.Submission.Applicant, v.Submission.Answers
	if register == population {
		return map[string]string{"fullName": a.FullName, "birthDate": a.BirthDate}
	}
	if register != civilStatus || answers.String("/event/kind") == "marriage" { // either spouse may be the one asked for
		return nil
	}
	if name := answers.String("/event/subjectName"); name != "" {
		return map[string]string{"subject.fullName": name, "subject.birthDate": answers.String("/event/subjectBirthDate")}
	}
	return map[string]string{"subject.fullName": a.FullName, "subject.birthDate": a.BirthDate}
}

func (p *Pages) factName(lang, field string) string {
	if key := "desk.fact." + field; p.Messages.Has("vi", key) {
		return p.Messages.T(lang, key)
	}
	return field
}

func (p *Pages) factValue(page ui.Page, field, value string, whole bool) string {
	switch field {
	case "kind", "subject.sex", "sex", "maritalStatus", "reRegistered":
		if key := "desk.value." + value; p.Messages.Has("vi", key) {
			return page.T(key)
		}
	}
	return plainDate(masked(value, whole))
}
