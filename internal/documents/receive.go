package documents

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"truc/edxml"
	"truc/internal/blobs"
	"truc/internal/errs"
	"truc/internal/i18n"
)

// Arrival is a message from the axis whose payload is in the blob store.
type Arrival struct {
	// Message identifies the copy: the same one again changes nothing.
	Message string
	// Receiver is the office it is for.
	Receiver string
	Payload  blobs.Blob
	At       time.Time
}

// Received says what became of an arrival.
type Received struct {
	// Document is the incoming document, or the outgoing one a status was about.
	Document string
	Repeated bool
	// Status is set when the message was a status.
	Status bool
}

// Receive takes a message from the axis: a document is stored and its arrival told to the sender without a person (01);
// a status is given to the document it is about. It is idempotent by Arrival.Message. errs.Invalid is final: the message
// can never be taken. errs.NotFound: the receiver, or the document a status is about, is not of this node.
func (d *Desk) Receive(ctx context.Context, a Arrival) (Received, error) {
	o, ok := d.OfficeByCode(a.Receiver)
	if !ok || a.Message == "" {
		return Received{}, errs.E(errs.NotFound, "documents.office_unknown", nil, "code", a.Receiver)
	}
	m, files, err := d.read(a.Payload.SHA256)
	if err != nil {
		return Received{}, err
	}
	if m.IsStatus() {
		return d.receiveStatus(ctx, o, a, m)
	}
	if marked(d.marks(), m.Other.Sphere, m.Other.TyperNotation, m.Subject, m.Type.Name) {
		return Received{}, errSecret()
	}
	rec := d.arrivalRecord(a, m)
	due, err := d.withinDay(a.At)
	if err != nil {
		return Received{}, err
	}
	id := newID()
	told, err := d.status(o, systemActor(), reference(rec), StatusArrived, "Đã đến", id+".1", rec.Urgency)
	if err != nil {
		return Received{}, err
	}
	got := Received{Document: id}
	err = d.Store.InTx(ctx, func(tx Tx) error {
		seen, err := tx.Seen(ctx, o.Code+" "+a.Message, d.now())
		if err != nil {
			return err
		}
		if seen {
			got = Received{Repeated: true}
			return nil
		}
		if rec.SameID, rec.SameCode, err = duplicates(ctx, tx, o.Code, rec); err != nil {
			return err
		}
		payload := payloadFile(told)
		e := d.event(systemActor(), EvArrived, EventData{Office: o.Code, Arrival: &rec, Files: files, Due: &due, Told: StatusArrived, Payload: &payload})
		if e.Data.Links, err = d.answered(ctx, tx, o, id, rec); err != nil {
			return err
		}
		events, err := d.earlier(ctx, tx, o, rec)
		if err != nil {
			return err
		}
		if err := d.insert(ctx, tx, id, "", append([]Event{e}, events...)...); err != nil {
			return err
		}
		if err := d.Carrier.Carry(ctx, tx, told); err != nil {
			return err
		}
		return d.linkOriginals(ctx, tx, o, id, rec)
	})
	return got, err
}

// read parses a payload and stores its attachments.
func (d *Desk) read(sha string) (m *edxml.Message, files []File, err error) {
	r, _, err := d.Blobs.Open(sha)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if closeErr := r.Close(); err == nil {
			err = closeErr
		}
	}()
	var sinks []*fileSink
	lim := d.Limits.filled()
	m, err = edxml.Read(r, edxml.ReadOptions{
		Now: d.now(), Limits: edxml.Limits{Message: lim.Message},
		Sink: func(_ int, a edxml.Attachment) (io.WriteCloser, error) {
			w, err := d.Blobs.Create()
			if err != nil {
				return nil, err
			}
			s := &fileSink{w: w}
			sinks = append(sinks, s)
			return s, nil
		},
	})
	defer func() {
		for _, s := range sinks {
			s.discard()
		}
	}()
	if err != nil {
		if e, ok := errors.AsType[*edxml.Error](err); ok {
			return nil, nil, errs.E(errs.Invalid, "documents.message_invalid", e, "path", e.Path)
		}
		return nil, nil, err
	}
	for i, a := range m.Attachments {
		f := File{ID: newID(), Name: safeName(a.Name), Media: a.ContentType, SHA256: a.SHA256, Size: a.Size}
		if i < len(sinks) && sinks[i].blob.SHA256 != "" {
			f.SHA256, f.Size, f.Lies = sinks[i].blob.SHA256, sinks[i].blob.Size, lies(a.Name, sinks[i].head.b)
		}
		if f.Media == "application/zip" && extension(f.Name) != "zip" || f.Media == "" {
			f.Media = mediaOf(f.Name)
		}
		files = append(files, f)
	}
	return m, files, nil
}

// fileSink stores one attachment; Close makes it durable.
type fileSink struct {
	w    *blobs.Writer
	head headWriter
	blob blobs.Blob
	done bool
}

func (s *fileSink) Write(p []byte) (int, error) {
	_, _ = s.head.Write(p) // it never fails
	return s.w.Write(p)
}

func (s *fileSink) Close() (err error) {
	if s.done {
		return nil
	}
	s.done = true
	s.blob, err = s.w.Commit()
	return err
}

func (s *fileSink) discard() {
	if !s.done {
		_ = s.w.Discard()
	}
}

// safeName takes path and control characters out of another agency's file name.
func safeName(name string) string {
	name = cleanLine(name)
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune("/\\:*?\"<>|", r) {
			return '_'
		}
		return r
	}, name)
	for len(name) > 255 {
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:]
	}
	if name == "" || name == "." || name == ".." {
		name = "tep"
	}
	return name
}

// arrivalRecord keeps what a message says.
func (d *Desk) arrivalRecord(a Arrival, m *edxml.Message) ArrivalRecord {
	rec := ArrivalRecord{
		Message: a.Message, Payload: a.Payload.SHA256, Channel: "axis",
		Sender: Party{Code: m.From.ID, Name: m.From.Name}, Superior: m.From.InCharge, DocumentID: m.DocumentID,
		Code: Code{Number: m.Code.Number, Notation: m.Code.Notation}, Date: dayText(m.Date), Type: m.Type.Name, Place: m.Place,
		Subject: m.Subject, Summary: m.Content, Authority: m.Signer.Competence, SignerTitle: m.Signer.Position, Signer: m.Signer.FullName,
		Urgency: Urgency(m.Other.Priority), DueDate: dayText(m.DueDate), Circulation: m.Other.Sphere, Copies: m.Other.Copies,
		Pages: m.Other.Pages, ToPlaces: m.ToPlaces, Appendixes: m.Other.Appendixes, Tasks: m.Tasks,
		Kind: Kind(m.Business.Kind), Reason: m.Business.Reason, Originals: edxml.Originals(m), PaperFollows: m.Business.Paper == 1,
	}
	if !rec.Urgency.Valid() {
		rec.Urgency = Normal
	}
	if m.Steering != nil {
		rec.Steering = *m.Steering
	}
	i := slices.IndexFunc(Types(), func(t Type) bool { return i18n.Fold(t.Name) == i18n.Fold(m.Type.Name) })
	if i >= 0 {
		rec.TypeCode = Types()[i].Code
	}
	for _, to := range m.To {
		rec.Receivers = append(rec.Receivers, Party{Code: to.ID, Name: to.Name})
	}
	for _, r := range m.ResponseFor {
		rec.Answers = append(rec.Answers, r.DocumentID)
	}
	for _, n := range m.Notes {
		rec.Notes = append(rec.Notes, n.Text("vi"))
	}
	for _, h := range m.Trace {
		rec.Hops = append(rec.Hops, Hop{Office: h.OrganID, At: h.At})
	}
	return rec
}

func dayText(v edxml.Date) string { return strings.ReplaceAll(v.String(), "/", "-") }

// reference names an incoming document in a status to its sender.
func reference(rec ArrivalRecord) edxml.Reference {
	return edxml.Reference{OrganID: rec.Sender.Code, Code: rec.Code.String(), DocumentID: rec.DocumentID, Date: dateOf(rec.Date)}
}

// duplicates looks for documents that were here before with the same identifier, or the same number, notation and agency
// (30/2020, appendix VI, 1.h).
func duplicates(ctx context.Context, tx Tx, office string, rec ArrivalRecord) (sameID, sameCode []string, err error) {
	// Senders exist that revoke under the identifier, or the number, of the revoked document.
	amends := rec.Kind != KindNew
	if rec.DocumentID != "" && !slices.Contains(rec.Originals, rec.DocumentID) {
		rows, err := tx.List(ctx, Query{Office: office, Direction: In, DocumentID: rec.DocumentID, Party: rec.Sender.Code, Limit: 20})
		if err != nil {
			return nil, nil, err
		}
		for _, r := range rows {
			if r.Kind != KindRevocation {
				sameID = append(sameID, r.ID)
			}
		}
	}
	if rec.Code.Number == "" || amends && slices.Contains(rec.Originals, rec.DocumentID) {
		return sameID, nil, nil
	}
	rows, err := tx.List(ctx, Query{Office: office, Direction: In, Number: rec.Code.Number, Notation: rec.Code.Notation, Party: rec.Sender.Code, Limit: 20})
	if err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		if len(r.Date) >= 4 && len(rec.Date) >= 4 && r.Date[:4] != rec.Date[:4] {
			continue // numbers begin anew each year
		}
		if r.State != Refused && (r.Kind != KindRevocation || r.DocumentID != rec.DocumentID) {
			sameCode = append(sameCode, r.ID)
		}
	}
	return sameID, sameCode, nil
}

// answered tells the documents of ours that the arrived one answers, and returns them.
func (d *Desk) answered(ctx context.Context, tx Tx, o Office, id string, rec ArrivalRecord) (links []Link, err error) {
	for _, about := range rec.Answers {
		if about == "" || len(links) >= 20 {
			continue
		}
		rows, err := tx.List(ctx, Query{Office: o.Code, Direction: Out, DocumentID: about, Limit: 1})
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if slices.ContainsFunc(links, func(l Link) bool { return l.ID == r.ID }) {
				continue
			}
			links = append(links, Link{ID: r.ID, Code: Code{Number: r.Number, Notation: r.Notation}.String(), DocumentID: about, Date: r.Date})
			code := rec.Code
			err := d.changeIn(ctx, tx, r.ID, 0, "", func(Tx, Stored) ([]Event, error) {
				return []Event{d.event(systemActor(), EvAnswered, EventData{Other: id, Code: &code, Date: rec.Date, To: rec.Sender.Code, DocumentID: rec.DocumentID})}, nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return links, nil
}

func amendment(id string, rec ArrivalRecord) EventData {
	code := rec.Code
	return EventData{Kind: rec.Kind, Other: id, Code: &code, Reason: rec.Reason, To: rec.Sender.Code, DocumentID: rec.DocumentID}
}

// earlier returns what documents that came before say about one that arrives only now: it was revoked, updated or replaced
// while it was on its way.
func (d *Desk) earlier(ctx context.Context, tx Tx, o Office, rec ArrivalRecord) ([]Event, error) {
	if rec.DocumentID == "" {
		return nil, nil
	}
	rows, err := tx.List(ctx, Query{Office: o.Code, Direction: In, Party: rec.Sender.Code, Amending: true, Limit: 500})
	if err != nil {
		return nil, err
	}
	var out []Event
	for _, r := range rows {
		s, err := tx.Find(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		if in := foldIncoming(r.ID, s.Events); slices.Contains(in.Arrival.Originals, rec.DocumentID) && rec.Kind == KindNew {
			out = append(out, d.event(systemActor(), EvAmendmentHeard, amendment(r.ID, in.Arrival)))
		}
	}
	return out, nil
}

// linkOriginals tells the documents that the arrived one revokes, updates or replaces.
func (d *Desk) linkOriginals(ctx context.Context, tx Tx, o Office, id string, rec ArrivalRecord) error {
	for _, original := range rec.Originals {
		rows, err := tx.List(ctx, Query{Office: o.Code, Direction: In, DocumentID: original, Party: rec.Sender.Code, Limit: 20})
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.ID == id || r.Kind == KindRevocation || r.State == Refused || r.State == Cancelled {
				continue
			}
			data := amendment(id, rec)
			err := d.changeIn(ctx, tx, r.ID, 0, "", func(Tx, Stored) ([]Event, error) {
				return []Event{d.event(systemActor(), EvAmendmentHeard, data)}, nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// PaperForm is a document that came on paper or by another way, as the clerk enters it.
type PaperForm struct {
	SenderCode, SenderName string
	Number, Notation, Date string
	Type, Subject          string
	Signer, SignerTitle    string
	Urgency                Urgency
	Secrecy                Secrecy
	Circulation, DueDate   string
	Copies, Pages          int
	Files                  []NewFile
	// DocumentID is set for an electronic document that came by another way.
	DocumentID string
}

// NewFile is a file that is handed in.
type NewFile struct {
	Name, Media string
	Content     io.Reader
}

// EnterPaper enters a document that did not come over the axis. It then goes the same way, but no status is told.
func (d *Desk) EnterPaper(ctx context.Context, by Actor, f PaperForm) (id string, err error) {
	o, err := d.need(by, RoleClerk)
	if err != nil {
		return "", err
	}
	rec, err := d.checkPaper(f)
	if err != nil {
		return "", err
	}
	lim := d.Limits.filled()
	if len(f.Files) > lim.Attachments {
		return "", errs.E(errs.Invalid, "documents.attachments_too_many", nil, "most", lim.Attachments)
	}
	var files []File
	for _, n := range f.Files {
		file, err := d.takeFile(n.Name, n.Media, n.Content, lim.Attachment)
		if err != nil {
			return "", err
		}
		files = append(files, file)
	}
	due, err := d.withinDay(d.now())
	if err != nil {
		return "", err
	}
	id = newID()
	return id, d.Store.InTx(ctx, func(tx Tx) error {
		var err error
		if rec.SameID, rec.SameCode, err = duplicates(ctx, tx, o.Code, rec); err != nil {
			return err
		}
		return d.insert(ctx, tx, id, "documents.enter", d.event(by, EvEntered, EventData{Office: o.Code, Arrival: &rec, Files: files, Due: &due}))
	})
}

func (d *Desk) checkPaper(f PaperForm) (ArrivalRecord, error) {
	rec := ArrivalRecord{
		Channel: "paper", Sender: Party{Code: cleanLine(f.SenderCode), Name: cleanLine(f.SenderName)}, DocumentID: cleanLine(f.DocumentID),
		Code: Code{Number: cleanLine(f.Number), Notation: cleanLine(f.Notation)}, Date: cleanLine(f.Date), Type: cleanLine(f.Type),
		Subject: cleanLine(f.Subject), Signer: cleanLine(f.Signer), SignerTitle: cleanLine(f.SignerTitle), Urgency: f.Urgency,
		Circulation: cleanLine(f.Circulation), DueDate: cleanLine(f.DueDate), Copies: max(f.Copies, 1), Pages: max(f.Pages, 1),
	}
	if f.Secrecy != SecrecyNone || marked(d.marks(), rec.Circulation, rec.Subject) {
		return rec, errSecret()
	}
	if t, ok := TypeOf(rec.Type); ok {
		rec.TypeCode, rec.Type = t.Code, t.Name
	}
	p := Problems{}
	need := func(field, s string, most int) {
		if s == "" {
			p.add(field, "documents.field_missing")
		} else if utf8.RuneCountInString(s) > most {
			p.add(field, "documents.too_long", "most", most)
		}
	}
	need("senderName", rec.Sender.Name, maxName)
	need("number", rec.Code.Number, maxNumber)
	need("notation", rec.Code.Notation, maxNotation)
	need("subject", rec.Subject, maxSubject)
	need("type", rec.Type, 100)
	if utf8.RuneCountInString(rec.Sender.Code) > 35 {
		p.add("senderCode", "documents.too_long", "most", 35)
	}
	day, err := time.ParseInLocation(time.DateOnly, rec.Date, i18n.Zone)
	if err != nil || day.After(d.now().AddDate(0, 0, 1)) {
		p.add("date", "documents.date_invalid")
	}
	if _, err := time.Parse(time.DateOnly, rec.DueDate); rec.DueDate != "" && err != nil {
		p.add("dueDate", "documents.date_invalid")
	}
	if !rec.Urgency.Valid() {
		p.add("urgency", "documents.urgency_unknown")
	}
	return rec, p.err()
}
