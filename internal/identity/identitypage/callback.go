package identitypage

import (
	"net/http"

	"truc/internal/web"
)

// callback takes the provider's answer. The session that this browser held before, if any, ends: a token that was
// known before the sign-in must not be worth more after it.
func (p *Pages) callback(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	flow, err := p.Sessions.takeFlow(w, r, p.Sealer, p.Now())
	if err != nil {
		return p.failed(w, r, "/", err)
	}
	next := web.SafeNext(flow.Next)
	claims, err := p.Provider.Finish(r.Context(), flow, r.URL.Query())
	if err != nil {
		if p.Failed != nil {
			p.Failed(r.Context(), flow.Kind, err)
		}
		return p.failed(w, r, next, err)
	}
	token, _, err := p.Service.SignIn(r.Context(), flow.Kind, claims, r.UserAgent())
	if err != nil {
		return p.failed(w, r, next, err)
	}
	if err := p.Sessions.Service.SignOut(r.Context(), p.Sessions.token(r)); err != nil {
		return err
	}
	http.SetCookie(w, p.Sessions.cookie(p.Sessions.Cookie, token, "/", 0))
	return web.SeeOther(w, r, next)
}
