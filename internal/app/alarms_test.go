package app

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"truc/internal/alarm/alarmtest"
	"truc/internal/exchange"
	"truc/internal/pki"
)

// hook is a system that takes webhooks.
type hook struct {
	mu  sync.Mutex // guards got
	got []hookCall
}

type hookCall struct {
	method, target string
	header         http.Header
	body           []byte
}

func (h *hook) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, hookCall{r.Method, "http://" + r.Host + r.URL.RequestURI(), r.Header, b})
}

func (h *hook) calls() []hookCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

// TestAlarmsLeaveTheNode breaks something at a node that works: a mail and a signed webhook tell of it, once, also over a
// restart and while the mail server is away, and tell that it is well again.
func TestAlarmsLeaveTheNode(t *testing.T) {
	smtp, taker := alarmtest.New(t), &hook{}
	system := httptest.NewServer(taker)
	defer system.Close()
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	dir := t.TempDir()
	for name, b := range map[string][]byte{"ca.pem": smtp.CA, "password": []byte("secret\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Alarms = AlarmsConfig{
		SteadyMinutes: 1, PauseMinutes: 1, // so that the clock need not run far ahead, of which there would be more to tell
		Mail: MailConfig{
			Server: smtp.Addr, CAFile: filepath.Join(dir, "ca.pem"), User: "node", PasswordFile: filepath.Join(dir, "password"),
			From: "truc@g22.example.vn", To: []string{"van-hanh@g22.example.vn"},
		},
		Webhook: AlarmWebhookConfig{URL: system.URL + "/alarms?x=1"},
	}
	if faults := cfg.Check(); len(faults) > 0 {
		t.Fatal(faults)
	}
	var clock atomic.Int64
	m := startAhead(t, cfg, &clock)
	defer func() { m.stop() }()

	var result alarmTest
	m.ask(200, "POST", "/alarms/test", map[string]any{}, &result)
	if len(result.Items) != 2 || !result.Items[0].Sent || !result.Items[1].Sent {
		t.Fatalf("%+v", result)
	}
	if got := smtp.Mails(); len(got) != 1 || !got[0].TLS || got[0].User != "node" {
		t.Fatalf("%+v", got)
	}
	calls := taker.calls()
	checkHook(t, m.node, calls[0])
	smtp.Refuse("451 later")
	m.ask(200, "POST", "/alarms/test", map[string]any{}, &result)
	if result.Items[0].Sent || !strings.Contains(result.Items[0].Fault, "451") {
		t.Errorf("%+v", result)
	}

	// A message that was put aside; looks are made by hand, with a clock that runs ahead.
	_, err := m.node.db.ExecContext(t.Context(), `INSERT INTO outbox_message (id, topic, order_key, payload, state, attempts, added_at, due_at, last_error, owner, lane, holds)
		VALUES ('dead', 'x', '', '', 'dead', 1, 1, 1, '', '', '', false)`)
	if err != nil {
		t.Fatal(err)
	}
	look := func(ahead time.Duration) {
		t.Helper()
		clock.Store(int64(ahead))
		if err := m.node.lookForAlarms(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	look(0)
	look(70 * time.Second)
	waitHooks(t, taker, 3, "began", "queue")
	m.stop() // the mail could not be sent yet: it outlasts the process
	smtp.Refuse("")
	m = startAhead(t, cfg, &clock)
	waitMails(t, smtp, 2)
	text := bodyOf(t, smtp.Mails()[1].Data)
	for _, want := range []string{"MỚI: Hàng đợi", "1 việc không gửi được", "VN/GOV/G22/node1", cfg.Web.URL + "/exchange/admin/diagnostics"} {
		if !strings.Contains(text, want) {
			t.Errorf("the mail lacks %q:\n%s", want, text)
		}
	}
	look(3 * time.Minute) // nothing new
	var state alarmState
	m.ask(200, "GET", "/alarms", nil, &state)
	if len(state.Channels) != 2 || !slices.ContainsFunc(state.Items, func(c alarmCondition) bool {
		return c.Name == "queue" && c.Light == exchange.LightWarn && !c.Told.IsZero()
	}) {
		t.Errorf("%+v", state)
	}
	if _, err := m.node.db.ExecContext(t.Context(), `DELETE FROM outbox_message WHERE id = 'dead'`); err != nil {
		t.Fatal(err)
	}
	look(4 * time.Minute)
	look(6 * time.Minute)
	waitHooks(t, taker, 4, "ended", "queue")
	waitMails(t, smtp, 3)
	if text := bodyOf(t, smtp.Mails()[2].Data); !strings.Contains(text, "ĐÃ ỔN") {
		t.Errorf("the last mail:\n%s", text)
	}
	for _, mail := range smtp.Mails() {
		if strings.Contains(mail.Data+bodyOf(t, mail.Data), "secret") {
			t.Error("a secret is in a mail")
		}
	}
	if acts := m.acts("exchange.alarm.test"); strings.Count(acts, "exchange.alarm.test") != 2 {
		t.Errorf("acts:\n%s", acts)
	}
}

// checkHook checks the signature of a webhook as its taker does, with the key of the directory (RFC 9421).
func checkHook(t *testing.T, n *Node, c hookCall) {
	t.Helper()
	input, ok := strings.CutPrefix(c.header.Get("Signature-Input"), "truc=")
	if !ok || !strings.Contains(input, pki.KeyID(n.currentKeys().Signing.Public())) || !strings.Contains(input, `tag="truc-webhook"`) {
		t.Fatalf("input %q", c.header.Get("Signature-Input"))
	}
	if c.header.Get("Content-Digest") != exchange.ContentDigest(c.body) {
		t.Errorf("digest %q", c.header.Get("Content-Digest"))
	}
	base := "\"@method\": " + c.method + "\n\"@target-uri\": " + c.target + "\n\"content-type\": " + c.header.Get("Content-Type") + "\n\"content-digest\": " + c.header.Get("Content-Digest") + "\n\"@signature-params\": " + input
	sig, err := base64.StdEncoding.DecodeString(strings.Trim(strings.TrimPrefix(c.header.Get("Signature"), "truc="), ":"))
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519Verify(n.currentKeys().Signing.Public(), base, sig) {
		t.Errorf("the signature does not cover\n%s", base)
	}
	var body map[string]any
	if err := json.Unmarshal(c.body, &body); err != nil || body["test"] != true {
		t.Errorf("%v %s", err, c.body)
	}
}

func waitHooks(t *testing.T, h *hook, n int, want ...string) {
	t.Helper()
	for range 1000 {
		if calls := h.calls(); len(calls) >= n {
			for _, w := range want {
				if !bytes.Contains(calls[n-1].body, []byte(`"`+w+`"`)) {
					t.Errorf("the webhook lacks %q: %s", w, calls[n-1].body)
				}
			}
			if len(calls) > n {
				t.Errorf("%d webhooks, want %d", len(calls), n)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d webhooks did not come: %d", n, len(h.calls()))
}

func waitMails(t *testing.T, s *alarmtest.Server, n int) {
	t.Helper()
	for range 2000 {
		if got := len(s.Mails()); got >= n {
			if got > n {
				t.Errorf("%d mails, want %d", got, n)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d mails did not come: %d", n, len(s.Mails()))
}

func bodyOf(t *testing.T, data string) string {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAlarmConfig(t *testing.T) {
	good := MailConfig{Server: "mail.example.vn:587", From: "a@example.vn", To: []string{"b@example.vn"}}
	for what, change := range map[string]func(a *AlarmsConfig){
		"lang":            func(a *AlarmsConfig) { a.Lang = "fr" },
		"pause":           func(a *AlarmsConfig) { a.PauseMinutes = -1 },
		"no port":         func(a *AlarmsConfig) { a.Mail.Server = "mail.example.vn" },
		"security":        func(a *AlarmsConfig) { a.Mail.Security = "ssl" },
		"clear elsewhere": func(a *AlarmsConfig) { a.Mail.Security = "none" },
		"user alone":      func(a *AlarmsConfig) { a.Mail.User = "x" },
		"from":            func(a *AlarmsConfig) { a.Mail.From = "a@b\r\nRCPT TO:<x@y>" },
		"nobody":          func(a *AlarmsConfig) { a.Mail.To = nil },
		"to":              func(a *AlarmsConfig) { a.Mail.To = []string{"A <a@b>"} },
		"webhook":         func(a *AlarmsConfig) { a.Webhook.URL = "http://example.vn/x" },
	} {
		a := AlarmsConfig{Mail: good}
		if faults := a.check(); len(faults) > 0 {
			t.Fatal(faults)
		}
		change(&a)
		if faults := a.check(); len(faults) == 0 {
			t.Errorf("%s is taken", what)
		}
	}
	a := AlarmsConfig{Mail: good}
	a.Mail.Server, a.Mail.Security = "localhost:25", "none"
	if faults := a.check(); len(faults) > 0 {
		t.Error(faults)
	}
	if f := (&Node{cfg: &Config{}}).checkBackups(context.Background()); f != nil {
		t.Errorf("a node without backups says %v", f)
	}
}

func ed25519Verify(pub crypto.PublicKey, msg string, sig []byte) bool {
	key, ok := pub.(ed25519.PublicKey)
	return ok && ed25519.Verify(key, []byte(msg), sig)
}
