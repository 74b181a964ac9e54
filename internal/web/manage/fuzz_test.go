package manage

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"truc/internal/i18n"
	"truc/internal/web"
	"truc/lang"
)

// everything is an input of all the kinds that operations take, so that a body reaches every branch of the reader.
type everything struct {
	ID     string            `path:"id"`
	Page   int64             `query:"page"`
	Dry    bool              `query:"dry"`
	Color  string            `query:"color" enum:"red,green"`
	Name   string            `json:"name"`
	Kind   string            `json:"kind,omitempty" enum:"full,digest,off"`
	Words  map[string]string `json:"words,omitempty"`
	Tags   []string          `json:"tags,omitempty"`
	Since  *time.Time        `json:"since,omitempty"`
	Number *float64          `json:"number,omitempty"`
	Within *struct {
		URL     string   `json:"url"`
		Seconds int      `json:"seconds,omitempty"`
		Rules   []subset `json:"rules,omitempty"`
	} `json:"within,omitempty"`
}

type subset struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

// FuzzRequest sends targets and bodies to an operation: each is taken as declared or refused as the caller's fault, never
// as ours, and nothing reaches the handler that the declaration does not allow.
func FuzzRequest(f *testing.F) {
	f.Add("7?page=3&dry=true&color=red", `{"name":"Bộ","kind":"full","words":{"vi":"a"},"tags":["x"],"since":"2026-11-22T00:00:00Z","number":1.5}`)
	f.Add("7", `{"name":"a","within":{"url":"https://a.vn","seconds":5,"rules":[{"method":"GET","path":"/**"}]}}`)
	f.Add("%2e%2e", `{"name":"a","within":{"url":"","rules":[{"method":1}]}}`)
	f.Add("7?page=9223372036854775808", `{"name":"a"}`)
	f.Add("7", `{"name":"a","name":"b"}`)
	f.Add("7", `{"name":null,"tags":null,"words":null,"number":null}`)
	f.Add("7", `{"name":"e\u0323\u0302 \ud800"}`)
	f.Add("7", strings.Repeat(`{"within":`, 400)+strings.Repeat(`}`, 400))
	f.Add("7", "\xef\xbb\xbf{}")
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		f.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	var got *everything
	api := &API{
		Title: "Test", Version: "1", Now: func() time.Time { now = now.Add(time.Second); return now },
		Authenticate: func(context.Context, string) (Operator, error) {
			return Operator{ID: "1", Roles: []Role{Service}}, nil
		},
		Audit: func(context.Context, string, string, string) error { return nil },
	}
	mux := web.NewMux(web.Options{Lang: cat})
	err = Handle(api, Operation{Method: "POST", Path: "/api/t/{id}", ID: "take", Tag: "t", Summary: "s", Roles: []Role{Service}, Act: "t.take", MaxBody: 64 << 10},
		func(_ context.Context, in everything) (everything, error) {
			got = &in
			return in, nil
		})
	if err != nil {
		f.Fatal(err)
	}
	if err := api.Mount(mux, "/api/t/openapi.json"); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, target, body string) {
		r, err := http.NewRequest(http.MethodPost, "http://node.vn/api/t/"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1234"
		r.Header.Set("Authorization", "Bearer key")
		r.Header.Set("Content-Type", "application/json")
		got = nil
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%q with %q = %d %s; want the caller's fault", target, body, w.Code, w.Body)
		}
		if (got != nil) != (w.Code == http.StatusOK) {
			t.Fatalf("%q with %q = %d, handler called: %v", target, body, w.Code, got != nil)
		}
		if got == nil {
			return
		}
		if !cleanText(got.ID) || !cleanText(got.Name) || got.Name != i18n.NFC(got.Name) {
			t.Errorf("texts %q %q reached the handler", got.ID, got.Name)
		}
		if got.Kind != "" && got.Kind != "full" && got.Kind != "digest" && got.Kind != "off" {
			t.Errorf("kind %q reached the handler", got.Kind)
		}
	})
}
