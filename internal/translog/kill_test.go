package translog

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
)

const childDir = "TRUC_TEST_TRANSLOG_CHILD"

// TestKilledProcess starts a child that appends from many callers and prints each index that was acknowledged,
// kills it with SIGKILL in the middle, and looks for all of them, three times over in one log.
func TestKilledProcess(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	acknowledged := map[int64]string{}
	for round := range 3 {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKilledProcess$")
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var i int64
			var text string
			if _, err := fmt.Sscan(lines.Text(), &i, &text); err != nil {
				t.Fatalf("child said %q", lines.Text())
			}
			acknowledged[i] = text
			if n == 200+50*round {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		l := mustOpen(t, testOptions(dir))
		for i, text := range acknowledged {
			if b, err := l.Entry(i); err != nil || string(b) != text {
				t.Fatalf("round %d: entry %d = %q, %v; want %q", round, i, b, err, text)
			}
		}
		if _, err := l.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
	if len(acknowledged) < 600 {
		t.Errorf("only %d entries were acknowledged", len(acknowledged))
	}
}

func child(dir string) {
	opt := testOptions(dir)
	l, err := Open(opt)
	if err != nil {
		fmt.Println("open", err)
		os.Exit(1)
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for k := range 100_000 {
				text := strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(c) + "-" + strconv.Itoa(k)
				i, err := l.Append(context.Background(), []byte(text))
				if err != nil {
					return
				}
				out.Lock()
				fmt.Println(i, text)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}
