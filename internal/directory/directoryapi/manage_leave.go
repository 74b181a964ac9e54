package directoryapi

import (
	"context"
	"errors"
	"time"

	"truc/internal/directory"
	"truc/internal/i18n"
	"truc/internal/web/manage"
)

// MemberOverview is a member with where it stands.
type MemberOverview struct {
	Class string             `json:"class"`
	Code  string             `json:"code"`
	Name  i18n.Text          `json:"name"`
	Unit  string             `json:"unit"`
	State directory.Standing `json:"state" doc:"saved, registering, registered, disabled, deleting, left or error"`
}

// ID returns "VN/GOV/H36".
func (m MemberOverview) ID(instance string) string {
	return directory.Member{Class: m.Class, Code: m.Code}.ID(instance)
}

// LeaveOverview is a request to leave that waits for the center's operator.
type LeaveOverview struct {
	Node    string    `json:"node"`
	Member  string    `json:"member"`
	Whole   bool      `json:"whole" doc:"the member leaves with all its nodes"`
	Reason  string    `json:"reason"`
	FiledAt time.Time `json:"filed_at"`
}

func (m *Manage) declareLeaves(api *manage.API) error {
	return errors.Join(
		declare(api, "POST", nodePath+"/leave/approve", "approveLeave", "directory.leave.approved", "Let a node go that asked to leave", 0, func(ctx context.Context, in nodeAct) (struct{}, error) {
			return struct{}{}, m.Center.ApproveLeave(ctx, by(ctx), in.node())
		}),
		declare(api, "POST", nodePath+"/leave/decline", "declineLeave", "directory.leave.declined", "Keep a node that asked to leave, with a reason", 0, func(ctx context.Context, in nodeRevocation) (struct{}, error) {
			if err := reason(in.Reason); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, m.Center.DeclineLeave(ctx, by(ctx), nodeAct{in.Instance, in.Class, in.Member, in.Server}.node(), in.Reason)
		}),
	)
}

// ownLeave is what an operator of a node says about leaving.
type ownLeave struct {
	Act    string `json:"act" enum:"ask,withdraw,status"`
	Reason string `json:"reason,omitempty" doc:"read by the operator of the center; needed to ask"`
	Whole  bool   `json:"whole,omitempty" doc:"the member leaves with all its nodes"`
}

func (m *ManageOwn) declareLeave(api *manage.API) error {
	return manage.Handle(api, manage.Operation{
		Method: "POST", Path: "/api/directory/own/leave", ID: "leaveNetwork", Tag: ownTag, Summary: "Ask the center to let this node go, take that back, or ask how it stands",
		Roles: []manage.Role{manage.Registration}, Act: "directory.leave", Quiet: true,
	}, func(ctx context.Context, in ownLeave) (directory.Leave, error) {
		l, err := m.Node.Leave(ctx, by(ctx), in.Act, in.Reason, in.Whole)
		if err != nil {
			return directory.Leave{}, err
		}
		return *l, nil
	})
}
