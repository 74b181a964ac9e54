package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/audit"
	"truc/internal/backup"
	"truc/internal/directory"
	"truc/internal/exchange"
	"truc/internal/i18n"
	"truc/internal/storage/storagetest"
	"truc/internal/translog"
)

// backedUp is a configuration with backups, and the key that opens them.
func backedUp(t *testing.T, cfg *Config) *backup.Identity {
	t.Helper()
	id, err := backup.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Backup = BackupConfig{Dir: filepath.Join(t.TempDir(), "backups"), Recipients: []string{id.Recipient().String()}, EveryHours: -1, Keep: 2}
	if faults := cfg.Check(); len(faults) > 0 {
		t.Fatal(faults)
	}
	return id
}

// put restores a backup into a fresh folder and returns the configuration of the node in it.
func put(t *testing.T, path string, id *backup.Identity, opt RestoreOptions) (*Config, Restored, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	opt.File, opt.Size, opt.Identity, opt.Now = f, st.Size(), id, time.Now
	if opt.Dir == "" {
		opt.Dir = filepath.Join(t.TempDir(), "node")
	}
	done, err := RestoreBackup(t.Context(), opt)
	if err != nil {
		return nil, done, err
	}
	cfg, err := LoadConfig(done.Config)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, done, nil
}

// signOf returns the fingerprint with which a node signs its backups.
func signOf(t *testing.T, n *Node) string {
	t.Helper()
	key, err := n.backupSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keyFingerprint(key.Public())
}

// reading records that somebody read a person's data, and returns its line.
func reading(t *testing.T, n *Node, dossier string) string {
	t.Helper()
	const person = "099190000001"
	err := n.audit.RecordAccess(t.Context(), audit.Access{SubjectID: person, Agency: "G22", Register: "population", Activity: "verify-dossier", Dossier: dossier, Fields: []string{"name"}, Kind: audit.Query})
	if err != nil {
		t.Fatal(err)
	}
	lines, _, err := n.audit.Usage(t.Context(), person, time.Time{}, time.Time{}, 0, 100)
	if err != nil || len(lines) == 0 {
		t.Fatalf("%v %v", lines, err)
	}
	for _, l := range lines {
		if l.Dossier == dossier {
			return l.LineID
		}
	}
	t.Fatalf("no line of %s", dossier)
	return ""
}

// TestBackupAndRestore takes a backup of a node that works, lets the node go on, loses it, and puts the backup back: what
// was recorded before is there and proven, the logs go on, and no checkpoint contradicts one that others hold.
func TestBackupAndRestore(t *testing.T) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) { backupAndRestore(t, engine == "postgres") })
	}
}

func backupAndRestore(t *testing.T, postgres bool) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	target := RestoreOptions{}
	if postgres {
		cfg.DB, target.DB = storagetest.PostgresURL(t), storagetest.PostgresURL(t)
	}
	secret := filepath.Join(t.TempDir(), "oidc")
	if err := os.WriteFile(secret, []byte("oidc secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Identity.ClientSecretFile = secret
	id := backedUp(t, cfg)
	m := startManaged(t, cfg)
	running := true
	defer func() {
		if running {
			m.stop()
		}
	}()
	target.Signer = signOf(t, m.node)
	m.ask(200, "POST", "/test/target", map[string]string{"target": "VN/GOV/G22"}, nil) // a signed call, in the log
	line := reading(t, m.node, "before")
	var version int64
	if doc := m.node.follower.Document(); doc != nil {
		version = doc.Version
	}
	name, err := m.node.MakeBackup(t.Context(), "operator:test")
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int64{"exchange": m.node.logs["exchange"].Size(), "audit": m.node.logs["audit"].Size()}

	// What happens behind the backup, and is seen by others: a witness cosigns it.
	witness := newTestWitness(t, m.node)
	reading(t, m.node, "lost")
	for range 3 {
		m.ask(200, "POST", "/test/target", map[string]string{"target": "VN/GOV/G22"}, nil)
	}
	if err := m.node.center.AddMember(t.Context(), "system", memberOf("H36")); err != nil {
		t.Fatal(err)
	}
	later := waitVersion(t, m.node, version+1)
	oldKeys := map[string]string{}
	for n, log := range m.node.logs {
		oldKeys[n] = log.VerifierKey()
		witness.cosign(t, n, log)
	}
	m.stop()
	running = false

	old := *cfg
	cfg, done, err := put(t, filepath.Join(cfg.Backup.Dir, name), id, target)
	if err != nil {
		t.Fatal(err)
	}
	if done.Node != "VN/GOV/G22/node1" || done.Logs["audit"] > sizes["audit"] || done.Logs["exchange"] > sizes["exchange"] || done.Logs["exchange"] == 0 {
		t.Errorf("restored %+v of sizes %v", done, sizes)
	}
	if b, err := os.ReadFile(cfg.Identity.ClientSecretFile); err != nil || string(b) != "oidc secret" || cfg.Identity.ClientSecretFile == secret {
		t.Errorf("the secret is in %s: %q, %v", cfg.Identity.ClientSecretFile, b, err)
	}
	if cfg.Member != old.Member || cfg.DataDir == old.DataDir {
		t.Errorf("configuration: %+v", cfg)
	}
	m = startManaged(t, cfg)
	running = true
	if acts := m.acts("exchange.backup.restore"); strings.Contains(acts, "H36") || !strings.Contains(acts, "operator:test exchange.backup.create "+name) {
		t.Errorf("acts:\n%s", acts)
	}
	if _, err := m.node.audit.Receipt(t.Context(), "099190000001", line); err != nil {
		t.Errorf("a receipt of a reading before the backup: %v", err)
	}
	reading(t, m.node, "after") // the person's chain goes on
	m.ask(200, "POST", "/test/target", map[string]string{"target": "VN/GOV/G22"}, nil)
	for n, log := range m.node.logs {
		if err := log.Verify(t.Context()); err != nil {
			t.Errorf("%s: %v", n, err)
		}
		if log.VerifierKey() == oldKeys[n] || !strings.Contains(log.Origin(), "/"+n+".r") {
			t.Errorf("%s goes on as %s", n, log.Origin())
		}
		note, err := log.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := translog.VerifyCheckpoint(note, oldKeys[n]); err == nil {
			t.Errorf("%s: a checkpoint under the name from before", n)
		}
		witness.cosign(t, n, log) // others take it as a log of its own
	}
	if witness.forks > 0 {
		t.Errorf("the witness saw %d forks", witness.forks)
	}
	if got := waitVersion(t, m.node, later+1); got <= later {
		t.Errorf("the directory goes on with version %d, others hold %d", got, later)
	}
	key := m.node.cosigner.VerifierKey()
	m.stop()
	running = false

	// It is told once, and a backup of a node that was put back can be put back again.
	m = startManaged(t, cfg)
	running = true
	if acts := m.acts("exchange.backup.restore"); strings.Count(acts, "exchange.backup.restore") != 1 {
		t.Errorf("told twice:\n%s", acts)
	}
	if m.node.cosigner.VerifierKey() != key {
		t.Error("the witness changed its key again")
	}
	name, err = m.node.MakeBackup(t.Context(), "operator:test")
	if err != nil {
		t.Fatal(err)
	}
	dir := cfg.Backup.Dir
	m.stop()
	running = false
	if postgres {
		target.DB = storagetest.PostgresURL(t)
	}
	cfg, again, err := put(t, filepath.Join(dir, name), id, target)
	if err != nil || again.Epoch == done.Epoch {
		t.Fatalf("%+v %+v, %v", done, again, err)
	}
	m = startManaged(t, cfg)
	running = true
	if _, err := m.node.audit.Receipt(t.Context(), "099190000001", line); err != nil {
		t.Errorf("after two restores: %v", err)
	}
}

func waitVersion(t *testing.T, n *Node, least int64) int64 {
	t.Helper()
	for range 1000 {
		if doc := n.follower.Document(); doc != nil && doc.Version >= least {
			return doc.Version
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the directory did not reach version %d", least)
	return 0
}

// testWitness is a witness elsewhere: it remembers what it cosigned.
type testWitness struct {
	w     *translog.Witness
	mem   map[string]translog.Witnessed
	keys  map[string]string
	forks int
}

func newTestWitness(t *testing.T, n *Node) *testWitness {
	t.Helper()
	w := &testWitness{mem: map[string]translog.Witnessed{}, keys: map[string]string{}}
	w.w = &translog.Witness{Signer: n.cosigner, Store: memory{w.mem}, Now: time.Now, LogKey: func(origin string) (string, bool) { k, ok := w.keys[origin]; return k, ok }}
	return w
}

// cosign shows a log's checkpoint to the witness, as the notary does, and wants it cosigned.
func (w *testWitness) cosign(t *testing.T, name string, log *translog.Log) {
	t.Helper()
	note, err := log.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	w.keys[log.Origin()] = log.VerifierKey()
	c, err := translog.VerifyCheckpoint(note, log.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	have := w.mem[log.Origin()]
	var proof []tlog.Hash
	if have.Size > 0 && have.Size < c.Size {
		if proof, err = log.Consistency(have.Size, c.Size); err != nil {
			w.forks++
			t.Errorf("%s: no proof from %d to %d: %v", name, have.Size, c.Size, err)
			return
		}
	}
	answer, err := w.w.AddCheckpoint(t.Context(), translog.AddCheckpoint{Old: have.Size, Proof: proof, Note: note}.Marshal())
	if err != nil || answer.Status != 200 {
		w.forks++
		t.Errorf("%s: the witness answers %d %s, %v", name, answer.Status, answer.Body, err)
	}
}

// TestRestoreRefuses gives files, keys, signers and folders that are not right.
func TestRestoreRefuses(t *testing.T) {
	cfg := alone(t, []string{"identity", "audit"})
	id := backedUp(t, cfg)
	var clock atomic.Int64
	m := startAhead(t, cfg, &clock)
	defer func() { m.stop() }()
	signer := signOf(t, m.node)
	var names []string
	for len(names) < 3 {
		name, err := m.node.MakeBackup(t.Context(), "system")
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	left, err := os.ReadDir(cfg.Backup.Dir)
	if err != nil || len(left) != 2 || left[0].Name() != names[1] || left[1].Name() != names[2] {
		t.Errorf("of three backups with keep = 2 there are %v, %v", left, err)
	}
	good := filepath.Join(cfg.Backup.Dir, names[2])
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"PRIVATE KEY", "audit_leaf", "member"} {
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%q is in clear", secret)
		}
	}
	write := func(b []byte) string {
		path := filepath.Join(t.TempDir(), "x.backup")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	changed := bytes.Clone(content)
	changed[len(changed)/2] ^= 1
	other, err := backup.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		path string
		id   *backup.Identity
		opt  RestoreOptions
		want string
	}{
		"damaged":           {write(changed), id, RestoreOptions{Signer: signer}, "exchange.backup.damaged"},
		"cut off":           {write(content[:len(content)-1000]), id, RestoreOptions{Signer: signer}, "exchange.backup.damaged"},
		"no backup":         {write([]byte("hello")), id, RestoreOptions{Signer: signer}, "exchange.backup.damaged"},
		"nobody's signer":   {good, id, RestoreOptions{}, "exchange.backup.signer_needed"},
		"another signer":    {good, id, RestoreOptions{Signer: "0000 1111"}, "exchange.backup.foreign"},
		"another node":      {good, id, RestoreOptions{Signer: signer, Node: "VN/GOV/H36/node1"}, "exchange.backup.other_node"},
		"another key":       {good, other, RestoreOptions{Signer: signer}, "exchange.backup.no_key"},
		"a folder in use":   {good, id, RestoreOptions{Signer: signer, Dir: full}, "exchange.backup.not_empty"},
		"a config in place": {good, id, RestoreOptions{Signer: signer, Config: good}, "exchange.backup.config_there"},
	} {
		dir := c.opt.Dir
		if dir == "" {
			dir = filepath.Join(t.TempDir(), "new")
			c.opt.Dir = dir
		}
		_, _, err := put(t, c.path, c.id, c.opt)
		if err == nil || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
		if list, err := os.ReadDir(dir); err == nil && len(list) > 0 && dir != full {
			t.Errorf("%s: something was written: %v", what, list)
		}
	}
	// A restore that was cut off: no node starts there, and nobody takes it for empty.
	dir := filepath.Join(t.TempDir(), "half")
	cut, _, err := put(t, good, id, RestoreOptions{Signer: signer, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, unfinishedRestore), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := Start(t.Context(), Options{Config: cut, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "exchange.backup.unfinished") {
		t.Errorf("a node starts in half a folder: %v", err)
		if n != nil {
			_ = n.close(t.Context())
		}
	}
	if _, _, err := put(t, good, id, RestoreOptions{Signer: signer, Dir: dir}); err == nil {
		t.Error("put into a folder that is not empty")
	}
	// A link in the data folder leads to what a backup would lack.
	if err := os.Symlink("/etc/hostname", filepath.Join(cfg.DataDir, "link")); err != nil {
		t.Fatal(err)
	}
	clock.Store(int64(time.Hour))
	if _, err := m.node.MakeBackup(t.Context(), "system"); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("with a link: %v", err)
	}
	if left, err := os.ReadDir(cfg.Backup.Dir); err != nil || len(left) != 2 {
		t.Errorf("a backup that failed left %v, %v", left, err)
	}
	if f := m.node.checkBackups(t.Context()); len(f) != 1 || f[0].Key != "exchange.diag.backup_failed" {
		t.Errorf("%+v", f)
	}
	if errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// memory is what a witness remembers.
type memory struct{ m map[string]translog.Witnessed }

func (m memory) Witnessed(_ context.Context, origin string) (translog.Witnessed, error) {
	return m.m[origin], nil
}

func (m memory) Advance(_ context.Context, origin string, prev, next translog.Witnessed) (bool, error) {
	if m.m[origin] != prev {
		return false, nil
	}
	m.m[origin] = next
	return true, nil
}

func memberOf(code string) directory.Member {
	return directory.Member{Class: "GOV", Code: code, Name: i18n.Text{"vi": code, "en": code}}
}

// TestBackupsByTheClock makes one when the newest is a day old, waits after a failure, and says how old the newest is.
func TestBackupsByTheClock(t *testing.T) {
	cfg := alone(t, []string{"identity", "audit"})
	backedUp(t, cfg)
	cfg.Backup.EveryHours = 24
	m := startManaged(t, cfg)
	m.stop() // the clock of the test alone decides from here on
	n, err := Start(t.Context(), Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.close(t.Context()) }()
	count := func() int {
		list, err := n.listBackups()
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	now := time.Now().UTC().Add(48 * time.Hour)
	n.now = func() time.Time { return now }
	start := count()
	step := func(ahead time.Duration, want int) {
		t.Helper()
		now = now.Add(ahead)
		_ = n.backupIfDue(t.Context()) // a failure shows in the number
		if got := min(count(), 2); got != min(start+want, 2) {
			t.Errorf("after %v there are %d, want %d more than %d", ahead, got, want, start)
		}
	}
	step(0, 1)
	step(23*time.Hour, 1)
	if f := n.checkBackups(t.Context()); f[0].Light != exchange.LightGood {
		t.Errorf("%+v", f)
	}
	newest, err := n.listBackups()
	if err != nil || len(newest) == 0 {
		t.Fatal(err)
	}
	good := cfg.Backup.Recipients
	cfg.Backup.Recipients = []string{"nobody"}
	now = now.Add(2 * time.Hour)
	if err := n.backupIfDue(t.Context()); err == nil {
		t.Error("a backup for nobody")
	}
	cfg.Backup.Recipients = good
	if err := n.backupIfDue(t.Context()); err != nil { // too soon after a failure
		t.Error(err)
	}
	if f := n.checkBackups(t.Context()); f[0].Key != "exchange.diag.backup_failed" {
		t.Errorf("%+v", f)
	}
	now = now.Add(11 * time.Minute)
	if err := n.backupIfDue(t.Context()); err != nil {
		t.Error(err)
	}
	after, err := n.listBackups()
	if err != nil || after[0].Name == newest[0].Name {
		t.Errorf("no new backup: %v %v, %v", newest, after, err)
	}
	now = now.Add(60 * time.Hour)
	if f := n.checkBackups(t.Context()); f[0].Key != "exchange.diag.backup_late" {
		t.Errorf("%+v", f)
	}
}
