package audit

import (
	"errors"
	"maps"
	"slices"
	"unicode/utf8"

	"truc/internal/jcs"
)

var errCanonical = errors.New("a canonical record holds valid UTF-8 strings, lists of strings and maps of strings only")

// appendCanonical writes v as RFC 8785 canonical JSON and refuses what a record never holds, which [jcs.Append] would
// write. The same rules are in
// docs/verify_receipt.py; what they have in common is tested there.
func appendCanonical(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case []string:
		return appendList(b, v)
	case []any:
		return appendList(b, v)
	case map[string]string:
		return appendMap(b, v)
	case map[string]any:
		return appendMap(b, v)
	}
	return nil, errCanonical
}

func appendList[E any](b []byte, list []E) (_ []byte, err error) {
	b = append(b, '[')
	for i, e := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendCanonical(b, e); err != nil {
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
		if b, err = appendString(b, k); err != nil {
			return nil, err
		}
		b = append(b, ':')
		if b, err = appendCanonical(b, m[k]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendString(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, errCanonical
	}
	return jcs.AppendString(b, s), nil
}
