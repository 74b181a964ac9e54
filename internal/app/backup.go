package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"truc/internal/backup"
	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/storage"
	"truc/internal/translog"
)

const (
	backupSuffix  = ".backup"
	partialSuffix = ".partial"
	scratchSuffix = ".scratch"
	backupTime    = "20060102T150405Z"
	actBackup     = "exchange.backup.create"
)

// The parts of a backup; docs/adr/0026-backups.md.
const (
	partManifest = "manifest.json"
	partConfig   = "config/truc.toml"
	partOutside  = "outside/"
	partData     = "data/"
	partLogs     = "logs/"
	partArchive  = "archive/"
)

// backupManifest is the first part.
type backupManifest struct {
	Node   string               `json:"node"`
	MadeAt time.Time            `json:"made_at"`
	Engine storage.Engine       `json:"engine"`
	Center bool                 `json:"center"`
	Logs   map[string]backupLog `json:"logs"`
	// DataDir is where the data folder was; paths of the configuration that begin with it move with it.
	DataDir string `json:"data_dir"`
	// Outside are the files of the configuration that lie elsewhere, in the order of their parts.
	Outside []string `json:"outside"`
	Files   bool     `json:"files"`
	Bodies  bool     `json:"bodies"`
	Archive bool     `json:"archive"`
}

// backupLog says how a log was when the backup was made.
type backupLog struct {
	Size int64 `json:"size"`
	// Keys are verifier keys under which its entries were signed for, the newest first.
	Keys []string `json:"keys"`
}

// Backup is a file in the folder of backups.
type Backup struct {
	Name  string    `json:"name"`
	Bytes int64     `json:"bytes"`
	At    time.Time `json:"at"`
}

// backups is what the node knows of its own.
type backups struct {
	one sync.Mutex // one at a time

	mu     sync.Mutex // guards what follows
	busy   bool
	tried  time.Time
	failed string
}

// backupPrefix begins the names of this node's backups, so that a folder may be shared.
func (n *Node) backupPrefix() string { return "truc-" + n.cfg.Member + "-" + n.cfg.Server + "-" }

var backupStamp = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z$`)

// listBackups returns those that are complete, the newest first.
func (n *Node) listBackups() ([]Backup, error) {
	entries, err := os.ReadDir(n.cfg.Backup.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Backup
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), n.backupPrefix())
		stamp, ok2 := strings.CutSuffix(rest, backupSuffix)
		if !ok || !ok2 || !backupStamp.MatchString(stamp) {
			continue
		}
		at, err := time.Parse(backupTime, stamp)
		if err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // it was removed meanwhile
		}
		out = append(out, Backup{e.Name(), info.Size(), at})
	}
	slices.SortFunc(out, func(a, b Backup) int { return cmp.Compare(b.Name, a.Name) })
	return out, nil
}

// startBackups makes backups as the configuration says, and lets operators ask for one.
func (n *Node) startBackups() error {
	if n.cfg.Backup.Dir == "" {
		return n.declareBackups()
	}
	if err := os.MkdirAll(n.cfg.Backup.Dir, 0o700); err != nil {
		return err
	}
	n.removeUnfinished()
	if n.cfg.Backup.EveryHours >= 0 {
		n.every("backup", time.Minute, n.backupIfDue)
	}
	return n.declareBackups()
}

// removeUnfinished removes what a killed process left.
func (n *Node) removeUnfinished() {
	for _, suffix := range []string{partialSuffix, scratchSuffix, scratchSuffix + "-journal"} {
		left, _ := filepath.Glob(filepath.Join(n.cfg.Backup.Dir, n.backupPrefix()+"*"+suffix)) // the pattern is ours
		for _, f := range left {
			_ = os.Remove(f) // what cannot be removed now is tried again before the next backup
		}
	}
}

// backupIfDue makes a backup when the newest is old enough. After a failure it waits for ten minutes.
func (n *Node) backupIfDue(ctx context.Context) error {
	list, err := n.listBackups()
	if err != nil {
		return err
	}
	if len(list) > 0 && n.now().Sub(list[0].At) < n.cfg.Backup.every() {
		return nil
	}
	n.backups.mu.Lock()
	wait := n.backups.failed != "" && n.now().Sub(n.backups.tried) < 10*time.Minute
	n.backups.mu.Unlock()
	if wait {
		return nil
	}
	_, err = n.MakeBackup(ctx, "system")
	return err
}

// MakeBackup writes a backup, removes those that are too many, and returns its name. It is recorded before it happens.
func (n *Node) MakeBackup(ctx context.Context, actor string) (name string, err error) {
	defer errs.Wrap(&err, "backup")
	if n.cfg.Backup.Dir == "" {
		return "", errs.E(errs.Conflict, "exchange.backup.not_configured", nil)
	}
	if !n.backups.one.TryLock() {
		return "", errs.E(errs.Conflict, "exchange.backup.running", nil)
	}
	defer n.backups.one.Unlock()
	at := n.now()
	for { // names have seconds
		name = n.backupPrefix() + at.Format(backupTime) + backupSuffix
		if _, err := os.Stat(filepath.Join(n.cfg.Backup.Dir, name)); err != nil {
			break
		}
		at = at.Add(time.Second)
	}
	if err := n.act(ctx, actor, actBackup, name); err != nil {
		return "", err
	}
	n.backups.note(true, at, nil)
	n.removeUnfinished()
	err = n.writeBackup(ctx, name, at)
	n.backups.note(false, at, err)
	if err != nil {
		return "", errors.Join(err, n.act(context.WithoutCancel(ctx), actor, actBackup+failedSuffix, name))
	}
	n.log.InfoContext(ctx, "a backup was made", slog.String("file", name))
	return name, n.thinBackups()
}

func (b *backups) note(busy bool, at time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy, b.tried = busy, at
	if !busy {
		b.failed = ""
		if err != nil {
			b.failed = err.Error()
		}
	}
}

func (n *Node) thinBackups() error {
	list, err := n.listBackups()
	if err != nil {
		return err
	}
	keep := orInt(n.cfg.Backup.Keep, 7)
	for _, b := range list[min(keep, len(list)):] {
		err = errors.Join(err, os.Remove(filepath.Join(n.cfg.Backup.Dir, b.Name)))
	}
	return err
}

// writeBackup gives the file its name when it is whole and on the disk.
func (n *Node) writeBackup(ctx context.Context, name string, at time.Time) (err error) {
	dir := n.cfg.Backup.Dir
	partial := filepath.Join(dir, name+partialSuffix)
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial))
		}
	}()
	err = n.fillBackup(ctx, f, filepath.Join(dir, name+scratchSuffix), at)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(partial, filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// fillBackup writes the parts. Database and logs are of one moment, at which nothing is half recorded: what the database
// knows to be in the audit log is in it, and nothing that it does not know. The exchange log may be a little ahead of the
// database, which takes what it lacks from the log when it starts.
func (n *Node) fillBackup(ctx context.Context, out io.Writer, scratch string, at time.Time) (err error) {
	frozen := map[string]*translog.Frozen{}
	for name, log := range n.logs {
		frozen[name] = log.Freeze()
		defer frozen[name].Close()
	}
	snap, err := n.db.Snapshot(ctx, scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snap.Close(ctx)) }()
	m := n.manifest(at)
	moment := func() error {
		if err := snap.Begin(ctx); err != nil {
			return err
		}
		for name, f := range frozen {
			one := m.Logs[name]
			one.Size = f.Mark()
			m.Logs[name] = one
		}
		return nil
	}
	if n.audit != nil {
		err = n.audit.Hold(moment)
	} else {
		err = moment()
	}
	if err != nil {
		return err
	}
	recipients, err := n.cfg.Backup.recipients()
	if err != nil {
		return err
	}
	signing, err := n.backupSigner(ctx)
	if err != nil {
		return err
	}
	w, err := backup.NewWriter(out, backup.Header{Node: n.cfg.ServerID(), MadeAt: at.Unix(), Release: n.release}, recipients, signing)
	if err != nil {
		return err
	}
	if err := n.addConfiguration(w, &m); err != nil {
		return err
	}
	if err := snap.WriteTo(ctx, w); err != nil {
		return err
	}
	for name, f := range frozen {
		err := f.Files(ctx, m.Archive, func(file string, size int64, r io.Reader) error {
			if rest, ok := strings.CutPrefix(file, "archive/"); ok {
				return w.Add(partArchive+name+"/"+rest, size, r)
			}
			return w.Add(partLogs+name+"/"+file, size, r)
		})
		if err != nil {
			return err
		}
	}
	if err := n.addDataFiles(ctx, w, m); err != nil {
		return err
	}
	return w.Close()
}

func (n *Node) manifest(at time.Time) backupManifest {
	b := n.cfg.Backup
	m := backupManifest{
		Node: n.cfg.ServerID(), MadeAt: at, Engine: n.db.Engine(), Center: n.cfg.Directory.Center, Logs: map[string]backupLog{},
		DataDir: absolute(n.cfg.DataDir), Files: !b.WithoutFiles, Bodies: !b.WithoutBodies, Archive: b.Archive,
	}
	for name, log := range n.logs {
		m.Logs[name] = backupLog{Keys: append([]string{log.VerifierKey()}, n.restored.Logs[name].Keys...)}
	}
	return m
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// addConfiguration adds the manifest, the file of the configuration and the small files that it names elsewhere.
func (n *Node) addConfiguration(w *backup.Writer, m *backupManifest) error {
	text, err := n.cfg.source()
	if err != nil {
		return err
	}
	type outside struct{ content []byte }
	var files []outside
	for _, path := range n.cfg.filesOutside() {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("a file that the configuration names: %w", err)
		}
		files = append(files, outside{b})
		m.Outside = append(m.Outside, path)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name    string
		content []byte
	}{{partManifest, b}, {partConfig, text}} {
		if err := w.Add(p.name, int64(len(p.content)), bytes.NewReader(p.content)); err != nil {
			return err
		}
	}
	for i, f := range files {
		if err := w.Add(outsideName(i, m.Outside[i]), int64(len(f.content)), bytes.NewReader(f.content)); err != nil {
			return err
		}
	}
	return nil
}

func outsideName(i int, path string) string {
	return fmt.Sprintf("%s%03d-%s", partOutside, i, filepath.Base(path))
}

// inMemory is up to which size a file is read at once, so that it is of one moment though it may be replaced.
const inMemory = 1 << 20

// addDataFiles adds the data folder but for what has a part of its own or must not come back: a witness that was put back
// would have forgotten what it cosigned, so it gets a new key.
func (n *Node) addDataFiles(ctx context.Context, w *backup.Writer, m backupManifest) error {
	root := n.cfg.DataDir
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // it was removed meanwhile
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if n.leftOut(rel, m) || absolute(p) == absolute(n.cfg.Backup.Dir) || absolute(p) == absolute(n.cfg.Evidence.ArchiveDir) {
				return filepath.SkipDir
			}
			return nil
		}
		if n.leftOut(rel, m) {
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s is a symbolic link: a backup would lack what it leads to", p)
		}
		if !d.Type().IsRegular() { // sockets
			return nil
		}
		return addFile(w, partData+rel, p)
	})
}

// leftOut says what of the data folder has no place in a backup.
func (n *Node) leftOut(rel string, m backupManifest) bool {
	top, rest, _ := strings.Cut(rel, "/")
	switch {
	case rel == "keys/witness.key", rel == unfinishedRestore, strings.HasSuffix(rel, ".tmp"), strings.HasPrefix(path.Base(rel), "truc-body-"):
		return true
	case rel == filepath.Base(strings.TrimPrefix(n.cfg.DB, "sqlite:")), strings.HasPrefix(rel, "truc.db"):
		return true
	case top == "logs" && rest != "":
		name, _, _ := strings.Cut(rest, "/")
		return n.logs[name] != nil || name == "bodies" && !m.Bodies
	case top == "axis" || top == "documents":
		sub, _, _ := strings.Cut(rest, "/")
		return !m.Files || sub == "tmp" || sub == "partial"
	}
	return false
}

func addFile(w *backup.Writer, name, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() > inMemory {
		return w.Add(name, st.Size(), f)
	}
	b, err := io.ReadAll(io.LimitReader(f, 2*inMemory))
	if err != nil {
		return err
	}
	return w.Add(name, int64(len(b)), bytes.NewReader(b))
}

// checkBackups says how old the newest backup is.
func (n *Node) checkBackups(context.Context) []exchange.Finding {
	if n.cfg.Backup.Dir == "" {
		return nil
	}
	f := exchange.Finding{Name: "backup", Light: exchange.LightGood, Key: "exchange.diag.backup_good"}
	list, err := n.listBackups()
	n.backups.mu.Lock()
	failed := n.backups.failed != ""
	n.backups.mu.Unlock()
	every := n.cfg.Backup.every()
	switch {
	case err != nil || failed:
		f.Light, f.Key, f.Todo = exchange.LightWarn, "exchange.diag.backup_failed", "exchange.diag.backup_todo"
	case len(list) == 0:
		f.Key = "exchange.diag.backup_none"
	default:
		age := n.now().Sub(list[0].At)
		f.Args = []any{"hours", int64(age.Hours())}
		if every > 0 && age > 2*every {
			f.Light, f.Key, f.Todo = exchange.LightWarn, "exchange.diag.backup_late", "exchange.diag.backup_todo"
		}
	}
	return []exchange.Finding{f}
}
