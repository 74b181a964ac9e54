package archtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// catalogue is the texts of one language by key, and the file each stands in.
type catalogue struct{ text, file map[string]string }

func loadCatalogue(t *testing.T, lang string) catalogue {
	t.Helper()
	c := catalogue{text: map[string]string{}, file: map[string]string{}}
	for _, p := range files(t, func(p string) bool { return dir(p) == "lang/"+lang && strings.HasSuffix(p, ".json") }) {
		dec := json.NewDecoder(bytes.NewBufferString(read(t, p)))
		if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
			t.Errorf("%s: not an object: %v", p, err)
			continue
		}
		for dec.More() { // by token, because a map would hide a key that stands twice
			key, err := dec.Token()
			if err != nil {
				t.Fatalf("%s: %v", p, err)
			}
			text, err := dec.Token()
			if err != nil {
				t.Fatalf("%s: %v", p, err)
			}
			k, _ := key.(string)
			s, isText := text.(string)
			if !isText || strings.TrimSpace(s) == "" {
				t.Errorf("%s: %q has no text", p, k)
			}
			if first, twice := c.file[k]; twice {
				t.Errorf("%s: %q stands in %s already", p, k, first)
			}
			c.text[k], c.file[k] = s, p
		}
	}
	if len(c.text) == 0 {
		t.Fatalf("no texts in %s", lang)
	}
	return c
}

var placeholder = regexp.MustCompile(`\{[a-zA-Z_0-9]+\}`)

func placeholders(s string) []string {
	return slices.Compact(slices.Sorted(slices.Values(placeholder.FindAllString(s, -1))))
}

func TestLanguagesSayTheSame(t *testing.T) {
	vi, en := loadCatalogue(t, "vi"), loadCatalogue(t, "en")
	for _, k := range slices.Sorted(maps.Keys(vi.text)) {
		text, ok := en.text[k]
		switch {
		case !ok:
			t.Errorf("%s: %q has no English text", vi.file[k], k)
		case path.Base(vi.file[k]) != path.Base(en.file[k]):
			t.Errorf("%q stands in %s and %s", k, vi.file[k], en.file[k])
		case !slices.Equal(placeholders(vi.text[k]), placeholders(text)):
			t.Errorf("%q has %v in Vietnamese and %v in English", k, placeholders(vi.text[k]), placeholders(text))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(en.text)) {
		if _, ok := vi.text[k]; !ok {
			t.Errorf("%s: %q has no Vietnamese text", en.file[k], k)
		}
	}
}

// keyShape is what a message key looks like; topics of events, actions of the audit log and activities of the
// exchange look alike, which is why where a literal stands matters.
var keyShape = regexp.MustCompile(`^[a-z]+(\.[a-z0-9_]+)+$`)

// notKeys are key-shaped literals in a key's place that are none, with the reason.
var notKeys = map[string]string{}

// uses is what the source says about message keys.
type uses struct {
	sure     map[string]string // literals in a key's place, with where
	literal  map[string]bool   // every literal
	prefixes map[string]bool   // literals that a key is built from: "services.delivery." or "identity.login.as_"
	suffixes map[string]bool   // ".title"
}

var (
	templateKey  = regexp.MustCompile("(?:\\bt|\\.T|\\$\\.T|\\.Text)\\s+(?:\\.Lang\\s+|\\$\\.Lang\\s+)?[\"`]([a-z]+(?:\\.[a-z0-9_]+)+)[\"`]")
	templateText = regexp.MustCompile("[\"`]([^\"`{}\\s]+)[\"`]")
	action       = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	dataText     = regexp.MustCompile(`[a-z]+(?:\.[a-z0-9_]+)+`)
	prefixShape  = regexp.MustCompile(`^[a-z]+\.([a-z0-9_]+[._])*$`)
)

func collectUses(t *testing.T) uses {
	t.Helper()
	u := uses{sure: map[string]string{}, literal: map[string]bool{}, prefixes: map[string]bool{}, suffixes: map[string]bool{}}
	sources := goFiles(t)
	places := keyPlaces(sources)
	for _, f := range sources {
		if f.test {
			continue
		}
		texts(f, func(_ lit, s string) { u.note(s) })
		u.collectGo(f, places)
	}
	for _, p := range files(t, func(p string) bool { return strings.HasPrefix(p, "internal/") && strings.HasSuffix(p, ".html") }) {
		for _, block := range action.FindAllString(read(t, p), -1) {
			for _, m := range templateText.FindAllStringSubmatch(block, -1) {
				u.note(m[1])
			}
			for _, m := range templateKey.FindAllStringSubmatch(block, -1) {
				u.sure[m[1]] = p
			}
		}
	}
	data := func(p string) bool {
		return !strings.HasPrefix(p, "lang/") && !strings.HasPrefix(p, "e2e/") && slices.Contains([]string{".yaml", ".yml", ".toml", ".json", ".csv"}, path.Ext(p))
	}
	for _, p := range files(t, data) {
		for _, s := range dataText.FindAllString(read(t, p), -1) {
			u.literal[s] = true
		}
	}
	return u
}

func (u *uses) note(s string) {
	u.literal[s] = true
	if before, _, found := strings.Cut(s, "%"); found && prefixShape.MatchString(before) {
		u.prefixes[before] = true
	}
	if prefixShape.MatchString(s) {
		u.prefixes[s] = true
	}
	if strings.HasPrefix(s, ".") && keyShape.MatchString("x"+s) {
		u.suffixes[s] = true
	}
}

// keyPlaces finds the functions whose parameter is called key, titleKey and so on: function name → positions.
func keyPlaces(sources []goFile) map[string][]int {
	places := map[string][]int{}
	for _, f := range sources {
		if f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			var name string
			var typ *ast.FuncType
			switch n := n.(type) {
			case *ast.FuncDecl:
				name, typ = n.Name.Name, n.Type
			case *ast.AssignStmt:
				fl, isFunc := n.Rhs[0].(*ast.FuncLit)
				id, isName := n.Lhs[0].(*ast.Ident)
				if !isFunc || !isName {
					return true
				}
				name, typ = id.Name, fl.Type
			default:
				return true
			}
			i := 0
			for _, field := range typ.Params.List {
				for _, id := range field.Names {
					if (id.Name == "key" || strings.HasSuffix(id.Name, "Key")) && !slices.Contains(places[name], i) {
						places[name] = append(places[name], i)
					}
					i++
				}
			}
			return true
		})
	}
	return places
}

func (u *uses) collectGo(f goFile, places map[string][]int) {
	mark := func(e ast.Expr) {
		if b, ok := e.(*ast.BasicLit); ok && b.Kind == token.STRING {
			if s, err := strconv.Unquote(b.Value); err == nil && keyShape.MatchString(s) {
				u.sure[s] = f.at(b.Pos())
			}
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr: // a key built from parts: the literal on the left is a prefix whatever it ends with
			if b, ok := n.X.(*ast.BasicLit); ok && n.Op == token.ADD && b.Kind == token.STRING {
				if s, err := strconv.Unquote(b.Value); err == nil && prefixShape.MatchString(s) {
					u.prefixes[s] = true
				}
			}
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && (id.Name == "Key" || strings.HasSuffix(id.Name, "Key")) {
				mark(n.Value)
			}
		case *ast.CallExpr:
			name := ""
			switch fun := n.Fun.(type) {
			case *ast.Ident:
				name = fun.Name
			case *ast.SelectorExpr:
				name = fun.Sel.Name
			}
			for _, i := range places[name] {
				if i < len(n.Args) {
					mark(n.Args[i])
				}
			}
		}
		return true
	})
}

// built reports whether a key can be put together from literals of the source.
func (u *uses) built(key string) bool {
	for p := range u.prefixes {
		if strings.HasPrefix(key, p) && len(key) > len(p) && strings.Count(p, ".") > 0 && p != key[:strings.Index(key, ".")+1] {
			return true
		}
		// A bare module prefix ("error.") stands for keys of one more word only.
		if p == key[:strings.Index(key, ".")+1] && !strings.Contains(key[len(p):], ".") {
			return true
		}
	}
	for s := range u.suffixes {
		if base, ok := strings.CutSuffix(key, s); ok && (u.literal[base] || u.built(base)) {
			return true
		}
	}
	return false
}

func TestKeysAreUsedAndExist(t *testing.T) {
	vi, u := loadCatalogue(t, "vi"), collectUses(t)
	modules := map[string]bool{}
	for k := range vi.text {
		module, _, _ := strings.Cut(k, ".")
		modules[module] = true
	}
	var missing []string
	for k, where := range u.sure {
		module, _, _ := strings.Cut(k, ".")
		if _, ok := vi.text[k]; ok || notKeys[k] != "" || !modules[module] && layers[module] == 0 {
			continue
		}
		missing = append(missing, fmt.Sprintf("%s: %q has no text", where, k))
	}
	slices.Sort(missing)
	for _, m := range missing {
		t.Error(m)
	}
	for _, k := range slices.Sorted(maps.Keys(vi.text)) {
		if !u.literal[k] && !u.built(k) {
			t.Errorf("%s: nothing uses %q", vi.file[k], k)
		}
	}
}
