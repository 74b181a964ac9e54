package axis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"truc/edxml"
	"truc/internal/errs"
	"truc/internal/i18n"
)

// Submit takes a message. It returns when the message, its copies, the journal and the receipt are on the disk. The same
// bytes of the same party again, also at the same time, give the same DocID and deliver nothing. A [*Refusal] is final and
// leaves nothing behind; other errors may pass.
func (h *Hub) Submit(ctx context.Context, s Submission) (Accepted, error) {
	if !s.Party.Valid() || !ValidKind(s.Kind) {
		return Accepted{}, refuse(CodeRequest, "axis.kind_unknown")
	}
	known, err := h.Store.Known(ctx, s.Party, s.Kind, s.Payload.SHA256)
	if err == nil {
		return h.repeated(ctx, known)
	}
	if !errs.Is(err, errs.NotFound) {
		return Accepted{}, err
	}
	m, err := h.read(ctx, s)
	if err != nil {
		return Accepted{}, err
	}
	var out Accepted
	err = h.Store.InTx(ctx, func(tx Tx) error {
		out, err = h.accept(ctx, tx, s, m)
		return err
	})
	if r, ok := errors.AsType[*Refusal](err); ok && r.Key == "axis.duplicate_id" {
		if e := h.alert(ctx, "duplicate_id", m.From.ID, m.DocumentID, s.Party); e != nil {
			err = e // the alert is the law's; without it the sender comes again
		}
		return Accepted{}, err
	}
	if err == nil && out.Repeated {
		if known, err = h.Store.Known(ctx, s.Party, s.Kind, s.Payload.SHA256); err != nil {
			return Accepted{}, err
		}
		return h.repeated(ctx, known)
	}
	if err != nil {
		return Accepted{}, err
	}
	receipts, err := h.ReceiptsAbout(ctx, out.DocID)
	if err != nil { // it is accepted, and the receipt can be asked for later
		h.Log.WarnContext(ctx, "a receipt could not be read back", slog.String("doc_id", out.DocID), slog.Any("error", err))
	}
	out.Receipt = receiptOf(receipts)
	return out, nil
}

// repeated answers a message that was accepted before.
func (h *Hub) repeated(ctx context.Context, m Message) (Accepted, error) {
	if id, ok := m.Party.SystemID(); ok {
		sys, err := h.Store.System(ctx, id)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return Accepted{}, err
		}
		if err == nil && sys.RefuseRepeats {
			return Accepted{}, refuse(CodeDocument, "axis.repeated", "docId", m.ID)
		}
	}
	if err := h.Store.InTx(ctx, func(tx Tx) error { return h.record(ctx, tx, messageEntry(EvRepeated, h.now(), m, "")) }); err != nil {
		return Accepted{}, err
	}
	receipts, err := h.ReceiptsAbout(ctx, m.ID)
	if err != nil {
		return Accepted{}, err
	}
	return Accepted{DocID: m.ID, Repeated: true, Receipt: receiptOf(receipts)}, nil
}

func receiptOf(list []Receipt) []byte {
	for _, r := range list {
		if r.Event == EvAccepted {
			return r.Signed
		}
	}
	return nil
}

// read parses and checks a message as far as it can be without the register.
func (h *Hub) read(ctx context.Context, s Submission) (*edxml.Message, error) {
	f, size, err := h.Blobs.Open(s.Payload.SHA256)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if size != s.Payload.Size {
		return nil, fmt.Errorf("the payload %s has %d bytes; %d were announced", s.Payload.SHA256, size, s.Payload.Size)
	}
	opt := h.Edxml
	opt.Now, opt.Sink = h.now(), nil
	if h.Scanner != nil {
		opt.Sink = func(_ int, a edxml.Attachment) (io.WriteCloser, error) {
			w, err := h.Scanner.Attachment(ctx, a.Name)
			return scanned{w, a.Name}, err
		}
	}
	m, err := edxml.Read(f, opt)
	if e, ok := errors.AsType[*edxml.Error](err); ok {
		return nil, refused(e)
	}
	if err != nil {
		return nil, err
	}
	if m.IsStatus() != (s.Kind == StatusOf) {
		return nil, refuse(CodeDocument, "axis.kind_other")
	}
	if field, mark, found := h.Secrecy.Find(m); found {
		return nil, refuse(CodeDocument, "axis.secret", "field", field, "mark", mark)
	}
	return m, nil
}

// scanned turns what a scanner finds into a refusal.
type scanned struct {
	io.WriteCloser
	name string
}

// Close implements io.Closer.
func (s scanned) Close() error {
	if err := s.WriteCloser.Close(); err != nil {
		return &Refusal{Code: CodeFile, Key: "axis.attachment_infected", Args: []any{"name", s.name}, Err: err}
	}
	return nil
}

// accept does what must happen together.
func (h *Hub) accept(ctx context.Context, tx Tx, s Submission, m *edxml.Message) (Accepted, error) {
	now := h.now()
	from, to, warnings, err := h.route(ctx, tx, s, m, now)
	if err != nil {
		return Accepted{}, err
	}
	row := Message{
		ID: newID(), Kind: s.Kind, Party: s.Party, From: from.Code, FromID: from.ID, DocumentID: m.DocumentID, Code: m.Code, Year: m.Date.Year, DocKind: m.Business.Kind,
		Type: m.Type.Name, Subject: i18n.NFC(m.Subject), Priority: m.Other.Priority, Payload: s.Payload, Receivers: len(to), Sent: now,
	}
	if m.IsStatus() {
		row.StatusCode, row.DocumentID, row.Code = m.Status.Code, m.ResponseFor[0].DocumentID, edxml.Code{Notation: m.ResponseFor[0].Code}
		row.Year, row.DocKind = 0, edxml.New
	}
	row, added, err := tx.AddMessage(ctx, row)
	if errs.Is(err, errs.Conflict) {
		return Accepted{}, refuse(CodeDocument, "axis.duplicate_id", "document", m.DocumentID)
	}
	if err != nil || !added {
		return Accepted{DocID: row.ID, Repeated: true}, err
	}
	if s.Kind == Document {
		same, err := h.sameNumber(ctx, tx, row)
		if err != nil {
			return Accepted{}, err
		}
		warnings = append(warnings, same...)
	}
	entries := []Entry{messageEntry(EvAccepted, now, row, noted(m))}
	copies := make([]Copy, len(to))
	for i, r := range to {
		c := Copy{
			ID: newID(), Message: row.ID, Kind: row.Kind, From: row.From, Subject: row.Subject, Number: row.Code.String(), Document: row.DocumentID, Sender: s.Party,
			Payload: row.Payload, Priority: row.Priority, Sent: now, To: r.agency.Code, Given: r.given, AgencyID: r.agency.ID, Party: r.agency.Owner,
			State: Initial, Updated: now, Due: h.due(now, row.Priority),
		}
		if err := h.push(ctx, tx, &c); err != nil {
			return Accepted{}, err
		}
		copies[i] = c
		given := ""
		if c.Given != c.To {
			given = c.Given
		}
		entries = append(entries, copyEntry(EvQueued, now, c, given))
	}
	if err := tx.AddCopies(ctx, copies); err != nil {
		return Accepted{}, err
	}
	if m.IsStatus() {
		more, note, err := h.heard(ctx, tx, m, from, to[0].agency, now)
		if err != nil {
			return Accepted{}, err
		}
		entries, warnings = append(entries, more...), append(warnings, note...)
	}
	return Accepted{DocID: row.ID, Warnings: warnings, Tolerated: m.Notes}, h.record(ctx, tx, entries...)
}

// noted is what the journal says of a message beside its ids: the code of a status, or what was tolerated in a document.
func noted(m *edxml.Message) string {
	if m.IsStatus() {
		return m.Status.Code
	}
	list := make([]string, len(m.Notes))
	for i, n := range m.Notes {
		list[i] = n.Path + " " + n.Key
	}
	return cut(strings.Join(list, "; "), 1000)
}

// push hands a copy for a node to the delivery of the exchange.
func (h *Hub) push(ctx context.Context, tx Tx, c *Copy) error {
	if _, ok := c.Party.Subsystem(); !ok || h.Carrier == nil {
		return nil
	}
	c.Pushes++
	return h.Carrier.Push(ctx, tx, Push{ID: fmt.Sprintf("%s-%d", c.ID, c.Pushes), Copy: *c})
}

// routed is a receiver with the code that the sender wrote.
type routed struct {
	agency Agency
	given  string
}

// route finds sender and receivers in the register. One receiver that cannot be reached refuses the message.
func (h *Hub) route(ctx context.Context, tx Tx, s Submission, m *edxml.Message, now time.Time) (from Agency, to []routed, warnings []Note, err error) {
	codes := []string{m.From.ID}
	if m.IsStatus() {
		codes = append(codes, m.ResponseFor[0].OrganID)
	}
	for _, o := range m.To {
		if !m.IsStatus() {
			codes = append(codes, o.ID)
		}
	}
	list, err := tx.Lookup(ctx, codes)
	if err != nil {
		return from, nil, nil, err
	}
	from, ok := choose(m.From.ID, list, now)
	if !ok || !from.Open(now) || from.Owner != s.Party {
		return from, nil, nil, refuse(CodeSender, "axis.sender_foreign", "code", m.From.ID)
	}
	var unknown []string
	for _, code := range codes[1:] {
		a, warn, err := receiver(ctx, tx, code, list, now)
		if r, is := errors.AsType[*Refusal](err); is && r.Key == "axis.receiver_unknown" {
			unknown = append(unknown, code)
			continue
		}
		if err != nil {
			return from, nil, nil, err
		}
		if warn != nil {
			warnings = append(warnings, *warn)
		}
		if i := slices.IndexFunc(to, func(r routed) bool { return r.agency.ID == a.ID }); i >= 0 {
			warnings = append(warnings, Note{Key: "axis.receiver_twice", Args: []any{"code", code, "other", to[i].given, "name", a.Name}})
			continue
		}
		to = append(to, routed{a, code})
	}
	if len(unknown) > 0 {
		return from, nil, nil, refuse(CodeReceiver, "axis.receiver_unknown", "codes", strings.Join(unknown, ", "))
	}
	return from, to, warnings, nil
}

// sameNumber warns of a number and notation that the agency used before in the year (Decree 30/2020/NĐ-CP Appendix VI).
func (h *Hub) sameNumber(ctx context.Context, tx Tx, m Message) ([]Note, error) {
	if m.DocKind != edxml.New {
		return nil, nil
	}
	same, err := tx.SameNumber(ctx, m)
	if err != nil || len(same) == 0 {
		return nil, err
	}
	a := Alert{Kind: "duplicate_number", Agency: m.From, Subject: fmt.Sprintf("%s (%d)", m.Code, m.Year), Party: m.Party, DocID: m.ID, First: m.Sent, Last: m.Sent}
	return []Note{{Key: "axis.duplicate_number", Args: []any{"number", m.Code.String(), "others", strings.Join(same, "; ")}}}, tx.Alert(ctx, a)
}

// alert counts something that somebody at the center should know of, in a transaction of its own.
func (h *Hub) alert(ctx context.Context, kind, agency, subject string, p Party) error {
	now := h.now()
	return h.Store.InTx(ctx, func(tx Tx) error {
		return tx.Alert(ctx, Alert{Kind: kind, Agency: agency, Subject: subject, Party: p, First: now, Last: now})
	})
}

// heard notes what a status message says on the copy it speaks of: the status of the receiver's desk, or, for 13, that the
// sender wants the document back. One about a document that did not pass here is carried all the same.
func (h *Hub) heard(ctx context.Context, tx Tx, m *edxml.Message, from, to Agency, now time.Time) ([]Entry, []Note, error) {
	sender, holder := to.ID, from.ID
	if m.Status.Code == "13" {
		sender, holder = from.ID, to.ID
	}
	c, err := original(ctx, tx, m.ResponseFor[0].DocumentID, sender, holder, now)
	if errs.Is(err, errs.NotFound) {
		return nil, []Note{{Key: "axis.original_unknown", Args: []any{"document", m.ResponseFor[0].DocumentID}}}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	// Messages may overtake each other: what was said last counts, not what came last.
	if !m.Status.At.Before(c.BusinessAt) {
		c.Business, c.BusinessAt, c.Updated = m.Status.Code, m.Status.At.UTC().Truncate(time.Microsecond), now
		if err := tx.PutCopy(ctx, c); err != nil {
			return nil, nil, err
		}
	}
	ev := EvBusiness
	if m.Status.Code == "02" {
		ev = EvRefused
	}
	return []Entry{copyEntry(ev, now, c, m.Status.Code)}, nil, nil
}

// original finds the copy that a status speaks of: the one of the agency, or of one that it took over.
func original(ctx context.Context, tx Tx, document string, sender, holder int64, now time.Time) (Copy, error) {
	c, err := tx.Original(ctx, document, sender, holder)
	if !errs.Is(err, errs.NotFound) {
		return c, err
	}
	list, e := tx.Receivers(ctx, document, sender)
	if e != nil {
		return c, e
	}
	for _, c := range list {
		a, e := tx.Agency(ctx, c.AgencyID)
		if e != nil {
			return c, e
		}
		if a.Open(now) {
			continue
		}
		if heir, warn, e := heirOf(ctx, tx, a, now); e != nil || warn != nil && heir.ID == holder {
			return c, e
		}
	}
	return c, err
}
