package oversight

import (
	"context"
	"time"

	"truc/internal/i18n"
)

// Exchange carries a call to a service of an agency; the exchange module meets this port.
type Exchange interface {
	// Call returns the answer whatever its status; an error means that there was none.
	Call(ctx context.Context, c ExchangeCall) (ExchangeAnswer, error)
}

// Feed brings the facts of agencies; the exchange's subscriptions meet this port.
type Feed interface {
	// Follow makes sure that the facts of a service come to [Service.Take], in order, from where they stopped. An error says
	// why they do not come now; asking again is cheap.
	Follow(ctx context.Context, service, activity, basis string) error
}

// Appender keeps facts in a transaction.
type Appender interface {
	// Append is [Store.Append].
	Append(ctx context.Context, agency string, facts []Fact) error
}

// ExchangeCall is one call to a service.
type ExchangeCall struct {
	// To is the five-segment identifier of the service.
	To                  string
	Method, Path, Query string
	// Activity and Basis are the purpose of the call.
	Activity, Basis string
	Timeout         time.Duration
}

// ExchangeAnswer is the answer of a service.
type ExchangeAnswer struct {
	Status int
	Body   []byte
}

// Agency is one that decides dossiers, with the services it answers questions at.
type Agency struct {
	Code string
	Name i18n.Text
	// FactsService and DossierService are five-segment identifiers; one that is empty is not asked.
	FactsService, DossierService string
}

// Health says how well an agency answers.
type Health struct {
	Agency string
	// LastSeq is the number of the last fact taken.
	LastSeq int64
	// LastOK is when it last answered, FailedSince when it stopped doing so (zero while it answers), and ErrorKey
	// names the message that says why.
	LastOK, FailedSince time.Time
	ErrorKey            string
}

// Silent reports whether the agency does not answer now.
func (h Health) Silent() bool { return !h.FailedSince.IsZero() }

// Window is the time that numbers are about.
type Window struct {
	From, To time.Time // To is excluded
	Now      time.Time
	// PausedBefore is the instant before which a pause that still runs is a long one.
	PausedBefore time.Time
}

// Filter narrows numbers and lists; empty fields do not.
type Filter struct{ Agency, Procedure string }

// Group is the numbers of one agency and procedure.
type Group struct {
	Agency, Procedure string
	Counts            Counts
}

// Item is one line of a list behind a number: a dossier, an event of one, or a procedure offered. It never says how a
// single dossier was rated: raters are anonymous to officers (specification §12).
type Item struct {
	Agency    string    `json:"agency"`
	Procedure string    `json:"procedure"`
	Dossier   string    `json:"dossier,omitempty"`
	Unit      string    `json:"unit,omitempty"`
	State     string    `json:"state,omitempty"`
	National  int       `json:"national,omitempty"`
	Channel   string    `json:"channel,omitempty"`
	Received  time.Time `json:"received,omitzero"`
	Due       time.Time `json:"due,omitzero"`
	Finished  time.Time `json:"finished,omitzero"`
	Outcome   Outcome   `json:"outcome,omitempty"`
	// At is when the event happened.
	At time.Time `json:"at,omitzero"`
	// Version, Mode and Offices are of an offer.
	Version string `json:"version,omitempty"`
	Mode    string `json:"mode,omitempty"`
	Offices int    `json:"offices,omitempty"`
}

// Week is what was finished in the seven days from Start, a Monday.
type Week struct {
	Start              time.Time
	Done, InTime, Late int64
}

// Store keeps facts and what follows from them.
type Store interface {
	// Health returns how agencies answer, by their code.
	Health(ctx context.Context) (map[string]Health, error)
	// Append keeps the facts that are new, folds the dossiers they belong to and moves the agency's cursor behind
	// them, all in one transaction.
	Append(ctx context.Context, agency string, facts []Fact) error
	// PutOffers replaces what an agency offers.
	PutOffers(ctx context.Context, agency string, offers []Offer) error
	// Answered and Failed record how a round with an agency went.
	Answered(ctx context.Context, agency string, at time.Time) error
	Failed(ctx context.Context, agency, key string, at time.Time) error
	// Count returns every number by agency and procedure.
	Count(ctx context.Context, w Window, f Filter) ([]Group, error)
	// Total returns one number.
	Total(ctx context.Context, number string, w Window, f Filter) (int64, error)
	// List returns the rows that the number counts, from offset on.
	List(ctx context.Context, number string, w Window, f Filter, limit, offset int) ([]Item, error)
	// Weeks returns the weeks in which dossiers were finished, in the window.
	Weeks(ctx context.Context, w Window, f Filter) ([]Week, error)
}
