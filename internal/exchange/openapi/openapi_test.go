package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
)

func load(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/stations.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t *testing.T, b []byte) *Document {
	t.Helper()
	d, err := Parse(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return d
}

// X4: endpoints come from the description, {x} becomes "*".
func TestParse(t *testing.T) {
	d := parse(t, load(t))
	want := []Endpoint{{"GET", "/stations"}, {"GET", "/stations/*/readings"}, {"POST", "/stations/*/readings"}, {"DELETE", `/x-not\*a*`}}
	if diff := cmp.Diff(want, d.Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if d.Title != "Trạm quan trắc" || d.Release != "1.0" || d.Version != "3.1.0" || d.Server != "https://quantrac.internal:8443/api" || len(d.Remote) != 0 {
		t.Errorf("document = %+v", d)
	}
	j, err := d.Published("/r1/VN/GOV/G05/weather/stations")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(j, []byte("internal")) || !json.Valid(j) || !bytes.Contains(j, []byte(`"servers":[{"url":"/r1/VN/GOV/G05/weather/stations"}]`)) {
		t.Errorf("published = %s", j)
	}
	if !bytes.Contains(j, []byte(`"servers":{"type":"array"`)) {
		t.Error("a field that is called servers was taken out")
	}
	again := parse(t, j) // the published form says the same to those who read it
	if diff := cmp.Diff(d.Endpoints, again.Endpoints); diff != "" {
		t.Errorf("endpoints of the published form (-want +got):\n%s", diff)
	}
	if c := Compare(d, again); len(c) != 0 {
		t.Errorf("the published form differs: %+v", c)
	}
}

func TestPattern(t *testing.T) {
	for in, want := range map[string]string{"/a": "/a", "/{a}": "/*", "/a/{b}/c{d}": "/a/*/c*", "/{a}.{b}": "/*.*", "/{a}{b}": "/*", `/\x`: `/\\x`, "/*{a}": `/\**`} {
		if got, err := Pattern(in); err != nil || got != want {
			t.Errorf("Pattern(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "a", "/{}", "/{a", "/a}", "/{a/b}", "/{{a}}", "/a?b=1", "/a#b", "/a\x00", "/" + strings.Repeat("a", 1001)} {
		if got, err := Pattern(in); err == nil {
			t.Errorf("Pattern(%q) = %q; want an error", in, got)
		}
	}
}

func keyOf(err error) string {
	key, _ := errs.KeyOf(err)
	return strings.TrimPrefix(key, "exchange.publish.document.")
}

// Hostile documents end with an error that says what is wrong, and soon.
func TestHostile(t *testing.T) {
	laughs := "openapi: 3.1.0\na0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n"
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	head := `{"openapi":"3.1.0","info":{"title":"x","version":"1"},`
	many := head + `"paths":{"/a":{"get":{}}},"x":[` + strings.Repeat("0,", 300_000) + `0]}`
	for name, tt := range map[string]struct{ doc, want string }{
		"billion laughs":        {laughs, "too_many"},
		"alias of itself":       {"openapi: 3.1.0\na: &a {b: *a}\n", "alias"},
		"alias of nothing":      {"openapi: 3.1.0\na: *b\n", "alias"},
		"50 MB":                 {head + strings.Repeat(" ", 50<<20) + "}", "too_large"},
		"deep JSON":             {`{"a":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + "}", "too_deep"},
		"deep YAML brackets":    {"a: " + strings.Repeat("[", 500_000), "too_deep"},
		"deep YAML on one line": {strings.Repeat("- ", 500_000), "too_deep"},
		"deep YAML keys":        {strings.Repeat("? ", 500_000), "too_deep"},
		"deep YAML tags":        {strings.Repeat("!a ", 500_000), "too_deep"},
		"deep YAML anchors":     {strings.Repeat("&a ", 500_000), "too_deep"},
		"deep indentation":      {indented(300), "too_deep"},
		"many values":           {many, "too_many"},
		"many members":          {head + `"paths":{` + members(6000) + `}}`, "too_many"},
		"many endpoints":        {head + `"paths":{` + members(2001) + `}}`, "too_many"},
		"two of a name":         {`{"openapi":"3.1.0","openapi":"3.0.0"}`, "doubled"},
		"two of a name in YAML": {"openapi: 3.1.0\nopenapi: 3.0.0\n", "syntax"},
		"two documents":         {"openapi: 3.1.0\n---\nopenapi: 3.1.0\n", "one_document"},
		"tag":                   {"openapi: !!binary abc\n", "yaml_only_plain"},
		"merge key":             {"a: &a {b: 1}\nopenapi: 3.1.0\nc: {<<: *a}\n", "yaml_only_plain"},
		"not UTF-8":             {"openapi: \xff", "not_text"},
		"empty":                 {" \n", "empty"},
		"broken JSON":           {`{"openapi":`, "syntax"},
		"data after":            {`{} {}`, "syntax"},
		"broken YAML":           {"a: [b\nc: }", "syntax"},
		"Swagger":               {`{"swagger":"2.0"}`, "swagger"},
		"a list":                {"- a\n- b\n", "no_openapi"},
		"an unknown version":    {`{"openapi":"4.0.0"}`, "version"},
		"no title":              {`{"openapi":"3.0.1","paths":{}}`, "no_title"},
		"no paths":              {head + `"paths":{}}`, "no_paths"},
		"no operation":          {head + `"paths":{"/a":{"summary":"x"}}}`, "no_paths"},
		"path without a slash":  {head + `"paths":{"a":{"get":{}}}}`, "path"},
		"path item elsewhere":   {head + `"paths":{"/a":{"$ref":"https://evil.example/a.json"}}}`, "path_item"},
		"path item in a circle": {head + `"paths":{"/a":{"$ref":"#/paths/~1a"}}}`, "path_item"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.doc))
			if got := keyOf(err); err == nil || got != tt.want {
				t.Errorf("error %q (%.200v); want %q", got, err, tt.want)
			}
		})
	}
}

func indented(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"/p%d":{"get":{}},`, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// A reference to elsewhere is named and never followed: this package has nothing to follow it with.
func TestRemoteReferencesAreNamed(t *testing.T) {
	d := parse(t, []byte(`{"openapi":"3.0.3","info":{"title":"x","version":"1"},"paths":{"/a":{"get":{"responses":{"200":{"$ref":"https://evil.example/r.json"}}},
		"post":{"requestBody":{"$ref":"other.yaml#/b"}}}}}`))
	if want := []string{"https://evil.example/r.json", "other.yaml#/b"}; !slices.Equal(d.Remote, want) {
		t.Errorf("remote = %q, want %q", d.Remote, want)
	}
}

// X7: a refresh says what changed.
func TestCompare(t *testing.T) {
	from := parse(t, load(t))
	edit := strings.NewReplacer(
		"  /stations:\n    get:", "  /alerts:\n    get: {responses: {200: {description: ok}}}\n  /stations:\n    get:\n      deprecated: true",
		"{name: province, in: query, schema: {type: string}}", "{name: province, in: query, required: true, schema: {type: integer}}\n        - {name: day, in: query, schema: {type: string}}",
		"{level: {type: number}}", "{level: {type: string, enum: [high, low]}, at: {type: string}}",
		"{201: {description: đã ghi}}", "{202: {description: đã nhận}}",
		"required: [id]", "required: [id, name]",
		"servers: {type: array, items: {type: string}}", "province: {type: string, maxLength: 3}",
		"delete: {responses", "put: {responses",
	)
	to := parse(t, []byte(edit.Replace(string(load(t)))))
	var got []string
	for _, c := range Compare(from, to) {
		mark := " "
		if c.Breaking {
			mark = "!"
		}
		got = append(got, strings.TrimSpace(fmt.Sprint(mark, c.Where, ": ", strings.TrimPrefix(c.Key, "exchange.publish.change."), " ", c.Args)))
	}
	want := []string{
		"!DELETE /x-not*a{b}{c}: endpoint_removed []",
		"GET /alerts: endpoint_added []",
		"GET /stations: deprecated []",
		"!GET /stations: parameter_required [name query province]",
		"!GET /stations: type [place «query province» from string to integer]",
		"GET /stations: parameter_added [name query day]",
		"!POST /stations/{id}/readings: type [place body.level from number to string]",
		"!POST /stations/{id}/readings: enum_added [place body.level values high, low]",
		"POST /stations/{id}/readings: field_added [name body.at]",
		"!POST /stations/{id}/readings: response_removed [status 201]",
		"POST /stations/{id}/readings: response_added [status 202]",
		"PUT /x-not*a{b}{c}: endpoint_added []",
		"!Station: field_removed [name servers]",
		"!Station: field_required [name name]",
		"Station: field_added [name province]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	if c := Compare(from, from); len(c) != 0 {
		t.Errorf("a document differs from itself: %+v", c)
	}
}

// FuzzParse: whatever is read can be published, the published form reads back with the same endpoints, and no document
// differs from itself.
func FuzzParse(f *testing.F) {
	b, err := os.ReadFile("testdata/stations.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"openapi":"3.0.0","info":{"title":"x","version":"1"},"paths":{"/a{b}":{"get":{"parameters":[{"$ref":"#/x"}]}}},"x":{"$ref":"#/x"}}`))
	f.Add([]byte("openapi: 3.1.0\ninfo: &i {title: *i}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b)
		if err != nil {
			return
		}
		j, err := d.Published("/r1/x")
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(j)
		if err != nil {
			t.Fatalf("the published form is refused: %v\n%s", err, j)
		}
		if diff := cmp.Diff(d.Endpoints, again.Endpoints); diff != "" {
			t.Errorf("endpoints (-want +got):\n%s", diff)
		}
		if c := Compare(d, d); len(c) != 0 {
			t.Errorf("a document differs from itself: %+v", c)
		}
	})
}
