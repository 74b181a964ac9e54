package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/storage"
)

const clusterDatabase = "truc_system_test_cluster"

// clusterNode is one process of an agency: a machine of its own, the database of all.
type clusterNode struct {
	*machine
	web string
	out *safeBuffer
	cmd *exec.Cmd
}

// serve starts the node and returns when it is ready.
func (n *clusterNode) serve() {
	n.t.Helper()
	n.out = new(safeBuffer)
	n.cmd = n.machine.cmd(context.WithoutCancel(n.t.Context()), n.out, "serve")
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	waitFor(n.t, "the start of a process of the cluster", func() bool { return readyLevel("http://"+n.web) == "fresh" })
}

func (n *clusterNode) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}

// newCluster starts a center whose program may call, and two processes of one agency on one PostgreSQL database.
func newCluster(t *testing.T, server string) (center *machine, centerURL string, nodes [2]*clusterNode) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + clusterDatabase
	drop := func() {
		db, err := storage.Open(context.WithoutCancel(t.Context()), server, storage.Options{Readers: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+clusterDatabase+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	}
	drop()
	t.Cleanup(drop)
	if err := storage.EnsureDatabase(t.Context(), u.String(), server); err != nil {
		t.Fatal(err)
	}
	center, centerURL = newCenter(t, `[exchange]
subsystems = ["office"]
[[exchange.keys]]
subsystem = "VN/GOV/G22/office"
label = "load"
file = "data/keys/load.key"
`)
	center.must("directory", "add-member", "-member", "H36", "-name", "Lâm Đồng", "-name-en", "Lam Dong")
	for i := range nodes {
		n := &clusterNode{machine: newMachine(t), web: freePort(t)}
		nodes[i] = n
		n.write("token", strings.TrimSpace(center.must("directory", "token", "-member", "VN/GOV/H36", "-server", fmt.Sprintf("node%d", i+1))))
		n.must("join", "-token-file", "token", "-web-listen", n.web, "-link-listen", freePort(t))
		b, err := os.ReadFile(filepath.Join(n.dir, "truc.toml"))
		if err != nil {
			t.Fatal(err)
		}
		n.write("truc.toml", fmt.Sprintf("db = %q\n%s\n[exchange]\nsubsystems = [\"roads\"]\n", u.String(), b))
		n.serve()
		t.Cleanup(n.kill)
	}
	return center, centerURL, nodes
}

// roadLoad calls the agency's service through the center's edge.
type roadLoad struct {
	url, key string
	mu       sync.Mutex // guards ids and failed
	ids      []string
	failed   []string
	next     atomic.Int64
}

func (l *roadLoad) call(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return err
	}
	id := fmt.Sprintf("road-%d", l.next.Add(1))
	r.Header.Set("X-Road-Client", "VN/GOV/G22/office")
	r.Header.Set("X-Api-Key", l.key)
	r.Header.Set("X-Road-Id", id)
	r.Header.Set("Truc-Purpose", "check")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s: %s", resp.StatusCode, resp.Header.Get("X-Road-Error"), b)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = append(l.failed, err.Error())
		return err
	}
	l.ids = append(l.ids, id)
	return nil
}

func (l *roadLoad) done() (n, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids), len(l.failed)
}

// start makes clients call one after another until the returned function is called.
func (l *roadLoad) start(ctx context.Context, clients int) (stop func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if l.call(ctx) != nil {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	return func() { close(end); wg.Wait() }
}

func (l *roadLoad) await(t *testing.T, more int) {
	t.Helper()
	first, _ := l.done()
	waitFor(t, fmt.Sprintf("%d more calls (%v)", more, l.failed), func() bool { n, _ := l.done(); return n >= first+more })
}

const roadsDescription = `openapi: 3.0.3
info: {title: Roads, version: "1"}
paths:
  /status:
    get: {responses: {"200": {description: ok}}}
`

// TestCluster: two processes of one agency serve one subsystem from one database, each with its own log. What is published
// at one holds at the other; one dies under load and calls go on at the other; what was acknowledged is proven by the log of
// the process that answered, and both are seen.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three nodes")
	}
	server := os.Getenv("TRUC_TEST_POSTGRES")
	if server == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("TRUC_TEST_POSTGRES is not set: a cluster shares a PostgreSQL database")
		}
		t.Skip("TRUC_TEST_POSTGRES is not set")
	}
	var atBackend atomic.Int64
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		atBackend.Add(1)
		_, _ = io.WriteString(w, `{"open":true}`)
	}))
	t.Cleanup(backend.Close)
	center, centerURL, nodes := newCluster(t, server)
	one, two := nodes[0], nodes[1]
	one.write("roads.yaml", roadsDescription)
	one.must("services", "publish", "roads.yaml", "-code", "roads/condition", "-backend", backend.URL, "-plain-http", "-public")
	one.must("services", "rights", "roads/condition", "-add", "VN/GOV/G22/office")
	waitFor(t, "the publication at the other process", func() bool {
		out, err := two.truc("services", "list")
		return err == nil && strings.Contains(out, "roads/condition")
	})
	key, err := os.ReadFile(filepath.Join(center.dir, "data", "keys", "load.key"))
	if err != nil {
		t.Fatal(err)
	}
	l := &roadLoad{url: centerURL + "/r1/VN/GOV/H36/roads/condition/status", key: strings.TrimSpace(string(key))}
	waitFor(t, "both processes in the directory", func() bool { return len(providersOf(t, center)) == 2 })
	var last error
	defer func() {
		if t.Failed() {
			t.Logf("the last error of the first call: %v\n%s\n%s", last, one.out, two.out)
		}
	}()
	waitFor(t, "the first call", func() bool {
		last = l.call(t.Context())
		return last == nil
	})
	l.mu.Lock()
	l.failed = nil
	l.mu.Unlock()
	stop := l.start(t.Context(), 6)
	l.await(t, 60)
	waitFor(t, "calls at both processes", func() bool {
		p := peersOf(center, centerURL)
		return p["VN/GOV/H36/node1"] > 0 && p["VN/GOV/H36/node2"] > 0
	})
	one.kill() // under load
	l.await(t, 60)
	_, failed := l.done()
	l.await(t, 60)
	if _, now := l.done(); now != failed {
		t.Errorf("calls go on failing after one process died: %v", l.failed)
	}
	// What is decided at the one that lives holds at the other when it is back.
	two.must("services", "rights", "roads/condition", "-remove", "VN/GOV/G22/office")
	waitFor(t, "the refusal", func() bool { return l.call(t.Context()) != nil })
	two.must("services", "rights", "roads/condition", "-add", "VN/GOV/G22/office")
	one.serve()
	l.await(t, 60)
	stop()
	checkCluster(t, l, center, one, two)
	for _, n := range nodes { // the index is shared: each shows what both exchanged
		if p := peersOf(n.machine, "http://"+n.web); p["VN/GOV/G22/node1"] < int64(len(l.ids)) {
			t.Errorf("%s shows %v of %d exchanges", n.web, p, len(l.ids))
		}
	}
}

// providersOf are the nodes that the directory names for the service.
func providersOf(t *testing.T, center *machine) []string {
	t.Helper()
	t.Helper()
	b, err := os.ReadFile(filepath.Join(center.dir, "data", "directory", "directory.json"))
	if err != nil {
		return nil
	}
	doc, err := directory.Peek(b)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := doc.Service("VN/GOV/H36/roads/condition")
	return s.Nodes
}

// checkCluster looks for the evidence of what was acknowledged.
func checkCluster(t *testing.T, l *roadLoad, center *machine, one, two *clusterNode) {
	t.Helper()
	l.mu.Lock()
	ids := l.ids
	l.mu.Unlock()
	step := max(1, len(ids)/12)
	given := map[*clusterNode]int{}
	for i := 0; i < len(ids); i += step {
		center.must("evidence", "export", ids[i], "-key-file", filepath.Join("data", "keys", "operator.key"), "-o", "a.zip")
		center.must("verify", "a.zip")
		had := 0
		for _, n := range []*clusterNode{one, two} {
			file := fmt.Sprintf("e%d.zip", i)
			out, err := n.truc("evidence", "export", ids[i], "-key-file", filepath.Join("data", "keys", "operator.key"), "-o", file)
			if err != nil {
				if !strings.Contains(out, "nhật ký của một nút khác") {
					t.Errorf("%s at %s: %v\n%s", ids[i], n.web, err, out)
				}
				continue
			}
			had++
			given[n]++
			n.must("verify", file)
		}
		if had == 0 {
			t.Errorf("%s was acknowledged, and no process has its evidence", ids[i])
		}
	}
	for i := 0; i < len(ids) && (given[one] == 0 || given[two] == 0); i++ { // calls go to the quicker of the two
		for _, n := range []*clusterNode{one, two} {
			if given[n] > 0 {
				continue
			}
			if _, err := n.truc("evidence", "export", ids[i], "-key-file", filepath.Join("data", "keys", "operator.key"), "-o", "late.zip"); err == nil {
				n.must("verify", "late.zip")
				given[n]++
			}
		}
	}
	if given[one] == 0 || given[two] == 0 {
		t.Errorf("evidence came %d times from one and %d times from the other", given[one], given[two])
	}
	t.Logf("%d exchanges acknowledged, %d calls failed, evidence of %d and %d", len(ids), len(l.failed), given[one], given[two])
	for _, n := range []*clusterNode{one, two} {
		n.must("evidence", "verify-log", "-log", "exchange")
		n.must("evidence", "verify-log", "-log", "audit")
	}
}

// peersOf counts the exchanges of the last day by the node of the partner.
func peersOf(m *machine, at string) map[string]int64 {
	m.t.Helper()
	key, err := os.ReadFile(filepath.Join(m.dir, "data", "keys", "operator.key"))
	if err != nil {
		m.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, at+"/api/exchange/partners", nil)
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct {
		Items []struct {
			Peer  string `json:"peer"`
			Total int64  `json:"total"`
		} `json:"items"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		m.t.Fatal(err)
	}
	out := map[string]int64{}
	for _, p := range list.Items {
		out[p.Peer] += p.Total
	}
	return out
}
