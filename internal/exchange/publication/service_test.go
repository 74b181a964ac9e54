package publication

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/openapi"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/pki"
	"truc/internal/reqctx"
)

// memory is the smallest honest store.
type memory struct {
	list   map[string]Published
	drafts map[string]Draft
	n      int64
}

func (m *memory) Publications(context.Context) ([]Published, error) {
	var out []Published
	for _, p := range m.list {
		p.Rights, p.Endpoints = slices.Clone(p.Rights), slices.Clone(p.Endpoints)
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Published) int { return strings.Compare(a.Code, b.Code) })
	return out, nil
}

func (m *memory) AddPublication(_ context.Context, p *Published) error {
	if _, dup := m.list[p.Code]; dup {
		return errs.E(errs.Conflict, "exchange.publish.fault.code_taken", nil)
	}
	q := *p
	q.Version = 1
	m.list[p.Code] = q
	m.n++
	return nil
}

func (m *memory) SavePublication(_ context.Context, p *Published) error {
	if m.list[p.Code].Version != p.Version {
		return errs.E(errs.Conflict, "exchange.publish.changed", nil)
	}
	q := *p
	q.Version++
	m.list[p.Code] = q
	m.n++
	return nil
}

func (m *memory) DeletePublication(_ context.Context, code string) error {
	if _, ok := m.list[code]; !ok {
		return notFound()
	}
	delete(m.list, code)
	m.n++
	return nil
}
func (m *memory) PublicationChanges(context.Context) (int64, error) { return m.n, nil }
func (m *memory) KeepDraft(_ context.Context, d *Draft, _ time.Time) error {
	m.drafts[d.ID] = *d
	return nil
}

func (m *memory) Draft(_ context.Context, id string) (*Draft, error) {
	d, ok := m.drafts[id]
	if !ok {
		return nil, errs.E(errs.NotFound, "exchange.publish.draft_unknown", nil)
	}
	return &d, nil
}
func (m *memory) DropDraft(_ context.Context, id string) error { delete(m.drafts, id); return nil }

// host is the exchange as far as publishing sees it.
type host struct {
	offers   map[string]exchange.Offering
	handlers map[string]http.Handler
}

func (h *host) Put(code string, o exchange.Offering, x http.Handler) error {
	h.offers[code], h.handlers[code] = o, x
	return nil
}
func (h *host) Withdraw(code string) { delete(h.offers, code); delete(h.handlers, code) }
func (h *host) CheckOffer(code string) error {
	if !strings.HasPrefix(code, "weather/") || strings.HasSuffix(code, "getOpenAPI") {
		return errors.New("no")
	}
	return nil
}

func (h *host) Offers() []exchange.Offered {
	own := exchange.Offered{ID: orgcode.Service{Instance: "VN", Class: "GOV", Member: "G05", Subsystem: "weather", Code: "own"}}
	return []exchange.Offered{own}
}

type fixture struct {
	*Service
	store   *memory
	host    *host
	rules   []exchange.Rule
	audited []string
	refuse  bool
	told    int
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{store: &memory{list: map[string]Published{}, drafts: map[string]Draft{}}, host: &host{offers: map[string]exchange.Offering{}, handlers: map[string]http.Handler{}}}
	f.Service = f.another()
	if err := f.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// another is a second process of the same node: it shares the store.
func (f *fixture) another() *Service {
	return &Service{
		Store: f.store, Drafts: f.store, Host: f.host, Member: "VN/GOV/G05", Now: time.Now, Log: slog.New(slog.DiscardHandler), Fetcher: &Fetcher{},
		SetRules: func(r []exchange.Rule) error { f.rules = r; return nil }, Announce: func() { f.told++ },
		Identity: func() (*tls.Certificate, error) { return nil, errors.New("none") },
		Audit: func(_ context.Context, actor, action, object string) error {
			if f.refuse {
				return errs.E(errs.Unavailable, "audit.unavailable", nil)
			}
			f.audited = append(f.audited, actor+" "+action+" "+object)
			return nil
		},
	}
}

const description = `openapi: 3.0.3
info: {title: Stations, version: "1"}
servers: [{url: "https://inner.example/api"}]
paths:
  /stations: {get: {responses: {200: {description: ok}}}}
  /stations/{id}: {get: {responses: {200: {description: ok}}}, delete: {responses: {204: {description: ok}}}}
`

func lan(ctx context.Context) context.Context {
	return reqctx.WithPrincipal(ctx, reqctx.Principal{Kind: reqctx.Officer, ID: "lan"})
}

func (f *fixture) publish(t *testing.T, code, url string) {
	t.Helper()
	d, err := f.Propose(lan(t.Context()), "", "", []byte(description))
	if err != nil {
		t.Fatal(err)
	}
	p := Published{Code: code, Name: i18n.Text{"vi": "Trạm"}, Backend: plainBackend(url)}
	if err := f.Publish(lan(t.Context()), p, d.ID); err != nil {
		t.Fatal(err)
	}
}

// X4, X7, X8: the life of a published service, act by act.
func TestLifeOfAService(t *testing.T) {
	f := newFixture(t)
	ctx := lan(t.Context())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f.publish(t, "weather/stations", "http://127.0.0.1:9/api")
	o := f.host.offers["weather/stations"]
	if len(o.Endpoints) != 3 || o.Endpoints[1] != (exchange.Endpoint{Method: "GET", Path: "/stations/*"}) || strings.Contains(string(o.OpenAPI), "inner") ||
		!strings.Contains(string(o.OpenAPI), `"/r1/VN/GOV/G05/weather/stations"`) {
		t.Errorf("offered %+v\n%s", o, o.OpenAPI)
	}
	if len(f.store.drafts) != 0 || f.told != 1 {
		t.Errorf("%d drafts left, the directory was told %d times", len(f.store.drafts), f.told)
	}
	handler := f.host.handlers["weather/stations"]

	// Rights: one endpoint, the whole service; what is wrong is refused with the field.
	must(f.Grant(ctx, "weather/stations", Right{Consumer: "VN/GOV/H36/onestop", Method: "DELETE", Path: "/stations/*", Activities: []string{"cleanup"}, Basis: "Điều 5"}))
	must(f.Grant(ctx, "weather/stations", Right{Consumer: "VN/GOV/*/onestop", Method: "GET", Path: "/stations"}))
	must(f.Grant(ctx, "weather/stations", Right{Consumer: "VN/GOV/H57/onestop", Method: "*", Path: "**"}))
	want := exchange.Rule{Consumer: "VN/GOV/H36/onestop", Service: "weather/stations", Methods: []string{"DELETE"}, Path: "/stations/*", Activities: []string{"cleanup"}, Basis: "Điều 5"}
	if len(f.rules) != 3 || f.rules[0].Methods[0] != want.Methods[0] || f.rules[0].Path != want.Path || f.rules[2].Methods != nil {
		t.Errorf("rules = %+v", f.rules)
	}
	for field, r := range map[string]Right{
		"consumer": {Consumer: "H36", Method: "*", Path: "**"}, "endpoint": {Consumer: "VN/GOV/H36/x", Method: "PUT", Path: "/stations"},
		"activities": {Consumer: "VN/GOV/H36/x", Method: "*", Path: "**", Activities: []string{"a b"}},
	} {
		list, ok := errors.AsType[Faults](f.Grant(ctx, "weather/stations", r))
		if !ok || list[0].Field != field {
			t.Errorf("right %+v: %v; want a fault of %s", r, list, field)
		}
	}

	// An endpoint by hand, which a refresh does not take away.
	must(f.AddEndpoint(ctx, "weather/stations", "POST", "/extra/**"))
	must(f.Grant(ctx, "weather/stations", Right{Consumer: "VN/GOV/H36/onestop", Method: "POST", Path: "/extra/**"}))
	if err := f.DeleteEndpoint(ctx, "weather/stations", "GET", "/stations"); !errs.Is(err, errs.NotFound) {
		t.Errorf("an endpoint of the description was deleted by hand: %v", err)
	}

	// A refresh shows what changes and what rights end; it waits for confirmation, and refuses when the service changed.
	d, err := f.Propose(ctx, "weather/stations", "", []byte(strings.Replace(description, ", delete: {responses: {204: {description: ok}}}", "", 1)))
	must(err)
	changes, lost, err := f.Compare(ctx, d)
	if err != nil || len(changes) != 1 || changes[0].Where != "DELETE /stations/{id}" || !changes[0].Breaking || len(lost) != 1 || lost[0].Method != http.MethodDelete {
		t.Errorf("changes %+v, lost %+v, %v", changes, lost, err)
	}
	if len(f.host.offers["weather/stations"].Endpoints) != 4 {
		t.Error("a proposal took effect")
	}
	p, err := f.Get(ctx, "weather/stations")
	must(err)
	if err := f.Refresh(ctx, "weather/stations", d.ID, p.Version-1); !errs.Is(err, errs.Conflict) {
		t.Errorf("a refresh of an older version: %v", err)
	}
	must(f.Refresh(ctx, "weather/stations", d.ID, p.Version))
	if o := f.host.offers["weather/stations"]; len(o.Endpoints) != 3 || len(f.rules) != 3 {
		t.Errorf("after the refresh: %+v, rules %+v", o.Endpoints, f.rules)
	}
	if f.host.handlers["weather/stations"] != handler {
		t.Error("the back end's connections were thrown away although it is the same")
	}

	// Switched off with a notice, and on.
	if err := f.Disable(ctx, "weather/stations", " \n"); err == nil {
		t.Error("switched off without a notice")
	}
	must(f.Disable(ctx, "weather/stations", "Bảo trì\nđến 6 giờ"))
	if o := f.host.offers["weather/stations"]; !o.Disabled || o.Notice != "Bảo trì đến 6 giờ" {
		t.Errorf("offered %+v", o)
	}
	must(f.Enable(ctx, "weather/stations"))

	// Times and TLS for every service at the same host.
	f.publish(t, "weather/other", "http://127.0.0.1:9/other")
	f.publish(t, "weather/elsewhere", "http://127.0.0.1:10")
	b := plainBackend("http://127.0.0.1:9/v2")
	b.Timeout = 7 * time.Second
	must(f.Edit(ctx, "weather/stations", Parameters{Name: i18n.Text{"vi": "Trạm đo"}, Bodies: "off", Public: true, Backend: b, SameHost: true}))
	for code, want := range map[string]Backend{"weather/stations": {URL: "http://127.0.0.1:9/v2", Timeout: 7 * time.Second}, "weather/other": {URL: "http://127.0.0.1:9/other", Timeout: 7 * time.Second}, "weather/elsewhere": {URL: "http://127.0.0.1:10", Timeout: 30 * time.Second}} {
		p, err := f.Get(ctx, code)
		must(err)
		if p.Backend.URL != want.URL || p.Backend.Timeout != want.Timeout {
			t.Errorf("%s: %+v", code, p.Backend)
		}
	}
	if o := f.host.offers["weather/stations"]; o.Body != exchange.BodyOff || f.host.offers["weather/other"].Body != exchange.BodyDigest {
		t.Errorf("what the log keeps of bodies: %q", o.Body)
	}
	if f.host.handlers["weather/stations"] == handler {
		t.Error("the new address is not used")
	}
	told := f.told
	must(f.Delete(ctx, "weather/stations"))
	if _, there := f.host.offers["weather/stations"]; there || f.told != told+1 || len(f.rules) != 0 {
		t.Errorf("after the deletion: offered %v, told %d, rules %v", there, f.told-told, f.rules)
	}
	for _, a := range []string{"publish", "right.add", "endpoint.add", "refresh", "disable", "enable", "edit", "delete"} {
		if !slices.Contains(f.audited, "lan exchange.service."+a+" weather/stations") {
			t.Errorf("%s is not recorded: %v", a, f.audited)
		}
	}
}

// An act that cannot be recorded does not happen.
func TestNothingWithoutAudit(t *testing.T) {
	f := newFixture(t)
	f.publish(t, "weather/stations", "http://127.0.0.1:9")
	ctx := lan(t.Context())
	d, err := f.Propose(ctx, "weather/stations", "", []byte(description))
	if err != nil {
		t.Fatal(err)
	}
	n := f.store.n
	f.refuse = true
	for name, act := range map[string]func() error{
		"publish": func() error {
			return f.Publish(ctx, Published{Code: "weather/b", Name: i18n.Text{"vi": "x"}, Backend: plainBackend("http://127.0.0.1")}, "")
		},
		"edit": func() error {
			return f.Edit(ctx, "weather/stations", Parameters{Name: i18n.Text{"vi": "x"}, Backend: plainBackend("")})
		},
		"refresh": func() error { return f.Refresh(ctx, "weather/stations", d.ID, 1) },
		"disable": func() error { return f.Disable(ctx, "weather/stations", "x") },
		"enable":  func() error { return f.Enable(ctx, "weather/stations") },
		"delete":  func() error { return f.Delete(ctx, "weather/stations") },
		"grant": func() error {
			return f.Grant(ctx, "weather/stations", Right{Consumer: "VN/GOV/H36/x", Method: "*", Path: "**"})
		},
		"endpoint": func() error { return f.AddEndpoint(ctx, "weather/stations", "GET", "/x") },
		"test":     func() error { _, err := f.TestBackend(ctx, "weather/stations"); return err },
		"fetch":    func() error { _, err := f.Propose(ctx, "", "https://example.org/x", nil); return err },
	} {
		if err := act(); !errs.Is(err, errs.Unavailable) || f.store.n != n {
			t.Errorf("%s: %v, %d changes", name, err, f.store.n-n)
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	f := newFixture(t)
	f.publish(t, "weather/stations", "http://127.0.0.1:9")
	for name, tt := range map[string]struct {
		p      Published
		fields string
	}{
		"own service":       {Published{Code: "weather/own", Name: i18n.Text{"vi": "x"}, Backend: plainBackend("http://127.0.0.1")}, "code"},
		"reserved":          {Published{Code: "weather/getOpenAPI", Name: i18n.Text{"vi": "x"}, Backend: plainBackend("http://127.0.0.1")}, "code"},
		"another subsystem": {Published{Code: "tax/x", Name: i18n.Text{"vi": "x"}, Backend: plainBackend("http://127.0.0.1")}, "code"},
		"everything wrong":  {Published{Code: "x", Bodies: "some", Backend: Backend{URL: "x", CA: "x"}, Notice: strings.Repeat("a", 501)}, "code bodies name_vi notice backend ca"},
	} {
		list, ok := errors.AsType[Faults](f.Publish(lan(t.Context()), tt.p, ""))
		var fields []string
		for _, x := range list {
			fields = append(fields, x.Field)
		}
		if !ok || strings.Join(fields, " ") != tt.fields {
			t.Errorf("%s: faults in %v; want %s", name, fields, tt.fields)
		}
	}
	err := f.Publish(lan(t.Context()), Published{Code: "weather/stations", Name: i18n.Text{"vi": "x"}, Backend: plainBackend("http://127.0.0.1")}, "")
	if !errs.Is(err, errs.Conflict) || f.audited[len(f.audited)-1] != "lan exchange.service.publish.failed weather/stations" {
		t.Errorf("the same code again: %v, recorded %v", err, f.audited)
	}
	if _, err := f.Propose(lan(t.Context()), "", "", []byte("swagger: '2.0'")); !errs.Is(err, errs.Invalid) {
		t.Errorf("a wrong document was kept: %v", err)
	}
	if err := f.Refresh(lan(t.Context()), "weather/stations", "nothing", 1); !errs.Is(err, errs.NotFound) {
		t.Errorf("an unknown draft: %v", err)
	}
}

// X41: another process of the node follows at its next look.
func TestAnotherProcessFollows(t *testing.T) {
	f := newFixture(t)
	other := f.another()
	otherHost := &host{offers: map[string]exchange.Offering{}, handlers: map[string]http.Handler{}}
	other.Host = otherHost
	if err := other.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.publish(t, "weather/stations", "http://127.0.0.1:9")
	if err := other.Sync(t.Context()); err != nil || len(otherHost.offers) != 1 {
		t.Errorf("after publishing: %v, %v", otherHost.offers, err)
	}
	if err := f.Disable(lan(t.Context()), "weather/stations", "x"); err != nil {
		t.Fatal(err)
	}
	if err := other.Sync(t.Context()); err != nil || !otherHost.offers["weather/stations"].Disabled {
		t.Errorf("after switching off: %v, %v", otherHost.offers, err)
	}
	if err := f.Delete(lan(t.Context()), "weather/stations"); err != nil {
		t.Fatal(err)
	}
	if err := other.Sync(t.Context()); err != nil || len(otherHost.offers) != 0 {
		t.Errorf("after deleting: %v, %v", otherHost.offers, err)
	}
}

// The configuration is the truth about what it declares; what operators decided beside it stays.
func TestDeclare(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	declared := Published{Code: "weather/stations", Name: i18n.Text{"vi": "Trạm"}, Backend: plainBackend("http://127.0.0.1:9"), Document: []byte(description)}
	start := func(list ...Published) {
		t.Helper()
		if err := f.Declare(ctx, list); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(ctx); err != nil {
			t.Fatal(err)
		}
	}
	start(declared)
	n := f.store.n
	start(declared)
	if f.store.n != n || len(f.audited) != 1 || f.audited[0] != "system exchange.service.publish weather/stations" {
		t.Errorf("the same configuration changed something: %v", f.audited)
	}
	if err := f.Edit(ctx, "weather/stations", Parameters{}); !errs.Is(err, errs.Conflict) {
		t.Errorf("a declared service was edited: %v", err)
	}
	if err := f.Delete(ctx, "weather/stations"); !errs.Is(err, errs.Conflict) {
		t.Errorf("a declared service was deleted: %v", err)
	}
	if err := errors.Join(f.Disable(ctx, "weather/stations", "x"), f.Grant(ctx, "weather/stations", Right{Consumer: "VN/GOV/H36/x", Method: "*", Path: "**"})); err != nil {
		t.Fatal(err)
	}
	declared.Document = []byte(strings.Replace(description, "/stations:", "/all:", 1))
	start(declared)
	if o := f.host.offers["weather/stations"]; !o.Disabled || o.Endpoints[0].Path != "/all" || len(f.rules) != 1 {
		t.Errorf("offered %+v, rules %v", o, f.rules)
	}
	start()
	if len(f.host.offers) != 0 {
		t.Error("what the configuration no longer names is still offered")
	}
	declared.Document = []byte("nothing")
	if err := f.Declare(ctx, []Published{declared}); err == nil {
		t.Error("a broken description starts")
	}
}

// The node is no tool to look around in the agency's network.
func TestFetch(t *testing.T) {
	ca := newAuthority(t, "Public CA")
	cfg := &tls.Config{Certificates: []tls.Certificate{leaf(t, ca, nil)}, MinVersion: tls.VersionTLS12}
	asked := 0
	secret := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++; _, _ = io.WriteString(w, description) }))
	t.Cleanup(secret.Close)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/doc":
			_, _ = io.WriteString(w, description)
		case "/moved":
			http.Redirect(w, r, "/doc", http.StatusFound)
		case "/circle":
			http.Redirect(w, r, "/circle", http.StatusFound)
		case "/inside":
			http.Redirect(w, r, secret.URL, http.StatusFound)
		case "/metadata":
			http.Redirect(w, r, "https://169.254.169.254/latest", http.StatusFound)
		case "/big":
			_, _ = w.Write(make([]byte, openapi.MaxSize+100))
		default:
			http.NotFound(w, r)
		}
	})
	url := serveTLS(t, cfg, h)
	here := strings.TrimPrefix(url, "https://")
	trusted := &Fetcher{Hosts: []string{here}, Roots: pki.Pool(ca.cert)}
	for name, tt := range map[string]struct {
		f    *Fetcher
		url  string
		want errs.Kind
	}{
		"no address":                 {trusted, "openapi.yaml", errs.Invalid},
		"a password in it":           {trusted, "https://a:b@example.org/", errs.Invalid},
		"http":                       {trusted, secret.URL, errs.Denied},
		"a file":                     {trusted, "file:///etc/passwd", errs.Invalid},
		"another scheme":             {trusted, "gopher://127.0.0.1/x", errs.Denied},
		"loopback":                   {&Fetcher{Roots: trusted.Roots}, url + "/doc", errs.Denied},
		"a name that leads here":     {&Fetcher{Roots: trusted.Roots}, strings.Replace(url, "127.0.0.1", "localhost", 1), errs.Denied},
		"IPv6 for here":              {&Fetcher{}, "https://[::1]/x", errs.Denied},
		"IPv4 in IPv6":               {&Fetcher{}, "https://[::ffff:10.0.0.1]/x", errs.Denied},
		"cloud metadata":             {&Fetcher{}, "https://169.254.169.254/", errs.Denied},
		"private":                    {&Fetcher{}, "https://10.1.2.3/", errs.Denied},
		"a redirect to the inside":   {trusted, url + "/inside", errs.Denied},
		"a redirect to the metadata": {trusted, url + "/metadata", errs.Denied},
		"a circle":                   {trusted, url + "/circle", errs.Unavailable},
		"not found":                  {trusted, url + "/none", errs.Unavailable},
		"a certificate of nobody":    {&Fetcher{Hosts: []string{here}}, url + "/doc", errs.Unavailable},
		"allowed":                    {trusted, url + "/doc", -1},
		"allowed, moved":             {trusted, url + "/moved", -1},
		"http to an allowed host":    {&Fetcher{Hosts: []string{strings.TrimPrefix(secret.URL, "http://")}}, secret.URL, -1},
		"too large":                  {trusted, url + "/big", -2},
	} {
		t.Run(name, func(t *testing.T) {
			before := asked
			b, err := tt.f.Fetch(t.Context(), tt.url)
			switch {
			case tt.want == -1:
				if err != nil || string(b) != description {
					t.Errorf("%q, %v", b, err)
				}
			case tt.want == -2:
				if len(b) != openapi.MaxSize+1 {
					t.Errorf("%d bytes were read", len(b))
				}
			case err == nil || errs.KindOf(err) != tt.want || asked != before:
				t.Errorf("error %v of kind %v; want %v; asked %d times", err, errs.KindOf(err), tt.want, asked-before)
			}
		})
	}
}
