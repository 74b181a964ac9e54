package translog

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// file is what the log needs of a file; tests put a failing one in its place.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync returns when everything written before the call is on the disk.
	Sync() error
	Size() (int64, error)
}

type osFile struct {
	*os.File
	noSync bool
}

func openFile(path string, noSync bool) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the folder is the operator's
	if err != nil {
		return nil, err
	}
	return &osFile{File: f, noSync: noSync}, nil
}

// Sync implements file.
func (f *osFile) Sync() error {
	if f.noSync {
		return nil
	}
	return datasync(f.File)
}

// Size implements file.
func (f *osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// syncDir makes names that were created or renamed in dir survive a power cut.
func syncDir(dir string, noSync bool) error {
	if noSync {
		return nil
	}
	d, err := os.Open(dir) //nolint:gosec // the folder is the operator's
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeFileDurable replaces dir/name in one step: a reader, or a power cut, sees the old bytes or the new.
func writeFileDurable(dir, name string, b []byte, noSync bool) (err error) {
	tmp := filepath.Join(dir, name+".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && !noSync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp)) // a full disk must not keep half a file
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir, noSync)
}
