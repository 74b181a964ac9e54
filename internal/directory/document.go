package directory

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"truc/internal/i18n"
	"truc/internal/jcs"
)

// Lifetime is how long a document is good for; the center signs a new one daily and at every change, so a node
// meets the end only when the center has been out of reach for a week.
const Lifetime = 7 * 24 * time.Hour

// MaxDocument bounds the bytes of an envelope that a node reads: 100 nodes and 10 000 services need about 5 MiB.
const MaxDocument = 16 << 20

// Document is what the network agrees on. It holds strings, integers and booleans only, so that its canonical
// form (RFC 8785) is simple; times are Unix seconds.
type Document struct {
	Instance string `json:"instance"`
	// Version only grows; a node refuses to go back.
	Version int64 `json:"version"`
	// Prev is the hex SHA-256 of the previous version's canonical bytes, empty for the first.
	Prev      string `json:"prev"`
	IssuedAt  int64  `json:"issued_at"`
	ExpiresAt int64  `json:"expires_at"`
	// CenterURL is where nodes pull from.
	CenterURL string `json:"center_url"`
	// DirectoryKeys are those whose signature makes the next version valid: the old set names the new.
	DirectoryKeys []PublicKey `json:"directory_keys"`
	Members       []Member    `json:"members"`
	Nodes         []Node      `json:"nodes"`
	Services      []Service   `json:"services"`
	// CA holds the PEM certificates that node certificates chain to.
	CA []string `json:"ca"`
	// Revoked lists key ids, of signing and of TLS keys, that are good for nothing from this version on.
	Revoked []string `json:"revoked"`
	TSA     []TSA    `json:"tsa"`
	// Subsystems describes the information systems that nodes speak for; one that no node names has no entry.
	Subsystems []Subsystem `json:"subsystems"`
	// Groups are the global groups that access rules may name.
	Groups []Group `json:"groups"`
	// Witnesses cosign the checkpoints of the nodes' logs.
	Witnesses []Witness `json:"witnesses"`
	Policy    Policy    `json:"policy"`
}

// Member is an organisation of the network.
type Member struct {
	Class string    `json:"class"`
	Code  string    `json:"code"`
	Name  i18n.Text `json:"name"`
	// Unit is the administrative unit a local authority governs ("68"), empty for ministries.
	Unit string `json:"unit"`
	// State is [Left] when the member has left the network; it stays in the document with its nodes, so that old evidence
	// can be checked.
	State Standing `json:"state,omitempty"`
}

// Node is one process of a member that talks over the link.
type Node struct {
	// ID is the server identifier, "VN/GOV/H36/node1".
	ID string `json:"id"`
	// Member is the owner, "VN/GOV/H36".
	Member string `json:"member"`
	// LinkURL is where other nodes reach it, "https://host:port".
	LinkURL string `json:"link_url"`
	// Subsystems are those this node may speak for, "VN/GOV/H36/onestop".
	Subsystems []string `json:"subsystems"`
	// TLSKeyID and Certificate (hex SHA-256 of the DER) name the channel key.
	TLSKeyID    string `json:"tls_key_id"`
	Certificate string `json:"certificate"`
	// CertificateEnds is when that certificate ends, in Unix seconds, so that every node can tell how its partners are; 0 in
	// documents of centers that do not say.
	CertificateEnds int64 `json:"certificate_ends,omitempty"`
	// Keys sign messages. Old ones stay, bounded by NotAfter, so that old evidence can be checked.
	Keys []PublicKey `json:"keys"`
	// LogKey verifies the checkpoints of the node's log (a note verifier key), WitnessKey its cosignatures.
	LogKey     string `json:"log_key"`
	WitnessKey string `json:"witness_key"`
	// AuditKey verifies the checkpoints of the log of readings of personal data, with which a citizen's receipt is
	// checked.
	AuditKey string `json:"audit_key"`
	// Maintenance is a notice to peers; empty in normal operation.
	Maintenance string `json:"maintenance"`
	// OldTLSKeyIDs are channel keys that are still accepted while a change of key spreads, see [Node.AcceptsTLS].
	OldTLSKeyIDs []string `json:"old_tls_key_ids"`
	// Successions say which signing key follows which, each signed by the one that goes.
	Successions []Succession `json:"successions"`
	// WitnessURL is where the node cosigns checkpoints of others; empty when it does not.
	WitnessURL string `json:"witness_url"`
	// Capabilities are what its release can do on the link, told by itself; none of a release that does not tell.
	Capabilities []string `json:"capabilities,omitempty"`
	// State is [Registered] or [Disabled]; empty is registered.
	State Standing `json:"state"`
	// Leaving: the node has asked to leave and the center's operator has yet to decide.
	Leaving bool `json:"leaving,omitempty"`
}

// Service is something a node offers.
type Service struct {
	// ID is "VN/GOV/G01/population/person"; Node is who serves it first, see [Service.Providers].
	ID   string    `json:"id"`
	Node string    `json:"node"`
	Name i18n.Text `json:"name"`
	// Kind is "rest" or "openapi".
	Kind        string    `json:"kind"`
	Description i18n.Text `json:"description"`
	// Public services appear in the catalogue that everybody may read.
	Public bool `json:"public"`
	// Personal services give personal data, so a call must state its purpose.
	Personal bool `json:"personal"`
	// Nodes are all that serve it, in order of their ids; Node is one of them.
	Nodes []string `json:"nodes"`
	// EndsAt is when it stops to be there, in Unix seconds, also if its node cannot say so any more; 0 for never.
	EndsAt int64 `json:"ends_at,omitempty"`
}

// Ended reports whether a service is over.
func (s *Service) Ended(now time.Time) bool { return s.EndsAt > 0 && now.Unix() >= s.EndsAt }

// TSA is a time-stamp authority the network accepts.
type TSA struct {
	URL string `json:"url"`
	// Certificate is its PEM certificate.
	Certificate string `json:"certificate"`
}

// ID returns "VN/GOV/H36".
func (m Member) ID(instance string) string { return instance + "/" + m.Class + "/" + m.Code }

// Canonical returns the bytes that are signed and hashed.
func (d *Document) Canonical() ([]byte, error) { return jcs.Marshal(d) }

// Hash returns the hex SHA-256 of canonical bytes.
func Hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Member returns the member with an id such as "VN/GOV/H36".
func (d *Document) Member(id string) (Member, bool) {
	for _, m := range d.Members {
		if m.ID(d.Instance) == id {
			return m, true
		}
	}
	return Member{}, false
}

// Node returns the node with an id.
func (d *Document) Node(id string) (Node, bool) {
	i, ok := slices.BinarySearchFunc(d.Nodes, id, func(n Node, id string) int { return strings.Compare(n.ID, id) })
	if !ok {
		return Node{}, false
	}
	return d.Nodes[i], true
}

// Service returns the published service with an id.
func (d *Document) Service(id string) (Service, bool) {
	i, ok := slices.BinarySearchFunc(d.Services, id, func(s Service, id string) int { return strings.Compare(s.ID, id) })
	if !ok {
		return Service{}, false
	}
	return d.Services[i], true
}

// NodesOf returns the nodes that speak for a subsystem; revoked and disabled ones do not, and nobody speaks for a
// disabled subsystem.
func (d *Document) NodesOf(subsystem string) []Node {
	if s, ok := d.Subsystem(subsystem); ok && s.State == Disabled {
		return nil
	}
	var out []Node
	for _, n := range d.Nodes {
		if slices.Contains(n.Subsystems, subsystem) && d.InForce(&n) {
			out = append(out, n)
		}
	}
	return out
}

// SigningKey returns the node and the key with an id, whether or not it is still valid, for evidence outlives keys.
func (d *Document) SigningKey(keyID string) (Node, PublicKey, bool) {
	for _, n := range d.Nodes {
		for _, k := range n.Keys {
			if k.KeyID == keyID {
				return n, k, true
			}
		}
	}
	return Node{}, PublicKey{}, false
}

// IsRevoked reports whether a key id is on the revocation list.
func (d *Document) IsRevoked(keyID string) bool { return slices.Contains(d.Revoked, keyID) }

// CAPool returns the certificates that node certificates chain to.
func (d *Document) CAPool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range d.CA {
		pool.AppendCertsFromPEM([]byte(c))
	}
	return pool
}

// sort puts every list into the order that look-ups rely on and that makes equal content equal bytes.
func (d *Document) sort() {
	sort.Slice(d.Members, func(i, j int) bool { return d.Members[i].ID("") < d.Members[j].ID("") })
	sort.Slice(d.Nodes, func(i, j int) bool { return d.Nodes[i].ID < d.Nodes[j].ID })
	sort.Slice(d.Services, func(i, j int) bool { return d.Services[i].ID < d.Services[j].ID })
	sort.Slice(d.Subsystems, func(i, j int) bool { return d.Subsystems[i].ID < d.Subsystems[j].ID })
	sort.Slice(d.Groups, func(i, j int) bool { return d.Groups[i].Code < d.Groups[j].Code })
	sort.Slice(d.Witnesses, func(i, j int) bool { return d.Witnesses[i].Node < d.Witnesses[j].Node })
	sort.Strings(d.Revoked)
}

var (
	segmentRE = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	keyIDRE   = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

// validID checks an identifier of n segments that begins with the instance.
func validID(id, instance string, n int) error {
	p := strings.Split(id, "/")
	if len(p) != n || p[0] != instance {
		return fmt.Errorf("identifier %q: want %d segments under %s", id, n, instance)
	}
	for _, s := range p {
		if !segmentRE.MatchString(s) || s == "." || s == ".." {
			return fmt.Errorf("identifier %q: segment %q", id, s)
		}
	}
	return nil
}

// validate checks what the rest of the program relies on: sorted unique ids, members of nodes, hosts of services.
func (d *Document) validate() error {
	if !segmentRE.MatchString(d.Instance) || d.Version < 1 || d.ExpiresAt <= d.IssuedAt || len(d.DirectoryKeys) == 0 {
		return errors.New("the document's head is incomplete")
	}
	for _, k := range d.DirectoryKeys {
		if _, err := k.Ed25519(); err != nil {
			return err
		}
	}
	members := map[string]bool{}
	for _, m := range d.Members {
		id := m.ID(d.Instance)
		if err := validID(id, d.Instance, 3); err != nil {
			return err
		}
		if members[id] {
			return fmt.Errorf("member %s twice", id)
		}
		if m.State != "" && m.State != Left {
			return fmt.Errorf("member %s: state %q", id, m.State)
		}
		members[id] = true
	}
	keys := map[string]string{}
	for i := range d.Nodes {
		n := &d.Nodes[i]
		if i > 0 && d.Nodes[i-1].ID >= n.ID {
			return fmt.Errorf("nodes are not in order at %s", n.ID)
		}
		if !members[n.Member] {
			return fmt.Errorf("node %s of an unknown member", n.ID)
		}
		if err := n.validate(d.Instance, keys); err != nil {
			return err
		}
	}
	for i, s := range d.Services {
		if i > 0 && d.Services[i-1].ID >= s.ID {
			return fmt.Errorf("services are not in order at %s", s.ID)
		}
		if err := validID(s.ID, d.Instance, 5); err != nil {
			return err
		}
		for _, id := range s.Providers() {
			n, ok := d.Node(id)
			if !ok || !slices.Contains(n.Subsystems, s.ID[:strings.LastIndexByte(s.ID, '/')]) {
				return fmt.Errorf("service %s is offered by a node that does not host its subsystem", s.ID)
			}
		}
	}
	return d.validateLists()
}

// validate checks a node; keys collects owners, because one key must never speak for two nodes.
func (n *Node) validate(instance string, keys map[string]string) error {
	if err := validID(n.ID, instance, 4); err != nil {
		return err
	}
	if n.Member != n.ID[:strings.LastIndexByte(n.ID, '/')] {
		return fmt.Errorf("node %s is not named after its member", n.ID)
	}
	if err := validLinkURL(n.LinkURL); err != nil {
		return fmt.Errorf("node %s: %w", n.ID, err)
	}
	for _, s := range n.Subsystems {
		if err := validID(s, instance, 4); err != nil {
			return err
		}
		if !strings.HasPrefix(s, n.Member+"/") {
			return fmt.Errorf("node %s speaks for a foreign subsystem %s", n.ID, s)
		}
	}
	if err := checkCapabilities(n.Capabilities); err != nil {
		return fmt.Errorf("node %s: %w", n.ID, err)
	}
	if !n.State.valid() {
		return fmt.Errorf("node %s: state %q", n.ID, n.State)
	}
	if err := n.validateSuccessions(instance); err != nil {
		return err
	}
	ids := append([]string{n.TLSKeyID}, n.OldTLSKeyIDs...)
	for _, k := range n.Keys {
		if _, err := k.Public(); err != nil {
			return err
		}
		ids = append(ids, k.KeyID)
	}
	for _, id := range ids {
		if !keyIDRE.MatchString(id) {
			return fmt.Errorf("node %s: key id %q", n.ID, id)
		}
		if keys[id] != "" {
			return fmt.Errorf("key %s is used by %s and %s", id, keys[id], n.ID)
		}
		keys[id] = n.ID
	}
	return nil
}

func validLinkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("link address %q is not https://host:port", s)
	}
	return nil
}

// decodeDocument reads canonical bytes; anything not canonical is refused, so one content has one hash. Fields it
// does not know are kept out but covered by the signature, so that a newer center may add some.
func decodeDocument(raw []byte) (*Document, error) {
	if err := jcs.Check(raw); err != nil {
		return nil, err
	}
	d := new(Document)
	if err := json.Unmarshal(raw, d); err != nil {
		return nil, err
	}
	return d, d.validate()
}
