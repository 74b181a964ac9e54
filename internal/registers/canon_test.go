package registers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCanonical(t *testing.T) {
	v := Values{"b": "Đà Lạt \"1\"\n", "a.z": int64(3), "a.b": true, "list": []string{"x", "\u0001"}}
	got, err := v.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":{"b":true,"z":3},"b":"Đà Lạt \"1\"\n","list":["x","\u0001"]}`; string(got) != want {
		t.Errorf("Canonical() = %s; want %s", got, want)
	}
}

func TestBlobHash(t *testing.T) {
	v := Values{"sex": "male"}
	a, _ := blobHash(v, []byte("0123456789abcdef"))
	b, _ := blobHash(v, []byte("0123456789abcdeg"))
	c, _ := blobHash(Values{"sex": "female"}, []byte("0123456789abcdef"))
	if a == b || a == c || len(a) != 64 {
		t.Errorf("hashes %s %s %s must differ by seed and by value", a, b, c)
	}
}

func TestCanonicalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := Values{}
		for _, name := range []string{"a", "b.c", "b.d", "e"} {
			switch rapid.IntRange(0, 4).Draw(t, name) {
			case 0:
				v[name] = rapid.String().Draw(t, "s")
			case 1:
				v[name] = rapid.Bool().Draw(t, "b")
			case 2:
				v[name] = rapid.Int64Range(-(1<<53), 1<<53).Draw(t, "n")
			case 3:
				v[name] = rapid.SliceOf(rapid.String()).Draw(t, "l")
			}
		}
		b, err := v.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseValues(b)
		if err != nil {
			t.Fatalf("ParseValues(%s): %v", b, err)
		}
		again, err := back.Canonical()
		if err != nil || string(again) != string(b) {
			t.Fatalf("round trip %s became %s, %v", b, again, err)
		}
		if diff := cmp.Diff(len(v), len(back)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestDates(t *testing.T) {
	for _, s := range []string{"", "48", "1948-13", "1948-02-30", "1948-1-1", "0999", "1948-05-19T00:00", "2300"} {
		if _, ok := ParseDate(s); ok {
			t.Errorf("ParseDate(%q) accepts it", s)
		}
	}
	tests := []struct {
		a, b Date
		want bool
	}{{"1948", "1948-05-19", true}, {"1948-05-19", "1948", false}, {"1948-05", "1948-05-19", true}, {"1948-05-19", "1948-05-19", true}, {"", "1948", false}}
	for _, tt := range tests {
		if got := tt.a.Covers(tt.b); got != tt.want {
			t.Errorf("%q.Covers(%q) = %v; want %v", tt.a, tt.b, got, tt.want)
		}
	}
	compare := []struct {
		a    Date
		op   string
		b    Date
		want bool
	}{
		{"1948", "<", "1949-01-01", true},
		{"1948", "<", "1948-06-01", false},
		{"1948", ">", "1947-12-31", true},
		{"1948", "<=", "1948", true},
		{"2010-05-01", ">=", "2010", false},
		{"2011", ">=", "2010-12-31", true},
		{"1948", "=", "1948-05-19", true},
	}
	for _, tt := range compare {
		if got := compareDates(tt.a, tt.op, tt.b); got != tt.want {
			t.Errorf("%s %s %s = %v; want %v", tt.a, tt.op, tt.b, got, tt.want)
		}
	}
}

func TestSameText(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"Nguyễn Thị Hoà", "nguyễn thị Hòa", true},
		{"Thuỷ", "Thủy", true},
		{"Lan", "Lân", false},
		{"Hoa", "Hoà", false},
		{"Đà  Lạt", "Đà Lạt", true},
		{"Da Lat", "Đà Lạt", false},
	}
	for _, tt := range tests {
		if got := sameText(tt.a, tt.b); got != tt.want {
			t.Errorf("sameText(%q, %q) = %v; want %v", tt.a, tt.b, got, tt.want)
		}
	}
}
