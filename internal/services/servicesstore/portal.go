package servicesstore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"truc/internal/errs"
	"truc/internal/services"
	"truc/internal/storage"
)

// InTx implements [services.PortalStore].
func (p Portal) InTx(ctx context.Context, f func(tx services.PortalTx) error) error {
	return p.inTx(ctx, func(t *tx) error { return f(portalTx{t}) })
}

// Within is the portal's part of a transaction that somebody else began.
func (p Portal) Within(raw *storage.Tx) services.PortalTx { return portalTx{&tx{Tx: raw, s: p.Store}} }

type portalTx struct{ *tx }

// PutOffers implements [services.PortalStore]: the list replaces what the agency offered before.
func (p Portal) PutOffers(ctx context.Context, agency string, offers []services.Offer) error {
	return p.inTx(ctx, func(t *tx) error {
		if _, err := t.ExecContext(ctx, `DELETE FROM services_offer WHERE agency = $1`, agency); err != nil {
			return err
		}
		for _, o := range offers {
			_, err := t.ExecContext(ctx, `INSERT INTO services_offer (procedure, agency, unit, unit_name, province, version_hash, version, mode, seen_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
				ON CONFLICT (procedure, unit) DO NOTHING`, o.Procedure, agency, o.Unit, o.UnitName, o.Province, o.VersionHash, o.Version, o.Mode, storage.Micros(o.SeenAt))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Offers implements [services.PortalStore].
func (p Portal) Offers(ctx context.Context) ([]services.Offer, error) {
	rows, err := p.DB.QueryContext(ctx, `SELECT procedure, agency, unit, unit_name, province, version_hash, version, mode, seen_at FROM services_offer ORDER BY procedure, unit`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []services.Offer
	for rows.Next() {
		var o services.Offer
		var at int64
		if err := rows.Scan(&o.Procedure, &o.Agency, &o.Unit, &o.UnitName, &o.Province, &o.VersionHash, &o.Version, &o.Mode, &at); err != nil {
			return nil, err
		}
		o.SeenAt = storage.Time(at)
		out = append(out, o)
	}
	return out, rows.Err()
}

const draftColumns = `id, owner, procedure, version_hash, unit, body, created_at, updated_at, row_version`

func scanDraft(scan func(...any) error) (services.Draft, error) {
	var d services.Draft
	var body []byte
	var created, updated int64
	if err := scan(&d.ID, &d.Owner, &d.Procedure, &d.VersionHash, &d.Unit, &body, &created, &updated, &d.RowVersion); err != nil {
		return d, notFound(err, "services.draft.not_found")
	}
	d.CreatedAt, d.UpdatedAt = storage.Time(created), storage.Time(updated)
	return d, json.Unmarshal(body, &d.Body)
}

// Draft implements [services.PortalStore].
func (p Portal) Draft(ctx context.Context, id string) (services.Draft, error) {
	return scanDraft(p.DB.QueryRowContext(ctx, `SELECT `+draftColumns+` FROM services_draft WHERE id = $1`, id).Scan)
}

// Drafts implements [services.PortalStore].
func (p Portal) Drafts(ctx context.Context, owner string) ([]services.Draft, error) {
	rows, err := p.DB.QueryContext(ctx, `SELECT `+draftColumns+` FROM services_draft WHERE owner = $1 ORDER BY updated_at DESC LIMIT 100`, owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []services.Draft
	for rows.Next() {
		d, err := scanDraft(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// PutDraft implements [services.PortalStore].
func (p Portal) PutDraft(ctx context.Context, d *services.Draft) error {
	if d.RowVersion == 0 {
		_, err := p.DB.ExecContext(ctx, `INSERT INTO services_draft (`+draftColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			d.ID, d.Owner, d.Procedure, d.VersionHash, d.Unit, marshal(d.Body), storage.Micros(d.CreatedAt), storage.Micros(d.UpdatedAt), 1)
		if err == nil {
			d.RowVersion = 1
		}
		return conflict(err, "services.draft.changed")
	}
	res, err := p.DB.ExecContext(ctx, `UPDATE services_draft SET version_hash = $1, unit = $2, body = $3, updated_at = $4, row_version = row_version + 1
		WHERE id = $5 AND row_version = $6`, d.VersionHash, d.Unit, marshal(d.Body), storage.Micros(d.UpdatedAt), d.ID, d.RowVersion)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errs.E(errs.Conflict, "services.draft.changed", errors.New("row version differs"))
	}
	d.RowVersion++
	return nil
}

// DeleteDraft implements [services.PortalStore].
func (p Portal) DeleteDraft(ctx context.Context, id string) error {
	_, err := p.DB.ExecContext(ctx, `DELETE FROM services_draft WHERE id = $1`, id)
	return err
}

// DeleteDraft implements [services.PortalTx].
func (t portalTx) DeleteDraft(ctx context.Context, id string) error {
	_, err := t.ExecContext(ctx, `DELETE FROM services_draft WHERE id = $1`, id)
	return err
}

const filingColumns = `id, owner, procedure, version_hash, agency, unit, number, state, sync, sync_error, submission, summary, submitted_at, due_at, last_seq, row_version`

func scanFiling(scan func(...any) error) (services.Filing, error) {
	var f services.Filing
	var sub, sum []byte
	var submitted, due int64
	if err := scan(&f.ID, &f.Owner, &f.Procedure, &f.VersionHash, &f.Agency, &f.Unit, &f.Number, &f.State, &f.Sync, &f.SyncError, &sub, &sum, &submitted, &due, &f.LastSeq, &f.RowVersion); err != nil {
		return f, notFound(err, "services.filing.not_found")
	}
	f.SubmittedAt, f.Due = storage.Time(submitted), storage.Time(due)
	return f, errors.Join(json.Unmarshal(sub, &f.Submission), json.Unmarshal(sum, &f.Summary))
}

const filingByRef = `SELECT ` + filingColumns + ` FROM services_filing WHERE id = $1 OR (number = $2 AND number <> '')`

// Filing implements [services.PortalStore].
func (p Portal) Filing(ctx context.Context, ref string) (services.Filing, error) {
	return scanFiling(p.DB.QueryRowContext(ctx, filingByRef, ref, ref).Scan)
}

// Filing implements [services.PortalTx].
func (t portalTx) Filing(ctx context.Context, ref string) (services.Filing, error) {
	q := filingByRef
	if t.Engine() == storage.Postgres {
		q += " FOR UPDATE"
	}
	return scanFiling(t.QueryRowContext(ctx, q, ref, ref).Scan)
}

// Filings implements [services.PortalStore].
func (p Portal) Filings(ctx context.Context, owner string) ([]services.Filing, error) {
	rows, err := p.DB.QueryContext(ctx, `SELECT `+filingColumns+` FROM services_filing WHERE owner = $1 ORDER BY submitted_at DESC LIMIT 200`, owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []services.Filing
	for rows.Next() {
		f, err := scanFiling(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// InsertFiling implements [services.PortalTx].
func (t portalTx) InsertFiling(ctx context.Context, f services.Filing) error {
	_, err := t.ExecContext(ctx, `INSERT INTO services_filing (`+filingColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		f.ID, f.Owner, f.Procedure, f.VersionHash, f.Agency, f.Unit, f.Number, f.State, string(f.Sync), f.SyncError, marshal(f.Submission), marshal(f.Summary),
		storage.Micros(f.SubmittedAt), storage.Micros(f.Due), f.LastSeq, 1)
	return conflict(err, "services.filing.duplicate")
}

// UpdateFiling implements [services.PortalTx]. What was submitted never changes.
func (t portalTx) UpdateFiling(ctx context.Context, f *services.Filing) error {
	res, err := t.ExecContext(ctx, `UPDATE services_filing SET number = $1, state = $2, sync = $3, sync_error = $4, summary = $5, due_at = $6, last_seq = $7,
		row_version = row_version + 1 WHERE id = $8 AND row_version = $9`,
		f.Number, f.State, string(f.Sync), f.SyncError, marshal(f.Summary), storage.Micros(f.Due), f.LastSeq, f.ID, f.RowVersion)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errs.E(errs.Conflict, "services.filing.changed", errors.New("row version differs"))
	}
	f.RowVersion++
	return nil
}

// FilingEvents implements [services.PortalStore].
func (p Portal) FilingEvents(ctx context.Context, id string) ([]services.Notice, error) {
	rows, err := p.DB.QueryContext(ctx, `SELECT body FROM services_filing_event WHERE filing_id = $1 ORDER BY seq`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []services.Notice
	for rows.Next() {
		var body []byte
		var n services.Notice
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// AddNotice implements [services.PortalTx].
func (t portalTx) AddNotice(ctx context.Context, n services.Notice) (bool, error) {
	res, err := t.ExecContext(ctx, `INSERT INTO services_filing_event (filing_id, seq, body) VALUES ($1, $2, $3) ON CONFLICT (filing_id, seq) DO NOTHING`,
		n.FilingID, n.Seq, marshal(n))
	if err != nil {
		return false, err
	}
	rows, err := res.RowsAffected()
	return rows == 1, err
}

const paymentColumns = `reference, filing_id, amount, state, created_at, updated_at, row_version`

func scanPayment(scan func(...any) error) (services.Payment, error) {
	var p services.Payment
	var created, updated int64
	if err := scan(&p.Reference, &p.FilingID, &p.Amount, &p.State, &created, &updated, &p.RowVersion); err != nil {
		return p, notFound(err, "services.payment.not_found")
	}
	p.CreatedAt, p.UpdatedAt = storage.Time(created), storage.Time(updated)
	return p, nil
}

// Payment implements [services.PortalStore].
func (p Portal) Payment(ctx context.Context, reference string) (services.Payment, error) {
	return scanPayment(p.DB.QueryRowContext(ctx, `SELECT `+paymentColumns+` FROM services_payment WHERE reference = $1`, reference).Scan)
}

// Payment implements [services.PortalTx].
func (t portalTx) Payment(ctx context.Context, reference string) (services.Payment, error) {
	return scanPayment(t.QueryRowContext(ctx, `SELECT `+paymentColumns+` FROM services_payment WHERE reference = $1`, reference).Scan)
}

// Payments implements [services.PortalStore].
func (p Portal) Payments(ctx context.Context, filing string) ([]services.Payment, error) {
	return p.payments(ctx, `SELECT `+paymentColumns+` FROM services_payment WHERE filing_id = $1 ORDER BY created_at`, filing)
}

// OpenPayments implements [services.PortalStore].
func (p Portal) OpenPayments(ctx context.Context, before time.Time) ([]services.Payment, error) {
	return p.payments(ctx, `SELECT `+paymentColumns+` FROM services_payment WHERE state IN ('created', 'started') AND created_at < $1 ORDER BY created_at LIMIT 100`, storage.Micros(before))
}

func (p Portal) payments(ctx context.Context, query string, args ...any) ([]services.Payment, error) {
	rows, err := p.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []services.Payment
	for rows.Next() {
		x, err := scanPayment(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, rows.Err()
}

// InsertPayment implements [services.PortalTx].
func (t portalTx) InsertPayment(ctx context.Context, p services.Payment) error {
	_, err := t.ExecContext(ctx, `INSERT INTO services_payment (`+paymentColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		p.Reference, p.FilingID, p.Amount, string(p.State), storage.Micros(p.CreatedAt), storage.Micros(p.UpdatedAt), 1)
	if err != nil {
		return conflict(err, "services.payment.duplicate")
	}
	return t.paymentEvent(ctx, p.Reference, p.CreatedAt, string(p.State), "")
}

// UpdatePayment implements [services.PortalTx]: the new state and the event that led to it.
func (t portalTx) UpdatePayment(ctx context.Context, p *services.Payment, kind, detail string) error {
	res, err := t.ExecContext(ctx, `UPDATE services_payment SET state = $1, updated_at = $2, row_version = row_version + 1 WHERE reference = $3 AND row_version = $4`,
		string(p.State), storage.Micros(p.UpdatedAt), p.Reference, p.RowVersion)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errs.E(errs.Conflict, "services.payment.changed", errors.New("row version differs"))
	}
	p.RowVersion++
	return t.paymentEvent(ctx, p.Reference, p.UpdatedAt, kind, detail)
}

func (t portalTx) paymentEvent(ctx context.Context, ref string, at time.Time, kind, detail string) error {
	_, err := t.ExecContext(ctx, `INSERT INTO services_payment_event (reference, seq, at, kind, detail)
		SELECT CAST($1 AS TEXT), COALESCE(MAX(seq), 0) + 1, CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT) FROM services_payment_event WHERE reference = $5`, ref, storage.Micros(at), kind, detail, ref)
	return err
}
