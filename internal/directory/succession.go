package directory

import (
	"crypto"
	"fmt"
	"slices"
	"time"

	"truc/internal/jcs"
)

const domainSuccession = "truc-directory-succession-v1\n"

// Succession says that one signing key of a node follows another. It is signed by the key that goes, so what was
// granted to that key may pass to the new one without asking anybody (spec D14).
type Succession struct {
	// From and To are key ids; both stay in the node's list of keys.
	From string `json:"from"`
	To   string `json:"to"`
	// At is when it was made, Unix seconds.
	At int64 `json:"at"`
	// Sig is by From.
	Sig string `json:"sig"`
}

func (s Succession) message(instance, node string) ([]byte, error) {
	return jcs.Marshal(struct {
		Instance string `json:"instance"`
		Node     string `json:"node"`
		From     string `json:"from"`
		To       string `json:"to"`
		At       int64  `json:"at"`
	}{instance, node, s.From, s.To, s.At})
}

// NewSuccession makes the statement with which old gives its place to the key to.
func NewSuccession(instance, node string, old crypto.Signer, to crypto.PublicKey, now time.Time) (Succession, error) {
	s := Succession{From: KeyID(old.Public()), To: KeyID(to), At: now.Unix()}
	msg, err := s.message(instance, node)
	if err != nil {
		return Succession{}, err
	}
	sig, err := sign(old, domainSuccession, msg)
	s.Sig = sig.Sig
	return s, err
}

// validateSuccessions checks that both keys of each statement belong to the node and that the old one signed it.
func (n *Node) validateSuccessions(instance string) error {
	for _, s := range n.Successions {
		from, ok := n.key(s.From)
		if _, known := n.key(s.To); !ok || !known || s.From == s.To {
			return fmt.Errorf("node %s: a succession names a key that is not the node's", n.ID)
		}
		pub, err := from.Public()
		if err != nil {
			return err
		}
		msg, err := s.message(instance, n.ID)
		if err != nil {
			return err
		}
		if err := verify(pub, domainSuccession, msg, Signature{KeyID: s.From, Sig: s.Sig}); err != nil {
			return fmt.Errorf("node %s: %w", n.ID, err)
		}
	}
	return nil
}

func (n *Node) key(id string) (PublicKey, bool) {
	i := slices.IndexFunc(n.Keys, func(k PublicKey) bool { return k.KeyID == id })
	if i < 0 {
		return PublicKey{}, false
	}
	return n.Keys[i], true
}

// Succeeds reports whether the signing key newID lawfully stands in the place of oldID: they are the same, or a chain
// of signed statements leads from one to the other. A revoked key has no successor, and none after it in the chain
// has either; a revoked key is nobody's successor.
func (d *Document) Succeeds(newID, oldID string) bool {
	n, _, ok := d.SigningKey(oldID)
	if !ok {
		return false
	}
	for steps := 0; steps <= len(n.Successions); steps++ {
		if d.IsRevoked(oldID) {
			return false
		}
		if oldID == newID {
			return true
		}
		i := slices.IndexFunc(n.Successions, func(s Succession) bool { return s.From == oldID })
		if i < 0 {
			return false
		}
		oldID = n.Successions[i].To
	}
	return false
}
