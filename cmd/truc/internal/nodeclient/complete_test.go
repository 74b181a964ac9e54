package nodeclient

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// The key of this machine's node goes to this machine's node and nowhere else.
func TestOwnNode(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "truc.toml")
	text := `instance = "VN"
member = "G22"
name = {vi = "Trung tâm", en = "Center"}
data_dir = "` + filepath.Join(dir, "data") + `"
[web]
listen = "127.0.0.1:7555"
[link]
listen = "127.0.0.1:7556"
[directory]
center = true
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "data", "keys", "operator.key")
	if err := os.MkdirAll(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.key")
	for path, secret := range map[string]string{own: "own", other: "other"} {
		if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args      []string
		base, key string
	}{
		{[]string{"-config", config}, "http://127.0.0.1:7555", "own"},
		{[]string{"-config", config, "-key-file", other}, "http://127.0.0.1:7555", "other"},
		{[]string{"-config", config, "-url", "https://elsewhere.example", "-key-file", other}, "https://elsewhere.example", "other"},
		{[]string{"-config", config, "-url", "https://elsewhere.example"}, "", ""},
		{[]string{"-config", filepath.Join(dir, "none.toml"), "-key-file", other}, defaultURL, "other"},
		{[]string{"-config", filepath.Join(dir, "none.toml")}, "", ""},
	} {
		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		o := Flags(fs, func(string) string { return "" })
		if err := fs.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		got, err := o.Client()
		switch {
		case c.key == "" && err == nil:
			t.Errorf("%v: a key was found", c.args)
		case c.key != "" && err != nil:
			t.Errorf("%v: %v", c.args, err)
		case c.key != "" && (got.base != c.base || got.key != c.key):
			t.Errorf("%v: %s with %q", c.args, got.base, got.key)
		}
	}
}
