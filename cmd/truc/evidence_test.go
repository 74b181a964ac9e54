package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"truc/internal/exchange"
)

// TestServicesSet changes a published service of a running node, one parameter at a time; what is not named stays.
func TestServicesSet(t *testing.T) {
	center, _ := newCenter(t)
	center.write("api.yaml", "openapi: 3.1.0\ninfo: {title: Trạm đo, version: \"1\"}\npaths:\n  /now:\n    get:\n      responses:\n        '200': {description: ok}\n")
	center.must("services", "publish", "api.yaml", "-code", "office/stations", "-name", "Trạm đo", "-backend", "http://127.0.0.1:9/v1", "-plain-http", "-personal")
	get := func() (p struct {
		Name             map[string]string
		Personal, Public bool
		Bodies, Verify   string
		AsyncOnly        bool `json:"async_only"`
		Backend          struct {
			URL            string
			TimeoutSeconds int    `json:"timeout_seconds"`
			PlainHTTP      bool   `json:"plain_http"`
			ServerName     string `json:"server_name"`
		}
		Endpoints []exchange.Endpoint
	},
	) {
		t.Helper()
		r := nodeAsk(t, center, "/api/exchange/publications/office/stations")
		if err := json.Unmarshal(r, &p); err != nil {
			t.Fatalf("%v: %s", err, r)
		}
		return p
	}
	if p := get(); !p.Personal || p.Public || !p.Backend.PlainHTTP || len(p.Endpoints) != 1 {
		t.Fatalf("published: %+v", p)
	}
	center.must("services", "set", "office/stations", "-timeout", "7")
	center.must("services", "set", "-name", "Trạm đo mưa", "office/stations", "-bodies", "full", "-verify", "before_forward", "-async-only")
	center.must("services", "set", "office/stations", "-public", "-personal=false", "-backend", "http://127.0.0.1:9/v2")
	p := get()
	if p.Name["vi"] != "Trạm đo mưa" || p.Personal || !p.Public || p.Bodies != "full" || p.Verify != "before_forward" || !p.AsyncOnly || p.Backend.URL != "http://127.0.0.1:9/v2" || p.Backend.TimeoutSeconds != 7 || !p.Backend.PlainHTTP || len(p.Endpoints) != 1 {
		t.Errorf("after three changes: %+v", p)
	}
	for _, args := range [][]string{
		{"services", "set", "office/stations", "-bodies", "some"},
		{"services", "set", "office/stations", "-plain-http=false"},
		{"services", "set", "office/none", "-timeout", "3"},
		{"services", "set"},
		{"services", "set", "office/stations", "-verify", "never"},
		{"services", "set", "office/stations", "-ca-pem", "nothing.pem"},
	} {
		if out, err := center.truc(args...); err == nil {
			t.Errorf("truc %s went through: %s", strings.Join(args, " "), out)
		}
	}
	if q := get(); q.Backend != p.Backend || q.Bodies != "full" {
		t.Errorf("what was refused changed something: %+v", q)
	}
}

// TestEvidenceCommands fetches the evidence of an exchange from a running node and checks it offline, and keeps the node's
// log in order.
func TestEvidenceCommands(t *testing.T) {
	center, url := newCenter(t)
	key := filepath.Join(center.dir, "data", "keys", "operator.key")
	nodeDo(t, center, "POST", "/api/exchange/test/target", `{"target":"VN/GOV/G22"}`) // calls itself, signed and logged
	var list struct {
		Items []struct {
			ExchangeID string `json:"exchange_id"`
		}
	}
	if err := json.Unmarshal(nodeAsk(t, center, "/api/exchange/messages"), &list); err != nil || len(list.Items) == 0 {
		t.Fatalf("%v %+v", err, list)
	}
	id := list.Items[0].ExchangeID
	out := center.must("evidence", "export", id, "-node", url, "-key-file", key, "-o", "proof.zip", "-persons", "-bodies")
	if !strings.Contains(out, "proof.zip") {
		t.Errorf("export: %s", out)
	}
	if left, _ := filepath.Glob(filepath.Join(center.dir, "proof.zip.*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	out = center.must("verify", "proof.zip", "-lang", "en")
	if !strings.Contains(out, id) || !strings.Contains(out, "good") || strings.Contains(out, "bad") {
		t.Errorf("verify: %s", out)
	}
	if out, err := center.truc("verify", "proof.zip", "-anchor", strings.Repeat("A", 43)); err == nil {
		t.Errorf("verified under another anchor: %s", out)
	}
	b, err := os.ReadFile(filepath.Join(center.dir, "proof.zip"))
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	center.write("bad.zip", string(b))
	if out, err := center.truc("verify", "bad.zip"); err == nil {
		t.Errorf("a changed package passes: %s", out)
	}
	for _, args := range [][]string{
		{"evidence", "export", "nothing", "-node", url, "-key-file", key, "-o", "none.zip"},
		{"evidence", "export", id, "-node", url, "-o", "none.zip"},
		{"evidence", "export", "-node", url, "-key-file", key, "-o", "none.zip"},
		{"evidence", "archive"}, // no folder is configured
		{"evidence", "prune", "-older-than-days", "3"},
		{"evidence", "prune", "-older-than-days", "0", "-policy", "x"},
		{"evidence", "prune", "-log", "audit", "-older-than-days", "3", "-policy", "x"},
		{"evidence", "verify-log", "-log", "other"},
	} {
		if out, err := center.truc(args...); err == nil {
			t.Errorf("truc %s went through: %s", strings.Join(args, " "), out)
		}
	}
	if _, err := os.Stat(filepath.Join(center.dir, "none.zip")); err == nil {
		t.Error("a refused export left a file")
	}
	for verb, want := range map[string]string{"files": "entries, from 0 on", "verify-log": "as they were signed", "prune": "entries from 0 on"} {
		args := []string{"evidence", verb}
		if verb == "prune" {
			args = append(args, "-older-than-days", "3650", "-policy", "Quyết định 12/QĐ-UBND")
		}
		if out := center.must(args...); !strings.Contains(out, want) {
			t.Errorf("%s: %s; want %q", verb, out, want)
		}
	}
	if out := center.must("evidence", "verify-log", "-log", "audit"); !strings.Contains(out, "as they were signed") {
		t.Errorf("audit log: %s", out)
	}
}

// nodeAsk reads from the management interface of a machine's node with the key in its data folder.
func nodeAsk(t *testing.T, m *machine, path string) []byte { return nodeDo(t, m, "GET", path, "") }

func nodeDo(t *testing.T, m *machine, method, path, body string) []byte {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(m.dir, "data", "keys", "operator.key"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(m.dir, "truc.toml"))
	if err != nil {
		t.Fatal(err)
	}
	listen := regexp.MustCompile(`listen = "([^"]+)"`).FindSubmatch(config)
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+string(listen[1])+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s = %s %s %v", method, path, res.Status, b, err)
	}
	return b
}
