package services

import (
	"time"

	"truc/internal/services/bundle"
)

// The messages of this file cross agencies over the exchange, so their fields are append-only.

// Submission is a filing on its way from the portal, or from another client, to the agency that must decide.
type Submission struct {
	// FilingID is the portal's identifier and the idempotency key: the same one twice gives the first answer again.
	FilingID  string `json:"filingId"`
	Procedure string `json:"procedure"`
	// VersionHash pins the dossier to one version of the procedure for life.
	VersionHash string         `json:"versionHash"`
	Case        string         `json:"case"`
	Agency      string         `json:"agency"` // unit that receives, such as "H36.14"
	Channel     string         `json:"channel"`
	Applicant   Applicant      `json:"applicant"`
	Answers     bundle.Answers `json:"answers"`
	Prefilled   []Prefilled    `json:"prefilled,omitempty"`
	Papers      []PaperRef     `json:"papers,omitempty"`
	Fee         FeeSnapshot    `json:"fee"`
	SubmittedAt time.Time      `json:"submittedAt"`
	Lang        string         `json:"lang,omitempty"`
}

// Applicant is who files. It is personal data.
type Applicant struct {
	PersonalID string `json:"personalId"`
	FullName   string `json:"fullName"`
	BirthDate  string `json:"birthDate,omitempty"` // 2006-01-02, or a year
	Phone      string `json:"phone,omitempty"`
	Email      string `json:"email,omitempty"`
	Address    string `json:"address,omitempty"`
	// Level is the identification level of the sign-in.
	Level int `json:"level"`
	// PolicyGroups that matter for fees, as the population register gave them.
	PolicyGroups []string `json:"policyGroups,omitempty"`
}

// PrefillStatus says what became of a question to a register.
type PrefillStatus string

// The outcomes of a question to a register.
const (
	PrefillOK    PrefillStatus = "ok"
	PrefillEmpty PrefillStatus = "empty"
	PrefillDown  PrefillStatus = "down"     // the register did not answer; the person types the value
	PrefillDiff  PrefillStatus = "mismatch" // the person says that the value is wrong
)

// Prefilled is one value of the form with where it came from.
type Prefilled struct {
	Pointer string `json:"pointer"` // JSON Pointer into the answers (RFC 6901)
	Value   string `json:"value,omitempty"`
	// Group is the name under which the procedure's rules see the source, see [bundle.Binding.Group].
	Group  string        `json:"group"`
	Source string        `json:"source"` // "population/person#fullName"
	At     time.Time     `json:"at"`
	Status PrefillStatus `json:"status"`
}

// PaperRef is a paper of the dossier with its provenance. The bytes travel before, by their SHA-256.
type PaperRef struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	File   string `json:"file,omitempty"` // name of the uploaded file
	SHA256 string `json:"sha256,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Media  string `json:"media,omitempty"`
	// Provenance: "uploaded", "form", "register", "scanned".
	Provenance string `json:"provenance"`
	Round      int    `json:"round,omitempty"` // 0 = with the filing, n = answer to the n-th supplement request
}

// FeeSnapshot is the fee as it was shown before submission.
type FeeSnapshot struct {
	Total int64     `json:"total"` // whole đồng
	Due   string    `json:"due"`   // atReceipt, beforeProcessing, beforeResult
	Lines []FeeLine `json:"lines,omitempty"`
	// Exempt names the exemption that applied, in Vietnamese.
	Exempt string `json:"exempt,omitempty"`
}

// FeeLine is one line of a fee.
type FeeLine struct {
	Code   string `json:"code"`
	Kind   string `json:"kind"` // "phi" or "lePhi"
	Name   string `json:"name"`
	Amount int64  `json:"amount"`
}

// Ack answers a submission.
type Ack struct {
	Number     string    `json:"number"`
	AcceptedAt time.Time `json:"acceptedAt"`
	// Due is when the result is due if the dossier is received at the time of the answer; zero without a limit.
	Expected time.Time     `json:"expected"`
	State    string        `json:"state"`
	Docs     []DocumentRef `json:"docs,omitempty"`
}

// Message is something the applicant does to a dossier after filing.
type Message struct {
	ID       string `json:"id"` // idempotency key
	FilingID string `json:"filingId"`
	// Kind: "payment", "supplement", "withdraw", "rating", "downloaded".
	Kind    string       `json:"kind"`
	At      time.Time    `json:"at"`
	Payment *PaymentFact `json:"payment,omitempty"`
	Papers  []PaperRef   `json:"papers,omitempty"`
	Note    string       `json:"note,omitempty"`
	Stars   int          `json:"stars,omitempty"`
}

// Notice tells the portal what happened to a dossier (Decree 224/2026 Article 15.1.g): the agency and person who
// act, and when it was received, processed and returned.
type Notice struct {
	FilingID string    `json:"filingId"`
	Number   string    `json:"number"`
	Seq      int64     `json:"seq"`
	Type     EventType `json:"type"`
	At       time.Time `json:"at"`
	State    string    `json:"state"`
	Agency   string    `json:"agency"`
	// AgencyName and Actor are what the applicant sees: who handles the dossier.
	AgencyName string        `json:"agencyName"`
	Actor      string        `json:"actor,omitempty"`
	ActorRole  string        `json:"actorRole,omitempty"`
	Due        time.Time     `json:"due"`
	Paused     bool          `json:"paused,omitempty"`
	Final      bool          `json:"final,omitempty"`
	Data       EventData     `json:"data"`
	FeeTotal   int64         `json:"feeTotal,omitempty"`
	FeePaid    int64         `json:"feePaid,omitempty"`
	Docs       []DocumentRef `json:"docs,omitempty"`
}

// CatalogueItem is a procedure that an agency offers.
type CatalogueItem struct {
	Procedure   string   `json:"procedure"`
	VersionHash string   `json:"versionHash"`
	Version     string   `json:"version"`
	Mode        string   `json:"mode"` // "full" or "partial"
	Units       []Office `json:"units"`
}

// Office is a place that receives dossiers.
type Office struct {
	// Code is that of the unit, such as "H36.14"; dossier numbers begin with it.
	Code string `json:"code"`
	// Name is shown to applicants and printed on slips.
	Name string `json:"name"`
	// Province is the two-digit code of the administrative unit the office serves.
	Province string `json:"province"`
}

// Fact is what oversight learns about a dossier: no personal data, only what is counted. Facts are numbered by the
// node that tells them, so that a reader can continue where it stopped.
type Fact struct {
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"` // event type, or "offer"
	Dossier   string    `json:"dossier,omitempty"`
	Agency    string    `json:"agency"`
	Unit      string    `json:"unit,omitempty"`
	Procedure string    `json:"procedure,omitempty"`
	Mode      string    `json:"mode,omitempty"`
	State     string    `json:"state,omitempty"`
	National  int       `json:"national,omitempty"`
	Channel   string    `json:"channel,omitempty"`
	Due       time.Time `json:"due"`
	Stars     int       `json:"stars,omitempty"`
	Final     bool      `json:"final,omitempty"`
	Paused    bool      `json:"paused,omitempty"`
	FeeTotal  int64     `json:"feeTotal,omitempty"`
	FeePaid   int64     `json:"feePaid,omitempty"`
}
