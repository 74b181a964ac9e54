package exchange

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
)

// BufferBudget is the default of [Budget].
const BufferBudget = 32 << 20

// Budget bounds the bodies that a process holds in memory (spec D33). Who finds it spent is refused at once; nobody
// queues for it. A nil Budget bounds nothing.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget returns a budget of so many bytes; 0 is [BufferBudget].
func NewBudget(limit int64) *Budget {
	if limit <= 0 {
		limit = BufferBudget
	}
	return &Budget{limit: limit}
}

// Take reserves n bytes, or none and false.
func (b *Budget) Take(n int64) bool {
	if b == nil || n == 0 {
		return true
	}
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// Release gives back what was taken.
func (b *Budget) Release(n int64) {
	if b != nil {
		b.used.Add(-n)
	}
}

// Used is how many bytes are taken.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// ErrBudget is returned when the budget is spent.
var ErrBudget = errors.New("the memory for bodies is used up")

// maxTrusted is how much memory is taken on a sender's word, before the bytes are there.
const maxTrusted = 64 << 10

// Read reads a body of at most most bytes into memory of the budget; length is what was announced, -1 for nothing.
// taken must be given back by Release, also after an error. more is set when the body is longer: b is its beginning.
func (b *Budget) Read(r io.Reader, length, most int64) (body []byte, taken int64, more bool, err error) {
	step := maxTrusted + bytes.MinRead
	if length >= 0 && length < int64(step) {
		step = int(length) + bytes.MinRead
	}
	var buf bytes.Buffer
	for {
		if !b.Take(int64(step)) {
			return buf.Bytes(), taken, false, ErrBudget
		}
		taken += int64(step)
		buf.Grow(step)
		want := min(int64(step-bytes.MinRead)+1, most+1-int64(buf.Len())) // one more than announced shows the end
		n, err := buf.ReadFrom(io.LimitReader(r, want))
		switch {
		case err != nil:
			return buf.Bytes(), taken, false, err
		case int64(buf.Len()) > most:
			return buf.Bytes(), taken, true, nil
		case n < want:
			return buf.Bytes(), taken, false, nil
		}
		step = max(min(buf.Len(), 1<<20), bytes.MinRead*2)
	}
}
