package axis

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"truc/edxml"
	"truc/internal/i18n"
)

//go:embed secrecy.json
var secrecyJSON []byte

// SecrecyRule says by which words and where a document shows that it is a state secret, which may not pass (Decision
// 28/2018/QĐ-TTg Art. 1.2). It is data: no text at hand says where edXML carries such a mark.
type SecrecyRule struct {
	// Source says where the rule comes from; Verified is set by who checked it against the texts in force.
	Source   string `json:"source"`
	Verified bool   `json:"verified"`
	// Words are the marks, compared without regard to case but with their diacritics: "mặt" is no "mật".
	Words []string `json:"words"`
	// Word names fields that are refused when a mark stands in them as words of its own, Group those that are refused when
	// a group between "-", "/" and the like is a mark, Mark free texts that are refused when a mark stands in
	// brackets, before a colon at the beginning, or alone.
	Word  []string `json:"word"`
	Group []string `json:"group"`
	Mark  []string `json:"mark"`
}

// DefaultSecrecy is the rule that comes with the product.
func DefaultSecrecy() SecrecyRule {
	r, err := ParseSecrecy(secrecyJSON)
	if err != nil {
		panic(err) // a programmer's mistake: the file is part of the program, and tested
	}
	return r
}

// ParseSecrecy reads a rule that an operator wrote.
func ParseSecrecy(b []byte) (SecrecyRule, error) {
	var r SecrecyRule
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("rule on state secrets: %w", err)
	}
	if len(r.Words) == 0 {
		return r, fmt.Errorf("rule on state secrets: no words")
	}
	for i, w := range r.Words {
		r.Words[i] = strings.Join(words(w), " ")
		if r.Words[i] == "" {
			return r, fmt.Errorf("rule on state secrets: an empty word")
		}
	}
	// The longest first, so that "tối mật" is not reported as "mật".
	slices.SortStableFunc(r.Words, func(a, b string) int { return len(b) - len(a) })
	known := secrecyFields(&edxml.Message{})
	for _, f := range slices.Concat(r.Word, r.Group, r.Mark) {
		if _, ok := known[f]; !ok {
			return r, fmt.Errorf("rule on state secrets: there is no field %q", f)
		}
	}
	return r, nil
}

// secrecyFields are the texts of a message that a rule may look at, with the element each stands in.
func secrecyFields(m *edxml.Message) map[string][]string {
	f := map[string][]string{
		"sphere": {m.Other.Sphere}, "application": {m.ApplicationType}, "type": {m.Type.Name},
		"notation": {m.Code.Notation, m.Code.Number}, "typer": {m.Other.TyperNotation}, "subject": {m.Subject}, "content": {m.Content},
		"attachment_name": nil, "attachment_description": nil,
	}
	for _, a := range m.Attachments {
		f["attachment_name"] = append(f["attachment_name"], strings.TrimSuffix(a.Name, path.Ext(a.Name)))
		f["attachment_description"] = append(f["attachment_description"], a.Description)
	}
	return f
}

// Find returns the field in which a message shows that it is secret, and the mark.
func (r SecrecyRule) Find(m *edxml.Message) (field, mark string, found bool) {
	fields := secrecyFields(m)
	for _, kind := range []struct {
		fields []string
		parts  func(string) []string
	}{{r.Word, nil}, {r.Group, groups}, {r.Mark, marks}} {
		for _, name := range kind.fields {
			for _, text := range fields[name] {
				if mark, ok := r.match(text, kind.parts); ok {
					return name, mark, true
				}
			}
		}
	}
	return "", "", false
}

// match looks for a mark in a text, or among parts of it.
func (r SecrecyRule) match(text string, parts func(string) []string) (string, bool) {
	if text == "" {
		return "", false
	}
	if parts == nil {
		all := " " + strings.Join(words(text), " ") + " "
		for _, w := range r.Words {
			if strings.Contains(all, " "+w+" ") {
				return w, true
			}
		}
		return "", false
	}
	for _, p := range parts(text) {
		if w := strings.Join(words(p), " "); slices.Contains(r.Words, w) {
			return w, true
		}
	}
	return "", false
}

// words splits a text into words in lower case and Unicode form C.
func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(i18n.NFC(s)), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// groups are the parts of a notation, "TỐI MẬT" in "12/BC-UBND (TỐI MẬT)".
func groups(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("-/()[]{}.,;:_", r) })
}

// marks are the parts of a free text that can be a mark: all of it, what stands before the first colon or dash, and
// what stands in brackets.
func marks(s string) []string {
	list := []string{s}
	if i := strings.IndexAny(s, ":-–_"); i > 0 {
		list = append(list, s[:i])
	}
	for _, pair := range []string{"()", "[]", "{}"} {
		rest := s
		for {
			i := strings.IndexByte(rest, pair[0])
			if i < 0 {
				break
			}
			j := strings.IndexByte(rest[i:], pair[1])
			if j < 0 {
				break
			}
			list = append(list, rest[i+1:i+j])
			rest = rest[i+j+1:]
		}
	}
	return list
}
