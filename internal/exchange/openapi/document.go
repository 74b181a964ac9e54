// Package openapi reads descriptions of services: OpenAPI 3.0 and 3.1 documents in JSON or YAML, which come from outside
// and may be hostile. It tells which endpoints there are as the exchange matches them, says in plain words what changed
// between two versions, and hides where the agency's own system stands.
//
// Nothing is fetched: a $ref to another document is reported and left alone. Size, nesting and the number of values are
// bounded, also after YAML aliases were followed.
package openapi

import (
	"bytes"
	"slices"
	"strings"

	"truc/internal/errs"
)

// Endpoint is a method and a path pattern as access rules match it (specification of the exchange §3.2): "*" stands for a
// template parameter.
type Endpoint struct {
	Method, Path string
}

// Document is a description that was read.
type Document struct {
	// Version of the format, "3.0.3"; Title and Release are info.title and info.version.
	Version, Title, Release, Description string
	// Endpoints in the order of the document, each once.
	Endpoints []Endpoint
	// Server is the first server's address, empty when there is none; it is a suggestion, no more.
	Server string
	// Remote lists $refs to other documents. They are not fetched, so what they describe is unknown here.
	Remote []string

	root *value
}

// maxEndpoints and maxRemote bound what one document describes.
const (
	maxEndpoints = 2000
	maxRemote    = 20
	maxText      = 4000
)

// operations are the members of a path item that are operations (OpenAPI 3.1 §4.8.9).
var operations = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// Parse reads a document. Errors are Invalid or TooLarge and say what to mend.
func Parse(b []byte) (*Document, error) {
	root, err := read(b)
	if err != nil {
		return nil, err
	}
	d := &Document{root: root, Version: root.get("openapi").text(), Title: cut(root.at("info", "title").text()), Release: cut(root.at("info", "version").text())}
	d.Description = cut(root.at("info", "description").text())
	switch {
	case root.kind != object:
		return nil, invalid("no_openapi", nil)
	case root.get("swagger") != nil:
		return nil, invalid("swagger", nil)
	case d.Version == "":
		return nil, invalid("no_openapi", nil)
	case d.Version != "3.0" && d.Version != "3.1" && !strings.HasPrefix(d.Version, "3.0.") && !strings.HasPrefix(d.Version, "3.1."):
		return nil, invalid("version", nil, "version", cut(d.Version))
	case d.Title == "":
		return nil, invalid("no_title", nil)
	}
	if servers := root.get("servers"); servers != nil && len(servers.kids) > 0 {
		d.Server = cut(servers.kids[0].get("url").text())
	}
	d.findRemote(root, 0)
	return d, d.readEndpoints()
}

func cut(s string) string {
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText])
	}
	return s
}

func (d *Document) findRemote(v *value, depth int) {
	if ref := v.get("$ref").text(); ref != "" && !strings.HasPrefix(ref, "#") && len(d.Remote) < maxRemote && !slices.Contains(d.Remote, ref) {
		d.Remote = append(d.Remote, cut(ref))
	}
	for _, kid := range v.kids {
		d.findRemote(kid, depth+1)
	}
}

func (d *Document) readEndpoints() error {
	paths := d.root.get("paths")
	if paths == nil || paths.kind != object {
		return invalid("no_paths", nil)
	}
	for i, path := range paths.keys {
		if strings.HasPrefix(path, "x-") {
			continue
		}
		pattern, err := Pattern(path)
		if err != nil {
			return err
		}
		item := d.resolve(paths.kids[i])
		if item == nil || item.kind != object {
			return invalid("path_item", nil, "path", path)
		}
		for _, op := range operations {
			if item.get(op) == nil {
				continue
			}
			e := Endpoint{Method: strings.ToUpper(op), Path: pattern}
			if !slices.Contains(d.Endpoints, e) {
				d.Endpoints = append(d.Endpoints, e)
			}
			if len(d.Endpoints) > maxEndpoints {
				return invalid("too_many", nil)
			}
		}
	}
	if len(d.Endpoints) == 0 {
		return invalid("no_paths", nil)
	}
	return nil
}

// Pattern turns a templated path, "/stations/{id}/readings", into the exchange's pattern, "/stations/*/readings". Stars
// and backslashes of the path itself become literal.
func Pattern(path string) (string, error) {
	bad := func() (string, error) { return "", invalid("path", nil, "path", cut(path)) }
	if !strings.HasPrefix(path, "/") || len(path) > 1000 {
		return bad()
	}
	var b strings.Builder
	for rest := path; rest != ""; {
		switch c := rest[0]; {
		case c == '{':
			end := strings.IndexByte(rest, '}')
			if end < 2 || strings.ContainsAny(rest[1:end], "{/") {
				return bad()
			}
			if !strings.HasSuffix(b.String(), "*") || strings.HasSuffix(b.String(), `\*`) {
				b.WriteByte('*') // "{a}{b}" is one run of anything: two stars would cross slashes
			}
			rest = rest[end+1:]
			continue
		case c == '}' || c < 0x20 || c == 0x7f || c == '?' || c == '#':
			return bad()
		case c == '*' || c == '\\':
			b.WriteByte('\\')
		}
		b.WriteByte(rest[0])
		rest = rest[1:]
	}
	return b.String(), nil
}

// resolve follows local references to where they lead; nil when they lead nowhere, elsewhere or in a circle.
func (d *Document) resolve(v *value) *value {
	for range 16 {
		ref := v.get("$ref")
		if ref == nil {
			return v
		}
		v = d.lookup(ref.text())
		if v == nil {
			return nil
		}
	}
	return nil
}

// lookup follows a JSON pointer in the document (RFC 6901), "#/components/schemas/Reading".
func (d *Document) lookup(ref string) *value {
	pointer, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	v := d.root
	for part := range strings.SplitSeq(pointer, "/") {
		v = v.get(strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~"))
		if v == nil {
			return nil
		}
	}
	return v
}

// Published returns the document as JSON for everybody who may see the service: every list of servers is replaced by the
// one address given, so that nobody learns where the agency's own system stands.
func (d *Document) Published(server string) ([]byte, error) {
	var b bytes.Buffer
	if err := hide(d.root, server, true).write(&b); err != nil {
		return nil, errs.E(errs.Internal, "error.internal", err)
	}
	return b.Bytes(), nil
}

// HideServers is [Document.Published] for a document in bytes.
func HideServers(doc []byte, server string) ([]byte, error) {
	d, err := Parse(doc)
	if err != nil {
		return nil, err
	}
	return d.Published(server)
}

// hide copies a value without its servers. A member named "servers" of a map of names, such as schemas, is somebody's
// property and stays; OpenAPI's own are lists of objects with an url, a link's "server" is such an object.
func hide(v *value, server string, top bool) *value {
	out := &value{kind: v.kind, scalar: v.scalar, keys: slices.Clone(v.keys), kids: make([]*value, len(v.kids))}
	for i, kid := range v.kids {
		out.kids[i] = hide(kid, server, false)
	}
	if v.kind != object {
		return out
	}
	if s := v.get("servers"); isServers(s) {
		out.remove("servers")
	}
	if isServer(v.get("server")) {
		out.remove("server")
	}
	if top {
		out.remove("servers")
		out.set("servers", &value{kind: array, kids: []*value{{kind: object, keys: []string{"url"}, kids: []*value{textValue(server)}}}})
	}
	return out
}

func isServers(v *value) bool {
	return v != nil && v.kind == array && (len(v.kids) == 0 || slices.ContainsFunc(v.kids, isServer))
}

// isServer tells a server object from a schema that describes something named server: its url is a text.
func isServer(v *value) bool { return v.get("url").text() != "" }
