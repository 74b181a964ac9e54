package directoryapi

import (
	"errors"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/pki"
)

// standings asks the management interface where members and nodes stand.
func (c *console) standings() (members, nodes map[string]directory.Standing) {
	c.t.Helper()
	var o Overview
	c.want(200, "getDirectory", "observer", "/api/directory", nil, &o)
	members, nodes = map[string]directory.Standing{}, map[string]directory.Standing{}
	for _, m := range o.Members {
		members[m.Code] = m.State
	}
	for _, n := range o.Nodes {
		nodes[n.ID] = n.State
	}
	return members, nodes
}

// A node asks to leave, takes it back, is declined, and is let go: its keys end and its services leave the catalogue; the
// rest of the network goes on, and what was signed can still be looked up.
func TestLeave(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := newConsole(t, (&Manage{Center: w.center, Now: w.now}).Declare)
	members, _ := c.standings()
	if members["H36"] != directory.Saved {
		t.Errorf("a member without a node is %s", members["H36"])
	}
	one, two := w.joinAs(t, "H36", "node1", "onestop"), w.joinAs(t, "H36", "node2", "land")
	police := w.join(t, "G01", "population")
	at := "/api/directory/nodes/" + one.id + "/leave"
	leave := func(n *node, act, reason string, whole bool) (*directory.Leave, error) {
		return n.f.Leave(ctx, n.id, n.keys, act, reason, whole)
	}
	want := func(n *node, act, reason string, state directory.Standing) {
		t.Helper()
		l, err := leave(n, act, reason, false)
		if err != nil || l.State != state {
			t.Fatalf("%s: %+v, %v; want %s", act, l, err, state)
		}
	}
	want(one, directory.LeaveStatus, "", directory.Registered)
	_, err := leave(one, directory.LeaveAsk, " ", false)
	wantKey(t, err, "directory.leave_reason_missing")
	_, err = leave(one, directory.LeaveWithdraw, "", false)
	wantKey(t, err, "directory.leave_unknown")
	_, err = leave(one, "flee", "x", false)
	wantKey(t, err, "directory.request_malformed")
	c.want(404, "approveLeave", "registration", at+"/approve", nil, nil)

	// Nobody asks for another, and no old word is taken.
	forged, err := directory.NewLeave("VN", police.id, one.keys, directory.LeaveAsk, "x", false, w.now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.client.Leave(ctx, forged)
	wantKey(t, err, "directory.signature_wrong")
	old, err := directory.NewLeave("VN", one.id, one.keys, directory.LeaveAsk, "x", false, w.now())
	if err != nil {
		t.Fatal(err)
	}
	w.advance(10 * time.Minute)
	_, err = w.client.Leave(ctx, old)
	wantKey(t, err, "directory.request_stale")

	want(one, directory.LeaveAsk, "sáp nhập", directory.Deleting)
	want(one, directory.LeaveAsk, "sáp nhập, lần nữa", directory.Deleting)
	if _, nodes := c.standings(); nodes[one.id] != directory.Deleting {
		t.Errorf("a node that waits to leave is %s", nodes[one.id])
	}
	if err := police.f.Refresh(ctx); err != nil || len(police.f.Document().NodesOf("VN/GOV/H36/onestop")) != 1 {
		t.Errorf("it does not take part until it was let go: %v", err)
	}
	want(one, directory.LeaveWithdraw, "", directory.Registered)
	want(one, directory.LeaveAsk, "sáp nhập", directory.Deleting)
	c.want(403, "declineLeave", "system", at+"/decline", obj{"reason": "chưa"}, nil)
	c.want(400, "declineLeave", "registration", at+"/decline", obj{"reason": " "}, nil)
	c.want(204, "declineLeave", "registration", at+"/decline", obj{"reason": "chưa"}, nil)
	if l, err := leave(one, directory.LeaveStatus, "", false); err != nil || l.State != directory.Failed || l.Answer != "chưa" || l.DecidedBy != "operator:registration" {
		t.Errorf("after the refusal: %+v, %v", l, err)
	}
	want(one, directory.LeaveAsk, "sáp nhập", directory.Deleting)
	c.want(204, "approveLeave", "registration", at+"/approve", nil, nil)
	c.want(404, "approveLeave", "registration", at+"/approve", nil, nil)
	want(one, directory.LeaveStatus, "", directory.Left) // its key opens nothing; the document says so
	if err := police.f.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	doc := police.f.Document()
	if _, ok := doc.Service("VN/GOV/H36/onestop/facts"); ok || len(doc.NodesOf("VN/GOV/H36/onestop")) != 0 || !doc.IsRevoked(pki.KeyID(one.keys.TLS.Public())) {
		t.Error("a node that left takes part")
	}
	if _, _, ok := doc.SigningKey(directory.KeyID(one.keys.Signing.Public())); !ok {
		t.Error("what the node signed can no longer be checked")
	}
	if doc.HasLeft("VN/GOV/H36") || len(doc.NodesOf("VN/GOV/H36/land")) != 1 {
		t.Error("the member left with one of its nodes")
	}
	members, nodes := c.standings()
	if nodes[one.id] != directory.Left || nodes[two.id] != directory.Registered || members["H36"] != directory.Registered {
		t.Errorf("members %v, nodes %v", members, nodes)
	}
	if err := errors.Join(w.center.Refresh(ctx), two.f.Refresh(ctx)); err != nil {
		t.Fatal(err)
	}
}

// A whole member leaves: all its nodes, its invitations, its places in groups. It may be added again.
func TestMemberLeaves(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := newConsole(t, (&Manage{Center: w.center, Now: w.now}).Declare)
	one, two := w.joinAs(t, "H36", "node1", "onestop"), w.joinAs(t, "H36", "node2", "land")
	police := w.join(t, "G01", "population")
	if _, err := w.center.CreateToken(ctx, "admin", "VN/GOV/H36", "node3", time.Hour); err != nil {
		t.Fatal(err)
	}
	err := w.center.SetGroup(ctx, "admin", directory.Group{Code: "all", Name: map[string]string{"vi": "Tất cả"}, Members: []string{"VN/GOV/H36/onestop", "VN/GOV/G01/population"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.f.Leave(ctx, one.id, one.keys, directory.LeaveAsk, "sáp nhập", true); err != nil {
		t.Fatal(err)
	}
	members, _ := c.standings()
	if members["H36"] != directory.Deleting || members["G01"] != directory.Registered {
		t.Errorf("members %v", members)
	}
	c.want(204, "approveLeave", "registration", "/api/directory/nodes/"+one.id+"/leave/approve", nil, nil)
	members, nodes := c.standings()
	if members["H36"] != directory.Left || nodes[one.id] != directory.Left || nodes[two.id] != directory.Left || nodes[police.id] != directory.Registered {
		t.Errorf("members %v, nodes %v", members, nodes)
	}
	for _, n := range []*node{police, two} {
		if err := n.f.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
	}
	doc := police.f.Document()
	if !doc.HasLeft("VN/GOV/H36") || doc.HasLeft("VN/GOV/G01") || doc.InGroup("all", "VN/GOV/H36/onestop") || !doc.InGroup("all", "VN/GOV/G01/population") {
		t.Errorf("members %+v, groups %+v", doc.Members, doc.Groups)
	}
	if got := two.f.Document().StandingOf(two.id); got != directory.Left {
		t.Errorf("the other node sees itself as %s", got)
	}
	s, err := w.center.State(ctx)
	if err != nil || anyToken(s, "VN/GOV/H36/node3") {
		t.Errorf("an invitation is left: %v", err)
	}
	if err := w.center.AddMember(ctx, "admin", directory.Member{Class: "GOV", Code: "H36", Name: map[string]string{"vi": "Lâm Đồng"}}); err != nil {
		t.Fatal(err)
	}
	w.joinAs(t, "H36", "node4", "onestop")
	if members, nodes := c.standings(); members["H36"] != directory.Registered || nodes[one.id] != directory.Left {
		t.Errorf("after it came back: members %v, nodes %v", members, nodes)
	}
}

// The states that a member goes through besides leaving.
func TestStandingOfMember(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := newConsole(t, (&Manage{Center: w.center, Now: w.now}).Declare)
	want := func(state directory.Standing) {
		t.Helper()
		if members, _ := c.standings(); members["H36"] != state {
			t.Errorf("the member is %s, want %s", members["H36"], state)
		}
	}
	want(directory.Saved)
	a := w.asker(t, "node1", true)
	want(directory.Saved)
	_, err := a.f.Join(ctx, a.token, a.keys, askerProfile())
	wantKey(t, err, "directory.join_pending")
	want(directory.Registering)
	if err := w.center.Decline(ctx, "admin", a.token.ID, "lạ"); err != nil {
		t.Fatal(err)
	}
	want(directory.Failed)
	n := w.joinAs(t, "H36", "node2", "onestop")
	want(directory.Registered)
	if err := w.center.DisableNode(ctx, "admin", n.id, true); err != nil {
		t.Fatal(err)
	}
	want(directory.Disabled)
	if err := w.center.RevokeNode(ctx, "admin", n.id, "mất"); err != nil {
		t.Fatal(err)
	}
	want(directory.Failed) // the join that was declined is what there is
	if err := w.center.DeleteToken(ctx, "admin", a.token.ID); err != nil {
		t.Fatal(err)
	}
	want(directory.Deleting)
}

// A request to leave ends with the revocation of the node.
func TestRevokedWhileLeaving(t *testing.T) {
	w := newWorld(t)
	n := w.join(t, "H36", "onestop")
	if _, err := n.f.Leave(t.Context(), n.id, n.keys, directory.LeaveAsk, "sáp nhập", false); err != nil {
		t.Fatal(err)
	}
	if err := w.center.RevokeNode(t.Context(), "admin", n.id, "mất"); err != nil {
		t.Fatal(err)
	}
	s, err := w.center.State(t.Context())
	if err != nil || len(s.LeavesThatWait()) != 0 || s.StandingOf(s.Nodes[n.id], w.now()) != directory.Deleting {
		t.Errorf("leaves %+v, %v", s.Leaves, err)
	}
}

func anyToken(s *directory.State, node string) bool {
	for _, t := range s.Tokens {
		if t.Node == node {
			return true
		}
	}
	return false
}
