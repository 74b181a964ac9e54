package app

import (
	"cmp"
	"context"
	"errors"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangepage"
	"truc/internal/exchange/exchangestore"
	"truc/internal/web/manage"
)

// newManage makes the management interface, empty: modules declare their operations while they start, and it is
// mounted when all have.
func (n *Node) newManage() *manage.API {
	return &manage.API{
		Title: "Truc: management of a node", Version: "1", Audit: n.act, Now: n.now,
		Authenticate: func(ctx context.Context, secret string) (manage.Operator, error) {
			if n.operators == nil {
				return manage.Operator{}, errs.E(errs.Unauthenticated, "exchange.key_unknown", nil)
			}
			by, err := exchangeapi.AuthenticateOperator(n.operators, n.programs)(ctx, secret)
			return by, n.recordOperator(ctx, by, err)
		},
	}
}

// OperatorKeyFile lies in the folder keys of a node's data folder: the first operator's key, with all roles. Whoever may
// read the keys of a node is its operator. Deleted, it is made anew at the next start.
const OperatorKeyFile = "operator.key"

// startManage makes the first operator's key and those that the configuration names, each once, and declares what the
// exchange itself offers.
func (n *Node) startManage(ctx context.Context, store *exchangestore.Store) error {
	n.operators, n.programs = &exchange.Operators{Store: store, Now: n.now}, store
	first := OperatorKeyConfig{File: n.path("keys", OperatorKeyFile), Label: "keys/" + OperatorKeyFile, Roles: exchange.OperatorRoles}
	for _, o := range append([]OperatorKeyConfig{first}, n.cfg.Exchange.Operators...) {
		err := writeOnce(o.File, func() (string, error) {
			if err := n.act(ctx, "system", "exchange.operator.create", o.Label); err != nil {
				return "", err
			}
			secret, _, err := n.operators.Create(ctx, "system", cmp.Or(o.Label, "configuration"), o.Roles)
			return secret, err
		})
		if err != nil {
			return err
		}
	}
	operations := &exchangeapi.Manage{Service: n.exchange, Store: store, Keys: store, Operators: n.operators, Now: n.now}
	records := &exchangeapi.ManageRecords{Service: n.exchange, Kept: time.Duration(n.cfg.Exchange.RecordsDays) * 24 * time.Hour}
	if err := errors.Join(operations.Declare(n.manage), records.Declare(n.manage)); err != nil {
		return err
	}
	n.measureExchange() //nolint:contextcheck // what it registers runs whenever the figures are read
	if err := n.startDiagnostics(store); err != nil {
		return err
	}
	pages := &exchangepage.OperatorPages{Operators: n.operators, Audit: n.act, Renderer: n.renderer}
	return pages.Mount(n.mux)
}

// mountManage opens the interface when every module has declared what it offers. Its requests carry a key in a header,
// which no other site can make a browser send, so they are not held to this origin.
func (n *Node) mountManage() error {
	if err := n.checkGuards(); err != nil {
		return err
	}
	if n.operators == nil {
		return nil
	}
	n.bypass = append(n.bypass, "/api/")
	return n.manage.Mount(n.mux, "/api/exchange/openapi.json")
}
