package services_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/adminunits"
	"truc/internal/calendar"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/services/servicesstore"
	"truc/internal/services/servicestest"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/lang"
	"truc/procedures"
)

// agencySide answers for the province and the register; it can be away.
type agencySide struct {
	mu    sync.Mutex
	away  map[string]bool // service → does not answer
	calls []services.ExchangeCall
}

func (a *agencySide) set(service string, away bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away[service] = away
}

func (a *agencySide) Call(_ context.Context, c services.ExchangeCall) (services.ExchangeAnswer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away[c.To] {
		return services.ExchangeAnswer{}, errs.E(errs.Unavailable, "exchange.peer_unreachable", nil)
	}
	a.calls = append(a.calls, c)
	body := "{}"
	switch {
	case strings.HasSuffix(c.To, "/person"):
		body = `{"records":[{"fullName":"Nguyễn Thị Thu Hà","birthDate":"1990-04-12","personalId":"099190000101","permanentResidence":{"full":"18 Trần Phú"}}]}`
	case c.Path == "/submissions":
		body = `{"number":"H36.14-260605-0001","state":"submitted"}`
	}
	return services.ExchangeAnswer{Status: 200, Body: []byte(body), ID: "VN-1"}, nil
}

// paths of the calls to a service so far.
func (a *agencySide) paths(to string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, c := range a.calls {
		if c.To == to {
			out = append(out, c.Path)
		}
	}
	return out
}

// gateway is a payment provider whose word is set by hand.
type gateway struct {
	mu    sync.Mutex
	truth map[string]services.PaymentResult
	down  bool
}

func (*gateway) Name() string { return "Ngân hàng Mẫu" }

func (g *gateway) Redirect(o services.PaymentOrder) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.truth[o.Reference]; !known {
		g.truth[o.Reference] = services.PaymentResult{Reference: o.Reference, Amount: o.Amount, State: services.PayStarted}
	}
	return "https://bank.example/pay?ref=" + o.Reference, nil
}

func (*gateway) parse(q map[string][]string) (services.PaymentResult, error) {
	var r services.PaymentResult
	if len(q["signed"]) == 0 {
		return r, errs.E(errs.Denied, "services.payment.not_signed", nil)
	}
	return r, json.Unmarshal([]byte(q["result"][0]), &r)
}

func (g *gateway) ParseReturn(q map[string][]string) (services.PaymentResult, error) {
	return g.parse(q)
}

func (g *gateway) ParseNotice(q map[string][]string) (services.PaymentResult, error) {
	return g.parse(q)
}

func (g *gateway) Query(_ context.Context, ref string, _ time.Time) (services.PaymentResult, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down {
		return services.PaymentResult{}, errs.E(errs.Unavailable, "services.payment.provider_away", nil)
	}
	r, ok := g.truth[ref]
	if !ok {
		return r, errs.E(errs.NotFound, "services.payment.not_found", nil)
	}
	return r, nil
}

func (*gateway) Reply(code, _ string) []byte { return []byte(code) }

func (g *gateway) says(ref string, amount int64, state services.PaymentState) url.Values {
	r := services.PaymentResult{Reference: ref, Amount: amount, State: state, Transaction: "T1", PaidAt: time.Date(2026, 6, 5, 3, 0, 0, 0, time.UTC)}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return url.Values{"result": {string(b)}, "signed": {"yes"}}
}

type portalEnv struct {
	*services.Portal
	db   *storage.DB
	far  *agencySide
	bank *gateway
	post *servicestest.Post
	now  time.Time
}

const (
	personService = "VN/GOV/G01/population/person"
	deskService   = "VN/GOV/H36/onestop/dossiers"
)

var ha = reqctx.Principal{Kind: reqctx.Citizen, ID: "099190000101", Name: "Nguyễn Thị Thu Hà", Level: 2}

func newPortal(t *testing.T, db *storage.DB) *portalEnv {
	t.Helper()
	env := &portalEnv{db: db, far: &agencySide{away: map[string]bool{}}, bank: &gateway{truth: map[string]services.PaymentResult{}}, now: time.Date(2026, 6, 5, 2, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return env.now }
	for module, m := range map[string]fs.FS{"outbox": outbox.Migrations, "services": servicesstore.Migrations} {
		sub, err := fs.Sub(m, "migrations")
		if err != nil {
			t.Fatal(err)
		}
		if err := storage.Migrate(t.Context(), db, module, sub, env.now); err != nil {
			t.Fatal(err)
		}
	}
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	places, err := adminunits.Load()
	if err != nil {
		t.Fatal(err)
	}
	store := &servicesstore.Store{DB: db, Now: clock}
	lib := &services.Library{Store: store, Now: clock}
	bundle, err := fs.Sub(procedures.FS, "2.000635")
	if err != nil {
		t.Fatal(err)
	}
	proc, problems, err := lib.Publish(t.Context(), bundle, "test")
	if err != nil || !problems.OK() {
		t.Fatal(err, problems)
	}
	cal := calendar.Vietnam()
	env.Portal = &services.Portal{
		Store: servicesstore.Portal{Store: store}, Library: lib, Exchange: env.far, Provider: env.bank, Messages: cat, Places: places,
		Calendar: func() *calendar.Calendar { return cal }, Now: clock, Log: slog.New(slog.DiscardHandler), PublicURL: "https://portal.example",
		Agencies: func() []services.AgencyService {
			return []services.AgencyService{{Agency: "H36", Name: "Lâm Đồng", Service: deskService}}
		},
		Registers: map[string]string{"population/person": personService},
	}
	if err := env.Store.PutOffers(t.Context(), "H36", []services.Offer{{Procedure: proc.Code, Agency: "H36", Unit: "H36.14", UnitName: "Một cửa", VersionHash: proc.Hash, Mode: "full", SeenAt: env.now}}); err != nil {
		t.Fatal(err)
	}
	env.post = &servicestest.Post{DB: db, Now: clock, Exchange: env.far, Portal: env.Portal}
	env.Portal.Post = env.post
	return env
}

// deliver lets the outbox work off what is due.
func (e *portalEnv) deliver(t *testing.T) {
	t.Helper()
	if err := e.post.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// file answers every question and submits.
func (e *portalEnv) file(t *testing.T) services.Filing {
	t.Helper()
	v, err := e.StartDraft(t.Context(), ha, "2.000635", "H36.14")
	if err != nil {
		t.Fatal(err)
	}
	answers := url.Values{
		"requester.fullName": {ha.Name}, "requester.birthDate.day": {"12"}, "requester.birthDate.month": {"4"}, "requester.birthDate.year": {"1990"},
		"requester.personalId": {ha.ID}, "requester.residence": {"18 Trần Phú, Đà Lạt"}, "submitter.relation": {"self"}, "event.kind": {"birth"}, "event.year": {"1990"},
		"copies": {"2"}, "delivery.method": {"online"}, "contact.phone": {"0950000101"}, "declaration": {"true"},
	}
	for page := v.Form.NextPage(v.Facts, ""); page != nil; page = v.Form.NextPage(v.Facts, page.ID) {
		next, problems, err := e.SavePage(t.Context(), ha, v.Draft.ID, page.ID, answers)
		if err != nil || len(problems) > 0 {
			t.Fatalf("SavePage(%s) = %v, %v", page.ID, problems, err)
		}
		v = next
	}
	c, err := e.Check(t.Context(), ha, v.Draft.ID, "vi")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Missing {
		if err := e.AddPaper(t.Context(), ha, v.Draft.ID, services.Upload{Paper: n.ID, File: "a.pdf", Media: "application/pdf", Content: []byte("%PDF-1.4 " + n.ID)}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := e.Submit(t.Context(), ha, v.Draft.ID)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func portalOn(t *testing.T, f func(t *testing.T, e *portalEnv)) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) { f(t, newPortal(t, db)) })
}

// state returns the state of the filing's payment.
func (e *portalEnv) payment(t *testing.T, f services.Filing) services.Payment {
	t.Helper()
	list, err := e.Store.Payments(t.Context(), f.ID)
	if err != nil || len(list) == 0 {
		t.Fatalf("Payments() = %v, %v", list, err)
	}
	return list[len(list)-1]
}

func TestPaymentNotices(t *testing.T) {
	type say struct {
		state services.PaymentState
		add   int64 // to the amount
		want  string
	}
	tests := []struct {
		name    string
		says    []say
		end     services.PaymentState
		message int // payments told to the agency
	}{
		{"confirmed", []say{{services.PayConfirmed, 0, "00"}}, services.PayConfirmed, 1},
		{"confirmed twice", []say{{services.PayConfirmed, 0, "00"}, {services.PayConfirmed, 0, "02"}}, services.PayConfirmed, 1},
		{"failed, then late money", []say{{services.PayFailed, 0, "00"}, {services.PayConfirmed, 0, "00"}}, services.PayConfirmed, 1},
		{"wrong amount", []say{{services.PayConfirmed, -1000, "04"}}, services.PayStarted, 0},
		{"wrong amount, then the right one", []say{{services.PayConfirmed, 5, "04"}, {services.PayConfirmed, 0, "00"}}, services.PayConfirmed, 1},
		{"cancelled after confirmation changes nothing", []say{{services.PayConfirmed, 0, "00"}, {services.PayCancelled, 0, "02"}}, services.PayConfirmed, 1},
		{"cancelled", []say{{services.PayCancelled, 0, "00"}}, services.PayCancelled, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			portalOn(t, func(t *testing.T, e *portalEnv) {
				f := e.file(t)
				if _, err := e.StartPayment(t.Context(), ha, f.ID, "127.0.0.1"); err != nil {
					t.Fatal(err)
				}
				pay := e.payment(t, f)
				if pay.Amount != 16_000 {
					t.Fatalf("amount = %d; want two copies at 8,000", pay.Amount)
				}
				for i, s := range tt.says {
					if got := string(e.PaymentNotice(t.Context(), e.bank.says(pay.Reference, pay.Amount+s.add, s.state))); got != s.want {
						t.Errorf("notice %d answered %s; want %s", i+1, got, s.want)
					}
				}
				if got := e.payment(t, f).State; got != tt.end {
					t.Errorf("payment is %s; want %s", got, tt.end)
				}
				e.deliver(t)
				n := 0
				for _, p := range e.far.paths(deskService) {
					if p == "/messages" {
						n++
					}
				}
				if n != tt.message {
					t.Errorf("the agency was told %d times; want %d", n, tt.message)
				}
			})
		})
	}
}

func TestPaymentNoticesThatLie(t *testing.T) {
	portalOn(t, func(t *testing.T, e *portalEnv) {
		f := e.file(t)
		if _, err := e.StartPayment(t.Context(), ha, f.ID, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		pay := e.payment(t, f)
		unsigned := e.bank.says(pay.Reference, pay.Amount, services.PayConfirmed)
		unsigned.Del("signed")
		if got := string(e.PaymentNotice(t.Context(), unsigned)); got != "97" {
			t.Errorf("an unsigned notice answered %s; want 97", got)
		}
		if got := string(e.PaymentNotice(t.Context(), e.bank.says("UNKNOWN", pay.Amount, services.PayConfirmed))); got != "01" {
			t.Errorf("a notice about an unknown order answered %s; want 01", got)
		}
		// A browser that comes back and says it has paid proves nothing: the provider is asked, and it says no.
		if _, state, err := e.PaymentReturn(t.Context(), e.bank.says(pay.Reference, pay.Amount, services.PayConfirmed)); err != nil || state != services.PayStarted {
			t.Errorf("PaymentReturn() = %s, %v; want started, for the provider has not confirmed", state, err)
		}
		e.deliver(t)
		if slices.Contains(e.far.paths(deskService), "/messages") {
			t.Error("the agency was told of a payment that never was")
		}
	})
}

func TestReconcileFindsWhatNobodyTold(t *testing.T) {
	portalOn(t, func(t *testing.T, e *portalEnv) {
		f := e.file(t)
		if _, err := e.StartPayment(t.Context(), ha, f.ID, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		pay := e.payment(t, f)
		e.bank.mu.Lock()
		e.bank.truth[pay.Reference] = services.PaymentResult{Reference: pay.Reference, Amount: pay.Amount, State: services.PayConfirmed}
		e.bank.down = true
		e.bank.mu.Unlock()
		e.now = e.now.Add(2 * time.Minute)
		if err := e.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := e.payment(t, f).State; got != services.PayStarted {
			t.Errorf("with the provider away the payment is %s; want started", got)
		}
		e.bank.mu.Lock()
		e.bank.down = false
		e.bank.mu.Unlock()
		if err := e.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := e.payment(t, f).State; got != services.PayConfirmed {
			t.Errorf("payment is %s; want confirmed, as the provider says", got)
		}
		// Money that arrived is not asked for again.
		if _, err := e.StartPayment(t.Context(), ha, f.ID, "127.0.0.1"); !errs.Is(err, errs.Conflict) {
			t.Errorf("StartPayment() after payment = %v; want Conflict", err)
		}
	})
}

func TestAnAbandonedPaymentExpires(t *testing.T) {
	portalOn(t, func(t *testing.T, e *portalEnv) {
		f := e.file(t)
		first, err := e.StartPayment(t.Context(), ha, f.ID, "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		again, err := e.StartPayment(t.Context(), ha, f.ID, "127.0.0.1")
		if err != nil || again != first {
			t.Errorf("a second start leads to %s, %v; want the same order %s", again, err, first)
		}
		e.now = e.now.Add(40 * time.Minute)
		if err := e.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := e.payment(t, f).State; got != services.PayExpired {
			t.Errorf("payment is %s; want expired", got)
		}
		if next, err := e.StartPayment(t.Context(), ha, f.ID, "127.0.0.1"); err != nil || next == first {
			t.Errorf("StartPayment() = %s, %v; want a new order", next, err)
		}
	})
}

func TestFilingSurvivesAnAgencyThatIsAway(t *testing.T) {
	portalOn(t, func(t *testing.T, e *portalEnv) {
		e.far.set(personService, true)
		e.far.set(deskService, true)
		f := e.file(t)
		if f.Sync != services.SyncQueued || f.Number != "" {
			t.Errorf("filing = %s %q; want queued without a number", f.Sync, f.Number)
		}
		if again, err := e.Submit(t.Context(), ha, f.ID); err != nil || again.ID != f.ID {
			t.Errorf("Submit() again = %v, %v; want the same filing", again.ID, err)
		}
		e.deliver(t)
		for range 10 {
			e.now = e.now.Add(time.Minute)
			e.deliver(t)
		}
		e.far.set(deskService, false)
		e.now = e.now.Add(2 * time.Hour)
		e.deliver(t)
		got, err := e.Filing(t.Context(), ha, f.ID)
		if err != nil || got.Number != "H36.14-260605-0001" || got.Sync != services.SyncDelivered {
			t.Errorf("filing = %s %q, %v; want delivered with its number", got.Sync, got.Number, err)
		}
		n := 0
		for _, p := range e.far.paths(deskService) {
			if p == "/submissions" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("submitted %d times after the agency came back; want once", n)
		}
	})
}

func TestNoticesAreBelievedFromTheAgencyOnly(t *testing.T) {
	portalOn(t, func(t *testing.T, e *portalEnv) {
		f := e.file(t)
		e.deliver(t)
		n := services.Notice{FilingID: f.ID, Number: "H36.14-260605-0001", Seq: 3, Type: services.EvReceived, State: "processing", At: e.now}
		if err := e.HandleNotice(t.Context(), reqctx.Caller{Agency: "H57"}, n); !errs.Is(err, errs.Denied) {
			t.Errorf("a notice of another province = %v; want Denied", err)
		}
		agency := reqctx.Caller{Agency: "H36"}
		for _, seq := range []int64{3, 3, 2} { // again, and one that was overtaken
			n.Seq = seq
			if seq == 2 {
				n.State = "submitted"
			}
			if err := e.HandleNotice(t.Context(), agency, n); err != nil {
				t.Fatal(err)
			}
		}
		v, err := e.View(t.Context(), ha, f.ID, "vi")
		if err != nil {
			t.Fatal(err)
		}
		if v.State != "processing" || len(v.Events) != 2 {
			t.Errorf("state = %q with %d notices; want processing with 2: an old notice joins the history and moves nothing", v.State, len(v.Events))
		}
	})
}
