package translog

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/errs"
	"truc/internal/sealed"
)

// HasArchive reports whether there is a folder to move closed segments to.
func (l *Log) HasArchive() bool { return l.opt.ArchiveDir != "" }

// Archive moves closed segments into Options.ArchiveDir, all but the newest keep of them, and returns how many were
// moved. They stay readable through the log. A copy is read back and held against the tree before the original goes.
func (l *Log) Archive(ctx context.Context, keep int) (moved int, err error) {
	defer errs.Wrap(&err, "archive")
	if l.opt.ArchiveDir == "" {
		return 0, errors.New("no archive folder is set")
	}
	l.tidyMu.Lock()
	defer l.tidyMu.Unlock()
	if err := os.MkdirAll(l.opt.ArchiveDir, 0o700); err != nil {
		return 0, err
	}
	l.mu.Lock()
	if err := l.usable(); err != nil {
		l.mu.Unlock()
		return 0, err
	}
	closed := slices.Clone(l.segments[:len(l.segments)-1])
	l.mu.Unlock()
	for _, s := range closed[:max(0, len(closed)-keep)] {
		if s.stub != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return moved, err
		}
		if err := l.archiveOne(ctx, s); err != nil {
			return moved, err
		}
		moved++
	}
	return moved, nil
}

func (l *Log) archiveOne(ctx context.Context, s segment) error {
	name := segmentName(s.first)
	if l.opt.Compress {
		name += compressedSuffix
	}
	if l.encrypts() {
		name += encryptedSuffix
	}
	sum, err := l.copyToArchive(s, name)
	if err != nil {
		return err
	}
	s.stub = &stub{file: name, end: s.end, bytes: s.bytes, sum: sum}
	if err := l.verifySegment(ctx, s); err != nil {
		return err
	}
	if err := writeFileDurable(l.opt.Dir, segmentName(s.first)+stubSuffix, s.stub.marshal(), l.opt.NoSync); err != nil {
		return err
	}
	// From here on readers use the archive; a reader that has the old file open keeps it.
	l.mu.Lock()
	for i := range l.segments {
		if l.segments[i].first == s.first {
			l.segments[i] = s
		}
	}
	l.mu.Unlock()
	if err := os.Remove(filepath.Join(l.opt.Dir, segmentName(s.first))); err != nil {
		return err
	}
	return syncDir(l.opt.Dir, l.opt.NoSync)
}

func (l *Log) copyToArchive(s segment, name string) (sum string, err error) {
	from, err := os.Open(filepath.Join(l.opt.Dir, segmentName(s.first)))
	if err != nil {
		return "", err
	}
	defer from.Close() //nolint:errcheck // only read
	tmp := filepath.Join(l.opt.ArchiveDir, name+".tmp")
	to, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	err = l.encode(io.MultiWriter(to, h), from, s)
	if err == nil && !l.opt.NoSync {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return "", errors.Join(err, os.Remove(tmp)) // a full archive must not keep half a file
	}
	if err := os.Rename(tmp, filepath.Join(l.opt.ArchiveDir, name)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), syncDir(l.opt.ArchiveDir, l.opt.NoSync)
}

// encode writes a segment as the archive holds it: compressed, and then encrypted.
func (l *Log) encode(out io.Writer, from io.Reader, s segment) error {
	var (
		enc *sealed.Writer
		err error
	)
	if l.encrypts() {
		if enc, err = sealed.Encrypt(out, l.opt.ArchiveKey, l.archiveLabel(s.first)); err != nil {
			return err
		}
		out = enc
	}
	if l.opt.Compress {
		z := gzip.NewWriter(out)
		_, err = io.Copy(z, from)
		err = errors.Join(err, z.Close())
	} else {
		_, err = io.Copy(out, from)
	}
	if enc != nil {
		err = errors.Join(err, enc.Close())
	}
	return err
}

func (l *Log) encrypts() bool { return l.opt.ArchiveKey != nil && !l.opt.ArchiveClear }

// archiveLabel binds an encrypted file to its place in a log.
func (l *Log) archiveLabel(first int64) string { return archiveLabel(l.opt.Origin, first) }

func archiveLabel(origin string, first int64) string {
	return "truc log archive " + origin + " " + segmentName(first)
}

// decrypt opens an encrypted file of the archive, which may have been moved there under a name that the log had before.
func (l *Log) decrypt(f io.ReadSeeker, first int64) (r *sealed.Reader, err error) {
	origins := []string{l.opt.Origin}
	for _, vkey := range l.opt.Continues {
		name, _, _ := strings.Cut(vkey, "+")
		origins = append(origins, name)
	}
	for _, origin := range origins {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		if r, err = sealed.Decrypt(f, l.opt.ArchiveKey, archiveLabel(origin, first)); err == nil {
			return r, nil
		}
	}
	return nil, err
}

// verifySegment reads a closed segment and compares each entry with its leaf in the tree.
func (l *Log) verifySegment(ctx context.Context, s segment) error {
	r, err := l.reader(s)
	if err != nil {
		return err
	}
	defer r.Close()
	in, buf := bufio.NewReaderSize(r, 1<<18), make([]byte, MaxEntry)
	for i := s.first; i < s.end; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := readRecord(in, buf)
		if err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrDamaged, i, err)
		}
		want, err := l.readHashes([]int64{tlog.StoredHashIndex(0, i)})
		if err != nil {
			return err
		}
		if tlog.RecordHash(p) != want[0] {
			return fmt.Errorf("%w: entry %d", ErrDamaged, i)
		}
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: bytes behind the last entry of segment %d", ErrDamaged, s.first)
	}
	return nil
}
