package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"truc/internal/errs"
	"truc/internal/reqctx"
	"truc/internal/web/ui"
)

// RequireCitizen lets citizens through. Nobody is sent to sign in and comes back; an officer is Denied, since
// one account must not act in two capacities.
func RequireCitizen(h HandlerFunc) HandlerFunc { return RequireCitizenLevel(1, h) }

// RequireCitizenLevel lets citizens of an identification level of at least level through (Decree 69/2024).
func RequireCitizenLevel(level int, h HandlerFunc) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		p := reqctx.PrincipalOf(r.Context())
		switch {
		case p.Anonymous():
			return SeeOther(w, r, signIn(r))
		case p.Kind != reqctx.Citizen:
			return errs.E(errs.Denied, "web.citizens_only", nil)
		case p.Level < level && level > 1:
			return errs.E(errs.Denied, "web.level_needed", nil, "level", level)
		}
		return h(w, r)
	}
}

// RequireOfficer lets officers through who hold one of the roles; with no roles named, any officer.
func RequireOfficer(h HandlerFunc, roles ...string) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		p := reqctx.PrincipalOf(r.Context())
		switch {
		case p.Anonymous():
			return SeeOther(w, r, signIn(r))
		case p.Kind != reqctx.Officer:
			return errs.E(errs.Denied, "web.officers_only", nil)
		case len(roles) > 0 && !slices.ContainsFunc(roles, p.Has):
			return errs.E(errs.Denied, "web.role_needed", nil)
		}
		return h(w, r)
	}
}

// RequirePermission lets in officers who may use all the operations, see [ui.May].
func RequirePermission(h HandlerFunc, operations ...string) HandlerFunc {
	return RequireOfficer(func(w http.ResponseWriter, r *http.Request) error {
		for _, op := range operations {
			if !ui.May(r.Context(), op) {
				return errs.E(errs.Denied, "web.role_needed", nil)
			}
		}
		if len(operations) == 0 {
			return errs.E(errs.Denied, "web.role_needed", nil)
		}
		return h(w, r)
	})
}

// signIn is the address of the sign-in page that leads back to the page the person was on: this one, or the one
// that held the form.
func signIn(r *http.Request) string {
	next := "/"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		next = SafeNext(r.URL.RequestURI())
	} else if ref, err := url.Parse(r.Referer()); err == nil && ref.Host == r.Host {
		next = SafeNext(ref.RequestURI())
	}
	return "/login?next=" + url.QueryEscape(next)
}

// SafeNext returns next when it is an address on this site, and "/" otherwise. It is what keeps a sign-in link from
// sending people to a look-alike site.
func SafeNext(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") {
		return "/"
	}
	// Browsers read a backslash as a slash and drop tabs and line ends, so "/\t/evil" is "//evil" to them.
	for _, c := range next {
		if c <= ' ' || c == 0x7f || c == '\\' {
			return "/"
		}
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "//") {
		return "/"
	}
	return next
}
