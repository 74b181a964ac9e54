package exchangestore

import (
	"context"
	"strings"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/access"
	"truc/internal/storage"
)

// AccessRules implements [access.Store].
func (s *Store) AccessRules(ctx context.Context) (out []access.Rule, err error) {
	defer errs.Wrap(&err, "list access rules")
	rows, err := s.DB.QueryContext(ctx, `SELECT id, consumer, service, methods, path, activities, basis, created_at, created_by
		FROM exchange_access_rule ORDER BY created_at, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r := access.Rule{Origin: access.Managed}
		var methods, activities string
		var at int64
		if err := rows.Scan(&r.ID, &r.Consumer, &r.Service, &methods, &r.Path, &activities, &r.Basis, &at, &r.CreatedBy); err != nil {
			return nil, err
		}
		r.Methods, r.Activities, r.CreatedAt = strings.Fields(methods), strings.Fields(activities), storage.Time(at)
		out = append(out, r)
	}
	return out, rows.Err()
}

// changeAccess makes a change and counts it.
func (s *Store) changeAccess(ctx context.Context, do func(tx *storage.Tx) error) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		// The count comes first: its row keeps changes of several processes apart.
		if _, err := tx.ExecContext(ctx, `UPDATE exchange_access_change SET n = n + 1 WHERE id = 1`); err != nil {
			return err
		}
		return do(tx)
	})
}

// AddAccessRule implements [access.Store].
func (s *Store) AddAccessRule(ctx context.Context, r *access.Rule) (err error) {
	defer errs.Wrap(&err, "add an access rule")
	return s.changeAccess(ctx, func(tx *storage.Tx) error {
		if code, ok := strings.CutPrefix(r.Consumer, exchange.LocalGroup); ok {
			var n int64
			if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM exchange_access_group WHERE code = $1`, code).Scan(&n); err != nil {
				return err
			}
			if n == 0 { // it was removed meanwhile
				return errs.E(errs.Conflict, "exchange.access.fault.group_unknown", nil)
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO exchange_access_rule (id, consumer, service, methods, path, activities, basis, created_at, created_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			r.ID, r.Consumer, r.Service, strings.Join(r.Methods, " "), r.Path, strings.Join(r.Activities, " "), r.Basis, storage.Micros(r.CreatedAt), r.CreatedBy)
		if storage.IsDuplicate(err) {
			return errs.E(errs.Conflict, "exchange.access.rule_taken", err)
		}
		return err
	})
}

// RemoveAccessRule implements [access.Store].
func (s *Store) RemoveAccessRule(ctx context.Context, id string) (err error) {
	defer errs.Wrap(&err, "remove an access rule")
	return s.changeAccess(ctx, func(tx *storage.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM exchange_access_rule WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errs.E(errs.NotFound, "exchange.access.rule_unknown", err)
		}
		return nil
	})
}

// AccessGroups implements [access.Store].
func (s *Store) AccessGroups(ctx context.Context) (out []access.Group, err error) {
	defer errs.Wrap(&err, "list local groups")
	rows, err := s.DB.QueryContext(ctx, `SELECT g.code, g.name, g.changed_at, g.changed_by, COALESCE(m.member, '')
		FROM exchange_access_group g LEFT JOIN exchange_access_member m ON m.code = g.code ORDER BY g.code, m.member`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var g access.Group
		var at int64
		var member string
		if err := rows.Scan(&g.Code, &g.Name, &at, &g.ChangedBy, &member); err != nil {
			return nil, err
		}
		if len(out) == 0 || out[len(out)-1].Code != g.Code {
			g.ChangedAt = storage.Time(at)
			out = append(out, g)
		}
		if member != "" {
			last := &out[len(out)-1]
			last.Members = append(last.Members, member)
		}
	}
	return out, rows.Err()
}

// SaveAccessGroup implements [access.Store].
func (s *Store) SaveAccessGroup(ctx context.Context, g *access.Group) (err error) {
	defer errs.Wrap(&err, "save a local group")
	return s.changeAccess(ctx, func(tx *storage.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO exchange_access_group (code, name, changed_at, changed_by) VALUES ($1, $2, $3, $4)
			ON CONFLICT (code) DO UPDATE SET name = $2, changed_at = $3, changed_by = $4`, g.Code, g.Name, storage.Micros(g.ChangedAt), g.ChangedBy); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM exchange_access_member WHERE code = $1`, g.Code); err != nil {
			return err
		}
		for _, m := range g.Members {
			if _, err := tx.ExecContext(ctx, `INSERT INTO exchange_access_member (code, member) VALUES ($1, $2)`, g.Code, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// RemoveAccessGroup implements [access.Store].
func (s *Store) RemoveAccessGroup(ctx context.Context, code string) (err error) {
	defer errs.Wrap(&err, "remove a local group")
	return s.changeAccess(ctx, func(tx *storage.Tx) error {
		var n int64
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM exchange_access_rule WHERE consumer = $1`, exchange.LocalGroup+code).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return errs.E(errs.Conflict, "exchange.access.group_used", nil)
		}
		r, err := tx.ExecContext(ctx, `DELETE FROM exchange_access_group WHERE code = $1`, code)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errs.E(errs.NotFound, "exchange.access.group_unknown", err)
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM exchange_access_member WHERE code = $1`, code)
		return err
	})
}

// AccessChanges implements [access.Store].
func (s *Store) AccessChanges(ctx context.Context) (n int64, err error) {
	err = s.DB.QueryRowContext(ctx, `SELECT n FROM exchange_access_change WHERE id = 1`).Scan(&n)
	return n, err
}
