package servicespage

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

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
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

const (
	quynh = "099304000123"
	an    = "099090000456"
	unit  = "H36.14"
)

// site is the portal with its pages, a real store, and fakes for everything on the other side of a wire.
type site struct {
	t       *testing.T
	h       http.Handler
	portal  *services.Portal
	ex      *fakeExchange
	bank    *fakeBank
	mail    *servicestest.Post
	who     string // who is signed in
	lang    string
	cookies map[string]string
	now     time.Time
}

func newSite(t *testing.T, procedure ...string) *site {
	t.Helper()
	ctx := t.Context()
	s := &site{t: t, lang: "vi", cookies: map[string]string{}, now: time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC)} // Friday, 09:00 in Vietnam
	db := storagetest.OpenSQLite(t)
	for module, files := range map[string]fs.FS{"outbox": outbox.Migrations, "services": servicesstore.Migrations} {
		sub, err := fs.Sub(files, "migrations")
		must(t, err)
		must(t, storage.Migrate(ctx, db, module, sub, s.now))
	}
	messages, err := i18n.Load(lang.FS)
	must(t, err)
	places, err := adminunits.Load()
	must(t, err)
	now := func() time.Time { return s.now }
	store := &servicesstore.Store{DB: db, Now: now}
	library := &services.Library{Store: store, Now: now}
	for _, code := range append([]string{"2.000635"}, procedure...) {
		dir := "../../../procedures/" + code
		if strings.Contains(code, "/") {
			dir = code
		}
		_, problems, err := library.Publish(ctx, os.DirFS(dir), "test")
		must(t, err)
		if !problems.OK() {
			t.Fatal(problems)
		}
	}
	log := slog.New(slog.DiscardHandler)
	s.ex = &fakeExchange{site: s}
	s.bank = &fakeBank{state: map[string]services.PaymentResult{}}
	s.portal = &services.Portal{
		Store: servicesstore.Portal{Store: store}, Library: library, Exchange: s.ex, Provider: s.bank, Messages: messages, Places: places,
		Calendar: calendar.Vietnam, Now: now, Log: log,
		Agencies: func() []services.AgencyService {
			return []services.AgencyService{{Agency: "H36", Name: "Lâm Đồng", Service: "VN/GOV/H36/onestop/dossiers"}}
		},
		Registers: map[string]string{"population/person": "VN/GOV/G01/population/person"},
		Usage: []services.UsageSource{
			{Register: "population", Name: "CSDL dân cư", Service: "VN/GOV/G01/population/usage"},
			{Register: "civilstatus", Name: "CSDL hộ tịch", Service: "VN/GOV/G15/civilstatus/usage"},
		},
		PublicURL: "http://portal.test",
	}
	s.mail = &servicestest.Post{DB: db, Now: now, Exchange: s.ex, Portal: s.portal}
	s.portal.Post = s.mail
	must(t, s.portal.RefreshOffers(ctx))
	renderer, err := ui.NewRenderer(ui.Options{Lang: messages, Site: ui.Site{Name: i18n.Text{"vi": "Cổng dịch vụ công", "en": "Public services"}, Phone: "18001096"}})
	must(t, err)
	mux := web.NewMux(web.Options{Log: log, Renderer: renderer, Lang: messages})
	pages := &Pages{Portal: s.portal, Renderer: renderer, Places: places, Messages: messages, Now: now, Log: log}
	must(t, pages.Mount(mux))
	mux.Mount("/assets/", renderer.Assets())
	s.h = web.Public(mux, web.PublicOptions{Log: log, Now: now, CrossOriginBypass: []string{"POST /payments/notice"}, Session: func(*http.Request) (reqctx.Principal, error) {
		names := map[string]string{quynh: "Nguyễn Hữu Đặng Thuỷ Quỳnh", an: "Đặng Ngọc Ẩn"}
		if s.who == "" {
			return reqctx.Principal{}, nil
		}
		return reqctx.Principal{Kind: reqctx.Citizen, ID: s.who, Name: names[s.who], Level: 2}, nil
	}})
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// page is an answer.
type page struct {
	t        *testing.T
	status   int
	location string
	header   http.Header
	body     string
	doc      *html.Node
}

func (s *site) do(r *http.Request) page {
	s.t.Helper()
	r.Host = "portal.test"
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return s.send(r)
}

func (s *site) send(r *http.Request) page {
	s.t.Helper()
	r.AddCookie(&http.Cookie{Name: web.LangCookie, Value: s.lang})
	for k, v := range s.cookies {
		r.AddCookie(&http.Cookie{Name: k, Value: v})
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	res := w.Result()
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(s.cookies, c.Name)
			continue
		}
		s.cookies[c.Name] = c.Value
	}
	p := page{t: s.t, status: res.StatusCode, location: res.Header.Get("Location"), header: res.Header, body: w.Body.String()}
	if res.StatusCode != http.StatusSeeOther && strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		p.doc = checkHTML(s.t, r.Method+" "+r.URL.Path, p.body, s.lang)
	}
	return p
}

func (s *site) get(path string) page {
	s.t.Helper()
	return s.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func (s *site) post(path string, pairs ...string) page {
	s.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(r)
}

type file struct{ field, name, media, content string }

func (s *site) upload(path string, fields []string, files ...file) page {
	s.t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for i := 0; i+1 < len(fields); i += 2 {
		must(s.t, w.WriteField(fields[i], fields[i+1]))
	}
	for _, f := range files {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", `form-data; name="`+f.field+`"; filename="`+f.name+`"`)
		h.Set("Content-Type", f.media)
		part, err := w.CreatePart(h)
		must(s.t, err)
		_, err = io.WriteString(part, f.content)
		must(s.t, err)
	}
	must(s.t, w.Close())
	r := httptest.NewRequest(http.MethodPost, path, &buf)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return s.do(r)
}

// ok demands a page.
func (p page) ok() page {
	p.t.Helper()
	if p.status != http.StatusOK {
		p.t.Fatalf("status = %d, location %q; want 200\n%s", p.status, p.location, text(p.doc))
	}
	return p
}

// to demands a redirect and returns its address.
func (p page) to(want string) string {
	p.t.Helper()
	if p.status != http.StatusSeeOther || !strings.HasPrefix(p.location, want) {
		p.t.Fatalf("status = %d, location = %q; want 303 to %q\n%s", p.status, p.location, want, text(p.doc))
	}
	return p.location
}

// has demands pieces of text, spaces collapsed.
func (p page) has(want ...string) page {
	p.t.Helper()
	got := text(p.doc)
	for _, x := range want {
		if !strings.Contains(got, x) {
			p.t.Errorf("the page lacks %q:\n%s", x, got)
		}
	}
	return p
}

func (p page) hasNot(bad ...string) page {
	p.t.Helper()
	got := text(p.doc)
	for _, x := range bad {
		if strings.Contains(got, x) {
			p.t.Errorf("the page should not say %q:\n%s", x, got)
		}
	}
	return p
}

// attr returns the first value of an attribute on the page.
func (p page) attr(name string) string {
	for n := range p.doc.Descendants() {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
	}
	return ""
}

// form demands a form by its id and returns the names of its controls.
func (p page) form(id string) map[string]string {
	p.t.Helper()
	for n := range p.doc.Descendants() {
		if n.Data != "form" || attrOf(n, "id") != id {
			continue
		}
		out := map[string]string{}
		for c := range n.Descendants() {
			if name := attrOf(c, "name"); name != "" {
				out[name] = attrOf(c, "value")
			}
		}
		return out
	}
	p.t.Fatalf("no form %q on the page", id)
	return nil
}

func attrOf(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode && c.Parent.Data != "title" {
			b.WriteString(c.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// checkHTML holds every page that any test sees to the rules that need no browser.
func checkHTML(t *testing.T, where, body, lang string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	must(t, err)
	for _, bad := range []string{"ZgotmplZ", "[services.", "[ui.", "[bundle.", "{label}", "<no value>", "%!"} {
		if i := strings.Index(body, bad); i >= 0 {
			t.Errorf("%s: %q on the page: %.80s", where, bad, body[max(0, i-20):])
		}
	}
	ids, labels, h1 := map[string]int{}, map[string]bool{}, 0
	var controls, refs []string
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attrOf(n, "id"); id != "" {
			ids[id]++
		}
		for _, a := range []string{"aria-describedby", "aria-labelledby"} {
			refs = append(refs, strings.Fields(attrOf(n, a))...)
		}
		if href := attrOf(n, "href"); strings.HasPrefix(href, "#") && len(href) > 1 {
			refs = append(refs, href[1:])
		}
		if attrOf(n, "style") != "" {
			t.Errorf("%s: inline style on <%s>", where, n.Data)
		}
		switch n.Data {
		case "html":
			if got := attrOf(n, "lang"); got != lang {
				t.Errorf("%s: lang = %q; want %q", where, got, lang)
			}
		case "h1":
			h1++
		case "label":
			labels[attrOf(n, "for")] = true
		case "input", "select", "textarea":
			if attrOf(n, "type") != "hidden" {
				controls = append(controls, attrOf(n, "id"))
			}
		case "form":
			if attrOf(n, "method") == "post" && attrOf(n, "id") == "" && !strings.Contains(attrOf(n, "class"), "header") {
				t.Errorf("%s: a form without id", where)
			}
		}
	}
	if h1 != 1 {
		t.Errorf("%s: %d h1; want 1", where, h1)
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%s: id %q is used %d times", where, id, n)
		}
	}
	for _, id := range controls {
		if !labels[id] {
			t.Errorf("%s: control %q has no label", where, id)
		}
	}
	for _, ref := range refs {
		if ids[ref] == 0 {
			t.Errorf("%s: reference to %q leads nowhere", where, ref)
		}
	}
	return doc
}

// fakeExchange is the other side: an agency, two registers.
type fakeExchange struct {
	site *site
	// down names services that do not answer.
	down     map[string]bool
	messages []services.Message
	number   string
	units    []services.Office
}

func (f *fakeExchange) Call(_ context.Context, c services.ExchangeCall) (services.ExchangeAnswer, error) {
	if f.down[c.To] {
		return services.ExchangeAnswer{}, errs.E(errs.Unavailable, "exchange.peer_silent", nil)
	}
	answer := func(v any) (services.ExchangeAnswer, error) {
		b, err := json.Marshal(v)
		return services.ExchangeAnswer{Status: 200, ContentType: "application/json", Body: b, ID: "x"}, err
	}
	switch c.To + c.Path {
	case "VN/GOV/H36/onestop/dossiers/catalogue":
		units := f.units
		if units == nil {
			units = []services.Office{{Code: unit, Name: "UBND phường Xuân Hương – Đà Lạt", Province: "68"}, {Code: "H36.15", Name: "UBND xã Đạ Huoai", Province: "68"}}
		}
		var items []services.CatalogueItem
		for _, p := range f.site.portal.Library.All() {
			items = append(items, services.CatalogueItem{Procedure: p.Code, VersionHash: p.Hash, Version: p.Version.ID, Mode: "full", Units: units})
		}
		return answer(items)
	case "VN/GOV/G01/population/person/query":
		return answer(map[string]any{"records": []any{map[string]any{
			"fullName": "Nguyễn Hữu Đặng Thuỷ Quỳnh", "birthDate": "2004-02-29", "personalId": quynh, "permanentResidence": map[string]any{"full": "Thôn 3, xã Đạ Huoai, tỉnh Lâm Đồng"},
			"policyGroups": []string{},
		}}})
	case "VN/GOV/H36/onestop/dossiers/papers":
		return answer(struct{}{})
	case "VN/GOV/H36/onestop/dossiers/submissions":
		f.number = "H36.14-20261120-0000001"
		return answer(services.Ack{Number: f.number, State: "submitted", AcceptedAt: f.site.now, Expected: f.site.now.Add(24 * time.Hour)})
	case "VN/GOV/H36/onestop/dossiers/messages":
		var m services.Message
		if err := json.Unmarshal(c.Body, &m); err != nil {
			return services.ExchangeAnswer{}, err
		}
		f.messages = append(f.messages, m)
		return answer(struct{}{})
	case "VN/GOV/G01/population/usage/lines":
		return answer(map[string]any{"total": 1, "lines": []any{map[string]any{
			"lineId": "L-1", "time": "2026-11-20T09:00:00+07:00", "agency": "G22", "agencyName": "Văn phòng Chính phủ", "activity": "prefill", "purpose": "Điền sẵn tờ khai",
			"legalBasis": "Điều 15 Nghị định 224/2026/NĐ-CP", "dossier": f.number, "fields": []string{"fullName", "odd"}, "labels": []string{"họ tên", "mục lạ"}, "kind": "query",
		}}, "withheld": []any{map[string]any{"count": 2, "article": "x", "releaseOn": "2027-03-01"}}})
	case "VN/GOV/G01/population/usage/receipt":
		return services.ExchangeAnswer{Status: 200, ContentType: "application/zip", Body: []byte("PK\x03\x04proof")}, nil
	}
	if strings.HasPrefix(c.Path, "/documents/") {
		return services.ExchangeAnswer{Status: 200, ContentType: "application/pdf", Body: []byte(pdf)}, nil
	}
	return services.ExchangeAnswer{Status: 404, Body: []byte(`{"code":"error.not_found"}`)}, nil
}

// fakeBank believes a state that the test sets.
type fakeBank struct {
	state map[string]services.PaymentResult
	last  services.PaymentOrder
}

func (b *fakeBank) Name() string { return "Ngân hàng thử" }

func (b *fakeBank) Redirect(o services.PaymentOrder) (string, error) {
	b.last = o
	return "https://bank.test/pay?ref=" + o.Reference, nil
}

func (b *fakeBank) parse(q map[string][]string) (services.PaymentResult, error) {
	v := url.Values(q)
	if v.Get("sig") != "good" {
		return services.PaymentResult{}, errs.E(errs.Denied, "services.payment.not_signed", nil)
	}
	return services.PaymentResult{Reference: v.Get("ref"), Amount: b.last.Amount, State: services.PaymentState(v.Get("state")), Transaction: "T1", PaidAt: b.last.CreatedAt}, nil
}

func (b *fakeBank) ParseReturn(q map[string][]string) (services.PaymentResult, error) {
	return b.parse(q)
}

func (b *fakeBank) ParseNotice(q map[string][]string) (services.PaymentResult, error) {
	return b.parse(q)
}

func (b *fakeBank) Query(_ context.Context, ref string, _ time.Time) (services.PaymentResult, error) {
	if r, ok := b.state[ref]; ok {
		return r, nil
	}
	return services.PaymentResult{Reference: ref, Amount: b.last.Amount, State: services.PayStarted}, nil
}

func (b *fakeBank) Reply(code, message string) []byte {
	return []byte(`{"RspCode":"` + code + `","Message":"` + message + `"}`)
}

const pdf = "%PDF-1.7\n1 0 obj <<>> endobj\n%%EOF\n"
