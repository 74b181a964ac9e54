package servicespage

import (
	"net/http"
	"strconv"

	"truc/internal/errs"
	"truc/internal/services"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// ratePage is rate.html.
type ratePage struct {
	ui.Page
	ID      string
	Stars   ui.Radios
	Comment ui.Textarea
	Send    ui.Button
}

func (p *Pages) rate(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Portal.View(r.Context(), who(r), r.PathValue("id"), ui.NewPage(r, "").Lang)
	if err != nil {
		return err
	}
	if !v.MayRate {
		return errs.E(errs.Conflict, "services.rating.once", nil)
	}
	return p.render(w, r, "rate", p.rateData(r, &v, rateForm{}, nil))
}

func (p *Pages) rateData(r *http.Request, v *services.FilingView, f rateForm, problems ui.Problems) ratePage {
	page := ratePage{Page: ui.NewPage(r, "services.rate.title"), ID: v.ID}
	page.Back, page.Problems = filingURL(v.ID), problems
	page.Stars = ui.Radios{
		Name: "stars", Legend: page.Title, Hint: page.T("services.rate.hint", "name", v.Procedure.Name.In(page.Lang)), Big: true, Value: f.Stars, Error: problems.For("stars"),
	}
	for n := 5; n >= 1; n-- {
		s := strconv.Itoa(n)
		page.Stars.Options = append(page.Stars.Options, ui.Option{Value: s, Label: page.T("services.rate." + s)})
	}
	page.Comment = ui.Textarea{
		Name: "comment", Label: page.T("services.rate.comment"), Hint: page.T("services.rate.comment_hint"), Value: f.Comment, MaxLength: 1000, Optional: true,
	}
	page.Send = ui.Button{Text: page.T("services.rate.send")}
	return page
}

// rateForm is what the form of rate.html sends.
type rateForm struct{ Stars, Comment string }

func (f rateForm) validate() (stars int, problems ui.Problems) {
	stars, err := strconv.Atoi(f.Stars)
	if err != nil || stars < 1 || stars > 5 {
		problems.Add("stars", "services.rating.stars")
	}
	return stars, problems
}

// rateSend keeps the rating.
func (p *Pages) rateSend(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	f := rateForm{Stars: form.Get("stars"), Comment: form.Get("comment")}
	v, err := p.Portal.View(r.Context(), who(r), r.PathValue("id"), ui.NewPage(r, "").Lang)
	if err != nil {
		return err
	}
	stars, problems := f.validate()
	if len(problems) > 0 {
		return p.invalid(w, r, "rate", p.rateData(r, &v, f, problems))
	}
	if err := p.Portal.Rate(r.Context(), who(r), v.ID, stars, f.Comment); err != nil {
		return err
	}
	ui.Flash(w, "services.rate.thanks")
	return web.SeeOther(w, r, filingURL(v.ID))
}
