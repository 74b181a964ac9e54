package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	tests := []struct {
		name, in, want string
		ci, well       bool
	}{
		{
			name: "all pass", in: `{"Action":"pass","Package":"truc/a","Test":"TestA","Elapsed":1}` + "\n" + `{"Action":"pass","Package":"truc/a","Elapsed":1}`,
			want: "unit: 1 passed, 0 failed, 0 skipped", well: true,
		},
		{name: "skip at a desk", in: `{"Action":"pass","Test":"TestA"}` + "\n" + `{"Action":"skip","Package":"truc/a","Test":"TestB"}`, want: "SKIP truc/a TestB", well: true},
		{name: "skip in CI", in: `{"Action":"pass","Test":"TestA"}` + "\n" + `{"Action":"skip","Package":"truc/a","Test":"TestB"}`, want: "1 skipped", ci: true},
		{name: "failure with output", in: `{"Action":"output","Package":"p","Test":"T","Output":"got 1\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"T"}`, want: "FAIL p T\ngot 1\n"},
		{name: "does not build", in: `{"ImportPath":"p","Action":"build-output","Output":"x.go:1: bad\n"}` + "\n" + `{"Action":"fail","Package":"p"}`, want: "x.go:1: bad"},
		{name: "nothing ran", in: "", want: "0 passed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := read(strings.NewReader(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if well := s.print(&out, "unit", tt.ci); well != tt.well {
				t.Errorf("print = %v; want %v", well, tt.well)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("print wrote %q; want %q in it", out.String(), tt.want)
			}
		})
	}
}
