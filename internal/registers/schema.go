package registers

import (
	"path"
	"slices"

	"truc/internal/i18n"
)

// Kinds of read, as an activity allows them and as processing lines name them.
const (
	KindQuery  = "query"
	KindMatch  = "match"
	KindVerify = "verify"
)

// Schema describes one register. It is data: a new register is a file, not code.
type Schema struct {
	ID    string    `yaml:"id"`
	Name  i18n.Text `yaml:"name"`
	Owner string    `yaml:"owner"`
	// Personal is true when the records describe natural persons; every rule of this package assumes it when in doubt.
	Personal     bool        `yaml:"personal"`
	Key          string      `yaml:"key"`
	Aliases      []string    `yaml:"aliases"`
	DefaultCheck string      `yaml:"default_check"`
	Retention    string      `yaml:"retention"`
	Deceased     string      `yaml:"deceased"` // the date field that, when set, hides a record unless asked for
	Groups       []Group     `yaml:"groups"`
	Subjects     []Subject   `yaml:"subjects"`
	Criteria     []Criterion `yaml:"criteria"`
	Search       []SearchBy  `yaml:"search"`
	Queries      []QueryType `yaml:"queries"`
	Activities   []Activity  `yaml:"activities"`
	Law          []Law       `yaml:"law"`

	fields map[string]fieldOf // by dotted path
}

type fieldOf struct {
	group string
	field Field
}

// Group is a set of fields that is released as one.
type Group struct {
	ID   string    `yaml:"id"`
	Name i18n.Text `yaml:"name"`
	// Class is core, important, other or sensitive (Data Law 60/2024/QH15; Decree 356/2025 for sensitive data).
	Class      string  `yaml:"class"`
	Restricted bool    `yaml:"restricted"`
	Fields     []Field `yaml:"fields"`
}

// Field is one value of a record, named by its dotted path.
type Field struct {
	Name string `yaml:"name"`
	// Type is string, date (ISO 8601 of any precision), int, bool or list (of strings).
	Type   string    `yaml:"type"`
	Values []string  `yaml:"values"`
	Label  i18n.Text `yaml:"label"`
}

// Subject says whose data a delivered group is: the person whose number stands in Field gets the line.
type Subject struct {
	Field string `yaml:"field"`
	// Groups that concern this subject; none, which only the first may have, means every group nobody lists.
	Groups []string `yaml:"groups"`
	// Self lets this person read the record under an activity marked self.
	Self bool `yaml:"self"`
}

// Criterion is something a search can ask for. Kind is key, alias, name, date, year or exact.
type Criterion struct {
	Name   string   `yaml:"name"`
	Kind   string   `yaml:"kind"`
	Fields []string `yaml:"fields"`
}

// SearchBy names the fields of one row of the search table.
type SearchBy struct {
	Name     string `yaml:"name"`
	Date     string `yaml:"date"`
	Province string `yaml:"province"`
}

// QueryType is one permitted shape of search: every criterion of By, at least one of Second when there are any, and
// any of Optional.
type QueryType struct {
	Type     string   `yaml:"type"`
	By       []string `yaml:"by"`
	Second   []string `yaml:"second"`
	Optional []string `yaml:"optional"`
}

// Activity is an entry of the register of processing activities (trust.md §1.5).
type Activity struct {
	ID      string    `yaml:"id"`
	Version int       `yaml:"version"`
	Purpose i18n.Text `yaml:"purpose"`
	Basis   string    `yaml:"basis"`
	// Dossier is "required" when a legal basis alone does not suffice.
	Dossier string   `yaml:"dossier"`
	Groups  []string `yaml:"groups"`
	Checks  []string `yaml:"checks"`
	// Recipients are patterns of subsystem identifiers, "VN/*/*/onestop"; a star stands for one segment.
	Recipients []string `yaml:"recipients"`
	// Self means the caller must act for a person whose own record it is.
	Self bool `yaml:"self"`
}

// Law is a legal reference as data. Shown as law only once VerifiedBy names somebody.
type Law struct {
	Text          string `yaml:"text"`
	Article       string `yaml:"article"`
	EffectiveFrom string `yaml:"effective_from"`
	VerifiedBy    string `yaml:"verified_by"`
}

// Field returns the field with a dotted path and the group it is released with.
func (s *Schema) Field(name string) (f Field, group string, ok bool) {
	x, ok := s.fields[name]
	return x.field, x.group, ok
}

// Group returns the group with an id.
func (s *Schema) Group(id string) (Group, bool) {
	i := slices.IndexFunc(s.Groups, func(g Group) bool { return g.ID == id })
	if i < 0 {
		return Group{}, false
	}
	return s.Groups[i], true
}

// Activity returns the processing activity with an id.
func (s *Schema) Activity(id string) (Activity, bool) {
	i := slices.IndexFunc(s.Activities, func(a Activity) bool { return a.ID == id })
	if i < 0 {
		return Activity{}, false
	}
	return s.Activities[i], true
}

func (s *Schema) query(typ string) (QueryType, bool) {
	i := slices.IndexFunc(s.Queries, func(q QueryType) bool { return q.Type == typ })
	if i < 0 {
		return QueryType{}, false
	}
	return s.Queries[i], true
}

func (s *Schema) criterion(name string) (Criterion, bool) {
	i := slices.IndexFunc(s.Criteria, func(c Criterion) bool { return c.Name == name })
	if i < 0 {
		return Criterion{}, false
	}
	return s.Criteria[i], true
}

// claimed reports whether a group is listed by a subject; the first subject may take what is left.
func (s *Schema) claimed(group string) bool {
	return slices.ContainsFunc(s.Subjects, func(x Subject) bool { return len(x.Groups) > 0 && slices.Contains(x.Groups, group) })
}

// concerns reports whether a group is about subject x. A group can be about several people: the event of a marriage is
// about both spouses.
func (s *Schema) concerns(x Subject, group string) bool {
	if len(x.Groups) > 0 {
		return slices.Contains(x.Groups, group)
	}
	return !s.claimed(group)
}

// Allows reports whether a recipient may use the activity.
func (a Activity) Allows(subsystem string) bool {
	return slices.ContainsFunc(a.Recipients, func(p string) bool { ok, _ := path.Match(p, subsystem); return ok })
}
