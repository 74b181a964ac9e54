package servicespage

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"truc/internal/reqctx"
	"truc/internal/services/bundle"
	"truc/internal/web/ui"
)

// homePage is home.html.
type homePage struct {
	ui.Page
	Search ui.Search
	// Ask is what waits for the person, before anything else.
	Ask    []ui.Notice
	Common []ui.Action
	Events []ui.Action
}

// commonCount is how many procedures the home page names.
const commonCount = 6

// home asks one question: what do you need to do?
func (p *Pages) home(w http.ResponseWriter, r *http.Request) error {
	page := homePage{Page: ui.NewPage(r, "services.home.title")}
	page.Search = p.searchBox(page.Page, "", true)
	offers, err := p.Portal.Offers(r.Context(), "")
	if err != nil {
		return err
	}
	offered := map[string]bool{}
	for _, o := range offers {
		offered[o.Procedure] = true
	}
	all := p.Portal.Library.All()
	slices.SortStableFunc(all, func(a, b *bundle.Procedure) int { // what can be filed now comes first
		return boolRank(offered[b.Code]) - boolRank(offered[a.Code])
	})
	for _, proc := range all[:min(commonCount, len(all))] {
		page.Common = append(page.Common, ui.Action{Text: proc.Name.In(page.Lang), URL: procedureURL(proc.Code)})
	}
	page.Events = p.lifeEvents(page.Page, all)
	if me := who(r); me.Kind == reqctx.Citizen {
		page.Ask = p.waiting(r, page.Page, me)
	}
	return p.render(w, r, "home", page)
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func procedureURL(code string) string { return "/procedures/" + url.PathEscape(code) }

func (p *Pages) searchBox(page ui.Page, value string, big bool) ui.Search {
	return ui.Search{
		Label: page.T("services.home.question"), Hint: page.T("services.home.hint"), Action: "/procedures", Name: "q", Value: value, Big: big,
	}
}

// lifeEvents links the groups that have a procedure and a name, in the order they appear.
func (p *Pages) lifeEvents(page ui.Page, all []*bundle.Procedure) []ui.Action {
	var out []ui.Action
	seen := map[string]bool{}
	for _, proc := range all {
		for _, e := range proc.LifeEvents {
			key := "services.life." + e
			if seen[e] || !p.Messages.Has("vi", key) {
				continue
			}
			seen[e] = true
			out = append(out, ui.Action{Text: page.T(key), URL: "/procedures?event=" + url.QueryEscape(e)})
		}
	}
	return out
}

// waiting lists filings that wait for the person. The page shows without them when they cannot be read.
func (p *Pages) waiting(r *http.Request, page ui.Page, me reqctx.Principal) []ui.Notice {
	filings, err := p.Portal.Filings(r.Context(), me)
	if err != nil {
		p.Log.WarnContext(r.Context(), "the home page shows without what waits for the person", slog.Any("error", err))
		return nil
	}
	var out []ui.Notice
	for _, f := range filings {
		proc := p.Portal.Library.At(f.VersionHash)
		if proc == nil || f.Summary.Supplement == nil || f.Summary.Answered || !f.Summary.Paused {
			continue
		}
		n := ui.Notice{
			Tone: ui.Soon, Title: page.T("services.home.supplement", "name", proc.Name.In(page.Lang)), Text: page.T("services.filing.number_is", "number", f.Number),
			Action: &ui.Action{Text: page.T("services.home.supplement_do"), URL: filingURL(f.ID) + "/supplement", Hidden: f.Number},
		}
		if d := f.Summary.Supplement.Data.Deadline; d != nil {
			n.Text = page.T("services.filing.number_before", "number", f.Number, "due", instant(page.Lang, *d))
		}
		out = append(out, n)
	}
	return out
}

func filingURL(id string) string { return "/filings/" + url.PathEscape(id) }
