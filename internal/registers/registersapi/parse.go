package registersapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"sort"
	"unicode/utf8"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/registers"
)

// memberName bounds what an unknown member may put into an error: a name, never a value.
var memberName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.]{0,60}$`)

func bodyInvalid(err error) error { return errs.E(errs.Invalid, "registers.body_invalid", err) }

func faulty(name, code string) error {
	if !memberName.MatchString(name) {
		name = "?"
	}
	return errs.E(errs.Invalid, "registers.params_invalid", &registers.ParamError{Params: []registers.Param{{Name: name, Code: code}}})
}

// errBody stands for the reason of a refused body: the decoder's own message would repeat pieces of it.
var errBody = errors.New("the body is not the JSON that is expected")

func readBody(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// object reads exactly one JSON object whose members are given once each.
func object(b []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(b) {
		return nil, bodyInvalid(errBody)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, bodyInvalid(errBody)
	}
	m := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, bodyInvalid(errBody)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, bodyInvalid(errBody)
		}
		if _, dup := m[name]; dup {
			return nil, faulty(name, "invalid")
		}
		m[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, bodyInvalid(errBody)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, bodyInvalid(errBody)
	}
	return m, nil
}

// take decodes a member into v and removes it; an absent member leaves v alone.
func take(m map[string]json.RawMessage, name string, v any) error {
	raw, ok := m[name]
	if !ok {
		return nil
	}
	delete(m, name)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return faulty(name, "invalid")
	}
	return nil
}

// parseSelection takes type, context and includeDeceased out of m; what is left are criteria.
func parseSelection(m map[string]json.RawMessage) (sel registers.Selection, err error) {
	var c *struct {
		Activity string `json:"activity"`
		Basis    string `json:"basis"`
		Dossier  string `json:"dossier"`
	}
	if err := errors.Join(take(m, "type", &sel.Type), take(m, "context", &c), take(m, "includeDeceased", &sel.IncludeDeceased)); err != nil {
		return sel, err
	}
	if c != nil {
		sel.Context = &registers.Context{Activity: i18n.NFC(c.Activity), Basis: i18n.NFC(c.Basis), Dossier: i18n.NFC(c.Dossier)}
	}
	sel.Criteria, err = texts(m)
	return sel, err
}

// texts decodes members that must all be strings.
func texts(m map[string]json.RawMessage) (map[string]string, error) {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	out := map[string]string{}
	for _, name := range names {
		var s *string
		if !memberName.MatchString(name) {
			return nil, faulty(name, "unknown")
		}
		if err := json.Unmarshal(m[name], &s); err != nil || s == nil {
			return nil, faulty(name, "invalid")
		}
		out[name] = i18n.NFC(*s)
	}
	return out, nil
}

func parseQuery(b []byte) (q registers.Query, err error) {
	m, err := object(b)
	if err != nil {
		return q, err
	}
	if err := take(m, "fields", &q.Fields); err != nil {
		return q, err
	}
	q.Selection, err = parseSelection(m)
	return q, err
}

func parseMatch(b []byte) (sel registers.Selection, attributes map[string]string, err error) {
	m, err := object(b)
	if err != nil {
		return sel, nil, err
	}
	raw, ok := m["attributes"]
	if !ok {
		return sel, nil, faulty("attributes", "required")
	}
	delete(m, "attributes")
	held, err := object(raw)
	if err != nil {
		return sel, nil, faulty("attributes", "invalid")
	}
	if attributes, err = texts(held); err != nil {
		return sel, nil, err
	}
	sel, err = parseSelection(m)
	return sel, attributes, err
}

func parseVerify(b []byte) (sel registers.Selection, out []registers.Condition, err error) {
	m, err := object(b)
	if err != nil {
		return sel, nil, err
	}
	var conditions []struct {
		AttributeName string `json:"attributeName"`
		Operator      string `json:"operator"`
		Value         string `json:"value"`
	}
	if err := take(m, "conditions", &conditions); err != nil {
		return sel, nil, err
	}
	if len(conditions) == 0 {
		return sel, nil, faulty("conditions", "required")
	}
	for _, c := range conditions {
		if !memberName.MatchString(c.AttributeName) {
			return sel, nil, faulty("conditions", "invalid")
		}
		out = append(out, registers.Condition{Attribute: c.AttributeName, Operator: c.Operator, Value: i18n.NFC(c.Value)})
	}
	sel, err = parseSelection(m)
	return sel, out, err
}
