package app

import (
	"context"
	"errors"
	"strings"
	"time"

	"truc/internal/exchange/access"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangepage"
	"truc/internal/exchange/exchangestore"
)

// startAccess puts the access rules into force: those of the configuration and those that operators manage. Published
// services add theirs.
func (n *Node) startAccess(ctx context.Context, store *exchangestore.Store) error {
	n.access = &access.Service{
		Store: store, Config: n.cfg.Exchange.Rules, SetRules: n.exchange.SetRules, Global: n.globalGroups, Instance: n.cfg.Instance,
		Subsystems: func() []string {
			var codes []string
			for _, id := range n.cfg.subsystems() {
				codes = append(codes, id[strings.LastIndexByte(id, '/')+1:])
			}
			return codes
		},
		Audit: n.act, Now: n.now, Log: n.log,
	}
	if err := n.access.Sync(ctx); err != nil {
		return err
	}
	n.every("exchange.access", time.Second, n.access.Sync)
	return nil
}

// manageAccess offers the management of rules and groups to operators.
func (n *Node) manageAccess() error {
	pages := &exchangepage.AccessPages{Access: n.access, Renderer: n.renderer}
	return errors.Join((&exchangeapi.ManageAccess{Access: n.access}).Declare(n.manage), pages.Mount(n.mux))
}

// globalGroups are the groups of the directory that this node knows.
func (n *Node) globalGroups() (int64, map[string][]string) {
	doc := n.follower.Document()
	if doc == nil {
		return 0, nil
	}
	groups := make(map[string][]string, len(doc.Groups))
	for _, g := range doc.Groups {
		groups[g.Code] = append([]string{}, g.Members...)
	}
	return doc.Version, groups
}
