package registers

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Mismatch is an attribute that does not agree with the register: Code 0 when the register has no value, 1 when it has
// another (OSIA 7.1, data access, match).
type Mismatch struct {
	Attribute string
	Code      int
}

// Condition is one comparison of a verify: Operator is <, >, =, >= or <=.
type Condition struct {
	Attribute, Operator, Value string
}

// Match says which of the attributes a consumer already holds do not agree; it discloses no value. NotFound when the
// selection means nobody. It leaves a line like every read.
func (s *Service) Match(ctx context.Context, register string, r Reader, sel Selection, attributes map[string]string) (out []Mismatch, err error) {
	defer errs.Wrap(&err, "match in %q", register)
	names := make([]string, 0, len(attributes))
	for name := range attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names { // before the search: a fault must not tell whether somebody was found
		if !plain(attributes[name], 500) {
			return nil, badParams(Param{name, "invalid"})
		}
	}
	err = s.check(ctx, register, r, KindMatch, sel, names, func(sch *Schema, v Values) {
		for _, name := range names {
			f, _, _ := sch.Field(name)
			x, has := v[name]
			switch {
			case !has:
				out = append(out, Mismatch{Attribute: name})
			case !f.equal(x, i18n.NFC(attributes[name])):
				out = append(out, Mismatch{Attribute: name, Code: 1})
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Verify says whether all conditions hold for the one record selected; it discloses nothing else.
func (s *Service) Verify(ctx context.Context, register string, r Reader, sel Selection, conditions []Condition) (ok bool, err error) {
	defer errs.Wrap(&err, "verify in %q", register)
	sch, err := s.Schema(register)
	if err != nil {
		return false, err
	}
	names := make([]string, 0, len(conditions))
	for _, c := range conditions {
		names = append(names, c.Attribute)
		if f, _, known := sch.Field(c.Attribute); known {
			if _, valid := f.holds(nil, c.Operator, i18n.NFC(c.Value)); !valid {
				return false, badParams(Param{c.Attribute, "invalid"})
			}
		}
	}
	err = s.check(ctx, register, r, KindVerify, sel, names, func(sch *Schema, v Values) {
		ok = true
		for _, c := range conditions {
			f, _, _ := sch.Field(c.Attribute)
			holds, _ := f.holds(v[c.Attribute], c.Operator, i18n.NFC(c.Value))
			ok = ok && holds
		}
	})
	return ok && err == nil, err
}

// check selects exactly one record, compares, and records the read before the result leaves.
func (s *Service) check(ctx context.Context, register string, r Reader, kind string, sel Selection, names []string, compare func(*Schema, Values)) error {
	sch, err := s.Schema(register)
	if err != nil {
		return err
	}
	a, err := sch.permit(r, kind, sel.Context)
	if err != nil {
		return err
	}
	fields, err := sch.release(a, names)
	if err != nil {
		return err
	}
	found, err := s.find(ctx, sch, r, a, sel)
	if err != nil {
		return err
	}
	if len(found) > 1 {
		return errs.E(errs.Invalid, "registers.too_many_results", nil)
	}
	if len(found) == 0 {
		if err := s.record(ctx, sch, r, kind, 0, nil); err != nil {
			return err
		}
		return errs.E(errs.NotFound, "registers.not_found", nil)
	}
	compare(sch, found[0].Values)
	return s.record(ctx, sch, r, kind, 1, sch.lines(r, a, kind, found[0].Values, fields))
}

func (f Field) equal(x any, want string) bool {
	switch x := x.(type) {
	case string:
		if f.Type == "date" {
			d, ok := ParseDate(want)
			return ok && Date(x).Covers(d)
		}
		return sameText(x, want)
	case bool:
		return strconv.FormatBool(x) == want
	case int64:
		return strconv.FormatInt(x, 10) == want
	case []string:
		return slices.ContainsFunc(x, func(y string) bool { return sameText(y, want) })
	}
	return false
}

// holds compares by operator. An absent value satisfies nothing; valid is false for an operator the type has not.
func (f Field) holds(x any, operator, want string) (holds, valid bool) {
	if !slices.Contains([]string{"<", ">", "=", ">=", "<="}, operator) || !plain(want, 500) {
		return false, false
	}
	switch f.Type {
	case "date":
		d, ok := ParseDate(want)
		if !ok {
			return false, false
		}
		s, ok := x.(string)
		return ok && compareDates(Date(s), operator, d), true
	case "int":
		n, err := strconv.ParseInt(want, 10, 64)
		if err != nil {
			return false, false
		}
		y, ok := x.(int64)
		return ok && ordered(y, operator, n), true
	}
	return operator == "=" && f.equal(x, want), operator == "="
}

// compareDates answers true only when it is true for every day that the less precise dates may mean.
func compareDates(x Date, operator string, y Date) bool {
	xFrom, xTo := x.bounds()
	yFrom, yTo := y.bounds()
	switch operator {
	case "<":
		return xTo < yFrom
	case ">":
		return xFrom > yTo
	case "<=":
		return xTo <= yFrom || x == y
	case ">=":
		return xFrom >= yTo || x == y
	}
	return x.Covers(y)
}

func ordered(x int64, operator string, y int64) bool {
	switch operator {
	case "<":
		return x < y
	case ">":
		return x > y
	case "<=":
		return x <= y
	case ">=":
		return x >= y
	}
	return x == y
}

// sameText compares without regard to case, white space and the place of a tone mark ("Hoà" and "Hòa" are one word
// spelled by two schools), but "Lan" is not "Lân" and "Hoa" is not "Hoà".
func sameText(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	return slices.EqualFunc(x, y, func(p, q string) bool { return toneLast(p) == toneLast(q) })
}

// toneLast moves the tone mark of a syllable to its end.
func toneLast(word string) string {
	var letters, tones []rune
	for _, r := range norm.NFD.String(word) {
		switch r {
		case '\u0300', '\u0301', '\u0303', '\u0309', '\u0323': // grave, acute, tilde, hook above, dot below
			tones = append(tones, r)
		default:
			letters = append(letters, unicode.ToLower(r))
		}
	}
	return norm.NFC.String(string(letters)) + string(tones)
}
