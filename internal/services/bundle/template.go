package bundle

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	"golang.org/x/net/html"

	"truc/internal/errs"
	"truc/internal/i18n"
)

//go:embed defaults/*.html
var defaults embed.FS

// templateSet holds the templates of a bundle laid over the national defaults. Every HTML template is parsed
// together with defaults/layout.html, whose blocks ("letterhead", "parties" …) it may use.
type templateSet struct {
	html map[string]*htmltemplate.Template
	text map[string]*texttemplate.Template
}

// subset are the elements that the PDF writer knows.
var subset = []string{
	"h1", "h2", "h3", "p", "strong", "em", "br", "hr", "table", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li",
	"div", "span", "b", "i", "u", "tfoot", "qr", "space", "signature-box",
}

// templateFuncs are the functions of templates. They are pure: the clock is in the data.
func templateFuncs() map[string]any {
	return map[string]any{
		"date":     i18n.Date,
		"datetime": i18n.DateTime,
		"longdate": func(t time.Time) string { return i18n.LongDate("vi", t) },
		// dayOf writes "ngày 21 tháng 11 năm 2026", as letterheads do.
		"dayOf": func(t time.Time) string {
			if t.IsZero() {
				return "ngày ….. tháng ….. năm ………"
			}
			t = t.In(i18n.Zone)
			return fmt.Sprintf("ngày %02d tháng %02d năm %d", t.Day(), t.Month(), t.Year())
		},
		"isoDate": func(s string) string {
			t, err := time.ParseInLocation(time.DateOnly, s, i18n.Zone)
			if err != nil {
				return s
			}
			return i18n.Date(t)
		},
		"money": func(n int64) string { return i18n.Money("vi", n) },
		"upper": strings.ToUpper,
		"mask":  maskIdentity,
		"inc":   func(i int) int { return i + 1 },
		"answer": func(a Answers, ptr string) string {
			v, _ := a.Get(Pointer(ptr))
			if v == nil {
				return ""
			}
			return fmt.Sprint(v)
		},
	}
}

// maskIdentity hides the middle of a number: "001204000234" is "0012•••••234".
func maskIdentity(s string) string {
	if len(s) < 9 {
		return s
	}
	return s[:4] + strings.Repeat("•", len(s)-7) + s[len(s)-3:]
}

func templateName(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, "templates/"), ".html")
}

func (t *templateSet) render(name string, data *DocumentData) ([]byte, error) {
	tpl := t.html[templateName(name)]
	if tpl == nil {
		return nil, errs.E(errs.NotFound, "bundle.template.unknown", nil, "name", name)
	}
	var buf bytes.Buffer
	if err := tpl.Execute(&buf, data); err != nil {
		return nil, errs.E(errs.Internal, "bundle.template.broken", err, "name", name)
	}
	return buf.Bytes(), nil
}

func (t *templateSet) renderText(path string, data *DocumentData) (string, error) {
	tpl := t.text[path]
	if tpl == nil {
		return "", errs.E(errs.NotFound, "bundle.template.unknown", nil, "name", path)
	}
	var buf strings.Builder
	if err := tpl.Execute(&buf, data); err != nil {
		return "", errs.E(errs.Internal, "bundle.template.broken", err, "name", path)
	}
	return strings.TrimSpace(buf.String()), nil
}

// wantTemplate notes that a template is referred to: a file of the bundle or the name of a default.
func (l *loader) wantTemplate(name, file string, line int) {
	if strings.HasPrefix(name, "templates/") {
		if _, ok := l.files.data[name]; ok {
			l.used[name] = true
			return
		}
	} else if _, err := defaults.Open("defaults/" + name + ".html"); err == nil {
		return
	} else if _, ok := l.files.data["templates/"+name+".html"]; ok {
		return
	}
	l.bad(file, line, "noTemplate", "name", name, "known", strings.Join(DefaultTemplates(), ", "))
}

// DefaultTemplates are the names of the templates that every procedure has.
func DefaultTemplates() []string {
	entries, err := defaults.ReadDir("defaults")
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if n := strings.TrimSuffix(e.Name(), ".html"); n != "layout" {
			out = append(out, n)
		}
	}
	return out
}

// templateLine finds the line in messages of the template packages: "template: slip-01:12:3: …".
var templateLine = regexp.MustCompile(`^(?:html/)?template: ?:?[^:]*:(\d+)(?::\d+)?: (.*)`)

func (l *loader) badTemplate(file string, err error) {
	line, what := 0, err.Error()
	if he, ok := errors.AsType[*htmltemplate.Error](err); ok {
		line, what = he.Line, he.Description
	}
	if m := templateLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = m[2]
	}
	l.bad(file, line, "template", "what", firstLine(what))
}

func (l *loader) readTemplates(p *Procedure) {
	l.wantTemplate(p.Result.Template, procedureFile, l.nodes[procedureFile].at("result", "template"))
	for _, c := range p.Cases {
		for i, d := range c.Papers {
			if d.Template != "" {
				l.wantTemplate(d.Template, "cases/"+c.ID+".yaml", l.nodes["cases/"+c.ID+".yaml"].at("papers", i, "template"))
			}
		}
	}
	set := &templateSet{html: map[string]*htmltemplate.Template{}, text: map[string]*texttemplate.Template{}}
	layout, err := defaults.ReadFile("defaults/layout.html")
	if err != nil {
		l.bad(".", 0, "cannotRead", "what", err)
		return
	}
	parse := func(name, text string) (*htmltemplate.Template, error) {
		t, err := htmltemplate.New(name).Option("missingkey=zero").Funcs(templateFuncs()).Parse(text)
		if err != nil {
			return nil, err
		}
		_, err = t.New("layout").Parse(string(layout))
		return t, err
	}
	for _, name := range DefaultTemplates() {
		b, err := defaults.ReadFile("defaults/" + name + ".html")
		if err == nil {
			set.html[name], err = parse(name, string(b))
		}
		if err != nil {
			l.bad("defaults/"+name+".html", 0, "template", "what", err)
		}
	}
	sample := SampleData(p)
	for _, file := range l.files.names {
		name, isHTML := strings.CutSuffix(strings.TrimPrefix(file, "templates/"), ".html")
		switch {
		case !strings.HasPrefix(file, "templates/"):
		case isHTML:
			if slices.Contains(DefaultTemplates(), name) || templateName(p.Result.Template) == name {
				l.used[file] = true
			}
			t, err := parse(name, string(l.files.data[file]))
			if err != nil {
				l.badTemplate(file, err)
				continue
			}
			set.html[name] = t
			l.tryTemplate(set, file, sample)
		case strings.HasSuffix(file, ".txt"):
			t, err := texttemplate.New(file).Option("missingkey=zero").Funcs(templateFuncs()).Parse(string(l.files.data[file]))
			if err != nil {
				l.badTemplate(file, err)
				continue
			}
			set.text[file] = t
			if _, err := set.renderText(file, sample); err != nil {
				l.badTemplate(file, errors.Unwrap(err))
			}
		}
	}
	if t := set.html[templateName(p.Result.Template)]; t != nil {
		set.html[TemplateResult] = t
	}
	p.templates = set
}

func (l *loader) tryTemplate(set *templateSet, file string, sample *DocumentData) {
	// Twice: with everything, and with nothing but the necessary, for templates that index into what is not there.
	for _, data := range []*DocumentData{sample, {Lang: "vi", Procedure: sample.Procedure, Raw: Answers{}, Record: map[string]string{}}} {
		out, err := set.render(file, data)
		if err != nil {
			if cause := errors.Unwrap(err); cause != nil {
				err = cause
			}
			l.badTemplate(file, err)
			return
		}
		if tag := strangeTag(out); tag != "" {
			l.bad(file, lineOf(l.files.data[file], "<"+tag), "templateTag", "tag", tag, "known", strings.Join(subset, ", "))
			return
		}
	}
}

// strangeTag returns the first element outside the subset, or "".
func strangeTag(b []byte) string {
	z := html.NewTokenizer(bytes.NewReader(b))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if errors.Is(z.Err(), io.EOF) {
				return ""
			}
			return "?"
		case html.StartTagToken, html.SelfClosingTagToken:
			if name, _ := z.TagName(); !slices.Contains(subset, string(name)) {
				return string(name)
			}
		}
	}
}

func lineOf(b []byte, s string) int {
	before, _, ok := bytes.Cut(b, []byte(s))
	if !ok {
		return 0
	}
	return 1 + bytes.Count(before, []byte("\n"))
}
