package audit

import (
	"context"
	"time"
)

// Store keeps the records. auditstore implements it.
type Store interface {
	// Write runs f in one transaction and returns when that is durable. f may be run more than once.
	Write(ctx context.Context, f func(w Writer) error) error
	// Pending returns the leaves of this process's log, which holds size entries, whose place in it is not noted, by number,
	// and the greatest noted place (-1 when there is none).
	Pending(ctx context.Context, size int64) (leaves []PendingLeaf, last int64, err error)
	// Lines returns a page of a person's lines, newest first, and how many match in all.
	Lines(ctx context.Context, q LineQuery) (lines []StoredLine, total int, err error)
	// Line returns one line of a person; errs.NotFound when it is not that person's.
	Line(ctx context.Context, subjectID string, seq int64) (StoredLine, error)
	// Withheld counts the lines that are hidden at a time, with the first time after it at which one of them
	// is released (zero: no date is known).
	Withheld(ctx context.Context, subjectID string, now time.Time) (n int, until time.Time, err error)
	// EpochUsed reports whether any chain exists in an epoch.
	EpochUsed(ctx context.Context, epoch int) (bool, error)
}

// Writer is what can be done in a transaction of [Store.Write].
type Writer interface {
	// NextSeq reserves n numbers and returns the first. Numbers are never given twice.
	NextSeq(ctx context.Context, n int) (first int64, err error)
	// Head returns the leaf hash of the last line of a chain, zero when there is none.
	Head(ctx context.Context, epoch int, tag [16]byte) ([32]byte, error)
	// SetHead moves the head of a chain by lines more lines.
	SetHead(ctx context.Context, epoch int, tag [16]byte, head [32]byte, lines int) error
	InsertLine(ctx context.Context, l StoredLine) error
	// InsertAct reports false when an act of this id is there already.
	InsertAct(ctx context.Context, a StoredAct) (inserted bool, err error)
	// MarkLogged notes the place of a leaf in the log.
	MarkLogged(ctx context.Context, seq, index int64) error
}

// PendingLeaf is a leaf that may not be in the log yet.
type PendingLeaf struct {
	Seq  int64
	Leaf []byte
}

// StoredLine is a line in the database.
type StoredLine struct {
	Seq       int64
	SubjectID string
	At        time.Time
	Epoch     int
	// Hidden withholds the line until HiddenUntil; a zero time is never.
	Hidden      bool
	HiddenUntil time.Time
	Record      []byte
	Salt        [16]byte
	Leaf        []byte
	LogIndex    int64
	// Elsewhere: the leaf is in the log of another process on the same database.
	Elsewhere bool
}

// StoredAct is an act in the database.
type StoredAct struct {
	ID                    string
	Seq                   int64
	At                    time.Time
	Actor, Action, Object string
	Record                []byte
	Salt                  [16]byte
	Leaf                  []byte
}

// LineQuery asks for lines with From ≤ At < To that are not hidden at Now. A zero To has no bound.
type LineQuery struct {
	SubjectID     string
	From, To, Now time.Time
	Offset, Limit int
}

// Log is a transparency log; *translog.Log is one.
type Log interface {
	// AppendNoWait stores entries and returns the place of the first and a function that waits until all are
	// on the disk.
	AppendNoWait(entries ...[]byte) (first int64, wait func(context.Context) error, err error)
	// Size counts the entries, on the disk or not.
	Size() int64
	Entry(i int64) ([]byte, error)
	// ReceiptExtra returns a C2SP tlog-proof of entry i that carries extra.
	ReceiptExtra(i int64, extra []byte) ([]byte, error)
	VerifierKey() string
}

// Keys keeps the secret key of each epoch.
type Keys interface {
	// Load fails with ErrNoKey or ErrKeyDestroyed.
	Load(epoch int) ([]byte, error)
	// Create makes the key of an epoch that has none.
	Create(epoch int) ([]byte, error)
}
