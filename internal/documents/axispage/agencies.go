package axispage

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type agenciesPage struct {
	ui.Page
	Find   ui.Search
	Table  ui.Table
	Form   agencyFields
	Create ui.Button
}

// agencyFields are the fields of an agency.
type agencyFields struct {
	Code, Name, Parent, Old, Aliases, Mail, Mobile, Fax, Owner ui.Input
}

// agencyForm is what a browser sends of an agency.
type agencyForm struct{ code, name, parent, old, aliases, mail, mobile, fax, owner string }

func readAgencyForm(form url.Values) agencyForm {
	get := func(k string) string { return strings.TrimSpace(form.Get(k)) }
	return agencyForm{get("code"), get("name"), get("parent"), get("old"), get("aliases"), get("mail"), get("mobile"), get("fax"), get("owner")}
}

// codes splits a list that a person typed.
func codes(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' || c == ';' || c == '\n' })
}

func (f agencyForm) validate() (out axis.AgencyForm, problems ui.Problems) {
	if f.code == "" {
		problems.Add("code", "axispage.agency.code_missing")
	}
	if f.name == "" {
		problems.Add("name", "axispage.agency.name_missing")
	}
	if f.owner == "" {
		problems.Add("owner", "axispage.agency.owner_missing")
	}
	owner := axis.Party(f.owner)
	if f.owner != "" && !strings.Contains(f.owner, ":") { // people write the id of a system, or a subsystem
		owner = axis.VXP(f.owner)
		if strings.Contains(f.owner, "/") {
			owner = axis.Party("node:" + f.owner)
		}
	}
	return axis.AgencyForm{
		Code: f.code, Name: f.name, Parent: f.parent, Old: f.old, Aliases: codes(f.aliases), Mail: f.mail, Mobile: f.mobile, Fax: f.fax, Owner: owner,
	}, problems
}

func formOfAgency(a axis.Agency) agencyForm {
	return agencyForm{a.Code, a.Name, a.Parent, a.Old, strings.Join(a.Aliases, ", "), a.Mail, a.Mobile, a.Fax, string(a.Owner)}
}

func (f agencyForm) fields(pg ui.Page, problems ui.Problems) agencyFields {
	in := func(name, value, width string, optional bool) ui.Input {
		return ui.Input{Name: name, Label: pg.T("axispage.agency." + name), Hint: pg.T("axispage.agency." + name + "_hint"), Value: value, Width: width, Optional: optional, Error: problems.For(name)}
	}
	short := func(name, value string) ui.Input {
		return ui.Input{Name: name, Label: pg.T("axispage.agency." + name), Value: value, Width: "20", Optional: true, Error: problems.For(name)}
	}
	return agencyFields{
		Code: in("code", f.code, "20", false), Name: in("name", f.name, "", false), Owner: in("owner", f.owner, "30", false), Parent: in("parent", f.parent, "20", true),
		Old: in("old", f.old, "20", true), Aliases: in("aliases", f.aliases, "", true), Mail: short("mail", f.mail), Mobile: short("mobile", f.mobile), Fax: short("fax", f.fax),
	}
}

func (p *Pages) agencies(w http.ResponseWriter, r *http.Request) error {
	return p.renderAgencies(w, r, http.StatusOK, agencyForm{}, nil)
}

// maxListed bounds a list; a search narrows it.
const maxListed = 500

func (p *Pages) renderAgencies(w http.ResponseWriter, r *http.Request, status int, f agencyForm, problems ui.Problems) error {
	pg := agenciesPage{Page: page(r, "axispage.agencies.title")}
	pg.Problems = problems
	all, err := p.Hub.Agencies(r.Context())
	if err != nil {
		return err
	}
	q := strings.TrimSpace(web.Query(r).Get("q"))
	pg.Find = ui.Search{Label: pg.T("axispage.agencies.find"), Hint: pg.T("axispage.agencies.find_hint"), Action: agenciesPath, Name: "q", Value: q}
	var found []axis.Agency
	for _, a := range all {
		if len(found) < maxListed && matches(a, i18n.Fold(q)) {
			found = append(found, a)
		}
	}
	pg.Table = p.agencyTable(pg.Page, found)
	pg.Form = f.fields(pg.Page, problems)
	pg.Create = ui.Button{Text: pg.T("axispage.agencies.create")}
	return p.templates.Render(w, r, status, "agencies", pg)
}

func matches(a axis.Agency, q string) bool {
	if q == "" {
		return true
	}
	for _, s := range append([]string{a.Code, a.Old, a.Name, string(a.Owner)}, a.Aliases...) {
		if strings.Contains(i18n.Fold(s), q) {
			return true
		}
	}
	return false
}

func (p *Pages) agencyTable(pg ui.Page, list []axis.Agency) ui.Table {
	t := ui.Table{
		Caption: pg.T("axispage.agencies.list"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("axispage.agency")}, {Text: pg.T("axispage.agency.old")}, {Text: pg.T("axispage.agency.parent")}, {Text: pg.T("axispage.agency.owner")}, {Text: pg.T("axispage.state")}, {Text: pg.T("axispage.changed")}},
		Empty:   &ui.Empty{Title: pg.T("axispage.agencies.none"), Text: pg.T("axispage.agencies.none_text")},
	}
	for _, a := range list {
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{
			{Text: a.Code, Sub: a.Name, URL: agencyURL(a.Code), Head: true}, {Text: a.Old}, {Text: a.Parent}, {Text: string(a.Owner)}, {Tag: p.agencyTag(pg, a), Sub: strings.Join(a.Successors, ", ")}, {Text: i18n.DateTime(a.Changed)},
		}})
	}
	return t
}

func (p *Pages) agencyTag(pg ui.Page, a axis.Agency) *ui.Tag {
	switch {
	case !a.Open(p.Now()) && len(a.Successors) > 0:
		return &ui.Tag{Text: pg.T("axispage.agency.merged"), Tone: ui.Neutral}
	case !a.Open(p.Now()):
		return &ui.Tag{Text: pg.T("axispage.agency.ended"), Tone: ui.Neutral}
	case a.Locked:
		return &ui.Tag{Text: pg.T("axispage.agency.locked"), Tone: ui.Late}
	}
	return &ui.Tag{Text: pg.T("axispage.agency.active"), Tone: ui.Done}
}

func (p *Pages) agencyCreate(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	f := readAgencyForm(form)
	in, problems := f.validate()
	if len(problems) > 0 {
		return p.renderAgencies(w, r, http.StatusUnprocessableEntity, f, problems)
	}
	_, err = p.Hub.AdmitAgency(r.Context(), actor(r), in)
	if problems := problemsOf(err); problems != nil {
		return p.renderAgencies(w, r, http.StatusUnprocessableEntity, f, problems)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "axispage.saved")
	return web.SeeOther(w, r, agencyURL(in.Code))
}

type agencyPage struct {
	ui.Page
	Code       string
	Name       string
	State      *ui.Tag
	Summary    ui.SummaryList
	Open       bool
	Version    int
	Form       agencyFields
	Successors ui.Input
	Act        ui.Input
	Save, Lock ui.Button
	End        ui.Button
	History    ui.Timeline
}

// found returns the entry of a code today, or the last one that had it.
func (p *Pages) found(r *http.Request) (axis.Agency, error) {
	return p.Hub.AgencyAt(r.Context(), storable(r.PathValue("code")), p.Now())
}

func (p *Pages) agency(w http.ResponseWriter, r *http.Request) error {
	a, err := p.found(r)
	if err != nil {
		return err
	}
	return p.renderAgency(w, r, http.StatusOK, a, formOfAgency(a), "", "", nil)
}

func (p *Pages) renderAgency(w http.ResponseWriter, r *http.Request, status int, a axis.Agency, f agencyForm, successors, act string, problems ui.Problems) error {
	pg := agencyPage{Page: page(r, "axispage.agency.title"), Code: a.Code, Name: a.Name, Open: a.Open(p.Now()), Version: a.Version}
	pg.Back, pg.Problems = agenciesPath, problems
	pg.State = p.agencyTag(pg.Page, a)
	row := func(key, value string) {
		if value != "" {
			pg.Summary.Rows = append(pg.Summary.Rows, ui.SummaryRow{Key: pg.T(key), Value: value})
		}
	}
	row("axispage.agency.owner", string(a.Owner))
	row("axispage.agency.parent", a.Parent)
	row("axispage.agency.old", a.Old)
	row("axispage.agency.aliases", strings.Join(a.Aliases, ", "))
	row("axispage.agency.from", i18n.DateTime(a.From))
	row("axispage.agency.to", i18n.DateTime(a.To))
	row("axispage.agency.successors", strings.Join(a.Successors, ", "))
	row("axispage.agency.act", a.Act)
	pg.Form = f.fields(pg.Page, problems)
	pg.Save = ui.Button{Text: pg.T("axispage.save")}
	pg.Lock = ui.Button{Text: pg.T("axispage.agency.lock"), Kind: "secondary", Name: "locked", Value: "1"}
	if a.Locked {
		pg.Lock = ui.Button{Text: pg.T("axispage.agency.unlock"), Kind: "secondary", Name: "locked", Value: "0"}
	}
	pg.Successors = ui.Input{Name: "successors", Label: pg.T("axispage.agency.successors"), Hint: pg.T("axispage.agency.successors_hint"), Value: successors, Optional: true, Error: problems.For("successors")}
	pg.Act = ui.Input{Name: "act", Label: pg.T("axispage.agency.act"), Hint: pg.T("axispage.agency.act_hint"), Value: act, Error: problems.For("act")}
	pg.End = ui.Button{Text: pg.T("axispage.agency.end"), Kind: "danger"}
	history, err := p.Hub.AgencyHistory(r.Context(), a.ID)
	if err != nil {
		return err
	}
	for _, h := range slices.Backward(history) {
		pg.History.Events = append(pg.History.Events, ui.TimelineEvent{Title: pg.T("axispage.revision." + h.What), When: h.At, Who: h.Actor, Text: h.Act})
	}
	return p.templates.Render(w, r, status, "agency", pg)
}

func (p *Pages) agencyChange(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	a, err := p.found(r)
	if err != nil {
		return err
	}
	f := readAgencyForm(form)
	in, problems := f.validate()
	version, err := strconv.Atoi(form.Get("version"))
	if err != nil {
		return errs.E(errs.Invalid, "axis.agency_changed", err)
	}
	if len(problems) > 0 {
		return p.renderAgency(w, r, http.StatusUnprocessableEntity, a, f, "", "", problems)
	}
	in.Unit = !a.IsAgency
	err = p.Hub.ChangeAgency(r.Context(), actor(r), a.Code, version, in)
	if problems := problemsOf(err); problems != nil {
		return p.renderAgency(w, r, http.StatusUnprocessableEntity, a, f, "", "", problems)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "axispage.saved")
	return web.SeeOther(w, r, agencyURL(in.Code))
}

func (p *Pages) agencyLock(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	a, err := p.found(r)
	if err != nil {
		return err
	}
	if err := p.Hub.LockAgency(r.Context(), actor(r), a.Code, form.Get("locked") == "1"); err != nil {
		return err
	}
	ui.Flash(w, "axispage.saved")
	return web.SeeOther(w, r, agencyURL(a.Code))
}

func (p *Pages) agencyEnd(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	a, err := p.found(r)
	if err != nil {
		return err
	}
	act, successors := strings.TrimSpace(form.Get("act")), strings.TrimSpace(form.Get("successors"))
	err = p.Hub.EndAgency(r.Context(), actor(r), a.Code, act, codes(successors))
	if problems := problemsOf(err); problems != nil {
		return p.renderAgency(w, r, http.StatusUnprocessableEntity, a, formOfAgency(a), successors, act, problems)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "axispage.saved")
	return web.SeeOther(w, r, agencyURL(a.Code))
}
