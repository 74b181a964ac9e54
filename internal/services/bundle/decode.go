package bundle

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/i18n"
)

// decoder fills structs from nodes and reports everything that does not fit, with lines. Struct fields carry
// `yaml:"key"` or `yaml:"key,required"`; a key that no field names is a problem.
type decoder struct {
	file string
	bad  func(file string, line int, key string, args ...any)
}

var (
	textType   = reflect.TypeFor[i18n.Text]()
	timeType   = reflect.TypeFor[time.Time]()
	nodeType   = reflect.TypeFor[*node]()
	yearsType  = reflect.TypeFor[Years]()
	sourceType = reflect.TypeFor[Source]()
	needType   = reflect.TypeFor[Need]()
	pctType    = reflect.TypeFor[percent]()
	exprType   = reflect.TypeFor[Expr]()
	ptrType    = reflect.TypeFor[Pointer]()
	anyType    = reflect.TypeFor[any]()
)

// percent is a whole percentage written "60%" or 60.
type percent int

func (d *decoder) decode(n *node, out any) { d.value(n, reflect.ValueOf(out).Elem()) }

func (d *decoder) wrong(n *node, want string) { d.bad(d.file, n.line, "wrongType", "want", want) }

func (d *decoder) value(n *node, v reflect.Value) {
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(n))
		return
	}
	if n.kind == nullNode {
		return
	}
	if d.special(n, v) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem())
	case reflect.Struct:
		d.object(n, v)
	case reflect.Map:
		if n.kind != mapNode {
			d.wrong(n, "bảng khóa: giá trị / mapping")
			return
		}
		v.Set(reflect.MakeMap(v.Type()))
		for i, k := range n.keys {
			el := reflect.New(v.Type().Elem()).Elem()
			d.value(n.kids[i], el)
			v.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), el)
		}
	case reflect.Slice:
		kids := n.kids
		if n.kind != seqNode {
			kids = []*node{n} // `from: submitted` is a list of one
		}
		for _, kid := range kids {
			if kid.kind == nullNode {
				d.wrong(kid, "một phần tử / an item")
				continue
			}
			el := reflect.New(v.Type().Elem()).Elem()
			d.value(kid, el)
			v.Set(reflect.Append(v, el))
		}
	default:
		d.scalar(n, v)
	}
}

func (d *decoder) scalar(n *node, v reflect.Value) {
	if n.kind != scalarNode {
		d.wrong(n, "một giá trị / a single value")
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.text)
	case reflect.Bool:
		b, ok := n.value.(bool)
		if !ok {
			d.wrong(n, "true / false")
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		i, ok := n.value.(int64)
		if !ok {
			d.wrong(n, "số nguyên / whole number")
			return
		}
		v.SetInt(i)
	default:
		panic(fmt.Sprintf("bundle: no decoding for %s", v.Type()))
	}
}

func (d *decoder) object(n *node, v reflect.Value) {
	if n.kind != mapNode {
		d.wrong(n, "bảng khóa: giá trị / mapping")
		return
	}
	var known []string
	t := v.Type()
	fields := map[string]int{}
	for i := range t.NumField() {
		name, opts, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		known = append(known, name)
		fields[name] = i
		if opts == "required" {
			if kid := n.get(name); kid == nil || kid.kind == nullNode {
				d.bad(d.file, n.line, "missingKey", "key", name)
			}
		}
	}
	for i, k := range n.keys {
		f, ok := fields[k]
		if !ok {
			d.bad(d.file, n.keyLines[i], "unknownKey", "key", k, "known", strings.Join(known, ", "))
			continue
		}
		d.value(n.kids[i], v.Field(f))
	}
}

// special decodes the types that have a written form of their own.
func (d *decoder) special(n *node, v reflect.Value) bool {
	switch v.Type() {
	case textType:
		d.text(n, v)
	case timeType:
		t, err := time.ParseInLocation(time.DateOnly, n.text, i18n.Zone)
		if err != nil {
			d.wrong(n, "ngày năm-tháng-ngày, ví dụ 2026-07-01 / date")
			return true
		}
		v.Set(reflect.ValueOf(t))
	case yearsType:
		if n.text == "permanent" {
			return true
		}
		i, err := strconv.Atoi(n.text)
		if err != nil || i < 1 || i > 200 {
			d.wrong(n, "số năm hoặc permanent / years or permanent")
			return true
		}
		v.SetInt(int64(i))
	case pctType:
		i, err := strconv.Atoi(strings.TrimSuffix(n.text, "%"))
		if err != nil || i < 0 || i > 100 {
			d.wrong(n, "phần trăm, ví dụ 60% / percentage")
			return true
		}
		v.SetInt(int64(i))
	case exprType:
		if n.kind != scalarNode {
			d.wrong(n, "biểu thức CEL / CEL expression")
			return true
		}
		v.SetString(strings.TrimSpace(n.text))
	case ptrType:
		if n.kind != scalarNode || !strings.HasPrefix(n.text, "/") {
			d.wrong(n, "JSON pointer, ví dụ /requester/fullName")
			return true
		}
		v.SetString(n.text)
	case sourceType:
		s, ok := parseSource(n.text)
		if !ok {
			d.bad(d.file, n.line, "badSource", "source", n.text)
			return true
		}
		v.Set(reflect.ValueOf(s))
	case needType:
		d.need(n, v)
	case anyType:
		if p := n.plain(); p != nil {
			v.Set(reflect.ValueOf(p))
		}
	default:
		return false
	}
	return true
}

func (d *decoder) text(n *node, v reflect.Value) {
	t := i18n.Text{}
	switch n.kind {
	case scalarNode:
		t["vi"] = i18n.NFC(n.text)
	case mapNode:
		for i, k := range n.keys {
			if !slices.Contains(i18n.Langs, k) {
				d.bad(d.file, n.keyLines[i], "unknownKey", "key", k, "known", strings.Join(i18n.Langs, ", "))
				continue
			}
			t[k] = i18n.NFC(n.kids[i].text)
		}
		if t["vi"] == "" {
			d.bad(d.file, n.line, "missingKey", "key", "vi")
		}
	default:
		d.wrong(n, "văn bản hoặc {vi, en} / text or {vi, en}")
		return
	}
	v.Set(reflect.ValueOf(t))
}

func (d *decoder) need(n *node, v reflect.Value) {
	need := Need{Word: n.text}
	if n.kind == mapNode && len(n.keys) == 1 && n.keys[0] == "letter" {
		need = Need{Letter: n.kids[0].text}
	} else if !slices.Contains([]string{"reason", "approver", "legalBasis"}, n.text) {
		d.bad(d.file, n.line, "unknownWord", "word", n.text, "known", "reason, approver, legalBasis, {letter: templates/….html}")
		return
	}
	v.Set(reflect.ValueOf(need))
}

// parseSource reads "register:population/person#fullName" or "profile#phone".
func parseSource(s string) (Source, bool) {
	head, field, ok := strings.Cut(s, "#")
	if !ok || field == "" {
		return Source{}, false
	}
	if head == "profile" {
		return Source{Kind: "profile", Field: field}, true
	}
	service, ok := strings.CutPrefix(head, "register:")
	if !ok {
		return Source{}, false
	}
	register, record, ok := strings.Cut(service, "/")
	if !ok || register == "" || record == "" || strings.Contains(record, "/") {
		return Source{}, false
	}
	return Source{Kind: "register", Register: register, Record: record, Field: field}, true
}
