package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhoReadMyData opens the page about the readings of a person's data and proves one of them without the network.
func TestWhoReadMyData(t *testing.T) {
	n := Demo(t)
	c := n.AsCitizen(t, n.Person(t, "c-thanh").Name)
	c.Begin(extractCode, "H57.14") // the form is filled from the population register: that is a reading
	c.Go("/my-data")
	c.Until("the reading", func() bool { return c.Attr(`[data-register="population"] form`, "id") != "" })
	c.Want("Ai đã xem dữ liệu của tôi?", "Văn phòng Chính phủ", "Điền sẵn tờ khai")
	c.check("my-data")

	form := Value[map[string]string](c, `Object.fromEntries(new FormData(document.querySelector('[data-register="population"] form')))`)
	receipt := c.post("/my-data/receipt", form)
	if !bytes.HasPrefix(receipt, []byte("PK")) {
		t.Fatalf("the receipt begins %q", clip(string(receipt), 20))
	}
	key := auditKey(t, n, "VN/GOV/G01/")
	dir := t.TempDir()
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := put("receipt.zip", receipt)
	broken := bytes.Clone(receipt)
	broken[len(broken)/2] ^= 1
	bad := put("broken.zip", broken)
	for _, v := range []struct {
		name string
		cmd  func(file string) *exec.Cmd
	}{
		{"truc verify", func(file string) *exec.Cmd { return exec.Command(n.Binary, "verify", file, "-key", key) }},
		{"verify_receipt.py", func(file string) *exec.Cmd { return exec.Command("python3", "../docs/verify_receipt.py", file, key) }},
	} {
		if out, err := v.cmd(good).CombinedOutput(); err != nil {
			t.Errorf("%s on the receipt: %v\n%s", v.name, err, out)
		} else if v.name == "truc verify" && !strings.Contains(string(out), "G22") {
			t.Errorf("%s does not name who read:\n%s", v.name, out)
		}
		if out, err := v.cmd(bad).CombinedOutput(); err == nil {
			t.Errorf("%s takes a changed receipt:\n%s", v.name, out)
		}
	}
}

// auditKey reads the key of a node's audit log from the signed directory of the network, as a stranger would.
func auditKey(t *testing.T, n *Network, node string) string {
	t.Helper()
	var signed struct {
		Document struct {
			Nodes []struct {
				ID       string `json:"id"`
				AuditKey string `json:"audit_key"`
			} `json:"nodes"`
		} `json:"document"`
	}
	b := get(t, n.Center.URL+"/directory/v1/document")
	if err := json.Unmarshal(b, &signed); err != nil {
		t.Fatalf("the directory: %v: %s", err, clip(string(b), 200))
	}
	for _, d := range signed.Document.Nodes {
		if strings.HasPrefix(d.ID, node) && d.AuditKey != "" {
			return d.AuditKey
		}
	}
	t.Fatalf("the directory names no audit key of %s", node)
	return ""
}
