package app

import (
	"math"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"truc/internal/exchange"
)

const fileSizeChild = "TRUC_TEST_APP_FILESIZE"

// room sets how large files of this process may become: the kernel itself refuses what goes beyond, as a full disk does.
func room(t *testing.T, bytes uint64) {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		t.Fatal(err)
	}
	l.Cur = min(bytes, l.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		t.Fatal(err)
	}
}

// TestNothingCanBeWritten runs two nodes under traffic while the kernel refuses every write, of the logs and of the database
// alike: no exchange is acknowledged, no act of an administrator happens, and no node ends. With room again both go on by
// themselves, and their logs agree.
func TestNothingCanBeWritten(t *testing.T) {
	if os.Getenv(fileSizeChild) == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestNothingCanBeWritten$", "-test.v")
		cmd.Env = append(os.Environ(), fileSizeChild+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // otherwise the process ends instead of the write
	p := newPair(t)
	tr := p.traffic()
	if good, bad := tr.next(20); bad > 0 || good == 0 {
		t.Fatalf("at first %d calls failed: %+v", bad, tr.last.Load())
	}
	for round := range 3 {
		room(t, []uint64{0, 1, 4096}[round])
		if good, bad := tr.next(200); good > 0 && round < 2 || bad == 0 {
			t.Fatalf("round %d: %d of %d calls went through though nothing could be written", round, good, good+bad)
		}
		if f := tr.last.Load(); f.Code() != "logging_failed" && f.Code() != "circuit_open" {
			t.Errorf("round %d: fault %s; want that the log cannot be written", round, f.Type)
		}
		if err := p.center.act(t.Context(), "admin", "exchange.rule.change", "x"); err == nil {
			t.Errorf("round %d: an act happened that could not be recorded", round)
		}
		if err := p.center.SetMaintenance(t.Context(), "admin", "đến 22 giờ"); err == nil || p.center.maintenance() != "" {
			t.Errorf("round %d: maintenance began without a record (%v)", round, err)
		}
		if status, _ := fetch(t, p.agency.cfg.Web.URL+"/healthz"); status != 200 {
			t.Errorf("round %d: /healthz = %d; the process itself is well", round, status)
		}
		room(t, math.MaxUint64)
		p.offset.Add(int64(10 * time.Second)) // the circuit breaker tries again, by one call
		for i, before := 0, tr.good.Load(); tr.good.Load() == before; i++ {
			if i > 30_000 {
				t.Fatalf("round %d: nothing goes through with room again: %+v", round, tr.last.Load())
			}
			time.Sleep(time.Millisecond)
		}
		if good, bad := tr.next(20); bad > 0 || good == 0 {
			t.Fatalf("round %d: with room again %d calls failed: %+v", round, bad, tr.last.Load())
		}
		if err := p.center.act(t.Context(), "admin", "exchange.rule.change", "x"); err != nil {
			t.Errorf("round %d: with room again an act fails: %v", round, err)
		}
	}
	tr.end()
	for _, n := range []*Node{p.center, p.agency} {
		if err := n.evidence.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	}
	c, err := exchange.CompareLogs(t.Context(), p.agency.evidence, p.center.evidence)
	if err != nil || len(c.Differences) > 0 || c.Acknowledged < int(tr.good.Load()) {
		t.Errorf("logs: %d acknowledged, %d calls returned, differences %v, %v", c.Acknowledged, tr.good.Load(), c.Differences, err)
	}
}
