package archtest

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// dependencies is every direct dependency with the reason it is worth its weight. The standard library comes first;
// a new row comes with an ADR, and twenty is plenty.
var dependencies = map[string]string{
	"cel.dev/cel-go":                           "conditions and checks in procedure files: a language with limits, not one of our own",
	"filippo.io/edwards25519":                  "group arithmetic to verify signatures of known keys in half the time",
	"github.com/BurntSushi/toml":               "the configuration file, unknown keys refused",
	"github.com/coreos/go-oidc/v3":             "sign-in with a national identity provider",
	"github.com/go-jose/go-jose/v4":            "keys and tokens of the development identity provider",
	"github.com/goccy/go-yaml":                 "procedure files, with line numbers for faults",
	"github.com/google/go-cmp":                 "tests: readable differences",
	"github.com/jackc/pgx/v5":                  "PostgreSQL",
	"github.com/rogpeppe/go-internal":          "tests: command line as scripts",
	"github.com/santhosh-tekuri/jsonschema/v6": "register schemas",
	"golang.org/x/crypto":                      "OCSP, password hashing",
	"golang.org/x/image":                       "font metrics for seals on PDF",
	"golang.org/x/mod":                         "transparency log notes and tiles; go.mod in tests",
	"golang.org/x/net":                         "HTML parsing",
	"golang.org/x/oauth2":                      "sign-in with a national identity provider",
	"golang.org/x/text":                        "Unicode normal forms and Vietnamese order",
	"golang.org/x/time":                        "rate limits",
	"modernc.org/sqlite":                       "SQLite without a C compiler",
	"pgregory.net/rapid":                       "tests: properties",
	"rsc.io/qr":                                "QR codes on receipts and payment pages",
}

func TestDependencies(t *testing.T) {
	mod, err := modfile.Parse("go.mod", []byte(read(t, "go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	rest := maps.Clone(dependencies)
	for _, r := range mod.Require {
		if r.Indirect {
			continue
		}
		if dependencies[r.Mod.Path] == "" {
			t.Errorf("go.mod requires %s, which is not in the allow-list with a reason", r.Mod.Path)
		}
		delete(rest, r.Mod.Path)
	}
	for _, path := range slices.Sorted(maps.Keys(rest)) {
		t.Errorf("the allow-list names %s, which go.mod no longer requires", path)
	}
	if len(mod.Replace) > 0 {
		t.Errorf("go.mod replaces %d modules; the product builds from released versions", len(mod.Replace))
	}
}

// TestLinkedModulesAreNamed wants every module that ends up in the program in docs/third-party.md, with its licence.
func TestLinkedModulesAreNamed(t *testing.T) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/...", "./internal/...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	page := read(t, "docs/third-party.md")
	for _, path := range slices.Compact(slices.Sorted(slices.Values(strings.Fields(string(out))))) {
		if path != "truc" && !strings.Contains(page, "| "+strings.SplitN(path, "/googleapis", 2)[0]+" |") {
			t.Errorf("%s is linked but not named in docs/third-party.md", path)
		}
	}
}
