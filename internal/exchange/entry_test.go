package exchange

import (
	"bytes"
	"reflect"
	"strconv"
	"testing"

	"truc/internal/jcs"
)

// FuzzEntryEncode holds the entry's own writer to the general one, field by field: a field that were missing, or not in
// its place, would show.
func FuzzEntryEncode(f *testing.F) {
	for _, s := range []string{"", "a", `"x-road-id": "q\"\\`, "\x00\x1f\b\f\n\r\t\x7f", "Điều 15 <&>\u2028\u2029", "\xff\xc3(\xed\xa0\x80", "\ufffd"} {
		f.Add(s, int64(7))
	}
	f.Add("big", int64(1<<53))
	f.Add("too big", int64(1<<53+1))
	f.Add("too small", int64(-1<<53-1))
	f.Fuzz(func(t *testing.T, s string, n int64) {
		e := new(Entry)
		v := reflect.ValueOf(e).Elem()
		for i := range v.NumField() {
			if field := v.Field(i); field.Kind() == reflect.String {
				field.SetString(s + strconv.Itoa(i))
			} else {
				field.SetInt(n)
			}
		}
		want, wantErr := jcs.Marshal(e)
		got, err := e.encode()
		if len(want) > maxEntry {
			return
		}
		if (err != nil) != (wantErr != nil) || !bytes.Equal(got, want) {
			t.Errorf("encode = %s, %v\nwant     %s, %v", got, err, want, wantErr)
		}
	})
}
