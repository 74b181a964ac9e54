package archtest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// layers is the import law: a package may import its own module or a strictly lower layer; neighbours in a layer
// are strangers. A module is the first folder below internal/. A new folder gets its row here, and an ADR.
var layers = map[string]int{
	// vocabulary
	"errs": 0, "i18n": 0, "reqctx": 0, "orgcode": 0, "jcs": 0, "lang": 0, "procedures": 0, "edxml": 0, "sealed": 0, "eddsa": 0,
	// platform
	"web": 1, "storage": 1, "outbox": 1, "pki": 1, "calendar": 1, "translog": 1, "pdfdoc": 1, "adminunits": 1, "telemetry": 1, "blobs": 1, "backup": 1,
	"identity": 2, "sign": 2, "alarm": 2,
	"audit":     3,
	"directory": 4, "exchange": 4, "registers": 4, "services": 4, "oversight": 4, "documents": 4,
	"fakebank": 4, // the payment simulator: a site of its own, with pages, that nobody but the demonstration knows
	"app":      5,
	"demo":     6,
	"cmd":      7,
}

// outside are the folders that are no part of the product and may import anything below cmd.
var outside = []string{"archtest", "deps", "scripts"}

// moduleOf returns the module a package belongs to.
func moduleOf(path string) string {
	first, rest, _ := strings.Cut(path, "/")
	if first == "internal" {
		first, _, _ = strings.Cut(rest, "/")
	}
	return first
}

func TestImportLaw(t *testing.T) {
	for _, p := range packages(t) {
		from := moduleOf(p.path())
		if slices.Contains(outside, from) {
			continue
		}
		fromLayer, known := layers[from]
		if !known {
			t.Errorf("%s: the folder has no layer; add it to the table in layers_test.go", p.path())
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, "truc/") {
				continue
			}
			to := moduleOf(strings.TrimPrefix(imp, "truc/"))
			toLayer, known := layers[to]
			switch {
			case to == from:
			case !known:
				t.Errorf("%s imports %s, which has no layer", p.path(), imp)
			case toLayer >= fromLayer:
				t.Errorf("%s (layer %d) imports %s (layer %d); only lower layers may be imported", p.path(), fromLayer, imp, toLayer)
			}
			if to == "app" && from != "cmd" {
				t.Errorf("%s imports %s; only cmd may", p.path(), imp)
			}
		}
	}
}

// TestPublicPackagesStandAlone holds the packages that others may import free of everything of ours, so that they can
// become modules of their own.
func TestPublicPackagesStandAlone(t *testing.T) {
	public := []string{"edxml"}
	seen := map[string]bool{}
	for _, p := range packages(t) {
		module := moduleOf(p.path())
		if !slices.Contains(public, module) {
			continue
		}
		seen[module] = true
		for _, imp := range p.Imports {
			if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") || first == "truc" {
				t.Errorf("%s imports %s; a public package imports the standard library only", p.path(), imp)
			}
		}
	}
	for _, name := range public {
		if !seen[name] {
			t.Errorf("there is no package %s", name)
		}
	}
}

// TestModuleRootsArePure holds a module's root package free of its own outer packages, of SQL and of HTML, so that
// the rules read and test without a database or a browser.
func TestModuleRootsArePure(t *testing.T) {
	outer := regexp.MustCompile(`^truc/internal/([a-z]+)/([a-z]+)(page|desk|api|store|client)$`)
	for _, p := range packages(t) {
		module, isRoot := strings.CutPrefix(p.path(), "internal/")
		if !isRoot || strings.Contains(module, "/") || layers[module] < 2 || layers[module] > 4 {
			continue
		}
		for _, imp := range p.Imports {
			if m := outer.FindStringSubmatch(imp); m != nil && m[1] == module {
				t.Errorf("%s imports %s; the page, API and store import the root, never the other way", p.path(), imp)
			}
		}
	}
}

// sqlElsewhere and htmlElsewhere are the packages that hold SQL or HTML although their name does not say so.
var (
	sqlElsewhere = map[string]string{
		"internal/storage":             "opens the database and keeps the migration record",
		"internal/storage/storagetest": "makes and drops the schemas of tests",
		"internal/outbox":              "owns its table; every module writes to it in its own transaction",
	}
	htmlElsewhere = map[string]string{
		"internal/services/bundle": "a procedure's documents are templates that its authors write; the result is printed, not served",
		"internal/pdfdoc":          "prints a small part of HTML as PDF",
	}
)

var sqlText = regexp.MustCompile(`(?s)^\s*(SELECT\s.+\sFROM\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+TABLE\s|WITH\s+\w+\s+AS\s*\()`)

func TestSQLLivesInStores(t *testing.T) {
	allowed := func(path string) bool {
		return strings.HasSuffix(path, "store") || sqlElsewhere[path] != ""
	}
	for _, p := range packages(t) {
		if slices.Contains(p.Imports, "database/sql") && !allowed(p.path()) {
			t.Errorf("%s imports database/sql; SQL lives in the store package", p.path())
		}
	}
	for _, f := range goFiles(t) {
		if f.test || allowed(dir(f.path)) {
			continue
		}
		texts(f, func(lit lit, s string) {
			if sqlText.MatchString(s) {
				t.Errorf("%s: SQL outside a store package", f.at(lit.Pos()))
			}
		})
	}
}

func TestHTMLLivesInPages(t *testing.T) {
	page := regexp.MustCompile(`(page|desk)$|^internal/web(/|$)`)
	for _, p := range packages(t) {
		if slices.Contains(p.Imports, "html/template") && !page.MatchString(p.path()) && htmlElsewhere[p.path()] == "" {
			t.Errorf("%s imports html/template; HTML lives in the page package", p.path())
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" || p.Name != "main" && !strings.HasPrefix(p.Doc, "Package "+p.Name+" ") {
			t.Errorf("%s: no package comment that begins %q", p.path(), "Package "+p.Name)
		}
	}
}
