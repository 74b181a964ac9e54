package exchange

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/translog"
)

// logRequest appends the request entry. The provider waits for the disk before it calls the service; the consumer's
// own statement, which the provider holds too, only has to outlive the process (spec D24).
func (x *exchangeState) logRequest(ctx context.Context, req *WireRequest, sig signed, wait bool) *Fault {
	salt, err := newSalt()
	if err != nil {
		return x.loggingFailed(err)
	}
	activity, basis := ParsePurpose(req.Header.Get(HeaderPurpose))
	path, err := targetOf(req.TargetURI)
	if err != nil {
		return x.loggingFailed(err)
	}
	x.entry = Entry{
		V: 1, Salt: base64.StdEncoding.EncodeToString(salt), Role: x.role, Direction: directionRequest,
		Node: x.s.opt.ServerID, Peer: x.peer.ServerID, ExchangeID: x.msg.ExchangeID, RequestID: x.msg.RequestID,
		Client: x.msg.Client, Service: x.msg.Service, Method: x.msg.Method, Path: path, Activity: activity, Basis: basis, Dossier: x.msg.Dossier,
		Grant: x.msg.Grant, Delegator: x.msg.Delegator, ServiceDelegator: x.msg.ServiceDelegator,
		Outcome: "ok", At: micros(x.s.now()), Size: int64(len(req.Body)), RequestDigest: digestIn(req.Header),
		Directory: x.s.opt.Directory.State().Version, TraceID: x.msg.TraceID,
	}
	if err := x.entry.put(sig, x.s.seal, salt); err != nil {
		return x.loggingFailed(err)
	}
	i, err := x.append(ctx, &x.entry, wait)
	if err != nil {
		return x.loggingFailed(err)
	}
	x.logged, x.msg.RequestIndex = true, i
	return nil
}

// logResponse appends the response entry: the consumer waits for the disk before anybody sees the answer.
func (x *exchangeState) logResponse(ctx context.Context, resp *WireResponse, sig signed, outcome string, wait bool) *Fault {
	if f := x.keepBody(directionResponse, resp.Header, resp.Body); f != nil {
		return f
	}
	e, err := x.responseEntry(outcome)
	if err == nil {
		e.Status, e.Size, e.ResponseDigest = resp.Status, int64(len(resp.Body)), digestIn(resp.Header)
		e.Base, e.KeyID = sig.base, sig.keyID
		e.Signature, e.Created = sig.text, sig.created.Unix()
		x.msg.ResponseIndex, err = x.append(ctx, e, wait)
	}
	if err != nil {
		x.msg.ResponseIndex = -1
		return x.loggingFailed(err)
	}
	return nil
}

// logFailure notes that no valid answer came. There is nothing left to hold back, so a fault of the log only goes to
// the operator.
func (x *exchangeState) logFailure(ctx context.Context, f *Fault) {
	e, err := x.responseEntry(f.Type)
	if err == nil {
		x.msg.ResponseIndex, err = x.append(context.WithoutCancel(ctx), e, false)
	}
	if err != nil {
		x.msg.ResponseIndex = -1
		x.s.opt.Logger.ErrorContext(ctx, "exchange log cannot be written", slog.String("error", err.Error()))
	}
}

// responseEntry begins the second entry from the first.
func (x *exchangeState) responseEntry(outcome string) (*Entry, error) {
	salt, err := newSalt()
	if err != nil {
		return nil, err
	}
	e := x.entry
	e.Salt, e.Direction, e.Outcome, e.At = base64.StdEncoding.EncodeToString(salt), directionResponse, outcome, micros(x.s.now())
	e.User, e.Base, e.Signature, e.KeyID, e.Created, e.Size = "", "", "", "", 0, 0
	e.Directory = x.s.opt.Directory.State().Version
	return &e, nil
}

func (x *exchangeState) append(ctx context.Context, e *Entry, wait bool) (int64, error) {
	buf := takeBuffer()
	defer buf.free() // the log keeps nothing of it
	b, err := e.append(buf.b)
	if err != nil {
		return -1, err
	}
	buf.b = b
	return x.s.writer.append(ctx, b, wait)
}

// logWriter hands entries of exchanges that are in the same state to the log together: one write serves them all.
type logWriter struct {
	log   Log
	group gather[*logTurn]
}

func newLogWriter(log Log) *logWriter {
	w := &logWriter{log: log}
	w.group.most, w.group.run = 256, w.write
	return w
}

// logTurn is one entry on its way into the log; index, wait and err are set before done is closed.
type logTurn struct {
	entry []byte
	index int64
	wait  func(context.Context) error
	err   error
	done  chan struct{}
}

func (w *logWriter) append(ctx context.Context, entry []byte, wait bool) (int64, error) {
	t := &logTurn{entry: entry, done: make(chan struct{})}
	w.group.add(t)
	<-t.done
	if t.err != nil {
		return -1, t.err
	}
	if wait {
		if err := t.wait(ctx); err != nil {
			return -1, err
		}
	}
	return t.index, nil
}

func (w *logWriter) write(turns []*logTurn) {
	entries := make([][]byte, len(turns))
	for i, t := range turns {
		entries[i] = t.entry
	}
	first, wait, err := w.log.AppendNoWait(entries...)
	for i, t := range turns {
		t.index, t.wait, t.err = first+int64(i), wait, err
		close(t.done)
	}
}

func (x *exchangeState) loggingFailed(err error) *Fault {
	prefix := atProvider
	if x.role == RoleConsumer {
		prefix = atConsumer
	}
	return x.fault(prefix, "logging_failed", err)
}

func newSalt() ([]byte, error) {
	b := make([]byte, 16)
	_, err := rand.Read(b)
	return b, err
}

// indexQueue holds rows until [Service.Run] writes them in batches: a database transaction per message would cost
// more than the exchange itself. The rows can be made again from the log, so a full queue drops them.
type indexQueue struct {
	writing sync.Mutex // held while rows are written; guards doubt
	doubt   bool       // rows in the queue may have been written, because nobody knows how a transaction ended

	mu      sync.Mutex // guards all below
	rows    []Message
	dropped int64
}

const maxIndexQueue = 10_000

func (q *indexQueue) put(m Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.rows) >= maxIndexQueue {
		q.dropped++
		return
	}
	q.rows = append(q.rows, m)
}

func (q *indexQueue) take() []Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	rows := q.rows
	q.rows = nil
	if n := len(rows); n > 0 {
		q.rows = make([]Message, 0, min(n, 1024)) // about as many will come until the next time
	}
	return rows
}

// Flush writes the rows that wait for the index.
func (s *Service) Flush(ctx context.Context) error {
	s.index.writing.Lock() // whoever asks for it finds everything written, also what another is writing just now
	defer s.index.writing.Unlock()
	rows := s.index.take()
	if len(rows) == 0 {
		return nil
	}
	write := s.opt.Store.Record
	if s.index.doubt {
		write = s.opt.Store.Restore
	}
	err := write(ctx, rows)
	if s.index.doubt = err != nil; err != nil {
		for _, m := range rows {
			s.index.put(m)
		}
	}
	return err
}

// Run keeps the index up to date until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return s.Flush(context.WithoutCancel(ctx))
		case <-t.C:
		}
		err := s.Flush(ctx)
		if err != nil && !failing {
			s.opt.Logger.WarnContext(ctx, "exchange index cannot be written", slog.String("error", err.Error()))
		}
		failing = err != nil
	}
}

// reindexBatch is how many rows [Service.Reindex] holds before it writes them.
const reindexBatch = 4096

// Reindex adds to the index what the log holds beyond it, and fills the memory of request ids, so that neither a
// crash nor a restart opens a gap for repeats. Call it before the link is opened.
func (s *Service) Reindex(ctx context.Context) (err error) {
	defer errs.Wrap(&err, "reindex")
	since := s.now().Add(-2 * freshness)
	from, err := s.opt.Store.Indexed(ctx)
	if err != nil {
		return err
	}
	// Slow exchanges end after faster ones that began later, so a crash may leave gaps below the highest index. That may be
	// one of another process on the same database, whose log is longer.
	from = max(0, min(from, s.opt.Log.Size())-maxIndexQueue)
	var rows []Message
	open := map[string]int{} // role and request id → position in rows
	for i := from; i < s.opt.Log.Size(); i++ {
		if len(rows) >= reindexBatch { // what comes later of these exchanges completes them
			if err := s.opt.Store.Restore(ctx, rows); err != nil {
				return err
			}
			rows = rows[:0]
			clear(open)
		}
		b, err := s.opt.Log.Entry(i)
		if errors.Is(err, translog.ErrPruned) {
			continue // what the index holds of it stays
		}
		if err != nil {
			return err
		}
		e, err := decodeEntry(b)
		if err != nil {
			continue // not an exchange entry
		}
		at := time.UnixMicro(e.At).UTC()
		if e.Role == RoleProvider && at.After(since) {
			s.replay.add(e.RequestID, takenUntil(time.Unix(e.Created, 0)), s.now())
		}
		key := e.Role + e.RequestID
		n, ok := open[key]
		if !ok || e.Direction == directionRequest && rows[n].RequestIndex >= 0 { // a sender that gives an id again
			m := Message{
				ExchangeID: e.ExchangeID, RequestID: e.RequestID, Role: e.Role, Client: e.Client, Service: e.Service, Method: e.Method,
				Path: indexPath(e.Path), Outcome: e.Outcome, At: at, RequestIndex: -1, ResponseIndex: -1,
				RequestBodyIndex: -1, ResponseBodyIndex: -1, Activity: e.Activity, Dossier: e.Dossier,
				Grant: e.Grant, Delegator: e.Delegator, ServiceDelegator: e.ServiceDelegator,
				Recorded: at, Peer: e.Peer, TraceID: e.TraceID,
			}
			n = len(rows)
			rows, open[key] = append(rows, m), n
		}
		rows[n].take(e, i, at)
	}
	ids, err := s.opt.Store.RequestIDs(ctx, since)
	if err != nil {
		return err
	}
	for _, id := range ids {
		s.replay.add(id, s.now().Add(2*freshness), s.now())
	}
	if len(rows) > 0 {
		if err := s.opt.Store.Restore(ctx, rows); err != nil {
			return err
		}
	}
	return s.restoreDaily(ctx)
}

// take adds what an entry of the log at index i says.
func (m *Message) take(e *Entry, i int64, at time.Time) {
	switch e.Direction {
	case directionRequest:
		m.RequestIndex, m.RequestSize = i, e.Size
		return
	case directionRequestBody:
		m.RequestBodyIndex, m.RequestSize = i, e.Size
	case directionResponseBody:
		m.ResponseBodyIndex, m.ResponseSize = i, e.Size
	default:
		m.ResponseIndex, m.ResponseSize, m.Status = i, e.Size, e.Status
	}
	if e.Direction != directionRequestBody || e.Outcome != "ok" {
		m.Outcome = e.Outcome
	}
	m.Duration, m.Recorded = at.Sub(m.At), at
}

// indexPath returns the masked service path of a logged target.
func indexPath(target string) string {
	t, err := ParseTarget("x1", target)
	if err != nil {
		return ""
	}
	return maskDigits(t.Path.String())
}
