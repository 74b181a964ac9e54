package exchange

import (
	"crypto"
)

// signatory signs messages with one key. It is safe for concurrent use.
type signatory struct {
	key   crypto.Signer
	keyID string
	alg   string
	group gather[*sharedTurn]
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
		return signBytes(s.key, []byte(base))
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
	sig, err := signBytes(s.key, sharedText(root, len(turns)))
	for i, t := range turns {
		if t.err = err; err == nil {
			t.value = sharedValue(i, len(turns), paths[i], sig)
		}
		close(t.done)
	}
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
