package registers

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"

	"truc/internal/orgcode"
)

//go:embed schemas/*.yaml
var schemaFiles embed.FS

var (
	idPattern   = regexp.MustCompile(`^[a-z][a-z0-9_-]{1,40}$`)
	pathPattern = regexp.MustCompile(`^[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)?$`)
)

// Builtin returns the schemas that the product ships, by id.
func Builtin() (map[string]*Schema, error) {
	sub, err := fs.Sub(schemaFiles, "schemas")
	if err != nil {
		return nil, err
	}
	return LoadSchemas(sub)
}

// LoadSchemas reads every *.yaml at the root of fsys and returns the schemas by id. All faults of all files come at once.
func LoadSchemas(fsys fs.FS) (map[string]*Schema, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	all := map[string]*Schema{}
	var faults []error
	for _, f := range files {
		b, err := fs.ReadFile(fsys, f)
		if err != nil {
			return nil, err
		}
		s, err := ParseSchema(b)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path.Base(f), err))
			continue
		}
		if all[s.ID] != nil {
			faults = append(faults, fmt.Errorf("%s: register %q is described twice", path.Base(f), s.ID))
		}
		all[s.ID] = s
	}
	return all, errors.Join(faults...)
}

// ParseSchema reads one schema file. Unknown keys, dangling names and missing purposes are faults: a policy that is
// half understood would release data.
func ParseSchema(b []byte) (*Schema, error) {
	var s Schema
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&s); err != nil {
		return nil, err
	}
	s.fields = map[string]fieldOf{}
	c := &checker{s: &s}
	c.header()
	c.groups()
	c.reading()
	c.activities()
	return &s, errors.Join(c.faults...)
}

type checker struct {
	s      *Schema
	faults []error
}

func (c *checker) want(ok bool, format string, args ...any) {
	if !ok {
		c.faults = append(c.faults, fmt.Errorf(format, args...))
	}
}

func (c *checker) header() {
	s := c.s
	c.want(idPattern.MatchString(s.ID), "id %q is not a register id", s.ID)
	c.want(orgcode.Valid(s.Owner), "owner %q is not an agency code", s.Owner)
	c.want(s.Name["vi"] != "" && s.Name["en"] != "", "the name is needed in vi and en")
	c.want(s.DefaultCheck == KindMatch || s.DefaultCheck == KindVerify, "default_check must be match or verify")
	c.want(len(s.Law) > 0, "a register names its law")
}

func (c *checker) groups() {
	s := c.s
	seen := map[string]bool{}
	for _, g := range s.Groups {
		c.want(idPattern.MatchString(g.ID) && !seen[g.ID], "group %q is badly named or doubled", g.ID)
		c.want(slices.Contains([]string{"core", "important", "other", "sensitive"}, g.Class), "group %s: class %q is unknown", g.ID, g.Class)
		c.want(g.Name["vi"] != "" && g.Name["en"] != "", "group %s: the name is needed in vi and en", g.ID)
		c.want(len(g.Fields) > 0, "group %s has no fields", g.ID)
		seen[g.ID] = true
		for _, f := range g.Fields {
			_, dup := s.fields[f.Name]
			c.want(pathPattern.MatchString(f.Name) && !dup, "field %q is badly named or doubled", f.Name)
			c.want(slices.Contains([]string{"string", "date", "int", "bool", "list"}, f.Type), "field %s: type %q is unknown", f.Name, f.Type)
			c.want(f.Label["vi"] != "" && f.Label["en"] != "", "field %s: the label is needed in vi and en", f.Name)
			s.fields[f.Name] = fieldOf{group: g.ID, field: f}
		}
	}
	for name := range s.fields { // a value cannot be a leaf and hold leaves
		if dir, _, dotted := cutPath(name); dotted {
			_, both := s.fields[dir]
			c.want(!both, "field %q is both a value and a folder", dir)
		}
	}
}

func (c *checker) known(what string, names ...string) {
	for _, n := range names {
		_, ok := c.s.fields[n]
		c.want(ok, "%s: field %q does not exist", what, n)
	}
}

func (c *checker) reading() {
	s := c.s
	c.known("key", s.Key)
	c.known("aliases", s.Aliases...)
	if s.Deceased != "" {
		c.known("deceased", s.Deceased)
	}
	c.want(!s.Personal || len(s.Subjects) > 0, "a personal register names its subjects")
	for i, x := range s.Subjects {
		c.known("subjects", x.Field)
		c.want(i == 0 || len(x.Groups) > 0, "subject %s: only the first subject may leave groups out", x.Field)
		for _, g := range x.Groups {
			_, ok := s.Group(g)
			c.want(ok, "subject %s: group %q does not exist", x.Field, g)
		}
	}
	for _, g := range s.Groups {
		about := slices.ContainsFunc(s.Subjects, func(x Subject) bool { return s.concerns(x, g.ID) })
		c.want(!s.Personal || about, "group %s is about no subject, so nobody would see it read", g.ID)
	}
	for _, x := range s.Criteria {
		c.known("criterion "+x.Name, x.Fields...)
		c.want(slices.Contains([]string{"key", "alias", "name", "date", "year", "exact"}, x.Kind), "criterion %s: kind %q is unknown", x.Name, x.Kind)
		c.want(x.Kind != "key" || len(x.Fields) == 1 && x.Fields[0] == s.Key, "criterion %s: a key criterion means the key", x.Name)
	}
	for _, x := range s.Search {
		c.known("search", x.Name, x.Date, x.Province)
	}
	for _, q := range s.Queries {
		c.query(q)
	}
}

// query holds every query type to the two rules of registers.md §1.4: at least two attributes, and a number that has no
// check digit discloses nothing by itself.
func (c *checker) query(q QueryType) {
	indexed, name, when := false, false, false
	for _, n := range slices.Concat(q.By, q.Second, q.Optional) {
		x, ok := c.s.criterion(n)
		c.want(ok, "query %s: criterion %q does not exist", q.Type, n)
		if slices.Contains(q.By, n) {
			indexed = indexed || x.Kind == "key" || x.Kind == "alias"
			name = name || x.Kind == "name"
			when = when || x.Kind == "date" || x.Kind == "year"
		}
	}
	c.want(len(q.By) > 0 && (len(q.By) >= 2 || len(q.Second) > 0), "query %s: at least two attributes are needed", q.Type)
	c.want(!indexed || len(q.Second) > 0 || name, "query %s: a number needs a second factor", q.Type)
	c.want(indexed || name && when, "query %s: a search without a number needs a name and a date or year", q.Type)
}

func (c *checker) activities() {
	for _, a := range c.s.Activities {
		c.want(idPattern.MatchString(a.ID), "activity %q is badly named", a.ID)
		c.want(a.Version > 0, "activity %s: version is needed", a.ID)
		c.want(a.Purpose["vi"] != "" && a.Purpose["en"] != "", "activity %s: the purpose is needed in vi and en", a.ID)
		c.want(a.Basis != "", "activity %s: a legal basis is needed", a.ID)
		c.want(a.Dossier == "" || a.Dossier == "required", "activity %s: dossier must be empty or required", a.ID)
		c.want(len(a.Recipients) > 0, "activity %s: recipients are needed", a.ID)
		c.want(len(a.Checks) > 0, "activity %s: checks are needed", a.ID)
		for _, k := range a.Checks {
			c.want(k == KindQuery || k == KindMatch || k == KindVerify, "activity %s: check %q is unknown", a.ID, k)
		}
		for _, g := range a.Groups {
			_, ok := c.s.Group(g)
			c.want(ok, "activity %s: group %q does not exist", a.ID, g)
		}
		for _, p := range a.Recipients {
			_, err := path.Match(p, "x")
			c.want(err == nil, "activity %s: recipient pattern %q cannot be read", a.ID, p)
		}
	}
}
