package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestServicesCommand holds the command to what it sends to the node; that the node understands it is the business of
// the node's own test of the same operations.
func TestServicesCommand(t *testing.T) {
	var got []string
	var sent map[string]any
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		b, _ := io.ReadAll(r.Body)
		sent = nil
		_ = json.Unmarshal(b, &sent)
		switch {
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, `{"items":[{"code":"weather/stations","kind":"OPENAPI3","disabled":true,"notice":"Bảo trì","ends_at":"2027-06-30T17:00:00Z","backend":{"url":"https://b"},"endpoints":[{"method":"GET","path":"/a"}]}]}`)
		case strings.HasSuffix(r.URL.Path, "/drafts"):
			_, _ = io.WriteString(w, `{"draft":"D","version":7,"changes":[{"where":"GET /a","text":"điểm gọi bị bỏ","breaking":true}],"lost_rights":[{"consumer":"VN/GOV/H36/x","method":"GET","path":"/a"}]}`)
		case strings.HasSuffix(r.URL.Path, "/test"):
			_, _ = io.WriteString(w, `{"items":[{"name":"dns","ok":true,"text":"có"},{"name":"tcp","ok":false,"text":"đóng","ms":3}]}`)
		case strings.HasSuffix(r.URL.Path, "able"), strings.HasSuffix(r.URL.Path, "/rights"), r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = io.WriteString(w, `{"code":"weather/stations","endpoints":[{"method":"GET","path":"/a/*"}]}`)
		}
	}))
	t.Cleanup(node.Close)
	dir := t.TempDir()
	key, file := filepath.Join(dir, "key"), filepath.Join(dir, "stations.yaml")
	if err := os.WriteFile(key, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("openapi: 3.1.0"), 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(args ...string) (string, error) {
		var out, errout bytes.Buffer
		got = nil
		err := run(context.Background(), append([]string{"services"}, append(args, "-url", node.URL, "-key-file", key)...), func(string) string { return "" }, &out, &errout)
		return out.String(), err
	}
	for _, tt := range []struct {
		args    []string
		request string
		sent    string
		out     string
		fails   bool
	}{
		{[]string{"list"}, "GET /api/exchange/publications", "", "off: Bảo trì, until 2027-06-30", false},
		{[]string{"publish", file, "-code", "weather/stations", "-backend", "https://b/api", "-public"}, "POST /api/exchange/publications", `"document":"openapi: 3.1.0"`, "GET /a/*", false},
		{[]string{"publish", "https://x.example/a.json", "-code", "weather/stations", "-backend", "https://b"}, "POST /api/exchange/publications", `"address":"https://x.example/a.json"`, "1 endpoints", false},
		{[]string{"refresh", "weather/stations", file, "-yes"}, "POST /api/exchange/publications/weather/stations/refresh", `"draft":"D","version":7`, "! GET /a: điểm gọi bị bỏ\n! right ends: VN/GOV/H36/x GET /a", false},
		{[]string{"disable", "weather/stations", "Bảo trì"}, "POST /api/exchange/publications/weather/stations/disable", `"notice":"Bảo trì"`, "disabled", false},
		{[]string{"enable", "weather/stations"}, "POST /api/exchange/publications/weather/stations/enable", "{}", "enabled", false},
		{[]string{"test", "weather/stations"}, "POST /api/exchange/publications/weather/stations/test", "{}", "FAILED tcp", true},
		{[]string{"disable", "weather/stations"}, "", "", "", true},
		{[]string{"end", "weather/stations", "2027-06-30"}, "POST /api/exchange/publications/weather/stations/end", `{"ends_at":1814374800}`, "ends 2027-06-30", false},
		{[]string{"end", "weather/stations", "never"}, "POST /api/exchange/publications/weather/stations/end", `{"ends_at":0}`, "ends never", false},
		{[]string{"end", "weather/stations", "30/6"}, "", "", "", true},
		{[]string{"rights", "weather/stations", "-add", "VN/GOV/H36/x", "-method", "GET", "-path", "/a", "-activities", "a,b"}, "GET /api/exchange/publications/weather/stations", "", "Nobody may call it", false},
		{[]string{"rights", "weather/stations", "-add", "VN/GOV/H36/x", "-remove", "VN/GOV/H36/y"}, "", "", "", true},
		{[]string{"delete", "weather/stations"}, "DELETE /api/exchange/publications/weather/stations", "", "deleted", false},
		{[]string{"dance"}, "", "", "", true},
	} {
		out, err := do(tt.args...)
		if (err != nil) != tt.fails || !strings.Contains(out, tt.out) {
			t.Errorf("%v: %v\n%s", tt.args, err, out)
		}
		if tt.request == "" {
			if len(got) > 0 {
				t.Errorf("%v: asked %v", tt.args, got)
			}
			continue
		}
		if len(got) == 0 || got[len(got)-1] != tt.request+" Bearer secret" {
			t.Errorf("%v: asked %q; want %q", tt.args, got, tt.request)
		}
		if b, _ := json.Marshal(sent); tt.sent != "" && !bytes.Contains(b, []byte(tt.sent)) {
			t.Errorf("%v: sent %s; want %s", tt.args, b, tt.sent)
		}
	}
}
