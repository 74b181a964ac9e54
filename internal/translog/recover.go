package translog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/errs"
)

// Open opens the log in opt.Dir, making an empty one when there is none, and repairs what a crash may have left behind.
// It reads the segments from the one that the signed checkpoint ends in: the checkpoint's root vouches for the hashes
// before it, and [Log.Entry] and [Log.Verify] hold older entries against those. So opening costs the same however long
// the log is. It fails with [ErrLocked], [ErrDamaged] or [ErrRollback].
func Open(opt Options) (l *Log, err error) {
	defer errs.Wrap(&err, "open log %q", opt.Origin)
	signer, err := newSigner(opt.Origin, opt.Key)
	if err != nil {
		return nil, err
	}
	if opt.open == nil {
		opt.open = func(path string) (file, error) { return openFile(path, opt.NoSync) }
	}
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(opt.Dir)
	if err != nil {
		return nil, err
	}
	if opt.SegmentSize <= 0 {
		opt.SegmentSize = DefaultSegment
	}
	l = &Log{opt: opt, lock: lock, signer: signer, vkey: signer.vkey, next: newCommit(), kick: make(chan struct{}, 1), stopped: make(chan struct{})}
	if err := l.openAll(); err != nil {
		return nil, errors.Join(err, l.closeFiles())
	}
	l.unawaited = time.AfterFunc(maxUnawaited, l.commitUnawaited)
	l.unawaited.Stop() // nothing is there yet
	go l.commitLoop()  // Close ends it and waits for it
	return l, nil
}

func (l *Log) openAll() (err error) {
	for _, f := range []struct {
		name string
		to   *file
	}{{"offsets", &l.offsets}, {"hashes", &l.hashes}, {"durable", &l.marker}} {
		if *f.to, err = l.opt.open(filepath.Join(l.opt.Dir, f.name)); err != nil {
			return err
		}
	}
	if err := syncDir(l.opt.Dir, l.opt.NoSync); err != nil {
		return err
	}
	signed, err := l.loadCheckpoint()
	if err != nil {
		return err
	}
	marked, err := l.readMarker()
	if err != nil {
		return err
	}
	if err := l.listSegments(); err != nil {
		return err
	}
	if err := l.scan(signed, max(marked, signed.Size)); err != nil {
		return err
	}
	if need := max(marked, signed.Size); l.size < need {
		size, err := l.data.Size()
		if err != nil {
			return err
		}
		if size > l.dataEnd {
			return fmt.Errorf("%w: entry %d cannot be read, but %d were acknowledged", ErrDamaged, l.size, need)
		}
		return fmt.Errorf("%w: %d are there, %d were acknowledged", ErrRollback, l.size, need)
	}
	if err := l.repair(); err != nil {
		return err
	}
	hashes := &tail{file: l.hashes}
	l.hashes, l.offsets = hashes, &tail{file: l.offsets, before: hashes}
	return nil
}

// readMarker returns the number of entries that were on the disk for certain; 0 when the marker cannot be read,
// for it is only a lower bound.
func (l *Log) readMarker() (int64, error) {
	b := make([]byte, markerSize)
	n, err := l.marker.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n < markerSize || crc32.Checksum(b[:8], castagnoli) != binary.BigEndian.Uint32(b[8:]) {
		return 0, nil
	}
	return int64(binary.BigEndian.Uint64(b)), nil //nolint:gosec // written by writeMarker
}

// scan finds where to begin, reads the segments from there and computes the tree. Below the signed size, stored hashes
// must be those computed, or be missing; above it they are written again where they differ, for nobody waited for them.
func (l *Log) scan(signed Checkpoint, acknowledged int64) error {
	if len(l.segments) == 0 {
		if l.pruned > 0 {
			return fmt.Errorf("%w: no segment is there", ErrRollback)
		}
		l.segments = []segment{{}}
	}
	storedHashes, err := l.hashes.Size()
	if err != nil {
		return err
	}
	storedOffsets, err := l.offsets.Size()
	if err != nil {
		return err
	}
	start := l.startSegment(signed, storedHashes, storedOffsets)
	if err := l.checkSegments(start); err != nil {
		return err
	}
	l.size = l.segments[start].first
	if err := l.loadEdge(signed, storedHashes); err != nil {
		return err
	}
	hashes := &derived{f: l.hashes, size: storedHashes, pos: tlog.StoredHashIndex(0, l.size) * tlog.HashSize}
	offsets := &derived{f: l.offsets, size: storedOffsets, pos: l.size * 8}
	for i := start; i < len(l.segments); i++ {
		if l.segments[i].first != l.size {
			return l.gap(i, acknowledged)
		}
		last := i == len(l.segments)-1
		if err := l.scanSegment(&l.segments[i], signed, last, hashes, offsets); err != nil {
			return err
		}
	}
	return errors.Join(hashes.flush(), offsets.flush())
}

// gap names the fault when segment i does not begin where the one before ended.
func (l *Log) gap(i int, acknowledged int64) error {
	if l.segments[i].first > l.size {
		return fmt.Errorf("%w: entries %d to %d are missing (%d acknowledged)", ErrRollback, l.size, l.segments[i].first-1, acknowledged)
	}
	return fmt.Errorf("%w: segment %d begins before entry %d", ErrDamaged, l.segments[i].first, l.size)
}

// startSegment is the segment that holds the end of the signed tree, when the stored hashes reach that far; otherwise
// the first that is there.
func (l *Log) startSegment(signed Checkpoint, hashes, offsets int64) int {
	for i := len(l.segments) - 1; i > 0; i-- {
		first := l.segments[i].first
		if first <= signed.Size && tlog.StoredHashIndex(0, first)*tlog.HashSize <= hashes && first*8 <= offsets {
			return i
		}
	}
	return 0
}

// loadEdge takes the complete subtrees before the first entry that is read from the stored hashes. They are believed
// once the root computed with them is the signed one, which scan checks.
func (l *Log) loadEdge(signed Checkpoint, stored int64) error {
	if l.size == 0 {
		return nil
	}
	if l.size > signed.Size || tlog.StoredHashIndex(0, l.size)*tlog.HashSize > stored {
		return fmt.Errorf("%w: the hashes of entries that are no longer here are not complete", ErrDamaged)
	}
	for k, at := 0, l.size; at > 0; k, at = k+1, at>>1 {
		if at&1 == 1 {
			h, err := l.readHashes([]int64{tlog.StoredHashIndex(k, at-1)})
			if err != nil {
				return err
			}
			l.edge[k] = h[0]
		}
	}
	return nil
}

// scanSegment reads the records of one segment; only the last may end with half a record.
func (l *Log) scanSegment(s *segment, signed Checkpoint, last bool, hashes, offsets *derived) error {
	in, err := l.openSegment(s, last)
	if err != nil {
		return err
	}
	defer in.Close()
	var (
		r       = bufio.NewReaderSize(in, 1<<18)
		buf     []byte
		payload = make([]byte, MaxEntry)
		end     int64
	)
	for {
		if l.size == signed.Size {
			if err := l.checkRoot(signed); err != nil {
				return err
			}
		}
		p, err := readRecord(r, payload)
		if errors.Is(err, errTorn) {
			break
		}
		if err != nil {
			return err
		}
		buf = appendHashes(buf[:0], &l.edge, l.size, tlog.RecordHash(p))
		if err := hashes.put(buf, l.size < signed.Size); err != nil {
			return err
		}
		if err := offsets.put(binary.BigEndian.AppendUint64(buf[:0], uint64(end)), false); err != nil {
			return err
		}
		l.size++
		end += headSize + int64(len(p))
	}
	if last {
		l.dataEnd = end
		return nil
	}
	if end != s.bytes {
		return fmt.Errorf("%w: segment %d cannot be read behind byte %d", ErrDamaged, s.first, end)
	}
	s.end = l.size
	return nil
}

// openSegment opens a segment for the scan; the last one stays open for writing.
func (l *Log) openSegment(s *segment, last bool) (io.ReadCloser, error) {
	if !last {
		return l.reader(*s)
	}
	if s.stub != nil {
		return nil, fmt.Errorf("%w: the segment after %s is missing", ErrRollback, s.stub.file)
	}
	f, err := l.opt.open(filepath.Join(l.opt.Dir, segmentName(s.first)))
	if err != nil {
		return nil, err
	}
	l.data = &sharedFile{file: f, refs: 1}
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.NewSectionReader(f, 0, size)), syncDir(l.opt.Dir, l.opt.NoSync)
}

// checkRoot compares the tree computed so far with the one that was signed.
func (l *Log) checkRoot(signed Checkpoint) error {
	if signed.Size <= 0 {
		return nil
	}
	if rootOf(&l.edge, l.size) != signed.Root {
		return fmt.Errorf("%w: the entries are not those of the signed checkpoint", ErrDamaged)
	}
	return nil
}

// rootOf joins the complete subtrees that make up a tree of size n, from the smallest up.
func rootOf(edge *[64]tlog.Hash, n int64) tlog.Hash {
	var h tlog.Hash
	first := true
	for k := range 63 {
		if n>>k&1 == 0 {
			continue
		}
		if first {
			h, first = edge[k], false
		} else {
			h = tlog.NodeHash(edge[k], h)
		}
	}
	return h
}

// repair cuts off what a crash left behind the last whole record, and puts on the disk what was found, so that
// it may be called durable.
func (l *Log) repair() error {
	for _, f := range []struct {
		f    file
		size int64
	}{{l.data, l.dataEnd}, {l.hashes, tlog.StoredHashIndex(0, l.size) * tlog.HashSize}, {l.offsets, l.size * 8}} {
		size, err := f.f.Size()
		if err != nil {
			return err
		}
		if size > f.size {
			if err := f.f.Truncate(f.size); err != nil {
				return err
			}
		}
		if size > 0 {
			if err := f.f.Sync(); err != nil {
				return err
			}
		}
	}
	l.durable = l.size
	return l.writeMarker(l.durable)
}

var errTorn = errors.New("no whole record")

// readRecord returns the next record's payload in buf, or errTorn at the end of what can be read.
func readRecord(r io.Reader, buf []byte) ([]byte, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, tornOr(err)
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n == 0 || n > MaxEntry {
		return nil, errTorn
	}
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		return nil, tornOr(err)
	}
	if crc32.Checksum(buf[:n], castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return nil, errTorn
	}
	return buf[:n], nil
}

func tornOr(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

// derived walks through a file that can be computed from the data, comparing and mending it in large pieces.
type derived struct {
	f       file
	size    int64 // what is stored
	pos     int64 // where buf begins
	buf     []byte
	trusted bool // every byte of buf was vouched for by a checkpoint
}

const derivedPiece = 1 << 16

// put says what the next bytes of the file should be. With must, stored bytes that differ are an error.
func (d *derived) put(b []byte, must bool) error {
	if len(d.buf) > 0 && (must != d.trusted || len(d.buf) >= derivedPiece) {
		if err := d.flush(); err != nil {
			return err
		}
	}
	d.trusted = must
	d.buf = append(d.buf, b...)
	return nil
}

func (d *derived) flush() error {
	if len(d.buf) == 0 {
		return nil
	}
	have := make([]byte, max(0, min(int64(len(d.buf)), d.size-d.pos)))
	if _, err := d.f.ReadAt(have, d.pos); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	same := bytes.Equal(have, d.buf[:len(have)])
	if !same && d.trusted {
		return fmt.Errorf("%w: stored hashes are not those of the entries", ErrDamaged)
	}
	if !same || len(have) < len(d.buf) {
		if err := writeAll(d.f, d.buf, d.pos); err != nil {
			return err
		}
	}
	d.pos += int64(len(d.buf))
	d.buf = d.buf[:0]
	return nil
}
