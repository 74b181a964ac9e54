package documents

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
	"truc/internal/blobs"
	"truc/internal/errs"
)

// dispatchPlan is a sending whose payload is on the disk and that waits for its transaction.
type dispatchPlan struct {
	carriage  Carriage
	payload   File
	receivers []Party
	confirmBy time.Time
}

// documentID is edXML's identifier of a document of our own: agency, date, code.
func documentID(office, date string, c Code) string {
	return office + "," + strings.ReplaceAll(date, "-", "/") + "," + c.String()
}

// plan writes the edXML message of a document into the blob store. seq is the number of the event that will say that it
// was sent; to overrules the receivers of the form.
func (d *Desk) plan(ctx context.Context, o Office, out *Outgoing, seq int64, to []string) (*dispatchPlan, error) {
	if out.Form.Secrecy != SecrecyNone || marked(d.marks(), out.Form.Circulation, out.Form.DrafterMark, out.Form.Subject) {
		return nil, errSecret()
	}
	if to == nil {
		to = out.Form.Receivers
	}
	if len(to) == 0 {
		return nil, errs.E(errs.Invalid, "documents.receivers_missing", nil)
	}
	if err := d.knownReceivers(ctx, to); err != nil {
		return nil, err
	}
	names := d.agencyNames(ctx)
	p := &dispatchPlan{}
	for _, code := range to {
		name := names[code]
		if name == "" {
			name = code
		}
		p.receivers = append(p.receivers, Party{Code: code, Name: name})
	}
	now := d.now()
	due, err := d.withinDay(now)
	if err != nil {
		return nil, err
	}
	p.confirmBy = due
	b, err := d.write(d.message(o, out, p.receivers, now))
	if err != nil {
		return nil, err
	}
	p.payload = File{ID: newID(), Name: "document.edxml", Media: "application/xml", SHA256: b.SHA256, Size: b.Size}
	p.carriage = Carriage{
		ID: fmt.Sprintf("%s.%d", out.ID, seq), Kind: "edoc", From: o.Code, To: to, Payload: b,
		DocumentID: out.DocumentID, Urgency: out.Form.Urgency,
	}
	return p, nil
}

func (d *Desk) sentEvent(by Actor, p *dispatchPlan) Event {
	return d.event(by, EvSent, EventData{
		Carriage: p.carriage.ID, Payload: &p.payload, Receivers: p.receivers, Due: &p.confirmBy, DocumentID: p.carriage.DocumentID,
	})
}

func (d *Desk) carry(ctx context.Context, tx Tx, p *dispatchPlan) error {
	return d.Carrier.Carry(ctx, tx, p.carriage)
}

// write puts a message into the blob store.
func (d *Desk) write(m *edxml.Message) (blobs.Blob, error) {
	w, err := d.Blobs.Create()
	if err != nil {
		return blobs.Blob{}, err
	}
	if err := edxml.Write(w, m); err != nil {
		_ = w.Discard()
		if e, ok := errors.AsType[*edxml.Error](err); ok {
			return blobs.Blob{}, errs.E(errs.Invalid, "documents.message_invalid", e, "path", e.Path)
		}
		return blobs.Blob{}, err
	}
	return w.Commit()
}

// SendNow sends an issued document.
func (d *Desk) SendNow(ctx context.Context, by Actor, id string) error {
	if _, err := d.need(by, RoleClerk); err != nil {
		return err
	}
	return d.send(ctx, by, id)
}

func (d *Desk) send(ctx context.Context, by Actor, id string) error {
	s, err := d.Store.Find(ctx, id)
	if err != nil {
		return err
	}
	o, ok := d.OfficeByCode(s.Row.Office)
	if !ok {
		return errNotFound()
	}
	if by.Account != system {
		if mine, err := d.OfficeOf(by); err != nil || !maySee(by, mine, s.Row) {
			return errNotFound()
		}
	}
	out := foldOutgoing(id, s.Events)
	if out.State != Issued {
		return errState(out.State)
	}
	p, err := d.plan(ctx, o, out, int64(len(out.Events))+1, nil)
	if err != nil {
		return err
	}
	return d.change(ctx, id, out.Version, "documents.send", func(tx Tx, s Stored) ([]Event, error) {
		if s.Row.State != Issued {
			return nil, errState(s.Row.State)
		}
		return []Event{d.sentEvent(by, p)}, d.carry(ctx, tx, p)
	})
}

// SendAgain sends a document anew that the axis refused as a whole, such as for one receiver it does not know: to the
// given receivers, or to those of the form. What nobody received may go out again under its number; what somebody received
// is changed by [Desk.Update].
func (d *Desk) SendAgain(ctx context.Context, by Actor, id string, receivers []string) error {
	o, err := d.need(by, RoleClerk)
	if err != nil {
		return err
	}
	out, _, err := d.outgoing(ctx, by, id)
	if err != nil {
		return err
	}
	if out.State != Sent || !out.Rejected() {
		return errs.E(errs.Conflict, "documents.not_rejected", nil)
	}
	form := out.Form
	if len(receivers) > 0 {
		form.Receivers = receivers
	}
	if form, err = d.Check(o, form, true); err != nil {
		return err
	}
	p, err := d.plan(ctx, o, out, int64(len(out.Events))+1, form.Receivers)
	if err != nil {
		return err
	}
	return d.changeOut(ctx, by, id, out.Version, "documents.send", func(tx Tx, _ *Outgoing, _ Office) ([]Event, error) {
		return []Event{d.sentEvent(by, p)}, d.carry(ctx, tx, p)
	})
}

// SendAt sets or changes when an issued document leaves by itself; a zero time leaves it to a person.
func (d *Desk) SendAt(ctx context.Context, by Actor, id string, at time.Time) error {
	if _, err := d.need(by, RoleClerk); err != nil {
		return err
	}
	return d.changeOut(ctx, by, id, 0, "documents.schedule", func(_ Tx, out *Outgoing, _ Office) ([]Event, error) {
		if out.State != Issued {
			return nil, errState(out.State)
		}
		data := EventData{}
		if !at.IsZero() {
			if err := d.checkWhen(SendWhen{At: at}, d.now(), out.SendBy); err != nil {
				return nil, err
			}
			t := at.UTC().Truncate(time.Microsecond)
			data.At = &t
		}
		return []Event{d.event(by, EvScheduled, data)}, nil
	})
}

// SendDue sends what was to leave by itself until now; a job calls it each minute. One that fails is logged and stays for
// the next round, where the clock of the law shows it.
func (d *Desk) SendDue(ctx context.Context) (sent int, err error) {
	for _, o := range d.Offices {
		rows, err := d.Store.List(ctx, Query{Office: o.Code, Direction: Out, States: []State{Issued}, SendBefore: d.now().Add(time.Microsecond), Sort: "urgent", Limit: 200})
		if err != nil {
			return sent, err
		}
		for _, r := range rows {
			if err := d.send(ctx, systemActor(), r.ID); err != nil {
				if ctx.Err() != nil {
					return sent, ctx.Err()
				}
				d.Log.WarnContext(ctx, "document was not sent at its time", slog.String("document", r.ID), slog.Any("error", err))
				continue
			}
			sent++
		}
	}
	return sent, nil
}

// message builds the edXML message of an issued document.
func (d *Desk) message(o Office, out *Outgoing, to []Party, now time.Time) *edxml.Message {
	f := out.Form
	t, _ := TypeOf(f.Type)
	m := &edxml.Message{
		From:       edxml.Organization{ID: o.Code, InCharge: o.Superior, Name: o.Name, Address: o.Address, Email: o.Email, Telephone: o.Telephone, Website: o.Website},
		DocumentID: out.DocumentID,
		Code:       edxml.Code{Number: out.Code.Number, Notation: out.Code.Notation},
		Place:      o.Place, Date: dateOf(out.Date),
		Type:    edxml.DocumentType{Type: orDefault(d.TypeCode, 2), Name: t.Name},
		Subject: f.Subject, Content: f.Summary,
		Signer:  edxml.Signer{Competence: f.Authority, Position: f.SignerTitle, FullName: f.SignerName},
		DueDate: dateOf(f.DueDate),
		Other: edxml.OtherInfo{
			Priority: int(f.Urgency), Sphere: f.Circulation, TyperNotation: f.DrafterMark, Copies: f.Copies, Pages: out.Pages,
			Direction: "false", Appendixes: f.Appendixes,
		},
		Tasks: f.Tasks, ToPlaces: f.ToPlaces,
		Trace:    []edxml.Hop{{OrganID: o.Code, At: now}},
		Business: business(o, out),
	}
	if m.Content == "" {
		m.Content = f.Subject
	}
	steering := orDefault(f.Steering, orDefault(d.Steering, 1))
	m.Steering = &steering
	for _, p := range to {
		m.To = append(m.To, edxml.Organization{ID: p.Code, Name: p.Name})
	}
	for _, l := range out.Links {
		if l.Kind == KindNew {
			m.ResponseFor = append(m.ResponseFor, edxml.Reference{OrganID: l.Party, Code: l.Code, DocumentID: l.DocumentID, Date: dateOf(l.Date)})
		}
	}
	if out.Main != nil {
		m.Attachments = append(m.Attachments, d.attachment(*out.Main, "Văn bản chính"))
	}
	for _, a := range out.Attachments {
		m.Attachments = append(m.Attachments, d.attachment(a, "Tệp kèm theo"))
	}
	return m
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

func dateOf(day string) edxml.Date {
	v, err := edxml.ParseDate(strings.ReplaceAll(day, "-", "/"))
	if err != nil {
		return edxml.Date{}
	}
	return v
}

func (d *Desk) attachment(f File, description string) edxml.Attachment {
	return edxml.Attachment{
		ContentID: f.ID, Name: f.Name, Description: description, ContentType: f.Media, Size: f.Size, SHA256: f.SHA256,
		Open: func() (io.ReadCloser, error) {
			r, _, err := d.Blobs.Open(f.SHA256)
			return r, err
		},
	}
}

// business says what the document does to earlier ones.
func business(o Office, out *Outgoing) edxml.Business {
	b := edxml.Business{
		Kind: edxml.Kind(out.Kind), Reason: out.AmendReason,
		Staff: []edxml.Staff{{Department: "Văn thư", DepartmentID: o.Code, Name: out.IssuedBy, Email: o.Email}},
	}
	if out.Form.PaperFollows {
		b.Paper = 1
	}
	for _, l := range out.Links {
		switch out.Kind {
		case KindRevocation:
			b.DocumentID = l.DocumentID
		case KindUpdate:
			b.DocumentID = l.DocumentID
			c := edxml.Change{Content: true}
			for _, p := range out.Removed {
				c.List = append(c.List, edxml.ReceiverChange{OrganID: p.Code})
			}
			had := strings.Fields(l.Party)
			for _, code := range out.Form.Receivers {
				if !slices.Contains(had, code) {
					c.List = append(c.List, edxml.ReceiverChange{OrganID: code, Added: true})
				}
			}
			c.Receivers = len(c.List) > 0
			b.Changes = []edxml.Change{c}
		case KindReplacement:
			b.Replaces = append(b.Replaces, edxml.Replaced{DocumentID: l.DocumentID, OrganIDs: strings.Fields(l.Party)})
		default:
		}
	}
	return b
}

// statusMessage builds a business status about a document.
func (d *Desk) statusMessage(o Office, by Actor, about edxml.Reference, code StatusCode, text string, at time.Time) *edxml.Message {
	name := by.Name
	if by.Account == system {
		name = "Hệ thống quản lý văn bản"
	}
	return &edxml.Message{
		From:        edxml.Organization{ID: o.Code, InCharge: o.Superior, Name: o.Name, Email: o.Email, Telephone: o.Telephone},
		ResponseFor: []edxml.Reference{about},
		Status: &edxml.Status{
			Code: string(code), Description: text, At: at,
			Staff: edxml.Staff{Department: "Văn thư", DepartmentID: o.Code, Name: name, Email: o.Email},
		},
	}
}

// status writes a status message and returns how it is to be carried. ref makes the id of the carriage.
func (d *Desk) status(o Office, by Actor, about edxml.Reference, code StatusCode, text, ref string, u Urgency) (Carriage, error) {
	if code.needsReason() && text == "" {
		return Carriage{}, errs.E(errs.Invalid, "documents.reason_missing", nil)
	}
	b, err := d.write(d.statusMessage(o, by, about, code, text, d.now()))
	return Carriage{
		ID: ref, Kind: "status", From: o.Code, To: []string{about.OrganID}, Payload: b, DocumentID: about.DocumentID, Urgency: u,
	}, err
}

// payloadFile is how an event remembers what was sent with it.
func payloadFile(c Carriage) File {
	return File{Name: c.Kind + ".edxml", Media: "application/xml", SHA256: c.Payload.SHA256, Size: c.Payload.Size}
}
