package orgcode

import (
	"strings"
	"testing"
)

func TestValid(t *testing.T) {
	tests := []struct {
		code   string
		want   bool
		level1 string
	}{
		{"H36", true, "H36"},
		{"H36.14", true, "H36"},
		{"G01.12.DN", true, "G01"},
		{"000.00.14.H36", true, "H36"},
		{"28.22.H99", true, "H99"},
		{"", false, ""},
		{"h36", false, ""},
		{"H3", false, ""},
		{"H36.", false, ""},
		{"H36/14", false, ""},
		{"H36." + strings.Repeat("1", 40), false, ""},
	}
	for _, tt := range tests {
		if got := Valid(tt.code); got != tt.want {
			t.Errorf("Valid(%q) = %v; want %v", tt.code, got, tt.want)
		}
		if got := Level1(tt.code); tt.want && got != tt.level1 {
			t.Errorf("Level1(%q) = %q; want %q", tt.code, got, tt.level1)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	s, err := ParseService("VN/GOV/G01/population/person")
	if err != nil || s.String() != "VN/GOV/G01/population/person" || s.Owner().String() != "VN/GOV/G01/population" || s.Owner().MemberID() != "VN/GOV/G01" {
		t.Errorf("ParseService() = %+v, %v", s, err)
	}
	for _, bad := range []string{
		"", "VN/GOV/G01/population", "VN/GOV/G01/population/person/x", "VN/GOV//population/person", "VN/GOV/G01/pop ulation/person",
		"VN/GOV/G01/population/người", "VN/GOV/G01/../person\x00", "VN/GOV/G01/population/" + strings.Repeat("x", 65),
	} {
		if s, err := ParseService(bad); err == nil {
			t.Errorf("ParseService(%q) = %v; want an error", bad, s)
		}
	}
	if s, err := ParseSubsystem("VN/GOV/H36/onestop"); err != nil || s.Code != "onestop" {
		t.Errorf("ParseSubsystem() = %+v, %v", s, err)
	}
	if _, err := ParseSubsystem("VN/GOV/H36"); err == nil {
		t.Error("ParseSubsystem() took a member")
	}
}
