package documents

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"truc/internal/blobs"
	"truc/internal/calendar"
	"truc/internal/errs"
	"truc/internal/i18n"
)

// Office is an agency whose desk this node keeps.
type Office struct {
	// Code is the agency's code, Name as on paper, Superior the agency above ("cơ quan chủ quản"), "" where none is shown.
	Code, Name, Superior string
	// Letters stand for the agency in notations, "BNV". Place is the place of issue.
	Letters, Place string
	// Units are the letters of units for official letters, with their names.
	Units                              []Unit
	Address, Email, Telephone, Website string
	// SeriesByType numbers each type by itself; without it one series a year covers all.
	SeriesByType bool
}

// contact is the line of box 13: where the agency can be reached.
func (o Office) contact() string {
	var parts []string
	for _, x := range []struct{ label, value string }{{"Địa chỉ: ", o.Address}, {"Điện thoại: ", o.Telephone}, {"Thư điện tử: ", o.Email}, {"", o.Website}} {
		if x.value != "" {
			parts = append(parts, x.label+x.value)
		}
	}
	return strings.Join(parts, "; ")
}

// Unit is a part of an agency with letters of its own.
type Unit struct{ Letters, Name string }

// Actor is the signed-in officer.
type Actor struct {
	Account, Name, Title string
	// Agency is the officer's agency or unit; the office is the longest code that equals or contains it.
	Agency string
	Roles  []string
}

// Has reports whether the officer has the role.
func (a Actor) Has(role string) bool { return slices.Contains(a.Roles, role) }

// Limits bounds what a desk takes in. Zero fields have defaults.
type Limits struct {
	// Attachment and Message are bytes; defaults 100 MiB and 512 MiB.
	Attachment, Message int64
	// Attachments counts files beside the document; default 50. Receivers default 1000.
	Attachments, Receivers int
	// Check is the largest PDF whose signatures are verified, in bytes; default 64 MiB.
	Check int64
	// Body counts characters of a document's text; default 200 000.
	Body int
}

func (l Limits) filled() Limits {
	or := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	orInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	or(&l.Attachment, 100<<20)
	or(&l.Message, 512<<20)
	or(&l.Check, 64<<20)
	orInt(&l.Attachments, 50)
	orInt(&l.Receivers, 1000)
	orInt(&l.Body, 200_000)
	return l
}

// Desk keeps the documents of the node's offices. All fields but the optional ones must be set.
type Desk struct {
	Store      Store
	Blobs      *blobs.Store
	Typesetter Typesetter
	Signatures Signatures
	Carrier    Carrier
	Audit      Audit
	Officers   Officers
	// Certificates is optional: without it there are no alerts of expiry.
	Certificates Certificates
	// Calendar returns the working time that limits are counted in.
	Calendar func() *calendar.Calendar
	Offices  []Office
	Now      func() time.Time
	Log      *slog.Logger
	Limits   Limits
	// SecretMarks are the words that mark a state secret; nil means [DefaultSecretMarks].
	SecretMarks []string
	// TypeCode and Steering are written to edXML, where lists of codes disagree; zero means 2 and 1.
	TypeCode, Steering int
}

// system is the actor of what nobody does.
const system = "system"

func (d *Desk) now() time.Time { return d.Now().UTC().Truncate(time.Microsecond) }

func (d *Desk) marks() []string {
	if d.SecretMarks == nil {
		return DefaultSecretMarks()
	}
	return d.SecretMarks
}

// OfficeOf returns the office an officer works for. errs.Denied when the node keeps none for the agency.
func (d *Desk) OfficeOf(by Actor) (Office, error) {
	best := -1
	for i, o := range d.Offices {
		inside := by.Agency == o.Code || strings.HasPrefix(by.Agency, o.Code+".")
		if inside && (best < 0 || len(o.Code) > len(d.Offices[best].Code)) {
			best = i
		}
	}
	if best < 0 || by.Account == "" {
		return Office{}, errs.E(errs.Denied, "documents.no_office", nil, "agency", by.Agency)
	}
	return d.Offices[best], nil
}

// OfficeByCode returns an office this node keeps.
func (d *Desk) OfficeByCode(code string) (Office, bool) {
	i := slices.IndexFunc(d.Offices, func(o Office) bool { return o.Code == code })
	if i < 0 {
		return Office{}, false
	}
	return d.Offices[i], true
}

// need refuses an officer without one of the roles.
func (d *Desk) need(by Actor, roles ...string) (Office, error) {
	o, err := d.OfficeOf(by)
	if err != nil {
		return o, err
	}
	if !slices.ContainsFunc(roles, by.Has) {
		return o, errs.E(errs.Denied, "documents.role_missing", fmt.Errorf("%s needs one of %v", by.Account, roles))
	}
	return o, nil
}

func newID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// maySee tells whether an officer of the same office may see a document: clerks and heads see all, others what they
// drafted, reviewed, signed or were given.
func maySee(by Actor, o Office, r Row) bool {
	return r.Office == o.Code && (by.Has(RoleClerk) || by.Has(RoleHead) || slices.Contains(r.Viewers, by.Account))
}

// errNotFound answers also for what somebody may not see: that a document exists is nobody else's business.
func errNotFound() error { return errs.E(errs.NotFound, "documents.not_found", nil) }

func errState(s State) error {
	return errs.E(errs.Conflict, "documents.wrong_state", fmt.Errorf("state %s", s))
}

func errChanged() error { return errs.E(errs.Conflict, "documents.changed", nil) }

// find reads a document that the officer may see.
func (d *Desk) find(ctx context.Context, by Actor, id string, dir Direction) (Stored, Office, error) {
	o, err := d.OfficeOf(by)
	if err != nil {
		return Stored{}, o, err
	}
	s, err := d.Store.Find(ctx, id)
	if err != nil {
		return s, o, err
	}
	if !maySee(by, o, s.Row) || dir != "" && s.Row.Direction != dir {
		return s, o, errNotFound()
	}
	return s, o, nil
}

// event makes an event of an officer.
func (d *Desk) event(by Actor, typ EventType, data EventData) Event {
	return Event{Type: typ, At: d.now(), Actor: by.Account, ActorName: by.Name, ActorTitle: by.Title, Data: data}
}

func systemActor() Actor { return Actor{Account: system} }

// change locks a document, lets f say what happened, and stores the events, the projection and the audit entry in one
// transaction. f may run again. version is what the officer saw, 0 for acts that do not depend on it.
func (d *Desk) change(ctx context.Context, id string, version int64, action string, f func(tx Tx, s Stored) ([]Event, error)) error {
	return d.Store.InTx(ctx, func(tx Tx) error { return d.changeIn(ctx, tx, id, version, action, f) })
}

func (d *Desk) changeIn(ctx context.Context, tx Tx, id string, version int64, action string, f func(tx Tx, s Stored) ([]Event, error)) error {
	s, err := tx.Find(ctx, id)
	if err != nil {
		return err
	}
	if version != 0 && s.Row.Version != version {
		return errChanged()
	}
	added, err := f(tx, s)
	if err != nil || len(added) == 0 {
		return err
	}
	row, sealed, err := extend(s, added)
	if err != nil {
		return err
	}
	if err := tx.Append(ctx, row, s.Row.Version, sealed); err != nil {
		return err
	}
	return d.audit(ctx, tx, sealed, action, id)
}

// insert adds a new document with its first events.
func (d *Desk) insert(ctx context.Context, tx Tx, id, action string, first ...Event) error {
	row, sealed, err := extend(Stored{Row: Row{ID: id}}, first)
	if err != nil {
		return err
	}
	if err := tx.Insert(ctx, row, sealed); err != nil {
		return err
	}
	return d.audit(ctx, tx, sealed, action, id)
}

// audit records the acts of people; what the system does by itself is in the chain.
func (d *Desk) audit(ctx context.Context, tx Tx, events []Event, action, id string) error {
	if action == "" {
		return nil
	}
	for _, e := range events {
		if e.Actor != system {
			return d.Audit.Act(ctx, tx, e.Actor, action, id)
		}
	}
	return nil
}

// extend seals events behind those stored and computes the projection.
func extend(s Stored, added []Event) (Row, []Event, error) {
	prev := ""
	if n := len(s.Events); n > 0 {
		prev = s.Events[n-1].Hash
	}
	all := slices.Clone(s.Events)
	for i := range added {
		added[i].Seq = int64(len(all)) + 1
		if err := added[i].seal(prev); err != nil {
			return Row{}, nil, err
		}
		prev = added[i].Hash
		all = append(all, added[i])
	}
	row, err := Project(s.Row.ID, all)
	row.Version = int64(len(all))
	return row, added, err
}

// Project computes the row of a document from its events: a list can always be made anew.
func Project(id string, events []Event) (Row, error) {
	if len(events) == 0 {
		return Row{}, errNotFound()
	}
	var row Row
	switch events[0].Type {
	case EvDrafted:
		row = foldOutgoing(id, events).row()
	case EvArrived, EvEntered:
		row = foldIncoming(id, events).row()
	default:
		return Row{}, fmt.Errorf("document %s begins with %q", id, events[0].Type)
	}
	row.CreatedAt, row.UpdatedAt = events[0].At, events[len(events)-1].At
	return row, nil
}

// Office day and year are those of Viet Nam.
func dayOf(t time.Time) string { return t.In(i18n.Zone).Format(time.DateOnly) }

func yearOf(t time.Time) int { return t.In(i18n.Zone).Year() }

// clean brings text into the form it is kept in: NFC, no white space around, no control characters but line breaks.
func clean(s string) string {
	s = i18n.NFC(strings.ReplaceAll(s, "\r\n", "\n"))
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

func cleanLine(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

func cleanLines(list []string) []string {
	var out []string
	for _, s := range list {
		if s = cleanLine(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
