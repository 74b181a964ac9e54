package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// backedUp is a center whose backups open with the key in the file "key", and its process.
type backedUp struct {
	*machine
	url, backups string
	process      *exec.Cmd
}

func newBackedUp(t *testing.T) *backedUp {
	t.Helper()
	b := &backedUp{machine: newMachine(t)}
	recipient := strings.TrimSpace(b.must("backup", "key", "-o", "key"))
	if out, err := b.truc("backup", "key", "-o", "key"); err == nil {
		t.Fatalf("a key was written over: %s", out)
	}
	web := freePort(t)
	b.url, b.backups = "http://"+web, filepath.Join(b.dir, "backups")
	b.write("truc.toml", fmt.Sprintf("instance = \"VN\"\nmember = \"G22\"\nname = {vi = \"Trung tâm\", en = \"Center\"}\ndata_dir = \"data\"\n[web]\nlisten = %q\n[link]\nlisten = %q\n[directory]\ncenter = true\n[backup]\ndir = %q\nrecipients = [%q]\nevery_hours = -1\n", web, freePort(t), b.backups, recipient))
	b.serve("truc.toml")
	return b
}

// serve starts the node.
func (b *backedUp) serve(config string) {
	b.t.Helper()
	var out safeBuffer
	b.process = b.cmd(b.t.Context(), &out, "serve", "-config", config)
	if err := b.process.Start(); err != nil {
		b.t.Fatal(err)
	}
	p := b.process
	b.t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	waitFor(b.t, "the start of the node: "+out.String(), func() bool { return readyLevel(b.url) == "fresh" })
}

// kill ends the node as a power cut of the process does.
func (b *backedUp) kill() {
	b.t.Helper()
	if err := b.process.Process.Signal(syscall.SIGKILL); err != nil {
		b.t.Fatal(err)
	}
	_ = b.process.Wait()
}

func (b *backedUp) partial(pattern string) []string {
	list, _ := filepath.Glob(pattern)
	return list
}

var madeBackup = regexp.MustCompile(`A backup was made: (\S+\.backup)`)

// create makes a backup by the command line, and returns its file and the fingerprint of who signed it.
func (b *backedUp) create() (file, signer string) {
	b.t.Helper()
	out := b.must("backup", "create")
	m := madeBackup.FindStringSubmatch(out)
	by := regexp.MustCompile(`Signed by ([0-9a-f ]+)\.`).FindStringSubmatch(out)
	if m == nil || by == nil {
		b.t.Fatalf("create says: %s", out)
	}
	return filepath.Join(b.backups, m[1]), by[1]
}

// exchangeOne has the node call itself, signed and logged, and returns the id.
func (b *backedUp) exchangeOne() string {
	b.t.Helper()
	nodeDo(b.t, b.machine, "POST", "/api/exchange/test/target", `{"target":"VN/GOV/G22"}`)
	var list struct {
		Items []struct {
			ExchangeID string `json:"exchange_id"`
		}
	}
	if err := json.Unmarshal(nodeAsk(b.t, b.machine, "/api/exchange/messages"), &list); err != nil || len(list.Items) == 0 {
		b.t.Fatalf("%v %+v", err, list)
	}
	return list.Items[0].ExchangeID
}

// TestBackupOfANode makes a backup of a node that runs, kills it, loses its folder and puts the backup back: it serves, and
// the evidence of exchanges from before verifies, as it was exported and exported anew.
func TestBackupOfANode(t *testing.T) {
	b := newBackedUp(t)
	id := b.exchangeOne()
	key := filepath.Join("data", "keys", "operator.key")
	b.must("evidence", "export", id, "-node", b.url, "-key-file", key, "-o", "before.zip")
	file, signer := b.create()
	for _, args := range [][]string{{file}, {file, "-signer", signer}, {"-key", "key", file, "-signer", signer}} {
		if out := b.must(append([]string{"backup", "verify"}, args...)...); !strings.Contains(out, "VN/GOV/G22/node1") || !strings.Contains(out, signer) {
			t.Errorf("verify %v: %s", args, out)
		}
	}
	if out := b.must("backup", "list"); !strings.Contains(out, filepath.Base(file)) {
		t.Errorf("list: %s", out)
	}
	if out, err := b.truc("backup", "verify", file, "-signer", "0011 2233"); err == nil || !strings.Contains(out, "another key") {
		t.Errorf("verified under another signer: %s", out)
	}
	lost := b.exchangeOne() // behind the backup
	b.kill()
	if err := os.RemoveAll(filepath.Join(b.dir, "data")); err != nil {
		t.Fatal(err)
	}
	restore := []string{"backup", "restore", file, "-key", "key", "-signer", signer, "-node", "VN/GOV/G22/node1", "-dir", "data"}
	out := b.must(restore...)
	if !strings.Contains(out, "data") || !strings.Contains(out, "new names") {
		t.Errorf("restore: %s", out)
	}
	if out, err := b.truc(restore...); err == nil || !strings.Contains(out, "not empty") {
		t.Errorf("restored twice into one folder: %s", out)
	}
	config := filepath.Join(b.dir, "data", "truc.toml")
	b.serve(config)
	after := b.exchangeOne()
	if after == id || after == lost {
		t.Errorf("no new exchange: %s", after)
	}
	if list := string(nodeAsk(t, b.machine, "/api/exchange/messages")); !strings.Contains(list, id) || strings.Contains(list, lost) {
		t.Errorf("messages: %s", list)
	}
	b.must("evidence", "export", id, "-node", b.url, "-key-file", key, "-o", "anew.zip")
	b.must("evidence", "export", after, "-node", b.url, "-key-file", key, "-o", "after.zip")
	anchor := regexp.MustCompile(`"key_?id":"([^"]+)"`).FindStringSubmatch(string(mustRead(t, filepath.Join(b.dir, "data", "directory", "directory.json"))))
	if anchor == nil {
		t.Fatal("the directory names no key")
	}
	for _, name := range []string{"before.zip", "anew.zip", "after.zip"} { // one anchor for all three
		if out := b.must("verify", name, "-lang", "en", "-anchor", anchor[1]); !strings.Contains(out, "good") || strings.Contains(out, " bad") {
			t.Errorf("%s: %s", name, out)
		}
	}
	if out := b.must("evidence", "verify-log", "-log", "exchange"); strings.Contains(out, "damaged") {
		t.Errorf("verify-log: %s", out)
	}
	b.create()
	if out := b.must("alarms", "list"); !strings.Contains(out, "Channels") {
		t.Errorf("alarms: %s", out)
	}
	if out, err := b.truc("alarms", "test"); err == nil || !strings.Contains(out, "alarm.not_configured") {
		t.Errorf("a test without channels: %v %s", err, out)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKilledDuringBackupAndRestore kills the node in the middle of a backup, and a restore in its middle: what is there has
// its name only when it is whole, and half a folder is never started.
func TestKilledDuringBackupAndRestore(t *testing.T) {
	b := newBackedUp(t)
	first, signer := b.create()
	filler, err := os.Create(filepath.Join(b.dir, "data", "filler"))
	if err != nil {
		t.Fatal(err)
	}
	if err := filler.Truncate(400 << 20); err != nil { // long enough to be caught at it
		t.Fatal(err)
	}
	if err := filler.Close(); err != nil {
		t.Fatal(err)
	}
	nodeDo(t, b.machine, "POST", "/api/exchange/backups", `{}`)
	waitFor(t, "half a backup", func() bool {
		for _, f := range b.partial(filepath.Join(b.backups, "*.partial")) {
			if st, err := os.Stat(f); err == nil && st.Size() > 2<<20 {
				return true
			}
		}
		return false
	})
	b.kill()
	if left := b.partial(filepath.Join(b.backups, "*.partial")); len(left) != 1 {
		t.Fatalf("the node was killed too late: %v", left)
	}
	if list := b.partial(filepath.Join(b.backups, "*.backup")); len(list) != 1 || list[0] != first {
		t.Errorf("backups: %v", list)
	}
	b.serve("truc.toml")
	if left := append(b.partial(filepath.Join(b.backups, "*.partial")), b.partial(filepath.Join(b.backups, "*.scratch*"))...); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	second, _ := b.create()
	b.must("backup", "verify", second, "-signer", signer, "-key", "key")
	b.kill()

	var out safeBuffer
	restore := b.cmd(t.Context(), &out, "backup", "restore", second, "-key", "key", "-signer", signer, "-dir", "half")
	if err := restore.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "half a restore", func() bool {
		st, err := os.Stat(filepath.Join(b.dir, "half", "filler"))
		return err == nil && st.Size() > 2<<20
	})
	if err := restore.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = restore.Wait()
	if _, err := os.Stat(filepath.Join(b.dir, "half", "restore.unfinished")); err != nil {
		t.Fatalf("the restore was killed too late: %v %s", err, out.String())
	}
	b.write("half.toml", strings.Replace(string(mustRead(t, filepath.Join(b.dir, "truc.toml"))), `data_dir = "data"`, `data_dir = "half"`, 1))
	if out, err := b.truc("serve", "-config", "half.toml"); err == nil || !strings.Contains(out, "exchange.backup.unfinished") {
		t.Errorf("half a folder was started: %v %s", err, out)
	}
	if out, err := b.truc("backup", "restore", second, "-key", "key", "-signer", signer, "-dir", "half"); err == nil {
		t.Errorf("put into half a folder: %s", out)
	}
	b.must("backup", "restore", second, "-key", "key", "-signer", signer, "-dir", "whole")
	b.serve(filepath.Join("whole", "truc.toml"))
}
