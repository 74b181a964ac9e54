package fakebank

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type vector struct {
	Name, Secret, Text, Hash, Query string
	Params                          Params
	Fields                          []string
}

func TestVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Signed, Joined []vector }
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Signed) == 0 || len(v.Joined) == 0 {
		t.Fatal("no vectors")
	}
	for _, x := range v.Signed {
		if got := x.Params.text(); got != x.Text {
			t.Errorf("%s: text = %s; want %s", x.Name, got, x.Text)
		}
		if got := Sign(x.Params, x.Secret); got != x.Hash {
			t.Errorf("%s: Sign = %s; want %s", x.Name, got, x.Hash)
		}
		p, err := parseParams(x.Query)
		if err != nil || !verify(p, x.Secret) || verify(p, x.Secret+"x") {
			t.Errorf("%s: the query does not verify: %v", x.Name, err)
		}
	}
	for _, x := range v.Joined {
		if got := mac(x.Params.joined(x.Fields), x.Secret); got != x.Hash {
			t.Errorf("%s: hash = %s; want %s", x.Name, got, x.Hash)
		}
	}
	for i, want := range [][]string{queryFields, queryAnswerFields, refundFields} {
		if diff := cmp.Diff(want, v.Joined[i].Fields); diff != "" {
			t.Errorf("%s: fields (-want +got):\n%s", v.Joined[i].Name, diff)
		}
	}
}

func TestParseParams(t *testing.T) {
	tests := []struct {
		raw  string
		want Params
		err  error
	}{
		{"vnp_A=1&lang=en&vnp_B=a+b%26", Params{"vnp_A": "1", "vnp_B": "a b&"}, nil},
		{"", Params{}, nil},
		{"vnp_A=1&vnp_A=1", nil, errTwice},
		{"vnp_A=%zz", nil, errMalformed},
		{"vnp_A=1;vnp_B=2", nil, errMalformed},
		{"vnp_A=%ff", nil, errMalformed},
		{"vnp_A=%00", nil, errMalformed},
		{"vnp_A%26=1", nil, errMalformed},
		{"vnp_A=" + string(make([]byte, 9000)), nil, errTooLong},
	}
	for _, tt := range tests {
		got, err := parseParams(tt.raw)
		if !errors.Is(err, tt.err) || !cmp.Equal(got, tt.want) {
			t.Errorf("parseParams(%.40q) = %v, %v; want %v, %v", tt.raw, got, err, tt.want, tt.err)
		}
	}
}

func TestAmount(t *testing.T) {
	for s, want := range map[string]int64{"2500000": 25000, "100": 1, "1000000000000000": maxAmount} {
		if got, ok := amount(s); !ok || got != want {
			t.Errorf("amount(%q) = %d, %v; want %d", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "0", "-100", "150", "01", "1e5", "100.00", "+100", "1000000000000100", "99999999999999999900"} {
		if got, ok := amount(s); ok {
			t.Errorf("amount(%q) = %d; want refused", s, got)
		}
	}
}

// FuzzParseParams: what is read can be written, signed and read again, and stays the same.
func FuzzParseParams(f *testing.F) {
	f.Add("vnp_Amount=2500000&vnp_OrderInfo=L%E1%BB%87+ph%C3%AD&vnp_SecureHash=00")
	f.Add("vnp_A=1&vnp_A=2")
	f.Add("vnp_=&vnp_B=%")
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parseParams(raw)
		if err != nil {
			return
		}
		if verify(p, "secret") {
			t.Fatal("a stranger's signature verifies")
		}
		again, err := parseParams(SignedQuery(p, "secret"))
		if len(raw) < 1000 && (err != nil || !verify(again, "secret")) {
			t.Fatalf("signed query of %q does not verify: %v", raw, err)
		}
		if err == nil && again.text() != p.text() {
			t.Fatalf("text changed: %q and %q", p.text(), again.text())
		}
	})
}
