package exchangepage

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

func TestActsPage(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	if err != nil {
		t.Fatal(err)
	}
	mux := web.NewMux(web.Options{Lang: cat, Renderer: rd})
	var asked ActQuery
	pages := &ActsPages{Renderer: rd, Acts: func(_ context.Context, q ActQuery) ([]Act, error) {
		asked = q
		list := make([]Act, 0, q.Limit)
		for i := range q.Limit {
			action := []string{"exchange.key.create", "exchange.key.create.failed", "exchange.unheard.of"}[i%3]
			list = append(list, Act{Seq: int64(100 - i), At: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), Actor: "lan", Action: action, Object: "<b>x</b>"})
		}
		return list, nil
	}}
	if err := pages.Mount(mux); err != nil {
		t.Fatal(err)
	}
	get := func(path, lang string, roles ...string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r = r.WithContext(reqctx.WithLang(reqctx.WithPrincipal(r.Context(), reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Roles: roles}), lang))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if status, _ := get("/exchange/admin/acts", "vi", "reception"); status != http.StatusForbidden {
		t.Errorf("others: status %d", status)
	}
	for _, l := range i18n.Langs {
		status, body := get("/exchange/admin/acts?actor=+lan&object=x&before=200", l, "admin")
		if status != http.StatusOK || asked != (ActQuery{Before: 200, Actor: "lan", Object: "x", Limit: pageSize}) {
			t.Errorf("status %d, asked %+v", status, asked)
		}
		for _, want := range []string{"exchange.key.create", "exchange.unheard.of", map[string]string{"vi": "Cấp khoá cho phần mềm", "en": "Made a key for a program"}[l], map[string]string{"vi": "Không thành", "en": "Failed"}[l], "&lt;b&gt;x", "before=51", "actor=", `<a href="/exchange/admin/acts" aria-current="page">`, `<a href="/exchange/admin/published">`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: lacks %q", l, want)
			}
		}
		if strings.Contains(body, "[exchange.") {
			t.Errorf("%s: lacks a text", l)
		}
	}
}
