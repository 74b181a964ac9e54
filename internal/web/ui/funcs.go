package ui

import (
	"fmt"
	"html/template"
	"reflect"
	"slices"
	"strings"
	"time"

	"truc/internal/i18n"
)

// funcs are the functions of templates in one language. Those that depend on it also take a language as their first
// argument, so that {{t .Lang "key"}} and {{t "key"}} are the same.
func (rd *Renderer) funcs(lang string) template.FuncMap {
	return template.FuncMap{
		"t": func(first string, rest ...any) string {
			key, l := first, lang
			if slices.Contains(i18n.Langs, first) && len(rest) > 0 {
				l, key, rest = first, fmt.Sprint(rest[0]), rest[1:]
			}
			return rd.t(l, key, rest...)
		},
		"problem": func(p any) string {
			switch p := p.(type) {
			case *Problem:
				if p != nil {
					return rd.problem(lang, *p)
				}
			case Problem:
				return rd.problem(lang, p)
			}
			return ""
		},
		"text":     func(t i18n.Text) string { return t.In(lang) },
		"date":     func(args ...any) string { return i18n.Date(asTime(args)) },
		"datetime": func(args ...any) string { return i18n.DateTime(asTime(args)) },
		"longdate": func(args ...any) string { return i18n.LongDate(langOf(lang, args), asTime(args)) },
		"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"money":    func(args ...any) string { return i18n.Money(langOf(lang, args), asInt(args)) },
		"number":   func(args ...any) string { return i18n.Number(langOf(lang, args), asInt(args)) },
		"decimal": func(s string) string {
			if lang == "en" {
				return s
			}
			return strings.ReplaceAll(s, ".", ",")
		},
		"asset":   func(name string) string { return rd.opt.Assets.URL(name) },
		"icon":    icon,
		"fieldid": FieldID,
		"has":     func(list []string, s string) bool { return slices.Contains(list, s) },
		"add":     func(a, b int) int { return a + b },
	}
}

func (rd *Renderer) t(lang, key string, args ...any) string {
	if rd.opt.Lang == nil {
		return "[" + key + "]"
	}
	return rd.opt.Lang.T(lang, key, args...)
}

func (rd *Renderer) problem(lang string, p Problem) string {
	if p.Text != "" {
		return p.Text
	}
	return rd.t(lang, p.Key, p.Args...)
}

func langOf(lang string, args []any) string {
	if len(args) > 1 {
		if s, ok := args[0].(string); ok {
			return s
		}
	}
	return lang
}

func asTime(args []any) time.Time {
	if len(args) == 0 {
		return time.Time{}
	}
	switch t := args[len(args)-1].(type) {
	case time.Time:
		return t
	case *time.Time:
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

func asInt(args []any) int64 {
	if len(args) == 0 {
		return 0
	}
	v := reflect.ValueOf(args[len(args)-1])
	switch {
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return int64(v.Uint()) //nolint:gosec // counts of a page
	case v.CanFloat():
		return int64(v.Float())
	}
	return 0
}
