package servicespage

import (
	"net/http"
	"strings"

	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// applyPapersPage is apply_papers.html.
type applyPapersPage struct {
	ui.Page
	Draft, Return string
	Stepper       ui.Stepper
	Papers        []paperSlot
	Next, Stay    ui.Button
}

// paperSlot is one paper with its files and the input for another.
type paperSlot struct {
	Name  string
	Tag   ui.Tag
	Files []paperFile
	Input *ui.File // nil when no more files fit
}

type paperFile struct{ Name, Size, SHA, FormID string }

// paperField is the name of the file input of a paper.
func paperField(id string) string { return "paper." + id }

// applyPapers asks for the papers that the state does not know.
func (p *Pages) applyPapers(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Portal.Draft(r.Context(), who(r), r.PathValue("draft"))
	if err != nil {
		return p.filedAlready(w, r, err)
	}
	if len(uploads(&v)) == 0 {
		return web.SeeOther(w, r, p.resumeURL(&v))
	}
	page := p.papersPage(r, &v, nil)
	page.Return = returnTo(web.Query(r))
	return p.render(w, r, "apply_papers", page)
}

// applyPapersAdd takes the files in and goes on when nothing is missing.
func (p *Pages) applyPapersAdd(w http.ResponseWriter, r *http.Request) error {
	form, files, err := web.ReadUpload(w, r, maxUpload)
	if err != nil {
		return err
	}
	id := r.PathValue("draft")
	v, err := p.Portal.Draft(r.Context(), who(r), id)
	if err != nil {
		return p.filedAlready(w, r, err)
	}
	var problems ui.Problems
	for _, up := range files {
		paper, ok := strings.CutPrefix(up.Field, "paper.")
		if !ok {
			continue
		}
		err := p.Portal.AddPaper(r.Context(), who(r), id, services.Upload{Paper: paper, File: up.Name, Media: sniff(up.Data), Content: up.Data})
		if problem, ok := problemOf(up.Field, err); err != nil && ok {
			problems = append(problems, problem)
		} else if err != nil {
			return err
		}
	}
	if v, err = p.Portal.Draft(r.Context(), who(r), id); err != nil {
		return err
	}
	stay := form.Get("stay") != ""
	for _, n := range uploads(&v) {
		field := paperField(n.ID)
		if !stay && n.Required && len(filesOf(&v, n.ID)) == 0 && problems.For(field) == nil {
			problems.Add(field, "services.paper.missing", "paper", n.Name.In(ui.NewPage(r, "").Lang))
		}
	}
	switch {
	case len(problems) > 0:
		page := p.papersPage(r, &v, problems)
		page.Return = returnTo(form)
		return p.invalid(w, r, "apply_papers", page)
	case stay:
		return web.SeeOther(w, r, applyURL(id, stopPapers))
	}
	return web.SeeOther(w, r, p.resumeURL(&v))
}

// applyPapersRemove takes a file out again.
func (p *Pages) applyPapersRemove(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	id := r.PathValue("draft")
	if err := p.Portal.RemovePaper(r.Context(), who(r), id, form.Get("sha")); err != nil {
		return err
	}
	return web.SeeOther(w, r, applyURL(id, stopPapers))
}

func (p *Pages) papersPage(r *http.Request, v *services.DraftView, problems ui.Problems) applyPapersPage {
	page := applyPapersPage{Page: ui.NewPage(r, "services.papers.title"), Draft: v.Draft.ID}
	page.Problems = problems
	back, _, at, of := p.around(v, stopPapers)
	page.Back, page.Stepper = back, ui.Stepper{Step: at, Of: of, Name: v.Procedure.Name.In(page.Lang)}
	for _, n := range uploads(v) {
		page.Papers = append(page.Papers, paperSlotOf(page.Page, n, filesOf(v, n.ID)))
	}
	page.Next = ui.Button{Text: page.T("services.apply.next")}
	page.Stay = ui.Button{Text: page.T("services.papers.stay"), Kind: "secondary", Name: "stay", Value: "1"}
	return page
}

func paperSlotOf(page ui.Page, n bundle.PaperNeed, files []services.PaperRef) paperSlot {
	slot := paperSlot{Name: n.Name.In(page.Lang), Tag: ui.Tag{Text: page.T("services.paper.upload"), Tone: ui.Soon}}
	if !n.Required {
		slot.Tag = ui.Tag{Text: page.T("services.paper.optional")}
	}
	if len(files) > 0 {
		slot.Tag = ui.Tag{Text: page.T("services.paper.have"), Tone: ui.Done}
	}
	for _, f := range files {
		slot.Files = append(slot.Files, paperFile{Name: f.File, Size: size(page.Lang, f.Size), SHA: f.SHA256, FormID: "form-remove-" + f.ID + "-" + f.SHA256[:8]})
	}
	if n.MaxFiles == 0 || len(files) < n.MaxFiles {
		slot.Input = fileInput(page, n)
		if len(files) > 0 {
			slot.Input.Label = page.T("services.papers.more", "paper", slot.Name)
		}
	}
	return slot
}

func fileInput(page ui.Page, n bundle.PaperNeed) *ui.File {
	in := &ui.File{Name: paperField(n.ID), Label: n.Name.In(page.Lang), Hint: n.Hint.In(page.Lang), Multiple: n.MaxFiles != 1, Error: page.Problems.For(paperField(n.ID))}
	in.Accept, in.MaxMB = limits(n.Accept, n.MaxBytes)
	return in
}
