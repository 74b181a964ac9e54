package bundle

import (
	"time"

	"truc/internal/i18n"
)

// DocumentData is everything a slip, letter, paper or result may print. Every template of the defaults and of a
// bundle gets this struct; what does not concern a document is left zero.
type DocumentData struct {
	Lang string
	// Parent is the body above the agency on the letterhead, Agency the one that issues, Unit the desk.
	Parent, Agency, Unit string
	Place                string // place name before the date: "Đà Lạt"
	// Title is the name of the procedure, Code its national code.
	Procedure i18n.Text
	Code      string
	Case      i18n.Text
	Number    string // dossier number
	DocNumber string // number of this document in the ledger of the agency
	Channel   string // online | counter | post
	// Applicant submits; Subject is whom the dossier is about; Owner owns it.
	Applicant, Subject, Owner Party
	Papers                    []PaperRow
	Sets                      int
	// Times. Printed hh:mm dd/mm/yyyy, 24 h, Vietnam.
	Issued, Submitted, Received, Due, OldDue, Deadline, Finished time.Time
	ProcessingTime                                               string // "1 ngày làm việc"
	DueExplanation                                               []string
	Delivery                                                     string // how the result is delivered
	Fee                                                          FeeQuote
	FeePaid                                                      bool
	// TrackURL and InfoURL are the texts of the two QR codes of slip 01.
	TrackURL, InfoURL string
	Reason            string
	LegalBasis        []string
	Guide             Officer // who guides the applicant on slip 02
	Officer, Head     Officer
	Rights            []string // rights of the applicant, slip 05
	Handovers         []Handover
	// Answers are question and answer, in order; Raw the answers themselves.
	Answers []AnswerRow
	Raw     Answers
	// Record is the register record the result is written from, field → value, and RecordSource its origin.
	Record       map[string]string
	RecordSource string
	Copies       int
	CopyNo       int
	ResultNumber string
	Version      string // bundle version and hash, printed small
}

// Party is a person or organisation on a document.
type Party struct {
	Name, Identity, Address, Phone, Email string
	BirthDate                             time.Time
}

// PaperRow is one line of the table of papers. Status: accepted, missing, rejected, known.
type PaperRow struct {
	Name                       string
	Original, Certified, Photo int
	Electronic                 bool
	Status, Note               string
}

// Officer is who signs or guides.
type Officer struct{ Name, Title, Phone string }

// Handover is one row of slip 06.
type Handover struct {
	From, To string
	At       time.Time
	Result   string // before | on | after due
	Opinion  string
}

// AnswerRow is a question with its answer, as the check page and the printed form show it.
type AnswerRow struct{ Page, Label, Value, Source string }

// The names of the templates that exist for every procedure; a bundle may bring its own file
// templates/<name>.html.
const (
	TemplateReceipt      = "slip-01" // Giấy tiếp nhận hồ sơ và hẹn trả kết quả
	TemplateSupplement   = "slip-02" // Phiếu yêu cầu bổ sung, hoàn thiện hồ sơ
	TemplateRefusal      = "slip-03" // Phiếu từ chối tiếp nhận, giải quyết
	TemplateApology      = "slip-04" // Văn bản xin lỗi và đề nghị gia hạn
	TemplateStop         = "slip-05" // Thông báo dừng giải quyết
	TemplateControl      = "slip-06" // Phiếu kiểm soát quá trình giải quyết
	TemplateConfirmation = "confirmation"
	TemplateAnswers      = "answers"
	TemplateResult       = "result"
)
