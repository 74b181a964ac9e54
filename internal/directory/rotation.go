package directory

import (
	"context"
	"crypto"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/pki"
)

const (
	// Spread is how long a change of key is announced before the new key is used: every copy of the document that is
	// still [Fresh] knows it by then (spec D35).
	Spread = 10 * time.Minute
	// signingOverlap is how long the old signing key stays valid beside the new one: what it signed may be under way.
	signingOverlap = time.Hour
	// tlsOverlap is how long an old channel key is accepted after the change.
	tlsOverlap = 24 * time.Hour

	domainKey = "truc-directory-key-v1\n"
)

// KeyChange announces a node's next signing key. It is signed by the key in force and, to prove possession, by the new.
type KeyChange struct {
	Instance string `json:"instance"`
	Node     string `json:"node"`
	// Key is the new one; its NotBefore is when it takes over.
	Key PublicKey `json:"key"`
	// Succession is the old key's word, kept in the document for whoever granted something to it.
	Succession Succession `json:"succession"`
	CreatedAt  int64      `json:"created_at"`
}

// NewKeyChange makes the signed announcement that next takes over at the time from.
func NewKeyChange(instance, node string, old, next crypto.Signer, from, now time.Time) (Signed, error) {
	s, err := NewSuccession(instance, node, old, next.Public(), now)
	if err != nil {
		return Signed{}, err
	}
	return signRequest(KeyChange{
		Instance: instance, Node: node, Key: NewPublicKey(next.Public(), from.Unix(), 0), Succession: s, CreatedAt: now.Unix(),
	}, domainKey, old, next)
}

// ChangeKey implements [CenterAPI]: it publishes a node's next signing key and bounds the old one. Announcing the same key
// again changes nothing, because the node may not have heard the answer.
func (c *Center) ChangeKey(ctx context.Context, req Signed) ([]byte, error) {
	err := c.signedChange(ctx, req, domainKey, func(s *State, n NodeRecord) error {
		var in KeyChange
		if err := decodeStrict(req.Request, &in); err != nil {
			return errs.E(errs.Invalid, "directory.request_malformed", err)
		}
		if in.Instance != c.Instance || !c.recent(in.CreatedAt) {
			return errs.E(errs.Denied, "directory.request_stale", nil)
		}
		if _, known := n.key(in.Key.KeyID); known {
			return nil
		}
		pub, err := in.Key.Public()
		if err != nil {
			return errs.E(errs.Invalid, "directory.request_malformed", err)
		}
		if err := req.signedBy(pub, domainKey); err != nil {
			return errs.E(errs.Denied, "directory.signature_wrong", err)
		}
		from := time.Unix(in.Key.NotBefore, 0)
		if in.Key.NotAfter != 0 || from.Before(c.now()) || from.After(c.now().Add(24*time.Hour)) || in.Succession.To != in.Key.KeyID || in.Key.KeyID == n.TLSKeyID {
			return errs.E(errs.Invalid, "directory.request_malformed", nil)
		}
		old := slices.IndexFunc(n.Keys, func(k PublicKey) bool { return k.KeyID == in.Succession.From })
		if old < 0 {
			return errs.E(errs.Invalid, "directory.request_malformed", nil)
		}
		if _, gone := s.Revoked[in.Succession.From]; gone || !n.Keys[old].ValidAt(c.now()) {
			return errs.E(errs.Denied, "directory.key_revoked", nil)
		}
		if n.Keys[old].NotAfter != 0 { // it has given its place away already
			return errs.E(errs.Conflict, "directory.key_changing", nil)
		}
		n.Keys = slices.Clone(n.Keys)
		n.Keys[old].NotAfter = from.Add(signingOverlap).Unix()
		n.Keys = append(n.Keys, in.Key)
		n.Successions = append(slices.Clone(n.Successions), in.Succession)
		n.LastSeen = c.now()
		s.Nodes[n.ID] = n
		s.Events = append(s.Events, Event{Name: "directory.key.changed", Actor: n.ID, Object: n.ID})
		return nil
	})
	if err != nil {
		return nil, err
	}
	env, _, err := c.Store.Envelope(ctx)
	return env, err
}

// retire forgets channel keys whose change is over.
func (c *Center) retire(s *State) {
	for id, n := range s.Nodes {
		if len(n.OldTLSKeyIDs) > 0 && c.now().Sub(n.TLSChangedAt) > tlsOverlap {
			n.OldTLSKeyIDs = nil
			s.Nodes[id] = n
		}
	}
}

// AnnounceKey tells the center the node's next signing key, which takes over after [Spread], and returns when that is. A
// node whose copy is older than fresh changes no keys: nobody would learn of it in time (spec D29).
func (f *Follower) AnnounceKey(ctx context.Context, node string, old, next crypto.Signer) (from time.Time, err error) {
	if err := f.mayChangeKeys(); err != nil {
		return from, err
	}
	from = f.opt.Now().Add(Spread + time.Minute) // a minute for the way to the center
	req, err := NewKeyChange(f.instance(), node, old, next, from, f.opt.Now())
	if err != nil {
		return from, err
	}
	env, err := f.opt.Center.ChangeKey(ctx, req)
	if err != nil {
		return from, err
	}
	if err := f.Accept(env); err != nil {
		return from, err
	}
	k, err := f.announced(node, KeyID(next.Public()))
	return time.Unix(k.NotBefore, 0).UTC(), err
}

// announced returns a signing key of the node from the signed document.
func (f *Follower) announced(node, keyID string) (PublicKey, error) {
	if doc := f.Document(); doc != nil {
		if n, ok := doc.Node(node); ok {
			if k, ok := n.key(keyID); ok {
				return k, nil
			}
		}
	}
	return PublicKey{}, errs.E(errs.Denied, "directory.reply_refused", nil)
}

// TakesOver reports whether the document lets a signing key of the node sign now.
func (f *Follower) TakesOver(node, keyID string) bool {
	k, err := f.announced(node, keyID)
	return err == nil && k.ValidAt(f.opt.Now())
}

func (f *Follower) mayChangeKeys() error {
	if l := f.Status().Level; l != Fresh && l != Stale {
		return errs.E(errs.Unavailable, "directory.degraded", nil)
	}
	return nil
}

// RenewWith asks for a certificate for another channel key. Peers accept the old key beside the new one for a day, so
// the node goes on showing the old certificate for [Spread], until every fresh copy names the new key.
func (f *Follower) RenewWith(ctx context.Context, node string, signing, nextTLS crypto.Signer) (certPEM []byte, err error) {
	if err := f.mayChangeKeys(); err != nil {
		return nil, err
	}
	return f.renew(ctx, node, Keys{TLS: nextTLS, Signing: signing})
}

// UseKey makes the follower sign its signs of life with another key.
func (f *Follower) UseKey(signing crypto.Signer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opt.Signing = signing
}

func (f *Follower) signing() crypto.Signer {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.opt.Signing
}

// Alarm says how urgent it is that a certificate which should have been renewed is still the old one (spec D35).
type Alarm string

// The alarms, in the order in which they come. Renewal begins at two thirds of the lifetime, so the first alarm means
// that it has not succeeded yet.
const (
	NoAlarm        Alarm = ""
	AlarmThird     Alarm = "third"      // a third of its life is left
	AlarmSixth     Alarm = "sixth"      // a sixth is left
	AlarmThreeDays Alarm = "three_days" // three days are left
	AlarmEnded     Alarm = "ended"
)

// renewalGrace is how long a renewal may take before it counts as late: the node tries hourly.
const renewalGrace = 3 * time.Hour

// CertificateAlarm tells how a certificate stands at a time.
func CertificateAlarm(notBefore, notAfter, now time.Time) Alarm {
	life, left := notAfter.Sub(notBefore), notAfter.Sub(now)
	switch {
	case left <= 0:
		return AlarmEnded
	case left <= 3*24*time.Hour && life > 6*24*time.Hour:
		return AlarmThreeDays
	case left <= life/6:
		return AlarmSixth
	case left <= life/3-renewalGrace:
		return AlarmThird
	}
	return NoAlarm
}

// CertificateState is a node's certificate, for health and pages.
type CertificateState struct {
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Days      int       `json:"days"`
	Alarm     Alarm     `json:"alarm"`
}

// KeyStatus is what a node knows about its own keys and certificate.
type KeyStatus struct {
	Certificate CertificateState `json:"certificate"`
	// TLS and Signing are fingerprints; Alg is the algorithm of the signing key.
	TLS     string `json:"tls"`
	Signing string `json:"signing"`
	Alg     string `json:"alg"`
	// TLSLabel and SigningLabel name the keys in their device; empty for keys in files.
	TLSLabel     string `json:"tls_label,omitempty"`
	SigningLabel string `json:"signing_label,omitempty"`
	// NextSigning and NextTLS are zero unless a change is under way; then they say when the new key takes over.
	NextSigning time.Time `json:"next_signing"`
	NextTLS     time.Time `json:"next_tls"`
	// Maintenance is the notice to peers, empty in normal operation.
	Maintenance string `json:"maintenance"`
	// State is where the node stands in the network; Leaving says that it waits to be let go.
	State   Standing `json:"state"`
	Leaving bool     `json:"leaving"`
}

// OwnNode is a node as its own administrator rules it. Each act is audited before it happens.
type OwnNode interface {
	KeyStatus() (KeyStatus, error)
	// RotateSigning announces a new signing key, "ed25519" or "p256" or, with "", of the same kind; RotateTLS makes a new
	// channel key. Both return when the new key takes over.
	RotateSigning(ctx context.Context, actor, alg string) (time.Time, error)
	RotateTLS(ctx context.Context, actor string) (time.Time, error)
	// SetMaintenance tells peers why this node does not answer for a while; empty ends it.
	SetMaintenance(ctx context.Context, actor, notice string) error
	// Leave says something to the center about leaving the network, see [LeaveRequest].
	Leave(ctx context.Context, actor, act, reason string, whole bool) (*Leave, error)
}

// MaxMaintenance bounds the notice of a node in maintenance, in bytes.
const MaxMaintenance = 600

// StateOfCertificate reads a PEM certificate.
func StateOfCertificate(certPEM []byte, now time.Time) (CertificateState, error) {
	certs, err := pki.DecodePEM(certPEM)
	if err != nil {
		return CertificateState{}, err
	}
	c := certs[0]
	return CertificateState{
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Days: int(c.NotAfter.Sub(now).Hours() / 24), Alarm: CertificateAlarm(c.NotBefore, c.NotAfter, now),
	}, nil
}
