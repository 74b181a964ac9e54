package identitystore

import (
	"context"
	"encoding/json"
	"time"

	"truc/internal/errs"
	"truc/internal/identity"
	"truc/internal/storage"
)

const officerColumns = `account, name, title, agency, roles, valid_from, valid_to`

func scanOfficer(row scanner) (identity.Officer, error) {
	var (
		o        identity.Officer
		roles    string
		from, to int64
	)
	if err := row.Scan(&o.Account, &o.Name, &o.Title, &o.Agency, &roles, &from, &to); err != nil {
		return identity.Officer{}, err
	}
	o.ValidFrom, o.ValidTo = storage.Time(from), storage.Time(to)
	var err error
	o.Roles, err = decodeRoles(roles)
	return o, err
}

// ReplaceOfficers implements [identity.OfficerStore]. Leavers keep their row, so that what they did stays theirs
// by name.
func (st *Store) ReplaceOfficers(ctx context.Context, list []identity.Officer, at time.Time) (err error) {
	defer errs.Wrap(&err, "replace officers")
	now := storage.Micros(at)
	accounts := make([]string, 0, len(list))
	for _, o := range list {
		accounts = append(accounts, o.Account)
	}
	listed, err := json.Marshal(accounts)
	if err != nil {
		return err
	}
	// The list travels as one JSON text, because the number of binds is limited and arrays differ by engine.
	end := `UPDATE identity_officer SET valid_to = $1, updated_at = $2 WHERE (valid_to = 0 OR valid_to > $3)
		AND account NOT IN (SELECT value FROM json_each($4))`
	if st.DB.Engine() == storage.Postgres {
		end = `UPDATE identity_officer SET valid_to = $1, updated_at = $2 WHERE (valid_to = 0 OR valid_to > $3)
		AND account NOT IN (SELECT value FROM json_array_elements_text($4::text::json))`
	}
	return st.DB.InTx(ctx, func(tx *storage.Tx) error {
		for _, o := range list {
			_, err := tx.ExecContext(ctx, `INSERT INTO identity_officer (account, name, title, agency, roles, valid_from, valid_to, updated_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
				ON CONFLICT (account) DO UPDATE SET name = excluded.name, title = excluded.title, agency = excluded.agency, roles = excluded.roles,
					valid_from = excluded.valid_from, valid_to = excluded.valid_to, updated_at = excluded.updated_at`,
				o.Account, o.Name, o.Title, o.Agency, encodeRoles(o.Roles), storage.Micros(o.ValidFrom), storage.Micros(o.ValidTo), now)
			if err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, end, now, now, now, string(listed))
		return err
	})
}

// Officer implements [identity.OfficerStore].
func (st *Store) Officer(ctx context.Context, account string) (_ identity.Officer, err error) {
	defer errs.Wrap(&err, "read officer")
	o, err := scanOfficer(st.DB.QueryRowContext(ctx, `SELECT `+officerColumns+` FROM identity_officer WHERE account = $1`, account))
	if storage.IsNoRows(err) {
		return identity.Officer{}, errs.E(errs.NotFound, "identity.officer_unknown", err)
	}
	return o, err
}

// AllOfficers implements [identity.OfficerStore].
func (st *Store) AllOfficers(ctx context.Context) (list []identity.Officer, err error) {
	defer errs.Wrap(&err, "list officers")
	rows, err := st.DB.QueryContext(ctx, `SELECT `+officerColumns+` FROM identity_officer ORDER BY name, account`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		o, err := scanOfficer(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, rows.Err()
}
