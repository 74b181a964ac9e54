package exchange

import (
	"net/http"
	"testing"

	"truc/internal/orgcode"
)

// A group is its members of the moment and nobody else; one without members is nobody.
func TestRulesForGroups(t *testing.T) {
	rs, err := compileRules([]Rule{
		{Consumer: "group:population/partners", Service: "population/person", Methods: []string{"GET"}, Members: []string{"VN/GOV/H36/onestop"}},
		{Consumer: "global:provinces", Service: "population/levels", Members: nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	sub := func(member string) orgcode.Subsystem {
		return orgcode.Subsystem{Instance: "VN", Class: "GOV", Member: member, Code: "onestop"}
	}
	service := func(code string) orgcode.Service {
		return orgcode.Service{Instance: "VN", Class: "GOV", Member: "G01", Subsystem: "population", Code: code}
	}
	for _, tt := range []struct {
		member, service, method string
		want                    bool
	}{
		{"H36", "person", "GET", true}, {"H36", "person", "POST", false}, {"H57", "person", "GET", false}, {"H36", "levels", "GET", false},
	} {
		if got, _ := rs.allows(sub(tt.member), service(tt.service), tt.method, "/", ""); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
	if !rs.reaches(sub("H36"), service("person")) || rs.reaches(sub("H57"), service("person")) || rs.reaches(sub("H36"), service("levels")) {
		t.Error("reaches is wrong about groups")
	}
	if e := rs.endpoints(sub("H36"), service("person")); len(e) != 1 || e[0].Method != http.MethodGet {
		t.Errorf("endpoints: %v", e)
	}
	for _, bad := range []string{"group:", "group:a", "group:a/b/c", "group:health/a", "global:", "global:a/b", "group:population/ x"} {
		if err := CheckRules([]Rule{{Consumer: bad, Service: "population/person"}}); err == nil {
			t.Errorf("%q is taken for a group", bad)
		}
	}
}
