package blobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"truc/internal/errs"
)

// Blob names a stored file.
type Blob struct {
	// SHA256 is the digest of the content, 64 lower-case hexadecimal digits.
	SHA256 string
	// Size is in bytes.
	Size int64
}

// File is a stored file opened for reading.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// Store keeps files below one folder: aa/aabb… for those that have their name, tmp and partial for those on their way.
type Store struct {
	dir string
	// naming is held while a name is given or taken away, so that a sweep cannot remove what was just stored again.
	naming sync.Mutex
	// fetching holds the digests that a [Partial] is open for, shards the folders whose names are known to be on the disk;
	// both are guarded by naming.
	fetching map[string]bool
	shards   map[string]bool
	// open makes a file to write to; tests put a failing one in its place.
	open func(path string, flag int) (file, error)
}

// file is what a writer needs of a file.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

const tmpDir, partialDir = "tmp", "partial"

// Open opens the store in a folder, and makes the folder when it is missing.
func Open(dir string) (*Store, error) {
	for _, d := range []string{tmpDir, partialDir} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	if err := syncDir(dir); err != nil {
		return nil, err
	}
	return &Store{dir: dir, fetching: map[string]bool{}, shards: map[string]bool{}, open: openFile}, nil
}

func openFile(path string, flag int) (file, error) { return os.OpenFile(path, flag, 0o600) }

// ValidName reports whether s can be the name of a stored file: 64 lower-case hexadecimal digits.
func ValidName(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (s *Store) path(sha string) string { return filepath.Join(s.dir, sha[:2], sha) }

// Open opens a stored file; errs.NotFound when there is none of that name.
func (s *Store) Open(sha string) (File, int64, error) {
	if !ValidName(sha) {
		return nil, 0, errs.E(errs.NotFound, "blobs.unknown", nil)
	}
	f, err := os.Open(s.path(sha))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, errs.E(errs.NotFound, "blobs.unknown", err)
	}
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, st.Size(), nil
}

// Has returns the size of a stored file, and whether there is one.
func (s *Store) Has(sha string) (int64, bool) {
	if !ValidName(sha) {
		return 0, false
	}
	st, err := os.Stat(s.path(sha))
	if err != nil || !st.Mode().IsRegular() {
		return 0, false
	}
	return st.Size(), true
}

// Put stores all of r.
func (s *Store) Put(r io.Reader) (Blob, error) {
	w, err := s.Create()
	if err != nil {
		return Blob{}, err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, r, make([]byte, 64<<10)); err != nil {
		return Blob{}, errors.Join(err, w.Discard())
	}
	return w.Commit()
}

// Create begins a file whose name is not known yet. Use one goroutine; end with Commit or Discard.
func (s *Store) Create() (*Writer, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, tmpDir), "w-*")
	if err != nil {
		return nil, writeError(err)
	}
	path := f.Name()
	if err := f.Close(); err != nil {
		return nil, errors.Join(err, removeIfThere(path))
	}
	out, err := s.open(path, os.O_WRONLY)
	if err != nil {
		return nil, errors.Join(err, removeIfThere(path))
	}
	return &Writer{store: s, file: out, path: path, hash: sha256.New()}, nil
}

// Writer receives the content of a new file.
type Writer struct {
	store *Store
	file  file
	path  string
	hash  hash.Hash
	size  int64
	err   error // the first failure; nothing is stored after it
	done  bool
}

// Write implements io.Writer. errs.Unavailable when the disk is full or fails.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err == nil && w.done {
		w.err = fs.ErrClosed
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		w.err = writeError(err)
	}
	return n, w.err
}

// Sum returns the digest of what was written so far, as in [Blob].
func (w *Writer) Sum() string { return hex.EncodeToString(w.hash.Sum(nil)) }

// Size returns the number of bytes written so far.
func (w *Writer) Size() int64 { return w.size }

// Commit gives the file its name and returns when that is on the disk. The same content is stored once. After an error
// nothing of it is stored.
func (w *Writer) Commit() (Blob, error) {
	if w.done {
		return Blob{}, errors.Join(w.err, fs.ErrClosed)
	}
	w.done = true
	err := w.err
	if err == nil {
		err = w.file.Sync()
	}
	if err = errors.Join(err, w.file.Close()); err != nil {
		return Blob{}, errors.Join(writeError(err), removeIfThere(w.path))
	}
	b := Blob{SHA256: w.Sum(), Size: w.size}
	if err := w.store.name(w.path, b.SHA256); err != nil {
		return Blob{}, errors.Join(writeError(err), removeIfThere(w.path))
	}
	return b, nil
}

// Discard forgets what was written. After Commit it does nothing, so it may be deferred.
func (w *Writer) Discard() error {
	if w.done {
		return nil
	}
	w.done = true
	return errors.Join(w.file.Close(), removeIfThere(w.path))
}

// name moves a complete file, whose content is on the disk, to its final name. It replaces a file of that name, which
// has the same content: so the time of the file is that of the last time it was stored, which Sweep goes by, and a file
// that lost bytes on the disk is whole again.
func (s *Store) name(from, sha string) error {
	shard := filepath.Join(s.dir, sha[:2])
	if err := s.shard(shard); err != nil {
		return err
	}
	s.naming.Lock()
	err := os.Rename(from, s.path(sha))
	s.naming.Unlock()
	if err != nil {
		return err
	}
	return syncDir(shard)
}

// shard makes a folder for names and waits until its own name is on the disk, also when another writer made it, who may not
// have come so far.
func (s *Store) shard(path string) error {
	s.naming.Lock()
	known := s.shards[path]
	s.naming.Unlock()
	if known {
		return nil
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return err
	}
	s.naming.Lock()
	s.shards[path] = true
	s.naming.Unlock()
	return nil
}

// Sweep removes files stored before a time for which keep answers false, and leftovers of interrupted writes and
// fetches of that age. olderThan must lie further back than the longest time between Commit and the transaction that
// refers to the file. It returns how many stored files were removed.
func (s *Store) Sweep(ctx context.Context, olderThan time.Time, keep func(sha string) (bool, error)) (n int, err error) {
	shards, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, err
	}
	for _, d := range shards {
		if !d.IsDir() {
			continue // not ours
		}
		names, err := os.ReadDir(filepath.Join(s.dir, d.Name()))
		if err != nil {
			return n, err
		}
		for _, f := range names {
			if err := ctx.Err(); err != nil {
				return n, err
			}
			st, err := f.Info()
			if err != nil || !st.Mode().IsRegular() || !st.ModTime().Before(olderThan) {
				continue // gone meanwhile, not ours, or young
			}
			removed, err := s.sweepOne(d.Name(), f.Name(), olderThan, keep)
			if err != nil {
				return n, err
			}
			n += removed
		}
	}
	return n, nil
}

func (s *Store) sweepOne(folder, name string, olderThan time.Time, keep func(sha string) (bool, error)) (int, error) {
	path, stored := filepath.Join(s.dir, folder, name), 0
	switch {
	case folder == tmpDir, folder == partialDir:
	case ValidName(name) && name[:2] == folder:
		wanted, err := keep(name)
		if err != nil || wanted {
			return 0, err
		}
		stored = 1
	default:
		return 0, nil // not ours
	}
	s.naming.Lock()
	defer s.naming.Unlock()
	if folder == partialDir && s.fetching[name] {
		return 0, nil
	}
	// Asked again, for it may have been stored once more while keep was thinking.
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !st.ModTime().Before(olderThan) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return stored, os.Remove(path)
}

// writeError tells a full disk, which an operator can mend, from other failures; both may pass.
func writeError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errs.E(errs.Unavailable, "blobs.disk_full", err)
	}
	return errs.E(errs.Unavailable, "blobs.write_failed", err)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes names that were given in a folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
