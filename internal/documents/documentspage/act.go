package documentspage

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// actPage is one act: what it does, and what it needs to know.
type actPage struct {
	ui.Page
	ID, Code, Subject, Act, URL string
	Version                     int64
	Tag                         ui.Tag
	Will                        string
	Notices                     []ui.Notice
	Selects                     []ui.Select
	Boxes                       []ui.Checkboxes
	Choices                     []ui.Radios
	Inputs                      []ui.Input
	Texts                       []ui.Textarea
	Button                      ui.Button
	ViewURL                     string
	Open                        bool
}

// deed is how an act is asked and done.
type deed struct {
	// fields of the form: "to", "next", "note", "reason", "receivers", "removed", "when", "at", "lead", "helpers", "due", "instruction", "text",
	// "result".
	fields []string
	// danger marks acts that cannot be taken back.
	danger bool
	// do performs the act and returns the document to show, "" for the same, or the address to go to.
	do func(ctx context.Context, p *Pages, by documents.Actor, id string, in actInput) (next string, err error)
}

// actInput is what was posted.
type actInput struct {
	version int64
	form    url.Values
}

func (in actInput) get(name string) string { return in.form.Get(name) }

// when reads a date and a time of Viet Nam; ok is false for what is no moment.
func (in actInput) when(name string) (t time.Time, ok bool) {
	s := in.get(name)
	if s == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "15:04 02/01/2006"} {
		if t, err := time.ParseInLocation(layout, s, i18n.Zone); err == nil {
			return t.UTC(), true
		}
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, i18n.Zone); err == nil {
		return t.Add(17 * time.Hour).UTC(), true // the end of the working day
	}
	return time.Time{}, false
}

func badMoment(field string) error {
	return errs.E(errs.Invalid, "documents.form_invalid", documents.Problems{field: errs.E(errs.Invalid, "docs.problem.moment", nil)})
}

func simple(f func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error) func(context.Context, *Pages, documents.Actor, string, actInput) (string, error) {
	return func(ctx context.Context, p *Pages, by documents.Actor, id string, in actInput) (string, error) {
		return "", f(p, ctx, by, id, in)
	}
}

// copyDeed makes an electronic copy, of documents of both directions.
func copyDeed() deed {
	return deed{fields: []string{"kind"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
		_, err := p.Desk.Copy(ctx, by, id, documents.CopyKind(in.get("kind")))
		return err
	})}
}

// outgoingDeeds are the acts on outgoing documents.
func outgoingDeeds() map[string]deed {
	amend := func(f func(*documents.Desk, context.Context, documents.Actor, string, documents.AmendForm) (string, error)) deed {
		return deed{fields: []string{"reason", "removed"}, do: func(ctx context.Context, p *Pages, by documents.Actor, id string, in actInput) (string, error) {
			next, err := f(p.Desk, ctx, by, id, documents.AmendForm{Reason: in.get("reason"), Removed: in.form["removed"]})
			return documentURL(documents.Out, next), err
		}}
	}
	revoke := amend((*documents.Desk).Revoke)
	revoke.fields = []string{"reason"}
	return map[string]deed{
		"submit": {fields: []string{"to", "note"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Submit(ctx, by, id, in.version, in.get("to"), in.get("note"))
		})},
		"approve": {fields: []string{"next", "note"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Review(ctx, by, id, in.version, documents.Approve, in.get("next"), in.get("note"))
		})},
		"return": {fields: []string{"reason"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Review(ctx, by, id, in.version, documents.Return, "", in.get("reason"))
		})},
		"discard": {fields: []string{"reason"}, danger: true, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Discard(ctx, by, id, in.version, in.get("reason"))
		})},
		"sign": {do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, _ actInput) error {
			return p.Desk.SignAsPerson(ctx, by, id)
		})},
		"void": {fields: []string{"reason"}, danger: true, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.VoidNumber(ctx, by, id, in.get("reason"))
		})},
		"issue": {fields: []string{"when", "at"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			at, ok := in.when("at")
			if in.get("when") == "at" && (!ok || at.IsZero()) {
				return badMoment("at")
			}
			w := documents.SendWhen{Now: in.get("when") == "now"}
			if in.get("when") == "at" {
				w.At = at
			}
			return p.Desk.Issue(ctx, by, id, w)
		})},
		"send": {do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, _ actInput) error {
			return p.Desk.SendNow(ctx, by, id)
		})},
		"again": {fields: []string{"receivers"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.SendAgain(ctx, by, id, in.form["receivers"])
		})},
		"takeback": {fields: []string{"reason"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.TakeBack(ctx, by, id, in.get("reason"))
		})},
		"schedule": {fields: []string{"at"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			at, ok := in.when("at")
			if !ok {
				return badMoment("at")
			}
			return p.Desk.SendAt(ctx, by, id, at)
		})},
		"recall": {fields: []string{"receivers", "reason"}, danger: true, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Recall(ctx, by, id, in.form["receivers"], in.get("reason"))
		})},
		"copy":   copyDeed(),
		"update": amend((*documents.Desk).Update), "replace": amend((*documents.Desk).Replace), "revoke": revoke,
	}
}

// incomingDeeds are the acts on incoming documents.
func incomingDeeds() map[string]deed {
	answer := func(agree bool) deed {
		return deed{fields: []string{"reason"}, danger: !agree, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.AnswerRecall(ctx, by, id, agree, in.get("reason"))
		})}
	}
	return map[string]deed{
		"accept": {fields: []string{"note"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Accept(ctx, by, id, in.get("note"))
		})},
		"refuse": {fields: []string{"reason"}, danger: true, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Refuse(ctx, by, id, in.get("reason"))
		})},
		"assign": {fields: []string{"lead", "helpers", "due", "instruction"}, do: simple((*Pages).assign)},
		"opine": {fields: []string{"text"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Opine(ctx, by, id, in.get("text"))
		})},
		"progress": {fields: []string{"text"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Progress(ctx, by, id, in.get("text"))
		})},
		"start": {do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, _ actInput) error {
			return p.Desk.Start(ctx, by, id)
		})},
		"finish": {fields: []string{"result"}, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Finish(ctx, by, id, in.get("result"))
		})},
		"reply": {do: func(ctx context.Context, p *Pages, by documents.Actor, id string, _ actInput) (string, error) {
			draft, err := p.Desk.Reply(ctx, by, id)
			return documentURL(documents.Out, draft, "edit"), err
		}},
		"cancel": {fields: []string{"reason"}, danger: true, do: simple(func(p *Pages, ctx context.Context, by documents.Actor, id string, in actInput) error {
			return p.Desk.Cancel(ctx, by, id, in.get("reason"))
		})},
		"agree": answer(true), "decline": answer(false), "copy": copyDeed(),
	}
}

func (p *Pages) assign(ctx context.Context, by documents.Actor, id string, in actInput) error {
	due, ok := in.when("due")
	if !ok {
		return badMoment("due")
	}
	if in.get("lead") == "" {
		return errs.E(errs.Invalid, "documents.form_invalid", documents.Problems{"lead": errs.E(errs.Invalid, "documents.field_missing", nil)})
	}
	f := documents.AssignForm{Lead: documents.Share{Account: in.get("lead")}, Due: due, Instruction: in.get("instruction")}
	for _, account := range in.form["helpers"] {
		if account != in.get("lead") {
			f.Helpers = append(f.Helpers, documents.Share{Account: account})
		}
	}
	return p.Desk.Assign(ctx, by, id, f)
}

func (p *Pages) outgoingAct(w http.ResponseWriter, r *http.Request) error {
	return p.showAct(w, r, documents.Out, nil, nil)
}

func (p *Pages) outgoingActDo(w http.ResponseWriter, r *http.Request) error {
	return p.doAct(w, r, documents.Out)
}

func (p *Pages) incomingAct(w http.ResponseWriter, r *http.Request) error {
	return p.showAct(w, r, documents.In, nil, nil)
}

func (p *Pages) incomingActDo(w http.ResponseWriter, r *http.Request) error {
	return p.doAct(w, r, documents.In)
}

// subject is the document an act is about.
type subject struct {
	out    *documents.Outgoing
	in     *documents.Incoming
	offers []offer
	deed   deed
}

func (p *Pages) subjectOf(r *http.Request, dir documents.Direction) (s subject, err error) {
	by, name := p.who(r), r.PathValue("act")
	var known bool
	if dir == documents.Out {
		if s.out, err = p.Desk.Outgoing(r.Context(), by, r.PathValue("id")); err != nil {
			return s, err
		}
		s.deed, known = outgoingDeeds()[name]
		s.offers = outgoingOffers(by, s.out)
	} else {
		if s.in, err = p.Desk.Incoming(r.Context(), by, r.PathValue("id")); err != nil {
			return s, err
		}
		s.deed, known = incomingDeeds()[name]
		s.offers = incomingOffers(by, s.in)
		if by.Has(documents.RoleClerk) && s.in.State == documents.Arrived { // their forms stand on the pre-check page
			s.offers = append(s.offers, offer{name: "accept"}, offer{name: "refuse"})
		}
	}
	if !known {
		return s, errs.E(errs.NotFound, "docs.problem.act_unknown", nil)
	}
	return s, nil
}

// doAct performs an act. Whatever goes wrong, the page comes back with what was typed.
func (p *Pages) doAct(w http.ResponseWriter, r *http.Request, dir documents.Direction) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	s, err := p.subjectOf(r, dir)
	if err != nil {
		return err
	}
	version, err := versionOf(form)
	if err != nil {
		return err
	}
	id, name := r.PathValue("id"), r.PathValue("act")
	next, err := s.deed.do(r.Context(), p, p.who(r), id, actInput{version: version, form: form})
	if err != nil {
		switch errs.KindOf(err) {
		case errs.Invalid, errs.Conflict, errs.Unavailable, errs.TooLarge:
			return p.showAct(w, r, dir, form, err)
		default:
			return err
		}
	}
	ui.Flash(w, "docs.flash."+name)
	if next == "" {
		next = documentURL(dir, id)
	}
	return web.SeeOther(w, r, next)
}

// showAct draws the form of an act; failed is what went wrong when it was done.
func (p *Pages) showAct(w http.ResponseWriter, r *http.Request, dir documents.Direction, form url.Values, failed error) error {
	s, err := p.subjectOf(r, dir)
	if err != nil {
		return err
	}
	name, id := r.PathValue("act"), r.PathValue("id")
	page := actPage{Page: p.newPage(r, "docs.act."+name), ID: id, Act: name, URL: documentURL(dir, id, "do", name), Open: offered(s.offers, name)}
	page.Back = documentURL(dir, id)
	if s.out != nil {
		page.Code, page.Subject, page.Version, page.Tag = s.out.Code.String(), s.out.Form.Subject, s.out.Version, stateTag(page.Page, s.out.State)
		if s.out.Code.Number == "" {
			page.Code = page.T("docs.list.no_number")
		}
	} else {
		page.Code, page.Subject, page.Version, page.Tag = s.in.Arrival.Code.String(), s.in.Arrival.Subject, s.in.Version, stateTag(page.Page, s.in.State)
	}
	status := http.StatusOK
	if failed != nil {
		status = statusOf(failed)
		page.Problems = p.actProblems(r, s, failed)
		if len(page.Problems) == 0 {
			page.Notices = append(page.Notices, ui.Notice{Tone: ui.Late, Alert: true, Title: page.T("docs.act.not_done"), Text: p.text(page.Lang, failed)})
		}
	} else if !page.Open {
		status = http.StatusConflict
		page.Notices = append(page.Notices, ui.Notice{Tone: ui.Soon, Title: page.T("docs.act.not_now"), Text: page.T("docs.act.not_now_text")})
	}
	page.Will = page.T("docs.act." + name + "_will")
	if err := p.fillAct(r, &page, s, form); err != nil {
		return err
	}
	page.Button = ui.Button{Text: page.T("docs.act." + name + "_button")}
	if s.deed.danger {
		page.Button.Kind = "danger"
	}
	return p.templates.Render(w, r, status, "act", page)
}

// actProblems are faults at fields of the act.
func (p *Pages) actProblems(r *http.Request, s subject, failed error) ui.Problems {
	all := p.problems(r, failed)
	out := slices.DeleteFunc(all, func(x ui.Problem) bool { return !slices.Contains(s.deed.fields, x.Field) })
	key, _ := errs.KeyOf(failed)
	field := map[string]string{
		"documents.reason_missing": "reason", "documents.text_invalid": "text", "documents.person_unknown": "to", "documents.to_oneself": "to",
		"documents.send_at_invalid": "at", "documents.due_invalid": "due", "documents.receivers_missing": "receivers", "documents.person_twice": "helpers", "documents.copy_unknown": "kind",
	}[key]
	if field != "" && slices.Contains(s.deed.fields, field) {
		out.AddText(field, p.text(p.newPage(r, "").Lang, failed))
	}
	return out
}
