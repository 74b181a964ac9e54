package bodylog

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/sealed"
)

const (
	streamSuffix = ".stream"
	// maxStreaming is how long a body may stream before the entry about it is made.
	maxStreaming = 25 * time.Hour
)

// Stream is a body that is kept while it passes by, without ever being in memory. Nothing of it can be read before Commit.
//
// It lies in a segment of its own: T.key as for others, and T.stream, which begins with the record's name and goes on as
// package sealed writes under the segment's key, so that a stream that was cut short or changed cannot be opened.
type Stream struct {
	log  *Log
	stem string
	file *os.File
	*sealed.Writer
}

// Create begins to keep a body of any size.
func (l *Log) Create(name Name) (s *Stream, err error) {
	defer errs.Wrap(&err, "keep streamed body")
	l.mu.Lock()
	defer l.mu.Unlock()
	stem, data, err := l.newKey(l.Now())
	if err != nil {
		return nil, err
	}
	h := name.hash()
	s = &Stream{log: l, stem: stem}
	s.file, err = os.OpenFile(l.path(stem, streamSuffix), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, errors.Join(err, os.Remove(l.path(stem, keySuffix)))
	}
	if _, err := s.file.Write(h[:]); err != nil {
		return nil, errors.Join(err, s.Discard())
	}
	s.Writer = sealed.NewWriter(s.file, data, h[:])
	return s, nil
}

// Commit ends the body; when it returns the body outlives the process.
func (s *Stream) Commit() (err error) {
	defer errs.Wrap(&err, "keep streamed body")
	err = errors.Join(s.Close(), s.file.Close())
	s.file = nil
	if err != nil {
		return errors.Join(err, s.Discard())
	}
	return nil
}

// Discard forgets the body, key first.
func (s *Stream) Discard() error {
	var err error
	if s.file != nil {
		err = s.file.Close()
		s.file = nil
	}
	return errors.Join(err, os.Remove(s.log.path(s.stem, keySuffix)), os.Remove(s.log.path(s.stem, streamSuffix)))
}

// Open returns a body that was kept at about a time, however it came, for reading in pieces. NotFound when it was not kept,
// was erased, or was never brought to its end.
func (l *Log) Open(ctx context.Context, name Name, at time.Time) (r io.ReadCloser, err error) {
	defer errs.Wrap(&err, "body")
	all, err := l.segments(streamSuffix)
	if err != nil {
		return nil, err
	}
	for _, begun := range slices.Backward(all) {
		if begun > at.Add(slack).UnixMicro() || begun < at.Add(-maxStreaming).UnixMicro() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := l.openStream(stemOf(begun), name.hash())
		if !errs.Is(err, errs.NotFound) {
			return r, err
		}
	}
	body, err := l.Get(ctx, name, at)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(strings.NewReader(string(body))), nil
}

func (l *Log) openStream(stem string, name [nameSize]byte) (io.ReadCloser, error) {
	gone := errs.E(errs.NotFound, "exchange.body_gone", nil)
	f, err := os.Open(l.path(stem, streamSuffix))
	if errors.Is(err, os.ErrNotExist) {
		return nil, gone
	}
	if err != nil {
		return nil, err
	}
	var have [nameSize]byte
	if _, err := io.ReadFull(f, have[:]); err != nil || have != name {
		return nil, errors.Join(gone, f.Close())
	}
	data, err := l.openKey(stem)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	st, err := f.Stat()
	if err == nil {
		err = sealed.CheckEnd(io.NewSectionReader(f, nameSize, st.Size()-nameSize), st.Size()-nameSize, data, name[:])
	}
	switch {
	case errors.Is(err, sealed.ErrDamaged): // the process that wrote it was killed
		return nil, errors.Join(errs.E(errs.NotFound, "exchange.body_gone", err), f.Close())
	case err != nil:
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{sealed.NewReader(f, data, name[:]), f}, nil
}
