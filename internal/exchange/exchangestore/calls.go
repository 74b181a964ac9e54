package exchangestore

import (
	"context"
	"time"

	"truc/internal/exchange"
	"truc/internal/storage"
)

// CallsSince implements [exchange.Store]. What a limit or a rule refused is not counted.
func (s *Store) CallsSince(ctx context.Context, since time.Time) ([]exchange.Calls, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT client, service, COUNT(*) FROM exchange_message
		WHERE role = $1 AND at >= $2 AND outcome NOT IN ($3, $4, $5) GROUP BY client, service ORDER BY client, service`,
		exchange.RoleProvider, storage.Micros(since), "server.serverproxy.quota_exceeded", "server.serverproxy.access_denied", "server.serverproxy.circuit_open")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []exchange.Calls
	for rows.Next() {
		var c exchange.Calls
		if err := rows.Scan(&c.Client, &c.Service, &c.N); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
