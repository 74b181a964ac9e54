package exchangestore

import (
	"context"
	"time"

	"truc/internal/exchange"
	"truc/internal/storage"
)

const recordSpan = ` FROM exchange_message WHERE recorded >= $1 AND recorded < $2 AND ($3 = '' OR client = $3 OR substr(service, 1, length($3) + 1) = $3 || '/')`

// Records implements [exchange.Store].
func (s *Store) Records(ctx context.Context, q exchange.RecordSpan, f func(exchange.Message) error) error {
	rows, err := s.DB.QueryContext(ctx, `SELECT `+columns+recordSpan+` ORDER BY recorded, seq`, storage.Micros(q.From), storage.Micros(q.To), q.Client)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		m, err := scanMessage(rows.Scan)
		if err != nil {
			return err
		}
		if err := f(m); err != nil {
			return err
		}
	}
	return rows.Err()
}

// RecordAt implements [exchange.Store].
func (s *Store) RecordAt(ctx context.Context, q exchange.RecordSpan, n int) (time.Time, bool, error) {
	var at int64
	err := s.DB.QueryRowContext(ctx, `SELECT recorded`+recordSpan+` ORDER BY recorded, seq LIMIT 1 OFFSET $4`,
		storage.Micros(q.From), storage.Micros(q.To), q.Client, int64(n)).Scan(&at)
	if storage.IsNoRows(err) {
		return time.Time{}, false, nil
	}
	return storage.Time(at), err == nil, err
}

// Hourly implements [exchange.Store].
func (s *Store) Hourly(ctx context.Context, since time.Time) ([]exchange.HourCount, error) {
	const hour = int64(time.Hour / time.Microsecond)
	rows, err := s.DB.QueryContext(ctx, `SELECT at / $1, role, COUNT(*), SUM(CASE WHEN outcome = 'ok' THEN 0 ELSE 1 END) FROM exchange_message
		WHERE at >= $2 GROUP BY 1, 2 ORDER BY 1, 2`, hour, storage.Micros(since))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []exchange.HourCount
	for rows.Next() {
		var c exchange.HourCount
		var n int64
		if err := rows.Scan(&n, &c.Role, &c.Total, &c.Faults); err != nil {
			return nil, err
		}
		c.Hour = storage.Time(n * hour)
		out = append(out, c)
	}
	return out, rows.Err()
}

// Partners implements [exchange.Store].
func (s *Store) Partners(ctx context.Context, since time.Time) ([]exchange.PartnerCount, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT peer, COUNT(*), SUM(CASE WHEN outcome = 'ok' THEN 0 ELSE 1 END), COALESCE(MAX(CASE WHEN outcome = 'ok' THEN at END), 0),
		COALESCE(MAX(CASE WHEN outcome <> 'ok' THEN at END), 0), CAST(COALESCE(AVG(CASE WHEN outcome = 'ok' THEN duration END), 0) AS BIGINT)
		FROM exchange_message WHERE at >= $1 AND peer <> '' GROUP BY peer ORDER BY peer`, storage.Micros(since))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []exchange.PartnerCount
	for rows.Next() {
		var c exchange.PartnerCount
		var ok, fault, mean int64
		if err := rows.Scan(&c.Peer, &c.Total, &c.Faults, &ok, &fault, &mean); err != nil {
			return nil, err
		}
		c.LastOK, c.LastFault, c.Mean = storage.Time(ok), storage.Time(fault), time.Duration(mean)*time.Microsecond
		out = append(out, c)
	}
	return out, rows.Err()
}
