package audit

import (
	"errors"
	"unicode/utf8"

	"truc/internal/jcs"
)

var errCanonical = errors.New("a canonical record holds valid UTF-8 strings, lists of strings and maps of strings only")

// canonical returns v as RFC 8785 canonical JSON and refuses what a record never holds, which [jcs.Append] would
// write. The same rules are in
// docs/verify_receipt.py; what they have in common is tested there.
func canonical(v any) ([]byte, error) {
	if !recordable(v) {
		return nil, errCanonical
	}
	return jcs.Append(nil, v)
}

// recordable reports whether v is made of valid UTF-8 strings, lists and maps alone.
func recordable(v any) bool {
	switch v := v.(type) {
	case string:
		return utf8.ValidString(v)
	case []string:
		return allRecordable(v)
	case []any:
		return allRecordable(v)
	case map[string]string:
		return recordableMap(v)
	case map[string]any:
		return recordableMap(v)
	}
	return false
}

func allRecordable[E any](list []E) bool {
	for _, e := range list {
		if !recordable(e) {
			return false
		}
	}
	return true
}

func recordableMap[V any](m map[string]V) bool {
	for k, e := range m {
		if !utf8.ValidString(k) || !recordable(e) {
			return false
		}
	}
	return true
}
