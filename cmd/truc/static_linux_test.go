package main

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// recipe is what deploy/Containerfile says.
type recipe struct {
	copies          [][2]string
	user            int
	entrypoint, cmd []string
}

func readRecipe(t *testing.T) (r recipe) {
	t.Helper()
	from := ""
	for line := range strings.Lines(string(mustRead(t, filepath.Join("..", "..", "deploy", "Containerfile")))) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		rest := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), f[0]))
		var err error
		switch f[0] {
		case "FROM":
			from = rest
		case "COPY":
			r.copies = append(r.copies, [2]string{f[1], f[2]})
		case "USER":
			r.user, err = strconv.Atoi(strings.Split(rest, ":")[0])
		case "ENTRYPOINT":
			err = json.Unmarshal([]byte(rest), &r.entrypoint)
		case "CMD":
			err = json.Unmarshal([]byte(rest), &r.cmd)
		case "VOLUME":
		default:
			t.Errorf("a line that this test does not know: %s", line)
		}
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	if from != "scratch" || len(r.copies) == 0 || len(r.entrypoint) == 0 || r.user == 0 {
		t.Fatalf("the recipe is %+v from %q", r, from)
	}
	return r
}

// TestStaticProgramInAnEmptyRoot builds the program as a release is built: it is one file without a loader or libraries, of
// less than 100 MB, and a node runs with it in a root that holds what deploy/Containerfile copies and nothing else.
func TestStaticProgramInAnEmptyRoot(t *testing.T) {
	r, root := readRecipe(t), t.TempDir()
	program := filepath.Join(root, r.entrypoint[0])
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkStatic(t, program)
	for _, c := range r.copies {
		if c[1] == r.entrypoint[0] {
			continue
		}
		to := filepath.Join(root, c[1])
		if c[0] != "bin/ca-certificates.crt" {
			t.Fatalf("the recipe copies %s, of which this test does not know where it comes from", c[0])
		}
		b, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt") // the head of the recipe says so
		if os.IsNotExist(err) {                                     // a machine without authorities: the program does without
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	web := freePort(t)
	config := filepath.Join(root, r.cmd[len(r.cmd)-1])
	for _, dir := range []string{filepath.Dir(config), filepath.Join(root, "data")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf("instance = \"VN\"\nmember = \"G22\"\nname = {vi = \"Trung tâm\", en = \"Center\"}\ndata_dir = \"/data\"\n[web]\nlisten = %q\n[link]\nlisten = %q\n[directory]\ncenter = true\n", web, freePort(t))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := inRoot(t, root, r)
	var out safeBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() }()
	url := "http://" + web
	waitFor(t, "the start in an empty root: "+out.String(), func() bool { return readyLevel(url) == "fresh" })
	res, err := http.Get(url + "/login?lang=en")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if page, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(page), "</html>") {
		t.Errorf("a page: %d, %v", res.StatusCode, err)
	}
	if mib := residentMiB(t, cmd.Process.Pid); mib > 100 {
		t.Errorf("an idle node takes %d MiB", mib)
	}
	if _, err := os.Stat(filepath.Join(root, "data", "keys", "signing.key")); err != nil {
		t.Error(err)
	}
}

// checkStatic wants a file that the kernel alone can start.
func checkStatic(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has a segment %v", p.Type)
		}
	}
	if libs, err := f.ImportedLibraries(); err == nil && len(libs) > 0 {
		t.Errorf("the program wants %v", libs)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mb := st.Size() / 1_000_000; mb >= 100 {
		t.Errorf("the program has %d MB", mb)
	}
}

// inRoot is the command of the recipe with root as its only file system, and without rights.
func inRoot(t *testing.T, root string, r recipe) *exec.Cmd {
	t.Helper()
	args := append(r.entrypoint[1:len(r.entrypoint):len(r.entrypoint)], r.cmd...)
	cmd := exec.CommandContext(t.Context(), r.entrypoint[0], args...)
	cmd.Path, cmd.Err = r.entrypoint[0], nil
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if os.Getuid() == 0 {
		for dir := root; ; dir = filepath.Dir(dir) { // the folders of a test are closed to others
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if filepath.Dir(dir) == os.TempDir() || dir == "/" {
				break
			}
		}
		if err := os.Chown(filepath.Join(root, "data"), r.user, r.user); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(r.user), Gid: uint32(r.user)}
		return cmd
	}
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	return cmd
}

func residentMiB(t *testing.T, pid int) int {
	t.Helper()
	for line := range strings.Lines(string(mustRead(t, fmt.Sprintf("/proc/%d/status", pid)))) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib / 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
