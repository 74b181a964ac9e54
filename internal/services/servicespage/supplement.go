package servicespage

import (
	"net/http"
	"slices"
	"strings"

	"truc/internal/errs"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// supplementPage is supplement.html: what is asked for, and where to hand it in.
type supplementPage struct {
	ui.Page
	ID, Number string
	Reason     string
	Deadline   string
	Asked      []string
	Inputs     []ui.File
	Note       ui.Textarea
	Send       ui.Button
}

func (p *Pages) supplement(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Portal.View(r.Context(), who(r), r.PathValue("id"), ui.NewPage(r, "").Lang)
	if err != nil {
		return err
	}
	if !v.MustSupply {
		return errs.E(errs.Conflict, "services.supplement.not_asked", nil)
	}
	return p.render(w, r, "supplement", p.supplementData(r, &v, "", nil))
}

// supplementSend hands in files and a note. Either all files of the form are taken, or none.
func (p *Pages) supplementSend(w http.ResponseWriter, r *http.Request) error {
	form, files, err := web.ReadUpload(w, r, maxUpload)
	if err != nil {
		return err
	}
	v, err := p.Portal.View(r.Context(), who(r), r.PathValue("id"), ui.NewPage(r, "").Lang)
	if err != nil {
		return err
	}
	if !v.MustSupply {
		return errs.E(errs.Conflict, "services.supplement.not_asked", nil)
	}
	var uploads []services.Upload
	var problems ui.Problems
	needs := p.Portal.SupplementNeeds(v)
	for _, up := range files {
		paper, ok := strings.CutPrefix(up.Field, "paper.")
		i := slices.IndexFunc(needs, func(n bundle.PaperNeed) bool { return n.ID == paper })
		if !ok || i < 0 {
			continue
		}
		if problem := fileFault(up, needs[i]); problem != nil && problems.For(up.Field) == nil {
			problems = append(problems, *problem)
		}
		uploads = append(uploads, services.Upload{Paper: paper, File: up.Name, Media: sniff(up.Data), Content: up.Data})
	}
	if len(problems) == 0 {
		err = p.Portal.Supply(r.Context(), who(r), v.ID, uploads, form.Get("note"))
		if err == nil {
			ui.Flash(w, "services.supplement.sent")
			return web.SeeOther(w, r, filingURL(v.ID))
		}
		problem, ok := problemOf("note", err)
		if !ok {
			return err
		}
		problems = append(problems, problem)
	}
	return p.invalid(w, r, "supplement", p.supplementData(r, &v, form.Get("note"), problems))
}

// fileFault checks a file against its paper before anything is kept.
func fileFault(up web.Upload, n bundle.PaperNeed) *ui.Problem {
	words, mb := limits(n.Accept, n.MaxBytes)
	media := sniff(up.Data)
	switch {
	case len(up.Data) == 0:
		return &ui.Problem{Field: up.Field, Key: "services.paper.empty"}
	case len(up.Data) > mb<<20:
		return &ui.Problem{Field: up.Field, Key: "services.paper.too_large", Args: []any{"max", mb}}
	case media == "" || len(n.Accept) > 0 && !slices.Contains(n.Accept, media):
		return &ui.Problem{Field: up.Field, Key: "services.paper.wrong_type", Args: []any{"accept", strings.Join(words, ", ")}}
	}
	return nil
}

func (p *Pages) supplementData(r *http.Request, v *services.FilingView, note string, problems ui.Problems) supplementPage {
	page := supplementPage{Page: ui.NewPage(r, "services.supplement.title"), ID: v.ID, Number: v.Number}
	page.Back, page.Problems = filingURL(v.ID), problems
	ask := v.Summary.Supplement
	page.Reason, page.Asked = ask.Data.Reason, askedPapers(ask)
	if ask.Data.Deadline != nil {
		page.Deadline = page.T("services.supplement.deadline", "due", instant(page.Lang, *ask.Data.Deadline))
	}
	asked := map[string]bool{}
	for _, j := range ask.Data.Papers {
		asked[j.Paper] = asked[j.Paper] || !j.OK
	}
	needs := p.Portal.SupplementNeeds(*v)
	named := slices.ContainsFunc(needs, func(n bundle.PaperNeed) bool { return asked[n.ID] })
	for _, n := range needs {
		if named && !asked[n.ID] && n.ID != "other" {
			continue
		}
		page.Inputs = append(page.Inputs, *fileInput(page.Page, n))
	}
	page.Note = ui.Textarea{
		Name: "note", Label: page.T("services.supplement.note"), Hint: page.T("services.supplement.note_hint"), Value: note, MaxLength: 2000, Optional: true,
		Error: problems.For("note"),
	}
	page.Send = ui.Button{Text: page.T("services.supplement.send"), Kind: "accent"}
	return page
}
