package services

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// EventType names what happened to a dossier. Types are append-only: they are stored and cross the wire.
type EventType string

// The events of a dossier's life.
const (
	EvSubmitted           EventType = "submitted"
	EvReceived            EventType = "received"
	EvRefused             EventType = "refused"
	EvSupplementRequested EventType = "supplementRequested"
	EvSupplementReceived  EventType = "supplementReceived"
	EvPaymentRequested    EventType = "paymentRequested"
	EvPaymentConfirmed    EventType = "paymentConfirmed"
	EvExternalRequested   EventType = "externalRequested"
	EvExternalAnswered    EventType = "externalAnswered"
	EvRegisterChecked     EventType = "registerChecked"
	EvMoved               EventType = "moved" // any other action of the flow
	EvProposed            EventType = "proposed"
	EvSentBack            EventType = "sentBack"
	EvSigned              EventType = "signed"
	EvDelivered           EventType = "delivered"
	EvWithdrawn           EventType = "withdrawn"
	EvStopped             EventType = "stopped"
	EvExtended            EventType = "extended"
	EvDocumentIssued      EventType = "documentIssued"
	EvOpened              EventType = "opened" // an officer read the dossier
	EvRated               EventType = "rated"
)

// Event is one fact in the life of a dossier. Events are append-only and chained: Hash covers the event and
// PrevHash, so a change of any of them shows. States, clocks and lists are computed from events and from nothing
// else.
type Event struct {
	Seq  int64     `json:"seq"`
	Type EventType `json:"type"`
	At   time.Time `json:"at"`
	// Action is the action of the flow that caused the event, such as "receive"; empty for facts outside it.
	Action string `json:"action,omitempty"`
	// From and To are the states before and after; equal when the state did not change.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Actor is the account of the officer, "applicant" or "system"; ActorName and ActorRole are shown.
	Actor     string `json:"actor"`
	ActorName string `json:"actorName,omitempty"`
	ActorRole string `json:"actorRole,omitempty"`
	// Agency is the unit that acted.
	Agency string    `json:"agency,omitempty"`
	Data   EventData `json:"data"`

	PrevHash string `json:"-"`
	Hash     string `json:"-"`
}

// EventData holds what belongs to an event. Fields are used by the events that need them.
type EventData struct {
	Reason     string `json:"reason,omitempty"`
	LegalBasis string `json:"legalBasis,omitempty"`
	// Papers judged at reception, or asked for in a supplement.
	Papers []PaperJudgement `json:"papers,omitempty"`
	// Added are the papers handed in with an answer to a supplement request.
	Added []PaperRef `json:"added,omitempty"`
	// Deadline for an answer (supplement).
	Deadline *time.Time `json:"deadline,omitempty"`
	// Extension of the time limit.
	Extension *SLAAmount `json:"extension,omitempty"`
	OldDue    *time.Time `json:"oldDue,omitempty"`
	NewDue    *time.Time `json:"newDue,omitempty"`
	// Document issued by the event.
	Document *DocumentRef `json:"document,omitempty"`
	// Check of a register.
	Check *RegisterCheck `json:"check,omitempty"`
	// Payment confirmed.
	Payment *PaymentFact `json:"payment,omitempty"`
	Stars   int          `json:"stars,omitempty"`
	Comment string       `json:"comment,omitempty"`
	// Form holds the answers of an action's form, such as a proposal.
	Form map[string]string `json:"form,omitempty"`
	// Assignee is the officer the dossier was given to.
	Assignee string `json:"assignee,omitempty"`
	Channel  string `json:"channel,omitempty"`
	// NotDue marks a received event whose procedure has no time limit.
	NotDue bool `json:"notDue,omitempty"`
}

// SLAAmount is an amount of time in the units of the calendar.
type SLAAmount struct {
	Amount int    `json:"amount"`
	Unit   string `json:"unit"`
}

// PaperJudgement is an officer's word on one paper.
type PaperJudgement struct {
	Paper string `json:"paper"`
	Name  string `json:"name,omitempty"`
	OK    bool   `json:"ok"`
	Note  string `json:"note,omitempty"`
}

// DocumentRef points at a document of the dossier.
type DocumentRef struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"` // "submission", "slip-01" … "slip-06", "result"
	Title  string `json:"title"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Media  string `json:"media"`
	// Public documents are given to the applicant.
	Public bool `json:"public"`
}

// RegisterCheck is what an officer's question to a register brought.
type RegisterCheck struct {
	Register string    `json:"register"` // "civilstatus/event"
	Source   string    `json:"source"`   // five-segment service identifier
	At       time.Time `json:"at"`
	// Exchange is the id of the exchange whose evidence proves the answer.
	Exchange string `json:"exchange,omitempty"`
	Found    int    `json:"found"`
	// Facts are the delivered values by field.
	Facts map[string]string `json:"facts,omitempty"`
}

// PaymentFact is a payment the provider has confirmed.
type PaymentFact struct {
	Reference string    `json:"reference"`
	Provider  string    `json:"provider"`
	Amount    int64     `json:"amount"` // whole đồng
	PaidAt    time.Time `json:"paidAt"`
}

// Seal computes the hash chain of e after an event with prevHash.
func (e *Event) Seal(prevHash string) error {
	b, err := e.canonical()
	if err != nil {
		return err
	}
	e.PrevHash = prevHash
	h := sha256.New()
	_, _ = h.Write([]byte(prevHash))
	_, _ = h.Write(b)
	e.Hash = hex.EncodeToString(h.Sum(nil))
	return nil
}

// canonical returns the bytes that are hashed. encoding/json writes struct fields in order and map keys sorted,
// which is all the canonical form that bytes of our own making need.
func (e *Event) canonical() ([]byte, error) {
	c := *e
	c.At = c.At.UTC()
	return json.Marshal(c)
}

// VerifyChain checks numbering and hashes of a dossier's events from the first.
func VerifyChain(events []Event) error {
	prev := ""
	for i := range events {
		e := events[i]
		if e.Seq != int64(i+1) {
			return fmt.Errorf("event %d carries number %d", i+1, e.Seq)
		}
		stored := e.Hash
		if e.PrevHash != prev {
			return fmt.Errorf("event %d does not follow the one before it", e.Seq)
		}
		if err := e.Seal(prev); err != nil {
			return err
		}
		if e.Hash != stored {
			return fmt.Errorf("event %d was changed after it was written", e.Seq)
		}
		prev = stored
	}
	return nil
}
