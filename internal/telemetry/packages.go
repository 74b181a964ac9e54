package telemetry

import (
	"bufio"
	"io"
	"runtime/debug"
	"slices"
	"strings"
)

// Package is something installed, with its version.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// ProgramPackages lists what this program was built from, Go itself first.
func ProgramPackages() []Package {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	out := []Package{{"go", strings.TrimPrefix(info.GoVersion, "go")}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		out = append(out, Package{m.Path, m.Version})
	}
	return out
}

const (
	maxPackages    = 20_000
	maxPackageText = 256
)

// DebianPackages reads what dpkg knows to be installed (/var/lib/dpkg/status, deb-control(5)). What is not installed any more
// is left out.
func DebianPackages(r io.Reader) ([]Package, error) {
	var out []Package
	var one Package
	installed := false
	end := func() {
		if installed && one.Name != "" && one.Version != "" && len(out) < maxPackages {
			out = append(out, one)
		}
		one, installed = Package{}, false
	}
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for in.Scan() {
		line := in.Text()
		if strings.TrimSpace(line) == "" {
			end()
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || name[0] == ' ' || name[0] == '\t' { // the continuation of a field
			continue
		}
		value = strings.ToValidUTF8(strings.TrimSpace(value), "")
		value = value[:min(len(value), maxPackageText)]
		switch name {
		case "Package":
			one.Name = value
		case "Version":
			one.Version = value
		case "Status":
			f := strings.Fields(value)
			installed = len(f) == 3 && f[2] == "installed"
		}
	}
	end()
	slices.SortFunc(out, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return out, in.Err()
}
