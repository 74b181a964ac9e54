package directorypage

import (
	"net/http"

	"truc/internal/web/ui"
)

// overview is the operation that opens the first page: at the center it shows the registry.
func (p *Pages) overview() string {
	if p.Center != nil {
		return "getDirectory"
	}
	return "getOwnKeys"
}

// sections are the pages of the directory, each with the operation that opens it.
func (p *Pages) sections() []ui.NavItem {
	items := []ui.NavItem{{Key: "directory.admin.title", URL: "/directory/admin", Operation: p.overview()}}
	if p.Own != nil {
		items = append(items, ui.NavItem{Key: "directory.keys.title", URL: "/directory/admin/keys", Operation: "getOwnKeys"})
	}
	if p.Center != nil {
		items = append(items,
			ui.NavItem{Key: "directory.groups.title", URL: "/directory/admin/groups", Operation: "getDirectory"},
			ui.NavItem{Key: "directory.subsystems.title", URL: "/directory/admin/subsystems", Operation: "getDirectory"})
	}
	return items
}

// First returns the first page of the directory that a person may open, who may use the operations that may allows;
// empty when there is none.
func First(center bool, may func(operation string) bool) string {
	switch {
	case center && may("getDirectory"), !center && may("getOwnKeys"):
		return "/directory/admin"
	case may("getOwnKeys"):
		return "/directory/admin/keys"
	}
	return ""
}

// page is an administrator's page, with the navigation among the pages of the directory.
func (p *Pages) page(r *http.Request, key string, args ...any) ui.Page {
	pg := ui.NewPage(r, key, args...)
	pg.Layout = ui.Officer
	pg.Section = ui.Section{Title: pg.T("directory.pages"), Items: pg.Permitted(p.sections())}
	return pg
}
