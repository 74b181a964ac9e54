package edxml

import (
	"io"
	"strings"
	"time"
)

// Namespace is the XML namespace of edXML 102:2016.
const Namespace = "http://www.mic.gov.vn/TBT/QCVN_102_2016"

// Kind is what a document does to an earlier one (BussinessDocType).
type Kind int

// The kinds of documents.
const (
	New         Kind = iota // văn bản mới
	Revocation              // thu hồi: takes an earlier document back
	Update                  // cập nhật: changes the content or the receivers of an earlier document
	Replacement             // thay thế: takes the place of earlier documents
)

// Message is a document, or a status message when Status is not nil. Texts are as received, without blanks around them;
// the empty text is an absent one.
type Message struct {
	From       Organization
	To         []Organization // empty in a status message
	DocumentID string         // opaque; "H99.07,2026/03/05,08/SM-VP" in documents of our own
	Code       Code
	Place      string // where it was issued
	Date       Date   // when it was issued (PromulgationDate)
	Type       DocumentType
	Subject    string // trích yếu
	Content    string // summary
	Signer     Signer
	DueDate    Date
	Other      OtherInfo
	// ResponseFor names the documents that are answered. In a status message the first is the document spoken of, and
	// its OrganID the agency that the message goes to.
	ResponseFor     []Reference
	Steering        *int     // SteeringType; nil: not given
	Tasks           []string // codes of Government tasks that are answered
	ApplicationType string
	ToPlaces        []string // lines of "Nơi nhận"
	Trace           []Hop
	Business        Business
	Status          *Status
	Attachments     []Attachment
	Notes           []Note // what Read tolerated; Write does not look at it
}

// Organization is a sender or a receiver.
type Organization struct {
	ID       string // agency code
	InCharge string // superior agency (cơ quan chủ quản)
	Name     string
	Address  string
	Email    string

	Telephone, Fax, Website string
}

// Code is the number and the notation of a document: "08" and "SM-VP".
type Code struct{ Number, Notation string }

// String returns "08/SM-VP", and what there is when a part is missing.
func (c Code) String() string {
	if c.Notation == "" || c.Number == "" {
		return c.Number + c.Notation
	}
	return c.Number + "/" + c.Notation
}

// DocumentType says what sort of document it is. Senders agree on the name only.
type DocumentType struct {
	Type   int    // Write puts 2 for 0
	Detail int    // negative: absent
	Name   string // "Công văn"
}

// Signer is who signed the document.
type Signer struct {
	Competence string // TM., KT., TL., TUQ. and the title signed for
	Position   string
	FullName   string
}

// OtherInfo is what else the header says.
type OtherInfo struct {
	Priority       int    // 0 ordinary … 3 express, 4 express at a stated hour
	Sphere         string // circulation (SphereOfPromulgation)
	TyperNotation  string // mark of who drafted it
	Copies, Pages  int    // Write puts 1 for 0
	ReplyFors      string
	Direction      string // "true" or "false", a text to its senders
	ReferenceCodes string
	Appendixes     []string // names of appendices, not files
}

// Reference names another document.
type Reference struct {
	OrganID, Code, DocumentID string
	Date                      Date
}

// Hop is an agency that handled the message, and when (TraceHeader).
type Hop struct {
	OrganID string
	At      time.Time // UTC
}

// Business says what the document does to earlier ones.
type Business struct {
	DocumentID string // the document revoked or updated; without meaning for a new one
	Kind       Kind
	Reason     string
	Paper      int // 1: a paper copy follows
	Changes    []Change
	Replaces   []Replaced
	Staff      []Staff
}

// Change is what an update changes (BussinessDocumentInfo).
type Change struct {
	Content   bool // the content changed
	Receivers bool // the receivers changed, as List says
	List      []ReceiverChange
}

// ReceiverChange adds a receiver or removes one.
type ReceiverChange struct {
	OrganID string
	Added   bool
}

// Replaced is a document that a replacement takes the place of, and the receivers it applies to.
type Replaced struct {
	DocumentID string
	OrganIDs   []string
}

// Staff is a person who acted, with the unit.
type Staff struct{ Department, DepartmentID, Name, ID, Email, Mobile string }

// Status is what became of a document at its receiver, or that the sender wants it back.
type Status struct {
	Code        string // two digits, see [Lists]
	Description string // the reason of 02, 13 and 16
	At          time.Time
	Staff       Staff
}

// Attachment is a file that travels with the document.
type Attachment struct {
	ContentID   string // without "cid:"; Write makes one when it is empty
	Name        string
	Description string
	ContentType string // what the message says; Write derives it from the name
	Size        int64  // of the file itself: decoded and taken out of the archive it travelled in
	SHA256      string // lower-case hexadecimal, of the same bytes
	// Open returns the file for Write, which reads and closes it once. When Size or SHA256 are set, Write fails if the file differs.
	Open func() (io.ReadCloser, error)
}

// IsStatus reports whether m is a status message.
func (m *Message) IsStatus() bool { return m.Status != nil }

// Originals returns the identifiers of the earlier documents that a revocation, an update or a replacement is about; none
// for a new document and for a status message.
func Originals(m *Message) []string {
	if m.Status != nil {
		return nil
	}
	var ids []string
	switch m.Business.Kind {
	case Revocation:
		// Senders exist that revoke under the identifier of the revoked document and name no other.
		if id := m.Business.DocumentID; id != "" {
			return []string{id}
		}
		if m.DocumentID != "" {
			return []string{m.DocumentID}
		}
	case Update:
		if id := m.Business.DocumentID; id != "" {
			return []string{id}
		}
	case Replacement:
		for _, r := range m.Business.Replaces {
			if r.DocumentID != "" {
				ids = append(ids, r.DocumentID)
			}
		}
	case New:
	}
	return ids
}

// MakeDocumentID returns the identifier that we give to a document of our own: "H99.07,2026/03/05,08/SM-VP".
func MakeDocumentID(organID string, date Date, code Code) string {
	return strings.Join([]string{organID, date.String(), code.String()}, ",")
}
