package directory

import (
	"context"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pki"
)

const domainLeave = "truc-directory-leave-v1\n"

// What a node says about leaving.
const (
	// LeaveAsk asks the center's operator to let the node go, LeaveWithdraw takes that back while nobody has decided, and
	// LeaveStatus asks how it stands.
	LeaveAsk      = "ask"
	LeaveWithdraw = "withdraw"
	LeaveStatus   = "status"
)

// MaxLeaveReason bounds the reason of a leave, in bytes.
const MaxLeaveReason = 2000

// LeaveRequest is a node's wish to leave the network, signed by its signing key.
type LeaveRequest struct {
	Instance string `json:"instance"`
	Node     string `json:"node"`
	// Act is [LeaveAsk], [LeaveWithdraw] or [LeaveStatus].
	Act string `json:"act"`
	// Whole: the member leaves with all its nodes.
	Whole     bool   `json:"whole"`
	Reason    string `json:"reason"`
	CreatedAt int64  `json:"created_at"`
}

// Leave is a request to leave as the center keeps it.
type Leave struct {
	Node   string `json:"node"`
	Member string `json:"member"`
	Whole  bool   `json:"whole"`
	Reason string `json:"reason"`
	// State is [Deleting] while it waits, [Left] when it was confirmed, [Failed] when it was declined, and [Registered]
	// when the node took it back.
	State Standing `json:"state"`
	// FiledAt and DecidedAt are Unix seconds; DecidedBy is an account and Answer its reason to decline.
	FiledAt   int64  `json:"filed_at"`
	DecidedBy string `json:"decided_by"`
	DecidedAt int64  `json:"decided_at"`
	Answer    string `json:"answer"`
}

// NewLeave makes the signed request.
func NewLeave(instance, node string, signing Keys, act, reason string, whole bool, now time.Time) (Signed, error) {
	return signRequest(LeaveRequest{Instance: instance, Node: node, Act: act, Whole: whole, Reason: i18n.NFC(strings.TrimSpace(reason)), CreatedAt: now.Unix()}, domainLeave, signing.Signing)
}

// Leave implements [CenterAPI]. Asking again changes the reason and nothing else, so that a node that did not hear the
// answer may repeat itself.
func (c *Center) Leave(ctx context.Context, req Signed) (*Leave, error) {
	var out Leave
	err := c.signedChange(ctx, req, domainLeave, func(s *State, n NodeRecord) error {
		var in LeaveRequest
		if err := decodeStrict(req.Request, &in); err != nil {
			return errs.E(errs.Invalid, "directory.request_malformed", err)
		}
		if in.Instance != c.Instance || !c.recent(in.CreatedAt) {
			return errs.E(errs.Denied, "directory.request_stale", nil)
		}
		l, asked := s.Leaves[n.ID]
		switch in.Act {
		case LeaveStatus:
			if !asked {
				l = Leave{Node: n.ID, Member: n.Member, State: Registered}
			}
			out = l
			return nil
		case LeaveWithdraw:
			if !asked || l.State != Deleting {
				return errs.E(errs.Conflict, "directory.leave_unknown", nil)
			}
			l.State, l.DecidedAt, l.DecidedBy = Registered, c.now().Unix(), n.ID
			s.Events = append(s.Events, Event{Name: "directory.leave.withdrawn", Actor: n.ID, Object: n.ID})
		case LeaveAsk:
			if in.Reason == "" || len(in.Reason) > MaxLeaveReason {
				return errs.E(errs.Invalid, "directory.leave_reason_missing", nil)
			}
			if !asked || l.State != Deleting {
				l = Leave{FiledAt: c.now().Unix()}
				s.Events = append(s.Events, Event{Name: "directory.leave.requested", Actor: n.ID, Object: n.ID})
			}
			l.Node, l.Member, l.Whole, l.Reason, l.State = n.ID, n.Member, in.Whole, in.Reason, Deleting
		default:
			return errs.E(errs.Invalid, "directory.request_malformed", nil)
		}
		n.Leaving = l.State == Deleting
		s.Leaves[n.ID], s.Nodes[n.ID] = l, n
		out = l
		return nil
	})
	return &out, err
}

// ApproveLeave lets a node go that asked to leave, and with it, when it asked for that, its member: its keys end, its
// services leave the catalogue, and everybody's agreements with a member that left are at their end. What was signed
// stays in the document and in the center's history, so that old evidence can be checked.
func (c *Center) ApproveLeave(ctx context.Context, actor, node string) error {
	return c.decideLeave(ctx, actor, node, func(s *State, l *Leave) error {
		l.State = Left
		gone := []string{node}
		if l.Whole {
			gone = gone[:0]
			for id, n := range s.Nodes {
				if n.Member == l.Member {
					gone = append(gone, id)
				}
			}
			slices.Sort(gone)
		}
		for _, id := range gone {
			if err := c.letGo(s, actor, id, l.Reason); err != nil {
				return err
			}
		}
		s.Events = append(s.Events, Event{Name: "directory.leave.approved", Actor: actor, Object: node})
		if l.Whole {
			c.letMemberGo(s, actor, l.Member)
		}
		return nil
	})
}

// letGo ends the keys of a node because it left.
func (c *Center) letGo(s *State, actor, id, reason string) error {
	n := s.Nodes[id]
	n.Leaving = false
	s.Nodes[id] = n
	c.endKeys(s, n, reason)
	if l, ok := s.Leaves[id]; ok && l.State == Deleting || !ok {
		l.Node, l.Member, l.State, l.DecidedBy, l.DecidedAt = id, n.Member, Left, actor, c.now().Unix()
		s.Leaves[id] = l
	}
	s.Events = append(s.Events, Event{Name: "directory.node.left", Actor: actor, Object: id})
	return replaceServices(s, n.Node, nil)
}

// letMemberGo takes a member out of what concerns the future: invitations and groups.
func (c *Center) letMemberGo(s *State, actor, member string) {
	m := s.Members[member]
	m.State = Left
	s.Members[member] = m
	for id, t := range s.Tokens {
		if t.Member == member && t.UsedAt.IsZero() {
			delete(s.Tokens, id)
			delete(s.Requests, id)
		}
	}
	for code, g := range s.Groups {
		left := slices.DeleteFunc(slices.Clone(g.Members), func(x string) bool { return strings.HasPrefix(x, member+"/") })
		if len(left) < len(g.Members) {
			g.Members = orEmpty(left)
			s.Groups[code] = g
		}
	}
	s.Events = append(s.Events, Event{Name: "directory.member.left", Actor: actor, Object: member})
}

// DeclineLeave keeps a node that asked to leave; it is told the reason.
func (c *Center) DeclineLeave(ctx context.Context, actor, node, reason string) error {
	return c.decideLeave(ctx, actor, node, func(s *State, l *Leave) error {
		l.State, l.Answer = Failed, i18n.NFC(reason)
		n := s.Nodes[node]
		n.Leaving = false
		s.Nodes[node] = n
		s.Events = append(s.Events, Event{Name: "directory.leave.declined", Actor: actor, Object: node})
		return nil
	})
}

func (c *Center) decideLeave(ctx context.Context, actor, node string, f func(*State, *Leave) error) error {
	return c.change(ctx, actor, func(s *State) error {
		l, ok := s.Leaves[node]
		if !ok || l.State != Deleting {
			return errs.E(errs.NotFound, "directory.leave_unknown", nil)
		}
		l.DecidedBy, l.DecidedAt = actor, c.now().Unix()
		if err := f(s, &l); err != nil {
			return err
		}
		s.Leaves[node] = l
		return nil
	})
}

// endKeys revokes every key of a node.
func (c *Center) endKeys(s *State, n NodeRecord, reason string) {
	ids := append([]string{n.TLSKeyID}, n.OldTLSKeyIDs...)
	for _, k := range n.Keys {
		ids = append(ids, k.KeyID)
	}
	for _, id := range ids {
		if _, already := s.Revoked[id]; !already {
			s.Revoked[id] = Revocation{KeyID: id, Node: n.ID, Reason: i18n.NFC(reason), At: c.now()}
		}
	}
}

// LeavesThatWait returns the requests to leave that wait for a decision, the oldest first.
func (s *State) LeavesThatWait() []Leave {
	var out []Leave
	for _, l := range s.Leaves {
		if l.State == Deleting {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b Leave) int {
		if a.FiledAt != b.FiledAt {
			return int(a.FiledAt - b.FiledAt)
		}
		return strings.Compare(a.Node, b.Node)
	})
	return out
}

// StandingOfMember returns where a member stands: [Saved] until one of its nodes asks to join, [Registering] while the
// first waits, [Registered] when one takes part, [Disabled] when all that could are out of use, [Deleting] while it waits to
// leave or when all its nodes were ended, [Left] when it left, [Failed] when the joins or certificates of all came to
// nothing.
func (s *State) StandingOfMember(id string, now time.Time) Standing {
	if s.Members[id].State == Left {
		return Left
	}
	for _, l := range s.LeavesThatWait() {
		if l.Member == id && l.Whole {
			return Deleting
		}
	}
	seen := map[Standing]bool{}
	for _, n := range s.Nodes {
		if n.Member == id {
			seen[s.StandingOf(n, now)] = true
		}
	}
	for _, t := range s.Tokens {
		if t.Member == id && t.UsedAt.IsZero() {
			seen[s.StandingOfToken(t, now)] = true
		}
	}
	for _, st := range []Standing{Registered, Disabled, Registering, Saved, Failed, Deleting} {
		if seen[st] {
			return st
		}
	}
	return Saved
}

// HasLeft reports whether a member left the network; history alone speaks of it.
func (d *Document) HasLeft(member string) bool {
	m, ok := d.Member(member)
	return ok && m.State == Left
}

// StandingOf returns where a node stands as far as the document tells.
func (d *Document) StandingOf(node string) Standing {
	n, ok := d.Node(node)
	switch {
	case !ok:
		return Saved
	case d.HasLeft(n.Member):
		return Left
	case d.IsRevoked(n.TLSKeyID) || n.Leaving:
		return Deleting
	case n.State == Disabled:
		return Disabled
	}
	return Registered
}

// Leave asks the center for something about leaving the network, see [LeaveRequest], and returns how it stands. Once the
// center has let the node go, its key opens nothing any more: then the document says so.
func (f *Follower) Leave(ctx context.Context, node string, k Keys, act, reason string, whole bool) (*Leave, error) {
	req, err := NewLeave(f.instance(), node, k, act, reason, whole, f.opt.Now())
	if err != nil {
		return nil, err
	}
	l, err := f.opt.Center.Leave(ctx, req)
	if key, _ := errs.KeyOf(err); key == "directory.key_revoked" {
		if rerr := f.Refresh(ctx); rerr == nil && f.Document().IsRevoked(pki.KeyID(k.TLS.Public())) {
			return &Leave{Node: node, State: Left}, nil
		}
	}
	return l, err
}
