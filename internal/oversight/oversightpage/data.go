package oversightpage

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"truc/internal/oversight"
	"truc/internal/web"
)

// writeCSV sends rows as spreadsheets read them: UTF-8 with a byte order mark, CRLF, and no cell that a spreadsheet
// would take for a formula.
func writeCSV(w http.ResponseWriter, name string, rows [][]string) error {
	var buf bytes.Buffer
	buf.WriteString("\ufeff")
	out := csv.NewWriter(&buf)
	out.UseCRLF = true
	for _, r := range rows {
		safe := make([]string, len(r))
		for i, c := range r {
			safe[i] = safeCell(c)
		}
		if err := out.Write(safe); err != nil {
			return err
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, err := w.Write(buf.Bytes())
	return err
}

func safeCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// fileName is made of codes only, so that it needs no quoting.
func fileName(parts ...string) string {
	clean := func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}
	return strings.Map(clean, strings.Join(parts, "-")) + ".csv"
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// numberHeads are the columns of numbers in every file.
func numberHeads() []string {
	var out []string
	for _, n := range oversight.Numbers() {
		out = append(out, n.Name)
	}
	return append(out, "on-time-percent", "response-percent", "score")
}

func (p *Pages) numberCells(c oversight.Counts) []string {
	var out []string
	for _, n := range oversight.Numbers() {
		out = append(out, strconv.FormatInt(c.N[n.Name], 10))
	}
	for _, x := range []*float64{ratio(c.OnTime()), ratio(c.Response()), p.score(c)} {
		if x == nil {
			out = append(out, "")
			continue
		}
		out = append(out, strconv.FormatFloat(*x, 'f', -1, 64))
	}
	return out
}

// ratio is a share in hundredths with two digits, nil when there is nothing to take a share of.
func ratio(r oversight.Ratio) *float64 {
	if !r.Known() {
		return nil
	}
	return two(r.Percent())
}

func (p *Pages) score(c oversight.Counts) *float64 {
	x, ok := c.Score(p.Service.Threshold())
	if !ok {
		return nil
	}
	return two(x)
}

func two(x float64) *float64 {
	x = float64(int64(x*100+0.5)) / 100
	return &x
}

// about says of every file which period, time and definitions it is of.
func about(v view, computed time.Time) []string {
	return []string{v.period.Name, v.period.From.Format(time.DateOnly), v.period.To.Format(time.DateOnly), instant(computed), oversight.DefinitionVersion}
}

func aboutHeads() []string { return []string{"period", "from", "to", "computed", "definitions"} }

func (p *Pages) overviewCSV(w http.ResponseWriter, v view, o oversight.Overview) error {
	rows := [][]string{join([]string{"agency", "name", "last-answer", "silent-since"}, numberHeads(), aboutHeads())}
	for _, a := range o.Agencies {
		head := []string{a.Agency.Code, v.name(a.Agency), instant(a.Health.LastOK), instant(a.Health.FailedSince)}
		rows = append(rows, join(head, p.numberCells(a.Counts), about(v, o.Computed)))
	}
	return writeCSV(w, fileName("oversight", v.period.Name), rows)
}

func (p *Pages) agencyCSV(w http.ResponseWriter, v view, rep oversight.AgencyReport) error {
	rows := [][]string{join([]string{"agency", "procedure", "title"}, numberHeads(), aboutHeads())}
	for _, pr := range rep.Procedures {
		head := []string{rep.Agency.Code, pr.Code, pr.Title.In(v.lang)}
		rows = append(rows, join(head, p.numberCells(pr.Counts), about(v, v.now)))
	}
	return writeCSV(w, fileName("oversight", rep.Agency.Code, v.period.Name), rows)
}

func (p *Pages) listCSV(w http.ResponseWriter, v view, l oversight.Listing) error {
	rows := [][]string{join([]string{
		"number", "agency", "procedure", "dossier", "unit", "state", "national", "channel", "received", "due", "finished", "outcome", "at",
		"mode", "version", "offices",
	}, aboutHeads())}
	for _, it := range l.Items {
		rows = append(rows, join([]string{
			l.Number.Name, it.Agency, it.Procedure, it.Dossier, it.Unit, it.State, strconv.Itoa(it.National), it.Channel,
			instant(it.Received), instant(it.Due), instant(it.Finished), string(it.Outcome), instant(it.At), it.Mode, it.Version, strconv.Itoa(it.Offices),
		}, about(v, l.Computed)))
	}
	return writeCSV(w, fileName("oversight", l.Agency.Code, l.Number.Name, v.period.Name), rows)
}

func join(parts ...[]string) []string {
	var out []string
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// The structs of the JSON files are append-only: others compute with them.

type jsonPeriod struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"` // excluded
}

type jsonHead struct {
	Computed          time.Time  `json:"computed"`
	Period            jsonPeriod `json:"period"`
	Zone              string     `json:"zone"`
	DefinitionVersion string     `json:"definitionVersion"`
	// MinRatings is the least number of ratings that a score is given for.
	MinRatings  int                   `json:"minRatings"`
	Definitions map[string]definition `json:"definitions"`
}

func (p *Pages) head(v view, computed time.Time, names ...string) jsonHead {
	h := jsonHead{
		Computed: computed, Zone: i18nZone, DefinitionVersion: oversight.DefinitionVersion, MinRatings: p.Service.Threshold(),
		Period:      jsonPeriod{Name: v.period.Name, From: v.period.From.Format(time.DateOnly), To: v.period.To.Format(time.DateOnly)},
		Definitions: map[string]definition{},
	}
	for _, n := range names {
		h.Definitions[n] = p.define(v, n)
	}
	return h
}

const i18nZone = "Asia/Ho_Chi_Minh"

func allNames() []string {
	var out []string
	for _, n := range oversight.Numbers() {
		out = append(out, n.Name)
	}
	return append(out, "on-time", "response", "score")
}

// jsonCounts gives shares that are not known as null, never as 0.
type jsonCounts struct {
	Numbers         map[string]int64 `json:"numbers"`
	OnTimePercent   *float64         `json:"onTimePercent"`
	ResponsePercent *float64         `json:"responsePercent"`
	Score           *float64         `json:"score"`
}

func (p *Pages) jsonCounts(c oversight.Counts) jsonCounts {
	numbers := map[string]int64{}
	for _, n := range oversight.Numbers() {
		numbers[n.Name] = c.N[n.Name]
	}
	return jsonCounts{Numbers: numbers, OnTimePercent: ratio(c.OnTime()), ResponsePercent: ratio(c.Response()), Score: p.score(c)}
}

type jsonAgency struct {
	Agency      string    `json:"agency"`
	Name        string    `json:"name"`
	LastAnswer  time.Time `json:"lastAnswer,omitzero"`
	SilentSince time.Time `json:"silentSince,omitzero"`
	jsonCounts
}

func (p *Pages) jsonAgency(v view, r oversight.Report) jsonAgency {
	return jsonAgency{
		Agency: r.Agency.Code, Name: v.name(r.Agency), LastAnswer: r.Health.LastOK, SilentSince: r.Health.FailedSince, jsonCounts: p.jsonCounts(r.Counts),
	}
}

func (p *Pages) overviewJSON(w http.ResponseWriter, v view, o oversight.Overview) error {
	out := struct {
		jsonHead
		Agencies []jsonAgency `json:"agencies"`
		Total    jsonCounts   `json:"total"`
	}{jsonHead: p.head(v, o.Computed, allNames()...), Agencies: []jsonAgency{}, Total: p.jsonCounts(o.Total)}
	for _, a := range o.Agencies {
		out.Agencies = append(out.Agencies, p.jsonAgency(v, a))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

type jsonProcedure struct {
	Procedure string `json:"procedure"`
	Title     string `json:"title,omitempty"`
	jsonCounts
}

type jsonWeek struct {
	Start  string `json:"start"`
	Done   int64  `json:"done"`
	InTime int64  `json:"in-time"`
	Late   int64  `json:"late"`
}

func (p *Pages) agencyJSON(w http.ResponseWriter, v view, rep oversight.AgencyReport) error {
	out := struct {
		jsonHead
		jsonAgency
		Procedures []jsonProcedure `json:"procedures"`
		Weeks      []jsonWeek      `json:"weeks"`
	}{jsonHead: p.head(v, v.now, allNames()...), jsonAgency: p.jsonAgency(v, rep.Report), Procedures: []jsonProcedure{}, Weeks: []jsonWeek{}}
	for _, pr := range rep.Procedures {
		out.Procedures = append(out.Procedures, jsonProcedure{Procedure: pr.Code, Title: pr.Title.In(v.lang), jsonCounts: p.jsonCounts(pr.Counts)})
	}
	for _, wk := range rep.Weeks {
		out.Weeks = append(out.Weeks, jsonWeek{Start: wk.Start.Format(time.DateOnly), Done: wk.Done, InTime: wk.InTime, Late: wk.Late})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (p *Pages) listJSON(w http.ResponseWriter, v view, l oversight.Listing) error {
	out := struct {
		jsonHead
		Number    string           `json:"number"`
		Agency    string           `json:"agency"`
		Procedure string           `json:"procedure,omitempty"`
		Count     int64            `json:"count"`
		Items     []oversight.Item `json:"items"`
	}{
		jsonHead: p.head(v, l.Computed, l.Number.Name), Number: l.Number.Name, Agency: l.Agency.Code, Procedure: l.Filter.Procedure,
		Count: l.Count, Items: l.Items,
	}
	if out.Items == nil {
		out.Items = []oversight.Item{}
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
