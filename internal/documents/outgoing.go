package documents

import (
	"slices"
	"strings"
	"time"

	"truc/internal/i18n"
)

// Outgoing is a document of this office, computed from its events.
type Outgoing struct {
	ID, Office string
	State      State
	Kind       Kind
	Form       DraftForm
	// Versions are the forms as they were saved, the first included.
	Versions []DraftVersion
	// Attachments are separate files; after Issue the signed ones.
	Attachments []File
	// Links are documents of this desk that this one answers or amends; Amended are later ones that amend it.
	Links, Amended []Link
	// Answers are incoming documents that answer it.
	Answers []Link
	// AmendReason and Removed are of a document that amends: why, and who receives it no longer.
	AmendReason string
	Removed     []Party
	Drafter     string
	DrafterName string
	// Holder is whose turn it is, Reviews what was said on the way.
	Holder  string
	Reviews []ReviewNote

	Code   Code
	N      int64
	Series string
	// Date is the date of the document, "2006-01-02".
	Date string
	// Voided are numbers that were taken and given up.
	Voided   []Code
	Signed   *File // by the person
	SignedAt time.Time
	SignedBy string // account
	Pages    int
	Seal     Box
	// Main is the document with both signatures.
	Main       *File
	IssuedAt   time.Time
	IssuedBy   string // name of the clerk
	SealBy     time.Time
	SendBy     time.Time
	SendAt     time.Time
	DocumentID string
	// Dispatches are the messages to the axis, one for each time it was sent.
	Dispatches []Dispatch
	SentAt     time.Time
	Recalls    []RecallAsked
	Statuses   []HeardStatus
	News       []AxisNews
	Events     []Event
	Version    int64
	viewers    []string
}

// DraftVersion is a form as it was saved.
type DraftVersion struct {
	Version int64
	At      time.Time
	By      string
	Form    DraftForm
}

// ReviewNote is what a reviewer said.
type ReviewNote struct {
	At       time.Time
	Account  string
	Name     string
	Decision string // "submitted", "approved", "returned"
	To       string
	Note     string
}

// Dispatch is one sending.
type Dispatch struct {
	Carriage  string
	At        time.Time
	ConfirmBy time.Time
	Payload   File
	Receivers []Party
}

// RecallAsked is a request to give a document back.
type RecallAsked struct {
	At        time.Time
	Receivers []Party
	Reason    string
}

// foldOutgoing computes a document from its events.
func foldOutgoing(id string, events []Event) *Outgoing {
	o := &Outgoing{ID: id, State: Drafting, Events: events, Version: int64(len(events))}
	for _, e := range events {
		o.apply(e)
		if e.Actor != system && !slices.Contains(o.viewers, e.Actor) && e.Type != EvStatusHeard {
			o.viewers = append(o.viewers, e.Actor)
		}
		if o.Holder != "" && !slices.Contains(o.viewers, o.Holder) {
			o.viewers = append(o.viewers, o.Holder)
		}
	}
	return o
}

func (o *Outgoing) apply(e Event) {
	x := e.Data
	switch e.Type {
	case EvDrafted:
		o.Office, o.Kind, o.Links = x.Office, x.Kind, x.Links
		o.AmendReason, o.Removed, o.Attachments = x.Reason, x.Receivers, x.Files
		o.Drafter, o.DrafterName, o.Holder = e.Actor, e.ActorName, e.Actor
		o.version(e)
	case EvSaved:
		o.version(e)
	case EvAttached:
		o.Attachments = append(o.Attachments, *x.File)
	case EvDetached:
		o.Attachments = slices.DeleteFunc(slices.Clone(o.Attachments), func(f File) bool { return f.ID == x.File.ID })
	case EvSubmitted, EvApproved, EvReturned:
		o.review(e)
	case EvNumbered:
		o.State, o.Code, o.N, o.Series, o.Date = Numbered, *x.Code, x.N, x.Series, x.Date
		o.SealBy = timeOf(x.Due)
	case EvVoided:
		o.Voided = append(o.Voided, o.Code)
		o.Code, o.N, o.Series, o.Date, o.Signed, o.DocumentID = Code{}, 0, "", "", nil, ""
		o.SealBy = time.Time{}
		o.State, o.Holder = Drafting, o.Drafter
	case EvPersonSigned:
		o.State, o.Signed, o.SignedAt, o.SignedBy, o.Pages, o.Holder = Signed, x.File, e.At, e.Actor, x.Pages, ""
		o.Form.SignerName, o.Form.SignerTitle = e.ActorName, e.ActorTitle
		o.SealBy = timeOf(x.Due)
		if x.Seal != nil {
			o.Seal = *x.Seal
		}
	case EvIssued:
		o.State, o.Main, o.IssuedAt, o.IssuedBy = Issued, x.File, e.At, e.ActorName
		o.Attachments, o.SendBy, o.SendAt, o.DocumentID = x.Files, timeOf(x.Due), timeOf(x.At), x.DocumentID
	case EvDiscarded:
		o.State, o.Holder = Discarded, ""
	case EvAmended:
		o.amended(e)
	default:
		o.applySent(e)
	}
}

// applySent folds what happens to a document that has left.
func (o *Outgoing) applySent(e Event) {
	x := e.Data
	switch e.Type {
	case EvScheduled:
		o.SendAt = timeOf(x.At)
	case EvSent:
		if o.State == Issued {
			o.State = Sent
		}
		o.SendAt = time.Time{}
		if o.SentAt.IsZero() {
			o.SentAt = e.At
		}
		o.Dispatches = append(o.Dispatches, Dispatch{Carriage: x.Carriage, At: e.At, ConfirmBy: timeOf(x.Due), Payload: *x.Payload, Receivers: x.Receivers})
	case EvRecalled:
		o.Recalls = append(o.Recalls, RecallAsked{At: e.At, Receivers: x.Receivers, Reason: x.Reason})
	case EvStatusHeard:
		o.Statuses = append(o.Statuses, *x.Status)
	case EvAnswered:
		o.Answers = append(o.Answers, Link{ID: x.Other, Code: codeText(x.Code), DocumentID: x.DocumentID, Date: x.Date, Party: x.To})
	case EvAxisHeard:
		o.News = append(o.News, *x.Axis)
	default: // kept in the chain, changes nothing here
	}
}

func (o *Outgoing) version(e Event) {
	if e.Data.Form != nil {
		o.Form = *e.Data.Form
		o.Versions = append(o.Versions, DraftVersion{Version: e.Seq, At: e.At, By: e.ActorName, Form: o.Form})
	}
}

func (o *Outgoing) review(e Event) {
	x := e.Data
	n := ReviewNote{At: e.At, Account: e.Actor, Name: e.ActorName, Decision: string(e.Type), To: x.To, Note: x.Note}
	o.Reviews = append(o.Reviews, n)
	o.Holder = x.To
	switch {
	case e.Type == EvReturned:
		o.State = Drafting
	case x.To == o.Form.Signer:
		o.State = Approved
	default:
		o.State = Reviewing
	}
}

func (o *Outgoing) amended(e Event) {
	o.Amended = append(o.Amended, Link{Kind: e.Data.Kind, ID: e.Data.Other, Code: codeText(e.Data.Code), Date: e.Data.Date})
	switch e.Data.Kind {
	case KindRevocation:
		o.State = Revoked
	case KindReplacement:
		o.State = Replaced
	default:
	}
}

func codeText(c *Code) string {
	if c == nil {
		return ""
	}
	return c.String()
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// Receivers returns whom it was sent to the last time, or is to be sent to.
func (o *Outgoing) Receivers() []Party {
	if n := len(o.Dispatches); n > 0 {
		return slices.Clone(o.Dispatches[n-1].Receivers)
	}
	var out []Party
	for _, code := range o.Form.Receivers {
		out = append(out, Party{Code: code})
	}
	return out
}

// row is the projection for lists.
func (o *Outgoing) row() Row {
	r := Row{
		ID: o.ID, Direction: Out, Office: o.Office, State: o.State, Kind: o.Kind, Type: o.Form.Type,
		Number: o.Code.Number, Notation: o.Code.Notation, N: o.N, Date: o.Date, Subject: o.Form.Subject,
		DocumentID: o.DocumentID, Drafter: o.Drafter, Holder: o.Holder, Signer: o.Form.Signer, Urgency: o.Form.Urgency,
		SendAt: o.SendAt, SentAt: o.SentAt, RegisterAt: o.IssuedAt, Viewers: o.viewers,
	}
	var codes, names []string
	for _, p := range o.Receivers() {
		codes, names = append(codes, p.Code), append(names, p.Name)
	}
	if len(codes) > 0 {
		r.Party = " " + strings.Join(codes, " ") + " "
	}
	r.PartyName = strings.Join(without(names, ""), "; ")
	tracks := o.Tracks()
	r.Due, r.Clock = o.clock(tracks)
	r.Flags = o.flags(tracks)
	r.DoneAt = doneAt(tracks)
	r.Search = i18n.Fold(strings.Join(append([]string{
		o.Code.String(), o.Form.Subject, r.Party, r.PartyName, o.Form.SignerName, o.DrafterName, strings.Join(o.Form.ToPlaces, " "),
	}, o.Form.Addressees...), " "))
	return r
}

// clock is the nearest limit of the law that runs.
func (o *Outgoing) clock(tracks []Track) (time.Time, Clock) {
	switch o.State {
	case Numbered, Signed: // a number without a signature must not outlive its day
		return o.SealBy, ClockSeal
	case Issued:
		if len(o.Form.Receivers) > 0 {
			return o.SendBy, ClockSend
		}
	case Sent:
		var due time.Time
		for _, t := range tracks {
			if t.Confirmed() || t.ConfirmBy.IsZero() {
				continue
			}
			if due.IsZero() || t.ConfirmBy.Before(due) {
				due = t.ConfirmBy
			}
		}
		if !due.IsZero() {
			return due, ClockConfirm
		}
	default:
	}
	return time.Time{}, ClockNone
}
