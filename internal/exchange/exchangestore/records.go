package exchangestore

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"truc/internal/exchange"
	"truc/internal/storage"
)

// rows decodes the blocks that meet a condition on exchange_block b, in the order it says, and appends their rows.
func (s *Store) rows(ctx context.Context, q storage.Reader, ms []exchange.Message, cond string, args ...any) ([]exchange.Message, error) {
	err := s.eachBlock(ctx, q, func(d *decoder, seq, n int64, data []byte) (err error) {
		had := len(ms)
		ms, err = d.block(ms, seq, data, allColumns)
		if err == nil && int64(len(ms)-had) != n {
			err = errDamaged
		}
		return err
	}, cond, args...)
	return ms, err
}

// holds is the condition of the block that holds a row.
const holds = `b.seq = (SELECT MAX(l.seq) FROM exchange_block l WHERE l.seq <= $1)`

// eachBlock passes on blocks. It is one query, because blocks are put together meanwhile.
func (s *Store) eachBlock(ctx context.Context, q storage.Reader, f func(d *decoder, seq, n int64, data []byte) error, cond string, args ...any) error {
	rows, err := q.QueryContext(ctx, `SELECT b.seq, b.messages, d.data FROM exchange_block b JOIN exchange_block_data d ON d.seq = b.seq WHERE `+cond, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var d decoder
	var seq, n int64
	var data []byte
	for rows.Next() {
		if err := rows.Scan(&seq, &n, &data); err != nil {
			return err
		}
		if err := f(&d, seq, n, data); err != nil {
			return damaged(err, seq)
		}
	}
	return rows.Err()
}

// between passes on the wanted columns of the rows that arrived in a span of time, in no order.
func (s *Store) between(ctx context.Context, q storage.Reader, from, to int64, want columnSet, f func(*exchange.Message)) error {
	var ms []exchange.Message
	return s.eachBlock(ctx, q, func(d *decoder, seq, _ int64, data []byte) (err error) {
		if ms, err = d.block(ms[:0], seq, data, want|set(colAt)); err != nil {
			return err
		}
		for i := range ms {
			if at := storage.Micros(ms[i].At); at >= from && at < to {
				f(&ms[i])
			}
		}
		return nil
	}, `b.at_min >= $1 AND b.at_min < $2 AND b.at_max >= $3`, from-blockSpan, to, from)
}

// partBlocks is how many blocks begin in what is read and sorted at a time.
const partBlocks = 16

// clock is one of the times by which rows are read in order: its columns in exchange_block, and in a block.
type clock struct {
	least, most string
	col         int
}

func byArrival() clock { return clock{"at_min", "at_max", colAt} }
func byRecord() clock  { return clock{"recorded_min", "recorded_max", colRecorded} }

// partFilter says which rows of a span are meant: those that keep lets pass when it has seen the columns it needs.
type partFilter struct {
	clock
	from, end int64 // the end is not in it
	needs     columnSet
	keep      func(*exchange.Message) bool
}

// parts cuts a span of time where blocks begin and passes on the wanted columns of the rows that are meant, a part after
// the other. Each part is read by one query and no row is in two, so that it does not matter that blocks are put
// together meanwhile.
func (s *Store) parts(ctx context.Context, q partFilter, want columnSet, f func([]exchange.Message) error) error {
	needs := q.needs | set(q.col)
	var ms, kept []exchange.Message
	for from := q.from; from < q.end; {
		next, err := storage.All(ctx, s.DB, scanInt, `SELECT `+q.least+` FROM exchange_block WHERE `+q.least+` > $1 AND `+q.least+` < $2
			ORDER BY `+q.least+` LIMIT 1 OFFSET $3`, from, q.end, int64(partBlocks-1))
		if err != nil {
			return err
		}
		to := q.end
		if len(next) > 0 {
			to = next[0]
		}
		meant := func(m *exchange.Message) bool {
			at := number(m, q.col)
			return at >= from && at < to && q.keep(m)
		}
		kept = kept[:0]
		err = s.eachBlock(ctx, s.DB, func(d *decoder, seq, _ int64, data []byte) (err error) {
			if ms, err = d.block(ms[:0], seq, data, needs); err != nil {
				return err
			}
			if needs != needs|want && slices.ContainsFunc(ms, func(m exchange.Message) bool { return meant(&m) }) {
				if ms, err = d.block(ms[:0], seq, data, needs|want); err != nil {
					return err
				}
			}
			for i := range ms {
				if meant(&ms[i]) {
					kept = append(kept, ms[i])
				}
			}
			return nil
		}, `b.`+q.least+` >= $1 AND b.`+q.least+` < $2 AND b.`+q.most+` >= $3`, from-blockSpan, to, from)
		if err != nil {
			return err
		}
		if err := f(kept); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func recordFilter(q exchange.RecordSpan) partFilter {
	return partFilter{
		clock: byRecord(), from: storage.Micros(q.From), end: storage.Micros(q.To), needs: set(colClient, colService),
		keep: func(m *exchange.Message) bool {
			return q.Client == "" || m.Client == q.Client || strings.HasPrefix(m.Service, q.Client+"/")
		},
	}
}

func inRecordOrder(a, b exchange.Message) int {
	return cmp.Or(a.Recorded.Compare(b.Recorded), cmp.Compare(a.Seq, b.Seq))
}

// Records implements [exchange.Store].
func (s *Store) Records(ctx context.Context, q exchange.RecordSpan, f func(exchange.Message) error) error {
	return s.parts(ctx, recordFilter(q), allColumns, func(ms []exchange.Message) error {
		slices.SortFunc(ms, inRecordOrder)
		for _, m := range ms {
			if err := f(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// RecordAt implements [exchange.Store].
func (s *Store) RecordAt(ctx context.Context, q exchange.RecordSpan, n int) (at time.Time, ok bool, err error) {
	err = s.parts(ctx, recordFilter(q), 0, func(ms []exchange.Message) error {
		if n >= len(ms) {
			n -= len(ms)
			return nil
		}
		slices.SortFunc(ms, inRecordOrder)
		at, ok = ms[n].Recorded, true
		return errEnough
	})
	if ok {
		err = nil
	}
	return at, ok, err
}

// sumColumns are those that the sums of an hour are made of.
const sumColumns = 1<<colRole | 1<<colClient | 1<<colService | 1<<colPeer | 1<<colOutcome | 1<<colAt | 1<<colDuration

// sums returns what was exchanged since a time by who, with whom and how it ended: the hours that began since then from
// their sums, what is left of the hour before from the rows.
func (s *Store) sums(ctx context.Context, since time.Time) (map[party]*hourSum, error) {
	from := storage.Micros(since)
	full := hourOf(from + hourMicros - 1)
	out := map[party]*hourSum{}
	// The inner query has a limit, or SQLite reads the hours of all time in the order of the parties.
	rows, err := s.DB.QueryContext(ctx, `SELECT p.role, p.client, p.service, p.peer, p.outcome, h.n, h.d, h.last FROM (
		SELECT party, CAST(SUM(messages) AS BIGINT) AS n, CAST(SUM(duration) AS BIGINT) AS d, MAX(last_at) AS last FROM (
			SELECT party, messages, duration, last_at FROM exchange_hour WHERE hour >= $1 ORDER BY hour LIMIT $2) o GROUP BY party) h
		JOIN exchange_party p ON p.id = h.party`, full, int64(math.MaxInt64))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p party
		var h hourSum
		if err := rows.Scan(&p.role, &p.client, &p.service, &p.peer, &p.outcome, &h.messages, &h.duration, &h.last); err != nil {
			return nil, err
		}
		out[p] = &h
	}
	if err := rows.Err(); err != nil || full*hourMicros == from {
		return out, err
	}
	err = s.between(ctx, s.DB, from, full*hourMicros, sumColumns, func(m *exchange.Message) {
		at := storage.Micros(m.At)
		h := out[partyOf(m)]
		if h == nil {
			h = &hourSum{last: at}
			out[partyOf(m)] = h
		}
		h.add(at, m.Duration.Microseconds(), 1)
	})
	return out, err
}

// Stats implements [exchange.Store].
func (s *Store) Stats(ctx context.Context, since time.Time) ([]exchange.Count, error) {
	sums, err := s.sums(ctx, since)
	if err != nil {
		return nil, err
	}
	n := map[exchange.Count]int64{}
	for p, h := range sums {
		n[exchange.Count{Role: p.role, Service: p.service, Outcome: p.outcome}] += h.messages
	}
	var out []exchange.Count
	for c, n := range n {
		c.N = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b exchange.Count) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Outcome, b.Outcome))
	})
	return out, nil
}

// Partners implements [exchange.Store].
func (s *Store) Partners(ctx context.Context, since time.Time) ([]exchange.PartnerCount, error) {
	sums, err := s.sums(ctx, since)
	if err != nil {
		return nil, err
	}
	type partner struct {
		exchange.PartnerCount
		duration int64
	}
	by := map[string]*partner{}
	for p, h := range sums {
		if p.peer == "" {
			continue
		}
		c := by[p.peer]
		if c == nil {
			c = &partner{PartnerCount: exchange.PartnerCount{Peer: p.peer}}
			by[p.peer] = c
		}
		c.Total += h.messages
		last := &c.LastOK
		if p.outcome == "ok" {
			c.duration += h.duration
		} else {
			c.Faults += h.messages
			last = &c.LastFault
		}
		if at := storage.Time(h.last); at.After(*last) {
			*last = at
		}
	}
	var out []exchange.PartnerCount
	for _, c := range by {
		if n := c.Total - c.Faults; n > 0 {
			c.Mean = time.Duration(c.duration/n) * time.Microsecond
		}
		out = append(out, c.PartnerCount)
	}
	slices.SortFunc(out, func(a, b exchange.PartnerCount) int { return cmp.Compare(a.Peer, b.Peer) })
	return out, nil
}

// CallsSince implements [exchange.Store]. What a limit or a rule refused is not counted.
func (s *Store) CallsSince(ctx context.Context, since time.Time) ([]exchange.Calls, error) {
	sums, err := s.sums(ctx, since)
	if err != nil {
		return nil, err
	}
	n := map[exchange.Calls]int64{}
	for p, h := range sums {
		switch p.outcome {
		case "server.serverproxy.quota_exceeded", "server.serverproxy.access_denied", "server.serverproxy.circuit_open":
			continue
		}
		if p.role == exchange.RoleProvider {
			n[exchange.Calls{Client: p.client, Service: p.service}] += h.messages
		}
	}
	var out []exchange.Calls
	for c, n := range n {
		c.N = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b exchange.Calls) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Service, b.Service))
	})
	return out, nil
}

// Hourly implements [exchange.Store].
func (s *Store) Hourly(ctx context.Context, since time.Time) ([]exchange.HourCount, error) {
	from := storage.Micros(since)
	full := hourOf(from + hourMicros - 1)
	out, err := storage.All(ctx, s.DB, func(scan func(...any) error) (c exchange.HourCount, err error) {
		var hour int64
		err = scan(&hour, &c.Role, &c.Total, &c.Faults)
		c.Hour = storage.Time(hour * hourMicros)
		return c, err
	}, `SELECT h.hour, p.role, CAST(SUM(h.messages) AS BIGINT), CAST(SUM(CASE WHEN p.outcome = 'ok' THEN 0 ELSE h.messages END) AS BIGINT)
		FROM exchange_hour h JOIN exchange_party p ON p.id = h.party WHERE h.hour >= $1 GROUP BY h.hour, p.role`, full)
	if err != nil {
		return nil, err
	}
	part := map[string]*exchange.HourCount{} // what is left of the hour before, by role
	if full*hourMicros != from {
		err = s.between(ctx, s.DB, from, full*hourMicros, set(colRole, colOutcome), func(m *exchange.Message) {
			c := part[m.Role]
			if c == nil {
				c = &exchange.HourCount{Hour: storage.Time((full - 1) * hourMicros), Role: m.Role}
				part[m.Role] = c
			}
			c.Total++
			if m.Outcome != "ok" {
				c.Faults++
			}
		})
	}
	for _, c := range part {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b exchange.HourCount) int { return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Role, b.Role)) })
	return out, err
}

const topQuery = `SELECT COALESCE(MAX(log_max), -1) FROM exchange_block`

// Indexed implements [exchange.Store].
func (s *Store) Indexed(ctx context.Context) (int64, error) {
	top, err := storage.All(ctx, s.DB, scanInt, topQuery)
	if err != nil {
		return 0, err
	}
	return top[0] + 1, nil
}

// RequestIDs implements [exchange.Store].
func (s *Store) RequestIDs(ctx context.Context, since time.Time) ([]string, error) {
	var out []string
	err := s.between(ctx, s.DB, storage.Micros(since), math.MaxInt64, set(colRole, colRequestID), func(m *exchange.Message) {
		if m.Role == exchange.RoleProvider {
			out = append(out, m.RequestID)
		}
	})
	return out, err
}
