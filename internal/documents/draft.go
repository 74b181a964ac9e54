package documents

import (
	"context"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"truc/internal/blobs"
	"truc/internal/errs"
	"truc/internal/i18n"
)

// Draft begins a document. The officer who begins it holds it.
func (d *Desk) Draft(ctx context.Context, by Actor, f DraftForm) (id string, err error) {
	return d.draft(ctx, by, f, EventData{})
}

func (d *Desk) draft(ctx context.Context, by Actor, f DraftForm, data EventData) (id string, err error) {
	o, err := d.need(by, RoleOfficer, RoleHead, RoleClerk)
	if err != nil {
		return "", err
	}
	if f, err = d.Check(o, f, false); err != nil {
		return "", err
	}
	data.Form, data.Office = &f, o.Code
	id = newID()
	return id, d.Store.InTx(ctx, func(tx Tx) error {
		return d.insert(ctx, tx, id, "documents.draft", d.event(by, EvDrafted, data))
	})
}

// holding refuses everybody but who holds a document that is still on paper only.
func holding(by Actor, o *Outgoing, states ...State) error {
	if !slices.Contains(states, o.State) {
		return errState(o.State)
	}
	if o.Holder != by.Account {
		return errs.E(errs.Denied, "documents.not_your_turn", nil)
	}
	return nil
}

// outgoing reads a document that the officer may see.
func (d *Desk) outgoing(ctx context.Context, by Actor, id string) (*Outgoing, Office, error) {
	s, o, err := d.find(ctx, by, id, Out)
	if err != nil {
		return nil, o, err
	}
	return foldOutgoing(id, s.Events), o, nil
}

// changeOut is change for an outgoing document of the officer's office.
func (d *Desk) changeOut(ctx context.Context, by Actor, id string, version int64, action string, f func(tx Tx, out *Outgoing, o Office) ([]Event, error)) error {
	o, err := d.OfficeOf(by)
	if err != nil {
		return err
	}
	return d.change(ctx, id, version, action, func(tx Tx, s Stored) ([]Event, error) {
		if !maySee(by, o, s.Row) || s.Row.Direction != Out {
			return nil, errNotFound()
		}
		return f(tx, foldOutgoing(id, s.Events), o)
	})
}

// Save keeps a new version of a draft; earlier ones stay. errs.Conflict when somebody else saved since version.
func (d *Desk) Save(ctx context.Context, by Actor, id string, version int64, f DraftForm) error {
	return d.changeOut(ctx, by, id, version, "documents.save", func(_ Tx, out *Outgoing, o Office) ([]Event, error) {
		if err := holding(by, out, Drafting, Reviewing, Approved); err != nil {
			return nil, err
		}
		f, err := d.Check(o, f, out.State != Drafting)
		if err != nil {
			return nil, err
		}
		if out.State == Approved && f.Signer != out.Form.Signer {
			return nil, errs.E(errs.Conflict, "documents.signer_fixed", nil)
		}
		return []Event{d.event(by, EvSaved, EventData{Form: &f})}, nil
	})
}

// Attach stores a separate file and adds it to a draft. It is refused when it is too large, is a program, or is not what
// its name says.
func (d *Desk) Attach(ctx context.Context, by Actor, id string, version int64, name, media string, r io.Reader) (File, error) {
	out, _, err := d.outgoing(ctx, by, id)
	if err != nil {
		return File{}, err
	}
	lim := d.Limits.filled()
	if err := holding(by, out, Drafting, Reviewing, Approved); err != nil {
		return File{}, err
	}
	if len(out.Attachments) >= lim.Attachments {
		return File{}, errs.E(errs.Invalid, "documents.attachments_too_many", nil, "most", lim.Attachments)
	}
	f, err := d.takeFile(name, media, r, lim.Attachment)
	if err != nil {
		return f, err
	}
	if f.Lies {
		return f, errs.E(errs.Invalid, "documents.attachment_lies", nil, "name", f.Name)
	}
	return f, d.changeOut(ctx, by, id, version, "documents.attach", func(_ Tx, out *Outgoing, _ Office) ([]Event, error) {
		if err := holding(by, out, Drafting, Reviewing, Approved); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out.Attachments, func(a File) bool { return a.Name == f.Name }) {
			return nil, errs.E(errs.Conflict, "documents.attachment_name_taken", nil, "name", f.Name)
		}
		return []Event{d.event(by, EvAttached, EventData{File: &f})}, nil
	})
}

// takeFile stores a file that a person hands in.
func (d *Desk) takeFile(name, media string, r io.Reader, most int64) (File, error) {
	f := File{ID: newID(), Name: cleanLine(path.Base(strings.ReplaceAll(name, "\\", "/"))), Media: cleanLine(media)}
	if err := checkFileName(f.Name); err != nil {
		return f, err
	}
	if marked(d.marks(), strings.TrimSuffix(f.Name, path.Ext(f.Name))) {
		return f, errSecret()
	}
	w, err := d.Blobs.Create()
	if err != nil {
		return f, err
	}
	head := &headWriter{}
	n, err := io.Copy(io.MultiWriter(w, head), io.LimitReader(r, most+1))
	switch {
	case err != nil:
	case n > most:
		err = errs.E(errs.TooLarge, "documents.attachment_too_large", nil, "name", f.Name)
	case n == 0:
		err = errs.E(errs.Invalid, "documents.attachment_empty", nil, "name", f.Name)
	case executable(head.b):
		err = errs.E(errs.Invalid, "documents.attachment_program", nil, "name", f.Name)
	}
	if err != nil {
		_ = w.Discard()
		return f, err
	}
	b, err := w.Commit()
	f.SHA256, f.Size = b.SHA256, b.Size
	if f.Media == "" || f.Media == "application/octet-stream" {
		f.Media = mediaOf(f.Name)
	}
	f.Lies = lies(f.Name, head.b)
	return f, err
}

// headWriter keeps the first bytes of a stream.
type headWriter struct{ b []byte }

func (h *headWriter) Write(p []byte) (int, error) {
	if room := 16 - len(h.b); room > 0 {
		h.b = append(h.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func checkFileName(name string) error {
	bad := name == "" || name == "." || len(name) > 255 || path.Ext(name) == "" || strings.HasPrefix(name, ".") ||
		strings.ContainsAny(name, "/\\:*?\"<>|\x00") || !utf8.ValidString(name)
	if bad {
		return errs.E(errs.Invalid, "documents.attachment_name", nil, "name", name)
	}
	if !slices.Contains(fileTypes(), extension(name)) {
		return errs.E(errs.Invalid, "documents.attachment_type", nil, "name", name)
	}
	return nil
}

// Detach takes a file off a draft.
func (d *Desk) Detach(ctx context.Context, by Actor, id string, version int64, file string) error {
	return d.changeOut(ctx, by, id, version, "documents.detach", func(_ Tx, out *Outgoing, _ Office) ([]Event, error) {
		if err := holding(by, out, Drafting, Reviewing, Approved); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(out.Attachments, func(f File) bool { return f.ID == file })
		if i < 0 {
			return nil, errNotFound()
		}
		return []Event{d.event(by, EvDetached, EventData{File: &out.Attachments[i]})}, nil
	})
}

// paper is what the typesetter prints.
func (d *Desk) paper(o Office, out *Outgoing, signer Person, draft bool) Paper {
	f := out.Form
	t, _ := TypeOf(f.Type)
	p := Paper{
		Superior: o.Superior, Agency: o.Name, Code: out.Code, Place: o.Place, Type: t, Subject: f.Subject,
		Addressees: f.Addressees, Body: f.Body, Authority: f.Authority, Title: signer.Title, Signer: signer.Name,
		ToPlaces: f.ToPlaces, Urgency: f.Urgency.Mark(), Circulation: f.Circulation, Drafter: f.DrafterMark,
		Appendixes: f.Appendixes, Contact: o.contact(), Draft: draft,
	}
	if p.Code.Notation == "" {
		p.Code.Notation, _ = d.notation(o, f)
	}
	if out.Date != "" {
		p.Date, _ = time.ParseInLocation(time.DateOnly, out.Date, i18n.Zone)
	}
	return p
}

// Preview prints a draft with a watermark, with the number it will get left open.
func (d *Desk) Preview(ctx context.Context, by Actor, id string) ([]byte, error) {
	out, o, err := d.outgoing(ctx, by, id)
	if err != nil {
		return nil, err
	}
	signer, err := d.person(ctx, o, out.Form.Signer)
	if err != nil {
		signer = Person{}
	}
	printed, err := d.Typesetter.Typeset(ctx, d.paper(o, out, signer, true))
	return printed.PDF, err
}

// person finds an officer of the office.
func (d *Desk) person(ctx context.Context, o Office, account string) (Person, error) {
	people, err := d.Officers.People(ctx, o.Code)
	if err != nil {
		return Person{}, err
	}
	i := slices.IndexFunc(people, func(p Person) bool { return p.Account == account && account != "" })
	if i < 0 {
		return Person{}, errs.E(errs.Invalid, "documents.person_unknown", nil, "account", account)
	}
	return people[i], nil
}

// Submit gives a draft to a reviewer, or straight to the signer.
func (d *Desk) Submit(ctx context.Context, by Actor, id string, version int64, to, note string) error {
	return d.pass(ctx, by, id, version, EvSubmitted, to, note)
}

// Decision is a reviewer's word.
type Decision string

// The decisions.
const (
	Approve Decision = "approve"
	Return  Decision = "return" // to the drafter, with a reason
)

// Review approves a draft and passes it on, to another reviewer or to the signer (next empty: the signer); or returns it.
func (d *Desk) Review(ctx context.Context, by Actor, id string, version int64, what Decision, next, note string) error {
	switch what {
	case Approve:
		return d.pass(ctx, by, id, version, EvApproved, next, note)
	case Return:
		if clean(note) == "" {
			return errs.E(errs.Invalid, "documents.reason_missing", nil)
		}
		return d.changeOut(ctx, by, id, version, "documents.return", func(_ Tx, out *Outgoing, _ Office) ([]Event, error) {
			if err := holding(by, out, Reviewing, Approved); err != nil {
				return nil, err
			}
			return []Event{d.event(by, EvReturned, EventData{To: out.Drafter, Note: clean(note)})}, nil
		})
	default:
		return errs.E(errs.Invalid, "documents.decision_unknown", nil)
	}
}

// pass hands a draft on.
func (d *Desk) pass(ctx context.Context, by Actor, id string, version int64, typ EventType, to, note string) error {
	out, o, err := d.outgoing(ctx, by, id)
	if err != nil {
		return err
	}
	if to == "" {
		to = out.Form.Signer
	}
	if _, err := d.Check(o, out.Form, true); err != nil {
		return err
	}
	next, err := d.person(ctx, o, to)
	if err != nil {
		return err
	}
	signer, err := d.person(ctx, o, out.Form.Signer)
	if err != nil {
		return err
	}
	if !slices.Contains(signer.Roles, RoleHead) {
		return errs.E(errs.Invalid, "documents.signer_not_competent", nil, "name", signer.Name)
	}
	if err := d.knownReceivers(ctx, out.Form.Receivers); err != nil {
		return err
	}
	from := []State{Drafting}
	if typ == EvApproved {
		from = []State{Reviewing}
	}
	seen := out.Version
	if version != 0 {
		seen = version
	}
	return d.changeOut(ctx, by, id, seen, "documents.pass", func(_ Tx, out *Outgoing, _ Office) ([]Event, error) {
		if err := holding(by, out, from...); err != nil {
			return nil, err
		}
		if next.Account == by.Account && next.Account != out.Form.Signer {
			return nil, errs.E(errs.Invalid, "documents.to_oneself", nil)
		}
		return []Event{d.event(by, typ, EventData{To: next.Account, Note: clean(note)})}, nil
	})
}

// knownReceivers refuses codes the axis does not serve. When the axis cannot be asked, the hub will say it later.
func (d *Desk) knownReceivers(ctx context.Context, codes []string) error {
	all, err := d.Carrier.Agencies(ctx)
	if err != nil || len(all) == 0 {
		return nil //nolint:nilerr // a desk without a line goes on; the hub refuses what is wrong
	}
	for _, code := range codes {
		i := slices.IndexFunc(all, func(a Agency) bool { return a.Code == code })
		if i < 0 {
			return errs.E(errs.Invalid, "documents.receiver_unknown", nil, "code", code)
		}
		if all[i].Closed && len(all[i].Successors) != 1 {
			return errs.E(errs.Invalid, "documents.receiver_closed", nil, "code", code, "successors", strings.Join(all[i].Successors, ", "))
		}
	}
	return nil
}

// agencyNames maps codes to names as the axis knows them.
func (d *Desk) agencyNames(ctx context.Context) map[string]string {
	names := map[string]string{}
	all, err := d.Carrier.Agencies(ctx)
	if err != nil {
		return names
	}
	for _, a := range all {
		names[a.Code] = a.Name
	}
	return names
}

// TakeBack lets the drafter take a draft back from whoever holds it, before it has a number.
func (d *Desk) TakeBack(ctx context.Context, by Actor, id, reason string) error {
	return d.changeOut(ctx, by, id, 0, "documents.take_back", func(_ Tx, out *Outgoing, _ Office) ([]Event, error) {
		if by.Account != out.Drafter {
			return nil, errs.E(errs.Denied, "documents.not_your_turn", nil)
		}
		if out.State != Reviewing && out.State != Approved {
			return nil, errState(out.State)
		}
		return []Event{d.event(by, EvReturned, EventData{To: out.Drafter, Note: clean(reason)})}, nil
	})
}

// Discard gives up a draft that never had a number.
func (d *Desk) Discard(ctx context.Context, by Actor, id string, version int64, reason string) error {
	return d.changeOut(ctx, by, id, version, "documents.discard", func(_ Tx, out *Outgoing, _ Office) ([]Event, error) {
		if by.Account != out.Drafter {
			return nil, errs.E(errs.Denied, "documents.not_your_turn", nil)
		}
		if err := holding(by, out, Drafting); err != nil {
			return nil, err
		}
		return []Event{d.event(by, EvDiscarded, EventData{Reason: clean(reason)})}, nil
	})
}

// blob reads stored content whole and checks that it is what its name says.
func (d *Desk) blob(sha string, most int64) ([]byte, error) {
	return readBlob(d.Blobs, sha, most)
}

func readBlob(store *blobs.Store, sha string, most int64) (content []byte, err error) {
	f, size, err := store.Open(sha)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	if size > most {
		return nil, errs.E(errs.TooLarge, "documents.attachment_too_large", nil, "name", sha[:8])
	}
	content, err = io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if digest(content) != sha {
		return nil, errs.E(errs.Conflict, "documents.file_changed", nil)
	}
	return content, nil
}
