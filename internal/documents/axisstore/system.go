package axisstore

import (
	"context"
	"net/netip"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/storage"
)

const systemColumns = `t.id, t.name, t.window_us, t.unlimited, t.addresses, t.may_register, t.hash_optional, t.refuse_repeats, t.suspended, t.sealed, t.old_sealed, t.old_until,
	t.created_at, t.changed_at`

func scanSystem(scan func(...any) error) (s axis.StoredSystem, err error) {
	var addresses string
	var window, oldUntil, created, changed int64
	if err := scan(&s.ID, &s.Name, &window, &s.Unlimited, &addresses, &s.MayRegister, &s.HashOptional, &s.RefuseRepeats, &s.Suspended, &s.Sealed, &s.OldSealed, &oldUntil,
		&created, &changed); err != nil {
		return s, err
	}
	s.Window, s.OldUntil, s.Created, s.Changed = time.Duration(window)*time.Microsecond, storage.Time(oldUntil), storage.Time(created), storage.Time(changed)
	texts, err := unlist(addresses)
	for _, a := range texts {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			return s, err
		}
		s.Addresses = append(s.Addresses, p)
	}
	return s, err
}

// System implements [axis.Store].
func (s *Store) System(ctx context.Context, id string) (axis.StoredSystem, error) {
	return storage.One(ctx, s.DB, scanSystem, "axis.system_unknown", `SELECT `+systemColumns+` FROM axis_system t WHERE t.id = $1`, id)
}

// Systems implements [axis.Store].
func (s *Store) Systems(ctx context.Context) ([]axis.StoredSystem, error) {
	return storage.All(ctx, s.DB, scanSystem, `SELECT `+systemColumns+` FROM axis_system t ORDER BY t.id`)
}

// System implements [axis.Tx].
func (t *tx) System(ctx context.Context, id string) (axis.StoredSystem, error) {
	return storage.One(ctx, t, scanSystem, "axis.system_unknown", `SELECT `+systemColumns+` FROM axis_system t WHERE t.id = $1`+t.lock, id)
}

// PutSystem implements [axis.Tx].
func (t *tx) PutSystem(ctx context.Context, s axis.StoredSystem) error {
	addresses := make([]string, len(s.Addresses))
	for i, a := range s.Addresses {
		addresses[i] = a.String()
	}
	_, err := t.ExecContext(ctx, `INSERT INTO axis_system (id, name, window_us, unlimited, addresses, may_register, hash_optional, refuse_repeats, suspended, sealed, old_sealed, old_until,
		created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, window_us = excluded.window_us, unlimited = excluded.unlimited, addresses = excluded.addresses,
		may_register = excluded.may_register, hash_optional = excluded.hash_optional, refuse_repeats = excluded.refuse_repeats, suspended = excluded.suspended,
		sealed = excluded.sealed, old_sealed = excluded.old_sealed, old_until = excluded.old_until, changed_at = excluded.changed_at`,
		s.ID, s.Name, s.Window.Microseconds(), s.Unlimited, list(addresses), s.MayRegister, s.HashOptional, s.RefuseRepeats, s.Suspended, s.Sealed, s.OldSealed,
		storage.Micros(s.OldUntil), storage.Micros(s.Created), storage.Micros(s.Changed))
	return err
}
