package exchangestore

import (
	"context"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/storage"
)

// convertBatch is how many rows of the table of before are carried over in one transaction.
const convertBatch = 2048

const oldColumns = `seq, role, request_id, exchange_id, client, service, method, path, status, outcome, at, duration,
	request_index, response_index, request_body_index, response_body_index, request_size, response_size, activity, dossier,
	grant_hash, delegator, service_delegator, recorded, request_out, response_in, peer, trace_id, fault_id`

// Convert carries the rows of exchange_message over into blocks, where they keep their order and get new numbers. It goes
// on where it was interrupted, and has nothing to do once it is done. Call it before anything is recorded.
func (s *Store) Convert(ctx context.Context) (err error) {
	defer errs.Wrap(&err, "carry the exchange index over into blocks")
	s.writing.Lock()
	defer s.writing.Unlock()
	for {
		var n int
		err := s.DB.InTx(ctx, func(tx *storage.Tx) error {
			w := writer{ctx: ctx, tx: tx, s: s}
			if err := w.begin(); err != nil {
				return err
			}
			ms, err := storage.All(ctx, tx, scanOld, `SELECT `+oldColumns+` FROM exchange_message ORDER BY seq LIMIT $1`, int64(convertBatch))
			if n = len(ms); err != nil || n == 0 {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM exchange_message WHERE seq <= $1`, ms[n-1].Seq); err != nil {
				return err
			}
			return w.add(ms)
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

func scanOld(scan func(...any) error) (m exchange.Message, err error) {
	var status, at, duration, recorded, requestOut, responseIn int64
	err = scan(&m.Seq, &m.Role, &m.RequestID, &m.ExchangeID, &m.Client, &m.Service, &m.Method, &m.Path, &status, &m.Outcome, &at, &duration,
		&m.RequestIndex, &m.ResponseIndex, &m.RequestBodyIndex, &m.ResponseBodyIndex, &m.RequestSize, &m.ResponseSize, &m.Activity, &m.Dossier,
		&m.Grant, &m.Delegator, &m.ServiceDelegator, &recorded, &requestOut, &responseIn, &m.Peer, &m.TraceID, &m.FaultID)
	m.Status, m.At, m.Duration = int(status), storage.Time(at), time.Duration(duration)*time.Microsecond
	m.Recorded, m.RequestOut, m.ResponseIn = storage.Time(recorded), storage.Time(requestOut), storage.Time(responseIn)
	return m, err
}
