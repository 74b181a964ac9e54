package bundle

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
)

// Answers are the answers to a form: nested JSON. Numbers are int64 or float64 once read by a form.
type Answers map[string]any

// parts splits a pointer into unescaped reference tokens.
func (p Pointer) parts() []string {
	if p == "" || p == "/" {
		return nil
	}
	parts := strings.Split(strings.TrimPrefix(string(p), "/"), "/")
	for i, s := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
	}
	return parts
}

// Name is the name of the HTML control for the pointer: "/requester/fullName" is "requester.fullName".
func (p Pointer) Name() string { return strings.Join(p.parts(), ".") }

// Join appends a reference token or a relative pointer.
func (p Pointer) Join(rel string) Pointer {
	return Pointer(strings.TrimSuffix(string(p), "/") + "/" + strings.TrimPrefix(rel, "/"))
}

// Get returns the value at a pointer and whether there is one.
func (a Answers) Get(p Pointer) (any, bool) {
	var v any = map[string]any(a)
	for _, part := range p.parts() {
		switch t := v.(type) {
		case map[string]any:
			next, ok := t[part]
			if !ok {
				return nil, false
			}
			v = next
		case Answers:
			next, ok := t[part]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(t) {
				return nil, false
			}
			v = t[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// String returns the text at a pointer, "" when there is none.
func (a Answers) String(p Pointer) string {
	v, _ := a.Get(p)
	s, _ := v.(string)
	return s
}

// Set puts a value at a pointer and makes the objects on the way. Nil removes. Arrays are replaced whole: Set does
// not reach into them. The receiver must not be nil.
func (a Answers) Set(p Pointer, v any) {
	parts := p.parts()
	if len(parts) == 0 {
		return
	}
	m := map[string]any(a)
	for _, part := range parts[:len(parts)-1] {
		next, ok := m[part].(map[string]any)
		if !ok {
			if v == nil {
				return
			}
			next = map[string]any{}
			m[part] = next
		}
		m = next
	}
	if v == nil {
		delete(m, parts[len(parts)-1])
		return
	}
	m[parts[len(parts)-1]] = v
}

// Merge returns a new Answers with the patch laid over the receiver: objects merge, all else is replaced, and a
// null removes (RFC 7396).
func (a Answers) Merge(patch Answers) Answers {
	out, _ := mergePatch(a.Clone(), patch).(map[string]any)
	return Answers(out)
}

func mergePatch(target, patch map[string]any) any {
	if target == nil {
		target = map[string]any{}
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(target, k)
		case map[string]any:
			sub, _ := target[k].(map[string]any)
			target[k] = mergePatch(sub, v)
		default:
			target[k] = cloneValue(v)
		}
	}
	return target
}

// Clone returns a deep copy.
func (a Answers) Clone() Answers {
	if a == nil {
		return Answers{}
	}
	m, _ := cloneValue(map[string]any(a)).(map[string]any)
	return Answers(m)
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for k, x := range out {
			out[k] = cloneValue(x)
		}
		return out
	case Answers:
		return cloneValue(map[string]any(v))
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = cloneValue(x)
		}
		return out
	}
	return v
}

// UnmarshalJSON keeps whole numbers as int64, so that an answer is the same after it was stored.
func (a *Answers) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return err
	}
	if err := plainNumbers(m); err != nil {
		return err
	}
	*a = Answers(m)
	return nil
}

// plainNumbers replaces the numbers in an object. One that no float holds is refused: it could not be stored again.
func plainNumbers(m map[string]any) error {
	for k, x := range m {
		plain, err := plainNumber(x)
		if err != nil {
			return err
		}
		m[k] = plain
	}
	return nil
}

func plainNumber(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		return v, plainNumbers(v)
	case []any:
		for i, x := range v {
			plain, err := plainNumber(x)
			if err != nil {
				return nil, err
			}
			v[i] = plain
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	}
	return v, nil
}
