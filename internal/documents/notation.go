package documents

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Lengths of fields in characters (Decree 30/2020/NĐ-CP, appendix VI).
const (
	maxNumber   = 11
	maxNotation = 30
	maxSubject  = 500
	maxName     = 200
	maxPosition = 100
	maxPerson   = 50
	maxPlaces   = 1000
)

// Code is number and notation of a document: "15/QĐ-BNV", "05/BNV-VP".
type Code struct {
	// Number is as printed, with the leading zero below ten; of others' documents it may hold anything.
	Number string `json:"number"`
	// Notation is what follows the stroke.
	Notation string `json:"notation"`
}

// String returns "number/notation".
func (c Code) String() string {
	if c.Number == "" && c.Notation == "" {
		return ""
	}
	return c.Number + "/" + c.Notation
}

// FormatNumber prints a number as the decree wants it: below ten with a leading zero.
func FormatNumber(n int64) string {
	if n < 10 {
		return fmt.Sprintf("%02d", n)
	}
	return strconv.FormatInt(n, 10)
}

// ComposeNotation puts a notation together (Decree 30/2020/NĐ-CP, appendix I, part II, item 3): letters of the type and
// of the agency, "QĐ-BNV"; of an official letter the letters of the agency and of the unit that drafted it, "BNV-VP".
func ComposeNotation(typ, agency, unit string) (string, error) {
	t, ok := TypeOf(typ)
	if !ok {
		return "", errs.E(errs.Invalid, "documents.type_unknown", nil, "type", typ)
	}
	groups := []string{t.Letters, agency}
	if t.Letters == "" {
		groups = []string{agency, unit}
	}
	groups = without(groups, "")
	notation := strings.Join(groups, "-")
	if err := checkNotation(notation); err != nil {
		return "", err
	}
	return notation, nil
}

func without(list []string, drop string) []string {
	var out []string
	for _, s := range list {
		if s != drop {
			out = append(out, s)
		}
	}
	return out
}

// checkNotation refuses blanks, strokes and what is too long or empty.
func checkNotation(s string) error {
	bad := s == "" || utf8.RuneCountInString(s) > maxNotation || strings.ContainsAny(s, " \t\r\n/\\,\"<>&\x00") ||
		strings.HasPrefix(s, "-") || strings.HasSuffix(s, "-") || strings.Contains(s, "--")
	if bad {
		return errs.E(errs.Invalid, "documents.notation_invalid", nil, "notation", s)
	}
	return nil
}

// ParsedCode is what a code says.
type ParsedCode struct {
	Code
	// N is the number, 0 when it holds more than digits.
	N int64
	// Type is the type that the letters name; the official letter when they name none.
	Type Type
	// Agency and Unit are the groups behind the letters; Unit is set for official letters only.
	Agency, Unit string
}

// ParseCode reads "15/QĐ-BNV" or "05/BNV-VP". An agency whose own letters equal those of a type, such as "BC", makes an
// official letter ambiguous: the letters of the type win, as they do for a reader.
func ParseCode(s string) (ParsedCode, error) {
	s = strings.TrimSpace(i18n.NFC(s))
	number, notation, ok := strings.Cut(s, "/")
	number, notation = strings.TrimSpace(number), strings.TrimSpace(notation)
	if !ok || number == "" || utf8.RuneCountInString(number) > maxNumber {
		return ParsedCode{}, errs.E(errs.Invalid, "documents.code_invalid", nil, "code", s)
	}
	if err := checkNotation(notation); err != nil {
		return ParsedCode{}, err
	}
	p := ParsedCode{Code: Code{Number: number, Notation: notation}}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil && n > 0 {
		p.N = n
	}
	first, rest, more := strings.Cut(notation, "-")
	if t, ok := typeByLetters(first); ok && more {
		p.Type, p.Agency = t, rest
		return p, nil
	}
	p.Type, _ = TypeOf(OfficialLetter)
	p.Agency, p.Unit = first, rest
	return p, nil
}
