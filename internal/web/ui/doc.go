// Package ui is the look of every page: layouts, components, style sheet, typeface and charts, drawn on the server.
//
// A page package embeds its templates and parses them once at start with [Renderer.Parse]. A page is a file that
// defines "main"; files without it are partials of that package. The page struct embeds [Page], made by [NewPage]:
//
//	type applyPage struct {
//		ui.Page
//		Name ui.Input
//	}
//
//	p := applyPage{Page: ui.NewPage(r, "services.apply.title")}
//	p.Name = ui.Input{Name: "name", Label: p.T("services.apply.name"), Error: problems.For("name")}
//	return pages.tmpl.Render(w, r, http.StatusOK, "apply", p)
//
//	{{define "main"}}<h1 class="tr-h1">{{.Title}}</h1>
//	<form method="post">{{template "ui/input" .Name}}{{template "ui/button" .Next}}</form>{{end}}
//
// In templates {{t "key" "name" value}} (also {{t .Lang "key"}} and {{.T "key"}}), {{date x}}, {{datetime x}},
// {{longdate x}}, {{money n}}, {{number n}}, {{asset "file"}} and {{icon "name"}} are at hand, in the language of the
// page. Components are the templates "ui/<name>", each drawing the struct of that name from this package.
//
// Patterns of markup and behaviour follow the GOV.UK Design System (MIT); style sheet and typeface are our own,
// under the class prefix "tr-". ui knows no module and no session.
package ui
