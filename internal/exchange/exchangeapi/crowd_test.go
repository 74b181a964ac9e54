package exchangeapi

import (
	"path/filepath"
	"sync"
	"testing"
)

// crowd makes clients call side by side, and counts the calls that failed.
func crowd(t *testing.T, p *pair, clients, calls int) (failed int) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range clients {
		wg.Go(func() {
			for range calls {
				if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
					mu.Lock()
					failed++
					mu.Unlock()
					t.Log(err)
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// Faults that were found in other systems (spec §7.2), each under more clients than it took there.
func TestACrowdIsServedByFewResources(t *testing.T) {
	p := &pair{net: newTestNet(t)}
	p.net.sync = true
	p.provider = p.net.start(t, "VN/GOV/G01/node1", []string{"VN/GOV/G01/population"}, openDB(t))
	p.consumer = p.net.start(t, "VN/GOV/H36/node1", []string{"VN/GOV/H36/onestop"}, openDB(t))
	p.offer(t)
	const clients, calls = 256, 4
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none")) // whoever wants a temporary file for a small body fails
	if failed := crowd(t, p, clients, calls); failed > 0 {
		t.Errorf("%d of %d calls failed, want none", failed, clients*calls)
	}
	if n := p.provider.conns.Load(); n > 4 {
		t.Errorf("%d handshakes for %d calls, want at most 4", n, clients*calls)
	}
	for _, n := range []*testNode{p.consumer, p.provider} {
		if got, most := n.log.Commits().Runs, int64(clients*calls/4); got > most || got == 0 {
			t.Errorf("%s waited %d times for the disk in %d exchanges, want at most %d", n.id, got, clients*calls, most)
		}
		if got := n.log.Size(); got != 2*clients*calls {
			t.Errorf("%s has %d log entries, want %d", n.id, got, 2*clients*calls)
		}
		if err := n.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
