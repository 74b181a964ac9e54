package main

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var personalNumber = regexp.MustCompile(`099\d{9}`)

// TestLogsHoldNoPersonalData reads everything that the nodes wrote about the story, and about the attacks where those
// ran before.
func TestLogsHoldNoPersonalData(t *testing.T) {
	h := newHostile(t)
	secrets := map[string]string{"phone": "0950000101", "e-mail": "ha@example.vn", "answer of a form": "Trần Quốc Bảo", "note to the agency": "Đã chụp lại trang 2"}
	for _, c := range h.d.Accounts.Citizens {
		secrets["name of "+c.ID] = c.Name
	}
	for _, k := range h.d.APIKeys {
		secrets["API key of "+k.Client] = k.Key
	}
	files, err := filepath.Glob(filepath.Join(h.n.Dir("secrets"), "*"))
	if err != nil || len(files) < 5 {
		t.Fatalf("secrets: %v, %v", files, err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil {
			t.Fatal(err)
		} else if !strings.HasSuffix(f, ".json") {
			secrets["secret "+filepath.Base(f)] = strings.TrimSpace(string(b))
		}
	}
	for name, node := range map[string]string{"ha": "G22", "reception": "H36"} {
		client := h.ha
		if name == "reception" {
			client = h.reception
		}
		u, err := url.Parse(h.url(node))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range client.Jar.Cookies(u) {
			if len(c.Value) > 20 {
				secrets["session of "+name+" "+c.Name] = c.Value
			}
		}
	}
	texts := map[string]string{"output of the demonstration": shared.out.String()}
	for _, node := range h.n.Nodes() {
		texts["log of "+node] = nodeLog(t, h.n, node)
	}
	total := 0
	for where, text := range texts {
		total += len(text)
		for line := range strings.Lines(text) {
			if m := personalNumber.FindString(line); m != "" {
				t.Errorf("the %s holds a personal number: %.400s", where, line)
			}
			for what, secret := range secrets {
				if strings.Contains(line, secret) {
					t.Errorf("the %s holds the %s: %.400s", where, what, line)
				}
			}
		}
	}
	if total < 10_000 {
		t.Errorf("only %d bytes were logged; this test reads the wrong files", total)
	}
}
