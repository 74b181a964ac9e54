package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMetrics starts a node and asks for its figures: on the listener of its own freely, elsewhere with a key.
func TestMetrics(t *testing.T) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	dir := t.TempDir()
	for _, role := range []string{"observer", "service"} {
		cfg.Exchange.Operators = append(cfg.Exchange.Operators, OperatorKeyConfig{File: filepath.Join(dir, role), Roles: []string{role}})
	}
	cfg.Exchange.Keys = []EdgeKeyConfig{{Subsystem: cfg.subsystems()[0], Label: "p", File: filepath.Join(dir, "program")}}
	cfg.Telemetry.MetricsListen = freeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	node, err := Start(ctx, Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	defer func() { cancel(); <-done }()
	<-node.Ready()
	ask := func(url, key string) (int, string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			b, err := os.ReadFile(filepath.Join(dir, key))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(b)))
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	for key, want := range map[string]int{"": 401, "service": 403, "program": 403, "observer": 200} {
		if got, body := ask(cfg.Web.URL+"/metrics", key); got != want || want != 200 && strings.Contains(body, "truc_") {
			t.Errorf("/metrics with the key %q = %d %s; want %d", key, got, body, want)
		}
	}
	if status, _ := ask(cfg.Web.URL+"/api/exchange/records", "program"); status != 200 {
		t.Errorf("records for a program = %d; want 200", status)
	}
	if status, _ := ask(cfg.Web.URL+"/api/exchange/records?client=VN/GOV/G01/other", "program"); status != 403 {
		t.Errorf("records of another for a program = %d; want 403", status)
	}
	if status, body := ask(cfg.Web.URL+"/status", ""); status != http.StatusOK || !strings.Contains(body, `"name":"signing_key","light":"good"`) || strings.Contains(body, dir) {
		t.Errorf("/status = %d %s", status, body)
	}
	if status, body := ask(cfg.Web.URL+"/readyz", ""); status != http.StatusOK || !strings.Contains(body, `"causes":[]`) {
		t.Errorf("/readyz = %d %s", status, body)
	}
	status, body := ask("http://"+cfg.Telemetry.MetricsListen+"/metrics", "")
	if status != http.StatusOK {
		t.Fatalf("own listener = %d", status)
	}
	for _, name := range []string{
		"truc_directory_age_seconds", "truc_directory_level", "truc_directory_waiting", "truc_certificate_days_left", "truc_exchange_log_entries", "truc_exchange_in_flight",
		"truc_outbox_messages", "process_resident_memory_bytes", "process_open_fds", "go_goroutines", "truc_log_free_bytes", "truc_log_commits_total", "truc_log_committed_entries_total", "truc_log_commit_wait_seconds_total",
	} {
		if !strings.Contains(body, "\n"+name) {
			t.Errorf("%s is missing in\n%s", name, body)
		}
	}
}

func TestTelemetryConfig(t *testing.T) {
	for listen, good := range map[string]bool{"": true, "127.0.0.1:9464": true, "[::1]:9464": true, "0.0.0.0:9464": false, ":9464": false, "192.0.2.1:9464": false, "localhost": false} {
		if got := len((&TelemetryConfig{MetricsListen: listen}).check()) == 0; got != good {
			t.Errorf("metrics_listen %q accepted: %v; want %v", listen, got, good)
		}
	}
	if len((&TelemetryConfig{OTLPEndpoint: "collector:4318"}).check()) == 0 {
		t.Error("an endpoint without a scheme was accepted")
	}
}
