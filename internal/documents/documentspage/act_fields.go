package documentspage

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"truc/internal/documents"
	"truc/internal/i18n"
	"truc/internal/web/ui"
)

// fillAct puts the fields of an act on its page.
func (p *Pages) fillAct(r *http.Request, page *actPage, s subject, form url.Values) error {
	for _, name := range s.deed.fields {
		if err := p.fillField(r, page, s, name, form); err != nil {
			return err
		}
	}
	if s.out == nil {
		return nil
	}
	switch {
	case s.out.State == documents.Reviewing || s.out.State == documents.Approved:
		page.ViewURL = documentURL(documents.Out, s.out.ID, "preview")
	case s.out.Main == nil && s.out.Signed != nil:
		page.ViewURL = documentURL(documents.Out, s.out.ID, "files", s.out.Signed.ID)
	}
	return nil
}

func (p *Pages) fillField(r *http.Request, page *actPage, s subject, name string, form url.Values) error {
	value, problem, by := form.Get(name), page.Problems.For(name), p.who(r)
	label, hint := page.T("docs.ask."+name), ""
	if key := "docs.ask." + name + "_hint"; p.Messages.Has("vi", key) {
		hint = page.T(key)
	}
	switch name {
	case "to", "next", "lead":
		people, err := p.Desk.People(r.Context(), by, "")
		if err != nil {
			return err
		}
		field := ui.Select{Name: name, Label: label, Hint: hint, Value: value, Empty: page.T("docs.field.choose"), Error: problem, Options: options(people)}
		if name != "lead" && s.out != nil {
			field.Empty = page.T("docs.ask.signer_at_once")
			field.Options = slices.DeleteFunc(field.Options, func(o ui.Option) bool { return o.Value == by.Account || o.Value == s.out.Form.Signer })
		}
		page.Selects = append(page.Selects, field)
	case "helpers":
		people, err := p.Desk.People(r.Context(), by, "")
		if err != nil {
			return err
		}
		page.Boxes = append(page.Boxes, ui.Checkboxes{Name: name, Legend: label, Hint: hint, Values: form[name], Error: problem, Options: options(people)})
	case "receivers", "removed":
		box := ui.Checkboxes{Name: name, Legend: label, Hint: hint, Values: form[name], Error: problem}
		for _, x := range s.out.Receivers() {
			box.Options = append(box.Options, ui.Option{Value: x.Code, Label: x.Name, Hint: x.Code})
		}
		page.Boxes = append(page.Boxes, box)
	case "when":
		page.Choices = append(page.Choices, p.whenField(page, s, label, value))
	case "kind":
		if value == "" {
			value = string(documents.CopyWhole)
		}
		page.Choices = append(page.Choices, ui.Radios{Name: name, Legend: label, Value: value, Error: problem, Options: []ui.Option{
			{Value: string(documents.CopyWhole), Label: page.T("docs.ask.copy_whole")}, {Value: string(documents.CopyOfCopy), Label: page.T("docs.ask.copy_of_copy")},
		}})
	case "at", "due":
		page.Inputs = append(page.Inputs, ui.Input{Name: name, Label: label, Hint: hint, Value: value, Type: "datetime-local", Optional: true, Error: problem})
	default: // texts
		optional := name == "note" || name == "result" || name == "instruction" || name == "reason" && (page.Act == "discard" || page.Act == "cancel" || page.Act == "takeback" || page.Act == "agree")
		page.Texts = append(page.Texts, ui.Textarea{Name: name, Label: label, Hint: hint, Value: value, Rows: 4, Optional: optional, Error: problem})
	}
	return nil
}

// whenField asks when an issued document leaves, and says what the law allows.
func (p *Pages) whenField(page *actPage, s subject, label, value string) ui.Radios {
	if value == "" {
		value = "now"
	}
	field := ui.Radios{Name: "when", Legend: label, Value: value}
	if len(s.out.Form.Receivers) == 0 {
		field.Value = "later"
		field.Options = []ui.Option{{Value: "later", Label: page.T("docs.ask.when_nobody")}}
		return field
	}
	limit := ""
	if due, err := p.Desk.SendLimit(s.out); err == nil && !due.IsZero() {
		limit = page.T("docs.ask.when_limit", "at", i18n.DateTime(due.In(time.UTC)))
	}
	field.Options = []ui.Option{
		{Value: "now", Label: page.T("docs.ask.when_now")},
		{Value: "at", Label: page.T("docs.ask.when_at"), Hint: limit},
		{Value: "later", Label: page.T("docs.ask.when_later"), Hint: limit},
	}
	return field
}
