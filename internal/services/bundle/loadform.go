package bundle

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"truc/internal/i18n"
)

type rawUI struct {
	Pages []rawPage `yaml:"pages,required"`
}

type rawPage struct {
	ID     string     `yaml:"id,required"`
	Title  string     `yaml:"title"` // key of the texts; default page.<id>
	Hint   string     `yaml:"hint"`
	When   Expr       `yaml:"when"`
	Fields []rawField `yaml:"fields,required"`
}

type rawField struct {
	Ptr          Pointer    `yaml:"ptr,required"`
	Widget       string     `yaml:"widget,required"`
	Label        string     `yaml:"label"` // key of the texts; default the pointer
	Hint         string     `yaml:"hint"`
	When         Expr       `yaml:"when"`
	Optional     bool       `yaml:"optional"`
	Past         bool       `yaml:"past"`
	Autocomplete string     `yaml:"autocomplete"`
	MaxItems     int        `yaml:"maxItems"`
	Accept       []string   `yaml:"accept"`
	MaxBytes     int64      `yaml:"maxBytes"`
	Items        []rawField `yaml:"items"`
}

// widgetTypes are the schema types that suit each widget.
var widgetTypes = map[Widget][]string{
	Text: {"string"}, TextArea: {"string"}, Number: {"integer", "number"}, Money: {"integer"}, Date3: {"string"},
	Radios: {"string"}, Checkboxes: {"array"}, Select: {"string"}, Address: {"object"}, Name: {"string"},
	Identity: {"string"}, Phone: {"string"}, Email: {"string"}, FileUpload: {"string"}, Repeat: {"array"},
	Declaration: {"boolean"},
}

// Widgets are all widgets, in the order of the specification.
func Widgets() []Widget {
	return []Widget{
		Text, TextArea, Number, Money, Date3, Radios, Checkboxes, Select, Address, Name, Identity, Phone, Email,
		FileUpload, Repeat, Declaration,
	}
}

// wantForm notes that a form is referred to; readForms reads it.
func (l *loader) wantForm(p *Procedure, path, file string, line int) {
	if _, ok := p.forms[path]; ok {
		return
	}
	if _, ok := l.files.data[path+".schema.json"]; !ok || !strings.HasPrefix(path, "forms/") {
		l.bad(file, line, "noForm", "form", path)
		return
	}
	p.forms[path] = &Form{Path: path}
}

func (l *loader) readForms(p *Procedure) {
	mains := map[*Form]bool{}
	for _, c := range p.Cases {
		mains[p.Form(c)] = true
	}
	for _, fm := range p.forms {
		r := &formReader{l: l, fm: fm, main: mains[fm], texts: map[string]*node{}, used: map[string]bool{}, asked: map[Pointer]*Field{}}
		r.read()
	}
}

// formReader builds one form.
type formReader struct {
	l     *loader
	fm    *Form
	main  bool // prefill bindings speak of the form of a case only
	texts map[string]*node
	used  map[string]bool
	asked map[Pointer]*Field
	pages map[*Field]*Page
}

func (r *formReader) file(ending string) string { return r.fm.Path + ending }

func (r *formReader) read() {
	schema := r.l.file(r.file(".schema.json"), false)
	uiNode := r.l.file(r.file(".ui.json"), false)
	for _, lang := range i18n.Langs {
		n := r.l.file(r.file("."+lang+".yaml"), lang != "vi")
		if n == nil {
			continue
		}
		if n.kind != mapNode {
			r.l.bad(r.file("."+lang+".yaml"), n.line, "wrongType", "want", "khóa: câu chữ / key: text")
			continue
		}
		r.texts[lang] = n
	}
	if schema == nil || uiNode == nil || r.texts["vi"] == nil {
		return
	}
	before := len(r.l.problems)
	r.fm.schema = readSchema(schema, r.l.at(r.file(".schema.json")))
	if r.fm.schema.Type != "object" && len(r.l.problems) == before {
		r.l.bad(r.file(".schema.json"), schema.line, "widgetType", "widget", "form", "want", "object", "got", r.fm.schema.Type)
	}
	if len(r.l.problems) > before {
		return
	}
	check, err := newSchemaCheck(schema.plain())
	if err != nil {
		r.l.bad(r.file(".schema.json"), 1, "schema", "what", strings.Join(strings.Fields(err.Error()), " "))
		return
	}
	r.fm.check = check
	var groups []string
	if r.main {
		groups = r.l.groups
	}
	if r.fm.env, err = newCELEnv(r.fm.schema, groups, r.l.tables); err != nil {
		r.l.bad(r.file(".schema.json"), 1, "cel", "what", err)
		return
	}
	var raw rawUI
	d := &decoder{file: r.file(".ui.json"), bad: r.l.bad}
	d.decode(uiNode, &raw)
	r.readPages(&raw, uiNode)
	if len(r.l.problems) > before {
		return // a field that could not be read would also be told as not asked
	}
	r.checkAsked(schema)
	r.checkTexts()
}

func (r *formReader) readPages(raw *rawUI, n *node) {
	ui := r.file(".ui.json")
	r.pages = map[*Field]*Page{}
	for i := range raw.Pages {
		rp := &raw.Pages[i]
		if !plainName.MatchString(rp.ID) || r.fm.Page(rp.ID) != nil {
			r.l.bad(ui, n.at("pages", i, "id"), "badName", "name", rp.ID)
		}
		line := n.at("pages", i)
		p := &Page{ID: rp.ID, When: rp.When}
		p.Title = r.text(or(rp.Title, "page."+rp.ID), true, line)
		p.Hint = r.text(or(rp.Hint, "page."+rp.ID+"#hint"), rp.Hint != "", line)
		r.l.compile(r.fm.env, ui, n.at("pages", i, "when"), rp.When, cel.BoolType)
		r.fm.Pages = append(r.fm.Pages, p)
		for j := range rp.Fields {
			fn := n.item("pages", i).item("fields", j)
			f := r.field(&rp.Fields[j], fn, "", r.fm.schema)
			if f == nil {
				continue
			}
			if r.asked[f.Ptr] != nil {
				r.l.bad(ui, fn.at("ptr"), "askedTwice", "ptr", f.Ptr)
			}
			r.asked[f.Ptr] = f
			r.pages[f] = p
			if r.main {
				f.Prefill = r.l.bindings[f.Ptr]
			}
			p.Fields = append(p.Fields, f)
		}
	}
}

// field reads one field; prefix is the text key of the repeat it stands in.
func (r *formReader) field(raw *rawField, n *node, prefix string, schema *schemaNode) *Field {
	ui := r.file(".ui.json")
	f := &Field{
		Ptr: raw.Ptr, Widget: Widget(raw.Widget), When: raw.When, Optional: raw.Optional, Past: raw.Past, Autocomplete: raw.Autocomplete,
		MaxItems: raw.MaxItems, Accept: raw.Accept, MaxBytes: raw.MaxBytes,
	}
	types, ok := widgetTypes[f.Widget]
	if !ok {
		r.l.bad(ui, n.at("widget"), "widget", "widget", raw.Widget, "known", strings.Trim(fmt.Sprint(Widgets()), "[]"))
		return nil
	}
	if f.schema = schema.find(raw.Ptr); f.schema == nil {
		r.l.bad(ui, n.at("ptr"), "noProperty", "ptr", prefix+string(raw.Ptr))
		return nil
	}
	if !slices.Contains(types, f.schema.Type) {
		r.l.bad(ui, n.at("widget"), "widgetType", "widget", f.Widget, "want", strings.Join(types, "/"), "got", f.schema.Type)
		return nil
	}
	f.MaxLength, f.Min, f.Max = f.schema.MaxLen, f.schema.Min, f.schema.Max
	if f.MaxItems == 0 {
		f.MaxItems = f.schema.MaxItems
	}
	key := prefix + string(raw.Ptr)
	f.Label = r.text(or(raw.Label, key), true, n.line)
	f.Hint = r.text(or(raw.Hint, key+"#hint"), raw.Hint != "", n.line)
	if prefix == "" {
		r.l.compile(r.fm.env, ui, n.at("when"), raw.When, cel.BoolType)
	} else if raw.When != "" {
		r.l.bad(ui, n.at("when"), "unknownKey", "key", "when", "known", "ptr, widget, optional")
	}
	r.options(f, key, n)
	if f.Widget == Address {
		for _, k := range []string{"province", "commune", "line"} {
			if s := f.schema.prop(k); s == nil || s.Type != "string" {
				r.l.bad(ui, n.at("ptr"), "noProperty", "ptr", string(raw.Ptr)+"/"+k)
			}
		}
	}
	if f.Widget == Repeat {
		r.repeat(f, raw, n, key)
	}
	return f
}

func (r *formReader) options(f *Field, key string, n *node) {
	enum := f.schema.Enum
	switch f.Widget {
	case Checkboxes:
		if f.schema.Items != nil {
			enum = f.schema.Items.Enum
		}
	case Radios, Select:
	default:
		return
	}
	if len(enum) == 0 {
		r.l.bad(r.file(".ui.json"), n.at("widget"), "noOptions", "widget", f.Widget)
	}
	for _, v := range enum {
		k := key + "=" + v
		f.Options = append(f.Options, Option{Value: v, Label: r.text(k, true, n.line), Hint: r.text(k+"#hint", false, n.line)})
	}
}

func (r *formReader) repeat(f *Field, raw *rawField, n *node, key string) {
	if f.schema.Items == nil || f.schema.Items.Type != "object" || len(raw.Items) == 0 {
		r.l.bad(r.file(".ui.json"), n.at("items"), "missingKey", "key", "items")
		return
	}
	for i := range raw.Items {
		in := n.item("items", i)
		if w := Widget(raw.Items[i].Widget); w == Repeat || w == FileUpload {
			r.l.bad(r.file(".ui.json"), in.at("widget"), "widget", "widget", w, "known", "text, number, date3, …")
			continue
		}
		if x := r.field(&raw.Items[i], in, key+"/*", f.schema.Items); x != nil {
			f.Items = append(f.Items, x)
		}
	}
}

func or(s, d string) string {
	if s != "" {
		return s
	}
	return d
}

// text looks a key up in every language. A text that must be there must be there in every language that has a file.
func (r *formReader) text(key string, must bool, line int) i18n.Text {
	t := i18n.Text{}
	r.used[key] = true
	for _, lang := range i18n.Langs {
		n := r.texts[lang]
		if n == nil {
			continue
		}
		s := i18n.NFC(n.get(key).textOr(""))
		if s != "" {
			t[lang] = s
		} else if must {
			r.l.bad(r.file(".ui.json"), line, "noText", "key", key, "file", r.file("."+lang+".yaml"))
		}
	}
	if len(t) == 0 {
		return nil
	}
	return t
}

func (r *formReader) checkTexts() {
	for lang, n := range r.texts {
		for i, k := range n.keys {
			if !r.used[k] {
				r.l.bad(r.file("."+lang+".yaml"), n.keyLines[i], "spareText", "key", k)
			}
		}
	}
}

// checkAsked compares schema and pages: what the schema holds is asked, and what it requires cannot be hidden.
func (r *formReader) checkAsked(n *node) {
	schema := r.file(".schema.json")
	var walk func(s *schemaNode, at Pointer, n *node, needed bool)
	walk = func(s *schemaNode, at Pointer, n *node, needed bool) {
		for _, p := range s.Props {
			ptr := at.Join(p.Name)
			line := n.get("properties").at(p.Name)
			must := needed && slices.Contains(s.Required, p.Name)
			if must && !r.always(ptr) {
				r.l.bad(schema, n.get("required").at(slices.Index(s.Required, p.Name)), "hiddenNeed", "ptr", ptr)
			}
			if r.asked[ptr] != nil {
				continue
			}
			if p.Schema.Type != "object" || len(p.Schema.Props) == 0 {
				r.l.bad(schema, line, "notAsked", "ptr", ptr)
				continue
			}
			walk(p.Schema, ptr, n.get("properties").get(p.Name), must)
		}
	}
	walk(r.fm.schema, "", n, true)
}

// always reports whether some field at or below a pointer is asked of everybody.
func (r *formReader) always(ptr Pointer) bool {
	for _, f := range r.asked {
		if within(f.Ptr, ptr) && f.When == "" && !f.Optional && r.pages[f].When == "" {
			return true
		}
	}
	return false
}
