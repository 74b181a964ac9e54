package exchange

import (
	"crypto"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// signAgain is when a caller may ask again after the key could not sign.
const signAgain = 5 * time.Second

// signatory signs messages with one key. It is safe for concurrent use.
type signatory struct {
	key   crypto.Signer
	keyID string
	alg   string
	group gather[*sharedTurn]

	// broken is set while the last signature failed: a key in a device may be away.
	broken  atomic.Bool
	probing sync.Mutex // held by whoever tries a broken key
}

func newSignatory(key crypto.Signer) (*signatory, error) {
	alg, err := algOf(key.Public())
	if err != nil {
		return nil, err
	}
	s := &signatory{key: key, keyID: KeyID(key.Public()), alg: alg}
	s.group.most, s.group.run = maxShared, s.signTogether
	return s, nil
}

// algorithm is the name that goes into the signature's parameters.
func (s *signatory) algorithm(shared bool) string {
	if shared {
		return s.alg + sharedSuffix
	}
	return s.alg
}

// value signs a base: alone, or together with others that are ready in the same moment.
func (s *signatory) value(base string, shared bool) ([]byte, error) {
	if !shared {
		return s.sign([]byte(base))
	}
	t := &sharedTurn{leaf: leafHash(base), done: make(chan struct{})}
	s.group.add(t)
	<-t.done
	return t.value, t.err
}

// sharedTurn is one message's part in a shared signature; value and err are set before done is closed.
type sharedTurn struct {
	leaf  treeHash
	value []byte
	err   error
	done  chan struct{}
}

func (s *signatory) signTogether(turns []*sharedTurn) {
	leaves := make([]treeHash, len(turns))
	for i, t := range turns {
		leaves[i] = t.leaf
	}
	root, paths := treePaths(leaves)
	sig, err := s.sign(sharedText(root, len(turns)))
	for i, t := range turns {
		if t.err = err; err == nil {
			t.value = sharedValue(i, len(turns), paths[i], sig)
		}
		close(t.done)
	}
}

func (s *signatory) sign(msg []byte) ([]byte, error) {
	sig, err := signBytes(s.key, msg)
	s.broken.Store(err != nil)
	return sig, err
}

// usable reports whether the key signed when it was last asked, and asks it again if it did not. One asks, the others take
// no for an answer: a device that hangs must not hold every request.
func (s *signatory) usable() error {
	if !s.broken.Load() {
		return nil
	}
	if !s.probing.TryLock() {
		return errors.New("the signing key is being tried")
	}
	defer s.probing.Unlock()
	_, err := s.sign([]byte("is the signing key usable again?"))
	return err
}

// canSign refuses a request whose answer could not be signed, before the service hears of it.
func (x *exchangeState) canSign() *Fault {
	if err := x.s.signer.Load().usable(); err != nil {
		return x.cannotSign(atProvider, err)
	}
	return nil
}

func (x *exchangeState) cannotSign(prefix string, err error) *Fault {
	f := x.fault(prefix, "cannot_sign", err)
	f.RetryAfter = signAgain
	return f
}

// unableToSign reads the refusal of a peer that says that it cannot sign, and so could not sign that either. Nothing else is
// believed without a signature. This much may be: the channel has shown who says so, and a refusal gives nothing away.
func unableToSign(resp *WireResponse, hop string) *Fault {
	if resp.Header.Get("Signature") != "" || resp.Status != http.StatusServiceUnavailable || resp.Header.Get(HeaderError) != atProvider+"cannot_sign" {
		return nil
	}
	f := parseFault(atProvider+"cannot_sign", resp.Body, hop)
	f.RetryAfter = retryAfterOf(resp.Header)
	return f
}

// UseKey makes the service sign with another key from now on: the directory must name it for this node already
// (spec D35).
func (s *Service) UseKey(key crypto.Signer) error {
	next, err := newSignatory(key)
	if err != nil {
		return err
	}
	s.signer.Store(next)
	return nil
}

// KeyID returns the id of the key that signs now.
func (s *Service) KeyID() string { return s.signer.Load().keyID }
