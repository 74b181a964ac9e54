package documents

import (
	"context"
	"slices"
	"strings"
	"time"

	"truc/edxml"
	"truc/internal/errs"
)

// receiveStatus gives a business status to the document it is about: 13 to an incoming one, the rest to an outgoing one
// (for 13 sender and receiver change sides).
func (d *Desk) receiveStatus(ctx context.Context, o Office, a Arrival, m *edxml.Message) (Received, error) {
	if len(m.ResponseFor) == 0 {
		return Received{}, errs.E(errs.Invalid, "documents.status_without_document", nil)
	}
	about, code := m.ResponseFor[0], StatusCode(m.Status.Code)
	dir := Out
	if code == StatusRecall {
		dir = In
	}
	h := HeardStatus{
		Message: a.Message, From: m.From.ID, Name: m.From.Name, Code: code, Text: m.Status.Description,
		At: m.Status.At, HeardAt: d.now(), Staff: m.Status.Staff.Name,
	}
	// A clock that runs ahead must not make its status the last word for ever.
	if h.At.IsZero() || h.At.After(h.HeardAt.Add(maxSkew)) {
		h.At = h.HeardAt
	}
	successors := d.successors(ctx)
	got := Received{Status: true}
	err := d.Store.InTx(ctx, func(tx Tx) error {
		seen, err := tx.Seen(ctx, o.Code+" "+a.Message, d.now())
		if err != nil {
			return err
		}
		if seen {
			got = Received{Status: true, Repeated: true}
			return nil
		}
		rows, err := d.about(ctx, tx, o, dir, about, m.From.ID)
		if err != nil {
			return err
		}
		got.Document = rows[0].ID
		for _, r := range rows {
			if err := d.hear(ctx, tx, r, h, successors); err != nil {
				return err
			}
		}
		return nil
	})
	return got, err
}

// about finds the documents a status names: by identifier, else by code and date.
func (d *Desk) about(ctx context.Context, tx Tx, o Office, dir Direction, ref edxml.Reference, from string) ([]Row, error) {
	q := Query{Office: o.Code, Direction: dir, DocumentID: strings.TrimSpace(ref.DocumentID), Limit: 20}
	if dir == In {
		q.Party = from
	}
	rows, err := tx.List(ctx, q)
	if err == nil && len(rows) == 0 && ref.Code != "" && !ref.Date.IsZero() {
		number, notation, _ := strings.Cut(ref.Code, "/")
		day := dayText(ref.Date)
		q.DocumentID, q.Number, q.Notation, q.From, q.To = "", strings.TrimSpace(number), strings.TrimSpace(notation), day, day
		rows, err = tx.List(ctx, q)
	}
	if err == nil && len(rows) == 0 {
		return nil, errs.E(errs.NotFound, "documents.status_unknown_document", nil, "document", ref.DocumentID)
	}
	return rows, err
}

// hear appends a status. What answers a revoking or updating document answers the earlier one as well.
func (d *Desk) hear(ctx context.Context, tx Tx, r Row, h HeardStatus, successors map[string][]string) error {
	if h.Code == StatusRecall {
		return d.changeIn(ctx, tx, r.ID, 0, "", func(_ Tx, s Stored) ([]Event, error) {
			in := foldIncoming(r.ID, s.Events)
			if in.State == Refused || in.State == Cancelled {
				return nil, nil
			}
			return []Event{d.event(systemActor(), EvRecallHeard, EventData{Reason: h.Text, To: h.From, Status: &h})}, nil
		})
	}
	var links []Link
	err := d.changeIn(ctx, tx, r.ID, 0, "", func(_ Tx, s Stored) ([]Event, error) {
		out := foldOutgoing(r.ID, s.Events)
		if out.Kind != KindNew {
			links = out.Links
		}
		h.Receiver = receiverOf(out, h.From, successors)
		return []Event{d.event(systemActor(), EvStatusHeard, EventData{Status: &h})}, nil
	})
	if err != nil || h.Code != StatusAgreed && h.Code != StatusDeclined {
		return err
	}
	for _, l := range links {
		also := h
		also.About = r.ID
		err := d.changeIn(ctx, tx, l.ID, 0, "", func(_ Tx, s Stored) ([]Event, error) {
			also.Receiver = receiverOf(foldOutgoing(l.ID, s.Events), h.From, successors)
			if also.Receiver == "" {
				return nil, nil // it receives the new document only
			}
			return []Event{d.event(systemActor(), EvStatusHeard, EventData{Status: &also})}, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// maxSkew is how far the clock of another agency may run ahead of ours.
const maxSkew = 5 * time.Minute

// successors maps agencies that were closed to those that took their place.
func (d *Desk) successors(ctx context.Context) map[string][]string {
	all, err := d.Carrier.Agencies(ctx)
	if err != nil {
		return nil
	}
	m := map[string][]string{}
	for _, a := range all {
		if len(a.Successors) > 0 {
			m[a.Code] = a.Successors
		}
	}
	return m
}

// receiverOf returns which of the document's receivers an agency speaks for: itself, or one that it succeeded.
func receiverOf(out *Outgoing, from string, successors map[string][]string) string {
	for _, p := range out.Receivers() {
		if p.Code == from {
			return from
		}
	}
	for _, p := range out.Receivers() {
		if slices.Contains(successors[p.Code], from) {
			return p.Code
		}
	}
	return ""
}

// HearAxis keeps what the axis tells about a sending: accepted, refused, delivered, opened, given up. Idempotent by the
// news' id; news of a status message, or of a document that is not here, is dropped.
func (d *Desk) HearAxis(ctx context.Context, n AxisNews) error {
	id, _, ok := strings.Cut(n.Carriage, ".")
	if !ok || n.ID == "" {
		return errs.E(errs.Invalid, "documents.news_invalid", nil)
	}
	err := d.Store.InTx(ctx, func(tx Tx) error {
		seen, err := tx.Seen(ctx, "news "+n.ID, d.now())
		if err != nil || seen {
			return err
		}
		return d.changeIn(ctx, tx, id, 0, "", func(_ Tx, s Stored) ([]Event, error) {
			if s.Row.Direction != Out {
				return nil, nil
			}
			return []Event{d.event(systemActor(), EvAxisHeard, EventData{Axis: &n})}, nil
		})
	})
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}
