package axispage

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type systemsPage struct {
	ui.Page
	Table  ui.Table
	Form   systemFields
	Create ui.Button
	// Secret is shown once, after the system was made.
	Secret, SecretOf string
}

// systemFields are the fields of a system, on the page of all and of one.
type systemFields struct {
	ID, Name, Hours, Addresses ui.Input
	Options                    ui.Checkboxes
}

const (
	optUnlimited = "unlimited"
	optRegister  = "register"
	optNoHash    = "nohash"
	optRefuse    = "refuse"
)

// systemForm is what a browser sends of a system.
type systemForm struct {
	id, name, hours, addresses string
	options                    []string
}

func readSystemForm(form url.Values) systemForm {
	return systemForm{
		id: strings.TrimSpace(form.Get("id")), name: strings.TrimSpace(form.Get("name")), hours: strings.TrimSpace(form.Get("hours")),
		addresses: strings.TrimSpace(form.Get("addresses")), options: form["options"],
	}
}

func (f systemForm) has(option string) bool {
	return slices.Contains(f.options, option)
}

// validate returns the form in the words of the axis, whose own checks follow.
func (f systemForm) validate() (out axis.SystemForm, problems ui.Problems) {
	out = axis.SystemForm{
		ID: f.id, Name: f.name, Unlimited: f.has(optUnlimited), MayRegister: f.has(optRegister), HashOptional: f.has(optNoHash), RefuseRepeats: f.has(optRefuse),
	}
	if f.id == "" {
		problems.Add("id", "axispage.system.id_missing")
	}
	if f.name == "" {
		problems.Add("name", "axispage.system.name_missing")
	}
	if f.hours != "" {
		n, err := strconv.Atoi(f.hours)
		if err != nil || n < 1 || n > 366*24 {
			problems.Add("hours", "axispage.system.hours_wrong")
		}
		out.Window = time.Duration(n) * time.Hour
	}
	for _, s := range strings.FieldsFunc(f.addresses, func(c rune) bool { return c == ',' || c == ' ' || c == ';' }) {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); err != nil && aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			problems.Add("addresses", "axispage.system.address_wrong", "address", s)
			break
		}
		out.Addresses = append(out.Addresses, p.Masked())
	}
	return out, problems
}

func formOfSystem(s axis.System) systemForm {
	f := systemForm{id: s.ID, name: s.Name, hours: strconv.Itoa(int(s.Window / time.Hour))}
	list := make([]string, len(s.Addresses))
	for i, a := range s.Addresses {
		list[i] = a.String()
	}
	f.addresses = strings.Join(list, ", ")
	for option, on := range map[string]bool{optUnlimited: s.Unlimited, optRegister: s.MayRegister, optNoHash: s.HashOptional, optRefuse: s.RefuseRepeats} {
		if on {
			f.options = append(f.options, option)
		}
	}
	return f
}

func (f systemForm) fields(pg ui.Page, problems ui.Problems) systemFields {
	return systemFields{
		ID:        ui.Input{Name: "id", Label: pg.T("axispage.system.id"), Hint: pg.T("axispage.system.id_hint"), Value: f.id, Width: "20", Error: problems.For("id")},
		Name:      ui.Input{Name: "name", Label: pg.T("axispage.system.name"), Hint: pg.T("axispage.system.name_hint"), Value: f.name, Error: problems.For("name")},
		Hours:     ui.Input{Name: "hours", Label: pg.T("axispage.system.hours"), Hint: pg.T("axispage.system.hours_hint"), Value: f.hours, InputMode: "numeric", Width: "5", Error: problems.For("hours")},
		Addresses: ui.Input{Name: "addresses", Label: pg.T("axispage.system.addresses"), Hint: pg.T("axispage.system.addresses_hint"), Value: f.addresses, Optional: true, Error: problems.For("addresses")},
		Options: ui.Checkboxes{Name: "options", Legend: pg.T("axispage.system.options"), Values: f.options, Options: []ui.Option{
			{Value: optRegister, Label: pg.T("axispage.system.register"), Hint: pg.T("axispage.system.register_hint")},
			{Value: optRefuse, Label: pg.T("axispage.system.refuse"), Hint: pg.T("axispage.system.refuse_hint")},
			{Value: optNoHash, Label: pg.T("axispage.system.nohash"), Hint: pg.T("axispage.system.nohash_hint")},
			{Value: optUnlimited, Label: pg.T("axispage.system.unlimited"), Hint: pg.T("axispage.system.unlimited_hint")},
		}},
	}
}

func (p *Pages) systems(w http.ResponseWriter, r *http.Request) error {
	return p.renderSystems(w, r, http.StatusOK, "", systemForm{hours: "24"}, nil)
}

func (p *Pages) renderSystems(w http.ResponseWriter, r *http.Request, status int, secret string, f systemForm, problems ui.Problems) error {
	pg := systemsPage{Page: page(r, "axispage.systems.title"), Secret: secret, SecretOf: f.id}
	pg.Problems = problems
	list, err := p.Hub.Systems(r.Context())
	if err != nil {
		return err
	}
	agencies, err := p.Hub.Agencies(r.Context())
	if err != nil {
		return err
	}
	owned := map[axis.Party]int{}
	for _, a := range agencies {
		if a.Open(p.Now()) {
			owned[a.Owner]++
		}
	}
	pg.Table = ui.Table{
		Caption: pg.T("axispage.systems.list"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("axispage.system.id")}, {Text: pg.T("axispage.system.agencies"), Numeric: true}, {Text: pg.T("axispage.system.hours"), Numeric: true}, {Text: pg.T("axispage.state")}, {Text: pg.T("axispage.changed")}},
		Empty:   &ui.Empty{Title: pg.T("axispage.systems.none"), Text: pg.T("axispage.systems.none_text")},
	}
	for _, s := range list {
		hours := strconv.Itoa(int(s.Window / time.Hour))
		if s.Unlimited {
			hours = "∞"
		}
		pg.Table.Rows = append(pg.Table.Rows, ui.Row{Cells: []ui.Cell{
			{Text: s.ID, Sub: s.Name, URL: systemURL(s.ID), Head: true}, {Text: strconv.Itoa(owned[s.Party()])}, {Text: hours}, {Tag: systemTag(pg.Page, s)}, {Text: i18n.DateTime(s.Changed)},
		}})
	}
	if secret != "" {
		f = systemForm{hours: "24"}
	}
	pg.Form = f.fields(pg.Page, problems)
	pg.Create = ui.Button{Text: pg.T("axispage.systems.create")}
	w.Header().Set("Cache-Control", "no-store")
	return p.templates.Render(w, r, status, "systems", pg)
}

func systemURL(id string) string { return systemsPath + "/" + url.PathEscape(id) }

func systemTag(pg ui.Page, s axis.System) *ui.Tag {
	if s.Suspended {
		return &ui.Tag{Text: pg.T("axispage.system.suspended"), Tone: ui.Late}
	}
	return &ui.Tag{Text: pg.T("axispage.system.active"), Tone: ui.Done}
}

// maxForm bounds the forms of these pages.
const maxForm = 32 << 10

// fieldOf says which field a refusal of the axis is about.
var fieldOf = map[string]string{
	"axis.system_id_invalid": "id", "axis.system_known": "id", "axis.window_invalid": "hours", "axis.window_needs_addresses": "addresses", "axis.addresses_invalid": "addresses",
	"axis.code_missing": "code", "axis.code_invalid": "code", "axis.code_taken": "code", "axis.contact_invalid": "mail", "axis.owner_invalid": "owner",
	"axis.act_missing": "act", "axis.successor_itself": "successors", "axis.agency_unknown": "successors", "axis.agency_changed": "name", "axis.name_invalid": "name",
}

// problemsOf turns a refusal about a field into a problem of the form; others are errors of the page.
func problemsOf(err error) ui.Problems {
	key, args := errs.KeyOf(err)
	field, ok := fieldOf[key]
	if !ok || !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.NotFound) {
		return nil
	}
	return ui.Problems{{Field: field, Key: key, Args: args}}
}

func (p *Pages) systemCreate(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	f := readSystemForm(form)
	in, problems := f.validate()
	if len(problems) > 0 {
		return p.renderSystems(w, r, http.StatusUnprocessableEntity, "", f, problems)
	}
	secret, err := p.Hub.AddSystem(r.Context(), actor(r), in)
	if problems := problemsOf(err); problems != nil {
		return p.renderSystems(w, r, http.StatusUnprocessableEntity, "", f, problems)
	}
	if err != nil {
		return err
	}
	return p.renderSystems(w, r, http.StatusOK, secret, f, nil)
}

type systemPage struct {
	ui.Page
	ID               string
	State            *ui.Tag
	OldUntil         string
	Form             systemFields
	Save, New, Shut  ui.Button
	Overlap          ui.Select
	Secret, SecretOf string
	Agencies         ui.Table
}

func (p *Pages) find(r *http.Request) (axis.System, error) {
	list, err := p.Hub.Systems(r.Context())
	if err != nil {
		return axis.System{}, err
	}
	for _, s := range list {
		if s.ID == r.PathValue("id") {
			return s, nil
		}
	}
	return axis.System{}, errs.E(errs.NotFound, "axispage.system.unknown", nil)
}

func (p *Pages) system(w http.ResponseWriter, r *http.Request) error {
	s, err := p.find(r)
	if err != nil {
		return err
	}
	return p.renderSystem(w, r, http.StatusOK, s, "", formOfSystem(s), nil)
}

func (p *Pages) renderSystem(w http.ResponseWriter, r *http.Request, status int, s axis.System, secret string, f systemForm, problems ui.Problems) error {
	pg := systemPage{Page: page(r, "axispage.system.title"), ID: s.ID, Secret: secret, SecretOf: s.ID}
	pg.Back, pg.Problems = systemsPath, problems
	pg.State = systemTag(pg.Page, s)
	if p.Now().Before(s.OldUntil) {
		pg.OldUntil = i18n.DateTime(s.OldUntil)
	}
	pg.Form = f.fields(pg.Page, problems)
	pg.Form.ID.ReadOnly = true
	pg.Save = ui.Button{Text: pg.T("axispage.save")}
	pg.New = ui.Button{Text: pg.T("axispage.system.new_secret"), Kind: "secondary"}
	pg.Overlap = ui.Select{Name: "overlap", Label: pg.T("axispage.system.overlap"), Hint: pg.T("axispage.system.overlap_hint"), Value: "24", Options: []ui.Option{
		{Value: "0", Label: pg.T("axispage.system.overlap_0")}, {Value: "24", Label: pg.T("axispage.system.overlap_24")}, {Value: "168", Label: pg.T("axispage.system.overlap_168")},
	}}
	pg.Shut = ui.Button{Text: pg.T("axispage.system.suspend"), Kind: "secondary", Name: "suspended", Value: "1"}
	if s.Suspended {
		pg.Shut = ui.Button{Text: pg.T("axispage.system.resume"), Kind: "secondary", Name: "suspended", Value: "0"}
	}
	all, err := p.Hub.Agencies(r.Context())
	if err != nil {
		return err
	}
	var own []axis.Agency
	for _, a := range all {
		if a.Owner == s.Party() {
			own = append(own, a)
		}
	}
	pg.Agencies = p.agencyTable(pg.Page, own)
	w.Header().Set("Cache-Control", "no-store")
	return p.templates.Render(w, r, status, "system", pg)
}

func (p *Pages) systemChange(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	s, err := p.find(r)
	if err != nil {
		return err
	}
	f := readSystemForm(form)
	f.id = s.ID
	in, problems := f.validate()
	if len(problems) > 0 {
		return p.renderSystem(w, r, http.StatusUnprocessableEntity, s, "", f, problems)
	}
	err = p.Hub.ChangeSystem(r.Context(), actor(r), in)
	if problems := problemsOf(err); problems != nil {
		return p.renderSystem(w, r, http.StatusUnprocessableEntity, s, "", f, problems)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "axispage.saved")
	return web.SeeOther(w, r, systemURL(s.ID))
}

func (p *Pages) systemSecret(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	s, err := p.find(r)
	if err != nil {
		return err
	}
	hours, err := strconv.Atoi(form.Get("overlap"))
	if err != nil || hours < 0 || hours > 30*24 {
		return errs.E(errs.Invalid, "axispage.system.hours_wrong", err)
	}
	secret, err := p.Hub.RotateSecret(r.Context(), actor(r), s.ID, time.Duration(hours)*time.Hour)
	if err != nil {
		return err
	}
	if s, err = p.find(r); err != nil {
		return err
	}
	return p.renderSystem(w, r, http.StatusOK, s, secret, formOfSystem(s), nil)
}

func (p *Pages) systemSuspend(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	s, err := p.find(r)
	if err != nil {
		return err
	}
	if err := p.Hub.SuspendSystem(r.Context(), actor(r), s.ID, form.Get("suspended") == "1"); err != nil {
		return err
	}
	ui.Flash(w, "axispage.saved")
	return web.SeeOther(w, r, systemURL(s.ID))
}
