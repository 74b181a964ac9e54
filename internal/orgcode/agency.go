package orgcode

import "strings"

// Style is how an agency code is built.
type Style int

// The styles.
const (
	// Unknown is no agency code.
	Unknown Style = iota
	// NewStyle begins with the first level: "H36.14" (Decision 20/2020/QĐ-TTg).
	NewStyle
	// OldStyle ends with the first level: "000.00.14.H36" (Decision 28/2018/QĐ-TTg Art. 10.2a).
	OldStyle
)

// StyleOf tells the style of a code. A code that begins with a letter is tried as new first.
func StyleOf(code string) Style {
	switch {
	case len(code) > MaxLen:
		return Unknown
	case newCode.MatchString(code):
		return NewStyle
	case oldCode.MatchString(code):
		return OldStyle
	}
	return Unknown
}

// Parent returns the code one level above, which only the new style tells: "H36" for "H36.14". An old code is never cut,
// since its empty groups do not say which level is meant; who is above it stands in a table.
func Parent(code string) (string, bool) {
	if StyleOf(code) != NewStyle {
		return "", false
	}
	i := strings.LastIndexByte(code, '.')
	if i < 0 {
		return "", false
	}
	return code[:i], true
}

// Below reports whether code lies below ancestor at any depth, both in the new style.
func Below(code, ancestor string) bool {
	return StyleOf(code) == NewStyle && StyleOf(ancestor) == NewStyle && strings.HasPrefix(code, ancestor+".")
}

// Under reports whether code counts to prefix in statistics: the code itself, those below it, and old codes of the same
// first level when prefix is a first level.
func Under(code, prefix string) bool {
	return code == prefix || Below(code, prefix) || StyleOf(code) == OldStyle && Level1(code) == prefix
}

// LongGroups returns the groups of a code that are longer than four characters: they are legal, and most often a slip.
func LongGroups(code string) []string {
	if StyleOf(code) == Unknown {
		return nil
	}
	var long []string
	for g := range strings.SplitSeq(code, ".") {
		if len(g) > 4 {
			long = append(long, g)
		}
	}
	return long
}
