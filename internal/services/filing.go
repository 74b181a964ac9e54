package services

import (
	"log/slog"
	"time"

	"truc/internal/services/bundle"
)

// Offer is a procedure offered by a unit of an agency, as the portal last learnt it.
type Offer struct {
	Procedure, Agency string
	Unit, UnitName    string
	Province          string
	VersionHash       string
	Version, Mode     string
	SeenAt            time.Time
}

// Draft is a filing that a citizen has begun. It survives sign-out and restart.
type Draft struct {
	ID          string
	Owner       string
	Procedure   string
	VersionHash string
	Unit        string // the office chosen to receive it
	Body        DraftBody
	CreatedAt   time.Time
	UpdatedAt   time.Time
	// RowVersion is the optimistic lock; 0 for a draft that was not stored yet.
	RowVersion int64
}

// LogValue keeps the owner and the answers out of logs.
func (d Draft) LogValue() slog.Value { return slog.StringValue("draft " + d.ID) }

// DraftBody is the content of a draft.
type DraftBody struct {
	Answers   bundle.Answers `json:"answers"`
	Prefilled []Prefilled    `json:"prefilled,omitempty"`
	// BirthDate and PolicyGroups are what the population register said, for fees and conditions; Level is that of
	// the sign-in.
	BirthDate    string     `json:"birthDate,omitempty"`
	PolicyGroups []string   `json:"policyGroups,omitempty"`
	Level        int        `json:"level,omitempty"`
	Papers       []PaperRef `json:"papers,omitempty"`
	// Done are the pages that were answered.
	Done []string `json:"done,omitempty"`
	// PrefillTried says when the registers were last asked; zero when never.
	PrefillTried time.Time `json:"prefillTried"`
}

// Sync says whether a filing has reached the agency.
type Sync string

// The ways of a filing.
const (
	SyncQueued    Sync = "queued"    // accepted here, on its way
	SyncHeld      Sync = "held"      // waits for the fee that is due at receipt
	SyncDelivered Sync = "delivered" // the agency has it and gave a number
	SyncRefused   Sync = "refused"   // the agency's node refused it for good; staff must act
)

// Filing is a submission seen from the portal: what the citizen filed, and what the agency said since.
type Filing struct {
	ID          string
	Owner       string
	Procedure   string
	VersionHash string
	Agency      string // member that handles it, such as "H36"
	Unit        string
	Number      string // "" until the agency has given one
	State       string
	Sync        Sync
	SyncError   string
	Submission  Submission
	Summary     FilingSummary
	SubmittedAt time.Time
	Due         time.Time
	LastSeq     int64
	RowVersion  int64
}

// LogValue keeps the owner and the answers out of logs.
func (f Filing) LogValue() slog.Value { return slog.StringValue("filing " + f.ID) }

// FilingSummary is what the notices have said so far.
type FilingSummary struct {
	FeeTotal int64         `json:"feeTotal"`
	FeePaid  int64         `json:"feePaid"`
	Paused   bool          `json:"paused,omitempty"`
	Final    bool          `json:"final,omitempty"`
	Docs     []DocumentRef `json:"docs,omitempty"`
	// Supplement is the open request for more papers.
	Supplement *Notice   `json:"supplement,omitempty"`
	Answered   bool      `json:"answered,omitempty"` // the open request was answered and the answer is on its way
	Rated      int       `json:"rated,omitempty"`
	Withdrawn  bool      `json:"withdrawn,omitempty"`
	Expected   time.Time `json:"expected"`
}

// PaymentState is where a payment stands.
type PaymentState string

// The states of a payment and, in [paymentMoves], the transitions between them.
const (
	PayCreated   PaymentState = "created"
	PayStarted   PaymentState = "started" // the browser was sent to the provider
	PayConfirmed PaymentState = "confirmed"
	PayFailed    PaymentState = "failed"
	PayCancelled PaymentState = "cancelled"
	PayExpired   PaymentState = "expired"
)

// Payment is one attempt to pay a filing's fee.
type Payment struct {
	Reference  string
	FilingID   string
	Amount     int64 // whole đồng
	State      PaymentState
	CreatedAt  time.Time
	UpdatedAt  time.Time
	RowVersion int64
}

// PaymentOrder asks a provider to collect an amount.
type PaymentOrder struct {
	Reference string
	Amount    int64 // whole đồng
	Info      string
	Lang      string
	IP        string
	ReturnURL string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// PaymentResult is a provider's word on an order.
type PaymentResult struct {
	Reference string
	// Transaction is the provider's own number.
	Transaction string
	Amount      int64
	State       PaymentState // confirmed, failed, cancelled; started when the provider does not know yet
	PaidAt      time.Time
}
