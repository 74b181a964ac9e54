package axis

import (
	"context"
	"time"

	"truc/internal/errs"
	"truc/internal/outbox"
)

// Received lists copies of a party that are not done yet, the oldest first.
func (h *Hub) Received(ctx context.Context, p Party, q ReceivedQuery) ([]Copy, error) {
	if !ValidKind(q.Kind) {
		return nil, refuse(CodeRequest, "axis.kind_unknown")
	}
	q.Limit = rows(q.Limit)
	if q.To != "" {
		list, err := h.Store.Lookup(ctx, []string{q.To})
		if err != nil {
			return nil, err
		}
		if a, ok := choose(q.To, list, h.now()); ok && a.Owner == p {
			q.To = a.Code
		} else {
			q.To = ""
		}
	}
	list, err := h.Store.Received(ctx, p, q)
	now := h.now()
	for i := range list {
		list[i].settle(now)
	}
	return list, err
}

// settle shows a copy as the sweep of leases will write it.
func (c *Copy) settle(now time.Time) {
	if c.State == Processing && !c.Lease.After(now) {
		c.State, c.Lease = Initial, time.Time{}
	}
}

// Count counts copies of a party that are not done yet.
func (h *Hub) Count(ctx context.Context, p Party, kind string) (int, error) {
	if !ValidKind(kind) {
		return 0, refuse(CodeRequest, "axis.kind_unknown")
	}
	return h.Store.Count(ctx, p, kind)
}

// Sent lists what became of the messages that a party sent, one row a receiver, the oldest first.
func (h *Hub) Sent(ctx context.Context, p Party, q SentQuery) ([]SentRow, error) {
	if !ValidKind(q.Kind) {
		return nil, refuse(CodeRequest, "axis.kind_unknown")
	}
	q.Limit = rows(q.Limit)
	if q.DocID != "" {
		m, err := h.Store.Message(ctx, q.DocID)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		if err != nil || m.Party != p {
			q.DocID = ""
		}
	}
	list, err := h.Store.Sent(ctx, p, q)
	now := h.now()
	for i := range list {
		list[i].settle(now)
	}
	return list, err
}

// Report tells what the receiver's party did with a copy: processing, done or fail with a reason. The same again is fine;
// what is done stays done.
func (h *Hub) Report(ctx context.Context, p Party, id string, st CopyState, description string) error {
	return h.Store.InTx(ctx, func(tx Tx) error { return h.report(ctx, tx, p, id, st, description) })
}

// ReportIn is [Hub.Report] in a transaction of this node's database that somebody else began, such as the one that records
// the outcome of a delivery.
func (h *Hub) ReportIn(ctx context.Context, q outbox.Querier, p Party, id string, st CopyState, description string) error {
	return h.report(ctx, h.Store.Within(q), p, id, st, description)
}

func (h *Hub) report(ctx context.Context, tx Tx, p Party, id string, st CopyState, description string) error {
	var ev Event
	switch st {
	case Processing:
		ev = EvProcessing
	case Done:
		ev = EvDelivered
	case Failed:
		ev = EvFailed
	case Initial:
		return refuse(CodeRequest, "axis.state_unknown")
	default:
		return refuse(CodeRequest, "axis.state_unknown")
	}
	c, err := tx.Copy(ctx, id)
	if errs.Is(err, errs.NotFound) || err == nil && c.Party != p {
		return refuse(CodeRequest, "axis.message_unknown")
	}
	if err != nil {
		return err
	}
	now := h.now()
	if c.State == Done {
		if st == Done {
			return nil
		}
		return refuse(CodeRequest, "axis.done_is_final")
	}
	c.State, c.Description, c.Lease, c.Updated = st, "", time.Time{}, now
	switch st {
	case Processing:
		c.Lease = now.Add(h.lease())
	case Failed:
		c.Description = cut(description, 1000)
	case Done:
		c.Received = now
	case Initial:
	}
	if err := tx.PutCopy(ctx, c); err != nil {
		return err
	}
	return h.record(ctx, tx, copyEntry(ev, now, c, c.Description))
}

// ReturnLeases puts copies back whose lease ended without a word, and returns how many. A job calls it every minute.
func (h *Hub) ReturnLeases(ctx context.Context) (n int, err error) {
	ids, err := h.Store.Leased(ctx, h.now(), maxRows)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		did := 0
		err := h.Store.InTx(ctx, func(tx Tx) error {
			did = 0
			c, err := tx.Copy(ctx, id)
			now := h.now()
			if err != nil || c.State != Processing || c.Lease.After(now) {
				return err
			}
			c.State, c.Lease, c.Updated = Initial, time.Time{}, now
			if err := tx.PutCopy(ctx, c); err != nil {
				return err
			}
			did = 1
			return h.record(ctx, tx, copyEntry(EvReturned, now, c, ""))
		})
		if err != nil {
			return n, err
		}
		n += did
	}
	return n, nil
}

// PushAgain sends a copy to its node once more, for an administrator: after its delivery failed or expired.
func (h *Hub) PushAgain(ctx context.Context, actor, id string) error {
	return h.Store.InTx(ctx, func(tx Tx) error {
		c, err := tx.Copy(ctx, id)
		if err != nil {
			return err
		}
		if _, ok := c.Party.Subsystem(); !ok || c.State == Done {
			return errs.E(errs.Conflict, "axis.not_pushable", nil)
		}
		now := h.now()
		c.State, c.Description, c.Lease, c.Updated = Initial, "", time.Time{}, now
		if err := h.push(ctx, tx, &c); err != nil {
			return err
		}
		if err := tx.PutCopy(ctx, c); err != nil {
			return err
		}
		if err := h.Audit.Act(ctx, tx, actor, "axis.copy.push_again", c.ID); err != nil {
			return err
		}
		return h.record(ctx, tx, copyEntry(EvPushed, now, c, ""))
	})
}

// Expire gives up payloads at the end of their retention, of messages that every receiver has taken over. Lists, journal
// and receipts stay. It returns how many; the files go with the next sweep of the blob store ([Hub.Wants]).
func (h *Hub) Expire(ctx context.Context) (n int, err error) {
	keep := h.Retention
	if keep <= 0 {
		keep = DefaultRetention
	}
	ids, err := h.Store.Ended(ctx, h.now().Add(-keep), maxRows)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		did := 0
		err := h.Store.InTx(ctx, func(tx Tx) error {
			did = 0
			m, err := tx.Message(ctx, id)
			if err != nil || !m.Expired.IsZero() {
				return err
			}
			m.Expired = h.now()
			if err := tx.PutMessage(ctx, m); err != nil {
				return err
			}
			did = 1
			return h.record(ctx, tx, messageEntry(EvExpired, m.Expired, m, ""))
		})
		if err != nil {
			return n, err
		}
		n += did
	}
	return n, nil
}

// Wants reports whether a payload must be kept, for [blobs.Store.Sweep].
func (h *Hub) Wants(ctx context.Context, sha256 string) (bool, error) {
	return h.Store.Refers(ctx, sha256)
}

// cut shortens a text to so many characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
