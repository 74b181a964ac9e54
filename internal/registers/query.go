package registers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// MaxResults is the most records one query delivers; one more and it delivers none, without saying how many.
const MaxResults = 10

// maxCandidates bounds what a block may bring in before names are compared.
const maxCandidates = 5000

// Query is a typed search (registers.md §1.4).
type Query struct {
	Selection
	// Fields are the dotted paths wanted; at least one.
	Fields []string
}

// Selection says which records are meant. It is common to query, match and verify, so that the rule "a number alone
// discloses nothing" holds for all three.
type Selection struct {
	// Type is one of the schema's query types, such as ByPersonalId.
	Type     string
	Criteria map[string]string
	// IncludeDeceased also finds records of the dead.
	IncludeDeceased bool
	// Context repeats the purpose; nil means the one of the [Reader].
	Context *Context
}

// Answer is what a query delivers: only the fields asked for, only those that have a value.
type Answer struct {
	Records []Values
	// Delivered are pseudonyms of the records, for the header Truc-Delivered.
	Delivered []string
}

// Query finds records and delivers the fields asked for, after it has stored a line for every person concerned.
// Errors: Invalid with a [ParamError], Denied when the purpose does not cover the request, Unavailable when the lines
// could not be stored.
func (s *Service) Query(ctx context.Context, register string, r Reader, q Query) (ans Answer, err error) {
	defer errs.Wrap(&err, "query %q", register)
	sch, err := s.Schema(register)
	if err != nil {
		return ans, err
	}
	a, err := sch.permit(r, KindQuery, q.Context)
	if err != nil {
		return ans, err
	}
	fields, err := sch.release(a, q.Fields)
	if err != nil {
		return ans, err
	}
	found, err := s.find(ctx, sch, r, a, q.Selection)
	if err != nil {
		return ans, err
	}
	var lines []Access
	for _, rec := range found {
		out := Values{}
		for _, f := range fields {
			if x, ok := rec.Values[f]; ok {
				out[f] = x
			}
		}
		ans.Records = append(ans.Records, out)
		if tag := s.tag(sch.ID, rec.Key); tag != "" {
			ans.Delivered = append(ans.Delivered, tag)
		}
		lines = append(lines, sch.lines(r, a, KindQuery, rec.Values, fields)...)
	}
	if err := s.record(ctx, sch, r, KindQuery, len(found), lines); err != nil {
		return Answer{}, err
	}
	return ans, nil
}

// record makes a read durable before its answer leaves. It fails closed.
func (s *Service) record(ctx context.Context, sch *Schema, r Reader, kind string, found int, lines []Access) error {
	now := s.Now().UTC().Truncate(time.Microsecond)
	for i := range lines {
		lines[i].Time = now
	}
	if found > 0 && len(lines) == 0 && sch.Personal {
		return errs.E(errs.Unavailable, "registers.log_unavailable", nil) // a record without a subject cannot be accounted for
	}
	if len(lines) > 0 {
		if err := s.Log.RecordAccess(ctx, lines...); err != nil {
			return errs.E(errs.Unavailable, "registers.log_unavailable", err)
		}
	}
	c := ReadCount{Register: sch.ID, Day: now.In(i18n.Zone).Format("2006-01-02"), Subsystem: r.Subsystem, Activity: r.Activity, Kind: kind, Delivered: found}
	if found == 0 {
		c.Missed = 1
	}
	if err := s.Store.CountRead(ctx, c); err != nil {
		return errs.E(errs.Unavailable, "registers.log_unavailable", err)
	}
	return nil
}

func (s *Service) tag(register, key string) string {
	if len(s.TagKey) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, s.TagKey)
	mac.Write([]byte(register + "\x00" + key))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// find returns the records that satisfy every criterion. At most [MaxResults]; more is an error.
func (s *Service) find(ctx context.Context, sch *Schema, r Reader, a Activity, sel Selection) ([]Record, error) {
	crit, err := sch.read(sel)
	if err != nil {
		return nil, err
	}
	keys, err := s.candidates(ctx, sch, crit)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	recs, err := s.Store.Get(ctx, sch.ID, keys)
	if err != nil {
		return nil, err
	}
	recs = slices.DeleteFunc(recs, func(rec Record) bool {
		dead := sch.Deceased != "" && rec.Values[sch.Deceased] != nil
		return !agree(rec.Values, crit) || dead && !sel.IncludeDeceased || a.Self && !sch.own(rec.Values, r.person())
	})
	if len(recs) > MaxResults {
		return nil, errs.E(errs.Invalid, "registers.too_many_results", nil)
	}
	slices.SortFunc(recs, func(x, y Record) int { return strings.Compare(x.Key, y.Key) })
	return recs, nil
}

// given is a criterion with the value asked for.
type given struct {
	Criterion
	value  string
	prefix bool // name only: value is a beginning
	leads  bool // listed in By: may narrow the search
}

// read checks a selection against its query type.
func (s *Schema) read(sel Selection) ([]given, error) {
	q, ok := s.query(sel.Type)
	if !ok {
		return nil, badParams(Param{"type", "unknown"})
	}
	var out []given
	var faults []Param
	for name, value := range sel.Criteria {
		if !slices.Contains(slices.Concat(q.By, q.Second, q.Optional), name) {
			faults = append(faults, Param{name, "unknown"})
			continue
		}
		c, _ := s.criterion(name)
		g := given{Criterion: c, leads: slices.Contains(q.By, name)}
		if !g.set(value) {
			faults = append(faults, Param{name, "invalid"})
			continue
		}
		out = append(out, g)
	}
	has := func(name string) bool { _, ok := sel.Criteria[name]; return ok }
	for _, name := range q.By {
		if !has(name) {
			faults = append(faults, Param{name, "required"})
		}
	}
	if len(q.Second) > 0 && !slices.ContainsFunc(q.Second, has) {
		for _, name := range q.Second {
			faults = append(faults, Param{name, "required"})
		}
	}
	if len(faults) > 0 {
		slices.SortFunc(faults, func(a, b Param) int { return strings.Compare(a.Name, b.Name) })
		return nil, badParams(faults...)
	}
	return out, nil
}

func (g *given) set(value string) bool {
	value = i18n.NFC(strings.TrimSpace(value))
	if !plain(value, 200) {
		return false
	}
	switch g.Kind {
	case "date":
		d, ok := ParseDate(value)
		g.value = string(d)
		return ok
	case "year":
		d, ok := ParseDate(value)
		g.value = string(d)
		return ok && len(d) == 4
	case "name":
		g.value = i18n.Fold(value)
		if rest, ok := strings.CutSuffix(g.value, "*"); ok {
			// A beginning helps to search; as a second factor it would be a guess.
			g.value, g.prefix = rest, true
			return g.leads && utf8.RuneCountInString(rest) >= 3 && !strings.Contains(rest, "*")
		}
		return g.value != "" && !strings.Contains(g.value, "*")
	}
	g.value = value
	return true
}

// candidates narrows down by the best criterion there is: key, alias, then name within birth date or year.
func (s *Service) candidates(ctx context.Context, sch *Schema, crit []given) ([]string, error) {
	lead := func(kind string) *given {
		i := slices.IndexFunc(crit, func(g given) bool { return g.leads && g.Kind == kind })
		if i < 0 {
			return nil
		}
		return &crit[i]
	}
	var block Block
	name := lead("name")
	switch {
	case lead("key") != nil:
		return []string{lead("key").value}, nil
	case lead("alias") != nil:
		g := lead("alias")
		block, name = Block{AliasName: g.Name, AliasValue: g.value}, nil
	case lead("date") != nil:
		block = Block{Born: Date(lead("date").value).precisions()}
	case lead("year") != nil:
		for _, digit := range lead("year").value {
			block.Year = block.Year*10 + int(digit-'0')
		}
		if p := lead("exact"); p != nil {
			block.Province = p.value
		}
	}
	found, err := s.Store.Find(ctx, sch.ID, block, maxCandidates+1)
	if err != nil {
		return nil, err
	}
	if len(found) > maxCandidates {
		return nil, errs.E(errs.Invalid, "registers.too_many_results", nil)
	}
	var keys []string
	for _, c := range found {
		if name == nil || name.sameName(c.NameFold) {
			keys = append(keys, c.Key)
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	if len(keys) > 50*MaxResults {
		return nil, errs.E(errs.Invalid, "registers.too_many_results", nil)
	}
	return keys, nil
}

func (g *given) sameName(fold string) bool {
	if g.prefix {
		return strings.HasPrefix(fold, g.value)
	}
	return fold == g.value
}

// agree reports whether a record satisfies all criteria. Criteria about one of several parties must agree on the same
// party: the name of the husband with the birth date of the wife is nobody.
func agree(v Values, crit []given) bool {
	parties := 1
	for _, g := range crit {
		parties = max(parties, len(g.Fields))
	}
	for party := range parties {
		if !slices.ContainsFunc(crit, func(g given) bool { return !g.agrees(v, party) }) {
			return true
		}
	}
	return false
}

func (g given) agrees(v Values, party int) bool {
	f := g.Fields[0]
	if len(g.Fields) > 1 {
		if party >= len(g.Fields) {
			return false
		}
		f = g.Fields[party]
	}
	x, _ := v[f].(string)
	switch {
	case x == "":
		return false
	case g.Kind == "name":
		return g.sameName(i18n.Fold(x))
	case g.Kind == "date": // a record that knows only the year agrees with every day of it
		return Date(x).Covers(Date(g.value))
	case g.Kind == "year":
		return Date(x).Year() == g.value
	}
	return x == g.value
}
