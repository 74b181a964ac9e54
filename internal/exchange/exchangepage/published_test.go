package exchangepage

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"io/fs"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/exchangestore"
	"truc/internal/exchange/publication"
	"truc/internal/i18n"
	"truc/internal/pki"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

const levels = `openapi: 3.0.3
info: {title: Mực nước, version: "1"}
servers: [{url: "https://inner.example/api"}]
paths:
  /levels/{id}: {get: {responses: {200: {description: ok}}}, delete: {responses: {204: {description: ok}, 400: {$ref: "https://elsewhere.example/e.json"}}}}
`

type publishedFixture struct {
	t       *testing.T
	mux     *web.Mux
	node    *fixture
	service *publication.Service
	audited []string
}

func newPublishedFixture(t *testing.T) *publishedFixture {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f := &publishedFixture{t: t, node: newFixture(t)}
	db := storagetest.OpenSQLite(t)
	sub, err := fs.Sub(exchangestore.Migrations, "migrations")
	must(err)
	must(storage.Migrate(t.Context(), db, "exchange", sub, time.Now()))
	store := &exchangestore.Store{DB: db}
	dir := t.TempDir()
	f.service = &publication.Service{
		Store: store, Drafts: store, Host: f.node.service, Member: "VN/GOV/G01", Now: time.Now, Log: slog.New(slog.DiscardHandler), Fetcher: &publication.Fetcher{},
		SetRules: f.node.service.SetRules, Announce: func() {},
		Identity: func() (*tls.Certificate, error) {
			return pki.LoadOrCreateClient(dir, "backend", "VN/GOV/G01/node1", time.Now())
		},
		Audit: func(_ context.Context, actor, action, object string) error {
			f.audited = append(f.audited, actor+" "+action+" "+object)
			return nil
		},
	}
	must(f.service.Sync(t.Context()))
	cat, err := i18n.Load(lang.FS)
	must(err)
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	must(err)
	f.mux = web.NewMux(web.Options{Lang: cat, Renderer: rd})
	must((&PublishedPages{Service: f.service, Subsystems: []string{"VN/GOV/G01/population"}, Rules: f.rules, Renderer: rd}).Mount(f.mux))
	return f
}

// rules are those in force with one of the configuration.
func (f *publishedFixture) rules() []exchange.Rule {
	return append(f.node.service.Rules(), exchange.Rule{Consumer: "VN/GOV/H57/ioc", Service: "population/levels", Methods: []string{"GET"}, Path: "/levels/*", Basis: "Điều 9"}, exchange.Rule{Consumer: "VN/GOV/H58/x", Service: "population/person"})
}

func (f *publishedFixture) send(method, path, kind string, body io.Reader, roles ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequest(method, path, body)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	p := reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Agency: "G01", Roles: roles}
	r = r.WithContext(reqctx.WithLang(reqctx.WithPrincipal(r.Context(), p), "vi"))
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "[exchange.") || strings.Contains(w.Body.String(), "ZgotmplZ") {
		f.t.Errorf("%s %s lacks a text:\n%s", method, path, w.Body)
	}
	return w
}

func (f *publishedFixture) get(path string) string {
	f.t.Helper()
	w := f.send("GET", path, "", nil, "admin")
	if w.Code != http.StatusOK {
		f.t.Fatalf("GET %s = %d\n%s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// post sends a form and returns status and where it leads, or the page.
func (f *publishedFixture) post(path string, form url.Values) (int, string) {
	f.t.Helper()
	w := f.send("POST", path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), "admin")
	if to := w.Header().Get("Location"); to != "" {
		return w.Code, to
	}
	return w.Code, w.Body.String()
}

func (f *publishedFixture) upload(path, doc, address string) (int, string) {
	f.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	if doc != "" {
		part, err := m.CreateFormFile("file", "levels.yaml")
		if err != nil {
			f.t.Fatal(err)
		}
		_, _ = io.WriteString(part, doc)
	}
	_ = m.WriteField("address", address)
	_ = m.Close()
	w := f.send("POST", path, m.FormDataContentType(), &b, "admin")
	if to := w.Header().Get("Location"); to != "" {
		return w.Code, to
	}
	return w.Code, w.Body.String()
}

func parameters(edit ...string) url.Values {
	v := url.Values{"code": {"population/levels"}, "name_vi": {"Mực nước"}, "backend": {"http://127.0.0.1:9/api"}, "tls": {"plain"}, "timeout": {"10"}, "connect": {"2"}, "bodies": {"digest"}}
	for i := 0; i+1 < len(edit); i += 2 {
		v.Set(edit[i], edit[i+1])
	}
	return v
}

// X3, X4, X7, X8 as an administrator does them, without a script.
func TestPublishedPages(t *testing.T) {
	f := newPublishedFixture(t)
	at := "/exchange/admin/published"
	contains := func(page string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q:\n%s", want, page)
			}
		}
	}
	contains(f.get(at), "Chưa công bố dịch vụ nào")
	if status, page := f.upload(at+"/new", "", ""); status != 422 || !strings.Contains(page, "Chọn tệp hoặc nhập địa chỉ") {
		t.Errorf("nothing handed in = %d", status)
	}
	if status, page := f.upload(at+"/new", "swagger: '2.0'", ""); status != 422 || !strings.Contains(page, "Swagger 2.0") {
		t.Errorf("a wrong file = %d\n%s", status, page)
	}
	if status, page := f.upload(at+"/new", "", "https://127.0.0.1/openapi.json"); status != 422 || !strings.Contains(page, "mạng nội bộ") {
		t.Errorf("an address of the inside = %d\n%s", status, page)
	}
	status, draft := f.upload(at+"/new", levels, "")
	if status != 303 || !strings.HasPrefix(draft, "/exchange/admin/publication-drafts/") {
		t.Fatalf("upload = %d %s", status, draft)
	}
	contains(f.get(draft), "/levels/*", "DELETE", "https://inner.example/api", "https://elsewhere.example/e.json", "Hệ thống của nút: population")
	if status, page := f.post(draft, parameters("backend", "ftp://x", "code", "tax/x", "name_vi", "", "timeout", "soon")); status != 422 || strings.Count(page, `class="tr-error"`) != 4 {
		t.Errorf("wrong parameters = %d with %d errors\n%s", status, strings.Count(page, `class="tr-error"`), page)
	}
	if status, page := f.post(draft, parameters("code", "population/person")); status != 422 || !strings.Contains(page, "đã cung cấp dịch vụ có mã này") {
		t.Errorf("the code of an own service = %d\n%s", status, page)
	}
	service := at + "/population/levels"
	if status, to := f.post(draft, parameters()); status != 303 || to != service {
		t.Fatalf("publish = %d %s", status, to)
	}
	if !slices.ContainsFunc(f.node.service.Offers(), func(o exchange.Offered) bool { return o.ID.String() == "VN/GOV/G01/population/levels" }) {
		t.Error("the exchange does not offer it")
	}
	contains(f.get(at), "Mực nước", "population/levels", "2 điểm gọi", "Đang mở")
	contains(f.get(service), "GET /levels/*", "theo tệp mô tả", "VN/GOV/H57/ioc", "GET /levels/* · Điều 9 · theo cấu hình của nút", "Kết nối http không được mã hoá")

	f.looksOn(service)
	for _, tt := range []struct {
		act  string
		form url.Values
		ok   string // on the page afterwards; empty when the form is refused
	}{
		{"right", url.Values{"consumer": {"H36"}, "endpoint": {"GET /levels/*"}}, ""},
		{"right", url.Values{"consumer": {"VN/GOV/H36/onestop"}, "endpoint": {"DELETE /levels/*"}, "activities": {"cleanup"}, "basis": {"Điều 7"}}, "DELETE /levels/* · cleanup · Điều 7"},
		{"right-delete", url.Values{"right": {"VN/GOV/H36/onestop DELETE /levels/*"}}, "VN/GOV/H57/ioc"},
		{"endpoint", url.Values{"method": {"POST"}, "path": {"levels"}}, ""},
		{"endpoint", url.Values{"method": {"POST"}, "path": {"/extra/**"}}, "POST /extra/**"},
		{"right", url.Values{"consumer": {"VN/GOV/H36/onestop"}, "endpoint": {"DELETE /levels/*"}}, "VN/GOV/H36/onestop"},
		{"endpoint-delete", url.Values{"endpoint": {"POST /extra/**"}}, "theo tệp mô tả"},
		{"disable", url.Values{"notice": {""}}, ""},
		{"disable", url.Values{"notice": {"Bảo trì đến 6 giờ"}}, "Bảo trì đến 6 giờ"},
		{"enable", url.Values{}, "Tạm ngừng"},
		{"end", url.Values{"last_day": {"2020-01-01"}}, ""},
		{"end", url.Values{"last_day": {"31/12/2099"}}, ""},
		{"end", url.Values{"last_day": {"2099-12-31"}}, "31/12/2099"},
		{"end", url.Values{"last_day": {""}}, "Đặt ngày"},
		{"edit", parameters("backend", "http://8.8.8.8"), ""},
		{"edit", parameters("backend", "http://127.0.0.1:9/v2", "name_vi", "Mực nước hồ"), "http://127.0.0.1:9/v2"},
		{"delete", url.Values{}, ""},
	} {
		status, to := f.post(service+"/"+tt.act, tt.form)
		if tt.ok == "" {
			if status != 422 || !strings.Contains(to, `class="tr-error"`) {
				t.Errorf("%s %v = %d; want it refused beside the field\n%s", tt.act, tt.form, status, to)
			}
			continue
		}
		if status != 303 || to != service {
			t.Errorf("%s %v = %d %s", tt.act, tt.form, status, to)
			continue
		}
		contains(f.get(service), tt.ok)
	}
	if status, page := f.post(service+"/test", url.Values{}); status != 200 || !strings.Contains(page, "Không kết nối được cổng 9") {
		t.Errorf("test = %d\n%s", status, page)
	}

	// A new description: what changes and what rights end is shown before it is confirmed.
	status, draft = f.upload(service+"/refresh", strings.ReplaceAll(levels, "delete:", "put:"), "")
	if status != 303 {
		t.Fatalf("refresh = %d %s", status, draft)
	}
	page := f.get(draft)
	contains(page, "DELETE /levels/{id}", "điểm gọi bị bỏ", "có thể làm hỏng bên gọi", "điểm gọi mới", "VN/GOV/H36/onestop")
	version := regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(page)[1]
	if status, page := f.post(draft, url.Values{"version": {"1"}}); status != http.StatusConflict {
		t.Errorf("confirming an older version = %d\n%s", status, page)
	}
	if status, to := f.post(draft, url.Values{"version": {version}}); status != 303 || to != service {
		t.Fatalf("confirm = %d %s", status, to)
	}
	if page := f.get(service); !strings.Contains(page, "PUT /levels/*") || strings.Contains(page, `name="right"`) || strings.Contains(page, "H58") {
		t.Errorf("after the refresh a right to what is gone is left, or a rule of another service is shown:\n%s", page)
	}

	if status, to := f.post(service+"/delete", url.Values{"sure": {"1"}}); status != 303 || to != at {
		t.Errorf("delete = %d %s", status, to)
	}
	if w := f.send("GET", service, "", nil, "admin"); w.Code != 404 {
		t.Errorf("after the deletion = %d", w.Code)
	}
	if status, to := f.post(at+"/rest", parameters("code", "population/plain")); status != 303 || to != at+"/population/plain" {
		t.Errorf("without a description = %d %s", status, to)
	}
	for _, act := range []string{"publish", "right.add", "right.remove", "endpoint.add", "endpoint.delete", "disable", "enable", "edit", "test", "refresh", "delete"} {
		if !slices.Contains(f.audited, "lan exchange.service."+act+" population/levels") {
			t.Errorf("%s is not recorded: %v", act, f.audited)
		}
	}
	if body := f.get(at + "/certificate"); !strings.HasPrefix(body, "-----BEGIN CERTIFICATE-----") {
		t.Errorf("certificate = %s", body)
	}
	for _, path := range []string{at, at + "/new", at + "/rest", at + "/population/plain", at + "/certificate"} {
		if w := f.send("GET", path, "", nil, "reception"); w.Code != http.StatusForbidden {
			t.Errorf("%s for another role = %d", path, w.Code)
		}
	}
}

// looksOn opens the page of a service as one who may read and change nothing: no form has a button.
func (f *publishedFixture) looksOn(path string) {
	f.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	ctx := reqctx.WithLang(reqctx.WithPrincipal(r.Context(), reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Roles: []string{"observer"}}), "vi")
	ctx = ui.WithPermissions(ctx, func(operation string) bool {
		return strings.HasPrefix(operation, "get") || strings.HasPrefix(operation, "list")
	})
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r.WithContext(ctx))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "GET /levels/*") {
		f.t.Fatalf("who looks on gets %d\n%s", w.Code, w.Body)
	}
	for _, form := range strings.Split(w.Body.String(), `<form method="post" action="`+path)[1:] {
		inside, _, _ := strings.Cut(form, "</form>")
		if strings.Contains(inside, "<button") {
			f.t.Errorf("who looks on is offered %s%.200s", path, form)
		}
	}
}
