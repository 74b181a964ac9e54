package exchangeapi

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi/r1test"
	"truc/internal/exchange/publication"
	"truc/internal/i18n"
)

// TestConformanceSuite plays the published suite as somebody else would: against the edge of a node that knows nothing of
// it, with the suite's own service published at another node.
func TestConformanceSuite(t *testing.T) {
	p := newPair(t)
	if err := p.consumer.store.AddKey(t.Context(), exchange.APIKey{ID: "1", Hash: HashKey("suite secret"), Subsystem: "VN/GOV/H36/onestop"}); err != nil {
		t.Fatal(err)
	}
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := &publication.Service{
		Store: p.provider.store, Drafts: p.provider.store, Host: p.provider.Service, Member: "VN/GOV/G01", SetRules: p.provider.SetRules, Announce: func() {},
		Audit: func(context.Context, string, string, string) error { return nil }, Fetcher: &publication.Fetcher{}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Identity: func() (*tls.Certificate, error) { return nil, errors.New("none") },
	}
	if err := own.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	service := publication.Published{
		Code: "population/suite", Name: i18n.Text{"vi": "Bộ kiểm thử"}, Backend: publication.Backend{URL: "http://" + backend.Addr().String() + r1test.BackendPath, PlainHTTP: true},
	}
	if err := own.Publish(t.Context(), service, ""); err != nil {
		t.Fatal(err)
	}
	if err := own.Grant(t.Context(), "population/suite", publication.Right{Consumer: "VN/GOV/H36/onestop", Method: "*", Path: "**"}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &Edge{Service: p.consumer.Service, Keys: p.consumer.store, Instance: "VN", Proofs: exchange.NewProofs(time.Now), Now: time.Now, Log: slog.New(slog.DiscardHandler), Evidence: testEvidence{p.consumer}}
	srv := e.Server(slog.New(slog.DiscardHandler))
	go func() { _ = srv.Serve(StrictListener(l)) }()
	defer srv.Close()
	target := r1test.Target{
		URL: &url.URL{Scheme: "http", Host: l.Addr().String()}, Client: "VN/GOV/H36/onestop", Key: "suite secret", Service: "VN/GOV/G01/population/suite",
		Listener: backend, All: true,
	}
	results, err := r1test.Run(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	passed := map[string]bool{}
	for _, r := range results {
		count[r.Outcome]++
		passed[r.Check] = passed[r.Check] || r.Outcome == r1test.Pass
		if r.Outcome == r1test.Fail {
			t.Errorf("%s %s\n%s", r.Section, r.Name, strings.Join(r.Faults, "\n"))
		}
		if r.Outcome == r1test.NotApplicable && r.Why == "" {
			t.Errorf("%s does not say why it is not applicable", r.Name)
		}
	}
	if count[r1test.Pass] < 90 {
		t.Errorf("%v: the suite plays too little", count)
	}
	for _, check := range []string{"R1-URL-01", "R1-URL-02", "R1-URL-03", "R1-URL-04", "R1-URL-05", "R1-URL-06", "R1-HDR-01", "R1-HDR-03", "R1-HDR-04", "R1-HDR-06", "R1-HDR-07", "R1-HDR-08", "R1-HASH-03", "R1-ERR-01", "R1-ERR-02", "R1-ERR-03", "R1-ERR-05", "R1-ERR-06", "R1-META-05", "R1-3XX-01"} {
		if !passed[check] {
			t.Errorf("%s was not played", check)
		}
	}
	target.Listener, target.All, target.Key = nil, false, ""
	if results, err = r1test.Run(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(results, func(r r1test.Result) bool {
		return r.Outcome == r1test.NotApplicable && strings.Contains(r.Why, "own service")
	}) {
		t.Error("without a service of its own the suite judges what services see")
	}
}

// TestConformanceSuiteFindsFaults plays the suite against servers that are not as programs need them.
func TestConformanceSuiteFindsFaults(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"another kind of server": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"errors without their header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json;charset=utf-8")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"type":"client.bad_request","message":"bad request","detail":"1d0b4b6c-7f0a-4c55-9a43-2f6f1f0f9a11"}`))
		},
		"one that hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		srv := httptest.NewServer(h)
		u, _ := url.Parse(srv.URL)
		results, err := r1test.Run(t.Context(), r1test.Target{URL: u, Client: "DEV/GOV/H07/ONESTOP", Key: "k", Service: "DEV/GOV/B02/CSDL/residents"})
		srv.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Outcome == r1test.Pass && r.Check != "" {
				t.Errorf("%s: %s passed", name, r.Name)
			}
		}
	}
	for _, target := range []r1test.Target{
		{},
		{URL: &url.URL{Scheme: "ftp", Host: "x"}, Client: "a/b/c/d", Service: "a/b/c/d/e"},
		{URL: &url.URL{Scheme: "http", Host: "x"}, Client: "a/b/c", Service: "a/b/c/d/e"},
		{URL: &url.URL{Scheme: "http", Host: "x"}, Client: "a/b/c/d", Service: "z/b/c/d/e"},
	} {
		if _, err := r1test.Run(t.Context(), target); err == nil {
			t.Errorf("%+v was played", target)
		}
	}
}
