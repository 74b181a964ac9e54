package exchangestore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/storage"
)

// The index is written in blocks (docs/adr/0027-index-in-blocks.md). Each call of Record adds, in one transaction, a block
// of rows, a run of their ids' hashes and the sums of their hours, and does a bounded part of the merging that keeps
// blocks and runs few. Writers take turns by the row of exchange_counter, also those of several processes.

const (
	hourMicros = int64(time.Hour / time.Microsecond)
	// blockSpan bounds how far apart the times in a block are, so that a span of time is found by where blocks begin.
	blockSpan = hourMicros
	// blockFan small blocks become one. A block is small, and then medium, below these numbers of rows.
	blockFan    = 8
	smallBlock  = 8
	mediumBlock = 64
)

// span is what a block says of its rows without being opened.
type span struct {
	seq, messages, faults                  int64
	atMin, atMax, recordedMin, recordedMax int64
	logMax                                 int64
}

func (b *span) end() int64 { return b.seq + b.messages }

const spanColumns = `b.seq, b.messages, b.faults, b.at_min, b.at_max, b.recorded_min, b.recorded_max, b.log_max`

func scanSpan(scan func(...any) error) (b span, err error) {
	err = scan(&b.seq, &b.messages, &b.faults, &b.atMin, &b.atMax, &b.recordedMin, &b.recordedMax, &b.logMax)
	return b, err
}

// add takes one more row in, or says that the block would become too long or too wide.
func (b *span) add(m *exchange.Message) bool {
	at, recorded := storage.Micros(m.At), storage.Micros(m.Recorded)
	wider := span{
		atMin: at, atMax: at, recordedMin: recorded, recordedMax: recorded, messages: 1,
		logMax: max(m.RequestIndex, m.ResponseIndex, m.RequestBodyIndex, m.ResponseBodyIndex),
	}
	if m.Outcome != "ok" {
		wider.faults = 1
	}
	return b.join(wider)
}

// join takes the block that follows in.
func (b *span) join(o span) bool {
	if b.messages == 0 {
		o.seq = b.seq
		*b = o
		return true
	}
	u := span{
		seq: b.seq, messages: b.messages + o.messages, faults: b.faults + o.faults, logMax: max(b.logMax, o.logMax), atMin: min(b.atMin, o.atMin),
		atMax: max(b.atMax, o.atMax), recordedMin: min(b.recordedMin, o.recordedMin), recordedMax: max(b.recordedMax, o.recordedMax),
	}
	// Times so far apart that their difference overflows are too far apart as well.
	if u.messages > maxBlock || uint64(u.atMax-u.atMin) > uint64(blockSpan) || uint64(u.recordedMax-u.recordedMin) > uint64(blockSpan) { //nolint:gosec // not negative
		return false
	}
	*b = u
	return true
}

// tier groups blocks by size; those of the last are not merged any more.
func (b *span) tier() int {
	switch {
	case b.messages < smallBlock:
		return 0
	case b.messages < mediumBlock:
		return 1
	}
	return 2
}

// Record implements [exchange.Store].
func (s *Store) Record(ctx context.Context, ms []exchange.Message) (err error) {
	defer errs.Wrap(&err, "index %d messages", len(ms))
	if len(ms) == 0 {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.DB.InTx(ctx, func(tx *storage.Tx) error {
		w := writer{ctx: ctx, tx: tx, s: s}
		if err := w.begin(); err != nil {
			return err
		}
		return w.add(ms)
	})
}

// restoreBatch is how many rows of before a restart are looked up and written in one transaction.
const restoreBatch = 2048

// Restore implements [exchange.Store].
func (s *Store) Restore(ctx context.Context, ms []exchange.Message) (err error) {
	defer errs.Wrap(&err, "restore %d messages of the index", len(ms))
	s.writing.Lock()
	defer s.writing.Unlock()
	for part := range slices.Chunk(ms, restoreBatch) {
		err := s.DB.InTx(ctx, func(tx *storage.Tx) error {
			w := writer{ctx: ctx, tx: tx, s: s}
			if err := w.begin(); err != nil {
				return err
			}
			return w.restore(part)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// writer is one transaction that changes the index.
type writer struct {
	ctx context.Context //nolint:containedctx // a writer lives as long as the call
	tx  *storage.Tx
	s   *Store

	nextSeq, nextRun int64
	hours            map[hourKey]*hourSum
	lastKey          hourKey
	lastSum          *hourSum // of lastKey, when there is one
}

// begin waits for its turn.
func (w *writer) begin() error {
	return w.tx.QueryRowContext(w.ctx, `UPDATE exchange_counter SET next_seq = next_seq WHERE id = 1 RETURNING next_seq, next_run`).Scan(&w.nextSeq, &w.nextRun)
}

// add writes rows that are not in the index.
func (w *writer) add(ms []exchange.Message) error {
	first := w.nextSeq
	w.nextSeq += int64(len(ms))
	last, err := w.blocks(first, ms)
	if err != nil {
		return err
	}
	if last.tier() < 2 {
		if err := w.gather(); err != nil {
			return err
		}
	}
	for i := range ms {
		w.count(&ms[i], 1)
	}
	if err := w.writeHours(); err != nil {
		return err
	}
	pairs, err := w.run(first, ms)
	if err != nil {
		return err
	}
	if err := w.merge(max(mergePairs, mergeFactor*pairs)); err != nil {
		return err
	}
	return w.end()
}

// end says what is handed out next.
func (w *writer) end() error {
	_, err := w.tx.ExecContext(w.ctx, `UPDATE exchange_counter SET next_seq = $1, next_run = $2 WHERE id = 1`, w.nextSeq, w.nextRun)
	return err
}

// blocks writes rows as the blocks that begin with row seq, and returns the last.
func (w *writer) blocks(seq int64, ms []exchange.Message) (span, error) {
	b := span{seq: seq}
	from := 0
	for i := range ms {
		if b.add(&ms[i]) {
			continue
		}
		if err := w.block(b, ms[from:i]); err != nil {
			return b, err
		}
		b, from = span{seq: b.end()}, i
		b.add(&ms[i])
	}
	return b, w.block(b, ms[from:])
}

func (w *writer) block(b span, ms []exchange.Message) error {
	if _, err := w.tx.ExecContext(w.ctx, `INSERT INTO exchange_block (seq, messages, faults, at_min, at_max, recorded_min, recorded_max, log_max)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, b.seq, b.messages, b.faults, b.atMin, b.atMax, b.recordedMin, b.recordedMax, b.logMax); err != nil {
		return err
	}
	_, err := w.tx.ExecContext(w.ctx, `INSERT INTO exchange_block_data (seq, data) VALUES ($1, $2)`, b.seq, w.s.enc.block(ms))
	return err
}

// drop removes blocks that are written anew.
func (w *writer) drop(from, end int64) error {
	if _, err := w.tx.ExecContext(w.ctx, `DELETE FROM exchange_block WHERE seq >= $1 AND seq < $2`, from, end); err != nil {
		return err
	}
	_, err := w.tx.ExecContext(w.ctx, `DELETE FROM exchange_block_data WHERE seq >= $1 AND seq < $2`, from, end)
	return err
}

// gather makes the last blocks into one when they are of one tier and fit: a quiet node would otherwise have a block for
// each message.
func (w *writer) gather() error {
	for {
		last, err := storage.All(w.ctx, w.tx, scanSpan, `SELECT `+spanColumns+` FROM exchange_block b ORDER BY b.seq DESC LIMIT $1`, int64(blockFan))
		if err != nil || len(last) < blockFan {
			return err
		}
		slices.Reverse(last)
		u := span{seq: last[0].seq}
		for _, b := range last {
			if b.tier() == 2 || b.tier() != last[0].tier() || !u.join(b) {
				return nil
			}
		}
		rows, err := w.s.rows(w.ctx, w.tx, nil, `b.seq >= $1 ORDER BY b.seq`, u.seq)
		if err != nil {
			return err
		}
		if err := w.drop(u.seq, u.end()); err != nil {
			return err
		}
		if err := w.block(u, rows); err != nil {
			return err
		}
	}
}

// hourKey and hourSum are a row of exchange_hour: the messages of an hour that are alike.
type hourKey struct {
	hour  int64
	party party
}

type party struct{ role, client, service, peer, outcome string }

func partyOf(m *exchange.Message) party {
	return party{m.Role, m.Client, m.Service, m.Peer, m.Outcome}
}

// id is the same in every process, so that none has to ask for it.
func (p party) id() []byte {
	h := sha256.New()
	for _, s := range []string{p.role, p.client, p.service, p.peer, p.outcome} {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	return h.Sum(nil)[:16]
}

type hourSum struct{ messages, duration, last int64 }

func (h *hourSum) add(at, duration, n int64) {
	h.messages += n
	h.duration += n * duration
	h.last = max(h.last, at)
}

// hourOf numbers hours since 1970, also those before.
func hourOf(at int64) int64 {
	h := at / hourMicros
	if at%hourMicros < 0 {
		h--
	}
	return h
}

// count adds a row to its hour n times.
func (w *writer) count(m *exchange.Message, n int64) {
	at := storage.Micros(m.At)
	k := hourKey{hourOf(at), partyOf(m)}
	if w.lastSum != nil && k == w.lastKey { // as a rule the next message is like the one before
		w.lastSum.add(at, m.Duration.Microseconds(), n)
		return
	}
	h := w.hours[k]
	if h == nil {
		if w.hours == nil {
			w.hours = map[hourKey]*hourSum{}
		}
		h = &hourSum{last: at}
		w.hours[k] = h
	}
	h.add(at, m.Duration.Microseconds(), n)
	w.lastKey, w.lastSum = k, h
}

const maxKnownParties = 4096

func (w *writer) writeHours() error {
	var fresh []party
	for k, h := range w.hours {
		id := k.party.id()
		if !w.s.known[k.party] {
			if _, err := w.tx.ExecContext(w.ctx, `INSERT INTO exchange_party (id, role, client, service, peer, outcome) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (id) DO NOTHING`, id, k.party.role, k.party.client, k.party.service, k.party.peer, k.party.outcome); err != nil {
				return err
			}
			fresh = append(fresh, k.party)
		}
		if _, err := w.tx.ExecContext(w.ctx, `INSERT INTO exchange_hour (hour, party, messages, duration, last_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (hour, party) DO UPDATE SET messages = exchange_hour.messages + excluded.messages, duration = exchange_hour.duration + excluded.duration,
			last_at = CASE WHEN exchange_hour.last_at < excluded.last_at THEN excluded.last_at ELSE exchange_hour.last_at END`,
			k.hour, id, h.messages, h.duration, h.last); err != nil {
			return err
		}
	}
	w.hours, w.lastSum = nil, nil
	w.tx.AfterCommit(func() { // s.writing is held
		if w.s.known == nil || len(w.s.known) > maxKnownParties {
			w.s.known = map[party]bool{}
		}
		for _, p := range fresh {
			w.s.known[p] = true
		}
	})
	return nil
}

// same reports whether two rows are of one exchange: of one role and request id, and of one entry in the log unless one of
// them was made from what came after it.
func same(a, b *exchange.Message) bool {
	return a.Role == b.Role && a.RequestID == b.RequestID && (a.RequestIndex == b.RequestIndex || a.RequestIndex < 0 || b.RequestIndex < 0)
}

// complete adds to a row what another of the same exchange knows beyond it; ok is false when that is nothing. A row is
// never emptied: what the other does not know stays.
func complete(old, m exchange.Message) (_ exchange.Message, ok bool) {
	if old.RequestIndex < 0 && m.RequestIndex >= 0 {
		seq, rest := old.Seq, old
		old, m = m, rest
		old.Seq, ok = seq, true
	}
	if m.RequestBodyIndex > old.RequestBodyIndex {
		old.RequestBodyIndex, old.RequestSize, ok = m.RequestBodyIndex, m.RequestSize, true
	}
	later := max(m.ResponseIndex, m.ResponseBodyIndex) > max(old.ResponseIndex, old.ResponseBodyIndex)
	if m.ResponseIndex > old.ResponseIndex {
		old.ResponseIndex, old.Status, ok = m.ResponseIndex, m.Status, true
	}
	if m.ResponseBodyIndex > old.ResponseBodyIndex {
		old.ResponseBodyIndex, ok = m.ResponseBodyIndex, true
	}
	if later {
		old.Outcome, old.Recorded, old.ResponseSize, old.Duration = m.Outcome, m.Recorded, m.ResponseSize, m.Duration
		if m.RequestIndex < 0 { // it does not know when the exchange began
			old.Duration = m.Recorded.Sub(old.At)
		}
	}
	return old, ok
}

// restore writes rows that were made from the log and may be in the index.
func (w *writer) restore(ms []exchange.Message) error {
	var fresh []exchange.Message
	inFresh := map[[2]string][]int{}
	changed := map[int64]exchange.Message{}
	f, err := w.newFinder(len(ms))
	if err != nil {
		return err
	}
next:
	for _, m := range ms {
		k := [2]string{m.Role, m.RequestID}
		for _, i := range inFresh[k] {
			if same(&fresh[i], &m) {
				fresh[i], _ = complete(fresh[i], m)
				continue next
			}
		}
		old, ok, err := f.find(&m)
		if err != nil {
			return err
		}
		if !ok {
			inFresh[k] = append(inFresh[k], len(fresh))
			fresh = append(fresh, m)
			continue
		}
		if _, ok := complete(old, m); !ok {
			continue // as a rule
		}
		whole, ok := changed[old.Seq]
		if !ok {
			if whole, ok, err = w.s.row(w.ctx, w.tx, old.Seq); err != nil || !ok {
				return cmp.Or(err, damaged(errDamaged, old.Seq))
			}
		}
		if c, ok := complete(whole, m); ok {
			changed[old.Seq] = c
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(changed)) {
		if err := w.replace(changed[seq]); err != nil {
			return err
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return w.add(fresh)
}

// replace writes the block of a row anew, and its sums.
func (w *writer) replace(m exchange.Message) error {
	rows, err := w.s.rows(w.ctx, w.tx, nil, holds, m.Seq)
	if err != nil {
		return err
	}
	if len(rows) == 0 || m.Seq-rows[0].Seq >= int64(len(rows)) {
		return fmt.Errorf("row %d is in no block", m.Seq)
	}
	old := rows[m.Seq-rows[0].Seq]
	rows[m.Seq-rows[0].Seq] = m
	if err := w.drop(rows[0].Seq, rows[0].Seq+int64(len(rows))); err != nil {
		return err
	}
	if _, err := w.blocks(rows[0].Seq, rows); err != nil {
		return err
	}
	w.count(&old, -1)
	w.count(&m, 1)
	if err := w.writeHours(); err != nil {
		return err
	}
	if partyOf(&old) == partyOf(&m) && old.At.Equal(m.At) {
		return nil
	}
	return w.recount(&old)
}

// recount puts right when the last message like a row was, after that row was taken out of the sums.
func (w *writer) recount(m *exchange.Message) error {
	k := hourKey{hourOf(storage.Micros(m.At)), partyOf(m)}
	var last int64
	some := false
	err := w.s.between(w.ctx, w.tx, k.hour*hourMicros, (k.hour+1)*hourMicros, sumColumns, func(o *exchange.Message) {
		if at := storage.Micros(o.At); partyOf(o) == k.party && (!some || at > last) {
			last, some = at, true
		}
	})
	if err != nil {
		return err
	}
	if !some {
		_, err = w.tx.ExecContext(w.ctx, `DELETE FROM exchange_hour WHERE hour = $1 AND party = $2`, k.hour, k.party.id())
		return err
	}
	_, err = w.tx.ExecContext(w.ctx, `UPDATE exchange_hour SET last_at = $1 WHERE hour = $2 AND party = $3`, last, k.hour, k.party.id())
	return err
}
