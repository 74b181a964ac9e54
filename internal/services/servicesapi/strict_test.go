package servicesapi

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestStrict(t *testing.T) {
	for _, tt := range []struct {
		in string
		ok bool
	}{
		{`{"a":1,"b":{"a":[{"a":1},{"a":2}]},"c":[]}`, true},
		{`{}`, true},
		{`[]`, true},
		{`1`, true},
		{`{"a":{},"b":null}`, true},
		{`{"a":1,"a":1}`, false},
		{`{"a":{"b":1,"c":[1,{"d":1}],"b":2}}`, false},
		{`{"a":1,"\u0061":2}`, false},
		{`{"a":1`, false},
		{strings.Repeat("[", 32) + strings.Repeat("]", 32), true},
		{strings.Repeat("[", 33) + strings.Repeat("]", 33), false},
	} {
		if err := strict([]byte(tt.in)); (err == nil) != tt.ok {
			t.Errorf("strict(%.60s) = %v; want ok %v", tt.in, err, tt.ok)
		}
	}
}

func FuzzStrict(f *testing.F) {
	f.Add([]byte(`{"a":[{"b":1}],"c":null}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if strict(b) == nil && len(b) > 0 {
			var v any
			d := json.NewDecoder(strings.NewReader(string(b)))
			d.UseNumber()
			_ = d.Decode(&v) // what is let through must not make the decoder panic
		}
	})
}
