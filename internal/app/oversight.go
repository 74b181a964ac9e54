package app

import (
	"context"
	"sort"
	"time"

	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/oversight"
	"truc/internal/oversight/oversightpage"
	"truc/internal/oversight/oversightstore"
	"truc/internal/services"
)

func (n *Node) startOversight(ctx context.Context) error {
	if err := n.migrate(ctx, "oversight", oversightstore.Migrations, "migrations"); err != nil {
		return err
	}
	svc := &oversight.Service{
		Store: &oversightstore.Store{DB: n.db}, Exchange: factCourier{courier{n}}, Agencies: n.overseenAgencies, Title: n.procedureTitle,
		Now: n.now, Log: n.log, MinRatings: n.cfg.Oversight.MinRatings,
	}
	pause := 30 * time.Second
	if n.cfg.Env == "development" {
		pause = 5 * time.Second
	}
	n.every("oversight.pull", pause, svc.Pull)
	pages := &oversightpage.Pages{Service: svc, Renderer: n.renderer, Messages: n.messages, Now: n.now}
	return pages.Mount(n.mux)
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
