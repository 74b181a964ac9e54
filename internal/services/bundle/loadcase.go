package bundle

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"truc/internal/calendar"
)

// The events that clocks listen to (spec §4.8) and that actions and registers raise.
var slaEvents = []string{
	"submitted", "received", "supplementRequested", "supplementReceived", "paymentRequested", "paymentConfirmed",
	"externalRequested", "externalAnswered",
}

func (l *loader) readCases(p *Procedure, proc *node, names []string) {
	seen := map[string]bool{}
	for i, id := range names {
		file := "cases/" + id + ".yaml"
		line := proc.at("cases", i)
		if _, ok := l.files.data[file]; !ok || seen[id] {
			l.bad(procedureFile, line, "noCase", "id", id)
			continue
		}
		seen[id] = true
		c := &Case{ID: id}
		n := l.decode(file, c, false)
		if n == nil {
			continue
		}
		p.Cases = append(p.Cases, c)
		l.checkPapers(p, c, n, file)
		l.checkPrefill(c, n, file)
		l.checkSLA(&c.SLA, n.get("sla"), file)
		for name, s := range c.Channel {
			l.oneOf(file, n.at("channels", name), name, ChannelOnline, ChannelCounter, ChannelPost)
			if s != nil {
				l.checkSLA(s, n.get("channels").get(name), file)
			}
		}
		l.oneOf(file, n.at("fee", "due"), c.Fee.Due, "atReceipt", "beforeProcessing", "beforeResult")
		if len(c.Fee.Lines) > 0 && c.Fee.Due == "" {
			l.bad(file, n.at("fee"), "missingKey", "key", "due")
		}
		for j, line := range c.Fee.Lines {
			l.oneOf(file, n.at("fee", "lines", j, "kind"), line.Kind, "phi", "lePhi")
		}
	}
}

func (l *loader) checkPapers(p *Procedure, c *Case, n *node, file string) {
	forms := 0
	seen := map[string]bool{}
	for i := range c.Papers {
		d := &c.Papers[i]
		if seen[d.ID] || !safePath.MatchString(d.ID) || strings.Contains(d.ID, "/") {
			l.bad(file, n.at("papers", i, "id"), "badName", "name", d.ID)
		}
		seen[d.ID] = true
		if d.Required == "" {
			d.Required = "true"
		}
		for j, a := range d.Accept {
			l.oneOf(file, n.at("papers", i, "accept", j), a, "application/pdf", "image/jpeg", "image/png")
		}
		if d.Form != "" {
			forms++
			l.wantForm(p, d.Form, file, n.at("papers", i, "form"))
			continue
		}
		if len(d.Accept) == 0 {
			d.Accept = []string{"application/pdf", "image/jpeg", "image/png"}
		}
		if d.MaxBytes == 0 {
			d.MaxBytes = 10 << 20
		}
		if d.MaxBytes < 0 || d.MaxBytes > 50<<20 {
			l.bad(file, n.at("papers", i, "maxBytes"), "tooMany", "what", "byte", "max", 50<<20)
		}
	}
	if papers := n.get("papers"); forms != 1 && papers != nil && papers.kind != nullNode {
		l.bad(file, n.at("papers"), "oneForm", "n", forms)
	}
}

func (l *loader) checkPrefill(c *Case, n *node, file string) {
	var own []string
	for i := range c.Prefill {
		b := &c.Prefill[i]
		l.oneOf(file, n.at("prefill", i, "mode"), b.Mode, "readonly", "editable")
		if b.Name != "" && !plainName.MatchString(b.Name) {
			l.bad(file, n.at("prefill", i, "name"), "badName", "name", b.Name)
		}
		if !slices.Contains(own, b.Group()) {
			own = append(own, b.Group())
		}
		if l.bindings[b.To] == nil {
			l.bindings[b.To] = b
		}
	}
	for _, g := range own {
		if !slices.Contains(l.groups, g) {
			l.groups = append(l.groups, g)
		}
	}
	for i, d := range c.Papers {
		if d.KnownBy != "" && !slices.Contains(own, d.KnownBy) {
			l.bad(file, n.at("papers", i, "knownBy"), "knownBy", "group", d.KnownBy, "known", strings.Join(own, ", "))
		}
	}
}

func (l *loader) checkSLA(s *SLA, n *node, file string) {
	if n == nil {
		return
	}
	l.checkTerm(&s.Legal, n, "legal", file)
	if s.Norm != nil {
		l.checkTerm(s.Norm, n, "norm", file)
		if hours(*s.Norm) > hours(s.Legal) && s.Legal.Unit != "none" {
			l.bad(file, n.at("norm"), "normOverLegal")
		}
	}
	l.oneOf(file, n.at("startsOn"), s.StartsOn, "received", "submitted", "paymentConfirmed")
	for i, e := range s.PauseOn {
		l.oneOf(file, n.at("pauseOn", i), e, slaEvents...)
	}
	for i, e := range s.ResumeOn {
		l.oneOf(file, n.at("resumeOn", i), e, slaEvents...)
	}
	if (len(s.PauseOn) > 0) != (len(s.ResumeOn) > 0) {
		l.bad(file, n.at("pauseOn"), "pauseResume")
	}
	for i, w := range s.WarnAt {
		if !warnShape.MatchString(w) {
			l.bad(file, n.at("warnAt", i), "badWarn", "spec", w)
		}
	}
	if e := s.Extend; e != nil {
		l.checkDuration(e.UpTo, n, file, "extend", "upTo")
		for _, need := range e.Needs {
			if need.Letter != "" {
				l.wantTemplate(need.Letter, file, n.at("extend", "needs"))
			}
		}
	}
	if s.Supplement.Deadline.Unit != "" {
		l.checkDuration(s.Supplement.Deadline, n, file, "supplement", "deadline")
	}
	l.oneOf(file, n.at("supplement", "onExpiry"), s.Supplement.OnExpiry, "stop", "remind")
	for stage := range s.Supplement.Stages {
		l.oneOf(file, n.at("supplement", "stages", stage), stage, "intake", "processing")
	}
}

func (l *loader) checkTerm(t *Term, n *node, name, file string) {
	if t.Unit == "" {
		return
	}
	r := t.Rule()
	if t.Cutoff != "" && (r.Clock() || r.Unit == calendar.None) {
		l.bad(file, n.at(name, "cutoff"), "cutoffClock")
		return
	}
	if err := r.Validate(); err != nil {
		l.bad(file, n.at(name), "badTerm", "what", r)
	}
}

func (l *loader) checkDuration(d Duration, n *node, file string, path ...any) {
	if err := d.Rule().Validate(); err != nil || d.Unit == "none" {
		l.bad(file, n.at(path...), "badTerm", "what", d)
	}
}

// hours estimates a term in working hours, to compare a norm with the legal limit: 22 working days a month, five
// working days in seven.
func hours(t Term) int {
	switch t.Unit {
	case "workingHours":
		return t.Amount
	case "workingDays":
		return t.Amount * 8
	case "calendarDays":
		return t.Amount * 8 * 5 / 7
	case "months":
		return t.Amount * 22 * 8
	}
	return 0
}

// compileCases checks the expressions of the cases against the form of each.
func (l *loader) compileCases(p *Procedure) {
	for _, c := range p.Cases {
		file := "cases/" + c.ID + ".yaml"
		n := l.nodes[file]
		env := p.envOf(c)
		l.compile(p.env, file, n.at("when"), c.When, cel.BoolType)
		for i, d := range c.Papers {
			l.compile(env, file, n.at("papers", i, "required"), d.Required, cel.BoolType)
		}
		for i, f := range c.Fee.Lines {
			l.compile(env, file, n.at("fee", "lines", i, "amount"), f.Amount, cel.IntType)
			l.compile(env, file, n.at("fee", "lines", i, "when"), f.When, cel.BoolType)
		}
		for i, x := range c.Fee.Exempt {
			l.compile(env, file, n.at("fee", "exempt", i, "when"), x.When, cel.BoolType)
		}
		fm := p.Form(c)
		for i, b := range c.Prefill {
			if fm.schema.find(b.To) == nil {
				l.bad(file, n.at("prefill", i, "to"), "noProperty", "ptr", b.To)
			}
			if b.Key != "" && fm.schema.find(b.Key) == nil {
				l.bad(file, n.at("prefill", i, "key"), "noProperty", "ptr", b.Key)
			}
		}
	}
}
