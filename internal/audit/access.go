package audit

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"truc/internal/i18n"
)

// Kind says in what way data were used.
type Kind string

// The kinds of access.
const (
	Query    Kind = "query"    // values were given
	Match    Kind = "match"    // yes or no to values that the asker brought
	Verify   Kind = "verify"   // the state of a document or fact was confirmed
	Self     Kind = "self"     // the person, or a representative, looked at the own data
	Internal Kind = "internal" // the agency that keeps the data used them itself
)

// Access is one use of one person's data. It is personal data.
type Access struct {
	// SubjectID is the 12-digit personal number of the person whose data it is.
	SubjectID string
	// At is when; zero means now.
	At time.Time
	// Agency is the code of who received or processed the data, such as "H36", and AgencyName its name then.
	Agency, AgencyName string
	// Subsystem is the technical receiver, such as "VN/GOV/H36/onestop".
	Subsystem string
	// Register is the source, such as "population".
	Register string
	// Activity names the processing activity in its register.
	Activity string
	// Purpose is a message key; Text is the purpose in words, for a purpose that has no key.
	Purpose, Text string
	// LegalBasis is the article relied on; Dossier the case or draft that the data were needed for.
	LegalBasis, Dossier string
	// Fields are the field groups that were given.
	Fields []string
	Kind   Kind
	// ExchangeID and RequestID link the line to the evidence of the exchange.
	ExchangeID, RequestID string
	// HiddenReason is the rule that withholds the line from the citizen, empty for almost all; HiddenUntil is
	// when it ends, zero when no date is known.
	HiddenReason string
	HiddenUntil  time.Time
}

// LogValue keeps personal data out of logs.
func (a Access) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", string(a.Kind)), slog.String("agency", a.Agency), slog.String("exchange_id", a.ExchangeID))
}

// Line is an access as stored.
type Line struct {
	Access
	// LineID names the line; it says nothing about anybody.
	LineID string
	// LogIndex is the place of its leaf in the log, -1 while that is not known.
	LogIndex int64
}

// Usage is a line in the shape that Estonia's Data Tracker protocol calls Usage (trust.md §1.2).
type Usage struct {
	LogTime        time.Time `json:"logtime"`
	Action         string    `json:"action"` // a reason for people, never a service code
	ReceiverCode   string    `json:"receiverCode"`
	ReceiverName   string    `json:"receiverName,omitempty"`
	ReceiverSystem string    `json:"receiverSystem"`
}

// UsagePage is the answer of findUsage. TotalUsages counts all lines that match, whatever the page.
type UsagePage struct {
	TotalUsages int     `json:"totalUsages"`
	Usages      []Usage `json:"usages"`
}

// Usage returns the line as findUsage shows it; text gives the words for a message key.
func (l Line) Usage(text func(key string) string) Usage {
	action := l.Text
	if l.Purpose != "" {
		action = text(l.Purpose)
	}
	return Usage{LogTime: l.At.In(i18n.Zone), Action: action, ReceiverCode: l.Agency, ReceiverName: l.AgencyName, ReceiverSystem: l.Subsystem}
}

const (
	recordVersion = "truc-access-1"
	timeFormat    = "2006-01-02T15:04:05.000000Z"
	maxRecord     = 32 << 10
)

// ValidSubject reports whether s has the form of a personal number: 12 digits (Decree 70/2024).
func ValidSubject(s string) bool {
	if len(s) != 12 {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// record returns the canonical bytes to which the leaf commits.
func (a Access) record() ([]byte, error) {
	if !ValidSubject(a.SubjectID) {
		return nil, errors.New("the subject is not a personal number")
	}
	if _, ok := kindCodes[a.Kind]; !ok {
		return nil, fmt.Errorf("kind %q", a.Kind)
	}
	if a.Agency == "" {
		return nil, errors.New("an access needs an agency")
	}
	fields := a.Fields
	if fields == nil {
		fields = []string{}
	}
	b, err := canonical(map[string]any{
		"v": recordVersion, "subject": a.SubjectID, "at": a.At.UTC().Format(timeFormat), "agency": a.Agency, "agencyName": a.AgencyName,
		"subsystem": a.Subsystem, "register": a.Register, "activity": a.Activity, "purpose": a.Purpose, "text": a.Text,
		"basis": a.LegalBasis, "dossier": a.Dossier, "fields": fields, "kind": string(a.Kind), "exchangeId": a.ExchangeID,
		"requestId": a.RequestID, "hiddenReason": a.HiddenReason, "hiddenUntil": formatTime(a.HiddenUntil),
	})
	if err == nil && len(b) > maxRecord {
		return nil, errors.New("the record is too long")
	}
	return b, err
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeFormat)
}

// parseRecord is the inverse of record.
func parseRecord(b []byte) (Access, error) {
	var r struct {
		V, Subject, At, Agency, AgencyName, Subsystem, Register, Activity, Purpose, Text, Basis, Dossier, Kind string
		ExchangeID, RequestID, HiddenReason, HiddenUntil                                                       string
		Fields                                                                                                 []string
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return Access{}, err
	}
	if r.V != recordVersion {
		return Access{}, fmt.Errorf("record version %q", r.V)
	}
	a := Access{
		SubjectID: r.Subject, Agency: r.Agency, AgencyName: r.AgencyName, Subsystem: r.Subsystem, Register: r.Register, Activity: r.Activity,
		Purpose: r.Purpose, Text: r.Text, LegalBasis: r.Basis, Dossier: r.Dossier, Fields: r.Fields, Kind: Kind(r.Kind),
		ExchangeID: r.ExchangeID, RequestID: r.RequestID, HiddenReason: r.HiddenReason,
	}
	var err error
	if a.At, err = time.Parse(timeFormat, r.At); err != nil {
		return Access{}, errors.New("time of the record")
	}
	if r.HiddenUntil != "" {
		if a.HiddenUntil, err = time.Parse(timeFormat, r.HiddenUntil); err != nil {
			return Access{}, errors.New("release time of the record")
		}
	}
	return a, nil
}

// commitment is what the leaf holds in place of the record.
func commitment(salt [16]byte, record []byte) [32]byte {
	return sha256.Sum256(append(salt[:], record...))
}
