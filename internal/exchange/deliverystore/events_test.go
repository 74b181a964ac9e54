package deliverystore_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/delivery"
	"truc/internal/storage"
)

// follower keeps the events it was given.
type follower struct {
	got  []string
	fail error
}

func (f *follower) take(_ context.Context, _ delivery.Tx, _ string, events []delivery.WireEvent) error {
	if f.fail != nil {
		return f.fail
	}
	for _, e := range events {
		f.got = append(f.got, fmt.Sprintf("%d=%s", e.Seq, e.Data))
	}
	return nil
}

func publish(t *testing.T, x *node, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		err := x.db.InTx(t.Context(), func(tx *storage.Tx) error {
			_, err := x.Publish(t.Context(), tx, facts, "fact", "k", fmt.Appendf(nil, "%d", i))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func numbers(from, to int) string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprintf("%d=%d", i, i))
	}
	return strings.Join(out, " ")
}

func follow(t *testing.T, x *node) {
	t.Helper()
	if _, err := x.Follow(t.Context(), oversight, facts, "fact", "oversight", "basis"); err != nil {
		t.Fatal(err)
	}
}

// a (G22) follows the facts of b (H36).
func TestFollowEvents(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		f := &follower{}
		a.OnEvents("oversight", "fact", f.take)
		publish(t, b, 1, 3) // before anybody follows
		follow(t, a)
		if f.got != nil {
			t.Fatal("events were sent before the callback had confirmed")
		}
		b.run(t)
		if got := strings.Join(f.got, " "); got != numbers(1, 3) {
			t.Fatalf("caught up with %q", got)
		}
		publish(t, b, 4, 6)
		b.run(t)
		if got := strings.Join(f.got, " "); got != numbers(1, 6) {
			t.Fatalf("followed to %q", got)
		}
		calls := n.calls
		follow(t, a) // already active: nothing is asked
		if n.calls != calls {
			t.Error("an active subscription was asked for again")
		}
		// A day apart, then everything that was missed, in order and once.
		n.before = func(string, exchange.Call) error { return errAway }
		publish(t, b, 7, 1200)
		b.run(t)
		n.sleep(24 * time.Hour)
		b.restart(n)
		b.run(t)
		n.before = nil
		n.sleep(2 * time.Minute)
		b.run(t)
		if got := strings.Join(f.got, " "); got != numbers(1, 1200) {
			t.Errorf("after a day apart: %d events, last %v", len(f.got), f.got[len(f.got)-1])
		}
		// From a cursor once more.
		f.got = nil
		if err := a.Replay(t.Context(), oversight, facts, "fact", 1195, "oversight", "basis"); err != nil {
			t.Fatal(err)
		}
		b.run(t)
		if got := strings.Join(f.got, " "); got != numbers(1196, 1200) {
			t.Errorf("replayed %q", got)
		}
		v, err := b.View(t.Context())
		if err != nil || len(v.Subscriptions) != 1 || v.Subscriptions[0].State != "active" || v.Subscriptions[0].Position != 1200 {
			t.Errorf("subscriptions = %+v, %v", v.Subscriptions, err)
		}
		if err := b.Unsubscribe(t.Context(), v.Subscriptions[0].ID); err != nil {
			t.Fatal(err)
		}
		f.got = nil
		publish(t, b, 1201, 1201)
		b.run(t)
		if f.got != nil {
			t.Error("events are sent to who does not want them any more")
		}
	})
}

// TestEventsOnce: an answer that was lost repeats the batch on the wire, not its effect; a subscriber in trouble loses
// nothing; one that refuses for good stalls until an operator resumes.
func TestEventsOnce(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		f := &follower{}
		a.OnEvents("oversight", "fact", f.take)
		follow(t, a)
		b.run(t)
		lose := true
		n.after = func(string, exchange.Call) error {
			if lose {
				lose = false
				return errAway
			}
			return nil
		}
		publish(t, b, 1, 2)
		b.run(t)
		n.sleep(2 * time.Minute)
		b.run(t)
		f.fail = errs.E(errs.Unavailable, "delivery.message_unknown", nil)
		publish(t, b, 3, 3)
		b.run(t)
		f.fail = nil
		n.sleep(2 * time.Minute)
		b.run(t)
		if got := strings.Join(f.got, " "); got != numbers(1, 3) {
			t.Fatalf("received %q; want each once", got)
		}
		f.fail = errs.E(errs.Invalid, "delivery.message_invalid", nil)
		publish(t, b, 4, 5)
		b.run(t)
		v, err := b.View(t.Context())
		if err != nil || v.Subscriptions[0].State != "stalled" || v.Subscriptions[0].Position != 3 {
			t.Fatalf("after a refusal: %+v, %v", v.Subscriptions, err)
		}
		f.fail = nil
		if err := b.Resume(t.Context(), v.Subscriptions[0].ID); err != nil {
			t.Fatal(err)
		}
		b.run(t)
		if got := strings.Join(f.got, " "); got != numbers(1, 5) {
			t.Errorf("after resuming: %q", got)
		}
	})
}

// TestEventsAreForWhomTheyConcern: nobody subscribes somebody else, and nobody feeds events into a node that did not ask.
func TestEventsAreForWhomTheyConcern(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		f := &follower{}
		a.OnEvents("oversight", "fact", f.take)
		for name, body := range map[string]string{
			"somebody else's callback": `{"callback":"VN/GOV/H77/oversight/events"}`,
			"no callback":              `{}`,
			"unknown field":            `{"callback":"VN/GOV/G22/oversight/events","x":1}`,
			"before the beginning":     `{"callback":"VN/GOV/G22/oversight/events","after":-1}`,
			"no JSON":                  `<xml/>`,
		} {
			ans, err := n.Call(t.Context(), exchange.Call{From: oversight, To: facts, Method: "POST", Path: "/events/fact", Body: []byte(body)})
			if err != nil || ans.Status != http.StatusBadRequest {
				t.Errorf("%s: %+v, %v; want 400", name, ans, err)
			}
		}
		// A subscription that the callback's node never asked for is not confirmed.
		ans, err := n.Call(t.Context(), exchange.Call{From: oversight, To: facts, Method: "POST", Path: "/events/fact", Body: []byte(`{"callback":"VN/GOV/G22/oversight/events"}`)})
		if err != nil || ans.Status != http.StatusAccepted {
			t.Fatalf("subscribing = %+v, %v", ans, err)
		}
		publish(t, b, 1, 1)
		b.run(t)
		v, err := b.View(t.Context())
		if err != nil || v.Subscriptions[0].State != "refused" || f.got != nil {
			t.Errorf("unasked: %+v, %v, received %v", v.Subscriptions, err, f.got)
		}
		// Events under another's name.
		follow(t, a)
		b.run(t)
		f.got = nil
		sub, err := b.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		to := oversightEvents()
		batch := fmt.Sprintf(`{"subscription":%q,"service":%q,"type":"fact","after":1,"events":[{"seq":9,"type":"fact","at":"2026-11-22T08:00:00Z","data":1}]}`, sub.Subscriptions[0].ID, facts)
		stranger := portal
		stranger.Member = "H77"
		ans, err = n.Call(t.Context(), exchange.Call{From: stranger, To: to, Method: "POST", Body: []byte(batch), Header: http.Header{delivery.HeaderMessage: {"deliver"}}})
		if err != nil || ans.Status != http.StatusForbidden || f.got != nil {
			t.Errorf("a stranger told another's events: %+v, %v, %v", ans, err, f.got)
		}
	})
}

func TestReadEventsWithoutASubscription(t *testing.T) {
	each(t, func(t *testing.T, n *network, _, b *node) {
		publish(t, b, 1, 4)
		for query, want := range map[string]int{"": http.StatusOK, "after=2": http.StatusOK, "after=-1": http.StatusBadRequest, "after=x": http.StatusBadRequest} {
			ans, err := n.Call(t.Context(), exchange.Call{From: oversight, To: facts, Method: "GET", Path: "/events/fact", Query: query})
			if err != nil || ans.Status != want {
				t.Errorf("GET ?%s = %+v, %v; want %d", query, ans, err, want)
			}
			if query == "after=2" && strings.Count(string(ans.Body), `"seq"`) != 2 {
				t.Errorf("GET ?after=2 = %s; want two events", ans.Body)
			}
		}
		n.sleep(40 * 24 * time.Hour)
		if err := b.Prune(t.Context(), 30*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		publish(t, b, 5, 5)
		ans, err := n.Call(t.Context(), exchange.Call{From: oversight, To: facts, Method: "GET", Path: "/events/fact"})
		if err != nil || !strings.Contains(string(ans.Body), `"seq":5`) || strings.Contains(string(ans.Body), `"seq":4`) {
			t.Errorf("after retention: %s, %v; want number 5 and nothing older", ans.Body, err)
		}
	})
}
