package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"truc/internal/errs"
)

// Limits of a document. A description is written by people or by a tool for people; the largest public ones stay below.
const (
	// MaxSize of a document in bytes.
	MaxSize = 2 << 20
	// maxDepth of nesting.
	maxDepth = 64
	// maxValues counts every value after aliases were followed, so that a short document cannot become a large one.
	maxValues = 200_000
	// maxMembers of one object, which is searched from its beginning.
	maxMembers = 5000
	// maxFlow bounds what nests on one line or in brackets before the YAML parser, which recurses, sees it.
	maxFlow = 100
)

type kind int

const (
	scalar kind = iota
	object
	array
)

// value is a JSON value that keeps the order of its members.
type value struct {
	kind kind
	// scalar is a string, json.Number, bool or nil.
	scalar any
	keys   []string
	kids   []*value
}

func (v *value) get(key string) *value {
	if v == nil || v.kind != object {
		return nil
	}
	if i := slices.Index(v.keys, key); i >= 0 {
		return v.kids[i]
	}
	return nil
}

// at follows a path of member names.
func (v *value) at(path ...string) *value {
	for _, p := range path {
		v = v.get(p)
	}
	return v
}

func (v *value) text() string {
	if v == nil || v.kind != scalar {
		return ""
	}
	switch s := v.scalar.(type) {
	case string:
		return s
	case json.Number:
		return s.String() // "version: 1.0" in YAML
	}
	return ""
}

func (v *value) isTrue() bool {
	if v == nil {
		return false
	}
	b, ok := v.scalar.(bool)
	return ok && b
}

func (v *value) set(key string, kid *value) {
	if i := slices.Index(v.keys, key); i >= 0 {
		v.kids[i] = kid
		return
	}
	v.keys, v.kids = append(v.keys, key), append(v.kids, kid)
}

func (v *value) remove(key string) {
	if i := slices.Index(v.keys, key); i >= 0 {
		v.keys, v.kids = slices.Delete(v.keys, i, i+1), slices.Delete(v.kids, i, i+1)
	}
}

func textValue(s string) *value { return &value{scalar: s} }

// write appends the value as JSON, members in their order.
func (v *value) write(b *bytes.Buffer) error {
	switch v.kind {
	case object:
		b.WriteByte('{')
		for i, k := range v.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeScalar(b, k); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := v.kids[i].write(b); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case array:
		b.WriteByte('[')
		for i, kid := range v.kids {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := kid.write(b); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		return writeScalar(b, v.scalar)
	}
	return nil
}

func writeScalar(b *bytes.Buffer, s any) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the encoder ends with a newline
	return nil
}

func invalid(key string, cause error, args ...any) error {
	return errs.E(errs.Invalid, "exchange.publish.document."+key, cause, args...)
}

// read parses JSON or YAML into a tree, within the limits.
func read(b []byte) (*value, error) {
	switch {
	case len(b) > MaxSize:
		return nil, errs.E(errs.TooLarge, "exchange.publish.document.too_large", nil, "megabytes", MaxSize>>20)
	case !utf8.Valid(b):
		return nil, invalid("not_text", nil)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	trimmed := bytes.TrimLeft(b, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, invalid("empty", nil)
	}
	c := &counter{}
	if trimmed[0] == '{' {
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		v, err := c.json(dec, 0)
		if err == nil {
			if _, end := dec.Token(); !errors.Is(end, io.EOF) {
				err = errors.New("data after the document")
			}
		}
		if err != nil {
			return nil, syntax(err)
		}
		return v, nil
	}
	return c.yaml(b)
}

// syntax leaves our own errors as they are and calls the others errors of syntax.
func syntax(err error) error {
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	text := err.Error()
	if i := strings.IndexByte(text, '\n'); i >= 0 { // the YAML parser prints the source behind its first line
		text = text[:i]
	}
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200])
	}
	return invalid("syntax", err, "reason", text)
}

type counter struct {
	n       int
	anchors map[string]ast.Node
	// open are the anchors that are being followed: one inside itself would never end.
	open map[string]bool
}

func (c *counter) count(depth int) error {
	if c.n++; c.n > maxValues {
		return invalid("too_many", nil)
	}
	if depth > maxDepth {
		return invalid("too_deep", nil)
	}
	return nil
}

func (c *counter) json(dec *json.Decoder, depth int) (*value, error) {
	if err := c.count(depth); err != nil {
		return nil, err
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	d, nested := tok.(json.Delim)
	if !nested {
		return &value{scalar: tok}, nil
	}
	v := &value{kind: array}
	if d == '{' {
		v.kind = object
	}
	seen := map[string]bool{}
	for dec.More() {
		if v.kind == object {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name, _ := k.(string) // the decoder accepts nothing else here
			if seen[name] {
				return nil, invalid("doubled", nil, "name", name)
			}
			if len(v.keys) >= maxMembers {
				return nil, invalid("too_many", nil)
			}
			seen[name] = true
			v.keys = append(v.keys, name)
		}
		kid, err := c.json(dec, depth+1)
		if err != nil {
			return nil, err
		}
		v.kids = append(v.kids, kid)
	}
	_, err = dec.Token()
	return v, err
}

// yaml reads one YAML document. Aliases are followed as far as the limits allow; tags and merge keys are refused, because
// they mean different things to different programs.
func (c *counter) yaml(b []byte) (v *value, err error) {
	defer func() {
		if r := recover(); r != nil { // foreign code reads foreign bytes here
			v, err = nil, invalid("syntax", fmt.Errorf("panic: %v", r), "reason", "YAML")
		}
	}()
	if tooDeep(b) {
		return nil, invalid("too_deep", nil)
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, syntax(err)
	}
	if len(f.Docs) != 1 || f.Docs[0].Body == nil {
		return nil, invalid("one_document", nil)
	}
	c.anchors, c.open = map[string]ast.Node{}, map[string]bool{}
	return c.convert(f.Docs[0].Body, 0)
}

// tooDeep looks for what would nest too far in the recursive parser: brackets, and "- - -" or "? ? ?" on one line. It
// counts brackets in texts too, which does no harm at this limit.
func tooDeep(b []byte) bool {
	depth, marks := 0, 0
	for i, c := range b {
		switch c {
		case '\n':
			marks = 0
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case '-', '?', '!', '&', ':':
			if i+1 == len(b) || b[i+1] == ' ' || c == '!' || c == '&' {
				marks++
			}
		}
		if depth > maxFlow || marks > maxFlow {
			return true
		}
	}
	return false
}

func (c *counter) convert(n ast.Node, depth int) (*value, error) {
	if err := c.count(depth); err != nil {
		return nil, err
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		v := &value{kind: object}
		for _, p := range n.Values {
			if err := c.pair(v, p, depth); err != nil {
				return nil, err
			}
		}
		return v, nil
	case *ast.MappingValueNode:
		v := &value{kind: object}
		return v, c.pair(v, n, depth)
	case *ast.SequenceNode:
		v := &value{kind: array}
		for _, e := range n.Values {
			kid, err := c.convert(e, depth+1)
			if err != nil {
				return nil, err
			}
			v.kids = append(v.kids, kid)
		}
		return v, nil
	case *ast.AnchorNode:
		c.anchors[n.Name.GetToken().Value] = n.Value
		return c.convert(n.Value, depth+1)
	case *ast.AliasNode:
		return c.follow(n.Value.GetToken().Value, depth)
	case *ast.StringNode:
		return textValue(n.Value), nil
	case *ast.LiteralNode:
		return textValue(n.Value.Value), nil
	case *ast.BoolNode:
		return &value{scalar: n.Value}, nil
	case *ast.NullNode:
		return &value{}, nil
	case *ast.IntegerNode, *ast.FloatNode:
		return number(n.GetToken().Value), nil
	}
	return nil, invalid("yaml_only_plain", nil)
}

// number keeps the digits as written when they are a JSON number; other spellings (0x1f, 1_000) become texts.
func number(s string) *value {
	if _, err := strconv.ParseFloat(s, 64); err == nil && json.Valid([]byte(s)) {
		return &value{scalar: json.Number(s)}
	}
	return textValue(s)
}

// follow converts what an alias stands for anew, so that the counter sees every copy.
func (c *counter) follow(name string, depth int) (*value, error) {
	target, ok := c.anchors[name]
	if !ok || c.open[name] {
		return nil, invalid("alias", nil, "name", name)
	}
	c.open[name] = true
	defer delete(c.open, name)
	return c.convert(target, depth+1)
}

func (c *counter) pair(v *value, p *ast.MappingValueNode, depth int) error {
	var key string
	switch k := p.Key.(type) {
	case *ast.StringNode:
		key = k.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode: // responses are named 200
		key = p.Key.GetToken().Value
	default:
		return invalid("yaml_only_plain", nil)
	}
	if len(v.keys) >= maxMembers {
		return invalid("too_many", nil)
	}
	if slices.Contains(v.keys, key) {
		return invalid("doubled", nil, "name", key)
	}
	kid := &value{}
	if p.Value != nil {
		var err error
		if kid, err = c.convert(p.Value, depth+1); err != nil {
			return err
		}
	}
	v.keys, v.kids = append(v.keys, key), append(v.kids, kid)
	return nil
}
