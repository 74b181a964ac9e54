package app

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/exchange"
)

const stationsDocument = `openapi: 3.0.3
info: {title: Stations, version: "1"}
servers: [{url: "https://inner.example/api"}]
paths:
  /stations/{id}: {get: {responses: {200: {description: ok}}}, delete: {responses: {204: {description: ok}}}}
`

// publishing is a node with a back end behind TLS, a program of the agency and an operator.
type publishing struct {
	t        *testing.T
	cfg      *Config
	node     *Node
	program  string
	operator string
	got      []string
}

func newPublishing(t *testing.T) *publishing {
	t.Helper()
	p := &publishing{t: t}
	backend := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.got = append(p.got, r.Method+" "+r.RequestURI+" "+r.Header.Get("X-Road-Client"))
		_, _ = io.WriteString(w, `{"level":2.5}`)
	}))
	t.Cleanup(backend.Close)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: backend.Certificate().Raw})
	p.cfg = alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	p.cfg.Exchange = ExchangeConfig{
		Publish:    []PublishConfig{{Code: "weather/stations", File: file("stations.yaml", stationsDocument), Backend: backend.URL + "/api", CAFile: file("ca.pem", string(ca)), Public: true}},
		Subsystems: []string{"field"},
		Rules:      []exchange.Rule{{Consumer: "VN/GOV/G22/field", Service: "weather/stations", Methods: []string{"GET"}, Path: "/stations/*"}},
		Keys:       []EdgeKeyConfig{{Subsystem: "VN/GOV/G22/field", Label: "test", File: filepath.Join(dir, "program")}},
		Operators:  []OperatorKeyConfig{{File: filepath.Join(dir, "operator"), Roles: []string{"service"}}},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var err error
	if p.node, err = Start(ctx, Options{Config: p.cfg, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.node.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	<-p.node.Ready()
	for name, to := range map[string]*string{"program": &p.program, "operator": &p.operator} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		*to = strings.TrimSpace(string(b))
	}
	return p
}

func (p *publishing) ask(method, path string, header map[string]string, body []byte) (int, http.Header, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.cfg.Web.URL+path, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// call is a program of the agency at the edge.
func (p *publishing) call(method, path string) (int, http.Header, string) {
	p.t.Helper()
	return p.ask(method, "/r1/VN/GOV/G22/"+path, map[string]string{"X-Road-Client": "VN/GOV/G22/field", "X-Api-Key": p.program, "Truc-Mode": "native"}, nil)
}

// manage is an operator at the management interface.
func (p *publishing) manage(method, path string, in, out any) int {
	p.t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		p.t.Fatal(err)
	}
	status, _, body := p.ask(method, "/api/exchange/publications"+path, map[string]string{"Authorization": "Bearer " + p.operator, "Content-Type": "application/json"}, b)
	if status >= 400 {
		p.t.Logf("%s %s = %d %s", method, path, status, body)
	}
	if out != nil && status < 300 {
		if err := json.Unmarshal([]byte(body), out); err != nil {
			p.t.Fatalf("%v: %s", err, body)
		}
	}
	return status
}

// X3, X4, X7, X8, DISC: a service of a declared file is called over the exchange, refreshed with a diff, switched off with
// a notice and on; a second one is published while the node runs, and the directory knows it.
func TestPublishedService(t *testing.T) {
	p := newPublishing(t)
	status, h, body := p.call("GET", "weather/stations/stations/DL-01%20a?from=2026-11-01&x=%2F")
	if status != 200 || body != `{"level":2.5}` || h.Get("X-Road-Service") != "VN/GOV/G22/weather/stations" {
		t.Fatalf("the call = %d %s %v", status, body, h)
	}
	if p.got[0] != "GET /api/stations/DL-01%20a?from=2026-11-01&x=%2F VN/GOV/G22/field" {
		t.Errorf("the back end got %q", p.got[0])
	}
	if status, h, _ = p.call("DELETE", "weather/stations/stations/DL-01"); status != 403 || h.Get("X-Road-Error") != "server.serverproxy.access_denied" || len(p.got) != 1 {
		t.Errorf("an endpoint without a right = %d %v; the back end got %v", status, h, p.got)
	}
	if status, _, body = p.call("GET", "weather/getOpenAPI?serviceCode=stations"); status != 200 || strings.Contains(body, "inner") || !strings.Contains(body, "/stations/{id}") {
		t.Errorf("getOpenAPI = %d %s", status, body)
	}
	if status, _, body = p.call("GET", "weather/listMethods"); !strings.Contains(body, `"path":"/stations/*"`) || !strings.Contains(body, `"service_type":"OPENAPI"`) {
		t.Errorf("listMethods = %d %s", status, body)
	}

	if status := p.manage("POST", "/weather/stations/disable", map[string]string{"notice": "Bảo trì đến 06:00"}, nil); status != 204 {
		t.Fatalf("disable = %d", status)
	}
	status, h, body = p.call("GET", "weather/stations/stations/DL-01")
	if status != 503 || h.Get("X-Road-Error") != "server.serverproxy.service_disabled" || !strings.Contains(body, "Bảo trì đến 06:00") || h.Get("Retry-After") == "" {
		t.Errorf("a disabled service = %d %v %s", status, h, body)
	}
	if status := p.manage("POST", "/weather/stations/enable", struct{}{}, nil); status != 204 {
		t.Fatalf("enable = %d", status)
	}
	if status, _, _ = p.call("GET", "weather/stations/stations/DL-01"); status != 200 {
		t.Errorf("after enabling = %d", status)
	}
	if status := p.manage("DELETE", "/weather/stations", struct{}{}, nil); status != 409 {
		t.Errorf("deleting what the configuration declares = %d", status)
	}

	// Published while the node runs.
	in := map[string]any{"code": "field/levels", "name": map[string]string{"vi": "Mực nước"}, "public": true, "document": stationsDocument, "backend": map[string]any{"url": "http://127.0.0.1:9", "plain_http": true, "timeout_seconds": 2, "connect_seconds": 1}}
	if status := p.manage("POST", "", in, nil); status != 201 {
		t.Fatalf("publish = %d", status)
	}
	in["backend"] = map[string]any{"url": "ftp://x"}
	in["code"] = "field/other"
	if status := p.manage("POST", "", in, nil); status != 400 {
		t.Errorf("a wrong back end = %d", status)
	}
	p.until("the directory knows the new service", func() bool {
		_, ok := p.node.follower.Document().Service("VN/GOV/G22/field/levels")
		return ok
	})
	if status := p.manage("POST", "/field/levels/rights", map[string]any{"consumer": "VN/GOV/G22/field", "method": "GET", "path": "/stations/*", "basis": "Điều 3"}, nil); status != 204 {
		t.Fatalf("right = %d", status)
	}
	if status, h, _ = p.call("GET", "field/levels/stations/1"); status != 502 || h.Get("X-Road-Error") != "server.serverproxy.service_failed.network_error" {
		t.Errorf("a back end that is down = %d %v", status, h)
	}
	var prop struct {
		Draft   string
		Version int64
		Changes []struct {
			Where, Text string
			Breaking    bool
		}
		LostRights []struct{ Consumer string } `json:"lost_rights"`
	}
	next := strings.Replace(stationsDocument, "/stations/{id}", "/posts/{id}", 1)
	if status := p.manage("POST", "/field/levels/drafts", map[string]string{"document": next}, &prop); status != 201 || len(prop.Changes) != 4 || len(prop.LostRights) != 1 || prop.Changes[0].Text == "" {
		t.Fatalf("proposal = %d %+v", status, prop)
	}
	if status := p.manage("POST", "/weather/stations/refresh", map[string]any{"draft": prop.Draft, "version": prop.Version}, nil); status != 404 {
		t.Errorf("a draft of another service = %d", status)
	}
	if status := p.manage("POST", "/field/levels/refresh", map[string]any{"draft": prop.Draft, "version": prop.Version}, nil); status != 200 {
		t.Fatalf("refresh = %d", status)
	}
	if status, _, _ = p.call("GET", "field/levels/stations/1"); status != 403 {
		t.Errorf("a right to what is gone = %d", status)
	}
	var steps struct {
		Items []struct {
			Name, Text string
			OK         bool
		}
	}
	if status := p.manage("POST", "/field/levels/test", struct{}{}, &steps); status != 200 || len(steps.Items) != 2 || steps.Items[1].OK || steps.Items[1].Text == "" {
		t.Errorf("the test of the back end = %d %+v", status, steps)
	}
	if status := p.manage("DELETE", "/field/levels", struct{}{}, nil); status != 204 {
		t.Fatalf("delete = %d", status)
	}
	p.until("the directory forgot the service", func() bool {
		_, ok := p.node.follower.Document().Service("VN/GOV/G22/field/levels")
		return !ok
	})
}

func (p *publishing) until(what string, ok func() bool) {
	p.t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatal("not in 30 s: " + what)
}
