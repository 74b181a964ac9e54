// Command testsummary reads what `go test -json` prints and says it briefly: each failure with its output, the
// slowest tests, the packages with their times, and one closing line. It exits with 1 when something failed, when
// nothing ran, and when the environment has CI set and something was skipped.
//
//	go test -json ./... | go run ./scripts/testsummary [-title "unit tests"]
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

type result struct {
	name    string
	elapsed float64
}

type summary struct {
	passed, failed, skipped int
	tests, packages         []result
	failures, skips         []string            // names
	output                  map[string][]string // by name, of what may still fail
	build                   map[string][]string // compiler output by package
	stray                   []string            // lines that are no event
}

func main() {
	title := flag.String("title", "tests", "what is being tested, for the closing line")
	flag.Parse()
	s, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(2)
	}
	if !s.print(os.Stdout, *title, os.Getenv("CI") != "") {
		os.Exit(1)
	}
}

func read(r io.Reader) (*summary, error) {
	s := &summary{output: map[string][]string{}, build: map[string][]string{}}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil || e.Action == "" {
			s.stray = append(s.stray, in.Text())
			continue
		}
		s.add(e)
	}
	return s, in.Err()
}

func (s *summary) add(e event) {
	name := strings.TrimSpace(e.Package + " " + e.Test)
	switch e.Action {
	case "build-output":
		s.build[e.ImportPath] = append(s.build[e.ImportPath], e.Output)
	case "output":
		s.output[name] = append(s.output[name], e.Output)
	case "pass":
		if e.Test == "" {
			s.packages = append(s.packages, result{name: name, elapsed: e.Elapsed})
		} else {
			s.passed++
			s.tests = append(s.tests, result{name: name, elapsed: e.Elapsed})
		}
		delete(s.output, name)
	case "skip":
		if e.Test != "" { // a package without tests is reported as skipped, too
			s.skipped++
			s.skips = append(s.skips, name)
		}
		delete(s.output, name)
	case "fail":
		if e.Test == "" {
			s.packages = append(s.packages, result{name: name, elapsed: e.Elapsed})
		}
		s.failed++
		s.failures = append(s.failures, name)
	}
}

// print reports whether all is well.
func (s *summary) print(w io.Writer, title string, ci bool) bool {
	for _, line := range s.stray {
		_, _ = fmt.Fprintln(w, line)
	}
	for _, lines := range s.build {
		_, _ = fmt.Fprint(w, strings.Join(lines, ""))
	}
	for _, name := range s.failures {
		_, _ = fmt.Fprintf(w, "FAIL %s\n%s", name, strings.Join(s.output[name], ""))
	}
	for _, name := range s.skips {
		_, _ = fmt.Fprintf(w, "SKIP %s\n", name)
	}
	slowest(w, "slowest packages", s.packages, 8)
	slowest(w, "slowest tests", s.tests, 8)
	well := s.failed == 0 && s.passed > 0
	if ci && s.skipped > 0 {
		_, _ = fmt.Fprintln(w, "skipped tests count as failures because CI is set")
		well = false
	}
	// A failed package is counted beside its failed tests, so that one that does not build is seen.
	_, _ = fmt.Fprintf(w, "%s: %d passed, %d failed, %d skipped\n", title, s.passed, s.failed, s.skipped)
	return well
}

func slowest(w io.Writer, head string, rs []result, n int) {
	slices.SortStableFunc(rs, func(a, b result) int { return cmp.Compare(b.elapsed, a.elapsed) })
	_, _ = fmt.Fprintf(w, "%s:", head)
	for _, r := range rs[:min(n, len(rs))] {
		_, _ = fmt.Fprintf(w, " %s %.1fs;", strings.TrimPrefix(r.name, "truc/"), r.elapsed)
	}
	_, _ = fmt.Fprintln(w)
}
