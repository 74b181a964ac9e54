package archtest

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

var provenBy = regexp.MustCompile("`([a-z]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")

// TestProofsExist wants every test that a page names as a proof (`bundle.TestBroken`) to be there: a tick without a
// test is a promise nobody keeps.
func TestProofsExist(t *testing.T) {
	there := map[string]bool{}
	for _, f := range goFiles(t) {
		if !f.test {
			continue
		}
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`).FindAllStringSubmatch(string(f.text), -1) {
			there[path.Base(dir(f.path))+"."+m[1]] = true
		}
	}
	for _, p := range files(t, func(p string) bool { return strings.HasPrefix(p, "docs/") && strings.HasSuffix(p, ".md") }) {
		for _, m := range provenBy.FindAllStringSubmatch(read(t, p), -1) {
			if !there[m[1]+"."+m[2]] {
				t.Errorf("%s: names %s.%s, which is not there", p, m[1], m[2])
			}
		}
	}
}
