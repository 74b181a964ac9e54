package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
)

// RawBody is an input field that takes the whole body of a request as it came, such as an OpenAPI file.
type RawBody []byte

// File is an output that is a file: Data, or what Write writes, which may be of any size.
type File struct {
	Name, Type string
	Data       []byte
	Write      func(w io.Writer) error
}

// List is the output of operations that list something: an object, so that more can be said beside it later.
type List[T any] struct {
	Items []T `json:"items"`
}

// None is the input of operations that take nothing.
type None struct{}

// Lines is an output of JSON lines (application/x-ndjson): Write is called once and passes each value on. Next, when
// not empty, becomes the header Next-Records-From.
type Lines struct {
	Next  string
	Write func(line func(v any) error) error
}

var (
	rawBodyType = reflect.TypeFor[RawBody]()
	fileType    = reflect.TypeFor[File]()
	linesType   = reflect.TypeFor[Lines]()
	timeType    = reflect.TypeFor[time.Time]()
	emptyType   = reflect.TypeFor[struct{}]()
)

var pathName = regexp.MustCompile(`\{([a-zA-Z]+)(\.\.\.)?\}`)

func pathNames(pattern string) []string {
	var out []string
	for _, m := range pathName.FindAllStringSubmatch(pattern, -1) {
		out = append(out, m[1])
	}
	return out
}

// place says where a field of the input comes from: "path", "query", "raw" or "body".
func place(f reflect.StructField) (where, name string) {
	if n := f.Tag.Get("path"); n != "" {
		return "path", n
	}
	if n := f.Tag.Get("query"); n != "" {
		return "query", n
	}
	if f.Type == rawBodyType {
		return "raw", ""
	}
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	return "body", name
}

func (o *operation) fieldsAt(where string) []reflect.StructField {
	var out []reflect.StructField
	for f := range o.in.Fields() {
		if at, _ := place(f); at == where {
			out = append(out, f)
		}
	}
	return out
}

func (o *operation) checkInput() error {
	named := pathNames(o.Path)
	for _, f := range o.fieldsAt("path") {
		_, n := place(f)
		i := slices.Index(named, n)
		if i < 0 || f.Type.Kind() != reflect.String {
			return fmt.Errorf("field %s is no text of the path", f.Name)
		}
		named = slices.Delete(named, i, i+1)
	}
	if len(named) > 0 {
		return fmt.Errorf("the path names %v, which the input does not take", named)
	}
	for _, f := range o.fieldsAt("query") {
		switch f.Type.Kind() {
		case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		default:
			return fmt.Errorf("field %s of the query is no text, number or truth", f.Name)
		}
	}
	body, raw := o.fieldsAt("body"), o.fieldsAt("raw")
	if len(raw) > 1 || len(raw) > 0 && len(body) > 0 {
		return errors.New("a raw body stands alone")
	}
	if o.Method == http.MethodGet && len(body)+len(raw) > 0 {
		return errors.New("a GET has no body")
	}
	for _, f := range body {
		if n, _, _ := strings.Cut(f.Tag.Get("json"), ","); n == "" {
			return fmt.Errorf("field %s has no json name", f.Name)
		}
	}
	return nil
}

// read fills the input; whatever is unknown or of a wrong type is refused.
func (o *operation) read(w http.ResponseWriter, r *http.Request, in reflect.Value) error {
	for _, f := range o.fieldsAt("path") {
		_, n := place(f)
		v := r.PathValue(n)
		if v == "" || len(v) > 1024 || !cleanText(v) {
			return badInput(n, nil)
		}
		in.FieldByIndex(f.Index).SetString(v)
	}
	if err := o.readQuery(r, in); err != nil {
		return err
	}
	body, raw := o.fieldsAt("body"), o.fieldsAt("raw")
	if len(body)+len(raw) == 0 {
		return nil
	}
	limit := o.MaxBody
	if limit <= 0 {
		limit = defaultMaxBody
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return err
	}
	if len(raw) > 0 {
		in.FieldByIndex(raw[0].Index).SetBytes(b)
		return nil
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return errs.E(errs.Invalid, "web.manage.not_json", nil)
	}
	return o.readBody(b, in, body)
}

func (o *operation) readQuery(r *http.Request, in reflect.Value) error {
	q := web.Query(r)
	known := map[string]bool{}
	for _, f := range o.fieldsAt("query") {
		_, n := place(f)
		known[n] = true
		if !q.Has(n) {
			continue
		}
		if err := setText(in.FieldByIndex(f.Index), q.Get(n)); err != nil {
			return badInput(n, err)
		}
		if err := inEnum(f, q.Get(n)); err != nil {
			return badInput(n, err)
		}
	}
	for n := range q {
		if !known[n] {
			return badInput(n, errors.New("not a parameter of the operation"))
		}
	}
	return nil
}

func setText(v reflect.Value, s string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		v.SetBool(b)
		return err
	default:
		n, err := strconv.ParseInt(s, 10, 64)
		v.SetInt(n)
		return err
	}
	return nil
}

func (o *operation) readBody(b []byte, in reflect.Value, fields []reflect.StructField) error {
	var members map[string]json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&members); err != nil || members == nil {
		return badInput("body", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badInput("body", errors.New("something follows the object"))
	}
	for _, f := range fields {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		raw, there := members[name]
		delete(members, name)
		if !there {
			if !strings.Contains(opts, "omitempty") {
				return badInput(name, errors.New("missing"))
			}
			continue
		}
		fd := json.NewDecoder(bytes.NewReader(raw))
		fd.DisallowUnknownFields()
		v := in.FieldByIndex(f.Index)
		if err := fd.Decode(v.Addr().Interface()); err != nil {
			return badInput(name, err)
		}
		if v.Kind() == reflect.String {
			if !cleanText(v.String()) {
				return badInput(name, errors.New("a control character"))
			}
			v.SetString(i18n.NFC(v.String()))
			if err := inEnum(f, v.String()); err != nil {
				return badInput(name, err)
			}
		}
	}
	for name := range members {
		return badInput(name, errors.New("not a member of the body"))
	}
	return nil
}

// cleanText reports whether a text holds no control characters but tabs and ends of lines.
func cleanText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f || r == '\uFFFD' })
}

func enumOf(f reflect.StructField) []string {
	if e := f.Tag.Get("enum"); e != "" {
		return strings.Split(e, ",")
	}
	return nil
}

func inEnum(f reflect.StructField, s string) error {
	if e := enumOf(f); e != nil && !slices.Contains(e, s) {
		return fmt.Errorf("not one of %v", e)
	}
	return nil
}

// BadInput is the refusal of a field that a handler finds wrong.
func BadInput(name string, err error) error { return badInput(name, err) }

// badInput names the field; the name is of our own declarations or is cut to what is safe to repeat.
func badInput(name string, err error) error {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return -1
	}, name)
	return errs.E(errs.Invalid, "web.manage.input", err, "field", safe[:min(len(safe), 40)])
}

// write answers with the output.
func (o *operation) write(w http.ResponseWriter, out reflect.Value) error {
	switch v := out.Interface().(type) {
	case File:
		return web.WriteFile(w, web.File{Name: v.Name, Type: v.Type, Data: v.Data, Write: v.Write})
	case Lines:
		w.Header().Set("Content-Type", "application/x-ndjson")
		if v.Next != "" {
			w.Header().Set("Next-Records-From", v.Next)
		}
		enc := json.NewEncoder(w)
		return v.Write(enc.Encode)
	case struct{}:
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	filled := reflect.New(out.Type()).Elem()
	filled.Set(out)
	fillNil(filled)
	return web.WriteJSON(w, o.status(), filled.Interface())
}

func (o *operation) status() int {
	switch {
	case o.Status != 0:
		return o.Status
	case o.out == emptyType:
		return http.StatusNoContent
	}
	return http.StatusOK
}

// fillNil makes empty lists of nil ones, because the document promises lists and not null.
func fillNil(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		if v.IsNil() && v.CanSet() && v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
			return
		}
		for i := range v.Len() {
			fillNil(v.Index(i))
		}
	case reflect.Map:
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeMap(v.Type()))
		}
	case reflect.Struct:
		if v.Type() == timeType {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillNil(v.Field(i))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fillNil(v.Elem())
		}
	default:
	}
}
