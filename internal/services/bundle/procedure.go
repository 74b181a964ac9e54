package bundle

import (
	"errors"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Procedure is a checked bundle. It is immutable.
type Procedure struct {
	// Code is the national code of the procedure ("mã TTHC"), such as "2.000635".
	Code string
	Name i18n.Text
	// Summary says in a sentence or two what a person gets.
	Summary i18n.Text
	// Steps, Conditions and Ways are the parts of a procedure that are text only (Decree 63/2010 Art 8.2).
	Steps, Conditions []i18n.Text
	Field             FieldOfWork
	// Keywords and LifeEvents serve search and the home page; LifeEvents are keys such as "birth-of-child".
	Keywords, LifeEvents []string
	Version              Version
	Decision             LegalRef
	LegalBasis           []LegalRef
	// Applicants are "citizen", "organisation", "enterprise".
	Applicants         []string
	CompetentAuthority Authority
	Service            Service
	Result             Result
	Archive            Archive
	Requires           Requires
	Cases              []*Case
	Flow               *Flow
	// Hash is the content address: sha256 over the sorted list of path, size and sha256 of every file.
	Hash string
	// Files are the paths of the bundle, sorted.
	Files []string

	forms     map[string]*Form
	templates *templateSet
	env       *celEnv
}

// FieldOfWork is the field ("lĩnh vực") of a procedure.
type FieldOfWork struct {
	Code string    `yaml:"code,required"`
	Name i18n.Text `yaml:"name,required"`
}

// Version names a version of a bundle and the days on which it takes new dossiers.
type Version struct {
	ID         string `yaml:"id,required"`
	Supersedes string `yaml:"supersedes"`
	// From and Until are dates in Vietnam; Until zero = open end. A dossier stays with its version for life.
	From  time.Time `yaml:"from,required"`
	Until time.Time `yaml:"until"`
}

// LegalRef points at a legal text. Verified says whether a person has read it in the official gazette.
type LegalRef struct {
	Number   string    `yaml:"number,required"`
	Title    string    `yaml:"title"`
	Article  string    `yaml:"article"`
	Date     time.Time `yaml:"date"`
	Verified bool      `yaml:"verified"`
	Source   string    `yaml:"source"`
}

// Authority is who decides: level "commune", "province" or "ministry".
type Authority struct {
	Level string `yaml:"level,required"`
	// AnyBoundary: every unit of that level takes the dossier, wherever the person lives ("phi địa giới").
	AnyBoundary bool `yaml:"anyBoundary"`
}

// Service is the way the procedure is served online (Decree 224/2026 Art 14: partial needs a published reason).
type Service struct {
	Mode       string    `yaml:"mode,required"` // full | partial
	Reason     i18n.Text `yaml:"reason"`
	Vocabulary string    `yaml:"vocabulary,required"`
}

// Result is what the person gets.
type Result struct {
	Code     string    `yaml:"code,required"`
	Name     i18n.Text `yaml:"name,required"`
	Template string    `yaml:"template,required"`
	Format   string    `yaml:"format"`
	Sign     []string  `yaml:"sign"` // officer, head, agency-seal
	// Symbol stands behind the number on the result, such as "TLHT-BS"; empty prints the number alone.
	Symbol   string `yaml:"symbol"`
	Validity string `yaml:"validity"`
	// Record is the register record the officer fetches to fill the template, such as
	// "civilstatus/event"; empty when the result is written from the answers.
	Record string `yaml:"record"`
	// Creates is the register record that the signed result creates.
	Creates string `yaml:"creates"`
}

// Archive is the retention class; RetentionYears 0 = permanent.
type Archive struct {
	Class          string `yaml:"class,required"`
	RetentionYears Years  `yaml:"retentionYears,required"`
}

// Years is a number of years; 0 is written "permanent".
type Years int

// Requires is the assurance a person must have signed in with, such as "vneid-2".
type Requires struct {
	Identity string `yaml:"identity"`
}

// Level returns the identification level that the procedure requires: 0, 1 or 2 (Decree 69/2024).
func (r Requires) Level() int {
	switch r.Identity {
	case "vneid-1":
		return 1
	case "vneid-2":
		return 2
	}
	return 0
}

// Case is one "trường hợp" of a procedure: it decides papers, time limits, fee and prefill.
type Case struct {
	ID      string          `yaml:"-"`
	Name    i18n.Text       `yaml:"name"`
	When    Expr            `yaml:"when,required"`
	Papers  []Paper         `yaml:"papers,required"`
	Prefill []Binding       `yaml:"prefill"`
	SLA     SLA             `yaml:"sla,required"`
	Channel map[string]*SLA `yaml:"channels"` // online, counter, post: replaces SLA whole
	Fee     FeeRules        `yaml:"fee,required"`
}

// SLAFor returns the time limits for a channel of submission.
func (c *Case) SLAFor(channel string) *SLA {
	if s := c.Channel[channel]; s != nil {
		return s
	}
	return &c.SLA
}

// Expr is a CEL expression.
type Expr string

// Paper is one part of the dossier ("thành phần hồ sơ").
type Paper struct {
	ID   string    `yaml:"id,required"`
	Name i18n.Text `yaml:"name,required"`
	Hint i18n.Text `yaml:"hint"`
	// Form is the path of the interactive form without ending, "forms/to-khai"; such a paper is never uploaded.
	Form string `yaml:"form"`
	// Template renders the answers of Form as the paper; empty = the default list of answers.
	Template string `yaml:"template"`
	Required Expr   `yaml:"required"` // default "true"
	// KnownBy is the name of the prefill group that makes the paper needless when the register answered.
	KnownBy  string   `yaml:"knownBy"`
	Accept   []string `yaml:"accept"`
	MaxBytes int64    `yaml:"maxBytes"`
	MaxFiles int      `yaml:"maxFiles"`
	Copies   Copies   `yaml:"copies"`
}

// Copies are the numbers of originals, certified copies and photocopies that are handed in on paper.
type Copies struct {
	Original  int `yaml:"original"`
	Certified int `yaml:"certified"`
	Photo     int `yaml:"photo"`
}

// PaperNeed is a paper as it stands for one dossier.
type PaperNeed struct {
	ID         string
	Name, Hint i18n.Text
	// Required is false when the paper drops out for this dossier.
	Required bool
	Form     string // interactive, when not empty
	Accept   []string
	MaxBytes int64
	MaxFiles int
	Copies   Copies
	// Conditional papers depend on answers; Unknown ones on an answer not yet given (then Required is true).
	Conditional, Unknown bool
	// KnownByState: the paper is not asked because a register answered (spec §2.10, "✓" on the page).
	KnownByState bool
}

// Binding fills an answer from a source.
type Binding struct {
	// Name groups bindings; `prefill.<name>.ok` is true in CEL when every binding of the group answered.
	Name string  `yaml:"name"`
	To   Pointer `yaml:"to,required"`
	From Source  `yaml:"from,required"`
	Mode string  `yaml:"mode,required"` // readonly | editable
	// Key is the answer that holds the key of the record; empty = the signed-in person.
	Key Pointer `yaml:"key"`
}

// Pointer is a JSON pointer (RFC 6901), "/requester/fullName".
type Pointer string

// Source is where a prefilled value comes from: "register:population/person#fullName" or "profile#phone".
type Source struct {
	Kind     string // register | profile
	Register string // population
	Record   string // person
	Field    string // fullName, dotted for groups
}

// Service returns "population/person", the subsystem and service codes of the register.
func (s Source) Service() string { return s.Register + "/" + s.Record }

// Group is the name under which CEL sees the binding: Name, or the register record, or "profile".
func (b *Binding) Group() string {
	switch {
	case b.Name != "":
		return b.Name
	case b.From.Kind == "register":
		return b.From.Record
	}
	return b.From.Kind
}

// The ways a dossier comes in.
const (
	ChannelOnline  = "online"
	ChannelCounter = "counter"
	ChannelPost    = "post"
)

// Case returns the case whose `when` holds; exactly one must. The error is of kind Invalid when an answer that
// decides is missing.
func (p *Procedure) Case(f Facts) (*Case, error) { return p.pickCase(f) }

// CaseByID returns a case by its id, or nil.
func (p *Procedure) CaseByID(id string) *Case {
	for _, c := range p.Cases {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// Papers lists the papers of a case as they stand for a dossier.
func (p *Procedure) Papers(c *Case, f Facts) ([]PaperNeed, error) { return p.papers(c, f) }

// Form returns the interactive form of a case: that of its first paper with a form.
func (p *Procedure) Form(c *Case) *Form {
	for _, paper := range c.Papers {
		if paper.Form != "" {
			return p.forms[paper.Form]
		}
	}
	return nil
}

// FormAt returns a form by path, such as that of an action: "forms/refuse". Nil when there is none.
func (p *Procedure) FormAt(path string) *Form { return p.forms[path] }

// Eval evaluates a boolean expression of the bundle. ok is false with an error when it cannot be evaluated:
// nothing is true by default.
func (p *Procedure) Eval(e Expr, f Facts) (ok bool, err error) { return p.env.guard(e, f) }

// Render renders a template by name ("slip-01", "result") or path ("templates/extract.html") to the HTML subset
// of the PDF writer.
func (p *Procedure) Render(name string, data *DocumentData) ([]byte, error) {
	return p.templates.render(name, data)
}

// RenderText renders a text template, "templates/received.txt".
func (p *Procedure) RenderText(path string, data *DocumentData) (string, error) {
	return p.templates.renderText(path, data)
}

// In reports whether the version takes new dossiers on the day of t in Vietnam.
func (v Version) In(t time.Time) bool {
	return !t.Before(v.From) && (v.Until.IsZero() || t.Before(v.Until.AddDate(0, 0, 1)))
}

// Current returns the latest of the versions that takes new dossiers at t, or nil.
func Current(versions []*Procedure, t time.Time) *Procedure {
	var found *Procedure
	for _, p := range versions {
		if p.Version.In(t) && (found == nil || p.Version.From.After(found.Version.From)) {
			found = p
		}
	}
	return found
}

func (p *Procedure) pickCase(f Facts) (*Case, error) {
	var found *Case
	for _, c := range p.Cases {
		ok, err := p.env.guard(c.When, f)
		switch {
		case err != nil:
			return nil, err
		case ok && found != nil:
			return nil, errs.E(errs.Internal, "bundle.case.several", nil, "a", found.ID, "b", c.ID)
		case ok:
			found = c
		}
	}
	if found == nil {
		return nil, errs.E(errs.Invalid, "bundle.case.none", nil)
	}
	return found, nil
}

func (p *Procedure) papers(c *Case, f Facts) ([]PaperNeed, error) {
	env := p.envOf(c)
	out := make([]PaperNeed, 0, len(c.Papers))
	for _, d := range c.Papers {
		n := PaperNeed{
			ID: d.ID, Name: d.Name, Hint: d.Hint, Form: d.Form, Accept: d.Accept, MaxBytes: d.MaxBytes,
			MaxFiles: max(1, d.MaxFiles), Copies: d.Copies, Conditional: !env.constant(d.Required),
		}
		ok, err := env.guard(d.Required, f)
		switch {
		case errors.Is(err, errUnanswered):
			n.Required, n.Unknown = true, true
		case err != nil:
			return nil, err
		default:
			n.Required = ok
		}
		if d.KnownBy != "" && f.Prefill[d.KnownBy].OK() {
			n.Required, n.KnownByState = false, true
		}
		out = append(out, n)
	}
	return out, nil
}
