package translog

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/errs"
)

const (
	// DefaultSegment is the size in bytes at which a segment is closed.
	DefaultSegment = 64 << 20

	segmentPrefix = "data-"
	stubSuffix    = ".archived"
	// An archived segment is named by how it is stored: data-N, data-N.gz, data-N.enc or data-N.gz.enc.
	compressedSuffix = ".gz"
	encryptedSuffix  = ".enc"
	prunedName       = "pruned"
	pruneDomain      = "truc-prune/v1"
	maxStub          = 4 << 10
)

// Faults of reading old entries.
var (
	// ErrPruned means that the entry was removed by a retention policy; its hash stays, so proofs go on.
	ErrPruned = errors.New("translog: the entry was removed under the retention policy")
	// ErrArchive means that the archive folder does not hold what was moved there.
	ErrArchive = errors.New("translog: the archive cannot be read")
)

// segment is one data file. The entries of all segments follow one another without a gap.
type segment struct {
	first int64 // index of its first entry; also its name
	end   int64 // one more than the last; of the segment that is written to, Log.size
	bytes int64 // length of the records
	// stub says where the segment went; nil while it lies in the log's folder.
	stub *stub
}

// stub is left in the log's folder for a segment that was moved to the archive.
type stub struct {
	file       string // name in the archive folder
	end, bytes int64
	sum        string // hex SHA-256 of the archive file
}

func segmentName(first int64) string { return fmt.Sprintf("%s%012d", segmentPrefix, first) }

func (s *stub) marshal() []byte {
	return fmt.Appendf(nil, "%s\n%d\n%d\n%s\n", s.file, s.end, s.bytes, s.sum)
}

func parseStub(b []byte) (*stub, error) {
	p := strings.Split(string(b), "\n")
	if len(b) > maxStub || len(p) != 5 || p[4] != "" || p[0] != filepath.Base(p[0]) || !strings.HasPrefix(p[0], segmentPrefix) || len(p[3]) != 2*sha256.Size {
		return nil, fmt.Errorf("%w: note of an archived segment", ErrDamaged)
	}
	end, err := parseDecimal(p[1])
	if err != nil {
		return nil, fmt.Errorf("%w: note of an archived segment", ErrDamaged)
	}
	size, err := parseDecimal(p[2])
	if err != nil {
		return nil, fmt.Errorf("%w: note of an archived segment", ErrDamaged)
	}
	return &stub{file: p[0], end: end, bytes: size, sum: p[3]}, nil
}

// sharedFile is the segment that is written to. Readers and the committer hold it while they use it, so that a change
// of segments closes it only after the last of them. Log.mu guards refs.
type sharedFile struct {
	file
	refs int
}

// take returns the segment that is written to; the caller holds mu and gives it back with give.
func (l *Log) take() *sharedFile {
	l.data.refs++
	return l.data
}

func (l *Log) give(f *sharedFile) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return f.drop()
}

func (f *sharedFile) drop() error {
	f.refs--
	if f.refs > 0 {
		return nil
	}
	return f.Close()
}

// rotate closes the segment that is written to and begins the next. The old one is put on the disk first, so that only
// the last segment can ever have a torn end. The caller holds mu; this wait comes once in a segment.
func (l *Log) rotate() error {
	if err := l.data.Sync(); err != nil {
		l.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		return l.failed
	}
	f, err := l.opt.open(filepath.Join(l.opt.Dir, segmentName(l.size)))
	if err != nil {
		return fmt.Errorf("translog: next segment: %w", err)
	}
	if err := syncDir(l.opt.Dir, l.opt.NoSync); err != nil {
		return errors.Join(fmt.Errorf("translog: next segment: %w", err), f.Close())
	}
	old := l.data
	last := &l.segments[len(l.segments)-1]
	last.end, last.bytes = l.size, l.dataEnd
	l.segments = append(l.segments, segment{first: l.size})
	l.data, l.dataEnd = &sharedFile{file: f, refs: 1}, 0
	return old.drop()
}

// listSegments finds the segments in the folder, finishes what a crash interrupted, and checks that nothing is missing
// between them; it does not read what is in them.
func (l *Log) listSegments() error {
	if err := l.adoptSingleFile(); err != nil {
		return err
	}
	if err := l.loadPruned(); err != nil {
		return err
	}
	names, err := os.ReadDir(l.opt.Dir)
	if err != nil {
		return err
	}
	found := map[int64]*segment{}
	for _, e := range names {
		number, isStub := strings.CutSuffix(strings.TrimPrefix(e.Name(), segmentPrefix), stubSuffix)
		first, err := strconv.ParseInt(number, 10, 64)
		if err != nil || first < 0 || segmentName(first) != strings.TrimSuffix(e.Name(), stubSuffix) {
			continue
		}
		s := found[first]
		if s == nil {
			s = &segment{first: first}
			found[first] = s
		}
		if !isStub {
			s.bytes = -1 // it is here
			continue
		}
		b, err := os.ReadFile(filepath.Join(l.opt.Dir, e.Name()))
		if err != nil {
			return err
		}
		if s.stub, err = parseStub(b); err != nil {
			return err
		}
	}
	for _, s := range found {
		if err := l.settleSegment(s); err != nil {
			return err
		}
		if s.bytes >= 0 || s.stub != nil {
			l.segments = append(l.segments, *s)
		}
	}
	slices.SortFunc(l.segments, func(a, b segment) int { return cmp.Compare(a.first, b.first) })
	return l.finishPrune()
}

// settleSegment decides about a segment that is both here and in the archive, because a move was interrupted.
func (l *Log) settleSegment(s *segment) error {
	here := s.bytes < 0
	if here {
		st, err := os.Stat(filepath.Join(l.opt.Dir, segmentName(s.first)))
		if err != nil {
			return err
		}
		s.bytes = st.Size()
		if !st.Mode().IsRegular() {
			s.bytes = 0
		}
	}
	if s.stub == nil {
		return nil
	}
	if here {
		if l.readOnly {
			s.stub = nil
			return nil
		}
		if sum, err := fileSum(filepath.Join(l.opt.ArchiveDir, s.stub.file)); err != nil || sum != s.stub.sum {
			s.stub = nil // the copy here is the good one
			return os.Remove(filepath.Join(l.opt.Dir, segmentName(s.first)+stubSuffix))
		}
		if err := os.Remove(filepath.Join(l.opt.Dir, segmentName(s.first))); err != nil {
			return err
		}
	}
	s.end, s.bytes = s.stub.end, s.stub.bytes
	return nil
}

// adoptSingleFile takes over a log of the first format, which had one file "data".
func (l *Log) adoptSingleFile() error {
	old := filepath.Join(l.opt.Dir, "data")
	if _, err := os.Lstat(old); errors.Is(err, os.ErrNotExist) || l.readOnly {
		return nil
	} else if err != nil {
		return err
	}
	to := filepath.Join(l.opt.Dir, segmentName(0))
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%w: both data and %s are there", ErrDamaged, segmentName(0))
	}
	if err := os.Rename(old, to); err != nil {
		return err
	}
	return syncDir(l.opt.Dir, l.opt.NoSync)
}

// checkSegments compares the lengths of closed segments with what the offsets say, which finds a segment that is missing
// or cut without reading any. A fault is an error only below the first entry that is read in full.
func (l *Log) checkSegments(upTo int) error {
	if len(l.segments) > 0 && l.segments[0].first != l.pruned {
		return fmt.Errorf("%w: the segments begin at %d, not at %d", ErrRollback, l.segments[0].first, l.pruned)
	}
	for i := range upTo {
		s, next := &l.segments[i], l.segments[i+1].first
		if s.stub != nil {
			if s.end != next {
				return fmt.Errorf("%w: segment %d ends at %d, the next begins at %d", ErrDamaged, s.first, s.end, next)
			}
			continue
		}
		s.end = next
		off, err := l.offset(next - 1)
		if err != nil {
			return err
		}
		var head [headSize]byte
		f, err := l.opt.open(filepath.Join(l.opt.Dir, segmentName(s.first)))
		if err != nil {
			return err
		}
		_, err = f.ReadAt(head[:], off)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%w: segment %d: %w", ErrDamaged, s.first, err)
		}
		if off+headSize+int64(binary.BigEndian.Uint32(head[:4])) != s.bytes {
			return fmt.Errorf("%w: segment %d does not end with entry %d", ErrDamaged, s.first, next-1)
		}
	}
	return nil
}

func (l *Log) offset(i int64) (int64, error) {
	var at [8]byte
	if _, err := l.offsets.ReadAt(at[:], i*8); err != nil {
		return 0, fmt.Errorf("%w: offset of entry %d: %w", ErrDamaged, i, err)
	}
	return int64(binary.BigEndian.Uint64(at[:])), nil //nolint:gosec // checked by the reads that use it
}

// reader opens the records of a segment for reading from its beginning.
func (l *Log) reader(s segment) (io.ReadCloser, error) {
	if s.stub == nil {
		return os.Open(filepath.Join(l.opt.Dir, segmentName(s.first)))
	}
	f, err := os.Open(filepath.Join(l.opt.ArchiveDir, s.stub.file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	r, name := io.Reader(f), s.stub.file
	if name, ok := strings.CutSuffix(name, encryptedSuffix); ok {
		if l.opt.ArchiveKey == nil {
			return nil, errors.Join(fmt.Errorf("%w: %s is encrypted, and its key is not at hand", ErrArchive, s.stub.file), f.Close())
		}
		if r, err = l.decrypt(f, s.first); err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrArchive, name, err), f.Close())
		}
	}
	if strings.HasSuffix(strings.TrimSuffix(name, encryptedSuffix), compressedSuffix) {
		if r, err = gzip.NewReader(bufio.NewReaderSize(r, 1<<16)); err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w", ErrArchive, err), f.Close())
		}
	}
	if r == io.Reader(f) {
		return f, nil // which can be read from anywhere
	}
	return struct {
		io.Reader
		io.Closer
	}{r, f}, nil
}

// readOld reads one entry of a closed segment.
func (l *Log) readOld(s segment, off int64) ([]byte, error) {
	r, err := l.reader(s)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if f, ok := r.(io.Seeker); ok {
		_, err = f.Seek(off, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, r, off)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	b, err := readRecord(r, make([]byte, MaxEntry))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return bytes.Clone(b), nil
}

// Segment tells about one closed segment.
type Segment struct {
	// First and End bound its entries: First ≤ i < End.
	First, End int64
	// Bytes is the length of its records before compression.
	Bytes    int64
	Archived bool
}

// Segments lists the closed segments that are still there, the oldest first. The one that is written to is not among
// them: it can be neither moved nor removed.
func (l *Log) Segments() []Segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Segment
	for _, s := range l.segments[:len(l.segments)-1] {
		out = append(out, Segment{First: s.first, End: s.end, Bytes: s.bytes, Archived: s.stub != nil})
	}
	return out
}

// Verify reads everything that [Open] took at the word of the signed checkpoint: every entry that is there against its
// leaf, and every inner node against its children. It runs beside appends and takes about 1.3 s of CPU for a million
// entries.
func (l *Log) Verify(ctx context.Context) (err error) {
	defer errs.Wrap(&err, "verify log %q", l.opt.Origin)
	l.tidyMu.Lock()
	defer l.tidyMu.Unlock()
	l.mu.Lock()
	size, segments := l.size, slices.Clone(l.segments)
	l.mu.Unlock()
	segments[len(segments)-1].end = size
	for _, s := range segments {
		if s.end > s.first {
			if err := l.verifyPart(ctx, s, s.end == size); err != nil {
				return err
			}
		}
	}
	var edge [64]tlog.Hash
	var want []byte
	for i := range size {
		if i&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		at := tlog.StoredHashIndex(0, i)
		leaf, err := l.readHashes([]int64{at})
		if err != nil {
			return err
		}
		want = appendHashes(want[:0], &edge, i, leaf[0])
		have := make([]byte, len(want))
		if _, err := l.hashes.ReadAt(have, at*tlog.HashSize); err != nil || !bytes.Equal(have, want) {
			return fmt.Errorf("%w: tree at entry %d", ErrDamaged, i)
		}
	}
	return nil
}

// verifyPart is verifySegment for a segment that may still grow.
func (l *Log) verifyPart(ctx context.Context, s segment, growing bool) error {
	if !growing {
		return l.verifySegment(ctx, s)
	}
	for i := s.first; i < s.end; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := l.Entry(i); err != nil {
			return err
		}
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
