package delivery

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/orgcode"
	"truc/internal/outbox"
)

// Topics of the outbox that this package handles. A payload is the number of the message's row.
const (
	TopicSend    = "delivery.send"
	TopicConfirm = "delivery.confirm"
	TopicPush    = "delivery.push"
)

// attemptTime bounds one attempt.
const attemptTime = time.Minute

// Service sends and receives messages. Its fields are set before it is used and not changed afterwards.
type Service struct {
	Store  Store
	Caller Caller
	// Hosts reports whether this node speaks for a subsystem.
	Hosts func(orgcode.Subsystem) bool
	// Modes says how messages to a service of this node, "onestop/inbox", reach it: by a webhook or an inbox. Services that
	// are not named here are handlers in this process.
	Modes map[string]Mode
	// Events names the event types that services of this node tell, by "onestop/facts".
	Events map[string][]string
	// Signing signs webhooks; HTTP carries them, without following redirects.
	Signing crypto.Signer
	HTTP    *http.Client
	// Wake makes the relay look at its table; nil leaves that to the relay.
	Wake func()
	Now  func() time.Time
	Log  *slog.Logger

	mu        sync.Mutex // guards all below
	outcomes  map[string]OutcomeFunc
	followers map[string]EventFunc
	inWork    map[string]*sync.Mutex
	waiting   map[string]int
}

// Handlers are the outbox handlers of this package, by topic.
func (s *Service) Handlers() map[string]outbox.Handler {
	row := func(f func(ctx context.Context, seq int64) error) outbox.Handler {
		return func(ctx context.Context, m outbox.Message) error {
			seq, err := strconv.ParseInt(string(m.Payload), 10, 64)
			if err != nil {
				return outbox.Permanent(err)
			}
			return f(ctx, seq)
		}
	}
	return map[string]outbox.Handler{TopicSend: row(s.attempt), TopicConfirm: row(s.confirm), TopicPush: row(s.push)}
}

// Policies are how often the topics are tried: until a message expires.
func Policies() map[string]outbox.Policy {
	p := outbox.Policy{MaxAttempts: -1, FirstPause: time.Second, Shown: true}
	return map[string]outbox.Policy{TopicSend: p, TopicConfirm: p, TopicPush: p}
}

// OnOutcome registers the function that hears of the outcome of messages of a kind.
func (s *Service) OnOutcome(kind string, f OutcomeFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outcomes == nil {
		s.outcomes = map[string]OutcomeFunc{}
	}
	s.outcomes[kind] = f
}

// Send queues a message in the caller's transaction and returns its id. The same id from the same subsystem again does
// nothing when it says the same; errs.Conflict when it does not.
func (s *Service) Send(ctx context.Context, tx Tx, m Message) (id string, err error) {
	defer errs.Wrap(&err, "send message")
	if m.Method == "" {
		m.Method = http.MethodPost
	}
	if m.ID == "" {
		m.ID = m.To.Instance + "-" + exchange.NewUUID()
	}
	now := s.Now()
	if m.Expires.IsZero() {
		m.Expires = now.Add(DefaultLife)
	}
	if err := s.checkMessage(m, now); err != nil {
		return "", err
	}
	out := Outgoing{
		Message: m, Digest: digest(m.To.String(), m.Method, m.Path, m.Query, m.ContentType, m.Body), Size: int64(len(m.Body)),
		State: Queued, Created: now,
	}
	stored, added, err := s.Store.AddOut(ctx, tx, out)
	switch {
	case err != nil:
		return "", err
	case !added && stored.Digest != out.Digest:
		return "", errs.E(errs.Conflict, "delivery.id_reused", nil)
	case !added:
		return m.ID, nil
	}
	key := ""
	if m.OrderKey != "" {
		key = m.From.String() + " " + m.To.String() + " " + m.OrderKey
	}
	err = s.enqueue(ctx, tx, outbox.Message{ID: rowID(TopicSend, stored.Seq), Topic: TopicSend, Key: key, Holds: !m.Skip, Lane: lane(m.To), Payload: row(stored.Seq)})
	return m.ID, err
}

var sendMethods = []string{"DELETE", "PATCH", "POST", "PUT"}

func (s *Service) checkMessage(m Message, now time.Time) error {
	target := "/x1/" + m.To.String() + m.Path
	if m.Query != "" {
		target += "?" + m.Query
	}
	if t, err := exchange.ParseTarget("x1", target); err != nil {
		return errs.E(errs.Invalid, "delivery.message_invalid", err)
	} else if t.String("x1") != target {
		return errs.E(errs.Invalid, "delivery.message_invalid", errors.New("the path is not in canonical form"))
	}
	switch {
	case !s.Hosts(m.From):
		return errs.E(errs.Denied, "exchange.not_authenticated", fmt.Errorf("this node does not host %s", m.From))
	case !slices.Contains(sendMethods, m.Method):
		return errs.E(errs.Invalid, "delivery.message_invalid", errors.New("a message is not sent by "+m.Method))
	case len(m.Body) > MaxBody:
		return errs.E(errs.TooLarge, "exchange.body_too_large", nil)
	case !m.Expires.After(now) || m.Expires.After(now.Add(366*24*time.Hour)):
		return errs.E(errs.Invalid, "delivery.message_invalid", errors.New("it expires in the past or in more than a year"))
	}
	for _, f := range []struct {
		s   string
		max int
	}{{m.ID, maxID}, {m.OrderKey, maxKey}, {m.ContentType, 256}, {m.UserID, 64}, {m.Activity, 128}, {m.Basis, 1024}, {m.Dossier, 128}} {
		if len(f.s) > f.max || !clean(f.s) {
			return errs.E(errs.Invalid, "delivery.message_invalid", errors.New("a field is too long or holds control characters"))
		}
	}
	return nil
}

// enqueue adds to the outbox and wakes the relay once the transaction has committed.
func (s *Service) enqueue(ctx context.Context, tx Tx, m outbox.Message) error {
	if err := outbox.Add(ctx, tx, s.Now(), m); err != nil {
		return err
	}
	s.wakeAfter(tx)
	return nil
}

func (s *Service) wakeAfter(tx Tx) {
	if t, ok := tx.(interface{ AfterCommit(f func()) }); ok && s.Wake != nil {
		t.AfterCommit(s.Wake)
	}
}

func row(seq int64) []byte                     { return strconv.AppendInt(nil, seq, 10) }
func rowID(topic string, seq int64) string     { return topic + ":" + strconv.FormatInt(seq, 10) }
func lane(to orgcode.Service) string           { return "peer " + to.Owner().MemberID() }
func webhookLane(service, where string) string { return "webhook " + service + " " + where }

// attempt sends one message once; it is the outbox handler of [TopicSend].
func (s *Service) attempt(ctx context.Context, seq int64) error {
	m, err := s.Store.Out(ctx, nil, seq)
	if err != nil {
		return err
	}
	switch {
	case m.State == Dead: // the process died between recording this here and in the outbox
		return outbox.Permanent(errors.New(m.Error))
	case m.State.Final() || m.State == Accepted:
		return nil
	case !s.Now().Before(m.Expires):
		return s.end(ctx, seq, func(m *Outgoing) { m.State = Expired })
	}
	if err := s.change(ctx, seq, func(m *Outgoing) { m.State, m.SentAt, m.Attempts = Sent, s.Now(), m.Attempts+1 }); err != nil {
		return err
	}
	header := http.Header{HeaderMessage: {mark{verb: "deliver", order: m.OrderKey, expires: m.Expires}.String()}}
	if m.ContentType != "" {
		header.Set("Content-Type", m.ContentType)
	}
	a, err := s.Caller.Call(ctx, exchange.Call{
		From: m.From, To: m.To, Method: m.Method, Path: m.Path, Query: m.Query, Header: header, Body: m.Body, ID: m.ID,
		UserID: m.UserID, Activity: m.Activity, Basis: m.Basis, Dossier: m.Dossier, Timeout: attemptTime,
	})
	if err != nil {
		return s.failed(ctx, seq, err)
	}
	return s.answered(ctx, seq, a)
}

// answered records what the service, or its node, said.
func (s *Service) answered(ctx context.Context, seq int64, a *exchange.Answer) error {
	ok, again := verdict(a.Status)
	switch {
	case ok && a.Header.Get(HeaderMessage) == string(Accepted):
		return s.Store.InTx(ctx, func(tx Tx) error {
			m, err := s.Store.Out(ctx, tx, seq)
			if err != nil || m.State.Final() || m.State == Accepted {
				return err
			}
			m.State, m.Taken, m.Error = Accepted, s.Now(), ""
			if err := s.Store.PutOut(ctx, tx, m); err != nil {
				return err
			}
			return s.enqueue(ctx, tx, outbox.Message{
				ID: rowID(TopicConfirm, seq), Topic: TopicConfirm, Lane: lane(m.To), Payload: row(seq), NotBefore: s.Now().Add(time.Second),
			})
		})
	case ok:
		return s.end(ctx, seq, func(m *Outgoing) {
			m.State, m.Status, m.AnswerType, m.Answer, m.Error = Answered, a.Status, a.Header.Get("Content-Type"), a.Body, ""
		})
	}
	cause := fmt.Errorf("the service answered %d", a.Status)
	note := func(m *Outgoing) {
		m.Status, m.AnswerType, m.Answer, m.Error = a.Status, a.Header.Get("Content-Type"), a.Body, cause.Error()
	}
	if again {
		return errors.Join(cause, s.change(ctx, seq, note))
	}
	if err := s.end(ctx, seq, func(m *Outgoing) { note(m); m.State = Dead }); err != nil {
		return err
	}
	return outbox.Permanent(cause)
}

// failed records that there was no answer, and tells the outbox whether that was the message's fault, the peer's, or
// nobody's.
func (s *Service) failed(ctx context.Context, seq int64, err error) error {
	text := err.Error()
	f, isFault := errors.AsType[*exchange.Fault](err)
	if isFault {
		text = f.Type + " " + f.ID
	}
	if isFault && (errs.Is(err, errs.Invalid) || errs.Is(err, errs.TooLarge)) {
		if end := s.end(ctx, seq, func(m *Outgoing) { m.State, m.Error = Dead, text }); end != nil {
			return end
		}
		return outbox.Permanent(err)
	}
	if ctx.Err() != nil {
		return err
	}
	err = errors.Join(err, s.change(ctx, seq, func(m *Outgoing) { m.Error = text }))
	if isFault && slices.Contains([]string{"network_error", "circuit_open", "maintenance_mode", "unknown_host", "global_conf_outdated"}, f.Code()) {
		return outbox.Away(err)
	}
	return err
}

// change alters a row that has not come to its end.
func (s *Service) change(ctx context.Context, seq int64, f func(m *Outgoing)) error {
	return s.Store.InTx(ctx, func(tx Tx) error {
		m, err := s.Store.Out(ctx, tx, seq)
		if err != nil || m.State.Final() {
			return err
		}
		f(&m)
		return s.Store.PutOut(ctx, tx, m)
	})
}

// end alters a row for the last time and tells whoever sent it, in one transaction.
func (s *Service) end(ctx context.Context, seq int64, f func(m *Outgoing)) error {
	return s.Store.InTx(ctx, func(tx Tx) error {
		m, err := s.Store.Out(ctx, tx, seq)
		if err != nil || m.State.Final() {
			return err
		}
		return s.endIn(ctx, tx, m, f)
	})
}

func (s *Service) endIn(ctx context.Context, tx Tx, m Outgoing, f func(m *Outgoing)) error {
	f(&m)
	m.Done = s.Now()
	if err := s.Store.PutOut(ctx, tx, m); err != nil {
		return err
	}
	s.mu.Lock()
	hear := s.outcomes[m.Kind]
	s.mu.Unlock()
	if hear == nil {
		return nil
	}
	err := hear(ctx, tx, m)
	s.wakeAfter(tx)
	return err
}

// maxSilence is how long after its expiry an accepted message is still asked about.
const maxSilence = 24 * time.Hour

// confirm asks the peer what became of a message it accepted; it is the outbox handler of [TopicConfirm].
func (s *Service) confirm(ctx context.Context, seq int64) error {
	m, err := s.Store.Out(ctx, nil, seq)
	if err != nil || m.State != Accepted {
		return err
	}
	a, err := s.Caller.Call(ctx, exchange.Call{
		From: m.From, To: m.To, Method: m.Method, Path: m.Path, Query: m.Query, Header: http.Header{HeaderMessage: {mark{verb: "status", id: m.ID}.String()}},
		UserID: m.UserID, Activity: m.Activity, Basis: m.Basis, Dossier: m.Dossier, Timeout: attemptTime,
	})
	var st statusReply
	if err == nil {
		st, err = parseStatus(a)
	}
	late := s.Now().After(m.Expires.Add(maxSilence))
	switch {
	case err != nil && late:
		return s.end(ctx, seq, func(m *Outgoing) { m.State, m.Error = Expired, "the peer does not say what became of it" })
	case err != nil:
		return s.failed(ctx, seq, err)
	case st.State == Dead && !late: // it waits for the operator of the peer, who may still replay it
		return errors.Join(errors.New("put aside at the peer"), s.change(ctx, seq, func(m *Outgoing) { m.Error = orText(st.Error, "put aside at the peer") }))
	case st.State.Final():
		if st.State == Dead {
			st.State = Expired
		}
		return s.end(ctx, seq, func(m *Outgoing) {
			m.State, m.Status, m.AnswerType, m.Answer, m.Error = st.State, st.Status, st.ContentType, st.Answer, st.Error
		})
	case late:
		return s.end(ctx, seq, func(m *Outgoing) { m.State, m.Error = Expired, "nobody fetched it" })
	default:
		return errors.New("the system behind the peer has not taken it yet")
	}
}
