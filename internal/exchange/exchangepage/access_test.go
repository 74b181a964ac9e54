package exchangepage

import (
	"context"
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
	"truc/internal/exchange/access"
	"truc/internal/exchange/exchangestore"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

func TestAccessPages(t *testing.T) {
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
	var audited []string
	var rules []exchange.Rule
	svc := &access.Service{
		Store: &exchangestore.Store{DB: db}, Instance: "VN", Subsystems: func() []string { return []string{"population"} }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		SetRules: func(r []exchange.Rule) error { rules = r; return nil },
		Global:   func() (int64, map[string][]string) { return 1, nil },
		Audit: func(_ context.Context, actor, action, _ string) error {
			audited = append(audited, actor+" "+action)
			return nil
		},
	}
	cat, err := i18n.Load(lang.FS)
	must(err)
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	must(err)
	mux := web.NewMux(web.Options{Lang: cat, Renderer: rd, Log: slog.New(slog.DiscardHandler)})
	must((&AccessPages{Access: svc, Renderer: rd}).Mount(mux))
	id := ""
	do := func(method, path, form, role, language string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(strings.ReplaceAll(form, "$id", id)))
		if method == "POST" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r = r.WithContext(reqctx.WithLang(reqctx.WithPrincipal(r.Context(), reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Roles: []string{role}}), language))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), "[exchange.") || strings.Contains(w.Body.String(), "ZgotmplZ") {
			t.Errorf("%s %s lacks a text:\n%s", method, path, w.Body)
		}
		return w
	}
	for _, role := range []string{"reception", "officer", "head", "register"} {
		for _, path := range []string{rulesPath, groupsPath} {
			if w := do("GET", path, "", role, "vi"); w.Code != http.StatusForbidden {
				t.Errorf("%s sees %s: %d", role, path, w.Code)
			}
		}
		if w := do("POST", rulesPath, "consumer=VN/GOV/H36/onestop&service=population/person", role, "vi"); w.Code != http.StatusForbidden {
			t.Errorf("%s adds a rule: %d", role, w.Code)
		}
	}
	for i, tt := range []struct {
		method, path, form, lang string
		status                   int
		want                     string
	}{
		{"GET", rulesPath, "", "vi", 200, "Thêm quy tắc"},
		{"GET", rulesPath, "", "en", 200, "Add a rule"},
		{"GET", groupsPath, "", "vi", 200, "Chưa có nhóm nào"},
		{"GET", groupsPath, "", "en", 200, "No groups yet"},
		{"POST", groupsPath, "code=health/a&name=&members=x", "vi", 422, "Nhập tên nhóm"},
		{"POST", groupsPath, url.Values{"code": {"population/doi-tac"}, "name": {"<b>Đối tác</b>"}, "members": {"VN/GOV/H36/onestop\r\nVN/GOV/H57/onestop"}}.Encode(), "vi", 303, ""},
		{"GET", groupsPath, "", "vi", 200, "&lt;b&gt;Đối tác&lt;/b&gt;"},
		{"GET", groupsPath + "?edit=population%2Fdoi-tac", "", "vi", 200, "VN/GOV/H36/onestop\nVN/GOV/H57/onestop"},
		{"POST", rulesPath, "consumer=group:population/ai-do&service=population/person&basis=Kept", "vi", 422, "Hãy tạo nhóm trước"},
		{"POST", rulesPath, "consumer=VN/GOV/H36/onestop&service=health/person&path=v1", "en", 422, "the system must be one of this node"},
		{"POST", rulesPath, "consumer=group:population/doi-tac&service=population/person&methods=get+post&path=/v1/*&activities=a+b&basis=Điều+1", "vi", 303, ""},
		{"GET", rulesPath, "", "vi", 200, "group:population/doi-tac → population/person"},
		{"POST", rulesPath, "consumer=group:population/doi-tac&service=population/person&methods=POST+GET&path=/v1/*", "vi", 422, "Đã có quy tắc"},
		{"POST", groupsPath + "/remove", "code=population/doi-tac", "vi", 422, "Không xoá được"},
		{"POST", rulesPath + "/remove", "id=none", "vi", 404, ""},
		{"POST", rulesPath + "/remove", "id=$id", "vi", 303, ""},
		{"POST", groupsPath + "/remove", "code=population/doi-tac", "vi", 303, ""},
		{"POST", groupsPath + "/remove", "code=population/doi-tac", "vi", 404, ""},
		{"GET", groupsPath, "", "vi", 200, "Chưa có nhóm nào"},
	} {
		if w := do(tt.method, tt.path, tt.form, "admin", tt.lang); w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%d: %s %s %s = %d; want %d with %q\n%s", i, tt.method, tt.path, tt.form, w.Code, tt.status, tt.want, w.Body)
		}
		if list, err := svc.Rules(t.Context()); err == nil && len(list) == 1 && id == "" {
			id = list[0].ID
			if len(rules) != 1 || !slices.Equal(rules[0].Members, []string{"VN/GOV/H36/onestop", "VN/GOV/H57/onestop"}) || !slices.Equal(rules[0].Methods, []string{"GET", "POST"}) {
				t.Errorf("in force: %+v", rules)
			}
		}
	}
	want := []string{
		"lan exchange.group.save", "lan exchange.rule.add", "lan exchange.rule.add", "lan exchange.rule.add.failed", "lan exchange.group.remove", "lan exchange.group.remove.failed",
		"lan exchange.rule.remove", "lan exchange.rule.remove.failed", "lan exchange.rule.remove", "lan exchange.group.remove", "lan exchange.group.remove", "lan exchange.group.remove.failed",
	}
	if !slices.Equal(audited, want) {
		t.Errorf("audited %q\nwant %q", audited, want)
	}
}
