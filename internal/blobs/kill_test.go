package blobs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

const childMark = "TRUC_TEST_BLOBS_CHILD" // set in the child, whose working folder is the store

// TestKilledProcess starts a child that stores files from several goroutines and prints each name it was given, kills it
// with SIGKILL in the middle, and wants every named file whole and every file with a name complete, three times over.
func TestKilledProcess(t *testing.T) {
	if os.Getenv(childMark) != "" {
		child()
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, acknowledged := t.TempDir(), map[string]bool{}
	for round := range 3 {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKilledProcess$")
		cmd.Env, cmd.Dir = append(os.Environ(), childMark+"=1"), dir
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if !ValidName(lines.Text()) {
				t.Fatalf("child said %q", lines.Text())
			}
			acknowledged[lines.Text()] = true
			if n == 30+10*round {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for sha := range acknowledged {
			if text := content(t, s, sha); sum(text) != sha {
				t.Errorf("round %d: %s holds other bytes", round, sha)
			}
		}
		if named, _ := stored(t, s); named < len(acknowledged) {
			t.Errorf("round %d: %d files; %d were acknowledged", round, named, len(acknowledged))
		}
	}
	if len(acknowledged) < 100 {
		t.Errorf("only %d files were acknowledged", len(acknowledged))
	}
}

func child() {
	s, err := Open(".")
	if err != nil {
		fmt.Println("open", err)
		os.Exit(1)
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for k := range 100_000 {
				text := strings.Repeat(fmt.Sprintf("%d-%d-%d ", os.Getpid(), c, k), 3000)
				b, err := s.Put(strings.NewReader(text))
				if err != nil && !errors.Is(err, io.ErrClosedPipe) {
					fmt.Println("put", err)
					os.Exit(1)
				}
				out.Lock()
				fmt.Println(b.SHA256)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}
