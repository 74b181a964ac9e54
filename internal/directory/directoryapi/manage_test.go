package directoryapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/web"
	"truc/internal/web/manage"
)

// countedNode counts what it was made to do.
type countedNode struct {
	acts  int
	actor string
}

func (c *countedNode) done(actor string) { c.acts++; c.actor = actor }

func (c *countedNode) KeyStatus() (directory.KeyStatus, error) {
	return directory.KeyStatus{Alg: "ed25519"}, nil
}

func (c *countedNode) RotateSigning(_ context.Context, actor, alg string) (time.Time, error) {
	c.done(actor)
	return time.Unix(1, 0).UTC(), nil
}

func (c *countedNode) RotateTLS(_ context.Context, actor string) (time.Time, error) {
	c.done(actor)
	return time.Unix(2, 0).UTC(), nil
}

func (c *countedNode) SetMaintenance(_ context.Context, actor, _ string) error {
	c.done(actor)
	return nil
}

func (c *countedNode) Leave(_ context.Context, actor, act, reason string, whole bool) (*directory.Leave, error) {
	c.done(actor)
	return &directory.Leave{Node: "VN/GOV/H36/node1", State: directory.Deleting, Whole: whole, Reason: act + " " + reason}, nil
}

// obj is a body of a request.
type obj map[string]any

// console is a management interface where each role's name is the key that has it.
type console struct {
	t    *testing.T
	mux  *web.Mux
	doc  *manage.Document
	tick time.Time
}

func newConsole(t *testing.T, declare ...func(*manage.API) error) *console {
	t.Helper()
	c := &console{t: t, mux: web.NewMux(web.Options{}), tick: time.Unix(1_800_000_000, 0)}
	api := &manage.API{
		Title: "test", Version: "1", Now: func() time.Time { c.tick = c.tick.Add(time.Second); return c.tick },
		Authenticate: func(_ context.Context, secret string) (manage.Operator, error) {
			if r := manage.Role(secret); slices.Contains(manage.Roles(), r) {
				return manage.Operator{ID: secret, Roles: []manage.Role{r}}, nil
			}
			return manage.Operator{}, errs.E(errs.Unauthenticated, "exchange.key_unknown", nil)
		},
		Audit: func(context.Context, string, string, string) error { return errors.New("the acts record themselves") },
	}
	for _, d := range declare {
		if err := d(api); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := api.Document()
	if err == nil {
		c.doc, err = manage.ReadDocument(raw)
	}
	if err := errors.Join(err, api.Mount(c.mux, "/api/openapi.json")); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask calls an operation, holds the answer to the document and reads it into out.
func (c *console) ask(id, role, path string, in, out any) int {
	c.t.Helper()
	op, ok := c.doc.Operations()[id]
	if !ok {
		c.t.Fatalf("there is no operation %s", id)
	}
	body, err := json.Marshal(in)
	if err != nil {
		c.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(c.t.Context(), op.Method, path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+role)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	c.mux.ServeHTTP(w, r)
	if err := c.doc.CheckAnswer(id, w.Code, w.Header().Get("Content-Type"), w.Body.Bytes()); err != nil {
		c.t.Errorf("%s: %v", id, err)
	}
	if out != nil && w.Code < 300 {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			c.t.Errorf("%s: %v", id, err)
		}
	}
	return w.Code
}

func (c *console) want(status int, id, role, path string, in, out any) {
	c.t.Helper()
	if got := c.ask(id, role, path, in, out); got != status {
		c.t.Errorf("%s %s with the key of %s = %d; want %d", id, path, role, got, status)
	}
}

// TestManageCenter invites, admits, disables and revokes a node and writes groups and policy, all by the interface; what
// happened stands in the signed document, and who did it in the events.
func TestManageCenter(t *testing.T) {
	w := newWorld(t)
	store := &tellingStore{Store: w.center.Store}
	w.center.Store = store
	c := newConsole(t, (&Manage{Center: w.center, Now: w.now}).Declare)
	const reg, node = "registration", "VN/GOV/H36/node1"

	c.want(204, "addMember", reg, "/api/directory/members", newMember{Code: "H01", Name: "Hà Nội"}, nil)
	c.want(400, "addMember", reg, "/api/directory/members", newMember{Code: "../H01", Name: "Hà Nội"}, nil)
	c.want(403, "addMember", "service", "/api/directory/members", newMember{Code: "H02", Name: "x"}, nil)
	c.want(403, "addMember", "observer", "/api/directory/members", newMember{Code: "H02", Name: "x"}, nil)
	for _, hours := range []int{-1, 73, 1 << 61} {
		c.want(400, "createToken", reg, "/api/directory/tokens", newToken{Member: "VN/GOV/H36", Server: "node1", Hours: hours}, nil)
	}
	a := w.asker(t, "node1", true)
	if _, err := a.f.Join(t.Context(), a.token, a.keys, askerProfile()); err == nil {
		t.Fatal("joined without a decision")
	}
	var o Overview
	c.want(200, "getDirectory", "observer", "/api/directory", nil, &o)
	if len(o.Pending) != 1 || o.Pending[0].Node != node || len(o.Members) != 3 || len(o.Tokens) != 1 || o.Tokens[0].State != directory.Registering {
		t.Fatalf("overview = %+v", o)
	}
	join := "/api/directory/joins/" + o.Pending[0].TokenID
	c.want(409, "approveJoin", reg, join+"/approve", obj{"digest": strings.Repeat("0", 64)}, nil)
	c.want(400, "declineJoin", reg, join+"/decline", obj{"reason": " "}, nil)
	c.want(204, "approveJoin", reg, join+"/approve", obj{"digest": o.Pending[0].Digest}, nil)
	if _, err := a.f.Join(t.Context(), a.token, a.keys, askerProfile()); err != nil {
		t.Fatal(err)
	}
	at := "/api/directory/nodes/" + node
	refreshed := func() *directory.Document {
		if err := a.f.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a.f.Document()
	}
	c.want(204, "disableNode", reg, at+"/disable", nil, nil)
	if n, _ := refreshed().Node(node); n.State != directory.Disabled {
		t.Errorf("a disabled node is %q", n.State)
	}
	c.want(204, "enableNode", reg, at+"/enable", nil, nil)
	c.want(204, "setSubsystem", reg, "/api/directory/subsystems/VN/GOV/H36/onestop", obj{"name": "Một cửa", "state": "registered"}, nil)
	if x, ok := refreshed().Subsystem("VN/GOV/H36/onestop"); !ok || x.Name["vi"] != "Một cửa" {
		t.Errorf("subsystem = %+v", x)
	}
	c.want(204, "setGlobalGroup", reg, "/api/directory/groups/tinh", obj{"name": "Các tỉnh", "members": []string{"VN/GOV/H36/onestop"}}, nil)
	c.want(204, "setPolicy", reg, "/api/directory/policy", policyPut{Approval: true, Agreements: true}, nil)
	if doc := refreshed(); !doc.InGroup("tinh", "VN/GOV/H36/onestop") || !doc.Policy.Approval || !doc.Policy.Agreements {
		t.Errorf("policy %+v, groups %+v", doc.Policy, doc.Groups)
	}
	c.want(204, "deleteGlobalGroup", reg, "/api/directory/groups/tinh", nil, nil)
	c.want(404, "deleteGlobalGroup", reg, "/api/directory/groups/tinh", nil, nil)
	c.want(404, "revokeNodeKey", reg, "/api/directory/keys/abc/revoke", obj{"reason": "x"}, nil)
	c.want(400, "revokeNode", reg, at+"/revoke", obj{"reason": ""}, nil)
	c.want(204, "revokeNode", reg, at+"/revoke", obj{"reason": "mất máy"}, nil)
	var made createdToken
	c.want(201, "createToken", reg, "/api/directory/tokens", newToken{Member: "VN/GOV/H36", Server: "node2"}, &made)
	token, err := directory.ParseToken(made.Token)
	if err != nil || token.Node != "VN/GOV/H36/node2" {
		t.Fatalf("token = %+v, %v", token, err)
	}
	c.want(204, "deleteToken", reg, "/api/directory/tokens/"+token.ID, nil, nil)
	c.want(200, "getDirectory", reg, "/api/directory", nil, &o)
	if len(o.Revoked) != 2 || o.Revoked[0].Reason != "mất máy" || len(o.Tokens) != 1 {
		t.Errorf("revoked = %+v, tokens = %+v", o.Revoked, o.Tokens)
	}
	// What the document says of each operation's audit is what the center recorded, by this operator.
	for id, op := range c.doc.Operations() {
		if op.Audit == "" || id == "revokeNodeKey" || id == "declineJoin" || id == "approveLeave" || id == "declineLeave" {
			continue
		}
		if !slices.ContainsFunc(store.events, func(e directory.Event) bool { return e.Name == op.Audit && e.Actor == "operator:registration" }) {
			t.Errorf("%s left no %s by its operator", id, op.Audit)
		}
	}
}

// tellingStore keeps the events of changes that held.
type tellingStore struct {
	directory.Store
	events []directory.Event
}

func (s *tellingStore) Change(ctx context.Context, f func(*directory.State) error) error {
	var events []directory.Event
	err := s.Store.Change(ctx, func(st *directory.State) error {
		err := f(st)
		events = st.Events
		return err
	})
	if err == nil {
		s.events = append(s.events, events...)
	}
	return err
}

// TestManageOwn holds the acts on a node's own keys to their roles.
func TestManageOwn(t *testing.T) {
	node := new(countedNode)
	c := newConsole(t, (&ManageOwn{Node: node}).Declare)
	const own = "/api/directory/own"
	c.want(200, "getOwnKeys", "observer", own, nil, nil)
	c.want(403, "rotateSigningKey", "system", own+"/signing-key", signingKey{}, nil)
	c.want(403, "setMaintenance", "security", own+"/maintenance", maintenance{"x"}, nil)
	c.want(400, "rotateSigningKey", "security", own+"/signing-key", signingKey{Alg: "rsa"}, nil)
	if node.acts != 0 {
		t.Fatalf("%d acts by those who may not", node.acts)
	}
	var out announced
	c.want(200, "rotateSigningKey", "security", own+"/signing-key", signingKey{Alg: "p256"}, &out)
	if out.From.Unix() != 1 || node.actor != "operator:security" {
		t.Errorf("from %v by %s", out.From, node.actor)
	}
	c.want(200, "rotateTLSKey", "security", own+"/tls-key", nil, nil)
	var leave directory.Leave
	c.want(403, "leaveNetwork", "system", own+"/leave", ownLeave{Act: "ask", Reason: "x"}, nil)
	c.want(400, "leaveNetwork", "registration", own+"/leave", ownLeave{Act: "flee"}, nil)
	c.want(200, "leaveNetwork", "registration", own+"/leave", ownLeave{Act: "ask", Reason: "sáp nhập", Whole: true}, &leave)
	if leave.Reason != "ask sáp nhập" || !leave.Whole || node.actor != "operator:registration" {
		t.Errorf("leave = %+v by %s", leave, node.actor)
	}
	node.acts--
	c.want(204, "setMaintenance", "system", own+"/maintenance", maintenance{"đến 22 giờ"}, nil)
	if node.acts != 3 || node.actor != "operator:system" {
		t.Errorf("%d acts, the last by %s", node.acts, node.actor)
	}
}

// Nothing but one well-formed act with the right key moves the node.
func FuzzOwnAct(f *testing.F) {
	f.Add("Bearer system", []byte(`{"notice":"x"}`))
	f.Add("Bearer system", []byte(`{"notice":"x","more":1}`))
	f.Add("Bearer ", []byte(`{"notice":""}`))
	f.Fuzz(func(t *testing.T, authorization string, body []byte) {
		node := new(countedNode)
		c := newConsole(t, (&ManageOwn{Node: node}).Declare)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/api/directory/own/maintenance", bytes.NewReader(body))
		r.Header.Set("Authorization", authorization)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		c.mux.ServeHTTP(w, r)
		var in map[string]any
		known := json.Unmarshal(body, &in) == nil && len(in) == 1
		if node.acts > 0 && (authorization != "Bearer system" || !known) {
			t.Fatalf("%q with %q moved the node", body, authorization)
		}
		if (node.acts > 0) != (w.Code == http.StatusNoContent) {
			t.Fatalf("answered %d after %d acts", w.Code, node.acts)
		}
	})
}
