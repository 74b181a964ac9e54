package servicespage

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// field is one widget of a bundle drawn with the components of package ui; one of the pointers is set.
type field struct {
	Input    *ui.Input
	Textarea *ui.Textarea
	Radios   *ui.Radios
	Checks   *ui.Checkboxes
	Select   *ui.Select
	Date     *ui.Date3
	File     *ui.File
	Address  *addressField
	Repeat   *repeatField
	// Note tells what a register said when the person says otherwise, or that it knows nothing.
	Note string
}

// addressField asks for a place in two steps that work without scripts: the province, then its communes.
type addressField struct {
	Name, Legend, Hint string
	Big                bool
	Province           ui.Select
	Commune            *ui.Select
	Line               ui.Input
	Load               ui.Button
}

// ID is the id of the group.
func (a addressField) ID() string { return ui.FieldID(a.Name) }

// Error is at the controls, never at the group.
func (a addressField) Error() *ui.Problem { return nil }

// repeatField is a list of entries with the same questions.
type repeatField struct {
	Name, Legend, Hint string
	Big                bool
	Error              *ui.Problem
	Entries            []repeatEntry
	Add                *ui.Button
}

// ID is the id of the group.
func (f repeatField) ID() string { return ui.FieldID(f.Name) }

type repeatEntry struct {
	Legend string
	Fields []field
	Remove *ui.Button
}

// big makes the only field of a page carry the question as h1.
func (f *field) big(title, hint string) {
	pick := func(label, own *string, isBig *bool) {
		*label, *isBig = title, true
		if *own == "" {
			*own = hint
		}
	}
	switch {
	case f.Input != nil:
		pick(&f.Input.Label, &f.Input.Hint, &f.Input.Big)
	case f.Textarea != nil:
		pick(&f.Textarea.Label, &f.Textarea.Hint, &f.Textarea.Big)
	case f.Radios != nil:
		pick(&f.Radios.Legend, &f.Radios.Hint, &f.Radios.Big)
	case f.Checks != nil:
		f.Checks.NoLegend = false
		pick(&f.Checks.Legend, &f.Checks.Hint, &f.Checks.Big)
	case f.Select != nil:
		pick(&f.Select.Label, &f.Select.Hint, &f.Select.Big)
	case f.Date != nil:
		pick(&f.Date.Legend, &f.Date.Hint, &f.Date.Big)
	case f.File != nil:
		pick(&f.File.Label, &f.File.Hint, &f.File.Big)
	case f.Address != nil:
		pick(&f.Address.Legend, &f.Address.Hint, &f.Address.Big)
	case f.Repeat != nil:
		pick(&f.Repeat.Legend, &f.Repeat.Hint, &f.Repeat.Big)
	}
}

// fieldBuilder draws fields with the values of the form.
type fieldBuilder struct {
	p      *Pages
	page   ui.Page
	values url.Values
}

// note says beside a field what became of the question to its register.
func (b *fieldBuilder) note(x *field, source *services.Prefilled) {
	if source == nil {
		return
	}
	switch name := b.p.sourceName(b.page.Lang, source.Source); source.Status {
	case services.PrefillDiff:
		x.Note = b.page.T("services.apply.register_says", "register", name, "value", source.Value)
	case services.PrefillEmpty:
		x.Note = b.page.T("services.apply.register_empty", "register", name)
	case services.PrefillOK:
		if x.Input != nil && x.Input.Value == source.Value {
			x.Input.Source = &ui.Source{Register: name, At: source.At}
		}
	default: // the page says once that the register is silent
	}
}

// options are the choices of a field in the language of the page.
func (b *fieldBuilder) options(f *bundle.Field) []ui.Option {
	out := make([]ui.Option, len(f.Options))
	for i, o := range f.Options {
		out[i] = ui.Option{Value: o.Value, Label: o.Label.In(b.page.Lang), Hint: o.Hint.In(b.page.Lang)}
	}
	return out
}

// field draws one field whose controls are called name.
func (b *fieldBuilder) field(f *bundle.Field, name string) field {
	label, hint, value := f.Label.In(b.page.Lang), f.Hint.In(b.page.Lang), b.values.Get(name)
	problem := b.page.Problems.For(name)
	switch f.Widget {
	case bundle.TextArea:
		return field{Textarea: &ui.Textarea{Name: name, Label: label, Hint: hint, Value: value, Error: problem, MaxLength: f.MaxLength, Optional: f.Optional}}
	case bundle.Radios:
		options := b.options(f)
		short := len(options) == 2 && options[0].Hint == "" && options[1].Hint == "" && len(options[0].Label)+len(options[1].Label) < 30
		return field{Radios: &ui.Radios{Name: name, Legend: label, Hint: hint, Value: value, Options: options, Error: problem, Optional: f.Optional, Inline: short}}
	case bundle.Checkboxes:
		return field{Checks: &ui.Checkboxes{Name: name, Legend: label, Hint: hint, Values: b.values[name], Options: b.options(f), Error: problem}}
	case bundle.Select:
		return field{Select: &ui.Select{
			Name: name, Label: label, Hint: hint, Value: value, Empty: b.page.T("services.choose"), Options: b.options(f), Error: problem, Optional: f.Optional,
		}}
	case bundle.Declaration:
		c := &ui.Checkboxes{Name: name, Legend: b.page.T("services.check.declaration"), NoLegend: true, Error: problem, Options: []ui.Option{{Value: "true", Label: label}}}
		if value != "" {
			c.Values = []string{"true"}
		}
		return field{Checks: c}
	case bundle.Date3:
		return field{Date: b.date(f, name, label, hint)}
	case bundle.Address:
		return field{Address: b.address(name, label, hint)}
	case bundle.FileUpload:
		return field{File: b.file(f, name, label, hint)}
	case bundle.Repeat:
		return field{Repeat: b.repeat(f, name, label, hint)}
	default:
		return field{Input: b.input(f, name, label, hint)}
	}
}

func (b *fieldBuilder) input(f *bundle.Field, name, label, hint string) *ui.Input {
	in := &ui.Input{
		Name: name, Label: label, Hint: hint, Value: b.values.Get(name), Error: b.page.Problems.For(name), Autocomplete: f.Autocomplete, Optional: f.Optional,
	}
	switch f.Widget {
	case bundle.Number:
		in.InputMode, in.Width = "numeric", "5"
	case bundle.Money:
		in.InputMode, in.Width, in.Suffix = "numeric", "12", b.page.T("services.money_unit")
	case bundle.Identity:
		in.InputMode, in.Width = "numeric", "12"
	case bundle.Phone:
		in.Type, in.Width = "tel", "20"
	case bundle.Email:
		in.Type = "email"
	default: // plain text
	}
	return in
}

func (b *fieldBuilder) date(f *bundle.Field, name, label, hint string) *ui.Date3 {
	d := &ui.Date3{
		Name: name, Legend: label, Hint: hint, Day: b.values.Get(name + ".day"), Month: b.values.Get(name + ".month"), Year: b.values.Get(name + ".year"),
		Birthday: f.Autocomplete == "bday", Optional: f.Optional,
	}
	for _, part := range []string{"", ".month", ".year"} {
		if x := b.page.Problems.For(name + part); x != nil && d.Error == nil {
			d.Error = x
		}
	}
	if f.Optional {
		d.Legend += " " + b.page.T("ui.optional")
	}
	return d
}

func (b *fieldBuilder) address(name, label, hint string) *addressField {
	province := b.values.Get(name + ".province")
	unit := func(full, en string) string {
		if b.page.Lang == "en" && en != "" {
			return en
		}
		return full
	}
	a := &addressField{Name: name, Legend: label, Hint: hint}
	a.Province = ui.Select{
		Name: name + ".province", Label: b.page.T("services.address.province"), Value: province, Empty: b.page.T("services.choose"),
		Error: first(b.page.Problems.For(name+".province"), b.page.Problems.For(name)),
	}
	for _, u := range b.p.Places.Provinces() {
		a.Province.Options = append(a.Province.Options, ui.Option{Value: u.Code, Label: unit(u.FullName, u.FullNameEn)})
	}
	a.Load = ui.Button{Text: b.page.T("services.address.load"), Kind: "secondary", Name: "load", Value: name, NoValidate: true}
	communes := b.p.Places.Communes(province)
	if len(communes) == 0 {
		return a
	}
	a.Load.Text = b.page.T("services.address.reload")
	a.Commune = &ui.Select{
		Name: name + ".commune", Label: b.page.T("services.address.commune_label"), Value: b.values.Get(name + ".commune"),
		Empty: b.page.T("services.choose"), Error: b.page.Problems.For(name + ".commune"),
	}
	for _, u := range communes {
		a.Commune.Options = append(a.Commune.Options, ui.Option{Value: u.Code, Label: unit(u.FullName, u.FullNameEn)})
	}
	a.Line = ui.Input{
		Name: name + ".line", Label: b.page.T("services.address.line"), Hint: b.page.T("services.address.line_hint"), Value: b.values.Get(name + ".line"),
		Autocomplete: "street-address", Error: b.page.Problems.For(name + ".line"),
	}
	return a
}

func first(list ...*ui.Problem) *ui.Problem {
	for _, x := range list {
		if x != nil {
			return x
		}
	}
	return nil
}

func (b *fieldBuilder) file(f *bundle.Field, name, label, hint string) *ui.File {
	x := &ui.File{Name: name, Label: label, Hint: hint, Error: b.page.Problems.For(name), Optional: f.Optional}
	x.Accept, x.MaxMB = limits(f.Accept, f.MaxBytes)
	if sha := b.values.Get(name); sha != "" {
		x.Current = []ui.FileItem{{Name: b.page.T("services.paper.kept")}}
	}
	return x
}

func (b *fieldBuilder) repeat(f *bundle.Field, name, label, hint string) *repeatField {
	out := &repeatField{Name: name, Legend: label, Hint: hint, Error: b.page.Problems.For(name)}
	n := max(1, entries(b.values, name))
	for i := range n {
		at := strconv.Itoa(i)
		e := repeatEntry{Legend: b.page.T("services.repeat.entry", "n", i+1)}
		for _, item := range f.Items {
			e.Fields = append(e.Fields, b.field(item, name+"."+at+"."+item.Ptr.Name()))
		}
		if n > 1 {
			e.Remove = &ui.Button{Text: b.page.T("services.repeat.remove", "n", i+1), Kind: "link", Name: "remove", Value: name + "." + at, NoValidate: true}
		}
		out.Entries = append(out.Entries, e)
	}
	if n < most(f) {
		out.Add = &ui.Button{Text: b.page.T("services.repeat.add"), Kind: "secondary", Name: "add", Value: name, NoValidate: true}
	}
	return out
}

// most is the greatest number of entries of a repeat.
func most(f *bundle.Field) int {
	if f.MaxItems > 0 {
		return f.MaxItems
	}
	return 20
}

// entries counts the entries of a repeat in a form: one more than the greatest index.
func entries(values url.Values, name string) int {
	n := 0
	for k := range values {
		rest, ok := strings.CutPrefix(k, name+".")
		if !ok {
			continue
		}
		index, _, _ := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < 100 {
			n = max(n, i+1)
		}
	}
	return n
}

// reshape adds an entry to a repeat or takes one out, if its buttons were pressed.
func reshape(f *bundle.Field, values url.Values) bool {
	name := f.Name()
	if values.Get("add") == name {
		n := entries(values, name)
		if n < most(f) && len(f.Items) > 0 {
			values.Set(name+"."+strconv.Itoa(max(1, n))+"."+f.Items[0].Ptr.Name(), "")
		}
		return true
	}
	index, ok := strings.CutPrefix(values.Get("remove"), name+".")
	gone, err := strconv.Atoi(index)
	if !ok || err != nil || gone < 0 {
		return false
	}
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	moved := url.Values{}
	for _, k := range keys {
		rest, ok := strings.CutPrefix(k, name+".")
		if !ok {
			continue
		}
		index, tail, _ := strings.Cut(rest, ".")
		i, err := strconv.Atoi(index)
		if err != nil {
			continue
		}
		if i > gone {
			moved[name+"."+strconv.Itoa(i-1)+"."+tail] = values[k]
		}
		if i >= gone {
			delete(values, k)
		}
	}
	maps.Copy(values, moved)
	return true
}

// takeFiles keeps the files of a page's file fields and puts their hashes into values. A hash that the browser sent
// by itself is replaced by what the draft holds, so that nobody points at somebody else's file.
func (p *Pages) takeFiles(r *http.Request, v *services.DraftView, pg *bundle.Page, values url.Values, files []web.Upload) (ui.Problems, error) {
	var out ui.Problems
	for _, f := range pg.Fields {
		if f.Widget != bundle.FileUpload {
			continue
		}
		values.Del(f.Name())
		if have := v.Draft.Body.Answers.String(f.Ptr); have != "" {
			values.Set(f.Name(), have)
		}
		i := slices.IndexFunc(files, func(x web.Upload) bool { return x.Field == f.Name() })
		if i < 0 {
			continue
		}
		problem, sha, err := p.keepFile(r, f, files[i])
		if err != nil {
			return nil, err
		}
		if problem != nil {
			out = append(out, *problem)
			continue
		}
		values.Set(f.Name(), sha)
	}
	return out, nil
}
