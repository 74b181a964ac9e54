// Package alarmstore keeps the conditions of package alarm in the node's database.
package alarmstore

import (
	"context"
	"embed"
	"encoding/json"
	"time"

	"truc/internal/alarm"
	"truc/internal/errs"
	"truc/internal/outbox"
	"truc/internal/storage"
)

// Migrations holds the tables of the module alarm.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store implements [alarm.Store].
type Store struct {
	DB *storage.DB
	// Owner names the process among those that share the database.
	Owner string
}

var _ alarm.Store = (*Store)(nil)

// Change implements [alarm.Store].
func (s *Store) Change(ctx context.Context, f func(c map[string]alarm.Condition, toldAt time.Time) (alarm.Change, error)) (err error) {
	defer errs.Wrap(&err, "alarms")
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		have, err := s.conditions(ctx, tx)
		if err != nil {
			return err
		}
		var told int64
		if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(at), 0) FROM alarm_told WHERE owner = $1`, s.Owner).Scan(&told); err != nil {
			return err
		}
		empty := len(have) == 0
		change, err := f(have, storage.Time(told))
		if err != nil || empty && len(change.Conditions) == 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM alarm_condition WHERE owner = $1`, s.Owner); err != nil {
			return err
		}
		for name, c := range change.Conditions {
			b, err := json.Marshal(c.Finding)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO alarm_condition (owner, name, finding, since, gone, told_at, told_bad) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				s.Owner, name, string(b), storage.Micros(c.Since), storage.Micros(c.Gone), storage.Micros(c.ToldAt), c.ToldBad)
			if err != nil {
				return err
			}
		}
		if storage.Micros(change.ToldAt) != told {
			_, err := tx.ExecContext(ctx, `INSERT INTO alarm_told (owner, at) VALUES ($1, $2) ON CONFLICT (owner) DO UPDATE SET at = excluded.at`, s.Owner, storage.Micros(change.ToldAt))
			if err != nil {
				return err
			}
		}
		for _, m := range change.Messages {
			b, err := m.Encode()
			if err != nil {
				return err
			}
			if err := outbox.Add(ctx, tx, m.At, outbox.Message{ID: alarm.Topic + ":" + m.ID, Topic: alarm.Topic, Key: m.Channel, Lane: "alarm " + m.Channel, Payload: b}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Conditions implements [alarm.Store].
func (s *Store) Conditions(ctx context.Context) (_ map[string]alarm.Condition, err error) {
	defer errs.Wrap(&err, "alarms")
	return s.conditions(ctx, s.DB)
}

func (s *Store) conditions(ctx context.Context, q storage.Reader) (map[string]alarm.Condition, error) {
	rows, err := q.QueryContext(ctx, `SELECT name, finding, since, gone, told_at, told_bad FROM alarm_condition WHERE owner = $1`, s.Owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]alarm.Condition{}
	for rows.Next() {
		var (
			c                 alarm.Condition
			name, finding     string
			since, gone, told int64
		)
		if err := rows.Scan(&name, &finding, &since, &gone, &told, &c.ToldBad); err != nil {
			return nil, err
		}
		if c.Finding, err = alarm.DecodeFinding([]byte(finding)); err != nil {
			return nil, err
		}
		c.Since, c.Gone, c.ToldAt = storage.Time(since), storage.Time(gone), storage.Time(told)
		out[name] = c
	}
	return out, rows.Err()
}
