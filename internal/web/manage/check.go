package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Document is an OpenAPI document of this package, read back, so that tests can hold a node to what it promises.
type Document struct {
	doc map[string]any
	ops map[string]Described
}

// Described is an operation as the document tells of it.
type Described struct {
	Method, Path, Audit string
	Roles               []string
	Parameters          []string
	body                map[string]any
	responses           map[string]any
}

// HasBody reports whether the operation takes a body.
func (d Described) HasBody() bool { return d.body != nil }

// ReadDocument reads a document.
func ReadDocument(b []byte) (*Document, error) {
	d := &Document{ops: map[string]Described{}}
	if err := json.Unmarshal(b, &d.doc); err != nil {
		return nil, err
	}
	if v, _ := d.doc["openapi"].(string); !strings.HasPrefix(v, "3.1.") {
		return nil, fmt.Errorf("openapi %q is not 3.1", v)
	}
	paths, _ := d.doc["paths"].(map[string]any)
	for path, item := range paths {
		methods, _ := item.(map[string]any)
		for method, raw := range methods {
			op, _ := raw.(map[string]any)
			id, _ := op["operationId"].(string)
			if _, twice := d.ops[id]; id == "" || twice {
				return nil, fmt.Errorf("%s %s: operationId %q is missing or not unique", method, path, id)
			}
			one := Described{Method: strings.ToUpper(method), Path: path}
			one.Audit, _ = op["x-audit"].(string)
			one.body, _ = op["requestBody"].(map[string]any)
			one.responses, _ = op["responses"].(map[string]any)
			for _, r := range listOf(op["x-roles"]) {
				one.Roles = append(one.Roles, fmt.Sprint(r))
			}
			for _, p := range listOf(op["parameters"]) {
				param, _ := p.(map[string]any)
				one.Parameters = append(one.Parameters, fmt.Sprint(param["name"]))
			}
			d.ops[id] = one
		}
	}
	return d, nil
}

func listOf(v any) []any {
	l, _ := v.([]any)
	return l
}

// Operations returns the operations by operationId.
func (d *Document) Operations() map[string]Described { return d.ops }

// CheckAnswer reports how an answer departs from what the document promises for the operation.
func (d *Document) CheckAnswer(id string, status int, contentType string, body []byte) error {
	op, ok := d.ops[id]
	if !ok {
		return fmt.Errorf("there is no operation %s", id)
	}
	resp, ok := op.responses[strconv.Itoa(status)].(map[string]any)
	if !ok {
		if status < 400 {
			return fmt.Errorf("%s: status %d is not described", id, status)
		}
		if resp, ok = d.resolve(op.responses["default"]); !ok {
			return fmt.Errorf("%s: no answer for failures is described", id)
		}
	}
	content, _ := resp["content"].(map[string]any)
	if content == nil {
		if len(body) > 0 {
			return fmt.Errorf("%s: a body came that is not described", id)
		}
		return nil
	}
	kind, _, _ := strings.Cut(contentType, ";")
	media, ok := content[kind].(map[string]any)
	if !ok {
		return fmt.Errorf("%s: media type %q is not described", id, contentType)
	}
	schema, ok := media["schema"]
	if !ok {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	var v any
	if err := dec.Decode(&v); err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return d.check(id, schema, v)
}

// resolve follows a reference within the document.
func (d *Document) resolve(v any) (map[string]any, bool) {
	m, ok := v.(map[string]any)
	ref, isRef := m["$ref"].(string)
	if !isRef {
		return m, ok
	}
	var at any = d.doc
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		next, _ := at.(map[string]any)
		at = next[part]
	}
	m, ok = at.(map[string]any)
	return m, ok
}

// check holds a value to a schema, as far as this package writes schemas.
func (d *Document) check(at string, rawSchema, v any) error {
	schema, ok := d.resolve(rawSchema)
	if !ok {
		return fmt.Errorf("%s: the schema %v is not there", at, rawSchema)
	}
	if any := listOf(schema["anyOf"]); any != nil {
		var all []error
		for _, s := range any {
			err := d.check(at, s, v)
			if err == nil {
				return nil
			}
			all = append(all, err)
		}
		return errors.Join(all...)
	}
	kind, _ := schema["type"].(string)
	wrong := fmt.Errorf("%s: %v is no %s", at, v, kind)
	switch kind {
	case "":
		return nil
	case "null":
		if v != nil {
			return wrong
		}
	case "string":
		s, is := v.(string)
		if !is {
			return wrong
		}
		return checkString(at, schema, s)
	case "boolean":
		if _, is := v.(bool); !is {
			return wrong
		}
	case "integer", "number":
		f, is := v.(float64)
		if !is || kind == "integer" && f != math.Trunc(f) {
			return wrong
		}
	case "array":
		items, is := v.([]any)
		if !is {
			return wrong
		}
		for i, item := range items {
			if err := d.check(at+"["+strconv.Itoa(i)+"]", schema["items"], item); err != nil {
				return err
			}
		}
	case "object":
		members, is := v.(map[string]any)
		if !is {
			return wrong
		}
		return d.checkObject(at, schema, members)
	default:
		return fmt.Errorf("%s: type %q is not known", at, kind)
	}
	return nil
}

func checkString(at string, schema map[string]any, s string) error {
	if enum := listOf(schema["enum"]); enum != nil && !slices.Contains(enum, any(s)) {
		return fmt.Errorf("%s: %q is not one of %v", at, s, enum)
	}
	if schema["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

func (d *Document) checkObject(at string, schema, members map[string]any) error {
	for _, name := range listOf(schema["required"]) {
		if _, there := members[fmt.Sprint(name)]; !there {
			return fmt.Errorf("%s: %v is missing", at, name)
		}
	}
	props, _ := schema["properties"].(map[string]any)
	for name, v := range members {
		s, known := props[name]
		if !known {
			s = schema["additionalProperties"]
			if s == nil || s == false {
				return fmt.Errorf("%s: %s is not described", at, name)
			}
		}
		if err := d.check(at+"."+name, s, v); err != nil {
			return err
		}
	}
	return nil
}
