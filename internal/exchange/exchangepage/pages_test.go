package exchangepage

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/exchangestore"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/translog"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

// oneNode is a directory of a single node that both asks and answers.
type oneNode struct {
	peer exchange.Peer
	key  exchange.Key
}

func (d oneNode) Providers(orgcode.Service) ([]exchange.Peer, error) {
	return []exchange.Peer{d.peer}, nil
}
func (d oneNode) Hosts(orgcode.Subsystem) []exchange.Peer { return []exchange.Peer{d.peer} }
func (d oneNode) Key(id string) (exchange.Key, error) {
	if id != d.key.ID {
		return exchange.Key{}, errs.E(errs.NotFound, "exchange.key_unknown", nil)
	}
	return d.key, nil
}

func (d oneNode) Members() []exchange.Member {
	return []exchange.Member{{ID: "VN/GOV/G01", Name: map[string]string{"vi": "Bộ Công an"}, Subsystems: []string{"VN/GOV/G01/population"}}}
}

func (d oneNode) State() exchange.DirectoryState {
	return exchange.DirectoryState{Level: "fresh", Version: 1, Envelope: []byte("{}")}
}

type noCarrier struct{}

func (noCarrier) Carry(context.Context, exchange.Peer, *exchange.WireRequest) (*exchange.WireResponse, error) {
	return nil, errors.New("there is no other node")
}

type fixture struct {
	mux       *web.Mux
	service   *exchange.Service
	audited   []string
	store     *exchangestore.Store
	directory exchange.Directory
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db := storagetest.OpenSQLite(t)
	sub, err := fs.Sub(exchangestore.Migrations, "migrations")
	must(err)
	must(storage.Migrate(t.Context(), db, "exchange", sub, time.Now()))
	pub, key, err := ed25519.GenerateKey(nil)
	must(err)
	log, err := translog.Open(translog.Options{Dir: t.TempDir(), Origin: "test", Key: key, Now: time.Now, NoSync: true})
	must(err)
	t.Cleanup(func() { _ = log.Close() })
	id := "VN/GOV/G01/node1"
	dir := oneNode{peer: exchange.Peer{ServerID: id, Member: "VN/GOV/G01", URL: "https://127.0.0.1:1", TLSKeyID: "k"}, key: exchange.Key{ID: exchange.KeyID(pub), Public: pub, ServerID: id}}
	store := &exchangestore.Store{DB: db}
	f := &fixture{store: store, directory: dir}
	f.service, err = exchange.New(exchange.Options{
		ServerID: id, Subsystems: []string{"VN/GOV/G01/population"}, Signing: key, Directory: dir, Carrier: noCarrier{},
		Log: log, Store: store, Seal: make([]byte, 32), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	must(err)
	must(f.service.Offer("population/person", exchange.Offering{Name: map[string]string{"vi": "Tra cứu dân cư"}, Personal: true},
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
	must(f.service.SetRules([]exchange.Rule{{Consumer: "VN/GOV/G01/population", Service: "population/person", Path: "/**", Basis: "Điều 15"}}))
	cat, err := i18n.Load(lang.FS)
	must(err)
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	must(err)
	f.mux = web.NewMux(web.Options{Lang: cat, Renderer: rd})
	must((&Pages{
		Service: f.service, Store: store, Keys: store, Directory: dir, Subsystems: []string{"VN/GOV/G01/population"}, Renderer: rd, Now: time.Now,
		Audit: func(_ context.Context, actor, action, object string) error {
			f.audited = append(f.audited, actor+" "+action+" "+object)
			return nil
		},
	}).Mount(f.mux))
	return f
}

func (f *fixture) do(t *testing.T, method, path, language string, form url.Values, roles ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	p := reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Agency: "G01", Roles: roles}
	r = r.WithContext(reqctx.WithLang(reqctx.WithPrincipal(r.Context(), p), language))
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestPages(t *testing.T) {
	f := newFixture(t)
	from := orgcode.Subsystem{Instance: "VN", Class: "GOV", Member: "G01", Code: "population"}
	to := orgcode.Service{Instance: "VN", Class: "GOV", Member: "G01", Subsystem: "population", Code: "person"}
	call := exchange.Call{From: from, To: to, Path: "/person/099204000123", ID: "VN-1", UserID: "VN099204000123", Activity: "prefill", Dossier: "H36-1"}
	if _, err := f.service.Call(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	call.Activity = ""
	if _, err := f.service.Call(t.Context(), call); err == nil {
		t.Fatal("a call without purpose went through")
	}
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/exchange/admin", []string{"VN/GOV/G01/population/person", "prefill", "/person/…", "server.serverproxy.purpose_required", "VN-1"}},
		{"/exchange/admin?faults=1", []string{"server.serverproxy.purpose_required"}},
		{"/exchange/admin/services", []string{"VN/GOV/G01/population/person", "/**", "Điều 15"}},
		{"/exchange/admin/keys", []string{"VN/GOV/G01/population"}},
		{"/exchange/admin/test", []string{"Bộ Công an"}},
	} {
		for _, l := range i18n.Langs {
			status, body := f.do(t, "GET", tt.path, l, nil, "admin")
			if status != http.StatusOK {
				t.Fatalf("%s: status %d\n%s", tt.path, status, body)
			}
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("%s (%s) lacks %q", tt.path, l, want)
				}
			}
			if strings.Contains(body, "099204000123") || strings.Contains(body, "[exchange.") || strings.Contains(body, "ZgotmplZ") {
				t.Errorf("%s (%s) shows a person's number or lacks a text:\n%s", tt.path, l, body)
			}
		}
		if status, _ := f.do(t, "GET", tt.path, "vi", nil, "reception"); status != http.StatusForbidden {
			t.Errorf("%s for another role: status %d", tt.path, status)
		}
	}
}

func TestActs(t *testing.T) {
	f := newFixture(t)
	status, body := f.do(t, "POST", "/exchange/admin/test", "vi", url.Values{"member": {"VN/GOV/G01"}}, "admin")
	if status != http.StatusOK || strings.Count(body, "tr-tag--done") < 4 {
		t.Errorf("connection test: %d\n%s", status, body)
	}
	if _, err := f.service.Call(t.Context(), exchange.Call{
		From: orgcode.Subsystem{Instance: "VN", Class: "GOV", Member: "G01", Code: "population"},
		To:   orgcode.Service{Instance: "VN", Class: "GOV", Member: "G01", Subsystem: "population", Code: "listMethods"}, ID: "VN-9",
	}); err != nil {
		t.Fatal(err)
	}
	status, body = f.do(t, "POST", "/exchange/admin/evidence", "vi", url.Values{"id": {"VN-9"}}, "admin")
	if status != http.StatusOK || !bytes.HasPrefix([]byte(body), []byte("PK")) {
		t.Errorf("evidence: %d", status)
	}
	if status, _ = f.do(t, "POST", "/exchange/admin/evidence", "vi", url.Values{"id": {"none"}}, "admin"); status != http.StatusNotFound {
		t.Errorf("evidence of nothing: %d", status)
	}
	status, body = f.do(t, "POST", "/exchange/admin/keys", "vi", url.Values{"label": {"Một cửa"}, "subsystem": {"VN/GOV/G01/population"}}, "admin")
	if status != http.StatusOK || !strings.Contains(body, "truc_key_") {
		t.Errorf("key: %d\n%s", status, body)
	}
	if status, body = f.do(t, "GET", "/exchange/admin/keys", "vi", nil, "admin"); status != http.StatusOK || strings.Contains(body, "truc_key_") || !strings.Contains(body, "Một cửa") {
		t.Errorf("keys afterwards: %d\n%s", status, body)
	}
	// A certificate's key is pinned; nothing is shown. A token for it is shown once.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	form := url.Values{"label": {"Kho"}, "subsystem": {"VN/GOV/G01/population"}, "kind": {"mtls"}, "key": {text}, "error_codes": {"legacy"}}
	if status, _ = f.do(t, "POST", "/exchange/admin/keys", "vi", form, "admin"); status != http.StatusSeeOther {
		t.Errorf("pin: %d", status)
	}
	form.Set("kind", "bound_token")
	if status, body = f.do(t, "POST", "/exchange/admin/keys", "en", form, "admin"); status != http.StatusOK || !strings.Contains(body, "truc_dpop_") || !strings.Contains(body, "A TLS certificate · Older names") {
		t.Errorf("bound token: %d\n%s", status, body)
	}
	form = url.Values{"label": {"Sổ"}, "subsystem": {"VN/GOV/G01/population"}, "kind": {"mtls"}, "key": {"<b>none"}, "error_codes": {"x"}}
	status, body = f.do(t, "POST", "/exchange/admin/keys", "en", form, "admin")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, `href="#f-key"`) || !strings.Contains(body, `href="#f-error_codes"`) || !strings.Contains(body, `value="Sổ"`) || !strings.Contains(body, "&lt;b&gt;none") {
		t.Errorf("faults beside their fields: %d\n%s", status, body)
	}
	if status, _ = f.do(t, "POST", "/exchange/admin/keys", "vi", url.Values{"label": {""}, "subsystem": {"VN/GOV/G99/x"}}, "admin"); status != http.StatusUnprocessableEntity {
		t.Errorf("key for a stranger: %d", status)
	}
	if len(f.audited) != 5 || f.audited[0] != "lan exchange.evidence.export VN-9" {
		t.Errorf("audited = %v", f.audited)
	}
}
