package servicespage

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// applyPageData is apply_page.html: one question.
type applyPageData struct {
	ui.Page
	Draft, PageID, Return string
	Version               int64
	Procedure             string
	Stepper               ui.Stepper
	// Heading is the h1 unless the only field carries it.
	Heading, Hint string
	Known         []knownRow
	Silent        []string // registers that did not answer
	Fields        []field
	Multipart     bool
	// Reshapes: the form has other buttons before the one that goes on.
	Reshapes    bool
	Next, Later ui.Button
}

// knownRow is a value that a register filled in: shown, not asked.
type knownRow struct {
	Key, Value, Ptr string
	Source          ui.Source
}

// applyPage shows a question page of a draft.
func (p *Pages) applyPage(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Portal.Draft(r.Context(), who(r), r.PathValue("draft"))
	if err != nil {
		return p.filedAlready(w, r, err)
	}
	pg := v.Form.Page(r.PathValue("page"))
	if pg == nil {
		return errs.E(errs.NotFound, "services.draft.page_unknown", nil)
	}
	if !p.asked(&v, pg) {
		return web.SeeOther(w, r, p.resumeURL(&v))
	}
	values := url.Values{}
	for _, f := range pg.Fields {
		maps.Copy(values, f.Controls(v.Draft.Body.Answers))
	}
	page := p.questionPage(r, &v, pg, values, nil)
	page.Return = returnTo(web.Query(r))
	return p.render(w, r, "apply_page", page)
}

func returnTo(values url.Values) string {
	if values.Get("return") == stopCheck {
		return stopCheck
	}
	return ""
}

// applyPageSave keeps the answers of a page, or reloads it for a province, or for one more or one less entry.
func (p *Pages) applyPageSave(w http.ResponseWriter, r *http.Request) error {
	limit := int64(maxForm)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") { // pages with a file among their questions
		limit = maxUpload
	}
	form, files, err := web.ReadUpload(w, r, limit)
	if err != nil {
		return err
	}
	id, pageID := r.PathValue("draft"), r.PathValue("page")
	v, err := p.Portal.Draft(r.Context(), who(r), id)
	if err != nil {
		return p.filedAlready(w, r, err)
	}
	pg := v.Form.Page(pageID)
	if pg == nil {
		return errs.E(errs.NotFound, "services.draft.page_unknown", nil)
	}
	if !p.asked(&v, pg) {
		return web.SeeOther(w, r, p.resumeURL(&v))
	}
	values := controlNames(form)
	if reload(pg, values) {
		page := p.questionPage(r, &v, pg, values, nil)
		page.Return = returnTo(form)
		return p.render(w, r, "apply_page", page)
	}
	problems, err := p.takeFiles(r, &v, pg, values, files)
	if err != nil {
		return err
	}
	problems = append(problems, p.checkPlaces(&v, pg, values)...)
	if s := form.Get("version"); s != "" && s != strconv.FormatInt(v.Draft.RowVersion, 10) {
		problems = append(problems, ui.Problem{Key: "services.draft.changed"})
	}
	if len(problems) == 0 {
		saved, faults, err := p.Portal.SavePage(r.Context(), who(r), id, pageID, values)
		if errs.Is(err, errs.Conflict) {
			problem, _ := problemOf("", err)
			problems = append(problems, problem)
		} else if err != nil {
			return err
		}
		problems = append(problems, problemsOf(faults, reqctx.Lang(r.Context()))...)
		if len(problems) == 0 {
			return p.afterSave(w, r, &saved, form)
		}
	}
	if form.Get("later") != "" {
		ui.Flash(w, "services.draft.kept_partly")
		return web.SeeOther(w, r, "/filings")
	}
	page := p.questionPage(r, &v, pg, values, problems)
	page.Return = returnTo(form)
	return p.invalid(w, r, "apply_page", page)
}

func (p *Pages) afterSave(w http.ResponseWriter, r *http.Request, v *services.DraftView, form url.Values) error {
	if form.Get("later") != "" {
		ui.Flash(w, "services.draft.kept")
		return web.SeeOther(w, r, "/filings")
	}
	if returnTo(form) != "" { // a change may have opened questions that were not answered yet
		return web.SeeOther(w, r, p.resumeURL(v))
	}
	_, next, _, _ := p.around(v, r.PathValue("page"))
	return web.SeeOther(w, r, next)
}

// controlNames renames the parts of a date from those of the component ("x-day") to those of the bundle ("x.day").
func controlNames(form url.Values) url.Values {
	out := make(url.Values, len(form))
	for k, vs := range form {
		for _, part := range []string{"day", "month", "year"} {
			if base, ok := strings.CutSuffix(k, "-"+part); ok {
				k = base + "." + part
				break
			}
		}
		out[k] = vs
	}
	return out
}

// reload reports whether a form was sent to change its shape rather than to answer: the list of communes for a
// province, an entry more, an entry less. It changes values accordingly.
func reload(pg *bundle.Page, values url.Values) bool {
	again := false
	for _, f := range pg.Fields {
		name := f.Name()
		switch f.Widget {
		case bundle.Address:
			// Without a list of communes yet, choosing the province is the first of two steps.
			_, listed := values[name+".commune"]
			if values.Get("load") == name || values.Get(name+".province") != "" && !listed && values.Get("later") == "" {
				again = true
			}
		case bundle.Repeat:
			again = reshape(f, values) || again
		default: // no steps of its own
		}
	}
	return again
}

// questionPage draws a page of the form with the values given.
func (p *Pages) questionPage(r *http.Request, v *services.DraftView, pg *bundle.Page, values url.Values, problems ui.Problems) applyPageData {
	page := applyPageData{Page: ui.NewPage(r, ""), Draft: v.Draft.ID, PageID: pg.ID, Version: v.Draft.RowVersion}
	lang := page.Lang
	page.Problems = problems
	page.Procedure, page.Heading, page.Hint = v.Procedure.Name.In(lang), pg.Title.In(lang), pg.Hint.In(lang)
	back, _, at, of := p.around(v, pg.ID)
	page.Back, page.Stepper = back, ui.Stepper{Step: at, Of: of, Name: page.Procedure}
	page.Next = ui.Button{Text: page.T("services.apply.next")}
	page.Later = ui.Button{Text: page.T("services.apply.later"), Kind: "link", Name: "later", Value: "1", NoValidate: true}
	words := services.Words{Lang: lang, Messages: p.Messages, Places: p.Places}
	build := fieldBuilder{p: p, page: page.Page, values: values}
	silent := map[string]bool{}
	for _, f := range v.Form.VisibleFields(pg, v.Facts) {
		source := v.Source(f)
		if source != nil && source.Status == services.PrefillDown {
			if name := p.sourceName(lang, source.Source); !silent[name] {
				silent[name] = true
				page.Silent = append(page.Silent, page.T("services.apply.silent", "register", name, "time", i18n.DateTime(source.At)))
			}
		}
		if v.Readonly(f) {
			answer, _ := v.Draft.Body.Answers.Get(f.Ptr)
			page.Known = append(page.Known, knownRow{
				Key: f.Label.In(lang), Value: words.Answer(f, answer), Ptr: string(f.Ptr),
				Source: ui.Source{Register: p.sourceName(lang, source.Source), At: source.At},
			})
			continue
		}
		x := build.field(f, f.Name())
		build.note(&x, source)
		page.Fields = append(page.Fields, x)
		page.Multipart = page.Multipart || f.Widget == bundle.FileUpload
		page.Reshapes = page.Reshapes || f.Widget == bundle.Address || f.Widget == bundle.Repeat
	}
	if len(page.Fields) == 1 && len(page.Known) == 0 && page.Heading != "" {
		page.Fields[0].big(page.Heading, page.Hint)
		page.Title, page.Heading, page.Hint = page.Heading, "", ""
		return page
	}
	if page.Heading == "" {
		page.Heading = page.Procedure
	}
	page.Title = page.Heading
	return page
}

// problemsOf turns the problems of a form into those of the page. The summary must lead to a control that exists:
// a date is one control with three parts.
func problemsOf(faults []bundle.FieldProblem, lang string) ui.Problems {
	var out ui.Problems
	for _, x := range faults {
		out = append(out, ui.Problem{Field: strings.TrimSuffix(x.Name, ".day"), Key: x.Key, Args: x.ArgsIn(lang)})
	}
	return out
}

// checkPlaces finds communes that do not lie in their province: lists can be mixed up by the back button.
func (p *Pages) checkPlaces(v *services.DraftView, pg *bundle.Page, values url.Values) ui.Problems {
	var out ui.Problems
	for _, f := range pg.Fields {
		if f.Widget != bundle.Address || v.Readonly(f) {
			continue
		}
		province, commune := values.Get(f.Name()+".province"), values.Get(f.Name()+".commune")
		if commune != "" && !p.Places.In(commune, province) {
			out.Add(f.Name()+".commune", "services.address.commune")
		}
	}
	return out
}
