package openapi

import (
	"bytes"
	"slices"
	"strings"
)

// Change is one difference between two versions of a document, to be said in plain words by its Key and Args.
type Change struct {
	// Where is an endpoint, "GET /stations/{id}", or a schema, "Reading".
	Where string
	// Key names the sentence, Args its values.
	Key  string
	Args []any
	// Breaking changes may stop programs that call the service today.
	Breaking bool
}

// maxChanges bounds a comparison; a document that differs more is another one.
const maxChanges = 1000

type comparison struct {
	from, to *Document
	out      []Change
	where    string
}

func (c *comparison) add(breaking bool, key string, args ...any) {
	if len(c.out) < maxChanges {
		c.out = append(c.out, Change{Where: c.where, Key: "exchange.publish.change." + key, Args: args, Breaking: breaking})
	}
}

// Compare tells what changed from one version to the next: endpoints first, then shared schemas. Descriptions, examples
// and the order of things do not count.
func Compare(from, to *Document) []Change {
	c := &comparison{from: from, to: to}
	before, after := from.byOperation(), to.byOperation()
	for _, op := range before.names {
		c.where = op
		if after.of[op] == nil {
			c.add(true, "endpoint_removed")
		}
	}
	for _, op := range after.names {
		c.where = op
		if before.of[op] == nil {
			c.add(false, "endpoint_added")
			continue
		}
		c.operation(before.of[op], after.of[op])
	}
	c.components()
	return c.out
}

// operationSet is the operations of a document by "GET /path".
type operationSet struct {
	names []string
	of    map[string]*operation
}

type operation struct {
	item, op *value
	doc      *Document
}

func (d *Document) byOperation() operationSet {
	s := operationSet{of: map[string]*operation{}}
	paths := d.root.get("paths")
	for i, path := range paths.keys {
		item := d.resolve(paths.kids[i])
		for _, m := range operations {
			if op := item.get(m); op != nil && !strings.HasPrefix(path, "x-") {
				name := strings.ToUpper(m) + " " + path
				s.names, s.of[name] = append(s.names, name), &operation{item: item, op: op, doc: d}
			}
		}
	}
	return s
}

// parameters of an operation by "query name"; those of the path item come first and may be replaced.
func (o *operation) parameters() (names []string, of map[string]*value) {
	of = map[string]*value{}
	for _, list := range []*value{o.item.get("parameters"), o.op.get("parameters")} {
		if list == nil {
			continue
		}
		for _, p := range list.kids {
			if p = o.doc.resolve(p); p == nil { // described elsewhere
				continue
			}
			name := p.get("in").text() + " " + p.get("name").text()
			if of[name] == nil {
				names = append(names, name)
			}
			of[name] = p
		}
	}
	return names, of
}

func (c *comparison) operation(a, b *operation) {
	if !a.op.get("deprecated").isTrue() && b.op.get("deprecated").isTrue() {
		c.add(false, "deprecated")
	}
	before, pa := a.parameters()
	after, pb := b.parameters()
	for _, name := range before {
		if pb[name] == nil {
			c.add(false, "parameter_removed", "name", name)
		}
	}
	for _, name := range after {
		p, old := pb[name], pa[name]
		required := p.get("required").isTrue()
		switch {
		case old == nil && required:
			c.add(true, "parameter_added_required", "name", name)
		case old == nil:
			c.add(false, "parameter_added", "name", name)
		default:
			if required && !old.get("required").isTrue() {
				c.add(true, "parameter_required", "name", name)
			}
			c.schema("«"+name+"»", old.get("schema"), p.get("schema"), 0)
		}
	}
	c.body(a.doc.resolve(a.op.get("requestBody")), b.doc.resolve(b.op.get("requestBody")))
	c.responses(a, b)
}

func (c *comparison) body(a, b *value) {
	required := b.get("required").isTrue()
	switch {
	case a == nil && b == nil:
		return
	case a == nil:
		c.add(required, "body_added")
		return
	case b == nil:
		c.add(true, "body_removed")
		return
	case required && !a.get("required").isTrue():
		c.add(true, "body_required")
	}
	c.content("body", a.get("content"), b.get("content"))
}

// content compares media types; what names the place in the sentence.
func (c *comparison) content(what string, a, b *value) {
	for _, typ := range keys(a) {
		if b.get(typ) == nil {
			c.add(true, "media_removed", "place", what, "type", typ)
		}
	}
	for _, typ := range keys(b) {
		if a.get(typ) == nil {
			c.add(false, "media_added", "place", what, "type", typ)
			continue
		}
		c.schema(what, a.at(typ, "schema"), b.at(typ, "schema"), 0)
	}
}

func (c *comparison) responses(a, b *operation) {
	ra, rb := a.op.get("responses"), b.op.get("responses")
	for _, status := range keys(ra) {
		if rb.get(status) == nil {
			c.add(strings.HasPrefix(status, "2"), "response_removed", "status", status)
		}
	}
	for _, status := range keys(rb) {
		if ra.get(status) == nil {
			c.add(false, "response_added", "status", status)
			continue
		}
		c.content(status, a.doc.resolve(ra.get(status)).get("content"), b.doc.resolve(rb.get(status)).get("content"))
	}
}

func (c *comparison) components() {
	a, b := c.from.root.at("components", "schemas"), c.to.root.at("components", "schemas")
	for _, name := range keys(a) {
		c.where = name
		if b.get(name) == nil {
			c.add(false, "schema_removed")
		}
	}
	for _, name := range keys(b) {
		c.where = name
		if a.get(name) != nil {
			c.schema("", a.get(name), b.get(name), 0)
		}
	}
}

// said are the keywords of a schema that have sentences of their own; silent change nothing for a program.
var (
	said   = []string{"$ref", "type", "format", "properties", "required", "items", "enum"}
	silent = []string{"description", "title", "example", "examples", "externalDocs", "deprecated", "summary"}
)

// schema compares two schemas; place is the way from the endpoint or the shared schema to here. Shared schemas behind
// the same name are compared once, where they stand.
func (c *comparison) schema(place string, a, b *value, depth int) {
	if a == nil && b == nil || depth > 20 {
		return
	}
	if a.get("$ref") != nil || b.get("$ref") != nil {
		if from, to := a.get("$ref").text(), b.get("$ref").text(); from != to {
			c.add(true, "other_schema", "place", place, "from", refName(from), "to", refName(to))
		}
		return
	}
	for _, k := range []string{"type", "format"} {
		if from, to := plain(a.get(k)), plain(b.get(k)); from != to {
			c.add(true, "type", "place", place, "from", orDash(from), "to", orDash(to))
		}
	}
	c.enum(place, a.get("enum"), b.get("enum"))
	was, is := required(a), required(b)
	pa, pb := a.get("properties"), b.get("properties")
	for _, f := range keys(pa) {
		if pb.get(f) == nil {
			c.add(true, "field_removed", "name", join(place, f))
		}
	}
	for _, f := range keys(pb) {
		switch {
		case pa.get(f) == nil && slices.Contains(is, f):
			c.add(true, "field_added_required", "name", join(place, f))
		case pa.get(f) == nil:
			c.add(false, "field_added", "name", join(place, f))
		default:
			if slices.Contains(is, f) != slices.Contains(was, f) {
				key := map[bool]string{true: "field_required", false: "field_optional"}[slices.Contains(is, f)]
				c.add(true, key, "name", join(place, f))
			}
			c.schema(join(place, f), pa.get(f), pb.get(f), depth+1)
		}
	}
	c.schema(join(place, "[]"), a.get("items"), b.get("items"), depth+1)
	for _, k := range union(keys(a), keys(b)) {
		if !slices.Contains(said, k) && !slices.Contains(silent, k) && plain(a.get(k)) != plain(b.get(k)) {
			c.add(true, "keyword", "place", orDash(place), "keyword", k)
		}
	}
}

func (c *comparison) enum(place string, a, b *value) {
	if a == nil && b == nil {
		return
	}
	var gone, come []string
	from, to := plains(a), plains(b)
	for _, v := range from {
		if !slices.Contains(to, v) {
			gone = append(gone, v)
		}
	}
	for _, v := range to {
		if !slices.Contains(from, v) {
			come = append(come, v)
		}
	}
	if len(gone) > 0 {
		c.add(true, "enum_removed", "place", place, "values", strings.Join(gone, ", "))
	}
	if len(come) > 0 {
		c.add(true, "enum_added", "place", place, "values", strings.Join(come, ", "))
	}
}

func keys(v *value) []string {
	if v == nil || v.kind != object {
		return nil
	}
	return v.keys
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, k := range b {
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

func required(v *value) []string {
	var out []string
	if list := v.get("required"); list != nil && list.kind == array {
		for _, kid := range list.kids {
			out = append(out, kid.text())
		}
	}
	return out
}

func plains(v *value) []string {
	if v == nil {
		return nil
	}
	out := make([]string, len(v.kids))
	for i, kid := range v.kids {
		out[i] = plain(kid)
	}
	return out
}

// plain is a short text of a value, for comparison and for sentences.
func plain(v *value) string {
	if v == nil {
		return ""
	}
	if s, ok := v.scalar.(string); ok && v.kind == scalar {
		return s
	}
	var b bytes.Buffer
	if err := v.write(&b); err != nil {
		return ""
	}
	return b.String()
}

func refName(ref string) string {
	if i := strings.LastIndexByte(ref, '/'); i >= 0 {
		ref = ref[i+1:]
	}
	return orDash(ref)
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func join(place, name string) string {
	if place == "" {
		return name
	}
	return place + "." + name
}
