package bundle

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"truc/internal/calendar"
	"truc/internal/i18n"
)

// example is a file tests/*.yaml: a dossier and what the bundle must make of it.
type example struct {
	Name   i18n.Text     `yaml:"name,required"`
	Given  exampleGiven  `yaml:"given,required"`
	Expect exampleExpect `yaml:"expect,required"`
}

type exampleGiven struct {
	Channel  string            `yaml:"channel"`
	Received string            `yaml:"received"` // 2026-11-20 14:30, Vietnam
	Answers  any               `yaml:"answers"`
	Prefill  map[string]string `yaml:"prefill"` // group → ok, empty, down, mismatch
	Person   examplePerson     `yaml:"person"`
	State    string            `yaml:"state"`
	Previous string            `yaml:"previous"`
	Roles    []string          `yaml:"roles"`
	Judged   bool              `yaml:"judged"`
	Paid     bool              `yaml:"paid"`
	Result   bool              `yaml:"result"`
}

type examplePerson struct {
	PolicyGroups []string `yaml:"policyGroups"`
	Level        int      `yaml:"level"`
	Age          int      `yaml:"age"`
}

type exampleExpect struct {
	Case    string   `yaml:"case"`
	Pages   []string `yaml:"pages"`
	Papers  []string `yaml:"papers"` // required, the form included
	Known   []string `yaml:"known"`  // dropped because a register answered
	Fee     *int     `yaml:"fee"`
	Due     string   `yaml:"due"`
	Actions []string `yaml:"actions"` // allowed to the roles given
	// Invalid maps pointers to the last part of the message key, "tooLarge"; absent means that all is valid.
	Invalid map[string]string `yaml:"invalid"`
}

type exampleResult struct {
	file string
	name i18n.Text
	ok   bool
}

const minuteLayout = "2006-01-02 15:04"

func (l *loader) runTests(p *Procedure) {
	cal := calendar.Vietnam()
	var files []string
	for _, n := range l.files.names {
		if strings.HasPrefix(n, "tests/") {
			files = append(files, n)
		}
	}
	if len(files) == 0 {
		l.bad("tests", 0, "noTests")
	}
	for _, file := range files {
		var x example
		before := len(l.problems)
		n := l.decode(file, &x, false)
		if n != nil && len(l.problems) == before {
			r := &exampleRun{l: l, p: p, x: &x, n: n, file: file, calendar: cal}
			r.run()
		}
		l.results = append(l.results, exampleResult{file: file, name: x.Name, ok: len(l.problems) == before})
	}
}

type exampleRun struct {
	l        *loader
	p        *Procedure
	x        *example
	n        *node
	file     string
	calendar *calendar.Calendar
}

// differs reports an expectation that does not hold.
func (r *exampleRun) differs(what string, got, want any) {
	r.l.bad(r.file, r.n.at("expect", what), "testFails", "name", r.x.Name.In("vi"), "what", what, "got", show(got), "want", show(want))
}

func show(v any) string {
	switch v := v.(type) {
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	case error:
		return "lỗi/error: " + v.Error()
	case string:
		if v == "" {
			return "–"
		}
	}
	return fmt.Sprint(v)
}

func (r *exampleRun) facts() Facts {
	g := r.x.Given
	answers, _ := g.Answers.(map[string]any)
	f := Facts{
		Answers: Answers(answers), Prefill: map[string]PrefillState{},
		Person: PersonFacts{Kind: "citizen", PolicyGroups: g.Person.PolicyGroups, Level: g.Person.Level, Age: g.Person.Age},
		Papers: PaperFacts{AllJudged: g.Judged},
		Dossier: DossierFacts{
			State: g.State, Previous: g.Previous, Channel: or(g.Channel, ChannelOnline), HasResult: g.Result,
		},
	}
	f.Dossier.Date, _, _ = strings.Cut(g.Received, " ")
	for group, status := range g.Prefill {
		f.Prefill[group] = PrefillState{Status: status}
	}
	return f
}

func (r *exampleRun) run() {
	f := r.facts()
	want := r.x.Expect
	c, err := r.p.Case(f)
	if err != nil {
		r.differs("case", err, want.Case)
		return
	}
	if want.Case != "" && c.ID != want.Case {
		r.differs("case", c.ID, want.Case)
		return
	}
	form := r.p.Form(c)
	if want.Pages != nil {
		var got []string
		for _, p := range form.Visible(f) {
			got = append(got, p.ID)
		}
		if !slices.Equal(got, want.Pages) {
			r.differs("pages", got, want.Pages)
		}
	}
	r.papers(c, f)
	r.invalid(form, f)
	q, err := r.p.Fee(c, f)
	f.Fee = FeeFacts{Total: q.Total, Paid: r.x.Given.Paid, Due: q.Due}
	switch {
	case want.Fee == nil:
	case err != nil:
		r.differs("fee", err, *want.Fee)
	case q.Total != int64(*want.Fee):
		r.differs("fee", q.Total, *want.Fee)
	}
	r.due(c, f)
	r.actions(f)
}

func (r *exampleRun) papers(c *Case, f Facts) {
	want := r.x.Expect
	needs, err := r.p.Papers(c, f)
	if err != nil {
		r.differs("papers", err, want.Papers)
		return
	}
	var required, known []string
	for _, n := range needs {
		if n.Required {
			required = append(required, n.ID)
		}
		if n.KnownByState {
			known = append(known, n.ID)
		}
	}
	if want.Papers != nil && !slices.Equal(required, want.Papers) {
		r.differs("papers", required, want.Papers)
	}
	if want.Known != nil && !slices.Equal(known, want.Known) {
		r.differs("known", known, want.Known)
	}
}

func (r *exampleRun) invalid(form *Form, f Facts) {
	got := map[string]string{}
	for _, b := range form.Validate(f) {
		got[string(b.Ptr)] = strings.TrimPrefix(b.Key, "bundle.form.")
	}
	if !maps.Equal(got, r.x.Expect.Invalid) {
		r.differs("invalid", pairs(got), pairs(r.x.Expect.Invalid))
	}
}

func pairs(m map[string]string) []string {
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+": "+m[k])
	}
	return out
}

func (r *exampleRun) due(c *Case, f Facts) {
	want := r.x.Expect.Due
	if want == "" {
		return
	}
	start, err := time.ParseInLocation(minuteLayout, r.x.Given.Received, i18n.Zone)
	if err != nil {
		r.l.bad(r.file, r.n.at("given", "received"), "wrongType", "want", minuteLayout)
		return
	}
	res, err := r.calendar.Due(start, c.SLAFor(f.Dossier.Channel).Legal.Rule(), nil, nil)
	if err != nil {
		r.differs("due", err, want)
		return
	}
	got := "none"
	if !res.Due.IsZero() {
		got = res.Due.In(i18n.Zone).Format(minuteLayout)
	}
	if got != want {
		r.differs("due", got, want)
	}
}

func (r *exampleRun) actions(f Facts) {
	want := r.x.Expect.Actions
	if want == nil {
		return
	}
	var roles, got []string
	for _, role := range r.x.Given.Roles {
		if held, ok := r.p.Flow.Roles[role]; ok {
			role = held
		}
		roles = append(roles, role)
	}
	for _, a := range r.p.Allowed(f, roles...) {
		if a.Allowed {
			got = append(got, a.Action.Name)
		}
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		r.differs("actions", got, want)
	}
}

// TestReport checks a bundle, runs its examples and writes what `truc procedure test` prints.
func TestReport(w io.Writer, dir fs.FS, lang string) (ok bool) {
	l := &loader{}
	p := l.load(dir)
	l.sort()
	word := func(vi, en string) string {
		if lang == "en" {
			return en
		}
		return vi
	}
	var b strings.Builder
	if p != nil {
		fmt.Fprintf(&b, "%s  %s\n%s %s  sha256:%s\n", p.Code, p.Name.In(lang), word("phiên bản", "version"), p.Version.ID, p.Hash)
	}
	for _, r := range l.results {
		mark := word("đạt ", "ok  ")
		if !r.ok {
			mark = word("SAI ", "FAIL")
		}
		fmt.Fprintf(&b, "  %s  %s  %s\n", mark, r.file, r.name.In(lang))
	}
	for _, bad := range l.problems {
		fmt.Fprintln(&b, bad.In(lang))
	}
	if len(l.problems) == 0 {
		fmt.Fprintf(&b, word("%d ví dụ đều đạt. Có thể công bố.\n", "%d examples pass. Fit to publish.\n"), len(l.results))
	} else {
		fmt.Fprintf(&b, word("%d lỗi. Chưa công bố được.\n", "%d problems. Not fit to publish.\n"), len(l.problems))
	}
	_, err := io.WriteString(w, b.String())
	return err == nil && len(l.problems) == 0
}
