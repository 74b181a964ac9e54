package documentspage

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type draftPage struct {
	ui.Page
	URL                                                        string
	Version                                                    int64
	Notices                                                    []ui.Notice
	Type, Unit, Signer, Urgency, Secrecy                       ui.Select
	Subject, Authority, DueDate, Copies, Circulation, Mark     ui.Input
	Notation                                                   ui.Input
	Body, Addressees, ToPlaces, Appendixes, Summary, Receivers ui.Textarea
	Agencies                                                   ui.Checkboxes
	More                                                       bool
	Paper                                                      ui.Checkboxes
	Button                                                     ui.Button
}

// draftNew begins a document.
func (p *Pages) draftNew(w http.ResponseWriter, r *http.Request) error {
	form := url.Values{}
	form.Set("type", documents.OfficialLetter)
	form.Set("toPlaces", "Như trên\nLưu: VT")
	page, err := p.draftPage(r, "docs.draft.new", form, nil)
	if err != nil {
		return err
	}
	page.URL, page.Back = "/documents/out/new", "/documents/out"
	return p.templates.Render(w, r, http.StatusOK, "draft", page)
}

func (p *Pages) draftNewDo(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	id, err := p.Desk.Draft(r.Context(), p.who(r), readDraft(form))
	if err != nil {
		return p.draftFailed(w, r, form, "docs.draft.new", "/documents/out/new", "/documents/out", 0, err)
	}
	ui.Flash(w, "docs.flash.draft")
	return web.SeeOther(w, r, documentURL(documents.Out, id))
}

func (p *Pages) draftEdit(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	o, err := p.Desk.Outgoing(r.Context(), p.who(r), id)
	if err != nil {
		return err
	}
	page, err := p.draftPage(r, "docs.draft.edit", writeDraft(o.Form), nil)
	if err != nil {
		return err
	}
	page.URL, page.Back, page.Version = documentURL(documents.Out, id, "edit"), documentURL(documents.Out, id), o.Version
	return p.templates.Render(w, r, http.StatusOK, "draft", page)
}

func (p *Pages) draftEditDo(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	version, err := versionOf(form)
	if err != nil {
		return err
	}
	if err := p.Desk.Save(r.Context(), p.who(r), id, version, readDraft(form)); err != nil {
		return p.draftFailed(w, r, form, "docs.draft.edit", documentURL(documents.Out, id, "edit"), documentURL(documents.Out, id), version, err)
	}
	ui.Flash(w, "docs.flash.draft")
	return web.SeeOther(w, r, documentURL(documents.Out, id))
}

// draftFailed shows the form again with what was typed.
func (p *Pages) draftFailed(w http.ResponseWriter, r *http.Request, form url.Values, titleKey, action, back string, version int64, failed error) error {
	problems := p.problems(r, failed)
	kind := errs.KindOf(failed)
	if len(problems) == 0 && kind != errs.Conflict && kind != errs.Invalid && kind != errs.Unavailable {
		return failed
	}
	page, err := p.draftPage(r, titleKey, form, problems)
	if err != nil {
		return err
	}
	page.URL, page.Back, page.Version = action, back, version
	if len(problems) == 0 {
		page.Notices = []ui.Notice{{Tone: ui.Late, Alert: true, Title: page.T("docs.act.not_done"), Text: p.text(page.Lang, failed)}}
	}
	return p.templates.Render(w, r, statusOf(failed), "draft", page)
}

// problems are the faults of a form, each at its field, in the order of the fields' names; none when the error is another.
func (p *Pages) problems(r *http.Request, failed error) ui.Problems {
	var out ui.Problems
	if bad, ok := errors.AsType[documents.Problems](failed); ok {
		for _, field := range slices.Sorted(maps.Keys(bad)) {
			out.AddText(field, p.text(p.newPage(r, "").Lang, bad[field]))
		}
	}
	if key, _ := errs.KeyOf(failed); key == "documents.secret_refused" {
		out.AddText("secrecy", p.text(p.newPage(r, "").Lang, failed))
	}
	return out
}

// draftPage draws the form of the nine parts.
func (p *Pages) draftPage(r *http.Request, titleKey string, form url.Values, problems ui.Problems) (draftPage, error) {
	page := draftPage{Page: p.newPage(r, titleKey)}
	page.Problems = problems
	by := p.who(r)
	o, err := p.Desk.OfficeOf(by)
	if err != nil {
		return page, err
	}
	get := form.Get
	page.Type = ui.Select{Name: "type", Label: page.T("docs.field.type"), Value: get("type"), Error: problems.For("type")}
	for _, t := range documents.Types() {
		label := t.Name
		if t.Letters != "" {
			label += " (" + t.Letters + ")"
		}
		page.Type.Options = append(page.Type.Options, ui.Option{Value: t.Code, Label: label})
	}
	page.Unit = ui.Select{Name: "unit", Label: page.T("docs.field.unit"), Hint: page.T("docs.field.unit_hint"), Value: get("unit"), Empty: page.T("docs.field.unit_none"), Optional: true}
	for _, u := range o.Units {
		page.Unit.Options = append(page.Unit.Options, ui.Option{Value: u.Letters, Label: u.Letters + " – " + u.Name})
	}
	page.Notation = ui.Input{Name: "notation", Label: page.T("docs.field.notation"), Hint: page.T("docs.field.notation_hint"), Value: get("notation"), Width: "20", Optional: true, Error: problems.For("notation")}
	page.Subject = ui.Input{Name: "subject", Label: page.T("docs.field.subject"), Hint: page.T("docs.field.subject_hint"), Value: get("subject"), Error: problems.For("subject"), MaxLength: 500}
	page.Body = ui.Textarea{Name: "body", Label: page.T("docs.field.body"), Hint: page.T("docs.field.body_hint"), Value: get("body"), Rows: 16, Error: problems.For("body")}
	page.Addressees = ui.Textarea{Name: "addressees", Label: page.T("docs.field.addressees"), Hint: page.T("docs.field.lines_hint"), Value: get("addressees"), Rows: 2, Optional: true, Error: problems.For("addressees")}
	page.ToPlaces = ui.Textarea{Name: "toPlaces", Label: page.T("docs.field.to_places"), Hint: page.T("docs.field.lines_hint"), Value: get("toPlaces"), Rows: 4, Error: problems.For("toPlaces")}
	page.Appendixes = ui.Textarea{Name: "appendixes", Label: page.T("docs.field.appendixes"), Hint: page.T("docs.field.appendixes_hint"), Value: get("appendixes"), Rows: 2, Optional: true, Error: problems.For("appendixes")}
	page.Summary = ui.Textarea{Name: "summary", Label: page.T("docs.field.summary"), Value: get("summary"), Rows: 2, Optional: true, Error: problems.For("summary")}
	page.Authority = ui.Input{Name: "authority", Label: page.T("docs.field.authority"), Hint: page.T("docs.field.authority_hint"), Value: get("authority"), Optional: true, Error: problems.For("authority")}
	page.DueDate = ui.Input{Name: "dueDate", Label: page.T("docs.field.due_date"), Value: get("dueDate"), Type: "date", Optional: true, Error: problems.For("dueDate")}
	page.Copies = ui.Input{Name: "copies", Label: page.T("docs.field.copies"), Value: get("copies"), InputMode: "numeric", Width: "4", Optional: true, Error: problems.For("copies")}
	page.Circulation = ui.Input{Name: "circulation", Label: page.T("docs.field.circulation"), Value: get("circulation"), Optional: true, Error: problems.For("circulation")}
	page.Mark = ui.Input{Name: "drafterMark", Label: page.T("docs.field.mark"), Value: get("drafterMark"), Width: "10", Optional: true, Error: problems.For("drafterMark")}
	p.fillChoices(&page, get, problems)
	if err := p.fillPeople(r, &page, get("signer"), problems); err != nil {
		return page, err
	}
	if err := p.fillReceivers(r, &page, form, problems); err != nil {
		return page, err
	}
	for _, name := range []string{"notation", "appendixes", "summary", "authority", "dueDate", "copies", "circulation", "drafterMark"} {
		page.More = page.More || get(name) != "" && get(name) != "1" || problems.For(name) != nil
	}
	page.Button = ui.Button{Text: page.T("docs.draft.save")}
	return page, nil
}

func (p *Pages) fillChoices(page *draftPage, get func(string) string, problems ui.Problems) {
	page.Urgency = ui.Select{Name: "urgency", Label: page.T("docs.field.urgency"), Value: get("urgency"), Error: problems.For("urgency")}
	for u := documents.Normal; u.Valid(); u++ {
		page.Urgency.Options = append(page.Urgency.Options, ui.Option{Value: strconv.Itoa(int(u)), Label: page.T(u.Key())})
	}
	page.Secrecy = ui.Select{Name: "secrecy", Label: page.T("docs.field.secrecy"), Hint: page.T("docs.field.secrecy_hint"), Value: get("secrecy"), Error: problems.For("secrecy")}
	for _, s := range documents.Secrecies() {
		page.Secrecy.Options = append(page.Secrecy.Options, ui.Option{Value: string(s), Label: page.T(s.Key())})
	}
	page.Paper = ui.Checkboxes{Name: "paperFollows", Legend: page.T("docs.field.paper"), NoLegend: true, Options: []ui.Option{{Value: "1", Label: page.T("docs.field.paper"), Hint: page.T("docs.field.paper_hint")}}}
	if get("paperFollows") == "1" {
		page.Paper.Values = []string{"1"}
	}
}

func (p *Pages) fillPeople(r *http.Request, page *draftPage, signer string, problems ui.Problems) error {
	people, err := p.Desk.People(r.Context(), p.who(r), documents.RoleHead)
	if err != nil {
		return err
	}
	page.Signer = ui.Select{Name: "signer", Label: page.T("docs.field.signer"), Value: signer, Empty: page.T("docs.field.choose"), Error: problems.For("signer"), Options: options(people)}
	return nil
}

// options are people who work with documents.
func options(people []documents.Person) []ui.Option {
	out := make([]ui.Option, 0, len(people))
	for _, x := range people {
		if !slices.ContainsFunc(x.Roles, func(role string) bool {
			return role == documents.RoleOfficer || role == documents.RoleHead || role == documents.RoleClerk
		}) {
			continue
		}
		label := x.Name
		if x.Title != "" {
			label += ", " + x.Title
		}
		out = append(out, ui.Option{Value: x.Account, Label: label})
	}
	return out
}

// fillReceivers offers the agencies of the axis; codes can also be typed, for a line to the axis may be down.
func (p *Pages) fillReceivers(r *http.Request, page *draftPage, form url.Values, problems ui.Problems) error {
	chosen := codesOf(form)
	page.Agencies = ui.Checkboxes{Name: "receiver", Legend: page.T("docs.field.receivers"), Hint: page.T("docs.field.receivers_hint"), Values: chosen, Error: problems.For("receivers")}
	page.Receivers = ui.Textarea{Name: "receivers", Label: page.T("docs.field.receiver_codes"), Hint: page.T("docs.field.receiver_codes_hint"), Rows: 2, Optional: true}
	all, err := p.Desk.Agencies(r.Context(), p.who(r), "")
	if err != nil {
		if !errs.Is(err, errs.Unavailable) {
			return err
		}
		page.Notices = append(page.Notices, ui.Notice{Tone: ui.Soon, Text: p.text(page.Lang, err)})
	}
	known := map[string]bool{}
	for _, a := range all {
		known[a.Code] = true
		page.Agencies.Options = append(page.Agencies.Options, ui.Option{Value: a.Code, Label: a.Name, Hint: a.Code})
	}
	var typed []string
	for _, c := range chosen {
		if !known[c] {
			typed = append(typed, c)
		}
	}
	page.Receivers.Value = strings.Join(typed, "\n")
	return nil
}

// codesOf are the receivers of a form: those that were ticked and those that were typed.
func codesOf(form url.Values) []string {
	out := slices.Clone(form["receiver"])
	for _, c := range strings.FieldsFunc(form.Get("receivers"), func(r rune) bool { return r == ' ' || r == ',' || r == ';' || r == '\n' }) {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

func readDraft(form url.Values) documents.DraftForm {
	number := func(name string) int {
		n, err := strconv.Atoi(strings.TrimSpace(form.Get(name)))
		if err != nil {
			if strings.TrimSpace(form.Get(name)) == "" {
				return 0
			}
			return -1 // the desk says what is wrong
		}
		return n
	}
	return documents.DraftForm{
		Type: form.Get("type"), Unit: form.Get("unit"), Notation: form.Get("notation"), Subject: form.Get("subject"), Summary: form.Get("summary"),
		Body: form.Get("body"), Addressees: lines(form.Get("addressees")), ToPlaces: lines(form.Get("toPlaces")), Receivers: codesOf(form),
		Authority: form.Get("authority"), Signer: form.Get("signer"), Urgency: documents.Urgency(number("urgency")), Secrecy: documents.Secrecy(form.Get("secrecy")),
		DueDate: form.Get("dueDate"), Circulation: form.Get("circulation"), DrafterMark: form.Get("drafterMark"), Copies: number("copies"),
		Appendixes: lines(form.Get("appendixes")), PaperFollows: form.Get("paperFollows") == "1",
		Steering: number("steering"), Tasks: lines(form.Get("tasks")),
	}
}

func writeDraft(f documents.DraftForm) url.Values {
	v := url.Values{}
	for name, s := range map[string]string{
		"type": f.Type, "unit": f.Unit, "notation": f.Notation, "subject": f.Subject, "summary": f.Summary, "body": f.Body, "authority": f.Authority,
		"addressees": strings.Join(f.Addressees, "\n"), "toPlaces": strings.Join(f.ToPlaces, "\n"), "signer": f.Signer, "secrecy": string(f.Secrecy), "dueDate": f.DueDate,
		"circulation": f.Circulation, "drafterMark": f.DrafterMark, "appendixes": strings.Join(f.Appendixes, "\n"), "tasks": strings.Join(f.Tasks, "\n"),
		"urgency": strconv.Itoa(int(f.Urgency)), "copies": strconv.Itoa(f.Copies), "steering": strconv.Itoa(f.Steering),
	} {
		v.Set(name, s)
	}
	v["receiver"] = f.Receivers
	if f.PaperFollows {
		v.Set("paperFollows", "1")
	}
	return v
}
