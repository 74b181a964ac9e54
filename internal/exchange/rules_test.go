package exchange

import (
	"testing"

	"truc/internal/orgcode"
)

func TestRules(t *testing.T) {
	rs, err := compileRules([]Rule{
		{Consumer: "VN/GOV/*/onestop", Service: "population/person", Methods: []string{"POST"}, Path: "/query", Activities: []string{"prefill"}},
		{Consumer: "VN/GOV/G22/oversight", Service: "VN/GOV/G01/population/usage"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		consumer, service, method, path, activity string
		ok, activityOnly                          bool
	}{
		{"VN/GOV/H36/onestop", "person", "POST", "/query", "prefill", true, false},
		{"VN/GOV/H57/onestop", "person", "POST", "/query", "prefill", true, false},
		{"VN/GOV/H36/onestop", "person", "POST", "/query", "other", false, true},
		{"VN/GOV/H36/onestop", "person", "POST", "/query/", "prefill", false, false},
		{"VN/GOV/H36/onestop", "person", "GET", "/query", "prefill", false, false},
		{"VN/GOV/H36/portal", "person", "POST", "/query", "prefill", false, false},
		{"VN/COM/H36/onestop", "person", "POST", "/query", "prefill", false, false},
		{"XX/GOV/H36/onestop", "person", "POST", "/query", "prefill", false, false},
		{"VN/GOV/G22/oversight", "usage", "GET", "", "", true, false},
		{"VN/GOV/G22/oversight", "person", "POST", "/query", "prefill", false, false},
	} {
		c, err := orgcode.ParseSubsystem(tt.consumer)
		if err != nil {
			t.Fatal(err)
		}
		s := orgcode.Service{Instance: "VN", Class: "GOV", Member: "G01", Subsystem: "population", Code: tt.service}
		if ok, only := rs.allows(c, s, tt.method, tt.path, tt.activity); ok != tt.ok || only != tt.activityOnly {
			t.Errorf("allows(%+v) = %v, %v", tt, ok, only)
		}
	}
	for _, bad := range []Rule{
		{Consumer: "VN/GOV/H36", Service: "a/b"},
		{Consumer: "VN/GOV/H36/*", Service: "a/b"},
		{Consumer: "*/GOV/H36/x", Service: "a/b"},
		{Consumer: "VN/GOV/H36/x", Service: "a"},
		{Consumer: "", Service: "a/b"},
	} {
		if _, err := compileRules([]Rule{bad}); err == nil {
			t.Errorf("rule %+v is accepted", bad)
		}
	}
}
