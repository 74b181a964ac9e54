package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/orgcode"
	"truc/internal/reqctx"
)

const (
	// batchEvents and batchBytes bound one batch.
	batchEvents, batchBytes = 500, 1 << 20

	kindChallenge = "delivery.challenge"
	kindEvents    = "delivery.events"
)

// Batch is what a subscriber receives: a challenge to confirm, or events behind After, in order.
type Batch struct {
	Subscription string      `json:"subscription"`
	Service      string      `json:"service"`
	Type         string      `json:"type"`
	Challenge    string      `json:"challenge,omitempty"`
	After        int64       `json:"after"`
	Events       []WireEvent `json:"events"`
}

// WireEvent is an event with its data as JSON.
type WireEvent struct {
	Event
	Data json.RawMessage `json:"data"`
}

// EventFunc receives events of a service in the transaction that moves the cursor, so each takes effect once. An error of
// kind Invalid refuses the batch for good; any other makes the provider try again.
type EventFunc func(ctx context.Context, tx Tx, service string, events []WireEvent) error

// OnEvents registers who receives events of a type for a subsystem of this node, "oversight".
func (s *Service) OnEvents(subsystem, typ string, f EventFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.followers == nil {
		s.followers = map[string]EventFunc{}
	}
	s.followers[subsystem+" "+typ] = f
}

// Start registers what this package itself wants to hear of. Call it once, before the relay runs.
func (s *Service) Start() {
	s.OnOutcome(kindChallenge, s.confirmed)
	s.OnOutcome(kindEvents, s.moved)
}

func (s *Service) tells(to orgcode.Service, typ string) bool {
	return slices.Contains(s.Events[codeOf(to)], typ)
}

// Publish appends an event in the caller's transaction and starts it on its way to the subscribers. data must be JSON.
func (s *Service) Publish(ctx context.Context, tx Tx, service orgcode.Service, typ, key string, data []byte) (seq int64, err error) {
	defer errs.Wrap(&err, "publish event")
	switch {
	case !s.tells(service, typ):
		return 0, fmt.Errorf("%s does not tell events of type %s", service, typ)
	case !json.Valid(data) || len(data) > batchBytes/2:
		return 0, errors.New("the event is not JSON or too large")
	}
	seq, err = s.Store.AddEvent(ctx, tx, service.String(), Event{Type: typ, Key: key, At: s.Now(), Data: data})
	if err != nil {
		return 0, err
	}
	subs, err := s.Store.Subscriptions(ctx, tx, service.String(), typ)
	if err != nil {
		return 0, err
	}
	for _, sub := range subs {
		if err := s.pump(ctx, tx, sub); err != nil {
			return 0, err
		}
	}
	return seq, nil
}

// pump sends the next batch to a subscriber that has none under way.
func (s *Service) pump(ctx context.Context, tx Tx, sub Subscription) error {
	if sub.State != "active" || sub.InFlight != 0 {
		return nil
	}
	events, err := s.Store.Events(ctx, tx, sub.Service, sub.Type, sub.Position, batchEvents, batchBytes)
	if err != nil || len(events) == 0 {
		return err
	}
	b := Batch{Subscription: sub.ID, Service: sub.Service, Type: sub.Type, After: sub.Position, Events: wire(events)}
	sub.InFlight = events[len(events)-1].Seq
	if err := s.Store.PutSubscription(ctx, tx, sub); err != nil {
		return err
	}
	return s.sendBatch(ctx, tx, sub, b, kindEvents)
}

func wire(events []Event) []WireEvent {
	out := make([]WireEvent, len(events))
	for i, e := range events {
		out[i] = WireEvent{Event: e, Data: e.Data}
	}
	return out
}

func (s *Service) sendBatch(ctx context.Context, tx Tx, sub Subscription, b Batch, kind string) error {
	from, err := orgcode.ParseService(sub.Service)
	if err != nil {
		return err
	}
	to, err := orgcode.ParseService(sub.Callback)
	if err != nil {
		return err
	}
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	_, err = s.Send(ctx, tx, Message{
		From: from.Owner(), To: to, ContentType: "application/json", Body: body, OrderKey: sub.ID, Skip: true, Activity: "subscription", Kind: kind, Ref: sub.ID,
	})
	return err
}

// confirmed hears what the callback said to the challenge: only the right answer starts a subscription.
func (s *Service) confirmed(ctx context.Context, tx Tx, o Outgoing) error {
	sub, err := s.Store.Subscription(ctx, tx, o.Ref)
	if err != nil || sub.State != "pending" {
		return ignoreMissing(err)
	}
	var reply struct{ Challenge string }
	if o.State == Answered && json.Unmarshal(o.Answer, &reply) == nil && reply.Challenge == sub.Challenge {
		sub.State, sub.Moved, sub.Error = "active", s.Now(), ""
	} else {
		sub.State, sub.Error = "refused", orText(o.Error, "the callback did not confirm the subscription")
	}
	if err := s.Store.PutSubscription(ctx, tx, sub); err != nil {
		return err
	}
	return s.pump(ctx, tx, sub)
}

func orText(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

func ignoreMissing(err error) error {
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}

// moved hears that a batch was taken, or not.
func (s *Service) moved(ctx context.Context, tx Tx, o Outgoing) error {
	sub, err := s.Store.Subscription(ctx, tx, o.Ref)
	if err != nil {
		return ignoreMissing(err)
	}
	switch o.State {
	case Answered, Delivered, Dropped: // dropped by an operator: the batch is passed over
		if sub.InFlight == 0 {
			return nil
		}
		sub.State, sub.Position, sub.InFlight, sub.Moved, sub.Error = "active", sub.InFlight, 0, s.Now(), ""
	default:
		sub.State, sub.Error = "stalled", orText(o.Error, string(o.State))
		if o.State == Expired {
			sub.InFlight = 0 // nobody can replay it; [Service.Resume] makes a new one
		}
	}
	if err := s.Store.PutSubscription(ctx, tx, sub); err != nil {
		return err
	}
	return s.pump(ctx, tx, sub)
}

// Resume starts a stalled subscription again behind what was acknowledged.
func (s *Service) Resume(ctx context.Context, id string) error {
	return s.Store.InTx(ctx, func(tx Tx) error {
		sub, err := s.Store.Subscription(ctx, tx, id)
		if err != nil {
			return err
		}
		if sub.State != "stalled" {
			return errs.E(errs.Conflict, "delivery.not_stalled", nil)
		}
		sub.State, sub.InFlight, sub.Error = "active", 0, ""
		if err := s.Store.PutSubscription(ctx, tx, sub); err != nil {
			return err
		}
		return s.pump(ctx, tx, sub)
	})
}

// Unsubscribe ends a subscription, by its subscriber or an operator.
func (s *Service) Unsubscribe(ctx context.Context, id string) error {
	return s.Store.InTx(ctx, func(tx Tx) error { return s.Store.DeleteSubscription(ctx, tx, id) })
}

// subscribeRequest asks for events. After is the number behind which they are wanted; nil is the newest, so that
// nothing old is sent.
type subscribeRequest struct {
	Callback string `json:"callback"`
	After    *int64 `json:"after,omitempty"`
}

func parseSubscribe(body []byte) (q subscribeRequest, callback orgcode.Service, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return q, callback, err
	}
	if q.After != nil && *q.After < 0 {
		return q, callback, errors.New("a number below zero")
	}
	callback, err = orgcode.ParseService(q.Callback)
	return q, callback, err
}

// parseCursor reads the number of an event, "" being the beginning.
func parseCursor(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || s[0] == '+' {
		return 0, errors.New("not the number of an event")
	}
	return n, nil
}

// subscriptions answers "/events/<type>" of a service: POST subscribes or moves the cursor, GET reads on from a cursor
// without a subscription, DELETE unsubscribes. The exchange has authorised the path already.
func (s *Service) subscriptions(w http.ResponseWriter, r *http.Request, to orgcode.Service, typ string) {
	ctx := r.Context()
	who := reqctx.CallerOf(ctx).Subsystem
	switch r.Method {
	case http.MethodGet:
		after, err := parseCursor(r.URL.Query().Get("after"))
		if err != nil {
			writeError(w, http.StatusBadRequest, "cursor")
			return
		}
		var events []Event
		err = s.Store.InTx(ctx, func(tx Tx) (err error) {
			events, err = s.Store.Events(ctx, tx, to.String(), typ, after, batchEvents, batchBytes)
			return err
		})
		s.reply(w, r, http.StatusOK, Batch{Service: to.String(), Type: typ, After: after, Events: wire(events)}, err)
	case http.MethodPost:
		body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		if err != nil {
			writeError(w, http.StatusBadRequest, "subscription")
			return
		}
		q, callback, err := parseSubscribe(body)
		if err != nil || callback.Owner().String() != who { // nobody subscribes somebody else
			writeError(w, http.StatusBadRequest, "subscription")
			return
		}
		sub, err := s.subscribe(ctx, to, typ, who, q)
		s.reply(w, r, http.StatusAccepted, map[string]any{"subscription": sub.ID, "state": sub.State, "after": sub.Position}, err)
	case http.MethodDelete:
		err := s.Store.InTx(ctx, func(tx Tx) error {
			subs, err := s.Store.Subscriptions(ctx, tx, to.String(), typ)
			if err != nil {
				return err
			}
			for _, sub := range subs {
				if sub.Subscriber == who {
					return s.Store.DeleteSubscription(ctx, tx, sub.ID)
				}
			}
			return nil
		})
		s.reply(w, r, http.StatusOK, map[string]any{}, err)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		writeError(w, http.StatusMethodNotAllowed, "method")
	}
}

func (s *Service) reply(w http.ResponseWriter, r *http.Request, status int, v any, err error) {
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	writeAnswer(w, Answer{Status: status, ContentType: "application/json", Body: b})
}

// subscribe makes a subscription that waits for its callback to confirm. One that is active with the same callback stays,
// unless another place is asked for.
func (s *Service) subscribe(ctx context.Context, to orgcode.Service, typ, who string, q subscribeRequest) (sub Subscription, err error) {
	err = s.Store.InTx(ctx, func(tx Tx) error {
		known, err := s.Store.Subscriptions(ctx, tx, to.String(), typ)
		if err != nil {
			return err
		}
		last, err := s.Store.LastEvent(ctx, tx, to.String())
		if err != nil {
			return err
		}
		at := last
		if q.After != nil {
			at = min(*q.After, last)
		}
		if i := slices.IndexFunc(known, func(k Subscription) bool { return k.Subscriber == who }); i >= 0 {
			sub = known[i]
			if sub.State == "active" && sub.Callback == q.Callback && (q.After == nil || *q.After == sub.Position || *q.After >= sub.Position && sub.InFlight != 0) {
				return nil
			}
		}
		now := s.Now()
		sub = Subscription{
			ID: exchange.NewUUID(), Service: to.String(), Type: typ, Subscriber: who, Callback: q.Callback, State: "pending", Challenge: exchange.NewUUID(),
			Position: at, Created: now, Moved: now,
		}
		if err := s.Store.PutSubscription(ctx, tx, sub); err != nil {
			return err
		}
		return s.sendBatch(ctx, tx, sub, Batch{Subscription: sub.ID, Service: sub.Service, Type: typ, Challenge: sub.Challenge, After: at, Events: []WireEvent{}}, kindChallenge)
	})
	return sub, err
}

// askAgain is when a subscription that was asked for, or is active, is asked for again: a question may be lost, and a
// provider may have lost its list.
const (
	askAgain   = time.Minute
	askActive  = 10 * time.Minute
	eventsPath = "/events/"
)

// due reports whether it is time to ask for a subscription.
func (f Following) due(now time.Time) bool {
	wait := askAgain
	if f.State == "active" {
		wait = askActive
	}
	return now.Sub(f.Asked) >= wait
}

// Follow makes sure that a subsystem of this node follows a type of events of a service: it asks, unless it asked a short
// while ago. Events come to the function of [Service.OnEvents], from where they stopped.
func (s *Service) Follow(ctx context.Context, by orgcode.Subsystem, service orgcode.Service, typ, activity, basis string) (f Following, err error) {
	defer errs.Wrap(&err, "follow %s of %s", typ, service)
	if f, err = s.Store.FollowingOf(ctx, nil, by.String(), service.String(), typ); err == nil && !f.due(s.Now()) {
		return f, nil // the common case writes nothing
	}
	err = s.Store.InTx(ctx, func(tx Tx) (err error) {
		f, err = s.Store.FollowingOf(ctx, tx, by.String(), service.String(), typ)
		if errs.Is(err, errs.NotFound) {
			f, err = Following{Subscriber: by.String(), Service: service.String(), Type: typ, State: "asked"}, nil
		}
		if err != nil {
			return err
		}
		f.Asked = s.Now()
		return s.Store.PutFollowing(ctx, tx, f)
	})
	if err != nil {
		return f, err
	}
	return f, s.ask(ctx, f, by, service, activity, basis)
}

// Replay asks for the events behind a number again; those that were received before are given to the function once more.
func (s *Service) Replay(ctx context.Context, by orgcode.Subsystem, service orgcode.Service, typ string, after int64, activity, basis string) error {
	var f Following
	err := s.Store.InTx(ctx, func(tx Tx) (err error) {
		if f, err = s.Store.FollowingOf(ctx, tx, by.String(), service.String(), typ); err != nil {
			return err
		}
		f.State, f.Position, f.Asked = "asked", after, s.Now()
		return s.Store.PutFollowing(ctx, tx, f)
	})
	if err != nil {
		return err
	}
	return s.ask(ctx, f, by, service, activity, basis)
}

// ask sends the request for a subscription; when it fails, [Service.Follow] may ask again at once.
func (s *Service) ask(ctx context.Context, f Following, by orgcode.Subsystem, service orgcode.Service, activity, basis string) error {
	to := orgcode.Service{Instance: by.Instance, Class: by.Class, Member: by.Member, Subsystem: by.Code, Code: exchange.EventsCode}
	body, err := json.Marshal(subscribeRequest{Callback: to.String(), After: &f.Position})
	if err != nil {
		return err
	}
	a, err := s.Caller.Call(ctx, exchange.Call{
		From: by, To: service, Method: http.MethodPost, Path: eventsPath + f.Type, Header: http.Header{"Content-Type": {"application/json"}}, Body: body,
		Activity: activity, Basis: basis, Timeout: 10 * time.Second,
	})
	if err == nil && a.Status != http.StatusAccepted {
		err = errs.E(errs.KindOfStatus(a.Status), "exchange.refused", fmt.Errorf("asked for events, the service answered %d", a.Status))
	}
	if err == nil {
		return nil
	}
	again := s.Store.InTx(ctx, func(tx Tx) error {
		now, err := s.Store.FollowingOf(ctx, tx, f.Subscriber, f.Service, f.Type)
		if err != nil {
			return err
		}
		now.Asked = time.Time{}
		return s.Store.PutFollowing(ctx, tx, now)
	})
	return errors.Join(err, again)
}
