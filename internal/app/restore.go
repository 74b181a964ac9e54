package app

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"truc/internal/alarm/alarmstore"
	"truc/internal/audit/auditstore"
	"truc/internal/backup"
	"truc/internal/directory"
	"truc/internal/directory/directorystore"
	"truc/internal/documents/axisstore"
	"truc/internal/documents/documentsstore"
	"truc/internal/documents/receiptstore"
	"truc/internal/errs"
	"truc/internal/exchange/deliverystore"
	"truc/internal/exchange/exchangestore"
	"truc/internal/identity/identitystore"
	"truc/internal/outbox"
	"truc/internal/oversight/oversightstore"
	"truc/internal/pki"
	"truc/internal/registers/registersstore"
	"truc/internal/services/servicesstore"
	"truc/internal/storage"
)

const (
	// unfinishedRestore lies in a data folder until everything of a backup is in it; no node starts there.
	unfinishedRestore = "restore.unfinished"
	// restoredFile says that a data folder came from a backup.
	restoredFile = "restored.json"
)

// restoredNode says what a node that came from a backup has to do otherwise than before. The backup may be older than what
// the node signed last, so its logs go on under names of their own: what is appended now cannot contradict a checkpoint
// that others hold (docs/adr/0026-backups.md).
type restoredNode struct {
	// Epoch is drawn for each restore; it stands in the names of the logs.
	Epoch      string               `json:"epoch"`
	At         time.Time            `json:"at"`
	BackupFrom time.Time            `json:"backup_from"`
	Logs       map[string]backupLog `json:"logs"`
	// Told and CenterMoved say what was done already.
	Told        bool `json:"told"`
	CenterMoved bool `json:"center_moved"`
}

// RestoreOptions say what a backup is put back into.
type RestoreOptions struct {
	File     io.ReaderAt
	Size     int64
	Identity *backup.Identity
	// Signer is the fingerprint of the key that must have signed, as the directory and truc keys status show it.
	Signer string
	// Node, when set, is the server id whose backup it must be.
	Node string
	// Dir becomes the data folder; it must be empty or missing. Config is where the configuration is written; it must not
	// be there; default truc.toml in Dir.
	Dir, Config string
	// DB is the address of an empty PostgreSQL database, for a backup of one.
	DB  string
	Now func() time.Time
	Log *slog.Logger
}

// Restored tells what was put back.
type Restored struct {
	Node   string
	MadeAt time.Time
	Config string
	Epoch  string
	Logs   map[string]int64
	Files  int
}

// keyFingerprint names a key as people compare it.
func keyFingerprint(pub crypto.PublicKey) string { return directory.FingerprintText(pki.KeyID(pub)) }

// SameFingerprint compares two fingerprints as people type them.
func SameFingerprint(a, b string) bool {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer(" ", "", ":", "", "\n", "").Replace(directory.FingerprintText(strings.TrimSpace(s))))
	}
	return a != "" && plain(a) == plain(b)
}

// VerifyBackup checks that a backup is whole and signed, and returns its header. With a key it reads the parts too. signer
// may be empty: then nobody has checked who made it.
func VerifyBackup(ctx context.Context, r io.ReaderAt, size int64, signer string, id *backup.Identity) (h backup.Header, parts int, err error) {
	f, err := backup.Open(r, size)
	if err != nil {
		return h, 0, errs.E(errs.Invalid, "exchange.backup.damaged", err)
	}
	if err := f.Verify(ctx); err != nil {
		return h, 0, errs.E(errs.Invalid, "exchange.backup.damaged", err)
	}
	if signer != "" && !SameFingerprint(signer, f.Header.SignerID()) {
		return f.Header, 0, errs.E(errs.Denied, "exchange.backup.foreign", nil, "signer", directory.FingerprintText(f.Header.SignerID()))
	}
	if id == nil {
		return f.Header, 0, nil
	}
	c, err := f.Contents(id)
	if err != nil {
		return f.Header, 0, errs.E(errs.Denied, "exchange.backup.no_key", err)
	}
	for {
		_, part, err := c.Next()
		if errors.Is(err, io.EOF) {
			return f.Header, parts, nil
		}
		if err == nil {
			_, err = io.Copy(io.Discard, part)
		}
		if err != nil {
			return f.Header, parts, errs.E(errs.Invalid, "exchange.backup.damaged", err)
		}
		parts++
	}
}

// RestoreBackup makes a data folder of a backup. The file is read and its signature checked before anything is written;
// until the last byte is on the disk no node starts in the folder.
func RestoreBackup(ctx context.Context, opt RestoreOptions) (out Restored, err error) {
	defer errs.Wrap(&err, "restore")
	if opt.Signer == "" {
		return out, errs.E(errs.Invalid, "exchange.backup.signer_needed", nil)
	}
	header, _, err := VerifyBackup(ctx, opt.File, opt.Size, opt.Signer, nil)
	if err != nil {
		return out, err
	}
	if opt.Node != "" && opt.Node != header.Node {
		return out, errs.E(errs.Denied, "exchange.backup.other_node", nil, "node", header.Node)
	}
	f, err := backup.Open(opt.File, opt.Size)
	if err != nil {
		return out, err
	}
	contents, err := f.Contents(opt.Identity)
	if err != nil {
		return out, errs.E(errs.Denied, "exchange.backup.no_key", err)
	}
	opt.Dir = absolute(opt.Dir)
	if opt.Config == "" {
		opt.Config = filepath.Join(opt.Dir, "truc.toml")
	}
	if err := emptyFolder(opt.Dir); err != nil {
		return out, err
	}
	if _, err := os.Stat(opt.Config); err == nil {
		return out, errs.E(errs.Conflict, "exchange.backup.config_there", nil, "path", opt.Config)
	}
	if err := writeDurable(filepath.Join(opt.Dir, unfinishedRestore), []byte("truc backup restore has not ended here\n")); err != nil {
		return out, err
	}
	r := &restorer{opt: opt, contents: contents}
	if err := r.run(ctx); err != nil {
		return out, err
	}
	if err := errors.Join(os.Remove(filepath.Join(opt.Dir, unfinishedRestore)), syncFolder(opt.Dir)); err != nil {
		return out, err
	}
	out = Restored{Node: r.m.Node, MadeAt: r.m.MadeAt, Config: opt.Config, Epoch: r.state.Epoch, Logs: map[string]int64{}, Files: r.files}
	for name, l := range r.m.Logs {
		out.Logs[name] = l.Size
	}
	return out, nil
}

func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() != "lost+found" { // a disk of its own
			return errs.E(errs.Conflict, "exchange.backup.not_empty", nil, "path", dir)
		}
	}
	return nil
}

// restorer puts the parts of one backup where they belong.
type restorer struct {
	opt      RestoreOptions
	contents *backup.Contents
	m        backupManifest
	config   []byte
	outside  map[string]string
	state    restoredNode
	files    int
	folders  map[string]bool

	db     *storage.DB
	tables *storage.Restore
}

func (r *restorer) run(ctx context.Context) (err error) {
	defer func() {
		if r.tables != nil {
			err = errors.Join(err, r.tables.Close(ctx))
		}
		if r.db != nil {
			err = errors.Join(err, r.db.Close())
		}
	}()
	r.outside, r.folders = map[string]string{}, map[string]bool{}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		name, part, err := r.contents.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errs.E(errs.Invalid, "exchange.backup.damaged", err)
		}
		if r.m.Node == "" && name != partManifest {
			return errs.E(errs.Invalid, "exchange.backup.damaged", errors.New("the manifest is not the first part"))
		}
		if err := r.part(ctx, name, part); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return r.finish(ctx)
}

// maxManifest bounds the manifest and the configuration in bytes.
const maxManifest = 16 << 20

func (r *restorer) part(ctx context.Context, name string, part io.Reader) error {
	below := func(prefix string) (string, bool) { return strings.CutPrefix(name, prefix) }
	switch name {
	case partManifest:
		b, err := io.ReadAll(io.LimitReader(part, maxManifest))
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &r.m)
	case partConfig:
		var err error
		r.config, err = io.ReadAll(io.LimitReader(part, maxManifest))
		return err
	case storage.SnapshotFile:
		return r.file("truc.db", part)
	case storage.SnapshotTables:
		return r.openTables(ctx, part)
	}
	if table, ok := below(storage.SnapshotTable); ok {
		if r.tables == nil {
			return errors.New("a table before the list of tables")
		}
		return r.tables.Table(ctx, table, part)
	}
	if rest, ok := below(partOutside); ok {
		for i, path := range r.m.Outside {
			if outsideName(i, path) == name {
				to := filepath.Join("outside", rest)
				r.outside[path] = filepath.Join(r.opt.Dir, to)
				return r.file(to, part)
			}
		}
		return errors.New("the manifest does not name it")
	}
	if rest, ok := below(partData); ok {
		return r.file(rest, part)
	}
	if strings.HasPrefix(name, partLogs) || strings.HasPrefix(name, partArchive) {
		return r.file(name, part)
	}
	return errors.New("an unknown part: the backup is of a newer release")
}

func (r *restorer) openTables(ctx context.Context, part io.Reader) (err error) {
	if r.opt.DB == "" {
		return errs.E(errs.Invalid, "exchange.backup.postgres_needed", nil)
	}
	if r.db, err = storage.Open(ctx, r.opt.DB, storage.Options{Readers: 1}); err != nil {
		return err
	}
	sets := map[string]fs.FS{"identity": identitystore.Migrations()}
	for module, fsys := range map[string]fs.FS{
		"oversight": oversightstore.Migrations, "services": servicesstore.Migrations, "axis": axisstore.Migrations, "receipt": receiptstore.Migrations,
		"directory": directorystore.Migrations, "delivery": deliverystore.Migrations, "documents": documentsstore.Migrations, "outbox": outbox.Migrations,
		"audit": auditstore.Migrations, "exchange": exchangestore.Migrations, "registers": registersstore.Migrations, "alarm": alarmstore.Migrations,
	} {
		if sets[module], err = fs.Sub(fsys, "migrations"); err != nil {
			return err
		}
	}
	r.tables = &storage.Restore{Migrations: sets}
	return r.tables.Begin(ctx, r.db, part)
}

// file writes a file below the data folder and waits until it is on the disk. It never follows what is there: the folder
// was empty, and every part comes once.
func (r *restorer) file(rel string, part io.Reader) error {
	path := filepath.Join(r.opt.Dir, filepath.FromSlash(rel))
	if dir := filepath.Dir(path); !r.folders[dir] {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		r.folders[dir] = true
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	r.files++
	_, err = io.Copy(f, part)
	return errors.Join(err, f.Sync(), f.Close())
}

// finish ends the database, says under which names the logs go on, and writes the configuration.
func (r *restorer) finish(ctx context.Context) error {
	if r.m.Node == "" || r.config == nil {
		return errs.E(errs.Invalid, "exchange.backup.damaged", errors.New("a part is missing"))
	}
	db := r.opt.DB
	if r.tables != nil {
		if err := r.tables.End(ctx); err != nil {
			return err
		}
	} else {
		if _, err := os.Stat(filepath.Join(r.opt.Dir, "truc.db")); err != nil {
			return errs.E(errs.Invalid, "exchange.backup.damaged", err)
		}
		db = ""
	}
	epoch := make([]byte, 4)
	if _, err := rand.Read(epoch); err != nil {
		return err
	}
	r.state = restoredNode{Epoch: "r" + hex.EncodeToString(epoch), At: r.opt.Now(), BackupFrom: r.m.MadeAt, Logs: r.m.Logs, CenterMoved: !r.m.Center}
	if err := r.state.save(r.opt.Dir); err != nil {
		return err
	}
	text, err := movedConfig(r.config, r.m.DataDir, r.opt.Dir, db, r.outside)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if r.m.Archive {
		if text, err = withArchive(text, filepath.Join(r.opt.Dir, "archive")); err != nil {
			return err
		}
	}
	for dir := range r.folders { // the names of the files must be on the disk before anything says that they are there
		if err := syncFolder(dir); err != nil {
			return err
		}
	}
	if err := writeDurable(filepath.Join(r.opt.Dir, "truc.toml.before"), r.config); err != nil {
		return err
	}
	return writeDurable(r.opt.Config, text)
}

// writeDurable writes a file and waits for the disk.
func writeDurable(path string, content []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func (s restoredNode) save(dir string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeDurable(filepath.Join(dir, restoredFile), b)
}

// loadRestored reads what a restore left; nothing for a node that was never put back.
func (n *Node) loadRestored() error {
	if _, err := os.Stat(n.path(unfinishedRestore)); err == nil {
		return errs.E(errs.Conflict, "exchange.backup.unfinished", nil, "path", n.cfg.DataDir)
	}
	b, err := os.ReadFile(n.path(restoredFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &n.restored); err != nil || n.restored.Epoch == "" {
		return fmt.Errorf("%s is damaged: put the backup back again: %w", n.path(restoredFile), errors.Join(err))
	}
	return nil
}

// logOrigin is the name of one of the node's logs.
func (n *Node) logOrigin(name string) string {
	origin := "truc/" + n.cfg.ServerID() + "/" + name
	if n.restored.Epoch != "" {
		origin += "." + n.restored.Epoch
	}
	return origin
}

// versionsSkipped is by how much a center that was put back raises the version of the directory: others hold versions that
// it no longer knows, and take none that is lower.
const versionsSkipped = 1 << 20

// moveCenter has a center that was put back sign a directory that everybody takes.
func (n *Node) moveCenter(ctx context.Context) error {
	if n.restored.Epoch == "" || n.restored.CenterMoved {
		return nil
	}
	if err := n.center.Skip(ctx, "system", versionsSkipped); err != nil {
		return err
	}
	n.restored.CenterMoved = true
	return n.restored.save(n.cfg.DataDir)
}

// tellRestored records once that the node came from a backup.
func (n *Node) tellRestored(ctx context.Context) error {
	if n.restored.Epoch == "" || n.restored.Told {
		return nil
	}
	what := fmt.Sprintf("backup %s, exchange %d, audit %d", n.restored.BackupFrom.UTC().Format(backupTime), n.restored.Logs["exchange"].Size, n.restored.Logs["audit"].Size)
	n.log.WarnContext(ctx, "this node was put back from a backup; its logs go on under new names", slog.String("epoch", n.restored.Epoch), slog.Time("backup_from", n.restored.BackupFrom))
	if n.audit != nil {
		if err := n.act(ctx, "system", "exchange.backup.restore", what+", "+n.restored.Epoch); err != nil {
			return err
		}
	}
	n.restored.Told = true
	return n.restored.save(n.cfg.DataDir)
}
