// Package servicesdesk draws the officers' one-stop desk: the worklist of a unit, a dossier with everything that is
// known about it, and a page for each action.
//
// A handler asks [services.Desk], which decides who may do what; nothing is allowed here because a button was shown.
// What a procedure's actions ask comes from its bundle: this package knows widgets, not procedures. Pages are dense,
// need no JavaScript, and keep what was typed when something goes wrong: a register that is down, a colleague who was
// faster, a field left empty.
package servicesdesk

import (
	"embed"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var templatesFS embed.FS

// Pages are the pages of the one-stop desk.
type Pages struct {
	Desk     *services.Desk
	Renderer *ui.Renderer
	Messages *i18n.Catalogue
	Now      func() time.Time
	Log      *slog.Logger
	// OfficerName names an account in lists; nil or "" leaves the account.
	OfficerName func(account string) string

	templates *ui.Templates
}

// maxForm bounds the body of every form of the desk.
const maxForm = 256 << 10

// Mount registers the routes: all of them, with who may use them. An administrator sees the worklist and no dossier.
func (p *Pages) Mount(mux *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(templatesFS, "*.html"); err != nil {
		return err
	}
	desk := func(pattern string, h web.HandlerFunc) {
		mux.Handle(pattern, web.RequireOfficer(h, "reception", "officer", "head"))
	}
	mux.Handle("GET /desk", web.RequireOfficer(p.worklist, "reception", "officer", "head", "admin"))
	desk("GET /desk/dossiers/{number}", p.dossier)
	desk("GET /desk/dossiers/{number}/act/{action}", p.act)
	desk("POST /desk/dossiers/{number}/act/{action}", p.actDo)
	desk("POST /desk/dossiers/{number}/check", p.check)
	desk("POST /desk/dossiers/{number}/opinion", p.opinion)
	desk("GET /desk/dossiers/{number}/documents/{doc}", p.document)
	desk("GET /desk/dossiers/{number}/papers/{sha}", p.paper)
	desk("GET /desk/dossiers/{number}/preview", p.preview)
	return nil
}

func who(r *http.Request) reqctx.Principal { return reqctx.PrincipalOf(r.Context()) }

// newPage is [ui.NewPage] in the frame of officers.
func newPage(r *http.Request, titleKey string, args ...any) ui.Page {
	page := ui.NewPage(r, titleKey, args...)
	page.Layout = ui.Officer
	return page
}

func dossierURL(number string, more ...string) string {
	var u strings.Builder
	u.WriteString("/desk/dossiers/" + url.PathEscape(number))
	for _, m := range more {
		u.WriteString("/" + url.PathEscape(m))
	}
	return u.String()
}

// stateTag says a state with the colour of its national code.
func stateTag(state *bundle.State, lang string) ui.Tag {
	if state == nil {
		return ui.Tag{}
	}
	t := ui.Tag{Text: state.Phase.In(lang)}
	switch state.National {
	case 2, 4:
		t.Tone = ui.Info
	case 5, 6:
		t.Tone = ui.Soon
	case 9, 10:
		t.Tone = ui.Done
	case 3, 8:
		t.Tone = ui.Late
	}
	return t
}

// text says an error to a person.
func (p *Pages) text(lang string, err error) string {
	key, args := errs.KeyOf(err)
	if !p.Messages.Has("vi", key) {
		key, args = "error."+errs.KindOf(err).String(), nil
	}
	return p.Messages.T(lang, key, args...)
}

// reason says why an action is not allowed.
func (p *Pages) reason(lang string, r bundle.Reason) string {
	switch {
	case len(r.Text) > 0:
		return r.Text.In(lang)
	case r.Key == "services.sign.no_record":
		return p.Messages.T(lang, "desk.reason.no_record")
	case r.Key == "":
		return p.Messages.T(lang, "desk.reason.not_now")
	}
	return p.Messages.T(lang, r.Key, r.Args...)
}

// registerName names the register of "population/person" or "population/person#fullName"; "profile#phone" is an
// earlier filing of the same person.
func (p *Pages) registerName(lang, service string) string {
	name, _, _ := strings.Cut(service, "/")
	name, _, _ = strings.Cut(name, "#")
	if key := "desk.register." + name; p.Messages.Has("vi", key) {
		return p.Messages.T(lang, key)
	}
	return name
}

func (p *Pages) roleName(lang, role string) string {
	if key := "desk.role." + role; p.Messages.Has("vi", key) {
		return p.Messages.T(lang, key)
	}
	return role
}

var identityShape = regexp.MustCompile(`^[0-9]{12}$`)

// masked hides the middle of a personal number. An officer asks to see it whole when it must be compared.
func masked(value string, whole bool) string {
	if whole || !identityShape.MatchString(value) {
		return value
	}
	return value[:4] + "•••••" + value[9:]
}

var dayShape = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

// plainDate writes a date of a register as people do.
func plainDate(value string) string {
	if dayShape.MatchString(value) {
		if t, err := time.ParseInLocation(time.DateOnly, value, i18n.Zone); err == nil {
			return i18n.Date(t)
		}
	}
	return value
}
