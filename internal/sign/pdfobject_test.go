package sign

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPDFObjects(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"<< /A 1 /B [1 0 R -2.5 true null] /C#20D (a\\(b\\)\\101\\\nc(d)) >>", "<< /A 1 /B [1 0 R -2.5 true null] /C#20D <612862294163286429> >>"},
		{"<4 1 4>", "<4140>"},
		{"[1 0 2 0 R 3]", "[1 0 2 0 R 3]"},
		{"<< /A 1 /A 1 % twice the same\n>>", "<< /A 1 >>"},
		{"/", "/"},
	} {
		v, err := (&pdfLexer{b: []byte(c.in)}).object()
		if err != nil {
			t.Errorf("object(%q): %v", c.in, err)
			continue
		}
		got := string(appendPDF(nil, v))
		if got != c.want {
			t.Errorf("object(%q) = %s; want %s", c.in, got, c.want)
		}
		again, err := (&pdfLexer{b: []byte(got)}).object()
		if err != nil || string(appendPDF(nil, again)) != got {
			t.Errorf("%q does not read back: %v", got, err)
		}
	}
	for _, in := range []string{"", "<<", "[", "(a", "<4", "<zz>", "<< /A 1 /A 2 >>", "<< 1 2 >>", "foo", "--1", strings.Repeat("[", 1000)} {
		if v, err := (&pdfLexer{b: []byte(in)}).object(); err == nil {
			t.Errorf("object(%.20q) = %v; want an error", in, v)
		}
	}
}

func TestPDFText(t *testing.T) {
	for _, s := range []string{"", "Nguyễn Văn Ân", "𝔘 ngoài BMP"} {
		if got := textOf(pdfText(s)); got != s {
			t.Errorf("textOf(pdfText(%q)) = %q", s, got)
		}
	}
}

func TestUnpredict(t *testing.T) {
	parms := pdfDict{{"Predictor", pdfRaw("15")}, {"Columns", pdfRaw("3")}}
	rows := []byte{0, 1, 2, 3, 1, 1, 1, 1, 2, 1, 1, 1, 3, 2, 2, 2, 4, 1, 1, 1}
	got, err := unpredict(rows, parms)
	want := []byte{1, 2, 3, 1, 2, 3, 2, 3, 4, 3, 5, 6, 4, 6, 7}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("unpredict: %v (-want +got):\n%s", err, diff)
	}
}
