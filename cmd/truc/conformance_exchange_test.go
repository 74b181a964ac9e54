package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestConformanceOfTheExchange(t *testing.T) {
	var shown atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") == "secret" {
			shown.Add(1)
		}
		// It answers every request alike, which a malformed one deserves.
		w.Header().Set("X-Road-Error", "client.bad_request")
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"type":"client.bad_request","message":"whatever it says","detail":"1d0b4b6c-7f0a-4c55-9a43-2f6f1f0f9a11"}`))
	}))
	defer srv.Close()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(string) string { return "" }
	args := []string{"conformance", "exchange", "-url", srv.URL, "-client", "VN/GOV/H36/onestop", "-service", "VN/GOV/G01/lab/suite", "-key-file", key}
	var out, errs bytes.Buffer
	err := run(t.Context(), args, getenv, &out, &errs)
	for _, want := range []string{"ok    R1-URL-01 fewer than five segments", "FAIL  R1-URL-06 a method", "x-road-error is", "n/a   R1-URL-02 no path: the service path is empty: needs the suite's own service", "cases passed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if shown.Load() == 0 {
		t.Error("the key was never shown")
	}
	if err == nil {
		t.Error("a server that answers everything alike conforms")
	}
	out.Reset()
	if err := run(t.Context(), append(args, "-json"), getenv, &out, &errs); err == nil {
		t.Error("the same in JSON conforms")
	}
	outcomes := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var r struct{ Check, Name, Outcome, Why string }
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Name == "" {
			t.Fatalf("%s: %v", line, err)
		}
		outcomes[r.Outcome]++
	}
	if outcomes["pass"] == 0 || outcomes["fail"] == 0 || outcomes["not-applicable"] == 0 || len(outcomes) != 3 {
		t.Errorf("outcomes = %v", outcomes)
	}
	for _, bad := range [][]string{{}, {"-url", srv.URL}, {"-url", srv.URL, "-client", "x", "-service", "y"}, {"-url", srv.URL, "-client", "a/b/c/d", "-service", "a/b/c/d/e", "-listen", "nowhere:-1"}} {
		if err := run(t.Context(), append([]string{"conformance", "exchange"}, bad...), getenv, &out, &errs); err == nil {
			t.Errorf("%q was played", bad)
		}
	}
}
