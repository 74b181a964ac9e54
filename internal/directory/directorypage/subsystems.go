package directorypage

import (
	"net/http"
	"net/url"
	"slices"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type subsystemsPage struct {
	ui.Page
	Subsystems ui.Table
	// Edit is the form of one subsystem; ID is empty while none is chosen.
	ID             string
	NameVI, NameEN ui.Input
	State          ui.Radios
	Save           ui.Button
}

func (p *Pages) subsystems(w http.ResponseWriter, r *http.Request) error {
	return p.renderSubsystems(w, r, http.StatusOK, web.Query(r).Get("id"), nil, nil)
}

// renderSubsystems lists all and shows the form of one; form holds what was refused, nil shows what is registered.
func (p *Pages) renderSubsystems(w http.ResponseWriter, r *http.Request, status int, id string, form map[string]string, problems ui.Problems) error {
	s, err := p.Center.State(r.Context())
	if err != nil {
		return err
	}
	list := s.KnownSubsystems()
	pg := subsystemsPage{Page: p.page(r, "directory.subsystems.title")}
	pg.Back, pg.Problems = pg.BackTo("/directory/admin"), problems
	pg.Subsystems = ui.Table{
		Caption: pg.T("directory.subsystems"),
		Columns: []ui.Column{{Text: pg.T("directory.subsystems.one")}, {Text: pg.T("directory.subsystems.name")}, {Text: pg.T("directory.state")}},
		Empty:   &ui.Empty{Title: pg.T("directory.subsystems.none"), Text: pg.T("directory.subsystems.none_text")},
	}
	for _, x := range list {
		tag := &ui.Tag{Text: pg.T("directory.standing." + string(x.State)), Tone: ui.Done}
		if x.State == directory.Disabled {
			tag.Tone = ui.Soon
		}
		edit := ""
		if pg.May("setSubsystem") {
			edit = "/directory/admin/subsystems?id=" + url.QueryEscape(x.ID)
		}
		pg.Subsystems.Rows = append(pg.Subsystems.Rows, ui.Row{Cells: []ui.Cell{
			{Text: x.ID, URL: edit, Head: true}, {Text: orID(x.Name.In(pg.Lang), "–")}, {Tag: tag},
		}})
	}
	if id == "" {
		return p.templates.Render(w, r, status, "subsystems", pg)
	}
	i := slices.IndexFunc(list, func(x directory.Subsystem) bool { return x.ID == id })
	if i < 0 {
		return errs.E(errs.NotFound, "directory.subsystem_unknown", nil)
	}
	if form == nil {
		form = map[string]string{"name_vi": list[i].Name["vi"], "name_en": list[i].Name["en"], "state": string(list[i].State)}
	}
	pg.ID = id
	pg.NameVI = ui.Input{Name: "name_vi", Label: pg.T("directory.name_vi"), Hint: pg.T("directory.subsystems.name_hint"), Value: form["name_vi"], Error: problems.For("name_vi")}
	pg.NameEN = ui.Input{Name: "name_en", Label: pg.T("directory.name_en"), Value: form["name_en"], Error: problems.For("name_en")}
	pg.State = ui.Radios{Name: "state", Legend: pg.T("directory.state"), Value: form["state"], Error: problems.For("state"), Options: []ui.Option{
		{Value: string(directory.Registered), Label: pg.T("directory.subsystems.in_use")},
		{Value: string(directory.Disabled), Label: pg.T("directory.standing.disabled"), Hint: pg.T("directory.subsystems.disabled_hint")},
	}}
	pg.Save = ui.Button{Text: pg.T("directory.subsystems.save")}
	return p.templates.Render(w, r, status, "subsystems", pg)
}

func (p *Pages) subsystemSave(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	var problems ui.Problems
	if form["name_vi"] == "" {
		problems.Add("name_vi", "directory.subsystems.name_missing")
	}
	for _, name := range []string{"name_vi", "name_en"} {
		if len([]rune(form[name])) > 200 {
			problems.Add(name, "directory.subsystems.name_long")
		}
	}
	if st := directory.Standing(form["state"]); st != directory.Registered && st != directory.Disabled {
		problems.Add("state", "directory.subsystems.state_missing")
	}
	if len(problems) > 0 {
		return p.renderSubsystems(w, r, http.StatusUnprocessableEntity, form["id"], form, problems)
	}
	err = p.Center.SetSubsystem(r.Context(), actor(r), directory.Subsystem{
		ID: form["id"], Name: i18n.Text{"vi": form["name_vi"], "en": form["name_en"]}, State: directory.Standing(form["state"]),
	})
	if err != nil {
		return err
	}
	ui.Flash(w, "directory.subsystems.saved")
	return web.SeeOther(w, r, "/directory/admin/subsystems")
}
