package documents

import (
	"slices"
	"strings"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Roles of officers at the desk.
const (
	RoleOfficer = "officer" // drafts and handles
	RoleHead    = "head"    // reviews, signs, assigns
	RoleClerk   = "clerk"   // registers, seals, sends, receives
)

// Direction tells outgoing from incoming documents.
type Direction string

// The directions.
const (
	Out Direction = "out"
	In  Direction = "in"
)

// State is where a document stands at this desk.
type State string

// States of outgoing documents.
const (
	Drafting  State = "drafting"
	Reviewing State = "reviewing"
	Approved  State = "approved" // waits for the competent person's signature
	Numbered  State = "numbered" // has a number, the signature is being made
	Signed    State = "signed"   // waits for the agency's signature
	Issued    State = "issued"   // sealed and registered, not yet sent
	Sent      State = "sent"
	Revoked   State = "revoked"  // frozen by a revoking document
	Replaced  State = "replaced" // another document stands in its place
	Discarded State = "discarded"
)

// States of incoming documents. Replaced is shared.
const (
	Arrived   State = "arrived"
	Refused   State = "refused"
	Accepted  State = "accepted"
	Assigned  State = "assigned"
	Working   State = "working"
	Done      State = "done"
	Cancelled State = "cancelled"
)

// Key returns the message key of the state.
func (s State) Key() string { return "documents.state." + string(s) }

// Secrecy is the degree of a state secret. Anything but [SecrecyNone] is refused on every path.
type Secrecy string

// The degrees (Law on the protection of state secrets 29/2018/QH14, article 8).
const (
	SecrecyNone Secrecy = ""
	SecrecyMat  Secrecy = "mat"
	SecrecyToi  Secrecy = "toi-mat"
	SecrecyTuy  Secrecy = "tuyet-mat"
)

// Secrecies returns all degrees, none first.
func Secrecies() []Secrecy { return []Secrecy{SecrecyNone, SecrecyMat, SecrecyToi, SecrecyTuy} }

// Key returns the message key of the degree.
func (s Secrecy) Key() string {
	if s == SecrecyNone {
		return "documents.secrecy.none"
	}
	return "documents.secrecy." + strings.ReplaceAll(string(s), "-", "_")
}

func errSecret() error { return errs.E(errs.Invalid, "documents.secret_refused", nil) }

// DefaultSecretMarks are the words that mark a state secret where edXML or a form can carry one. They are compared whole,
// without regard to case but with their accents: "mật" is not "mặt".
func DefaultSecretMarks() []string { return []string{"Mật", "Tối mật", "Tuyệt mật"} }

// marked reports whether one of the fields is a secret mark, alone or behind "độ mật:".
func marked(marks []string, fields ...string) bool {
	for _, f := range fields {
		f = strings.ToLower(strings.TrimSpace(i18n.NFC(f)))
		f = strings.Trim(strings.TrimSpace(strings.TrimPrefix(f, "độ mật")), ":[]() .")
		if f != "" && slices.ContainsFunc(marks, func(m string) bool { return f == strings.ToLower(i18n.NFC(m)) }) {
			return true
		}
	}
	return false
}

// Urgency is the degree of urgency as edXML numbers it. The decree knows the first three above none; the fourth, at a
// stated hour, comes from practice.
type Urgency int

// The degrees.
const (
	Normal     Urgency = iota
	Urgent             // khẩn
	VeryUrgent         // thượng khẩn
	Express            // hỏa tốc
	ExpressAt          // hỏa tốc hẹn giờ
)

// Valid reports whether u is one of the degrees.
func (u Urgency) Valid() bool { return u >= Normal && u <= ExpressAt }

// Key returns the message key of the degree.
func (u Urgency) Key() string {
	names := [...]string{"normal", "urgent", "very_urgent", "express", "express_at"}
	if !u.Valid() {
		u = Normal
	}
	return "documents.urgency." + names[u]
}

// Mark is what is printed on the document, "" for none.
func (u Urgency) Mark() string {
	marks := [...]string{"", "KHẨN", "THƯỢNG KHẨN", "HỎA TỐC", "HỎA TỐC HẸN GIỜ"}
	if !u.Valid() {
		return ""
	}
	return marks[u]
}

// StatusCode is a business status that agencies tell each other, two digits.
type StatusCode string

// The statuses of the technical guide of the national document axis.
const (
	StatusArrived  StatusCode = "01" // đã đến: by the receiver's software
	StatusRefused  StatusCode = "02" // từ chối tiếp nhận, with reason; final
	StatusAccepted StatusCode = "03" // đã tiếp nhận
	StatusAssigned StatusCode = "04" // phân công
	StatusWorking  StatusCode = "05" // đang xử lý
	StatusDone     StatusCode = "06" // hoàn thành; final
	StatusRecall   StatusCode = "13" // lấy lại: the sender asks, with reason
	StatusAgreed   StatusCode = "15" // đồng ý the recall or update
	StatusDeclined StatusCode = "16" // từ chối it, with reason
)

// StatusCodes returns all statuses.
func StatusCodes() []StatusCode {
	return []StatusCode{
		StatusArrived, StatusRefused, StatusAccepted, StatusAssigned, StatusWorking, StatusDone,
		StatusRecall, StatusAgreed, StatusDeclined,
	}
}

// Valid reports whether the code is one of the list.
func (c StatusCode) Valid() bool { return slices.Contains(StatusCodes(), c) }

// Key returns the message key of the status.
func (c StatusCode) Key() string {
	if !c.Valid() {
		return "documents.status.unknown"
	}
	return "documents.status." + string(c)
}

// needsReason tells which statuses may not go without one.
func (c StatusCode) needsReason() bool {
	return c == StatusRefused || c == StatusRecall || c == StatusDeclined
}

// Kind says what a document does to an earlier one; the numbers are edXML's BussinessDocType.
type Kind int

// The kinds.
const (
	KindNew Kind = iota
	KindRevocation
	KindUpdate
	KindReplacement
)

// Key returns the message key of the kind.
func (k Kind) Key() string {
	switch k {
	case KindRevocation:
		return "documents.kind.revocation"
	case KindUpdate:
		return "documents.kind.update"
	case KindReplacement:
		return "documents.kind.replacement"
	default:
		return "documents.kind.new"
	}
}
