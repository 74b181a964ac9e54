package translog

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"truc/internal/errs"
)

// OpenReader opens a log for reading only, also while a node writes to it: it takes no lock and changes nothing. It sees
// the entries that were whole when it was opened. archiveKey opens encrypted segments of the archive, as far as there are
// any. vkey is the log's verifier key; the last signed checkpoint is read with
// it when there is one. Every entry read is held against the stored tree; use [Log.Verify] to check the whole.
func OpenReader(dir, archiveDir, vkey string, archiveKey []byte) (l *Log, err error) {
	defer errs.Wrap(&err, "read log in %s", dir)
	opt := Options{Dir: dir, ArchiveDir: archiveDir, ArchiveKey: archiveKey, SegmentSize: DefaultSegment, open: readFile}
	l = &Log{opt: opt, vkey: vkey, readOnly: true, closed: false, signedSize: -1}
	if err := l.openReader(); err != nil {
		return nil, errors.Join(err, l.closeFiles())
	}
	return l, nil
}

func (l *Log) openReader() (err error) {
	if l.offsets, err = l.opt.open(filepath.Join(l.opt.Dir, "offsets")); err != nil {
		return err
	}
	if l.hashes, err = l.opt.open(filepath.Join(l.opt.Dir, "hashes")); err != nil {
		return err
	}
	// An entry's offset is written last, so what is named here is whole.
	n, err := l.offsets.Size()
	if err != nil {
		return err
	}
	signed, err := l.loadCheckpoint()
	if err != nil {
		return err
	}
	l.opt.Origin = signed.Origin
	if err := l.listSegments(); err != nil {
		return err
	}
	l.size, l.durable = n/8, n/8
	if len(l.segments) == 0 {
		if l.size > 0 {
			return ErrRollback
		}
		l.segments = []segment{{}}
		return nil
	}
	for i := range l.segments[1:] {
		if s := &l.segments[i]; s.stub == nil {
			s.end = l.segments[i+1].first
		}
	}
	last := &l.segments[len(l.segments)-1]
	f, err := l.opt.open(filepath.Join(l.opt.Dir, segmentName(last.first)))
	if err != nil {
		return err
	}
	l.data = &sharedFile{file: f, refs: 1}
	return nil
}

var errReadOnly = errors.New("translog: the log is open for reading only")

// frozenFile is a file of a log that is only read.
type frozenFile struct{ *os.File }

func readFile(path string) (file, error) {
	f, err := os.Open(path) //nolint:gosec // the folder is the operator's
	if err != nil {
		return nil, err
	}
	return frozenFile{f}, nil
}

func (f frozenFile) WriteAt([]byte, int64) (int, error) { return 0, errReadOnly }
func (f frozenFile) Truncate(int64) error               { return errReadOnly }
func (f frozenFile) Sync() error                        { return nil }

func (f frozenFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

var _ io.ReaderAt = frozenFile{}
