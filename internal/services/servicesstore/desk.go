package servicesstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/outbox"
	"truc/internal/services"
	"truc/internal/storage"
)

var (
	_ services.DeskStore    = Desk{}
	_ services.PortalStore  = Portal{}
	_ services.LibraryStore = (*Store)(nil)
)

// InTx implements [services.DeskStore].
func (d Desk) InTx(ctx context.Context, f func(tx services.DeskTx) error) error {
	return d.inTx(ctx, func(t *tx) error { return f(deskTx{t}) })
}

type deskTx struct{ *tx }

const dossierColumns = `id, number, filing_id, procedure, version_hash, case_id, received_agency, competent_agency, current_agency, channel,
	applicant_id, applicant_name, search_fold, state, finance, digitisation, delivery, assignee,
	submitted_at, received_at, due_at, paused_since, finished_at, returned_at, final, row_version`

func scanRow(scan func(...any) error, extra ...any) (services.Row, error) {
	var r services.Row
	var submitted, received, due, paused, finished, returned int64
	dest := append([]any{
		&r.ID, &r.Number, &r.FilingID, &r.Procedure, &r.VersionHash, &r.Case, &r.ReceivedAgency, &r.CompetentAgency, &r.CurrentAgency, &r.Channel,
		&r.ApplicantID, &r.ApplicantName, &r.SearchFold, &r.State, &r.Finance, &r.Digitisation, &r.Delivery, &r.Assignee,
		&submitted, &received, &due, &paused, &finished, &returned, &r.Final, &r.Version,
	}, extra...)
	if err := scan(dest...); err != nil {
		return r, err
	}
	r.SubmittedAt, r.ReceivedAt, r.Due = storage.Time(submitted), storage.Time(received), storage.Time(due)
	r.PausedSince, r.FinishedAt, r.ReturnedAt = storage.Time(paused), storage.Time(finished), storage.Time(returned)
	return r, nil
}

// Find implements [services.DeskStore].
func (d Desk) Find(ctx context.Context, ref string) (services.StoredDossier, error) {
	return find(ctx, d.DB, ref, "")
}

// Find implements [services.DeskTx]; the row is locked until the transaction ends.
func (t deskTx) Find(ctx context.Context, ref string) (services.StoredDossier, error) {
	lock := ""
	if t.Engine() == storage.Postgres {
		lock = " FOR UPDATE"
	}
	return find(ctx, t.Tx, ref, lock)
}

func find(ctx context.Context, q storage.Querier, ref, lock string) (out services.StoredDossier, err error) {
	row := q.QueryRowContext(ctx, `SELECT `+dossierColumns+`, submission FROM services_dossier WHERE number = $1 OR id = $2 OR filing_id = $3`+lock, ref, ref, ref)
	var body []byte
	out.Row, err = scanRow(row.Scan, &body)
	if err != nil {
		return out, notFound(err, "services.dossier.not_found")
	}
	out.ID, out.Number = out.Row.ID, out.Row.Number
	if err := json.Unmarshal(body, &out.Submission); err != nil {
		return out, fmt.Errorf("submission of dossier %s: %w", out.ID, err)
	}
	out.Events, err = events(ctx, q, out.ID)
	return out, err
}

func events(ctx context.Context, q storage.Querier, dossier string) ([]services.Event, error) {
	rows, err := q.QueryContext(ctx, `SELECT body, prev_hash, hash FROM services_dossier_event WHERE dossier_id = $1 ORDER BY seq`, dossier)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []services.Event
	for rows.Next() {
		var body []byte
		var e services.Event
		var prev, hash string
		if err := rows.Scan(&body, &prev, &hash); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, err
		}
		e.PrevHash, e.Hash = prev, hash
		out = append(out, e)
	}
	return out, rows.Err()
}

// EnqueueLater implements [services.DeskTx].
func (t deskTx) EnqueueLater(ctx context.Context, after time.Duration, id, topic, key string, payload any) error {
	now := t.s.Now()
	return outbox.Add(ctx, t.Tx, now, outbox.Message{ID: id, Topic: topic, Key: key, Payload: marshal(payload), NotBefore: now.Add(after)})
}

// NextNumber implements [services.DeskTx]: an atomic upsert in the transaction of the event that needs the number,
// so that a number is neither given twice nor lost.
func (t deskTx) NextNumber(ctx context.Context, agency, day string) (n int64, err error) {
	err = t.QueryRowContext(ctx, `INSERT INTO services_counter (agency, day, n) VALUES ($1, $2, 1)
		ON CONFLICT (agency, day) DO UPDATE SET n = services_counter.n + 1 RETURNING n`, agency, day).Scan(&n)
	return n, err
}

// Insert implements [services.DeskTx].
func (t deskTx) Insert(ctx context.Context, r services.Row, sub services.Submission) error {
	_, err := t.ExecContext(ctx, `INSERT INTO services_dossier (`+dossierColumns+`, submission) VALUES
		($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)`,
		r.ID, r.Number, r.FilingID, r.Procedure, r.VersionHash, r.Case, r.ReceivedAgency, r.CompetentAgency, r.CurrentAgency, r.Channel,
		r.ApplicantID, r.ApplicantName, r.SearchFold, r.State, r.Finance, r.Digitisation, r.Delivery, r.Assignee,
		storage.Micros(r.SubmittedAt), storage.Micros(r.ReceivedAt), storage.Micros(r.Due), storage.Micros(r.PausedSince),
		storage.Micros(r.FinishedAt), storage.Micros(r.ReturnedAt), r.Final, r.Version, marshal(sub))
	return conflict(err, "services.dossier.duplicate")
}

// Append implements [services.DeskTx].
func (t deskTx) Append(ctx context.Context, r services.Row, oldVersion int64, added []services.Event) error {
	res, err := t.ExecContext(ctx, `UPDATE services_dossier SET current_agency = $1, state = $2, finance = $3, digitisation = $4, delivery = $5,
		assignee = $6, received_at = $7, due_at = $8, paused_since = $9, finished_at = $10, returned_at = $11, final = $12, row_version = $13
		WHERE id = $14 AND row_version = $15`,
		r.CurrentAgency, r.State, r.Finance, r.Digitisation, r.Delivery, r.Assignee, storage.Micros(r.ReceivedAt), storage.Micros(r.Due),
		storage.Micros(r.PausedSince), storage.Micros(r.FinishedAt), storage.Micros(r.ReturnedAt), r.Final, r.Version, r.ID, oldVersion)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errs.E(errs.Conflict, "services.dossier.changed", errors.New("row version differs"))
	}
	for _, e := range added {
		_, err := t.ExecContext(ctx, `INSERT INTO services_dossier_event (dossier_id, seq, type, at, body, prev_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			r.ID, e.Seq, string(e.Type), storage.Micros(e.At), marshal(e), e.PrevHash, e.Hash)
		if err != nil {
			return conflict(err, "services.dossier.changed")
		}
	}
	return nil
}

// AddFact implements [services.DeskTx]. On PostgreSQL a lock held to the end of the transaction makes facts visible
// in the order of their numbers, or a reader that continues behind the highest number it saw would miss some.
func (t deskTx) AddFact(ctx context.Context, f services.Fact) (seq int64, err error) {
	if t.Engine() == storage.Postgres {
		if _, err := t.ExecContext(ctx, `SELECT pg_advisory_xact_lock(7283)`); err != nil {
			return 0, err
		}
	}
	err = t.QueryRowContext(ctx, `INSERT INTO services_fact (at, body) VALUES ($1, $2) RETURNING seq`, storage.Micros(f.At), marshal(f)).Scan(&seq)
	return seq, err
}

// Seen implements [services.DeskTx].
func (t deskTx) Seen(ctx context.Context, id string, now time.Time) (bool, error) {
	res, err := t.ExecContext(ctx, `INSERT INTO services_inbox (message_id, at) VALUES ($1, $2) ON CONFLICT (message_id) DO NOTHING`, id, storage.Micros(now))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 0, err
}

// Facts implements [services.DeskStore].
func (d Desk) Facts(ctx context.Context, after int64, limit int) ([]services.Fact, error) {
	rows, err := d.DB.QueryContext(ctx, `SELECT seq, body FROM services_fact WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []services.Fact{}
	for rows.Next() {
		var f services.Fact
		var seq int64
		var body []byte
		if err := rows.Scan(&seq, &body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &f); err != nil {
			return nil, err
		}
		f.Seq = seq
		out = append(out, f)
	}
	return out, rows.Err()
}

// where builds the condition of a filter. Only the shape of the text depends on the filter; every value is bound.
func where(f services.Filter) (text string, args []any) {
	var cond []string
	add := func(format string, vs ...any) {
		marks := make([]any, len(vs))
		for i, v := range vs {
			args = append(args, v)
			marks[i] = fmt.Sprintf("$%d", len(args))
		}
		cond = append(cond, fmt.Sprintf(format, marks...))
	}
	in := func(column string, values []string) {
		marks := make([]string, len(values))
		for i, v := range values {
			args = append(args, v)
			marks[i] = fmt.Sprintf("$%d", len(args))
		}
		cond = append(cond, column+" IN ("+strings.Join(marks, ", ")+")")
	}
	if len(f.Units) > 0 {
		in("current_agency", f.Units)
	}
	if len(f.States) > 0 {
		in("state", f.States)
	}
	if f.Open {
		add("final = %s", false)
	}
	if !f.Overdue.IsZero() {
		cond = append(cond, "finished_at = 0 AND paused_since = 0 AND due_at > 0")
		add("due_at < %s", storage.Micros(f.Overdue))
	}
	if !f.DueFrom.IsZero() {
		cond = append(cond, "finished_at = 0 AND paused_since = 0")
		add("due_at >= %s", storage.Micros(f.DueFrom))
	}
	if !f.DueBefore.IsZero() {
		add("due_at > 0 AND due_at < %s", storage.Micros(f.DueBefore))
	}
	if f.Waiting {
		cond = append(cond, "finished_at = 0 AND paused_since > 0")
	}
	if f.Procedure != "" {
		add("procedure = %s", f.Procedure)
	}
	if f.Assignee != "" {
		add("assignee = %s", f.Assignee)
	}
	for word := range strings.FieldsSeq(i18n.Fold(f.Query)) {
		add("search_fold LIKE %s ESCAPE '!'", "%"+strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(word)+"%")
	}
	if len(cond) == 0 {
		return "1 = 1", nil
	}
	return strings.Join(cond, " AND "), args
}

// sortDue puts dossiers without a due date behind those that have one.
const sortDue = `CASE WHEN due_at = 0 THEN 9223372036854775807 ELSE due_at END`

// List implements [services.DeskStore].
func (d Desk) List(ctx context.Context, f services.Filter) ([]services.Row, error) {
	cond, args := where(f)
	if f.AfterID != "" {
		due := storage.Micros(f.AfterDue)
		if due == 0 {
			due = 1<<63 - 1
		}
		args = append(args, due, f.AfterID)
		cond += fmt.Sprintf(" AND (%s, id) > ($%d, $%d)", sortDue, len(args)-1, len(args))
	}
	limit := f.Limit
	if limit <= 0 || limit > 1000 {
		limit = 50
	}
	args = append(args, limit)
	return d.rows(ctx, fmt.Sprintf(`SELECT %s FROM services_dossier WHERE %s ORDER BY %s, id LIMIT $%d`, dossierColumns, cond, sortDue, len(args)), args...)
}

func (d Desk) rows(ctx context.Context, query string, args ...any) ([]services.Row, error) {
	rows, err := d.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []services.Row
	for rows.Next() {
		r, err := scanRow(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// Similar implements [services.DeskStore].
func (d Desk) Similar(ctx context.Context, applicant, procedure, except string, since time.Time) ([]services.Row, error) {
	return d.rows(ctx, `SELECT `+dossierColumns+` FROM services_dossier
		WHERE applicant_id = $1 AND procedure = $2 AND submitted_at >= $3 AND id <> $4 ORDER BY submitted_at DESC LIMIT 10`,
		applicant, procedure, storage.Micros(since), except)
}

// Counters implements [services.DeskStore].
func (d Desk) Counters(ctx context.Context, f services.Filter, now time.Time) (services.Counters, error) {
	c := services.Counters{ByState: map[string]int{}}
	cond, args := where(services.Filter{Units: f.Units})
	n := len(args)
	soon := f.DueBefore
	if soon.IsZero() {
		soon = now.Add(24 * time.Hour)
	}
	args = append(args, storage.Micros(now), storage.Micros(now), storage.Micros(soon))
	rows, err := d.DB.QueryContext(ctx, fmt.Sprintf(`SELECT state, COUNT(*),
		COUNT(*) FILTER (WHERE finished_at = 0 AND paused_since = 0 AND due_at > 0 AND due_at < $%d),
		COUNT(*) FILTER (WHERE finished_at = 0 AND paused_since = 0 AND due_at >= $%d AND due_at < $%d),
		COUNT(*) FILTER (WHERE paused_since > 0 AND finished_at = 0)
		FROM services_dossier WHERE %s GROUP BY state`, n+1, n+2, n+3, cond), args...)
	if err != nil {
		return c, err
	}
	defer rows.Close()
	for rows.Next() {
		var state string
		var total, overdue, soon, paused int
		if err := rows.Scan(&state, &total, &overdue, &soon, &paused); err != nil {
			return c, err
		}
		c.ByState[state] = total
		c.Overdue += overdue
		c.Soon += soon
		c.Paused += paused
	}
	return c, rows.Err()
}

// Opinion implements [services.DeskStore].
func (d Desk) Opinion(ctx context.Context, dossier, officer string) (text string, err error) {
	err = d.DB.QueryRowContext(ctx, `SELECT text FROM services_opinion WHERE dossier_id = $1 AND officer = $2`, dossier, officer).Scan(&text)
	if storage.IsNoRows(err) {
		return "", nil
	}
	return text, err
}

// PutOpinion implements [services.DeskStore].
func (d Desk) PutOpinion(ctx context.Context, dossier, officer, text string, now time.Time) error {
	_, err := d.DB.ExecContext(ctx, `INSERT INTO services_opinion (dossier_id, officer, text, saved_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (dossier_id, officer) DO UPDATE SET text = excluded.text, saved_at = excluded.saved_at`, dossier, officer, text, storage.Micros(now))
	return err
}
