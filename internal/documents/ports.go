package documents

import (
	"context"
	"time"

	"truc/internal/blobs"
	"truc/internal/sign"
)

// Typesetter lays a document out as the decree prescribes.
type Typesetter interface {
	// Typeset prints the document. errs.Invalid when it cannot be printed, such as for a letter without a glyph.
	Typeset(ctx context.Context, p Paper) (Printed, error)
}

// Paper is what is printed: the nine parts of Decree 30/2020/NĐ-CP, article 8, and the optional ones.
type Paper struct {
	// Superior and Agency stand top left (box 2); Superior is the agency above, empty where the law shows none.
	Superior, Agency string
	// Code is empty on a preview before the number is taken.
	Code Code
	// Place and Date are "Hà Nội, ngày 05 tháng 01 năm 2020"; a zero date leaves room.
	Place string
	Date  time.Time
	// Type is the kind of document; of an official letter Subject stands under the code (box 5b), else under the name (5a).
	Type    Type
	Subject string
	// Addressees are the lines of "Kính gửi" (boxes 9a).
	Addressees []string
	// Body is plain text; a line break ends a paragraph.
	Body string
	// Authority is "TM.", "KT.", "TL.", "TUQ." with the words behind it; Title and Signer stand above and below box 7c.
	Authority, Title, Signer string
	// ToPlaces are the lines of "Nơi nhận" (box 9b).
	ToPlaces []string
	// Urgency is the mark of box 10b, Circulation of box 11, Drafter of box 12, Contact of box 13.
	Urgency, Circulation, Drafter, Contact string
	// Appendixes are names printed as a list; their text is in attachments.
	Appendixes []string
	// Draft prints a watermark.
	Draft bool
}

// Box is a rectangle on a page in PDF points from the lower left corner. Page counts from 1; 0 is no box.
type Box struct {
	Page int     `json:"page"`
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
	W    float64 `json:"w"`
	H    float64 `json:"h"`
}

// Printed is a typeset document with the places of its signatures.
type Printed struct {
	PDF   []byte
	Pages int
	// Person is box 7c, Seal box 8.
	Person, Seal Box
}

// Signatures signs and verifies. The keys of persons and of the agency are behind it and are not the same.
type Signatures interface {
	// Person adds the visible signature of a person. errs.Unavailable when the key is away, errs.Denied when the person
	// has none.
	Person(ctx context.Context, s PersonSignature) (pdf []byte, err error)
	// Agency adds the agency's signature with the image of the seal. Errors as of Person.
	Agency(ctx context.Context, s AgencySignature) (pdf []byte, err error)
	// NoImage signs a separate attachment for the agency, without an image: a PDF with the text block top right on page
	// 1, any other file by a detached signature.
	NoImage(ctx context.Context, s AttachmentSignature) (SignedAttachment, error)
	// Copy signs an electronic copy for the agency: kind, agency and time top right on page 1, without an image.
	// errs.Invalid when the PDF cannot be signed. Other errors as of Person.
	Copy(ctx context.Context, s CopySignature) (pdf []byte, err error)
	// Verify reports the signatures of a PDF; none for a PDF without.
	Verify(ctx context.Context, pdf []byte) ([]sign.Report, error)
}

// PersonSignature is what a competent person signs.
type PersonSignature struct {
	PDF []byte
	// Office is the agency's code, Account whose key signs, Name and Title what the signature shows.
	Office, Account, Name, Title string
	Box                          Box
}

// AgencySignature is what a clerk seals.
type AgencySignature struct {
	PDF []byte
	// Office and OfficeName are the agency whose seal it is, Clerk the account that applies it.
	Office, OfficeName, Clerk string
	Box                       Box
}

// AttachmentSignature is a separate file that belongs to a document.
type AttachmentSignature struct {
	Content           []byte
	Name, Media       string
	Office, Clerk     string
	Code              Code
	OfficeName, Place string
}

// CopySignature is what a clerk signs as a copy.
type CopySignature struct {
	PDF                       []byte
	Kind                      CopyKind
	Office, OfficeName, Clerk string
}

// SignedAttachment is the file after signing: a changed PDF, or the unchanged file and its detached CMS.
type SignedAttachment struct {
	Content  []byte
	Detached []byte
}

// Carrier brings edXML messages to the document axis, at least once and in order per receiver.
type Carrier interface {
	// Carry queues a message in the caller's transaction. The same id again does nothing.
	Carry(ctx context.Context, tx Queue, c Carriage) error
	// Agencies returns who is reachable at the axis.
	Agencies(ctx context.Context) ([]Agency, error)
}

// KindOpened tells the axis that somebody has opened a copy; its Carriage is named by OpenedPrefix and the copy.
const (
	KindOpened   = "opened"
	OpenedPrefix = "opened."
)

// Carriage is one message to the axis.
type Carriage struct {
	// ID is "document.event"; outcomes name it ([Desk.HearAxis]).
	ID string
	// Kind is "edoc", "status" or [KindOpened].
	Kind string
	// From is the office's code, To the receivers, of a status one.
	From    string
	To      []string
	Payload blobs.Blob
	// DocumentID is edXML's identifier of the document it is or is about.
	DocumentID string
	Urgency    Urgency
}

// Agency is a correspondent at the axis.
type Agency struct {
	Code, Name, Superior, Email string
	// Closed is set for a code that is known but no longer served; Successors take its place.
	Closed     bool
	Successors []string
}

// Audit records acts of people in the transaction of the change they made.
type Audit interface {
	// Act writes the entry; an error must undo the change.
	Act(ctx context.Context, tx Queue, actor, action, object string) error
}

// Queue adds effects to the outbox in the caller's transaction.
type Queue interface {
	// Enqueue adds one effect; id makes it idempotent, key orders it.
	Enqueue(ctx context.Context, id, topic, key string, payload any) error
}

// Officers knows who works at an office.
type Officers interface {
	// People returns the active officers of an office with their roles.
	People(ctx context.Context, office string) ([]Person, error)
}

// Person is an officer who can be chosen.
type Person struct {
	Account, Name, Title, Unit string
	Roles                      []string
}

// Certificates tells which certificates the desk depends on, for alerts before they expire. It may be absent.
type Certificates interface {
	// Certificates returns those of persons and of the agency that sign for the office.
	Certificates(ctx context.Context, office string) ([]Certificate, error)
}

// Certificate is one with its end.
type Certificate struct {
	Subject  string
	NotAfter time.Time
}
