package demo

import (
	"strings"
	"testing"
)

// A folder made on other ports is refused with what to do, instead of nodes that wait for each other.
func TestSamePorts(t *testing.T) {
	opt := Options{Dir: t.TempDir(), Nodes: 5, BasePort: 17800, People: 100}
	l, err := newLayout(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.samePorts(); err != nil {
		t.Errorf("a new folder: %v", err)
	}
	if err := l.write(); err != nil {
		t.Fatal(err)
	}
	if err := l.samePorts(); err != nil {
		t.Errorf("the same ports: %v", err)
	}
	opt.BasePort = 17900
	if l, err = newLayout(opt); err != nil {
		t.Fatal(err)
	}
	if err := l.samePorts(); err == nil || !strings.Contains(err.Error(), "17800") || !strings.Contains(err.Error(), "-ports-from") {
		t.Errorf("other ports: %v", err)
	}
}
