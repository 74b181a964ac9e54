package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the command line as people do; see testdata/script.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			return nil
		},
	})
}

// TestVerify checks a receipt and a result of the story offline, and both again with one byte changed.
func TestVerify(t *testing.T) {
	h := newHostile(t)
	dir := t.TempDir()
	get := func(url string) []byte {
		res, err := h.ha.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(res.Body); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s answered %d, %v", url, res.StatusCode, err)
		}
		return b.Bytes()
	}
	page := string(get(h.portal + "/filings/" + h.filing))
	_, rest, ok := strings.Cut(page, "/documents/result-")
	if !ok {
		t.Fatal("the filing leads to no result")
	}
	id, _, _ := strings.Cut(rest, `"`)
	result, roots := get(h.portal+"/filings/"+h.filing+"/documents/result-"+id), get(h.desk+"/sign/ca.pem")
	broken := bytes.Clone(result)
	broken[64] ^= 1
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := write("ca.pem", roots)
	for _, tt := range []struct {
		name, file string
		args       []string
		ok         bool
		want       string
	}{
		{"good", write("result.pdf", result), []string{"-roots", ca}, true, "Phó Giám đốc"},
		{"unknown authority", filepath.Join(dir, "result.pdf"), nil, false, ""},
		{"changed", write("broken.pdf", broken), []string{"-roots", ca}, false, ""},
		{"cut off", write("cut.pdf", result[:len(result)/2]), []string{"-roots", ca}, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, lang := range []string{"vi", "en"} {
				var out, errOut bytes.Buffer
				err := run(t.Context(), append([]string{"verify", tt.file, "-lang", lang}, tt.args...), func(string) string { return "" }, &out, &errOut)
				if (err == nil) != tt.ok {
					t.Errorf("%s: verify = %v; want ok %v\n%s", lang, err, tt.ok, out.String())
				}
				if text := out.String(); strings.Contains(text, "sign.verdict") || strings.Contains(text, "{") {
					t.Errorf("%s: the answer is no sentence: %s", lang, text)
				}
				if err != nil && (strings.Contains(err.Error(), "asn1") || strings.Contains(err.Error(), "index out of range")) {
					t.Errorf("%s: %v", lang, err)
				}
			}
		})
	}
}
