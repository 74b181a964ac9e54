package exchangeapi

import (
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/delivery"
	"truc/internal/exchange/deliverystore"
	"truc/internal/outbox"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// messenger is a node's delivery on a real link.
type messenger struct {
	*delivery.Service
	relay *outbox.Relay
	edge  *httptest.Server
}

func newMessenger(t *testing.T, n *testNode) *messenger {
	t.Helper()
	db := storagetest.OpenSQLite(t)
	for module, files := range map[string]fs.FS{"outbox": outbox.Migrations, "delivery": deliverystore.Migrations} {
		sub, err := fs.Sub(files, "migrations")
		if err != nil {
			t.Fatal(err)
		}
		if err := storage.Migrate(t.Context(), db, module, sub, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	m := &messenger{Service: &delivery.Service{
		Store: &deliverystore.Store{DB: db}, Caller: n.Service, Hosts: n.Hosts, Modes: map[string]delivery.Mode{"population/inbox": {}},
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}}
	m.relay = &outbox.Relay{DB: db, Now: time.Now, Log: slog.New(slog.DiscardHandler), Handlers: m.Handlers(), Policies: delivery.Policies()}
	n.SetInbox(m.Service)
	e := &Edge{Service: n.Service, Keys: n.store, Instance: "VN", Log: slog.New(slog.DiscardHandler), Native: true}
	m.edge = httptest.NewServer((&Async{Edge: e, Messages: m.Service}).Wrap(e.Wrap(http.NotFoundHandler())))
	t.Cleanup(m.edge.Close)
	return m
}

// reply is a response without its body.
type reply struct {
	StatusCode int
	Header     http.Header
}

func (m *messenger) ask(t *testing.T, method, path, client, key, body string, header ...string) (reply, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, m.edge.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(exchange.HeaderClient, client)
	if key != "" {
		r.Header.Set("X-Api-Key", key)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header}, string(b)
}

func TestMessagesAtTheEdge(t *testing.T) {
	p := newPair(t)
	const mine, theirs = "VN/GOV/H36/onestop", "VN/GOV/G01/population"
	a, b := newMessenger(t, p.consumer), newMessenger(t, p.provider)
	for node, sub := range map[*testNode]string{p.consumer: mine, p.provider: theirs} {
		if err := node.store.AddKey(t.Context(), exchange.APIKey{ID: "1", Hash: HashKey("s3cret"), Subsystem: sub, CreatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.provider.Offer("population/inbox", exchange.Offering{}, http.NotFoundHandler()); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.SetRules([]exchange.Rule{{Consumer: mine, Service: "population/open"}, {Consumer: mine, Service: "population/inbox"}}); err != nil {
		t.Fatal(err)
	}
	state := func(location string) (st messageStatus) {
		resp, body := a.ask(t, "GET", location, mine, "s3cret", "")
		if resp.StatusCode != http.StatusOK || json.Unmarshal([]byte(body), &st) != nil {
			t.Fatalf("GET %s = %d %s", location, resp.StatusCode, body)
		}
		return st
	}
	run := func() {
		if _, err := a.relay.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	// A service that answers in the same exchange, by either address.
	resp, body := a.ask(t, "POST", "/a1/"+theirs+"/open/a/1", mine, "s3cret", "hello", "X-Road-Id", "m-1", "Content-Type", "text/plain")
	if resp.StatusCode != http.StatusAccepted || resp.Header.Get("Location") != "/a1/messages/m-1" {
		t.Fatalf("POST = %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if st := state("/a1/messages/m-1"); st.State != delivery.Queued {
		t.Errorf("before the relay: %+v", st)
	}
	resp, _ = a.ask(t, "POST", "/r1/"+theirs+"/open/a/2", mine, "s3cret", "hello", "X-Road-Id", "m/2", "Prefer", "return=minimal, respond-async; wait=10")
	if resp.StatusCode != http.StatusAccepted || resp.Header.Get("Preference-Applied") != "respond-async" || resp.Header.Get("Location") != "/a1/messages/m%2F2" {
		t.Errorf("Prefer: respond-async = %d %v", resp.StatusCode, resp.Header)
	}
	run()
	for _, location := range []string{"/a1/messages/m-1", "/a1/messages/m%2F2"} {
		if st := state(location); st.State != delivery.Answered || st.Answer == nil || !strings.Contains(string(st.Answer.Body), `"path":"/a/`) {
			t.Errorf("%s = %+v", location, st)
		}
	}
	// The mark of a message is signed and in both logs.
	for _, n := range []*testNode{p.consumer, p.provider} {
		if e := n.entries(t); !strings.Contains(e[0].Base, "\"truc-message\": deliver;expires=") {
			t.Errorf("%s: the mark is not in the signed base:\n%s", n.id, e[0].Base)
		}
	}

	// A system behind the provider fetches and answers.
	resp, _ = a.ask(t, "POST", "/a1/"+theirs+"/inbox/x?y=1", mine, "s3cret", "letter", "X-Road-Id", "m-3", "Truc-Order-Key", "k", "X-Road-Issue", "H36-1")
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("POST inbox = %d", resp.StatusCode)
	}
	run()
	if st := state("/a1/messages/m-3"); st.State != delivery.Accepted {
		t.Errorf("stored at the provider = %+v", st)
	}
	if e := p.provider.entries(t); !strings.Contains(e[len(e)-1].Base, `"truc-message": accepted`) {
		t.Errorf("the acknowledgement is not signed as one:\n%s", e[len(e)-1].Base)
	}
	resp, body = b.ask(t, "GET", "/a1/inbox?service="+theirs+"/inbox", theirs, "s3cret", "")
	lease := resp.Header.Get(delivery.HeaderLease)
	if resp.StatusCode != http.StatusOK || body != "letter" || lease == "" || resp.Header.Get("X-Road-Client") != mine || resp.Header.Get("X-Road-Id") != "m-3" ||
		resp.Header.Get("Truc-Path") != "/x" || resp.Header.Get("Truc-Query") != "y=1" || resp.Header.Get("X-Road-Issue") != "H36-1" {
		t.Fatalf("inbox = %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if resp, _ = b.ask(t, "GET", "/a1/inbox?service="+theirs+"/inbox", theirs, "s3cret", ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("an empty inbox = %d; want 204", resp.StatusCode)
	}
	if resp, _ = b.ask(t, "POST", "/a1/inbox/"+lease+"/ack", theirs, "s3cret", "thanks", "Content-Type", "text/plain"); resp.StatusCode != http.StatusNoContent {
		t.Errorf("ack = %d", resp.StatusCode)
	}

	for _, tt := range []struct {
		name, method, path, client, key string
		header                          []string
		want                            int
	}{
		{"no key", "POST", "/a1/" + theirs + "/open", mine, "", nil, 401},
		{"wrong key", "GET", "/a1/messages/m-1", mine, "wrong", nil, 401},
		{"key of another", "GET", "/a1/messages/m-1", "VN/GOV/H36/other", "s3cret", nil, 404},
		{"no client", "GET", "/a1/messages/m-1", "", "s3cret", nil, 400},
		{"unknown message", "GET", "/a1/messages/none", mine, "s3cret", nil, 404},
		{"id reused", "POST", "/a1/" + theirs + "/open/other", mine, "s3cret", []string{"X-Road-Id", "m-1"}, 409},
		{"a dot segment", "POST", "/a1/" + theirs + "/open/%2e%2e/x", mine, "s3cret", nil, 400},
		{"GET is no message", "GET", "/a1/" + theirs + "/open", mine, "s3cret", nil, 400},
		{"an end that cannot be read", "POST", "/a1/" + theirs + "/open", mine, "s3cret", []string{"Truc-Expires", "tomorrow"}, 400},
		{"for another party", "POST", "/a1/" + theirs + "/open", mine, "s3cret", []string{"X-Road-Represented-Party", "GOV/G09"}, 403},
		{"another's inbox", "GET", "/a1/inbox?service=" + theirs + "/inbox", mine, "s3cret", nil, 403},
		{"no lease", "POST", "/a1/inbox/none/ack", mine, "s3cret", nil, 404},
		{"no verb", "POST", "/a1/inbox/" + lease + "/eat", mine, "s3cret", nil, 400},
		{"too short", "POST", "/a1/VN/GOV", mine, "s3cret", nil, 400},
	} {
		resp, body := a.ask(t, tt.method, tt.path, tt.client, tt.key, "", tt.header...)
		if resp.StatusCode != tt.want || resp.Header.Get(exchange.HeaderError) == "" {
			t.Errorf("%s = %d %s; want %d", tt.name, resp.StatusCode, body, tt.want)
		}
	}
	// A lease that is given to one subsystem cannot be ended by another of the same node's programs.
	if resp, _ := b.ask(t, "POST", "/a1/inbox/"+lease+"/reject", theirs, "s3cret", "late"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("ending a lease twice = %d; want 404", resp.StatusCode)
	}
}

// D34: a service that takes messages alone refuses a call that waits for its answer, after everything that would refuse it
// anyway, and takes the same request as a message.
func TestServiceForMessagesAlone(t *testing.T) {
	p := newPair(t)
	const mine, theirs = "VN/GOV/H36/onestop", "VN/GOV/G01/population"
	a := newMessenger(t, p.consumer)
	newMessenger(t, p.provider)
	if err := p.consumer.store.AddKey(t.Context(), exchange.APIKey{ID: "1", Hash: HashKey("s3cret"), Subsystem: mine, CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	took := 0
	if err := p.provider.Offer("population/slow", exchange.Offering{AsyncOnly: true}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		took++
		w.WriteHeader(http.StatusCreated)
	})); err != nil {
		t.Fatal(err)
	}
	call := func() (reply, string) {
		return a.ask(t, "POST", "/r1/"+theirs+"/slow/a", mine, "s3cret", "hello", "Truc-Message", "deliver")
	}
	if resp, body := call(); resp.Header.Get("X-Road-Error") != "server.serverproxy.unknown_service" { // so a native program is told
		t.Errorf("without a rule: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if err := p.provider.SetRules([]exchange.Rule{{Consumer: mine, Service: "population/slow"}}); err != nil {
		t.Fatal(err)
	}
	resp, body := call()
	if resp.Header.Get("X-Road-Error") != "server.serverproxy.asynchronous_only" || resp.StatusCode != http.StatusBadRequest || took != 0 {
		t.Errorf("a call: %d %v %s, the service was called %d times", resp.StatusCode, resp.Header, body, took)
	}
	resp, body = a.ask(t, "POST", "/r1/"+theirs+"/slow/a", mine, "s3cret", "hello", "X-Road-Id", "m-1", "Prefer", "respond-async")
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("a message: %d %s", resp.StatusCode, body)
	}
	if _, err := a.relay.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if resp, body := a.ask(t, "GET", "/a1/messages/m-1", mine, "s3cret", ""); took != 1 || !strings.Contains(body, `"answered"`) {
		t.Errorf("after the relay: called %d times, %d %s", took, resp.StatusCode, body)
	}
}
