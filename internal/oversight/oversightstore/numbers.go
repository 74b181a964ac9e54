package oversightstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"truc/internal/errs"
	"truc/internal/oversight"
	"truc/internal/storage"
)

// condition is what a number counts: rows of its source for which where() holds. Both the number and the list behind
// it are made from this text and from nothing else, so they cannot disagree. :from, :to, :now and :long are the
// instants of the window. Numbers of one base are counted in one pass, which an index narrows down to the base.
type condition struct {
	base, and string
	order     string // of the list
}

func (c condition) where() string {
	if c.and == "" {
		return c.base
	}
	return c.base + " AND " + c.and
}

// The bases.
const (
	unended  = `d.outcome = ''`
	received = `d.received_at >= :from AND d.received_at < :to`
	ended    = `d.finished_at >= :from AND d.finished_at < :to`
	again    = `d.again_at >= :from AND d.again_at < :to`
	asked    = `f.kind = 'supplementRequested' AND f.at >= :from AND f.at < :to`
	extended = `f.kind = 'extended' AND f.at >= :from AND f.at < :to`
	offered  = `o.procedure_code <> ''`
)

const (
	open = `d.received_at > 0`
	done = `d.outcome = 'done'`

	byDue      = `d.due_at, d.dossier`
	byReceived = `d.received_at DESC, d.dossier`
	byFinished = `d.finished_at DESC, d.dossier`
	byEvent    = `f.at DESC, f.agency, f.seq`
)

// conditions holds one line for each of oversight.Numbers.
func conditions() map[string]condition {
	return map[string]condition{
		oversight.NOffered:        {base: offered},
		oversight.NOfferedFull:    {base: offered, and: `o.mode = 'full'`},
		oversight.NOfferedPartial: {base: offered, and: `o.mode = 'partial'`},

		oversight.NReceived: {base: received, order: byReceived},
		oversight.NOnline:   {base: received, and: `d.channel = 'online'`, order: byReceived},

		oversight.NWaiting: {base: unended, and: `d.received_at = 0`, order: `d.submitted_at, d.dossier`},
		oversight.NOpen:    {base: unended, and: open, order: byDue},
		// What was late when a pause began stays late; what was not is not late while it waits.
		oversight.NOverdue: {
			base: unended, and: open + ` AND d.due_end > 0 AND CASE WHEN d.paused_since > 0 THEN d.paused_since ELSE :now END >= d.due_end`, order: byDue,
		},
		oversight.NPaused:     {base: unended, and: open + ` AND d.paused_since > 0`, order: `d.paused_since, d.dossier`},
		oversight.NPausedLong: {base: unended, and: open + ` AND d.paused_since > 0 AND d.paused_since < :long`, order: `d.paused_since, d.dossier`},

		oversight.NDone:      {base: ended, and: done, order: byFinished},
		oversight.NInTime:    {base: ended, and: done + ` AND d.punctual IN ('early', 'onTime')`, order: byFinished},
		oversight.NLate:      {base: ended, and: done + ` AND d.punctual = 'late'`, order: byFinished},
		oversight.NNoDue:     {base: ended, and: done + ` AND d.punctual = ''`, order: byFinished},
		oversight.NRated:     {base: ended, and: done + ` AND d.stars > 0`, order: byFinished},
		oversight.NOtherwise: {base: ended, and: `d.outcome IN ('refused', 'withdrawn', 'stopped')`, order: byFinished},
		oversight.NRefused:   {base: ended, and: `d.outcome = 'refused'`, order: byFinished},
		oversight.NWithdrawn: {base: ended, and: `d.outcome = 'withdrawn'`, order: byFinished},
		oversight.NStopped:   {base: ended, and: `d.outcome = 'stopped'`, order: byFinished},

		oversight.NSupplements:      {base: asked, order: byEvent},
		oversight.NExtensions:       {base: extended, order: byEvent},
		oversight.NSupplementsAgain: {base: again, order: `d.again_at DESC, d.dossier`},
	}
}

// source is where the rows of a number come from. Events bring the dossier they happened to.
type source struct{ from, agency, procedure, columns, order string }

func sources() map[oversight.Source]source {
	const dossier = `d.agency, d.procedure_code, d.dossier, d.unit, d.state, d.national, d.channel, d.received_at, d.due_at, d.finished_at, d.outcome`
	return map[oversight.Source]source{
		oversight.Offers: {
			from: `oversight_offer o`, agency: `o.agency`, procedure: `o.procedure_code`, order: `o.agency, o.procedure_code`,
			columns: `o.agency, o.procedure_code, '', '', '', 0, '', 0, 0, 0, '', 0, o.version, o.mode, o.offices`,
		},
		oversight.Dossiers: {
			from: `oversight_dossier d`, agency: `d.agency`, procedure: `d.procedure_code`,
			columns: dossier + `, 0, '', d.mode, 0`,
		},
		oversight.Events: {
			from:   `oversight_fact f JOIN oversight_dossier d ON d.agency = f.agency AND d.dossier = f.dossier`,
			agency: `d.agency`, procedure: `d.procedure_code`, columns: dossier + `, f.at, '', d.mode, 0`,
		},
	}
}

// text collects an SQL text and its binds. Every bind is numbered where it stands.
type text struct {
	b    strings.Builder
	args []any
	w    oversight.Window
}

func (t *text) bind(v any) string {
	t.args = append(t.args, v)
	return "$" + strconv.Itoa(len(t.args))
}

// add appends s with its named instants bound.
func (t *text) add(s string) {
	for {
		i := strings.IndexByte(s, ':')
		if i < 0 {
			t.b.WriteString(s)
			return
		}
		t.b.WriteString(s[:i])
		s = s[i+1:]
		for name, at := range map[string]int64{
			"from": storage.Micros(t.w.From), "to": storage.Micros(t.w.To), "now": storage.Micros(t.w.Now), "long": storage.Micros(t.w.PausedBefore),
		} {
			if rest, ok := strings.CutPrefix(s, name); ok {
				// The cast tells PostgreSQL the type where nothing else does.
				t.b.WriteString("CAST(" + t.bind(at) + " AS BIGINT)")
				s = rest
				break
			}
		}
	}
}

func (t *text) filter(src source, f oversight.Filter) {
	if f.Agency != "" {
		t.b.WriteString(` AND ` + src.agency + ` = ` + t.bind(f.Agency))
	}
	if f.Procedure != "" {
		t.b.WriteString(` AND ` + src.procedure + ` = ` + t.bind(f.Procedure))
	}
}

// Count implements [oversight.Store]: one pass over each base counts all its numbers.
func (s *Store) Count(ctx context.Context, w oversight.Window, f oversight.Filter) (_ []oversight.Group, err error) {
	defer errs.Wrap(&err, "count")
	groups := map[[2]string]*oversight.Group{}
	var bases []string
	of := map[string][]oversight.Number{}
	for _, n := range oversight.Numbers() {
		base := conditions()[n.Name].base
		if of[base] == nil {
			bases = append(bases, base)
		}
		of[base] = append(of[base], n)
	}
	for _, base := range bases {
		if err := s.countBase(ctx, base, of[base], w, f, groups); err != nil {
			return nil, fmt.Errorf("numbers beside %s: %w", of[base][0].Name, err)
		}
	}
	out := make([]oversight.Group, 0, len(groups))
	for _, g := range groups {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b oversight.Group) int {
		if c := strings.Compare(a.Agency, b.Agency); c != 0 {
			return c
		}
		return strings.Compare(a.Procedure, b.Procedure)
	})
	return out, nil
}

func (s *Store) countBase(ctx context.Context, base string, numbers []oversight.Number, w oversight.Window, f oversight.Filter, groups map[[2]string]*oversight.Group) error {
	src, conds := sources()[numbers[0].Source], conditions()
	q := &text{w: w}
	q.add(`SELECT ` + src.agency + `, ` + src.procedure)
	stars := `, 0`
	for _, n := range numbers {
		q.add(`, SUM(CASE WHEN ` + conds[n.Name].where() + ` THEN 1 ELSE 0 END)`)
		if n.Name == oversight.NRated {
			stars = `, SUM(CASE WHEN ` + conds[n.Name].where() + ` THEN d.stars ELSE 0 END)`
		}
	}
	q.add(stars + ` FROM ` + src.from + ` WHERE ` + base)
	q.filter(src, f)
	q.add(` GROUP BY ` + src.agency + `, ` + src.procedure)
	rows, err := s.DB.QueryContext(ctx, q.b.String(), q.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key [2]string
		counts := make([]int64, len(numbers)+1)
		dest := []any{&key[0], &key[1]}
		for i := range counts {
			dest = append(dest, &counts[i])
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		g := groups[key]
		if g == nil {
			g = &oversight.Group{Agency: key[0], Procedure: key[1], Counts: oversight.Counts{N: map[string]int64{}}}
			groups[key] = g
		}
		for i, n := range numbers {
			g.Counts.N[n.Name] += counts[i]
		}
		g.Counts.Stars += counts[len(numbers)]
	}
	return rows.Err()
}

// Total implements [oversight.Store].
func (s *Store) Total(ctx context.Context, number string, w oversight.Window, f oversight.Filter) (total int64, err error) {
	defer errs.Wrap(&err, "total %s", number)
	n, ok := oversight.NumberByName(number)
	if !ok {
		return 0, errs.E(errs.NotFound, "oversight.number_unknown", nil)
	}
	src := sources()[n.Source]
	q := &text{w: w}
	q.add(`SELECT COUNT(*) FROM ` + src.from + ` WHERE (` + conditions()[number].where() + `)`)
	q.filter(src, f)
	err = s.DB.QueryRowContext(ctx, q.b.String(), q.args...).Scan(&total)
	return total, err
}

// List implements [oversight.Store].
func (s *Store) List(ctx context.Context, number string, w oversight.Window, f oversight.Filter, limit, offset int) (_ []oversight.Item, err error) {
	defer errs.Wrap(&err, "list %s", number)
	n, ok := oversight.NumberByName(number)
	if !ok {
		return nil, errs.E(errs.NotFound, "oversight.number_unknown", nil)
	}
	src, cond := sources()[n.Source], conditions()[number]
	order := cond.order
	if order == "" {
		order = src.order
	}
	q := &text{w: w}
	q.add(`SELECT ` + src.columns + ` FROM ` + src.from + ` WHERE (` + cond.where() + `)`)
	q.filter(src, f)
	q.add(` ORDER BY ` + order + ` LIMIT ` + q.bind(limit) + ` OFFSET ` + q.bind(offset))
	rows, err := s.DB.QueryContext(ctx, q.b.String(), q.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []oversight.Item
	for rows.Next() {
		var it oversight.Item
		var received, due, finished, at int64
		var outcome string
		err := rows.Scan(&it.Agency, &it.Procedure, &it.Dossier, &it.Unit, &it.State, &it.National, &it.Channel, &received, &due, &finished, &outcome,
			&at, &it.Version, &it.Mode, &it.Offices)
		if err != nil {
			return nil, err
		}
		it.Received, it.Due, it.Finished, it.At = storage.Time(received), storage.Time(due), storage.Time(finished), storage.Time(at)
		it.Outcome = oversight.Outcome(outcome)
		out = append(out, it)
	}
	return out, rows.Err()
}

// Weeks implements [oversight.Store].
func (s *Store) Weeks(ctx context.Context, w oversight.Window, f oversight.Filter) (_ []oversight.Week, err error) {
	defer errs.Wrap(&err, "weeks")
	conds, src := conditions(), sources()[oversight.Dossiers]
	q := &text{w: w}
	q.add(`SELECT d.finished_week`)
	for _, n := range []string{oversight.NDone, oversight.NInTime, oversight.NLate} {
		q.add(`, SUM(CASE WHEN ` + conds[n].where() + ` THEN 1 ELSE 0 END)`)
	}
	q.add(` FROM ` + src.from + ` WHERE ` + ended)
	q.filter(src, f)
	q.add(` GROUP BY d.finished_week ORDER BY d.finished_week`)
	rows, err := s.DB.QueryContext(ctx, q.b.String(), q.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []oversight.Week
	for rows.Next() {
		var n int64
		var wk oversight.Week
		if err := rows.Scan(&n, &wk.Done, &wk.InTime, &wk.Late); err != nil {
			return nil, err
		}
		wk.Start = weekStart(n)
		out = append(out, wk)
	}
	return out, rows.Err()
}
