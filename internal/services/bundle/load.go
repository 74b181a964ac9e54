package bundle

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"truc/internal/i18n"
)

// Load reads and checks the bundle whose files are at the root of fsys. With problems the procedure is nil: what
// has a fault cannot be published, and nobody can use it by mistake.
func Load(fsys fs.FS) (*Procedure, Problems) {
	l := &loader{}
	p := l.load(fsys)
	l.sort()
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return p, nil
}

// LoadAll loads every folder of fsys that holds a procedure.yaml, at any depth down to three, and groups the bundles
// by code, the version that takes effect first in front. File names in problems begin with the folder.
func LoadAll(fsys fs.FS) (map[string][]*Procedure, Problems) {
	out := map[string][]*Procedure{}
	var all Problems
	err := fs.WalkDir(fsys, ".", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if dir != "." && strings.HasPrefix(d.Name(), ".") || strings.Count(dir, "/") > 3 {
			return fs.SkipDir
		}
		if _, err := fs.Stat(fsys, path.Join(dir, "procedure.yaml")); err != nil {
			return nil //nolint:nilerr // a folder without procedure.yaml is no bundle
		}
		sub, err := fs.Sub(fsys, dir)
		if err != nil {
			return err
		}
		p, bad := Load(sub)
		for _, b := range bad {
			b.File = path.Join(dir, b.File)
			all = append(all, b)
		}
		if p != nil {
			for _, q := range out[p.Code] {
				if q.Version.ID == p.Version.ID {
					all = append(all, problem(path.Join(dir, "procedure.yaml"), 0, "doubleVersion", "id", p.Version.ID, "code", p.Code))
				}
			}
			out[p.Code] = append(out[p.Code], p)
		}
		return fs.SkipDir
	})
	if err != nil {
		all = append(all, problem(".", 0, "cannotRead", "what", err))
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b *Procedure) int { return a.Version.From.Compare(b.Version.From) })
	}
	return out, all
}

type loader struct {
	files    *fileSet
	nodes    map[string]*node
	used     map[string]bool
	problems Problems
	results  []exampleResult
	tables   map[string]*Table
	groups   []string // prefill groups of all cases
	bindings map[Pointer]*Binding
}

func (l *loader) bad(file string, line int, key string, args ...any) {
	if len(l.problems) < 200 {
		l.problems = append(l.problems, problem(file, line, key, args...))
	}
}

// at returns bad for one file.
func (l *loader) at(file string) func(line int, key string, args ...any) {
	return func(line int, key string, args ...any) { l.bad(file, line, key, args...) }
}

func (l *loader) sort() {
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	l.problems = slices.CompactFunc(l.problems, func(a, b Problem) bool { return a == b })
}

// file parses a YAML or JSON file; nil when it is missing or broken, which is reported unless optional.
func (l *loader) file(name string, optional bool) *node {
	l.used[name] = true
	if n, ok := l.nodes[name]; ok {
		return n
	}
	b, ok := l.files.data[name]
	if !ok {
		if !optional {
			l.bad(name, 0, "missingFile", "path", name)
		}
		return nil
	}
	parse := parseYAML
	if strings.HasSuffix(name, ".json") {
		parse = parseJSON
	}
	n, err := parse(b)
	if err != nil {
		if le, ok := errors.AsType[*lineError](err); ok {
			l.bad(name, le.line, le.key, "what", le.what)
		}
		n = nil
	}
	l.nodes[name] = n
	return n
}

func (l *loader) decode(name string, out any, optional bool) *node {
	n := l.file(name, optional)
	if n == nil {
		return nil
	}
	d := &decoder{file: name, bad: l.bad}
	if n.kind != mapNode {
		d.wrong(n, "bảng khóa: giá trị / mapping")
		return nil
	}
	d.decode(n, out)
	return n
}

var procedureCode = regexp.MustCompile(`^[1-9]\.[0-9]{6}$`)

// rawProcedure is procedure.yaml.
type rawProcedure struct {
	Code       string      `yaml:"code,required"`
	Name       i18n.Text   `yaml:"name,required"`
	Summary    i18n.Text   `yaml:"summary"`
	Steps      []i18n.Text `yaml:"steps"`
	Conditions []i18n.Text `yaml:"conditions"`
	Field      FieldOfWork `yaml:"field,required"`
	Keywords   []string    `yaml:"keywords"`
	LifeEvents []string    `yaml:"lifeEvents"`
	Version    Version     `yaml:"version,required"`
	Decision   LegalRef    `yaml:"decision"`
	LegalBasis []LegalRef  `yaml:"legalBasis,required"`
	Applicants []string    `yaml:"applicants,required"`
	Authority  Authority   `yaml:"competentAuthority,required"`
	Service    Service     `yaml:"service,required"`
	Result     Result      `yaml:"result,required"`
	Archive    Archive     `yaml:"archive,required"`
	Requires   Requires    `yaml:"requires"`
	Cases      []string    `yaml:"cases,required"`
}

const procedureFile = "procedure.yaml"

func (l *loader) load(fsys fs.FS) *Procedure {
	l.nodes, l.used, l.bindings = map[string]*node{}, map[string]bool{}, map[Pointer]*Binding{}
	var bad Problems
	l.files, bad = readFiles(fsys)
	l.problems = append(l.problems, bad...)
	if len(bad) > 0 {
		return nil
	}
	var raw rawProcedure
	n := l.decode(procedureFile, &raw, false)
	if n == nil {
		return nil
	}
	p := &Procedure{
		Code: raw.Code, Name: raw.Name, Summary: raw.Summary, Steps: raw.Steps, Conditions: raw.Conditions, Field: raw.Field,
		Keywords: raw.Keywords, LifeEvents: raw.LifeEvents, Version: raw.Version, Decision: raw.Decision,
		LegalBasis: raw.LegalBasis, Applicants: raw.Applicants, CompetentAuthority: raw.Authority, Service: raw.Service,
		Result: raw.Result, Archive: raw.Archive, Requires: raw.Requires,
		Hash: l.files.hash(), Files: l.files.names, forms: map[string]*Form{},
	}
	l.checkFacts(n, &raw)
	l.readTables()
	l.readCases(p, n, raw.Cases)
	l.readFlow(p)
	l.readForms(p)
	l.newEnv(p)
	if len(l.problems) > 0 {
		// Expressions, templates and examples lean on all of the above: their faults would only repeat these.
		return nil
	}
	l.compileCases(p)
	l.compileFlow(p)
	l.readTemplates(p)
	l.checkFiles()
	if len(l.problems) > 0 {
		return nil
	}
	l.checkCases(p)
	l.runTests(p)
	return p
}

func (l *loader) oneOf(file string, line int, word string, known ...string) {
	if word != "" && !slices.Contains(known, word) {
		l.bad(file, line, "unknownWord", "word", word, "known", strings.Join(known, ", "))
	}
}

func (l *loader) checkFacts(n *node, raw *rawProcedure) {
	at := n.at
	if raw.Code != "" && !procedureCode.MatchString(raw.Code) {
		l.bad(procedureFile, at("code"), "badCode", "code", raw.Code)
	}
	l.oneOf(procedureFile, at("service", "mode"), raw.Service.Mode, "full", "partial")
	l.oneOf(procedureFile, at("service", "vocabulary"), raw.Service.Vocabulary, "ND43-2011", "ND42-2022", "ND224-2026")
	if raw.Service.Mode == "partial" && raw.Service.Reason.In("vi") == "" {
		l.bad(procedureFile, at("service", "mode"), "reason")
	}
	for i, a := range raw.Applicants {
		l.oneOf(procedureFile, at("applicants", i), a, "citizen", "organisation", "enterprise")
	}
	l.oneOf(procedureFile, at("competentAuthority", "level"), raw.Authority.Level, "commune", "province", "ministry")
	l.oneOf(procedureFile, at("requires", "identity"), raw.Requires.Identity, "none", "vneid-1", "vneid-2")
	for i, s := range raw.Result.Sign {
		l.oneOf(procedureFile, at("result", "sign", i), s, "officer", "head", "agency-seal")
	}
	l.oneOf(procedureFile, at("result", "format"), raw.Result.Format, "pdf")
	if v := raw.Version; !v.Until.IsZero() && v.Until.Before(v.From) {
		l.bad(procedureFile, at("version", "until"), "untilFrom")
	}
}

type rawFees struct {
	Tables map[string]*Table `yaml:"tables"`
}

func (l *loader) readTables() {
	const file = "fees.yaml"
	var raw rawFees
	n := l.decode(file, &raw, true)
	l.tables = raw.Tables
	for name, t := range raw.Tables {
		if t == nil {
			delete(l.tables, name)
			continue
		}
		at := func(path ...any) int { return n.at(append([]any{"tables", name}, path...)...) }
		if !plainName.MatchString(name) {
			l.bad(file, at(), "badName", "name", name)
		}
		before := len(l.problems)
		l.oneOf(file, at("hit"), t.Hit, "unique", "first")
		for i, in := range t.Inputs {
			l.oneOf(file, at("inputs", i, "type"), in.Type, "string", "integer", "boolean")
			if in.Type == "string" && len(in.Values) == 0 {
				l.bad(file, at("inputs", i), "missingKey", "key", "values")
			}
			if in.Type == "integer" && in.Max <= in.Min {
				l.bad(file, at("inputs", i), "missingKey", "key", "max")
			}
		}
		for i, out := range t.Outputs {
			l.oneOf(file, at("outputs", i, "type"), out.Type, "string", "integer", "boolean")
			if !plainName.MatchString(out.Name) {
				l.bad(file, at("outputs", i), "badName", "name", out.Name)
			}
		}
		l.used[t.File] = true
		b, ok := l.files.data[t.File]
		if !ok {
			l.bad(file, at("file"), "missingFile", "path", t.File)
		}
		if !ok || len(l.problems) > before {
			continue
		}
		t.read(b, l.at(t.File))
		if len(l.problems) == before {
			t.check(l.at(t.File))
		}
	}
}

// newEnv makes the environment of what is not tied to one form. Answers are typed by the form when all cases share
// one, else they are not typed.
func (l *loader) newEnv(p *Procedure) {
	var schema *schemaNode
	shared := true
	var first *Form
	for _, c := range p.Cases {
		fm := p.Form(c)
		if first == nil {
			first = fm
		}
		shared = shared && fm == first
	}
	if shared && first != nil {
		schema = first.schema
	}
	env, err := newCELEnv(schema, l.groups, l.tables)
	if err != nil {
		l.bad(procedureFile, 0, "cel", "what", err)
		return
	}
	p.env = env
}

func (l *loader) compile(env *celEnv, file string, line int, x Expr, want *cel.Type) {
	if x == "" || env == nil {
		return
	}
	if err := env.compile(x, want); err != nil {
		l.bad(file, line, "cel", "what", err)
	}
}

// checkFiles reports files that nothing refers to: a misspelt name would otherwise be ignored in silence.
func (l *loader) checkFiles() {
	for _, n := range l.files.names {
		dir, _, _ := strings.Cut(n, "/")
		switch {
		case l.used[n], n == "README.md", n == "LICENSE":
		case dir == "tests" && strings.HasSuffix(n, ".yaml"):
		case slices.Contains([]string{"cases", "forms", "tables", "templates"}, dir):
			l.bad(n, 0, "unusedFile", "path", n)
		default:
			l.bad(n, 0, "strangeFile", "path", n)
		}
	}
}
