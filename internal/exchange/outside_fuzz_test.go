package exchange

import (
	"bytes"
	"testing"
)

// FuzzParseFault reads a peer's refusal: nothing that it says becomes another type, and what people may see of it is bounded.
func FuzzParseFault(f *testing.F) {
	f.Add("server.serverproxy.access_denied", []byte(`{"type":"server.serverproxy.access_denied","message":"m","detail":"d"}`))
	f.Add("server.serverproxy.service_disabled", []byte(`{"type":"server.serverproxy.service_disabled","message":"service disabled: closed\u0000 today"}`))
	f.Add("", []byte(`[`))
	f.Fuzz(func(t *testing.T, typ string, body []byte) {
		got := parseFault(typ, body, "VN/GOV/G01/node1")
		if got.Type != typ || got.Hop != "VN/GOV/G01/node1" {
			t.Errorf("type %q became %q at %q", typ, got.Type, got.Hop)
		}
		if n := len([]rune(got.Notice)); n > MaxNotice {
			t.Errorf("a notice of %d characters", n)
		}
		if got.Error() == "" || got.Status(true) < 400 || got.Status(false) < 400 {
			t.Errorf("a refusal with status %d", got.Status(true))
		}
	})
}

// FuzzDecodeEntry reads an entry of another's log: what is taken is written again to the same meaning.
func FuzzDecodeEntry(f *testing.F) {
	b, err := (&Entry{ExchangeID: "x", Direction: "request-out"}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"created":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		again, err := e.encode()
		if err != nil {
			return // a number or a text that no entry of ours holds
		}
		back, err := decodeEntry(again)
		if err != nil {
			t.Fatalf("what was written again is not read: %v\n%s", err, again)
		}
		third, err := back.encode()
		if err != nil || !bytes.Equal(again, third) {
			t.Errorf("%v\n%s\n%s", err, again, third)
		}
	})
}

// FuzzPurpose reads the purpose field of a request.
func FuzzPurpose(f *testing.F) {
	f.Add("prefill; basis=\"x\"")
	f.Add(purposeField("prefill", "Điều 15"))
	f.Fuzz(func(t *testing.T, s string) {
		activity, basis := ParsePurpose(s)
		a, b := ParsePurpose(purposeField(activity, basis))
		if a != activity || b != basis {
			t.Errorf("%q %q was written and read as %q %q", activity, basis, a, b)
		}
	})
}
