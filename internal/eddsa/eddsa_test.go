package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"

	"filippo.io/edwards25519"
	"pgregory.net/rapid"
)

// both asks the standard library and the table, and fails when they differ.
func both(t interface {
	Helper()
	Errorf(format string, args ...any)
}, pub, msg, sig []byte,
) bool {
	t.Helper()
	want := ed25519.Verify(pub, msg, sig)
	a, err := new(edwards25519.Point).SetBytes(pub)
	if err != nil {
		if want {
			t.Errorf("the standard library takes the key %x, which is no point here", pub)
		}
		return false
	}
	if got := verify(newTable(a.Negate(a)), pub, msg, sig); got != want {
		t.Errorf("key %x, message %x, signature %x: %v, the standard library says %v", pub, msg, sig, got, want)
	}
	return want
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors are tests 1 to 3 of RFC 8032 §7.1.
func TestVectors(t *testing.T) {
	for _, v := range [][3]string{
		{
			"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
		},
		{
			"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
		},
		{
			"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
		},
	} {
		if !both(t, unhex(t, v[0]), unhex(t, v[1]), unhex(t, v[2])) {
			t.Errorf("the vector of %s is refused", v[0])
		}
	}
}

func TestAsTheStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := ed25519.NewKeyFromSeed(rapid.SliceOfN(rapid.Byte(), ed25519.SeedSize, ed25519.SeedSize).Draw(t, "seed"))
		pub := key.Public().(ed25519.PublicKey)
		msg := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "message")
		sig := ed25519.Sign(key, msg)
		if !both(t, pub, msg, sig) {
			t.Errorf("a good signature is refused")
		}
		pub, msg = slices.Clone(pub), append(slices.Clone(msg), 0)
		if both(t, pub, msg, sig) {
			t.Errorf("a signature of another message is taken")
		}
		msg = msg[:len(msg)-1]
		sig[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if both(t, pub, msg, sig) {
			t.Errorf("a changed signature is taken")
		}
		pub[rapid.IntRange(0, 31).Draw(t, "byte of the key")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit of the key")
		both(t, pub, msg, sig)
	})
}

// order is that of the group: 2^252 + 27742317777372353535851937790883648493.
func order() *big.Int {
	n, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	return n.Add(n, new(big.Int).Lsh(big.NewInt(1), 252))
}

func littleEndian(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

// TestLargeScalars takes signatures whose s was made larger by the order: the same equation, another text.
func TestLargeScalars(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	pub := key.Public().(ed25519.PublicKey)
	sig := ed25519.Sign(key, []byte("m"))
	s := slices.Clone(sig[32:])
	slices.Reverse(s)
	n := new(big.Int).SetBytes(s)
	for i := range 8 {
		if n.BitLen() > 256 {
			break
		}
		if got := both(t, pub, []byte("m"), append(slices.Clone(sig[:32]), littleEndian(n)...)); got != (i == 0) {
			t.Errorf("s + %d times the order: %v", i, got)
		}
		n.Add(n, order())
	}
	for _, edge := range []*big.Int{new(big.Int), big.NewInt(1), new(big.Int).Sub(order(), big.NewInt(1)), order()} {
		both(t, pub, []byte("m"), append(slices.Clone(sig[:32]), littleEndian(edge)...))
	}
}

// TestSmallOrders takes keys and points R of small order and of mixed order, in all encodings that can be decoded: there
// implementations of Ed25519 differ, and evidence must not depend on which one looks.
func TestSmallOrders(t *testing.T) {
	var small [][]byte
	p25519 := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	// An element of order 8 is what is left of a point when it is multiplied by the order of the large group.
	for seed := byte(1); len(small) == 0; seed++ {
		d := sha512.Sum512([]byte{seed})
		p, err := new(edwards25519.Point).SetBytes(d[:32])
		if err != nil {
			continue
		}
		l1, _ := new(edwards25519.Scalar).SetCanonicalBytes(littleEndian(new(big.Int).Sub(order(), big.NewInt(1))))
		q := new(edwards25519.Point).Add(new(edwards25519.Point).ScalarMult(l1, p), p)
		if new(edwards25519.Point).MultByCofactor(q).Equal(edwards25519.NewIdentityPoint()) != 1 {
			t.Fatal("the rest is not of small order")
		}
		four := new(edwards25519.Point).Add(q, q)
		if four.Add(four, four); four.Equal(edwards25519.NewIdentityPoint()) == 1 {
			continue // of order 4 or less
		}
		sum := edwards25519.NewIdentityPoint()
		for range 8 {
			small = append(small, sum.Bytes())
			sum.Add(sum, q)
		}
	}
	for _, y := range []int64{0, 1} { // y and the sign of x written otherwise than they should be
		b := littleEndian(new(big.Int).Add(p25519, big.NewInt(y)))
		high := slices.Clone(b)
		high[31] |= 0x80
		low := littleEndian(big.NewInt(y))
		low[31] |= 0x80
		small = append(small, b, high, low)
	}
	minus := littleEndian(new(big.Int).Sub(p25519, big.NewInt(1)))
	minus[31] |= 0x80
	small = append(small, minus)

	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	taken := 0
	for _, a := range small {
		for _, r := range small {
			for s := range int64(3) {
				for m := range 8 {
					if both(t, a, []byte{byte(m)}, append(slices.Clone(r), littleEndian(big.NewInt(s))...)) {
						taken++
					}
				}
			}
		}
	}
	if taken == 0 {
		t.Error("no key of small order is taken; the standard library takes some, so this test looks at nothing")
	}
	for _, r := range small { // an honest key with a part of small order
		whole, _ := new(edwards25519.Point).SetBytes(key.Public().(ed25519.PublicKey))
		if part, err := new(edwards25519.Point).SetBytes(r); err == nil {
			mixed := new(edwards25519.Point).Add(whole, part).Bytes()
			for m := range 16 {
				both(t, mixed, []byte{byte(m)}, ed25519.Sign(key, []byte{byte(m)}))
			}
		}
	}
}

func TestDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := new(edwards25519.Scalar).SetUniformBytes(rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "scalar"))
		if err != nil {
			t.Fatal(err)
		}
		sum := new(big.Int)
		d := digits(s)
		for i, v := range slices.Backward(d[:]) {
			if v < -8 || v > 8 {
				t.Fatalf("digit %d is %d", i, v)
			}
			sum.Add(sum.Lsh(sum, 4), big.NewInt(int64(v)))
		}
		if !bytes.Equal(littleEndian(sum), s.Bytes()) {
			t.Fatalf("digits of %x are worth %x", s.Bytes(), littleEndian(sum))
		}
	})
}

// TestKeys sees tables come, go, and never change what is said.
func TestKeys(t *testing.T) {
	var k Keys
	keys := make([]ed25519.PrivateKey, maxTables+8)
	for i := range keys {
		keys[i] = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for round := range tableAfter {
				for i, key := range keys {
					msg := fmt.Appendf(nil, "%d %d %d", g, round, i)
					sig := ed25519.Sign(key, msg)
					pub := key.Public().(ed25519.PublicKey)
					if !k.Verify(pub, msg, sig) {
						t.Errorf("key %d: a good signature is refused", i)
					}
					if sig[round%64] ^= 4; k.Verify(pub, msg, sig) {
						t.Errorf("key %d: a changed signature is taken", i)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := len(k.tables); n != maxTables {
		t.Errorf("%d tables, want %d", n, maxTables)
	}
	for i := range 3 * maxCounted {
		k.Verify(ed25519.NewKeyFromSeed(fmt.Appendf(nil, "%032d", i)).Public().(ed25519.PublicKey), nil, make([]byte, 64))
	}
	if n := len(k.counts); n > maxCounted {
		t.Errorf("%d keys are counted, want at most %d", n, maxCounted)
	}
	if k.Verify(nil, nil, nil) || k.Verify(make([]byte, 31), nil, make([]byte, 64)) || (*Keys)(nil).Verify(make([]byte, 3), nil, nil) {
		t.Error("a key of a wrong length is taken")
	}
	good := keys[0]
	if !(*Keys)(nil).Verify(good.Public().(ed25519.PublicKey), []byte("m"), ed25519.Sign(good, []byte("m"))) {
		t.Error("without a memory a good signature is refused")
	}
}

func FuzzVerify(f *testing.F) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	f.Add([]byte(key.Public().(ed25519.PublicKey)), []byte("m"), ed25519.Sign(key, []byte("m")))
	f.Add(make([]byte, 32), []byte{}, make([]byte, 64))
	f.Fuzz(func(t *testing.T, pub, msg, sig []byte) {
		if len(pub) == ed25519.PublicKeySize {
			both(t, pub, msg, sig)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	pub, msg := key.Public().(ed25519.PublicKey), make([]byte, 600)
	sig := ed25519.Sign(key, msg)
	b.Run("standard", func(b *testing.B) {
		for b.Loop() {
			if !ed25519.Verify(pub, msg, sig) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("table", func(b *testing.B) {
		var k Keys
		for range tableAfter {
			k.Verify(pub, msg, sig)
		}
		b.ReportAllocs()
		for b.Loop() {
			if !k.Verify(pub, msg, sig) {
				b.Fatal("refused")
			}
		}
	})
}
