package app

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// X2, X5: a rule for a group, made at the management interface of a running node, holds at the next call, and no longer
// when the member or the rule is gone. (A member calls its own service here: the path through edge, rules and link is the same.)
func TestManagedRules(t *testing.T) {
	p := newPublishing(t)
	manage := func(method, path string, in any, want int) string {
		t.Helper()
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		status, _, body := p.ask(method, "/api/exchange"+path, map[string]string{"Authorization": "Bearer " + p.operator, "Content-Type": "application/json"}, bytes.TrimPrefix(b, []byte("null")))
		if status != want {
			t.Fatalf("%s %s = %d %s; want %d", method, path, status, body, want)
		}
		return body
	}
	call := func(want int) {
		t.Helper()
		if status, _, body := p.call("DELETE", "weather/stations/stations/DL-01"); status != want {
			t.Errorf("the call = %d %s; want %d", status, body, want)
		}
	}
	call(403)
	group := func(members ...string) {
		t.Helper()
		manage("PUT", "/groups/weather/partners", map[string]any{"name": "Đối tác", "members": append([]string{}, members...)}, 204)
	}
	group("VN/GOV/G22/field")
	call(403) // a group alone gives nothing
	var made struct{ ID string }
	rule := map[string]any{"consumer": "group:weather/partners", "service": "weather/stations", "methods": []string{"DELETE"}, "path": "/stations/*", "basis": "Điều 5"}
	if err := json.Unmarshal([]byte(manage("POST", "/rules", rule, 201)), &made); err != nil || made.ID == "" {
		t.Fatalf("%v %+v", err, made)
	}
	call(200)
	list := manage("GET", "/rules", nil, 200)
	for _, want := range []string{`"origin":"configuration"`, `"origin":"managed"`, made.ID, "Điều 5"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %s: %s", want, list)
		}
	}
	group("VN/GOV/H36/onestop")
	call(403)
	group("VN/GOV/G22/field")
	call(200)
	manage("POST", "/rules", map[string]any{"consumer": "x", "service": "weather/stations"}, 400)
	manage("DELETE", "/groups/weather/partners", nil, 409)
	manage("DELETE", "/rules/"+made.ID, nil, 204)
	call(403)
	manage("DELETE", "/rules/"+made.ID, nil, 404)
	manage("DELETE", "/groups/weather/partners", nil, 204)
	if status, _, _ := p.call("GET", "weather/stations/stations/DL-01"); status != 200 {
		t.Errorf("the rule of the configuration is gone: %d", status)
	}
}
