package translog

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/errs"
)

// The faults of a log.
var (
	// ErrDamaged means that data, hashes and signed checkpoint do not agree.
	ErrDamaged = errors.New("translog: the log is damaged")
	// ErrRollback means that entries are missing which the log had acknowledged or signed for.
	ErrRollback = errors.New("translog: acknowledged entries are missing")
	// ErrFailed means that the disk refused a commit; the log takes nothing more until it is opened again.
	ErrFailed = errors.New("translog: the log has failed and must be opened again")
	// ErrClosed means that the log was closed.
	ErrClosed = errors.New("translog: the log is closed")
	// ErrRange means that there is no such entry or tree size.
	ErrRange = errors.New("translog: no such entry")
	// ErrEntrySize means that an entry is empty or longer than [MaxEntry].
	ErrEntrySize = errors.New("translog: an entry has 1 to 65535 bytes")
)

// MaxEntry is the greatest length of an entry: C2SP tlog-tiles gives it 16 bits.
const MaxEntry = 1<<16 - 1

const (
	headSize   = 8 // length and CRC before each payload
	markerSize = 12
	maxScratch = 256 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Options say where a log lies and who signs it.
type Options struct {
	// Dir is the folder; it is made when missing.
	Dir string
	// Origin names the log in its checkpoints, such as "truc/VN/H36/audit". It is also the name of the key.
	Origin string
	// Key signs the checkpoints.
	Key ed25519.PrivateKey
	// PreviousKeys are verifier keys that may have signed the stored checkpoint, after a change of keys.
	PreviousKeys []string
	// Continues are verifier keys of the logs whose entries this one took over when it got a name of its own, such as
	// after a backup was put back: their names may differ from Origin. Nothing is signed under them any more.
	Continues []string
	// Now is the clock. The formats of today carry no time; it is here for checkpoints that will.
	Now func() time.Time
	// SegmentSize is the length in bytes at which a data file is closed and the next begun; 0 means [DefaultSegment].
	SegmentSize int64
	// ArchiveDir is where [Log.Archive] moves closed segments; it may be on another disk. Empty: no archive.
	ArchiveDir string
	// Compress stores archived segments with gzip.
	Compress bool
	// ArchiveKey, of 32 bytes, encrypts archived segments, each under a key of its own. Those that were archived before in
	// clear stay readable; without the key those that were encrypted do not.
	ArchiveKey []byte
	// ArchiveClear has ArchiveKey only open what was encrypted before.
	ArchiveClear bool
	// NoSync leaves out waiting for the disk. For tests only: a power cut then loses acknowledged entries.
	NoSync bool

	open func(path string) (file, error) // tests put failing files here
}

// Log is an open log. Its methods may be called from many goroutines.
type Log struct {
	opt    Options
	lock   *os.File
	signer *signer
	vkey   string
	// readOnly is set by OpenReader.
	readOnly bool

	offsets, hashes, marker file

	tidyMu sync.Mutex // held by Archive, Prune and Verify; taken before mu

	mu        sync.Mutex // guards what follows, and the order of writes
	size      int64      // entries handed to the kernel
	durable   int64      // entries on the disk
	commits   CommitStats
	data      *sharedFile // the segment that is written to
	dataEnd   int64       // where the next record goes in it
	segments  []segment   // the last is the one that is written to
	pruned    int64       // the first entry that is still there
	pruneNote []byte
	edge      [64]tlog.Hash
	scratch   [3][]byte // what write makes records, offsets and hashes in
	next      *commit   // the run that will cover what is written now
	failed    error
	closed    bool
	unawaited *time.Timer // runs while entries are not on the disk for which nobody has asked to wait
	pending   bool        // unawaited runs
	kick      chan struct{}
	stopped   chan struct{}

	checkpointMu sync.Mutex // guards the two below; taken before mu
	signedSize   int64      // -1: none yet
	signedNote   []byte
}

// commit is one run of the committer; err is set before done is closed.
type commit struct {
	done chan struct{}
	err  error
}

func newCommit() *commit { return &commit{done: make(chan struct{})} }

// Append stores entries one behind the other and returns the index of the first when all are on the disk. After
// an error they may or may not be in the log; the caller must act as if they were not.
func (l *Log) Append(ctx context.Context, entries ...[]byte) (first int64, err error) {
	defer errs.Wrap(&err, "append")
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	first, wait, err := l.AppendNoWait(entries...)
	if err != nil {
		return 0, err
	}
	return first, wait(ctx)
}

// maxUnawaited is how long entries may be away from the disk when nobody waits for them.
const maxUnawaited = 100 * time.Millisecond

// AppendNoWait hands entries to the kernel, so that they outlive this process but not a power cut, and returns a
// function that waits until they are on the disk. They come to the disk when somebody waits for them or for a later entry,
// and at the latest after a tenth of a second: the disk is not asked twice for an entry that its owner does not wait for.
func (l *Log) AppendNoWait(entries ...[]byte) (first int64, wait func(context.Context) error, err error) {
	for _, e := range entries {
		if len(e) == 0 || len(e) > MaxEntry {
			return 0, nil, ErrEntrySize
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return 0, nil, err
	}
	first = l.size
	if err := l.write(entries); err != nil {
		return 0, nil, err
	}
	c := l.next
	if !l.pending && len(entries) > 0 {
		l.pending = true
		l.unawaited.Reset(maxUnawaited)
	}
	return first, func(ctx context.Context) error {
		l.ask(c)
		select {
		case <-c.done:
			return c.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil
}

// Sync waits until everything appended so far is on the disk.
func (l *Log) Sync(ctx context.Context) error {
	_, wait, err := l.AppendNoWait()
	if err != nil {
		return err
	}
	return wait(ctx)
}

func (l *Log) usable() error {
	switch {
	case l.closed:
		return ErrClosed
	case l.readOnly:
		return errReadOnly
	}
	return l.failed
}

// ask has the committer run, unless it has begun the run that covers c.
func (l *Log) ask(c *commit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == c && !l.closed {
		l.wakeCommitter()
	}
}

// commitUnawaited puts on the disk what nobody has waited for.
func (l *Log) commitUnawaited() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = false
	if !l.closed && l.size > l.durable {
		l.wakeCommitter()
	}
}

// wakeCommitter has it run once more. The caller holds mu and has seen that the log is not closed.
func (l *Log) wakeCommitter() {
	select {
	case l.kick <- struct{}{}:
	default: // it has been told already and has not yet looked
	}
}

// write puts entries behind the last one, or leaves the log as it was. The caller holds mu.
func (l *Log) write(entries [][]byte) error {
	if len(entries) == 0 {
		return nil
	}
	if l.dataEnd >= l.opt.SegmentSize {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	records, offsets, hashes := l.scratch[0][:0], l.scratch[1][:0], l.scratch[2][:0]
	edge, end := l.edge, l.dataEnd
	for i, e := range entries {
		offsets = binary.BigEndian.AppendUint64(offsets, uint64(end)) //nolint:gosec // never negative
		records = appendRecord(records, e)
		end += headSize + int64(len(e))
		hashes = appendHashes(hashes, &edge, l.size+int64(i), tlog.RecordHash(e))
	}
	if cap(records) <= maxScratch {
		l.scratch = [3][]byte{records, offsets, hashes}
	}
	err := writeAll(l.data, records, l.dataEnd)
	if err == nil {
		err = writeAll(l.hashes, hashes, tlog.StoredHashIndex(0, l.size)*tlog.HashSize)
	}
	if err == nil {
		err = writeAll(l.offsets, offsets, l.size*8)
	}
	if err != nil {
		// What lies behind the last record in hashes and offsets is written over; half a record must go.
		if cut := l.data.Truncate(l.dataEnd); cut != nil {
			l.failed = fmt.Errorf("%w: %w", ErrFailed, errors.Join(err, cut))
			return l.failed
		}
		return fmt.Errorf("translog: write: %w", err)
	}
	l.size, l.dataEnd, l.edge = l.size+int64(len(entries)), end, edge
	return nil
}

func writeAll(f file, b []byte, at int64) error {
	_, err := f.WriteAt(b, at)
	return err
}

func appendRecord(b, payload []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload))) //nolint:gosec // at most MaxEntry
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli))
	return append(b, payload...)
}

// appendHashes adds to b the nodes that become complete with leaf n: the leaf and one node for each trailing one
// bit of n, which is the order of tlog.StoredHashes. edge[k] is the last complete subtree of 2^k leaves; keeping
// these few in memory saves reading them back for each entry.
func appendHashes(b []byte, edge *[64]tlog.Hash, n int64, leaf tlog.Hash) []byte {
	h := leaf
	b = append(b, h[:]...)
	level := bits.TrailingZeros64(^uint64(n)) //nolint:gosec // never negative
	for k := range level {
		h = tlog.NodeHash(edge[k], h)
		b = append(b, h[:]...)
	}
	edge[level] = h
	return b
}

// commitLoop is the committer. It ends when kick is closed.
func (l *Log) commitLoop() {
	defer close(l.stopped)
	for range l.kick {
		runtime.Gosched() // who can run now may write something
		l.mu.Lock()
		c, end, err := l.next, l.size, l.failed
		todo := end > l.durable
		l.next = newCommit()
		var data *sharedFile
		if todo {
			data = l.take()
		}
		l.mu.Unlock()
		if data != nil && err == nil {
			err = l.commit(data, end)
		}
		if data != nil {
			err = errors.Join(err, l.give(data))
		}
		c.err = err
		close(c.done)
	}
}

// commit puts what was appended on the disk. A marker that cannot be written fails those who wait, and the next run writes
// it again; a sync that fails is final.
func (l *Log) commit(data *sharedFile, end int64) error {
	begun := l.opt.Now()
	synced := data.Sync() // the segments before it were put on the disk when they were closed
	var marked error
	if synced == nil {
		marked = l.writeMarker(end)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case synced != nil:
		l.failed = fmt.Errorf("%w: %w", ErrFailed, synced)
		return l.failed
	case marked != nil:
		return fmt.Errorf("translog: marker: %w", marked)
	}
	l.commits.Runs++
	l.commits.Entries += end - l.durable
	l.commits.Waited += l.opt.Now().Sub(begun)
	l.durable = end
	return nil
}

// writeMarker notes that n entries are on the disk. It is not waited for: what is found there later was true
// when it was written, so it is a lower bound that survives kill -9 exactly and a power cut roughly.
func (l *Log) writeMarker(n int64) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(n)) //nolint:gosec // never negative
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return writeAll(l.marker, b, 0)
}

// Size returns the number of entries, including those that are on their way to the disk.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// Durable returns the number of entries on the disk.
func (l *Log) Durable() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// CommitStats tell how the committer has worked since the log was opened; the size of a batch is Entries / Runs.
type CommitStats struct {
	// Runs put Entries on the disk, and waited for it for Waited in all.
	Runs, Entries int64
	Waited        time.Duration
}

// Commits returns the figures of the committer.
func (l *Log) Commits() CommitStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.commits
}

// Origin returns the name of the log.
func (l *Log) Origin() string { return l.opt.Origin }

// Entry returns entry i, after checking it against the tree.
func (l *Log) Entry(i int64) (b []byte, err error) {
	defer errs.Wrap(&err, "entry %d", i)
	l.mu.Lock()
	if i < 0 || i >= l.size {
		l.mu.Unlock()
		return nil, ErrRange
	}
	if i < l.pruned {
		l.mu.Unlock()
		return nil, ErrPruned
	}
	n, _ := slices.BinarySearchFunc(l.segments, i+1, func(s segment, i int64) int { return cmp.Compare(s.first, i) })
	s, current := l.segments[n-1], n == len(l.segments)
	var data *sharedFile
	if current && !l.closed {
		data = l.take()
	}
	l.mu.Unlock()
	if b, err = l.readEntry(i, s, data); err != nil {
		return nil, err
	}
	want, err := l.readHashes([]int64{tlog.StoredHashIndex(0, i)})
	if err != nil {
		return nil, err
	}
	if tlog.RecordHash(b) != want[0] {
		return nil, ErrDamaged
	}
	return b, nil
}

// readEntry reads entry i of a segment; data is given for the segment that is written to.
func (l *Log) readEntry(i int64, s segment, data *sharedFile) (b []byte, err error) {
	off, err := l.offset(i)
	if data == nil {
		if err != nil {
			return nil, err
		}
		return l.readOld(s, off)
	}
	defer func() { err = errors.Join(err, l.give(data)) }()
	if err != nil {
		return nil, err
	}
	var head [headSize]byte
	if _, err := data.ReadAt(head[:], off); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n == 0 || n > MaxEntry {
		return nil, ErrDamaged
	}
	b = make([]byte, n)
	if _, err := data.ReadAt(b, off+headSize); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return b, nil
}

func (l *Log) readHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if _, err := l.hashes.ReadAt(out[i][:], x*tlog.HashSize); err != nil {
			return nil, fmt.Errorf("%w: hash %d: %w", ErrDamaged, x, err)
		}
	}
	return out, nil
}

// Close waits for the last commit and gives the folder free. Appends afterwards fail with [ErrClosed].
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	if l.readOnly {
		l.mu.Unlock()
		return l.closeFiles()
	}
	l.unawaited.Stop()
	l.wakeCommitter()
	close(l.kick)
	l.mu.Unlock()
	<-l.stopped
	l.mu.Lock()
	err := l.failed
	l.mu.Unlock()
	if err == nil {
		err = errors.Join(l.hashes.Sync(), l.offsets.Sync(), l.marker.Sync())
	}
	return errors.Join(err, l.closeFiles())
}

func (l *Log) closeFiles() error {
	var err error
	for _, f := range []file{l.offsets, l.hashes, l.marker} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if l.data != nil {
		err = errors.Join(err, l.give(l.data))
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}
