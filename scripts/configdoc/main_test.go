package main

import (
	"os"
	"strings"
	"testing"
)

// TestPageIsCurrent fails when a comment or a key of the configuration changed and the page did not.
func TestPageIsCurrent(t *testing.T) {
	want, err := generate("../..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is out of date; run go run ./scripts/configdoc", page)
	}
	for line := range strings.Lines(want) {
		if strings.HasSuffix(strings.TrimSpace(line), "|  |") {
			t.Errorf("no comment in the configuration for: %s", strings.TrimSpace(line))
		}
	}
}
