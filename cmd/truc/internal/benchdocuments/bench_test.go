package benchdocuments

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

const actAsPart = "act-as-part"

// TestMain lets the test binary be the parts too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == actAsPart {
		if err := Part(context.Background(), os.Stdin, os.Stdout, os.Stderr, time.Now); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestRun looks at the shape of a report, and that one document to many receivers is stored once; never at a speed.
func TestRun(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	report, err := Run(t.Context(), Options{
		Size: 100_000, Receivers: []int{1, 3}, Documents: 4, Rounds: 2, Workers: 2, Same: 95, SameSize: 300_000, Dir: t.TempDir(), Now: time.Now, Log: os.Stderr,
		Command: []string{exe, actAsPart},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if report.MessageBytes < 133_000 || len(report.Levels) != 2 {
		t.Fatalf("report = %s", b)
	}
	for i, l := range report.Levels {
		copies := 8 * []int{1, 3}[i]
		if l.Documents != 8 || l.DocumentsPerSecond <= 0 || l.MBPerSecond <= 0 || l.CPUmsPerMB <= 0 || l.PeakRSSBytes <= 0 || l.Ratio <= 0 || l.CPURatio <= 0 ||
			l.RatioOnce <= l.Ratio || l.BarePassMs <= 0 || l.BarePassCPUms <= 0 || len(l.Steps) != 8 {
			t.Errorf("level %d = %+v", i, l)
		}
		for _, s := range l.Steps {
			if want := map[string]int{"send": 8, "list edoc": 8, "list status": 8}[s.Name]; s.P99 < s.P50 || s.P50 <= 0 || s.Count != max(want, copies*min(1, 1-want/8)) {
				t.Errorf("level %d: %+v", i, s)
			}
		}
	}
	if s := report.Same; s == nil || s.Files != 1 || s.Bytes != s.MessageBytes || s.Bytes < 400_000 || s.Receivers != 95 {
		t.Errorf("same = %+v", s)
	}
	var table bytes.Buffer
	if err := report.Print(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Not real:", "ratio once", "p99 ms", "to 95 receivers"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, &table)
		}
	}
	for _, bad := range []Options{{}, {Size: 100, Receivers: []int{0}, Rounds: 1, Workers: 1}, {Size: 100, Receivers: []int{1}, Rounds: 1}} {
		if _, err := Run(t.Context(), bad); err == nil {
			t.Errorf("Run(%+v) runs", bad)
		}
	}
}

// TestMemoryOfTheHub sends a message larger than the memory that the hub may take for it, in one, and fetches it.
func TestMemoryOfTheHub(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := same(t.Context(), Options{Same: 1, SameSize: 80 << 20, Dir: t.TempDir(), Now: time.Now, Log: os.Stderr, Command: []string{exe, actAsPart}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a message of %d MB: memory %d → %d MB", s.MessageBytes>>20, s.RSSBytes>>20, s.PeakRSSBytes>>20)
	if s.MessageBytes < 100<<20 || s.PeakRSSBytes-s.RSSBytes > 64<<20 || s.RSSBytes <= 0 {
		t.Errorf("a message of %d MB: memory grew from %d to %d MB", s.MessageBytes>>20, s.RSSBytes>>20, s.PeakRSSBytes>>20)
	}
}
