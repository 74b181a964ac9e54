package translog

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/errs"
)

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	maxReceipt  = maxNote + 64*64 + (MaxEntry+2)/3*4 + 128
)

// ErrReceipt means that a receipt is not well formed, or does not prove what it should.
var ErrReceipt = errors.New("translog: the receipt does not prove the entry")

// LeafHash returns the hash by which an entry stands in the tree (RFC 6962 §2.1).
func LeafHash(entry []byte) [32]byte { return tlog.RecordHash(entry) }

// Proof returns the hashes that lead from entry i to the root of the tree of the given size.
func (l *Log) Proof(i, size int64) (p []tlog.Hash, err error) {
	defer errs.Wrap(&err, "proof %d in %d", i, size)
	if i < 0 || i >= size || size > l.Size() {
		return nil, ErrRange
	}
	return tlog.ProveRecord(size, i, tlog.HashReaderFunc(l.readHashes))
}

// Consistency returns the hashes that prove that the tree of size older is the beginning of the tree of size
// newer, as a witness asks for.
func (l *Log) Consistency(older, newer int64) (p []tlog.Hash, err error) {
	defer errs.Wrap(&err, "consistency %d to %d", older, newer)
	if older < 0 || older > newer || newer > l.Size() {
		return nil, ErrRange
	}
	if older == 0 || older == newer {
		return nil, nil
	}
	return tlog.ProveTree(newer, older, tlog.HashReaderFunc(l.readHashes))
}

// Receipt returns a proof for entry i that can be checked offline (C2SP tlog-proof). It uses the last checkpoint
// when that covers the entry, and makes a new one otherwise, waiting for the disk.
func (l *Log) Receipt(i int64) ([]byte, error) { return l.ReceiptExtra(i, nil) }

// ReceiptExtra is [Log.Receipt] with data of the caller in the "extra" line, which nothing authenticates.
func (l *Log) ReceiptExtra(i int64, extra []byte) (b []byte, err error) {
	defer errs.Wrap(&err, "receipt %d", i)
	if i < 0 || i >= l.Size() {
		return nil, ErrRange
	}
	if i >= l.Durable() {
		if err := l.Sync(context.Background()); err != nil {
			return nil, err
		}
	}
	l.checkpointMu.Lock()
	msg, size := l.signedNote, l.signedSize
	if i >= size {
		msg, err = l.checkpointLocked()
		size = l.signedSize
	}
	l.checkpointMu.Unlock()
	if err != nil {
		return nil, err
	}
	hashes, err := l.Proof(i, size)
	if err != nil {
		return nil, err
	}
	return Receipt{Extra: extra, Index: i, Hashes: hashes, Checkpoint: msg}.Marshal(), nil
}

// ReceiptIn is [Log.Receipt] for an earlier checkpoint of this log, which may carry cosignatures.
func (l *Log) ReceiptIn(i, size int64, checkpoint []byte) ([]byte, error) {
	hashes, err := l.Proof(i, size)
	if err != nil {
		return nil, err
	}
	return Receipt{Index: i, Hashes: hashes, Checkpoint: checkpoint}.Marshal(), nil
}

// Receipt is the content of a C2SP tlog-proof file.
type Receipt struct {
	Extra      []byte // opaque and not authenticated; nil when absent
	Index      int64
	Hashes     []tlog.Hash
	Checkpoint []byte
}

// Marshal returns the text form.
func (r Receipt) Marshal() []byte {
	var b strings.Builder
	b.WriteString(proofHeader + "\n")
	if len(r.Extra) > 0 {
		b.WriteString("extra " + base64.StdEncoding.EncodeToString(r.Extra) + "\n")
	}
	b.WriteString("index " + strconv.FormatInt(r.Index, 10) + "\n")
	for _, h := range r.Hashes {
		b.WriteString(h.String() + "\n")
	}
	b.WriteString("\n")
	b.Write(r.Checkpoint)
	return []byte(b.String())
}

// ParseReceipt reads the text form strictly: what it accepts, Marshal gives back byte for byte.
func ParseReceipt(b []byte) (r Receipt, err error) {
	if len(b) > maxReceipt {
		return r, fmt.Errorf("%w: too long", ErrReceipt)
	}
	head, checkpoint, ok := strings.Cut(string(b), "\n\n")
	if !ok || checkpoint == "" || len(checkpoint) > maxNote {
		return r, fmt.Errorf("%w: no checkpoint", ErrReceipt)
	}
	lines := strings.Split(head, "\n")
	if lines[0] != proofHeader || len(lines) < 2 {
		return r, fmt.Errorf("%w: first line", ErrReceipt)
	}
	lines = lines[1:]
	if s, ok := strings.CutPrefix(lines[0], "extra "); ok {
		if r.Extra, err = decodeBase64(s); err != nil || len(r.Extra) == 0 {
			return Receipt{}, fmt.Errorf("%w: extra line", ErrReceipt)
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || len(lines) > maxTreeLevel+1 {
		return Receipt{}, fmt.Errorf("%w: number of lines", ErrReceipt)
	}
	s, ok := strings.CutPrefix(lines[0], "index ")
	if r.Index, err = parseDecimal(s); err != nil || !ok {
		return Receipt{}, fmt.Errorf("%w: index line", ErrReceipt)
	}
	for _, s := range lines[1:] {
		h, err := parseHash(s)
		if err != nil {
			return Receipt{}, fmt.Errorf("%w: hash line", ErrReceipt)
		}
		r.Hashes = append(r.Hashes, h)
	}
	r.Checkpoint = []byte(checkpoint)
	return r, nil
}

// Verified is what a receipt proves: that the log named Origin, at this size and root, holds the entry at Index.
type Verified struct {
	Index  int64
	Size   int64
	Origin string
	Root   tlog.Hash
}

// VerifyReceipt checks that receipt proves entry under a checkpoint signed by vkey. It needs nothing else: no
// network, no log.
func VerifyReceipt(entry, receipt []byte, vkey string) (v Verified, err error) {
	r, err := ParseReceipt(receipt)
	if err != nil {
		return v, err
	}
	return r.Verify(entry, vkey)
}

// Verify is [VerifyReceipt] for a receipt that was parsed.
func (r Receipt) Verify(entry []byte, vkey string) (v Verified, err error) {
	if len(entry) == 0 || len(entry) > MaxEntry {
		return v, ErrEntrySize
	}
	c, err := VerifyCheckpoint(r.Checkpoint, vkey)
	if err != nil {
		return v, err
	}
	if r.Index >= c.Size {
		return v, fmt.Errorf("%w: index beyond the tree", ErrReceipt)
	}
	if err := tlog.CheckRecord(r.Hashes, c.Size, c.Root, r.Index, tlog.RecordHash(entry)); err != nil {
		return v, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return Verified{Index: r.Index, Size: c.Size, Origin: c.Origin, Root: c.Root}, nil
}
