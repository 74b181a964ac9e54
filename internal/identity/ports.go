package identity

import (
	"context"
	"net/url"
	"time"

	"truc/internal/reqctx"
)

// SessionStore keeps sessions and the sign-in history. Once a method that writes returns nil, the change is
// durable. Every method returns Internal for a fault of the store.
type SessionStore interface {
	// OpenSession stores a new session under its token hash together with the event. Conflict when the hash
	// or id exists.
	OpenSession(ctx context.Context, tokenHash []byte, s Session, e Event) error
	// Session returns the session of a token hash, live or not. NotFound when there is none.
	Session(ctx context.Context, tokenHash []byte) (Session, error)
	// TouchSession moves the idle limit of a session that is not revoked.
	TouchSession(ctx context.Context, id string, lastSeen, idleUntil time.Time) error
	// EndSession revokes a session of the subject and stores the event; a session that is over already stays
	// as it is and no event is stored. NotFound when the subject has no session of that id.
	EndSession(ctx context.Context, kind reqctx.PrincipalKind, subject, id string, at time.Time, e Event) error
	// LiveSessions lists the sessions of a subject that are live at now, latest use first.
	LiveSessions(ctx context.Context, kind reqctx.PrincipalKind, subject string, now time.Time) ([]Session, error)
	// SweepSessions removes sessions that ended before the given time and returns how many.
	SweepSessions(ctx context.Context, endedBefore time.Time) (int64, error)
}

// EventStore keeps the sign-in history of events that open or end no session.
type EventStore interface {
	// AddEvent stores one event.
	AddEvent(ctx context.Context, e Event) error
	// Events lists the latest events of a subject, newest first.
	Events(ctx context.Context, kind reqctx.PrincipalKind, subject string, limit int) ([]Event, error)
}

// OfficerStore keeps the node's table of officers.
type OfficerStore interface {
	// ReplaceOfficers stores the list in one step and ends, at the given time, every row that is not in it.
	ReplaceOfficers(ctx context.Context, list []Officer, at time.Time) error
	// Officer returns the row of a normalised account. NotFound when there is none.
	Officer(ctx context.Context, account string) (Officer, error)
	// AllOfficers lists every row by name, ended ones included.
	AllOfficers(ctx context.Context) ([]Officer, error)
}

// Provider is an OpenID provider as a node sees it.
type Provider interface {
	// AuthURL returns the provider's address for the flow. Unavailable while the provider does not answer.
	AuthURL(ctx context.Context, f Flow) (string, error)
	// Finish turns the provider's answer, the query of the callback, into verified claims. Denied
	// "identity.cancelled" when the person cancelled, Denied "identity.answer_refused" when anything in the answer does
	// not belong to this flow or is not signed by the provider, Unavailable when it cannot be asked.
	Finish(ctx context.Context, f Flow, answer url.Values) (Claims, error)
	// EndURL returns where a person can end the session at the provider, or "" when it has no such page.
	EndURL(ctx context.Context, returnTo string) string
}
