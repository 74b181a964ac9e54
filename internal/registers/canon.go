package registers

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"truc/internal/jcs"
)

// Values are what a record holds, flat: dotted path → string, bool, int64 or []string. Absent values are absent, never
// empty strings.
type Values map[string]any

// Canonical returns v as RFC 8785 canonical JSON, nested along the dots. Only the types of [Values] occur, so numbers
// are integers and the number rules of the RFC stay simple.
func (v Values) Canonical() ([]byte, error) {
	for name, x := range v {
		if err := keepable(x); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return jcs.Append(nil, v.nested())
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

// keepable refuses types that [Values] never holds.
func keepable(x any) error {
	switch x.(type) {
	case string, bool, int64, []string:
		return nil
	}
	return fmt.Errorf("a value of type %T cannot be kept", x)
}

// blobHash is the SHA-256 of the canonical JSON of {field: commitment}. Each commitment has its own salt, derived from
// the blob's random seed, because an unsalted hash of a sex or a birth date is guessed in microseconds.
func blobHash(v Values, seed []byte) (string, error) {
	commitments := make(map[string]string, len(v))
	mac := hmac.New(sha256.New, seed)
	for name, x := range v {
		err := keepable(x)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		mac.Reset()
		mac.Write([]byte(name))
		b := append(mac.Sum(nil)[:16], '[')
		b = append(jcs.AppendString(b, name), ',')
		if b, err = jcs.Append(b, x); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		sum := sha256.Sum256(append(b, ']'))
		commitments[name] = hex.EncodeToString(sum[:])
	}
	b, err := jcs.Append(nil, commitments)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
