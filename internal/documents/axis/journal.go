package axis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"truc/internal/errs"
)

// Event names what happened. Events are stored: append only.
type Event string

// The events of the journal.
const (
	EvAccepted   Event = "accepted"   // a message was taken from its sender
	EvQueued     Event = "queued"     // a copy of it was made for a receiver
	EvOpened     Event = "opened"     // the receiver's party was given the payload for the first time
	EvProcessing Event = "processing" // the receiver's party works on it
	EvReturned   Event = "returned"   // it said nothing more until its lease ended
	EvFailed     Event = "failed"     // it could not take the copy over
	EvDelivered  Event = "delivered"  // it took the copy over, for good
	EvRefused    Event = "refused"    // the receiver's desk gave the document back (status 02)
	EvBusiness   Event = "business"   // another status of the receiver's desk, or of the sender (13)
	EvRepeated   Event = "repeated"   // the sender handed the same bytes in again
	EvMoved      Event = "moved"      // the copy went to another party with its agency
	EvPushed     Event = "pushed"     // the copy was sent to its node again by hand
	EvExpired    Event = "expired"    // the payload was given up at the end of its retention
	EvAgency     Event = "agency"     // the register of agencies changed
	EvSystem     Event = "system"     // the register of systems changed
)

// Entry is one fact of the journal. Entries are append-only, without gaps, and each holds the hash of the one before it.
type Entry struct {
	Seq   int64  `json:"seq"`
	At    int64  `json:"at"` // UTC microseconds
	Event Event  `json:"event"`
	DocID string `json:"docId,omitempty"`
	Copy  string `json:"copy,omitempty"`
	Kind  string `json:"kind,omitempty"`
	// Party acted or is concerned; Peer is the party on the other side, which may read the entry too.
	Party Party `json:"party,omitempty"`
	Peer  Party `json:"peer,omitempty"`
	// From and To are agency codes.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Document is the edXML identifier.
	Document string `json:"document,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	Size     int64  `json:"size,omitempty"`
	// Note is what else belongs to the event: the reason of a failure, a status code, the code that the sender wrote.
	Note string `json:"note,omitempty"`

	PrevHash string `json:"-"`
	Hash     string `json:"-"`
}

// Time returns when it happened.
func (e Entry) Time() time.Time { return time.UnixMicro(e.At).UTC() }

// seal numbers e and chains it to the entry before it.
func (e *Entry) seal(seq int64, prev string) error {
	e.Seq, e.PrevHash = seq, prev
	b, err := json.Marshal(e) // struct fields in order: the canonical form that bytes of our own making need
	if err != nil {
		return err
	}
	sum := sha256.Sum256(append([]byte(prev+"\n"), b...))
	e.Hash = hex.EncodeToString(sum[:])
	return nil
}

// VerifyChain checks numbers and hashes of entries that follow one with a number and hash; 0 and "" before the first.
func VerifyChain(seq int64, hash string, list []Entry) error {
	for _, e := range list {
		seq++
		stored := e.Hash
		if e.Seq != seq || e.PrevHash != hash {
			return fmt.Errorf("journal entry %d does not follow the one before it", e.Seq)
		}
		if err := e.seal(seq, hash); err != nil {
			return err
		}
		if e.Hash != stored {
			return fmt.Errorf("journal entry %d was changed after it was written", e.Seq)
		}
		hash = stored
	}
	return nil
}

// JournalQuery chooses entries: those after a number, in order; or, with Newest, those before it, the newest first.
type JournalQuery struct {
	After int64
	// Newest turns the order around; After 0 then means from the end.
	Newest bool
	Party  Party
	DocID  string
	Event  Event
	Limit  int
}

// Journal lists entries for people at the center.
func (h *Hub) Journal(ctx context.Context, q JournalQuery) ([]Entry, error) {
	q.Limit = rows(q.Limit)
	return h.Store.Journal(ctx, q)
}

// Events lists what happened to the copies and messages of a party, after a number, in order. Numbers follow the order of
// commits, so nobody who goes on from the last number misses one.
func (h *Hub) Events(ctx context.Context, p Party, after int64, limit int) ([]Entry, error) {
	return h.Store.Journal(ctx, JournalQuery{After: after, Party: p, Limit: rows(limit)})
}

// Mark is a place in the journal: the number and hash of an entry. The zero value is before the first.
type Mark struct {
	Seq  int64
	Hash string
}

// VerifyJournal reads the journal from a mark on, the whole of it from the zero value, and returns the mark of its last
// entry. errs.Internal when an entry was changed, taken out or put in.
func (h *Hub) VerifyJournal(ctx context.Context, from Mark) (Mark, error) {
	for {
		list, err := h.Store.Journal(ctx, JournalQuery{After: from.Seq, Limit: maxRows})
		if err != nil || len(list) == 0 {
			return from, err
		}
		if err := VerifyChain(from.Seq, from.Hash, list); err != nil {
			return from, errs.E(errs.Internal, "axis.journal_broken", err)
		}
		from = Mark{list[len(list)-1].Seq, list[len(list)-1].Hash}
	}
}

// Anchor verifies the journal from the last anchor on and writes the mark of its end into the audit log, which is a
// transparency log that others witness. It returns the mark to give the next time, and does nothing while the journal does
// not grow. A job calls it every hour; a journal that is not whole is never anchored.
func (h *Hub) Anchor(ctx context.Context, last Mark) (Mark, error) {
	end, err := h.VerifyJournal(ctx, last)
	if err != nil || end == last {
		return last, err
	}
	err = h.Store.InTx(ctx, func(tx Tx) error {
		return h.Audit.Act(ctx, tx, "system", "axis.journal.head", strconv.FormatInt(end.Seq, 10)+":"+end.Hash)
	})
	if err != nil {
		return last, err
	}
	return end, nil
}

// record appends entries and issues the receipts that belong to them. Call it last in a transaction: it holds the journal.
func (h *Hub) record(ctx context.Context, tx Tx, list ...Entry) error {
	seq, hash, err := tx.Head(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		seq++
		if err := list[i].seal(seq, hash); err != nil {
			return err
		}
		hash = list[i].Hash
	}
	if err := tx.AddEntries(ctx, list); err != nil || h.Issuer == nil {
		return err
	}
	var to []string // of an acceptance: the receivers in the same batch
	for _, e := range list {
		if e.Event == EvQueued {
			to = append(to, e.To)
		}
	}
	for _, e := range list {
		f := Fact{Event: e.Event, At: e.Time(), DocID: e.DocID, Copy: e.Copy, Kind: e.Kind, DocumentID: e.Document, From: e.From, To: []string{e.To}, Party: e.Party, Note: e.Note, Seq: e.Seq, Hash: e.Hash}
		f.Payload.SHA256, f.Payload.Size = e.SHA256, e.Size
		switch e.Event {
		case EvAccepted:
			f.To = to
		case EvOpened, EvDelivered, EvRefused, EvFailed:
		default:
			continue
		}
		if err := h.Issuer.Issue(ctx, tx, f); err != nil {
			return err
		}
	}
	return nil
}

// copyEntry is an event of a copy.
func copyEntry(ev Event, at time.Time, c Copy, note string) Entry {
	return Entry{
		At: at.UnixMicro(), Event: ev, DocID: c.Message, Copy: c.ID, Kind: c.Kind, Party: c.Party, Peer: c.Sender, From: c.From, To: c.To, Document: c.Document,
		SHA256: c.Payload.SHA256, Size: c.Payload.Size, Note: note,
	}
}

// messageEntry is an event of a message.
func messageEntry(ev Event, at time.Time, m Message, note string) Entry {
	return Entry{
		At: at.UnixMicro(), Event: ev, DocID: m.ID, Kind: m.Kind, Party: m.Party, From: m.From, Document: m.DocumentID,
		SHA256: m.Payload.SHA256, Size: m.Payload.Size, Note: note,
	}
}

// Receipts returns the receipts that a party may have: all of a message it sent, those of its own copy of another.
func (h *Hub) Receipts(ctx context.Context, p Party, docID string) ([]Receipt, error) {
	m, err := h.Store.Message(ctx, docID)
	if err == nil && m.Party == p {
		return h.ReceiptsAbout(ctx, m.ID)
	}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	c, err := h.Store.Copy(ctx, docID)
	if err == nil && c.Party == p {
		return h.receipts(ctx, c.Message, c.ID)
	}
	if err == nil || errs.Is(err, errs.NotFound) {
		return nil, refuse(CodeRequest, "axis.message_unknown")
	}
	return nil, err
}

// ReceiptsAbout returns all receipts about a message, for people at the center.
func (h *Hub) ReceiptsAbout(ctx context.Context, message string) ([]Receipt, error) {
	return h.receipts(ctx, message, "")
}

func (h *Hub) receipts(ctx context.Context, message, copyID string) ([]Receipt, error) {
	if h.Issuer == nil {
		return nil, nil
	}
	return h.Issuer.Of(ctx, message, copyID)
}

// ReceiptFile returns one of the receipts that the hub listed, as a file that can be checked offline.
func (h *Hub) ReceiptFile(ctx context.Context, r Receipt) ([]byte, error) {
	return h.Issuer.File(ctx, r.ID)
}
