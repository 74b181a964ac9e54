package app

import (
	"context"
	"encoding/json"
	"errors"

	"truc/internal/errs"
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

// Tell implements [services.Post].
func (p post) Tell(ctx context.Context, tx services.Queue, service, typ, key string, data []byte) error {
	q, ok := tx.(outbox.Querier)
	if !ok {
		return errors.New("the transaction cannot hold an event")
	}
	id, err := orgcode.ParseService(p.n.cfg.MemberID() + "/" + service)
	if err != nil {
		return err
	}
	_, err = p.n.delivery.Publish(ctx, q, id, typ, key, data)
	return err
}

// tellOld tells facts that were kept before this node told them as events, once.
func (n *Node) tellOld(ctx context.Context, desk *services.Desk) error {
	id, err := orgcode.ParseService(n.cfg.MemberID() + "/" + services.FactsService)
	if err != nil {
		return err
	}
	var last int64
	err = n.db.InTx(ctx, func(tx *storage.Tx) (err error) {
		last, err = n.delivery.Store.LastEvent(ctx, tx, id.String())
		return err
	})
	if err != nil || last > 0 {
		return err
	}
	return desk.TellAll(ctx)
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

// takeOver posts what a release before queued under a topic of its own. What cannot be read or has nothing to belong to any
// more is put aside, where the queue page and truc queue show it.
func takeOver[T any](post func(ctx context.Context, m outbox.Message, payload T) error) outbox.Handler {
	return func(ctx context.Context, m outbox.Message) error {
		var payload T
		if err := json.Unmarshal(m.Payload, &payload); err != nil {
			return outbox.Permanent(err)
		}
		err := post(ctx, m, payload)
		if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Conflict) || errs.Is(err, errs.Invalid) {
			return outbox.Permanent(err)
		}
		return err
	}
}

// takeOverPortal and takeOverDesk answer for the topics of the release before.
func (n *Node) takeOverPortal(portal *services.Portal) {
	n.relay.Handlers[services.OldTopicSubmit] = takeOver(func(ctx context.Context, _ outbox.Message, id string) error { return portal.PostFilingAgain(ctx, id) })
	n.relay.Handlers[services.OldTopicMessage] = takeOver(func(ctx context.Context, _ outbox.Message, m services.Message) error {
		return portal.PostMessageAgain(ctx, m)
	})
}

func (n *Node) takeOverDesk(desk *services.Desk) {
	n.relay.Handlers[services.OldTopicNotice] = takeOver(func(ctx context.Context, m outbox.Message, notice services.Notice) error {
		return desk.PostNoticeAgain(ctx, m.ID, m.Key, notice)
	})
}
