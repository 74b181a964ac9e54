package bundle

import (
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"
)

// empty reports whether an answer says nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// check finds what is missing or has the wrong shape in one field; the schema judges the rest.
func (f *Field) check(p *Page, ptr Pointer, name string, facts Facts) []FieldProblem {
	v, _ := facts.Answers.Get(ptr)
	if empty(v) {
		if f.Optional {
			return nil
		}
		control := name
		key := "required"
		switch f.Widget {
		case Radios, Select, Checkboxes:
			key = "requiredChoice"
		case Date3:
			key, control = "requiredDate", name+".day"
		case Address:
			key, control = "requiredAddress", name+".province"
		case FileUpload:
			key = "requiredFile"
		case Declaration:
			key = "requiredDeclaration"
		default: // "required" says it
		}
		return []FieldProblem{f.fault(p, ptr, control, key)}
	}
	text, _ := v.(string)
	switch f.Widget {
	case Identity:
		if !identityShape.MatchString(text) {
			return []FieldProblem{f.fault(p, ptr, name, "identity", "got", len([]rune(text)))}
		}
	case Phone:
		if !phoneShape.MatchString(text) {
			return []FieldProblem{f.fault(p, ptr, name, "phone")}
		}
	case Email:
		if at, err := mail.ParseAddress(text); err != nil || at.Address != text || !strings.Contains(text, ".") {
			return []FieldProblem{f.fault(p, ptr, name, "email")}
		}
	case Date3:
		if _, err := time.Parse(time.DateOnly, text); err != nil && !f.partOfDate(text) {
			return []FieldProblem{f.fault(p, ptr, name+".day", "date")}
		}
		// ISO dates sort as text.
		if f.Past && facts.Dossier.Date != "" && text > facts.Dossier.Date {
			return []FieldProblem{f.fault(p, ptr, name+".day", "dateFuture")}
		}
	case Address:
		return f.checkAddress(p, ptr, name, v)
	case Repeat:
		var out []FieldProblem
		list, _ := v.([]any)
		for i := range list {
			at := strconv.Itoa(i)
			for _, x := range f.Items {
				out = append(out, x.check(p, ptr.Join(at).Join(string(x.Ptr)), name+"."+at+"."+x.Ptr.Name(), facts)...)
			}
		}
		return out
	default: // the schema holds the rest
	}
	return nil
}

func (f *Field) checkAddress(p *Page, ptr Pointer, name string, v any) []FieldProblem {
	var out []FieldProblem
	m, _ := v.(map[string]any)
	for _, k := range []string{"province", "commune", "line"} {
		if empty(m[k]) && f.schema != nil && slices.Contains(f.schema.Required, k) {
			out = append(out, f.fault(p, ptr.Join(k), name+"."+k, "address."+k))
		}
	}
	return out
}

func (fm *Form) validatePage(p *Page, f Facts) []FieldProblem {
	return fm.validatePages([]*Page{p}, f, false)
}

func (fm *Form) validateAll(f Facts) []FieldProblem {
	return fm.validatePages(fm.visible(f), f, true)
}

// validatePages checks fields and lays the faults of the schema on them. Faults of the schema that no visible
// field owns are only told when the whole is judged: they mean tampering or a fault of the bundle.
func (fm *Form) validatePages(pages []*Page, f Facts, whole bool) []FieldProblem {
	var out []FieldProblem
	faults := fm.check.faults(f.Answers)
	owned := make([]bool, len(faults))
	seen := map[Pointer]bool{}
	for _, p := range pages {
		for _, x := range fm.visibleFields(p, f) {
			own := x.check(p, x.Ptr, x.Name(), f)
			for _, b := range own {
				seen[b.Ptr] = true
			}
			out = append(out, own...)
			for i, s := range faults {
				if owned[i] || !within(s.ptr, x.Ptr) && !within(x.Ptr, s.ptr) {
					continue
				}
				owned[i] = true
				if v, _ := f.Answers.Get(s.ptr); s.key == "bundle.form.date" && x.Widget == Date3 && len(own) == 0 {
					if text, _ := v.(string); x.partOfDate(text) {
						continue // the words of a register, which the format "date" of the schema does not foresee
					}
				}
				if within(s.ptr, x.Ptr) && !seen[s.ptr] && len(own) == 0 {
					seen[s.ptr] = true
					out = append(out, FieldProblem{
						Ptr: s.ptr, Name: x.control(s.ptr), Page: p.ID, Key: s.key, Args: s.args, Label: x.Label,
					})
				}
			}
		}
	}
	if !whole {
		return out
	}
	for i, s := range faults {
		if !owned[i] && s.key != "bundle.form.required" && !fm.asksFor(s.ptr) {
			out = append(out, FieldProblem{Ptr: s.ptr, Name: s.ptr.Name(), Key: s.key, Args: s.args})
		}
	}
	return out
}

// asksFor reports whether some page, hidden or not, asks for what lies at a pointer. An old answer to a hidden question
// is no fault: [Form.Clean] drops it.
func (fm *Form) asksFor(ptr Pointer) bool {
	for _, p := range fm.Pages {
		for _, x := range p.Fields {
			if within(ptr, x.Ptr) {
				return true
			}
		}
	}
	return false
}

// control names the control that shows a fault at a pointer within the field.
func (f *Field) control(p Pointer) string {
	if f.Widget == Date3 {
		return f.Name() + ".day"
	}
	return p.Name()
}

// within reports whether p is at or below root.
func within(p, root Pointer) bool {
	return p == root || strings.HasPrefix(string(p), string(root)+"/")
}
