package app

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"truc/internal/i18n"
	"truc/internal/services"
)

// TestModulesStartAlone starts each row of the module table with nothing but what it needs.
func TestModulesStartAlone(t *testing.T) {
	for i, m := range modules {
		t.Run(m.name, func(t *testing.T) {
			for _, need := range m.needs {
				if !slices.ContainsFunc(modules[:i], func(r module) bool { return r.name == need }) {
					t.Errorf("the row needs %s, which is no earlier row", need)
				}
			}
			cfg := alone(t, with(m))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			node, err := Start(ctx, Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- node.Run(ctx) }()
			select {
			case <-node.Ready():
			case err := <-done:
				t.Fatalf("the node ended: %v", err)
			}
			for _, path := range []string{"/healthz", "/readyz"} {
				if status, body := fetch(t, cfg.Web.URL+path); status != http.StatusOK {
					t.Errorf("%s answered %d %s", path, status, body)
				}
			}
			if status, _ := fetch(t, cfg.Web.URL+"/no-such-page"); status != http.StatusNotFound {
				t.Errorf("an unknown page answered %d", status)
			}
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the node ended with %v", err)
			}
		})
	}
}

// TestModulesNeedTheirs refuses a row whose needs do not run in the process, before anything serves.
func TestModulesNeedTheirs(t *testing.T) {
	for _, m := range modules {
		if len(m.needs) == 0 {
			continue
		}
		node, err := Start(t.Context(), Options{Config: alone(t, []string{m.name}), Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			t.Errorf("module %s started without %v", m.name, m.needs)
			_ = node.close(t.Context())
		}
	}
}

// with returns the name of a row and of everything it needs, and that needs.
func with(m module) []string {
	var out []string
	for _, r := range modules {
		if slices.Contains(m.needs, r.name) {
			out = append(out, with(r)...)
		}
	}
	return append(out, m.name)
}

// alone is the configuration of a center with something for every row to do.
func alone(t *testing.T, names []string) *Config {
	t.Helper()
	dir := t.TempDir()
	c := &Config{
		Instance: "VN", Member: "G22", Name: i18n.Text{"vi": "Một mình", "en": "Alone"}, DataDir: filepath.Join(dir, "data"), Modules: names,
		Web: WebConfig{Listen: freeAddress(t)}, Link: LinkConfig{Listen: freeAddress(t)}, Directory: DirectoryConfig{Center: true},
		Identity:  IdentityConfig{Issuer: "http://127.0.0.1:1/idp", ClientID: "alone", Kinds: []string{"citizen", "officer"}},
		Registers: map[string]RegisterConfig{"population": {Service: "population/person", Seed: "synthetic:100"}},
		Desk:      DeskConfig{Enabled: true, Offers: []string{"2.000635"}, Units: []services.Office{{Code: "G22.14", Name: "Một cửa", Province: "68"}}},
		Portal:    PortalConfig{Enabled: true}, Sign: SignConfig{Development: true}, Oversight: OversightConfig{Enabled: true},
	}
	c.fillDefaults()
	if faults := c.Check(); len(faults) > 0 {
		t.Fatal(faults)
	}
	return c
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}
