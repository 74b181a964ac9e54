package directory

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pki"
)

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
	pub, err := in.SigningKey.Public()
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

// replaceServices makes the services of a node exactly those given. Several nodes of a member may offer the same
// service; what the last of them says about it counts.
func replaceServices(s *State, n Node, services []Service) error {
	for id, x := range s.Services {
		left := slices.DeleteFunc(slices.Clone(x.Providers()), func(node string) bool { return node == n.ID })
		switch {
		case len(left) == 0:
			delete(s.Services, id)
		case len(left) < len(x.Providers()):
			x.Nodes, x.Node = left, left[0]
			s.Services[id] = x
		}
	}
	for _, x := range services {
		x.Nodes, x.Node = []string{n.ID}, n.ID
		if other, taken := s.Services[x.ID]; taken {
			if !strings.HasPrefix(x.ID, n.Member+"/") || slices.Contains(other.Providers(), n.ID) {
				return errs.E(errs.Conflict, "directory.service_taken", fmt.Errorf("%s is offered by %s", x.ID, other.Node), "service", x.ID)
			}
			x.Nodes = append(x.Nodes, other.Providers()...)
			slices.Sort(x.Nodes)
			x.Node = x.Nodes[0]
		}
		if x.Kind != "rest" && x.Kind != "openapi" {
			return errs.E(errs.Invalid, "directory.service_invalid", nil, "service", x.ID)
		}
		x.Name, x.Description = orText(x.Name), orText(x.Description)
		s.Services[x.ID] = x
	}
	return nil
}

// subsystems lists what the nodes speak for, with the names and states the registry has.
func (s *State) subsystems() []Subsystem {
	var out []Subsystem
	seen := map[string]bool{}
	for _, n := range s.Nodes {
		for _, id := range n.Subsystems {
			if seen[id] {
				continue
			}
			seen[id] = true
			x := s.Subsystems[id]
			x.ID, x.Name = id, orText(x.Name)
			if x.State == "" {
				x.State = Registered
			}
			out = append(out, x)
		}
	}
	return out
}

func orText(t i18n.Text) i18n.Text {
	if t == nil {
		return i18n.Text{}
	}
	return t
}

// Renew implements [CenterAPI]: a new certificate for the node that signs with its current key. A new TLS key in the
// request replaces the old one, which peers accept for another day.
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
		old := n.TLSKeyID
		if err := c.certify(&n, csr, n.LinkURL); err != nil {
			return err
		}
		if n.TLSKeyID != old {
			n.OldTLSKeyIDs = slices.DeleteFunc(append(slices.Clone(n.OldTLSKeyIDs), old), func(id string) bool { return id == n.TLSKeyID })
			n.TLSChangedAt = c.now()
			s.Events = append(s.Events, Event{Name: "directory.key.changed", Actor: n.ID, Object: n.ID})
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
		n.LinkURL, n.Subsystems, n.LogKey, n.WitnessKey, n.AuditKey, n.WitnessURL = in.LinkURL, in.Subsystems, in.LogKey, in.WitnessKey, in.AuditKey, in.WitnessURL
		n.Capabilities = in.Capabilities
		if err := checkCapabilities(n.Capabilities); err != nil {
			return errs.E(errs.Invalid, "directory.request_malformed", err)
		}
		if len(in.Maintenance) > MaxMaintenance {
			return errs.E(errs.Invalid, "directory.maintenance_too_long", nil)
		}
		if n.Maintenance != in.Maintenance {
			s.Events = append(s.Events, Event{Name: "directory.node.maintenance", Actor: n.ID, Object: n.ID})
		}
		n.Maintenance = in.Maintenance
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
		for _, sig := range req.Signatures { // while one key follows another the old one is as good
			if other, err := n.validKey(sig.KeyID, c.now(), s.Revoked); err == nil {
				pub = other
			}
		}
		var any json.RawMessage
		if err := req.open(&any, domain, pub); err != nil {
			return err
		}
		return f(s, n)
	})
}
