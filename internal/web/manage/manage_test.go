package manage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/lang"
)

type widget struct {
	Name  string    `json:"name"`
	Tags  []string  `json:"tags"`
	Since time.Time `json:"since"`
	Note  *string   `json:"note"`
}

type newWidget struct {
	ID    string   `path:"id"`
	Dry   bool     `query:"dry"`
	Name  string   `json:"name" doc:"what it is called"`
	Color string   `json:"color,omitempty" enum:"red,green"`
	Tags  []string `json:"tags,omitempty"`
}

// fixture is an interface with a few operations and a record of what was audited.
type fixture struct {
	mux     *web.Mux
	api     *API
	acts    []string
	failAct bool
	now     time.Time
	got     newWidget
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{mux: web.NewMux(web.Options{Lang: cat}), now: time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)}
	f.api = &API{
		Title: "Test", Version: "1", Now: func() time.Time { return f.now },
		Authenticate: func(_ context.Context, secret string) (Operator, error) {
			switch secret {
			case "broken":
				return Operator{}, errors.New("the database is away")
			case "service", "observer", "security":
				return Operator{ID: secret, Roles: []Role{Role(secret)}}, nil
			}
			return Operator{}, errs.E(errs.Unauthenticated, "exchange.key_unknown", nil)
		},
		Audit: func(_ context.Context, actor, action, object string) error {
			if f.failAct {
				return errs.E(errs.Unavailable, "audit.cannot_record", nil)
			}
			f.acts = append(f.acts, actor+" "+action+" "+object)
			return nil
		},
	}
	for _, err := range []error{
		Handle(f.api, Operation{Method: "GET", Path: "/api/t/widgets", ID: "list", Tag: "t", Summary: "s", Roles: []Role{Service}},
			func(ctx context.Context, _ struct{}) (struct {
				Items []widget `json:"items"`
				By    string   `json:"by"`
			}, error,
			) {
				var out struct {
					Items []widget `json:"items"`
					By    string   `json:"by"`
				}
				out.Items, out.By = []widget{{Name: "một"}}, reqctx.PrincipalOf(ctx).ID
				return out, nil
			}),
		Handle(f.api, Operation{Method: "GET", Path: "/api/t/secret", ID: "secret", Tag: "t", Summary: "s", Roles: []Role{Security}, Sealed: true},
			func(context.Context, struct{}) (File, error) {
				return File{Name: "x.txt", Type: "text/plain", Data: []byte("x")}, nil
			}),
		Handle(f.api, Operation{Method: "POST", Path: "/api/t/widgets/{id}", ID: "make", Tag: "t", Summary: "s", Roles: []Role{Service}, Act: "t.widget.make", Status: 201},
			func(_ context.Context, in newWidget) (widget, error) {
				f.got = in
				if in.Name == "fail" {
					return widget{}, errs.E(errs.Conflict, "error.conflict", nil)
				}
				return widget{Name: in.Name, Tags: in.Tags}, nil
			}),
		Handle(f.api, Operation{Method: "PUT", Path: "/api/t/raw", ID: "raw", Tag: "t", Summary: "s", Roles: []Role{Service}, Act: "t.raw", MaxBody: 8},
			func(_ context.Context, in struct {
				Body RawBody
			},
			) (struct{}, error) {
				f.got.Name = string(in.Body)
				return struct{}{}, nil
			}),
		f.api.Mount(f.mux, "/api/t/openapi.json"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *fixture) do(method, path, key, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.1:1234"
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r)
	f.now = f.now.Add(time.Second)
	return w
}

func TestWhoMay(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		method, path, key string
		want              int
		code              string
	}{
		{"GET", "/api/t/widgets", "", 401, "web.manage.no_key"},
		{"GET", "/api/t/widgets", strings.Repeat("k", 300), 401, "web.manage.no_key"},
		{"GET", "/api/t/widgets", "other", 401, "web.manage.key_unknown"},
		{"GET", "/api/t/widgets", "broken", 500, "error.internal"},
		{"GET", "/api/t/widgets", "security", 403, "web.manage.role"},
		{"GET", "/api/t/widgets", "service", 200, ""},
		{"GET", "/api/t/widgets", "observer", 200, ""},
		{"GET", "/api/t/secret", "observer", 403, "web.manage.role"},
		{"GET", "/api/t/secret", "security", 200, ""},
		{"POST", "/api/t/widgets/1", "observer", 403, "web.manage.role"},
		{"GET", "/api/t/nothing", "service", 404, "error.not_found"},
	} {
		w := f.do(c.method, c.path, c.key, "")
		var p web.Problem
		if c.code != "" {
			_ = json.Unmarshal(w.Body.Bytes(), &p)
		}
		if w.Code != c.want || p.Code != c.code && c.want != 404 {
			t.Errorf("%s %s with %q = %d %q; want %d %q", c.method, c.path, c.key, w.Code, p.Code, c.want, c.code)
		}
	}
	if len(f.acts) > 0 {
		t.Errorf("audited %q; nobody who may has acted", f.acts)
	}
}

func TestInput(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name, path, body string
		want             int
	}{
		{"good", "/api/t/widgets/7?dry=true", `{"name":"Bộ","color":"red","tags":["a"]}`, 201},
		{"without what may be left out", "/api/t/widgets/7", `{"name":"Bộ"}`, 201},
		{"missing", "/api/t/widgets/7", `{"color":"red"}`, 400},
		{"unknown member", "/api/t/widgets/7", `{"name":"a","other":1}`, 400},
		{"wrong type", "/api/t/widgets/7", `{"name":7}`, 400},
		{"not in the list", "/api/t/widgets/7", `{"name":"a","color":"blue"}`, 400},
		{"two objects", "/api/t/widgets/7", `{"name":"a"}{}`, 400},
		{"null", "/api/t/widgets/7", `null`, 400},
		{"control character", "/api/t/widgets/7", `{"name":"a\u0000"}`, 400},
		{"path takes no body member", "/api/t/widgets/7", `{"name":"a","id":"8"}`, 400},
		{"unknown parameter", "/api/t/widgets/7?what=1", `{"name":"a"}`, 400},
		{"parameter of a wrong type", "/api/t/widgets/7?dry=maybe", `{"name":"a"}`, 400},
		{"control character in the path", "/api/t/widgets/%00", `{"name":"a"}`, 400},
		{"too long", "/api/t/widgets/7", `{"name":"` + strings.Repeat("a", 1<<20) + `"}`, 413},
	} {
		if w := f.do("POST", c.path, "service", c.body); w.Code != c.want {
			t.Errorf("%s: %d %s; want %d", c.name, w.Code, w.Body, c.want)
		}
	}
	if w := f.do("PUT", "/api/t/raw", "service", "12345678"); w.Code != 204 || f.got.Name != "12345678" {
		t.Errorf("raw body = %d %q; want 204 and the body", w.Code, f.got.Name)
	}
	if w := f.do("PUT", "/api/t/raw", "service", "123456789"); w.Code != 413 {
		t.Errorf("raw body above the limit = %d; want 413", w.Code)
	}
	w := f.do("GET", "/api/t/widgets", "service", "")
	if want := `{"items":[{"name":"một","tags":[],"since":"0001-01-01T00:00:00Z","note":null}],"by":"operator:service"}`; strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("answer = %s; want %s", w.Body, want)
	}
}

func TestAudit(t *testing.T) {
	f := newFixture(t)
	f.do("POST", "/api/t/widgets/7", "service", `{"name":"a"}`)
	f.do("POST", "/api/t/widgets/7", "service", `{"name":"fail"}`)
	want := []string{"operator:service t.widget.make 7", "operator:service t.widget.make 7", "operator:service t.widget.make.failed 7"}
	if !slices.Equal(f.acts, want) {
		t.Errorf("audited %q; want %q", f.acts, want)
	}
	f.failAct, f.got = true, newWidget{}
	if w := f.do("POST", "/api/t/widgets/7", "service", `{"name":"b"}`); w.Code != 503 || f.got.Name != "" {
		t.Errorf("an act that cannot be recorded = %d, done %v; want 503 and not done", w.Code, f.got.Name != "")
	}
}

func TestRate(t *testing.T) {
	f := newFixture(t)
	try := func() int {
		r := httptest.NewRequest(http.MethodGet, "/api/t/widgets", nil)
		r.RemoteAddr = "192.0.2.9:1"
		w := httptest.NewRecorder()
		f.mux.ServeHTTP(w, r)
		return w.Code
	}
	for i := range perSecond {
		if got := try(); got != 401 {
			t.Fatalf("request %d = %d; want 401", i, got)
		}
	}
	if got := try(); got != 429 {
		t.Errorf("request %d in one instant = %d; want 429, also for guesses at keys", perSecond+1, got)
	}
	done := 0 // at the greatest rate of the second, the minute runs out
	for range 2 * perMinute {
		f.now = f.now.Add(time.Second / perSecond)
		if try() == 401 {
			done++
		}
	}
	if done >= 2*perMinute-1 || done < perMinute {
		t.Errorf("in a minute at %d a second %d were answered; want the limit of a minute to bite", perSecond, done)
	}
}

func TestDeclarationsAreChecked(t *testing.T) {
	good := Operation{Method: "POST", Path: "/api/t/{id}", ID: "a", Tag: "t", Summary: "s", Roles: []Role{Service}, Act: "t.a"}
	type in struct {
		ID string `path:"id"`
	}
	h := func(context.Context, in) (struct{}, error) { return struct{}{}, nil }
	for name, change := range map[string]func(*Operation){
		"no act":       func(o *Operation) { o.Act = "" },
		"no role":      func(o *Operation) { o.Roles = nil },
		"unknown role": func(o *Operation) { o.Roles = []Role{"root"} },
		"no summary":   func(o *Operation) { o.Summary = "" },
		"other path":   func(o *Operation) { o.Path = "/api/t/{other}" },
		"outside":      func(o *Operation) { o.Path = "/t/{id}" },
	} {
		op := good
		change(&op)
		if err := Handle(&API{}, op, h); err == nil {
			t.Errorf("%s: the declaration was accepted", name)
		}
	}
	a := &API{}
	if err := errors.Join(Handle(a, good, h), Handle(a, good, h)); err == nil {
		t.Error("the same operation was accepted twice")
	}
}

// TestDocument checks that the document describes what was declared, and that what is answered agrees with it.
func TestDocument(t *testing.T) {
	f := newFixture(t)
	w := f.do("GET", "/api/t/openapi.json", "", "")
	doc, err := ReadDocument(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := doc.Operations(); len(got) != 4 || got["make"].Method != http.MethodPost || got["make"].Path != "/api/t/widgets/{id}" {
		t.Errorf("operations = %+v", got)
	}
	answer := f.do("GET", "/api/t/widgets", "service", "")
	if err := doc.CheckAnswer("list", answer.Code, answer.Header().Get("Content-Type"), answer.Body.Bytes()); err != nil {
		t.Error(err)
	}
	refused := f.do("GET", "/api/t/widgets", "", "")
	if err := doc.CheckAnswer("list", refused.Code, refused.Header().Get("Content-Type"), refused.Body.Bytes()); err != nil {
		t.Error(err)
	}
	for name, body := range map[string]string{
		"missing member": `{"items":[]}`, "unknown member": `{"items":[],"by":"","x":1}`, "wrong type": `{"items":{},"by":""}`, "null list": `{"items":null,"by":""}`,
		"wrong item": `{"items":[{"name":"a","tags":[],"since":"yesterday","note":null}],"by":""}`,
	} {
		if err := doc.CheckAnswer("list", 200, "application/json", []byte(body)); err == nil {
			t.Errorf("%s: the checker accepts %s", name, body)
		}
	}
}
