package identitypage

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"truc/internal/errs"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// loginPage is login.html.
type loginPage struct {
	ui.Page
	// Fault says why the last attempt failed.
	Fault    *ui.Notice
	SignedIn *ui.Inset
	Choices  []loginChoice
}

type loginChoice struct {
	Text   string
	Button ui.Button
}

// login offers the ways to sign in. It does not ask the provider, which may be slow or down.
func (p *Pages) login(w http.ResponseWriter, r *http.Request) error {
	return p.renderLogin(w, r, web.SafeNext(r.URL.Query().Get("next")), nil)
}

func (p *Pages) renderLogin(w http.ResponseWriter, r *http.Request, next string, fault error) error {
	page := loginPage{Page: ui.NewPage(r, "identity.login.title")}
	status := http.StatusOK
	if fault != nil {
		key, args := errs.KeyOf(fault)
		status = errs.KindOf(fault).Status()
		page.Error = true
		page.Fault = &ui.Notice{Title: page.T("identity.login.failed"), Text: page.T(key, args...), Tone: ui.Late, Alert: true}
	}
	if who := page.Principal; !who.Anonymous() {
		page.SignedIn = &ui.Inset{Text: page.T("identity.login.already", "name", who.Name)}
	}
	for i, kind := range p.Kinds {
		b := ui.Button{
			Text: page.T("identity.login.as_" + string(kind)),
			URL:  "/login/start?" + url.Values{"kind": {string(kind)}, "next": {next}}.Encode(),
		}
		if i > 0 {
			b.Kind = "secondary"
		}
		page.Choices = append(page.Choices, loginChoice{Text: page.T("identity.login.text_" + string(kind)), Button: b})
	}
	return p.templates.Render(w, r, status, "login", page)
}

// start sends the browser to the provider. It is a link and no form because browsers hold the redirects after a
// form against the address they know; nothing is changed here but a cookie of this browser.
func (p *Pages) start(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	next := web.SafeNext(q.Get("next"))
	kind := reqctx.PrincipalKind(q.Get("kind"))
	if !slices.Contains(p.Kinds, kind) {
		return errs.E(errs.NotFound, "identity.kind_unknown", nil)
	}
	flow, err := p.Service.NewFlow(kind, next)
	if err != nil {
		return err
	}
	to, err := p.Provider.AuthURL(r.Context(), flow)
	if err != nil {
		return p.failed(w, r, next, err)
	}
	sealed, err := p.Sealer.Seal(flow)
	if err != nil {
		return err
	}
	p.Sessions.setFlow(w, sealed)
	w.Header().Set("Cache-Control", "no-store")
	return web.SeeOther(w, r, to)
}

// failed shows what went wrong on the page where one can try again. A fault of ours goes to the error page.
func (p *Pages) failed(w http.ResponseWriter, r *http.Request, next string, err error) error {
	if errs.Is(err, errs.Internal) {
		return err
	}
	p.Log.LogAttrs(r.Context(), slog.LevelWarn, "sign-in failed", slog.String("kind", errs.KindOf(err).String()),
		slog.String("request_id", reqctx.RequestID(r.Context())), slog.Any("error", err))
	return p.renderLogin(w, r, next, err)
}

// endedPage is ended.html.
type endedPage struct {
	ui.Page
	Text     string
	Provider *ui.Action
	Again    ui.Button
}

// logout ends the session here. Ending it at the provider as well is a link on the next page: the provider may
// serve other sites that the person is using.
func (p *Pages) logout(w http.ResponseWriter, r *http.Request) error {
	if err := p.Sessions.SignOut(w, r); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/login/ended")
}

func (p *Pages) ended(w http.ResponseWriter, r *http.Request) error {
	page := endedPage{Page: ui.NewPage(r, "identity.ended.title")}
	page.Text = page.T("identity.ended.text")
	page.Again = ui.Button{Text: page.T("identity.ended.again"), URL: "/login", Kind: "secondary"}
	if u := p.Provider.EndURL(r.Context(), p.BaseURL+"/"); u != "" {
		page.Provider = &ui.Action{Text: page.T("identity.ended.provider"), URL: u}
	}
	return p.templates.Render(w, r, http.StatusOK, "ended", page)
}
