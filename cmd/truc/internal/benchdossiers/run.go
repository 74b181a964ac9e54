package benchdossiers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"truc/cmd/truc/internal/benchdossiers/benchstore"
	"truc/cmd/truc/internal/host"
	"truc/internal/outbox"
	"truc/internal/services"
)

// Run measures SQLite, and PostgreSQL when an address is given.
func Run(ctx context.Context, opt Options) (*Report, error) {
	if opt.N < 1 || opt.Workers < 1 || opt.Paper < 0 {
		return nil, errors.New("give at least one dossier and one worker")
	}
	r := &Report{
		Procedure: procedureCode, Dossiers: opt.N, Workers: opt.Workers, PaperBytes: opt.Paper,
		Machine: host.This(),
		Real: []string{
			"procedure bundle and rules", "desk and its store", "outbox and relay", "audit entries in the transparency log",
			"printed slips and result", "two signatures with time-stamps, verified",
		},
		NotReal: []string{
			"exchange, register and portal answer at once in this process", "no web pages", "keys of the development authority in files",
		},
	}
	e, err := measure(ctx, opt, "sqlite:"+filepath.Join(opt.Dir, "sqlite", "bench.db"), filepath.Join(opt.Dir, "sqlite"))
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	r.Engines = append(r.Engines, *e)
	if opt.DB == "" {
		return r, nil
	}
	dsn, drop, err := benchstore.Schema(ctx, opt.DB)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	e, err = measure(ctx, opt, dsn, filepath.Join(opt.Dir, "postgres"))
	if err = errors.Join(err, drop(context.WithoutCancel(ctx))); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	r.Engines = append(r.Engines, *e)
	return r, nil
}

func measure(ctx context.Context, opt Options, dsn, dir string) (e *Engine, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	n, err := newNode(ctx, opt, dsn, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.close(context.WithoutCancel(ctx))) }()
	e = &Engine{Engine: string(n.db.Engine())}
	if e.Durability, err = benchstore.Durability(ctx, n.db); err != nil {
		return nil, err
	}
	size, err := benchstore.Size(ctx, n.db)
	if err != nil {
		return nil, err
	}
	before, err := benchstore.Weigh(ctx, n.db)
	if err != nil {
		return nil, err
	}
	*n.tally = tally{}
	if err := n.run(ctx, opt, e); err != nil {
		return nil, err
	}
	if err := n.check(ctx, opt, e); err != nil {
		return nil, err
	}
	after, err := benchstore.Size(ctx, n.db)
	if err != nil {
		return nil, err
	}
	e.DatabaseBytesPerDossier = float64(after-size) / float64(opt.N)
	logged, err := host.FolderSize(n.logDir)
	if err != nil {
		return nil, err
	}
	e.LogBytesPerDossier = float64(logged) / float64(opt.N)
	tables, err := benchstore.Weigh(ctx, n.db)
	if err != nil {
		return nil, err
	}
	tables = growth(before, tables)
	e.Tables = stored(tables, opt.N)
	return e, n.baselines(ctx, opt, e, tables)
}

// run drives the dossiers with the relay beside them, as in a node, and waits for the outbox.
func (n *node) run(ctx context.Context, opt Options, e *Engine) error {
	runtime.GC()
	host.ResetPeak()
	cpu, start := host.CPUTime(), opt.Now()
	relayCtx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = n.relay.Run(relayCtx) }) // it returns nil when it is told to stop
	took, err := n.live(ctx, opt)
	e.ActionsSeconds = opt.Now().Sub(start).Seconds()
	if err == nil {
		err = n.drain(ctx)
	}
	total := opt.Now().Sub(start).Seconds()
	stop()
	wg.Wait()
	if err != nil {
		return err
	}
	e.DrainSeconds = total - e.ActionsSeconds
	e.DossiersPerSecond = float64(opt.N) / total
	e.CPUMsPerDossier = float64((host.CPUTime() - cpu).Microseconds()) / 1000 / float64(opt.N)
	e.PeakRSSBytes = host.PeakRSS()
	for _, s := range steps {
		e.Actions = append(e.Actions, action(s, took[s]))
	}
	per := func(v int64) float64 { return float64(v) / float64(opt.N) }
	e.Commits = Commits{Desk: per(n.tally.desk.Load()), Relay: per(n.tally.relay.Load()), Audit: per(n.tally.audit.Load()), Log: per(n.tally.log.Load())}
	return nil
}

// drain waits until the outbox has nothing left to do. It asks seldom, for asking costs what is measured.
func (n *node) drain(ctx context.Context) error {
	for {
		left, err := outbox.Look(ctx, n.db)
		if err != nil || left.Waiting == 0 {
			return err
		}
		n.relay.Wake()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// check makes sure that what was measured was work: every dossier has come to its end, its history is whole, its result
// is signed, and every message was performed.
func (n *node) check(ctx context.Context, opt Options, e *Engine) error {
	left, err := outbox.Look(ctx, n.db)
	if err != nil {
		return err
	}
	counted, err := n.desk.Store.Counters(ctx, services.Filter{Units: []string{unit}}, n.now())
	if err != nil {
		return err
	}
	e.Outbox = Outbox{
		Performed: n.tally.performed.Load(), PayloadBytes: n.tally.payload.Load(), Waiting: left.Waiting, Dead: left.Dead,
		Drained: left.Waiting == 0 && left.Dead == 0, Notices: n.exchange.notices.Load(),
	}
	if counted.ByState["returned"] != opt.N || !e.Outbox.Drained {
		return fmt.Errorf("%d of %d dossiers ended, %d messages wait, %d were put aside", counted.ByState["returned"], opt.N, left.Waiting, left.Dead)
	}
	s, err := n.desk.Store.Find(ctx, "F-bench-00000000")
	if err != nil {
		return err
	}
	if err := services.VerifyChain(s.Events); err != nil {
		return err
	}
	for _, ev := range s.Events {
		if ev.Data.Document == nil || ev.Data.Document.Kind != services.DocResult {
			continue
		}
		pdf, _, err := n.desk.Store.Blob(ctx, ev.Data.Document.SHA256)
		if err != nil {
			return err
		}
		reports, err := n.desk.Sign.Verify(ctx, pdf)
		if err == nil && len(reports) != 2 {
			err = fmt.Errorf("the result carries %d signatures", len(reports))
		}
		return err
	}
	return errors.New("a dossier ended without a result")
}

// baselines writes the same rows once more, as bare transactions: in as many as the dossiers took, and in one for each
// action, which is the least a system can do that answers for each action.
func (n *node) baselines(ctx context.Context, opt Options, e *Engine, tables []benchstore.Table) error {
	if err := benchstore.Prepare(ctx, n.db); err != nil {
		return err
	}
	var rows []int
	for _, t := range tables {
		for range int(math.Round(float64(t.Rows) / float64(opt.N))) {
			rows = append(rows, int(t.Bytes/t.Rows))
		}
	}
	if len(rows) == 0 {
		return errors.New("the dossiers left nothing in the database")
	}
	if p := e.Outbox.Performed; p > 0 { // what messages carried was written as well, and forgotten since
		for i := range min(int(p)/opt.N, len(rows)) {
			rows[i] += int(e.Outbox.PayloadBytes / p)
		}
	}
	content := randomBytes(slices.Max(rows) + 16)
	all := e.Commits.Desk + e.Commits.Relay + e.Commits.Audit
	for _, b := range []Baseline{
		{Name: "same rows in as many transactions", CommitsPerDossier: int(math.Round(all))},
		{Name: "same rows in one transaction for each action", CommitsPerDossier: len(steps)},
	} {
		b.RowsPerDossier = len(rows)
		for _, size := range rows {
			b.BytesPerDossier += size
		}
		start := opt.Now()
		if err := n.bare(ctx, opt, b.CommitsPerDossier, rows, content); err != nil {
			return err
		}
		b.DossiersPerSecond = float64(opt.N) / opt.Now().Sub(start).Seconds()
		b.Ratio = b.DossiersPerSecond / e.DossiersPerSecond
		e.Baselines = append(e.Baselines, b)
	}
	return nil
}

// bare commits, for each dossier, its rows spread evenly over a number of transactions.
func (n *node) bare(ctx context.Context, opt Options, commits int, rows []int, content []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan int)
	var wg sync.WaitGroup
	for range opt.Workers {
		wg.Go(func() {
			for i := range work {
				last := ""
				for c := range commits {
					part := rows[c*len(rows)/commits : (c+1)*len(rows)/commits]
					prefix := fmt.Sprintf("%04d-%08d-%04d", commits, i, c)
					if err := benchstore.Insert(ctx, n.db, prefix, last, part, content); err != nil {
						cancel(err)
						return
					}
					if len(part) > 0 {
						last = prefix + "-000"
					}
				}
			}
		})
	}
	for i := range opt.N {
		select {
		case work <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// growth is what the tables hold more than before. Tables whose rows only changed are left out.
func growth(before, after []benchstore.Table) (out []benchstore.Table) {
	old := map[string]benchstore.Table{}
	for _, t := range before {
		old[t.Name] = t
	}
	for _, t := range after {
		if t.Rows > old[t.Name].Rows {
			out = append(out, benchstore.Table{Name: t.Name, Rows: t.Rows - old[t.Name].Rows, Bytes: t.Bytes - old[t.Name].Bytes})
		}
	}
	return out
}

func action(name string, took []time.Duration) Action {
	slices.Sort(took)
	at := func(q float64) float64 {
		if len(took) == 0 {
			return 0
		}
		i := min(int(math.Ceil(q*float64(len(took))))-1, len(took)-1)
		return float64(took[max(i, 0)].Microseconds()) / 1000
	}
	return Action{Name: name, Count: len(took), P50: at(0.50), P99: at(0.99), Max: at(1)}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}
