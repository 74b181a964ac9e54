package benchexchange

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"truc/cmd/truc/internal/host"
	"truc/internal/exchange/exchangeapi"
)

// Run measures.
func Run(ctx context.Context, opt Options) (r *Report, err error) {
	if opt.Duration <= 0 || opt.Rounds < 1 || len(opt.Concurrency) == 0 || slices.Min(opt.Concurrency) < 1 || opt.Body < 2 {
		return nil, errors.New("give a duration, rounds, numbers of clients and a body of two bytes at least")
	}
	secret := rand.Text()
	c, err := found(ctx, opt, exchangeapi.HashKey(secret))
	if err != nil {
		return nil, err
	}
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, c.stop())
		}
	}()
	r = &Report{
		Machine: host.This(),
		Seconds: opt.Duration.Seconds(), Rounds: opt.Rounds, BodyBytes: opt.Body,
		Real: []string{
			"r1 edge with an API key", "signatures by both nodes, verified by both", "mutual TLS 1.3",
			"four log entries with fdatasync where the exchange waits for it", "index in SQLite, which waits for the disk",
		},
		NotReal: []string{"the directory is a list in memory", "the network is the loopback", "clients and back end share the processors"},
	}
	b := &bench{opt: opt, c: c, request: request(secret, opt.Body)}
	for _, n := range opt.Concurrency {
		l, err := b.level(ctx, n)
		if err != nil {
			return nil, err
		}
		r.Levels = append(r.Levels, *l)
	}
	if opt.Soak > 0 {
		if r.Soak, err = b.soak(ctx); err != nil {
			return nil, err
		}
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	stopped = true
	if err := c.stop(); err != nil {
		return nil, err
	}
	return r, b.stored(r)
}

// bench is a run that has begun.
type bench struct {
	opt     Options
	c       *country
	request []byte
	// sent and failed count what each pair was asked, measured or not.
	sent, failed [3]int
}

// The pairs, by position.
const (
	pairTruc = iota
	pairBare
	pairEach
)

func (b *bench) pairs() []chain { return []chain{b.c.truc, b.c.bare, b.c.each} }

// outcome is one turn of one pair with what it cost.
type outcome struct {
	turn
	consumer, provider reply // processor time is that of the turn
	backEnd, client    int64
}

func (o *outcome) perExchange(micros int64) float64 { return float64(micros) / float64(max(o.n, 1)) }

func (o *outcome) cpu() float64 { return o.perExchange(o.consumer.CPU + o.provider.CPU) }

// level lets both pairs run by turns. Who begins changes, so that neither always runs behind the other.
func (b *bench) level(ctx context.Context, n int) (*Level, error) {
	pairs := b.pairs()
	cs := make([][]*client, len(pairs))
	for i, p := range pairs {
		cs[i] = clients(p.consumer.addr, b.request, b.opt.Body, n)
		defer hangUp(cs[i])
		if _, err := b.take(ctx, i, cs[i], min(b.opt.Duration/10, time.Second)); err != nil { // connections, pools, pages
			return nil, err
		}
	}
	outs := make([][]outcome, len(pairs))
	for round := range b.opt.Rounds {
		for k := range pairs {
			i := (k + round) % len(pairs)
			o, err := b.take(ctx, i, cs[i], b.opt.Duration/time.Duration(b.opt.Rounds))
			if err != nil {
				return nil, err
			}
			outs[i] = append(outs[i], o)
		}
	}
	l := &Level{Concurrency: n, Ratio: ratioOf(outs[pairTruc], outs[pairBare]), Truc: pairOf(outs[pairTruc]), Bare: pairOf(outs[pairBare])}
	l.Each.Ratio, l.Each.Pair = ratioOf(outs[pairEach], outs[pairBare]), pairOf(outs[pairEach])
	return l, nil
}

func ratioOf(outs, bare []outcome) (r Ratio) {
	var ratios []float64
	for i := range outs {
		if base := bare[i].cpu(); base > 0 {
			ratios = append(ratios, outs[i].cpu()/base)
		}
	}
	if len(ratios) > 0 {
		r = Ratio{median(ratios), slices.Min(ratios), slices.Max(ratios)}
	}
	return r
}

// take is one turn of pair i.
func (b *bench) take(ctx context.Context, i int, cs []*client, d time.Duration) (o outcome, err error) {
	pair := b.pairs()[i]
	consumer, provider, err := pair.ask(askUsage)
	if err != nil {
		return o, err
	}
	backEnd, err := b.c.backEnd.ask(askUsage)
	if err != nil {
		return o, err
	}
	own := host.CPUTime().Microseconds()
	o.turn = drive(ctx, cs, d, b.opt.Now)
	o.client = host.CPUTime().Microseconds() - own
	if err := ctx.Err(); err != nil {
		return o, err
	}
	if o.consumer, o.provider, err = pair.ask(askUsage); err != nil {
		return o, err
	}
	after, err := b.c.backEnd.ask(askUsage)
	if err != nil {
		return o, err
	}
	o.consumer.CPU -= consumer.CPU
	o.provider.CPU -= provider.CPU
	o.backEnd = after.CPU - backEnd.CPU
	b.sent[i] += o.n
	b.failed[i] += o.errors
	return o, nil
}

func pairOf(outs []outcome) Pair {
	pick := func(f func(*outcome) float64) float64 {
		v := make([]float64, len(outs))
		for i := range outs {
			v[i] = f(&outs[i])
		}
		return median(v)
	}
	p := Pair{
		RequestsPerSecond: pick(func(o *outcome) float64 { return float64(o.n) / o.seconds }),
		P50:               pick(func(o *outcome) float64 { return o.p50 }),
		P99:               pick(func(o *outcome) float64 { return o.p99 }),
		CPU:               pick((*outcome).cpu),
		Consumer:          Process{CPU: pick(func(o *outcome) float64 { return o.perExchange(o.consumer.CPU) })},
		Provider:          Process{CPU: pick(func(o *outcome) float64 { return o.perExchange(o.provider.CPU) })},
		BackEndCPU:        pick(func(o *outcome) float64 { return o.perExchange(o.backEnd) }),
		ClientCPU:         pick(func(o *outcome) float64 { return o.perExchange(o.client) }),
	}
	for i := range outs {
		o := &outs[i]
		p.Exchanges += o.n
		p.Errors += o.errors
		if p.FirstError == "" {
			p.FirstError = o.first
		}
		p.Consumer.most(o.consumer)
		p.Provider.most(o.provider)
	}
	return p
}

func (p *Process) most(r reply) {
	p.RSSBytes, p.OpenFiles, p.Goroutines = max(p.RSSBytes, r.RSS), max(p.OpenFiles, r.Files), max(p.Goroutines, r.Goroutines)
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	n := len(v)
	if n == 0 {
		return 0
	}
	return (v[(n-1)/2] + v[n/2]) / 2
}

// check makes sure that what was measured was the work: two entries and one row of every exchange at each node.
func (b *bench) check() error {
	return errors.Join(b.checkPair(pairTruc), b.checkPair(pairEach))
}

func (b *bench) checkPair(i int) error {
	consumer, provider, err := b.pairs()[i].ask(askStored)
	if err != nil || b.failed[i] > 0 { // a request that failed may have left some of its traces
		return err
	}
	for _, n := range []struct {
		name string
		r    reply
	}{{roleConsumer, consumer}, {roleProvider, provider}} {
		if n.r.Entries != int64(2*b.sent[i]) || n.r.Rows != int64(b.sent[i]) {
			return fmt.Errorf("the %s has %d log entries and %d rows of %d exchanges", n.name, n.r.Entries, n.r.Rows, b.sent[i])
		}
	}
	return nil
}

// stored weighs what the consumer's node keeps, once it is closed.
func (b *bench) stored(r *Report) error {
	sent := float64(b.sent[pairTruc])
	if sent == 0 {
		return nil
	}
	dir := filepath.Join(b.opt.Dir, roleConsumer)
	log, err := host.FolderSize(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	all, err := host.FolderSize(dir)
	r.LogBytesPerExchange, r.IndexBytesPerExchange = float64(log)/sent, float64(all-log)/sent
	return err
}
