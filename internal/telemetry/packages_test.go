package telemetry

import (
	"slices"
	"strings"
	"testing"
)

const status = `Package: openssl
Status: install ok installed
Version: 3.0.15-1
Description: tools
 Version: not this one

Package: gone
Status: deinstall ok config-files
Version: 1

Package: adduser
Status: install ok installed
Version: 3.134
`

func TestPackages(t *testing.T) {
	got, err := DebianPackages(strings.NewReader(status))
	if want := []Package{{"adduser", "3.134"}, {"openssl", "3.0.15-1"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	own := ProgramPackages()
	if len(own) == 0 || own[0].Name != "go" || !strings.HasPrefix(own[0].Version, "1.") {
		t.Errorf("the program is made of %v", own)
	}
}

func FuzzDebianPackages(f *testing.F) {
	f.Add(status)
	f.Add("Package: \xff\nStatus: a b installed\nVersion: :\n")
	f.Fuzz(func(t *testing.T, in string) {
		got, _ := DebianPackages(strings.NewReader(in)) // what could be read until a fault counts
		for _, p := range got {
			if p.Name == "" || p.Version == "" || len(p.Name) > maxPackageText || strings.ContainsAny(p.Name+p.Version, "\n") {
				t.Errorf("%q", p)
			}
		}
	})
}
