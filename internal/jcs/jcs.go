// Package jcs writes canonical JSON, RFC 8785 (JSON Canonicalization Scheme): one content, one sequence of bytes, so that
// it can be hashed and signed. It holds objects, lists, strings, integers up to 2^53, booleans and null; keys are ASCII,
// where byte order equals the UTF-16 order that the RFC asks for.
package jcs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MaxNumber is the greatest integer that a reader with floating point holds exactly (RFC 8785 §3.2.2.3, RFC 7493 §2.2).
const MaxNumber = 1 << 53

// Marshal returns what encoding/json makes of v, in canonical form.
func Marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return Canonicalise(b)
}

// Canonicalise brings one JSON value into canonical form. Of a repeated key the last value counts.
func Canonicalise(raw []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return Append(nil, tree)
}

// Check refuses bytes that are not their own canonical form; repeated keys fail here too.
func Check(raw []byte) error {
	b, err := Canonicalise(raw)
	if err != nil {
		return err
	}
	if !bytes.Equal(b, raw) {
		return errors.New("not in canonical form")
	}
	return nil
}

// Append adds the canonical form of v to b. It takes nil, bool, string, int64, [json.Number], lists of strings or any,
// and maps from strings to strings or any, of the same all the way down.
func Append(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return AppendString(b, v), nil
	case int64:
		if v > MaxNumber || v < -MaxNumber {
			return nil, fmt.Errorf("number %d is not an integer that every reader can hold", v)
		}
		return strconv.AppendInt(b, v, 10), nil
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			return nil, fmt.Errorf("number %s is not an integer that every reader can hold", v)
		}
		return Append(b, n)
	case []string:
		return appendList(b, v)
	case []any:
		return appendList(b, v)
	case map[string]string:
		return appendMap(b, v)
	case map[string]any:
		return appendMap(b, v)
	}
	return nil, fmt.Errorf("cannot write %T", v)
}

func appendList[E any](b []byte, list []E) (_ []byte, err error) {
	b = append(b, '[')
	for i, e := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = Append(b, e); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendMap[V any](b []byte, m map[string]V) (_ []byte, err error) {
	b = append(b, '{')
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendString(b, k), ':')
		if b, err = Append(b, m[k]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// AppendString adds s in quotes and escapes exactly what RFC 8785 §3.2.2.2 escapes. A byte that is not UTF-8 becomes
// U+FFFD, as encoding/json has it.
func AppendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	clean := 0 // s[clean:i] goes over as it is
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[clean:i]...), "\uFFFD"...)
				clean = i + 1
			}
			i += n
			continue
		}
		b = append(b, s[clean:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(append(b, `\u00`...), hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		clean = i
	}
	return append(append(b, s[clean:]...), '"')
}
