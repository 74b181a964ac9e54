package ui

import (
	"embed"
	"net/http"

	"truc/internal/errs"
)

//go:embed pages/*.html
var pagesFS embed.FS

type errorPage struct {
	Page
	Status  int
	Message string // what happened, if the error says more than its kind
	Meaning string
	Todo    string
	SignIn  bool
}

// RenderError draws the page of a failed request: what happened, what it means, what to do, and the request id for
// the help desk.
func (rd *Renderer) RenderError(w http.ResponseWriter, r *http.Request, kind errs.Kind, status int, key string, args ...any) error {
	name := kind.String()
	if status == http.StatusMethodNotAllowed {
		name = "method"
	}
	p := errorPage{Page: NewPage(r, ""), Status: status, SignIn: kind == errs.Unauthenticated}
	p.bare = kind != errs.Unauthenticated
	p.Title = rd.t(p.Lang, "error."+name+".title")
	p.Meaning = rd.t(p.Lang, "error."+name+".meaning")
	p.Todo = rd.t(p.Lang, "error."+name+".todo")
	if key != "error."+name {
		p.Message = rd.t(p.Lang, key, args...)
	}
	return rd.pages.Render(w, r, status, "error", p)
}
