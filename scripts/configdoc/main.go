// Command configdoc writes docs/operators/configuration.md from the comments of the configuration struct, so that the
// page and the code cannot disagree. It reads source text only: it runs even when the product does not build.
//
//	go run ./scripts/configdoc
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

const page = "docs/operators/configuration.md"

// sources hold the structs that the configuration is made of.
var sources = []string{
	"internal/app/config.go", "internal/app/config_exchange.go", "internal/app/config_publish.go", "internal/app/config_evidence.go", "internal/app/config_sign.go", "internal/app/config_keys.go", "internal/app/config_documents.go", "internal/app/config_backup.go", "internal/app/config_alarms.go", "internal/app/edge.go", "internal/app/telemetry.go", "internal/exchange/rules.go", "internal/services/wire.go",
}

func main() {
	text, err := generate(".")
	if err == nil {
		err = os.WriteFile(page, []byte(text), 0o644) //nolint:gosec // a page for everybody
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "configdoc: "+err.Error())
		os.Exit(1)
	}
}

// structs are the parsed types by name, as config.go writes them: "WebConfig", "exchange.Rule".
type structs map[string]*ast.TypeSpec

func generate(root string) (string, error) {
	types := structs{}
	for _, src := range sources {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, src), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return "", err
		}
		prefix := f.Name.Name + "."
		if f.Name.Name == "app" {
			prefix = ""
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				if ts, ok := s.(*ast.TypeSpec); ok {
					if ts.Doc == nil {
						ts.Doc = g.Doc
					}
					types[prefix+ts.Name.Name] = ts
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("# Configuration keys\n\nWritten by `go run ./scripts/configdoc` from the comments in `internal/app/config.go`; do not edit it here.\n" +
		"How to use the file: [README.md](README.md).\n\n## Top of the file\n\n")
	if err := types.section(&b, "Config", ""); err != nil {
		return "", err
	}
	return b.String(), nil
}

// section writes the table of a struct and then the sections below it.
func (t structs) section(b *strings.Builder, name, path string) error {
	ts, ok := t[name]
	if !ok {
		return fmt.Errorf("type %s is not in the sources", name)
	}
	st, ok := ts.Type.(*ast.StructType)
	if !ok {
		return fmt.Errorf("type %s is no struct", name)
	}
	type below struct{ typ, path string }
	var nested []below
	doc := oneLine(ts.Doc)
	doc = strings.TrimPrefix(doc, strings.TrimPrefix(name, "exchange.")+" ")
	b.WriteString(sentence(strings.TrimPrefix(doc, strings.TrimPrefix(name, "services.")+" ")) + "\n\n| key | value | meaning |\n|---|---|---|\n")
	last := ""
	for _, f := range st.Fields.List {
		key := keyOf(f)
		word, typ, form := t.describe(f.Type, joined(path, key))
		text := oneLine(f.Doc)
		if text == "" {
			text = oneLine(f.Comment)
		}
		if typ != "" {
			nested = append(nested, below{typ, form})
			text = "see `" + form + "` below"
		} else if text == "" {
			text = last
		}
		if typ == "" {
			last = "as above"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", key, word, strings.ReplaceAll(text, "|", `\|`))
	}
	for _, n := range nested {
		fmt.Fprintf(b, "\n## `%s`\n\n", n.path)
		if err := t.section(b, n.typ, strings.Trim(n.path, "[]")); err != nil {
			return err
		}
	}
	return nil
}

// describe says a type in a word, and for a struct its name and how its section is written.
func (t structs) describe(e ast.Expr, path string) (word, typ, form string) {
	switch x := e.(type) {
	case *ast.ArrayType:
		if inner := exprName(x.Elt); t[inner] != nil {
			return "list of tables", inner, "[[" + path + "]]"
		}
		return "list of texts", "", ""
	case *ast.MapType:
		if inner := exprName(x.Value); t[inner] != nil {
			return "tables by name", inner, "[" + path + ".NAME]"
		}
		return "texts by name", "", ""
	}
	name := exprName(e)
	switch name {
	case "string":
		return "text", "", ""
	case "bool":
		return "true or false", "", ""
	case "int":
		return "number", "", ""
	case "i18n.Text":
		return "text by language", "", ""
	}
	if t[name] != nil {
		return "table", name, "[" + path + "]"
	}
	return name, "", ""
}

func exprName(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return exprName(x.X) + "." + x.Sel.Name
	}
	return ""
}

// keyOf is the toml tag, or the name in small letters: the decoder does not care about case.
func keyOf(f *ast.Field) string {
	if f.Tag != nil {
		if k := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("toml"); k != "" {
			return k
		}
	}
	return strings.ToLower(f.Names[0].Name)
}

func joined(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func oneLine(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	return strings.Join(strings.Fields(g.Text()), " ")
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.TrimPrefix(s, "is ")
	return strings.ToUpper(s[:1]) + s[1:]
}
