package ui

// Problem says what is wrong with one field of a form and how to put it right. Problems are not errors: all of them
// are shown at once, above the form and at the field.
type Problem struct {
	// Field is the Name of the component it belongs to; the summary links there.
	Field string
	// Key and Args name the message; Text, if set, is shown instead (a rule of a procedure that is data).
	Key  string
	Args []any
	Text string
}

// Problems are those of a form, in the order of its fields.
type Problems []Problem

// Add appends a problem.
func (ps *Problems) Add(field, key string, args ...any) {
	*ps = append(*ps, Problem{Field: field, Key: key, Args: args})
}

// AddText appends a problem whose message is data.
func (ps *Problems) AddText(field, text string) { *ps = append(*ps, Problem{Field: field, Text: text}) }

// For returns the first problem of a field, or nil; it is what the Error field of a component takes.
func (ps Problems) For(field string) *Problem {
	for i := range ps {
		if ps[i].Field == field {
			return &ps[i]
		}
	}
	return nil
}

// Anchor is the id of the element the summary leads to: the field, or its first control.
func (p Problem) Anchor() string { return FieldID(p.Field) }

// FieldID returns the id of the first control of the component with that name.
func FieldID(name string) string {
	b := []byte("f-" + name)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			b[i] = '-'
		}
	}
	return string(b)
}
