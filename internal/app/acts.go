package app

import (
	"context"

	"truc/internal/audit"
	"truc/internal/audit/auditstore"
	"truc/internal/exchange/exchangepage"
)

// mountActs shows administrators what the audit log holds of their work.
func (n *Node) mountActs() error {
	store := &auditstore.Store{DB: n.db}
	pages := &exchangepage.ActsPages{Renderer: n.renderer, Acts: func(ctx context.Context, q exchangepage.ActQuery) ([]exchangepage.Act, error) {
		list, err := store.Acts(ctx, audit.ActQuery(q))
		out := make([]exchangepage.Act, len(list))
		for i, a := range list {
			out[i] = exchangepage.Act(a)
		}
		return out, err
	}}
	return pages.Mount(n.mux)
}
