package servicespage

import (
	"net/http"
	"net/url"
	"slices"

	"truc/internal/errs"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// A draft is walked in this order: the question pages that the answers lead through, the papers to upload if any,
// the check page. A page that only asks for a declaration is shown on the check page instead, because people
// declare what they have just read.

// The stops of the way that are not pages of the form.
const (
	stopPapers = "papers"
	stopCheck  = "check"
)

// onlyDeclares reports whether a page asks for nothing but declarations.
func onlyDeclares(pg *bundle.Page) bool {
	for _, f := range pg.Fields {
		if f.Widget != bundle.Declaration {
			return false
		}
	}
	return len(pg.Fields) > 0
}

// stops lists the way through a draft as it stands.
func (p *Pages) stops(v *services.DraftView) []string {
	var out []string
	for _, pg := range v.Form.Visible(v.Facts) {
		if !onlyDeclares(pg) {
			out = append(out, pg.ID)
		}
	}
	if len(uploads(v)) > 0 {
		out = append(out, stopPapers)
	}
	return append(out, stopCheck)
}

// uploads lists the papers a person may upload for a draft: those required, and those that are always optional.
func uploads(v *services.DraftView) []bundle.PaperNeed {
	needs, err := v.Procedure.Papers(v.Case, v.Facts)
	if err != nil {
		return nil // the check page tells
	}
	var out []bundle.PaperNeed
	for _, n := range needs {
		if n.Form == "" && !n.KnownByState && !n.Unknown && (n.Required || !n.Conditional) {
			out = append(out, n)
		}
	}
	return out
}

func filesOf(v *services.DraftView, paper string) []services.PaperRef {
	var out []services.PaperRef
	for _, ref := range v.Draft.Body.Papers {
		if ref.ID == paper {
			out = append(out, ref)
		}
	}
	return out
}

func applyURL(draft, stop string) string {
	u := "/apply/" + url.PathEscape(draft)
	if stop != "" {
		u += "/" + url.PathEscape(stop)
	}
	return u
}

// stopDone reports whether a stop needs nothing more.
func (p *Pages) stopDone(v *services.DraftView, stop string) bool {
	if stop == stopPapers {
		for _, n := range uploads(v) {
			if n.Required && len(filesOf(v, n.ID)) == 0 {
				return false
			}
		}
		return true
	}
	pg := v.Form.Page(stop)
	if pg == nil || len(v.Form.ValidatePage(pg, v.Facts)) > 0 {
		return false
	}
	return slices.Contains(v.Draft.Body.Done, stop)
}

// asked reports whether the answers lead to a page: another answer may have closed it since it was bookmarked.
func (p *Pages) asked(v *services.DraftView, pg *bundle.Page) bool {
	return slices.Contains(v.Form.Visible(v.Facts), pg)
}

// resumeURL leads to the first stop that is not done.
func (p *Pages) resumeURL(v *services.DraftView) string {
	stops := p.stops(v)
	for _, s := range stops[:len(stops)-1] {
		if !p.stopDone(v, s) {
			return applyURL(v.Draft.ID, s)
		}
	}
	return applyURL(v.Draft.ID, stopCheck)
}

// around returns the addresses before and after a stop, its place and the number of stops.
func (p *Pages) around(v *services.DraftView, stop string) (back, next string, at, of int) {
	stops := p.stops(v)
	back, next, of = "/filings", applyURL(v.Draft.ID, stopCheck), len(stops)
	for i, s := range stops {
		if s != stop {
			continue
		}
		at = i + 1
		if i > 0 {
			back = applyURL(v.Draft.ID, stops[i-1])
		}
		if i+1 < len(stops) {
			next = applyURL(v.Draft.ID, stops[i+1])
		}
	}
	if at == 0 { // a declaration page that somebody opened by its address
		at = of
	}
	return back, next, at, of
}

func (p *Pages) applyResume(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Portal.Draft(r.Context(), who(r), r.PathValue("draft"))
	if err != nil {
		return p.filedAlready(w, r, err)
	}
	return web.SeeOther(w, r, p.resumeURL(&v))
}

// filedAlready leads from a draft that was submitted to its filing: people come back by bookmarks and the back
// button, and a filing keeps the id of its draft.
func (p *Pages) filedAlready(w http.ResponseWriter, r *http.Request, err error) error {
	if !errs.Is(err, errs.NotFound) {
		return err
	}
	f, ferr := p.Portal.Filing(r.Context(), who(r), r.PathValue("draft"))
	if ferr != nil {
		return err
	}
	return web.SeeOther(w, r, filingURL(f.ID))
}

// applyWrong marks a value of a register as wrong; the page then asks for it.
func (p *Pages) applyWrong(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	id := r.PathValue("draft")
	if err := p.Portal.ReportWrong(r.Context(), who(r), id, bundle.Pointer(form.Get("ptr"))); err != nil {
		return err
	}
	ui.Flash(w, "services.apply.wrong_done")
	return p.backToPage(w, r, id, form.Get("page"))
}

// applyRefill asks the registers again.
func (p *Pages) applyRefill(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	id := r.PathValue("draft")
	if err := p.Portal.Refill(r.Context(), who(r), id); err != nil {
		return err
	}
	return p.backToPage(w, r, id, form.Get("page"))
}

func (p *Pages) backToPage(w http.ResponseWriter, r *http.Request, id, page string) error {
	v, err := p.Portal.Draft(r.Context(), who(r), id)
	if err != nil {
		return err
	}
	if v.Form.Page(page) == nil {
		return web.SeeOther(w, r, p.resumeURL(&v))
	}
	return web.SeeOther(w, r, applyURL(id, page))
}

// applyDelete throws a draft away.
func (p *Pages) applyDelete(w http.ResponseWriter, r *http.Request) error {
	if err := p.Portal.DeleteDraft(r.Context(), who(r), r.PathValue("draft")); err != nil {
		return err
	}
	ui.Flash(w, "services.draft.deleted")
	return web.SeeOther(w, r, "/filings")
}
