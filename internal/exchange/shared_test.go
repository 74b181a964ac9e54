package exchange

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// Every position of trees of many sizes: the root is the one that an independent implementation of RFC 6962 computes, and
// each path leads to it.
func TestTreePathsLeadToTheRoot(t *testing.T) {
	for n := 1; n <= 70; n++ {
		leaves := make([]treeHash, n)
		var stored []tlog.Hash
		for i := range leaves {
			base := fmt.Appendf(nil, "message %d of %d", i, n)
			leaves[i] = leafHash(string(base))
			more, err := tlog.StoredHashes(int64(i), base, tlog.HashReaderFunc(func(ids []int64) (out []tlog.Hash, _ error) {
				for _, id := range ids {
					out = append(out, stored[id])
				}
				return out, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, more...)
		}
		want, err := tlog.TreeHash(int64(n), tlog.HashReaderFunc(func(ids []int64) (out []tlog.Hash, _ error) {
			for _, id := range ids {
				out = append(out, stored[id])
			}
			return out, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		root, paths := treePaths(leaves)
		if root != treeHash(want) {
			t.Fatalf("root of %d leaves = %x, want %x", n, root, want)
		}
		for i, p := range paths {
			var flat []byte
			for _, h := range p {
				flat = append(flat, h[:]...)
			}
			if got, ok := foldPath(leaves[i], i, n, flat); !ok || got != root {
				t.Errorf("leaf %d of %d leads to %x, %v; want the root", i, n, got, ok)
			}
			if got, ok := foldPath(leaves[i], (i+1)%max(n, 2), n, flat); n > 1 && ok && got == root {
				t.Errorf("leaf %d of %d passes for its neighbour", i, n)
			}
			if _, ok := foldPath(leaves[i], i, n, append(flat, flat...)); len(flat) > 0 && ok {
				t.Errorf("leaf %d of %d: a path of twice the length passes", i, n)
			}
		}
	}
}

func testKeys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{algEd25519: ed, algP256: p256}
}

func TestBothKindsOfKeyAndOfSignature(t *testing.T) {
	for alg, key := range testKeys(t) {
		s, err := newSignatory(key)
		if err != nil {
			t.Fatal(err)
		}
		for _, shared := range []bool{false, true} {
			name := s.algorithm(shared)
			t.Run(name, func(t *testing.T) {
				v, err := s.value("a base", shared)
				if err != nil {
					t.Fatal(err)
				}
				if !verifyValue(key.Public(), s.keyID, name, "a base", v, nil) {
					t.Fatal("a genuine signature is refused")
				}
				if verifyValue(key.Public(), s.keyID, name, "another base", v, nil) {
					t.Error("a signature passes for another base")
				}
				for i := range v {
					bad := append([]byte(nil), v...)
					bad[i] ^= 1
					if verifyValue(key.Public(), s.keyID, name, "a base", bad, nil) {
						t.Errorf("byte %d changed: the signature still passes", i)
					}
				}
				other := algP256
				if alg == algP256 {
					other = algEd25519
				}
				if verifyValue(key.Public(), s.keyID, other, "a base", v, nil) || verifyValue(key.Public(), s.keyID, name+sharedSuffix, "a base", v, nil) {
					t.Error("the signature passes under another algorithm's name")
				}
				if verifyValue(key.Public(), s.keyID, name, "a base", v[:len(v)-1], nil) || verifyValue(key.Public(), s.keyID, name, "a base", nil, nil) {
					t.Error("a cut signature passes")
				}
			})
		}
	}
	if _, err := newSignatory(mustP384(t)); err == nil {
		t.Error("a P-384 key signs messages; want it refused")
	}
}

func mustP384(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Many sign in the same moment: each gets a value that stands alone, and there are fewer signatures than messages.
func TestSharedSignaturesOfManyStandAlone(t *testing.T) {
	key := testKeys(t)[algEd25519]
	counting := &countingKey{Signer: key}
	s, err := newSignatory(counting)
	if err != nil {
		t.Fatal(err)
	}
	const n = 600
	values := make([][]byte, n)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			v, err := s.value(fmt.Sprint("base ", i), true)
			if err != nil {
				t.Error(err)
			}
			values[i] = v
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	memory := &signatureMemory{}
	checked := 0
	for i, v := range values {
		base := fmt.Sprint("base ", i)
		if !verifyValue(key.Public(), s.keyID, algEd25519+sharedSuffix, base, v, nil) {
			t.Fatalf("message %d does not verify alone", i)
		}
		root, count, sig, err := openShared(base, v)
		if err != nil || count > maxShared {
			t.Fatalf("message %d: %d under one signature, %v", i, count, err)
		}
		memory.verify(rootKey{s.keyID, "x", root, count, [64]byte(sig)}, func() bool { checked++; return true })
	}
	if counting.n >= n/2 || checked != counting.n {
		t.Errorf("%d messages took %d signatures and %d verifications; want far fewer than messages, and as many verifications as signatures", n, counting.n, checked)
	}
}

type countingKey struct {
	crypto.Signer
	mu sync.Mutex
	n  int
}

func (c *countingKey) Sign(r io.Reader, d []byte, o crypto.SignerOpts) ([]byte, error) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	return c.Signer.Sign(r, d, o)
}

func TestRootMemoryIsBounded(t *testing.T) {
	m := &signatureMemory{}
	calls := 0
	for i := range 3 * maxRootMemory {
		m.verify(rootKey{count: i}, func() bool { calls++; return false })
	}
	if len(m.now)+len(m.last) > 2*maxRootMemory {
		t.Errorf("%d roots are remembered, want at most %d", len(m.now)+len(m.last), 2*maxRootMemory)
	}
	if m.verify(rootKey{count: 3*maxRootMemory - 1}, func() bool { calls++; return true }) {
		t.Error("a root that failed passes the second time")
	}
	if calls != 3*maxRootMemory {
		t.Errorf("%d verifications, want %d", calls, 3*maxRootMemory)
	}
}

// The value can be checked with a few lines and no code of ours: this is the recipe of ADR 0014, written out.
func TestSharedSignatureByHand(t *testing.T) {
	key := testKeys(t)[algEd25519]
	s, err := newSignatory(key)
	if err != nil {
		t.Fatal(err)
	}
	turns := []*sharedTurn{}
	for _, base := range []string{"one", "two", "three"} {
		turns = append(turns, &sharedTurn{leaf: leafHash(base), done: make(chan struct{})})
	}
	s.signTogether(turns)
	v := turns[2].value // the third of three: its only neighbour is the node over the first two
	leaf := sha256.Sum256([]byte("\x00three"))
	root := sha256.Sum256(append(append([]byte{1}, v[4:36]...), leaf[:]...))
	text := "truc-shared-signature/v1\n3\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"
	pub, _ := key.Public().(ed25519.PublicKey)
	if len(v) != 4+32+64 || v[1] != 2 || v[3] != 3 || !ed25519.Verify(pub, []byte(text), v[36:]) {
		t.Errorf("value %x does not check by hand", v)
	}
}

func FuzzSharedValue(f *testing.F) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	s, err := newSignatory(key)
	if err != nil {
		f.Fatal(err)
	}
	good, err := s.value("base", true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("base"), good)
	f.Add([]byte("base"), append([]byte{0, 1, 0, 2}, make([]byte, 96)...))
	f.Fuzz(func(t *testing.T, base, value []byte) {
		ok := verifyValue(key.Public(), s.keyID, algEd25519+sharedSuffix, string(base), value, nil)
		if ok && (string(base) != "base" || string(value) != string(good)) {
			t.Errorf("%x passes for %q", value, base)
		}
	})
}
