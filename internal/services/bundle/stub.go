package bundle

import (
	"io"
	"io/fs"
	"net/url"
	"time"
)

type (
	templateSet struct{}
	celEnv      struct{}
	schemaNode  struct{}
	schemaCheck struct{}
)

func (p *Procedure) fee(*Case, Facts) (FeeQuote, error)                 { return FeeQuote{}, nil }
func (p *Procedure) pickCase(Facts) (*Case, error)                      { return p.Cases[0], nil }
func (p *Procedure) papers(*Case, Facts) ([]PaperNeed, error)           { return nil, nil }
func (p *Procedure) allowed(Facts, []string) []ActionState              { return nil }
func (p *Procedure) may(Facts, string, []string) ActionState            { return ActionState{} }
func (fl *Flow) next(string, string, string) (Step, error)              { return Step{}, nil }
func (e *celEnv) guard(Expr, Facts) (bool, error)                       { return false, nil }
func (t *templateSet) render(string, *DocumentData) ([]byte, error)     { return nil, nil }
func (t *templateSet) renderText(string, *DocumentData) (string, error) { return "", nil }
func (fm *Form) visible(Facts) []*Page                                  { return nil }
func (fm *Form) step(Facts, string, int) *Page                          { return nil }
func (fm *Form) visibleFields(*Page, Facts) []*Field                    { return nil }
func (fm *Form) readPage(*Page, url.Values) (Answers, []FieldProblem)   { return nil, nil }
func (fm *Form) validatePage(*Page, Facts) []FieldProblem               { return nil }
func (fm *Form) validateAll(Facts) []FieldProblem                       { return nil }
func (fm *Form) clean(Facts) Answers                                    { return nil }

// Places names provinces and communes, for people to read.
type Places func(province, commune string) (provinceName, communeName string)

// Rows lists the visible questions and answers for the check page and the printed form.
func (fm *Form) Rows(f Facts, lang string, places Places) []AnswerRow { return nil }

// Control returns the text an answer has in the controls of its field, to show it again: "name" → value.
func (f *Field) Control(a Answers) url.Values { return nil }

// ArgsIn returns Args with the label of the field in lang under "label".
func (p FieldProblem) ArgsIn(lang string) []any { return nil }

// In reports whether the version takes new dossiers on the day of t.
func (v Version) In(t time.Time) bool { return false }

// Current returns the bundle that takes new dossiers at t, or nil.
func Current(versions []*Procedure, t time.Time) *Procedure { return nil }

// TestReport runs the tests of a bundle and writes what `truc procedure test` prints.
func TestReport(w io.Writer, dir fs.FS, lang string) (ok bool) { return false }
