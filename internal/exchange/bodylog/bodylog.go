// Package bodylog keeps the bodies of messages for services whose policy asks for it, encrypted, and forgets them when
// their time is over (spec §4.5, D22). The evidence log keeps digests only, so nothing here is part of its tree: a body
// that was erased leaves every proof intact, and a body that is shown is checked against the digest that was signed.
//
// A segment is two files named by the microsecond in which it was begun:
//
//	T.key   the segment's data key, sealed with the node's seal key (AES-256-GCM)
//	T.body  records: length of the sealed part (4 bytes), name (32 bytes), nonce (12 bytes), sealed body; big-endian
//
// A body that streams has a segment of its own, T.key and T.stream; see [Stream].
//
// The name of a record is the SHA-256 of role, direction and request id, and is bound to the sealed body. Nothing is on the
// disk in clear. Erasing a segment removes its key first: from then on the rest is noise, wherever copies of it lie.
package bodylog

import (
	"bufio"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/sealed"
)

const (
	nameSize   = sha256.Size
	nonceSize  = 12
	recordHead = 4 + nameSize + nonceSize
	keyDomain  = "truc-body-key/1 "
	bodySuffix = ".body"
	keySuffix  = ".key"
	maxSealed  = 64 << 20
	// slack is how long before a segment was begun a body in it may carry its time, and the other way round.
	slack = 10 * time.Minute
)

// Log keeps bodies. It is safe for concurrent use.
type Log struct {
	// Dir is the folder; it is made when missing.
	Dir string
	// Seal is the node's 32-byte seal key.
	Seal []byte
	// SegmentSize and SegmentAge end a segment; default 64 MiB and a day. Erasing works by whole segments.
	SegmentSize int64
	SegmentAge  time.Duration
	Now         func() time.Time

	mu    sync.Mutex // guards all below
	file  *os.File
	data  cipher.AEAD
	size  int64
	begun time.Time
	stem  string
}

// Name is the name of a body: who logged it, whether it was asked or answered, and the request id.
type Name struct{ Role, Direction, RequestID string }

func (n Name) hash() [nameSize]byte {
	return sha256.Sum256([]byte(n.Role + "\n" + n.Direction + "\n" + n.RequestID))
}

// Put keeps a body; when it returns the body outlives the process.
func (l *Log) Put(name Name, body []byte) (err error) {
	defer errs.Wrap(&err, "keep body")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil || l.size >= l.segmentSize() || l.Now().Sub(l.begun) >= l.segmentAge() {
		if err := l.begin(); err != nil {
			return err
		}
	}
	h := name.hash()
	b := make([]byte, recordHead, recordHead+len(body)+16)
	if _, err := rand.Read(b[4+nameSize:]); err != nil {
		return err
	}
	copy(b[4:], h[:])
	b = l.data.Seal(b, b[4+nameSize:recordHead], body, h[:])
	binary.BigEndian.PutUint32(b, uint32(len(b)-recordHead)) //nolint:gosec // at most maxSealed, see below
	if len(b)-recordHead > maxSealed {
		return errors.New("the body is too large")
	}
	if _, err := l.file.WriteAt(b, l.size); err != nil {
		return errors.Join(err, l.file.Truncate(l.size)) // a full disk must not leave half a record in the middle
	}
	l.size += int64(len(b))
	return nil
}

func (l *Log) segmentSize() int64 {
	if l.SegmentSize > 0 {
		return l.SegmentSize
	}
	return 64 << 20
}

func (l *Log) segmentAge() time.Duration {
	if l.SegmentAge > 0 {
		return l.SegmentAge
	}
	return 24 * time.Hour
}

// begin makes a new segment with a key of its own. The key is on the disk before anything is sealed with it.
func (l *Log) begin() error {
	if err := l.closeSegment(); err != nil {
		return err
	}
	now := l.Now()
	stem, data, err := l.newKey(now)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(l.path(stem, bodySuffix), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	l.file, l.data, l.size, l.begun, l.stem = f, data, 0, now, stem
	return nil
}

// newKey makes the key of a new segment, and with it the segment's name; it is on the disk when it returns.
func (l *Log) newKey(now time.Time) (stem string, data cipher.AEAD, err error) {
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return "", nil, err
	}
	seal, err := sealed.AEAD(l.Seal)
	if err != nil {
		return "", nil, err
	}
	for at := now.UnixMicro(); ; at++ { // another segment may have been begun in the same microsecond
		stem = stemOf(at)
		key := make([]byte, 32+nonceSize)
		if _, err := rand.Read(key); err != nil {
			return "", nil, err
		}
		nonce := key[32:]
		err := writeDurable(l.path(stem, keySuffix), seal.Seal(slices.Clone(nonce), nonce, key[:32], []byte(keyDomain+stem)))
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		data, err = sealed.AEAD(key[:32])
		return stem, data, err
	}
}

func stemOf(begun int64) string { return fmt.Sprintf("%017d", begun) }

func (l *Log) path(stem, suffix string) string { return filepath.Join(l.Dir, stem+suffix) }

func writeDurable(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // a full disk must not keep half a key
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (l *Log) closeSegment() error {
	if l.file == nil {
		return nil
	}
	err := errors.Join(l.file.Sync(), l.file.Close())
	l.file, l.data = nil, nil
	return err
}

// Close ends the segment that is written to.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closeSegment()
}

// segments lists the times at which segments with the suffix were begun, the oldest first.
func (l *Log) segments(suffix string) ([]int64, error) {
	names, err := os.ReadDir(l.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var out []int64
	for _, e := range names {
		stem, ok := strings.CutSuffix(e.Name(), suffix)
		at, perr := strconv.ParseInt(stem, 10, 64)
		if ok && perr == nil && stemOf(at) == stem {
			out = append(out, at)
		}
	}
	return out, err
}

// Get returns a body that was kept at about a time. NotFound when it was not, or was erased.
func (l *Log) Get(ctx context.Context, name Name, at time.Time) (body []byte, err error) {
	defer errs.Wrap(&err, "body")
	all, err := l.segments(bodySuffix)
	if err != nil {
		return nil, err
	}
	for i, begun := range all {
		if begun > at.Add(slack).UnixMicro() || i+1 < len(all) && all[i+1] < at.Add(-slack).UnixMicro() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		body, err := l.find(stemOf(begun), name.hash())
		if !errs.Is(err, errs.NotFound) {
			return body, err
		}
	}
	return nil, errs.E(errs.NotFound, "exchange.body_gone", nil)
}

// openKey opens the key of a segment; NotFound when it was erased.
func (l *Log) openKey(stem string) (cipher.AEAD, error) {
	locked, err := os.ReadFile(l.path(stem, keySuffix))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errs.E(errs.NotFound, "exchange.body_gone", nil)
	}
	if err != nil {
		return nil, err
	}
	seal, err := sealed.AEAD(l.Seal)
	if err != nil {
		return nil, err
	}
	if len(locked) < nonceSize {
		return nil, errors.New("the key of a segment is damaged")
	}
	key, err := seal.Open(nil, locked[:nonceSize], locked[nonceSize:], []byte(keyDomain+stem))
	if err != nil {
		return nil, fmt.Errorf("the key of segment %s cannot be opened: %w", stem, err)
	}
	return sealed.AEAD(key)
}

// find reads a segment's heads and opens the record of a name. The end of a segment may be torn by a crash.
func (l *Log) find(stem string, name [nameSize]byte) ([]byte, error) {
	gone := errs.E(errs.NotFound, "exchange.body_gone", nil)
	data, err := l.openKey(stem)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(l.path(stem, bodySuffix))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	r := bufio.NewReaderSize(f, 1<<16)
	for head := make([]byte, recordHead); ; {
		if _, err := io.ReadFull(r, head); err != nil {
			return nil, gone
		}
		n := binary.BigEndian.Uint32(head)
		if n > maxSealed {
			return nil, errors.New("a record of a segment is damaged")
		}
		if [nameSize]byte(head[4:4+nameSize]) != name {
			if _, err := r.Discard(int(n)); err != nil {
				return nil, gone
			}
			continue
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, gone
		}
		return data.Open(nil, head[4+nameSize:], b, name[:])
	}
}

// Erase removes all segments whose newest body is older than before, keys first, and returns how many.
func (l *Log) Erase(before time.Time) (n int, err error) {
	defer errs.Wrap(&err, "erase bodies")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.Now().Sub(l.begun) >= l.segmentAge() { // an idle node ends its segment here
		if err := l.closeSegment(); err != nil {
			return 0, err
		}
	}
	keys, err := l.segments(keySuffix)
	if err != nil {
		return 0, err
	}
	for _, begun := range keys {
		if l.file != nil && stemOf(begun) == l.stem || !time.UnixMicro(begun).Add(l.segmentAge()).Before(before) {
			continue
		}
		if err := os.Remove(l.path(stemOf(begun), keySuffix)); err != nil {
			return n, err
		}
		n++
	}
	if n > 0 {
		if err := syncDir(l.Dir); err != nil {
			return n, err
		}
	}
	for _, suffix := range []string{bodySuffix, streamSuffix} {
		bodies, err := l.segments(suffix)
		if err != nil {
			return n, err
		}
		for _, begun := range bodies { // also those whose key went before a crash
			stem := stemOf(begun)
			if _, err := os.Stat(l.path(stem, keySuffix)); errors.Is(err, os.ErrNotExist) {
				if err := os.Remove(l.path(stem, suffix)); err != nil {
					return n, err
				}
			}
		}
	}
	return n, nil
}
