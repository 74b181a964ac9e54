package directoryapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
)

// operatorActor is written in the audit log for what comes with the operator's token.
const operatorActor = "operator"

// Overview is what the operator's command line shows of the registry. It holds no secrets.
type Overview struct {
	Instance string             `json:"instance"`
	Version  int64              `json:"version"`
	Members  []directory.Member `json:"members"`
	Nodes    []NodeOverview     `json:"nodes"`
	Pending  []PendingOverview  `json:"pending"`
	Groups   []directory.Group  `json:"groups"`
	Policy   directory.Policy   `json:"policy"`
}

// NodeOverview is a node with its state and the end of its certificate.
type NodeOverview struct {
	ID              string             `json:"id"`
	State           directory.Standing `json:"state"`
	LinkURL         string             `json:"link_url"`
	CertificateEnds time.Time          `json:"certificate_ends"`
	LastSeen        time.Time          `json:"last_seen"`
	Maintenance     string             `json:"maintenance"`
}

// PendingOverview is a join request as the operator compares it.
type PendingOverview struct {
	TokenID            string    `json:"token_id"`
	Node               string    `json:"node"`
	LinkURL            string    `json:"link_url"`
	Subsystems         []string  `json:"subsystems"`
	TLSFingerprint     string    `json:"tls_fingerprint"`
	SigningFingerprint string    `json:"signing_fingerprint"`
	Digest             string    `json:"digest"`
	FiledAt            time.Time `json:"filed_at"`
}

// Act is one act of the operator; which fields count depends on Do.
type Act struct {
	// Do is "member", "token", "approve", "decline", "revoke-node", "revoke-key", "disable", "enable", "group",
	// "group-delete" or "policy".
	Do string `json:"do"`
	// Member is a code ("H36") for "member", an identifier ("VN/GOV/H36") for "token".
	Member string `json:"member,omitempty"`
	Name   string `json:"name,omitempty"`
	NameEN string `json:"name_en,omitempty"`
	Unit   string `json:"unit,omitempty"`
	// Server names the new node, Hours its token's life, Approval whether its join waits.
	Server   string `json:"server,omitempty"`
	Hours    int    `json:"hours,omitempty"`
	Approval bool   `json:"approval,omitempty"`
	// TokenID and Digest name a join request as it was shown.
	TokenID string `json:"token_id,omitempty"`
	Digest  string `json:"digest,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Node    string `json:"node,omitempty"`
	KeyID   string `json:"key_id,omitempty"`
	// Group and Members are a global group's code and subsystems.
	Group   string            `json:"group,omitempty"`
	Members []string          `json:"members,omitempty"`
	Policy  *directory.Policy `json:"policy,omitempty"`
}

// Acted answers an act.
type Acted struct {
	// Token is the secret of a new join token; it is told once.
	Token string `json:"token,omitempty"`
}

// operated is what the operator's routes need beyond [directory.CenterAPI].
type operated interface {
	State(ctx context.Context) (*directory.State, error)
	AddMember(ctx context.Context, actor string, m directory.Member) error
	Invite(ctx context.Context, actor string, inv directory.Invitation) (string, error)
	Approve(ctx context.Context, actor, tokenID, digest string) error
	Decline(ctx context.Context, actor, tokenID, reason string) error
	RevokeNode(ctx context.Context, actor, node, reason string) error
	RevokeKey(ctx context.Context, actor, keyID, reason string) error
	DisableNode(ctx context.Context, actor, node string, disabled bool) error
	SetGroup(ctx context.Context, actor string, g directory.Group) error
	DeleteGroup(ctx context.Context, actor, code string) error
	SetPolicy(ctx context.Context, actor string, p directory.Policy) error
}

func (a *API) mountOperator(m *web.Mux) {
	c, ok := a.Center.(operated)
	if a.Operator == "" || !ok {
		return
	}
	m.HandleAPI("GET /directory/v1/operator", a.limit(a.operator(func(w http.ResponseWriter, r *http.Request) error { return a.overview(w, r, c) })))
	m.HandleAPI("POST /directory/v1/operator", a.limit(a.operator(func(w http.ResponseWriter, r *http.Request) error { return a.act(w, r, c) })))
}

// operator lets in who holds the token; comparing digests takes the same time wherever the difference is.
func (a *API) operator(h web.HandlerFunc) web.HandlerFunc {
	want := sha256.Sum256([]byte(a.Operator))
	return func(w http.ResponseWriter, r *http.Request) error {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(token))
		if !ok || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return errs.E(errs.Denied, "directory.operator_only", nil)
		}
		w.Header().Set("Cache-Control", "no-store")
		return h(w, r)
	}
}

func (a *API) overview(w http.ResponseWriter, r *http.Request, c operated) error {
	s, err := c.State(r.Context())
	if err != nil {
		return err
	}
	o := Overview{Version: s.Head.Version, Policy: s.Policy, Members: []directory.Member{}, Nodes: []NodeOverview{}, Pending: []PendingOverview{}, Groups: []directory.Group{}}
	for _, m := range s.Members {
		o.Members = append(o.Members, m)
	}
	slices.SortFunc(o.Members, func(x, y directory.Member) int { return strings.Compare(x.ID(""), y.ID("")) })
	for id, n := range s.Nodes {
		o.Instance, _, _ = strings.Cut(id, "/")
		o.Nodes = append(o.Nodes, NodeOverview{
			ID: id, State: s.StandingOf(n, a.Now()), LinkURL: n.LinkURL, CertificateEnds: n.NotAfter, LastSeen: n.LastSeen, Maintenance: n.Maintenance,
		})
	}
	slices.SortFunc(o.Nodes, func(x, y NodeOverview) int { return strings.Compare(x.ID, y.ID) })
	for _, p := range s.Waiting(a.Now()) {
		o.Pending = append(o.Pending, PendingOverview{
			TokenID: p.TokenID, Node: p.Node, LinkURL: p.LinkURL, Subsystems: p.Subsystems, TLSFingerprint: p.TLSFingerprint(),
			SigningFingerprint: p.SigningFingerprint(), Digest: p.Digest, FiledAt: time.Unix(p.FiledAt, 0).UTC(),
		})
	}
	for _, g := range s.Groups {
		o.Groups = append(o.Groups, g)
	}
	slices.SortFunc(o.Groups, func(x, y directory.Group) int { return strings.Compare(x.Code, y.Code) })
	return web.WriteJSON(w, http.StatusOK, o)
}

func (a *API) act(w http.ResponseWriter, r *http.Request, c operated) error {
	var in Act
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, directory.MaxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	out, err := in.do(r.Context(), c)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// do carries the act out. The center writes it into the audit log in the same transaction.
func (in *Act) do(ctx context.Context, c operated) (out Acted, err error) {
	if len(in.Reason) > 2000 {
		return out, errs.E(errs.Invalid, "directory.request_malformed", nil)
	}
	switch in.Do {
	case "member":
		err = c.AddMember(ctx, operatorActor, directory.Member{Class: "GOV", Code: in.Member, Unit: in.Unit, Name: i18n.Text{"vi": in.Name, "en": in.NameEN}})
	case "token":
		out.Token, err = c.Invite(ctx, operatorActor, directory.Invitation{
			Member: in.Member, Server: in.Server, Lifetime: time.Duration(in.Hours) * time.Hour, Approval: in.Approval,
		})
	case "approve":
		err = c.Approve(ctx, operatorActor, in.TokenID, in.Digest)
	case "decline":
		err = c.Decline(ctx, operatorActor, in.TokenID, in.Reason)
	case "revoke-node":
		err = c.RevokeNode(ctx, operatorActor, in.Node, in.Reason)
	case "revoke-key":
		err = c.RevokeKey(ctx, operatorActor, in.KeyID, in.Reason)
	case "disable", "enable":
		err = c.DisableNode(ctx, operatorActor, in.Node, in.Do == "disable")
	case "group":
		err = c.SetGroup(ctx, operatorActor, directory.Group{Code: in.Group, Name: i18n.Text{"vi": in.Name, "en": in.NameEN}, Members: in.Members})
	case "group-delete":
		err = c.DeleteGroup(ctx, operatorActor, in.Group)
	case "policy":
		if in.Policy == nil {
			return out, errs.E(errs.Invalid, "directory.request_malformed", nil)
		}
		err = c.SetPolicy(ctx, operatorActor, *in.Policy)
	default:
		err = errs.E(errs.Invalid, "directory.request_malformed", nil)
	}
	return out, err
}
