package bundle

import (
	"os"
	"strings"
	"testing"
)

// TestShipped proves that every procedure in the repository may be published.
func TestShipped(t *testing.T) {
	entries, err := os.ReadDir("../../../procedures")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			var out strings.Builder
			if !TestReport(&out, os.DirFS("../../../procedures/"+e.Name()), "vi") {
				t.Errorf("%s", out.String())
			}
			t.Log(out.String())
		})
	}
}
