package directory

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/jcs"
	"truc/internal/pki"
)

// PendingJoin is a join request that an operator of the center decides on.
type PendingJoin struct {
	// TokenID names the token it was made with, and so the request.
	TokenID string `json:"token_id"`
	Node    string `json:"node"`
	Member  string `json:"member"`
	// TLSKeyID and SigningKeyID are the keys that proved possession; the operator compares them with the node's.
	TLSKeyID     string   `json:"tls_key_id"`
	SigningKeyID string   `json:"signing_key_id"`
	LinkURL      string   `json:"link_url"`
	Subsystems   []string `json:"subsystems"`
	// Digest is over what the operator decides on, so that nothing else can be approved than what was shown.
	Digest string `json:"digest"`
	// Request is the signed request as [Signed.Marshal] writes it; it is carried out when it is approved.
	Request []byte `json:"request"`
	// State is [Registering], [Registered] once approved, or [Failed] when declined.
	State   Standing `json:"state"`
	FiledAt int64    `json:"filed_at"`
	// DecidedBy is an account; DecidedAt and FiledAt are Unix seconds.
	DecidedBy string `json:"decided_by"`
	DecidedAt int64  `json:"decided_at"`
	Reason    string `json:"reason"`
}

// TLSFingerprint and SigningFingerprint are the keys as people compare them by telephone.
func (p PendingJoin) TLSFingerprint() string { return FingerprintText(p.TLSKeyID) }

// SigningFingerprint is the signing key as people compare it.
func (p PendingJoin) SigningFingerprint() string { return FingerprintText(p.SigningKeyID) }

// joinDigest hashes what a request asks for: everything but the time and the certificate request's random signature.
func joinDigest(in JoinRequest, tlsKeyID string) (string, error) {
	in.CreatedAt, in.CSR = 0, tlsKeyID
	b, err := jcs.Marshal(in)
	return Hash(b), err
}

// Join implements [CenterAPI]. A token is approval given in advance, unless it or the instance's policy demands an
// operator's decision; then the request waits and the node asks again. The same keys may ask again with a token that
// was used, because the node may have crashed before it kept the reply.
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
		if p, filed := s.Requests[t.ID]; filed && p.State == Failed {
			return errs.E(errs.Denied, "directory.join_declined", nil, "reason", p.Reason)
		}
		if c.now().After(t.ExpiresAt) {
			return errs.E(errs.Denied, "directory.token_expired", nil)
		}
		if t.Approval || s.Policy.Approval {
			reply.Pending = true
			return c.file(s, t, in, csr, req)
		}
		reply.Certificate, err = c.register(s, t, in, csr)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !reply.Pending {
		reply.Envelope, _, err = c.Store.Envelope(ctx)
	}
	return &reply, err
}

// file keeps a request for the operator. The first keys that ask with a token are the only ones that may.
func (c *Center) file(s *State, t TokenRecord, in JoinRequest, csr *x509.CertificateRequest, req Signed) error {
	tlsKey := pki.KeyID(csr.PublicKey)
	digest, err := joinDigest(in, tlsKey)
	if err != nil {
		return err
	}
	old, filed := s.Requests[t.ID]
	switch {
	case filed && (old.TLSKeyID != tlsKey || old.SigningKeyID != in.SigningKey.KeyID):
		return errs.E(errs.Conflict, "directory.token_used", nil)
	case filed && old.Digest == digest:
		return nil // asks how it stands
	}
	n := Node{ID: t.Node, Member: t.Member, Keys: []PublicKey{in.SigningKey}, TLSKeyID: tlsKey, LinkURL: in.LinkURL, Subsystems: in.Subsystems}
	if err := n.validate(c.Instance, map[string]string{}); err != nil {
		return errs.E(errs.Invalid, "directory.document_invalid", err) // said now rather than after days of waiting
	}
	s.Requests[t.ID] = PendingJoin{
		TokenID: t.ID, Node: t.Node, Member: t.Member, TLSKeyID: tlsKey, SigningKeyID: in.SigningKey.KeyID, LinkURL: in.LinkURL,
		Subsystems: orEmpty(in.Subsystems), Digest: digest, Request: req.Marshal(), State: Registering, FiledAt: c.now().Unix(),
	}
	s.Events = append(s.Events, Event{Name: "directory.join.requested", Actor: t.Node, Object: t.Node})
	return nil
}

// register makes the node a part of the network and returns its certificate.
func (c *Center) register(s *State, t TokenRecord, in JoinRequest, csr *x509.CertificateRequest) (certificate string, err error) {
	n := NodeRecord{Node: Node{ID: t.Node, Member: t.Member, Keys: []PublicKey{in.SigningKey}}, JoinedAt: c.now(), LastSeen: c.now()}
	if err := c.certify(&n, csr, in.LinkURL); err != nil {
		return "", err
	}
	t.UsedAt, t.TLSKeyID, t.SigningKeyID = c.now(), n.TLSKeyID, in.SigningKey.KeyID
	s.Tokens[t.ID] = t
	n.LinkURL, n.Subsystems, n.LogKey, n.WitnessKey, n.AuditKey, n.WitnessURL = in.LinkURL, in.Subsystems, in.LogKey, in.WitnessKey, in.AuditKey, in.WitnessURL
	n.Capabilities = in.Capabilities
	if err := checkCapabilities(n.Capabilities); err != nil {
		return "", errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	s.Nodes[n.ID] = n
	if err := replaceServices(s, n.Node, in.Services); err != nil {
		return "", err
	}
	s.Events = append(s.Events, Event{Name: "directory.node.joined", Actor: t.CreatedBy, Object: n.ID})
	return n.CertificatePEM, nil
}

// Approve admits the node of a waiting request. digest is the [PendingJoin.Digest] that the operator saw: when the
// node changed its request since, Conflict.
func (c *Center) Approve(ctx context.Context, actor, tokenID, digest string) error {
	return c.decide(ctx, actor, tokenID, func(s *State, p *PendingJoin) error {
		if p.Digest != digest {
			return errs.E(errs.Conflict, "directory.join_changed", nil)
		}
		t, ok := s.Tokens[tokenID]
		if !ok {
			return errs.E(errs.NotFound, "directory.token_unknown", nil)
		}
		if c.now().After(t.ExpiresAt) {
			return errs.E(errs.Conflict, "directory.token_expired", nil)
		}
		req, err := ParseSigned(p.Request)
		if err != nil {
			return err
		}
		in, csr, err := c.openJoin(t, req)
		if err != nil {
			return err
		}
		s.Events = append(s.Events, Event{Name: "directory.join.approved", Actor: actor, Object: p.Node})
		p.State = Registered
		_, err = c.register(s, t, in, csr)
		return err
	})
}

// Decline refuses a waiting request for good; the node is told the reason.
func (c *Center) Decline(ctx context.Context, actor, tokenID, reason string) error {
	return c.decide(ctx, actor, tokenID, func(s *State, p *PendingJoin) error {
		p.State, p.Reason = Failed, i18n.NFC(reason)
		s.Events = append(s.Events, Event{Name: "directory.join.declined", Actor: actor, Object: p.Node})
		return nil
	})
}

func (c *Center) decide(ctx context.Context, actor, tokenID string, f func(*State, *PendingJoin) error) error {
	return c.change(ctx, actor, func(s *State) error {
		p, ok := s.Requests[tokenID]
		if !ok || p.State != Registering {
			return errs.E(errs.NotFound, "directory.join_unknown", nil)
		}
		if err := f(s, &p); err != nil {
			return err
		}
		p.DecidedBy, p.DecidedAt = actor, c.now().Unix()
		s.Requests[tokenID] = p
		return nil
	})
}

// Waiting returns the join requests that wait for a decision, the oldest first; one whose token has ended waits no more.
func (s *State) Waiting(now time.Time) []PendingJoin {
	var out []PendingJoin
	for id, p := range s.Requests {
		if t, ok := s.Tokens[id]; ok && p.State == Registering && !now.After(t.ExpiresAt) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b PendingJoin) int {
		if a.FiledAt != b.FiledAt {
			return int(a.FiledAt - b.FiledAt)
		}
		if a.TokenID < b.TokenID {
			return -1
		}
		return 1
	})
	return out
}
