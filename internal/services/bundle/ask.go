package bundle

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"truc/internal/i18n"
)

// The greatest lengths, in characters, where the schema names none.
const (
	lineLength = 250
	areaLength = 4000
	maxRepeat  = 20
)

var (
	plainName     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,39}$`)
	identityShape = regexp.MustCompile(`^[0-9]{12}$`)
	phoneShape    = regexp.MustCompile(`^(\+84|0)[0-9]{8,10}$`)
	codeShape     = regexp.MustCompile(`^[0-9A-Za-z-]{0,16}$`)
)

func (fm *Form) shows(x Expr, f Facts) bool {
	ok, err := fm.env.guard(x, f)
	return ok && err == nil // hidden until the deciding question is answered
}

func (fm *Form) visible(f Facts) []*Page {
	var out []*Page
	for _, p := range fm.Pages {
		if fm.shows(p.When, f) {
			out = append(out, p)
		}
	}
	return out
}

func (fm *Form) visibleFields(p *Page, f Facts) []*Field {
	if !fm.shows(p.When, f) {
		return nil
	}
	var out []*Field
	for _, x := range p.Fields {
		if fm.shows(x.When, f) {
			out = append(out, x)
		}
	}
	return out
}

func (fm *Form) step(f Facts, from string, by int) *Page {
	pages := fm.visible(f)
	if from == "" {
		if by > 0 && len(pages) > 0 {
			return pages[0]
		}
		return nil
	}
	// The page named may itself have become hidden: go on from its place in the form.
	at := slices.IndexFunc(fm.Pages, func(p *Page) bool { return p.ID == from })
	if at < 0 {
		return nil
	}
	for i := at + by; i >= 0 && i < len(fm.Pages); i += by {
		if slices.Contains(pages, fm.Pages[i]) {
			return fm.Pages[i]
		}
	}
	return nil
}

// fault makes a FieldProblem at a control.
func (f *Field) fault(page *Page, ptr Pointer, control, key string, args ...any) FieldProblem {
	return FieldProblem{Ptr: ptr, Name: control, Page: page.ID, Key: "bundle.form." + key, Args: args, Label: f.Label}
}

func (fm *Form) readPage(p *Page, f Facts, values url.Values) (Answers, []FieldProblem) {
	patch := Answers{}
	faults := map[*Field][]FieldProblem{}
	for _, x := range p.Fields {
		if x.Locked(f) {
			continue
		}
		v, bad := x.read(p, x.Ptr, x.Name(), values)
		if len(bad) > 0 {
			faults[x] = bad
			continue
		}
		setNull(patch, x.Ptr, v)
	}
	// A question on this page may open or close another one on it.
	after := f
	after.Answers = f.Answers.Merge(patch)
	shown := fm.visibleFields(p, after)
	var out []FieldProblem
	for _, x := range p.Fields {
		if slices.Contains(shown, x) {
			out = append(out, faults[x]...)
		} else if !x.Locked(f) {
			setNull(patch, x.Ptr, nil)
		}
	}
	return patch, out
}

// setNull sets a value; nil is kept as null, which [Answers.Merge] reads as "remove".
func setNull(a Answers, p Pointer, v any) {
	if v != nil {
		a.Set(p, v)
		return
	}
	parts := p.parts()
	m := map[string]any(a)
	for _, part := range parts[:len(parts)-1] {
		next, ok := m[part].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[part] = next
		}
		m = next
	}
	m[parts[len(parts)-1]] = nil
}

// line cleans a one-line text: NFC, no control characters, single spaces.
func line(s string) string {
	return strings.Join(strings.FieldsFunc(i18n.NFC(s), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u200b' || r == '\ufeff'
	}), " ")
}

// area cleans a text of several lines.
func area(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(i18n.NFC(s), "\r\n", "\n"), "\r", "\n")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, s))
}

// read parses the controls of a field below a control name; nil means empty.
func (f *Field) read(p *Page, ptr Pointer, name string, values url.Values) (any, []FieldProblem) {
	raw := values.Get(name)
	switch f.Widget {
	case Number, Money:
		return f.readNumber(p, ptr, name, raw)
	case Date3:
		return f.readDate(p, ptr, name, values)
	case Address:
		return f.readAddress(p, ptr, name, values)
	case Checkboxes:
		var out []any
		for _, v := range values[name] {
			if v = line(v); v != "" && !slices.Contains(out, any(v)) && len(out) < 100 {
				out = append(out, v)
			}
		}
		if out == nil {
			return nil, nil
		}
		return out, nil
	case Repeat:
		return f.readRepeat(p, ptr, name, values)
	case Declaration:
		if raw == "" || raw == "false" {
			return nil, nil
		}
		return true, nil
	default:
		return f.readText(p, ptr, name, raw)
	}
}

func (f *Field) readText(p *Page, ptr Pointer, name, raw string) (any, []FieldProblem) {
	text := line(raw)
	limit := lineLength
	switch f.Widget {
	case TextArea:
		text, limit = area(raw), areaLength
	case Identity:
		text = strings.Map(func(r rune) rune {
			if r == ' ' || r == '.' || r == '-' {
				return -1
			}
			return r
		}, text)
	case Phone:
		text = strings.Map(func(r rune) rune {
			if strings.ContainsRune(" .-()", r) {
				return -1
			}
			return r
		}, text)
	default: // kept as typed
	}
	if f.MaxLength > 0 {
		limit = f.MaxLength
	}
	if n := len([]rune(text)); n > limit {
		return nil, []FieldProblem{f.fault(p, ptr, name, "tooLong", "max", limit, "got", n)}
	}
	if text == "" {
		return nil, nil
	}
	return text, nil
}

func (f *Field) readNumber(p *Page, ptr Pointer, name, raw string) (any, []FieldProblem) {
	text := strings.ReplaceAll(line(raw), " ", "")
	if text == "" {
		return nil, nil
	}
	if f.Widget == Money { // "25.000" is how people write twenty-five thousand
		text = strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(text, "đồng"), "đ"), ".", "")
	}
	if f.schema != nil && f.schema.Type == "number" {
		x, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", "."), 64)
		if err != nil || x > 1e15 || x < -1e15 || x != x {
			return nil, []FieldProblem{f.fault(p, ptr, name, "number")}
		}
		return x, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > 1e15 || n < -1e15 {
		return nil, []FieldProblem{f.fault(p, ptr, name, "number")}
	}
	return n, nil
}

func (f *Field) readDate(p *Page, ptr Pointer, name string, values url.Values) (any, []FieldProblem) {
	part := func(s string) string { return line(values.Get(name + "." + s)) }
	d, m, y := part("day"), part("month"), part("year")
	if d == "" && m == "" && y == "" {
		return nil, nil
	}
	for _, x := range [][2]string{{"day", d}, {"month", m}, {"year", y}} {
		if x[1] == "" {
			return nil, []FieldProblem{f.fault(p, ptr, name+"."+x[0], "datePart."+x[0])}
		}
	}
	day, err1 := strconv.Atoi(d)
	month, err2 := strconv.Atoi(m)
	year, err3 := strconv.Atoi(y)
	if err1 != nil || err2 != nil || err3 != nil {
		return nil, []FieldProblem{f.fault(p, ptr, name+".day", "date")}
	}
	if year < 1850 || year > 2200 {
		return nil, []FieldProblem{f.fault(p, ptr, name+".year", "dateYear")}
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if t.Day() != day || int(t.Month()) != month {
		return nil, []FieldProblem{f.fault(p, ptr, name+".day", "noSuchDay", "date", fmt.Sprintf("%d/%d/%d", day, month, year))}
	}
	return t.Format(time.DateOnly), nil
}

// partOfDate accepts the year, or year and month, that a register gives for people of whose birth no more is known.
// Nobody can type such a date: [Field.readDate] asks for all of it. (K'Brết, who only knows the year, must be able
// to file too.)
func (f *Field) partOfDate(text string) bool {
	if f.Prefill == nil {
		return false
	}
	for _, layout := range []string{"2006", "2006-01"} {
		if _, err := time.Parse(layout, text); err == nil {
			return true
		}
	}
	return false
}

func (f *Field) readAddress(p *Page, ptr Pointer, name string, values url.Values) (any, []FieldProblem) {
	out := map[string]any{}
	for _, k := range []string{"province", "commune", "line"} {
		v := line(values.Get(name + "." + k))
		if k != "line" && !codeShape.MatchString(v) {
			return nil, []FieldProblem{f.fault(p, ptr.Join(k), name+"."+k, "choose")}
		}
		if n := len([]rune(v)); n > lineLength {
			return nil, []FieldProblem{f.fault(p, ptr.Join(k), name+"."+k, "tooLong", "max", lineLength, "got", n)}
		}
		if v != "" {
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

func (f *Field) readRepeat(p *Page, ptr Pointer, name string, values url.Values) (any, []FieldProblem) {
	limit := maxRepeat
	if f.MaxItems > 0 {
		limit = f.MaxItems
	}
	var out []any
	var bad []FieldProblem
	for i := range limit {
		entry := Answers{}
		before := len(bad)
		for _, x := range f.Items {
			at := strconv.Itoa(i)
			v, faults := x.read(p, ptr.Join(at).Join(string(x.Ptr)), name+"."+at+"."+x.Ptr.Name(), values)
			bad = append(bad, faults...)
			if v != nil {
				entry.Set(x.Ptr, v)
			}
		}
		if len(entry) > 0 || len(bad) > before {
			out = append(out, map[string]any(entry))
		}
	}
	if out == nil {
		return nil, bad
	}
	return out, bad
}

func (fm *Form) clean(f Facts) Answers {
	out := Answers{}
	for _, p := range fm.visible(f) {
		for _, x := range fm.visibleFields(p, f) {
			if v, ok := f.Answers.Get(x.Ptr); ok && v != nil {
				out.Set(x.Ptr, cloneValue(v))
			}
		}
	}
	return out
}
