package exchange

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// The small part of structured field values (RFC 9651) that HTTP message signatures use: a dictionary whose members
// are inner lists of strings, or byte sequences, with parameters.

const (
	maxSignatureField = 8 << 10
	maxComponents     = 64
)

type sigParam struct {
	key string
	val any // string, int64 or bool
}

type component struct {
	name   string
	params []sigParam
}

type sigInput struct {
	label      string
	components []component
	params     []sigParam
}

var errField = errors.New("the signature field cannot be read")

type fieldParser struct {
	s string
	i int
}

func (p *fieldParser) end() bool { return p.i >= len(p.s) }

func (p *fieldParser) peek() byte {
	if p.end() {
		return 0
	}
	return p.s[p.i]
}

func (p *fieldParser) take(c byte) bool {
	if p.peek() != c || p.end() {
		return false
	}
	p.i++
	return true
}

func (p *fieldParser) spaces(set string) {
	for !p.end() && strings.IndexByte(set, p.s[p.i]) >= 0 {
		p.i++
	}
}

func (p *fieldParser) key() (string, error) {
	start := p.i
	for !p.end() {
		c := p.s[p.i]
		lower := c >= 'a' && c <= 'z' || c == '*'
		if !lower && (p.i == start || !(c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.')) {
			break
		}
		p.i++
	}
	if p.i == start {
		return "", errField
	}
	return p.s[start:p.i], nil
}

func (p *fieldParser) str() (string, error) {
	if !p.take('"') {
		return "", errField
	}
	start := p.i
	for !p.end() && p.s[p.i] >= 0x20 && p.s[p.i] < 0x7f && p.s[p.i] != '"' && p.s[p.i] != '\\' {
		p.i++
	}
	if p.take('"') { // nothing was escaped, so the text is there as it is
		return p.s[start : p.i-1], nil
	}
	var b strings.Builder
	b.WriteString(p.s[start:p.i])
	for !p.end() {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return b.String(), nil
		case c == '\\':
			if c = p.peek(); c != '"' && c != '\\' {
				return "", errField
			}
			p.i++
			b.WriteByte(c)
		case c < 0x20 || c >= 0x7f:
			return "", errField
		default:
			b.WriteByte(c)
		}
	}
	return "", errField
}

func (p *fieldParser) integer() (int64, error) {
	start := p.i
	if p.peek() == '-' {
		p.i++
	}
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.i++
	}
	if p.i-start > 15 { // RFC 9651 §3.3.1
		return 0, errField
	}
	n, err := strconv.ParseInt(p.s[start:p.i], 10, 64)
	if err != nil {
		return 0, errField
	}
	return n, nil
}

func (p *fieldParser) params() ([]sigParam, error) {
	var out []sigParam
	for p.take(';') {
		p.spaces(" ")
		k, err := p.key()
		if err != nil {
			return nil, err
		}
		for _, x := range out {
			if x.key == k {
				return nil, errField // legal in structured fields (the last wins), but never written in good faith
			}
		}
		var v any = true
		if p.take('=') {
			switch c := p.peek(); {
			case c == '"':
				v, err = p.str()
			case c == '-' || c >= '0' && c <= '9':
				v, err = p.integer()
			case c == '?':
				p.i++
				if c = p.peek(); c != '0' && c != '1' {
					return nil, errField
				}
				v = c == '1'
				p.i++
			default:
				err = errField
			}
			if err != nil {
				return nil, err
			}
		}
		if len(out) >= maxComponents {
			return nil, errField
		}
		out = append(out, sigParam{key: k, val: v})
	}
	return out, nil
}

// dictionary walks the members of a dictionary; member reads the value after "=".
func dictionary(s string, member func(p *fieldParser, label string) error) error {
	if len(s) > maxSignatureField {
		return errField
	}
	p := &fieldParser{s: s}
	seen := map[string]bool{}
	p.spaces(" ")
	for !p.end() {
		label, err := p.key()
		if err != nil {
			return err
		}
		if seen[label] || !p.take('=') {
			return errField
		}
		seen[label] = true
		if err := member(p, label); err != nil {
			return err
		}
		p.spaces(" \t")
		if p.end() {
			return nil
		}
		if !p.take(',') {
			return errField
		}
		p.spaces(" \t")
		if p.end() {
			return errField // trailing comma
		}
	}
	return nil
}

// parseSignatureInput reads a Signature-Input field.
func parseSignatureInput(s string) ([]sigInput, error) {
	var out []sigInput
	err := dictionary(s, func(p *fieldParser, label string) error {
		in := sigInput{label: label}
		if !p.take('(') {
			return errField
		}
		for {
			p.spaces(" ")
			if p.take(')') {
				break
			}
			name, err := p.str()
			if err != nil {
				return err
			}
			params, err := p.params()
			if err != nil {
				return err
			}
			if c := p.peek(); c != ' ' && c != ')' || len(in.components) >= maxComponents {
				return errField
			}
			in.components = append(in.components, component{name: name, params: params})
		}
		var err error
		in.params, err = p.params()
		out = append(out, in)
		return err
	})
	return out, err
}

// parseSignature reads a Signature field: label → bytes.
func parseSignature(s string) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := dictionary(s, func(p *fieldParser, label string) error {
		if !p.take(':') {
			return errField
		}
		end := strings.IndexByte(p.s[p.i:], ':')
		if end < 0 {
			return errField
		}
		b, err := base64.StdEncoding.DecodeString(p.s[p.i : p.i+end])
		if err != nil {
			return errField
		}
		p.i += end + 1
		if params, err := p.params(); err != nil || len(params) > 0 {
			return errField
		}
		out[label] = b
		return nil
	})
	return out, err
}

func quoteSFV(s string) string {
	if !strings.ContainsAny(s, `\"`) { // nearly always; a Replacer costs more than the rest of a signature base
		return `"` + s + `"`
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func appendParams(b []byte, params []sigParam) []byte {
	for _, p := range params {
		b = append(append(b, ';'), p.key...)
		switch v := p.val.(type) {
		case string:
			b = append(append(b, '='), quoteSFV(v)...)
		case int64:
			b = strconv.AppendInt(append(b, '='), v, 10)
		case bool:
			if !v {
				b = append(b, "=?0"...)
			}
		}
	}
	return b
}

func (c component) String() string {
	if len(c.params) == 0 {
		return quoteSFV(c.name)
	}
	return string(appendParams([]byte(quoteSFV(c.name)), c.params))
}

// ids are the component identifiers as they stand in a signature base.
func (in sigInput) ids() []string {
	out := make([]string, len(in.components))
	for i, c := range in.components {
		out[i] = c.String()
	}
	return out
}

// append writes the inner list with its parameters: the text of @signature-params.
func (in sigInput) append(b []byte, ids []string) []byte {
	b = append(b, '(')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, id...)
	}
	return appendParams(append(b, ')'), in.params)
}

func (in sigInput) str(key string) string {
	for _, p := range in.params {
		if p.key == key {
			s, _ := p.val.(string)
			return s
		}
	}
	return ""
}

func (in sigInput) int(key string) (int64, bool) {
	for _, p := range in.params {
		if p.key == key {
			n, ok := p.val.(int64)
			return n, ok
		}
	}
	return 0, false
}
