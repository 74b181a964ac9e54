package archtest

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDecisionsAreNumbered wants docs/adr/NNNN-title.md without gaps or doubles, each up to 60 lines with its three
// headings.
func TestDecisionsAreNumbered(t *testing.T) {
	adrs := files(t, func(p string) bool { return dir(p) == "docs/adr" && strings.HasSuffix(p, ".md") })
	if len(adrs) == 0 {
		t.Fatal("docs/adr holds no decisions")
	}
	slices.Sort(adrs)
	for i, p := range adrs {
		if want := fmt.Sprintf("%04d-", i+1); !strings.HasPrefix(path.Base(p), want) {
			t.Errorf("%s: number %s was expected here", p, want[:4])
		}
		text := read(t, p)
		if n := strings.Count(text, "\n"); n > 60 {
			t.Errorf("%s has %d lines; 60 is the limit", p, n)
		}
		for _, h := range []string{"# ", "## Context", "## Decision", "## Consequences"} {
			if !strings.Contains("\n"+text, "\n"+h) {
				t.Errorf("%s has no heading %q", p, h)
			}
		}
	}
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)
	codeFence    = regexp.MustCompile("(?s)```.*?```")
	docPath      = regexp.MustCompile(`\b(docs/[a-z0-9/_.-]+\.(?:md|sql|py|json|yaml))\b`)
)

// TestLinksResolve follows the links between our own pages, and the paths of pages that Go comments name. Addresses on the
// network are not fetched: the tests need none.
func TestLinksResolve(t *testing.T) {
	pages := files(t, func(p string) bool { return strings.HasSuffix(p, ".md") && !strings.Contains(p, "/testdata/") })
	if len(pages) == 0 {
		t.Fatal("no pages found")
	}
	for _, p := range pages {
		text := codeFence.ReplaceAllString(read(t, p), "")
		for _, m := range markdownLink.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := p
			if target != "" {
				to = path.Join(dir(p), target)
			}
			if !exists(to) {
				t.Errorf("%s: link to %s, which is not there", p, m[1])
				continue
			}
			if anchor != "" && strings.HasSuffix(to, ".md") && !slices.Contains(anchors(read(t, to)), anchor) {
				t.Errorf("%s: link to %s; %s has no such heading", p, m[1], to)
			}
		}
	}
	for _, f := range goFiles(t) {
		for _, g := range f.ast.Comments {
			for _, m := range docPath.FindAllString(g.Text(), -1) {
				if !exists(m) {
					t.Errorf("%s: names %s, which is not there", f.at(g.Pos()), m)
				}
			}
		}
	}
}

// TestTheRepositoryIsWhole wants the files a newcomer, a lawyer and a robot look for.
func TestTheRepositoryIsWhole(t *testing.T) {
	for _, p := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile", ".golangci.yml", ".ci/run", "docs/third-party.md"} {
		if !exists(p) {
			t.Errorf("%s is missing", p)
		}
	}
}

func exists(p string) bool {
	_, err := os.Stat(filepath.Join(root, p))
	return err == nil
}

var notAnchor = regexp.MustCompile(`[^\p{L}\p{N}\p{M} _-]`)

// anchors returns the names of a page's headings as the usual renderers make them.
func anchors(text string) []string {
	var out []string
	for line := range strings.Lines(codeFence.ReplaceAllString(text, "")) {
		if h := strings.TrimLeft(line, "#"); h != line && strings.HasPrefix(h, " ") {
			name := notAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(h)), "")
			out = append(out, strings.ReplaceAll(name, " ", "-"))
		}
	}
	return out
}
