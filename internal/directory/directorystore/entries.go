package directorystore

import (
	"context"
	"encoding/json"
	"reflect"

	"truc/internal/directory"
	"truc/internal/storage"
)

// Kinds of rows in directory_entry: small parts of the registry that are only ever read whole.
const (
	kindSubsystem = "subsystem"
	kindGroup     = "group"
	kindPolicy    = "policy"
	kindRequest   = "request"
	kindLeave     = "leave"
)

func loadEntries(ctx context.Context, q storage.Querier, s *directory.State) error {
	return each(ctx, q, `SELECT kind, id, body FROM directory_entry`, func(scan func(...any) error) error {
		var kind, id, body string
		if err := scan(&kind, &id, &body); err != nil {
			return err
		}
		switch kind {
		case kindSubsystem:
			return readEntry(s.Subsystems, id, body)
		case kindGroup:
			return readEntry(s.Groups, id, body)
		case kindRequest:
			return readEntry(s.Requests, id, body)
		case kindLeave:
			return readEntry(s.Leaves, id, body)
		case kindPolicy:
			return json.Unmarshal([]byte(body), &s.Policy)
		}
		return nil // of a newer program; this one leaves it alone
	})
}

func readEntry[V any](m map[string]V, id, body string) error {
	var v V
	err := json.Unmarshal([]byte(body), &v)
	m[id] = v
	return err
}

func saveEntries(ctx context.Context, tx *storage.Tx, before, after *directory.State) error {
	if err := saveKind(ctx, tx, kindSubsystem, before.Subsystems, after.Subsystems); err != nil {
		return err
	}
	if err := saveKind(ctx, tx, kindGroup, before.Groups, after.Groups); err != nil {
		return err
	}
	if err := saveKind(ctx, tx, kindRequest, before.Requests, after.Requests); err != nil {
		return err
	}
	if err := saveKind(ctx, tx, kindLeave, before.Leaves, after.Leaves); err != nil {
		return err
	}
	return saveKind(ctx, tx, kindPolicy, map[string]directory.Policy{"": before.Policy}, map[string]directory.Policy{"": after.Policy})
}

func saveKind[V any](ctx context.Context, tx *storage.Tx, kind string, before, after map[string]V) error {
	for id, v := range after {
		if old, ok := before[id]; ok && reflect.DeepEqual(old, v) {
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO directory_entry (kind, id, body) VALUES ($1, $2, $3)
			ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body`, kind, id, string(b)); err != nil {
			return err
		}
	}
	for id := range before {
		if _, ok := after[id]; ok {
			continue
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM directory_entry WHERE kind = $1 AND id = $2`, kind, id); err != nil {
			return err
		}
	}
	return nil
}
