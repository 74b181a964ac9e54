package backup

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func identity(t testing.TB) *Identity {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func signer(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var contents = []struct {
	name   string
	data   string
	stream bool
}{
	{"manifest.json", `{"x":1}`, false},
	{"db/table", strings.Repeat("a row\n", 300_000), true},
	{"db/empty", "", true},
	{"db/empty2", "", true},
	{"logs/a/data-000000000000", strings.Repeat("entry", 100_000), false},
	{"keys/x.000001", "a name that looks like a piece", false},
	{"zero", "", false},
}

func write(t testing.TB, key crypto.Signer, recipients ...Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{Node: "VN/GOV/G22/node1", MadeAt: 1795300000, Release: "test"}, recipients, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contents {
		if !c.stream {
			if err := w.Add(c.name, int64(len(c.data)), strings.NewReader(c.data)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		s, err := w.Stream(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(s, iotest.HalfReader(strings.NewReader(c.data))); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read returns the parts, as far as they can be had.
func read(f *File, id *Identity) (names []string, parts map[string]string, err error) {
	parts = map[string]string{}
	c, err := f.Contents(id)
	if err != nil {
		return nil, nil, err
	}
	for {
		name, r, err := c.Next()
		if errors.Is(err, io.EOF) {
			return names, parts, nil
		}
		if err != nil {
			return names, parts, err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return names, parts, err
		}
		names = append(names, name)
		parts[name] = string(b)
	}
}

func TestWriteAndRead(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{signer(t), p256} {
		one, two := identity(t), identity(t)
		b := write(t, key, one.Recipient(), two.Recipient())
		if bytes.Contains(b, []byte("a row")) || bytes.Contains(b, []byte("manifest")) {
			t.Error("something is in clear")
		}
		f, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f.Header.Node != "VN/GOV/G22/node1" || f.Header.MadeAt != 1795300000 || f.Header.SignerID() == "" {
			t.Errorf("header %+v", f.Header)
		}
		for _, id := range []*Identity{one, two} {
			again, err := ParseIdentity("# of the safe\n\n" + id.String() + "\n")
			if err != nil {
				t.Fatal(err)
			}
			names, parts, err := read(f, again)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range contents {
				if names[i] != c.name || parts[c.name] != c.data {
					t.Errorf("part %d is %s with %d bytes, want %s with %d", i, names[i], len(parts[names[i]]), c.name, len(c.data))
				}
			}
			if len(names) != len(contents) {
				t.Errorf("parts %v", names)
			}
		}
		if _, _, err := read(f, identity(t)); !errors.Is(err, ErrNoKey) {
			t.Errorf("another key: %v", err)
		}
		c, err := f.Contents(one)
		if err != nil {
			t.Fatal(err)
		}
		for i := range contents { // parts that nobody reads are passed over
			if name, _, err := c.Next(); err != nil || name != contents[i].name {
				t.Fatalf("part %d = %s, %v", i, name, err)
			}
		}
	}
}

// TestDamage changes, cuts and lengthens a backup everywhere that matters; a reader with the key and one without must see it.
func TestDamage(t *testing.T) {
	id := identity(t)
	b := write(t, signer(t), id.Recipient())
	look := func(b []byte) (open, verified, readable error) {
		f, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return err, err, err
		}
		_, _, readable = read(f, id)
		return nil, f.Verify(t.Context()), readable
	}
	step := func(at int) int { // every part of what frames it, and some of what is in it
		if at < 1000 || at > len(b)-trailerSize {
			return 9
		}
		return 1 + len(b)/53
	}
	for at := 0; at < len(b); at += step(at) {
		changed := bytes.Clone(b)
		changed[at] ^= 1
		f, err := Open(bytes.NewReader(changed), int64(len(changed)))
		if err == nil {
			err = f.Verify(t.Context())
		}
		if err == nil {
			t.Errorf("a change at %d of %d is not seen", at, len(b))
		}
	}
	for _, n := range []int{0, 1, 17, 100, len(b) / 2, len(b) - trailerSize, len(b) - 1} {
		if _, verified, _ := look(b[:n]); verified == nil {
			t.Errorf("cut at %d of %d is not seen", n, len(b))
		}
		if n < trailerSize+18 {
			continue
		}
		// Somebody cuts it and puts the trailer behind: the seal shows it also to who looks at no signature.
		cut := append(bytes.Clone(b[:n-trailerSize]), b[len(b)-trailerSize:]...)
		if n == len(b) {
			continue
		}
		if _, verified, readable := look(cut); verified == nil || n > 2000 && readable == nil {
			t.Errorf("cut at %d with its trailer: %v, %v", n, verified, readable)
		}
	}
	if _, verified, _ := look(append(bytes.Clone(b), 0)); verified == nil {
		t.Error("a byte behind the end is not seen")
	}
	other := write(t, signer(t), id.Recipient())
	mixed := append(bytes.Clone(b[:len(b)-trailerSize]), other[len(other)-trailerSize:]...)
	if _, verified, _ := look(mixed); !errors.Is(verified, ErrSignature) {
		t.Errorf("the signature of another file: %v", verified)
	}
}

func TestRefusals(t *testing.T) {
	id := identity(t)
	if _, err := NewWriter(io.Discard, Header{}, nil, signer(t)); err == nil {
		t.Error("a backup for nobody")
	}
	w, err := NewWriter(io.Discard, Header{}, []Recipient{id.Recipient()}, signer(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a\\b", "a\nb", strings.Repeat("a", 600)} {
		if err := w.Add(name, 0, strings.NewReader("")); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	if err := w.Add("short", 10, strings.NewReader("abc")); err == nil {
		t.Error("a part that became shorter was taken")
	}
	for _, text := range []string{"", "hello", identityPrefix, identityPrefix + "AAAA", id.Recipient().String()} {
		if _, err := ParseIdentity(text); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
	for _, text := range []string{"", "hello", id.String(), recipientPrefix + "AAAA"} {
		if _, err := ParseRecipient(text); err == nil || strings.Contains(err.Error(), id.String()[30:]) {
			t.Errorf("%.20q is a recipient, or its secret is shown: %v", text, err)
		}
	}
}

// TestMemory writes and reads 200 MB.
func TestMemory(t *testing.T) {
	id := identity(t)
	const size = 200 << 20
	pr, pw := io.Pipe()
	go func() {
		w, err := NewWriter(pw, Header{}, []Recipient{id.Recipient()}, signer(t))
		if err == nil {
			err = w.Add("big", size, io.LimitReader(zeroes{}, size))
		}
		if err == nil {
			err = w.Close()
		}
		pw.CloseWithError(err)
	}()
	var peak uint64
	buf, n := make([]byte, 1<<20), 0
	for i := 0; ; i++ {
		k, err := pr.Read(buf)
		n += k
		if i%512 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < size || peak > 32<<20 {
		t.Errorf("%d bytes, %d MiB of memory", n, peak>>20)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// FuzzOpen opens files of others.
func FuzzOpen(f *testing.F) {
	id := identity(f)
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{Node: "n"}, []Recipient{id.Recipient()}, signer(f))
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(w.Add("a", 1, strings.NewReader("x")), w.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()-1])
	f.Add([]byte(magic + "\xff\xff\xff\xff" + strings.Repeat("x", 300)))
	f.Add(fmt.Appendf(nil, "%s\x00\x00\x00\x02{}%s\x00\x00%s", magic, endMagic, strings.Repeat("\x00", 236)))
	f.Fuzz(func(t *testing.T, in []byte) {
		file, err := Open(bytes.NewReader(in), int64(len(in)))
		if err != nil {
			return
		}
		_ = file.Verify(t.Context())  // it may be one of another run of this test
		names, _, _ := read(file, id) // whatever is in it, it stays below its folder
		for _, n := range names {
			if !goodName(n) {
				t.Errorf("part %q", n)
			}
		}
	})
}
