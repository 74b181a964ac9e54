package bundle

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"truc/internal/i18n"
)

// Places names a province and a commune for people; nil shows the codes.
type Places func(province, commune string) (provinceName, communeName string)

// Rows lists the visible questions with their answers, for the check page and the printed form. Source is the
// prefill group when a register answered. Declarations are left out: they are signed, not read back.
func (fm *Form) Rows(f Facts, lang string, places Places) []AnswerRow {
	var out []AnswerRow
	for _, p := range fm.visible(f) {
		for _, x := range fm.visibleFields(p, f) {
			if x.Widget == Declaration {
				continue
			}
			v, _ := f.Answers.Get(x.Ptr)
			row := AnswerRow{Page: p.ID, Label: x.Label.In(lang), Value: x.show(v, lang, places)}
			if x.Locked(f) {
				row.Source = x.Prefill.Group()
			}
			out = append(out, row)
		}
	}
	return out
}

// Show writes an answer of the field as people read it.
func (f *Field) Show(a Answers, lang string, places Places) string {
	v, _ := a.Get(f.Ptr)
	return f.show(v, lang, places)
}

func (f *Field) show(v any, lang string, places Places) string {
	if empty(v) {
		return ""
	}
	switch f.Widget {
	case Money:
		if n, ok := v.(int64); ok {
			return i18n.Money(lang, n)
		}
	case Number:
		if n, ok := v.(int64); ok {
			return i18n.Number(lang, n)
		}
	case Date3:
		if t, err := time.ParseInLocation(time.DateOnly, fmt.Sprint(v), i18n.Zone); err == nil {
			return i18n.Date(t)
		}
	case Radios, Select:
		return f.option(fmt.Sprint(v), lang)
	case Checkboxes:
		list, _ := v.([]any)
		parts := make([]string, len(list))
		for i, x := range list {
			parts[i] = f.option(fmt.Sprint(x), lang)
		}
		return strings.Join(parts, ", ")
	case Address:
		return showAddress(v, places)
	case Repeat:
		return f.showRepeat(v, lang, places)
	default: // text is its own words
	}
	return fmt.Sprint(v)
}

func showAddress(v any, places Places) string {
	m, _ := v.(map[string]any)
	text := func(k string) string { s, _ := m[k].(string); return s }
	province, commune := text("province"), text("commune")
	if places != nil {
		province, commune = places(province, commune)
	}
	var parts []string
	for _, s := range []string{text("line"), commune, province} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}

func (f *Field) showRepeat(v any, lang string, places Places) string {
	list, _ := v.([]any)
	var lines []string
	for _, e := range list {
		m, _ := e.(map[string]any)
		var parts []string
		for _, x := range f.Items {
			val, _ := Answers(m).Get(x.Ptr)
			if s := x.show(val, lang, places); s != "" {
				parts = append(parts, s)
			}
		}
		lines = append(lines, strings.Join(parts, ", "))
	}
	return strings.Join(lines, "; ")
}

func (f *Field) option(value, lang string) string {
	for _, o := range f.Options {
		if o.Value == value {
			return o.Label.In(lang)
		}
	}
	return value
}

// Controls returns the values that the controls of the field show for stored answers: the reverse of reading.
func (f *Field) Controls(a Answers) url.Values {
	out := url.Values{}
	v, _ := a.Get(f.Ptr)
	f.controls(v, f.Name(), out)
	return out
}

func (f *Field) controls(v any, name string, out url.Values) {
	if empty(v) {
		return
	}
	switch f.Widget {
	case Date3:
		if t, err := time.Parse(time.DateOnly, fmt.Sprint(v)); err == nil {
			out.Set(name+".day", strconv.Itoa(t.Day()))
			out.Set(name+".month", strconv.Itoa(int(t.Month())))
			out.Set(name+".year", strconv.Itoa(t.Year()))
		}
	case Address:
		m, _ := v.(map[string]any)
		for k, x := range m {
			out.Set(name+"."+k, fmt.Sprint(x))
		}
	case Checkboxes:
		list, _ := v.([]any)
		for _, x := range list {
			out.Add(name, fmt.Sprint(x))
		}
	case Repeat:
		list, _ := v.([]any)
		for i, e := range list {
			m, _ := e.(map[string]any)
			for _, x := range f.Items {
				val, _ := Answers(m).Get(x.Ptr)
				x.controls(val, name+"."+strconv.Itoa(i)+"."+x.Ptr.Name(), out)
			}
		}
	default:
		out.Set(name, fmt.Sprint(v))
	}
}

// ArgsIn returns Args with the label of the field under "label", in lower case as the middle of a sentence wants.
func (p FieldProblem) ArgsIn(lang string) []any {
	return append(append([]any{}, p.Args...), "label", lowerFirst(p.Label.In(lang)))
}

// lowerFirst leaves words such as "CCCD" alone.
func lowerFirst(s string) string {
	r := []rune(s)
	if len(r) == 0 || len(r) > 1 && unicode.IsUpper(r[1]) {
		return s
	}
	r[0] = unicode.ToLower(r[0])
	return string(r)
}
