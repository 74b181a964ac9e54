package directory

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
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
	// OldRoots are PEM certificates of authorities whose node certificates are still in use.
	OldRoots []string
	TSA      []TSA
	Store    Store
	Now      func() time.Time
}

// AnchorID returns the key id that join tokens pin.
func (c *Center) AnchorID() string { return pki.KeyID(c.Key.Public()) }

func (c *Center) now() time.Time { return c.Now().UTC().Truncate(time.Microsecond) }

// change alters the registry and, when that alters the document, signs the next version in the same transaction.
func (c *Center) change(ctx context.Context, actor string, f func(s *State) error) error {
	return c.Store.Change(ctx, func(s *State) error {
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
	}
	if pub, ok := c.Key.Public().(ed25519.PublicKey); ok {
		d.DirectoryKeys = append([]PublicKey{NewPublicKey(pub, 0, 0)}, c.NextKeys...)
	}
	for _, m := range s.Members {
		d.Members = append(d.Members, m)
	}
	for _, n := range s.Nodes {
		n.Subsystems, n.Keys = orEmpty(n.Subsystems), orEmpty(n.Keys)
		d.Nodes = append(d.Nodes, n.Node)
	}
	for _, x := range s.Services {
		d.Services = append(d.Services, x)
	}
	for id := range s.Revoked {
		d.Revoked = append(d.Revoked, id)
	}
	d.sort()
	return d
}

// Refresh signs a new version when the newest is a day old; the node calls it hourly.
func (c *Center) Refresh(ctx context.Context) error {
	return c.Store.Change(ctx, func(s *State) error {
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
	t := Token{ID: rand.Text(), Instance: c.Instance, Center: c.URL, Anchor: c.AnchorID(), Member: member, Node: node,
		Seed: base64.RawURLEncoding.EncodeToString(key.Seed()), Expires: now.Add(ttl).Unix()}
	err = c.change(ctx, actor, func(s *State) error {
		if _, ok := s.Members[member]; !ok {
			return errs.E(errs.NotFound, "directory.member_unknown", nil, "member", member)
		}
		if _, ok := s.Nodes[node]; ok {
			return errs.E(errs.Conflict, "directory.node_exists", nil, "node", node)
		}
		s.Tokens[t.ID] = TokenRecord{ID: t.ID, Member: member, Node: node, PublicKey: NewPublicKey(pub, 0, 0).SPKI,
			CreatedAt: now, ExpiresAt: now.Add(ttl), CreatedBy: actor}
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
	env, newest, err := c.Store.Envelope(ctx)
	if err != nil {
		return nil, Current{}, err
	}
	cur := Current{Hash: newest, At: c.now().Unix()}
	if cur.Sig, err = sign(c.Key, domainCurrent, cur.message()); err != nil {
		return nil, Current{}, err
	}
	if poll != "" {
		c.notePoll(ctx, poll)
	}
	if hash == newest {
		env = nil
	}
	return env, cur, nil
}

// notePoll writes down a node's sign of life when it is genuine; a wrong one is of no consequence.
func (c *Center) notePoll(ctx context.Context, poll string) {
	p := strings.Split(poll, ";")
	if len(p) != 4 {
		return
	}
	at, err := strconv.ParseInt(p[1], 10, 64)
	if err != nil || !c.recent(at) {
		return
	}
	s, err := c.Store.View(ctx)
	if err != nil {
		return
	}
	n, ok := s.Nodes[p[0]]
	if !ok || c.now().Sub(n.LastSeen) < time.Minute {
		return
	}
	pub, err := n.currentKey(c.now(), s.Revoked)
	if err == nil && verify(pub, domainPoll, []byte(p[0]+"\n"+p[1]), Signature{KeyID: p[2], Sig: p[3]}) == nil {
		_ = c.Store.Touch(ctx, p[0], c.now()) // last seen is for people; a fault here must not fail the pull
	}
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

// currentKey returns the node's newest signing key that is valid and not revoked.
func (n NodeRecord) currentKey(now time.Time, revoked map[string]Revocation) (ed25519.PublicKey, error) {
	for _, k := range slices.Backward(n.Keys) {
		if _, gone := revoked[k.KeyID]; !gone && k.ValidAt(now) {
			return k.Ed25519()
		}
	}
	return nil, errs.E(errs.Denied, "directory.key_revoked", nil)
}

// Join implements [CenterAPI]. A token is approval given in advance; the same keys may ask again with it, because the
// node may have crashed before it kept the reply.
func (c *Center) Join(ctx context.Context, req Signed) (*Reply, error) {
	var peek struct {
		TokenID string `json:"token_id"`
	}
	if err := json.Unmarshal(req.Request, &peek); err != nil {
		return nil, errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	var reply Reply
	err := c.change(ctx, "system", func(s *State) error {
		t, ok := s.Tokens[peek.TokenID]
		if !ok {
			return errs.E(errs.Denied, "directory.token_unknown", nil)
		}
		in, csr, err := c.openJoin(t, req)
		if err != nil {
			return err
		}
		tlsKey := pki.KeyID(csr.PublicKey)
		if !t.UsedAt.IsZero() {
			if n, ok := s.Nodes[t.Node]; ok && t.TLSKeyID == tlsKey && t.SigningKeyID == in.SigningKey.KeyID {
				reply.Certificate = n.CertificatePEM
				return nil
			}
			return errs.E(errs.Conflict, "directory.token_used", nil)
		}
		if c.now().After(t.ExpiresAt) {
			return errs.E(errs.Denied, "directory.token_expired", nil)
		}
		n := NodeRecord{Node: Node{ID: t.Node, Member: t.Member, Keys: []PublicKey{in.SigningKey}}, JoinedAt: c.now(), LastSeen: c.now()}
		if err := c.certify(&n, csr, in.LinkURL); err != nil {
			return err
		}
		t.UsedAt, t.TLSKeyID, t.SigningKeyID = c.now(), tlsKey, in.SigningKey.KeyID
		s.Tokens[t.ID] = t
		n.LinkURL, n.Subsystems, n.LogKey, n.WitnessKey = in.LinkURL, in.Subsystems, in.LogKey, in.WitnessKey
		s.Nodes[n.ID] = n
		if err := replaceServices(s, n.Node, in.Services); err != nil {
			return err
		}
		s.Events = append(s.Events, Event{Name: "directory.node.joined", Actor: t.CreatedBy, Object: n.ID})
		reply.Certificate = n.CertificatePEM
		return nil
	})
	if err != nil {
		return nil, err
	}
	reply.Envelope, _, err = c.Store.Envelope(ctx)
	return &reply, err
}

// openJoin checks both signatures, by the token's key and by the key that is to be registered.
func (c *Center) openJoin(t TokenRecord, req Signed) (in JoinRequest, csr *x509.CertificateRequest, err error) {
	der, err := base64.StdEncoding.DecodeString(t.PublicKey)
	if err != nil {
		return in, nil, err
	}
	tokenKey, err := PublicKey{KeyID: SPKIKeyID(der), SPKI: t.PublicKey}.Ed25519()
	if err != nil {
		return in, nil, err
	}
	if err := req.open(&in, domainJoin, tokenKey); err != nil {
		return in, nil, err
	}
	pub, err := in.SigningKey.Ed25519()
	if err != nil {
		return in, nil, errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	if err := req.signedBy(pub, domainJoin); err != nil {
		return in, nil, errs.E(errs.Denied, "directory.signature_wrong", err)
	}
	if in.Instance != c.Instance || in.Node != t.Node || in.SigningKey.NotBefore != 0 || in.SigningKey.NotAfter != 0 {
		return in, nil, errs.E(errs.Denied, "directory.token_other_node", nil)
	}
	csr, err = parseCSR(in.CSR)
	if err != nil {
		return in, nil, errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	if pki.KeyID(csr.PublicKey) == in.SigningKey.KeyID {
		return in, nil, errs.E(errs.Invalid, "directory.keys_must_differ", nil)
	}
	return in, csr, nil
}

// certify issues the node's certificate and notes it.
func (c *Center) certify(n *NodeRecord, csr *x509.CertificateRequest, linkURL string) error {
	if err := validLinkURL(linkURL); err != nil {
		return errs.E(errs.Invalid, "directory.link_url_invalid", err)
	}
	u, err := url.Parse(linkURL)
	if err != nil {
		return errs.E(errs.Invalid, "directory.link_url_invalid", err)
	}
	p := strings.Split(n.ID, "/")
	cert, err := c.CA.IssueNode(csr.Raw, pki.NodeSubject{Instance: p[0], Class: p[1], Member: p[2], Server: p[3], Hosts: []string{u.Hostname()}},
		c.now(), certificateLifetime)
	if err != nil {
		return err
	}
	n.TLSKeyID, n.Certificate = pki.KeyID(cert.PublicKey), pki.Fingerprint(cert)
	n.CertificatePEM, n.NotAfter = string(pki.EncodePEM(cert)), cert.NotAfter.UTC()
	return nil
}

// replaceServices makes the services of a node exactly those given.
func replaceServices(s *State, n Node, services []Service) error {
	for id, x := range s.Services {
		if x.Node == n.ID {
			delete(s.Services, id)
		}
	}
	for _, x := range services {
		x.Node = n.ID
		if other, taken := s.Services[x.ID]; taken {
			return errs.E(errs.Conflict, "directory.service_taken", fmt.Errorf("%s is offered by %s", x.ID, other.Node), "service", x.ID)
		}
		if x.Kind != "rest" && x.Kind != "openapi" {
			return errs.E(errs.Invalid, "directory.service_invalid", nil, "service", x.ID)
		}
		x.Name, x.Description = orText(x.Name), orText(x.Description)
		s.Services[x.ID] = x
	}
	return nil
}

func orText(t i18n.Text) i18n.Text {
	if t == nil {
		return i18n.Text{}
	}
	return t
}

// Renew implements [CenterAPI]: a new certificate for the node that signs with its current key. A new TLS key in the
// request replaces the old one.
func (c *Center) Renew(ctx context.Context, req Signed) (*Reply, error) {
	var reply Reply
	err := c.signedChange(ctx, req, domainRenew, func(s *State, n NodeRecord) error {
		var in RenewRequest
		if err := decodeStrict(req.Request, &in); err != nil {
			return errs.E(errs.Invalid, "directory.request_malformed", err)
		}
		if in.Instance != c.Instance || !c.recent(in.CreatedAt) {
			return errs.E(errs.Denied, "directory.request_stale", nil)
		}
		csr, err := parseCSR(in.CSR)
		if err != nil {
			return errs.E(errs.Invalid, "directory.request_malformed", err)
		}
		if _, gone := s.Revoked[pki.KeyID(csr.PublicKey)]; gone {
			return errs.E(errs.Denied, "directory.key_revoked", nil)
		}
		if err := c.certify(&n, csr, n.LinkURL); err != nil {
			return err
		}
		n.LastSeen = c.now()
		s.Nodes[n.ID] = n
		s.Events = append(s.Events, Event{Name: "directory.node.renewed", Actor: n.ID, Object: n.ID})
		reply.Certificate = n.CertificatePEM
		return nil
	})
	if err != nil {
		return nil, err
	}
	reply.Envelope, _, err = c.Store.Envelope(ctx)
	return &reply, err
}

// Publish implements [CenterAPI].
func (c *Center) Publish(ctx context.Context, req Signed) ([]byte, error) {
	err := c.signedChange(ctx, req, domainServices, func(s *State, n NodeRecord) error {
		var in ServicesUpdate
		if err := decodeStrict(req.Request, &in); err != nil {
			return errs.E(errs.Invalid, "directory.request_malformed", err)
		}
		if in.Instance != c.Instance || !c.recent(in.CreatedAt/1e6) || in.CreatedAt <= n.PublishedAt {
			return errs.E(errs.Denied, "directory.request_stale", nil)
		}
		n.LinkURL, n.Subsystems, n.LogKey, n.WitnessKey = in.LinkURL, in.Subsystems, in.LogKey, in.WitnessKey
		n.PublishedAt, n.LastSeen = in.CreatedAt, c.now()
		s.Nodes[n.ID] = n
		s.Events = append(s.Events, Event{Name: "directory.services.published", Actor: n.ID, Object: n.ID})
		return replaceServices(s, n.Node, in.Services)
	})
	if err != nil {
		return nil, err
	}
	env, _, err := c.Store.Envelope(ctx)
	return env, err
}

// signedChange verifies that a request comes from a node of the network before it looks at anything else in it.
func (c *Center) signedChange(ctx context.Context, req Signed, domain string, f func(*State, NodeRecord) error) error {
	var peek struct {
		Node string `json:"node"`
	}
	if err := json.Unmarshal(req.Request, &peek); err != nil {
		return errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	return c.change(ctx, peek.Node, func(s *State) error {
		n, ok := s.Nodes[peek.Node]
		if !ok {
			return errs.E(errs.Denied, "directory.node_unknown", nil)
		}
		pub, err := n.currentKey(c.now(), s.Revoked)
		if err != nil {
			return err
		}
		var any json.RawMessage
		if err := req.open(&any, domain, pub); err != nil {
			return err
		}
		return f(s, n)
	})
}

// RevokeNode ends all keys of a node and takes its services from the catalogue. The node must join again, with new
// keys and under a new name, because evidence made with the old ones must stay checkable.
func (c *Center) RevokeNode(ctx context.Context, actor, node, reason string) error {
	return c.change(ctx, actor, func(s *State) error {
		n, ok := s.Nodes[node]
		if !ok {
			return errs.E(errs.NotFound, "directory.node_unknown", nil)
		}
		ids := []string{n.TLSKeyID}
		for _, k := range n.Keys {
			ids = append(ids, k.KeyID)
		}
		for _, id := range ids {
			if _, already := s.Revoked[id]; !already {
				s.Revoked[id] = Revocation{KeyID: id, Node: node, Reason: i18n.NFC(reason), At: c.now()}
			}
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

// fingerprintText is the form in which people compare a key id: groups of hexadecimal digits.
func fingerprintText(keyID string) string {
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
func (c *Center) Fingerprint() string { return fingerprintText(c.AnchorID()) }
