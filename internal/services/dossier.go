package services

import (
	"log/slog"
	"slices"
	"time"
)

// Dossier is the state of one case at the agency that handles it: the fold of its events over its submission.
type Dossier struct {
	ID     string
	Number string
	// Submission is what was filed, unchanged since.
	Submission Submission
	// Three organisations that differ in practice: where it was received, who must decide, who has it now.
	ReceivedAgency, CompetentAgency, CurrentAgency string

	// State is the business state; Previous the one before a pause.
	State, Previous string
	// Finance: "none", "due", "paid". Digitisation: "digital", "scanned", "none". Delivery: "none", "ready",
	// "delivered". They change independently of State and of each other.
	Finance, Digitisation, Delivery string

	SubmittedAt, ReceivedAt, FinishedAt, ReturnedAt time.Time
	// Due is zero before reception and when the procedure has no limit.
	Due time.Time
	// PausedSince is set while the clock stands still.
	PausedSince time.Time
	FeeTotal    int64
	FeePaid     int64
	Payments    []PaymentFact
	Assignee    string
	// Supplements counts the requests made; Extensions the extensions granted.
	Supplements, Extensions int
	Supplement              *Event // the open request, when waiting
	Checks                  []RegisterCheck
	Papers                  []PaperRef
	Docs                    []DocumentRef
	Stars                   int
	Comment                 string
	// Version is the number of the last event: the optimistic lock of every action.
	Version int64
	Final   bool
}

// LogValue keeps the applicant out of logs.
func (d *Dossier) LogValue() slog.Value {
	return slog.GroupValue(slog.String("number", d.Number), slog.String("state", d.State))
}

// LogValue keeps personal data out of logs.
func (a Applicant) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Paid reports whether nothing is owed.
func (d *Dossier) Paid() bool { return d.FeePaid >= d.FeeTotal }

// Doc returns the document with the id.
func (d *Dossier) Doc(id string) (DocumentRef, bool) {
	for _, r := range d.Docs {
		if r.ID == id {
			return r, true
		}
	}
	return DocumentRef{}, false
}

// Result returns the newest signed result.
func (d *Dossier) Result() (DocumentRef, bool) {
	for _, doc := range slices.Backward(d.Docs) {
		if doc.Kind == DocResult {
			return doc, true
		}
	}
	return DocumentRef{}, false
}

// Kinds of documents.
const (
	DocSubmission = "submission" // confirmation of filing, with the number and the QR code
	DocReceipt    = "slip-01"
	DocSupplement = "slip-02"
	DocRefusal    = "slip-03"
	DocApology    = "slip-04"
	DocStop       = "slip-05"
	DocControl    = "slip-06"
	DocResult     = "result"
)

// Apply folds one event into d. It trusts that the event was allowed when it was written; what the flow allows is
// decided before. The due date is not touched here: see [Clock].
func (d *Dossier) Apply(e Event, flow Flow) {
	d.Version = e.Seq
	if e.To != "" && e.To != e.From {
		if flow.Paused(e.To) && !flow.Paused(d.State) {
			d.Previous = d.State
			d.PausedSince = e.At
		}
		if !flow.Paused(e.To) {
			d.PausedSince = time.Time{}
		}
		d.State = e.To
		d.Final = flow.Final(e.To)
		if flow.Done(e.To) && d.FinishedAt.IsZero() {
			d.FinishedAt = e.At
		}
	}
	if e.Data.Assignee != "" {
		d.Assignee = e.Data.Assignee
	}
	if e.Data.Document != nil {
		d.Docs = append(d.Docs, *e.Data.Document)
	}
	if e.Data.Check != nil {
		d.Checks = append(d.Checks, *e.Data.Check)
	}
	d.applyByType(e)
	d.Finance = "none"
	if d.FeeTotal > 0 {
		d.Finance = "due"
		if d.Paid() {
			d.Finance = "paid"
		}
	}
}

func (d *Dossier) applyByType(e Event) {
	switch e.Type {
	case EvSubmitted:
		d.SubmittedAt = e.At
		d.Delivery = "none"
	case EvReceived:
		d.ReceivedAt = e.At
	case EvSupplementRequested:
		d.Supplements++
		req := e
		d.Supplement = &req
	case EvSupplementReceived:
		d.Supplement = nil
		d.Papers = append(d.Papers, e.Data.Added...)
	case EvPaymentConfirmed:
		if p := e.Data.Payment; p != nil {
			d.Payments = append(d.Payments, *p)
			d.FeePaid += p.Amount
		}
	case EvExtended:
		d.Extensions++
	case EvSigned:
		d.Delivery = "ready"
	case EvDelivered:
		d.ReturnedAt = e.At
		d.Delivery = "delivered"
	case EvRefused, EvStopped, EvWithdrawn:
		d.FinishedAt = e.At
		d.Supplement = nil
	case EvRated:
		d.Stars, d.Comment = e.Data.Stars, e.Data.Comment
	default: // told in the history, nothing to keep
	}
}

// Flow answers what the fold needs to know of a procedure's states.
type Flow interface {
	Paused(state string) bool
	Final(state string) bool
	// Done reports whether the state means that work on the dossier has ended (national codes 3, 7, 8, 9, 10).
	Done(state string) bool
}
