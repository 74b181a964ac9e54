package exchangeapi

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/bodylog"
	"truc/internal/pki"
)

var (
	streamChild = flag.String("stream.child", "", "be a node of TestStreamMemory: its server id")
	streamCA    = flag.String("stream.ca", "", "the folder of the authority")
	streamKeep  = flag.String("stream.keep", "", "the folder in which the node of TestStreamMemory keeps bodies")
	streamSize  = flag.Int64("stream.size", 256<<20, "bytes that TestStreamMemory sends each way")
)

// memoryLimit is what a node may use beyond what it needs at rest, whatever the size of a body (spec §7.4).
const memoryLimit = 64 << 20

// childHello is what a process of the test tells about itself.
type childHello struct {
	Peer exchange.Peer
	Key  []byte
	ID   string // of the key
	Subs []string
	Edge string
}

// TestStreamChild is the process of one node, when started by TestStreamMemory: it says who it is, learns of the other,
// and serves until its input ends.
func TestStreamChild(t *testing.T) {
	if *streamChild == "" {
		return
	}
	debug.SetMemoryLimit(memoryLimit)
	ca, err := pki.LoadOrCreateCA(*streamCA, "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	net := newTestNet(t)
	net.ca = ca
	provider := strings.Contains(*streamChild, "G01")
	subs := []string{"VN/GOV/H36/onestop"}
	if provider {
		subs = []string{"VN/GOV/G01/population"}
	}
	n := net.start(t, *streamChild, subs, openDB(t))
	if *streamKeep != "" {
		bodies := &bodylog.Log{Dir: *streamKeep, Seal: bytes.Repeat([]byte{9}, 32), Now: time.Now}
		if err := n.SetBodies(&exchange.BodyPolicy{Log: bodies, Default: exchange.BodyFull}); err != nil {
			t.Fatal(err)
		}
	}
	hello := childHello{Peer: net.peers[n.id], ID: n.keyID, Subs: subs}
	if hello.Key, err = x509.MarshalPKIXPublicKey(net.keys[n.keyID].Public); err != nil {
		t.Fatal(err)
	}
	if provider {
		if err := n.Offer("population/files", exchange.Offering{}, &fileService{}); err != nil {
			t.Fatal(err)
		}
		if err := n.SetRules([]exchange.Rule{{Consumer: "VN/GOV/H36/onestop", Service: "population/files"}}); err != nil {
			t.Fatal(err)
		}
	} else {
		if err := n.store.AddKey(t.Context(), exchange.APIKey{ID: "k", Hash: HashKey("secret"), Subsystem: subs[0], CreatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(&Edge{Service: n.Service, Keys: n.store, Instance: "VN", Log: slog.New(slog.DiscardHandler), Budget: exchange.NewBudget(0)})
		defer srv.Close()
		hello.Edge = srv.URL
	}
	out, err := json.Marshal(hello)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stdout, "\nHELLO %s\n", out)
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var other childHello
	if err := json.Unmarshal(line, &other); err != nil {
		t.Fatal(err)
	}
	pub, err := x509.ParsePKIXPublicKey(other.Key)
	if err != nil {
		t.Fatal(err)
	}
	net.mu.Lock()
	net.peers[other.Peer.ServerID], net.subs[other.Peer.ServerID] = other.Peer, other.Subs
	net.keys[other.ID] = exchange.Key{ID: other.ID, Public: pub, ServerID: other.Peer.ServerID}
	net.mu.Unlock()
	fmt.Fprintln(os.Stdout, "READY")
	_, _ = io.Copy(io.Discard, in)
}

type childNode struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	hello childHello
}

func (c *childNode) await(t *testing.T, prefix string) string {
	t.Helper()
	for c.out.Scan() {
		if rest, ok := strings.CutPrefix(c.out.Text(), prefix); ok {
			return rest
		}
	}
	t.Fatalf("the process ended before it said %s", prefix)
	return ""
}

// memory reads a figure of /proc/PID/status in bytes.
func (c *childNode) memory(t *testing.T, name string) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(c.cmd.Process.Pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name+":" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s in /proc", name)
	return 0
}

// R1-BIG-01: a body passes through two nodes, each a process of its own, in both directions, and neither grows by more than
// 64 MiB. The nightly run sends a gibibyte: go test -run TestStreamMemory -args -stream.size=1073741824.
func TestStreamMemory(t *testing.T) {
	t.Run("digests", func(t *testing.T) { streamMemory(t, *streamSize, false) })
	t.Run("bodies kept", func(t *testing.T) { streamMemory(t, min(*streamSize, 96<<20), true) })
}

func streamMemory(t *testing.T, size int64, keep bool) {
	dir := t.TempDir()
	if _, err := pki.LoadOrCreateCA(dir, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	var nodes []*childNode
	for _, id := range []string{"VN/GOV/G01/node1", "VN/GOV/H36/node1"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStreamChild$", "-stream.child="+id, "-stream.ca="+dir)
		if keep {
			cmd.Args = append(cmd.Args, "-stream.keep="+filepath.Join(dir, "bodies", strconv.Itoa(len(nodes))))
		}
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		c := &childNode{cmd: cmd, in: in, out: bufio.NewScanner(out)}
		c.out.Buffer(nil, 1<<20)
		nodes = append(nodes, c)
		t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
		if err := json.Unmarshal([]byte(c.await(t, "HELLO ")), &c.hello); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range nodes {
		b, err := json.Marshal(nodes[1-i].hello)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.in.Write(append(b, '\n')); err != nil {
			t.Fatal(err)
		}
		c.await(t, "READY")
	}
	url := nodes[1].hello.Edge + "/r1/VN/GOV/G01/population/files"
	pass := func(method, path string, body io.Reader, size int64) (string, int64) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		if body != nil {
			r.ContentLength = size
		}
		r.Header.Set("X-Road-Client", "VN/GOV/H36/onestop")
		r.Header.Set("X-Api-Key", "secret")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			b, _ := io.ReadAll(resp.Body)
			t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, b)
		}
		if method == http.MethodPost {
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(b), size
		}
		return digestOf(t, resp.Body)
	}
	pass(http.MethodPost, "/", &pattern{n: 1000}, 1000) // what the first call needs is no growth of the second
	var before []int64
	for _, c := range nodes {
		before = append(before, c.memory(t, "VmRSS"))
	}
	want, _ := digestOf(t, &pattern{n: size})
	if got, _ := pass(http.MethodPost, "/", &pattern{n: size}, size); got != want {
		t.Errorf("upload: %s, want %s", got, want)
	}
	if got, n := pass(http.MethodGet, "/"+strconv.FormatInt(size, 10), nil, 0); got != want || n != size {
		t.Errorf("download: %d bytes, %s, want %s", n, got, want)
	}
	for i, c := range nodes {
		peak := c.memory(t, "VmHWM")
		t.Logf("%s: %d MiB at rest, at most %d MiB", c.hello.Peer.ServerID, before[i]>>20, peak>>20)
		if peak-before[i] > memoryLimit {
			t.Errorf("%s grew by %d MiB for %d MiB", c.hello.Peer.ServerID, (peak-before[i])>>20, size>>20)
		}
	}
	if !keep {
		return
	}
	for i := range nodes {
		var kept int64
		files, err := filepath.Glob(filepath.Join(dir, "bodies", strconv.Itoa(i), "*.stream"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if st, err := os.Stat(f); err == nil {
				kept += st.Size()
			}
		}
		if kept < 2*size {
			t.Errorf("node %d kept %d bytes of both bodies", i, kept)
		}
	}
}
