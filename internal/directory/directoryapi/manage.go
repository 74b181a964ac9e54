package directoryapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web/manage"
)

// Manage declares what the center's operators do with the network: everything that the pages below /directory/admin do.
// Each act is recorded by the center in the transaction that carries it out.
type Manage struct {
	Center *directory.Center
	Now    func() time.Time
}

// Overview is the registry as operators see it. It holds no secrets.
type Overview struct {
	Instance   string                `json:"instance"`
	Version    int64                 `json:"version" doc:"of the newest directory document"`
	Members    []MemberOverview      `json:"members"`
	Nodes      []NodeOverview        `json:"nodes"`
	Tokens     []TokenOverview       `json:"tokens"`
	Pending    []PendingOverview     `json:"pending" doc:"joins that wait for a decision"`
	Leaves     []LeaveOverview       `json:"leaves" doc:"requests to leave that wait for a decision"`
	Groups     []directory.Group     `json:"groups"`
	Subsystems []directory.Subsystem `json:"subsystems" doc:"those with a name or a state of their own"`
	Revoked    []RevokedOverview     `json:"revoked"`
	Policy     directory.Policy      `json:"policy"`
}

// NodeOverview is a node with its state and the end of its certificate.
type NodeOverview struct {
	ID              string             `json:"id"`
	State           directory.Standing `json:"state"`
	LinkURL         string             `json:"link_url"`
	CertificateEnds time.Time          `json:"certificate_ends"`
	LastSeen        time.Time          `json:"last_seen"`
	Maintenance     string             `json:"maintenance"`
	Capabilities    []string           `json:"capabilities" doc:"what its release can do on the link, told by itself"`
}

// TokenOverview is a join token without its secret, which nobody keeps.
type TokenOverview struct {
	ID        string             `json:"id"`
	Node      string             `json:"node"`
	State     directory.Standing `json:"state"`
	Approval  bool               `json:"approval"`
	CreatedBy string             `json:"created_by"`
	ExpiresAt time.Time          `json:"expires_at"`
}

// PendingOverview is a join request as the operator compares it.
type PendingOverview struct {
	TokenID            string    `json:"token_id"`
	Node               string    `json:"node"`
	LinkURL            string    `json:"link_url"`
	Subsystems         []string  `json:"subsystems"`
	TLSFingerprint     string    `json:"tls_fingerprint"`
	SigningFingerprint string    `json:"signing_fingerprint"`
	Digest             string    `json:"digest" doc:"names the request exactly as it is shown here"`
	FiledAt            time.Time `json:"filed_at"`
}

// RevokedOverview is a key that ended before its time.
type RevokedOverview struct {
	KeyID  string    `json:"key_id"`
	Node   string    `json:"node"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

type newMember struct {
	Code   string `json:"code" doc:"such as H36"`
	Name   string `json:"name" doc:"in Vietnamese"`
	NameEN string `json:"name_en,omitempty"`
	Unit   string `json:"unit,omitempty" doc:"the administrative unit of a local authority, such as 68"`
}

// AuditObject implements [manage.Subject].
func (m newMember) AuditObject() string { return m.Code }

type newToken struct {
	Member   string `json:"member" doc:"such as VN/GOV/H36"`
	Server   string `json:"server" doc:"name of the new node, such as node1"`
	Hours    int    `json:"hours,omitempty" doc:"life of the token, 72 at most and when left out"`
	Approval bool   `json:"approval,omitempty" doc:"the join waits until an operator has compared the keys"`
}

// AuditObject implements [manage.Subject].
func (t newToken) AuditObject() string { return t.Member + "/" + t.Server }

type createdToken struct {
	Token string `json:"token" doc:"shown this once"`
}

type byID struct {
	ID string `path:"id"`
}

type approval struct {
	ID     string `path:"id"`
	Digest string `json:"digest" doc:"of the request as it was compared"`
}

type refusal struct {
	ID     string `path:"id"`
	Reason string `json:"reason"`
}

// nodeAct names a node, such as VN/GOV/H36/node1.
type nodeAct struct {
	Instance string `path:"instance"`
	Class    string `path:"class"`
	Member   string `path:"member"`
	Server   string `path:"server"`
}

func (n nodeAct) node() string {
	return strings.Join([]string{n.Instance, n.Class, n.Member, n.Server}, "/")
}

type nodeRevocation struct {
	Instance string `path:"instance"`
	Class    string `path:"class"`
	Member   string `path:"member"`
	Server   string `path:"server"`
	Reason   string `json:"reason"`
}

type groupPut struct {
	Code    string   `path:"code"`
	Name    string   `json:"name" doc:"in Vietnamese"`
	NameEN  string   `json:"name_en,omitempty"`
	Members []string `json:"members" doc:"subsystems, such as VN/GOV/H36/onestop"`
}

type byCode struct {
	Code string `path:"code"`
}

type policyPut struct {
	Approval        bool `json:"approval" doc:"every join waits for an operator"`
	Agreements      bool `json:"agreements" doc:"a call needs an agreement besides an access rule"`
	ContinueExpired bool `json:"continue_expired" doc:"nodes go on when the directory has expired"`
	// Requires is sent whole.
	Requires []string `json:"requires,omitempty" doc:"capabilities without which a node is neither asked nor let in"`
}

type subsystemPut struct {
	Instance string `path:"instance"`
	Class    string `path:"class"`
	Member   string `path:"member"`
	Code     string `path:"code"`
	Name     string `json:"name,omitempty" doc:"in Vietnamese"`
	NameEN   string `json:"name_en,omitempty"`
	State    string `json:"state" enum:"registered,disabled"`
}

const (
	directoryTag = "directory"
	nodePath     = "/api/directory/nodes/{instance}/{class}/{member}/{server}"
	maxReason    = 2000
)

var registration = []manage.Role{manage.Registration}

func by(ctx context.Context) string { return manage.OperatorOf(ctx).Actor() }

func names(vi, en string) i18n.Text { return i18n.Text{"vi": vi, "en": en} }

// reason is demanded of acts that take something away from another agency, which is told.
func reason(text string) error {
	if text = strings.TrimSpace(text); text == "" || len(text) > maxReason {
		return errs.E(errs.Invalid, "directory.revoke.reason_missing", nil)
	}
	return nil
}

// declare adds an act that the center records by itself.
func declare[In, Out any](api *manage.API, method, path, id, act, summary string, status int, h func(context.Context, In) (Out, error)) error {
	return manage.Handle(api, manage.Operation{
		Method: method, Path: path, ID: id, Tag: directoryTag, Summary: summary, Roles: registration, Act: act, Quiet: true, Status: status,
	}, h)
}

// Declare adds the operations.
func (m *Manage) Declare(api *manage.API) error {
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/directory", ID: "getDirectory", Tag: directoryTag, Summary: "Show members, nodes, tokens, joins that wait, groups and policy", Roles: registration,
		}, m.overview),
		m.declareMembers(api), m.declareNodes(api), m.declareNetwork(api), m.declareLeaves(api),
	)
}

func (m *Manage) declareMembers(api *manage.API) error {
	return errors.Join(
		declare(api, "POST", "/api/directory/members", "addMember", "directory.member.added", "Add an agency", 0, func(ctx context.Context, in newMember) (struct{}, error) {
			return struct{}{}, m.Center.AddMember(ctx, by(ctx), directory.Member{Class: "GOV", Code: in.Code, Unit: in.Unit, Name: names(in.Name, in.NameEN)})
		}),
		declare(api, "POST", "/api/directory/tokens", "createToken", "directory.token.created", "Make a one-time join token", 201, func(ctx context.Context, in newToken) (createdToken, error) {
			life := directory.TokenLifetime
			if in.Hours != 0 { // out of bounds stays so, whatever the multiplication would make of it
				life = time.Duration(max(-1, min(in.Hours, 1000))) * time.Hour
			}
			token, err := m.Center.Invite(ctx, by(ctx), directory.Invitation{Member: in.Member, Server: in.Server, Lifetime: life, Approval: in.Approval})
			return createdToken{token}, err
		}),
		declare(api, "DELETE", "/api/directory/tokens/{id}", "deleteToken", "directory.token.deleted", "Take back a join token that was not used", 0, func(ctx context.Context, in byID) (struct{}, error) {
			return struct{}{}, m.Center.DeleteToken(ctx, by(ctx), in.ID)
		}),
		declare(api, "POST", "/api/directory/joins/{id}/approve", "approveJoin", "directory.join.approved", "Admit a node whose keys were compared", 0, func(ctx context.Context, in approval) (struct{}, error) {
			return struct{}{}, m.Center.Approve(ctx, by(ctx), in.ID, in.Digest)
		}),
		declare(api, "POST", "/api/directory/joins/{id}/decline", "declineJoin", "directory.join.declined", "Refuse a node, with a reason", 0, func(ctx context.Context, in refusal) (struct{}, error) {
			if err := reason(in.Reason); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, m.Center.Decline(ctx, by(ctx), in.ID, in.Reason)
		}),
	)
}

func (m *Manage) declareNodes(api *manage.API) error {
	return errors.Join(
		declare(api, "POST", nodePath+"/revoke", "revokeNode", "directory.node.revoked", "End a node and its keys", 0, func(ctx context.Context, in nodeRevocation) (struct{}, error) {
			if err := reason(in.Reason); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, m.Center.RevokeNode(ctx, by(ctx), nodeAct{in.Instance, in.Class, in.Member, in.Server}.node(), in.Reason)
		}),
		declare(api, "POST", "/api/directory/keys/{id}/revoke", "revokeNodeKey", "directory.key.revoked", "End one old key of a node", 0, func(ctx context.Context, in refusal) (struct{}, error) {
			if err := reason(in.Reason); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, m.Center.RevokeKey(ctx, by(ctx), in.ID, in.Reason)
		}),
		declare(api, "POST", nodePath+"/disable", "disableNode", "directory.node.disabled", "Take a node out of use for a time", 0, func(ctx context.Context, in nodeAct) (struct{}, error) {
			return struct{}{}, m.Center.DisableNode(ctx, by(ctx), in.node(), true)
		}),
		declare(api, "POST", nodePath+"/enable", "enableNode", "directory.node.enabled", "Put a node back into use", 0, func(ctx context.Context, in nodeAct) (struct{}, error) {
			return struct{}{}, m.Center.DisableNode(ctx, by(ctx), in.node(), false)
		}),
	)
}

func (m *Manage) declareNetwork(api *manage.API) error {
	return errors.Join(
		declare(api, "PUT", "/api/directory/groups/{code}", "setGlobalGroup", "directory.group.changed", "Write a global group", 0, func(ctx context.Context, in groupPut) (struct{}, error) {
			return struct{}{}, m.Center.SetGroup(ctx, by(ctx), directory.Group{Code: in.Code, Name: names(in.Name, in.NameEN), Members: in.Members})
		}),
		declare(api, "DELETE", "/api/directory/groups/{code}", "deleteGlobalGroup", "directory.group.deleted", "Delete a global group", 0, func(ctx context.Context, in byCode) (struct{}, error) {
			return struct{}{}, m.Center.DeleteGroup(ctx, by(ctx), in.Code)
		}),
		declare(api, "PUT", "/api/directory/policy", "setPolicy", "directory.policy.changed", "Say what the network demands of everybody", 0, func(ctx context.Context, in policyPut) (struct{}, error) {
			return struct{}{}, m.Center.SetPolicy(ctx, by(ctx), directory.Policy(in))
		}),
		declare(api, "PUT", "/api/directory/subsystems/{instance}/{class}/{member}/{code}", "setSubsystem", "directory.subsystem.changed", "Name a subsystem, or take it out of use", 0,
			func(ctx context.Context, in subsystemPut) (struct{}, error) {
				id := strings.Join([]string{in.Instance, in.Class, in.Member, in.Code}, "/")
				return struct{}{}, m.Center.SetSubsystem(ctx, by(ctx), directory.Subsystem{ID: id, Name: names(in.Name, in.NameEN), State: directory.Standing(in.State)})
			}),
	)
}

func (m *Manage) overview(ctx context.Context, _ manage.None) (Overview, error) {
	o := Overview{Instance: m.Center.Instance}
	s, err := m.Center.State(ctx)
	if err != nil {
		return o, err
	}
	now := m.Now()
	o.Version, o.Policy = s.Head.Version, s.Policy
	o.Members = sorted(s.Members, func(x directory.Member) MemberOverview {
		return MemberOverview{x.Class, x.Code, x.Name, x.Unit, s.StandingOfMember(x.ID(m.Center.Instance), now)}
	})
	o.Leaves = []LeaveOverview{}
	for _, l := range s.LeavesThatWait() {
		o.Leaves = append(o.Leaves, LeaveOverview{l.Node, l.Member, l.Whole, l.Reason, time.Unix(l.FiledAt, 0).UTC()})
	}
	o.Groups = sorted(s.Groups, func(x directory.Group) directory.Group { return x })
	o.Subsystems = sorted(s.Subsystems, func(x directory.Subsystem) directory.Subsystem { return x })
	o.Nodes = sorted(s.Nodes, func(n directory.NodeRecord) NodeOverview {
		return NodeOverview{n.ID, s.StandingOf(n, now), n.LinkURL, n.NotAfter, n.LastSeen, n.Maintenance, orEmpty(n.Capabilities)}
	})
	o.Tokens = sorted(s.Tokens, func(t directory.TokenRecord) TokenOverview {
		return TokenOverview{t.ID, t.Node, s.StandingOfToken(t, now), t.Approval, t.CreatedBy, t.ExpiresAt}
	})
	o.Revoked = sorted(s.Revoked, func(r directory.Revocation) RevokedOverview { return RevokedOverview{r.KeyID, r.Node, r.Reason, r.At} })
	o.Pending = []PendingOverview{}
	for _, p := range s.Waiting(now) {
		o.Pending = append(o.Pending, PendingOverview{
			TokenID: p.TokenID, Node: p.Node, LinkURL: p.LinkURL, Subsystems: p.Subsystems, TLSFingerprint: p.TLSFingerprint(),
			SigningFingerprint: p.SigningFingerprint(), Digest: p.Digest, FiledAt: time.Unix(p.FiledAt, 0).UTC(),
		})
	}
	return o, nil
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// sorted lists a map's values by its keys.
func sorted[X, Y any](m map[string]X, f func(X) Y) []Y {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := make([]Y, len(keys))
	for i, k := range keys {
		out[i] = f(m[k])
	}
	return out
}
