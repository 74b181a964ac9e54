package app

import (
	"os"
	"path/filepath"
	"testing"

	"truc/edxml"
)

func TestSecrecyFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	m := &edxml.Message{Other: edxml.OtherInfo{Sphere: "Hạn chế"}}
	for path, secret := range map[string]bool{"": false, write("own.json", `{"words":["hạn chế"],"word":["sphere"]}`): true} {
		r, err := secrecyRule(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, found := r.Find(m); found != secret {
			t.Errorf("with the file %q: %v; want %v", path, found, secret)
		}
	}
	for _, path := range []string{write("broken.json", "{"), write("empty.json", "{}"), filepath.Join(dir, "missing.json")} {
		if _, err := secrecyRule(path); err == nil {
			t.Errorf("%s was taken", path)
		}
	}
}
