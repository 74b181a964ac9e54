package axis

import (
	"context"
	"io"
	"time"

	"truc/internal/blobs"
	"truc/internal/outbox"
)

// Store keeps the hub's tables. A missing row is errs.NotFound. Once InTx has returned nil, what was written is durable.
type Store interface {
	// InTx runs f in one transaction, again after a serialization failure.
	InTx(ctx context.Context, f func(tx Tx) error) error
	// Within joins a transaction that somebody else of this node began on the same database.
	Within(q outbox.Querier) Tx

	// Known returns the message that a party sent before with these bytes.
	Known(ctx context.Context, p Party, kind, sha256 string) (Message, error)
	Message(ctx context.Context, id string) (Message, error)
	Copy(ctx context.Context, id string) (Copy, error)
	// Received lists copies of a party that are not done, the oldest first; Count counts them.
	Received(ctx context.Context, p Party, q ReceivedQuery) ([]Copy, error)
	Count(ctx context.Context, p Party, kind string) (int, error)
	// Sent lists copies of the messages that a party sent, the oldest first.
	Sent(ctx context.Context, p Party, q SentQuery) ([]Copy, error)
	// Leased lists copies whose lease ended before a time.
	Leased(ctx context.Context, before time.Time, limit int) ([]string, error)
	// Refers reports whether a message refers to a payload that is not given up.
	Refers(ctx context.Context, sha256 string) (bool, error)
	// Ended lists messages sent before a time whose copies are all done and whose payload is there still.
	Ended(ctx context.Context, before time.Time, limit int) ([]string, error)

	Agencies(ctx context.Context) ([]Agency, error)
	// Lookup returns every agency that has or had one of the codes.
	Lookup(ctx context.Context, codes []string) ([]Binding, error)
	// History returns what was changed in an agency's entry, the oldest first.
	History(ctx context.Context, agency int64) ([]Revision, error)

	System(ctx context.Context, id string) (StoredSystem, error)
	Systems(ctx context.Context) ([]StoredSystem, error)

	// Journal lists entries in order; those after a number, of one party or of one message where given.
	Journal(ctx context.Context, q JournalQuery) ([]Entry, error)

	// Traffic and Waiting count by agency.
	Traffic(ctx context.Context, since, until time.Time) ([]AgencyTraffic, error)
	Waiting(ctx context.Context, now time.Time) ([]AgencyWaiting, error)
	// Late lists copies that are past due: not taken over, or without a word from the receiver's desk; the most urgent
	// first.
	Late(ctx context.Context, q LateQuery) ([]Copy, error)
	Alerts(ctx context.Context, limit int) ([]Alert, error)
}

// Tx is a transaction of the hub. Rows it reads to change are locked.
type Tx interface {
	outbox.Querier

	// AddMessage adds a message. When the party sent the same bytes before, it adds nothing and returns that message;
	// errs.Conflict when the agency sent another new document of the same identifier.
	AddMessage(ctx context.Context, m Message) (stored Message, added bool, err error)
	Message(ctx context.Context, id string) (Message, error)
	PutMessage(ctx context.Context, m Message) error
	// SameNumber returns identifiers of other new documents of the agency with the same number, notation and year.
	SameNumber(ctx context.Context, m Message) ([]string, error)
	AddCopies(ctx context.Context, list []Copy) error
	Copy(ctx context.Context, id string) (Copy, error)
	PutCopy(ctx context.Context, c Copy) error
	// Original finds the copy of a document, by its edXML identifier, that one agency sent to another.
	Original(ctx context.Context, document string, from, to int64) (Copy, error)
	// Receivers lists the copies of a document that one agency sent, the newest first; CopiesElsewhere those of an agency
	// that are with another party than the given one, the oldest first.
	Receivers(ctx context.Context, document string, from int64) ([]Copy, error)
	CopiesElsewhere(ctx context.Context, agency int64, than Party) ([]Copy, error)

	Lookup(ctx context.Context, codes []string) ([]Binding, error)
	Agency(ctx context.Context, id int64) (Agency, error)
	// Merged lists the agencies that ended with successors.
	Merged(ctx context.Context) ([]Agency, error)
	// AddAgency returns the number of the new agency; PutAgency replaces it and its codes if its version is old. Both
	// keep the revision. errs.Conflict for another version, or a code that another agency has today.
	AddAgency(ctx context.Context, a Agency, r Revision) (int64, error)
	PutAgency(ctx context.Context, a Agency, old int, r Revision) error

	System(ctx context.Context, id string) (StoredSystem, error)
	PutSystem(ctx context.Context, s StoredSystem) error

	// Head returns number and hash of the last entry of the journal and holds the journal until the transaction ends.
	Head(ctx context.Context) (seq int64, hash string, err error)
	// AddEntries appends to the journal; they follow the head.
	AddEntries(ctx context.Context, list []Entry) error
	// Alert counts an alert; the first time makes it.
	Alert(ctx context.Context, a Alert) error
}

// Carrier brings copies to nodes.
type Carrier interface {
	// Push queues the delivery of a copy in the caller's transaction. The same ID twice is the same delivery. In the end
	// somebody calls [Hub.ReportIn] with done or fail. An error undoes the submission.
	Push(ctx context.Context, tx Tx, p Push) error
}

// Push is a copy on its way to a node.
type Push struct {
	// ID makes the delivery idempotent.
	ID   string
	Copy Copy
}

// Issuer makes signed receipts.
type Issuer interface {
	// Issue signs a receipt of a fact and keeps it, in the transaction that records the fact. An error undoes the fact.
	Issue(ctx context.Context, tx Tx, f Fact) error
	// Of lists receipts about a message, or about one copy of it when copyID is given, the oldest first.
	Of(ctx context.Context, message, copyID string) ([]Receipt, error)
	// File returns a receipt as people get it, with all it takes to check it offline; errs.NotFound for an unknown one.
	File(ctx context.Context, id string) ([]byte, error)
}

// Fact is what a receipt says.
type Fact struct {
	Event Event
	At    time.Time
	// DocID names the message at the hub; Copy the receiver's copy, empty for the acceptance.
	DocID, Copy string
	Kind        string
	// DocumentID is the identifier in the edXML message.
	DocumentID string
	Payload    blobs.Blob
	From       string
	To         []string
	// Party did it. Note is what else belongs to the event, such as the reason of a refusal.
	Party Party
	Note  string
	// Seq and Hash are the entry of the journal.
	Seq  int64
	Hash string
}

// Receipt is a stored receipt.
type Receipt struct {
	ID          string
	Event       Event
	DocID, Copy string
	At          time.Time
	// Signed is the signed part alone; Stamped when a time-stamp of an authority belongs to it.
	Signed  []byte
	Stamped bool
}

// Audit records acts of people.
type Audit interface {
	// Act writes the entry in the caller's transaction; an error must undo the change.
	Act(ctx context.Context, tx Tx, actor, action, object string) error
}

// Scanner looks at attachments while they are checked.
type Scanner interface {
	// Attachment receives the decoded bytes of one; an error of Close refuses the message.
	Attachment(ctx context.Context, name string) (io.WriteCloser, error)
}
