package orgcode

import (
	"slices"
	"strings"
	"testing"
)

func TestAgencyCodes(t *testing.T) {
	for _, tt := range []struct {
		code   string
		style  Style
		parent string
		long   []string
	}{
		{"H99", NewStyle, "", nil},
		{"H99.07", NewStyle, "H99", nil},
		{"G98.99.08", NewStyle, "G98.99", nil},
		{"G98.DN.001", NewStyle, "G98.DN", nil},
		{"H99.07.TRUNGTAM1", NewStyle, "H99.07", []string{"TRUNGTAM1"}},
		{"A01.B02", NewStyle, "A01", nil}, // fits both shapes; a letter in front means new
		{"000.00.00.G98", OldStyle, "", nil},
		{"28.22.H99", OldStyle, "", nil},
		{"00.22.W00", OldStyle, "", nil},
		{"H99.07.1234567890123", Unknown, "", nil},
		{"H99..07", Unknown, "", nil},
		{" H99", Unknown, "", nil},
		{"H99\n", Unknown, "", nil},
		{"H99." + strings.Repeat("1.", 20) + "1", Unknown, "", nil},
	} {
		parent, ok := Parent(tt.code)
		if got := StyleOf(tt.code); got != tt.style || parent != tt.parent || ok != (tt.parent != "") || !slices.Equal(LongGroups(tt.code), tt.long) {
			t.Errorf("%q: style %d, parent %q, long groups %q; want %d, %q, %q", tt.code, got, parent, LongGroups(tt.code), tt.style, tt.parent, tt.long)
		}
		if Valid(tt.code) != (tt.style != Unknown) {
			t.Errorf("Valid(%q) disagrees with its style", tt.code)
		}
	}
}

func TestAncestors(t *testing.T) {
	for _, tt := range []struct {
		code, above  string
		below, under bool
	}{
		{"H99.07", "H99", true, true},
		{"H99.07.01", "H99", true, true},
		{"H99", "H99", false, true},
		{"H991.07", "H99", false, false},
		{"H99.071", "H99.07", false, false},
		{"000.00.07.H99", "H99", false, true},
		{"000.00.07.H99", "H99.07", false, false},
		{"G98", "H99", false, false},
		{"x", "", false, false},
	} {
		if Below(tt.code, tt.above) != tt.below || Under(tt.code, tt.above) != tt.under {
			t.Errorf("%q and %q: below %v, under %v; want %v, %v", tt.code, tt.above, Below(tt.code, tt.above), Under(tt.code, tt.above), tt.below, tt.under)
		}
	}
}
