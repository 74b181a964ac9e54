package registers

import (
	"slices"
	"strings"
	"testing"
)

func builtin(t testing.TB) map[string]*Schema {
	t.Helper()
	all, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBuiltin(t *testing.T) {
	all := builtin(t)
	for id, owner := range map[string]string{"population": "G01", "civilstatus": "G15"} {
		s := all[id]
		if s == nil || s.Owner != owner || !s.Personal {
			t.Fatalf("register %s = %+v; want a personal register of %s", id, s, owner)
		}
		for _, a := range []string{"prefill", "verify-dossier"} {
			if _, ok := s.Activity(a); !ok {
				t.Errorf("%s: activity %s is missing", id, a)
			}
		}
	}
	if _, group, ok := all["population"].Field("birthDate"); !ok || group != "dob" {
		t.Errorf(`Field("birthDate") = %q, %v; want dob`, group, ok)
	}
}

// Each fault is one change to a schema that loads.
func TestParseSchemaFaults(t *testing.T) {
	good, err := schemaFiles.ReadFile("schemas/population.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, old, new, want string }{
		{"unknown key", "retention: permanent", "retention: permanent\ncolour: red", "colour"},
		{"owner", "owner: G01", "owner: nobody", "agency code"},
		{"no law", "law:\n", "law: []\nlaws:\n", "laws"},
		{"dangling key", "key: personalId", "key: number", `key: field "number"`},
		{"dangling group", "groups: [relation_father]}", "groups: [uncle]}", `group "uncle"`},
		{"number alone", "{type: ByPersonalId, by: [personalId], second: [fullName, birthDate]}", "{type: ByPersonalId, by: [personalId]}", "second factor"},
		{"year of birth as second attribute only", "by: [fullName, birthYear, provinceCode]", "by: [birthYear, provinceCode]", "needs a name"},
		{"no purpose", `vi: "Kiểm tra thông tin khi giải quyết hồ sơ thủ tục hành chính", `, "", "purpose is needed"},
		{"type", "{name: birthDate, type: date", "{name: birthDate, type: datum", `type "datum"`},
		{"doubled field", "name: otherNames", "name: fullName", "doubled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(string(good), tt.old, tt.new, 1)
			if bad == string(good) {
				t.Fatal("the change does not apply")
			}
			if _, err := ParseSchema([]byte(bad)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseSchema = %v; want an error with %q", err, tt.want)
			}
		})
	}
}

// No recipient of an activity may be wider than the two kinds of systems that the shipped registers serve.
func TestBuiltinRecipients(t *testing.T) {
	for id, s := range builtin(t) {
		for _, a := range s.Activities {
			if a.Allows("VN/COM/0100100100/shop") || a.Allows("") {
				t.Errorf("%s/%s allows a shop", id, a.ID)
			}
			if slices.Contains(a.Checks, KindVerify) && a.Self {
				t.Errorf("%s/%s: a person needs no verify of their own record", id, a.ID)
			}
		}
	}
}

func FuzzParseSchema(f *testing.F) {
	for _, name := range []string{"schemas/population.yaml", "schemas/civilstatus.yaml"} {
		b, err := schemaFiles.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("id: x\ngroups: [{id: g}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = ParseSchema(b)
	})
}
