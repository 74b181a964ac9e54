package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"truc/internal/directory"
)

// TestLeave: a node asks to leave by the command line, is kept, takes its wish back, asks again and is let go.
func TestLeave(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two nodes")
	}
	center, _ := newCenter(t)
	center.must("directory", "add-member", "-member", "H36", "-name", "Lâm Đồng", "-name-en", "Lam Dong")
	agency := newMachine(t)
	web := freePort(t)
	agency.write("token", strings.TrimSpace(center.must("directory", "token", "-member", "VN/GOV/H36")))
	agency.must("join", "-token-file", "token", "-web-listen", web, "-link-listen", freePort(t))
	out := agency.start("serve")
	waitFor(t, "the start of the agency's node: "+out.String(), func() bool { return readyLevel("http://"+web) == "fresh" })
	const node = "VN/GOV/H36/node1"
	says := func(m *machine, want string, args ...string) {
		t.Helper()
		if out := m.must(args...); !strings.Contains(out, want) {
			t.Errorf("truc %s does not say %q:\n%s", strings.Join(args, " "), want, out)
		}
	}
	if out, err := agency.truc("leave"); err == nil {
		t.Errorf("left without a reason:\n%s", out)
	}
	if out, err := center.truc("leave", "-reason", "x"); err == nil || !strings.Contains(out, "directory.leave_center") {
		t.Errorf("the center left: %v\n%s", err, out)
	}
	says(agency, "is part of the network", "leave", "-status")
	says(center, "No request to leave", "directory", "leaves")
	says(agency, "request was sent", "leave", "-reason", "sáp nhập", "-member")
	says(center, "sáp nhập", "directory", "leaves")
	says(center, "the whole member VN/GOV/H36", "directory", "leaves")
	center.must("directory", "decline-leave", "-node", node, "-reason", "còn hồ sơ")
	says(agency, "declined at", "leave", "-status")
	says(agency, "request was sent", "leave", "-reason", "sáp nhập", "-member")
	says(agency, "waits for the center's operator", "leave", "-status")
	says(center, "Leaving", "directory", "members")
	says(agency, "taken back", "leave", "-withdraw")
	says(agency, "request was sent", "leave", "-reason", "sáp nhập", "-member")
	center.must("directory", "approve-leave", "-node", node)
	waitFor(t, "the end in the node's own copy", func() bool {
		b, err := os.ReadFile(filepath.Join(agency.dir, "data", "directory", "directory.json"))
		if err != nil {
			return false
		}
		doc, err := directory.Peek(b)
		return err == nil && doc.HasLeft("VN/GOV/H36") && len(doc.Revoked) >= 2
	})
	says(agency, "has left the network", "leave", "-status")
	says(center, "Left the network", "directory", "members")
}
