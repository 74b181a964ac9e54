package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Network is the demonstration network as `truc demo` describes it in demo.json.
type Network struct {
	Center struct {
		URL string `json:"url"`
	} `json:"center"`
	Nodes    []Node `json:"nodes"`
	Accounts struct {
		Citizens []Citizen `json:"citizens"`
		Officers []Officer `json:"officers"`
	} `json:"accounts"`
	APIKeys []struct {
		Client string `json:"client"` // VN/GOV/…
		Key    string `json:"key"`
		Node   string `json:"node"` // address of the node that takes the key
	} `json:"apiKeys"`
	Services []string `json:"services"`
	Payment  struct {
		URL string `json:"url"`
	} `json:"payment"`

	// Dir is the data directory of the whole network.
	Dir string `json:"-"`
	// Binary is the program under test.
	Binary string `json:"-"`
}

// Node is one agency's node.
type Node struct {
	ID     string `json:"id"`
	Member string `json:"member"` // agency code: G22, H36 …
	Name   string `json:"name"`
	URL    string `json:"url"`
	Link   string `json:"link"` // address for other nodes
	Log    string `json:"log"`
}

// Citizen is a person of the demonstration; all of them are invented.
type Citizen struct {
	ID         string `json:"id"` // what the development sign-in provider calls the person
	Name       string `json:"name"`
	PersonalID string `json:"personalId"`
	BirthDate  string `json:"birthDate"`
	About      string `json:"about"` // what the person is there to show
}

// Officer is an officer's account at a node.
type Officer struct {
	ID      string   `json:"id"`
	Account string   `json:"account"`
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Node    string   `json:"node"` // address of the node where the officer signs in
	Roles   []string `json:"roles"`
}

// Node returns the node of an agency code.
func (n *Network) Node(t testing.TB, member string) Node {
	t.Helper()
	for _, node := range n.Nodes {
		if node.Member == member {
			return node
		}
	}
	t.Fatalf("the network has no node %s", member)
	return Node{}
}

// Officer returns the first officer with a role at the node of an agency code.
func (n *Network) Officer(t testing.TB, member, role string) Officer {
	t.Helper()
	node := n.Node(t, member)
	for _, o := range n.Accounts.Officers {
		if o.Node == node.URL && slices.Contains(o.Roles, role) {
			return o
		}
	}
	t.Fatalf("node %s has no officer with role %s", member, role)
	return Officer{}
}

const (
	demoLimit = 3 * time.Minute        // to build the network, on a busy machine
	demoPoll  = 200 * time.Millisecond // how often we look whether it is up
	demoSpan  = 100                    // ports above the first that the network may use
)

// demo is the one network of a test binary.
var demo struct {
	once sync.Once
	net  *Network
	err  error
	cmd  *exec.Cmd
	done chan error
	dir  string
}

// Demo returns the demonstration network that the tests of this binary share, started on first use. Journeys
// make what they need (their own dossiers) and never count on being alone.
func Demo(t testing.TB) *Network {
	t.Helper()
	demo.once.Do(func() {
		if dir := os.Getenv("TRUC_TEST_DEMO"); dir != "" { // a network that already runs, while journeys are being written
			demo.net, demo.err = waitForDemo(filepath.Join(dir, "demo.json"))
			if demo.err == nil {
				demo.net.Dir, demo.net.Binary = dir, os.Getenv("TRUC_TEST_BINARY")
			}
			return
		}
		demo.net, demo.err = startDemo()
	})
	if demo.err != nil {
		t.Fatalf("start demo: %v", demo.err)
	}
	return demo.net
}

func startDemo() (_ *Network, err error) {
	if demo.dir, err = os.MkdirTemp("", "truc-demo-"); err != nil {
		return nil, err
	}
	binary, err := build(demo.dir)
	if err != nil {
		return nil, err
	}
	first, err := freePorts()
	if err != nil {
		return nil, err
	}
	logPath := filepath.Join(demo.dir, "demo.log")
	out, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(demo.dir, "data")
	demo.cmd = exec.Command(binary, "demo", "--dir", data, "--ports-from", strconv.Itoa(first), "--people", "1000")
	demo.cmd.Stdout, demo.cmd.Stderr = out, out
	if err := demo.cmd.Start(); err != nil {
		return nil, err
	}
	demo.done = make(chan error, 1)
	go func() { demo.done <- demo.cmd.Wait(); _ = out.Close() }()

	n, err := waitForDemo(filepath.Join(data, "demo.json"))
	if err != nil {
		return nil, fmt.Errorf("%w; the end of its log:\n%s", err, tail(logPath, 4000))
	}
	n.Dir, n.Binary = data, binary
	return n, nil
}

// build makes the program, or takes the one TRUC_TEST_BINARY names, so that a release can be tested as shipped.
func build(dir string) (string, error) {
	if b := os.Getenv("TRUC_TEST_BINARY"); b != "" {
		return b, nil
	}
	binary := filepath.Join(dir, "truc")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/truc")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/truc: %w\n%s", err, out)
	}
	return binary, nil
}

// freePorts returns the first of a run of ports none of which is taken where the network listens.
func freePorts() (int, error) {
	for range 50 {
		first := 20000 + rand.IntN(400)*demoSpan
		if free(first) {
			return first, nil
		}
	}
	return 0, errors.New("no run of free ports found")
}

func free(first int) bool {
	for p := first; p < first+demoSpan; p++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// waitForDemo waits for demo.json, which is written when the network is complete, and for the center to answer.
func waitForDemo(path string) (*Network, error) {
	deadline := time.Now().Add(demoLimit)
	n := &Network{}
	for {
		select {
		case err := <-demo.done: // nil, and never ready, when the network is not ours
			demo.done <- err
			return nil, fmt.Errorf("the network ended before it was up: %w", err)
		default:
		}
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, n)
		}
		if err == nil {
			err = answers(n.Center.URL)
		}
		if err == nil {
			return n, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the network is not up after %s: %w", demoLimit, err)
		}
		time.Sleep(demoPoll)
	}
}

func answers(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", address, res.StatusCode)
	}
	return nil
}

// stopDemo asks the network to end as an operator would, and reports it when it does not end well.
func stopDemo() error {
	if demo.cmd == nil || demo.cmd.Process == nil {
		return os.RemoveAll(demo.dir)
	}
	_ = demo.cmd.Process.Signal(syscall.SIGTERM)
	var err error
	select {
	case err = <-demo.done:
	case <-time.After(30 * time.Second):
		_ = demo.cmd.Process.Kill()
		err = errors.New("it did not end within 30 s of SIGTERM")
	}
	if err != nil {
		return fmt.Errorf("stop demo: %w; the end of its log:\n%s", err, tail(filepath.Join(demo.dir, "demo.log"), 2000))
	}
	if os.Getenv("TRUC_TEST_KEEP") != "" {
		fmt.Fprintln(os.Stderr, "kept:", demo.dir)
		return nil
	}
	return os.RemoveAll(demo.dir)
}

func tail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-n):]))
}
