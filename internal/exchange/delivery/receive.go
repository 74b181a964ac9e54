package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/orgcode"
	"truc/internal/outbox"
	"truc/internal/reqctx"
)

// Mode is how messages reach a system behind this node.
type Mode struct {
	// Push is the address of a webhook; empty means that the system fetches its messages (/a1/inbox).
	Push string
}

// statusReply answers the question what became of a message.
type statusReply struct {
	State       State  `json:"state"`
	Status      int    `json:"status,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	Answer      []byte `json:"answer,omitempty"`
	Error       string `json:"error,omitempty"`
}

func parseStatus(a *exchange.Answer) (st statusReply, err error) {
	if a.Status != http.StatusOK {
		return st, fmt.Errorf("asked about a message, the peer answered %d", a.Status)
	}
	if err := json.Unmarshal(a.Body, &st); err != nil {
		return st, fmt.Errorf("asked about a message: %w", err)
	}
	switch st.State {
	case Accepted, Delivered, Answered, Expired, Dead, Dropped:
		return st, nil
	default:
		return st, errors.New("asked about a message, the peer names a state there is not")
	}
}

// codeOf is how configuration names a service of this node.
func codeOf(id orgcode.Service) string { return id.Subsystem + "/" + id.Code }

// Wrap stands between the exchange and the handler of a service: messages are taken once, subscriptions are kept, and
// everything else goes on to h.
func (s *Service) Wrap(to orgcode.Service, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if typ, ok := strings.CutPrefix(r.URL.Path, eventsPath); ok && s.tells(to, typ) {
			s.subscriptions(w, r, to, typ)
			return
		}
		values := r.Header.Values(HeaderMessage)
		if len(values) == 0 {
			h.ServeHTTP(w, r)
			return
		}
		m, err := parseMark(values[0])
		if err != nil || len(values) > 1 {
			writeError(w, http.StatusBadRequest, "message_header")
			return
		}
		if m.verb == "status" {
			s.status(w, r, to, m.id)
			return
		}
		s.receive(w, r, to, m, h)
	})
}

// Inbox is the handler of the reserved service "events" of a subsystem: what subscriptions of this node receive. It is
// open to whom a subscription of this node names, and to nobody else.
func (s *Service) Inbox() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := orgcode.ParseService(reqctx.CallerOf(r.Context()).Service)
		m, errMark := parseMark(r.Header.Get(HeaderMessage))
		if err != nil || errMark != nil || r.Method != http.MethodPost {
			writeError(w, http.StatusBadRequest, "message_header")
			return
		}
		if m.verb == "status" {
			s.status(w, r, to, m.id)
			return
		}
		s.receive(w, r, to, m, nil)
	})
}

func writeError(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	b, err := json.Marshal(map[string]string{"error": code})
	if err == nil {
		_, _ = w.Write(b)
	}
}

func writeAnswer(w http.ResponseWriter, a Answer) {
	if a.ContentType != "" {
		w.Header().Set("Content-Type", a.ContentType)
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// receive takes a message once. What is known is answered again; what is new goes to the handler, or is stored for a
// system behind this node and acknowledged when it is on the disk.
func (s *Service) receive(w http.ResponseWriter, r *http.Request, to orgcode.Service, m mark, h http.Handler) {
	ctx := r.Context()
	caller := reqctx.CallerOf(ctx)
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if _, limited := errors.AsType[*http.MaxBytesError](err); limited || len(body) > MaxBody {
		writeError(w, http.StatusRequestEntityTooLarge, "body_too_large")
		return
	}
	if err != nil { // cut off, or not the bytes that were signed: nothing was taken
		s.unavailable(w, r, err)
		return
	}
	in := Incoming{
		Sender: caller.Subsystem, ID: caller.ExchangeID, Service: to.String(), Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		ContentType: r.Header.Get("Content-Type"), Purpose: r.Header.Get(exchange.HeaderPurpose), Dossier: caller.Dossier, UserID: caller.UserID,
		Body: body, OrderKey: m.order, Mode: "inline", Received: s.Now(), Expires: m.expires,
	}
	in.Digest = digest(in.Service, in.Method, in.Path, in.Query, in.ContentType, body)
	defer s.alone(in.Sender + " " + in.ID)() // a repeat that overtakes its original waits for the result
	switch known, err := s.Store.In(ctx, in.Sender, in.ID); {
	case err == nil:
		s.repeat(w, known, in)
		return
	case !errs.Is(err, errs.NotFound):
		s.unavailable(w, r, err)
		return
	}
	if !in.Expires.IsZero() && !s.Now().Before(in.Expires) {
		writeError(w, http.StatusGone, "message_expired")
		return
	}
	mode, async := s.Modes[codeOf(to)]
	switch {
	case async:
		s.take(w, r, in, mode)
	case h == nil:
		s.receiveEvents(w, r, in)
	default:
		s.inline(w, r, in, h)
	}
}

// repeat answers a message that is known: with the first result, or, when it says something else, not at all.
func (s *Service) repeat(w http.ResponseWriter, known, in Incoming) {
	if known.Digest != in.Digest {
		writeError(w, http.StatusConflict, "message_id_reused")
		return
	}
	w.Header().Set(HeaderDuplicate, "true")
	if known.Mode != "inline" {
		w.Header().Set(HeaderMessage, string(Accepted))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	writeAnswer(w, known.Answer)
}

func (s *Service) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.ErrorContext(r.Context(), "a message could not be taken; its sender will repeat it", slog.Any("error", err))
	writeError(w, http.StatusServiceUnavailable, "try_again")
}

// inline gives a message to a handler of this process and keeps its result. A process that dies between the two is given
// the message again, so the handler's own effect must be idempotent by message id, as those of this product are.
func (s *Service) inline(w http.ResponseWriter, r *http.Request, in Incoming, h http.Handler) {
	ctx := r.Context()
	rec := &recorder{header: http.Header{}}
	r.Body = io.NopCloser(bytes.NewReader(in.Body))
	r.ContentLength = int64(len(in.Body))
	r.Header.Del(HeaderMessage)
	h.ServeHTTP(rec, r)
	rec.WriteHeader(http.StatusOK)
	a := Answer{Status: rec.status, ContentType: rec.header.Get("Content-Type"), Body: rec.body.Bytes()}
	// Only a success is kept. A refusal may be replayed once its cause is mended, and must then be judged anew.
	if ok, _ := verdict(a.Status); ok {
		in.State, in.Answer, in.Done, in.Body, in.UserID = Answered, a, s.Now(), nil, ""
		err := s.Store.InTx(ctx, func(tx Tx) error {
			_, err := s.Store.AddIn(ctx, tx, in)
			return err
		})
		if err != nil && !errs.Is(err, errs.Conflict) {
			s.unavailable(w, r, err)
			return
		}
	}
	writeAnswer(w, a)
}

// take stores a message for a system behind this node.
func (s *Service) take(w http.ResponseWriter, r *http.Request, in Incoming, mode Mode) {
	ctx := r.Context()
	in.State, in.Mode = Accepted, "pull"
	if mode.Push != "" {
		in.Mode = "push"
	}
	if in.Expires.IsZero() {
		in.Expires = s.Now().Add(DefaultLife)
	}
	err := s.Store.InTx(ctx, func(tx Tx) error {
		seq, err := s.Store.AddIn(ctx, tx, in)
		if err != nil || in.Mode != "push" {
			return err
		}
		key := ""
		if in.OrderKey != "" {
			key = in.Sender + " " + in.Service + " " + in.OrderKey
		}
		return s.enqueue(ctx, tx, outbox.Message{
			ID: rowID(TopicPush, seq), Topic: TopicPush, Key: key, Holds: true, Lane: webhookLane(in.Service, mode.Push), Payload: row(seq),
		})
	})
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	w.Header().Set(HeaderMessage, string(Accepted))
	w.WriteHeader(http.StatusAccepted)
}

// status tells a sender what became of its message to a service.
func (s *Service) status(w http.ResponseWriter, r *http.Request, to orgcode.Service, id string) {
	in, err := s.Store.In(r.Context(), reqctx.CallerOf(r.Context()).Subsystem, id)
	switch {
	case errs.Is(err, errs.NotFound), err == nil && in.Service != to.String():
		writeError(w, http.StatusNotFound, "message_unknown")
		return
	case err != nil:
		s.unavailable(w, r, err)
		return
	}
	st := statusReply{State: in.State, Status: in.Answer.Status, ContentType: in.Answer.ContentType, Answer: in.Answer.Body, Error: in.Error}
	if st.State == Accepted && !s.Now().Before(in.Expires) {
		st.State = Expired
	}
	b, err := json.Marshal(st)
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	writeAnswer(w, Answer{Status: http.StatusOK, ContentType: "application/json", Body: b})
}

// alone lets one message with a name through at a time and returns the function that ends it.
func (s *Service) alone(name string) (end func()) {
	s.mu.Lock()
	if s.inWork == nil {
		s.inWork, s.waiting = map[string]*sync.Mutex{}, map[string]int{}
	}
	l := s.inWork[name]
	if l == nil {
		l = &sync.Mutex{}
		s.inWork[name] = l
	}
	s.waiting[name]++
	s.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.waiting[name]--; s.waiting[name] == 0 {
			delete(s.waiting, name)
			delete(s.inWork, name)
		}
	}
}

// recorder keeps a handler's answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements [http.ResponseWriter].
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
}

// Write implements [http.ResponseWriter].
func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if r.body.Len()+len(b) > MaxBody {
		r.status = http.StatusInternalServerError
		r.body.Reset()
		return 0, errors.New("the answer is too large")
	}
	return r.body.Write(b)
}

// maxLeases is how often a message is handed out before it is put aside as poison.
const maxLeases = 20

// leaseTime is how long a system may take to acknowledge.
const leaseTime = 5 * time.Minute

// Next leases the next message of an inbox to a system; errs.NotFound when there is none. Messages of one order come one
// after the other.
func (s *Service) Next(ctx context.Context, service string) (in Incoming, err error) {
	for {
		err = s.Store.InTx(ctx, func(tx Tx) (err error) {
			now := s.Now()
			if in, err = s.Store.NextIn(ctx, tx, service, now); err != nil {
				return err
			}
			switch {
			case !now.Before(in.Expires):
				in.State, in.Done = Expired, now
			case in.Attempts >= maxLeases:
				in.State, in.Done, in.Error = Dead, now, "handed out too often without an acknowledgement"
			default:
				in.Lease, in.LeasedUntil, in.Attempts = exchange.NewUUID(), now.Add(leaseTime), in.Attempts+1
			}
			return s.Store.PutIn(ctx, tx, in)
		})
		if err != nil || in.State == Accepted {
			return in, err
		}
	}
}

// Leased returns the message of a lease that still runs, for checking who may end it.
func (s *Service) Leased(ctx context.Context, lease string) (Incoming, error) {
	in, err := s.Store.ByLease(ctx, nil, lease)
	if err == nil && (in.State != Accepted || !s.Now().Before(in.LeasedUntil)) {
		err = errs.E(errs.NotFound, "delivery.lease_unknown", nil)
	}
	return in, err
}

// Ack ends a leased message well; a body is the answer its sender gets. Reject puts it aside for an operator.
func (s *Service) Ack(ctx context.Context, lease string, a Answer) error {
	return s.endLease(ctx, lease, func(in *Incoming) {
		in.State = Delivered
		if len(a.Body) > 0 {
			in.State, in.Answer = Answered, a
		}
	})
}

// Reject says that a leased message cannot be processed; reason is for the operators of both sides.
func (s *Service) Reject(ctx context.Context, lease, reason string) error {
	if len(reason) > 500 || !clean(reason) {
		return errs.E(errs.Invalid, "delivery.message_invalid", errors.New("the reason is too long or holds control characters"))
	}
	return s.endLease(ctx, lease, func(in *Incoming) { in.State, in.Error = Dead, reason })
}

func (s *Service) endLease(ctx context.Context, lease string, f func(in *Incoming)) error {
	return s.Store.InTx(ctx, func(tx Tx) error {
		in, err := s.Store.ByLease(ctx, tx, lease)
		if err != nil {
			return err
		}
		if in.State != Accepted || !s.Now().Before(in.LeasedUntil) {
			return errs.E(errs.NotFound, "delivery.lease_unknown", nil)
		}
		f(&in)
		in.Done = s.Now()
		return s.Store.PutIn(ctx, tx, in)
	})
}
