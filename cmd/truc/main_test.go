package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"truc/cmd/truc/internal/demo"
)

// actAsTruc makes the test binary behave as the program: the demonstration starts its nodes from os.Executable.
const actAsTruc = "TRUC_TEST_ACT_AS_TRUC"

func TestMain(m *testing.M) {
	if os.Getenv(actAsTruc) != "" {
		main()
		return
	}
	testscript.Main(suite{m}, map[string]func(){"truc": main})
}

// suite stops the shared network behind the last test.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	defer shared.stop()
	return s.m.Run()
}

// ports of the networks of this package; each has a hundred, so that tests do not meet a demonstration that runs.
const (
	portsShared   = 17300
	portsKill     = 17400
	portsRandom   = 17500
	portsPostgres = 17600
	portsLoad     = 17700

	portsDocuments     = 17800
	portsDocumentsKill = 17900
)

// people is the size of the invented population: small, because every node start counts.
const people = 300

// safeBuffer collects what processes say.
type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startNetwork starts real processes of this very binary.
func startNetwork(opt demo.Options, out io.Writer) (*demo.Network, error) {
	opt.Nodes, opt.People = 5, people
	if err := os.Setenv(actAsTruc, "1"); err != nil { // inherited by the nodes; this process has passed TestMain
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return demo.Start(ctx, opt, out, slog.New(slog.NewJSONHandler(out, nil)))
}

// sharedNetwork is a network on which the story has run. Tests that leave it as it was share it.
type sharedNetwork struct {
	once sync.Once
	dir  string
	n    *demo.Network
	tale *demo.Tale
	out  safeBuffer
	err  error
}

var shared sharedNetwork

func (s *sharedNetwork) get(t *testing.T) *demo.Network {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a network")
	}
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "truc-system-"); s.err != nil { //nolint:usetesting // it outlives the test that asks first
			return
		}
		if s.n, s.err = startNetwork(demo.Options{Dir: s.dir, BasePort: portsShared}, &s.out); s.err != nil {
			return
		}
		s.tale, s.err = tell(context.Background(), s.n, &s.out)
	})
	if s.err != nil {
		t.Fatalf("%v\n%s", s.err, s.out.String())
	}
	return s.n
}

func (s *sharedNetwork) stop() {
	if s.n != nil {
		s.n.Stop()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// tell runs the story to its end.
func tell(ctx context.Context, n *demo.Network, out io.Writer) (*demo.Tale, error) {
	tale, err := n.Tale(out)
	if err != nil {
		return nil, err
	}
	for _, step := range tale.Steps {
		if err := step.Run(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", step.About, err)
		}
	}
	return tale, n.Settled(ctx)
}

// nodeLog returns what a node has logged.
func nodeLog(t *testing.T, n *demo.Network, node string) string {
	t.Helper()
	b, err := os.ReadFile(n.Dir(node) + "/node.log")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// noFaults fails when a node logged something that somebody must act on.
func noFaults(t *testing.T, n *demo.Network) {
	t.Helper()
	for _, node := range n.Nodes() {
		for line := range strings.Lines(nodeLog(t, n, node)) {
			if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "panic") || strings.Contains(line, "goroutine ") {
				t.Errorf("%s logged: %s", node, line)
			}
		}
	}
}
