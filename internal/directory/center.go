package directory

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pki"
)

const (
	// reissueAfter is the age at which the center signs the document anew though nothing changed.
	reissueAfter = 24 * time.Hour
	// certificateLifetime is that of node certificates; nodes renew at two thirds of it.
	certificateLifetime = pki.MaxNodeLifetime
	// requestSkew is how far the clock of a node may be off when it signs a request to the center.
	requestSkew = 5 * time.Minute
)

// Center owns the registry and signs the document. It is safe for concurrent use; the store keeps changes apart.
type Center struct {
	Instance string
	// URL is where nodes reach directoryapi, such as "http://127.0.0.1:7100".
	URL string
	// Key signs documents (Ed25519). NextKeys are announced so that a change of Key is believed.
	Key      crypto.Signer
	NextKeys []PublicKey
	CA       *pki.CA
	// Witnesses are outside the network; nodes that offer to cosign are added by themselves.
	Witnesses []Witness
	// OldRoots are PEM certificates of authorities whose node certificates are still in use.
	OldRoots []string
	TSA      []TSA
	Store    Store
	Now      func() time.Time

	waiters waiters
	// Capabilities are those that a policy may demand: what this release can do on the link.
	Capabilities []string
}

// AnchorID returns the key id that join tokens pin.
func (c *Center) AnchorID() string { return pki.KeyID(c.Key.Public()) }

func (c *Center) now() time.Time { return c.Now().UTC().Truncate(time.Microsecond) }

// change alters the registry and, when that alters the document, signs the next version in the same transaction.
func (c *Center) change(ctx context.Context, actor string, f func(s *State) error) error {
	return c.store(ctx, func(s *State) error {
		before := s.Head.Version
		if err := f(s); err != nil {
			return err
		}
		if err := c.publish(s, false); err != nil {
			return err
		}
		if s.Head.Version != before {
			s.Events = append(s.Events, Event{Name: "directory.published", Actor: actor, Object: s.Head.Hash})
		}
		for i := range s.Events {
			s.Events[i].Version, s.Events[i].At = s.Head.Version, storedMicros(c.now())
		}
		return nil
	})
}

// store changes the registry and tells those who wait for a new version when there is one.
func (c *Center) store(ctx context.Context, f func(*State) error) error {
	signed := false
	err := c.Store.Change(ctx, func(s *State) error {
		before := s.Head.Version
		err := f(s)
		signed = s.Head.Version != before
		return err
	})
	if err == nil && signed {
		c.waiters.wake()
	}
	return err
}

func storedMicros(t time.Time) int64 { return t.UnixMicro() }

// publish signs the next version when the content differs from the newest one, or always when force is set.
func (c *Center) publish(s *State, force bool) error {
	now := c.now()
	doc := c.document(s)
	if !force && s.Head.Version > 0 {
		old, _, err := c.anchor().Open(s.Head.Envelope)
		if err == nil && sameContent(old, doc) {
			return nil
		}
	}
	doc.Version, doc.Prev = s.Head.Version+1, s.Head.Hash
	doc.IssuedAt, doc.ExpiresAt = now.Unix(), now.Add(Lifetime).Unix()
	if err := doc.validate(); err != nil {
		return errs.E(errs.Invalid, "directory.document_invalid", err)
	}
	raw, err := doc.Canonical()
	if err != nil {
		return err
	}
	sig, err := sign(c.Key, domainDocument, raw)
	if err != nil {
		return err
	}
	env := Envelope{Document: raw, Signatures: []Signature{sig}}.Marshal()
	if len(env) > MaxDocument {
		return errs.E(errs.TooLarge, "directory.document_invalid", nil)
	}
	s.Head = Head{Version: doc.Version, Hash: Hash(raw), Envelope: env, IssuedAt: doc.IssuedAt, ExpiresAt: doc.ExpiresAt}
	return nil
}

// Skip raises the version by n and signs the document anew, for a center that was put back from a backup: others may hold
// versions that it no longer knows, and take none that is lower.
func (c *Center) Skip(ctx context.Context, actor string, n int64) error {
	return c.Store.Change(ctx, func(s *State) error {
		if s.Head.Version == 0 {
			return nil // nobody has anything of this center
		}
		s.Head.Version += n
		if err := c.publish(s, true); err != nil {
			return err
		}
		s.Events = append(s.Events, Event{Name: "directory.published", Actor: actor, Object: s.Head.Hash, Version: s.Head.Version, At: storedMicros(c.now())})
		return nil
	})
}

func (c *Center) anchor() Anchor { return Anchor{Instance: c.Instance, KeyIDs: []string{c.AnchorID()}} }

// sameContent compares two documents apart from what every issue changes.
func sameContent(a, b *Document) bool {
	x, y := *a, *b
	x.Version, x.Prev, x.IssuedAt, x.ExpiresAt = 0, "", 0, 0
	y.Version, y.Prev, y.IssuedAt, y.ExpiresAt = 0, "", 0, 0
	xb, err1 := x.Canonical()
	yb, err2 := y.Canonical()
	return err1 == nil && err2 == nil && string(xb) == string(yb)
}

// document builds the document's content from the registry.
func (c *Center) document(s *State) *Document {
	d := &Document{
		Instance: c.Instance, CenterURL: c.URL, Members: []Member{}, Nodes: []Node{}, Services: []Service{}, Revoked: []string{},
		CA: append([]string{string(pki.EncodePEM(c.CA.Cert))}, c.OldRoots...), TSA: orEmpty(c.TSA),
		Subsystems: []Subsystem{}, Groups: []Group{}, Witnesses: append([]Witness{}, c.Witnesses...), Policy: s.Policy,
	}
	if pub, ok := c.Key.Public().(ed25519.PublicKey); ok {
		d.DirectoryKeys = append([]PublicKey{NewPublicKey(pub, 0, 0)}, c.NextKeys...)
	}
	for _, m := range s.Members {
		d.Members = append(d.Members, m)
	}
	for _, n := range s.Nodes {
		n.Subsystems, n.Keys = orEmpty(n.Subsystems), orEmpty(n.Keys)
		n.OldTLSKeyIDs, n.Successions = orEmpty(n.OldTLSKeyIDs), orEmpty(n.Successions)
		if n.State == "" {
			n.State = Registered
		}
		node := n.Node
		if !n.NotAfter.IsZero() {
			node.CertificateEnds = n.NotAfter.Unix()
		}
		d.Nodes = append(d.Nodes, node)
		if _, gone := s.Revoked[n.TLSKeyID]; !gone && n.State == Registered && n.WitnessKey != "" && n.WitnessURL != "" {
			d.Witnesses = append(d.Witnesses, Witness{Node: n.ID, Key: n.WitnessKey, URL: n.WitnessURL})
		}
	}
	for _, x := range s.Services {
		if x.Ended(c.now()) {
			continue
		}
		x.Nodes = x.Providers()
		d.Services = append(d.Services, x)
	}
	d.Subsystems = append(d.Subsystems, s.subsystems()...)
	for _, g := range s.Groups {
		d.Groups = append(d.Groups, g)
	}
	for id := range s.Revoked {
		d.Revoked = append(d.Revoked, id)
	}
	d.sort()
	return d
}

// Refresh signs a new version when the newest is a day old; the node calls it hourly.
func (c *Center) Refresh(ctx context.Context) error {
	return c.store(ctx, func(s *State) error {
		c.retire(s)
		due := s.Head.Version == 0 || c.now().Sub(time.Unix(s.Head.IssuedAt, 0)) >= reissueAfter
		return c.publish(s, due)
	})
}

// AddMember adds an organisation or changes its name.
func (c *Center) AddMember(ctx context.Context, actor string, m Member) error {
	id := m.ID(c.Instance)
	m.Name = i18n.Text{"vi": i18n.NFC(strings.TrimSpace(m.Name["vi"])), "en": i18n.NFC(strings.TrimSpace(m.Name["en"]))}
	if validID(id, c.Instance, 3) != nil || m.Name["vi"] == "" {
		return errs.E(errs.Invalid, "directory.member_invalid", nil)
	}
	return c.change(ctx, actor, func(s *State) error {
		s.Members[id] = m
		s.Events = append(s.Events, Event{Name: "directory.member.added", Actor: actor, Object: id})
		return nil
	})
}

// CreateToken makes a one-time join token for a node of a member; member is "VN/GOV/H36", name "node1". The secret is
// in the returned text and nowhere else.
func (c *Center) CreateToken(ctx context.Context, actor, member, name string, ttl time.Duration) (token string, err error) {
	return c.Invite(ctx, actor, Invitation{Member: member, Server: name, Lifetime: ttl})
}

// Invitation is what an operator says about a node that shall join.
type Invitation struct {
	// Member is "VN/GOV/H36", Server the name of the node, such as "node1".
	Member, Server string
	// Lifetime of the token, at most [TokenLifetime].
	Lifetime time.Duration
	// Approval makes the join wait until an operator has compared the keys of the node.
	Approval bool
}

// Invite makes a one-time join token.
func (c *Center) Invite(ctx context.Context, actor string, inv Invitation) (token string, err error) {
	member, name, ttl := inv.Member, inv.Server, inv.Lifetime
	if ttl <= 0 || ttl > TokenLifetime {
		return "", errs.E(errs.Invalid, "directory.token_lifetime", nil, "hours", int(TokenLifetime.Hours()))
	}
	node := member + "/" + name
	if validID(node, c.Instance, 4) != nil {
		return "", errs.E(errs.Invalid, "directory.node_name_invalid", nil)
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	now := c.now()
	t := Token{
		ID: rand.Text(), Instance: c.Instance, Center: c.URL, Anchor: c.AnchorID(), Member: member, Node: node,
		Seed: base64.RawURLEncoding.EncodeToString(key.Seed()), Expires: now.Add(ttl).Unix(),
	}
	err = c.change(ctx, actor, func(s *State) error {
		if _, ok := s.Members[member]; !ok {
			return errs.E(errs.NotFound, "directory.member_unknown", nil, "member", member)
		}
		if _, ok := s.Nodes[node]; ok {
			return errs.E(errs.Conflict, "directory.node_exists", nil, "node", node)
		}
		s.Tokens[t.ID] = TokenRecord{
			ID: t.ID, Member: member, Node: node, PublicKey: NewPublicKey(pub, 0, 0).SPKI,
			CreatedAt: now, ExpiresAt: now.Add(ttl), CreatedBy: actor, Approval: inv.Approval,
		}
		s.Events = append(s.Events, Event{Name: "directory.token.created", Actor: actor, Object: node})
		return nil
	})
	if err != nil {
		return "", err
	}
	return t.String(), nil
}

// Document implements [CenterAPI].
func (c *Center) Document(ctx context.Context, hash, poll string) ([]byte, Current, error) {
	held, err := c.newest(ctx)
	if err != nil {
		return nil, Current{}, err
	}
	cur := Current{Hash: held.hash, At: c.now().Unix()}
	if cur.Sig, err = sign(c.Key, domainCurrent, cur.message()); err != nil {
		return nil, Current{}, err
	}
	if poll != "" {
		c.notePoll(ctx, held.doc, poll)
	}
	if hash == held.hash {
		return nil, cur, nil
	}
	return held.envelope, cur, nil
}

// NewPoll makes the sign of life that a node sends with its pull.
func NewPoll(node string, signing crypto.Signer, now time.Time) (string, error) {
	at := strconv.FormatInt(now.Unix(), 10)
	s, err := sign(signing, domainPoll, []byte(node+"\n"+at))
	return strings.Join([]string{node, at, s.KeyID, s.Sig}, ";"), err
}

func (c *Center) recent(unix int64) bool {
	d := c.now().Sub(time.Unix(unix, 0))
	return d < requestSkew && d > -requestSkew
}

// validKey returns a signing key of the node that is valid and not revoked: while one follows another there are two.
func (n NodeRecord) validKey(id string, now time.Time, revoked map[string]Revocation) (crypto.PublicKey, error) {
	k, ok := n.key(id)
	if _, gone := revoked[id]; !ok || gone || !k.ValidAt(now) {
		return nil, errs.E(errs.Denied, "directory.key_revoked", nil)
	}
	return k.Public()
}

// currentKey returns the node's newest signing key that is valid and not revoked.
func (n NodeRecord) currentKey(now time.Time, revoked map[string]Revocation) (crypto.PublicKey, error) {
	for _, k := range slices.Backward(n.Keys) {
		if _, gone := revoked[k.KeyID]; !gone && k.ValidAt(now) {
			return k.Public()
		}
	}
	return nil, errs.E(errs.Denied, "directory.key_revoked", nil)
}

// RevokeNode ends all keys of a node and takes its services from the catalogue. The node must join again, with new
// keys and under a new name, because evidence made with the old ones must stay checkable.
func (c *Center) RevokeNode(ctx context.Context, actor, node, reason string) error {
	return c.change(ctx, actor, func(s *State) error {
		n, ok := s.Nodes[node]
		if !ok {
			return errs.E(errs.NotFound, "directory.node_unknown", nil)
		}
		c.endKeys(s, n, reason)
		if l, ok := s.Leaves[node]; ok && l.State == Deleting { // decided otherwise
			n.Leaving, l.State, l.Answer, l.DecidedBy, l.DecidedAt = false, Failed, i18n.NFC(reason), actor, c.now().Unix()
			s.Leaves[node], s.Nodes[node] = l, n
		}
		if err := replaceServices(s, n.Node, nil); err != nil {
			return err
		}
		s.Events = append(s.Events, Event{Name: "directory.node.revoked", Actor: actor, Object: node})
		return nil
	})
}

// DeleteToken withdraws a join token that was not used.
func (c *Center) DeleteToken(ctx context.Context, actor, id string) error {
	return c.change(ctx, actor, func(s *State) error {
		t, ok := s.Tokens[id]
		if !ok || !t.UsedAt.IsZero() {
			return errs.E(errs.NotFound, "directory.token_unknown", nil)
		}
		delete(s.Tokens, id)
		delete(s.Requests, id)
		s.Events = append(s.Events, Event{Name: "directory.token.deleted", Actor: actor, Object: t.Node})
		return nil
	})
}

// State returns the registry for the administration pages.
func (c *Center) State(ctx context.Context) (*State, error) { return c.Store.View(ctx) }

// errNoDocument is answered by a store that holds none yet.
var errNoDocument = errors.New("no document has been signed yet")

// NoDocument is the error a store returns before the first document.
func NoDocument() error { return errs.E(errs.NotFound, "directory.no_document", errNoDocument) }

// FingerprintText is the form in which people compare a key id: groups of hexadecimal digits.
func FingerprintText(keyID string) string {
	b, err := base64.RawURLEncoding.DecodeString(keyID)
	if err != nil {
		return keyID
	}
	var out []string
	for x := range slices.Chunk([]byte(hex.EncodeToString(b)), 4) {
		out = append(out, string(x))
	}
	return strings.Join(out, " ")
}

// Fingerprint is the directory key as people compare it.
func (c *Center) Fingerprint() string { return FingerprintText(c.AnchorID()) }
