package app

import (
	"context"
	"encoding/json"
	"errors"
	"sort"
	"time"

	"truc/internal/exchange/delivery"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/oversight"
	"truc/internal/oversight/oversightpage"
	"truc/internal/oversight/oversightstore"
	"truc/internal/services"
	"truc/internal/storage"
)

func (n *Node) startOversight(ctx context.Context) error {
	if err := n.migrate(ctx, "oversight", oversightstore.Migrations, "migrations"); err != nil {
		return err
	}
	svc := &oversight.Service{
		Store: &oversightstore.Store{DB: n.db}, Exchange: factCourier{courier{n}}, Feed: feed{n}, Agencies: n.overseenAgencies, Title: n.procedureTitle,
		Now: n.now, Log: n.log, MinRatings: n.cfg.Oversight.MinRatings,
	}
	n.delivery.OnEvents("oversight", services.FactType, func(ctx context.Context, tx delivery.Tx, service string, events []delivery.WireEvent) error {
		return takeFacts(ctx, svc, tx, service, events)
	})
	pause := 30 * time.Second
	if n.cfg.Env == "development" {
		pause = 5 * time.Second
	}
	n.every("oversight.pull", pause, svc.Pull)
	pages := &oversightpage.Pages{Service: svc, Renderer: n.renderer, Messages: n.messages, Now: n.now}
	return pages.Mount(n.mux)
}

// feed meets oversight.Feed with the exchange's subscriptions.
type feed struct{ n *Node }

// Follow implements [oversight.Feed].
func (f feed) Follow(ctx context.Context, service, activity, basis string) error {
	id, err := orgcode.ParseService(service)
	if err != nil {
		return err
	}
	_, err = f.n.delivery.Follow(ctx, f.n.cfg.Subsystem("oversight"), id, services.FactType, activity, basis)
	return err
}

// takeFacts gives events to oversight in the transaction that moves the cursor. The agency is who signed them.
func takeFacts(ctx context.Context, svc *oversight.Service, tx delivery.Tx, service string, events []delivery.WireEvent) error {
	raw, ok := tx.(*storage.Tx)
	if !ok {
		return errors.New("the transaction is not one of this node's database")
	}
	id, err := orgcode.ParseService(service)
	if err != nil {
		return err
	}
	facts := make([]json.RawMessage, len(events))
	for i, e := range events {
		facts[i] = e.Data
	}
	return svc.Take(ctx, oversightstore.Within{Tx: raw}, id.Member, facts)
}

// factCourier meets oversight.Exchange with the courier of this node.
type factCourier struct{ courier courier }

// Call implements [oversight.Exchange].
func (f factCourier) Call(ctx context.Context, c oversight.ExchangeCall) (oversight.ExchangeAnswer, error) {
	answer, err := f.courier.Call(ctx, services.ExchangeCall{
		From: "oversight", To: c.To, Method: c.Method, Path: c.Path, Query: c.Query, Activity: c.Activity, Basis: c.Basis, Timeout: c.Timeout,
	})
	return oversight.ExchangeAnswer{Status: answer.Status, Body: answer.Body}, err
}

// overseenAgencies reads from the directory who decides dossiers and tells facts about them.
func (n *Node) overseenAgencies() []oversight.Agency {
	doc := n.follower.Document()
	if doc == nil {
		return nil
	}
	found := map[string]*oversight.Agency{}
	for _, s := range doc.Services {
		id, err := orgcode.ParseService(s.ID)
		if err != nil || id.Subsystem != "onestop" {
			continue
		}
		a := found[id.Member]
		if a == nil {
			a = &oversight.Agency{Code: id.Member, Name: i18n.Text{"vi": id.Member}}
			if m, ok := doc.Member(id.Instance + "/" + id.Class + "/" + id.Member); ok {
				a.Name = m.Name
			}
		}
		switch id.Code {
		case "facts":
			a.FactsService = s.ID
		case "dossiers":
			a.DossierService = s.ID
		default:
			continue
		}
		found[id.Member] = a
	}
	out := make([]oversight.Agency, 0, len(found))
	for _, a := range found {
		out = append(out, *a)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Code < out[j].Code })
	return out
}

// procedureTitle names a procedure when this node knows it.
func (n *Node) procedureTitle(code string) i18n.Text {
	if n.libraries == nil {
		return nil
	}
	if p := n.libraries.Current(code); p != nil {
		return p.Name
	}
	return nil
}
