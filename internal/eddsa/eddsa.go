// Package eddsa checks Ed25519 signatures of keys that are seen again and again, as those of the nodes of a network are.
//
// Checking one takes R' = [s]B − [k]A. The standard library does that with 256 doublings, because it meets each key for the
// first time. For a key that came before, this package keeps a table of multiples of −A, so that R' is a sum of at most 128
// points with twelve doublings, which takes about half the time. What is accepted is exactly what [ed25519.Verify] accepts
// (RFC 8032 §5.1.7 without the cofactor, s below the order of the group, R compared byte by byte); tests and a fuzz target
// hold the two against each other, small orders and encodings that are not canonical included.
//
// Everything here is public, so nothing needs to take the same time for each value. Signing is left to the standard library.
package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"sync"

	"filippo.io/edwards25519"
)

const (
	// maxTables bounds the keys that have a table, of 20 KiB each.
	maxTables = 32
	// tableAfter is how often a key must come before it gets a table, which costs as much as a few checks save.
	tableAfter = 64
	// maxCounted bounds the keys that are counted.
	maxCounted = 1024
)

// Keys remembers the keys that come often. The zero value is ready to use, by many goroutines; nil remembers nothing.
type Keys struct {
	mu     sync.Mutex // guards all below
	clock  uint64
	tables map[[ed25519.PublicKeySize]byte]*known
	counts map[[ed25519.PublicKeySize]byte]int
}

type known struct {
	minus *table
	used  uint64
}

// Verify reports whether sig is a signature of msg by pub, as [ed25519.Verify] does.
func (k *Keys) Verify(pub ed25519.PublicKey, msg, sig []byte) bool {
	if k == nil || len(pub) != ed25519.PublicKeySize {
		return len(pub) == ed25519.PublicKeySize && ed25519.Verify(pub, msg, sig)
	}
	t := k.table([ed25519.PublicKeySize]byte(pub))
	if t == nil {
		return ed25519.Verify(pub, msg, sig)
	}
	return verify(t, pub, msg, sig)
}

// table returns the table of a key that came often enough, or nil.
func (k *Keys) table(pub [ed25519.PublicKeySize]byte) *table {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.clock++
	if t := k.tables[pub]; t != nil {
		t.used = k.clock
		return t.minus
	}
	if len(k.counts) >= maxCounted {
		clear(k.counts)
	}
	if k.counts == nil {
		k.counts, k.tables = map[[ed25519.PublicKeySize]byte]int{}, map[[ed25519.PublicKeySize]byte]*known{}
	}
	k.counts[pub]++
	if k.counts[pub] < tableAfter {
		return nil
	}
	delete(k.counts, pub)
	a, err := new(edwards25519.Point).SetBytes(pub[:])
	if err != nil {
		return nil // no point of the curve; the standard library refuses it too
	}
	if len(k.tables) >= maxTables {
		k.forgetOne()
	}
	t := newTable(a.Negate(a))
	k.tables[pub] = &known{t, k.clock}
	return t
}

// forgetOne drops the table that was not used for longest. The caller holds mu.
func (k *Keys) forgetOne() {
	var oldest [ed25519.PublicKeySize]byte
	at := k.clock
	for pub, t := range k.tables {
		if t.used < at {
			oldest, at = pub, t.used
		}
	}
	delete(k.tables, oldest)
}

// table holds [j·16^(4·i)]P for j from 1 to 8, in row i: small enough to stay in the processor's cache, with a fourth of the
// rows that a table without any doubling needs.
type table [digitsOfScalar / steps][8]edwards25519.Point

const (
	digitsOfScalar = 64
	// steps is how many digits share a row. Four doublings of the whole sum lie between one of them and the next.
	steps = 4
)

func newTable(p *edwards25519.Point) *table {
	t := new(table)
	next := new(edwards25519.Point).Set(p)
	for i := range t {
		t[i][0].Set(next)
		for j := 1; j < len(t[i]); j++ {
			t[i][j].Add(&t[i][j-1], next)
		}
		for range 4 * steps {
			next.Double(next)
		}
	}
	return t
}

// base is the table of the group's generator.
var base = sync.OnceValue(func() *table { return newTable(edwards25519.NewGeneratorPoint()) })

// addDigits adds to v the multiples that every fourth digit from the given one on stands for.
func (t *table) addDigits(v *edwards25519.Point, d *[digitsOfScalar]int8, from int) {
	for i := range t {
		switch n := d[steps*i+from]; {
		case n > 0:
			v.Add(v, &t[i][n-1])
		case n < 0:
			v.Subtract(v, &t[i][-n-1])
		}
	}
}

// sum returns [s]P + [k]Q of the points of two tables.
func sum(p *table, s *edwards25519.Scalar, q *table, k *edwards25519.Scalar) *edwards25519.Point {
	ds, dk := digits(s), digits(k)
	v := edwards25519.NewIdentityPoint()
	for step := steps - 1; ; step-- {
		p.addDigits(v, &ds, step)
		q.addDigits(v, &dk, step)
		if step == 0 {
			return v
		}
		for range 4 {
			v.Double(v)
		}
	}
}

// digits writes s to the base 16 with digits from −8 to 8. A reduced scalar is below 2^253, so the last one needs no carry.
func digits(s *edwards25519.Scalar) (d [digitsOfScalar]int8) {
	for i, v := range s.Bytes() {
		d[2*i], d[2*i+1] = int8(v&15), int8(v>>4)
	}
	for i := range digitsOfScalar - 1 {
		carry := (d[i] + 8) >> 4
		d[i] -= carry << 4
		d[i+1] += carry
	}
	return d
}

func verify(minusA *table, pub, msg, sig []byte) bool {
	if len(sig) != ed25519.SignatureSize {
		return false
	}
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(sig[32:])
	if err != nil {
		return false
	}
	h := sha512.New()
	_, _ = h.Write(sig[:32])
	_, _ = h.Write(pub)
	_, _ = h.Write(msg)
	k, err := new(edwards25519.Scalar).SetUniformBytes(h.Sum(make([]byte, 0, sha512.Size)))
	if err != nil {
		return false
	}
	return bytes.Equal(sum(base(), s, minusA, k).Bytes(), sig[:32])
}
