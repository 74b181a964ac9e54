package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRecordsCommand holds the command to what it asks of the node, page after page and part after part.
func TestRecordsCommand(t *testing.T) {
	var got []string
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.RequestURI())
		q := r.URL.Query()
		switch {
		case r.URL.Path == "/api/exchange/partner-records" && q.Get("cursor") == "":
			_, _ = io.WriteString(w, `{"records":[{"exchange_id":"X1","node":"VN/GOV/G01/node1","role":"provider","client":"a","service":"b","method":"GET","status":200,"outcome":"ok"}],"next":"n1"}`)
		case r.URL.Path == "/api/exchange/partner-records":
			_, _ = io.WriteString(w, `{"records":[{"exchange_id":"X2"}],"next":"","pruned_until":1790000000000000}`)
		case q.Get("partner") == "VN/GOV/X14":
			_, _ = io.WriteString(w, `{"from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00Z","nodes":["VN/GOV/X14/node1"],"agreed":7,"differences":[]}`)
		case q.Get("from") == "1793466000": // the day's beginning in Việt Nam
			_, _ = io.WriteString(w, `{"from":"2026-10-31T17:00:00Z","to":"2026-11-01T05:00:00Z","nodes":["VN/GOV/G01/node1"],"agreed":5,"more":true,"differences":[]}`)
		case q.Get("from") == "1793509200":
			_, _ = io.WriteString(w, `{"from":"2026-11-01T05:00:00Z","to":"2026-11-02T00:00:00Z","agreed":2,"unprovable":1,"differences":[{"kind":"missing_there","node":"VN/GOV/G01/node1","exchange_id":"X9","service":"b"}]}`)
		case strings.HasPrefix(r.URL.Path, "/api/exchange/partner-evidence/"):
			_, _ = io.WriteString(w, "no package")
		default:
			http.Error(w, "{}", http.StatusNotFound)
		}
	}))
	t.Cleanup(node.Close)
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args     string
		requests []string
		out      []string
		fails    bool
	}{
		{
			"list VN/GOV/G01 -as VN/GOV/H36/onestop",
			[]string{"GET /api/exchange/partner-records?as=VN%2FGOV%2FH36%2Fonestop&partner=VN%2FGOV%2FG01", "GET /api/exchange/partner-records?as=VN%2FGOV%2FH36%2Fonestop&cursor=n1&partner=VN%2FGOV%2FG01"},
			[]string{"X1", "X2", "a → b", "200 ok"},
			false,
		},
		{
			"compare VN/GOV/G01 -from 2026-11-01 -to 2026-11-02T00:00:00Z",
			[]string{"GET /api/exchange/partner-comparison?from=1793466000&partner=VN%2FGOV%2FG01&to=1793577600", "GET /api/exchange/partner-comparison?from=1793509200&partner=VN%2FGOV%2FG01&to=1793577600"},
			[]string{"7 exchanges agree, 1 differ, 1 were removed", "missing there", "X9"},
			true,
		},
		{"compare VN/GOV/X14 -to 2026-11-02T00:00:00Z -json", []string{"GET /api/exchange/partner-comparison?partner=VN%2FGOV%2FX14&to=1793577600"}, []string{`"agreed":7`}, false},
		{"compare VN/GOV/G01 -from yesterday", nil, nil, true},
		{"evidence VN/GOV/G01 X1", nil, nil, true},
		{"list", nil, nil, true},
		{"dance VN/GOV/G01", nil, nil, true},
	} {
		got = nil
		var out, errout bytes.Buffer
		args := append([]string{"records"}, strings.Fields(tt.args)...)
		err := run(context.Background(), append(args, "-url", node.URL, "-key-file", key), func(string) string { return "" }, &out, &errout)
		if (err != nil) != tt.fails {
			t.Errorf("%s: %v %s", tt.args, err, errout.String())
		}
		if !slices.Equal(got, tt.requests) {
			t.Errorf("%s: asked %q", tt.args, got)
		}
		for _, want := range tt.out {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s does not show %q:\n%s", tt.args, want, out.String())
			}
		}
	}
	// What is no package is not kept.
	file := filepath.Join(dir, "x.zip")
	var out bytes.Buffer
	if err := run(context.Background(), []string{"records", "evidence", "VN/GOV/G01", "X1", "-o", file, "-url", node.URL, "-key-file", key}, func(string) string { return "" }, &out, &out); err == nil {
		t.Error("something that is no package was taken")
	}
	if left, _ := filepath.Glob(file + "*"); len(left) > 0 {
		t.Errorf("%q was left", left)
	}
}
