package services

import (
	"context"
	"time"

	"truc/internal/sign"
)

// Exchange carries a call to a service of another agency. The exchange module meets this port: it signs, logs and
// authorises on both sides.
type Exchange interface {
	// Call returns the provider's answer whatever its status. An error means that there was no answer
	// (errs.Unavailable) or that the call was refused before it reached the service (errs.Denied).
	Call(ctx context.Context, c ExchangeCall) (ExchangeAnswer, error)
}

// ExchangeCall is one call to a service.
type ExchangeCall struct {
	// From is the calling subsystem's code, such as "onestop"; the node knows its own member.
	From string
	// To is the five-segment identifier of the service.
	To string
	// Method and Path are of the service itself; Path begins with a slash.
	Method, Path, Query string
	ContentType         string
	Body                []byte
	// ID is the X-Road-Id; give the same one for the same effect.
	ID string
	// UserID is the person on whose behalf, as "VN" and 12 digits.
	UserID string
	// Activity, Basis and Dossier are the purpose of the call.
	Activity, Basis, Dossier string
	Timeout                  time.Duration
}

// ExchangeAnswer is a provider's answer.
type ExchangeAnswer struct {
	Status      int
	ContentType string
	Body        []byte
	// ID names the exchange in both evidence logs.
	ID string
}

// Post brings messages to services of other agencies, at least once and in order. The exchange module meets this port.
type Post interface {
	// Send queues a message in the caller's transaction. The same id again does nothing, unless it says something else
	// (errs.Conflict).
	Send(ctx context.Context, tx Queue, m PostMessage) error
	// Tell appends an event of a service of this node, "onestop/facts", in the caller's transaction; who subscribed gets it.
	Tell(ctx context.Context, tx Queue, service, typ, key string, data []byte) error
}

// PostMessage is one message. Messages with one order go one after the other.
type PostMessage struct {
	ID string
	// From, To, Path, UserID and the purpose are those of an [ExchangeCall].
	From, To, Path, ContentType string
	Body                        []byte
	Order                       string
	// Skip lets those behind go on when this one was refused; without it they wait for an operator.
	Skip bool
	// Life is how long it may be on its way; zero is a week.
	Life                             time.Duration
	UserID, Activity, Basis, Dossier string
	// Kind, when set, names who hears of the outcome; Ref is what it is about.
	Kind, Ref string
}

// PostOutcome is what became of a message: an answer, or a refusal for good. Status 0 means that it did not arrive in time
// or that an operator gave it up.
type PostOutcome struct {
	Kind, Ref   string
	Status      int
	ContentType string
	Body        []byte
}

// Signatures signs results. The keys of officers and of the agency live behind it.
type Signatures interface {
	// SignResult adds the signature of the officer and then that of the agency, each with a time-stamp.
	// errs.Unavailable when a key or the time-stamp authority is away beyond the stated limit.
	SignResult(ctx context.Context, req SignRequest) ([]byte, error)
	// Verify reports the signatures of a document.
	Verify(ctx context.Context, pdf []byte) ([]sign.Report, error)
}

// SignRequest is a document ready to be signed.
type SignRequest struct {
	PDF []byte
	// Officer is the account of the person who signs, Name and Title what the signature shows.
	Officer, Name, Title string
	AgencyName           string
	Reason               string
	// PersonBox and SealBox are where the visible marks go: page and rectangle in PDF points.
	PersonPage, SealPage int
	PersonBox, SealBox   [4]float64
}

// Audit records acts of people at this node, in the transaction of the change they made.
type Audit interface {
	// Act writes the entry with the caller's transaction; an error must undo the change.
	Act(ctx context.Context, tx Queue, actor, action, object string) error
}

// Queue adds effects to the outbox in the caller's transaction.
type Queue interface {
	// Enqueue adds one effect; id makes it idempotent, key orders it.
	Enqueue(ctx context.Context, id, topic, key string, payload any) error
}

// Provider is a payment service provider: its redirect, its signed return, its server-to-server notice and its
// query. The driver isolates the dialect.
type Provider interface {
	// Name is shown to the payer and kept with the payment.
	Name() string
	// Redirect returns the address the payer's browser is sent to.
	Redirect(o PaymentOrder) (string, error)
	// ParseReturn and ParseNotice check the signature of what arrived; errs.Denied when it is wrong.
	ParseReturn(query map[string][]string) (PaymentResult, error)
	ParseNotice(query map[string][]string) (PaymentResult, error)
	// Query asks the provider for the truth about an order.
	Query(ctx context.Context, reference string, created time.Time) (PaymentResult, error)
	// Reply is the body that answers a notice with one of the provider's codes.
	Reply(code, message string) []byte
}
