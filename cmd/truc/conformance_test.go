package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConformanceSaysWhatIsWrong(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		w.Write([]byte("<html>"))
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	getenv := func(string) string { return "" }
	err := run(t.Context(), []string{"conformance", "-url", srv.URL, "-system", "vidu.01", "-secret-file", file}, getenv, &out, &errs)
	if err == nil || !strings.Contains(out.String(), "FAIL  getAgenciesList lists agencies: status 502") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := run(t.Context(), []string{"conformance"}, getenv, &out, &errs); err == nil || !strings.Contains(errs.String(), "usage: truc conformance") {
		t.Errorf("without arguments: %v %s", err, errs.String())
	}
}
