package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

const (
	maxQueue = 4096 // calls that may wait; more means that the disk does not follow
	maxBatch = 512  // calls that share one transaction
	// DefaultTimeout bounds a transaction and a commit of the log together.
	DefaultTimeout = 10 * time.Second
)

// Service records and answers. Build it with a literal; Store, Log, Keys and Now are needed.
type Service struct {
	Store Store
	Log   Log
	Keys  Keys
	Now   func() time.Time
	// Timeout is how long a call's work may take; DefaultTimeout when zero. Slower is refused.
	Timeout time.Duration

	mu      sync.Mutex // guards the five below
	queue   []*job
	running bool
	closed  bool
	marks   map[int64]int64 // number → place in the log, not yet noted in the store
	wg      sync.WaitGroup

	work sync.Mutex // held by whoever writes to Store and Log; guards the two below
	// ready means that every row in the store is in the log; false at first and after any failure.
	ready bool
	keys  map[int][]byte
}

// job is one caller's part of a batch. err is set before done is closed.
type job struct {
	lines []Access
	act   *actRecord
	done  chan struct{}
	err   error

	prepared []prepared
}

// prepared is a line but for its number and its place in a chain.
type prepared struct {
	line StoredLine
	kind Kind
	tag  [16]byte
}

var (
	errClosed     = errors.New("the audit service is closed")
	errBusy       = errors.New("too many calls wait for the audit log")
	errLogBehind  = errors.New("the log lacks leaves that were in it: was it put back from a backup?")
	errStoreAside = errors.New("the log holds leaves that the database does not know: was that put back from a backup?")
)

func cannotRecord(err error) error { return errs.E(errs.Unavailable, "audit.cannot_record", err) }

// Start makes store and log agree after a crash. A node that cannot do this serves no personal data, so call it
// before the doors open; RecordAccess does it by itself otherwise.
func (s *Service) Start(ctx context.Context) error {
	s.work.Lock()
	defer s.work.Unlock()
	if err := s.reconcile(ctx); err != nil {
		return cannotRecord(err)
	}
	return nil
}

// Hold runs f while nothing is recorded: whatever the store knows to be in the log is in it, and the log holds nothing
// that the store does not know. Callers wait meanwhile, so f has to be short.
func (s *Service) Hold(f func() error) error {
	s.work.Lock()
	defer s.work.Unlock()
	return f()
}

// Close refuses new calls, waits for those in work and notes what can be noted.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wg.Wait()
	s.work.Lock()
	defer s.work.Unlock()
	marks := s.copyMarks()
	if len(marks) == 0 {
		return nil
	}
	if err := s.Store.Write(ctx, func(w Writer) error { return writeMarks(ctx, w, marks) }); err != nil {
		return err
	}
	s.dropMarks(marks)
	return nil
}

// RecordAccess returns nil when every access is in the database and in the log, both on the disk. On any error
// (errs.Unavailable, "audit.cannot_record") the caller must not give the data: no line, no data.
func (s *Service) RecordAccess(ctx context.Context, accesses ...Access) error {
	if len(accesses) == 0 {
		return nil
	}
	j := &job{done: make(chan struct{}), lines: make([]Access, len(accesses))}
	for i, a := range accesses {
		j.lines[i] = s.normalise(a)
	}
	if err := s.submit(ctx, j); err != nil {
		return cannotRecord(err)
	}
	return nil
}

// normalise cuts times to what both engines store and brings text to NFC.
func (s *Service) normalise(a Access) Access {
	if a.At.IsZero() {
		a.At = s.Now()
	}
	a.At = a.At.UTC().Truncate(time.Microsecond)
	if !a.HiddenUntil.IsZero() {
		a.HiddenUntil = a.HiddenUntil.UTC().Truncate(time.Microsecond)
	}
	for _, p := range []*string{
		&a.Agency, &a.AgencyName, &a.Subsystem, &a.Register, &a.Activity, &a.Purpose, &a.Text,
		&a.LegalBasis, &a.Dossier, &a.ExchangeID, &a.RequestID, &a.HiddenReason,
	} {
		*p = i18n.NFC(*p)
	}
	fields := make([]string, len(a.Fields))
	for i, f := range a.Fields {
		fields[i] = i18n.NFC(f)
	}
	a.Fields = fields
	return a
}

// submit hands a job to the goroutine that writes, starting it when none runs, and waits.
func (s *Service) submit(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return errClosed
	case len(s.queue) >= maxQueue:
		s.mu.Unlock()
		return errBusy
	}
	s.queue = append(s.queue, j)
	if !s.running {
		s.running = true
		shared := context.WithoutCancel(ctx) // the batch belongs to many callers
		s.wg.Go(func() { s.run(shared) })    // Close waits for it
	}
	s.mu.Unlock()
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		return ctx.Err() // the line may still be written; the caller gives no data all the same
	}
}

// run performs batches until nobody waits.
func (s *Service) run(ctx context.Context) {
	for {
		s.mu.Lock()
		n := min(len(s.queue), maxBatch)
		if n == 0 {
			s.running = false
			s.mu.Unlock()
			return
		}
		batch := s.queue[:n:n]
		s.queue = s.queue[n:]
		s.mu.Unlock()
		s.perform(ctx, batch)
	}
}

func (s *Service) perform(ctx context.Context, batch []*job) {
	timeout := s.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s.work.Lock()
	defer s.work.Unlock()
	good := batch[:0:0]
	for _, j := range batch {
		if j.err = s.prepare(ctx, j); j.err == nil {
			good = append(good, j)
		}
	}
	if len(good) > 0 {
		if err := s.commit(ctx, good); err != nil {
			for _, j := range good {
				j.err = err
			}
		}
	}
	for _, j := range batch {
		close(j.done)
	}
}

// prepare does what one job alone can fail at, so that it does not take its neighbours with it.
func (s *Service) prepare(ctx context.Context, j *job) error {
	for _, a := range j.lines {
		record, err := a.record()
		if err != nil {
			return err
		}
		epoch := epochOf(a.At)
		key, err := s.epochKey(ctx, epoch)
		if err != nil {
			return err
		}
		j.prepared = append(j.prepared, prepared{kind: a.Kind, tag: tagOf(key, a.SubjectID), line: StoredLine{
			SubjectID: a.SubjectID, At: a.At, Epoch: epoch, Hidden: a.HiddenReason != "" || !a.HiddenUntil.IsZero(),
			HiddenUntil: a.HiddenUntil, Record: record, Salt: newSalt(),
		}})
	}
	return nil
}

// epochKey returns the key of an epoch, making it for the first line of the epoch only: a lost key must not be
// replaced in silence, for every chain of the year would begin anew.
func (s *Service) epochKey(ctx context.Context, epoch int) ([]byte, error) {
	if key := s.keys[epoch]; key != nil {
		return key, nil
	}
	key, err := s.Keys.Load(epoch)
	if errors.Is(err, ErrNoKey) {
		used, err := s.Store.EpochUsed(ctx, epoch)
		if err != nil {
			return nil, err
		}
		if used {
			return nil, fmt.Errorf("epoch %d has lines: %w", epoch, ErrNoKey)
		}
		if key, err = s.Keys.Create(epoch); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if s.keys == nil {
		s.keys = map[int][]byte{}
	}
	s.keys[epoch] = key
	return key, nil
}

func (s *Service) copyMarks() map[int64]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.marks)
}

func (s *Service) addMark(seq, index int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks == nil {
		s.marks = map[int64]int64{}
	}
	s.marks[seq] = index
}

func (s *Service) dropMarks(marks map[int64]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for seq := range marks {
		delete(s.marks, seq)
	}
}

// place returns the place of a line in the log, noted or not yet noted; -1 when it is not known to be there.
func (s *Service) place(l StoredLine) int64 {
	if l.LogIndex >= 0 {
		return l.LogIndex
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.marks[l.Seq]; ok {
		return i
	}
	return -1
}

func lineID(seq int64) string { return strconv.FormatInt(seq, 10) }

func parseLineID(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n > 0 && lineID(n) == s
}
