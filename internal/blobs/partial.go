package blobs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"truc/internal/errs"
)

// Partial receives a file of a known name from elsewhere, in several attempts when the line breaks.
type Partial struct {
	store  *Store
	sha    string
	size   int64
	offset int64
	path   string
	file   file
	hash   hash.Hash
	err    error
	done   bool
}

// Resume continues, or begins, the fetch of a file of a known digest and size, and tells from which byte on. What an
// earlier attempt left is read again, so that the digest covers all of it. errs.Unavailable while another fetch of the
// same file is under way, errs.Invalid for a name or size that cannot be. End with Commit, Close or Discard.
func (s *Store) Resume(sha string, size int64) (p *Partial, offset int64, err error) {
	if !ValidName(sha) || size < 0 {
		return nil, 0, errs.E(errs.Invalid, "blobs.name_invalid", nil)
	}
	s.naming.Lock()
	if s.fetching[sha] {
		s.naming.Unlock()
		return nil, 0, errs.E(errs.Unavailable, "blobs.fetching", nil)
	}
	s.fetching[sha] = true
	s.naming.Unlock()
	defer func() {
		if err != nil {
			s.release(sha)
		}
	}()
	p = &Partial{store: s, sha: sha, size: size, path: filepath.Join(s.dir, partialDir, sha), hash: sha256.New()}
	if err := p.readBack(); err != nil {
		return nil, 0, err
	}
	if p.file, err = s.open(p.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND); err != nil {
		return nil, 0, writeError(err)
	}
	return p, p.offset, nil
}

// readBack takes in what an earlier attempt left. A file that is longer than the whole is of no use.
func (p *Partial) readBack() (err error) {
	f, err := os.Open(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	p.offset, err = io.Copy(p.hash, io.LimitReader(f, p.size+1))
	if err = errors.Join(err, f.Close()); err != nil || p.offset <= p.size {
		return err
	}
	p.offset = 0
	p.hash.Reset()
	return os.Remove(p.path)
}

func (s *Store) release(sha string) {
	s.naming.Lock()
	delete(s.fetching, sha)
	s.naming.Unlock()
}

// Write implements io.Writer. errs.Invalid for more bytes than were announced.
func (p *Partial) Write(b []byte) (int, error) {
	switch {
	case p.err == nil && p.done:
		p.err = fs.ErrClosed
	case p.err == nil && p.offset+int64(len(b)) > p.size:
		p.err = errs.E(errs.Invalid, "blobs.hash_wrong", nil)
	}
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.file.Write(b)
	p.hash.Write(b[:n])
	p.offset += int64(n)
	if err != nil {
		p.err = writeError(err)
	}
	return n, p.err
}

// Commit checks the digest and gives the file its name, on the disk when it returns. errs.Unavailable when bytes are
// missing, which a next attempt continues; errs.Invalid when the bytes are not those of the name, which forgets them.
func (p *Partial) Commit() (Blob, error) {
	if p.done {
		return Blob{}, errors.Join(p.err, fs.ErrClosed)
	}
	if p.err == nil && p.offset < p.size {
		return Blob{}, errors.Join(errs.E(errs.Unavailable, "blobs.incomplete", nil), p.Close())
	}
	if p.err == nil && hex.EncodeToString(p.hash.Sum(nil)) != p.sha {
		p.err = errs.E(errs.Invalid, "blobs.hash_wrong", nil)
	}
	if errs.Is(p.err, errs.Invalid) {
		return Blob{}, errors.Join(p.err, p.Discard())
	}
	if p.err != nil {
		return Blob{}, errors.Join(p.err, p.Close())
	}
	p.done = true
	defer p.store.release(p.sha)
	if err := errors.Join(p.file.Sync(), p.file.Close()); err != nil {
		// The system may have dropped bytes that it could not write: they cannot be continued from.
		return Blob{}, errors.Join(writeError(err), os.Remove(p.path))
	}
	if err := p.store.name(p.path, p.sha); err != nil {
		return Blob{}, writeError(err)
	}
	return Blob{SHA256: p.sha, Size: p.size}, nil
}

// Close ends this attempt and keeps what came for the next. After Commit or Discard it does nothing.
func (p *Partial) Close() error {
	if p.done {
		return nil
	}
	p.done = true
	defer p.store.release(p.sha)
	return p.file.Close()
}

// Discard ends this attempt and forgets what came.
func (p *Partial) Discard() error {
	if p.done {
		return nil
	}
	p.done = true
	defer p.store.release(p.sha)
	return errors.Join(p.file.Close(), os.Remove(p.path))
}
