package bundle

import (
	"net/url"

	"truc/internal/i18n"
)

// Widget is the kind of a form field. The list is closed: an unknown one does not publish.
type Widget string

// The widgets and the JSON value each yields.
const (
	Text        Widget = "text"        // string
	TextArea    Widget = "textarea"    // string
	Number      Widget = "number"      // integer or number
	Money       Widget = "money"       // integer, đồng
	Date3       Widget = "date3"       // string 2006-01-02; inputs name.day .month .year
	Radios      Widget = "radios"      // string
	Checkboxes  Widget = "checkboxes"  // array of strings
	Select      Widget = "select"      // string
	Address     Widget = "address"     // {province, commune, line}; inputs name.province …
	Name        Widget = "name"        // string
	Identity    Widget = "identity"    // string of 12 digits
	Phone       Widget = "phone"       // string
	Email       Widget = "email"       // string
	FileUpload  Widget = "file"        // string, the id of a stored file
	Repeat      Widget = "repeat"      // array of objects; inputs name.0.child
	Declaration Widget = "declaration" // true
)

// Form is an interactive form: a JSON schema (the truth), pages, and texts.
type Form struct {
	// Path is "forms/to-khai".
	Path  string
	Pages []*Page

	schema *schemaNode
	check  *schemaCheck
	env    *celEnv
}

// Page is one thing to ask.
type Page struct {
	ID          string
	Title, Hint i18n.Text
	When        Expr
	Fields      []*Field
}

// Field is one question.
type Field struct {
	Ptr         Pointer
	Widget      Widget
	Label, Hint i18n.Text
	Options     []Option
	When        Expr
	// Optional fields may stay empty; every other field that is shown must be filled.
	Optional bool
	// Past dates may not lie after the day of the question.
	Past         bool
	Autocomplete string
	// MaxLength is in characters; Min and Max are of numbers. 0 / nil = none.
	MaxLength int
	Min, Max  *int64
	// Prefill is the binding of the case that fills the field, nil when none. A readonly one that answered is
	// shown with its source, not asked.
	Prefill *Binding
	// Items are the fields of one entry of a repeat; their Ptr is relative to the entry.
	Items    []*Field
	MaxItems int
	Accept   []string
	MaxBytes int64

	schema *schemaNode
}

// Option is a choice.
type Option struct {
	Value       string
	Label, Hint i18n.Text
}

// Name is the name of the HTML control: the pointer with dots, "requester.fullName".
func (f *Field) Name() string { return f.Ptr.Name() }

// FieldProblem is a fault in an answer. Key is a catalogue key "bundle.form.…".
type FieldProblem struct {
	Ptr Pointer
	// Name is the control to focus: "requester.birthDate.day".
	Name string
	// Page is the page that asks, for the change link.
	Page  string
	Key   string
	Args  []any
	Label i18n.Text
}

// Page returns a page by id, or nil.
func (fm *Form) Page(id string) *Page {
	for _, p := range fm.Pages {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// Visible returns the pages that the answers lead through, in order.
func (fm *Form) Visible(f Facts) []*Page { return fm.visible(f) }

// NextPage returns the page after the one named ("" = the first) that the answers lead to; nil at the end.
func (fm *Form) NextPage(f Facts, after string) *Page { return fm.step(f, after, +1) }

// PrevPage returns the page before the one named that the answers lead through; nil at the start.
func (fm *Form) PrevPage(f Facts, before string) *Page { return fm.step(f, before, -1) }

// VisibleFields returns the fields of a page that the answers show.
func (fm *Form) VisibleFields(p *Page, f Facts) []*Field { return fm.visibleFields(p, f) }

// ReadPage parses the controls of a page into a patch for [Answers.Merge]. Problems are about what cannot be read
// (no such day, no number); [Form.ValidatePage] says what is missing or out of bounds. Locked fields are never
// read, and questions that the new answers hide are removed.
func (fm *Form) ReadPage(p *Page, f Facts, values url.Values) (Answers, []FieldProblem) {
	return fm.readPage(p, f, values)
}

// ValidatePage checks the visible fields of a page.
func (fm *Form) ValidatePage(p *Page, f Facts) []FieldProblem { return fm.validatePage(p, f) }

// Validate checks every visible page and the whole answers against the schema.
func (fm *Form) Validate(f Facts) []FieldProblem { return fm.validateAll(f) }

// Clean returns the answers without those that no visible field asks for, so that a changed mind leaves nothing
// behind that nobody has seen.
func (fm *Form) Clean(f Facts) Answers { return fm.clean(f) }

// Locked reports whether a register filled the field and the person may not change it; the page shows the value
// with its source.
func (f *Field) Locked(facts Facts) bool {
	if f.Prefill == nil || f.Prefill.Mode != "readonly" || !facts.Prefill[f.Prefill.Group()].OK() {
		return false
	}
	_, ok := facts.Answers.Get(f.Ptr)
	return ok
}
