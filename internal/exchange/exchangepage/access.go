package exchangepage

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/access"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// AccessPages show and change access rules and local groups. The acts, and what is recorded of them, are [access.Service]'s.
type AccessPages struct {
	Access   *access.Service
	Renderer *ui.Renderer

	templates *ui.Templates
}

const (
	rulesPath  = "/exchange/admin/rules"
	groupsPath = "/exchange/admin/groups"
)

// Mount adds the routes, all for administrators.
func (p *AccessPages) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	m.HandleFor("GET "+rulesPath, p.rules, "listRules")
	m.HandleFor("POST "+rulesPath, p.ruleAdd, "addRule")
	m.HandleFor("POST "+rulesPath+"/remove", p.ruleRemove, "removeRule")
	m.HandleFor("GET "+groupsPath, p.groups, "listGroups")
	m.HandleFor("POST "+groupsPath, p.groupSave, "saveGroup")
	m.HandleFor("POST "+groupsPath+"/remove", p.groupRemove, "removeGroup")
	return nil
}

type accessRow struct {
	Title, Hint, Text string
	Edit              *ui.Action
	Remove            *ui.Button
}

type rulesPage struct {
	ui.Page
	Rules                                            []accessRow
	None                                             ui.Empty
	Consumer, Service, Methods, Path, Purpose, Basis ui.Input
	Add                                              ui.Button
}

func (p *AccessPages) rules(w http.ResponseWriter, r *http.Request) error {
	return p.renderRules(w, r, http.StatusOK, nil, nil)
}

func (p *AccessPages) renderRules(w http.ResponseWriter, r *http.Request, status int, form url.Values, problems ui.Problems) error {
	pg := rulesPage{Page: page(r, "exchange.access.title")}
	pg.Back, pg.Problems = "/exchange/admin/services", problems
	list, err := p.Access.Rules(r.Context())
	if err != nil {
		return err
	}
	for _, x := range list {
		methods, path := strings.Join(x.Methods, " "), x.Path
		if methods == "" {
			methods = "*"
		}
		if path == "" {
			path = "**"
		}
		row := accessRow{Title: x.Consumer + " → " + x.Service, Text: methods + " " + path}
		hint := []string{pg.T("exchange.access.origin." + string(x.Origin)), strings.Join(x.Activities, " "), x.Basis, x.CreatedBy}
		for _, h := range hint {
			if h != "" && row.Hint != "" {
				row.Hint += " · "
			}
			row.Hint += h
		}
		if x.Origin == access.Managed {
			row.Remove = &ui.Button{Text: pg.T("exchange.publish.remove"), Kind: "secondary", Name: "id", Value: x.ID}
		}
		pg.Rules = append(pg.Rules, row)
	}
	pg.None = ui.Empty{Title: pg.T("exchange.services.no_rules"), Text: pg.T("exchange.services.no_rules_text")}
	input := func(name, label, hint string, optional bool) ui.Input {
		i := ui.Input{Name: name, Label: pg.T(label), Value: form.Get(name), Optional: optional, Error: problems.For(name)}
		if hint != "" {
			i.Hint = pg.T(hint)
		}
		return i
	}
	pg.Consumer = input("consumer", "exchange.client", "exchange.access.consumer_hint", false)
	pg.Service = input("service", "exchange.service", "exchange.access.service_hint", false)
	pg.Methods = input("methods", "exchange.access.methods", "exchange.access.methods_hint", true)
	pg.Path = input("path", "exchange.access.path", "exchange.access.path_hint", true)
	pg.Purpose = input("activities", "exchange.purpose", "exchange.publish.activities_hint", true)
	pg.Basis = input("basis", "exchange.services.basis", "", true)
	pg.Add = ui.Button{Text: pg.T("exchange.access.add")}
	return p.templates.Render(w, r, status, "rules", pg)
}

// accessProblems tells the faults of a form apart from errors.
func accessProblems(err error) (ui.Problems, bool) {
	var problems ui.Problems
	var faults access.Faults
	if !errors.As(err, &faults) {
		return nil, false
	}
	for _, f := range faults {
		problems.Add(f.Field, f.Key)
	}
	return problems, true
}

func (p *AccessPages) ruleAdd(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 16<<10)
	if err != nil {
		return err
	}
	_, err = p.Access.AddRule(r.Context(), exchange.Rule{
		Consumer: form.Get("consumer"), Service: form.Get("service"), Methods: strings.Fields(strings.ToUpper(form.Get("methods"))), Path: form.Get("path"),
		Activities: strings.Fields(form.Get("activities")), Basis: form.Get("basis"),
	})
	if problems, ok := accessProblems(err); ok {
		return p.renderRules(w, r, http.StatusUnprocessableEntity, form, problems)
	}
	if key, _ := errs.KeyOf(err); key == "exchange.access.rule_taken" || key == "exchange.access.too_many" {
		var problems ui.Problems
		problems.Add("consumer", key)
		return p.renderRules(w, r, http.StatusUnprocessableEntity, form, problems)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "exchange.access.added")
	return web.SeeOther(w, r, rulesPath)
}

func (p *AccessPages) ruleRemove(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	if err := p.Access.RemoveRule(r.Context(), form.Get("id")); err != nil {
		return err
	}
	ui.Flash(w, "exchange.access.removed")
	return web.SeeOther(w, r, rulesPath)
}

type groupsPage struct {
	ui.Page
	Groups     []accessRow
	None       ui.Empty
	Code, Name ui.Input
	Members    ui.Textarea
	Save       ui.Button
}

// groups lists the groups; with ?edit= the form holds one of them.
func (p *AccessPages) groups(w http.ResponseWriter, r *http.Request) error {
	form := url.Values{}
	if code := r.URL.Query().Get("edit"); code != "" {
		list, err := p.Access.Groups(r.Context())
		if err != nil {
			return err
		}
		for _, g := range list {
			if g.Code == code {
				form = url.Values{"code": {g.Code}, "name": {g.Name}, "members": {strings.Join(g.Members, "\n")}}
			}
		}
	}
	return p.renderGroups(w, r, http.StatusOK, form, nil)
}

func (p *AccessPages) renderGroups(w http.ResponseWriter, r *http.Request, status int, form url.Values, problems ui.Problems) error {
	pg := groupsPage{Page: page(r, "exchange.access.groups")}
	pg.Back, pg.Problems = rulesPath, problems
	list, err := p.Access.Groups(r.Context())
	if err != nil {
		return err
	}
	for _, g := range list {
		pg.Groups = append(pg.Groups, accessRow{
			Title: exchange.LocalGroup + g.Code, Text: g.Name, Hint: strings.Join(g.Members, " · "),
			Edit:   &ui.Action{Text: pg.T("exchange.access.edit"), URL: groupsPath + "?edit=" + url.QueryEscape(g.Code)},
			Remove: &ui.Button{Text: pg.T("exchange.publish.remove"), Kind: "secondary", Name: "code", Value: g.Code},
		})
	}
	pg.None = ui.Empty{Title: pg.T("exchange.access.no_groups"), Text: pg.T("exchange.access.no_groups_text")}
	pg.Code = ui.Input{Name: "code", Label: pg.T("exchange.access.code"), Hint: pg.T("exchange.access.code_hint"), Value: form.Get("code"), Error: problems.For("code")}
	pg.Name = ui.Input{Name: "name", Label: pg.T("exchange.access.name"), Value: form.Get("name"), Error: problems.For("name")}
	pg.Members = ui.Textarea{Name: "members", Label: pg.T("exchange.access.members"), Hint: pg.T("exchange.access.members_hint"), Value: form.Get("members"), Optional: true, Error: problems.For("members")}
	pg.Save = ui.Button{Text: pg.T("exchange.access.save")}
	return p.templates.Render(w, r, status, "groups", pg)
}

func (p *AccessPages) groupSave(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 512<<10)
	if err != nil {
		return err
	}
	err = p.Access.SaveGroup(r.Context(), access.Group{Code: form.Get("code"), Name: form.Get("name"), Members: strings.Fields(form.Get("members"))})
	if problems, ok := accessProblems(err); ok {
		return p.renderGroups(w, r, http.StatusUnprocessableEntity, form, problems)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "exchange.access.saved")
	return web.SeeOther(w, r, groupsPath)
}

func (p *AccessPages) groupRemove(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	err = p.Access.RemoveGroup(r.Context(), form.Get("code"))
	if key, _ := errs.KeyOf(err); key == "exchange.access.group_used" {
		var problems ui.Problems
		problems.Add("code", key)
		return p.renderGroups(w, r, http.StatusUnprocessableEntity, nil, problems)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "exchange.access.group_removed")
	return web.SeeOther(w, r, groupsPath)
}
