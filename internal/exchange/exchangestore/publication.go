package exchangestore

import (
	"context"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange/publication"
	"truc/internal/i18n"
	"truc/internal/storage"
)

const publicationColumns = `code, kind, name_vi, name_en, about_vi, about_en, personal, public, bodies, backend_url, timeout, connect_timeout, ca,
	server_name, client_cert, plain_http, disabled, notice, document, source, declared, version, changed_at, changed_by, verify, async_only, ends_at`

// Publications implements [publication.Store].
func (s *Store) Publications(ctx context.Context) (out []publication.Published, err error) {
	defer errs.Wrap(&err, "list publications")
	rows, err := s.DB.QueryContext(ctx, `SELECT `+publicationColumns+` FROM exchange_publication ORDER BY code`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	at := map[string]int{}
	for rows.Next() {
		p := publication.Published{Name: i18n.Text{}, About: i18n.Text{}}
		var nameVI, nameEN, aboutVI, aboutEN string
		var timeout, connect, changed, ends int64
		b := &p.Backend
		if err := rows.Scan(&p.Code, &p.Kind, &nameVI, &nameEN, &aboutVI, &aboutEN, &p.Personal, &p.Public, &p.Bodies, &b.URL, &timeout, &connect, &b.CA,
			&b.ServerName, &b.ClientCert, &b.PlainHTTP, &p.Disabled, &p.Notice, &p.Document, &p.Source, &p.Declared, &p.Version, &changed, &p.ChangedBy, &p.Verify, &p.AsyncOnly, &ends); err != nil {
			return nil, err
		}
		for _, x := range []struct {
			to   i18n.Text
			lang string
			text string
		}{{p.Name, "vi", nameVI}, {p.Name, "en", nameEN}, {p.About, "vi", aboutVI}, {p.About, "en", aboutEN}} {
			if x.text != "" {
				x.to[x.lang] = x.text
			}
		}
		b.Timeout, b.Connect, p.ChangedAt = time.Duration(timeout)*time.Microsecond, time.Duration(connect)*time.Microsecond, storage.Time(changed)
		p.EndsAt = storage.Time(ends)
		at[p.Code] = len(out)
		out = append(out, p)
	}
	if err := rows.Err(); err != nil || len(out) == 0 {
		return out, err
	}
	return out, s.publicationParts(ctx, out, at)
}

// publicationParts fills in endpoints and rights.
func (s *Store) publicationParts(ctx context.Context, list []publication.Published, at map[string]int) error {
	rows, err := s.DB.QueryContext(ctx, `SELECT code, method, path, manual FROM exchange_publication_endpoint ORDER BY code, seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var code string
		var e publication.Endpoint
		if err := rows.Scan(&code, &e.Method, &e.Path, &e.Manual); err != nil {
			return err
		}
		if i, ok := at[code]; ok { // one may have come since the list was read
			list[i].Endpoints = append(list[i].Endpoints, e)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rights, err := s.DB.QueryContext(ctx, `SELECT code, consumer, method, path, activities, basis FROM exchange_publication_right ORDER BY code, seq`)
	if err != nil {
		return err
	}
	defer rights.Close()
	for rights.Next() {
		var code, activities string
		var r publication.Right
		if err := rights.Scan(&code, &r.Consumer, &r.Method, &r.Path, &activities, &r.Basis); err != nil {
			return err
		}
		r.Activities = strings.Fields(activities)
		if i, ok := at[code]; ok {
			list[i].Rights = append(list[i].Rights, r)
		}
	}
	return rights.Err()
}

// AddPublication implements [publication.Store].
func (s *Store) AddPublication(ctx context.Context, p *publication.Published) (err error) {
	defer errs.Wrap(&err, "add publication %s", p.Code)
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		b := p.Backend
		_, err := tx.ExecContext(ctx, `INSERT INTO exchange_publication (`+publicationColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, 1, $22, $23, $24, $25, $26)`,
			p.Code, p.Kind, p.Name["vi"], p.Name["en"], p.About["vi"], p.About["en"], p.Personal, p.Public, p.Bodies, b.URL, b.Timeout.Microseconds(), b.Connect.Microseconds(), b.CA,
			b.ServerName, b.ClientCert, b.PlainHTTP, p.Disabled, p.Notice, p.Document, p.Source, p.Declared, storage.Micros(p.ChangedAt), p.ChangedBy, p.Verify, p.AsyncOnly, storage.Micros(p.EndsAt))
		if storage.IsDuplicate(err) {
			return errs.E(errs.Conflict, "exchange.publish.fault.code_taken", err)
		}
		if err != nil {
			return err
		}
		return writePublicationParts(ctx, tx, p)
	})
}

// SavePublication implements [publication.Store].
func (s *Store) SavePublication(ctx context.Context, p *publication.Published) (err error) {
	defer errs.Wrap(&err, "save publication %s", p.Code)
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		b := p.Backend
		r, err := tx.ExecContext(ctx, `UPDATE exchange_publication SET kind = $1, name_vi = $2, name_en = $3, about_vi = $4, about_en = $5, personal = $6, public = $7,
			bodies = $8, backend_url = $9, timeout = $10, connect_timeout = $11, ca = $12, server_name = $13, client_cert = $14, plain_http = $15, disabled = $16,
			notice = $17, document = $18, source = $19, declared = $20, version = version + 1, changed_at = $21, changed_by = $22, verify = $23, async_only = $24, ends_at = $25 WHERE code = $26 AND version = $27`,
			p.Kind, p.Name["vi"], p.Name["en"], p.About["vi"], p.About["en"], p.Personal, p.Public,
			p.Bodies, b.URL, b.Timeout.Microseconds(), b.Connect.Microseconds(), b.CA, b.ServerName, b.ClientCert, b.PlainHTTP, p.Disabled,
			p.Notice, p.Document, p.Source, p.Declared, storage.Micros(p.ChangedAt), p.ChangedBy, p.Verify, p.AsyncOnly, storage.Micros(p.EndsAt), p.Code, p.Version)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errs.E(errs.Conflict, "exchange.publish.changed", err)
		}
		return writePublicationParts(ctx, tx, p)
	})
}

// writePublicationParts replaces endpoints and rights and counts the change.
func writePublicationParts(ctx context.Context, tx *storage.Tx, p *publication.Published) error {
	if err := clearPublicationParts(ctx, tx, p.Code); err != nil {
		return err
	}
	for i, e := range p.Endpoints {
		if _, err := tx.ExecContext(ctx, `INSERT INTO exchange_publication_endpoint (code, seq, method, path, manual) VALUES ($1, $2, $3, $4, $5)`,
			p.Code, int64(i), e.Method, e.Path, e.Manual); err != nil {
			return err
		}
	}
	for i, r := range p.Rights {
		if _, err := tx.ExecContext(ctx, `INSERT INTO exchange_publication_right (code, seq, consumer, method, path, activities, basis) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			p.Code, int64(i), r.Consumer, r.Method, r.Path, strings.Join(r.Activities, " "), r.Basis); err != nil {
			return err
		}
	}
	return nil
}

func clearPublicationParts(ctx context.Context, tx *storage.Tx, code string) error {
	for _, q := range []string{`DELETE FROM exchange_publication_endpoint WHERE code = $1`, `DELETE FROM exchange_publication_right WHERE code = $1`} {
		if _, err := tx.ExecContext(ctx, q, code); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE exchange_publication_change SET n = n + 1 WHERE id = 1`)
	return err
}

// DeletePublication implements [publication.Store].
func (s *Store) DeletePublication(ctx context.Context, code string) (err error) {
	defer errs.Wrap(&err, "delete publication %s", code)
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM exchange_publication WHERE code = $1`, code)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errs.E(errs.NotFound, "exchange.publish.unknown", err)
		}
		return clearPublicationParts(ctx, tx, code)
	})
}

// PublicationChanges implements [publication.Store].
func (s *Store) PublicationChanges(ctx context.Context) (n int64, err error) {
	err = s.DB.QueryRowContext(ctx, `SELECT n FROM exchange_publication_change WHERE id = 1`).Scan(&n)
	return n, err
}

// KeepDraft implements [publication.Drafts].
func (s *Store) KeepDraft(ctx context.Context, d *publication.Draft, before time.Time) (err error) {
	defer errs.Wrap(&err, "keep a draft")
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM exchange_publication_draft WHERE created_at < $1`, storage.Micros(before)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO exchange_publication_draft (id, code, document, source, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)`,
			d.ID, d.Code, d.Document, d.Source, storage.Micros(d.CreatedAt), d.CreatedBy)
		return err
	})
}

// Draft implements [publication.Drafts].
func (s *Store) Draft(ctx context.Context, id string) (*publication.Draft, error) {
	d := &publication.Draft{ID: id}
	var at int64
	err := s.DB.QueryRowContext(ctx, `SELECT code, document, source, created_at, created_by FROM exchange_publication_draft WHERE id = $1`, id).
		Scan(&d.Code, &d.Document, &d.Source, &at, &d.CreatedBy)
	if storage.IsNoRows(err) {
		return nil, errs.E(errs.NotFound, "exchange.publish.draft_unknown", err)
	}
	d.CreatedAt = storage.Time(at)
	return d, err
}

// DropDraft implements [publication.Drafts].
func (s *Store) DropDraft(ctx context.Context, id string) error {
	_, err := s.DB.ExecContext(ctx, `DELETE FROM exchange_publication_draft WHERE id = $1`, id)
	return err
}
