package registers

import (
	"context"
	"time"
)

// AccessLog keeps the processing lines that a person can read about themself (trust.md §1).
type AccessLog interface {
	// RecordAccess stores all lines durably before it returns, or none. The data are withheld when it fails.
	RecordAccess(ctx context.Context, lines ...Access) error
}

// Access is one processing line: the data of one person left the register once. It names no officer.
type Access struct {
	Time time.Time
	// SubjectID is the personal number of the person whose data were read. Personal data.
	SubjectID string
	// Agency, AgencyName and Subsystem say who received the data; Subsystem is "VN/GOV/H36/onestop".
	Agency, AgencyName, Subsystem string
	Register                      string
	// Activity is the processing activity, Purpose its purpose in Vietnamese, which is what the person reads.
	Activity, Purpose, LegalBasis, Dossier string
	// Fields are the dotted paths delivered (for a check: compared).
	Fields []string
	// Kind is query, match or verify.
	Kind string
	// ExchangeID and RequestID link the line to the exchange's evidence.
	ExchangeID, RequestID string
}

// UsageLog answers a person's question "who has used my data?".
type UsageLog interface {
	// Usage returns the visible lines about a person, the newest first, and how many there are in all.
	Usage(ctx context.Context, q UsageQuery) (UsagePage, error)
	// Withheld returns, for each rule, how many lines are not shown yet.
	Withheld(ctx context.Context, subjectID string) ([]Withheld, error)
	// Receipt returns the proof of one line of that person as a ZIP file; NotFound when it is not theirs.
	Receipt(ctx context.Context, subjectID, lineID string) ([]byte, error)
	// Since returns the time of the oldest line that is kept; zero when nothing was logged yet.
	Since(ctx context.Context) (time.Time, error)
}

// UsageQuery selects lines about one person. Zero times do not bound.
type UsageQuery struct {
	SubjectID     string
	From, To      time.Time
	Offset, Limit int
}

// UsagePage is a part of the lines about one person. Total counts all that match, whatever Offset and Limit.
type UsagePage struct {
	Total int
	Lines []UsageLine
}

// UsageLine is one line as its subject sees it.
type UsageLine struct {
	LineID string
	Access
}

// Withheld counts lines that a legal rule keeps back, and says when they will be shown.
type Withheld struct {
	Count     int
	Article   string
	ReleaseOn time.Time // zero: not known
}

// Store keeps registers. Errors: NotFound for an unknown key where one is asked for, Conflict for a lost race.
type Store interface {
	// Append writes entries in one transaction: all or none, numbered without gaps in the order given.
	Append(ctx context.Context, register string, entries []StoredEntry) (first int64, err error)
	// Get returns the current records of the given keys, in no order; unknown keys are left out.
	Get(ctx context.Context, register string, keys []string) ([]Record, error)
	// Find returns keys by a value of an alias or by name and birth date or year; at most limit.
	Find(ctx context.Context, register string, by Block, limit int) ([]Candidate, error)
	// Entries returns entries after a number, or only those of one key when it is not empty, oldest first.
	Entries(ctx context.Context, register, key string, after int64, limit int) ([]Entry, error)
	// CountRead adds to the daily count of reads, which holds no personal data.
	CountRead(ctx context.Context, c ReadCount) error
	// Counts returns the size of a register and its reads since a day (YYYY-MM-DD).
	Counts(ctx context.Context, register, since string) (Counts, error)
}
