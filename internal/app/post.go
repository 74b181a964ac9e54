package app

import (
	"context"
	"errors"

	"truc/internal/exchange/delivery"
	"truc/internal/orgcode"
	"truc/internal/outbox"
	"truc/internal/services"
	"truc/internal/services/servicesstore"
	"truc/internal/storage"
)

// post meets services.Post with the exchange's delivery, in the caller's transaction.
type post struct{ n *Node }

// Send implements [services.Post].
func (p post) Send(ctx context.Context, tx services.Queue, m services.PostMessage) error {
	q, ok := tx.(outbox.Querier)
	if !ok {
		return errors.New("the transaction cannot hold a message")
	}
	to, err := orgcode.ParseService(m.To)
	if err != nil {
		return err
	}
	out := delivery.Message{
		ID: exchangeID(m.ID), From: p.n.cfg.Subsystem(m.From), To: to, Path: m.Path, ContentType: m.ContentType, Body: m.Body, OrderKey: m.Order, Skip: m.Skip,
		UserID: m.UserID, Activity: m.Activity, Basis: m.Basis, Dossier: m.Dossier, Kind: m.Kind, Ref: m.Ref,
	}
	if m.Life > 0 {
		out.Expires = p.n.now().Add(m.Life)
	}
	_, err = p.n.delivery.Send(ctx, q, out)
	return err
}

// hearOutcome tells the portal what became of its messages, in the transaction that records it.
func hearOutcome(portal *services.Portal, store servicesstore.Portal) delivery.OutcomeFunc {
	return func(ctx context.Context, tx delivery.Tx, o delivery.Outgoing) error {
		raw, ok := tx.(*storage.Tx)
		if !ok {
			return errors.New("the transaction is not one of this node's database")
		}
		out := services.PostOutcome{Kind: o.Kind, Ref: o.Ref}
		if o.State == delivery.Answered || o.State == delivery.Dead {
			out.Status, out.ContentType, out.Body = o.Status, o.AnswerType, o.Answer
		}
		return portal.Outcome(ctx, store.Within(raw), out)
	}
}
