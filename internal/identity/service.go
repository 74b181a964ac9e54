package identity

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"time"

	"truc/internal/errs"
	"truc/internal/reqctx"
)

// Limits bound how long a sign-in lasts. The zero value takes the defaults.
type Limits struct {
	// CitizenIdle ends a citizen's session after so long without a request; default 30 minutes.
	CitizenIdle time.Duration
	// OfficerIdle is the same for officers; default 15 minutes, for their screens show other people's data.
	OfficerIdle time.Duration
	// Absolute ends every session so long after it began, used or not; default 12 hours.
	Absolute time.Duration
	// BindAgent ends a session whose token comes back with another User-Agent header. It stops the laziest
	// kind of token theft and also ends sessions at each browser update; default off.
	BindAgent bool
}

func (l Limits) idle(kind reqctx.PrincipalKind) time.Duration {
	if kind == reqctx.Officer {
		return orDefault(l.OfficerIdle, 15*time.Minute)
	}
	return orDefault(l.CitizenIdle, 30*time.Minute)
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// Service applies the rules of signing in.
type Service struct {
	Sessions SessionStore
	Events   EventStore
	Officers OfficerStore
	Limits   Limits
	Now      func() time.Time
	// Rand is the source of tokens; nil takes crypto/rand.
	Rand io.Reader
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func (s *Service) rand() io.Reader {
	if s.Rand == nil {
		return rand.Reader
	}
	return s.Rand
}

// SignIn opens a session for verified claims. The token goes into the browser's cookie and is kept nowhere.
// Errors: Denied with the reason when the person may not sign in here in that role; the refusal is recorded.
func (s *Service) SignIn(ctx context.Context, kind reqctx.PrincipalKind, c Claims, userAgent string) (token string, _ Session, err error) {
	defer errs.Wrap(&err, "sign in")
	var session Session
	switch kind {
	case reqctx.Citizen:
		session, err = c.citizen()
	case reqctx.Officer:
		session, err = s.officer(ctx, c)
	default:
		err = errs.E(errs.Invalid, "identity.kind_unknown", nil)
	}
	if err != nil {
		return "", Session{}, s.refuse(ctx, kind, c, userAgent, err)
	}
	if token, err = randomToken(s.rand(), 32); err != nil {
		return "", Session{}, err
	}
	if session.ID, err = randomID(s.rand()); err != nil {
		return "", Session{}, err
	}
	now := s.now()
	session.CreatedAt, session.LastSeen = now, now
	session.ExpiresAt = now.Add(orDefault(s.Limits.Absolute, 12*time.Hour))
	session.IdleUntil = now.Add(s.Limits.idle(kind))
	session.Device, session.AgentHash = DeviceName(userAgent), hashAgent(userAgent)
	if err := s.Sessions.OpenSession(ctx, hashToken(token), session, s.event(ctx, SignedIn, session)); err != nil {
		return "", Session{}, err
	}
	return token, session, nil
}

// refuse records a denial and returns it; a refusal that cannot be recorded is still a refusal.
func (s *Service) refuse(ctx context.Context, kind reqctx.PrincipalKind, c Claims, userAgent string, denial error) error {
	if !errs.Is(denial, errs.Denied) {
		return denial
	}
	subject := c.PersonalID
	if kind == reqctx.Officer {
		subject = NormalAccount(c.Officer)
	}
	if len(subject) > 100 {
		subject = ""
	}
	key, _ := errs.KeyOf(denial)
	e := s.event(ctx, Refused, Session{Kind: kind, Subject: subject, Issuer: c.Issuer, Device: DeviceName(userAgent)})
	e.Reason = key
	if err := s.Events.AddEvent(ctx, e); err != nil {
		return errs.E(errs.Denied, key, err)
	}
	return denial
}

func (s *Service) event(ctx context.Context, kind EventKind, session Session) Event {
	return Event{
		At: s.now(), Kind: kind, Principal: session.Kind, Subject: session.Subject, Session: session.ID,
		Issuer: session.Issuer, Device: session.Device, RequestID: reqctx.RequestID(ctx),
	}
}

// Principal returns whom a token stands for now, and moves the idle limit. A token that is unknown, expired or
// revoked stands for nobody: the zero Principal and no error. An officer's name, unit and roles are read from the
// table each time, so a leaver's open page stops at the next request.
func (s *Service) Principal(ctx context.Context, token, userAgent string) (_ reqctx.Principal, err error) {
	defer errs.Wrap(&err, "session")
	if token == "" {
		return reqctx.Principal{}, nil
	}
	session, err := s.Sessions.Session(ctx, hashToken(token))
	if errs.Is(err, errs.NotFound) {
		return reqctx.Principal{}, nil
	}
	if err != nil {
		return reqctx.Principal{}, err
	}
	now := s.now()
	if !session.Live(now) {
		return reqctx.Principal{}, nil
	}
	if s.Limits.BindAgent && !bytes.Equal(session.AgentHash, hashAgent(userAgent)) {
		return reqctx.Principal{}, s.end(ctx, session, AgentChanged)
	}
	if session.Kind == reqctx.Officer {
		o, err := s.Officer(ctx, session.Subject)
		if errs.Is(err, errs.Denied) {
			return reqctx.Principal{}, s.end(ctx, session, OfficerEnded)
		}
		if err != nil {
			return reqctx.Principal{}, err
		}
		session.Name, session.Agency, session.Roles = o.Name, o.Agency, o.Roles
	}
	// A write per request would make reading pages cost a disk flush: the limit moves in steps of a tenth.
	idle := s.Limits.idle(session.Kind)
	if now.Sub(session.LastSeen) >= min(idle/10, time.Minute) {
		if err := s.Sessions.TouchSession(ctx, session.ID, now, now.Add(idle)); err != nil {
			return reqctx.Principal{}, err
		}
	}
	return session.Principal(), nil
}

func (s *Service) end(ctx context.Context, session Session, why EventKind) error {
	return s.Sessions.EndSession(ctx, session.Kind, session.Subject, session.ID, s.now(), s.event(ctx, why, session))
}

// SignOut ends the session of a token. A token that opens nothing is no error.
func (s *Service) SignOut(ctx context.Context, token string) (err error) {
	defer errs.Wrap(&err, "sign out")
	if token == "" {
		return nil
	}
	session, err := s.Sessions.Session(ctx, hashToken(token))
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.end(ctx, session, SignedOut)
}

// LiveSessions lists where the person is signed in, latest use first.
func (s *Service) LiveSessions(ctx context.Context, p reqctx.Principal) ([]Session, error) {
	if p.Anonymous() {
		return nil, errs.E(errs.Unauthenticated, "identity.sign_in_first", nil)
	}
	return s.Sessions.LiveSessions(ctx, p.Kind, p.ID, s.now())
}

// Revoke ends one of the person's own sessions. NotFound for a session of somebody else.
func (s *Service) Revoke(ctx context.Context, p reqctx.Principal, id string) error {
	if p.Anonymous() {
		return errs.E(errs.Unauthenticated, "identity.sign_in_first", nil)
	}
	return s.end(ctx, Session{ID: id, Kind: p.Kind, Subject: p.ID}, Revoked)
}

// RevokeOthers ends all of the person's sessions but the present one: global sign-out from a lost device.
func (s *Service) RevokeOthers(ctx context.Context, p reqctx.Principal) error {
	list, err := s.LiveSessions(ctx, p)
	if err != nil {
		return err
	}
	for _, session := range list {
		if session.ID == p.Session {
			continue
		}
		if err := s.end(ctx, session, Revoked); err != nil {
			return err
		}
	}
	return nil
}

// History lists the latest events of the person's own sign-ins, newest first.
func (s *Service) History(ctx context.Context, p reqctx.Principal, limit int) ([]Event, error) {
	if p.Anonymous() {
		return nil, errs.E(errs.Unauthenticated, "identity.sign_in_first", nil)
	}
	return s.Events.Events(ctx, p.Kind, p.ID, limit)
}

// Sweep removes sessions that ended more than keep ago. The history stays.
func (s *Service) Sweep(ctx context.Context, keep time.Duration) (int64, error) {
	return s.Sessions.SweepSessions(ctx, s.now().Add(-keep))
}
