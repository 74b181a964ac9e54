package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"truc/internal/telemetry"
)

// TestPackages lists what the program was built from, and what is installed on the machine only where the node says so.
func TestPackages(t *testing.T) {
	for _, on := range []bool{false, true} {
		cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
		cfg.Telemetry.Packages = on
		m := startManaged(t, cfg)
		var got packageList
		m.ask(200, "GET", "/packages", nil, &got)
		m.stop()
		if !slices.ContainsFunc(got.Program, func(p telemetry.Package) bool { return p.Name == "go" && strings.HasPrefix(p.Version, "1.") }) {
			t.Errorf("the program is made of %v", got.Program)
		}
		known, err := installed(dpkgStatus)
		if err != nil {
			t.Fatal(err)
		}
		if want := known && on; (len(got.System) > 0) != want {
			t.Errorf("packages = %v: %d packages of the machine", on, len(got.System))
		}
	}
}

// installed reports whether this machine has a list of dpkg with something in it.
func installed(path string) (bool, error) {
	b, err := os.ReadFile(filepath.Clean(path))
	if os.IsNotExist(err) {
		return false, nil
	}
	return strings.Contains(string(b), "install ok installed"), err
}
