package registerspage

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"truc/internal/i18n"
	"truc/internal/registers"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

type fake struct{ all []registers.Overview }

func (f fake) Overviews(context.Context) ([]registers.Overview, error) { return f.all, nil }

func TestRegistersPage(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := registers.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var all []registers.Overview
	for _, id := range []string{"civilstatus", "population"} {
		all = append(all, registers.Overview{
			Schema: schemas[id], Counts: registers.Counts{Records: 10012, Entries: 10013, Delivered: 5}, Since: time.Date(2026, 10, 23, 0, 0, 0, 0, time.UTC),
		})
	}
	officer := func(roles ...string) reqctx.Principal {
		return reqctx.Principal{Kind: reqctx.Officer, ID: "o", Agency: "G01", Roles: roles}
	}
	tests := []struct {
		name   string
		who    reqctx.Principal
		all    []registers.Overview
		lang   string
		status int
		want   []string
	}{
		{"in charge", officer("register"), all, "vi", 200, []string{"Cơ sở dữ liệu quốc gia về dân cư", "10.013", "Điều 15 Nghị định 224/2026/NĐ-CP", "chưa được người có thẩm quyền kiểm tra", "VN/*/*/onestop"}},
		{"in English", officer("admin"), all, "en", 200, []string{"National population register", "10,013", "Fill in a form"}},
		{"none held", officer("admin"), nil, "vi", 200, []string{"không giữ cơ sở dữ liệu nào"}},
		{"other officer", officer("reception"), all, "vi", 403, nil},
		{"citizen", reqctx.Principal{Kind: reqctx.Citizen, ID: "099190000101", Level: 2}, all, "vi", 403, nil},
		{"nobody", reqctx.Principal{}, all, "vi", 303, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pages, err := New(rd, fake{tt.all})
			if err != nil {
				t.Fatal(err)
			}
			mux := web.NewMux(web.Options{Lang: cat, Renderer: rd})
			pages.Mount(mux)
			r := httptest.NewRequest(http.MethodGet, "/registers", nil)
			r = r.WithContext(reqctx.WithLang(reqctx.WithPrincipal(r.Context(), tt.who), tt.lang))
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			body := w.Body.String()
			if w.Code != tt.status {
				t.Fatalf("status = %d; want %d\n%s", w.Code, tt.status, body)
			}
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			if strings.Contains(body, "[registers.") || strings.Contains(body, "ZgotmplZ") {
				t.Error("a message is missing or a value unsafe")
			}
		})
	}
}
