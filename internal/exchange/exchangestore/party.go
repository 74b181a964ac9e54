package exchangestore

import (
	"context"
	"fmt"
	"strings"

	"truc/internal/exchange"
	"truc/internal/storage"
)

// OfParty implements [exchange.PartyStore].
func (s *Store) OfParty(ctx context.Context, q exchange.PartyQuery) ([]exchange.Message, error) {
	args := []any{q.Subsystem, q.Subsystem + "/", q.Member}
	where := []string{`(client = $1 OR substr(service, 1, length($2)) = $2 OR $3 <> '' AND (delegator = $3 OR service_delegator = $3))`}
	add := func(cond string, values ...any) {
		numbers := make([]any, len(values))
		for i, v := range values {
			args = append(args, v)
			numbers[i] = len(args)
		}
		where = append(where, fmt.Sprintf(cond, numbers...))
	}
	if q.ExchangeID != "" {
		add("exchange_id = $%d", q.ExchangeID)
	}
	if !q.From.IsZero() {
		add("at >= $%d", storage.Micros(q.From))
	}
	if !q.To.IsZero() {
		add("at < $%d", storage.Micros(q.To))
	}
	if q.After.RequestID != "" {
		add("(at, request_id, role) > ($%d, $%d, $%d)", q.After.At, q.After.RequestID, q.After.Role)
		add("at >= $%d", q.After.At) // lets the index on the time help
	}
	args = append(args, int64(q.Limit))
	return s.list(ctx, fmt.Sprintf(`SELECT %s FROM exchange_message WHERE %s ORDER BY at, request_id, role LIMIT $%d`,
		columns, strings.Join(where, " AND "), len(args)), args...)
}
