package archtest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const sums = "internal/archtest/migrations.sum"

// migrations returns the SQL files by module: the folder above migrations/, without "store".
func migrations(t *testing.T) map[string][]string {
	t.Helper()
	byModule := map[string][]string{}
	for _, p := range files(t, func(p string) bool { return path.Base(dir(p)) == "migrations" && strings.HasSuffix(p, ".sql") }) {
		module := strings.TrimSuffix(path.Base(path.Dir(dir(p))), "store")
		byModule[module] = append(byModule[module], p)
	}
	if len(byModule) == 0 {
		t.Fatal("no migrations found")
	}
	return byModule
}

// TestMigrationsAreFrozen compares each migration with the checksum it was merged with. With -update a new file is
// added to the list; a changed one never is, for it ran somewhere already: write another migration instead. (Before
// the first release, delete the line.)
func TestMigrationsAreFrozen(t *testing.T) {
	known := map[string]string{}
	if exists(sums) {
		for line := range strings.Lines(read(t, sums)) {
			if sum, p, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
				known[p] = sum
			}
		}
	}
	seen := map[string]string{}
	for _, list := range migrations(t) {
		for _, p := range list {
			sum := sha256.Sum256([]byte(read(t, p)))
			seen[p] = hex.EncodeToString(sum[:])
		}
	}
	for _, p := range slices.Sorted(maps.Keys(seen)) {
		switch was, ok := known[p]; {
		case ok && was != seen[p]:
			t.Errorf("%s changed after it was merged; write a new migration", p)
		case !ok && *update:
			known[p] = seen[p]
		case !ok:
			t.Errorf("%s is not in %s; run the test with -update", p, sums)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(known)) {
		if _, ok := seen[p]; !ok {
			t.Errorf("%s is gone; a merged migration stays", p)
		}
	}
	if !*update {
		return
	}
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(known)) {
		fmt.Fprintf(&b, "%s  %s\n", known[p], p)
	}
	if err := os.WriteFile(path.Join(root, sums), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMigrationNames(t *testing.T) {
	name := regexp.MustCompile(`^(\d{4})_[a-z0-9_]+(\.sqlite|\.postgres)?\.sql$`)
	for module, list := range migrations(t) {
		numbers := map[string]bool{}
		for _, p := range list {
			m := name.FindStringSubmatch(path.Base(p))
			if m == nil {
				t.Errorf("%s: the name is not NNNN_name.sql", p)
				continue
			}
			numbers[m[1]] = true
		}
		for i := range len(numbers) {
			if n := fmt.Sprintf("%04d", i+1); !numbers[n] {
				t.Errorf("module %s has no migration %s", module, n)
			}
		}
	}
}

var (
	sqlComment  = regexp.MustCompile(`--[^\n]*`)
	createTable = regexp.MustCompile(`(?i)CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?([a-z0-9_]+)`)
	createOther = regexp.MustCompile(`(?i)CREATE\s+(?:UNIQUE\s+)?(?:INDEX|VIEW|TRIGGER|OR\s+REPLACE\s+FUNCTION|FUNCTION)\s+(?:IF\s+NOT\s+EXISTS\s+)?([a-z0-9_]+)`)
	word        = regexp.MustCompile(`[a-z][a-z0-9_]*`)
)

// TestTablesBelongToOneModule wants each table, index, view and trigger to carry its module's name in front, and no
// store or migration to name another module's table: what a neighbour needs is a call or an event.
func TestTablesBelongToOneModule(t *testing.T) {
	owner := map[string]string{"storage_migration": "storage"}
	sqlOf := map[string]map[string]string{} // module → place → text
	note := func(module, place, text string) {
		if sqlOf[module] == nil {
			sqlOf[module] = map[string]string{}
		}
		sqlOf[module][place] += text + "\n"
	}
	for module, list := range migrations(t) {
		for _, p := range list {
			text := sqlComment.ReplaceAllString(read(t, p), "")
			note(module, p, text)
			for _, m := range createTable.FindAllStringSubmatch(text, -1) {
				owner[m[1]] = module
			}
			for _, m := range append(createTable.FindAllStringSubmatch(text, -1), createOther.FindAllStringSubmatch(text, -1)...) {
				if !strings.HasPrefix(m[1], module+"_") {
					t.Errorf("%s makes %s; its name must begin with %s_", p, m[1], module)
				}
			}
		}
	}
	for _, f := range goFiles(t) {
		module, isStore := strings.CutSuffix(path.Base(dir(f.path)), "store")
		if f.test || !isStore && sqlElsewhere[dir(f.path)] == "" {
			continue
		}
		texts(f, func(lit lit, s string) { note(module, f.at(lit.Pos()), s) })
	}
	for module, byPlace := range sqlOf {
		for place, text := range byPlace {
			for _, w := range slices.Compact(slices.Sorted(slices.Values(word.FindAllString(text, -1)))) {
				if of, isTable := owner[w]; isTable && of != module {
					t.Errorf("%s (module %s) names the table %s of module %s", place, module, w, of)
				}
			}
		}
	}
}
