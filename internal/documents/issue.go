package documents

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/sign"
)

// largest typeset document that is read back into memory.
const maxPDF = 128 << 20

// SignAsPerson takes number and date, prints the document with them and adds the signature of the competent person. The
// number is taken in its own transaction: when the signature fails, the document keeps the number and the same call tries
// again; on another day the old number is voided and stays in the register with its reason.
func (d *Desk) SignAsPerson(ctx context.Context, by Actor, id string) error {
	out, o, err := d.outgoing(ctx, by, id)
	if err != nil {
		return err
	}
	if err := d.maySign(by, out); err != nil {
		return err
	}
	if _, err := d.Check(o, out.Form, true); err != nil {
		return err
	}
	if out.State == Numbered && out.Date != dayOf(d.now()) {
		if err := d.void(ctx, by, id, out.Version, staleNumber, out.Holder); err != nil {
			return err
		}
		if out, o, err = d.outgoing(ctx, by, id); err != nil {
			return err
		}
	}
	if out.State != Numbered {
		if err := d.takeNumber(ctx, by, out.ID, out.Version); err != nil {
			return err
		}
		if out, _, err = d.outgoing(ctx, by, id); err != nil {
			return err
		}
	}
	me := Person{Account: by.Account, Name: by.Name, Title: by.Title}
	printed, err := d.Typesetter.Typeset(ctx, d.paper(o, out, me, false))
	if err != nil {
		return err
	}
	signed, err := d.Signatures.Person(ctx, PersonSignature{
		PDF: printed.PDF, Office: o.Code, Account: by.Account, Name: by.Name, Title: by.Title, Box: printed.Person,
	})
	if err != nil {
		return err
	}
	b, err := d.Blobs.Put(bytes.NewReader(signed))
	if err != nil {
		return err
	}
	due, err := d.nextDay(d.now(), out.Form.Urgency)
	if err != nil {
		return err
	}
	file := File{ID: newID(), Name: fileName(out.Code), Media: "application/pdf", SHA256: b.SHA256, Size: b.Size}
	return d.changeOut(ctx, by, id, out.Version, "documents.sign", func(_ Tx, out *Outgoing, _ Office) ([]Event, error) {
		if err := d.maySign(by, out); err != nil {
			return nil, err
		}
		return []Event{d.event(by, EvPersonSigned, EventData{File: &file, Files: out.Attachments, Pages: printed.Pages, Seal: &printed.Seal, Due: &due})}, nil
	})
}

// staleNumber is the reason of a number whose signature was not made on its day.
const staleNumber = "Chữ ký không hoàn thành trong ngày cấp số"

// maySign wants the head who was chosen as signer, and a document that waits for the signature.
func (d *Desk) maySign(by Actor, out *Outgoing) error {
	if !by.Has(RoleHead) {
		return errs.E(errs.Denied, "documents.role_missing", nil)
	}
	if by.Account != out.Form.Signer {
		return errs.E(errs.Denied, "documents.not_your_turn", nil)
	}
	if out.State != Approved && out.State != Numbered {
		return errState(out.State)
	}
	return nil
}

// takeNumber takes the next number of the series, today's date and the notation, in one transaction with the event.
func (d *Desk) takeNumber(ctx context.Context, by Actor, id string, version int64) error {
	return d.changeOut(ctx, by, id, version, "documents.number", func(tx Tx, out *Outgoing, o Office) ([]Event, error) {
		if err := d.maySign(by, out); err != nil {
			return nil, err
		}
		if out.State != Approved {
			return nil, errState(out.State)
		}
		notation, err := d.notation(o, out.Form)
		if err != nil {
			return nil, err
		}
		now := d.now()
		num := Number{Office: o.Code, Direction: Out, Year: yearOf(now), Notation: notation, Document: id, At: now}
		if o.SeriesByType {
			num.Series = out.Form.Type
		}
		n, err := tx.TakeNumber(ctx, num)
		if err != nil {
			return nil, err
		}
		due, err := d.withinDay(now)
		if err != nil {
			return nil, err
		}
		code := Code{Number: FormatNumber(n), Notation: notation}
		return []Event{d.event(by, EvNumbered, EventData{Code: &code, N: n, Series: num.Series, Date: dayOf(now), Due: &due})}, nil
	})
}

// VoidNumber gives a number up, with a reason, before the document was issued: by the signer or a clerk. The number stays
// in the register; the document goes back to its drafter.
func (d *Desk) VoidNumber(ctx context.Context, by Actor, id, reason string) error {
	if clean(reason) == "" {
		return errs.E(errs.Invalid, "documents.reason_missing", nil)
	}
	return d.void(ctx, by, id, 0, clean(reason), "")
}

// void voids the number; with holder the document stays approved and with the signer.
func (d *Desk) void(ctx context.Context, by Actor, id string, version int64, reason, holder string) error {
	return d.changeOut(ctx, by, id, version, "documents.void_number", func(tx Tx, out *Outgoing, _ Office) ([]Event, error) {
		if out.State != Numbered && out.State != Signed {
			return nil, errState(out.State)
		}
		if by.Account != out.Form.Signer && !by.Has(RoleClerk) {
			return nil, errs.E(errs.Denied, "documents.role_missing", nil)
		}
		events := []Event{d.event(by, EvVoided, EventData{Code: &out.Code, N: out.N, Reason: reason})}
		if holder != "" {
			events = append(events, d.event(by, EvSubmitted, EventData{To: out.Form.Signer, Note: reason}))
		}
		return events, tx.VoidNumber(ctx, id, d.now(), reason)
	})
}

// SendWhen says when an issued document leaves.
type SendWhen struct {
	// Now sends it in the transaction that issues it. At sends it by itself at that time, which must not be after the
	// legal limit. Neither leaves it to [Desk.SendNow].
	Now bool
	At  time.Time
}

// Issue applies the agency's signature to the document and to each separate attachment, and enters it in the register:
// by a clerk only, only after the person signed, and only when the bytes are those the person signed.
func (d *Desk) Issue(ctx context.Context, by Actor, id string, when SendWhen) error {
	o, err := d.need(by, RoleClerk)
	if err != nil {
		return err
	}
	out, _, err := d.outgoing(ctx, by, id)
	if err != nil {
		return err
	}
	if out.State != Signed || out.Signed == nil {
		return errs.E(errs.Conflict, "documents.person_first", nil)
	}
	if by.Account == out.SignedBy {
		return errs.E(errs.Denied, "documents.two_persons", nil) // two roles and two keys (30/2020, article 32.2)
	}
	if _, err := d.Check(o, out.Form, true); err != nil {
		return err
	}
	main, err := d.sealMain(ctx, by, o, out)
	if err != nil {
		return err
	}
	files, err := d.sealAttachments(ctx, by, o, out)
	if err != nil {
		return err
	}
	data := EventData{File: &main, Files: files, DocumentID: documentID(o.Code, out.Date, out.Code)}
	now := d.now()
	due, err := d.sendBy(now, out.Form.Urgency)
	if err != nil {
		return err
	}
	data.Due = &due
	events := []Event{d.event(by, EvIssued, data)}
	if err := d.checkWhen(when, now, due); err != nil {
		return err
	}
	if !when.At.IsZero() {
		at := when.At.UTC().Truncate(time.Microsecond)
		events[0].Data.At = &at
	}
	sending := (*dispatchPlan)(nil)
	if (when.Now || out.Form.Urgency > Normal) && len(out.Form.Receivers) > 0 {
		events[0].Data.At = nil
		if sending, err = d.plan(ctx, o, after(out, events[0]), int64(len(out.Events))+2, nil); err != nil {
			return err
		}
	}
	return d.changeOut(ctx, by, id, out.Version, "documents.issue", func(tx Tx, out *Outgoing, _ Office) ([]Event, error) {
		if err := d.markAmended(ctx, tx, by, out, data.DocumentID); err != nil {
			return nil, err
		}
		if sending == nil {
			return events, nil
		}
		return append(events[:1:1], d.sentEvent(by, sending)), d.carry(ctx, tx, sending)
	})
}

func (d *Desk) checkWhen(when SendWhen, now, due time.Time) error {
	if when.At.IsZero() {
		return nil
	}
	if when.Now || when.At.Before(now) || when.At.After(due) {
		return errs.E(errs.Invalid, "documents.send_at_invalid", nil)
	}
	return nil
}

// after is the document as it will be once e has happened.
func after(out *Outgoing, e Event) *Outgoing {
	e.Seq = int64(len(out.Events)) + 1
	return foldOutgoing(out.ID, append(slices.Clone(out.Events), e))
}

// sealMain verifies what the person signed and adds the agency's signature.
func (d *Desk) sealMain(ctx context.Context, by Actor, o Office, out *Outgoing) (File, error) {
	content, err := d.blob(out.Signed.SHA256, maxPDF)
	if err != nil {
		return File{}, err
	}
	reports, err := d.Signatures.Verify(ctx, content)
	if err != nil {
		return File{}, err
	}
	if len(reports) != 1 || !reports[0].Integrity || reports[0].State == sign.Changed {
		return File{}, errs.E(errs.Conflict, "documents.person_first", errors.New("the file does not hold exactly the person's signature"))
	}
	sealed, err := d.Signatures.Agency(ctx, AgencySignature{PDF: content, Office: o.Code, OfficeName: o.Name, Clerk: by.Account, Box: out.Seal})
	if err != nil {
		return File{}, err
	}
	if !bytes.HasPrefix(sealed, content) {
		return File{}, errs.E(errs.Internal, "documents.file_changed", errors.New("the agency's signature changed earlier bytes"))
	}
	b, err := d.Blobs.Put(bytes.NewReader(sealed))
	return File{ID: newID(), Name: fileName(out.Code), Media: "application/pdf", SHA256: b.SHA256, Size: b.Size}, err
}

// sealAttachments signs each separate file for the agency; a file that is no PDF gets a detached signature beside it.
func (d *Desk) sealAttachments(ctx context.Context, by Actor, o Office, out *Outgoing) ([]File, error) {
	lim := d.Limits.filled()
	var files []File
	for _, a := range out.Attachments {
		content, err := d.blob(a.SHA256, lim.Attachment)
		if err != nil {
			return nil, err
		}
		signed, err := d.Signatures.NoImage(ctx, AttachmentSignature{
			Content: content, Name: a.Name, Media: a.Media, Office: o.Code, OfficeName: o.Name, Place: o.Place, Clerk: by.Account, Code: out.Code,
		})
		if err != nil {
			return nil, err
		}
		b, err := d.Blobs.Put(bytes.NewReader(signed.Content))
		if err != nil {
			return nil, err
		}
		files = append(files, File{ID: a.ID, Name: a.Name, Media: a.Media, SHA256: b.SHA256, Size: b.Size})
		if len(signed.Detached) == 0 {
			continue
		}
		if b, err = d.Blobs.Put(bytes.NewReader(signed.Detached)); err != nil {
			return nil, err
		}
		name := a.Name + ".p7s"
		files = append(files, File{ID: newID(), Name: name, Media: mediaOf(name), SHA256: b.SHA256, Size: b.Size})
	}
	return files, nil
}

// fileName names the document's file after its code: "08-SM-VP.pdf".
func fileName(c Code) string { return c.Number + "-" + c.Notation + ".pdf" }

// FileOf opens a file of a document that the officer may see, and keeps that it was opened.
func (d *Desk) FileOf(ctx context.Context, by Actor, id, file string) (File, io.ReadSeekCloser, error) {
	s, _, err := d.find(ctx, by, id, "")
	if err != nil {
		return File{}, nil, err
	}
	for _, f := range filesOf(id, s) {
		if f.ID != file {
			continue
		}
		if err := d.Store.Opened(ctx, Opening{Document: id, Account: by.Account, Name: by.Name, What: f.Name, At: d.now()}); err != nil {
			return f, nil, err
		}
		r, _, err := d.Blobs.Open(f.SHA256)
		return f, r, err
	}
	return File{}, nil, errNotFound()
}

// filesOf are all files a reader of the document may open.
func filesOf(id string, s Stored) []File {
	var files []File
	for _, c := range Copies(s.Events) {
		files = append(files, c.File)
	}
	if s.Row.Direction == In {
		return append(files, foldIncoming(id, s.Events).Files...)
	}
	out := foldOutgoing(id, s.Events)
	files = append(files, out.Attachments...)
	if out.Main != nil {
		files = append(files, *out.Main)
	}
	if out.Signed != nil {
		files = append(files, *out.Signed)
	}
	return files
}
