package servicestest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/outbox"
	"truc/internal/services"
	"truc/internal/services/servicesstore"
	"truc/internal/storage"
)

// topic of the outbox that a [Post] uses.
const topic = "servicestest.post"

// Post is delivery without a network: messages lie in the outbox of the test's database until [Post.Deliver] hands them
// to an exchange, as the node's own delivery would.
type Post struct {
	DB       *storage.DB
	Now      func() time.Time
	Exchange services.Exchange
	// Portal, when set, hears of outcomes.
	Portal *services.Portal

	relay *outbox.Relay

	mu   sync.Mutex // guards told
	told []string
}

// packet is a message as it waits; bodies are text in tests.
type packet struct {
	services.PostMessage
	Text string
}

// Send implements [services.Post].
func (p *Post) Send(ctx context.Context, tx services.Queue, m services.PostMessage) error {
	q, ok := tx.(outbox.Querier)
	if !ok {
		return errors.New("the transaction cannot hold a message")
	}
	text := string(m.Body)
	m.Body = nil
	b, err := json.Marshal(packet{m, text})
	if err != nil {
		return err
	}
	return outbox.Add(ctx, q, p.Now(), outbox.Message{ID: m.ID, Topic: topic, Key: m.From + m.To + m.Order, Holds: !m.Skip, Payload: b})
}

// Tell implements [services.Post]: nobody follows in a test, but what was told is kept.
func (p *Post) Tell(_ context.Context, _ services.Queue, service, typ, _ string, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, service+" "+typ+" "+string(data))
	return nil
}

// Told returns what was told so far, as "service type data".
func (p *Post) Told() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.told)
}

// Deliver hands over what is due.
func (p *Post) Deliver(ctx context.Context) error {
	if p.relay == nil {
		p.relay = &outbox.Relay{DB: p.DB, Now: p.Now, Log: slog.New(slog.DiscardHandler), Workers: 1, Handlers: map[string]outbox.Handler{topic: p.handle}}
	}
	for range 20 {
		n, err := p.relay.Once(ctx)
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}

func (p *Post) handle(ctx context.Context, m outbox.Message) error {
	var k packet
	if err := json.Unmarshal(m.Payload, &k); err != nil {
		return outbox.Permanent(err)
	}
	a, err := p.Exchange.Call(ctx, services.ExchangeCall{
		From: k.From, To: k.To, Method: "POST", Path: k.Path, ContentType: k.ContentType, Body: []byte(k.Text), ID: k.ID, UserID: k.UserID,
		Activity: k.Activity, Basis: k.Basis, Dossier: k.Dossier,
	})
	if err != nil {
		return err
	}
	if a.Status >= 500 {
		return errs.E(errs.Unavailable, "error.unavailable", fmt.Errorf("status %d", a.Status))
	}
	if k.Kind != "" && p.Portal != nil {
		store, ok := p.Portal.Store.(servicesstore.Portal)
		if !ok {
			return errors.New("the portal's store is not the real one")
		}
		err := p.DB.InTx(ctx, func(tx *storage.Tx) error {
			return p.Portal.Outcome(ctx, store.Within(tx), services.PostOutcome{Kind: k.Kind, Ref: k.Ref, Status: a.Status, ContentType: a.ContentType, Body: a.Body})
		})
		if err != nil {
			return err
		}
	}
	if a.Status >= 300 {
		return outbox.Permanent(fmt.Errorf("status %d", a.Status))
	}
	return nil
}
