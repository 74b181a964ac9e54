package bundle

import (
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"truc/internal/i18n"
)

const flowFile = "flow.yaml"

type rawFlow struct {
	Roles   map[string]string `yaml:"roles,required"`
	Start   string            `yaml:"start,required"`
	States  *node             `yaml:"states,required"`
	Actions *node             `yaml:"actions,required"`
	Notify  []Notice          `yaml:"notify"`
	Rating  *Rating           `yaml:"rating"`
}

type rawState struct {
	National int       `yaml:"national"`
	Phase    i18n.Text `yaml:"phase"`
	Paused   bool      `yaml:"paused"`
	Final    bool      `yaml:"final"`
	SLA      struct {
		Share percent `yaml:"share,required"`
	} `yaml:"sla"`
	Emits []string `yaml:"emits"`
}

type rawAction struct {
	Label        i18n.Text         `yaml:"label"`
	From         []string          `yaml:"from"`
	To           string            `yaml:"to"`
	KeepState    bool              `yaml:"keepState"`
	By           []string          `yaml:"by,required"`
	When         Expr              `yaml:"when"`
	Reason       i18n.Text         `yaml:"reason"`
	Checks       []string          `yaml:"checks"`
	Form         string            `yaml:"form"`
	ChannelForms map[string]string `yaml:"channelForms"`
	Needs        []Need            `yaml:"needs"`
	Slip         string            `yaml:"slip"`
	Produces     string            `yaml:"produces"`
	Sign         string            `yaml:"sign"`
	Auto         bool              `yaml:"auto"`
	On           string            `yaml:"on"`
	Until        string            `yaml:"until"`
	SLA          string            `yaml:"sla"`
	Assign       string            `yaml:"assign"`
}

// nationalPhase is what people read when a state has no phase of its own (spec §7).
var nationalPhase = map[int]i18n.Text{
	1:  {"vi": "Đã nộp", "en": "Submitted"},
	2:  {"vi": "Đã tiếp nhận", "en": "Received"},
	3:  {"vi": "Không được tiếp nhận", "en": "Not accepted"},
	4:  {"vi": "Đang xử lý", "en": "Being processed"},
	5:  {"vi": "Chờ bổ sung giấy tờ", "en": "Waiting for papers"},
	6:  {"vi": "Chờ nộp phí", "en": "Waiting for payment"},
	7:  {"vi": "Đã rút theo yêu cầu", "en": "Withdrawn"},
	8:  {"vi": "Đã dừng xử lý", "en": "Stopped"},
	9:  {"vi": "Đã có kết quả", "en": "Result ready"},
	10: {"vi": "Đã trả kết quả", "en": "Result delivered"},
}

func (l *loader) readFlow(p *Procedure) {
	var raw rawFlow
	n := l.decode(flowFile, &raw, false)
	if n == nil {
		return
	}
	fl := &Flow{
		Roles: raw.Roles, Start: raw.Start, Notify: raw.Notify, Rating: raw.Rating,
		byState: map[string]int{}, byAction: map[string]int{},
	}
	p.Flow = fl
	d := &decoder{file: flowFile, bad: l.bad}
	if raw.States != nil {
		for i, name := range raw.States.keys {
			l.readState(d, fl, n, name, raw.States.kids[i])
		}
	}
	if raw.Actions != nil {
		for i, name := range raw.Actions.keys {
			l.readAction(d, p, n, name, raw.Actions.kids[i])
		}
	}
	l.checkGraph(fl, n)
	for i, notice := range fl.Notify {
		for _, on := range notice.On {
			if strings.Contains(notice.Template, "{event}") {
				l.wantTemplate(strings.ReplaceAll(notice.Template, "{event}", on), flowFile, n.at("notify", i, "template"))
			}
		}
		if !strings.Contains(notice.Template, "{event}") {
			l.wantTemplate(notice.Template, flowFile, n.at("notify", i, "template"))
		}
	}
	if fl.Rating != nil && fl.State(fl.Rating.On) == nil {
		l.bad(flowFile, n.at("rating", "on"), "unknownState", "state", fl.Rating.On, "known", fl.stateNames())
	}
}

func (l *loader) readState(d *decoder, fl *Flow, n *node, name string, sn *node) {
	var rs rawState
	d.decode(sn, &rs)
	line := n.at("states", name)
	if !plainName.MatchString(name) {
		l.bad(flowFile, line, "badName", "name", name)
	}
	if rs.National < 1 || rs.National > 10 {
		l.bad(flowFile, line, "noNational", "state", name)
	} else {
		final := slices.Contains([]int{3, 7, 8, 10}, rs.National)
		paused := rs.National == 5 || rs.National == 6
		if final != rs.Final || paused && !rs.Paused {
			l.bad(flowFile, line, "nationalFinal", "code", rs.National, "state", name)
		}
	}
	phase := rs.Phase
	if phase == nil {
		phase = nationalPhase[rs.National]
	}
	fl.byState[name] = len(fl.States)
	fl.States = append(fl.States, State{
		Name: name, National: rs.National, Phase: phase, Paused: rs.Paused, Final: rs.Final,
		Share: int(rs.SLA.Share), Emits: rs.Emits,
	})
}

func (l *loader) readAction(d *decoder, p *Procedure, n *node, name string, an *node) {
	fl := p.Flow
	var ra rawAction
	d.decode(an, &ra)
	at := func(path ...any) int { return n.at(append([]any{"actions", name}, path...)...) }
	if !plainName.MatchString(name) {
		l.bad(flowFile, at(), "badName", "name", name)
	}
	a := Action{
		Name: name, Label: ra.Label, From: ra.From, To: ra.To, KeepState: ra.KeepState, By: ra.By, When: ra.When,
		Reason: ra.Reason, Checks: ra.Checks, Form: ra.Form, ChannelForms: ra.ChannelForms, Needs: ra.Needs,
		Slip: ra.Slip, Produces: ra.Produces, Sign: ra.Sign, Auto: ra.Auto, On: ra.On, Until: ra.Until, SLA: ra.SLA,
		Assign: ra.Assign,
	}
	if len(a.From) == 0 && a.KeepState || len(a.From) == 1 && a.From[0] == "!final" {
		a.From, a.NotFinal = nil, true
	} else if len(a.From) == 0 {
		l.bad(flowFile, at(), "missingKey", "key", "from")
	}
	if a.Label == nil {
		a.Label = actionLabel[name]
	}
	if a.Label == nil {
		l.bad(flowFile, at(), "missingKey", "key", "label")
	}
	for i, by := range a.By {
		if _, ok := fl.Roles[by]; !ok && by != ByApplicant && by != BySystem {
			known := append(slices.Sorted(maps.Keys(fl.Roles)), ByApplicant, BySystem)
			l.bad(flowFile, at("by", i), "unknownRole", "role", by, "known", strings.Join(known, ", "))
		}
	}
	if _, ok := fl.Roles[a.Assign]; a.Assign != "" && !ok {
		l.bad(flowFile, at("assign"), "unknownRole", "role", a.Assign, "known", strings.Join(slices.Sorted(maps.Keys(fl.Roles)), ", "))
	}
	for i, c := range a.Checks {
		l.oneOf(flowFile, at("checks", i), c, slices.Sorted(maps.Keys(checks))...)
	}
	l.oneOf(flowFile, at("sla"), a.SLA, "extend", "pause", "resume")
	l.oneOf(flowFile, at("sign"), a.Sign, "result")
	l.oneOf(flowFile, at("produces"), a.Produces, "result.draft")
	l.oneOf(flowFile, at("on"), a.On, slaEvents...)
	if a.Form != "" {
		l.wantForm(p, a.Form, flowFile, at("form"))
	}
	for ch, f := range a.ChannelForms {
		l.oneOf(flowFile, at("channelForms", ch), ch, ChannelOnline, ChannelCounter, ChannelPost)
		l.wantForm(p, f, flowFile, at("channelForms", ch))
	}
	if a.Slip != "" {
		l.wantTemplate(slipName(a.Slip), flowFile, at("slip"))
	}
	for _, need := range a.Needs {
		if need.Letter != "" {
			l.wantTemplate(need.Letter, flowFile, at("needs"))
		}
	}
	fl.byAction[name] = len(fl.Actions)
	fl.Actions = append(fl.Actions, a)
}

// slipName turns "01" into the name of its template; a path stays.
func slipName(s string) string {
	if len(s) == 2 {
		return "slip-" + s
	}
	return s
}

// Template returns the template of the slip that the action issues, "" when none.
func (a *Action) Template() string {
	if a.Slip == "" {
		return ""
	}
	return slipName(a.Slip)
}

func (fl *Flow) stateNames() string {
	names := make([]string, len(fl.States))
	for i, s := range fl.States {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// checkGraph reports states that nothing reaches and states from which no way ends.
func (l *loader) checkGraph(fl *Flow, n *node) {
	unknown := func(name string, path ...any) bool {
		if fl.State(name) != nil {
			return false
		}
		l.bad(flowFile, n.at(path...), "unknownState", "state", name, "known", fl.stateNames())
		return true
	}
	broken := unknown(fl.Start, "start")
	share := 0
	for _, s := range fl.States {
		share += s.Share
	}
	if share > 100 {
		l.bad(flowFile, n.at("states"), "shareOver")
	}
	for i := range fl.Actions {
		a := &fl.Actions[i]
		for j, from := range a.From {
			if unknown(from, "actions", a.Name, "from", j) {
				broken = true
				continue
			}
			if fl.State(from).Final {
				l.bad(flowFile, n.at("actions", a.Name, "from", j), "finalLeaves", "state", from, "action", a.Name)
			}
			if a.To == toPrevious && !fl.State(from).Paused {
				l.bad(flowFile, n.at("actions", a.Name, "to"), "notPaused", "action", a.Name, "state", from)
			}
		}
		switch {
		case a.To == "" && !a.KeepState:
			l.bad(flowFile, n.at("actions", a.Name), "noTarget", "action", a.Name)
			broken = true
		case a.To != "" && a.To != toPrevious:
			broken = unknown(a.To, "actions", a.Name, "to") || broken
		}
		if a.Until != "" {
			broken = unknown(a.Until, "actions", a.Name, "until") || broken
		}
	}
	if broken {
		return
	}
	reach, back := fl.graph()
	for _, s := range fl.States {
		switch {
		case !reach[s.Name]:
			l.bad(flowFile, n.at("states", s.Name), "lostState", "state", s.Name, "start", fl.Start)
		case !back[s.Name]:
			l.bad(flowFile, n.at("states", s.Name), "deadEnd", "state", s.Name)
		}
	}
}

// graph returns the states that the start reaches and the states that reach an end. A withdrawal from everywhere
// is no way to an end: otherwise a dossier that nobody can finish would pass.
func (fl *Flow) graph() (reach, ends map[string]bool) {
	next := map[string][]string{}
	work := map[string][]string{}
	for i := range fl.Actions {
		a := &fl.Actions[i]
		for _, s := range fl.States {
			if a.KeepState || !a.NotFinal && !slices.Contains(a.From, s.Name) || a.NotFinal && s.Final {
				continue
			}
			to := []string{a.To}
			if a.To == toPrevious {
				to = fl.before(s.Name)
			}
			next[s.Name] = append(next[s.Name], to...)
			if !a.NotFinal {
				work[s.Name] = append(work[s.Name], to...)
			}
		}
	}
	reach = closure(next, []string{fl.Start})
	reverse := map[string][]string{}
	for from, tos := range work {
		for _, to := range tos {
			reverse[to] = append(reverse[to], from)
		}
	}
	var finals []string
	for _, s := range fl.States {
		if s.Final {
			finals = append(finals, s.Name)
		}
	}
	return reach, closure(reverse, finals)
}

// before lists the states from which an action leads into a pause.
func (fl *Flow) before(pause string) []string {
	var out []string
	for i := range fl.Actions {
		if a := &fl.Actions[i]; a.To == pause {
			out = append(out, a.From...)
		}
	}
	return out
}

func closure(next map[string][]string, from []string) map[string]bool {
	seen := map[string]bool{}
	for len(from) > 0 {
		s := from[0]
		from = from[1:]
		if !seen[s] {
			seen[s] = true
			from = append(from, next[s]...)
		}
	}
	return seen
}

func (l *loader) compileFlow(p *Procedure) {
	n := l.nodes[flowFile]
	for _, a := range p.Flow.Actions {
		l.compile(p.env, flowFile, n.at("actions", a.Name, "when"), a.When, cel.BoolType)
	}
}

// actionLabel names the usual actions, so that bundles need not repeat them.
var actionLabel = map[string]i18n.Text{
	"receive":    {"vi": "Tiếp nhận", "en": "Receive"},
	"refuse":     {"vi": "Từ chối tiếp nhận", "en": "Refuse"},
	"askMore":    {"vi": "Yêu cầu bổ sung", "en": "Ask for more papers"},
	"supplied":   {"vi": "Nộp bổ sung", "en": "Hand in papers"},
	"start":      {"vi": "Bắt đầu xử lý", "en": "Start processing"},
	"askPayment": {"vi": "Yêu cầu nộp phí", "en": "Ask for payment"},
	"paid":       {"vi": "Ghi nhận đã nộp phí", "en": "Record payment"},
	"propose":    {"vi": "Trình ký", "en": "Propose for signature"},
	"sendBack":   {"vi": "Trả lại", "en": "Send back"},
	"sign":       {"vi": "Ký", "en": "Sign"},
	"deliver":    {"vi": "Trả kết quả", "en": "Deliver the result"},
	"stop":       {"vi": "Dừng giải quyết", "en": "Stop"},
	"withdraw":   {"vi": "Rút hồ sơ", "en": "Withdraw"},
	"extend":     {"vi": "Gia hạn", "en": "Extend"},
}
