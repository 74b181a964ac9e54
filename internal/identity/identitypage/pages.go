// Package identitypage holds the pages of signing in and out and the person's own account, and the cookie that
// carries a session.
//
// A sign-in passes three handlers: the choice (login.go), the way to the provider and the way back (callback.go).
// What ties the way back to the browser that left is a sealed cookie, so that an attempt costs the node nothing.
package identitypage

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"time"

	"truc/internal/errs"
	"truc/internal/identity"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var files embed.FS

// Pages are the pages of signing in.
type Pages struct {
	Service  *identity.Service
	Sessions *Sessions
	Provider identity.Provider
	Sealer   *identity.Sealer
	// Kinds are the ways to sign in that this node offers, in the order shown: Citizen, Officer or both.
	Kinds []reqctx.PrincipalKind
	// BaseURL is the public address of the node without a slash at the end; the provider leads back to it after
	// signing out.
	BaseURL  string
	Renderer *ui.Renderer
	Now      func() time.Time
	Log      *slog.Logger
	// Failed, when set, is told of an attempt that failed before the node knew who it was.
	Failed func(ctx context.Context, kind reqctx.PrincipalKind, fault error)

	templates *ui.Templates
}

// Mount adds the routes. Everybody may reach them; account pages lead those who are not signed in to /login.
func (p *Pages) Mount(mux *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	mux.Handle("GET /login", p.login)
	mux.Handle("GET /login/start", p.start)
	mux.Handle("GET /login/callback", p.callback)
	mux.Handle("GET /login/ended", p.ended)
	mux.Handle("POST /logout", p.logout)
	mux.Handle("GET /login/account", signedIn(p.account))
	mux.Handle("POST /login/account/revoke", signedIn(p.accountRevoke))
	return nil
}

// signedIn lets anybody through who is somebody.
func signedIn(h web.HandlerFunc) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if reqctx.PrincipalOf(r.Context()).Anonymous() {
			return web.SeeOther(w, r, "/login?next=/login/account")
		}
		return h(w, r)
	}
}

// Sessions carries sessions in a cookie.
type Sessions struct {
	Service *identity.Service
	// Cookie names the cookie. Cookies ignore ports, so every node of a machine needs a name of its own:
	// "truc_" and the member code.
	Cookie string
	// HTTPS says that people reach the site by https; the cookie is then Secure.
	HTTPS bool
}

// Principal is the session hook of the web chain: who sends the request, nobody without a live session.
func (s *Sessions) Principal(r *http.Request) (reqctx.Principal, error) {
	return s.Service.Principal(r.Context(), s.token(r), r.UserAgent())
}

func (s *Sessions) token(r *http.Request) string {
	c, err := r.Cookie(s.Cookie)
	if err != nil || len(c.Value) > 100 {
		return ""
	}
	return c.Value
}

// SignOut ends the session of the request, in the store first, and takes the cookie away.
func (s *Sessions) SignOut(w http.ResponseWriter, r *http.Request) error {
	if err := s.Service.SignOut(r.Context(), s.token(r)); err != nil {
		return err
	}
	http.SetCookie(w, s.cookie(s.Cookie, "", "/", -1))
	return nil
}

// cookie returns a cookie that scripts cannot read and other sites cannot send along, save by a plain link: the
// provider leads back by one, which is why SameSite is Lax and not Strict. maxAge 0 lasts as long as the browser.
func (s *Sessions) cookie(name, value, path string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: path, MaxAge: maxAge, HttpOnly: true, Secure: s.HTTPS, SameSite: http.SameSiteLaxMode} //nolint:gosec // Secure wherever there is TLS
}

func (s *Sessions) flowCookie() string { return s.Cookie + "_flow" }

// setFlow keeps the flow in the browser.
func (s *Sessions) setFlow(w http.ResponseWriter, sealed string) {
	http.SetCookie(w, s.cookie(s.flowCookie(), sealed, "/login", int(identity.FlowTime.Seconds())))
}

// takeFlow returns the flow kept in the browser and removes it: an answer is looked at once.
func (s *Sessions) takeFlow(w http.ResponseWriter, r *http.Request, sealer *identity.Sealer, now time.Time) (identity.Flow, error) {
	c, err := r.Cookie(s.flowCookie())
	if err != nil {
		return identity.Flow{}, errs.E(errs.Invalid, "identity.flow_lost", nil)
	}
	http.SetCookie(w, s.cookie(s.flowCookie(), "", "/login", -1))
	return sealer.Open(c.Value, now)
}
