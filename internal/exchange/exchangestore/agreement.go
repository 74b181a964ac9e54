package exchangestore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/agreement"
	"truc/internal/outbox"
	"truc/internal/storage"
)

// TopicAgreement is the topic of the outbox under which news of agreements wait for the other parties.
const TopicAgreement = "exchange.agreement"

// AgreementStore implements [exchange.AgreementStore].
type AgreementStore struct {
	DB  *storage.DB
	Now func() time.Time
	// Wake is called after a commit that added to the outbox; it may be nil.
	Wake func()
}

// SaveAgreement implements [exchange.AgreementStore].
func (s *AgreementStore) SaveAgreement(ctx context.Context, a *agreement.Agreement, add []agreement.Statement, deliver []exchange.AgreementDelivery) (err error) {
	defer errs.Wrap(&err, "save agreement %s", a.Content)
	now := storage.Micros(s.Now())
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		var known int64
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM exchange_agreement WHERE content_hash = $1`, a.Content).Scan(&known); err != nil {
			return err
		}
		if known == 0 {
			_, err := tx.ExecContext(ctx, `INSERT INTO exchange_agreement (content_hash, iv, document, center, received_at) VALUES ($1, $2, $3, $4, $5)`,
				a.Content, a.Document.IV, a.Raw, a.Directory, now)
			if storage.IsDuplicate(err) {
				return errs.E(errs.Conflict, "exchange.agreement.fault.iv_used", err, "field", "iv")
			}
			if err != nil {
				return err
			}
		}
		for _, st := range add {
			b, err := json.Marshal(st)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO exchange_agreement_statement (content_hash, member, kind, statement, received_at)
				VALUES ($1, $2, $3, $4, $5) ON CONFLICT (content_hash, member, kind) DO NOTHING`, a.Content, st.Member, st.Type, b, now); err != nil {
				return err
			}
		}
		for _, d := range deliver {
			if err := outbox.AddJSON(ctx, tx, s.Now(), d.ID, TopicAgreement, d.Member, d); err != nil {
				return err
			}
		}
		if len(deliver) > 0 && s.Wake != nil {
			tx.AfterCommit(s.Wake)
		}
		return nil
	})
}

// Agreement implements [exchange.AgreementStore].
func (s *AgreementStore) Agreement(ctx context.Context, content string) (*agreement.Agreement, error) {
	list, err := s.read(ctx, ` WHERE content_hash = $1`, content)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errs.E(errs.NotFound, "exchange.agreement.unknown", nil)
	}
	return list[0], nil
}

// Agreements implements [exchange.AgreementStore].
func (s *AgreementStore) Agreements(ctx context.Context) ([]*agreement.Agreement, error) {
	return s.read(ctx, "")
}

// read returns agreements, the newest first, with their statements in the order in which they came.
func (s *AgreementStore) read(ctx context.Context, where string, args ...any) (out []*agreement.Agreement, err error) {
	defer errs.Wrap(&err, "read agreements")
	rows, err := s.DB.QueryContext(ctx, `SELECT document, center FROM exchange_agreement`+where+` ORDER BY seq DESC`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	byHash := map[string]*agreement.Agreement{}
	for rows.Next() {
		var raw []byte
		var directory string
		if err := rows.Scan(&raw, &directory); err != nil {
			return nil, err
		}
		a, err := agreement.Open(raw, directory)
		if err != nil {
			return nil, fmt.Errorf("a stored document cannot be read: %w", err)
		}
		byHash[a.Content] = a
		out = append(out, a)
	}
	if err := rows.Err(); err != nil || len(out) == 0 {
		return out, err
	}
	return out, s.readStatements(ctx, byHash, where, args)
}

func (s *AgreementStore) readStatements(ctx context.Context, byHash map[string]*agreement.Agreement, where string, args []any) error {
	rows, err := s.DB.QueryContext(ctx, `SELECT statement FROM exchange_agreement_statement`+where+` ORDER BY seq`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		var st agreement.Statement
		if err := rows.Scan(&b); err != nil {
			return err
		}
		if err := json.Unmarshal(b, &st); err != nil {
			return fmt.Errorf("a stored statement cannot be read: %w", err)
		}
		if a := byHash[st.Content]; a != nil { // one that came after the documents were read belongs to the next reading
			a.Statements = append(a.Statements, st)
		}
	}
	return rows.Err()
}

// AgreementVersion implements [exchange.AgreementStore].
func (s *AgreementStore) AgreementVersion(ctx context.Context) (int64, error) {
	var n int64
	err := s.DB.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) FROM exchange_agreement_statement`).Scan(&n)
	return n, err
}
