package services

import (
	"context"
	"time"
)

// DeskStore keeps an agency's dossiers. A call returns errs.NotFound when there is no such row and errs.Conflict
// when a unique key or the row version disagrees; once InTx has returned nil everything written is durable.
type DeskStore interface {
	// InTx runs f in one transaction; f may run again after a serialization failure.
	InTx(ctx context.Context, f func(tx DeskTx) error) error
	// Find returns the submission and events of a dossier by its number, id or filing id.
	Find(ctx context.Context, ref string) (StoredDossier, error)
	// List returns one page of dossiers, the most urgent first.
	List(ctx context.Context, f Filter) ([]Row, error)
	// Counters counts dossiers by state and open work by clock for the units; soon is due before f.DueBefore.
	Counters(ctx context.Context, f Filter, now time.Time) (Counters, error)
	// Similar lists other dossiers of the same person and procedure since a time.
	Similar(ctx context.Context, applicant, procedure, except string, since time.Time) ([]Row, error)
	// Blob returns stored bytes by their SHA-256.
	Blob(ctx context.Context, sha256 string) (content []byte, media string, err error)
	// PutBlob stores bytes; the same bytes twice are kept once.
	PutBlob(ctx context.Context, sha256, media string, content []byte, now time.Time) error
	// Facts returns facts after seq in order.
	Facts(ctx context.Context, after int64, limit int) ([]Fact, error)
	// Opinion returns an officer's unsaved opinion on a dossier, "" when there is none; PutOpinion keeps it.
	Opinion(ctx context.Context, dossier, officer string) (string, error)
	PutOpinion(ctx context.Context, dossier, officer, text string, now time.Time) error
}

// DeskTx is what happens to a dossier inside one transaction.
type DeskTx interface {
	Queue
	// EnqueueLater is Enqueue for an effect that waits at least so long.
	EnqueueLater(ctx context.Context, after time.Duration, id, topic, key string, payload any) error
	// NextNumber returns the next number of the agency's day, without gaps: 1, 2, 3 …
	NextNumber(ctx context.Context, agency, day string) (int64, error)
	// Find is DeskStore.Find inside the transaction; on PostgreSQL the row is locked.
	Find(ctx context.Context, ref string) (StoredDossier, error)
	// Insert adds a new dossier; errs.Conflict when the filing is known.
	Insert(ctx context.Context, row Row, submission Submission) error
	// Append adds events and replaces the projection, if the row still has the version oldVersion.
	Append(ctx context.Context, row Row, oldVersion int64, events []Event) error
	// PutBlob stores bytes in this transaction.
	PutBlob(ctx context.Context, sha256, media string, content []byte, now time.Time) error
	// AddFact keeps a fact for oversight and returns its number.
	AddFact(ctx context.Context, f Fact) (seq int64, err error)
	// Seen records a message id and reports whether it was recorded before.
	Seen(ctx context.Context, messageID string, now time.Time) (bool, error)
}

// StoredDossier is what the store holds of one dossier.
type StoredDossier struct {
	ID, Number string
	Submission Submission
	Row        Row
	Events     []Event
}

// Row is the projection of a dossier for lists.
type Row struct {
	ID, Number, FilingID                           string
	Procedure, VersionHash, Case                   string
	ReceivedAgency, CompetentAgency, CurrentAgency string
	Channel                                        string
	ApplicantID, ApplicantName                     string
	SearchFold                                     string
	State, Finance, Digitisation, Delivery         string
	Assignee                                       string
	SubmittedAt, ReceivedAt, Due, PausedSince      time.Time
	FinishedAt, ReturnedAt                         time.Time
	Final                                          bool
	Version                                        int64
}

// Filter chooses dossiers for a list. Empty fields do not restrict.
type Filter struct {
	// Units are the agencies whose dossiers the officer may see; never empty for an officer.
	Units  []string
	States []string
	// Open leaves out final states.
	Open    bool
	Overdue time.Time // due before this instant and not paused
	// DueFrom and DueBefore choose dossiers under work that are due in [DueFrom, DueBefore).
	DueFrom, DueBefore time.Time
	// Waiting chooses dossiers whose clock stands still.
	Waiting   bool
	Query     string // number, or words of the applicant's name, without accents
	Procedure string
	Assignee  string
	// After continues a list behind the last row of the page before.
	AfterDue time.Time
	AfterID  string
	Limit    int
}

// Counters are the numbers beside a worklist.
type Counters struct {
	ByState map[string]int
	Overdue int
	// Soon is due within the next working day.
	Soon   int
	Paused int
}

// PortalStore keeps drafts, filings and payments of the portal. Errors as in [DeskStore].
type PortalStore interface {
	InTx(ctx context.Context, f func(tx PortalTx) error) error
	PutOffers(ctx context.Context, agency string, offers []Offer) error
	Offers(ctx context.Context) ([]Offer, error)
	Draft(ctx context.Context, id string) (Draft, error)
	Drafts(ctx context.Context, owner string) ([]Draft, error)
	// PutDraft adds (version 0) or replaces a draft if it still has its version, which then grows by one.
	PutDraft(ctx context.Context, d *Draft) error
	DeleteDraft(ctx context.Context, id string) error
	// Filing finds by id or dossier number.
	Filing(ctx context.Context, ref string) (Filing, error)
	Filings(ctx context.Context, owner string) ([]Filing, error)
	FilingEvents(ctx context.Context, id string) ([]Notice, error)
	Payment(ctx context.Context, reference string) (Payment, error)
	Payments(ctx context.Context, filing string) ([]Payment, error)
	// OpenPayments are those without an outcome that were made before a time.
	OpenPayments(ctx context.Context, before time.Time) ([]Payment, error)
	Blob(ctx context.Context, sha256 string) (content []byte, media string, err error)
	PutBlob(ctx context.Context, sha256, media string, content []byte, now time.Time) error
}

// PortalTx is what happens at the portal inside one transaction.
type PortalTx interface {
	Queue
	Filing(ctx context.Context, ref string) (Filing, error)
	InsertFiling(ctx context.Context, f Filing) error
	UpdateFiling(ctx context.Context, f *Filing) error
	DeleteDraft(ctx context.Context, id string) error
	// AddNotice keeps a notice once; added is false when it was known.
	AddNotice(ctx context.Context, n Notice) (added bool, err error)
	InsertPayment(ctx context.Context, p Payment) error
	Payment(ctx context.Context, reference string) (Payment, error)
	UpdatePayment(ctx context.Context, p *Payment, kind, detail string) error
}

// LibraryStore keeps the versions of procedures that this node knows.
type LibraryStore interface {
	// PutProcedure keeps a version's archive and makes it current.
	PutProcedure(ctx context.Context, v ProcedureVersion) error
	ProcedureVersions(ctx context.Context) ([]ProcedureVersion, error)
}

// ProcedureVersion is one published version of a procedure.
type ProcedureVersion struct {
	Code, Hash, Version string
	Archive             []byte
	PublishedAt         time.Time
	PublishedBy         string
	Current             bool
}
