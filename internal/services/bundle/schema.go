package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// schemaNode is what forms and expressions need to know of a JSON schema; the whole of it is judged by the
// validator in schemaCheck.
type schemaNode struct {
	Type     string
	Props    []schemaProp
	Required []string
	Items    *schemaNode
	Enum     []string
	Format   string
	MaxLen   int
	MaxItems int
	Min, Max *int64
	line     int
}

type schemaProp struct {
	Name   string
	Schema *schemaNode
}

// schemaWords are the keywords a form schema may use. $ref and the combinators are left out on purpose: a form is
// read by people who check it, and every question must stand in one place.
var schemaWords = []string{
	"$schema", "$id", "title", "description", "$comment", "type", "properties", "required", "items", "enum", "const",
	"format", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "uniqueItems",
	"additionalProperties", "default", "examples",
}

// readSchema turns a schema file into the tree, reporting words it does not know.
func readSchema(n *node, bad func(line int, key string, args ...any)) *schemaNode {
	s := &schemaNode{line: n.line}
	if n.kind != mapNode {
		bad(n.line, "wrongType", "want", "JSON schema object")
		return s
	}
	for i, k := range n.keys {
		if !slices.Contains(schemaWords, k) {
			bad(n.keyLines[i], "unknownKey", "key", k, "known", strings.Join(schemaWords, ", "))
		}
	}
	s.Type = n.get("type").textOr("")
	s.Format = n.get("format").textOr("")
	if !slices.Contains([]string{"string", "integer", "number", "boolean", "array", "object"}, s.Type) {
		bad(n.at("type"), "unknownWord", "word", s.Type, "known", "string, integer, number, boolean, array, object")
	}
	if f := n.get("format"); f != nil && !slices.Contains([]string{"date", "email"}, s.Format) {
		bad(n.at("format"), "unknownWord", "word", s.Format, "known", "date, email")
	}
	if props := n.get("properties"); props != nil {
		for i, k := range props.keys {
			if !plainName.MatchString(k) {
				bad(props.keyLines[i], "badName", "name", k)
			}
			s.Props = append(s.Props, schemaProp{Name: k, Schema: readSchema(props.kids[i], bad)})
		}
	}
	if req := n.get("required"); req != nil {
		for _, r := range req.kids {
			s.Required = append(s.Required, r.text)
			if s.prop(r.text) == nil {
				bad(r.line, "requiredUnknown", "name", r.text)
			}
		}
	}
	if items := n.get("items"); items != nil {
		s.Items = readSchema(items, bad)
	}
	for _, e := range n.get("enum").children() {
		s.Enum = append(s.Enum, e.text)
	}
	s.MaxLen = int(n.get("maxLength").intOr(0))
	s.MaxItems = int(n.get("maxItems").intOr(0))
	s.Min, s.Max = n.get("minimum").intPtr(), n.get("maximum").intPtr()
	return s
}

func (n *node) textOr(d string) string {
	if n == nil || n.kind != scalarNode {
		return d
	}
	return n.text
}

func (n *node) intOr(d int64) int64 {
	if p := n.intPtr(); p != nil {
		return *p
	}
	return d
}

func (n *node) intPtr() *int64 {
	if n == nil {
		return nil
	}
	i, ok := n.value.(int64)
	if !ok {
		return nil
	}
	return &i
}

func (n *node) children() []*node {
	if n == nil {
		return nil
	}
	return n.kids
}

func (s *schemaNode) prop(name string) *schemaNode {
	for _, p := range s.Props {
		if p.Name == name {
			return p.Schema
		}
	}
	return nil
}

// find returns the schema at a pointer through objects.
func (s *schemaNode) find(p Pointer) *schemaNode {
	for _, part := range p.parts() {
		if s = s.prop(part); s == nil {
			return nil
		}
	}
	return s
}

// coerce returns a value with the number types the schema names: CEL is strict about int and double.
func (s *schemaNode) coerce(v any) any {
	if s == nil {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = s.prop(k).coerce(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = s.Items.coerce(x)
		}
		return out
	case float64:
		if s.Type == "integer" && v == float64(int64(v)) {
			return int64(v)
		}
	case int:
		return s.coerce(int64(v))
	case int64:
		if s.Type == "number" {
			return float64(v)
		}
	}
	return v
}

// schemaCheck validates answers and turns faults into messages for people.
type schemaCheck struct{ schema *jsonschema.Schema }

type denyLoader struct{}

func (denyLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("schema %s: other documents are not loaded", url)
}

func newSchemaCheck(doc any) (*schemaCheck, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(denyLoader{})
	if err := c.AddResource("bundle:form", doc); err != nil {
		return nil, err
	}
	s, err := c.Compile("bundle:form")
	if err != nil {
		return nil, err
	}
	return &schemaCheck{schema: s}, nil
}

// schemaFault is a fault at a pointer.
type schemaFault struct {
	ptr  Pointer
	key  string
	args []any
}

// faults lists what the schema finds wrong, one per leaf, as catalogue keys.
func (c *schemaCheck) faults(a Answers) []schemaFault {
	err := c.schema.Validate(map[string]any(a))
	ve, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		if err != nil {
			return []schemaFault{{key: "bundle.form.invalid"}}
		}
		return nil
	}
	var out []schemaFault
	collectFaults(ve, &out)
	return out
}

func collectFaults(ve *jsonschema.ValidationError, out *[]schemaFault) {
	for _, c := range ve.Causes {
		collectFaults(c, out)
	}
	if len(ve.Causes) > 0 {
		return
	}
	ptr := Pointer("")
	for _, part := range ve.InstanceLocation {
		ptr = ptr.Join(strings.ReplaceAll(strings.ReplaceAll(part, "~", "~0"), "/", "~1"))
	}
	add := func(ptr Pointer, key string, args ...any) {
		*out = append(*out, schemaFault{ptr: ptr, key: key, args: args})
	}
	switch k := ve.ErrorKind.(type) {
	case *kind.Required:
		for _, m := range k.Missing {
			add(ptr.Join(m), "bundle.form.required")
		}
	case *kind.AdditionalProperties:
		for _, m := range k.Properties {
			add(ptr.Join(m), "bundle.form.unexpected", "name", m)
		}
	case *kind.MinLength:
		if k.Got == 0 {
			add(ptr, "bundle.form.required")
			return
		}
		add(ptr, "bundle.form.tooShort", "min", k.Want, "got", k.Got)
	case *kind.MaxLength:
		add(ptr, "bundle.form.tooLong", "max", k.Want, "got", k.Got)
	case *kind.Minimum:
		add(ptr, "bundle.form.tooSmall", "min", k.Want.RatString())
	case *kind.Maximum:
		add(ptr, "bundle.form.tooLarge", "max", k.Want.RatString())
	case *kind.MinItems:
		add(ptr, "bundle.form.tooFew", "min", k.Want)
	case *kind.MaxItems:
		add(ptr, "bundle.form.tooMany", "max", k.Want)
	case *kind.Enum, *kind.Const:
		add(ptr, "bundle.form.choose")
	case *kind.Pattern:
		add(ptr, "bundle.form.pattern")
	case *kind.Format:
		add(ptr, "bundle.form."+k.Want)
	default:
		add(ptr, "bundle.form.invalid")
	}
}
