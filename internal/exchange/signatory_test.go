package exchange

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// slowKey is a key in a device: it signs when it is let, and counts.
type slowKey struct {
	ed25519.PrivateKey
	before func() error
	signed atomic.Int64
}

func (k *slowKey) Sign(r io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := k.before(); err != nil {
		return nil, err
	}
	k.signed.Add(1)
	return k.PrivateKey.Sign(r, msg, opts)
}

func newSlowKey(t testing.TB, before func() error) (*slowKey, *signatory) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	k := &slowKey{PrivateKey: key, before: before}
	s, err := newSignatory(k)
	if err != nil {
		t.Fatal(err)
	}
	return k, s
}

// However slow a device is, what waits for it meanwhile is signed at once: 200 messages take a handful of signatures.
func TestSlowKeySharesItsSignatures(t *testing.T) {
	var waiting atomic.Int64
	all := make(chan struct{})
	k, s := newSlowKey(t, func() error { <-all; return nil })
	var done sync.WaitGroup
	for i := range 200 {
		done.Go(func() {
			base := fmt.Sprintf("message %d", i)
			waiting.Add(1)
			value, err := s.value(base, true)
			if err != nil || !verifyValue(k.Public(), s.keyID, s.algorithm(true), base, value, nil) {
				t.Errorf("%s: %v", base, err)
			}
		})
	}
	for waiting.Load() < 200 {
		time.Sleep(time.Millisecond)
	}
	close(all)
	done.Wait()
	if n := k.signed.Load(); n > 20 {
		t.Errorf("%d signatures for 200 messages", n)
	}
}

// A key that failed is tried by one request at a time, and is in use again after the first signature.
func TestKeyThatIsAway(t *testing.T) {
	k, s := newSlowKey(t, func() error { return errors.New("away") })
	if err := s.usable(); err != nil {
		t.Errorf("a key that was never asked: %v", err)
	}
	if _, err := s.value("x", true); err == nil {
		t.Error("signed")
	}
	if s.usable() == nil {
		t.Error("the key counts as usable")
	}
	tried, hang := make(chan struct{}), make(chan struct{})
	k.before = func() error { close(tried); <-hang; return nil }
	first := make(chan error)
	go func() { first <- s.usable() }()
	<-tried
	if s.usable() == nil { // it does not wait for the one that hangs
		t.Error("the key counts as usable while it hangs")
	}
	close(hang)
	if err := <-first; err != nil || s.usable() != nil {
		t.Errorf("the key is back: %v", err)
	}
}

// BenchmarkSlowKey signs 64 messages at a time with a key that takes two milliseconds, as security modules do: shared, and each
// by itself.
func BenchmarkSlowKey(b *testing.B) {
	for name, shared := range map[string]bool{"shared": true, "each": false} {
		b.Run(name, func(b *testing.B) {
			var one sync.Mutex // a device has no more hands
			_, s := newSlowKey(b, func() error {
				one.Lock()
				defer one.Unlock()
				time.Sleep(2 * time.Millisecond)
				return nil
			})
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.value("x", shared); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
