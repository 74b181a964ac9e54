// Package identitystore keeps sessions, the sign-in history and the table of officers in the node's database.
package identitystore

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"time"

	"truc/internal/errs"
	"truc/internal/identity"
	"truc/internal/reqctx"
	"truc/internal/storage"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Migrations returns the tables of the module identity.
func Migrations() fs.FS {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}

// Store implements the store ports of identity.
type Store struct {
	DB *storage.DB
	// Recorded, when set, is told of each event in the transaction that stores it; an error undoes both, so that nobody
	// signs in whose sign-in cannot be recorded.
	Recorded func(ctx context.Context, tx *storage.Tx, e identity.Event) error
}

var (
	_ identity.SessionStore = (*Store)(nil)
	_ identity.EventStore   = (*Store)(nil)
	_ identity.OfficerStore = (*Store)(nil)
)

const sessionColumns = `id, kind, subject, name, agency, roles, level, issuer, created_at, last_seen, idle_until, expires_at, revoked_at, device, agent_hash`

type scanner interface{ Scan(dest ...any) error }

func scanSession(row scanner) (identity.Session, error) {
	var (
		s                                     identity.Session
		kind, roles                           string
		level                                 int64
		created, seen, idle, expires, revoked int64
	)
	err := row.Scan(&s.ID, &kind, &s.Subject, &s.Name, &s.Agency, &roles, &level, &s.Issuer,
		&created, &seen, &idle, &expires, &revoked, &s.Device, &s.AgentHash)
	if err != nil {
		return identity.Session{}, err
	}
	s.Kind, s.Level = reqctx.PrincipalKind(kind), int(level)
	s.CreatedAt, s.LastSeen, s.IdleUntil = storage.Time(created), storage.Time(seen), storage.Time(idle)
	s.ExpiresAt, s.RevokedAt = storage.Time(expires), storage.Time(revoked)
	s.Roles, err = decodeRoles(roles)
	return s, err
}

func encodeRoles(roles []string) string {
	if roles == nil {
		roles = []string{}
	}
	b, _ := json.Marshal(roles) // strings always marshal
	return string(b)
}

func decodeRoles(text string) (roles []string, err error) {
	if err := json.Unmarshal([]byte(text), &roles); err != nil {
		return nil, err
	}
	if len(roles) == 0 {
		return nil, nil
	}
	return roles, nil
}

// OpenSession implements [identity.SessionStore].
func (st *Store) OpenSession(ctx context.Context, tokenHash []byte, s identity.Session, e identity.Event) (err error) {
	defer errs.Wrap(&err, "open session")
	err = st.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_session (token_hash, `+sessionColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			tokenHash, s.ID, string(s.Kind), s.Subject, s.Name, s.Agency, encodeRoles(s.Roles), int64(s.Level), s.Issuer,
			storage.Micros(s.CreatedAt), storage.Micros(s.LastSeen), storage.Micros(s.IdleUntil), storage.Micros(s.ExpiresAt),
			storage.Micros(s.RevokedAt), s.Device, s.AgentHash)
		if err != nil {
			return err
		}
		return st.addEvent(ctx, tx, e)
	})
	if storage.IsDuplicate(err) {
		return errs.E(errs.Conflict, "identity.session_exists", err)
	}
	return err
}

// Session implements [identity.SessionStore].
func (st *Store) Session(ctx context.Context, tokenHash []byte) (_ identity.Session, err error) {
	defer errs.Wrap(&err, "read session")
	s, err := scanSession(st.DB.QueryRowContext(ctx, `SELECT `+sessionColumns+` FROM identity_session WHERE token_hash = $1`, tokenHash))
	if storage.IsNoRows(err) {
		return identity.Session{}, errs.E(errs.NotFound, "identity.session_unknown", err)
	}
	return s, err
}

// TouchSession implements [identity.SessionStore].
func (st *Store) TouchSession(ctx context.Context, id string, lastSeen, idleUntil time.Time) (err error) {
	defer errs.Wrap(&err, "touch session")
	return st.DB.InTx(ctx, func(tx *storage.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE identity_session SET last_seen = $1, idle_until = $2 WHERE id = $3 AND revoked_at = 0`,
			storage.Micros(lastSeen), storage.Micros(idleUntil), id)
		return err
	})
}

// EndSession implements [identity.SessionStore].
func (st *Store) EndSession(ctx context.Context, kind reqctx.PrincipalKind, subject, id string, at time.Time, e identity.Event) (err error) {
	defer errs.Wrap(&err, "end session")
	return st.DB.InTx(ctx, func(tx *storage.Tx) error {
		s, err := scanSession(tx.QueryRowContext(ctx, `SELECT `+sessionColumns+` FROM identity_session WHERE id = $1 AND kind = $2 AND subject = $3`,
			id, string(kind), subject))
		if storage.IsNoRows(err) {
			return errs.E(errs.NotFound, "identity.session_unknown", err)
		}
		if err != nil || !s.Live(at) {
			return err
		}
		r, err := tx.ExecContext(ctx, `UPDATE identity_session SET revoked_at = $1 WHERE id = $2 AND revoked_at = 0`, storage.Micros(at), id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err // somebody else ended it between the two statements
		}
		if e.Issuer == "" {
			e.Issuer, e.Device = s.Issuer, s.Device
		}
		return st.addEvent(ctx, tx, e)
	})
}

// LiveSessions implements [identity.SessionStore].
func (st *Store) LiveSessions(ctx context.Context, kind reqctx.PrincipalKind, subject string, now time.Time) (list []identity.Session, err error) {
	defer errs.Wrap(&err, "list sessions")
	rows, err := st.DB.QueryContext(ctx, `SELECT `+sessionColumns+` FROM identity_session
		WHERE kind = $1 AND subject = $2 AND revoked_at = 0 AND idle_until > $3 AND expires_at > $4 ORDER BY last_seen DESC, id LIMIT 100`,
		string(kind), subject, storage.Micros(now), storage.Micros(now))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		s, err := scanSession(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// SweepSessions implements [identity.SessionStore].
func (st *Store) SweepSessions(ctx context.Context, endedBefore time.Time) (n int64, err error) {
	defer errs.Wrap(&err, "sweep sessions")
	t := storage.Micros(endedBefore)
	err = st.DB.InTx(ctx, func(tx *storage.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM identity_session WHERE idle_until < $1 OR expires_at < $2 OR (revoked_at > 0 AND revoked_at < $3)`, t, t, t)
		if err != nil {
			return err
		}
		n, err = r.RowsAffected()
		return err
	})
	return n, err
}

func (st *Store) addEvent(ctx context.Context, tx *storage.Tx, e identity.Event) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_login_event (at, event, kind, subject, session_id, issuer, device, reason, request_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		storage.Micros(e.At), string(e.Kind), string(e.Principal), e.Subject, e.Session, e.Issuer, e.Device, e.Reason, e.RequestID)
	if err != nil || st.Recorded == nil {
		return err
	}
	return st.Recorded(ctx, tx, e)
}

// AddEvent implements [identity.EventStore].
func (st *Store) AddEvent(ctx context.Context, e identity.Event) (err error) {
	defer errs.Wrap(&err, "record sign-in event")
	return st.DB.InTx(ctx, func(tx *storage.Tx) error { return st.addEvent(ctx, tx, e) })
}

// Events implements [identity.EventStore].
func (st *Store) Events(ctx context.Context, kind reqctx.PrincipalKind, subject string, limit int) (list []identity.Event, err error) {
	defer errs.Wrap(&err, "list sign-in events")
	rows, err := st.DB.QueryContext(ctx, `SELECT at, event, kind, subject, session_id, issuer, device, reason, request_id FROM identity_login_event
		WHERE kind = $1 AND subject = $2 ORDER BY seq DESC LIMIT $3`, string(kind), subject, int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			e             identity.Event
			at            int64
			event, person string
		)
		if err := rows.Scan(&at, &event, &person, &e.Subject, &e.Session, &e.Issuer, &e.Device, &e.Reason, &e.RequestID); err != nil {
			return nil, err
		}
		e.At, e.Kind, e.Principal = storage.Time(at), identity.EventKind(event), reqctx.PrincipalKind(person)
		list = append(list, e)
	}
	return list, rows.Err()
}
