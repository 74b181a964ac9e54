package exchange

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"truc/internal/orgcode"
)

// MaxTarget is the longest request target (spec D3).
const MaxTarget = 8 << 10

// Path is a service path in the one form that is signed, matched, logged and forwarded (spec D12). X-Road once
// matched rules on a normalised path and forwarded the raw one; carrying a single value makes that impossible.
type Path struct {
	canonical string
	decoded   string
}

// String returns the canonical percent-encoded path.
func (p Path) String() string { return p.canonical }

// Decoded returns what rules are matched on.
func (p Path) Decoded() string { return p.decoded }

const upperHex = "0123456789ABCDEF"

// ParsePath checks a raw service path, "" or "/…", and brings it into canonical form by RFC 3986 §6.2.2 equivalence
// only: unreserved characters decoded, hex digits in upper case. It refuses everything that two programs could read
// differently: bad escapes, control characters, invalid UTF-8, dot segments, backslashes, empty segments, encoded
// slashes and double encoding.
func ParsePath(raw string) (Path, error) {
	if raw == "" {
		return Path{}, nil
	}
	if raw[0] != '/' || len(raw) > MaxTarget {
		return Path{}, errors.New("the path does not begin with a slash or is too long")
	}
	var canon, dec strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		escaped := c == '%'
		if escaped {
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return Path{}, errors.New("invalid percent sequence")
			}
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
		}
		switch {
		case c < 0x20 || c == 0x7f:
			return Path{}, errors.New("control character")
		case c == '\\':
			return Path{}, errors.New("backslash")
		case escaped && c == '/':
			return Path{}, errors.New("encoded slash")
		case !escaped && !isPathChar(c):
			return Path{}, fmt.Errorf("character %q must be percent-encoded", rune(c))
		}
		dec.WriteByte(c)
		if escaped && !isUnreserved(c) {
			canon.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		} else {
			canon.WriteByte(c)
		}
	}
	p := Path{canonical: canon.String(), decoded: dec.String()}
	// Looked for in the decoded form, because the digits may have been encoded too.
	for i := 0; i+2 < len(p.decoded); i++ {
		if p.decoded[i] == '%' && isHex(p.decoded[i+1]) && isHex(p.decoded[i+2]) {
			return Path{}, errors.New("doubly encoded character")
		}
	}
	if !utf8.ValidString(p.decoded) {
		return Path{}, errors.New("invalid UTF-8")
	}
	segments := strings.Split(p.decoded[1:], "/")
	for i, s := range segments {
		if s == "." || s == ".." {
			return Path{}, errors.New("dot segment")
		}
		if s == "" && i < len(segments)-1 {
			return Path{}, errors.New("empty segment")
		}
	}
	return p, nil
}

// checkQuery refuses a raw query that could not be forwarded byte for byte.
func checkQuery(q string) error {
	for i := 0; i < len(q); i++ {
		if q[i] <= 0x20 || q[i] >= 0x7f || q[i] == '#' {
			return errors.New("the query holds a character that must be percent-encoded")
		}
	}
	return nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// isPathChar reports whether c may stand unencoded in a path: pchar and slash (RFC 3986 §3.3).
func isPathChar(c byte) bool { return isUnreserved(c) || strings.IndexByte("!$&'()*+,;=:@/", c) >= 0 }

// Target is a request target split into its parts.
type Target struct {
	Service orgcode.Service
	Path    Path
	Query   string
}

// ErrTargetTooLong is the fault of a target beyond [MaxTarget].
var ErrTargetTooLong = errors.New("the request target is too long")

// decodeIDs decodes the percent-encoded characters of each segment of an identifier on its own (spec §2.1). An encoded slash
// thus belongs to the segment, where orgcode refuses it (D1).
func decodeIDs(segments []string) error {
	for i, s := range segments {
		if strings.IndexByte(s, '%') < 0 {
			continue
		}
		u, err := url.PathUnescape(s)
		if err != nil {
			return err
		}
		if strings.IndexByte(u, '/') >= 0 {
			return errors.New("encoded slash in an identifier")
		}
		segments[i] = u
	}
	return nil
}

// ParseID reads an identifier of a header, "VN/GOV/H36/onestop", whose segments may be percent-encoded, and returns its
// plain form. It does not judge how many segments there are.
func ParseID(s string) (string, error) {
	p := strings.Split(s, "/")
	if err := decodeIDs(p); err != nil {
		return "", err
	}
	return strings.Join(p, "/"), nil
}

// ParseTarget reads "/x1/VN/GOV/G01/population/person/query?x=1" for prefix "x1", and the same under "r1" at the edge.
// A service is always exactly five segments; what follows is the service path, "" or beginning with a slash.
func ParseTarget(prefix, target string) (Target, error) {
	if len(target) > MaxTarget {
		return Target{}, ErrTargetTooLong
	}
	raw, query, _ := strings.Cut(target, "?")
	if err := checkQuery(query); err != nil {
		return Target{}, err
	}
	p := strings.SplitN(raw, "/", 8)
	if len(p) < 7 || p[0] != "" || p[1] != prefix {
		return Target{}, errors.New("the target has fewer than five identifier segments")
	}
	if err := decodeIDs(p[2:7]); err != nil {
		return Target{}, err
	}
	for _, s := range p[2:7] {
		if s == "." || s == ".." {
			return Target{}, errors.New("dot segment in the identifier")
		}
	}
	id, err := orgcode.ParseService(strings.Join(p[2:7], "/"))
	if err != nil {
		return Target{}, err
	}
	rest := ""
	if len(p) == 8 {
		rest = "/" + p[7]
	}
	path, err := ParsePath(rest)
	if err != nil {
		return Target{}, err
	}
	return Target{Service: id, Path: path, Query: query}, nil
}

// String returns the target under a prefix.
func (t Target) String(prefix string) string {
	s := "/" + prefix + "/" + t.Service.String() + t.Path.canonical
	if t.Query != "" {
		s += "?" + t.Query
	}
	return s
}

// targetOf cuts the authority off "https://host/path?query" without decoding anything.
func targetOf(uri string) (string, error) {
	rest, ok := strings.CutPrefix(uri, "https://")
	if !ok {
		return "", errors.New("the target URI is not https")
	}
	i := strings.IndexByte(rest, '/')
	if i <= 0 {
		return "", errors.New("the target URI has no path")
	}
	return rest[i:], nil
}
