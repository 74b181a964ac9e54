package app

import (
	"context"
	"maps"
	"net/http"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/delivery"
	"truc/internal/exchange/deliverystore"
	"truc/internal/exchange/exchangepage"
	"truc/internal/web"
)

// startDelivery is the asynchronous part of the exchange: messages, inboxes, events.
func (n *Node) startDelivery(ctx context.Context) error {
	if err := n.migrate(ctx, "delivery", deliverystore.Migrations, "migrations"); err != nil {
		return err
	}
	n.delivery = &delivery.Service{
		Store: &deliverystore.Store{DB: n.db}, Caller: n.exchange, Hosts: n.exchange.Hosts, Modes: map[string]delivery.Mode{}, Events: map[string][]string{},
		Signing: signer{n}, Wake: n.relay.Wake, Now: n.now, Log: n.log,
		HTTP: &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	n.delivery.Start()
	n.exchange.SetInbox(n.delivery)
	maps.Copy(n.relay.Handlers, n.delivery.Handlers())
	for _, in := range n.cfg.Exchange.Inboxes {
		n.delivery.Modes[in.Service] = delivery.Mode{Push: in.Webhook}
		if err := n.exchange.Offer(in.Service, exchange.Offering{Name: in.Name}, http.HandlerFunc(messagesOnly)); err != nil {
			return err
		}
	}
	days := n.cfg.Exchange.EventDays
	if days == 0 {
		days = 90
	}
	n.every("delivery.prune", 6*time.Hour, func(ctx context.Context) error { return n.delivery.Prune(ctx, time.Duration(days)*24*time.Hour) })
	n.bypass = append(n.bypass, "/a1/")
	pages := &exchangepage.Queue{Delivery: n.delivery, Audit: n.act, Renderer: n.renderer}
	return pages.Mount(n.mux)
}

// messagesOnly answers a plain call to a service that takes messages.
func messagesOnly(w http.ResponseWriter, r *http.Request) {
	_ = web.WriteJSON(w, http.StatusUnprocessableEntity, map[string]string{"error": "this service takes messages only"})
}
