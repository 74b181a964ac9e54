package sealed

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

var testKey = bytes.Repeat([]byte{7}, keySize)

func seal(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := Encrypt(&b, testKey, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a closed writer took more")
	}
	return b.Bytes()
}

func open(b, key []byte, label string) ([]byte, error) {
	r, err := Decrypt(bytes.NewReader(b), key, label)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i / 251)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, Chunk - 1, Chunk, Chunk + 1, 2 * Chunk, 5*Chunk + 3} {
		b := seal(t, content(n))
		if got, err := open(b, testKey, "test"); err != nil || !bytes.Equal(got, content(n)) {
			t.Errorf("%d bytes = %d, %v", n, len(got), err)
		}
		r, err := Decrypt(iotest.OneByteReader(bytes.NewReader(b)), testKey, "test")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(iotest.HalfReader(r)); err != nil || !bytes.Equal(got, content(n)) {
			t.Errorf("%d bytes in small reads = %d, %v", n, len(got), err)
		}
	}
	if bytes.Equal(seal(t, content(5)), seal(t, content(5))) {
		t.Error("two files are alike")
	}
}

func TestChangedContentIsRefused(t *testing.T) {
	b := seal(t, content(3*Chunk))
	head, c := b[:headSize], func(i int) []byte { return b[headSize+i*sealedChunk:][:sealedChunk] }
	for name, bad := range map[string][]byte{
		"nothing": nil, "a head alone": head, "the last chunk gone": b[:headSize+2*sealedChunk], "a byte gone": b[:len(b)-1],
		"a byte more": append(bytes.Clone(b), 0), "a chunk more": append(bytes.Clone(b), c(2)...),
		"the first gone": bytes.Join([][]byte{head, c(1), c(2)}, nil), "two changed": bytes.Join([][]byte{head, c(1), c(0), c(2)}, nil),
		"one twice": bytes.Join([][]byte{head, c(0), c(0), c(1), c(2)}, nil), "the head of another": bytes.Join([][]byte{seal(t, nil)[:headSize], b[headSize:]}, nil),
	} {
		if got, err := open(bad, testKey, "test"); err == nil {
			t.Errorf("%s: read %d bytes", name, len(got))
		}
	}
	for at := range b {
		if at > headSize+100 && at < len(b)-100 && at%4099 != 0 {
			continue
		}
		bad := bytes.Clone(b)
		bad[at] ^= 1
		if _, err := open(bad, testKey, "test"); err == nil {
			t.Fatalf("a changed byte at %d was not noticed", at)
		}
	}
	if _, err := open(b, bytes.Repeat([]byte{8}, keySize), "test"); !errors.Is(err, ErrDamaged) {
		t.Errorf("another key: %v", err)
	}
	if _, err := open(b, testKey, "other"); !errors.Is(err, ErrDamaged) {
		t.Errorf("another label: %v", err)
	}
	if _, err := Encrypt(io.Discard, testKey[1:], "test"); err == nil {
		t.Error("a short key was taken")
	}
}

func TestCheckEnd(t *testing.T) {
	data, err := AEAD(testKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, Chunk, Chunk + 1, 2 * Chunk} {
		var b bytes.Buffer
		w := NewWriter(&b, data, []byte("ad"))
		if _, err := w.Write(content(n)); err != nil {
			t.Fatal(err)
		}
		if err := CheckEnd(bytes.NewReader(b.Bytes()), int64(b.Len()), data, []byte("ad")); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes without an end: %v", n, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := CheckEnd(bytes.NewReader(b.Bytes()), int64(b.Len()), data, []byte("ad")); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func FuzzDecrypt(f *testing.F) {
	f.Add(seal(f, []byte("x")))
	f.Add(seal(f, content(Chunk+1)))
	f.Add([]byte(magic))
	var good [][]byte
	for _, n := range []int{1, Chunk + 1} {
		good = append(good, content(n))
	}
	good = append(good, []byte("x"), nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := open(b, testKey, "test")
		if err != nil {
			return
		}
		for _, g := range good {
			if bytes.Equal(got, g) {
				return
			}
		}
		t.Errorf("read %d bytes that nobody sealed", len(got))
	})
}
