package exchangeapi

import (
	"context"
	"errors"
	"strconv"
	"time"

	"truc/internal/exchange/delivery"
	"truc/internal/exchange/notary"
	"truc/internal/web/manage"
)

// ManageOperations declares the queue of asynchronous delivery and the confirmation of the logs.
type ManageOperations struct {
	Delivery *delivery.Service
	Notaries []*notary.Notary
}

type queueDepth struct {
	Waiting       int64   `json:"waiting" doc:"messages that have not come to their end"`
	Dead          int64   `json:"dead" doc:"messages that wait for an operator"`
	OldestSeconds float64 `json:"oldest_seconds"`
}

// deadLetter names the message an act is done to.
type deadLetter struct {
	Side   string `path:"side" doc:"out: sent by this node; in: received for a system behind it"`
	Letter string `path:"seq"`
}

// AuditObject implements [manage.Subject].
func (d deadLetter) AuditObject() string { return d.Side + " " + d.Letter }

type logState struct {
	Origin          string    `json:"origin"`
	Size            int64     `json:"size"`
	WitnessedSize   int64     `json:"witnessed_size"`
	WitnessedAt     time.Time `json:"witnessed_at,omitzero"`
	StampedSize     int64     `json:"stamped_size"`
	StampedAt       time.Time `json:"stamped_at,omitzero"`
	UnwitnessedSecs float64   `json:"unwitnessed_seconds"`
	UnstampedSecs   float64   `json:"untimestamped_seconds"`
	WitnessesWanted int       `json:"witnesses_wanted"`
}

// Declare adds the operations.
func (m *ManageOperations) Declare(api *manage.API) error {
	act := func(verb, summary, event string, out, in func(context.Context, int64) error) error {
		return manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/queue/{side}/{seq}/" + verb, ID: verb + "Letter", Tag: "queue", Summary: summary, Roles: []manage.Role{manage.System}, Act: event,
		}, func(ctx context.Context, d deadLetter) (struct{}, error) {
			seq, err := strconv.ParseInt(d.Letter, 10, 64)
			f := map[string]func(context.Context, int64) error{"out": out, "in": in}[d.Side]
			if err != nil || f == nil {
				return struct{}{}, manage.BadInput("seq", err)
			}
			return struct{}{}, f(ctx, seq)
		})
	}
	return errors.Join(
		m.declareQueue(api),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/queue", ID: "getQueue", Tag: "queue", Summary: "How much waits to be delivered", Roles: []manage.Role{manage.System},
		}, func(ctx context.Context, _ manage.None) (queueDepth, error) {
			d, err := m.Delivery.Depth(ctx)
			return queueDepth{d.Waiting, d.Dead, d.OldestAge.Seconds()}, err
		}),
		act("replay", "Deliver a dead letter again", "exchange.delivery.replay", m.Delivery.ReplayOut, m.Delivery.ReplayIn),
		act("drop", "Give a dead letter up", "exchange.delivery.drop", m.Delivery.DropOut, m.Delivery.DropIn),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/logs", ID: "listLogs", Tag: "evidence", Summary: "How far the logs are witnessed and time-stamped",
			Roles: []manage.Role{manage.Security, manage.System},
		}, func(context.Context, manage.None) (manage.List[logState], error) {
			var out manage.List[logState]
			for _, n := range m.Notaries {
				s := n.State()
				out.Items = append(out.Items, logState{s.Origin, s.Size, s.WitnessedSize, s.WitnessedAt, s.StampedSize, s.StampedAt, s.Unwitnessed.Seconds(), s.Untimestamped.Seconds(), s.Want})
			}
			return out, nil
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/logs/stamp", ID: "stampLogs", Tag: "evidence", Summary: "Have the logs time-stamped now",
			Roles: []manage.Role{manage.Security}, Act: "exchange.log.stamp",
		}, func(ctx context.Context, _ manage.None) (struct{}, error) {
			var all error
			for _, n := range m.Notaries {
				all = errors.Join(all, n.Cosign(ctx), n.Stamp(ctx))
			}
			return struct{}{}, all
		}),
	)
}
