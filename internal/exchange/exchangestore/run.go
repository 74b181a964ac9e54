package exchangestore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sort"

	"truc/internal/exchange"
	"truc/internal/storage"
)

// Rows are found by their ids through runs: a run is a sorted list of pairs of a hash and a row's number, kept in chunks
// of a few kilobytes. Each call of Record adds a run of level 0; eight runs of a level, which follow each other, are
// merged into one of the next level, a bounded number of pairs at a time, so that there are a few dozen runs however
// many rows there are. A run that is being merged is read until the transaction in which the merged one is whole.

const (
	runFan = 8
	// pairSize is that of a pair in a chunk: 40 bits of hash and 40 of the row's number, big-endian.
	pairSize = 10
	// chunkPairs bounds a chunk: what a look-up reads of a run.
	chunkPairs = 800
	// mergePairs is how many pairs a call merges at least. A call adds mergeFactor times what it has written, more than
	// there are levels, so that merging keeps up.
	mergePairs  = 8192
	mergeFactor = 10
	// dropChunks is how many chunks of runs that were merged a call removes at least.
	dropChunks = 32
)

// States of a run.
const (
	runLive     = 0 // is read
	runBuilding = 1 // is not whole yet
	runDead     = 2 // was merged, and is removed
)

// pair is where a row with an id of this hash is.
type pair struct{ hash, seq uint64 }

func (p pair) compare(o pair) int {
	return cmp.Or(cmp.Compare(p.hash, o.hash), cmp.Compare(p.seq, o.seq))
}

// hashOf is the first 40 bits of an id's SHA-256.
func hashOf(id string) uint64 {
	var buf [64]byte
	sum := sha256.Sum256(append(buf[:0], id...))
	return binary.BigEndian.Uint64(sum[:]) >> 24
}

func appendPair(b []byte, p pair) []byte {
	var hash, seq [8]byte
	binary.BigEndian.PutUint64(hash[:], p.hash)
	binary.BigEndian.PutUint64(seq[:], p.seq)
	return append(append(b, hash[3:]...), seq[3:]...)
}

func pairAt(b []byte) pair {
	return pair{
		uint64(b[0])<<32 | uint64(binary.BigEndian.Uint32(b[1:])),
		uint64(b[5])<<32 | uint64(binary.BigEndian.Uint32(b[6:])),
	}
}

// run is a row of exchange_run.
type run struct{ id, level, state, first, into int64 }

func scanRun(scan func(...any) error) (r run, err error) {
	err = scan(&r.id, &r.level, &r.state, &r.first, &r.into)
	return r, err
}

// run adds the run of rows that begin with first, and returns how many pairs it has.
func (w *writer) run(first int64, ms []exchange.Message) (int, error) {
	pairs := w.s.pairs[:0]
	for i := range ms {
		m := &ms[i]
		seq := uint64(first) + uint64(i) //nolint:gosec // counted from 1
		pairs = append(pairs, pair{hashOf(m.RequestID), seq}, pair{hashOf(m.ExchangeID), seq})
		if m.FaultID != "" {
			pairs = append(pairs, pair{hashOf(m.FaultID), seq})
		}
	}
	w.s.pairs = pairs
	slices.SortFunc(pairs, pair.compare)
	pairs = slices.Compact(pairs)
	r := run{id: w.nextRun, state: runLive, first: first}
	w.nextRun++
	if err := w.insertRun(r); err != nil {
		return 0, err
	}
	out := chunkWriter{w: w, run: r.id}
	for _, p := range pairs {
		if err := out.put(p); err != nil {
			return 0, err
		}
	}
	return len(pairs), out.flush()
}

func (w *writer) insertRun(r run) error {
	_, err := w.tx.ExecContext(w.ctx, `INSERT INTO exchange_run (id, level, state, first_seq, merged_into) VALUES ($1, $2, $3, $4, $5)`,
		r.id, r.level, r.state, r.first, r.into)
	return err
}

// merge does the part of this call in merging runs, about budget pairs, the low levels first: they are done soon, and
// what waits there would be many runs.
func (w *writer) merge(budget int) error {
	list, err := storage.All(w.ctx, w.tx, scanRun, `SELECT id, level, state, first_seq, merged_into FROM exchange_run ORDER BY level, first_seq`)
	if err != nil {
		return err
	}
	if err := w.bury(list, max(dropChunks, budget/chunkPairs)); err != nil {
		return err
	}
	for level := int64(0); len(list) > 0 && level <= list[len(list)-1].level && budget > 0; level++ {
		var inputs []run
		for _, r := range list {
			if r.level == level && r.state == runLive {
				inputs = append(inputs, r)
			}
		}
		if len(inputs) < runFan {
			continue
		}
		inputs = inputs[:runFan] // those that are being merged are the oldest
		if inputs[0].into == 0 {
			if err := w.startMerge(inputs); err != nil {
				return err
			}
		}
		if budget, err = w.continueMerge(inputs, budget); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) startMerge(inputs []run) error {
	into := run{id: w.nextRun, level: inputs[0].level + 1, state: runBuilding, first: inputs[0].first}
	w.nextRun++
	if err := w.insertRun(into); err != nil {
		return err
	}
	for i := range inputs {
		inputs[i].into = into.id
		if _, err := w.tx.ExecContext(w.ctx, `UPDATE exchange_run SET merged_into = $1 WHERE id = $2`, into.id, inputs[i].id); err != nil {
			return err
		}
	}
	return nil
}

// continueMerge goes on where the merged run ends, for at most budget pairs, and returns what is left of them.
func (w *writer) continueMerge(inputs []run, budget int) (int, error) {
	into := inputs[0].into
	after, some, err := w.lastPair(into)
	if err != nil {
		return 0, err
	}
	readers := make([]*chunkReader, 0, len(inputs))
	for _, r := range inputs {
		cr := &chunkReader{w: w, run: r.id}
		if err := cr.seek(after, some); err != nil {
			return 0, err
		}
		if cr.ok {
			readers = append(readers, cr)
		}
	}
	out := chunkWriter{w: w, run: into}
	// A chunk that is not full ends the merged run, or the next call would go on with small ones.
	for ; len(readers) > 0 && (budget > 0 || len(out.buf) > 0); budget-- {
		least := readers[0]
		for _, cr := range readers[1:] {
			if cr.head.compare(least.head) < 0 {
				least = cr
			}
		}
		if err := out.put(least.head); err != nil {
			return 0, err
		}
		if err := least.next(); err != nil {
			return 0, err
		}
		if !least.ok {
			readers = slices.DeleteFunc(readers, func(cr *chunkReader) bool { return cr == least })
		}
	}
	if err := out.flush(); err != nil || len(readers) > 0 {
		return budget, err
	}
	if _, err := w.tx.ExecContext(w.ctx, `UPDATE exchange_run SET state = $1 WHERE id = $2`, int64(runLive), into); err != nil {
		return 0, err
	}
	_, err = w.tx.ExecContext(w.ctx, `UPDATE exchange_run SET state = $1 WHERE merged_into = $2`, int64(runDead), into)
	return budget, err
}

// bury removes some chunks of runs that were merged, and the runs that have none left.
func (w *writer) bury(list []run, chunks int) error {
	for _, r := range list {
		if r.state != runDead || chunks <= 0 {
			continue
		}
		hashes, err := storage.All(w.ctx, w.tx, scanInt, `SELECT hash FROM exchange_chunk WHERE run = $1 ORDER BY hash, seq LIMIT $2`, r.id, int64(chunks))
		if err != nil {
			return err
		}
		if n := len(hashes); n > 0 {
			if _, err := w.tx.ExecContext(w.ctx, `DELETE FROM exchange_chunk WHERE run = $1 AND hash <= $2`, r.id, hashes[n-1]); err != nil {
				return err
			}
		}
		if len(hashes) < chunks {
			if _, err := w.tx.ExecContext(w.ctx, `DELETE FROM exchange_run WHERE id = $1`, r.id); err != nil {
				return err
			}
		}
		chunks -= len(hashes)
	}
	return nil
}

func scanInt(scan func(...any) error) (n int64, err error) {
	err = scan(&n)
	return n, err
}

func scanBytes(scan func(...any) error) (b []byte, err error) {
	err = scan(&b)
	if err == nil && (len(b) == 0 || len(b)%pairSize != 0) {
		err = errDamaged
	}
	return b, err
}

// lastPair returns the last pair of a run.
func (w *writer) lastPair(run int64) (p pair, some bool, err error) {
	last, err := storage.All(w.ctx, w.tx, scanBytes, `SELECT data FROM exchange_chunk WHERE run = $1 ORDER BY hash DESC, seq DESC LIMIT 1`, run)
	if err != nil || len(last) == 0 {
		return p, false, err
	}
	return pairAt(last[0][len(last[0])-pairSize:]), true, nil
}

// chunkWriter writes pairs that come in order.
type chunkWriter struct {
	w   *writer
	run int64
	buf []byte
}

func (c *chunkWriter) put(p pair) error {
	if c.buf == nil {
		c.buf = make([]byte, 0, chunkPairs*pairSize)
	}
	c.buf = appendPair(c.buf, p)
	if len(c.buf) < chunkPairs*pairSize {
		return nil
	}
	return c.flush()
}

func (c *chunkWriter) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	p := pairAt(c.buf)
	_, err := c.w.tx.ExecContext(c.w.ctx, `INSERT INTO exchange_chunk (run, hash, seq, data) VALUES ($1, $2, $3, $4)`,
		c.run, int64(p.hash), int64(p.seq), c.buf) //nolint:gosec // 40 bits
	c.buf = c.buf[:0]
	return err
}

// chunkReader reads the pairs of a run in order, a chunk at a time.
type chunkReader struct {
	w    *writer
	run  int64
	last pair // the first of the chunk that is being read
	rest []byte
	head pair
	ok   bool // there is a head
}

// seek goes to the first pair, or to the first one after another.
func (c *chunkReader) seek(after pair, some bool) error {
	query, args := `SELECT data FROM exchange_chunk WHERE run = $1 ORDER BY hash, seq LIMIT 1`, []any{c.run}
	if some {
		query = `SELECT data FROM exchange_chunk WHERE run = $1 AND (hash, seq) <= ($2, $3) ORDER BY hash DESC, seq DESC LIMIT 1`
		args = append(args, int64(after.hash), int64(after.seq)) //nolint:gosec // 40 bits
	}
	if err := c.load(query, args...); err != nil {
		return err
	}
	if len(c.rest) == 0 && some { // the run begins after it
		return c.seek(pair{}, false)
	}
	if err := c.next(); err != nil {
		return err
	}
	for some && c.ok && c.head.compare(after) <= 0 {
		if err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

func (c *chunkReader) load(query string, args ...any) error {
	chunks, err := storage.All(c.w.ctx, c.w.tx, scanBytes, query, args...)
	if err != nil || len(chunks) == 0 {
		return err
	}
	c.rest, c.last = chunks[0], pairAt(chunks[0])
	return nil
}

// next sets the head.
func (c *chunkReader) next() error {
	if len(c.rest) == 0 && c.ok {
		if err := c.load(`SELECT data FROM exchange_chunk WHERE run = $1 AND (hash, seq) > ($2, $3) ORDER BY hash, seq LIMIT 1`,
			c.run, int64(c.last.hash), int64(c.last.seq)); err != nil { //nolint:gosec // 40 bits
			return err
		}
	}
	if c.ok = len(c.rest) > 0; c.ok {
		c.head, c.rest = pairAt(c.rest), c.rest[pairSize:]
	}
	return nil
}

// maxFound bounds the rows a look-up returns: the oldest that may have an id.
const maxFound = 4096

// lookUp returns the numbers of rows one of whose ids may be this, in order. It is one query, because runs are merged
// meanwhile.
func lookUp(ctx context.Context, q storage.Reader, id string) ([]int64, error) {
	h := hashOf(id)
	// The last chunk that begins below the hash may end with it. CROSS JOIN has SQLite begin with the runs.
	rows, err := q.QueryContext(ctx, `SELECT r.first_seq, 0, (SELECT c.data FROM exchange_chunk c WHERE c.run = r.id AND c.hash < $2 ORDER BY c.hash DESC, c.seq DESC LIMIT 1)
			FROM exchange_run r WHERE r.state = $1
		UNION ALL SELECT r.first_seq, c.seq, c.data FROM exchange_run r CROSS JOIN exchange_chunk c WHERE r.state = $1 AND c.run = r.id AND c.hash = $2
		ORDER BY 1, 2`, int64(runLive), int64(h)) //nolint:gosec // 40 bits
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int64
	var data []byte
	for len(out) < maxFound && rows.Next() {
		var first, seq int64
		if err := rows.Scan(&first, &seq, &data); err != nil {
			return nil, err
		}
		n := len(data) / pairSize
		if len(data)%pairSize != 0 {
			return nil, errDamaged
		}
		for i := sort.Search(n, func(i int) bool { return pairAt(data[i*pairSize:]).hash >= h }); i < n; i++ {
			p := pairAt(data[i*pairSize:])
			if p.hash != h {
				break
			}
			out = append(out, int64(p.seq)) //nolint:gosec // 40 bits
		}
	}
	slices.Sort(out)
	return slices.Compact(out), rows.Err()
}
