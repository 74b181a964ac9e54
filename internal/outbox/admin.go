package outbox

import (
	"context"
	"time"
)

// Backlog describes what has not been performed.
type Backlog struct {
	Waiting, Dead int64
	// Oldest is when the oldest waiting message was added; zero when nothing waits.
	Oldest time.Time
}

// Look counts what has not been performed, for pages and metrics.
func Look(ctx context.Context, db Querier) (b Backlog, err error) {
	rows, err := db.QueryContext(ctx, `SELECT state, COUNT(*), MIN(added_at) FROM outbox_message WHERE state <> 'done' GROUP BY state`)
	if err != nil {
		return b, err
	}
	defer rows.Close()
	for rows.Next() {
		var state string
		var n, oldest int64
		if err := rows.Scan(&state, &n, &oldest); err != nil {
			return b, err
		}
		switch state {
		case "waiting":
			b.Waiting, b.Oldest = n, time.UnixMicro(oldest).UTC()
		case "dead":
			b.Dead = n
		}
	}
	return b, rows.Err()
}

// Revive gives a message that was put aside another life.
func Revive(ctx context.Context, tx Querier, now time.Time, id string) error {
	_, err := tx.ExecContext(ctx, `UPDATE outbox_message SET state = 'waiting', attempts = 0, due_at = $1 WHERE id = $2 AND state = 'dead'`, now.UnixMicro(), id)
	return err
}

// Drop ends a message that was put aside without performing it, so that what it holds back goes on. Its payload is
// forgotten.
func Drop(ctx context.Context, tx Querier, id string) error {
	_, err := tx.ExecContext(ctx, `UPDATE outbox_message SET state = 'done', payload = $1 WHERE id = $2 AND state = 'dead'`, []byte{}, id)
	return err
}

// Prune forgets messages that were performed before the given time. Their ids stop protecting against a
// repeated [Add], so keep them longer than any caller retries.
func Prune(ctx context.Context, tx Querier, before time.Time) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM outbox_message WHERE state = 'done' AND added_at < $1`, before.UnixMicro())
	return err
}
