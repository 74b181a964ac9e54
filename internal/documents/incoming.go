package documents

import (
	"slices"
	"strings"
	"time"

	"truc/internal/i18n"
)

// Incoming is a document from elsewhere, computed from its events.
type Incoming struct {
	ID, Office string
	State      State
	// Arrival is what the message, or the clerk who entered the paper, said.
	Arrival ArrivalRecord
	Files   []File
	// ArrivedAt is when it came, N and Number what the register of arrivals gave it, AcceptedAt when.
	ArrivedAt  time.Time
	N          int64
	Number     string
	AcceptedAt time.Time
	AcceptedBy string
	ConfirmBy  time.Time
	PresentBy  time.Time
	Checks     []CheckEntry
	// Refusal is why it was not taken.
	Refusal     string
	Instruction string
	People      []Assignment
	// DueDate is what the leader set for the whole, else what the sender asks.
	DueDate  time.Time
	Opinions []OpinionNote
	Replies  []Link
	// Answered are documents of ours that it answers.
	Answered []Link
	// Recalls are requests to give it back, and documents that amend it; the last open one waits for an answer.
	Recalls    []RecallHeard
	Cancelled  *Cancellation
	FinishedAt time.Time
	Result     string
	Told       []ToldStatus
	Events     []Event
	Version    int64
	viewers    []string
}

// ArrivalRecord is what is known of a document when it comes in.
type ArrivalRecord struct {
	// Message identifies the copy at the axis, Payload the edXML bytes; empty for paper.
	Message string `json:"message,omitempty"`
	Payload string `json:"payload,omitempty"`
	// Channel is "axis" or "paper".
	Channel    string `json:"channel"`
	Sender     Party  `json:"sender"`
	Superior   string `json:"superior,omitempty"`
	DocumentID string `json:"documentId,omitempty"`
	Code       Code   `json:"code"`
	Date       string `json:"date"`
	// Type is the name of the type as the sender wrote it; TypeCode our code for it, "" when unknown.
	Type        string   `json:"type"`
	TypeCode    string   `json:"typeCode,omitempty"`
	Place       string   `json:"place,omitempty"`
	Subject     string   `json:"subject"`
	Summary     string   `json:"summary,omitempty"`
	Authority   string   `json:"authority,omitempty"`
	SignerTitle string   `json:"signerTitle,omitempty"`
	Signer      string   `json:"signer,omitempty"`
	Urgency     Urgency  `json:"urgency,omitempty"`
	DueDate     string   `json:"dueDate,omitempty"`
	Circulation string   `json:"circulation,omitempty"`
	Copies      int      `json:"copies,omitempty"`
	Pages       int      `json:"pages,omitempty"`
	ToPlaces    []string `json:"toPlaces,omitempty"`
	Appendixes  []string `json:"appendixes,omitempty"`
	Receivers   []Party  `json:"receivers,omitempty"`
	// Steering is the sender's number, shown as it came: the lists of codes disagree.
	Steering int      `json:"steering,omitempty"`
	Tasks    []string `json:"tasks,omitempty"`
	// Kind, Reason and Originals are of a document that revokes, updates or replaces others.
	Kind      Kind     `json:"kind,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	Originals []string `json:"originals,omitempty"`
	// Answers names documents of ours that it answers.
	Answers []string `json:"answers,omitempty"`
	// PaperFollows is set when the sender says so. Notes are what was tolerated while reading, in Vietnamese.
	PaperFollows bool     `json:"paperFollows,omitempty"`
	Notes        []string `json:"notes,omitempty"`
	// SameID and SameCode are documents that were here before (30/2020, appendix VI, 1.h).
	SameID   []string `json:"sameId,omitempty"`
	SameCode []string `json:"sameCode,omitempty"`
	// Hops are the agencies that handled it on the way.
	Hops []Hop `json:"hops,omitempty"`
}

// Hop is an agency that handled a message.
type Hop struct {
	Office string    `json:"office"`
	At     time.Time `json:"at"`
}

// CheckEntry is a look at the pre-check page.
type CheckEntry struct {
	At     time.Time
	By     string
	Record CheckRecord
}

// Assignment is a person's part.
type Assignment struct {
	Account string `json:"account"`
	Name    string `json:"name"`
	Unit    string `json:"unit,omitempty"`
	// Lead is set for the one who answers for the whole.
	Lead bool `json:"lead,omitempty"`
	// Due is the person's limit, zero without one.
	Due time.Time `json:"due,omitzero"`
	// Finished is when the person was through.
	Finished time.Time `json:"finished,omitzero"`
}

// OpinionNote is a line of the "phiếu giải quyết văn bản đến": of the leader, of the head of a unit, of an officer.
type OpinionNote struct {
	At       time.Time
	Account  string
	Name     string
	Title    string
	Kind     string // "instruction", "unit", "officer", "progress"
	Text     string
	Assigned []Assignment
}

// RecallHeard is a request to give a document back or to change it.
type RecallHeard struct {
	At time.Time
	// Kind is [KindNew] for status 13, else what the document Other does.
	Kind   Kind
	Other  string
	Code   string
	Reason string
	From   string
	// DocumentID is edXML's identifier of the amending document.
	DocumentID string
	Answered   time.Time
	Agreed     bool
	Answer     string
}

// Cancellation is that a document was cancelled in this system (28/2018, article 9.2).
type Cancellation struct {
	At     time.Time
	By     string
	Reason string
}

// ToldStatus is a status that was sent to the sender.
type ToldStatus struct {
	Code StatusCode
	At   time.Time
	Text string
}

// foldIncoming computes a document from its events.
func foldIncoming(id string, events []Event) *Incoming {
	in := &Incoming{ID: id, State: Arrived, Events: events, Version: int64(len(events))}
	for _, e := range events {
		in.apply(e)
		if e.Data.Told != "" {
			text := e.Data.Reason
			if text == "" {
				text = e.Data.Note
			}
			in.Told = append(in.Told, ToldStatus{Code: e.Data.Told, At: e.At, Text: text})
		}
		if e.Actor != system && e.Type != EvArrived && !slices.Contains(in.viewers, e.Actor) {
			in.viewers = append(in.viewers, e.Actor)
		}
		for _, p := range e.Data.People {
			if !slices.Contains(in.viewers, p.Account) {
				in.viewers = append(in.viewers, p.Account)
			}
		}
	}
	return in
}

func (in *Incoming) apply(e Event) {
	x := e.Data
	switch e.Type {
	case EvArrived, EvEntered:
		in.Office, in.Files, in.ArrivedAt, in.ConfirmBy = x.Office, x.Files, e.At, timeOf(x.Due)
		if x.Arrival != nil {
			in.Arrival = *x.Arrival
		}
		in.Answered = x.Links
		in.DueDate = endOfDay(in.Arrival.DueDate)
	case EvChecked:
		if x.Check != nil {
			in.Checks = append(in.Checks, CheckEntry{At: e.At, By: e.ActorName, Record: *x.Check})
		}
	case EvAccepted:
		in.State, in.N, in.Number, in.AcceptedAt, in.AcceptedBy, in.PresentBy = Accepted, x.N, FormatNumber(x.N), e.At, e.ActorName, timeOf(x.Due)
	case EvRefused:
		in.State, in.Refusal, in.FinishedAt = Refused, x.Reason, e.At
	case EvAssigned:
		in.assign(e)
	case EvOpinion:
		in.opinion(e)
	case EvStarted:
		in.State = Working
	case EvReplied:
		in.Replies = append(in.Replies, x.Links...)
	case EvFinished:
		in.finish(e)
	default:
		in.applyRecall(e)
	}
}

func (in *Incoming) applyRecall(e Event) {
	x := e.Data
	switch e.Type {
	case EvRecallHeard, EvAmendmentHeard:
		in.Recalls = append(in.Recalls, RecallHeard{At: e.At, Kind: x.Kind, Other: x.Other, Code: codeText(x.Code), Reason: x.Reason, From: x.To, DocumentID: x.DocumentID})
	case EvCancelled:
		in.State = Cancelled
		in.Cancelled = &Cancellation{At: e.At, By: e.ActorName, Reason: x.Reason}
	case EvRecallAnswered:
		for i := range in.Recalls {
			r := &in.Recalls[i]
			if r.Answered.IsZero() {
				r.Answered, r.Agreed, r.Answer = e.At, x.Agree, x.Reason
				if x.Agree && r.Kind == KindReplacement {
					in.State = Replaced
				}
				break
			}
		}
	default: // kept in the chain, changes nothing here
	}
}

func (in *Incoming) assign(e Event) {
	in.State = Assigned
	in.Instruction = e.Data.Note
	in.People = slices.Clone(e.Data.People)
	if due := timeOf(e.Data.Due); !due.IsZero() {
		in.DueDate = due
	}
	in.Opinions = append(in.Opinions, OpinionNote{At: e.At, Account: e.Actor, Name: e.ActorName, Title: e.ActorTitle, Kind: "instruction", Text: e.Data.Note, Assigned: e.Data.People})
}

func (in *Incoming) opinion(e Event) {
	in.Opinions = append(in.Opinions, OpinionNote{At: e.At, Account: e.Actor, Name: e.ActorName, Title: e.ActorTitle, Kind: e.Data.Progress, Text: e.Data.Note})
}

// finish ends the whole when the lead is through, or one person's part.
func (in *Incoming) finish(e Event) {
	people := slices.Clone(in.People)
	for i := range people {
		if people[i].Account == e.Data.To {
			people[i].Finished = e.At
		}
	}
	in.People = people
	if e.Data.Told == StatusDone || e.Data.Agree {
		in.State, in.FinishedAt, in.Result = Done, e.At, e.Data.Note
		return
	}
	in.Opinions = append(in.Opinions, OpinionNote{At: e.At, Account: e.Actor, Name: e.ActorName, Title: e.ActorTitle, Kind: "progress", Text: e.Data.Note})
}

// OpenRecall returns the request that waits for an answer, nil when none does.
func (in *Incoming) OpenRecall() *RecallHeard {
	for i := range in.Recalls {
		if in.Recalls[i].Answered.IsZero() {
			return &in.Recalls[i]
		}
	}
	return nil
}

// MayAgree reports whether agreement can be offered: to a recall or a revocation only after the document was cancelled
// here (28/2018, article 9.2).
func (in *Incoming) MayAgree() bool {
	r := in.OpenRecall()
	if r == nil {
		return false
	}
	return in.State == Cancelled || r.Kind == KindUpdate || r.Kind == KindReplacement
}

func endOfDay(day string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, day, i18n.Zone)
	if err != nil {
		return time.Time{}
	}
	return t.AddDate(0, 0, 1).UTC()
}

// row is the projection for lists.
func (in *Incoming) row() Row {
	a := in.Arrival
	r := Row{
		ID: in.ID, Direction: In, Office: in.Office, State: in.State, Kind: a.Kind, Type: a.TypeCode,
		Number: a.Code.Number, Notation: a.Code.Notation, N: in.N, Date: a.Date, Subject: a.Subject,
		Party: a.Sender.Code, PartyName: a.Sender.Name, DocumentID: a.DocumentID, Signer: a.Signer, Urgency: a.Urgency,
		RegisterAt: in.AcceptedAt, DoneAt: in.FinishedAt, Viewers: in.viewers,
	}
	if r.Type == "" {
		r.Type = a.Type
	}
	if lead := in.Lead(); lead != nil && in.State != Done {
		r.Holder = lead.Account
	}
	if in.Cancelled != nil {
		r.DoneAt = in.Cancelled.At
	}
	r.Due, r.Clock = in.clock()
	r.Flags = in.flags()
	r.Search = i18n.Fold(strings.Join([]string{
		a.Code.String(), a.Subject, a.Sender.Code, a.Sender.Name, a.Signer, in.Number, in.Instruction,
	}, " "))
	return r
}

// Lead returns who answers for the whole.
func (in *Incoming) Lead() *Assignment {
	i := slices.IndexFunc(in.People, func(p Assignment) bool { return p.Lead })
	if i < 0 {
		return nil
	}
	return &in.People[i]
}

// clock is the nearest limit that runs.
func (in *Incoming) clock() (time.Time, Clock) {
	switch in.State {
	case Arrived:
		return in.ConfirmBy, ClockConfirm
	case Accepted:
		return in.PresentBy, ClockPresent
	case Assigned, Working:
		due := in.DueDate
		for _, p := range in.People {
			if p.Finished.IsZero() && !p.Due.IsZero() && (due.IsZero() || p.Due.Before(due)) {
				due = p.Due
			}
		}
		if !due.IsZero() {
			return due, ClockWork
		}
	default:
	}
	return time.Time{}, ClockNone
}

func (in *Incoming) flags() []string {
	var out []string
	add := func(when bool, f string) {
		if when {
			out = append(out, f)
		}
	}
	add(len(in.Arrival.SameID) > 0, FlagDuplicateID)
	add(len(in.Arrival.SameCode) > 0, FlagDuplicateCode)
	r := in.OpenRecall()
	add(r != nil && r.Kind == KindNew, FlagRecall)
	add(r != nil && r.Kind != KindNew, FlagAmended)
	add(slices.ContainsFunc(in.Files, func(f File) bool { return f.Lies }), FlagLies)
	if n := len(in.Checks); n > 0 {
		add(in.Checks[n-1].Record.Legal != LegalOriginal && in.Arrival.Channel == "axis", FlagSignature)
	}
	return out
}
