package exchangeapi

import (
	"context"
	"errors"
	"time"

	"truc/internal/exchange/delivery"
	"truc/internal/web/manage"
)

// queueView is what operators see of asynchronous delivery. It holds no contents.
type queueView struct {
	Waiting       []queueRow         `json:"waiting"`
	Dead          []letter           `json:"dead" doc:"put aside, the oldest first, at most 100 of each side"`
	Subscriptions []subscriptionView `json:"subscriptions"`
	Followings    []followingView    `json:"followings"`
}

type queueRow struct {
	Peer   string    `json:"peer"`
	State  string    `json:"state"`
	Count  int64     `json:"count"`
	Oldest time.Time `json:"oldest"`
}

type letter struct {
	Side  string    `json:"side" enum:"out,in"`
	Seq   int64     `json:"seq"`
	ID    string    `json:"id"`
	From  string    `json:"from"`
	To    string    `json:"to"`
	Error string    `json:"error"`
	At    time.Time `json:"at"`
}

type subscriptionView struct {
	ID         string    `json:"id"`
	Service    string    `json:"service"`
	Type       string    `json:"type"`
	Subscriber string    `json:"subscriber"`
	State      string    `json:"state"`
	Position   int64     `json:"position" doc:"number of the last event acknowledged"`
	Error      string    `json:"error"`
	MovedAt    time.Time `json:"moved_at"`
}

type followingView struct {
	Service    string `json:"service"`
	Type       string `json:"type"`
	Subscriber string `json:"subscriber"`
	State      string `json:"state"`
	Position   int64  `json:"position"`
}

func queueOf(v delivery.View) queueView {
	out := queueView{Waiting: []queueRow{}, Dead: []letter{}, Subscriptions: []subscriptionView{}, Followings: []followingView{}}
	for _, q := range v.Queue {
		out.Waiting = append(out.Waiting, queueRow{q.Peer, string(q.State), q.N, q.Oldest})
	}
	for _, m := range v.DeadOut {
		out.Dead = append(out.Dead, letter{"out", m.Seq, m.ID, m.From.String(), m.To.String(), m.Error, m.Created})
	}
	for _, m := range v.DeadIn {
		out.Dead = append(out.Dead, letter{"in", m.Seq, m.ID, m.Sender, m.Service, m.Error, m.Received})
	}
	for _, s := range v.Subscriptions {
		out.Subscriptions = append(out.Subscriptions, subscriptionView{s.ID, s.Service, s.Type, s.Subscriber, s.State, s.Position, s.Error, s.Moved})
	}
	for _, f := range v.Followings {
		out.Followings = append(out.Followings, followingView{f.Service, f.Type, f.Subscriber, f.State, f.Position})
	}
	return out
}

// declareQueue adds what the page of the queue shows and does beyond replay and drop.
func (m *ManageOperations) declareQueue(api *manage.API) error {
	system := []manage.Role{manage.System}
	act := func(verb, summary string, do func(context.Context, string) error) error {
		return manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/subscriptions/{id}/" + verb, ID: verb + "Subscription", Tag: "queue", Summary: summary, Roles: system, Act: "exchange.delivery." + verb,
		}, func(ctx context.Context, in byID) (struct{}, error) { return struct{}{}, do(ctx, in.ID) })
	}
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/queue/letters", ID: "listLetters", Tag: "queue", Summary: "Show what waits, what was put aside, and subscriptions", Roles: system,
		}, func(ctx context.Context, _ manage.None) (queueView, error) {
			v, err := m.Delivery.View(ctx)
			return queueOf(v), err
		}),
		act("resume", "Go on with a subscription that stalled", m.Delivery.Resume),
		act("unsubscribe", "End a subscription of another system", m.Delivery.Unsubscribe),
	)
}
