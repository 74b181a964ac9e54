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
	"time"

	"truc/internal/web/manage"
)

// TestManagement starts a node and holds every operation of its management interface to the document it serves: who
// may, what is refused, and what the operations that only read answer.
func TestManagement(t *testing.T) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	dir := t.TempDir()
	// The roles of all, in keys of one role each.
	for _, role := range manage.Roles() {
		cfg.Exchange.Operators = append(cfg.Exchange.Operators, OperatorKeyConfig{File: filepath.Join(dir, string(role)), Roles: []string{string(role)}})
	}
	ctx, cancel := context.WithCancel(t.Context())
	node, err := Start(ctx, Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	defer func() { cancel(); <-done }()
	<-node.Ready()

	keys := map[string]string{"": ""}
	for _, role := range manage.Roles() {
		b, err := os.ReadFile(filepath.Join(dir, string(role)))
		if err != nil {
			t.Fatal(err)
		}
		keys[string(role)] = strings.TrimSpace(string(b))
	}
	ask := func(method, path, role string) (int, string, []byte) {
		req, err := http.NewRequestWithContext(ctx, method, cfg.Web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if keys[role] != "" {
			req.Header.Set("Authorization", "Bearer "+keys[role])
		}
		for {
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusTooManyRequests {
				return resp.StatusCode, resp.Header.Get("Content-Type"), b
			}
			time.Sleep(60 * time.Millisecond) // the interface answers twenty a second
		}
	}
	status, _, raw := ask("GET", "/api/exchange/openapi.json", "")
	doc, err := manage.ReadDocument(raw)
	if status != http.StatusOK || err != nil {
		t.Fatalf("the document = %d, %v", status, err)
	}
	if len(doc.Operations()) < 8 {
		t.Errorf("the document describes %d operations", len(doc.Operations()))
	}
	for id, op := range doc.Operations() {
		path := op.Path
		for strings.Contains(path, "{") {
			before, rest, _ := strings.Cut(path, "{")
			_, after, _ := strings.Cut(rest, "}")
			path = before + "nothing" + after
		}
		check := func(role string, want func(int) bool, what string) {
			status, kind, body := ask(op.Method, path, role)
			if !want(status) {
				t.Errorf("%s (%s %s) with the key of %q = %d; want %s", id, op.Method, path, role, status, what)
			}
			if err := doc.CheckAnswer(id, status, kind, body); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		check("", func(s int) bool { return s == 401 }, "401")
		for _, role := range []string{"security", "registration", "service", "system"} {
			if !slices.Contains(op.Roles, role) {
				check(role, func(s int) bool { return s == 403 }, "403")
				break
			}
		}
		if op.Method == http.MethodGet {
			check(op.Roles[0], func(s int) bool {
				return s == 200 || strings.Contains(op.Path, "{") && s == 404 || s == 400 || s == 503
			}, "an answer")
		} else {
			check("observer", func(s int) bool { return slices.Contains(op.Roles, "observer") || s == 403 }, "403: an observer changes nothing")
		}
	}
}
