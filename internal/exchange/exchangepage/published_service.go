package exchangepage

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"truc/internal/exchange/publication"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// publishedServicePage is one published service with all that can be done to it.
type publishedServicePage struct {
	ui.Page
	Action   string
	State    ui.SummaryList
	Disabled *ui.Notice
	Declared *ui.Inset
	Steps    *ui.Table
	Test     ui.Button

	Endpoints []publishedRow
	Method    ui.Select
	Path      ui.Input
	Add       ui.Button

	Rights     []publishedRow
	NoRights   ui.Empty
	Consumer   ui.Input
	Endpoint   ui.Select
	Activities ui.Input
	Basis      ui.Input
	Grant      ui.Button

	Notice          ui.Input
	Disable, Enable *ui.Button

	Ended   *ui.Notice
	LastDay ui.Input
	SetEnd  ui.Button

	File    ui.File
	Address ui.Input
	Refresh ui.Button

	Form *parameterForm
	Save ui.Button

	Sure   ui.Checkboxes
	Delete ui.Button
}

// publishedRow is an endpoint or a right with what removes it.
type publishedRow struct {
	Title, Hint string
	Remove      *ui.Button
}

// entered is what a form of the page held when it was not accepted.
type entered struct {
	act      string
	form     url.Values
	problems ui.Problems
	steps    []publication.Step
}

func codeOf(r *http.Request) string { return r.PathValue("subsystem") + "/" + r.PathValue("service") }

func (p *PublishedPages) show(w http.ResponseWriter, r *http.Request) error {
	return p.renderService(w, r, http.StatusOK, entered{})
}

func (p *PublishedPages) renderService(w http.ResponseWriter, r *http.Request, status int, in entered) error {
	s, err := p.Service.Get(r.Context(), codeOf(r))
	if err != nil {
		return err
	}
	pg := publishedServicePage{Page: page(r, ""), Action: servicePath(s.Code)}
	pg.Title, pg.Back, pg.Problems = s.Name.In(pg.Lang), publishedPath, in.problems
	of := func(act, field string) string {
		if in.act != act {
			return ""
		}
		return in.form.Get(field)
	}
	pg.State = ui.SummaryList{Rows: []ui.SummaryRow{
		{Key: pg.T("exchange.publish.code"), Value: s.Code},
		{Key: pg.T("exchange.services.kind"), Value: s.Kind},
		{Key: pg.T("exchange.publish.backend"), Value: s.Backend.URL},
		{Key: pg.T("exchange.services.personal"), Value: pg.T(map[bool]string{true: "exchange.services.purpose_needed", false: "exchange.no"}[s.Personal])},
	}}
	if s.Source != "" {
		pg.State.Rows = append(pg.State.Rows, ui.SummaryRow{Key: pg.T("exchange.publish.address"), Value: s.Source})
	}
	if s.Declared {
		pg.Declared = &ui.Inset{Text: pg.T("exchange.publish.declared")}
	}
	pg.Test = ui.Button{Text: pg.T("exchange.publish.test_run"), Kind: "secondary"}
	pg.Steps = stepTable(pg.Page, in.steps)
	p.fillEndpoints(&pg, s, in, of)
	p.fillRights(&pg, s, in, of)
	if s.Disabled {
		pg.Disabled = &ui.Notice{Title: pg.T("exchange.publish.is_off"), Text: s.Notice, Tone: ui.Soon}
		pg.Enable = &ui.Button{Text: pg.T("exchange.publish.enable")}
	} else {
		pg.Notice = ui.Input{Name: "notice", Label: pg.T("exchange.publish.notice"), Hint: pg.T("exchange.publish.notice_hint"), Value: of("disable", "notice"), Error: in.problems.For("notice")}
		pg.Disable = &ui.Button{Text: pg.T("exchange.publish.disable"), Kind: "secondary"}
	}
	endFields(&pg, s, p.Service.Now(), in)
	if !s.Declared {
		pg.File, pg.Address, pg.Refresh = uploadFields(pg.Page, s.Source, in.problems)
		values := valuesOf(s)
		if in.act == "edit" {
			values = in.form
		}
		pg.Form, pg.Save = p.newForm(pg.Page, values, in.problems, false), ui.Button{Text: pg.T("exchange.publish.save")}
		pg.Sure = ui.Checkboxes{Name: "sure", Legend: pg.T("exchange.publish.sure"), NoLegend: true, Options: []ui.Option{{Value: "1", Label: pg.T("exchange.publish.sure")}}, Error: in.problems.For("sure")}
		pg.Delete = ui.Button{Text: pg.T("exchange.publish.delete"), Kind: "danger"}
	}
	return p.templates.Render(w, r, status, "publish_service", pg)
}

// valuesOf writes the parameters of a service into a form.
func valuesOf(s *publication.Published) url.Values {
	v := url.Values{
		"name_vi": {s.Name["vi"]}, "name_en": {s.Name["en"]}, "about_vi": {s.About["vi"]}, "bodies": {s.Bodies}, "backend": {s.Backend.URL}, "ca": {s.Backend.CA},
		"server_name": {s.Backend.ServerName}, "timeout": {strconv.Itoa(int(s.Backend.Timeout.Seconds()))}, "connect": {strconv.Itoa(int(s.Backend.Connect.Seconds()))},
	}
	for name, on := range map[string]bool{"personal": s.Personal, "public": s.Public} {
		if on {
			v.Add("flags", name)
		}
	}
	for name, on := range map[string]bool{"client": s.Backend.ClientCert, "plain": s.Backend.PlainHTTP} {
		if on {
			v.Add("tls", name)
		}
	}
	return v
}

func stepTable(pg ui.Page, steps []publication.Step) *ui.Table {
	if steps == nil {
		return nil
	}
	t := &ui.Table{
		Caption: pg.T("exchange.test.result"),
		Columns: []ui.Column{{Text: pg.T("exchange.test.step")}, {Text: pg.T("exchange.outcome")}, {Text: pg.T("exchange.test.found")}},
	}
	for _, s := range steps {
		tag := &ui.Tag{Text: pg.T("exchange.test.ok"), Tone: ui.Done}
		if !s.OK {
			tag = &ui.Tag{Text: pg.T("exchange.test.failed"), Tone: ui.Late}
		}
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: pg.T("exchange.publish.step." + s.Name), Head: true}, {Tag: tag}, {Text: pg.T(s.Key, s.Args...), Sub: strconv.FormatInt(s.Took.Milliseconds(), 10) + " ms"}}})
	}
	return t
}

func (p *PublishedPages) fillEndpoints(pg *publishedServicePage, s *publication.Published, in entered, of func(act, field string) string) {
	for _, e := range s.Endpoints {
		row := publishedRow{Title: e.Method + " " + e.Path, Hint: pg.T("exchange.publish.from_document")}
		if e.Manual {
			row.Hint = pg.T("exchange.publish.by_hand")
			row.Remove = &ui.Button{Text: pg.T("exchange.publish.remove"), Kind: "secondary", Name: "endpoint", Value: e.Method + " " + e.Path}
		}
		pg.Endpoints = append(pg.Endpoints, row)
	}
	pg.Method = ui.Select{Name: "method", Label: pg.T("exchange.publish.method"), Value: of("endpoint", "method"), Error: in.problems.For("method")}
	for _, m := range []string{"*", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} {
		pg.Method.Options = append(pg.Method.Options, ui.Option{Value: m, Label: m})
	}
	pg.Path = ui.Input{Name: "path", Label: pg.T("exchange.publish.path"), Hint: pg.T("exchange.publish.path_hint"), Value: of("endpoint", "path"), Error: in.problems.For("path")}
	pg.Add = ui.Button{Text: pg.T("exchange.publish.endpoint_add"), Kind: "secondary"}
}

func (p *PublishedPages) fillRights(pg *publishedServicePage, s *publication.Published, in entered, of func(act, field string) string) {
	pg.NoRights = ui.Empty{Title: pg.T("exchange.services.no_rules"), Text: pg.T("exchange.services.no_rules_text")}
	for _, x := range s.Rights {
		hint := strings.Join(slices.DeleteFunc([]string{x.Method + " " + x.Path, strings.Join(x.Activities, " "), x.Basis}, func(s string) bool { return s == "" }), " · ")
		pg.Rights = append(pg.Rights, publishedRow{
			Title: x.Consumer, Hint: hint, Remove: &ui.Button{Text: pg.T("exchange.publish.remove"), Kind: "secondary", Name: "right", Value: x.Consumer + " " + x.Method + " " + x.Path},
		})
	}
	for _, x := range p.Rules() {
		method := cmp.Or(strings.Join(x.Methods, " "), "*")
		if !strings.HasSuffix("/"+x.Service, "/"+s.Code) || slices.ContainsFunc(s.Rights, func(r publication.Right) bool {
			return r.Consumer == x.Consumer && r.Method == method && r.Path == x.Path
		}) {
			continue
		}
		hint := []string{method + " " + cmp.Or(x.Path, "**"), strings.Join(x.Activities, " "), x.Basis, pg.T("exchange.publish.by_configuration")}
		pg.Rights = append(pg.Rights, publishedRow{Title: x.Consumer, Hint: strings.Join(slices.DeleteFunc(hint, func(s string) bool { return s == "" }), " · ")})
	}
	pg.Consumer = ui.Input{Name: "consumer", Label: pg.T("exchange.client"), Hint: pg.T("exchange.publish.consumer_hint"), Value: of("right", "consumer"), Error: in.problems.For("consumer")}
	pg.Endpoint = ui.Select{Name: "endpoint", Label: pg.T("exchange.publish.endpoint"), Value: of("right", "endpoint"), Error: in.problems.For("endpoint")}
	pg.Endpoint.Options = []ui.Option{{Value: "* **", Label: pg.T("exchange.publish.whole_service")}}
	for _, e := range s.Endpoints {
		pg.Endpoint.Options = append(pg.Endpoint.Options, ui.Option{Value: e.Method + " " + e.Path, Label: e.Method + " " + e.Path})
	}
	pg.Activities = ui.Input{Name: "activities", Label: pg.T("exchange.purpose"), Hint: pg.T("exchange.publish.activities_hint"), Optional: true, Value: of("right", "activities"), Error: in.problems.For("activities")}
	pg.Basis = ui.Input{Name: "basis", Label: pg.T("exchange.services.basis"), Optional: true, Value: of("right", "basis"), Error: in.problems.For("basis")}
	pg.Grant = ui.Button{Text: pg.T("exchange.publish.right_add"), Kind: "secondary"}
}

// act reads a form, does what it says, and leads back to the service with a word, or shows what is wrong.
func (p *PublishedPages) act(w http.ResponseWriter, r *http.Request, name, done, leadsTo string, do func(form url.Values) error) error {
	form, err := web.ReadForm(w, r, 512<<10)
	if err != nil {
		return err
	}
	problems, err := problemsOf(do(form))
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return p.renderService(w, r, http.StatusUnprocessableEntity, entered{act: name, form: form, problems: problems})
	}
	ui.Flash(w, done)
	return web.SeeOther(w, r, leadsTo)
}

func (p *PublishedPages) edit(w http.ResponseWriter, r *http.Request) error {
	code := codeOf(r)
	return p.act(w, r, "edit", "exchange.publish.saved", servicePath(code), func(form url.Values) error {
		s := readParameters(form)
		return p.Service.Edit(r.Context(), code, publication.Parameters{
			Name: s.Name, About: s.About, Personal: s.Personal, Public: s.Public, Bodies: s.Bodies, Backend: s.Backend, SameHost: slices.Contains(form["tls"], "all"),
		})
	})
}

func (p *PublishedPages) disable(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "disable", "exchange.publish.disabled", servicePath(codeOf(r)), func(form url.Values) error {
		return p.Service.Disable(r.Context(), codeOf(r), form.Get("notice"))
	})
}

func (p *PublishedPages) enable(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "enable", "exchange.publish.enabled", servicePath(codeOf(r)), func(url.Values) error { return p.Service.Enable(r.Context(), codeOf(r)) })
}

func (p *PublishedPages) remove(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "delete", "exchange.publish.deleted", publishedPath, func(form url.Values) error {
		if form.Get("sure") == "" {
			return publication.Faults{{Field: "sure", Key: "exchange.publish.sure_missing"}}
		}
		return p.Service.Delete(r.Context(), codeOf(r))
	})
}

func (p *PublishedPages) endpointAdd(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "endpoint", "exchange.publish.saved", servicePath(codeOf(r)), func(form url.Values) error {
		return p.Service.AddEndpoint(r.Context(), codeOf(r), form.Get("method"), form.Get("path"))
	})
}

func (p *PublishedPages) endpointDelete(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "", "exchange.publish.saved", servicePath(codeOf(r)), func(form url.Values) error {
		method, path, _ := strings.Cut(form.Get("endpoint"), " ")
		return p.Service.DeleteEndpoint(r.Context(), codeOf(r), method, path)
	})
}

func (p *PublishedPages) rightAdd(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "right", "exchange.publish.saved", servicePath(codeOf(r)), func(form url.Values) error {
		method, path, _ := strings.Cut(form.Get("endpoint"), " ")
		return p.Service.Grant(r.Context(), codeOf(r), publication.Right{
			Consumer: form.Get("consumer"), Method: method, Path: path, Activities: strings.Fields(form.Get("activities")), Basis: form.Get("basis"),
		})
	})
}

func (p *PublishedPages) rightDelete(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "", "exchange.publish.saved", servicePath(codeOf(r)), func(form url.Values) error {
		parts := strings.SplitN(form.Get("right"), " ", 3)
		for len(parts) < 3 {
			parts = append(parts, "")
		}
		return p.Service.Withdraw(r.Context(), codeOf(r), parts[0], parts[1], parts[2])
	})
}

func (p *PublishedPages) test(w http.ResponseWriter, r *http.Request) error {
	steps, err := p.Service.TestBackend(r.Context(), codeOf(r))
	if err != nil {
		return err
	}
	return p.renderService(w, r, http.StatusOK, entered{steps: steps})
}

func (p *PublishedPages) refresh(w http.ResponseWriter, r *http.Request) error {
	d, _, problems, err := p.readDescription(w, r, codeOf(r))
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return p.renderService(w, r, http.StatusUnprocessableEntity, entered{act: "refresh", problems: problems})
	}
	return web.SeeOther(w, r, draftPath+d.ID)
}
