package servicesdesk

import (
	"slices"
	"sort"
	"strconv"

	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web/ui"
)

// fillEvents tells what happened, newest first, and apart from it who merely read the dossier.
func (p *Pages) fillEvents(page *dossierPage, v *services.DossierView) {
	for _, e := range slices.Backward(v.Events) {
		if e.Type == services.EvOpened {
			page.Openings = append(page.Openings, i18n.DateTime(e.At)+" · "+e.ActorName)
			continue
		}
		page.Timeline.Events = append(page.Timeline.Events, p.timelineEvent(page.Page, v, e))
	}
	page.ChainOK = services.VerifyChain(v.Events) == nil
	if n := len(v.Events); page.ChainOK && n > 0 {
		page.ChainText = page.T("desk.chain.ok", "n", n, "hash", v.Events[n-1].Hash[:12])
	} else {
		page.ChainText = page.T("desk.chain.broken")
	}
}

func (p *Pages) timelineEvent(page ui.Page, v *services.DossierView, e services.Event) ui.TimelineEvent {
	out := ui.TimelineEvent{Title: p.eventTitle(page.Lang, v.Procedure, e), When: e.At, Who: p.actor(page, e)}
	d := e.Data
	line := func(key string, args ...any) { out.Lines = append(out.Lines, page.T(key, args...)) }
	if d.Reason != "" {
		out.Text = d.Reason
	}
	if d.LegalBasis != "" {
		line("desk.event.basis", "basis", d.LegalBasis)
	}
	if d.Deadline != nil {
		line("desk.event.deadline", "time", i18n.DateTime(*d.Deadline))
	}
	for _, j := range d.Papers {
		word := page.T("desk.judge.ok")
		if !j.OK {
			word = page.T("desk.judge.bad")
		}
		if e.Type == services.EvSupplementRequested {
			word = page.T("desk.judge.wanted")
		}
		text := j.Name + ": " + word
		if j.Note != "" {
			text += " – " + j.Note
		}
		out.Lines = append(out.Lines, text)
	}
	for _, ref := range d.Added {
		line("desk.event.added", "name", ref.Name)
	}
	if d.Extension != nil {
		line("desk.event.amount", "amount", d.Extension.Amount, "unit", p.unit(page.Lang, d.Extension.Unit))
	}
	if d.OldDue != nil && d.NewDue != nil {
		line("desk.event.new_due", "old", i18n.DateTime(*d.OldDue), "new", i18n.DateTime(*d.NewDue))
	}
	if d.Payment != nil {
		line("desk.event.payment", "amount", i18n.Money(page.Lang, d.Payment.Amount), "provider", d.Payment.Provider)
	}
	if d.Check != nil {
		line("desk.event.check", "register", p.registerName(page.Lang, d.Check.Register), "result", p.foundWords(page, d.Check.Found))
	}
	if e.Type == services.EvDelivered && d.Channel != "" {
		line("desk.event.channel", "channel", page.T("desk.delivery."+d.Channel))
	}
	if e.Type == services.EvRated {
		line("desk.event.stars", "n", d.Stars)
	}
	if d.Comment != "" && e.Type != services.EvRated {
		out.Lines = append(out.Lines, d.Comment)
	}
	out.Lines = append(out.Lines, formLines(v.Procedure, page.Lang, e)...)
	if d.Document != nil {
		out.Links = []ui.Action{{Text: p.docTitle(page.Lang, *d.Document), URL: dossierURL(v.Number, "documents", d.Document.ID)}}
	}
	return out
}

// formLines says what an action's own form was answered, without what the event repeats anyway.
func formLines(proc *bundle.Procedure, lang string, e services.Event) []string {
	var out []string
	labels := map[string]string{}
	if a := proc.Flow.Action(e.Action); a != nil {
		if form := services.ActionForm(proc, a, e.Data.Channel); form != nil {
			for _, pg := range form.Pages {
				for _, f := range pg.Fields {
					labels[string(f.Ptr)] = f.Label.In(lang)
				}
			}
		}
	}
	for ptr, value := range e.Data.Form {
		if value == "" || value == e.Data.Reason || value == e.Data.LegalBasis {
			continue
		}
		if l := labels[ptr]; l != "" {
			value = l + ": " + value
		}
		out = append(out, value)
	}
	sort.Strings(out)
	return out
}

func (p *Pages) eventTitle(lang string, proc *bundle.Procedure, e services.Event) string {
	if e.Type == services.EvMoved || e.Type == services.EvExternalRequested || e.Type == services.EvExternalAnswered {
		if a := proc.Flow.Action(e.Action); a != nil {
			return a.Label.In(lang)
		}
	}
	key := "desk.event." + string(e.Type)
	if !p.Messages.Has("vi", key) {
		return string(e.Type)
	}
	return p.Messages.T(lang, key)
}

func (p *Pages) actor(page ui.Page, e services.Event) string {
	switch e.Actor {
	case "applicant":
		return page.T("desk.role.applicant")
	case "system":
		return page.T("desk.role.system")
	}
	out := e.ActorName
	if e.ActorRole != "" {
		out += ", " + p.roleName(page.Lang, e.ActorRole)
	}
	if e.Agency != "" {
		out += ", " + p.Desk.UnitName(e.Agency)
	}
	return out
}

func (p *Pages) unit(lang, unit string) string {
	if key := "desk.unit." + unit; p.Messages.Has("vi", key) {
		return p.Messages.T(lang, key)
	}
	return unit
}

func (p *Pages) foundWords(page ui.Page, n int) string {
	switch n {
	case 0:
		return page.T("desk.found.none")
	case 1:
		return page.T("desk.found.one")
	}
	return page.T("desk.found.several", "n", strconv.Itoa(n))
}
