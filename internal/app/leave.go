package app

import (
	"context"
	"slices"

	"truc/internal/directory"
	"truc/internal/errs"
)

// Leave implements [directory.OwnNode]: the node tells the center that it wants to leave the network, takes that back, or
// asks how it stands. The center's own node cannot leave: the network would have no directory.
func (n *Node) Leave(ctx context.Context, actor, act, reason string, whole bool) (*directory.Leave, error) {
	if n.center != nil {
		return nil, errs.E(errs.Conflict, "directory.leave_center", nil)
	}
	if act != directory.LeaveStatus {
		if err := n.act(ctx, actor, "directory.leave."+act, n.cfg.ServerID()); err != nil {
			return nil, err
		}
	}
	l, err := n.follower.Leave(ctx, n.cfg.ServerID(), n.currentKeys(), act, reason, whole)
	if err != nil {
		return nil, err
	}
	if act != directory.LeaveStatus {
		_ = n.follower.Refresh(ctx) // the document says it now; if not here, at the next pull
	}
	return l, nil
}

// hasLeft reports whether a member left the network, as far as this node knows.
func (n *Node) hasLeft(member string) bool {
	doc := n.follower.Document()
	return doc != nil && doc.HasLeft(member)
}

// endOfLeavers returns work that puts agreements out of force when the directory says that a party has left.
func (n *Node) endOfLeavers() func(context.Context) error {
	var seen *directory.Document
	var left []string
	return func(ctx context.Context) error {
		doc := n.follower.Document()
		if doc == nil || doc == seen {
			return nil
		}
		var now []string
		for _, m := range doc.Members {
			if m.State == directory.Left {
				now = append(now, m.ID(doc.Instance))
			}
		}
		if !slices.Equal(now, left) {
			if err := n.agreements.Reload(ctx); err != nil {
				return err
			}
		}
		seen, left = doc, now
		return nil
	}
}
