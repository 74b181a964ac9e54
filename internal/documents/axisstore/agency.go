package axisstore

import (
	"context"
	"slices"

	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/outbox"
	"truc/internal/storage"
)

const agencyColumns = `t.id, t.code, t.name, t.mail, t.mobile, t.fax, t.parent, t.old_code, t.aliases, t.owner, t.is_agency, t.locked, t.valid_from, t.valid_to, t.successors, t.act,
	t.version, t.changed_at`

func scanAgency(scan func(...any) error) (a axis.Agency, err error) {
	var aliases, owner, successors string
	var from, to, version, changed int64
	if err := scan(&a.ID, &a.Code, &a.Name, &a.Mail, &a.Mobile, &a.Fax, &a.Parent, &a.Old, &aliases, &owner, &a.IsAgency, &a.Locked, &from, &to, &successors, &a.Act,
		&version, &changed); err != nil {
		return a, err
	}
	a.Owner, a.From, a.To, a.Version, a.Changed = axis.Party(owner), storage.Time(from), storage.Time(to), int(version), storage.Time(changed)
	if a.Aliases, err = unlist(aliases); err != nil {
		return a, err
	}
	a.Successors, err = unlist(successors)
	return a, err
}

// Agencies implements [axis.Store].
func (s *Store) Agencies(ctx context.Context) ([]axis.Agency, error) {
	return storage.All(ctx, s.DB, scanAgency, `SELECT `+agencyColumns+` FROM axis_agency t ORDER BY t.id`)
}

// Agency implements [axis.Tx].
func (t *tx) Agency(ctx context.Context, id int64) (axis.Agency, error) {
	return storage.One(ctx, t, scanAgency, "axis.agency_unknown", `SELECT `+agencyColumns+` FROM axis_agency t WHERE t.id = $1`+t.lock, id)
}

// Merged implements [axis.Tx].
func (t *tx) Merged(ctx context.Context) ([]axis.Agency, error) {
	return storage.All(ctx, t, scanAgency, `SELECT `+agencyColumns+` FROM axis_agency t WHERE t.valid_to <> 0 AND t.successors <> '' ORDER BY t.id`)
}

// Lookup implements [axis.Store].
func (s *Store) Lookup(ctx context.Context, codes []string) ([]axis.Binding, error) {
	return lookup(ctx, s.DB, codes)
}

// Lookup implements [axis.Tx].
func (t *tx) Lookup(ctx context.Context, codes []string) ([]axis.Binding, error) {
	return lookup(ctx, t, codes)
}

func lookup(ctx context.Context, q outbox.Querier, codes []string) (out []axis.Binding, err error) {
	codes = slices.Compact(slices.Sorted(slices.Values(codes)))
	err = inChunks(codes, func(in string, args []any) error {
		list, err := storage.All(ctx, q, func(scan func(...any) error) (b axis.Binding, err error) {
			var from, to int64
			b.Agency, err = scanAgency(func(dest ...any) error { return scan(append([]any{&b.Code, &from, &to}, dest...)...) })
			b.From, b.To = storage.Time(from), storage.Time(to)
			return b, err
		}, `SELECT c.code, c.valid_from, c.valid_to, `+agencyColumns+` FROM axis_code c JOIN axis_agency t ON t.id = c.agency WHERE c.code IN (`+in+`)
			ORDER BY c.code, c.valid_from, t.id`, args...)
		out = append(out, list...)
		return err
	})
	return out, err
}

// AddAgency implements [axis.Tx].
func (t *tx) AddAgency(ctx context.Context, a axis.Agency, r axis.Revision) (int64, error) {
	id, err := storage.One(ctx, t, number, "axis.agency_unknown", `INSERT INTO axis_agency (code, name, mail, mobile, fax, parent, old_code, aliases, owner, is_agency, locked, valid_from, valid_to,
		successors, act, version, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) RETURNING id`,
		a.Code, a.Name, a.Mail, a.Mobile, a.Fax, a.Parent, a.Old, list(a.Aliases), string(a.Owner), a.IsAgency, a.Locked, storage.Micros(a.From), storage.Micros(a.To),
		list(a.Successors), a.Act, int64(a.Version), storage.Micros(a.Changed))
	if err != nil {
		return 0, err
	}
	a.ID = id
	return id, t.bind(ctx, a, r)
}

// PutAgency implements [axis.Tx].
func (t *tx) PutAgency(ctx context.Context, a axis.Agency, old int, r axis.Revision) error {
	res, err := t.ExecContext(ctx, `UPDATE axis_agency SET code = $1, name = $2, mail = $3, mobile = $4, fax = $5, parent = $6, old_code = $7, aliases = $8, owner = $9, is_agency = $10,
		locked = $11, valid_to = $12, successors = $13, act = $14, version = $15, changed_at = $16 WHERE id = $17 AND version = $18`,
		a.Code, a.Name, a.Mail, a.Mobile, a.Fax, a.Parent, a.Old, list(a.Aliases), string(a.Owner), a.IsAgency,
		a.Locked, storage.Micros(a.To), list(a.Successors), a.Act, int64(a.Version), storage.Micros(a.Changed), a.ID, int64(old))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		if err == nil {
			err = errs.E(errs.Conflict, "axis.agency_changed", nil)
		}
		return err
	}
	return t.bind(ctx, a, r)
}

// bind makes the codes of an agency mean it from now on, ends those that it gave up, and keeps the revision.
func (t *tx) bind(ctx context.Context, a axis.Agency, r axis.Revision) error {
	held, err := storage.All(ctx, t, text, `SELECT code FROM axis_code WHERE agency = $1 AND valid_to = 0`, a.ID)
	if err != nil {
		return err
	}
	wanted := a.Codes()
	if !a.To.IsZero() {
		wanted = nil
	}
	now := storage.Micros(a.Changed)
	for _, c := range held {
		if !slices.Contains(wanted, c) {
			if _, err := t.ExecContext(ctx, `UPDATE axis_code SET valid_to = $1 WHERE code = $2 AND agency = $3 AND valid_to = 0`, now, c, a.ID); err != nil {
				return err
			}
		}
	}
	for _, c := range wanted {
		if slices.Contains(held, c) {
			continue
		}
		res, err := t.ExecContext(ctx, `INSERT INTO axis_code (code, agency, valid_from, valid_to) VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING`, c, a.ID, now)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			if err == nil {
				err = errs.E(errs.Conflict, "axis.code_taken", nil, "code", c, "name", "?")
			}
			return err
		}
	}
	if r.Snapshot == nil {
		r.Snapshot = []byte{}
	}
	_, err = t.ExecContext(ctx, `INSERT INTO axis_revision (agency, version, at, actor, what, act, snapshot) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		a.ID, int64(r.Version), storage.Micros(r.At), r.Actor, r.What, r.Act, r.Snapshot)
	return err
}

// History implements [axis.Store].
func (s *Store) History(ctx context.Context, agency int64) ([]axis.Revision, error) {
	return storage.All(ctx, s.DB, func(scan func(...any) error) (r axis.Revision, err error) {
		var version, at int64
		err = scan(&version, &at, &r.Actor, &r.What, &r.Act, &r.Snapshot)
		r.Version, r.At = int(version), storage.Time(at)
		return r, err
	}, `SELECT version, at, actor, what, act, snapshot FROM axis_revision WHERE agency = $1 ORDER BY version`, agency)
}
