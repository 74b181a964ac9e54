package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/manage"
	"truc/internal/web/ui"
)

// around is what every page of this node goes through.
func (n *Node) around(h web.HandlerFunc) web.HandlerFunc {
	h = n.recordFailedActs(h)
	return func(w http.ResponseWriter, r *http.Request) error {
		return h(w, r.WithContext(n.withPermissions(r.Context())))
	}
}

// withPermissions lets pages ask the management interface what an officer may do: the roles of an operation hold for keys
// and for people.
func (n *Node) withPermissions(ctx context.Context) context.Context {
	p := reqctx.PrincipalOf(ctx)
	if p.Kind != reqctx.Officer {
		return ctx
	}
	return ui.WithPermissions(ctx, func(operation string) bool { return n.manage.Permits(p, operation) })
}

// may reports whether an officer may use an operation; administrators may use all.
func (n *Node) may(p reqctx.Principal) func(operation string) bool {
	return func(operation string) bool {
		return p.Kind == reqctx.Officer && (p.Has("admin") || n.manage.Permits(p, operation))
	}
}

// administers reports whether an officer is an administrator or has one of the roles of the management interface.
func administers(p reqctx.Principal) bool {
	return p.Kind == reqctx.Officer && (p.Has("admin") || slices.ContainsFunc(manage.Roles(), func(r manage.Role) bool { return p.Has(string(r)) }))
}

// checkGuards finds pages that are guarded by an operation which this node does not have: nobody but administrators could
// open them.
func (n *Node) checkGuards() error {
	for pattern, operations := range n.mux.Pages() {
		for _, op := range operations {
			if !n.manage.Has(op) {
				return fmt.Errorf("page %s is guarded by the operation %q, which this node does not have", pattern, op)
			}
		}
	}
	return nil
}
