package axisstore

import (
	"context"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/storage"
)

const entryColumns = `seq, at, event, message, copy, kind, party, peer, from_code, to_code, document, sha256, size, note, prev_hash, hash`

func scanEntry(scan func(...any) error) (e axis.Entry, err error) {
	var event, party, peer string
	err = scan(&e.Seq, &e.At, &event, &e.DocID, &e.Copy, &e.Kind, &party, &peer, &e.From, &e.To, &e.Document, &e.SHA256, &e.Size, &e.Note, &e.PrevHash, &e.Hash)
	e.Event, e.Party, e.Peer = axis.Event(event), axis.Party(party), axis.Party(peer)
	return e, err
}

// Head implements [axis.Tx].
func (t *tx) Head(ctx context.Context) (seq int64, hash string, err error) {
	type head struct {
		seq  int64
		hash string
	}
	h, err := storage.One(ctx, t, func(scan func(...any) error) (h head, err error) { return h, scan(&h.seq, &h.hash) }, "axis.journal_broken",
		`SELECT t.seq, t.hash FROM axis_head t WHERE t.id = 1`+t.lock)
	return h.seq, h.hash, err
}

// AddEntries implements [axis.Tx].
func (t *tx) AddEntries(ctx context.Context, list []axis.Entry) error {
	if len(list) == 0 {
		return nil
	}
	err := t.execEach(ctx, `INSERT INTO axis_journal (`+entryColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`, func(yield func([]any) bool) {
		for _, e := range list {
			if !yield([]any{
				e.Seq, e.At, string(e.Event), e.DocID, e.Copy, e.Kind, string(e.Party), string(e.Peer), e.From, e.To, e.Document, e.SHA256, e.Size, e.Note, e.PrevHash, e.Hash,
			}) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	last := list[len(list)-1]
	_, err = t.ExecContext(ctx, `UPDATE axis_head SET seq = $1, hash = $2 WHERE id = 1`, last.Seq, last.Hash)
	return err
}

// Journal implements [axis.Store].
func (s *Store) Journal(ctx context.Context, q axis.JournalQuery) ([]axis.Entry, error) {
	var c conditions
	switch {
	case !q.Newest:
		c.add("seq > ?", q.After)
	case q.After > 0:
		c.add("seq < ?", q.After)
	}
	if q.Party != "" {
		c.add("(party = ? OR peer = ?)", string(q.Party), string(q.Party))
	}
	if q.DocID != "" {
		c.add("message = ?", q.DocID)
	}
	if q.Event != "" {
		c.add("event = ?", string(q.Event))
	}
	order := " ORDER BY seq LIMIT ?"
	if q.Newest {
		order = " ORDER BY seq DESC LIMIT ?"
	}
	c.text(order, q.Limit)
	return storage.All(ctx, s.DB, scanEntry, `SELECT `+entryColumns+` FROM axis_journal`+c.b.String(), c.args...)
}

// Alert implements [axis.Tx].
func (t *tx) Alert(ctx context.Context, a axis.Alert) error {
	_, err := t.ExecContext(ctx, `INSERT INTO axis_alert (kind, agency, subject, party, message, n, first_at, last_at) VALUES ($1, $2, $3, $4, $5, 1, $6, $7)
		ON CONFLICT (kind, agency, subject) DO UPDATE SET n = axis_alert.n + 1, last_at = excluded.last_at`,
		a.Kind, a.Agency, a.Subject, string(a.Party), a.DocID, storage.Micros(a.First), storage.Micros(a.Last))
	return err
}

// Alerts implements [axis.Store].
func (s *Store) Alerts(ctx context.Context, limit int) ([]axis.Alert, error) {
	return storage.All(ctx, s.DB, func(scan func(...any) error) (a axis.Alert, err error) {
		var party string
		var first, last int64
		err = scan(&a.Kind, &a.Agency, &a.Subject, &party, &a.DocID, &a.Count, &first, &last)
		a.Party, a.First, a.Last = axis.Party(party), storage.Time(first), storage.Time(last)
		return a, err
	}, `SELECT kind, agency, subject, party, message, n, first_at, last_at FROM axis_alert ORDER BY last_at DESC, kind, agency, subject LIMIT $1`, limit)
}

// Traffic implements [axis.Store].
func (s *Store) Traffic(ctx context.Context, since, until time.Time) ([]axis.AgencyTraffic, error) {
	byCode := map[string]*axis.AgencyTraffic{}
	at := func(code string) *axis.AgencyTraffic {
		if byCode[code] == nil {
			byCode[code] = &axis.AgencyTraffic{Code: code}
		}
		return byCode[code]
	}
	for _, q := range []struct {
		text string
		take func(t *axis.AgencyTraffic, kind string, n, receivers, size int64)
	}{
		{
			`SELECT from_code, kind, COUNT(*), CAST(SUM(receivers) AS BIGINT), CAST(SUM(size) AS BIGINT) FROM axis_message WHERE sent_at >= $1 AND sent_at < $2 GROUP BY from_code, kind`,
			func(t *axis.AgencyTraffic, kind string, n, receivers, size int64) {
				t.SentBytes += size
				if kind == axis.Document {
					t.SentDocuments, t.SentCopies = n, receivers
				} else {
					t.SentStatuses = n
				}
			},
		},
		{
			`SELECT to_code, kind, COUNT(*), 0, 0 FROM axis_copy WHERE sent_at >= $1 AND sent_at < $2 GROUP BY to_code, kind`,
			func(t *axis.AgencyTraffic, kind string, n, _, _ int64) {
				if kind == axis.Document {
					t.ReceivedDocuments = n
				} else {
					t.ReceivedStatuses = n
				}
			},
		},
		{
			`SELECT to_code, kind, COUNT(*), 0, 0 FROM axis_copy WHERE received_at <> 0 AND received_at >= $1 AND received_at < $2 AND kind = 'edoc' GROUP BY to_code, kind`,
			func(t *axis.AgencyTraffic, _ string, n, _, _ int64) { t.Delivered = n },
		},
		{
			`SELECT to_code, kind, COUNT(DISTINCT copy), 0, 0 FROM axis_journal WHERE event = 'refused' AND at >= $1 AND at < $2 GROUP BY to_code, kind`,
			func(t *axis.AgencyTraffic, _ string, n, _, _ int64) { t.Refused = n },
		},
	} {
		_, err := storage.All(ctx, s.DB, func(scan func(...any) error) (struct{}, error) {
			var code, kind string
			var n, receivers, size int64
			err := scan(&code, &kind, &n, &receivers, &size)
			if err == nil {
				q.take(at(code), kind, n, receivers, size)
			}
			return struct{}{}, err
		}, q.text, storage.Micros(since), storage.Micros(until))
		if err != nil {
			return nil, err
		}
	}
	out := make([]axis.AgencyTraffic, 0, len(byCode))
	for _, t := range byCode {
		out = append(out, *t)
	}
	return out, nil
}

// silentFor is how far back documents count of which a desk said nothing: systems exist that never send a status.
const silentFor = 30 * 24 * time.Hour

// Waiting implements [axis.Store].
func (s *Store) Waiting(ctx context.Context, now time.Time) ([]axis.AgencyWaiting, error) {
	type key struct{ code, party string }
	found := map[key]*axis.AgencyWaiting{}
	var order []key
	at := func(code, party string) *axis.AgencyWaiting {
		k := key{code, party}
		if found[k] == nil {
			found[k] = &axis.AgencyWaiting{Code: code, Party: axis.Party(party)}
			order = append(order, k)
		}
		return found[k]
	}
	_, err := storage.All(ctx, s.DB, func(scan func(...any) error) (struct{}, error) {
		var code, party string
		var n, urgent, late, failed, oldest int64
		err := scan(&code, &party, &n, &urgent, &late, &failed, &oldest)
		w := at(code, party)
		w.Waiting, w.Urgent, w.Late, w.Failed, w.Oldest = n, urgent, late, failed, storage.Time(oldest)
		return struct{}{}, err
	}, `SELECT to_code, party, COUNT(*), COUNT(*) FILTER (WHERE priority > 0), COUNT(*) FILTER (WHERE due_at <= $1), COUNT(*) FILTER (WHERE state = 'fail'), MIN(sent_at)
		FROM axis_copy WHERE kind = 'edoc' AND state <> 'done' GROUP BY to_code, party ORDER BY to_code, party`, storage.Micros(now))
	if err != nil {
		return nil, err
	}
	_, err = storage.All(ctx, s.DB, func(scan func(...any) error) (struct{}, error) {
		var code, party string
		var n int64
		err := scan(&code, &party, &n)
		at(code, party).Silent = n
		return struct{}{}, err
	}, `SELECT to_code, party, COUNT(*) FROM axis_copy WHERE business < '02' AND due_at <= $1 AND due_at > $2 AND kind = 'edoc' AND state = 'done'
		GROUP BY to_code, party ORDER BY to_code, party`, storage.Micros(now), storage.Micros(now.Add(-silentFor)))
	out := make([]axis.AgencyWaiting, len(order))
	for i, k := range order {
		out[i] = *found[k]
	}
	return out, err
}

// Late implements [axis.Store].
func (s *Store) Late(ctx context.Context, q axis.LateQuery) ([]axis.Copy, error) {
	var c conditions
	c.add("t.business < '02' AND t.due_at <= ? AND t.kind = 'edoc' AND (t.state <> 'done' OR t.due_at > ?)", storage.Micros(q.Now), storage.Micros(q.Now.Add(-silentFor)))
	if q.To != "" {
		c.add("t.to_code = ?", q.To)
	}
	c.text(" ORDER BY t.priority DESC, t.sent_at, t.seq LIMIT ?", q.Limit)
	return storage.All(ctx, s.DB, scanCopy, `SELECT `+copyColumns+copyFrom+c.b.String(), c.args...)
}
