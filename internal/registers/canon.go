package registers

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Values are what a record holds, flat: dotted path → string, bool, int64 or []string. Absent values are absent, never
// empty strings.
type Values map[string]any

// Canonical returns v as RFC 8785 canonical JSON, nested along the dots. Only the types of [Values] occur, so numbers
// are integers and the number rules of the RFC stay simple.
func (v Values) Canonical() ([]byte, error) {
	var b bytes.Buffer
	if err := writeCanonical(&b, v.nested()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// cutPath splits "birthPlace.communeCode" at its dot.
func cutPath(name string) (dir, leaf string, dotted bool) {
	if dir, leaf, dotted = strings.Cut(name, "."); !dotted {
		return "", name, false
	}
	return dir, leaf, true
}

func (v Values) nested() map[string]any {
	out := map[string]any{}
	for name, x := range v {
		dir, leaf, dotted := cutPath(name)
		if !dotted {
			out[name] = x
			continue
		}
		m, ok := out[dir].(map[string]any)
		if !ok {
			m = map[string]any{}
			out[dir] = m
		}
		m[leaf] = x
	}
	return out
}

// ParseValues is the inverse of [Values.Canonical], for the bytes that a store kept.
func ParseValues(b []byte) (Values, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	v := Values{}
	for name, x := range m {
		dir, ok := x.(map[string]any)
		if !ok {
			dir = map[string]any{"": x}
		}
		for leaf, y := range dir {
			y, err := leafValue(y)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			full := name
			if leaf != "" {
				full = name + "." + leaf
			}
			v[full] = y
		}
	}
	return v, nil
}

func leafValue(x any) (any, error) {
	switch x := x.(type) {
	case string, bool:
		return x, nil
	case json.Number:
		return x.Int64()
	case []any:
		list := make([]string, 0, len(x))
		for _, y := range x {
			s, ok := y.(string)
			if !ok {
				return nil, errors.New("a list holds strings only")
			}
			list = append(list, s)
		}
		return list, nil
	}
	return nil, fmt.Errorf("a value of type %T cannot be kept", x)
}

func writeCanonical(b *bytes.Buffer, x any) error {
	switch x := x.(type) {
	case map[string]any:
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		slices.Sort(keys) // names are ASCII, for which the RFC's order of UTF-16 units is the order of bytes
		b.WriteByte('{')
		for i, k := range keys {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, k)
			b.WriteByte(':')
			if err := writeCanonical(b, x[k]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case []string:
		b.WriteByte('[')
		for i, s := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, s)
		}
		b.WriteByte(']')
	case string:
		writeString(b, x)
	case bool:
		b.WriteString(strconv.FormatBool(x))
	case int64:
		if x > 1<<53 || x < -(1<<53) {
			return errors.New("a number beyond 2^53 has no canonical form")
		}
		b.WriteString(strconv.FormatInt(x, 10))
	default:
		return fmt.Errorf("a value of type %T cannot be kept", x)
	}
	return nil
}

// writeString escapes as RFC 8785 §3.2.2.2 demands, which is less than encoding/json does.
func writeString(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	if !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == '"' || r == '\\' || r == utf8.RuneError }) {
		b.WriteString(s)
		b.WriteByte('"')
		return
	}
	for _, r := range s {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\b':
			b.WriteString(`\b`)
		case '\t':
			b.WriteString(`\t`)
		case '\n':
			b.WriteString(`\n`)
		case '\f':
			b.WriteString(`\f`)
		case '\r':
			b.WriteString(`\r`)
		default:
			if r < 0x20 {
				fmt.Fprintf(b, `\u%04x`, r)
			} else {
				b.WriteRune(r)
			}
		}
	}
	b.WriteByte('"')
}

// blobHash is the SHA-256 of the canonical JSON of {field: commitment}. Each commitment has its own salt, derived from
// the blob's random seed, because an unsalted hash of a sex or a birth date is guessed in microseconds.
func blobHash(v Values, seed []byte) (string, error) {
	commitments := make(map[string]any, len(v))
	mac := hmac.New(sha256.New, seed)
	var b bytes.Buffer
	for name, x := range v {
		b.Reset()
		b.WriteByte('[')
		writeString(&b, name)
		b.WriteByte(',')
		if err := writeCanonical(&b, x); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		b.WriteByte(']')
		mac.Reset()
		mac.Write([]byte(name))
		sum := sha256.Sum256(append(mac.Sum(nil)[:16:16], b.Bytes()...))
		commitments[name] = hex.EncodeToString(sum[:])
	}
	b.Reset()
	if err := writeCanonical(&b, commitments); err != nil {
		return "", err
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:]), nil
}
