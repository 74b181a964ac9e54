package bundle

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Table is a decision table (the idea of DMN): typed inputs, outputs, rows in CSV, a hit policy. In expressions it
// is a function: tables.late(days(answers.child.birthDate, dossier.date)).amount, or tables.phi(answers).donGia
// when every input names an answer by its pointer.
type Table struct {
	File    string        `yaml:"file,required"`
	Hit     string        `yaml:"hit,required"` // unique | first
	Inputs  []TableInput  `yaml:"inputs,required"`
	Outputs []TableOutput `yaml:"outputs,required"`

	rows []tableRow
}

// TableInput is a column that is matched. Strings list their Values; integers their range, so that completeness can
// be checked.
type TableInput struct {
	Name   string   `yaml:"name,required"`
	Type   string   `yaml:"type,required"` // string | integer | boolean
	Values []string `yaml:"values"`
	Min    int64    `yaml:"min"`
	Max    int64    `yaml:"max"`
}

// TableOutput is a column that is given back.
type TableOutput struct {
	Name string `yaml:"name,required"`
	Type string `yaml:"type,required"` // string | integer | boolean
}

type tableRow struct {
	line  int
	match []tableCell
	out   map[string]any
}

// tableCell matches one input: any, a set of words, or a range of numbers.
type tableCell struct {
	any      bool
	words    []string
	from, to int64
}

func (c tableCell) matches(v any) bool {
	if c.any {
		return true
	}
	if n, ok := v.(int64); ok {
		return n >= c.from && n <= c.to
	}
	return slices.Contains(c.words, fmt.Sprint(v))
}

const maxTableRows = 2000

// read parses the CSV: the first line names inputs and outputs. Lines that begin with # are remarks.
func (t *Table) read(b []byte, bad func(line int, key string, args ...any)) {
	r := csv.NewReader(bytes.NewReader(b))
	r.Comment = '#'
	r.TrimLeadingSpace = true
	var want []string
	for _, in := range t.Inputs {
		want = append(want, in.Name)
	}
	for _, out := range t.Outputs {
		want = append(want, out.Name)
	}
	r.FieldsPerRecord = len(want)
	head, err := r.Read()
	if err != nil || !slices.Equal(head, want) {
		bad(1, "tableHead", "want", strings.Join(want, ","))
		return
	}
	for {
		rec, err := r.Read()
		if rec == nil && err != nil {
			if pe, ok := err.(*csv.ParseError); ok { //nolint:errorlint // csv returns it bare
				bad(pe.Line, "csv", "what", pe.Err.Error())
			}
			return
		}
		line, _ := r.FieldPos(0)
		if err != nil {
			bad(line, "csv", "what", err.Error())
			return
		}
		if len(t.rows) >= maxTableRows {
			bad(line, "tooMany", "what", "dòng/rows", "max", maxTableRows)
			return
		}
		t.row(line, rec, bad)
	}
}

func (t *Table) row(line int, rec []string, bad func(line int, key string, args ...any)) {
	row := tableRow{line: line, out: map[string]any{}}
	for i, in := range t.Inputs {
		cell, ok := in.cell(strings.TrimSpace(rec[i]))
		if !ok {
			bad(line, "tableCell", "cell", rec[i], "column", in.Name)
			return
		}
		row.match = append(row.match, cell)
	}
	for i, out := range t.Outputs {
		text := strings.TrimSpace(rec[len(t.Inputs)+i])
		switch out.Type {
		case "integer":
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				bad(line, "tableCell", "cell", text, "column", out.Name)
				return
			}
			row.out[out.Name] = n
		case "boolean":
			row.out[out.Name] = text == "true"
		default:
			row.out[out.Name] = text
		}
	}
	t.rows = append(t.rows, row)
}

// cell parses "-", "birth|death", "5", "0..60", "<=60", ">60".
func (in *TableInput) cell(s string) (tableCell, bool) {
	if s == "-" {
		return tableCell{any: true}, true
	}
	if in.Type != "integer" {
		words := strings.Split(s, "|")
		for _, w := range words {
			if !slices.Contains(in.values(), w) {
				return tableCell{}, false
			}
		}
		return tableCell{words: words}, true
	}
	c := tableCell{from: in.Min, to: in.Max}
	num := func(s string, to *int64) bool {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		*to = n
		return err == nil
	}
	if a, b, ok := strings.Cut(s, ".."); ok {
		ok = num(a, &c.from) && num(b, &c.to)
		return c, ok && c.from <= c.to
	}
	var n int64
	switch {
	case strings.HasPrefix(s, "<="):
		return c, num(s[2:], &c.to)
	case strings.HasPrefix(s, ">="):
		return c, num(s[2:], &c.from)
	case strings.HasPrefix(s, "<"):
		ok := num(s[1:], &n)
		c.to = n - 1
		return c, ok
	case strings.HasPrefix(s, ">"):
		ok := num(s[1:], &n)
		c.from = n + 1
		return c, ok
	}
	ok := num(s, &n)
	c.from, c.to = n, n
	return c, ok
}

func (in *TableInput) values() []string {
	if in.Type == "boolean" {
		return []string{"true", "false"}
	}
	return in.Values
}

// points are values of an input of which one stands for every stretch between the borders of the cells.
func (t *Table) points(i int) []any {
	in := t.Inputs[i]
	if in.Type != "integer" {
		var out []any
		for _, v := range in.values() {
			if in.Type == "boolean" {
				out = append(out, v == "true")
			} else {
				out = append(out, v)
			}
		}
		return out
	}
	cuts := []int64{in.Min, in.Max}
	for _, r := range t.rows {
		if c := r.match[i]; !c.any {
			cuts = append(cuts, c.from, c.to+1)
		}
	}
	slices.Sort(cuts)
	var out []any
	for _, c := range slices.Compact(cuts) {
		if c >= in.Min && c <= in.Max {
			out = append(out, c)
		}
	}
	return out
}

// check reports combinations of inputs that no row matches, and with the policy unique those that several match.
func (t *Table) check(bad func(line int, key string, args ...any)) {
	axes := make([][]any, len(t.Inputs))
	total := 1
	for i := range t.Inputs {
		axes[i] = t.points(i)
		if total *= max(1, len(axes[i])); total > 100_000 {
			bad(1, "tooMany", "what", "tổ hợp/combinations", "max", 100_000)
			return
		}
	}
	used := make([]bool, len(t.rows))
	combo := make([]any, len(axes))
	holes, doubles := 0, 0
	for n := range total {
		for i, k := 0, n; i < len(axes); i++ {
			if len(axes[i]) == 0 {
				return
			}
			combo[i] = axes[i][k%len(axes[i])]
			k /= len(axes[i])
		}
		hits := t.hits(combo)
		for _, h := range hits {
			used[h] = true
			if t.Hit == "first" {
				break
			}
		}
		switch {
		case len(hits) == 0:
			if holes++; holes == 1 {
				bad(1, "tableHole", "case", t.show(combo))
			}
		case len(hits) > 1 && t.Hit == "unique":
			if doubles++; doubles == 1 {
				bad(t.rows[hits[1]].line, "tableDouble", "case", t.show(combo), "other", t.rows[hits[0]].line)
			}
		}
	}
	for i, u := range used {
		if !u {
			bad(t.rows[i].line, "tableDead")
		}
	}
}

func (t *Table) show(combo []any) string {
	parts := make([]string, len(combo))
	for i, v := range combo {
		parts[i] = fmt.Sprintf("%s = %v", t.Inputs[i].Name, v)
	}
	return strings.Join(parts, ", ")
}

func (t *Table) hits(combo []any) []int {
	var out []int
	for i, r := range t.rows {
		ok := true
		for j, c := range r.match {
			if !c.matches(combo[j]) {
				ok = false
				break
			}
		}
		if ok {
			out = append(out, i)
		}
	}
	return out
}

// byAnswers reports whether every input names an answer.
func (t *Table) byAnswers() bool {
	for _, in := range t.Inputs {
		if !strings.HasPrefix(in.Name, "/") {
			return false
		}
	}
	return true
}

var celTypes = map[string]*cel.Type{"string": cel.StringType, "integer": cel.IntType, "boolean": cel.BoolType}

// function declares tables.<name>.
func (t *Table) function(name string, o *objectTypes) cel.EnvOption {
	row := map[string]*cel.Type{}
	for _, out := range t.Outputs {
		row[out.Name] = celTypes[out.Type]
	}
	o.add("Row_"+name, row)
	args := []*cel.Type{cel.DynType} // answers: a plain map when it runs
	if !t.byAnswers() {
		args = nil
		for _, in := range t.Inputs {
			args = append(args, celTypes[in.Type])
		}
	}
	call := func(vals ...ref.Val) ref.Val {
		combo := make([]any, len(t.Inputs))
		for i, in := range t.Inputs {
			if !t.byAnswers() {
				combo[i] = vals[i].Value()
				continue
			}
			m, _ := vals[0].Value().(map[string]any)
			v, ok := Answers(m).Get(Pointer(in.Name))
			if !ok {
				return types.NewErr("no such key: %s", in.Name)
			}
			combo[i] = v
		}
		hits := t.hits(combo)
		if len(hits) == 0 {
			return types.NewErr("table %s has no row for %s", name, t.show(combo))
		}
		return types.DefaultTypeAdapter.NativeToValue(t.rows[hits[0]].out)
	}
	// One binding for every arity: cel routes one and two arguments to their own signatures.
	opt := cel.FunctionBinding(call)
	switch len(args) {
	case 1:
		opt = cel.UnaryBinding(func(v ref.Val) ref.Val { return call(v) })
	case 2:
		opt = cel.BinaryBinding(func(a, b ref.Val) ref.Val { return call(a, b) })
	}
	return cel.Function("tables."+name, cel.Overload("table_"+name, args, cel.ObjectType("Row_"+name), opt))
}
