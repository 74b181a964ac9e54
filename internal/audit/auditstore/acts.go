package auditstore

import (
	"context"
	"math"

	"truc/internal/audit"
	"truc/internal/errs"
	"truc/internal/storage"
)

var _ audit.ActReader = (*Store)(nil)

// Acts implements [audit.ActReader].
func (s *Store) Acts(ctx context.Context, q audit.ActQuery) (acts []audit.RecordedAct, err error) {
	defer errs.Wrap(&err, "acts")
	before := q.Before
	if before <= 0 {
		before = math.MaxInt64
	}
	rows, err := s.DB.QueryContext(ctx, `SELECT seq, at, actor, action, object FROM audit_act
		WHERE seq < $1 AND (action LIKE 'exchange.%' OR action LIKE 'directory.%' OR action LIKE 'identity.%') AND ($2 = '' OR actor = $3) AND ($4 = '' OR object = $5)
		ORDER BY seq DESC LIMIT $6`, before, q.Actor, q.Actor, q.Object, q.Object, q.Limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a audit.RecordedAct
		var at int64
		if err := rows.Scan(&a.Seq, &at, &a.Actor, &a.Action, &a.Object); err != nil {
			return nil, err
		}
		a.At = storage.Time(at)
		acts = append(acts, a)
	}
	return acts, rows.Err()
}
