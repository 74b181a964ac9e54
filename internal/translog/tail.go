package translog

import "sync"

// maxTail is how much of offsets or hashes may wait in memory.
const maxTail = 32 << 10

// tail is a file whose end waits in memory until there is enough to write, until it is read, or until [Log.Checkpoint]. It
// is for offsets and hashes, which [Open] computes again from the segments when they are missing: to write a few bytes of
// each for every entry took as many calls of the system as the entries themselves.
type tail struct {
	file
	// before is written first, so that another process that reads finds what this file leads to.
	before *tail

	mu  sync.Mutex // guards both
	at  int64      // where buf belongs
	buf []byte
}

// WriteAt implements file. What was accepted is kept until the disk takes it; when there is no room left to keep more, the
// error of the disk is the caller's.
func (t *tail) WriteAt(b []byte, at int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.buf) > 0 && t.at <= at && at <= t.at+int64(len(t.buf)) {
		t.buf = t.buf[:at-t.at] // an append that failed is written over
	} else if err := t.flushLocked(); err != nil {
		return 0, err
	}
	if len(t.buf) > 0 && len(t.buf)+len(b) > maxTail {
		if err := t.flushLocked(); err != nil {
			return 0, err
		}
	}
	if len(t.buf) == 0 {
		t.at = at
	}
	t.buf = append(t.buf, b...)
	return len(b), nil
}

// ReadAt implements file.
func (t *tail) ReadAt(b []byte, at int64) (int, error) {
	t.mu.Lock()
	if at+int64(len(b)) > t.at {
		if err := t.flushLocked(); err != nil {
			t.mu.Unlock()
			return 0, err
		}
	}
	t.mu.Unlock()
	return t.file.ReadAt(b, at)
}

func (t *tail) flush() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flushLocked()
}

func (t *tail) flushLocked() error {
	if len(t.buf) == 0 {
		return nil
	}
	if t.before != nil {
		if err := t.before.flush(); err != nil {
			return err
		}
	}
	if err := writeAll(t.file, t.buf, t.at); err != nil {
		return err
	}
	t.at += int64(len(t.buf))
	t.buf = t.buf[:0]
	if cap(t.buf) > 2*maxTail {
		t.buf = nil
	}
	return nil
}

// Truncate implements file.
func (t *tail) Truncate(size int64) error {
	if err := t.flush(); err != nil {
		return err
	}
	return t.file.Truncate(size)
}

// Sync implements file.
func (t *tail) Sync() error {
	if err := t.flush(); err != nil {
		return err
	}
	return t.file.Sync()
}

// Size implements file.
func (t *tail) Size() (int64, error) {
	if err := t.flush(); err != nil {
		return 0, err
	}
	return t.file.Size()
}
