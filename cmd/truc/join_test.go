package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"truc/internal/directory"
)

// machine is a folder of its own with the program in it, as on the computer of an agency.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) *machine { return &machine{t: t, dir: t.TempDir()} }

func (m *machine) cmd(ctx context.Context, out io.Writer, args ...string) *exec.Cmd {
	m.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	c := exec.CommandContext(ctx, exe, args...)
	c.Dir = m.dir
	c.Env = append(os.Environ(), actAsTruc+"=1", "LANG=en")
	c.Stdout, c.Stderr = out, out
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	return c
}

// truc runs a command to its end.
func (m *machine) truc(args ...string) (string, error) {
	m.t.Helper()
	var out safeBuffer
	err := m.cmd(m.t.Context(), &out, args...).Run()
	return out.String(), err
}

func (m *machine) must(args ...string) string {
	m.t.Helper()
	out, err := m.truc(args...)
	if err != nil {
		m.t.Fatalf("truc %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// start runs a command beside the test.
func (m *machine) start(args ...string) *safeBuffer {
	m.t.Helper()
	out := new(safeBuffer)
	c := m.cmd(m.t.Context(), out, args...)
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = c.Process.Signal(syscall.SIGTERM); _ = c.Wait() })
	return out
}

func (m *machine) write(name, content string) string {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// waitFor asks until f says yes.
func waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 600 {
		if f() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s did not happen", what)
}

func readyLevel(url string) string {
	res, err := http.Get(url + "/readyz")
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	var state struct {
		Directory string `json:"directory"`
	}
	if json.NewDecoder(res.Body).Decode(&state) != nil {
		return ""
	}
	return state.Directory
}

// newCenter starts the center of a network; more goes to the end of its configuration.
func newCenter(t *testing.T, more ...string) (m *machine, url string) {
	t.Helper()
	m = newMachine(t)
	web := freePort(t)
	m.write("truc.toml", fmt.Sprintf(`instance = "VN"
member = "G22"
name = {vi = "Trung tâm", en = "Center"}
data_dir = "data"
[web]
listen = %q
[link]
listen = %q
[directory]
center = true
`, web, freePort(t))+strings.Join(more, ""))
	out := m.start("serve")
	url = "http://" + web
	waitFor(t, "the start of the center: "+out.String(), func() bool { return readyLevel(url) == "fresh" })
	return m, url
}

// TestJoin plays the whole way of a new agency: invited, joined, approved by telephone, served, and shut out again. No
// file is carried but the token.
func TestJoin(t *testing.T) {
	center, centerURL := newCenter(t)
	if out := center.must("directory", "pending"); !strings.Contains(out, "No join request") {
		t.Errorf("pending: %s", out)
	}
	center.must("directory", "add-member", "-member", "H36", "-name", `UBND tỉnh "Lâm Đồng" <1>`, "-name-en", "Lam Dong", "-unit", "68")
	token := strings.TrimSpace(center.must("directory", "token", "-member", "VN/GOV/H36", "-approval"))

	agency := newMachine(t)
	web := freePort(t)
	agency.write("token", token)
	join := []string{"join", "-token-file", "token", "-web-listen", web, "-link-listen", freePort(t)}
	if out, err := agency.truc(append(join, "-token", token)...); err == nil || !strings.Contains(out, "exactly one place") {
		t.Errorf("two tokens: %v %s", err, out)
	}
	ctx, stop := context.WithCancel(t.Context())
	var first safeBuffer
	running := agency.cmd(ctx, &first, join...)
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the wait for approval", func() bool { return strings.Contains(first.String(), "waits for the center's administrator") })
	stop() // the agency's administrator goes home
	_ = running.Wait()
	if !strings.Contains(first.String(), "Run the same command again") {
		t.Errorf("an interrupted join says:\n%s", first.String())
	}
	fingerprint := regexp.MustCompile(`signing key: ([0-9a-f ]+)`).FindStringSubmatch(first.String())[1]
	if out := center.must("directory", "pending"); !strings.Contains(out, fingerprint) || !strings.Contains(out, "VN/GOV/H36/node1") {
		t.Errorf("the center does not show the fingerprint that the node says:\n%s", out)
	}
	if out, err := center.truc("directory", "approve", "-node", "VN/GOV/H36/node1", "-fingerprint", "0000 0000"); err == nil {
		t.Errorf("a wrong fingerprint was approved: %s", out)
	}
	center.must("directory", "approve", "-node", "VN/GOV/H36/node1", "-fingerprint", fingerprint[:14])
	second := agency.must(join...)
	for _, want := range []string{"proved that it holds the directory key", "is in version", "configuration was written", "Done after"} {
		if !strings.Contains(second, want) {
			t.Errorf("join does not say %q:\n%s", want, second)
		}
	}
	if again := agency.must(join...); !strings.Contains(again, "nothing to do") {
		t.Errorf("a third time:\n%s", again)
	}
	out := agency.start("serve")
	waitFor(t, "the start of the agency's node: "+out.String(), func() bool { return readyLevel("http://"+web) == "fresh" })
	if list := center.must("directory", "members"); !strings.Contains(list, "VN/GOV/H36/node1") || !strings.Contains(list, "Lam Dong") {
		t.Errorf("members:\n%s", list)
	}
	if out := agency.must("keys", "status"); !strings.Contains(out, fingerprint) {
		t.Errorf("keys status:\n%s", out)
	}
	if out := agency.must("keys", "rotate", "-alg", "p256"); !strings.Contains(out, "takes over") {
		t.Errorf("keys rotate:\n%s", out)
	}
	agency.must("keys", "maintenance", "đến", "22", "giờ")
	if out := agency.must("keys", "status"); !strings.Contains(out, "đến 22 giờ") || !strings.Contains(out, "next signing key") {
		t.Errorf("keys status:\n%s", out)
	}
	center.must("directory", "revoke", "-node", "VN/GOV/H36/node1", "-reason", "thử")
	waitFor(t, "the revocation in the node's own copy", func() bool {
		b, err := os.ReadFile(filepath.Join(agency.dir, "data", "directory", "directory.json"))
		if err != nil {
			return false
		}
		doc, err := directory.Peek(b)
		return err == nil && len(doc.Revoked) == 3
	})
	// An operator's key of the center opens the center, and nothing else does; the agency's own key does not go there.
	agency.write("stranger", "ABC")
	for _, file := range []string{"stranger", filepath.Join("data", "keys", "operator.key")} {
		if out, err := agency.truc("directory", "members", "-url", centerURL, "-key-file", file); err == nil || !strings.Contains(out, "web.manage.key_unknown") {
			t.Errorf("%s opens the center: %v %s", file, err, out)
		}
	}
	if out, err := agency.truc("directory", "members", "-url", centerURL); err == nil || !strings.Contains(out, "-key-file") {
		t.Errorf("the agency's key went to another node: %v %s", err, out)
	}
	if out, err := agency.truc("directory", "members", "-url", "http://truc.example.vn", "-key-file", "stranger"); err == nil || !strings.Contains(out, "https only") {
		t.Errorf("a key over plain HTTP: %v %s", err, out)
	}
	if info, err := os.Stat(filepath.Join(center.dir, "data", "keys", "operator.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the first operator's key: %v, %v", info, err)
	}
}

// TestJoinRefuses: the address may differ from the token's, the key may not.
func TestJoinRefuses(t *testing.T) {
	center, url := newCenter(t)
	_, other := newCenter(t)
	token := strings.TrimSpace(center.must("directory", "token", "-member", "VN/GOV/G22", "-server", "node2"))
	m := newMachine(t)
	m.write("token", token)
	join := func(more ...string) []string {
		return append([]string{"join", "-token-file", "token", "-web-listen", freePort(t), "-link-listen", freePort(t)}, more...)
	}
	if out, err := m.truc(join("-center", other)...); err == nil || !strings.Contains(out, "cannot be trusted") {
		t.Errorf("a foreign center: %v\n%s", err, out)
	}
	if out, err := m.truc(join("-center", "http://127.0.0.1:1", "-wait", "100ms")...); err == nil || !strings.Contains(out, "cannot be reached") {
		t.Errorf("no center: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "truc.toml")); err == nil {
		t.Error("a configuration was written though nothing was joined")
	}
	if out := m.must(join("-center", strings.Replace(url, "127.0.0.1", "localhost", 1))...); !strings.Contains(out, "the key that must match") {
		t.Errorf("the center by another name:\n%s", out)
	}
	b, err := os.ReadFile(filepath.Join(m.dir, "truc.toml"))
	if err != nil || !strings.Contains(string(b), "url = \"http://localhost:") {
		t.Errorf("the configuration forgets the address (%v):\n%s", err, b)
	}
	m.must("config", "check")
}
