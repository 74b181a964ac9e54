package bundle

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"truc/internal/errs"
)

// Bounds of expressions: they are a line or two, and a page evaluates dozens of them.
const (
	celCost     = 20_000
	celLength   = 2_000
	celNodes    = 400
	celNesting  = 40
	celParseRec = 60
)

// celEnv type-checks and runs the expressions of a bundle. The type of `answers` is that of the form's schema, so
// a misspelt question does not publish. programs is filled while loading and only read afterwards.
type celEnv struct {
	env      *cel.Env
	schema   *schemaNode // of answers; nil = untyped
	tables   map[string]*Table
	programs map[Expr]*celProgram
}

type celProgram struct {
	program  cel.Program
	constant bool
	result   *cel.Type
}

// objectTypes tells CEL about the shape of answers and facts. Values stay plain maps. Type names begin with a capital
// and hold no dots: `answers.submitter` would otherwise be read as the name of a type.
type objectTypes struct {
	*types.Registry
	objects map[string]map[string]*cel.Type
	names   map[string][]string
}

func (o *objectTypes) FindStructType(name string) (*types.Type, bool) {
	if _, ok := o.objects[name]; ok {
		return types.NewTypeTypeWithParam(cel.ObjectType(name)), true
	}
	return o.Registry.FindStructType(name)
}

func (o *objectTypes) FindStructFieldNames(name string) ([]string, bool) {
	if n, ok := o.names[name]; ok {
		return n, true
	}
	return o.Registry.FindStructFieldNames(name)
}

func (o *objectTypes) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if fields, ok := o.objects[name]; ok {
		t, ok := fields[field]
		return &types.FieldType{Type: t}, ok
	}
	return o.Registry.FindStructFieldType(name, field)
}

func (o *objectTypes) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if _, ok := o.objects[name]; ok {
		return types.NewErr("objects are not made in expressions")
	}
	return o.Registry.NewValue(name, fields)
}

func (o *objectTypes) add(name string, fields map[string]*cel.Type) {
	o.objects[name] = fields
	for f := range fields {
		o.names[name] = append(o.names[name], f)
	}
}

// addSchema declares an object schema and those below it.
func (o *objectTypes) addSchema(name string, s *schemaNode) *cel.Type {
	switch s.Type {
	case "string":
		return cel.StringType
	case "integer":
		return cel.IntType
	case "number":
		return cel.DoubleType
	case "boolean":
		return cel.BoolType
	case "array":
		if s.Items == nil {
			return cel.ListType(cel.DynType)
		}
		return cel.ListType(o.addSchema(name+"_item", s.Items))
	case "object":
		fields := map[string]*cel.Type{}
		for _, p := range s.Props {
			fields[p.Name] = o.addSchema(name+"_"+p.Name, p.Schema)
		}
		o.add(name, fields)
		return cel.ObjectType(name)
	}
	return cel.DynType
}

func newCELEnv(schema *schemaNode, groups []string, tables map[string]*Table) (*celEnv, error) {
	reg, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	o := &objectTypes{Registry: reg, objects: map[string]map[string]*cel.Type{}, names: map[string][]string{}}
	answers := cel.DynType
	if schema != nil {
		answers = o.addSchema("Answers", schema)
	}
	o.add("Prefilled", map[string]*cel.Type{"ok": cel.BoolType, "status": cel.StringType})
	prefill := map[string]*cel.Type{}
	for _, g := range groups {
		prefill[g] = cel.ObjectType("Prefilled")
	}
	o.add("Prefill", prefill)
	o.add("Person", map[string]*cel.Type{
		"kind": cel.StringType, "policyGroups": cel.ListType(cel.StringType), "level": cel.IntType, "age": cel.IntType,
	})
	o.add("Fee", map[string]*cel.Type{"total": cel.IntType, "paid": cel.BoolType, "due": cel.StringType})
	o.add("Papers", map[string]*cel.Type{"allJudged": cel.BoolType, "missing": cel.IntType, "rejected": cel.IntType})
	o.add("Dossier", map[string]*cel.Type{
		"state": cel.StringType, "previous": cel.StringType, "channel": cel.StringType, "date": cel.StringType,
		"supplements": cel.IntType, "extensions": cel.IntType, "hasResult": cel.BoolType,
	})
	opts := []cel.EnvOption{
		cel.CustomTypeAdapter(reg), cel.CustomTypeProvider(o),
		cel.Variable("answers", answers), cel.Variable("prefill", cel.ObjectType("Prefill")),
		cel.Variable("person", cel.ObjectType("Person")), cel.Variable("fee", cel.ObjectType("Fee")),
		cel.Variable("papers", cel.ObjectType("Papers")), cel.Variable("dossier", cel.ObjectType("Dossier")),
		cel.Function("days", cel.Overload("days_string_string", []*cel.Type{cel.StringType, cel.StringType}, cel.IntType,
			cel.BinaryBinding(celDays))),
		cel.Function("years", cel.Overload("years_string_string", []*cel.Type{cel.StringType, cel.StringType}, cel.IntType,
			cel.BinaryBinding(celYears))),
		cel.ParserExpressionSizeLimit(celLength), cel.ParserRecursionLimit(celParseRec),
		cel.ExpressionNodeLimit(celNodes), cel.ExpressionNestingDepthLimit(celNesting),
	}
	for name, t := range tables {
		opts = append(opts, t.function(name, o))
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return nil, err
	}
	return &celEnv{env: env, schema: schema, tables: tables, programs: map[Expr]*celProgram{}}, nil
}

// compile checks an expression and keeps its program. The error is fit for an author of bundles.
func (e *celEnv) compile(x Expr, want *cel.Type) error {
	if p, ok := e.programs[x]; ok {
		return sameType(p.result, want)
	}
	ast, iss := e.env.Compile(string(x))
	if iss.Err() != nil {
		return fmt.Errorf("%s", celMessage(iss))
	}
	program, err := e.env.Program(ast, cel.CostLimit(celCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return err
	}
	p := &celProgram{program: program, result: ast.OutputType(), constant: x == "true" || x == "false"}
	if err := sameType(p.result, want); err != nil {
		return err
	}
	e.programs[x] = p
	return nil
}

func sameType(got, want *cel.Type) error {
	if got.IsExactType(want) || got.IsExactType(cel.DynType) {
		return nil
	}
	return fmt.Errorf("gives %s, want %s", cel.FormatCELType(got), cel.FormatCELType(want))
}

func celMessage(iss *cel.Issues) string {
	var parts []string
	for _, e := range iss.Errors() {
		parts = append(parts, fmt.Sprintf("%s (cột/column %d)", e.Message, e.Location.Column()+1))
		if len(parts) == 3 {
			break
		}
	}
	return strings.Join(parts, "; ")
}

// errUnanswered marks an expression that needs an answer nobody has given yet.
var errUnanswered = errors.New("an answer that the expression needs is missing")

func (e *celEnv) eval(x Expr, f Facts) (ref.Val, error) {
	p, ok := e.programs[x]
	if !ok {
		return nil, errs.E(errs.Internal, "bundle.guard.broken", fmt.Errorf("expression %q was not compiled", x))
	}
	v, _, err := p.program.Eval(e.vars(f))
	switch {
	case err == nil:
		return v, nil
	case strings.Contains(err.Error(), "no such key"), strings.Contains(err.Error(), "no such attribute"):
		return nil, errs.E(errs.Invalid, "bundle.guard.unanswered", fmt.Errorf("%w: %q: %w", errUnanswered, x, err))
	}
	return nil, errs.E(errs.Internal, "bundle.guard.broken", fmt.Errorf("%q: %w", x, err))
}

// guard evaluates a condition. Nothing is true by default: without an expression it is, with a faulty one not.
func (e *celEnv) guard(x Expr, f Facts) (bool, error) {
	if x == "" {
		return true, nil
	}
	v, err := e.eval(x, f)
	if err != nil {
		return false, err
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, errs.E(errs.Internal, "bundle.guard.broken", fmt.Errorf("%q gives %s", x, v.Type().TypeName()))
	}
	return b, nil
}

// number evaluates an amount.
func (e *celEnv) number(x Expr, f Facts) (int64, error) {
	v, err := e.eval(x, f)
	if err != nil {
		return 0, err
	}
	n, ok := v.Value().(int64)
	if !ok {
		return 0, errs.E(errs.Internal, "bundle.guard.broken", fmt.Errorf("%q gives %s", x, v.Type().TypeName()))
	}
	return n, nil
}

// constant reports whether an expression does not depend on the dossier.
func (e *celEnv) constant(x Expr) bool {
	p, ok := e.programs[x]
	return x == "" || ok && p.constant
}

func (e *celEnv) vars(f Facts) map[string]any {
	prefill := map[string]any{}
	for _, g := range e.groups() {
		prefill[g] = map[string]any{"ok": false, "status": "none"}
	}
	for g, s := range f.Prefill {
		prefill[g] = map[string]any{"ok": s.OK(), "status": s.Status}
	}
	answers := map[string]any(f.Answers)
	if answers == nil {
		answers = map[string]any{}
	}
	if e.schema != nil {
		answers, _ = e.schema.coerce(answers).(map[string]any)
	}
	groups := f.Person.PolicyGroups
	if groups == nil {
		groups = []string{}
	}
	d := f.Dossier
	return map[string]any{
		"answers": answers,
		"prefill": prefill,
		"person": map[string]any{
			"kind": f.Person.Kind, "policyGroups": groups, "level": int64(f.Person.Level), "age": int64(f.Person.Age),
		},
		"fee": map[string]any{"total": f.Fee.Total, "paid": f.Fee.Paid, "due": f.Fee.Due},
		"papers": map[string]any{
			"allJudged": f.Papers.AllJudged, "missing": int64(f.Papers.Missing), "rejected": int64(f.Papers.Rejected),
		},
		"dossier": map[string]any{
			"state": d.State, "previous": d.Previous, "channel": d.Channel, "date": d.Date,
			"supplements": int64(d.Supplements), "extensions": int64(d.Extensions), "hasResult": d.HasResult,
		},
	}
}

func (e *celEnv) groups() []string {
	names, _ := e.env.CELTypeProvider().FindStructFieldNames("Prefill")
	return names
}

func celDays(a, b ref.Val) ref.Val {
	from, to, err := twoDates(a, b)
	if err != nil {
		return types.NewErr("%v", err)
	}
	return types.Int(int64(to.Sub(from).Hours()) / 24)
}

func celYears(a, b ref.Val) ref.Val {
	from, to, err := twoDates(a, b)
	if err != nil {
		return types.NewErr("%v", err)
	}
	n := to.Year() - from.Year()
	if to.Before(from.AddDate(n, 0, 0)) {
		n--
	}
	return types.Int(n)
}

func twoDates(a, b ref.Val) (from, to time.Time, err error) {
	x, _ := a.Value().(string)
	y, _ := b.Value().(string)
	if from, err = time.Parse(time.DateOnly, x); err != nil {
		return from, to, fmt.Errorf("no such key: %q is no date", x) // an empty date is an unanswered question
	}
	if to, err = time.Parse(time.DateOnly, y); err != nil {
		return from, to, fmt.Errorf("no such key: %q is no date", y)
	}
	return from, to, nil
}
