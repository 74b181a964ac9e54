package translog

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/errs"
)

// Frozen is a log of which nothing is moved or removed until it is closed, while entries go on being appended; a backup is
// made of it.
type Frozen struct {
	log *Log

	size, dataEnd int64
	segments      []segment
	checkpoint    []byte
	pruneNote     []byte
}

// Freeze keeps [Log.Archive], [Log.Prune] and [Log.Verify] waiting until [Frozen.Close].
func (l *Log) Freeze() *Frozen {
	l.tidyMu.Lock()
	return &Frozen{log: l}
}

// Close lets the log be tidied again.
func (f *Frozen) Close() { f.log.tidyMu.Unlock() }

// Mark says that the copy ends with the entries there are now, and returns their number. It takes no time.
func (f *Frozen) Mark() int64 {
	l := f.log
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	f.size, f.dataEnd, f.segments = l.size, l.dataEnd, slices.Clone(l.segments)
	f.checkpoint, f.pruneNote = bytes.Clone(l.signedNote), bytes.Clone(l.pruneNote)
	return f.size
}

// Files hands out the files of a folder that opens as the log was at [Frozen.Mark]. Segments in the archive folder are
// not among them unless withArchive is set; then they come, as they lie there, with the name "archive/" in front.
func (f *Frozen) Files(ctx context.Context, withArchive bool, emit func(name string, size int64, r io.Reader) error) (err error) {
	defer errs.Wrap(&err, "copy log %q", f.log.opt.Origin)
	dir, last := f.log.opt.Dir, len(f.segments)-1
	for i, s := range f.segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := segmentName(s.first)
		switch {
		case s.stub != nil:
			if withArchive {
				if err := emitFile(emit, "archive/"+s.stub.file, filepath.Join(f.log.opt.ArchiveDir, s.stub.file), -1); err != nil {
					return fmt.Errorf("%w: %w", ErrArchive, err)
				}
			}
			err = emitBytes(emit, name+stubSuffix, s.stub.marshal())
		case i == last:
			err = emitFile(emit, name, filepath.Join(dir, name), f.dataEnd)
		default:
			err = emitFile(emit, name, filepath.Join(dir, name), -1)
		}
		if err != nil {
			return err
		}
	}
	for _, d := range []struct {
		name string
		from io.ReaderAt // their ends may still be in memory
		size int64
	}{{"offsets", f.log.offsets, f.size * 8}, {"hashes", f.log.hashes, tlog.StoredHashIndex(0, f.size) * tlog.HashSize}} {
		if err := emit(d.name, d.size, io.NewSectionReader(d.from, 0, d.size)); err != nil {
			return err
		}
	}
	marker := binary.BigEndian.AppendUint64(nil, uint64(f.size)) //nolint:gosec // never negative
	marker = binary.BigEndian.AppendUint32(marker, crc32.Checksum(marker, castagnoli))
	for name, b := range map[string][]byte{"durable": marker, "checkpoint": f.checkpoint, prunedName: f.pruneNote} {
		if len(b) == 0 {
			continue
		}
		if err := emitBytes(emit, name, b); err != nil {
			return err
		}
	}
	return nil
}

func emitBytes(emit func(string, int64, io.Reader) error, name string, b []byte) error {
	return emit(name, int64(len(b)), bytes.NewReader(b))
}

// emitFile hands out the first size bytes of a file, all of it when size is -1.
func emitFile(emit func(string, int64, io.Reader) error, name, path string, size int64) error {
	r, err := os.Open(path)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	if size < 0 {
		st, err := r.Stat()
		if err != nil {
			return err
		}
		size = st.Size()
	}
	return emit(name, size, io.LimitReader(r, size))
}
