package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"html/template"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template/parse"
)

const uiPath = "internal/web/ui"

// unrendered are pages that no call draws under a constant name, with the reason.
var unrendered = map[string]string{}

// TestTemplatesFitTheirPages reads every page of every page package as the renderer would, with the layout and the
// components. Each template that is named exists, each is safe to escape, and each field that is named exists in the
// struct that the package's handlers draw the page with. The renderer compiles a page when it is first asked for, so
// without this test a slip of the pen waits for a reader.
func TestTemplatesFitTheirPages(t *testing.T) {
	base := parseTemplates(t, uiPath+"/templates")
	load := loader(t)
	found := 0
	for _, p := range packages(t) {
		folders := []string{p.path()}
		if p.path() == uiPath {
			folders = []string{uiPath + "/pages", uiPath + "/storybook"}
		} else if !slices.Contains(p.Imports, "truc/"+uiPath) {
			continue
		}
		for _, folder := range folders {
			set := parseTemplates(t, folder)
			partials := maps.Clone(base)
			var pages []string
			for file, trees := range set {
				if trees["main"] != nil {
					pages = append(pages, file)
				} else {
					partials[file] = trees
				}
			}
			if len(pages) == 0 {
				continue
			}
			drawn := map[string][]types.Type{}
			if path.Base(folder) != "storybook" { // whose pages draw samples from a map
				drawn = load.drawn(t, p)
			}
			slices.Sort(pages)
			for _, file := range pages {
				found++
				files := maps.Clone(partials)
				files[file] = set[file]
				c := &templateCheck{t: t, page: file, trees: map[string]*parse.Tree{}, seen: map[string]bool{}, told: map[string]bool{}}
				for _, trees := range files {
					maps.Copy(c.trees, trees)
				}
				c.names()
				c.escapes()
				data := drawn[strings.TrimSuffix(path.Base(file), ".html")]
				if len(data) == 0 && path.Base(folder) != "storybook" && unrendered[file] == "" {
					t.Errorf("%s: no call in %s draws it", file, p.path())
				}
				for _, typ := range data {
					c.tree("layout", types.NewPointer(typ))
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("%d pages found; the repository has more", found)
	}
}

// parseTemplates returns the templates of a folder's files, by file and name.
func parseTemplates(t *testing.T, folder string) map[string]map[string]*parse.Tree {
	t.Helper()
	out := map[string]map[string]*parse.Tree{}
	for _, p := range files(t, func(p string) bool { return dir(p) == folder && strings.HasSuffix(p, ".html") }) {
		trees := map[string]*parse.Tree{}
		tree := parse.New(p)
		tree.Mode = parse.SkipFuncCheck
		if _, err := tree.Parse(read(t, p), "", "", trees); err != nil {
			t.Errorf("%s: %v", p, err)
		}
		out[p] = trees
	}
	return out
}

// typeLoader type-checks packages from source against the compiled form of what they import.
type typeLoader struct {
	fset *token.FileSet
	imp  types.Importer
}

func loader(t *testing.T) *typeLoader {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Export", "./internal/...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -export: %v", err)
	}
	compiled := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		compiled[p.ImportPath] = p.Export
	}
	fset := token.NewFileSet()
	return &typeLoader{fset: fset, imp: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(compiled[path]) })}
}

// drawn returns, by page, the structs that a package draws it with: those that stand in a call beside the page's
// name, be it to the renderer or to a helper before it.
func (l *typeLoader) drawn(t *testing.T, p pkg) map[string][]types.Type {
	t.Helper()
	var parsed []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(l.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	if _, err := (&types.Config{Importer: l.imp}).Check(p.ImportPath, l.fset, parsed, info); err != nil {
		t.Fatal(err)
	}
	out := map[string][]types.Type{}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			var names []string
			var data types.Type
			for _, arg := range call.Args {
				switch tv := info.Types[arg]; {
				case tv.Value != nil && tv.Value.Kind() == constant.String:
					names = append(names, constant.StringVal(tv.Value))
				case isPage(tv.Type):
					data = deref(tv.Type)
				}
			}
			for _, name := range names {
				if data != nil && !slices.ContainsFunc(out[name], func(known types.Type) bool { return types.Identical(known, data) }) {
					out[name] = append(out[name], data)
				}
			}
			return true
		})
	}
	return out
}

func deref(t types.Type) types.Type {
	if p, ok := t.Underlying().(*types.Pointer); ok {
		return p.Elem()
	}
	return t
}

// isPage reports whether a struct embeds ui.Page.
func isPage(t types.Type) bool {
	if t == nil {
		return false
	}
	s, ok := deref(t).Underlying().(*types.Struct)
	if !ok {
		return false
	}
	for f := range s.Fields() {
		if n, ok := f.Type().(*types.Named); ok && f.Embedded() && n.Obj().Name() == "Page" && n.Obj().Pkg().Path() == "truc/"+uiPath {
			return true
		}
	}
	return false
}

// templateCheck follows the values through the templates of one page. A nil type is one that is not known before
// the page is drawn; nothing is said about it.
type templateCheck struct {
	t     *testing.T
	page  string
	trees map[string]*parse.Tree
	seen  map[string]bool // template and type of dot
	told  map[string]bool
}

func (c *templateCheck) errorf(tree *parse.Tree, n parse.Node, format string, args ...any) {
	at, _ := tree.ErrorContext(n)
	if s := fmt.Sprintf("%s: %s", at, fmt.Sprintf(format, args...)); !c.told[s] {
		c.told[s] = true
		c.t.Errorf("%s (page %s)", s, c.page)
	}
}

// names looks up every template that any template of the page's set includes, reached or not.
func (c *templateCheck) names() {
	for _, tree := range c.trees {
		inspect(tree.Root, func(n parse.Node) {
			if n, ok := n.(*parse.TemplateNode); ok && c.trees[n.Name] == nil {
				c.errorf(tree, n, "no template is called %q", n.Name)
			}
		})
	}
}

// escapes lets html/template find the places of the page's values in the HTML around them.
func (c *templateCheck) escapes() {
	funcs := template.FuncMap{}
	for _, tree := range c.trees {
		inspect(tree.Root, func(n parse.Node) {
			if n, ok := n.(*parse.IdentifierNode); ok && !slices.Contains(builtin, n.Ident) {
				funcs[n.Ident] = func(...any) string { return "" }
			}
		})
	}
	set := template.New("").Funcs(funcs)
	for name, tree := range c.trees {
		if _, err := set.AddParseTree(name, tree.Copy()); err != nil {
			c.t.Errorf("%s: %v", c.page, err)
		}
	}
	// Without data the page cannot be drawn, but that comes after.
	if bad, ok := errors.AsType[*template.Error](set.ExecuteTemplate(io.Discard, "layout", nil)); ok {
		c.t.Errorf("%s: %v", c.page, bad)
	}
}

var builtin = []string{
	"and", "or", "not", "call", "html", "index", "slice", "js", "len", "print", "printf", "println", "urlquery",
	"eq", "ne", "lt", "le", "gt", "ge",
}

// inspect calls f with every node below n, whatever stands in what branch.
func inspect(n parse.Node, f func(parse.Node)) {
	branch := func(b *parse.BranchNode) {
		inspect(b.Pipe, f)
		inspect(b.List, f)
		inspect(b.ElseList, f)
	}
	f(n)
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, x := range n.Nodes {
				inspect(x, f)
			}
		}
	case *parse.PipeNode:
		if n != nil {
			for _, x := range n.Cmds {
				inspect(x, f)
			}
		}
	case *parse.CommandNode:
		for _, x := range n.Args {
			inspect(x, f)
		}
	case *parse.ChainNode:
		inspect(n.Node, f)
	case *parse.ActionNode:
		inspect(n.Pipe, f)
	case *parse.TemplateNode:
		inspect(n.Pipe, f)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	}
}

// tree checks a template with what dot is there.
func (c *templateCheck) tree(name string, dot types.Type) {
	tree := c.trees[name]
	key := name + " " + fmt.Sprint(dot)
	if tree == nil || c.seen[key] {
		return
	}
	c.seen[key] = true
	(&scope{templateCheck: c, tree: tree}).list(tree.Root, dot, map[string]types.Type{"$": dot})
}

// scope checks one template.
type scope struct {
	*templateCheck
	tree *parse.Tree
}

func (s *scope) list(l *parse.ListNode, dot types.Type, vars map[string]types.Type) {
	if l == nil {
		return
	}
	vars = maps.Clone(vars)
	for _, n := range l.Nodes {
		s.node(n, dot, vars)
	}
}

func (s *scope) node(n parse.Node, dot types.Type, vars map[string]types.Type) {
	switch n := n.(type) {
	case *parse.ActionNode:
		s.pipe(n.Pipe, dot, vars)
	case *parse.TemplateNode:
		with := types.Type(types.Typ[types.UntypedNil])
		if n.Pipe != nil {
			with = s.pipe(n.Pipe, dot, vars)
		}
		s.templateCheck.tree(n.Name, with)
	case *parse.IfNode:
		vars := maps.Clone(vars)
		s.pipe(n.Pipe, dot, vars)
		s.list(n.List, dot, vars)
		s.list(n.ElseList, dot, vars)
	case *parse.WithNode:
		vars := maps.Clone(vars)
		s.list(n.List, s.pipe(n.Pipe, dot, vars), vars)
		s.list(n.ElseList, dot, vars)
	case *parse.RangeNode:
		over := s.pipe(&parse.PipeNode{NodeType: parse.NodePipe, Pos: n.Pipe.Pos, Line: n.Pipe.Line, Cmds: n.Pipe.Cmds}, dot, vars)
		key, elem := rangeOf(over)
		inner := maps.Clone(vars)
		switch d := n.Pipe.Decl; len(d) {
		case 1:
			inner[d[0].Ident[0]] = elem
		case 2:
			inner[d[0].Ident[0]], inner[d[1].Ident[0]] = key, elem
		}
		s.list(n.List, elem, inner)
		s.list(n.ElseList, dot, vars)
	}
}

func rangeOf(t types.Type) (key, elem types.Type) {
	if t == nil {
		return nil, nil
	}
	switch u := deref(t).Underlying().(type) {
	case *types.Slice:
		return types.Typ[types.Int], u.Elem()
	case *types.Array:
		return types.Typ[types.Int], u.Elem()
	case *types.Map:
		return u.Key(), u.Elem()
	case *types.Basic:
		return u, u
	}
	return nil, nil
}

// pipe returns the type of a pipeline's value and declares its variables.
func (s *scope) pipe(p *parse.PipeNode, dot types.Type, vars map[string]types.Type) (out types.Type) {
	for _, cmd := range p.Cmds {
		var args []types.Type
		for _, a := range cmd.Args {
			args = append(args, s.value(a, dot, vars))
		}
		out = args[0]
		if f, ok := cmd.Args[0].(*parse.IdentifierNode); ok {
			out = result(f.Ident, args[1:])
		}
	}
	for _, v := range p.Decl {
		vars[v.Ident[0]] = out
	}
	return out
}

// result is the type a function returns, where that helps.
func result(f string, args []types.Type) types.Type {
	switch f {
	case "t", "text", "date", "datetime", "longdate", "iso", "money", "number", "decimal", "asset", "fieldid", "problem", "print", "printf":
		return types.Typ[types.String]
	case "add", "len":
		return types.Typ[types.Int]
	case "index":
		if len(args) == 2 {
			_, elem := rangeOf(args[0])
			return elem
		}
	}
	return nil
}

func (s *scope) value(n parse.Node, dot types.Type, vars map[string]types.Type) types.Type {
	switch n := n.(type) {
	case *parse.DotNode:
		return dot
	case *parse.FieldNode:
		return s.fields(n, dot, n.Ident)
	case *parse.VariableNode:
		return s.fields(n, vars[n.Ident[0]], n.Ident[1:])
	case *parse.ChainNode:
		return s.fields(n, s.value(n.Node, dot, vars), n.Field)
	case *parse.PipeNode:
		return s.pipe(n, dot, vars)
	case *parse.StringNode:
		return types.Typ[types.String]
	case *parse.BoolNode:
		return types.Typ[types.Bool]
	}
	return nil
}

// fields follows .A.B.C from a value.
func (s *scope) fields(n parse.Node, t types.Type, names []string) types.Type {
	for _, name := range names {
		if t == nil {
			return nil
		}
		if i, ok := deref(t).Underlying().(*types.Interface); ok && i.Empty() {
			return nil
		}
		obj, _, _ := types.LookupFieldOrMethod(deref(t), true, nil, name)
		m, isMap := deref(t).Underlying().(*types.Map)
		switch obj := obj.(type) {
		case *types.Var:
			t = obj.Type()
		case *types.Func:
			t = obj.Signature().Results().At(0).Type()
		default:
			if !isMap {
				s.errorf(s.tree, n, "%s has no field or method %s", t, name)
				return nil
			}
			t = m.Elem()
		}
	}
	return t
}
