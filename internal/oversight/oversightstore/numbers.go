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

// condition is what a number counts: rows of its source for which where holds. Both the number and the list behind
// it are made from this text and from nothing else, so they cannot disagree. :from, :to, :now and :long are the
// instants of the window.
type condition struct {
	where string
	order string // of the list
}

const (
	received = `d.received_at > 0 AND d.received_at >= :from AND d.received_at < :to`
	open     = `d.received_at > 0 AND d.outcome = ''`
	ended    = `d.finished_at >= :from AND d.finished_at < :to`
	done     = `d.outcome = 'done' AND ` + ended

	byDue      = `d.due_at, d.dossier`
	byReceived = `d.received_at DESC, d.dossier`
	byFinished = `d.finished_at DESC, d.dossier`
	byEvent    = `f.at DESC, f.agency, f.seq`
)

// conditions holds one line for each of oversight.Numbers.
func conditions() map[string]condition {
	return map[string]condition{
		oversight.NOffered:        {where: `o.procedure_code <> ''`},
		oversight.NOfferedFull:    {where: `o.mode = 'full'`},
		oversight.NOfferedPartial: {where: `o.mode = 'partial'`},

		oversight.NReceived: {where: received, order: byReceived},
		oversight.NOnline:   {where: received + ` AND d.channel = 'online'`, order: byReceived},
		oversight.NWaiting:  {where: `d.received_at = 0 AND d.outcome = ''`, order: `d.submitted_at, d.dossier`},
		oversight.NOpen:     {where: open, order: byDue},
		// What was late when a pause began stays late; what was not is not late while it waits.
		oversight.NOverdue: {where: open + ` AND d.due_end > 0 AND CASE WHEN d.paused_since > 0 THEN d.paused_since ELSE :now END >= d.due_end`, order: byDue},
		oversight.NPaused:  {where: open + ` AND d.paused_since > 0`, order: `d.paused_since, d.dossier`},
		oversight.NPausedLong: {
			where: open + ` AND d.paused_since > 0 AND d.paused_since < :long`, order: `d.paused_since, d.dossier`,
		},

		oversight.NDone:      {where: done, order: byFinished},
		oversight.NInTime:    {where: done + ` AND d.punctual IN ('early', 'onTime')`, order: byFinished},
		oversight.NLate:      {where: done + ` AND d.punctual = 'late'`, order: byFinished},
		oversight.NNoDue:     {where: done + ` AND d.punctual = ''`, order: byFinished},
		oversight.NRated:     {where: done + ` AND d.stars > 0`, order: byFinished},
		oversight.NOtherwise: {where: `d.outcome IN ('refused', 'withdrawn', 'stopped') AND ` + ended, order: byFinished},
		oversight.NRefused:   {where: `d.outcome = 'refused' AND ` + ended, order: byFinished},
		oversight.NWithdrawn: {where: `d.outcome = 'withdrawn' AND ` + ended, order: byFinished},
		oversight.NStopped:   {where: `d.outcome = 'stopped' AND ` + ended, order: byFinished},

		oversight.NSupplements:      {where: `f.kind = 'supplementRequested' AND f.at >= :from AND f.at < :to`, order: byEvent},
		oversight.NExtensions:       {where: `f.kind = 'extended' AND f.at >= :from AND f.at < :to`, order: byEvent},
		oversight.NSupplementsAgain: {where: `d.again_at >= :from AND d.again_at < :to AND d.again_at > 0`, order: `d.again_at DESC, d.dossier`},
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

// Count implements [oversight.Store]: one pass over each source counts all its numbers.
func (s *Store) Count(ctx context.Context, w oversight.Window, f oversight.Filter) (_ []oversight.Group, err error) {
	defer errs.Wrap(&err, "count")
	groups := map[[2]string]*oversight.Group{}
	for _, name := range []oversight.Source{oversight.Offers, oversight.Dossiers, oversight.Events} {
		if err := s.countSource(ctx, name, w, f, groups); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
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

func (s *Store) countSource(ctx context.Context, name oversight.Source, w oversight.Window, f oversight.Filter, groups map[[2]string]*oversight.Group) error {
	src, conds := sources()[name], conditions()
	var numbers []string
	q := &text{w: w}
	q.add(`SELECT ` + src.agency + `, ` + src.procedure)
	for _, n := range oversight.Numbers() {
		if n.Source == name {
			numbers = append(numbers, n.Name)
			q.add(`, SUM(CASE WHEN ` + conds[n.Name].where + ` THEN 1 ELSE 0 END)`)
		}
	}
	if name == oversight.Dossiers {
		q.add(`, SUM(CASE WHEN ` + conds[oversight.NRated].where + ` THEN d.stars ELSE 0 END)`)
	} else {
		q.add(`, 0`)
	}
	q.add(` FROM ` + src.from + ` WHERE 1 = 1`)
	if name == oversight.Events { // lets the index by kind and time answer
		q.add(` AND f.kind IN ('supplementRequested', 'extended') AND f.at >= :from AND f.at < :to`)
	}
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
			g.Counts.N[n] += counts[i]
		}
		g.Counts.Stars += counts[len(numbers)]
	}
	return rows.Err()
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
	q.add(`SELECT ` + src.columns + ` FROM ` + src.from + ` WHERE (` + cond.where + `)`)
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
		q.add(`, SUM(CASE WHEN ` + conds[n].where + ` THEN 1 ELSE 0 END)`)
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
