package jcs

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCanonical(t *testing.T) {
	got, err := Canonicalise([]byte(`{"b": [1, true, null, "\u0111\u2028\u000f\n\/\\\""], "a": {"z": -1, "y": ""}}`))
	want := "{\"a\":{\"y\":\"\",\"z\":-1},\"b\":[1,true,null,\"đ\u2028\\u000f\\n/\\\\\\\"\"]}"
	if err != nil || string(got) != want {
		t.Errorf("Canonicalise = %s, %v; want %s", got, err, want)
	}
	for _, bad := range []string{`1.5`, `1e3`, `99999999999999999`, `{} {}`, `{`, ``} {
		if got, err := Canonicalise([]byte(bad)); err == nil {
			t.Errorf("Canonicalise(%q) = %s; want a refusal", bad, got)
		}
	}
	for _, bad := range []string{`{"a":1,"a":1}`, `{"b":1,"a":1}`, `{ "a":1}`, `{"a":"\u0061"}`} {
		if err := Check([]byte(bad)); err == nil {
			t.Errorf("Check(%s) accepts", bad)
		}
	}
}

func TestAppend(t *testing.T) {
	v := map[string]any{
		"s": "a\xffb", "n": int64(-MaxNumber), "l": []string{"x", "\t"}, "m": map[string]string{"b": "2", "a": "1"}, "z": nil, "t": true,
	}
	got, err := Append([]byte("> "), v)
	want := `> {"l":["x","\t"],"m":{"a":"1","b":"2"},"n":-9007199254740992,"s":"a` + "\uFFFD" + `b","t":true,"z":null}`
	if err != nil || string(got) != want {
		t.Errorf("Append = %s, %v; want %s", got, err, want)
	}
	for _, bad := range []any{int64(MaxNumber + 1), int64(-MaxNumber - 1), 1, 1.5, []int{1}, map[string]any{"a": []any{struct{}{}}}} {
		if got, err := Append(nil, bad); err == nil {
			t.Errorf("Append(%v) = %s; want a refusal", bad, got)
		}
	}
}

// FuzzCanonicalise holds the form to what it promises: it reads back as the same value and is its own canonical form.
func FuzzCanonicalise(f *testing.F) {
	f.Add([]byte(`{"b": [1, true, null, "\u0111\u2028\u000f\n\/\\\""], "a": {"z": -1, "y": "\ud800"}}`))
	f.Add([]byte(`{"a":1,"a":-0}`))
	f.Add([]byte("\"a\xff\""))
	f.Fuzz(func(t *testing.T, raw []byte) {
		canon, err := Canonicalise(raw)
		if err != nil {
			return
		}
		if err := Check(canon); err != nil {
			t.Errorf("Check(%q) = %v", canon, err)
		}
		if got, want := read(t, canon), read(t, raw); !cmp.Equal(got, want) {
			t.Errorf("%q reads %v, its canonical form %q reads %v", raw, want, canon, got)
		}
	})
}

func read(t *testing.T, b []byte) (v any) {
	t.Helper()
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
