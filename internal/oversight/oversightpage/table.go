package oversightpage

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"truc/internal/i18n"
	"truc/internal/oversight"
	"truc/internal/web/ui"
)

// table is agencies or procedures by numbers; every number is a link to its list.
type table struct {
	Caption, First string
	Columns        []string
	Rows           []row
	Empty          *ui.Empty
}

type row struct {
	Name, URL, Code, Note string
	Tone                  ui.Tone
	Cells                 []cell
}

// cell is a main number with its parts below.
type cell struct {
	Column string
	Main   link
	Parts  []link
	// Words stand below, without a list of their own.
	Words string
}

// link is one number: its name is a hook for tests, Label says what it is.
type link struct {
	Name, Label, Text, URL string
	Alarm                  bool
}

func (p *Pages) table(v view, caption, first string) table {
	t := table{Caption: caption, First: first}
	for _, k := range []string{"offered", "received", "open", "done", "on-time", "otherwise", "rated"} {
		t.Columns = append(t.Columns, v.t("oversight.col."+word(k)))
	}
	return t
}

// row is the numbers of an agency, or of one of its procedures.
func (p *Pages) row(v view, agency, procedure string, c oversight.Counts) row {
	n := func(name string) link {
		l := link{Name: name, Label: v.t("oversight.part." + word(name)), Text: i18n.Number(v.lang, c.N[name]), URL: v.listURL(agency, name, procedure)}
		l.Alarm = c.N[name] > 0 && (name == oversight.NOverdue || name == oversight.NLate)
		return l
	}
	some := func(always []string, rare ...string) []link {
		var out []link
		for _, name := range always {
			out = append(out, n(name))
		}
		for _, name := range rare { // left out while there are none, to keep the rows short
			if c.N[name] > 0 {
				out = append(out, n(name))
			}
		}
		return out
	}
	rate := link{Name: "on-time", Text: percent(v, c.OnTime()), URL: v.listURL(agency, oversight.NInTime, procedure)}
	cells := []cell{
		{Main: n(oversight.NOffered), Parts: some([]string{oversight.NOfferedFull, oversight.NOfferedPartial})},
		{Main: n(oversight.NReceived), Parts: some([]string{oversight.NOnline, oversight.NWaiting})},
		{Main: n(oversight.NOpen), Parts: some([]string{oversight.NOverdue, oversight.NPaused})},
		{Main: n(oversight.NDone), Parts: some([]string{oversight.NInTime, oversight.NLate}, oversight.NNoDue)},
		// The companions of the rate; see the package comment.
		{Main: rate, Parts: some([]string{oversight.NExtensions, oversight.NSupplements}, oversight.NSupplementsAgain, oversight.NPausedLong)},
		{Main: n(oversight.NOtherwise), Parts: some([]string{oversight.NRefused, oversight.NWithdrawn, oversight.NStopped})},
		{Main: n(oversight.NRated), Words: p.ratingWords(v, c)},
	}
	columns := p.table(v, "", "").Columns
	if procedure != "" { // an agency offers a procedure at one level, or not at all
		cells[0] = cell{Main: link{Text: level(v, c), URL: v.listURL(agency, oversight.NOffered, procedure)}}
		columns[0] = v.t("oversight.list.level")
	}
	for i := range cells {
		cells[i].Column = columns[i]
	}
	return row{Cells: cells}
}

// level says at which level a procedure is offered.
func level(v view, c oversight.Counts) string {
	var words []string
	for _, name := range []string{oversight.NOfferedFull, oversight.NOfferedPartial} {
		if c.N[name] > 0 {
			words = append(words, v.t("oversight.part."+word(name)))
		}
	}
	if len(words) == 0 {
		return v.t("oversight.not_offered")
	}
	return strings.Join(words, ", ")
}

// ratingWords says score and response rate, or why there is none.
func (p *Pages) ratingWords(v view, c oversight.Counts) string {
	if c.N[oversight.NDone] == 0 {
		return v.t("oversight.nothing_to_rate")
	}
	response := v.t("oversight.response", "percent", percent(v, c.Response()))
	if score, ok := c.Score(p.Service.Threshold()); ok {
		return v.t("oversight.score_words", "score", decimal(v.lang, score)) + "; " + response
	}
	return response + "; " + v.t("oversight.score_few", "least", p.Service.Threshold())
}

// percent is a share as people read it; a share of nothing is said to be missing, which is not zero.
func percent(v view, r oversight.Ratio) string {
	if !r.Known() {
		return v.t("oversight.na")
	}
	return v.t("oversight.percent", "value", decimal(v.lang, r.Percent()))
}

// decimal rounds half up to one digit.
func decimal(lang string, x float64) string {
	s := strconv.FormatFloat(float64(int64(x*10+0.5))/10, 'f', 1, 64)
	if lang == "en" {
		return s
	}
	return strings.ReplaceAll(s, ".", ",")
}

// figures are the numbers at the head of a page, with what stands beside each.
func (p *Pages) figures(v view, agency string, c oversight.Counts) ui.Figures {
	num := func(name string) string { return i18n.Number(v.lang, c.N[name]) }
	note := func(key string, names ...string) string {
		args := make([]any, 0, 2*len(names))
		for _, n := range names {
			args = append(args, word(n), num(n))
		}
		return v.t("oversight.note."+word(key), append(args, "online", percent(v, c.OnlineShare()))...)
	}
	overdue := ui.Figure{
		Label: v.t("oversight.n.overdue"), Value: num(oversight.NOverdue), URL: v.listURL(agency, oversight.NOverdue, ""),
		Note: note("overdue", oversight.NOpen, oversight.NPaused, oversight.NWaiting),
	}
	if c.N[oversight.NOverdue] > 0 {
		overdue.Tone = ui.Late
	}
	rating := ui.Figure{Label: v.t("oversight.n.score"), Value: "–", URL: v.listURL(agency, oversight.NRated, ""), Note: v.t("oversight.note.rated", "rated", num(oversight.NRated), "words", p.ratingWords(v, c))}
	if score, ok := c.Score(p.Service.Threshold()); ok {
		rating.Value = v.t("oversight.of_five", "score", decimal(v.lang, score))
		rating.Note = v.t("oversight.note.rated", "rated", num(oversight.NRated), "words", v.t("oversight.response", "percent", percent(v, c.Response())))
	}
	onTime := ui.Figure{
		Label: v.t("oversight.n.on_time"), Value: percent(v, c.OnTime()), URL: v.listURL(agency, oversight.NInTime, ""),
		Note: note("on-time", oversight.NInTime, oversight.NLate, oversight.NExtensions, oversight.NSupplementsAgain, oversight.NPausedLong),
	}
	return ui.Figures{Items: []ui.Figure{
		{Label: v.t("oversight.n.received"), Value: num(oversight.NReceived), URL: v.listURL(agency, oversight.NReceived, ""), Note: note("received")},
		{Label: v.t("oversight.n.done"), Value: num(oversight.NDone), URL: v.listURL(agency, oversight.NDone, ""), Note: note("done", oversight.NOtherwise)},
		onTime, overdue, rating,
	}}
}

// bars ranks agencies by their on-time rate; those without one come last, by name.
func (p *Pages) bars(v view, o oversight.Overview) ui.BarChart {
	c := ui.BarChart{
		Title: v.t("oversight.chart"), Desc: v.t("oversight.chart_desc", "period", v.periodText()), Max: 100,
		LabelHead: v.t("oversight.agency"), ValueHead: v.t("oversight.n.on_time"),
	}
	ranked := slices.Clone(o.Agencies)
	slices.SortStableFunc(ranked, func(a, b oversight.Report) int {
		x, y := a.Counts.OnTime(), b.Counts.OnTime()
		return cmp.Or(-boolCmp(x.Known(), y.Known()), -cmp.Compare(x.Percent(), y.Percent()), cmp.Compare(v.name(a.Agency), v.name(b.Agency)))
	})
	for _, a := range ranked {
		n := a.Counts.N
		bar := ui.Bar{
			Label: v.name(a.Agency), Value: a.Counts.OnTime().Percent(), Text: percent(v, a.Counts.OnTime()), URL: v.agencyURL(a.Agency.Code),
			Note: v.t("oversight.chart_note", "done", i18n.Number(v.lang, n[oversight.NDone]), "extensions", i18n.Number(v.lang, n[oversight.NExtensions]),
				"again", i18n.Number(v.lang, n[oversight.NSupplementsAgain]), "otherwise", i18n.Number(v.lang, n[oversight.NOtherwise])),
		}
		if s := v.silence(a.Health); s != "" {
			bar.Note += "; " + s
		}
		c.Bars = append(c.Bars, bar)
	}
	return c
}

func boolCmp(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// trend is the on-time rate by week. A week in which nothing was finished is a gap, not a zero.
func trend(v view, weeks []oversight.Week) ui.TrendChart {
	c := ui.TrendChart{
		Name: "weeks", Title: v.t("oversight.trend"), Desc: v.t("oversight.trend_desc", "count", len(weeks)), Max: 100, Unit: " %",
		LabelHead: v.t("oversight.week"), ValueHead: v.t("oversight.n.on_time"),
	}
	for _, w := range weeks {
		r := oversight.Ratio{Part: w.InTime, Whole: w.InTime + w.Late}
		c.Points = append(c.Points, ui.Point{
			Label: w.Start.Format("02/01"), Value: r.Percent(), Missing: !r.Known(),
			Text: v.t("oversight.trend_point", "percent", percent(v, r), "done", i18n.Number(v.lang, w.Done), "late", i18n.Number(v.lang, w.Late)),
		})
	}
	if !slices.ContainsFunc(c.Points, func(p ui.Point) bool { return !p.Missing }) {
		c.Points = nil // the chart says that there are no data
	}
	return c
}
