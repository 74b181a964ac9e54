package servicespage

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// applyCheckPage is apply_check.html: everything once more before it is signed and sent.
type applyCheckPage struct {
	ui.Page
	Draft        string
	Stepper      ui.Stepper
	Lead         string
	Answers      ui.SummaryList
	Papers       ui.SummaryList
	Fee          ui.SummaryList
	FeeNote      string
	Due, DueNote string
	DueAt        time.Time
	Declarations []ui.Checkboxes
	Submit       ui.Button
}

// applyCheck shows the draft as it will be filed.
func (p *Pages) applyCheck(w http.ResponseWriter, r *http.Request) error {
	c, err := p.Portal.Check(r.Context(), who(r), r.PathValue("draft"), ui.NewPage(r, "").Lang)
	if err != nil {
		return p.filedAlready(w, r, err)
	}
	page := p.checkPage(r, &c, url.Values{}, nil)
	return p.render(w, r, "apply_check", page)
}

// applySubmit takes the declarations and files the draft.
func (p *Pages) applySubmit(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	id, me := r.PathValue("draft"), who(r)
	v, err := p.Portal.Draft(r.Context(), me, id)
	if errs.Is(err, errs.NotFound) { // sent twice: the second one meets the filing of the first
		return p.filedTwice(w, r, err)
	}
	if err != nil {
		return err
	}
	lang := ui.NewPage(r, "").Lang
	var problems ui.Problems
	for _, pg := range v.Form.Visible(v.Facts) {
		if !onlyDeclares(pg) {
			continue
		}
		_, faults, err := p.Portal.SavePage(r.Context(), me, id, pg.ID, form)
		if err != nil {
			return err
		}
		problems = append(problems, problemsOf(faults, lang)...)
	}
	if len(problems) == 0 {
		f, err := p.Portal.Submit(r.Context(), me, id)
		if err == nil {
			return web.SeeOther(w, r, filingURL(f.ID)+"/done")
		}
		if _, incomplete := errors.AsType[*services.FormError](err); !incomplete {
			problem, ok := problemOf("", err)
			if !ok {
				return err
			}
			problems = append(problems, problem)
		}
	}
	c, err := p.Portal.Check(r.Context(), me, id, lang)
	if err != nil {
		return err
	}
	return p.invalid(w, r, "apply_check", p.checkPage(r, &c, form, problems))
}

func (p *Pages) filedTwice(w http.ResponseWriter, r *http.Request, cause error) error {
	f, err := p.Portal.Filing(r.Context(), who(r), r.PathValue("draft"))
	if err != nil {
		return cause
	}
	return web.SeeOther(w, r, filingURL(f.ID)+"/done")
}

func (p *Pages) checkPage(r *http.Request, c *services.CheckView, form url.Values, problems ui.Problems) applyCheckPage {
	v := &c.DraftView
	page := applyCheckPage{Page: ui.NewPage(r, "services.check.title"), Draft: v.Draft.ID}
	back, _, at, of := p.around(v, stopCheck)
	page.Back, page.Stepper = back, ui.Stepper{Step: at, Of: of, Name: v.Procedure.Name.In(page.Lang)}
	declares := map[string]bool{}
	var open []bundle.FieldProblem
	for _, pg := range v.Form.Visible(v.Facts) {
		declares[pg.ID] = onlyDeclares(pg)
	}
	for _, x := range c.Problems {
		if !declares[x.Page] { // what is still to be declared is asked below
			open = append(open, x)
		}
	}
	page.Problems = problems
	for _, x := range open {
		page.Problems = append(page.Problems, ui.Problem{Field: "answers", Key: x.Key, Args: x.ArgsIn(page.Lang)})
	}
	for _, n := range c.Missing {
		page.Problems.Add("papers", "services.submission.paper_missing", "paper", n.Name.In(page.Lang))
	}
	answers, known := p.answerRows(page.Page, v, declares)
	page.Answers = answers
	if known > 0 {
		page.Lead = page.T("services.check.known", "known", known, "all", len(answers.Rows))
	}
	page.Papers = p.paperRows(page.Page, c)
	p.checkFee(&page, c, len(open) == 0)
	if !c.Expected.IsZero() {
		page.Due, page.DueAt = page.T("services.check.due", "due", instant(page.Lang, c.Expected)), c.Expected
		page.DueNote = page.T("services.check.due_note")
	} else {
		page.Due = page.T("services.unit.none")
	}
	build := fieldBuilder{p: p, page: page.Page, values: form}
	for _, pg := range v.Form.Visible(v.Facts) {
		for _, f := range pg.Fields {
			if x := build.field(f, f.Name()); declares[pg.ID] && x.Checks != nil {
				page.Declarations = append(page.Declarations, *x.Checks)
			}
		}
	}
	page.Submit = ui.Button{Text: page.T("services.check.submit"), Kind: "accent"}
	return page
}

// answerRows lists questions and answers with their sources and how to change them.
func (p *Pages) answerRows(page ui.Page, v *services.DraftView, declares map[string]bool) (list ui.SummaryList, known int) {
	words := services.Words{Lang: page.Lang, Messages: p.Messages, Places: p.Places}
	for _, pg := range v.Form.Visible(v.Facts) {
		if declares[pg.ID] {
			continue
		}
		for _, f := range v.Form.VisibleFields(pg, v.Facts) {
			label := f.Label.In(page.Lang)
			row := ui.SummaryRow{Key: label}
			if answer, ok := v.Draft.Body.Answers.Get(f.Ptr); ok {
				row.Value = p.answer(page, words, f, v.Draft.Body.Answers, answer)
			}
			if source := v.Source(f); source != nil && source.Status == services.PrefillOK {
				row.Source = &ui.Source{Register: p.sourceName(page.Lang, source.Source), At: source.At}
			}
			if v.Readonly(f) {
				known++
			}
			row.Actions = []ui.Action{{Text: page.T("services.check.change"), URL: applyURL(v.Draft.ID, pg.ID) + "?return=check", Hidden: label}}
			list.Rows = append(list.Rows, row)
		}
	}
	return list, known
}

// answer says one answer in words.
func (p *Pages) answer(page ui.Page, words services.Words, f *bundle.Field, all bundle.Answers, v any) string {
	switch f.Widget {
	case bundle.Repeat:
		return f.Show(all, page.Lang, func(province, commune string) (string, string) {
			a, _ := p.Places.Find(province)
			b, _ := p.Places.Find(commune)
			return a.FullName, b.FullName
		})
	case bundle.FileUpload:
		return page.T("services.paper.kept")
	default:
		return words.Answer(f, v)
	}
}

func (p *Pages) paperRows(page ui.Page, c *services.CheckView) ui.SummaryList {
	var list ui.SummaryList
	for _, n := range c.Papers {
		row := ui.SummaryRow{Key: n.Name.In(page.Lang)}
		files := filesOf(&c.DraftView, n.ID)
		change := []ui.Action{{Text: page.T("services.check.change"), URL: applyURL(c.Draft.ID, stopPapers) + "?return=check", Hidden: row.Key}}
		switch {
		case n.Form != "":
			row.Value = page.T("services.check.paper_form")
		case n.KnownByState:
			row.Tag = &ui.Tag{Text: page.T("services.paper.known"), Tone: ui.Done}
		case len(files) > 0:
			for _, f := range files {
				row.Lines = append(row.Lines, f.File+" ("+size(page.Lang, f.Size)+")")
			}
			row.Actions = change
		case n.Required:
			row.Tag, row.Actions = &ui.Tag{Text: page.T("services.paper.upload"), Tone: ui.Late}, change
		case n.Conditional:
			continue
		default:
			row.Value, row.Actions = page.T("services.paper.not_given"), change
		}
		list.Rows = append(list.Rows, row)
	}
	return list
}

// checkFee shows every line with its exemption beside it. The portal's own quote waits for the declaration, so the
// fee is asked of the procedure here.
func (p *Pages) checkFee(page *applyCheckPage, c *services.CheckView, complete bool) {
	if !complete {
		return
	}
	quote, err := c.Procedure.Fee(c.Case, c.Facts)
	if err != nil {
		page.FeeNote = page.T("services.submission.fee")
		return
	}
	page.Fee = feeList(page.Page, quote)
	if quote.Total > 0 {
		page.FeeNote = page.T("services.fee.due." + quote.Due)
	}
}

func feeList(page ui.Page, quote bundle.FeeQuote) ui.SummaryList {
	var list ui.SummaryList
	for _, l := range quote.Lines {
		row := ui.SummaryRow{Key: l.Name.In(page.Lang), Value: i18n.Money(page.Lang, l.Amount)}
		if l.Amount < l.Full {
			row.Lines = []string{page.T("services.fee.instead", "amount", i18n.Money(page.Lang, l.Amount), "full", i18n.Money(page.Lang, l.Full))}
		}
		list.Rows = append(list.Rows, row)
	}
	for _, e := range quote.Exemptions {
		switch {
		case e.Applied:
			list.Rows = append(list.Rows, ui.SummaryRow{Key: page.T("services.fee.applied"), Value: e.Text.In(page.Lang), Tag: &ui.Tag{Text: page.T("services.fee.applied_tag"), Tone: ui.Done}})
		case e.Err != nil:
			list.Rows = append(list.Rows, ui.SummaryRow{Key: page.T("services.fee.applied"), Value: page.T("services.fee.not_judged", "who", e.Text.In(page.Lang))})
		}
	}
	if quote.Full > 0 && !slices.ContainsFunc(quote.Exemptions, func(e bundle.Exemption) bool { return e.Applied }) && len(quote.Exemptions) > 0 {
		var groups []string
		for _, e := range quote.Exemptions {
			groups = append(groups, e.Text.In(page.Lang))
		}
		list.Rows = append(list.Rows, ui.SummaryRow{Key: page.T("services.fee.exemptions"), Lines: append(groups, page.T("services.fee.none_applied"))})
	}
	list.Rows = append(list.Rows, ui.SummaryRow{Key: page.T("services.fee.total"), Value: i18n.Money(page.Lang, quote.Total)})
	return list
}
