package exchange

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestHideServers(t *testing.T) {
	for _, tt := range []struct{ name, doc, want string }{
		{
			"JSON, at every level, the order kept",
			`{"openapi":"3.1.0","servers":[{"url":"https://{host}.inner.example/v1","description":"d","variables":{"host":{"default":"db7"}}}],
				"paths":{"/p":{"servers":[{"url":"https://a.inner.example"}],"get":{"servers":[{"url":"https://b.inner.example"}],"x":1.50,
				"responses":{"200":{"description":"ok \ud83d\ude00","links":{"l":{"server":{"url":"https://c.inner.example"}}}}}}}},"info":{"title":"t"}}`,
			`{"openapi":"3.1.0","servers":[{"url":"H","description":"d"}],"paths":{"/p":{"servers":[{"url":"H"}],"get":{"servers":[{"url":"H"}],"x":1.50,` +
				`"responses":{"200":{"description":"ok 😀","links":{"l":{"server":{"url":"H"}}}}}}}},"info":{"title":"t"}}`,
		},
		{
			"a property of that name is not a list of servers",
			`{"openapi":"3.0.3","components":{"schemas":{"S":{"properties":{"servers":{"type":"array"},"server":{"type":"string"}},"required":["servers"]}}}}`,
			`{"openapi":"3.0.3","components":{"schemas":{"S":{"properties":{"servers":{"type":"array"},"server":{"type":"string"}},"required":["servers"]}}}}`,
		},
		{
			"YAML",
			"openapi: 3.1.0\nservers:\n  - url: https://inner.example/v1\n    description: d\ninfo:\n  title: Tra cứu\n",
			"openapi: 3.1.0\nservers:\n- url: H\n  description: d\ninfo:\n  title: Tra cứu\n",
		},
	} {
		got, err := HideServers([]byte(tt.doc))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if want := strings.ReplaceAll(tt.want, "H", HiddenServer); string(got) != want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, want)
		}
	}
	for name, doc := range map[string]string{
		"cut off": `{"openapi":"3.1.0"`, "two values": `{} {}`, "a list": "- a", "a word": "openapi", "no text": "",
		"too deep": strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "too large": "{" + strings.Repeat(" ", maxOpenAPI) + "}",
	} {
		if got, err := HideServers([]byte(doc)); err == nil {
			t.Errorf("%s: no error, but %s", name, got)
		}
	}
}

// FuzzHideServers: no address of a server survives, and what comes out can be read again and does not change any more.
func FuzzHideServers(f *testing.F) {
	for _, s := range []string{
		`{"servers":[{"url":"https://inner.example"}]}`, "servers:\n- url: https://inner.example\n", `{"a":[1,{"server":{"url":2}}]}`, "a: &x {url: b}\nserver: *x\n", "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := HideServers(doc)
		if err != nil || !isJSON(doc) {
			return
		}
		again, err := HideServers(got)
		if err != nil || !bytes.Equal(got, again) {
			t.Fatalf("%q became %q, then %q, %v", doc, got, again, err)
		}
		var v struct {
			Servers []struct {
				URL any `json:"url"`
			} `json:"servers"`
		}
		var names map[string]json.RawMessage
		if json.Unmarshal(got, &names) != nil || json.Unmarshal(got, &v) != nil {
			return // "servers" is something else
		}
		if _, ok := names["servers"]; !ok {
			return // written in other letters, which no reader of descriptions takes for it
		}
		for _, s := range v.Servers {
			if s.URL != nil && s.URL != HiddenServer && bytes.Contains(got, []byte(`"url":`)) {
				t.Fatalf("%q gives away %v", got, s.URL)
			}
		}
	})
}
