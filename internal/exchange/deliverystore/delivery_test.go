package deliverystore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/delivery"
	"truc/internal/reqctx"
	"truc/internal/storage"
)

func TestSendAndAnswer(t *testing.T) {
	each(t, func(t *testing.T, _ *network, a, b *node) {
		var heard []delivery.State
		a.OnOutcome("test", func(_ context.Context, _ delivery.Tx, o delivery.Outgoing) error {
			heard = append(heard, o.State)
			return nil
		})
		m := say("m-1", "one", "k")
		m.Kind, m.UserID = "test", "VN099204000123"
		a.send(t, m)
		if got := a.state(t, portal, "m-1"); got.State != delivery.Queued {
			t.Errorf("state before the relay ran = %s; want queued", got.State)
		}
		a.run(t)
		got := a.state(t, portal, "m-1")
		if got.State != delivery.Answered || got.Status != 200 || string(got.Answer) != "took one" || got.Attempts != 1 || len(got.Body) != 0 || got.UserID != "" {
			t.Errorf("after delivery = %+v; want answered, body and person forgotten", got)
		}
		if b.received() != "one" || len(heard) != 1 || heard[0] != delivery.Answered {
			t.Errorf("received %q, heard %v", b.received(), heard)
		}
	})
}

func TestSendIsPartOfTheTransaction(t *testing.T) {
	each(t, func(t *testing.T, _ *network, a, b *node) {
		undo := errors.New("undo")
		err := a.db.InTx(t.Context(), func(tx *storage.Tx) error {
			if _, err := a.Send(t.Context(), tx, say("m-1", "one", "")); err != nil {
				return err
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
		a.run(t)
		if b.received() != "" {
			t.Errorf("a message of a transaction that was undone arrived: %q", b.received())
		}
	})
}

func TestTheSameIDTwice(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		a.send(t, say("m-1", "one", ""))
		a.send(t, say("m-1", "one", ""))
		a.run(t)
		if b.received() != "one" {
			t.Errorf("received %q; want it once", b.received())
		}
		err := a.db.InTx(t.Context(), func(tx *storage.Tx) error {
			_, err := a.Send(t.Context(), tx, say("m-1", "other", ""))
			return err
		})
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("Send of other bytes under a known id = %v; want a conflict", err)
		}
		// A repeat on the wire, as after a lost answer, and the same id with other bytes.
		call := exchange.Call{
			From: portal, To: dossiers, Method: "POST", Path: "/messages", Body: []byte("one"), ID: "m-1",
			Header: http.Header{"Content-Type": {"text/plain"}, delivery.HeaderMessage: {"deliver"}},
		}
		ans, err := n.Call(t.Context(), call)
		if err != nil || ans.Status != 200 || string(ans.Body) != "took one" || ans.Header.Get(delivery.HeaderDuplicate) != "true" {
			t.Errorf("repeat = %+v, %v; want the first result, marked", ans, err)
		}
		call.Body = []byte("two")
		if ans, err = n.Call(t.Context(), call); err != nil || ans.Status != http.StatusConflict {
			t.Errorf("other bytes under the same id = %+v, %v; want 409", ans, err)
		}
		call.From = oversight // the id of another sender is another message
		if ans, err = n.Call(t.Context(), call); err != nil || ans.Status != 200 || ans.Header.Get(delivery.HeaderDuplicate) != "" {
			t.Errorf("the same id of another sender = %+v, %v", ans, err)
		}
		if b.received() != "one two" {
			t.Errorf("received %q", b.received())
		}
	})
}

// TestKilledAtEveryStep kills either node at each step of a delivery; the effect happens exactly once. The receiver's own
// effect is in one transaction with the record here, as that of events is; a plain handler is given a repeat when the kill
// falls between its effect and the record, which the last case shows.
func TestKilledAtEveryStep(t *testing.T) {
	killed := errors.New("killed")
	for _, tt := range []struct {
		name    string
		arrange func(n *network, a *node)
		twice   bool
	}{
		{"sender before the call", func(n *network, _ *node) {
			once := true
			n.before = func(string, exchange.Call) error {
				if once {
					once = false
					return killed
				}
				return nil
			}
		}, false},
		{"answer lost on the way", func(n *network, _ *node) {
			once := true
			n.after = func(string, exchange.Call) error {
				if once {
					once = false
					return errAway
				}
				return nil
			}
		}, false},
		{"sender between answer and record", func(n *network, a *node) {
			store := a.Service.Store
			a.Service.Store = &dying{Store: store, dieAfterSent: true}
		}, false},
		{"receiver before it stored", func(n *network, _ *node) {
			b := n.nodes["H36"]
			b.Service.Store = &dying{Store: b.Service.Store, dieOnAddIn: true}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(t *testing.T, n *network, a, b *node) {
				tt.arrange(n, a)
				outcomes := 0
				a.OnOutcome("test", func(context.Context, delivery.Tx, delivery.Outgoing) error { outcomes++; return nil })
				m := say("m-1", "one", "k")
				m.Kind = "test"
				a.send(t, m)
				for range 5 {
					a.run(t)
					a.restart(n)
					n.sleep(5 * time.Minute)
				}
				if got := a.state(t, portal, "m-1"); got.State != delivery.Answered || outcomes != 1 {
					t.Errorf("state %s (%s), %d outcomes; want answered once", got.State, got.Error, outcomes)
				}
				want := "one"
				if tt.twice {
					want = "one one"
				}
				if b.received() != want {
					t.Errorf("received %q; want %q", b.received(), want)
				}
			})
		})
	}
}

// dying is a store whose process dies once at a chosen step.
type dying struct {
	delivery.Store
	dieAfterSent, dieOnAddIn bool
}

var errDied = errors.New("killed here")

func (d *dying) PutOut(ctx context.Context, tx delivery.Tx, m delivery.Outgoing) error {
	if d.dieAfterSent && m.State == delivery.Answered {
		d.dieAfterSent = false
		return errDied
	}
	return d.Store.PutOut(ctx, tx, m)
}

func (d *dying) AddIn(ctx context.Context, tx delivery.Tx, m delivery.Incoming) (int64, error) {
	if d.dieOnAddIn {
		d.dieOnAddIn = false
		return 0, errDied
	}
	return d.Store.AddIn(ctx, tx, m)
}

// TestADayApart: the peer cannot be reached for a day, and everything said meanwhile arrives in order.
func TestADayApart(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		n.before = func(string, exchange.Call) error { return errAway }
		var want []string
		for i := range 48 {
			body := fmt.Sprintf("%02d", i)
			want = append(want, body)
			a.send(t, say("m-"+body, body, "k"))
			a.run(t)
			n.sleep(30 * time.Minute)
		}
		if b.received() != "" {
			t.Fatalf("received %q across a cut", b.received())
		}
		d, err := a.Depth(t.Context())
		if err != nil || d.Waiting != 48 || d.Dead != 0 || d.OldestAge != 24*time.Hour {
			t.Errorf("Depth() = %+v, %v; want 48 waiting for a day", d, err)
		}
		n.before = nil
		n.sleep(2 * time.Minute) // no peer rests longer, however long it was away
		for range 60 {
			a.run(t)
		}
		if got := b.received(); got != strings.Join(want, " ") {
			t.Errorf("after the cut: %s", got)
		}
	})
}

// TestAWeekApart: a receiver that is away for a week, longer than messages live by themselves, gets everything in order, once,
// from a sender that gave its messages a longer life, as the document axis does.
func TestAWeekApart(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		n.before = func(string, exchange.Call) error { return errAway }
		var want []string
		for i := range 16 {
			m := say(fmt.Sprintf("m-%02d", i), fmt.Sprintf("%02d", i), "H36")
			m.Expires, m.Skip = n.time().Add(30*24*time.Hour), true
			want = append(want, string(m.Body))
			a.send(t, m)
			a.run(t)
			n.sleep(12 * time.Hour)
			if i%5 == 4 {
				a.restart(n)
			}
		}
		lost := 0
		n.before = nil
		n.after = func(string, exchange.Call) error { // and now and then an answer is lost on the way back
			if lost++; lost%4 == 1 {
				return errAway
			}
			return nil
		}
		for range 60 {
			n.sleep(2 * time.Minute)
			a.run(t)
		}
		if got := b.received(); got != strings.Join(want, " ") {
			t.Errorf("after the week: %s", got)
		}
		if d, err := a.Depth(t.Context()); err != nil || d.Waiting != 0 || d.Dead != 0 {
			t.Errorf("Depth() = %+v, %v; want nothing left", d, err)
		}
	})
}

func TestExpiry(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		n.before = func(string, exchange.Call) error { return errAway }
		m := say("m-1", "one", "k")
		m.Expires = n.time().Add(time.Hour)
		a.send(t, m)
		a.send(t, say("m-2", "two", "k"))
		a.run(t)
		n.sleep(2 * time.Hour)
		n.before = nil
		for range 5 {
			a.run(t)
		}
		if got := a.state(t, portal, "m-1"); got.State != delivery.Expired {
			t.Errorf("state = %s; want expired", got.State)
		}
		if b.received() != "two" {
			t.Errorf("received %q; want only what had not expired", b.received())
		}
	})
}

// TestPoison: a message that is refused for good goes to the dead letters and holds those of its order, and nobody else,
// until an operator replays or drops it.
func TestPoison(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		bad := true
		good := b.handler
		b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var body bytes.Buffer
			_, _ = body.ReadFrom(r.Body)
			if bad && strings.HasPrefix(body.String(), "poison") {
				http.Error(w, "no", http.StatusUnprocessableEntity)
				return
			}
			r.Body = readCloser{&body}
			good.ServeHTTP(w, r)
		})
		a.send(t, say("p-1", "poison1", "k"))
		a.send(t, say("p-2", "poison2", "k"))
		a.send(t, say("m-3", "three", "k"))
		a.send(t, say("m-4", "four", "other"))
		skip := say("p-5", "poison5", "skip")
		skip.Skip = true
		a.send(t, skip)
		a.send(t, say("m-6", "six", "skip"))
		a.run(t)
		if got := b.received(); got != "four six" && got != "six four" {
			t.Errorf("received %q beside a poison message; want four and six", got)
		}
		dead, err := a.Service.Store.DeadOut(t.Context(), 10)
		if err != nil || len(dead) != 2 || dead[0].ID != "p-1" || dead[0].Status != 422 || string(dead[0].Body) != "poison1" {
			t.Fatalf("dead letters = %+v, %v", dead, err)
		}
		bad = false
		if err := a.ReplayOut(t.Context(), dead[0].Seq); err != nil {
			t.Fatal(err)
		}
		if err := a.ReplayOut(t.Context(), dead[0].Seq); !errs.Is(err, errs.Conflict) {
			t.Errorf("replay of what is not dead = %v; want a conflict", err)
		}
		a.run(t)
		if got := b.received(); !strings.HasSuffix(got, "poison1 poison2 three") {
			t.Errorf("after the replay: %q", got)
		}
		if err := a.DropOut(t.Context(), dead[1].Seq); err != nil {
			t.Fatal(err)
		}
		if got := a.state(t, portal, "p-5"); got.State != delivery.Dropped || len(got.Body) != 0 {
			t.Errorf("dropped = %+v", got)
		}
		n.sleep(31 * 24 * time.Hour)
		if err := a.Prune(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Status(t.Context(), portal.String(), "m-4"); !errs.Is(err, errs.NotFound) {
			t.Errorf("a result is kept for ever: %v", err)
		}
	})
}

func TestDeadPeerDoesNotHoldOthers(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		n.before = func(member string, _ exchange.Call) error {
			if member == "H99" {
				return errAway
			}
			return nil
		}
		for i := range 100 {
			m := say(fmt.Sprintf("far-%d", i), "far", "")
			m.To.Member = "H99"
			a.send(t, m)
		}
		a.send(t, say("near", "near", ""))
		if _, err := a.relay.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.received() != "near" {
			t.Errorf("received %q in the first turn behind a hundred messages to a peer that is away", b.received())
		}
	})
}

func TestRetryOnTrouble(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		trouble, good := 3, b.handler
		b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if trouble > 0 {
				trouble--
				http.Error(w, "later", http.StatusServiceUnavailable)
				return
			}
			good.ServeHTTP(w, r)
		})
		a.send(t, say("m-1", "one", "k"))
		a.send(t, say("m-2", "two", "k"))
		for range 5 {
			a.run(t)
			n.sleep(time.Minute)
		}
		if got := a.state(t, portal, "m-1"); got.State != delivery.Answered || got.Attempts != 4 || b.received() != "one two" {
			t.Errorf("state %s after %d attempts, received %q", got.State, got.Attempts, b.received())
		}
	})
}

func TestSendRefusesNonsense(t *testing.T) {
	n := newNetwork()
	each(t, func(t *testing.T, _ *network, a, _ *node) {
		for name, edit := range map[string]func(m *delivery.Message){
			"foreign sender": func(m *delivery.Message) { m.From = onestop },
			"GET":            func(m *delivery.Message) { m.Method = "GET" },
			"dot segment":    func(m *delivery.Message) { m.Path = "/a/../b" },
			"not canonical":  func(m *delivery.Message) { m.Path = "/%61" },
			"line in the id": func(m *delivery.Message) { m.ID = "a\r\nX: y" },
			"long key":       func(m *delivery.Message) { m.OrderKey = strings.Repeat("k", 200) },
			"past":           func(m *delivery.Message) { m.Expires = n.time().Add(-time.Hour) },
			"large":          func(m *delivery.Message) { m.Body = make([]byte, delivery.MaxBody+1) },
		} {
			m := say("m-1", "one", "")
			edit(&m)
			err := a.db.InTx(t.Context(), func(tx *storage.Tx) error {
				_, err := a.Send(t.Context(), tx, m)
				return err
			})
			if err == nil {
				t.Errorf("%s was queued", name)
			}
		}
	})
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

// TestABodyThatIsCutOff: what did not arrive whole is neither taken nor refused for good.
func TestABodyThatIsCutOff(t *testing.T) {
	each(t, func(t *testing.T, _ *network, _, b *node) {
		for name, tt := range map[string]struct {
			body io.Reader
			want int
		}{
			"cut off":   {io.MultiReader(strings.NewReader("half"), failing{}), http.StatusServiceUnavailable},
			"too large": {io.LimitReader(zeros{}, delivery.MaxBody+1), http.StatusRequestEntityTooLarge},
		} {
			r := httptest.NewRequestWithContext(reqctx.WithCaller(t.Context(), reqctx.Caller{Subsystem: portal.String(), Service: dossiers.String(), ExchangeID: name}), "POST", "/x", tt.body)
			r.Header.Set(delivery.HeaderMessage, "deliver")
			w := httptest.NewRecorder()
			b.Wrap(dossiers, b.handler).ServeHTTP(w, r)
			if w.Code != tt.want || b.received() != "" {
				t.Errorf("%s: %d, received %d bytes; want %d and nothing taken", name, w.Code, len(b.received()), tt.want)
			}
		}
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
