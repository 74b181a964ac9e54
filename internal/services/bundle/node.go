package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

type nodeKind int

const (
	nullNode nodeKind = iota
	scalarNode
	mapNode
	seqNode
)

// node is a YAML or JSON value with the line it stands on. Scalars keep their source text, so that a code such
// as 2.000635 is not turned into a number on the way.
type node struct {
	kind nodeKind
	line int
	text string
	// value is the scalar as string, int64, float64 or bool.
	value    any
	keys     []string
	keyLines []int
	kids     []*node
}

// maxDepth bounds nesting, maxNodes the values of a file: a bundle is written by people.
const (
	maxDepth = 24
	maxNodes = 20000
)

func (n *node) get(key string) *node {
	if n == nil || n.kind != mapNode {
		return nil
	}
	if i := slices.Index(n.keys, key); i >= 0 {
		return n.kids[i]
	}
	return nil
}

// at returns the line of a nested value, or of the deepest part of the way that exists. Steps are keys or indexes.
func (n *node) at(path ...any) int {
	if n == nil {
		return 0
	}
	line := n.line
	for _, step := range path {
		var next *node
		switch s := step.(type) {
		case string:
			i := slices.Index(n.keys, s)
			if n.kind != mapNode || i < 0 {
				return line
			}
			line, next = n.keyLines[i], n.kids[i]
		case int:
			if n.kind == mapNode || s < 0 || s >= len(n.kids) {
				return line
			}
			next = n.kids[s]
			line = next.line
		}
		n = next
	}
	return line
}

// item returns the i-th element as the decoder counted them: a single value is a list of one, and nulls are left out.
// It never returns nil.
func (n *node) item(key string, i int) *node {
	list := n.get(key)
	switch {
	case list == nil:
		return &node{}
	case list.kind != seqNode:
		return list
	}
	for _, kid := range list.kids {
		if kid.kind == nullNode {
			continue
		}
		if i == 0 {
			return kid
		}
		i--
	}
	return &node{line: list.line}
}

// plain returns the value as encoding/json would have decoded it, with int64 for whole numbers.
func (n *node) plain() any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case mapNode:
		m := make(map[string]any, len(n.keys))
		for i, k := range n.keys {
			m[k] = n.kids[i].plain()
		}
		return m
	case seqNode:
		s := make([]any, len(n.kids))
		for i, k := range n.kids {
			s[i] = k.plain()
		}
		return s
	case scalarNode:
		return n.value
	default:
		return nil
	}
}

// lineError is a fault of syntax with its line.
type lineError struct {
	line int
	key  string
	what string
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s %s", e.line, e.key, e.what) }

var yamlLine = regexp.MustCompile(`^\[(\d+):\d+\] ([^\n]*)`)

// parseYAML reads one YAML document. Anchors, aliases, merge keys and tags are refused: they hide what a reviewer
// should see, and aliases can blow up.
func parseYAML(b []byte) (n *node, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser is foreign code and reads foreign bytes
			n, err = nil, &lineError{key: "yaml", what: fmt.Sprint(r)}
		}
	}()
	if line := tooDeep(b); line > 0 {
		return nil, &lineError{line: line, key: "tooDeep"}
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ := strconv.Atoi(m[1])
			return nil, &lineError{line: line, key: "yaml", what: m[2]}
		}
		return nil, &lineError{key: "yaml", what: err.Error()}
	}
	if len(f.Docs) > 1 {
		return nil, &lineError{line: 1, key: "oneDocument"}
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil {
		return &node{line: 1}, nil
	}
	c := &converter{}
	n = c.convert(f.Docs[0].Body, 0)
	if c.err != nil {
		return nil, c.err
	}
	return n, nil
}

// tooDeep returns the first line whose brackets or indentation nest too far for the recursive parser, or 0.
func tooDeep(b []byte) int {
	depth, line := 0, 1
	for i, c := range b {
		switch c {
		case '\n':
			line++
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case '-', '?', ':':
			// "- - - -" and "? ? ?" nest on one line
			if i > 400 && bytes.Count(b[i-400:i], []byte{c}) > 150 && !bytes.Contains(b[i-400:i], []byte("\n")) {
				return line
			}
		}
		if depth > 100 {
			return line
		}
	}
	return 0
}

type converter struct {
	nodes int
	err   error
}

func (c *converter) fail(line int, key string) *node {
	if c.err == nil {
		c.err = &lineError{line: line, key: key}
	}
	return &node{line: line}
}

func (c *converter) convert(a ast.Node, depth int) *node {
	line := 1
	if t := a.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	if c.nodes++; c.nodes > maxNodes || depth > maxDepth {
		return c.fail(line, "tooDeep")
	}
	n := &node{line: line, kind: scalarNode}
	switch a := a.(type) {
	case *ast.MappingNode:
		n.kind = mapNode
		for _, v := range a.Values {
			c.pair(n, v, depth)
		}
		if len(n.keyLines) > 0 {
			n.line = n.keyLines[0]
		}
	case *ast.MappingValueNode:
		n.kind = mapNode
		c.pair(n, a, depth)
		n.line = n.keyLines[0]
	case *ast.SequenceNode:
		n.kind = seqNode
		for _, v := range a.Values {
			n.kids = append(n.kids, c.convert(v, depth+1))
		}
	case *ast.StringNode:
		n.text, n.value = a.Value, a.Value
	case *ast.LiteralNode:
		n.text, n.value = a.Value.Value, a.Value.Value
	case *ast.IntegerNode:
		n.text = a.Token.Value
		i, err := strconv.ParseInt(n.text, 10, 64)
		if n.value = any(i); err != nil {
			n.value = n.text
		}
	case *ast.FloatNode:
		n.text, n.value = a.Token.Value, a.Value
	case *ast.BoolNode:
		n.text, n.value = a.Token.Value, a.Value
	case *ast.NullNode:
		n.kind = nullNode
	default:
		return c.fail(line, "noAnchors")
	}
	return n
}

func (c *converter) pair(n *node, v *ast.MappingValueNode, depth int) {
	line := n.line
	if t := v.Key.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	var key string
	switch k := v.Key.(type) {
	case *ast.StringNode:
		key = k.Value
	case *ast.MergeKeyNode, *ast.MappingKeyNode:
		c.fail(line, "noAnchors")
	default:
		key = v.Key.GetToken().Value
	}
	n.keys, n.keyLines = append(n.keys, key), append(n.keyLines, line)
	kid := &node{line: line}
	if v.Value != nil {
		kid = c.convert(v.Value, depth+1)
		if kid.kind == nullNode {
			kid.line = line
		}
	}
	n.kids = append(n.kids, kid)
}

// parseJSON reads one JSON value with lines. Doubled keys are refused.
func parseJSON(b []byte) (*node, error) {
	p := &jsonParser{src: b, dec: json.NewDecoder(bytes.NewReader(b))}
	p.dec.UseNumber()
	n, err := p.value(0)
	if err != nil {
		if le, ok := errors.AsType[*lineError](err); ok {
			return nil, le
		}
		return nil, &lineError{line: p.line(), key: "json", what: err.Error()}
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, &lineError{line: p.line(), key: "json", what: "data after the value"}
	}
	return n, nil
}

type jsonParser struct {
	src    []byte
	dec    *json.Decoder
	nodes  int
	offset int
	lineNo int
}

// line returns the line of the token just read.
func (p *jsonParser) line() int {
	to := min(int(p.dec.InputOffset()), len(p.src))
	if to > p.offset {
		p.lineNo += bytes.Count(p.src[p.offset:to], []byte("\n"))
		p.offset = to
	}
	return p.lineNo + 1
}

func (p *jsonParser) value(depth int) (*node, error) {
	tok, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &node{kind: scalarNode, line: p.line()}
	if p.nodes++; p.nodes > maxNodes || depth > maxDepth {
		return nil, &lineError{line: n.line, key: "tooDeep"}
	}
	switch t := tok.(type) {
	case json.Delim:
		if t == '[' {
			n.kind = seqNode
			for p.dec.More() {
				kid, err := p.value(depth + 1)
				if err != nil {
					return nil, err
				}
				n.kids = append(n.kids, kid)
			}
		} else {
			n.kind = mapNode
			if err := p.object(n, depth); err != nil {
				return nil, err
			}
		}
		_, err := p.dec.Token() // the closing delimiter
		return n, err
	case string:
		n.text, n.value = t, t
	case json.Number:
		n.text = t.String()
		if n.value, err = plainNumber(t); err != nil {
			return nil, err
		}
	case bool:
		n.text, n.value = strconv.FormatBool(t), t
	default:
		n.kind = nullNode
	}
	return n, nil
}

func (p *jsonParser) object(n *node, depth int) error {
	for p.dec.More() {
		tok, err := p.dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		line := p.line()
		if slices.Contains(n.keys, key) {
			return &lineError{line: line, key: "doubleKey", what: key}
		}
		kid, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.keys, n.keyLines, n.kids = append(n.keys, key), append(n.keyLines, line), append(n.kids, kid)
	}
	return nil
}

// firstLine cuts a message of a library to its first line.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
