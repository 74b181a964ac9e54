// Package documentspage draws the document desk of an agency: what waits for the officer who looks, the lists and
// registers, a document with everything known about it, and a page for each act.
//
// A handler asks [documents.Desk], which decides who may do what; a button that is shown promises nothing. Pages need no
// JavaScript, keep what was typed when something goes wrong, and say limits of the law in words. Files go through here as
// streams: an attachment may be larger than the memory.
package documentspage

import (
	"embed"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"truc/internal/documents"
	"truc/internal/documents/paper"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var templatesFS embed.FS

// Pages are the pages of the document desk.
type Pages struct {
	Desk     *documents.Desk
	Renderer *ui.Renderer
	Messages *i18n.Catalogue
	// Actor turns who is signed in into who acts: the title comes from the table of officers.
	Actor func(p reqctx.Principal) documents.Actor
	// Print writes a register as "pdf", "docx" or "csv" and returns its media type.
	Print func(t documents.Table, format string) (file []byte, media string, err error)
	// Word writes a document as DOCX; nil offers none.
	Word func(doc documents.Paper) (paper.File, error)
	Now  func() time.Time
	Log  *slog.Logger

	templates *ui.Templates
}

const (
	// maxForm bounds forms without files: a document's text is the longest thing in one.
	maxForm = 2 << 20
	// perPage is how many rows a list shows.
	perPage = 50
)

// Mount registers the routes: all of them, with who may use them.
func (p *Pages) Mount(mux *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(templatesFS, "*.html"); err != nil {
		return err
	}
	desk := func(pattern string, h web.HandlerFunc) {
		mux.Handle(pattern, web.RequireOfficer(h, documents.RoleOfficer, documents.RoleHead, documents.RoleClerk))
	}
	books := func(pattern string, h web.HandlerFunc) {
		mux.Handle(pattern, web.RequireOfficer(h, documents.RoleHead, documents.RoleClerk))
	}
	desk("GET /documents", p.home)
	desk("GET /documents/in", p.incomingList)
	desk("GET /documents/out", p.outgoingList)
	desk("GET /documents/search", p.search)
	desk("GET /documents/out/new", p.draftNew)
	desk("POST /documents/out/new", p.draftNewDo)
	desk("GET /documents/out/{id}", p.outgoing)
	desk("GET /documents/out/{id}/edit", p.draftEdit)
	desk("POST /documents/out/{id}/edit", p.draftEditDo)
	desk("POST /documents/out/{id}/attach", p.attach)
	desk("POST /documents/out/{id}/detach", p.detach)
	desk("GET /documents/out/{id}/preview", p.preview)
	if p.Word != nil {
		desk("GET /documents/out/{id}/word", p.word)
	}
	desk("GET /documents/out/{id}/do/{act}", p.outgoingAct)
	desk("POST /documents/out/{id}/do/{act}", p.outgoingActDo)
	desk("GET /documents/out/{id}/files/{file}", p.file)
	desk("GET /documents/out/{id}/receipts/{sha}", p.receipt)
	books("GET /documents/in/enter", p.enter)
	books("POST /documents/in/enter", p.enterDo)
	desk("GET /documents/in/{id}", p.incoming)
	desk("GET /documents/in/{id}/check", p.check)
	desk("GET /documents/in/{id}/do/{act}", p.incomingAct)
	desk("POST /documents/in/{id}/do/{act}", p.incomingActDo)
	desk("GET /documents/in/{id}/files/{file}", p.file)
	desk("GET /documents/in/{id}/slip", p.slip)
	desk("GET /documents/in/{id}/stamp", p.stamp)
	books("GET /documents/registers", p.registers)
	books("GET /documents/registers/{book}", p.register)
	books("GET /documents/statistics", p.statistics)
	return nil
}

func (p *Pages) who(r *http.Request) documents.Actor { return p.Actor(reqctx.PrincipalOf(r.Context())) }

// newPage is [ui.NewPage] in the frame of officers, with the neighbours of the desk.
func (p *Pages) newPage(r *http.Request, titleKey string) ui.Page {
	page := ui.NewPage(r, titleKey)
	page.Layout = ui.Officer
	page.Section.Title = page.T("docs.nav.title")
	add := func(url, key string) {
		page.Section.Items = append(page.Section.Items, ui.NavItem{Text: page.T(key), URL: url})
	}
	add("/documents", "docs.nav.home")
	add("/documents/in", "docs.nav.in")
	add("/documents/out", "docs.nav.out")
	add("/documents/search", "docs.nav.search")
	if page.Principal.Has(documents.RoleClerk) || page.Principal.Has(documents.RoleHead) {
		add("/documents/registers", "docs.nav.registers")
		add("/documents/statistics", "docs.nav.statistics")
	}
	return page
}

func documentURL(dir documents.Direction, id string, more ...string) string {
	var u strings.Builder
	u.WriteString("/documents/" + string(dir) + "/" + url.PathEscape(id))
	for _, m := range more {
		u.WriteString("/" + url.PathEscape(m))
	}
	return u.String()
}

// text says an error to a person.
func (p *Pages) text(lang string, err error) string {
	key, args := errs.KeyOf(err)
	if !p.Messages.Has("vi", key) {
		key, args = "error."+errs.KindOf(err).String(), nil
	}
	return p.Messages.T(lang, key, args...)
}

// stateTag says a state with its colour.
func stateTag(page ui.Page, s documents.State) ui.Tag {
	t := ui.Tag{Text: page.T(s.Key())}
	switch s {
	case documents.Sent, documents.Done:
		t.Tone = ui.Done
	case documents.Reviewing, documents.Approved, documents.Numbered, documents.Signed, documents.Issued, documents.Arrived, documents.Accepted:
		t.Tone = ui.Soon
	case documents.Assigned, documents.Working:
		t.Tone = ui.Info
	case documents.Refused, documents.Revoked, documents.Cancelled:
		t.Tone = ui.Late
	case documents.Drafting, documents.Discarded, documents.Replaced:
	}
	return t
}

// urgencyTag names a degree of urgency; nil for none.
func urgencyTag(page ui.Page, u documents.Urgency) *ui.Tag {
	if u == documents.Normal {
		return nil
	}
	return &ui.Tag{Text: page.T(u.Key()), Tone: ui.Late}
}

// clock says how a limit of the law stands, in words first.
func (p *Pages) clock(page ui.Page, due time.Time, c documents.Clock) ui.Clock {
	if due.IsZero() {
		return ui.Clock{}
	}
	now := p.Now()
	left := p.Desk.Calendar().Remaining(now, due)
	out := ui.Clock{Words: page.T(c.Key()) + ": " + left.Text(p.Messages, page.Lang), Tone: ui.Done}
	switch {
	case left.Overdue:
		out.Tone = ui.Late
	case due.Sub(now) < 24*time.Hour:
		out.Tone = ui.Soon
	}
	return out
}

// day writes "2006-01-02" as people do.
func day(s string) string {
	t, err := time.ParseInLocation(time.DateOnly, s, i18n.Zone)
	if err != nil {
		return s
	}
	return i18n.Date(t)
}

// typeName names a type by its code; a name that no list knows stands for itself.
func typeName(code string) string {
	if t, ok := documents.TypeOf(code); ok {
		return t.Name
	}
	return code
}

// size says how large a file is.
func size(lang string, bytes int64) string {
	if bytes < 1<<20 {
		return i18n.Number(lang, max(1, bytes>>10)) + " kB"
	}
	s := i18n.Number(lang, bytes>>20)
	if bytes < 100<<20 {
		point := ","
		if lang == "en" {
			point = "."
		}
		s += point + i18n.Number(lang, bytes*10>>20%10)
	}
	return s + " MB"
}

// lines splits a text into its lines that are not empty.
func lines(s string) []string {
	var out []string
	for l := range strings.SplitSeq(s, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// statusOf is the status of a form that was not taken: 422 for what is wrong in it.
func statusOf(err error) int {
	if errs.Is(err, errs.Invalid) {
		return http.StatusUnprocessableEntity
	}
	return web.StatusOf(err)
}
