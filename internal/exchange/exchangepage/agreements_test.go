package exchangepage

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/agreement"
	"truc/internal/exchange/exchangestore"
	"truc/internal/i18n"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/translog"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

// agreementFixture is a ministry's desk for agreements, with pages, beside a province whose key it knows.
type agreementFixture struct {
	mux      *web.Mux
	office   *exchange.Agreements
	audited  []string
	province ed25519.PrivateKey
	keys     map[string]agreement.Key
}

func (f *agreementFixture) SigningKey(id string) (agreement.Key, error) { return f.keys[id], nil }
func (f *agreementFixture) Succeeds(newID, oldID string) bool           { return newID == oldID }

func newAgreementFixture(t *testing.T) *agreementFixture {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db := storagetest.OpenSQLite(t)
	for name, m := range map[string]fs.FS{"exchange": exchangestore.Migrations, "outbox": outbox.Migrations} {
		sub, err := fs.Sub(m, "migrations")
		must(err)
		must(storage.Migrate(t.Context(), db, name, sub, time.Now()))
	}
	pub, key, err := ed25519.GenerateKey(nil)
	must(err)
	provincePub, province, err := ed25519.GenerateKey(nil)
	must(err)
	log, err := translog.Open(translog.Options{Dir: t.TempDir(), Origin: "test", Key: key, Now: time.Now, NoSync: true})
	must(err)
	t.Cleanup(func() { _ = log.Close() })
	id := "VN/GOV/G01/node1"
	dir := oneNode{peer: exchange.Peer{ServerID: id, Member: "VN/GOV/G01", URL: "https://127.0.0.1:1", TLSKeyID: "k"}, key: exchange.Key{ID: exchange.KeyID(pub), Public: pub, ServerID: id}}
	svc, err := exchange.New(exchange.Options{
		ServerID: id, Subsystems: []string{"VN/GOV/G01/population"}, Signing: key, Directory: dir, Carrier: noCarrier{}, Log: log, Store: &exchangestore.Store{DB: db},
		Seal: bytes.Repeat([]byte{1}, 32), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	must(err)
	f := &agreementFixture{province: province, keys: map[string]agreement.Key{
		exchange.KeyID(pub): {Public: pub, Member: "VN/GOV/G01"}, exchange.KeyID(provincePub): {Public: provincePub, Member: "VN/GOV/H36"},
	}}
	f.office = &exchange.Agreements{
		Service: svc, Store: &exchangestore.AgreementStore{DB: db, Now: time.Now}, Instance: "VN", Member: "VN/GOV/G01", Keys: f,
		KeysOf: func(string) []string { return []string{exchange.KeyID(provincePub)} }, Center: func() string { return "" }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Audit: func(_ context.Context, actor, action, _ string) error {
			f.audited = append(f.audited, actor+" "+action)
			return nil
		},
	}
	cat, err := i18n.Load(lang.FS)
	must(err)
	rd, err := ui.NewRenderer(ui.Options{Lang: cat, Site: ui.Site{Name: i18n.Text{"vi": "Thử", "en": "Test"}}})
	must(err)
	f.mux = web.NewMux(web.Options{Log: slog.New(slog.DiscardHandler), Renderer: rd, Lang: cat})
	must((&AgreementPages{Agreements: f.office, Renderer: rd, MemberName: func(id, _ string) string { return id }, Now: time.Now}).Mount(f.mux))
	return f
}

func (f *agreementFixture) do(method, path string, form url.Values, roles ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r = r.WithContext(reqctx.WithPrincipal(r.Context(), reqctx.Principal{Kind: reqctx.Officer, ID: "an", Roles: roles}))
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r)
	return w
}

// proposal comes from the province.
func (f *agreementFixture) proposal(t *testing.T) string {
	t.Helper()
	pub, _ := f.province.Public().(ed25519.PublicKey)
	now := time.Now()
	d := agreement.Document{Instance: "VN", Validity: agreement.Validity{NotAfter: now.Add(24 * time.Hour).Unix()}, Grants: []agreement.Grant{{
		Type: agreement.Connect, Service: agreement.Service{ID: "VN/GOV/G01/population/person", Methods: []string{"POST"}, Paths: []string{"/query"}},
		Consumer: &agreement.Consumer{Subsystem: "VN/GOV/H36/onestop"}, Purpose: agreement.Purpose{Code: "verify-dossier", LegalBasis: "<b>Điều 15</b>", Fields: []string{"fullName"}},
		Limits: agreement.Limits{Rate: "50/s", Daily: 200000, Concurrent: 4},
	}}}
	d.Properties = map[string]string{"regulated_area": "<i>dân cư</i>"}
	d.ExternalContract = &agreement.ExternalContract{Number: "12/2026/HĐ-BCA-LĐ", Date: "2026-11-01", Digest: agreement.ContentHash([]byte("the file"))}
	d.Fill(exchange.NewUUID(), now, f.office.KeysOf)
	raw, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s, err := agreement.Statement{Type: agreement.Accept, Content: agreement.ContentHash(raw), Member: "VN/GOV/H36", KeyID: exchange.KeyID(pub), SignedAt: now.Unix()}.Sign(f.province)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.office.Receive(t.Context(), "VN/GOV/H36", raw, []agreement.Statement{s}); err != nil {
		t.Fatal(err)
	}
	return s.Content
}

func TestAgreementPages(t *testing.T) {
	f := newAgreementFixture(t)
	const base = "/exchange/admin/agreements"
	for _, role := range []string{"reception", "officer", "head", "register"} {
		if w := f.do("GET", base, nil, role); w.Code != http.StatusForbidden {
			t.Errorf("%s sees the list: %d", role, w.Code)
		}
	}
	if w := f.do("GET", base, nil, "admin"); w.Code != 200 || !strings.Contains(w.Body.String(), "Chưa có thoả thuận nào") {
		t.Errorf("the empty list: %d %s", w.Code, w.Body)
	}
	content := f.proposal(t)
	if w := f.do("GET", base, nil, "admin"); !strings.Contains(w.Body.String(), "chờ cơ quan này trả lời") || !strings.Contains(w.Body.String(), content) {
		t.Errorf("the list: %s", w.Body)
	}
	w := f.do("GET", base+"/"+content, nil, "admin")
	for _, want := range []string{"VN/GOV/H36/onestop", "verify-dossier", "&lt;b&gt;Điều 15&lt;/b&gt;", "fullName", "50/s", "200.000", "Chấp nhận và ký", "VN/GOV/G01: chưa ký", "Số 12/2026/HĐ-BCA-LĐ, ngày 01/11/2026", "regulated_area: &lt;i&gt;dân cư"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the agreement lacks %q: %s", want, w.Body)
		}
	}
	if w := f.do("POST", base+"/"+content, url.Values{"act": {"reject"}}, "admin"); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "Nhập lý do") {
		t.Errorf("a rejection without a reason: %d", w.Code)
	}
	if w := f.do("POST", base+"/"+content, url.Values{"act": {"accept"}}, "admin"); w.Code != http.StatusSeeOther {
		t.Fatalf("accept: %d %s", w.Code, w.Body)
	}
	if v, err := f.office.Get(t.Context(), content); err != nil || v.State != agreement.Valid {
		t.Errorf("after accept: %v, %v", v.State, err)
	}
	if w := f.do("POST", base+"/"+content, url.Values{"act": {"accept"}}, "admin"); w.Code != http.StatusConflict {
		t.Errorf("accept twice: %d", w.Code)
	}
	if w := f.do("POST", base+"/"+content, url.Values{"act": {"revoke"}, "reason": {"hết nhu cầu"}}, "admin"); w.Code != http.StatusSeeOther {
		t.Errorf("revoke: %d %s", w.Code, w.Body)
	}
	if w := f.do("GET", base+"/"+content, nil, "admin"); !strings.Contains(w.Body.String(), "hết nhu cầu") || strings.Contains(w.Body.String(), `name="act"`) {
		t.Errorf("after the end: %s", w.Body)
	}
	if want := []string{"member:VN/GOV/H36 exchange.agreement.accept_received", "an exchange.agreement.accept", "an exchange.agreement.revoke"}; !slices.Equal(f.audited, want) {
		t.Errorf("audited %q; want %q", f.audited, want)
	}
	if w := f.do("GET", base+"/sha-256:none", nil, "admin"); w.Code != http.StatusNotFound {
		t.Errorf("an unknown agreement: %d", w.Code)
	}
}

func TestProposePage(t *testing.T) {
	f := newAgreementFixture(t)
	const path = "/exchange/admin/agreements/propose"
	if w := f.do("GET", path, nil, "admin"); w.Code != 200 || !strings.Contains(w.Body.String(), "Ký và gửi") {
		t.Fatalf("the form: %d", w.Code)
	}
	w := f.do("POST", path, url.Values{"consumer": {"VN/GOV/H36"}, "rate": {"many"}}, "admin")
	for _, want := range []string{"gồm bốn phần", "gồm năm phần", "Nhập mã hoạt động", "Nhập căn cứ", "50/s, 600/m hoặc", "Nhập số ngày"} {
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d, lacks %q", w.Code, want)
		}
	}
	good := url.Values{
		"consumer": {"VN/GOV/H36/onestop"}, "service": {"VN/GOV/G01/population/person"}, "methods": {"POST, GET"}, "paths": {"/query"}, "purpose": {"verify-dossier"},
		"basis": {"Điều 15"}, "days": {"30"}, "fields": {"fullName, birthDate"}, "daily": {"100"},
	}
	if w := f.do("POST", path, good, "admin"); w.Code != http.StatusSeeOther {
		t.Fatalf("propose: %d %s", w.Code, w.Body)
	}
	list, err := f.office.List(t.Context())
	if err != nil || len(list) != 1 || list[0].State != agreement.Proposed || !slices.Equal(list[0].Document.Grants[0].Purpose.Fields, []string{"fullName", "birthDate"}) {
		t.Errorf("agreements = %+v, %v", list, err)
	}
	if w := f.do("POST", path, url.Values{"json": {`{"grants":[{"type":"connect"}],"other":1}`}}, "admin"); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "Không đọc được văn bản") {
		t.Errorf("a text that is none: %d", w.Code)
	}
	if !slices.Equal(f.audited, []string{"an exchange.agreement.submit"}) {
		t.Errorf("audited %q", f.audited)
	}
}
