package directorypage

import (
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/directory/directorystore"
	"truc/internal/i18n"
	"truc/internal/pki"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

func TestPages(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	db := storagetest.OpenSQLite(t)
	sub, err := fs.Sub(directorystore.Migrations, "migrations")
	must(err)
	must(storage.Migrate(t.Context(), db, "directory", sub, now))
	ca, err := pki.LoadOrCreateCA(t.TempDir(), "VN", now)
	must(err)
	dirKey, err := pki.GenerateKey(pki.Ed25519)
	must(err)
	center := &directory.Center{Instance: "VN", URL: "http://127.0.0.1:7100", Key: dirKey, CA: ca, Store: &directorystore.Store{DB: db}, Now: clock}
	must(center.AddMember(t.Context(), "a", directory.Member{Class: "GOV", Code: "H36", Name: i18n.Text{"vi": "Lâm Đồng", "en": "Lam Dong"}}))
	text, err := center.CreateToken(t.Context(), "a", "VN/GOV/H36", "node1", time.Hour)
	must(err)
	token, err := directory.ParseToken(text)
	must(err)
	f, err := directory.OpenFollower(directory.FollowerOptions{Dir: t.TempDir(), Center: center, Now: clock, Log: slog.New(slog.DiscardHandler)}, token.Trust())
	must(err)
	tlsKey, err := pki.GenerateKey(pki.P256)
	must(err)
	signKey, err := pki.GenerateKey(pki.Ed25519)
	must(err)
	_, err = f.Join(t.Context(), token, directory.Keys{TLS: tlsKey, Signing: signKey}, directory.Profile{
		LinkURL: "https://127.0.0.1:7131", Subsystems: []string{"VN/GOV/H36/onestop"},
		Services: []directory.Service{{ID: "VN/GOV/H36/onestop/facts", Name: i18n.Text{"vi": "Dữ kiện hồ sơ"}, Kind: "rest", Public: true}, {ID: "VN/GOV/H36/onestop/hidden", Kind: "rest"}},
	})
	must(err)
	cat, err := i18n.Load(lang.FS)
	must(err)
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	must(err)
	mux := web.NewMux(web.Options{Lang: cat, Renderer: rd})
	must((&Pages{Center: center, Follower: f, Renderer: rd, Now: clock}).Mount(mux))
	do := func(method, path, language string, form url.Values, p reqctx.Principal) (int, string) {
		r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r = r.WithContext(reqctx.WithLang(reqctx.WithPrincipal(r.Context(), p), language))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		body := w.Body.String()
		if strings.Contains(body, "[directory.") || strings.Contains(body, "ZgotmplZ") {
			t.Errorf("%s (%s) lacks a text:\n%s", path, language, body)
		}
		return w.Code, body
	}
	admin := reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Roles: []string{"admin"}}
	for _, tt := range []struct {
		name, method, path string
		form               url.Values
		who                reqctx.Principal
		status             int
		want, not          []string
	}{
		{"catalogue for everybody", "GET", "/directory", nil, reqctx.Principal{}, 200, []string{"Dữ kiện hồ sơ", "VN/GOV/H36"}, []string{"onestop/hidden"}},
		{"administration", "GET", "/directory/admin", nil, admin, 200, []string{"VN/GOV/H36/node1", "https://127.0.0.1:7131", "30", center.Fingerprint()}, nil},
		{"administration for nobody", "GET", "/directory/admin", nil, reqctx.Principal{}, 303, nil, nil},
		{"administration for others", "GET", "/directory/admin", nil, reqctx.Principal{Kind: reqctx.Officer, ID: "x"}, 403, nil, nil},
		{"member without name", "POST", "/directory/admin/member", url.Values{"code": {"G01"}}, admin, 422, []string{"tr-"}, nil},
		{"member", "POST", "/directory/admin/member", url.Values{"code": {"G01"}, "name_vi": {"Bộ Công an"}}, admin, 303, nil, nil},
		{"token too long", "POST", "/directory/admin/token", url.Values{"member": {"VN/GOV/G01"}, "node": {"node1"}, "hours": {"99"}}, admin, 422, nil, []string{"truc1."}},
		{"token for a taken name", "POST", "/directory/admin/token", url.Values{"member": {"VN/GOV/H36"}, "node": {"node1"}, "hours": {"1"}}, admin, 422, nil, []string{"truc1."}},
		{"token", "POST", "/directory/admin/token", url.Values{"member": {"VN/GOV/G01"}, "node": {"node1"}, "hours": {"1"}}, admin, 200, []string{"truc join --token truc1."}, nil},
		{"token is shown once", "GET", "/directory/admin", nil, admin, 200, []string{"VN/GOV/G01/node1"}, []string{"truc1."}},
		{"revoke asks", "GET", "/directory/admin/revoke?node=VN/GOV/H36/node1", nil, admin, 200, []string{"VN/GOV/H36/node1"}, nil},
		{"revoke wants a reason", "POST", "/directory/admin/revoke", url.Values{"node": {"VN/GOV/H36/node1"}}, admin, 422, nil, nil},
		{"revoke by others", "POST", "/directory/admin/revoke", url.Values{"node": {"VN/GOV/H36/node1"}, "reason": {"x"}}, reqctx.Principal{Kind: reqctx.Officer, ID: "x"}, 403, nil, nil},
		{"revoke", "POST", "/directory/admin/revoke", url.Values{"node": {"VN/GOV/H36/node1"}, "reason": {"Máy bị mất"}}, admin, 303, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			languages := i18n.Langs
			if tt.method == "POST" {
				languages = languages[:1]
			}
			for _, l := range languages {
				status, body := do(tt.method, tt.path, l, tt.form, tt.who)
				if status != tt.status {
					t.Fatalf("status %d, want %d\n%s", status, tt.status, body)
				}
				for _, s := range tt.want {
					if !strings.Contains(body, s) {
						t.Errorf("(%s) lacks %q", l, s)
					}
				}
				for _, s := range tt.not {
					if strings.Contains(body, s) {
						t.Errorf("(%s) shows %q", l, s)
					}
				}
			}
		})
	}
	if err := f.Refresh(t.Context()); err != nil || !f.Document().IsRevoked(pki.KeyID(tlsKey.Public())) {
		t.Errorf("after revocation: %v", err)
	}
}
