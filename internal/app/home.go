package app

import (
	"net/http"
	"slices"

	"truc/internal/directory/directorypage"
	"truc/internal/documents"
	"truc/internal/exchange/exchangepage"
	"truc/internal/reqctx"
	"truc/internal/web"
)

// home leads an officer from the address of the node to the first page that is his or hers. The portal has a home of its
// own.
func (n *Node) home(w http.ResponseWriter, r *http.Request) error {
	p := reqctx.PrincipalOf(r.Context())
	if p.Anonymous() {
		return web.SeeOther(w, r, "/login?next=%2F")
	}
	return web.SeeOther(w, r, n.firstPage(p))
}

func (n *Node) firstPage(p reqctx.Principal) string {
	has := func(roles ...string) bool { return slices.ContainsFunc(roles, p.Has) }
	switch {
	case n.cfg.Desk.Enabled && has("reception", "officer", "head", "admin"):
		return "/desk"
	case n.cfg.Documents.Enabled && has(documents.RoleClerk, documents.RoleOfficer, documents.RoleHead):
		return "/documents"
	case administers(p) && !has("admin", "register"):
		if first := exchangepage.First(n.may(p)); first != "" && n.operators != nil {
			return first
		}
		if first := directorypage.First(n.center != nil, n.may(p)); first != "" {
			return first
		}
	case len(n.cfg.Registers) > 0:
		return "/registers"
	case n.cfg.Oversight.Enabled:
		return "/oversight"
	}
	return "/exchange/admin"
}
