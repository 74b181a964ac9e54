package translog

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func receipts(t testing.TB, n int) (*Log, [][]byte) {
	t.Helper()
	l := mustOpen(t, testOptions(t.TempDir()))
	for i := range n {
		if _, err := l.Append(context.Background(), entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	out := make([][]byte, n)
	for i := range n {
		var err error
		if out[i], err = l.ReceiptExtra(int64(i), []byte("more")); err != nil {
			t.Fatal(err)
		}
	}
	return l, out
}

func TestReceiptRefusesEveryFlippedBit(t *testing.T) {
	l, all := receipts(t, 11)
	for i := range all {
		for pos := range all[i] {
			for bit := range 8 {
				b := bytes.Clone(all[i])
				b[pos] ^= 1 << bit
				v, err := VerifyReceipt(entry(i), b, l.VerifierKey())
				if err != nil {
					continue
				}
				// Only the extra line is not authenticated.
				if r, _ := ParseReceipt(b); v.Index != int64(i) || string(r.Extra) == "more" {
					t.Fatalf("receipt %d with bit %d of byte %d flipped was accepted", i, bit, pos)
				}
			}
		}
	}
}

func TestReceiptProvesNothingElse(t *testing.T) {
	l, all := receipts(t, 11)
	for name, f := range map[string]func() ([]byte, []byte, string){
		"another entry":  func() ([]byte, []byte, string) { return entry(4), all[3], l.VerifierKey() },
		"another key":    func() ([]byte, []byte, string) { return entry(3), all[3], vkeyOf(t, origin, 9) },
		"another origin": func() ([]byte, []byte, string) { return entry(3), all[3], vkeyOf(t, "truc/VN/H57/test", 1) },
		"no key":         func() ([]byte, []byte, string) { return entry(3), all[3], "" },
		"no entry":       func() ([]byte, []byte, string) { return nil, all[3], l.VerifierKey() },
		"carriage returns": func() ([]byte, []byte, string) {
			return entry(3), bytes.ReplaceAll(all[3], []byte("\n"), []byte("\r\n")), l.VerifierKey()
		},
		"a hash too many":   func() ([]byte, []byte, string) { return entry(3), insertHash(t, all[3], 1), l.VerifierKey() },
		"sixty-four hashes": func() ([]byte, []byte, string) { return entry(3), insertHash(t, all[3], 64), l.VerifierKey() },
		"too long": func() ([]byte, []byte, string) {
			return entry(3), append(bytes.Clone(all[3]), make([]byte, maxReceipt)...), l.VerifierKey()
		},
	} {
		e, r, vkey := f()
		if v, err := VerifyReceipt(e, r, vkey); err == nil {
			t.Errorf("%s: accepted as %+v", name, v)
		}
	}
}

func vkeyOf(t *testing.T, name string, b byte) string {
	t.Helper()
	s, err := newSigner(name, testKey(b))
	if err != nil {
		t.Fatal(err)
	}
	return s.vkey
}

func insertHash(t *testing.T, b []byte, n int) []byte {
	t.Helper()
	r, err := ParseReceipt(b)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		r.Hashes = append(r.Hashes, tlog.Hash{1})
	}
	return r.Marshal()
}

func TestCheckpointRefusesExtensionsAndBadNumbers(t *testing.T) {
	root := strings.Repeat("A", 43) + "="
	for _, text := range []string{
		"", "o\n", "o\n1\n", "o\n1\n" + root, "o\n01\n" + root + "\n", "o\n-1\n" + root + "\n", "o\n+1\n" + root + "\n",
		"o\n99999999999999999999\n" + root + "\n", "\n1\n" + root + "\n", "o\n1\n" + root + "\nextension\n", "o\n1\nAAAA\n",
		"o\n1\n" + strings.Repeat("A", 42) + "B=\n",
	} {
		if c, err := parseCheckpoint(text); err == nil {
			t.Errorf("parseCheckpoint(%q) = %+v, want an error", text, c)
		}
	}
	c, err := parseCheckpoint("o\n12\n" + root + "\n")
	if err != nil || c.Origin != "o" || c.Size != 12 {
		t.Errorf("parseCheckpoint = %+v, %v", c, err)
	}
}

func FuzzParseReceipt(f *testing.F) {
	l, all := receipts(f, 3)
	for _, b := range all {
		f.Add(b)
	}
	f.Add([]byte(proofHeader + "\nindex 0\n\nx"))
	vkey := l.VerifierKey()
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReceipt(b)
		if err != nil {
			return
		}
		if got := r.Marshal(); !bytes.Equal(got, b) {
			t.Errorf("Marshal(Parse(%q)) = %q", b, got)
		}
		if v, err := r.Verify([]byte("not in the log"), vkey); err == nil {
			t.Errorf("a foreign entry was accepted: %+v", v)
		}
	})
}

func FuzzVerifyCheckpoint(f *testing.F) {
	l, _ := receipts(f, 3)
	msg, err := l.Checkpoint()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg)
	vkey := l.VerifierKey()
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := VerifyCheckpoint(b, vkey)
		if err == nil && !strings.HasPrefix(string(b), c.text()+"\n") {
			t.Errorf("accepted %q as %+v", b, c)
		}
	})
}
