package exchangeapi

import (
	"strings"
	"testing"

	"truc/internal/exchange"
)

// FuzzAccept: any Accept is judged, the same in any case of letters, and a compatible program gets XML whenever a native one does.
func FuzzAccept(f *testing.F) {
	for _, s := range []string{"", "*/*", "text/xml", "application/json;q=0.5, text/*;q=0.6", "text/xml;q=nan", "text/xml;q=2", ";;,,=", "text/xml; charset=x ; Q=0.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, native := range []bool{false, true} {
			if isASCII(s) && wantsXML([]string{s}, native) != wantsXML([]string{strings.ToUpper(s)}, native) {
				t.Errorf("%q depends on the case of its letters", s)
			}
		}
		if wantsXML([]string{s}, true) && !wantsXML([]string{s}, false) {
			t.Errorf("%q gives XML to native programs only", s)
		}
		if q := quality(s); !(q >= 0 && q <= 1) {
			t.Errorf("%q has the weight %v", s, q)
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f })
}

// FuzzEdgeTarget: what the edge understands of a target is what the provider's node reads from the form that crosses the link,
// and its identifier has none but plain characters (D1, D12).
func FuzzEdgeTarget(f *testing.F) {
	for _, s := range []string{
		"/r1/DEV/GOV/B02/CSDL/residents/v1/person/42?full=1", "/r1/DEV/GOV/B02/CS%44L/residents", "/r1/DEV/GOV/B02%2FCSDL/x/y", "/r1/a/b/c/d/e/%7e?%",
		"/r1/a/b/c/%2e%2e/e", "/r1/a/b/c/d/e/..", "/r1/a/b/c/d/%65%25%36%31",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := exchange.ParseTarget("r1", s)
		if err != nil {
			return
		}
		if id := got.Service.String(); strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") != "" || strings.Count(id, "/") != 4 {
			t.Fatalf("%q is the service %q", s, id)
		}
		link := got.String("x1")
		again, err := exchange.ParseTarget("x1", link)
		if err != nil || again != got || again.String("x1") != link {
			t.Fatalf("%q is %q on the link, and that is %q there, %v", s, link, again.String("x1"), err)
		}
	})
}

// FuzzParty: a represented party that is taken has one or two plain segments.
func FuzzParty(f *testing.F) {
	for _, s := range []string{"", "GOV/H57", "H57", "GOV/H57/x", "GOV%2FH57", "/", "%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := parseParty(s); err == nil && s != "" && (got == "" || strings.Count(got, "/") > 1 || strings.ContainsAny(got, "% \r\n")) {
			t.Errorf("%q is the party %q", s, got)
		}
	})
}
