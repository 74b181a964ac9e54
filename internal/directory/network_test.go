package directory

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"
)

func TestDisabledSpeakForNobody(t *testing.T) {
	const sub = "VN/GOV/H36/onestop"
	d := testDocument()
	if len(d.NodesOf(sub)) != 1 {
		t.Fatal("the node does not host its subsystem")
	}
	d.Nodes[0].State = Disabled
	if len(d.NodesOf(sub)) != 0 {
		t.Error("a disabled node speaks for its subsystem")
	}
	d = testDocument()
	d.Subsystems[0].State = Disabled
	if len(d.NodesOf(sub)) != 0 {
		t.Error("somebody speaks for a disabled subsystem")
	}
	if !d.InGroup("provinces", sub) || d.InGroup("provinces", "VN/GOV/G01/x") || d.InGroup("ministries", sub) {
		t.Error("InGroup is wrong")
	}
}

func TestP256Keys(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pk := NewPublicKey(k.Public(), 0, 0)
	pub, err := pk.Public()
	if err != nil || !k.PublicKey.Equal(pub) {
		t.Errorf("Public = %v, %v", pub, err)
	}
	if _, err := pk.Ed25519(); err == nil {
		t.Error("a P-256 key passes for Ed25519")
	}
	sig, err := sign(k, domainPoll, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(pub, domainPoll, []byte("x"), sig); err != nil {
		t.Error(err)
	}
	if verify(pub, domainPoll, []byte("y"), sig) == nil || verify(pub, domainJoin, []byte("x"), sig) == nil {
		t.Error("the signature holds for something else")
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewPublicKey(other.Public(), 0, 0).Public(); err == nil {
		t.Error("P-384 was taken")
	}
}

func TestSuccession(t *testing.T) {
	d := testDocument()
	n := &d.Nodes[0]
	var keys []ed25519.PrivateKey
	n.Keys = nil
	for range 3 {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
		n.Keys = append(n.Keys, NewPublicKey(k.Public(), 0, 0))
	}
	id := func(i int) string { return n.Keys[i].KeyID }
	for i := range 2 {
		s, err := NewSuccession("VN", n.ID, keys[i], keys[i+1].Public(), time.Unix(100, 0))
		if err != nil {
			t.Fatal(err)
		}
		n.Successions = append(n.Successions, s)
	}
	if err := d.validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to, from int
		want     bool
	}{{0, 0, true}, {1, 0, true}, {2, 0, true}, {2, 1, true}, {0, 1, false}, {0, 2, false}} {
		if got := d.Succeeds(id(c.to), id(c.from)); got != c.want {
			t.Errorf("key %d after key %d: %v", c.to, c.from, got)
		}
	}
	d.Revoked = []string{id(1)}
	if d.Succeeds(id(1), id(0)) || d.Succeeds(id(2), id(0)) || d.Succeeds(id(2), id(1)) {
		t.Error("a revoked key stands in a chain")
	}
	d.Revoked = nil
	// A statement that somebody else made, or about something else, spoils the document.
	good := n.Successions[0]
	for name, bad := range map[string]Succession{
		"other time":   {From: good.From, To: good.To, At: 101, Sig: good.Sig},
		"other key":    {From: good.From, To: id(2), At: 100, Sig: good.Sig},
		"unknown key":  {From: good.From, To: d.DirectoryKeys[0].KeyID, At: 100, Sig: good.Sig},
		"turned round": {From: good.To, To: good.From, At: 100, Sig: good.Sig},
		"no signature": {From: good.From, To: good.To, At: 100},
	} {
		n.Successions[0] = bad
		if d.validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
