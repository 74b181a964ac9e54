package exchangepage

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/openapi"
	"truc/internal/exchange/publication"
	"truc/internal/i18n"
	"truc/internal/pki"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// PublishedPages publish services of the agency's own systems. They only read forms and show: the acts, and what is
// recorded of them, are [publication.Service]'s.
type PublishedPages struct {
	Service *publication.Service
	// Subsystems are those this node hosts, in full.
	Subsystems []string
	// Rules are all access rules in force: those of the configuration let others call a published service too.
	Rules    func() []exchange.Rule
	Renderer *ui.Renderer

	templates *ui.Templates
}

const (
	publishedPath = "/exchange/admin/published"
	draftPath     = "/exchange/admin/publication-drafts/"
	// maxDescriptionForm is a description with the rest of its form.
	maxDescriptionForm = openapi.MaxSize + 64<<10
)

// Mount adds the routes, all for administrators.
func (p *PublishedPages) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	m.HandleFor("GET "+publishedPath, p.list, "listPublications")
	m.HandleFor("GET "+publishedPath+"/certificate", p.certificate, "listPublications")
	m.HandleFor("GET "+publishedPath+"/new", p.add, "publishService")
	m.HandleFor("POST "+publishedPath+"/new", p.upload, "publishService")
	m.HandleFor("GET "+publishedPath+"/rest", p.rest, "publishService")
	m.HandleFor("POST "+publishedPath+"/rest", p.restPublish, "publishService")
	m.HandleFor("GET "+draftPath+"{id}", p.draft, "publishService")
	m.HandleFor("POST "+draftPath+"{id}", p.confirm, "publishService")
	m.HandleFor("POST "+draftPath+"{id}/discard", p.discard, "publishService")
	m.HandleFor("GET "+publishedPath+"/{subsystem}/{service}", p.show, "getPublication")
	for _, act := range []struct {
		name      string
		handler   web.HandlerFunc
		operation string
	}{
		{"edit", p.edit, "editPublication"},
		{"disable", p.disable, "disablePublication"},
		{"enable", p.enable, "enablePublication"},
		{"delete", p.remove, "deletePublication"},
		{"end", p.end, "endPublication"},
		{"endpoint", p.endpointAdd, "addPublicationEndpoint"},
		{"endpoint-delete", p.endpointDelete, "removePublicationEndpoint"},
		{"right", p.rightAdd, "addPublicationRight"},
		{"right-delete", p.rightDelete, "removePublicationRight"},
		{"test", p.test, "testPublication"},
		{"refresh", p.refresh, "refreshPublication"},
	} {
		m.HandleFor("POST "+publishedPath+"/{subsystem}/{service}/"+act.name, act.handler, act.operation)
	}
	return nil
}

type publishedPage struct {
	ui.Page
	Services ui.Table
	Links    []ui.Action
}

func (p *PublishedPages) list(w http.ResponseWriter, r *http.Request) error {
	pg := publishedPage{Page: page(r, "exchange.publish.title")}
	pg.Back = "/exchange/admin/services"
	list, err := p.Service.List(r.Context())
	if err != nil {
		return err
	}
	empty := &ui.Empty{Title: pg.T("exchange.publish.none"), Text: pg.T("exchange.publish.none_text")}
	if pg.May("publishService") {
		empty.Action = &ui.Button{Text: pg.T("exchange.publish.new"), URL: publishedPath + "/new"}
		pg.Links = []ui.Action{
			{Text: pg.T("exchange.publish.new"), URL: publishedPath + "/new"},
			{Text: pg.T("exchange.publish.new_rest"), URL: publishedPath + "/rest"},
		}
	}
	pg.Links = append(pg.Links, ui.Action{Text: pg.T("exchange.publish.certificate"), URL: publishedPath + "/certificate"})
	pg.Services = ui.Table{
		Caption: pg.T("exchange.publish.title"), HideCaption: true,
		Columns: []ui.Column{{Text: pg.T("exchange.service")}, {Text: pg.T("exchange.services.kind")}, {Text: pg.T("exchange.publish.backend")}, {Text: pg.T("exchange.publish.state")}},
		Empty:   empty,
	}
	for _, s := range list {
		state, sub := &ui.Tag{Text: pg.T("exchange.publish.on"), Tone: ui.Done}, ""
		if s.Disabled {
			state, sub = &ui.Tag{Text: pg.T("exchange.publish.off"), Tone: ui.Soon}, s.Notice
		}
		if s.Ended(p.Service.Now()) {
			state, sub = &ui.Tag{Text: pg.T("exchange.publish.has_ended"), Tone: ui.Late}, ""
		}
		pg.Services.Rows = append(pg.Services.Rows, ui.Row{Cells: []ui.Cell{
			{Text: s.Name.In(pg.Lang), URL: servicePath(s.Code), Sub: s.Code, Head: true},
			{Text: s.Kind, Sub: pg.T("exchange.publish.endpoint_count", "count", len(s.Endpoints))},
			{Text: s.Backend.URL},
			{Tag: state, Sub: sub},
		}})
	}
	return p.templates.Render(w, r, http.StatusOK, "published", pg)
}

func servicePath(code string) string { return publishedPath + "/" + code }

// certificate hands out the certificate that the node shows to back ends, for their configuration.
func (p *PublishedPages) certificate(w http.ResponseWriter, _ *http.Request) error {
	c, err := p.Service.Identity()
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: "node-backend.pem", Type: "application/x-pem-file", Data: pki.EncodePEM(c.Leaf)})
}

type publishNewPage struct {
	ui.Page
	File    ui.File
	Address ui.Input
	Next    ui.Button
	Action  string
}

func (p *PublishedPages) add(w http.ResponseWriter, r *http.Request) error {
	return p.renderNew(w, r, http.StatusOK, "", nil)
}

func (p *PublishedPages) renderNew(w http.ResponseWriter, r *http.Request, status int, address string, problems ui.Problems) error {
	pg := publishNewPage{Page: page(r, "exchange.publish.new"), Action: publishedPath + "/new"}
	pg.Back, pg.Problems = publishedPath, problems
	pg.File, pg.Address, pg.Next = uploadFields(pg.Page, address, problems)
	return p.templates.Render(w, r, status, "publish_new", pg)
}

func uploadFields(pg ui.Page, address string, problems ui.Problems) (ui.File, ui.Input, ui.Button) {
	return ui.File{Name: "file", Label: pg.T("exchange.publish.file"), Accept: []string{"YAML", "YML", "JSON"}, MaxMB: openapi.MaxSize >> 20, Optional: true, Error: problems.For("file")},
		ui.Input{Name: "address", Label: pg.T("exchange.publish.address"), Hint: pg.T("exchange.publish.address_hint"), Value: address, Type: "url", Optional: true, Error: problems.For("address")},
		ui.Button{Text: pg.T("exchange.publish.preview")}
}

// readDescription reads a file or an address and keeps it as a draft. Problems are of the form.
func (p *PublishedPages) readDescription(w http.ResponseWriter, r *http.Request, code string) (*publication.Draft, string, ui.Problems, error) {
	form, uploads, err := web.ReadUpload(w, r, maxDescriptionForm)
	if err != nil {
		return nil, "", nil, err
	}
	var problems ui.Problems
	address, field := strings.TrimSpace(form.Get("address")), "address"
	var doc []byte
	for _, u := range uploads {
		if u.Field == "file" && len(u.Data) > 0 {
			doc, field, address = u.Data, "file", ""
		}
	}
	if doc == nil && address == "" {
		problems.Add("file", "exchange.publish.file_missing")
		return nil, address, problems, nil
	}
	d, err := p.Service.Propose(r.Context(), code, address, doc)
	if err != nil {
		if key, args := errs.KeyOf(err); strings.HasPrefix(key, "exchange.publish.document.") || strings.HasPrefix(key, "exchange.publish.fetch.") {
			problems.Add(field, key, args...)
			return nil, address, problems, nil
		}
	}
	return d, address, nil, err
}

func (p *PublishedPages) upload(w http.ResponseWriter, r *http.Request) error {
	d, address, problems, err := p.readDescription(w, r, "")
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return p.renderNew(w, r, http.StatusUnprocessableEntity, address, problems)
	}
	return web.SeeOther(w, r, draftPath+d.ID)
}

type publishDraftPage struct {
	ui.Page
	Description ui.SummaryList
	Remote      *ui.Notice
	Endpoints   ui.Table
	// Form is of a new service; Changes, Lost and Version are of a refresh.
	Form            *parameterForm
	Changes, Lost   ui.Table
	Version, Action string
	Confirm         ui.Button
	Discard         ui.Button
}

func (p *PublishedPages) draft(w http.ResponseWriter, r *http.Request) error {
	return p.renderDraft(w, r, http.StatusOK, nil, nil)
}

// renderDraft previews a description: for a new service with the form of its parameters, for a refresh with what changes.
func (p *PublishedPages) renderDraft(w http.ResponseWriter, r *http.Request, status int, form url.Values, problems ui.Problems) error {
	d, doc, err := p.Service.Draft(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	pg := publishDraftPage{Page: page(r, "exchange.publish.preview_title"), Action: draftPath + d.ID}
	pg.Back, pg.Problems = publishedPath, problems
	pg.Description = ui.SummaryList{Rows: []ui.SummaryRow{
		{Key: pg.T("exchange.publish.document_title"), Value: doc.Title + " " + doc.Release}, {Key: "OpenAPI", Value: doc.Version},
	}}
	if len(doc.Remote) > 0 {
		pg.Remote = &ui.Notice{Title: pg.T("exchange.publish.remote"), Lines: doc.Remote, Tone: ui.Soon}
	}
	pg.Endpoints = ui.Table{Caption: pg.T("exchange.publish.endpoints"), Columns: []ui.Column{{Text: pg.T("exchange.publish.method")}, {Text: pg.T("exchange.publish.path")}}}
	for _, e := range doc.Endpoints {
		pg.Endpoints.Rows = append(pg.Endpoints.Rows, ui.Row{Cells: []ui.Cell{{Text: e.Method}, {Text: e.Path, Head: true}}})
	}
	pg.Discard = ui.Button{Text: pg.T("exchange.publish.discard"), Kind: "secondary", FormAction: draftPath + d.ID + "/discard", NoValidate: true}
	if d.Code == "" {
		if form == nil {
			form = url.Values{"name_vi": {doc.Title}, "backend": {doc.Server}, "bodies": {"digest"}, "timeout": {"30"}, "connect": {"5"}}
		}
		pg.Form = p.newForm(pg.Page, form, problems, true)
		pg.Confirm = ui.Button{Text: pg.T("exchange.publish.publish")}
		return p.templates.Render(w, r, status, "publish_draft", pg)
	}
	pg.Title, pg.Back = pg.T("exchange.publish.refresh_title", "code", d.Code), servicePath(d.Code)
	s, err := p.Service.Get(r.Context(), d.Code)
	if err != nil {
		return err
	}
	changes, lost, err := p.Service.Compare(r.Context(), d)
	if err != nil {
		return err
	}
	pg.Version = strconv.FormatInt(s.Version, 10)
	pg.Changes, pg.Lost = changeTable(pg.Page, changes), rightTable(pg.Page, lost, pg.T("exchange.publish.lost_rights"))
	pg.Confirm = ui.Button{Text: pg.T("exchange.publish.refresh_confirm")}
	return p.templates.Render(w, r, status, "publish_draft", pg)
}

func changeTable(pg ui.Page, changes []openapi.Change) ui.Table {
	t := ui.Table{
		Caption: pg.T("exchange.publish.changes"), Columns: []ui.Column{{Text: pg.T("exchange.publish.where")}, {Text: pg.T("exchange.publish.what")}, {Text: pg.T("exchange.publish.effect")}},
		Empty: &ui.Empty{Title: pg.T("exchange.publish.no_changes")},
	}
	for _, c := range changes {
		row := ui.Row{Cells: []ui.Cell{{Text: c.Where, Head: true}, {Text: pg.T(c.Key, c.Args...)}, {Tag: &ui.Tag{Text: pg.T("exchange.publish.harmless"), Tone: ui.Done}}}}
		if c.Breaking {
			row.Tone, row.Cells[2].Tag = ui.Late, &ui.Tag{Text: pg.T("exchange.publish.breaking"), Tone: ui.Late}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func rightTable(pg ui.Page, rights []publication.Right, caption string) ui.Table {
	t := ui.Table{Caption: caption, Columns: []ui.Column{{Text: pg.T("exchange.client")}, {Text: pg.T("exchange.services.allowed")}, {Text: pg.T("exchange.services.basis")}}}
	for _, r := range rights {
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: r.Consumer, Head: true}, {Text: r.Method + " " + r.Path, Sub: strings.Join(r.Activities, " ")}, {Text: r.Basis}}})
	}
	return t
}

func (p *PublishedPages) confirm(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 512<<10)
	if err != nil {
		return err
	}
	d, _, err := p.Service.Draft(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if d.Code != "" {
		base, err := strconv.ParseInt(form.Get("version"), 10, 64)
		if err != nil {
			return errs.E(errs.Invalid, "exchange.publish.changed", err)
		}
		if err := p.Service.Refresh(r.Context(), d.Code, d.ID, base); err != nil {
			return err
		}
		ui.Flash(w, "exchange.publish.refreshed")
		return web.SeeOther(w, r, servicePath(d.Code))
	}
	s := readParameters(form)
	if problems, err := problemsOf(p.Service.Publish(r.Context(), s, d.ID)); err != nil {
		return err
	} else if len(problems) > 0 {
		return p.renderDraft(w, r, http.StatusUnprocessableEntity, form, problems)
	}
	ui.Flash(w, "exchange.publish.published")
	return web.SeeOther(w, r, servicePath(s.Code))
}

func (p *PublishedPages) discard(w http.ResponseWriter, r *http.Request) error {
	if err := p.Service.Discard(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return web.SeeOther(w, r, publishedPath)
}

type publishRestPage struct {
	ui.Page
	Form    *parameterForm
	Confirm ui.Button
}

func (p *PublishedPages) rest(w http.ResponseWriter, r *http.Request) error {
	return p.renderRest(w, r, http.StatusOK, url.Values{"bodies": {"digest"}, "timeout": {"30"}, "connect": {"5"}}, nil)
}

func (p *PublishedPages) renderRest(w http.ResponseWriter, r *http.Request, status int, form url.Values, problems ui.Problems) error {
	pg := publishRestPage{Page: page(r, "exchange.publish.new_rest")}
	pg.Back, pg.Problems = publishedPath, problems
	pg.Form, pg.Confirm = p.newForm(pg.Page, form, problems, true), ui.Button{Text: pg.T("exchange.publish.publish")}
	return p.templates.Render(w, r, status, "publish_rest", pg)
}

func (p *PublishedPages) restPublish(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 512<<10)
	if err != nil {
		return err
	}
	s := readParameters(form)
	if problems, err := problemsOf(p.Service.Publish(r.Context(), s, "")); err != nil {
		return err
	} else if len(problems) > 0 {
		return p.renderRest(w, r, http.StatusUnprocessableEntity, form, problems)
	}
	ui.Flash(w, "exchange.publish.published")
	return web.SeeOther(w, r, servicePath(s.Code))
}

// problemsOf turns what the service found wrong into problems of the form; other errors stay errors.
func problemsOf(err error) (ui.Problems, error) {
	faults, ok := errors.AsType[publication.Faults](err)
	if !ok {
		if key, args := errs.KeyOf(err); err != nil && key == "exchange.publish.fault.code_taken" {
			var out ui.Problems
			out.Add("code", key, args...)
			return out, nil
		}
		return nil, err
	}
	var out ui.Problems
	for _, f := range faults {
		out.Add(f.Field, f.Key, f.Args...)
	}
	return out, nil
}

// parameterForm is what is entered of a service, new or known.
type parameterForm struct {
	Code                              *ui.Input
	NameVI, NameEN                    ui.Input
	AboutVI                           ui.Textarea
	Flags, TLS                        ui.Checkboxes
	Bodies                            ui.Radios
	Backend, Timeout, Connect, Server ui.Input
	CA                                ui.Textarea
	PlainWarning                      *ui.Inset
}

func (p *PublishedPages) newForm(pg ui.Page, v url.Values, problems ui.Problems, isNew bool) *parameterForm {
	input := func(name, label, hint string) ui.Input {
		c := ui.Input{Name: name, Label: pg.T("exchange.publish." + label), Value: v.Get(name), Error: problems.For(name)}
		if hint != "" {
			c.Hint = pg.T("exchange.publish." + hint)
		}
		return c
	}
	f := &parameterForm{
		NameVI: input("name_vi", "name_vi", ""), NameEN: input("name_en", "name_en", ""), Backend: input("backend", "backend", "backend_hint"),
		Timeout: input("timeout", "timeout", ""), Connect: input("connect", "connect", ""), Server: input("server_name", "server_name", "server_name_hint"),
		AboutVI: ui.Textarea{Name: "about_vi", Label: pg.T("exchange.publish.about"), Value: v.Get("about_vi"), Rows: 3, Optional: true, Error: problems.For("about_vi")},
		CA:      ui.Textarea{Name: "ca", Label: pg.T("exchange.publish.ca"), Hint: pg.T("exchange.publish.ca_hint"), Value: v.Get("ca"), Rows: 4, Optional: true, Error: problems.For("ca")},
		Flags: ui.Checkboxes{Name: "flags", Legend: pg.T("exchange.publish.flags"), Values: v["flags"], Options: []ui.Option{
			{Value: "personal", Label: pg.T("exchange.publish.personal"), Hint: pg.T("exchange.publish.personal_hint")}, {Value: "public", Label: pg.T("exchange.publish.public")},
		}},
		TLS: ui.Checkboxes{Name: "tls", Legend: pg.T("exchange.publish.tls"), Values: v["tls"], Options: []ui.Option{
			{Value: "client", Label: pg.T("exchange.publish.client_cert"), Hint: pg.T("exchange.publish.client_cert_hint")},
			{Value: "plain", Label: pg.T("exchange.publish.plain"), Hint: pg.T("exchange.publish.plain_hint")},
		}},
		Bodies: ui.Radios{Name: "bodies", Legend: pg.T("exchange.publish.bodies"), Value: v.Get("bodies"), Error: problems.For("bodies"), Options: []ui.Option{
			{Value: "full", Label: pg.T("exchange.publish.bodies_full")}, {Value: "digest", Label: pg.T("exchange.publish.bodies_digest")}, {Value: "off", Label: pg.T("exchange.publish.bodies_off")},
		}},
	}
	f.NameEN.Optional, f.Server.Optional = true, true
	for _, c := range []*ui.Input{&f.Timeout, &f.Connect} {
		c.Width, c.InputMode = "5", "numeric"
	}
	if isNew {
		code := input("code", "code", "")
		code.Hint = pg.T("exchange.publish.code_hint", "subsystems", p.subsystemCodes())
		f.Code = &code
	} else {
		f.TLS.Options = append(f.TLS.Options, ui.Option{Value: "all", Label: pg.T("exchange.publish.same_host"), Hint: pg.T("exchange.publish.same_host_hint")})
	}
	if slices.Contains(v["tls"], "plain") {
		f.PlainWarning = &ui.Inset{Text: pg.T("exchange.publish.plain_warning"), Warning: true}
	}
	return f
}

func (p *PublishedPages) subsystemCodes() string {
	out := make([]string, len(p.Subsystems))
	for i, s := range p.Subsystems {
		out[i] = s[strings.LastIndexByte(s, '/')+1:]
	}
	return strings.Join(out, ", ")
}

// readParameters reads the form; what is malformed becomes a value that the service refuses with the right field.
func readParameters(form url.Values) publication.Published {
	seconds := func(name string) time.Duration {
		n, err := strconv.Atoi(strings.TrimSpace(form.Get(name)))
		if err != nil || n < 1 || n > 3600 {
			return -1
		}
		return time.Duration(n) * time.Second
	}
	flags, tls := form["flags"], form["tls"]
	return publication.Published{
		Code: strings.TrimSpace(form.Get("code")), Kind: publication.KindREST, Name: i18n.Text{"vi": form.Get("name_vi"), "en": form.Get("name_en")}, About: i18n.Text{"vi": strings.TrimSpace(form.Get("about_vi"))},
		Personal: slices.Contains(flags, "personal"), Public: slices.Contains(flags, "public"), Bodies: form.Get("bodies"),
		Backend: publication.Backend{
			URL: form.Get("backend"), Timeout: seconds("timeout"), Connect: seconds("connect"), CA: strings.TrimSpace(form.Get("ca")), ServerName: form.Get("server_name"),
			ClientCert: slices.Contains(tls, "client"), PlainHTTP: slices.Contains(tls, "plain"),
		},
	}
}
