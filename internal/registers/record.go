package registers

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Record is the current state of one key: the blob of its latest entry.
type Record struct {
	Key    string
	N      int64 // number of the entry it comes from
	Hash   string
	Values Values
}

// Entry is one line of a register's log. Entries are append-only and numbered 1, 2, 3 … without gaps.
type Entry struct {
	N         int64
	Time      time.Time
	Key       string
	Hash      string
	ValidFrom Date
	// Basis is the legal act or decision that the entry rests on.
	Basis string
	// Values are the state that the entry sets.
	Values Values
}

// Draft is an entry that has not been written yet.
type Draft struct {
	Values    Values
	ValidFrom Date
	Basis     string
}

// StoredEntry is what a store needs to write an entry and to find its record again.
type StoredEntry struct {
	Entry
	Seed    []byte
	Body    []byte // canonical JSON of Values
	Aliases []Alias
	Search  []SearchRow
}

// Alias is a value that leads to a record, such as a personal number of a party to a marriage.
type Alias struct{ Name, Value string }

// SearchRow is one way to find a record by name.
type SearchRow struct {
	NameFold string
	Born     string // date of any precision
	Year     int
	Province string
}

// Block is how a search narrows down before it compares: by alias, or by birth date (any of the forms in Born) or year.
type Block struct {
	AliasName, AliasValue string
	Born                  []string
	Year                  int
	Province              string // with Year; empty means everywhere
}

// Candidate is a record that a block found.
type Candidate struct {
	Key      string
	NameFold string
}

// ReadCount is a number of reads on a day, for the owner's own overview; it names nobody.
type ReadCount struct {
	Register, Day, Subsystem, Activity, Kind string
	Delivered, Missed                        int
}

// Counts is the size of a register and its use.
type Counts struct {
	Entries, Records  int64
	Delivered, Missed int64
}

// Service applies the rules of every register of a node. All fields but Rand and TagKey are needed.
type Service struct {
	Schemas map[string]*Schema
	Store   Store
	Log     AccessLog
	Now     func() time.Time
	// Rand gives the seeds of salts; nil means crypto/rand.
	Rand io.Reader
	// TagKey makes the pseudonyms of delivered records (header Truc-Delivered); without it there are none.
	TagKey []byte
}

// Schema returns the description of a register held here; NotFound otherwise.
func (s *Service) Schema(register string) (*Schema, error) {
	sch, ok := s.Schemas[register]
	if !ok {
		return nil, errs.E(errs.NotFound, "registers.register_unknown", nil)
	}
	return sch, nil
}

// Append writes entries to a register, all or none, and returns the number of the first. An entry without a legal
// basis, or with a field that the schema does not know, is refused.
func (s *Service) Append(ctx context.Context, register string, drafts []Draft) (first int64, err error) {
	defer errs.Wrap(&err, "append to %q", register)
	sch, err := s.Schema(register)
	if err != nil {
		return 0, err
	}
	if len(drafts) == 0 {
		return 0, nil
	}
	entries := make([]StoredEntry, 0, len(drafts))
	for i, d := range drafts {
		e, err := s.prepare(sch, d)
		if err != nil {
			return 0, fmt.Errorf("draft %d: %w", i, err)
		}
		entries = append(entries, e)
	}
	return s.Store.Append(ctx, register, entries)
}

func (s *Service) prepare(sch *Schema, d Draft) (e StoredEntry, err error) {
	v, err := sch.check(d.Values)
	if err != nil {
		return e, err
	}
	if d.Basis == "" {
		return e, errs.E(errs.Invalid, "registers.basis_missing", nil)
	}
	if _, ok := ParseDate(string(d.ValidFrom)); !ok {
		return e, errs.E(errs.Invalid, "registers.date_invalid", nil)
	}
	e.Seed = make([]byte, 16)
	src := s.Rand
	if src == nil {
		src = rand.Reader
	}
	if _, err := io.ReadFull(src, e.Seed); err != nil {
		return e, err
	}
	if e.Body, err = v.Canonical(); err != nil {
		return e, err
	}
	hash, err := blobHash(v, e.Seed)
	if err != nil {
		return e, err
	}
	key, _ := v[sch.Key].(string)
	e.Entry = Entry{Time: s.Now().UTC().Truncate(time.Microsecond), Key: key, Hash: hash, ValidFrom: d.ValidFrom, Basis: i18n.NFC(d.Basis), Values: v}
	e.Aliases, e.Search = sch.index(v)
	return e, nil
}

var personalNumber = regexp.MustCompile(`^[0-9]{12}$`)

// check returns v with its texts in NFC, or says what does not fit the schema.
func (s *Schema) check(v Values) (Values, error) {
	out := Values{}
	for name, x := range v {
		f, _, ok := s.Field(name)
		if !ok {
			return nil, errs.E(errs.Invalid, "registers.field_unknown", nil, "field", name)
		}
		y, ok := f.accept(x)
		if !ok {
			return nil, errs.E(errs.Invalid, "registers.value_invalid", nil, "field", name)
		}
		out[name] = y
	}
	if key, _ := out[s.Key].(string); key == "" {
		return nil, errs.E(errs.Invalid, "registers.key_missing", nil)
	}
	if !s.Personal {
		return out, nil
	}
	for _, x := range s.Subjects {
		if n, ok := out[x.Field].(string); ok && !personalNumber.MatchString(n) {
			return nil, errs.E(errs.Invalid, "registers.value_invalid", nil, "field", x.Field)
		}
	}
	if len(s.subjectsOf(out)) == 0 { // a read of it could be shown to nobody
		return nil, errs.E(errs.Invalid, "registers.subject_missing", nil)
	}
	return out, nil
}

func (f Field) accept(x any) (any, bool) {
	switch f.Type {
	case "string":
		s, ok := x.(string)
		s = i18n.NFC(s)
		return s, ok && plain(s, 500) && (len(f.Values) == 0 || slices.Contains(f.Values, s))
	case "date":
		s, ok := x.(string)
		d, valid := ParseDate(s)
		return string(d), ok && valid
	case "bool":
		b, ok := x.(bool)
		return b, ok
	case "int":
		n, ok := x.(int64)
		return n, ok
	case "list":
		list, ok := x.([]string)
		out := make([]string, 0, len(list))
		for _, s := range list {
			s = i18n.NFC(s)
			if !plain(s, 200) {
				return nil, false
			}
			out = append(out, s)
		}
		return out, ok && len(out) > 0
	}
	return nil, false
}

// plain reports whether s is a text of one line that both engines can keep.
func plain(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == '\uFFFD' {
			return false
		}
	}
	return true
}

func (s *Schema) index(v Values) (aliases []Alias, rows []SearchRow) {
	for _, c := range s.Criteria {
		if c.Kind != "alias" {
			continue
		}
		for _, f := range c.Fields {
			if x, ok := v[f].(string); ok && !slices.Contains(aliases, Alias{c.Name, x}) {
				aliases = append(aliases, Alias{Name: c.Name, Value: x})
			}
		}
	}
	for _, by := range s.Search {
		name, _ := v[by.Name].(string)
		born, _ := v[by.Date].(string)
		if name == "" || born == "" {
			continue
		}
		year := 0
		for _, digit := range Date(born).Year() {
			year = year*10 + int(digit-'0')
		}
		province, _ := v[by.Province].(string)
		rows = append(rows, SearchRow{NameFold: i18n.Fold(name), Born: born, Year: year, Province: province})
	}
	return aliases, rows
}

// subjectsOf returns the subjects of a record that have a personal number, with it, in the order of the schema.
func (s *Schema) subjectsOf(v Values) []subjectNumber {
	var out []subjectNumber
	for _, x := range s.Subjects {
		if n, ok := v[x.Field].(string); ok && n != "" {
			out = append(out, subjectNumber{Subject: x, number: n})
		}
	}
	return out
}

type subjectNumber struct {
	Subject
	number string
}
