package manage

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"truc/internal/web"
)

// Document returns the OpenAPI 3.1 document of the operations, as indented JSON with sorted members, so that two nodes
// of one release give the same bytes.
func (a *API) Document() ([]byte, error) {
	s := schemas{byType: map[reflect.Type]string{}, defs: map[string]any{}}
	paths := map[string]any{}
	problem, err := s.of(reflect.TypeFor[web.Problem]())
	if err != nil {
		return nil, err
	}
	for _, o := range a.ops {
		p := pathName.ReplaceAllString(o.Path, "{$1}")
		item, _ := paths[p].(map[string]any)
		if item == nil {
			item = map[string]any{}
			paths[p] = item
		}
		d, err := o.describe(&s)
		if err != nil {
			return nil, fmt.Errorf("manage: operation %s: %w", o.ID, err)
		}
		item[strings.ToLower(o.Method)] = d
	}
	return json.MarshalIndent(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": a.Title, "version": a.Version,
			"description": "Every operation needs the key of an operator as a bearer token and one of the roles it names (x-roles); " +
				strconv.Itoa(perSecond) + " requests a second and " + strconv.Itoa(perMinute) + " a minute are answered for each client address. " +
				"An act (x-audit) is recorded in the node's audit log before it happens. Errors are RFC 9457 problem documents.",
		},
		"servers":  []any{map[string]any{"url": "/"}},
		"security": []any{map[string]any{"operatorKey": []string{}}},
		"paths":    paths,
		"components": map[string]any{
			"schemas":         s.defs,
			"securitySchemes": map[string]any{"operatorKey": map[string]any{"type": "http", "scheme": "bearer"}},
			"responses": map[string]any{"Problem": map[string]any{
				"description": "The operation failed, or was refused.",
				"content":     map[string]any{"application/problem+json": map[string]any{"schema": problem}},
			}},
		},
	}, "", "  ")
}

func (o *operation) describe(s *schemas) (map[string]any, error) {
	d := map[string]any{"operationId": o.ID, "summary": o.Summary, "tags": []string{o.Tag}, "x-roles": o.Roles}
	if o.Act != "" {
		d["x-audit"] = o.Act
	}
	params := []any{}
	for _, where := range []string{"path", "query"} {
		for _, f := range o.fieldsAt(where) {
			_, name := place(f)
			schema, err := s.field(f)
			if err != nil {
				return nil, err
			}
			p := map[string]any{"name": name, "in": where, "schema": schema}
			if where == "path" {
				p["required"] = true
			}
			if text := f.Tag.Get("doc"); text != "" {
				p["description"] = text
			}
			params = append(params, p)
		}
	}
	if len(params) > 0 {
		d["parameters"] = params
	}
	body, err := o.requestBody(s)
	if err != nil {
		return nil, err
	}
	if body != nil {
		d["requestBody"] = body
	}
	success, err := o.response(s)
	if err != nil {
		return nil, err
	}
	d["responses"] = map[string]any{strconv.Itoa(o.status()): success, "default": map[string]any{"$ref": "#/components/responses/Problem"}}
	return d, nil
}

func (o *operation) requestBody(s *schemas) (map[string]any, error) {
	if len(o.fieldsAt("raw")) > 0 {
		return map[string]any{"required": true, "content": map[string]any{or(o.Consumes, "application/octet-stream"): map[string]any{}}}, nil
	}
	fields := o.fieldsAt("body")
	if len(fields) == 0 {
		return nil, nil
	}
	schema, err := s.object(fields)
	if err != nil {
		return nil, err
	}
	return map[string]any{"required": true, "content": map[string]any{"application/json": map[string]any{"schema": schema}}}, nil
}

func (o *operation) response(s *schemas) (map[string]any, error) {
	text := http.StatusText(o.status())
	switch o.out {
	case emptyType:
		return map[string]any{"description": text}, nil
	case fileType:
		return map[string]any{"description": text, "content": map[string]any{or(o.Produces, "application/octet-stream"): map[string]any{}}}, nil
	case linesType:
		return map[string]any{"description": "JSON lines", "content": map[string]any{"application/x-ndjson": map[string]any{}}}, nil
	}
	schema, err := s.of(o.out)
	if err != nil {
		return nil, err
	}
	return map[string]any{"description": text, "content": map[string]any{"application/json": map[string]any{"schema": schema}}}, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// schemas makes JSON Schemas (2020-12, as OpenAPI 3.1 uses them) of Go types; named structs become components.
type schemas struct {
	byType map[reflect.Type]string
	defs   map[string]any
}

var (
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
)

func (s *schemas) of(t reflect.Type) (map[string]any, error) {
	switch {
	case t == timeType:
		return map[string]any{"type": "string", "format": "date-time"}, nil
	case t == reflect.TypeFor[json.RawMessage](), t.Implements(jsonMarshaler):
		return map[string]any{}, nil
	case t.Implements(textMarshaler):
		return map[string]any{"type": "string"}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}, nil
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		return map[string]any{"type": "integer"}, nil
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}, nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}, nil
		}
		items, err := s.of(t.Elem())
		return map[string]any{"type": "array", "items": items}, err
	case reflect.Map:
		values, err := s.of(t.Elem())
		return map[string]any{"type": "object", "additionalProperties": values}, err
	case reflect.Pointer:
		inner, err := s.of(t.Elem())
		return map[string]any{"anyOf": []any{inner, map[string]any{"type": "null"}}}, err
	case reflect.Interface:
		return map[string]any{}, nil
	case reflect.Struct:
		return s.component(t)
	default:
		return nil, fmt.Errorf("%s cannot be described", t)
	}
}

// component describes a struct once and refers to it.
func (s *schemas) component(t reflect.Type) (map[string]any, error) {
	if t.Name() == "" || strings.Contains(t.Name(), "[") { // no name, or one that no document may hold
		return s.object(fieldsOf(t))
	}
	name, known := s.byType[t]
	if !known {
		name = upper(t.Name())
		if _, taken := s.defs[name]; taken {
			name = upper(path.Base(t.PkgPath())) + name
		}
		s.byType[t], s.defs[name] = name, nil // first the name, for types that hold themselves
		schema, err := s.object(fieldsOf(t))
		if err != nil {
			return nil, err
		}
		s.defs[name] = schema
	}
	return map[string]any{"$ref": "#/components/schemas/" + name}, nil
}

func upper(s string) string {
	r := []rune(s)
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}

// fieldsOf returns the fields as encoding/json sees them, embedded structs laid open.
func fieldsOf(t reflect.Type) []reflect.StructField {
	var out []reflect.StructField
	for f := range t.Fields() {
		tag, hasTag := f.Tag.Lookup("json")
		switch {
		case tag == "-":
		case f.Anonymous && !hasTag && f.Type.Kind() == reflect.Struct:
			out = append(out, fieldsOf(f.Type)...)
		case f.IsExported():
			out = append(out, f)
		}
	}
	return out
}

func (s *schemas) object(fields []reflect.StructField) (map[string]any, error) {
	props, required := map[string]any{}, []string{}
	for _, f := range fields {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		schema, err := s.field(f)
		if err != nil {
			return nil, err
		}
		if text := f.Tag.Get("doc"); text != "" {
			schema["description"] = text
		}
		props[name] = schema
		if !strings.Contains(opts, "omitempty") && !strings.Contains(opts, "omitzero") {
			required = append(required, name)
		}
	}
	out := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out, nil
}

func (s *schemas) field(f reflect.StructField) (map[string]any, error) {
	schema, err := s.of(f.Type)
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", f.Name, err)
	}
	if e := enumOf(f); e != nil && f.Type.Kind() == reflect.String {
		schema["enum"] = e
	}
	return schema, nil
}
