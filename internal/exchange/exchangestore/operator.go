package exchangestore

import (
	"context"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/storage"
)

const operatorColumns = `id, hash, label, roles, created_at, created_by, revoked_at`

// AddOperator implements [exchange.OperatorStore].
func (s *Store) AddOperator(ctx context.Context, k exchange.OperatorKey) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO exchange_operator (id, hash, label, roles, created_at, created_by, revoked_at)
			VALUES ($1, $2, $3, $4, $5, $6, 0)`, k.ID, k.Hash, k.Label, strings.Join(k.Roles, " "), storage.Micros(k.CreatedAt), k.CreatedBy)
		if storage.IsDuplicate(err) {
			return errs.E(errs.Conflict, "exchange.key_exists", err)
		}
		return err
	})
}

// OperatorByHash implements [exchange.OperatorStore].
func (s *Store) OperatorByHash(ctx context.Context, hash string) (exchange.OperatorKey, error) {
	list, err := s.operators(ctx, `SELECT `+operatorColumns+` FROM exchange_operator WHERE hash = $1 AND revoked_at = 0`, hash)
	if err != nil {
		return exchange.OperatorKey{}, err
	}
	if len(list) == 0 {
		return exchange.OperatorKey{}, errs.E(errs.NotFound, "exchange.key_unknown", nil)
	}
	return list[0], nil
}

// Operators implements [exchange.OperatorStore].
func (s *Store) Operators(ctx context.Context) ([]exchange.OperatorKey, error) {
	return s.operators(ctx, `SELECT `+operatorColumns+` FROM exchange_operator ORDER BY created_at, id`)
}

func (s *Store) operators(ctx context.Context, query string, args ...any) ([]exchange.OperatorKey, error) {
	rows, err := s.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []exchange.OperatorKey
	for rows.Next() {
		var k exchange.OperatorKey
		var roles string
		var created, revoked int64
		if err := rows.Scan(&k.ID, &k.Hash, &k.Label, &roles, &created, &k.CreatedBy, &revoked); err != nil {
			return nil, err
		}
		k.Roles, k.CreatedAt, k.RevokedAt = strings.Fields(roles), storage.Time(created), storage.Time(revoked)
		out = append(out, k)
	}
	return out, rows.Err()
}

// RevokeOperator implements [exchange.OperatorStore].
func (s *Store) RevokeOperator(ctx context.Context, id string, at time.Time) error {
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE exchange_operator SET revoked_at = $1 WHERE id = $2 AND revoked_at = 0`, storage.Micros(at), id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errs.E(errs.NotFound, "exchange.key_unknown", err)
		}
		return nil
	})
}
