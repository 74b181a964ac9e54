package servicesdesk

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web/ui"
)

// fieldView is a question of a bundle's form as a component; the template chooses by which is set.
type fieldView struct {
	Input    *ui.Input
	Textarea *ui.Textarea
	Radios   *ui.Radios
	Select   *ui.Select
	Boxes    *ui.Checkboxes
	Date     *ui.Date3
}

func (p *Pages) actPage(r *http.Request, v *services.DossierView, st bundle.ActionState, form url.Values, problems ui.Problems) actPage {
	a := st.Action
	page := actPage{
		Page: newPage(r, ""), Number: v.Number, Applicant: v.Submission.Applicant.FullName, Action: a.Name, Version: v.Version,
		URL: dossierURL(v.Number, "act", a.Name), OpinionURL: dossierURL(v.Number, "opinion"), Open: st.Allowed,
	}
	page.Title = a.Label.In(page.Lang) + ": " + v.Number
	page.Back = dossierURL(v.Number)
	page.Problems = problems
	page.Procedure = v.Procedure.Name.In(page.Lang)
	page.Tag = stateTag(v.Procedure.Flow.State(v.State), page.Lang)
	page.Clock = p.clock(page.Page, clockOf{Due: v.Due, Received: v.ReceivedAt, Finished: v.FinishedAt, Paused: v.PausedSince, Left: v.Left})
	page.Clock.Due = v.Due
	page.Button = ui.Button{Text: a.Label.In(page.Lang)}
	k := kindOf(v, a)
	if k.confirm {
		page.Button.Kind = "accent"
	}
	if a.Slip == "03" || a.Slip == "05" {
		page.Button.Kind = "danger"
	}
	if !st.Allowed {
		page.Notices = append(page.Notices, ui.Notice{Tone: ui.Late, Title: page.T("desk.act.not_now", "action", a.Label.In(page.Lang)), Text: p.reason(page.Lang, st.Reason)})
		return page
	}
	page.Will = p.will(page.Page, v, st)
	p.fillJudge(&page, v, k, form)
	p.fillOwn(&page, v, k, form)
	channel := page.channelValue()
	if f := services.ActionForm(v.Procedure, a, channel); f != nil {
		page.fillForm(f, v, form)
	}
	if a.Produces != "" {
		page.SaveDraft = true
	}
	if (k.confirm || a.Produces != "") && v.CanPreview {
		page.PreviewURL = dossierURL(v.Number, "preview")
	}
	return page
}

func (page *actPage) channelValue() string {
	if page.Channel == nil {
		return ""
	}
	return page.Channel.Value
}

// will says what the action brings about, before it is done.
func (p *Pages) will(page ui.Page, v *services.DossierView, st bundle.ActionState) []string {
	var out []string
	add := func(key string, args ...any) { out = append(out, page.T(key, args...)) }
	a := st.Action
	from, to := v.Procedure.Flow.State(v.State), v.Procedure.Flow.State(st.To)
	if to != nil && st.To != v.State {
		add("desk.will.state", "state", to.Phase.In(page.Lang))
	}
	if due, ok := p.dueAfter(v, a); ok {
		add("desk.will.due", "time", due)
	}
	switch {
	case to != nil && from != nil && to.Paused && !from.Paused && !v.ReceivedAt.IsZero():
		add("desk.will.pause")
	case to != nil && from != nil && !to.Paused && from.Paused && !to.Final:
		add("desk.will.resume")
	case to != nil && to.Final:
		add("desk.will.final")
	}
	if a.Slip != "" && p.Messages.Has("vi", "desk.doc.slip-"+a.Slip) {
		add("desk.will.slip", "slip", page.T("desk.doc.slip-"+a.Slip))
	}
	if a.Sign != "" {
		add("desk.will.sign")
		if v.Channel == "online" {
			add("desk.will.online")
		}
	}
	if to == nil || to.National != 4 || a.Slip != "" { // steps between officers are not the applicant's business
		add("desk.will.tell")
	}
	return out
}

// dueAfter is the due date that receiving or extending now would bring.
func (p *Pages) dueAfter(v *services.DossierView, a *bundle.Action) (string, bool) {
	if v.Case == nil {
		return "", false
	}
	sla := v.Case.SLAFor(v.Submission.Channel)
	if a.SLA == "extend" && sla.Extend != nil {
		x := services.SLAAmount{Amount: sla.Extend.UpTo.Amount, Unit: sla.Extend.UpTo.Unit}
		res, err := services.Clock(p.Desk.Calendar(), sla, append(slices.Clone(v.Events), services.Event{Type: services.EvExtended, At: p.Now(), Data: services.EventData{Extension: &x}}))
		return i18n.DateTime(res.Due), err == nil && !res.Due.IsZero()
	}
	if !v.ReceivedAt.IsZero() {
		return "", false
	}
	to := v.Procedure.Flow.State(a.To)
	if to == nil {
		return "", false
	}
	for _, emitted := range to.Emits {
		if emitted == sla.StartsOn {
			res, err := services.Clock(p.Desk.Calendar(), sla, []services.Event{{Type: services.EventType(emitted), At: p.Now()}})
			if err == nil && !res.Due.IsZero() {
				return i18n.DateTime(res.Due), true
			}
		}
	}
	return "", false
}

func (p *Pages) fillJudge(page *actPage, v *services.DossierView, k actKind, form url.Values) {
	if k.judge {
		for _, ref := range uniquePapers(v.Papers) {
			var j judgeView
			j.Verdict = ui.Radios{
				Name: "verdict-" + ref.ID, Legend: ref.Name, Inline: true, Value: form.Get("verdict-" + ref.ID),
				Error:   page.Problems.For("verdict-" + ref.ID),
				Options: []ui.Option{{Value: "ok", Label: page.T("desk.judge.ok")}, {Value: "bad", Label: page.T("desk.judge.bad")}},
			}
			j.Note = ui.Input{Name: "note-" + ref.ID, Label: page.T("desk.judge.note"), Value: form.Get("note-" + ref.ID), Optional: true, Error: page.Problems.For("note-" + ref.ID)}
			page.Judge = append(page.Judge, j)
		}
		for _, ref := range v.Papers {
			page.Views = append(page.Views, viewOf(page.Page, v.Number, ref))
		}
	}
	if !k.wanted {
		return
	}
	page.Wanted = &ui.Checkboxes{Name: "wanted", Legend: page.T("desk.wanted.legend"), Hint: page.T("desk.wanted.hint"), Values: form["wanted"]}
	for _, n := range v.Needs {
		page.Wanted.Options = append(page.Wanted.Options, ui.Option{Value: n.ID, Label: n.Name.In(page.Lang)})
	}
	days := ""
	if v.Case != nil {
		if dl := v.Case.SLAFor(v.Submission.Channel).Supplement.Deadline; dl.Unit == "workingDays" && dl.Amount > 0 {
			days = strconv.Itoa(dl.Amount)
		}
	}
	if form.Has("days") {
		days = form.Get("days")
	}
	page.Days = &ui.Input{Name: "days", Label: page.T("desk.days.label"), Hint: page.T("desk.days.hint"), Value: days, InputMode: "numeric", Width: "3", Suffix: page.T("desk.unit.workingDays"), Error: page.Problems.For("days")}
	if v.Supplements > 0 {
		page.Notices = append(page.Notices, ui.Notice{Tone: ui.Soon, Title: page.T("desk.supplement.again", "n", v.Supplements), Text: page.T("desk.supplement.again_text")})
	}
}

// fillOwn adds the questions that the kind of action needs, where the bundle's own form does not ask them.
func (p *Pages) fillOwn(page *actPage, v *services.DossierView, k actKind, form url.Values) {
	ps := page.Problems
	if k.extend != nil {
		amount := strconv.Itoa(k.extend.UpTo.Amount)
		if form.Has("amount") {
			amount = form.Get("amount")
		}
		page.Amount = &ui.Input{
			Name: "amount", Label: page.T("desk.amount.label"), Hint: page.T("desk.amount.hint", "max", k.extend.UpTo.Amount, "unit", p.unit(page.Lang, k.extend.UpTo.Unit)),
			Value: amount, InputMode: "numeric", Width: "3", Suffix: p.unit(page.Lang, k.extend.UpTo.Unit), Error: ps.For("amount"),
		}
	}
	if k.reason {
		page.Fields = append(page.Fields, fieldView{Textarea: &ui.Textarea{Name: "reason", Label: page.T("desk.reason.label"), Value: form.Get("reason"), Rows: 4, Error: ps.For("reason")}})
	}
	if k.basis {
		page.Fields = append(page.Fields, fieldView{Input: &ui.Input{Name: "legalBasis", Label: page.T("desk.basis.label"), Value: form.Get("legalBasis"), Error: ps.For("legalBasis")}})
	}
	if k.deliver {
		channel := form.Get("channel")
		if channel == "" {
			channel = v.Channel
		}
		page.Channel = &ui.Radios{Name: "channel", Legend: page.T("desk.channel.legend"), Value: channel, Error: ps.For("channel")}
		for _, c := range []string{"counter", "post", "online"} {
			o := ui.Option{Value: c, Label: page.T("desk.delivery." + c)}
			if c == v.Channel {
				o.Hint = page.T("desk.channel.wanted")
			}
			page.Channel.Options = append(page.Channel.Options, o)
		}
	}
	if k.confirm {
		page.Confirm = &ui.Checkboxes{Name: "confirm", Legend: page.T("desk.confirm.legend"), NoLegend: true, Error: ps.For("confirm"), Options: []ui.Option{{Value: "yes", Label: page.T("desk.confirm.label")}}}
	}
}

// fillForm draws the bundle's own form of the action.
func (page *actPage) fillForm(form *bundle.Form, v *services.DossierView, posted url.Values) {
	first := true
	for _, pg := range form.Pages {
		for _, f := range pg.Fields {
			value := posted.Get(f.Name())
			if f.Widget == bundle.TextArea && first && !posted.Has(f.Name()) {
				value, first = v.Opinion, false
			}
			page.Fields = append(page.Fields, drawField(page, f, value, posted))
		}
	}
}

func drawField(page *actPage, f *bundle.Field, value string, posted url.Values) fieldView {
	name, label, hint, bad := f.Name(), f.Label.In(page.Lang), f.Hint.In(page.Lang), page.Problems.For(f.Name())
	var options []ui.Option
	for _, o := range f.Options {
		options = append(options, ui.Option{Value: o.Value, Label: o.Label.In(page.Lang), Hint: o.Hint.In(page.Lang)})
	}
	switch f.Widget {
	case bundle.TextArea:
		return fieldView{Textarea: &ui.Textarea{Name: name, Label: label, Hint: hint, Value: value, MaxLength: f.MaxLength, Optional: f.Optional, Error: bad}}
	case bundle.Radios:
		return fieldView{Radios: &ui.Radios{Name: name, Legend: label, Hint: hint, Value: value, Options: options, Optional: f.Optional, Error: bad}}
	case bundle.Select:
		return fieldView{Select: &ui.Select{Name: name, Label: label, Hint: hint, Value: value, Options: options, Empty: page.T("desk.check.choose"), Optional: f.Optional, Error: bad}}
	case bundle.Checkboxes:
		return fieldView{Boxes: &ui.Checkboxes{Name: name, Legend: label, Hint: hint, Values: posted[name], Options: options, Error: bad}}
	case bundle.Declaration:
		return fieldView{Boxes: &ui.Checkboxes{Name: name, Legend: label, NoLegend: true, Values: posted[name], Options: []ui.Option{{Value: "true", Label: label}}, Error: bad}}
	case bundle.Date3:
		d := &ui.Date3{Name: name, Legend: label, Hint: hint, Optional: f.Optional, Error: bad}
		d.Day, d.Month, d.Year = ui.ReadDate3(posted, name)
		return fieldView{Date: d}
	default: // one line of text
	}
	in := &ui.Input{Name: name, Label: label, Hint: hint, Value: value, MaxLength: f.MaxLength, Optional: f.Optional, Error: bad}
	if f.Widget == bundle.Number || f.Widget == bundle.Money || f.Widget == bundle.Identity {
		in.InputMode, in.Width = "numeric", "12"
	}
	return fieldView{Input: in}
}

// bundleForm renames the three fields of a date, which components call name-day and forms of bundles name.day.
func bundleForm(form url.Values) url.Values {
	out := url.Values{}
	for k, v := range form {
		for _, part := range []string{"day", "month", "year"} {
			if name, ok := strings.CutSuffix(k, "-"+part); ok {
				k = name + "." + part
			}
		}
		out[k] = v
	}
	return out
}

// formProblems puts the faults of a bundle's form at the components that show its fields.
func (p *Pages) formProblems(lang string, v *services.DossierView, a *bundle.Action, form url.Values, bad *services.FormError) ui.Problems {
	dates := map[string]bool{}
	if f := services.ActionForm(v.Procedure, a, form.Get("channel")); f != nil {
		for _, pg := range f.Pages {
			for _, field := range pg.Fields {
				dates[field.Name()] = field.Widget == bundle.Date3
			}
		}
	}
	var ps ui.Problems
	seen := map[string]bool{}
	for _, b := range bad.Problems {
		name := b.Name
		if i := strings.LastIndexByte(name, '.'); i > 0 && dates[name[:i]] {
			name = name[:i]
		}
		if seen[name] { // what cannot be read is also missing; once is enough
			continue
		}
		seen[name] = true
		args := append([]any{"label", lowerFirst(b.Label.In(lang))}, b.Args...)
		ps.AddText(name, p.Messages.T(lang, b.Key, args...))
	}
	return ps
}

// lowerFirst puts a label into a sentence; abbreviations stay as they are.
func lowerFirst(s string) string {
	r := []rune(s)
	if len(r) < 2 || strings.ToUpper(string(r[1])) == string(r[1]) {
		return s
	}
	return strings.ToLower(string(r[0])) + string(r[1:])
}
