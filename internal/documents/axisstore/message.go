package axisstore

import (
	"context"
	"time"

	"truc/edxml"
	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/outbox"
	"truc/internal/storage"
)

const messageColumns = `t.id, t.kind, t.party, t.from_code, t.from_agency, t.document_id, t.number, t.notation, t.year, t.doc_kind, t.type_name, t.subject, t.priority,
	t.status_code, t.sha256, t.size, t.receivers, t.sent_at, t.expired_at`

func scanMessage(scan func(...any) error) (m axis.Message, err error) {
	var party string
	var year, kind, priority, receivers, sent, expired int64
	err = scan(&m.ID, &m.Kind, &party, &m.From, &m.FromID, &m.DocumentID, &m.Code.Number, &m.Code.Notation, &year, &kind, &m.Type, &m.Subject, &priority,
		&m.StatusCode, &m.Payload.SHA256, &m.Payload.Size, &receivers, &sent, &expired)
	m.Party, m.Year, m.DocKind, m.Priority, m.Receivers = axis.Party(party), int(year), edxml.Kind(kind), int(priority), int(receivers)
	m.Sent, m.Expired = storage.Time(sent), storage.Time(expired)
	return m, err
}

// Known implements [axis.Store].
func (s *Store) Known(ctx context.Context, p axis.Party, kind, sha string) (axis.Message, error) {
	return known(ctx, s.DB, p, kind, sha)
}

func known(ctx context.Context, q outbox.Querier, p axis.Party, kind, sha string) (axis.Message, error) {
	return storage.One(ctx, q, scanMessage, "axis.message_unknown", `SELECT `+messageColumns+` FROM axis_message t WHERE t.party = $1 AND t.kind = $2 AND t.sha256 = $3`, string(p), kind, sha)
}

// Message implements [axis.Store].
func (s *Store) Message(ctx context.Context, id string) (axis.Message, error) {
	return storage.One(ctx, s.DB, scanMessage, "axis.message_unknown", `SELECT `+messageColumns+` FROM axis_message t WHERE t.id = $1`, id)
}

// Message implements [axis.Tx].
func (t *tx) Message(ctx context.Context, id string) (axis.Message, error) {
	return storage.One(ctx, t, scanMessage, "axis.message_unknown", `SELECT `+messageColumns+` FROM axis_message t WHERE t.id = $1`+t.lock, id)
}

// AddMessage implements [axis.Tx].
func (t *tx) AddMessage(ctx context.Context, m axis.Message) (axis.Message, bool, error) {
	res, err := t.ExecContext(ctx, `INSERT INTO axis_message (id, kind, party, from_code, from_agency, document_id, number, notation, year, doc_kind, type_name, subject, priority,
		status_code, sha256, size, receivers, sent_at, expired_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
		ON CONFLICT DO NOTHING`,
		m.ID, m.Kind, string(m.Party), m.From, m.FromID, m.DocumentID, m.Code.Number, m.Code.Notation, int64(m.Year), int64(m.DocKind), m.Type, m.Subject, int64(m.Priority),
		m.StatusCode, m.Payload.SHA256, m.Payload.Size, int64(m.Receivers), storage.Micros(m.Sent), storage.Micros(m.Expired))
	if err != nil {
		return m, false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return m, n == 1, err
	}
	// One of the two unique keys refused it: that of the bytes makes it a repetition, that of the identifier a fault.
	same, err := known(ctx, t, m.Party, m.Kind, m.Payload.SHA256)
	if errs.Is(err, errs.NotFound) {
		return m, false, errs.E(errs.Conflict, "axis.duplicate_id", nil)
	}
	return same, false, err
}

// PutMessage implements [axis.Tx]. Only the end of a message's payload changes.
func (t *tx) PutMessage(ctx context.Context, m axis.Message) error {
	_, err := t.ExecContext(ctx, `UPDATE axis_message SET expired_at = $1 WHERE id = $2`, storage.Micros(m.Expired), m.ID)
	return err
}

// SameNumber implements [axis.Tx].
func (t *tx) SameNumber(ctx context.Context, m axis.Message) ([]string, error) {
	return storage.All(ctx, t, text, `SELECT document_id FROM axis_message WHERE from_agency = $1 AND number = $2 AND notation = $3 AND year = $4 AND kind = 'edoc' AND doc_kind = 0 AND id <> $5
		ORDER BY sent_at LIMIT 5`, m.FromID, m.Code.Number, m.Code.Notation, int64(m.Year), m.ID)
}

// Refers implements [axis.Store].
func (s *Store) Refers(ctx context.Context, sha string) (bool, error) {
	n, err := storage.One(ctx, s.DB, number, "axis.message_unknown", `SELECT COUNT(*) FROM axis_message WHERE sha256 = $1 AND expired_at = 0`, sha)
	return n > 0, err
}

// Ended implements [axis.Store].
func (s *Store) Ended(ctx context.Context, before time.Time, limit int) ([]string, error) {
	return storage.All(ctx, s.DB, text, `SELECT m.id FROM axis_message m WHERE m.sent_at < $1 AND m.expired_at = 0
		AND NOT EXISTS (SELECT 1 FROM axis_copy c WHERE c.message = m.id AND c.state <> 'done') ORDER BY m.sent_at LIMIT $2`, storage.Micros(before), limit)
}

const copyColumns = `t.seq, t.id, t.message, t.kind, m.from_code, m.subject, m.number, m.notation, m.document_id, t.sender, m.sha256, m.size, t.priority, t.sent_at, t.to_code, t.given,
	t.agency, t.party, t.state, t.description, t.lease_until, t.updated_at, t.opened_at, t.received_at, t.due_at, t.business, t.business_at, m.expired_at, t.pushes`

const copyFrom = ` FROM axis_copy t JOIN axis_message m ON m.id = t.message`

func scanCopy(scan func(...any) error) (c axis.Copy, err error) {
	var sender, party, state string
	var code edxml.Code
	var priority, sent, lease, updated, opened, received, due, businessAt, expired, pushes int64
	err = scan(&c.Seq, &c.ID, &c.Message, &c.Kind, &c.From, &c.Subject, &code.Number, &code.Notation, &c.Document, &sender, &c.Payload.SHA256, &c.Payload.Size, &priority, &sent,
		&c.To, &c.Given, &c.AgencyID, &party, &state, &c.Description, &lease, &updated, &opened, &received, &due, &c.Business, &businessAt, &expired, &pushes)
	c.Number, c.Sender, c.Party, c.State, c.Priority, c.Pushes = code.String(), axis.Party(sender), axis.Party(party), axis.CopyState(state), int(priority), int(pushes)
	c.Sent, c.Lease, c.Updated, c.Opened = storage.Time(sent), storage.Time(lease), storage.Time(updated), storage.Time(opened)
	c.Received, c.Due, c.BusinessAt, c.Expired = storage.Time(received), storage.Time(due), storage.Time(businessAt), storage.Time(expired)
	return c, err
}

// Copy implements [axis.Store].
func (s *Store) Copy(ctx context.Context, id string) (axis.Copy, error) {
	return storage.One(ctx, s.DB, scanCopy, "axis.message_unknown", `SELECT `+copyColumns+copyFrom+` WHERE t.id = $1`, id)
}

// Copy implements [axis.Tx].
func (t *tx) Copy(ctx context.Context, id string) (axis.Copy, error) {
	return storage.One(ctx, t, scanCopy, "axis.message_unknown", `SELECT `+copyColumns+copyFrom+` WHERE t.id = $1`+t.lock, id)
}

// Original implements [axis.Tx]. The plus keeps SQLite from going through all copies of the agency instead of the few messages
// of that identifier.
func (t *tx) Original(ctx context.Context, document string, from, to int64) (axis.Copy, error) {
	return storage.One(ctx, t, scanCopy, "axis.message_unknown", `SELECT `+copyColumns+copyFrom+`
		WHERE t.message IN (SELECT id FROM axis_message WHERE document_id = $1 AND from_agency = $2 AND kind = 'edoc') AND +t.agency = $3 ORDER BY t.seq DESC LIMIT 1`+t.lock, document, from, to)
}

// Receivers implements [axis.Tx].
func (t *tx) Receivers(ctx context.Context, document string, from int64) ([]axis.Copy, error) {
	return storage.All(ctx, t, scanCopy, `SELECT `+copyColumns+copyFrom+` WHERE m.document_id = $1 AND m.from_agency = $2 AND m.kind = 'edoc' ORDER BY t.seq DESC`+t.lock, document, from)
}

// CopiesElsewhere implements [axis.Tx].
func (t *tx) CopiesElsewhere(ctx context.Context, agency int64, than axis.Party) ([]axis.Copy, error) {
	return storage.All(ctx, t, scanCopy, `SELECT `+copyColumns+copyFrom+` WHERE t.agency = $1 AND t.party <> $2 ORDER BY t.seq`+t.lock, agency, string(than))
}

// AddCopies implements [axis.Tx].
func (t *tx) AddCopies(ctx context.Context, list []axis.Copy) error {
	return t.execEach(ctx, `INSERT INTO axis_copy (id, message, kind, sender, agency, to_code, given, party, state, description, lease_until, priority, sent_at, updated_at, opened_at,
		received_at, due_at, business, business_at, pushes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`,
		func(yield func([]any) bool) {
			for _, c := range list {
				if !yield([]any{
					c.ID, c.Message, c.Kind, string(c.Sender), c.AgencyID, c.To, c.Given, string(c.Party), string(c.State), c.Description, storage.Micros(c.Lease), int64(c.Priority),
					storage.Micros(c.Sent), storage.Micros(c.Updated), storage.Micros(c.Opened), storage.Micros(c.Received), storage.Micros(c.Due), c.Business,
					storage.Micros(c.BusinessAt), int64(c.Pushes),
				}) {
					return
				}
			}
		})
}

// PutCopy implements [axis.Tx].
func (t *tx) PutCopy(ctx context.Context, c axis.Copy) error {
	_, err := t.ExecContext(ctx, `UPDATE axis_copy SET party = $1, state = $2, description = $3, lease_until = $4, updated_at = $5, opened_at = $6, received_at = $7, business = $8,
		business_at = $9, pushes = $10 WHERE id = $11`,
		string(c.Party), string(c.State), c.Description, storage.Micros(c.Lease), storage.Micros(c.Updated), storage.Micros(c.Opened), storage.Micros(c.Received), c.Business,
		storage.Micros(c.BusinessAt), int64(c.Pushes), c.ID)
	return err
}

// Received implements [axis.Store].
func (s *Store) Received(ctx context.Context, p axis.Party, q axis.ReceivedQuery) ([]axis.Copy, error) {
	var c conditions
	c.add("t.party = ? AND t.kind = ? AND t.state <> 'done'", string(p), q.Kind)
	if q.To != "" {
		c.add("t.to_code = ?", q.To)
	}
	c.period("t.sent_at", q.Since, q.Until)
	c.text(" ORDER BY t.seq LIMIT ? OFFSET ?", q.Limit, q.Skip)
	return storage.All(ctx, s.DB, scanCopy, `SELECT `+copyColumns+copyFrom+c.b.String(), c.args...)
}

// Count implements [axis.Store].
func (s *Store) Count(ctx context.Context, p axis.Party, kind string) (int, error) {
	n, err := storage.One(ctx, s.DB, number, "axis.message_unknown", `SELECT COUNT(*) FROM axis_copy WHERE party = $1 AND kind = $2 AND state <> 'done'`, string(p), kind)
	return int(n), err
}

// Sent implements [axis.Store].
func (s *Store) Sent(ctx context.Context, p axis.Party, q axis.SentQuery) ([]axis.Copy, error) {
	var c conditions
	if q.DocID != "" {
		c.add("t.message = ? AND m.party = ? AND m.kind = ?", q.DocID, string(p), q.Kind) // by the message, not through all that was sent
	} else {
		c.add("t.sender = ? AND t.kind = ?", string(p), q.Kind)
	}
	c.period("t.sent_at", q.Since, q.Until)
	c.text(" ORDER BY t.seq LIMIT ? OFFSET ?", q.Limit, q.Skip)
	return storage.All(ctx, s.DB, scanCopy, `SELECT `+copyColumns+copyFrom+c.b.String(), c.args...)
}

// Leased implements [axis.Store].
func (s *Store) Leased(ctx context.Context, before time.Time, limit int) ([]string, error) {
	return storage.All(ctx, s.DB, text, `SELECT id FROM axis_copy WHERE state = 'processing' AND lease_until <= $1 ORDER BY lease_until LIMIT $2`, storage.Micros(before), limit)
}
