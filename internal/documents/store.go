package documents

import (
	"context"
	"time"
)

// Store keeps documents. A call returns errs.NotFound when there is no such row and errs.Conflict when a unique key or the
// row version disagrees; once InTx has returned nil everything written is durable.
type Store interface {
	// InTx runs f in one transaction; f may run again after a serialization failure.
	InTx(ctx context.Context, f func(tx Tx) error) error
	// Find returns a document with its events.
	Find(ctx context.Context, id string) (Stored, error)
	// List returns one page of documents.
	List(ctx context.Context, q Query) ([]Row, error)
	// Numbers returns the numbers of a register, voided ones too, in order.
	Numbers(ctx context.Context, office string, dir Direction, from, to time.Time) ([]Number, error)
	// Opened keeps that a document was opened; Openings returns who opened it, the latest first.
	Opened(ctx context.Context, o Opening) error
	Openings(ctx context.Context, id string, limit int) ([]Opening, error)
	// Refers reports whether a document refers to a blob.
	Refers(ctx context.Context, sha256 string) (bool, error)
	// Tally counts documents of a register by a period's facts.
	Tally(ctx context.Context, q TallyQuery) ([]TallyRow, error)
}

// Tx is what happens inside one transaction.
type Tx interface {
	Queue
	// Find is Store.Find inside the transaction; on PostgreSQL the row is locked.
	Find(ctx context.Context, id string) (Stored, error)
	// List is Store.List inside the transaction.
	List(ctx context.Context, q Query) ([]Row, error)
	// Insert adds a document with its first events.
	Insert(ctx context.Context, row Row, events []Event) error
	// Append adds events and replaces the projection, if the row still has the version oldVersion.
	Append(ctx context.Context, row Row, oldVersion int64, events []Event) error
	// TakeNumber returns the next number of a series, without gaps, and enters it in the register.
	TakeNumber(ctx context.Context, n Number) (int64, error)
	// VoidNumber marks a number as given up; it stays.
	VoidNumber(ctx context.Context, document string, at time.Time, reason string) error
	// Seen records a message id and reports whether it was recorded before.
	Seen(ctx context.Context, messageID string, now time.Time) (bool, error)
}

// Stored is what the store holds of one document.
type Stored struct {
	Row    Row
	Events []Event
}

// Row is the projection of a document for lists.
type Row struct {
	ID        string
	Direction Direction
	Office    string
	State     State
	Kind      Kind
	Type      string // code of the type, or its name where the type is unknown
	// Number and Notation as printed; N is the number in our series: of the document going out, of its arrival coming in.
	Number, Notation string
	N                int64
	Date             string // of the document, "2006-01-02", "" before there is one
	Subject          string
	// Party is the sender's code coming in, the receivers' codes between blanks going out; PartyName is shown.
	Party, PartyName string
	// DocumentID is edXML's identifier.
	DocumentID string
	// Search holds folded words of everything one searches by.
	Search  string
	Drafter string
	// Holder is the account whose turn it is, "" when it is a role's.
	Holder  string
	Signer  string
	Urgency Urgency
	// Due is the nearest limit and Clock which one it is; zero when none runs.
	Due   time.Time
	Clock Clock
	// SendAt is when an issued document leaves by itself.
	SendAt time.Time
	// Flags are alerts that stay until somebody looks: see the Flag constants.
	Flags      []string
	RegisterAt time.Time // issued, or accepted
	SentAt     time.Time
	DoneAt     time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Viewers    []string // accounts that may see it besides clerks and heads
	Version    int64
}

// Query chooses documents. Empty fields do not restrict.
type Query struct {
	Office    string
	Direction Direction
	States    []State
	// Viewer restricts to documents this account may see.
	Viewer string
	Holder string
	Type   string
	// Number is matched without regard to leading zeros.
	Number string
	Party  string
	// From and To bound the document's date, inclusive, as "2006-01-02".
	From, To string
	// Words are looked for without accents in subject, code, agency and signer; all must occur.
	Words string
	// DocumentID and Notation are matched exactly.
	DocumentID, Notation string
	// DueBefore chooses documents whose nearest limit is before it.
	DueBefore time.Time
	// SendBefore chooses issued documents that leave by themselves before it.
	SendBefore time.Time
	Urgent     bool
	Flagged    bool
	// Amending chooses documents that revoke, update or replace others.
	Amending bool
	// Sort is "" for the newest first, "urgent" for urgent ones and then the nearest limit first.
	Sort          string
	Offset, Limit int
}

// Number is one row of a numbering series.
type Number struct {
	Office    string
	Direction Direction
	Year      int
	// Series is "" for one series a year, else the code of the type.
	Series   string
	N        int64
	Notation string
	Document string
	At       time.Time
	// VoidedAt and Reason are set for a number that was given up.
	VoidedAt time.Time
	Reason   string
}

// Opening is one access of a person to a document (Decree 30/2020/NĐ-CP, appendix VI: access history).
type Opening struct {
	Document, Account, Name, What string
	At                            time.Time
}

// TallyQuery bounds a statistic: documents of an office issued, or arrived, from From until before To.
type TallyQuery struct {
	Office   string
	From, To time.Time
	// Now decides which limits have passed.
	Now time.Time
}

// TallyRow counts documents with one combination of facts.
type TallyRow struct {
	Direction Direction
	Type      string
	State     State
	Sent      bool
	// Late is set for documents done after their limit, or whose limit has passed and that are not done.
	Late  bool
	Count int
}
