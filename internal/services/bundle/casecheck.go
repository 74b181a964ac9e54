package bundle

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var numbersIn = regexp.MustCompile(`\b[0-9]{1,9}\b`)

// axis is an answer that decides between cases, with the values worth trying.
type axis struct {
	ptr    Pointer
	values []any
}

const maxCombos = 20_000

// checkCases tries the answers that the conditions speak of, each with all its choices, and reports where no case
// or several match. It proves uniqueness over enums and truth values; numbers are tried around every number that
// the conditions name.
func (l *loader) checkCases(p *Procedure) {
	if len(p.Cases) == 1 && p.Cases[0].When == "true" {
		return
	}
	axes := l.caseAxes(p)
	total := 1
	for _, a := range axes {
		if total *= len(a.values); total > maxCombos {
			return // too many to try: the examples and the run-time check remain
		}
	}
	matched := map[string]bool{}
	told := map[string]bool{}
	for n := range total {
		answers, show := Answers{}, []string{}
		k := n
		for _, a := range axes {
			v := a.values[k%len(a.values)]
			k /= len(a.values)
			answers.Set(a.ptr, v)
			show = append(show, fmt.Sprintf("%s = %v", a.ptr, v))
		}
		var hits []string
		open := false // a condition leans on an answer that cannot be listed, such as a date
		for _, c := range p.Cases {
			ok, err := p.env.guard(c.When, Facts{Answers: answers})
			switch {
			case err != nil:
				open = true
				matched[c.ID] = true
			case ok:
				hits = append(hits, c.ID)
				matched[c.ID] = true
			}
		}
		with := strings.Join(show, ", ")
		switch {
		case len(hits) == 0 && !open && !told["none"]:
			told["none"] = true
			l.bad(procedureFile, l.nodes[procedureFile].at("cases"), "caseHole", "with", with)
		case len(hits) > 1 && !told[hits[0]+hits[1]]:
			told[hits[0]+hits[1]] = true
			file := "cases/" + hits[1] + ".yaml"
			l.bad(file, l.nodes[file].at("when"), "caseOverlap", "a", hits[0], "b", hits[1], "with", with)
		}
	}
	for _, c := range p.Cases {
		if !matched[c.ID] {
			file := "cases/" + c.ID + ".yaml"
			l.bad(file, l.nodes[file].at("when"), "caseNever", "id", c.ID)
		}
	}
}

func (l *loader) caseAxes(p *Procedure) []axis {
	var text strings.Builder
	for _, c := range p.Cases {
		text.WriteString(string(c.When) + "\n")
	}
	numbers := []int64{}
	for _, s := range numbersIn.FindAllString(text.String(), -1) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err == nil {
			numbers = append(numbers, n-1, n, n+1)
		}
	}
	var axes []axis
	var walk func(s *schemaNode, at Pointer)
	walk = func(s *schemaNode, at Pointer) {
		for _, prop := range s.Props {
			ptr := at.Join(prop.Name)
			if prop.Schema.Type == "object" {
				walk(prop.Schema, ptr)
				continue
			}
			if !strings.Contains(text.String(), "answers."+ptr.Name()) {
				continue
			}
			a := axis{ptr: ptr}
			switch {
			case len(prop.Schema.Enum) > 0:
				for _, v := range prop.Schema.Enum {
					a.values = append(a.values, v)
				}
			case prop.Schema.Type == "boolean":
				a.values = []any{true, false}
			case prop.Schema.Type == "integer":
				for _, n := range numbers {
					if (prop.Schema.Min == nil || n >= *prop.Schema.Min) && (prop.Schema.Max == nil || n <= *prop.Schema.Max) {
						a.values = append(a.values, n)
					}
				}
				slices.SortFunc(a.values, func(x, y any) int { return int(x.(int64) - y.(int64)) })
				a.values = slices.Compact(a.values)
			}
			if len(a.values) > 0 {
				axes = append(axes, a)
			}
		}
	}
	if p.env.schema != nil {
		walk(p.env.schema, "")
	}
	return axes
}
