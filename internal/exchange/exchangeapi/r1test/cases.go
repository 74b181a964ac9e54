// Package r1test is the conformance suite of the edge: what a program that talks X-Road REST (r1) with a node of its
// agency asks, and what it must get. The cases are text files, a section of the specification each; cases/README.txt says
// how they are read. This module's own tests play them against two nodes whose every setting they control; [Run] plays
// those that need no more than a client and a service against any endpoint, ours or another's.
package r1test

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed cases
var files embed.FS

// Case is one exchange with its expectations.
type Case struct {
	// Section is the name of the file, "2.1-request-line".
	Section, Name string
	Directives    []string
	Request       []string // the head and, after an empty line, the body
	Service       []string // what the service answers; none for "ok"
	Seen          []string // what the service must have seen
	Response      []string
}

var checkID = regexp.MustCompile(`^R1-[A-Z0-9]+-\d\d`)

// ID is the specification's name of the check, "R1-URL-01", or empty.
func (c *Case) ID() string { return checkID.FindString(c.Name) }

// Cases returns all, in the order of the sections.
func Cases() ([]Case, error) {
	names, err := fs.Glob(files, "cases/2.*.txt")
	if err != nil {
		return nil, err
	}
	var out []Case
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for i := range list {
			list[i].Section = strings.TrimSuffix(strings.TrimPrefix(name, "cases/"), ".txt")
		}
		out = append(out, list...)
	}
	return out, nil
}

func parse(text string) ([]Case, error) {
	var cases []Case
	for i, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "== "); ok {
			cases = append(cases, Case{Name: name})
			continue
		}
		if strings.HasPrefix(line, "#") || len(cases) == 0 && line == "" {
			continue
		}
		if len(cases) == 0 {
			return nil, fmt.Errorf("line %d stands before the first case", i+1)
		}
		c := &cases[len(cases)-1]
		mark, rest := "", line
		if len(line) >= 2 && slices.Contains([]string{"->", "<-", "=>", "@ "}, line[:2]) {
			mark, rest = line[:2], strings.TrimPrefix(line[2:], " ")
		}
		switch mark {
		case "->":
			c.Seen = append(c.Seen, rest)
		case "<-":
			c.Response = append(c.Response, rest)
		case "=>":
			c.Service = append(c.Service, rest)
		case "@ ":
			c.Directives = append(c.Directives, rest)
		default:
			c.Request = append(c.Request, rest)
		}
	}
	for i := range cases {
		c := &cases[i]
		for len(c.Request) > 0 && c.Request[0] == "" {
			c.Request = c.Request[1:]
		}
		for len(c.Request) > 0 && c.Request[len(c.Request)-1] == "" {
			c.Request = c.Request[:len(c.Request)-1]
		}
		if len(c.Request) == 0 || len(c.Response) == 0 {
			return nil, fmt.Errorf("case %q has no request or no response", c.Name)
		}
	}
	return cases, nil
}

// UUID is the pattern of a random UUID.
const UUID = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`

// Matches reports whether a line is as expected: <uuid>, <hash> and <text> stand for what each answer makes anew.
func Matches(expected, line string) bool {
	p := regexp.QuoteMeta(expected)
	for name, with := range map[string]string{"<uuid>": UUID, "<hash>": `[A-Za-z0-9+/]{86}==`, "<text>": `(?s:.+)`} {
		p = strings.ReplaceAll(p, regexp.QuoteMeta(name), with)
	}
	return regexp.MustCompile("^" + p + "$").MatchString(line)
}

// Expected splits the expected answer into its head, sorted but for the status line, and its body.
func (c *Case) Expected() (head []string, body string) {
	head = []string{c.Response[0]}
	i := 1
	for ; i < len(c.Response) && c.Response[i] != ""; i++ {
		name, value, _ := strings.Cut(c.Response[i], ": ")
		head = append(head, strings.ToLower(name)+": "+value)
	}
	slices.Sort(head[1:])
	return head, strings.Join(c.Response[min(i+1, len(c.Response)):], "\n")
}

var repeated = regexp.MustCompile(`<x\*(\d+)>`)

// Raw writes a request with its line ends and chunks; fill replaces placeholders in its head.
func Raw(lines []string, fill func(head string) string) string {
	end := slices.Index(lines, "")
	body := []string{}
	if end >= 0 {
		lines, body = lines[:end], lines[end+1:]
	}
	head := strings.Join(lines, "\r\n") + "\r\n"
	head = fill(repeated.ReplaceAllStringFunc(head, func(s string) string {
		k, _ := strconv.Atoi(s[3 : len(s)-1])
		return strings.Repeat("x", k)
	}))
	switch {
	case strings.Contains(strings.ToLower(head), "transfer-encoding: chunked"):
		var text strings.Builder
		for _, chunk := range body {
			fmt.Fprintf(&text, "%x\r\n%s\r\n", len(chunk), chunk)
		}
		return head + "\r\n" + text.String() + "0\r\n\r\n"
	case len(body) > 0:
		text := strings.Join(body, "\n")
		return head + "Content-Length: " + strconv.Itoa(len(text)) + "\r\n\r\n" + text
	}
	return head + "\r\n"
}

// Answer writes what the case lets the service answer.
func (c *Case) Answer(w http.ResponseWriter) {
	if len(c.Service) == 0 {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("ok"))
		return
	}
	_, status, _ := strings.Cut(c.Service[0], " ")
	code, _ := strconv.Atoi(strings.Fields(status)[0])
	i := 1
	for ; i < len(c.Service) && c.Service[i] != ""; i++ {
		name, value, _ := strings.Cut(c.Service[i], ": ")
		w.Header().Add(name, value)
	}
	w.WriteHeader(code)
	_, _ = w.Write([]byte(strings.Join(c.Service[min(i+1, len(c.Service)):], "\n")))
}

// Seen is what a service saw.
type Seen struct {
	// Line is "GET /path?query" with the service path.
	Line   string
	Header http.Header
	Body   string
}

// Judge says in what the service saw something else than it must; s is nil when it was not asked. Headers that ignore
// names are not looked at.
func (c *Case) Judge(s *Seen, ignore func(name string) bool) (faults []string) {
	want := c.Seen
	if len(want) == 0 {
		return nil
	}
	if want[0] == "nothing" {
		if s != nil {
			return []string{"the service saw " + s.Line + "; it was not to be asked"}
		}
		return nil
	}
	if s == nil {
		return []string{"the service was not asked"}
	}
	if s.Line != want[0] {
		faults = append(faults, fmt.Sprintf("the service saw %q; want %q", s.Line, want[0]))
	}
	for i, w := range want[1:] {
		if w == "" {
			if b := strings.Join(want[i+2:], "\n"); s.Body != b {
				faults = append(faults, fmt.Sprintf("the service saw the body %q; want %q", s.Body, b))
			}
			return faults
		}
		if name, ok := strings.CutPrefix(w, "no "); ok {
			if v := s.Header.Values(name); len(v) > 0 && !ignore(name) {
				faults = append(faults, fmt.Sprintf("the service saw %s: %q", name, v))
			}
			continue
		}
		name, value, _ := strings.Cut(w, ": ")
		if got := strings.Join(s.Header.Values(name), " | "); !Matches(value, got) && !ignore(name) {
			faults = append(faults, fmt.Sprintf("the service saw %s: %s; want %s", name, got, value))
		}
	}
	return faults
}
