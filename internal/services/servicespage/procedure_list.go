package servicespage

import (
	"net/http"
	"slices"

	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// procedureListPage is procedure_list.html.
type procedureListPage struct {
	ui.Page
	Search ui.Search
	Count  string
	Items  []procedureItem
	Empty  *ui.Empty
}

type procedureItem struct {
	Name, Summary, URL string
	Tags               []ui.Tag
}

// procedureList finds procedures by words, with or without accents, or by life event.
func (p *Pages) procedureList(w http.ResponseWriter, r *http.Request) error {
	query := web.Query(r)
	q, event := clip(query.Get("q"), 200), clip(query.Get("event"), 60)
	page := procedureListPage{Page: ui.NewPage(r, "services.list.title")}
	page.Back, page.Search = "/", p.searchBox(page.Page, q, false)
	found := p.Portal.Library.Search(q)
	if event != "" {
		found = slices.DeleteFunc(slices.Clone(found), func(x *bundle.Procedure) bool { return !slices.Contains(x.LifeEvents, event) })
		if p.Messages.Has("vi", "services.life."+event) {
			page.Title = page.T("services.life." + event)
		}
	}
	if q != "" {
		page.Title = page.T("services.list.title_for", "q", q)
	}
	offers, err := p.Portal.Offers(r.Context(), "")
	if err != nil {
		return err
	}
	offices := map[string]int{}
	for _, o := range offers {
		offices[o.Procedure]++
	}
	for _, proc := range found {
		item := procedureItem{Name: proc.Name.In(page.Lang), Summary: proc.Summary.In(page.Lang), URL: procedureURL(proc.Code)}
		item.Tags = []ui.Tag{modeTag(page.Page, proc)}
		if offices[proc.Code] == 0 {
			item.Tags = append(item.Tags, ui.Tag{Text: page.T("services.list.not_offered")})
		}
		page.Items = append(page.Items, item)
	}
	page.Count = page.T("services.list.count", "n", len(found))
	if len(found) == 0 {
		page.Empty = &ui.Empty{
			Title: page.T("services.list.empty"), Text: page.T("services.list.empty_text"),
			Action: &ui.Button{Text: page.T("services.list.all"), URL: "/procedures", Kind: "secondary"},
		}
	}
	return p.render(w, r, "procedure_list", page)
}

func modeTag(page ui.Page, proc *bundle.Procedure) ui.Tag {
	if proc.Service.Mode == "full" {
		return ui.Tag{Text: page.T("services.mode.full"), Tone: ui.Done}
	}
	return ui.Tag{Text: page.T("services.mode.partial"), Tone: ui.Info}
}

// clip bounds a text to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
