// Package orgcode knows the shapes of agency codes ("mã định danh cơ quan") and of the identifiers built on
// them: members, subsystems and services of the exchange, and dossier numbers.
package orgcode

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	newCode = regexp.MustCompile(`^[A-Z][0-9]{2}(\.[0-9A-Z]{1,12})*$`)
	oldCode = regexp.MustCompile(`^([0-9A-Z]{2,3}\.){1,3}[A-Z][0-9]{2}$`)
)

// MaxLen is the longest agency code, 35 characters (Decision 20/2020/QĐ-TTg).
const MaxLen = 35

// Valid reports whether code is an agency code in the new ("H36.14") or old ("000.00.14.H36") style.
func Valid(code string) bool {
	return len(code) <= MaxLen && (newCode.MatchString(code) || oldCode.MatchString(code))
}

// Level1 returns the first-level code of an agency: "H36" for "H36.14" and for "000.00.14.H36".
func Level1(code string) string {
	if newCode.MatchString(code) {
		return strings.SplitN(code, ".", 2)[0]
	}
	if oldCode.MatchString(code) {
		return code[strings.LastIndexByte(code, '.')+1:]
	}
	return ""
}

// isSegment reports whether s is [A-Za-z0-9._-]{1,64}. It is asked a score of times for each exchange.
func isSegment(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// Service identifies one service of the exchange, always five segments (X-Road message protocol for REST §4).
type Service struct {
	Instance, Class, Member, Subsystem, Code string
}

// ParseService reads "VN/GOV/G01/population/person".
func ParseService(s string) (Service, error) {
	p := strings.Split(s, "/")
	if len(p) != 5 {
		return Service{}, fmt.Errorf("service identifier %q has %d segments, want 5", s, len(p))
	}
	for _, x := range p {
		if !isSegment(x) {
			return Service{}, fmt.Errorf("service identifier %q: segment %q is not [A-Za-z0-9._-]{1,64}", s, x)
		}
	}
	return Service{p[0], p[1], p[2], p[3], p[4]}, nil
}

// String returns the five segments joined by slashes.
func (s Service) String() string {
	return strings.Join([]string{s.Instance, s.Class, s.Member, s.Subsystem, s.Code}, "/")
}

// Owner returns the subsystem that offers the service.
func (s Service) Owner() Subsystem { return Subsystem{s.Instance, s.Class, s.Member, s.Subsystem} }

// Subsystem identifies one information system of a member: the unit that calls and is granted access.
type Subsystem struct {
	Instance, Class, Member, Code string
}

// ParseSubsystem reads "VN/GOV/H36/onestop".
func ParseSubsystem(s string) (Subsystem, error) {
	p := strings.Split(s, "/")
	if len(p) != 4 {
		return Subsystem{}, fmt.Errorf("subsystem identifier %q has %d segments, want 4", s, len(p))
	}
	for _, x := range p {
		if !isSegment(x) {
			return Subsystem{}, fmt.Errorf("subsystem identifier %q: segment %q is not [A-Za-z0-9._-]{1,64}", s, x)
		}
	}
	return Subsystem{p[0], p[1], p[2], p[3]}, nil
}

// String returns the four segments joined by slashes.
func (s Subsystem) String() string {
	return strings.Join([]string{s.Instance, s.Class, s.Member, s.Code}, "/")
}

// MemberID returns "VN/GOV/H36".
func (s Subsystem) MemberID() string { return s.Instance + "/" + s.Class + "/" + s.Member }
