package documents

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"truc/internal/errs"
)

// EventType names what happened to a document. Types are append-only: they are stored.
type EventType string

// The events of outgoing documents.
const (
	EvDrafted      EventType = "drafted"
	EvSaved        EventType = "saved"
	EvAttached     EventType = "attached"
	EvDetached     EventType = "detached"
	EvSubmitted    EventType = "submitted"
	EvApproved     EventType = "approved"
	EvReturned     EventType = "returned"
	EvNumbered     EventType = "numbered"
	EvPersonSigned EventType = "personSigned"
	EvIssued       EventType = "issued"
	EvScheduled    EventType = "scheduled"
	EvSent         EventType = "sent"
	EvVoided       EventType = "numberVoided"
	EvDiscarded    EventType = "discarded"
	EvRecalled     EventType = "recalled"
	EvAmended      EventType = "amended" // another document of ours revokes, updates or replaces it
	EvStatusHeard  EventType = "statusHeard"
	EvAxisHeard    EventType = "axisHeard"
	EvAnswered     EventType = "answered" // an arrived document answers it
)

// The events of incoming documents.
const (
	EvArrived        EventType = "arrived"
	EvEntered        EventType = "entered" // from paper
	EvChecked        EventType = "checked"
	EvAccepted       EventType = "accepted"
	EvRefused        EventType = "refused"
	EvAssigned       EventType = "assigned"
	EvOpinion        EventType = "opinion"
	EvStarted        EventType = "started"
	EvReplied        EventType = "replied"
	EvFinished       EventType = "finished"
	EvRecallHeard    EventType = "recallHeard"
	EvAmendmentHeard EventType = "amendmentHeard"
	EvCancelled      EventType = "cancelled"
	EvRecallAnswered EventType = "recallAnswered"
	EvCopied         EventType = "copied" // an electronic copy was made, of documents of both directions
)

// Event is one fact in the life of a document. Events are append-only and chained: Hash covers the event and PrevHash, so
// a change of any of them shows.
type Event struct {
	Seq  int64     `json:"seq"`
	Type EventType `json:"type"`
	At   time.Time `json:"at"`
	// Actor is the account of the officer, or "system"; ActorName and ActorTitle are shown.
	Actor      string    `json:"actor"`
	ActorName  string    `json:"actorName,omitempty"`
	ActorTitle string    `json:"actorTitle,omitempty"`
	Data       EventData `json:"data"`

	PrevHash string `json:"-"`
	Hash     string `json:"-"`
	// Raw are the bytes that Hash covers: what was stored, not what today's program would write.
	Raw []byte `json:"-"`
}

// EventData holds what belongs to an event. Fields are used by the events that need them.
type EventData struct {
	Office string     `json:"office,omitempty"`
	Form   *DraftForm `json:"form,omitempty"`
	Files  []File     `json:"files,omitempty"`
	File   *File      `json:"file,omitempty"`
	// To is the account whose turn is next, Note what was said.
	To     string `json:"to,omitempty"`
	Note   string `json:"note,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Number and date of the document or of its arrival.
	Code   *Code  `json:"code,omitempty"`
	N      int64  `json:"n,omitempty"`
	Series string `json:"series,omitempty"`
	Date   string `json:"date,omitempty"`
	// Pages and Seal are of the typeset document.
	Pages int  `json:"pages,omitempty"`
	Seal  *Box `json:"seal,omitempty"`
	// Due is the limit that begins with the event.
	Due *time.Time `json:"due,omitempty"`
	// At is when the document is to leave by itself.
	At         *time.Time `json:"at,omitempty"`
	Payload    *File      `json:"payload,omitempty"`
	Carriage   string     `json:"carriage,omitempty"`
	Receivers  []Party    `json:"receivers,omitempty"`
	DocumentID string     `json:"documentId,omitempty"`
	// Kind and Other link to the document that amends or is amended.
	Kind  Kind   `json:"kind,omitempty"`
	Other string `json:"other,omitempty"`
	// Links are documents of this desk that a new one answers or amends.
	Links    []Link         `json:"links,omitempty"`
	Status   *HeardStatus   `json:"status,omitempty"`
	Axis     *AxisNews      `json:"axis,omitempty"`
	Arrival  *ArrivalRecord `json:"arrival,omitempty"`
	Check    *CheckRecord   `json:"check,omitempty"`
	People   []Assignment   `json:"people,omitempty"`
	Progress string         `json:"progress,omitempty"`
	Agree    bool           `json:"agree,omitempty"`
	// Told is the status that was sent with the event.
	Told StatusCode `json:"told,omitempty"`
}

// Party is an agency that a document goes to or comes from.
type Party struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

// Link ties two documents of this desk.
type Link struct {
	// Kind is [KindNew] for an answer.
	Kind Kind   `json:"kind"`
	ID   string `json:"id"`
	Code string `json:"code"`
	// DocumentID and Date are of the other document.
	DocumentID string `json:"documentId,omitempty"`
	Date       string `json:"date,omitempty"`
	// Party is the other side of an incoming document.
	Party string `json:"party,omitempty"`
}

// File is content in the blob store.
type File struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Media  string `json:"media"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Lies is set when the content is not what name or media type say.
	Lies bool `json:"lies,omitempty"`
}

// seal computes the hash chain of e after an event with prevHash.
func (e *Event) seal(prevHash string) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	e.PrevHash, e.Raw = prevHash, b
	e.Hash = chained(prevHash, b)
	return nil
}

func chained(prevHash string, raw []byte) string {
	sum := sha256.Sum256(append([]byte(prevHash+"\n"), raw...))
	return hex.EncodeToString(sum[:])
}

// VerifyChain checks that stored events are complete, in order and unchanged.
func VerifyChain(events []Event) error {
	prev := ""
	for i, e := range events {
		switch {
		case e.Seq != int64(i)+1 || e.PrevHash != prev:
			return errs.E(errs.Internal, "documents.chain_broken", fmt.Errorf("event %d does not follow", i+1))
		case chained(prev, e.Raw) != e.Hash:
			return errs.E(errs.Internal, "documents.chain_broken", fmt.Errorf("event %d was changed", e.Seq))
		}
		prev = e.Hash
	}
	return nil
}

// Contents returns the digests of all blobs that the event refers to.
func (e *Event) Contents() []string {
	x := e.Data
	var out []string
	add := func(sha string) {
		if sha != "" && !slices.Contains(out, sha) {
			out = append(out, sha)
		}
	}
	for _, f := range x.Files {
		add(f.SHA256)
	}
	for _, f := range []*File{x.File, x.Payload} {
		if f != nil {
			add(f.SHA256)
		}
	}
	if x.Arrival != nil {
		add(x.Arrival.Payload)
	}
	if x.Axis != nil {
		add(x.Axis.Receipt)
	}
	return out
}
