package exchangestore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"truc/internal/exchange"
	"truc/internal/storage"
)

// errEnough ends a reading early.
var errEnough = errors.New("enough")

func damaged(err error, seq int64) error {
	if errors.Is(err, errDamaged) {
		return fmt.Errorf("%w: rows from %d", err, seq)
	}
	return err
}

// row returns a row by its number; ok is false when there is none.
func (s *Store) row(ctx context.Context, q storage.Reader, seq int64) (m exchange.Message, ok bool, err error) {
	ms, err := s.rows(ctx, q, nil, holds, seq)
	if err != nil || len(ms) == 0 || seq-ms[0].Seq >= int64(len(ms)) {
		return m, false, err
	}
	return ms[seq-ms[0].Seq], true, nil
}

// found returns the rows that a look-up of an id finds and keep wants, in the order of the numbers, up to limit.
func (s *Store) found(ctx context.Context, seqs []int64, limit int, keep func(*exchange.Message) bool) ([]exchange.Message, error) {
	var out, block []exchange.Message
	for _, seq := range seqs {
		if len(out) >= limit {
			break
		}
		if len(block) == 0 || seq < block[0].Seq || seq-block[0].Seq >= int64(len(block)) {
			var err error
			if block, err = s.rows(ctx, s.DB, block[:0], holds, seq); err != nil {
				return nil, err
			}
			if len(block) == 0 || seq-block[0].Seq >= int64(len(block)) {
				return nil, damaged(errDamaged, seq)
			}
		}
		if m := &block[seq-block[0].Seq]; keep(m) {
			out = append(out, *m)
		}
	}
	return out, nil
}

// ByExchange implements [exchange.Store].
func (s *Store) ByExchange(ctx context.Context, exchangeID string) ([]exchange.Message, error) {
	seqs, err := lookUp(ctx, s.DB, exchangeID)
	if err != nil {
		return nil, err
	}
	return s.found(ctx, seqs, 200, func(m *exchange.Message) bool { return m.ExchangeID == exchangeID })
}

// Recent implements [exchange.Store].
func (s *Store) Recent(ctx context.Context, f exchange.Filter) ([]exchange.Message, error) {
	if f.Limit <= 0 || f.Limit > 500 {
		f.Limit = 100
	}
	if f.Before <= 0 {
		f.Before = math.MaxInt64
	}
	if f.FaultID != "" {
		seqs, err := lookUp(ctx, s.DB, f.FaultID)
		if err != nil {
			return nil, err
		}
		slices.Reverse(seqs)
		return s.found(ctx, seqs, f.Limit, func(m *exchange.Message) bool { return m.Seq < f.Before && matches(&f, m) })
	}
	r := recent{s: s, f: f, before: f.Before}
	if f.Client != "" || f.Service != "" || f.Outcome != "" || f.Peer != "" {
		if err := r.findParties(ctx); err != nil {
			return nil, err
		}
		if r.parties != nil && len(r.parties) == 0 {
			return nil, nil
		}
	}
	return r.read(ctx)
}

func matches(f *exchange.Filter, m *exchange.Message) bool {
	return (f.Role == "" || m.Role == f.Role) && (f.Client == "" || m.Client == f.Client) && (f.Service == "" || m.Service == f.Service) &&
		(!f.Faults || m.Outcome != "ok") && (f.Outcome == "" || m.Outcome == f.Outcome) && (f.Peer == "" || m.Peer == f.Peer) &&
		(f.FaultID == "" || m.FaultID == f.FaultID) && (f.Since.IsZero() || storage.Micros(m.At) >= storage.Micros(f.Since))
}

// recent is a reading from the newest row back.
type recent struct {
	s      *Store
	f      exchange.Filter
	before int64 // rows from here on have been seen
	out    []exchange.Message
	ms     []exchange.Message // memory for a block

	// parties are those that the filter lets pass, when they are so few that it pays to leave out the hours in which
	// none of them exchanged anything; nil otherwise. hours are those in which one did, as far back as since.
	parties [][]byte
	hours   map[int64]bool
	since   int64
}

const (
	maxParties = 64
	// hourWindow is how many hours are asked for at a time.
	hourWindow = 1024
	// firstBlocks and moreBlocks are how many blocks are looked at first, and then at a time.
	firstBlocks, moreBlocks = 16, 2048
)

// findParties asks who the filter lets pass.
func (r *recent) findParties(ctx context.Context) error {
	var where []string
	var args []any
	add := func(cond, v string) {
		if v != "" {
			args = append(args, v)
			where = append(where, cond+strconv.Itoa(len(args)))
		}
	}
	add("role = $", r.f.Role)
	add("client = $", r.f.Client)
	add("service = $", r.f.Service)
	add("outcome = $", r.f.Outcome)
	add("peer = $", r.f.Peer)
	if r.f.Faults {
		add("outcome <> $", "ok")
	}
	args = append(args, int64(maxParties+1))
	ids, err := storage.All(ctx, r.s.DB, func(scan func(...any) error) (b []byte, err error) {
		err = scan(&b)
		return b, err
	}, `SELECT id FROM exchange_party WHERE `+strings.Join(where, " AND ")+` LIMIT $`+strconv.Itoa(len(args)), args...)
	if err == nil && len(ids) <= maxParties {
		r.parties, r.hours, r.since = append([][]byte{}, ids...), map[int64]bool{}, math.MaxInt64
	}
	return err
}

// active reports whether one of the parties exchanged something in an hour.
func (r *recent) active(ctx context.Context, hour int64) (bool, error) {
	for hour < r.since {
		from := hour - hourWindow + 1
		binds := make([]string, len(r.parties))
		args := []any{from, r.since}
		for i, id := range r.parties {
			args = append(args, id)
			binds[i] = "$" + strconv.Itoa(len(args))
		}
		hours, err := storage.All(ctx, r.s.DB, scanInt, `SELECT DISTINCT hour FROM exchange_hour WHERE hour >= $1 AND hour < $2 AND party IN (`+
			strings.Join(binds, ", ")+`)`, args...)
		if err != nil {
			return false, err
		}
		for _, h := range hours {
			r.hours[h] = true
		}
		r.since = from
	}
	return r.hours[hour], nil
}

// read goes through the blocks, the newest first. Blocks are put together meanwhile, which changes no row's number: a
// block is read by the number of a row that it holds now, and what was seen is known by the number of a row as well.
func (r *recent) read(ctx context.Context) ([]exchange.Message, error) {
	cond, args := `b.seq < $1`, []any{r.before}
	if r.f.Faults || r.f.Outcome != "" && r.f.Outcome != "ok" {
		cond += ` AND b.faults > 0`
	}
	if !r.f.Since.IsZero() {
		args = append(args, storage.Micros(r.f.Since))
		cond += ` AND b.at_max >= $2`
	}
	args = append(args, int64(firstBlocks))
	for at := r.before; ; {
		args[0] = at
		spans, err := storage.All(ctx, r.s.DB, scanSpan, `SELECT `+spanColumns+` FROM exchange_block b WHERE `+cond+` ORDER BY b.seq DESC LIMIT $`+strconv.Itoa(len(args)), args...)
		if err != nil || len(spans) == 0 {
			return r.out, err
		}
		args[len(args)-1] = int64(moreBlocks)
		for _, b := range spans {
			at = b.seq
			if wanted, err := r.wanted(ctx, &b); err != nil {
				return nil, err
			} else if !wanted {
				continue
			}
			if err := r.block(ctx, min(b.end(), r.before)-1); err != nil {
				return nil, err
			}
			if len(r.out) >= r.f.Limit {
				return r.out, nil
			}
		}
	}
}

// wanted reports whether a block may hold rows that are asked for and were not seen.
func (r *recent) wanted(ctx context.Context, b *span) (bool, error) {
	if b.seq >= r.before {
		return false, nil
	}
	if r.parties == nil {
		return true, nil
	}
	for h := hourOf(b.atMin); h <= hourOf(b.atMax); h++ {
		if ok, err := r.active(ctx, h); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// filterColumns are those that a filter asks about.
const filterColumns = 1<<colRole | 1<<colClient | 1<<colService | 1<<colPeer | 1<<colOutcome | 1<<colAt

// block takes what is asked for of the block that holds a row.
func (r *recent) block(ctx context.Context, seq int64) error {
	return r.s.eachBlock(ctx, r.s.DB, func(d *decoder, first, _ int64, data []byte) (err error) {
		take := func(m *exchange.Message) bool { return m.Seq < r.before && matches(&r.f, m) }
		if r.ms, err = d.block(r.ms[:0], first, data, filterColumns); err != nil {
			return err
		}
		if slices.ContainsFunc(r.ms, func(m exchange.Message) bool { return take(&m) }) {
			if r.ms, err = d.block(r.ms[:0], first, data, allColumns); err != nil {
				return err
			}
			for i := len(r.ms) - 1; i >= 0 && len(r.out) < r.f.Limit; i-- {
				if take(&r.ms[i]) {
					r.out = append(r.out, r.ms[i])
				}
			}
		}
		r.before = min(r.before, first)
		return nil
	}, holds, seq)
}

// finder looks for rows of before a restart. As a rule they are among the last, which are therefore read first when there
// is more than a few to be found.
type finder struct {
	w    *writer
	last map[entry]place
	top  int64 // the highest log index of any row
}

// entry names an exchange by its first entry in the log.
type entry struct {
	role, requestID string
	index           int64
}

// place is where a row is, and what tells whether it is whole.
type place struct{ seq, response, responseBody int64 }

// fewRows are looked up one by one; of more, the last blocks are read first.
const fewRows, lastBlocks = 32, 32

// findColumns are those that a row is known by.
const findColumns = 1<<colRole | 1<<colRequestID | 1<<colRequestIndex | 1<<colResponseIndex | 1<<colResponseBodyIndex

func (w *writer) newFinder(n int) (*finder, error) {
	top, err := storage.All(w.ctx, w.tx, scanInt, topQuery)
	if err != nil {
		return nil, err
	}
	f := &finder{w: w, last: map[entry]place{}, top: top[0]}
	if n <= fewRows {
		return f, nil
	}
	var ms []exchange.Message
	return f, w.s.eachBlock(w.ctx, w.tx, func(d *decoder, seq, _ int64, data []byte) (err error) {
		if ms, err = d.block(ms[:0], seq, data, findColumns); err != nil {
			return err
		}
		for _, m := range ms {
			if m.RequestIndex >= 0 {
				f.last[entry{m.Role, m.RequestID, m.RequestIndex}] = place{m.Seq, m.ResponseIndex, m.ResponseBodyIndex}
			}
		}
		return nil
	}, `b.seq >= (SELECT COALESCE(MIN(l.seq), 0) FROM (SELECT seq FROM exchange_block ORDER BY seq DESC LIMIT $1) l)`, int64(lastBlocks))
}

// find returns the row of the same exchange: at least its number, what it is known by and whether it is whole.
func (f *finder) find(m *exchange.Message) (old exchange.Message, ok bool, err error) {
	if p, ok := f.last[entry{m.Role, m.RequestID, m.RequestIndex}]; ok && m.RequestIndex >= 0 {
		old = exchange.Message{Seq: p.seq, Role: m.Role, RequestID: m.RequestID, RequestIndex: m.RequestIndex, ResponseIndex: p.response, ResponseBodyIndex: p.responseBody}
		return old, true, nil
	}
	if m.RequestIndex > f.top { // as when the index is made anew: no row knows any of its entries
		return old, false, nil
	}
	seqs, err := lookUp(f.w.ctx, f.w.tx, m.RequestID)
	if err != nil {
		return old, false, err
	}
	for _, seq := range seqs {
		old, ok, err := f.w.s.row(f.w.ctx, f.w.tx, seq)
		if err != nil || ok && same(&old, m) {
			return old, ok, err
		}
	}
	return old, false, nil
}
