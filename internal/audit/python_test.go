package audit

import (
	"encoding/hex"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const verifyAll = `
import importlib.util, json, os, sys
spec = importlib.util.spec_from_file_location("v", sys.argv[1]); v = importlib.util.module_from_spec(spec); spec.loader.exec_module(v)
for name in sorted(os.listdir(sys.argv[2])):
    try:
        r = v.verify(open(os.path.join(sys.argv[2], name), "rb").read())
        print(name, "valid", r["origin"], r["treeSize"], r["vkey"])
    except Exception as e:
        print(name, "invalid")
`

// TestPythonAgrees gives the same receipts, good and bad, to docs/verify_receipt.py.
func TestPythonAgrees(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 is missing; in CI nothing may be skipped")
		}
		t.Skip("python3 is missing; the product does not need it, this test does")
	}
	receipt, vkey := sampleReceipt(t)
	script := filepath.Join("..", "..", "docs", "verify_receipt.py")
	dir := t.TempDir()
	good := filepath.Join(dir, "0000")
	if err := os.WriteFile(good, receipt, 0o600); err != nil {
		t.Fatal(err)
	}
	want := "0000 valid truc/VN/G01/audit 3 " + vkey + "\n"
	bad := corrupted(t, receipt)
	for _, name := range sortedKeys(bad) {
		f := hexName(name)
		if err := os.WriteFile(filepath.Join(dir, f), bad[name], 0o600); err != nil {
			t.Fatal(err)
		}
		want += f + " invalid\n"
	}
	out, err := exec.CommandContext(t.Context(), python, "-c", verifyAll, script, dir).CombinedOutput()
	if err != nil || string(out) != want {
		t.Errorf("python says %v\n%s\nwant\n%s", err, out, want)
	}
	out, err = exec.CommandContext(t.Context(), python, script, good, vkey).CombinedOutput()
	if err != nil || len(out) == 0 {
		t.Errorf("command line: %v\n%s", err, out)
	}
	if err := exec.CommandContext(t.Context(), python, script, script).Run(); err == nil {
		t.Error("command line: a file that is no receipt gives exit code 0")
	}
}

func sortedKeys(m map[string][]byte) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int { return strings.Compare(hexName(a), hexName(b)) })
}

// hexName makes a file name of a test's name.
func hexName(s string) string { return "x" + hex.EncodeToString([]byte(s)) }
