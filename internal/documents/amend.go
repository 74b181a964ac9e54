package documents

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"truc/edxml"
	"truc/internal/errs"
)

// AmendForm is a document that revokes, updates or replaces an earlier one. It is drafted, reviewed, signed and issued
// like any other; when it is issued, the earlier one is frozen.
type AmendForm struct {
	// Reason is why; the receivers read it.
	Reason string
	// Form is the new document. Empty parts are taken from the earlier one.
	Form DraftForm
	// Removed are receivers of the earlier document that do not get the new content; of an update they are told so.
	Removed []string
	// Also are further documents that a replacement replaces.
	Also []string
}

// Revoke begins a document that revokes another (edXML type 1, Decree 30/2020/NĐ-CP, article 18.4).
func (d *Desk) Revoke(ctx context.Context, by Actor, id string, f AmendForm) (string, error) {
	return d.amend(ctx, by, id, KindRevocation, f)
}

// Update begins a document that changes content or receivers of another (edXML type 2).
func (d *Desk) Update(ctx context.Context, by Actor, id string, f AmendForm) (string, error) {
	return d.amend(ctx, by, id, KindUpdate, f)
}

// Replace begins a document that takes the place of others (edXML type 3).
func (d *Desk) Replace(ctx context.Context, by Actor, id string, f AmendForm) (string, error) {
	return d.amend(ctx, by, id, KindReplacement, f)
}

func (d *Desk) amend(ctx context.Context, by Actor, id string, kind Kind, f AmendForm) (string, error) {
	reason := clean(f.Reason)
	if reason == "" {
		return "", errs.E(errs.Invalid, "documents.reason_missing", nil)
	}
	if _, err := d.need(by, RoleHead, RoleClerk, RoleOfficer); err != nil {
		return "", err
	}
	data := EventData{Kind: kind, Reason: reason}
	form := f.Form
	for i, other := range append([]string{id}, f.Also...) {
		if i > 0 && kind != KindReplacement {
			return "", errs.E(errs.Invalid, "documents.amend_one", nil)
		}
		old, _, err := d.outgoing(ctx, by, other)
		if err != nil {
			return "", err
		}
		if old.State != Sent && old.State != Issued {
			return "", errState(old.State)
		}
		if i == 0 && kind != KindRevocation {
			data.Files = unsigned(old)
		}
		if i == 0 {
			form = amended(form, old, kind, f.Removed)
			for _, p := range old.Receivers() {
				if slices.Contains(f.Removed, p.Code) {
					data.Receivers = append(data.Receivers, p)
				}
			}
		}
		var had []string
		for _, p := range old.Receivers() {
			had = append(had, p.Code)
		}
		data.Links = append(data.Links, Link{
			Kind: kind, ID: other, Code: old.Code.String(), DocumentID: old.DocumentID, Date: old.Date, Party: strings.Join(had, " "),
		})
	}
	return d.draft(ctx, by, form, data)
}

// unsigned returns the attachments of a document as they were before the agency signed them.
func unsigned(old *Outgoing) []File {
	var files []File
	for _, e := range old.Events {
		if e.Type == EvPersonSigned {
			files = e.Data.Files
		}
	}
	return files
}

// amended fills what the form leaves open from the earlier document.
func amended(f DraftForm, old *Outgoing, kind Kind, removed []string) DraftForm {
	fill := func(s *string, v string) {
		if clean(*s) == "" {
			*s = v
		}
	}
	typ, subject, body := old.Form.Type, old.Form.Subject, old.Form.Body
	if kind == KindRevocation {
		typ = OfficialLetter
		subject = fmt.Sprintf("V/v thu hồi văn bản số %s", old.Code)
		body = fmt.Sprintf("Thu hồi văn bản số %s ngày %s về việc: %s", old.Code, vietnameseDate(old.Date), old.Form.Subject)
	}
	fill(&f.Type, typ)
	fill(&f.Unit, old.Form.Unit)
	fill(&f.Subject, subject)
	fill(&f.Body, body)
	fill(&f.Authority, old.Form.Authority)
	fill(&f.Signer, old.Form.Signer)
	if len(f.Addressees) == 0 {
		f.Addressees = old.Form.Addressees
	}
	if len(f.ToPlaces) == 0 {
		f.ToPlaces = old.Form.ToPlaces
	}
	for _, p := range old.Receivers() {
		// Those who received the old one must hear of it; of a replacement, who was removed hears nothing.
		if kind == KindReplacement && slices.Contains(removed, p.Code) {
			continue
		}
		if !slices.Contains(f.Receivers, p.Code) {
			f.Receivers = append(f.Receivers, p.Code)
		}
	}
	return f
}

func vietnameseDate(day string) string {
	p := strings.Split(day, "-")
	if len(p) != 3 {
		return day
	}
	return p[2] + "/" + p[1] + "/" + p[0]
}

// markAmended tells the earlier documents, in the transaction that issues the new one.
func (d *Desk) markAmended(ctx context.Context, tx Tx, by Actor, out *Outgoing, newID string) error {
	if out.Kind == KindNew {
		return nil
	}
	for _, l := range out.Links {
		err := d.changeIn(ctx, tx, l.ID, 0, "", func(_ Tx, s Stored) ([]Event, error) {
			old := foldOutgoing(l.ID, s.Events)
			if old.State != Sent && old.State != Issued {
				return nil, errState(old.State)
			}
			code := out.Code
			return []Event{d.event(by, EvAmended, EventData{
				Kind: out.Kind, Other: out.ID, Code: &code, Date: out.Date, DocumentID: newID, Reason: out.AmendReason,
			})}, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Recall asks receivers to give a document back (status 13), with a reason. Only the receivers can do it: the document
// stays as it is until they agree.
func (d *Desk) Recall(ctx context.Context, by Actor, id string, receivers []string, reason string) error {
	o, err := d.need(by, RoleClerk, RoleHead)
	if err != nil {
		return err
	}
	reason = clean(reason)
	if reason == "" {
		return errs.E(errs.Invalid, "documents.reason_missing", nil)
	}
	out, _, err := d.outgoing(ctx, by, id)
	if err != nil {
		return err
	}
	if out.State != Sent {
		return errState(out.State)
	}
	var to []Party
	for _, p := range out.Receivers() {
		if len(receivers) == 0 || slices.Contains(receivers, p.Code) {
			to = append(to, p)
		}
	}
	if len(to) == 0 || len(receivers) > len(to) {
		return errs.E(errs.Invalid, "documents.receivers_missing", nil)
	}
	var carriages []Carriage
	var payloads []File
	for i, p := range to {
		about := edxml.Reference{OrganID: p.Code, Code: out.Code.String(), DocumentID: out.DocumentID, Date: dateOf(out.Date)}
		c, err := d.status(o, by, about, StatusRecall, reason, fmt.Sprintf("%s.%d.%d", id, len(out.Events)+1, i), out.Form.Urgency)
		if err != nil {
			return err
		}
		carriages, payloads = append(carriages, c), append(payloads, payloadFile(c))
	}
	return d.changeOut(ctx, by, id, out.Version, "documents.recall", func(tx Tx, _ *Outgoing, _ Office) ([]Event, error) {
		for _, c := range carriages {
			if err := d.Carrier.Carry(ctx, tx, c); err != nil {
				return nil, err
			}
		}
		return []Event{d.event(by, EvRecalled, EventData{Receivers: to, Reason: reason, Told: StatusRecall, Files: payloads})}, nil
	})
}
