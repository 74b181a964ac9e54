package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Handler performs one message. Returning nil ends the message's life; an error brings it back later.
type Handler func(ctx context.Context, m Message) error

// Relay performs messages. It is safe to run one relay a process on one database; on PostgreSQL several processes
// may run, since a message is leased before it is performed.
type Relay struct {
	DB  Querier
	Now func() time.Time
	Log *slog.Logger
	// Handlers by topic. A message of a topic without a handler waits.
	Handlers map[string]Handler
	// MaxAttempts before a message is put aside; default 200 (about a week with the longest pause).
	MaxAttempts int
	// Longest pause between two attempts; default 1 hour.
	MaxPause time.Duration
	// Poll is the longest time between two looks at the table; default 1 s. [Relay.Wake] makes it look at once.
	Poll time.Duration
	// Owner names this process among those that share the database, the same after a restart. What a killed process
	// of this name had claimed is taken up again at once instead of when its lease ends. Default: no such claim.
	Owner string
	// Workers is the number of messages performed side by side; default 8.
	Workers int
	// PerLane is how many messages of one lane are performed side by side; default 4.
	PerLane int
	// Policies of topics that do not go by the fields above.
	Policies map[string]Policy

	once  sync.Once
	wake  chan struct{}
	lanes lanes
}

// Policy says how often a topic's messages are tried.
type Policy struct {
	// MaxAttempts before a message is put aside; 0 is [Relay.MaxAttempts], less than 0 is no limit.
	MaxAttempts int
	// FirstPause is the first pause, doubled with each attempt; default half a second.
	FirstPause time.Duration
	// Shown says that staff see dead messages of this topic elsewhere, so that the log warns of one and does not call it a
	// fault of this node.
	Shown bool
}

func (r *Relay) init() { r.once.Do(func() { r.wake = make(chan struct{}, 1) }) }

// Wake makes the relay look at the table now. It may be called from anywhere and never blocks.
func (r *Relay) Wake() {
	r.init()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run performs messages until ctx ends, and returns when the messages in work are finished. A worker that is free takes
// the next message while others are still busy, so that one slow peer does not hold up what goes elsewhere.
func (r *Relay) Run(ctx context.Context) error {
	r.init()
	if err := r.takeUp(ctx); err != nil {
		return err
	}
	poll := r.Poll
	if poll == 0 {
		poll = time.Second
	}
	var (
		workers = r.workers()
		results = make(chan result, workers)
		busy    int
	)
	for {
		busy -= r.collect(ctx, results)
		took := 0
		if busy < workers && ctx.Err() == nil {
			took = r.start(ctx, workers-busy, results)
			busy += took
		}
		if took > 0 && busy < workers {
			continue
		}
		done := ctx.Done()
		if busy > 0 && ctx.Err() != nil {
			done = nil // only the end of what is in work matters now
		}
		select {
		case res := <-results:
			results <- res // there is room: a worker has just left
		case <-done:
			if busy == 0 {
				return nil
			}
		case <-r.wake:
		case <-time.After(poll):
		}
		if busy == 0 && ctx.Err() != nil {
			return nil //nolint:nilerr // asked to end, and all that was in work has ended
		}
	}
}

func (r *Relay) workers() int {
	if r.Workers == 0 {
		return 8
	}
	return r.Workers
}

// result is a message that left its worker; ok says that its effect was performed.
type result struct {
	m  Message
	ok bool
}

// start claims up to n messages and gives each to a worker.
func (r *Relay) start(ctx context.Context, n int, results chan<- result) int {
	batch, err := r.claim(ctx, n)
	if err != nil && ctx.Err() == nil {
		r.Log.ErrorContext(ctx, "outbox cannot read its table", slog.Any("error", err))
	}
	for _, m := range batch {
		go func() {
			_, ok := r.perform(ctx, m)
			results <- result{m, ok}
		}()
	}
	return len(batch)
}

// collect records what has finished by now, in one statement, and returns how many workers are free again.
func (r *Relay) collect(ctx context.Context, results <-chan result) (free int) {
	var done []Message
	for {
		select {
		case res := <-results:
			free++
			if res.ok {
				done = append(done, res.m)
			}
			continue
		default:
		}
		r.finish(ctx, done)
		return free
	}
}

// takeUp makes due what an earlier life of this process had claimed and not finished.
func (r *Relay) takeUp(ctx context.Context) error {
	if r.Owner == "" {
		return nil
	}
	_, err := r.DB.ExecContext(ctx, `UPDATE outbox_message SET due_at = $1, owner = '' WHERE state = 'waiting' AND owner = $2`, r.Now().UnixMicro(), r.Owner)
	return err
}

// lease is how long a claimed message stays with its claimer; a process that dies gives it back after that.
const lease = 2 * time.Minute

// Once claims the messages that are due, performs them, and returns how many it performed well or put aside.
func (r *Relay) Once(ctx context.Context) (progressed int, err error) {
	workers := r.workers()
	batch, err := r.claim(ctx, workers*4)
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // guards progressed and done
		done []Message
		sem  = make(chan struct{}, workers)
	)
	for _, m := range batch {
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			aside, ok := r.perform(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			if aside {
				progressed++
			}
			if ok {
				done = append(done, m)
			}
		})
	}
	wg.Wait()
	return progressed + r.finish(ctx, done), nil
}

// claim leases the oldest unfinished message of each topic and key that is due. When what it finds is mostly of a lane
// that has no room, it looks again without that lane, so that a lane with a long tail of work hides nothing.
func (r *Relay) claim(ctx context.Context, limit int) ([]Message, error) {
	now := r.Now()
	var batch []Message
	var taken []Message
	defer func() { r.lanes.giveBack(taken, batch) }()
	for limit > len(taken) {
		found, err := r.due(ctx, now, limit-len(taken), taken)
		if err != nil {
			return nil, err
		}
		room := 0
		for _, m := range found {
			if r.Handlers[m.Topic] != nil && r.lanes.take(m.Lane, now, r.perLane()) {
				taken = append(taken, m)
				room++
			}
		}
		if room == len(found) || room == 0 {
			break
		}
	}
	leased, err := r.lease(ctx, taken, now)
	if err != nil {
		return nil, err
	}
	batch = leased
	return batch, nil
}

// due lists messages that may be performed now, but for those in lanes that have no room and those already found. Only
// the head of a key may go, which is what keeps the order: a message that waits for its next attempt holds back those
// behind it. That a waiting message is not done is said once more in the query because SQLite uses an index with a
// condition only where it finds the words of that condition; without them the work grows with the square of what waits.
func (r *Relay) due(ctx context.Context, now time.Time, limit int, but []Message) ([]Message, error) {
	args := []any{now.UnixMicro()}
	var cond strings.Builder
	if full := r.lanes.full(now, r.perLane()); len(full) > 0 {
		cond.WriteString(" AND lane NOT IN (")
		for i, lane := range full {
			if i > 0 {
				cond.WriteString(", ")
			}
			args = append(args, lane)
			fmt.Fprintf(&cond, "$%d", len(args))
		}
		cond.WriteString(")")
	}
	if len(but) > 0 {
		cond.WriteString(" AND seq NOT IN (" + marks(but, &args) + ")")
	}
	args = append(args, limit)
	rows, err := r.DB.QueryContext(ctx, `SELECT seq, id, topic, order_key, payload, attempts, added_at, lane FROM outbox_message m
		WHERE state = 'waiting' AND due_at <= $1`+cond.String()+`
		AND (order_key = '' OR NOT EXISTS (SELECT 1 FROM outbox_message b
			WHERE b.topic = m.topic AND b.order_key = m.order_key AND b.seq < m.seq AND (b.state = 'waiting' OR b.holds) AND b.state <> 'done'))
		ORDER BY due_at, seq LIMIT `+fmt.Sprintf("$%d", len(args)), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []Message
	for rows.Next() {
		var m Message
		var added int64
		if err := rows.Scan(&m.Seq, &m.ID, &m.Topic, &m.Key, &m.Payload, &m.Attempts, &added, &m.Lane); err != nil {
			return nil, err
		}
		m.AddedAt = time.UnixMicro(added).UTC()
		found = append(found, m)
	}
	return found, rows.Err()
}

func (r *Relay) perLane() int {
	if r.PerLane == 0 {
		return 4
	}
	return r.PerLane
}

// lease takes messages in one statement. When another process was quicker with some, the rest is told by the lease,
// which carries the name of the owner and the microsecond of its end.
func (r *Relay) lease(ctx context.Context, batch []Message, now time.Time) ([]Message, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	until := now.Add(lease).UnixMicro()
	args := []any{until, r.Owner, now.UnixMicro()}
	res, err := r.DB.ExecContext(ctx, `UPDATE outbox_message SET due_at = $1, attempts = attempts + 1, owner = $2
		WHERE state = 'waiting' AND due_at <= $3 AND seq IN (`+marks(batch, &args)+`)`, args...)
	if err != nil {
		return nil, err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return nil, err
	}
	taken := map[int64]bool{}
	if n != int64(len(batch)) {
		args = []any{until, r.Owner}
		rows, err := r.DB.QueryContext(ctx, `SELECT seq FROM outbox_message WHERE due_at = $1 AND owner = $2 AND seq IN (`+marks(batch, &args)+`)`, args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var seq int64
			if err := rows.Scan(&seq); err != nil {
				return nil, err
			}
			taken[seq] = true
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	mine := make([]Message, 0, len(batch))
	for _, m := range batch {
		if n == int64(len(batch)) || taken[m.Seq] {
			m.Attempts++
			mine = append(mine, m)
		}
	}
	return mine, nil
}

// marks writes a bind for the number of each message and adds the numbers to the arguments.
func marks(batch []Message, args *[]any) string {
	var b strings.Builder
	for i, m := range batch {
		*args = append(*args, m.Seq)
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", len(*args))
	}
	return b.String()
}

// finish records what was performed well, in one statement. A process that dies before it repeats the effects, which
// handlers must bear anyway.
func (r *Relay) finish(ctx context.Context, done []Message) int {
	if len(done) == 0 {
		return 0
	}
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	args := []any{[]byte{}}
	if _, err := r.DB.ExecContext(save, `UPDATE outbox_message SET state = 'done', payload = $1, last_error = '' WHERE seq IN (`+marks(done, &args)+`)`, args...); err != nil {
		r.Log.ErrorContext(ctx, "outbox cannot record success; the effects will be repeated", slog.Int("messages", len(done)), slog.Any("error", err))
		return 0
	}
	return len(done)
}

func (r *Relay) perform(ctx context.Context, m Message) (aside, done bool) {
	err := r.call(ctx, m)
	_, gone := errors.AsType[*away](err)
	rest := r.lanes.leave(m.Lane, gone, r.Now(), func(fails int) time.Duration { return min(r.pause(m.Topic, fails), longestRest) })
	// The outcome is recorded even when ctx has ended meanwhile, or the effect would be repeated for nothing.
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err == nil {
		return false, true
	}
	if _, dead := errors.AsType[*permanent](err); !gone && (dead || r.exhausted(m)) {
		level := slog.LevelError
		if r.Policies[m.Topic].Shown {
			level = slog.LevelWarn
		}
		r.Log.Log(ctx, level, "outbox put a message aside", slog.String("topic", m.Topic), slog.String("id", m.ID), slog.Int("attempts", m.Attempts), slog.Any("error", err))
		_, _ = r.DB.ExecContext(save, `UPDATE outbox_message SET state = 'dead', last_error = $1 WHERE seq = $2`, err.Error(), m.Seq)
		return true, false
	}
	if m.Attempts == 1 || m.Attempts%10 == 0 {
		r.Log.WarnContext(ctx, "outbox will try again", slog.String("topic", m.Topic), slog.String("id", m.ID), slog.Int("attempts", m.Attempts), slog.Any("error", err))
	}
	pause, attempts := r.pause(m.Topic, m.Attempts), m.Attempts
	if gone {
		pause, attempts = rest, m.Attempts-1
		if m.Lane == "" {
			pause = min(r.pause(m.Topic, m.Attempts), longestRest)
		}
	}
	_, _ = r.DB.ExecContext(save, `UPDATE outbox_message SET due_at = $1, last_error = $2, owner = '', attempts = $3 WHERE seq = $4`,
		r.Now().Add(pause).UnixMicro(), err.Error(), attempts, m.Seq)
	return false, false
}

func (r *Relay) exhausted(m Message) bool {
	limit := r.Policies[m.Topic].MaxAttempts
	if limit == 0 {
		limit = r.MaxAttempts
	}
	if limit == 0 {
		limit = 200
	}
	return limit > 0 && m.Attempts >= limit
}

func (r *Relay) call(ctx context.Context, m Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the handler panicked")
			r.Log.ErrorContext(ctx, "outbox handler panicked", slog.String("topic", m.Topic), slog.Any("panic", p))
		}
	}()
	return r.Handlers[m.Topic](ctx, m)
}

// pause grows from half a second, or what the topic's policy says, by a factor of two, with a jitter of a quarter.
func (r *Relay) pause(topic string, attempts int) time.Duration {
	longest := r.MaxPause
	if longest == 0 {
		longest = time.Hour
	}
	p := r.Policies[topic].FirstPause
	if p == 0 {
		p = 500 * time.Millisecond
	}
	p = min(p<<min(max(attempts-1, 0), 20), longest)
	return p*3/4 + time.Duration(rand.Int64N(int64(p)/2+1)) //nolint:gosec // jitter, not a secret
}
