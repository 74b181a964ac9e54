package archtest

import (
	"encoding/json"
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the files that these tests keep")

const root = "../.."

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath, Dir, Doc, Name         string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports                            []string
}

// path is the folder below the module's root, "internal/exchange/exchangestore".
func (p pkg) path() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "truc"), "/") }

var listed = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Doc,Name,GoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

// packages returns every package of the product that has product code.
func packages(t *testing.T) []pkg {
	t.Helper()
	all, err := listed()
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(slices.Clone(all), func(p pkg) bool { return len(p.GoFiles) == 0 })
	if len(all) < 20 {
		t.Fatalf("go list found %d packages; the repository has more", len(all))
	}
	return all
}

// goFile is one parsed source file.
type goFile struct {
	path string // from the root of the repository
	test bool
	text []byte
	ast  *ast.File
	fset *token.FileSet
}

func (f goFile) at(pos token.Pos) string {
	return f.path + ":" + strconv.Itoa(f.fset.Position(pos).Line)
}

var parsed = sync.OnceValues(func() ([]goFile, error) {
	var files []goFile
	fset := token.NewFileSet()
	err := walk(func(path string) error {
		if !strings.HasSuffix(path, ".go") || strings.HasPrefix(path, "e2e/") || strings.HasPrefix(path, "signer/") {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, goFile{path: path, test: strings.HasSuffix(path, "_test.go"), text: text, ast: f, fset: fset})
		return nil
	})
	return files, err
})

func goFiles(t *testing.T) []goFile {
	t.Helper()
	files, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// walk calls f with every file of the repository, by its slashed path from the root; not what git leaves out.
func walk(f func(path string) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", ".cache", ".demo", "bin", "node_modules", "out"}, d.Name()) {
			return filepath.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(rel))
	})
}

// files returns the paths that match, from the root.
func files(t *testing.T, match func(path string) bool) []string {
	t.Helper()
	var out []string
	if err := walk(func(path string) error {
		if match(path) {
			out = append(out, path)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// texts calls f with every string literal of a file, import paths and struct tags aside.
func texts(f goFile, visit func(lit *ast.BasicLit, s string)) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			if n.Tag != nil {
				return false
			}
		case *ast.BasicLit:
			if s, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
				visit(n, s)
			}
		}
		return true
	})
}
