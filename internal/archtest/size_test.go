package archtest

import (
	"bytes"
	"go/ast"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

type lit = *ast.BasicLit

func dir(p string) string { return path.Dir(p) }

const (
	fileLines = 500
	funcLines = 100
)

// longFiles and longFuncs are what may be longer, with the reason.
var (
	longFiles = map[string]string{}
	longFuncs = map[string]string{}
)

func TestSizes(t *testing.T) {
	for _, f := range goFiles(t) {
		lines := bytes.Count(f.text, []byte("\n"))
		if lines > fileLines && !f.test && longFiles[f.path] == "" {
			t.Errorf("%s has %d lines; %d is the limit", f.path, lines, fileLines)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || f.test {
				continue
			}
			n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
			if n > funcLines && longFuncs[f.path+":"+fn.Name.Name] == "" {
				t.Errorf("%s: %s has %d lines; %d is the limit", f.at(fn.Pos()), fn.Name.Name, n, funcLines)
			}
		}
	}
	mk := strings.Count(read(t, "Makefile"), "\n")
	if mk > 60 {
		t.Errorf("Makefile has %d lines; 60 is the limit", mk)
	}
}

// TestNoSkips allows a test to skip itself only where the same function makes it fatal in CI, or when -short was
// asked for, which our scripts never do: nothing is passed over unseen there.
func TestNoSkips(t *testing.T) {
	for _, p := range files(t, func(p string) bool {
		return p == "Makefile" || strings.HasPrefix(p, ".ci/") || strings.HasPrefix(p, "scripts/") && strings.HasSuffix(p, ".sh")
	}) {
		if slices.Contains(strings.Fields(read(t, p)), "-short") {
			t.Errorf("%s runs tests with -short", p)
		}
	}
	for _, f := range goFiles(t) {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			body := string(f.text[f.fset.Position(fn.Body.Pos()).Offset:f.fset.Position(fn.Body.End()).Offset])
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || (sel.Sel.Name != "Skip" && sel.Sel.Name != "Skipf" && sel.Sel.Name != "SkipNow") {
					return true
				}
				// rapid.T.Skip throws a draw away, it skips no test; the receiver of tests is t, tb or b.
				if x, ok := sel.X.(*ast.Ident); !ok || (x.Name != "t" && x.Name != "tb" && x.Name != "b") || isRapid(fn, x.Name) {
					return true
				}
				if !strings.Contains(body, `os.Getenv("CI")`) && !strings.Contains(body, "if testing.Short() {\n\t\tt.Skip(") {
					t.Errorf("%s: %s skips a test without failing in CI", f.at(call.Pos()), fn.Name.Name)
				}
				return true
			})
		}
	}
}

func isRapid(fn *ast.FuncDecl, name string) bool {
	found := false
	ast.Inspect(fn, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok {
			return true
		}
		star, ok := field.Type.(*ast.StarExpr)
		if !ok {
			return true
		}
		sel, ok := star.X.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == "rapid" {
			found = found || slices.ContainsFunc(field.Names, func(id *ast.Ident) bool { return id.Name == name })
		}
		return true
	})
	return found
}

// TestNoLitter finds what should not be kept: merge marks, executables, empty files, and TODOs without an owner.
func TestNoLitter(t *testing.T) {
	for _, p := range files(t, func(string) bool { return true }) {
		st, err := os.Stat(root + "/" + p)
		if err != nil {
			continue // gone meanwhile
		}
		if st.Size() == 0 && path.Base(p) != ".gitkeep" {
			t.Errorf("%s is empty", p)
		}
		if st.Size() > 3<<20 {
			t.Errorf("%s has %d kB; nothing that large belongs here", p, st.Size()>>10)
		}
	}
	for _, f := range goFiles(t) {
		for _, g := range f.ast.Comments {
			for _, c := range g.List {
				if s := strings.TrimLeft(c.Text, "/ \t"); (strings.HasPrefix(s, "TODO") || strings.HasPrefix(s, "FIXME") || strings.HasPrefix(s, "XXX")) && !strings.HasPrefix(s, "TODO(#") {
					t.Errorf("%s: %q; the form is TODO(#123): so that each has an owner", f.at(c.Pos()), c.Text)
				}
			}
		}
	}
}
