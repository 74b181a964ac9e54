package axis

import (
	"time"

	"truc/edxml"
	"truc/internal/blobs"
)

// Kinds of messages.
const (
	Document = "edoc"
	StatusOf = "status"
)

// ValidKind reports whether kind is [Document] or [StatusOf].
func ValidKind(kind string) bool { return kind == Document || kind == StatusOf }

// Submission is a message that a party hands in. The payload lies in the blob store already.
type Submission struct {
	Party   Party
	Kind    string // Document or StatusOf
	Payload blobs.Blob
}

// Note is a text of the catalogue.
type Note struct {
	Key  string
	Args []any
}

// Accepted answers a submission that is on the disk.
type Accepted struct {
	// DocID names the message at the hub; the sender tracks it by this name.
	DocID string
	// Warnings are for the sender: a receiver that was merged, a number used twice. Empty on a repetition.
	Warnings []Note
	// Tolerated is what was wrong in the message and did not hinder it, such as an attachment that is not what its name
	// says.
	Tolerated []edxml.Note
	// Repeated is set when the same bytes were accepted before; nothing was delivered again.
	Repeated bool
	// Receipt is the signed part of the receipt of the acceptance; [Hub.ReceiptFile] has all of it.
	Receipt []byte
}

// Message is a message that the hub accepted.
type Message struct {
	ID    string // docId
	Kind  string
	Party Party
	// From is the sending agency's current code when it sent, FromID its row in the register.
	From       string
	FromID     int64
	DocumentID string
	Code       edxml.Code
	// Year of the date of promulgation, with the number and the notation: what must be unique in an agency.
	Year     int
	DocKind  edxml.Kind
	Type     string // "Công văn"
	Subject  string
	Priority int
	// StatusCode of a status message.
	StatusCode string
	Payload    blobs.Blob
	Receivers  int
	Sent       time.Time
	// Expired is when the payload was given up at the end of its retention.
	Expired time.Time
}

// CopyState is where a copy stands between the hub and the receiver's system.
type CopyState string

// The states of a copy. Done is final; the others stay in the receiver's list.
const (
	Initial    CopyState = "initial"
	Processing CopyState = "processing"
	Done       CopyState = "done"
	Failed     CopyState = "fail"
)

// Copy is what one receiver has of a message.
type Copy struct {
	Seq int64
	ID  string // receiverDocId
	// Message it is a copy of, with what lists show of it.
	Message  string
	Kind     string
	From     string
	Subject  string
	Number   string // "08/SM-VP"
	Document string // the edXML identifier
	Sender   Party
	Payload  blobs.Blob
	Priority int
	Sent     time.Time
	// To is the receiver's current code when it was sent, Given the code that the sender wrote.
	To, Given string
	AgencyID  int64
	// Party may read it and report on it.
	Party       Party
	State       CopyState
	Description string // with Failed: why
	Lease       time.Time
	Updated     time.Time
	// Opened is when it was first handed out, Received when it was first done.
	Opened, Received time.Time
	// Due is when the receiver must have confirmed it.
	Due time.Time
	// Business is the last status of the receiver's desk, "01" to "16", and BusinessAt what it says of its time.
	Business   string
	BusinessAt time.Time
	// Expired is when the payload was given up; zero while it can be had.
	Expired time.Time
	// Pushes counts how often it was handed to the delivery of the exchange.
	Pushes int
}

// ReceivedQuery chooses copies of a party.
type ReceivedQuery struct {
	Kind string
	// To keeps those of one agency; a code that is not the party's own is ignored.
	To string
	// Since and Until bound the time of sending; zero is open.
	Since, Until time.Time
	// Limit is 500 when zero, at most 5 000. Skip leaves out the first rows.
	Limit, Skip int
}

// SentQuery chooses messages that a party sent.
type SentQuery struct {
	Kind string
	// DocID keeps one message; one that the party did not send is ignored.
	DocID        string
	Since, Until time.Time
	Limit, Skip  int
}

// SentRow is a copy of a message that a party sent, in the order of sending.
type SentRow = Copy

const defaultRows, maxRows = 500, 5000

func rows(limit int) int {
	if limit <= 0 {
		return defaultRows
	}
	return min(limit, maxRows)
}
