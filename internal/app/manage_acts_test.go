package app

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestManagementActs edits a published service, its endpoints and rights, and the limits, by the interface with the key
// that the node made for the command line.
func TestManagementActs(t *testing.T) {
	p := newPublishing(t)
	b, err := os.ReadFile(p.node.path("keys", OperatorKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(b))
	ask := func(want int, method, path string, in any) string {
		t.Helper()
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		status, _, answer := p.ask(method, "/api/exchange"+path, map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json"}, body)
		if status != want {
			t.Errorf("%s %s = %d; want %d: %s", method, path, status, want, answer)
		}
		return answer
	}
	type obj = map[string]any
	backend := obj{"url": "http://127.0.0.1:9", "plain_http": true}
	ask(201, "POST", "/publications", obj{"code": "field/levels", "name": obj{"vi": "Mực nước"}, "backend": backend})
	const at = "/publications/field/levels"
	backend["timeout_seconds"] = 7
	if got := ask(200, "PUT", at, obj{"name": obj{"vi": "Mực nước sông"}, "personal": true, "backend": backend}); !strings.Contains(got, "Mực nước sông") || !strings.Contains(got, `"timeout_seconds":7`) {
		t.Errorf("edited: %s", got)
	}
	ask(400, "PUT", at, obj{"name": obj{"vi": "x"}, "backend": obj{"url": "ftp://x"}})
	ask(409, "PUT", "/publications/weather/stations", obj{"name": obj{"vi": "x"}, "backend": backend})
	ask(204, "POST", at+"/endpoints", obj{"method": "GET", "path": "/now"})
	ask(400, "POST", at+"/endpoints", obj{"method": "STEAL", "path": "/now"})
	ask(204, "POST", at+"/rights", obj{"consumer": "VN/GOV/G22/field", "method": "GET", "path": "/now"})
	ask(204, "POST", at+"/endpoints/remove", obj{"method": "GET", "path": "/now"})
	ask(404, "POST", at+"/endpoints/remove", obj{"method": "GET", "path": "/now"})
	if got := ask(200, "GET", at, nil); !strings.Contains(got, `"rights":[]`) {
		t.Errorf("the right outlived its endpoint: %s", got)
	}

	limit := obj{"consumer": "VN/GOV/G22/field", "service": "weather/stations", "rate": "", "burst": 0, "concurrent": 0, "bytes_per_second": 0, "daily": 1}
	ask(400, "PUT", "/limits", obj{"items": []obj{{"consumer": "nobody", "service": "", "rate": "x", "burst": 0, "concurrent": 0, "bytes_per_second": 0, "daily": 1}}})
	ask(204, "PUT", "/limits", obj{"items": []obj{limit}})
	if got := ask(200, "GET", "/limits", nil); !strings.Contains(got, `"daily":1`) {
		t.Errorf("limits: %s", got)
	}
	for i, want := range []int{200, 429} {
		if status, _, body := p.call("GET", "weather/stations/stations/DL-01"); status != want {
			t.Errorf("call %d under a limit of one a day = %d %s", i+1, status, body)
		}
	}
	if got := ask(200, "GET", "/limits/usage", nil); !strings.Contains(got, `"refused":1`) {
		t.Errorf("usage: %s", got)
	}
}
