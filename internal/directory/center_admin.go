package directory

import (
	"context"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// SetPolicy replaces what the instance demands of everybody. What this release of the center cannot do itself is refused: a
// slip of the pen would cut the whole network.
func (c *Center) SetPolicy(ctx context.Context, actor string, p Policy) error {
	p.Requires = slices.Clone(p.Requires)
	slices.Sort(p.Requires)
	if p.Requires = slices.Compact(p.Requires); len(p.Requires) == 0 {
		p.Requires = nil
	}
	for _, r := range p.Requires {
		if !slices.Contains(c.Capabilities, r) {
			return errs.E(errs.Invalid, "directory.policy.capability_unknown", nil, "capability", r)
		}
	}
	return c.change(ctx, actor, func(s *State) error {
		s.Policy = p
		s.Events = append(s.Events, Event{Name: "directory.policy.changed", Actor: actor, Object: c.Instance})
		return nil
	})
}

// SetGroup adds a global group or replaces it. Members may be given in any order.
func (c *Center) SetGroup(ctx context.Context, actor string, g Group) error {
	g.Name = i18n.Text{"vi": i18n.NFC(strings.TrimSpace(g.Name["vi"])), "en": i18n.NFC(strings.TrimSpace(g.Name["en"]))}
	g.Members = orEmpty(slices.Clone(g.Members))
	slices.Sort(g.Members)
	g.Members = slices.Compact(g.Members)
	if err := g.validate(c.Instance); err != nil || g.Name["vi"] == "" {
		return errs.E(errs.Invalid, "directory.group_invalid", err)
	}
	return c.change(ctx, actor, func(s *State) error {
		s.Groups[g.Code] = g
		s.Events = append(s.Events, Event{Name: "directory.group.changed", Actor: actor, Object: g.Code})
		return nil
	})
}

// DeleteGroup takes a global group out of the document; access rules that name it then match nobody.
func (c *Center) DeleteGroup(ctx context.Context, actor, code string) error {
	return c.change(ctx, actor, func(s *State) error {
		if _, ok := s.Groups[code]; !ok {
			return errs.E(errs.NotFound, "directory.group_unknown", nil)
		}
		delete(s.Groups, code)
		s.Events = append(s.Events, Event{Name: "directory.group.deleted", Actor: actor, Object: code})
		return nil
	})
}

// DisableNode takes a node out of use for a time, or, with disabled false, puts it back.
func (c *Center) DisableNode(ctx context.Context, actor, node string, disabled bool) error {
	return c.change(ctx, actor, func(s *State) error {
		n, ok := s.Nodes[node]
		if !ok {
			return errs.E(errs.NotFound, "directory.node_unknown", nil)
		}
		event := "directory.node.enabled"
		n.State = Registered
		if disabled {
			n.State, event = Disabled, "directory.node.disabled"
		}
		s.Nodes[node] = n
		s.Events = append(s.Events, Event{Name: event, Actor: actor, Object: node})
		return nil
	})
}

// SetSubsystem gives a subsystem a name, takes it out of use ([Disabled]) or puts it back ([Registered]).
func (c *Center) SetSubsystem(ctx context.Context, actor string, x Subsystem) error {
	x.Name = i18n.Text{"vi": i18n.NFC(strings.TrimSpace(x.Name["vi"])), "en": i18n.NFC(strings.TrimSpace(x.Name["en"]))}
	if validID(x.ID, c.Instance, 4) != nil || x.State != Registered && x.State != Disabled {
		return errs.E(errs.Invalid, "directory.subsystem_invalid", nil)
	}
	return c.change(ctx, actor, func(s *State) error {
		if !slices.ContainsFunc(s.subsystems(), func(known Subsystem) bool { return known.ID == x.ID }) {
			return errs.E(errs.NotFound, "directory.subsystem_unknown", nil)
		}
		s.Subsystems[x.ID] = x
		s.Events = append(s.Events, Event{Name: "directory.subsystem.changed", Actor: actor, Object: x.ID})
		return nil
	})
}

// KnownSubsystems lists the subsystems that nodes speak for, by identifier, with the names and states the center gave
// them.
func (s *State) KnownSubsystems() []Subsystem {
	list := s.subsystems()
	slices.SortFunc(list, func(a, b Subsystem) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// RevokeKey ends one key of a node, for instance an old signing key that leaked; the node goes on with its others.
// Revoking the channel key in force, or the last signing key, ends the node: use [Center.RevokeNode].
func (c *Center) RevokeKey(ctx context.Context, actor, keyID, reason string) error {
	return c.change(ctx, actor, func(s *State) error {
		for _, n := range s.Nodes {
			if n.TLSKeyID == keyID {
				return errs.E(errs.Conflict, "directory.key_in_force", nil)
			}
			_, signing := n.key(keyID)
			if !signing && !slices.Contains(n.OldTLSKeyIDs, keyID) {
				continue
			}
			s.Revoked[keyID] = Revocation{KeyID: keyID, Node: n.ID, Reason: i18n.NFC(reason), At: c.now()}
			if _, err := n.currentKey(c.now(), s.Revoked); signing && err != nil {
				return errs.E(errs.Conflict, "directory.key_in_force", nil)
			}
			s.Events = append(s.Events, Event{Name: "directory.key.revoked", Actor: actor, Object: n.ID})
			return nil
		}
		return errs.E(errs.NotFound, "directory.key_unknown", nil)
	})
}

// StandingOf returns where a node stands, with what only the center knows: [Failed] when its certificate has ended,
// [Deleting] when it waits to leave or its keys are revoked, [Left] when it was let go.
func (s *State) StandingOf(n NodeRecord, now time.Time) Standing {
	switch _, gone := s.Revoked[n.TLSKeyID]; {
	case gone && s.Leaves[n.ID].State == Left:
		return Left
	case gone || n.Leaving:
		return Deleting
	case n.State == Disabled:
		return Disabled
	case !n.NotAfter.IsZero() && now.After(n.NotAfter):
		return Failed
	}
	return Registered
}

// StandingOfToken returns where a node that was invited stands on its way in: [Saved] until it asks, [Registering] while
// its request waits, [Registered] when it has joined, [Failed] when it was declined or its token ended.
func (s *State) StandingOfToken(t TokenRecord, now time.Time) Standing {
	p, filed := s.Requests[t.ID]
	switch {
	case !t.UsedAt.IsZero():
		return Registered
	case filed && p.State == Failed, now.After(t.ExpiresAt):
		return Failed
	case filed:
		return Registering
	}
	return Saved
}
