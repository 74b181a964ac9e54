package exchangepage

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"truc/internal/exchange/delivery"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

// desk is a queue with one of everything; it keeps what was done to it.
type desk struct {
	view delivery.View
	did  []string
}

func (d *desk) View(context.Context) (delivery.View, error) { return d.view, nil }
func (d *desk) ReplayOut(_ context.Context, n int64) error  { return d.note("replay-out", n) }
func (d *desk) DropOut(_ context.Context, n int64) error    { return d.note("drop-out", n) }
func (d *desk) ReplayIn(_ context.Context, n int64) error   { return d.note("replay-in", n) }
func (d *desk) DropIn(_ context.Context, n int64) error     { return d.note("drop-in", n) }
func (d *desk) Resume(_ context.Context, id string) error {
	d.did = append(d.did, "resume "+id)
	return nil
}

func (d *desk) Unsubscribe(_ context.Context, id string) error {
	d.did = append(d.did, "unsubscribe "+id)
	return nil
}

func (d *desk) note(what string, n int64) error {
	d.did = append(d.did, what+" "+string(rune('0'+n)))
	return nil
}

func TestQueuePage(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	service := orgcode.Service{Instance: "VN", Class: "GOV", Member: "H36", Subsystem: "onestop", Code: "dossiers"}
	full := &desk{view: delivery.View{
		Queue:   []delivery.QueueRow{{Peer: "VN/GOV/H36", State: delivery.Queued, N: 3, Oldest: at}, {Peer: "VN/GOV/H36", State: delivery.Accepted, N: 1, Oldest: at}},
		DeadOut: []delivery.Outgoing{{Seq: 7, Message: delivery.Message{ID: "m-7", To: service, Body: []byte("secret")}, State: delivery.Dead, Error: "the service answered 422", Created: at}},
		DeadIn:  []delivery.Incoming{{Seq: 8, ID: "m-8", Sender: "VN/GOV/G22/portal", Service: service.String(), State: delivery.Dead, Error: "no", Received: at}},
		Subscriptions: []delivery.Subscription{{
			ID: "s-1", Service: service.String(), Type: "fact", Subscriber: "VN/GOV/G22/oversight", State: "stalled", Position: 41, Created: at, Moved: at,
		}},
		Followings: []delivery.Following{{Subscriber: "VN/GOV/H36/onestop", Service: "VN/GOV/G01/population/changes", Type: "moved", State: "asked"}},
	}}
	var audited []string
	auditFails := false
	serve := func(d *desk, method string, form url.Values, language string, roles ...string) (int, string) {
		m := web.NewMux(web.Options{Lang: cat, Renderer: rd})
		q := &Queue{Delivery: d, Renderer: rd, Audit: func(_ context.Context, actor, action, object string) error {
			if auditFails {
				return errors.New("no audit")
			}
			audited = append(audited, actor+" "+action+" "+object)
			return nil
		}}
		if err := q.Mount(m); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(method, "/exchange/admin/queue", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		p := reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Agency: "G01", Roles: roles}
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r.WithContext(reqctx.WithLang(reqctx.WithPrincipal(r.Context(), p), language)))
		return w.Code, w.Body.String()
	}
	for language, want := range map[string][]string{
		"vi": {"Hàng đợi thông điệp", "VN/GOV/H36", "chờ gửi", "m-7 · the service answered 422", "replay-out 7", "drop-in 8", "bị dừng", "đến sự kiện số 41", "resume s-1", "chờ xác nhận"},
		"en": {"Queue of messages", "waits", "taken by the receiving node", "stopped", "up to event 41"},
	} {
		code, body := serve(full, "GET", nil, language, "admin")
		for _, s := range want {
			if code != 200 || !strings.Contains(body, s) {
				t.Errorf("%s: %d, the page lacks %q", language, code, s)
			}
		}
		if strings.Contains(body, "secret") {
			t.Error("the page shows what is in a message")
		}
	}
	if code, body := serve(&desk{}, "GET", nil, "vi", "admin"); code != 200 || !strings.Contains(body, "Không có thông điệp nào đang chờ.") || !strings.Contains(body, "Chưa ai đăng ký") {
		t.Errorf("empty page: %d", code)
	}
	if code, _ := serve(full, "GET", nil, "vi", "clerk"); code != http.StatusForbidden {
		t.Errorf("a clerk sees the queue: %d", code)
	}
	for _, act := range []string{"replay-out 7", "drop-out 7", "replay-in 8", "drop-in 8", "resume s-1", "unsubscribe s-1"} {
		if code, body := serve(full, "POST", url.Values{"act": {act}}, "vi", "admin"); code != http.StatusSeeOther {
			t.Errorf("%s = %d %s", act, code, body)
		}
		if n := len(full.did); n == 0 || full.did[n-1] != act || len(audited) != n || !strings.HasPrefix(audited[n-1], "lan exchange.delivery.") {
			t.Errorf("%s: did %v, audited %v", act, full.did, audited)
		}
	}
	done := len(full.did)
	for _, act := range []string{"", "replay-out", "replay-out x", "eat 7", "resume ", "resume " + strings.Repeat("x", 65)} {
		if code, _ := serve(full, "POST", url.Values{"act": {act}}, "vi", "admin"); code != http.StatusBadRequest {
			t.Errorf("act %q = %d; want 400", act, code)
		}
	}
	auditFails = true
	if code, _ := serve(full, "POST", url.Values{"act": {"drop-out 7"}}, "vi", "admin"); code < 500 {
		t.Errorf("an act without audit = %d", code)
	}
	if len(full.did) != done {
		t.Errorf("did %v after refusals", full.did[done:])
	}
}
